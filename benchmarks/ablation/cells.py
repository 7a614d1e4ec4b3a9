"""Cells of ``python -m benchmarks.ablation``: what is trained and measured in each, on bitrate adaptation.

By design it studies one task: that task's name comes from its record (``TASK``), loss and expert from its recipe.

A cell is a dataclass whose fields, with the ``Material``, determine all that it finds but times. Students learn from
the shipped ``netllm``: by a plain loop on a fixed set of sessions (``Imitation``), or on sessions that are gathered on
the way (``Gathering``). Seconds are processor time of one core.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from agents.abr.scores import score
from agents.hub import quiet
from agents.mamba4net.hybrid import PRESETS, HybridBackbone
from agents.mamba4net.layers import HybridConfig
from agents.netllm.load import ScratchBackbone, load_backbone
from agents.policy import BatchPolicy, grow_rows, load_policy
from agents.pretrained import CHECKPOINTS, WEIGHTS
from agents.sequence.backbone import Backbone
from agents.sequence.model import SequenceModel
from agents.sequence.net import MASKED
from agents.sequence.policy import SequencePolicy
from agents.training.fit import descend, scheduled
from distill.recipes.abr import training as bitrates
from distill.reuse.weight_reuse import reuse
from distill.training import losses
from distill.training.labelled_sequences import Labelled
from distill.training.learner import learning_rate
from distill.training.phase import Phase
from distill.training.student import make_student
from distill.training.teacher_source import TEACHER, teacher_outputs
from netenvs import datasets
from netenvs.abr.task import TASK as ABR
from netenvs.abr.workload import DATASET, load_traces
from netenvs.vp.task import TASK as VP

TASK = ABR.name
OTHER_DOMAIN = VP.name
"""Of the teacher whose decoder is adapted."""
SCHEMA = 1
"""Of what cells find; another one makes all of them anew."""
SIZE = "small"
LOGITS = f"{TEACHER}0"
EXPERT = Phase(bitrates.IMITATE, 1, 1, 0, 1e-3)
"""Names the loss on the expert's labels."""
WARMUP, LAST_RATE, WEIGHT_DECAY, CLIP = 20, 0.02, 0.01, 1.0
"""Steps of rising learning rate, share of it left at the end, of AdamW, largest norm of the gradient."""
FRESH = 0x5EED
"""In the seeds of sessions: none of a training is one of the teacher's or the students' own."""
SYNTHETIC_TEST = "synthetic(seed=3,count=100)"
HEADS, LAYERS = 4, 3
"""Of the transformer student."""
THROUGHPUT, DOWNLOAD_TIME = 2, 3
"""Rows of the environment's observation."""
REUSED = 128
"""Sessions that first weights are fitted to at most, about 6,000 tokens."""
LONGEST = 512
"""Chunks of a video."""


