"""Modules under the names that documentation once gave them."""

import importlib
import sys

import pytest

import agents
import benchmarks
import distill

FINDERS = [finder for finder in sys.meta_path if type(finder).__module__ == "netenvs.moved"]
NAMES = {old: new for finder in FINDERS for old, new in finder._names.items()}


def test_packages_have_said_what_moved():
    assert {old.partition(".")[0] for old in NAMES} == {agents.__name__, benchmarks.__name__, distill.__name__}


@pytest.mark.parametrize("old", sorted(NAMES))
def test_what_was_there_is_there(old, monkeypatch):
    module, name = (old, "") if old.rpartition(".")[2].islower() else old.rsplit(".", 1)
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.warns(DeprecationWarning, match=f"^{module} has moved to "):
        found = importlib.import_module(module)
    monkeypatch.delitem(sys.modules, module)
    if name:
        place, _, called = NAMES[old].rpartition(".")
        assert getattr(found, name) is getattr(importlib.import_module(place), called)
    else:
        now = importlib.import_module(NAMES[old])
        own = [one for one, value in vars(now).items() if getattr(value, "__module__", "") == now.__name__]
        assert own and all(getattr(found, one) is getattr(now, one) for one in own)


def test_what_was_never_there_is_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("agents.cjs.nothing")
