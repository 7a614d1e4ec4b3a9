"""Converter of ``netllm-abr``: bandwidth traces and video chunk sizes as NetLLM ships them.

Upstream, a trace is a text file of lines ``time_s bandwidth_mbps``, a video is six text files (one per
bitrate) of chunk sizes in bytes, and ``mahimahi_ptrs.pkl`` in a split's folder lists a start pointer per
trace, in file-name order. Segment i of a trace (1 <= i < length) covers (time_s[i-1], time_s[i]] at
bandwidth_mbps[i], so a start pointer lies in 1 ... length-1. Source:
https://github.com/duowuyms/NetLLM, folder adaptive_bitrate_streaming/data.

Installed: ``<split>.npz`` for the three upstream splits, ``splits.json`` for the derived splits, and
``<video>.json``.
"""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from netenvs.datasets import restricted_pickle
from netenvs.datasets.errors import DatasetError

_DATA = "adaptive_bitrate_streaming/data"
_SPLITS = {
    "fcc-train": f"{_DATA}/traces/train/fcc-train/",
    "fcc-valid": f"{_DATA}/traces/valid/fcc-valid/",
    "fcc-test": f"{_DATA}/traces/test/fcc-test/",
}
_POINTERS = "mahimahi_ptrs.pkl"
_VIDEOS = {name: f"{_DATA}/videos/{name}_sizes/video_size_" for name in ("video1", "video2")}
_BITRATES_KBPS = (300, 750, 1200, 1850, 2850, 4300)
_CHUNK_DURATION_S = 4.0
_SIZES_LISTED, _CHUNKS_PLAYED = 49, 48  # the 49th size is only looked at by planners
_REMEDY = "get the file again from the pinned commit"


@dataclass(frozen=True)
class Trace:
    """One bandwidth trace."""

    name: str  # upstream file name
    time_s: np.ndarray  # float64 (length,), increasing
    bandwidth_mbps: np.ndarray  # float64 (length,), Mbit/s, not negative; [0] is never used

    @property
    def content(self) -> tuple[bytes, bytes]:
        """Equal for two traces exactly if all times and bandwidths are equal bit by bit."""
        return self.time_s.tobytes(), self.bandwidth_mbps.tobytes()

    @property
    def household(self) -> int | None:
        """The FCC measuring unit: the number after ``trace_`` in the name; None for the Norway traces."""
        match = re.search(r"trace_(\d+)", self.name)
        return int(match.group(1)) if match else None


