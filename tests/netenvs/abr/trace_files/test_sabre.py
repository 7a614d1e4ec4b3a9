"""Sabre's periods, and its latency as the round trip of a segment."""

import json
import warnings

import gymnasium as gym
import numpy as np
import pytest

from agents.abr.oracle import best_plan, session_state
from netenvs.abr.traces import load_traces
from netenvs.abr.workload import join_traces
from netenvs.readers.errors import InputError

ABR = "netenvs/ABR-v0"
PERIODS = [
    {"duration_ms": 2000, "bandwidth_kbps": 1500, "latency_ms": 20},
    {"duration_ms": 500, "bandwidth_kbps": 0, "latency_ms": 300},
    {"duration_ms": 1500, "bandwidth_kbps": 3000.5, "latency_ms": 50},
]


def test_every_period_is_a_segment(read):
    traces, reading = read(json.dumps(PERIODS), "trace.json")
    time_s, mbps = traces.trace(0)
    assert time_s.tolist() == [0, 2, 2.5, 4] and mbps.tolist() == [1.5, 1.5, 0, 3.0005]
    assert traces.latency_ms.tolist() == [20, 20, 300, 50] and traces.rtt_ms is None
    assert dict(reading.formats) == {"sabre": 1} and not reading.skipped and not reading.notes


def test_without_latency_there_is_none(read):
    for periods in ([{**period, "latency_ms": None} for period in PERIODS], [{**PERIODS[0]} for _ in range(2)]):
        if periods[0]["latency_ms"] is not None:
            periods[1].pop("latency_ms")
        traces, _ = read(json.dumps(periods), "trace.json")
        known = None if periods[0]["latency_ms"] is None else [20, 20, 80]
        assert (traces.latency_ms is None) if known is None else traces.latency_ms.tolist() == known


BAD_PERIODS = [
    {"duration_ms": 0, "bandwidth_kbps": 5, "latency_ms": 1},
    {"duration_ms": 5, "bandwidth_kbps": -5},
    {"duration_ms": 5, "bandwidth_kbps": float("nan")},
    {"duration_ms": 5, "bandwidth_kbps": True},
    {"duration_ms": 5, "bandwidth_kbps": 10**400},
    {"duration_ms": 5, "bandwidth_kbps": 5, "latency_ms": "20"},
    {"bandwidth_kbps": 5},
    [5, 5],
    None,
]


@pytest.mark.parametrize("bad", BAD_PERIODS, ids=range(len(BAD_PERIODS)))
def test_a_bad_period_is_left_out(read, bad):
    content = json.dumps([*PERIODS[:2], bad, *PERIODS[2:]])
    traces, reading = read(content, "trace.json")
    assert traces.trace(0)[0].tolist() == [0, 2, 2.5, 4]
    (((kind, _), skipped),) = reading.skipped.items()
    assert kind == "periods" and skipped.count == 1 and "trace.json, period 3" in skipped.first
    with pytest.raises(InputError, match=r"trace\.json, period 3: .*; mend it or take it out"):
        read(content, "trace.json", strict=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"bandwidth_kbps": 5', "damaged"),
        ("[" * 100_000, "nested too deeply|damaged"),
        ('{"bandwidth_kbps": []}', "not a list of periods"),
        ('[{"bandwidth_kbps": 5}, {"bandwidth_kbps": 5}]', "2 of 2 periods cannot be used"),
        ('[{"duration_ms": 9, "bandwidth_kbps": 0}]', "the whole trace carries 0 bytes"),
        ("[]", "it has no period"),
    ],
)
def test_what_is_no_trace_is_one_line(read, content, message):
    with pytest.raises(InputError, match=rf"trace\.json: .*({message})") as caught:
        read(content, "trace.json", format="sabre")
    assert "\n" not in str(caught.value)


@pytest.fixture
def two_latencies(tmp_path):
    """20 ms for 4 s of 8 Mbit/s, 620 ms for 4 s of it."""
    path = tmp_path / "two.json"
    period = {"duration_ms": 4000, "bandwidth_kbps": 8000}
    path.write_text(json.dumps([{**period, "latency_ms": 20}, {**period, "latency_ms": 620}]))
    return str(path)


def test_latency_is_the_round_trip_of_chunks_that_begin_in_the_segment(two_latencies):
    """A chunk of 190,000 bytes at 0.95 of 8 Mbit/s takes 200 ms: 20 begin in each period."""
    video = {"bitrates_kbps": [100, 200], "chunk_duration_s": 4.0, "chunk_sizes_bytes": [[190_000] * 48] * 2}
    path = two_latencies.replace("two.json", "video.json")
    with open(path, "w") as file:
        json.dump(video, file)
    delays = {}
    for name, options in {"own": {}, "fixed": {"rtt_ms": 80}}.items():
        env = gym.make(ABR, traces=two_latencies, video=path, buffer_cap_s=1000, **options)
        _, info = env.reset(seed=0)
        delays[name] = [info["delay_ms"], *(env.step(0)[4]["delay_ms"] for _ in range(47))]
        assert env.observation_space.contains(env.reset(seed=0)[0])
    assert delays["fixed"] == pytest.approx([280] * 48)
    assert delays["own"] == pytest.approx([*[220] * 20, *[820] * 20, *[220] * 8])


def test_vector_environment_and_oracle_take_the_same_rule(two_latencies):
    options = {"traces": two_latencies, "video": "synthetic"}
    env, vector = gym.make(ABR, **options), gym.make_vec(ABR, num_envs=2, **options)
    env.reset(seed=5)
    vector.reset(seed=5)
    value, plan = best_plan(session_state(env))
    total = 0.0
    for level in plan:
        _, reward, *_, info = env.step(int(level))
        _, rewards, *_, infos = vector.step(np.array([level, level]))
        total += reward
        assert rewards[0] == reward and infos["delay_ms"][0] == info["delay_ms"]
    assert total == pytest.approx(value, abs=1e-9)


def test_joined_with_others_these_keep_their_own_round_trip(two_latencies):
    others = load_traces("genet(count=2)")
    joined = join_traces("both", [load_traces(two_latencies), load_traces("synthetic(count=1)"), others])
    assert joined.latency_ms[:3].tolist() == [20, 20, 620]
    begin, end = joined.offset[1], joined.offset[2]
    assert set(joined.latency_ms[begin:end]) == {80.0}
    assert set(joined.latency_ms[joined.offset[3] : joined.offset[4]]) == {others.rtt_ms[1]}


def test_a_folder_has_the_default_for_files_without(tmp_path, two_latencies):
    (tmp_path / "plain.txt").write_text("0 1\n1 1\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        traces = load_traces(str(tmp_path))
    assert traces.latency_ms.tolist() == [80, 80, 20, 20, 620]


def test_numbers_in_other_units_than_their_keys_say_are_doubted_and_named(read):
    periods = json.dumps([{"duration_ms": 5, "bandwidth_kbps": mbps} for mbps in (1.5, 2.5, 4.0)])
    traces, reading = read(periods, name="link.json", unit="Mbit/s", time_unit="s")
    assert (traces.time_s.tolist(), traces.bandwidth_mbps.tolist()) == ([0, 5, 10, 15], [1.5, 1.5, 2.5, 4])
    assert not reading.notes
    _, reading = read(periods.replace('": 5,', '": 5000,'), name="link.json")
    assert [note.partition(" with")[0] for note in reading.notes] == [
        "1 of 1 traces lies far below the ladder of 0.3 to 4.3 Mbit/s,"
    ]
