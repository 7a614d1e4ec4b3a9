"""Job scheduling as a sequence: a graph network in front of the backbone, a pointer to stages and counts behind it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from agents.cjs.layout import to_columns
from agents.ragged import Column, Ragged
from agents.sequence.net import MASKED, Steps, TaskNet, Tokens

STAGE_FEATURES, JOB_FEATURES, CLUSTER_FEATURES, COUNT_FEATURES, PREVIOUS_FEATURES = 13, 15, 12, 14, 5
TASKS, WORK_S, RECENT_S, AGE_S = 200, 100, 10, 100
"""Units of the observation of ``netenvs/CJS-v0``."""
AIMS, AIM, HIGHEST = 3, 3.0, 6.0
"""Logarithms among the features of counts; differences of them count ``AIM`` times, and at most exp(``HIGHEST``)."""
SUMMANDS = 4.0
"""Sums over stages and jobs are divided by this: a typical number of them."""


class Choices(NamedTuple):
    """The c stages that may be chosen in S steps."""

    step: np.ndarray
    """int64 (c,): their step."""
    stage: np.ndarray
    """int64 (c,): their place among all stages of all steps."""
    number: np.ndarray
    """int64 (c,): number among the choices of their step, from 1; choice 0 declines."""
    row: np.ndarray
    """int64 (c,): row of the observation, from 1: what the first component of an action says."""
    most: np.ndarray
    """int64 (c,): more executors than these, 1 or more, would change nothing."""
    first: np.ndarray
    """int64 (S,): where the choices of each step begin."""


class Graph(NamedTuple):
    """The clusters of S steps: n incomplete stages of j jobs with e edges, end to end."""

    stages: Tensor
    """float32 (n, 13)."""
    stage_job: Tensor
    """int64 (n,): place of each stage's job."""
    edges: Tensor
    """int64 (2, e): parents and their children."""
    jobs: Tensor
    """float32 (j, 15)."""
    job_step: Tensor
    """int64 (j,)."""
    clusters: Tensor
    """float32 (S, 12)."""
    sizes: Tensor
    """float32 (S,): executors of each cluster."""
    offered: Tensor
    """float32 (S,): of them on offer."""
    wanted: Tensor
    """float32 (S,): of those in the pool on offer, what its job needs for stages that are not ready."""
    own: Tensor
    """float32 (j,): executors that each job has or will get, but for those on offer."""
    can_decline: Tensor
    """bool (S,)."""
    choice_step: Tensor
    """int64 (c,), as all that follows: see ``Choices``."""
    choice_stage: Tensor
    choice_index: Tensor
    choice_most: Tensor
    choice_first: Tensor
    """int64 (S,)."""


class Memory(NamedTuple):
    """What the heads need."""

    graph: Graph
    contexts: Tensor
    """float32 (n, f): all about each stage, its job and its cluster."""


