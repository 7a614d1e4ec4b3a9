"""Previous viewers: whose paths are shown, at which instants, and the heat maps drawn from them."""

import numpy as np
import pytest

from netenvs.vp import heat_maps
from netenvs.vp.previous_viewers import PreviousViewers, nearest_samples, playback_index
from netenvs.vp.recordings import Recordings, Split

VIDEOS, TRAIN, VALID, TEST = (1, 2, 3), (5, 3, 8), (4,), (6, 7)
SAMPLES = 40


def make(
    videos=VIDEOS, users=TRAIN + VALID + TEST, train=TRAIN, change=lambda video, user, time_s, angles: (time_s, angles)
):
    """Everyone watches every video; ``change`` returns the recording of one viewer as it is to be."""
    rng = np.random.default_rng(0)
    recordings = []
    for video in sorted(videos):
        for user in sorted(users):
            steps = rng.normal(0, 5, (SAMPLES, 3))
            angles = np.cumsum(steps, axis=0) * (1, 0.5, 1) + (0, 0, rng.uniform(-180, 180))
            angles = ((angles + 180) % 360 - 180).astype(np.float32)
            time_s, angles = change(video, user, np.arange(SAMPLES) / 5, angles)
            recordings.append((video, user, time_s, angles.astype(np.float32)))
    return Recordings(
        name="made",
        offset=np.cumsum([0] + [len(r[2]) for r in recordings]),
        angles_deg=np.concatenate([r[3] for r in recordings]),
        time_s=np.concatenate([r[2] for r in recordings]),
        video=np.array([r[0] for r in recordings], dtype=np.int32),
        user=np.array([r[1] for r in recordings], dtype=np.int32),
        splits={"train": Split((1,), train), "valid": Split((2,), VALID), "test": Split((3,), TEST)},
    )


def path_of(recordings, video, user):
    number = int(np.flatnonzero((recordings.video == video) & (recordings.user == user))[0])
    return recordings.angles_deg[recordings.offset[number] : recordings.offset[number + 1]]


# --- paths ---


def test_paths_around_an_instant():
    recordings = make()
    viewers = PreviousViewers(recordings)
    assert viewers.users.tolist() == list(TRAIN) and len(viewers) == 3
    angles, present = viewers.paths(video=3, index=12, before=4, after=6)
    assert angles.shape == (3, 10, 3) and angles.dtype == np.float32 and present.all()
    for row, user in enumerate(TRAIN):
        assert np.array_equal(angles[row], path_of(recordings, 3, user)[9:19]), "the last observed sample is number 12"


def test_many_windows_are_the_single_ones():
    viewers = PreviousViewers(make())
    video, index, own = np.array([3, 1, 3, 2]), np.array([2, 30, 39, 11]), np.array([6, 3, 5, 9])
    angles, present = viewers.paths(video, index, 5, 7, exclude_users=own)
    maps = viewers.heat_maps(video, index, 4, exclude_user=own)
    assert angles.shape == (4, 3, 12, 3) and present.shape == (4, 3, 12) and maps.shape == (4, 4, 18, 36)
    for i in range(4):
        one = viewers.paths(video[i], index[i], 5, 7, exclude_users=own[i])
        assert np.array_equal(one.angles_deg, angles[i]) and np.array_equal(one.present, present[i])
        assert np.array_equal(viewers.heat_maps(video[i], index[i], 4, exclude_user=own[i]), maps[i])
    assert viewers.paths(np.array([], dtype=int), np.array([], dtype=int), 5, 7).present.shape == (0, 3, 12)


def test_instants_outside_the_video_are_missing():
    viewers = PreviousViewers(make())
    angles, present = viewers.paths(2, 1, before=4, after=0)
    assert present[0].tolist() == [False, False, True, True] and not angles[:, :2].any()
    angles, present = viewers.paths(2, SAMPLES - 2, before=1, after=3)
    assert present[0].tolist() == [True, True, False, False] and not angles[:, 2:].any()
    maps = viewers.heat_maps(2, SAMPLES - 1, 3)
    assert maps[0].max() == 1 and not maps[1:].any()


def test_the_own_path_is_left_out():
    viewers = PreviousViewers(make())
    angles, present = viewers.paths(2, 20, 3, 3, exclude_users=TRAIN[1])
    assert present.all(axis=1).tolist() == [True, False, True] and not present[1].any() and not angles[1].any()
    for other in (TEST[0], VALID[0], 99, -1):
        assert viewers.paths(2, 20, 3, 3, exclude_users=other).present.all(), "they are no previous viewers"


