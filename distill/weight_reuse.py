"""``reuse``, for imports: see ``distill.reuse.weight_reuse``."""

from distill.reuse.weight_reuse import reuse as reuse
