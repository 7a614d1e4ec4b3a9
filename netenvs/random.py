"""Counter-based random numbers: hashes of (key, positions), shared by all kernels.

A number depends on nothing but its key and its position: there is no state to carry, a row draws the same
numbers alone and in a batch of any size, and two policies that reach the same position see the same luck.
"""

from __future__ import annotations

import numpy as np

from netenvs.compiled import kernel


@kernel
def mix64(z):
    """Finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a bijection of 64-bit integers."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def hash64(key, episode, position):
    """64 bits that depend on nothing but (key, episode, position); they can serve as a key again."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    z = mix64(np.uint64(key) + golden)
    z = mix64(z + golden * (np.uint64(episode) + np.uint64(1)))
    return mix64(z + golden * (np.uint64(position) + np.uint64(1)))


@kernel
def uniform(key, episode, position):
    """A double in [0, 1) that depends on nothing but (key, episode, position)."""
    return (hash64(key, episode, position) >> np.uint64(11)) * (1.0 / 9007199254740992.0)
