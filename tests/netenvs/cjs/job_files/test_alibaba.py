"""Alibaba's tables: a sample made by hand, durations of registered tasks, instances, jobs that cannot be used."""

import gzip
import io
import tarfile
import warnings

import numpy as np
import pytest

from netenvs.cjs.jobs import FIRST, FRESH, LEVELS, REST
from netenvs.cjs.workload import load_workload, read_jobs, recognise


def write(path, text):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


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
    with pytest.warns(UserWarning, match=r"a task did not end well \(first j_4: M1 is Running") as caught:
        load_workload(str(table))
    assert len(caught) == 1
    _, reading = read_jobs(str(table))
    assert reading.num_skipped("jobs") == 4


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
        (line(status="Failed"), "a task did not end well .j_1: M1 is Failed"),
        (line(status=""), "a task did not end well .j_1: M1 is without status"),
        (line(instances=""), "a task lacks its instances or times .j_1: M1"),
        (line(end="nan"), "a task lacks its instances or times .j_1: M1"),
        (line(end="inf"), "a task lacks its instances or times .j_1: M1"),
        (line(instances=0), "a task has no instances .j_1: M1"),
        (line(start=0), "a task has no times from start to end .j_1: M1"),
        (line(start=21), "a task has no times from start to end .j_1: M1"),
        (line("R2_1"), "a task waits for one that is not in the table .j_1: R2_1 for task 1"),
        (line() + line("J1"), "a task stands there twice .j_1: the number of J1"),
    ],
)
def test_alibaba_tables_with_no_job_left(tmp_path, text, message):
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(ValueError, match=f"nothing to read is left: 1 job left out: {message}") as caught:
        load_workload(path)
    assert str(caught.value).startswith(path)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            line("R1_2") + line("R2_1"),
            "",
            r"t\.csv: no job is left: 1 job left out: its stages wait for each other in a cycle \(job 'j_1'",
        ),
        (line() + "M2,1,j_1\n", ",strict=true", r"t\.csv:2: another number of columns \(3 columns; every line of"),
        (line(), ",count=0", "count must be a whole number from 1 up, it is 0"),
        (line(), ",jobs=3", "unknown option 'jobs'; known: count, instances"),
        (
            line() + "\n \n" + line("M2", instances=10**12),
            "",
            r"t\.csv: no job is left: .*job 'j_1': stage 1: it has 1000000000000 tasks",
        ),
        ("task_name,,,,,,,,\n", "", "there is no job in it"),
    ],
)
def test_alibaba_tables_that_cannot_be_read(tmp_path, text, options, message):
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(ValueError, match=message) as caught:
        load_workload(f"alibaba(path={path}{options})")
    assert "\n" not in str(caught.value)


def test_alibaba_tasks_are_registered_before_they_can_run(tmp_path):
    """The rows of https://github.com/alibaba/clusterdata/issues/56: M1 lasts 7 s, and R2_1 3 s from its end."""
    rows = (
        "M1,1,j_1,1,Terminated,100,107,1,1\nR2_1,1,j_1,1,Terminated,100,110,1,1\nJ3_2,1,j_1,1,Terminated,112,113,1,1\n"
    )
    jobs = load_workload(write(tmp_path / "t.csv", rows))
    assert jobs.rough_ms.tolist() == [7000, 3000, 1000]  # the last was registered when it could run
    assert jobs.critical_path_ms[0] == 11_000


def test_alibaba_jobs_that_cannot_be_are_left_out_by_reason(tmp_path):
    rows = [
        line().replace("j_1", "j_good"),
        line("M1_2").replace("j_1", "j_circle") + line("M2_1").replace("j_1", "j_circle"),
        line("M1_1").replace("j_1", "j_itself"),
        line(end=30).replace("j_1", "j_late") + line("R2_1", end=20).replace("j_1", "j_late"),
        "M1,1,j_short\n",
    ]
    path = write(tmp_path / "t.csv", "".join(rows))
    jobs, reading = read_jobs(path)
    assert jobs.names == ("j_good",)
    assert {reason: one.count for (_, reason), one in reading.skipped.items()} == {
        "another number of columns": 1,
        "a task waits for itself": 1,
        "a task ends before one that it waits for": 1,
        "its stages wait for each other in a cycle": 1,
    }
    assert reading.skipped["rows", "another number of columns"].first.startswith(f"{path}:7: 3 columns")
    assert "job 'j_circle'" in reading.skipped["jobs", "its stages wait for each other in a cycle"].first
    with pytest.raises(ValueError, match=r"t\.csv:7"):
        load_workload(f"alibaba(path={path},strict=true)")


def test_alibaba_as_it_is_published(tmp_path):
    """One table in a tar archive, packed with gzip."""
    content = (line() + line("R2_1", start=20, end=25)).encode()
    with tarfile.open(tmp_path / "batch_task.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("batch_task.csv")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    assert load_workload(str(tmp_path / "batch_task.tar.gz")).rough_ms.tolist() == [10_000, 5_000]


def test_alibaba_durations_of_instances(tmp_path):
    table = write(tmp_path / "t.csv", line(instances=3) + line("R2_1", start=20, end=25))
    rest = ",m_1,1,3,0.1,0.2,0.3,0.4\n"
    instances = [
        "i1,M1,j_1,1,Terminated,10,14" + rest,
        "i2,M1,j_1,1,Terminated,10,19" + rest,
        "i3,M1,j_1,1,Failed,10,11" + rest,
        "i4,M1,j_2,1,Terminated,10,11" + rest,
        "i5,M1,j_1,1,Terminated,15,13" + rest,
        "cut\n",
    ]
    write(tmp_path / "batch_instance.csv.gz", "".join(instances))
    spec = f"alibaba(path={table},instances={tmp_path / 'batch_instance.csv.gz'})"
    with pytest.warns(UserWarning, match=r"2 instances|1 instance left out|1 of 2 stages have no instance") as caught:
        jobs = load_workload(spec)
    assert len(caught) == 2
    assert jobs.template(0).durations(0, FIRST).tolist() == [4000, 9000]
    assert jobs.template(0).durations(1, FIRST).tolist() == [5000]


def test_alibaba_jobs_arrive_with_their_first_task(table):
    jobs, _ = read_jobs(str(table))
    assert np.array_equal(jobs.arrival_ms, np.array([86400, 87000, 90000]) * 1000.0 - 86_400_000)


def test_alibaba_numbers_with_fractions(tmp_path):
    text = "M1,2.0,j_1,1,Terminated,100.0,110.5,100,0.5\nR2_1,3.0,j_1,1,Terminated,100.0,131.0,100,0.5\n"
    jobs = load_workload(write(tmp_path / "tasks.csv", text))
    assert jobs.num_tasks.tolist() == [2, 3] and jobs.rough_ms.tolist() == [10500, 20500]
    text += "M1,2.5,j_2,1,Terminated,100,110,100,0.5\nM1,inf,j_3,1,Terminated,100,nan,100,0.5\n"
    with pytest.warns(UserWarning, match="1 job left out: a task has no instances|2 jobs left out"):
        assert load_workload(write(tmp_path / "tasks.csv", text)).names == ("j_1",)