@dataclass(frozen=True)
class Material:
    """What all cells learn from and are measured on: sessions of the teacher, made once and kept in ``folder``."""

    sessions: int
    """To learn from."""
    held_out: int
    """Of other seeds, in which divergence and loss are measured."""
    traces: int
    """Of each world of 32 sessions."""
    played: int
    """Test traces played at most."""
    chosen: int
    """Validation episodes, from random starts."""

    def identity(self) -> dict[str, Any]:
        """What determines it, as JSON."""
        return {"schema": SCHEMA, "teacher": _teacher_digest(), "installed": datasets.installed(DATASET), **vars(self)}

    def make(self, folder: Path) -> None:
        """Write what is not there yet."""
        self._sessions(folder, "train", self.sessions)
        self._sessions(folder, "held-out", self.held_out)

    def train(self, folder: Path) -> Labelled:
        """Sessions with the expert's labels and regrets, what the teacher did, and its logits."""
        return _load(self._sessions(folder, "train", self.sessions))

    def held(self, folder: Path) -> Labelled:
        """The same, never learned from."""
        return _load(self._sessions(folder, "held-out", self.held_out))

    def _sessions(self, folder: Path, name: str, count: int) -> Path:
        path = folder / f"{name}-{digest(self.identity())}.safetensors"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            world = Worlds(FRESH + (name == "train"), min(32, count), self.traces)
            parts = [world.gather(number, teacher("sampled")) for number in range(-(-count // world.count))]
            Labelled.concatenate(parts).take(np.arange(count)).save(path)
        return path

    def qoe(self, policy: BatchPolicy) -> dict[str, list[float]]:
        """Mean QoE per chunk of each trace: validation from random starts, test, test with another video."""
        valid = np.round(self.valid(policy), 6).tolist()
        return {"valid": valid, **{name: self.test(policy, name) for name in tests()}}

    def test(self, policy: BatchPolicy, name: str) -> list[float]:
        """Mean QoE per chunk of each trace of one of the ``tests``."""
        traces, video = tests()[name]
        return np.round(score(policy, traces, video, min(self.played, len(load_traces(traces)))), 6).tolist()

    def valid(self, policy: BatchPolicy) -> np.ndarray:
        """Mean QoE per chunk of each validation trace, float64."""
        traces, video = _split(bitrates.CHOSEN_ON), _video()
        return score(policy, traces, video, self.chosen, start="random")


def tests() -> dict[str, tuple[str, str]]:
    """Traces and video of each test, by name."""
    if datasets.installed(DATASET):
        return {"test": ("fcc-test", "video1"), "unseen video": ("fcc-test", "video2")}
    return {"test": (SYNTHETIC_TEST, "synthetic"), "unseen video": (SYNTHETIC_TEST, "generated(seed=0)")}


class Worlds:
    """Sessions of traces and videos as in the trainings of ``netllm``, with the teacher's logits beside the labels.

    Arguments:
        seed: of all worlds.
        count: sessions of each.
        traces: of each.
    """

    def __init__(self, seed: int, count: int, traces: int):
        self.count = count
        options = bitrates.Options(sessions=count, traces=traces, improve=0)
        self.source = bitrates.Sessions(teacher("sampled").model.task, (), seed, options)

    def gather(self, number: int, policy: SequencePolicy) -> Labelled:
        """World ``number``, played by ``policy``."""
        found = self.source.gather(EXPERT, number, policy)
        assert found is not None
        logits = teacher_outputs(teacher("sampled").model, found)[LOGITS]
        dense = np.full(found.targets["regret"].shape, MASKED, dtype=np.float32)
        dense[np.arange(dense.shape[1]) < logits.lengths[:, None]] = logits.flat  # type: ignore[union-attr]
        return Labelled(found.sequences, {**found.targets, LOGITS: dense})


@dataclass(frozen=True)
class Student:
    """A student before training."""

    seed: int
    init: str = "random"
    """An arm of ``distill.reuse.weight_reuse``."""
    backbone_only: bool = False
    """Encoders and head keep their random weights."""
    rank: int | None = None
    """Of reused matrices at most."""
    pattern: str = ""
    """Of the hybrid; the preset's unless given."""
    transformer: bool = False
    """A Llama with as many weights in place of the hybrid."""
    tokenisation: str = "fused"

    def build(self, data: Labelled) -> tuple[SequenceModel, float]:
        """The model, and the seconds that it took to give it the teacher's weights; ``data``: for ``reuse``."""
        theirs = teacher("sampled").model  # before the seed: loading may draw numbers
        torch.manual_seed(self.seed)
        encoders: dict[str, Any] = {**_encoders(), "tokenisation": self.tokenisation}
        model = make_student(theirs, self._backbone(), encoders)
        own = {name: value.clone() for name, value in model.state_dict().items() if not name.startswith("backbone.")}
        begun = time.process_time()
        reuse(theirs, model, self.init, data.take(np.arange(min(len(data), REUSED))), self.seed, self.rank)
        took = time.process_time() - begun
        if self.backbone_only:
            model.load_state_dict(own, strict=False)
        return model, took

    def _backbone(self) -> Backbone:
        config = PRESETS[SIZE]
        if self.transformer:
            return same_size_llama(config)
        return HybridBackbone(HybridConfig(**{**asdict(config), "pattern": self.pattern or config.pattern}))


@dataclass(frozen=True)
class Objective:
    """What counts how much in the loss."""

    teacher: float = 1.0
    """KL(teacher || student)."""
    expert: float = 1.0
    """The loss of ``netllm``'s own training: likelihood of the best level, and mean regret."""
    logged: float = 0.0
    """Likelihood of what was done."""

    def loss(self, source: bitrates.Sessions, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """float32 (S,)."""
        loss = torch.zeros(len(logits))
        if self.expert:
            loss = loss + self.expert * source.loss(EXPERT, [logits], dict(targets))
        if self.logged:
            loss = loss + self.logged * nn.functional.cross_entropy(logits, targets["taken"], reduction="none")
        return (
            losses.supervised(loss, losses.divergence(logits, targets[LOGITS]), self.teacher) if self.teacher else loss
        )


@dataclass(frozen=True)
class Training:
    """A plain loop: AdamW, a linear rise and a cosine."""

    steps: int
    batch: int
    """Sessions of an optimiser step."""
    every: int
    """Steps between measurements on sessions held out."""
    learning_rate: float = 1e-3


class Loop:
    """One training of ``model``; its seconds, without measurements, are ``seconds``."""

    def __init__(self, model: SequenceModel, training: Training, objective: Objective, seed: int):
        self.model, self.training, self.objective, self.seed = model, training, objective, seed
        self.source = bitrates.Sessions(model.task, (), seed, bitrates.Options(improve=0))
        weights = [value for value in model.parameters() if value.requires_grad]
        self.optimiser = torch.optim.AdamW(weights, lr=0.0, weight_decay=WEIGHT_DECAY)
        phase = Phase("all", 1, training.steps, 0, training.learning_rate, WARMUP, LAST_RATE)
        self.schedule = scheduled(self.optimiser, lambda step: learning_rate(phase, step))
        self.done, self.seconds = 0, 0.0

    def learn(self, data: Labelled, steps: int) -> None:
        """Take ``steps`` optimiser steps; which sessions they see depends on the seed and on their number."""
        begun = time.process_time()
        self.model.train()
        for number in range(self.done, self.done + steps):
            rng = np.random.default_rng([self.seed, number])
            part = data.take(rng.choice(len(data), self.training.batch, replace=len(data) < self.training.batch))
            descend(self.optimiser, self.objective.loss(self.source, *_forward(self.model, part)).mean(), CLIP)
            self.schedule.step()
        self.done += steps
        self.seconds += time.process_time() - begun

    def measure(self, held: Labelled) -> tuple[float, float]:
        """Mean KL(teacher || student), and mean loss on the expert's labels, on sessions held out."""
        self.model.eval()
        apart, expert = [], []
        with torch.inference_mode():
            for begin in range(0, len(held), 32):
                logits, targets = _forward(self.model, held.take(np.arange(begin, min(begin + 32, len(held)))))
                apart.append(losses.divergence(logits, targets[LOGITS]))
                expert.append(self.source.loss(EXPERT, [logits], targets))
        return float(torch.cat(apart).mean()), float(torch.cat(expert).mean())


def sizes() -> dict[str, Any]:
    """Of the students, as JSON."""
    return {"backbone": asdict(PRESETS[SIZE]), "encoders": _encoders()}


class Cell(Protocol):
    """A dataclass, one point of the grid."""

    def run(self, material: Material, folder: Path) -> dict[str, Any]:
        """``found``: what the fields and the material determine; ``cost``: times."""


@dataclass(frozen=True)
class Imitation:
    """A student learns from the teacher's sessions."""

    student: Student
    training: Training
    objective: Objective = Objective()
    qoe_every: int = 0
    """Steps between validations by play; 0: none."""

    def run(self, material: Material, folder: Path) -> dict[str, Any]:
        """See ``Cell``."""
        data, held = material.train(folder), material.held(folder)
        model, init_s = self.student.build(data)
        return _train(
            Loop(model, self.training, self.objective, self.student.seed), data, held, material, init_s, self.qoe_every
        )


@dataclass(frozen=True)
class Adaptation:
    """A frozen Llama of another domain learns from the expert's labels, through encoders, head and LoRA."""

    seed: int
    rank: int
    """Of LoRA; 0: none."""
    training: Training

    def run(self, material: Material, folder: Path) -> dict[str, Any]:
        """See ``Cell``."""
        theirs, base = teacher("sampled").model, other_domain(folder)
        torch.manual_seed(self.seed)
        rank = {"lora_rank": self.rank, "lora_alpha": max(2 * self.rank, 1), "lora_dropout": 0.0}
        backbone = load_backbone(str(base), "float32", **rank)  # type: ignore[arg-type]
        model = make_student(theirs, backbone, {})
        loop = Loop(model, self.training, Objective(teacher=0.0), self.seed)
        return _train(loop, material.train(folder), material.held(folder), material)


@dataclass(frozen=True)
class Gathering:
    """Sessions are gathered in rounds, labelled, and learned from with all those before.

    Who plays is all that differs: ``offline`` the teacher, ``on-policy`` the student after the ``first`` rounds,
    ``mixed`` the student in every other round after them.
    """

    seed: int
    who: str
    objective: Objective
    training: Training
    rounds: int
    first: int
    sessions: int
    """Of a round."""

    def student_plays(self, number: int) -> bool:
        """In round ``number``."""
        after = number - self.first
        return after >= 0 and (self.who == "on-policy" or (self.who == "mixed" and after % 2 == 0))

    def run(self, material: Material, folder: Path) -> dict[str, Any]:
        """See ``Cell``."""
        model, _ = Student(self.seed).build(material.held(folder))
        loop, held = Loop(model, self.training, self.objective, self.seed), material.held(folder)
        worlds, parts, curve, gather_s = Worlds(self.seed, self.sessions, material.traces), [], [], 0.0
        for number in range(self.rounds):
            begun = time.process_time()
            plays = SequencePolicy(model, "sampled") if self.student_plays(number) else teacher("sampled")
            parts.append(worlds.gather(number, plays))
            gather_s += time.process_time() - begun
            loop.learn(Labelled.concatenate(parts), self.training.steps // self.rounds)
            curve.append({"step": loop.done, **_named(loop.measure(held))})
            if (number + 1) % max(self.rounds // 4, 1) == 0:
                curve[-1]["valid"] = _valid(material, model)
        found = {"curve": curve, "qoe": material.qoe(SequencePolicy(model.eval())), **_sizes(model)}
        return {"found": found, "cost": {"train_s": loop.seconds, "gather_s": gather_s}}


@dataclass(frozen=True)
class Noise:
    """A policy plays the test and sees throughputs and download times that are wrong by log-normal factors."""

    seed: int
    sigmas: tuple[float, ...]
    """Spreads of the logarithms."""
    who: str
    """Registered name of a sequence policy whose weights are shipped."""
    weights: str
    """Digest of those weights."""
    trained: Imitation | None = None
    """A student of the grid, which plays instead: trained again, to the same weights."""

    def run(self, material: Material, folder: Path) -> dict[str, Any]:
        """See ``Cell``."""
        begun = time.process_time()
        policy = load_policy(self.who, TASK)
        if self.trained is not None:
            data, student = material.train(folder), self.trained.student
            model, _ = student.build(data)
            Loop(model, self.trained.training, self.trained.objective, student.seed).learn(
                data, self.trained.training.steps
            )
            policy = SequencePolicy(model.eval())
        assert isinstance(policy, BatchPolicy)
        played = {str(sigma): material.test(Noisy(policy, sigma, self.seed), "test") for sigma in self.sigmas}
        return {"found": {"noisy": played}, "cost": {"play_s": time.process_time() - begun}}


@dataclass(frozen=True)
class Latency:
    """How long decisions of students take that are cached, one session at a time."""

    student: Student
    decisions: int
    """After which the median is taken."""

    def run(self, material: Material, folder: Path) -> dict[str, Any]:
        """See ``Cell``."""
        model, _ = self.student.build(material.held(folder))
        timed = _Timed(SequencePolicy(model.eval()))
        traces, video = _split(bitrates.CHOSEN_ON), _video()
        while len(timed.seconds) < self.decisions:
            score(timed, traces, video, 1)
        return {"found": _sizes(model), "cost": {"decision_ms": 1e3 * statistics.median(timed.seconds)}}


class Noisy(BatchPolicy):
    """Lets a policy see measurements that are wrong; what was measured of a chunk stays as wrong as it was.

    A factor exp(sigma z), z normal, lengthens the download time of a chunk and lowers its throughput. For one seed, z
    is the same at every sigma.
    """

    def __init__(self, policy: BatchPolicy, sigma: float, seed: int):
        self.policy, self.sigma, self.seed = policy, sigma, seed
        self._errors = np.zeros((0, LONGEST))  # z of each chunk, by row

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        self.policy.reset_rows(rows, seeds)
        self._errors = grow_rows(self._errors, rows)
        for row, seed in zip(rows, seeds, strict=True):
            self._errors[row] = np.random.default_rng([self.seed, seed or 0]).normal(size=LONGEST)

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        newest = np.asarray(infos["chunk"]).astype(np.int64) - 1
        chunks = newest[:, None] - np.arange(observations.shape[2])[::-1]
        errors = np.take_along_axis(self._errors[infos["row"]], np.maximum(chunks, 0), axis=1)
        factors = np.exp(self.sigma * errors).astype(np.float32)
        seen = observations.copy()
        seen[:, THROUGHPUT] /= factors
        seen[:, DOWNLOAD_TIME] *= factors
        return self.policy.act_batch(seen, infos)


class _Timed(BatchPolicy):
    """Takes the time of each decision."""

    def __init__(self, policy: BatchPolicy):
        self.policy = policy
        self.seconds: list[float] = []

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        self.policy.reset_rows(rows, seeds)

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        begun = time.process_time()
        actions = self.policy.act_batch(observations, infos)
        self.seconds.append(time.process_time() - begun)
        return actions


def same_size_llama(config: HybridConfig) -> ScratchBackbone:
    """A Llama of the hybrid's width with as many weights, as near as its MLPs can be chosen."""
    wanted = sum(value.numel() for value in HybridBackbone(config).parameters())
    width = config.d_model
    neurons = round((wanted / LAYERS - 4 * width**2 - 2 * width) / (3 * width))
    shape = {"hidden_size": width, "intermediate_size": max(neurons, 1), "num_hidden_layers": LAYERS}
    heads = {"num_attention_heads": HEADS, "num_key_value_heads": HEADS, "max_position_embeddings": 4096}
    return ScratchBackbone({"model_type": "llama", **shape, **heads})


def other_domain(folder: Path) -> Path:
    """The Llama inside the shipped ``netllm`` for viewports, as transformers would save it: made if it is not there."""
    made = folder / "viewport-llama"
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        backbone: Any = load_policy("netllm", OTHER_DOMAIN).model.backbone  # type: ignore[attr-defined]
        config = backbone.decoder.config
        words = nn.Embedding(config.vocab_size, config.hidden_size)  # which backbones go without, and models have
        nn.init.zeros_(words.weight)
        backbone.decoder.set_input_embeddings(words)
        part = Path(tempfile.mkdtemp(dir=folder))
        with quiet():
            backbone.decoder.save_pretrained(part)
        try:
            part.rename(made)
        except OSError:  # another process was faster
            shutil.rmtree(part)
    return made


@functools.cache
def teacher(mode: str) -> SequencePolicy:
    """The shipped ``netllm``."""
    found = load_policy("netllm", TASK, mode=mode)
    assert isinstance(found, SequencePolicy)
    return found


def digest(identity: Any) -> str:
    """Of what determines something, given as JSON."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]


def shipped(name: str) -> bool:
    """Whether there are weights of the bitrate policy of this name."""
    return (CHECKPOINTS / f"{TASK}-{name}" / WEIGHTS).is_file()


def weights_digest(name: str) -> str:
    """Of the shipped weights of a bitrate policy."""
    return hashlib.sha256((CHECKPOINTS / f"{TASK}-{name}" / WEIGHTS).read_bytes()).hexdigest()[:12]


@functools.cache
def _teacher_digest() -> str:
    return weights_digest("netllm")


@functools.cache
def _load(path: Path) -> Labelled:
    return Labelled.load(path)


def _encoders() -> dict[str, Any]:
    """Arguments of a student's encoders and heads that differ from its teacher's."""
    assert bitrates.TRAINING.student is not None
    return dict(bitrates.TRAINING.student.encoders[SIZE])


def _split(name: str) -> str:
    return name if datasets.installed(DATASET) else bitrates.WITHOUT_DATA[name]


def _video() -> str:
    return tests()["test"][1]


def _forward(model: SequenceModel, part: Labelled) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits and targets of all steps of ``part``."""
    return model(part.sequences)[0], {name: torch.from_numpy(values) for name, values in part.targets.items()}


def _train(
    loop: Loop,
    data: Labelled,
    held: Labelled,
    material: Material,
    init_s: float = 0.0,
    qoe_every: int = 0,
) -> dict[str, Any]:
    """Train on all of ``data``, with a curve; play in the end."""
    training, curve, seconds = loop.training, [], []
    while True:
        point: dict[str, Any] = {"step": loop.done, **_named(loop.measure(held))}
        if qoe_every and loop.done % qoe_every == 0:
            point["valid"] = _valid(material, loop.model)
        curve.append(point)
        seconds.append(round(loop.seconds, 3))
        if loop.done >= training.steps:
            break
        loop.learn(data, min(training.every, training.steps - loop.done))
    found = {"curve": curve, "qoe": material.qoe(SequencePolicy(loop.model.eval())), **_sizes(loop.model)}
    return {"found": found, "cost": {"init_s": init_s, "train_s": loop.seconds, "seconds": seconds}}


def _valid(material: Material, model: SequenceModel) -> float:
    return float(material.valid(SequencePolicy(model.eval())).mean())


def _named(measured: tuple[float, float]) -> dict[str, float]:
    return {"kl": measured[0], "expert": measured[1]}


def _sizes(model: SequenceModel) -> dict[str, int]:
    """Weights of the backbone, and weights trained in all."""
    trained = sum(value.numel() for value in model.parameters() if value.requires_grad)
    return {"backbone": sum(value.numel() for value in model.backbone.parameters()), "trained": trained}
