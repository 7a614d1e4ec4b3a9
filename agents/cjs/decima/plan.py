"""What determines a training of Decima."""

from __future__ import annotations

from dataclasses import dataclass

from agents.cjs.clusters import Setting
from netenvs.spec import unknown_name

INITIAL = ("released", "scratch")


@dataclass(frozen=True)
class Plan:
    """What determines a training."""

    seed: int
    workload: str
    initial: str
    """Weights to begin with, of ``INITIAL``."""
    settings: tuple[Setting, ...]
    """Clusters that are trained on and validated on, side by side in each iteration."""
    iterations: int
    imitate: int
    """The first iterations imitate ``capped-srpt`` instead."""
    sharpen: float
    """What logits are multiplied by after the imitation."""
    first_jobs: float
    """Part of the jobs of an episode in the first iteration of PPO; all of them from its middle on."""
    sequences: int
    """Sequences of jobs for each setting in an iteration."""
    rollouts: int
    """Episodes of each sequence."""
    beta: float
    """1/s: a second counts exp(-beta) of the one before."""
    by_state: bool
    """Whether the baseline knows the backlog besides the time."""
    ahead: float
    """Seconds in which what comes later fades, 0 = never."""
    learning_rate: float
    """Falls to a tenth, linearly."""
    imitation_rate: float
    """Learning rate while imitating; falls to a tenth, linearly."""
    entropy: float
    """Falls to 0, linearly."""
    epochs: int
    minibatch: int
    clip: float
    target_kl: float
    validation: int
    """Episodes for each setting and mode."""
    validate_every: int
    """Iterations."""

    def __post_init__(self) -> None:
        if self.initial not in INITIAL:
            raise ValueError(unknown_name("initial weights", str(self.initial), INITIAL))
        if not self.settings:
            raise ValueError("executors must be one number or more")
        for setting in self.settings:
            if min(setting) < 1:
                raise ValueError(f"executors and jobs must be 1 or more, not {setting[0]} and {setting[1]}")
        if not 0 <= self.seed < 1000:
            raise ValueError(f"seed must be 0 to 999, not {self.seed}")
        for name in ("iterations", "sequences", "rollouts", "epochs", "minibatch", "validation", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name.replace('_', '-')} must be 1 or more, not {getattr(self, name)}")
        for name in ("imitate", "beta", "ahead", "entropy"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("first_jobs", "sharpen", "learning_rate", "imitation_rate", "clip", "target_kl"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name.replace('_', '-')} must be positive, not {getattr(self, name)}")