class CJSNet(TaskNet):
    """Schedules jobs on clusters of any size.

    Stages get messages from their parents and children (``rounds`` times), jobs the sum over their stages, the cluster
    the sum over its jobs, as in Decima (Mao et al., SIGCOMM 2019); edges run both ways here, and quantities count by
    their logarithms. A decision has two components: a schedulable stage (0 declines, i takes the i-th one), and how
    many executors it gets, minus 1. Both heads score a choice from the backbone's hidden state *and* what the graph
    network says of that choice, so that any number of stages and executors has scores.

    Tokens: ``fused`` has one a decision, the cluster with the action before; ``netllm``, as in NetLLM (Wu et al.,
    SIGCOMM 2024), the action before, one for each schedulable stage, and, once a stage is chosen, one of it before its
    executors are. A return to go is another token before those of the state in ``netllm``, and part of it in ``fused``.

    Arguments:
        d_model, tokenisation, returns: see ``TaskNet``.
        width: of the embeddings of stages, jobs and clusters.
        rounds: of messages.
        hidden: width of the heads.
    """

    task = "cjs"
    components = 2

    def __init__(
        self,
        d_model: int,
        tokenisation: str = "fused",
        returns: bool = False,
        width: int = 32,
        rounds: int = 2,
        hidden: int = 128,
    ):
        super().__init__(d_model, tokenisation, returns)
        self.width, self.rounds, self.hidden = width, rounds, hidden
        self.encode_stage = _perceptron(STAGE_FEATURES + JOB_FEATURES, width, width)
        self.to_children = nn.ModuleList(nn.Linear(width, width) for _ in range(rounds))
        self.to_parents = nn.ModuleList(nn.Linear(width, width) for _ in range(rounds))
        self.update_stage = nn.ModuleList(_perceptron(3 * width, width, width) for _ in range(rounds))
        self.encode_job = _perceptron(JOB_FEATURES + width, width, width)
        self.encode_cluster = _perceptron(CLUSTER_FEATURES + width, width, width)
        context = STAGE_FEATURES + JOB_FEATURES + CLUSTER_FEATURES + 3 * width
        if tokenisation == "fused":
            self.embed_step = nn.Linear(CLUSTER_FEATURES + width + PREVIOUS_FEATURES + returns, d_model)
        else:
            self.embed_previous = nn.Linear(PREVIOUS_FEATURES, d_model)
            self.embed_stage = nn.Linear(context, d_model)
            self.embed_chosen = nn.Linear(context, d_model)
            if returns:
                self.embed_return = nn.Linear(1, d_model)
        self.stage_head = _Scores(d_model, context, hidden)
        self.decline = nn.Parameter(torch.zeros(1, context))
        self.executor_head = _Scores(d_model, context, hidden, COUNT_FEATURES)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "width": self.width, "rounds": self.rounds, "hidden": self.hidden}

    def observe(self, observations: Any, infos: Mapping[str, Any]) -> Steps:
        """The padded observations as ragged columns (``agents.observations``), and int64 (S,) besides.

        ``num_executors``, ``jobs_in_system``, and ``source_executors``: those in the pool on offer, promised ones
        included, which schedulers see (``ClusterView``); where ``infos`` do not tell, those on offer.
        """
        steps: Steps = dict(to_columns(observations))
        executors = observations["action_mask"].shape[1] - 1 - observations["stages"].shape[1]
        jobs = observations["cluster"][:, 1] * observations["job_mask"].shape[1]
        if "clusters" in infos and "row" in infos:  # at play; not in a pool
            source = infos["clusters"].outcomes["source_executors"][infos["row"]]
        elif "view" in infos:
            source = np.array([infos["view"].source_executors])
        else:
            source = np.rint(observations["cluster"][:, 0] * executors)
        steps["num_executors"] = np.full(len(jobs), executors, dtype=np.int64)
        steps["jobs_in_system"] = np.rint(jobs).astype(np.int64)
        steps["source_executors"] = source.astype(np.int64)
        return steps

    def embed(self, steps: Steps, previous: np.ndarray, returns: Tensor | None) -> Tokens:
        device = self.device
        graph = Graph(*(torch.from_numpy(part).to(device) for part in graph_of(steps)))
        before = torch.from_numpy(previous_features(previous, _array(steps["num_executors"]))).to(device)
        with torch.autocast(device.type, enabled=False):  # sums over stages need the precision
            memory, clusters = self.describe(graph)
            if self.tokenisation == "fused":
                tokens = self.fused(graph, clusters, before, returns)
                return Tokens(tokens, torch.ones(len(tokens), dtype=torch.int64, device=device), memory)
            return self._one_each(before, returns, memory)

    def describe(self, graph: Graph) -> tuple[Memory, Tensor]:
        """All about each stage, and the embeddings of the clusters, float32 (S, width)."""
        stages, jobs, clusters = self._embeddings(graph)
        job = graph.stage_job
        step = graph.job_step[job]
        features = [graph.stages, graph.jobs[job], graph.clusters[step], stages, jobs[job], clusters[step]]
        return Memory(graph, torch.cat(features, dim=1)), clusters

    def fused(self, graph: Graph, clusters: Tensor, before: Tensor, returns: Tensor | None) -> Tensor:
        """float32 (S, d_model): the token of each step, with embeddings of clusters and ``previous_features``."""
        to_go = [] if returns is None else [returns[:, None]]
        token: Tensor = self.embed_step(torch.cat([graph.clusters, clusters, before, *to_go], dim=1))
        return token

    def _one_each(self, before: Tensor, returns: Tensor | None, memory: Memory) -> Tokens:
        """The action before, the return, and every stage that may be chosen as tokens of their own."""
        graph, device = memory.graph, before.device
        head = [self.embed_previous(before)]
        if returns is not None:
            head.append(self.embed_return(returns[:, None]))
        stages = self.embed_stage(memory.contexts[graph.choice_stage])
        chosen = torch.zeros(len(before), dtype=torch.int64, device=device).index_add(
            0, graph.choice_step, torch.ones_like(graph.choice_step)
        )
        counts = len(head) + chosen
        begin = counts.cumsum(0) - counts
        tokens = stages.new_empty(int(counts.sum()), self.d_model)
        for place, part in enumerate(head):
            tokens = tokens.index_put((begin + place,), part)
        places = begin[graph.choice_step] + len(head) + graph.choice_index - 1
        return Tokens(tokens.index_put((places,), stages), counts, memory)

    def _embeddings(self, graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
        """Of stages (n, width), jobs (j, width) and clusters (S, width)."""
        parents, children = graph.edges
        stages = self.encode_stage(torch.cat([graph.stages, graph.jobs[graph.stage_job]], dim=1))
        for to_children, to_parents, update in zip(self.to_children, self.to_parents, self.update_stage, strict=True):
            nothing = torch.zeros_like(stages)
            down = nothing.index_add(0, children, to_children(stages)[parents])
            up = nothing.index_add(0, parents, to_parents(stages)[children])
            stages = stages + update(torch.cat([stages, down, up], dim=1))
        summed = stages.new_zeros(graph.jobs.shape[0], self.width).index_add(0, graph.stage_job, stages) / SUMMANDS
        jobs = self.encode_job(torch.cat([graph.jobs, summed], dim=1))
        summed = jobs.new_zeros(graph.clusters.shape[0], self.width).index_add(0, graph.job_step, jobs) / SUMMANDS
        return stages, jobs, self.encode_cluster(torch.cat([graph.clusters, summed], dim=1))

    def logits(self, component: int, hidden: Tensor, memory: Memory, actions: Tensor) -> Tensor:
        """(S, 1 + most schedulable stages of a step), or (S, most executors that a chosen stage can use)."""
        with torch.autocast(hidden.device.type, enabled=False):
            return (self._executors if component else self._stages)(hidden.float(), memory, actions)

    def _stages(self, hidden: Tensor, memory: Memory, actions: Tensor) -> Tensor:
        graph = memory.graph
        scores = self.stage_head(hidden, graph.choice_step, memory.contexts[graph.choice_stage])
        everyone = torch.arange(len(hidden), device=hidden.device)
        declining = self.stage_head(hidden, everyone, self.decline.expand(len(hidden), -1))
        width = 1 + int(graph.choice_index.max()) if len(graph.choice_index) else 1
        table = hidden.new_full((len(hidden), width), MASKED)
        table[:, 0] = declining.where(graph.can_decline, torch.full_like(declining, MASKED))
        return table.index_put((graph.choice_step, graph.choice_index), scores)

    def _executors(self, hidden: Tensor, memory: Memory, actions: Tensor) -> Tensor:
        graph = memory.graph
        step = actions[:, 0].nonzero()[:, 0]
        choice = graph.choice_first[step] + actions[step, 0] - 1
        most, stage = graph.choice_most[choice], graph.choice_stage[choice]
        place = torch.arange(len(step), device=hidden.device).repeat_interleave(most)
        index = torch.arange(len(place), device=hidden.device) - (most.cumsum(0) - most)[place]
        own = graph.own[graph.stage_job[stage]]
        at = step[place]
        counts = count_features(
            index + 1, most[place], own[place], graph.sizes[at], graph.offered[at], graph.wanted[at]
        )
        scores = self.executor_head(hidden[step], place, memory.contexts[stage], counts)
        table = hidden.new_full((len(hidden), int(most.max()) if len(most) else 1), MASKED)
        table[:, 0] = 0.0  # the only choice of those that decline
        return table.index_put((step[place], index), scores)

    def follow(self, component: int, memory: Memory, actions: Tensor) -> Tokens | None:
        """``netllm``: a token of the stage chosen, with nothing in it where none was."""
        if self.tokenisation == "fused":
            return None
        graph = memory.graph
        step = actions[:, 0].nonzero()[:, 0]
        stage = graph.choice_stage[graph.choice_first[step] + actions[step, 0] - 1]
        with torch.autocast(memory.contexts.device.type, enabled=False):
            contexts = memory.contexts.new_zeros(len(actions), memory.contexts.shape[1])
            tokens = self.embed_chosen(contexts.index_put((step,), memory.contexts[stage]))
        return Tokens(tokens, torch.ones_like(actions[:, 0]))

    def to_env(self, actions: np.ndarray, steps: Steps) -> np.ndarray:
        """int64 (S, 2): rows of stages (0 declines) and executors minus 1."""
        choices = choices_of(steps)
        out = np.zeros_like(actions)
        step = np.flatnonzero(actions[:, 0])
        out[step, 0] = choices.row[choices.first[step] + actions[step, 0] - 1]
        out[step, 1] = actions[step, 1]
        return out

    def from_env(self, actions: np.ndarray, steps: Steps) -> np.ndarray:
        """int64 (S, 2); stages that could not be chosen become 0, executors without use are left out."""
        choices = choices_of(steps)
        out = np.zeros((len(actions), 2), dtype=np.int64)
        taken = np.flatnonzero(choices.row == actions[choices.step, 0])
        step = choices.step[taken]
        out[step, 0] = choices.number[taken]
        out[step, 1] = np.minimum(actions[step, 1], choices.most[taken] - 1)
        return out

    def collected(self, observations: Any, infos: Mapping[str, Any], before: np.ndarray) -> np.ndarray:
        """Minus the seconds that jobs have spent in the system so far, but for those that ``max_jobs`` hides."""
        done_s = np.asarray(infos["mean_jct_s"]) * np.asarray(infos["jobs_done"])
        ages_s = (observations["jobs"][:, :, 3] * observations["job_mask"]).sum(axis=1, dtype=np.float64) * AGE_S
        collected: np.ndarray = -(done_s + ages_s)
        return collected


class _Scores(nn.Module):
    """A perceptron that scores choices from a hidden state, what is known of each, and features of counts.

    With counts it also aims at values of their first features: what is nearest to them scores best.
    """

    def __init__(self, d_model: int, context: int, hidden: int, counts: int = 0):
        super().__init__()
        self.hidden = nn.Linear(d_model, hidden)
        self.context = nn.Linear(context, hidden)
        self.counts = nn.Linear(counts, hidden, bias=False) if counts else None
        self.aim = nn.Sequential(nn.SiLU(), nn.Linear(hidden, 2 * AIMS)) if counts else None
        self.score = nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 1))

    def forward(self, hidden: Tensor, place: Tensor, contexts: Tensor, counts: Tensor | None = None) -> Tensor:
        """(c,): scores of choices, each at ``place``, int64 (c,), of ``hidden``.

        There is a row of ``contexts`` for each choice, or, with ``counts``, for each of ``hidden``.
        """
        if self.counts is None or self.aim is None or counts is None:
            scores: Tensor = self.score(self.hidden(hidden)[place] + self.context(contexts))[:, 0]
            return scores
        known = self.hidden(hidden) + self.context(contexts)
        aims, sharpness = self.aim(known)[place].chunk(2, dim=1)
        misses = (AIM * (counts[:, :AIMS] - aims)).square()
        scores = self.score(known[place] + self.counts(counts))[:, 0]
        return scores - (sharpness.clamp(max=HIGHEST).exp() * misses).sum(dim=1)


