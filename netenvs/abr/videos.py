"""``load_video`` and ``load_videos``: videos by name or path; ``read_videos``: those of files, and what became of them.

Everything wrong with a file is found here, with its name and remedy.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from netenvs import datasets
from netenvs.abr import generators
from netenvs.abr.installed import INSTALLED_VIDEOS
from netenvs.abr.records import Video
from netenvs.abr.video_files import READERS, group
from netenvs.abr.video_files.json_manifest import make_video, parse
from netenvs.readers.reader import AUTO, find_path, read_input
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source
from netenvs.spec import parse_spec, unknown_name


def load_video(spec: str | Video, *, strict: bool = False, **options: Any) -> Video:
    """The one video of :func:`load_videos`; ``ValueError`` where there are several."""
    videos = load_videos(spec, strict=strict, **options)
    if len(videos) > 1:
        raise ValueError(f"video {spec!r}: it has {len(videos)} videos, and one is wanted here; give the file of one")
    return videos[0]


def load_videos(
    spec: str | Video | Sequence[str | Video], *, strict: bool = False, **options: Any
) -> tuple[Video, ...]:
    """The videos called ``spec``, or those of several specs in their order; a video is itself.

    * ``synthetic`` and ``synthetic-4k`` (option ``seed``), and ``generated`` (``seed``, ``levels``): generated, see
      ``netenvs.abr.generators``; options in brackets, ``generated(levels=10)``;
    * ``video1``, ``video2`` and ``bbb``, once their data sets are installed;
    * a file, a folder or an archive, whose format is recognised, or named in front of brackets:
      ``video-sizes(path=FOLDER,bitrates_kbps=[300,750])``, ``sabre(path=FILE)``; the formats and their options are in
      ``netenvs.abr.video_files``. A folder of files ``video_size_*`` is one video, one of several manifests or of
      several such folders has several. A name above wins over a file of that name, ``./video1`` is the file.

    Arguments:
        spec: see above.
        strict: of folders: whether a file that cannot be used is an error; else it is left out, with one warning for
            all of them.
        options: of the format of files, the same that stand in brackets.

    Raises:
        ValueError: One line, with file and remedy, for bad files, options and unknown names.
    """
    if isinstance(spec, Video):
        _refuse_options(f"video {spec.name}", strict, options)
        return (spec,)
    if isinstance(spec, list | tuple):
        if not spec:
            raise ValueError("video: the list is empty; name one or more")
        return tuple(video for one in spec for video in load_videos(one, strict=strict, **options))
    if not isinstance(spec, str):
        raise ValueError(f"video must be a name, a path, a Video or a list of these, not {type(spec).__name__}")
    found = find_path(spec, READERS, [*generators.VIDEOS, *INSTALLED_VIDEOS])
    if found is not None:
        format, path, in_brackets = found
        videos, reading = read_videos(
            path, format, **{**in_brackets, **({"strict": strict} if strict else {}), **options}
        )
        reading.warn()
        return tuple(videos)
    _refuse_options(f"video {spec!r}", strict, options)
    return (_named(spec),)


def read_videos(
    path: str | os.PathLike[str], format: str = AUTO, strict: bool = False, **options: Any
) -> tuple[list[Video], Reading]:
    """The videos of a file, folder or archive, in the order of the files' names, and what became of it, unsaid.

    Arguments:
        path: of the input.
        format: name of a reader of :data:`netenvs.abr.video_files.READERS`, or ``auto``.
        strict: see :func:`load_videos`.
        options: of the format.

    Raises:
        ValueError: One line, with file and remedy.
    """
    videos, reading = read_input(path, READERS, "a video", format, strict, group=group, **options)
    kept: list[Video] = []
    for video in videos:
        same = next((one for one in kept if np.array_equal(one.chunk_sizes, video.chunk_sizes)), None)
        if same is None:
            kept.append(video)
        else:
            reading.note("of manifests with the same segments one is kept", f"{same.name}, not {video.name}")
    reading.records["videos"] += len(kept)
    return kept, reading


def _named(spec: str) -> Video:
    """A generated or installed video."""
    name, options = parse_spec(spec)
    if name in generators.VIDEOS:
        made = generators.call("video", generators.VIDEOS[name], spec, options)
        return make_video({"name": spec, **made}, spec)
    if spec in INSTALLED_VIDEOS:
        with datasets.reading(INSTALLED_VIDEOS[spec]) as folder:
            path = folder / f"{spec}.json"
            return make_video(parse(Source(str(path), (path.name,), lambda: path.open("rb"))), str(path))
    if "/" in spec or spec.endswith((".json", ".mpd", ".m3u8")):
        raise ValueError(f"video {spec!r}: no such file or folder")
    raise ValueError(unknown_name("video", spec, [*generators.VIDEOS, *INSTALLED_VIDEOS]) + ", or a file or folder")


def _refuse_options(where: str, strict: bool, options: dict[str, Any]) -> None:
    given = [*(["strict"] if strict else []), *options]
    if given:
        raise ValueError(f"{where}: {given[0]} is an option of files; options of a name stand in its brackets")
