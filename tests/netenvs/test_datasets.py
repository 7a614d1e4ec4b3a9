"""Data sets: catalogue, sources, store and command line, on small data in the upstream layout."""

import contextlib
import dataclasses
import hashlib
import http.server
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
import time

import numpy as np
import pytest

from netenvs import datasets
from netenvs.datasets import DatasetError, entries, genet_weights, sources, store
from netenvs.datasets.__main__ import main
from netenvs.datasets.arrays import array_digest

DATA = "adaptive_bitrate_streaming/data"
TRAIN, VALID, TEST = (f"{DATA}/traces/{part}/fcc-{part}" for part in ("train", "valid", "test"))
COMMIT_FOLDER = "NetLLM-0123456789abcdef"


def trace(number, length=5):
    """The text of a trace; equal numbers give equal traces."""
    return "".join(f"{5.0 * i}\t{number + i / 7!r}\n" for i in range(length)).encode()


def upstream_files():
    """Small data in the upstream layout, with overlaps between the splits."""
    train = {f"test_fcc_trace_{unit}_site_0": trace(unit) for unit in (9, 20, 100, 3, 40, 50, 60)}
    train |= {"trace_20_site_320": trace(21), "trace_7_site_0": trace(7), "trace_8_site_0": trace(8)}
    train |= {"bus.oslo.log": trace(200, length=9), "tram.oslo.log": trace(201)}
    valid = {"test_fcc_trace_9_site_0": trace(9)}
    test = {"000_trace_7_site_0": trace(7), "001_trace_99_site_0": trace(99), "002_trace_9_site_0": trace(9)}
    files = {f"{TRAIN}/{name}": content for name, content in train.items()}
    files |= {f"{VALID}/{name}": content for name, content in valid.items()}
    files |= {f"{TEST}/{name}": content for name, content in test.items()}
    files[f"{TEST}/mahimahi_ptrs.pkl"] = pickle.dumps([4, 1, 2], 3)
    for video in (1, 2):
        for level in range(6):
            sizes = "".join(f"{1000 * video * (level + 1) + i}\n" for i in range(49))
            files[f"{DATA}/videos/video{video}_sizes/video_size_{level}"] = sizes.encode()
    return files


def manifest(files):
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def tar(files, folder="", mode="w:gz", extra=()):
    """A tar archive; ``extra`` are (TarInfo, content) put before the files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        members = [*extra]
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}" if folder else name)
            member.size = len(content)
            members.append((member, content))
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def unpack(files, folder):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty store, a catalogue whose netllm-abr is the small data, and no way to the real source."""
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "store"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    small = manifest(upstream_files())
    for name, changes in {"netllm-abr": {"manifest": small}, "genet-weights": {}}.items():
        entry = dataclasses.replace(entries.CATALOGUE[name], url="http://127.0.0.1:9/none", **changes)
        monkeypatch.setitem(entries.CATALOGUE, name, entry)
    return tmp_path / "store"


@pytest.fixture
def archives(tmp_path):
    """A folder as one hands it to --from."""
    folder = tmp_path / "archives"
    folder.mkdir()
    (folder / "netllm-abr.tar.xz").write_bytes(tar(upstream_files(), mode="w:xz"))
    return folder


def visible(folder):
    """What is in the store, hidden lock apart."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock") if folder.exists() else []


@contextlib.contextmanager
def server(respond):
    """Serve on 127.0.0.1; ``respond(handler)`` answers a GET. Yields (url, list of paths asked for)."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            with contextlib.suppress(ConnectionError):
                respond(self)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        running.block_on_close = False
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/tarball.tar.gz", asked
        running.shutdown()


