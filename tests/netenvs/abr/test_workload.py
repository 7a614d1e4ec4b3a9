"""Readers of traces and videos: what they accept, and one line for everything they do not."""

import json
import re
import shutil

import gymnasium as gym
import numpy as np
import pytest

from agents.policy import load_policy
from agents.rollout import EpisodeSpec, play
from netenvs import datasets
from netenvs.abr.workload import load_traces, load_video, make_trace_set

ABR = "netenvs/ABR-v0"
SIZES = [[100, 200, 300], [200, 400, 600]]
MANIFEST = {"bitrates_kbps": [500, 1000], "chunk_sizes_bytes": SIZES, "chunk_duration_s": 2.0}


# --- traces ---


def test_text_trace(tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("# time_s Mbit/s\n0.5 1.25\n\n  1.5\t2e0\n3 0\n")
    traces = load_traces(str(path))
    time_s, bandwidth = traces.trace(0)
    assert time_s.tolist() == [0.0, 1.0, 2.5] and bandwidth.tolist() == [1.25, 2.0, 0.0]
    assert traces.names == (str(path),) and traces.start_pointer.tolist() == [1]
    assert not (traces.installed or time_s.flags.writeable or bandwidth.flags.writeable)


def test_what_is_cut_out_of_a_log_plays_like_its_copy_from_zero(tmp_path):
    """For several laps."""
    rows = [(118.25, 3.0), (118.75, 0.5), (119.75, 2.0), (121.25, 1.0)]
    for name, begin in (("cut.txt", 0.0), ("zero.txt", 118.25)):
        (tmp_path / name).write_text("".join(f"{time_s - begin} {mbps}\n" for time_s, mbps in rows))
    env = gym.make("netenvs/ABR-v0", traces=str(tmp_path))
    rewards = []
    for trace in (0, 1):
        env.reset(seed=0, options={"trace": trace})
        rewards.append([env.step(chunk % 3)[1] for chunk in range(20)])
    assert rewards[0] == rewards[1]


def test_folder_in_file_name_order(tmp_path):
    for name, rows in (("b.txt", "0 1\n9 2\n"), ("a.txt", "0 3\n1 4\n2 5\n"), (".hidden", "no trace")):
        (tmp_path / name).write_text(rows)
    (tmp_path / "subfolder").mkdir()
    traces = load_traces(str(tmp_path))
    assert [name.rsplit("/", 1)[1] for name in traces.names] == ["a.txt", "b.txt"]
    assert traces.offset.tolist() == [0, 3, 5] and len(traces) == 2
    assert traces.trace(1)[1].tolist() == [1.0, 2.0]


def test_mahimahi_file(tmp_path):
    """Packets of 1500 bytes = 12 kbit, in bins of one second, the last bin 0.4 s long."""
    path = tmp_path / "mahimahi"
    path.write_text("0\n400\n1000\n1000\n1001\n3200\n3400\n")
    time_s, bandwidth = load_traces(str(path)).trace(0)
    assert time_s.tolist() == [0.0, 1.0, 2.0, 3.0, 3.4]
    assert bandwidth[1:] == pytest.approx([4 * 0.012, 0.012, 0.0, 2 * 0.012 / 0.4])
    carried = np.sum(np.diff(time_s) * bandwidth[1:]) * 1e6 / 8
    assert carried == pytest.approx(7 * 1500), "no packet is lost between the bins"


def test_mahimahi_file_of_whole_seconds(tmp_path):
    path = tmp_path / "mahimahi"
    path.write_text("".join(f"{ms}\n" for ms in range(1, 2001)))
    time_s, bandwidth = load_traces(str(path)).trace(0)
    assert time_s.tolist() == [0.0, 1.0, 2.0]
    assert bandwidth[1:] == pytest.approx([12.0, 12.0])


BAD_FILES = {
    "time goes back": (b"0 1\n1 1\n0.5 1\n", ":3: time 0.5 does not come after 1.0; sort"),
    "time repeats": (b"0 1\n\n1 1\n1 1\n", ":4: time 1.0 does not come after 1.0; sort"),
    "Mahimahi time goes back": (b"5\n9\n7\n", ":3: time 7.0 does not come after 9.0; sort"),
    "NaN": (b"0 1\n1 nan\n", ":2: bandwidth nan is not a number from 0"),
    "infinite": (b"0 1\n1 inf\n2 1\n", ":2: bandwidth inf is not a number from 0"),
    "NaN time": (b"0 1\nnan 1\n", ":2: time nan is not a number from 0"),
    "negative bandwidth": (b"0 1\n1 -2\n", ":2: bandwidth -2.0 is not a number from 0"),
    "negative time": (b"-1 1\n1 2\n", ":1: time -1.0 is not a number from 0"),
    "time stamps": (b"1700000000 1\n1700000001 2\n", ":1: time 1700000000.0 .* beginning of the trace"),
    "all zero": (b"0 0\n1 0\n2 0\n", ": the whole trace carries 0 bytes, .* Mbit/s"),
    "only the unused first is not zero": (b"0 9\n1 0\n2 0\n", ": the whole trace carries 0 bytes, .* Mbit/s"),
    "no useful bandwidth": (b"0 1e-9\n1 1e-9\n", ": the whole trace carries 0 bytes, .* Mbit/s"),
    "one line": (b"0 1\n", ": a trace needs at least two lines, it has 1"),
    "empty": (b"", ": a trace needs at least two lines, it has 0"),
    "only comments": (b"# nothing\n# here\n", ": a trace needs at least two lines, it has 0"),
    "three columns": (b"0 1 2\n1 1 2\n", ":1: 3 columns; every line has two"),
    "mixed columns": (b"0 1\n1\n", ":2: 1 columns; every line has two"),
    "words": (b"0 1\n1 fast\n", ":2: expected numbers, .* found '1 fast'"),
    "commas": (b"time,mbps\n0,1\n", ":1: expected numbers"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", ": not a text file; keep only trace files"),
    "text with zeros": (b"\x00\x01\x02\x03\n", ":1: expected numbers"),
    "Mahimahi at zero": (b"0\n0\n", ": all packets are delivered at 0 ms"),
}


@pytest.mark.parametrize("what", BAD_FILES)
@pytest.mark.parametrize("in_folder", [False, True], ids=["file", "folder"])
def test_bad_trace_files_are_one_line(what, in_folder, tmp_path):
    content, message = BAD_FILES[what]
    (tmp_path / "fine.txt").write_text("0 1\n1 1\n")
    path = tmp_path / "wrong.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path)) + message) as caught:
        load_traces(str(tmp_path if in_folder else path))
    assert "\n" not in str(caught.value)


def test_errors_reach_the_user_of_gym_make(tmp_path):
    path = tmp_path / "wrong.txt"
    path.write_text("0 1\n1 nan\n")
    for make in (gym.make, gym.make_vec):
        with pytest.raises(ValueError, match=r"wrong\.txt:2"):
            make(ABR, traces=str(path))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("fcc-tset", "unknown traces 'fcc-tset'; did you mean 'fcc-test'"),
        ("sinthetic", "did you mean 'synthetic'.*or a file or folder"),
        ("", "unknown traces ''"),
        ("a" * 300, "unknown traces"),
        ("no/such/folder", "traces 'no/such/folder': no such file or folder"),
        ("missing.txt", "no such file"),
        ("fcc-test(count=3)", "unknown traces"),
        ("synthetic(count=0)", r"traces 'synthetic\(count=0\)': the number of traces must be"),
        ("synthetic(count=2.5)", "whole number"),
        ("synthetic(count=many)", "count must be a number"),
        ("synthetic(seed=-1)", r"'synthetic\(seed=-1\)': .*non-negative"),
        ("synthetic(seed=x)", r"'synthetic\(seed=x\)'"),
        ("synthetic(length=3)", "unknown option 'length'; known: count, seed"),
        ("synthetic(count=3", "closing bracket"),
        ("synthetic(3)", "not of the form key=value"),
        ("genet(space=udr9)", "unknown space 'udr9'; known: udr1, udr2, udr3"),
        ("genet(space=[1])", r"genet\(space=\[1\]\)"),
        ("genet(rtt_ms=-1)", "rtt_ms must be a number from 0 up"),
        ("genet(min_bw_mbps=low)", "'low'"),
        ("genet(min_bw_mbps=0,max_bw_mbps=0)", "carries no video"),
        ("genet(max_bw_mbps=1e400)", "max_bw_mbps must be a number from 0 up"),
        ("pensieve-markov(t_l=0)", "t_l >= 1"),
        ("pensieve-markov(duration_s=1)", "duration_s >= 2"),
        ("pensieve-markov(t_s=long)", "pensieve-markov"),
        (["synthetic"], "traces must be a name, a path or a TraceSet, not list"),
    ],
)
def test_bad_trace_names_are_one_line(spec, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_traces(spec)
    assert "\n" not in str(caught.value)


def test_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="there is no trace file in this folder"):
        load_traces(str(tmp_path))


