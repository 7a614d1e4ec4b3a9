"""The published simulator's and policies' logs, replayed: equal to the bit (tests/artifacts/README.md)."""

import csv
import functools
import json
import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from agents.abr.bba import BBA
from agents.policy import load_policy
from agents.rollout import EpisodeSpec, play
from netenvs.abr import kernel
from netenvs.abr.qoe import make_qoe
from netenvs.abr.workload import load_traces, load_video

ARTIFACTS = Path(__file__).parents[2] / "artifacts" / "abr"
LOGS = sorted(path.name for path in ARTIFACTS.glob("golden_*.csv"))
NOISY = [f"golden_bba_noisy_fcc-train_video1_t{trace:03d}.csv" for trace in (40, 30, 173)]  # in the order played
NOISELESS = [name for name in LOGS if name not in NOISY]
LADDER = np.array([300, 750, 1200, 1850, 2850, 4300], dtype=np.int32)
SEED = 100003


def read(name: str) -> dict[str, list[float]]:
    with (ARTIFACTS / name).open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {column: [float(row[column]) for row in rows] for column in rows[0]}
    for column in ("trace_idx", "chunk", "action", "ptr_before", "size_bytes"):
        columns[column] = [int(value) for value in columns[column]]
    return columns


def test_the_logs_are_all_there():
    assert len(NOISELESS) == 11
    assert set(NOISY) <= set(LOGS)


# --- without data: what a log row determines of the next ---


@pytest.mark.parametrize("name", LOGS)
def test_rewards_follow_from_actions_and_rebuffering(name):
    log, qoe = read(name), make_qoe("lin", LADDER, 4.3)
    previous = [0, *log["action"][:-1]]
    rewards = [qoe.reward(*row) for row in zip(log["action"], previous, log["rebuf_s"], strict=True)]
    assert rewards == log["reward"]


@pytest.mark.parametrize("name", LOGS)
def test_buffers_follow_from_delays(name):
    log, buffer_ms = read(name), 0.0
    for row in range(48):
        assert log["buffer_ms_before"][row] == buffer_ms
        rebuffer, buffer_ms, sleep = kernel.fill_buffer(buffer_ms, log["delay_ms"][row], 60000.0, 4000.0)
        assert log["rebuf_s"][row] == rebuffer / 1000.0
        assert log["buffer_s_after"][row] == buffer_ms / 1000.0
        assert 0.0 <= log["sleep_ms_residual"][row] <= sleep, "the log has what is left of the pause"


def test_some_log_exercises_the_pause():
    assert all(any(read(f"golden_const0_fcc-test_video1_t{t}.csv")["sleep_ms_residual"]) for t in ("000", "005"))


@pytest.mark.parametrize("name", [name for name in LOGS if "_bba_" in name])
def test_bba_follows_from_buffers(name):
    log, video = read(name), load_video("synthetic")
    infos = {"buffer_s": np.array(log["buffer_s_after"][:-1]), "video": video}
    assert BBA().act_batch(None, infos).tolist() == log["action"][1:]


# --- with the installed traces ---


def replay_at_kernel(log, factors):
    """Every column of the log that depends on the trace, recomputed from the actions."""
    split = "fcc-test" if factors is None else "fcc-train"
    (time_s, bandwidth), video = load_traces(split).trace(log["trace_idx"][0]), load_video("video1")
    pointer, clock, buffer_ms = log["ptr_before"][0], float(time_s[log["ptr_before"][0] - 1]), 0.0
    for row in range(48):
        size = video.chunk_sizes[row, log["action"][row]]
        assert (log["size_bytes"][row], log["ptr_before"][row], log["last_time_before"][row]) == (size, pointer, clock)
        factor = 1.0 if factors is None else next(factors)
        delay, rebuffer, buffer_ms, _, residual, pointer, clock = kernel.play_chunk(
            time_s, bandwidth, 0, len(time_s), pointer, clock, buffer_ms, size, 80.0, 60000.0, 4000.0, factor
        )
        played = [delay, residual, buffer_ms / 1000.0, rebuffer / 1000.0]
        assert played == [log[k][row] for k in ("delay_ms", "sleep_ms_residual", "buffer_s_after", "rebuf_s")]


@pytest.mark.parametrize("name", NOISELESS)
def test_kernel_replays_log(name, netllm_abr):
    replay_at_kernel(read(name), None)


def test_kernel_replays_noisy_logs(netllm_abr):
    stream = np.random.RandomState(SEED)
    factors = iter(lambda: stream.uniform(0.9, 1.1), None)
    for name in NOISY:
        replay_at_kernel(read(name), factors)


@pytest.mark.parametrize("name", NOISELESS)
def test_environment_replays_log(name, netllm_abr):
    log = read(name)
    env = gym.make("netenvs/ABR-v0", traces="fcc-test", video="video1").unwrapped
    _, info = env.reset(options={"trace": log["trace_idx"][0]})
    start = env.traces.start_pointer[log["trace_idx"][0]]
    assert start == log["ptr_before"][0]
    assert env.traces.trace(log["trace_idx"][0])[0][start - 1] == log["last_time_before"][0]
    columns = {
        "delay_ms": "delay_ms",
        "sleep_residual_ms": "sleep_ms_residual",
        "buffer_s": "buffer_s_after",
        "rebuffer_s": "rebuf_s",
        "chunk_bytes": "size_bytes",
    }
    for row in range(48):
        if row:
            _, reward, terminated, _, info = env.step(log["action"][row])
            assert reward == log["reward"][row]
            assert terminated == bool(log["end_of_video"][row])
        assert {ours: info[ours] for ours in columns} == {ours: log[theirs][row] for ours, theirs in columns.items()}
        assert 48 - info["chunk"] == log["remain"][row]
        if row < 47:
            session = env.simulator.batch.session[0]
            position = (session["pointer"], session["clock_s"], session["buffer_ms"])
            assert position == tuple(log[k][row + 1] for k in ("ptr_before", "last_time_before", "buffer_ms_before"))


