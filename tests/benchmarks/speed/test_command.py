"""The speed benchmark runs, prints every measurement and writes it down. No timing is judged here."""

import json

import pytest

from benchmarks.speed import cjs as speed_cjs
from benchmarks.speed import command as speed
from benchmarks.speed import vp as speed_vp
from benchmarks.speed.default import default_speed
from benchmarks.speed.measurement import Measurement, rates
from netenvs import datasets, tasks
from netenvs.datasets import netllm_vp

QUICK = ["--num-envs", "2", "--runs", "2", "--seconds", "0.001"]
ABR = {"--dataset": "synthetic(count=3)"}
VP = {"--dataset": "synthetic(videos=12,users=24,samples=150)"}
CJS = {"--dataset": "synthetic(count=3)", "--num-executors": "4", "--num-jobs": "3"}


def run(env, options, path):
    words = [word for pair in options.items() for word in pair]
    assert speed.main(["--env", env, *QUICK, *words, "--json", str(path)]) == 0
    return json.loads(path.read_text())


def test_bitrates(tmp_path, capsys):
    written = run("abr", ABR, tmp_path / "speed.json")
    assert (written["schema"], written["env"], written["dataset"]) == (1, "abr", "synthetic(count=3)")
    labels = list(written["runs"][0])
    assert labels[:3] == ["plain loop (steps/s)", "gym.make (steps/s)", "make_vec x 2 (steps/s)"]
    assert {label.split()[0] for label in labels[3:]} == {"bba", "robust-mpc", "oracle"}
    assert labels[-1] == "oracle (s/trace)"
    assert len(written["runs"]) == 2
    for values in written["runs"]:
        assert list(values) == labels
        assert all(value > 0 for value in values.values())
    first, second, *lines = capsys.readouterr().out.splitlines()
    assert "synthetic(count=3)" in first and "2 runs" in first
    assert second == "seconds of one core; median (lowest .. highest); ratio to plain loop"
    assert [line.split("  ")[0] for line in lines] == labels
    assert [line.endswith(" x") for line in lines] == [False, True, True] + [False] * (len(labels) - 3)


def test_job_scheduling(tmp_path, capsys):
    written = run("cjs", CJS, tmp_path / "speed.json")
    assert {key: value for key, value in written.items() if key != "runs"} == {
        "schema": 1,
        "env": "cjs",
        "dataset": "synthetic(count=3)",
        "num_envs": [2],
        "num_executors": 4,
        "num_jobs": 3,
    }
    labels = list(written["runs"][0])
    assert labels == [
        *(
            f"{side} ({unit}/s)"
            for side in ("plain loop", "simpy engine", "fast engine")
            for unit in ("tasks", "decisions")
        ),
        "gym.make, Scheduler in Python (decisions/s)",
        "make_vec x 1, act_batch (decisions/s)",
        "make_vec x 2, act_batch (decisions/s)",
    ]
    assert all(value > 0 for values in written["runs"] for value in values.values())
    _, second, *lines = capsys.readouterr().out.splitlines()
    assert second == "seconds of one core; median (lowest .. highest); ratio to plain loop, ratio to simpy engine"
    assert [line.split("  ")[0] for line in lines[:-2]] == labels
    assert [line.count(" x") for line in lines[:6]] == [0, 0, 1, 1, 2, 2]
    assert "not measured here" in lines[-2]


def test_trainings(tmp_path, capsys):
    path = tmp_path / "speed.json"
    assert speed.main(["--train", "--num-envs", "2", "--runs", "1", "--seconds", "0.001", "--json", str(path)]) == 0
    written = json.loads(path.read_text())
    assert written["env"] == "train"
    (values,) = written["runs"]
    assert [label.partition(":")[0] for label in values] == ["udr, PPO", "decima, rollout"]
    assert all(value > 0 for value in values.values())
    printed = capsys.readouterr().out
    assert "3 epochs, batches of 1,504 (steps/s)" in printed and "2 clusters of N=10, J=20 (decisions/s)" in printed


def test_all_sides_of_job_scheduling_do_the_same_work():
    """The engines follow the same numbers; the plain loop draws its own durations for the same jobs."""
    sides = {
        measurement.name: measurement.work
        for measurement in speed_cjs.measurements("synthetic(count=3)", [2], num_executors=4, num_jobs=3)
    }
    for _ in range(speed_cjs.SEEDS + 1):
        tasks, decisions = sides["fast engine"]()
        assert (tasks, decisions) == sides["simpy engine"]()
        assert tasks == sides["plain loop"]()[0]


def test_viewport_prediction(tmp_path, capsys):
    written = run("vp", VP, tmp_path / "speed.json")
    assert {key: value for key, value in written.items() if key != "runs"} == {
        "schema": 1,
        "env": "vp",
        "dataset": VP["--dataset"],
        "num_envs": [2],
    }
    labels = list(written["runs"][0])
    assert labels[:4] == [f"{side} (windows/s)" for side in ("plain loop", "arrays", "make_vec x 2", "gym.make")]
    (regression,) = labels[4:]
    assert regression.startswith("linear-regression, ") and regression.endswith(" windows (s/split)")
    assert all(value > 0 for values in written["runs"] for value in values.values())
    _, _, *lines = capsys.readouterr().out.splitlines()
    assert [line.count(" x") - line.count("make_vec x") for line in lines[:5]] == [0, 1, 1, 1, 0]
    assert "not measured here" in lines[5]


