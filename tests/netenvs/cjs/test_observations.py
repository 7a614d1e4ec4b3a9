"""Observations of ``netenvs/CJS-v0``: they say what a scheduler sees, as far as there is room."""

import gymnasium as gym
import numpy as np
import pytest
from cjs_episodes import SMALL, any_action, first_stage, play
from gymnasium.spaces import GraphInstance

import netenvs  # noqa: F401
from netenvs.cjs.jobs import Job, Stage, make_job_set


def test_observation_says_what_the_view_says():
    env = gym.make(SMALL)
    decide = any_action(env)
    size, most = 10, env.unwrapped.options.stages_in_view
    for observation, _, info in play(env, decide)[:-1]:
        view = info["view"]
        rows = [stage for job in view.jobs for stage in job.stages if stage.row]
        assert [stage.row for stage in rows] == list(range(1, len(rows) + 1))
        assert observation["stage_mask"].sum() == len(rows)
        assert observation["job_mask"].sum() == len(view.jobs) == info["jobs_in_system"]
        for stage in rows:
            assert stage.remaining + stage.running > 0, "complete stages have no row"
            expected = [
                stage.remaining / 200,
                stage.running / size,
                max(stage.demand, 0) / size,
                stage.recent_ms / 1e4,
                stage.remaining * stage.recent_ms / 1e5,
                stage.critical_path_ms / 1e5,
                float(stage.schedulable),
                float(stage.frontier),
            ]
            assert observation["stages"][stage.row - 1] == pytest.approx(expected, rel=1e-6)
            assert observation["stage_job"][stage.row - 1] == view.jobs.index(stage.job)
        edges = {(parent.row - 1, stage.row - 1) for stage in rows for parent in stage.parents if parent.row}
        count = observation["edge_mask"].sum()
        assert {tuple(edge) for edge in observation["edges"][:count].tolist()} == edges and count == len(edges)
        for position, job in enumerate(view.jobs):
            own = job is view.source
            cap = view.committable if own else min(max(size - job.supply, 0), view.committable)
            expected = [job.supply / size, cap / size, float(own), view.now_s / 100 - job.arrival_s / 100]
            assert observation["jobs"][position][:4] == pytest.approx(expected, rel=1e-5, abs=1e-6)
            assert observation["jobs"][position][4] == pytest.approx(job.remaining_work_ms / 1e6, rel=1e-6)
        assert observation["cluster"] == pytest.approx(
            [view.committable / size, len(view.jobs) / 20, float(view.source is not None)], rel=1e-6
        )
        possible = {stage.row for stage in view.schedulable} | ({0} if view.can_decline else set())
        assert set(np.flatnonzero(info["action_mask"][: most + 1])) == possible
        assert info["action_mask"][most + 1 :].tolist() == [k < view.committable for k in range(size)]
        assert np.array_equal(observation["action_mask"], info["action_mask"])
        assert info["source_job"] == (-1 if view.source is None else view.source.id)
        assert not info["truncated_view"]


def test_graph_has_the_rows_of_the_padded_observation():
    padded, graph = gym.make(SMALL), gym.make(SMALL, observation="graph")
    for (left, _, _), (right, _, _) in zip(play(padded, first_stage), play(graph, first_stage), strict=True):
        assert isinstance(right, GraphInstance)
        count, jobs = left["stage_mask"].sum(), left["stage_job"][: left["stage_mask"].sum()]
        assert np.array_equal(right.nodes[:, :8], left["stages"][:count])
        assert np.array_equal(right.nodes[:, 8:13], left["jobs"][jobs])
        assert np.array_equal(right.nodes[:, 13], jobs)
        edges = left["edges"][: left["edge_mask"].sum()]
        assert np.array_equal(edges, np.empty((0, 2)) if right.edge_links is None else right.edge_links)


def test_oldest_jobs_are_kept_where_there_is_no_room():
    env = gym.make(SMALL, num_executors=2, max_jobs=3, max_stages=40)
    flagged = 0
    for observation, _, info in play(env, first_stage)[:-1]:
        view = info["view"]
        shown = [job.id for job in view.jobs if any(stage.row for stage in job.stages)]
        assert shown == [job.id for job in view.jobs][: len(shown)] and 1 <= len(shown) <= 3
        assert all(stage.row for job in view.jobs[: len(shown)] for stage in job.stages if stage.remaining)
        assert info["truncated_view"] == (len(shown) < len(view.jobs))
        assert observation["job_mask"].sum() == len(shown)
        flagged += info["truncated_view"]
    assert flagged > 20


def test_edges_without_room_are_left_out_and_said(tmp_path, monkeypatch):
    stages = [Stage(1, {5: [1000]}, parents=tuple(range(i))) for i in range(10)]
    monkeypatch.setattr("netenvs.cjs.engines.load_workload", lambda name: make_job_set("dense", [Job("d", stages)]))
    env = gym.make("netenvs/CJS-v0", num_executors=2, num_jobs=1, max_stages=10)
    observation, info = env.reset(seed=0)
    assert info["truncated_view"] and observation["edge_mask"].sum() == 20 < 45


@pytest.mark.parametrize("engine", ["fast", "simpy"])
def test_an_observation_that_is_changed_changes_nothing(engine):
    env, other = gym.make(SMALL, engine=engine).unwrapped, gym.make(SMALL, engine=engine).unwrapped
    observation, _ = env.reset(seed=0)
    other.reset(seed=0)
    observation["action_mask"][:] = 1
    (*_, left), (*_, right) = env.step([300, 9]), other.step([300, 9])
    assert left["invalid_action"] and left["view"] == right["view"]
    tasks = gym.make(SMALL, engine=engine, render_mode="rgb_array").unwrapped
    with pytest.raises(ValueError, match="call reset"):
        tasks.tasks()
    play(tasks, first_stage)
    kept, copy = tasks.tasks(), tasks.tasks().copy()
    play(tasks, first_stage, seed=1)
    assert np.array_equal(kept, copy)
