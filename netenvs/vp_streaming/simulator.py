"""World and state behind ``VPStreamingEnv`` and ``VPStreamingVectorEnv``: options in, kernel arrays out."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from netenvs.abr.kernel import PAYLOAD_PORTION
from netenvs.abr.workload import TraceSet, load_traces
from netenvs.arguments import check_reset_options
from netenvs.vp.previous_viewers import PreviousViewers
from netenvs.vp.recordings import Recordings, find_recording, recordings_of
from netenvs.vp.workload import load_recordings
from netenvs.vp_streaming import kernel
from netenvs.vp_streaming.options import ACTION_MODES, VPStreamingOptions
from netenvs.vp_streaming.qoe import ViewportQoE, make_qoe
from netenvs.vp_streaming.tiles import TileGrid, bytes_at_1_mbps, parse_grid

ZONES = 3
DRAWN = -1


class Simulator:
    """World and state of a batch of sessions: what the single and the vector environment share."""

    def __init__(self, options: VPStreamingOptions, rows: int):
        self.options = options
        self.dataset, self.split, self.action_mode = options.dataset, options.split, options.action_mode
        self.bandwidth_scale, self.rtt_ms = options.bandwidth_scale, options.rtt_ms
        self.buffer_cap_s = options.buffer_cap_s
        width, height = options.fov_deg
        self.fov_deg = (width, height)
        self.rates_mbps = np.array(options.rates_mbps)
        self.rates_mbps.flags.writeable = False
        self.grid: TileGrid = parse_grid(options.tiles)
        self.qoe: ViewportQoE = make_qoe(
            options.qoe, self.rates_mbps, options.stall_penalty, options.change_penalty, options.spread_penalty
        )
        self.history = options.history
        self.horizon = int(np.ceil(self.buffer_cap_s * 1000.0 / kernel.SAMPLE_MS)) + kernel.SAMPLES
        """Samples from the last one seen to the end of the next chunk, at most."""
        self._load()
        self.batch = self._make_batch(rows)
        self._warm_up()

    def _load(self) -> None:
        """What a copy or a pickle does not carry: it can be large, and never changes."""
        self.recordings: Recordings = load_recordings(self.dataset)
        self.traces: TraceSet = load_traces(self.options.traces)
        listed = recordings_of(self.recordings, self.split)
        chunks = np.diff(self.recordings.offset)[listed] // kernel.SAMPLES
        self.recording = listed[chunks >= 2]
        """int64 (recordings of the split that can be streamed,): their numbers in ``recordings``."""
        if not len(self.recording):
            raise ValueError(f"split {self.split!r} of {self.recordings.name} has no recording of 2 s or more")
        self.previous_viewers = _viewers_of(self.recordings)
        self.world = self._make_world()

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("recordings", "traces", "recording", "previous_viewers", "world")
        return {name: value for name, value in vars(self).items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._load()

    def _make_world(self) -> kernel.World:
        recordings, traces = self.recordings, self.traces
        offset = recordings.offset
        samples = [np.arange(offset[number], offset[number + 1]) for number in self.recording]
        chunks = np.array([len(own) // kernel.SAMPLES for own in samples])
        video = recordings.video[self.recording]
        sizes: list[np.ndarray] = []
        begin_of: dict[int, int] = {}
        for number in np.unique(video).tolist():
            begin_of[number] = sum(len(of) for of in sizes)
            sizes.append(
                bytes_at_1_mbps(self.grid, number, int(chunks[video == number].max()), self.options.video_seed)
            )
        table = np.empty(len(self.recording), dtype=kernel.RECORDING)
        table["begin"] = np.cumsum([0, *map(len, samples)])[:-1]
        table["chunks"] = chunks
        table["sizes"] = [begin_of[number] for number in video.tolist()]
        trace_table = np.empty(len(traces), dtype=kernel.TRACE)
        trace_table["begin"], trace_table["end"] = traces.offset[:-1], traces.offset[1:]
        trace_table["start_pointer"] = traces.start_pointer if self.options.start == "stored" else 1
        levels = len(self.rates_mbps)
        everything = np.concatenate(samples)
        # all arrays are writeable: pickling forgets that one is not, and numba compiles again for each kind
        return kernel.World(
            time_s=traces.time_s.copy(),
            bandwidth_mbps=traces.bandwidth_mbps * self.bandwidth_scale,
            traces=trace_table,
            angles_deg=recordings.angles_deg[everything],
            sample_s=recordings.time_s[everything],
            recordings=table,
            sizes=np.concatenate(sizes),
            rates_mbps=self.rates_mbps.copy(),
            pairs=np.array([(i, j) for i in range(1, levels + 1) for j in range(1, i + 1)], dtype=np.int64),
            utility=self.qoe.utility.copy(),
            stall_penalty=self.qoe.stall_penalty,
            change_penalty=self.qoe.change_penalty,
            spread_penalty=self.qoe.spread_penalty,
            tile_rows=self.grid.rows,
            tile_columns=self.grid.columns,
            fov_width=self.fov_deg[0],
            fov_height=self.fov_deg[1],
            rtt_ms=self.rtt_ms,
            buffer_cap_ms=self.buffer_cap_s * 1000.0,
            mode=ACTION_MODES[self.action_mode],
            line=self.options.predictor == "line",
            random_start=self.options.start == "random",
        )

    def _make_batch(self, rows: int) -> kernel.Batch:
        tiles, past = self.grid.tiles, kernel.PAST
        floats = {name: np.zeros((rows, *low.shape), dtype=np.float32) for name, (low, _) in self.bounds().items()}
        return kernel.Batch(
            session=np.zeros(rows, dtype=kernel.SESSION),
            info=np.zeros((len(kernel.INFO_COLUMNS), rows)),
            levels=np.zeros((rows, tiles), dtype=np.int64),
            seen=np.zeros((rows, tiles), dtype=np.bool_),
            ring=np.zeros((rows, tiles), dtype=np.int64),
            history=floats["history"],
            observed_s=floats["time_s"],
            buffer_s=floats["buffer_s"],
            throughput=np.zeros((rows, past), dtype=np.float32),
            download_s=np.zeros((rows, past), dtype=np.float32),
            fetched=floats["fetched"],
            tile_mbyte=floats["tile_mbyte"],
            viewport=floats["viewport"],
            chunks_left=floats["chunks_left"],
        )

    def _warm_up(self) -> None:
        """Compile the kernels (or load them from the disk cache) outside of any timed loop."""
        rows = len(self.batch.session)
        drawn = np.full(rows, DRAWN, dtype=np.int64)
        kernel.reset_rows(self.world, self.batch, np.zeros(rows, dtype=np.bool_), drawn, drawn)
        # no row is stepped: the action array is empty
        kernel.step_rows(self.world, self.batch, np.empty((0, len(self.action_sizes)), dtype=np.int64), False)

    # ------------------------------------------------------------------------------------------------ spaces

    @property
    def action_sizes(self) -> np.ndarray:
        """int64 (components,): how many values each component of an action has."""
        levels = len(self.rates_mbps) + 1
        if self.action_mode == "pair":
            return np.array([len(self.world.pairs)], dtype=np.int64)
        return np.full(self.grid.tiles if self.action_mode == "tiles" else ZONES, levels, dtype=np.int64)

    def bounds(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Lowest and highest values of each part of the observation, float32, of its shape."""
        world, tiles = self.world, self.grid.tiles
        angles = np.broadcast_to(np.array([180.0, 90.0, 180.0], dtype=np.float32), (self.history, 3))
        lowest_s, highest_s = world.sample_s.min(), world.sample_s.max()
        slack = 1.001  # for rounding to float32
        highs: dict[str, tuple[tuple[int, ...], float]] = {
            "buffer_s": ((1,), self.buffer_cap_s * slack),
            "throughput_mbps": ((kernel.PAST,), float(world.bandwidth_mbps.max()) * slack),
            "download_s": ((kernel.PAST,), self._slowest_s() * slack),
            "fetched": ((tiles,), 1.0),
            "tile_mbyte": ((tiles,), float(world.sizes.max() * self.rates_mbps[0] / 1e6) * slack + 1e-6),
            "viewport": ((tiles,), 1.0),
            "chunks_left": ((1,), 1.0),
        }
        return {
            "history": (-angles, angles),
            "time_s": (np.array([lowest_s], dtype=np.float32), np.array([highest_s], dtype=np.float32)),
            **{
                name: (np.zeros(shape, dtype=np.float32), np.full(shape, high, dtype=np.float32))
                for name, (shape, high) in highs.items()
            },
        }

    def _slowest_s(self) -> float:
        """No download takes longer: the largest chunk over whole laps of the slowest trace."""
        world = self.world
        largest = float(world.sizes.sum(axis=1).max() * self.rates_mbps[-1]) + self.grid.tiles
        slowest_s = 0.0
        for of in world.traces:
            time_s, bandwidth = world.time_s[of["begin"] : of["end"]], world.bandwidth_mbps[of["begin"] : of["end"]]
            lap_bytes = np.sum(np.diff(time_s) * bandwidth[1:]) * 1e6 / 8 * PAYLOAD_PORTION
            slowest_s = max(slowest_s, float((largest // lap_bytes + 2) * time_s[-1]))
        return slowest_s + self.rtt_ms / 1000.0

    def observations(self) -> dict[str, np.ndarray]:
        """Of all rows: fresh arrays (rows, ...)."""
        batch = self.batch
        return {
            "history": batch.history.copy(),
            "time_s": batch.observed_s.copy(),
            "buffer_s": batch.buffer_s.copy(),
            "throughput_mbps": batch.throughput.copy(),
            "download_s": batch.download_s.copy(),
            "fetched": batch.fetched.copy(),
            "tile_mbyte": batch.tile_mbyte.copy(),
            "viewport": batch.viewport.copy(),
            "chunks_left": batch.chunks_left.copy(),
        }

    # ---------------------------------------------------------------------------------------------- episodes

    @property
    def video(self) -> np.ndarray:
        """int32 (rows,)."""
        video: np.ndarray = self.recordings.video[self.recording[self.batch.session["recording"]]]
        return video

    @property
    def user(self) -> np.ndarray:
        """int32 (rows,)."""
        user: np.ndarray = self.recordings.user[self.recording[self.batch.session["recording"]]]
        return user

    @property
    def lead(self) -> np.ndarray:
        """int64 (rows,): samples from the last one seen to the first of the next chunk, 1 or more."""
        session = self.batch.session
        lead: np.ndarray = kernel.SAMPLES * session["chunk"] - session["last"]
        return lead

    @property
    def shared_info(self) -> dict[str, Any]:
        """What all rows have in common."""
        return {
            "recordings": self.recordings,
            "split": self.split,
            "previous_viewers": self.previous_viewers,
            "horizon": self.horizon,
            "grid": self.grid,
            "fov_deg": self.fov_deg,
            "rates_mbps": tuple(self.rates_mbps.tolist()),
            "qoe": self.qoe,
        }

    def columns(self) -> dict[str, np.ndarray]:
        """The scalars of ``info``, (rows,) each, fresh."""
        session, world = self.batch.session, self.world
        columns: dict[str, np.ndarray] = dict(zip(kernel.INFO_COLUMNS, self.batch.info.copy(), strict=True))
        for name in ("chunk", "trace", "recording"):
            columns[name] = session[name].copy()
        columns["video"], columns["user"] = self.video, self.user
        columns["time_s"] = world.sample_s[world.recordings["begin"][session["recording"]] + session["last"]]
        columns["lead"] = self.lead
        columns["horizon"] = np.full(len(session), self.horizon)
        columns["invalid_action"] = np.zeros(len(session), dtype=np.bool_)  # every action can be done at any time
        return columns

    def seed_row(self, row: int, rng: np.random.Generator) -> None:
        """Draw the 64-bit key of a row from its generator; the next reset is its first episode."""
        self.batch.session["key"][row] = rng.integers(0, 2**64, dtype=np.uint64)
        self.batch.session["episode"][row] = -1

    def pinned(self, options: dict[str, Any] | None, *more: str) -> np.ndarray:
        """int64 (2, rows): recordings and traces that reset options ask for, -1 where they are to be drawn.

        An option is one number or (rows,); ``more`` are the options that are the caller's.
        """
        options = check_reset_options(options, ("recording", "video", "user", "trace", *more))
        rows = len(self.batch.session)
        trace = _pins("trace", options.get("trace", DRAWN), rows, len(self.traces), self.traces.name)
        if "recording" in options and ("video" in options or "user" in options):
            raise ValueError("options: give either the recording, or video and user")
        if ("video" in options) != ("user" in options):
            raise ValueError("options: video and user go together; give both")
        where = f"{self.recordings.name}, {self.split}"
        if "video" not in options:
            number = _pins("recording", options.get("recording", DRAWN), rows, len(self.recording), where)
            return np.stack([number, trace])
        video, user = (_pins(name, options[name], rows) for name in ("video", "user"))
        return np.stack([[self._find(*pair) for pair in zip(video.tolist(), user.tolist(), strict=True)], trace])

    def _find(self, video: int, user: int) -> int:
        if video == user == DRAWN:
            return DRAWN
        found = np.flatnonzero(self.recording == find_recording(self.recordings, video, user))
        if not len(found):
            raise ValueError(
                f"{self.recordings.name}: video {video} and user {user} are not of split {self.split!r}, or too short"
            )
        return int(found[0])

    def begin(self, mask: np.ndarray, chosen: np.ndarray | None) -> None:
        """Begin the next episodes in the rows of ``mask``: ``chosen`` ones, see ``pinned``, or drawn."""
        if chosen is None:
            chosen = np.full((2, len(mask)), DRAWN)
        self.batch.session["episode"][mask] += 1
        recordings, traces = (np.ascontiguousarray(numbers, dtype=np.int64) for numbers in chosen)
        kernel.reset_rows(self.world, self.batch, mask, recordings, traces)

    def step(self, actions: np.ndarray, autoreset: bool) -> None:
        """One step of every row; ``actions`` int64 (rows, components) inside the action space."""
        kernel.step_rows(self.world, self.batch, actions, autoreset)


@functools.lru_cache(maxsize=4)
def _viewers_of(recordings: Recordings) -> PreviousViewers | None:
    """The previous viewers, shared by all environments, as they keep what they have computed."""
    training = recordings.splits.get("train")
    return PreviousViewers(recordings) if training is not None and training.users else None


def _pins(name: str, value: Any, rows: int, count: int | None = None, where: str = "") -> np.ndarray:
    """int64 (rows,): a number of a reset option for each row, -1 = drawn, below ``count`` if there is one."""
    numbers = np.asarray(value)
    legal = numbers.dtype.kind in "iu" and numbers.shape in ((), (rows,))
    if not legal or numbers.min() < DRAWN or (count is not None and numbers.max() >= count):
        each = "" if rows == 1 else f", or {rows} of them"
        upper = "0 up" if count is None else f"0 to {count - 1} ({where})"
        raise ValueError(f"options[{name!r}] must be a whole number from {upper}{each}, not {value!r}")
    return np.broadcast_to(numbers, (rows,)).astype(np.int64)
