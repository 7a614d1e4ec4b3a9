"""``netenvs/CJS-v0``: Spark cluster job scheduling, one cluster (``CJSEnv``) or many (``CJSVectorEnv``)."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Graph, GraphInstance, MultiDiscrete
from gymnasium.vector import AutoresetMode

from netenvs.arguments import check_actions, check_reset_options
from netenvs.cjs import kernel
from netenvs.cjs.cluster_view import ClusterView
from netenvs.cjs.engines import Engine, SimpyEngine, make_engine
from netenvs.cjs.jobs import JobSet
from netenvs.cjs.options import CJSOptions
from netenvs.options import takes
from netenvs.single import SingleEnv
from netenvs.vector import BatchVectorEnv

NODE_FEATURES = kernel.STAGE_FEATURES + kernel.JOB_FEATURES + 1


class CJSEnv(SingleEnv[Any, np.ndarray]):
    """
    ## Description
    Jobs arrive at a Spark cluster; each is a directed acyclic graph of stages, a stage a set of identical tasks.
    Whenever executors become free they are offered, and the agent commits them to stages, one stage a decision,
    until none is left, no stage is schedulable, or it declines. Executors that change jobs need
    ``moving_delay_ms``; task durations are drawn from measured ones and grow with the number of executors that
    work for the job. The rules are those of Decima's simulator in the version published with NetLLM, see
    ``netenvs.cjs.reference``.

    ## Action Space
    ``MultiDiscrete([max_stages + 1, num_executors])``. First component: 0 declines the offer, r chooses the stage
    in row r - 1 of the observation. Second: k gives it k + 1 executors; what exceeds its demand is offered again in
    the same round. A stage that is not schedulable is replaced by the schedulable one with the nearest number,
    executors are cut to those on offer, and ``info["invalid_action"]`` is set. Declining is impossible when nothing
    else is going to happen, since the jobs in the system would stay unfinished.

    ## Observation Space
    ``observation="padded"``: a ``Dict`` of fixed size; rows from the front, zeros after them. Stages that are
    complete have no row. Where there is no room for all jobs, the oldest are kept and ``info["truncated_view"]``
    is set.

    | Key           | Shape                          | dtype   | Content                                        |
    |---------------|--------------------------------|---------|------------------------------------------------|
    | `stages`      | (max_stages, 8)                | float32 | features of stages, see below                  |
    | `stage_job`   | (max_stages,)                  | int32   | row of the stage's job in `jobs`               |
    | `stage_mask`  | (max_stages,)                  | int8    | 1 where a row holds a stage                    |
    | `edges`       | (2 max_stages, 2)              | int32   | rows of (parent, child) stages                 |
    | `edge_mask`   | (2 max_stages,)                | int8    | 1 where a row holds an edge                    |
    | `jobs`        | (max_jobs, 5)                  | float32 | features of jobs, oldest first, see below      |
    | `job_mask`    | (max_jobs,)                    | int8    | 1 where a row holds a job                      |
    | `cluster`     | (3,)                           | float32 | features of the cluster, see below             |
    | `action_mask` | (1 + max_stages + executors,)  | int8    | 1 where a component of the action is possible  |

    | `stages` | Feature                                | Unit                       |
    |----------|----------------------------------------|----------------------------|
    | 0        | tasks not started                      | 200 tasks                  |
    | 1        | tasks at work                          | N                          |
    | 2        | demand for executors, 0 if negative    | N                          |
    | 3        | duration of the task started last      | 10 s                       |
    | 4        | tasks not started x that duration      | 100 s                      |
    | 5        | critical path to the end of the job    | 100 s                      |
    | 6        | schedulable                            | 0 or 1                     |
    | 7        | frontier: its tasks can start          | 0 or 1                     |

    | `jobs`   | Feature                                | Unit                       |
    |----------|----------------------------------------|----------------------------|
    | 0        | supply: executors it has or will get   | N                          |
    | 1        | executors on offer that it may get     | N                          |
    | 2        | its executors are on offer             | 0 or 1                     |
    | 3        | time in the system                     | 100 s                      |
    | 4        | remaining work                         | 1000 s                     |

    | `cluster`| Feature                                | Unit                       |
    |----------|----------------------------------------|----------------------------|
    | 0        | executors on offer                     | N                          |
    | 1        | jobs in the system                     | max_jobs                   |
    | 2        | the offer comes from a job             | 0 or 1                     |

    N = ``num_executors``; features 0 and 4 of stages have Decima's scales; all are cut off at 1e6.

    ``observation="graph"``: a ``Graph``; node r is row r of `stages`, its 14 features are those of the stage, those
    of its job, and the job's row. Edges lead from parent to child and have the one value 0. It is as large as
    the jobs in the system, within ``max_jobs`` and ``max_stages``.

    ## Rewards
    Minus the seconds that jobs spent in the system since the last decision, summed over jobs: the sum of an
    episode's rewards is minus the sum of the jobs' completion times. With ``beta`` > 0 (1/s), seconds count
    exp(-beta t) with t from the last decision.

    ## Starting State
    An empty cluster, all executors in the common pool, the first job arriving at 0. ``reset(seed=s)`` alone
    determines arrivals and task durations: durations depend on (job, stage, task), so two schedulers see the same
    luck. No reset options. With ``arrivals="recorded"`` an episode is a stretch of ``num_jobs`` jobs as they followed
    each other in the file of the workload, from a drawn one on; of a file with fewer jobs it is all of them.

    ## Episode End
    Terminated when all jobs are done. Truncated at the first decision from ``time_limit_ms`` on, if there is one.

    ## Information
    ``time_s``; ``jobs_in_system``; ``jobs_done``; ``mean_jct_s`` of the jobs done, 0 before the first; ``source_job``,
    id of the job in the system whose executors are on offer, -1 for the common pool; ``committable``, executors on
    offer; ``utilisation``, share of executor time spent on tasks; ``truncated_view``; ``invalid_action``;
    ``action_mask``, bool; ``view``, a ``ClusterView``: what a scheduler sees.

    ## Arguments
    | Option                 | Default       | Meaning                                                           |
    |------------------------|---------------|-------------------------------------------------------------------|
    | ``workload``           | `"synthetic"` | job templates, see ``netenvs.cjs.workload.load_workload``         |
    | ``num_executors``      | 50            | executors in the cluster                                          |
    | ``num_jobs``           | 200           | jobs of an episode; None: as many as arrive before the time limit |
    | ``arrivals``           | `"poisson"`   | `recorded`: jobs arrive as they did in the file, see below        |
    | ``mean_interarrival_ms`` | 25000       | mean of the exponential time between arrivals (`poisson`)         |
    | ``moving_delay_ms``    | 2000          | time until an executor works for another job                      |
    | ``warmup_delay_ms``    | 1000          | added to an executor's first task in a job if it was not measured |
    | ``rng``                | `"native"`    | `netllm`: the published simulator's random streams, bit for bit   |
    | ``engine``             | `"auto"`      | `fast` (numba), `simpy` (readable); `auto`: fast where it can     |
    | ``observation``        | `"padded"`    | `padded` or `graph`                                               |
    | ``max_jobs``           | None          | jobs in an observation; None: num_jobs, at most 64                |
    | ``max_stages``         | None          | stages in an observation; None: 20 x max_jobs                     |
    | ``work_conserving``    | False         | True: idle executors are offered after every event                |
    | ``time_limit_ms``      | None          | no job arrives, and the episode is truncated, from then on        |
    | ``beta``               | 0             | discount rate of the reward, 1/s                                  |

    With ``rng="netllm"`` (engine `simpy`) attribute ``shared_random`` is the stream that the published schedulers
    sample from, seeded anew at each reset.

    ## Vectorized
    ``gym.make_vec("netenvs/CJS-v0", num_envs=n)`` makes ``CJSVectorEnv``: row i with seed s equals this environment
    with seed s + i.

    ## Variants
    ``netenvs/CJS-small-v0``: 10 executors, 20 jobs. ``netenvs/CJS-overload-v0``: 10 executors, 50 jobs.

    ## References
    Mao et al., *Learning Scheduling Algorithms for Data Processing Clusters*, SIGCOMM 2019 (Decima); Wu et al.,
    *NetLLM*, SIGCOMM 2024.

    ## Version History
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}  # noqa: RUF012

    @takes(CJSOptions)
    def __init__(self, *, render_mode: str | None = None, **options: Any):
        super().__init__(render_mode)
        self.options = CJSOptions.of(options)
        self.engine: Engine = make_engine(self.options, 1, record_tasks=render_mode == "rgb_array")
        if isinstance(self.engine, SimpyEngine) and self.options.rng == "netllm":
            self.shared_random = self.engine.simulators[0].shared_random
        self.observation_space = observation_space(self.options)
        self.action_space = action_space(self.options)
        self._sizes, self._space = self.action_space.nvec, str(self.action_space)
        self._everything = np.ones(1, dtype=np.bool_)

    @property
    def jobs(self) -> JobSet:
        """The job templates."""
        return self.engine.jobs

    @property
    def view(self) -> ClusterView:
        """What a scheduler sees now."""
        self._check_begun()
        return self.engine.view(0)

    def _check_reset_options(self, options: dict[str, Any] | None) -> None:
        check_reset_options(options, ())

    def _seed(self, seed: int | None, rng: np.random.Generator) -> None:
        self.engine.seed_row(0, seed, rng)

    def _begin(self, chosen: None) -> None:
        self.engine.begin(self._everything)

    def _act(self, action: Any) -> tuple[float, bool, bool]:
        """``DeadlockError`` where jobs are unfinished, but nothing is ever going to happen again."""
        engine = self.engine
        engine.step(check_actions(action, (2,), self._sizes, self._space)[None], False)
        reward, terminated, truncated = engine.outcomes[["reward", "terminated", "truncated"]][0].item()
        return reward, terminated, truncated

    def _observation(self) -> Any:
        return observation_of(self.engine, self.options, 0)

    def _info(self) -> dict[str, Any]:
        info: dict[str, Any] = dict(zip(kernel.INFO_COLUMNS, self.engine.outcomes[0].item(), strict=False))
        info["action_mask"] = self.action_masks()
        info["view"] = self.view
        return info

    def _check_begun(self) -> None:
        if not self._seeded:
            raise ValueError("no episode has begun; call reset() first")

    def action_masks(self) -> np.ndarray:
        """bool (max_stages + 1 + num_executors,): the two components of the action, one after the other."""
        mask: np.ndarray = self.engine.observation.action_mask[0].astype(np.bool_)
        return mask

    def jobs_done(self, row: int = 0) -> np.ndarray:
        """The jobs done so far: (job, template, arrival_ms, completion_ms), in order of completion."""
        self._check_begun()
        return self.engine.jobs_done(row)

    def tasks(self) -> np.ndarray:
        """The tasks started so far, ``TASK_LOG`` of ``netenvs.cjs.kernel``; recorded for ``rgb_array`` only."""
        if self.render_mode != "rgb_array":
            raise ValueError("tasks are recorded in environments made with render_mode='rgb_array'")
        self._check_begun()
        return self.engine.tasks(0)

    def episode_figure(self) -> Any:
        """The episode so far as a ``matplotlib.figure.Figure``: Gantt chart and jobs in the system over time."""
        from netenvs.cjs import viewer  # imports matplotlib

        return viewer.episode_figure(*self._episode())

    def _picture(self) -> np.ndarray:
        from netenvs.cjs import viewer  # imports matplotlib

        return viewer.frame(*self._episode())

    def _line(self) -> str:
        from netenvs.cjs import viewer  # imports matplotlib

        info = self.engine.outcomes[0]
        source = f"job {info['source_job']}" if info["source_job"] >= 0 else "the common pool"
        return viewer.line(
            float(info["time_s"]),
            int(info["jobs_in_system"]),
            int(info["jobs_done"]),
            int(info["committable"]),
            self.options.num_executors,
            source if info["committable"] else "",
        )

    def _episode(self) -> tuple[np.ndarray, np.ndarray, int, float, str]:
        """What the viewer draws: tasks, all jobs that have arrived, executors, time, title."""
        waiting = self.view.job_array
        jobs = np.zeros(len(waiting), kernel.JOB_LOG)
        jobs["job"], jobs["template"], jobs["arrival_ms"] = waiting["id"], waiting["template"], waiting["arrival_ms"]
        jobs["completion_ms"] = np.inf
        everything = np.concatenate([self.jobs_done(), jobs])
        everything.sort(order="job")
        title = f"{self.jobs.name}, {self.options.num_executors} executors"
        return self.tasks(), everything, self.options.num_executors, self.view.now_ms, title


