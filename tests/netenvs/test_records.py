"""Records of arrays are checked when they are made, by hand or from the store: kernels read them without a look."""

import dataclasses
import json
import re
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest

import netenvs  # noqa: F401
from netenvs import datasets
from netenvs.abr.workload import TraceSet, Video, load_traces, load_video, make_trace_set
from netenvs.cjs import workload as cjs_workload
from netenvs.cjs.fast import FastClusters
from netenvs.cjs.jobs import Job, Stage, make_job_set
from netenvs.datasets import entries
from netenvs.datasets.errors import DatasetError
from netenvs.records import put_array
from netenvs.vp import workload as vp_workload
from netenvs.vp.recordings import Split, pack_recordings

TIME_S, MBPS = np.arange(6.0), np.full(6, 2.0)
TRACES = make_trace_set("two", [("a", TIME_S, MBPS), ("b", TIME_S, MBPS)], np.array([1, 5]))
VIDEO = load_video("synthetic")
STAGE = Stage(2, first={5: [10, 20]}, rest={5: [5]})
JOBS = make_job_set("three", [Job("j", [STAGE, dataclasses.replace(STAGE, parents=(0,))]), Job("k", [STAGE])])
PATH = (np.arange(120) / 5.0, np.tile([1.0, 2.0, 3.0], (120, 1)))
RECORDINGS = pack_recordings("two", {(1, 1): PATH, (1, 2): PATH}, {"test": Split((1,), (1, 2))})


def changed(array, place, value):
    copy = np.array(array)
    copy[place] = value
    return copy


NAN = float("nan")
WRONG = [
    (TRACES, "offset", [0, 6, 13], "offset: value [2] is 13"),
    (TRACES, "offset", [0, 2**40, 12], "offset: value [1] is 1099511627776"),
    (TRACES, "offset", [0, -6, 12], "offset: value [1] is -6"),
    (TRACES, "offset", [6, 6, 12], "offset: it must begin with 0"),
    (TRACES, "offset", [0, 11, 12], "offset: part 1 is 11 to 12"),
    (TRACES, "offset", [0, 12], "offset: it must have the shape (3)"),
    (TRACES, "offset", [0, 6.5, 12], "offset: it must be an array of int64; it is one of float64"),
    (TRACES, "offset", [0, 6, None], "offset: it must be an array of int64"),
    (TRACES, "start_pointer", [1, 6], "start_pointer: each must lie inside"),
    (TRACES, "start_pointer", [0, 1], "start_pointer: value [0] is 0"),
    (TRACES, "start_pointer", [1, 2**32 + 1], "start_pointer: it must be an array of int32"),
    (TRACES, "time_s", changed(TRACES.time_s, 3, NAN), "time_s: value [3] is nan"),
    (TRACES, "time_s", changed(TRACES.time_s, 3, 0.5), "time_s: value [3] does not come after"),
    (TRACES, "time_s", TRACES.time_s[:-1], "bandwidth_mbps: it must have the shape (11)"),
    (TRACES, "bandwidth_mbps", changed(TRACES.bandwidth_mbps, 3, -1), "bandwidth_mbps: value [3] is -1"),
    (TRACES, "bandwidth_mbps", changed(TRACES.bandwidth_mbps, slice(6, 12), 0), "trace 1 carries 0 bytes"),
    (TRACES, "bandwidth_mbps", ["1"] * 12, "bandwidth_mbps: it must be an array of float64; it is one of <U1"),
    (TRACES, "rtt_ms", [80.0], "rtt_ms: it must have the shape (2)"),
    (TRACES, "buffer_cap_s", [60.0, np.inf], "buffer_cap_s: value [1] is inf"),
    (TRACES, "names", ("a",), "offset: it must have the shape (2)"),
    (VIDEO, "bitrates_kbps", VIDEO.bitrates_kbps[::-1], "bitrates_kbps: they must be in ascending order"),
    (VIDEO, "bitrates_kbps", VIDEO.bitrates_kbps[:-1], "chunk_sizes: it must have the shape (any, 5)"),
    (VIDEO, "chunk_sizes", changed(VIDEO.chunk_sizes, (1, 2), 0), "chunk_sizes: value [1, 2] is 0"),
    (VIDEO, "num_chunks", 10**6, "num_chunks: it must be a whole number from 2"),
    (VIDEO, "num_chunks", 4.0, "num_chunks: it must be a whole number"),
    (VIDEO, "chunk_duration_s", NAN, "chunk_duration_s: it must be above 0"),
    (JOBS, "stage_offset", [0, 3, 2], "stage_offset: value [1] is 3|stage_offset: it must"),
    (JOBS, "stage_offset", [0, 3, 3], "stage_offset: part 1 is 3 to 3"),
    (JOBS, "num_tasks", [2, 0, 2], "num_tasks: value [1] is 0"),
    (JOBS, "rough_ms", [1, NAN, 1], "rough_ms: value [1] is nan"),
    (JOBS, "parents", [2], "parents: they must come before"),
    (JOBS, "parents", [9], "parents: value [0] is 9"),
    (JOBS, "parent_offset", [0, 0, 9, 1], "parent_offset: value [2] is 9"),
    (JOBS, "parent_offset", [0, 0, 0, 1], "parents: they must come before their children, in the same template"),
    (JOBS, "children", [2], "children: they must be those"),
    (JOBS, "child_offset", [0, 0, 1, 1], "children: they must be those"),
    (JOBS, "durations_ms", changed(JOBS.durations_ms, 1, -5), "durations_ms: value [1] is -5"),
    (JOBS, "durations_ms", JOBS.durations_ms[:-1], "cell_start: value|cell_count: a list reaches beyond"),
    (JOBS, "cell_start", changed(JOBS.cell_start, (1, 1, 0), 2**50), "cell_start: value [1, 1, 0]"),
    (JOBS, "cell_count", changed(JOBS.cell_count, (1, 1, 0), 2**20), "cell_count: a list reaches beyond"),
    (JOBS, "cell_count", np.zeros_like(JOBS.cell_count), "cell_count: a stage has neither"),
    (RECORDINGS, "offset", [0, 120, 10**9], "offset: value [2]"),
    (RECORDINGS, "offset", [0, 240, 240], "offset: part 1 is 240 to 240"),
    (RECORDINGS, "angles_deg", changed(RECORDINGS.angles_deg, (5, 1), NAN), "angles_deg: value [5, 1] is nan"),
    (RECORDINGS, "angles_deg", changed(RECORDINGS.angles_deg, (5, 1), 91), "angles_deg: value [5, 1] is 91"),
    (RECORDINGS, "angles_deg", RECORDINGS.angles_deg[:, :2], "angles_deg: it must have the shape (240, 3)"),
    (RECORDINGS, "time_s", changed(RECORDINGS.time_s, 7, np.inf), "time_s: value [7] is inf"),
    (RECORDINGS, "user", [2, 1], "video: recordings must be in order"),
    (RECORDINGS, "video", [1, 1, 1], "offset: it must have the shape (4)"),
]


