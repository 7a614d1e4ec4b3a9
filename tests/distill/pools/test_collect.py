"""Collecting: what is kept is what happened, whatever is played together, and whenever it is interrupted."""

import os
import signal

import gymnasium as gym
import numpy as np
import pytest

from agents.policy import BatchPolicy, Policy, PolicyError, load_policy
from agents.ragged import Ragged
from agents.rollout import EpisodeSpec, play
from distill.pools import shards
from distill.pools.collect import collect, joint_options
from distill.pools.pool import Pool
from distill.pools.recorder import ExtraColumn, record
from distill.pools.shards import PoolError

ABR = "netenvs/ABR-v0"
CJS_OPTIONS = {"num_jobs": 3, "num_executors": 4, "max_jobs": 3}


class ByBuffer(BatchPolicy):
    """A rule that looks at nothing but what it is given now."""

    def act_batch(self, observations, infos):
        return (infos["buffer_s"] // 4).astype(int).clip(0, 5)


class Alone(ByBuffer):
    """The same rule, played one episode at a time."""

    name = "ByBuffer"

    def bind(self, env):
        pass


class Stops(ByBuffer):
    """Interrupted at its n-th decision; 0 = never. Counts decisions."""

    def __init__(self, at=0, how=KeyboardInterrupt):
        self.left, self.how, self.decided = at, how, 0

    def act_batch(self, observations, infos):
        self.decided += 1
        self.left -= 1
        if self.left == 0:
            if self.how is signal.SIGKILL:
                os.kill(os.getpid(), signal.SIGKILL)
            raise self.how
        return super().act_batch(observations, infos)


def traces(count, first=0):
    return [EpisodeSpec(first + i, first + i, {"trace": first + i}) for i in range(count)]


def columns_equal(left, right):
    assert left.keys() == right.keys()
    for name, a in left.items():
        b = right[name]
        if isinstance(a, Ragged):
            assert np.array_equal(a.lengths, b.lengths) and np.array_equal(a.flat, b.flat), name
        else:
            assert a.dtype == b.dtype and np.array_equal(a, b), name


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".safetensors"}


def test_the_environment_plays_every_episode_of_a_pool_again(any_pool):
    env = any_pool.make_env()
    for i in range(len(any_pool)):
        steps, scalars = any_pool.episode(i), {name: values[i] for name, values in any_pool.episodes.items()}
        pins = {name.removeprefix("reset/"): int(v) for name, v in scalars.items() if name.startswith("reset/")}
        observation, info = env.reset(seed=int(scalars["seed"]), options=pins or None)
        played, infos, rewards, ends = [observation], [info], [], []
        for action in steps["action"]:
            observation, reward, terminated, truncated, info = env.step(action)
            played.append(observation), infos.append(info), rewards.append(reward), ends.append([terminated, truncated])
        kept = any_pool.observations(i, env.observation_space)
        for name in played[0] if isinstance(played[0], dict) else [None]:
            again = np.array([observation if name is None else observation[name] for observation in played])
            there = kept if name is None else kept[name]
            assert there.dtype == again.dtype and np.array_equal(there, again), name
        assert np.array_equal(steps["reward"], rewards) and scalars["length"] == len(rewards)
        assert np.array_equal(np.stack([steps["terminated"], steps["truncated"]], axis=1), ends)
        assert np.array(ends).any(axis=1).tolist() == [False] * (len(ends) - 1) + [True]
        final = any_pool.final(i)
        for name in [name for name in steps if name.startswith("info/")]:
            values = [info[name.removeprefix("info/")] for info in infos]
            assert np.array_equal(steps[name], values[:-1]) and final[name] == values[-1], name
        assert not any(info.get("invalid_action") for info in infos)


@pytest.mark.parametrize("name", ["bba", "robust-mpc", "random"])
def test_returns_are_those_of_plain_play(name, tmp_path):
    episodes = traces(3)
    pool = collect(tmp_path / "pool", ABR, [load_policy(name, "abr")], episodes)
    plain = play(load_policy(name, "abr"), ABR, episodes)
    assert pool.episodes["return"].tolist() == [episode.total_reward for episode in plain]
    for i, episode in enumerate(plain):
        assert np.array_equal(pool.episode(i)["reward"], episode.rewards)
        assert np.array_equal(pool.episode(i)["action"], episode.actions)


