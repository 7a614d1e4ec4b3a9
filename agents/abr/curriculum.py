"""What ``genet`` and ``udr`` are trained on: generated traces, of all configurations or those where a rule does better.

Genet (Xia et al., *Genet: Automatic Curriculum Generation for Learning Adaptation in Networking*, SIGCOMM 2022):
training begins on configurations drawn from the whole space. Then, in rounds, Bayesian optimisation looks for the
configuration on which a rule-based baseline exceeds the present policy the most; its traces join the mixture with
weight 0.3, all earlier ones keep 0.7 of theirs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from agents.abr.pensieve_net import PensieveNet, TrainedActor
from agents.abr.ppo import Curriculum, Learner
from agents.abr.scores import score
from agents.policy import Policy
from agents.statistics import mean
from netenvs.abr.generators import GENET_SPACES, GenetConfig, genet_trace, sample_genet_config
from netenvs.abr.workload import TraceSet, join_traces, make_trace_set
from netenvs.spec import unknown_name

NEW_WEIGHT = 0.3  # of the configuration that joins (Genet's default)
FIRST_TRIALS, TRIALS = 10, 15  # drawn ones, and all (Genet's code: init_points 10, n_iter 5)
TRIAL_TRACES = 10  # that the gap of a configuration is the mean of
# Streams of the generator: traces of the space, of a found configuration, and of a trial
SPACE_STREAM, FOUND_STREAM, TRIAL_STREAM = 1, 2, 3


@dataclass(frozen=True)
class Found:
    """A configuration that a round has found."""

    config: GenetConfig
    gap: float
    """QoE per chunk by which the rule was better, mean of the trial's traces."""

    def __str__(self) -> str:
        one = self.config
        return (
            f"{one.min_bw_mbps:.2f} to {one.max_bw_mbps:.2f} Mbit/s, held for up to {max(int(one.change_interval), 1)} "
            f"samples, RTT {one.rtt_ms:.0f} ms, buffer {one.buffer_cap_s:.0f} s: the rule is {self.gap:+.2f} better"
        )


@dataclass(frozen=True)
class Mixture:
    """What a training plays. ``ValueError``, one line, for values that make no sense."""

    space: str = "udr3"
    """The configuration space is, from the narrowest to the widest, udr1, udr2 or udr3 (Genet's own)."""
    pool: int = 2000
    """There are so many traces of the whole space; a configuration that is found has a tenth as many."""
    real_share: float = 0.3
    """This share of the rows plays real traces, if there are any."""
    warm_up: float = 0.25
    """genet: this share of the training comes before the first round."""
    rounds: int = 10
    """genet: there are so many rounds of search, spread evenly over the rest."""
    baseline: str = "robust-mpc"
    """genet: the lead of this rule, robust-mpc or bba, is searched for; validation takes it as the unit, too."""

    def check(self) -> None:
        """``ValueError``, one line, for impossible settings."""
        if self.space not in GENET_SPACES:
            raise ValueError(unknown_name("space", self.space, GENET_SPACES))
        if self.baseline not in ("robust-mpc", "bba"):
            raise ValueError(unknown_name("baseline", self.baseline, ("robust-mpc", "bba")))
        if self.pool < 10:
            raise ValueError(f"pool must be 10 traces or more, not {self.pool}")
        if not 0 <= self.real_share < 1:
            raise ValueError(f"real-share must be from 0 to below 1, not {self.real_share}")
        if not 0 <= self.warm_up < 1:
            raise ValueError(f"warm-up must be from 0 to below 1, not {self.warm_up}")
        if self.rounds < 1:
            raise ValueError(f"rounds must be 1 or more, not {self.rounds}")


def traces_of(name: str, configs: list[GenetConfig], seeds: list[list[int]]) -> TraceSet:
    """One trace of each configuration, drawn from the seed beside it."""
    made = [
        (f"{name}-{number:04d}", *genet_trace(config, np.random.default_rng(seed)))
        for number, (config, seed) in enumerate(zip(configs, seeds, strict=True))
    ]
    return make_trace_set(
        name,
        made,
        rtt_ms=np.array([config.rtt_ms for config in configs]),
        buffer_cap_s=np.array([config.buffer_cap_s for config in configs]),
    )


def space_traces(space: str, count: int, seed: int) -> TraceSet:
    """Uniform domain randomisation: every trace of a configuration of its own, drawn in ``space``."""
    configs = [
        sample_genet_config(np.random.default_rng([number, seed, 0, SPACE_STREAM]), space) for number in range(count)
    ]
    return traces_of(space, configs, [[number, seed, 1, SPACE_STREAM] for number in range(count)])


