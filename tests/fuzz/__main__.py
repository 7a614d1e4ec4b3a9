"""Feed damaged inputs to every reader: ``python -m tests.fuzz --inputs 10000``. Status 1 if there is a fault."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from runner import Outcome, Target, damaged, run, written
from targets import MAKERS

from netenvs.command_line import exit_status, parse, refuse
from netenvs.spec import unknown_name

PROGRAM = "python -m tests.fuzz"


@dataclass(frozen=True)
class Args:
    """This feeds damaged inputs to every reader, and lists what a reader must not do."""

    inputs: int = 1000
    """So many inputs are tried for each reader."""
    seed: int = 0
    """It determines the inputs."""
    only: tuple[str, ...] = ()
    """Only these readers are tried; without it, all are."""
    write: int | None = None
    """The input of this number, of the first reader, is written to --out, and nothing is tried."""
    out: Path = Path("runs/fuzz")
    """The folder for --write."""


def main(args: Args) -> int:
    """Run the command; the exit status is 1 if there is a fault."""
    for name in args.only:
        if name not in MAKERS:
            refuse(PROGRAM, f"--only: {unknown_name('reader', name, MAKERS)}")
    names = args.only or tuple(MAKERS)
    if args.write is not None:
        print(written(damaged(MAKERS[names[0]](), args.write, args.seed), args.out))
        return 0
    _load()
    print(f"{'reader':<28}{'inputs':>8}{'read':>8}{'refused':>9}{'faults':>8}{'s':>7}")
    faults = inputs = 0
    for name in names:
        target, began = MAKERS[name](), time.perf_counter()
        outcome = run(target, args.inputs, args.seed)
        _tell(target, outcome, time.perf_counter() - began)
        faults, inputs = faults + len(outcome.faults), inputs + outcome.inputs
    print(f"{inputs} inputs, {faults} faults")
    return 1 if faults else 0


def _load() -> None:
    """Import what readers need, so that their processes, which are forked, do not do it each again."""
    import netenvs.abr.env
    import netenvs.cjs.env
    import netenvs.vp.env  # noqa: F401


def _tell(target: Target, outcome: Outcome, seconds: float) -> None:
    counts = f"{outcome.inputs:>8}{outcome.read:>8}{outcome.refused:>9}{len(outcome.faults):>8}{seconds:>7.0f}"
    print(f"{target.name:<28}{counts}", flush=True)
    for fault in outcome.faults[:20]:
        print(f"    input {fault.number}: {fault.what}", flush=True)


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(parse(Args, PROGRAM))))
