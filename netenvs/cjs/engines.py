"""The two engines behind ``netenvs/CJS-v0``, with one interface: a batch of clusters that take actions.

``FastEngine`` runs ``netenvs.cjs.fast``, ``SimpyEngine`` one ``ReferenceSimulator`` a row. Under ``rng="native"``
they agree event by event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from netenvs.cjs import kernel
from netenvs.cjs.cluster_view import ClusterView
from netenvs.cjs.entities import Stage
from netenvs.cjs.fast import FastClusters, make_kernel_workload
from netenvs.cjs.jobs import JobSet
from netenvs.cjs.options import RECORDED, CJSOptions
from netenvs.cjs.reference import ReferenceSimulator
from netenvs.cjs.workload import load_workload

if TYPE_CHECKING:
    from netenvs.cjs.rules import Rule


class Engine(Protocol):
    """A batch of clusters, one a row. Actions are those of the environment."""

    jobs: JobSet
    has_rules: bool
    """Whether ``decide`` is there."""
    outcomes: np.ndarray
    """OUTCOME (rows,): scalars of ``info``, rewards and ends of the last step."""
    observation: kernel.Observation
    """Made anew at each step and reset, so that it can be given away."""

    def seed_row(self, row: int, seed: int | None, rng: np.random.Generator) -> None:
        """All later episodes of a row follow from ``seed`` (if there is one) and ``rng``."""

    def begin(self, mask: np.ndarray) -> None:
        """Begin an episode in the rows of ``mask``, bool (rows,)."""

    def step(self, actions: np.ndarray, autoreset: bool) -> None:
        """One decision in every row, int64 (rows, 2); rows that are over begin an episode, or stay as they are."""

    def view(self, row: int) -> ClusterView:
        """What a scheduler sees."""

    def decide(self, rule: Rule) -> np.ndarray:
        """int64 (rows, 2): the actions of a rule, decided in the kernel."""

    def tasks(self, row: int) -> np.ndarray:
        """TASK_LOG (tasks started,) of the episode, if they are recorded."""

    def jobs_done(self, row: int) -> np.ndarray:
        """JOB_LOG (jobs done,) of the episode, in order of completion."""


def make_engine(options: CJSOptions, rows: int, record_tasks: bool) -> Engine:
    """The engine that the options ask for; ``ValueError``, one line, where they do not suit the workload."""
    if options.rng == "netllm" and options.workload != "tpch":
        raise ValueError(f"rng='netllm' draws TPC-H queries: workload must be 'tpch', not {options.workload!r}")
    jobs = load_workload(options.workload)
    if options.arrivals == RECORDED:
        _ = jobs.recorded_arrivals  # an error now, not at the first reset
    largest = int(np.diff(jobs.stage_offset).max())
    if options.stages_in_view < largest:
        raise ValueError(
            f"max_stages={options.stages_in_view} has no room for a job of {jobs.name} with {largest} stages; "
            f"give max_stages={largest} or more"
        )
    simpy = options.engine == "simpy" or options.rng == "netllm"
    return (SimpyEngine if simpy else FastEngine)(jobs, options, rows, record_tasks)


class _Engine:
    """What both have in common: actions, observations and outcomes as arrays."""

    def __init__(self, jobs: JobSet, options: CJSOptions, rows: int):
        self.jobs = jobs
        self.options = options
        self.rows = rows
        self.outcomes = np.zeros(rows, dtype=kernel.OUTCOME)
        stages, edges, num_jobs = options.stages_in_view, options.edges_in_view, options.jobs_in_view
        self._shapes: list[tuple[tuple[int, ...], type]] = [  # the fields of Observation
            ((rows, stages, kernel.STAGE_FEATURES), np.float32),
            ((rows, stages), np.int32),
            ((rows, stages), np.int8),
            ((rows, edges, 2), np.int32),
            ((rows, edges), np.int8),
            ((rows, num_jobs, kernel.JOB_FEATURES), np.float32),
            ((rows, num_jobs), np.int8),
            ((rows, kernel.CLUSTER_FEATURES), np.float32),
            ((rows, 1 + stages + options.num_executors), np.int8),
        ]
        self.observation = self._blank()
        self.action_mask = self.observation.action_mask
        """int8 (rows, 1 + max_stages + N): what is possible now; a copy, as observations are given away."""

    def _blank(self) -> kernel.Observation:
        # Zeros come from the system page by page, as they are touched: padding costs nothing.
        return kernel.Observation(*[np.zeros(shape, dtype) for shape, dtype in self._shapes])


class FastEngine(_Engine):
    """All rows in ``FastClusters``."""

    has_rules = True

    def __init__(self, jobs: JobSet, options: CJSOptions, rows: int, record_tasks: bool):
        super().__init__(jobs, options, rows)
        self.clusters = FastClusters(
            jobs, options.with_view_sizes, rows=rows, record_tasks=record_tasks, record_jobs=True
        )
        self._make_views()
        self._warm_up()

    def seed_row(self, row: int, seed: int | None, rng: np.random.Generator) -> None:
        self.clusters.seed(row, int(rng.integers(0, 2**64, dtype=np.uint64)), episode=-1)

    def begin(self, mask: np.ndarray) -> None:
        self.clusters.batch.state["episode"][mask] += 1
        self.clusters.reset(mask)
        self.outcomes["invalid_action"][mask] = False
        self._observe()

    def step(self, actions: np.ndarray, autoreset: bool) -> None:
        clusters, mask = self.clusters, self.action_mask
        self.observation = self._blank()
        unfinished = kernel.act_rows(
            clusters.workload,
            clusters.options,
            clusters.batch,
            mask,
            actions.copy(),
            autoreset,
            self._job_views,
            self._stage_views,
            self.observation,
            self.outcomes,
        )
        self.action_mask = self.observation.action_mask.copy()
        if unfinished:
            clusters.finish()
            self._observe()

    def decide(self, rule: Rule) -> np.ndarray:
        clusters = self.clusters
        actions = np.empty((self.rows, 2), np.int64)
        kernel.decide_actions(clusters.workload, clusters.options, clusters.batch, rule, actions)
        return actions

    def view(self, row: int) -> ClusterView:
        if self.rows > 1:  # the room for views holds those of the last row
            jobs, stages = self.clusters.jobs(row), self.clusters.stages(row)
        else:
            jobs = self._job_views[: self.outcomes["jobs_in_system"][0]].copy()
            stages = self._stage_views[: jobs["num_stages"].sum()].copy()
        return ClusterView(self.jobs.without_samples, self.options.num_executors, self.outcomes[row], jobs, stages)

    def tasks(self, row: int) -> np.ndarray:
        return self.clusters.tasks(row).copy()

    def jobs_done(self, row: int) -> np.ndarray:
        return self.clusters.jobs_done(row).copy()

    def _warm_up(self) -> None:
        """Compile the kernels (or load them from the disk cache) outside of any timed loop; nothing is stepped."""
        self.clusters.reset(np.zeros(self.rows, dtype=np.bool_))
        self.step(np.empty((0, 2), np.int64), False)
        self._observe()

    def _make_views(self) -> None:
        slots = self.clusters.batch.jobs.shape[1]
        self._job_views = np.zeros(slots, kernel.JOB_VIEW)
        self._stage_views = np.zeros(slots * (self.clusters.options.stride - 1), kernel.STAGE_VIEW)

    def _observe(self) -> None:
        clusters = self.clusters
        if clusters.batch.jobs.shape[1] > len(self._job_views):
            self._make_views()
        self.observation = self._blank()
        kernel.observe_rows(
            clusters.workload,
            clusters.options,
            clusters.batch,
            self._job_views,
            self._stage_views,
            self.observation,
            self.outcomes,
        )
        self.action_mask = self.observation.action_mask.copy()


class SimpyEngine(_Engine):
    """One ``ReferenceSimulator`` a row, slow and readable; ``simulators`` may be replaced by those of a subclass."""

    has_rules = False

    def __init__(self, jobs: JobSet, options: CJSOptions, rows: int, record_tasks: bool):
        super().__init__(jobs, options, rows)
        self.simulators = [ReferenceSimulator(jobs, options, record=record_tasks) for _ in range(rows)]
        self._workload = make_kernel_workload(jobs)
        self._seeds: list[int | None] = [None] * rows
        self._rngs: list[np.random.Generator] = [np.random.default_rng(0) for _ in range(rows)]
        self._keys = np.zeros(rows, np.uint64)
        self._episodes = np.zeros(rows, np.int64)
        self._views: list[ClusterView] = []
        self._rows_of_stages: list[list[Stage]] = [[] for _ in range(rows)]

    def seed_row(self, row: int, seed: int | None, rng: np.random.Generator) -> None:
        self._seeds[row], self._rngs[row] = seed, rng
        if self.options.rng == "native":
            self._keys[row] = rng.integers(0, 2**64, dtype=np.uint64)
        self._episodes[row] = -1

    def begin(self, mask: np.ndarray) -> None:
        for row in np.flatnonzero(mask).tolist():
            self._begin(row)
        self._observe()

    def step(self, actions: np.ndarray, autoreset: bool) -> None:
        mask, actions = self.action_mask, actions.copy()
        for row, simulator in enumerate(self.simulators):
            outcome = self.outcomes[row]
            if outcome["terminated"] or outcome["truncated"]:
                outcome["invalid_action"] = False
                outcome["reward"] = 0.0
                if autoreset:
                    self._begin(row)
                continue
            outcome["invalid_action"] = kernel.make_possible(mask[row], self.options.stages_in_view, actions[row])
            stage, executors = actions[row].tolist()
            if stage == 0:
                outcome["reward"] = simulator.decline()
            else:
                outcome["reward"] = simulator.commit(self._rows_of_stages[row][stage - 1], executors + 1)
        self._observe()

    def decide(self, rule: Rule) -> np.ndarray:
        raise NotImplementedError("rules decide in the fast engine only")

    def view(self, row: int) -> ClusterView:
        return self._views[row]

    def tasks(self, row: int) -> np.ndarray:
        return np.array([tuple(task) for task in self.simulators[row].tasks], kernel.TASK_LOG)

    def jobs_done(self, row: int) -> np.ndarray:
        done = [job for job in self.simulators[row].jobs if job.completion_ms is not None]
        done.sort(key=lambda job: job.completion_ms or 0.0)
        return np.array(
            [(job.id, job.template.index, job.arrival_ms, job.completion_ms) for job in done], kernel.JOB_LOG
        )

    def _begin(self, row: int) -> None:
        """The next episode of a row; with ``rng="netllm"`` each has a seed, later ones a drawn one."""
        self._episodes[row] += 1
        self.outcomes[row]["reward"] = 0.0
        self.outcomes[row]["invalid_action"] = False
        if self.options.rng == "native":
            self.simulators[row].reset(int(self._keys[row]), int(self._episodes[row]))
            return
        seed = self._seeds[row]
        if seed is None or self._episodes[row] > 0:
            seed = int(self._rngs[row].integers(2**31))
        self.simulators[row].reset(seed)

    def _observe(self) -> None:
        self.observation = self._blank()
        self._views = []
        for row, simulator in enumerate(self.simulators):
            jobs, stages = self._view_arrays(row)
            outcome = self._write_outcome(row)
            offer = kernel.Offer(*outcome[["now_ms", "source_job", "committable", "can_decline"]].item())
            outcome["truncated_view"] = kernel.fill_observation(
                self._workload, simulator.num_executors, offer, jobs, stages, self.observation, row
            )
            self._views.append(ClusterView(self.jobs.without_samples, simulator.num_executors, outcome, jobs, stages))
        self.action_mask = self.observation.action_mask.copy()

    def _write_outcome(self, row: int) -> np.ndarray:
        """All of it but what ``step`` and ``fill_observation`` know."""
        simulator = self.simulators[row]
        outcome: np.ndarray = self.outcomes[row]
        source, done = simulator.source, simulator.num_jobs_done
        owner = None if source is None or source.job not in simulator.active_jobs else source.job
        stage = None if source is None or owner is None else source.stage
        outcome["time_s"] = simulator.now_ms / 1000.0
        outcome["now_ms"] = simulator.now_ms
        outcome["jobs_in_system"] = len(simulator.active_jobs)
        outcome["jobs_done"] = done
        outcome["mean_jct_s"] = simulator.mean_jct_s() if done else 0.0
        outcome["source_job"] = kernel.NONE if owner is None else owner.id
        outcome["source_stage"] = kernel.NONE if stage is None else stage.id
        outcome["source_executors"] = 0 if source is None else len(source.executors)
        outcome["committable"] = simulator.committable
        outcome["can_decline"] = source is not None and simulator.can_decline()
        outcome["utilisation"] = simulator.utilisation()
        outcome["terminated"] = simulator.terminated
        outcome["truncated"] = simulator.truncated
        return outcome

    def _view_arrays(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """JOB_VIEW and STAGE_VIEW arrays of a row."""
        simulator = self.simulators[row]
        schedulable = set(simulator.schedulable())
        jobs: list[tuple[Any, ...]] = []
        stages: list[tuple[Any, ...]] = []
        listed: list[Stage] = []
        most_jobs, most_stages = self.options.jobs_in_view, self.options.stages_in_view
        room = True
        for job in simulator.active_jobs:
            room = room and len(jobs) < most_jobs and len(listed) + len(job.active_stages) <= most_stages
            first = int(self.jobs.stage_offset[job.template.index])
            work_ms = 0.0
            for stage in job.stages:
                work_ms += (stage.num_tasks - stage.num_completed) * stage.recent_ms
                if room and not stage.completed:
                    listed.append(stage)
                stages.append(
                    (
                        job.id,
                        stage.id,
                        0,
                        stage.remaining,
                        stage.running,
                        stage.num_completed,
                        stage.demand,
                        len(listed) if room and not stage.completed else 0,
                        stage.recent_ms,
                        self.jobs.rough_ms[first + stage.id],
                        self.jobs.critical_path_ms[first + stage.id],
                        stage.ready,
                        stage.frontier,
                        stage in schedulable,
                    )
                )
            jobs.append(
                (
                    job.id,
                    job.template.index,
                    0,
                    len(job.stages),
                    job.supply,
                    job.arrival_ms,
                    work_ms,
                    job.saturated,
                )
            )
        self._rows_of_stages[row] = listed
        return np.array(jobs, kernel.JOB_VIEW), np.array(stages, kernel.STAGE_VIEW)
