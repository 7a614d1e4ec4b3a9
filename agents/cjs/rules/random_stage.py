"""The schedule that every other has to beat."""

from __future__ import annotations

import numpy as np

from agents.cjs.rules.oldest_job_first import find_stage
from agents.cjs.scheduler import DECLINE, Decision, Scheduler
from netenvs.cjs.cluster_view import ClusterView


class Random(Scheduler):
    """A stage of a random job, and a random number of executors: the published scheduler, draw by draw."""

    def __init__(self) -> None:
        self._rng = np.random.RandomState(0)

    def reset(self, seed: int | None = None) -> None:
        self._rng = np.random.RandomState(None if seed is None else seed % 2**32)

    def decide(self, view: ClusterView) -> Decision:
        left, stage = list(range(len(view.jobs))), None
        while left and stage is None:
            position = self._rng.choice(left)
            stage = find_stage(view.jobs[position])
            if stage is None:
                left.remove(position)
        executors = int(self._rng.randint(1, view.committable + 1))
        return DECLINE if stage is None else Decision(stage, executors)
