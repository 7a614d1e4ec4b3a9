"""The planner against brute force, features and examples against plain loops, and the training of the quantiles."""

import dataclasses
import itertools
import json
import math
import shutil

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.abr import stochastic_mpc
from agents.abr.bandwidth_examples import collect, mean_bandwidth
from agents.abr.scenario_planner import Chunks, Objective, Scenarios, best_plan, download_s, first_levels
from agents.abr.scores import SETTINGS, score
from agents.abr.stochastic_mpc import SHIPPED, Args, StochasticMPC, compare_planners, fit, main
from agents.abr.throughput_quantiles import FEATURES, PAST, QUANTILES, QuantileNet, features, pinball, reference
from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play
from agents.statistics import mean
from agents.testing import check_policy
from agents.training import Run
from agents.training.card import read
from netenvs.abr import kernel
from netenvs.abr.qoe import make_qoe
from netenvs.abr.task import TASK as ABR
from netenvs.abr.workload import load_traces

ABR = ABR.env_id

# --- planner ---


def arrival(size, start, near_s, near, far):
    """When a chunk asked for at ``start`` has arrived, read off the curve of the bytes delivered by then."""
    times = np.array([0.0, near_s, near_s + 1e5]) if near_s else np.array([0.0, 1e5])
    delivered = np.cumsum([0.0, *np.diff(times) * ([near, far] if near_s else [far])])
    return float(np.interp(np.interp(start, times, delivered) + size, delivered, times))


def planned(planner, case):
    """What ``best_plan`` or ``first_levels`` gives; ``case`` has the fields of what they take by name."""

    def part(kind, **more):
        return kind(**{name: {**case, **more}[name] for name in kind._fields})

    chunks = part(
        Chunks, sizes=case["chunk_sizes"], number=case.get("num_chunks", 0), duration_s=case["chunk_duration_s"]
    )
    names = ("first", "chunk", "horizon", "buffer_s", "cap_s", "last_level")
    return planner(*(case[name] for name in names if name in case), chunks, part(Scenarios), part(Objective))


def plan_value(plan, case):
    """Value of a plan, scenario by scenario, in plain Python."""
    total = 0.0
    for near, far in zip(case["near_rate"], case["far_rate"], strict=True):
        clock, buffer, last, value = 0.0, case["buffer_s"], case["last_level"], 0.0
        for position, level in enumerate(plan):
            size = float(case["chunk_sizes"][case["first"] + position][level])
            download = arrival(size, clock, case["near_s"], near, far) - clock + case["rtt_s"]
            clock += download
            value += case["utility"][level] - case["switch_cost"][level][last]
            value -= case["rebuffer_penalty"] * max(download - buffer, 0.0)
            buffer = max(buffer - download, 0.0) + case["chunk_duration_s"]
            clock += max(buffer - case["cap_s"], 0.0)
            buffer = min(buffer, case["cap_s"])
            last = level
        total += value + case["buffer_value"] * min(buffer, case["enough_s"])
    return total / len(case["near_rate"])


@st.composite
def cases(draw):
    levels, horizon = draw(st.sampled_from([(2, 5), (3, 1), (3, 4), (4, 3), (5, 2), (6, 1)]))
    scenarios = draw(st.integers(1, 4))
    ladder = np.array([300, 750, 1200, 1850, 2850, 4300][:levels], dtype=np.int32)
    factors = draw(st.lists(st.floats(0.6, 1.6), min_size=horizon + 1, max_size=horizon + 1))
    duration_s = draw(st.sampled_from([1.0, 4.0]))
    rates = st.lists(st.floats(1e4, 1e6), min_size=scenarios, max_size=scenarios)
    qoe = make_qoe(draw(st.sampled_from(["lin", "log"])), ladder, draw(st.sampled_from([0.5, 4.3, 10.0])))
    return {
        "chunk_sizes": np.array([[kbps * 125 * duration_s * f for kbps in ladder] for f in factors], dtype=np.int32),
        "first": draw(st.integers(0, 1)),
        "horizon": horizon,
        "buffer_s": draw(st.sampled_from([0.0, 4.0, 60.0]) | st.floats(0, 30)),
        "cap_s": draw(st.sampled_from([60.0, math.inf, 9.0])),
        "last_level": draw(st.integers(0, levels - 1)),
        "near_s": draw(st.sampled_from([0.0, 6.0])),
        "near_rate": np.array(draw(rates)),
        "far_rate": np.array(draw(rates)),
        "rtt_s": draw(st.sampled_from([0.0, 0.08])),
        "utility": qoe.utility,
        "switch_cost": qoe.switch_cost,
        "rebuffer_penalty": qoe.rebuffer_penalty,
        "chunk_duration_s": duration_s,
        "buffer_value": draw(st.sampled_from([0.0, 0.05, 0.8])),
        "enough_s": draw(st.sampled_from([5.0, 20.0])),
    }


