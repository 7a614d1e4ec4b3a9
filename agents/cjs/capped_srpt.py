"""``capped-srpt``: least remaining work first, each job up to a share that grows with its work."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from agents.cjs.by_size import BySize, remaining_work_ms
from netenvs.cjs import rules
from netenvs.cjs.cluster_view import ClusterView

_capped = partial(rules.Rule, rules.REMAINING_WORK, rules.BY_REMAINING_WORK)

FEW_EXECUTORS = _capped(share=0.9, growth=0.37, crowding=-0.35, own_factor=0.7, early=1.0, hold=0.0)
"""Tuned at N = 10 with 20 and 50 jobs, where the queue is long."""
MANY_EXECUTORS = _capped(share=0.6, growth=0.37, crowding=-0.6, own_factor=0.7, early=0.6, hold=0.3)
"""Tuned at N = 50 with 20, 50 and 200 jobs, where tasks slow down if too many executors work for one job."""
ANY_NUMBER = _capped(share=0.67, growth=0.37, crowding=-0.4, own_factor=0.7, early=0.8, hold=0.15)
"""Tuned for all of these together."""


class CappedSRPT(BySize):
    """Shortest remaining processing time with caps: the strongest rule here, and six constants.

    SRPT alone is best while executors are scarce. Where they are not, it gives a job more than it can use well: its
    tasks slow down with its executors, and every move costs ``moving_delay_ms``. So job i gets up to

        N share (W_i / 100 s)^growth n^crowding    (rounded, 1 to N)

    executors, W_i its remaining work and n the number of jobs in the system.
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
        if num_executors <= 10:
            return FEW_EXECUTORS
        return MANY_EXECUTORS if num_executors >= 50 else ANY_NUMBER
