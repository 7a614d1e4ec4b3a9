"""Job sets: packing, checks, networkx, and workloads by name and path."""

import gzip
import json
import pickle

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netenvs.cjs.jobs import FIRST, FRESH, LARGEST, LEVELS, REST, Job, JobSet, Stage, make_job_set
from netenvs.cjs.workload import load_workload, recognise, tpch_index


def plain(tasks=1, parents=(), ms=100):
    return Stage(num_tasks=tasks, first={5: [ms]}, parents=tuple(parents))


def pack(*stages):
    return make_job_set("mine", [Job("etl", stages)])


# Packing


def test_arrays_of_two_jobs():
    jobs = make_job_set(
        "two",
        [
            Job("diamond", [plain(4), plain(2, [0], 10), plain(3, [0], 20), plain(1, [2, 1], 30)]),
            Job("single", [plain(7, ms=40)]),
        ],
    )
    assert len(jobs) == 2
    assert jobs.names == ("diamond", "single")
    expected = {
        "stage_offset": (np.int64, [0, 4, 5]),
        "num_tasks": (np.int32, [4, 2, 3, 1, 7]),
        "rough_ms": (np.float64, [100, 10, 20, 30, 40]),
        "parent_offset": (np.int64, [0, 0, 1, 2, 4, 4]),
        "parents": (np.int32, [0, 0, 1, 2]),
        "child_offset": (np.int64, [0, 2, 3, 4, 4, 4]),
        "children": (np.int32, [1, 2, 3, 3]),
        "durations_ms": (np.int32, [100, 10, 20, 30, 40]),
    }
    for name, (dtype, values) in expected.items():
        np.testing.assert_array_equal(getattr(jobs, name), np.array(values, dtype), strict=True)
    assert (jobs.cell_start.shape, jobs.cell_start.dtype) == ((5, 3, 9), np.int64)
    assert (jobs.cell_count.shape, jobs.cell_count.dtype) == ((5, 3, 9), np.int32)
    np.testing.assert_array_equal(jobs.cell_start[:, FIRST], np.arange(5)[:, None] * np.ones(9, int))
    np.testing.assert_array_equal(jobs.cell_count, np.array([0, 1, 0])[None, :, None] * np.ones((5, 3, 9), int))
    second = jobs.template(1)
    assert (second.name, len(second), second.first_stage, second.edges) == ("single", 1, 4, [])
    assert second.durations(0, FIRST).tolist() == [40]


def test_every_array_is_read_only():
    jobs = pack(plain())
    arrays = [value for value in vars(jobs).values() if isinstance(value, np.ndarray)]
    assert len(arrays) == 10  # all fields but name and names
    assert not any(array.flags.writeable for array in arrays)


def test_levels_and_waves():
    jobs = pack(
        Stage(
            num_tasks=9,
            fresh={10: [1, 2]},
            first={2: [3], 10: [], 20: [], 50: [4], 59: [5, 6]},
            rest={2: [7], 20: [8], 59: [9]},
        )
    )
    job = jobs.template(0)
    lists = {
        (wave, level): job.durations(0, wave, level).tolist() for wave in (FRESH, FIRST, REST) for level in (0, *LEVELS)
    }
    assert {level: lists[FRESH, level] for level in (0, *LEVELS)} == {
        level: [1, 2] if level == 10 else [] for level in (0, *LEVELS)
    }
    largest = [5, 6]  # 59 stands in for all levels that were not measured
    assert [lists[FIRST, level] for level in LEVELS] == [largest, [3], [3], largest, [4], largest, largest, largest]
    assert [lists[REST, level] for level in LEVELS] == [[9], [], [8], [9], [], [9], [9], [9]]
    assert (lists[FIRST, 0], lists[REST, 0]) == (largest, [9])
    assert jobs.cell_count[0, FIRST, LARGEST] == 2
    # fresh 1 2; first 3 3 3 4 5 6 (filled from level 2 at 10 and 20); rest 7 8 9
    assert jobs.rough_ms[0] == np.mean([1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9])
    with pytest.raises(ValueError, match="7 is not an executor level"):
        job.durations(0, FIRST, 7)