def convert(files: Mapping[str, bytes], manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Turn the upstream files (already checked against ``manifest``) into the installed ones.

    Raises DatasetError for a file whose content is not as described above.
    """
    traces = {split: _read_split(files, folder) for split, folder in _SPLITS.items()}
    installed = {}
    for split, folder in _SPLITS.items():
        pointers = _read_pointers(files, folder, traces[split])
        installed[f"{split}.npz"] = _pack(traces[split], pointers)
    installed["splits.json"] = _json(derived_splits(traces))
    for name, prefix in _VIDEOS.items():
        installed[f"{name}.json"] = _json(_read_video(files, name, prefix))
    return installed


def derived_splits(traces: Mapping[str, list[Trace]]) -> dict[str, dict[str, Any]]:
    """Return the splits that are selections of an upstream split: name -> {"from": split, "indices": [...]}.

    Upstream splits overlap: every fcc-valid trace is also in fcc-train, and 42 fcc-test traces are too.

    - ``fcc-test-clean``: fcc-test traces that stand in neither other split.
    - ``fcc-valid-clean``, ``fcc-train-clean``: the fcc-train traces identical to no fcc-test trace, divided
      by household so that none is on both sides: households in ascending numeric order, those at positions
      2, 6, 10, ... (from 0) are validation. The Norway traces have no household and are training.
    - ``norway-train``: the Norway 3G traces of fcc-train.
    """
    test = {trace.content for trace in traces["fcc-test"]}
    others = {trace.content for split in ("fcc-train", "fcc-valid") for trace in traces[split]}
    train = traces["fcc-train"]
    unseen = [i for i, trace in enumerate(train) if trace.content not in test]
    households = sorted({unit for i in unseen if (unit := train[i].household) is not None})
    held_out = set(households[2::4])

    def selection(split: str, indices: list[int]) -> dict[str, Any]:
        return {"from": split, "indices": indices}

    return {
        "fcc-test-clean": selection(
            "fcc-test", [i for i, trace in enumerate(traces["fcc-test"]) if trace.content not in others]
        ),
        "fcc-train-clean": selection("fcc-train", [i for i in unseen if train[i].household not in held_out]),
        "fcc-valid-clean": selection("fcc-train", [i for i in unseen if train[i].household in held_out]),
        "norway-train": selection("fcc-train", [i for i, t in enumerate(train) if t.household is None]),
    }


def _read_split(files: Mapping[str, bytes], folder: str) -> list[Trace]:
    """Read the traces of a folder in file-name order."""
    paths = sorted(path for path in files if path.startswith(folder) and not path.endswith(_POINTERS))
    if not paths:
        raise DatasetError(f"{folder} holds no traces; {_REMEDY}")
    return [_read_trace(path, files[path]) for path in paths]


def _read_trace(path: str, content: bytes) -> Trace:
    """Parse lines ``time_s bandwidth_mbps``; Python's float gives the same bits as the published reader."""
    try:
        rows = [tuple(map(float, line.split())) for line in content.decode("ascii").splitlines()]
        time_s, bandwidth_mbps = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    except ValueError:
        raise DatasetError(f"{path} is not a bandwidth trace, two numbers per line; {_REMEDY}") from None
    if not np.isfinite(time_s).all() or time_s[0] < 0 or (np.diff(time_s) <= 0).any():
        raise DatasetError(f"{path}: times do not increase from 0 on; {_REMEDY}")
    if len(time_s) < 2 or not np.isfinite(bandwidth_mbps).all() or (bandwidth_mbps < 0).any():
        raise DatasetError(f"{path}: fewer than two rows, or a bandwidth that is no number >= 0; {_REMEDY}")
    if not (bandwidth_mbps[1:] > 0).any():
        raise DatasetError(f"{path}: no bandwidth above 0, so no download would ever end; {_REMEDY}")
    return Trace(path.rpartition("/")[2], time_s, bandwidth_mbps)


def _read_pointers(files: Mapping[str, bytes], folder: str, traces: list[Trace]) -> list[int]:
    """Return a start pointer per trace: the upstream list, or 1 where a split has none."""
    path = folder + _POINTERS
    if path not in files:
        return [1] * len(traces)
    pointers = restricted_pickle.loads(files[path], path)
    if not isinstance(pointers, list) or len(pointers) != len(traces):
        raise DatasetError(f"{path} is not a list of {len(traces)} start pointers, one per trace; {_REMEDY}")
    for pointer, trace in zip(pointers, traces, strict=True):
        if type(pointer) is not int or not 1 <= pointer < len(trace.time_s):
            raise DatasetError(f"{path}: {pointer!r} is no start pointer of {trace.name}; {_REMEDY}")
    return pointers


def _pack(traces: list[Trace], pointers: list[int]) -> bytes:
    """Return one npz: traces end to end, trace i at offset[i]:offset[i+1]."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        time_s=np.concatenate([trace.time_s for trace in traces]),  # float64 (sum of lengths,)
        bandwidth_mbps=np.concatenate([trace.bandwidth_mbps for trace in traces]),  # float64, the same
        offset=np.cumsum([0, *(len(trace.time_s) for trace in traces)], dtype=np.int64),  # (traces + 1,)
        start_pointer=np.array(pointers, np.int32),  # (traces,)
        names=np.array([trace.name for trace in traces], np.str_),  # (traces,), upstream file names
    )
    return buffer.getvalue()


def _read_video(files: Mapping[str, bytes], name: str, prefix: str) -> dict[str, Any]:
    """Read the chunk sizes of one video, one upstream file per bitrate."""
    sizes = []
    for level in range(len(_BITRATES_KBPS)):
        path = f"{prefix}{level}"
        try:
            row = [int(word) for word in files[path].decode("ascii").split()]
        except KeyError:
            raise DatasetError(f"{path} is missing; {_REMEDY}") from None
        except ValueError:
            row = []
        if len(row) != _SIZES_LISTED or min(row) <= 0:
            raise DatasetError(f"{path} is not a list of {_SIZES_LISTED} chunk sizes in bytes; {_REMEDY}")
        sizes.append(row)
    return {
        "name": name,
        "chunk_duration_s": _CHUNK_DURATION_S,
        "num_chunks": _CHUNKS_PLAYED,
        "bitrates_kbps": list(_BITRATES_KBPS),
        "chunk_sizes_bytes": sizes,
    }


def _json(content: Any) -> bytes:
    return (json.dumps(content) + "\n").encode()
