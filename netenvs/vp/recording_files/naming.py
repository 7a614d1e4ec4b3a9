"""Which user watched which video: numbers, by the paths of the files or by names in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from netenvs.readers.reader import OptionError
from netenvs.readers.reading import Reading
from netenvs.vp.recording_files.recorded import Recorded

VIDEO_USER, USER_VIDEO = "video/user", "user/video"
"""What the name of the folder and that of the file say."""
LARGEST = 2**31 - 1
MOST_TOLD = 20
"""Of more names a note tells the first ones and the last."""

_ID = r"(?:[-_ ]*\(?\d[0-9a-z-]*|[-_ ]+\(?[a-z][0-9a-z-]*)"
_USER = re.compile(f"(?:user|uid|subject|participant|observer|viewer){_ID}", re.IGNORECASE)
_VIDEO = re.compile(f"(?:video|clip|movie|stimulus){_ID}", re.IGNORECASE)
_SUFFIXES = re.compile(r"(\.(csv|tsv|txt|dat|log|gz|bz2|xz|zst))+$", re.IGNORECASE)


class Names(NamedTuple):
    """Of one recording."""

    video: str
    user: str


def numbered(records: Sequence[Recorded], layout: str, reading: Reading) -> dict[tuple[int, int], Recorded]:
    """(video, user) -> recording, in ascending order.

    The last number in a name is taken where every name has one and none stands for two; else videos or users are
    numbered from 1 in the order of their names, with a note that says which is which, of many the first. A second
    recording of a pair is left out.

    Arguments:
        records: of all files.
        layout: ``VIDEO_USER`` or ``USER_VIDEO``; empty: by words in the names (``user``, ``video``), else by format.
        reading: for notes, and what is left out.
    """
    names = _names(records, layout, reading.where)
    video_names, user_names = (sorted(set(of), key=_natural) for of in zip(*names, strict=True))
    watched = {user: {name.video for name in names if name.user == user} for user in user_names}
    videos = _numbers({video: {""} for video in video_names}) or _in_order(video_names, "videos", reading)
    users = _numbers(watched) or _in_order(user_names, "users", reading)
    found: dict[tuple[int, int], Recorded] = {}
    for name, record in zip(names, records, strict=True):
        key = videos[name.video], users[name.user]
        if key in found:
            detail = f"video {key[0]}, user {key[1]}: {found[key].where}"
            reading.skip("recordings", "there is one of that video and user already", record.where, detail)
        else:
            found[key] = record
    return dict(sorted(found.items()))


def _names(records: Sequence[Recorded], layout: str, where: str) -> list[Names]:
    if layout not in ("", VIDEO_USER, USER_VIDEO):
        raise OptionError(f"{where}: layout must be {VIDEO_USER} or {USER_VIDEO}, not {layout!r}")
    files = {record.parts for record in records}
    if len(files) == 1 and len(records[0].parts) == 1:
        return [Names(record.video or "1", record.user or "1") for record in records]
    telling = _telling(files)
    one_folder = len({parts[:-1] for parts in files}) == 1
    stem_has_both = one_folder and len({_without_user(parts[-1]) for parts in telling.values()}) > 1
    return [_name(record, telling[record.parts], layout, stem_has_both) for record in records]


def _telling(files: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The parts of each path that may say something: folders, and the name of the file without suffixes.

    Folders above all files tell nothing, unless they are called like a user or a video, or there is no other folder;
    nor does a name without a number that all files have in two folders or more each.
    """
    folders = [parts[:-1] for parts in files]
    depth = 0
    if len(set(folders)) > 1:
        while all(len(of) > depth for of in folders) and len({of[depth] for of in folders}) == 1:
            depth += 1
    stems = {_stem(parts) for parts in files}
    stem_tells = len(stems) > 1 or any(character.isdigit() for character in next(iter(stems)))
    found = {}
    for parts in files:
        kept = [at for at, part in enumerate(parts[:-1]) if at >= depth or _USER.search(part) or _VIDEO.search(part)]
        telling = [parts[at] for at in kept]
        found[parts] = tuple([*telling, _stem(parts)] if stem_tells or len(telling) < 2 else telling)
    return found


