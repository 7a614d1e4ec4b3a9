"""Policies: baselines, learned baselines, teachers and students."""
