"""What the single environments of all tasks do alike."""

import gymnasium as gym
import pytest
from gymnasium.envs.registration import load_env_creator

from netenvs import tasks
from netenvs.single import SingleEnv

ENTRY_POINTS = [tasks.find(name).entry_point for name in tasks.BUILT_IN]


@pytest.fixture(params=ENTRY_POINTS)
def make(request):
    return load_env_creator(request.param)


def test_an_episode_has_to_begin_before_a_step_and_a_picture(make):
    env = make(render_mode="ansi")
    assert isinstance(env, SingleEnv)
    with pytest.raises(ValueError, match=r"^the episode is over, or has not begun; call reset\(\) first$"):
        env.step(env.action_space.sample())
    with pytest.raises(ValueError, match=r"^there is nothing to render yet; call reset\(\) first$"):
        env.render()
    env.reset(seed=0)
    assert isinstance(env.render(), str)


def test_rendering_without_a_mode_warns(make, monkeypatch):
    said = []
    monkeypatch.setattr(gym.logger, "warn", said.append)
    env = make()
    env.reset(seed=0)
    assert env.render() is None and "render_mode='rgb_array'" in said[0]


def test_an_unknown_mode_is_one_line_with_the_nearest_one(make):
    with pytest.raises(ValueError, match=r"^unknown render_mode 'rgb_aray'; did you mean 'rgb_array'"):
        make(render_mode="rgb_aray")


class Countdown(SingleEnv[int, int]):
    """Three steps; the seeds and the options that it is given are kept."""

    def __init__(self):
        super().__init__(None)
        self.seeds, self.chosen, self.left = [], [], 0

    def _check_reset_options(self, options):
        if options == {"wrong": True}:
            raise ValueError("wrong")
        return options

    def _seed(self, seed, rng):
        self.seeds.append(seed)

    def _begin(self, chosen):
        self.chosen.append(chosen)
        self.left = 3

    def _act(self, action):
        if action < 0:
            raise ValueError("negative")
        self.left -= 1
        return 1.0, self.left == 0, False

    def _observation(self):
        return self.left

    def _info(self):
        return {}


def test_seeds_and_ends():
    """The first reset seeds, later ones with a seed do; what is refused changes nothing."""
    env = Countdown()
    with pytest.raises(ValueError, match="wrong"):
        env.reset(options={"wrong": True})
    assert env.seeds == []
    for seed in (None, None, 7, None):
        env.reset(seed=seed, options={"number": seed})
    assert env.seeds == [None, 7] and env.chosen[2] == {"number": 7}
    with pytest.raises(ValueError, match="negative"):
        env.step(-1)
    assert [env.step(1)[0:3] for _ in range(3)] == [(2, 1.0, False), (1, 1.0, False), (0, 1.0, True)]
    with pytest.raises(ValueError, match="over"):
        env.step(1)
    env.reset()
    assert env.step(1)[0] == 2
