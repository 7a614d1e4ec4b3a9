"""Random legal actions, drawn so that they do not depend on which episodes are played together."""

from __future__ import annotations

import hashlib
from typing import Any

import gymnasium as gym
import numpy as np

from netenvs.compiled import kernel
from netenvs.random import uniform


class ActionNoise:
    """With a probability, a random action in place of the one intended.

    Each component of it is uniform over its possible values. What is drawn depends on the seed, the policy's name, the
    number of the episode and of the decision, and on nothing else.

    Arguments:
        probability: of a random action at each decision, 0 to 1.
        space: ``Discrete`` or ``MultiDiscrete``.
        seed: of all draws.
        policy: name of the policy.
    """

    def __init__(self, probability: float, space: gym.Space[Any], seed: int, policy: str):
        self.probability = check_probability(probability)
        self._prefix = f"{seed}/{policy}/"
        self._keys: dict[int, int] = {}
        if isinstance(space, gym.spaces.Discrete):
            self.sizes, self._start = np.array([space.n]), np.array([space.start])
        elif isinstance(space, gym.spaces.MultiDiscrete) and len(space.nvec.shape) == 1:
            self.sizes, self._start = space.nvec, space.start
        elif probability > 0:
            raise ValueError(f"noise {probability:g}: random actions are for discrete choices, not for {space}")

    def disturb(
        self, actions: np.ndarray, masks: np.ndarray | None, episodes: np.ndarray, steps: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(actions to carry out, which of them are random, bool (k,)).

        ``actions`` (k,) or (k, components); ``masks`` of possible values, (k, sum of sizes), None = all;
        ``episodes`` and ``steps`` int64 (k,).
        """
        if self.probability == 0.0:
            return actions, np.zeros(len(actions), dtype=np.bool_)
        keys = np.array([self._key(episode) for episode in episodes.tolist()], dtype=np.uint64)
        drawn = np.empty((len(actions), 1 + len(self.sizes)))
        draw(keys, steps, drawn)
        disturbed = drawn[:, 0] < self.probability
        if masks is None:
            masks = np.ones((len(actions), int(self.sizes.sum())), dtype=np.bool_)
        chosen, first = np.empty((len(actions), len(self.sizes)), dtype=actions.dtype), 0
        for component, size in enumerate(self.sizes.tolist()):
            possible = masks[:, first : first + size] != 0
            chosen[:, component] = self._start[component] + nth_possible(possible, drawn[:, 1 + component])
            first += size
        out = actions.copy()
        out[disturbed] = chosen.reshape(actions.shape)[disturbed]
        return out, disturbed

    def _key(self, episode: int) -> int:
        """64 bits of an episode."""
        if episode not in self._keys:
            digest = hashlib.sha256(f"{self._prefix}{episode}".encode()).digest()
            self._keys[episode] = int.from_bytes(digest[:8], "little")
        return self._keys[episode]


def check_probability(probability: float) -> float:
    """``ValueError`` for what is none."""
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"noise must be a probability, from 0 to 1, not {probability!r}")
    return float(probability)


def nth_possible(possible: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """int64 (k,): the possible index of bool (k, n) that ``drawn``, (k,) in [0, 1), falls on; 0 where none is."""
    rank = np.minimum((drawn * possible.sum(axis=1)).astype(np.int64), np.maximum(possible.sum(axis=1) - 1, 0))
    index: np.ndarray = np.argmax(np.cumsum(possible, axis=1) > rank[:, None], axis=1)
    return index


@kernel
def draw(keys, steps, out):
    """Fill ``out``, float64 (k, m), with uniform numbers of (key, step, column); keys uint64, steps int64 (k,)."""
    for row in range(len(keys)):
        for column in range(out.shape[1]):
            out[row, column] = uniform(keys[row], steps[row], column)
