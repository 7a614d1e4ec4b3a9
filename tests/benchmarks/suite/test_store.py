"""Values of policies on disk."""

import json

import pytest

from benchmarks.suite import store


def test_values_are_found_again_by_policy_and_version(tmp_path):
    folder = tmp_path / "optima"
    values = store.Values(folder, "oracle", ["agents.abr.oracle"])
    assert values.get("a") is None and not folder.exists()
    values.add({"a": 1.25})
    values.add({"b": -0.1})
    again = store.Values(folder, "oracle", ["agents.abr.oracle"])
    assert (again.get("a"), again.get("b"), again.get("c")) == (1.25, -0.1, None)
    assert [path.name for path in folder.iterdir()] == [f"oracle-{values.version}.json"]
    assert store.Values(folder, "oracle", ["agents.abr.mpc"]).get("a") is None, "other code"
    assert store.Values(folder, "robust-mpc", ["agents.abr.oracle"]).get("a") is None


def test_what_two_commands_add_is_kept(tmp_path):
    one, other = (store.Values(tmp_path, "oracle", ["agents.abr.oracle"]) for _ in range(2))
    one.add({"a": 1.0})
    other.add({"b": 2.0})
    assert json.loads(one.path.read_text())["values"] == {"a": 1.0, "b": 2.0}


def test_the_version_is_that_of_the_code_not_of_what_is_said_about_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "code_of_a_test.py"
    versions = []
    for text in (
        'def f(x):\n    """One."""\n    return x\n',
        '"""Two."""\n\n\ndef f(x):\n    # three\n    return x\n',
        "def f(x):\n    return -x\n",
    ):
        file.write_text(text)
        versions.append(store.code_version(["code_of_a_test"]))
    assert versions[0] == versions[1] != versions[2]
    assert versions[2] != store.code_version(["code_of_a_test", "agents.abr.mpc"])


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"schema": 1, "values": {"a": "1"}}', '{"schema": 9, "values": {}}']
)
def test_a_damaged_file_is_named(tmp_path, content):
    values = store.Values(tmp_path, "oracle", ["agents.abr.oracle"])
    values.path.write_text(content)
    with pytest.raises(ValueError, match=r"oracle-\w+\.json: these are no values of oracle; remove the file"):
        store.Values(tmp_path, "oracle", ["agents.abr.oracle"])


def test_without_a_home_the_folder_has_to_be_given(monkeypatch):
    def no_home(name):
        raise RuntimeError("no home")

    monkeypatch.setattr(store.platformdirs, "user_cache_dir", no_home)
    with pytest.raises(ValueError, match="give --optima FOLDER"):
        store.default_folder()
