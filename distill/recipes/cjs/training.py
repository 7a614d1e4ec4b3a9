"""What a sequence policy learns job scheduling from: a rule's decisions, then what came of others in trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.utils.seeding import np_random
from torch import Tensor, nn

from agents.cjs.clusters import Setting
from agents.cjs.rollout_expert import RolloutExpert, variants
from agents.cjs.rules.capped_srpt import CappedSRPT
from agents.ragged import concatenate, take
from agents.sequence.model import Sequences
from agents.sequence.net import MASKED, Steps, TaskNet
from agents.sequence.nets.cjs import CJSNet
from agents.sequence.policy import SequencePolicy
from agents.training.fit import descend, scheduled
from distill.pools.pool import Pool
from distill.recipe import StudentRecipe, TrainingRecipe
from distill.training.labelled_sequences import Labelled
from distill.training.phase import IMPROVE as LEARN
from distill.training.phase import OFFLINE, ON_POLICY, Phase
from distill.training.pool_sequences import labelled
from netenvs.cjs.engines import FastEngine, make_engine
from netenvs.cjs.options import CJSOptions
from netenvs.cjs.rules import Rule

IMITATE, GENTLE, IMPROVE = "imitate", "improve gently", "improve"
"""Phases: the decisions of ``capped-srpt`` wherever the policy gets to; what came of others in imagined futures."""
WEIGHTS = {GENTLE: 1.0, IMPROVE: 40.0}
"""Of a gain of one standard deviation, against a unit of log-probability of all that was judged."""
CONTEXT = 32
"""Decisions that the policy sees at once; episodes have hundreds to thousands."""
FIRST_SEED, FIRST_VALIDATION_SEED = 100_000, 2000
"""Of job sequences for training and for validation; results are played on seeds below 1,000."""
SEEDS_PER_TRAINING, SEEDS_PER_ITERATION = 1_000_000, 1000
SHARPEN = 2.0
"""Imitation fits logits divided by this, so that the policy which then plays is less random than what was fitted."""
WARM_UP_SEED, WARM_UP_RATE, WARM_UP_BATCH = 1, 3e-3, 256
"""Of ``initialise``: decisions of a step, and its highest learning rate."""
MOST = 11
"""Decisions that are compared in one state."""


@dataclass(frozen=True)
class Options:
    """The recipe's own options."""

    workload: str = "tpch"
    """Job templates, see docs/cjs_workloads.md."""
    improve: int = 4
    """Iterations of one-step rollouts on top of capped-srpt, which follow the imitation of it; 0: none."""
    samples: int = 4
    """Imagined futures of each decision in them."""
    judged: int = 40
    """Stretches of decisions that they judge in an iteration, about, for each size of clusters."""
    sizes: str = "10x20,50x50"
    """Executors of clusters x jobs of their episodes."""
    episodes: int = 32
    """Of each size in an iteration."""
    warm_up: int = 1200
    """Steps in which encoders and heads learn before the backbone does."""
    validation: int = 20
    """Episodes of each size in validation."""

    def __post_init__(self) -> None:
        if any(min(setting) < 1 for setting in self.settings):
            raise ValueError(f"sizes must be numbers from 1 up, such as 10x20,50x50, not {self.sizes!r}")
        if min(self.improve, self.warm_up) < 0:
            raise ValueError(f"improve and warm_up must be 0 or more, not {self.improve} and {self.warm_up}")
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
    found = [Phase(IMITATE, iterations=5, steps=120, keep=0, learning_rate=6e-4, warmup=50, last_rate=0.1)]
    if options.improve:
        number = min(2, options.improve)
        found.append(Phase(GENTLE, number, steps=25, keep=1, learning_rate=1e-4, warmup=5, last_rate=1.0))
    for done in range(2, options.improve):  # all but what the imitation has gathered is learned from
        found.append(Phase(IMPROVE, 1, steps=150, keep=done + 1, learning_rate=5e-4, warmup=10, last_rate=0.3))
    return tuple(found)


