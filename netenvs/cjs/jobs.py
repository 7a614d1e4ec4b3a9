"""Job templates: directed acyclic graphs of stages with measured task durations, packed into flat arrays.

A reader or a generator describes its jobs as :class:`Job` and :class:`Stage`; :func:`make_job_set` checks
them and packs them into one :class:`JobSet`, which is what the engines run on.

How long a task takes depends on its *wave* and on the *executor level*. Waves: ``fresh`` tasks are the first
of an executor in a job, ``first`` the first of an executor in a stage, ``rest`` all others. The level is the
number of executors that work for the job; samples exist at some levels only, so the engines round to one of
``LEVELS``.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from netenvs.records import put_array, put_offsets, refuse_field

if TYPE_CHECKING:
    import networkx as nx

    from netenvs.readers.reading import Reading

WAVES = ("fresh", "first", "rest")
FRESH, FIRST, REST = range(3)
LEVELS = (5, 10, 20, 40, 50, 60, 80, 100)
"""The executor levels that an engine asks for, and column 0-7 of the cell tables."""
LARGEST = len(LEVELS)
"""Column of the cell tables for the largest level that a stage was measured at."""
COLUMNS = len(LEVELS) + 1
MAX_TASKS = 2**31 - 1
MAX_DURATION_MS = 2**31 - 1  # about 24.8 days

Durations = Mapping[int, Sequence[float] | np.ndarray]
"""Executor level -> task durations in ms."""


@dataclass(frozen=True)
class Stage:
    """One stage of a job as a reader found it. Levels of ``first`` are the levels that exist."""

    num_tasks: int
    """Number of identical tasks, 1 or more."""
    first: Durations
    """First task of an executor in this stage; may be empty at a level where ``fresh`` is not."""
    rest: Durations = field(default_factory=dict)
    """Later tasks of an executor; where there are none, ``first`` is drawn from."""
    fresh: Durations = field(default_factory=dict)
    """First task of an executor in the job; where there are none, it is ``first`` plus the warm-up delay."""
    parents: tuple[int, ...] = ()
    """Positions, in the job, of the stages that must be complete before this one starts."""


@dataclass(frozen=True)
class Job:
    """One job as a reader found it."""

    name: str
    stages: Sequence[Stage]
    arrival_ms: float | None = None
    """When it was submitted, counted from anywhere; None where that is not known."""
    source: str = ""
    """The file that it is of, where there are several."""
    application: str = ""
    """Whose job it is; empty where that is not known."""


@dataclass(frozen=True, eq=False, repr=False)
class JobSet:
    """All job templates of a workload, packed; every array is read-only.

    Stages are numbered through all templates ("global" stage numbers), and inside a template so that parents
    have smaller numbers than their children.
    """

    name: str
    names: tuple[str, ...]
    """One name per template."""
    stage_offset: np.ndarray
    """int64 (templates + 1,): the stages of template i are ``[stage_offset[i], stage_offset[i + 1])``."""
    num_tasks: np.ndarray
    """int32 (stages,), 1 or more."""
    rough_ms: np.ndarray
    """float64 (stages,): mean of all samples at all levels; what is "known" before a task has run."""
    parent_offset: np.ndarray
    """int64 (stages + 1,): the parents of stage s are ``parents[parent_offset[s]:parent_offset[s + 1]]``."""
    parents: np.ndarray
    """int32 (edges,), global stage numbers, ascending for each stage."""
    child_offset: np.ndarray
    """int64 (stages + 1,), the same for children."""
    children: np.ndarray
    """int32 (edges,), global stage numbers, ascending for each stage."""
    durations_ms: np.ndarray
    """int32 (samples,), ms, whole and not negative. Lists of samples, in their original order, end to end."""
    cell_start: np.ndarray
    """int64 (stages, 3 waves, 9 columns): where the list of a (stage, wave, column) starts in ``durations_ms``.

    Column c < 8 is level ``LEVELS[c]``, or the largest level of the stage where it was not measured at
    ``LEVELS[c]``; column 8 (``LARGEST``) is always the largest level. An empty ``first`` list has been
    replaced by that of the next lower level. ``fresh`` or ``first`` (or both) has samples in every column.
    """
    cell_count: np.ndarray
    """int32 (stages, 3 waves, 9 columns): length of that list, 0 where there are no samples."""
    arrival_ms: np.ndarray | None = None
    """float64 (templates,): when each job was submitted, from 0 for the first; None where that is not known."""

    def __post_init__(self) -> None:
        """Raises ``ValueError``, one line: kernels read what is here without a look."""
        stages, edges = len(np.atleast_1d(self.num_tasks)), len(np.atleast_1d(self.parents))
        offset = put_offsets(self, "stage_offset", len(self.names), stages)
        put_array(self, "num_tasks", np.int32, (stages,), 1)
        put_array(self, "rough_ms", np.float64, (stages,), 0)
        child, parent = self._edges("parent_offset", "parents", edges)
        if np.any((parent >= child) | (parent < np.repeat(offset[:-1], np.diff(offset))[child])):
            refuse_field(self, "parents", "they must come before their children, in the same template")
        above, below = self._edges("child_offset", "children", edges)
        if not np.array_equal(np.sort(below * stages + above), child * stages + parent):
            refuse_field(self, "children", "they must be those that have the stage among their parents")
        self._check_samples(stages)
        if self.arrival_ms is not None:
            put_array(self, "arrival_ms", np.float64, (len(self.names),), 0)

    def _edges(self, offset: str, ends: str, edges: int) -> tuple[np.ndarray, np.ndarray]:
        """int64 (edges,) each: the stage that an entry of ``parents`` or ``children`` is of, and the entry."""
        stages = len(self.num_tasks)
        own = np.repeat(np.arange(stages), np.diff(put_offsets(self, offset, stages, edges, least=0)))
        others = put_array(self, ends, np.int32, (edges,), 0, stages - 1).astype(np.int64)
        if np.any(np.diff(own * stages + others) <= 0):
            refuse_field(self, ends, "they must be ascending for each stage")
        return own, others

    def _check_samples(self, stages: int) -> None:
        samples = put_array(self, "durations_ms", np.int32, (None,), 0)
        shape = (stages, len(WAVES), COLUMNS) if len(samples) else (0,)  # without_samples
        start = put_array(self, "cell_start", np.int64, shape, 0, len(samples))
        count = put_array(self, "cell_count", np.int32, shape, 0)
        if np.any(start + count > len(samples)):
            refuse_field(self, "cell_count", f"a list reaches beyond the {len(samples)} durations")
        if len(samples) and not np.all((count[:, FRESH] > 0) | (count[:, FIRST] > 0)):
            refuse_field(self, "cell_count", "a stage has neither fresh nor first durations in one of its columns")

    def __len__(self) -> int:
        """Number of templates."""
        return len(self.names)

    def __repr__(self) -> str:
        return f"<JobSet {self.name!r}: {len(self)} jobs, {len(self.num_tasks)} stages>"

    @cached_property
    def critical_path_ms(self) -> np.ndarray:
        """float64 (stages,): longest path of ``rough_ms`` from a stage to the end of its job, its own included."""
        path_ms = np.array(self.rough_ms, dtype=np.float64)
        for stage in range(len(path_ms) - 1, -1, -1):  # children have larger numbers
            children = self.children[self.child_offset[stage] : self.child_offset[stage + 1]]
            path_ms[stage] += path_ms[children].max(initial=0.0)
        path_ms.setflags(write=False)
        return path_ms

    @cached_property
    def recorded_arrivals(self) -> list[tuple[float, int]]:
        """(time in ms, template) in order of time; ``ValueError``, one line, where the jobs have no arrivals."""
        if self.arrival_ms is None:
            raise ValueError(
                f"{self.name}: its jobs have no arrivals, which arrivals='recorded' needs; Alibaba's table and Spark "
                "event logs have them, JSON workloads as arrival_ms"
            )
        order = np.argsort(self.arrival_ms, kind="stable")
        return [(float(self.arrival_ms[template]), int(template)) for template in order]

    @cached_property
    def without_samples(self) -> JobSet:
        """The same templates without measured durations: graphs, tasks and ``rough_ms``, a tenth of the size."""
        none = frozen([], np.int32)
        return replace(self, durations_ms=none, cell_start=none, cell_count=none)

    def template(self, index: int) -> Template:
        """A readable view of template ``index``. Raises ``IndexError`` outside 0 ... len - 1."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name} has templates 0 to {len(self) - 1}, there is no {index}")
        return Template(self, index)

    def to_networkx(self, index: int) -> nx.DiGraph:
        """Template ``index`` as a graph: nodes 0, 1, ... with ``num_tasks`` and ``duration_ms`` (the rough one).

        The graph's name is the template's. Samples by wave and level do not fit into it and are left out.
        """
        import networkx as nx

        template = self.template(index)
        graph = nx.DiGraph(name=template.name)
        for stage in range(len(template)):
            graph.add_node(stage, num_tasks=int(template.num_tasks[stage]), duration_ms=float(template.rough_ms[stage]))
        graph.add_edges_from(template.edges)
        return graph

    @staticmethod
    def from_networkx(graphs: Iterable[nx.DiGraph], name: str = "networkx") -> JobSet:
        """Pack graphs whose nodes have ``num_tasks`` and ``duration_ms`` (a number, or a list of samples, in ms).

        Nodes may be any objects; they are numbered in the graph's order, parents first. A job is named after
        its graph, or after its position. Raises ``ValueError`` (one line, with the job's name) for a graph
        that is undirected, empty or cyclic, or a node without attributes or with impossible ones.
        """
        return make_job_set(name, [_job_of_graph(graph, name, index) for index, graph in enumerate(graphs)])


