"""TRACK: its forward pass against a literal transcription, its symmetries, trainings, figures."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch.nn import functional

from agents import pretrained
from agents.vp import experiment, track
from agents.vp.angles import MIRROR, wrap
from agents.vp.scores import predict_windows, score
from agents.vp.track import Args, Track, TrackEnsemble, orthodromic
from agents.vp.track_model import HORIZON, PAST, TrackConfig, TrackNet, centred, to_degrees, to_vectors
from netenvs.vp import sphere
from netenvs.vp.heat_maps import COLUMNS, ROWS
from netenvs.vp.previous_viewers import PreviousViewers
from netenvs.vp.recordings import windows
from netenvs.vp.workload import load_recordings


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def random_windows(k=4):
    history = torch.randn(k, 10, 3, dtype=torch.float64).cumsum(1) * 5
    history[..., 2] = wrap(history[..., 2] + torch.linspace(-170, 170, k, dtype=torch.float64)[:, None])
    return history, torch.rand(k, PAST + HORIZON, ROWS, COLUMNS, dtype=torch.float64)


def random_ensemble(space="degrees", saliency=True, members=2):
    ensemble = TrackEnsemble(members, hidden=6, saliency=saliency, space=space, dropout=0.1).double().eval()
    with torch.no_grad():
        for parameter in ensemble.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))
    return ensemble


def lstm_step(weights, inputs, state):
    """One step of an LSTM, gates in torch's order."""
    w_input, w_state, b_input, b_state = weights
    i, f, g, o = (inputs @ w_input.T + b_input + state[0] @ w_state.T + b_state).chunk(4, dim=-1)
    cell = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


def test_forward_is_the_published_recursion():
    """Three encoders, three decoders; the fusing decoder starts every step from the encoder's state."""
    hidden = 6
    net = TrackNet(TrackConfig(hidden=hidden)).double().eval()
    history, maps = random_windows()
    expected = net(history, maps)

    zeros = torch.zeros(len(history), hidden, dtype=torch.float64)
    position_state = saliency_state = fuse_state = (zeros, zeros)
    vectors = to_vectors(history)
    encoder = {name: list(getattr(net, f"{name}_encoder").parameters()) for name in ("position", "saliency", "fuse")}
    decoder = {name: list(getattr(net, f"{name}_decoder").parameters()) for name in ("position", "saliency", "fuse")}
    for t in range(PAST):
        position_state = lstm_step(encoder["position"], vectors[:, t], position_state)
        saliency_state = lstm_step(encoder["saliency"], maps[:, t].flatten(1), saliency_state)
        joined = torch.cat([saliency_state[0], position_state[0]], dim=-1)
        fuse_state = lstm_step(encoder["fuse"], joined, fuse_state)
    position = vectors[:, PAST]
    for s in range(HORIZON):
        position_state = lstm_step(decoder["position"], position, position_state)
        saliency_state = lstm_step(decoder["saliency"], maps[:, PAST + s].flatten(1), saliency_state)
        fused, _ = lstm_step(decoder["fuse"], torch.cat([saliency_state[0], position_state[0]], dim=-1), fuse_state)
        position = position + net.movement(functional.relu(net.dense(fused)))
        torch.testing.assert_close(expected[:, s], position, atol=1e-12, rtol=0)


def test_vectors_and_degrees():
    angles = torch.tensor([[3.0, 0.0, 0.0], [4.0, 90.0, 0.0], [5.0, 0.0, 90.0], [6.0, -30.0, -150.0]]).double()
    vectors = to_vectors(angles)
    np.testing.assert_allclose(vectors.numpy(), sphere.view_vectors(angles.numpy()), atol=1e-12)
    np.testing.assert_allclose(to_degrees(7.0 * vectors, angles[:, 0]).numpy(), angles.numpy(), atol=1e-6)


def test_orthodromic_is_the_great_circle():
    history, _ = random_windows()
    predicted, actual = torch.randn(2, 4, HORIZON, 3, dtype=torch.float64) * 40
    last = history[:, -1:]
    expected = sphere.great_circle_deg((last + predicted).numpy(), (last + actual).numpy()).mean()
    assert float(orthodromic(history, predicted, actual)) == pytest.approx(expected, abs=1e-9)


def test_centred_brings_the_yaw_to_the_middle():
    """Column c is yaw -175 + 10 c: the middle is between columns 17 and 18; odd yaws share two columns."""
    maps = torch.zeros(3, 1, ROWS, COLUMNS)
    maps[:, :, 4, 20] = 1.0  # yaw 25
    turned = centred(maps, torch.tensor([30.0, 27.0, 25.0 - 360.0]))
    expected = torch.zeros_like(maps)
    expected[0, :, 4, 17] = 1.0
    expected[1, :, 4, 17], expected[1, :, 4, 18] = 0.7, 0.3
    expected[2, :, 4, 17], expected[2, :, 4, 18] = 0.5, 0.5
    torch.testing.assert_close(turned, expected)
    torch.testing.assert_close(centred(maps, torch.tensor([-180.0] * 3)), maps.roll(18, dims=-1))


