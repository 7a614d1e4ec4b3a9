"""Trainings that are killed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from distill.training.learner import Learner


@contextmanager
def killed_in(iteration: int) -> Iterator[None]:
    """Learners stop in this iteration, after they have gathered."""
    learn = Learner._learn

    def killed(self, phase, number, data):
        if number == iteration:
            raise KeyboardInterrupt
        return learn(self, phase, number, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "_learn", killed)
        yield
