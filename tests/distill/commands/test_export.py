"""``python -m distill export``: files against PyTorch, alone and many episodes at once, and what is refused."""

import importlib
import json
import shutil
import sys

import numpy as np
import pytest
import torch
from small_students import save_student

import distill.commands.export
from agents.export.cjs import BEFORE_NAMES, CLUSTER_NAMES, JOB_NAMES, STAGE_NAMES
from agents.export.graph import NEW, TaskGraph
from agents.policy import load_policy
from agents.rollout import EpisodeSpec, play
from agents.sequence.nets.abr import LEVEL_FEATURES, SESSION_FEATURES
from distill.__main__ import main
from netenvs import tasks

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
NAMES = {
    "abr": {"session": SESSION_FEATURES, "levels": LEVEL_FEATURES},
    "cjs": {"stages": STAGE_NAMES, "jobs": JOB_NAMES, "clusters": CLUSTER_NAMES, "before": BEFORE_NAMES},
}


def words(task, folder, out, *more):
    return ["export", "--policy", str(folder), "--task", task, "--out", str(out), *more]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """By the name of a case: name, task, folder of its policy, file. Each takes seconds, so that it is made once."""
    for package in PACKAGES:
        pytest.importorskip(package, reason='needs pip install "netenvs[export]"')
    files = {}

    def make(name):
        if name not in files:
            folder = tmp_path_factory.mktemp("export")
            task = save_student(name, folder / "student")
            assert main(words(task, folder / "student", folder / "student.onnx")) == 0
            assert sorted(path.name for path in folder.iterdir()) == ["student", "student.onnx"]
            files[name] = name, task, folder / "student", folder / "student.onnx"
        return files[name]

    return make


@pytest.fixture(params=["abr", pytest.param("abr-netllm", marks=pytest.mark.slow), "cjs", "vp"])
def exported(request, made):
    return made(request.param)


def test_an_export_plays_what_the_policy_plays(exported):
    _, task, folder, file = exported
    policies = [load_policy(str(folder), task), load_policy("agents.sequence.onnx_policy:OnnxPolicy", file=str(file))]
    options = {"num_jobs": 4, "num_executors": 5} if task == "cjs" else {}
    specs = [EpisodeSpec(seed) for seed in range(5)]
    for ours, theirs in zip(
        *(play(policy, tasks.find(task).default_id, specs, options, 3) for policy in policies), strict=True
    ):
        assert len(ours.actions) == len(theirs.actions)
        np.testing.assert_allclose(theirs.actions, ours.actions, atol=1e-3 if task == "vp" else 0)


def test_a_file_says_what_it_takes_and_nothing_of_where_it_was_made(exported):
    import onnxruntime

    name, task, _, file = exported
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    says = json.loads(session.get_modelmeta().custom_metadata_map["netenvs"])
    assert (says["task"], says["policy"], says["capacity"]) == (task, "mamba4net", {"vp": 0, "cjs": 4}.get(task, 48))
    for ports, found in ((says["inputs"], session.get_inputs()), (says["outputs"], session.get_outputs())):
        assert [port["name"] for port in ports] == [value.name for value in found]
        for port, value in zip(ports, found, strict=True):
            assert len(port["shape"]) == len(value.shape)
            fixed = [(size, there) for size, there in zip(port["shape"], value.shape, strict=True) if size != there]
            assert all(isinstance(size, str) for size, _ in fixed)
    assert [NEW + port["name"] for port in says["state"]] == [
        port["name"] for port in says["outputs"] if port["name"].startswith(NEW)
    ]
    if name in NAMES:
        shapes = {port["name"]: port["shape"] for port in says["inputs"]}
        assert all(shapes[port][-1] == len(names) for port, names in NAMES[name].items())
    model = importlib.import_module("onnx").load(file)
    assert (model.ir_version, [part.version for part in model.opset_import]) == (9, [20])  # onnxruntime 1.17 knows them
    content = file.read_bytes()
    assert b".py" not in content and b"File " not in content
    assert len(content) < 4 * says["parameters"] + 400_000


