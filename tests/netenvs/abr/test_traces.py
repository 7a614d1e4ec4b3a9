"""Traces by name and path: what is accepted, and one line for everything that is not."""

import re

import gymnasium as gym
import numpy as np
import pytest

from netenvs.abr.workload import load_traces

ABR = "netenvs/ABR-v0"


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


def test_names_win_over_files_of_that_name(tmp_path, monkeypatch):
    """A file ``genet`` in the working directory must not change what a name means."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genet").write_text("0 1\n1 1\n")
    assert len(load_traces("genet")) == 100 and len(load_traces("genet(count=2)")) == 2
    assert len(load_traces("./genet")) == 1


def test_a_byte_order_mark_is_no_part_of_the_first_number(tmp_path):
    file = tmp_path / "trace.txt"
    file.write_text("\ufeff0 1\n1 2\n2 3\n", encoding="utf-8")
    assert load_traces(str(file)).bandwidth_mbps.tolist() == [1, 2, 3]
