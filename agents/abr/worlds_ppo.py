"""Proximal policy optimisation of a ``LevelActor`` in worlds, with stable-baselines3.

The reward of a decision is minus its regret: what it loses to a clairvoyant's best (``agents.abr.value_table``), in
ranges of the utility. With V the table's value of a state that is r + V(next) - V: rewards shaped by a potential, which
changes no optimum (Ng, Harada and Russell, *Policy Invariance Under Reward Transformations*, ICML 1999), takes nearly
all luck out of returns, and counts alike on a ladder of 300 kbit/s and on one of 60 Mbit/s.

An iteration is a function of the weights, the optimiser's state, the seed and its own number alone, so that a killed
training goes on to the same curve.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from agents.abr.imitation import MAX_REGRET, Imitation, Logits
from agents.abr.level_actor import INPUTS, LevelActor
from agents.abr.level_net import dense
from agents.abr.ppo import Settings
from agents.abr.relative import LEVEL, SESSION, relative_steps
from agents.abr.training_worlds import environment, worlds_of_networks
from agents.abr.value_table import ValueTable
from agents.training.average import MovingAverage
from netenvs.abr.worlds import LEVELS, World

WORLDS = 16
"""Of an iteration."""
CHUNKS = 56
"""Decisions of an iteration: sessions that are over wait, longer ones are broken off."""
LONGEST = max(LEVELS)
FADE = 0.98
"""A regret counts so much less for each chunk that it lies ahead."""
AVERAGE = 0.9
"""Decay of the moving average of the actor, an iteration."""
LEAST_REGRET = 0.02
"""Mean regret of a decision: worlds where it is less count no more."""
LIMIT = 20.0
"""Of an advantage, in root mean squares of all: what a policy is to avoid is rare and expensive."""
CLOCK_STEP_S, BUFFERS = 3.0, 24
CHECKPOINT_EVERY = 40
"""Iterations of imitation."""
PARTS = (SESSION, LONGEST * LEVEL, LONGEST, 1)
"""Numbers of an observation: of the session, of its levels, which of them exist, and the last one."""


class WorldSessions(VecEnv):
    """Sessions of several worlds side by side, each world's rows one after the other; regrets as rewards.

    Arguments:
        worlds: all get as many rows.
        rows: of all together.
        group: so many rows begin in the same place of the same trace.
        seed: determines the places.
    """

    def __init__(self, worlds: Sequence[World], rows: int, group: int, seed: Sequence[int]):
        self._each = rows // len(worlds)
        self._envs = [environment(world, self._each) for world in worlds]
        self._tables = [ValueTable(env, clock_step_s=CLOCK_STEP_S, buffers=BUFFERS) for env in self._envs]
        self._group, self._seed = group, seed
        self._spans = [env.unwrapped.qoe.utility_range(env.unwrapped.video.num_chunks) for env in self._envs]
        space = gym.spaces.Box(-np.inf, np.inf, (sum(PARTS),))
        super().__init__(rows, space, gym.spaces.Discrete(LONGEST))
        self._seen = np.zeros((rows, sum(PARTS)), dtype=np.float32)

    def reset(self) -> np.ndarray:
        rng = np.random.default_rng(self._seed)
        for number, env in enumerate(self._envs):
            seeds = np.repeat(rng.integers(2**31, size=self._each // self._group), self._group)
            traces = np.arange(self._each) * len(env.unwrapped.traces) // self._each
            self._look(number, *env.reset(seed=seeds.tolist(), options={"trace": traces}))
        self._over = np.zeros(len(self._envs), dtype=np.bool_)
        return self._seen.copy()

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> Any:
        rewards = np.zeros(self.num_envs, dtype=np.float32)
        for number, env in enumerate(self._envs):
            if self._over[number]:
                continue
            rows = self._rows(number)
            values = self._tables[number].action_values(env)
            actions = np.minimum(self._actions[rows], values.shape[1] - 1)
            lost = (values.max(axis=1) - values[np.arange(self._each), actions]) / self._spans[number]
            rewards[rows] = -np.minimum(lost, MAX_REGRET)
            observations, _, terminated, _, infos = env.step(actions)
            self._look(number, observations, infos)
            self._over[number] = terminated[0]
        return self._seen.copy(), rewards, np.zeros(self.num_envs, dtype=np.bool_), [{} for _ in range(self.num_envs)]

    def close(self) -> None:
        for env in self._envs:
            env.close()

    def _rows(self, number: int) -> slice:
        return slice(number * self._each, (number + 1) * self._each)

    def _look(self, number: int, observations: np.ndarray, infos: dict[str, Any]) -> None:
        shared = self._envs[number].unwrapped.shared_info
        steps = relative_steps(observations, {**infos, **shared}, LONGEST)
        parts = [steps["session"], steps["levels"].reshape(self._each, -1), steps["exists"], steps["last"][:, None]]
        self._seen[self._rows(number)] = np.concatenate(parts, axis=1)

    # What stable-baselines3 asks of environments besides
    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise AttributeError(f"{attr_name} cannot be set")

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        raise AttributeError(f"there is no method {method_name}")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


class _WorldAdvantages(RolloutBuffer):
    """Advantages over the other rows of a group at the same chunk, in units of what is lost in their world.

    Rows of a group share the bandwidth to come, so their mean is a baseline that depends on it (Mao et al., *Variance
    Reduction for Reinforcement Learning in Input-Driven Environments*, ICLR 2019). They are not divided by the group's
    own spread: a group with a stall is to count more than one without.
    """

    def __init__(self, *arguments: Any, group: int, **options: Any):
        super().__init__(*arguments, **options)
        self.group = group

    def compute_returns_and_advantage(self, last_values: Tensor, dones: np.ndarray) -> None:
        super().compute_returns_and_advantage(last_values, dones)
        groups = self.advantages.reshape(self.buffer_size, -1, self.group)
        centred = (groups - groups.mean(axis=2, keepdims=True)).reshape(self.buffer_size, WORLDS, -1)
        lost = -self.rewards.reshape(self.buffer_size, WORLDS, -1).mean(axis=(0, 2), keepdims=True)
        scaled = (centred / (lost + LEAST_REGRET)).reshape(self.advantages.shape)
        scaled = scaled / np.sqrt(np.square(scaled).mean() + 1e-12)
        self.advantages = np.clip(scaled, -LIMIT, LIMIT)


class _ActorCritic(ActorCriticPolicy):
    """``LevelActor``, and a critic of its own."""

    def _build(self, lr_schedule: Any) -> None:
        self.actor = LevelActor(**self._sizes)
        self.critic = dense(SESSION, 64, 1)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=lr_schedule(1), eps=1e-5)

    def __init__(self, *arguments: Any, sizes: dict[str, int], **options: Any):
        self._sizes = sizes
        super().__init__(*arguments, **options)

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        chances = self._chances(obs)
        actions = chances.probs.argmax(dim=1) if deterministic else chances.sample()
        return actions, self.predict_values(obs), chances.log_prob(actions)

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        chances = self._chances(obs)
        return self.predict_values(obs), chances.log_prob(actions), chances.entropy()

    def predict_values(self, obs: Any) -> Tensor:
        found: Tensor = self.critic(obs[:, :SESSION])
        return found

    def _chances(self, obs: Tensor) -> torch.distributions.Categorical:
        session, levels, exists, last = obs.split(PARTS, dim=1)
        logits = self.actor(session, levels.view(len(obs), LONGEST, LEVEL), exists > 0, last[:, 0].long())
        return torch.distributions.Categorical(logits=logits, validate_args=False)


class WorldsLearner:
    """A ``LevelActor`` in training.

    Arguments:
        settings: how; rows must be a multiple of the worlds times the group.
        seed: determines initial weights, worlds, places and actions.
        warm_up: iterations of imitation before the first one.
        size, width: of the actor.
    """

    chunks = CHUNKS

    def __init__(self, settings: Settings, seed: int, warm_up: int = 360, size: int = 256, width: int = 128):
        settings.check()
        if seed < 0:
            raise ValueError(f"seed must be 0 or more, not {seed}")
        if warm_up < 0:
            raise ValueError(f"warm-up must be 0 or more, not {warm_up}")
        if settings.rows % (WORLDS * settings.group):
            raise ValueError(
                f"rows must be a multiple of {WORLDS * settings.group}, {WORLDS} worlds and groups of "
                f"{settings.group}, not {settings.rows}"
            )
        self.settings, self.seed, self.warm_up = settings, seed, warm_up
        self.worlds = worlds_of_networks()
        self.iterations = max(1, math.ceil(settings.steps / (settings.rows * CHUNKS)))
        self.iteration = 0
        self._env = self._sessions()
        self._ppo = PPO(
            _ActorCritic,
            self._env,
            n_steps=CHUNKS,
            batch_size=settings.rows * CHUNKS // settings.batches,
            n_epochs=settings.epochs,
            gamma=FADE,
            gae_lambda=settings.gae_lambda,
            normalize_advantage=False,  # the buffer does it, with limits
            rollout_buffer_class=_WorldAdvantages,
            rollout_buffer_kwargs={"group": settings.group},
            policy_kwargs={"sizes": {"size": size, "width": width}},
            seed=seed,
            device="cpu",
        )
        self._ppo.set_logger(Logger(None, []))
        self._policy = cast(Any, self._ppo.policy)
        self._average = MovingAverage(self._policy.actor, AVERAGE)
        actor: LevelActor = self._policy.actor
        logits: Logits = lambda steps: actor(*(steps[name] for name in INPUTS))  # noqa: E731
        self._imitation = Imitation(actor, logits, seed, warm_up) if warm_up else None

    @property
    def steps(self) -> int:
        """Decisions made so far."""
        return self.iteration * self.settings.rows * CHUNKS

    def prepare(self, checkpoint: Callable[[], None]) -> None:
        """What is left of the imitation, with checkpoints on the way."""
        if self.iteration or self._imitation is None:
            return
        while self._imitation.iteration < self.warm_up:
            self._imitation.iterate()
            if self._imitation.iteration % CHECKPOINT_EVERY == 0:
                checkpoint()
        self._imitation.finish()
        self._average = MovingAverage(self._policy.actor, AVERAGE)
        self._imitation = None

    def iterate(self, chosen: np.ndarray | None = None) -> float:
        """One iteration, in worlds of its own; mean reward of a decision."""
        self.prepare(lambda: None)
        done, settings = self.iteration / self.iterations, self.settings
        rate = settings.learning_rate * max((1 + math.cos(math.pi * done)) / 2, 0.02)
        if not self.iteration and self.warm_up:
            rate = 0.0  # so that what imitation alone has come to can be chosen, too
        self._ppo.lr_schedule = lambda _: rate
        self._ppo.ent_coef = settings.entropy * (settings.last_entropy / settings.entropy) ** done
        if self.iteration:
            self._env.close()
            self._env = self._sessions()
            self._ppo.set_env(self._env)
        set_random_seed((self.seed * 1_000_003 + self.iteration) % 2**32)
        self._ppo._last_obs = None  # so that every row begins an episode
        self._ppo.learn(settings.rows * CHUNKS, reset_num_timesteps=False)
        self.iteration += 1
        self._average.update_parameters(self._policy.actor)
        return float(self._ppo.rollout_buffer.rewards.mean())

    def net(self) -> LevelActor:
        """A copy of the actor, averaged over the last iterations: single ones swing."""
        own: Any = self._average.module
        net = LevelActor(own.size, own.width)
        net.load_state_dict(own.state_dict())
        return net

    def state(self) -> dict[str, Any]:
        """All that the next iterations depend on, for ``Run.save``."""
        return {
            "iteration": self.iteration,
            "weights": self._policy.state_dict(),
            "optimiser": self._policy.optimizer.state_dict(),
            "average": self._average.state_dict(),
            "imitation": None if self._imitation is None else self._imitation.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` returned."""
        self.iteration = state["iteration"]
        self._policy.load_state_dict(state["weights"])
        self._policy.optimizer.load_state_dict(state["optimiser"])
        self._average.load_state_dict(state["average"])
        if self._imitation is not None and state["imitation"] is not None:
            self._imitation.restore(state["imitation"])
        else:
            self._imitation = None

    def _sessions(self) -> WorldSessions:
        stream = [self.seed, self.iteration, 9]
        worlds = [self.worlds.make([*stream, number]) for number in range(WORLDS)]
        return WorldSessions(worlds, self.settings.rows, self.settings.group, [*stream, WORLDS])