def send(content, announced=None):
    def respond(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(announced or len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return respond


def serve_entry(monkeypatch, url, name="netllm-abr", **changes):
    entry = dataclasses.replace(entries.CATALOGUE[name], url=url, **changes)
    monkeypatch.setitem(entries.CATALOGUE, name, entry)


# Content


def test_installed_arrays_are_those_of_the_files(root, archives):
    folder = datasets.install("netllm-abr", archives)
    assert folder == root / "netllm-abr" == datasets.path("netllm-abr")
    files = upstream_files()
    for split, upstream in [("fcc-train", TRAIN), ("fcc-valid", VALID), ("fcc-test", TEST)]:
        names = sorted(name.rpartition("/")[2] for name in files if name.startswith(upstream + "/"))
        names = [name for name in names if not name.endswith(".pkl")]
        with np.load(folder / f"{split}.npz", allow_pickle=False) as npz:
            assert npz["names"].tolist() == names
            assert {key: npz[key].dtype.str for key in npz.files if key != "names"} == {
                "time_s": "<f8",
                "bandwidth_mbps": "<f8",
                "offset": "<i8",
                "start_pointer": "<i4",
            }
            assert npz["offset"][0] == 0
            assert npz["offset"][-1] == len(npz["time_s"]) == len(npz["bandwidth_mbps"])
            for i, name in enumerate(names):
                rows = [line.split() for line in files[f"{upstream}/{name}"].decode().splitlines()]
                part = slice(npz["offset"][i], npz["offset"][i + 1])
                assert npz["time_s"][part].tolist() == [float(row[0]) for row in rows]
                assert npz["bandwidth_mbps"][part].tolist() == [float(row[1]) for row in rows]
            expected = [4, 1, 2] if split == "fcc-test" else [1] * len(names)
            assert npz["start_pointer"].tolist() == expected


def test_derived_splits_follow_their_rules(root, archives):
    folder = datasets.install("netllm-abr", archives)
    splits = json.loads((folder / "splits.json").read_text())
    with np.load(folder / "fcc-train.npz") as npz:
        train = npz["names"].tolist()

    def names(split):
        assert splits[split]["from"] == "fcc-train"
        return {train[i] for i in splits[split]["indices"]}

    # households unseen in fcc-test, in numeric order: 3 8 20 40 50 60 100; positions 2 and 6 are held out
    held_out = {"test_fcc_trace_20_site_0", "trace_20_site_320", "test_fcc_trace_100_site_0"}
    norway = {"bus.oslo.log", "tram.oslo.log"}
    training = {f"test_fcc_trace_{unit}_site_0" for unit in (3, 40, 50, 60)} | {"trace_8_site_0"} | norway
    assert names("fcc-valid-clean") == held_out
    assert names("fcc-train-clean") == training
    assert names("norway-train") == norway
    assert splits["fcc-test-clean"] == {"from": "fcc-test", "indices": [1]}
    assert all(split["indices"] == sorted(split["indices"]) for split in splits.values())


def test_videos(root, archives):
    folder = datasets.install("netllm-abr", archives)
    video = json.loads((folder / "video2.json").read_text())
    assert video["name"] == "video2"
    assert (video["chunk_duration_s"], video["num_chunks"]) == (4.0, 48)
    assert video["bitrates_kbps"] == [300, 750, 1200, 1850, 2850, 4300]
    assert video["chunk_sizes_bytes"] == [[2000 * (q + 1) + i for i in range(49)] for q in range(6)]


def test_record_states_origin_and_terms(root, archives):
    folder = datasets.install("netllm-abr", archives)
    record = json.loads((folder / "dataset.json").read_text())
    assert record["commit"] == "105bcf070f2bec808f7b14f8f5a953de6e4e6e54"
    assert record["licence"] == "MIT"
    assert "NetLLM" in record["citation"]
    assert record["installed_from"] == "netllm-abr.tar.xz"
    assert record["files"].keys() == {path.name for path in folder.iterdir()} - {"dataset.json"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (f"{TRAIN}/bus.oslo.log", b"0.0 1.0\n1.0\n", "two numbers per line"),
        (f"{TRAIN}/bus.oslo.log", b"", "two numbers per line"),
        (f"{TRAIN}/bus.oslo.log", b"0.0 1.0\n2.0 1.0\n2.0 1.0\n", "do not increase"),
        (f"{TRAIN}/bus.oslo.log", b"0.0 1.0\nnan 1.0\n", "do not increase"),
        (f"{TRAIN}/bus.oslo.log", b"0.0 1.0\n", "fewer than two rows"),
        (f"{TRAIN}/bus.oslo.log", b"0.0 1.0\n1.0 -1.0\n", "no number >= 0"),
        (f"{TRAIN}/bus.oslo.log", b"0.0 1.0\n1.0 0.0\n", "no bandwidth above 0"),
        (f"{TEST}/mahimahi_ptrs.pkl", pickle.dumps([1, 1]), "3 start pointers"),
        (f"{TEST}/mahimahi_ptrs.pkl", pickle.dumps([1, 1, 5]), "5 is no start pointer"),
        (f"{TEST}/mahimahi_ptrs.pkl", pickle.dumps([0, 1, 1]), "0 is no start pointer"),
        (f"{TEST}/mahimahi_ptrs.pkl", pickle.dumps(print), "refused"),
        (f"{DATA}/videos/video1_sizes/video_size_3", b"1\n2\n", "49 chunk sizes"),
        (f"{DATA}/videos/video1_sizes/video_size_3", b"1.5\n" * 49, "49 chunk sizes"),
    ],
)
def test_content_that_is_not_as_it_should_be_is_refused(root, tmp_path, monkeypatch, name, content, message):
    files = upstream_files() | {name: content}
    serve_entry(monkeypatch, "", manifest=manifest(files))
    with pytest.raises(DatasetError, match=message) as caught:
        datasets.install("netllm-abr", unpack(files, tmp_path / "upstream"))
    assert name in str(caught.value)
    assert visible(root) == []


# Sources


def as_folder_of_archives(files, folder):
    (folder / "netllm-abr.tar.xz").write_bytes(tar(files, mode="w:xz"))
    return folder


def as_one_archive(files, folder):
    (folder / "any.tar").write_bytes(tar(files, mode="w"))
    return folder / "any.tar"


def as_tarball_of_github(files, folder):
    return as_archive_with(files, folder, folder_name=COMMIT_FOLDER)


def as_archive_with(files, folder, folder_name):
    others = files | {"README.md": b"hello", "viewport_prediction/data/x.csv": b"1"}
    (folder / "t.tar.gz").write_bytes(tar(others, folder_name))
    return folder / "t.tar.gz"


def as_clone(files, folder):
    return unpack(files | {"README.md": b"", f"{TRAIN}/.DS_Store": b"1"}, folder)


def as_unpacked_tarball(files, folder):
    unpack(files, folder / COMMIT_FOLDER)
    return folder


def as_task_folder(files, folder):
    return unpack(files, folder) / "adaptive_bitrate_streaming"


KINDS = [as_folder_of_archives, as_one_archive, as_tarball_of_github]
KINDS += [as_clone, as_unpacked_tarball, as_task_folder]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_gives_the_same(root, tmp_path, kind):
    (tmp_path / "source").mkdir()
    source = kind(upstream_files(), tmp_path / "source")
    folder = datasets.install("netllm-abr", source)
    with np.load(folder / "fcc-test.npz") as npz:
        assert npz["start_pointer"].tolist() == [4, 1, 2]
        assert npz["bandwidth_mbps"][-1] == 9 + 4 / 7
    datasets.verify("netllm-abr")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["altered", "missing", "extra"])