@dataclass(frozen=True)
class Template:
    """One job template of a :class:`JobSet`. Stages are numbered from 0 inside the template."""

    jobs: JobSet
    index: int

    def __len__(self) -> int:
        """Number of stages."""
        return int(self.jobs.stage_offset[self.index + 1]) - self.first_stage

    @property
    def name(self) -> str:
        return self.jobs.names[self.index]

    @property
    def first_stage(self) -> int:
        """Global number of stage 0."""
        return int(self.jobs.stage_offset[self.index])

    @property
    def num_tasks(self) -> np.ndarray:
        """int32 (stages,)."""
        return self.jobs.num_tasks[self._stages]

    @property
    def rough_ms(self) -> np.ndarray:
        """float64 (stages,), ms."""
        return self.jobs.rough_ms[self._stages]

    @property
    def edges(self) -> list[tuple[int, int]]:
        """(parent, child) in ascending order."""
        return [(parent, int(child)) for parent in range(len(self)) for child in self.children(parent)]

    def parents(self, stage: int) -> np.ndarray:
        """int32, stages that must be complete before ``stage`` starts, ascending."""
        return self._neighbours(self.jobs.parent_offset, self.jobs.parents, stage)

    def children(self, stage: int) -> np.ndarray:
        """int32, stages that wait for ``stage``, ascending."""
        return self._neighbours(self.jobs.child_offset, self.jobs.children, stage)

    def durations(self, stage: int, wave: int, level: int = 0) -> np.ndarray:
        """int32 (samples,), ms: task durations for ``FRESH``, ``FIRST`` or ``REST`` at a level of ``LEVELS``.

        Level 0 means the largest level that the stage was measured at. The array may be empty, see
        ``JobSet.cell_start``. Raises ``ValueError`` for another level.
        """
        if level and level not in LEVELS:
            raise ValueError(
                f"{level} is not an executor level; levels: 0 (the largest), {', '.join(map(str, LEVELS))}"
            )
        cell = self.first_stage + stage, wave, LEVELS.index(level) if level else LARGEST
        start = self.jobs.cell_start[cell]
        return self.jobs.durations_ms[start : start + self.jobs.cell_count[cell]]

    @property
    def _stages(self) -> slice:
        return slice(self.first_stage, int(self.jobs.stage_offset[self.index + 1]))

    def _neighbours(self, offset: np.ndarray, neighbours: np.ndarray, stage: int) -> np.ndarray:
        row = self.first_stage + stage
        return neighbours[offset[row] : offset[row + 1]] - np.int32(self.first_stage)


