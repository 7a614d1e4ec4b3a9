"""Exported students on the oldest onnxruntime that is promised, in an environment of its own, against PyTorch.

::

    python tests/support/oldest_onnxruntime.py

It makes an environment with onnxruntime 1.17 and numpy 1.26 (``--python`` takes one that is there) and exports the
student of every task that is shipped, and small ones of every kind with random weights. Whole episodes are played with
PyTorch here and with the file there, decision by decision on the same observations, and all outputs must agree as
``python -m distill export`` demands. Status 1 if they do not.
"""

from __future__ import annotations

import argparse
import io
import struct
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np

WANTED = ("onnxruntime==1.17.*", "numpy==1.26.*")


def send(stream, arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    stream.write(struct.pack("<q", content.tell()) + content.getvalue())
    stream.flush()


def received(stream):
    """None at the end of the stream."""
    size = stream.read(8)
    if not size:
        return None
    with np.load(io.BytesIO(stream.read(struct.unpack("<q", size)[0]))) as arrays:
        return {name: arrays[name] for name in arrays.files}


def serve(file):
    """Run in the old environment: inputs of a decision from standard input, its outputs to standard output."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    while (inputs := received(sys.stdin.buffer)) is not None:
        send(sys.stdout.buffer, dict(zip(names, session.run(names, inputs), strict=True)))


class Session:
    """What ``OnnxPolicy`` needs of a session, from a process of another Python."""

    def __init__(self, python, file):
        command = [python, "-I", __file__, "--serve", str(file)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, names, inputs):
        send(self.process.stdin, inputs)
        found = received(self.process.stdout)
        if found is None:
            raise RuntimeError("the old onnxruntime stopped, see above")
        return [found[name] for name in names or found]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def environment(folder):
    """Python of a new environment with the oldest versions."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-I", "-m", "pip", "install", "--quiet", *WANTED], check=True)
    return python


def compare(python, folder):
    """Status: 1 if a file differs or cannot be made, else 0."""
    from small_students import STUDENTS, save_student

    from agents.export.onnx_policy import OnnxPolicy
    from agents.policy import load_policy
    from agents.registry import tasks_with
    from distill.__main__ import main
    from distill.commands.export import check

    cases = [(task, f"{task}-mamba4net", "mamba4net") for task in tasks_with("graph")]
    cases += [(save_student(name, folder / name), f"{name}-random", str(folder / name)) for name in STUDENTS]
    status = 0
    for task, name, policy in cases:
        file = folder / f"{name}.onnx"
        if main(["export", "--policy", policy, "--task", task, "--out", str(file)]):
            return 1
        exported = OnnxPolicy(str(file))
        exported.session = Session(python, file)
        try:
            checked = check(load_policy(policy, task), exported, task)
            print(f"{name}: over {checked.decisions} decisions outputs differ by {checked.difference:.1e} at most")
        except (ValueError, RuntimeError) as error:
            print(f"{name}: {error}")
            status = 1
        exported.session.close()
    return status


def run():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", type=Path, help="of an environment that is there")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        python = given.python or environment(Path(folder) / "environment")
        say = (
            "import numpy, onnxruntime as o, platform as p; print(p.python_version(), o.__version__, numpy.__version__)"
        )
        versions = subprocess.run([python, "-I", "-c", say], check=True, capture_output=True, text=True).stdout.split()
        print("Python {}, onnxruntime {}, numpy {}".format(*versions), flush=True)
        return compare(python, Path(folder))


if __name__ == "__main__":
    sys.exit(run())
