"""What figures depend on besides the code: versions, platform and processor."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import netenvs

VERSIONED = ("numpy", "gymnasium", "numba", "scipy", "torch")


def versions() -> dict[str, str | None]:
    """Versions of what the numbers depend on, read without importing any of it; None: not installed."""
    found: dict[str, str | None] = {"python": platform.python_version(), "netenvs": netenvs.__version__}
    for name in VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    found["git"] = _git_commit()
    return found


def machine() -> dict[str, Any]:
    """Threads this process may use, platform and processor."""
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "threads": len(affinity(0)) if affinity else os.cpu_count(),
        "platform": platform.platform(),
        "cpu": _cpu(),
    }


def _git_commit() -> str | None:
    """Commit of the working copy, with ``+`` after it where tracked files have been changed."""
    root = Path(__file__).resolve().parents[1]
    git = ["git", "-C", str(root)]
    if not (root / ".git").exists():  # installed: a repository further up would be somebody else's
        return None
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip() + ("+" if changed.stdout.strip() else "")


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine()
