"""Feed damaged inputs to a reader, in a process of their own, and list the faults.

A fault is: any exception but a ``ValueError`` (or an error of this project); a message of several lines, or one that
does not name the input, or that has control characters; a warning that is not a ``UserWarning``; more than
``MAX_SECONDS``; a death of the process, of memory or by a signal; a file that was not there before.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutators import Tree, mutated

MAX_SECONDS = 10
MAX_BYTES = 4 * 2**30
"""Address space that a reader may use beyond what its process has when it starts."""


@dataclass(frozen=True)
class Target:
    """One reader."""

    name: str
    seeds: list[Tree]
    """Inputs that it reads as they are."""
    read: Callable[[Path], Any]
    """Reads the input at a path, a folder if a seed has several files or folders, and uses what it got."""
    errors: tuple[type[Exception], ...] = (ValueError,)
    """What it may raise."""
    named: bool = True
    """Whether its errors name the input; a part of a reader that gets bytes cannot."""


@dataclass(frozen=True)
class Fault:
    """One input on which a reader did what it must not."""

    target: str
    number: int
    """Number of the input: the same seed and number make the same input again."""
    what: str


@dataclass
class Outcome:
    """Of one target."""

    inputs: int = 0
    read: int = 0
    """Inputs that could be read, with or without something left out."""
    refused: int = 0
    faults: list[Fault] = field(default_factory=list)


def run(target: Target, inputs: int, seed: int = 0, first: int = 0) -> Outcome:
    """Try ``inputs`` damaged inputs, those of the numbers ``first`` and up; a process that dies is started again."""
    outcome, number = Outcome(), first
    while number < first + inputs:
        for report in _in_a_process(target, number, first + inputs, seed):
            if report.get("begins") is not None:
                number = report["begins"]
                continue
            outcome.inputs += 1
            outcome.read += report["kind"] == "read"
            outcome.refused += report["kind"] == "refused"
            if report["kind"] == "fault":
                outcome.faults.append(Fault(target.name, number, report["what"]))
            number += 1
            if report.get("last"):
                break
    return outcome


def damaged(target: Target, number: int, seed: int) -> Tree:
    """The input of that number; 0 to ``len(seeds) - 1`` are the seeds themselves."""
    if number < len(target.seeds):
        return target.seeds[number]
    rng = random.Random(f"{target.name} {seed} {number}")
    return mutated(rng.choice(target.seeds), rng, target.seeds)


def written(tree: Tree, folder: Path) -> Path:
    """Write an input; its path: the file, if it is one without folders, else the folder."""
    for name, content in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (one,) = tree if len(tree) == 1 else (None,)
    return folder / one if one is not None and "/" not in one else folder


def _in_a_process(target: Target, first: int, end: int, seed: int) -> Iterator[dict[str, Any]]:
    """Reports of a child, one JSON line each; its death is the fault of the input that it had begun."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(readable)
        with os.fdopen(writable, "w") as reports:
            _child(target, first, end, seed, lambda report: (reports.write(json.dumps(report) + "\n"), reports.flush()))
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as reports:
        begun = False
        for line in reports:
            report = json.loads(line)
            begun = "begins" in report
            yield report
    _, status = os.waitpid(child, 0)
    if begun or status:
        yield {"kind": "fault", "what": f"the process died, status {status}", "last": True}


def _child(target: Target, first: int, end: int, seed: int, say: Callable[[Any], Any]) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MAX_BYTES, used + MAX_BYTES))
    signal.signal(signal.SIGALRM, _too_long)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        for number in range(first, end):
            say({"begins": number})
            folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
            try:
                say(_try(target, written(damaged(target, number, seed), folder), folder, number))
            finally:
                shutil.rmtree(folder, ignore_errors=True)


class _TooLong(BaseException):
    pass


def _too_long(*_: Any) -> None:
    raise _TooLong


def _try(target: Target, path: Path, folder: Path, number: int) -> dict[str, Any]:
    before = {file.relative_to(folder) for file in folder.rglob("*")}
    signal.alarm(
        MAX_SECONDS if number >= len(target.seeds) else 20 * MAX_SECONDS
    )  # with the seeds kernels are compiled
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            target.read(path)
    except _TooLong:
        return {"kind": "fault", "what": f"longer than {MAX_SECONDS} s"}
    except target.errors as error:
        if number < len(target.seeds):
            return {"kind": "fault", "what": f"a seed is refused: {error}"}
        wrong = _wrong_words(str(error), folder.name if target.named else "")
        return {"kind": "fault", "what": f"{wrong}: {error!r}"[:500]} if wrong else {"kind": "refused"}
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[-1]
        return {"kind": "fault", "what": f"{error!r} in {frames.filename}:{frames.lineno}"[:500]}
    finally:
        signal.alarm(0)
    for warning in caught:
        wrong = _wrong_words(str(warning.message), folder.name)
        if warning.category is not UserWarning or wrong:
            return {"kind": "fault", "what": f"{warning.category.__name__}, {wrong}: {warning.message}"[:500]}
    left = {file.relative_to(folder) for file in folder.rglob("*")} - before
    return {"kind": "fault", "what": f"it leaves {left}"} if left else {"kind": "read"}


def _wrong_words(text: str, name: str) -> str:
    if "\n" in text:
        return "several lines"
    if name not in text:
        return "the input is not named"
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text):
        return "control characters"
    return "" if len(text) < 2000 else "a very long line"
