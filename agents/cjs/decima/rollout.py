"""Episodes of many clusters at once, played by Decima's network as it samples, with returns and advantages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.cjs.decima.decisions import Decisions, join, pack
from agents.cjs.decima.graph import Graph, collate
from agents.cjs.decima.network import DecimaNet, median
from netenvs.cjs.engines import Engine
from netenvs.cjs.rules import Rule


class Rollout(NamedTuple):
    """All decisions (d,) of several episodes, step by step."""

    decisions: Decisions
    episode: np.ndarray
    """int64 (d,): number of the episode; those of one sequence of jobs are neighbours."""
    stages: np.ndarray
    """int64 (d,): position of the stage chosen among the choices."""
    executors: np.ndarray
    """int64 (d,): executors it was offered, minus 1."""
    log_prob: np.ndarray
    """float32 (d,): of the decision's effect, see ``effect_log_prob``."""
    time_s: np.ndarray
    """float64 (d,): when it was made."""
    reward: np.ndarray
    """float64 (d,): minus the job-seconds until the next one, discounted with the options' beta."""
    end_s: np.ndarray
    """float64 (episodes,): when all jobs were done."""
    mean_jct_s: np.ndarray
    """float64 (episodes,)."""
    expert: np.ndarray
    """int64 (d, 2): what an expert would have done: stage among the choices (-1 = none), executors minus 1."""


def play(
    network: DecimaNet,
    engines: Sequence[Engine],
    sizes: Sequence[int],
    generator: torch.Generator,
    experts: Sequence[Rule] | None = None,
    mode: str = "sampled",
) -> Rollout:
    """Play the clusters of all engines, with ``sizes`` executors each, to their ends, all at once.

    ``mode`` of ``network.MODES``; decisions are drawn with ``generator``. The decisions of ``experts``, a rule
    for each engine, are noted.
    """
    first = np.cumsum([0, *(len(engine.outcomes) for engine in engines)])
    steps: list[tuple[np.ndarray, ...]] = []
    parts: list[Decisions] = []
    over = [np.zeros(len(engine.outcomes), np.bool_) for engine in engines]
    with torch.inference_mode():
        while True:
            live = [np.flatnonzero(~done) for done in over]
            playing = [i for i in range(len(engines)) if len(live[i])]
            if not playing:
                break
            packed = [pack(engines[i].observation._asdict(), live[i], sizes[i]) for i in playing]
            decisions = join(packed) if len(packed) > 1 else packed[0]
            graph = collate(decisions)
            stages, executors, log_prob = decide(network, graph, generator, mode)
            rows = graph.choice_row[graph.choice_offset[:-1] + stages].numpy()
            chosen = np.stack([rows, executors.numpy()], axis=1)
            expert = np.full((len(rows), 2), -1)
            times, rewards, at = np.empty(len(rows)), np.empty(len(rows)), 0
            for i in playing:
                here = slice(at, at + len(live[i]))
                at += len(live[i])
                engine = engines[i]
                if experts is not None:
                    expert[here] = engine.decide(experts[i])[live[i]]
                actions = np.zeros((len(over[i]), 2), np.int64)
                actions[live[i]] = chosen[here]
                times[here] = engine.outcomes["time_s"][live[i]]
                engine.step(actions, False)
                rewards[here] = engine.outcomes["reward"][live[i]]
                over[i] = engine.outcomes["terminated"] | engine.outcomes["truncated"]
            if experts is not None:
                expert[:, 0] = _positions(graph, expert[:, 0])
            episodes = np.concatenate([first[i] + live[i] for i in playing])
            steps.append((episodes, stages.numpy(), executors.numpy(), log_prob.numpy(), times, rewards, expert))
            parts.append(decisions)
    episode, stage, executor, log_probs, time_s, reward, wanted = map(np.concatenate, zip(*steps, strict=True))
    ends = np.concatenate([engine.outcomes["time_s"] for engine in engines])
    mean_jct_s = np.concatenate([engine.outcomes["mean_jct_s"] for engine in engines])
    return Rollout(join(parts), episode, stage, executor, log_probs, time_s, reward, ends, mean_jct_s, wanted)


def decide(
    network: DecimaNet, graph: Graph, generator: torch.Generator, mode: str = "sampled"
) -> tuple[Tensor, Tensor, Tensor]:
    """(stages, executors, log_prob), (d,) each: positions among the choices, executors minus 1, see ``Rollout``."""
    embedding = network.embed(graph)
    stage_log_prob = network.stage_scores(graph, embedding).log_softmax(dim=1)
    stages = _draw(stage_log_prob, generator) if mode == "sampled" else stage_log_prob.argmax(dim=1)
    executor_log_prob = network.executor_scores(graph, embedding, stages).log_softmax(dim=1)
    if mode == "sampled":
        executors = _draw(executor_log_prob, generator)
    else:
        executors = executor_log_prob.argmax(dim=1) if mode == "greedy" else median(executor_log_prob)
    log_prob = stage_log_prob.gather(1, stages[:, None])[:, 0]
    demand = graph.choice_demand[graph.choice_offset[:-1] + stages]
    return stages, executors, log_prob + effect_log_prob(executor_log_prob, executors, demand)


def _draw(log_prob: Tensor, generator: torch.Generator) -> Tensor:
    return torch.multinomial(log_prob.exp(), 1, generator=generator)[:, 0]