@settings(max_examples=100, deadline=None)
@given(cases())
def test_planner_equals_brute_force(case):
    level, value, _ = planned(best_plan, case)
    values = {}
    for plan in itertools.product(range(len(case["utility"])), repeat=case["horizon"]):
        values[plan[0]] = max(values.get(plan[0], -math.inf), plan_value(plan, case))
    assert value == pytest.approx(max(values.values()), abs=1e-6)
    assert values[level] == pytest.approx(max(values.values()), abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.floats(1, 1e7), st.floats(0, 20), st.floats(1e3, 1e7), st.floats(1e3, 1e7))
def test_download_time_inverts_the_bytes_delivered(size, start, near, far):
    expected = arrival(size, start, 6.0, near, far) - start + 0.08
    assert download_s(size, start, 6.0, near, far, 0.08) == pytest.approx(expected, rel=1e-6)


def session(**changes):
    """A video at constant bitrate and a scenario of 1 Mbit/s, four seconds in the buffer."""
    ladder = np.array([300, 750, 1200, 1850, 2850, 4300], dtype=np.int32)
    qoe = make_qoe("lin", ladder, 4.3)
    case = {
        "chunk_sizes": np.tile(ladder * 500, (49, 1)).astype(np.int32),
        "first": 1,
        "horizon": 7,
        "buffer_s": 4.0,
        "cap_s": math.inf,
        "last_level": 0,
        "near_s": 6.0,
        "near_rate": np.full(7, 125_000.0),
        "far_rate": np.full(7, 125_000.0),
        "rtt_s": 0.0,
        "utility": qoe.utility,
        "switch_cost": qoe.switch_cost,
        "rebuffer_penalty": 4.3,
        "chunk_duration_s": 4.0,
        "buffer_value": 0.2,
        "enough_s": 20.0,
    }
    return {**case, **changes}


def test_planner_visits_a_small_share_of_the_plans():
    rates = np.geomspace(60_000.0, 500_000.0, 7)
    _, _, nodes = planned(best_plan, session(buffer_s=15.0, near_rate=rates, far_rate=rates))
    assert nodes < sum(6**depth for depth in range(1, 8)) / 20


def test_one_bad_scenario_makes_the_plan_careful():
    """In the mean of the rates 1200 kbit/s are safe; one scenario of seven that stalls is worth a level."""
    good = np.full(7, 200_000.0)
    bad = np.array([20_000.0, *np.full(6, 230_000.0)])
    levels = [planned(best_plan, session(buffer_s=6.0, near_rate=rate, far_rate=rate))[0] for rate in (good, bad)]
    assert levels[0] > levels[1]


def test_a_better_future_is_planned_for():
    """The same first six seconds; what comes after them decides how much of the buffer is spent."""
    near = np.full(7, 100_000.0)
    levels = [
        planned(best_plan, session(buffer_s=8.0, near_rate=near, far_rate=np.full(7, far)))[0]
        for far in (20_000.0, 500_000.0)
    ]
    assert levels[0] < levels[1]


