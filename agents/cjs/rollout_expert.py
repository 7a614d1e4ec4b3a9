"""``RolloutExpert``: tries several decisions in imagined futures of a cluster, and takes the one that did best there.

One step of policy iteration on top of a rule (Bertsekas, Tsitsiklis and Wu, "Rollout Algorithms for Combinatorial
Optimization", 1997). It needs the simulator's state, so that it is no policy of a table but a source of labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agents.cjs.rules.capped_srpt import CappedSRPT
from netenvs.cjs.engines import FastEngine
from netenvs.cjs.fast import FastClusters
from netenvs.cjs.kernel.calendar import push_event
from netenvs.cjs.kernel.cluster import task_duration
from netenvs.cjs.kernel.state import ACTIVE, NONE, Batch
from netenvs.cjs.rules import FAIR, SHARE, Rule
from netenvs.compiled import kernel
from netenvs.random import hash64, uniform

MANY_JOBS = 2**40
"""Jobs of an imagined episode; all but a few count as arrived already."""
TRIES = 16
"""Draws of the duration of a task at work until one is longer than it has run."""
FIRST_TASK = 2**20
"""Numbers of the tasks at work in the random stream of their job: others than those of its tasks to come."""


def variants(rule: Rule) -> list[Rule]:
    """Rules whose decisions are worth a try besides those of ``rule``, one of ``capped-srpt``'s kind."""
    return [
        rule._replace(share=rule.share * 1.6),
        rule._replace(share=rule.share / 1.6),
        rule._replace(sharing=SHARE, share=1.0),
        rule._replace(hold=0.0),
        rule._replace(hold=min(1.0, rule.hold + 0.4)),
        rule._replace(early=1.0),
        rule._replace(own_factor=0.3),
        rule._replace(own_factor=1.0),
        FAIR,
    ]


class Judgement(NamedTuple):
    """What came of decisions in one cluster."""

    actions: np.ndarray
    """int64 (c, 2), different ones: the rule's own first."""
    costs_s: np.ndarray
    """float64 (c, samples): job-seconds until all jobs are done; column i is the same future for all actions."""

    def best(self, margin: float = 1.0) -> int:
        """Number of the action with the least mean cost, if it is below the first one's by ``margin`` standard errors.

        Otherwise 0: the least of several noisy means is too low.
        """
        gain = self.costs_s[0] - self.costs_s
        error = gain.std(axis=1) / np.sqrt(gain.shape[1])
        surely = gain.mean(axis=1) - margin * error
        return int(surely.argmax()) if surely.max() > 0 else 0


class RolloutExpert:
    """Judges decisions in the clusters of an engine.

    In each imagined future the decision is carried out, and ``rule`` plays on until all jobs are done, with
    ``future_jobs`` more to come. It knows what a scheduler could: the state of the cluster, how long each task has run,
    the distributions of durations, templates and arrivals. The durations of the tasks that are not over, and all
    arrivals, are drawn anew: the true ones are never looked at.

    Arguments:
        engine: with ``record_tasks``, whose log says when the tasks at work were started.
        rule: what plays on; None: ``capped-srpt`` for this number of executors.
        samples: imagined futures of a decision, the same for all actions.
        future_jobs: how many jobs arrive in them.
        seed: of the futures.
    """

    def __init__(
        self, engine: FastEngine, rule: Rule | None = None, samples: int = 16, future_jobs: int = 4, seed: int = 0
    ):
        options = engine.clusters.options
        if not options.record_tasks:
            raise ValueError("a RolloutExpert needs an engine that records tasks: make it with record_tasks=True")
        if min(samples, future_jobs) < 1:
            raise ValueError(f"samples and future_jobs must be 1 or more, not {samples} and {future_jobs}")
        self.engine, self.samples, self.future_jobs = engine, samples, future_jobs
        self.rule = CappedSRPT().rule(options.num_executors) if rule is None else rule
        self._rng = np.random.default_rng(seed)
        self._clusters: dict[int, FastClusters] = {}  # by number of rows

    def judge(self, row: int, actions: Sequence[np.ndarray]) -> Judgement:
        """What comes of ``actions`` of the environment, int64 (2,), in a row that is at a decision."""
        chosen = np.array(list(dict.fromkeys((int(stage), int(executors)) for stage, executors in actions)), np.int64)
        source = self.engine.clusters
        stages = source.stages(row)
        pools = np.zeros(stages["row"].max(initial=0) + 1, np.int64)
        pools[stages["row"]] = stages["pool"]
        pools[0] = 0  # declines
        clusters = self._imagine(row, len(chosen))
        clusters.step(
            np.repeat(pools[chosen[:, 0]], self.samples), np.repeat(chosen[:, 1] + 1, self.samples), autoreset=False
        )
        clusters.play(self.rule)
        costs_s = clusters.batch.state["jct_ms"] / 1000.0
        return Judgement(chosen, costs_s.reshape(len(chosen), self.samples))

    def _imagine(self, row: int, actions: int) -> FastClusters:
        """The cluster of a row with as many futures for each of so many actions, in order of the actions."""
        source = self.engine.clusters
        options = source.options
        rows = actions * self.samples
        if rows not in self._clusters:
            self._clusters[rows] = FastClusters(
                self.engine.jobs,
                self.engine.options.with_view_sizes,
                rows=rows,
                num_jobs=MANY_JOBS,
                time_limit_ms=None,
                beta=0.0,
            )
        clusters = self._clusters[rows]
        clusters.batch = _copies(source.batch, row, clusters.batch)
        keys = np.tile(self._rng.integers(0, 2**64, self.samples, dtype=np.uint64), actions)
        latest = np.full(options.num_executors, NONE, np.int64)
        _find_latest_tasks(source.tasks(row), latest)
        _draw_anew(
            clusters.workload,
            clusters.options,
            clusters.batch,
            source.batch.task_log[row],
            latest,
            keys,
            self.future_jobs,
        )
        return clusters


