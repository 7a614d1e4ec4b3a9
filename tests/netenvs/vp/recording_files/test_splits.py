"""Splits of one's own, and dealt ones."""

import json

import pytest
from head_motion import write_table

from netenvs.vp.recording_files.splits import deal_splits
from netenvs.vp.workload import load_recordings


def small(tmp_path, videos=(1,), users=(1, 2, 3, 4)):
    for video in videos:
        for user in users:
            write_table(tmp_path / f"video{video}" / f"user{user}.csv", [[0, 0, 0, 0], [0.2, 0, 0, 0]])
    return tmp_path


def test_splits_of_ones_own(tmp_path, recwarn):
    listed = {"train": {"videos": [1], "users": [3, 1]}, "test": {"videos": [2, 1], "users": [4]}}
    (small(tmp_path, videos=(1, 2)) / "splits.json").write_text(json.dumps(listed))
    splits = load_recordings(tmp_path).splits
    assert splits == {"train": ((1,), (3, 1)), "valid": ((), ()), "test": ((2, 1), (4,))}
    assert not recwarn.list


def test_splits_are_dealt_without_overlap_in_the_shares_of_jin2022(tmp_path):
    splits = deal_splits(range(1, 28), range(1, 85))
    assert [(len(split.videos), len(split.users)) for split in splits.values()] == [(15, 42), (6, 21), (6, 21)]
    for kind in (0, 1):
        dealt = [number for split in splits.values() for number in split[kind]]
        assert sorted(dealt) == list(range(1, 28 if kind == 0 else 85))
    assert deal_splits([5, 3, 9], [2, 8, 4]) == {"train": ((3,), (2,)), "valid": ((5,), (4,)), "test": ((9,), (8,))}
    assert load_recordings(small(tmp_path, (1, 2), (1, 2, 3))).splits["test"] == ((1, 2), (1, 2, 3))
    assert deal_splits([1, 2], [1, 2, 3])["train"] == ((), ())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not of the form"),
        ("[1]", "not of the form"),
        ("[" * 100_000, "not of the form"),
        ('{"test": [1, 2]}', "not of the form"),
        ('{"test": {"videos": [1]}}', "not of the form"),
        ('{"dev": {"videos": [1], "users": [1]}}', "unknown split 'dev'; known: train, valid, test"),
        ('{"test": {"videos": ["1"], "users": [1]}}', "test lists video '1'; write their numbers"),
        ('{"test": {"videos": [1], "users": [1, 2, 1]}}', "test lists user 1 twice"),
        (
            '{"train": {"videos": [1], "users": [1, 2]}, "test": {"videos": [1], "users": [2]}}',
            "user 2 is in train and in test; a user belongs to one split",
        ),
    ],
)
def test_splits_that_are_none(tmp_path, content, message):
    (small(tmp_path) / "splits.json").write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_recordings(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "splits.json"))
    assert "\n" not in str(caught.value)


def test_videos_and_users_without_a_recording(tmp_path):
    (small(tmp_path) / "splits.json").write_text('{"test": {"videos": [1, 2], "users": [9, 1, 8]}}')
    with pytest.warns(UserWarning, match="no recording") as caught:
        splits = load_recordings(tmp_path).splits
    assert splits["test"] == ((1,), (1,))
    assert [str(one.message).partition("splits.json: ")[2] for one in caught] == [
        "test lists 1 videos of which there is no recording: 2",
        "test lists 2 users of which there is no recording: 9, 8",
    ]
    with pytest.raises(ValueError, match=r"splits.json: test lists video 2, of which there is no recording"):
        load_recordings(tmp_path, strict=True)
