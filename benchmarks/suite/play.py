"""Score policies over the cells of a suite:

    field = prepare("TASK", "SUITE", split="valid", optima=Path("optima"))
    row = score(policy, field)
    row.suite_score, row.worst, row.cells[0].paired

Values of the floor are kept in the folder of the optima as they are needed; optima are made by ``make_optima``. Where
they are missing there are raw values and no score.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium as gym

from agents import statistics
from agents.policy import Policy, PolicyError, load_policy
from agents.rollout import Episode, EpisodeSpec, play
from benchmarks.suite.record import Batch, Cell, Suite
from benchmarks.suite.store import Values, default_folder
from benchmarks.tasks.registry import task_comparison
from benchmarks.tasks.setup import Metric, Setup, TaskComparison
from netenvs import tasks
from netenvs.errors import flat, typed
from netenvs.spec import unknown_name
from netenvs.tasks import Task

ROWS = 256
"""Episodes played at once."""
SAVE_EVERY_S = 10.0
"""Optima that a killed process has made and not saved took no longer than that, and one more."""
ALPHA = 1.0 - statistics.CONFIDENCE


@dataclass(frozen=True)
class Place:
    """A cell, and what is known of it before a policy plays there."""

    cell: Cell
    digests: tuple[str, ...]
    """Of its episodes."""
    floor: list[float]
    """Values of the episodes."""
    top: list[float] | None
    """None where the optimum of one is missing."""

    @property
    def gain(self) -> float | None:
        """Mean of the top minus mean of the floor."""
        return None if self.top is None else statistics.mean(self.top) - statistics.mean(self.floor)

    @property
    def counts(self) -> bool | None:
        """Whether there is enough to gain; None: nobody knows."""
        return None if self.gain is None else self.gain >= self.cell.least


@dataclass(frozen=True)
class Field:
    """A suite that can be played: what ``prepare`` found."""

    task: Task
    how: TaskComparison
    suite: Suite
    suite_name: str
    split: str
    seed: int
    batches: tuple[Batch, ...]
    setups: tuple[Setup, ...]
    """Of each batch."""
    places: tuple[Place, ...]
    """Of all cells, batch by batch."""
    optima: Path
    notes: tuple[str, ...]

    @property
    def metric(self) -> Metric:
        """The same in all cells."""
        return self.setups[0].metric

    @property
    def missing(self) -> int:
        """Cells without optima."""
        return sum(place.top is None for place in self.places)


@dataclass(frozen=True)
class CellScore:
    """What a policy reached in a cell."""

    place: Place
    scores: list[float] = field(default_factory=list)
    """The metric of each episode."""
    error: str | None = None
    """Why there are none."""
    paired: statistics.Difference | None = None
    """To the floor, episode by episode."""
    p: float | None = None
    """Of that difference, ``agents.statistics.p_value``."""
    p_holm: float | None = None
    """The same after Holm's correction over the cells of the policy."""

    @property
    def mean(self) -> float | None:
        """Of the metric."""
        return statistics.mean(self.scores) if self.scores else None

    @property
    def suite_score(self) -> float | None:
        """Share of the gain from floor to top; None where the cell does not count, or has no optima."""
        if not self.scores or not self.place.counts or self.place.top is None:
            return None
        return statistics.normalise(
            statistics.mean(self.scores), statistics.mean(self.place.floor), statistics.mean(self.place.top)
        )

    @property
    def below(self) -> bool:
        """Whether the whole 95 % interval of the difference to the floor is below 0, for a metric to be maximised."""
        return self.paired is not None and self.paired.ci95 is not None and self.paired.ci95[1] < 0

    @property
    def below_after_holm(self) -> bool:
        """The same with the wider interval that Holm's correction asks for."""
        return self.below and self.p_holm is not None and self.p_holm < ALPHA