@pytest.mark.parametrize("name", ["abr", pytest.param("abr-netllm", marks=pytest.mark.slow)])
def test_an_episode_for_which_there_is_no_room_is_refused(made, name):
    _, task, _, file = made(name)
    policy = load_policy("agents.sequence.onnx_policy:OnnxPolicy", file=str(file))
    play(policy, tasks.find(task).default_id, [EpisodeSpec(0)])
    assert len(policy.saved["state"]) == 5
    with pytest.raises(Exception, match="indice"):  # of onnxruntime, which has no exception of its own for it
        policy.session.run(None, {**policy.inputs, "decisions": np.array([48])})
    policy.saved["capacity"] = 20
    policy.reset()
    with pytest.raises(RuntimeError, match="room for 20 decisions of an episode: export it with a larger --capacity"):
        play(policy, tasks.find(task).default_id, [EpisodeSpec(0)])


def test_a_file_that_differs_is_not_written(made, tmp_path, capsys, monkeypatch):
    _, task, folder, file = made("vp")

    def of_before(deployed, part, description):
        shutil.copy(file, part)
        with torch.no_grad():
            deployed.model.task.correction.bias += 1e-3

    monkeypatch.setattr(distill.commands.export, "to_onnx", of_before)
    assert main(words(task, folder, tmp_path / "student.onnx")) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: decision 1: outputs of the graph differ from PyTorch's by 1.7e-04, more than")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("theirs", [0.5, np.nan])
def test_what_is_not_a_number_differs(theirs):
    expected = [np.array([[0.0, theirs, 1.0]], dtype=np.float32)]
    found = {"logits": np.array([[0.0, np.nan, 1.0]], dtype=np.float32)}
    assert not distill.commands.export._largest(TaskGraph().apart(found, expected)) <= distill.commands.export.TOLERANCE
    found = {"logits": np.array([[1.0, 1.5, 2.0]], dtype=np.float32)}  # the same probabilities
    expected = [np.array([[0.0, 0.5, 1.0]], dtype=np.float32)]
    assert distill.commands.export._largest(TaskGraph().apart(found, expected)) < 1e-6


@pytest.mark.parametrize(
    ("case", "more", "message"),
    [
        ("abr", ["--out", "student"], "give a name that ends in .onnx"),
        ("abr", ["--out", "no/such/folder/s.onnx"], "there is no folder no/such/folder"),
        ("abr", ["--out", "there.onnx"], "there.onnx: there is such a file; --force replaces it"),
        ("abr", ["--policy", "bba"], "policy 'bba' is no sequence policy"),
        ("abr", ["--policy", "netllm"], "only policies around a hybrid of Mamba-2 and attention (mamba4net)"),
        ("abr", ["--capacity", "0"], "--capacity must be 1 or more, not 0"),
        ("cjs", ["--capacity", "9"], "--capacity 9: this policy needs none, it begins anew after 4 decisions"),
    ],
)
def test_wrong_arguments_are_one_line(case, more, message, tmp_path, capsys, monkeypatch):
    for package in PACKAGES:
        pytest.importorskip(package, reason='needs pip install "netenvs[export]"')
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.onnx").write_bytes(b"mine")
    task = save_student(case, tmp_path / "student")
    given = dict(zip((one := words(task, "./student", "s.onnx"))[1::2], one[2::2], strict=True))
    given.update([more])
    assert main(["export", *(word for pair in given.items() for word in pair)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and message in lines[0]
    assert (tmp_path / "there.onnx").read_bytes() == b"mine"


def test_without_the_extra_it_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(words("abr", "mamba4net", tmp_path / "s.onnx")) == 2
    assert capsys.readouterr().err == 'error: onnx is not installed: pip install "netenvs[export]"\n'


def test_a_file_of_something_else_is_refused(tmp_path):
    pytest.importorskip("onnxruntime", reason='needs pip install "netenvs[export]"')
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    with pytest.raises(RuntimeError, match="no file of python -m distill export"):
        load_policy("agents.sequence.onnx_policy:OnnxPolicy", file=str(tmp_path / "x.onnx"))
