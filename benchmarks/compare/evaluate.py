"""Play policies on a task and turn episodes into rows; ``benchmarks.compare`` is the command around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym

from agents import statistics
from agents.errors import LeftOut
from agents.policy import Policy, PolicyError, load_policy
from agents.registry import Entry, registered
from agents.rollout import Episode, EpisodeSpec, begin_episode, environment_options, made_for, play
from benchmarks import formats
from benchmarks.tasks.setup import Metric, Setup, TaskComparison
from netenvs.errors import flat, typed
from netenvs.spec import parse_spec
from netenvs.tasks import Items, Task

EPISODES = 10
WARM_UP_DECISIONS = 20
TIMED_DECISIONS = 200


@dataclass(frozen=True)
class Contender:
    """A policy that takes part."""

    policy: Policy
    entry: Entry | None
    """Its entry in the registry, None for a file, module or checkpoint."""

    @property
    def baseline(self) -> bool:
        """Whether others may be compared with it."""
        return self.entry is not None and self.entry.baseline and not self.policy.privileged


@dataclass
class Row:
    """Results of one policy; ``benchmarks.compare.columns`` says what is shown of them."""

    policy: str
    player: Policy | None = None
    """The policy itself, which plays the example's episode again."""
    privileged: bool = False
    assumption: str | None = None
    """What it needs besides what every policy of the task sees."""
    baseline: bool = False
    registered: bool = False
    parameters: int | None = None
    bytes: int | None = None
    episodes: list[Episode] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    """The metric of each episode, in order."""
    mean: float | None = None
    ci95: tuple[float, float] | None = None
    terms: dict[str, float] = field(default_factory=dict)
    skill: float | None = None
    decision_ms: dict[str, float] | None = None
    error: str | None = None
    normalised: float | None = None
    paired: statistics.Difference | None = None

    @property
    def label(self) -> str:
        """Its name with the marks that the notes of the table explain."""
        return self.policy + " *" * self.privileged + " \N{DAGGER}" * (self.assumption is not None)

    @property
    def value(self) -> float:
        """The mean of a row that has results."""
        assert self.mean is not None
        return self.mean


@dataclass
class Comparison:
    """Everything that a table, a plot or a report shows."""

    task: Task
    how: TaskComparison
    setup: Setup
    rows: list[Row]
    """Best first; failed ones last."""
    settings: dict[str, Any]
    versions: dict[str, str | None]

    @property
    def metric(self) -> Metric:
        """The number that rows are ranked by."""
        return self.setup.metric

    @property
    def title(self) -> str:
        """Of the task, with a capital letter."""
        return self.task.title[:1].upper() + self.task.title[1:]

    @property
    def good_rows(self) -> list[Row]:
        """The rows that have results."""
        return [row for row in self.rows if row.error is None]

    @property
    def sample(self) -> str:
        """What was played, for people: ``1,698 windows``."""
        return formats.plural(self.settings["episodes"], self.how.noun)

    @property
    def drawn(self) -> str:
        """What the bootstrap draws, for people: ``126 viewer-video pairs``."""
        groups = self.settings["groups"]
        return self.sample if groups is None else formats.plural(groups["count"], groups["what"])

    @property
    def assumptions(self) -> list[str]:
        """What some policies need besides what every policy sees."""
        return list(dict.fromkeys(row.assumption for row in self.rows if row.assumption is not None))

    @property
    def reference(self) -> str | None:
        """Name of the policy that the others are compared with."""
        return next((row.paired.to for row in self.rows if row.paired), None)

    @property
    def reference_is_fixed(self) -> bool:
        """Whether that is the task's own reference; if not, it is the best baseline."""
        return self.reference is not None and self.reference == self.how.reference

    @property
    def is_normalised(self) -> bool:
        """Whether the policies took part that normalised scores are measured by."""
        return any(row.normalised is not None for row in self.rows)

    @property
    def in_percent(self) -> bool:
        """Whether the differences are known in percent, too."""
        return any(row.paired and row.paired.percent is not None for row in self.rows)


def default_policies(task: Task) -> list[str]:
    """Names of the registered policies that need no extra file."""
    return [name for name, entry in registered(task.name).items() if entry.dataset is None]


def load_contenders(task: Task, specs: Sequence[str], options: Mapping[str, Any]) -> list[Contender]:
    """Load every policy; ``PolicyError``, one line, for the first that cannot be had or has a name twice."""
    entries = registered(task.name)
    contenders: dict[str, Contender] = {}
    for spec in specs:
        policy = load_policy(spec, task.name)
        name, _, given = spec.partition("(")
        if given and name.strip() not in entries and "(" not in policy.name:
            policy.name += f"({given.replace(' ', '')}"  # registered ones carry their options in the name already
        if policy.name in contenders:
            raise PolicyError(f"two policies are called {policy.name!r}; each row needs its own name")
        environment_options(policy, dict(options))
        contenders[policy.name] = Contender(policy, entries.get(parse_spec(spec)[0]))
    return list(contenders.values())


def taking_part(contenders: Sequence[Contender], env: gym.Env) -> tuple[list[Contender], list[str]]:
    """Those that play in an environment, and a line for each that is left out; ``PolicyError`` for one that cannot."""
    playing, lines = [], []
    for contender in contenders:
        try:
            contender.policy.check_environment(env)
        except LeftOut as error:
            lines.append(str(error))
        else:
            playing.append(contender)
    return playing, lines


