"""Files of jobs: the table of their formats, the most particular first."""

from __future__ import annotations

from netenvs.cjs.job_files import alibaba, json_jobs, spark
from netenvs.readers.reader import Reader

READERS = (
    Reader(
        name="spark-eventlog", title="an event log of Apache Spark", sniff=spark.is_event_log, read=spark.read_event_log
    ),
    Reader(
        name="alibaba", title="the table batch_task of Alibaba's trace", sniff=alibaba.is_table, read=alibaba.read_table
    ),
    Reader(name="json", title="a JSON workload", sniff=json_jobs.is_workload, read=json_jobs.read_workload),
)
"""Each reads one file, or one log in parts, and gives a list of :class:`~netenvs.cjs.jobs.Job`."""