def test_users_outside_the_training_split_never_enter():
    """Whatever the others do, previous viewers stay the same to the bit."""

    def elsewhere(video, user, time_s, angles):
        return (time_s, angles) if user in TRAIN else (time_s * 0.5 + 1, angles * 0 + 77)

    viewers, altered = PreviousViewers(make()), PreviousViewers(make(change=elsewhere))
    alone = PreviousViewers(_only(make(), TRAIN))
    for video in VIDEOS:
        paths, maps = viewers.paths(video, SAMPLES, SAMPLES + 1, 0), viewers.heat_maps(video, 0, SAMPLES)
        for same in (altered, alone):
            assert np.array_equal(same.paths(video, SAMPLES, SAMPLES + 1, 0).angles_deg, paths.angles_deg)
            assert np.array_equal(same.heat_maps(video, 0, SAMPLES), maps)
    assert not set(viewers.users.tolist()) & {*VALID, *TEST}


def _only(recordings, users):
    """The recordings of ``users``."""
    kept = np.flatnonzero(np.isin(recordings.user, users))
    samples = np.concatenate([np.arange(*recordings.offset[i : i + 2]) for i in kept])
    return Recordings(
        "some",
        np.cumsum([0] + [recordings.offset[i + 1] - recordings.offset[i] for i in kept]),
        recordings.angles_deg[samples],
        recordings.time_s[samples],
        recordings.video[kept],
        recordings.user[kept],
        {"train": Split((1,), users), "valid": Split((), ()), "test": Split((), ())},
    )


def test_gaps_are_missing():
    def pause(video, user, time_s, angles):
        if user == 3:  # no sample from 2.0 to 4.0 s
            kept = (time_s <= 2.0) | (time_s >= 4.0)
            return time_s[kept], angles[kept]
        return time_s, angles

    recordings = make(change=pause)
    angles, present = PreviousViewers(recordings).paths(1, 39, 40, 0)
    row = TRAIN.index(3)
    assert np.flatnonzero(~present[row]).tolist() == [12, 13, 14, 15, 16, 17, 18], "2.2 and 3.8 s are close enough"
    assert not angles[row, 12:19].any()
    assert np.array_equal(angles[row, 11], path_of(recordings, 1, 3)[10]), "2.2 s: the sample at 2.0 s"
    assert np.array_equal(angles[row, 19], path_of(recordings, 1, 3)[11]), "3.8 s: the sample at 4.0 s"
    assert present[[i for i in range(3) if i != row]].all()
    maps = PreviousViewers(recordings).heat_maps(1, 14, 1, exclude_user=5)
    alone = np.zeros((1, 18, 36), np.float32)
    heat_maps.add_heat(path_of(recordings, 1, 8)[14:15], np.array([True]), np.float32(1), alone)
    assert np.allclose(maps, alone / alone.max(), atol=1e-6), "two viewers present less the own one"


def test_viewers_without_a_recording_are_missing():
    recordings = _only(make(), (5, 8, 6))
    recordings = Recordings(**{**vars(recordings), "splits": {"train": Split((1,), TRAIN)}})
    present = PreviousViewers(recordings).paths(1, 5, 2, 2).present
    assert present.all(axis=1).tolist() == [True, False, True]
    nobody = Recordings(**{**vars(recordings), "splits": {"train": Split((1,), (3,))}})
    assert not PreviousViewers(nobody).paths(1, 0, 1, 1).present.any()
    assert not PreviousViewers(nobody).heat_maps(1, 0, 3).any()


def test_nearest_samples():
    assert nearest_samples(np.array([0.0, 0.21, 0.9]), np.arange(7) / 5).tolist() == [0, 1, 1, 2, 2, 2, 2]
    assert nearest_samples(np.array([0.0, 0.4]), np.array([0.2])).tolist() == [0], "the earlier of two"
    assert nearest_samples(np.array([0.5]), np.array([0.0, 0.2, 0.8, 1.0])).tolist() == [-1, 0, 0, -1]
    assert nearest_samples(np.array([0.4, 0.0, 0.2]), np.arange(3) / 5).tolist() == [1, 2, 0], "clocks step back"
    assert playback_index([0.0, 0.21, 0.29, 59.8]).tolist() == [0, 1, 1, 299]


# --- heat maps ---


