"""Comparisons, speed measurements and reports."""

from netenvs import moved

moved.keep(
    {
        "benchmarks.plain_cluster": "benchmarks.speed.yardsticks.cjs",
        "benchmarks.plain_loop": "benchmarks.speed.yardsticks.abr",
        "benchmarks.plain_windows": "benchmarks.speed.yardsticks.vp",
    }
)
