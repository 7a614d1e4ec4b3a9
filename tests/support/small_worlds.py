"""Worlds that are quickly trained in."""

from agents.abr import training_worlds, validation
from agents.abr.imitation import Imitation
from netenvs.abr import worlds


def make_small(monkeypatch):
    """Worlds have videos of a few chunks, and none is at home."""
    monkeypatch.setattr(worlds, "CHUNKS", (5.0, 8.0))
    for name in ("AT_HOME", "KNOWN_VIDEO", "KNOWN_ELSEWHERE"):
        monkeypatch.setattr(worlds, name, 0.0)
    monkeypatch.setattr(training_worlds, "NETWORKS_AT_HOME", 0.0)


def forget_places():
    """Places of validation are made anew when they are next asked for."""
    validation.places.cache_clear()
    validation.home.cache_clear()


def few_places(monkeypatch):
    """Weights are chosen in few places; ``forget_places`` before and after."""
    monkeypatch.setattr(validation, "HELD_OUT", 1)
    monkeypatch.setattr(validation, "HOME_STARTS", 2)
    monkeypatch.setattr(validation, "WITHOUT_DATA", "synthetic(seed=2,count=4)")


def imitate(net, logits, seed, iterations):
    """A whole imitation."""
    training = Imitation(net, logits, seed, iterations)
    while training.iteration < iterations:
        training.iterate()
    training.finish()
