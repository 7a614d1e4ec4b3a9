"""Command lines: wrong words are one line, and trainings are called what people type."""

import ast
import errno
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, ClassVar, Literal

import pytest
import tyro

from netenvs import tasks
from netenvs.command_line import exit_status, listed, parse, parse_command, run
from netenvs.errors import OneLineError

ROOT = Path(__file__).parents[2]
CALLED = ', Args, "python -m '
MODULES = [path for path in sorted((ROOT / "agents").rglob("*.py")) if CALLED in path.read_text(encoding="utf-8")]


@dataclass(frozen=True)
class Options:
    """Do something."""

    kind: ClassVar[str] = "no option"

    task: str
    """What is done."""
    num_envs: int = 3
    """How many there are."""
    rate: float = 0.5
    """How fast it is."""
    size: Literal["small", "medium"] = "small"
    """How large it is."""
    improve: bool = True
    """Whether it gets better."""
    pair: tuple[int, int] = (1, 2)
    """Two numbers."""
    options: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE"), tyro.conf.UseAppendAction] = ()
    """Further options."""
    folders: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Where it is done."""


def test_words_fill_the_dataclass():
    words = "a b --task x --num_envs 4 --rate=-1 --no-improve --set k=1 --set l=2 --pair 3 4"
    found = parse(Options, "python -m it", words.split())
    paths = (Path("a"), Path("b"))
    assert found == Options("x", 4, -1.0, "small", False, (3, 4), ("k=1", "l=2"), paths)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "--task STR must be given"),
        ("--tsk x", "unknown option '--tsk' (did you mean '--task'?)"),
        ("--task x --num_env=3", "unknown option '--num_env' (did you mean '--num-envs'?)"),
        ("--task x --no-imrove", "unknown option '--no-imrove' (did you mean '--no-improve'?)"),
        ("--task x --kind a", "unknown option '--kind'"),
        ("--task x --options a=1", "unknown option '--options'"),
        ("--task", "--task needs a value"),
        ("--task x --set", "--set needs a value"),
        ("--task x --pair 3", "--pair needs 2 values"),
        ("--task x --num-envs many", "--num-envs: not a whole number: 'many'"),
        ("--task x --rate fast", "--rate: not a number: 'fast'"),
        ("--task x --size smal", "unknown --size 'smal'; did you mean 'small'? known: medium, small"),
        ("--task x -q", "not understood: -q"),
    ],
)
@pytest.mark.parametrize("width", ["40", "200"])
def test_wrong_words_are_one_line(words, message, width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    with pytest.raises(SystemExit) as stopped:
        parse(Options, "python -m it", words.split())
    said = capsys.readouterr()
    assert stopped.value.code == 2 and said.out == ""
    assert said.err.startswith(f"error: {message}") and said.err.endswith("; see python -m it --help\n")
    assert said.err.count("\n") == 1


def test_help_is_no_error(capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(Options, "python -m it", ["--help"])
    assert not stopped.value.code
    assert "python -m it" in (said := capsys.readouterr().out) and "How fast it is." in said


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_usage_is_the_command_that_is_typed(path):
    """Not the path of the file, which is what tyro shows by itself."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    programs = [ast.literal_eval(call.args[2]) for call in calls if ast.unparse(call.func) == "run"]
    assert programs == [f"python -m {module}"] * len(programs) != []


@dataclass(frozen=True)
class Command:
    """One of several."""

    seed: int = 0
    """What is drawn with it."""


COMMANDS = {"draw": (f"{__name__}:Command", "It draws."), "other": ("nowhere.at.all:Other", "It fails.")}


def parsed_command(monkeypatch, *words):
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(Command=Command))
    return parse_command(COMMANDS, "python -m it", "It is a program.", words)


def test_the_first_word_names_a_command(monkeypatch):
    assert parsed_command(monkeypatch, "draw", "--seed", "3") == Command(3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "a command must be given: draw or other; see python -m it --help"),
        (["darw"], "unknown command 'darw'; did you mean 'draw'? known: draw, other; see python -m it --help"),
        (["draw", "--sed", "3"], "unknown option '--sed' (did you mean '--seed'?); see python -m it draw --help"),
    ],
)
def test_a_wrong_command_is_one_line(words, message, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stopped:
        parsed_command(monkeypatch, *words)
    assert stopped.value.code == 2 and capsys.readouterr().err == f"error: {message}\n"


def test_commands_are_listed_without_being_imported(monkeypatch, capsys):
    with pytest.raises(SystemExit) as stopped:
        parsed_command(monkeypatch, "--help")
    assert not stopped.value.code
    said = capsys.readouterr().out
    assert all(text in said for text in ("It is a program.", "It draws.", "It fails."))


@pytest.mark.parametrize(("names", "text"), [("", ""), ("a", "a"), ("a b", "a or b"), ("a b c", "a, b or c")])
def test_names_are_listed(names, text):
    assert listed(names.split()) == text


def test_warnings_of_ours_are_a_line_without_code():
    one = warnings.formatwarning("it is\nbroken", UserWarning, tasks.__file__, 1)
    assert one == "warning: it is broken\n"
    other = warnings.formatwarning("theirs", UserWarning, pytest.__file__, 1)
    assert "UserWarning: theirs" in other and pytest.__file__ in other


class Own(OneLineError, RuntimeError):
    pass


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("no\nsuch \x1b[31mtrace"), 1, "error: no such \\x1b[31mtrace"),
        (Own("of ours"), 1, "error: of ours"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "broken"), 2, "error: 'utf-8' codec can't decode byte 0xff"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 1, "error: runs/x: No space left on device; make"),
        (PermissionError(errno.EACCES, "Permission denied", "runs/x"), 1, "error: runs/x: Permission denied; give a"),
        (MemoryError(), 1, "error: there is not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted; "),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 0, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_goes_wrong_in_a_command_is_one_line(error, status, line, capfd):
    def fail():
        raise error

    assert exit_status(fail, wrong_words=(UnicodeDecodeError,)) == status
    said = capfd.readouterr()
    assert said.out == "" and said.err.startswith(line) and said.err.count("\n") == (line != "")


def test_faults_of_the_code_stay_tracebacks():
    with pytest.raises(ZeroDivisionError):
        exit_status(lambda: 1 // 0)


@pytest.mark.parametrize(("found", "status"), [(None, 0), (0, 0), (3, 3)])
def test_a_program_ends_with_its_status(found, status, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["it", "--seed", "5"])
    seen = []
    with pytest.raises(SystemExit) as stopped:
        run(lambda command: seen.append(command) or found, Command, "python -m it")
    assert stopped.value.code == status and seen == [Command(5)]


@pytest.mark.skipif(sys.platform == "win32", reason="it has other locales")
def test_another_locale_writes_what_it_can():
    """A dagger is in no ASCII; Python's UTF-8 mode would hide that."""
    code = "from netenvs.command_line import exit_status; exit_status(lambda: print('\\N{DAGGER} knows'))"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\\u2020 knows\n", b"")
