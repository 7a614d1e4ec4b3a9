"""Hybrids of Mamba-2 and attention as backbones of sequence policies: the students."""
