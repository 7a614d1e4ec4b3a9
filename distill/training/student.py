"""A small model that is to follow a large one."""

from __future__ import annotations

from collections.abc import Mapping

from agents.sequence.backbone import Backbone
from agents.sequence.model import SequenceModel


def make_student(teacher: SequenceModel, backbone: Backbone, encoders: Mapping[str, int]) -> SequenceModel:
    """A model with random weights that reads and decides what ``teacher`` does, around another backbone.

    ``encoders``: arguments of encoders and heads that differ from the teacher's, see
    ``distill.recipe.StudentRecipe``.
    """
    net = type(teacher.task)(backbone.d_model, **{**teacher.task.config(), **encoders})
    timesteps = 0 if teacher.timestep is None else teacher.timestep.num_embeddings
    return SequenceModel(net, backbone, timesteps, teacher.context)