def episodes_of(items: Items | None, number: int | None, seed: int, what: str) -> list[EpisodeSpec]:
    """The episodes that all policies play, with the seeds ``seed``, ``seed`` + 1, ...

    Arguments:
        items: those that the environment lets one choose, each of which is played once; None: every seed is another.
        number: of episodes; None: as many as the items say, else ``EPISODES``.
        what: the items' name, for the ``ValueError`` of one line if there are fewer of them.
    """
    if number is None:
        number = EPISODES if items is None else items.default
    if items is not None and number > items.different:
        raise ValueError(f"--episodes {number}: {what} has {items.different}")
    return [EpisodeSpec(seed + n, seed + n, {} if items is None else items.options(n)) for n in range(number)]


def play_contender(
    task: Task,
    how: TaskComparison,
    setup: Setup,
    contender: Contender,
    episodes: Sequence[EpisodeSpec],
    options: Mapping[str, Any],
    on_episode: Callable[[Episode], None] | None = None,
) -> Row:
    """Score a policy over ``episodes``, then time its decisions; a failure becomes the row's ``error``."""
    policy = contender.policy
    row = Row(
        policy=policy.name,
        player=policy,
        privileged=policy.privileged,
        assumption=policy.assumption,
        baseline=contender.baseline,
        registered=contender.entry is not None,
        parameters=policy.parameters,
        bytes=policy.bytes,
    )
    try:
        played = play(policy, task.default_id, episodes, dict(options), on_episode=on_episode, collect=setup.collect)
        decision_ms = None if policy.recorded else time_decisions(policy, task.default_id, episodes, options)
    except (Exception, SystemExit) as error:
        row.error = _one_line(policy, error)
        return row
    scores = [setup.score(episode) for episode in played]
    terms = [setup.term_values(episode) for episode in played]
    row.episodes, row.scores = played, scores
    row.mean = statistics.mean(scores)
    row.ci95 = statistics.interval(scores, groups_of(setup, played))
    row.terms = {term.name: statistics.mean([values[term.name] for values in terms]) for term in setup.terms}
    row.skill = how.skill(played) if how.skill else None
    row.decision_ms = None if decision_ms is None else statistics.percentiles(decision_ms)
    return row


def interquartile_mean(row: Row) -> float | None:
    """Of a row's scores; None where there are none."""
    return statistics.interquartile_mean(row.scores) if row.scores else None


def groups_of(setup: Setup, episodes: Sequence[Episode]) -> list[Hashable] | None:
    """The group of each episode, where the task has groups."""
    return None if setup.groups is None else [setup.groups.key(episode) for episode in episodes]


def count_groups(setup: Setup, rows: Sequence[Row]) -> dict[str, Any] | None:
    """What the groups are and how many there are, ``{"what": ..., "count": ...}``; None where there are none."""
    if setup.groups is None:
        return None
    played = next((row.episodes for row in rows if row.error is None), [])
    return {"what": setup.groups.noun, "count": len({setup.groups.key(episode) for episode in played})}


def time_decisions(
    policy: Policy, env_id: str, episodes: Sequence[EpisodeSpec], options: Mapping[str, Any]
) -> list[float]:
    """Wall time in ms of single ``act`` calls, one episode at a time, after ``WARM_UP_DECISIONS`` of them."""
    env = made_for(policy, gym.make, env_id, dict(options))
    times: list[float] = []
    wanted = WARM_UP_DECISIONS + TIMED_DECISIONS
    number = 0
    try:
        while len(times) < wanted:
            spec = episodes[number % len(episodes)]
            observation, info = begin_episode(policy, env, spec, number)
            over = False
            while not over and len(times) < wanted:
                begin = time.perf_counter_ns()
                action = policy.act(observation, info)
                times.append((time.perf_counter_ns() - begin) / 1e6)
                observation, _, terminated, truncated, info = env.step(action)
                over = terminated or truncated
            if over:
                policy.finish(observation, info)
            number += 1
    finally:
        env.close()
    return times[WARM_UP_DECISIONS:]


def relate(how: TaskComparison, setup: Setup, rows: Sequence[Row]) -> list[Row]:
    """Fill in normalised scores and paired differences, which need other rows; return all, best first."""
    good = [row for row in rows if row.error is None]
    good.sort(key=lambda row: setup.metric.best_first(row.value))
    by_name = {row.policy: row for row in good if row.registered}
    if how.anchors and all(name in by_name for name in how.anchors):
        zero, one = (by_name[name].value for name in how.anchors)
        for row in good:
            row.normalised = statistics.normalise(row.value, zero, one)
    best = next((row for row in good if row.baseline), None)
    reference = by_name.get(how.reference, best) if how.reference else best
    for row in good:
        if reference is not None and row is not reference:
            row.paired = statistics.difference(
                row.scores,
                reference.scores,
                to=reference.policy,
                percent=setup.metric.ratio_scale,
                groups=groups_of(setup, row.episodes),
            )
    return [*good, *(row for row in rows if row.error is not None)]


def _one_line(policy: Policy, error: BaseException) -> str:
    return flat(error) if isinstance(error, PolicyError) else f"{policy.name}: {typed(error)}"
