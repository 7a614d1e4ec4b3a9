"""The contract of a netenvs environment as public tests: ``check_task("netenvs/ABR-v0")``.

Third-party environments can run the same checks. Every failure is an ``AssertionError`` that says what differs.
"""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import netenvs  # noqa: F401  (registers the environments)

SEED = 1234


def check_task(env_id: str, steps: int = 200, **options: Any) -> None:
    """Check one environment id, made with ``options``: the Gymnasium contract and what netenvs adds to it.

    Gymnasium's ``check_env``; spec and pickle round trips; equal seeds, equal episodes; finite bounds and values;
    ``ValueError`` for actions outside the space, NaN and wrong shapes, and for unknown reset options; masks;
    rendering; and, where the id has a vector environment: row i equals the single environment with seed s + i at any
    batch size and in all three autoreset modes. ``steps`` bounds the length of the rollouts compared.
    """
    gym.make(env_id, **options).close()  # an unknown id or option is the caller's error, not the environment's
    checks = [check_single, check_masks, check_bad_input, check_round_trips, check_render]
    if gym.spec(env_id).vector_entry_point is not None:
        checks.append(check_vector)
    for check in checks:
        try:
            check(env_id, steps, options)
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"{env_id}: {check.__name__}: {type(error).__name__}: {error}") from error


def check_single(env_id: str, steps: int, options: dict[str, Any]) -> None:
    """Gymnasium's own checks, finite spaces and values, and that a seed determines the episodes that follow."""
    env = gym.make(env_id, **options)
    check_env(env.unwrapped, skip_render_check=True)
    for space in _boxes(env.observation_space):
        assert space.is_bounded("both"), f"{env_id}: the observation space has an infinite bound"
    first, second = _rollout(env, steps), _rollout(gym.make(env_id, **options), steps)
    _assert_equal(first, second, f"{env_id}: two environments with seed {SEED} differ")
    assert all(np.isfinite(step["reward"]) for step in first), f"{env_id}: a reward is not finite"


def check_masks(env_id: str, steps: int, options: dict[str, Any]) -> None:
    """``action_masks()`` exists through wrappers, is boolean and equals ``info["action_mask"]`` at every step.

    Of ``Discrete`` actions exactly those that the mask excludes are flagged in ``info["invalid_action"]``. ``Box``
    actions cannot be masked: there is neither method nor ``info``.
    """
    env = gym.make(env_id, **options)
    if isinstance(env.action_space, gym.spaces.Box):
        assert not env.has_wrapper_attr("action_masks"), f"{env_id}: action_masks() with Box actions"
        assert "action_mask" not in env.reset(seed=SEED)[1], f"{env_id}: info['action_mask'] with Box actions"
        return
    env.action_space.seed(SEED)
    _, info = env.reset(seed=SEED)
    for _ in range(steps):
        mask = env.get_wrapper_attr("action_masks")()
        assert mask.dtype == np.bool_ and mask.any(), f"{env_id}: action_masks() must be boolean with a legal action"
        assert np.array_equal(mask, info["action_mask"]), f"{env_id}: action_masks() and info['action_mask'] differ"
        action = env.action_space.sample()
        _, _, terminated, truncated, info = env.step(action)
        if isinstance(env.action_space, gym.spaces.Discrete):
            flag = info["invalid_action"]
            assert flag == (not mask[action]), f"{env_id}: action {action} with mask {mask} has invalid_action={flag}"
        if terminated or truncated:
            _, info = env.reset()


def check_bad_input(env_id: str, steps: int, options: dict[str, Any]) -> None:
    """Actions outside the space and unknown reset options are a ``ValueError``, and change nothing."""
    env = gym.make(env_id, disable_env_checker=True, **options)
    env.reset(seed=SEED)
    legal = env.action_space.sample()
    shape = np.shape(legal)
    wrong: list[Any] = [None, "best", np.full(shape, np.nan), np.full((*shape, 2), 0)]
    if isinstance(env.action_space, gym.spaces.Discrete):
        wrong += [-1, int(env.action_space.n), 0.5]
    if isinstance(env.action_space, gym.spaces.Box):
        beyond = 1.0 + 1.01 * float(env.action_space.high.flat[-1])
        wrong += [_with_last(legal, value) for value in (np.nan, np.inf, -np.inf, beyond)]
    for action in wrong:
        _assert_raises(lambda action=action: env.step(action), f"{env_id}: step({action!r})")
    _assert_raises(lambda: env.reset(options={"no such option": 1}), f"{env_id}: an unknown reset option")
    untouched = gym.make(env_id, disable_env_checker=True, **options)
    env.reset(seed=SEED)
    untouched.reset(seed=SEED)
    _assert_raises(lambda: env.step(wrong[0]), f"{env_id}: step({wrong[0]!r})")
    _assert_equal(env.step(legal), untouched.step(legal), f"{env_id}: a refused action changed the state")


