"""What ``python -m benchmarks.ablation`` asks, and the cells and tables that answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.ablation.cells import (
    Adaptation,
    Cell,
    Gathering,
    Imitation,
    Latency,
    Material,
    Noise,
    Objective,
    Student,
    Training,
    shipped,
    tests,
    weights_digest,
)
from benchmarks.ablation.figures import (
    Figure,
    area,
    crossed,
    curve_of,
    figure,
    level_at,
    percent,
    to_level,
)

Result = Mapping[str, Any]
Find = Callable[[Cell], Result]
Arms = dict[str, list[Any]]
"""Cells, one a seed, by the name of their row."""

CWR_ARMS: dict[str, dict[str, Any]] = {
    "random": {},
    "spectrum": {"init": "spectrum"},
    "literal": {"init": "literal"},
    "principled": {"init": "principled"},
    "principled, backbone only": {"init": "principled", "backbone_only": True},
    "principled-no-refit": {"init": "principled-no-refit"},
    "weights": {"init": "weights"},
    "random-teacher": {"init": "random-teacher"},
}
RATES = (1e-3, 2e-3, 4e-3)
"""Learning rates that each arm of ``cwr`` is tuned over."""
REUSED_RATE = 1e-3
"""Learning rate of students that begin near their teacher, in ``rank``; the others learn at that of their scale."""
TUNING_SEED = 1000
OBJECTIVES = {
    "teacher and expert": Objective(),
    "teacher only": Objective(expert=0.0),
    "expert only, no language model": Objective(teacher=0.0),
    "what the teacher did": Objective(teacher=0.0, expert=0.0, logged=1.0),
}
PATTERNS = {
    "6 Mamba-2": "MMMMMM",
    "5 + 1 attention": "MMMMM*-",
    "4 + 2 attention, at the end": "MMMM*-*-",
    "4 + 2 attention, spread": "MM*-MM*-",
}
RANKS = {"rank 2": 2, "rank 4": 4, "rank 8": 8, "rank 16": 16, "as there is room": None}
LORA_RANKS = (0, 4, 16, 64)
SIGMAS = (0.0, 0.1, 0.2, 0.4)
NOISE_SEEDS = 3
WHO = ("offline", "on-policy", "mixed")
TEACHERS_LABELS = {"teacher": Objective(expert=0.0), "teacher and expert": Objective()}


@dataclass(frozen=True)
class Scale:
    """Sizes of a grid."""

    material: Material
    imitation: Training
    qoe_every: int
    gathering: Training
    rounds: int
    first: int
    """Rounds that the teacher plays in all arms."""
    sessions: int
    """Of a round."""
    adaptation: Training
    tokens: Training
    decisions: int
    """Timed for a latency."""
    seeds: int | None = None
    """Of every section; None: each has its own number."""


SCALES = {
    "small": Scale(
        Material(sessions=256, held_out=64, traces=8, played=1000, chosen=100),
        imitation=Training(steps=240, batch=16, every=15, learning_rate=4e-3),
        qoe_every=60,
        gathering=Training(steps=384, batch=16, every=32),
        rounds=12,
        first=3,
        sessions=32,
        adaptation=Training(steps=60, batch=16, every=20),
        tokens=Training(steps=240, batch=8, every=60, learning_rate=4e-3),
        decisions=470,
    ),
    "tiny": Scale(
        Material(sessions=4, held_out=2, traces=2, played=2, chosen=2),
        imitation=Training(steps=2, batch=2, every=1),
        qoe_every=2,
        gathering=Training(steps=2, batch=2, every=1),
        rounds=2,
        first=1,
        sessions=2,
        adaptation=Training(steps=1, batch=1, every=1),
        tokens=Training(steps=1, batch=1, every=1),
        decisions=2,
        seeds=1,
    ),
}


@dataclass
class Answer:
    """What a section has found."""

    question: str
    rows: dict[str, dict[str, Any]]
    """Figures, numbers or texts by column, by arm."""
    notes: list[str] = field(default_factory=list)
    curves: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """``step`` and ``kl``, ``seconds`` too where time is compared, by arm."""
    drawn: tuple[str, ...] = ("QoE test",)
    """Columns of the picture."""


class Section:
    """One question: its cells, those that depend on what others found, and the answer."""

    question: str
    seeds = 3
    notes: Sequence[str] = ()

    def __init__(self, scale: Scale):
        self.scale = scale
        self.numbers = range(scale.seeds or self.seeds)

    def arms(self) -> Arms:
        """Cells that can be run at once."""
        raise NotImplementedError

    def then(self, find: Find) -> Arms:
        """Cells that depend on those."""
        return {}

    def answer(self, find: Find) -> Answer:
        """From the results of all cells."""
        found = {name: [find(cell) for cell in cells] for name, cells in self.arms().items()}
        first = next(iter(found))
        rows = {
            name: learned(results, found[first] if name != first else None, first) for name, results in found.items()
        }
        curves = {name: curve_of(results, "kl") for name, results in found.items()}
        return Answer(self.question, rows, list(self.notes), curves)

    def imitations(self, objective: Objective = OBJECTIVES["teacher and expert"], **student: Any) -> list[Imitation]:
        """A student for each seed, taught on the fixed sessions."""
        return [
            Imitation(Student(seed, **student), self.scale.imitation, objective, self.scale.qoe_every)
            for seed in self.numbers
        ]


def learned(results: Sequence[Result], others: Sequence[Result] | None, to: str) -> dict[str, Any]:
    """Columns of a trained arm: losses on held-out sessions, play, and the difference from another arm's play."""
    last = [result["found"]["curve"][-1] for result in results]
    row: dict[str, Any] = {
        "KL to teacher": figure([point["kl"] for point in last]),
        "expert loss": figure([point["expert"] for point in last]),
        "QoE valid": mean_qoe(results, "valid"),
    }
    for name in tests():
        row[f"QoE {name}"] = mean_qoe(results, name)
        if others is not None:
            row[f"{name}, minus {to}"] = crossed(by_trace(results, name), by_trace(others, name))
    return row


