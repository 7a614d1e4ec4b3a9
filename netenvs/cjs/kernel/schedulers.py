"""Schedulers that decide inside the kernel."""

from __future__ import annotations

import numpy as np

from netenvs.cjs.kernel.stages import committable, find_stage
from netenvs.cjs.kernel.state import ACTIVE, COMMON, NONE
from netenvs.compiled import kernel

FAIR = 0
"""As a cap: N / jobs in the system, rounded up."""


@kernel
def decide_capped(workload, options, cluster, cap):
    """(stage, executors): the source's own job first, then jobs in order of arrival, each up to ``cap`` executors.

    ``cap=FAIR`` is the published ``fair``, ``cap=ceil(N / 2)`` the published ``fifo``, ``cap=N`` is ``fifo-full``.
    """
    state, jobs, active = cluster.state[0], cluster.jobs, cluster.slots[ACTIVE]
    offered = np.int64(committable(cluster, state.source))
    own = cluster.pools[state.source].job
    if own != NONE and jobs[own].active:
        stage = find_stage(workload, options, cluster, own)
        if stage != NONE:
            return stage, offered
    limit = (options.num_executors + state.num_active - 1) // state.num_active if cap == FAIR else cap
    for position in range(state.num_active):
        slot = active[position]
        if slot != own and jobs[slot].supply < limit:
            stage = find_stage(workload, options, cluster, slot)
            if stage != NONE:
                return stage, min(offered, limit - np.int64(jobs[slot].supply))
    return np.int64(COMMON), np.int64(0)
