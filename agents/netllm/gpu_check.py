"""Whether a device has room for a large language model: adapt one of random weights for a few steps, then act with it.

::

    python -m agents.netllm.gpu_check --device cuda --shape llama-2-7b

Random weights take the memory and time of trained ones. The policy plays synthetic bitrate episodes; tokens are laid
out as in NetLLM, with returns. ``python -m agents.netllm.memory`` computes beforehand what this measures.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch.nn.functional import cross_entropy

import netenvs  # noqa: F401  (registers the environments)
from agents.netllm.memory import DTYPES, GB, SHAPES, check, numbers, random_backbone
from agents.policy import BatchPolicy
from agents.rollout import EpisodeSpec, play
from agents.sequence.model import SequenceModel, Sequences
from agents.sequence.net import Steps
from agents.sequence.nets.abr import ABRNet
from agents.sequence.policy import SequencePolicy
from netenvs.abr.task import TASK as ABR
from netenvs.command_line import run


class Recorder(BatchPolicy):
    """Decides at random and keeps what a network observes of it, step by step."""

    def __init__(self, net: ABRNet):
        self.net = net
        self.steps: list[Steps] = []
        self.actions: list[np.ndarray] = []
        self._draw = np.random.default_rng(0)

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        self.steps.append(self.net.observe(observations, infos))
        self.actions.append(self._draw.integers(0, infos["video"].num_levels, len(observations)))
        return self.actions[-1]


def episodes_of(net: ABRNet, count: int) -> tuple[Sequences, np.ndarray]:
    """Whole synthetic episodes and their actions, int64 (S, 1), played at random; all are of one length."""
    recorder = Recorder(net)
    play(recorder, ABR.env_id, [EpisodeSpec(seed) for seed in range(count)], num_envs=count)
    length = len(recorder.steps)
    by_episode = np.arange(length * count).reshape(length, count).T.reshape(-1)
    columns: Steps = {
        name: np.concatenate([np.asarray(step[name]) for step in recorder.steps])[by_episode]
        for name in recorder.steps[0]
    }
    actions = np.concatenate(recorder.actions)[by_episode]
    previous = np.where(np.arange(len(actions)) % length == 0, -1, np.roll(actions, 1))
    sequences = Sequences(
        columns,
        np.full(count, length, dtype=np.int64),
        previous,
        np.tile(np.arange(length), count),
        np.ones(len(actions), dtype=np.float32),
    )
    return sequences, actions[:, None]


@dataclass(frozen=True)
class Figures:
    """What was measured; memory is zero where it is not that of a GPU."""

    losses: list[float]
    """Cross-entropy to the recorded actions at each step."""
    step_s: float
    """Of the last step."""
    adapting_bytes: int
    """Most that was allocated until then."""
    decision_ms: float
    """Median over an episode, one decision at a time."""
    acting_bytes: int


def measure(model: SequenceModel, episodes: int, steps: int, device: str, merge: bool = False) -> Figures:
    """Adapt ``model``, on ``device``, for ``steps`` steps to ``episodes`` episodes at once, then play one.

    ``merge``: with the adapter merged into the frozen weights.
    """
    net: Any = model.task
    sequences, actions = episodes_of(net, episodes)
    targets = torch.from_numpy(actions[:, 0]).to(device)
    optimiser = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-4)
    losses = []
    taken = 0.0
    _reset_peak(device)
    for _ in range(steps):
        begin = time.perf_counter()
        loss = cross_entropy(model.train()(sequences, actions)[0], targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())  # waits for the device
        taken = time.perf_counter() - begin
    adapting = _peak(device)
    optimiser.zero_grad()
    del optimiser, loss
    if merge:
        backbone: Any = model.backbone
        backbone.merge()
    _reset_peak(device)
    decision_ms = _play(SequencePolicy(model, target=1.0))
    return Figures(losses, taken, adapting, decision_ms, _peak(device))


def _play(policy: SequencePolicy) -> float:
    """Milliseconds of a decision, the median over one episode."""
    env = gym.make(ABR.env_id)
    observation, info = env.reset(seed=0)
    policy.reset(0)
    times = []
    ended = False
    while not ended:
        begin = time.perf_counter()
        action = policy.act(observation, info)
        times.append(time.perf_counter() - begin)
        observation, _, terminated, truncated, info = env.step(int(action))
        ended = terminated or truncated
    return 1000 * float(np.median(times))


def _reset_peak(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: str) -> int:
    return torch.cuda.max_memory_allocated(device) if device.startswith("cuda") else 0


@dataclass
class Args:
    """This adapts a Llama of random weights with LoRA for a few steps, and acts with it, on a device."""

    device: str = "cuda"
    """It runs on this device, as torch calls it; memory is measured on cuda only."""
    shape: str = "llama-2-7b"
    """The network has this shape: llama-2-7b, small or tiny."""
    dtype: str = "bfloat16"
    """The frozen weights have this type: bfloat16, float16 or float32."""
    rank: int = 128
    """The adapter has this rank."""
    episodes: int = 1
    """So many bitrate episodes are learned from at once."""
    steps: int = 3
    """The adaptation has so many steps."""
    keep_activations: bool = False
    """It keeps all activations for the backward pass instead of computing those within layers twice."""
    merge: bool = False
    """It acts with the adapter merged into the frozen weights."""
    limit_gb: float = 40.0
    """So many GB (10^9 bytes) must be enough."""


def main(args: Args) -> bool:
    """Print what was measured; whether all was finite and within the limit."""
    check(args.shape, args.dtype, args.rank, args.episodes)
    if args.steps < 1:
        raise ValueError(f"steps must be at least 1, not {args.steps}")
    begin = time.perf_counter()
    torch.manual_seed(0)
    try:
        backbone = random_backbone(SHAPES[args.shape], DTYPES[args.dtype], args.rank, args.device)
    except (RuntimeError, AssertionError) as error:  # assertion: torch without CUDA
        raise ValueError(f"device {args.device!r}: {str(error).splitlines()[0]}") from error
    if not args.keep_activations:
        backbone.checkpoint_activations()
    model = SequenceModel(ABRNet(backbone.d_model, "netllm", returns=True), backbone).to(args.device)
    print(f"{args.shape} on {_name(args.device)}, {args.dtype}, made in {time.perf_counter() - begin:.1f} s")
    print(f"frozen {numbers(model, False):,}, trained {numbers(model, True):,}")
    found = measure(model, args.episodes, args.steps, args.device, args.merge)
    losses = " ".join(f"{loss:.3f}" for loss in found.losses)
    print(f"adapting to {args.episodes} episodes: loss {losses}, {found.step_s:.3f} s a step", end="")
    print(f", {found.adapting_bytes / GB:.2f} GB allocated at most" if found.adapting_bytes else "")
    print(f"acting: {found.decision_ms:.1f} ms a decision", end="")
    print(f", {found.acting_bytes / GB:.2f} GB allocated at most" if found.acting_bytes else "")
    fine = bool(np.isfinite(found.losses).all())
    return fine and max(found.adapting_bytes, found.acting_bytes) <= args.limit_gb * GB


def _name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def command() -> None:
    """Run the command line as a program."""
    run(_checked, Args, "python -m agents.netllm.gpu_check")


def _checked(args: Args) -> None:
    if not main(args):
        raise ValueError("a loss is not finite, or the limit was exceeded")


if __name__ == "__main__":
    command()
