"""Weights of a teacher in a student of other layers: the parts of ``distill.reuse.weight_reuse``."""
