"""Teacher and student at play: recorded observations, both modes of deciding, and what a decision takes in each."""

from __future__ import annotations

import collections
import contextlib
import copy
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

import netenvs  # noqa: F401  (registers the environments)
from agents.pretrained import one_thread
from agents.ragged import concatenate, take
from agents.rollout import environment_options
from agents.sequence.model import SequenceModel, Sequences
from agents.sequence.net import Steps
from agents.sequence.policy import SequencePolicy
from benchmarks.speed.registry import policy_speed
from netenvs import datasets, tasks

Clock = Callable[[], float]
"""Seconds that have gone by."""
WINDOW = 20
"""Steps of NetLLM's windows (github.com/duowuyms/NetLLM, ``run_plm.py``, option ``w``)."""
STEPS = 40
"""That are recorded."""
CLOSE_DEG = 0.01
"""Paths that differ by less are the same."""


class Recording(NamedTuple):
    """What a policy saw in ``STEPS`` steps of a batch of episodes, and did."""

    data: str
    begins: list[bool]
    """Whether all rows begin an episode at this step."""
    observations: list[Any]
    infos: list[dict[str, Any]]
    actions: list[np.ndarray]

    def first(self, rows: int) -> Recording:
        """Its first ``rows`` rows."""
        infos = [{name: _rows(value, rows) for name, value in step.items()} for step in self.infos]
        observations = [_rows(step, rows) for step in self.observations]
        return Recording(self.data, self.begins, observations, infos, [step[:rows] for step in self.actions])


def _rows(value: Any, rows: int) -> Any:
    if isinstance(value, dict):
        return {name: _rows(part, rows) for name, part in value.items()}
    return value[:rows] if isinstance(value, np.ndarray) and value.ndim else value


def record(task: str, policy: SequencePolicy, rows: int, steps: int = STEPS) -> Recording:
    """Play ``policy`` in ``rows`` episodes at once, on real data where they are installed, else on generated ones."""
    subject, where = policy_speed(task), tasks.find(task)
    data = subject.dataset if datasets.installed(subject.needs) else "synthetic"
    options = environment_options(policy, {where.dataset_option: data})
    env: Any = gym.make_vec(where.env_id, num_envs=rows, autoreset_mode="disabled", **options)
    found = Recording(data, [], [], [], [])
    everyone, numbers = np.ones(rows, dtype=np.bool_), np.arange(rows)
    observations, infos = env.reset(seed=0)
    begins = True
    for _ in range(steps):
        if begins:
            policy.reset_rows(numbers, [0] * rows)
        columns = {k: v for k, v in infos.items() if not k.startswith("_") and v.dtype != object}
        shared = subject.as_of_now(dict(env.unwrapped.shared_info))
        seen, given = copy.deepcopy(observations), {**copy.deepcopy(columns), **shared, "row": numbers}
        actions = policy.act_batch(seen, given)
        found.begins.append(begins)
        found.observations.append(seen)
        found.infos.append(given)
        found.actions.append(actions)
        observations, _, terminated, truncated, infos = env.step(np.asarray(actions, dtype=env.action_space.dtype))
        begins = bool((terminated | truncated).any())
        if begins:
            observations, infos = env.reset(options={"reset_mask": everyone})
    env.close()
    return found