def check_round_trips(env_id: str, steps: int, options: dict[str, Any]) -> None:
    """The spec survives JSON and pickle and rebuilds an equal environment; a pickled or copied one goes on equally."""
    env = gym.make(env_id, **options)
    assert env.spec is not None
    text = env.spec.to_json()
    json.loads(text)
    reference = _rollout(env, steps)
    for what, spec in (("JSON", EnvSpec.from_json(text)), ("pickle", pickle.loads(pickle.dumps(env.spec)))):
        _assert_equal(_rollout(gym.make(spec), steps), reference, f"{env_id}: the spec read back from {what} differs")
    _, _ = env.reset(seed=SEED)
    env.action_space.seed(SEED)
    _, _, terminated, truncated, _ = env.step(env.action_space.sample())
    if terminated or truncated:
        env.reset()
    for what, twin in (("pickled", pickle.loads(pickle.dumps(env))), ("copied", copy.deepcopy(env))):
        before = copy.deepcopy(env)
        action = env.action_space.sample()
        _assert_equal(twin.step(action), before.step(action), f"{env_id}: a {what} environment goes on differently")


def check_render(env_id: str, steps: int, options: dict[str, Any]) -> None:
    """Every render mode works without a display: pictures are uint8 (h, w, 3), text is text."""
    modes = gym.make(env_id, **options).metadata["render_modes"]
    assert {"rgb_array", "ansi"} <= set(modes), f"{env_id}: render modes must include rgb_array and ansi"
    for mode in modes:
        env = gym.make(env_id, render_mode=mode, **options)
        env.reset(seed=SEED)
        env.action_space.seed(SEED)
        env.step(env.action_space.sample())
        picture = env.render()
        if mode == "rgb_array":
            assert isinstance(picture, np.ndarray) and picture.dtype == np.uint8, f"{env_id}: not a uint8 picture"
            assert picture.ndim == 3 and picture.shape[2] == 3, f"{env_id}: picture of shape {picture.shape}"
            assert picture.std() > 0, f"{env_id}: the picture is blank"
        elif mode == "ansi":
            assert isinstance(picture, str) and picture, f"{env_id}: ansi must render a text"


def check_vector(env_id: str, steps: int, options: dict[str, Any]) -> None:
    """Rows of the vector environment equal single environments, whatever the batch size and autoreset mode."""
    for mode in AutoresetMode:
        for rows in (1, 3):
            env: Any = gym.make_vec(env_id, num_envs=rows, autoreset_mode=mode, **options)
            singles = [gym.make(env_id, disable_env_checker=True, **options) for _ in range(rows)]
            assert env.single_observation_space == singles[0].observation_space, f"{env_id}: observation spaces differ"
            assert env.single_action_space == singles[0].action_space, f"{env_id}: action spaces differ"
            _compare_rows(env_id, env, singles, mode, steps)
            env.close()


