"""The data set ``pensieve-logs``: its converter on small logs, and the real ones played again."""

import dataclasses
import hashlib
from dataclasses import replace

import numpy as np
import pytest

from netenvs import datasets
from netenvs.abr.env import ABRVectorEnv
from netenvs.abr.published_logs import BITRATES_KBPS, NUM_CHUNKS, POLICIES, load_published_logs
from netenvs.abr.workload import load_traces, load_video, make_trace_set
from netenvs.datasets import DatasetError, entries

FOLDER = "src/baselines"


def log(first_kbps, extra=()):
    """A log as upstream writes it: tabs, and a blank line at the end."""
    rows = []
    for chunk in range(NUM_CHUNKS):
        bitrate = BITRATES_KBPS[chunk % 6] if chunk else first_kbps
        rows.append([100 + 4.5 * chunk, bitrate, 7.25, 0.5, 1000 + chunk, 321.5, *extra, -1 / 3])
    return ("".join("\t".join(map(repr, row)) + "\n" for row in rows) + "\n").encode()


def upstream_files():
    return {
        f"{FOLDER}/log_sim_bb_norway_tram_1": log(750),
        f"{FOLDER}/log_sim_bb_norway_bus_2": log(1200),
        f"{FOLDER}/log_sim_genet_test_norway_tram_1": log(300, extra=[0.25]),
        f"{FOLDER}/log_sim_genet_test_norway_bus_2": log(300, extra=[0.0]),
    }


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs upstream files into an empty store."""
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "store"))

    def install(files):
        manifest = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        entry = dataclasses.replace(entries.CATALOGUE["pensieve-logs"], manifest=manifest)
        monkeypatch.setitem(entries.CATALOGUE, "pensieve-logs", entry)
        for name, content in files.items():
            (tmp_path / "upstream" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "upstream" / name).write_bytes(content)
        (tmp_path / "upstream" / FOLDER / "plot.png").write_bytes(b"other files stand there, too")
        return datasets.install("pensieve-logs", tmp_path / "upstream")

    return install


def test_logs_are_those_of_the_files(install):
    install(upstream_files())
    logs = load_published_logs("genet")
    assert (logs.name, logs.names, len(logs)) == ("genet", ("norway_bus_2", "norway_tram_1"), 2)
    for name, dtype in {"bitrate_kbps": np.int32, "chunk_bytes": np.int32, "delay_ms": np.float64}.items():
        column = getattr(logs, name)
        assert (column.dtype, column.shape, column.flags.writeable) == (dtype, (2, NUM_CHUNKS), False)
    assert logs.time_s[0, :2].tolist() == [100.0, 104.5]
    assert logs.chunk_bytes[1, -1] == 1000 + NUM_CHUNKS - 1
    assert set(logs.buffer_s.flat) == {7.25}
    assert set(logs.rebuffer_s.flat) == {0.5}
    assert set(logs.delay_ms.flat) == {321.5}
    assert set(logs.reward.flat) == {-1 / 3}
    assert load_published_logs("bb").quality[:, :4].tolist() == [[2, 1, 2, 3], [1, 1, 2, 3]]
    assert load_published_logs("bb") != logs
    assert load_published_logs("bb") == load_published_logs("bb")


def without_a_row(files):
    files[f"{FOLDER}/log_sim_bb_norway_bus_2"] = log(750).replace(b"\n", b"", 1)


def another_bitrate(files):
    files[f"{FOLDER}/log_sim_bb_norway_bus_2"] = log(800)


def no_numbers(files):
    files[f"{FOLDER}/log_sim_bb_norway_bus_2"] = "é".encode() * 100


def another_policy(files):
    files[f"{FOLDER}/log_sim_robust_norway_bus_2"] = log(750)


def a_trace_less(files):
    del files[f"{FOLDER}/log_sim_bb_norway_bus_2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_a_row, "log_sim_bb_norway_bus_2 has not 48 lines"),
        (another_bitrate, "log_sim_bb_norway_bus_2: a bitrate that is none of"),
        (no_numbers, "log_sim_bb_norway_bus_2 has not 48 lines"),
        (another_policy, "log_sim_robust_norway_bus_2 is not called"),
        (a_trace_less, "no log of bb on norway_bus_2"),
    ],
)
def test_content_that_is_not_as_it_should_be_is_refused(install, tmp_path, change, message):
    files = upstream_files()
    change(files)
    with pytest.raises(DatasetError, match=message) as caught:
        install(files)
    assert "\n" not in str(caught.value)
    assert not datasets.installed("pensieve-logs")


def test_what_is_not_there_is_one_line(install):
    with pytest.raises(ValueError, match=r"unknown policy of the published logs 'bba'; .*known: bb, bola") as caught:
        load_published_logs("bba")
    with pytest.raises(DatasetError, match="install pensieve-logs") as missing:
        load_published_logs("bb")
    assert "\n" not in str(caught.value) + str(missing.value)
    install({name: content for name, content in upstream_files().items() if "_bb_" in name})
    with pytest.raises(DatasetError, match="damaged"):
        load_published_logs("genet")  # upstream's has all of them


def test_arrays_of_other_shapes_are_refused(install):
    install(upstream_files())
    with pytest.raises(ValueError, match="PublishedLogs 'bb': reward: it must have the shape"):
        replace(load_published_logs("bb"), reward=np.zeros((2, 3)))


# The real logs


@pytest.fixture(scope="module")
def real():
    for name in ("pensieve-logs", "pensieve", "netllm-abr"):
        if not datasets.installed(name):
            pytest.skip(f"{name} is not installed; python -m netenvs.datasets install {name}")


def replay(quality, **options):
    """The rewards of decisions, (traces, decisions), and the delays of the first chunk in ms, (traces,)."""
    env = ABRVectorEnv(len(quality), autoreset_mode="Disabled", **options)
    _, info = env.reset(seed=0, options={"trace": np.arange(len(quality))})
    return np.stack([env.step(action)[1] for action in quality[:, 1:].T], axis=1), info["delay_ms"]


@pytest.mark.parametrize("policy", sorted(POLICIES.keys() - {"genet", "netllm"}))
def test_published_decisions_earn_the_published_rewards(real, policy):
    logs = load_published_logs(policy)
    assert logs.names == load_traces("pensieve-test").names
    rewards, delays = replay(logs.quality, traces="pensieve-test", preset="pensieve")
    np.testing.assert_array_equal(rewards, logs.reward[:, 1:])
    np.testing.assert_array_equal(delays, logs.delay_ms[:, 0])


def test_netllm_earns_the_published_rewards_where_it_started(real):
    """It began traces at other segments, known by the delay of the first chunk; one or two of a trace have it."""
    logs, traces = load_published_logs("netllm"), load_traces("pensieve-test")
    for index, quality in enumerate(logs.quality):
        trace = traces.trace(index)
        starts = np.arange(1, len(trace[0]))
        copies = make_trace_set("copies", [("copy", *trace)] * len(starts), starts)
        rewards, delays = replay(np.tile(quality, (len(starts), 1)), traces=copies, video="video1", preset="netllm")
        found = rewards[delays == logs.delay_ms[index, 0]]
        assert 1 <= len(found) <= 2
        assert (found == logs.reward[index, 1:]).all(axis=1).any()


def test_genet_played_another_video(real):
    """Its sizes are not those of an installed video, so that nothing can be played again."""
    installed = {int(size) for name in ("video1", "video2") for size in load_video(name).chunk_sizes.flat}
    assert not installed & set(load_published_logs("genet").chunk_bytes[0].tolist())
    assert installed >= set(load_published_logs("ppo").chunk_bytes[0].tolist())
