"""What a sequence policy learns job scheduling from: a rule's decisions, then what came of others in trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from gymnasium.utils.seeding import np_random
from torch import Tensor, nn

from agents.cjs.capped_srpt import CappedSRPT
from agents.cjs.decima_rollout import Setting
from agents.cjs.rollout_expert import RolloutExpert, variants
from agents.ragged import concatenate, take
from agents.sequence.model import Sequences
from agents.sequence.policy import SequencePolicy
from agents.sequence.task import MASKED, Steps, TaskNet
from distill.from_pool import labelled
from distill.labelled import Labelled
from distill.pool import Pool
from distill.source import Phase
from netenvs.cjs.engines import ClusterOptions, FastEngine, make_engine
from netenvs.cjs.rules import Rule

IMITATE, IMPROVE = "imitate", "improve"
"""Phases: the decisions of ``capped-srpt`` wherever the policy gets to; what came of others in imagined futures."""
NET: dict[str, Any] = {"tokenisation": "fused"}
CONTEXT = 32
"""Decisions that the policy sees at once; episodes have hundreds to thousands."""
OPTIMISATION: dict[str, Any] = {"batch": 16, "average": 0.98, "clip": 1.0, "validate_every": 2}
FIRST_SEED, FIRST_VALIDATION_SEED = 100_000, 2000
"""Of job sequences for training and for validation; results are played on seeds below 1,000."""
SEEDS_PER_TRAINING, SEEDS_PER_ITERATION = 1_000_000, 1000
SHARPEN = 2.0
"""Imitation fits logits divided by this, so that the policy which then plays is less random than what was fitted."""
MOST = 11
"""Decisions that are compared in one state."""


@dataclass(frozen=True)
class Options:
    """The recipe's own options."""

    workload: str = "tpch"
    """Job templates, see docs/cjs_workloads.md."""
    improve: int = 12
    """Iterations of one-step rollouts on top of capped-srpt, which follow the imitation of it; 0: none."""
    samples: int = 8
    """Imagined futures of each decision in them."""
    judged: int = 20
    """Stretches of decisions that they judge in an iteration, about, for each size of clusters."""
    sizes: str = "10x20,50x50"
    """Executors of clusters x jobs of their episodes."""
    episodes: int = 32
    """Of each size in an iteration."""
    validation: int = 20
    """Episodes of each size in validation."""

    def __post_init__(self) -> None:
        if any(min(setting) < 1 for setting in self.settings):
            raise ValueError(f"sizes must be numbers from 1 up, such as 10x20,50x50, not {self.sizes!r}")
        if self.improve < 0:
            raise ValueError(f"improve must be 0 or more, not {self.improve}")
        for name in ("judged", "samples", "episodes", "validation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")

    @property
    def settings(self) -> list[Setting]:
        """The sizes of clusters and episodes; ``ValueError`` where ``sizes`` does not say any."""
        try:
            return [Setting(*map(int, size.split("x"))) for size in self.sizes.split(",")]
        except (ValueError, TypeError):
            raise ValueError(f"sizes must be like 10x20,50x50, executors x jobs, not {self.sizes!r}") from None


def phases(options: Options, pools: Sequence[Pool]) -> tuple[Phase, ...]:
    """What a training consists of."""
    found = [Phase(IMITATE, iterations=6, steps=150, keep=0, learning_rate=6e-4, warmup=50, last_rate=0.05)]
    for done in range(0, options.improve, 2):  # none of them learns from what the imitation has gathered
        number, rate = min(2, options.improve - done), 1e-4 * (1 - 0.9 * done / options.improve)
        found.append(Phase(IMPROVE, number, steps=40, keep=done + 1, learning_rate=rate, warmup=10, last_rate=1.0))
    return tuple(found)


def make_source(net: TaskNet, pools: Sequence[Pool], seed: int, options: Options) -> JobSequences:
    """The ``Source`` of a training."""
    return JobSequences(net, pools, seed, options)


