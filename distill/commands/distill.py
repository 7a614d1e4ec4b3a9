"""``python -m distill distill``: a small hybrid Mamba student that follows a teacher.

Mamba4Net (arXiv 2510.17147) distils NetLLM's decoder into Mamba layers. Recipe ``on-policy``, the default: first the
teacher acts, then the student, and in both the teacher and the task's expert label every step (see
``distill.training.teacher_source``); at last the student learns from its own returns, and the teacher counts less and
less. Recipe ``paper`` learns what the policies of a pool did and what the teacher says of it.
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
from agents.registry import part_of
from agents.sequence.policy import SequencePolicy
from distill.commands.training_command import Lesson, TrainingCommand
from distill.commands.wrong_arguments import checking
from distill.pools.pool import Pool
from distill.recipe import StudentRecipe
from distill.reuse.weight_reuse import reuse
from distill.training import behaviour_cloning
from distill.training.labelled_sequences import Labelled
from distill.training.phase import IMPROVE, OFFLINE, ON_POLICY, Phase, Source
from distill.training.student import make_student
from distill.training.teacher_cache import digest_of_model, outputs_by_pool
from distill.training.teacher_source import Following, Weights
from netenvs import tasks
from netenvs.spec import parse_settings

INITS = {"random": "random", "cwr": "principled", "cwr-literal": "literal"}
"""Arms of ``distill.reuse.weight_reuse`` by the name of an option."""
RECIPE_WIDTH = 64
"""``d_model`` that the rates above are for; they fall with it (Yang et al., *Tensor Programs V*, arXiv 2203.03466)."""
SETTLED = 0.7
"""Share of the iterations that are over before weights are kept: those of the last phase, improvement, about."""
REUSE_STEPS = 8000
"""Of sequences that first weights are fitted to."""
CLONE = "clone"


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
class Distill(TrainingCommand):
    """This trains a small hybrid Mamba student that follows a teacher, and scores it."""

    command: ClassVar[str] = "distill"
    policy: ClassVar[str] = "mamba4net"

    teacher: str = "netllm"
    """It follows this sequence policy: a registered name, or the folder of one."""
    size: Literal["small", "medium", "paper"] = "small"
    """There are 0.13, 1.06 or 22.9 million weights behind the encoders."""
    init: Literal["cwr", "cwr-literal", "random"] = "cwr"
    """First weights are the teacher's: cut down as suits the task's tokens, as the paper cuts them, or none of its."""
    recipe: Literal["on-policy", "paper"] = "on-policy"
    """With on-policy the student acts, teacher and expert label; with paper it imitates pools, the teacher helps."""
    improve: bool = True
    """At last it learns from what its own decisions lead to (recipe on-policy, where actions are choices)."""
    alpha: float = 1.0
    """The divergence from the teacher counts so much beside labels; with 0 the teacher labels nothing."""
    beta: float | None = None
    """It counts so much beside returns, at first, and falls to a hundredth; by default the recipe says it."""
    temperature: float = 1.0
    """The divergence between choices is taken at this temperature."""
    cache_teacher: bool = False
    """It keeps what the teacher says of a pool in the pool's folder, for the next student (recipe paper)."""
    precision: Literal["bf16", "fp32"] = "fp32"
    """Matrix products are computed in it; in those of the small student bf16 saves nothing on a CPU."""

    def lesson(self, device: str) -> Lesson:
        with checking():
            self._check()
        recipe, students = self.training_recipe(), self._students()
        beta = students.beta if self.beta is None else self.beta
        options, pools = self.recipe_options(), [Pool(folder) for folder in self.pool]
        if not self.improve:
            options = replace(options, **recipe.without_improvement)
        if self.recipe == "paper" and not pools:
            raise ValueError(f"recipe paper learns from pools: give --pool, made by distill collect --task {self.task}")
        teacher = self._teacher(device)
        theirs = teacher.model
        backbone = HybridBackbone(PRESETS[self.size])
        model = make_student(theirs, backbone, students.encoders.get(self.size, {}))
        net = model.task
        model.to(device)
        source = recipe.source(net, pools, self.seed, options)
        recipe.share(net, theirs.task)
        narrower = RECIPE_WIDTH / backbone.d_model
        phases = tuple(
            replace(phase, learning_rate=phase.learning_rate * narrower)
            for phase in students.phases
            if self.improve or phase.name != IMPROVE
        )
        if self.recipe == "paper":
            source = behaviour_cloning.Cloning(pools, net, teacher.scale, theirs.context, source.validate)
            phases = behaviour_cloning.phases(pools)
            ask = partial(outputs_by_pool, pools=pools, name=self.teacher, keep=self.cache_teacher)
        else:
            source, ask = Renamed(source, students.source_phases), None
        phases = tuple(map(self._limited, phases))
        weights = {name: Weights(1.0, self.alpha, teacher_acts=name == OFFLINE) for name in (OFFLINE, ON_POLICY, CLONE)}
        weights[IMPROVE] = Weights(1.0, beta, last=0.01)
        following = Following(source, teacher, phases, weights, self.temperature, ask)

        def initialise() -> None:
            if self.init != "random":
                data = source.gather(phases[0], 0, teacher)
                assert data is not None
                reuse(theirs, model, INITS[self.init], _some(data, self.seed), self.seed)

        learned = recipe.describe(options, pools) if self.recipe != "paper" else "What the policies in the pools did."
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
            summary=f"A sequence policy for {tasks.find(self.task).title} around a hybrid of Mamba-2 and attention "
            f"layers ({self.size}), distilled from `{self.teacher}`; first weights: {self.init}. Design, "
            "assumptions and comparisons: docs/mamba4net.md.",
            scale=teacher.scale,
            initialise=initialise,
        )

    def _check(self) -> None:
        """``ValueError``, one line, for options that are impossible, or would do nothing."""
        self._students()
        if min(self.alpha, self.beta or 0.0) < 0 or not self.temperature > 0:
            raise ValueError("alpha and beta must be 0 or more, temperature above 0")
        paths, imitates = part_of(self.task, "net").continuous, self.recipe == "paper"
        if (paths or imitates) and not self.improve:
            raise ValueError(f"--no-improve: {self.task if paths else 'recipe paper'} has no such phase")
        if self.beta is not None and (paths or imitates or not self.improve):
            raise ValueError("--beta: counts while the student learns from returns, which it does not here")
        if paths and self.temperature != 1.0:
            raise ValueError(f"--temperature: is of choices, and {self.task} predicts paths")
        if self.cache_teacher and not imitates:
            raise ValueError("cache-teacher: in recipe on-policy all episodes are new to the teacher; --recipe paper")
        if self.cache_teacher and not self.alpha:
            raise ValueError("cache-teacher: with alpha 0 the teacher says nothing that could be kept")

    def recipe_options(self) -> Any:
        """As of every training, but for those that say what phases a teacher's has."""
        if unused := sorted(set(parse_settings(self.options)) & set(self.training_recipe().phase_options)):
            raise ValueError(f"--set {unused[0]}: says how a teacher is trained; see --iterations and --no-improve")
        return super().recipe_options()

    def _students(self) -> StudentRecipe:
        found = self.training_recipe().student
        if found is None:
            raise ValueError(f"{self.task} has no recipe for students")
        return found

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
