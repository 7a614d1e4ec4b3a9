"""Mean completion times of jobs under a scheduler."""

import numpy as np

from agents.cjs.clusters import Setting, start
from agents.cjs.scheduler import Heuristic
from agents.cjs.scores import mean_jcts_s
from agents.policy import load_policy


def mean_jct_s(name, num_executors, num_jobs, workload="tpch", seeds=range(40)):
    """Mean completion time under a scheduler; rules play inside the kernel, all episodes at once."""
    scheduler, setting = load_policy(name, "cjs"), Setting(num_executors, num_jobs)
    if not isinstance(scheduler, Heuristic):
        return mean_jcts_s(scheduler, workload, setting, seeds).mean()
    clusters = start(setting, workload, seeds).clusters
    clusters.play(scheduler.rule(num_executors))
    return np.mean([clusters.mean_jct_s(row) for row in range(len(seeds))])
