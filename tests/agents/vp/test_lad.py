"""Least absolute deviations: the fit, the folder it is kept in, the coefficients that come with the project."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from agents.policy import PolicyError, load_policy
from agents.vp import lad
from agents.vp.damped_velocity import DampedVelocity
from agents.vp.scores import predict_windows
from netenvs.vp import sphere
from netenvs.vp.previous_viewers import PreviousViewers
from netenvs.vp.recordings import windows
from netenvs.vp.workload import load_recordings


def cut_and_fit(recordings, lags, horizon):
    return windows(recordings, "train", history=lags + 1, horizon=horizon, step=5), lad.fit(
        recordings, lags, horizon, 5
    )


def test_past_moves_run_from_the_last_sample_back():
    history = np.array([[[0, 0, 0], [1, 2, 175], [3, 5, -175], [6, 9, 179]]], dtype=float)
    assert lad.past_moves(history, 2)[0].tolist() == [[-3, -4, 6], [-5, -7, -4]]
    assert lad.past_moves(history, 3)[0, 2].tolist() == [-6, -9, -179]


def test_predictions_are_weighted_movements(tmp_path):
    coefficients = np.zeros((3, 2, 2))
    coefficients[0, 0], coefficients[1, 1], coefficients[2] = (2, 0), (0, 3), ((-1, 0), (-1, 2))
    save(tmp_path / "own", coefficients)
    history = np.array([[[9, 9, 9], [1, 2, 176], [2, 5, 178], [4, 6, -178]]], dtype=float)
    path = lad.LAD(str(tmp_path / "own")).predict(history, 2)
    assert path[0].tolist() == [[4 + 2 * -2, 6, -178 + 4], [4, 6 + 3 * -4, -178 + 4 - 12 + 360]]


def test_the_fit_recovers_what_made_the_paths(recordings_of):
    """Yaw keeps 0.6 of its velocity, pitch turns back by half of it; the rest is noise with outliers."""
    samples, keep = 400, np.array([0.0, -0.5, 0.6])
    noise = np.random.default_rng(0).standard_t(1.5, (3 * 7 * samples, 3)).clip(-30, 30)
    noise[:, 1] /= 10  # so that pitch stays below 90
    velocity = np.zeros_like(noise)
    for i in range(1, len(noise)):
        velocity[i] = keep * velocity[i - 1] + noise[i]
    angles = np.cumsum(velocity, axis=0)
    angles[:, [0, 2]] = sphere.wrap_deg(angles[:, [0, 2]])  # pitch is never wrapped
    coefficients = lad.fit(recordings_of(samples=samples, angles=angles.astype(np.float32)), 2, horizon=2, step=1)
    assert coefficients.shape == (3, 2, 2)
    for axis in range(3):  # a step of v is -v one sample back
        assert coefficients[axis, 0] == pytest.approx([-keep[axis], 0], abs=0.05)
        assert coefficients[axis, 1, 0] == pytest.approx(-keep[axis] - keep[axis] ** 2, abs=0.1)


def test_the_fit_beats_least_squares_and_damped_velocity(small, tmp_path):
    cut, coefficients = cut_and_fit(small, 4, 6)
    save(tmp_path / "fit", coefficients)
    past, ahead = lad.past_moves(cut.history, 4), cut.future.astype(float) - cut.history[:, -1:]
    ahead[..., [0, 2]] = sphere.wrap_deg(ahead[..., [0, 2]])
    squares = np.stack([np.linalg.lstsq(past[..., a], ahead[..., a], rcond=None)[0].T for a in range(3)])
    save(tmp_path / "squares", squares)
    error = {
        name: sphere.mae(policy.predict(cut.history.astype(float), 6), cut.future).mean()
        for name, policy in {
            "lad": lad.LAD(str(tmp_path / "fit")),
            "squares": lad.LAD(str(tmp_path / "squares")),
            "damped": DampedVelocity(),
        }.items()
    }
    assert error["lad"] < error["squares"] and error["lad"] < error["damped"]
    nudged = coefficients.copy()
    for axis, step, lag in ((0, 0, 0), (1, 3, 2), (2, 5, 1)):
        for change in (-0.05, 0.05):
            nudged[axis, step, lag] = coefficients[axis, step, lag] + change
            save(tmp_path / "nudged", nudged)
            path = lad.LAD(str(tmp_path / "nudged")).predict(cut.history.astype(float), 6)
            assert sphere.mae(path, cut.future).mean() > error["lad"] - 1e-3, "a minimum"
            nudged[axis, step, lag] = coefficients[axis, step, lag]


def save(folder: Path, coefficients: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text('{"policy": "lad"}')
    save_file({"coefficients": np.ascontiguousarray(coefficients, np.float32)}, folder / "model.safetensors")


def test_command_and_folder(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "own"
    args = lad.Args(folder, dataset="synthetic(videos=4,users=6)", lags=3, horizon=25, step=15)
    lad.main(args)
    said = capsys.readouterr().out
    assert "valid, 20 steps: " in said and f"written to {folder}" in said
    assert json.loads((folder / "config.json").read_text())["lags"] == 3
    policy = load_policy(str(folder), "vp")
    assert policy.name == "own" and policy.parameters == 3 * 25 * 3
    assert policy.bytes == (folder / "model.safetensors").stat().st_size
    recordings = load_recordings(args.dataset)
    assert np.allclose(policy.coefficients, lad.fit(recordings, 3, 25, 15), atol=1e-6)
    cut = windows(recordings, "valid", history=10, horizon=20)
    error = sphere.mae(predict_windows(policy, cut, PreviousViewers(recordings)), cut.future).mean()
    assert f"{error:.4f} degrees" in said, "only the last samples count"
    assert np.array_equal(
        load_policy(f"lad(folder={folder})", "vp").predict(cut.history, 5), policy.predict(cut.history, 25)[:, :5]
    )
    with pytest.raises(ValueError, match="is fitted for 25 steps, not for 26"):
        policy.predict(cut.history, 26)


def test_the_fit_needs_windows():
    with pytest.raises(ValueError, match="has no windows in its training split"):
        lad.fit(load_recordings("synthetic(videos=4,users=6,samples=80)"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), r"holds no fitted coefficients: it has no config\.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"it has no model\.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"no tensors"), "cannot be read, fit it anew"),
        (lambda folder: save_file({"c": np.zeros(3)}, folder / "model.safetensors"), "cannot be read, fit it anew"),
        (lambda folder: save(folder, np.zeros((2, 5, 4))), "must be finite numbers"),
        (lambda folder: save(folder, np.full((3, 5, 4), np.nan)), "must be finite numbers"),
    ],
)
def test_damaged_folders(tmp_path, spoil, message):
    save(tmp_path / "own", np.zeros((3, 5, 4)))
    spoil(tmp_path / "own")
    with pytest.raises(PolicyError, match=message) as caught:
        load_policy(f"lad(folder={tmp_path / 'own'})", "vp")
    assert "\n" not in str(caught.value) and "own" in str(caught.value)


def test_what_is_shipped():
    policy = load_policy("lad", "vp")
    assert policy.coefficients.shape == (3, 60, 9) and policy.parameters == 1620 and policy.bytes < 10_000
    config = json.loads((lad.SHIPPED / "config.json").read_text())
    assert config == {"policy": "lad", "dataset": "jin2022", "lags": 9, "horizon": 60, "step": 5}
    assert load_policy(str(lad.SHIPPED)).name == "vp-lad"


def test_what_is_shipped_is_what_the_command_fits(jin2022):
    coefficients = lad.fit(load_recordings("jin2022"), horizon=2)
    assert np.allclose(coefficients, load_policy("lad", "vp").coefficients[:, :2], atol=1e-5)


@pytest.mark.parametrize(
    ("dataset", "split", "expected"),
    [("jin2022", "valid", 8.182), ("jin2022", "test", 9.339), ("wu2017", "test", None)],
)
def test_shipped_errors(dataset, split, expected, request):
    request.getfixturevalue(dataset)
    recordings = load_recordings(dataset)
    cut = windows(recordings, split)
    error = sphere.mae(predict_windows(load_policy("lad", "vp"), cut, PreviousViewers(recordings)), cut.future).mean()
    assert error < 0.98 * sphere.mae(cut.history[:, -1:], cut.future).mean()
    if expected:
        assert error == pytest.approx(expected, abs=1e-3)


def test_the_command_line_says_what_is_wrong(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["lad", "--folder", str(tmp_path), "--dataset", "jin2023"])
    with pytest.raises(SystemExit, match="1"):
        lad.command()
    assert "error: unknown dataset 'jin2023'; did you mean 'jin2022'" in capsys.readouterr().err
