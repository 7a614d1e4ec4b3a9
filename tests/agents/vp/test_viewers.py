"""Attention over previous viewers: what it may see, its symmetries, training that resumes, folders, figures."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from agents import pretrained
from agents.training import CHECKPOINT
from agents.training.card import read
from agents.vp import experiment, learned, viewers
from agents.vp.angles import MIRROR, wrap
from agents.vp.irls import least_absolute
from agents.vp.scores import predict_windows, score
from agents.vp.training import Schedule, fit
from agents.vp.viewers import Args, Viewers, ViewersEnsemble
from agents.vp.viewers_model import HISTORY, HORIZON
from netenvs.vp.previous_viewers import PreviousViewers
from netenvs.vp.recordings import windows
from netenvs.vp.workload import load_recordings

SIZE = {"hidden": 12, "width": 6, "heads": 2, "dropout": 0.1}


@pytest.fixture
def model() -> ViewersEnsemble:
    """Two networks with random weights everywhere, also where training starts from zeros."""
    torch.manual_seed(0)
    ensemble = ViewersEnsemble(2, **SIZE).double().eval()
    with torch.no_grad():
        for parameter in ensemble.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return ensemble


@pytest.fixture
def folder(model, tmp_path):
    """That as a folder of weights."""
    pretrained.save(model.float(), tmp_path / "weights", "viewers", {"members": len(model.members), **SIZE})
    model.double()
    return tmp_path / "weights"


def random_windows(k=5, v=6):
    generator = torch.Generator().manual_seed(1)
    history = torch.randn(k, HISTORY, 3, generator=generator, dtype=torch.float64).cumsum(1) * 3
    others = torch.randn(k, v, HISTORY + HORIZON, 3, generator=generator, dtype=torch.float64).cumsum(2) * 3
    others[..., 2] += torch.linspace(-150, 150, v, dtype=torch.float64)[:, None]
    return history, others, torch.rand(k, v, generator=generator) < 0.7


def test_yaw_rotation_turns_the_prediction(model):
    history, others, present = random_windows()
    turn = torch.tensor([0, 0, 123.0], dtype=torch.float64)
    expected = model.displacement(history, (others, present))
    turned = model.displacement(wrap(history + turn), (wrap(others + turn), present))
    assert expected.abs().max() > 1
    torch.testing.assert_close(turned, expected, atol=1e-9, rtol=0)


def test_mirroring_mirrors_the_prediction(model):
    history, others, present = random_windows()
    mirror = torch.tensor(MIRROR, dtype=torch.float64)
    expected = model.displacement(history, (others, present)) * mirror
    mirrored = model.displacement(history * mirror, (others * mirror, present))
    torch.testing.assert_close(mirrored, expected, atol=1e-9, rtol=0)


def test_viewers_left_out_do_not_count(model):
    history, others, present = random_windows()
    expected = model.displacement(history, (others, present))
    others[~present] = 17.0
    torch.testing.assert_close(model.displacement(history, (others, present)), expected, atol=1e-12, rtol=0)
    few = model.displacement(history[:1], (others[:1, present[0]], present[:1, present[0]]))
    torch.testing.assert_close(few, expected[:1], atol=1e-12, rtol=0)
    assert not torch.allclose(model.displacement(history, (others + 5.0, present)), expected)


def test_finite_without_any_viewer(model):
    history, others, present = random_windows()
    assert model.displacement(history, (others, torch.zeros_like(present))).isfinite().all()
    assert model.displacement(history, (others[:, :0], present[:, :0])).isfinite().all()


def test_only_training_users_but_oneself_are_seen(folder, recordings_of):
    """Other recordings of test users and the own recording as a previous viewer have no influence; others have."""
    policy, small = Viewers(str(folder)), recordings_of()
    angles = small.angles_deg.reshape(3, 7, 130, 3)
    cut = windows(small, "train")
    asked = cut._replace(**{name: getattr(cut, name)[cut.user == 2] for name in cut._fields})

    def predict(changed: np.ndarray) -> np.ndarray:
        recordings = recordings_of(angles=changed.reshape(-1, 3))
        return predict_windows(policy, asked, PreviousViewers(recordings))

    expected = predict(angles)
    for users, influence in (([2, 4, 5, 6], False), ([1], True)):
        changed = angles.copy()
        changed[:, users] = changed[:, users] * 0.5 + 20
        assert np.array_equal(predict(changed), expected) != influence


def test_viewer_with_a_gap_is_left_out(folder, recordings_of):
    """One missing instant in its 3 s, and what a viewer did before and after has no influence."""
    policy, small = Viewers(str(folder)), recordings_of()
    cut = windows(small, "test")
    asked = cut._replace(**{name: getattr(cut, name)[:1] for name in cut._fields})
    gone = small.offset[2 * 7 + 1] + asked.sample[0] + 5 + np.arange(5)  # of user 1, video 2; 1 s
    time_s, angles = small.time_s.copy(), small.angles_deg.copy()
    time_s[gone] = 500.0
    paths = []
    for moved in (0.0, 15.0):
        angles[gone[0] - 8 : gone[0]] += np.float32(moved)
        recordings = replace(recordings_of(angles=angles), time_s=time_s)
        paths.append(predict_windows(policy, asked, PreviousViewers(recordings)))
    assert np.array_equal(*paths)


def test_policy_shapes(folder, small):
    policy, previous = Viewers(str(folder)), PreviousViewers(small)
    cut = windows(small, "test", history=20, horizon=30)
    long = predict_windows(policy, cut, previous)
    assert long.shape == (len(cut.user), 30, 3) and long.dtype == np.float32
    assert (np.abs(long[..., [0, 2]]) <= 180).all() and (np.abs(long[..., 1]) <= 90).all()
    assert np.array_equal(long[:, 20:], np.repeat(long[:, 19:20], 10, axis=1))
    short = predict_windows(policy, windows(small, "test", history=10, horizon=7), previous)
    assert np.array_equal(short, long[:, :7])
    one = policy.act(
        {"history": cut.history[1], "time_s": cut.time_s[1:2].astype(np.float32)},
        {"video": int(cut.video[1]), "user": int(cut.user[1]), "horizon": 30, "previous_viewers": previous},
    )
    np.testing.assert_allclose(one, long[1], atol=1e-3)


def test_policy_refuses(folder, small):
    policy, previous = Viewers(str(folder)), PreviousViewers(small)
    with pytest.raises(ValueError, match="needs 10 observed samples, not 4"):
        predict_windows(policy, windows(small, "test", history=4), previous)
    with pytest.raises(ValueError, match="needs previous viewers"):
        predict_windows(policy, windows(small, "test"), None)


def test_folder_round_trip(folder, model, small):
    policy = Viewers.from_pretrained(folder)
    for name, value in policy.model.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name], atol=0, rtol=0)
    assert policy.parameters == sum(value.numel() for value in model.state_dict().values())
    assert policy.bytes == (folder / "model.safetensors").stat().st_size
    assert json.loads((folder / "config.json").read_text())["policy"] == "viewers"


def damage_weights(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def other_size(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden": 13}))


def not_finite(folder):
    model = ViewersEnsemble(1, **SIZE)
    model.members[0].own.bias.data[0] = torch.nan
    pretrained.save(model, folder, "viewers", {"members": len(model.members), **SIZE})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_weights, "no safetensors file, train or"),
        (other_size, "its weights cannot be used"),
        (not_finite, "not all weights are finite"),
        (lambda folder: (folder / "model.safetensors").unlink(), "it has no model.safetensors"),
        (lambda folder: (folder / "config.json").write_text("{}"), "must name its 'policy'"),
        (lambda folder: (folder / "config.json").write_text('{"policy": "track"}'), "weights of 'track', not of"),
        (shutil.rmtree, "it has no config.json"),
    ],
)
def test_damaged_folder_is_one_line(folder, damage, message):
    damage(folder)
    with pytest.raises(ValueError, match=message) as error:
        Viewers.from_pretrained(folder)
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


def train(out, monkeypatch, small, **options):
    monkeypatch.setattr(experiment, "load_recordings", lambda name: small)
    viewers.main(Args(out=out, **{"epochs": 2, "batch_size": 16, "hidden": 12, "width": 6, "heads": 2, **options}))
    return pretrained.load(ViewersEnsemble, out, "viewers")[0].state_dict()


def test_training_resumes_to_the_same_bits(tmp_path, monkeypatch, small):
    expected = train(tmp_path / "whole", monkeypatch, small)
    again = train(tmp_path / "again", monkeypatch, small)
    assert all(torch.equal(again[name], value) for name, value in expected.items())

    class Killed(Exception):
        pass

    losses = 0

    def killed_later(*arguments):
        nonlocal losses
        losses += 1
        if losses == 9:
            raise Killed
        return viewers_loss(*arguments)

    viewers_loss = viewers.mirrored_loss
    schedule = viewers.Schedule
    monkeypatch.setattr(viewers, "Schedule", lambda *a, **k: schedule(*a, **k, checkpoint_steps=3))
    monkeypatch.setattr(viewers, "mirrored_loss", killed_later)
    with pytest.raises(Killed):
        train(tmp_path / "killed", monkeypatch, small)
    monkeypatch.setattr(viewers, "mirrored_loss", viewers_loss)
    torch.manual_seed(99)  # whatever else happened in the process
    resumed = train(tmp_path / "killed", monkeypatch, small)
    assert all(torch.equal(resumed[name], value) for name, value in expected.items())
    curves = [(tmp_path / name / "curve.jsonl").read_text() for name in ("whole", "killed")]
    assert curves[0] == curves[1] and len(curves[0].splitlines()) == 2


def test_training_moves_the_weights_and_seeds_differ(tmp_path, monkeypatch, small):
    first = train(tmp_path / "0", monkeypatch, small)
    second = train(tmp_path / "1", monkeypatch, small, seed=1)
    assert not torch.equal(first["members.0.correction.weight"], second["members.0.correction.weight"])
    assert first["members.0.movement_gate.weight"].abs().max() > 0


def test_checkpoint_of_another_training(tmp_path, monkeypatch, small):
    train(tmp_path / "run", monkeypatch, small)
    with pytest.raises(ValueError, match="made with another seed; remove it or write to another folder"):
        train(tmp_path / "run", monkeypatch, small, seed=1)
    (tmp_path / "run" / CHECKPOINT).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="not a checkpoint of this training; remove it"):
        train(tmp_path / "run", monkeypatch, small)


def test_combined_folder_holds_all_seeds_and_their_curves(tmp_path, monkeypatch, small):
    members = [train(tmp_path / str(seed), monkeypatch, small, seed=seed) for seed in (0, 1)]
    both = train(tmp_path / "both", monkeypatch, small, combine=(tmp_path / "0", tmp_path / "1"))
    for number, member in enumerate(members):
        weight = member["members.0.own.weight"]
        assert torch.equal(both[f"members.{number}.own.weight"], weight.half().float())
    assert both["scale"].shape == (HORIZON, 3) and not torch.equal(both["scale"], torch.ones(HORIZON, 3))
    found = read(tmp_path / "both")
    assert [training.seed for training in found.trainings] == [0, 1] and found.shipped is None
    assert len(found.training.curve) == 2
    assert f"{found.scores['test']['viewers'].mean:.3f}" in (tmp_path / "both" / "README.md").read_text()


def test_best_epoch_is_kept_not_the_last(tmp_path):
    model = torch.nn.Linear(1, 1)
    weights = []

    def validate(candidate):
        weights.append(candidate.weight.detach().clone())
        return {"valid": abs(len(weights) - 2)}  # the second is best

    run, kept = fit(
        model,
        4,
        lambda m, rows: m(torch.ones(len(rows), 1)).sum(),
        validate,
        Schedule(epochs=3, batch_size=2, learning_rate=0.1),
        seed=0,
        folder=tmp_path,
        settings={},
    )
    assert [point["valid"] for point in run.curve] == [1, 0, 1] and kept == 4
    assert torch.equal(model.weight, weights[1]) and not torch.equal(weights[1], weights[2])


def test_least_absolute_ignores_outliers():
    rng = np.random.default_rng(0)
    inputs, truth = rng.normal(size=(400, 3)), np.array([[1.0, -2.0], [0.5, 0.0], [0.0, 3.0]])
    targets = inputs @ truth
    targets[:80] += 500.0
    np.testing.assert_allclose(least_absolute(inputs, targets), truth, atol=0.02)


def test_fit_scale_finds_the_factor():
    generator = torch.Generator().manual_seed(0)
    predicted = 10 * torch.randn(50, HORIZON, 3, generator=generator)
    factors = torch.tensor([0.7, 0.9, 1.1])
    torch.testing.assert_close(learned.fit_scale(predicted, predicted * factors), factors.expand(HORIZON, 3))


def test_score_of_static(small):
    cut = windows(small, "valid")
    still = np.repeat(cut.history[:, -1:], HORIZON, axis=1)
    figures = score(still, cut)
    assert figures["mae"] == figures["static"] and figures["skill"] == 0 and figures["pairs"] == 2
    assert figures["ci95"][0] < figures["mae"] < figures["ci95"][1]
    assert figures["mae"] == pytest.approx(np.mean(figures["axes"]), abs=1e-4)
    assert figures["mae"] == pytest.approx(np.mean(figures["by_second"]), abs=1e-4)
    perfect = score(cut.future, cut)
    assert perfect["mae"] == 0 and perfect["skill"] == 1 and perfect["great_circle"] == pytest.approx(0, abs=1e-3)


def test_shipped_weights_are_small():
    policy = Viewers()
    assert policy.bytes < 4e6 and policy.parameters < 1e6


@pytest.mark.parametrize(("split", "static", "limit"), [("valid", 8.446, 7.30), ("test", 9.763, 8.40)])
def test_shipped_weights_on_jin2022(jin2022, split, static, limit):
    recordings = load_recordings("jin2022")
    cut = windows(recordings, split)
    figures = score(predict_windows(Viewers(), cut, PreviousViewers(recordings)), cut)
    assert figures["static"] == pytest.approx(static, abs=1e-3)
    assert figures["mae"] <= limit


def test_shipped_weights_on_unseen_videos_of_wu2017(wu2017):
    recordings = load_recordings("wu2017")
    cut = windows(recordings, "test")
    figures = score(predict_windows(Viewers(), cut, PreviousViewers(recordings)), cut)
    assert figures["static"] == pytest.approx(11.122, abs=1e-3)
    assert figures["mae"] <= 10.4