def test_samples_keep_their_order_and_are_rounded_to_ms():
    job = pack(Stage(num_tasks=1, first={5: [9.4, 2.6, 9.4, 0]})).template(0)
    assert job.durations(0, FIRST, 5).tolist() == [9, 3, 9, 0]


def test_stages_are_sorted_parents_first_and_only_as_far_as_needed():
    job = pack(plain(1, [2]), plain(2), plain(3), plain(4, [0, 1])).template(0)
    assert job.num_tasks.tolist() == [2, 3, 1, 4]
    assert job.edges == [(0, 3), (1, 2), (2, 3)]


@given(st.data())
def test_any_acyclic_graph_keeps_its_edges(data):
    size = data.draw(st.integers(1, 8))
    order = data.draw(st.permutations(range(size)))
    pairs = [(order[i], order[j]) for i in range(size) for j in range(i + 1, size)]
    edges = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    stages = [plain(tasks=100 + s, parents=[a for a, b in edges if b == s]) for s in range(size)]
    job = pack(*stages).template(0)
    tasks = job.num_tasks.tolist()  # identify the stages
    assert sorted(tasks) == [100 + s for s in range(size)]
    assert all(parent < child for parent, child in job.edges)
    assert {(tasks[a] - 100, tasks[b] - 100) for a, b in job.edges} == set(edges)
    for s in range(size):
        assert [a for a, b in job.edges if b == s] == job.parents(s).tolist()


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([], "it has no stages"),
        ([plain(0)], "stage 0: it has 0 tasks"),
        ([plain(), plain(-3)], "stage 1: it has -3 tasks"),
        ([plain(2**31)], "stage 0: it has 2147483648 tasks"),
        ([plain(1.5)], "1.5 tasks; give a whole number"),
        ([plain(float("nan"))], "nan tasks"),
        ([plain("many")], "the number of tasks is 'many'"),
        ([plain(True)], "the number of tasks is True"),
        ([plain(1, [0])], "in a cycle"),
        ([plain(), plain(1, [2]), plain(1, [1])], r"in a cycle \(stage 1 can never start\)"),
        ([plain(1, [1])], "stage 0 has the unknown parent 1; stages are 0 to 0"),
        ([plain(1, [-1])], "unknown parent -1"),
        ([plain(ms=-1)], "duration -1.0 is not"),
        ([plain(ms=float("nan"))], "duration nan is not"),
        ([plain(ms=float("inf"))], "duration inf is not"),
        ([plain(ms=2.0**31)], "duration 2147483648.0 is not"),
        ([plain(ms="long")], "must be lists of numbers"),
        ([plain(ms=[1, 2])], "flat lists"),
        ([Stage(1, first={})], "it has no durations"),
        ([Stage(1, first={0: [1]})], "executor level"),
        ([Stage(1, first={5: []}, rest={5: [1]})], "neither 'fresh' nor 'first' durations at level 5"),
        ([Stage(1, first={5: [], 10: [1]}, fresh={10: [1]})], "neither 'fresh' nor 'first' durations at level 5"),
    ],
)
def test_jobs_that_cannot_run_are_refused_by_name(stages, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_job_set("mine", [Job("fine", [plain()]), Job("etl", stages)])
    assert str(caught.value).startswith("mine: job 'etl': ")
    assert "\n" not in str(caught.value)


def test_no_jobs_at_all():
    with pytest.raises(ValueError, match="mine: there is no job in it"):
        make_job_set("mine", [])


def test_template_numbers_are_checked():
    for index in (-1, 1):
        with pytest.raises(IndexError, match="templates 0 to 0"):
            pack(plain()).template(index)


def test_a_pickled_job_set_is_the_same():
    jobs = pack(plain(2), plain(3, [0]))
    copy = pickle.loads(pickle.dumps(jobs))
    assert repr(copy) == repr(jobs) == "<JobSet 'mine': 1 jobs, 2 stages>"
    np.testing.assert_array_equal(copy.children, jobs.children)


# networkx


def test_networkx_there_and_back():
    jobs = load_workload("synthetic(count=4)")
    graphs = [jobs.to_networkx(index) for index in range(4)]
    assert all(nx.is_directed_acyclic_graph(graph) for graph in graphs)
    assert list(graphs[0].edges) == jobs.template(0).edges
    assert graphs[1].nodes[0] == {
        "num_tasks": jobs.template(1).num_tasks[0],
        "duration_ms": jobs.template(1).rough_ms[0],
    }
    back = JobSet.from_networkx(graphs, "again")
    assert back.names == jobs.names
    for name in ("stage_offset", "num_tasks", "parent_offset", "parents", "child_offset", "children"):
        np.testing.assert_array_equal(getattr(back, name), getattr(jobs, name), strict=True)
    np.testing.assert_array_equal(back.rough_ms, np.rint(jobs.rough_ms))


def test_networkx_nodes_of_any_kind_and_lists_of_samples():
    graph = nx.DiGraph()
    graph.add_node("reduce", num_tasks=np.int64(2), duration_ms=[300, 500])
    graph.add_node("map", num_tasks=4, duration_ms=100)
    graph.add_node("apart", num_tasks=1, duration_ms=1.0)
    graph.add_edge("map", "reduce")
    job = JobSet.from_networkx([graph]).template(0)
    assert job.name == "job-0"
    assert job.num_tasks.tolist() == [4, 2, 1]
    assert job.edges == [(0, 1)]
    assert job.rough_ms.tolist() == [100, 400, 1]
    assert job.durations(1, FIRST, 40).tolist() == [300, 500]


def graph_of(*edges, kind=nx.DiGraph):
    graph = kind(name="etl")
    graph.add_nodes_from({node for edge in edges for node in edge}, num_tasks=1, duration_ms=5)
    graph.add_edges_from(edges)
    return graph


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (nx.DiGraph(name="etl"), "no stages"),
        (graph_of(("a", "b"), ("b", "c"), ("c", "a")), "in a cycle"),
        (graph_of(("a", "a")), "in a cycle"),
        (graph_of(("a", "b"), kind=nx.Graph), "no networkx.DiGraph"),
        (graph_of(("a", "b"), kind=nx.MultiDiGraph), "no networkx.DiGraph"),
    ],
)
def test_graphs_that_are_no_jobs(graph, message):
    with pytest.raises(ValueError, match=message) as caught:
        JobSet.from_networkx([graph])
    assert "job 'etl'" in str(caught.value)