def test_missing_data_set_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    for load, name in ((load_traces, "fcc-test"), (load_traces, "norway-train"), (load_video, "video1")):
        with pytest.raises(ValueError, match=r"netenvs\.datasets install netllm-abr") as caught:
            load(name)
        assert "\n" not in str(caught.value)


def test_names_win_over_files_of_that_name(tmp_path, monkeypatch):
    """A folder ``synthetic`` in the working directory must not change what a name means."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genet").write_text("0 1\n1 1\n")
    (tmp_path / "synthetic").write_text(json.dumps(MANIFEST))
    assert len(load_traces("genet")) == 100 and len(load_traces("genet(count=2)")) == 2
    assert len(load_traces("./genet")) == 1
    assert load_video("synthetic").num_levels == 6
    assert load_video("./synthetic").num_levels == 2


def test_traces_made_in_python_are_checked():
    good = np.array([0.0, 1.0, 2.0])
    made = make_trace_set("mine", [("first", good, good), ("second", good[:2], good[:2] + 1)])
    assert made.names == ("first", "second") and made.offset.tolist() == [0, 3, 5]
    for time_s, bandwidth, message in (
        (good[::-1], good, "first: row 2: time 1.0 s does not come after 2.0 s"),
        (good, -good, "first: row 2: bandwidth -1.0 is not a number"),
        (good, good * np.nan, "first: row 1: bandwidth nan"),
        (good, good * 0, "first: the whole trace carries 0 bytes"),
        (good[:1], good[:1], "first: a trace needs at least two"),
    ):
        with pytest.raises(ValueError, match=message):
            make_trace_set("mine", [("first", time_s, bandwidth)])
    with pytest.raises(ValueError, match="no trace in it"):
        make_trace_set("mine", [])
    for pointer in (0, 3):
        with pytest.raises(ValueError, match="start pointers must lie inside"):
            make_trace_set("mine", [("first", good, good)], np.array([pointer]))


# --- videos ---


def write(tmp_path, **changes):
    path = tmp_path / "video.json"
    path.write_text(json.dumps({k: v for k, v in {**MANIFEST, **changes}.items() if v is not None}))
    return str(path)


def test_video_manifest(tmp_path):
    path = write(tmp_path)
    video = load_video(path)
    assert (video.name, video.chunk_duration_s, video.num_chunks, video.num_levels) == (path, 2.0, 3, 2)
    assert video.chunk_sizes.tolist() == [[100, 200], [200, 400], [300, 600]]
    assert video.bitrates_kbps.tolist() == [500, 1000]
    named = load_video(write(tmp_path, name="mine", num_chunks=2))
    assert (named.name, named.num_chunks, len(named.chunk_sizes)) == ("mine", 2, 3)


BAD_MANIFESTS = {
    "no ladder": ({"bitrates_kbps": None}, "the manifest lacks bitrates_kbps"),
    "no sizes": ({"chunk_sizes_bytes": None}, "lacks chunk_sizes_bytes"),
    "no duration": ({"chunk_duration_s": None}, "lacks chunk_duration_s"),
    "descending": ({"bitrates_kbps": [1000, 500]}, "ascending order"),
    "equal after rounding": ({"bitrates_kbps": [500.2, 500.4]}, "ascending order"),
    "Mbit/s": ({"bitrates_kbps": [0.3, 0.75]}, "in kbit/s from 1 up"),
    "one level": ({"bitrates_kbps": [500], "chunk_sizes_bytes": SIZES[:1]}, "at least two bitrates"),
    "zero bitrate": ({"bitrates_kbps": [0, 500]}, "from 1 up"),
    "NaN bitrate": ({"bitrates_kbps": [float("nan"), 500]}, "from 1 up"),
    "huge bitrate": ({"bitrates_kbps": [500, 2**31]}, "from 1 up"),
    "huge integer": ({"bitrates_kbps": [500, 10**400]}, "plain numbers"),
    "number for a ladder": ({"bitrates_kbps": 500}, "at least two bitrates"),
    "missing level": ({"chunk_sizes_bytes": SIZES[:1]}, "has 1 lists for 2 bitrates"),
    "chunks differ": ({"chunk_sizes_bytes": [[100, 200, 300], [200, 400]]}, r"wrong chunk counts \[3, 2\]"),
    "one chunk": ({"chunk_sizes_bytes": [[100], [200]]}, r"wrong chunk counts \[1, 1\]"),
    "flat sizes": ({"chunk_sizes_bytes": [100, 200]}, "wrong chunk counts|plain numbers"),
    "zero size": ({"chunk_sizes_bytes": [[100, 200, 300], [200, 0, 600]]}, "chunk 1 of level 1 has size 0.0"),
    "negative size": ({"chunk_sizes_bytes": [[100, 200, -3], [200, 400, 600]]}, "chunk 2 of level 0 has size -3"),
    "huge size": ({"chunk_sizes_bytes": [[100, 200, 2**31], [200, 400, 600]]}, "chunk 2 of level 0"),
    "words": ({"chunk_sizes_bytes": [["a", 1, 2], [1, 2, 3]]}, "plain numbers"),
    "too many played": ({"num_chunks": 4}, "num_chunks is 4, 3 sizes are listed; give 2 to 3"),
    "one played": ({"num_chunks": 1}, "give 2 to 3"),
    "half a chunk": ({"num_chunks": 2.5}, "num_chunks is 2.5"),
    "infinitely many": ({"num_chunks": float("inf")}, "num_chunks is inf"),
    "counted in words": ({"num_chunks": "two"}, "num_chunks is two"),
    "no time": ({"chunk_duration_s": 0}, "chunk_duration_s must be positive"),
    "NaN duration": ({"chunk_duration_s": float("nan")}, "chunk_duration_s must be positive"),
    "duration in words": ({"chunk_duration_s": "4 s"}, "plain numbers"),
}


@pytest.mark.parametrize("what", BAD_MANIFESTS)
def test_bad_manifests_are_one_line(what, tmp_path):
    changes, message = BAD_MANIFESTS[what]
    path = write(tmp_path, **changes)
    with pytest.raises(ValueError, match=re.escape(path) + ": .*(" + message + ")") as caught:
        load_video(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{not json", "not a JSON video manifest"),
        (b"\xff\xfe", "not a JSON video manifest"),
        (b"[1, 2]", "is a JSON object"),
        (b"", "not a JSON video manifest"),
    ],
)
def test_manifests_that_are_not_json(content, message, tmp_path):
    path = tmp_path / "video.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path)) + ": .*" + message) as caught:
        load_video(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("video3", "unknown video 'video3'; did you mean 'video"),
        ("nowhere/video.json", "no such file"),
        ("missing.json", "no such file"),
        ("synthetic(sead=1)", "unknown option 'sead'; known: seed"),
        ("synthetic(seed=x)", r"video 'synthetic\(seed=x\)'"),
        ("a" * 300, "unknown video"),
        (None, "video must be a name, a path or a Video, not NoneType"),
    ],
)
def test_bad_video_names_are_one_line(spec, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_video(spec)
    assert "\n" not in str(caught.value)


def test_hd_needs_six_levels(tmp_path):
    with pytest.raises(ValueError, match="six bitrate levels, this video has 2"):
        gym.make(ABR, video=write(tmp_path), history=6, qoe="hd")


def test_many_levels_need_a_long_history(tmp_path):
    ladder = [100 * (i + 1) for i in range(8)]
    path = write(tmp_path, bitrates_kbps=ladder, chunk_sizes_bytes=[[b * 250] * 5 for b in ladder])
    with pytest.raises(ValueError, match="from 8 up"):
        gym.make(ABR, video=path)
    env = gym.make(ABR, video=path, history=8)
    assert env.action_space.n == 8
    env.reset(seed=0)
    for _ in range(4):
        *_, terminated, _, info = env.step(7)
    assert terminated and info["bitrate_kbps"] == 800


@pytest.mark.parametrize("spare", [0, 1])
@pytest.mark.parametrize("policy", ["bba", "robust-mpc", "netllm-mpc", "oracle", "throughput", "bola", "random"])
def test_a_users_video_plays_with_every_policy(policy, spare, tmp_path):
    ladder = [400, 900, 2000, 3500]
    sizes = [[kbps * 250 + 1000 * (chunk % 3) for chunk in range(40 + spare)] for kbps in ladder]
    path = write(tmp_path, bitrates_kbps=ladder, chunk_sizes_bytes=sizes, num_chunks=40)
    specs = [EpisodeSpec(seed=seed) for seed in range(5)]
    episodes = play(load_policy(policy, "abr"), ABR, specs, {"video": path}, num_envs=3)
    assert [len(episode.rewards) for episode in episodes] == [39] * 5
    levels = {int(action) for episode in episodes for action in episode.actions}
    assert levels <= {0, 1, 2, 3} and len(levels) > 1


@pytest.mark.parametrize("damage", ["cut", "missing", "splits"])
def test_a_damaged_installed_split_names_the_remedy(netllm_abr, tmp_path, monkeypatch, damage):
    copy = tmp_path / "netllm-abr"
    shutil.copytree(datasets.path("netllm-abr"), copy)
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    if damage == "cut":
        (copy / "fcc-test.npz").write_bytes((copy / "fcc-test.npz").read_bytes()[:1000])
    elif damage == "missing":
        (copy / "fcc-test.npz").unlink()
    else:
        (copy / "splits.json").write_text("{")
    with pytest.raises(
        ValueError, match=r"is damaged .*; run: python -m netenvs\.datasets install netllm-abr"
    ) as caught:
        load_traces("fcc-test")
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_first_number(tmp_path):
    file = tmp_path / "trace.txt"
    file.write_text("\ufeff0 1\n1 2\n2 3\n", encoding="utf-8")
    assert load_traces(str(file)).bandwidth_mbps.tolist() == [1, 2, 3]
