"""``ReferenceSimulator``: a Spark cluster under a stage scheduler, as a readable simpy model.

The rules are those of the Decima simulator family (Mao et al., "Learning Scheduling Algorithms for Data
Processing Clusters", SIGCOMM 2019) in the version published with NetLLM (Wu et al., SIGCOMM 2024); with
``rng="netllm"`` its logs are reproduced to the bit. ``entities``, ``cluster`` and this module are the
specification in code: the fast engine has to agree with them event by event.

In one paragraph: jobs arrive and bring stages of identical tasks. Whenever executors become free, they are
*offered*: the pool they are in becomes the *source* and a *decision round* opens, in which the scheduler
commits executors of the source to stages, one stage a decision, until none is left, no stage is schedulable
or the scheduler declines. Then the commitments are kept: idle executors go to work (after ``moving_delay_ms``
if it is for another job), busy ones of the source stage as soon as they finish. An executor takes task after
task of its stage without a decision.

Extend it by subclassing. Every rule is one method; these are meant to be overridden:

* ``task_duration(executor, stage, task)``: slower machines, interference, data locality;
* ``run_task(executor, stage, duration_ms)``: what becomes of a started task, for instance a failure;
* ``moving_delay(executor, stage)``: racks, start-up times;
* ``backup_stage(executor)``: where an executor goes that arrives too late.

New kinds of events are scheduled with ``after(delay_ms, action, *arguments)``. ``examples/cjs_failures.py``
adds executor failures.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from itertools import islice, takewhile
from typing import Any

from netenvs.cjs.cluster import Cluster
from netenvs.cjs.entities import DecisionRecord, Job, Pool, Stage
from netenvs.cjs.jobs import JobSet
from netenvs.cjs.options import RECORDED, CJSOptions
from netenvs.cjs.random_streams import NativeStream, NetLLMStream, RandomStream


class DeadlockError(RuntimeError):
    """Unfinished jobs, but nothing will ever happen again: all executors idle, and none is offered."""


class ReferenceSimulator(Cluster):
    """A cluster of ``num_executors``; times in ms, rewards in seconds.

    Arguments:
        jobs: templates that arriving jobs are drawn from.
        options: those of the environment (``netenvs.cjs.env.CJSEnv`` says what they mean); a simulator uses what
            concerns the cluster, the jobs that arrive, ``rng`` and the reward. None: the defaults.
        record: keep ``tasks``, ``moves`` and ``decisions``.
        changes: single options in place of those in ``options``; ``ValueError`` for unknown or impossible ones.

    With ``work_conserving`` False, the published rules, executors can idle although a stage could use them (executors
    in the common pool are offered at arrivals only). True (needs a moving delay above 0: else executors can change
    jobs for ever at one instant): after every event, each pool of idle executors is offered once while a stage of the
    frontier has demand.

    Use: ``reset``, then ``commit`` or ``decline`` until ``terminated`` (or ``truncated``); both return the
    reward.
    """

    def __init__(self, jobs: JobSet, options: CJSOptions | None = None, *, record: bool = True, **changes: Any):
        super().__init__(CJSOptions.of(changes, options), record)
        self.job_set = jobs
        limit_ms = self.options.time_limit_ms
        self.time_limit_ms = math.inf if limit_ms is None else limit_ms
        self.shared_random = random.Random()
        """With ``rng="netllm"``: the published simulator's global stream, which its schedulers sample from, too."""

    # ------------------------------------------------------------------------------------------ an episode

    def reset(self, seed: int, episode: int = 0, arrivals: Iterable[tuple[float, int]] | None = None) -> None:
        """Begin an episode and run to its first decision.

        ``seed`` (0 to 2^64 - 1) and ``episode`` determine all chance; ``episode`` counts from 0 and is for
        ``rng="native"`` only. ``arrivals`` replaces the drawn jobs by given ones: (time in ms, template).
        """
        self.clear(self._make_stream(seed, episode))
        self.jobs: list[Job] = []
        """All jobs of the episode, those that have not arrived yet included."""
        self.decisions: list[DecisionRecord] = []
        self._schedulable: list[Stage] = []
        self._offered: set[Pool] = set()
        """Pools that were offered since the last event."""
        for time_ms, template in self._draw_arrivals() if arrivals is None else arrivals:
            if time_ms < (self.jobs[-1].arrival_ms if self.jobs else 0.0):
                raise ValueError("arrivals must be in order of time, from 0 ms on")
            job = Job(len(self.jobs), time_ms, self.job_set.template(template))
            self.jobs.append(job)
            self.after(time_ms, self.job_arrived, job)
        while self.clock.peek() <= 0:
            self.clock.step()
        if not self._open_round():
            self._advance()

    @property
    def committable(self) -> int:
        """Executors that the source offers; those of a stage may still be busy with its last tasks."""
        return 0 if self.source is None else self.source.committable

    @property
    def terminated(self) -> bool:
        """All jobs are done."""
        return self.num_jobs_done == len(self.jobs)

    @property
    def truncated(self) -> bool:
        """The time limit is over, jobs are left."""
        return self.now_ms >= self.time_limit_ms and not self.terminated

    def schedulable(self) -> list[Stage]:
        """The stages that a decision may choose: jobs in order of arrival, stages ascending."""
        return list(self._schedulable)

    def can_decline(self) -> bool:
        """Is anything else going to happen? If not, a decline would leave jobs unfinished for ever."""
        return self.clock.peek() < math.inf or (self.source is not None and self.source.committed > 0)

    def commit(self, stage: Stage, executors: int) -> float:
        """Commit ``executors`` (1 to ``committable``) of the source to a schedulable stage; returns the reward.

        The stage takes no more than its demand; the surplus is offered again in the same round, in which the
        stage is not schedulable any more.
        """
        if stage not in self._schedulable:
            raise ValueError(f"{stage} is not schedulable now; schedulable: {self._schedulable}")
        if not 1 <= executors <= self.committable:
            raise ValueError(f"executors must be from 1 to {self.committable} (committable), not {executors}")
        decision = self._record((stage.job.id, stage.id), executors)
        self.add_commitment(stage.pool, min(executors, stage.demand))
        self._selected.add(stage)
        self._schedulable = self.find_schedulable()
        return self._finish(decision)

    def decline(self) -> float:
        """Give the remaining executors of the source to no stage; returns the reward.

        ``DeadlockError`` where nothing else is going to happen.
        """
        if not self._schedulable:
            raise ValueError("there is nothing to decide")
        if not self.can_decline():
            raise DeadlockError(self._describe_deadlock())
        decision = self._record(None, self.committable)
        self.add_commitment(self.common, self.committable)
        return self._finish(decision)

    def mean_jct_s(self) -> float:
        """Mean completion time of the jobs done so far, seconds."""
        times = [job.completion_ms - job.arrival_ms for job in self.jobs if job.completion_ms is not None]
        return sum(times) / len(times) / 1000.0 if times else math.nan

    def utilisation(self) -> float:
        """Share of executor time spent on tasks since the beginning of the episode."""
        if self.now_ms == 0:
            return 0.0
        left_ms = sum(max(executor.busy_until_ms - self.now_ms, 0.0) for executor in self.executors if executor.busy)
        return (self.work_ms - left_ms) / (self.now_ms * self.num_executors)

    # ------------------------------------------------------------------------------------ decision rounds

    def _record(self, stage: tuple[int, int] | None, executors: int) -> DecisionRecord:
        return DecisionRecord(self.now_ms, self._source.key, self.committable, stage, executors, 0.0)

    def _finish(self, decision: DecisionRecord) -> float:
        """Go on with the round, or close it and run to the next decision."""
        reward = 0.0
        if not (self.committable > 0 and self._schedulable):
            self._close_round()
            reward = self._advance()
        if self.record:
            self.decisions.append(decision._replace(reward=reward))
        return reward

    def _open_round(self) -> bool:
        """Is there a decision to make? If executors are offered and no stage can use them, they are parked.

        A source whose executors are all committed (or away) is left standing: should an executor enter that
        pool before another source is named, the round opens then.
        """
        if self.committable == 0:
            return False
        self._schedulable = self.find_schedulable()
        if self._schedulable:
            return True
        self.park(self._source)
        self.source = None
        return False

    def _close_round(self) -> None:
        """Whoever is not committed is committed to the common pool; then idle executors keep the commitments."""
        source = self._source
        if source.committable > 0:
            self.add_commitment(self.common, source.committable)
        idle = iter(self.idle_executors(source))
        for destination, count in list(source.commitments.items()):
            for executor in islice(idle, count):
                self.keep_commitment(executor, destination)
        self.source = None
        self._schedulable = []
        self._selected.clear()
        self._offered.add(source)

    def _advance(self) -> float:
        """Run event by event until there is a decision to make or nothing is left to do; returns the reward.

        A decision can fall between two events of the same time.
        """
        begin_ms = self.now_ms
        waiting = list(self.active_jobs)
        next_job = len(waiting) + self.num_jobs_done  # the first that has not arrived
        while not self.terminated:
            if self.options.work_conserving and self._offer_idle_executors():
                break
            if self.clock.peek() == math.inf:
                self._offered.clear()
                if self._offer_idle_executors():
                    break
                raise DeadlockError(self._describe_deadlock())
            self.clock.step()
            self._offered.clear()
            if self._open_round():
                break
        arrived = len(self.active_jobs) + self.num_jobs_done
        return -self._job_seconds([*waiting, *self.jobs[next_job:arrived]], begin_ms)

    def _offer_idle_executors(self) -> bool:
        """Offer a pool of idle executors that was not offered since the last event, if a task could start.

        After every event if ``work_conserving``, else only when nothing is left in the calendar: there the
        published simulator hangs.
        """
        for pool in [*(job.pool for job in self.active_jobs), self.common]:
            if pool.committable == 0 or pool in self._offered:
                continue
            self.source = pool
            self._schedulable = self.find_schedulable()
            if any(stage.frontier for stage in self._schedulable):
                return True
        self.source = None
        self._schedulable = []
        return False

    def _job_seconds(self, jobs: list[Job], begin_ms: float) -> float:
        """Seconds that the jobs spent in the system since ``begin_ms``, discounted if ``beta`` > 0."""
        total, beta = 0.0, self.options.beta
        for job in jobs:
            start_ms = max(job.arrival_ms, begin_ms) - begin_ms
            end_ms = (self.now_ms if job.completion_ms is None else job.completion_ms) - begin_ms
            if beta == 0:
                total += end_ms - start_ms
            else:
                total += math.exp(-beta * start_ms / 1000.0) - math.exp(-beta * end_ms / 1000.0)
        return total / (1000.0 if beta == 0 else beta)

    # -------------------------------------------------------------------------------------------- helpers

    def _make_stream(self, seed: int, episode: int) -> RandomStream:
        if self.options.rng == "native":
            return NativeStream(seed, episode)
        if episode:
            raise ValueError("rng='netllm' has one episode a seed: reset with another seed instead of an episode")
        return NetLLMStream(seed, self.shared_random)

    def _draw_arrivals(self) -> list[tuple[float, int]]:
        """(time in ms, template) of ``num_jobs`` jobs, without those that would arrive after the time limit."""
        if self.options.arrivals == RECORDED:
            drawn = self.stream.recorded(self.job_set, self.options.num_jobs)
        else:
            drawn = self.stream.arrivals(self.job_set, self.options.mean_interarrival_ms)
        return list(islice(takewhile(lambda arrival: arrival[0] < self.time_limit_ms, drawn), self.options.num_jobs))

    def _describe_deadlock(self) -> str:
        pools = dict.fromkeys(executor.pool for executor in self.executors if executor.pool is not None)
        where = {pool.key: len(pool.executors) for pool in pools}
        return (
            f"deadlock at {self.now_ms / 1000.0:.3f} s: {len(self.active_jobs)} jobs are unfinished "
            f"({', '.join(str(job.id) for job in self.active_jobs[:5])}), no event is left, executors idle in "
            f"(job, stage) pools {where}; a scheduler must not decline then"
        )
