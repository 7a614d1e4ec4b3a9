"""Command lines: a dataclass of options is filled from words, and wrong words are said in one line.

    @dataclass(frozen=True)
    class Args:
        \"\"\"What the command does.\"\"\"

        seed: int = 0
        \"\"\"What it determines.\"\"\"

    args = parse(Args, "python -m package.module")

Options, help and types are tyro's; what it says of wrong words, in a box, becomes one line here. A program of several
commands has such a dataclass for each, see ``parse_command``. Only modules that are commands import this one.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import re
import sys
import typing
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import tyro

from netenvs import tasks
from netenvs.errors import OneLineError, flat, reason
from netenvs.loading import named
from netenvs.spec import unknown_name

Args = TypeVar("Args")
Positional: Any = tyro.conf.Positional
"""In ``Annotated``: a field that is given without its name."""
AppendAction: Any = tyro.conf.UseAppendAction
"""In ``Annotated``: a field of several values, each given with the option's name once more."""
ALWAYS = ("--help", "--tyro-print-completion", "--tyro-write-completion")
"""Options of every command."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FRAME = "│╭╮╰╯─"
_OUR_WORDS = {
    r"^Error parsing ": "",
    r"invalid literal for int\(\) with base 10:": "not a whole number:",
    r"could not convert string to float:": "not a number:",
    r"Could not find valid parse for arguments:": "not understood:",
    r"^Missing value for argument '(.*)'\. Expected 1 values": r"\1 needs a value",
    r"^Missing value for argument '(.*)'\. Expected (\d+) values": r"\1 needs \2 values",
    r"^Unrecognized options:": "not understood:",
}
"""What tyro says, as regular expressions, and what is said instead."""


_FOLDER = Path(__file__).parents[1]
_format = warnings.formatwarning


def _in_one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Warnings of this project, as commands print them, are for people who do not look for lines of code."""
    if category is UserWarning and Path(filename).is_relative_to(_FOLDER) and "site-packages" not in filename:
        return f"warning: {flat(message)}\n"
    return _format(message, category, filename, lineno, line)


warnings.formatwarning = _in_one_line


def parse(options: type[Args], program: str, words: Sequence[str] | None = None) -> Args:
    """The dataclass ``options``, filled from ``words``, by default those that the process was started with.

    Arguments:
        options: fields are options of the command; docstrings below them, their help.
        program: what is typed before the words, such as ``python -m agents.abr.pensieve``.

    Wrong words end the process by ``SystemExit`` of status 2, after one line on stderr, ``error: ...; see PROGRAM
    --help``, with the nearest name where one is misspelled; ``--help``, with status 0.
    """
    given = list(sys.argv[1:] if words is None else words)
    _refuse_unknown(options, program, given)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(options, prog=program, args=given)
    except SystemExit as stop:
        if not stop.code:
            raise
        what = _reason(said.getvalue())
    refuse(program, what)


def parse_command(
    commands: Mapping[str, tuple[str, str]], program: str, about: str, words: Sequence[str] | None = None
) -> Any:
    """The dataclass of the command that the first word names, filled from the others as ``parse`` does.

    Arguments:
        commands: by name, a dataclass as ``module:name``, imported when it is asked for, and a sentence on what the
            command does.
        program: what is typed before the words.
        about: a sentence on the program.
    """
    given = list(sys.argv[1:] if words is None else words)
    if not given:
        refuse(program, f"a command must be given: {listed(list(commands))}")
    if given[0] in ("-h", "--help"):
        print(f"usage: {program} COMMAND ...; {program} COMMAND --help says more\n\n{about}\n")
        for name, (_, meaning) in commands.items():
            print(f"  {name:<10} {meaning}")
        raise SystemExit(0)
    if given[0] not in commands:
        refuse(program, unknown_name("command", given[0], commands))
    return parse(named(commands[given[0]][0]), f"{program} {given[0]}", given[1:])


def run(main: Callable[[Args], int | None], options: type[Args], program: str) -> NoReturn:
    """End the process with the status of a program: ``main`` on its options, see ``parse`` and ``exit_status``."""
    raise SystemExit(exit_status(lambda: main(parse(options, program))))