def choices_of(steps: Steps) -> Choices:
    """What may be chosen in each step."""
    stages, jobs = _ragged(steps["obs/stages"]), _ragged(steps["obs/jobs"])
    size = _array(steps["num_executors"])
    lengths = stages.lengths
    begin = np.cumsum(lengths) - lengths
    stage = np.flatnonzero(stages.flat[:, 6] > 0)
    step = np.repeat(np.arange(len(lengths)), lengths)[stage]
    number = np.bincount(step, minlength=len(lengths))
    first = np.cumsum(number) - number
    job = _ragged(steps["obs/stage_job"]).flat[stage] + (np.cumsum(jobs.lengths) - jobs.lengths)[step]
    usable = np.minimum(stages.flat[stage, 2], jobs.flat[job, 1]) * size[step]
    most = np.maximum(np.rint(usable), 1).astype(np.int64)
    return Choices(step, stage, np.arange(len(stage)) - first[step] + 1, stage - begin[step] + 1, most, first)


def graph_of(steps: Steps) -> list[np.ndarray]:
    """The fields of ``Graph``: features of stages, jobs and clusters; times count in 100 s.

    The mean duration of a stage's tasks, which the observation does not have, is the critical path from it less the
    longest from its children; the remaining work of a job is the sum over its stages of the tasks to start and half of
    those at work times that, as ``capped-srpt`` counts it.
    """
    stages, jobs, edges = _ragged(steps["obs/stages"]), _ragged(steps["obs/jobs"]), _ragged(steps["obs/edges"])
    cluster, size = _array(steps["obs/cluster"]), _array(steps["num_executors"]).astype(np.float32)
    can_decline = _ragged(steps["action_mask"])
    can_decline_now = can_decline.values[can_decline.offsets[:-1]].astype(np.bool_)
    number = len(stages)
    stage_step, job_step, edge_step = (np.repeat(np.arange(number), part.lengths) for part in (stages, jobs, edges))
    first_stage = np.cumsum(stages.lengths) - stages.lengths
    first_job = np.cumsum(jobs.lengths) - jobs.lengths
    job = _ragged(steps["obs/stage_job"]).flat + first_job[stage_step]
    edge = edges.flat.reshape(-1, 2) + first_stage[edge_step][:, None]
    seen, seen_jobs = stages.flat, jobs.flat

    waiting, running = seen[:, 0] * TASKS, seen[:, 1] * size[stage_step]
    demand, recent, path = seen[:, 2] * size[stage_step], seen[:, 3] * (RECENT_S / WORK_S), seen[:, 5]
    schedulable, ready = seen[:, 6] > 0, demand > 0
    ready[edge[demand[edge[:, 0]] > 0, 1]] = False  # a parent needs executors
    after = np.zeros_like(path)
    np.maximum.at(after, edge[:, 0], path[edge[:, 1]])
    duration = np.maximum(path - after, 0.0)
    work = (waiting + 0.5 * running) * duration
    stage_features = [np.log1p(waiting), np.log1p(running), np.log1p(demand), _log(duration), _log(recent), _log(work)]
    stage_features += [_log(seen[:, 4]), _log(path), schedulable, seen[:, 7], seen[:, 2]]
    longest = np.full(len(seen_jobs), 1e-3, dtype=np.float32)
    np.maximum.at(longest, job[schedulable], path[schedulable])
    shorter = np.log(longest[job] + 1e-3) - _log(path)
    stage_features += [shorter, _log(np.maximum(shorter, 0.0))]

    def per_job(values: np.ndarray) -> np.ndarray:
        return np.bincount(job, values, len(seen_jobs))

    supply, limit = seen_jobs[:, 0] * size[job_step], seen_jobs[:, 1] * size[job_step]
    jobs_in_system = np.log(np.maximum(_array(steps["jobs_in_system"]), 1))
    job_work = per_job(work)
    job_features = [_log(job_work), np.log1p(supply), np.log1p(limit), *seen_jobs[:, :3].T, np.log1p(seen_jobs[:, 3])]
    job_features += [np.log1p(per_job(demand * schedulable)), np.log1p(per_job(demand * ~ready))]
    job_features += [per_job(schedulable) > 0, np.log1p(per_job(np.ones_like(demand)))]
    job_features += [np.log(size)[job_step], jobs_in_system[job_step]]
    job_features += _order(_log(job_work), per_job(schedulable) > 0, job_step, number)

    total_work, choices = np.bincount(job_step, job_work, number), np.bincount(stage_step, schedulable, number)
    cluster_features = [np.log(size), jobs_in_system, np.log1p(cluster[:, 0] * size), cluster[:, 0], cluster[:, 2]]
    cluster_features += [can_decline_now, _log(total_work), np.log1p(choices)]
    later = np.bincount(job_step, seen_jobs[:, 2] * per_job(demand * ~ready), number)  # of the source's job
    offered, source = cluster[:, 0] * size, _array(steps["source_executors"]).astype(np.float32)
    wanted = np.minimum(later, source).astype(np.float32)
    cluster_features += [np.log1p(later), np.log1p(source), np.log1p(wanted), wanted / size]

    choice = choices_of(steps)
    return [
        _floats(stage_features),
        job,
        np.ascontiguousarray(edge.T),
        _floats(job_features),
        job_step,
        _floats(cluster_features),
        size,
        offered,
        wanted,
        np.maximum(supply - seen_jobs[:, 2] * (cluster[:, 0] * size)[job_step], 0.0),
        can_decline_now,
        choice.step,
        choice.stage,
        choice.number,
        choice.most,
        choice.first,
    ]