@dataclass(frozen=True)
class Row:
    """What a policy reached in the suite."""

    policy: str
    privileged: bool
    assumption: str | None
    parameters: int | None
    bytes: int | None
    cells: tuple[CellScore, ...]
    wall_s: float

    @property
    def errors(self) -> list[str]:
        """Why it has no values in some cells, each cause once."""
        return list(dict.fromkeys(cell.error for cell in self.cells if cell.error))

    @property
    def suite_score(self) -> float | None:
        """Mean over the cells that count; None where one of them has no value."""
        counted = [cell for cell in self.cells if cell.place.counts is not False]
        scores = [cell.suite_score for cell in counted]
        known = [score for score in scores if score is not None]
        return statistics.mean(known) if known and len(known) == len(scores) else None

    @property
    def worst(self) -> CellScore | None:
        """The cell with the lowest suite score; None where there is no score of the whole."""
        if self.suite_score is None:
            return None
        return min(
            (cell for cell in self.cells if cell.suite_score is not None), key=lambda cell: cell.suite_score or 0
        )

    @property
    def label(self) -> str:
        """Its name with the marks that notes explain."""
        return self.policy + " *" * self.privileged + " \N{DAGGER}" * (self.assumption is not None)


def find_suite(task: str, name: str) -> Suite:
    """A suite of a task; ``ValueError``, one line, where there is none of that name."""
    suites = task_comparison(task).suites
    if not suites:
        raise ValueError(f"--suite {name}: {task} has no suites")
    if name not in suites:
        raise ValueError(f"--suite: {unknown_name('suite', name, suites)}")
    return suites[name]


def prepare(
    task: str,
    suite: str,
    split: str | None = None,
    episodes: int | None = None,
    full: bool = False,
    seed: int = 0,
    optima: Path | None = None,
    values_of_floor: bool = True,
) -> Field:
    """A suite with its data, the values of its floor, and those of its top where they have been made.

    Arguments:
        task: its name.
        suite: one of its suites.
        split: one of the suite's, by default the first.
        episodes: at most so many a set, by default the suite's limit.
        full: all of them.
        seed: number n of a data set is played with ``seed`` + n, as in a comparison of that set alone.
        optima: folder of the values, by default ``store.default_folder()``.
        values_of_floor: False leaves them out where they are not in that folder; ``make_optima`` needs none.

    Raises ``ValueError``, one line, for a name, split or number that is wrong, and for damaged data or values.
    """
    record = find_suite(task, suite)
    split = record.splits[0] if split is None else split
    if split not in record.splits:
        raise ValueError(f"--split: {unknown_name('split', split, record.splits)}")
    if full and episodes is not None:
        raise ValueError("--episodes and --full: give one of them")
    how, found = task_comparison(task), tasks.find(task)
    built = record.build(split, None if full else record.limit if episodes is None else episodes)
    folder = default_folder() if optima is None else optima
    floor = Values(folder, record.floor, record.code[record.floor])
    top = Values(folder, record.top, record.code[record.top])
    setups, places = [], []
    for batch in built.batches:
        env = _made(found, batch)
        setups.append(how.setup(env))
        digests = [tuple(record.digest(env.unwrapped, start) for start in cell.starts) for cell in batch.cells]
        env.close()
        if values_of_floor:
            _add_floor(found, record, batch, setups[-1], digests, floor, seed)
        for cell, of in zip(batch.cells, digests, strict=True):
            places.append(Place(cell, of, _known(floor, of) or [], _known(top, of)))
    return Field(
        task=found,
        how=how,
        suite=record,
        suite_name=suite,
        split=split,
        seed=seed,
        batches=built.batches,
        setups=tuple(setups),
        places=tuple(places),
        optima=folder,
        notes=built.notes,
    )


def check_policy(policy: Policy, field: Field) -> None:
    """``PolicyError``, one line, for a policy that refuses an environment of the suite."""
    for batch in field.batches:
        env = _made(field.task, batch)
        try:
            policy.check_environment(env)
        finally:
            env.close()


def score(policy: Policy, field: Field, on_episode: Callable[[Episode], None] | None = None) -> Row:
    """What a policy reaches in every cell. A failure is the ``error`` of the cells that were played together."""
    begun = time.perf_counter()
    found: list[CellScore] = []
    places = iter(field.places)
    for batch, setup in zip(field.batches, field.setups, strict=True):
        here = [next(places) for _ in batch.cells]
        try:
            values = _play(policy, field.task, batch, setup, field.seed, on_episode)
        except (Exception, SystemExit) as error:
            found += [CellScore(place, error=_one_line(policy, error)) for place in here]
            continue
        found += [_related(place, scores, field.suite) for place, scores in zip(here, values, strict=True)]
    return Row(
        policy=policy.name,
        privileged=policy.privileged,
        assumption=policy.assumption,
        parameters=policy.parameters,
        bytes=policy.bytes,
        cells=_corrected(found),
        wall_s=time.perf_counter() - begun,
    )


