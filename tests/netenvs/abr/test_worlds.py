"""Worlds to train on: what they span, and that a seed makes one."""

import gymnasium as gym
import numpy as np
import pytest

from netenvs.abr import worlds
from netenvs.abr.records import make_trace_set
from netenvs.abr.workload import load_traces, load_video
from netenvs.abr.worlds import SHAPES, generated_link, make_world, with_outages, world_traces

KNOWN = load_video("synthetic")
RECORDED = [load_traces("synthetic(seed=1,count=5)"), load_traces("pensieve-markov(count=3)")]


def alike(one, other):
    return all(np.array_equal(getattr(one.traces, name), getattr(other.traces, name)) for name in ("time_s", "rtt_ms"))


def test_a_seed_makes_a_world():
    one, same, other = (make_world(seed, 3, RECORDED, KNOWN) for seed in ([1, 2], [1, 2], [1, 3]))
    assert alike(one, same) and np.array_equal(one.traces.bandwidth_mbps, same.traces.bandwidth_mbps)
    assert one.rebuffer_penalty == same.rebuffer_penalty and one.qoe == same.qoe
    assert np.array_equal(one.video.chunk_sizes, same.video.chunk_sizes)
    assert not np.array_equal(one.traces.bandwidth_mbps, other.traces.bandwidth_mbps)


def test_worlds_span_what_is_served():
    made = [make_world([seed], 2, RECORDED, KNOWN) for seed in range(250)]
    levels = {world.video.num_levels for world in made}
    assert levels == set(worlds.LEVELS)
    for world in made:
        video = world.video
        assert (np.diff(video.bitrates_kbps) > 0).all() and worlds.CHUNKS[0] <= video.num_chunks <= worlds.CHUNKS[1]
        assert world.traces.rtt_ms.min() >= 5 and world.traces.rtt_ms.max() <= 300
        assert world.traces.buffer_cap_s.max() <= 120 and world.traces.buffer_cap_s.min() >= video.chunk_duration_s
    assert {"lin", "log"} < {world.qoe if isinstance(world.qoe, str) else "table" for world in made}
    penalties = np.array([world.rebuffer_penalty for world in made])
    assert penalties.min() < 1 and penalties.max() > 100
    tops = np.array([world.video.bitrates_kbps[-1] for world in made])
    assert tops.min() < 1500 and tops.max() > 40_000


def as_published(world):
    """Video, player and objective."""
    player = {*world.traces.rtt_ms} == {80.0} and {*world.traces.buffer_cap_s} == {60.0}
    objective = (world.qoe, world.rebuffer_penalty, world.switch_penalty) == ("lin", 4.3, 1.0)
    found = world.video is KNOWN and player and objective and world.recorded != ""
    assert found or not world.at_home
    return found


def share(made, of):
    return np.mean([of(world) for world in made])


def test_as_many_worlds_are_at_home_as_are_to_be(monkeypatch):
    made = [make_world([seed, 2], 2, RECORDED, KNOWN) for seed in range(400)]
    assert share(made, as_published) == pytest.approx(worlds.AT_HOME, abs=0.07)
    made = [make_world([seed, 2], 2, RECORDED, KNOWN, at_home=0.2) for seed in range(400)]
    assert share(made, as_published) == pytest.approx(0.2, abs=0.06)
    monkeypatch.setattr(worlds, "AT_HOME", 1.0)
    made = [make_world([seed, 2], 2, RECORDED, KNOWN) for seed in range(40)]
    assert all(world.at_home and as_published(world) for world in made)
    assert not any(as_published(make_world([seed], 2, recorded)) for seed in range(40) for recorded in (RECORDED, ()))
    assert all(make_world([seed], 2, (), KNOWN).recorded == "" for seed in range(40))


@pytest.mark.parametrize(("at_home", "recorded"), [(1.0, 1.0), (0.0, worlds.AS_RECORDED)])
def test_recorded_sets_have_equal_shares_and_many_are_entered_where_they_begin(monkeypatch, at_home, recorded):
    monkeypatch.setattr(worlds, "AT_HOME", at_home)
    made = [make_world([seed, 3], 2, RECORDED, KNOWN) for seed in range(400)]
    for one in RECORDED:
        assert share(made, lambda world, one=one: world.recorded == one.name) == pytest.approx(recorded / 2, abs=0.07)
    some = [world for world in made if world.recorded]
    assert share(some, lambda world: world.start == "stored") == pytest.approx(worlds.FROM_THE_BEGINNING, abs=0.1)
    assert all(world.start == "random" for world in made if not world.recorded)
    known = 1.0 if at_home else worlds.KNOWN_VIDEO
    assert share(some, lambda world: world.video is KNOWN) == pytest.approx(known, abs=0.1)


