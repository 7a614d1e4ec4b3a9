"""Pools on disk: windows, splits, joining, and one line for whatever is wrong with the files."""

import json
import pickle
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from agents.policy import load_policy
from agents.ragged import Ragged
from agents.rollout import EpisodeSpec
from distill.pools.collect import collect
from distill.pools.merge import merge
from distill.pools.pool import Pool, returns_to_go
from distill.pools.shards import METADATA, PoolError, sha256, write_shard
from netenvs.files import only_one

ABR = "netenvs/ABR-v0"


@pytest.fixture
def copy(abr_pool, tmp_path):
    """A pool that may be damaged."""
    shutil.copytree(abr_pool.folder, tmp_path / "copy")
    return tmp_path / "copy"


def first_shard(folder):
    return folder / json.loads((folder / "manifest.json").read_text())["shards"][0]["file"]


def forge(folder, change):
    """Change the arrays of the first shard, and make the manifest agree."""
    path = first_shard(folder)
    metadata = Pool(folder)._shards[0].metadata
    arrays = load_file(path)
    change(arrays)
    entry = write_shard(path, arrays, metadata)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"][0].update(entry)
    (folder / "manifest.json").write_text(json.dumps(manifest))


# --- reading -------------------------------------------------------------------------------------------


def test_columns_are_described(abr_pool, cjs_pool):
    columns = abr_pool.columns
    assert columns["obs"] == {
        "dtype": "float32",
        "shape": [6, 6],
        "unit": "rows of netenvs.abr.env.ABREnv",
        "ragged": False,
    }
    assert columns["reward"]["dtype"] == "float64" and columns["info/delay_ms"]["unit"] == "ms"
    assert cjs_pool.columns["obs/stages"]["ragged"] and cjs_pool.columns["obs/stages"]["shape"] == [8]
    assert (abr_pool.task, abr_pool.env_id, cjs_pool.task) == ("abr", ABR, "cjs")
    assert cjs_pool.env_options == {"num_jobs": 3, "num_executors": 4, "max_jobs": 3}


def test_arrays_stay_on_disk_and_cannot_be_changed(any_pool):
    for name, column in any_pool.episode(0).items():
        values = column.values if isinstance(column, Ragged) else column
        if name not in ("policy", "returns_to_go"):
            assert isinstance(root(values), np.memmap) or values.size == 0, name
            assert not values.flags.writeable
    steps = any_pool.episode(0, ["reward", "returns_to_go"])
    assert list(steps) == ["reward", "returns_to_go"]