def effect_log_prob(log_prob: Tensor, executors: Tensor, demand: Tensor) -> Tensor:
    """(d,): log-probability of giving a stage as many executors as ``executors`` + 1 come to.

    ``log_prob`` (d, k) is that of 1, 2, ... executors. Numbers of ``demand`` and above have one and the same effect,
    so they count together: what is never noticed need not be learned.
    """
    number = torch.arange(log_prob.shape[1])
    same = number == executors[:, None]
    enough = (executors >= demand - 1)[:, None] & (number >= (demand - 1)[:, None])
    return log_prob.masked_fill(~(same | enough), -torch.inf).logsumexp(dim=1)


def returns(rollout: Rollout, beta: float) -> np.ndarray:
    """float64 (d,): discounted sum of the rewards from each decision on; time counts exp(-beta seconds)."""
    values = np.empty(len(rollout.reward))
    following = np.zeros(len(rollout.end_s))
    then_s = rollout.end_s.copy()
    for i in range(len(values) - 1, -1, -1):
        episode = rollout.episode[i]
        discount = np.exp(-beta * (then_s[episode] - rollout.time_s[i]))
        following[episode] = rollout.reward[i] + discount * following[episode]
        then_s[episode] = rollout.time_s[i]
        values[i] = following[episode]
    return values


def advantages(
    rollout: Rollout, values: np.ndarray, rollouts: int, beta: float = 0.0, by_state: int = 0, ahead_s: float = np.inf
) -> np.ndarray:
    """float64 (d,): returns minus an input-dependent baseline, divided by their standard deviation in the sequence.

    The baseline (Mao et al., "Variance Reduction for Reinforcement Learning in Input-Driven Environments", ICLR 2019)
    is what the ``rollouts`` episodes of the same sequence of jobs return on average from the same time on, each
    interpolated linearly between its decisions: bad luck with the jobs is nobody's fault.

    ``by_state`` also takes off what a linear model explains by how the state (``backlog``) differs from its average at
    that time in the sequence: what earlier decisions have left is not this one's fault either. It is the number of
    models: the episodes are parted into as many settings, equally and in order.

    With ``ahead_s``, what comes later counts exp(-1 / ``ahead_s``) a second in what is left after baseline and model,
    which then stand for the far future: generalised advantage estimation (Schulman et al., ICLR 2016) over time.
    ``beta`` is that of the returns.
    """
    known = values[:, None]
    if by_state:
        known = np.concatenate([known, backlog(rollout.decisions)], axis=1)
    difference = np.empty_like(known)
    places = [np.flatnonzero(rollout.episode == episode) for episode in range(len(rollout.end_s))]
    for begin in range(0, len(places), rollouts):
        group = places[begin : begin + rollouts]
        lines = [
            (np.append(rollout.time_s[own], rollout.end_s[number]), np.append(known[own], 0 * known[:1], axis=0))
            for number, own in enumerate(group, begin)
        ]
        for own in group:
            difference[own] = known[own]
            for times, line in lines:
                for column in range(known.shape[1]):
                    difference[own, column] -= np.interp(rollout.time_s[own], times, line[:, column]) / len(group)
        everything = np.concatenate(group)
        difference[everything] /= difference[everything, 0].std() + 1e-8
    result = difference[:, 0]
    for setting in range(by_state):
        own = rollout.episode * by_state // len(places) == setting
        weights = np.linalg.lstsq(difference[own, 1:], difference[own, 0], rcond=None)[0]
        result[own] -= difference[own, 1:] @ weights
    return result if np.isinf(ahead_s) else _look_ahead(rollout, result, beta, ahead_s)


def _look_ahead(rollout: Rollout, left: np.ndarray, beta: float, ahead_s: float) -> np.ndarray:
    """float64 (d,): sums of the temporal differences behind ``left``, returns minus values, that fade with time."""
    result = np.empty_like(left)
    following, summed = np.zeros(len(rollout.end_s)), np.zeros(len(rollout.end_s))
    then_s = rollout.end_s.copy()
    for i in range(len(left) - 1, -1, -1):
        episode = rollout.episode[i]
        passed_s = then_s[episode] - rollout.time_s[i]
        discount = np.exp(-beta * passed_s)
        error = left[i] - discount * following[episode]
        summed[episode] = result[i] = error + discount * np.exp(-passed_s / ahead_s) * summed[episode]
        following[episode] = left[i]
        then_s[episode] = rollout.time_s[i]
    return result


def backlog(decisions: Decisions) -> np.ndarray:
    """float64 (d, 4): jobs in the system, sums of their remaining work and of its square root, tasks to start."""
    size = len(decisions.num_executors)
    decision = np.repeat(np.arange(size), np.diff(decisions.node_offset))
    work = np.bincount(
        decisions.job_offset[decision] + decisions.node_job, decisions.nodes[:, 4], len(decisions.limits)
    )
    job_decision = np.repeat(np.arange(size), np.diff(decisions.job_offset))
    columns = [np.bincount(job_decision, value, size) for value in (np.ones_like(work), work, np.sqrt(work))]
    return np.stack([*columns, np.bincount(decision, decisions.nodes[:, 3], size)], axis=1)


def _positions(graph: Graph, rows: np.ndarray) -> np.ndarray:
    """Position among the choices of each decision of the stage in a row of the observation; -1 for row 0."""
    positions = np.full(len(rows), -1)
    decision = graph.choice_decision.numpy()
    found = np.flatnonzero(graph.choice_row.numpy() == rows[decision])
    positions[decision[found]] = graph.choice_index.numpy()[found]
    return positions