def _copies(batch: Batch, row: int, room: Batch) -> Batch:
    """``room`` with a row of ``batch`` in each of its rows; larger where that has no place in it."""
    filled = []
    for name, array, place in zip(Batch._fields, batch, room, strict=True):
        if name in ("task_log", "job_log"):  # not kept
            filled.append(place)
            continue
        own = array[row]
        if own.ndim and place.shape[-1] < own.shape[-1]:
            place = np.zeros((len(place), *own.shape), array.dtype)
        if own.ndim:
            place[..., : own.shape[-1]] = own
        else:
            place[:] = own
        filled.append(place)
    return Batch(*filled)


@kernel
def _find_latest_tasks(log, latest):
    """Where the last task of each executor is in the log; ``latest``, int64 (N,), comes as NONE."""
    missing = len(latest)
    for entry in range(len(log) - 1, -1, -1):
        if missing == 0:
            break
        executor = log[entry].executor
        if latest[executor] == NONE:
            latest[executor] = entry
            missing -= 1


@kernel
def _draw_anew(workload, options, batch, log, latest, keys, future_jobs):
    """Another future for each row: arrivals, the tasks to start, and those at work."""
    for row in range(len(keys)):
        state, jobs, pools = batch.state[row], batch.jobs[row], batch.pools[row]
        executors, events, active = batch.executors[row], batch.events[row], batch.slots[row, ACTIVE]
        state.key, state.episode = keys[row], 0
        # ids of jobs go on above those there are
        arrived = options.num_jobs - future_jobs
        state.num_done += arrived - state.num_arrived
        state.num_arrived = arrived
        chance = uniform(keys[row], np.uint64(1), np.uint64(0))
        state.next_arrival_ms = state.now_ms - np.log1p(-chance) * options.mean_interarrival_ms
        for position in range(state.num_active):
            job = jobs[active[position]]
            job.stream = hash64(keys[row], 0, job.id)
        kept = events[: state.num_events].copy()
        for number in range(len(kept)):
            executor, time_ms = kept[number].executor, kept[number].time_ms
            if executors[executor].busy:
                time_ms = _other_end_ms(
                    workload, options, state, jobs, pools, executors, log[latest[executor]], executor
                )
            push_event(events, number, time_ms, kept[number].inserted, executor)


@kernel
def _other_end_ms(workload, options, state, jobs, pools, executors, task, executor):
    """When a task at work might end, given that it has not ended yet."""
    stage = pools[executors[executor].stage]
    job = jobs[stage.job]
    run_ms = state.now_ms - task.start_ms
    longest_ms = 0.0
    for attempt in range(TRIES):
        duration_ms = task_duration(
            workload.cell_start,
            workload.cell_count,
            workload.durations_ms,
            options,
            job.stream,
            stage.stage,
            np.int64(task.stage),
            FIRST_TASK + TRIES * executor + attempt,
            np.int64(task.local_executors),
            np.int64(task.wave),
        )
        if duration_ms > run_ms:
            return task.start_ms + duration_ms
        longest_ms = max(longest_ms, duration_ms)
    # longer than all that were drawn: a tenth more
    return task.start_ms + 1.1 * max(run_ms, longest_ms)
