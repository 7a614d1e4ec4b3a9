"""``netenvs/VP-v0``: viewport prediction for 360-degree video, one viewer (``VPEnv``) or many (``VPVectorEnv``)."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict
from gymnasium.vector import AutoresetMode

from netenvs.options import takes
from netenvs.single import SingleEnv
from netenvs.vector import BatchVectorEnv
from netenvs.vp.options import VPOptions
from netenvs.vp.playback import Playback
from netenvs.vp.previous_viewers import playback_index
from netenvs.vp.recordings import Recordings

LARGEST_ANGLE_DEG = 36_000.0

Observation = dict[str, np.ndarray]


class VPEnv(SingleEnv[Observation, np.ndarray]):
    """
    ## Description
    Somebody watches a 360-degree video with a head-mounted display; their head's angles have been recorded five times
    a second. The agent sees the last ``history`` samples and predicts the path of the next ``horizon`` ones.
    Predictions change nothing: the recording goes on as it was.

    ## Action Space
    ``Box(-36000, 36000, (horizon, 3), float32)``: absolute roll, pitch and yaw in degrees at each of the next samples.
    Any angle is scored as it is: nothing is wrapped or clipped before ``mae``; great circles and tiles depend on the
    viewing direction alone.

    ## Observation Space
    A ``Dict``:

    | Key        | Shape                       | dtype   | Content                                          |
    |------------|-----------------------------|---------|--------------------------------------------------|
    | `history`  | (history, 3)                | float32 | roll, pitch, yaw in degrees, oldest sample first |
    | `time_s`   | (1,)                        | float32 | playback time of the last observed sample, s     |
    | `saliency` | (history + horizon, 18, 36) | float32 | with ``saliency=True``: heat maps in [0, 1]      |
    | `features` | (d,)                        | float32 | with ``features=PATH``: of the frame at `time_s` |

    Yaw and roll are in [-180, 180] and jump there; pitch is in [-90, 90]. The view goes along ``(cos p sin y, sin p,
    cos p cos y)``; in the installed data sets a positive pitch looks down. Heat maps show where previous viewers looked
    at the same playback times as history and horizon: the users of the training split, who watched the same video,
    without the viewer at hand. Row r of a map is pitch -85 + 10 r degrees, column c yaw -175 + 10 c.

    ## Rewards
    Minus the mean great-circle distance of predicted and actual viewing directions over the horizon, / 180 degrees.

    ## Starting State
    ``mode="windows"``: ``reset`` draws one of the windows of NetLLM's protocol (one every 3 s of each recording of the
    split, see ``netenvs.vp.recordings.windows``); ``options={"window": i}`` takes window i, in the order of the split's
    videos, then of its users, then of time. ``mode="replay"``: it draws a recording and begins at its start;
    ``options={"recording": i}`` or ``{"video": v, "user": u}`` choose one. ``reset(seed=s)`` alone determines the draw.

    ## Episode End
    ``mode="windows"``: terminated after one decision. ``mode="replay"``: a decision every ``stride_s`` seconds,
    terminated after the last one whose horizon was recorded. Never truncated.

    ## Information
    Of the decision just made, 0 after ``reset``: ``mae`` mean absolute error over steps and axes as NetLLM computes it,
    degrees; ``static_mae`` that of standing still; ``gc_deg`` mean great-circle distance; ``tile_recall``,
    ``tile_precision``, ``tile_iou`` of 8 x 8 tiles in a viewport of 100 x 100 degrees, means over steps, see
    ``netenvs.vp.sphere``; ``great_circle_deg``, float64 (horizon,), the distance at each step. Further: ``video``,
    ``user``; ``window``, its number, in ``replay`` the decisions made so far; ``time_s``, as observed; ``horizon``;
    ``recordings``, ``split`` and ``previous_viewers`` (a ``PreviousViewers``, None without training users), which all
    episodes share.

    ## Arguments
    | Option     | Default       | Meaning                                                                |
    |------------|---------------|------------------------------------------------------------------------|
    | `dataset`  | `"synthetic"` | name or path of recordings, see ``netenvs.vp.workload.load_recordings``|
    | `split`    | `"test"`      | ``train``, ``valid`` or ``test``: disjoint in users and videos         |
    | `history`  | 10            | samples observed (2 s)                                                 |
    | `horizon`  | 20            | samples predicted (4 s)                                                |
    | `saliency` | False         | observe heat maps of previous viewers                                  |
    | `features` | None          | npz file of image features, see ``netenvs.vp.features.load_features``  |
    | `mode`     | `"windows"`   | ``windows`` or ``replay``                                              |
    | `stride_s` | 1.0           | ``replay``: seconds between decisions, a multiple of 0.2               |

    ## Vectorized
    ``gym.make_vec("netenvs/VP-v0", num_envs=n)`` makes ``VPVectorEnv``: row i with seed s equals this environment with
    seed s + i.

    ## References
    Wu et al., *NetLLM*, SIGCOMM 2024; Romero Rondon et al., *TRACK*, IEEE TPAMI 2021 (great circles, heat maps).

    ## Version History
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}  # noqa: RUF012

    @takes(VPOptions)
    def __init__(self, *, render_mode: str | None = None, **options: Any):
        super().__init__(render_mode)
        self.options = VPOptions.of(options)
        self.playback = Playback(self.options, rows=1)
        self.observation_space, self.action_space = _spaces(self.playback)
        self._shape, self._space = (self.playback.horizon, 3), str(self.action_space)
        self._decided: int | None = None  # position of the decision made last
        self._predicted = np.empty(self._shape, dtype=np.float32)
        self._log: list[np.ndarray] = []

    @property
    def recordings(self) -> Recordings:
        """The data set."""
        return self.playback.recordings

    def _check_reset_options(self, options: dict[str, Any] | None) -> np.ndarray:
        """int64 (1,): the window or recording to play, -1 = drawn."""
        return self.playback.pinned(options)

    def _seed(self, seed: int | None, rng: np.random.Generator) -> None:
        self.playback.seed_row(0, rng)

    def _begin(self, chosen: np.ndarray) -> None:
        self.playback.begin(np.ones(1, dtype=np.bool_), chosen)
        self._decided = None
        self._log = []

    def _act(self, action: Any) -> tuple[float, bool, bool]:
        self._predicted = check_paths(action, self._shape, self._space)
        playback = self.playback
        self._decided = int(playback.position[0])
        reward = float(playback.step(self._predicted[None])[0])
        self._log.append(playback.great_circle_deg[0].copy())
        return reward, bool(playback.over[0]), False

    def _observation(self) -> Observation:
        return {name: values[0] for name, values in self.playback.observations().items()}

    def _info(self) -> dict[str, Any]:
        info: dict[str, Any] = {name: column[0].item() for name, column in self.playback.columns().items()}
        info["great_circle_deg"] = self.playback.great_circle_deg[0].copy()
        return {**self.playback.shared_info, **info}

    def errors_by_step(self) -> np.ndarray:
        """Great-circle distances of this episode in degrees, float64 (decisions, horizon)."""
        return np.array(self._log).reshape(-1, self.playback.horizon)

    def episode_figure(self) -> Any:
        """The last decision on the map, and the error by horizon, as a ``matplotlib.figure.Figure``."""
        from netenvs.vp import viewer  # imports matplotlib

        return viewer.decision_figure(self.scene())

    def _picture(self) -> np.ndarray:
        from netenvs.vp import viewer  # imports matplotlib

        return viewer.frame(self.scene())

    def _line(self) -> str:
        from netenvs.vp import viewer  # imports matplotlib

        return viewer.line(self.scene())

    def scene(self) -> Any:
        """The last decision, or before the first one what is observed."""
        from netenvs.vp import viewer

        playback = self.playback
        at = int(playback.position[0]) if self._decided is None else self._decided
        position, horizon = np.array([at]), playback.horizon
        time_s = float(self.recordings.time_s[at - 1])
        heat_map = None
        if playback.previous_viewers is not None and self.render_mode != "ansi":
            ahead = int(playback_index(time_s)) + 1
            heat_map = playback.previous_viewers.heat_maps(playback.video[0], ahead, horizon, playback.user[0]).mean(0)
        decided = self._decided is not None
        name = self.recordings.name.partition("(")[0]  # without the options of a generator
        return viewer.Scene(
            title=f"{name}, video {playback.video[0]}, user {playback.user[0]}, {time_s:.1f} s",
            history=playback.stretches(position - playback.history, playback.history)[0],
            predicted=self._predicted if decided else None,
            actual=playback.stretches(position, horizon)[0] if decided else None,
            heat_map=heat_map,
            errors_deg=self.errors_by_step(),
        )


