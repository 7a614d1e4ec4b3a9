"""Experience pools and distillation."""

from netenvs import moved

moved.keep({"distill.learner": "distill.training.learner", "distill.source": "distill.training.phase"})
