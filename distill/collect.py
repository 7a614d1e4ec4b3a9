"""``collect``, for imports: see ``distill.pools.collect``."""

from distill.pools.collect import collect as collect
