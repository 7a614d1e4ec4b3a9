"""stable-baselines3 trains on the id alone and through the adapter."""

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import SubprocVecEnv

from netenvs.wrappers.sb3 import SB3VecEnv, make_sb3_env

stable_baselines3 = pytest.importorskip("stable_baselines3")
ABR = "netenvs/ABR-v0"
NET = {"net_arch": [8]}


def parameters(model) -> np.ndarray:
    return np.concatenate([value.detach().numpy().ravel() for value in model.policy.parameters()])


def learn(model, steps) -> None:
    before = parameters(model)
    model.learn(steps)
    after = parameters(model)
    assert np.all(np.isfinite(after)) and not np.array_equal(before, after)


def test_ppo_learns_from_the_id_alone():
    model = stable_baselines3.PPO("MlpPolicy", ABR, n_steps=64, batch_size=64, n_epochs=1, policy_kwargs=NET, seed=0)
    learn(model, 128)


def test_worker_processes_find_the_ids():
    """Where one has imported nothing; without the module before the colon they end with NamespaceNotFound."""
    workers = {"vec_env_cls": SubprocVecEnv, "vec_env_kwargs": {"start_method": "spawn"}}
    env = make_vec_env(f"netenvs:{ABR}", n_envs=1, seed=3, **workers)
    np.testing.assert_array_equal(env.reset()[0], gym.make(ABR).reset(seed=3)[0])
    env.close()


@pytest.mark.parametrize("env_id", ["netenvs/CJS-small-v0", "netenvs/VP-v0", "netenvs/VPStreaming-v0"])
def test_ppo_learns_from_dicts(env_id):
    env = make_sb3_env(env_id, num_envs=2)
    learn(stable_baselines3.PPO("MultiInputPolicy", env, n_steps=8, batch_size=16, n_epochs=1, policy_kwargs=NET), 16)


def test_ppo_learns_through_the_adapter():
    env = make_sb3_env(ABR, num_envs=8, preset="genet")
    model = stable_baselines3.PPO("MlpPolicy", env, n_steps=50, batch_size=80, n_epochs=1, policy_kwargs=NET, seed=0)
    learn(model, 400)
    action, _ = model.predict(env.reset(), deterministic=True)
    assert action.shape == (8,)


def test_adapter_steps_as_the_vector_environment_does():
    adapter, single = make_sb3_env(ABR, num_envs=3, delay_noise=True), gym.make(ABR, delay_noise=True)
    adapter.seed(7)
    observations, rng = adapter.reset(), np.random.default_rng(0)
    observation, _ = single.reset(seed=8)
    assert np.array_equal(observations[1], observation)
    episodes = 0
    for _ in range(100):
        actions = rng.integers(6, size=3)
        observations, rewards, done, infos = adapter.step(actions)
        observation, reward, terminated, _, _ = single.step(actions[1])
        assert rewards.dtype == np.float32 and rewards[1] == np.float32(reward)
        assert done[1] == terminated
        if terminated:
            episodes += 1
            assert np.array_equal(infos[1]["terminal_observation"], observation)
            assert infos[1]["TimeLimit.truncated"] is False
            observation, _ = single.reset()
        else:
            assert infos[1] == {}
        assert np.array_equal(observations[1], observation)
    assert episodes == 2


def test_adapter_resets_again_without_a_seed():
    adapter = make_sb3_env(ABR, num_envs=2)
    adapter.seed(3)
    first = adapter.reset()
    assert not np.array_equal(adapter.reset(), first), "a seed counts once"
    adapter.seed(3)
    assert np.array_equal(adapter.reset(), first)


def test_maskable_ppo_finds_the_masks():
    contrib = pytest.importorskip("sb3_contrib")
    from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported

    env = make_sb3_env(ABR, num_envs=4, action_mode="jump")
    observations = env.reset()
    assert is_masking_supported(env)
    assert get_action_masks(env).tolist() == [[False, True, True]] * 4
    model = contrib.MaskablePPO("MlpPolicy", env, n_steps=50, batch_size=50, n_epochs=1, policy_kwargs=NET, seed=0)
    learn(model, 200)
    masks = np.tile([False, False, True], (4, 1))
    action, _ = model.predict(observations, action_masks=masks)
    assert action.tolist() == [2] * 4
    single = gym.make(ABR, action_mode="jump")
    assert is_masking_supported(single)


def test_vec_monitor_reports_returns():
    from stable_baselines3.common.vec_env import VecMonitor

    env = VecMonitor(make_sb3_env(ABR, num_envs=2))
    env.reset()
    for _ in range(47):
        *_, infos = env.step(np.zeros(2, dtype=np.int64))
    assert [info["episode"]["l"] for info in infos] == [47, 47]


def test_attributes_and_methods():
    env = make_sb3_env(ABR, num_envs=3)
    env.reset()
    assert [len(traces) for traces in env.get_attr("traces")] == [100] * 3
    assert len(env.get_attr("qoe", indices=[0, 2])) == 2
    assert [mask.tolist() for mask in env.env_method("action_masks", indices=1)] == [[True] * 6]
    assert env.has_attr("action_masks") and not env.has_attr("nonsense")
    assert env.env_is_wrapped(gym.Wrapper) == [False] * 3
    with pytest.raises(AttributeError, match="share one simulator"):
        env.set_attr("qoe", None)
    env.close()


def test_adapter_needs_same_step_resets():
    with pytest.raises(ValueError, match="SAME_STEP"):
        SB3VecEnv(gym.make_vec(ABR, num_envs=2))


CJS = "netenvs/CJS-small-v0"


def test_maskable_ppo_schedules_jobs_from_the_id_alone():
    """Dict observations, two components: stage and executors; what is possible jointly is left to clipping."""
    contrib = pytest.importorskip("sb3_contrib")
    model = contrib.MaskablePPO(
        "MultiInputPolicy", CJS, n_steps=64, batch_size=64, n_epochs=1, policy_kwargs=NET, seed=0
    )
    learn(model, 128)
    env = gym.make(CJS)
    observation, info = env.reset(seed=0)
    over = False
    while not over:
        action, _ = model.predict(observation, action_masks=info["action_mask"])
        observation, _, over, _, info = env.step(action)
        assert not info["invalid_action"] or action[0] != 0
    assert info["jobs_done"] == 20


def test_maskable_ppo_schedules_jobs_through_the_adapter():
    contrib = pytest.importorskip("sb3_contrib")
    env = make_sb3_env(CJS, num_envs=4)
    model = contrib.MaskablePPO("MultiInputPolicy", env, n_steps=32, batch_size=64, n_epochs=1, policy_kwargs=NET)
    learn(model, 256)
    masks = env.env_method("action_masks", indices=[2])
    assert len(masks) == 1 and masks[0].shape == (1 + 400 + 10,) and masks[0].dtype == np.bool_


@pytest.mark.slow
def test_maskable_ppo_schedules_for_thousands_of_steps():
    contrib = pytest.importorskip("sb3_contrib")
    env = make_sb3_env(CJS, num_envs=8)
    model = contrib.MaskablePPO("MultiInputPolicy", env, n_steps=128, batch_size=256, gamma=1.0, seed=0)
    learn(model, 8192)
