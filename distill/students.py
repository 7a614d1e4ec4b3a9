"""``python -m distill distill``: a small hybrid Mamba student that follows a teacher.

Mamba4Net (arXiv 2510.17147) distils NetLLM's decoder into Mamba layers. Recipe ``on-policy``, the default: first the
teacher acts, then the student, and in both the teacher and the task's expert label every step (``distill.following``);
at last the student learns from its own returns, and the teacher counts less and less. Recipe ``paper`` learns what the
policies of a pool did and what the teacher says of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from agents.mamba4net.hybrid import PRESETS, HybridBackbone
from agents.policy import load_policy
from agents.sequence.backbone import Backbone
from agents.sequence.model import SequenceModel
from agents.sequence.policy import SequencePolicy
from agents.sequence.vp import VPNet
from distill import cloning
from distill.following import Following, Weights
from distill.labelled import Labelled
from distill.lesson import TITLES, Lesson, Training
from distill.pool import Pool
from distill.source import Phase, Source
from distill.teacher_cache import digest_of_model, outputs_by_pool
from distill.weight_reuse import reuse

INITS = {"random": "random", "cwr": "principled", "cwr-literal": "literal"}
"""Arms of ``distill.weight_reuse`` by the name of an option."""
OFFLINE, ON_POLICY, IMPROVE = "offline", "on-policy", "improve"
RECIPES: dict[str, tuple[Phase, ...]] = {
    "abr": (
        Phase(OFFLINE, iterations=8, steps=24, keep=0, learning_rate=1e-3, warmup=30, last_rate=1.0),
        Phase(ON_POLICY, iterations=48, steps=24, keep=8, learning_rate=1e-3, last_rate=0.02),
        Phase(IMPROVE, iterations=24, steps=8, keep=1, learning_rate=3e-5, warmup=10, last_rate=0.1),
    ),
    "cjs": (
        Phase(OFFLINE, iterations=1, steps=180, keep=0, learning_rate=1e-3, warmup=50, last_rate=1.0),
        Phase(ON_POLICY, iterations=7, steps=180, keep=0, learning_rate=1e-3, last_rate=0.05),
        *(Phase(IMPROVE, 1, steps=100, keep=done + 1, learning_rate=3e-4, warmup=10) for done in range(3)),
    ),
    "vp": (Phase(ON_POLICY, iterations=10, steps=283, keep=1, learning_rate=1e-3, warmup=100),),
}
"""By task; paths depend on nobody's actions, so that there is one phase."""
RECIPE_WIDTH = 64
"""``d_model`` that the rates above are for; they fall with it (Yang et al., *Tensor Programs V*, arXiv 2203.03466)."""
INNER = {
    "abr": {OFFLINE: "imitate", ON_POLICY: "imitate", IMPROVE: "improve"},
    "cjs": {OFFLINE: "imitate", ON_POLICY: "imitate", IMPROVE: "improve"},
    "vp": {ON_POLICY: "regress"},
}
"""What the task's own source calls the phases."""
ENCODERS: dict[str, dict[str, dict[str, int]]] = {
    "small": {"abr": {"width": 128}, "cjs": {"hidden": 64}, "vp": {"hidden": 128, "width": 48}},
}
"""By size and task: arguments of encoders and heads that differ from the teacher's."""
SETTLED = 0.7
"""Share of the iterations that are over before weights are kept: those of abr's and cjs's last phases, about."""
REUSE_STEPS = 8000
"""Of sequences that first weights are fitted to."""
OF_TEACHERS = ("warm_up", "iterations", "improve")
"""Options of a task's recipe that say what phases a teacher's training has."""
CLONE = "clone"
ALPHA, BETA = 1.0, {"abr": 1.0, "cjs": 0.3}
"""What the divergence from the teacher counts beside labels; and, by task, beside returns at first."""


