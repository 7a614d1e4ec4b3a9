"""Streaming policies: the contract, what they choose by hand, and who beats whom."""

import itertools

import gymnasium as gym
import numpy as np
import pytest

from agents.policy import PolicyError, load_policy
from agents.registry import registered
from agents.rollout import EpisodeSpec, play
from agents.testing import check_policy
from agents.vp_streaming.bounds import OracleViewport
from agents.vp_streaming.crowd import CrowdRate, by_expected_quality
from agents.vp_streaming.predicted_viewport import PredictedViewport
from agents.vp_streaming.rates import BufferBased, RateBased, highest_affordable, sizes_mbyte, zone_levels
from agents.vp_streaming.tiled import Tiled, chunk_paths
from netenvs.vp import sphere
from netenvs.vp.previous_viewers import PreviousViewers
from netenvs.vp.recordings import Split, pack_recordings
from netenvs.vp_streaming.tiles import TileGrid, viewport_rings

ID = "netenvs/VPStreaming-v0"
RULES = sorted(set(registered("vp-streaming")) - {"viewers-rate"})


@pytest.mark.parametrize("name", RULES)
def test_contract(name):
    check_policy(load_policy(name, "vp-streaming"), "vp-streaming", episodes=4)


@pytest.mark.parametrize("name", RULES)
def test_other_settings(name):
    options = {"tiles": "6x12", "rates_mbps": [2.0, 6.0], "buffer_cap_s": 5.0, "fov_deg": [90.0, 80.0]}
    (episode,) = play(load_policy(name, "vp-streaming"), ID, [EpisodeSpec(seed=5)], options)
    assert episode.actions.shape == (47, 72) and episode.actions.max() <= 2
    if name not in ("oracle-viewport", "random-tiles"):
        assert episode.actions.min() == 1 and not episode.columns["viewport_stall_s"].any()


def test_learned_predictor_streams():
    """Four members, seconds of work: a single episode."""
    policy = load_policy("viewers-rate", "vp-streaming")
    (episode,) = play(policy, ID, [EpisodeSpec(seed=5)])
    assert policy.parameters > 10_000 and "viewers" in policy.assumption
    assert np.isfinite(episode.rewards).all()


# --- rules for rates ---


def test_rates_follow_the_throughput():
    sizes = np.array([[0.1, 0.5, 1.0]] * 4)
    past = np.zeros((4, 8), dtype=np.float32)
    past[0, -2:] = [4, 12]  # harmonic mean 6 Mbit/s: 0.75 Mbyte in a second
    past[1] = [100, 100, 100, 8, 8, 8, 8, 8]  # the last five count: 1 Mbyte
    past[2, -1] = 0.1
    assert RateBased(1.0).choose({"throughput_mbps": past}, sizes).tolist() == [1, 2, 0, 0]
    assert RateBased(0.5).choose({"throughput_mbps": past}, sizes).tolist() == [0, 1, 0, 0]
    assert highest_affordable(sizes[:1], np.array([1.0])).tolist() == [2], "the budget itself is affordable"


def test_rates_follow_the_buffer():
    seconds = np.array([[0.5], [1.0], [1.49], [1.5], [2.2], [3.0], [9.0]], dtype=np.float32)
    rule = BufferBased(1.0, 2.0)
    assert rule.choose({"buffer_s": seconds}, np.zeros((7, 5))).tolist() == [0, 0, 0, 1, 2, 4, 4]


def test_zones_and_their_sizes():
    ring = np.array([[0, 1, 2, 3], [1, 0, 0, 1]])
    assert zone_levels(ring, 3, margin=1).tolist() == [
        [[1, 1, 1, 1], [2, 1, 1, 1], [3, 2, 1, 1]],
        [[1, 1, 1, 1], [1, 2, 2, 1], [2, 3, 3, 2]],
    ]
    assert zone_levels(ring, 3, margin=0)[0].tolist() == [[1, 1, 1, 1], [2, 1, 1, 1], [3, 1, 1, 1]]
    choices = np.array([[[0, 1, 2, 3], [3, 3, 0, 0]]])
    tile_mbyte = np.array([[1.0, 2.0, 3.0, 4.0]], dtype=np.float32)
    assert sizes_mbyte(choices, tile_mbyte, (2.0, 3.0, 8.0)).tolist() == [[2 + 4.5 + 16, 4 + 8]]


def test_estimated_sizes_are_those_that_are_fetched():
    policy, env = load_policy("static-rate", "vp-streaming"), gym.make(ID)
    observation, info = env.reset(seed=2)
    policy.reset(seed=0)
    for _ in range(20):
        action = policy.act(observation, info)
        estimate = sizes_mbyte(action[None, None], observation["tile_mbyte"][None], info["rates_mbps"])[0, 0]
        observation, *_, info = env.step(action)
        assert info["fetched_mbyte"] == pytest.approx(estimate, rel=2e-3)


# --- predictions ---


