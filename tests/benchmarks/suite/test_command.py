"""``python -m benchmarks.compare --suite``, run in process on two traces a set."""

import csv
import json
import re

import pytest

from benchmarks.compare import command as compare
from benchmarks.suite import command as suite_command
from netenvs.files import only_one

pytestmark = pytest.mark.usefixtures("nothing_installed")

OWN = """
from agents.policy import Policy

class Lowest(Policy):
    def act(self, observation, info):
        return 0

class SixLevels(Policy):
    def act(self, observation, info):
        if info["video"].num_levels != 6:
            raise ValueError("six levels are needed")
        return 0
"""


@pytest.fixture(scope="module")
def optima(tmp_path_factory, nothing_installed):
    folder = tmp_path_factory.mktemp("optima")
    assert (
        compare.main(
            ["--task", "abr", "--suite", "worlds", "--episodes", "1", "--optima", str(folder), "--make-optima"]
        )
        == 0
    )
    return folder


@pytest.fixture
def run(command, optima):
    """Run it with optima of one trace a set."""

    def call(*words, episodes="1", folder=optima):
        return command("abr", "--suite", "worlds", "--episodes", episodes, "--optima", str(folder), *words)

    return call


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return str(path)


def test_a_table_a_report_and_files(run, own, tmp_path):
    status, results, out, err = run(
        "--policies", "bba,robust-mpc", "--policy", f"{own}:Lowest", "--json", str(tmp_path / "copy.json")
    )
    assert (status, err) == (0, "")
    assert json.loads((tmp_path / "copy.json").read_text()) == results
    assert "no set of the suite is installed" in out and "robust-mpc = 0, oracle = 1" in out
    assert re.search(r"synthetic x generated\(levels=10\) x \d", out)
    folder = tmp_path / "out"
    assert {path.name for path in folder.iterdir()} == {
        *("results.json", "cells.csv", "report.html"),
        *("heat_map.png", "heat_map.csv", "scores.png", "scores.csv"),
    }
    lines = list(csv.DictReader((folder / "cells.csv").read_text().splitlines()))
    assert len(lines) == 3 * 10 and {line["policy"] for line in lines} == {"bba", "robust-mpc", "Lowest"}
    page = re.sub(r"base64,[A-Za-z0-9+/=]+", "", (folder / "report.html").read_text())
    assert page.count("<img") == 2 and page.count("<h3>") == 3
    for outside in ("http:", "https:", "//", "<script", "<link", "@import", "url(", "href"):
        assert outside not in page


def test_results_have_the_agreed_schema(run):
    _, results, _, _ = run("--policies", "bba,robust-mpc")
    assert list(results) == [
        *("schema", "task", "suite", "split", "floor", "top", "settings", "versions", "metric", "cells", "rows")
    ]
    assert (results["floor"], results["top"], results["split"]) == ("robust-mpc", "oracle", "test")
    place = results["cells"][0]
    assert list(place) == [
        *("cell", "set", "ladder", "penalty", "options", "episodes", "floor", "top", "least_gain", "counts"),
        *("floor_per_episode", "top_per_episode"),
    ]
    rows = {row["policy"]: row for row in results["rows"]}
    assert rows["robust-mpc"]["suite_score"] == 0.0
    assert all(
        cell["mean"] == of["floor"] for cell, of in zip(rows["robust-mpc"]["cells"], results["cells"], strict=True)
    )
    counted = [cell["suite_score"] for cell in rows["bba"]["cells"] if cell["suite_score"] is not None]
    assert len(counted) == sum(place["counts"] for place in results["cells"])
    assert rows["bba"]["suite_score"] == pytest.approx(sum(counted) / len(counted))
    assert rows["bba"]["worst"]["suite_score"] == min(counted)
    assert list(rows["bba"]["cells"][0]) == [
        *("cell", "mean", "suite_score", "paired", "p", "p_holm", "below", "below_after_holm", "per_episode", "error")
    ]


def test_without_optima_there_are_raw_values_and_the_command_that_makes_them(run, tmp_path):
    status, results, out, _ = run("--policies", "bba", folder=tmp_path / "none")
    typed = (
        f"python -m benchmarks.compare --task abr --suite worlds --make-optima --episodes 1 --optima {tmp_path}/none"
    )
    assert status == 0 and typed in out.replace("\n", " ") and results["settings"]["optima_command"] == typed
    assert results["rows"][0]["suite_score"] is None and results["cells"][0]["counts"] is None
    assert "(" in out and not (tmp_path / "out" / "scores.png").exists()


def test_a_policy_that_fails_in_some_cells(run, own):
    status, results, out, err = run("--policies", f"bba,{own}:SixLevels")
    assert status == 1 and "six levels are needed" in err and "failed: 8 cells, " in out
    row = next(row for row in results["rows"] if row["policy"] == "SixLevels")
    assert row["suite_score"] is None and sum(cell["mean"] is not None for cell in row["cells"]) == 2
    assert results["rows"][0]["policy"] == "bba"


def test_all_policies_but_those_left_out_play_by_default(monkeypatch, tmp_path):
    monkeypatch.setattr(suite_command, "load_contenders", lambda task, specs, options: specs)
    monkeypatch.setattr(suite_command, "_play", lambda plan, words: print(plan.contenders) or 0)
    played = []
    monkeypatch.setattr("builtins.print", lambda names: played.extend(names))
    assert (
        compare.main(["--task", "abr", "--suite", "worlds", "--out", str(tmp_path / "out"), "--policy", "constant"])
        == 0
    )
    assert {"robust-mpc", "netllm", "bba"} < set(played) and not {"oracle", "random", "genet"} & set(played)
    assert played[-1] == "constant"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--suite", "world"], "--suite: unknown suite 'world'; did you mean 'worlds'?"),
        (["--suite", "worlds", "--split", "train"], "--split train: the suite has test, valid"),
        (["--suite", "worlds", "--set", "qoe=log"], "it chooses data sets and options; leave out --dataset and --set"),
        (["--suite", "worlds", "--dataset", "genet"], "leave out --dataset and --set"),
        (["--suite", "worlds", "--policies", "nobody"], "unknown policy 'nobody'"),
        (["--suite", "worlds", "--full", "--episodes", "2"], "--episodes and --full: give one of them"),
        (["--suite", "worlds", "--episodes", "999", "--policies", "bba"], "the largest set of the suite has"),
        (["--suite", "worlds", "--make-optima", "--policies", "bba"], "leave out --policies"),
        (["--split", "valid"], "--split, --optima: of suites, and none is named; give --suite"),
        (["--make-optima", "--full"], "--full, --make-optima, --optima: of suites"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(words, line, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(suite_command, "score", lambda *_: pytest.fail("something ran"))
    out = [] if "--make-optima" in words else ["--out", str(tmp_path / "out")]
    assert compare.main(["--task", "abr", *words, *out, "--optima", str(tmp_path / "optima")]) == 2
    err = capsys.readouterr().err
    assert line in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists() and not (tmp_path / "optima").exists()


def test_another_task_has_no_suites(capsys):
    assert compare.main(["--task", "cjs", "--suite", "worlds"]) == 2
    assert "--suite worlds: cjs has no suites" in capsys.readouterr().err


def test_two_commands_do_not_make_the_same_optima(tmp_path, capsys):
    with only_one(tmp_path / ".lock"):
        words = ["--task", "abr", "--suite", "worlds", "--episodes", "1", "--optima", str(tmp_path), "--make-optima"]
        assert compare.main(words) == 2
    assert "optima are being made there" in capsys.readouterr().err