def exit_status(act: Callable[[], int | None], wrong_words: tuple[type[Exception], ...] = ()) -> int:
    """Do what a command is to do; what is not a fault of the code becomes one line on stderr, and no traceback.

    That is ``ValueError`` and errors of one line, errors of the system, a full disk among them, and too little memory.
    Returns the exit status: what ``act`` returns, None being 0; 1 after such an error, 2 if it is one of
    ``wrong_words``; 130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what a locale cannot write
    try:
        status = act() or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, OneLineError) as error:
        print(f"error: {reason(error)}", file=sys.stderr)
        return 2 if isinstance(error, wrong_words) else 1
    except MemoryError:
        print("error: there is not enough memory; give smaller data, or fewer at once", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was there is as it was, and the same command goes on", file=sys.stderr)
        return 130


def refuse(program: str, what: str) -> NoReturn:
    """Say in one line what is wrong with the words, and end with status 2."""
    print(f"error: {flat(what)}; see {program} --help", file=sys.stderr)
    raise SystemExit(2)


def option(help: str, default: Any = "", name: str | None = None, metavar: str | None = None) -> Any:
    """In ``Annotated``: an option's help, a sentence, and what to say of its default."""
    hint = f"(default: {default})" if default != "" else ""
    return tyro.conf.arg(name=name, metavar=metavar, help=help, help_behavior_hint=hint)


def listed(names: Sequence[str]) -> str:
    """``abr, cjs or vp``."""
    return " or ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def datasets_help() -> str:
    """What ``--dataset`` names: ``the trace split (abr) or the workload (cjs)``."""
    found = []
    for name in tasks.names():
        with contextlib.suppress(ValueError):  # a plug-in that is broken: its name is refused where it is given
            found.append(f"the {tasks.find(name).dataset_kind} ({name})")
    return listed(found)


def _refuse_unknown(options: type, program: str, words: Sequence[str]) -> None:
    known = [*_names(options), *ALWAYS]
    for word in words:
        name = word.partition("=")[0].replace("_", "-")
        if name.startswith("--") and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            refuse(program, f"unknown option {word.partition('=')[0]!r}{hint}")


def _names(options: type) -> list[str]:
    """Options of a dataclass, as they are typed."""
    found = []
    for field, kind in typing.get_type_hints(options, include_extras=True).items():
        if typing.get_origin(kind) is typing.ClassVar:
            continue
        about = getattr(kind, "__metadata__", ())
        names = [getattr(each, "name", None) for each in about]
        name = next((name for name in names if isinstance(name, str)), field).replace("_", "-")
        found += [f"--{name}", f"--no-{name}"] if kind is bool else [f"--{name}"]
        found += [alias for each in about for alias in getattr(each, "aliases", None) or ()]
    return found


def _reason(text: str) -> str:
    """What is wrong, of what tyro says: a title, what is wrong, a ruled line and help, with a frame around them."""
    lines = [_COLOUR.sub("", line).strip(_FRAME).rstrip() for line in text.splitlines()]
    blocks = [list(block) for ruled, block in groupby(lines, key=lambda line: not line.strip(" ─-")) if not ruled]
    title, *body = blocks[0] if blocks else ["wrong arguments"]
    body = body or (blocks[1] if len(blocks) > 1 else [title])  # where no frame can be drawn, the title is underlined
    if title.strip() == "Required options":
        indent = len(body[0]) - len(body[0].lstrip()) + 4
        missing = [line.strip() for line in body if re.match(rf" {{{indent}}}\S", line)]
        return f"{', '.join(missing)} must be given"
    text = flat(" ".join(body))
    if choice := re.fullmatch(r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*)\)\.", text):
        value, name, known = choice.groups()
        return unknown_name(name, value, [part.strip(" '\"") for part in known.split(",") if part.strip()])
    for theirs, ours in _OUR_WORDS.items():
        text = re.sub(theirs, ours, text)
    return text.rstrip(".")