def test_files_that_are_not_upstreams_are_named(root, tmp_path, kind, fault):
    (tmp_path / "source").mkdir()
    name = f"{TRAIN}/tram.oslo.log"
    files = upstream_files()
    if fault == "altered":
        files[name] += b"99.0 1.0\n"
    elif fault == "missing":
        del files[name]
    else:
        name = f"{TRAIN}/one_more"
        files[name] = trace(1)
    with pytest.raises(DatasetError) as caught:
        datasets.install("netllm-abr", kind(files, tmp_path / "source"))
    message = str(caught.value)
    assert name in message
    assert "get it again from https://github.com/duowuyms/NetLLM/tree/105bcf0" in message
    assert {"altered": "altered", "missing": "missing", "extra": "not a file of"}[fault] in message
    assert visible(root) == []


def test_of_several_repositories_the_one_with_the_files_is_read(root, tmp_path):
    unpack({f"{DATA.partition('/')[0]}/other.txt": b"1"}, tmp_path / "repositories" / "another")
    unpack(upstream_files(), tmp_path / "repositories" / "netllm")
    datasets.install("netllm-abr", tmp_path / "repositories")
    datasets.verify("netllm-abr")


def test_other_files_may_stand_in_a_shared_folder(root, tmp_path, monkeypatch):
    files = upstream_files() | {f"{TRAIN}/notes.txt": b"1"}
    serve_entry(monkeypatch, "", manifest=manifest(upstream_files()), shared_folders=(TRAIN,))
    datasets.install("netllm-abr", unpack(files, tmp_path / "upstream"))
    datasets.verify("netllm-abr")


def hostile(name, kind=tarfile.REGTYPE, content=b"", link=""):
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, len(content), link
    return member, content


