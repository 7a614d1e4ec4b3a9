"""What a sequence policy learns bitrate adaptation from: a clairvoyant expert that labels every state it comes to.

The expert is a ``ValueTable`` of a few traces and one video, made anew in every iteration, so that the policy meets
hundreds of ladders. It knows the bandwidth to come; the policy learns what is best for what it cannot know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from agents.abr.scores import score
from agents.abr.value_table import ValueTable
from agents.pretrained import one_thread
from agents.sequence.model import Sequences
from agents.sequence.net import MASKED, Steps, TaskNet
from agents.sequence.nets.abr import ABRNet
from agents.sequence.policy import SequencePolicy
from agents.statistics import mean
from agents.training.fit import descend, scheduled
from agents.training.objectives import clipped_surrogate
from distill.pools.pool import Pool
from distill.pools.shards import PoolError
from distill.recipe import StudentRecipe, TrainingRecipe
from distill.training.labelled_sequences import Labelled
from distill.training.phase import IMPROVE as LEARN
from distill.training.phase import OFFLINE, ON_POLICY, Phase
from distill.training.pool_sequences import labelled
from netenvs import datasets
from netenvs.abr.task import TASK as ABR
from netenvs.abr.workload import DATASET, TraceSet, Video, load_traces, load_video, make_trace_set
from netenvs.spec import unknown_name

CLONE, IMITATE, IMPROVE = "clone", "imitate", "improve"
"""Phases: what is in the pools; the expert's labels wherever the policy gets to; proximal policy optimisation."""
LOSSES = ("hard", "mixed", "regression")
TRAINED_ON, CHOSEN_ON = "fcc-train-clean", "fcc-valid-clean"
WITHOUT_DATA = {TRAINED_ON: "synthetic(seed=1)", CHOSEN_ON: "synthetic(seed=2,count=50)"}
VALIDATION_VIDEOS = 4  # generated ones, with the first seeds; training draws later ones
MAX_REGRET = 20.0
"""QoE of an episode: worse mistakes teach nothing more."""
CLOCK_STEP_S = 3.0
"""Of value tables, between positions in a trace."""
GROUP = 8
"""Sessions of ``IMPROVE`` on the same trace from the same place, which are compared with each other."""
FADE = 0.9
"""In ``IMPROVE`` a regret counts so much less for each chunk that it lies ahead."""
CLIP = 0.2
"""Of the ratio of probabilities."""
ANCHOR = 0.1
"""Weight of the expert's labels in ``IMPROVE``."""
WARM_ROWS, WARM_STEPS, WARM_BATCH, WARM_RATE = 256, 16, 64, 1e-3
"""Of the training of encoder and head alone: sessions and optimiser steps of an iteration, sequences of a step, and
Adam's highest rate."""


