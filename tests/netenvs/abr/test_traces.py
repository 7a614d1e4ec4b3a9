"""Traces by name and path: what is accepted, and one line for everything that is not."""

import gzip
import re
import zipfile
from pathlib import Path

import gymnasium as gym
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
    for name, rows in (("b.txt", "0 1\n9 2\n"), ("a.txt", "0 3\n1 4\n2 5\n"), (".hidden", "x"), ("README.md", "x")):
        (tmp_path / name).write_text(rows)
    (tmp_path / "subfolder").mkdir()
    traces = load_traces(str(tmp_path))
    assert [name.rsplit("/", 1)[1] for name in traces.names] == ["a.txt", "b.txt"]
    assert traces.offset.tolist() == [0, 3, 5] and len(traces) == 2
    assert traces.trace(1)[1].tolist() == [1.0, 2.0]


def test_files_of_any_format_compressed_and_in_archives(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"time_ms,kbps\n0,1500\n1000,2500\n"))
    (tmp_path / "b.json").write_text('[{"duration_ms": 1000, "bandwidth_kbps": 3000}]')
    traces = load_traces(str(tmp_path))
    assert [traces.trace(i)[1].tolist() for i in range(2)] == [[1.5, 2.5], [3, 3]]
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("c/packets", "1\n")
    assert load_traces(str(tmp_path / "c.zip")).trace(0)[1].tolist() == [12, 12]


def test_one_bad_file_among_many_is_left_out_with_one_warning(tmp_path):
    files = {"a": "0 1\n1 1\n", "b": "0 0\n1 0\n", "c": "0 1\nx 2\n1 1\n2 1\n", "d": "hello there\n"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.warns(UserWarning, match="left out") as caught:
        traces = load_traces(str(tmp_path))
    assert [Path(name).name for name in traces.names] == ["a", "c"]
    (message,) = [str(one.message) for one in caught]
    assert message.startswith(
        f"{tmp_path}: 2 files left out: cannot be used (first {tmp_path}/b: the whole trace carries"
    )
    assert f"1 row left out: a time or bandwidth that is no number from 0 to 1e9 ({tmp_path}/c:2: x 2)" in message
    for spec, options in ((str(tmp_path), {"strict": True}), (f"auto(path={tmp_path},strict=true)", {})):
        with pytest.raises(ValueError, match="/b: the whole trace carries 0 bytes"):
            load_traces(spec, **options)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("csv(path=PATH,unit=kbit/s)", {}),
        ("csv(path=PATH)", {"unit": "kbit/s"}),
        ("PATH", {"unit": "kbit/s"}),
        ("auto(path=PATH,unit=kbit/s,strict=true)", {}),
    ],
)
def test_options_in_brackets_and_in_python(spec, options, tmp_path):
    (tmp_path / "log.csv").write_text("time_s,rate\n0,3\n1,4000\n")
    traces = load_traces(spec.replace("PATH", str(tmp_path / "log.csv")), **options)
    assert traces.trace(0)[1].tolist() == [0.003, 4] and traces.name == str(tmp_path / "log.csv")


def test_options_survive_the_specification_of_an_environment(tmp_path):
    (tmp_path / "log.csv").write_text("time_s,rate\n0,3\n1,4000\n")
    env = gym.make(ABR, traces=f"csv(path={tmp_path / 'log.csv'},unit=kbit/s)")
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.unwrapped.traces == env.unwrapped.traces and again.unwrapped.traces.trace(0)[1].tolist() == [0.003, 4]


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("PATH", {"unti": "kbit/s"}, "read as csv: unknown option 'unti'; did you mean 'unit'"),
        ("mahimahi(path=PATH,unit=kbit/s)", {}, "read as mahimahi: unknown option 'unit'"),
        ("mahimahi(path=/no/such/file)", {}, "there is no file '/no/such/file'; write mahimahi"),
        ("synthetic", {"strict": True}, "traces 'synthetic': strict is an option of files"),
        ("synthetic", {"count": 3}, "traces 'synthetic': count is an option of files"),
        ("auto(path=PATH,strict=3)", {}, "strict must be true or false, not 3"),
    ],
)
def test_wrong_options_are_one_line(spec, options, message, tmp_path):
    (tmp_path / "log.csv").write_text("time_s,kbps\n0,3\n1,4000\n")
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_traces(spec.replace("PATH", str(tmp_path / "log.csv")), **options)
    assert "\n" not in str(caught.value)


def test_errors_reach_the_user_of_gym_make(tmp_path):
    path = tmp_path / "wrong.txt"
    path.write_text("0 1\n1 nan\n2 1\n3 1\n")
    for make in (gym.make, gym.make_vec):
        with pytest.raises(ValueError, match=r"wrong\.txt:2"):
            make(ABR, traces=f"auto(path={path},strict=true)")
        with pytest.warns(UserWarning, match=r"wrong\.txt: 1 row left out: .* \(.*wrong\.txt:2: 1 nan\)"):
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
    with pytest.raises(ValueError, match="there is no file of data in it"):
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
