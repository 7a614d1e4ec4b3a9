"""Command line of the environments: ``python -m netenvs --help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from netenvs.command_line import exit_status, parse_command

ABOUT = "Environments of machine learning for networking; python -m netenvs.datasets has the public data sets."
COMMANDS = {"inspect": ("netenvs.inspection.command:Inspect", "It says what is in a file of one's own.")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 1 for a failure, 2 for wrong words."""
    command = parse_command(COMMANDS, "python -m netenvs", ABOUT, arguments)
    return exit_status(command.run)


if __name__ == "__main__":
    sys.exit(main())