@dataclass(frozen=True)
class Options:
    """The recipe's own options."""

    loss: str = "mixed"
    """hard: the likelihood of the best level; mixed: that, and the mean regret of the policy; regression: minus the
    squared error of regrets."""
    regret: float = 0.3
    """Weight of the mean regret in mixed."""
    warm_up: int = 60
    """Iterations for encoder and head alone, before the backbone joins."""
    iterations: int = 40
    """Of imitation, one world each."""
    improve: int = 24
    """Iterations of reinforcement learning after it."""
    known: float = 0.7
    """Share of the worlds with video1; the others have generated videos."""
    traces: int = 16
    """Of a world."""
    scale: float = 0.2
    """Spread of the logarithm of the factor on each trace's bandwidth."""
    sessions: int = 128
    """Of an iteration."""
    validation: int = 200
    """Episodes with video1, and as many with generated videos."""

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(unknown_name("loss", self.loss, LOSSES))
        for name in ("iterations", "traces", "sessions", "validation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name in ("regret", "scale", "warm_up", "improve"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if not 0 <= self.known <= 1:
            raise ValueError(f"known must be from 0 to 1, not {self.known}")
        if self.improve and self.sessions % GROUP:
            raise ValueError(f"sessions must be a multiple of {GROUP} to improve, not {self.sessions}")


def phases(options: Options, pools: Sequence[Pool] = ()) -> tuple[Phase, ...]:
    """What a training consists of."""
    found = [Phase(IMITATE, options.iterations, steps=8, keep=4, learning_rate=5e-4, warmup=30, last_rate=0.02)]
    if pools:
        found.insert(0, Phase(CLONE, iterations=1, steps=180, keep=1, learning_rate=5e-4, warmup=30, last_rate=1.0))
    if options.improve:
        found.append(Phase(IMPROVE, options.improve, steps=8, keep=1, learning_rate=2e-4, warmup=10, last_rate=0.02))
    return tuple(found)


def describe(options: Options, pools: Sequence[Pool]) -> str:
    """A sentence or two on the data, for the card."""
    traces, chosen = _name(TRAINED_ON), _name(CHOSEN_ON)
    first = f"began with {len(pools)} pools; " if pools else ""
    after = " then improved on its own rewards;" if options.improve else ""
    return (
        f"It {first}played traces of `{traces}`, their bandwidth scaled, with `{_known()}` ({options.known:.0%} of the "
        f"sessions) and generated videos, labelled by value tables that know the bandwidth to come;{after} weights "
        f"chosen on `{chosen}` from random starts, {options.validation} episodes with `{_known()}` and as many with "
        f"{VALIDATION_VIDEOS} generated videos that are in no training."
    )


def initialise(net: TaskNet, options: Options, pools: Sequence[Pool] = ()) -> None:
    """Train encoder and head alone, ``options.warm_up`` iterations long; torch's seed determines how.

    They learn much faster than with the backbone, which then begins with a token that tells what matters.
    """
    if not isinstance(net, ABRNet) or net.tokenisation != "fused" or net.returns or not options.warm_up:
        return
    source, seed = Sessions(net, (), torch.initial_seed() % 2**32, options), torch.initial_seed() % 2**32
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.01)
    steps, device = options.warm_up * WARM_STEPS, net.device.type

    def rate(step: int) -> float:
        done = step / steps
        return float(WARM_RATE * min(1.0, 50 * done + 0.02) * (1 + np.cos(np.pi * done)) / 2)

    schedule = scheduled(optimiser, rate)
    kept: list[Labelled] = []
    imitate = Phase(IMITATE, options.warm_up, WARM_STEPS, 4, WARM_RATE)
    for iteration in range(options.warm_up):
        rng = np.random.default_rng([seed, iteration, 1])
        with torch.no_grad(), torch.autocast(device, torch.bfloat16):
            world = source.world([seed, iteration, 2], WARM_ROWS)
            kept = [*kept, _play(world, net, _Alone(net, rng), rng.integers(2**31, size=WARM_ROWS))][-imitate.keep :]
        data = Labelled.concatenate(kept)
        for _ in range(WARM_STEPS):
            batch = data.take(rng.choice(len(data), WARM_BATCH, replace=len(data) < WARM_BATCH))
            targets = {name: torch.from_numpy(values).to(net.device) for name, values in batch.targets.items()}
            with torch.autocast(device, torch.bfloat16):
                logits = _alone(net, batch.sequences.steps)
            descend(optimiser, source.loss(imitate, [logits.float()], targets).mean(), clip_norm=1.0)
            schedule.step()


class World(NamedTuple):
    """Sessions on a few traces with one video, and what is best in them."""

    env: Any
    table: ValueTable


