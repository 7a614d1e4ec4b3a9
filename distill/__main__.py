"""Command line of pools and distillation: ``python -m distill COMMAND --help``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "teach": ("distill.commands.teach:Teach", "adapt a language model to a task, or train the embedded small one"),
    "distill": ("distill.commands.distill:Distill", "train a small student that follows a teacher"),
    "export": ("distill.commands.export:Export", "write a small student as one ONNX file for onnxruntime"),
    "collect": ("distill.commands.collect:Collect", "have policies play episodes, and keep what they saw, did and got"),
    "info": ("distill.commands.info:Info", "show what is in a pool"),
    "verify": ("distill.commands.verify:Verify", "check pools bit by bit"),
    "merge": ("distill.commands.merge:Merge", "join pools of one environment"),
}
"""Commands by name: a dataclass of arguments with a method ``run() -> int`` (exit status), and what it does. Only the
module of the command given is imported."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 1 for a failure, 2 for wrong arguments, 130: interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print("usage: python -m distill COMMAND ...; python -m distill COMMAND --help says more\n")
        for name, (_, meaning) in COMMANDS.items():
            print(f"  {name:<10} {meaning}")
        return 0 if words else 2
    from agents.policy import PolicyError
    from netenvs.spec import unknown_name

    if words[0] not in COMMANDS:
        print(f"error: {unknown_name('command', words[0], COMMANDS)}", file=sys.stderr)
        return 2
    from agents.command_line import parse
    from distill.commands.wrong_arguments import WrongArguments

    module, _, name = COMMANDS[words[0]][0].partition(":")
    command = getattr(importlib.import_module(module), name)
    try:
        status: int = parse(command, f"python -m distill {words[0]}", words[1:]).run()
        return status
    except SystemExit as stop:  # --help, or what is wrong has been said
        return int(stop.code or 0)
    except (ValueError, OSError, PolicyError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2 if isinstance(error, WrongArguments) else 1
    except KeyboardInterrupt:
        print("interrupted; all pools are as they were, and the same command goes on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
