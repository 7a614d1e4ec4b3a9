"""Sequence policies: encoder of a task, causal backbone, head; played with a cache, trained on whole episodes."""
