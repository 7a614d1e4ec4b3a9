"""Quality of experience (QoE) of a streaming session, per chunk.

All three objectives of the Pensieve line share one form (Pensieve, SIGCOMM 2017, section 5.1, eq. 5)::

    reward = u(q) - rebuffer_penalty * rebuffer_s - switch_penalty * |u(q) - u(previous q)|

======  =============================  ========================================================
name    u(q)                           source
======  =============================  ========================================================
lin     bitrate in Mbit/s              Pensieve ``sim/multi_agent.py``; MPC (SIGCOMM 2015)
log     ln(bitrate / highest bitrate)  Pensieve ``sim/multi_agent.py``, log reward
hd      1, 2, 3, 12, 15, 20            Pensieve ``sim/multi_agent.py``, HD reward (six levels)
table   numbers of the user's own      such as VMAF by level, or by level and chunk: ``netenvs.abr.utility_tables``
======  =============================  ========================================================

Where u differs from chunk to chunk, a change is from u(previous q) of the chunk before to u(q) of this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from netenvs.records import ArrayRecord
from netenvs.spec import unknown_name

TABLE = "table"

KINDS = ("hd", "lin", "log")
HD_UTILITY = (1.0, 2.0, 3.0, 12.0, 15.0, 20.0)


@dataclass(frozen=True, eq=False)
class QoE(ArrayRecord):
    """One objective over one bitrate ladder, as tables."""

    kind: str
    """``lin``, ``log``, ``hd`` or ``table``."""
    utility: np.ndarray
    """u(q): float64 (levels,), in the unit of the objective; the mean over the chunks where each has its own."""
    switch_cost: np.ndarray
    """``switch_penalty * |u(q) - u(p)|`` at [q, p]: float64 (levels, levels)."""
    rebuffer_penalty: float
    """Cost of one second of rebuffering: 4.3 in Pensieve and NetLLM, 10 in Genet."""
    switch_penalty: float = 1.0
    """Cost of a change of the utility by one: 1 in all of these."""
    by_chunk: np.ndarray | None = None
    """u(q) of each chunk, float64 (chunks played, levels), where each has its own."""

    def utilities(self, num_chunks: int) -> np.ndarray:
        """u(q) of the first ``num_chunks`` chunks, float64 (num_chunks, levels), read-only."""
        if self.by_chunk is None:
            return np.broadcast_to(self.utility, (num_chunks, len(self.utility)))
        if not 0 <= num_chunks <= len(self.by_chunk):
            raise ValueError(f"this objective has utilities of {len(self.by_chunk)} chunks, not of {num_chunks}")
        return self.by_chunk[:num_chunks]

    @cached_property
    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """``utility`` and ``switch_cost`` as kernels read them, see ``netenvs.abr.kernel.row_of_chunk``.

        Where each chunk has its own they stand one below the other, float64 (chunks * levels,) and
        (chunks * levels, levels): entry ``chunk * levels + q`` is of level q, and of a change to it from the chunk
        before. The first chunk changes from itself.
        """
        if self.by_chunk is None:
            return self.utility, self.switch_cost
        before = self.by_chunk[np.maximum(np.arange(len(self.by_chunk)) - 1, 0)]
        changes = self.switch_penalty * np.abs(self.by_chunk[:, :, None] - before[:, None, :])
        return _read_only(self.by_chunk.reshape(-1)), _read_only(changes.reshape(-1, changes.shape[2]))

    def utility_range(self, num_chunks: int) -> float:
        """Highest less lowest utility of ``num_chunks`` chunks, 1e-9 where all are alike: penalties and regrets are
        compared in it.
        """
        utilities = self.utilities(num_chunks)
        return max(float(utilities.max() - utilities.min()), 1e-9)

    def rewards(self, chunk: Any, quality: Any, previous: Any, rebuffer_s: Any) -> np.ndarray:
        """QoE of chunks number ``chunk``, from 0, at levels ``quality`` after ones at ``previous``: arrays alike."""
        utility, switch_cost = self.tables
        row = np.asarray(quality) + (0 if self.by_chunk is None else np.asarray(chunk) * len(self.utility))
        found: np.ndarray = utility[row] - self.rebuffer_penalty * np.asarray(rebuffer_s) - switch_cost[row, previous]
        return found

    def reward(self, quality: int, previous: int, rebuffer_s: float, chunk: int | None = None) -> float:
        """QoE of one chunk at level ``quality`` after a chunk at level ``previous``.

        ``chunk`` is its number, from 0. Raises ``ValueError`` where utilities are by chunk and it is not said.
        """
        if chunk is None and self.by_chunk is not None:
            raise ValueError("the utilities of this objective differ from chunk to chunk; say chunk=NUMBER")
        return float(self.rewards(chunk, quality, previous, rebuffer_s))


def make_qoe(kind: str, bitrates_kbps: np.ndarray, rebuffer_penalty: float, switch_penalty: float = 1.0) -> QoE:
    """Tables of objective ``kind`` for a ladder of bitrates, int32 (levels,) in kbit/s.

    Raises ``ValueError`` for an unknown kind, and for ``hd`` on a ladder that has not six levels.
    """
    ladder = np.asarray(bitrates_kbps, dtype=np.int64)
    if kind == "lin":
        # Integer kbit/s are subtracted before the division, as in the published code: other orders of
        # these operations differ in the last bit.
        utility = ladder / 1000.0
        switch_cost = np.abs(ladder[:, None] - ladder[None, :]) / 1000.0
    elif kind == "log":
        utility = np.log(ladder / float(ladder[-1]))
        switch_cost = np.abs(utility[:, None] - utility[None, :])
    elif kind == "hd":
        if len(ladder) != len(HD_UTILITY):
            raise ValueError(
                f"qoe='hd' is defined for six bitrate levels, this video has {len(ladder)}; use 'lin' or 'log'"
            )
        utility = np.array(HD_UTILITY)
        switch_cost = np.abs(utility[:, None] - utility[None, :])
    else:
        raise ValueError(f"{unknown_name('qoe', str(kind), KINDS)}, or a file .json, .csv or .npy of utilities")
    switch_cost = switch_penalty * switch_cost
    return QoE(kind, _read_only(utility), _read_only(switch_cost), float(rebuffer_penalty), float(switch_penalty))


def make_table_qoe(utilities: np.ndarray, rebuffer_penalty: float, switch_penalty: float = 1.0) -> QoE:
    """The objective of utilities of one's own, float64 (1, levels), or (chunks played, levels): each chunk its own."""
    utility = utilities[0].copy() if len(utilities) == 1 else utilities.mean(axis=0)
    switch_cost = switch_penalty * np.abs(utility[:, None] - utility[None, :])
    by_chunk = None if len(utilities) == 1 else _read_only(utilities.copy())
    return QoE(
        TABLE, _read_only(utility), _read_only(switch_cost), float(rebuffer_penalty), float(switch_penalty), by_chunk
    )


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
