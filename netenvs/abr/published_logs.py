"""Published action logs of bitrate policies on the split ``pensieve-test``: the data set ``pensieve-logs``.

Upstream, ``src/baselines/log_sim_<policy>_<trace>`` has a line for each of the 48 chunks of ``video1`` and columns
separated by tabs: time (s; its zero differs between policies), bitrate (kbit/s), buffer (s) and rebuffering (s) after
the chunk, its size (bytes) and download time (ms), in some logs a number of the policy's own (the entropy of its
choice), and the reward in the linear QoE of Pensieve. Source: https://github.com/yindaheng98/Pensieve-PPO.

Installed: ``logs.npz``, arrays (policies, traces, chunks); policies and traces in the order of their names, which is
that of the numbers of ``pensieve-test``.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from netenvs import datasets
from netenvs.arrays import named_arrays
from netenvs.datasets import DatasetError
from netenvs.records import ArrayRecord, put_array
from netenvs.spec import unknown_name

DATASET = "pensieve-logs"
POLICIES = {
    "bb": "buffer-based (BBA)",
    "bola": "BOLA",
    "cmc": "Comyco",
    "genet": "Genet",
    "hyb": "HYB",
    "mpc": "MPC",
    "netllm": "NetLLM",
    "ppo": "Pensieve trained by PPO",
    "quetra": "QUETRA",
    "rb": "rate-based",
    "rl": "Pensieve",
}
"""Name upstream -> what it is."""
BITRATES_KBPS = (300, 750, 1200, 1850, 2850, 4300)
NUM_CHUNKS = 48

_INSTALLED = "logs.npz"
_NAME = re.compile(r"log_sim_([a-z]+?)_(?:test_)?(norway_\w+)")
_COLUMNS = ("time_s", "bitrate_kbps", "buffer_s", "rebuffer_s", "chunk_bytes", "delay_ms", "reward")
_WHOLE = ("bitrate_kbps", "chunk_bytes")
_REMEDY = "get the file again from the pinned commit"


@dataclass(frozen=True, eq=False)
class PublishedLogs(ArrayRecord):
    """What one policy did on each trace. All arrays are (traces, chunks); the first chunk is no decision."""

    name: str
    """Of the policy, one of :data:`POLICIES`."""
    names: tuple[str, ...]
    """Of the traces, in the order of their numbers in ``pensieve-test``."""
    time_s: np.ndarray
    """float64, when each chunk was there, pauses before it included; its zero means nothing."""
    bitrate_kbps: np.ndarray
    """int32, one of :data:`BITRATES_KBPS`."""
    buffer_s: np.ndarray
    """float64, after the chunk."""
    rebuffer_s: np.ndarray
    """float64, while the chunk was downloaded."""
    chunk_bytes: np.ndarray
    """int32."""
    delay_ms: np.ndarray
    """float64, from request to last byte."""
    reward: np.ndarray
    """float64, bitrate in Mbit/s - 4.3 x rebuffering in s - step of the bitrate in Mbit/s."""

    def __post_init__(self) -> None:
        shape = (len(self.names), NUM_CHUNKS)
        for column in _COLUMNS:
            put_array(self, column, np.int32 if column in _WHOLE else np.float64, shape)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def quality(self) -> np.ndarray:
        """int64 (traces, chunks): levels from 0, the actions of ``netenvs/ABR-v0``; the first is the forced chunk."""
        return np.searchsorted(BITRATES_KBPS, self.bitrate_kbps)


def load_published_logs(policy: str) -> PublishedLogs:
    """The logs of a policy, one of :data:`POLICIES`.

    Raises:
        ValueError: The policy is not one of them.
        DatasetError: ``pensieve-logs`` is not installed, or damaged; it is a ``ValueError``, too.
    """
    if policy not in POLICIES:
        raise ValueError(unknown_name("policy of the published logs", str(policy), POLICIES))
    with datasets.reading(DATASET) as folder, named_arrays(folder / _INSTALLED) as arrays:
        row = arrays["policies"].tolist().index(policy)
        columns = {column: arrays[column][row] for column in _COLUMNS}
        return PublishedLogs(policy, tuple(arrays["names"].tolist()), **columns)


def convert(files: Mapping[str, bytes], manifest: Mapping[str, str]) -> dict[str, bytes]:
    """Turn the upstream files (already checked against ``manifest``) into one npz.

    Raises DatasetError for a file whose content is not as described above.
    """
    tables = {_policy_and_trace(path): _read_log(path, content) for path, content in files.items()}
    policies, names = (sorted(set(part)) for part in zip(*tables, strict=True))
    missing = [(policy, name) for policy in policies for name in names if (policy, name) not in tables]
    if missing:
        raise DatasetError(f"there is no log of {missing[0][0]} on {missing[0][1]}; {_REMEDY}")
    stacked = np.array([[tables[policy, name] for name in names] for policy in policies])  # (..., chunks, columns)
    arrays = {
        column: stacked[..., i].astype(np.int32 if column in _WHOLE else np.float64)
        for i, column in enumerate(_COLUMNS)
    }
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, allow_pickle=False, policies=np.array(policies, np.str_), names=np.array(names, np.str_), **arrays
    )
    return {_INSTALLED: buffer.getvalue()}


def _policy_and_trace(path: str) -> tuple[str, str]:
    match = _NAME.fullmatch(path.rpartition("/")[2])
    if match is None or match.group(1) not in POLICIES:
        raise DatasetError(f"{path} is not called log_sim_POLICY_TRACE; {_REMEDY}")
    return match.group(1), match.group(2)


def _read_log(path: str, content: bytes) -> list[list[float]]:
    """The rows of one log, (chunks, columns of ``_COLUMNS``); Python's float gives the bits that were written."""
    try:
        rows = [[float(word) for word in line.split()] for line in content.decode("ascii").splitlines() if line.strip()]
    except ValueError:
        rows = []
    if len(rows) != NUM_CHUNKS or any(len(row) not in (7, 8) for row in rows):
        raise DatasetError(f"{path} has not {NUM_CHUNKS} lines of 7 or 8 numbers; {_REMEDY}")
    if any(row[1] not in BITRATES_KBPS or not row[4].is_integer() for row in rows):
        raise DatasetError(f"{path}: a bitrate that is none of {BITRATES_KBPS}, or half a byte; {_REMEDY}")
    return [[*row[:6], row[-1]] for row in rows]