# --- policies at the published numbers ---


@functools.cache
def played(policy: str, seed: int = SEED, split: str = "fcc-test", count: int = 100):
    specs = [EpisodeSpec(seed=0, policy_seed=seed, options={"trace": trace}) for trace in range(count)]
    return play(load_policy(policy, "abr"), "netenvs/ABR-v0", specs, {"traces": split})


def scores(policy: str, **options) -> np.ndarray:
    return np.array([episode.total_reward / 47 for episode in played(policy, **options)])


ACTION_LOGS = {"bba": "bba", "netllm-mpc": "mpc", "genet-released(mode=sampled)": "genet"}


@pytest.mark.parametrize("policy", ACTION_LOGS)
def test_policies_decide_as_published(policy, netllm_abr, request):
    if "genet" in policy:
        request.getfixturevalue("genet_weights")
    logged = np.load(ARTIFACTS / f"actions_{ACTION_LOGS[policy]}_fcc-test_video1_s{SEED}.npy")
    logged = logged[:, 2].reshape(100, 48)[:, 1:]
    assert np.array_equal([episode.actions for episode in played(policy)], logged)


REFERENCE = json.loads((ARTIFACTS / "reference_video1.json").read_text())


@pytest.mark.parametrize("row", REFERENCE, ids=lambda row: f"{row['model']}-{row['seed']}")
def test_means_equal_the_published_runs(row, netllm_abr, request):
    policy = {"bba": "bba", "mpc": "netllm-mpc"}.get(row["model"])
    if policy is None:
        request.getfixturevalue("genet_weights")
        policy = f"genet-released(model={row['model']},mode=sampled)"
    episodes = played(policy, seed=row["seed"])
    columns = {name: np.array([e.columns[name] for e in episodes]) for name in ("bitrate_kbps", "rebuffer_s")}
    rewards = np.array([episode.rewards for episode in episodes])
    assert rewards.mean() == pytest.approx(row["mean_reward_skip_first"], rel=1e-12)
    assert columns["bitrate_kbps"].mean() / 1000 == pytest.approx(row["bitrate_mbps"], rel=1e-12)
    assert columns["rebuffer_s"].mean() == pytest.approx(row["rebuf_s_per_chunk"], rel=1e-12)
    assert np.median(rewards.mean(axis=1)) == pytest.approx(row["median_trace"], rel=1e-12)


def test_robust_mpc_reaches_the_measured_score(netllm_abr):
    clean = json.loads((ARTIFACTS / "fcc_test_leak.json").read_text())["clean"]
    reached = scores("robust-mpc")
    assert reached.mean() >= 1.0
    assert reached[clean].mean() >= 1.051


def others(request) -> list[str]:
    request.getfixturevalue("genet_weights")
    nets = [f"genet-released(model={m},mode=greedy)" for m in ("genet", "udr_1", "udr_2", "udr_3", "udr_real")]
    return ["bba", "bola", "throughput", "netllm-mpc", "robust-mpc", *nets]


def test_oracle_reaches_the_measured_optimum_and_is_never_beaten(netllm_abr, request):
    best = scores("oracle")
    assert best.mean() >= 1.2160
    for policy in others(request):
        assert np.all(scores(policy) <= best + 1e-12), policy


def test_clean_split_has_the_traces_that_do_not_leak(netllm_abr):
    leak = json.loads((ARTIFACTS / "fcc_test_leak.json").read_text())
    everything, clean = load_traces("fcc-test"), load_traces("fcc-test-clean")
    assert sorted(leak["clean"] + leak["leaked"]) == list(range(100))
    assert clean.names == tuple(everything.names[i] for i in leak["clean"])
    assert clean.start_pointer.tolist() == everything.start_pointer[leak["clean"]].tolist()
    train = load_traces("fcc-train")
    known = {(t.tobytes(), b.tobytes()) for t, b in map(train.trace, range(len(train)))}
    inside = {i for i, (t, b) in enumerate(map(everything.trace, range(100))) if (t.tobytes(), b.tobytes()) in known}
    assert inside == set(leak["leaked"])


def test_training_splits_follow_the_households(netllm_abr):
    """fcc-train-clean and fcc-valid-clean: no trace of fcc-test, split by household."""
    train, test = load_traces("fcc-train"), load_traces("fcc-test")
    key = [tuple(map(np.ndarray.tobytes, traces.trace(i))) for traces in (train, test) for i in range(len(traces))]
    clean = [i for i in range(len(train)) if key[i] not in key[len(train) :]]
    numbers = {i: re.search(r"trace_(\d+)", train.names[i]) for i in clean}
    households = sorted({int(match[1]) for match in numbers.values() if match})
    held_out = set(households[2::4])
    valid = [i for i in clean if numbers[i] and int(numbers[i][1]) in held_out]
    assert len(clean) == 193
    assert load_traces("fcc-valid-clean").names == tuple(train.names[i] for i in valid)
    assert load_traces("fcc-train-clean").names == tuple(train.names[i] for i in clean if i not in valid)
    assert len(load_traces("norway-train")) == 39
