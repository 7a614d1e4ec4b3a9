"""Several videos in one environment: each episode plays one of them by the rules it has alone."""

import json

import gymnasium as gym
import numpy as np
import pytest

from agents.abr.oracle import best_plan, session_state
from agents.abr.value_table import ValueTable
from agents.policy import load_policy
from agents.rollout import EpisodeSpec, play
from netenvs.abr.workload import load_videos

ABR = "netenvs/ABR-v0"
LADDERS = ([400, 900, 2000], [300, 1100, 2600], [250, 700, 1500])
SECONDS, CHUNKS = (4.0, 2.0, 3.0), (20, 31, 12)


@pytest.fixture
def folder(tmp_path):
    for number, (ladder, seconds, chunks) in enumerate(zip(LADDERS, SECONDS, CHUNKS, strict=True)):
        sizes = [
            [int(kbps * 125 * seconds) + 1000 * (c % (3 + number)) for c in range(chunks + number)] for kbps in ladder
        ]
        manifest = {
            "bitrates_kbps": ladder,
            "chunk_sizes_bytes": sizes,
            "chunk_duration_s": seconds,
            "num_chunks": chunks,
        }
        (tmp_path / f"{number}.json").write_text(json.dumps(manifest))
    return str(tmp_path)


def episode(env, seed, draw, **reset):
    """Observations, rewards and infos of one episode with levels drawn from ``draw``."""
    observation, info = env.reset(seed=seed, options=reset or None)
    found, over = [(observation, 0.0, info)], False
    while not over:
        observation, reward, over, _, info = env.step(int(draw.integers(3)))
        found.append((observation, reward, info))
    return found


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(
    "options", [{}, {"qoe": "log", "delay_noise": True, "start": "random"}, {"preset": "pensieve"}]
)
def test_an_episode_is_that_of_its_video_alone(number, options, folder):
    alone = gym.make(ABR, video=f"{folder}/{number}.json", **options)
    several = gym.make(ABR, video=folder, **options)
    first = episode(alone, 5, np.random.default_rng(1))
    second = episode(several, 5, np.random.default_rng(1), video=number)
    assert len(first) == len(second) == CHUNKS[number]
    for (seen, reward, info), (other_seen, other_reward, other_info) in zip(first, second, strict=True):
        assert seen.tolist() == other_seen.tolist() and reward == other_reward
        assert several.observation_space.contains(other_seen)
        assert other_info.pop("video_index") == number
        for name, value in info.items():
            assert np.array_equal(value, other_info[name]), name
    assert several.unwrapped.video == alone.unwrapped.video and several.unwrapped.qoe == alone.unwrapped.qoe


def test_rows_equal_single_environments(folder):
    rows, draw = 5, np.random.default_rng(0)
    vector = gym.make_vec(ABR, num_envs=rows, video=folder, delay_noise=True)
    singles = [gym.make(ABR, video=folder, delay_noise=True) for _ in range(rows)]
    observations, infos = vector.reset(seed=3)
    seen = [env.reset(seed=3 + row) for row, env in enumerate(singles)]
    over, played = np.zeros(rows, dtype=bool), set()
    for _ in range(120):
        for row, (observation, info) in enumerate(seen):
            assert observations[row].tolist() == observation.tolist()
            for name in ("video_index", "trace", "chunk", "delay_ms", "bitrate_kbps"):
                assert infos[name][row] == info[name]
        played |= set(infos["video_index"].tolist())
        actions = draw.integers(3, size=rows)
        for row, env in enumerate(singles):
            if over[row]:
                seen[row] = env.reset()
            else:
                observation, *_, info = env.step(int(actions[row]))
                seen[row] = (observation, info)
        observations, _, over, _, infos = vector.step(actions)
    assert played == {0, 1, 2}


def test_videos_are_drawn_evenly_and_without_touching_other_draws(folder):
    several = gym.make(ABR, video=folder)
    alone = gym.make(ABR, video=f"{folder}/0.json")
    drawn, traces = [], []
    for seed in range(300):
        info = several.reset(seed=seed)[1]
        drawn.append(info["video_index"])
        traces.append(info["trace"])
        assert info["trace"] == alone.reset(seed=seed)[1]["trace"]
    counts = np.bincount(drawn, minlength=3)
    assert counts.min() > 70  # 100 each, with a spread of 8
    assert abs(np.corrcoef(drawn, traces)[0, 1]) < 0.2


def test_rows_are_pinned_one_by_one(folder):
    vector = gym.make_vec(ABR, num_envs=4, video=folder)
    _, infos = vector.reset(seed=0, options={"video": np.array([2, 1, 0, -1]), "trace": 3})
    assert infos["video_index"][:3].tolist() == [2, 1, 0] and infos["trace"].tolist() == [3] * 4
    groups = vector.unwrapped.row_groups(np.array([0, 2]))
    assert [(places.tolist(), shared["video"].num_chunks) for places, shared in groups] == [([1], 20), ([0], 12)]


@pytest.mark.parametrize(
    "policy", ["bba", "robust-mpc", "oracle", "throughput", "bola", "stochastic-mpc", "netllm", "mamba4net"]
)
def test_policies_play_each_video_as_they_do_alone(policy, folder):
    specs = [EpisodeSpec(seed, options={"video": seed % 3}) for seed in range(6)]
    together = play(load_policy(policy, "abr"), ABR, specs, {"video": folder}, num_envs=4)
    for number in range(3):
        mine = [EpisodeSpec(spec.seed) for spec in specs if spec.options["video"] == number]
        alone = play(load_policy(policy, "abr"), ABR, mine, {"video": f"{folder}/{number}.json"}, num_envs=1)
        for episode_alone, episode_together in zip(alone, together[number::3], strict=True):
            assert episode_alone.actions.tolist() == episode_together.actions.tolist()
            assert episode_alone.rewards.tolist() == episode_together.rewards.tolist()


def test_the_oracle_of_a_row(folder):
    vector = gym.make_vec(ABR, num_envs=3, video=folder)
    vector.reset(seed=1, options={"video": np.arange(3), "trace": 2})
    for row in range(3):
        alone = gym.make(ABR, video=f"{folder}/{row}.json")
        alone.reset(seed=0, options={"trace": 2})
        assert best_plan(session_state(vector, row))[0] == best_plan(session_state(alone))[0]


def test_what_wants_one_video_says_so(folder):
    vector = gym.make_vec(ABR, num_envs=2, video=folder)
    for name in ("video", "qoe", "shared_info", "chunk_sizes"):
        with pytest.raises(ValueError, match="has 3 videos, and one is wanted here; give video=FILE"):
            getattr(vector.unwrapped, name)
    with pytest.raises(ValueError, match="for one video"):
        ValueTable(vector)
    with pytest.raises(ValueError, match=r"options\['video'\] must be a whole number from 0 to 2"):
        vector.reset(options={"video": 3})
    with pytest.raises(ValueError, match=r"has 3 levels and .* 6; .* make an environment of each"):
        gym.make(ABR, video=[f"{folder}/0.json", "synthetic"])


def test_a_list_of_names_survives_a_json_spec():
    env = gym.make(ABR, video=["synthetic", "synthetic(seed=2)"])
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.unwrapped.videos == env.unwrapped.videos == load_videos(["synthetic", "synthetic(seed=2)"])


def test_pictures_show_the_video_of_the_episode(folder):
    env = gym.make(ABR, video=folder, render_mode="ansi")
    env.reset(seed=0, options={"video": 2})
    assert "chunk 1/12 of " in env.render()
