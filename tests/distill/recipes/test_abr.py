"""What bitrate adaptation is learned from: worlds, the expert's labels, losses, encoder and head alone."""

import numpy as np
import pytest
import torch
from toy_sequence import GRUBackbone

from agents.abr.scores import score
from agents.abr.value_table import ValueTable
from agents.sequence.model import SequenceModel
from agents.sequence.net import MASKED
from agents.sequence.nets.abr import ABRNet
from agents.sequence.policy import SequencePolicy
from distill.__main__ import main
from distill.pools.pool import Pool
from distill.pools.shards import PoolError
from distill.recipes.abr import training
from distill.recipes.abr.training import (
    CLONE,
    GROUP,
    IMITATE,
    IMPROVE,
    Options,
    Sessions,
    advantages,
    initialise,
    regrets,
    scaled,
)
from distill.training.phase import Phase
from netenvs.abr.workload import load_traces, make_trace_set

SMALL = {"traces": 2, "sessions": 8, "validation": 4, "warm_up": 0}


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.setattr(training.datasets, "installed", lambda name: False)


def make(seed=0, pools=(), net=None, **options):
    torch.manual_seed(0)
    model = SequenceModel(net or ABRNet(16, width=8), GRUBackbone(16))
    return Sessions(model.task, pools, seed, Options(**{**SMALL, **options})), SequencePolicy(model, "sampled")


def phase(name):
    return Phase(name, 2, 2, 1, 1e-3)


def regret_of(data, columns=6):
    return data.targets["regret"][:, :columns]


# --- what is gathered ---


def test_every_state_that_the_policy_comes_to_is_labelled():
    source, policy = make()
    data = source.gather(phase(IMITATE), 0, policy)
    steps, targets = data.sequences.steps, data.targets
    assert data.sequences.lengths.tolist() == [47] * 8 and data.sequences.numbers.tolist() == list(range(47)) * 8
    before = data.sequences.previous.reshape(8, 47)
    assert np.array_equal(before[:, 1:], targets["taken"].reshape(8, 47)[:, :-1]) and (before[:, 0] == -1).all()
    assert np.array_equal(steps["last"].reshape(8, 47)[:, 1:], before[:, 1:]), "it played what it took"
    assert len(np.unique(targets["taken"])) == 6
    regret = regret_of(data)
    assert np.array_equal(regret.argmin(axis=1), targets["label"]) and (regret.min(axis=1) == 0).all()
    assert regret.max() <= 20 and len(np.unique(targets["label"])) > 2 and not targets["regret"][:, 6:].any()
    # the first regrets are those of a table of that world
    env, _ = source.world([0, 0, 4], 8)
    env.reset(seed=np.random.default_rng([0, 0, 3]).integers(2**31, size=8).tolist())
    values = ValueTable(env, clock_step_s=training.CLOCK_STEP_S).action_values(env)
    expected = np.minimum(values.max(axis=1, keepdims=True) - values, 20)
    assert regret.reshape(8, 47, 6)[:, 0] == pytest.approx(expected, abs=1e-5)


def test_what_is_gathered_follows_from_seed_and_iteration():
    def bits(seed, iteration):
        source, policy = make(seed)
        return source.gather(phase(IMITATE), iteration, policy).sequences.steps["throughput"].tobytes()

    assert bits(0, 1) == bits(0, 1) != bits(0, 2) != bits(1, 2)


def test_worlds_have_other_videos_and_traces():
    worlds = [make(known=0.5)[0].world([0, i], 1).env.unwrapped for i in range(12)]
    names = [world.video.name for world in worlds]
    assert 2 < names.count("synthetic") < 10 and len(set(names)) > 3
    seeds = [int(name[len("generated(seed=") : -1]) for name in names if name != "synthetic"]
    assert min(seeds) >= training.VALIDATION_VIDEOS, "the first ones are for validation"
    assert len({world.traces.names for world in worlds}) == 12
    assert {make(known=1.0)[0].world([0, i], 1).env.unwrapped.video.name for i in range(6)} == {"synthetic"}
    assert "synthetic" not in {make(known=0.0)[0].world([0, i], 1).env.unwrapped.video.name for i in range(6)}


