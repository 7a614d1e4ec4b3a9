"""What the commands that train sequence policies share: arguments, what follows from them, and what is written."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
import tyro

from agents.scoring import score
from agents.sequence.checkpoint import save_policy
from agents.sequence.model import SequenceModel
from agents.training import CHECKPOINT, Run
from agents.training import card as model_card
from distill import card
from distill.commands.task_option import one_of
from distill.commands.wrong_arguments import checking
from distill.pools.pool import Pool
from distill.recipe import TrainingRecipe, tasks_with, training_recipe
from distill.training.learner import Best, Learner, Optimisation
from distill.training.phase import Phase, Source
from netenvs.errors import printable
from netenvs.spec import check_option_types, parse_settings, parse_value, unknown_name


@dataclass
class Lesson:
    """Everything that a training needs."""

    model: SequenceModel
    source: Source
    phases: tuple[Phase, ...]
    optimisation: Optimisation
    identity: dict[str, Any]
    """What determines the weights besides phases and optimisation."""
    data: str
    """What is learned from, and what chooses the weights: sentences for the card."""
    summary: str
    """What comes out: a sentence for the card."""
    scale: tuple[float, float] = (0.0, 1.0)
    """Of returns, see ``SequencePolicy``."""
    initialise: Callable[[], Any] = field(default=lambda: None)
    """What comes before the first iteration."""


@dataclass(frozen=True)
class TrainingCommand:
    """Arguments of a training of a sequence policy; subclasses say what is trained."""

    command: ClassVar[str]
    """What it is called, after ``python -m distill``."""
    policy: ClassVar[str]
    """Registered name of what comes out."""

    task: Annotated[str, one_of(tasks_with("training"), "This is what it is to do")]
    pool: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    """It learns from this pool of python -m distill collect first; it may be repeated."""
    options: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE"), tyro.conf.UseAppendAction] = ()
    """This sets another option of the task's recipe, see docs/netllm.md; it may be repeated."""
    seed: int = 0
    """It determines initial weights, episodes, and what is drawn from them."""
    iterations: int | None = None
    """Each phase of the recipe has at most so many."""
    steps: int | None = None
    """So many optimiser steps follow each iteration; by default as many as the recipe says."""
    batch: int | None = None
    """An optimiser step sees so many sequences; by default as many as the recipe says."""
    accumulate: int = 1
    """A batch is cut into so many parts, to need less memory."""
    learning_rate: float | None = None
    """This is the highest one, in all phases; by default the recipe says it."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Matrix products are computed in it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """It trains there; auto is cuda where there is one."""
    threads: int = 1
    """The processor works with so many. The same number gives the same weights."""
    out: Path | None = None
    """All is written to this folder: by default runs/TASK-POLICY-SEED, or with --ship the shipped one."""
    ship: tuple[Path, ...] = ()
    """It trains nothing, but ships the best of these folders; with --set it validates them anew with these options."""
    score: bool = True
    """In the end it scores the weights, on test data too, and writes the card."""

    def lesson(self, device: str) -> Lesson:
        """What the arguments come to; ``ValueError``, one line, for impossible ones."""
        raise NotImplementedError

    def run(self) -> int:
        """Train or ship; 0."""
        with checking():
            self.recipe_options()
        if self.ship:
            self._ship()
        else:
            self._train()
        return 0

    def _ship(self) -> None:
        from agents.pretrained import CHECKPOINTS

        out = self.out or CHECKPOINTS / f"{self.task}-{self.policy}"
        options = [word for option in self.options for word in ("--set", option)]
        words = ["python", "-m", "distill", self.command, "--task", self.task, *options, "--ship", *map(str, self.ship)]
        found = [record.training for record in card.candidates(self.ship)]
        valid = [self._validated(*pair) for pair in zip(self.ship, found, strict=True)] if self.options else None
        best = card.ship(self.ship, out, shlex.join(words), valid)
        print(printable(f"{self.ship[best]} is best in validation; written to {out}"))

    def _validated(self, folder: Path, training: model_card.Training) -> float:
        """The figure of a folder's weights, with the options of their training but for those given."""
        from agents.policy import load_policy

        policy: Any = load_policy(str(folder), self.task)
        asked = asdict(self.recipe_options())
        given = {name: asked[name] for name in parse_settings(self.options)}
        options = type(self.recipe_options())(**{**training.settings.get("options", {}), **given})
        source = self.training_recipe().source(policy.model.task, [], training.seed, options)
        found: float = source.validate(policy)["valid"]
        return found

    def _train(self) -> None:
        torch.set_num_threads(self.threads)
        torch.manual_seed(self.seed)
        device = self.device if self.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        lesson = self.lesson(device)
        phases = tuple(self._limited(phase) for phase in lesson.phases)
        total = sum(phase.iterations for phase in phases)
        identity = {
            "task": self.task,
            "pools": [_digest(Pool(folder)) for folder in self.pool],
            **lesson.identity,
            "phases": [asdict(phase) for phase in phases],
            **asdict(lesson.optimisation),
        }
        folder = self.out or Path(f"runs/{self.task}-{self.policy}-{self.seed}")
        with Run(folder, identity, total, "iterations") as run:
            if not (folder / CHECKPOINT).exists():
                lesson.initialise()
            learner = Learner(lesson.model, lesson.source, phases, lesson.optimisation, run, device, lesson.scale)
            best = learner.fit()
        if learner.accelerator.is_main_process:
            self._write(lesson, best, run, device)

    def _write(self, lesson: Lesson, best: Best, run: Run, device: str) -> None:
        settings: dict[str, Any] = {"scale": list(lesson.scale)}
        if best.target is not None:
            settings["target"] = best.target
        save_policy(lesson.model, run.folder, self.policy, settings, dtype="bfloat16")
        if not self.score:
            return
        training = model_card.Training.of(
            run,
            seed=self.seed,
            command=self._command(),
            data=lesson.data,
            settings={name: value for name, value in run.identity.items() if name != "seed"},
            kept=best.step,
            valid=best.valid,
            scores=score(self.task, self._rows(run.folder, device), self.policy),
        )
        parameters = sum(value.numel() for value in lesson.model.parameters() if value.requires_grad)
        model_card.write(run.folder, card.record(self.policy, self.task, lesson.summary, parameters, training))
        print(printable(f"written to {run.folder}; play it with --policy {run.folder}"))

    def _rows(self, folder: Path, device: str) -> dict[str, Any]:
        """The policies of the folder that are scored, by the name of their row."""
        from agents.policy import load_policy

        def row(**options: Any) -> Any:
            return load_policy(str(folder), self.task, device=device, **options)

        variants = self.training_recipe().variants
        return {self.policy: row(), **{f"{self.policy}({name})": row(**options) for name, options in variants.items()}}

    def _command(self) -> str:
        """The command that these arguments came with, but for the folder."""
        words = sys.argv[1:]
        if words[:1] != [self.command]:
            words = [self.command, "--task", self.task, "--seed", str(self.seed)]
        kept = [word for i, word in enumerate(words) if word != "--out" and (i == 0 or words[i - 1] != "--out")]
        return shlex.join(["python", "-m", "distill", *kept])

    def _limited(self, phase: Phase) -> Phase:
        """With what the arguments say instead of the recipe."""
        rate = phase.learning_rate if self.learning_rate is None else self.learning_rate
        given = [number for number in (self.iterations, self.steps) if number is not None]
        if min([1, *given]) < 1 or rate <= 0:
            raise ValueError("iterations, steps and learning-rate must be positive")
        iterations = phase.iterations if self.iterations is None else min(self.iterations, phase.iterations)
        steps = phase.steps if self.steps is None else self.steps
        return replace(phase, iterations=iterations, steps=steps, learning_rate=rate)

    def training_recipe(self) -> TrainingRecipe:
        """How the task is learned; ``ValueError``, one line, for a task that is unknown, or that nobody can learn."""
        return training_recipe(self.task)

    def recipe_options(self) -> Any:
        """``--set`` as the ``options`` of the task's recipe."""
        kind: Any = self.training_recipe().options
        given, known = parse_settings(self.options), kind.__dataclass_fields__
        for name in given:
            if name not in known:
                raise ValueError(f"--set: {unknown_name('option', name, known)}")
            if isinstance(known[name].default, tuple):  # 10,50
                given[name] = tuple(parse_value(part.strip()) for part in str(given[name]).split(","))
        check_option_types(kind, given)
        return kind(**given)

    def optimisation(self) -> Optimisation:
        """How weights are learned."""
        chosen = {} if self.batch is None else {"batch": self.batch}
        own = {"seed": self.seed, "accumulate": self.accumulate, "precision": self.precision}
        return Optimisation(**{**self.training_recipe().optimisation, **chosen, **own})


def _digest(pool: Pool) -> str:
    """Of all that is in a pool."""
    shards = "".join(entry["sha256"] for entry in pool.manifest["shards"])
    return hashlib.sha256(shards.encode()).hexdigest()
