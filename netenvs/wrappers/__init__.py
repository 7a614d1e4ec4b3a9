"""Adapters from netenvs environments to other libraries."""
