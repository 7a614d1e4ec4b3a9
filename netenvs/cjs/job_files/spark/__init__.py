"""Jobs of Apache Spark event logs (``spark.eventLog.enabled``), of Spark 1.4 and later and of Databricks.

An event log is one JSON object per line, with its kind as ``Event``. Read here: ``SparkListenerExecutorAdded`` (task
slots of an executor), ``SparkListenerJobStart`` (the stages of a Spark job and their 'Parent IDs'),
``SparkListenerTaskEnd`` (launch and finish time in ms), ``SparkListenerStageCompleted`` and ``SparkListenerJobEnd``.
Format: ``core/src/main/scala/org/apache/spark/util/JsonProtocol.scala`` of https://github.com/apache/spark. What a
version did not write yet has the value that Spark's own reader takes for it.

A job here is a query: adaptive execution of Spark SQL starts one Spark job per stage, so Spark jobs that share
``spark.sql.execution.root.id`` (or, before Spark 3.4, ``spark.sql.execution.id``) make one job. A later
Spark job of a query lists the stages of the earlier ones again, under new numbers, and skips them; they are
known by the RDD that they compute. A Spark job outside SQL is a job of its own.

An executor of the simulator runs one task at a time, so it is one *slot* of a Spark executor. Tasks are put
on slots in the order of their launch. The first task of a slot in the application is ``fresh`` (it pays for
the start of the executor), the first of a slot in a stage is ``first``, all others are ``rest``. The level is
the number of slots that were used. A job arrives when its first Spark job is submitted.
"""

from __future__ import annotations

from netenvs.cjs.job_files.spark.events import is_event_log
from netenvs.cjs.job_files.spark.jobs import read_event_log, read_jobs
from netenvs.cjs.job_files.spark.parts import group_parts

__all__ = ["group_parts", "is_event_log", "read_event_log", "read_jobs"]
