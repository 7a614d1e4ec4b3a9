"""What is known of a task on this floor: found by its name, whoever brings it."""

import gymnasium as gym
import numpy as np
import pytest

from agents.observations import Layout, from_columns, to_columns
from agents.policy import Policy, PolicyError, load_policy
from agents.pretrained import CHECKPOINTS
from agents.registry import (
    AgentTask,
    Entry,
    agent_task,
    observation_options,
    part_of,
    registered,
    registered_by_task,
    tasks_with,
)
from agents.rollout import environment_options
from agents.sequence.net import TaskNet
from netenvs import tasks


class Still(Policy):
    """Does nothing."""

    def act(self, observation, info):
        return 0


class Net(TaskNet):
    task = "toy-parts"


LAYOUT = Layout(
    parts=frozenset({"high", "low"}),
    to_columns=lambda observations: {"obs/both": np.stack([observations["high"], observations["low"]], axis=1)},
    from_columns=lambda columns, space: {"high": columns["obs/both"][:, 0], "low": columns["obs/both"][:, 1]},
)
TASK = AgentTask(
    policies={"still": Entry(f"{__name__}:Still")},
    observation_options=frozenset({"zoom"}),
    layout=f"{__name__}:LAYOUT",
    net=f"{__name__}:Net",
)
BROKEN = AgentTask(policies={}, net="no.such:Net", layout="no.such:LAYOUT")


def foreign(name, part):
    return tasks.Task(
        name=name,
        title="a toy",
        env_id=f"toy/{name}-v0",
        entry_point="toy:Env",
        dataset_option="data",
        dataset_kind="data",
        datasets=list,
        parts={"agents": f"{__name__}:{part}"},
    )


@pytest.fixture
def toys(monkeypatch):
    """Tasks of other packages: one with all parts but a graph, one whose parts cannot be loaded, one without any."""
    found = {
        "toy-parts": foreign("toy-parts", "TASK"),
        "broken": foreign("broken", "BROKEN"),
        "lost": foreign("lost", "MISSING"),
        "unloadable": "task 'unloadable': cannot load toy:TASK: ImportError: no toy",
    }
    monkeypatch.setattr(tasks, "_foreign", lambda: found)


def test_a_foreign_task_brings_its_parts(toys):
    assert isinstance(load_policy("still", "toy-parts"), Still) and list(registered("toy-parts")) == ["still"]
    assert part_of("toy-parts", "net") is Net and part_of("toy-parts", "layout") is LAYOUT
    assert agent_task("toy-parts").capacity is None
    assert tasks_with("net") == ["abr", "cjs", "vp", "broken", "toy-parts"]
    assert tasks_with("graph") == ["abr", "cjs", "vp"]


@pytest.mark.parametrize(
    ("task", "part", "message"),
    [
        ("toy-parts", "graph", "toy-parts has no exported graph; tasks with one: abr, cjs, vp"),
        ("vp-streaming", "net", "vp-streaming has no sequence net; tasks with one: abr, cjs, vp, broken, toy-parts"),
        ("broken", "net", "task 'broken': cannot load its sequence net no.such:Net: ModuleNotFoundError: No module .*"),
        ("lost", "net", "task 'lost': cannot load .*:MISSING: AttributeError: .*"),
        ("unloadable", "net", "task 'unloadable': cannot load toy:TASK: ImportError: no toy"),
        ("toy-part", "net", "unknown task 'toy-part'.*toy-parts.*"),
    ],
)
def test_parts_that_are_not_there_are_one_line(toys, task, part, message):
    with pytest.raises(PolicyError, match=f"^{message}$") as error:
        part_of(task, part)
    assert "\n" not in str(error.value)


def test_policies_are_found_whatever_is_wrong_with_other_tasks(toys):
    assert load_policy("bba").name == "bba"
    assert load_policy(str(CHECKPOINTS / "abr-pensieve")).name == "abr-pensieve"
    assert "lost" not in registered_by_task() and list(registered_by_task("abr")) == ["abr"]


def test_parts_of_the_tasks_that_are_built_in():
    for part in ("layout", "net", "graph"):
        for task in tasks_with(part):
            assert part_of(task, part) is not None
    assert agent_task("abr").capacity == 48
    for task in tasks_with("net"):
        assert issubclass(part_of(task, "net"), TaskNet) and part_of(task, "net").task == task


def test_a_foreign_task_lays_out_its_observations(toys):
    observations = {"low": np.zeros((2, 3), dtype=np.float32), "high": np.ones((2, 3), dtype=np.float32)}
    columns = to_columns(observations)
    assert list(columns) == ["obs/both"] and columns["obs/both"].shape == (2, 2, 3)
    space = gym.spaces.Dict(low=gym.spaces.Box(0, 1, (3,)), high=gym.spaces.Box(0, 1, (3,)))
    back = from_columns(columns, space)
    assert all(np.array_equal(back[name], observations[name]) for name in observations)
    assert list(to_columns({"low": observations["low"]})) == ["obs/low"], "another kind of observation"


def test_a_foreign_task_says_what_policies_may_ask_for(toys):
    policy = Still()
    policy.observation_options = {"zoom": 2}
    assert environment_options(policy, {"data": "x"}) == {"data": "x", "zoom": 2}
    policy.observation_options = {"speed": 2}
    with pytest.raises(PolicyError, match=r"may not set speed: .*; allowed: history, observation, saliency, zoom$"):
        environment_options(policy, None)
    assert "zoom" in observation_options()


def test_only_the_tasks_that_are_there_are_asked():
    assert observation_options() == {"history", "observation", "saliency"}
