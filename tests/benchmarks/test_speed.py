"""The speed benchmark runs, prints every measurement and writes it down. No timing is judged here."""

import json

import pytest

from benchmarks import speed

QUICK = ["--env", "abr", "--num-envs", "2", "--runs", "2", "--seconds", "0.001"]


@pytest.mark.parametrize("dataset", ["synthetic(count=3)"])
def test_measures_prints_and_writes(dataset, tmp_path, capsys):
    path = tmp_path / "speed.json"
    assert speed.main([*QUICK, "--dataset", dataset, "--json", str(path)]) == 0
    written = json.loads(path.read_text())
    assert (written["schema"], written["env"], written["dataset"]) == (1, "abr", dataset)
    assert len(written["runs"]) == 2
    names = list(written["runs"][0])
    assert names[:3] == ["plain loop (steps/s)", "gym.make (steps/s)", "make_vec x 2 (steps/s)"]
    assert {name.split()[0] for name in names[3:]} == {"bba", "robust-mpc", "oracle"}
    for run in written["runs"]:
        assert list(run) == names
        assert all(value > 0 for value in run.values())
    first, *lines = capsys.readouterr().out.splitlines()
    assert dataset in first and "2 runs" in first
    assert [line.split("  ")[0] for line in lines] == names
    assert all((" x" in line) == ("(steps/s)" in line and "plain" not in line) for line in lines[:3])


def test_rate_counts_units():
    calls = []
    assert speed.rate(lambda: calls.append(0) or 10, 0.0) > 0
    assert len(calls) == 1


def test_bad_data_sets_are_one_line(capsys):
    assert speed.main(["--env", "abr", "--dataset", "sinthetic"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: unknown traces 'sinthetic'") and captured.err.count("\n") == 1
    assert captured.out == ""