@pytest.mark.parametrize(("record", "field", "value", "said"), WRONG)
def test_what_kernels_could_not_read_is_refused(record, field, value, said):
    value = np.array(value) if isinstance(value, list) else value
    with pytest.raises(ValueError, match="|".join(map(re.escape, said.split("|")))) as caught:
        dataclasses.replace(record, **{field: value})
    assert str(caught.value).startswith(f"{type(record).__name__} ")
    assert "\n" not in str(caught.value)


def test_records_made_by_hand_are_put_into_the_form_that_kernels_read():
    offset, time_s = np.array([0, 6], np.int32), TIME_S.copy()
    traces = TraceSet("hand", ("a",), time_s, MBPS.astype(np.float32), offset, np.array([1]))
    assert traces.offset.dtype == np.int64
    assert traces.bandwidth_mbps.dtype == np.float64
    assert not traces.time_s.flags.writeable
    time_s[2] = NAN
    assert np.isfinite(traces.time_s).all(), "what can be written to is copied"
    assert time_s.flags.writeable
    assert traces.trace(0)[0] is not TIME_S
    video = Video("hand", 4.0, 3, np.array([100, 200]), np.full((3, 2), 1000))
    env = gym.make("netenvs/ABR-v0", traces=traces, video=video)
    env.reset(seed=0)
    assert env.step(1)[2] is False


def test_arrays_that_are_right_are_not_copied():
    again = dataclasses.replace(TRACES, name="again")
    assert again.time_s is TRACES.time_s


def test_bounds_of_columns():
    record = SimpleNamespace(name="r", table=np.array([[1.0, 5.0], [2.0, 6.0]]))
    put_array(record, "table", np.float64, (None, 2), np.array([1.0, 5.0]), np.array([2.0, 6.0]))
    with pytest.raises(ValueError, match=r"table: value \[1, 1\] is 6.0; it must be a number from .* by column"):
        put_array(record, "table", np.float64, (None, 2), np.array([1.0, 5.0]), np.array([2.0, 5.5]))


