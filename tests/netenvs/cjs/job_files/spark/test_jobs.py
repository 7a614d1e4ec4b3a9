"""Event logs: that of a real Spark run, what versions and writers of Spark do differently, and what is broken."""

import gzip
import itertools
import json
import zipfile

import pytest

from netenvs.cjs.job_files import spark
from netenvs.cjs.jobs import FIRST, FRESH, REST
from netenvs.cjs.workload import load_workload, read_jobs, recognise
from netenvs.readers.sources import Source


def write(path, text):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


NAMES = ("job-0", "job-1", "job-2", "query-0")


@pytest.fixture
def log(artifacts):
    return artifacts / "cjs" / "spark_eventlog.json"


def events_of(log):
    return [json.loads(text) for text in log.read_text().splitlines()]


def text_of(events):
    return "".join(json.dumps(event) + "\n" for event in events)


def test_spark_jobs_of_a_real_run(log):
    assert log.stat().st_size < 100_000
    assert recognise(log) == "spark-eventlog"
    jobs = load_workload(str(log))
    assert jobs.names == NAMES
    count, join, retried, query = (jobs.template(index) for index in range(4))
    assert (count.num_tasks.tolist(), count.edges) == ([6, 3], [(0, 1)])
    # the word count that is joined is there already, so its two stages were skipped
    assert (join.num_tasks.tolist(), join.edges) == ([6, 2, 5, 7, 4], [(0, 2), (1, 2), (2, 3), (3, 4)])
    assert (retried.num_tasks.tolist(), retried.edges) == ([3], [])
    # four Spark jobs: two inputs (2 and 4 partitions), their join and the last aggregate (1 partition each)
    assert (query.num_tasks.tolist(), query.edges) == ([2, 4, 1, 1], [(0, 2), (1, 2), (2, 3)])


def test_spark_durations_are_those_of_the_successful_tasks(log):
    expected = {}
    for event in events_of(log):
        if event["Event"] == "SparkListenerTaskEnd" and event["Task End Reason"]["Reason"] == "Success":
            info = event["Task Info"]
            expected.setdefault(event["Stage ID"], []).append(info["Finish Time"] - info["Launch Time"])
    jobs = load_workload(str(log))
    found = [sample for j in range(4) for sample in samples_of_stages(jobs.template(j))]
    assert sorted(found) == sorted(sorted(samples) for samples in expected.values())


def samples_of_stages(job):
    """Sorted durations of each stage; first borrows from rest where all first tasks were fresh."""
    for stage in range(len(job)):
        fresh, first, rest = (job.durations(stage, wave).tolist() for wave in range(3))
        yield sorted(fresh + rest if first == rest else fresh + first + rest)


def test_spark_waves_of_two_slots(log):
    jobs = load_workload(str(log))
    counts = jobs.cell_count[:, :, 0].tolist()
    # two slots: the first two tasks of the application are fresh, the first two of every other stage first
    assert counts[0] == [2, 4, 4]
    assert all(fresh == 0 for fresh, _, _ in counts[1:])
    # (the two tasks of the fourth stage ran one after the other, beside another stage)
    assert [first for _, first, _ in counts[1:7]] == [2, 2, 1, 2, 2, 2]
    # of the retried stage a slot's first attempt may be the one that failed
    assert counts[7][1] + counts[7][2] == 3
    assert [first for _, first, _ in counts[8:]] == [2, 2, 1, 1]
    job = jobs.template(0)
    assert min(job.durations(0, FRESH)) > 2 * max(job.durations(0, REST))  # Python workers were started


@pytest.mark.parametrize("name", ["log", "log.gz"])
def test_spark_log_plain_or_gzip(tmp_path, log, name):
    path = write(tmp_path / name, log.read_text())
    assert load_workload(path).durations_ms.tolist() == load_workload(str(log)).durations_ms.tolist()
    assert load_workload(f"spark-eventlog(path={path})").names == NAMES


def test_spark_log_in_parts(tmp_path, log):
    lines = log.read_text().splitlines(keepends=True)
    folder = tmp_path / "eventlog_v2_local-1"
    folder.mkdir()
    (folder / "appstatus_local-1").write_text("")
    for part in range(11):  # 10 comes after 9, not after 1
        end = None if part == 10 else 8 * part + 8
        (folder / f"events_{part + 1}_local-1").write_text("".join(lines[8 * part : end]))
    assert load_workload(str(folder)).durations_ms.tolist() == load_workload(str(log)).durations_ms.tolist()


