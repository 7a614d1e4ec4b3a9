"""``Pool``, for imports: see ``distill.pools.pool``."""

from distill.pools.pool import Pool as Pool