def by_trace(results: Sequence[Result], name: str) -> list[list[float]]:
    """(seeds, traces): QoE."""
    return [result["found"]["qoe"][name] for result in results]


def mean_qoe(results: Sequence[Result], name: str) -> Figure:
    """QoE per chunk, mean over traces, over seeds."""
    return figure([sum(values) / len(values) for values in by_trace(results, name)])


class Teacher(Section):
    """Figure 5 of the paper."""

    question = "What does the teacher add? (figure 5 of the paper)"
    seeds = 5
    notes = ("The same sessions of the teacher in all arms; losses are measured on others of its sessions.",)

    def arms(self) -> Arms:
        return {name: list(self.imitations(objective)) for name, objective in OBJECTIVES.items()}


class WeightReuse(Section):
    """Figure 6 of the paper."""

    question = "Do the teacher's weights help a student to learn faster? (figure 6 of the paper)"
    seeds = 5

    def arms(self) -> Arms:
        return {
            f"{name}, {rate:g}": [self._cell(TUNING_SEED, options, rate)]
            for name, options in CWR_ARMS.items()
            for rate in RATES
        }

    def then(self, find: Find) -> Arms:
        return {
            name: [self._cell(seed, options, self._rate(name, find)) for seed in self.numbers]
            for name, options in CWR_ARMS.items()
        }

    def _cell(self, seed: int, options: Mapping[str, Any], rate: float) -> Imitation:
        training = replace(self.scale.imitation, learning_rate=rate)
        return Imitation(Student(seed, **options), training, qoe_every=self.scale.qoe_every)

    def _rate(self, name: str, find: Find) -> float:
        """The one of least divergence in the end, on sessions held out."""

        def last(rate: float) -> float:
            return find(self._cell(TUNING_SEED, CWR_ARMS[name], rate))["found"]["curve"][-1]["kl"]

        return min(RATES, key=last)

    def answer(self, find: Find) -> Answer:
        found = {name: [find(cell) for cell in cells] for name, cells in self.then(find).items()}
        base = found["random"]
        levels = {f"{share:.0%}": level_at(_curves(base, "kl"), share) for share in (0.5, 0.9)}
        good = level_at(_curves(base, "valid"), 0.9)
        baseline = self._columns(base, levels, good)
        rows: dict[str, dict[str, Any]] = {}
        for name, results in found.items():
            own = self._columns(results, levels, good)
            rows[name] = {"learning rate": self._rate(name, find), **own}
            if name != "random":
                for column in ("steps to 90%", "CPU s to 90%", "mean KL"):
                    rows[name][f"{column}, % to random"] = percent(own[column]["values"], baseline[column]["values"])
            rows[name].update(learned(results, None if name == "random" else base, "random"))
        notes = [
            f"Levels: the held-out KL of `random` after 50 % and 90 % of its steps, {levels['50%']:.4f} and "
            f"{levels['90%']:.4f}, and its validation QoE after 90 %, {good:.3f}; arms that do not get there "
            "count with their whole budget (censored).",
            f"Learning rates are chosen from {', '.join(f'{rate:g}' for rate in RATES)} by the KL of a seed apart. CPU "
            "seconds are those of training and of the first weights, without measurements.",
        ]
        curves = {name: {**curve_of(results, "kl"), "seconds": _seconds(results)} for name, results in found.items()}
        return Answer(self.question, rows, notes, curves, drawn=("steps to 90%",))

    def _columns(self, results: Sequence[Result], levels: Mapping[str, float], good: float) -> dict[str, Figure]:
        steps, seconds = _curves(results, "kl"), _curves(results, "kl", times=True)
        row = {"init CPU s": figure([result["cost"]["init_s"] for result in results])}
        for share, level in levels.items():
            row[f"steps to {share}"] = figure(*to_level(steps, level))
            row[f"CPU s to {share}"] = figure(*to_level(seconds, level))
        row["steps to QoE"] = figure(*to_level(_curves(results, "valid"), good, falling=False))
        row["mean KL"] = figure([area(xs, ys) for xs, ys in steps])
        row["KL at first"] = figure([ys[0] for _, ys in steps])
        row["QoE valid at first"] = figure([ys[0] for _, ys in _curves(results, "valid")])
        return row


