"""The cells of the suite of bitrate adaptation."""

import gymnasium as gym
import numpy as np
import pytest

from benchmarks.suite.abr import LADDERS, SETS, WORLDS, chosen
from netenvs import datasets
from netenvs.abr.installed import INSTALLED_SPLITS
from netenvs.abr.workload import load_traces, make_trace_set


def traces_called(names):
    return make_trace_set("some", [(name, np.arange(3.0), np.ones(3)) for name in names])


def test_traces_are_chosen_by_their_names_alone():
    names = [f"trace-{i}" for i in range(50)]
    few, more = ({names[i] for i in chosen(traces_called(names), most)} for most in (5, 20))
    assert few < more and len(few) == 5 and len(more) == 20
    backwards = traces_called(names[::-1])
    assert {names[::-1][i] for i in chosen(backwards, 5)} == few
    assert chosen(backwards, 20) == sorted(chosen(backwards, 20)), "in the order of the set"
    assert chosen(backwards, None) == chosen(backwards, 50) == list(range(50))
    assert few != set(names[:5])


def digest(trace=0, **options):
    env = gym.make("netenvs/ABR-v0", **{"traces": "synthetic(count=2)", "video": "synthetic", **options})
    try:
        return WORLDS.digest(env.unwrapped, {"trace": trace})
    finally:
        env.close()


def test_a_digest_is_that_of_the_trace_the_video_the_player_and_the_objective():
    same = digest()
    assert same == digest(traces="synthetic(count=9)"), "whatever other traces there are"
    others = [
        digest(trace=1),
        digest(video="synthetic(seed=1)"),
        digest(rebuffer_penalty=6.0),
        digest(qoe="log"),
        digest(rtt_ms=100.0),
        digest(buffer_cap_s=30.0),
        digest(start="first"),
        digest(preset="pensieve"),
    ]
    assert len({same, *others}) == 1 + len(others)


def test_installed_sets_are_played_and_those_that_are_not_are_named():
    if not all(datasets.installed(INSTALLED_SPLITS[name]) for name in SETS["test"]):
        pytest.skip("needs the data sets of the suite")
    built = WORLDS.build("test", 3)
    cells = [cell for batch in built.batches for cell in batch.cells]
    assert len(cells) == 30 and built.notes == ()
    assert {cell.parts["ladder"] for cell in cells} == set(LADDERS)
    assert {(c.parts["ladder"], c.parts["penalty"]) for c in cells} == {
        ("video1", "4.3"),  # the highest level of video1 is one of 4.3 Mbit/s
        ("bbb", "4.3"),
        ("bbb", "6"),
        ("synthetic-4k", "4.3"),
        ("synthetic-4k", "35"),
    }
    for batch in built.batches:
        joined = batch.options["traces"]
        for cell in batch.cells:
            whole = load_traces(cell.options["traces"])
            for number, start in zip(cell.numbers, cell.starts, strict=True):
                assert np.array_equal(whole.trace(number), joined.trace(start["trace"]))
                assert whole.start_pointer[number] == joined.start_pointer[start["trace"]]