@pytest.mark.parametrize("attribute", ["num_tasks", "duration_ms"])
def test_a_node_without_attributes_is_named(attribute):
    graph = graph_of(("a", "b"))
    del graph.nodes["b"][attribute]
    with pytest.raises(ValueError, match=f"job 'etl': node 'b' lacks the attribute {attribute}"):
        JobSet.from_networkx([graph])


# By name and path


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("tpcc", "did you mean 'tpch'"),
        ("tpch(size=2g)", "unknown workload"),
        ("there/is/none", "no such file"),
        ("none.json", "no such file"),
        ("synthetic(number=3)", "unknown option 'number'; known: count, seed"),
        ("synthetic(count=0)", "count must be a whole number from 1 up, it is 0"),
        ("synthetic(count=true)", "count must be"),
        ("synthetic(seed=-1)", "seed must be a whole number from 0 up"),
        ("alibaba", r"write alibaba\(path=FILE\)"),
        ("json(path=none.json)", "there is no file 'none.json'"),
        (3, "a name or a path, not int"),
    ],
)
def test_unknown_workloads(spec, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_workload(spec)
    assert "\n" not in str(caught.value)


def test_tpch_index():
    assert tpch_index(1, "2g") == 0
    assert tpch_index(22, "100g") == 153
    for query in (0, 23):
        with pytest.raises(ValueError, match="queries 1 to 22"):
            tpch_index(query, "2g")
    with pytest.raises(ValueError, match="sizes 2g, 5g"):
        tpch_index(1, "3g")


def save(path, content):
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


REPORT = {
    "jobs": [
        {
            "name": "report",
            "stages": [
                {"num_tasks": 8, "durations_ms": [120, 130, 128]},
                {"num_tasks": 2, "durations_ms": 400, "parents": [0]},
            ],
        },
        {
            "stages": [
                {
                    "num_tasks": 3,
                    "durations_ms": {"fresh": 9, "first": {"5": [], "20": 6}, "rest": {"5": [1, 2], "20": []}},
                }
            ]
        },
    ]
}


@pytest.mark.parametrize("name", ["jobs.json", "jobs.txt", "jobs.json.gz"])
def test_json_workload(tmp_path, name):
    path = save(tmp_path / name, REPORT)
    for spec in (path, f"json(path={path})"):
        jobs = load_workload(spec)
        assert jobs.name == path
        assert jobs.names == ("report", "job-1")
        report, other = jobs.template(0), jobs.template(1)
        assert report.num_tasks.tolist() == [8, 2]
        assert report.edges == [(0, 1)]
        assert report.durations(0, FIRST, 80).tolist() == [120, 130, 128]
        assert report.durations(1, REST, 80).tolist() == []
        assert [other.durations(0, wave, 5).tolist() for wave in range(3)] == [[9], [], [1, 2]]
        assert [other.durations(0, wave, 20).tolist() for wave in range(3)] == [[], [6], []]


def stages(**changes):
    entry = {"num_tasks": 1, "durations_ms": 5} | changes
    return {"jobs": [{"name": "etl", "stages": [{k: v for k, v in entry.items() if v is not None}]}]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"jobs": [', "it must be JSON"),
        ({"job": []}, 'an object with a list "jobs"'),
        ({"jobs": []}, "there is no job in it"),
        ({"jobs": [], "version": 2}, "unknown key 'version'; known: jobs"),
        ({"jobs": [3]}, "job 'job-0': a job is an object"),
        ({"jobs": [{"name": "etl"}]}, "job 'etl': a job is an object"),
        ({"jobs": [{"name": "etl", "stages": []}]}, "job 'etl': it has no stages"),
        ({"jobs": [{"name": "etl", "stages": [3]}]}, "job 'etl': stage 0: a stage is an object"),
        (stages(num_tasks=None), "job 'etl': stage 0: num_tasks is missing"),
        (stages(durations_ms=None), "job 'etl': stage 0: durations_ms is missing"),
        (stages(parent=[0]), "stage 0: unknown key 'parent'; known: durations_ms, num_tasks, parents"),
        (stages(parents=["map"]), "stage 0: parents must be a list of positions"),
        (stages(parents=[0]), "job 'etl': its stages depend on each other in a cycle"),
        (stages(parents=[4]), "job 'etl': stage 0 has the unknown parent 4"),
        (stages(num_tasks=0), "job 'etl': stage 0: it has 0 tasks"),
        (stages(num_tasks="3"), "job 'etl': stage 0: the number of tasks is '3'"),
        (stages(durations_ms=-5), "job 'etl': stage 0: duration -5.0"),
        (stages(durations_ms=float("nan")), "job 'etl': stage 0: duration nan"),
        (stages(durations_ms=[[1]]), "stage 0: first: durations must be numbers"),
        (stages(durations_ms="5"), "stage 0: first: durations must be numbers"),
        (stages(durations_ms=[]), "job 'etl': stage 0: it has neither 'fresh' nor 'first'"),
        (stages(durations_ms={}), "job 'etl': stage 0: it has no durations"),
        (stages(durations_ms={"last": 5}), "unknown key 'last'; known: first, fresh, rest"),
        (stages(durations_ms={"first": {"x": 5}}), "'x' is not an executor level"),
        (stages(durations_ms={"first": {"0": 5}}), "'0' is not an executor level"),
        (stages(durations_ms={"first": {"\u00b2": 5}}), "'\u00b2' is not an executor level"),
        (stages(durations_ms=10**400), "job 'etl': int too large"),
        ("[" * 100_000, "not recognised"),
        ('{"jobs": ' + "[" * 100_000, "nested too deeply; it must be JSON"),
        (stages(durations_ms={"first": {"5": 5}, "rest": {"10": 5}}), "'first' must list every executor level"),
    ],
)
def test_json_that_is_no_workload(tmp_path, content, message):
    path = save(tmp_path / "jobs.json", content)
    with pytest.raises(ValueError, match=message) as caught:
        load_workload(path)
    assert str(caught.value).startswith(path)
    assert "\n" not in str(caught.value)


def test_json_with_fresh_durations_only(tmp_path):
    jobs = load_workload(save(tmp_path / "jobs.json", stages(durations_ms={"fresh": {"10": [7, 8]}})))
    assert jobs.template(0).durations(0, FRESH, 5).tolist() == [7, 8]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not recognised"),
        (b"hello", "not recognised as a workload .*, it starts with 'hello'; name its format"),
        (b"1,2,3\n", "not recognised"),
        (b"\xff\xfe\x00", "not recognised"),
        (b"\x28\xb5\x2f\xfd...", "not recognised as a workload .*, it is empty, or no text"),
        (gzip.compress(b'{"jobs": []}' * 9, mtime=0)[:-12], "damaged, compressed with gzip"),
        (b"\x1f\x8b\x08hello", "damaged, compressed with gzip"),
    ],
)
def test_files_that_are_no_workload(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_workload(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damage_after_the_start_is_one_line(tmp_path):
    path = tmp_path / "jobs.gz"
    text = json.dumps({"jobs": [{"stages": [{"num_tasks": 1, "durations_ms": list(range(100_000))}]}]})
    path.write_bytes(gzip.compress(text.encode())[:-2000])
    with pytest.raises(ValueError, match="damaged"):
        load_workload(str(path))


def test_a_file_does_not_hide_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "synthetic").mkdir()
    assert len(load_workload("synthetic")) == 100


def test_the_example_of_the_documentation(tmp_path, artifacts):
    page = (artifacts.parents[1] / "docs" / "cjs_workloads.md").read_text()
    example = page.split("```json\n")[1].split("```")[0]
    jobs = load_workload(save(tmp_path / "jobs.json", example))
    assert jobs.names == ("report", "measured")
    assert jobs.template(1).durations(0, REST, 5).tolist() == [150, 160, 155]


def test_a_folder_without_files_of_data(tmp_path):
    (tmp_path / "README").write_text("words")
    for read in (recognise, load_workload):
        with pytest.raises(ValueError, match="there is no file of data in it"):
            read(str(tmp_path))


def test_a_folder_of_files_is_one_workload(tmp_path):
    save(tmp_path / "b.json", stages())
    save(tmp_path / "a.json", REPORT)
    save(tmp_path / "bad.json", {"jobs": [{"name": "etl"}]})
    with pytest.warns(UserWarning, match=r"1 job left out: not of the format .*bad\.json: job 'etl': a job is"):
        jobs = load_workload(str(tmp_path))
    assert jobs.names == ("a.json/report", "a.json/job-1", "b.json/etl")
    with pytest.raises(ValueError, match=r"bad\.json: job 'etl'"):
        load_workload(str(tmp_path), strict=True)


def test_json_in_another_unit_is_doubted_and_read(tmp_path):
    path = save(tmp_path / "jobs.json", stages(durations_ms=[0.25, 1.75]))
    with pytest.warns(UserWarning, match=r"the median task lasts 1 ms; .*json\(path=...,unit=s\)"):
        load_workload(path)
    assert load_workload(f"json(path={path},unit=s)").template(0).durations(0, FIRST).tolist() == [250, 1750]
    slow = save(tmp_path / "slow.json", stages(durations_ms=4_000_000))
    with pytest.warns(UserWarning, match=r"unit=us"):
        load_workload(slow)
    with pytest.raises(ValueError, match="unknown unit 'sek'; did you mean 'sec'"):
        load_workload(path, unit="sek")


def test_json_arrivals(tmp_path):
    two = [{"arrival_ms": at, **stages()["jobs"][0]} for at in (5000, 2000.5)]
    assert load_workload(save(tmp_path / "jobs.json", {"jobs": two})).arrival_ms.tolist() == [2999.5, 0]
    assert load_workload(save(tmp_path / "jobs.json", {"jobs": [*two, *stages()["jobs"]]})).arrival_ms is None
