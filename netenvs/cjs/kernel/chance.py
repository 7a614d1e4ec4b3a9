"""Random numbers of the cluster, each a hash of its place (job, stage, task)."""

from __future__ import annotations

import numpy as np

from netenvs.compiled import kernel
from netenvs.random import hash64, uniform

# Positions in the random stream of a job: its arrival, then its stages.
ARRIVAL_POSITION = 0
FIRST_STAGE_POSITION = 1
# At the position of its stage, every task has two numbers; the arrival has two, too.
LEVEL_NUMBER, SAMPLE_NUMBER = 0, 1
TEMPLATE_NUMBER, GAP_NUMBER = 0, 1


@kernel
def task_uniform(key, episode, job, stage, task, number):
    """A double in [0, 1): number ``LEVEL_NUMBER`` or ``SAMPLE_NUMBER`` of one task."""
    return uniform(hash64(key, episode, job), FIRST_STAGE_POSITION + stage, 2 * task + number)


@kernel
def arriving_template(key, episode, job, num_templates):
    """Template of one job, each with the same probability."""
    return int(uniform(hash64(key, episode, job), ARRIVAL_POSITION, TEMPLATE_NUMBER) * num_templates)


@kernel
def first_recorded(key, episode, num_recorded, num_jobs):
    """Which recorded arrival an episode begins with, each with the same probability; ``num_jobs`` of NONE: any."""
    choices = num_recorded if num_jobs < 0 else max(1, num_recorded - num_jobs + 1)
    return arriving_template(key, episode, 0, choices)


@kernel
def interarrival_ms(key, episode, job, mean_ms):
    """Exponential time from the arrival of ``job`` to that of the next one, ms."""
    return -np.log1p(-uniform(hash64(key, episode, job), ARRIVAL_POSITION, GAP_NUMBER)) * mean_ms