def root(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def test_columns_over_all_episodes(any_pool):
    for name in ("reward", "action", "obs/stages" if any_pool.task == "cjs" else "policy"):
        whole = any_pool.column(name)
        parts = [any_pool.episode(i)[name] for i in range(len(any_pool))]
        assert len(whole) == any_pool.num_steps == sum(map(len, parts))
        flat = [part.flat if isinstance(part, Ragged) else part for part in parts]
        assert np.array_equal(whole.flat if isinstance(whole, Ragged) else whole, np.concatenate(flat))
    assert np.array_equal(any_pool.column("episode/return"), any_pool.episodes["return"])
    assert np.array_equal(any_pool.column("episode/policy"), any_pool.episodes["policy"])
    with pytest.raises(PoolError, match="no column 'rewards'"):
        any_pool.column("rewards")
    with pytest.raises(PoolError, match="no column 'rewards'"):
        any_pool.episode(0, ["rewards"])


def test_returns_to_go(any_pool):
    assert returns_to_go(np.array([1.0, 2.0, 4.0])).tolist() == [7.0, 6.0, 4.0]
    for i in range(len(any_pool)):
        steps = any_pool.episode(i)
        assert steps["returns_to_go"][0] == pytest.approx(any_pool.episodes["return"][i], rel=1e-12)
        assert np.allclose(steps["returns_to_go"], steps["reward"] + np.r_[steps["returns_to_go"][1:], 0], rtol=1e-12)


def test_episodes_that_are_not_there(abr_pool):
    assert abr_pool.episode(-1)["reward"].tolist() == abr_pool.episode(9)["reward"].tolist()
    for wrong in (10, -11):
        with pytest.raises(IndexError):
            abr_pool.episode(wrong)


def test_workers_map_the_files_anew(abr_pool):
    part = abr_pool.subset([3, 1])
    sent = pickle.dumps(part)
    assert len(sent) < 1000
    back = pickle.loads(sent)
    assert back.indices.tolist() == [3, 1]
    assert np.array_equal(back.column("obs"), part.column("obs"))


# --- windows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "stride"), [(1, 1), (7, 1), (20, 10), (47, 5), (100, 1), (None, 1), (5, 9)])
def test_windows_lie_within_one_episode(abr_pool, length, stride):
    windows = abr_pool.windows(length, stride)
    covered = np.zeros((10, 47), dtype=int)
    for window in windows:
        episode, first, n = window["episode"], window["first"], len(window["reward"])
        assert n == min(length or 47, 47)
        assert not (window["terminated"] | window["truncated"])[:-1].any()
        whole = abr_pool.episode(episode)
        for name in ("obs", "action", "reward", "policy", "info/chunk", "returns_to_go"):
            assert np.array_equal(window[name], whole[name][first : first + n]), name
        covered[episode, first : first + n] += 1
    last = max(47 - (length or 47), 0)
    expected = sorted({*range(0, last + 1, stride), last})
    assert len(windows) == 10 * len(expected) and windows.firsts[: len(expected)].tolist() == expected
    assert (covered[:, [0, -1]] > 0).all() and (stride > (length or 47) or (covered > 0).all())


def test_windows_over_the_seams_of_a_flat_pool_would_show(abr_pool):
    """In the flat arrays a window over a seam has a chunk number that falls: no window of the pool has one."""
    flat = abr_pool.column("info/chunk")
    assert (np.diff(flat) < 0).sum() == 9
    assert all((np.diff(window["info/chunk"]) == 1).all() for window in abr_pool.windows(20))


def test_ragged_windows(cjs_pool):
    for window in cjs_pool.windows(5, 3, ["obs/stages", "action_mask", "action"]):
        assert window.keys() == {"obs/stages", "action_mask", "action", "episode", "first"}
        whole = cjs_pool.episode(window["episode"])
        for k in range(len(window["action"])):
            assert np.array_equal(window["obs/stages"][k], whole["obs/stages"][window["first"] + k])
            assert window["action_mask"][k][window["action"][k, 0]]  # the action was possible, rows of stages from 1
            assert len(window["action_mask"][k]) == 1 + len(window["obs/stages"][k])


def test_windows_are_a_sequence(abr_pool):
    windows = abr_pool.windows(40, columns=["reward"])
    assert len(windows[2:5]) == 3 and windows[-1]["first"] == 7
    assert len(list(windows)) == len(windows) == 80
    with pytest.raises(IndexError):
        windows[80]
    for wrong in ({"length": 0}, {"length": 2, "stride": 0}):
        with pytest.raises(ValueError, match="from 1 up"):
            abr_pool.windows(**wrong)


# --- parts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_no_trace_is_on_both_sides_of_a_split(abr_pool, seed):
    train, valid = abr_pool.split(0.4, seed)
    sides = [set(side.episodes["reset/trace"].tolist()) for side in (train, valid)]
    assert not sides[0] & sides[1] and sides[0] | sides[1] == set(range(5)) and len(sides[1]) == 2
    assert sorted([*train.indices, *valid.indices]) == list(range(10))
    assert valid.num_steps == 4 * 47 and len(valid) == 4
    again = abr_pool.split(0.4, seed)[1]
    assert again.indices.tolist() == valid.indices.tolist()


def test_splits_by_seed_where_nothing_is_pinned(cjs_pool):
    train, valid = cjs_pool.split(0.5)
    assert len(train) == len(valid) == 2
    assert len(set(train.episodes["seed"])) == len(set(valid.episodes["seed"])) == 1
    with pytest.raises(PoolError, match="two different"):
        valid.split(0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        cjs_pool.split(1.0)


def test_parts_of_parts(abr_pool):
    odd = abr_pool.subset(np.arange(10) % 2 == 1)
    assert odd.subset([1, 0]).indices.tolist() == [3, 1] and len(abr_pool) == 10
    assert np.array_equal(odd.episode(1)["action"], abr_pool.episode(3)["action"])
    assert odd.subset([]).num_steps == 0 and len(odd.subset([]).windows(3)) == 0


# --- joining -------------------------------------------------------------------------------------------


def test_merging(abr_pool, tmp_path):
    other = collect(
        tmp_path / "other", ABR, [load_policy("bola"), load_policy("bba")], [EpisodeSpec(9, 9, {"trace": 9})]
    )
    both = merge([abr_pool.folder, other.folder, abr_pool.folder], tmp_path / "both")
    both.verify()
    assert len(both.manifest["collections"]) == 2
    assert [shard["collection"] for shard in both.manifest["shards"][-3:]] == [0, 1, 1]
    assert len(both) == 12 and both.policies == ["bba", "ByBuffer", "bola"]
    assert both.episodes["policy"].tolist() == [*abr_pool.episodes["policy"], 2, 0]
    assert set(both.episode(10)["policy"].tolist()) == {2} and set(both.episode(11)["policy"].tolist()) == {0}
    assert np.array_equal(both.column("obs"), np.concatenate([abr_pool.column("obs"), other.column("obs")]))
    with pytest.raises(PoolError, match="exists already"):
        merge([other.folder], tmp_path / "both")


def test_only_pools_of_one_environment_are_merged(abr_pool, cjs_pool, tmp_path):
    with pytest.raises(PoolError, match="another environment"):
        merge([abr_pool.folder, cjs_pool.folder], tmp_path / "both")
    assert not (tmp_path / "both").exists()
    with pytest.raises(PoolError, match="no pool"):
        merge([abr_pool.folder, tmp_path / "nowhere"], tmp_path / "both")
    with pytest.raises(PoolError, match="at least one"):
        merge([], tmp_path / "both")
    merge([abr_pool.folder], tmp_path / "both").verify()  # what was left of the first does not matter


# --- damage --------------------------------------------------------------------------------------------


def fails(folder, message):
    with pytest.raises(PoolError, match=message) as caught:
        Pool(folder).verify()
    assert "\n" not in str(caught.value)


def test_a_pool_is_intact(any_pool):
    any_pool.verify()


def test_a_missing_shard(copy):
    first_shard(copy).unlink()
    fails(copy, r"safetensors: this file of the pool is missing; restore it")


@pytest.mark.parametrize("left", [0, 5, 100, -1])
def test_a_truncated_shard(copy, left):
    path = first_shard(copy)
    path.write_bytes(path.read_bytes()[:left])
    fails(copy, "truncated, damaged, or no file of a pool")


def test_an_altered_shard(copy):
    path = first_shard(copy)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(bytes(content))
    Pool(copy)  # what opening reads is in order
    fails(copy, "altered, its sha256 is not that of the manifest")


def test_foreign_shards(copy):
    path = first_shard(copy)
    save_file({"weight": np.zeros(3)}, path)
    fails(copy, "truncated, damaged, or no file of a pool")
    save_file({"weight": np.zeros(3)}, path, metadata={METADATA: "{}"})
    fails(copy, "bytes, the manifest says")
    entries = json.loads((copy / "manifest.json").read_text())["shards"]
    shutil.copy(copy / entries[1]["file"], path)  # another shard of the same size
    fails(copy, "altered")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays["obs"].__setitem__((3, 0, 0), np.nan), "obs has values that are not finite"),
        (lambda arrays: arrays["reward"].__setitem__(5, 1e6), "returns are not the sums of rewards"),
        (lambda arrays: arrays["terminated"].__setitem__(5, True), "episodes do not end where"),
        (lambda arrays: arrays["truncated"].__setitem__(46, True), "episodes do not end where"),
        (lambda arrays: arrays["policy"].__setitem__(5, 2), "numbers of policies"),
        (lambda arrays: arrays["episode_ends"].__setitem__(0, 94), "ends of its episodes do not ascend"),
        (lambda arrays: arrays["episode_ends"].__setitem__(1, 93), "ends of its episodes do not ascend to 94"),
        (lambda arrays: arrays.update(obs=arrays["obs"][:, :5]), r"obs is \('float32', \(94, 5, 6\)\)"),
        (lambda arrays: arrays.update(action=arrays["action"].astype(np.int32)), r"action is \('int32', \(94,\)\)"),
        (lambda arrays: arrays.pop("action"), "action is missing"),
        (lambda arrays: arrays.update(more=np.zeros(94)), "more is .* the manifest says nothing"),
    ],
)
def test_contents_that_make_no_sense(copy, change, message):
    forge(copy, change)
    fails(copy, message)


