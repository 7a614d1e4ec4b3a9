"""Windows against a plain loop, on recordings made by hand."""

import copy
import pickle
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netenvs.vp.recordings import (
    MAX_GAP_S,
    Recordings,
    Split,
    find_recording,
    pack_recordings,
    recordings_of,
    windows,
)

NOBODY = Split((), ())


def recording(samples, seed=0, step_s=0.2):
    angles = np.random.default_rng([samples, seed]).uniform(-90, 90, (samples, 3)).astype(np.float32)
    return np.arange(samples) * step_s, angles


def of_lengths(lengths, splits):
    """(video, user) -> number of samples."""
    return pack_recordings("by hand", {key: recording(n, seed=key) for key, n in lengths.items()}, splits)


def plain_windows(recordings, split, history, horizon, step, trim_head, trim_tail):
    """As published: one loop inside the other."""
    for video in recordings.splits[split].videos:
        for user in recordings.splits[split].users:
            for number in range(len(recordings)):
                if (recordings.video[number], recordings.user[number]) == (video, user):
                    begin, end = recordings.offset[number], recordings.offset[number + 1]
                    angles, time_s = recordings.angles_deg[begin:end], recordings.time_s[begin:end]
                    for t in range(trim_head, len(angles) - trim_tail, step):
                        steps = np.diff(time_s[t - history : t + horizon])
                        yield (
                            *(angles[t - history : t], angles[t : t + horizon]),
                            *(number, t, video, user, time_s[t - 1]),
                            bool(((steps > 0) & (steps <= MAX_GAP_S)).all()),
                        )


def assert_as_plain(recordings, split, **options):
    cut = windows(recordings, split, **options)
    expected = list(plain_windows(recordings, split, **options))
    for field, column in zip(cut, zip(*expected, strict=True), strict=True) if expected else ():
        np.testing.assert_array_equal(field, np.array(column))
    assert {len(field) for field in cut} == {len(expected)}
    return len(expected)


SHORT = {"history": 3, "horizon": 2, "step": 4, "trim_head": 5, "trim_tail": 3}


def test_windows_come_in_the_order_of_the_lists_and_pairs_that_were_not_recorded_are_passed_over():
    lengths = {(1, 1): 20, (1, 2): 17, (2, 1): 8, (2, 2): 9, (7, 2): 40, (7, 3): 30}
    recordings = of_lengths(lengths, {"test": Split((7, 1, 2), (3, 2, 1)), "train": NOBODY})
    assert recordings_of(recordings, "test").tolist() == [5, 4, 1, 0, 3, 2]
    assert assert_as_plain(recordings, "test", **SHORT) == 6 + 8 + 3 + 3 + 1 + 0  # ceil((30 - 8) / 4), ...
    cut = windows(recordings, "test", **SHORT)
    assert cut.video.tolist() == [7] * 14 + [1] * 6 + [2]
    assert cut.sample[:6].tolist() == [5, 9, 13, 17, 21, 25]
    assert windows(recordings, "train", **SHORT).future.shape == (0, 2, 3)


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.dictionaries(st.tuples(st.integers(1, 3), st.integers(1, 3)), st.integers(1, 30), min_size=1),
    videos=st.permutations([1, 2, 3, 9]),
    users=st.permutations([3, 2, 1]),
    history=st.integers(1, 4),
    horizon=st.integers(1, 4),
    step=st.integers(1, 6),
    more=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    broken=st.lists(st.tuples(st.integers(0, 200), st.sampled_from([-0.5, 0.0, 0.59, 0.61, 5.0])), max_size=5),
)
def test_windows_equal_a_plain_loop(lengths, videos, users, history, horizon, step, more, broken):
    made = {key: recording(n, seed=key) for key, n in lengths.items()}
    for place, pause_s in broken:
        time_s = list(made.values())[place % len(made)][0]
        i = place % len(time_s)
        time_s[i:] += pause_s - 0.2
    recordings = pack_recordings("random", made, {"test": Split(tuple(videos), tuple(users))})
    trims = {"trim_head": history + more[0], "trim_tail": horizon + more[1]}
    assert_as_plain(recordings, "test", history=history, horizon=horizon, step=step, **trims)


