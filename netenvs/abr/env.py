"""``netenvs/ABR-v0``: adaptive bitrate streaming, one session (``ABREnv``) or many (``ABRVectorEnv``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from netenvs.abr import kernel
from netenvs.abr.options import ABROptions
from netenvs.abr.qoe import QoE
from netenvs.abr.records import TraceSet, Video
from netenvs.abr.simulator import Simulator
from netenvs.arguments import check_actions, check_reset_options
from netenvs.options import takes
from netenvs.single import SingleEnv
from netenvs.vector import BatchVectorEnv


class _Session:
    """What the single and the vector environment show of their simulator."""

    simulator: Simulator

    @property
    def traces(self) -> TraceSet:
        """The trace set that episodes are drawn from."""
        return self.simulator.traces

    @property
    def videos(self) -> tuple[Video, ...]:
        """The videos that episodes are drawn from, one or several."""
        return self.simulator.videos


class ABREnv(_Session, SingleEnv[np.ndarray, np.int64]):
    """
    ## Description
    A player streams a video of fixed-length chunks over a link whose bandwidth follows a recorded trace. Before
    each chunk the agent chooses its bitrate level; the chunk is downloaded, the playback buffer drains meanwhile,
    and playback stalls (rebuffers) when it runs empty. The dynamics are those of Pensieve's simulator to the last
    bit of a double, see ``netenvs.abr.kernel``.

    ## Action Space
    ``Discrete(levels)``: the bitrate level of the next chunk, 0 = lowest. With ``action_mode="jump"``
    ``Discrete(3)``: one level down, the same level, one level up; a step off the ladder keeps the level and sets
    ``info["invalid_action"]``.

    ## Observation Space
    ``Box(6, history)``, float32, oldest column first, zeros before the first chunk (Pensieve's layout):

    | Row | Observation                          | Unit         | Scale          |
    |-----|--------------------------------------|--------------|----------------|
    | 0   | bitrate of past chunks               | kbit/s       | / highest      |
    | 1   | buffer after each chunk              | s            | / 10           |
    | 2   | throughput of past chunks            | Mbyte/s      | 1              |
    | 3   | download time of past chunks         | s            | / 10           |
    | 4   | sizes of the next chunk, one a level | Mbyte        | 1              |
    | 5   | chunks left after each chunk         | chunks       | / chunks       |

    Row 4 is no history: its first ``levels`` columns are overwritten at each step (all 0 when no chunk is left).
    With ``observation="flat"`` the rows stand one after the other, ``Box(6 * history,)``.

    ## Rewards
    Quality of experience of the chunk: ``u(q) - rebuffer_penalty * rebuffer_s - switch_penalty * |u(q) - u(previous
    q)|``, with u(q) the bitrate in Mbit/s (``qoe="lin"``), ln(bitrate / highest) (``"log"``) or 1, 2, 3, 12, 15, 20
    (``"hd"``), or numbers of your own for each level, or for each level and chunk; the presets' ``rebuffer_penalty``
    is 4.3 per second (``netllm``, ``pensieve``) or 10 (``genet``), their ``switch_penalty`` 1. See ``netenvs.abr.qoe``.

    ## Starting State
    ``reset`` draws a trace, starts it at its stored position and plays the forced first chunk (level 0, in the
    presets ``pensieve`` and ``genet`` level 1), whose reward is excluded, as in the literature: an episode of a
    48-chunk video is 47 decisions, and return / 47 is the published score. ``reset(seed=s)`` alone determines
    the episode; ``reset(options={"trace": i})`` takes trace i. Of several videos each episode draws one, all as likely;
    ``reset(options={"video": j})`` takes video j. Videos of one environment have the same number of levels; bitrates,
    sizes, durations and numbers of chunks may differ, and so does the length of an episode.

    ## Episode End
    Terminated after the last chunk; never truncated.

    ## Information
    ``delay_ms`` download time with round trip and noise; ``sleep_ms`` pause of a full buffer and
    ``sleep_residual_ms``, the part of it that the published logs report; ``rebuffer_s``; ``buffer_s`` after the
    chunk, and ``buffer_cap_s``, what the player's buffer holds; ``bitrate_kbps``, ``chunk_bytes``,
    ``throughput_mbps`` (bytes over delay) of the chunk; ``chunk`` chunks played; ``trace`` number;
    ``invalid_action``; ``action_mask``; ``chunk_sizes_ahead``, read-only int32 (remaining chunks, levels) in bytes;
    ``video`` and ``qoe``, the ``Video`` and ``QoE`` of the session; ``video_index`` its number, where there are
    several.

    ## Arguments
    | Option               | Default       | Meaning                                                              |
    |----------------------|---------------|----------------------------------------------------------------------|
    | ``traces``           | None          | name, path, ``TraceSet``; None: the preset's, ``synthetic``, ``genet``|
    | ``video``            | None          | name, path, ``Video``, or a list of these; None: ``video1`` with     |
    |                      |               | installed traces, else ``synthetic``                                 |
    | ``preset``           | ``"netllm"``  | ``netllm``, ``pensieve``, ``genet``: the defaults of the others      |
    | ``qoe``              | ``"lin"``     | ``lin``, ``log``, for six levels ``hd``, or utilities of your own, a |
    |                      |               | number a level or a row a chunk: lists, an array, or the path of a   |
    |                      |               | .json, .csv or .npy (``netenvs.abr.utility_tables``)                 |
    | ``rebuffer_penalty`` | None          | of a second of stalling, from 0 up; None: the preset's, 4.3 or 10    |
    | ``switch_penalty``   | None          | of a change of u(q) by one, from 0 up; None: the preset's, 1         |
    | ``history``          | None          | columns of the observation, one a level at least; None: 6, in preset |
    |                      |               | ``pensieve`` 8, and the number of levels where that is larger        |
    | ``observation``      | ``"matrix"``  | ``matrix`` (6, history) or ``flat`` (6 * history,)                   |
    | ``action_mode``      | ``"quality"`` | ``quality`` or ``jump``                                              |
    | ``delay_noise``      | False         | multiply each download time by U[0.9, 1.1)                           |
    | ``start``            | None          | ``stored`` pointer (``netllm``), ``first`` segment, or ``random``    |
    | ``rtt_ms``           | None          | round-trip time; None: the trace's own (``genet``, Sabre), else 80   |
    | ``buffer_cap_s``     | None          | player buffer; None: the trace's own (``genet``), else 60            |

    Names and formats of traces and videos: ``netenvs.abr.workload.load_traces`` and ``load_videos``.

    ## Vectorized
    ``gym.make_vec("netenvs/ABR-v0", num_envs=n)`` makes ``ABRVectorEnv``: row i with seed s equals this
    environment with seed s + i.

    ## References
    Mao, Netravali, Alizadeh, *Neural Adaptive Video Streaming with Pensieve*, SIGCOMM 2017; Xia et al.,
    *Genet*, SIGCOMM 2022; Wu et al., *NetLLM*, SIGCOMM 2024.

    ## Version History
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}  # noqa: RUF012

    @takes(ABROptions)
    def __init__(self, *, render_mode: str | None = None, **options: Any):
        super().__init__(render_mode)
        self.options = ABROptions.of(options)
        self.simulator = Simulator(self.options, rows=1)
        self.observation_space, self.action_space = _spaces(self.simulator, self.options)
        self._shape = self.observation_space.shape
        self._num_actions = self.simulator.num_actions
        self._action = np.zeros(1, dtype=np.int64)
        self._everything = np.ones(1, dtype=np.bool_)
        self._all_actions = np.ones(self._num_actions, dtype=np.bool_)
        self._jump = self.simulator.world.jump
        self._log = np.zeros((max(video.num_chunks for video in self.videos), len(kernel.INFO_COLUMNS)))
        self._show(trace=0, video=0)

    @property
    def video(self) -> Video:
        """The video of the present episode, before the first one that of number 0."""
        return self.videos[self._video]

    @property
    def qoe(self) -> QoE:
        """The objective of the present episode, in levels of its video."""
        return self.simulator.qoes[self._video]

    @property
    def start_pointer(self) -> int:
        """Segment of the trace in which the present episode started."""
        return int(self.simulator.batch.session["start"][0])

    def _check_reset_options(self, options: dict[str, Any] | None) -> np.ndarray:
        """int64 (2, 1): the trace and the video to play, -1 = drawn."""
        given = check_reset_options(options, ("trace", "video"))
        check = self.simulator
        return np.array([[check.check_trace(given.get("trace"))], [check.check_video(given.get("video"))]])

    def _seed(self, seed: int | None, rng: np.random.Generator) -> None:
        self.simulator.seed_row(0, rng)

    def _begin(self, chosen: np.ndarray) -> None:
        batch = self.simulator.batch
        batch.session["episode"][0] += 1
        kernel.reset_rows(self.simulator.world, batch, self._everything, chosen)
        self._show(trace=int(batch.session["trace"][0]), video=int(batch.session["video"][0]))

    def _show(self, trace: int, video: int) -> None:
        """Infos are those of an episode that begins."""
        self._trace, self._video = trace, video
        self._chunk = 0  # chunks played
        self._sizes = self.video.chunk_sizes[: self.video.num_chunks]

    def _act(self, action: Any) -> tuple[float, bool, bool]:
        try:
            self._action[0] = _whole_action(action)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(self._action_error(action)) from None
        if not 0 <= self._action[0] < self._num_actions:
            raise ValueError(self._action_error(action))
        batch = self.simulator.batch
        ended = kernel.step_rows(self.simulator.world, batch, self._action, False)
        return float(batch.session["reward"][0]), ended > 0, False

    def _observation(self) -> np.ndarray:
        observation: np.ndarray = self.simulator.batch.observation[0].copy().reshape(self._shape)
        return observation

    def _action_error(self, action: Any) -> str:
        highest = self._num_actions - 1
        return f"action {action!r} is not in Discrete({highest + 1}): give a whole number from 0 to {highest}"

    def _info(self) -> dict[str, Any]:
        columns = self.simulator.batch.info[:, 0]
        self._log[self._chunk] = columns
        self._chunk += 1
        info: dict[str, Any] = dict(zip(kernel.INFO_COLUMNS, columns.tolist(), strict=True))
        info["chunk"] = self._chunk
        info["trace"] = self._trace
        info["buffer_cap_s"] = float(self.simulator.buffer_cap_s[self._trace])
        info["invalid_action"] = self._jump and bool(self.simulator.batch.session["invalid_action"][0])
        info["action_mask"] = self.action_masks()
        ahead = self._sizes[self._chunk :].copy()  # infos must not share memory
        ahead.setflags(write=False)
        info["chunk_sizes_ahead"] = ahead
        info.update(self.simulator.shared_infos[self._video])
        if len(self.videos) > 1:
            info["video_index"] = self._video
        return info

    def action_masks(self) -> np.ndarray:
        """bool (actions,): False where an action would be clipped."""
        return self.simulator.action_masks()[0] if self._jump else self._all_actions.copy()

    def episode_log(self) -> dict[str, np.ndarray]:
        """Info columns of the chunks played so far in this episode, float64 (chunks played,) each."""
        return {name: self._log[: self._chunk, i].copy() for i, name in enumerate(kernel.INFO_COLUMNS)}

    def episode_figure(self) -> Any:
        """The episode so far as a ``matplotlib.figure.Figure``: bandwidth, bitrate, buffer, stalls over time."""
        from netenvs.abr import viewer  # imports matplotlib

        return viewer.episode_figure(*self._episode())

    def _picture(self) -> np.ndarray:
        from netenvs.abr import viewer  # imports matplotlib

        return viewer.frame(*self._episode())

    def _line(self) -> str:
        from netenvs.abr import viewer  # imports matplotlib

        return viewer.line(self.episode_log(), self.traces.names[self._trace], self.video)

    def _episode(self) -> tuple[dict[str, np.ndarray], TraceSet, int, int, Video]:
        return self.episode_log(), self.traces, self._trace, self.start_pointer, self.video


