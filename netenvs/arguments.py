"""Checks of arguments that the environments of all tasks share; each raises ``ValueError``, one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from netenvs.spec import unknown_name

MOST_ENVS = 1_000_000
MOST_SAMPLES = 10_000


def check_num_envs(num_envs: Any) -> int:
    """The number of rows of a vector environment."""
    if isinstance(num_envs, bool) or not isinstance(num_envs, int | np.integer) or num_envs < 1:
        raise ValueError(f"num_envs must be a whole number from 1 up, not {num_envs!r}")
    if num_envs > MOST_ENVS:
        raise ValueError(f"num_envs must be {MOST_ENVS} or less, not {num_envs!r}")
    return int(num_envs)


def check_length(name: str, value: int) -> int:
    """A number of samples or chunks that an observation or an action is long."""
    if value > MOST_SAMPLES:
        raise ValueError(f"{name} must be {MOST_SAMPLES} or less, not {value!r}")
    return int(value)


def check_autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """A mode, or its name in any case."""
    if isinstance(mode, AutoresetMode):
        return mode
    try:
        return AutoresetMode[str(mode).upper().replace("-", "_")]
    except KeyError:
        raise ValueError(unknown_name("autoreset_mode", str(mode), [m.name for m in AutoresetMode])) from None


def check_reset_options(options: dict[str, Any] | None, known: tuple[str, ...]) -> dict[str, Any]:
    """The ``options`` of ``reset``, none of them unknown."""
    for name in options or {}:
        if name not in known:
            if not known:
                raise ValueError(f"unknown reset option {name!r}: there are none")
            raise ValueError(unknown_name("reset option", str(name), known))
    return options or {}


def check_reset_mask(mask: Any, rows: int, begun: bool) -> np.ndarray:
    """bool (rows,): the rows that ``reset`` begins anew; None means all, as in the first reset."""
    if mask is None:
        return np.ones(rows, dtype=np.bool_)
    chosen: np.ndarray = np.asarray(mask)
    if chosen.shape != (rows,) or chosen.dtype != np.bool_ or not chosen.any():
        raise ValueError(f"options['reset_mask'] must be bool ({rows},) with at least one True")
    if not begun and not chosen.all():
        raise ValueError("the first reset must reset every row")
    return chosen if chosen.flags.carray else chosen.copy()


def seeds_of_rows(seed: int | Sequence[int | None] | None, rows: int) -> list[int | None]:
    """One seed a row: s + i from one number s; None leaves a row's stream going on."""
    if seed is None:
        return [None] * rows
    if isinstance(seed, int | np.integer):
        return [int(seed) + i for i in range(rows)]
    seeds = [int(s) if isinstance(s, np.integer) else s for s in seed]
    if len(seeds) != rows:
        raise ValueError(f"seed has {len(seeds)} entries for {rows} rows")
    return seeds


def check_actions(actions: Any, shape: tuple[int, ...], sizes: Any, space: str) -> np.ndarray:
    """int64 ``shape``, contiguous: whole numbers from 0 to below ``sizes``, which broadcasts to ``shape``."""
    try:
        array = np.asarray(actions)
    except ValueError:
        raise ValueError(f"action {actions!r} is not in {space}") from None
    if array.shape != shape:
        raise ValueError(f"actions have shape {array.shape}, expected {shape}: {space}")
    if array.dtype.kind not in "iu":
        whole = array.astype(np.int64) if array.dtype.kind in "fb" and np.all(np.isfinite(array)) else None
        if whole is None or np.any(whole != array):
            raise ValueError(f"actions must be whole numbers, they are {array.dtype}: {space}")
        array = whole
    outside = (array < 0) | (array >= sizes)
    if outside.any():
        place = np.unravel_index(np.argmax(outside), shape)
        highest = np.broadcast_to(sizes, shape)[place] - 1
        parts = [f"component {place[-1]}"] if np.ndim(sizes) else []
        if len(shape) > np.ndim(sizes):
            parts.append(f"row {place[0]}")
        where = f" ({', '.join(parts)})" if parts else ""
        raise ValueError(f"action {array[place]}{where} is not in {space}: give 0 to {highest}")
    # contiguous and writeable: numba compiles again for each other kind
    return array if array.dtype == np.int64 and array.flags.carray else array.astype(np.int64)
