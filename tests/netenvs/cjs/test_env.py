"""``netenvs/CJS-v0`` as a Gymnasium environment: contract, both engines, rewards, seeds, pictures."""

import gymnasium as gym
import numpy as np
import pytest
from cjs_episodes import SMALL, any_action, first_stage, play

import netenvs  # noqa: F401
from netenvs.cjs import kernel
from netenvs.cjs.engines import SimpyEngine
from netenvs.cjs.reference import ReferenceSimulator
from netenvs.cjs.workload import load_workload
from netenvs.testing import check_task


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"engine": "simpy"},
        {"observation": "graph"},
        {"engine": "simpy", "observation": "graph"},
        {"num_executors": 3, "max_jobs": 2},
        {"work_conserving": True, "num_executors": 4},
        {"num_jobs": None, "time_limit_ms": 200_000.0},
        {"beta": 0.005, "moving_delay_ms": 0.0},
    ],
    ids=str,
)
def test_contract(options):
    check_task(SMALL, steps=100, **options)


def test_contract_of_the_large_one():
    check_task("netenvs/CJS-v0", steps=60)


def test_contract_with_published_random_numbers(netllm_tpch):
    check_task(SMALL, steps=40, workload="tpch", rng="netllm")


@pytest.mark.parametrize("action", ["any", "first"])
@pytest.mark.parametrize(
    "options",
    [{}, {"max_jobs": 2, "num_executors": 3}, {"work_conserving": True}, {"beta": 0.01, "time_limit_ms": 300_000.0}],
    ids=str,
)
def test_engines_show_the_same(options, action):
    """Observations, rewards, masks and infos of whole episodes, impossible actions included."""
    fast, simpy = (gym.make(SMALL, engine=engine, **options) for engine in ("fast", "simpy"))
    episodes = [play(env, any_action(env) if action == "any" else first_stage, seed=5) for env in (fast, simpy)]
    assert len(episodes[0]) == len(episodes[1]) > 20
    for left, right in zip(*episodes, strict=True):
        for name in left[0]:
            assert np.array_equal(left[0][name], right[0][name]), name
        assert left[1] == pytest.approx(right[1], rel=1e-12, abs=1e-15)
        for name in kernel.INFO_COLUMNS:
            assert left[2][name] == pytest.approx(right[2][name], rel=1e-12), name
        assert left[2]["view"].job_array.shape == right[2]["view"].job_array.shape
        for name in set(kernel.STAGE_VIEW.names) - {"pool"}:
            assert np.array_equal(left[2]["view"].stage_array[name], right[2]["view"].stage_array[name]), name
        for name in set(kernel.JOB_VIEW.names) - {"pool"}:
            assert np.array_equal(left[2]["view"].job_array[name], right[2]["view"].job_array[name]), name
        assert left[2]["view"].can_decline == right[2]["view"].can_decline
        assert left[2]["view"].source_executors == right[2]["view"].source_executors


def test_rewards_are_minus_completion_times():
    env = gym.make(SMALL)
    episode = play(env, first_stage)
    done = env.unwrapped.jobs_done()
    jct_s = (done["completion_ms"] - done["arrival_ms"]) / 1000.0
    assert len(done) == 20 and sorted(done["job"]) == list(range(20))
    assert sum(reward for _, reward, _ in episode) == pytest.approx(-jct_s.sum(), rel=1e-12)
    assert episode[-1][2]["mean_jct_s"] == pytest.approx(jct_s.mean(), rel=1e-12)
    assert episode[-1][2]["jobs_done"] == 20
    assert np.all(np.diff(done["completion_ms"]) >= 0)


def test_truncated_rewards_count_the_jobs_that_are_left():
    env = gym.make(SMALL, time_limit_ms=150_000.0)
    episode = play(env, first_stage)
    info = episode[-1][2]
    view = info["view"]
    assert info["time_s"] >= 150.0 and info["jobs_in_system"] > 0
    left_s = sum(info["time_s"] - job.arrival_s for job in view.jobs)
    done_s = info["mean_jct_s"] * info["jobs_done"]
    assert sum(reward for _, reward, _ in episode) == pytest.approx(-(left_s + done_s), rel=1e-12)


def test_a_seed_determines_all_later_episodes():
    left, right = gym.make(SMALL), gym.make(SMALL)
    for env in (left, right):
        env.reset(seed=9)
    for _ in range(3):
        (_, a), (_, b) = left.reset(), right.reset()
        assert a["view"] == b["view"]
    _, again = left.reset(seed=9)
    _, first = right.reset(seed=9)
    assert again["view"] == first["view"] != a["view"]


def test_two_schedulers_see_the_same_jobs():
    seen = []
    for decide in (first_stage, lambda info: np.array([info["view"].schedulable[-1].row, 0])):
        env = gym.make(SMALL)
        play(env, decide, seed=4)
        done = env.unwrapped.jobs_done()
        done.sort(order="job")
        seen.append(done[["job", "template", "arrival_ms"]].tolist())
    assert seen[0] == seen[1]


def test_netllm_draws_the_published_jobs(netllm_tpch):
    env = gym.make(SMALL, workload="tpch", rng="netllm")
    env.reset(seed=3)
    reference = ReferenceSimulator(load_workload("tpch"), num_executors=10, num_jobs=20, rng="netllm")
    reference.reset(3)
    assert isinstance(env.unwrapped.engine, SimpyEngine)
    (simulator,) = env.unwrapped.engine.simulators
    assert [job.arrival_ms for job in simulator.jobs] == [job.arrival_ms for job in reference.jobs]
    assert env.unwrapped.shared_random.getstate() == reference.shared_random.getstate()
    env.reset()
    assert [job.arrival_ms for job in simulator.jobs] != [job.arrival_ms for job in reference.jobs]


def test_a_simpy_engine_runs_other_rules():
    """What ``netenvs.cjs.reference`` offers to subclasses works inside the environment, too."""

    class Slow(ReferenceSimulator):
        def task_duration(self, executor, stage, task):
            return 2 * super().task_duration(executor, stage, task)

    env = gym.make(SMALL, engine="simpy").unwrapped
    usual = play(env, first_stage)[-1][2]["mean_jct_s"]
    env.engine.simulators = [Slow(env.jobs, env.options, record=False)]
    assert play(env, first_stage)[-1][2]["mean_jct_s"] > 1.5 * usual


def test_rendering():
    env = gym.make(SMALL, render_mode="rgb_array")
    play(env, first_stage)
    assert env.render().std() > 10
    tasks = env.unwrapped.tasks()
    assert len(tasks) == sum(
        env.unwrapped.jobs.template(done["template"]).num_tasks.sum() for done in env.unwrapped.jobs_done()
    )
    assert len(env.unwrapped.episode_figure().axes) >= 2
    env = gym.make(SMALL, render_mode="ansi")
    env.reset(seed=0)
    assert "1 job" in env.render() and "10" in env.render()


@pytest.mark.parametrize("engine", ["fast", "simpy"])
def test_a_workload_without_arrivals_has_none_to_replay(engine):
    with pytest.raises(ValueError, match="synthetic: its jobs have no arrivals, which arrivals='recorded' needs"):
        gym.make("netenvs/CJS-v0", arrivals="recorded", engine=engine)
