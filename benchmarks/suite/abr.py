"""The suite ``worlds`` of bitrate adaptation: trace sets x ladders x rebuffer penalties."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.suite.record import Batch, Built, Cell, Suite
from netenvs import datasets
from netenvs.abr import kernel
from netenvs.abr.installed import INSTALLED_SPLITS, INSTALLED_VIDEOS
from netenvs.abr.workload import TraceSet, Video, join_traces, load_traces, load_video, make_trace_set

SETS = {
    "test": ("fcc-test", "fcc-hd-test", "fcc-sd-test", "lumos-wifi-test", "pensieve-test", "puffer22-test"),
    "valid": ("fcc-valid-clean", "fcc-hd-valid", "fcc-sd-valid", "lumos-wifi-valid", "puffer22-valid"),
}
"""Of each split; ``fcc-test-clean`` and the like are parts of these, and ``pensieve-test`` has no counterpart."""
GENERATED_SETS = {
    "test": ("synthetic", "pensieve-markov", "genet(space=udr2)"),
    "valid": ("synthetic(seed=1)", "pensieve-markov(seed=1)", "genet(space=udr2,seed=1)"),
}
"""Where none of those is installed."""
LADDERS = ("video1", "bbb", "synthetic-4k")
GENERATED_LADDERS = {"video1": "synthetic", "bbb": "generated(levels=10)"}
"""In place of those that are not installed."""
PENALTY = 4.3
"""Of a second of rebuffering; the other is the highest bitrate in Mbit/s. On ``video1`` the two are one."""
LEAST_GAIN = 0.02
"""Of the utility of the highest level: a cell counts where the optimum is above the floor by so much."""
LIMIT = 40


def _build(split: str, most: int | None) -> Built:
    names = [name for name in SETS[split] if datasets.installed(INSTALLED_SPLITS[name])]
    notes = [_missing(name, INSTALLED_SPLITS[name], "left out") for name in SETS[split] if name not in names]
    if not names:
        names = list(GENERATED_SETS[split])
        notes.append(f"no set of the suite is installed: generated ones are played, {', '.join(names)}")
    videos = []
    for ladder in LADDERS:
        of = INSTALLED_VIDEOS.get(ladder)
        if of is None or datasets.installed(of):
            videos.append(load_video(ladder))
            continue
        videos.append(load_video(GENERATED_LADDERS[ladder]))
        notes.append(_missing(ladder, of, f"{videos[-1].name} is played"))
    whole = [load_traces(name) for name in names]
    if most is not None and most > max(map(len, whole)):
        raise ValueError(f"--episodes {most}: the largest set of the suite has {max(map(len, whole))} traces")
    numbers = [chosen(traces, most) for traces in whole]
    joined = join_traces("worlds", [_part(*pair) for pair in zip(whole, numbers, strict=True)])
    batches = [
        _batch(joined, names, numbers, video, penalty)
        for video in videos
        for penalty in sorted({PENALTY, float(video.bitrates_kbps[-1]) / 1000.0})
    ]
    return Built(batches=tuple(batches), notes=tuple(notes))


def _missing(name: str, dataset: str, what: str) -> str:
    return f"{name} is not installed, {what}; run: python -m netenvs.datasets install {dataset}"


def chosen(traces: TraceSet, most: int | None) -> list[int]:
    """Numbers, ascending, of the ``most`` traces whose names have the lowest SHA-256; None: of all."""
    by_hash = sorted(range(len(traces)), key=lambda i: hashlib.sha256(traces.names[i].encode()).hexdigest())
    return sorted(by_hash[:most])


def _part(traces: TraceSet, numbers: list[int]) -> TraceSet:
    """Those traces, as they are."""
    latency = traces.latency_ms
    segments = np.concatenate([np.arange(traces.offset[i], traces.offset[i + 1]) for i in numbers])
    return make_trace_set(
        traces.name,
        [(traces.names[i], *traces.trace(i)) for i in numbers],
        traces.start_pointer[numbers],
        None if traces.rtt_ms is None else traces.rtt_ms[numbers],
        None if traces.buffer_cap_s is None else traces.buffer_cap_s[numbers],
        None if latency is None else latency[segments],
    )


def _batch(joined: TraceSet, names: list[str], numbers: list[list[int]], video: Video, penalty: float) -> Batch:
    """All sets on one ladder with one penalty."""
    top_mbps = float(video.bitrates_kbps[-1]) / 1000.0
    cells, first = [], 0
    for name, of in zip(names, numbers, strict=True):
        cells.append(
            Cell(
                parts={"set": name, "ladder": video.name, "penalty": f"{penalty:g}"},
                options={"traces": name, "video": video.name, "rebuffer_penalty": penalty},
                numbers=tuple(of),
                starts=tuple({"trace": first + place} for place in range(len(of))),
                least=LEAST_GAIN * top_mbps,
            )
        )
        first += len(of)
    return Batch(options={"traces": joined, "video": video, "rebuffer_penalty": penalty}, cells=tuple(cells))


def _digest(env: Any, start: Mapping[str, Any]) -> str:
    """SHA-256 of the trace, the video, the player and the objective, as the kernel knows them."""
    world: kernel.World = env.simulator.world
    trace = world.traces[start["trace"]]
    segments = slice(int(trace["begin"]), int(trace["end"]))
    found = hashlib.sha256()
    for name, value in world._asdict().items():
        if name in ("time_s", "bandwidth_mbps", "latency_ms"):
            value = value[segments]
        elif name == "traces":
            value = np.array([trace[key] for key in ("start_pointer", "rtt_ms", "buffer_cap_ms")], dtype=np.float64)
        elif name == "videos":
            value = np.array([value[key] for key in ("num_chunks", "chunk_duration_ms")], dtype=np.float64)
        array = np.ascontiguousarray(value)
        found.update(f"{name} {array.dtype.str} {array.shape} ".encode() + array.tobytes())
    return found.hexdigest()


WORLDS = Suite(
    title="links, ladders and penalties",
    axes=("set", "ladder", "penalty"),
    splits=tuple(SETS),
    limit=LIMIT,
    floor="robust-mpc",
    top="oracle",
    code={
        "robust-mpc": ("netenvs.abr.kernel", "agents.abr.robust_mpc", "agents.abr.mpc"),
        "oracle": ("netenvs.abr.kernel", "agents.abr.oracle"),
    },
    counts=f"the optimum is above the floor by {100 * LEAST_GAIN:g} % of the utility of the highest level, or more",
    build=_build,
    digest=_digest,
    left_out={
        "random": "far off the scale",
        "constant": "far off the scale",
        "netllm-mpc": "published for six levels",
        "genet": "made for six levels",
        "udr": "made for six levels",
    },
)
