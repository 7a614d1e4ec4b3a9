"""Sequences with what is to be learned of them: in memory, and on disk while a training runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from agents.ragged import Column, Ragged, concatenate, take
from agents.sequence.model import Sequences, rows_of
from netenvs.files import write_atomically

OFFSETS, STEP, TARGET = ":offsets", "step/", "target/"


@dataclass(frozen=True)
class Labelled:
    """Sequences of S steps in all, and targets."""

    sequences: Sequences
    targets: dict[str, Any]
    """Columns with a row a step: what the loss needs besides what the model puts out. ``action``, int64 (S,
    components), are the components that the model's later ones are conditioned on."""

    def __len__(self) -> int:
        return len(self.sequences)

    def take(self, chosen: np.ndarray) -> Labelled:
        """The sequences ``chosen``, int (k,)."""
        rows = rows_of(self.sequences.lengths, chosen)
        return Labelled(
            self.sequences.take(chosen), {name: take(column, rows) for name, column in self.targets.items()}
        )

    def windows(self, length: int) -> Labelled:
        """The same steps in stretches of at most ``length`` steps; 0: as they are."""
        return Labelled(self.sequences.windows(length), self.targets) if length else self

    @staticmethod
    def concatenate(parts: Sequence[Labelled]) -> Labelled:
        """All sequences of all parts."""
        if len(parts) == 1:
            return parts[0]
        targets = {name: concatenate([part.targets[name] for part in parts]) for name in parts[0].targets}
        return Labelled(Sequences.concatenate([part.sequences for part in parts]), targets)

    def save(self, path: Path) -> None:
        """Write a safetensors file, atomically."""
        own = self.sequences
        arrays = {"lengths": own.lengths, "previous": own.previous, "numbers": own.numbers}
        if own.returns is not None:
            arrays["returns"] = own.returns
        for prefix, columns in ((STEP, own.steps), (TARGET, self.targets)):
            for name, column in columns.items():
                if isinstance(column, Ragged):
                    arrays[prefix + name] = column.flat
                    arrays[prefix + name + OFFSETS] = column.offsets - column.offsets[0]
                else:
                    arrays[prefix + name] = column
        path.parent.mkdir(parents=True, exist_ok=True)
        contiguous = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
        write_atomically(path, lambda unfinished: save_file(contiguous, unfinished))

    @staticmethod
    def load(path: Path) -> Labelled:
        """What ``save`` wrote; ``ValueError``, one line, for another file."""
        try:
            arrays = load_file(path)
            sequences = Sequences(
                _columns(arrays, STEP), arrays["lengths"], arrays["previous"], arrays["numbers"], arrays.get("returns")
            )
            targets = _columns(arrays, TARGET)
        except Exception as error:
            raise ValueError(f"{path}: not what this training wrote; remove its folder to start anew") from error
        return Labelled(sequences, targets)


def _columns(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, Column]:
    """The columns whose names in a file begin with ``prefix``."""
    found: dict[str, Column] = {}
    for name, values in arrays.items():
        if name.startswith(prefix) and not name.endswith(OFFSETS):
            offsets = arrays.get(name + OFFSETS)
            found[name.removeprefix(prefix)] = values if offsets is None else Ragged(values, offsets)
    return found
