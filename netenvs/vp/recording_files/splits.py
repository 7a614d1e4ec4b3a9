"""Which videos and users are in which split: ``splits.json``, or dealt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from netenvs.errors import reason
from netenvs.readers.errors import InputError
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source
from netenvs.vp.recordings import Split

SPLITS_FILE = "splits.json"

SPLITS = ("train", "valid", "test")
_VIDEO_PATTERN = ("train", "valid", "test", "train", "train", "valid", "test", "train", "train")  # 5:2:2, as jin2022
_USER_PATTERN = ("train", "valid", "test", "train")  # 2:1:1, as jin2022


def deal_splits(videos: Sequence[int], users: Sequence[int]) -> dict[str, Split]:
    """Splits in about the shares of jin2022: videos 5:2:2, users 2:1:1, with none in two splits.

    Both are dealt in ascending order, so that the splits do not depend on anything else: videos to train, valid,
    test, train, train, valid, test, train, train and again; users to train, valid, test, train and again. With
    fewer than three videos or users, all are in ``test``.
    """
    if min(len(videos), len(users)) < 3:
        nobody = Split((), ())
        return {"train": nobody, "valid": nobody, "test": Split(tuple(videos), tuple(users))}
    return {
        name: Split(_dealt(sorted(videos), _VIDEO_PATTERN, name), _dealt(sorted(users), _USER_PATTERN, name))
        for name in SPLITS
    }


def _dealt(numbers: Sequence[int], pattern: Sequence[str], split: str) -> tuple[int, ...]:
    return tuple(number for i, number in enumerate(numbers) if pattern[i % len(pattern)] == split)


def read_splits(source: Source, videos: Sequence[int], users: Sequence[int], reading: Reading) -> dict[str, Split]:
    """``{"train": {"videos": [...], "users": [...]}, "valid": ..., "test": ...}``, each optional.

    Videos and users without a recording are left out, unless ``reading`` is strict. Raises :class:`InputError` for
    what has another form, an unknown split, and a number or a user listed twice.
    """
    name = source.name
    try:
        listed = json.loads(source.text())
        splits = {split: Split(tuple(of["videos"]), tuple(of["users"])) for split, of in listed.items()}
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        form = '{"test": {"videos": [3], "users": [1, 2]}}'
        raise InputError(f"{name}: not of the form {form} ({reason(error, 100)})") from None
    for split, of in splits.items():
        if split not in SPLITS:
            raise InputError(f"{name}: unknown split {split[:40]!r}; known: {', '.join(SPLITS)}")
        _check_listed(name, split, "video", of.videos)
        _check_listed(name, split, "user", of.users)
    for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
        if shared := set(_users(splits, one)) & set(_users(splits, other)):
            raise InputError(f"{name}: user {min(shared)} is in {one} and in {other}; a user belongs to one split")
    nobody = Split((), ())
    return {
        split: Split(
            _recorded(name, split, "video", splits.get(split, nobody).videos, videos, reading),
            _recorded(name, split, "user", splits.get(split, nobody).users, users, reading),
        )
        for split in SPLITS
    }


def _check_listed(name: str, split: str, kind: str, numbers: Sequence[int]) -> None:
    for i, number in enumerate(numbers):
        if isinstance(number, bool) or not isinstance(number, int):
            raise InputError(f"{name}: {split} lists {kind} {str(number)[:40]!r}; write their numbers")
        if number in numbers[:i]:
            raise InputError(f"{name}: {split} lists {kind} {number} twice")


def _recorded(
    name: str, split: str, kind: str, numbers: Sequence[int], known: Sequence[int], reading: Reading
) -> tuple[int, ...]:
    without = [number for number in numbers if number not in known]
    if without and reading.strict:
        raise InputError(f"{name}: {split} lists {kind} {without[0]}, of which there is no recording")
    if without:
        few = ", ".join(str(number) for number in without[:5]) + (", ..." if len(without) > 5 else "")
        reading.note(f"{name}: {split} lists {len(without)} {kind}s of which there is no recording: {few}")
    return tuple(number for number in numbers if number in known)


def _users(splits: Mapping[str, Split], name: str) -> tuple[int, ...]:
    return splits[name].users if name in splits else ()
