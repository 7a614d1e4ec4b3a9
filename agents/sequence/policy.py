"""Sequence policies at play: one decision at a time, with a cache for each episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.policy import BatchPolicy, grow_rows
from agents.pretrained import one_thread
from agents.sequence.backbone import Cache
from agents.sequence.model import SequenceModel

MODES = ("greedy", "sampled")


class SequencePolicy(BatchPolicy):
    """Plays a ``SequenceModel``, in evaluation mode, many episodes at once.

    Arguments:
        model: what is played; its ``context`` is the number of steps that it sees.
        mode: ``greedy`` (the best choice, the mean of a path) or ``sampled`` (from the softmax, by a generator for
            each row that ``reset_rows`` seeds; a path has no such mode).
        target: normalised return to go at the beginning of an episode, for a model that is conditioned on returns.
        scale: (mean, spread): a return r counts (r - mean) / spread.
    """

    def __init__(
        self,
        model: SequenceModel,
        mode: str = "greedy",
        target: float | None = None,
        scale: tuple[float, float] = (0.0, 1.0),
    ):
        if mode not in MODES:
            raise ValueError(f"mode must be {' or '.join(MODES)}, not {mode!r}")
        if mode == "sampled" and model.task.continuous:
            raise ValueError("mode must be greedy: a path is not drawn")
        if model.task.returns and target is None:
            raise ValueError("the model is conditioned on returns: it needs a target")
        self.model, self.mode, self.target, self.scale = model.eval(), mode, target, scale
        self.parameters = sum(value.numel() for value in model.state_dict().values())
        self._forget()

    def _forget(self) -> None:
        self._caches: list[tuple[np.ndarray, Cache]] = []  # each with the rows it holds, -1 = none any more
        self._steps = np.zeros(0, dtype=np.int64)  # by row: decisions made in the episode
        self._previous: np.ndarray | None = None  # by row: the action before
        self._collected = np.zeros(0)  # by row: rewards so far
        self._streams: dict[int, np.random.Generator] = {}

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        self._steps = grow_rows(self._steps, rows)
        self._collected = grow_rows(self._collected, rows)
        self._steps[rows] = 0
        self._collected[rows] = np.nan
        if self.mode == "sampled":
            self._streams.update((int(row), np.random.default_rng(seed)) for row, seed in zip(rows, seeds, strict=True))

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        """Actions (k, ...) of the live rows; see ``BatchPolicy``."""
        rows, task = np.asarray(infos["row"]), self.model.task
        steps = task.observe(observations, infos)
        with torch.inference_mode(), one_thread():
            returns = self._returns(observations, infos, rows) if task.returns else None
            previous = self._before(rows)
            numbers = torch.from_numpy(self._steps[rows]).to(task.device)
            tokens = task.embed(steps, previous, returns)
            alone = self.model.context == 1 and task.components == 1
            cache = None if alone else self._cache_of(rows)
            hidden = self.model.step(tokens, numbers, cache)
            if task.continuous:
                actions = task.path(hidden, tokens.memory)[0].float().cpu().numpy()
            else:
                chosen = torch.zeros(len(rows), task.components, dtype=torch.int64, device=task.device)
                for component in range(task.components):
                    logits = task.logits(component, hidden, tokens.memory, chosen)
                    chosen[:, component] = self._choose(logits, rows)
                    following = (
                        task.follow(component, tokens.memory, chosen) if component + 1 < task.components else None
                    )
                    if following is not None:
                        hidden = self.model.step(following, numbers, cache)
                actions = chosen.cpu().numpy()
        carried_out = task.to_env(actions, steps)
        self._steps[rows] += 1
        self._remember(rows, carried_out)
        return carried_out

    def _cache_of(self, rows: np.ndarray) -> Cache:
        """The cache with ``rows`` in this order; those that begin an episode, or a new context, are empty.

        Rows that are asked in groups, since their episodes have different videos, have a cache a group.
        """
        context = self.model.context
        begins = (self._steps[rows] % context if context else self._steps[rows]) == 0
        if begins.all():
            cache = self.model.backbone.init_cache(len(rows))
        else:
            goes_on = rows[~begins][0]
            number = next(i for i, (cached, _) in enumerate(self._caches) if goes_on in cached)
            cached, cache = self._caches.pop(number)
            if begins.any() or not np.array_equal(rows, cached):
                place = {row: number for number, row in enumerate(cached.tolist())}
                kept = [-1 if begin else place[row] for row, begin in zip(rows.tolist(), begins, strict=True)]
                cache.select(torch.tensor(kept, device=self.model.task.device))
        others = [(np.where(np.isin(cached, rows), -1, cached), of) for cached, of in self._caches]
        self._caches = [(cached, of) for cached, of in others if (cached >= 0).any()]
        self._caches.append((rows.copy(), cache))
        return cache

    def _before(self, rows: np.ndarray) -> np.ndarray:
        """Actions carried out at the step before, (k, ...); all -1 at the first step of an episode."""
        if self._previous is None:
            return np.full((len(rows), *self._action_shape()), -1, dtype=np.int64)
        self._previous = grow_rows(self._previous, rows)
        before = self._previous[rows]
        before[self._steps[rows] == 0] = -1
        return before

    def _action_shape(self) -> tuple[int, ...]:
        return () if self.model.task.components == 1 else (self.model.task.components,)

    def _remember(self, rows: np.ndarray, actions: np.ndarray) -> None:
        if self.model.task.continuous:
            return  # paths do not change what comes
        if self._previous is None:
            self._previous = np.full((int(rows.max()) + 1, *actions.shape[1:]), -1, dtype=np.int64)
        self._previous = grow_rows(self._previous, rows)
        self._previous[rows] = actions

    def _returns(self, observations: Any, infos: dict[str, Any], rows: np.ndarray) -> Tensor:
        """float32 (k,): what is left of the target, normalised."""
        self._collected[rows] = self.model.task.collected(observations, infos, self._collected[rows])
        assert self.target is not None
        left = self.target - self._collected[rows] / self.scale[1]
        return torch.from_numpy(left.astype(np.float32)).to(self.model.task.device)

    def _choose(self, logits: Tensor, rows: np.ndarray) -> Tensor:
        """int64 (k,): a choice for each row of logits (k, choices)."""
        if self.mode == "greedy":
            return logits.argmax(dim=1)
        drawn = torch.tensor([self._streams[int(row)].random() for row in rows], dtype=torch.float64)
        reached = logits.double().softmax(dim=1).cpu().cumsum(dim=1) > drawn[:, None]
        return torch.where(reached.any(dim=1), reached.int().argmax(dim=1), logits.cpu().argmax(dim=1)).to(
            logits.device
        )