def _order(size: np.ndarray, counts: np.ndarray, step: np.ndarray, steps: int) -> list[np.ndarray]:
    """Two features of each job, (j,), that tell nearly equal sizes apart.

    The logarithms of what its ``size`` is above the least in its step, and of the number of smaller jobs there; jobs
    count for others where ``counts``, bool (j,). ``step`` is int64 (j,), ascending, of ``steps``.
    """
    least = np.full(steps, np.inf)
    np.minimum.at(least, step[counts], size[counts])
    above = np.maximum(size - least[step], 0.0, where=np.isfinite(least[step]), out=np.zeros(len(size)))
    order = np.lexsort((size, step))
    smaller = np.cumsum(counts[order]) - counts[order]
    first = np.searchsorted(step[order], np.arange(steps))
    rank = np.empty(len(size))
    rank[order] = smaller - smaller[np.minimum(first, max(len(size) - 1, 0))][step[order]] if len(size) else 0
    return [np.log(above + 1e-2), np.log1p(rank)]


def previous_features(previous: np.ndarray, size: np.ndarray) -> np.ndarray:
    """float32 (S, 5) of the action before: whether there was one, whether it declined, its executors, its row."""
    executors = np.where(previous[:, 0] > 0, previous[:, 1] + 1, 0)
    columns = [previous[:, 0] >= 0, previous[:, 0] == 0, np.log1p(executors), executors / size]
    return np.stack([*columns, np.maximum(previous[:, 0], 0) / 100], axis=1).astype(np.float32)


