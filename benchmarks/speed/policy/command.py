"""``python -m benchmarks.speed --policy``: a student against its teacher, like for like.

Both decide on the same observations, in the same dtype and on one thread, in turns within each run: (A) with windows
that are encoded anew for each decision, (B) as they are best played, from keys and values or from a recurrent state.
A is compared with A, and B with B.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Annotated, Any

import numpy as np
import torch

from agents.netllm.memory import SHAPES
from agents.policy import PolicyError, load_policy
from agents.pretrained import one_thread
from agents.sequence.policy import SequencePolicy
from benchmarks.command_line import File, Flag, FromOne, Seconds, SeveralFromOne, Text, check_json
from benchmarks.files import to_json
from benchmarks.machine import machine, versions
from benchmarks.speed import registry
from benchmarks.speed.policy import backbones, play
from benchmarks.speed.registry import policy_speed
from netenvs.command_line import exit_status, listed, option, parse
from netenvs.files import write_atomically
from netenvs.spec import unknown_name

PROGRAM = "python -m benchmarks.speed"
MODES = {"A": "window re-encoding", "B": "cached play"}
FIGURES = {
    "decisions_per_s": "decisions/s",
    "tokens_per_s": "input tokens/s",
    "act_p50_ms": "act, p50, ms",
    "act_p99_ms": "act, p99, ms",
    "core_p50_ms": "backbone + head, p50, ms",
    "core_p99_ms": "backbone + head, p99, ms",
    "encoder_share": "encoder's share of act",
}
Runs = dict[str, list[float]]
"""Figures by name, a value for each run."""


@dataclass(frozen=True)
class Args:
    """This measures a student against its teacher, in paired runs."""

    policy: Flag = False
    """It names this benchmark."""
    task: Annotated[tuple[str, ...], option("These tasks are measured.", default="all that have both")] = ()
    teacher: Annotated[Text, option("A registered name, or a folder, is the teacher.", "netllm", metavar="P")] = None
    student: Annotated[
        Text,
        option("It is given as the teacher is; {task} in a folder's name is the task.", "mamba4net", metavar="P"),
    ] = None
    teacher_config: Annotated[
        Text,
        option(
            f"It takes the place of both: backbones alone are measured, a Llama of this shape, {listed(list(SHAPES))}, "
            "and the student paper, of random weights.",
            metavar="SHAPE",
        ),
    ] = None
    batch: SeveralFromOne = (1, 8, 64)
    """Decisions are taken in so many episodes at once."""
    context: SeveralFromOne = (160, 1024, 4096, 16384)
    """Growth is measured at these numbers of tokens."""
    runs: FromOne = 3
    """So many paired runs are made."""
    seconds: Seconds = 1.0
    """Each measurement of a run takes so long."""
    device: str = "cpu"
    """All is computed there: cpu, or cuda, as torch calls it."""
    json: Annotated[File, option("The figures of every run are written to this file.")] = None


def main(argv: Sequence[str]) -> int:
    """Run the command line; return the exit status, 2 for what is wrong, after one line about it."""
    try:
        arguments = parse(Args, PROGRAM, argv)
    except SystemExit as stop:  # --help, or a line has been printed
        return int(stop.code or 0)
    return exit_status(lambda: _act(arguments, argv), wrong_words=(ValueError, PolicyError))


def _act(arguments: Args, argv: Sequence[str]) -> None:
    arguments = checked(arguments)
    try:
        with set_apart():
            found = measured(arguments)
    except torch.OutOfMemoryError:
        raise ValueError(f"{arguments.device} has not enough memory: give smaller --batch and --context") from None
    if arguments.json is not None:
        about = {"schema": 1, "command": shlex.join(["python", "-m", "benchmarks.speed", *argv])}
        write_atomically(arguments.json, to_json({**about, **found}))


def checked(arguments: Args) -> Args:
    """With all tasks, teacher and student filled in. ``ValueError``, one line, for what does not go together."""
    known = [name for name, of in registry.known().items() if of.policy is not None]
    for name in arguments.task:
        if name not in known:
            raise ValueError(f"--task: {unknown_name('task', name, known)}")
    shape = arguments.teacher_config
    if shape is not None and shape not in SHAPES:
        raise ValueError(f"--teacher-config: {unknown_name('shape', shape, SHAPES)}")
    if shape and (arguments.teacher or arguments.student):
        raise ValueError("--teacher-config takes the place of --teacher and --student: leave them out")
    check_json(arguments.json)
    names: dict[str, Any] = (
        {} if shape else {"teacher": arguments.teacher or "netllm", "student": arguments.student or "mamba4net"}
    )
    return replace(arguments, task=tuple(dict.fromkeys(arguments.task or known)), **names)


@contextlib.contextmanager
def set_apart() -> Iterator[None]:
    """What has been imported is no garbage: looking for some in it would take 0.1 s of a decision now and then."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def measured(arguments: Args) -> dict[str, Any]:
    """Measure and print everything; returns it. ``ValueError`` or ``PolicyError``, one line, for what cannot be."""
    device = checked_device(arguments.device)
    batches, tasks = sorted(set(arguments.batch)), arguments.task
    clock = clock_of(device)
    if arguments.teacher_config:
        pair = backbones.large(arguments.teacher_config, device)
        dtype = pair["teacher"].dtype
    else:
        policies = {task: loaded(task, arguments) for task in tasks}
        dtype = dtype_of(policies)
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else machine()["cpu"]
    found: dict[str, Any] = {
        "device": name,
        "machine": machine(),
        "versions": {**versions(), "transformers": version("transformers")},
        "threads": 1,
        "dtype": str(dtype).removeprefix("torch."),
        "settings": {key: value for key, value in vars(arguments).items() if key not in ("json", "policy")},
        "tasks": {},
        "growth": {},
    }
    seconds = "seconds that pass" if device.startswith("cuda") else "processor seconds of one thread"
    print(f"{name}, {found['dtype']}, {seconds}; {arguments.runs} runs; median (lowest .. highest)")
    print("x: teacher's latency over student's, student's rate over teacher's")
    if arguments.teacher_config and not device.startswith("cuda"):
        print(f"no CUDA graphs and no kernels of mamba-ssm on {device}: those ways are left out")
    grown: dict[str, str] = {}
    with torch.inference_mode(), one_thread():
        for task in tasks:
            settings = (batches, arguments.runs, arguments.seconds, clock)
            if arguments.teacher_config:
                found["tasks"][task] = result = large_task(task, pair, device, *settings, arguments.teacher_config)
            else:
                found["tasks"][task] = result = played_task(task, policies[task], *settings)
                pair = {side: policy.model.backbone for side, policy in policies[task].items()}
            printed([*result["lines"], "", *bar_lines(result["bars"])])
            del result["lines"]
            shapes = str(
                [(key, tuple(value.shape)) for side in pair.values() for key, value in side.state_dict().items()]
            )
            if shapes not in grown:
                grown[shapes] = task
                rows = backbones.growth(pair, arguments.context, arguments.runs, clock)
                found["growth"][task] = rows
                printed(growth_lines(rows))
            else:
                print(f"growth with the context: as {grown[shapes]}")
    return found


