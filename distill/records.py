"""``ExtraColumn`` and ``record``, for imports: see ``distill.pools.recorder``."""

from distill.pools.recorder import ExtraColumn as ExtraColumn
from distill.pools.recorder import record as record