def test_the_same_call_makes_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        collect(tmp_path / folder, ABR, [ByBuffer(), load_policy("bba")], traces(3), noise=0.2, seed=1)
    assert files(tmp_path / "a") == files(tmp_path / "b") and len(files(tmp_path / "a")) == 2
    other = collect(tmp_path / "c", ABR, [ByBuffer(), load_policy("bba")], traces(3), noise=0.2, seed=2)
    assert not np.array_equal(Pool(tmp_path / "a").column("action"), other.column("action"))


@pytest.mark.parametrize("policy", [ByBuffer, Alone])
@pytest.mark.parametrize("num_envs", [1, 2, 64])
def test_records_do_not_depend_on_what_is_played_together(policy, num_envs):
    level = ExtraColumn(lambda env, rows: env.simulator.batch.session["buffer_ms"][rows], "ms")
    specs = [EpisodeSpec(i, options={"trace": i % 3} if i % 2 else {}) for i in range(5)]
    kept = {"noise": 0.3, "extra_columns": {"buffer_ms": level}}
    records = record(policy(), ABR, specs, {"delay_noise": True}, num_envs=num_envs, **kept)
    expected = record(ByBuffer(), ABR, specs, {"delay_noise": True}, num_envs=3, **kept)
    columns_equal(records.steps, expected.steps)
    columns_equal(records.episodes, expected.episodes)
    assert np.array_equal(records.ends, expected.ends)
    assert np.array_equal(records.steps["buffer_ms"] / 1000, records.steps["info/buffer_s"])
    assert records.episodes["reset/trace"].tolist() == [-1, 1, -1, 0, -1]


def test_pools_do_not_depend_on_the_size_of_shards(tmp_path):
    pools = [
        collect(tmp_path / str(size), ABR, [ByBuffer()], traces(3), noise=0.5, episodes_per_shard=size)
        for size in (1, 9)
    ]
    assert [len(pool.manifest["shards"]) for pool in pools] == [3, 1]
    assert np.array_equal(pools[0].column("action"), pools[1].column("action"))
    random = pools[0].column("policy").reshape(3, 47)
    assert not np.array_equal(random[0], random[1])


def test_clusters_do_not_depend_on_what_is_played_together():
    specs = [EpisodeSpec(seed) for seed in range(3)]
    env_id = "netenvs/CJS-v0"
    many = record(load_policy("fair"), env_id, specs, CJS_OPTIONS, noise=0.3)
    fair = load_policy("fair")
    fair.sequential = True  # played alone
    one = record(fair, env_id, specs, CJS_OPTIONS, noise=0.3)
    columns_equal(many.steps, one.steps)
    columns_equal(many.episodes, one.episodes)


