"""MPEG-DASH: a static MPD, whose segments lie on disk; their sizes are those of the files.

Format: ISO/IEC 23009-1. Addresses come from ``SegmentTemplate`` (``$Number$``, ``$Time$``, ``$RepresentationID$``,
``$Bandwidth$``, with ``SegmentTimeline`` or ``duration``) or ``SegmentList`` (``mediaRange`` too), below ``BaseURL``;
both are inherited from period and adaptation set. Of several adaptation sets with pictures, which are codecs or views,
the one with the most levels is read. Initialisation segments are not counted.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from typing import NamedTuple

from netenvs.abr.records import Video
from netenvs.abr.video_files.ladder import MAX_LEVELS, Level, make_video, typical_duration
from netenvs.abr.video_files.segments import MAX_SEGMENTS, Segment, is_there, join, manifest_folder, measure
from netenvs.readers.errors import InputError, decoding
from netenvs.readers.reader import Reader
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source

MAX_CHARACTERS = 32 * 2**20
_DURATION = re.compile(r"P(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d*)?)S)?)?", re.ASCII)
_FIELD = re.compile(r"\$(?:(RepresentationID|Bandwidth|Number|Time)(?:%0(\d{1,2})d)?)?\$")


class _Place(NamedTuple):
    """What an element inherits."""

    base: str
    template: dict[str, str]
    """Attributes of ``SegmentTemplate``, and of ``SegmentList``."""
    timeline: ET.Element | None
    urls: list[ET.Element] | None
    """``SegmentURL``; None: a template."""


def sniff(source: Source) -> bool:
    """Whether a file is an XML document with an MPD."""
    return re.search(r"<(\w+:)?MPD[\s>]", source.head[:16384]) is not None


def read(source: Source, reading: Reading) -> list[Video]:
    """The one video of a manifest, whose segments lie below its folder."""
    folder = manifest_folder(source)
    root = parse(source)
    if root.get("type", "static") != "static":
        raise InputError(f"{source.name}: an MPD of a live stream (type={root.get('type')!r}); give a static one")
    periods = _all(root, "Period")
    if not periods:
        raise InputError(f"{source.name}: there is no Period in it; give a whole MPD")
    whole_s = _seconds(root.get("mediaPresentationDuration"), source.name)
    base = _base("", root)
    parts = [_period(period, base, _period_s(periods, i, whole_s, source.name), source, reading)
             for i, period in enumerate(periods)]  # fmt: skip
    ladders = {tuple(part) for part in parts}
    if len(ladders) > 1:
        raise InputError(f"{source.name}: its {len(parts)} periods have other bitrates; give an MPD of one of them")
    levels, durations = [], []
    for bandwidth in parts[0]:
        segments = []
        for number, part in enumerate(parts):
            found, counted = part[bandwidth]
            if counted and len(found) > 1 and number == len(parts) - 1 and not is_there(folder, found[-1], source.name):
                reading.note("the last segment, of which duration makes one, is not there and left out", found[-1].url)
                found = found[:-1]
            segments += found
        levels.append(Level(bandwidth / 1000.0, measure(folder, segments, source.name)))
        durations.append(typical_duration(source.name, reading, [segment.duration_s for segment in segments]))
    duration = typical_duration(source.name, reading, [*durations, durations[-1]])
    return [make_video(source.name, reading, levels, duration, unit_option=False)]


def parse(source: Source) -> ET.Element:
    """The XML document of a file. Raises :class:`InputError` for a damaged one, and for one that defines entities.

    Entities can be nested to any size or name other files; a manifest has none.
    """
    text = source.text()
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"{source.name}: larger than {MAX_CHARACTERS >> 20} MiB; no manifest is")
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise InputError(f"{source.name}: it has a DOCTYPE or entities, which are refused; take them out")
    with decoding(source.name):
        root: ET.Element = ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text, count=1))
        return root


def _period(
    period: ET.Element, base: str, period_s: float | None, source: Source, reading: Reading
) -> dict[int, tuple[list[Segment], bool]]:
    """bandwidth -> segments of a level, and whether their number follows from durations, in ascending order."""
    place = _inherit(_Place(base, {}, None, None), period)
    sets = [one for one in _all(period, "AdaptationSet") if _has_pictures(one)] or _all(period, "AdaptationSet")
    if not sets:
        raise InputError(f"{source.name}: a Period without AdaptationSet; give a whole MPD")
    chosen = max(sets, key=lambda one: len(_all(one, "Representation")))
    if len(sets) > 1:
        reading.note("of several adaptation sets with pictures the one with the most levels is read", source.name)
    found: dict[int, tuple[list[Segment], bool]] = {}
    representations = _all(chosen, "Representation")
    if len(representations) > MAX_LEVELS:
        raise InputError(f"{source.name}: {len(representations)} levels; more than {MAX_LEVELS} are no ladder")
    place = _inherit(place, chosen)
    for representation in representations:
        bandwidth = _whole(representation.get("bandwidth"), "bandwidth", source.name)
        if bandwidth in found:
            reading.note("of levels with the same bitrate one is kept", f"{source.name}: {bandwidth / 1000:g} kbit/s")
            continue
        found[bandwidth] = _segments(_inherit(place, representation), representation, period_s, source.name)
    return dict(sorted(found.items()))


def _segments(
    place: _Place, representation: ET.Element, period_s: float | None, name: str
) -> tuple[list[Segment], bool]:
    values = {"RepresentationID": representation.get("id", ""), "Bandwidth": representation.get("bandwidth", "")}
    scale = _whole(place.template.get("timescale", "1"), "timescale", name)
    if scale < 1:
        raise InputError(f"{name}: timescale is {scale}; it must be 1 or more")
    media = place.template.get("media", "")
    if place.urls is None and not media:
        raise InputError(
            f"{name}: neither SegmentTemplate nor SegmentList has its segments (a file with an index is not read); "
            "package it in segments"
        )
    times = None if place.timeline is None else _timeline(place.timeline, scale, period_s, name)
    length = _whole(place.template.get("duration", "0"), "duration", name) / scale
    if place.urls is not None:
        count = len(place.urls)
        of = [duration for _, duration in times] if times is not None else [length] * count
        if len(of) < count:
            raise InputError(f"{name}: a SegmentTimeline of {len(of)} for {count} segments; mend it")
        return [_listed(place.base, url, of[i], name) for i, url in enumerate(place.urls)], False
    first = _whole(place.template.get("startNumber", "1"), "startNumber", name)
    counted = times is None
    if times is None:
        times = _counted(place.template, first, length, scale, period_s, name)
    segments = []
    for number, (time, duration) in enumerate(times, start=first):
        url = _filled(media, {**values, "Number": str(number), "Time": str(time)})
        segments.append(Segment(join(place.base, url), duration))
    return segments, counted


def _counted(
    template: dict[str, str], first: int, length_s: float, scale: int, period_s: float | None, name: str
) -> list[tuple[int, float]]:
    """Start, in units, and duration in s of segments that are all of the same length but the last."""
    if length_s <= 0:
        raise InputError(f"{name}: SegmentTemplate has neither a SegmentTimeline nor a duration above 0; mend it")
    if "endNumber" in template:
        count = _whole(template["endNumber"], "endNumber", name) - first + 1
    elif period_s is not None:
        count = math.ceil(period_s / length_s - 1e-6)
    else:
        raise InputError(f"{name}: it does not say how long it is; add mediaPresentationDuration")
    _check_count(count, name)
    return [(round(i * length_s * scale), length_s) for i in range(count)]


def _timeline(timeline: ET.Element, scale: int, period_s: float | None, name: str) -> list[tuple[int, float]]:
    """Start, in units, and duration in s of each segment of a ``SegmentTimeline``."""
    found: list[tuple[int, float]] = []
    runs, time = _all(timeline, "S"), 0
    for i, run in enumerate(runs):
        time = _whole(run.get("t", str(time)), "t", name)
        duration = _whole(run.get("d"), "d", name)
        if duration < 1:
            raise InputError(f"{name}: an S of duration {duration}; it must be above 0")
        repeat = run.get("r", "0").strip()
        if repeat.startswith("-"):
            after = runs[i + 1].get("t") if i + 1 < len(runs) else None
            if after is not None:
                end: float = _whole(after, "t", name)
            elif period_s is not None:
                end = (found[0][0] if found else time) + period_s * scale
            else:
                raise InputError(f"{name}: an S repeats to an end that is not said; add mediaPresentationDuration")
            count = math.ceil((end - time) / duration - 1e-6)
        else:
            count = _whole(repeat, "r", name) + 1
        _check_count(len(found) + count, name)
        found += [(time + n * duration, duration / scale) for n in range(count)]
        time += count * duration
    if not found:
        raise InputError(f"{name}: a SegmentTimeline without segments; mend it")
    return found


def _check_count(count: int, name: str) -> None:
    if not 1 <= count <= MAX_SEGMENTS:
        raise InputError(f"{name}: a level of {count} segments; 1 to {MAX_SEGMENTS} are read")


def _listed(base: str, url: ET.Element, duration_s: float, name: str) -> Segment:
    """A ``SegmentURL``."""
    within, media = url.get("mediaRange"), url.get("media")
    num_bytes = None
    if within is not None:
        ends = re.fullmatch(r"(\d{1,15})-(\d{1,15})", within.strip())
        if ends is None or int(ends[2]) < int(ends[1]):
            raise InputError(f"{name}: mediaRange={within[:40]!r} is not a range of bytes; mend it")
        num_bytes = int(ends[2]) - int(ends[1]) + 1
    return Segment(base if media is None else join(base, media), duration_s, num_bytes)


def _filled(media: str, values: dict[str, str]) -> str:
    """Fill in the identifiers of a template (5.3.9.4.4); ``$$`` is a dollar."""

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return "$"
        return values[match[1]].zfill(int(match[2])) if match[2] else values[match[1]]

    return _FIELD.sub(value, media)


def _inherit(place: _Place, element: ET.Element) -> _Place:
    base = _base(place.base, element)
    template, timeline, urls = dict(place.template), place.timeline, place.urls
    for kind in ("SegmentTemplate", "SegmentList"):
        for found in _all(element, kind):
            template |= found.attrib
            timeline = next(iter(_all(found, "SegmentTimeline")), timeline)
            if kind == "SegmentList":
                urls = _all(found, "SegmentURL") or urls
    return _Place(base, template, timeline, urls)


def _base(base: str, element: ET.Element) -> str:
    """The first ``BaseURL``; others are the same on other servers."""
    found = next(iter(_all(element, "BaseURL")), None)
    return base if found is None else join(base, found.text or "")


def _has_pictures(adaptation: ET.Element) -> bool:
    for element in (adaptation, *_all(adaptation, "Representation")):
        kind = element.get("contentType") or element.get("mimeType", "").partition("/")[0]
        if kind:
            return kind == "video"
        if element.get("width") or element.get("height"):
            return True
    return False


def _period_s(periods: list[ET.Element], number: int, whole_s: float | None, name: str) -> float | None:
    """Duration of a period: its own, up to the next one's start, or up to the end."""
    own = _seconds(periods[number].get("duration"), name)
    if own is not None:
        return own
    start = _seconds(periods[number].get("start"), name)
    after = _seconds(periods[number + 1].get("start"), name) if number + 1 < len(periods) else whole_s
    if after is None or (start is None and number > 0):
        return None
    return after - (start or 0.0)


def _seconds(text: str | None, name: str) -> float | None:
    """Seconds of a duration of ISO 8601 in days, hours, minutes and seconds."""
    if text is None:
        return None
    parts = _DURATION.fullmatch(re.sub(r"^P0+Y(?:0+M)?", "P", text.strip()))
    if parts is None or not any(parts.groups()):
        raise InputError(f"{name}: {text[:40]!r} is not a duration like PT1H2M3.5S; mend it")
    days, hours, minutes, seconds = (float(part or 0) for part in parts.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _whole(text: str | None, what: str, name: str) -> int:
    if text is None or not re.fullmatch(r"\s*\+?\d{1,18}\s*", text, re.ASCII):
        raise InputError(f"{name}: {what}={(text or '')[:40]!r} is not a whole number; mend it")
    return int(text)


def _all(element: ET.Element, name: str) -> list[ET.Element]:
    """Children of that name, whatever their namespace."""
    return [child for child in element if isinstance(child.tag, str) and child.tag.rpartition("}")[2] == name]


DASH = Reader(name="dash", title="a static MPEG-DASH MPD with its segments on disk", sniff=sniff, read=read)
