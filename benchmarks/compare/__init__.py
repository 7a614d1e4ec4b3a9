"""``python -m benchmarks.compare``: policies on the same episodes of a task."""

from benchmarks.compare.command import main as main
