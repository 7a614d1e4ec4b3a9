"""Encoders and heads of the tasks, a file each."""
