"""``netenvs/VPStreaming-v0``: tiled 360-degree streaming, one viewer (``VPStreamingEnv``) or many at once."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from gymnasium.vector import AutoresetMode

from netenvs.abr.workload import TraceSet
from netenvs.arguments import check_actions
from netenvs.options import takes
from netenvs.single import SingleEnv
from netenvs.vector import BatchVectorEnv
from netenvs.vp.recordings import Recordings
from netenvs.vp_streaming import kernel
from netenvs.vp_streaming.options import VPStreamingOptions
from netenvs.vp_streaming.qoe import ViewportQoE
from netenvs.vp_streaming.simulator import Simulator
from netenvs.vp_streaming.tiles import TileGrid

Observation = dict[str, np.ndarray]


class _Session:
    """What the single and the vector environment show of their simulator."""

    simulator: Simulator

    @property
    def recordings(self) -> Recordings:
        """The data set of head motion."""
        return self.simulator.recordings

    @property
    def traces(self) -> TraceSet:
        """The bandwidth traces, before ``bandwidth_scale``."""
        return self.simulator.traces

    @property
    def grid(self) -> TileGrid:
        """How the frame is cut."""
        return self.simulator.grid

    @property
    def qoe(self) -> ViewportQoE:
        """The objective."""
        return self.simulator.qoe


class VPStreamingEnv(_Session, SingleEnv[Observation, Any]):
    """
    ## Description
    Somebody watches a 360-degree video over a link whose bandwidth follows a recorded trace. The video is cut into
    chunks of one second and each chunk into tiles, every tile at several rates. A chunk is fetched one to a few seconds
    before it is watched, when it is not known yet where the viewer will look: tiles out of sight are wasted, and where
    a tile in sight was not fetched there is a hole in the picture. The head moves as it was recorded, along with the
    picture: it rests while playback stalls.

    ## Action Space
    What to fetch of the next chunk; every action can be done at any time. A *level* is 0, not fetched, or r for the
    r-th of ``rates_mbps``; with the default five rates there are six. ``action_mode`` is one of

    * ``"tiles"``: ``MultiDiscrete([6] * tiles)``, a level for each tile, row by row: for policies that predict the
      viewport themselves, by a path or a probability for each tile;
    * ``"zones"``: ``MultiDiscrete([6] * 3)``, levels of the viewport that the environment predicts, of the ring of
      tiles around it, and of all others;
    * ``"pair"``: ``Discrete(15)``, with n rates n (n + 1) / 2: a rate in the predicted viewport and a rate outside that
      is not above it, in the order (1, 1), (2, 1), (2, 2), (3, 1) ... Outside the rate falls with the distance from the
      viewport: a tile d steps away gets the rate nearest to 1 / d of it, at least the lowest, as in MANSY.

    The environment's own prediction for ``zones`` and ``pair`` is standing still (``predictor="static"``) or the
    straight line through the last second (``"line"``); the predicted viewport is the union over the chunk.

    ## Observation Space
    A ``Dict`` of float32, in physical units (normalise them for a neural network, as ``VecNormalize`` does):

    | Key               | Shape        | Content                                                                    |
    |-------------------|--------------|----------------------------------------------------------------------------|
    | `history`         | (history, 3) | roll, pitch, yaw in degrees up to the playback position, five samples a s  |
    | `time_s`          | (1,)         | playback time of the last of them, s                                       |
    | `buffer_s`        | (1,)         | playback time fetched ahead, s                                             |
    | `throughput_mbps` | (8,)         | size / download time of past chunks, Mbit/s, zeros before the first        |
    | `download_s`      | (8,)         | download time of past chunks with the round trip, s                        |
    | `fetched`         | (tiles,)     | rates of the last chunk's tiles / the highest rate, 0 where not fetched    |
    | `tile_mbyte`      | (tiles,)     | sizes of the next chunk's tiles at the lowest rate, Mbyte                  |
    | `viewport`        | (tiles,)     | 1 in the viewport that the environment predicts for the next chunk         |
    | `chunks_left`     | (1,)         | share of the video that is still to fetch                                  |

    Sizes at other rates are proportional; with no chunk left they are 0. Before the recording begins the head stood as
    in its first sample.

    ## Rewards
    Quality of experience of the chunk: ``q - stall_penalty (stall_s + viewport_stall_s) - change_penalty |q - previous
    q| - spread_penalty s``, with q the mean quality of the tiles in the actual viewport and s their standard deviation;
    quality is ln(rate / lowest rate) (``qoe="log"``) or rate / highest rate (``"lin"``). See
    ``netenvs.vp_streaming.qoe``. A reward comes with the chunk's download, although a player would know it only once
    the chunk has been watched; observations hold nothing that is not known yet.

    ## Starting State
    ``reset`` draws a recording of the split and a trace, and fetches the forced first chunk, all tiles at the lowest
    rate, whose reward is excluded, as in ``netenvs/ABR-v0``. ``reset(seed=s)`` alone determines the episode;
    ``reset(options={"recording": i, "trace": j})`` or ``{"video": v, "user": u}`` choose. Recordings are numbered in
    the order of the split's videos, then of its users.

    ## Episode End
    Terminated after the last whole chunk of the recording; never truncated.

    ## Information
    Of the chunk just fetched: ``quality`` (q), ``quality_change``, ``quality_spread`` (s); ``stall_s`` without a frame
    and ``viewport_stall_s`` with a hole in sight; ``fetched_mbyte`` and ``wasted_mbyte``, the tiles that are never in
    sight; ``tile_recall`` and ``tile_precision`` of the tiles that the action bets on, those at its highest level,
    against those that are in sight at any of the chunk's five samples; ``delay_ms`` with the round trip, ``sleep_ms``
    of a full buffer, ``buffer_s``, ``throughput_mbps``; ``chunk`` chunks fetched. Of the episode: ``recording``,
    ``video``, ``user``, ``trace``. For predictors: ``time_s`` of the last sample seen, ``lead``, how many samples after
    it the next chunk begins, and ``horizon``, no less than ``lead + 4``. All episodes share ``recordings``, ``split``,
    ``previous_viewers``, ``grid``, ``fov_deg``, ``rates_mbps`` and ``qoe``. ``action_mask`` and ``invalid_action`` are
    as everywhere, and here never exclude anything.

    ## Arguments
    | Option            | Default              | Meaning                                                             |
    |-------------------|----------------------|---------------------------------------------------------------------|
    | `dataset`         | `"synthetic"`        | recordings, see ``netenvs.vp.workload.load_recordings``             |
    | `split`           | `"test"`             | ``train``, ``valid`` or ``test`` of the recordings                  |
    | `traces`          | `"synthetic"`        | bandwidth, see ``netenvs.abr.workload.load_traces``                 |
    | `bandwidth_scale` | 10.0                 | factor on it: traces of the ABR store are of 1 to 2 Mbit/s          |
    | `action_mode`     | `"tiles"`            | ``tiles``, ``zones`` or ``pair``                                    |
    | `predictor`       | `"static"`           | the environment's own prediction, ``static`` or ``line``            |
    | `tiles`           | `"8x8"`              | rows x columns, such as ``6x12``                                    |
    | `fov_deg`         | (100, 100)           | width and height of the viewport, see ``sphere.tile_masks``         |
    | `rates_mbps`      | (1, 5, 8, 16, 35)    | of the whole sphere, ascending                                      |
    | `qoe`             | `"log"`              | ``log`` or ``lin``                                                  |
    | `stall_penalty`   | None                 | per second; None: the highest quality                               |
    | `change_penalty`  | 1.0                  | per unit of quality                                                 |
    | `spread_penalty`  | 1.0                  | per unit of quality                                                 |
    | `history`         | 10                   | samples of the head observed (2 s)                                  |
    | `start`           | `"stored"`           | ``stored`` position of the trace, its ``first`` segment, ``random`` |
    | `rtt_ms`          | 80.0                 | round trip of every chunk                                           |
    | `buffer_cap_s`    | 3.0                  | most playback time fetched ahead; 3 to 5 s are usual                |
    | `video_seed`      | 0                    | of the sizes of tiles                                               |

    Round-trip times and buffers that come with traces (``genet``) are not used.

    ## Vectorized
    ``gym.make_vec("netenvs/VPStreaming-v0", num_envs=n)`` makes ``VPStreamingVectorEnv``: row i with seed s equals this
    environment with seed s + i.

    ## References
    MANSY (github.com/duowuyms/MANSY_ImmersiveVideoStreaming): rates, pairs, terms of QoE; Mao et al., *Pensieve*,
    SIGCOMM 2017: the player; Wu et al., *NetLLM*, SIGCOMM 2024, and Jin et al., ACM MM 2022: head motion.

    ## Version History
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 1}  # noqa: RUF012

    @takes(VPStreamingOptions)
    def __init__(self, *, render_mode: str | None = None, **options: Any):
        super().__init__(render_mode)
        self.options = VPStreamingOptions.of(options)
        self.simulator = Simulator(self.options, rows=1)
        self.observation_space, self.action_space = _spaces(self.simulator)
        self._sizes = self.simulator.action_sizes
        self._space = str(self.action_space)
        self._log: list[dict[str, Any]] = []
        self._fetched: list[np.ndarray] = []

    def _check_reset_options(self, options: dict[str, Any] | None) -> np.ndarray:
        """int64 (2, 1): recording and trace to play, -1 = drawn."""
        return self.simulator.pinned(options)

    def _seed(self, seed: int | None, rng: np.random.Generator) -> None:
        self.simulator.seed_row(0, rng)

    def _begin(self, chosen: np.ndarray) -> None:
        self.simulator.begin(np.ones(1, dtype=np.bool_), chosen)
        self._log, self._fetched = [], []

    def _act(self, action: Any) -> tuple[float, bool, bool]:
        if isinstance(self.action_space, Discrete):
            checked = check_actions(_one_number(action), (1,), self._sizes[0], self._space)
        else:
            checked = check_actions(action, self._sizes.shape, self._sizes, self._space)
        self.simulator.step(checked[None], autoreset=False)
        session = self.simulator.batch.session
        return float(session["reward"][0]), bool(session["terminated"][0]), False

    def _observation(self) -> Observation:
        return {name: values[0] for name, values in self.simulator.observations().items()}

    def _info(self) -> dict[str, Any]:
        simulator = self.simulator
        info: dict[str, Any] = {name: column[0].item() for name, column in simulator.columns().items()}
        self._log.append({name: info[name] for name in kernel.INFO_COLUMNS})
        self._fetched.append(simulator.batch.levels[0].astype(np.int8))
        info["action_mask"] = self.action_masks()
        return {**simulator.shared_info, **info}

    def action_masks(self) -> np.ndarray:
        """bool (sum of the components' sizes,): all True."""
        return np.ones(int(self._sizes.sum()), dtype=np.bool_)

    def episode_log(self) -> dict[str, np.ndarray]:
        """Info columns of the chunks fetched so far in this episode, float64 (chunks,) each."""
        return {name: np.array([chunk[name] for chunk in self._log]) for name in kernel.INFO_COLUMNS}

    def fetched_levels(self) -> np.ndarray:
        """Levels of the tiles fetched so far in this episode, int8 (chunks, tile rows, tile columns)."""
        return np.array(self._fetched, dtype=np.int8).reshape(-1, *self.grid)

    def watched(self) -> np.ndarray:
        """What the viewer does during the whole episode, float32 (chunks, 5, 3): roll, pitch, yaw. It is the future."""
        world, session = self.simulator.world, self.simulator.batch.session[0]
        of = world.recordings[session["recording"]]
        begin, chunks = of["begin"], of["chunks"]
        angles = world.angles_deg[begin : begin + chunks * kernel.SAMPLES]
        return angles.reshape(chunks, kernel.SAMPLES, 3).copy()

    def episode_figure(self) -> Any:
        """The newest chunk's tiles and the episode so far, as a ``matplotlib.figure.Figure``."""
        from netenvs.vp_streaming import viewer  # imports matplotlib

        return viewer.episode_figure(self.scene())

    def _picture(self) -> np.ndarray:
        from netenvs.vp_streaming import viewer  # imports matplotlib

        return viewer.frame(self.scene())

    def _line(self) -> str:
        from netenvs.vp_streaming import viewer  # imports matplotlib

        return viewer.line(self.scene())

    def scene(self) -> Any:
        """What there is to draw: the newest chunk and the log of the episode."""
        from netenvs.vp_streaming import viewer

        simulator, chunk = self.simulator, len(self._log) - 1
        name = self.recordings.name.partition("(")[0]  # without the options of a generator
        trace = self.traces.names[simulator.batch.session["trace"][0]]
        return viewer.Scene(
            title=f"{name}, video {simulator.video[0]}, user {simulator.user[0]} on {trace}",
            chunk=chunk,
            levels=self.fetched_levels()[chunk],
            watched=self.watched()[chunk],
            fov_deg=simulator.fov_deg,
            rates_mbps=simulator.rates_mbps,
            log=self.episode_log(),
        )


