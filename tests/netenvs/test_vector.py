"""Every id in what others make around it: wrappers of Gymnasium, worker processes, libraries of learning."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList, NormalizeReward, RecordEpisodeStatistics

from netenvs import tasks

IDS = [env_id for task in tasks.BUILT_IN for env_id in tasks.find(task).ids]
MODES = [
    AutoresetMode.NEXT_STEP,
    AutoresetMode.DISABLED,
    pytest.param(
        AutoresetMode.SAME_STEP,
        marks=pytest.mark.skipif(
            tuple(map(int, gym.__version__.split(".")[:2])) < (1, 4),
            reason="before Gymnasium 1.4 its statistics leave out the first step after a reset in the same step",
        ),
    ),
]
ROWS = 3


def episodes(env, singles, steps):
    """Per row, returns and lengths of episodes: what the wrapper of ``env`` says, and those of ``singles``."""
    ours, theirs = ([[] for _ in singles] for _ in range(2))
    mode, over = env.metadata["autoreset_mode"], np.zeros(len(singles), dtype=np.bool_)
    env.action_space.seed(0)
    env.reset(seed=5)
    for row, single in enumerate(singles):
        single.reset(seed=5 + row)
    for _ in range(steps):
        if mode is AutoresetMode.DISABLED and over.any():
            env.reset(options={"reset_mask": over})
        actions = env.action_space.sample()
        _, _, terminated, truncated, infos = env.step(actions)
        for row, single in enumerate(singles):
            if mode is AutoresetMode.NEXT_STEP and over[row]:
                single.reset()
                continue
            *_, ended, cut, info = single.step(actions[row])
            if ended or cut:
                theirs[row].append((info["episode"]["r"], info["episode"]["l"]))
                if mode is not AutoresetMode.NEXT_STEP:
                    single.reset()
        over = terminated | truncated
        for row in np.flatnonzero(over):
            assert infos["_episode"][row]
            ours[row].append((infos["episode"]["r"][row], infos["episode"]["l"][row]))
    return ours, theirs


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("env_id", IDS)
def test_returns_and_lengths_are_those_of_single_environments(env_id, mode):
    options = {"num_jobs": 3} if "num_jobs" in gym.make(env_id).unwrapped.options.__dict__ else {}
    env = RecordEpisodeStatistics(gym.make_vec(env_id, num_envs=ROWS, autoreset_mode=mode, **options))
    singles = [gym.wrappers.RecordEpisodeStatistics(gym.make(env_id, **options)) for _ in range(ROWS)]
    ours, theirs = episodes(env, singles, 220)
    assert ours == theirs
    assert min(map(len, ours)) >= 2


@pytest.mark.parametrize("mode", ["NEXT_STEP", "SAME_STEP"])
@pytest.mark.parametrize("env_id", IDS)
def test_wrappers_see_what_they_see_of_gymnasiums_own_vector_environment(env_id, mode):
    """Rewards with a running scale, and infos as a list of dicts."""
    mode = AutoresetMode[mode]
    makers = [
        partial(gym.make_vec, env_id, ROWS, autoreset_mode=mode),
        partial(gym.make_vec, env_id, ROWS, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}),
    ]
    ours, theirs = (DictInfoToList(NormalizeReward(make())) for make in makers)
    ours.action_space.seed(0)
    _, infos = ours.reset(seed=5)
    _, others = theirs.reset(seed=5)
    for _ in range(60):
        scalars = {name for name, value in infos[0].items() if np.isscalar(value)}
        assert scalars and [[info[name] for name in scalars] for info in infos] == [
            [info[name] for name in scalars] for info in others
        ]
        actions = ours.action_space.sample()
        _, *found, infos = ours.step(actions)
        _, *expected, others = theirs.step(actions)
        np.testing.assert_array_equal(found, expected)


def boxes(space):
    return [box for part in space.values() for box in boxes(part)] if isinstance(space, gym.spaces.Dict) else [space]


@pytest.mark.parametrize("env_id", IDS)
def test_observations_are_boxes_in_one_dict_at_most(env_id):
    """Which every library takes, as none takes MultiBinary, Graph and Tuple."""
    env = gym.make(env_id)
    assert {type(space) for space in boxes(env.observation_space)} == {gym.spaces.Box}
    flat = gym.wrappers.FlattenObservation(env)
    assert flat.reset(seed=0)[0] in flat.observation_space


def test_worker_processes_find_the_ids():
    """A spawned process has imported nothing; the module before the colon is imported there."""
    env = AsyncVectorEnv([partial(gym.make, "netenvs:netenvs/ABR-v0")], context="spawn")
    single = gym.make("netenvs/ABR-v0")
    np.testing.assert_array_equal(env.reset(seed=3)[0][0], single.reset(seed=3)[0])
    env.close()
    assert tasks.task_of("netenvs:netenvs/ABR-v0") is tasks.task_of("netenvs/ABR-v0") is not None
