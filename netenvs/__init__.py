"""Gymnasium environments for machine learning in networking.

Importing this package registers the ``netenvs/*`` ids with Gymnasium and nothing else: simulators,
numba and data are loaded when an environment is made.
"""

from gymnasium.envs.registration import register, registry

__version__ = "0.1.0"

__all__ = ["__version__", "register_envs"]

_TASKS = {
    "netenvs/ABR-v0": ("netenvs.abr.env:ABREnv", "netenvs.abr.env:ABRVectorEnv"),
}


def register_envs() -> None:
    """Register every ``netenvs/*`` id; ids that exist already are left alone, so calling twice is safe."""
    for env_id, (entry_point, vector_entry_point) in _TASKS.items():
        if env_id not in registry:
            register(id=env_id, entry_point=entry_point, vector_entry_point=vector_entry_point)


register_envs()
