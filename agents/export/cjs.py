"""Schedules as an exported function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.export.graph import Port, TaskGraph, choices_apart
from agents.sequence.net import MASKED, Steps
from agents.sequence.nets.cjs import (
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
``agents.sequence.nets.cjs.graph_of`` says what is added before a logarithm."""


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

    def apart(self, found: Mapping[str, np.ndarray], expected: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See ``TaskGraph``; executors of different stages, where two are as good as equal, are not compared."""
        stages, executors = expected
        differences = [choices_apart(found["stage_logits"], stages)]
        if found["stage_logits"].argmax() == stages.argmax():
            differences.append(choices_apart(found["executor_logits"], executors))
        return differences