def test_templates_without_durations_run_nowhere():
    with pytest.raises(ValueError, match="there are no durations"):
        FastClusters(JOBS.without_samples)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Write installed files of a data set, one array of an npz changed; nothing is remembered of others."""
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    for cached in (cjs_workload._read_tpch, vp_workload._read_installed):
        cached.cache_clear()

    def write(name, file, arrays, **more):
        folder = tmp_path / name
        folder.mkdir()
        np.savez(folder / file, **arrays)
        for extra, content in more.items():
            (folder / f"{extra}.json").write_text(json.dumps(content))
        record = {"name": name, "format": entries.find(name).format, "files": {}}
        (folder / "dataset.json").write_text(json.dumps(record))

    yield write
    for cached in (cjs_workload._read_tpch, vp_workload._read_installed):
        cached.cache_clear()


def fields_of(record, *left_out):
    """Its arrays, as they are stored; fields that are None are not."""
    arrays = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    arrays = {name: value for name, value in arrays.items() if value is not None and name not in ("name", *left_out)}
    return {**arrays, "names": np.array(record.names)} if "names" in arrays else arrays


@pytest.mark.parametrize(
    ("array", "value"),
    [
        ("offset", np.array([0, 6, 10**6])),
        ("offset", np.array([0, 10**12, 12])),
        ("time_s", changed(TRACES.time_s, 2, NAN)),
        ("bandwidth_mbps", np.zeros(12)),
        ("start_pointer", np.array([1, 99])),
        ("names", np.array(["a"])),
    ],
)
@pytest.mark.parametrize("split", ["fcc-train", "fcc-train-clean"])
def test_installed_traces_are_checked(store, split, array, value):
    arrays = {**fields_of(TRACES, "rtt_ms", "buffer_cap_s", "installed"), array: value}
    store("netllm-abr", "fcc-train.npz", arrays, splits={"fcc-train-clean": {"from": "fcc-train", "indices": [1]}})
    with pytest.raises(DatasetError, match=r"damaged .*; run: python -m netenvs\.datasets install netllm-abr"):
        load_traces(split)


def test_installed_traces_that_are_right(store):
    splits = {"fcc-train-clean": {"from": "fcc-train", "indices": [1]}}
    store("netllm-abr", "fcc-train.npz", fields_of(TRACES, "rtt_ms", "buffer_cap_s", "installed"), splits=splits)
    assert load_traces("fcc-train").names == ("a", "b")
    assert load_traces("fcc-train-clean").start_pointer.tolist() == [5]


@pytest.mark.parametrize(
    ("array", "value"),
    [
        ("stage_offset", np.array([0, 2**40, 3])),
        ("cell_start", changed(JOBS.cell_start, (0, 1, 0), 10**15)),
        ("durations_ms", np.negative(JOBS.durations_ms)),
        ("parents", np.array([10**6], np.int32)),
        ("num_tasks", np.array([2.5, 1, 1])),
    ],
)
def test_installed_jobs_are_checked(store, array, value):
    store("netllm-tpch", "jobs.npz", {**fields_of(JOBS), array: value})
    with pytest.raises(DatasetError, match=r"damaged .*; run: python -m netenvs\.datasets install netllm-tpch"):
        gym.make("netenvs/CJS-v0", workload="tpch")


@pytest.mark.parametrize(
    ("array", "value"),
    [
        ("offset", np.array([0, 10**9, 240])),
        ("angles_deg", changed(RECORDINGS.angles_deg, (0, 0), NAN)),
        ("angles_deg", RECORDINGS.angles_deg.astype(complex)),
        ("time_us", np.zeros(7, np.int32)),
        ("user", np.array([7, 7], np.int32)),
    ],
)
def test_installed_recordings_are_checked(store, array, value):
    arrays = {**fields_of(RECORDINGS, "time_s", "splits"), "time_us": np.rint(RECORDINGS.time_s * 1e6).astype(np.int32)}
    lists = {split: {"videos": [1], "users": [1, 2]} for split in ("train", "valid", "test")}
    store("jin2022", "recordings.npz", {**arrays, array: value}, splits=lists)
    with pytest.raises(DatasetError, match=r"damaged .*; run: python -m netenvs\.datasets install jin2022"):
        gym.make("netenvs/VP-v0", dataset="jin2022")


def test_a_store_without_a_record_is_not_read(store):
    with pytest.raises(DatasetError, match="not installed"):
        datasets.path("jin2022")
