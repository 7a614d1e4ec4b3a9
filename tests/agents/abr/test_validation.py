"""How weights are chosen: places between a rule and a clairvoyant."""

import numpy as np
import pytest
from small_worlds import few_places, forget_places

from agents.abr import validation
from agents.abr.oracle import Oracle
from agents.abr.scores import score
from agents.abr.validation import Place
from agents.policy import load_policy


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    forget_places()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETENVS_DATA", str(tmp_path_factory.mktemp("no-data")))
        few_places(patch)
        yield validation.places(2)
    forget_places()


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


def test_home_is_entered_in_drawn_places(places):
    home = validation.home()
    assert home.name == f"{validation.WITHOUT_DATA} x synthetic, drawn starts"
    assert home.world.start == "random" and len(home.world.traces) == 2 * 4
    options = home.world.options()
    best = score(Oracle(), options.pop("traces"), options.pop("video"), **options).mean()
    assert best == pytest.approx(home.top, abs=0.1) and home.floor < home.top


def test_a_lost_session_at_home_counts_at_least_nothing(places, monkeypatch):
    def scores(lost):
        monkeypatch.setattr(validation, "score", lambda *arguments, **options: np.array([1.0, 1.5, lost]))
        return validation.network_scores(load_policy("bba", "abr"), 2)

    home = validation.home()
    assert scores(-1.0)["home"] == scores(-50.0)["home"] == home.share(2.5 / 3)
    assert scores(-1.0)["share"] > scores(-50.0)["share"], "it counts elsewhere"


def test_home_counts_half_and_worlds_held_out_are_no_worst_place(places, monkeypatch):
    world = places[0].world
    made = [Place(name, world, 1.0, 3.0) for name in ("a", "b", "held out 0")]
    values = iter([0.5, -0.25, -0.75, 0.75])
    monkeypatch.setattr(validation, "places", lambda traces: made)
    monkeypatch.setattr(validation, "home", lambda: Place("home", world, 1.0, 3.0))
    monkeypatch.setattr(validation, "_mean", lambda policy, world, least=-np.inf: 1.0 + 2.0 * next(values))
    found = validation.network_scores(load_policy("random", "abr"), 2)
    share = (0.5 - 0.25 - 0.75) / 3
    assert found["home"] == 0.75 and found["worst"] == -0.25 and found["share"] == pytest.approx(share)
    assert found["valid"] == pytest.approx((0.75 + share) / 2 - 0.25 * validation.DREAD)


def test_networks_are_asked_the_same_of_rules(places):
    found = validation.network_scores(load_policy("robust-mpc", "abr"), 2)
    assert set(found.values()) == {0.0}
