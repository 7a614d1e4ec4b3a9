"""``fair``, ``fifo`` and ``fifo-full``: jobs in order of arrival, each up to a number of executors.

The rules are those of the simulators published with NetLLM (Wu et al., SIGCOMM 2024) and Decima (Mao et al., SIGCOMM
2019), where fair is called "dynamic partition".
"""

from __future__ import annotations

from agents.cjs.scheduler import DECLINE, Decision, Heuristic
from netenvs.cjs import rules
from netenvs.cjs.cluster_view import ClusterView, JobView, StageView


class ByArrival(Heuristic):
    """The job whose executors are on offer keeps them; what it cannot use goes to the oldest job below its cap."""

    def cap(self, view: ClusterView) -> int:
        """Executors that a job gets."""
        raise NotImplementedError

    def decide(self, view: ClusterView) -> Decision:
        own = view.source
        if own is not None and (stage := find_stage(own)):
            return Decision(stage, view.committable)
        cap = self.cap(view)
        for job in view.jobs:
            if job is not own and job.supply < cap and (stage := find_stage(job)):
                return Decision(stage, min(view.committable, cap - job.supply))
        return DECLINE


class Fair(ByArrival):
    """Every job up to an equal share: N / jobs in the system, rounded up."""

    def cap(self, view: ClusterView) -> int:
        return -(-view.num_executors // len(view.jobs))

    def rule(self, num_executors: int) -> rules.Rule:
        return rules.FAIR


class FIFO(ByArrival):
    """The oldest job first, up to half of the executors, as published with NetLLM: others need not wait."""

    def cap(self, view: ClusterView) -> int:
        return -(-view.num_executors // 2)

    def rule(self, num_executors: int) -> rules.Rule:
        return rules.FIFO


class FIFOFull(ByArrival):
    """The oldest job first, up to all executors: Spark's default."""

    def cap(self, view: ClusterView) -> int:
        return view.num_executors

    def rule(self, num_executors: int) -> rules.Rule:
        return rules.FIFO_FULL


def find_stage(job: JobView) -> StageView | None:
    """A job's first schedulable stage of the frontier, else its first schedulable one, else None."""
    stages = job.schedulable
    for stage in stages:
        if stage.frontier:
            return stage
    return stages[0] if stages else None