class CJSVectorEnv(BatchVectorEnv):
    """A batch of ``CJSEnv`` clusters stepped by one kernel call; the same options.

    Row i with seed s equals the single environment with seed s + i, whatever the batch size. ``infos`` holds the
    scalar columns as arrays (rows,). Attribute ``shared_info`` holds ``clusters``, the engine: ``clusters.view(row)``
    is the ``ClusterView`` of a row, ``clusters.decide(rule)`` the actions of a rule of ``netenvs.cjs.rules``.
    Observations are arrays (rows, ...), with ``observation="graph"`` a tuple of ``GraphInstance``.
    ``autoreset_mode``: ``NEXT_STEP`` (default), ``SAME_STEP`` or ``DISABLED``; then rows are reset by
    ``reset(options={"reset_mask": mask})``, bool (rows,).
    """

    no_step_limit = "time_limit_ms limits the simulated time"

    @takes(CJSOptions)
    def __init__(
        self,
        num_envs: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **options: Any,
    ):
        super().__init__(num_envs, autoreset_mode, max_episode_steps, render_mode)
        self.options = CJSOptions.of(options)
        self.engine: Engine = make_engine(self.options, self.num_envs, record_tasks=False)
        actions = action_space(self.options)
        self._set_spaces(observation_space(self.options), actions)
        self._sizes = actions.nvec

    @property
    def jobs(self) -> JobSet:
        """The job templates."""
        return self.engine.jobs

    @property
    def shared_info(self) -> dict[str, Any]:
        """``clusters``: the engine."""
        return {"clusters": self.engine}

    def action_masks(self) -> np.ndarray:
        """bool (rows, max_stages + 1 + num_executors)."""
        return self.engine.observation.action_mask.astype(np.bool_)

    def jobs_done(self, row: int = 0) -> np.ndarray:
        """The jobs of a row done so far: (job, template, arrival_ms, completion_ms), in order of completion."""
        return self.engine.jobs_done(row)

    def _check_reset_options(self, options: dict[str, Any] | None) -> None:
        check_reset_options(options, ("reset_mask",))

    def _check_actions(self, actions: Any) -> np.ndarray:
        return check_actions(actions, (self.num_envs, 2), self._sizes, self._space)

    def _seed_row(self, row: int, seed: int | None, rng: np.random.Generator) -> None:
        self.engine.seed_row(row, seed, rng)

    def _begin(self, mask: np.ndarray, chosen: None) -> None:
        self.engine.begin(mask)

    def _act(self, actions: np.ndarray, autoreset: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.engine.step(actions, autoreset)
        outcomes = self.engine.outcomes
        return outcomes["reward"].copy(), outcomes["terminated"].copy(), outcomes["truncated"].copy()

    def _over(self) -> np.ndarray:
        over: np.ndarray = self.engine.outcomes["terminated"] | self.engine.outcomes["truncated"]
        return over

    def _observations(self) -> Any:
        if self.options.observation == "padded":
            return self.engine.observation._asdict()
        return tuple(observation_of(self.engine, self.options, row) for row in range(self.num_envs))

    def _columns(self) -> dict[str, Any]:
        return {name: self.engine.outcomes[name].copy() for name in kernel.INFO_COLUMNS}


def observation_space(options: CJSOptions) -> Dict | Graph:
    """Of one cluster."""
    stages, edges, jobs = options.stages_in_view, options.edges_in_view, options.jobs_in_view
    if options.observation == "graph":
        return Graph(Box(0.0, kernel.HIGHEST, (NODE_FEATURES,), np.float32), Discrete(1))
    return Dict(
        stages=Box(0.0, kernel.HIGHEST, (stages, kernel.STAGE_FEATURES), np.float32),
        stage_job=Box(0, max(jobs - 1, 1), (stages,), np.int32),
        stage_mask=_mask(stages),
        edges=Box(0, max(stages - 1, 1), (edges, 2), np.int32),
        edge_mask=_mask(edges),
        jobs=Box(0.0, kernel.HIGHEST, (jobs, kernel.JOB_FEATURES), np.float32),
        job_mask=_mask(jobs),
        cluster=Box(0.0, kernel.HIGHEST, (kernel.CLUSTER_FEATURES,), np.float32),
        action_mask=_mask(1 + stages + options.num_executors),
    )


def _mask(size: int) -> Box:
    """Not MultiBinary, which some libraries do not take."""
    return Box(0, 1, (size,), np.int8)


def action_space(options: CJSOptions) -> MultiDiscrete:
    """Of one cluster."""
    return MultiDiscrete(np.array([options.stages_in_view + 1, options.num_executors]))


def observation_of(engine: Engine, options: CJSOptions, row: int) -> Any:
    """The observation of one row: a ``dict`` of arrays, or a ``GraphInstance``."""
    padded = engine.observation
    if options.observation == "padded":
        return {name: values[row] for name, values in zip(padded._fields, padded, strict=True)}
    num_stages, num_edges = int(padded.stage_mask[row].sum()), int(padded.edge_mask[row].sum())
    jobs = padded.stage_job[row, :num_stages]
    nodes = np.concatenate(
        [padded.stages[row, :num_stages], padded.jobs[row, jobs], jobs[:, None].astype(np.float32)], axis=1
    )
    if num_edges == 0:
        return GraphInstance(nodes, None, None)
    return GraphInstance(nodes, np.zeros(num_edges, dtype=np.int64), padded.edges[row, :num_edges].copy())
