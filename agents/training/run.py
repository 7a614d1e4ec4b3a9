"""The folder of a training: one that can be continued after any kill, its curve, TensorBoard and progress."""

from __future__ import annotations

import json
import os
import shlex
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from netenvs.errors import printable
from netenvs.files import is_file, naming, only_one, remove_unfinished, write_atomically

CHECKPOINT, CURVE, LOCK = "checkpoint.pt", "curve.jsonl", ".lock"


class Run(AbstractContextManager["Run"]):
    """The folder of one training, and what is seen of it while it runs:

        with Run(folder, {"seed": 0, "batch": 64}, total=1000, unit="steps") as run:
            state = run.resume() or {"step": 0, "model": model.state_dict()}
            ...
            run.record(step, train_loss=0.3, valid=1.0)  # curve.jsonl, TensorBoard, a printed line
            run.save({"step": step, "model": model.state_dict()})  # checkpoint.pt, with the curve so far

    What was recorded after the last ``save`` of a killed training is recorded again when it goes on. While one process
    is inside, another that enters is a ``ValueError``; those that train together are one.

    Arguments:
        folder: made if need be; holds ``checkpoint.pt``, ``curve.jsonl`` and TensorBoard's event files.
        identity: what determines the result; a checkpoint made with another one is refused.
        total: steps of the whole training.
        unit: what a step is, in the plural.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], total: int, unit: str = "steps"):
        self.folder = folder
        self.curve: list[dict[str, Any]] = []
        """Recorded points, each with its ``step``."""
        self.unit = unit
        self.total = total
        self.identity = json.loads(json.dumps(dict(identity)))
        self._step = 0
        self._spent = {"cpu_s": 0.0, "wall_s": 0.0}
        self._writer: Any = None
        self._inside = ExitStack()
        folder.mkdir(parents=True, exist_ok=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task(printable(folder.name), total=total)
        self._begin: tuple[float, float] | None = _clocks()

    def __enter__(self) -> Self:
        with ExitStack() as entered:
            if os.environ.get("RANK", "0") == "0":  # of the processes of torchrun and accelerate launch, one holds it
                alone = entered.enter_context(only_one(self.folder / LOCK))
                if not alone:
                    raise ValueError(f"{self.folder}: another training is writing there; wait for it, or name another")
                remove_unfinished(self.folder)
            entered.enter_context(_threads_in_silence())
            self._inside = entered.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._progress.live.is_started:
            self._progress.stop()
        self._spent = {"cpu_s": self.cpu_s, "wall_s": self.wall_s}
        self._begin = None
        with self._inside, naming(self.folder):
            if self._writer is not None:
                self._writer.close()

    @property
    def cpu_s(self) -> float:
        """Processor seconds of this process from the beginning of the training to its end, resumptions included."""
        return self._spent["cpu_s"] + (_clocks()[0] - self._begin[0] if self._begin else 0.0)

    @property
    def wall_s(self) -> float:
        """Seconds that the training has run, resumptions included."""
        return self._spent["wall_s"] + (_clocks()[1] - self._begin[1] if self._begin else 0.0)

    def resume(self) -> dict[str, Any] | None:
        """The state that was saved last, None if there is none.

        ``ValueError``, one line, for a file that is no checkpoint, or one of another training.
        """
        path = self.folder / CHECKPOINT
        if not is_file(path):
            return None
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            found, state, curve = json.loads(saved["identity"]), saved["state"], json.loads(saved["curve"])
            step, spent = saved["step"], {name: float(saved[name]) for name in self._spent}
        except Exception as error:
            raise ValueError(f"{path}: not a checkpoint of this training; remove it to start anew") from error
        if found != self.identity:
            pairs = ({**found, name: value} == found for name, value in self.identity.items())
            other = [name for name, same in zip(self.identity, pairs, strict=True) if not same]
            other += sorted(set(found) - set(self.identity))
            raise ValueError(f"{path}: made with another {other[0]}; remove it or write to another folder")
        self.curve, self._spent, self._begin = curve, spent, _clocks()
        self._write_curve()
        self.advance(step)
        self.say(f"continuing at {step} of {self.total} {self.unit}")
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Write ``checkpoint.pt`` atomically; ``state`` holds tensors and plain Python objects only."""
        saved = {
            "identity": json.dumps(self.identity),
            "state": state,
            "curve": json.dumps(self.curve),
            "step": self._step,
            "cpu_s": self.cpu_s,
            "wall_s": self.wall_s,
        }
        write_atomically(self.folder / CHECKPOINT, lambda path: torch.save(saved, path))

    def advance(self, step: int) -> None:
        """``step`` steps are done; the progress bar is there from the first call."""
        self._step = step
        self._progress.start()
        self._progress.update(self._task, completed=step)

    def record(self, step: int, **figures: float) -> None:
        """Add a point to the curve."""
        self.curve.append({"step": step, **figures})
        self._write_curve()
        with naming(self.folder):
            if self._writer is None:
                from torch.utils.tensorboard import SummaryWriter  # takes seconds to import

                self._writer = SummaryWriter(str(self.folder), purge_step=step)
            for name, value in figures.items():
                self._writer.add_scalar(name, value, step)
            self._writer.flush()
        self.say(f"{step} {self.unit}  " + "  ".join(f"{name} {value:.5g}" for name, value in figures.items()))

    def say(self, line: str) -> None:
        """Print a line above the progress bar."""
        self._progress.console.print(printable(line), highlight=False, markup=False)

    def _write_curve(self) -> None:
        text = "".join(json.dumps(point) + "\n" for point in self.curve)
        write_atomically(self.folder / CURVE, text)


@contextmanager
def _threads_in_silence() -> Iterator[None]:
    """TensorBoard writes in a thread; its error is raised again where the writer is used, and printed there once."""
    hook = threading.excepthook

    def said_later(thread: threading.ExceptHookArgs) -> None:
        if not isinstance(thread.exc_value, OSError):
            hook(thread)

    threading.excepthook = said_later
    try:
        yield
    finally:
        threading.excepthook = hook


def _clocks() -> tuple[float, float]:
    """Seconds of this process's processor, and of the clock on the wall."""
    return time.process_time(), time.perf_counter()


def command_line(module: str, args: Any, hidden: tuple[str, ...] = ("out",)) -> str:
    """The command that gives the dataclass ``args`` to a module, without the options ``hidden``.

    Options at their default are left out, but for the seed.
    """
    words = [f"python -m {module}"]
    for option in fields(args):
        value = getattr(args, option.name)
        if option.name == "seed" or (option.name not in hidden and value != option.default):
            name = option.name.replace("_", "-")
            if isinstance(value, bool):
                words.append(f"--{name}" if value else f"--no-{name}")
            else:
                values = value if isinstance(value, tuple | list) else [value]
                words.append(" ".join([f"--{name}", *(shlex.quote(str(one)) for one in values)]))
    return " ".join(words)