def count_features(count: Tensor, most: Tensor, own: Tensor, size: Tensor, offered: Tensor, wanted: Tensor) -> Tensor:
    """float32 (k, 14) of giving ``count`` executors, of ``most``, to a stage whose job has ``own`` of ``size`` others.

    The first are logarithms: of what the job has then, of what is given and of what is left over. Of those
    ``offered`` the source's job has use for ``wanted`` later on.
    """
    given, left, rest = count.float(), (most - count).float(), offered - count
    then = own + given
    columns = [then.log(), given.log(), rest.clamp(min=0).log1p(), given / size, then / size, then.log() - size.log()]
    columns += [given / most, own / size]
    columns += [(left == 0).float(), left.clamp(max=8) / 8, 1 / given, (count == 1).float()]
    columns += [rest / size, rest / (wanted + 1)]
    return torch.stack(columns, dim=1)


def _perceptron(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def _log(values: np.ndarray) -> np.ndarray:
    """Natural logarithm that does not end at 0."""
    logarithm: np.ndarray = np.log(values + 1e-3)
    return logarithm


def _floats(columns: list[np.ndarray]) -> np.ndarray:
    return np.stack(columns, axis=1).astype(np.float32)


def _array(column: Column) -> np.ndarray:
    assert isinstance(column, np.ndarray)
    return column


def _ragged(column: Column) -> Ragged:
    assert isinstance(column, Ragged)
    return column
