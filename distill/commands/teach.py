"""``python -m distill teach``: adapt a language model to a task, or train the embedded small one.

Two recipes. ``expert``, the default, lets the policy act, has an expert label every step that it comes to, learns from
all of them (dataset aggregation: Ross, Gordon and Bagnell, *A Reduction of Imitation Learning and Structured Prediction
to No-Regret Online Learning*, AISTATS 2011), and may end with reinforcement learning. ``netllm`` is the paper's:
imitation of what is in a pool, conditioned on the return to go, in windows of 20 steps.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import ClassVar, Literal

from agents.netllm.load import AdaptedBackbone, ScratchBackbone, load_backbone, small_llama
from agents.registry import part_of
from agents.sequence.model import SequenceModel
from distill.commands.training_command import Lesson, TrainingCommand
from distill.pools.pool import Pool
from distill.training import behaviour_cloning
from distill.training.pool_sequences import returns_scale
from netenvs import tasks

TIMESTEPS = 100  # rows of the table of step numbers in the paper's recipe (NetLLM: max_ep_len + 1 of its videos)


@dataclass(frozen=True)
class Teach(TrainingCommand):
    """This adapts a language model to a task, or trains the embedded small one, and scores it."""

    command: ClassVar[str] = "teach"
    policy: ClassVar[str] = "netllm"

    recipe: Literal["expert", "netllm"] = "expert"
    """With expert it acts, and an expert labels; netllm is the paper's imitation of a pool."""
    backbone: str = ""
    """This pretrained model is adapted, a folder or a name on the Hugging Face hub; else a small one learns."""
    lora_rank: int = 128
    """The adapter of a pretrained backbone has this rank; with 0 only encoders and heads are trained."""
    lora_alpha: float = 32.0
    """The adapter counts lora-alpha / lora-rank."""
    lora_targets: tuple[str, ...] = ()
    """It adapts these modules; by default those of the model's family, queries and values."""
    lora_dropout: float = 0.05
    """This share of its inputs is dropped."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """A pretrained backbone's frozen weights have this type; with auto they stay as they are stored."""
    recompute: bool = False
    """It computes the activations within layers twice instead of keeping them: less memory, a third more time."""
    tokenisation: Literal["", "fused", "netllm"] = ""
    """A step is one token, or one a modality; by default the recipe says it."""

    def lesson(self, device: str) -> Lesson:
        options, pools, recipe = self.recipe_options(), [Pool(folder) for folder in self.pool], self.training_recipe()
        clone = self.recipe == "netllm"
        if clone and not pools:
            raise ValueError(
                f"recipe netllm learns from pools: give --pool, made by distill collect --task {self.task}"
            )
        backbone, net_class = self._backbone(device), part_of(self.task, "net")
        arguments = dict(recipe.net)
        if clone:
            arguments = {"tokenisation": "netllm", "returns": not net_class.continuous}
        arguments |= recipe.net_of_data(options, pools)
        if self.tokenisation:
            arguments["tokenisation"] = self.tokenisation
        net = net_class(backbone.d_model, **arguments)
        timesteps, context = 0, recipe.context
        if clone:
            timesteps, context = (0, 1) if net.continuous else (TIMESTEPS, behaviour_cloning.CONTEXT)
        model = SequenceModel(net, backbone, timesteps, context).to(device)
        around = f"`{self.backbone}` with a LoRA adapter" if self.backbone else "a small Llama trained from scratch"
        found = Lesson(
            model,
            recipe.source(net, pools, self.seed, options),
            recipe.phases(options, pools),
            self.optimisation(),
            identity={
                "recipe": self.recipe,
                "options": asdict(options),
                "model": {**model.config(), "backbone": backbone.config()},
            },
            data=recipe.describe(options, pools),
            summary=f"A sequence policy for {tasks.find(self.task).title} around {around}, recipe `{self.recipe}`. "
            "Design, assumptions and comparisons: docs/netllm.md.",
        )
        if clone:
            found.scale = returns_scale(pools) if net.returns else (0.0, 1.0)
            found.source = behaviour_cloning.Cloning(pools, net, found.scale, context, found.source.validate)
            found.phases = behaviour_cloning.phases(pools)
            names = ", ".join(f"`{name}`" for pool in pools for name in pool.policies)
            found.data = f"It imitates {names}, {sum(map(len, pools)):,} episodes. Chosen on validation data."
        elif recipe.initialise is not None:
            found.initialise = partial(recipe.initialise, net, options, pools)
        return found

    def _backbone(self, device: str) -> ScratchBackbone | AdaptedBackbone:
        backbone: ScratchBackbone | AdaptedBackbone = small_llama()
        if self.backbone:
            targets = list(self.lora_targets) or None
            backbone = load_backbone(
                self.backbone, self.dtype, self.lora_rank, self.lora_alpha, targets, self.lora_dropout, device
            )
        if self.recompute:
            backbone.checkpoint_activations()
        return backbone