def _name(record: Recorded, parts: tuple[str, ...], layout: str, stem_has_both: bool) -> Names:
    path = _by_words(parts, stem_has_both) if not layout else None
    if path is None:
        path = _by_place(parts, layout == USER_VIDEO if layout else record.user_first)
    if record.user is not None and record.video is None:
        path = Names(next((part for part in parts if _VIDEO.search(part)), parts[-1]), "")
    given = (record.video, record.user)
    return Names(*(of_file if of_file is not None else of_path for of_file, of_path in zip(given, path, strict=True)))


def _by_words(parts: tuple[str, ...], stem_has_both: bool) -> Names | None:
    """By the words ``user`` and ``video`` and their like; None where neither stands in the path."""
    stem = parts[-1]
    in_stem = _USER.search(stem)
    if in_stem and (_VIDEO.search(_without_user(stem)) or stem_has_both or len(parts) == 1):
        return Names(_without_user(stem), in_stem[0])
    user = next((at for at, part in enumerate(parts) if _USER.search(part)), None)
    video = next((at for at, part in enumerate(parts) if at != user and _VIDEO.search(part)), None)
    if user is not None and video is not None:
        return Names(parts[video], parts[user])
    if user is not None:
        before, after = parts[:user], parts[user + 1 :]
        return Names("/".join([*before, *after[-1:]]) if after else before[0] if before else "", parts[user])
    if video is None:
        return None
    if video < len(parts) - 1:
        return Names(parts[video], parts[-1])
    return Names("/".join([*parts[:-2], stem]), parts[-2] if len(parts) > 1 else "1")


def _by_place(parts: tuple[str, ...], user_first: bool) -> Names:
    if len(parts) == 1:
        return Names(parts[0], "1") if user_first else Names("", parts[0])
    folder = parts[-2] if user_first else parts[0]
    own = parts[-1].removeprefix(folder).strip("-_ ") or parts[-1]  # of ILEBGM/ILEBGM_12 it is 12
    return Names("/".join([*parts[:-2], own]), folder) if user_first else Names(folder, own)


def _without_user(stem: str) -> str:
    return re.sub(r"[-_ ]+", "_", _USER.sub("", stem)).strip("_")


def _stem(parts: tuple[str, ...]) -> str:
    return _SUFFIXES.sub("", parts[-1]) or parts[-1]


def _numbers(names: Mapping[str, set[str]]) -> dict[str, int]:
    """Name -> the last number in it; empty where one has none, or two have the same in the same place."""
    found, taken = {}, dict[tuple[int, str], str]()
    for name, places in names.items():
        digits = re.findall(r"\d+", name)
        if not digits or len(digits[-1]) > 10 or int(digits[-1]) > LARGEST:
            return {}
        found[name] = int(digits[-1])
        if any(taken.setdefault((found[name], place), name) != name for place in places):
            return {}
    return found


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sorts 2 before 10."""
    parts = re.split(r"(\d+)", name)
    return [
        (0, int(part), "") if part.isdecimal() and len(part) < 20 else (1, 0, part.lower()) for part in parts if part
    ]


def _in_order(names: Sequence[str], kind: str, reading: Reading) -> dict[str, int]:
    numbers = {name: number for number, name in enumerate(names, start=1)}
    if list(names) == [""]:
        reading.note("the files lie in no folder of a video: they are taken for users of video 1; layout=user/video")
    else:
        told = [f"{number} {name}" for name, number in numbers.items()]
        table = ", ".join(told if len(told) <= MOST_TOLD else [*told[: MOST_TOLD - 2], "...", told[-1]])
        reading.note(f"{kind} are numbered in the order of their names: {table}")
    return numbers