_TASKS, _DURATIONS = "a number of tasks that is none", "a duration that is none"


class JobError(ValueError):
    """A job that cannot be packed; ``reason`` is why, the same for all of its kind."""

    def __init__(self, reason: str, text: str):
        super().__init__(text)
        self.reason = reason


def make_job_set(name: str, jobs: Sequence[Job], reading: Reading | None = None) -> JobSet:
    """Check jobs and pack them.

    With a ``reading``, jobs that cannot be packed are left out and it is told; there must be one that can. Arrivals are
    kept where all jobs have theirs.

    Stages keep their order where every parent stands before its children; otherwise they are sorted so, and
    as little as possible. Durations are rounded to whole ms. Raises ``ValueError`` (one line: workload, job,
    remedy) for a job without stages, a stage without tasks or samples, a cycle, a parent that does not exist,
    or a duration that is negative, not a number or above 24.8 days.
    """
    if not jobs:
        raise ValueError(f"{name}: there is no job in it")
    packer = _Packer()
    packed: list[Job] = []
    for job in jobs:
        try:
            packer.add(job)
            packed.append(job)
        except JobError as error:
            if reading is None or reading.strict:
                raise ValueError(f"{name}: job {job.name!r}: {error}") from None
            reading.skip("jobs", error.reason, f"{job.source or name}: job {job.name!r}", str(error))
    if not packed:
        raise ValueError(f"{name}: no job is left: {'; '.join(reading.skipped_lines()) if reading else ''}")
    return packer.finish(name, packed)