def test_paths_are_those_of_the_next_chunk():
    """A predictor that knows the recording sees the chunk as it will be watched, whatever the buffer."""

    class Knows:
        def __init__(self, angles):
            self.angles = angles

        def act_batch(self, observations, infos):
            last = round(float(observations["time_s"][0, 0]) * 5)
            return self.angles[last + 1 : last + 1 + int(infos["horizon"])][None]

    env = gym.make(ID, action_mode="zones").unwrapped
    observation, info = env.reset(seed=1)
    watched = env.watched()
    knows = Knows(np.concatenate([watched.reshape(-1, 3), np.zeros((20, 3), dtype=np.float32)]))
    leads = set()
    for _ in range(46):
        batch = {name: values[None] for name, values in observation.items()}
        path = chunk_paths(knows, batch, {"lead": np.array([info["lead"]]), "horizon": info["horizon"]})
        assert np.array_equal(path[0], watched[info["chunk"]])
        leads.add(info["lead"])
        observation, *_, info = env.step([2, 1, 1])
    assert len(leads) > 3


def test_the_viewport_of_the_prediction_has_the_highest_rate():
    env = gym.make(ID)
    observation, info = env.reset(seed=3)
    policy = Tiled(predictor="velocity-unwrapped", margin=2)
    for _ in range(12):
        levels = policy.act(observation, info).reshape(8, 8)
        ahead = policy.predictor.act(observation, info)[info["lead"] - 1 : info["lead"] + 4]
        mask = sphere.tile_masks(ahead, 8, 8).any(axis=0)
        assert len(set(levels[mask])) == 1 and (levels[~mask] <= levels[mask][0]).all()
        if levels.max() > 1:
            assert np.array_equal(levels == levels.max(), mask)
        observation, *_, info = env.step(levels.reshape(-1))


def test_oracle_fetches_what_is_seen_and_nothing_else():
    (episode,) = play(OracleViewport(), ID, [EpisodeSpec(seed=4)])
    columns = episode.columns
    assert not columns["wasted_mbyte"].any() and not columns["viewport_stall_s"].any()
    assert (columns["tile_recall"] == 1).all() and (columns["tile_precision"] == 1).all()
    assert not columns["quality_spread"].any()


def test_who_beats_whom():
    """Knowing the viewport > any prediction > the whole sphere at one rate; a straight line loses to standing still."""
    specs = [EpisodeSpec(i, i, {"recording": i, "trace": i}) for i in range(50)]
    names = ("oracle-viewport", "static-rate", "whole-sphere", "line-rate", "random-tiles")
    played = {name: play(load_policy(name, "vp-streaming"), ID, specs) for name in names}
    qoe = {name: np.mean([episode.rewards.mean() for episode in episodes]) for name, episodes in played.items()}
    assert qoe["oracle-viewport"] > qoe["static-rate"] + 0.5
    assert qoe["static-rate"] > qoe["whole-sphere"] + 0.1 and qoe["static-rate"] > qoe["line-rate"] + 0.2
    assert min(qoe.values()) == qoe["random-tiles"]
    waste = {name: np.mean([e.columns["wasted_mbyte"].sum() for e in of]) for name, of in played.items()}
    assert waste["oracle-viewport"] == 0 < waste["static-rate"] < waste["whole-sphere"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("static-rate(margin=-1)", "margin must be a whole number of tiles"),
        ("static-rate(safety=0)", "safety must be positive"),
        ("crowd-rate(floor=0)", "floor must be positive"),
        ("static-buffer(cushion_s=0)", "cushion_s positive"),
        ("agents.vp_streaming.tiled:Tiled(predictor=statik)", "did you mean 'static'?"),
        ("agents.vp_streaming.tiled:Tiled(predictor=agents.abr.bba:BBA)", "does not predict paths"),
        ("agents.vp_streaming.tiled:Tiled(rates=fast)", "rates must be throughput or buffer"),
    ],
)
def test_wrong_options(spec, message):
    with pytest.raises(PolicyError, match=message):
        load_policy(spec, "vp-streaming")


# --- a probability for each tile ---


def test_levels_of_the_highest_expected_quality():
    """No other levels of at most the same size have more expected quality, of all 81."""
    rng = np.random.default_rng(0)
    rates, utility = (1.0, 2.0, 6.0), np.log([1.0, 2.0, 6.0])
    probabilities, tile_mbyte = rng.uniform(0.01, 1, (20, 4)), rng.uniform(0.1, 1, (20, 4))
    options = by_expected_quality(probabilities, tile_mbyte, rates, utility)
    assert (options[:, 0] == 1).all() and (options[:, -1] == 3).all()
    sizes = sizes_mbyte(options, tile_mbyte, rates)
    assert (np.diff(sizes, axis=1) >= 0).all() and len(np.unique(options[0], axis=0)) > 4
    every = np.array(list(itertools.product([1, 2, 3], repeat=4)))
    for row in range(20):
        worth = (probabilities[row] * utility[every - 1]).sum(axis=1)
        size = sizes_mbyte(every[None], tile_mbyte[row : row + 1], rates)[0]
        for chosen, spent in zip(options[row], sizes[row], strict=True):
            mine = (probabilities[row] * utility[chosen - 1]).sum()
            assert mine >= worth[size <= spent + 1e-9].max() - 1e-9


