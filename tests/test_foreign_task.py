"""A task of another installed package: every command takes it, and no shared file knows of it."""

import json
import shutil
from pathlib import Path

import pytest
from fresh import python

ROOT = Path(__file__).parents[1]
PLUGIN = Path(__file__).parent / "support" / "plugin"
TASK = "load-balancing"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the package as pip installs it."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(PLUGIN / "toy_balance", folder / "toy_balance")
    about = folder / "toy_balance-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-balance\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[netenvs.tasks]\n{TASK} = toy_balance.task:TASK\n")
    return folder


@pytest.fixture
def run(site, tmp_path):
    """Run ``python -m MODULE ...`` with the package installed; its output, or its one line and exit status."""

    def run(*words: str, status: int = 0) -> str:
        done = python("-m", *words, folder=tmp_path, paths=[site, ROOT], environment={"COLUMNS": "200"})
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    return run


def test_compared(run, tmp_path):
    table = run("benchmarks.compare", "--task", TASK, "--episodes", "4", "--json", "results.json", "--out", "out")
    assert "shortest-queue" in table and "round-robin" in table
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    means = {row["policy"]: row["mean"] for row in rows}
    assert means["shortest-queue"] < means["round-robin"]
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000


def test_listed_and_named_in_help(run):
    listed = run("benchmarks.compare", "--task", TASK, "--list")
    assert "round-robin" in listed and "heavy" in listed
    assert TASK in run("benchmarks.compare", "--help") and TASK in run("benchmarks.speed", "--help")
    assert TASK in run("benchmarks.compare", "--task", "load-balancin", status=2)
    words = ("--task", TASK, "--policies", "round-robin")
    assert "did you mean 'servers'" in run("benchmarks.compare", *words, "--set", "server=2", status=2)
    assert "did you mean 'servers'" in run("distill", "collect", *words, "--out", "p", "--set", "server=2", status=2)


def test_measured(run):
    assert "steps/s" in run("benchmarks.speed", "--env", TASK, "--runs", "1", "--seconds", "0.05")


def test_collected(run):
    words = ("--task", TASK, "--dataset", "heavy", "--episodes", "3", "--out", "pool")
    assert "6 episodes" in run("distill", "collect", *words, "--policies", "round-robin,shortest-queue")
    about = run("distill", "info", "pool")
    assert "requests waiting" in about and "toy/Balance-v0" in about
    assert "intact" in run("distill", "verify", "pool")


def test_taught_and_distilled(run, tiny_llama, tmp_path):
    small = ("--iterations", "1", "--steps", "2", "--no-score", "--set", "episodes=1")
    run("distill", "teach", "--task", TASK, "--out", "teacher", "--backbone", str(tiny_llama), *small)
    run("distill", "distill", "--task", TASK, "--teacher", "teacher", "--init", "random", "--out", "student", *small)
    for folder in ("teacher", "student"):
        assert json.loads((tmp_path / folder / "config.json").read_text())["task"] == TASK
    played = ("--policies", "round-robin,./teacher,./student", "--episodes", "2", "--json", "played.json")
    run("benchmarks.compare", "--task", TASK, *played)
    rows = json.loads((tmp_path / "played.json").read_text())["rows"]
    assert [row["error"] for row in rows] == [None] * 3
