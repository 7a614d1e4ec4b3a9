"""Data sets of bandwidth traces: converters on small files in the upstream layout, and the real ones."""

import dataclasses
import hashlib
import io
import json
import tarfile

import numpy as np
import pytest

from netenvs import datasets
from netenvs.abr.env import ABREnv
from netenvs.abr.installed import INSTALLED_SPLITS
from netenvs.abr.workload import load_traces, load_video
from netenvs.datasets import DatasetError, entries

SABRE = "example/mmsys18"
HEADER = (
    "downstream_bandwidth,connection_type,signal_strength,bitrate,chunk_size,app_throughput,delivery_time,"
    "player_state,chunk_index"
)


def text(number):
    return "".join(f"{1.5 * row}\t{number + row / 7!r}\n" for row in range(4)).encode()


def sabre(number, latency_ms=100):
    periods = [(1000 + number, 1500), (2000, 40 + number), (500, 0)]
    return json.dumps(
        [{"duration_ms": d, "bandwidth_kbps": b, "latency_ms": latency_ms} for d, b in periods], indent=4
    ).encode()


def lumos(number):
    rows = [f"50M,wifi,strong,1200,{100 * k},{4000 + number},{0.25 * k},steady,{k}" for k in (1, 2)]
    return "\n".join([HEADER, *rows, ""]).encode()


def video():
    sizes = [[8000 * (chunk + 1) * (level + 1) for level in range(10)] for chunk in range(5)]
    bitrates = [230, 331, 477, 688, 991, 1427, 2056, 2962, 5027, 6000]
    content = {"segment_duration_ms": 3000, "bitrates_kbps": bitrates, "segment_sizes_bits": sizes}
    return json.dumps(content).encode()


