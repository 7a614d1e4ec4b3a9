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


@contextmanager
def killed_at_call(owner: type, name: str, number: int) -> Iterator[None]:
    """The method of this name stops the training when it is called for the ``number``-th time."""
    method, calls = getattr(owner, name), []

    def killed(self, *arguments):
        calls.append(1)
        if len(calls) == number:
            raise KeyboardInterrupt
        return method(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, killed)
        yield