@pytest.mark.parametrize(
    "member",
    [
        hostile("../evil", content=b"x"),
        hostile("/evil", content=b"x"),
        hostile(f"{COMMIT_FOLDER}/../../evil", content=b"x"),
        hostile("evil", tarfile.SYMTYPE, link="/etc/passwd"),
    ],
    ids=["up", "absolute", "up from inside", "link"],
)
def test_members_that_leave_the_archive_are_never_written(root, tmp_path, member):
    (tmp_path / "t.tar").write_bytes(tar(upstream_files(), mode="w", extra=[member]))
    datasets.install("netllm-abr", tmp_path / "t.tar")
    assert visible(root) == ["netllm-abr"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "t.tar"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_wanted_name_must_be_a_plain_file(root, tmp_path, kind):
    name = f"{TRAIN}/tram.oslo.log"
    files = upstream_files()
    del files[name]
    (tmp_path / "t.tar").write_bytes(tar(files, mode="w", extra=[hostile(name, kind, link="/etc/passwd")]))
    with pytest.raises(DatasetError, match="no plain file"):
        datasets.install("netllm-abr", tmp_path / "t.tar")


def test_sizes_are_bounded(root, tmp_path, archives, monkeypatch):
    serve_entry(monkeypatch, "", max_file_bytes=100)
    for source in (archives, unpack(upstream_files(), tmp_path / "clone")):
        with pytest.raises(DatasetError, match="too large"):
            datasets.install("netllm-abr", source)
    monkeypatch.setattr(sources, "_MAX_UNPACKED_BYTES", 50)
    with pytest.raises(DatasetError, match="far larger"):
        datasets.install("netllm-abr", archives)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a tar"),
        (b"hello" * 999, "not a tar"),
        (b"PK\x03\x04 a zip", "not a tar"),
        (None, "cannot be|not a"),
    ],
    ids=["empty", "text", "zip", "cut short"],
)
def test_an_archive_that_cannot_be_read(root, tmp_path, archives, content, message):
    whole = (archives / "netllm-abr.tar.xz").read_bytes()
    (tmp_path / "broken").write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(DatasetError, match=message) as caught:
        datasets.install("netllm-abr", tmp_path / "broken")
    assert "\n" not in str(caught.value)
    assert visible(root) == []


def test_a_source_that_is_not_there(root, tmp_path):
    with pytest.raises(DatasetError, match="nowhere does not exist"):
        datasets.install("netllm-abr", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"empty holds neither netllm-abr\.tar\.xz"):
        datasets.install("netllm-abr", tmp_path / "empty")


# The public source


def test_download_converts_and_leaves_nothing_else(root, monkeypatch, capfd):
    with server(send(tar(upstream_files() | {"README.md": b"x"}, COMMIT_FOLDER))) as (url, asked):
        serve_entry(monkeypatch, url)
        datasets.install("netllm-abr")
        datasets.install("netllm-abr")  # nothing to do, nothing fetched
    assert len(asked) == 1
    assert visible(root) == ["netllm-abr"]
    record = json.loads((root / "netllm-abr" / "dataset.json").read_text())
    assert record["installed_from"] == url
    assert capfd.readouterr() == ("", "")  # the library keeps quiet


def test_one_download_serves_all_data_sets_of_a_commit(root, monkeypatch):
    with server(send(tar(upstream_files(), COMMIT_FOLDER))) as (url, asked):
        serve_entry(monkeypatch, url)
        twin = dataclasses.replace(entries.CATALOGUE["netllm-abr"], name="twin")
        monkeypatch.setitem(entries.CATALOGUE, "twin", twin)
        assert main(["install", "netllm-abr", "twin"]) == 0
    assert len(asked) == 1
    assert visible(root) == ["netllm-abr", "twin"]


def not_found(handler):
    handler.send_error(404)


def silence(handler):
    time.sleep(3)


def stall(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b"x" * 1000)
    handler.wfile.flush()
    time.sleep(3)


