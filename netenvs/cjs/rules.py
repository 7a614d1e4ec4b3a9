"""``Rule``: a scheduling heuristic in plain numbers, which the fast engine decides inside its kernel.

``agents.cjs`` has the same heuristics as readable classes, with their sources; a class and its rule decide equally.
All rules choose among the stages that have a row in the observation (by default all that are schedulable).
"""

from __future__ import annotations

from typing import NamedTuple

# order of the jobs
ARRIVAL = 0
"""The job whose executors are on offer, then the others as they arrived."""
TOTAL_WORK = 1
"""Least work first: the sum over stages of tasks x ``rough_ms``."""
REMAINING_WORK = 2
"""The same with the tasks not started and half of those at work."""
REMAINING_PATH = 3
"""Shortest critical path of the stages that are not complete first."""

# how many of the N executors a job may have
SHARE = 0
"""``share`` x N, rounded up."""
EQUAL = 1
"""N / jobs in the system, rounded up."""
BY_TOTAL_WORK = 2
"""N x w / (sum of w over the jobs in the system), rounded up; w = (total work, 1 ms or more) ^ ``growth``."""
BY_REMAINING_WORK = 3
"""``share`` x N x (remaining work / 100 s) ^ ``growth`` x (jobs in the system) ^ ``crowding``, rounded; 1 to N."""

WORK_UNIT_MS = 100_000.0
"""Remaining work at which ``growth`` changes nothing."""
TOLERANCE = 1e-9
"""A share is not rounded up for the sake of a rounding error."""


class Rule(NamedTuple):
    """Which stage gets how many of the executors on offer.

    ``ARRIVAL`` (with ``SHARE`` or ``EQUAL``) is the published rule: a schedulable stage of the source's own job
    gets all that is on offer; otherwise one of the first job with fewer executors than its share, up to that.
    Inside a job, the first stage of the frontier, else the first. If there is none, decline.

    The other orders take the stage with the least (size of its job x ``own_factor`` if the executors come from
    that job); inside a job those of the frontier first, then (``longest_path_first``) the longest critical path,
    then the first. A job is passed over if it has its share; if that leaves nobody, shares count for nothing.
    Of the source's executors, ``hold`` x (as many as its job's stages that are not ready need) are not offered to
    other jobs, so that they stay: then a decision may decline, unless nothing else is going to happen.
    """

    order: int
    sharing: int = SHARE
    share: float = 1.0
    growth: float = 0.0
    crowding: float = 0.0
    own_factor: float = 1.0
    longest_path_first: bool = False
    early: float = 1.0
    """Part of the executors that a stage gets before its tasks can start, rounded up."""
    hold: float = 0.0


FAIR = Rule(ARRIVAL, EQUAL)
"""Every job in the system up to N / jobs executors: the published ``fair``."""
FIFO = Rule(ARRIVAL, SHARE, 0.5)
"""Every job up to half of the executors: the published ``fifo``."""
FIFO_FULL = Rule(ARRIVAL)
"""Every job up to all executors."""
