"""The house: which package may import which, and where the name of a task may stand."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from netenvs import tasks

ROOT = Path(__file__).parents[1]
FLOORS = ("netenvs", "agents", "distill", "benchmarks")  # each may import those before it
TABLE = Path("netenvs/tasks.py")


HELPED = ("netenvs.command_line", "distill.commands.training_command", "distill.commands.wrong_arguments")
"""Modules whose importers have options of command lines."""


def own_places(task: str) -> set[str]:
    """Folders, and files without their suffix, in which a task may be called by its name."""
    name = tasks.module_name(task)
    return {
        f"netenvs/{name}",
        f"agents/{name}",
        f"agents/sequence/nets/{name}",
        f"agents/export/{name}",
        f"distill/recipes/{name}",
        f"benchmarks/tasks/{name}",
        f"benchmarks/speed/{name}",
        f"benchmarks/speed/yardsticks/{name}",
        f"benchmarks/ablation/{name}",
        f"benchmarks/suite/{name}",
    }


OWN = set().union(*(own_places(task) for task in tasks.BUILT_IN))
IDS = {env_id for task in tasks.BUILT_IN for env_id in tasks.find(task).ids}
NAMES = {spelled for task in tasks.BUILT_IN for spelled in (task, tasks.module_name(task), *tasks.find(task).ids)}


def modules(*folders: str) -> list[Path]:
    return sorted(path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in modules(*FLOORS)}


def is_own(path: Path) -> bool:
    return any(place.as_posix() in OWN for place in (path.with_suffix(""), *path.parents))


def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imports_of(path: Path) -> set[str]:
    """Modules that a file imports, wherever in it; of ``from package import module`` the module alone."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: relative import"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in MODULES else node.module)
    return found


def names_a_task(node: ast.AST) -> bool:
    """As a text, alone or as a part of a dotted path or of an environment id; or as the key of an argument."""
    if isinstance(node, ast.keyword):
        return node.arg in NAMES
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return False
    dotted = DOTTED.fullmatch(node.value) and NAMES & {*re.split(r"[.:]", node.value)}
    return bool(node.value in NAMES or dotted or ENV_ID.search(node.value))


DOTTED = re.compile(r"\w+(\.\w+)+(:\w+)?")
ENV_ID = re.compile("|".join(re.escape(env_id.rpartition("-v")[0]) + r"-v\d" for env_id in sorted(IDS)))


def test_no_shared_file_calls_a_task_by_its_name():
    found = []
    for path in modules(*FLOORS):
        if not is_own(path) and path != TABLE and path.as_posix() not in KNOW_A_TASK:
            nodes = list(ast.walk(tree(path)))
            alone = {node.value for node in nodes if isinstance(node, ast.Expr)}  # docstrings have examples
            found += [
                f"{path}:{node.lineno}: {ast.unparse(node)}"
                for node in nodes
                if names_a_task(node) and node not in alone
            ]
    assert not found, "what is known of a task stands in its own files, see CONTRIBUTING.md:\n" + "\n".join(found)


def test_every_folder_of_modules_is_a_package():
    bare = {path.parent.as_posix() for path in modules(*FLOORS) if not (ROOT / path).with_name("__init__.py").exists()}
    assert not bare, f"without __init__.py: {sorted(bare)}"


def named_in(path: Path) -> set[str]:
    """Modules that are loaded by a name in a text, such as ``importlib.import_module("agents.policy")``."""
    texts = [node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Constant) and path != TABLE]
    return {text for text in texts if isinstance(text, str) and (text in FLOORS or DOTTED.fullmatch(text))}


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_point_down(floor):
    above = FLOORS[FLOORS.index(floor) + 1 :]
    for path in modules(floor):
        tops = {name.partition(".")[0] for name in imports_of(path) | named_in(path)}
        assert not tops & set(above), f"{path} imports {tops & set(above)}"


PARSERS = {"argparse", "optparse", "getopt", "click"}


def test_words_are_parsed_in_one_place():
    """Other modules say with tyro what options they have, and have them filled by ``netenvs.command_line``."""
    for name, path in MODULES.items():
        tops = {other.partition(".")[0] for other in imports_of(path)}
        assert not tops & PARSERS, f"{path} imports {tops & PARSERS}: use netenvs.command_line"
        calls = {ast.unparse(node) for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
        assert "tyro.cli" not in calls or name == "netenvs.command_line", f"{path} calls tyro.cli"
        assert "tyro" not in tops or name.partition(".")[0] != "netenvs" or name == "netenvs.command_line", path


def within(name: str, places: set[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def test_shared_sequence_code_knows_no_backbone_and_no_task():
    others = {"agents.netllm", "agents.mamba4net", *(f"agents.{tasks.module_name(task)}" for task in tasks.BUILT_IN)}
    for path in modules("agents/sequence"):
        if not is_own(path):
            known = {name for name in imports_of(path) if within(name, others | {"agents.sequence.nets"})}
            assert not known, f"{path} imports {known}"


KNOW_A_TASK = {
    "agents/__init__.py": "says where modules have moved to",
    "benchmarks/__init__.py": "says where modules have moved to",
    "netenvs/__init__.py": "says where modules have moved to",
    "netenvs/datasets/entries.py": "names the modules that read data sets",
    "agents/netllm/gpu_check.py": "measures a backbone on one task",
    "agents/netllm/memory.py": "measures a backbone on one task",
    "distill/losses.py": "a promised name, whose loss of paths is that of viewports",
    "benchmarks/ablation/cells.py": "studies one task",
    "benchmarks/ablation/command.py": "studies one task",
    "benchmarks/speed/yardsticks/link.py": "a link over bandwidth traces, which two tasks have",
}
"""Files outside a task's own that may import of them, or call one by its name, and why."""


def test_what_all_tasks_share_imports_nothing_of_one():
    for path in modules(*FLOORS):
        if not is_own(path) and path.as_posix() not in KNOW_A_TASK:
            known = {name for name in imports_of(path) if name in MODULES and is_own(MODULES[name])}
            assert not known, f"{path} imports {known}"


def test_the_student_does_not_know_the_teacher():
    for path in modules("agents/mamba4net"):
        known = {name for name in imports_of(path) if within(name, {"agents.netllm"})}
        assert not known, f"{path} imports {known}"


def test_no_module_imports_itself_by_a_detour():
    """No circle of modules, imports inside functions included."""
    ahead = {name: (imports_of(path) & set(MODULES)) - {name} for name, path in MODULES.items()}
    while leaves := {name for name, others in ahead.items() if not others}:
        ahead = {name: others - leaves for name, others in ahead.items() if name not in leaves}
    on_circles = {name for name in ahead if _reaches(name, name, ahead)}
    assert not on_circles, f"circles of imports: {sorted(on_circles)}"


def _reaches(start: str, goal: str, ahead: dict[str, set[str]]) -> bool:
    seen, left = set(), list(ahead[start])
    while left:
        name = left.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            left += ahead[name]
    return False


def test_help_of_an_option_is_a_line():
    """Where its docstring has a break, tyro prints one."""
    broken = []
    for path in [path for path in MODULES.values() if imports_of(path) & {*HELPED}]:
        for node in [node for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]:
            for field, said in pairwise(node.body):
                if isinstance(field, ast.AnnAssign) and isinstance(said, ast.Expr) and said.end_lineno > said.lineno:
                    broken.append(f"{path}: {ast.unparse(field.target)}")
    assert broken == []