def test_bandwidth_is_scaled_and_times_are_not():
    traces = load_traces("synthetic(count=5)")
    chosen = scaled(traces, np.array([3, 1]), np.array([2.0, 0.5]))
    assert chosen.names == (traces.names[3], traces.names[1])
    assert chosen.start_pointer.tolist() == traces.start_pointer[[3, 1]].tolist()
    for number, (original, factor) in enumerate(((3, 2.0), (1, 0.5))):
        assert np.array_equal(chosen.trace(number)[0], traces.trace(original)[0])
        assert np.array_equal(chosen.trace(number)[1], traces.trace(original)[1] * factor)
    spread = make(scale=0.4, traces=60)[0].world([0], 1).env.unwrapped.traces
    by_name = {name: i for i, name in enumerate(load_traces(training.WITHOUT_DATA["fcc-train-clean"]).names)}
    originals = load_traces(training.WITHOUT_DATA["fcc-train-clean"])
    factors = [
        spread.trace(i)[1].mean() / originals.trace(by_name[name])[1].mean() for i, name in enumerate(spread.names)
    ]
    assert np.log(factors).std() == pytest.approx(0.4, abs=0.1)


def test_scaled_traces_keep_their_latency():
    row = np.array([0.0, 1.0, 2.0])
    named = [(name, row[: 2 + n], row[: 2 + n] + 1) for n, name in enumerate("ab")]
    chosen = scaled(
        make_trace_set("mine", named, latency_ms=np.array([1.0, 2, 3, 4, 5])),
        np.array([1, 0, 1]),
        np.array([1.0, 1, 1]),
    )
    assert chosen.latency_ms.tolist() == [3, 4, 5, 1, 2, 3, 4, 5]


def test_improvement_compares_sessions_of_one_trace_and_place():
    source, policy = make(sessions=16, improve=1)
    data = source.gather(phase(IMPROVE), 0, policy)
    first = data.sequences.steps["throughput"].reshape(16, 47, 6)[:, 0, -1]
    assert len(set(first[:GROUP])) == len(set(first[GROUP:])) == 1 and first[0] != first[GROUP]
    taken = data.targets["taken"]
    done = regret_of(data)[np.arange(len(taken)), taken].reshape(16, 47)
    assert data.targets["advantage"].reshape(16, 47) == pytest.approx(advantages(done))
    with torch.no_grad():
        logits = policy.model(data.sequences)[0].log_softmax(dim=1).numpy()
    assert data.targets["log_prob"] == pytest.approx(logits[np.arange(len(taken)), taken], abs=1e-5)


def test_advantages_count_the_regrets_that_follow():
    regret = np.zeros((2 * GROUP, 5))
    regret[0, 2] = 4.0
    regret[GROUP:, 1] = 3.0
    found = advantages(regret)
    assert found[GROUP:] == pytest.approx(0, abs=1e-9), "all of the group alike"
    ahead = np.zeros((GROUP, 5))
    ahead[0, :3] = -4.0 * 0.9 ** np.array([2, 1, 0])
    ahead -= ahead.mean(axis=0)
    assert found[:GROUP] == pytest.approx(ahead / (np.sqrt((ahead**2).mean()) + 0.1), abs=1e-6)
    assert np.abs(advantages(np.random.default_rng(0).pareto(0.3, (GROUP, 47)))).max() <= 5


def test_regrets_are_limited_and_padded():
    assert regrets(np.array([[1.0, 4.0, -100.0]]), 4).tolist() == [[3.0, 0.0, 20.0, 0.0]]


# --- losses ---

LOGITS = torch.tensor([[1.0, 0.0, -1.0, MASKED]])
TARGETS = {"label": torch.tensor([1]), "regret": torch.tensor([[2.0, 0.0, 5.0, 0.0]]), "taken": torch.tensor([0])}
CHANCES = np.exp([1, 0, -1]) / np.exp([1, 0, -1]).sum()


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("hard", -np.log(CHANCES[1])),
        ("mixed", -np.log(CHANCES[1]) + 0.3 * (2 * CHANCES[0] + 5 * CHANCES[2])),
        ("regression", (3**2 + 0 + 4**2) / 3),
    ],
)
def test_losses(loss, expected):
    source, _ = make(loss=loss)
    found = source.loss(phase(IMITATE), [LOGITS], TARGETS)
    assert found.shape == (1,) and float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("ratio", "advantage", "counted"), [(1.0, 2.0, 2.0), (1.5, 2.0, 2.4), (1.5, -2.0, -3.0)])
def test_improvement_is_clipped_and_anchored(ratio, advantage, counted):
    source, _ = make(improve=1)
    log_prob = torch.tensor([np.log(CHANCES[0] / ratio)], dtype=torch.float32)
    targets = {**TARGETS, "log_prob": log_prob, "advantage": torch.tensor([advantage])}
    expected = -0.1 * np.log(CHANCES[1]) - counted
    assert float(source.loss(phase(IMPROVE), [LOGITS], targets)) == pytest.approx(expected, rel=1e-5)