def test_a_heat_map_is_the_gaussian_of_great_circle_distances():
    recordings = make()
    maps = PreviousViewers(recordings).heat_maps(2, 7, 2)
    assert maps.dtype == np.float32 and maps.shape == (2, 18, 36)

    def directions(pitch, yaw):
        pitch, yaw = np.radians(np.broadcast_arrays(pitch, yaw))
        return np.stack([np.cos(pitch) * np.sin(yaw), np.sin(pitch), np.cos(pitch) * np.cos(yaw)], axis=-1)

    cells = directions((-85 + 10 * np.arange(18))[:, None], -175 + 10 * np.arange(36))
    for instant in range(2):
        expected = np.zeros((18, 36))
        for user in TRAIN:
            _, pitch, yaw = path_of(recordings, 2, user)[7 + instant].astype(float)
            distance = np.arccos(np.clip(cells @ directions(pitch, yaw), -1, 1))
            expected += np.exp(-(distance**2) / (2 * 0.1**2)) / len(TRAIN)
        assert np.allclose(maps[instant], expected / expected.max(), atol=2e-7)


@pytest.mark.parametrize(("pitch", "yaw"), [(0, 180), (2, -179.9), (-90, 0), (89, 100)])
def test_seam_and_poles(pitch, yaw):
    maps = np.zeros((1, 18, 36), np.float32)
    heat_maps.add_heat(np.array([[0, pitch, yaw]], np.float32), np.array([True]), np.float32(1), maps)
    if abs(pitch) < 45:
        assert np.allclose(maps[0, :, 0], maps[0, :, -1], rtol=0.2) and maps[0, 8:10, 0].max() > 0.4
        assert maps[0, :, 10:26].max() == 0
    else:
        row = maps[0, 0 if pitch < 0 else -1]
        assert row.min() > 0.3 and not maps[0, 5:13].any(), "all yaws are near the pole"
    assert maps.max() <= 1


def test_leaving_a_viewer_out_is_the_map_without_them():
    recordings = make()
    viewers = PreviousViewers(recordings)
    for user in TRAIN:
        without = PreviousViewers(make(train=tuple(other for other in TRAIN if other != user)))
        for video in VIDEOS:
            given = viewers.heat_maps(video, 0, SAMPLES, exclude_user=user)
            assert np.allclose(given, without.heat_maps(video, 0, SAMPLES), atol=1e-6)
            assert not np.allclose(given, viewers.heat_maps(video, 0, SAMPLES), atol=1e-2), "they did count"
    assert np.array_equal(viewers.heat_maps(2, 0, 9, exclude_user=TEST[0]), viewers.heat_maps(2, 0, 9))


def test_a_single_viewer_left_out_leaves_nothing():
    viewers = PreviousViewers(make(train=(3,)))
    assert viewers.heat_maps(1, 0, 5).max() == 1
    assert not viewers.heat_maps(1, 0, 5, exclude_user=3).any()


def test_maps_and_paths_given_out_can_be_written_to():
    viewers = PreviousViewers(make())
    before = viewers.heat_maps(1, 0, 5), viewers.paths(1, 5, 2, 2)
    viewers.heat_maps(1, 0, 5)[:] = 7
    viewers.heat_maps(1, 0, 5, exclude_user=3)[:] = 7
    viewers.paths(1, 5, 2, 2).angles_deg[:] = 7
    assert np.array_equal(viewers.heat_maps(1, 0, 5), before[0])
    assert np.array_equal(viewers.paths(1, 5, 2, 2).angles_deg, before[1].angles_deg)


# --- what goes wrong ---


def test_errors_are_one_line():
    viewers = PreviousViewers(make())
    for call in (lambda: viewers.paths(9, 0, 1, 1), lambda: viewers.heat_maps(np.array([1, 9]), np.zeros(2, int), 1)):
        with pytest.raises(ValueError, match=r"^data set 'made' has no video 9; it has 1, 2, 3$"):
            call()
    with pytest.raises(ValueError, match="0 or more instants, not -1 and 2"):
        viewers.paths(1, 0, -1, 2)
    with pytest.raises(ValueError, match="0 or more instants, not -3"):
        viewers.heat_maps(1, 0, -3)
    with pytest.raises(ValueError, match=r"not \(2, 2\)"):
        viewers.paths(1, np.zeros((2, 2), int), 1, 1)
    nobody = Recordings(**{**vars(make()), "splits": {"test": Split((1,), (6,))}})
    with pytest.raises(ValueError, match="data set 'made' has no training users: there are no previous viewers"):
        PreviousViewers(nobody)
