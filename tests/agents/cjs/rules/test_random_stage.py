"""``random``: the published draws."""

import numpy as np
from hand_made_clusters import BLOCKED, WAITING, decided, make_view

from agents.cjs.rules.random_stage import Random
from agents.policy import load_policy
from agents.rollout import EpisodeSpec, play

ENV_ID = "netenvs/CJS-v0"


def test_random_draws_as_published():
    """A job among those in the system until one has a stage, then executors; seeds like the published scheduler's."""
    view = make_view([(0, [BLOCKED]), (0, [WAITING, {}]), (0, [{}])], committable=7)
    scheduler, rng = Random(), np.random.RandomState(5)
    scheduler.reset(seed=5)
    for _ in range(20):
        left = [0, 1, 2]
        while (job := rng.choice(left)) == 0:
            left.remove(0)
        executors = rng.randint(1, 8)
        assert decided(scheduler, view) == ((job, 1 if job == 1 else 0), executors)


def test_random_follows_its_seed():
    options = {"num_executors": 5, "num_jobs": 3}
    one, other, again = (
        play(load_policy("random", "cjs"), ENV_ID, [EpisodeSpec(1, policy_seed)], options)[0].actions.tolist()
        for policy_seed in (1, 2**40 + 2, 1)
    )
    assert one == again != other
