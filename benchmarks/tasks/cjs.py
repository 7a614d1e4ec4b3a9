"""Spark cluster job scheduling: completion times of jobs, and what the cluster did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from agents.rollout import Episode
from benchmarks.tasks.setup import Distribution, Metric, Setup, TaskComparison, Term
from netenvs.cjs.options import RECORDED, CJSOptions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TERMS = (
    Term(
        "p95_jct_s",
        "p95 of JCT (s)",
        "p95 JCT\ns",
        "lower",
        "The 95th percentile of the job completion times of an episode: what the slowest jobs pay for a good mean.",
        decimals=1,
    ),
    Term("makespan_s", "makespan (s)", "makespan\ns", "lower", "Until the last job of an episode is done.", decimals=0),
    Term(
        "utilisation",
        "executors at work (share of time)",
        "executors\nat work",
        "",
        "Share of all executors' time spent on tasks. More is not better in itself: tasks take longer where many "
        "executors work for one job.",
        decimals=3,
    ),
    Term(
        "decisions",
        "decisions (per episode)",
        "decisions\n/episode",
        "",
        "How often the policy was asked: once for every stage that it gives executors to.",
        decimals=0,
    ),
)


def _completion_times_s(episode: Episode) -> np.ndarray:
    """float64 (jobs,), in order of completion."""
    jobs = episode.collected
    times: np.ndarray = (jobs["completion_ms"] - jobs["arrival_ms"]) / 1000.0
    return times


def _setup(env: gym.Env) -> Setup:
    world: Any = env.unwrapped
    options, jobs = world.options, world.jobs
    env.reset(seed=0)  # raises what the options have against each other, before anything is played

    def term_values(episode: Episode) -> dict[str, float]:
        return {
            "p95_jct_s": float(np.percentile(_completion_times_s(episode), 95)),
            "makespan_s": float(episode.columns["time_s"][-1]),
            "utilisation": float(episode.columns["utilisation"][-1]),
            "decisions": float(len(episode.actions)),
        }

    rules = {
        "netllm": "random streams and order of executors of the simulator published with NetLLM",
        "native": "durations depend on (seed, job, stage, task), so all policies meet the same luck",
    }
    return Setup(
        dataset=jobs.name,
        metric=Metric("mean_jct_s", "s", "lower", "mean JCT (s)", ratio_scale=True, decimals=1),
        terms=TERMS,
        score=lambda episode: float(episode.columns["mean_jct_s"][-1]),
        term_values=term_values,
        collect=lambda world, row: world.jobs_done(row),
        distribution=Distribution("jct_s", "job completion time, JCT (s)", "job", _completion_times_s),
        details={
            "cluster": f"{options.num_executors} executors, {options.moving_delay_ms / 1000:g} s to move to another job"
            + (", work-conserving" if options.work_conserving else ""),
            "jobs": _arrivals(options, len(jobs)),
            "randomness": f"{options.rng}: {rules[options.rng]}",
            "job completion time": "JCT, from the arrival of a job to the end of its last task; the metric of an "
            "episode is the mean over its jobs",
        },
    )


def _arrivals(options: CJSOptions, num_templates: int) -> str:
    if options.arrivals == RECORDED:
        many = num_templates if options.num_jobs is None else min(options.num_jobs, num_templates)
        return f"{many} an episode out of {num_templates}, which arrive as recorded"
    mean_s = options.mean_interarrival_ms / 1000
    return f"{options.num_jobs} an episode out of {num_templates} templates, one every {mean_s:g} s on average"


def _example(world: Any) -> tuple[Figure, dict[str, np.ndarray]]:
    from netenvs.cjs import viewer

    return world.episode_figure(), viewer.gantt_columns(world.tasks())


TASK = TaskComparison(
    refused={
        "time_limit_ms": "an episode is played until all its jobs are done; one that was cut off would leave out "
        "the slow jobs, and its mean JCT would look better than it is",
        "beta": "it only changes the reward, which a comparison does not show",
    },
    setup=_setup,
    terms_title="tail, makespan, utilisation and decisions",
    reference="fair",
    example=_example,
    example_options={"render_mode": "rgb_array"},
    example_note="What each executor worked for, a colour and number for each job, and the jobs in the system "
    "over time.",
)
