"""Modules under the names that documentation once gave them."""

import importlib
import sys

import pytest

import agents
import benchmarks
import distill
import netenvs.cjs
from netenvs.loading import named

MOVED = {
    old: now
    for finder in sys.meta_path
    if type(finder).__module__ == "netenvs.moved"
    for old, now in finder.modules.items()
}


def test_packages_have_said_what_moved():
    assert {old.partition(".")[0] for old in MOVED} == {
        package.__name__ for package in (netenvs, agents, benchmarks, distill)
    }


@pytest.mark.parametrize("old", sorted(MOVED))
def test_what_was_there_is_there(old, monkeypatch):
    monkeypatch.delitem(sys.modules, old, raising=False)
    with pytest.warns(DeprecationWarning, match=f"^{old} has moved to "):
        found = importlib.import_module(old)
    monkeypatch.delitem(sys.modules, old)
    if isinstance(MOVED[old], str):
        now = importlib.import_module(MOVED[old])
        own = {name: value for name, value in vars(now).items() if getattr(value, "__module__", "") == now.__name__}
    else:
        own = {name: named(target) for name, target in MOVED[old].items()}
    assert own and all(getattr(found, name) is value for name, value in own.items())


def test_what_was_never_there_is_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("agents.cjs.nothing")
