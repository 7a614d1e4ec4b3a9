"""Logs that were written in parts, put together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from netenvs.readers.sources import Source

_ROLLED = re.compile(r"events_(\d{1,18})_([^.]*).*")
"""Files of a folder ``eventlog_v2_APPLICATION`` (``RollingEventLogFilesWriter``); with ``.compact`` at the end, what
stands for that part and all before it (``EventLogFileCompactor``)."""
_STATUS = re.compile(r"appstatus_.*|APPLICATION_COMPLETE|SPARK_VERSION_.*|COMPRESSION_CODEC_.*|_SUCCESS")
"""Files beside a log that hold none of it; before Spark 1.3 they stood beside ``EVENT_LOG_1``."""
_DATABRICKS = re.compile(r"eventlog(?:-(\d{4}-\d\d-\d\d--\d\d-\d\d))?(?:\.\w+)?")
"""Databricks moves ``eventlog`` to ``eventlog-DATE--TIME.gz`` now and then, and begins another."""


def group_parts(sources: list[Source]) -> list[Source]:
    """One source for each log in parts, in the order of the parts, where its first file stood; others as they are."""
    folders: dict[tuple[str, ...], list[Source]] = {}
    for source in sources:
        if not _STATUS.fullmatch(source.parts[-1]):
            rolled_log = _ROLLED.fullmatch(source.parts[-1])
            application = rolled_log[2] if rolled_log else ""
            folders.setdefault((*source.parts[:-1], application), []).append(source)
    found: list[Source] = []
    for folder in folders.values():
        rolled = [source for source in folder if _ROLLED.fullmatch(source.parts[-1])]
        dated = [source for source in folder if _DATABRICKS.fullmatch(source.parts[-1])]
        parts = _in_order(rolled) if rolled else _by_date(dated) if len(dated) > 1 else []
        taken = {source.parts for source in (rolled or dated if parts else [])}
        found += [source for source in folder if source.parts not in taken]
        if parts:
            found.append(parts[0] if len(parts) == 1 else _joined(parts))
    return sorted(found, key=lambda source: source.parts)


def _in_order(rolled: Sequence[Source]) -> list[Source]:
    """By number; a compacted file comes first, and those that it stands for are left out."""
    numbered = [(_number(source), source.parts[-1].endswith(".compact"), source) for source in rolled]
    compacted = max((number for number, compact, _ in numbered if compact), default=0)
    kept = [
        (number, source)
        for number, compact, source in numbered
        if number > compacted or (compact and number == compacted)
    ]
    return [source for _, source in sorted(kept, key=lambda one: (one[0], one[1].parts))]


def _number(source: Source) -> int:
    match = _ROLLED.fullmatch(source.parts[-1])
    assert match is not None  # it was chosen by this pattern
    return int(match[1])


def _by_date(dated: Sequence[Source]) -> list[Source]:
    """By date; the one without a date, which is written at present, comes last."""

    def key(source: Source) -> tuple[bool, str]:
        match = _DATABRICKS.fullmatch(source.parts[-1])
        date = match[1] if match else None
        return date is None, date or ""

    return sorted(dated, key=key)


def _joined(parts: Sequence[Source]) -> Source:
    name, _, _ = parts[0].name.rpartition("/")
    return Source(name or parts[0].name, parts[0].parts, parts[0].opener, tuple(parts))