def test_intended_and_random_actions_are_told_apart(abr_pool):
    policy, action, intended = (abr_pool.column(name) for name in ("policy", "action", "intended_action"))
    drawn = policy == -1
    assert np.array_equal(action[~drawn], intended[~drawn])
    assert abs(drawn.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / len(drawn))
    assert 0.5 < (action != intended)[drawn].mean() < 1.0  # 5 of 6 draws are another level
    buffer_s = abr_pool.column("info/buffer_s")
    behaviour = np.repeat(abr_pool.episodes["policy"], abr_pool.episodes["length"])
    assert abr_pool.policies == ["bba", "ByBuffer"] and np.array_equal(policy[~drawn], behaviour[~drawn])
    assert np.array_equal(intended[behaviour == 1], (buffer_s // 4).clip(0, 5)[behaviour == 1])


def test_a_column_says_what_is_to_be_predicted(vp_pool):
    assert vp_pool.task == "vp" and len(vp_pool) == 3 and (vp_pool.episodes["length"] > 3).all()
    steps = vp_pool.episode(1)
    error = np.abs((steps["action"] - steps["actual_path"] + 180) % 360 - 180).mean(axis=(1, 2))
    assert np.allclose(error[:-1], steps["info/mae"][1:], atol=1e-3)  # what the environment made of it
    # the next history, 4 s later, is the end of the path
    assert np.array_equal(steps["obs/history"][1:], steps["actual_path"][:-1, -10:])


@pytest.mark.parametrize("at", [2, 60])
def test_an_interrupted_collection_goes_on(at, tmp_path):
    whole = collect(tmp_path / "whole", ABR, [Stops()], traces(4), episodes_per_shard=2)
    stopped = Stops(at)
    with pytest.raises(KeyboardInterrupt):
        collect(tmp_path / "pool", ABR, [stopped], traces(4), episodes_per_shard=2)
    with pytest.raises(PoolError, match="no manifest"):
        Pool(tmp_path / "pool")
    again = Stops()
    pool = collect(tmp_path / "pool", ABR, [again], traces(4), episodes_per_shard=2)
    assert again.decided == (94 if at == 2 else 47)  # shards that were complete are not played again
    assert files(tmp_path / "pool") == files(tmp_path / "whole")
    assert pool.manifest["shards"] == whole.manifest["shards"]
    assert not list((tmp_path / "pool").glob(".*"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_a_killed_collection_leaves_the_pool_as_it_was(tmp_path):
    folder = tmp_path / "pool"
    before = collect(folder, ABR, [ByBuffer()], traces(2))
    child = os.fork()
    if child == 0:
        collect(folder, ABR, [Stops(70, signal.SIGKILL)], traces(4), episodes_per_shard=2)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(files(folder)) == 2
    pool = Pool(folder)
    pool.verify()
    assert pool.manifest == before.manifest
    after = collect(folder, ABR, [Stops()], traces(4), episodes_per_shard=2)
    after.verify()
    assert len(after) == 6 and after.policies == ["ByBuffer", "Stops"]


def test_half_a_shard_is_never_there(tmp_path, monkeypatch):
    def fills_the_disk(arrays, path, metadata):
        path.write_bytes(b"half")
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(shards, "save_file", fills_the_disk)
        with pytest.raises(OSError, match="no space"):
            collect(tmp_path / "pool", ABR, [ByBuffer()], traces(1))
    assert not files(tmp_path / "pool")
    assert len(collect(tmp_path / "pool", ABR, [ByBuffer()], traces(1))) == 1
    assert sorted(path.suffix for path in (tmp_path / "pool").iterdir()) == [".json", ".safetensors"]


def test_two_do_not_collect_into_one_pool_at_once(tmp_path):
    refused = []

    def again(episode):
        with pytest.raises(PoolError) as caught:
            collect(tmp_path / "pool", ABR, [ByBuffer()], traces(1))
        refused.append(str(caught.value))

    assert len(collect(tmp_path / "pool", ABR, [ByBuffer()], traces(1), on_episode=again)) == 1
    assert refused == [f"{tmp_path / 'pool'}: another process is collecting into it; wait until it is done"]
    assert len(collect(tmp_path / "pool", ABR, [load_policy("bba")], traces(1))) == 2


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".shard.safetensors.0f.part").write_bytes(b"half")
    collect(tmp_path, ABR, [ByBuffer()], traces(1))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]


def test_shards_can_be_read_by_whom_any_file_can(tmp_path):
    collect(tmp_path / "pool", ABR, [ByBuffer()], traces(1))
    (tmp_path / "plain").touch()
    assert {path.stat().st_mode for path in (tmp_path / "pool").iterdir()} == {(tmp_path / "plain").stat().st_mode}


def test_a_damaged_leftover_is_collected_again(tmp_path):
    folder = tmp_path / "pool"
    collect(folder, ABR, [ByBuffer()], traces(1))
    (folder / "manifest.json").unlink()
    shard = next(folder.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:500])
    collect(folder, ABR, [ByBuffer()], traces(1)).verify()


def test_pools_grow(tmp_path):
    folder = tmp_path / "pool"
    first = collect(folder, ABR, [ByBuffer()], traces(2))
    counted = Stops()
    counted.name = "ByBuffer"
    assert len(collect(folder, ABR, [counted], traces(2))) == 2 and counted.decided == 0  # it is there already
    pool = collect(folder, ABR, [load_policy("bba"), ByBuffer()], traces(2, first=2), command="grow")
    pool.verify()
    assert pool.policies == ["ByBuffer", "bba"] and pool.episodes["policy"].tolist() == [0, 0, 1, 1, 0, 0]
    assert pool.episodes["reset/trace"].tolist() == [0, 1, 2, 3, 2, 3]
    assert [set(pool.episode(i)["policy"].tolist()) for i in range(6)] == [{0}, {0}, {1}, {1}, {0}, {0}]
    columns_equal(pool.episode(1), first.episode(1))
    assert [each["command"] for each in pool.manifest["collections"]] == ["", "grow"]
    assert pool.num_steps == 6 * 47 and first.num_steps == 2 * 47


def test_a_pool_holds_one_environment_and_the_same_columns(tmp_path):
    folder = tmp_path / "pool"
    collect(folder, ABR, [ByBuffer()], traces(1))
    before = files(folder)
    with pytest.raises(PoolError, match="another environment: kwargs qoe is absent there, log here"):
        collect(folder, ABR, [ByBuffer()], traces(1), {"qoe": "log"})
    extra = {"twice": ExtraColumn(lambda env, rows: rows * 2.0)}
    with pytest.raises(PoolError, match="other columns: twice is absent there"):
        collect(folder, ABR, [ByBuffer()], traces(1), extra_columns=extra)
    with pytest.raises(PoolError, match="another environment: id is netenvs/ABR-v0 there, netenvs/VP-v0 here"):
        collect(folder, "netenvs/VP-v0", [load_policy("static")], [EpisodeSpec(0)])
    assert files(folder) == before


def test_other_folders_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(PoolError, match=r"not empty \(notes.txt\)"):
        collect(tmp_path, ABR, [ByBuffer()], traces(1))
    with pytest.raises(PoolError, match="a file of that name"):
        collect(tmp_path / "notes.txt", ABR, [ByBuffer()], traces(1))


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda env, rows: np.zeros(7), r"'x' must be numbers \(2, ...\), one row an episode, not float64 \(7,\)"),
        (lambda env, rows: np.array([None] * len(rows)), "'x' must be numbers"),
    ],
)
def test_wrong_extra_columns(compute, message):
    with pytest.raises(ValueError, match=f"^extra column {message}"):  # it is not the policy's fault
        record(ByBuffer(), ABR, traces(2), extra_columns={"x": ExtraColumn(compute)})