def test_ragged_contents_that_make_no_sense(cjs_pool, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(cjs_pool.folder, folder)
    forge(folder, lambda arrays: arrays["obs/stages:offsets"].__setitem__(2, 0))
    fails(folder, "the offsets of obs/stages do not ascend")


def test_manifests_that_are_none(copy):
    path = copy / "manifest.json"
    manifest = json.loads(path.read_text())
    for text in ("", "[]", "{", json.dumps({**manifest, "shards": 3}), path.read_text()[:300]):
        path.write_text(text)
        fails(copy, "not the manifest of a pool, or damaged")
    for key in ("columns", "shards", "policies", "collections", "environment", "task"):
        path.write_text(json.dumps({name: value for name, value in manifest.items() if name != key}))
        fails(copy, "not the manifest of a pool, or damaged")
    outside = [{**manifest["shards"][0], "file": "../other.safetensors"}]
    path.write_text(json.dumps({**manifest, "shards": outside}))
    fails(copy, "not the manifest of a pool, or damaged")
    path.write_text(json.dumps({**manifest, "schema": 99}))
    fails(copy, "'netenvs-pool' of schema 99; this version reads")
    path.unlink()
    fails(copy, "no pool, there is no manifest.json")


def test_the_manifest_has_the_sha256_of_each_file(abr_pool):
    for entry in abr_pool.manifest["shards"]:
        path = abr_pool.folder / entry["file"]
        assert entry["sha256"] == sha256(path) and entry["bytes"] == path.stat().st_size
    assert [entry["episodes"] for entry in abr_pool.manifest["shards"]] == [2, 2, 1, 2, 2, 1]
    assert abr_pool.manifest["collections"][0]["seed"] == 3


def test_a_merge_on_a_full_disk_leaves_nothing(abr_pool, tmp_path, full_disk):
    with full_disk(100), pytest.raises(OSError, match="too large") as caught:
        merge([abr_pool.folder], tmp_path / "both")
    assert str(tmp_path) in str(caught.value.filename) and not list(tmp_path.glob("*both*"))


def test_two_merges_at_once_are_refused(abr_pool, tmp_path):
    with only_one(tmp_path / ".both.lock"), pytest.raises(PoolError, match="another process is merging into it"):
        merge([abr_pool.folder], tmp_path / "both")
    merge([abr_pool.folder], tmp_path / "both").verify()
    assert [path.name for path in tmp_path.glob("*both*")] == ["both"]


def test_a_manifest_nested_too_deeply_is_one_line(tmp_path):
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(PoolError, match="not the manifest of a pool, or damaged"):
        Pool(tmp_path)
