"""``check_task`` finds what is broken: each environment here breaks one promise of the contract."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import registry

from netenvs.abr.env import ABREnv, ABRVectorEnv
from netenvs.testing import check_task

BROKEN_ID = "netenvs-broken/ABR-v0"


class Nondeterministic(ABREnv):
    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, reward + np.random.default_rng().random(), *rest


class Unbounded(ABREnv):
    def __init__(self, **options):
        super().__init__(**options)
        self.observation_space = gym.spaces.Box(0.0, np.inf, self.observation_space.shape, np.float32)


class AcceptsAnything(ABREnv):
    def step(self, action):
        return super().step(action if action in self.action_space else 0)


class RaisesTypeError(ABREnv):
    def step(self, action):
        return super().step(int(action))


class ForgetsOptions(ABREnv):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)


class ChangesStateOnBadAction(ABREnv):
    def step(self, action):
        if action is None:
            super().step(0)
        return super().step(action)


class OtherMask(ABREnv):
    def action_masks(self):
        mask = super().action_masks()
        mask[1] = False
        return mask


class WrongInfoMask(ABREnv):
    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed, options=options)
        return observation, {**info, "action_mask": ~info["action_mask"]}


class NotPickled(ABREnv):
    def __reduce__(self):
        return ABREnv, ()  # forgets the episode


class Blank(ABREnv):
    def render(self):
        return np.zeros((8, 8, 3), dtype=np.uint8) if self.render_mode == "rgb_array" else "text"


class Mute(ABREnv):
    def render(self):
        return super().render() if self.render_mode == "rgb_array" else ""


class NoText(ABREnv):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012


class InfiniteReward(ABREnv):
    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, -np.inf, *rest


class OtherRows(ABRVectorEnv):
    def step(self, actions):
        observations, rewards, *rest = super().step(actions)
        rewards[-1] += 1e-9
        return observations, rewards, *rest


class OtherSeeds(ABRVectorEnv):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None if seed is None else seed + 1, options=options)


class ExtraColumn(ABRVectorEnv):
    def _infos(self):
        return {**super()._infos(), "luck": np.ones(self.num_envs)}


class OtherInfo(ABRVectorEnv):
    def step(self, actions):
        *outcome, infos = super().step(actions)
        infos["buffer_s"][0] += 1e-9
        return *outcome, infos


class OtherSpace(ABRVectorEnv):
    def __init__(self, num_envs=1, **options):
        super().__init__(num_envs, **{**options, "history": 7})


class WrongFinalObservation(ABRVectorEnv):
    def step(self, actions):
        observations, rewards, terminated, truncated, infos = super().step(actions)
        if "final_obs" in infos:
            infos["final_obs"] = observations
        return observations, rewards, terminated, truncated, infos


class SinglePrecision(ABRVectorEnv):
    def step(self, actions):
        observations, rewards, *rest = super().step(actions)
        return observations, rewards.astype(np.float32), *rest


@pytest.fixture
def check():
    """Register one class under an id of its own and check it."""

    def run(single=ABREnv, vector=None, steps=60):
        names = [None if cls is None else f"{cls.__module__}:{cls.__name__}" for cls in (single, vector)]
        gym.register(BROKEN_ID, entry_point=names[0], vector_entry_point=names[1])
        check_task(BROKEN_ID, steps=steps)

    yield run
    registry.pop(BROKEN_ID, None)


def test_whole_environments_pass(check):
    check(ABREnv, ABRVectorEnv)


def test_unknown_ids_and_options_are_the_callers_error():
    with pytest.raises(gym.error.Error):
        check_task("netenvs/ABC-v0")
    with pytest.raises(ValueError, match="unknown preset"):
        check_task("netenvs/ABR-v0", preset="none")


def test_classes_as_entry_points_cannot_be_written_as_json():
    gym.register(BROKEN_ID, entry_point=ABREnv)
    try:
        with pytest.raises(AssertionError, match="check_round_trips: ValueError: Callable"):
            check_task(BROKEN_ID, steps=10)
    finally:
        registry.pop(BROKEN_ID)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Nondeterministic, "(?i)deterministic|differ"),
        (Unbounded, "infinite bound"),
        (AcceptsAnything, "must raise ValueError, it was accepted"),
        (RaisesTypeError, "must raise ValueError, it raised TypeError"),
        (ForgetsOptions, "unknown reset option must raise ValueError"),
        (ChangesStateOnBadAction, "a refused action changed the state"),
        (WrongInfoMask, r"action_masks\(\) (and|must)"),
        (OtherMask, "action . with mask .* has invalid_action=False"),
        (NotPickled, "check_round_trips: ValueError: .* call reset"),
        (Blank, "the picture is blank"),
        (Mute, "ansi must render a text"),
        (NoText, "render modes must include"),
        (InfiniteReward, "not finite|deterministic|differ"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_broken_environments_fail(broken, message, check):
    with pytest.raises(AssertionError, match=message):
        check(broken)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (OtherRows, "row 0 and the single environment with seed 1234 differ"),
        (OtherSeeds, "observation of row 0 differs"),
        (ExtraColumn, "info columns"),
        (OtherInfo, r"info\['buffer_s'\] of row 0 differs"),
        (OtherSpace, "observation spaces differ"),
        (WrongFinalObservation, "SAME_STEP"),
        (SinglePrecision, "rewards must be float64"),
    ],
)
def test_broken_vector_environments_fail(broken, message, check):
    with pytest.raises(AssertionError, match=message):
        check(ABREnv, broken)
