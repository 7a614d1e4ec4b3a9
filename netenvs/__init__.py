"""Gymnasium environments for machine learning in networking.

Importing this package registers the ``netenvs/*`` ids with Gymnasium and nothing else: simulators,
numba and data are loaded when an environment is made.

A process that may not have imported it, such as a worker of a vector environment, makes
``gym.make("netenvs:netenvs/ABR-v0")``: Gymnasium imports what stands before the colon.
"""

import gymnasium  # noqa: F401  (first: what else is needed of the standard library it has loaded beside numpy's threads)

from netenvs import moved
from netenvs.tasks import BUILT_IN, find

__version__ = "0.1.0"

__all__ = ["__version__", "register_envs"]

moved.keep(
    {
        "netenvs.vp.csv_files": {
            "deal_splits": "netenvs.vp.recording_files.splits:deal_splits",
            "read_recordings": "netenvs.vp.workload:load_recordings",
        },
    }
)


def register_envs() -> None:
    """Register every ``netenvs/*`` id; ids that exist already are left alone, so calling twice is safe."""
    for task in BUILT_IN:
        find(task).register()


register_envs()
