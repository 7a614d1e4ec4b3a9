"""``python -m benchmarks.speed``: how fast environments, policies and trainings are."""

from benchmarks.speed.command import main as main