def widest_gap(gap: Callable[[TraceSet], float], space: str, seed: int, number: int) -> Found:
    """The configuration of ``space`` for which ``gap`` of its traces is largest, of ``TRIALS`` looked at.

    Bayesian optimisation with a Gaussian process (optuna), the first ten drawn; all from (seed, number). The traces
    of all trials come from the same random numbers.
    """
    import optuna  # takes a second, and playing a trained policy needs none of it

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.GPSampler(seed=(seed * 1009 + number) % 2**31, n_startup_trials=FIRST_TRIALS)
    study = optuna.create_study(direction="maximize", sampler=sampler)

    def trial_gap(trial: optuna.Trial) -> float:
        values = {
            name: trial.suggest_float(name, low, high, log=name == "max_bw_mbps")
            for name, (low, high) in GENET_SPACES[space].items()
        }
        config = GenetConfig(**values)
        seeds = [[i, seed, number, TRIAL_STREAM] for i in range(TRIAL_TRACES)]
        return gap(traces_of("trial", [config] * TRIAL_TRACES, seeds))

    study.optimize(trial_gap, n_trials=TRIALS)
    return Found(GenetConfig(**study.best_params), study.best_value)


class Randomised(Curriculum):
    """Uniform domain randomisation: traces of the whole space, beside real ones if there are any."""

    def __init__(self, mixture: Mixture, groups: int, seed: int, real: TraceSet | None = None):
        mixture.check()
        self.mixture, self.groups, self.seed = mixture, groups, seed
        self._real_groups = 0 if real is None else round(mixture.real_share * groups)
        if self._real_groups == groups:
            raise ValueError(f"real-share {mixture.real_share} leaves none of {groups} groups for generated traces")
        self._sets = [] if real is None else [real]
        self._real = 0 if real is None else len(real)
        self._sets.append(space_traces(mixture.space, mixture.pool, seed))
        self.found: list[Found] = []

    def traces(self) -> TraceSet:
        """All that may be played at present: real ones, the space's, those of configurations found."""
        return join_traces("mixture", self._sets) if len(self._sets) > 1 else self._sets[0]

    def weights(self) -> np.ndarray:
        """Probability of each part of the generated traces, float64 (1 + found,), the whole space first."""
        later = NEW_WEIGHT * (1 - NEW_WEIGHT) ** np.arange(len(self.found))[::-1]
        return np.append((1 - NEW_WEIGHT) ** len(self.found), later)

    def choose(self, rng: np.random.Generator) -> np.ndarray:
        real = rng.integers(self._real, size=self._real_groups) if self._real_groups else np.empty(0, dtype=np.int64)
        sizes = np.array([len(one) for one in self._sets[-1 - len(self.found) :]])
        first = self._real + np.cumsum(sizes) - sizes
        part = rng.choice(len(sizes), size=self.groups - self._real_groups, p=self.weights())
        return np.concatenate([real, first[part] + rng.integers(sizes[part])])


class Searched(Randomised):
    """Genet's curriculum: after a warm-up, rounds that add the configuration on which a rule is ahead the most.

    Arguments:
        gap: (network, configuration's traces) -> QoE per chunk by which the rule is better.
        mixture, groups, seed, real: as ``Randomised``.
    """

    def __init__(
        self,
        gap: Callable[[PensieveNet, TraceSet], float],
        mixture: Mixture,
        groups: int,
        seed: int,
        real: TraceSet | None = None,
    ):
        super().__init__(mixture, groups, seed, real)
        self._gap = gap

    def starts(self, iterations: int) -> list[int]:
        """First iteration of each round; ``ValueError``, one line, if the training has too few for them."""
        rounds = self.mixture.rounds
        first = max(1, round(self.mixture.warm_up * iterations))
        left = max(iterations - first, 0)
        if left < rounds:
            raise ValueError(
                f"{rounds} rounds need as many iterations after the warm-up, this training has {left}: give more "
                "steps or fewer rounds"
            )
        return [first + left * number // rounds for number in range(rounds)]

    def begin(self, learner: Learner) -> str:
        number = len(self.found)
        if learner.iteration < [*self.starts(learner.iterations), learner.iterations][number]:
            return ""
        net = learner.net()
        found = widest_gap(lambda traces: self._gap(net, traces), self.mixture.space, self.seed, number)
        self._add(found)
        learner.use(self.traces())
        return f"round {number + 1}: {found}"

    def state(self) -> dict[str, Any]:
        return {"found": [asdict(one) for one in self.found]}

    def restore(self, learner: Learner, state: dict[str, Any]) -> None:
        for one in state["found"]:
            self._add(Found(GenetConfig(**one["config"]), one["gap"]))
        learner.use(self.traces())

    def _add(self, found: Found) -> None:
        number = len(self.found)
        count = self.mixture.pool // 10
        seeds = [[i, self.seed, number, FOUND_STREAM] for i in range(count)]
        self._sets.append(traces_of(f"found-{number + 1}", [found.config] * count, seeds))
        self.found.append(found)


def rule_lead(rule: Policy, policy: type[TrainedActor], video: str) -> Callable[[PensieveNet, TraceSet], float]:
    """QoE per chunk by which ``rule`` is better than greedy decisions of a network, mean of the traces."""

    def lead(net: PensieveNet, traces: TraceSet) -> float:
        return mean(score(rule, traces, video)) - mean(score(policy.of(net), traces, video))

    return lead
