"""Finding and building policies: every way in, and one line for everything that goes wrong."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from agents import registry
from agents.abr.bba import BBA
from agents.policy import BatchPolicy, Policy, PolicyError, grow_rows, load_policy
from agents.registry import Entry, agent_task, registered
from netenvs import datasets, tasks

OWN = """
from dataclasses import dataclass
from agents.policy import Policy

@dataclass
class Settings:
    level: int = 0

class Level(Policy):
    def __init__(self, level=0):
        if level < 0:
            raise ValueError("level must be 0 or more")
        self.settings = Settings(level)

    def act(self, observation, info):
        return self.settings.level
"""


@pytest.fixture
def write(tmp_path):
    def file(text: str, name: str = "own.py") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return file


# --- the base class ---


def test_defaults():
    class Plain(Policy):
        pass

    class Named(Policy):
        name = "nice name"

    class Child(Named):
        pass

    assert (Plain.name, Named.name, Child.name) == ("Plain", "nice name", "Child")
    plain = Plain()
    assert plain.observation_options == {} and not plain.privileged and not plain.sequential
    assert plain.parameters is None and plain.bytes is None
    assert plain.reset() is None and plain.reset(seed=3) is None and plain.finish(None, {}) is None
    with pytest.raises(NotImplementedError, match="Plain does not define act"):
        plain.act(None, {})


def test_one_decision_is_a_batch_of_one():
    seen = []

    class Batch(BatchPolicy):
        def reset_rows(self, rows, seeds):
            seen.append((rows.tolist(), seeds))

        def act_batch(self, observations, infos):
            seen.append((observations, infos))
            return np.array([4])

    batch = Batch()
    batch.reset(seed=9)
    assert seen.pop() == ([0], [9])
    assert batch.act(np.ones((6, 3)), {"buffer_s": 1.5, "flag": True, "count": np.int64(3), "video": "v"}) == 4
    observations, infos = seen.pop()
    assert observations.shape == (1, 6, 3)
    assert {k: v.tolist() for k, v in infos.items() if k != "video"} == {
        "buffer_s": [1.5],
        "flag": [True],
        "count": [3],
        "row": [0],
    }
    assert infos["video"] == "v"
    batch.act({"a": np.zeros(2), "b": np.zeros((3, 4))}, {})
    assert {k: v.shape for k, v in seen.pop()[0].items()} == {"a": (1, 2), "b": (1, 3, 4)}
    with pytest.raises(NotImplementedError, match="act_batch"):
        BatchPolicy().act(np.zeros(1), {})


def test_grow_rows():
    state = np.ones((2, 3))
    assert grow_rows(state, np.array([0, 1])) is state
    grown = grow_rows(state, np.array([4]))
    assert grown.shape == (5, 3) and grown.sum() == 6
    assert grow_rows(state, np.array([], dtype=int)) is state


# --- by name ---


@pytest.mark.parametrize(
    ("task", "name"), [(task, name) for task in tasks.BUILT_IN for name in sorted(registered(task))]
)
def test_every_registered_policy_can_be_built(task, name):
    dataset = registered(task)[name].dataset
    if dataset and not datasets.installed(dataset):
        pytest.skip(f"data set {dataset} is not installed (python -m netenvs.datasets install {dataset})")
    policy = load_policy(name, task)
    assert isinstance(policy, Policy) and policy.name == name
    if sum(name in registered(other) for other in tasks.BUILT_IN) == 1:
        assert type(load_policy(name)) is type(policy), "a name that exists once needs no task"


def test_options_in_brackets_and_as_keywords():
    policy = load_policy("bba( reservoir_s=3, cushion_s=7.5 )", "abr")
    assert (policy.reservoir_s, policy.cushion_s, policy.name) == (3.0, 7.5, "bba(reservoir_s=3,cushion_s=7.5)")
    assert load_policy("bba(reservoir_s=3)", reservoir_s=4).reservoir_s == 4.0


def test_ambiguous_names_need_a_task(monkeypatch):
    monkeypatch.setitem(agent_task("cjs").policies, "bba2", Entry("agents.abr.bba:BBA"))
    with pytest.raises(PolicyError, match="policy 'random' exists for abr, cjs; say which task"):
        load_policy("random")
    assert load_policy("random", "cjs").name == "random"
    assert load_policy("bba2").name == "bba2"


def test_entry_points(monkeypatch):
    points = [
        EntryPoint("abr.careful", "agents.abr.bba:BBA", registry.ENTRY_POINT_GROUP),
        EntryPoint("abr.oracle", "no.such:Thing", registry.ENTRY_POINT_GROUP),
        EntryPoint("abr.lost", "no.such:Thing", registry.ENTRY_POINT_GROUP),
        EntryPoint("vp.other", "no.such:Thing", registry.ENTRY_POINT_GROUP),
        EntryPoint("nonsense", "no.such:Thing", registry.ENTRY_POINT_GROUP),
    ]
    built_in = registered("abr")
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "netenvs.policies" else [])
    found = registered("abr")
    assert set(found) - set(built_in) == {"careful", "lost"}
    assert found["oracle"] == built_in["oracle"], "built-in names cannot be taken over"
    careful = load_policy("careful(reservoir_s=1)")
    assert isinstance(careful, BBA) and careful.reservoir_s == 1.0
    with pytest.raises(PolicyError, match=r"no\.such"):
        load_policy("lost")


def test_a_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bba").mkdir()
    assert isinstance(load_policy("bba"), BBA)
    with pytest.raises(PolicyError, match=r"config\.json"):
        load_policy("./bba")


# --- by file and module ---


def test_files(write):
    path = write(OWN)
    for spec in (f"{path}:Level(level=2)", f"{path}(level=2)"):
        policy = load_policy(spec)
        assert policy.act(None, {}) == 2 and policy.name == "Level"
    assert load_policy(f"{path}:Level", level=3).act(None, {}) == 3


def test_files_beside_the_caller(write, tmp_path, monkeypatch):
    write(OWN)
    monkeypatch.chdir(tmp_path)
    assert load_policy("own.py:Level").act(None, {}) == 0
    assert load_policy("./own.py").act(None, {}) == 0


def test_imported_policies_do_not_count_as_the_files_own(write):
    path = write("from agents.abr.bba import BBA\n" + OWN)
    assert load_policy(path).name == "Level"
    assert load_policy(f"{path}:BBA").name == "BBA"


def test_modules():
    assert isinstance(load_policy("agents.abr.bba:BBA(reservoir_s=1)"), BBA)
    assert isinstance(load_policy("agents.abr.bba:"), BBA)


def test_checkpoint_folders(tmp_path, monkeypatch):
    class Learned(Policy):
        @classmethod
        def from_pretrained(cls, folder, scale=1):
            policy = cls()
            policy.weights = json.loads((Path(folder) / "weights.json").read_text()) * scale
            return policy

    monkeypatch.setattr("agents.abr.random_and_constant.Learned", Learned, raising=False)
    monkeypatch.setitem(agent_task("abr").policies, "learned", Entry("agents.abr.random_and_constant:Learned"))
    folder = tmp_path / "run-3"
    folder.mkdir()
    (folder / "config.json").write_text('{"policy": "learned"}')
    with pytest.raises(PolicyError, match="FileNotFoundError"):
        load_policy(str(folder))
    (folder / "weights.json").write_text("7")
    policy = load_policy(f"{folder}(scale=2)", "abr")
    assert (policy.weights, policy.name) == (14, "run-3")
    (folder / "config.json").write_text('{"policy": "bba"}')
    with pytest.raises(PolicyError, match="bba is a rule, it has no checkpoints"):
        load_policy(str(folder))
    for config in ("{}", "[]", "not json", '"policy"'):
        (folder / "config.json").write_text(config)
        with pytest.raises(PolicyError, match="must name its 'policy'"):
            load_policy(str(folder))


def test_checkpoint_folders_of_another_task(tmp_path, monkeypatch):
    class Learned(Policy):
        task = ""

        @classmethod
        def from_pretrained(cls, folder):
            return cls()

    classes = {task: type("Learned", (Learned,), {"task": task}) for task in ("abr", "cjs")}
    for task, cls in classes.items():
        monkeypatch.setattr(f"agents.{task}.task.Learned", cls, raising=False)
        monkeypatch.setitem(agent_task(task).policies, "learned", Entry(f"agents.{task}.task:Learned"))
    folder = tmp_path / "run"
    folder.mkdir()

    def message(given, /, **config):
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(PolicyError) as caught:
            load_policy(str(folder), given)
        return str(caught.value)

    other = f"policy {str(folder)!r}: weights of"
    assert message("vp", policy="pensieve") == f"{other} pensieve, a policy of abr, not of vp"
    assert message("vp", policy="learned") == f"{other} learned, a policy of abr, cjs, not of vp"
    assert message(None, policy="learned") == (
        f"{folder / 'config.json'}: policy 'learned' exists for abr, cjs; say which task"
    )
    assert message("abr", policy="learned", task="cjs") == f"{other} learned, a policy of cjs, not of abr"
    assert message(None, policy="pensieve", task="vp").startswith(
        f"{folder / 'config.json'}: unknown policy 'pensieve'"
    )
    for wrong in ("cjr", ["cjs"], 3):
        assert message(None, policy="learned", task=wrong).startswith(f"{folder / 'config.json'}: unknown task")
    for given in ("cjs", None):
        (folder / "config.json").write_text('{"policy": "learned", "task": "cjs"}')
        assert load_policy(str(folder), given).task == "cjs"
    (folder / "config.json").write_text('{"policy": "learned"}')
    assert load_policy(str(folder), "abr").task == "abr"


# --- what goes wrong ---

MANY = OWN + "\nclass Other(Policy):\n    pass\n"
BAD_FILES = {
    "no such class": (OWN, ":Lever", "no class 'Lever' there; policies in it: Level"),
    "two classes": (MANY, "", "say which class, .*; policies in it: Level, Other"),
    "no class": ("x = 1\n", "", "policies in it: none"),
    "not a policy": ("class Thing:\n    pass\n", ":Thing", "must be a subclass of agents.policy.Policy"),
    "not a class": ("thing = 3\n", ":thing", "must be a subclass"),
    "syntax": ("def broken(:\n", ":X", "SyntaxError"),
    "import": ("import no_such_package\n", ":X", "ModuleNotFoundError: No module named 'no_such_package'"),
    "raises": ("raise RuntimeError('two\\nlines')\n", ":X", "RuntimeError: two lines"),
    "exits": ("import sys\nsys.exit('bye')\n", ":X", "SystemExit: bye"),
    "unknown option": (OWN, ":Level(levle=1)", "unexpected keyword argument 'levle'; options: level"),
    "bad option": (OWN, ":Level(level=-1)", "level must be 0 or more"),
    "wrong type": (OWN, ":Level(level=high)", "level must be a number, not 'high'"),
    "missing option": (OWN.replace("level=0)", "level)"), ":Level", "missing a required argument: 'level'"),
    "bracket": (OWN, ":Level(level=1", "closing bracket"),
    "constructor": (OWN.replace("if level < 0", "if 1 // 0"), ":Level", "ZeroDivisionError"),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_bad_files_are_one_line(what, write):
    text, suffix, message = BAD_FILES[what]
    path = write(text)
    with pytest.raises(PolicyError, match=message) as caught:
        load_policy(path + suffix)
    assert "\n" not in str(caught.value)
    assert "own.py" in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("bbb", "unknown policy 'bbb'; did you mean 'bba'.*file.py:Name"),
        ("", "unknown policy ''"),
        ("missing.py", "there is no file or checkpoint folder missing.py"),
        ("no/such/folder", "there is no file or checkpoint folder no/such/folder"),
        ("no.such.module:X", "cannot import no.such.module: ModuleNotFoundError"),
        (":X", "cannot import"),
        ("agents.abr.bba:BBC", "no class 'BBC' there; policies in it: BBA"),
        ("agents.abr.bba:np", "must be a subclass"),
        ("bba(speed=3)", "unexpected keyword argument 'speed'; options: reservoir_s, cushion_s"),
        ("bba(reservoir_s=-1)", "policy 'bba': reservoir_s must be 0 or more"),
        ("bba(reservoir_s=x)", "policy 'bba': "),
        ("bba(3)", "policy 'bba.3.': option '3' is not of the form"),
        ("bola(gp=0)", "gp must be positive"),
        ("throughput(past_chunks=0)", "from 1 up, not 0"),
        ("throughput(safety=0)", "safety must be positive"),
        ("constant(quality=-1)", "level from 0 up"),
        ("constant(quality=1.5)", "level from 0 up"),
    ],
)
def test_bad_specs_are_one_line(spec, message):
    with pytest.raises(PolicyError, match=message) as caught:
        load_policy(spec)
    assert "\n" not in str(caught.value)


def test_unknown_tasks():
    for call in (lambda: load_policy("bba", "abx"), lambda: registered("abx")):
        with pytest.raises(PolicyError, match="unknown task 'abx'; did you mean 'abr'"):
            call()


def test_missing_weights_say_how_to_install_them(monkeypatch, tmp_path):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    with pytest.raises(PolicyError, match=r"netenvs\.datasets install genet-weights") as caught:
        load_policy("genet-released")
    assert "\n" not in str(caught.value)


def test_a_policy_may_be_reset_without_a_seed(genet_weights):
    env = gym.make("netenvs/ABR-v0")
    observation, info = env.reset(seed=0)
    for name in ("random", "netllm-mpc", "robust-mpc", "throughput", "genet-released(mode=sampled)"):
        policy = load_policy(name, "abr")
        policy.reset()
        assert policy.act(observation, info) in env.action_space


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("robust-mpc(robust=no)", "robust must be true or false, not 'no'"),
        ("constant(quality=true)", "quality must be a number, not True"),
        ("bba(reservoir_s=abc)", "reservoir_s must be a number, not 'abc'"),
        ("genet-released(model=3)", "model must be a name, not 3"),
    ],
)
def test_options_of_the_wrong_type(spec, message):
    with pytest.raises(PolicyError, match=message):
        load_policy(spec, "abr")


def test_a_drive_letter_is_no_separator():
    with pytest.raises(PolicyError, match=r"there is no file or checkpoint folder C:.Users.me.mine\.py"):
        load_policy("C:\\Users\\me\\mine.py:Cautious", "abr")