def _compare_rows(env_id: str, env: Any, singles: list[gym.Env], mode: AutoresetMode, steps: int) -> None:
    rows = len(singles)
    env.action_space.seed(SEED)
    observations, infos = env.reset(seed=SEED)
    over = np.zeros(rows, dtype=np.bool_)
    for row, single in enumerate(singles):
        _compare_row(env_id, row, (observations, infos), single.reset(seed=SEED + row))
    for _ in range(steps):
        if mode is AutoresetMode.DISABLED and over.any():
            observations, infos = env.reset(options={"reset_mask": over.copy()})
            for row in np.flatnonzero(over).tolist():
                _compare_row(env_id, row, (observations, infos), singles[row].reset())
            over[:] = False
        actions = env.action_space.sample()
        observations, rewards, terminated, truncated, infos = env.step(actions)
        assert rewards.dtype == np.float64 and rewards.shape == (rows,), f"{env_id}: rewards must be float64 (rows,)"
        for row, single in enumerate(singles):
            where = f"{env_id}: row {row} and the single environment with seed {SEED + row} differ ({mode.name})"
            if mode is AutoresetMode.NEXT_STEP and over[row]:
                _compare_row(env_id, row, (observations, infos), single.reset())
                _assert_equal((rewards[row], terminated[row], truncated[row]), (0.0, False, False), where)
                continue
            observation, reward, ended, cut, info = single.step(actions[row])
            _assert_equal((rewards[row], terminated[row], truncated[row]), (reward, ended, cut), where)
            if mode is AutoresetMode.SAME_STEP and (ended or cut):
                _assert_equal(infos["final_obs"][row], observation, where)
                _compare_infos(env_id, row, infos["final_info"], info)
                _compare_row(env_id, row, (observations, infos), single.reset())
            else:
                _compare_row(env_id, row, (observations, infos), (observation, info))
        over = terminated | truncated


def _compare_row(env_id: str, row: int, batch: tuple[Any, dict[str, Any]], single: tuple[Any, dict[str, Any]]) -> None:
    observations, infos = batch
    observation, info = single
    picked = {k: v[row] for k, v in observations.items()} if isinstance(observations, dict) else observations[row]
    _assert_equal(picked, observation, f"{env_id}: observation of row {row} differs from the single environment")
    _compare_infos(env_id, row, infos, info)


def _compare_infos(env_id: str, row: int, infos: dict[str, Any], info: dict[str, Any]) -> None:
    scalars = {k for k, v in info.items() if isinstance(v, bool | int | float | np.number)}
    columns = {k for k, v in infos.items() if not k.startswith("_") and not k.startswith("final_")}
    assert columns == scalars, f"{env_id}: info columns {sorted(columns)} are not the scalars {sorted(scalars)}"
    for name in columns:
        _assert_equal(infos[name][row], info[name], f"{env_id}: info[{name!r}] of row {row} differs")


def _rollout(env: gym.Env, steps: int) -> list[dict[str, Any]]:
    """Random legal actions from SEED over several episodes; the environment's own random numbers go on."""
    env.action_space.seed(SEED)
    observation, info = env.reset(seed=SEED)
    seen = [{"observation": observation, "reward": 0.0, "info": info}]
    for _ in range(steps):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        seen.append({"observation": observation, "reward": reward, "info": info})
        if terminated or truncated:
            observation, info = env.reset()
            seen.append({"observation": observation, "reward": 0.0, "info": info})
    return seen


def _with_last(action: np.ndarray, value: float) -> np.ndarray:
    """The action, float64, its last number replaced."""
    changed = action.astype(np.float64)
    changed.flat[-1] = value
    return changed


def _boxes(space: gym.Space[Any]) -> list[gym.spaces.Box]:
    if isinstance(space, gym.spaces.Dict):
        return [box for part in space.spaces.values() for box in _boxes(part)]
    return [space] if isinstance(space, gym.spaces.Box) else []


def _assert_equal(left: Any, right: Any, message: str) -> None:
    """Equal to the bit through containers and arrays; objects of other kinds are not compared."""
    if isinstance(left, dict):
        assert left.keys() == right.keys(), f"{message}: keys {sorted(left)} and {sorted(right)}"
        for key in left:
            _assert_equal(left[key], right[key], f"{message}: {key}")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), f"{message}: lengths {len(left)} and {len(right)}"
        for index, (a, b) in enumerate(zip(left, right, strict=True)):
            _assert_equal(a, b, f"{message}: entry {index}")
    elif isinstance(left, np.ndarray | np.generic | bool | int | float | str):
        assert np.array_equal(left, right), f"{message}: {left!r} is not {right!r}"


def _assert_raises(call: Any, what: str) -> None:
    try:
        call()
    except ValueError:
        return
    except Exception as error:
        raise AssertionError(f"{what} must raise ValueError, it raised {type(error).__name__}: {error}") from error
    raise AssertionError(f"{what} must raise ValueError, it was accepted")