def _curves(results: Sequence[Result], name: str, times: bool = False) -> list[tuple[list[float], list[float]]]:
    """(steps, or seconds with those of the first weights; values) of each seed."""
    found = []
    for result in results:
        points = list(zip(result["found"]["curve"], result["cost"]["seconds"], strict=True))
        kept = [(point, seconds) for point, seconds in points if name in point]
        xs = [result["cost"]["init_s"] + seconds if times else point["step"] for point, seconds in kept]
        found.append((xs, [point[name] for point, _ in kept]))
    return found


def _seconds(results: Sequence[Result]) -> list[float]:
    """Mean over seeds at each point of the curves."""
    columns = zip(*(xs for xs, _ in _curves(results, "kl", times=True)), strict=True)
    return [sum(column) / len(results) for column in columns]


class OnPolicy(Section):
    """Dataset aggregation against imitation of the teacher's sessions."""

    question = "Is it better that the student acts while the teacher labels?"
    seeds = 5

    def arms(self) -> Arms:
        scale = self.scale
        return {
            f"{who}; labels: {labels}": [
                Gathering(seed, who, objective, scale.gathering, scale.rounds, scale.first, scale.sessions)
                for seed in self.numbers
            ]
            for labels, objective in TEACHERS_LABELS.items()
            for who in WHO
        }

    def answer(self, find: Find) -> Answer:
        found = {name: [find(cell) for cell in cells] for name, cells in self.arms().items()}
        rows = {}
        for name, results in found.items():
            who, _, labels = name.partition("; ")
            offline = None if who == "offline" else found[f"offline; {labels}"]
            rows[name] = learned(results, offline, "offline")
            rows[name]["CPU s"] = figure([sum(result["cost"].values()) for result in results])
        scale = self.scale
        notes = [
            f"All arms: {scale.rounds} rounds of {scale.sessions} sessions in the same worlds, all labelled, "
            f"{scale.gathering.steps} steps, the same first weights and learning rates; the teacher plays the first "
            f"{scale.first} rounds in all, the student the others (on-policy) or every other (mixed). KL and expert "
            "loss are on sessions of the teacher. Intervals of differences: seeds and traces drawn anew."
        ]
        curves = {name: curve_of(results, "kl") for name, results in found.items()}
        return Answer(self.question, rows, notes, curves, drawn=("QoE test", "QoE unseen video"))


class Attention(Section):
    """How many layers of attention, and where."""

    question = "How many layers of attention, and where?"
    notes = ("The paper's 12 + 0, 11 + 1 and 10 + 2 layers, at half the depth; an MLP follows each attention.",)

    def arms(self) -> Arms:
        return {name: list(self.imitations(pattern=pattern)) for name, pattern in PATTERNS.items()}

    def answer(self, find: Find) -> Answer:
        return with_weights(super().answer(find), self.arms(), find)


class Rank(Section):
    """Of reused matrices."""

    question = "How many singular values of the teacher's matrices are worth keeping?"

    def arms(self) -> Arms:
        found: Arms = {"none: random": list(self.imitations())}
        gentle = replace(self.scale.imitation, learning_rate=REUSED_RATE)
        for name, rank in RANKS.items():
            cells = self.imitations(init="principled", rank=rank)
            found[name] = [replace(cell, training=gentle) for cell in cells]
        return found


