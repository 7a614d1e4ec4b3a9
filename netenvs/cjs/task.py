"""Job scheduling on a Spark cluster as a task; see ``netenvs.tasks``."""

from __future__ import annotations

from netenvs.tasks import Choice, Task


def _datasets() -> list[Choice]:
    from netenvs import datasets
    from netenvs.cjs import workload
    from netenvs.cjs.job_files import READERS

    installed = datasets.installed(workload.DATASET)
    return [
        Choice("synthetic"),
        Choice("tpch", installed, f"python -m netenvs.datasets install {workload.DATASET}"),
        *(Choice(f"{reader.name}(path=FILE)") for reader in READERS),
        Choice("FILE"),
    ]


TASK = Task(
    name="cjs",
    title="Spark cluster job scheduling",
    env_id="netenvs/CJS-v0",
    entry_point="netenvs.cjs.env:CJSEnv",
    vector_entry_point="netenvs.cjs.env:CJSVectorEnv",
    variants={
        "netenvs/CJS-small-v0": {"num_executors": 10, "num_jobs": 20},
        "netenvs/CJS-overload-v0": {"num_executors": 10, "num_jobs": 50},
    },
    played_id="netenvs/CJS-small-v0",
    dataset_option="workload",
    dataset_kind="workload",
    datasets=_datasets,
    inspect="netenvs.cjs.inspection:inspect",
    units={
        "action": "(stage row from 1, 0 = decline; executors - 1)",
        "reward": "- seconds in the system, summed over jobs",
        "obs": "scaled features of netenvs.cjs.env.CJSEnv",
        "obs/stage_job": "row of obs/jobs",
        "obs/edges": "(parent, child) rows of obs/stages",
        "executor_limit": "executors",
    },
)