def test_plans_end_with_the_video():
    """Before the last chunk there is nothing to save the buffer for; after it there is nothing to decide."""
    case = session()
    rows = 3
    arguments = {
        "chunk": np.array([20, 47, 48]),
        "horizon": 1,
        "buffer_s": np.full(rows, 12.0),
        "cap_s": np.full(rows, 60.0),
        "last_level": np.full(rows, 3),
        "near_s": 6.0,
        "near_rate": np.full((rows, 7), 240_000.0),
        "far_rate": np.full((rows, 7), 240_000.0),
        "rtt_s": 0.0,
        "chunk_sizes": case["chunk_sizes"],
        "num_chunks": 48,
        **{name: case[name] for name in ("utility", "switch_cost", "rebuffer_penalty", "chunk_duration_s")},
        "buffer_value": 5.0,
        "enough_s": 20.0,
    }
    assert planned(first_levels, arguments).tolist() == [0, 3, 0]
    worthless = planned(first_levels, {**arguments, "buffer_value": 0.0})
    assert worthless.tolist() == [3, 3, 0]


def test_pauses_of_a_full_buffer_take_time():
    """A chunk enters a buffer that is full; while it drains the good seconds pass, and the next chunk is late."""
    rates = {"near_rate": np.full(1, 1e7), "far_rate": np.full(1, 30_000.0)}
    case = session(horizon=3, buffer_s=8.0, cap_s=8.0, near_s=6.0, last_level=2, buffer_value=0.0, **rates)
    _, value, _ = planned(best_plan, case)
    plans = itertools.product(range(6), repeat=3)
    assert value == pytest.approx(max(plan_value(plan, case) for plan in plans), abs=1e-6)
    assert value < planned(best_plan, {**case, "cap_s": math.inf})[1]


# --- features, quantiles, examples ---


def past(known, seed=0):
    """Throughputs and times of ``known`` downloads, in a window of PAST, oldest first."""
    rng = np.random.default_rng(seed)
    throughput, delay = np.zeros((1, PAST)), np.zeros((1, PAST))
    throughput[0, PAST - known :] = rng.uniform(0.2, 8.0, known)
    delay[0, PAST - known :] = rng.uniform(0.1, 9.0, known)
    return throughput, delay


@pytest.mark.parametrize("known", [1, 4, 9, PAST])
def test_features_equal_their_description(known):
    throughput, delay = past(known)
    values, times = throughput[0, PAST - known :].tolist(), delay[0, PAST - known :].tolist()
    weights = [0.7 ** (known - 1 - i) for i in range(known)]
    scale = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    assert reference(throughput) == pytest.approx([scale])
    harmonic = lambda some: len(some) / sum(1 / v for v in some)  # noqa: E731
    errors = [0.0]
    for at in range(max(known - 5, 1), known):
        errors.append(abs(harmonic(values[max(at - 5, 0) : at]) - values[at]) / values[at])
    logarithms = [math.log(v / scale) for v in values]
    expected = [
        *[0.0] * (PAST - known),
        *logarithms,
        *[0.0] * (PAST - known),
        *map(math.log, times),
        math.log(harmonic(values[-5:]) / scale),
        math.log(harmonic(values) / scale),
        min([*logarithms, *[0.0] * (known < PAST)]),
        math.sqrt(sum(x * x for x in logarithms) / known),
        math.log1p(max(errors)),
        known / PAST,
    ]
    assert features(throughput, delay)[0] == pytest.approx(expected, abs=1e-9)
    assert len(expected) == FEATURES


def test_features_are_free_of_the_unit_of_throughput():
    throughput, delay = past(12)
    assert features(1000 * throughput, delay) == pytest.approx(features(throughput, delay), abs=1e-9)


def test_pinball_is_least_at_the_quantiles():
    sample = torch.linspace(0, 1, 1001, dtype=torch.float64)
    target = torch.stack([sample, sample], dim=1)
    quantiles = torch.tensor(QUANTILES, dtype=torch.float64).expand(2, -1)
    at = pinball(quantiles.expand(1001, -1, -1), target)
    plain = [max(q * (y - q), (q - 1) * (y - q)) for y in sample.tolist() for q in QUANTILES]
    assert float(at) == pytest.approx(sum(plain) / len(plain))
    for column, step in itertools.product(range(len(QUANTILES)), (-0.02, 0.02)):
        moved = quantiles.clone()
        moved[1, column] += step
        assert pinball(moved.expand(1001, -1, -1), target) > at