def checked_device(device: str) -> str:
    """``ValueError``, one line, unless it is a processor or GPU that torch has."""
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise ValueError(f"--device must be cpu or cuda, not {device!r}")
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # assertion: torch without CUDA
        raise ValueError(f"--device {device}: {str(error).splitlines()[0]}") from error
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)
    return device


def clock_of(device: str) -> play.Clock:
    """Processor seconds of this process, which computes on one thread; on a GPU seconds, once it has done its work."""
    if not device.startswith("cuda"):
        return time.process_time

    def finished() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return finished


def loaded(task: str, arguments: Args) -> dict[str, SequencePolicy]:
    """Teacher and student of a task."""
    found = {}
    for side in ("teacher", "student"):
        spec = getattr(arguments, side).replace("{task}", task)
        options = {} if arguments.device == "cpu" else {"device": arguments.device}
        policy = load_policy(spec, task, **options)
        if not isinstance(policy, SequencePolicy):
            raise ValueError(f"--{side} {spec}: no sequence policy; give one of `python -m distill teach` or `distill`")
        found[side] = policy
    return found


def dtype_of(policies: Mapping[str, Mapping[str, SequencePolicy]]) -> torch.dtype:
    """That of all backbones; ``ValueError`` if there are two."""
    dtypes = {
        getattr(policy.model.backbone, "dtype", torch.float32) for pair in policies.values() for policy in pair.values()
    }
    if len(dtypes) > 1:
        names = " and ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))
        raise ValueError(f"backbones compute in {names}: compare policies of one dtype")
    return dtypes.pop()