class Lora(Section):
    """Rank of a teacher's adapter."""

    question = "What LoRA rank does a teacher of another domain need?"
    seeds = 2
    notes = (
        "Base: the Llama of the shipped `netllm` for viewports, frozen; encoders and head are trained in all. A score "
        "is read from the encoder's token, too, so that little depends on the decoder here.",
    )

    def arms(self) -> Arms:
        return {
            f"rank {rank}" if rank else "frozen": [
                Adaptation(seed, rank, self.scale.adaptation) for seed in self.numbers
            ]
            for rank in LORA_RANKS
        }

    def answer(self, find: Find) -> Answer:
        return with_weights(super().answer(find), self.arms(), find)


class Tokenisation(Section):
    """One token a step, or one a modality."""

    question = "One token a step, or one for each modality?"

    def arms(self) -> Arms:
        return {
            name: [replace(cell, training=self.scale.tokens) for cell in self.imitations(tokenisation=name)]
            for name in ("fused", "netllm")
        }

    def answer(self, find: Find) -> Answer:
        answer = super().answer(find)
        for name, cells in self.arms().items():
            answer.rows[name]["CPU s"] = figure([find(cell)["cost"]["train_s"] for cell in cells])
        training = self.scale.tokens
        answer.notes.append(
            f"A step of `netllm` is 7 tokens: smaller batches than elsewhere, {training.steps} steps of "
            f"{training.batch} sessions, in both."
        )
        return answer


class Transformer(Section):
    """Mamba-2, or only a small network?"""

    question = "Is it Mamba-2, or does a transformer of the same size do as well?"
    seeds = 5

    def arms(self) -> Arms:
        return {"hybrid": list(self.imitations()), "transformer": list(self.imitations(transformer=True))}

    def _timed(self, name: str) -> Latency:
        return Latency(Student(0, transformer=name == "transformer"), self.scale.decisions)

    def then(self, find: Find) -> Arms:
        return {f"{name}, timed": [self._timed(name)] for name in ("hybrid", "transformer")}

    def answer(self, find: Find) -> Answer:
        answer = with_weights(super().answer(find), self.arms(), find)
        for name, row in answer.rows.items():
            row["decision ms"] = round(find(self._timed(name))["cost"]["decision_ms"], 3)
        answer.notes.append(
            "Random first weights in both. A decision is of one session, with caches, encoders included."
        )
        return answer


class Observations(Section):
    """Noise."""

    question = "Which of teacher and student stands measurements that are wrong?"

    def __init__(self, scale: Scale):
        super().__init__(scale)
        self.numbers = range(scale.seeds or NOISE_SEEDS)

    def arms(self) -> Arms:
        seeds = self.numbers
        found: Arms = {"teacher": [Noise(seed, SIGMAS, "netllm", weights_digest("netllm")) for seed in seeds]}
        if shipped("mamba4net"):
            found["mamba4net"] = [Noise(seed, SIGMAS, "mamba4net", weights_digest("mamba4net")) for seed in seeds]
        else:
            student = self.imitations()[0]
            found["student of the grid"] = [
                Noise(seed, SIGMAS, "netllm", weights_digest("netllm"), student) for seed in seeds
            ]
        return found

    def answer(self, find: Find) -> Answer:
        found = {name: [find(cell)["found"]["noisy"] for cell in cells] for name, cells in self.arms().items()}
        rows: dict[str, dict[str, Any]] = {}
        for sigma in map(str, SIGMAS):
            for name, results in found.items():
                played = [result[sigma] for result in results]
                row: dict[str, Any] = {"QoE test": figure([sum(values) / len(values) for values in played])}
                row["minus without noise"] = crossed(played, [result[str(SIGMAS[0])] for result in results])
                if name != "teacher":
                    row["minus teacher"] = crossed(played, [result[sigma] for result in found["teacher"]])
                rows[f"{name}, sigma {sigma}"] = row
        note = (
            "Seeds are of the noise; a chunk's download time is wrong by exp(sigma z), its throughput by exp(-sigma z)."
        )
        return Answer(self.question, rows, [note])


def with_weights(answer: Answer, arms: Arms, find: Find) -> Answer:
    """With columns that count weights."""
    for name, cells in arms.items():
        found = find(cells[0])["found"]
        answer.rows[name].update({"weights of backbone": found["backbone"], "weights trained": found["trained"]})
    return answer


SECTIONS: dict[str, type[Section]] = {
    "on-policy": OnPolicy,
    "teacher": Teacher,
    "cwr": WeightReuse,
    "attention": Attention,
    "rank": Rank,
    "lora": Lora,
    "tokens": Tokenisation,
    "transformer": Transformer,
    "noise": Observations,
}
"""By the name that ``--only`` takes."""