def test_mean_bandwidth_is_what_the_simulator_delivers():
    """A download that takes a whole window, wraps of the trace included, carries its mean bandwidth."""
    traces = load_traces("genet(count=3,seed=4)")
    for number, clock_s, window_s in itertools.product(range(3), (0.5, 100.0, 325.0), (6.0, 20.0, 700.0)):
        time_s, bandwidth = traces.trace(number)
        (found,) = mean_bandwidth(traces, np.array([number]), np.array([clock_s]), window_s)
        segment = int(np.searchsorted(time_s, clock_s))
        size = found * window_s * 1e6 / 8 * kernel.PAYLOAD_PORTION
        arguments = (time_s, bandwidth, 0, len(time_s), max(segment, 1), clock_s, 0.0, size, 0.0, 1e9, 4000.0, 1.0)
        assert kernel.play_chunk(*arguments)[0] == pytest.approx(1000 * window_s, abs=2.0)


def test_examples_are_the_same_for_a_seed_and_have_the_right_scale():
    first, again, other = (collect("synthetic(count=4)", None, 10, seed) for seed in (0, 0, 1))
    assert len(first) == 10 * 47 and first.features.shape == (470, FEATURES)
    assert torch.equal(first.features, again.features) and torch.equal(first.target, again.target)
    assert not torch.equal(first.target, other.target)
    steady = collect("genet(count=3,min_bw_mbps=2,max_bw_mbps=2,rtt_ms=0)", None, 10, 0)
    assert steady.target.numpy() == pytest.approx(-math.log(kernel.PAYLOAD_PORTION), abs=1e-5)
    with pytest.raises(ValueError, match="sessions must be 5 or more, not 4"):
        collect("synthetic", None, 4, 0)


# --- policy ---


def test_shipped_policy_keeps_the_contract():
    check_policy(load_policy("stochastic-mpc"), "abr")
    assert load_policy(str(SHIPPED), "abr").parameters == load_policy("stochastic-mpc").parameters


def assert_near(found, stated):
    """Nearly all episodes as stated: where plans are worth the same but for last bits, processors differ."""
    assert np.mean(np.abs(np.subtract(found, stated)) < 2e-6) >= 0.9
    assert mean(found) == pytest.approx(mean(stated), abs=0.005)


def test_shipped_weights_give_the_figures_of_their_card():
    stated = read(SHIPPED).training.scores["synthetic"]["stochastic-mpc"].values
    assert_near(score(load_policy("stochastic-mpc"), "synthetic"), stated)
    robust = mean(score(load_policy("robust-mpc"), "synthetic"))
    assert mean(stated) > robust + 0.02


def test_published_test_split(netllm_abr):
    shipped = read(SHIPPED)
    found = score(load_policy("stochastic-mpc"), **SETTINGS["fcc-test"])
    assert_near(found, shipped.training.scores["fcc-test"]["stochastic-mpc"].values)
    seeds = [training.scores["fcc-test"]["stochastic-mpc"].mean for training in shipped.trainings]
    assert len(seeds) == 3 and mean(seeds) > 1.05


@pytest.mark.parametrize(
    ("ladder", "options"),
    [
        ([500, 1500], {"chunk_duration_s": 2.0}),
        ([round(200 * 1.3**i) for i in range(12)], {"chunk_duration_s": 4.0}),
        ([300, 750, 1200, 1850, 2850, 4300], {"chunk_duration_s": 10.0}),
    ],
)
@pytest.mark.parametrize("qoe", ["lin", "log"])
def test_other_ladders_durations_and_objectives(ladder, options, qoe, video_file):
    """Better than the best constant level, whatever is streamed."""
    sizes = [[round(kbps * 125 * options["chunk_duration_s"])] * 40 for kbps in ladder]
    video = video_file(sizes, ladder, **options)
    environment = {"traces": "synthetic(count=10)", "video": video, "qoe": qoe, "history": 12}
    constants = [mean(score(load_policy(f"constant(quality={q})"), **environment)) for q in range(len(ladder))]
    assert mean(score(load_policy("stochastic-mpc"), **environment)) > max(constants)


