"""``sjf-cp``, ``cpt`` and ``srpt``: the smallest job first, with as many executors as it can use.

Work counts in ``rough_ms``, the mean duration that is known before a stage runs. ``rough_ms`` beats ``recent_ms`` in
every variant measured: the last task's duration is a noisy estimate of the next ones'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from agents.cjs.scheduler import DECLINE, Decision, Heuristic
from netenvs.cjs import rules
from netenvs.cjs.cluster_view import ClusterView


class BySize(Heuristic):
    """The stage whose job is smallest; inside a job those first whose tasks can start.

    With ``caps``, a job that has its share of the executors is passed over. Caps are not strict: where they leave
    executors to nobody, they count for nothing. (Executors that were declined are offered again at the next arrival
    only, so that strict caps waste them, and can strand all of them in the end.)

    The numbers of the rule that are used here: the size of the source's own job counts times ``own_factor`` (below 1,
    executors change jobs less often); ``longest_path_first`` inside a job; a stage whose tasks cannot start yet gets
    ``early`` x its executors, rounded up; ``hold``, see ``held``.
    """

    def sizes(self, view: ClusterView) -> Sequence[float]:
        """Size of each job of ``view.jobs``."""
        raise NotImplementedError

    def caps(self, view: ClusterView) -> Sequence[int] | None:
        """Executors that each job of ``view.jobs`` should have, 1 or more; None: as many as it can use."""
        return None

    def decide(self, view: ClusterView) -> Decision:
        sizes, caps, held = self.sizes(view), self.caps(view), self.held(view)
        decision = None
        if caps is not None:
            decision = self._smallest(view, sizes, caps, held)
        if decision is None:
            decision = self._smallest(view, sizes, None, held)
        if decision is None and not view.can_decline:
            decision = self._smallest(view, sizes, None, 0)
        return DECLINE if decision is None else decision

    def held(self, view: ClusterView) -> int:
        """How many of the source's executors other jobs do not get: ``hold`` x what its job will need soon.

        What is left when the own job had its part is declined, and those executors wait in their job. That ends: a
        job with demand has a ready stage, which therefore got executors in the same round.
        """
        hold = self.rule(view.num_executors).hold
        if view.source is None or hold == 0:
            return 0
        needed = sum(max(stage.demand, 0) for stage in view.source.stages if not stage.ready)
        return int(hold * min(view.source_executors, needed))

    def _smallest(
        self, view: ClusterView, sizes: Sequence[float], caps: Sequence[int] | None, held: int
    ) -> Decision | None:
        rule = self.rule(view.num_executors)
        chosen, executors, least = None, 0, (math.inf, False, 0.0)
        for job in view.jobs:
            own = job is view.source
            offered = view.committable if own else view.committable - held
            if caps is not None:
                free = caps[job.position] - job.supply
                offered = min(offered, free + view.committable if own else free)
            if offered <= 0:
                continue
            size = sizes[job.position] * (rule.own_factor if own else 1.0)
            for stage in job.schedulable:
                key = (size, not stage.frontier, -stage.critical_path_ms if rule.longest_path_first else 0.0)
                if key < least:
                    chosen, executors, least = stage, min(offered, stage.demand), key
        if chosen is None:
            return None
        return Decision(chosen, executors if chosen.frontier else math.ceil(rule.early * executors))


class SJFCP(BySize):
    """Least total work first, and in a job the longest critical path: SJF-CP of Decima's evaluation (section 7.1)."""

    def sizes(self, view: ClusterView) -> Sequence[float]:
        return total_work_ms(view)

    def rule(self, num_executors: int) -> rules.Rule:
        return rules.Rule(rules.TOTAL_WORK, longest_path_first=True)


class CPT(BySize):
    """Shortest remaining critical path first: the job that could be done soonest if executors were no concern."""

    def sizes(self, view: ClusterView) -> Sequence[float]:
        return remaining_path_ms(view)

    def rule(self, num_executors: int) -> rules.Rule:
        return rules.Rule(rules.REMAINING_PATH, longest_path_first=True)


class SRPT(BySize):
    """Least remaining work first (shortest remaining processing time)."""

    def sizes(self, view: ClusterView) -> Sequence[float]:
        return remaining_work_ms(view)

    def rule(self, num_executors: int) -> rules.Rule:
        return rules.Rule(rules.REMAINING_WORK)


def total_work_ms(view: ClusterView) -> list[float]:
    """Work of each job in the system when it arrived, ms."""
    stages = view.stage_array
    return _sum_by_job(view, stages["remaining"] + stages["running"] + stages["completed"])


def remaining_work_ms(view: ClusterView) -> list[float]:
    """Work left of each job in the system, ms; of a task at work, half is left."""
    return _sum_by_job(view, view.stage_array["remaining"] + 0.5 * view.stage_array["running"])


def remaining_path_ms(view: ClusterView) -> list[float]:
    """Longest critical path of the stages that are not complete, of each job in the system, ms."""
    stages = view.stage_array
    left_ms = np.where(stages["remaining"] + stages["running"] > 0, stages["critical_path_ms"], 0.0)
    return np.maximum.reduceat(left_ms, view.stage_bounds[:-1]).tolist()


def _sum_by_job(view: ClusterView, tasks: np.ndarray) -> list[float]:
    """Sum over the stages of each job of ``tasks`` x ``rough_ms``."""
    jobs = np.repeat(np.arange(len(view.job_array)), view.job_array["num_stages"])
    # adds one by one, in order, as the kernel does; other sums may differ in the last bit
    return np.bincount(jobs, tasks * view.stage_array["rough_ms"], len(view.job_array)).tolist()