def initialise(net: TaskNet, options: Options, pools: Sequence[Pool] = ()) -> None:
    """Have the encoders and heads imitate the rule where it plays, while the backbone says nothing.

    A backbone needs small steps, with which sharp comparisons take long to learn; without one that is a minute's work.
    The heads listen to the backbone from the first step of the training on, to which it is nothing at first.
    """
    assert isinstance(net, CJSNet)
    source = JobSequences(net, [], 0, options)
    parts = []
    for number, setting in enumerate(options.settings):
        rng = np.random.default_rng([WARM_UP_SEED, number])
        seeds = FIRST_SEED - SEEDS_PER_ITERATION + np.arange(options.episodes)
        parts.append(_play(None, source._start(setting, seeds), net, rng, labels=True).imitation(net))
    data = Labelled.concatenate(parts)
    steps, action = data.sequences.steps, data.targets["action"]
    optimiser = torch.optim.AdamW(net.parameters(), WARM_UP_RATE)
    schedule = scheduled(
        optimiser, lambda step: WARM_UP_RATE * min(1.0, (step + 1) / 30) * (1 - 0.95 * step / max(1, options.warm_up))
    )
    rng = np.random.default_rng(WARM_UP_SEED)
    for _ in range(options.warm_up):
        rows = rng.integers(len(action), size=WARM_UP_BATCH)
        chosen = torch.from_numpy(action[rows]).to(net.device)
        before = data.sequences.previous[rows]
        memory = net.embed({name: take(column, rows) for name, column in steps.items()}, before, None).memory
        nothing = torch.zeros(len(rows), net.d_model, device=net.device)
        outputs = [net.logits(component, nothing, memory, chosen) for component in range(net.components)]
        descend(optimiser, _imitation_loss(outputs, chosen).mean(), clip_norm=1.0)
        schedule.step()
    optimiser.zero_grad()
    with torch.no_grad():
        for head in (net.stage_head, net.executor_head):
            head.hidden.weight.zero_()


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
    rule; what the policies in the pools decided is imitated beside it. ``GENTLE`` and ``IMPROVE``: all decisions of
    some stretches of ``CONTEXT`` are judged (``agents.cjs.rollout_expert``): what the policy did, what the rule would
    do, and what its variants would. The policy's probabilities then follow the job-seconds that each saves: gains are
    noisy, but they enter linearly, so that the noise averages out over states; it would not if the best were imitated.
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
                acting = None if iteration == 0 else policy
                played = _play(acting, self._start(setting, seeds), self.net, rng, labels=True)
                parts.append(played.imitation(self.net))
            else:
                seeds = np.arange(first, first + -(-self.options.episodes // 2))
                engine = self._start(setting, seeds, record_tasks=True)
                share = self.options.judged * CONTEXT / (DECISIONS_PER_JOB * setting.num_jobs * len(seeds))
                judge = Judge(engine, self.options.samples, share, rng)
                parts.append(_play(policy, engine, self.net, rng, judge=judge).judgements(self.net))
        return Labelled.concatenate([part.windows(CONTEXT) for part in parts])

    def loss(self, phase: Phase, outputs: list[Tensor], targets: dict[str, Tensor]) -> Tensor:
        """float32 (S,): minus the log-probability of the rule's decision, or minus the gain that is expected."""
        action = targets["action"]
        if phase.name == IMITATE:
            return _imitation_loss(outputs, action)
        weight = WEIGHTS[phase.name]
        stage, executors = (
            expected_gain(logits, targets[f"{name}_choice"], weight * targets[f"{name}_gain"])
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
            _play(policy, engine, self.net)
            figures[f"n{setting.num_executors}"] = 100 * (float(engine.outcomes["mean_jct_s"].mean()) / reference - 1)
        return {"valid": -float(np.mean(list(figures.values()))), **figures}

    def targets(self) -> list[float]:
        """None: it does not learn from returns to go."""
        return []

    def _start(self, setting: Setting, seeds: np.ndarray, record_tasks: bool = False) -> FastEngine:
        """Clusters at their first decision; row i is ``CJSEnv.reset(seed=seeds[i])``."""
        options = CJSOptions(
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


def _imitation_loss(outputs: Sequence[Tensor], action: Tensor) -> Tensor:
    """float32 (S,): minus the log-probability, flattened, of decisions int64 (S, 2)."""
    stage, executors = (
        nn.functional.cross_entropy(logits / SHARPEN, action[:, component], reduction="none")
        for component, logits in enumerate(outputs)
    )
    return stage + executors * (action[:, 0] > 0)


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
        self._judges[0] |= numbers[0] == 0 and live[0] == 0  # there is always one
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

    ``action`` is the rule's. Of each stage that was tried (``stage_choice``, int64 (S, MOST), and ``stage_gain``,
    float32) the gain is that of its first decision, and numbers of executors (``executors_...``) are those of the
    rule's stage: the best of several would look better than it is.
    """
    judged = candidates[:, :, 0] >= 0
    components = np.stack([net.from_env(candidates[:, i], steps) for i in range(MOST)], axis=1)
    gains = gains_s / max(float(gains_s[judged].std()) if judged.any() else 0.0, 1e-6)
    action = components[:, 0]
    targets: dict[str, np.ndarray] = {"action": action}
    usable = {"stage": judged, "executors": judged & (components[:, :, 0] == action[:, :1])}
    for component, (name, kept) in enumerate(usable.items()):
        choice = components[:, :, component]
        same = (choice[:, :, None] == choice[:, None, :]) & kept[:, None, :]
        first = kept & (same.argmax(axis=2) == np.arange(MOST))
        targets[f"{name}_choice"] = np.where(first, choice, -1)
        targets[f"{name}_gain"] = np.where(first, gains, 0.0).astype(np.float32)
    return targets


def _play(
    policy: SequencePolicy | None,
    engine: FastEngine,
    net: TaskNet,
    rng: np.random.Generator | None = None,
    labels: bool = False,
    judge: Judge | None = None,
) -> Played:
    """Play all rows to their ends, by the policy or, without one, by what it is to imitate.

    With ``rng``, which draws the policy's seeds, everything is kept that is learned from.
    """
    rows, rule = engine.rows, rule_of(engine.options.num_executors)
    if policy is not None:
        policy.reset_rows(np.arange(rows), [None] * rows if rng is None else rng.integers(2**32, size=rows).tolist())
    before, numbers = np.full((rows, 2), -1), np.zeros(rows, np.int64)
    parts: list[tuple[np.ndarray, ...]] = []
    steps: list[Steps] = []
    while True:
        live = np.flatnonzero(~(engine.outcomes["terminated"] | engine.outcomes["truncated"]))
        if not len(live):
            break
        seen = {name: part[live] for name, part in engine.observation._asdict().items()}
        infos: dict[str, Any] = {name: engine.outcomes[name][live] for name in ("jobs_done", "mean_jct_s")}
        infos |= {"row": live, "clusters": engine}
        wanted = engine.decide(rule)[live] if labels or policy is None else np.full((len(live), 2), -1)
        acted = wanted if policy is None else policy.act_batch(seen, infos)
        candidates, gains_s = np.full((len(live), MOST, 2), -1), np.zeros((len(live), MOST), np.float32)
        if judge is not None:
            candidates, gains_s = judge.judge(live, numbers[live], acted)
        if rng is not None:
            steps.append(net.observe(seen, infos))
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


TRAINING = TrainingRecipe(
    options=Options,
    source=JobSequences,
    phases=phases,
    describe=describe,
    net={"tokenisation": "fused"},
    context=CONTEXT,
    optimisation={"batch": 16, "average": 0.98, "clip": 1.0, "validate_every": 2},
    initialise=initialise,
    without_improvement={"improve": 0},
    student=StudentRecipe(
        phases=(
            Phase(OFFLINE, iterations=1, steps=180, keep=0, learning_rate=1e-3, warmup=50, last_rate=1.0),
            Phase(ON_POLICY, iterations=7, steps=180, keep=0, learning_rate=1e-3, last_rate=0.05),
            *(Phase(LEARN, 1, steps=100, keep=done + 1, learning_rate=3e-4, warmup=10) for done in range(3)),
        ),
        source_phases={OFFLINE: IMITATE, ON_POLICY: IMITATE, LEARN: IMPROVE},
        encoders={"small": {"hidden": 64}},
        beta=0.3,
    ),
)