def test_probabilities_are_shares_of_votes():
    """Three viewers: one alike who turns by 90 degrees, one alike who stays, one far away who counts for nothing."""
    angles = np.zeros((5, 60, 3), dtype=np.float32)
    angles[0, 6:, 2] = 90.0
    angles[2, :, 2] = 180.0
    recordings = pack_recordings(
        "three",
        {(1, user): (np.arange(60) / 5, angles[user]) for user in range(5)},
        {"train": Split((), (0, 1, 2)), "valid": Split((), ()), "test": Split((1,), (3, 4))},
    )
    infos = {"previous_viewers": PreviousViewers(recordings), "video": np.array([1]), "user": np.array([3])}
    infos |= {"lead": np.array([5]), "horizon": 20, "grid": TileGrid(4, 8), "fov_deg": (80.0, 80.0)}
    history = np.zeros((1, 10, 3), dtype=np.float32)
    observations = {"history": history, "time_s": np.array([[1.0]], dtype=np.float32)}
    policy = CrowdRate(own_votes=0.5, scale_deg=5.0)
    found = policy.probabilities(observations, infos).reshape(4, 8)
    ahead, right = (sphere.tile_masks([0, 0, yaw], 4, 8, (80.0, 80.0)) for yaw in (0, 90))
    assert found[ahead] == pytest.approx(1.5 / 2.5, abs=1e-6) and found[right] == pytest.approx(1 / 2.5, abs=1e-6)
    assert found[~ahead & ~right] == pytest.approx(0, abs=1e-6)
    infos["user"] = np.array([0])  # the own path counts for nothing
    own = policy.probabilities(observations, infos).reshape(4, 8)
    assert own[ahead] == pytest.approx(1) and own[right] == pytest.approx(0, abs=1e-6)


# --- zones and pairs around any prediction ---


@pytest.mark.parametrize("mode", ["zones", "pair"])
@pytest.mark.parametrize("seed", [1, 2])
def test_wrapper_around_standing_still_is_the_environments_own_mode(mode, seed):
    wrapped, plain = PredictedViewport(gym.make(ID), "static", mode), gym.make(ID, action_mode=mode)
    assert wrapped.action_space == plain.action_space
    (left, info), (right, _) = wrapped.reset(seed=seed), plain.reset(seed=seed)
    assert info["action_mask"].shape == wrapped.action_masks().shape == plain.get_wrapper_attr("action_masks")().shape
    plain.action_space.seed(seed)
    terminated = False
    while not terminated:
        assert left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)
        action = plain.action_space.sample()
        left, reward, *_ = wrapped.step(action)
        right, other, terminated, *_ = plain.step(action)
        assert reward == other


def test_wrapper_shows_the_predictors_viewport():
    wrapped = PredictedViewport(gym.make(ID), "velocity-unwrapped")
    observation, info = wrapped.reset(seed=0)
    differs = 0
    for _ in range(30):
        path = wrapped.predictor.act(observation, info)[info["lead"] - 1 : info["lead"] + 4]
        (ring,) = viewport_rings(info["grid"], path[None], info["fov_deg"])
        assert np.array_equal(observation["viewport"], ring == 0) and observation in wrapped.observation_space
        observation, _, _, _, info = wrapped.step([3, 2, 1])
        levels = wrapped.unwrapped.fetched_levels()[-1].reshape(-1)
        assert np.array_equal(levels, np.array([3, 2, 1])[np.minimum(ring, 2)])
        still = np.repeat(observation["history"][-1:], 5, axis=0)
        (standing,) = viewport_rings(info["grid"], still[None], info["fov_deg"])
        differs += not np.array_equal(observation["viewport"], standing == 0)
    assert differs > 5


def test_wrapper_refuses():
    with pytest.raises(ValueError, match="unknown action_mode 'tiles'"):
        PredictedViewport(gym.make(ID), "static", "tiles")
    with pytest.raises(ValueError, match="needs netenvs/VPStreaming-v0 with action_mode='tiles'"):
        PredictedViewport(gym.make(ID, action_mode="zones"))
    with pytest.raises(ValueError, match="needs netenvs/VPStreaming-v0"):
        PredictedViewport(gym.make("netenvs/VP-v0"))
    with pytest.raises(PolicyError, match="unknown policy"):
        PredictedViewport(gym.make(ID), "nobody")
    wrapped = PredictedViewport(gym.make(ID), "static")
    wrapped.reset(seed=0)
    for action in ([6, 0, 0], [0, 0], 3, None):
        with pytest.raises(ValueError, match="is not in MultiDiscrete"):
            wrapped.step(action)
