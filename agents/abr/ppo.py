"""Proximal policy optimisation of a ``PensieveNet`` with stable-baselines3, a whole video in every row and iteration.

An iteration is a function of the weights, the optimiser's state, the seed and its own number alone: environments and
random streams are seeded anew, and every row plays its video from the first to the last chunk. So a killed training
goes on to the same curve.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import TransformReward
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.utils import set_random_seed

from agents.abr.card import record
from agents.abr.pensieve_net import HISTORY, WIDTH, PensieveFeatures, PensieveNet
from agents.abr.scores import SETTINGS, available, score_all
from agents.pretrained import save
from agents.training import Run
from agents.training.card import Training, write
from netenvs.abr.task import TASK as ABR
from netenvs.abr.workload import TraceSet
from netenvs.errors import printable
from netenvs.wrappers.sb3 import SB3VecEnv

REWARD_SCALE = 0.02  # returns of a video are up to hundreds of QoE: values must start near 0
REWARD_FLOOR = -20.0  # QoE of a chunk, about 4.5 s of stalling: what lies below teaches nothing more
LEAST_SPREAD = 0.1 * REWARD_SCALE  # of a group's advantages: below it its rows differ by nothing worth learning
ADVANTAGE_LIMIT = 6.0  # of the group's root mean square
DRAW_STREAM = 1  # tells the generator that draws traces from others with the same seed and number


@dataclass(frozen=True)
class Settings:
    """How the policy is optimised."""

    steps: int = 6_000_000
    """The whole training has so many environment steps (decisions)."""
    rows: int = 256
    """So many sessions are played at once; each plays one video in an iteration."""
    group: int = 8
    """So many rows play the same trace from the same place, and are compared with each other."""
    batches: int = 8
    """A pass has so many gradient steps; they must divide the rows."""
    epochs: int = 3
    """The decisions of an iteration are passed over so many times."""
    learning_rate: float = 1e-3
    """Adam begins with this rate, which falls linearly to a fiftieth."""
    entropy: float = 0.05
    """The entropy bonus has this weight at the beginning; it falls geometrically."""
    last_entropy: float = 0.002
    """The entropy bonus has this weight at the end."""
    gae_lambda: float = 0.95
    """Generalised advantage estimation has this lambda; future rewards are not discounted."""
    validate_every: int = 8
    """The weights are validated every so many iterations."""

    def check(self) -> None:
        """``ValueError``, one line, for impossible settings."""
        for name in ("steps", "rows", "group", "batches", "epochs", "learning_rate", "last_entropy", "validate_every"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name.replace('_', '-')} must be positive, not {getattr(self, name)}")
        if self.group < 2:
            raise ValueError("group must be 2 or more: a row is compared with the others of its group")
        for name in ("group", "batches"):
            if self.rows % getattr(self, name):
                raise ValueError(f"{name} must divide the {self.rows} rows, {getattr(self, name)} does not")
        if self.entropy < self.last_entropy:
            raise ValueError("entropy must not be below last-entropy")
        if not 0 <= self.gae_lambda <= 1:
            raise ValueError(f"gae-lambda must be from 0 to 1, not {self.gae_lambda}")


class _Features(BaseFeaturesExtractor):
    """``PensieveFeatures`` for stable-baselines3."""

    def __init__(self, space: gym.spaces.Box, levels: int, width: int):
        features = PensieveFeatures(space.shape[1], levels, width)
        super().__init__(space, features.size)
        self.features = features

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return self.features(observations)


class _GroupedAdvantages(RolloutBuffer):
    """Advantages over the other rows of a group at the same chunk, in units of the group's spread.

    The bandwidth to come is most of what makes returns differ, and no value function can see it. Rows of a group
    share it, so their mean is a baseline that depends on it (Mao et al., *Variance Reduction for Reinforcement
    Learning in Input-Driven Environments*, ICLR 2019). Divided by the root mean square of its group, an advantage
    counts as much on a slow link, where every mistake costs a stall, as on the others.
    """

    def __init__(self, *arguments: Any, group: int, **options: Any):
        super().__init__(*arguments, **options)
        self.group = group

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: np.ndarray) -> None:
        super().compute_returns_and_advantage(last_values, dones)
        groups = self.advantages.reshape(self.buffer_size, -1, self.group)
        groups = groups - groups.mean(axis=2, keepdims=True)
        spread = np.sqrt(np.square(groups).mean(axis=(0, 2), keepdims=True))
        scaled = (groups / (spread + LEAST_SPREAD)).reshape(self.advantages.shape)
        self.advantages = np.clip(scaled, -ADVANTAGE_LIMIT, ADVANTAGE_LIMIT)


class Learner:
    """A network in training.

    Arguments:
        traces: what the rows may play.
        video: name or path; None: the one that belongs to the traces.
        action_mode: ``quality`` or ``jump``, see ``netenvs/ABR-v0``.
        settings: how.
        seed: determines initial weights, traces, starts and actions.
    """

    def __init__(
        self,
        traces: TraceSet,
        video: str | None,
        action_mode: str,
        settings: Settings,
        seed: int,
    ):
        settings.check()
        if seed < 0:
            raise ValueError(f"seed must be 0 or more, not {seed}")
        self.settings, self.seed = settings, seed
        self._options: dict[str, Any] = {
            "video": video,
            "action_mode": action_mode,
            "start": "random",
            "history": HISTORY,
        }
        self._env = self._make_env(traces)
        raw: Any = self._env.env.unwrapped
        self.video, self.jump = raw.video.name, action_mode == "jump"
        self.levels, self.chunks = raw.video.num_levels, raw.video.num_chunks - 1
        self.iterations = max(1, math.ceil(settings.steps / (settings.rows * self.chunks)))
        self._ppo = PPO(
            "MlpPolicy",
            self._env,
            n_steps=self.chunks,
            batch_size=settings.rows * self.chunks // settings.batches,
            n_epochs=settings.epochs,
            gamma=1.0,
            gae_lambda=settings.gae_lambda,
            normalize_advantage=False,  # the buffer does it, with limits
            rollout_buffer_class=_GroupedAdvantages,
            rollout_buffer_kwargs={"group": settings.group},
            policy_kwargs={
                "features_extractor_class": _Features,
                "features_extractor_kwargs": {"levels": self.levels, "width": WIDTH},
                "net_arch": {"pi": [128], "vf": [128]},
                "activation_fn": torch.nn.ReLU,
            },
            seed=seed,
            device="cpu",
        )
        self._ppo.set_logger(Logger(None, []))
        self.iteration = 0

    @property
    def steps(self) -> int:
        """Decisions made so far."""
        return self.iteration * self.settings.rows * self.chunks

    def use(self, traces: TraceSet) -> None:
        """Play other traces from now on."""
        self._env.close()
        self._env = self._make_env(traces)
        self._ppo.set_env(self._env)

    def prepare(self, checkpoint: Callable[[], None]) -> None:
        """See ``Trainee``: nothing."""

    def iterate(self, chosen: np.ndarray | None = None) -> float:
        """One iteration; ``chosen`` int (groups,) are the traces played, drawn if None. Mean reward of a decision."""
        done, settings = self.iteration / self.iterations, self.settings
        rate = settings.learning_rate * max(1 - done, 0.02)
        self._ppo.lr_schedule = lambda _: rate
        self._ppo.ent_coef = settings.entropy * (settings.last_entropy / settings.entropy) ** done
        set_random_seed((self.seed * 1_000_003 + self.iteration) % 2**32)
        groups = settings.rows // settings.group
        first = (self.seed << 40) + self.iteration * groups
        self._env._seeds = [int(first + row // settings.group) for row in range(settings.rows)]
        if chosen is not None:
            self._env.set_options([{"trace": int(trace)} for trace in np.repeat(chosen, settings.group)])
        self._ppo._last_obs = None  # so that every row begins an episode
        self._ppo.learn(settings.rows * self.chunks, reset_num_timesteps=False)
        self.iteration += 1
        return float(self._ppo.rollout_buffer.rewards.mean() / REWARD_SCALE)

    def net(self) -> PensieveNet:
        """A copy of the actor as it is."""
        policy: Any = self._ppo.policy
        hidden = policy.mlp_extractor.policy_net[0]
        net = PensieveNet(self.levels, self.jump, HISTORY, WIDTH, hidden.out_features)
        net.features.load_state_dict(policy.features_extractor.features.state_dict())
        net.hidden.load_state_dict(hidden.state_dict())
        net.head.load_state_dict(policy.action_net.state_dict())
        return net

    def state(self) -> dict[str, Any]:
        """All that the next iterations depend on, for ``Run.save``."""
        policy = self._ppo.policy
        return {
            "iteration": self.iteration,
            "weights": policy.state_dict(),
            "optimiser": policy.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` returned."""
        self.iteration = state["iteration"]
        self._ppo.policy.load_state_dict(state["weights"])
        self._ppo.policy.optimizer.load_state_dict(state["optimiser"])

    def _make_env(self, traces: TraceSet) -> SB3VecEnv:
        env: Any = gym.make_vec(
            ABR.env_id,
            num_envs=self.settings.rows,
            autoreset_mode=AutoresetMode.SAME_STEP,
            traces=traces,
            **self._options,
        )
        rows = SB3VecEnv(TransformReward(env, lambda reward: REWARD_SCALE * np.maximum(reward, REWARD_FLOOR)))
        rows.observation_space = gym.spaces.Box(0, np.inf, rows.observation_space.shape)  # whatever the traces
        return rows


