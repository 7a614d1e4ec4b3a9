"""How sequence policies learn it: they act, and the shortest queue says what would have been right."""

from dataclasses import dataclass

import gymnasium as gym
import numpy as np
from torch.nn.functional import cross_entropy

from agents.sequence.model import Sequences
from distill.recipe import Recipe, StudentRecipe, TrainingRecipe
from distill.training.labelled_sequences import Labelled
from distill.training.phase import OFFLINE, ON_POLICY, Phase

IMITATE = "imitate"


@dataclass(frozen=True)
class Options:
    episodes: int = 4


class ShortestQueueLabels:
    def __init__(self, net, pools, seed, options):
        self.net, self.seed, self.episodes = net, seed, options.episodes
        self.env = gym.make("toy/Balance-v0", servers=net.servers)

    def play(self, policy, seed):
        """Observations, actions and the sum of rewards of an episode."""
        observation, info = self.env.reset(seed=seed)
        policy.reset(seed)
        seen, done, total, over = [], [], 0.0, False
        while not over:
            seen.append(observation)
            done.append(int(policy.act(observation, info)))
            observation, reward, over, _, info = self.env.step(done[-1])
            total += reward
        return np.array(seen), np.array(done), total

    def gather(self, phase, iteration, policy):
        first = self.seed + 1000 * iteration
        played = [self.play(policy, first + number) for number in range(self.episodes)]
        seen = np.concatenate([observations for observations, _, _ in played])
        lengths = np.array([len(actions) for _, actions, _ in played])
        previous = np.concatenate([np.concatenate([[-1], actions[:-1]]) for _, actions, _ in played])
        numbers = np.concatenate([np.arange(length) for length in lengths])
        sequences = Sequences(self.net.observe(seen, {}), lengths, previous, numbers)
        return Labelled(sequences, {"action": seen.argmin(axis=1)[:, None].astype(np.int64)})

    def loss(self, phase, outputs, targets):
        return cross_entropy(outputs[0], targets["action"][:, 0], reduction="none")

    def validate(self, policy):
        return {"valid": float(np.mean([self.play(policy, 10**6 + number)[2] for number in range(2)]))}

    def targets(self):
        return []


TRAINING = TrainingRecipe(
    options=Options,
    source=ShortestQueueLabels,
    phases=lambda options, pools: (Phase(IMITATE, iterations=2, steps=4, keep=0, learning_rate=1e-3),),
    describe=lambda options, pools: "Episodes that the policy played, with the shortest queue at every step.",
    context=0,
    optimisation={"batch": 4},
    student=StudentRecipe(
        phases=(Phase(OFFLINE, 1, 4, 0, 1e-3), Phase(ON_POLICY, 1, 4, 0, 1e-3)),
        source_phases={OFFLINE: IMITATE, ON_POLICY: IMITATE},
    ),
)
RECIPE = Recipe(training="toy_balance.recipe:TRAINING")
