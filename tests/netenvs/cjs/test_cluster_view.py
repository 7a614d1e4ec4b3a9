"""What a scheduler sees of a cluster: it reads like prose, is the same in every row, and stays as it is."""

import pickle

import gymnasium as gym
import numpy as np
import pytest
from cjs_episodes import SMALL, first_stage

import netenvs  # noqa: F401
from netenvs.cjs.cluster_view import ClusterView


def test_views_are_read_like_prose(netllm_tpch):
    env = gym.make(SMALL, workload="tpch")
    _, info = env.reset(seed=0)
    view = info["view"]
    (job,) = view.jobs
    assert repr(view) == "<ClusterView at 0.000 s: 1 jobs, 10 executors on offer>"
    assert (view.now_s, view.committable, view.source, view.source_stage) == (0.0, 10, None, None)
    assert repr(job).startswith("job 0 (") and repr(job.stages[1]) == "stage 1 of job 0"
    template = env.unwrapped.jobs.template(job.template)
    assert job.name == template.name
    for stage in job.stages:
        assert [parent.id for parent in stage.parents] == [p for p, c in template.edges if c == stage.id]
        assert [child.id for child in stage.children] == [c for p, c in template.edges if p == stage.id]
        assert stage.critical_path_ms == stage.rough_ms + max(
            (child.critical_path_ms for child in stage.children), default=0.0
        )
    assert view.schedulable == [stage for stage in job.stages if stage.schedulable]
    while view.source is None:
        *_, info = env.step(first_stage(info))
        view = info["view"]
    assert view.source is view.jobs[0] and info["source_job"] == 0


@pytest.mark.parametrize("engine", ["fast", "simpy"])
def test_a_view_stays_as_it_is(engine):
    env = gym.make(SMALL, engine=engine)
    _, info = env.reset(seed=0)
    view, copy = info["view"], pickle.loads(pickle.dumps(info["view"]))
    assert isinstance(view, ClusterView) and view == copy
    for _ in range(5):
        *_, info = env.step(first_stage(info))
    assert view == copy != info["view"]
    with pytest.raises(ValueError, match="read-only"):
        view.stage_array["remaining"][0] = 1


@pytest.mark.parametrize("engine", ["fast", "simpy"])
def test_vector_views_are_those_of_single_environments(engine):
    rows = gym.make_vec(SMALL, num_envs=3, engine=engine)
    rows.reset(seed=20)
    singles = [gym.make(SMALL, engine=engine) for _ in range(3)]
    infos = [single.reset(seed=20 + i)[1] for i, single in enumerate(singles)]
    for _ in range(40):
        views = [rows.unwrapped.shared_info["clusters"].view(row) for row in range(3)]
        assert views == [info["view"] for info in infos]
        actions = np.array([first_stage(info) for info in infos])
        rows.step(actions)
        infos = [single.step(action)[-1] for single, action in zip(singles, actions, strict=True)]