def upstream_files(name):
    if name == "puffer22":
        files = {f"puffer_220218/cooked_traces/trace+{i:02}": text(i) for i in range(11)}
        return files | {f"puffer_220218/cooked_test_traces/trace+{i:02}": text(100 + i) for i in range(3)}
    if name == "pensieve":
        files = {f"src/cooked_traces/trace_{i}": text(i) for i in range(3)}
        return files | {f"src/cooked_test_traces/norway_bus_{i}": text(100 + i) for i in (1, 2, 10)}
    if name == "lumos-wifi":
        files = {f"ABR_data/2103{i:02}-5Mbps.csv": lumos(i) for i in range(6)}
        return files | {f"constant_data/2004{i:02}-5Mbps.csv": lumos(50 + i) for i in range(3)}
    if name == "sabre-3g":
        logs = ("2010-09-13_1003CEST", "2010-09-14_2303CEST", "2011-01-04_0820CET", "2011-01-05_0819CET")
        files = {f"{SABRE}/3Glogs/report.{log}.json": sabre(i) for i, log in enumerate(logs)}
        return files | {f"{SABRE}/bbb.json": video()}
    return {f"{SABRE}/{name[-2:]}_fs/trace{i:04}.json": sabre(i, 20) for i in range(9)}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a data set from upstream files into an empty store, where ``netllm-abr`` has the logs named here."""
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "store"))
    listed = dict.fromkeys(
        ("a/metro-report.2010-09-13_1003CEST.log", "a/tram.ljabru-report.2011-01-05_0819CET.log"), ""
    )
    replace_entry(monkeypatch, "netllm-abr", manifest=listed)

    def install(name, files):
        manifest = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
        replace_entry(monkeypatch, name, manifest=manifest)
        for path, content in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(content)
        return datasets.install(name, tmp_path / name)

    return install


def replace_entry(monkeypatch, name, **changes):
    monkeypatch.setitem(entries.CATALOGUE, name, dataclasses.replace(entries.CATALOGUE[name], **changes))


def numbers(split):
    """The numbers at the end of the names of its traces."""
    return [int(name.removesuffix(".json").removesuffix("-5Mbps.csv")[-2:]) for name in load_traces(split).names]


def test_splits_go_by_the_position_of_a_file(install):
    for name in ("puffer22", "pensieve", "fcc-hd", "fcc-sd", "lumos-wifi"):
        install(name, upstream_files(name))
    assert numbers("puffer22-train") == [0, 1, 2, 3, 5, 6, 7, 8, 10]
    assert numbers("puffer22-valid") == [4, 9]
    assert numbers("puffer22-test") == [0, 1, 2]
    for name in ("fcc-hd", "fcc-sd"):
        assert numbers(f"{name}-train") == [0, 4, 8]
        assert numbers(f"{name}-valid") == [1, 5]
        assert numbers(f"{name}-test") == [2, 3, 6, 7]
    assert load_traces("lumos-wifi-train").names == ("210300-5Mbps.csv", "210304-5Mbps.csv", "200402-5Mbps.csv")
    assert numbers("lumos-wifi-test") == [2, 3, 0, 1]  # the folders one after the other
    assert load_traces("pensieve-train").names == ("trace_0", "trace_1", "trace_2")
    assert load_traces("pensieve-test").names == ("norway_bus_1", "norway_bus_10", "norway_bus_2")


def test_traces_have_the_rows_of_their_files(install):
    for name in ("puffer22", "lumos-wifi", "sabre-3g"):
        install(name, upstream_files(name))
    times, mbps = load_traces("puffer22-valid").trace(1)
    assert (times.tolist(), mbps.tolist()) == ([0.0, 1.5, 3.0, 4.5], [9 + row / 7 for row in range(4)])
    times, mbps = load_traces("lumos-wifi-valid").trace(0)
    assert (times.tolist(), mbps[1:].tolist()) == ([0.0, 0.25, 0.75], [4.001, 4.001])
    times, mbps = load_traces("sabre-3g").trace(0)
    assert (times.tolist(), mbps[1:].tolist()) == ([0.0, 1.001, 3.001, 3.501], [1.5, 0.041, 0.0])
    traces = load_traces("sabre-3g")
    assert traces.installed
    assert traces.latency_ms.tolist() == [100.0] * len(traces.time_s)
    assert load_traces("puffer22-train").latency_ms is None


def test_latency_of_a_trace_is_the_round_trip_of_its_chunks(install):
    for name, split, round_trip_ms in (("sabre-3g", "sabre-3g", 100.0), ("fcc-sd", "fcc-sd-train", 20.0)):
        install(name, upstream_files(name))
        own, other = (
            ABREnv(traces=split, video="synthetic", rtt_ms=rtt_ms).reset(seed=0, options={"trace": 0})[1]["delay_ms"]
            for rtt_ms in (None, 60.0)
        )
        assert own - other == pytest.approx(round_trip_ms - 60.0)


def test_logs_of_another_data_set_are_left_out(install):
    install("sabre-3g", upstream_files("sabre-3g"))
    assert load_traces("sabre-3g").names == ("report.2010-09-14_2303CEST.json", "report.2011-01-04_0820CET.json")


def test_the_tarball_of_the_commit_serves_all_data_sets_in_it(install, tmp_path):
    """It has everything in one folder more, and other files beside those that are read."""
    names = ("sabre-3g", "fcc-hd", "fcc-sd")
    files = {f"{SABRE}/bbb4k.json": b"{}", f"{SABRE}/4Glogs/report_bus_0002.json": sabre(1), "README.md": b"Sabre"}
    for name in names:
        install(name, upstream_files(name))  # also makes the entries that the tarball is checked against
        datasets.remove(name)
        files |= upstream_files(name)
    with tarfile.open(tmp_path / "sabre.tar.gz", "w:gz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(f"sabre-09b03bb/{path}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    for name in names:
        datasets.install(name, tmp_path / "sabre.tar.gz")
        datasets.verify(name)


def test_the_video_of_sabre(install):
    install("sabre-3g", upstream_files("sabre-3g"))
    bbb = load_video("bbb")
    assert (bbb.name, bbb.chunk_duration_s, bbb.num_chunks, bbb.num_levels) == ("bbb", 3.0, 5, 10)
    assert bbb.bitrates_kbps.tolist()[::9] == [230, 6000]
    assert bbb.chunk_sizes.tolist() == [[1000 * (c + 1) * (level + 1) for level in range(10)] for c in range(5)]


@pytest.mark.parametrize(
    ("name", "path", "content", "message"),
    [
        ("pensieve", "src/cooked_traces/trace_1", b"0.0 1.0\n1.0\n", "trace_1:2: not 2 columns"),
        ("pensieve", "src/cooked_traces/trace_1", b"", "trace_1"),
        ("pensieve", "src/cooked_traces/trace_1", b"0 1\n2 1\n2 1\n", "trace_1"),
        ("pensieve", "src/cooked_traces/trace_1", b"0 1\n2 -1\n3 1\n", "trace_1"),
        ("pensieve", "src/cooked_traces/trace_1", b"\xff\xfe\x00", "trace_1"),
        ("fcc-sd", f"{SABRE}/sd_fs/trace0001.json", b"{}", "trace0001.json"),
        ("fcc-sd", f"{SABRE}/sd_fs/trace0001.json", b'[{"duration_ms": 1}]', "trace0001.json"),
        ("fcc-sd", f"{SABRE}/sd_fs/trace0001.json", b"[" * 100_000, "trace0001.json"),
        ("sabre-3g", f"{SABRE}/bbb.json", b"[]", "bbb.json"),
        ("lumos-wifi", "ABR_data/210300-5Mbps.csv", b"a,b\n1,2\n", "210300-5Mbps.csv"),
    ],
)
def test_content_that_is_not_as_it_should_be_is_refused(install, name, path, content, message):
    with pytest.raises(DatasetError, match=message) as caught:
        install(name, upstream_files(name) | {path: content})
    assert "\n" not in str(caught.value)
    assert "from the pinned commit" in str(caught.value)
    assert not datasets.installed(name)


# The real data


def require(*names):
    for name in names:
        if not datasets.installed(name):
            pytest.skip(f"{name} is not installed; python -m netenvs.datasets install {name}")


def test_committed_manifests_hold_every_file():
    sizes = {
        name: len(entry.digests()) for name, entry in entries.CATALOGUE.items() if name in INSTALLED_SPLITS.values()
    }
    assert sizes == {
        "netllm-abr": 498,
        "puffer22": 435 + 500,
        "sabre-3g": 86 + 1,
        "fcc-hd": 1000,
        "fcc-sd": 500,
        "lumos-wifi": 590,
        "pensieve": 127 + 142,
    }


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("puffer22", {"puffer22-train": 348, "puffer22-valid": 87, "puffer22-test": 500}),
        ("pensieve", {"pensieve-train": 127, "pensieve-test": 142}),
        ("sabre-3g", {"sabre-3g": 86 - 39}),
        ("fcc-hd", {"fcc-hd-train": 250, "fcc-hd-valid": 250, "fcc-hd-test": 500}),
        ("fcc-sd", {"fcc-sd-train": 125, "fcc-sd-valid": 125, "fcc-sd-test": 250}),
        ("lumos-wifi", {"lumos-wifi-train": 148, "lumos-wifi-valid": 148, "lumos-wifi-test": 294}),
    ],
)
def test_real_splits_have_their_sizes_and_share_no_trace(name, sizes):
    require(name)
    splits = {split: load_traces(split) for split, dataset in INSTALLED_SPLITS.items() if dataset == name}
    assert {split: len(traces) for split, traces in splits.items()} == sizes
    contents = [traces.trace(i)[1].tobytes() for traces in splits.values() for i in range(len(traces))]
    assert len(set(contents)) == len(contents)


def whole_kbps(traces, index):
    return np.floor(traces.trace(index)[1] * 1000 + 1e-6).astype(int).tolist()


def is_part(short, long):
    """Whether the values stand in another list in their order, others between them."""
    rest = iter(long)
    return all(value in rest for value in short)


def test_real_logs_that_are_left_in_hold_no_training_trace():
    """Pensieve kept the first row of a log and those above 100 kbit/s; they stand in Sabre's trace of it in order."""
    require("sabre-3g", "netllm-abr")
    sabre, norway = load_traces("sabre-3g"), load_traces("norway-train")
    holding = [
        (name, norway.names[j].rpartition("report.")[2])
        for i, name in enumerate(sabre.names)
        for j in range(len(norway))
        if is_part(whole_kbps(norway, j), whole_kbps(sabre, i))
    ]
    # one log ran on while another of the same phone began, and holds it at its end
    assert holding == [("report.2010-09-30_1114CEST.json", "2010-09-30_1133CEST.log")]


def test_real_video():
    require("sabre-3g")
    bbb = load_video("bbb")
    assert (bbb.num_levels, bbb.chunk_duration_s, bbb.num_chunks) == (10, 3.0, 199)
    rates = bbb.chunk_sizes.mean(axis=0) * 8 / 3000
    np.testing.assert_allclose(rates, bbb.bitrates_kbps, rtol=0.05)
