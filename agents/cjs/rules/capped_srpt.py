"""``capped-srpt``: least remaining work first, each job up to a share that grows with its work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

from agents.cjs.rules.smallest_job_first import BySize, remaining_work_ms
from netenvs.cjs import rules
from netenvs.cjs.cluster_view import ClusterView

FEW_EXECUTORS = {"share": 0.95, "growth": 0.5, "crowding": -0.5, "own_factor": 0.7, "early": 0.9, "hold": 0.0}
"""Tuned for 10 executors."""
MANY_EXECUTORS = {"share": 0.68, "growth": 0.4, "crowding": -0.75, "own_factor": 0.67, "early": 0.5, "hold": 0.3}
"""Tuned for 50 executors."""


class CappedSRPT(BySize):
    """Shortest remaining processing time with caps: the strongest rule here, and six constants.

    SRPT alone is best while executors are scarce. Where they are not, it gives a job more than it can use well: its
    tasks slow down with its executors, and every move costs ``moving_delay_ms``. So job i gets up to

        N share (W_i / 100 s)^growth n^crowding    (rounded, 1 to N)

    executors, W_i its remaining work and n the number of jobs in the system. The constants come from a cross-entropy
    search on TPC-H jobs arriving every 25 s (20 to 200 of them, seeds 1000 to 1149); between 10 and 50 executors they
    are interpolated in log N. Other workloads may have better ones.
    """

    def sizes(self, view: ClusterView) -> Sequence[float]:
        return remaining_work_ms(view)

    def caps(self, view: ClusterView) -> Sequence[int]:
        size, rule = view.num_executors, self.rule(view.num_executors)
        crowd = float(len(view.jobs)) ** rule.crowding
        shares = [
            rule.share * (work_ms / rules.WORK_UNIT_MS) ** rule.growth * crowd for work_ms in remaining_work_ms(view)
        ]
        return [int(max(min(size * share, size) + 0.5, 1.0)) for share in shares]

    def rule(self, num_executors: int) -> rules.Rule:
        return _rule(num_executors)


@cache
def _rule(num_executors: int) -> rules.Rule:
    position = min(max(math.log(num_executors / 10) / math.log(50 / 10), 0.0), 1.0)

    def between(name: str) -> float:
        return FEW_EXECUTORS[name] + position * (MANY_EXECUTORS[name] - FEW_EXECUTORS[name])

    return rules.Rule(
        rules.REMAINING_WORK,
        rules.BY_REMAINING_WORK,
        share=between("share"),
        growth=between("growth"),
        crowding=between("crowding"),
        own_factor=between("own_factor"),
        early=between("early"),
        hold=between("hold"),
    )