def make_student(teacher: SequenceModel, backbone: Backbone, encoders: Mapping[str, int]) -> SequenceModel:
    """A model with random weights that reads and decides what ``teacher`` does, around another backbone.

    ``encoders``: arguments of encoders and heads that differ from the teacher's, see ``ENCODERS``.
    """
    net = type(teacher.task)(backbone.d_model, **{**teacher.task.config(), **encoders})
    timesteps = 0 if teacher.timestep is None else teacher.timestep.num_embeddings
    return SequenceModel(net, backbone, timesteps, teacher.context)


class Renamed:
    """A task's source under other names of phases; a ``Source``."""

    def __init__(self, source: Source, names: Mapping[str, str]):
        self.source, self.names = source, names
        self.validate, self.targets = source.validate, source.targets

    def gather(self, phase: Phase, iteration: int, policy: SequencePolicy) -> Any:
        """See ``Source``."""
        return self.source.gather(self._inner(phase), iteration, policy)

    def loss(self, phase: Phase, outputs: Any, targets: Any) -> Any:
        """See ``Source``."""
        return self.source.loss(self._inner(phase), outputs, targets)

    def _inner(self, phase: Phase) -> Phase:
        return replace(phase, name=self.names.get(phase.name, phase.name))


@dataclass(frozen=True)
class Distill(Training):
    """Train a small hybrid Mamba student that follows a teacher, and score it."""

    command: ClassVar[str] = "distill"
    policy: ClassVar[str] = "mamba4net"

    teacher: str = "netllm"
    """Registered name of a sequence policy, or the folder of one."""
    size: Literal["small", "medium", "paper"] = "small"
    """0.13, 1.06 or 22.9 million weights behind the encoders."""
    init: Literal["cwr", "cwr-literal", "random"] = "cwr"
    """First weights: the teacher's, cut down as suits the task's tokens; as the paper cuts them; none of its."""
    recipe: Literal["on-policy", "paper"] = "on-policy"
    """on-policy: the student acts, teacher and expert label; paper: imitation of pools with the teacher's help."""
    improve: bool = True
    """Let the student learn from what its own decisions lead to at last (abr and cjs, recipe on-policy)."""
    alpha: float = ALPHA
    """Weight of the divergence from the teacher beside labels; 0: the teacher labels nothing."""
    beta: float | None = None
    """The same beside returns, at first; it falls to a hundredth. Default: the recipe's."""
    temperature: float = 1.0
    """Of the divergence between choices."""
    cache_teacher: bool = False
    """Keep what the teacher says of a pool in the pool's folder, for the next student (recipe paper). Not without being
    asked: pools are inputs, which a training leaves as they are, and may be shared or read-only."""
    precision: Literal["bf16", "fp32"] = "fp32"
    """Of matrix products; in those of the small student bf16 saves nothing on a CPU."""

    def lesson(self, device: str) -> Lesson:
        self._check()
        beta = BETA.get(self.task, 0.0) if self.beta is None else self.beta
        options, pools, module = self.recipe_options(), [Pool(folder) for folder in self.pool], self.recipe_of()
        if not self.improve and hasattr(options, "improve"):
            options = replace(options, improve=0)
        if self.recipe == "paper" and not pools:
            raise ValueError(f"recipe paper learns from pools: give --pool, made by distill collect --task {self.task}")
        teacher = self._teacher(device)
        theirs = teacher.model
        backbone = HybridBackbone(PRESETS[self.size])
        model = make_student(theirs, backbone, ENCODERS.get(self.size, {}).get(self.task, {}))
        net = model.task
        model.to(device)
        source: Source = module.make_source(net, pools, self.seed, options)
        if isinstance(net, VPNet) and isinstance(theirs.task, VPNet):
            theirs.task.previous_viewers = net.previous_viewers  # whom the source has found
        narrower = RECIPE_WIDTH / backbone.d_model
        phases = tuple(
            replace(phase, learning_rate=phase.learning_rate * narrower)
            for phase in RECIPES[self.task]
            if self.improve or phase.name != IMPROVE
        )
        if self.recipe == "paper":
            source = cloning.Cloning(pools, net, teacher.scale, theirs.context, source.validate)
            phases = cloning.phases(pools)
            ask = partial(outputs_by_pool, pools=pools, name=self.teacher, keep=self.cache_teacher)
        else:
            source, ask = Renamed(source, INNER[self.task]), None
        phases = tuple(map(self._limited, phases))
        weights = {name: Weights(1.0, self.alpha, teacher_acts=name == OFFLINE) for name in (OFFLINE, ON_POLICY, CLONE)}
        weights[IMPROVE] = Weights(1.0, beta, last=0.01)
        following = Following(source, teacher, phases, weights, self.temperature, ask)

        def initialise() -> None:
            if self.init != "random":
                data = source.gather(phases[0], 0, teacher)
                assert data is not None
                reuse(theirs, model, INITS[self.init], _some(data, self.seed), self.seed)

        learned = module.describe(options, pools) if self.recipe != "paper" else "What the policies in the pools did."
        says = "says of every step what it would do" if self.alpha else "labels nothing"
        return Lesson(
            model,
            following,
            phases,
            replace(self.optimisation(), settled=SETTLED),
            identity={
                "recipe": self.recipe,
                "options": asdict(options),
                "teacher": digest_of_model(theirs),
                "init": self.init,
                "alpha": self.alpha,
                "beta": beta,
                "temperature": self.temperature,
                "model": {**model.config(), "backbone": backbone.config()},
            },
            data=f"{learned} The teacher `{self.teacher}` {says}.",
            summary=f"A sequence policy for {TITLES[self.task]} around a hybrid of Mamba-2 and attention layers "
            f"({self.size}), distilled from `{self.teacher}`; first weights: {self.init}. Design, assumptions and "
            "comparisons: docs/mamba4net.md.",
            scale=teacher.scale,
            initialise=initialise,
        )

    def _check(self) -> None:
        """``ValueError``, one line, for options that are impossible, or would do nothing."""
        if min(self.alpha, self.beta or 0.0) < 0 or not self.temperature > 0:
            raise ValueError("alpha and beta must be 0 or more, temperature above 0")
        if unused := sorted({word.partition("=")[0].strip() for word in self.options} & set(OF_TEACHERS)):
            raise ValueError(f"--set {unused[0]}: says how a teacher is trained; see --iterations and --no-improve")
        paths, imitates = self.task == "vp", self.recipe == "paper"
        if (paths or imitates) and not self.improve:
            raise ValueError(f"--no-improve: {'vp' if paths else 'recipe paper'} has no such phase")
        if self.beta is not None and (paths or imitates or not self.improve):
            raise ValueError("--beta: counts while the student learns from returns, which it does not here")
        if paths and self.temperature != 1.0:
            raise ValueError("--temperature: is of choices, and vp predicts paths")
        if self.cache_teacher and not imitates:
            raise ValueError("cache-teacher: in recipe on-policy all episodes are new to the teacher; --recipe paper")
        if self.cache_teacher and not self.alpha:
            raise ValueError("cache-teacher: with alpha 0 the teacher says nothing that could be kept")

    def _teacher(self, device: str) -> SequencePolicy:
        teacher = load_policy(self.teacher, self.task, device=device)
        if not isinstance(teacher, SequencePolicy):
            raise ValueError(f"teacher {self.teacher!r} is no sequence policy; python -m distill teach makes one")
        found = SequencePolicy(
            teacher.model,
            "greedy" if teacher.model.task.continuous else "sampled",
            teacher.target,
            teacher.scale,
        )
        found.bytes = teacher.bytes
        return found

    def _rows(self, folder: Path, device: str) -> dict[str, Any]:
        return {**super()._rows(folder, device), "teacher": load_policy(self.teacher, self.task, device=device)}


def _some(data: Labelled, seed: int) -> Labelled:
    """About ``REUSE_STEPS`` steps of whole sequences, drawn at random."""
    order = np.random.default_rng(seed).permutation(len(data))
    enough = int(np.searchsorted(data.sequences.lengths[order].cumsum(), REUSE_STEPS)) + 1
    return data.take(np.sort(order[:enough]))