class Trainee(Protocol):
    """What ``fit`` trains."""

    settings: Settings
    seed: int
    chunks: int
    """Decisions of a row in an iteration."""
    iterations: int
    iteration: int
    """Done so far."""

    @property
    def steps(self) -> int:
        """Decisions made so far."""

    def prepare(self, checkpoint: Callable[[], None]) -> None:
        """What comes before the first iteration; ``checkpoint`` saves how far it is."""

    def iterate(self, chosen: np.ndarray | None = None) -> float:
        """One iteration, with the traces that a curriculum chose; mean reward of a decision."""

    def net(self) -> Any:
        """A copy of the network as it is."""

    def state(self) -> dict[str, Any]:
        """All that the next iterations depend on."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from it."""


class Curriculum:
    """What the rows play, iteration by iteration: here all traces of the learner alike."""

    def begin(self, learner: Any) -> str:
        """An iteration comes next: change the learner's traces, if need be; what there is to say about it."""
        return ""

    def choose(self, rng: np.random.Generator) -> np.ndarray | None:
        """The trace of each group, int (groups,); None: drawn from all."""
        return None

    def state(self) -> dict[str, Any]:
        """All that ``begin`` has changed, for ``Run.save``."""
        return {}

    def restore(self, learner: Any, state: dict[str, Any]) -> None:
        """Change it again."""


