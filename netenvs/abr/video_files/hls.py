"""HLS: a master playlist, whose media playlists name the segments; their sizes are those of the files.

Format: RFC 8216. ``#EXT-X-STREAM-INF`` has a level's bitrate, ``AVERAGE-BANDWIDTH`` where all levels have it, else
``BANDWIDTH``, both in bit/s; ``#EXTINF`` a segment's duration, ``#EXT-X-BYTERANGE`` the size of one that is a part of a
file. Sections for initialisation (``#EXT-X-MAP``) are not counted.
"""

from __future__ import annotations

import re
from pathlib import Path

from netenvs.abr.records import Video
from netenvs.abr.video_files.ladder import MAX_LEVELS, Level, make_video, typical_duration
from netenvs.abr.video_files.segments import MAX_SEGMENTS, Segment, join, locate, manifest_folder, measure
from netenvs.files import is_file
from netenvs.readers.errors import InputError
from netenvs.readers.reader import Reader
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source, list_sources

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')


def is_playlist(source: Source) -> bool:
    """Whether a file is an HLS playlist of either kind."""
    return source.parts[-1].lower().endswith((".m3u8", ".m3u")) and sniff(source)


def is_master(source: Source) -> bool:
    """Whether a file is a playlist of playlists."""
    return is_playlist(source) and "#EXT-X-STREAM-INF" in source.head


def sniff(source: Source) -> bool:
    """Whether a file begins like a playlist."""
    return source.head.lstrip("\ufeff \r\n").startswith("#EXTM3U")


def read(source: Source, reading: Reading) -> list[Video]:
    """The one video of a master playlist, whose media playlists and segments lie below its folder."""
    folder = manifest_folder(source)
    streams = _streams(source, reading)
    if not streams:
        raise InputError(f"{source.name}: it has no levels (#EXT-X-STREAM-INF); give the master playlist")
    pictures = [stream for stream in streams if not _is_sound(stream[0])]
    if pictures and len(pictures) < len(streams):
        reading.note("levels of sound alone are left out", f"{source.name}: {len(streams) - len(pictures)}")
    streams = pictures or streams
    if len(streams) > MAX_LEVELS:
        raise InputError(f"{source.name}: {len(streams)} levels; more than {MAX_LEVELS} are no ladder")
    attribute = "AVERAGE-BANDWIDTH" if all("AVERAGE-BANDWIDTH" in found for found, _ in streams) else "BANDWIDTH"
    levels, durations = [], []
    for attributes, url in streams:
        if not re.fullmatch(r"\d{1,12}", attributes.get(attribute, "")):
            raise InputError(f"{source.name}: {attribute} of {url[:80]!r} is missing or no whole number; mend it")
        segments = _segments(folder, url, source.name, reading)
        levels.append(Level(int(attributes[attribute]) / 1000.0, measure(folder, segments, source.name)))
        durations.append(typical_duration(source.name, reading, [segment.duration_s for segment in segments]))
    duration = typical_duration(source.name, reading, [*durations, durations[-1]])
    return [make_video(source.name, reading, levels, duration, unit_option=False)]


def _streams(source: Source, reading: Reading) -> list[tuple[dict[str, str], str]]:
    """Attributes and address of each level; of those with the same address, such as for other sound, the first."""
    found: dict[str, dict[str, str]] = {}
    attributes: dict[str, str] | None = None
    for _, line in source.lines():
        line = line.strip()
        if line.startswith("#EXT-X-STREAM-INF:"):
            attributes = {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}
        elif line and not line.startswith("#") and attributes is not None:
            if found.setdefault(line, attributes).get("BANDWIDTH") != attributes.get("BANDWIDTH"):
                reading.note("of levels with the same playlist the first is kept", f"{source.name}: {line[:80]}")
            attributes = None
    return [(attributes, url) for url, attributes in found.items()]


def _is_sound(attributes: dict[str, str]) -> bool:
    codecs = [codec.strip() for codec in attributes.get("CODECS", "").split(",") if codec.strip()]
    sound = ("mp4a", "ac-3", "ec-3", "opus", "Opus", "fLaC", "flac")
    return "RESOLUTION" not in attributes and bool(codecs) and all(codec.startswith(sound) for codec in codecs)


def _segments(folder: Path, url: str, master: str, reading: Reading) -> list[Segment]:
    """The segments of a media playlist, addresses seen from the folder of the master playlist."""
    path = locate(folder, url, master)
    if not is_file(path):
        raise InputError(f"{master}: playlist {url[:80]!r} is not there; get it first")
    (source,) = list_sources(path)
    segments: list[Segment] = []
    duration, num_bytes, ended = None, None, False
    for number, line in source.lines():
        line = line.strip()
        if line.startswith("#EXTINF:"):
            duration = _seconds(line.partition(":")[2].partition(",")[0], f"{source.name}:{number}")
        elif line.startswith("#EXT-X-BYTERANGE:"):
            length = line.partition(":")[2].partition("@")[0].strip()
            if not re.fullmatch(r"\d{1,12}", length):
                raise InputError(f"{source.name}:{number}: {line[:60]!r} has no whole number of bytes; mend it")
            num_bytes = int(length)
        elif line.startswith("#EXT-X-ENDLIST"):
            ended = True
        elif line and not line.startswith("#"):
            if duration is None:
                raise InputError(f"{source.name}:{number}: a segment without #EXTINF before it; give a media playlist")
            segments.append(Segment(join(url.partition("?")[0], line), duration, num_bytes))
            duration, num_bytes = None, None
            if len(segments) > MAX_SEGMENTS:
                raise InputError(f"{source.name}: more than {MAX_SEGMENTS} segments; give a part of them")
    if not segments:
        raise InputError(f"{source.name}: there is no segment in it; get the whole playlist")
    if not ended:
        reading.note("a playlist without #EXT-X-ENDLIST is that of a live stream; what it lists is kept", source.name)
    return segments


def _seconds(text: str, where: str) -> float:
    if not re.fullmatch(r"\s*\d{1,9}(\.\d*)?\s*", text):
        raise InputError(f"{where}: {text[:40]!r} is not a duration in s; mend it")
    return float(text)


HLS = Reader(name="hls", title="an HLS master playlist with its segments on disk", sniff=sniff, read=read)