class _Packer:
    """Collects the arrays of a job set, job by job. Errors name the stage; the caller adds the job."""

    def __init__(self) -> None:
        self._stage_offset = [0]
        self._num_tasks: list[int] = []
        self._rough_ms: list[float] = []
        self._parents: list[list[int]] = []
        self._lists: list[np.ndarray] = []
        self._samples = 0
        self._cells: list[np.ndarray] = []

    def add(self, job: Job) -> None:
        """Raises :class:`JobError`, and is as it was then."""
        lists: tuple[list[Any], ...] = (self._num_tasks, self._rough_ms, self._parents, self._lists, self._cells)
        lengths, samples = [len(one) for one in lists], self._samples
        try:
            self._add(job)
        except JobError:
            for one, length in zip(lists, lengths, strict=True):
                del one[length:]
            self._samples = samples
            raise

    def _add(self, job: Job) -> None:
        if not len(job.stages):
            raise JobError("no stages", "it has no stages; remove it")
        order = _parents_first([stage.parents for stage in job.stages])
        base = self._stage_offset[-1]
        number = {old: base + new for new, old in enumerate(order)}
        for old in order:
            stage = job.stages[old]
            self._parents.append(sorted({number[parent] for parent in stage.parents}))
            try:
                self._num_tasks.append(_checked_tasks(stage.num_tasks))
                self._add_durations(stage)
            except JobError as error:
                raise JobError(error.reason, f"stage {old}: {error}") from None
        self._stage_offset.append(base + len(order))

    def _add_durations(self, stage: Stage) -> None:
        waves = [
            {int(level): _checked(samples) for level, samples in wave.items()}
            for wave in (stage.fresh, stage.first, stage.rest)
        ]
        levels = sorted(waves[FIRST])
        if not levels or levels[0] < 1:
            raise JobError("no durations", "it has no durations; give 'first' at one executor level (1 or more)")
        for lower, level in itertools.pairwise(levels):
            if not len(waves[FIRST][level]):
                waves[FIRST][level] = waves[FIRST][lower]
        every = [samples for wave in waves for samples in wave.values() if len(samples)]
        total = sum(len(samples) for samples in every)
        self._rough_ms.append(sum(int(samples.sum(dtype=np.int64)) for samples in every) / total if total else 0.0)
        cells = np.zeros((2, len(WAVES), COLUMNS), np.int64)
        packed: dict[int, int] = {}
        for column in range(COLUMNS):
            level = LEVELS[column] if column < LARGEST and LEVELS[column] in waves[FIRST] else levels[-1]
            if not len(waves[FIRST][level]) and not len(waves[FRESH].get(level, ())):
                raise JobError(
                    "no durations", f"it has neither 'fresh' nor 'first' durations at level {level}; give one of them"
                )
            for wave in range(len(WAVES)):
                samples = waves[wave].get(level)
                if samples is None or not len(samples):
                    continue
                if id(samples) not in packed:
                    packed[id(samples)] = self._samples
                    self._lists.append(samples)
                    self._samples += len(samples)
                cells[:, wave, column] = packed[id(samples)], len(samples)
        self._cells.append(cells)

    def finish(self, name: str, jobs: Sequence[Job]) -> JobSet:
        arrivals = [job.arrival_ms for job in jobs if job.arrival_ms is not None]
        cells = np.stack(self._cells)
        children: list[list[int]] = [[] for _ in self._parents]
        for child, parents in enumerate(self._parents):
            for parent in parents:
                children[parent].append(child)
        parent_offset, parents_flat = _csr(self._parents)
        child_offset, children_flat = _csr(children)
        return JobSet(
            name=name,
            names=tuple(job.name for job in jobs),
            stage_offset=frozen(self._stage_offset, np.int64),
            num_tasks=frozen(self._num_tasks, np.int32),
            rough_ms=frozen(self._rough_ms, np.float64),
            parent_offset=parent_offset,
            parents=parents_flat,
            child_offset=child_offset,
            children=children_flat,
            durations_ms=frozen(np.concatenate(self._lists), np.int32),
            cell_start=frozen(cells[:, 0], np.int64),
            cell_count=frozen(cells[:, 1], np.int32),
            arrival_ms=_from_first(arrivals) if len(arrivals) == len(jobs) else None,
        )


