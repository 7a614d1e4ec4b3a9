"""Views of clusters that a test describes job by job."""

import numpy as np

from netenvs.cjs.cluster_view import ClusterView
from netenvs.cjs.jobs import Job, Stage, make_job_set
from netenvs.cjs.kernel import JOB_VIEW, NONE, OUTCOME, STAGE_VIEW


def make_view(jobs, committable=4, source=None, num_executors=10, source_executors=None, can_decline=True):
    """A view of jobs (supply, stages); a stage is a dict of what differs from one that is schedulable."""
    template = make_job_set("hand", [Job("hand", [Stage(1, {5: [1.0]})])])
    usual = {"remaining": 2, "demand": 2, "rough_ms": 1000.0, "critical_path_ms": 1000.0}
    flags = {"ready": True, "frontier": True, "schedulable": True}
    job_array = np.zeros(len(jobs), JOB_VIEW)
    rows = []
    for number, (supply, stages) in enumerate(jobs):
        job_array[number]["id"], job_array[number]["supply"] = number, supply
        job_array[number]["num_stages"] = len(stages)
        rows += [{"job": number, "id": i, **usual, **flags, **stage} for i, stage in enumerate(stages)]
    stage_array = np.zeros(len(rows), STAGE_VIEW)
    for index, row in enumerate(rows):
        for name, value in {"row": index + 1, **row}.items():
            stage_array[index][name] = value
    outcome = np.zeros(1, OUTCOME)[0]
    outcome["now_ms"], outcome["can_decline"], outcome["committable"] = 1500.0, can_decline, committable
    outcome["source_job"], outcome["source_stage"] = NONE if source is None else source, NONE
    outcome["source_executors"] = committable if source_executors is None else source_executors
    return ClusterView(template, num_executors, outcome, job_array, stage_array)


def decided(scheduler, view):
    """((job, stage), executors), or None for a decline."""
    stage, executors = scheduler.decide(view)
    return None if stage is None else ((stage.job.id, stage.id), executors)


WAITING = {"frontier": False}
BLOCKED = {"ready": False, "frontier": False, "schedulable": False}
DONE = {"remaining": 0, "completed": 2, "demand": 0, **BLOCKED}
