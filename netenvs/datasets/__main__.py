"""Command line of the data sets: ``python -m netenvs.datasets --help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from netenvs.command_line import exit_status, parse_command
from netenvs.datasets.errors import UnknownDatasetError

ABOUT = "Public data sets are installed once into NETENVS_DATA, by default the user's cache folder."
COMMANDS = {
    "list": ("netenvs.datasets.commands:List", "It shows what there is and what is installed."),
    "install": ("netenvs.datasets.commands:Install", "It fetches, checks and converts data sets."),
    "verify": ("netenvs.datasets.commands:Verify", "It checks installed files bit by bit."),
    "path": ("netenvs.datasets.commands:PrintPath", "It prints the folder of an installed data set."),
    "remove": ("netenvs.datasets.commands:Remove", "It removes an installed data set."),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, 1 for a failure, 2 for a name that is not known."""
    command = parse_command(COMMANDS, "python -m netenvs.datasets", ABOUT, arguments)
    return exit_status(command.run, wrong_words=(UnknownDatasetError,))


if __name__ == "__main__":
    sys.exit(main())