# --- pools ---


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pools")
    words = ["collect", "--task", "abr", "--policies", "bba", "--episodes", "3", "--dataset", "synthetic(count=3)"]
    assert main([*words, "--expert-values", "--out", str(folder / "with")]) == 0
    assert main([*words, "--out", str(folder / "without")]) == 0
    return Pool(folder / "with"), Pool(folder / "without")


def test_a_pool_is_cloned_by_its_values_or_by_what_was_done(pools):
    source, policy = make(pools=pools)
    data = source.gather(phase(CLONE), 0, policy)
    assert data.sequences.lengths.tolist() == [47] * 6
    half = 3 * 47
    values = np.concatenate([np.asarray(pools[0].episode(i)["expert_values"]) for i in range(3)])
    actions = np.concatenate([np.asarray(pools[1].episode(i)["action"]) for i in range(3)])
    assert np.array_equal(data.targets["label"][:half], values.argmax(axis=1))
    assert np.array_equal(data.targets["label"][half:], actions)
    assert regret_of(data)[:half] == pytest.approx(np.minimum(values.max(axis=1, keepdims=True) - values, 20), abs=1e-4)
    assert not regret_of(data)[half:].any()
    assert (data.targets["label"][:half] != data.targets["taken"][:half]).any()


def test_regression_needs_values(pools):
    source, policy = make(pools=pools, loss="regression")
    with pytest.raises(PoolError, match=r"without: regression needs expert_values; collect .* --expert-values"):
        source.gather(phase(CLONE), 0, policy)


def test_pools_come_first_and_improvement_last(pools):
    named = [[one.name for one in training.phases(Options(improve=number), pools[:number])] for number in (0, 1)]
    assert named == [[IMITATE], [CLONE, IMITATE, IMPROVE]]
    described = training.describe(Options(improve=1), pools)
    assert "began with 2 pools" in described and "its own rewards" in described and "synthetic(seed=2" in described


# --- encoder and head alone, validation, options ---


def weights(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def test_encoder_and_head_learn_alone(monkeypatch):
    monkeypatch.setattr(training, "WARM_ROWS", 32)
    monkeypatch.setattr(training, "WARM_BATCH", 16)
    monkeypatch.setattr(training, "WARM_RATE", 5e-3)
    source, policy = make(net=ABRNet(16, width=64), traces=4)
    net = source.net
    data = source.gather(phase(IMITATE), 99, policy)

    def right():
        with torch.no_grad():
            return float(
                (training._alone(net, data.sequences.steps).argmax(dim=1).numpy() == data.targets["label"]).mean()
            )

    before = right()
    initialise(net, Options(**{**SMALL, "traces": 4, "warm_up": 8}))
    assert right() > before + 0.2
    assert not net.from_hidden.weight.any(), "hidden states still count nothing"


@pytest.mark.parametrize(("net", "warm_up"), [({}, 0), ({"tokenisation": "netllm"}, 1), ({"returns": True}, 1)])
def test_nothing_is_learned_alone_where_it_cannot_be(net, warm_up):
    made = ABRNet(16, width=8, **net)
    before = weights(made)
    initialise(made, Options(**{**SMALL, "warm_up": warm_up}))
    assert all(torch.equal(value, before[name]) for name, value in weights(made).items())


def test_validation_is_on_both_kinds_of_videos():
    source, policy = make(validation=8)
    policy = SequencePolicy(policy.model)
    found = source.validate(policy)
    traces = training.WITHOUT_DATA["fcc-valid-clean"]
    known = score(policy, traces, "synthetic", 8, start="random").mean()
    videos = [f"generated(seed={seed})" for seed in range(4)]
    generated = np.mean([score(policy, traces, video, 2, start="random").mean() for video in videos])
    assert found["video1"] == pytest.approx(known) and found["generated"] == pytest.approx(generated)
    assert found["valid"] == pytest.approx((known + generated) / 2) and known != generated


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "mixd"}, "unknown loss 'mixd'; did you mean 'mixed'"),
        ({"sessions": 0}, "sessions must be 1 or more, not 0"),
        ({"scale": -0.1}, "scale must be 0 or more, not -0.1"),
        ({"known": 1.5}, "known must be from 0 to 1, not 1.5"),
        ({"sessions": 12, "improve": 1}, "sessions must be a multiple of 8 to improve, not 12"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)
