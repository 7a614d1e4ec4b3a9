"""What importing costs, and which package may import which."""

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import gymnasium as gym
import pytest
from gymnasium.envs.registration import registry

import netenvs

ROOT = Path(__file__).parents[2]
ORDER = ("netenvs", "agents", "distill", "benchmarks")  # each may import those before it
HEAVY = ("torch", "transformers", "stable_baselines3", "torch_geometric", "matplotlib", "numba", "pooch")


def loaded_by(statement: str) -> set[str]:
    """Heavy packages that a fresh interpreter has loaded after ``statement``."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(run.stdout))


def test_importing_netenvs_loads_no_heavy_package():
    assert loaded_by("import netenvs") == set()


@pytest.mark.parametrize(("env_id", "action"), [("netenvs/ABR-v0", "0"), ("netenvs/CJS-small-v0", "[1, 0]")])
def test_playing_loads_only_numba(env_id, action):
    play = f"import gymnasium, netenvs; e = gymnasium.make('{env_id}'); e.reset(); e.step({action})"
    assert loaded_by(play) <= {"numba"}


def test_rules_load_only_numba():
    play = (
        "from agents.policy import load_policy; from agents.rollout import play, EpisodeSpec\n"
        "for name in ('bba', 'robust-mpc'): play(load_policy(name), 'netenvs/ABR-v0', [EpisodeSpec(0)])"
    )
    assert loaded_by(play) <= {"numba"}


def test_the_four_packages_stand_under_one_root():
    assert {Path(import_module(name).__file__).parents[1] for name in ORDER} == {ROOT}


def imports_of(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found.add(node.module)
    return found


@pytest.mark.parametrize("package", ORDER)
def test_imports_point_one_way(package):
    later = ORDER[ORDER.index(package) + 1 :]
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        tops = {name.split(".")[0] for name in imports_of(file)}
        assert not tops & set(later), f"{file} imports {tops & set(later)}"


def test_one_module_of_netenvs_imports_torch_and_none_imports_it():
    adapter = ROOT / "netenvs" / "wrappers" / "sb3.py"
    for file in (ROOT / "netenvs").rglob("*.py"):
        names = imports_of(file)
        if file != adapter:
            assert not {name.split(".")[0] for name in names} & {"torch", "stable_baselines3"}, file
            assert not any(name.startswith("netenvs.wrappers") for name in names), file


def task_folder(path: Path) -> str:
    """``netenvs`` or a folder in it; a folder further down, as of kernels, is one room with the one it is in."""
    while not path.is_dir():
        path = path.parent
    return ".".join(path.relative_to(ROOT).parts[:2])


def test_no_circle_of_folders():
    """No folder of netenvs imports one that imports it, by way of others or not."""
    arrows: dict[str, set[str]] = {}
    for file in (ROOT / "netenvs").rglob("*.py"):
        names = {name for name in names_imported_by(file) if name.split(".")[0] == "netenvs"}
        found = {task_folder(ROOT / Path(*name.split("."))) for name in names}
        arrows.setdefault(task_folder(file), set()).update(found - {task_folder(file)})
    assert "netenvs.datasets" in arrows["netenvs.cjs"]
    while leaves := [folder for folder, others in arrows.items() if not others & arrows.keys()]:
        for folder in leaves:
            del arrows[folder]
    assert not arrows, f"circles among {arrows}"


def names_imported_by(file: Path) -> set[str]:
    """Modules, and what is imported from them, which may be modules, too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_dynamics_and_environment_are_apart():
    """kernel.py knows no Gymnasium; env.py is the only one of the task that does."""
    for task in ("abr", "cjs"):
        for file in (ROOT / "netenvs" / task).rglob("*.py"):
            tops = {name.split(".")[0] for name in imports_of(file)}
            assert ("gymnasium" in tops) == (file.name == "env.py"), file


def test_registering_twice_is_safe():
    before = dict(registry)
    netenvs.register_envs()
    assert dict(registry) == before
    assert all(isinstance(gym.spec(env_id).entry_point, str) for env_id in before if env_id.startswith("netenvs/"))
    changed = gym.spec("netenvs/ABR-v0")
    assert changed is registry["netenvs/ABR-v0"], "an id that exists is left alone"


def test_gymnasium_finds_the_module_by_itself():
    code = "import gymnasium; print(gymnasium.make('netenvs:netenvs/ABR-v0').action_space)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "Discrete(6)"


def test_typing_marker_and_version():
    assert (ROOT / "netenvs" / "py.typed").is_file()
    assert netenvs.__version__.count(".") == 2