@pytest.mark.parametrize(("pause_s", "valid"), [(0.2, True), (0.6, True), (0.601, False), (0.0, False), (-0.3, False)])
def test_a_pause_too_long_or_backwards_marks_the_windows_around_it(pause_s, valid):
    time_s, angles = recording(12)
    time_s[6:] += pause_s - 0.2  # between samples 5 and 6
    recordings = pack_recordings("gap", {(1, 1): (time_s.round(6), angles)}, {"test": Split((1,), (1,))})
    cut = windows(recordings, "test", history=2, horizon=2, step=1, trim_head=2, trim_tail=2)
    assert cut.sample.tolist() == [2, 3, 4, 5, 6, 7, 8, 9]  # of the first future sample
    assert cut.valid.tolist() == [True, True, True, valid, valid, valid, True, True]


def test_steps_between_recordings_do_not_count_as_gaps():
    recordings = of_lengths({(1, 1): 8, (1, 2): 8}, {"test": Split((1,), (1, 2))})
    cut = windows(recordings, "test", history=4, horizon=1, step=1, trim_head=4, trim_tail=1)
    assert cut.sample.tolist() == [4, 5, 6, 4, 5, 6]
    assert cut.valid.all()


def test_defaults_are_the_published_constants():
    recordings = of_lengths({(1, 1): 300}, {"test": Split((1,), (1,))})
    cut = windows(recordings, "test")
    assert cut.history.shape == (14, 10, 3)
    assert cut.future.shape == (14, 20, 3)
    assert cut.sample.tolist() == list(range(30, 240, 15))
    assert windows(recordings, "test", history=30, horizon=60).sample.tolist() == cut.sample.tolist()


def test_windows_are_copies_and_recordings_cannot_be_changed():
    recordings = of_lengths({(1, 1): 20}, {"test": Split((1,), (1,))})
    windows(recordings, "test", **SHORT).history[:] = 0
    assert recordings.angles_deg.any()
    for name in ("offset", "angles_deg", "time_s", "video", "user"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(recordings, name)[0] = 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tset"}, "unknown split 'tset'; did you mean 'test'"),
        ({"history": 31}, r"trim_head \(30 samples\) must be at least history \(31\)"),
        ({"horizon": 61}, r"trim_tail \(60 samples\) must be at least horizon \(61\)"),
        ({"step": 0}, "step must be a whole number"),
        ({"history": 0}, "history must be a whole number"),
        ({"horizon": 2.5}, "horizon must be a whole number"),
        ({"trim_tail": True}, "trim_tail must be a whole number"),
    ],
)
def test_impossible_windows_are_one_line(options, message):
    recordings = of_lengths({(1, 1): 200}, {"test": Split((1,), (1,))})
    with pytest.raises(ValueError, match=message) as caught:
        windows(recordings, **{"split": "test", **options})
    assert "\n" not in str(caught.value)


def test_finding_a_recording():
    recordings = of_lengths({(1, 5): 4, (3, 2): 4, (3, 5): 4}, {"test": NOBODY})
    assert [find_recording(recordings, *key) for key in ((1, 5), (3, 2), (3, 5))] == [0, 1, 2]
    with pytest.raises(ValueError, match="no recording of video 1 by user 2; users are numbered 2 to 5"):
        find_recording(recordings, 1, 2)
    with pytest.raises(ValueError, match="no recording of video 2 by user 5; videos are numbered 1 to 3"):
        find_recording(recordings, 2, 5)


def test_recordings_are_pickled_and_never_copied():
    recordings = of_lengths({(1, 5): 4, (3, 2): 4}, MappingProxyType({"test": Split((1, 3), (5,))}))
    assert copy.deepcopy(recordings) is recordings
    again = pickle.loads(pickle.dumps(recordings))
    assert again == recordings
    assert again.splits == {"test": ((1, 3), (5,))}
    assert of_lengths({(1, 5): 5, (3, 2): 4}, {}) != recordings


def test_nothing_to_pack():
    with pytest.raises(ValueError, match="nothing: there is no recording"):
        pack_recordings("nothing", {}, {})


@pytest.mark.parametrize("number", [[], "1", 1.5, True, -1, 2**40])
def test_a_split_of_what_is_no_number_is_refused(number):
    one = {"offset": [0, 1], "angles_deg": np.zeros((1, 3), np.float32), "time_s": [0.0], "video": [1], "user": [1]}
    with pytest.raises(ValueError, match="splits: test lists"):
        Recordings(name="r", splits={"test": Split((number,), (1,))}, **{k: np.array(v) for k, v in one.items()})