def test_yaw_rotation_turns_the_prediction():
    ensemble, (history, maps) = random_ensemble(), random_windows()
    expected = ensemble.displacement(history, maps)
    turned = wrap(history + torch.tensor([0, 0, 70.0], dtype=torch.float64))
    assert expected.abs().max() > 1
    torch.testing.assert_close(ensemble.displacement(turned, maps.roll(7, dims=-1)), expected, atol=1e-9, rtol=0)
    assert not torch.allclose(ensemble.displacement(turned, maps), expected)


def test_mirroring_mirrors_the_prediction():
    ensemble, (history, maps) = random_ensemble(), random_windows()
    mirror = torch.tensor(MIRROR, dtype=torch.float64)
    mirrored = ensemble.displacement(history * mirror, maps.flip(-1))
    torch.testing.assert_close(mirrored, ensemble.displacement(history, maps) * mirror, atol=1e-9, rtol=0)


def test_sphere_has_no_roll_and_starts_at_the_last_sample():
    ensemble, (history, maps) = random_ensemble("sphere", members=1), random_windows()
    assert (ensemble.displacement(history, maps)[..., 0] == 0).all()
    with torch.no_grad():
        ensemble.members[0].movement.weight.zero_()
        ensemble.members[0].movement.bias.zero_()
    assert ensemble.displacement(history, maps).abs().max() < 1e-9


@pytest.mark.parametrize("variant", ["paper", "position-only", "recipe"])
def test_training_lowers_its_loss_and_resumes(variant, tmp_path, monkeypatch, small):
    monkeypatch.setattr(experiment, "load_recordings", lambda name: small)
    monkeypatch.setattr("sys.argv", ["track"])
    args = {"variant": variant, "hidden": 6, "step": 3, "epochs": 3}
    track.main(Args(out=tmp_path / "whole", **args))
    expected = (tmp_path / "whole" / "curve.jsonl").read_text()
    losses = [float(line.split('"train_loss": ')[1].split(",")[0]) for line in expected.splitlines()]
    assert len(losses) == 3 and losses[2] < losses[0]

    calls, whole_loss = [], {"recipe": track.mirrored_loss}.get(variant, track.sphere_loss)

    def killed(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole_loss(*arguments)

    name = "mirrored_loss" if variant == "recipe" else "sphere_loss"
    monkeypatch.setattr(track, name, killed)
    with pytest.raises(KeyboardInterrupt):
        track.main(Args(out=tmp_path / "killed", **args))
    monkeypatch.setattr(track, name, whole_loss)
    track.main(Args(out=tmp_path / "killed", **args))
    assert (tmp_path / "killed" / "curve.jsonl").read_text() == expected

    policy = Track.from_pretrained(tmp_path / "killed")
    assert (policy.assumption is None) == (variant == "position-only")
    cut = windows(small, "test")
    paths = predict_windows(policy, cut, PreviousViewers(small))
    assert paths.shape == cut.future.shape and np.isfinite(paths).all()
    if variant == "position-only":
        assert np.array_equal(predict_windows(policy, cut, None), paths)


def test_only_training_users_but_oneself_are_seen(tmp_path, recordings_of):
    small = recordings_of()
    config = TrackConfig(hidden=6, space="degrees", dropout=0.1)
    pretrained.save(random_ensemble(members=1).float(), tmp_path, "track", {"members": 1, **asdict(config)})
    policy, cut = Track(str(tmp_path)), windows(small, "train")
    asked = cut._replace(**{name: getattr(cut, name)[cut.user == 2] for name in cut._fields})
    angles = small.angles_deg.reshape(3, 7, 130, 3)
    expected = predict_windows(policy, asked, PreviousViewers(small))
    for users, influence in (([2, 4, 5, 6], False), ([1], True)):
        changed = angles.copy()
        changed[:, users] = changed[:, users] * 0.5 + 20
        recordings = recordings_of(angles=changed.reshape(-1, 3))
        seen = predict_windows(policy, asked, PreviousViewers(recordings))
        assert np.allclose(seen, expected, atol=1e-3) != influence


def test_damaged_weights_are_one_line(tmp_path):
    config = TrackConfig(hidden=6, space="degrees")
    pretrained.save(random_ensemble(members=1), tmp_path, "track", {"members": 1, **asdict(config)})
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no safetensors file, train or") as error:
        Track.from_pretrained(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("split", "static", "limit"), [("valid", 8.446, 8.446), ("test", 9.763, 9.40)])
def test_shipped_weights_on_jin2022(jin2022, split, static, limit):
    recordings = load_recordings("jin2022")
    cut = windows(recordings, split)
    figures = score(predict_windows(Track(), cut, PreviousViewers(recordings)), cut)
    assert figures["static"] == pytest.approx(static, abs=1e-3)
    assert figures["mae"] <= limit
