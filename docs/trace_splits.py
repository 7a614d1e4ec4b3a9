"""Print what docs/datasets.md has on splits of bandwidth traces: ``python docs/trace_splits.py``.

The first has figures of each installed split. All of them are means over traces, each of which counts the same, as
episodes draw them; inside a trace, values are weighted by the time that they last. The second says how many traces of
each split also stand in a split of ``netllm-abr`` or ``pensieve``: as a whole, with all times and bandwidths equal, and
in part, with a run of eight rows whose bandwidths, all different, are equal in whole kbit/s (rounded down).
Then, for data sets of which it can be told, how many sessions have traces on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from netenvs import datasets
from netenvs.abr.installed import INSTALLED_SPLITS
from netenvs.abr.workload import TraceSet, load_traces

LOW_MBPS, HIGH_MBPS = 0.3, 4.3  # lowest and highest level of video1
RUN = 8
PARTS = ("train", "valid", "test")
SESSIONS = {"puffer22": "_", "lumos-wifi": "-"}
"""Data set -> what stands between the name of a session and the rest of a trace's name."""
PARTNERS = ("fcc-train", "fcc-valid", "fcc-test", "pensieve-train", "pensieve-test")


def main() -> None:
    splits = {name: load_traces(name) for name, dataset in INSTALLED_SPLITS.items() if datasets.installed(dataset)}
    print_figures(splits)
    print_overlaps(splits)
    for dataset, separator in SESSIONS.items():
        if f"{dataset}-test" in splits:
            print_sessions(dataset, separator, splits)


def print_figures(splits: dict[str, TraceSet]) -> None:
    print("| split | traces | mean, Mbit/s | CV | median duration, s | below 0.3 Mbit/s | above 4.3 Mbit/s |")
    print("|---|---|---|---|---|---|---|")
    for name, traces in splits.items():
        mean, variation, low, high = np.mean([figures(traces, i) for i in range(len(traces))], axis=0)
        duration = np.median(traces.time_s[traces.offset[1:] - 1] - traces.time_s[traces.offset[:-1]])
        print(f"| `{name}` | {len(traces)} | {mean:.2f} | {variation:.2f} | {duration:.0f} | {low:.1%} | {high:.1%} |")


def print_overlaps(splits: dict[str, TraceSet]) -> None:
    partners = [name for name in PARTNERS if name in splits]
    whole = {name: {content(splits[name], i) for i in range(len(splits[name]))} for name in partners}
    parts = {name: {run for i in range(len(splits[name])) for run in runs(splits[name], i)} for name in partners}
    print("\n| traces of | " + " | ".join(f"in `{name}`" for name in partners) + " |")
    print("|---|" + "---|" * len(partners))
    apart = []
    for name, traces in splits.items():
        cells = [overlap(traces, whole[other], parts[other]) if other != name else "" for other in partners]
        if any(cell not in ("", "0") for cell in cells):
            print(f"| `{name}` | " + " | ".join(cells) + " |")
        else:
            apart.append(f"`{name}`")
    print(f"\nNone: {', '.join(apart)}.")


def print_sessions(dataset: str, separator: str, splits: dict[str, TraceSet]) -> None:
    train, valid, test = ({session(name, separator) for name in splits[f"{dataset}-{part}"].names} for part in PARTS)
    print(
        f"\n`{dataset}`: of {len(test)} sessions with traces in test, {len(test & train)} have others in train; of "
        f"{len(valid)} in valid, {len(valid & train)}."
    )


def session(name: str, separator: str) -> str:
    """Of ``trace<SESSION>_<stream>`` and ``<SESSION>-<what was played>``; sessions themselves may have a ``-``."""
    return name.rpartition(separator)[0] if separator == "_" else name.partition(separator)[0]


def figures(traces: TraceSet, index: int) -> tuple[float, float, float, float]:
    """Mean in Mbit/s, coefficient of variation, and shares of time below the lowest and above the highest level."""
    time_s, bandwidth_mbps = traces.trace(index)
    length_s, rate = np.diff(time_s), bandwidth_mbps[1:]
    share = length_s / length_s.sum()
    mean = float(share @ rate)
    deviation = float(np.sqrt(share @ (rate - mean) ** 2))
    return mean, deviation / mean, float(share @ (rate < LOW_MBPS)), float(share @ (rate > HIGH_MBPS))


def content(traces: TraceSet, index: int) -> bytes:
    """The same for two traces whose times and bandwidths are equal, bit by bit."""
    return b"".join(part.tobytes() for part in traces.trace(index))


def runs(traces: TraceSet, index: int) -> Iterator[tuple[int, ...]]:
    """All runs of a trace."""
    kbps = np.floor(traces.trace(index)[1] * 1000 + 1e-6).astype(np.int64).tolist()
    for start in range(len(kbps) - RUN + 1):
        run = tuple(kbps[start : start + RUN])
        if len(set(run)) == RUN:
            yield run


def overlap(traces: TraceSet, whole: set[bytes], parts: set[tuple[int, ...]]) -> str:
    """How many traces stand in another split, as a whole and, where these are more, in part."""
    equal = sum(content(traces, i) in whole for i in range(len(traces)))
    shared = sum(any(run in parts for run in runs(traces, i)) for i in range(len(traces)))
    return str(equal) if equal >= shared else f"{equal}, in part {shared}"


if __name__ == "__main__":
    main()
