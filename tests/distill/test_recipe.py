"""What is known of each task: where it stands, and that no command needs more."""

import subprocess
import sys
from dataclasses import fields, is_dataclass

import pytest

from agents.registry import part_of
from distill.recipe import Recipe, TrainingRecipe, recipe, tasks_with, training_recipe
from netenvs import tasks

LEARNED = tasks_with("training")


def test_tasks_without_a_recipe_can_be_collected_and_not_learned():
    assert recipe("vp-streaming") == Recipe()
    with pytest.raises(ValueError, match=r"^vp-streaming has no recipe to learn from; tasks with one: abr, cjs, vp$"):
        training_recipe("vp-streaming")
    with pytest.raises(ValueError, match=r"^unknown task 'abrr'; did you mean 'abr'\? known: abr, "):
        recipe("abrr")


def test_lists_of_tasks_follow_from_recipes():
    assert tasks_with("training") == ["abr", "cjs", "vp"] and tasks_with("expert_values") == ["abr"]


@pytest.mark.parametrize("task", LEARNED)
def test_recipes_are_whole(task):
    found = training_recipe(task)
    assert isinstance(found, TrainingRecipe) and is_dataclass(found.options)
    options = found.options()
    known = {field.name for field in fields(found.options)}
    assert set(found.without_improvement) <= known and set(found.phase_options) & known <= known
    assert found.phases(options, []) and found.describe(options, [])
    net = part_of(task, "net")(16, **found.net)
    assert net.task == task
    assert found.student is not None
    assert {phase.name for phase in found.student.phases} <= set(found.student.source_phases)
    for arguments in found.student.encoders.values():
        assert set(arguments) <= set(net.config())


@pytest.mark.parametrize("task", tasks.BUILT_IN)
def test_collecting_needs_no_torch(task):
    code = (
        "import sys; from distill.commands.collect import Collect; from distill.recipe import recipe; "
        f"recipe({task!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