def describe(options: Options, pools: Sequence[Pool]) -> str:
    """A sentence or two on the data, for the card."""
    sizes = " and ".join(f"{jobs} jobs on {executors} executors" for executors, jobs in options.settings)
    then = " and by one-step rollouts on top of it" if options.improve else ""
    more = f" Besides, it imitated what is in {len(pools)} pools." if pools else ""
    return (
        f"It played job sequences of `{options.workload}` ({sizes}; seeds from {FIRST_SEED} on), labelled by "
        f"`capped-srpt`{then}; weights chosen on {options.validation} job sequences of each size (seeds from "
        f"{FIRST_VALIDATION_SEED} on), by the mean JCT against capped-srpt.{more}"
    )


class JobSequences:
    """Episodes of clusters of several sizes, played by the policy in training; a ``Source``.

    ``IMITATE``: in the first iteration ``capped-srpt`` plays, then the policy, and every decision is labelled by the
    rule; what the policies in the pools decided is imitated beside it. ``IMPROVE``: of stretches of ``CONTEXT``
    decisions all are judged (``agents.cjs.rollout_expert``): what the policy did, the rule's decision, and those of its
    variants. The policy's probabilities then follow the job-seconds that each saves: gains are noisy, but they enter
    linearly, so that the noise averages out over states, which it would not if the best of them were imitated.
    """

    def __init__(self, net: TaskNet, pools: Sequence[Pool], seed: int, options: Options):
        self.net, self.pools, self.seed, self.options = net, pools, seed, options
        self._reference: list[float] | None = None

    def gather(self, phase: Phase, iteration: int, policy: SequencePolicy) -> Labelled | None:
        """See ``Source``."""
        parts = []
        if self.pools and iteration == 0:
            parts.append(labelled(self.pools, self.net))
        first = FIRST_SEED + SEEDS_PER_TRAINING * self.seed + SEEDS_PER_ITERATION * iteration
        for number, setting in enumerate(self.options.settings):
            rng = np.random.default_rng([self.seed, iteration, number])
            if phase.name == IMITATE:
                seeds = np.arange(first, first + self.options.episodes)
                played = _play(policy, self._start(setting, seeds), rng, labels=True, rule_acts=iteration == 0)
                parts.append(played.imitation(self.net))
            else:
                seeds = np.arange(first, first + -(-self.options.episodes // 2))
                engine = self._start(setting, seeds, record_tasks=True)
                share = self.options.judged * CONTEXT / (DECISIONS_PER_JOB * setting.num_jobs * len(seeds))
                judge = Judge(engine, self.options.samples, share, rng)
                parts.append(_play(policy, engine, rng, judge=judge).judgements(self.net))
        return Labelled.concatenate([part.windows(CONTEXT) for part in parts])

    def loss(self, phase: Phase, outputs: list[Tensor], targets: dict[str, Tensor]) -> Tensor:
        """float32 (S,): minus the log-probability of the rule's decision, or minus the gain that is expected."""
        action = targets["action"]
        if phase.name == IMITATE:
            log_prob = [
                -nn.functional.cross_entropy(logits / SHARPEN, action[:, component], reduction="none")
                for component, logits in enumerate(outputs)
            ]
            return -log_prob[0] - log_prob[1] * (action[:, 0] > 0)
        stage, executors = (
            expected_gain(logits, targets[f"{name}_choice"], targets[f"{name}_gain"])
            for name, logits in zip(("stage", "executors"), outputs, strict=True)
        )
        return -stage - executors * (action[:, 0] > 0)

    def validate(self, policy: SequencePolicy) -> dict[str, float]:
        """How much longer jobs take than under ``capped-srpt``, in percent; ``valid`` is minus the mean over sizes."""
        seeds = FIRST_VALIDATION_SEED + np.arange(self.options.validation)
        if self._reference is None:
            self._reference = [self._rule_jct_s(setting, seeds) for setting in self.options.settings]
        figures = {}
        for setting, reference in zip(self.options.settings, self._reference, strict=True):
            engine = self._start(setting, seeds)
            _play(policy, engine)
            figures[f"n{setting.num_executors}"] = 100 * (float(engine.outcomes["mean_jct_s"].mean()) / reference - 1)
        return {"valid": -float(np.mean(list(figures.values()))), **figures}

    def targets(self) -> list[float]:
        """None: it does not learn from returns to go."""
        return []

    def _start(self, setting: Setting, seeds: np.ndarray, record_tasks: bool = False) -> FastEngine:
        """Clusters at their first decision; row i is ``CJSEnv.reset(seed=seeds[i])``."""
        options = ClusterOptions(
            workload=self.options.workload,
            num_executors=setting.num_executors,
            num_jobs=setting.num_jobs,
            max_jobs=setting.num_jobs,
        )
        engine = make_engine(options, len(seeds), record_tasks)
        assert isinstance(engine, FastEngine)
        for row, seed in enumerate(seeds.tolist()):
            engine.seed_row(row, seed, np_random(seed)[0])
        engine.begin(np.ones(len(seeds), np.bool_))
        return engine

    def _rule_jct_s(self, setting: Setting, seeds: np.ndarray) -> float:
        engine = self._start(setting, seeds)
        while not engine.outcomes["terminated"].all():
            engine.step(engine.decide(CappedSRPT().rule(setting.num_executors)), False)
        return float(engine.outcomes["mean_jct_s"].mean())


def expected_gain(logits: Tensor, choices: Tensor, gains: Tensor) -> Tensor:
    """float32 (S,): mean of ``gains`` under the probabilities of ``choices``, plus the log of their total probability.

    ``logits`` is (S, n); ``choices`` int64 (S, k), -1 where there are fewer; ``gains`` float32 (S, k). The second part
    leaves no probability to choices that nobody has judged; it is all there is where one choice was judged.
    """
    judged = choices >= 0
    log_prob = logits.log_softmax(dim=1).gather(1, choices.clamp(min=0)).masked_fill(~judged, MASKED)
    total = log_prob.logsumexp(dim=1)
    share = (log_prob - total[:, None]).exp()
    return (share * gains).sum(dim=1) + total


def rule_of(num_executors: int) -> Rule:
    """What is imitated: ``capped-srpt`` with the longest path first inside a job, in place of the first stage.

    That is as good (mean JCT within 0.2 % on 200 seeds of both sizes), and does not depend on how stages are numbered.
    """
    return CappedSRPT().rule(num_executors)._replace(longest_path_first=True)


DECISIONS_PER_JOB = 20
"""Roughly: 17 with 10 executors, 25 with 50."""


class Judge:
    """Judges all decisions of some stretches of ``CONTEXT`` decisions in the rows of an engine."""

    def __init__(self, engine: FastEngine, samples: int, share: float, rng: np.random.Generator):
        self.engine, self.share, self._rng = engine, share, rng
        self.rule = rule_of(engine.options.num_executors)
        self._expert = RolloutExpert(engine, self.rule, samples, seed=int(rng.integers(2**63)))
        self._variants = variants(self.rule)
        self._judges = np.zeros(engine.rows, np.bool_)

    def judge(self, live: np.ndarray, numbers: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decisions, int64 (k, MOST, 2), and the job-seconds that each saves against the rule's, float32 (k, MOST).

        ``numbers`` and ``actions`` are the numbers of the decisions of the rows ``live``, (k,), and what is done there.
        All -1 in rows that are not judged.
        """
        begins = live[numbers % CONTEXT == 0]
        self._judges[begins] = self._rng.random(len(begins)) < self.share
        candidates = np.full((len(live), MOST, 2), -1)
        gains_s = np.zeros((len(live), MOST), np.float32)
        judged = np.flatnonzero(self._judges[live])
        if len(judged):
            rules = [self.engine.decide(rule)[live] for rule in (self.rule, *self._variants)]
            for place in judged.tolist():
                found = self._expert.judge(int(live[place]), [*(actions[place] for actions in rules), actions[place]])
                count = len(found.actions)
                candidates[place, :count] = found.actions
                gains_s[place, :count] = (found.costs_s[0] - found.costs_s).mean(axis=1)
        return candidates, gains_s


class Played(NamedTuple):
    """d decisions of several episodes, episode by episode."""

    steps: Steps
    lengths: np.ndarray
    """int64 (episodes,)."""
    previous: np.ndarray
    """int64 (d, 2), as all decisions here those of the environment."""
    labels: np.ndarray
    """int64 (d, 2): what ``capped-srpt`` would do."""
    candidates: np.ndarray
    """int64 (d, MOST, 2), see ``Judge.judge``."""
    gains_s: np.ndarray

    def _sequences(self) -> Sequences:
        begins = np.repeat(np.cumsum(self.lengths) - self.lengths, self.lengths)
        return Sequences(self.steps, self.lengths, self.previous, np.arange(len(begins)) - begins)

    def imitation(self, net: TaskNet) -> Labelled:
        """All decisions, to be made as the rule would."""
        return Labelled(self._sequences(), {"action": net.from_env(self.labels, self.steps)})

    def judgements(self, net: TaskNet) -> Labelled:
        """The stretches that were judged; see ``judged_targets``."""
        targets = judged_targets(net, self.steps, self.candidates, self.gains_s)
        windows = Labelled(self._sequences(), targets).windows(CONTEXT)
        begins = np.cumsum(windows.sequences.lengths) - windows.sequences.lengths
        return windows.take(np.flatnonzero(self.candidates[begins, 0, 0] >= 0))


def judged_targets(net: TaskNet, steps: Steps, candidates: np.ndarray, gains_s: np.ndarray) -> dict[str, np.ndarray]:
    """What ``expected_gain`` needs of the decisions judged, (S, MOST, 2) of the environment, in units of their spread.

    ``action`` is the best one. Of each stage (``stage_choice``, int64 (S, MOST), and ``stage_gain``, float32) the gain
    is that of the best number of executors tried; numbers of executors (``executors_...``) are those of the best stage.
    """
    judged = candidates[:, :, 0] >= 0
    components = np.stack([net.from_env(candidates[:, i], steps) for i in range(MOST)], axis=1)
    gains = np.where(judged, gains_s / max(float(gains_s[judged].std()) if judged.any() else 0.0, 1e-6), -np.inf)
    rows = np.arange(len(gains))
    action = components[rows, gains.argmax(axis=1)]
    targets: dict[str, np.ndarray] = {"action": action}
    usable = {"stage": judged, "executors": judged & (components[:, :, 0] == action[:, :1])}
    for component, (name, kept) in enumerate(usable.items()):
        choice = components[:, :, component]
        same = (choice[:, :, None] == choice[:, None, :]) & kept[:, None, :]
        best = np.where(same, gains[:, None, :], -np.inf).max(axis=2)  # of those with the same choice
        first = kept & (same.argmax(axis=2) == np.arange(MOST))
        targets[f"{name}_choice"] = np.where(first, choice, -1)
        targets[f"{name}_gain"] = np.where(first, best, 0.0).astype(np.float32)
    return targets


def _play(
    policy: SequencePolicy,
    engine: FastEngine,
    rng: np.random.Generator | None = None,
    labels: bool = False,
    rule_acts: bool = False,
    judge: Judge | None = None,
) -> Played:
    """Play all rows to their ends, by the policy or by what it imitates.

    With ``rng``, which draws the policy's seeds, everything is kept that is learned from.
    """
    rows, rule = engine.rows, rule_of(engine.options.num_executors)
    policy.reset_rows(np.arange(rows), [None] * rows if rng is None else rng.integers(2**32, size=rows).tolist())
    net, before, numbers = policy.model.task, np.full((rows, 2), -1), np.zeros(rows, np.int64)
    parts: list[tuple[np.ndarray, ...]] = []
    steps: list[Steps] = []
    while True:
        live = np.flatnonzero(~(engine.outcomes["terminated"] | engine.outcomes["truncated"]))
        if not len(live):
            break
        seen = {name: part[live] for name, part in engine.observation._asdict().items()}
        wanted = engine.decide(rule)[live] if labels or rule_acts else np.full((len(live), 2), -1)
        acted = wanted if rule_acts else policy.act_batch(seen, {"row": live})
        candidates, gains_s = np.full((len(live), MOST, 2), -1), np.zeros((len(live), MOST), np.float32)
        if judge is not None:
            candidates, gains_s = judge.judge(live, numbers[live], acted)
        if rng is not None:
            steps.append(net.observe(seen, {}))
            parts.append((live, before[live], wanted, candidates, gains_s))
        actions = np.zeros((rows, 2), np.int64)
        actions[live] = acted
        engine.step(actions, False)
        before = actions
        numbers[live] += 1
    if rng is None:
        return Played({}, numbers, *(np.zeros((0, 2), np.int64),) * 4)
    order = np.argsort(np.concatenate([part[0] for part in parts]), kind="stable")
    columns = {name: take(concatenate([part[name] for part in steps]), order) for name in steps[0]}
    return Played(columns, numbers, *(np.concatenate([part[i] for part in parts])[order] for i in range(1, 5)))
