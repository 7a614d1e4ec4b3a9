"""Importers: an Alibaba batch_task sample made by hand, and the event log of a real Spark run."""

import gzip
import json
import warnings

import pytest

from netenvs.cjs.jobs import FIRST, FRESH, LEVELS, REST
from netenvs.cjs.workload import load_workload, recognise


def write(path, text):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


# Alibaba


@pytest.fixture
def table(artifacts):
    return artifacts / "cjs" / "batch_task.csv"


@pytest.mark.filterwarnings("ignore:.*left out")
def test_alibaba_stages_come_from_task_names(table):
    jobs = load_workload(str(table))
    assert recognise(table) == "alibaba"
    assert jobs.names == ("j_1", "j_2", "j_3")
    diamond, single, disconnected = (jobs.template(index) for index in range(3))
    # M1, R2_1, R3_1_2, J4_2_3
    assert diamond.num_tasks.tolist() == [4, 2, 3, 1]
    assert diamond.rough_ms.tolist() == [10_000, 5_000, 20_000, 1_000]
    assert diamond.edges == [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]
    assert (single.num_tasks.tolist(), single.edges) == ([1], [])
    # in the file: M2, R4_3, R1_2, M3, MergeTask; parents come first, otherwise the order of the file
    assert disconnected.num_tasks.tolist() == [10, 7, 1, 5, 1]
    assert disconnected.edges == [(0, 1), (2, 3)]
    assert disconnected.rough_ms[-1] == 0  # started and ended in the same second
    for level in (0, *LEVELS):
        assert diamond.durations(2, FIRST, level).tolist() == [20_000]
        assert len(diamond.durations(2, FRESH, level)) == len(diamond.durations(2, REST, level)) == 0


def test_alibaba_jobs_that_cannot_be_used_are_counted(table):
    with pytest.warns(UserWarning, match=r"4 of 7 jobs left out, the first: j_4 \(task M1 is Running"):
        load_workload(str(table))


def test_alibaba_count_takes_the_first_jobs_wherever_their_lines_stand(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jobs = load_workload(f"alibaba(path={table},count=2)")
    assert jobs.names == ("j_1", "j_2")
    assert jobs.template(0).num_tasks.tolist() == [4, 2, 3, 1]  # its last line stands behind j_2


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_alibaba_with_a_header_and_packed(tmp_path, name):
    text = "task_name,instance_num,job_name,task_type,status,start_time,end_time,plan_cpu,plan_mem\n"
    path = write(tmp_path / name, text + "M1_Stg2,2,j_9,1,Terminated,5,8,100,0.1\nR2_1_Stg7,1,j_9,1,Terminated,8,9,,\n")
    job = load_workload(path).template(0)
    assert (job.name, job.num_tasks.tolist(), job.edges) == ("j_9", [2, 1], [(0, 1)])


def line(task="M1", instances=1, status="Terminated", start=10, end=20):
    return f"{task},{instances},j_1,1,{status},{start},{end},100,0.5\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (line(status="Failed"), "task M1 is Failed"),
        (line(status=""), "task M1 is without status"),
        (line(instances=""), "task M1 lacks its instances or times"),
        (line(end="nan"), "task M1 lacks its instances or times"),
        (line(end="inf"), "task M1 lacks its instances or times"),
        (line(instances=0), "task M1 has 0 instances"),
        (line(start=0), "task M1 has no times from start to end"),
        (line(start=21), "task M1 has no times from start to end"),
        (line("R2_1"), "task R2_1 waits for task 1, which is not in the table"),
        (line() + line("J1"), "task J1: its number stands there twice"),
    ],
)
def test_alibaba_tables_with_no_job_left(tmp_path, text, message):
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(ValueError, match=f"1 of 1 jobs left out, the first: j_1 .{message}.*no job is left") as caught:
        load_workload(path)
    assert str(caught.value).startswith(path)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (line("R1_2") + line("R2_1"), "", r"t\.csv: job 'j_1': its stages depend on each other in a cycle"),
        (line() + "M2,1,j_1\n", "", r"t\.csv:2: 3 columns; every line of batch_task has 9"),
        (line(), ",count=0", "count must be a whole number from 1 up, it is 0"),
        (line(), ",jobs=3", "unknown option 'jobs'; known: path, count"),
        (
            line() + "\n \n" + line("M2", instances=10**12),
            "",
            r"t\.csv: job 'j_1': stage 1: it has 1000000000000 tasks",
        ),
        ("task_name,,,,,,,,\n", "", "there is no job in it"),
    ],
)
def test_alibaba_tables_that_cannot_be_read(tmp_path, text, options, message):
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(ValueError, match=message) as caught:
        load_workload(f"alibaba(path={path}{options})")
    assert "\n" not in str(caught.value)


# Spark

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
    with pytest.raises(ValueError, match=r"events_1_local-1:\d+: not an event"):
        load_workload(str(tmp_path))


def test_spark_log_of_an_application_that_still_runs(tmp_path, log):
    text = log.read_text()
    cut = text[: text.index('"SparkListenerJobEnd","Job ID":1') + 10]
    with pytest.warns(UserWarning, match=r"1 of 2 jobs left out, the first: job-1 \(did not end\)"):
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

    with pytest.warns(UserWarning, match=r"1 of 4 jobs left out, the first: job-2 \(it ended as JobFailed\)"):
        jobs = load_workload(write(tmp_path / "log", changed(log, fail)))
    assert jobs.names == ("job-0", "job-1", "query-0")


def test_spark_query_of_which_one_part_failed(tmp_path, log):
    def fail(event):
        if event["Event"] == "SparkListenerJobEnd" and event["Job ID"] == 4:
            event["Job Result"] = {"Result": "JobFailed"}

    with pytest.warns(UserWarning, match=r"1 of 4 jobs left out, the first: query-0 \(it ended as JobFailed\)"):
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

    with pytest.warns(UserWarning, match=r"job-0 \(no task of its stage 1 succeeded\)"):
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
    events = [event for event in events_of(log) if event.get("Stage ID") not in (0, 1)]
    with pytest.warns(UserWarning, match=r"job-0 \(all of its stages were skipped\)"):
        assert load_workload(write(tmp_path / "log", text_of(events))).names == NAMES[1:]


def start(log):
    return log.read_text().splitlines()[0] + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no job in this Spark event log"),
        ("{}\n", "file:2: not an event"),
        ("hello\n{}\n", "file:2: not an event"),
        ('{"Event": "SparkListenerJobEnd", "Job ID": 1e999}\n', "file:2: SparkListenerJobEnd is not"),
        ('{"Event": "SparkListenerTaskEnd"}\n', r"file:2: SparkListenerTaskEnd is not as Spark writes it \(lacks"),
        ('{"Event": "SparkListenerJobStart", "Job ID": 1, "Stage Infos": 3}\n', "file:2: SparkListenerJobStart is not"),
        (
            '{"Event": "SparkListenerJobStart", "Job ID": 1, "Stage Infos": []}\n',
            "1 of 1 jobs left out.*no job is left",
        ),
    ],
)
def test_spark_logs_that_cannot_be_used(tmp_path, log, text, message):
    path = write(tmp_path / "file", start(log) + text)
    with pytest.raises(ValueError, match=message) as caught:
        load_workload(path)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)
