"""Make ``spark_eventlog.json``: the event log of a real PySpark run in local mode.

    pip install -e ".[spark]"        # needs Java 17 or newer
    python tests/artifacts/cjs/make_spark_eventlog.py tests/artifacts/cjs/spark_eventlog.json

On two task slots: a word count (two stages), a join of that count, whose stages Spark skips, with two new ones, a job
with a task whose first attempt fails, and an SQL query (aggregate, sort-merge join, aggregate) that adaptive execution
splits into several Spark jobs. Metrics, accumulators, call sites and properties, which are nine tenths of the log, are
removed, and so are all kinds of events not named in ``KEPT`` (some hold paths and host names); what remains is as
Spark wrote it.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

KEPT = (
    "SparkListenerLogStart",
    "SparkListenerApplicationStart",
    "SparkListenerExecutorAdded",
    "SparkListenerJobStart",
    "SparkListenerStageSubmitted",
    "SparkListenerTaskEnd",
    "SparkListenerStageCompleted",
    "SparkListenerJobEnd",
    "SparkListenerApplicationEnd",
)
TEXT = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "the", "cat", "sleeps"]


def busy(word, rounds=20_000):
    """Work of some milliseconds."""
    total = 0
    for i in range(rounds):
        total = (total * 31 + len(word) + i) % 1_000_003
    return word, total % 7


def fail_once(index, words):
    """Raise in the first attempt of partition 1."""
    from pyspark import TaskContext

    context = TaskContext.get()
    if index == 1 and context is not None and context.attemptNumber() == 0:
        raise RuntimeError("made to fail")
    return iter([sum(busy(word)[1] for word in words)])


def run(folder):
    """Run the jobs with an event log in ``folder``."""
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    conf = SparkConf().setMaster("local[2,2]").setAppName("netenvs-test")  # two slots, two attempts
    conf.set("spark.eventLog.enabled", "true").set("spark.eventLog.dir", f"file://{folder}")
    conf.set("spark.eventLog.compress", "false").set("spark.eventLog.rolling.enabled", "false")
    conf.set("spark.ui.enabled", "false").set("spark.sql.shuffle.partitions", "3")
    conf.set("spark.driver.host", "localhost").set("spark.driver.bindAddress", "127.0.0.1")
    with SparkContext(conf=conf) as context:
        context.setLogLevel("OFF")
        words = context.parallelize(TEXT * 20, 6).map(busy)
        counts = words.map(lambda pair: (pair[0], 1)).reduceByKey(lambda a, b: a + b, 3)
        counts.count()
        largest = words.reduceByKey(max, 3)
        smallest = context.parallelize(TEXT * 4, 2).map(busy).reduceByKey(min, 2)
        largest.join(smallest, 4).join(counts, 4).count()
        context.parallelize(TEXT * 4, 3).mapPartitionsWithIndex(fail_once).collect()
        session = SparkSession(context)
        sales = session.range(0, 200_000, 1, 4).selectExpr("id % 1000 AS item", "id AS price")
        items = session.range(0, 1000, 1, 2).selectExpr("id AS item", "id % 7 AS shelf")
        joined = sales.groupBy("item").sum("price").join(items.hint("merge"), "item")
        joined.groupBy("shelf").count().collect()


def trim(line):
    """One event without accumulators, or None for one that is not kept."""
    event = json.loads(line)
    if event["Event"] not in KEPT:
        return None
    for part in (event.get("Task Info", {}), event.get("Stage Info", {}), *event.get("Stage Infos", [])):
        for key in ("Accumulables", "Details", "Stage Name"):
            part.pop(key, None)
        if "RDD Info" in part:
            part["RDD Info"] = [{"RDD ID": rdd["RDD ID"]} for rdd in part["RDD Info"]]
    for key in ("Task Executor Metrics", "Task Metrics", "User"):
        event.pop(key, None)
    if properties := event.pop("Properties", None):
        event["Properties"] = {key: value for key, value in properties.items() if key.startswith("spark.sql.execution")}
    if "Task End Reason" in event:
        event["Task End Reason"] = {"Reason": event["Task End Reason"]["Reason"]}
    if "Executor Info" in event:
        event["Executor Info"] = {"Total Cores": event["Executor Info"]["Total Cores"]}
    return json.dumps(event, separators=(",", ":"))


def main(target):
    os.environ["SPARK_LOCAL_HOSTNAME"] = "localhost"
    with tempfile.TemporaryDirectory() as folder:
        run(folder)
        (log,) = (path for path in Path(folder).iterdir() if not path.name.startswith("."))
        lines = [trimmed for line in log.read_text().splitlines() if (trimmed := trim(line))]
    Path(target).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
