"""``python -m distill teach``: adapt a language model to a task, or train the embedded small one.

Two recipes. ``expert``, the default, lets the policy act, has an expert label every step that it comes to, learns from
all of them (dataset aggregation: Ross, Gordon and Bagnell, *A Reduction of Imitation Learning and Structured Prediction
to No-Regret Online Learning*, AISTATS 2011), and may end with reinforcement learning. ``netllm`` is the paper's:
imitation of what is in a pool, conditioned on the return to go, in windows of 20 steps.
"""

from __future__ import annotations

import importlib
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro

from agents.netllm.checkpoint import TASKS, save_policy
from agents.netllm.load import AdaptedBackbone, ScratchBackbone, load_backbone, small_llama
from agents.sequence.model import SequenceModel
from agents.training import CHECKPOINT, Run
from distill import card
from distill.cloning import CONTEXT as CLONING_CONTEXT
from distill.cloning import Cloning
from distill.cloning import phases as cloning_phases
from distill.from_pool import returns_scale
from distill.learner import Best, Learner, Optimisation
from distill.pool import Pool
from distill.source import Phase, Source
from netenvs.spec import check_option_types, parse_settings, parse_value, unknown_name

POLICY = "netllm"
TITLES = {"abr": "adaptive bitrate", "cjs": "cluster job scheduling", "vp": "viewport prediction"}
TIMESTEPS = 100  # rows of the table of step numbers in the paper's recipe (NetLLM: max_ep_len + 1 of its videos)


@dataclass(frozen=True)
class Teach:
    """Adapt a language model to a task, or train the embedded small one, and score it."""

    task: Literal["abr", "cjs", "vp"]
    """What it is to do."""
    pool: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    """Pools of python -m distill collect, learned from first; may be repeated. Recipe netllm has nothing else."""
    recipe: Literal["expert", "netllm"] = "expert"
    """expert: it acts, and an expert labels; netllm: the paper's imitation of a pool."""
    backbone: str = ""
    """Pretrained model to adapt, a folder or a name on the Hugging Face hub; default: a small Llama from scratch."""
    lora_rank: int = 128
    """Of the adapter of a pretrained backbone; 0: none, only encoders and heads are trained."""
    lora_alpha: float = 32.0
    """The adapter counts lora-alpha / lora-rank."""
    lora_targets: tuple[str, ...] = ()
    """Modules that it adapts; default: those of the model's family, queries and values."""
    lora_dropout: float = 0.05
    """Of its inputs."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of a pretrained backbone's frozen weights; auto: as they are stored."""
    recompute: bool = False
    """Compute the activations within layers twice instead of keeping them: less memory, a third more time."""
    tokenisation: Literal["", "fused", "netllm"] = ""
    """One token a step, or one a modality; default: the recipe's."""
    options: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE"), tyro.conf.UseAppendAction] = ()
    """Another option of the task's recipe, see docs/netllm.md; may be repeated."""
    seed: int = 0
    """Determines initial weights, episodes, and what is drawn from them."""
    iterations: int | None = None
    """At most so many in each phase of the recipe."""
    steps: int | None = None
    """Optimiser steps after each iteration; default: the recipe's."""
    batch: int | None = None
    """Sequences of an optimiser step; default: the recipe's."""
    accumulate: int = 1
    """Parts that a batch is cut into, to need less memory."""
    learning_rate: float | None = None
    """The highest one, in all phases; default: the recipe's."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Of matrix products."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: cuda where there is one."""
    threads: int = 1
    """Of the processor. The same number gives the same weights."""
    out: Path | None = None
    """Folder for checkpoint, curve and weights; runs/TASK-netllm-SEED, or with --ship the shipped one."""
    ship: tuple[Path, ...] = ()
    """Folders of trainings: instead of training, ship the best of them with the card of all."""
    score: bool = True
    """Score the weights in the end, on test data too, and write the card."""

    def run(self) -> int:
        """Train or ship; 0."""
        if self.ship:
            self._ship()
        else:
            self._train()
        return 0

    def _ship(self) -> None:
        from agents.pretrained import CHECKPOINTS

        out = self.out or CHECKPOINTS / f"{self.task}-{POLICY}"
        command = shlex.join(["python", "-m", "distill", "teach", "--task", self.task, "--ship", *map(str, self.ship)])
        best = card.ship(self.ship, out, command)
        print(f"{self.ship[best]} is best in validation; written to {out}")

    def _train(self) -> None:
        torch.set_num_threads(self.threads)
        torch.manual_seed(self.seed)
        device = self.device if self.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        folder = self.out or Path(f"runs/{self.task}-{POLICY}-{self.seed}")
        lesson = Lesson.of(self, device)
        total = sum(phase.iterations for phase in lesson.phases)
        with Run(folder, lesson.identity, total, "iterations") as run:
            if not (folder / CHECKPOINT).exists():
                lesson.initialise()
            learner = Learner(
                lesson.model, lesson.source, lesson.phases, lesson.optimisation, run, device, lesson.scale
            )
            best = learner.fit()
        if learner.accelerator.is_main_process:
            self._write(lesson, best, run)

    def _write(self, lesson: Lesson, best: Best, run: Run) -> None:
        settings: dict[str, Any] = {"scale": list(lesson.scale)}
        if best.target is not None:
            settings["target"] = best.target
        save_policy(lesson.model, run.folder, POLICY, settings, dtype="bfloat16")
        if not self.score:
            return
        from distill.scoring import score

        scores = score(self.task, rows(self.task, run.folder, lesson.device))
        training = card.Training(
            seed=self.seed,
            command=command_of(self),
            data=lesson.data,
            settings={name: value for name, value in lesson.identity.items() if name != "seed"},
            parameters=sum(value.numel() for value in lesson.model.parameters() if value.requires_grad),
            cpu_s=round(run.cpu_s, 1),
            wall_s=round(run.wall_s, 1),
            kept=best.step,
            valid=best.valid,
            curve=run.curve,
            scores={name: {row: asdict(found) for row, found in by.items()} for name, by in scores.items()},
        )
        card.write(run.folder, POLICY, self.task, lesson.summary, [training])
        print(f"written to {run.folder}; play it with --policy {run.folder}")


