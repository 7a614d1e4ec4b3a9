"""Data sets netllm-tpch and decima-weights: converters on small data in the upstream layout, and the real ones."""

import dataclasses
import hashlib
import io
import os

import numpy as np
import pytest

from netenvs import datasets
from netenvs.cjs import netllm_tpch
from netenvs.cjs.jobs import FIRST, FRESH, LEVELS, REST
from netenvs.cjs.workload import load_workload, tpch_index
from netenvs.datasets import DatasetError, decima_weights, entries, torch_state
from netenvs.datasets.arrays import array_digest
from netenvs.datasets.torch_state import read_state_dict

TPCH = "cluster_job_scheduling/data/tpch"
ODD = f"{TPCH}/10g/task_duration_3.npy"
ODD_MATRIX = f"{TPCH}/10g/adj_mat_3.npy"


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def pickled(content):
    """As upstream writes a dictionary: an npy file of an object array without axes."""
    return npy(np.array(content, dtype=object))


def stage(first, rest, fresh):
    return {"fresh_durations": fresh, "first_wave": first, "rest_wave": rest}


def plain_stage(tasks, ms):
    return stage({5: [ms] * tasks}, {5: []}, {5: []})


#: levels are not in order; at 2 and 5 the first wave lists the fresh tasks, too; nothing ran at 10
CLEANED = stage(
    first={5: [9, 3, 9, 9], 2: [9, 4], 10: []},
    rest={5: [2], 2: [1, 1], 10: [6, 7]},
    fresh={5: [9, 9], 2: [9], 10: []},
)


def upstream_files():
    files = {}
    for size_index, size in enumerate(netllm_tpch.SIZES):
        for query in range(1, 23):
            files[f"{TPCH}/{size}/adj_mat_{query}.npy"] = npy(np.array([[0.0, 1.0], [0.0, 0.0]]))
            stages = {0: plain_stage(query, 100 * (size_index + 1)), 1: plain_stage(1, 7)}
            files[f"{TPCH}/{size}/task_duration_{query}.npy"] = pickled(stages)
    files[ODD_MATRIX] = npy(np.array([[0.0, 1, 1], [0, 0, 1], [0, 0, 0]]))
    files[ODD] = pickled({0: plain_stage(2, 5), 1: CLEANED, 2: plain_stage(1, 8)})
    return files


