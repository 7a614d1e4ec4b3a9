"""What a policy learns of the player's buffer from its pauses."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.policy import grow_rows


class PlayerBuffer:
    """The size of every row's buffer, as far as it is known: a player that pauses has filled it, to half a second."""

    def __init__(self) -> None:
        self._seen_s = np.zeros(0)

    def clear(self, rows: np.ndarray) -> None:
        self._seen_s = grow_rows(self._seen_s, rows)
        self._seen_s[rows] = 0.0

    def size_s(self, infos: dict[str, Any]) -> np.ndarray:
        """Seconds, float64 (k,), infinite in rows that have not paused, after a decision's columns."""
        rows, buffer_s = infos["row"], np.asarray(infos["buffer_s"], dtype=np.float64)
        full = (np.asarray(infos["sleep_ms"]) > 0) | (self._seen_s[rows] > 0)
        seen = np.where(full, np.maximum(self._seen_s[rows], buffer_s), 0.0)
        self._seen_s[rows] = seen
        return np.where(full, seen, np.inf)
