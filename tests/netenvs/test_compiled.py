"""Machine code on disk is used only while every kernel is what it was."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from netenvs import compiled

ROOT = Path(__file__).parents[2]
KERNEL = "from netenvs.compiled import kernel\n{imports}\n\n@kernel\ndef {name}(x):\n    return {value}\n"
CALLEE = KERNEL.format(imports="from other.constants import ADDED", name="inner", value="x + ADDED + {}")
MIDDLE = KERNEL.format(imports="from other import callee", name="middle", value="callee.inner(x)")
CALLER = KERNEL.format(imports="from own.middle import middle", name="outer", value="middle(x)")
CODE = "from own.caller import outer; print(outer(1), sum(outer.stats.cache_hits.values()))"


def outer_of_one(folder: Path) -> str:
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, cwd=folder)
    return run.stdout.strip()


def test_a_change_of_another_kernel_module_compiles_again(tmp_path):
    """In packages that are not netenvs, too, by way of others, and of constants that a kernel contains."""
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    (own / "caller.py").write_text(CALLER)
    (own / "middle.py").write_text(MIDDLE)
    (other / "callee.py").write_text(CALLEE.format(1))
    (other / "constants.py").write_text("ADDED = 0\n")
    assert outer_of_one(tmp_path) == "2 0"
    assert outer_of_one(tmp_path) == "2 1", "the second process takes the code from disk"
    (other / "callee.py").write_text(CALLEE.format(10))
    assert outer_of_one(tmp_path) == "11 0"
    (other / "constants.py").write_text("ADDED = 100\n")
    assert outer_of_one(tmp_path) == "111 0"


def test_stamps_cover_every_module_with_kernels_that_is_called():
    from netenvs.compiled import kernel_stamps

    def stamped(name):
        import_module(name)
        return {module.removeprefix("netenvs.") for module, _, _ in kernel_stamps(name)}

    assert stamped("netenvs.abr.kernel") == {"compiled", "random", "abr.kernel", "abr.rows"}
    assert {"abr.kernel", "abr.rows", "vp.kernel", "random"} <= stamped("netenvs.vp_streaming.kernel")
    assert {"cjs.rules", "cjs.jobs", "random"} <= stamped("netenvs.cjs.kernel.batch")
    root = Path(sys.modules["netenvs"].__file__).parent
    simulator = (root / "cjs" / "kernel").glob("*.py")
    parts = {f"cjs.kernel.{file.stem}" for file in simulator if re.search(r"^@kernel$", file.read_text("utf-8"), re.M)}
    assert parts - stamped("netenvs.cjs.kernel.batch") == {"cjs.kernel.observation"}, "which it does not call"
    assert parts - stamped("netenvs.cjs.kernel.observation") == {"cjs.kernel.batch"}, "which it does not call"


def test_stamps_of_what_only_drives_kernels_are_few():
    """Else any change of the package would compile everything again."""
    from netenvs.compiled import kernel_stamps

    import_module("netenvs.cjs.env")
    assert not {"netenvs.cjs.env", "netenvs.cjs.fast", "netenvs.tasks"} & {
        module for module, _, _ in kernel_stamps("netenvs.cjs.kernel.observation")
    }


def test_constants_are_compiled_as_their_types(tmp_path, monkeypatch):
    """Not once for each, and the result is the same."""
    monkeypatch.syspath_prepend(tmp_path)
    inner = KERNEL.format(imports="", name="inner", value="x + 1")
    outer = KERNEL.format(imports="", name="outer", value="inner(x) + 10 * inner(2) + 100 * inner(x=3)")
    (tmp_path / "constants_of_kernels.py").write_text(inner + outer)
    module = import_module("constants_of_kernels")
    assert module.outer(1) == 432
    assert [str(types) for types in module.inner.signatures] == ["(int64,)"]


@pytest.fixture
def module_of_kernels(tmp_path, monkeypatch):
    """Import a fresh module with one kernel that adds one; its cache is beside it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(compiled, "_uncached", [])

    def made(name):
        (tmp_path / f"{name}.py").write_text(KERNEL.format(imports="", name="inner", value="x + 1"))
        return import_module(name)

    return made


def test_kernels_run_where_no_cache_can_be_written(module_of_kernels, monkeypatch):
    """Read-only packages, and no home to write to: numba refuses to compile then."""
    monkeypatch.setattr(compiled._Locations, "_locator_classes", [])
    with pytest.warns(UserWarning, match="set NUMBA_CACHE_DIR to a folder that can be written to") as said:
        modules = [module_of_kernels("read_only_one"), module_of_kernels("read_only_two")]
    assert [module.inner(1) for module in modules] == [2, 2] and len(said) == 1


def test_kernels_run_where_the_cache_is_full(module_of_kernels, full_disk, tmp_path):
    module = module_of_kernels("full")
    with full_disk(10), pytest.warns(UserWarning, match=r"__pycache__: File too large.* set NUMBA_CACHE_DIR") as said:
        assert (module.inner(1), module.inner(1.5)) == (2, 2.5)
    assert len(said) == 1 and not list(tmp_path.rglob("*.nb*"))


@pytest.mark.parametrize("content", [b"", b"\x80\x04garbage", b"cos\nsystem\n."])
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_cache_is_made_again(content, suffix, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "caller.py").write_text(KERNEL.format(imports="", name="outer", value="x + 1"))
    assert outer_of_one(tmp_path) == "2 0"
    (file,) = own.rglob(f"*.{suffix}")
    file.write_bytes(content)
    assert outer_of_one(tmp_path) == "2 0"
    assert outer_of_one(tmp_path) == "2 1"


def test_nobody_s_home_is_no_folder_called_so(tmp_path):
    """Without HOME and an entry of the user, numba's third choice is a folder ``~`` of the working directory."""
    code = "import os; os.path.expanduser = lambda path: path; import netenvs.compiled as c; "
    code += "print([one.__name__ for one in c._Locations._locator_classes if 'Wide' in one.__name__])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"
