"""What ``python -m netenvs inspect`` says, and that the commands it gives play the file."""

import itertools
import json
import re
import shlex
import shutil

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from netenvs import tasks
from netenvs.__main__ import main
from netenvs.tasks import Task

VIDEO = {
    "bitrates_kbps": [300, 750],
    "chunk_sizes_bytes": [[150_000, 140_000, 160_000], [375_000, 350_000, 400_000]],
    "chunk_duration_s": 4.0,
}
MPD = """<MPD mediaPresentationDuration="PT8S"><Period><AdaptationSet mimeType="video/mp4">
<SegmentTemplate media="v$RepresentationID$-$Number$.m4s" startNumber="1" duration="4"/>
<Representation id="1" bandwidth="500000"/><Representation id="2" bandwidth="900000"/></AdaptationSet></Period></MPD>"""
JOBS = {
    "jobs": [{"stages": [{"num_tasks": 8, "durations_ms": 120}, {"num_tasks": 2, "durations_ms": 400, "parents": [0]}]}]
}


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """A file of each kind, in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces" / "one.txt").write_text("0 1.0\n2 1.0\n4 2.0\n")
    (tmp_path / "traces" / "two.txt").write_text("0 3.0\n2 3.0\n4 x\n6 3.0\n8 8\n")
    (tmp_path / "video.json").write_text(json.dumps(VIDEO))
    (tmp_path / "jobs.json").write_text(json.dumps(JOBS))
    (tmp_path / "user1.csv").write_text(
        "time_s,roll,pitch,yaw\n" + "".join(f"{0.1 * i:.1f},0,5,{0.4 * i:.1f}\n" for i in range(400))
    )
    return tmp_path


def inspect(capsys, *words):
    status = main(["inspect", *map(str, words)])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_traces(inputs, capsys):
    status, said, _ = inspect(capsys, "traces")
    assert status == 0
    assert said.startswith("traces: 2 bandwidth traces, read as pensieve (2 files), for adaptive bitrate streaming")
    rows = dict(re.findall(r"^  (\S.*?) {2,}(.*)$", said, re.MULTILINE))
    assert rows["left out"] == "1 row: not a number (traces/two.txt:3: x)" or "traces/two.txt:3" in rows["left out"]
    # by time: 2 s of 1, 2 s of 2, then 6 s of 3 (the bad row's time goes to the next) and 2 s of 8
    assert rows["mean"].startswith("3.33 Mbit/s; of single traces 1.5 to 4.25")
    assert rows["above the ladder"].startswith("16.7 % of the time")
    assert rows["below the ladder"].startswith("0 % of the time")
    assert Image.open(inputs / rows["picture"]).size == (900, 600)


@pytest.mark.parametrize(
    ("path", "found", "facts"),
    [
        ("video.json", "1 video", {"ladder": "300, 750 kbit/s", "chunks": "3, 4 s each", "length": "12 s"}),
        ("jobs.json", "1 job", {"critical path": "0.52 s a job", "work": "1.76 s of one executor"}),
        (
            "user1.csv",
            "1 head-motion recording",
            {"gaps": "none", "roll": "0 deg throughout", "yaw": "0 to 159 deg", "speed": "median 3.98"},
        ),
    ],
)
def test_other_inputs(path, found, facts, inputs, capsys):
    status, said, _ = inspect(capsys, path)
    assert status == 0
    assert said.startswith(f"{path}: {found}, ")
    rows = dict(re.findall(r"^  (\S.*?) {2,}(.*)$", said, re.MULTILINE))
    for name, value in facts.items():
        assert rows[name].startswith(value)


@pytest.mark.filterwarnings("ignore:.*left out")
@pytest.mark.parametrize("path", ["traces", "video.json", "jobs.json", "user1.csv"])
def test_the_commands_that_it_gives_play_the_input(path, inputs, capsys):
    _, said, _ = inspect(capsys, path)
    (line,) = re.findall(r"^  in Python +(gym\.make.*)$", said, re.MULTILINE)
    env = eval(line, {"gym": gym})
    assert np.isfinite(env.reset(seed=0)[0]["history"] if path == "user1.csv" else 0).all()
    (command,) = re.findall(r"^  compare policies +python -m benchmarks.compare (.*)$", said, re.MULTILINE)
    words = shlex.split(command)
    settings = [word for flag, word in itertools.pairwise(words) if flag == "--set"]
    dataset = words[words.index("--dataset") + 1] if "--dataset" in words else None
    task = tasks.find(words[words.index("--task") + 1])
    assert gym.make(task.env_id, **task.environment_options(dataset, settings)).spec == env.spec


def test_what_cannot_be_read_is_one_line(inputs, capsys):
    (inputs / "words.txt").write_text("nothing of use\n")
    (inputs / "unknown.csv").write_text("when,what\n0,1\n1,2\n2,1\n")
    (inputs / "header.csv").write_text("time,mbps\n")
    (inputs / "dash").mkdir()
    (inputs / "dash" / "manifest.mpd").write_text(MPD)
    for words, text in [
        (("words.txt",), "words.txt: not recognised by any task; --task T says why"),
        (("words.txt", "--task", "abr"), "words.txt: not recognised as"),
        (("missing",), "missing: cannot be read (No such file or directory)"),
        (("traces", "--strict"), "two.txt:3"),
        (("jobs.json", "--task", "vp"), "jobs.json"),
        (("unknown.csv",), "unknown.csv: no task can read it; --task abr: which column is the bandwidth is not known"),
        (("header.csv",), "header.csv: no task can read it; --task abr: it has a header and no rows"),
        (("dash",), "segment 'v1-1.m4s' is not there; get it first; not recognised with --task cjs or vp"),
        (("traces", "--format", "pensive"), "--task abr: unknown format 'pensive'; did you mean 'pensieve'?"),
        (("csv(path=unknown.csv)",), "unknown.csv: no task can read it; --task abr: which column"),
    ]:
        status, said, error = inspect(capsys, *words)
        assert (status, said) == (1, "")
        assert error.startswith("error: ")
        assert text in error
        assert error.count("\n") == 1
    for words in (("traces", "--task", "nonsense"), ("csv(path=traces,strict=2)",)):
        with pytest.raises(SystemExit, match="2"):
            inspect(capsys, *words)


def test_a_video_that_cannot_be_used_is_not_taken_for_traces(inputs, capsys):
    for number in range(3):
        (inputs / f"video_size_{number}").write_text("400000\n390000\n410000\n")
    for name in ("traces", "video.json", "jobs.json", "user1.csv"):
        shutil.rmtree(name) if name == "traces" else (inputs / name).unlink()
    status, _, error = inspect(capsys, ".", "--task", "abr")
    assert status == 1
    assert "a video has two levels or more" in error


def test_options_are_said_again(inputs, capsys):
    (inputs / "kilo.csv").write_text("time_s,bandwidth\n0,1000\n1,2000\n2,1500\n")
    status, said, _ = inspect(capsys, "kilo.csv", "--set", "unit=kbit/s", "--task", "abr")
    assert status == 0
    assert re.search("^  mean +1.75 Mbit/s$", said, re.MULTILINE)
    assert "--dataset 'auto(path=kilo.csv,unit=kbit/s)'" in said


def test_recordings_too_short_for_windows_are_doubted(inputs, capsys):
    """Windows lie between the first 6 s and the last 12 s."""
    (inputs / "user2.csv").write_text(
        "time_s,roll,pitch,yaw\n" + "".join(f"{0.2 * i:.1f},0,5,{i}\n" for i in range(90))
    )
    _, said, _ = inspect(capsys, "user2.csv", "--task", "vp")
    assert "  warning           no recording of the split test lasts 18 s, as windows need\n" in said
    assert "  split test        1 video, 1 user, 0 windows\n" in said
    with pytest.raises(
        ValueError, match=r"the longest has 90 samples of 0\.2 s, mode='windows' needs 91; give longer ones"
    ):
        gym.make("netenvs/VP-v0", dataset="user2.csv")
    assert gym.make("netenvs/VP-v0", dataset="user2.csv", mode="replay").reset(seed=0)
    _, said, _ = inspect(capsys, "user1.csv")
    assert "  split test        1 video, 1 user, 8 windows\n" in said


def test_long_traces_wide_jobs_and_single_ones_are_drawn(inputs, capsys):
    (inputs / "long.txt").write_text("".join(f"{i} {1 + i % 3}\n" for i in range(3000)))
    wide = [{"num_tasks": 1 + i, "durations_ms": 10, "parents": [0] if i else []} for i in range(200)]
    (inputs / "wide.json").write_text(json.dumps({"jobs": [{"stages": wide}, *JOBS["jobs"]]}))
    for name in ("long.txt", "wide.json"):
        _, said, _ = inspect(capsys, name)
        (picture,) = re.findall("^  picture +(.*)$", said, re.MULTILINE)
        pixels = np.asarray(Image.open(inputs / picture).convert("RGB"))
        blue = (np.abs(pixels.astype(int) - (0x17, 0x69, 0xAA)).sum(axis=2) < 30)[:290]
        assert 0.001 < blue.mean() < 0.25  # neither empty nor one area


def test_a_path_as_environments_take_it(inputs, capsys):
    (inputs / "kilo.csv").write_text("time_s,bandwidth\n0,1000\n1,2000\n2,1500\n")
    status, said, _ = inspect(capsys, "csv(path=kilo.csv,unit=kbit/s)")
    assert status == 0
    assert said.startswith("kilo.csv: 1 bandwidth trace, read as csv")
    assert "--dataset 'csv(path=kilo.csv,unit=kbit/s)'" in said


def test_of_traces_and_videos_in_one_folder_the_kind_that_leaves_less_out_comes_first(inputs, capsys):
    (inputs / "traces" / "video.json").write_text(json.dumps(VIDEO))
    _, said, _ = inspect(capsys, "traces")
    assert said.startswith("traces: 2 bandwidth traces, read as pensieve (2 files)")
    assert re.search("^  also in it +1 video, which --format json shows$", said, re.MULTILINE)
    _, said, _ = inspect(capsys, "traces", "--format", "json")
    assert said.startswith("traces: 1 video, read as json (1 file)")


def test_videos_that_one_environment_cannot_take_together_are_doubted(inputs, capsys):
    (inputs / "videos").mkdir()
    (inputs / "videos" / "a.json").write_text(json.dumps(VIDEO))
    other = {"bitrates_kbps": [300, 750, 1200], "chunk_sizes_bytes": [[75_000] * 4, [187_500] * 4, [300_000] * 4]}
    (inputs / "videos" / "b.json").write_text(json.dumps({**other, "chunk_duration_s": 2.0}))
    _, said, _ = inspect(capsys, "videos")
    assert "with the same number of levels, these have 2, 3: give some alone\n" in said
    assert "  chunks            3 to 4, median 3.5 a video; of 2 to 4, median 3 s each\n" in said
    with pytest.raises(ValueError, match="levels"):
        gym.make("netenvs/ABR-v0", video="videos")


def test_several_options_are_given_each_with_its_name(inputs, capsys):
    (inputs / "plain.txt").write_text("0 1000 7\n1 2000 7\n2 1500 7\n")
    words = ("--set", "time=1", "--set", "bandwidth=2", "--set", "unit=kbit/s")
    _, said, _ = inspect(capsys, "plain.txt", "--format", "csv", *words)
    assert "--dataset 'csv(path=plain.txt,time=1,bandwidth=2,unit=kbit/s)'" in said


def test_a_task_without_files_of_its_own(inputs, capsys, monkeypatch):
    bare = Task(
        name="bare",
        title="t",
        env_id="x/Bare-v0",
        entry_point="x:Y",
        dataset_option="d",
        dataset_kind="k",
        datasets=list,
    )
    monkeypatch.setattr(tasks, "find", lambda name: bare)
    with pytest.raises(SystemExit, match="2"):
        inspect(capsys, "traces", "--task", "bare")
    assert "--task bare: it has no files of its own" in capsys.readouterr().err
