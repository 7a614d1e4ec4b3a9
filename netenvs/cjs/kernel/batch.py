"""The functions that Python calls: one call for a batch of clusters."""

from __future__ import annotations

from netenvs.cjs.kernel.episode import begin_episode, commit, is_over, resume, step_row
from netenvs.cjs.kernel.schedulers import decide
from netenvs.cjs.kernel.state import PAUSED, READY, borrow, cluster_of
from netenvs.cjs.kernel.views import utilisation, view_jobs, view_stages
from netenvs.compiled import kernel


@kernel
def reset_rows(workload, options, batch, mask):
    """Begin an episode in every row of ``mask``, bool (rows,), with its key and episode."""
    workload = borrow(workload)
    for row in range(len(mask)):
        if mask[row]:
            cluster = cluster_of(batch, row)
            begin_episode(workload, options, cluster)
            resume(workload, options, cluster)


@kernel
def resume_rows(workload, options, batch):
    """Run on in rows that were paused, after they were given more room."""
    workload = borrow(workload)
    for row in range(len(batch.state)):
        if batch.state[row].status == PAUSED:
            resume(workload, options, cluster_of(batch, row))


@kernel
def step_rows(workload, options, batch, stages, executors, autoreset):
    """One decision in every row, see ``step_row``; returns how many rows are over now, or not READY.

    ``stages`` int64 (rows,): number of a stage's pool, 0 = decline; ``executors`` int64 (rows,): 1 and more. What
    is not possible is replaced by the nearest possible decision and marked in ``invalid_action``.
    """
    workload = borrow(workload)
    count = 0
    for row in range(len(stages)):
        count += step_row(workload, options, cluster_of(batch, row), stages[row], executors[row], autoreset)
    return count


@kernel
def decide_rows(workload, options, batch, rule, stages, executors):
    """Write the decisions of a ``Rule`` into int64 (rows,) arrays; (0, 0) in rows that are over."""
    workload = borrow(workload)
    for row in range(len(stages)):
        stages[row], executors[row] = 0, 0
        if not is_over(batch.state[row]) and batch.state[row].status == READY:
            stages[row], executors[row] = decide(workload, options, cluster_of(batch, row), rule)


@kernel
def play_rows(workload, options, batch, rule, most):
    """Let a ``Rule`` play each row to its end, or for ``most`` decisions a row; returns the decisions made.

    Rows that pause stop earlier. ``state.reward`` is that of the last decision.
    """
    workload = borrow(workload)
    played = 0
    for row in range(len(batch.state)):
        cluster = cluster_of(batch, row)
        state = cluster.state[0]
        begun = state.num_decisions
        while state.num_decisions - begun < most and not is_over(state) and state.status == READY:
            stage, executors = decide(workload, options, cluster, rule)
            commit(workload, options, cluster, stage, executors)
        played += state.num_decisions - begun
    return played


@kernel
def view_jobs_of_row(workload, options, batch, row, views):
    return view_jobs(borrow(workload), options, cluster_of(batch, row), views)


@kernel
def view_stages_of_row(workload, options, batch, row, views):
    view_stages(borrow(workload), options, cluster_of(batch, row), views)


@kernel
def utilisation_of_row(options, batch, row):
    return utilisation(options, cluster_of(batch, row))
