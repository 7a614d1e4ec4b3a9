"""Values of policies that are the same every time, on disk: the optima, which take minutes, and those of the floor.

A folder has a JSON file of each policy and version of the code that its values depend on, ``oracle-<version>.json``:
``{"schema": 1, "policy": "oracle", "version": "...", "values": {DIGEST OF AN EPISODE: VALUE}}``. Code that changes
begins a new file; data, an objective or a player that change are other digests.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import platformdirs

from benchmarks.files import to_json
from netenvs.files import write_atomically

SCHEMA = 1
LOCK = ".lock"
"""Held in a folder by who makes optima there."""


def default_folder() -> Path:
    """In the user's cache folder; ``ValueError``, one line, where nobody knows one."""
    try:
        return Path(platformdirs.user_cache_dir("netenvs-benchmarks")).expanduser() / "optima"
    except RuntimeError:  # no HOME, and no entry of the user
        raise ValueError("no home folder is known for the cache of the optima; give --optima FOLDER") from None


def code_version(modules: Iterable[str]) -> str:
    """Digest of the code of modules, their comments and docstrings apart."""
    found = hashlib.sha256()
    for name in modules:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None, name
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
        found.update(f"{name} {ast.dump(tree)}".encode())
    return found.hexdigest()[:16]


def _is_text(node: ast.stmt) -> bool:
    """A docstring, of whatever."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


class Values:
    """The values of one policy by digest of the episode, in a folder that need not be there."""

    def __init__(self, folder: Path, policy: str, modules: Iterable[str]):
        self.folder, self.policy, self.version = folder, policy, code_version(modules)
        self.path = folder / f"{policy}-{self.version}.json"
        self._values = self._read()

    def get(self, digest: str) -> float | None:
        """The value of an episode; None: it is not there."""
        return self._values.get(digest)

    def add(self, values: Mapping[str, float]) -> None:
        """Keep these, too, on disk, with what others have put there meanwhile."""
        self._values = {**self._read(), **self._values, **values}
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"schema": SCHEMA, "policy": self.policy, "version": self.version, "values": self._values}
        write_atomically(self.path, to_json(content))

    def _read(self) -> dict[str, float]:
        if not self.path.exists():
            return {}
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            values = content["values"]
            if content["schema"] != SCHEMA or not all(isinstance(value, int | float) for value in values.values()):
                raise ValueError("not as it was written")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(f"{self.path}: these are no values of {self.policy}; remove the file") from None
        return {str(digest): float(value) for digest, value in values.items()}
