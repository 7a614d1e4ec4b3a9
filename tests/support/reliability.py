"""What commands leave behind when they are killed, run twice at once, or find no room, for docs/reliability.md.

    python -m tests.support.reliability --from FOLDER [--only NAME ...] [--jobs NAME ...] [--moments 20] [--seed 0]

FOLDER has the archives of ``netllm-abr``. Every command works on tiny settings, in folders of its own. Each trial is
judged twice, right after it (nothing half-made is taken for whole) and when the same command has been given again (the
result is that of one that nobody disturbed). A fault is printed, and the exit status is 1.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from netenvs.command_line import exit_status, parse

ROOT = Path(__file__).parents[2]
SMALL_FILE = 3000
"""Bytes that a file may have when the disk is full."""


@dataclass(frozen=True)
class Job:
    """A command, and how to tell what it has done."""

    words: Callable[[Path], list[str]]
    """Of ``python -m``, for a folder that it may write to."""
    whole: Callable[[Path], bool]
    """Whether the folder holds what would be taken for the result; raises where that is not whole."""
    result: Callable[[Path], str]
    """What must be the same whenever it has run."""


def run(words: list[str], folder: Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, check=False, **settings(folder), **options
    )


def settings(folder: Path) -> dict[str, object]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NETENVS_DATA": str(folder / "store"), "OMP_NUM_THREADS": "1"}
    return {"cwd": folder, "env": environment}


def tiny_llama(folder: Path) -> None:
    import torch
    from transformers import AutoModel, LlamaConfig

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    config = LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, vocab_size=16)
    AutoModel.from_config(config).save_pretrained(folder)


def digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def jobs(source: Path, made: Path) -> dict[str, Job]:
    """By name; ``made`` has a backbone and a teacher that the trainings are given."""

    def in_python(code: str, folder: Path) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, **settings(folder)
        )
        return done.stdout.strip()

    def installed(folder: Path) -> bool:
        code = "from netenvs import datasets as d; n = 'netllm-abr'; y = d.installed(n); y and d.verify(n); print(y)"
        return in_python(code, folder) == "True"

    def collected(folder: Path) -> bool:
        code = "from distill.pools.pool import Pool; Pool('pool').verify()"
        there = (folder / "pool" / "manifest.json").exists()
        if there:
            in_python(code, folder)
        return there

    def trained(folder: Path) -> bool:
        code = "from agents.policy import load_policy; load_policy('./run')"
        there = (folder / "run" / "config.json").exists()
        if there:
            in_python(code, folder)
        return there

    def compared(folder: Path) -> bool:
        out = folder / "out"
        for path in out.glob("*.json") if out.exists() else ():
            json.loads(path.read_text())
        for path in out.glob("*.png") if out.exists() else ():
            assert path.read_bytes().endswith(b"IEND\xaeB`\x82"), path
        page = out / "report.html"
        assert not page.exists() or page.read_text().rstrip().endswith("</html>"), page
        return page.exists()

    def scores(folder: Path) -> str:
        rows = json.loads((folder / "out" / "results.json").read_text())["rows"]
        return json.dumps([row["per_episode"] for row in rows])

    def shards(folder: Path) -> str:
        return digest(*sorted((folder / "pool").glob("*.safetensors")))

    tiny = ("sessions=8", "traces=2", "validation=2", "known=1")
    training = ["--iterations", "2", "--steps", "1", "--batch", "4", "--no-score", "--out", "run"]
    training += [word for setting in tiny for word in ("--set", setting)]
    short = ["--set", "warm_up=0", "--set", "improve=0"]
    episodes = ["--policies", "bba,bola", "--episodes", "20"]
    return {
        "install": Job(
            lambda folder: ["netenvs.datasets", "install", "netllm-abr", "--from", str(source)],
            installed,
            lambda folder: digest(*sorted((folder / "store" / "netllm-abr").glob("*.npz"))),
        ),
        "collect": Job(
            lambda folder: ["distill", "collect", "--task", "abr", *episodes, "--out", "pool"], collected, shards
        ),
        "teach": Job(
            lambda folder: ["distill", "teach", "--task", "abr", "--backbone", str(made / "llama"), *training, *short],
            trained,
            lambda folder: digest(folder / "run" / "model.safetensors"),
        ),
        "distill": Job(
            lambda folder: [
                "distill",
                "distill",
                "--task",
                "abr",
                "--teacher",
                str(made / "run"),
                "--no-improve",
                *training,
            ],
            trained,
            lambda folder: digest(folder / "run" / "model.safetensors"),
        ),
        "compare": Job(
            lambda folder: ["benchmarks.compare", "--task", "abr", *episodes, "--out", "out"], compared, scores
        ),
    }


class Trials:
    """Trials of one kind with one job, and their faults."""

    def __init__(self, job: Job, moments: int, rng: random.Random):
        self.job, self.moments, self.rng = job, moments, rng
        self.faults: list[str] = []
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            process = self._start(Path(folder))
            while process.poll() is None and not any(Path(folder).iterdir()):
                time.sleep(0.005)
            self.writing_from = time.monotonic() - begun
            assert process.wait() == 0
            self.seconds = time.monotonic() - begun
            assert job.whole(Path(folder))
            self.expected = job.result(Path(folder))

    def _finish(self, folder: Path, what: str) -> None:
        done = run(self.job.words(folder), folder)
        if done.returncode:
            raise AssertionError(f"{what}: status {done.returncode}: {done.stderr[-300:]}")

    def again(self, folder: Path, what: str) -> None:
        """The same command once more: it must come to the same."""
        try:
            self._finish(folder, what)
            if self.job.result(folder) != self.expected:
                self.faults.append(f"{what}: another result")
        except Exception as error:
            self.faults.append(f"{what}: {error}")

    def whole(self, folder: Path, what: str) -> bool:
        """Whether the result is there; a fault if it is not whole."""
        try:
            return self.job.whole(folder)
        except Exception as error:
            self.faults.append(f"{what}: half-made: {error}")
            return False

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", *self.job.words(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **settings(folder),
        )

    def kills(self) -> str:
        """``kill -9`` at random moments of the time that the command takes, and in turn of that in which it writes."""
        done = begun = 0
        for number in range(self.moments):
            share = self.rng.random()
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                process = self._start(folder)
                if number % 2:
                    while process.poll() is None and not any(folder.iterdir()):
                        time.sleep(0.002)
                after = share * (self.seconds - self.writing_from if number % 2 else self.seconds)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(after)
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                what = f"kill {number} after {after:.2f} s of {self.seconds:.2f} s"
                begun += any(folder.iterdir())
                done += self.whole(folder, what)
                self.again(folder, what)
        return f"{self.moments} kills, {begun} after something was written, {done} after the result was there"

    def twice(self) -> str:
        """Two at once in one folder: both come to the end, or one is refused in a line."""
        refused = 0
        for number in range(3):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                words = [sys.executable, "-m", *self.job.words(folder)]
                pair = [
                    subprocess.Popen(
                        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **settings(folder)
                    )
                    for _ in range(2)
                ]
                for process in pair:
                    said = process.communicate()[1]
                    refused += process.returncode != 0
                    lines = [line for line in said.splitlines() if not line.startswith("warning: ")]
                    if process.returncode and (len(lines) != 1 or "another" not in said):
                        self.faults.append(f"pair {number}: status {process.returncode}: {said[-300:]}")
                self.whole(folder, f"pair {number}")
                self.again(folder, f"pair {number}")
        return f"3 pairs, {refused} refused in a line"

    def full(self) -> str:
        """No file can grow beyond a few thousand bytes: a line with the path, and nothing half-made."""
        line = ""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            done = run(
                self.job.words(folder),
                folder,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_FILE, SMALL_FILE)),
            )
            lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
            line = lines[-1] if lines else ""
            if done.returncode != 1 or len(lines) != 1 or "File too large" not in line or "/" not in line:
                self.faults.append(f"full: status {done.returncode}: {done.stderr[-300:]}")
            if self.whole(folder, "full"):
                self.faults.append("full: it is there")
            self.again(folder, "full")
        return "one line" if not self.faults else line

    def elsewhere(self) -> str:
        """Without a home and with other locales."""
        places = {
            "no HOME": {"HOME": None},
            "LC_ALL=C": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            "ASCII": {"PYTHONIOENCODING": "ascii"},
            "tr_TR": {"LC_ALL": "tr_TR.UTF-8"},
        }
        for what, changes in places.items():
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                given = settings(folder)
                environment = {**given["env"], **changes}  # type: ignore[dict-item]
                given["env"] = {key: value for key, value in environment.items() if value is not None}
                words = [sys.executable, "-m", *self.job.words(folder)]
                done = subprocess.run(words, capture_output=True, check=False, **given)
                if done.returncode or self.job.result(folder) != self.expected:
                    self.faults.append(f"{what}: status {done.returncode}: {done.stderr[-300:]!r}")
        return "the same result with " + ", ".join(places)

    def sealed(self) -> str:
        """Where nothing can be written: what is there is used, and what cannot be made is one line."""
        seal = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
        with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as elsewhere:
            folder = Path(name)
            self.again(folder, "sealed")
            given = {**settings(folder), "cwd": elsewhere}
            before = ["unshare", "-m", "sh", "-c", seal, name, sys.executable, "-m"]
            if subprocess.run([*before[:-1], "-c", ""], capture_output=True, check=False, **given).returncode:
                return "not tried: this user cannot mount"
            words = ["benchmarks.compare", "--task", "abr", "--dataset", "fcc-test", "--policies", "bba"]
            used = (
                [*before, *words, "--episodes", "2", "--out", "out"] if self.job.words(folder)[1] == "install" else []
            )
            done = subprocess.run(used or ["true"], capture_output=True, text=True, check=False, **given)
            if done.returncode:
                self.faults.append(f"sealed: not used: {done.stderr[-300:]}")
            new = [f"{word}-2" if word in ("pool", "run", "out") else word for word in self.job.words(folder)]
            new = ["jin2022" if word == "netllm-abr" else word for word in new]
            given["cwd"] = folder
            done = subprocess.run([*before, *new], capture_output=True, text=True, check=False, **given)
            lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
            if done.returncode not in (1, 2) or len(lines) != 1 or "Read-only file system" not in lines[0]:
                self.faults.append(f"sealed: status {done.returncode}: {done.stderr[-300:]}")
        return "one line" + (", and the store is read" if used else "")


TRIALS = {
    "kills": Trials.kills,
    "twice": Trials.twice,
    "full": Trials.full,
    "elsewhere": Trials.elsewhere,
    "sealed": Trials.sealed,
}


@dataclass(frozen=True)
class Args:
    """This disturbs commands, and checks what they leave behind."""

    source: Annotated[Path, tyro.conf.arg(name="from")]
    """This folder has the archive of netllm-abr."""
    only: tuple[str, ...] = tuple(TRIALS)
    """These kinds of trials are made."""
    jobs: tuple[str, ...] = ("install", "collect", "teach", "distill", "compare")
    """These commands are disturbed."""
    moments: int = 20
    """Each is killed so often."""
    seed: int = 0
    """It determines the moments."""


def main(args: Args) -> int:
    faults = 0
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        known = jobs(args.source.resolve(), made)
        if {"teach", "distill"} & {*args.jobs}:
            tiny_llama(made / "llama")
            run(known["teach"].words(made), made)
        print("| command | trial | what came of it | faults |\n|---|---|---|---|", flush=True)
        for job in args.jobs:
            for kind in args.only:
                trials = Trials(known[job], args.moments, random.Random(f"{args.seed} {job} {kind}"))
                found = TRIALS[kind](trials)
                print(f"| {job} | {kind} | {found} | {len(trials.faults)} |", flush=True)
                for fault in trials.faults:
                    print(f"  {job} {kind}: {fault}", file=sys.stderr, flush=True)
                faults += len(trials.faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(parse(Args, "python -m tests.support.reliability"))))
