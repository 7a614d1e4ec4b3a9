"""Feed damaged inputs to every reader: ``python -m tests.fuzz --inputs 10000``. Status 1 if there is a fault."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from runner import damaged, run, written
from targets import MAKERS


def _load() -> None:
    """Import what readers need, so that their processes, which are forked, do not do it each again."""
    import netenvs.abr.env
    import netenvs.cjs.env
    import netenvs.vp.env  # noqa: F401


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000, help="so many for each reader (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="it determines them (default: %(default)s)")
    parser.add_argument("--only", nargs="*", default=list(MAKERS), choices=MAKERS, metavar="READER", help="only these")
    parser.add_argument("--write", type=int, metavar="NUMBER", help="this input of the first reader is written instead")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="folder for --write (default: %(default)s)")
    args = parser.parse_args()
    _load()
    faults = inputs = 0
    print(f"{'reader':<28}{'inputs':>8}{'read':>8}{'refused':>9}{'faults':>8}{'s':>7}")
    for name in args.only:
        target = MAKERS[name]()
        if args.write is not None:
            print(written(damaged(target, args.write, args.seed), args.out))
            return 0
        began = time.perf_counter()
        outcome = run(target, args.inputs, args.seed)
        seconds = time.perf_counter() - began
        found = outcome.faults or []
        print(
            f"{target.name:<28}{outcome.inputs:>8}{outcome.read:>8}{outcome.refused:>9}{len(found):>8}{seconds:>7.0f}",
            flush=True,
        )
        for fault in found[:20]:
            print(f"    input {fault.number}: {fault.what}", flush=True)
        faults, inputs = faults + len(found), inputs + outcome.inputs
    print(f"{inputs} inputs, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