@pytest.mark.parametrize(
    ("respond", "reason"),
    [
        (not_found, "404"),
        (silence, "timed out"),
        (stall, "timed out"),
        (send(b"x" * 1000, announced=5000), "IncompleteRead"),
        (send(b"x" * 1000), "not a tar archive"),
    ],
    ids=["404", "silence", "stall", "cut short", "not a tarball"],
)
def test_a_failed_download_is_one_line_and_leaves_nothing(root, monkeypatch, capsys, respond, reason):
    with server(respond) as (url, _):
        serve_entry(monkeypatch, url, timeout_s=0.3)
        assert main(["install", "netllm-abr"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert reason in error
    assert "--from" in error or "get it again" in error
    assert visible(root) == []


def test_a_server_that_is_not_there(root, capsys):
    assert main(["install", "netllm-abr"]) == 1  # the fixture's URL: a closed port
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "'netllm-abr' could not be downloaded from http://127.0.0.1:9/none" in error
    assert visible(root) == []


def test_a_download_without_end_is_stopped(root, monkeypatch):
    monkeypatch.setattr(sources, "_MAX_DOWNLOAD_BYTES", 10_000)
    with server(send(bytes(500_000))) as (url, _):
        serve_entry(monkeypatch, url)
        with pytest.raises(DatasetError, match="larger than"):
            datasets.install("netllm-abr")
    assert visible(root) == []


# The store


def test_default_place_is_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("NETENVS_DATA", raising=False)
    import pooch

    assert store.root() == pooch.os_cache("netenvs")
    monkeypatch.setenv("NETENVS_DATA", "")
    assert store.root() == pooch.os_cache("netenvs")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETENVS_DATA", "~/data")
    assert store.root() == tmp_path / "data"


def test_life_of_a_data_set(root, archives):
    assert not datasets.installed("netllm-abr")
    with pytest.raises(DatasetError, match=r"not installed; run: python -m netenvs\.datasets install netllm-abr"):
        datasets.path("netllm-abr")
    with pytest.raises(DatasetError, match="not installed"):
        datasets.verify("netllm-abr")
    with pytest.raises(DatasetError, match="nothing to remove"):
        datasets.remove("netllm-abr")
    datasets.install("netllm-abr", str(archives))
    assert datasets.installed("netllm-abr")
    datasets.verify("netllm-abr")
    datasets.remove("netllm-abr")
    assert not datasets.installed("netllm-abr")
    assert visible(root) == []


@pytest.mark.parametrize("fault", ["altered", "missing", "extra"])
def test_verify_names_the_file(root, archives, fault):
    folder = datasets.install("netllm-abr", archives)
    victim = folder / ("video3.json" if fault == "extra" else "video1.json")
    if fault == "missing":
        victim.unlink()
    else:
        victim.write_bytes(b"{}")
    with pytest.raises(DatasetError, match=rf"{victim.name}.*(install netllm-abr|remove it)"):
        datasets.verify("netllm-abr")


def test_a_damaged_install_is_made_again(root, archives, capsys):
    folder = datasets.install("netllm-abr", archives)
    content = (folder / "video1.json").read_bytes()
    (folder / "video1.json").write_bytes(b"{}")
    assert main(["install", "netllm-abr", "--from", str(archives)]) == 0
    assert "installing netllm-abr again" in capsys.readouterr().out
    assert (folder / "video1.json").read_bytes() == content
    datasets.verify("netllm-abr")
    assert visible(root) == ["netllm-abr"]


def test_an_intact_install_is_left_alone(root, archives, tmp_path, capsys):
    folder = datasets.install("netllm-abr", archives)
    before = folder.stat().st_ino
    assert main(["install", "netllm-abr", "--from", str(tmp_path / "not even there")]) == 0
    assert "installed already and intact" in capsys.readouterr().out
    assert folder.stat().st_ino == before


def test_an_older_format_does_not_count_as_installed(root, archives, monkeypatch):
    datasets.install("netllm-abr", archives)
    serve_entry(monkeypatch, "", format=2)
    assert not datasets.installed("netllm-abr")
    datasets.install("netllm-abr", archives)
    assert json.loads((root / "netllm-abr" / "dataset.json").read_text())["format"] == 2


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[]",
        "{}",
        '{"name": "netllm-abr", "format": 1, "files": 3}',
        '{"name": "netllm-abr", "format": 1, "files": {"video1.json": 3}}',
    ],
)
def test_a_damaged_record_does_not_count_as_installed(root, archives, record):
    folder = datasets.install("netllm-abr", archives)
    (folder / "dataset.json").write_text(record)
    assert not datasets.installed("netllm-abr")
    datasets.install("netllm-abr", archives)
    datasets.verify("netllm-abr")