def test_all_sides_of_viewport_prediction_do_as_many_windows():
    sides = {part.name: part.work for part in speed_vp.measurements(VP["--dataset"], [3])}
    assert sides["plain loop"]() == sides["arrays"]()
    assert (sides["make_vec x 3"](), sides["gym.make"]()) == ((3,), (100,))
    regression = next(name for name in sides if name.startswith("linear-regression"))
    assert f", {sides['arrays']()[0]:,} windows" in regression


@pytest.mark.skipif(not datasets.installed("wu2017"), reason="the data set wu2017 is not installed")
def test_loading_reads_the_files_each_time(monkeypatch):
    reads = []
    unpack = netllm_vp.unpack
    monkeypatch.setattr(netllm_vp, "unpack", lambda file: reads.append(file) or unpack(file))
    (load,) = (part for part in speed_vp.measurements("wu2017", [2]) if part.name == "loading wu2017")
    reads.clear()
    assert (load.work(), load.work()) == ((1,), (1,))
    assert len(reads) == 2


def test_tiled_streaming(tmp_path, capsys):
    written = run("vp-streaming", {"--dataset": "synthetic(videos=12,users=24,samples=60)"}, tmp_path / "speed.json")
    assert (written["env"], written["num_envs"]) == ("vp-streaming", [2])
    labels = list(written["runs"][0])
    assert labels == [
        *(f"{side} (steps/s)" for side in ("plain loop", "gym.make", "make_vec x 2")),
        "static-rate act_batch x 64 with environment (decisions/s)",
        "static-rate act (decisions/s)",
    ]
    assert all(value > 0 for values in written["runs"] for value in values.values())
    _, _, *lines = capsys.readouterr().out.splitlines()
    assert [line.endswith(" x") for line in lines] == [False, True, True, False, False]


def test_a_task_without_a_record_is_measured_with_random_actions():
    found = default_speed(tasks.find("abr")).measurements("synthetic(count=3)", [3])
    assert [part.labels for part in found] == [["gym.make (steps/s)"], ["make_vec x 3 (steps/s)"]]
    assert [part.work() for part in found] == [(64,), (192,)]
    with pytest.raises(ValueError, match="unknown traces 'sinthetic'"):
        default_speed(tasks.find("abr")).measurements("sinthetic", [3])


def test_unknown_environments_and_options_are_one_line(capsys, tmp_path):
    wrong = {
        ("--env", "abx"): "unknown environment 'abx'; did you mean 'abr'? known: abr, cjs, vp, vp-streaming",
        ("--env", "abr", "--dataset", "sinthetic"): "unknown traces 'sinthetic'",
        ("--env", "cjs", "--dataset", "sinthetic"): "unknown workload 'sinthetic'",
        ("--env", "vp", "--dataset", "sinthetic"): "unknown dataset 'sinthetic'",
        ("--env", "abr", "--num-jobs", "3"): "--num-jobs is no option of --env abr",
        ("--env", "abr", "--json", str(tmp_path / "no" / "x.json")): f"--json {tmp_path / 'no' / 'x.json'}: there is",
        ("--env", "cjs", "--json", str(tmp_path)): f"--json {tmp_path}: this is a folder; give a file",
        ("--env", "abr", "--runs", "0"): "--runs: '0' is not a whole number from 1 up",
        ("--env", "abr", "--seconds", "nan"): "--seconds: 'nan' is not a positive number of seconds",
        ("--train", "--dataset", "synthetic"): "--dataset is no option of --train",
        (): "one of the arguments --env --train --policy is required",
    }
    for words, message in wrong.items():
        assert speed.main(words) == 2, words
        captured = capsys.readouterr()
        assert captured.err.startswith(f"error: {message}") and captured.err.count("\n") == 1
        assert captured.out == ""


def test_rates_count_units_of_all_pieces():
    pieces = iter([(3, 30), (4, 40)])
    slow, fast = rates(lambda: next(pieces), 0.0)
    assert fast == pytest.approx(10 * slow) and slow > 0
    assert next(pieces) == (4, 40), "one piece was enough"


def test_report_relates_what_counts_the_same():
    measurements = [
        Measurement("plain", ("tasks", "decisions"), lambda: (1, 1)),
        Measurement("simpy", ("tasks", "decisions"), lambda: (1, 1)),
        Measurement("env", ("decisions",), lambda: (1,)),
        Measurement("oracle", ("trace",), lambda: (1,), inverse=True),
    ]
    runs = [
        {"plain (tasks/s)": 50.0 * drift, "plain (decisions/s)": drift, "simpy (tasks/s)": 25.0 * drift}
        | {"simpy (decisions/s)": 0.5 * drift, "env (decisions/s)": 3000.0 * drift, "oracle (s/trace)": 2.0}
        for drift in (1, 2, 5)
    ]
    lines = speed.report(measurements, ("plain", "simpy"), runs)
    assert [line.split() for line in lines] == [
        ["plain", "(tasks/s)", "100", "(50", "..", "250)"],
        ["plain", "(decisions/s)", "2.000", "(1.000", "..", "5.000)"],
        ["simpy", "(tasks/s)", "50", "(25", "..", "125)", "0.5", "x"],
        ["simpy", "(decisions/s)", "1.000", "(0.500", "..", "2.500)", "0.5", "x"],
        ["env", "(decisions/s)", "6,000", "(3,000", "..", "15,000)", "3000.0", "x", "6000.0", "x"],
        ["oracle", "(s/trace)", "2.000", "(2.000", "..", "2.000)"],
    ]
