"""Networks that learn to decide as an expert does (``agents.abr.experts``): what it finds by search, they know at once.

In most worlds that is ``stochastic-mpc``. They see what it sees (``agents.abr.relative``), and no more: unlike a
clairvoyant's, its decisions are those of who does not know the bandwidth to come, so that a network can learn all of
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from agents.abr.experts import Experts
from agents.abr.relative import relative_steps
from agents.abr.training_worlds import environment, worlds_of_networks
from agents.pretrained import one_thread
from agents.training.average import MovingAverage
from agents.training.fit import descend, scheduled
from netenvs.abr.worlds import LEVELS, World

LONGEST = max(LEVELS)
WORLDS, SESSIONS, TRACES = 6, 16, 16
"""Worlds of an iteration, sessions of a world, and traces of it."""
KEEP, STEPS, BATCH = 16, 40, 1024
"""Last iterations that are learned from, optimiser steps of an iteration, and decisions of a step."""
RATE, AVERAGE = 1e-3, 0.99
"""Highest learning rate, and decay of the moving average of the weights."""
REGRET = 4.0
"""Weight of the mean regret beside the likelihood of the expert's choice."""
MAX_REGRET = 5.0
"""In ranges of the utility: worse mistakes teach nothing more."""

REGRETS = "regrets"
"""Name of the expert's labels among what is kept."""

Logits = Callable[[dict[str, Tensor]], Tensor]
"""What ``relative_steps`` tells, as tensors -> float32 (S, levels)."""


class Decisions(NamedTuple):
    """What was decided on, and what the expert thinks of it."""

    steps: dict[str, np.ndarray]
    """Of ``relative_steps``, S rows."""
    regret: np.ndarray
    """float32 (S, levels), how much worse than the best each level is, in ranges of the utility."""


class Imitation:
    """A network in training; it acts, and the expert says what it would do.

    Ross, Gordon and Bagnell, *A Reduction of Imitation Learning and Structured Prediction to No-Regret Online
    Learning*, AISTATS 2011. An iteration is a function of the weights, the optimiser's state, what was played in the
    iterations before, the seed and its own number alone.

    Arguments:
        net: is trained.
        logits: depends on its parameters.
        seed: determines worlds, sessions and batches.
        iterations: of the whole training.
    """

    def __init__(self, net: nn.Module, logits: Logits, seed: int, iterations: int):
        self.net, self.logits, self.seed, self.iterations = net, logits, seed, iterations
        self.iteration = 0
        """Done so far."""
        self._worlds, self._experts = worlds_of_networks(), Experts()
        self._average = MovingAverage(net, AVERAGE)
        self._optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.01)
        self._schedule = scheduled(self._optimiser, self._rate)
        self._kept: list[dict[str, Tensor]] = []

    def iterate(self) -> None:
        """Play worlds of the iteration's own, and learn from what was played in the last ones."""
        rng = np.random.default_rng([self.seed, self.iteration, 21])
        made = [self._worlds.make([self.seed, self.iteration, number, 22], TRACES) for number in range(WORLDS)]
        played = [play(world, self.logits, self._experts, rng) for world in made]
        self._kept = [*self._kept, _joined(played)][-KEEP:]
        data = {name: torch.cat([part[name] for part in self._kept]) for name in self._kept[0]}
        regret = data.pop(REGRETS)
        for _ in range(STEPS):
            rows = torch.from_numpy(rng.integers(len(regret), size=BATCH))
            found = self.logits({name: values[rows] for name, values in data.items()})
            descend(self._optimiser, unlike(found, regret[rows]).mean(), clip_norm=1.0)
            self._schedule.step()
            self._average.update_parameters(self.net)
        self.iteration += 1

    def finish(self) -> None:
        """The network has the averaged weights then."""
        self.net.load_state_dict(self._average.module.state_dict())

    def state(self) -> dict[str, Any]:
        """All that the next iterations depend on, for ``Run.save``; what was played is most of it."""
        return {
            "iteration": self.iteration,
            "weights": self.net.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "average": self._average.state_dict(),
            "kept": self._kept,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` returned."""
        self.iteration, self._kept = state["iteration"], state["kept"]
        self.net.load_state_dict(state["weights"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._average.load_state_dict(state["average"])
        self._schedule = scheduled(self._optimiser, self._rate, self.iteration * STEPS)

    def _rate(self, step: int) -> float:
        total = self.iterations * STEPS
        return float(RATE * min(1.0, (step + 1) / 50) * (1 + np.cos(np.pi * step / total)) / 2)


def play(world: World, logits: Logits, experts: Experts, rng: np.random.Generator) -> Decisions:
    """Sessions of a world, levels drawn from the softmax of ``logits``."""
    env, rows = environment(world, SESSIONS), np.arange(SESSIONS)
    seeds = rng.integers(2**31, size=SESSIONS).tolist()
    observations, infos = env.reset(seed=seeds, options={"trace": rows * len(world.traces) // SESSIONS})
    expert = experts.begin(world, env)
    found: list[Decisions] = []
    for _ in range(world.video.num_chunks - 1):
        infos = {**infos, **env.unwrapped.shared_info, "row": rows}
        steps = relative_steps(observations, infos, LONGEST)
        found.append(Decisions(steps, regrets(expert(infos), infos, LONGEST)))
        with torch.inference_mode(), one_thread():
            seen = logits({name: torch.from_numpy(values) for name, values in steps.items()}).double().cpu().numpy()
        observations, _, _, _, infos = env.step((seen + rng.gumbel(size=seen.shape)).argmax(axis=1))
    env.close()
    names = found[0].steps
    return Decisions(
        {name: np.concatenate([one.steps[name] for one in found]) for name in names},
        np.concatenate([one.regret for one in found]),
    )


def _joined(played: list[Decisions]) -> dict[str, Tensor]:
    """What was seen in all of them, and the regrets."""
    names = played[0].steps
    found = {name: torch.from_numpy(np.concatenate([one.steps[name] for one in played])) for name in names}
    return {**found, REGRETS: torch.from_numpy(np.concatenate([one.regret for one in played]))}


def regrets(values: np.ndarray, infos: dict[str, Any], width: int) -> np.ndarray:
    """float32 (S, width) of an expert's values (S, levels), in ranges of the utility; the largest where no level is."""
    span = infos["qoe"].utility_range(infos["video"].num_chunks)
    found = np.full((len(values), width), MAX_REGRET, dtype=np.float32)
    found[:, : values.shape[1]] = np.minimum((values.max(axis=1, keepdims=True) - values) / span, MAX_REGRET)
    return found


def unlike(logits: Tensor, regret: Tensor) -> Tensor:
    """float32 (S,): how unlike the expert who draws from ``logits`` is: the best level's, and the mean regret."""
    likelihood = nn.functional.cross_entropy(logits, regret.argmin(dim=1), reduction="none")
    return likelihood + REGRET * (logits.softmax(dim=1) * regret).sum(dim=1)
