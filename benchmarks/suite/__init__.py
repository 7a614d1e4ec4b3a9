"""``python -m benchmarks.compare --suite``: policies in many environments of a task, in one score."""
