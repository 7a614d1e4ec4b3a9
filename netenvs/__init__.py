"""Gymnasium environments for machine learning in networking.

Importing this package registers the ``netenvs/*`` ids with Gymnasium and nothing else: simulators,
numba and data are loaded when an environment is made.
"""

from gymnasium.envs.registration import register, registry

__version__ = "0.1.0"

__all__ = ["__version__", "register_envs"]

_CJS = ("netenvs.cjs.env:CJSEnv", "netenvs.cjs.env:CJSVectorEnv")
_ENVIRONMENTS: dict[str, tuple[tuple[str, str], dict[str, int]]] = {  # id -> entry points, options
    "netenvs/ABR-v0": (("netenvs.abr.env:ABREnv", "netenvs.abr.env:ABRVectorEnv"), {}),
    "netenvs/CJS-v0": (_CJS, {}),
    "netenvs/CJS-small-v0": (_CJS, {"num_executors": 10, "num_jobs": 20}),
    "netenvs/CJS-overload-v0": (_CJS, {"num_executors": 10, "num_jobs": 50}),
    "netenvs/VP-v0": (("netenvs.vp.env:VPEnv", "netenvs.vp.env:VPVectorEnv"), {}),
    "netenvs/VPStreaming-v0": (
        ("netenvs.vp_streaming.env:VPStreamingEnv", "netenvs.vp_streaming.env:VPStreamingVectorEnv"),
        {},
    ),
}


def register_envs() -> None:
    """Register every ``netenvs/*`` id; ids that exist already are left alone, so calling twice is safe."""
    for env_id, ((entry_point, vector_entry_point), options) in _ENVIRONMENTS.items():
        if env_id not in registry:
            register(id=env_id, entry_point=entry_point, vector_entry_point=vector_entry_point, kwargs=dict(options))


register_envs()
