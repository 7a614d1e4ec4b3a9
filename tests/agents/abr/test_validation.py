"""How weights are chosen: places between a rule and a clairvoyant."""

import pytest

from agents.abr import validation
from agents.abr.oracle import Oracle
from agents.abr.scores import score
from agents.policy import load_policy


@pytest.fixture
def places(monkeypatch, tmp_path):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    monkeypatch.setattr(validation, "HELD_OUT", 1)
    validation.places.cache_clear()
    yield validation.places(2)
    validation.places.cache_clear()


def test_places_are_between_the_rule_and_the_clairvoyant(places):
    names = [place.name for place in places]
    assert names[0] == f"{validation.WITHOUT_DATA} x synthetic" and "held out 0" in names
    assert f"{validation.WITHOUT_DATA} x synthetic-4k" not in names, "a link that carries no level of it"
    assert all(place.floor < place.top for place in places)
    options = places[0].world.options()
    best = score(Oracle(), options.pop("traces"), options.pop("video"), **options).mean()
    assert best == pytest.approx(places[0].top, abs=0.1) and places[0].world.start == "stored"


def test_the_rule_has_nothing_and_a_bad_policy_counts_no_more_than_minus_1(places):
    found = validation.valid_scores(load_policy("robust-mpc", "abr"), 2)
    assert found["valid"] == found["worst"] == 0.0 and found["home"] == places[0].floor
    bad = validation.valid_scores(load_policy("random", "abr"), 2)
    assert bad["share"] == bad["worst"] == -1.0 and bad["valid"] == -1.0 - validation.DREAD
