"""``python -m distill export``: a small student as one ONNX file, checked against PyTorch and timed.

The oldest onnxruntime that plays such a file is 1.17, of the time of numpy 1.26: the first that knows operator set 20.
It reads no IR version above 9. ``tests/support/oldest_onnxruntime.py`` plays whole episodes with it.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
import torch

from agents.export.deployed import Deployed, sees_whole_episodes
from agents.export.graph import Port
from agents.export.onnx_policy import METADATA, OnnxPolicy
from agents.policy import Policy, load_policy
from agents.registry import agent_task, part_of, tasks_with
from agents.sequence.policy import SequencePolicy
from distill.commands.task_option import one_of
from distill.commands.wrong_arguments import WrongArguments, checking
from netenvs import tasks
from netenvs.errors import printable
from netenvs.files import is_folder, write_atomically

TOLERANCE = 1e-4
"""Largest difference of outputs, as the task compares them (``TaskGraph.apart``)."""
DECISIONS_CHECKED = 48
"""At least; of whole episodes."""
OPSET = 20
IR_VERSION = 9
"""Of the file's format; torch writes a later one, of which the graph uses nothing."""


@dataclass(frozen=True)
class Checked:
    """How ONNX and PyTorch compare over ``decisions`` on the same observations."""

    decisions: int
    difference: float
    """Largest of all outputs."""
    onnx_ms: float
    """Median of a decision, features included, on one thread."""
    graph_ms: float
    """Of the graph alone."""
    torch_ms: float
    """Of the same decision in PyTorch."""


@dataclass(frozen=True)
class Export:
    """This writes a small student as one ONNX file: the streaming step, from features and state to logits and state.

    The file is written only if whole episodes of the task's environment give what PyTorch gives, to 1e-4.
    """

    policy: str
    """This is a sequence policy around a hybrid backbone: a registered name such as mamba4net, or a folder."""
    task: Annotated[str, one_of(tasks_with("graph"), "This is what it plays")]
    out: Path
    """The file is written here, NAME.onnx."""
    capacity: int | None = None
    """There is room for so many decisions of an episode, if attention sees it whole; by default, the task's number."""
    force: bool = False
    """It replaces a file that is there."""

    def run(self) -> int:
        """Export, and say how the file compares."""
        with checking():
            for package in ("onnx", "onnxruntime", "onnxscript"):
                _required(package)
            if self.out.suffix != ".onnx":
                raise ValueError(f"--out {self.out}: give a name that ends in .onnx")
            if not is_folder(self.out.parent):
                raise ValueError(f"--out {self.out}: there is no folder {self.out.parent}")
            if self.out.exists() and not self.force:
                raise ValueError(f"--out {self.out}: there is such a file; --force replaces it")
            part_of(self.task, "graph")
            policy = load_policy(self.policy, self.task)
            if not isinstance(policy, SequencePolicy):
                raise ValueError(f"policy {self.policy!r} is no sequence policy: there is nothing to export")
            deployed = Deployed(policy.model, self._capacity(policy))
        found: list[Checked] = []

        def write(part: Path) -> None:
            to_onnx(deployed, part, describe(policy, deployed, getattr(policy, "registered", type(policy).__name__)))
            found.append(check(policy, OnnxPolicy(str(part)), self.task))

        write_atomically(self.out, write)
        checked, size = found[0], self.out.stat().st_size
        print(
            f"{printable(self.out)}: {size:,} bytes; over {checked.decisions} decisions outputs differ from "
            f"PyTorch's by {checked.difference:.1e} at most\n"
            f"a decision on one thread, median: onnxruntime {checked.onnx_ms:.2f} ms (the graph alone "
            f"{checked.graph_ms:.2f} ms), PyTorch {checked.torch_ms:.2f} ms"
        )
        return 0

    def _capacity(self, policy: SequencePolicy) -> int:
        model = policy.model
        if not sees_whole_episodes(model):
            if self.capacity is not None:
                seen = f"it begins anew after {model.context} decisions" if model.context else "it has no attention"
                raise ValueError(f"--capacity {self.capacity}: this policy needs none, {seen}")
            return 0
        capacity = agent_task(self.task).capacity if self.capacity is None else self.capacity
        if capacity is None:
            raise ValueError("this policy sees whole episodes: give --capacity, the most decisions of one")
        if capacity < 1:
            raise ValueError(f"--capacity must be 1 or more, not {capacity}")
        return capacity


def describe(policy: SequencePolicy, deployed: Deployed, name: str) -> dict[str, Any]:
    """What the file says of itself, as JSON."""
    model = policy.model
    return {
        **model.config(),
        "policy": name,
        "backbone": model.backbone.config(),
        "d_model": model.task.d_model,
        "parameters": sum(value.numel() for value in model.parameters()),
        "capacity": deployed.capacity if deployed.grows else 0,
        "target": policy.target,
        "scale": list(policy.scale),
        "inputs": [port._asdict() for port in deployed.inputs],
        "outputs": [port._asdict() for port in deployed.outputs],
        "state": [port._asdict() for port in deployed.state],
    }