def test_spark_log_in_parts_with_damage_in_the_middle(tmp_path, log):
    text = log.read_text()
    half = text.index("SparkListenerJobEnd")
    (tmp_path / "events_1_local-1").write_text(text[:half])
    (tmp_path / "events_2_local-1").write_text(text[text.index("\n", half) + 1 :])
    with pytest.raises(ValueError, match=r"events_1_local-1:\d+: not as Spark writes it"):
        load_workload(f"spark-eventlog(path={tmp_path},strict=true)")
    with pytest.warns(
        UserWarning, match=r"1 event left out: not as Spark writes it \(.*events_1_local-1:\d+: no event"
    ):
        load_workload(str(tmp_path))


def test_spark_log_of_an_application_that_still_runs(tmp_path, log):
    text = log.read_text()
    cut = text[: text.index('"SparkListenerJobEnd","Job ID":1') + 10]
    with pytest.warns(UserWarning, match=r"1 job left out: it did not end \(job-1: Spark job 1\)"):
        jobs = load_workload(write(tmp_path / "log.inprogress", cut))
    assert jobs.names == ("job-0",)


def changed(log, change):
    events = events_of(log)
    for event in events:
        change(event)
    return text_of(events)


def test_spark_jobs_that_failed_are_left_out(tmp_path, log):
    def fail(event):
        if event["Event"] == "SparkListenerJobEnd" and event["Job ID"] == 2:
            event["Job Result"] = {"Result": "JobFailed"}

    with pytest.warns(UserWarning, match=r"1 job left out: it did not end well \(job-2: JobFailed\)"):
        jobs = load_workload(write(tmp_path / "log", changed(log, fail)))
    assert jobs.names == ("job-0", "job-1", "query-0")


def test_spark_query_of_which_one_part_failed(tmp_path, log):
    def fail(event):
        if event["Event"] == "SparkListenerJobEnd" and event["Job ID"] == 4:
            event["Job Result"] = {"Result": "JobFailed"}

    with pytest.warns(UserWarning, match=r"1 job left out: it did not end well \(query-0: JobFailed\)"):
        assert load_workload(write(tmp_path / "log", changed(log, fail))).names == NAMES[:3]


def test_spark_jobs_without_a_query_are_jobs_of_their_own(tmp_path, log):
    jobs = load_workload(write(tmp_path / "log", changed(log, lambda event: event.pop("Properties", None))))
    assert jobs.names == tuple(f"job-{number}" for number in range(7))
    assert [jobs.template(number).edges for number in range(3, 7)] == [[]] * 4


def test_spark_before_3_4_names_the_query_otherwise(tmp_path, log):
    def older(event):
        event.get("Properties", {}).pop("spark.sql.execution.root.id", None)

    jobs = load_workload(write(tmp_path / "log", changed(log, older)))
    assert jobs.names == NAMES
    assert jobs.template(3).edges == [(0, 2), (1, 2), (2, 3)]


def test_spark_stages_without_a_successful_task(tmp_path, log):
    def kill(event):
        if event["Event"] == "SparkListenerTaskEnd" and event["Stage ID"] == 1:
            event["Task Info"]["Killed"] = True

    with pytest.warns(UserWarning, match=r"no task of a stage succeeded \(job-0: stage 1\)"):
        assert load_workload(write(tmp_path / "log", changed(log, kill))).names == NAMES[1:]


def test_spark_repeated_tasks_count_once(tmp_path, log):
    events = events_of(log)
    ends = [event for event in events if event["Event"] == "SparkListenerTaskEnd"]
    again = json.loads(json.dumps(ends[3]))
    again["Task Info"] |= {"Attempt": 1, "Speculative": True}
    again["Task Info"]["Finish Time"] += 50_000
    events.append(again)
    jobs = load_workload(write(tmp_path / "log", text_of(events)))
    assert sum(map(len, samples_of_stages(jobs.template(0)))) == 9
    assert jobs.durations_ms.max() < 50_000


def test_spark_job_whose_stages_were_all_skipped(tmp_path, log):
    def stage(event):
        return event.get("Stage ID", event.get("Stage Info", {}).get("Stage ID"))

    events = [event for event in events_of(log) if stage(event) not in (0, 1)]
    with pytest.warns(UserWarning, match=r"all of its stages were skipped \(job-0\)"):
        assert load_workload(write(tmp_path / "log", text_of(events))).names == NAMES[1:]


