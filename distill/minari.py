"""``from_minari`` and ``to_minari``, for imports: see ``distill.pools.minari``."""

from distill.pools.minari import from_minari as from_minari
from distill.pools.minari import to_minari as to_minari
