"""A sequence model as one function of arrays: what is deployed where there is no Python, or no PyTorch.

A decision is a call: arrays that are made of an observation, and the state that the call before gave, to logits (or a
path) and the next state. All zeros are the state of a new episode. What is made of observations is numpy's, the rest
is a graph of tensors whose sizes do not depend on their values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from agents.mamba4net.hybrid import ATTENTION, MAMBA, HybridBackbone
from agents.mamba4net.streaming import State, advance
from agents.sequence.abr import LEVEL, LEVEL_FEATURES, SESSION, SESSION_FEATURES, ABRNet, Modalities
from agents.sequence.cjs import (
    CLUSTER_FEATURES,
    JOB_FEATURES,
    PREVIOUS_FEATURES,
    STAGE_FEATURES,
    CJSNet,
    Graph,
    count_features,
    graph_of,
    previous_features,
)
from agents.sequence.model import SequenceModel
from agents.sequence.task import MASKED, Steps, TaskNet
from agents.sequence.vp import MAP_INSTANTS, VPNet
from agents.vp.viewers_model import HISTORY, HORIZON
from netenvs.vp.heat_maps import COLUMNS, ROWS

NEW = "new_"
"""How names of outputs begin that are the state of the next decision."""
TO_GO, DECISIONS = "return_to_go", "decisions"


STAGE_NAMES = (
    *("log tasks not started", "log tasks at work", "log demand for executors", "log mean duration of a task"),
    *("log duration of the task started last", "log work", "log tasks not started x duration of the last"),
    *("log critical path", "schedulable", "frontier", "demand for executors (N)"),
    *("log longest path of the job's choices to this one's", "log of that above 0"),
)
JOB_NAMES = (
    *("log work", "log supply", "log executors that it may get", "supply (N)", "executors that it may get (N)"),
    *("its executors are on offer", "log time in the system", "log demand of schedulable stages"),
    *("log demand of stages not ready", "has a schedulable stage", "log stages", "log N", "log jobs in the system"),
    *("log work above the least", "log jobs with less work"),
)
CLUSTER_NAMES = (
    *("log N", "log jobs in the system", "log executors on offer", "executors on offer (N)", "a job offers them"),
    *("declining is possible", "log work", "log choices", "log demand of the job's stages not ready"),
    *("log executors in the pool on offer", "log wanted", "wanted (N)"),
)
BEFORE_NAMES = ("there was one", "declined", "log executors given", "executors given (N)", "row of the stage / 100")
"""Names of the features of CJS, in their order; N is the executors of the cluster, times are in 100 s. The code of
``agents.sequence.cjs.graph_of`` says what is added before a logarithm."""


class Port(NamedTuple):
    """An input or output of the function."""

    name: str
    dtype: str
    """``float32``, ``int64`` or ``bool``."""
    shape: tuple[int | str, ...]
    """A name stands for a size that may be another one at each call."""
    meaning: str
    """With its unit."""


class TaskGraph:
    """What a task adds to the function; its ``net`` needs no weights for ``inputs``, ``outputs`` and ``arrays``."""

    tokens_each: int = 1
    """Tokens of a decision, at most."""

    def inputs(self) -> tuple[Port, ...]:
        """What is made of an observation."""
        raise NotImplementedError

    def outputs(self) -> tuple[Port, ...]:
        """What the decision is read from."""
        raise NotImplementedError

    def arrays(self, steps: Steps, previous: np.ndarray) -> dict[str, np.ndarray]:
        """``inputs`` for columns of ``TaskNet.observe`` and the actions before, (S, ...), -1 where there is none."""
        raise NotImplementedError

    def tokens(self, inputs: Mapping[str, Tensor], returns: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        """Tokens, float32 (S, t, d_model), which of them there are (None: all), and what ``heads`` needs besides."""
        raise NotImplementedError

    def heads(self, hidden: Tensor, memory: Any) -> tuple[Tensor, ...]:
        """``outputs``, for hidden states of the last tokens (S, d_model)."""
        raise NotImplementedError

    def choose(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        """The best choice of each component, int64 (S, components), or the path, float32 (S, 20, 3)."""
        raise NotImplementedError


class ABRGraph(TaskGraph):
    """Bitrates."""

    def __init__(self, net: ABRNet):
        self.net = net
        if net.tokenisation != "fused":
            self.tokens_each = len(Modalities._fields) + net.returns

    def inputs(self) -> tuple[Port, ...]:
        there = "whether the ladder has this level"
        if self.net.tokenisation == "fused":
            session, level = ", ".join(SESSION_FEATURES), ", ".join(LEVEL_FEATURES)
            return (
                Port("session", "float32", ("batch", SESSION), f"player and link: {session}"),
                Port("levels", "float32", ("batch", "levels", LEVEL), f"each level: {level}"),
                Port("exists", "bool", ("batch", "levels"), there),
                Port("last", "int64", ("batch",), "level of the last chunk"),
            )
        return (
            Port("action", "float32", ("batch", 1), "the level before and 1, as a share of the levels; 0: none"),
            Port("bitrate", "float32", ("batch", 1), "of the last chunk, as a share of the highest"),
            Port("buffer", "float32", ("batch", 1), "10 s"),
            Port("throughput", "float32", ("batch", 6), "of the last chunks, oldest first, Mbyte/s"),
            Port("time", "float32", ("batch", 6), "their downloads took, 10 s"),
            Port("sizes", "float32", ("batch", self.net.levels), "of the next chunk, Mbyte; 0: no such level"),
            Port("left", "float32", ("batch", 1), "chunks to play, as a share of all"),
            Port("exists", "bool", ("batch", self.net.levels), there),
        )

    def outputs(self) -> tuple[Port, ...]:
        return (Port("logits", "float32", ("batch", self.net.levels), f"of each level; {MASKED:g}: there is none"),)

    def arrays(self, steps: Steps, previous: np.ndarray) -> dict[str, np.ndarray]:
        found = self.net.arrays(steps, previous)
        if self.net.tokenisation != "fused":
            missing = self.net.levels - found["exists"].shape[1]
            found["exists"] = np.pad(found["exists"], ((0, 0), (0, missing)))
        return found

    def tokens(self, inputs: Mapping[str, Tensor], returns: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        tokens, memory = self.net.read(inputs, returns)
        return tokens, None, memory

    def heads(self, hidden: Tensor, memory: Any) -> tuple[Tensor, ...]:
        return (self.net.logits(0, hidden, memory, torch.zeros(0)),)

    def choose(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        return found["logits"].argmax(axis=1)[:, None]


class CJSGraph(TaskGraph):
    """Schedules; executors are scored for the stage that scores best."""

    def __init__(self, net: CJSNet):
        self.net = net
        if net.tokenisation != "fused":
            raise ValueError("with tokenisation netllm a decision has as many tokens as stages: only fused is exported")

    def inputs(self) -> tuple[Port, ...]:
        count, place = "float32", "int64"
        return (
            Port("stages", count, ("stages", STAGE_FEATURES), f"incomplete stages: {', '.join(STAGE_NAMES)}"),
            Port("stage_job", place, ("stages",), "place of its job among the jobs"),
            Port("edges", place, (2, "edges"), "places of parents, and of their children, among the stages"),
            Port("jobs", count, ("jobs", JOB_FEATURES), f"jobs of all clusters: {', '.join(JOB_NAMES)}"),
            Port("job_step", place, ("jobs",), "its cluster, from 0"),
            Port("clusters", count, ("batch", CLUSTER_FEATURES), f"each cluster: {', '.join(CLUSTER_NAMES)}"),
            Port("sizes", count, ("batch",), "its executors"),
            Port("offered", count, ("batch",), "executors on offer"),
            Port("wanted", count, ("batch",), "of them, those that their job needs for stages that are not ready"),
            Port("own", count, ("jobs",), "executors that the job has or will get, but for those on offer"),
            Port("can_decline", "bool", ("batch",), "whether no stage at all may be chosen"),
            Port("before", count, ("batch", PREVIOUS_FEATURES), f"the decision before: {', '.join(BEFORE_NAMES)}"),
            Port("choices", place, ("batch", "choices"), "places of the stages that may be chosen; -1: none"),
            Port("most", place, ("batch", "choices"), "more executors than these, 1 or more, would change nothing"),
            Port("counts", place, ("counts",), "1, 2, ... to the highest of most"),
        )

    def outputs(self) -> tuple[Port, ...]:
        stages = "of declining, then of each of choices"
        return (
            Port("stage_logits", "float32", ("batch", "1 + choices"), f"{stages}; {MASKED:g}: impossible"),
            Port("executor_logits", "float32", ("batch", "counts"), "of each of counts, for the best stage"),
        )

    def arrays(self, steps: Steps, previous: np.ndarray) -> dict[str, np.ndarray]:
        graph = dict(zip(Graph._fields, graph_of(steps), strict=True))
        step, column = graph.pop("choice_step"), graph.pop("choice_index") - 1
        shape = len(graph["clusters"]), int(column.max(initial=0)) + 1
        choices, most = np.full(shape, -1, dtype=np.int64), np.ones(shape, dtype=np.int64)
        choices[step, column] = graph.pop("choice_stage")
        most[step, column] = graph.pop("choice_most")
        del graph["choice_first"]
        counts = np.arange(1, most.max(initial=1) + 1)
        before = previous_features(previous, np.asarray(steps["num_executors"]))
        return {**graph, "before": before, "choices": choices, "most": most, "counts": counts}

    def tokens(self, inputs: Mapping[str, Tensor], returns: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        nothing = torch.zeros(0, dtype=torch.int64)
        graph = Graph(*(inputs.get(name, nothing) for name in Graph._fields))
        memory, clusters = self.net.describe(graph)
        return self.net.fused(graph, clusters, inputs["before"], returns)[:, None], None, (memory.contexts, inputs)

    def heads(self, hidden: Tensor, memory: Any) -> tuple[Tensor, ...]:
        contexts, inputs = memory
        choices, most, counts = inputs["choices"], inputs["most"], inputs["counts"]
        rows = torch.arange(hidden.shape[0])
        place = rows[:, None].expand(choices.shape).flatten()
        scores = self.net.stage_head(hidden, place, contexts[choices.clamp(min=0).flatten()]).view(choices.shape)
        declining = self.net.stage_head(hidden, rows, self.net.decline.expand(hidden.shape[0], -1))
        declining = declining.masked_fill(~inputs["can_decline"], MASKED)
        stages = torch.cat([declining[:, None], scores.masked_fill(choices < 0, MASKED)], dim=1)

        best = stages.argmax(dim=1)
        column = (best - 1).clamp(min=0)[:, None]
        stage = choices.gather(1, column)[:, 0].clamp(min=0)
        limit = most.gather(1, column).expand(-1, counts.shape[0])
        grid = counts.expand(limit.shape)
        place = rows[:, None].expand(limit.shape).flatten()
        own = inputs["own"][inputs["stage_job"][stage]]
        features = count_features(
            grid.flatten(),
            limit.flatten(),
            own[place],
            inputs["sizes"][place],
            inputs["offered"][place],
            inputs["wanted"][place],
        )
        executors = self.net.executor_head(hidden, place, contexts[stage], features).view(limit.shape)
        executors = executors.masked_fill(grid > limit, MASKED)
        declined = torch.where(grid == 1, 0.0, MASKED)  # the only choice of those that decline
        return stages, torch.where((best == 0)[:, None], declined, executors)

    def choose(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.stack([found["stage_logits"].argmax(axis=1), found["executor_logits"].argmax(axis=1)], axis=1)


class VPGraph(TaskGraph):
    """Viewports."""

    def __init__(self, net: VPNet):
        self.net = net
        own = 2 if net.tokenisation == "fused" else HISTORY
        self.tokens_each = own + bool(net.features) + net.saliency

    def inputs(self) -> tuple[Port, ...]:
        angles = "roll, pitch, yaw in degrees, every 0.2 s"
        ports = [Port("history", "float32", ("batch", HISTORY, 3), f"the last 2 s: {angles}")]
        if self.net.features:
            ports.append(Port("features", "float32", ("batch", self.net.features), "of the frame"))
        if self.net.saliency:
            shape = ("batch", len(MAP_INSTANTS), ROWS, COLUMNS)
            ports.append(Port("heat", "float32", shape, "heat maps of previous viewers, 0 to 1, now and each second"))
        if self.net.tokenisation == "fused":
            seen = f"previous viewers of the video, the same 2 s and 4 s more: {angles}"
            ports.append(Port("viewers", "float32", ("batch", "viewers", HISTORY + HORIZON, 3), seen))
            ports.append(Port("present", "bool", ("batch", "viewers"), "whether this viewer has all of these samples"))
        return tuple(ports)

    def outputs(self) -> tuple[Port, ...]:
        shape = ("batch", HORIZON, 3)
        return (
            Port("path_mean", "float32", shape, "roll, pitch, yaw of the next 4 s in degrees, every 0.2 s"),
            Port("path_log_scale", "float32", shape, "logarithm of the error expected, in degrees"),
        )

    def arrays(self, steps: Steps, previous: np.ndarray) -> dict[str, np.ndarray]:
        found = self.net.arrays(steps)
        if "viewers" in found and not found["present"].shape[1]:  # one who is not there stands for nobody
            found["viewers"] = np.zeros((len(found["viewers"]), 1, HISTORY + HORIZON, 3), dtype=np.float32)
            found["present"] = np.zeros((len(found["viewers"]), 1), dtype=np.bool_)
        return found

    def tokens(self, inputs: Mapping[str, Tensor], returns: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        return self.net.read(inputs)

    def heads(self, hidden: Tensor, memory: Any) -> tuple[Tensor, ...]:
        return self.net.path(hidden, memory)

    def choose(self, found: Mapping[str, np.ndarray]) -> np.ndarray:
        return found["path_mean"]


def graph_for(net: TaskNet) -> TaskGraph:
    """The part of the task; ``ValueError``, one line, for a net that is not served."""
    if isinstance(net, ABRNet):
        return ABRGraph(net)
    if isinstance(net, CJSNet):
        return CJSGraph(net)
    if isinstance(net, VPNet):
        return VPGraph(net)
    raise ValueError(f"task {net.task!r} is not exported, only abr, cjs and vp")


class Deployed(nn.Module):
    """The function: arguments and results are those of ``inputs`` and ``outputs``, in their order.

    ``ValueError``, one line, for a model that is not served.

    Arguments:
        model: around a ``HybridBackbone``, in float32, in evaluation mode.
        capacity: decisions of an episode that there is room for, where attention sees whole episodes. A model with a
            ``context`` needs room for that: it begins anew by itself.
    """

    def __init__(self, model: SequenceModel, capacity: int):
        super().__init__()
        if not isinstance(model.backbone, HybridBackbone):
            raise ValueError("only policies around a hybrid of Mamba-2 and attention (mamba4net) are exported")
        self.model, self.backbone = model, model.backbone
        self.task = graph_for(model.task)
        if isinstance(self.task, VPGraph) and model.context != 1:
            raise ValueError(
                "a predictor of viewports is exported with context 1, in which every decision stands alone"
            )
        self.capacity = model.context or capacity
        self._empty = State.empty(self.backbone.shape, 1, self.capacity * self.task.tokens_each)
        self.state = state_ports(model, self.capacity, self.task.tokens_each)
        to_go = (Port(TO_GO, "float32", ("batch",), "return to go, normalised"),) if model.task.returns else ()
        self.inputs = (*self.task.inputs(), *to_go, *self.state)
        self.outputs = (*self.task.outputs(), *(port._replace(name=NEW + port.name) for port in self.state))

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        given = dict(zip((port.name for port in self.inputs), tensors, strict=True))
        tokens, there, memory = self.task.tokens(given, given.get(TO_GO))
        model, decisions = self.model, given.get(DECISIONS)
        if model.timestep is not None:
            number = cast(Tensor, decisions).clamp(max=model.timestep.num_embeddings - 1)
            tokens = tokens + model.timestep(number)[:, None]
        tokens = model.norm(tokens)
        if model.context == 1:
            hidden, new = self._alone(tokens, there), {}
        else:
            states, after = advance(self.backbone, tokens, self._before(given))
            hidden, new = states[:, -1], after._asdict()
        if decisions is not None:
            new[DECISIONS] = decisions + 1
        return (*self.task.heads(hidden, memory), *(new[port.name] for port in self.state))

    def _alone(self, tokens: Tensor, there: Tensor | None) -> Tensor:
        """(S, d_model): the last hidden state of decisions without a past; tokens that are not there are left out."""
        if there is None:
            return self.backbone(tokens)[:, -1]
        places = torch.arange(tokens.shape[1])
        moved = (there.cumsum(dim=1) - 1)[:, None] == places[:, None]  # (S, place after, place before)
        hidden = self.backbone((moved & there[:, None]).to(tokens.dtype) @ tokens)
        last = places == there.sum(dim=1, keepdim=True) - 1
        return (last.to(hidden.dtype)[:, None] @ hidden)[:, 0]

    def _before(self, given: Mapping[str, Tensor]) -> State:
        """The state before the decision: a new one where a context begins."""
        parts = self._empty._asdict()  # what is not given is of no layer
        parts.update((port.name, given[port.name]) for port in self.state if port.name != DECISIONS)
        if DECISIONS not in given:
            return State(**parts)
        number = given[DECISIONS]
        if self.model.context:
            number = number % self.model.context
            for name in ("conv", "ssm"):
                goes_on = (number > 0).to(parts[name].dtype)
                parts[name] = parts[name] * goes_on.view(1, -1, *[1] * (parts[name].dim() - 2))
        return State(**{**parts, "tokens": number * self.task.tokens_each})


def state_ports(model: SequenceModel, capacity: int, tokens_each: int) -> tuple[Port, ...]:
    """What a decision hands to the next; see ``Deployed``."""
    backbone = model.backbone
    assert isinstance(backbone, HybridBackbone)
    mamba, attention = (kind in backbone.shape.pattern and model.context != 1 for kind in (MAMBA, ATTENTION))
    empty = State.empty(backbone.shape, 1, capacity * tokens_each)._asdict()
    meanings = {
        "conv": "inputs of the convolutions of Mamba layers",
        "ssm": "states of Mamba layers",
        "keys": "of attention layers",
        "values": "of attention layers",
    }
    names = [*(("conv", "ssm") if mamba else ()), *(("keys", "values") if attention else ())]
    shapes = {name: (empty[name].shape[0], "batch", *empty[name].shape[2:]) for name in names}
    ports = [Port(name, "float32", shapes[name], meanings[name]) for name in names]
    if attention or model.context > 1 or model.timestep is not None:
        ports.append(Port(DECISIONS, "int64", ("batch",), "made in the episode so far"))
    return tuple(ports)
