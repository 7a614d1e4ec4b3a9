"""Command lines of trainings."""

import ast
from pathlib import Path

import pytest

import agents

ROOT = Path(agents.__file__).parent
MODULES = [path for path in sorted(ROOT.rglob("*.py")) if "tyro.cli(" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_usage_is_the_command_that_is_typed(path):
    """Not the path of the file, which is what tyro shows by itself."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    module = ".".join(("agents", *path.relative_to(ROOT).with_suffix("").parts))
    programs = [
        {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg == "prog"}
        for call in calls
        if ast.unparse(call.func) == "tyro.cli"
    ]
    assert programs == [{"prog": f"python -m {module}"}] * len(programs) != []
