"""Adaptive bitrate policies."""