def write(files, folder):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty store, and no way to the real source."""
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "store"))
    for name in ("netllm-tpch", "decima-weights"):
        replace_entry(monkeypatch, name, url="http://127.0.0.1:9/none")
    return tmp_path / "store"


def replace_entry(monkeypatch, name, **changes):
    monkeypatch.setitem(entries.CATALOGUE, name, dataclasses.replace(entries.CATALOGUE[name], **changes))


def install_tpch(files, folder, monkeypatch):
    manifest = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    replace_entry(monkeypatch, "netllm-tpch", manifest=manifest)
    return datasets.install("netllm-tpch", write(files, folder))


def test_templates_are_ordered_by_size_then_query(store, tmp_path, monkeypatch):
    install_tpch(upstream_files(), tmp_path / "upstream", monkeypatch)
    jobs = load_workload("tpch")
    assert len(jobs) == 7 * 22
    for size_index, size in enumerate(("2g", "5g", "10g", "20g", "50g", "80g", "100g")):
        for query in (1, 2, 22):
            index = tpch_index(query, size)
            template = jobs.template(index)
            assert index == size_index * 22 + query - 1
            assert template.name == f"q{query}-{size}"
            assert template.num_tasks.tolist() == [query, 1]
            assert template.edges == [(0, 1)]
            assert template.durations(0, FIRST, 5).tolist() == [100 * (size_index + 1)] * query


def test_stages_are_cleaned_as_the_published_simulator_does(store, tmp_path, monkeypatch):
    install_tpch(upstream_files(), tmp_path / "upstream", monkeypatch)
    job = load_workload("tpch").template(tpch_index(3, "10g"))
    assert job.edges == [(0, 1), (0, 2), (1, 2)]
    assert job.num_tasks.tolist() == [2, 5, 1]  # 4 + 1 at the level that stands first, 5; at 2 there are 4
    assert job.durations(1, FRESH, 5).tolist() == [9, 9]
    assert job.durations(1, FIRST, 5).tolist() == [3, 9]  # the first two nines were the fresh ones
    assert job.durations(1, REST, 5).tolist() == [2]
    for level in (0, *LEVELS[1:]):  # nothing was measured above 10
        assert job.durations(1, FRESH, level).tolist() == []
        assert job.durations(1, FIRST, level).tolist() == [3, 9]  # an empty list takes the next lower level's
        assert job.durations(1, REST, level).tolist() == [6, 7]
    fresh, first, rest = [9, 9, 9], [4, 3, 9, 3, 9], [1, 1, 2, 6, 7]  # of all levels, 2 included
    assert job.rough_ms[1] == np.mean([*fresh, *first, *rest])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (ODD_MATRIX, npy(np.zeros((3, 2))), "square matrix"),
        (ODD_MATRIX, npy(np.full((3, 3), 2.0)), "square matrix"),
        (ODD_MATRIX, b"hello", "not a numpy array"),
        (ODD_MATRIX, npy(np.eye(3)), r"'q3-10g': its stages depend on each other in a cycle"),
        (ODD, b"hello", "not an npy file"),
        (ODD, npy(np.zeros(3)), "not hold a dictionary"),
        (ODD, pickled({0: plain_stage(1, 5)}), "dictionary of 3 stages"),
        (ODD, pickled([1, 2, 3]), "dictionary of 3 stages"),
        (ODD, pickled(dict.fromkeys(range(3), os.getcwd)), "refused as a pickle"),
        (ODD, pickled({i: {} for i in range(3)}), "stage 0 does not have the three waves"),
        (ODD, pickled({i: stage({5: [1]}, {}, {5: []}) for i in range(3)}), "same executor levels"),
        (ODD, pickled({i: stage({5: 1}, {5: []}, {5: []}) for i in range(3)}), "lists of ms"),
        (ODD, pickled({i: stage({5: [-1]}, {5: []}, {5: []}) for i in range(3)}), "'q3-10g': stage 0: duration -1"),
        (ODD, pickled({i: stage({5: []}, {5: [1]}, {5: []}) for i in range(3)}), "'q3-10g': stage 0: .*neither"),
    ],
)
def test_content_that_is_not_as_it_should_be_is_refused(store, tmp_path, monkeypatch, name, content, message):
    with pytest.raises(DatasetError, match=message) as caught:
        install_tpch(upstream_files() | {name: content}, tmp_path / "upstream", monkeypatch)
    assert "\n" not in str(caught.value)
    assert "commit" in str(caught.value)
    assert not datasets.installed("netllm-tpch")


def test_workload_says_how_to_install_it(store):
    with pytest.raises(DatasetError, match="install netllm-tpch"):
        load_workload("tpch")


# decima-weights

MODEL = "cluster_job_scheduling/models/decima/model.pt"


def weights():
    rng = np.random.default_rng(3)
    return {
        "encoder.mlp.0.weight": rng.normal(size=(4, 3)).astype(np.float32),
        "encoder.mlp.0.bias": rng.normal(size=4).astype(np.float32),
    }


@pytest.fixture
def weights_entry(store, monkeypatch):
    manifest = {key: array_digest(array) for key, array in weights().items()}
    replace_entry(monkeypatch, "decima-weights", manifest=manifest)


def save_npz(folder, arrays):
    folder.mkdir(parents=True)
    np.savez(folder / "decima_weights.npz", **arrays)
    return folder


def save_state_dict(folder, content):
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return write({MODEL: buffer.getvalue()}, folder)


def tensors(arrays):
    import torch

    return {key: torch.tensor(array) for key, array in arrays.items()}


def test_state_dict_and_npz_give_the_same_arrays(weights_entry, tmp_path):
    for source in (
        save_npz(tmp_path / "a", weights()),
        save_npz(tmp_path / "b" / "golden" / "cjs", weights()).parents[1],
        save_state_dict(tmp_path / "c", tensors(weights())),
    ):
        folder = datasets.install("decima-weights", source)
        with np.load(folder / "decima_weights.npz", allow_pickle=False) as npz:
            assert npz.files == list(weights())
            for key, array in weights().items():
                np.testing.assert_array_equal(npz[key], array, strict=True)
        datasets.remove("decima-weights")


@pytest.mark.parametrize("save", [save_npz, lambda folder, arrays: save_state_dict(folder, tensors(arrays))])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder.mlp.0.bias": np.zeros(4, np.float32)}, "encoder.mlp.0.bias is altered"),
        ({"encoder.mlp.0.bias": weights()["encoder.mlp.0.bias"][None]}, "encoder.mlp.0.bias is altered"),
        ({"backdoor": np.zeros(1, np.float32)}, "unknown array 'backdoor'"),
        ({"encoder.mlp.0.bias": None}, "encoder.mlp.0.bias is missing"),
    ],
)
def test_weights_that_are_not_the_released_ones(weights_entry, tmp_path, save, change, message):
    arrays = {key: array for key, array in (weights() | change).items() if array is not None}
    with pytest.raises(DatasetError, match=message):
        datasets.install("decima-weights", save(tmp_path / "data", arrays))
    assert not datasets.installed("decima-weights")


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


def test_a_state_dict_never_runs_code(weights_entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = save_state_dict(tmp_path / "data", {"encoder.mlp.0.bias": Hostile()})
    with pytest.raises(DatasetError, match="not a readable PyTorch state dict") as caught:
        datasets.install("decima-weights", source)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "made-by-a-pickle").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 hello", [1, 2], {"encoder.mlp.0.bias": 3}])
def test_a_damaged_state_dict_is_one_line(weights_entry, tmp_path, content):
    if isinstance(content, bytes):
        source = write({MODEL: content}, tmp_path / "data")
    else:
        source = save_state_dict(tmp_path / "data", content)
    with pytest.raises(DatasetError, match=r"decima/model\.pt is not a readable PyTorch state dict") as caught:
        datasets.install("decima-weights", source)
    assert "\n" not in str(caught.value)


def test_views_into_a_shared_storage_are_read_as_torch_reads_them():
    import torch

    whole = torch.arange(12.0)
    saved = {"whole": whole, "view": whole.reshape(3, 4)[:, 1:3].t(), "empty": torch.zeros(0, 3), "one": whole[7]}
    buffer = io.BytesIO()
    torch.save(saved, buffer)
    for name, array in read_state_dict(buffer.getvalue()).items():
        np.testing.assert_array_equal(array, saved[name].numpy(), strict=True)


@pytest.mark.parametrize("other", ["float64", "int64"])
def test_tensors_of_other_types_are_refused(other):
    import torch

    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(3, dtype=getattr(torch, other))}, buffer)
    with pytest.raises(ValueError, match="which no plain state dict of float32 tensors does"):
        read_state_dict(buffer.getvalue())


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((4,), (1,), 0), ((2, 2), (2, 1), 0), ((1,), (1,), 3), ((3,), (-1,), 2), ((3,), (), 0)],
)
def test_a_tensor_cannot_reach_beyond_its_storage(size, stride, offset):
    storage = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="tensor"):
        torch_state._rebuild_tensor(storage, offset, size, stride, False, None)


# The real data


@pytest.fixture(scope="module")
def tpch():
    if not datasets.installed("netllm-tpch"):
        pytest.skip("netllm-tpch is not installed; python -m netenvs.datasets install netllm-tpch")
    return load_workload("tpch")


def test_real_jobs_have_the_published_sizes(tpch):
    by_size = tpch.stage_offset[::22]
    assert len(tpch) == 154
    assert len(tpch.num_tasks) == 1414
    assert len(tpch.children) == len(tpch.parents) == 7 * 187
    assert np.diff(by_size).tolist() == [202] * 7
    assert np.diff(tpch.stage_offset)[:22].tolist() == [
        *(4, 18, 6, 6, 14, 2, 13, 18, 14, 9, 11, 6, 7, 4, 7, 9, 6, 8, 4, 12, 16, 8)
    ]
    assert np.add.reduceat(tpch.num_tasks, by_size[:-1]).tolist() == [
        *(20_065, 20_479, 21_188, 22_684, 27_157, 31_657, 34_660)
    ]
    # samples at the levels that can be asked for, without the fresh ones that the first waves repeat
    assert len(tpch.durations_ms) == 1_422_855
    assert (tpch.durations_ms.min(), tpch.durations_ms.max()) == (4, 39_608)  # 3 ms at level 2 only


def test_real_graphs_are_the_same_at_all_sizes(tpch):
    for query in range(1, 23):
        edges = [tpch.template(tpch_index(query, size)).edges for size in netllm_tpch.SIZES]
        assert edges.count(edges[0]) == 7


def test_a_real_job_is_that_of_the_published_log(tpch):
    """Job 0 of the published simulator's run with seed 0 (golden_n10_j10_fair_seed0.json)."""
    job = tpch.template(tpch_index(19, "50g"))
    assert job.num_tasks.tolist() == [9, 295, 200, 1]
    assert job.edges == [(0, 2), (1, 2), (2, 3)]
    assert job.rough_ms.tolist() == [4322.765432098766, 2429.830131826742, 304.3961111111111, 234.66666666666666]


def test_every_real_stage_can_start_a_task_at_every_level(tpch):
    counts = tpch.cell_count
    assert ((counts[:, FRESH] > 0) | (counts[:, FIRST] > 0)).all()
    assert (tpch.cell_start + counts <= len(tpch.durations_ms)).all()


def test_real_weights_have_the_released_size():
    if not datasets.installed("decima-weights"):
        pytest.skip("decima-weights is not installed; python -m netenvs.datasets install decima-weights")
    with np.load(datasets.path("decima-weights") / decima_weights.PACKED, allow_pickle=False) as npz:
        assert sum(npz[key].size for key in npz.files) == 20_802
        assert {key: array_digest(npz[key]) for key in npz.files} == entries.CATALOGUE["decima-weights"].digests()