class ABRVectorEnv(_Session, BatchVectorEnv):
    """A batch of ``ABREnv`` sessions stepped by one kernel call; the same options.

    Row i with seed s equals the single environment with seed s + i, whatever the batch size. ``infos`` holds the
    scalar columns as arrays (rows,); what all rows share (``video``, ``qoe``) is in the attribute
    ``shared_info``, the sizes of all chunks in ``chunk_sizes``, int32 (chunks listed, levels). Of several videos
    (attribute ``videos``) the rows play different ones: ``infos["video_index"]`` has their numbers, ``row_groups`` what
    the rows of a video share.
    ``autoreset_mode``: ``NEXT_STEP`` (default), ``SAME_STEP`` or ``DISABLED``; then rows are reset by
    ``reset(options={"reset_mask": mask})``, bool (rows,). ``options={"trace": i, "video": j}`` pin trace and
    video, one number or int (rows,) with -1 = drawn.
    """

    no_step_limit = "an episode ends with its video"

    @takes(ABROptions)
    def __init__(
        self,
        num_envs: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **options: Any,
    ):
        super().__init__(num_envs, autoreset_mode, max_episode_steps, render_mode)
        self.options = ABROptions.of(options)
        self.simulator = Simulator(self.options, rows=self.num_envs)
        self._set_spaces(*_spaces(self.simulator, self.options))

    @property
    def video(self) -> Video:
        """The video of all rows. Raises ``ValueError`` where they have several."""
        return self.simulator.video

    @property
    def qoe(self) -> QoE:
        """The objective of all rows. Raises ``ValueError`` where they have several videos."""
        return self.simulator.qoe

    @property
    def chunk_sizes(self) -> np.ndarray:
        """Sizes of all chunks in bytes, int32 (chunks listed, levels), read-only; of several see ``videos``."""
        return self.video.chunk_sizes

    @property
    def shared_info(self) -> dict[str, Any]:
        """What every row's ``info`` has in common: ``video`` and ``qoe``. ``ValueError`` where there are several."""
        return self.simulator.shared_info

    def row_groups(self, rows: np.ndarray) -> list[tuple[np.ndarray, dict[str, Any]]]:
        """Rows, int (k,), by what they share: places in ``rows``, and the ``video`` and ``qoe`` of those rows."""
        if len(self.videos) == 1:
            return [(np.arange(len(rows)), self.simulator.shared_info)]
        playing = self.simulator.batch.session["video"][rows]
        return [(np.flatnonzero(playing == of), self.simulator.shared_infos[of]) for of in np.unique(playing).tolist()]

    def action_masks(self) -> np.ndarray:
        """bool (rows, actions): False where an action would be clipped."""
        return self.simulator.action_masks()

    def _check_reset_options(self, options: dict[str, Any] | None) -> np.ndarray:
        """int64 (2, rows): trace and video of each row, -1 = drawn."""
        given = check_reset_options(options, ("trace", "video", "reset_mask"))
        checks = {"trace": self.simulator.check_trace, "video": self.simulator.check_video}
        return np.stack([self._each_row(name, given.get(name), check) for name, check in checks.items()])

    def _each_row(self, name: str, given: Any, check: Callable[[Any], int]) -> np.ndarray:
        """A reset option of one number, or of one for each row, as int64 (rows,)."""
        if given is None or isinstance(given, int | np.integer):
            return np.full(self.num_envs, check(given), dtype=np.int64)
        numbers = np.asarray(given)
        if numbers.shape != (self.num_envs,):
            raise ValueError(
                f"options[{name!r}] must be one number or ({self.num_envs},), it has shape {numbers.shape}"
            )
        return np.array([check(number) for number in numbers.tolist()], dtype=np.int64)

    def _check_actions(self, actions: Any) -> np.ndarray:
        return check_actions(actions, (self.num_envs,), self.simulator.num_actions, self._space)

    def _seed_row(self, row: int, seed: int | None, rng: np.random.Generator) -> None:
        self.simulator.seed_row(row, rng)

    def _begin(self, mask: np.ndarray, chosen: np.ndarray | None) -> None:
        pinned = np.full((2, self.num_envs), -1) if chosen is None else chosen
        self.simulator.batch.session["episode"][mask] += 1
        kernel.reset_rows(self.simulator.world, self.simulator.batch, mask, pinned)

    def _act(self, actions: np.ndarray, autoreset: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        session = self.simulator.batch.session
        kernel.step_rows(self.simulator.world, self.simulator.batch, actions, autoreset)
        return session["reward"].copy(), session["terminated"].copy(), np.zeros(self.num_envs, dtype=np.bool_)

    def _over(self) -> np.ndarray:
        return self.simulator.batch.session["terminated"]

    def _observations(self) -> np.ndarray:
        return self.simulator.batch.observation.copy().reshape(self.observation_space.shape)

    def _columns(self) -> dict[str, Any]:
        batch = self.simulator.batch
        columns: dict[str, Any] = dict(zip(kernel.INFO_COLUMNS, batch.info.copy(), strict=True))
        for name in ("chunk", "trace", "invalid_action"):
            columns[name] = batch.session[name].copy()
        columns["buffer_cap_s"] = self.simulator.buffer_cap_s[columns["trace"]]
        if len(self.videos) > 1:
            columns["video_index"] = batch.session["video"].copy()
        return columns


def _spaces(simulator: Simulator, options: ABROptions) -> tuple[gym.spaces.Box, gym.spaces.Discrete]:
    """Observation and action space of one session."""
    high = simulator.observation_high
    if options.observation == "flat":
        high = high.ravel()
    return gym.spaces.Box(np.zeros_like(high), high, dtype=np.float32), gym.spaces.Discrete(simulator.num_actions)


def _whole_action(action: Any) -> int:
    """The action as an int; ``ValueError`` or ``TypeError`` for NaN, fractions, arrays of several numbers."""
    if isinstance(action, (int, np.integer)):
        return int(action)
    array = np.asarray(action)
    if array.size != 1 or array.ndim > 1:
        raise ValueError
    value = array.reshape(()).item()
    whole = int(value)
    if whole != value:
        raise ValueError
    return whole