def test_shares_of_recorded_sets_are_those_of_the_worlds_at_home():
    made = [make_world([seed, 6], 1, RECORDED, KNOWN, 0.5, (3.0, 1.0)) for seed in range(600)]
    home, others = [world for world in made if world.at_home], [world for world in made if not world.at_home]
    assert share(home, lambda world: world.recorded == RECORDED[0].name) == pytest.approx(0.75, abs=0.07)
    for one in RECORDED:
        expected = worlds.AS_RECORDED / 2
        assert share(others, lambda world, one=one: world.recorded == one.name) == pytest.approx(expected, abs=0.07)


def test_where_a_world_is_from_is_no_option_of_the_environment():
    world = make_world([3], 2, RECORDED, KNOWN)
    options = world.options()
    assert {"recorded", "at_home"} == set(world.__dataclass_fields__) - set(options)
    assert all(options[name] is getattr(world, name) for name in options)


def test_recorded_links_keep_about_their_speed_and_others_are_as_fast_as_the_ladder_asks_for(monkeypatch):
    steady = make_trace_set("steady", [(f"steady-{i}", np.arange(100.0), np.full(100, 0.2)) for i in range(3)])
    fast = make_trace_set("fast", [("fast", np.arange(100.0), np.full(100, 200.0))])
    made = [make_world([seed, 4], 2, [steady, fast], KNOWN) for seed in range(100)]
    means = {one.name: [w.traces.trace(0)[1].mean() for w in made if w.recorded == one.name] for one in (steady, fast)}
    assert 0.1 < min(means["steady"]) < max(means["steady"]) < 0.4
    assert 100 < min(means["fast"]) < max(means["fast"]) < 400
    others = [world for world in made if not world.recorded]
    speeds = np.array([world.traces.trace(0)[1][1:].mean() for world in others])
    lowest, highest = (np.array([world.video.bitrates_kbps[i] / 1000 for world in others]) for i in (0, -1))
    assert (speeds > 0.59 * lowest).all() and (speeds < 101 * highest).all()
    assert np.mean(speeds < 2.51 * highest) > 0.8


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_every_world_can_be_played(seed):
    world = make_world([seed, 1], 2, RECORDED, KNOWN)
    env = gym.make_vec("netenvs/ABR-v0", num_envs=2, autoreset_mode="disabled", **world.options())
    env.reset(seed=0)
    _, rewards, _, _, infos = env.step(np.full(2, world.video.num_levels - 1))
    caps = world.traces.buffer_cap_s[infos["trace"]]
    assert np.isfinite(rewards).all() and np.array_equal(infos["buffer_cap_s"], caps)


def test_without_recorded_traces_and_a_known_video():
    world = make_world([5], 4)
    assert len(world.traces) == 4 and world.video.name == "world"


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_positive(shape):
    for seed in range(5):
        found = shape(np.random.default_rng(seed), 200)
        assert found.shape == (200,) and (found > 0).all() and np.isfinite(found).all()


def test_outages_take_bandwidth_away():
    shares = []
    for seed in range(40):
        found = with_outages(np.random.default_rng(seed), np.ones(320))
        assert found.max() <= 1.0
        shares.append(np.mean(found < 0.25))
    assert 0.02 < np.mean(shares) < 0.6


def test_generated_links_have_mean_1():
    for seed in range(5):
        time_s, shape = generated_link(np.random.default_rng(seed))
        assert np.array_equal(time_s, np.arange(321.0)) and shape[1:].mean() == pytest.approx(1.0)


def test_links_of_any_speed_each_from_its_own_number():
    made, rtt, cap = world_traces(60, 3)
    again = world_traces(5, 3)[0]
    assert all(np.array_equal(one[2], other[2]) for one, other in zip(made, again, strict=False))
    means = np.array([mbps[1:].mean() for _, _, mbps in made])
    assert means.min() < 1 and means.max() > 100 and (means > 0.09).all() and (means < 1001).all()
    assert (rtt >= 5).all() and (rtt <= 300).all() and (cap >= 12).all() and (cap <= 120).all()


def test_links_of_worlds_are_traces_to_play():
    made = load_traces("worlds(seed=1,count=6)")
    assert made == load_traces("worlds(seed=1,count=6)") != load_traces("worlds(seed=2,count=6)")
    assert len(set(made.rtt_ms)) == 6 and len(set(made.buffer_cap_s)) > 3
    assert (made.rtt_ms >= 5).all() and (made.buffer_cap_s >= 12).all()
    env = gym.make("netenvs/ABR-v0", traces="worlds(seed=1,count=6)", video="synthetic-4k")
    _, info = env.reset(seed=0, options={"trace": 4})
    assert info["buffer_cap_s"] == made.buffer_cap_s[4]
    with pytest.raises(ValueError, match="number of traces"):
        load_traces("worlds(count=0)")
