"""Comparisons, speed measurements and reports."""
