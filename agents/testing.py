"""The contract of a policy as a public test: ``check_policy(policy, "abr")``."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.policy import BatchPolicy, Policy, PolicyError
from agents.rollout import Episode, EpisodeSpec, play
from netenvs import tasks


def check_policy(
    policy: Policy,
    task: str,
    episodes: int = 6,
    env_options: dict[str, Any] | None = None,
    tolerance: float = 0.0,
) -> None:
    """Play a few episodes of ``task`` ("abr") and check that the policy keeps its promises.

    It is a ``Policy`` with a name; its actions are legal; the same seeds give the same episodes; results do not
    depend on the batch size, or on which episodes came before (unless it declares itself ``sequential``). Raises
    ``AssertionError``, or ``PolicyError`` when an episode cannot be played.

    ``tolerance`` is how much actions that are no whole numbers, and rewards, may differ with the batch: above 0 for
    networks in single precision, whose sums depend on its size.
    """
    try:
        env_id = tasks.find(task).env_id
    except ValueError as error:
        raise PolicyError(str(error)) from error
    assert isinstance(policy, Policy), f"{policy!r} is not an agents.policy.Policy"
    assert isinstance(policy.name, str) and policy.name, "a policy needs a name"
    specs = [EpisodeSpec(seed=100 + i) for i in range(episodes)]
    reference = play(policy, env_id, specs, env_options)
    assert all(np.isfinite(episode.rewards).all() for episode in reference), f"{policy.name}: a reward is not finite"
    _assert_same(reference, play(policy, env_id, specs, env_options), f"{policy.name}: a second run differs", 0.0)
    if isinstance(policy, BatchPolicy):
        for num_envs in (1, episodes - 1):
            played = play(policy, env_id, specs, env_options, num_envs=num_envs)
            message = f"{policy.name}: results depend on the batch size {num_envs}"
            _assert_same(reference, played, message, tolerance)
    if not policy.sequential:
        backwards = play(policy, env_id, specs[::-1], env_options)[::-1]
        _assert_same(reference, backwards, f"{policy.name}: an episode depends on those before it", tolerance)


def _assert_same(left: list[Episode], right: list[Episode], message: str, tolerance: float) -> None:
    for number, (a, b) in enumerate(zip(left, right, strict=True)):
        apart = 0.0 if np.issubdtype(a.actions.dtype, np.integer) else tolerance
        assert _near(a.actions, b.actions, apart), f"{message}: actions of episode {number}"
        assert _near(a.rewards, b.rewards, tolerance), f"{message}: rewards of episode {number}"


def _near(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=0.0, atol=tolerance)