class VPStreamingVectorEnv(_Session, BatchVectorEnv):
    """A batch of ``VPStreamingEnv`` sessions stepped by one kernel call; the same options.

    Row i with seed s equals the single environment with seed s + i, whatever the batch size. ``infos`` holds the scalar
    columns as arrays (rows,); what all rows share is in the attribute ``shared_info``. ``autoreset_mode``:
    ``NEXT_STEP`` (default), ``SAME_STEP`` or ``DISABLED``; then rows are reset by
    ``reset(options={"reset_mask": mask})``, bool (rows,). The options that choose an episode are one number or int
    (rows,) with -1 = drawn.
    """

    no_step_limit = "an episode ends with its recording"

    @takes(VPStreamingOptions)
    def __init__(
        self,
        num_envs: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **options: Any,
    ):
        super().__init__(num_envs, autoreset_mode, max_episode_steps, render_mode)
        self.options = VPStreamingOptions.of(options)
        self.simulator = Simulator(self.options, rows=self.num_envs)
        self._set_spaces(*_spaces(self.simulator))
        self._sizes = self.simulator.action_sizes

    @property
    def shared_info(self) -> dict[str, Any]:
        """What every row's ``info`` has in common, ``grid``, ``rates_mbps`` and ``previous_viewers`` among it."""
        return self.simulator.shared_info

    def action_masks(self) -> np.ndarray:
        """bool (rows, sum of the components' sizes): all True."""
        return np.ones((self.num_envs, int(self._sizes.sum())), dtype=np.bool_)

    def _check_reset_options(self, options: dict[str, Any] | None) -> np.ndarray:
        return self.simulator.pinned(options, "reset_mask")

    def _check_actions(self, actions: Any) -> np.ndarray:
        if isinstance(self.single_action_space, Discrete):
            return check_actions(actions, (self.num_envs,), self._sizes[0], self._space)[:, None]
        return check_actions(actions, (self.num_envs, len(self._sizes)), self._sizes, self._space)

    def _seed_row(self, row: int, seed: int | None, rng: np.random.Generator) -> None:
        self.simulator.seed_row(row, rng)

    def _begin(self, mask: np.ndarray, chosen: np.ndarray | None) -> None:
        self.simulator.begin(mask, chosen)

    def _act(self, actions: np.ndarray, autoreset: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.simulator.step(actions, autoreset)
        session = self.simulator.batch.session
        return session["reward"].copy(), session["terminated"].copy(), np.zeros(self.num_envs, dtype=np.bool_)

    def _over(self) -> np.ndarray:
        return self.simulator.batch.session["terminated"]

    def _observations(self) -> Observation:
        return self.simulator.observations()

    def _columns(self) -> dict[str, Any]:
        return self.simulator.columns()


def _spaces(simulator: Simulator) -> tuple[Any, Discrete | MultiDiscrete]:
    """Observation and action space of one session."""
    parts: dict[str, gym.Space[Any]] = {
        name: Box(low, high, dtype=np.float32) for name, (low, high) in simulator.bounds().items()
    }
    sizes = simulator.action_sizes
    action_space = Discrete(int(sizes[0])) if simulator.action_mode == "pair" else MultiDiscrete(sizes)
    return Dict(parts), action_space


def _one_number(action: Any) -> Any:
    """An action of ``Discrete``, a number or an array of one, as (1,); others as they are, to be refused."""
    try:
        array = np.asarray(action)
    except ValueError:  # lists of different lengths
        return action
    return array.reshape(1) if array.size == 1 and array.ndim < 2 else action