def fit(
    learner: Trainee,
    validate: Callable[[Any], dict[str, float]],
    folder: Path,
    identity: dict[str, Any],
    curriculum: Curriculum | None = None,
) -> tuple[Run, Any, int]:
    """Train to the end: the run, the network that was best in validation, and the step it was taken at.

    Arguments:
        learner: just made.
        validate: figures of a network, of which ``valid`` chooses: higher is better.
        folder, identity: of the ``agents.training.Run``.
        curriculum: what the rows play; None: all traces alike.
    """
    settings = learner.settings
    curriculum = Curriculum() if curriculum is None else curriculum
    per_iteration = settings.rows * learner.chunks
    total = learner.iterations * per_iteration
    best: dict[str, Any] = {"valid": -math.inf, "step": 0, "weights": learner.net().state_dict()}
    with Run(folder, {**identity, **asdict(settings), "seed": learner.seed}, total, "steps") as run:
        saved = run.resume()
        if saved is not None:
            best = saved["best"]
            learner.restore(saved["learner"])
            curriculum.restore(learner, saved["curriculum"])

        def checkpoint() -> None:
            run.save({"learner": learner.state(), "curriculum": curriculum.state(), "best": best})

        learner.prepare(checkpoint)
        while learner.iteration < learner.iterations:
            begin = time.process_time()
            rng = np.random.default_rng([learner.seed, learner.iteration, DRAW_STREAM])
            if news := curriculum.begin(learner):
                run.say(news)
            reward = learner.iterate(curriculum.choose(rng))
            run.advance(learner.steps)
            if learner.iteration % settings.validate_every and learner.iteration < learner.iterations:
                continue
            rate = per_iteration / (time.process_time() - begin)
            net = learner.net()
            figures = validate(net)
            run.record(learner.steps, **figures, reward=round(reward, 6))
            run.say(f"{rate:,.0f} steps per processor second")
            if figures["valid"] > best["valid"]:
                best = {"valid": figures["valid"], "step": learner.steps, "weights": net.state_dict()}
            checkpoint()
    net = learner.net()
    net.load_state_dict(best["weights"])
    return run, net, best["step"]


def sizes_of(net: PensieveNet) -> dict[str, Any]:
    """The arguments that make a ``PensieveNet``."""
    sizes = {"levels": net.levels, "jump": net.jump, "history": net.history}
    return {**sizes, "width": net.features.size // 6, "hidden": net.hidden.out_features}


def settings_of(args: Settings) -> Settings:
    """The settings among the arguments of a command that extends them."""
    return Settings(**{field.name: getattr(args, field.name) for field in fields(Settings)})


def write_trained(
    folder: Path,
    policy: Any,
    net: Any,
    run: Run,
    kept: int,
    command: str,
    data: str,
    sizes: Mapping[str, Any],
    settings: Mapping[str, Mapping[str, Any]] = SETTINGS,
    notes: str = "",
) -> None:
    """Write the folder of a finished training: config, weights, model card with the scores; print these.

    ``kept`` is the step that ``net`` is of, ``command`` what was run, ``data`` a sentence on what it saw, ``sizes`` the
    arguments that make the network, ``settings`` what it is scored on where the data are installed, ``notes`` Markdown
    for the card.
    """
    save(net, folder, policy.registered, dict(sizes))
    scores = score_all(policy.from_pretrained(folder), available(settings))
    name = policy.registered
    training = Training.of(
        run,
        command=command,
        data=data,
        kept=kept,
        scores={setting: {name: found} for setting, found in scores.items()},
        seed=run.identity["seed"],
        settings=run.identity,
    )
    summary = (policy.__doc__ or "").split("\n\n")[0]
    write(folder, record(name, summary, [training], notes=notes))
    for setting, found in scores.items():
        low, high = found.ci95 or (found.mean, found.mean)
        print(printable(f"{setting}: {found.mean:.4f} [{low:.3f}, {high:.3f}]"), flush=True)