def played_task(
    task: str, sides: dict[str, SequencePolicy], batches: list[int], runs: int, seconds: float, clock: play.Clock
) -> dict[str, Any]:
    """Everything about the policies of a task; ``lines`` is the table."""
    recording = play.record(task, sides["teacher"], max(batches))
    few = recording.first(min(8, max(batches)))
    counts = {side: play.counts(policy) for side, policy in sides.items()}
    percent = {key: 100 * counts["student"][key] / value for key, value in counts["teacher"].items() if value}
    same = {side: play.agreement(policy, few) for side, policy in sides.items()}
    found: dict[str, Any] = {
        "data": recording.data,
        **counts,
        "percent": percent,
        "same_in_both_modes": same,
        "modes": {},
    }
    for mode, rows in ((mode, rows) for mode in MODES for rows in batches):
        part, players = recording.first(rows), {side: play.SIDES[mode](policy) for side, policy in sides.items()}
        peaks = {side: play.peak_bytes(policy, players[side], part) for side, policy in sides.items()}
        measure = {
            side: functools.partial(play.figures, policy, players[side], part, seconds, clock)
            for side, policy in sides.items()
        }
        values = interleaved(measure, runs)
        gain = gains(values["teacher"], values["student"])
        found["modes"].setdefault(mode, {})[str(rows)] = {**values, "gain": gain, "peak_bytes": peaks}
    title = (
        f"{task}: teacher {sides['teacher'].name}, student {sides['student'].name}; observations of {recording.data}"
    )
    alike = ", ".join(f"{side} {share:.1%}" for side, share in same.items())
    found["bars"] = policy_bars(found)
    found["lines"] = [
        title,
        *size_lines(found),
        f"decisions alike in modes A and B: {alike}",
        *mode_lines(found["modes"]),
    ]
    return found


def large_task(
    task: str,
    pair: dict[str, Any],
    device: str,
    batches: list[int],
    runs: int,
    seconds: float,
    clock: play.Clock,
    shape: str,
) -> dict[str, Any]:
    """Everything about backbones of random weights, with the tokens of a task; ``lines`` is the table."""
    layout = backbones.layout_of(policy_speed(task))
    counts = {
        side: {"parameters": sum(value.numel() for value in module.parameters()), "bytes": play.held(module)}
        for side, module in pair.items()
    }
    percent = {key: 100 * counts["student"][key] / counts["teacher"][key] for key in counts["teacher"]}
    found: dict[str, Any] = {"layout": layout._asdict(), **counts, "percent": percent, "modes": {}}
    for rows in batches:
        makers = {
            (side, name): make
            for side, module in pair.items()
            for name, make in backbones.ways(module, rows, layout, device).items()
        }
        peaks = {
            f"{side}, {name}": backbones.peak_bytes(pair[side], make, device) for (side, name), make in makers.items()
        }
        made = {key: make() for key, make in makers.items()}
        measure = {key: functools.partial(backbones.figures, way, rows, seconds, clock) for key, way in made.items()}
        values = interleaved(measure, runs)
        for mode in MODES:
            best = {side: fastest(values, side, mode) for side in pair}
            of_sides = {side: values[side, name] for side, name in best.items()}
            everything = {f"{side}, {name}": runs_of for (side, name), runs_of in values.items() if name[0] == mode}
            found["modes"].setdefault(mode, {})[str(rows)] = {
                **of_sides,
                "best": best,
                "gain": gains(of_sides["teacher"], of_sides["student"]),
                "peak_bytes": {side: peaks[f"{side}, {name}"] for side, name in best.items()},
                "ways": {key: {**runs_of, "peak_bytes": peaks[key]} for key, runs_of in everything.items()},
            }
    found["bars"] = large_bars(found) if shape == "llama-2-7b" else []
    title = (
        f"{task}: backbones alone, {shape} and paper, of random weights; {layout.context} tokens, then {layout.chunks}"
    )
    found["lines"] = [title, *size_lines(found), *mode_lines(found["modes"])]
    return found


def interleaved(measure: Mapping[Any, Callable[[], dict[str, float]]], runs: int) -> dict[Any, Runs]:
    """Figures of ``runs`` runs of everything in turn, after one that warms up and does not count."""
    found: dict[Any, Runs] = {key: {} for key in measure}
    for run in range(runs + 1):
        for key, one in measure.items():
            for name, value in one().items():
                if run:
                    found[key].setdefault(name, []).append(value)
    return found


def gains(teacher: Runs, student: Runs) -> Runs:
    """How many times better the student is, run by run: in latencies teacher over student, in rates the reverse."""
    found = {}
    for name in set(teacher) - {"encoder_share", "acts"}:
        over, under = (student, teacher) if name.endswith("_per_s") else (teacher, student)
        found[name] = [a / b for a, b in zip(over[name], under[name], strict=True)]
    return found


def fastest(values: Mapping[Any, Runs], side: str, mode: str) -> str:
    """Name of the way of a side and mode whose median latency is least."""
    names = [name for of_side, name in values if of_side == side and name[0] == mode]
    return min(names, key=lambda name: float(np.median(values[side, name]["core_p50_ms"])))