def frozen(values: Any, dtype: type) -> np.ndarray:
    """A read-only contiguous array."""
    array: np.ndarray = np.ascontiguousarray(values, dtype=dtype)
    array.flags.writeable = False
    return array


def _from_first(arrival_ms: list[float]) -> np.ndarray:
    return frozen(np.array(arrival_ms, dtype=np.float64) - min(arrival_ms), np.float64)


def _csr(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    flat = [entry for row in rows for entry in row]
    return frozen(np.cumsum([0, *map(len, rows)]), np.int64), frozen(flat, np.int32)


def _checked_tasks(num_tasks: Any) -> int:
    if isinstance(num_tasks, bool) or not isinstance(num_tasks, int | float | np.integer | np.floating):
        raise JobError(_TASKS, f"the number of tasks is {num_tasks!r}; give a whole number from 1 up")
    if not 1 <= num_tasks <= MAX_TASKS:
        raise JobError(_TASKS, f"it has {num_tasks} tasks; give 1 or more, or remove the stage")
    if int(num_tasks) != num_tasks:
        raise JobError(_TASKS, f"it has {num_tasks} tasks; give a whole number")
    return int(num_tasks)


def _checked(samples: Sequence[float] | np.ndarray) -> np.ndarray:
    """int32 copy of a list of durations in ms."""
    try:
        values = np.array(samples, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise JobError(_DURATIONS, "durations must be lists of numbers, in ms") from None
    if values.ndim != 1:
        raise JobError(_DURATIONS, "durations must be flat lists of numbers, in ms")
    bad = ~((values >= 0) & (values <= MAX_DURATION_MS))  # NaN is bad, too
    if bad.any():
        raise JobError(
            _DURATIONS,
            f"duration {values[bad][0]} is not a number of ms from 0 to {MAX_DURATION_MS}; mend or remove it",
        )
    return np.rint(values).astype(np.int32)


def _parents_first(parents: Sequence[Sequence[int]]) -> list[int]:
    """The stages in an order in which parents come first; of those that can come next, the smallest does."""
    children: list[list[int]] = [[] for _ in parents]
    waiting, last = [], len(parents) - 1
    for stage, own in enumerate(parents):
        for parent in own:
            if not 0 <= parent < len(parents):
                raise JobError(
                    "a parent that is none",
                    f"stage {stage} has the unknown parent {parent}; stages are 0 to {last}",
                )
        for parent in set(own):
            children[parent].append(stage)
        waiting.append(len(set(own)))
    ready = [stage for stage, count in enumerate(waiting) if count == 0]
    order = []
    while ready:
        stage = heapq.heappop(ready)
        order.append(stage)
        for child in children[stage]:
            waiting[child] -= 1
            if waiting[child] == 0:
                heapq.heappush(ready, child)
    if len(order) < len(parents):
        stuck = next(stage for stage, count in enumerate(waiting) if count > 0)
        raise JobError(
            "its stages wait for each other in a cycle",
            f"its stages depend on each other in a cycle (stage {stuck} can never start); remove an edge",
        )
    return order


def _job_of_graph(graph: nx.DiGraph, workload: str, index: int) -> Job:
    name = str(graph.graph.get("name") or f"job-{index}")
    if not graph.is_directed() or graph.is_multigraph():
        raise ValueError(f"{workload}: job {name!r}: it is no networkx.DiGraph; give one with edges parent -> child")
    number = {node: position for position, node in enumerate(graph)}
    stages = []
    for node, attributes in graph.nodes(data=True):
        missing = [key for key in ("num_tasks", "duration_ms") if key not in attributes]
        if missing:
            raise ValueError(f"{workload}: job {name!r}: node {node!r} lacks the attribute {missing[0]}")
        samples = np.atleast_1d(attributes["duration_ms"])
        stages.append(
            Stage(
                num_tasks=attributes["num_tasks"],
                first={LEVELS[0]: samples},
                rest={LEVELS[0]: samples},
                parents=tuple(number[parent] for parent in graph.predecessors(node)),
            )
        )
    return Job(name, stages)
