"""Command line of pools and distillation: ``python -m distill COMMAND --help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

ABOUT = "Pools of experience are collected; from them models learn, and small students follow large teachers."
COMMANDS = {
    "teach": (
        "distill.commands.teach:Teach",
        "It adapts a language model to a task, or the small one.",
    ),
    "distill": ("distill.commands.distill:Distill", "It trains a small student that follows a teacher."),
    "export": ("distill.commands.export:Export", "It writes a small student as one ONNX file for onnxruntime."),
    "collect": (
        "distill.commands.collect:Collect",
        "It keeps what policies see, do and get in episodes.",
    ),
    "info": ("distill.commands.info:Info", "It shows what is in a pool."),
    "verify": ("distill.commands.verify:Verify", "It checks pools bit by bit."),
    "merge": ("distill.commands.merge:Merge", "It joins pools of one environment."),
}
"""Commands by name: a dataclass of arguments with a method ``run() -> int`` (exit status), and what it does. Only the
module of the command given is imported."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 1 for a failure, 2 for wrong arguments, 130: interrupted."""
    from netenvs.command_line import exit_status, parse_command

    try:
        command = parse_command(COMMANDS, "python -m distill", ABOUT, arguments)
    except SystemExit as stop:  # --help, or what is wrong has been said
        return int(stop.code or 0)
    from distill.commands.wrong_arguments import WrongArguments

    return exit_status(command.run, wrong_words=(WrongArguments,))


if __name__ == "__main__":
    sys.exit(main())
