"""Commands in fresh interpreters that have heavy libraries already."""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

LIBRARIES = ["accelerate", "gymnasium", "matplotlib.pyplot", "numba", "peft", "torch", "transformers", "tyro"]
"""Imported once, not by each command. None is a package of ours: those are imported anew."""

KINDS = multiprocessing.get_all_start_methods()
FRESH = multiprocessing.get_context("forkserver" if "forkserver" in KINDS else "spawn")
if "forkserver" in KINDS:
    FRESH.set_forkserver_preload(LIBRARIES)


class Done(NamedTuple):
    """What is left of a command."""

    returncode: int
    stdout: str
    stderr: str


def python(*words: str, folder: Path, paths: Sequence[Path] = (), environment: Mapping[str, str] | None = None) -> Done:
    """Run ``python -m MODULE ...`` or ``python FILE.py ...`` in ``folder``.

    Arguments:
        words: those after ``python``.
        folder: the working directory.
        paths: where packages are looked for first.
        environment: variables on top of those of this process.
    """
    with TemporaryDirectory() as said:
        out, err = Path(said, "out"), Path(said, "err")
        arguments = (list(words), str(folder), [str(path) for path in paths], dict(environment or {}), out, err)
        process = FRESH.Process(target=_run, args=arguments)
        process.start()
        process.join(300)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"python {' '.join(words)} has not ended after 300 s")
        return Done(process.exitcode, out.read_text(), err.read_text())


def _run(words: list[str], folder: str, paths: list[str], environment: dict[str, str], out: Path, err: Path) -> None:
    for descriptor, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), descriptor)
    os.chdir(folder)
    os.environ.update(environment)
    sys.path[:0] = [folder, *paths]
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
