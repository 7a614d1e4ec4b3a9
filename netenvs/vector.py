"""``BatchVectorEnv``: what the vector environments of all tasks share: seeds, resets, and the three autoreset modes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from netenvs.arguments import check_autoreset_mode, check_num_envs, check_reset_mask, seeds_of_rows


class BatchVectorEnv(gym.vector.VectorEnv[Any, np.ndarray, np.ndarray]):
    """A batch of environments that are stepped together; row i with seed s equals the single one with seed s + i.

    ``infos`` holds scalar columns as arrays (rows,). ``autoreset_mode``: ``NEXT_STEP`` (default), ``SAME_STEP`` or
    ``DISABLED``; then rows are reset by ``reset(options={"reset_mask": mask})``, bool (rows,).

    A subclass calls ``_set_spaces`` in its constructor and defines the methods that stand last here.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012
    no_step_limit: str
    """Why ``max_episode_steps`` is not supported."""

    def __init__(
        self,
        num_envs: int,
        autoreset_mode: AutoresetMode | str,
        max_episode_steps: int | None,
        render_mode: str | None,
    ):
        if render_mode is not None:
            raise ValueError("the vector environment does not render; make the single one with gym.make")
        if max_episode_steps is not None:
            raise ValueError(f"max_episode_steps is not supported here: {self.no_step_limit}")
        self.num_envs = check_num_envs(num_envs)
        self.autoreset_mode = check_autoreset_mode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = None
        self._present = np.ones(self.num_envs, dtype=np.bool_)
        self._present.flags.writeable = False
        self._which_rows: dict[str, np.ndarray] = {}
        self._seeded = np.zeros(self.num_envs, dtype=np.bool_)
        self._begun = False

    def _set_spaces(self, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> None:
        """The spaces of one row."""
        self.single_observation_space, self.single_action_space = observation_space, action_space
        self.observation_space = batch_space(observation_space, self.num_envs)
        self.action_space = batch_space(action_space, self.num_envs)
        self._space = str(action_space)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin episodes in all rows, or in those of ``options["reset_mask"]``.

        ``seed`` s seeds row i with s + i; a sequence seeds each row, None leaves a row's stream going on.
        """
        chosen = self._check_reset_options(options)
        mask = check_reset_mask((options or {}).get("reset_mask"), self.num_envs, self._begun)
        super().reset(seed=int(seed) if isinstance(seed, int | np.integer) else None)
        seeds = seeds_of_rows(seed, self.num_envs)
        if seed is not None or not self._seeded.all():
            for row in np.flatnonzero(mask).tolist():
                if seeds[row] is not None:
                    self._seed_row(row, seeds[row], seeding.np_random(seeds[row])[0])
                elif not self._seeded[row]:
                    self._seed_row(row, None, self.np_random)
            self._seeded |= mask
        self._begin(mask, chosen)
        self._begun = True
        return self._observations(), self._infos()

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step in every row. Raises ``ValueError`` for actions outside the space."""
        if not self._begun:
            raise ValueError("call reset() before step()")
        actions = self._check_actions(actions)
        if self.autoreset_mode is AutoresetMode.DISABLED and self._over().any():
            raise ValueError(
                "autoreset is disabled and a row is over; reset it first: "
                "reset(options={'reset_mask': terminated | truncated})"
            )
        rewards, terminated, truncated = self._act(actions, self.autoreset_mode is AutoresetMode.NEXT_STEP)
        final: dict[str, Any] = {}
        over = terminated | truncated
        if self.autoreset_mode is AutoresetMode.SAME_STEP and over.any():
            final_obs, seen = np.full(self.num_envs, None, dtype=object), self._observations()
            for row in np.flatnonzero(over).tolist():
                final_obs[row] = {k: v[row] for k, v in seen.items()} if isinstance(seen, dict) else seen[row]
            final = {"final_obs": final_obs, "_final_obs": over, "final_info": self._infos(), "_final_info": over}
            self._begin(over, None)
        return self._observations(), rewards, terminated, truncated, {**self._infos(), **final}

    def _infos(self) -> dict[str, Any]:
        """The scalar columns, each with Gymnasium's ``_name`` column of which rows have it (all)."""
        infos = self._columns()
        if not self._which_rows:
            self._which_rows = {f"_{name}": self._present for name in infos}
        return {**infos, **self._which_rows}

    # ------------------------------------------------------------------------------- what a subclass defines

    def _check_reset_options(self, options: dict[str, Any] | None) -> Any:
        """What the reset options choose, for ``_begin``; ``ValueError`` for wrong ones."""
        raise NotImplementedError

    def _check_actions(self, actions: Any) -> np.ndarray:
        """The actions as an array (rows, ...); ``ValueError`` for those outside the space."""
        raise NotImplementedError

    def _seed_row(self, row: int, seed: int | None, rng: np.random.Generator) -> None:
        """All later episodes of a row follow from ``seed`` (if there is one) and ``rng``."""
        raise NotImplementedError

    def _begin(self, mask: np.ndarray, chosen: Any) -> None:
        """Begin an episode in the rows of ``mask``, bool (rows,); ``chosen`` None: whatever is drawn."""
        raise NotImplementedError

    def _act(self, actions: np.ndarray, autoreset: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One step: rewards float64, terminated and truncated bool (rows,), all new arrays.

        In rows that are over, ``autoreset`` begins an episode, with reward 0.
        """
        raise NotImplementedError

    def _over(self) -> np.ndarray:
        """bool (rows,): rows whose episode has ended."""
        raise NotImplementedError

    def _observations(self) -> Any:
        """Of all rows, new arrays."""
        raise NotImplementedError

    def _columns(self) -> dict[str, Any]:
        """The scalar columns of ``infos``, new arrays (rows,)."""
        raise NotImplementedError