@dataclass(frozen=True)
class Lesson:
    """Everything that a training needs, made of the arguments."""

    model: SequenceModel
    source: Source
    phases: tuple[Phase, ...]
    optimisation: Optimisation
    scale: tuple[float, float]
    identity: dict[str, Any]
    """What determines the weights."""
    data: str
    summary: str
    device: str
    initialise: Callable[[], None]
    """What comes before the first iteration."""

    @classmethod
    def of(cls, args: Teach, device: str) -> Lesson:
        """``ValueError``, one line, for impossible arguments."""
        module = importlib.import_module(f"distill.teach_{args.task}")
        options = _options(module.Options, args.options)
        pools = [Pool(folder) for folder in args.pool]
        clone = args.recipe == "netllm"
        if clone and not pools:
            raise ValueError(
                f"recipe netllm learns from pools: give --pool, made by distill collect --task {args.task}"
            )
        backbone = _backbone(args, device)
        net_class = _named(TASKS[args.task])
        arguments = {} if clone else dict(module.NET)
        if clone:
            arguments = {"tokenisation": "netllm", "returns": not net_class.continuous}
        if args.tokenisation:
            arguments["tokenisation"] = args.tokenisation
        net = net_class(backbone.d_model, **arguments)
        model = SequenceModel(
            net,
            backbone,
            timesteps=TIMESTEPS if clone and not net.continuous else 0,
            context=(1 if net.continuous else CLONING_CONTEXT) if clone else module.CONTEXT,
        ).to(device)
        scale = returns_scale(pools) if net.returns and pools else (0.0, 1.0)
        source = module.make_source(net, pools, args.seed, options)
        phases = module.phases(options, pools) if hasattr(module, "phases") else module.PHASES
        initialise: Callable[[], None] = _nothing
        learned = "what the policies in the pools did" if clone else module.describe(options, pools)
        if clone:
            source, phases = Cloning(pools, net, scale, model.context, source.validate), cloning_phases(pools)
        elif hasattr(module, "initialise"):
            initialise = partial(module.initialise, net, options)
        phases = tuple(_limited(phase, args) for phase in phases)
        chosen = {name: value for name, value in (("batch", args.batch),) if value is not None}
        optimisation = Optimisation(
            **{
                **module.OPTIMISATION,
                **chosen,
                "seed": args.seed,
                "accumulate": args.accumulate,
                "precision": args.precision,
            }
        )
        identity = {
            "task": args.task,
            "recipe": args.recipe,
            "options": asdict(options),
            "pools": [_identity_of(pool) for pool in pools],
            "model": {**model.config(), "backbone": backbone.config()},
            "phases": [asdict(phase) for phase in phases],
            **asdict(optimisation),
        }
        summary = (
            f"A sequence policy for {TITLES[args.task]} around "
            + (f"`{args.backbone}` with a LoRA adapter" if args.backbone else "a small Llama trained from scratch")
            + f", recipe `{args.recipe}`. Assumptions, design and comparison: docs/netllm.md."
        )
        return cls(model, source, phases, optimisation, scale, identity, learned, summary, device, initialise)


