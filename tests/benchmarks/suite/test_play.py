"""Scores of a suite: on generated sets, which are played where nothing is installed."""

from dataclasses import replace

import numpy as np
import pytest

from agents import statistics
from agents.abr.scores import score as scores_of
from agents.policy import BatchPolicy, load_policy
from benchmarks.suite import play

pytestmark = pytest.mark.usefixtures("nothing_installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("optima")


@pytest.fixture(scope="module")
def field(folder, nothing_installed):
    """With optima: two traces a set."""
    bare = play.prepare("abr", "worlds", episodes=2, optima=folder, values_of_floor=False)
    assert bare.missing == len(bare.places) == 10 and not any(folder.iterdir())
    seen = []
    assert play.make_optima(bare, lambda place, made: seen.append(made)) == 20 and seen == list(range(1, 21))
    assert play.make_optima(bare) == 0, "all are there"
    return play.prepare("abr", "worlds", episodes=2, optima=folder)


def test_cells_are_sets_times_ladders_times_penalties(field):
    names = [place.cell.name for place in field.places]
    assert len(set(names)) == 10 and field.missing == 0
    assert "synthetic x synthetic-4k x 35" in names and "pensieve-markov(count=9) x synthetic x 4.3" in names
    assert "no set of the suite is installed" in " ".join(field.notes)
    assert all(len(place.floor) == len(place.top) == 2 for place in field.places)


def test_values_are_those_of_a_comparison_of_the_set_alone(field):
    row = play.score(load_policy("bba"), field)
    for cell in (row.cells[0], row.cells[-2]):
        of = cell.place.cell
        for player, values in ((load_policy("bba"), cell.scores), (load_policy("robust-mpc"), cell.place.floor)):
            whole = scores_of(player, **of.options)
            assert values == whole[list(of.numbers)].tolist()


def test_floor_and_top_are_0_and_1(field):
    floor = play.score(load_policy("robust-mpc"), field)
    counted = [cell for cell in floor.cells if cell.place.counts]
    assert floor.suite_score == 0.0 == floor.worst.suite_score and len(counted) >= 3
    assert not any(cell.below for cell in floor.cells) and {cell.p_holm for cell in floor.cells} == {1.0}
    assert all(cell.suite_score is None for cell in floor.cells if not cell.place.counts)
    of = field.batches[0]
    first = replace(field, batches=(of,), setups=field.setups[:1], places=field.places[: len(of.cells)])
    top = play.score(load_policy("oracle"), first)
    assert top.suite_score == 1.0 and [cell.scores for cell in top.cells] == [place.top for place in first.places]


class Lowest(BatchPolicy):
    def act_batch(self, observations, infos):
        return np.zeros(len(infos["row"]), dtype=np.int64)


def test_a_score_is_the_share_of_what_there_is_to_gain(field):
    row = play.score(Lowest(), field)
    counted = [cell for cell in row.cells if cell.place.counts]
    for cell in counted:
        floor, top = statistics.mean(cell.place.floor), statistics.mean(cell.place.top)
        assert cell.suite_score == pytest.approx((cell.mean - floor) / (top - floor))
        assert top - floor >= cell.place.cell.least
    assert row.suite_score == pytest.approx(np.mean([cell.suite_score for cell in counted]))
    assert row.worst.suite_score == min(cell.suite_score for cell in counted) < 0


def test_below_is_what_the_interval_says_and_holm_asks_for_more(field):
    row = play.score(Lowest(), field)
    below = [cell for cell in row.cells if cell.below]
    assert below and all(cell.paired.ci95[1] < 0 and cell.paired.to == "robust-mpc" for cell in below)
    adjusted = statistics.holm([cell.p for cell in row.cells])
    assert [cell.p_holm for cell in row.cells] == adjusted.tolist()
    assert [cell.below_after_holm for cell in row.cells] == [
        cell.below and p < 0.05 for cell, p in zip(row.cells, adjusted, strict=True)
    ]


class SixLevels(Lowest):
    def act_batch(self, observations, infos):
        if infos["video"].num_levels != 6:
            raise ValueError("six levels are needed")
        return super().act_batch(observations, infos)


def test_a_policy_that_fails_somewhere_has_values_elsewhere_and_no_score(field):
    row = play.score(SixLevels(), field)
    assert [cell.error is None for cell in row.cells] == [
        cell.place.cell.parts["ladder"] == "synthetic" for cell in row.cells
    ]
    assert row.suite_score is None and row.worst is None
    assert "six levels are needed" in row.errors[0] and "\n" not in row.errors[0]


def test_without_optima_there_are_raw_values(field, tmp_path):
    bare = play.prepare("abr", "worlds", episodes=2, optima=tmp_path)
    row = play.score(Lowest(), bare)
    assert bare.missing == 10 and row.suite_score is None and all(cell.mean is not None for cell in row.cells)
    assert [place.floor for place in bare.places] == [place.floor for place in field.places]
    assert [path.name.rpartition("-")[0] for path in tmp_path.iterdir()] == ["robust-mpc"], "kept for the next time"


def test_optima_go_on_where_they_were_interrupted(field, tmp_path):
    few = play.prepare("abr", "worlds", episodes=1, optima=tmp_path, values_of_floor=False)

    def stop(place, made):
        if made == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play.make_optima(few, stop)
    assert play.make_optima(few) == 8
    again = play.prepare("abr", "worlds", episodes=1, optima=tmp_path)
    known = {place.digests[0]: place.top[0] for place in again.places}
    same = [place for place in field.places if place.digests[0] in known]
    assert same and all(known[place.digests[0]] == place.top[0] for place in same)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"suite": "world"}, "--suite: unknown suite 'world'; did you mean 'worlds'?"),
        ({"task": "cjs"}, "--suite worlds: cjs has no suites"),
        ({"split": "train"}, "--split: unknown split 'train'"),
        ({"episodes": 3, "full": True}, "--episodes and --full: give one of them"),
        ({"episodes": 101}, "--episodes 101: the largest set of the suite has 100 traces"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(changed, line, tmp_path):
    with pytest.raises(ValueError, match=line.replace("(", r"\(").replace("?", r"\?")):
        play.prepare(**{"task": "abr", "suite": "worlds", "optima": tmp_path, **changed})


def test_the_other_split_has_cells_of_its_own(field, tmp_path):
    other = play.prepare("abr", "worlds", split="valid", episodes=1, optima=tmp_path)
    assert [place.cell.parts["set"] for place in other.places] == ["synthetic(seed=1)"] * 5
    assert not {d for place in other.places for d in place.digests} & {
        d for place in field.places for d in place.digests
    }
