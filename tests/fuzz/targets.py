"""Every reader of foreign bytes, with inputs that it reads."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import json
import lzma
import pickle
import shutil
import tarfile
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mutators import Tree
from runner import Target

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "tests" / "artifacts"


def _makers() -> dict[str, Callable[[], Target]]:
    """By name; the inputs of a target are made when its turn comes."""
    made: dict[str, tuple[Callable[[], list[Tree]], Callable[[Path], Any], dict[str, Any]]] = {
        "bandwidth-traces": (_trace_seeds, _play_traces, {}),
        "videos": (_video_seeds, _play_video, {}),
        "alibaba": (_alibaba_seeds, _play_jobs, {}),
        "spark-event-logs": (_spark_seeds, _play_jobs, {}),
        "json-workloads": (_json_job_seeds, _play_jobs, {}),
        "head-motion": (_motion_seeds, _play_motion, {}),
        "archives": (_archive_seeds, _read_archive, {}),
        "compressed-files": (_compressed_seeds, _read_archive, {}),
        "inspect": (_inspected_seeds, _inspect, {}),
        "pickles": (_pickle_seeds, _read_pickle, {}),
        "state-dicts": (_state_seeds, _read_state, {"named": False}),
        "tensor-bundles": (_bundle_seeds, _read_bundle, {}),
        "installed-stores": (_store_seeds, _play_store, {}),
        "upstream-archives": (_upstream_seeds, _read_upstream, {}),
        "pools": (_pool_seeds, _read_pool, {}),
    }
    for checkpoint in ("abr-pensieve", "abr-mamba4net", "cjs-decima", "vp-lad"):
        seeds = partial(_checkpoint_seeds, checkpoint)
        made[f"checkpoint-{checkpoint}"] = (seeds, _load_policy, {"errors": _policy_errors()})
    return {name: partial(_make, name, *parts) for name, parts in made.items()}


def _make(
    name: str, seeds: Callable[[], list[Tree]], read: Callable[[Path], Any], options: Mapping[str, Any]
) -> Target:
    return Target(name, seeds(), read, **options)


def _policy_errors() -> tuple[type[Exception], ...]:
    from agents.policy import PolicyError

    return (PolicyError, ValueError)


def _checkpoint_seeds(name: str) -> list[Tree]:
    return [{f"checkpoint/{file}": content for file, content in _tree(ROOT / "agents" / "checkpoints" / name).items()}]


def _inspected_seeds() -> list[Tree]:
    return [*_trace_seeds()[:3], *_json_job_seeds(), *_motion_seeds()[:2]]


def _tree(folder: Path) -> Tree:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def _trace_seeds() -> list[Tree]:
    rows = [(0.5 * i, round(1.0 + 0.3 * np.sin(i), 3)) for i in range(40)]
    fcc, puffer, lumos = (
        _module(f"netenvs/abr/trace_files/test_{name}.py") for name in ("fcc", "puffer", "lumos_wifi")
    )
    made = {
        "pensieve.txt": "".join(f"{t} {b}\n" for t, b in rows),
        "named.csv": "time_s,bandwidth_mbps\n" + "".join(f"{t},{b}\n" for t, b in rows),
        "german.csv": "time [s];rate [Mbit/s]\n" + "".join(f"{t};{b}\n".replace(".", ",") for t, b in rows),
        "mahimahi": "".join(f"{7 * i}\n" for i in range(300)),
        "oboe.txt": "".join(f"{int(1000 * t)} {1000 * b:.0f}\n" for t, b in rows[1:]),
        "sabre.json": json.dumps([{"duration_ms": 500, "bandwidth_kbps": 1000 * b, "latency_ms": 80} for _, b in rows]),
        "hsdpa.log": "".join(
            f"{1284363796 + i} {1000 * i} 59.9 10.7 {int(125_000 * b)} 1000\n" for i, (_, b) in enumerate(rows)
        ),
        "curr_webget.csv": fcc.HEADER + fcc.rows(*fcc.MEASURED),
        "video_sent.csv": puffer.HEADER + "".join(puffer.STREAMS),
        "210511_1844-50Mbps-4g-weak-ed_4s-MPC.csv": lumos.HEADER + "\n".join(lumos.ROWS),
    }
    seeds: list[Tree] = [{name: text.encode()} for name, text in made.items()]
    return [*seeds, {f"folder/{name}": text.encode() for name, text in list(made.items())[:2]}]


def _module(file: str) -> Any:
    """A module of tests, for the inputs that it has."""
    spec = importlib.util.spec_from_file_location(Path(file).stem, ROOT / "tests" / file)
    assert spec is not None and spec.loader is not None  # it is a file of this repository
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _video_seeds() -> list[Tree]:
    ladder, sizes = [300, 750, 1200], [[k * 125 * 4 + 99 * i for i in range(12)] for k in (300, 750, 1200)]
    ours = {"bitrates_kbps": ladder, "chunk_sizes_bytes": sizes, "chunk_duration_s": 4.0}
    bits = [[8 * level[i] for level in sizes] for i in range(12)]
    sabre = {"segment_duration_ms": 4000, "bitrates_kbps": ladder, "segment_sizes_bits": bits}
    lists = {f"video/video_size_{i}": "\n".join(map(str, level)).encode() for i, level in enumerate(sizes)}
    segments = {f"dash/{level}/{i}.m4s": b"x" * (200 + i) for level in ("a", "b") for i in range(1, 5)}
    mpd = (
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT16S"><Period>'
        '<AdaptationSet mimeType="video/mp4"><SegmentTemplate media="$RepresentationID$/$Number$.m4s" duration="4" '
        'startNumber="1"/><Representation id="a" bandwidth="400000"/><Representation id="b" bandwidth="900000"/>'
        "</AdaptationSet></Period></MPD>"
    )
    master = "#EXTM3U\n" + "".join(f"#EXT-X-STREAM-INF:BANDWIDTH={k}000\n{k}.m3u8\n" for k in (400, 900))
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n" + "".join(f"#EXTINF:4.0,\n{i}.ts\n" for i in range(1, 5))
    media = {f"hls/{k}.m3u8": playlist.encode() for k in (400, 900)}
    return [
        {"ours.json": json.dumps(ours).encode()},
        {"sabre.json": json.dumps(sabre).encode()},
        lists,
        {**segments, "dash/manifest.mpd": mpd.encode()},
        {**media, **{f"hls/{i}.ts": b"x" * (99 + i) for i in range(1, 5)}, "hls/master.m3u8": master.encode()},
    ]


def _alibaba_seeds() -> list[Tree]:
    table = (ARTIFACTS / "cjs" / "batch_task.csv").read_bytes()
    return [{"batch_task.csv": table}, {"batch_task.csv.gz": gzip.compress(table)}]


def _spark_seeds() -> list[Tree]:
    log = (ARTIFACTS / "cjs" / "spark_eventlog.json").read_bytes()
    lines = log.splitlines(keepends=True)
    half = len(lines) // 2
    parts = {"events_1_app": b"".join(lines[:half]), "events_2_app": b"".join(lines[half:]), "appstatus_app": b""}
    return [{"log": log}, {f"eventlog_v2_app/{name}": content for name, content in parts.items()}]


def _json_job_seeds() -> list[Tree]:
    waves = {"fresh": {"5": [900, 950]}, "first": {"5": [400, 410], "20": [450]}, "rest": {"5": [150], "20": [170]}}
    stages = [{"num_tasks": 8, "durations_ms": [120, 130]}, {"num_tasks": 2, "durations_ms": 400, "parents": [0]}]
    jobs = [{"name": "a", "stages": stages}, {"stages": [{"num_tasks": 30, "durations_ms": waves}]}]
    return [{"jobs.json": json.dumps({"jobs": jobs}).encode()}]


def _motion_seeds() -> list[Tree]:
    rows = [(0.1 * i, 0.5 * np.sin(i / 9), 5 * np.sin(i / 20), 0.8 * i - 40) for i in range(100)]
    euler = "time_s,roll,pitch,yaw\n" + "".join(",".join(f"{x:.4f}" for x in row) + "\n" for row in rows)
    half = [np.radians(row[3]) / 2 for row in rows]
    quaternion = "time_ms;qx;qy;qz;qw\n" + "".join(
        f"{100 * i};0;{np.sin(h):.6f};0;{np.cos(h):.6f}\n" for i, h in enumerate(half)
    )
    bare = "".join(" ".join(f"{x:.4f}" for x in row) + "\n" for row in rows)
    wxyz = "".join(f"{0.1 * i:.4f} {3 * i} {np.cos(h):.6f} 0 0 {np.sin(h):.6f}\n" for i, h in enumerate(half))
    wu = "Timestamp,PlaybackTime,UnitQuaternion.x,UnitQuaternion.y,UnitQuaternion.z,UnitQuaternion.w\n" + "".join(
        f"2016-11-23 14:49:{0.1 * i:06.3f},{0.1 * i:.3f},0,{np.sin(h):.6f},0,{np.cos(h):.6f}\n"
        for i, h in enumerate(half)
    )
    salient = "Idx, longitude, latitude, start timestamp\n" + "".join(
        f"{i}, {(row[3] / 360 + 0.5) % 1:.6f}, {row[2] / 180 + 0.5:.6f}, {100 * i}\n" for i, row in enumerate(rows)
    )
    splits = {"test": {"videos": [1], "users": [1, 2]}, "train": {"videos": [2, 3], "users": [3]}}
    return [
        {"user1.csv": euler.encode()},
        {"user1.csv": quaternion.encode()},
        {"user.txt": bare.encode()},
        {"uid-a/test0/Diving/testData.txt": wxyz.encode()},
        {"Experiment_1/7/video_3.csv": wu.encode()},
        {"1_Porto_fixations.csv": salient.encode()},
        {
            **{f"video{v}/user{u}.csv": euler.encode() for v in (1, 2, 3) for u in (1, 2, 3)},
            "splits.json": json.dumps(splits).encode(),
        },
    ]


def _play(env_id: str, **options: Any) -> None:
    import gymnasium as gym

    import netenvs  # noqa: F401  (registers the environments)

    env = gym.make(env_id, disable_env_checker=True, **options)
    observation, _ = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(4):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        if not np.isfinite(reward):
            raise ArithmeticError(f"a reward of {reward}")
        for part in observation.values() if isinstance(observation, dict) else [observation]:
            if not np.isfinite(part).all():
                raise ArithmeticError("an observation that is not finite")
        if terminated or truncated:
            break


def _play_traces(path: Path) -> None:
    from netenvs.abr.workload import load_traces

    _play("netenvs/ABR-v0", traces=load_traces(str(path)))


def _play_video(path: Path) -> None:
    _play("netenvs/ABR-v0", video=str(path), traces="synthetic(count=1)")


def _play_jobs(path: Path) -> None:
    from netenvs.cjs.workload import load_workload

    if load_workload(str(path)).num_tasks.max() > 1_000_000:
        return  # as it says, and one decision lasts as long
    _play("netenvs/CJS-v0", workload=str(path), num_executors=3, num_jobs=2)


def _play_motion(path: Path) -> None:
    _play("netenvs/VP-v0", dataset=str(path), history=3, horizon=5, mode="replay")


def _inspect(path: Path) -> None:
    """All but the picture, which would take all of the time."""
    from unittest import mock

    from netenvs.__main__ import main
    from netenvs.inspection import command

    with mock.patch.object(command, "_draw", lambda inspection, path: path):
        status = main(["inspect", str(path)])
    if status not in (0, 1):
        raise ArithmeticError(f"status {status}")


def _archive_seeds() -> list[Tree]:
    files = {"a/one.txt": b"0 1\n1 2\n2 1\n" * 20, "two.txt": b"0 3\n1 2\n"}
    seeds: list[Tree] = []
    for mode in ("w", "w:gz", "w:xz", "w:bz2"):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode=mode) as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(name * 30)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        seeds.append({"packed": packed.getvalue()})
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", kind) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        seeds.append({"packed": packed.getvalue()})
    return seeds


def _compressed_seeds() -> list[Tree]:
    import cramjam
    import zstandard

    text = b"".join(b"%d some words\n" % i for i in range(400))
    java = b"LZ4Block\x26" + b"".join(n.to_bytes(4, "little") for n in (len(text), len(text), 0))
    raw = bytes(cramjam.snappy.compress_raw(text))
    packed = [
        *(gzip.compress(text), bz2.compress(text), lzma.compress(text), zstandard.compress(text)),
        *(bytes(cramjam.lz4.compress(text)), bytes(cramjam.snappy.compress(text))),
        java.replace(b"\x26", b"\x16") + text,
        b"\x82SNAPPY\x00" + bytes(3) + b"\x01" + bytes(3) + b"\x01" + len(raw).to_bytes(4, "big") + raw,
    ]
    return [{"packed": content} for content in packed]


def _read_archive(path: Path) -> None:
    from netenvs.readers.sources import list_sources

    for source in list_sources(path):
        assert isinstance(source.head, str)
        for _ in source.lines():
            pass


def _pickle_seeds() -> list[Tree]:
    content = {"times": np.arange(5.0), "names": ["a", "b"], "table": np.array([[1, 2]], dtype=object), "n": 3}
    return [{"data.pkl": pickle.dumps(content, protocol)} for protocol in (0, 2, 4, 5)]


def _read_pickle(path: Path) -> None:
    from netenvs.datasets import restricted_pickle

    restricted_pickle.loads(path.read_bytes(), str(path))


def _state_seeds() -> list[Tree]:
    import torch

    content = io.BytesIO()
    torch.save(OrderedDict(weight=torch.ones(3, 4), bias=torch.zeros(4)), content)
    return [{"model.pt": content.getvalue()}]


def _read_state(path: Path) -> None:
    from netenvs.datasets.torch_state import read_state_dict

    read_state_dict(path.read_bytes())


def _bundle_seeds() -> list[Tree]:
    module = _module("netenvs/test_datasets_tensorbundle.py")
    index, data = module.write({"a": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.array(7, dtype="<i8")})
    return [{"bundle/m.index": index, "bundle/m.data": data}]


def _read_bundle(path: Path) -> None:
    from netenvs.datasets import tensorbundle

    index, data = path / "bundle/m.index", path / "bundle/m.data"
    contents = [file.read_bytes() if file.exists() else b"" for file in (index, data)]
    tensorbundle.read(*contents, str(path), ["a", "b"])


def _npz(**arrays: Any) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def _store(name: str, **files: bytes) -> Tree:
    """An installed data set whose record knows the files."""
    from netenvs.datasets import entries

    listing = {file: {"sha256": "", "bytes": len(content)} for file, content in files.items()}
    record = {"name": name, "format": entries.find(name).format, "files": listing}
    contents = {**files, "dataset.json": json.dumps(record).encode()}
    return {f"store/{name}/{file}": content for file, content in contents.items()}


def _store_seeds() -> list[Tree]:
    from netenvs.cjs.workload import load_workload

    traces = _npz(
        time_s=np.array([0.0, 1, 2, 0, 1, 3]),
        bandwidth_mbps=np.array([1.0, 2, 1, 3, 2, 1]),
        offset=np.array([0, 3, 6]),
        start_pointer=np.array([1, 2], np.int32),
        names=np.array(["a", "b"]),
    )
    jobs = load_workload("synthetic(count=3)")
    fields = {name: value for name, value in vars(jobs).items() if isinstance(value, np.ndarray)}
    motion = _npz(
        offset=np.array([0, 60, 120]),
        angles_deg=np.zeros((120, 3), np.float32),
        time_us=np.tile(np.arange(60) * 200_000, 2),
        video=np.array([1, 1], np.int32),
        user=np.array([1, 2], np.int32),
    )
    users = {
        name: {"videos": [1] if name == "test" else [], "users": [1, 2] if name == "test" else []} for name in _SPLITS
    }
    return [
        _store("netllm-abr", **{"fcc-test.npz": traces, "splits.json": b"{}"}),
        _store("netllm-tpch", **{"jobs.npz": _npz(names=np.array(jobs.names), **fields)}),
        _store("jin2022", **{"recordings.npz": motion, "splits.json": json.dumps(users).encode()}),
    ]


_SPLITS = ("train", "valid", "test")


def _play_store(path: Path) -> None:
    import os

    from netenvs import datasets

    os.environ["NETENVS_DATA"] = str(path / "store")
    if not any(datasets.installed(name) for name in ("netllm-abr", "netllm-tpch", "jin2022")):
        return  # its record is damaged; then it says how to install it
    if (path / "store/netllm-abr").is_dir():
        _play("netenvs/ABR-v0", traces="fcc-test", video="synthetic")
    if (path / "store/netllm-tpch").is_dir():
        _play("netenvs/CJS-v0", workload="tpch", num_executors=3, num_jobs=2)
    if (path / "store/jin2022").is_dir():
        try:
            _play("netenvs/VP-v0", dataset="jin2022", history=3, horizon=5, mode="replay")
        except ValueError as error:  # a split that is empty, or has no long recording, is named by its data set
            raise ValueError(f"{path}: {error}" if "jin2022" in str(error) else str(error)) from None


def _upstream_seeds() -> list[Tree]:
    files = {"repo/data/a.txt": b"0 1\n1 2\n", "repo/data/b.txt": b"0 1\n1 3\n"}
    seeds: list[Tree] = []
    for mode in ("w", "w:gz", "w:xz"):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode=mode) as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        seeds.append({"toy.tar": packed.getvalue()})
    return [*seeds, {f"folder/{name}": content for name, content in files.items()}]


def _read_upstream(path: Path) -> None:
    import hashlib
    from dataclasses import replace

    from netenvs.datasets import catalogue, sources

    contents = {"repo/data/a.txt": b"0 1\n1 2\n", "repo/data/b.txt": b"0 1\n1 3\n"}
    manifest = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    toy = replace(next(iter(catalogue().values())), name="toy", manifest=manifest, members=(), packed="", archives=())
    assert sources.read(toy, path / "folder" if (path / "folder").is_dir() else path) == contents


def _pool_seeds() -> list[Tree]:
    from agents.policy import load_policy
    from agents.rollout import EpisodeSpec
    from distill.pools.collect import collect

    folder = Path(tempfile.mkdtemp(prefix="fuzz-pool-"))
    try:
        collect(folder / "pool", "netenvs/ABR-v0", [load_policy("bba")], [EpisodeSpec(seed=i) for i in range(3)])
        return [{f"pool/{name}": content for name, content in _tree(folder / "pool").items()}]
    finally:
        shutil.rmtree(folder)


def _read_pool(path: Path) -> None:
    from distill.pools.pool import Pool

    pool = Pool(path / "pool")
    for number in range(len(pool)):
        pool.episode(number)
    pool.verify()


def _load_policy(path: Path) -> None:
    from agents.policy import load_policy

    load_policy(str(path / "checkpoint"))


MAKERS = _makers()