def policy_bars(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those for the shipped teacher: 5.48 % and 3.96 times are what Mamba4Net reports (arXiv 2510.17147)."""
    bars = [bar(f"{key}, % of the teacher's", found["percent"][key], "<=", 5.48) for key in ("parameters", "bytes")]
    cached = found["modes"]["B"]
    if "1" in cached:
        bars.append(gain_bar("backbone + head, p50, batch 1", cached["1"], "core_p50_ms", 3.96))
        bars.append(gain_bar("act, p50, batch 1", cached["1"], "act_p50_ms", 2.0))
        bars.append(gain_bar("act, p50, batch 1, aim", cached["1"], "act_p50_ms", 3.96))
    if "64" in cached:
        bars.append(gain_bar("decisions/s, batch 64", cached["64"], "decisions_per_s", 4.0))
    return bars


def large_bars(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those for a teacher of 7 billion weights."""
    bars = [bar("bytes, % of the teacher's", found["percent"]["bytes"], "<=", 0.4)]
    if "1" in found["modes"]["B"]:
        bars.append(gain_bar("backbone, p50, batch 1", found["modes"]["B"]["1"], "core_p50_ms", 10.0))
    if "64" in found["modes"]["B"]:
        bars.append(gain_bar("decisions/s, batch 64", found["modes"]["B"]["64"], "decisions_per_s", 50.0))
    return bars


def gain_bar(name: str, figures: Mapping[str, Any], figure: str, value: float) -> dict[str, Any]:
    """At least so many times better, by the median over runs."""
    return bar(f"{name}, cached, x", float(np.median(figures["gain"][figure])), ">=", value)


def bar(name: str, figure: float, relation: str, value: float) -> dict[str, Any]:
    """A figure and what it should be."""
    met = figure <= value if relation == "<=" else figure >= value
    return {"name": name, "figure": figure, "bar": f"{relation} {value:g}", "met": met}


def bar_lines(bars: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """One line a bar."""
    for one in bars:
        yield f"{one['name']:48}{one['figure']:10.2f}  {one['bar']:8}{'met' if one['met'] else 'NOT MET'}"


def size_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Weights and bytes of both sides."""
    yield f"{'':30}{'teacher':>30}{'student':>30}{'%':>10}"
    for key, value in found["teacher"].items():
        label = key if key in ("parameters", "bytes") else f"  {key}"
        share = f"{found['percent'][key]:.2f}" if key in found["percent"] else ""
        yield f"{label:30}{value:>30,}{found['student'][key]:>30,}{share:>10}"


def mode_lines(modes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Figures by mode and batch."""
    for mode, batches in modes.items():
        for rows, of_batch in batches.items():
            best = of_batch.get("best")
            which = "" if best is None else f": {best['teacher']} against {best['student']}"
            yield ""
            yield f"{mode}, {MODES[mode]}, batch {rows}{which}"
            for name, label in FIGURES.items():
                if name in of_batch["teacher"]:
                    both = "".join(f"{spread(of_batch[side][name]):>30}" for side in ("teacher", "student"))
                    gain = spread(of_batch["gain"][name]) + " x" if name in of_batch["gain"] else ""
                    yield f"  {label:28}{both}  {gain}".rstrip()
            both = "".join(f"{of_batch['peak_bytes'][side] / 1e6:>30,.2f}" for side in ("teacher", "student"))
            yield f"  {'memory at most, MB':28}{both}"
            for name, runs in of_batch.get("ways", {}).items():
                yield f"  {name:28}{spread(runs['core_p50_ms']):>30} ms{runs['peak_bytes'] / 1e6:>12,.1f} MB"


def growth_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The table of growth, batch 1."""
    yield "growth with the context, batch 1: the next token, bytes that are kept, a parallel pass over all"
    for row in rows:
        for side in ("teacher", "student"):
            of_side = row[side]
            whole = spread(of_side["pass_ms"]) + " ms" if of_side["pass_ms"] else "too long"
            kept = f"{of_side['cache_bytes']:>14,} bytes"
            yield f"{row['context']:>8,} tokens, {side}{spread(of_side['next_ms']):>28} ms{kept}{whole:>34}"


def spread(values: Sequence[float]) -> str:
    """Median, lowest and highest."""
    form = ",.3f" if max(values) < 100 else ",.0f"
    return f"{np.median(values):{form}} ({min(values):{form}} .. {max(values):{form}})"


def printed(lines: Iterable[str]) -> None:
    """Print a block."""
    print("", *lines, sep="\n", flush=True)