def test_a_store_that_cannot_be_written(tmp_path, archives, root, monkeypatch, capsys):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "file" / "store"))
    assert main(["install", "netllm-abr", "--from", str(archives)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "set NETENVS_DATA to a folder" in error


def test_a_full_disk_leaves_the_old_install(root, archives, monkeypatch):
    datasets.install("netllm-abr", archives)
    old = entries.CATALOGUE["netllm-abr"]
    serve_entry(monkeypatch, "", format=2)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DatasetError, match="No space left on device"):
            datasets.install("netllm-abr", archives)
    monkeypatch.setitem(entries.CATALOGUE, "netllm-abr", old)
    datasets.verify("netllm-abr")
    assert visible(root) == ["netllm-abr"]


# Killed and concurrent processes

CHILD = """
    import dataclasses, json, os, sys, time
    from netenvs.datasets import entries
    from netenvs.datasets.__main__ import main

    url, manifest, source, hook, format = json.loads(sys.argv[1])
    entry = dataclasses.replace(entries.CATALOGUE["netllm-abr"], url=url, manifest=manifest, format=format)

    def pause():
        print("here", flush=True)
        time.sleep(float(os.environ.get("PAUSE_S", "60")))

    class Slow(dict):  # installed files of which the second takes long to come
        def items(self):
            for number, item in enumerate(super().items()):
                if number == 1:
                    pause()
                yield item

    if hook == "write":
        convert = entry.convert
        entry = dataclasses.replace(entry, convert=lambda *arguments: Slow(convert(*arguments)))
    if hook == "swap":  # between the old install moving out and the new one moving in
        import pathlib
        rename = pathlib.Path.rename
        def slow_rename(self, target):
            if self.name == "new":
                pause()
            return rename(self, target)
        pathlib.Path.rename = slow_rename
    entries.CATALOGUE["netllm-abr"] = entry
    sys.exit(main(["install", "netllm-abr", *(["--from", source] if source else [])]))
"""


def child(source="", url="", hook="", format=1, pause_s=60.0):
    """Start an install of the small data in a process of its own."""
    arguments = json.dumps([url, manifest(upstream_files()), str(source), hook, format])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), arguments],
        env=os.environ | {"PAUSE_S": str(pause_s)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_when(process, reached):
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline, "the process never got there"
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def says_here(process):
    return lambda: process.stdout.readline().strip() == "here"


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.parametrize("hook", ["write", "swap"])
def test_killed_while_it_writes(root, archives, hook):
    process = child(archives, hook=hook)
    kill_when(process, says_here(process))
    assert any(name.startswith(".tmp-") for name in visible(root))
    assert not datasets.installed("netllm-abr")
    datasets.install("netllm-abr", archives)
    datasets.verify("netllm-abr")
    assert visible(root) == ["netllm-abr"]


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_while_it_writes_over_an_old_install(root, archives):
    datasets.install("netllm-abr", archives)
    process = child(archives, hook="write", format=2)
    kill_when(process, says_here(process))
    datasets.verify("netllm-abr")  # the old one, whole


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_while_it_swaps_an_old_install(root, archives, monkeypatch):
    datasets.install("netllm-abr", archives)
    process = child(archives, hook="swap", format=2)
    kill_when(process, says_here(process))
    assert not datasets.installed("netllm-abr")  # neither, rather than half
    assert not (root / "netllm-abr").exists()
    datasets.install("netllm-abr", archives)
    assert visible(root) == ["netllm-abr"]


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_while_it_downloads(root, archives):
    content = tar(upstream_files(), COMMIT_FOLDER)

    def slow(handler):
        send(content[: len(content) // 2], announced=len(content))(handler)
        handler.wfile.flush()
        time.sleep(10)

    with server(slow) as (url, _):
        process = child(url=url)
        kill_when(process, lambda: list(root.glob(".tmp-download-*/*")))
    assert [name for name in visible(root) if not name.startswith(".tmp-")] == []
    datasets.install("netllm-abr", archives)
    datasets.verify("netllm-abr")
    assert visible(root) == ["netllm-abr"]


def test_two_installs_at_once_take_turns(root, archives):
    first = child(archives, hook="write", pause_s=1.5)
    assert first.stdout.readline().strip() == "here"
    second = child(archives)
    outputs = [process.communicate(timeout=30) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert "installed netllm-abr in" in outputs[0][0]
    assert "waiting for another process" in outputs[1][0]
    assert "installed already and intact" in outputs[1][0]
    datasets.verify("netllm-abr")
    assert visible(root) == ["netllm-abr"]


# genet-weights


def weights():
    """All variables of the released checkpoints, in the released names, with small values of one's own."""
    rng = np.random.default_rng(2)
    arrays = {}
    for model, checkpoint in genet_weights.CHECKPOINTS:
        prefix = f"{model}__{checkpoint}|"
        for part in ("actor", "critic"):
            arrays[f"{prefix}{part}/Conv1D/W"] = rng.normal(size=(4, 1, 6, 3)).astype(np.float32)
            arrays[f"{prefix}{part}/FullyConnected_4/b"] = rng.normal(size=3).astype(np.float32)
        arrays[f"{prefix}Variable"] = np.float32(0)
        arrays[f"{prefix}Variable_1"] = np.float32(1)
    return arrays


def array_manifest(arrays):
    return {key: array_digest(a) for key, a in arrays.items() if "|actor/" in key}


def save_npz(folder, arrays, **options):
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "genet_weights.npz", **options, **arrays)
    return folder


@pytest.fixture
def weights_entry(root, monkeypatch):
    serve_entry(monkeypatch, "", "genet-weights", manifest=array_manifest(weights()))


@pytest.mark.parametrize("place", ["", "golden/abr"])
def test_weights_from_npz_keep_the_actor_only(weights_entry, tmp_path, place):
    save_npz(tmp_path / "data" / place, weights())
    folder = datasets.install("genet-weights", tmp_path / "data")
    with np.load(folder / "genet_weights.npz", allow_pickle=False) as npz:
        assert sorted(npz.files) == sorted(key for key in weights() if "|actor/" in key)
        for key in npz.files:
            np.testing.assert_array_equal(npz[key], weights()[key], strict=True)


def altered(arrays):
    arrays["genet__nn_model_ep_9900|actor/Conv1D/W"][0, 0, 0, 0] += 1


def retyped(arrays):
    key = "genet__nn_model_ep_9900|actor/Conv1D/W"
    arrays[key] = arrays[key].view(np.int32)


def reshaped(arrays):
    key = "genet__nn_model_ep_9900|actor/Conv1D/W"
    arrays[key] = arrays[key].reshape(1, 4, 6, 3)


def lost(arrays):
    del arrays["udr_2__nn_model_ep_52400|actor/Conv1D/W"]


def unknown(arrays):
    arrays["udr_2__nn_model_ep_52400|backdoor"] = np.zeros(1)


def objects(arrays):
    arrays["genet__nn_model_ep_9900|actor/Conv1D/W"] = np.array([{}], dtype=object)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (altered, r"genet__nn_model_ep_9900\|actor/Conv1D/W is altered"),
        (retyped, r"genet__nn_model_ep_9900\|actor/Conv1D/W is altered"),
        (reshaped, r"genet__nn_model_ep_9900\|actor/Conv1D/W is altered"),
        (lost, r"udr_2__nn_model_ep_52400\|actor/Conv1D/W is missing"),
        (unknown, "unknown array 'udr_2__nn_model_ep_52400|backdoor'"),
        (objects, "not a readable npz"),
    ],
)
def test_weights_that_are_not_the_released_ones(weights_entry, root, tmp_path, change, message):
    arrays = weights()
    change(arrays)
    with pytest.raises(DatasetError, match=message) as caught:
        datasets.install("genet-weights", save_npz(tmp_path / "data", arrays))
    assert "\n" not in str(caught.value)
    assert visible(root) == []


def test_an_npz_that_swells_is_refused(weights_entry, tmp_path, monkeypatch):
    monkeypatch.setattr("netenvs.datasets.arrays._MAX_BYTES", 1000)
    with pytest.raises(DatasetError, match="unpacks to more than"):
        datasets.install("genet-weights", save_npz(tmp_path / "data", weights()))


def test_a_damaged_npz_is_one_line(weights_entry, tmp_path):
    path = save_npz(tmp_path / "data", weights()) / "genet_weights.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DatasetError, match="not a readable npz") as caught:
        datasets.install("genet-weights", path)
    assert "\n" not in str(caught.value)


# Catalogue and command line


def test_catalogue_says_what_a_user_needs_to_know():
    for name, entry in datasets.catalogue().items():
        assert entry.name == name
        assert entry.licence
        assert entry.citation
        assert entry.gives
        assert entry.commit in entry.url
        assert entry.commit in entry.source
        assert all(len(bytes.fromhex(digest)) == 32 for digest in entry.digests().values())


def test_committed_manifests_hold_every_file_and_array():
    abr = entries.CATALOGUE["netllm-abr"].digests()
    assert [sum(name.startswith(f"{folder}/") for name in abr) for folder in (TRAIN, VALID, TEST)] == [
        235,
        150,
        101,
    ]
    assert f"{TEST}/mahimahi_ptrs.pkl" in abr
    assert sum(name.startswith(f"{DATA}/videos/") for name in abr) == 12
    assert len(abr) == 235 + 150 + 101 + 12
    genet = entries.CATALOGUE["genet-weights"].digests()
    prefixes = {f"{model}__{checkpoint}" for model, checkpoint in genet_weights.CHECKPOINTS}
    assert {key.split("|")[0] for key in genet} == prefixes
    assert len(genet) == 6 * 16
    assert all("|actor/" in key for key in genet)


@pytest.mark.parametrize("command", ["install", "verify", "path", "remove"])
def test_unknown_name_is_status_2_and_one_line(root, capsys, command):
    assert main([command, "netlm-abr"]) == 2
    output, error = capsys.readouterr()
    assert output == ""
    known = ", ".join(entries.CATALOGUE)
    assert error == f"error: unknown data set 'netlm-abr'; did you mean 'netllm-abr'? known: {known}\n"


def test_nothing_is_installed_when_one_name_is_unknown(root, archives):
    assert main(["install", "netllm-abr", "nonsense", "--from", str(archives)]) == 2
    assert visible(root) == []


def test_commands(root, archives, capsys):
    def run(*arguments):
        status = main(arguments)
        output, error = capsys.readouterr()
        return status, output, error

    status, output, _ = run("list")
    assert status == 0
    assert "netllm-abr" in output
    assert "genet-weights" in output
    assert "yes" not in output
    assert run("path", "netllm-abr")[0] == 1
    assert run("remove", "netllm-abr")[0] == 1
    status, output, error = run("verify", "netllm-abr")
    assert (status, output, error.count("\n")) == (1, "", 1)
    status, output, _ = run("verify")
    assert status == 0
    assert "nothing is installed" in output

    assert run("install", "netllm-abr", "--from", str(archives))[0] == 0
    status, output, error = run("list")
    assert "yes" in output
    assert run("path", "netllm-abr") == (0, f"{root / 'netllm-abr'}\n", "")
    assert run("verify") == (0, "netllm-abr: intact\n", "")
    (root / "netllm-abr" / "splits.json").write_text("{}")
    status, output, error = run("verify")
    assert (status, output, error.count("\n")) == (1, "", 1)
    assert "splits.json is altered" in error
    assert run("remove", "netllm-abr")[0] == 0
    assert visible(root) == []


@pytest.mark.parametrize("arguments", [[], ["install"], ["fetch", "x"], ["path", "a", "b"]])
def test_wrong_usage_is_status_2_and_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_module_runs_as_a_command(root):
    command = [sys.executable, "-m", "netenvs.datasets", "path", "netllm-abr"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: data set 'netllm-abr' is not installed; run: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("configured", [None, "~/store"])
def test_without_a_home_the_store_must_be_named(configured, monkeypatch, capsys):
    """No HOME and no entry of the user: not a folder called ~ in the working directory."""
    monkeypatch.delenv("NETENVS_DATA", raising=False)
    if configured:
        monkeypatch.setenv("NETENVS_DATA", configured)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert not datasets.installed("netllm-abr")
    assert main(["install", "netllm-abr"]) == 1
    assert capsys.readouterr().err.startswith("error: no home folder is known for the store; set NETENVS_DATA to")
    assert main(["list"]) == 0
    assert "store: none, no home folder" in " ".join(capsys.readouterr().out.split())


def test_import_is_light():
    heavy = ["torch", "pooch", "requests", "tyro", "rich", "numba"]
    code = f"import sys, netenvs.datasets; print(sorted(set({heavy}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


# The real data


@pytest.fixture(scope="module")
def real():
    if not datasets.installed("netllm-abr"):
        pytest.skip("netllm-abr is not installed; python -m netenvs.datasets install netllm-abr")
    return datasets.path("netllm-abr")


def test_real_splits_have_the_published_sizes(real):
    for split, traces, rows in [
        ("fcc-train", 235, 98_260),
        ("fcc-valid", 150, 47_924),
        ("fcc-test", 100, 16_938),
    ]:
        with np.load(real / f"{split}.npz", allow_pickle=False) as npz:
            assert len(npz["names"]) == len(npz["start_pointer"]) == traces
            assert npz["offset"].tolist()[-1] == rows
            starts = npz["start_pointer"]
        assert (starts == 1).all() or (split == "fcc-test" and (starts[0], starts.min(), starts.max()) == (28, 3, 303))


def test_real_derived_splits_are_disjoint_where_they_should_be(real):
    splits = json.loads((real / "splits.json").read_text())
    sizes = {name: len(split["indices"]) for name, split in splits.items()}
    assert sizes == {"fcc-test-clean": 58, "fcc-train-clean": 143, "fcc-valid-clean": 50, "norway-train": 39}
    contents = {}
    for name, split in splits.items():
        with np.load(real / f"{split['from']}.npz", allow_pickle=False) as npz:
            offset, bandwidth = npz["offset"], npz["bandwidth_mbps"]
            contents[name] = {bandwidth[offset[i] : offset[i + 1]].tobytes() for i in split["indices"]}
    assert contents["norway-train"] <= contents["fcc-train-clean"]
    assert not contents["fcc-train-clean"] & contents["fcc-valid-clean"]
    assert not contents["fcc-test-clean"] & (contents["fcc-train-clean"] | contents["fcc-valid-clean"])


def test_real_weights_have_the_released_shapes():
    if not datasets.installed("genet-weights"):
        pytest.skip("genet-weights is not installed; python -m netenvs.datasets install genet-weights")
    with np.load(datasets.path("genet-weights") / "genet_weights.npz", allow_pickle=False) as npz:
        assert npz["genet__nn_model_ep_9900|actor/FullyConnected_3/W"].shape == (768, 128)
        assert npz["udr_3__nn_model_ep_58000|actor/FullyConnected_4/W"].shape == (128, 3)
        assert {key: array_digest(npz[key]) for key in npz.files} == entries.CATALOGUE["genet-weights"].digests()