def test_options_reach_the_planner():
    played = {
        spec: play(load_policy(spec), ABR, [EpisodeSpec(seed) for seed in range(4)])
        for spec in (
            "stochastic-mpc",
            "stochastic-mpc(horizon=1)",
            "stochastic-mpc(buffer_value=0)",
            "stochastic-mpc(constant=True)",
        )
    }
    actions = {spec: tuple(np.concatenate([e.actions for e in episodes])) for spec, episodes in played.items()}
    assert len(set(actions.values())) == len(actions)
    for option, message in (("horizon=0", "horizon must be 1 chunk or more"), ("buffer_value=-1", "from 0 up, not -1")):
        with pytest.raises(PolicyError, match=message):
            load_policy(f"stochastic-mpc({option})")


def test_scenarios_are_ordered_and_scale_with_the_throughput():
    policy = StochasticMPC()
    throughput, delay = past(10)
    near, far = policy.scenarios(throughput, delay)
    assert near.shape == far.shape == (1, len(QUANTILES))
    assert (np.diff(near) >= 0).all() and (far > 0).all()
    for found, scaled in zip((near, far), policy.scenarios(100 * throughput, delay), strict=True):
        assert scaled == pytest.approx(100 * found)
    both, same = StochasticMPC(constant=True).scenarios(throughput, delay)
    assert (both == same).all()
    assert (6 * near + 14 * far)[0] == pytest.approx(20 * both[0])


def test_quantiles_that_cross_are_sorted():
    policy = StochasticMPC(constant=True)
    with torch.no_grad():
        policy.model.layers[-1].bias += torch.linspace(3, -3, len(QUANTILES)).repeat(2)
    near, _ = policy.scenarios(*past(10))
    assert (np.diff(near) > 0).all()


def test_long_ladders_are_planned_over_fewer_chunks(video_file):
    ladder = [round(200 * 1.3**i) for i in range(12)]
    environment = {"video": video_file([[kbps * 500] * 30 for kbps in ladder], ladder), "history": 12}
    specs = [EpisodeSpec(seed) for seed in range(4)]
    seven, five, four = (
        np.concatenate([e.actions for e in play(StochasticMPC(horizon=horizon), ABR, specs, environment)])
        for horizon in (7, 5, 4)
    )
    assert np.array_equal(seven, five) and not np.array_equal(five, four)


def test_the_buffer_cap_is_learned_from_pauses():
    """Without it the policy would save in vain for 20 s of buffer, where 5 to 10 s fit."""

    class Unaware(StochasticMPC):
        def act_batch(self, observations, infos):
            return super().act_batch(observations, {**infos, "sleep_ms": 0.0 * infos["sleep_ms"]})

    environment = {"traces": "genet(space=udr1,count=20)", "preset": "genet"}
    aware, unaware = (mean(score(policy, **environment)) for policy in (StochasticMPC(), Unaware()))
    assert aware > unaware + 0.2


