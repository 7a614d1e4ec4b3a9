"""Spark cluster schedulers. ``Scheduler`` and ``Decision`` are what a scheduler of one's own needs."""

from agents.cjs.scheduler import DECLINE, Decision, Heuristic, Scheduler

__all__ = ["DECLINE", "Decision", "Heuristic", "Scheduler"]