class VPVectorEnv(BatchVectorEnv):
    """A batch of ``VPEnv`` stepped by array operations; the same options.

    Row i with seed s equals the single environment with seed s + i, whatever the batch size. ``infos`` holds the scalar
    columns as arrays (rows,); what all rows share (``recordings``, ``split``, ``horizon``, ``previous_viewers``) is in
    the attribute ``shared_info``, the distances by step in ``great_circle_deg``, float64 (rows, horizon).
    ``autoreset_mode``: ``NEXT_STEP`` (default), ``SAME_STEP`` or ``DISABLED``; then rows are reset by
    ``reset(options={"reset_mask": mask})``, bool (rows,). The options that choose an episode are one number or int
    (rows,) with -1 = drawn.
    """

    no_step_limit = "an episode ends with its window or recording"

    @takes(VPOptions)
    def __init__(
        self,
        num_envs: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **options: Any,
    ):
        super().__init__(num_envs, autoreset_mode, max_episode_steps, render_mode)
        self.options = VPOptions.of(options)
        self.playback = Playback(self.options, rows=self.num_envs)
        self._set_spaces(*_spaces(self.playback))

    @property
    def recordings(self) -> Recordings:
        """The data set."""
        return self.playback.recordings

    @property
    def shared_info(self) -> dict[str, Any]:
        """What every row's ``info`` has in common: ``recordings``, ``split``, ``horizon``, ``previous_viewers``."""
        return self.playback.shared_info

    @property
    def great_circle_deg(self) -> np.ndarray:
        """float64 (rows, horizon): great-circle distance at each step of the decisions just made, 0 after a reset."""
        return self.playback.great_circle_deg.copy()

    def _check_reset_options(self, options: dict[str, Any] | None) -> np.ndarray:
        return self.playback.pinned(options, "reset_mask")

    def _check_actions(self, actions: Any) -> np.ndarray:
        return check_paths(actions, (self.num_envs, self.playback.horizon, 3), self._space)

    def _seed_row(self, row: int, seed: int | None, rng: np.random.Generator) -> None:
        self.playback.seed_row(row, rng)

    def _begin(self, mask: np.ndarray, chosen: np.ndarray | None) -> None:
        self.playback.begin(mask, chosen)

    def _act(self, actions: np.ndarray, autoreset: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rewards = self.playback.step(actions, begin_over=autoreset)
        return rewards, self.playback.over.copy(), np.zeros(self.num_envs, dtype=np.bool_)

    def _over(self) -> np.ndarray:
        return self.playback.over

    def _observations(self) -> Observation:
        return self.playback.observations()

    def _columns(self) -> dict[str, Any]:
        return self.playback.columns()


def check_paths(paths: Any, shape: tuple[int, ...], space: str) -> np.ndarray:
    """float32 ``shape`` = (..., horizon, 3), contiguous: predicted paths in degrees. ``ValueError`` for others."""
    try:
        array = np.asarray(paths)
    except ValueError:  # lists of different lengths
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"actions must be numbers, float32 {shape}: {space}")
    if array.shape != shape:
        raise ValueError(f"actions have shape {array.shape}, expected {shape}: {space}")
    if not np.abs(array).max() <= LARGEST_ANGLE_DEG:  # not, as NaN compares as False
        outside = np.unravel_index(np.argmax(~(np.abs(array) <= LARGEST_ANGLE_DEG)), shape)
        where = "".join(f", {what} {at}" for what, at in zip(("axis", "step", "row"), outside[::-1], strict=False))
        raise ValueError(f"action {array[outside]}{where} is not in {space}: give finite degrees")
    return np.ascontiguousarray(array, dtype=np.float32)


def _spaces(playback: Playback) -> tuple[Any, Box]:
    """Observation and action space of one viewer."""
    parts: dict[str, gym.Space[Any]] = {
        name: Box(low, high, dtype=np.float32) for name, (low, high) in playback.bounds().items()
    }
    return Dict(parts), Box(-LARGEST_ANGLE_DEG, LARGEST_ANGLE_DEG, (playback.horizon, 3), np.float32)