@pytest.mark.parametrize("name", ["action", "reward", "returns_to_go", "episode/x", "x:offsets"])
def test_extra_columns_take_no_name_that_is_taken(name):
    with pytest.raises(ValueError, match="this name is taken"):
        record(ByBuffer(), ABR, traces(1), extra_columns={name: ExtraColumn(lambda env, rows: rows)})


def test_expert_values_in_a_pool(tmp_path):
    alone = Alone()
    alone.name = "alone"
    values = ExtraColumn(
        lambda env, rows: env.unwrapped.simulator.batch.session["chunk"][rows, None] + np.zeros(6), "QoE"
    )
    pool = collect(tmp_path / "pool", ABR, [ByBuffer(), alone], traces(2), extra_columns={"expert_values": values})
    assert pool.columns["expert_values"] == {"dtype": "float64", "shape": [6], "unit": "QoE", "ragged": False}
    assert np.array_equal(pool.column("expert_values")[:, 0], pool.column("info/chunk"))


def test_policies_of_a_pool_see_the_same():
    wide, narrow = ByBuffer(), ByBuffer()
    wide.observation_options, narrow.observation_options = {"history": 8}, {"history": 6}
    narrow.name = "narrow"
    assert joint_options([wide, load_policy("bba")], {"qoe": "log"}) == {"qoe": "log", "history": 8}
    with pytest.raises(ValueError, match="narrow needs history=6, ByBuffer needs 8"):
        joint_options([wide, narrow], {})
    with pytest.raises(ValueError, match="ByBuffer needs history=8, the options given 6"):
        joint_options([wide], {"history": 6})


def test_what_cannot_be_collected(tmp_path):
    with pytest.raises(ValueError, match="at least one policy"):
        collect(tmp_path, ABR, [], traces(1))
    with pytest.raises(ValueError, match="the same name"):
        collect(tmp_path, ABR, [ByBuffer(), Alone()], traces(1))
    with pytest.raises(ValueError, match="names, numbers or paths"):
        collect(tmp_path, ABR, [ByBuffer()], traces(1), {"traces": gym.make(ABR).unwrapped.traces})
    with pytest.raises(ValueError, match="discrete choices"):
        collect(tmp_path, "netenvs/VP-v0", [load_policy("static")], [EpisodeSpec(0)], noise=0.5)
    with pytest.raises(PolicyError, match="ZeroDivisionError"):
        collect(tmp_path, ABR, [Fails()], traces(1))
    assert not files(tmp_path)


class Fails(Policy):
    """Raises."""

    def act(self, observation, info):
        return 1 / 0


def test_a_sequential_policy_plays_in_one_stream(tmp_path):
    policy = load_policy("netllm-mpc", "abr")
    assert policy.sequential
    pool = collect(tmp_path, ABR, [policy], traces(3), episodes_per_shard=1)
    plain = play(load_policy("netllm-mpc", "abr"), ABR, traces(3))
    assert len(pool.manifest["shards"]) == 1
    assert np.array_equal(pool.column("action"), np.concatenate([episode.actions for episode in plain]))
