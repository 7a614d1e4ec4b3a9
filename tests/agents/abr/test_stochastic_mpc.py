"""The policy that plans over quantiles of the throughput: what it decides, its options, its training."""

import dataclasses
import json
import math
import shutil

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents.abr import stochastic_mpc
from agents.abr.scenario_planner import values_of_levels
from agents.abr.scores import SETTINGS, score
from agents.abr.stochastic_mpc import SHIPPED, Args, StochasticMPC, compare_planners, fit, main
from agents.abr.throughput_quantiles import QUANTILES, QuantileNet
from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play
from agents.statistics import mean
from agents.testing import check_policy
from agents.training import Run
from agents.training.card import read
from netenvs.abr.task import TASK as ABR

ABR = ABR.env_id

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
    assert mean(stated) > robust + 0.01


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
            "stochastic-mpc(horizon_s=20)",
            "stochastic-mpc(buffer_value=0)",
            "stochastic-mpc(constant=True)",
        )
    }
    actions = {spec: tuple(np.concatenate([e.actions for e in episodes])) for spec, episodes in played.items()}
    assert len(set(actions.values())) == len(actions)
    for option, message in (
        ("horizon_s=0", "horizon_s must be a positive number"),
        ("buffer_value=-1", "from 0 up, not -1"),
    ):
        with pytest.raises(PolicyError, match=message):
            load_policy(f"stochastic-mpc({option})")


def test_scenarios_are_ordered_and_scale_with_the_throughput(past):
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


def test_quantiles_that_cross_are_sorted(past):
    policy = StochasticMPC(constant=True)
    with torch.no_grad():
        policy.model.layers[-1].bias += torch.linspace(3, -3, len(QUANTILES)).repeat(2)
    near, _ = policy.scenarios(*past(10))
    assert (np.diff(near) > 0).all()


def test_the_horizon_is_playing_time(video_file):
    """As many seconds whatever the duration of a chunk, five chunks at least and forty at most."""

    def horizons(duration_s, horizon_s, monkeypatch):
        found = []

        def watch(chunk, horizon, *others):
            found.append(horizon)
            return values_of_levels(chunk, horizon, *others)

        video = video_file([[100_000] * 12, [300_000] * 12], [300, 900], chunk_duration_s=duration_s)
        monkeypatch.setattr(stochastic_mpc, "values_of_levels", watch)
        play(StochasticMPC(horizon_s=horizon_s), ABR, [EpisodeSpec(0)], {"video": video})
        return set(found)

    with pytest.MonkeyPatch.context() as patch:
        assert horizons(4.0, 64.0, patch) == {16}
        assert horizons(2.0, 64.0, patch) == {32}
        assert horizons(10.0, 30.0, patch) == {5}
        assert horizons(1.0, 64.0, patch) == {40}


def test_it_plans_for_the_buffer_that_the_player_has():
    """Told of 60 s it would save in vain for 20 s of buffer, where 5 to 10 s fit."""

    class Misled(StochasticMPC):
        def act_batch(self, observations, infos):
            return super().act_batch(observations, {**infos, "buffer_cap_s": 0.0 * infos["buffer_cap_s"] + 60.0})

    environment = {"traces": "genet(space=udr1,count=20)", "preset": "genet"}
    told, misled = (mean(score(policy, **environment)) for policy in (StochasticMPC(), Misled()))
    assert told > misled


def test_no_round_trip_is_taken_to_be_longer_than_a_download():
    """After downloads of half a millisecond the 80 ms are given up, session by session."""
    policy = StochasticMPC()
    specs = [EpisodeSpec(0), EpisodeSpec(1)]
    play(policy, ABR, specs, {"traces": "genet(count=2,min_bw_mbps=900,max_bw_mbps=1000,rtt_ms=5)"}, 2)
    assert (policy._rtt_s < 0.04).all()
    play(policy, ABR, specs, {"traces": "genet(count=2,min_bw_mbps=1,max_bw_mbps=1,rtt_ms=5)"}, 2)
    assert (policy._rtt_s == stochastic_mpc.RTT_S).all()


@pytest.mark.parametrize("penalty", [0.5, 4.3, 40.0])
def test_the_penalty_moves_what_the_buffer_is_worth(penalty):
    """The dearer a stall, the fewer there are."""
    specs = [EpisodeSpec(seed, options={"trace": seed}) for seed in range(6)]

    def stalled(value):
        options = {"traces": "synthetic(count=6)", "rebuffer_penalty": value}
        return sum(episode.columns["rebuffer_s"].sum() for episode in play(StochasticMPC(), ABR, specs, options))

    assert stalled(10 * penalty) <= stalled(penalty)


@pytest.mark.parametrize("mbps", [0.2, 3, 1000])
def test_constant_links(mbps):
    """The level under 0.8 of the link, or nearly, without a stall where the lowest one is under 0.7 of it."""
    traces = f"genet(count=1,min_bw_mbps={mbps},max_bw_mbps={mbps})"
    (episode,) = play(StochasticMPC(), ABR, [EpisodeSpec(0)], {"traces": traces, "video": "synthetic"})
    ladder = np.array([300, 750, 1200, 1850, 2850, 4300])
    target = ladder[ladder < 800 * mbps].max(initial=300)
    assert ladder[episode.actions[14:]].mean() >= 0.85 * target


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
        (truncated, "no safetensors file, train or install it anew"),
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
    traces="synthetic(count=20,seed=1)",
    valid="synthetic(count=10,seed=2)",
    sessions=20,
    worlds=5,
    steps=60,
    batch_size=64,
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
    monkeypatch.setattr(stochastic_mpc, "valid_scores", lambda player, _: {"share": player.horizon_s, "worst": -0.5})
    table = compare_planners([SHIPPED, SHIPPED], [{"horizon_s": 30.0, "constant": True}]).splitlines()
    player = StochasticMPC(horizon_s=30.0, constant=True)
    drawn = mean(score(player, "synthetic(count=3)", episodes=24, start="random"))
    start = f"| 30 | {player.buffer_value:g} | {player.enough_s:g} | constant |"
    assert table[-1] == f"{start} {drawn:.4f} | 30.000 | -0.500 |"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be positive, not 0"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
        ({"worlds": -1}, "worlds must be 0 or more, not -1"),
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