class Cached:
    """Mode B: the policy as it is shipped; each decision feeds new tokens to a cache, or to a recurrent state."""

    def __init__(self, policy: SequencePolicy):
        self.policy = policy

    def begin(self, rows: int) -> None:
        """Episodes begin in so many rows, which go on together."""
        self.policy.reset_rows(np.arange(rows), [0] * rows)

    def pass_over(self, observations: Any, infos: Mapping[str, Any], actions: np.ndarray) -> bool:
        """Whether a step is taken note of only, with what was done in it; here every decision is measured."""
        return False

    def decide(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        """Actions of the environment."""
        return self.policy.act_batch(observations, infos)


class Windowed:
    """Mode A: each decision encodes the last ``window`` steps anew, in a parallel pass, as NetLLM does.

    A decision of several components takes a pass for each of them, as there. ``window`` steps are in the context that
    the model is made for, or those of it.
    """

    def __init__(self, policy: SequencePolicy, window: int = WINDOW):
        self.policy, self.model = policy, policy.model
        self.window = min(window, self.model.context or window)
        self.begin(0)

    def begin(self, rows: int) -> None:
        """See ``Cached``."""
        self._steps: collections.deque[tuple[Steps, np.ndarray, np.ndarray, Any]] = collections.deque(
            maxlen=self.window
        )
        self._rows, self._number = rows, 0
        self._before: np.ndarray | None = None
        self._collected = np.full(rows, np.nan)

    def pass_over(self, observations: Any, infos: Mapping[str, Any], actions: np.ndarray) -> bool:
        """See ``Cached``; here the window fills up first."""
        if len(self._steps) + 1 >= self.window:
            return False
        steps = self._append(observations, infos)
        self._after(actions, self.model.task.from_env(actions, steps) if not self.model.task.continuous else None)
        return True

    def decide(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        """See ``Cached``."""
        task = self.model.task
        steps = self._append(observations, infos)
        with torch.inference_mode(), one_thread():
            sequences, chosen, last = self._sequences()
            if task.continuous:
                carried_out = task.to_env(self.model(sequences)[0][last].float().cpu().numpy(), steps)
                self._after(carried_out, None)
                return carried_out
            for component in range(task.components):
                logits = self.model(sequences, chosen)[component][last]
                chosen[last, component] = logits.argmax(dim=1).cpu().numpy()
        carried_out = task.to_env(chosen[last], steps)
        self._after(carried_out, chosen[last])
        return carried_out

    def _append(self, observations: Any, infos: Mapping[str, Any]) -> Steps:
        task, rows = self.model.task, self._rows
        steps = task.observe(observations, infos)
        before = self._before
        if before is None:
            before = np.full((rows,) if task.components == 1 else (rows, task.components), -1, dtype=np.int64)
        returns = None
        if task.returns and self.policy.target is not None:
            self._collected = task.collected(observations, infos, self._collected)
            returns = (self.policy.target - self._collected / self.policy.scale[1]).astype(np.float32)
        chosen = np.zeros((rows, task.components), dtype=np.int64)
        self._steps.append((steps, before, chosen, returns))
        return steps

    def _after(self, carried_out: np.ndarray, chosen: np.ndarray | None) -> None:
        self._number += 1
        if chosen is not None:
            self._before = carried_out
            self._steps[-1][2][:] = chosen

    def _sequences(self) -> tuple[Sequences, np.ndarray, np.ndarray]:
        """The windows of all rows, components chosen in them, int64 (S, components), and places of the last steps."""
        length, rows = len(self._steps), self._rows
        order = np.arange(length * rows).reshape(length, rows).T.reshape(-1)
        steps, before, chosen, returns = zip(*self._steps, strict=True)
        numbers = np.arange(self._number - length + 1, self._number + 1)
        sequences = Sequences(
            {name: take(concatenate([step[name] for step in steps]), order) for name in steps[0]},
            np.full(rows, length, dtype=np.int64),
            np.concatenate(before)[order],
            np.tile(numbers, rows),
            None if returns[0] is None else np.concatenate(returns)[order],
        )
        return sequences, np.concatenate(chosen)[order], np.arange(rows) * length + length - 1


Side = Cached | Windowed
SIDES: dict[str, Callable[[SequencePolicy], Side]] = {"A": Windowed, "B": Cached}
"""By mode: window re-encoding, cached play."""


class Parts:
    """Seconds that parts of a model took since ``clear``, and tokens that its backbone was given."""

    def __init__(self, clock: Clock):
        self.clock = clock
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.encoder = self.core = 0.0
        self.tokens = 0

    @contextlib.contextmanager
    def of(self, model: SequenceModel) -> Iterator[None]:
        """Time encoders, and backbone and heads, while it is open."""
        methods: list[tuple[Any, str, str]] = [(model.task, name, "encoder") for name in ("observe", "embed", "follow")]
        methods += [(model.task, name, "core") for name in ("logits", "path")]
        methods += [(model.backbone, name, "core") for name in ("forward", "step")]
        for module, name, part in methods:
            setattr(module, name, self._timed(getattr(module, name), part, module is model.backbone))
        try:
            yield
        finally:
            for module, name, _ in methods:
                delattr(module, name)

    def _timed(self, method: Callable[..., Any], part: str, counts: bool) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            begin = self.clock()
            result = method(*arguments)
            setattr(self, part, getattr(self, part) + self.clock() - begin)
            if counts:
                lengths = arguments[-1] if len(arguments) > 1 and isinstance(arguments[-1], torch.Tensor) else None
                rows, length, _ = arguments[0].shape
                self.tokens += rows * length if lengths is None else int(lengths.sum())
            return result

        return timed


def figures(policy: SequencePolicy, side: Side, recording: Recording, seconds: float, clock: Clock) -> dict[str, float]:
    """What decisions on a recording take, over and over until ``seconds`` of them were measured, and one at least."""
    rows = len(recording.actions[0])
    parts = Parts(clock)
    acts, encoders, cores, tokens = [], [], [], 0
    with parts.of(policy.model):
        for observations, infos in _measured(side, recording):
            parts.clear()
            begin = clock()
            side.decide(observations, infos)
            acts.append(clock() - begin)
            encoders.append(parts.encoder)
            cores.append(parts.core)
            tokens += parts.tokens
            if sum(acts) >= seconds:
                break
    return {
        "decisions_per_s": rows * len(acts) / sum(acts),
        "tokens_per_s": tokens / sum(acts),
        **{f"act_p{q}_ms": 1000 * float(np.percentile(acts, q)) for q in (50, 99)},
        **{f"core_p{q}_ms": 1000 * float(np.percentile(cores, q)) for q in (50, 99)},
        "encoder_share": sum(encoders) / sum(acts),
        "acts": len(acts),
    }


def _measured(side: Side, recording: Recording) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The decisions to measure, for ever; the others are passed over."""
    rows = len(recording.actions[0])
    while True:
        for begins, observations, infos, actions in zip(*recording[1:], strict=True):
            if begins:
                side.begin(rows)
            if not side.pass_over(observations, infos, actions):
                yield observations, infos


def agreement(policy: SequencePolicy, recording: Recording) -> float:
    """Share of decisions that both modes make alike, in the steps that fit into a window."""
    windowed, cached, rows = Windowed(policy), Cached(policy), len(recording.actions[0])
    same, since = [], 0
    for begins, observations, infos in zip(recording.begins, recording.observations, recording.infos, strict=True):
        if begins:
            windowed.begin(rows)
            cached.begin(rows)
            since = 0
        if since < windowed.window:
            one, other = windowed.decide(observations, infos), cached.decide(observations, infos)
            off = np.abs(one - other).reshape(rows, -1).max(axis=1)
            same.append(np.minimum(off, 360 - off) < CLOSE_DEG if policy.model.task.continuous else off == 0)
        since += 1
    return float(np.mean(same))


def peak_bytes(policy: SequencePolicy, side: Side, recording: Recording) -> int:
    """Weights, and the most that torch held besides in a stretch of play: cache, inputs, what is computed on the way.

    One decision of mode A, which remembers nothing, all of mode B.
    """
    decisions = 1 if isinstance(side, Windowed) else len(recording.begins)

    def work() -> None:
        for observations, infos in itertools.islice(_measured(side, recording), decisions):
            side.decide(observations, infos)

    return held(policy.model) + peak_of(work, str(policy.model.task.device))


def held(module: nn.Module) -> int:
    """Bytes of parameters and buffers in memory."""
    return sum(value.nbytes for value in itertools.chain(module.parameters(), module.buffers()))


def peak_of(work: Callable[[], None], device: str) -> int:
    """The most bytes that torch's allocator had given out during ``work`` beyond what it had before.

    On a GPU its own count; on a CPU the profiler's record of what it gave out and got back.
    """
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    with _silent(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        work()
    assert record.profiler is not None and record.profiler.kineto_results is not None
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return max(itertools.accumulate((event.nbytes() for event in events), initial=0))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without what the profiler's C++ part writes to standard error: beginning, end, memory that it has not seen."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def counts(policy: SequencePolicy) -> dict[str, int]:
    """Numbers of a policy's weights, in all and by part, and bytes of its files."""
    model, found = policy.model, {"encoder": 0, "backbone": 0, "head": 0}
    heads = policy_speed(model.task.task).heads
    for name, value in model.state_dict().items():
        module, _, rest = name.partition(".")
        head = module == "task" and rest.partition(".")[0] in heads
        found["backbone" if module == "backbone" else "head" if head else "encoder"] += value.numel()
    backbone: Any = model.backbone
    frozen = sum(value.nbytes for name, value in backbone.state_dict().items() if name in backbone.shared())
    return {"parameters": sum(found.values()), **found, "bytes": (policy.bytes or 0) + frozen}
