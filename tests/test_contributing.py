"""The recipes of CONTRIBUTING.md, followed to the letter in a package of one's own."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest
from fresh import python

from netenvs import tasks

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Recipe(NamedTuple):
    """One section."""

    files: dict[str, str]
    """By path: a block whose paragraph before ends in the path and a colon."""
    entry_points: str
    """As an installed package has them."""
    commands: list[list[str]]
    """Words after ``python``."""


def recipe(section: str) -> Recipe:
    """Files, entry points and commands of a section."""
    files, points, commands = {}, "", []
    end = 0
    for match in FENCED.finditer(section):
        said = section[end : match.start()]
        path = re.search(r"`([\w./]+)`:\s*$", said)
        end = match.end()
        if match[1] == "":
            commands += [shlex.split(line)[1:] for line in match[2].splitlines()]
        elif match[1] == "toml":
            group = re.search(r'\[project\.entry-points\."(.+)"\]', match[2])[1]
            points += f"[{group}]\n" + re.sub(r'"', "", match[2].partition("\n")[2])
        else:
            assert path, f"which file is this? {match[2]}"
            files[path[1]] = match[2]
    return Recipe(files, points, commands)


RECIPES = {
    title: recipe(section)
    for title, section in re.findall(r"^## Add an? (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
}


def test_recipes():
    assert list(RECIPES) == [
        "policy",
        "scheduler",
        "task",
        "environment option",
        "backbone",
        "data set",
        "loss",
    ]


@pytest.mark.parametrize("name", [name for name, found in RECIPES.items() if found.commands])
def test_followed(name, tmp_path):
    """Its files are written, its entry points installed, its commands run, in one process."""
    found = RECIPES[name]
    for path, text in found.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "mine" / "__init__.py").touch()
    about = tmp_path / "mine-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(found.entry_points)
    script = "import runpy, sys\n" + "".join(f"run({words!r})\n" for words in found.commands)
    (tmp_path / "follow.py").write_text(RUN + script)
    done = python("follow.py", folder=tmp_path, paths=[ROOT])
    assert done.returncode == 0, done.stdout + done.stderr


RUN = '''
def run(words):
    """As ``python WORDS``."""
    assert words[0] == "-m"
    sys.argv = words[1:]
    try:
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        if stop.code:
            raise


'''


def test_places_that_are_named_are_there():
    """Files and folders of this repository, for every built-in task where it says so."""
    own = {path for found in RECIPES.values() for path in found.files}
    named = set(re.findall(r"`((?:netenvs|agents|distill|benchmarks|tests|docs|\.\w+)/[\w./<>]*)`", TEXT))
    wanted = set()
    for path in named - own:
        wanted |= {path.replace("<task>", tasks.module_name(task)) for task in tasks.BUILT_IN}
    missing = sorted(path for path in wanted if "<" not in path and not (ROOT / path).exists())
    assert missing == []
