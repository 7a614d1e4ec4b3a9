"""The command ``python -m benchmarks.compare``, run in process."""

import json

import pytest

from benchmarks import drawing
from benchmarks.compare import command as compare


@pytest.fixture(autouse=True)
def _coarse_pictures(monkeypatch):
    """Their look is judged by people, not here."""
    monkeypatch.setitem(drawing.STYLE, "savefig.dpi", 50)


@pytest.fixture
def command(tmp_path, capsys):
    """Run the command with ``--out``; return (status, results or None, standard output, standard error)."""

    def call(task, *words, out="out"):
        arguments = ["--task", task, *words]
        if "--out" not in words:
            arguments += ["--out", str(tmp_path / out)]
        status = compare.main(arguments)
        text = capsys.readouterr()
        path = tmp_path / out / "results.json"
        return status, json.loads(path.read_text()) if path.exists() else None, text.out, text.err

    return call
