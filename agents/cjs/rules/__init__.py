"""Scheduling rules, a module each."""