def to_onnx(deployed: Deployed, file: Path, description: dict[str, Any]) -> None:
    """Write the function as an ONNX file with ``description`` in its metadata; the file tells nothing else."""
    onnx = _required("onnx")
    sizes = {size for port in deployed.inputs for size in port.shape if isinstance(size, str)}
    dims = {size: torch.export.Dim(size) for size in sorted(sizes)}
    shapes = tuple(
        {axis: dims[size] for axis, size in enumerate(port.shape) if size in dims} for port in deployed.inputs
    )
    with _quietly(), torch.no_grad(), _one_line():
        program = torch.export.export(
            deployed.eval(), _example(deployed.inputs), dynamic_shapes={"tensors": shapes}, strict=False
        )
        made: Any = torch.onnx.export(
            program,
            dynamo=True,
            input_names=[port.name for port in deployed.inputs],
            output_names=[port.name for port in deployed.outputs],
            opset_version=OPSET,
            verbose=False,
        )
    proto = made.model_proto
    proto.ir_version = IR_VERSION
    graph = proto.graph
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]  # stack traces
        part.doc_string = ""
    del graph.value_info[:]
    proto.metadata_props.add(key=METADATA, value=json.dumps(description))
    proto.graph.name = f"{description['task']}-{description['policy']}"
    onnx.save(proto, file)


def check(policy: SequencePolicy, exported: OnnxPolicy, task: str) -> Checked:
    """Play whole episodes with ``policy``, greedily, and have ``exported`` see the same.

    ``ValueError``, one line, if outputs differ by more than ``TOLERANCE``.
    """
    greedy = SequencePolicy(policy.model, "greedy", policy.target, policy.scale)
    env = gym.make(tasks.find(task).default_id, **policy.observation_options)
    torch_s: list[float] = []
    onnx_s: list[float] = []
    largest, episode = 0.0, 0
    while len(torch_s) < DECISIONS_CHECKED:
        observation, info = env.reset(seed=episode)
        greedy.reset(episode)
        exported.reset(episode)
        over = False
        while not over:
            with _recorded(greedy) as expected:
                action = _timed(greedy, observation, info, torch_s)
            _timed(exported, observation, info, onnx_s)
            difference = _largest(exported.graph.apart(exported.outputs, expected))
            if not difference <= TOLERANCE:
                raise ValueError(
                    f"decision {len(torch_s)}: outputs of the graph differ from PyTorch's by {difference:.1e}, more "
                    f"than {TOLERANCE:g}: nothing is written"
                )
            largest = max(largest, difference)
            exported.carried_out(np.zeros(1, dtype=np.int64), np.asarray(action)[None])
            observation, _, terminated, truncated, info = env.step(action)
            over = terminated or truncated
        episode += 1
    env.close()
    graph_s = []
    for _ in range(len(torch_s)):
        begin = time.perf_counter()
        exported.session.run(None, exported.inputs)
        graph_s.append(time.perf_counter() - begin)
    onnx_ms, graph_ms, torch_ms = (1e3 * float(np.median(found)) for found in (onnx_s, graph_s, torch_s))
    return Checked(len(torch_s), largest, onnx_ms, graph_ms, torch_ms)


def _largest(differences: Sequence[np.ndarray]) -> float:
    """Size of the largest difference; NaN if one of them is."""
    found = 0.0
    for apart in differences:
        found = float(np.maximum(found, np.abs(apart).max()))
    return found


@contextlib.contextmanager
def _recorded(policy: SequencePolicy) -> Iterator[list[np.ndarray]]:
    """Keep what the heads say meanwhile: logits of each component, or mean and log scale."""
    task: Any = policy.model.task
    name = "path" if task.continuous else "logits"
    heads = getattr(task, name)
    kept: list[np.ndarray] = []

    def recording(*arguments: Any) -> Any:
        outputs = heads(*arguments)
        kept.extend(part.numpy() for part in (outputs if task.continuous else (outputs,)))
        return outputs

    setattr(task, name, recording)
    try:
        yield kept
    finally:
        delattr(task, name)


def _timed(policy: Policy, observation: Any, info: dict[str, Any], seconds: list[float]) -> Any:
    begin = time.perf_counter()
    action = policy.act(observation, info)
    seconds.append(time.perf_counter() - begin)
    return action


def _example(ports: tuple[Port, ...]) -> tuple[torch.Tensor, ...]:
    """Arguments for tracing: values do not matter, but places must be inside."""
    sizes: dict[str, int] = {}
    for size in [size for port in ports for size in port.shape if isinstance(size, str)]:
        sizes.setdefault(size, 3 + len(sizes))  # 1 would be taken for a size that is always 1
    shapes = [[sizes[size] if isinstance(size, str) else size for size in port.shape] for port in ports]
    return tuple(
        torch.zeros(shape, dtype=getattr(torch, port.dtype)) for port, shape in zip(ports, shapes, strict=True)
    )


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    """Turn what the exporter raises, pages of it, into one line."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"torch cannot export this model: {str(error)[:200]}") from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter says of operators and packages that are not needed."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _required(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise WrongArguments(f'{package} is not installed: pip install "netenvs[export]"') from None
