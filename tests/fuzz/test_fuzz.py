"""Some hundred damaged inputs for every reader: none of them ends in anything but a result or one line.

``python -m tests.fuzz --inputs 10000`` tries more; figures stand in docs/reliability.md.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from mutators import mutated
from runner import Target, run
from targets import MAKERS

ROOT = Path(__file__).parents[2]
INPUTS = 120
GROUPS = [sorted(MAKERS)[start::3] for start in range(3)]


@pytest.mark.parametrize("readers", GROUPS, ids=lambda readers: "+".join(readers))
def test_no_damaged_input_is_a_fault(readers):
    command = [sys.executable, "-m", "tests.fuzz", "--inputs", str(INPUTS), "--only", *readers]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert f"{INPUTS * len(readers)} inputs, 0 faults" in done.stdout


def a_reader(act):
    return Target("toy", [{"file": b"1 2\n3 4\n"}], act)


def test_a_fault_of_each_kind_is_seen():
    import os
    import warnings

    def refuse(path, text):
        if path.read_bytes() != b"1 2\n3 4\n":
            raise ValueError(text.format(path=path))

    acts = {
        "TypeError": lambda path: None + 1,
        "the input is not named": lambda path: refuse(path, "bad"),
        "several lines": lambda path: refuse(path, "{path}: bad\nworse"),
        "control characters": lambda path: refuse(path, "{path}: \x1b[31m"),
        "a seed is refused": lambda path: exec("raise ValueError('x')"),
        "it leaves": lambda path: (path.parent / "left").write_text("x"),
        "RuntimeWarning": lambda path: warnings.warn(f"{path}", RuntimeWarning, stacklevel=1),
        "the process died": lambda path: os.kill(os.getpid(), 9),
        "MemoryError": lambda path: bytes(2**40),
    }
    for what, act in acts.items():
        outcome = run(a_reader(act), 4)
        assert outcome.faults and any(what in fault.what for fault in outcome.faults), (what, outcome.faults)
    good = run(a_reader(lambda path: refuse(path, "{path}: it differs; mend it")), 50)
    assert (good.inputs, good.faults) == (50, [])
    assert good.refused > 25


def test_the_same_seed_gives_the_same_inputs():
    import random

    seeds = MAKERS["json-workloads"]().seeds
    one, same, other = (mutated(seeds[0], random.Random(seed), seeds) for seed in (1, 1, 2))
    assert one == same != other