def _nothing() -> None:
    """A recipe without anything before its first iteration."""


def rows(task: str, folder: Path, device: str) -> dict[str, Any]:
    """The policies of a folder that are scored, by the name of their row."""
    from agents.policy import load_policy

    def row(**options: Any) -> Any:
        return load_policy(str(folder), task, device=device, **options)

    return {POLICY: row()} | ({f"{POLICY}(viewers=false)": row(viewers=False)} if task == "vp" else {})


def command_of(args: Teach) -> str:
    """The command that these arguments came with, but for the folder."""
    words = sys.argv[1:] if sys.argv[1:2] == ["teach"] else ["teach", "--task", args.task, "--seed", str(args.seed)]
    kept = [word for i, word in enumerate(words) if word != "--out" and (i == 0 or words[i - 1] != "--out")]
    return shlex.join(["python", "-m", "distill", *kept])


def _options(kind: type[Any], pairs: Sequence[str]) -> Any:
    given = parse_settings(pairs)
    known = list(kind.__dataclass_fields__)
    for name in given:
        if name not in known:
            raise ValueError(f"--set: {unknown_name('option', name, known)}")
        if isinstance(kind.__dataclass_fields__[name].default, tuple):  # 10,50
            given[name] = tuple(parse_value(part.strip()) for part in str(given[name]).split(","))
    check_option_types(kind, given)
    return kind(**given)


def _backbone(args: Teach, device: str) -> ScratchBackbone | AdaptedBackbone:
    backbone: ScratchBackbone | AdaptedBackbone = small_llama()
    if args.backbone:
        targets = list(args.lora_targets) or None
        backbone = load_backbone(
            args.backbone, args.dtype, args.lora_rank, args.lora_alpha, targets, args.lora_dropout, device
        )
    if args.recompute:
        backbone.checkpoint_activations()
    return backbone


def _limited(phase: Phase, args: Teach) -> Phase:
    """With what the arguments say instead of the recipe."""
    if min(args.iterations or 1, args.steps or 1) < 1 or (args.learning_rate is not None and args.learning_rate <= 0):
        raise ValueError("iterations, steps and learning-rate must be positive")
    iterations = phase.iterations if args.iterations is None else min(args.iterations, phase.iterations)
    steps = phase.steps if args.steps is None else args.steps
    rate = phase.learning_rate if args.learning_rate is None else args.learning_rate
    return replace(phase, iterations=iterations, steps=steps, learning_rate=rate)


def _identity_of(pool: Pool) -> str:
    """Digest of all that is in a pool."""
    import hashlib

    shards = "".join(entry["sha256"] for entry in pool.manifest["shards"])
    return hashlib.sha256(shards.encode()).hexdigest()


def _named(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
