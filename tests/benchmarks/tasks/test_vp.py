"""The command on viewport prediction: a few generated viewers, and the published means where they are installed."""

import csv
import functools
import importlib

import numpy as np
import pytest

from agents.registry import registered
from benchmarks.compare import command as compare
from netenvs import datasets
from netenvs.vp import sphere
from netenvs.vp.recordings import windows
from netenvs.vp.workload import load_recordings

SMALL = "synthetic(videos=12,users=24,samples=150)"
OWN_POLICIES = '''
from agents.vp.predictor import Predictor
from agents.policy import BatchPolicy, Policy

class Still(Predictor):
    def predict(self, history, horizon):
        return history[:, -1:].repeat(horizon, axis=1)

class Turns(Policy):
    """Half a turn off, one window at a time."""

    def act(self, observation, info):
        return observation["history"][-1:].repeat(info["horizon"], axis=0) + [0.0, 0.0, 180.0]

class Nowhere(BatchPolicy):
    def act_batch(self, observations, infos):
        return observations["history"] * float("nan")
'''


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(OWN_POLICIES)
    return str(path)


@pytest.fixture
def run(command):
    """``command`` with the task."""
    return functools.partial(command, "vp")


def row_of(results, policy):
    return next(row for row in results["rows"] if row["policy"] == policy)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_numbers_are_those_of_the_windows_as_arrays(run):
    status, results, out, err = run("--dataset", SMALL, "--policies", "velocity,static")
    cut = windows(load_recordings(SMALL), "test")
    still = sphere.score_windows(np.repeat(cut.history[:, -1:], 20, axis=1), cut.future, cut.history[:, -1])
    assert (status, err) == (0, "")
    assert results["metric"] == {"name": "mae_deg", "unit": "degrees", "better": "lower"}
    assert results["settings"]["episodes"] == len(cut.sample)
    row = row_of(results, "static")
    assert row["per_episode"] == pytest.approx(still.mae.tolist(), abs=1e-12), "windows in the order of the split"
    assert row["terms"] == pytest.approx(
        {
            "great_circle_deg": still.gc_deg.mean(),
            "tile_recall": still.tile_recall.mean(),
            "tile_iou": still.tile_iou.mean(),
        }
    )
    assert (row["skill"], row["paired"], row["assumption"]) == (0.0, None, None)
    other = row_of(results, "velocity")
    assert other["skill"] == pytest.approx(1 - other["mean"] / row["mean"])
    assert other["paired"]["to"] == "static"
    assert other["paired"]["mean"] == pytest.approx(other["mean"] - row["mean"])
    assert f"Viewport prediction: {SMALL}, {len(cut.sample)} windows, MAE (degrees), lower is better" in out


def test_intervals_are_over_viewer_video_pairs(run, tmp_path):
    """Two windows of one pair give no interval; with a window of a second pair there is one."""
    cut = windows(load_recordings(SMALL), "test")
    in_first = int(np.count_nonzero((cut.video == cut.video[0]) & (cut.user == cut.user[0])))
    words = ["--dataset", SMALL, "--policies", "static,velocity", "--episodes"]
    _, results, out, _ = run(*words, str(in_first))
    assert in_first > 1
    assert row_of(results, "static")["ci95"] is row_of(results, "velocity")["paired"]["ci95"] is None
    assert "95 % intervals: bootstrap over 1 viewer-video pair\n" in out
    _, results, out, _ = run(*words, str(in_first + 1), out="more")
    means = [np.mean(scores) for scores in np.split(row_of(results, "static")["per_episode"], [in_first])]
    assert row_of(results, "static")["ci95"] == pytest.approx(sorted(means))
    assert results["settings"]["groups"] == {"what": "viewer-video pair", "count": 2}
    assert "95 % intervals: bootstrap over 2 viewer-video pairs\n" in out
    page = (tmp_path / "more" / "report.html").read_text()
    assert "percentile bootstrap over viewer-video pairs" in page
    assert page.count("over 2 viewer-video pairs") >= 2, "notes and caption"


def test_error_by_horizon(run, tmp_path):
    run("--dataset", SMALL, "--policies", "static,linear-regression", "--set", "horizon=5")
    cut = windows(load_recordings(SMALL), "test", horizon=5)
    still = sphere.great_circle_deg(cut.history[:, -1:], cut.future).mean(axis=0)
    drawn = [row for row in rows_of(tmp_path / "out" / "profile.csv") if row["policy"] == "static"]
    assert [float(row["ahead_s"]) for row in drawn] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert [float(row["great_circle_deg"]) for row in drawn] == pytest.approx(still.tolist(), abs=1e-6)
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.suffix == ".png") == [
        *("cdf.png", "example.png", "mean.png", "profile.png", "relative.png", "terms.png")
    ]


def test_what_is_far_worse_than_static_does_not_set_the_scale(run, tmp_path):
    words = ["--dataset", SMALL, "--set", "history=5", "--policies"]
    run(*words, "static,damped-velocity,linear-regression")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Lower panel: difference to static. Cut off there: linear-regression." in page
    assert "tells a policy apart from static. Off the scale, see the arrow: linear-regression." in page
    run(*words, "static,linear-regression", out="worse")
    page = (tmp_path / "worse" / "report.html").read_text()
    assert "Cut off" not in page and "Off the scale" not in page


