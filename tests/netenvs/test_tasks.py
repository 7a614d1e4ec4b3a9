"""Tasks of other packages: what is wrong with one is a line, and hurts no other."""

import dataclasses
from importlib import metadata
from types import SimpleNamespace

import pytest

from netenvs import loading, tasks
from netenvs.tasks import Task

GOOD = Task(
    name="coin-toss",
    title="guessing a coin",
    env_id="toy/Coin-v0",
    entry_point="no.such:Coin",
    dataset_option="coin",
    dataset_kind="coin",
    datasets=list,
)
OTHER_NAME = dataclasses.replace(GOOD, name="toss")
UNDERSCORE = dataclasses.replace(GOOD, name="coin_toss")
TAKEN = dataclasses.replace(GOOD, name="taken", env_id="netenvs/ABR-v0")
WRONG_PART = dataclasses.replace(GOOD, parts={"agents": f"{__name__}:GOOD"})
NO_TASK = "a text"


@pytest.fixture
def install(monkeypatch):
    """Entry points of a package: by their names, what they point to in this module, or a target."""

    def install(**points):
        found = [
            metadata.EntryPoint(name.replace("__", "-"), value if ":" in value else f"{__name__}:{value}", tasks.GROUP)
            for name, value in points.items()
        ]
        monkeypatch.setattr(tasks, "entry_points", lambda group: found)
        tasks._foreign.cache_clear()

    yield install
    tasks._foreign.cache_clear()


def test_a_task_is_found_by_its_name(install):
    install(coin__toss="GOOD")
    assert tasks.find("coin-toss") is GOOD and tasks.names() == [*tasks.BUILT_IN, "coin-toss"]
    assert tasks.task_of("toy/Coin-v3") is GOOD


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "coin__toss",
            "OTHER_NAME",
            "it must be a netenvs.tasks.Task named 'coin-toss', .*; the one there is named 'toss'",
        ),
        ("coin__toss", "NO_TASK", "it must be a netenvs.tasks.Task named 'coin-toss', .*; it is none"),
        ("coin_toss", "UNDERSCORE", "its name must be in lower case with hyphens, such as load-balancing"),
        ("taken", "TAKEN", "environment netenvs/ABR-v0 is that of task 'abr'"),
        ("coin__toss", "exits:TASK", "SystemExit: the plug-in exits"),
        ("coin__toss", "no.such:TASK", "No module named 'no'"),
    ],
)
def test_a_wrong_one_is_a_line_and_hurts_no_other(name, value, message, install, tmp_path, monkeypatch):
    (tmp_path / "exits.py").write_text("import sys\nsys.exit('the plug-in exits')\n")
    monkeypatch.syspath_prepend(tmp_path)
    install(**{name: value})
    with pytest.warns(UserWarning, match=message):
        assert tasks.names()[:4] == list(tasks.BUILT_IN)
    assert tasks.find("abr").env_id == "netenvs/ABR-v0" and tasks.task_of("netenvs/ABR-v0") is tasks.find("abr")
    with pytest.raises(ValueError, match=f"^task '{name.replace('__', '-')}': cannot load .*{message}") as error:
        tasks.find(name.replace("__", "-"))
    assert "\n" not in str(error.value)


def test_a_part_of_another_kind_is_a_line(install, monkeypatch):
    install(coin__toss="WRONG_PART")
    with pytest.raises(
        ValueError, match=r"^task 'coin-toss': cannot load .*:GOOD: TypeError: it must be a builtins.int$"
    ):
        tasks.part("coin-toss", "agents", "", int)
    assert tasks.part("coin-toss", "distill", "", int) is None


def test_an_environment_that_cannot_be_loaded_is_a_line(install):
    install(coin__toss="GOOD")
    with pytest.raises(
        ValueError, match=r"^task 'coin-toss': cannot load no\.such:Coin: ModuleNotFoundError: No module "
    ):
        tasks.find("coin-toss").environment_options(None, ["coin=fair"])


def test_a_package_whose_entry_points_cannot_be_read_is_left_out(monkeypatch):
    point = metadata.EntryPoint("abr.careful", "careful:Careful", "netenvs.policies")

    class Damaged:
        @property
        def metadata(self):
            return {"Name": "damaged"}

        @property
        def entry_points(self):
            raise TypeError("Pair.__new__() missing 1 required positional argument: 'value'")

    def all_or_none(group):
        raise TypeError("Pair.__new__() missing 1 required positional argument: 'value'")

    whole = SimpleNamespace(entry_points=metadata.EntryPoints([point]))
    monkeypatch.setattr(metadata, "entry_points", all_or_none)
    monkeypatch.setattr(metadata, "distributions", lambda: [Damaged(), whole])
    with pytest.warns(UserWarning, match="package damaged: its entry points cannot be read; reinstall it"):
        assert loading.entry_points("netenvs.policies") == [point]
