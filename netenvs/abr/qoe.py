"""Quality of experience (QoE) of a streaming session, per chunk.

All three objectives of the Pensieve line share one form (Pensieve, SIGCOMM 2017, section 5.1, eq. 5)::

    reward = u(q) - rebuffer_penalty * rebuffer_s - switch_penalty * |u(q) - u(previous q)|

======  =============================  ========================================================
name    u(q)                           source
======  =============================  ========================================================
lin     bitrate in Mbit/s              Pensieve ``sim/multi_agent.py``; MPC (SIGCOMM 2015)
log     ln(bitrate / highest bitrate)  Pensieve ``sim/multi_agent.py``, log reward
hd      1, 2, 3, 12, 15, 20            Pensieve ``sim/multi_agent.py``, HD reward (six levels)
======  =============================  ========================================================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netenvs.records import ArrayRecord
from netenvs.spec import unknown_name

KINDS = ("hd", "lin", "log")
HD_UTILITY = (1.0, 2.0, 3.0, 12.0, 15.0, 20.0)


@dataclass(frozen=True, eq=False)
class QoE(ArrayRecord):
    """One objective over one bitrate ladder, as tables."""

    kind: str
    """``lin``, ``log`` or ``hd``."""
    utility: np.ndarray
    """u(q): float64 (levels,), in the unit of the objective."""
    switch_cost: np.ndarray
    """``switch_penalty * |u(q) - u(p)|`` at [q, p]: float64 (levels, levels)."""
    rebuffer_penalty: float
    """Cost of one second of rebuffering: 4.3 in Pensieve and NetLLM, 10 in Genet."""
    switch_penalty: float = 1.0
    """Cost of a change of the utility by one: 1 in all of these."""
    by_chunk: np.ndarray | None = None
    """u(q) of each chunk, float64 (chunks played, levels), where it differs from chunk to chunk."""

    def utilities(self, num_chunks: int) -> np.ndarray:
        """u(q) of the first ``num_chunks`` chunks, float64 (num_chunks, levels), read-only."""
        if self.by_chunk is None:
            return np.broadcast_to(self.utility, (num_chunks, len(self.utility)))
        if not 0 <= num_chunks <= len(self.by_chunk):
            raise ValueError(f"this objective has utilities of {len(self.by_chunk)} chunks, not of {num_chunks}")
        return self.by_chunk[:num_chunks]

    def reward(self, quality: int, previous: int, rebuffer_s: float) -> float:
        """QoE of one chunk at level ``quality`` after a chunk at level ``previous``."""
        return float(self.utility[quality] - self.rebuffer_penalty * rebuffer_s - self.switch_cost[quality, previous])


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
        raise ValueError(unknown_name("qoe", str(kind), KINDS))
    switch_cost = switch_penalty * switch_cost
    for table in (utility, switch_cost):
        table.flags.writeable = False
    return QoE(kind, utility, switch_cost, float(rebuffer_penalty), float(switch_penalty))