def test_the_example_is_one_window(run, tmp_path):
    _, results, _, _ = run("--dataset", SMALL, "--policies", "static", "--episodes", "9")
    scores = row_of(results, "static")["per_episode"]
    number = int(np.argsort(scores)[4])
    cut = windows(load_recordings(SMALL), "test")
    rows = rows_of(tmp_path / "out" / "example.csv")
    paths = {
        name: np.array(
            [[float(row[f"{axis}_deg"]) for axis in ("roll", "pitch", "yaw")] for row in rows if row["path"] == name]
        )
        for name in ("observed", "recorded", "predicted")
    }
    assert paths["observed"] == pytest.approx(cut.history[number], abs=1e-4)
    assert paths["recorded"] == pytest.approx(cut.future[number], abs=1e-4)
    assert sphere.mae(paths["predicted"], paths["recorded"]) == pytest.approx(scores[number], abs=1e-4)
    assert f"Window {number}, seed {number}, MAE (degrees)" in (tmp_path / "out" / "report.html").read_text()


def test_assumptions_are_marked_and_the_best_without_is_named(run, tmp_path):
    _, results, out, _ = run("--dataset", SMALL, "--policies", "static,neighbours,damped-velocity")
    assumption = "at least 10 logged viewers of the same video"
    assert row_of(results, "neighbours")["assumption"] == assumption
    assert "neighbours †" in out and "static †" not in out
    assert f"† needs {assumption}; the others do without" in out
    page = (tmp_path / "out" / "report.html").read_text()
    assert '<th scope="row">neighbours †</th>' in page
    best = results["rows"][0]["policy"]
    frugal = next(row["policy"] for row in results["rows"] if row["assumption"] is None)
    assert (f"; without, {frugal} is best: " in page) == (best == "neighbours")


def test_your_own_predictor_and_one_that_fails(run, own):
    status, results, _, err = run(
        *("--dataset", SMALL, "--policies", "static", "--episodes", "8"),
        *("--policy", f"{own}:Still", "--policy", f"{own}:Turns", "--policy", f"{own}:Nowhere"),
    )
    assert status == 1
    assert [row["policy"] for row in results["rows"]][-2:] == ["Turns", "Nowhere"]
    assert row_of(results, "Still")["per_episode"] == row_of(results, "static")["per_episode"]
    assert row_of(results, "Still")["paired"]["mean"] == 0.0
    assert row_of(results, "Turns")["skill"] < -1
    assert err.startswith("failed: Nowhere: window 0, seed 0, decision 0: ValueError: ")


def test_splits_and_settings(run):
    words = ["--dataset", SMALL, "--policies", "static"]
    _, valid, _, _ = run(*words, "--set", "split=valid", out="valid")
    assert valid["dataset"] == f"{SMALL}, valid" and "valid split: " in valid["settings"]["details"]["recordings"]
    cut = windows(load_recordings(SMALL), "valid")
    assert row_of(valid, "static")["mean"] == pytest.approx(
        sphere.mae(np.repeat(cut.history[:, -1:], 20, axis=1), cut.future).mean()
    )
    _, longer, _, _ = run(*words, "--set", "history=20", "--set", "horizon=30", out="longer")
    assert longer["settings"]["details"]["window"] == (
        "20 samples (4 s) observed, 30 (6 s) predicted; one every 3 s of a recording"
    )


def test_wrong_words_stop_before_anything_runs(run, tmp_path):
    for words, message in [
        (["--set", "mode=replay"], "--set mode: a comparison plays the windows of the published protocol"),
        (["--set", "stride_s=1"], "--set stride_s: it belongs to mode=replay"),
        (["--set", "render_mode=ansi"], "draws its own plots"),
        (["--set", "dataset=jin2022"], "the data set is chosen with --dataset"),
        (["--set", "split=tset"], "did you mean 'test'?"),
        (["--set", "history=40"], "trim_head (30 samples) must be at least history (40)"),
        (["--dataset", "syntetic"], "did you mean 'synthetic'?"),
        (["--dataset", SMALL, "--episodes", "100000"], "--episodes 100000: "),
        (["--policies", "statik"], "did you mean 'static'?"),
    ]:
        status, results, out, err = run(*words)
        assert (status, results, out) == (2, None, ""), words
        assert err.startswith("error: ") and len(err.splitlines()) == 1, words
        assert message in err, (words, err)
    assert not (tmp_path / "out").exists()


def test_list_shows_recordings_and_what_predictors_need(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    assert compare.main(["--task", "vp", "--list"]) == 0
    out = capsys.readouterr().out
    assert "no: python -m netenvs.datasets install wu2017" in out
    assert out.count("logged viewers") == len(needing_viewers()) > 1


def needing_viewers():
    """Names of the registered policies whose class has an assumption."""
    return [
        name
        for name, entry in registered("vp").items()
        if getattr(importlib.import_module(entry.target.partition(":")[0]), entry.target.partition(":")[2]).assumption
    ]


@pytest.mark.parametrize(
    ("dataset", "settings", "means"),
    [
        ("jin2022", [], (9.763, 17.500, 19.474)),
        ("jin2022", ["--set", "history=20", "--set", "horizon=30"], (11.386, 19.430, 23.096)),
        ("wu2017", [], (11.122, 18.708, 20.523)),
    ],
)
def test_published_means_are_reproduced(run, dataset, settings, means):
    """Means of NetLLM's own code, executed, and of closed forms equal to it to five digits."""
    if not datasets.installed(dataset):
        pytest.skip(f"the data set {dataset} is not installed")
    _, results, _, _ = run("--dataset", dataset, "--policies", "static,velocity,linear-regression", *settings)
    found = [row_of(results, name)["mean"] for name in ("static", "velocity", "linear-regression")]
    assert found == pytest.approx(means, abs=1e-3)
