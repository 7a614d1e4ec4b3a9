"""Actions of ``netenvs/CJS-v0``: what is impossible becomes the nearest that is possible, and nothing is stranded."""

import gymnasium as gym
import numpy as np
import pytest
from cjs_episodes import SMALL, first_stage, play

import netenvs  # noqa: F401
from netenvs.cjs.reference import DeadlockError


@pytest.mark.parametrize("engine", ["fast", "simpy"])
def test_impossible_actions_become_the_nearest_possible_ones(engine):
    env = gym.make(SMALL, engine=engine)
    for _, _, info in play(env, first_stage):
        if len(info["view"].schedulable) > 2 and info["committable"] > 1:
            break

    # play up to that decision again, and act there
    def until():
        _, now = env.reset(seed=0)
        while now["time_s"] != info["time_s"] or now["committable"] != info["committable"]:
            *_, now = env.step(first_stage(now))
        return now

    now = until()
    mask = now["action_mask"][: env.unwrapped.options.stages_in_view + 1].copy()
    possible = np.flatnonzero(mask[1:]) + 1
    for wanted in range(1, possible[-1] + 8):
        if mask[wanted]:
            continue
        nearest = min(possible.tolist(), key=lambda row: (abs(row - wanted), row))
        until()
        *_, asked = env.step(np.array([wanted, 0]))
        until()
        *_, given = env.step(np.array([nearest, 0]))
        assert asked["invalid_action"] and not given["invalid_action"]
        assert asked["view"] == given["view"]
    until()
    *_, asked = env.step(np.array([possible[0], 9]))
    until()
    *_, given = env.step(np.array([possible[0], now["committable"] - 1]))
    assert asked["invalid_action"] == (now["committable"] < 10) and asked["view"] == given["view"]


@pytest.mark.parametrize("engine", ["fast", "simpy"])
def test_a_decline_that_would_end_everything_is_impossible(engine):
    env = gym.make("netenvs/CJS-v0", engine=engine, num_executors=2, num_jobs=1)
    _, info = env.reset(seed=0)
    assert not info["view"].can_decline and not info["action_mask"][0]
    *_, after = env.step(np.array([0, 0]))
    assert after["invalid_action"] and after["time_s"] >= 0
    first = info["view"].schedulable[0]
    assert after["view"].jobs[0].stages[first.id].demand < first.demand, "its executors went to the first stage"


def test_only_declining_ends_all_the_same():
    env = gym.make(SMALL)
    assert play(env, lambda info: np.array([0, 0]))[-1][2]["jobs_done"] == 20


@pytest.mark.parametrize("seed", range(3))
def test_declining_at_random_never_strands_a_cluster(seed):
    env = gym.make(SMALL, num_executors=3, max_jobs=3).unwrapped
    rng = np.random.default_rng(seed)

    def decide(info):
        rows = np.flatnonzero(info["action_mask"][: env.options.stages_in_view + 1])
        return np.array([0 if info["action_mask"][0] and rng.random() < 0.5 else rng.choice(rows), 0])

    for episode in range(20):
        assert play(env, decide, seed=100 * seed + episode)[-1][2]["jobs_done"] == 20


def test_nobody_is_asked_where_all_choices_are_hidden():
    from agents.cjs import Decision, Scheduler

    class Smallest(Scheduler):
        def decide(self, view):
            assert all(stage.schedulable and stage.row for stage in view.schedulable)
            return Decision(min(view.schedulable, key=lambda s: s.job.remaining_work_ms), view.committable)

    env = gym.make("netenvs/CJS-v0", num_executors=50, num_jobs=40, max_jobs=1, max_stages=40)
    policy, hidden = Smallest(), []

    def decide(info):
        hidden.append(not info["view"].schedulable)
        return policy.act(None, info)

    assert play(env, decide)[-1][2]["jobs_done"] == 40
    assert any(hidden)


def test_deadlock_names_the_state(monkeypatch):
    """If nothing visible can be chosen and nothing will happen, even the environment has no way out."""
    clusters = gym.make(SMALL, num_executors=2, num_jobs=1).unwrapped
    clusters.reset(seed=0)
    clusters.engine.action_mask[0, 1:401] = 0
    clusters.engine.action_mask[0, 0] = 1
    with pytest.raises(DeadlockError, match=r"at 0\.000 s.*1 jobs are unfinished"):
        clusters.step(np.array([0, 0]))