def start(log):
    return log.read_text().splitlines()[0] + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no job in this Spark event log"),
        ("{}\n", "no job in this Spark event log; 1 event left out: not as Spark writes it .*file:2: no event"),
        ("hello\n{}\n", "file: 2 of 3 lines are no events"),
        ('{"Event": "SparkListenerJobEnd", "Job ID": 1e999}\n', "file:2: SparkListenerJobEnd: "),
        ('{"Event": "SparkListenerTaskEnd"}\n', r"file:2: SparkListenerTaskEnd: lacks"),
        ('{"Event": "SparkListenerJobStart", "Job ID": 1, "Stage Infos": 3}\n', "file:2: SparkListenerJobStart: "),
        (
            '{"Event": "SparkListenerJobStart", "Job ID": 1, "Stage Infos": []}\n',
            r"1 job left out: it did not end \(job-1",
        ),
    ],
)
def test_spark_logs_that_cannot_be_used(tmp_path, log, text, message):
    path = write(tmp_path / "file", start(log) + text)
    with pytest.raises(ValueError, match=message) as caught:
        load_workload(path)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


# made here, event by event


def event(kind, **fields):
    return json.dumps({"Event": f"SparkListener{kind}", **fields}) + "\n"


def stage_info(number, tasks, parents=(), **fields):
    rdd = {"RDD ID": 10 + number, "Name": "r"}
    return {"Stage ID": number, "Number of Tasks": tasks, "RDD Info": [rdd], "Parent IDs": list(parents), **fields}


def job_start(number, stages, at=0):
    return event("JobStart", **{"Job ID": number, "Submission Time": at, "Stage Infos": stages, "Properties": {}})


def job_end(number):
    return event("JobEnd", **{"Job ID": number, "Job Result": {"Result": "JobSucceeded"}})


def task_end(number, stage, index, launch, finish, reason="Success", **info):
    known = {"Task ID": number, "Index": index, "Launch Time": launch, "Executor ID": "1", "Finish Time": finish}
    return event(
        "TaskEnd", **{"Stage ID": stage, "Task End Reason": {"Reason": reason}, "Task Info": {**known, **info}}
    )


def executor(number, cores):
    return event("ExecutorAdded", **{"Executor ID": number, "Executor Info": {"Total Cores": cores}})


def small(version="3.5.1"):
    """A log of one job of two stages."""
    return (
        event("LogStart", **{"Spark Version": version})
        + executor("1", 2)
        + job_start(0, [stage_info(0, 2), stage_info(1, 1, [0])], at=1000)
        + task_end(0, 0, 0, 1000, 1100)
        + task_end(1, 0, 1, 1000, 1120)
        + task_end(2, 1, 0, 1120, 1150)
        + job_end(0)
    )


def waves(path):
    """Samples of each stage of the first job, by wave."""
    job = load_workload(str(path)).template(0)
    return [[job.durations(stage, wave).tolist() for wave in (FRESH, FIRST, REST)] for stage in range(len(job))]


def test_spark_files_however_packed_and_a_folder_of_applications(tmp_path):
    zstandard, cramjam = pytest.importorskip("zstandard"), pytest.importorskip("cramjam")
    expected = waves(write(tmp_path / "plain", small()))
    for name, content in {
        "log.zstd": zstandard.compress(small().encode()),
        "log.lz4": bytes(cramjam.lz4.compress(small().encode())),
        "log.snappy": bytes(cramjam.snappy.compress(small().encode())),
    }.items():
        (tmp_path / name).write_bytes(content)
        assert waves(tmp_path / name) == expected
    with zipfile.ZipFile(tmp_path / "eventLogs-app.zip", "w") as archive:  # as the history server gives it
        archive.writestr("eventlog_v2_app/appstatus_app", "")
        archive.writestr("eventlog_v2_app/events_1_app.zstd", zstandard.compress(small().encode()))
    assert waves(tmp_path / "eventLogs-app.zip") == expected
    (tmp_path / "eventLogs-app.zip").unlink()
    jobs = load_workload(str(tmp_path))
    assert jobs.names == tuple(f"{name}/job-0" for name in ("log.lz4", "log.snappy", "log.zstd", "plain"))


def test_spark_log_that_was_compacted(tmp_path):
    lines = small().splitlines(keepends=True)
    folder = tmp_path / "eventlog_v2_app"
    folder.mkdir()
    for name, text in {
        "events_1_app": "old\n",
        "events_2_app": "old\n",
        "events_2_app.compact": "".join(lines[:4]),
        "events_3_app": "".join(lines[4:]),
        "appstatus_app": "",
    }.items():
        (folder / name).write_text(text)
    assert waves(folder) == waves(write(tmp_path / "plain", small()))


