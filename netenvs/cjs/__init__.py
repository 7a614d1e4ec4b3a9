"""Spark cluster job scheduling (Decima lineage): environment, dynamics, workloads, viewer."""

from netenvs import moved

moved.keep(
    {
        "netenvs.cjs.alibaba": "netenvs.cjs.job_files.alibaba",
        "netenvs.cjs.json_jobs": "netenvs.cjs.job_files.json_jobs",
        "netenvs.cjs.spark_eventlog": "netenvs.cjs.job_files.spark.jobs",
    }
)
