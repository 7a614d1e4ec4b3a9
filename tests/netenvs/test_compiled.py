"""Machine code on disk is used only while every kernel is what it was."""

import subprocess
import sys
from pathlib import Path

CALLEE = "from netenvs.compiled import kernel\n\n\n@kernel\ndef inner(x):\n    return x + {}\n"
CALLER = (
    "from callee import inner\nfrom netenvs.compiled import kernel\n\n\n@kernel\ndef outer(x):\n    return inner(x)\n"
)


def outer_of_one(folder: Path, stamp: str) -> str:
    code = (
        f"import netenvs.compiled as c; c.kernel_stamps = lambda: {stamp!r}\n"
        "from caller import outer; print(outer(1), sum(outer.stats.cache_hits.values()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    return run.stdout.strip()


def test_a_change_of_another_kernel_module_compiles_again(tmp_path):
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "callee.py").write_text(CALLEE.format(1))
    assert outer_of_one(tmp_path, "before") == "2 0"
    assert outer_of_one(tmp_path, "before") == "2 1", "the second process takes the code from disk"
    (tmp_path / "callee.py").write_text(CALLEE.format(10))
    assert outer_of_one(tmp_path, "after") == "11 0"


def test_stamps_cover_every_module_with_kernels():
    from netenvs.compiled import kernel_stamps

    names = {name for name, _, _ in kernel_stamps()}
    assert {"random.py", "abr/kernel.py", "cjs/kernel/cluster.py", "cjs/rules.py", "cjs/jobs.py"} <= names
    root = Path(sys.modules["netenvs"].__file__).parent
    with_kernels = {
        file.relative_to(root).as_posix() for file in root.rglob("*.py") if "\n@kernel\n" in file.read_text("utf-8")
    }
    assert with_kernels <= names
