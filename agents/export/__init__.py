"""Sequence models as functions of arrays, for where there is no Python, or no PyTorch."""