class Sessions:
    """Sessions played by the policy in training, each world once; a ``Source``.

    ``CLONE``: the decisions in the pools, or what was best there by their ``expert_values``. ``IMITATE``: every state
    that the policy comes to, with the regret of each level. ``IMPROVE``: ``GROUP`` sessions on the same trace from the
    same place; the advantage of an action is minus the regrets that follow it, compared with those of the group.
    """

    def __init__(self, net: TaskNet, pools: Sequence[Pool], seed: int, options: Options):
        self.net, self.pools, self.seed, self.options = net, pools, seed, options
        self._traces = load_traces(_name(TRAINED_ON))
        self._video = load_video(_known())

    def gather(self, phase: Phase, iteration: int, policy: SequencePolicy) -> Labelled | None:
        """See ``Source``."""
        if phase.name == CLONE:
            return self._cloned()
        count = self.options.sessions
        rng = np.random.default_rng([self.seed, iteration, 3])
        seeds = rng.integers(2**31, size=count)
        if phase.name == IMPROVE:
            seeds = np.repeat(seeds[::GROUP], GROUP)
        policy.reset_rows(np.arange(count), rng.integers(2**31, size=count).tolist())
        found = _play(self.world([self.seed, iteration, 4], count), self.net, policy.act_batch, seeds)
        if phase.name == IMPROVE:
            taken = found.targets["taken"]
            regret = found.targets["regret"][np.arange(len(taken)), taken].reshape(count, -1)
            more = {"advantage": advantages(regret).ravel(), "log_prob": _log_prob(policy, found)}
            return Labelled(found.sequences, {**found.targets, **more})
        return found

    def loss(self, phase: Phase, outputs: list[Tensor], targets: dict[str, Tensor]) -> Tensor:
        """float32 (S,): see ``Options.loss``; in ``IMPROVE`` minus the clipped objective's, with an anchor."""
        logits, label, regret = outputs[0], targets["label"], targets["regret"]
        likelihood = nn.functional.cross_entropy(logits, label, reduction="none")
        if phase.name == IMPROVE:
            log_prob = -nn.functional.cross_entropy(logits, targets["taken"], reduction="none")
            gain = clipped_surrogate(log_prob, targets["log_prob"], targets["advantage"], CLIP)
            return ANCHOR * likelihood - gain
        if self.options.loss == "hard":
            return likelihood
        if self.options.loss == "mixed":
            return likelihood + self.options.regret * (logits.softmax(dim=1) * regret).sum(dim=1)
        there = logits > MASKED / 2
        return (torch.where(there, logits + regret, 0.0) ** 2).sum(dim=1) / there.sum(dim=1)

    def validate(self, policy: SequencePolicy) -> dict[str, float]:
        """Mean QoE per chunk with video1 and with generated videos, and of both, ``valid``."""
        traces, count = load_traces(_name(CHOSEN_ON)), self.options.validation
        known = mean(score(policy, traces, _known(), count, start="random"))
        each = max(1, count // VALIDATION_VIDEOS)
        videos = [f"generated(seed={seed})" for seed in range(VALIDATION_VIDEOS)]
        generated = mean([mean(score(policy, traces, video, each, start="random")) for video in videos])
        return {"valid": (known + generated) / 2, "video1": known, "generated": generated}

    def targets(self) -> list[float]:
        """See ``Source``: the policy is not conditioned on returns."""
        return []

    def world(self, stream: Sequence[int], rows: int) -> World:
        """The world that the numbers ``stream`` determine."""
        rng, options = np.random.default_rng(stream), self.options
        chosen = rng.choice(len(self._traces), min(options.traces, len(self._traces)), replace=False)
        traces = scaled(self._traces, chosen, np.exp(rng.normal(0.0, options.scale, len(chosen))))
        video = self._video
        if rng.random() >= options.known:
            video = load_video(f"generated(seed={rng.integers(VALIDATION_VIDEOS, 2**31)})")
        env = _environment(traces, video, rows)
        return World(env, ValueTable(env, clock_step_s=CLOCK_STEP_S))

    def _cloned(self) -> Labelled:
        parts = []
        for pool in self.pools:
            found = labelled([pool], self.net)
            values, done = found.targets.get("expert_values"), found.targets["action"][:, 0]
            if values is None and self.options.loss == "regression":
                raise PoolError(f"{pool.folder}: regression needs expert_values; collect the pool with --expert-values")
            width = _levels(self.net)
            regret = np.zeros((len(done), width), np.float32) if values is None else regrets(values, width)
            label = done if values is None else regret[:, : values.shape[1]].argmin(axis=1)
            targets = {"label": label.astype(np.int64), "regret": regret, "taken": done}
            parts.append(Labelled(found.sequences, targets))
        return Labelled.concatenate(parts)


def scaled(traces: TraceSet, chosen: np.ndarray, factors: np.ndarray) -> TraceSet:
    """The traces ``chosen``, int (k,), with their bandwidths times ``factors``, float (k,)."""
    named = [(traces.names[i], *traces.trace(i)) for i in chosen]
    louder = [(name, time_s, mbps * by) for (name, time_s, mbps), by in zip(named, factors, strict=True)]
    starts, latency_ms = traces.start_pointer[chosen], None
    if traces.latency_ms is not None:
        parts = [slice(traces.offset[i], traces.offset[i + 1]) for i in chosen]
        latency_ms = np.concatenate([traces.latency_ms[part] for part in parts])
    return replace(make_trace_set(traces.name, louder, starts, latency_ms=latency_ms), installed=traces.installed)


def regrets(values: np.ndarray, width: int) -> np.ndarray:
    """float32 (S, width): how much worse each level is than the best, of values (S, levels); 0 where there is none."""
    found = np.zeros((len(values), width), dtype=np.float32)
    found[:, : values.shape[1]] = np.minimum(values.max(axis=1, keepdims=True) - values, MAX_REGRET)
    return found


def advantages(regret: np.ndarray) -> np.ndarray:
    """float32 (sessions, chunks) of the regrets of what was done, groups of ``GROUP`` sessions one after the other.

    With V the table's value of a state, r + V(next) - V is minus the regret: rewards shaped by a potential that knows
    the bandwidth to come, which changes no optimum (Ng, Harada and Russell, *Policy Invariance Under Reward
    Transformations*, ICML 1999) and takes nearly all luck out of returns.
    """
    ahead, following = np.zeros(regret.shape), np.zeros(len(regret))
    for chunk in range(regret.shape[1] - 1, -1, -1):
        following = FADE * following - regret[:, chunk]
        ahead[:, chunk] = following
    groups = ahead.reshape(-1, GROUP, regret.shape[1])
    groups = groups - groups.mean(axis=1, keepdims=True)
    spread = np.sqrt((groups**2).mean(axis=(1, 2), keepdims=True))
    found: np.ndarray = np.clip(groups / (spread + 0.1), -5, 5).astype(np.float32).reshape(regret.shape)
    return found


def _environment(traces: TraceSet, video: Video, rows: int) -> Any:
    return gym.make_vec(
        ABR.env_id, num_envs=rows, autoreset_mode="disabled", traces=traces, video=video, start="random"
    )


def _play(world: World, net: TaskNet, act: Callable[[Any, dict[str, Any]], np.ndarray], seeds: np.ndarray) -> Labelled:
    """Play a session with each of the seeds to its end; targets ``label``, ``regret`` and ``taken``."""
    env, rows = world.env, np.arange(len(seeds))
    observations, infos = env.reset(seed=seeds.tolist())
    chunks = env.unwrapped.video.num_chunks - 1
    steps: list[Steps] = []
    values, taken = [], []
    for _ in range(chunks):
        columns = {name: column for name, column in infos.items() if not name.startswith("_")}
        infos = {**columns, **env.unwrapped.shared_info, "row": rows}
        steps.append(net.observe(observations, infos))
        values.append(world.table.action_values(env))
        taken.append(act(observations, infos))
        observations, _, _, _, infos = env.step(taken[-1])
    env.close()
    order = np.arange(chunks * len(rows)).reshape(chunks, -1).T.ravel()  # session by session
    done = np.concatenate(taken)[order].astype(np.int64)
    numbers = np.tile(np.arange(chunks), len(rows))
    previous = np.where(numbers == 0, -1, np.roll(done, 1))
    columns = {name: np.concatenate([step[name] for step in steps])[order] for name in steps[0]}
    worth = np.concatenate(values)[order]
    targets = {"label": worth.argmax(axis=1), "regret": regrets(worth, _levels(net)), "taken": done}
    return Labelled(Sequences(columns, np.full(len(rows), chunks), previous, numbers), targets)


def _levels(net: TaskNet) -> int:
    assert isinstance(net, ABRNet)
    return net.levels


def _log_prob(policy: SequencePolicy, found: Labelled, at_once: int = 32) -> np.ndarray:
    """float32 (S,): log-probabilities of what the policy did, as its training sees them."""
    parts = []
    with torch.inference_mode():
        for begin in range(0, len(found), at_once):
            part = found.take(np.arange(begin, min(begin + at_once, len(found))))
            logits = policy.model(part.sequences)[0].float()
            taken = torch.from_numpy(part.targets["taken"]).to(logits.device)
            parts.append(-nn.functional.cross_entropy(logits, taken, reduction="none").cpu().numpy())
    return np.concatenate(parts)


def _alone(net: ABRNet, steps: Steps) -> Tensor:
    """Logits (S, levels) of steps by encoder and head alone."""
    rows = len(steps["last"])
    tokens = net.embed(steps, np.full(rows, -1), None)
    none = torch.zeros(rows, 1, dtype=torch.int64)
    return net.logits(0, torch.zeros_like(tokens.embeddings), tokens.memory, none)


class _Alone:
    """Acts by encoder and head alone: levels drawn from their softmax."""

    def __init__(self, net: ABRNet, rng: np.random.Generator):
        self.net, self.rng = net, rng

    def __call__(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        with one_thread():
            logits = _alone(self.net, self.net.observe(observations, infos)).double().cpu().numpy()
        drawn: np.ndarray = (logits + self.rng.gumbel(size=logits.shape)).argmax(axis=1)
        return drawn


def _name(split: str) -> str:
    """The split, or where it is not installed what is generated instead."""
    return split if datasets.installed(DATASET) else WITHOUT_DATA[split]


def _known() -> str:
    return "video1" if datasets.installed(DATASET) else "synthetic"


TRAINING = TrainingRecipe(
    options=Options,
    source=Sessions,
    phases=phases,
    describe=describe,
    net={"tokenisation": "fused"},
    context=0,
    optimisation={"batch": 32, "average": 0.99, "clip": 1.0, "weight_decay": 0.01, "validate_every": 4},
    initialise=initialise,
    without_improvement={"improve": 0},
    student=StudentRecipe(
        phases=(
            Phase(OFFLINE, iterations=8, steps=24, keep=0, learning_rate=1e-3, warmup=30, last_rate=1.0),
            Phase(ON_POLICY, iterations=48, steps=24, keep=8, learning_rate=1e-3, last_rate=0.02),
            Phase(LEARN, iterations=24, steps=8, keep=1, learning_rate=3e-5, warmup=10, last_rate=0.1),
        ),
        source_phases={OFFLINE: IMITATE, ON_POLICY: IMITATE, LEARN: IMPROVE},
        encoders={"small": {"width": 128}},
        beta=1.0,
    ),
)