def test_bad_folders(tmp_path):
    def broken(name):
        folder = tmp_path / name
        shutil.copytree(SHIPPED, folder)
        return folder

    truncated, foreign, infinite, other = map(broken, ("truncated", "foreign", "infinite", "other-size"))
    weights = (truncated / "model.safetensors").read_bytes()
    (truncated / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    (foreign / "config.json").write_text('{"policy": "pensieve"}')
    stochastic_mpc.save(_infinite(), infinite, "stochastic-mpc", {"hidden": 64})
    (other / "config.json").write_text('{"policy": "stochastic-mpc", "hidden": 32}')
    for folder, message in (
        (tmp_path / "nowhere", "is no folder of trained weights: it has no config.json"),
        (truncated, "its weights cannot be used, train or install them anew"),
        (foreign, "holds weights of 'pensieve', not of 'stochastic-mpc'"),
        (infinite, "not all weights are finite"),
        (other, "its weights cannot be used, train or install them anew"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            StochasticMPC(str(folder))
        assert "\n" not in str(caught.value)


def _infinite():
    net = QuantileNet()
    with torch.no_grad():
        net.layers[0].bias[0] = math.inf
    return net


# --- training ---

TINY = Args(
    traces="synthetic(count=20,seed=1)", valid="synthetic(count=10,seed=2)", sessions=20, steps=60, batch_size=64
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Validate often."""
    monkeypatch.setattr(stochastic_mpc, "INTERVAL", 20)


def test_tiny_training_improves_and_its_folder_plays(tmp_path, monkeypatch):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "no data"))
    folder = tmp_path / "trained"
    main(dataclasses.replace(TINY, out=folder))
    curve = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    assert [point["step"] for point in curve] == [0, 20, 40, 60]
    assert curve[-1]["valid"] < 0.7 * curve[0]["valid"]
    card = (folder / "README.md").read_text()
    assert "synthetic(count=20,seed=1)" in card and "--steps 60" in card and "| policy | synthetic |" in card
    player = load_policy(str(folder), "abr")
    assert mean(score(player, "synthetic(count=10,seed=3)")) > mean(
        score(load_policy("bba"), "synthetic(count=10,seed=3)")
    )


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    loss = stochastic_mpc._loss
    monkeypatch.setattr(stochastic_mpc, "_loss", lambda *given: -loss(*given))  # so that the first weights are the best
    args, identity = TINY, dataclasses.asdict(TINY)
    with Run(tmp_path / "whole", identity, args.steps) as run:
        net, kept = fit(args, run)
        curve = run.curve
    assert kept == 0
    save, saves = Run.save, []

    def save_and_die(run, state):
        save(run, state)
        saves.append(state["step"])
        if len(saves) in (1, 2):
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", save_and_die)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), Run(tmp_path / "killed", identity, args.steps) as run:
            fit(args, run)
    with Run(tmp_path / "killed", identity, args.steps) as run:
        again, kept_again = fit(args, run)
        assert run.curve == curve
    assert saves == [20, 40, 60] and kept == kept_again
    for name, value in net.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    with (
        pytest.raises(ValueError, match="made with another seed"),
        Run(tmp_path / "killed", {**identity, "seed": 1}, args.steps) as run,
    ):
        fit(args, run)


def test_planners_are_compared_on_validation_traces(monkeypatch):
    monkeypatch.setattr(stochastic_mpc, "VALIDATION", "synthetic(count=3)")
    table = compare_planners([SHIPPED, SHIPPED], [{"horizon": 2, "constant": True}]).splitlines()
    player = StochasticMPC(horizon=2, constant=True)
    drawn = mean(score(player, "synthetic(count=3)", episodes=24, start="random"))
    stored = mean(score(player, "synthetic(count=3)"))
    assert table[-1] == f"| 2 | {player.buffer_value:g} | {player.enough_s:g} | constant | {drawn:.4f} | {stored:.4f} |"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be positive, not 0"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
        ({"learning_rate": math.nan}, "learning-rate must be positive, not nan"),
        ({"sessions": 4}, "sessions must be 5 or more, not 4"),
        ({"traces": "nothing"}, "unknown traces 'nothing'"),
        ({"ship": ("nowhere",)}, "no folder of trained weights"),
    ],
)
def test_bad_arguments(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        main(dataclasses.replace(TINY, out=tmp_path / "out", **change))


def test_the_past_is_the_policys_own():
    """The same decisions whatever the observation's history, alone and in a batch."""
    specs = [EpisodeSpec(0, options={"trace": 1})]
    actions = [play(StochasticMPC(), ABR, specs, {"history": history})[0].actions for history in (6, 16)]
    assert np.array_equal(*actions)
    env, policy = gym.make(ABR), StochasticMPC()
    observation, info = env.reset(seed=0, options={"trace": 1})
    policy.reset()
    for action in actions[0]:
        assert policy.act(observation, info) == action
        observation, _, _, _, info = env.step(action)
