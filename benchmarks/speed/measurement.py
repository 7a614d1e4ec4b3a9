"""What the speed benchmark measures: pieces of work, and units a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Measurement(NamedTuple):
    """A piece of work that is repeated against the clock."""

    name: str
    units: tuple[str, ...]
    """What is counted, such as ``("tasks", "decisions")``."""
    work: Callable[[], tuple[int, ...]]
    """Does some, and returns how many of each unit it did."""
    inverse: bool = False
    """Report seconds a unit instead of units a second."""

    @property
    def labels(self) -> list[str]:
        """One a unit: ``plain loop (tasks/s)``; ``oracle (s/trace)`` if ``inverse``."""
        return [f"{self.name} ({f's/{unit}' if self.inverse else f'{unit}/s'})" for unit in self.units]

    def measure(self, seconds: float) -> dict[str, float]:
        """Label -> value, of the work done in ``seconds``, and of one piece at least."""
        values = rates(self.work, seconds)
        return {label: 1.0 / value if self.inverse else value for label, value in zip(self.labels, values, strict=True)}


def rates(work: Callable[[], tuple[int, ...]], seconds: float) -> list[float]:
    """Units a second, for each unit that ``work`` counts; it is repeated until ``seconds`` are over.

    Seconds are those of the processor: all work is done by one thread, and what else runs on the machine counts less.
    """
    totals: list[int] = []
    begin = time.process_time()
    while True:
        counts = work()
        totals = [total + count for total, count in zip(totals, counts, strict=True)] if totals else list(counts)
        spent = time.process_time() - begin
        if spent >= seconds and spent > 0:
            return [total / spent for total in totals]