def test_spark_logs_of_databricks(tmp_path):
    first = json.dumps({"Event": "DBCEventLoggingListenerMetadata", "Rollover Number": 0}) + "\n"
    lines = small().splitlines(keepends=True)
    plain = write(tmp_path / "dbc.log", first + small())
    assert recognise(plain) == "spark-eventlog"
    (tmp_path / "logs").mkdir()
    write(tmp_path / "logs" / "eventlog-2024-05-01--10-00.gz", first + "".join(lines[:3]))
    write(tmp_path / "logs" / "eventlog-2024-05-01--11-00.gz", "".join(lines[3:5]))
    write(tmp_path / "logs" / "eventlog", "".join(lines[5:]))
    assert waves(tmp_path / "logs") == waves(plain)


def test_spark_tasks_whose_end_is_told_again_take_no_slot(tmp_path):
    lines = small().splitlines(keepends=True)
    again = task_end(0, 0, 0, 1000, 1100, reason="Resubmitted") + lines[4]
    assert waves(write(tmp_path / "again", "".join([*lines[:5], again, *lines[5:]]))) == waves(
        write(tmp_path / "plain", small())
    )
    retried = task_end(5, 0, 0, 1200, 1290, **{"Partition ID": 0})
    found = waves(write(tmp_path / "retried", "".join([*lines[:6], retried, lines[6]])))
    assert sorted(itertools.chain(*found[0])) == [100, 120]


def test_spark_partitions_of_a_second_attempt_are_told_apart_by_their_number(tmp_path):
    """The second attempt of a stage numbers its tasks from 0 again, here that of partition 1."""
    lines = small().splitlines(keepends=True)
    lines[4] = task_end(1, 0, 1, 1000, 1120, reason="FetchFailed", Failed=True, **{"Partition ID": 1})
    lines.insert(5, task_end(3, 0, 0, 1130, 1200, **{"Partition ID": 1}))
    assert sorted({*itertools.chain(*waves(write(tmp_path / "log", "".join(lines)))[0])}) == [70, 100]


def test_spark_stages_whose_ends_of_tasks_were_dropped_keep_their_place(tmp_path):
    stages = [stage_info(0, 2), stage_info(1, 5, [0]), stage_info(2, 1, [1])]
    completed = stage_info(1, 5, [0], **{"Submission Time": 1120, "Completion Time": 1420})
    text = (
        executor("1", 2)
        + job_start(0, stages)
        + task_end(0, 0, 0, 1000, 1100)
        + task_end(1, 0, 1, 1000, 1120)
        + event("StageCompleted", **{"Stage Info": completed})
        + task_end(9, 2, 0, 1420, 1450)
        + job_end(0)
    )
    with pytest.warns(UserWarning, match=r"stages completed without the ends of their tasks.*: 1 of 3 stages\)"):
        job = load_workload(write(tmp_path / "log", text)).template(0)
    assert job.edges == [(0, 1), (1, 2)]
    assert job.durations(1, FIRST).tolist() == [100]  # 300 ms in three waves of two slots


def test_spark_stages_of_which_some_ends_of_tasks_were_dropped(tmp_path):
    completed = stage_info(0, 20, **{"Submission Time": 1000, "Completion Time": 9000})
    ends = "".join(task_end(n, 0, n, 1000 + 100 * n, 1100 + 100 * n) for n in range(15))
    text = executor("1", 1) + job_start(0, [stage_info(0, 20)]) + ends
    text += event("StageCompleted", **{"Stage Info": completed}) + job_end(0)
    for name in ("a", "b"):  # one warning for all logs
        write(tmp_path / name, text)
    with pytest.warns(UserWarning, match="without the ends of some of their tasks") as caught:
        jobs = load_workload(str(tmp_path))
    assert str(caught[0].message).endswith("a: 15 of 20 tasks of 1 of 1 stages are told)") and len(caught) == 1
    assert jobs.num_tasks.tolist() == [20, 20]
    again = stage_info(0, 5, **{"Submission Time": 9000, "Completion Time": 9900})  # the rest, in a second attempt
    rest = "".join(task_end(n, 0, n, 9000, 9100) for n in range(15, 20))
    failed = {**completed, "Failure Reason": "FetchFailed"}
    text = (
        executor("1", 1) + job_start(0, [stage_info(0, 20)]) + ends + event("StageCompleted", **{"Stage Info": failed})
    )
    text += rest + event("StageCompleted", **{"Stage Info": again}) + job_end(0)
    assert not read_jobs(write(tmp_path / "a", text))[1].notes


