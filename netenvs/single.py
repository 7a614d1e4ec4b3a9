"""``SingleEnv``: what the single environments of all tasks share: seeds, the life of an episode, and rendering."""

from __future__ import annotations

from typing import Any, TypeVar

import gymnasium as gym
import numpy as np

from netenvs.spec import unknown_name

Observation = TypeVar("Observation")
Action = TypeVar("Action")


class SingleEnv(gym.Env[Observation, Action]):
    """One environment; ``netenvs.vector.BatchVectorEnv`` is its counterpart for many.

    A subclass sets the two spaces in its constructor and defines the methods that stand last here.
    """

    def __init__(self, render_mode: str | None):
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            raise ValueError(unknown_name("render_mode", render_mode, modes))
        self.render_mode = render_mode
        self._seeded = False  # an episode has begun
        self._ready = False  # for an action

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode, drawn or chosen by ``options``; ``ValueError`` for options without a match.

        ``seed`` alone determines this episode and those that are drawn after it; None: the stream goes on.
        """
        super().reset(seed=seed)
        chosen = self._check_reset_options(options)
        if seed is not None or not self._seeded:
            self._seed(seed, self.np_random)
            self._seeded = True
        self._begin(chosen)
        self._ready = True
        return self._observation(), self._info()

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One decision. Raises ``ValueError`` for an action outside the space and after the episode's end."""
        if not self._ready:
            raise ValueError("the episode is over, or has not begun; call reset() first")
        reward, terminated, truncated = self._act(action)
        self._ready = not (terminated or truncated)
        return self._observation(), reward, terminated, truncated, self._info()

    def render(self) -> np.ndarray | str | None:
        """``rgb_array``: the episode so far as a picture, uint8 (height, width, 3). ``ansi``: one line."""
        if not self._seeded:
            raise ValueError("there is nothing to render yet; call reset() first")
        if self.render_mode is None:
            gym.logger.warn("render() without a render_mode: make the environment with render_mode='rgb_array'")
            return None
        return self._line() if self.render_mode == "ansi" else self._picture()

    # ------------------------------------------------------------------------------- what a subclass defines

    def _check_reset_options(self, options: dict[str, Any] | None) -> Any:
        """What the reset options choose, for ``_begin``; ``ValueError`` for wrong ones."""
        raise NotImplementedError

    def _seed(self, seed: int | None, rng: np.random.Generator) -> None:
        """All later episodes follow from ``seed`` (if there is one) and ``rng``."""
        raise NotImplementedError

    def _begin(self, chosen: Any) -> None:
        """Begin an episode."""
        raise NotImplementedError

    def _act(self, action: Any) -> tuple[float, bool, bool]:
        """One step: reward, terminated, truncated. ``ValueError`` for an action outside the space."""
        raise NotImplementedError

    def _observation(self) -> Observation:
        """New arrays."""
        raise NotImplementedError

    def _info(self) -> dict[str, Any]:
        """Called once after each reset and step; new arrays."""
        raise NotImplementedError

    def _picture(self) -> np.ndarray:
        """uint8 (height, width, 3)."""
        raise NotImplementedError

    def _line(self) -> str:
        """The state in one line."""
        raise NotImplementedError
