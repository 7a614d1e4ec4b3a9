"""An environment's options: one record, the table in its docstring and the signature say the same."""

import ast
import dataclasses
import inspect

import gymnasium as gym
import pytest
from gymnasium.envs.registration import load_env_creator

from netenvs import tasks
from netenvs.options import EnvironmentOptions, takes

TASKS = tasks.BUILT_IN


def table_of(docstring: str) -> dict[str, object]:
    """Option -> default of the table below ``## Arguments``; continued lines have an empty first cell."""
    section = inspect.cleandoc(docstring).partition("## Arguments\n")[2].partition("\n## ")[0]
    rows = [[cell.strip().strip("`") for cell in line.split("|")[1:3]] for line in section.splitlines() if "|" in line]
    return {name: ast.literal_eval(default) for name, default in rows[2:] if name}


def fields_of(env_id: str) -> dict[str, object]:
    """Option -> default of the record that the environment keeps."""
    options = gym.make(env_id).unwrapped.options
    assert isinstance(options, EnvironmentOptions)
    return {field.name: field.default for field in dataclasses.fields(options)}


@pytest.mark.parametrize("task", TASKS)
def test_record_table_and_signature_agree(task):
    record = tasks.find(task)
    options = fields_of(record.env_id)
    single, vector = load_env_creator(record.entry_point), load_env_creator(record.vector_entry_point)
    assert list(table_of(single.__doc__).items()) == list(options.items())
    parameters = inspect.signature(single).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == {**options, "render_mode": None}
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters.values())
    of_vector = inspect.signature(vector).parameters
    assert {name: of_vector[name].default for name in options} == options
    assert len(of_vector) == len(options) + 4


@pytest.mark.parametrize("task", TASKS)
def test_the_record_is_frozen_keyword_only_and_shared(task):
    env_id = tasks.find(task).env_id
    options = gym.make(env_id).unwrapped.options
    assert gym.make_vec(env_id, num_envs=2).options == options
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(options, dataclasses.fields(options)[0].name, None)
    with pytest.raises(TypeError, match="positional"):
        type(options)("synthetic")


@pytest.mark.parametrize("task", TASKS)
def test_an_unknown_option_is_one_line_with_the_nearest_one(task):
    record = tasks.find(task)
    wrong = record.dataset_option[:-1]
    for make in (gym.make, gym.make_vec):
        with pytest.raises(ValueError, match=f"^unknown option '{wrong}'; did you mean '{record.dataset_option}'") as e:
            make(record.env_id, **{wrong: "synthetic"})
        assert "\n" not in str(e.value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sized(EnvironmentOptions):
    size: int = 3
    name: str = "small"


def test_changes_of_a_record():
    assert Sized.of({"size": 4}) == Sized(size=4)
    assert Sized.of({"size": 4}, Sized(name="large")) == Sized(size=4, name="large")
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'sizes'"):  # as libraries that try one expect
        Sized.of({"sizes": 3})
    with pytest.raises(ValueError, match="unknown option 'sizes'; did you mean 'size'"):
        Sized.of({"sizes": 4})


def test_a_signature_of_one_s_own_stays():
    class Base:
        @takes(Sized)
        def __init__(self, rows=1, *, render_mode=None, **options):
            self.options = Sized.of(options)

    class Own(Base):
        def __init__(self, colour="red"):
            super().__init__(size=5)

    assert str(inspect.signature(Base)) == ("(rows=1, *, size: int = 3, name: str = 'small', render_mode=None)")
    assert list(inspect.signature(Own).parameters) == ["colour"] and Own().options.size == 5