def test_spark_stages_without_tasks_hand_on_what_they_wait_for(tmp_path):
    stages = [stage_info(0, 1), stage_info(1, 0, [0]), stage_info(2, 1, [1])]
    ends = task_end(0, 0, 0, 0, 100) + task_end(1, 2, 0, 100, 150) + job_end(0)
    assert load_workload(write(tmp_path / "log", job_start(0, stages) + ends)).template(0).edges == [(0, 1)]


def test_spark_versions_before_2(tmp_path):
    one_six = small("1.6.3")
    assert '"Killed"' not in one_six
    assert len(waves(write(tmp_path / "log", one_six))) == 2
    one_stage = job_start(1, [stage_info(7, 1)]) + task_end(9, 7, 0, 2000, 2040) + job_end(1)
    older = (one_six + one_stage).replace('"Parent IDs"', '"Other IDs"')
    with pytest.warns(UserWarning, match=r"no 'Parent IDs' \(job-0: Spark writes them from version 1\.4 on"):
        assert load_workload(write(tmp_path / "log", older)).names == ("job-1",)
    with pytest.raises(ValueError, match=r"from version 1\.4 on"):
        load_workload(write(tmp_path / "log", one_six.replace('"Parent IDs"', '"Other IDs"')))


def test_spark_1_2_beside_its_marks(tmp_path):
    for name in ("APPLICATION_COMPLETE", "SPARK_VERSION_1.2.0", "COMPRESSION_CODEC_org.apache.spark.io.LZ4"):
        (tmp_path / name).write_text("")
    (tmp_path / "EVENT_LOG_1").write_text(small())
    _, reading = read_jobs(str(tmp_path))
    assert (reading.formats, reading.skipped) == ({"spark-eventlog": 1}, {})


def test_spark_stages_that_ran_of_which_no_more_is_told_leave_their_job_out(tmp_path):
    lost = job_start(1, [stage_info(5, 2)]) + event("StageSubmitted", **{"Stage Info": stage_info(5, 2)}) + job_end(1)
    with pytest.warns(UserWarning, match=r"the log lacks the tasks of a stage that ran \(job-1: stage 5\)"):
        assert load_workload(write(tmp_path / "log", small() + lost)).names == ("job-0",)


def test_spark_logs_of_applications_are_told_apart_by_their_ids(tmp_path):
    for name, attempt in (("a", {}), ("b", {"App Attempt ID": "2"})):
        (tmp_path / name).mkdir()
        begin = event("ApplicationStart", **{"App Name": "mine", "App ID": f"app-{name}", **attempt})
        (tmp_path / name / "eventlog").write_text(begin + small())
    assert load_workload(str(tmp_path)).names == ("app-a/job-0", "app-b-2/job-0")


def test_spark_parts_of_two_applications_in_one_folder(tmp_path):
    lines = small().splitlines(keepends=True)
    for application in ("app-1", "app-2"):
        (tmp_path / f"events_1_{application}").write_text("".join(lines[:4]))
        (tmp_path / f"events_2_{application}").write_text("".join(lines[4:]))
    assert len(load_workload(str(tmp_path))) == 2


def test_spark_log_whose_first_line_is_damaged(tmp_path):
    with pytest.warns(UserWarning, match=r"1 event left out: not as Spark writes it \(.*log:1"):
        assert load_workload(write(tmp_path / "log", '{"Eve\n' + small())).names == ("job-0",)


def test_spark_compressed_log_of_an_application_that_was_killed(tmp_path):
    log = small() + "".join(event("BlockUpdated", Number=number) for number in range(20_000))
    (tmp_path / "log.gz.inprogress").write_bytes(gzip.compress(log.encode())[:-2000])
    with pytest.warns(UserWarning, match="it ends too early, what stands before the damage is read"):
        assert load_workload(str(tmp_path / "log.gz.inprogress")).names == ("job-0",)
    with pytest.raises(ValueError, match="damaged, compressed with gzip"):
        load_workload(str(tmp_path / "log.gz.inprogress"), strict=True)


def test_spark_jobs_arrive_when_they_were_submitted(tmp_path):
    def later(start):
        text = job_start(7, [stage_info(5, 1)], at=start)
        return text + task_end(9, 5, 0, start, start + 10) + job_end(7)

    jobs, _ = read_jobs(write(tmp_path / "log", small() + later(4500)))
    assert jobs.arrival_ms.tolist() == [0, 3500]


def test_parts_in_their_order():
    names = ["events_10_a", "events_9_a", "other.log", "appstatus_a"]
    found = spark.group_parts([Source(f"f/{name}", ("f", name), lambda: None) for name in names])
    assert [[piece.parts[-1] for piece in source.pieces] for source in found] == [
        ["events_9_a", "events_10_a"],
        ["other.log"],
    ]
