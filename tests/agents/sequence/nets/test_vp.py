"""The encoders and head of viewport prediction: symmetries, the seam, who is seen, layouts, and play."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from toy_sequence import GRUBackbone

from agents.rollout import EpisodeSpec, play
from agents.sequence.model import SequenceModel, Sequences
from agents.sequence.nets.vp import HISTORY, HORIZON, MAP_INSTANTS, VPNet
from agents.sequence.policy import SequencePolicy
from agents.vp.angles import MIRROR, UPSIDE_DOWN
from netenvs.vp.previous_viewers import PreviousViewers
from netenvs.vp.recordings import Recordings, Split, windows
from netenvs.vp.sphere import wrap_deg

SIZE = {"hidden": 12, "width": 6, "heads": 2, "dropout": 0.1}
USERS = 6


def make_recordings(seed=0):
    """Random walks over the whole sphere: users 0 to 3 are previous viewers, video 1 is for the test."""
    rng = np.random.default_rng(seed)
    samples, videos = 120, 2
    walks = np.cumsum(rng.normal(0, 2, (videos, USERS, samples, 3)), axis=2) + rng.uniform(-180, 180, (2, USERS, 1, 3))
    walks[..., 1] = walks[..., 1] % 120 - 60
    count = videos * USERS
    return Recordings(
        name="small",
        offset=np.arange(count + 1) * samples,
        angles_deg=wrap_deg(walks).reshape(-1, 3).astype(np.float32),
        time_s=np.tile(np.arange(samples) / 5.0, count),
        video=np.repeat(np.arange(videos), USERS).astype(np.int32),
        user=np.tile(np.arange(USERS), videos).astype(np.int32),
        splits={"train": Split((0,), (0, 1, 2, 3)), "test": Split((1,), (0, 4, 5))},
    )


def make_model(seed=0, backbone=None, **options):
    """Random weights everywhere, also where training starts from zeros."""
    torch.manual_seed(seed)
    model = SequenceModel(VPNet(16, **{**SIZE, **options}), backbone or GRUBackbone(16), context=1).eval()
    with torch.no_grad():
        for name, weights in model.task.named_parameters():
            weights.copy_(0.2 * torch.randn_like(weights))
            if "gate" in name or "query" in name:
                weights.mul_(3)
    return model


def seen(recordings, rows=None, viewers=True, saliency=False):
    """Observations and infos of test windows, as the environment gives them."""
    cut = windows(recordings, "test")
    rows = np.arange(len(cut.user)) if rows is None else rows
    known = PreviousViewers(recordings)
    observations = {"history": cut.history[rows], "time_s": cut.time_s[rows, None].astype(np.float32)}
    if saliency:
        first = np.rint(cut.time_s[rows] * 5).astype(np.int64) - HISTORY + 1
        observations["saliency"] = known.heat_maps(
            cut.video[rows], first, HISTORY + HORIZON, exclude_user=cut.user[rows]
        )
    infos = {"video": cut.video[rows], "user": cut.user[rows], "horizon": np.full(len(rows), HORIZON)}
    return observations, {**infos, "row": np.arange(len(rows)), "previous_viewers": known if viewers else None}


def predicted(model, observations, infos, **columns):
    """Mean and log scale of the parallel forward."""
    steps = {**model.task.observe(observations, infos), **columns}
    count = len(steps["history"])
    sequences = Sequences(
        steps, np.ones(count, dtype=np.int64), np.full((count, 0), -1), np.zeros(count, dtype=np.int64)
    )
    with torch.no_grad():
        return [output.double().numpy() for output in model(sequences)]


def changed(recordings, angles_deg):
    return replace(recordings, angles_deg=wrap_deg(angles_deg).astype(np.float32))


def close(one, other, tolerance=2e-3):
    assert np.abs(wrap_deg(one - other)).max() < tolerance


LAYOUTS = [{"tokenisation": "fused"}, {"tokenisation": "netllm"}, {"saliency": True}]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("turn", [30.0, -170.0])
def test_yaw_rotation_turns_the_prediction(layout, turn):
    recordings, model = make_recordings(), make_model(**layout)
    saliency = layout.get("saliency", False)
    expected, _ = predicted(model, *seen(recordings, saliency=saliency))
    by = np.array([0.0, 0.0, turn])
    turned, _ = predicted(model, *seen(changed(recordings, recordings.angles_deg + by), saliency=saliency))
    # heat maps are drawn on a grid of 10 degrees, which both turns are multiples of
    close(turned, expected + by, 0.02 if saliency else 2e-3)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("factors", [MIRROR, UPSIDE_DOWN])
def test_a_step_that_is_turned_over_is_predicted_as_its_mirror_image(layout, factors):
    recordings, model = make_recordings(), make_model(**layout)
    saliency = layout.get("saliency", False)
    given = seen(recordings, saliency=saliency)
    turn = np.tile(np.array(factors, dtype=np.float32), (len(given[1]["row"]), 1))
    inside, scale = predicted(model, *given, turn=turn)
    outside, expected = predicted(
        model, *seen(changed(recordings, recordings.angles_deg * np.array(factors)), saliency=saliency)
    )
    close(inside, outside * np.array(factors), 0.02 if saliency else 2e-3)
    np.testing.assert_allclose(scale, expected, atol=2e-3)
    assert np.abs(wrap_deg(inside - predicted(model, *given)[0])).max() > 0.5


def test_paths_are_angles_across_the_seam():
    recordings, model = make_recordings(), make_model()
    angles = recordings.angles_deg.copy()
    first = recordings.offset[np.flatnonzero(recordings.video == 1)[0]]
    yaw = angles[first + HISTORY + 19, 2]
    path, _ = predicted(model, *seen(changed(recordings, angles - [0, 0, yaw + 179.9])))
    assert path.min() >= -180 and path.max() < 180
    assert np.abs(np.diff(path[..., 2], axis=1)).max() > 180  # they do cross it


def test_previous_viewers_are_seen_unless_told_otherwise():
    recordings, model = make_recordings(), make_model()
    observations, infos = seen(recordings)
    with_them, _ = predicted(model, observations, infos)
    without = [
        predicted(model, *seen(recordings, viewers=False))[0],
        predicted(model, observations, infos, sees=np.zeros(len(infos["row"]), dtype=np.bool_))[0],
        predicted(model, observations, {name: infos[name] for name in ("video", "user", "horizon")})[0],
    ]
    model.task.look_at_viewers = False
    without.append(predicted(model, observations, infos)[0])
    for paths in without:
        close(paths, without[0], 1e-9)
    assert np.abs(wrap_deg(with_them - without[0])).max() > 0.5


def test_some_see_viewers_and_some_do_not():
    model, (observations, infos) = make_model(), seen(make_recordings())
    sees = np.arange(len(infos["row"])) % 2 == 0
    mixed, _ = predicted(model, observations, infos, sees=sees)
    close(mixed[sees], predicted(model, observations, infos)[0][sees])
    close(mixed[~sees], predicted(model, observations, infos, sees=sees & False)[0][~sees])
    tokens = model.task.embed({**model.task.observe(observations, infos), "sees": sees}, None, None)
    assert tokens.counts.tolist() == np.where(sees, 2, 1).tolist()
    assert len(tokens.embeddings) == tokens.counts.sum()


def test_the_own_recording_is_no_previous_viewer():
    recordings, model = make_recordings(), make_model()
    cut = windows(recordings, "test")
    own, other = np.flatnonzero(cut.user == 0), np.flatnonzero(cut.user == 4)
    angles = recordings.angles_deg.copy()
    number = np.flatnonzero((recordings.video == 1) & (recordings.user == 0))[0]
    angles[recordings.offset[number] : recordings.offset[number + 1]] += [3, 4, 50]
    moved = changed(recordings, angles)
    before = predicted(model, *seen(recordings))[0]
    observations, infos = seen(moved)
    observations["history"] = seen(recordings)[0]["history"]
    after = predicted(model, observations, infos)[0]
    close(after[own], before[own], 1e-9)
    assert np.abs(wrap_deg(after - before)[other]).max() > 0.5


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_batch_is_predicted_as_each_alone_and_play_as_training(layout):
    recordings, model = make_recordings(), make_model(**layout)
    saliency = layout.get("saliency", False)
    observations, infos = seen(recordings, saliency=saliency)
    together, _ = predicted(model, observations, infos)
    policy = SequencePolicy(model)
    policy.reset_rows(infos["row"], [None] * len(together))
    for _ in range(2):  # a second decision does not remember the first
        played = policy.act_batch(observations, infos)
        assert played.dtype == np.float32
        close(played, np.concatenate([together[..., :1], together[..., 1:2].clip(-90, 90), together[..., 2:]], axis=2))
    for row in range(0, len(together), 5):
        close(predicted(model, *seen(recordings, np.array([row]), saliency=saliency))[0][0], together[row], 1e-3)


@pytest.mark.parametrize(("horizon", "last"), [(1, 0), (20, 19), (30, 19)])
def test_paths_have_the_length_asked_for(horizon, last):
    net = make_model().task
    paths = np.random.default_rng(0).normal(0, 100, (4, HORIZON, 3))
    found = net.to_env(paths, {"horizon": np.full(4, horizon)})
    assert found.shape == (4, horizon, 3) and found.dtype == np.float32
    np.testing.assert_allclose(found[:, -1, ::2], paths[:, last, ::2], rtol=1e-6)
    assert np.abs(found[..., 1]).max() == 90


def test_one_token_a_viewport_in_netllms_layout():
    recordings = make_recordings()
    net = make_model(tokenisation="netllm").task
    observations, infos = seen(recordings)
    steps = net.observe(observations, infos)
    tokens = net.embed(steps, None, None)
    assert tokens.counts.tolist() == [HISTORY] * len(infos["row"])
    before = tokens.embeddings.view(-1, HISTORY, 16)
    steps["history"] = steps["history"].copy()
    steps["history"][:, 3] += 5
    after = net.embed(steps, None, None).embeddings.view(-1, HISTORY, 16)
    assert (before != after).any(dim=2).sum(dim=0).tolist() == [0, 0, 0, len(before), *[0] * 6]


def test_image_features_are_a_token_of_their_own(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "features.npz"
    frames = {str(video): rng.normal(size=(300, 5)).astype(np.float32) for video in range(1, 30)}
    np.savez(path, rate=5.0, **frames)
    options = {"dataset": "synthetic(videos=6,users=8)", "features": str(path)}
    env = gym.make_vec("netenvs/VP-v0", num_envs=3, **options)
    observations, infos = env.reset(seed=0)
    infos = {**infos, **env.unwrapped.shared_info}
    for layout, tokens in (("fused", 3), ("netllm", 1 + HISTORY)):
        model = make_model(features=5, tokenisation=layout)
        found = model.task.embed(model.task.observe(observations, infos), None, None)
        assert found.counts.tolist() == [tokens] * 3
        before, _ = predicted(model, observations, infos)
        others = {**observations, "features": observations["features"][:, ::-1].copy()}
        assert np.abs(predicted(model, others, infos)[0] - before).max() > 1e-3
        assert len(play(SequencePolicy(model), "netenvs/VP-v0", [EpisodeSpec(0)], options)) == 1
    env.close()


def test_heat_maps_are_a_token_of_their_own():
    model = make_model(saliency=True)
    observations, infos = seen(make_recordings(), saliency=True)
    tokens = model.task.embed(model.task.observe(observations, infos), None, None)
    assert set(tokens.counts.tolist()) == {3}
    before, _ = predicted(model, observations, infos)
    for instant in range(HISTORY + HORIZON):
        maps = observations["saliency"].copy()
        maps[:, instant] = maps[:, instant, ::-1]
        found = np.abs(predicted(model, {**observations, "saliency": maps}, infos)[0] - before).max()
        assert (found > 1e-4) == (instant - HISTORY + 1 in MAP_INSTANTS)


@pytest.mark.parametrize(
    ("options", "broken", "message"),
    [
        ({}, {"history": np.zeros((2, 6, 3))}, "10 observed samples, not 6: set history=10"),
        ({"features": 5}, {}, "5 image features of a frame, not none: set features=FILE"),
        ({"features": 5}, {"features": np.zeros((2, 4))}, "5 image features of a frame, not 4"),
        ({"saliency": True}, {}, "set saliency=True"),
        ({"saliency": True}, {"saliency": np.zeros((2, 15, 18, 36))}, "set horizon=20"),
    ],
)
def test_observations_without_what_it_reads(options, broken, message):
    observations, infos = seen(make_recordings(), np.arange(2))
    with pytest.raises(ValueError, match=message):
        make_model(**options).task.observe({**observations, **broken}, infos)


def test_steps_that_see_viewers_need_them_at_hand():
    net = make_model().task
    steps = net.observe(*seen(make_recordings()))
    net.previous_viewers = None
    with pytest.raises(ValueError, match="set the net's previous_viewers"):
        net.embed(steps, None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"returns": True}, "returns=False"), ({"heads": 0}, "1 or more"), ({"dropout": 1.0}, "dropout in")],
)
def test_impossible_nets(options, message):
    with pytest.raises(ValueError, match=message):
        VPNet(16, **options)


@pytest.mark.parametrize("layout", [*LAYOUTS, {"features": 3, "tokenisation": "netllm"}])
def test_a_net_is_made_again_of_its_config(layout):
    net = VPNet(16, **{**SIZE, **layout})
    again = VPNet(16, **net.config())
    assert again.config() == net.config()
    again.load_state_dict(net.state_dict())


def test_displacements_are_scaled_at_play_only():
    model, given = make_model(), seen(make_recordings())
    last = given[0]["history"][:, -1:]
    before = wrap_deg(predicted(model, *given)[0] - last)
    model.task.shrink[1] = 0.5
    close(wrap_deg(predicted(model, *given)[0] - last), before / 2)
    model.task.dropout.p = 0.0
    model.train()
    close(wrap_deg(predicted(model, *given)[0] - last), before)


def test_half_precision_leaves_degrees_alone():
    model, given = make_model(), seen(make_recordings())
    with torch.no_grad():  # only the linear path is left
        for layer in (model.task.correction, model.task.movement_gate, model.task.position_gate):
            layer.weight.zero_()
            layer.bias.zero_()
    expected, _ = predicted(model, *given)
    with torch.autocast("cpu", torch.bfloat16):
        close(predicted(model, *given)[0], expected, 1e-4)
