"""A task with two components and tokens of different numbers a step, and a backbone that is a GRU."""

import numpy as np
import torch
from torch import nn

from agents.ragged import Ragged, offsets_of
from agents.registry import AgentTask
from agents.sequence.backbone import Backbone
from agents.sequence.model import SequenceModel, Sequences
from agents.sequence.net import TaskNet, Tokens
from distill.training.labelled_sequences import Labelled
from distill.training.phase import Phase
from netenvs import tasks


class GRUCache:
    def __init__(self, state):
        self.state = state

    def select(self, rows):
        kept = self.state[:, rows.clamp(min=0)]
        self.state = kept * (rows >= 0).to(kept.dtype)[None, :, None]


class GRUBackbone(Backbone):
    def __init__(self, d_model=16):
        super().__init__()
        self.d_model = d_model
        self.gru = nn.GRU(d_model, d_model, batch_first=True)

    def forward(self, embeddings, lengths=None):
        return self.gru(embeddings)[0]

    def init_cache(self, rows):
        return GRUCache(torch.zeros(1, rows, self.d_model))

    def step(self, embeddings, cache, lengths=None):
        out, last = self.gru(embeddings, cache.state.contiguous())
        if lengths is None:
            cache.state = last
        else:
            rows = torch.arange(len(lengths))
            cache.state = torch.where(lengths[:, None] > 0, out[rows, (lengths - 1).clamp(min=0)], cache.state[0])[None]
        return out


class ToyNet(TaskNet):
    """Steps have 1 to 3 readings, a token each; components: one of 4, then one of 3, with a token between them."""

    task = "toy"
    components = 2

    def __init__(self, d_model=16, tokenisation="fused", returns=False):
        super().__init__(d_model, tokenisation, returns)
        self.reading = nn.Linear(1, d_model)
        self.before = nn.Linear(2, d_model)
        self.to_go = nn.Linear(1, d_model)
        self.between = nn.Embedding(4, d_model)
        self.first, self.second = nn.Linear(d_model, 4), nn.Linear(d_model, 3)

    def observe(self, observations, infos):
        return {"readings": Ragged.from_padded(observations["readings"], observations["count"])}

    def embed(self, steps, previous, returns):
        readings = steps["readings"]
        own = self.reading(torch.from_numpy(readings.flat).to(self.reading.weight.dtype)[:, None])
        before = self.before(torch.from_numpy(previous).to(self.reading.weight.dtype))
        if returns is not None:
            before = before + self.to_go(returns[:, None])
        rows = len(previous)
        parts = []
        offsets = readings.offsets - readings.offsets[0]
        for row in range(rows):
            parts += [before[row : row + 1], own[offsets[row] : offsets[row + 1]]]
        return Tokens(torch.cat(parts), torch.from_numpy(1 + readings.lengths))

    def follow(self, component, memory, actions):
        return Tokens(self.between(actions[:, 0]), torch.ones(len(actions), dtype=torch.int64))

    def logits(self, component, hidden, memory, actions):
        return self.first(hidden) if component == 0 else self.second(hidden)

    def collected(self, observations, infos, before):
        return np.where(np.isnan(before), 0.0, before + infos["reward"])


TASK = AgentTask(policies={}, net="toy_sequence:ToyNet")


def add_toy_task(monkeypatch):
    """Make the toy a task, as a package that adds it would."""
    toy = tasks.Task(
        name=ToyNet.task,
        title="a toy",
        env_id="toy/Toy-v0",
        entry_point="toy_sequence:Toy",
        dataset_option="data",
        dataset_kind="data",
        datasets=list,
        parts={"agents": "toy_sequence:TASK"},
    )
    monkeypatch.setattr(tasks, "_foreign", lambda: {ToyNet.task: toy})


def toy_model(returns=False, timesteps=0, context=0, seed=0, backbone=None):
    torch.manual_seed(seed)
    return SequenceModel(ToyNet(returns=returns), backbone or GRUBackbone(), timesteps, context)


def toy_sequences(lengths, seed=0, returns=False):
    rng = np.random.default_rng(seed)
    size = int(np.sum(lengths))
    counts = rng.integers(1, 4, size)
    offsets = offsets_of(counts)
    steps = {"readings": Ragged(rng.normal(size=offsets[-1]), offsets)}
    previous = np.stack([rng.integers(0, 4, size), rng.integers(0, 3, size)], axis=1)
    numbers = np.concatenate([np.arange(length) for length in lengths])
    previous[numbers == 0] = -1
    to_go = rng.normal(size=size).astype(np.float32) if returns else None
    return Sequences(steps, np.array(lengths), previous, numbers, to_go)


PHASES = (Phase("first", iterations=3, steps=4, keep=2, learning_rate=1e-2, warmup=3), Phase("last", 2, 3, 1, 3e-3))


class ToySource:
    """Sequences drawn anew in each iteration, with the policy's own choices as half of the targets."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.phases = []

    def gather(self, phase, iteration, policy):
        if iteration == self.stop_at:
            raise KeyboardInterrupt
        self.phases.append((phase.name, iteration))
        sequences = toy_sequences([5, 3, 6, 2, 4, 7], seed=iteration)
        size = int(sequences.lengths.sum())
        rng = np.random.default_rng(iteration)
        wanted = np.stack([rng.integers(0, 4, size), rng.integers(0, 3, size)], axis=1)
        with torch.inference_mode():
            own = policy.model(sequences, wanted)[0].argmax(dim=1).numpy()
        wanted[::2, 0] = own[::2]
        return Labelled(sequences, {"action": wanted, "weight": rng.random(size).astype(np.float32)})

    def loss(self, phase, outputs, targets):
        action = targets["action"]
        return targets["weight"] * sum(
            nn.functional.cross_entropy(logits, action[:, number], reduction="none")
            for number, logits in enumerate(outputs)
        )

    def validate(self, policy):
        sequences = toy_sequences([6, 6], seed=99)
        with torch.inference_mode():
            logits = policy.model(sequences, np.zeros((12, 2), dtype=np.int64))
        target = 0.0 if policy.target is None else policy.target
        return {"valid": float(logits[0].std() - abs(target - 2.0)), "other": 1.0}

    def targets(self):
        return [1.0, 2.0, 3.0]
