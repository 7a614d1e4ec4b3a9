"""``python -m benchmarks.speed --policy``: students against their teachers."""