def make_optima(field: Field, on_value: Callable[[Place, int], Any] = lambda place, made: None) -> int:
    """Make the values of the top that are missing, and return how many those were.

    They are saved every few seconds: what is interrupted goes on where it was. ``on_value`` gets the cell, and how many
    values have been made so far, after each of them.
    """
    values = Values(field.optima, field.suite.top, field.suite.code[field.suite.top])
    policy = load_policy(field.suite.top, field.task.name)
    made = 0
    places = iter(field.places)
    for batch, setup in zip(field.batches, field.setups, strict=True):
        for cell in batch.cells:
            place = next(places)
            missing = [i for i, digest in enumerate(place.digests) if values.get(digest) is None]
            unsaved: dict[str, float] = {}
            saved = time.monotonic()
            try:
                for i, value in _one_by_one(policy, field, batch, setup, cell, missing):
                    unsaved[place.digests[i]] = value
                    made += 1
                    on_value(place, made)
                    if time.monotonic() - saved > SAVE_EVERY_S:
                        values.add(unsaved)
                        unsaved, saved = {}, time.monotonic()
            finally:
                if unsaved:
                    values.add(unsaved)
    return made


def _one_by_one(
    policy: Policy, field: Field, batch: Batch, setup: Setup, cell: Cell, wanted: Sequence[int]
) -> Iterator[tuple[int, float]]:
    """Values of some episodes of a cell, each as soon as it is there."""
    specs = _specs(cell, field.seed)
    for i in wanted:
        (episode,) = play(policy, field.task.default_id, [specs[i]], dict(batch.options), collect=setup.collect)
        yield i, setup.score(episode)


def _specs(cell: Cell, seed: int) -> list[EpisodeSpec]:
    return [
        EpisodeSpec(seed + number, seed + number, dict(start))
        for number, start in zip(cell.numbers, cell.starts, strict=True)
    ]


def _play(
    policy: Policy,
    task: Task,
    batch: Batch,
    setup: Setup,
    seed: int,
    on_episode: Callable[[Episode], None] | None = None,
) -> list[list[float]]:
    """The metric of each episode, by cell."""
    specs = [spec for cell in batch.cells for spec in _specs(cell, seed)]
    rows = min(len(specs), ROWS)
    options = dict(batch.options)
    played = play(policy, task.default_id, specs, options, rows, on_episode=on_episode, collect=setup.collect)
    values = iter([setup.score(episode) for episode in played])
    return [[next(values) for _ in cell.numbers] for cell in batch.cells]


def _add_floor(
    task: Task,
    suite: Suite,
    batch: Batch,
    setup: Setup,
    digests: Sequence[Sequence[str]],
    values: Values,
    seed: int,
) -> None:
    """Play the floor in a batch, unless all its values are there."""
    if all(values.get(digest) is not None for of in digests for digest in of):
        return
    played = _play(load_policy(suite.floor, task.name), task, batch, setup, seed)
    values.add({d: v for of, scores in zip(digests, played, strict=True) for d, v in zip(of, scores, strict=True)})


def _known(values: Values, digests: Sequence[str]) -> list[float] | None:
    """The values of some episodes; None where one is missing."""
    found = [value for digest in digests if (value := values.get(digest)) is not None]
    return found if len(found) == len(digests) else None


def _made(task: Task, batch: Batch) -> gym.Env:
    return gym.make(task.default_id, **batch.options)


def _related(place: Place, scores: list[float], suite: Suite) -> CellScore:
    """With the difference to the floor, and its p-value."""
    return CellScore(
        place,
        scores,
        paired=statistics.difference(scores, place.floor, to=suite.floor),
        p=statistics.p_value([ours - theirs for ours, theirs in zip(scores, place.floor, strict=True)]),
    )


def _corrected(cells: Sequence[CellScore]) -> tuple[CellScore, ...]:
    """With the p-values after Holm's correction over all cells that were played."""
    adjusted = iter(statistics.holm([cell.p for cell in cells if cell.p is not None]).tolist())
    return tuple(cell if cell.p is None else replace(cell, p_holm=next(adjusted)) for cell in cells)


def _one_line(policy: Policy, error: BaseException) -> str:
    return flat(error) if isinstance(error, PolicyError) else f"{policy.name}: {typed(error)}"
