"""The commands of ``python -m distill``, a module each."""
