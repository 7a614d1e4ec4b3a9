"""Videos of Sabre and of dash.js' offline tests: a JSON object with sizes in bits, segment by segment.

Format: github.com/UMass-LIDS/sabre, ``example/mmsys18/bbb.json`` and ``src/sabre.py``: ``{"segment_duration_ms": 3000,
"bitrates_kbps": [230, 331, ...], "segment_sizes_bits": [[886360, 1180512, ...], ...]}``, a list of levels a segment.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netenvs.abr.records import Video
from netenvs.abr.video_files.json_manifest import parse
from netenvs.abr.video_files.ladder import Level, make_video, unit_bytes
from netenvs.readers.errors import InputError
from netenvs.readers.reader import Reader
from netenvs.readers.reading import Reading
from netenvs.readers.sources import Source


def sniff(source: Source) -> bool:
    """Whether a file is a JSON object with Sabre's names."""
    head = source.head.lstrip()
    return head.startswith("{") and ('"segment_duration_ms"' in head or '"segment_sizes_bits"' in head)


def read(source: Source, reading: Reading, *, unit: str = "") -> list[Video]:
    """The one video of a file. ``unit`` is that of the sizes, bits unless named."""
    factor = unit_bytes(unit, "bit")
    manifest = parse(source)
    missing = [k for k in ("segment_duration_ms", "bitrates_kbps", "segment_sizes_bits") if k not in manifest]
    if missing:
        raise InputError(f"{source.name}: the manifest lacks {', '.join(missing)}")
    try:
        duration_s = float(manifest["segment_duration_ms"]) / 1000.0
        bitrates = np.array(manifest["bitrates_kbps"], dtype=np.float64).reshape(-1)
        segments: list[Any] = list(manifest["segment_sizes_bits"])
        odd = next((i for i, of in enumerate(segments) if not isinstance(of, list) or len(of) != len(bitrates)), None)
        if odd is not None:
            raise InputError(f"{source.name}: segment {odd} has not {len(bitrates)} sizes, one a bitrate; mend it")
        sizes = np.array(segments, dtype=np.float64).reshape(len(segments), len(bitrates)) * factor
    except (TypeError, OverflowError) as error:
        raise InputError(f"{source.name}: the manifest must hold plain numbers ({error})") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source.name}: the manifest must hold plain numbers ({error})") from None
    levels = [Level(float(kbps), column) for kbps, column in zip(bitrates, sizes.T, strict=True)]
    return [make_video(source.name, reading, levels, duration_s)]


SABRE = Reader(
    name="sabre",
    title="a JSON object with segment_duration_ms, bitrates_kbps and segment_sizes_bits",
    sniff=sniff,
    read=read,
)
