"""Infos that libraries can store: of every id the numbers, and what Gymnasium makes of them."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from netenvs import tasks
from netenvs.wrappers.scalar_info import ScalarInfo

ABR = "netenvs/ABR-v0"
IDS = [env_id for task in tasks.BUILT_IN for env_id in tasks.find(task).ids]


@pytest.mark.parametrize("env_id", IDS)
def test_infos_are_those_of_the_vector_environment_and_the_mask(env_id):
    env = ScalarInfo(gym.make(env_id))
    env.action_space.seed(0)
    vector = gym.make_vec(env_id, num_envs=1)
    columns = {name for name in vector.reset(seed=0)[1] if not name.startswith("_")}
    _, reset = env.reset(seed=0)
    *_, step = env.step(env.action_space.sample())
    for info in (reset, step):
        assert set(info) - {"action_mask"} == columns
        shapes = {np.shape(value) for name, value in info.items() if name != "action_mask"}
        assert shapes == {()}
    assert ("action_mask" in step) == env.has_wrapper_attr("action_masks")


def test_rows_at_different_steps_can_be_stacked():
    """Sizes of the chunks ahead are fewer with each chunk, and Gymnasium cannot put them into one array."""

    def out_of_step(wrappers):
        kwargs = {"autoreset_mode": AutoresetMode.DISABLED}
        env = gym.make_vec(ABR, num_envs=2, vectorization_mode="sync", wrappers=wrappers, vector_kwargs=kwargs)
        env.reset(seed=0)
        env.step(np.zeros(2, dtype=np.int64))
        env.reset(options={"reset_mask": np.array([True, False])})
        return env.step(np.zeros(2, dtype=np.int64))[4]

    assert out_of_step([ScalarInfo])["chunk"].tolist() == [2, 3]
    with pytest.raises(ValueError, match="broadcast"):
        out_of_step([])


def test_it_is_part_of_the_spec():
    env = ScalarInfo(gym.make(ABR))
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, ScalarInfo)
    assert again.reset(seed=0)[1].keys() == env.reset(seed=0)[1].keys()
