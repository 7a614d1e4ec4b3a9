"""World and state behind ``ABREnv`` and ``ABRVectorEnv``: options in, kernel arrays out."""

from __future__ import annotations

from typing import Any

import numpy as np

from netenvs.abr import kernel
from netenvs.abr.installed import default_video
from netenvs.abr.options import ABROptions
from netenvs.abr.qoe import QoE, make_qoe, make_table_qoe
from netenvs.abr.records import DEFAULT_BUFFER_CAP_S, DEFAULT_RTT_MS, TraceSet, Video
from netenvs.abr.rows import BITRATE, BUFFER, CHUNKS_LEFT, DOWNLOAD_TIME, NEXT_SIZES, ROWS, THROUGHPUT
from netenvs.abr.utility_tables import is_file, load_utilities
from netenvs.abr.workload import load_traces, load_videos
from netenvs.arguments import check_length


class Simulator:
    """World and state of a batch of sessions: what the single and the vector environment share."""

    def __init__(self, options: ABROptions, rows: int):
        preset = options.defaults
        start = preset.start if options.start is None else options.start
        self.traces: TraceSet = load_traces(preset.traces if options.traces is None else options.traces)
        self.videos = load_videos(default_video(self.traces) if options.video is None else options.video)
        levels = _common_levels(self.videos)
        self.qoes = _objectives(options, self.videos)
        history = max(preset.history, levels) if options.history is None else options.history
        if not (isinstance(history, int | np.integer) and history >= levels):
            raise ValueError(
                f"history must be a whole number from {levels} up, one column for each of the {levels} levels, "
                f"not {history!r}"
            )
        check_length("history", int(history))
        count = len(self.traces)
        rtt = _per_trace("rtt_ms", options.rtt_ms, self.traces.rtt_ms, DEFAULT_RTT_MS, count, 0.0)
        longest = max(self.videos, key=lambda video: video.chunk_duration_s)
        least = max(
            longest.chunk_duration_s, kernel.DRAIN_STEP_MS / 1000.0
        )  # below it a pause would drain more than there is
        stored, why = self.traces.buffer_cap_s, f", for a chunk of {longest.name}"
        cap = _per_trace("buffer_cap_s", options.buffer_cap_s, stored, DEFAULT_BUFFER_CAP_S, count, least, why)
        table = np.empty(count, dtype=kernel.TRACE)
        table["begin"], table["end"] = self.traces.offset[:-1], self.traces.offset[1:]
        table["start_pointer"] = self.traces.start_pointer if start == "stored" else 1
        table["rtt_ms"], table["buffer_cap_ms"] = rtt, cap * 1000.0
        self.buffer_cap_s = cap
        """Of the player on each trace, float64 (traces,)."""
        latency = self.traces.latency_ms if options.rtt_ms is None else None
        # Copies: pickling forgets that an array is read-only, and numba compiles again for each kind.
        self.world = kernel.World(
            time_s=self.traces.time_s.copy(),
            bandwidth_mbps=self.traces.bandwidth_mbps.copy(),
            latency_ms=np.empty(0) if latency is None else latency.copy(),
            traces=table,
            videos=_video_table(self.videos),
            chunk_sizes=np.concatenate([video.chunk_sizes for video in self.videos]),
            bitrates_kbps=np.concatenate([video.bitrates_kbps for video in self.videos]),
            utility=np.concatenate([qoe.tables[0] for qoe in self.qoes]),
            switch_cost=np.concatenate([qoe.tables[1] for qoe in self.qoes]),
            rebuffer_penalty=self.qoes[0].rebuffer_penalty,
            switch_penalty=self.qoes[0].switch_penalty,
            chunk_duration_ms=self.videos[0].chunk_duration_s * 1000.0,
            num_chunks=self.videos[0].num_chunks,
            first_quality=preset.first_quality,
            jump=options.action_mode == "jump",
            noise=bool(options.delay_noise),
            random_start=start == "random",
        )
        self.batch = kernel.Batch(
            session=np.zeros(rows, dtype=kernel.SESSION),
            observation=np.zeros((rows, ROWS, int(history)), dtype=np.float32),
            info=np.zeros((len(kernel.INFO_COLUMNS), rows)),
        )
        self.num_actions = 3 if self.world.jump else levels
        self.observation_high = self._observation_high(int(history))
        """Finite upper bounds of the observation, float32 (6, history); the lower ones are 0."""
        self.shared_infos = [{"video": of, "qoe": qoe} for of, qoe in zip(self.videos, self.qoes, strict=True)]
        """What sessions of a video have in common, in the order of the videos."""
        self._warm_up()

    @property
    def shared_info(self) -> dict[str, Any]:
        """What all sessions have in common. Raises ``ValueError`` where they have several videos."""
        self._check_one("shared_info")
        return self.shared_infos[0]

    @property
    def video(self) -> Video:
        """The video of all sessions. Raises ``ValueError`` where there are several."""
        self._check_one("video")
        return self.videos[0]

    @property
    def qoe(self) -> QoE:
        """The objective of all sessions. Raises ``ValueError`` where each of several videos has its own."""
        self._check_one("qoe")
        return self.qoes[0]

    def _check_one(self, name: str) -> None:
        if len(self.videos) > 1:
            raise ValueError(
                f"{name}: this environment has {len(self.videos)} videos, and one is wanted here; give video=FILE of "
                "one, or ask its sessions (videos, video_index)"
            )

    def _observation_high(self, history: int) -> np.ndarray:
        """Bounds from the traces and the video; 0.1 % of slack for rounding to float32."""
        world, largest = self.world, int(self.world.chunk_sizes.max())
        high = np.empty((ROWS, history))
        high[BITRATE] = 1.0
        longest_chunk_ms = world.videos["chunk_duration_ms"].max()
        high[BUFFER] = (world.traces["buffer_cap_ms"].max() + longest_chunk_ms) / 10_000.0
        high[THROUGHPUT] = world.bandwidth_mbps.max() / 8.0 / kernel.NOISE_LOW
        slowest_s = 0.0
        for index in range(len(self.traces)):
            time_s, bandwidth = self.traces.trace(index)
            lap_bytes = np.sum(np.diff(time_s) * bandwidth[1:]) * 1e6 / 8 * kernel.PAYLOAD_PORTION
            slowest_s = max(slowest_s, (largest // lap_bytes + 2) * time_s[-1])
        longest_ms = (world.latency_ms if len(world.latency_ms) else world.traces["rtt_ms"]).max()
        high[DOWNLOAD_TIME] = (slowest_s + longest_ms / 1000.0) * kernel.NOISE_HIGH / 10.0
        high[NEXT_SIZES] = largest / 1e6
        high[CHUNKS_LEFT] = 1.0
        return (high * 1.001).astype(np.float32)

    def _warm_up(self) -> None:
        """Compile the kernels (or load them from the disk cache) outside of any timed loop."""
        rows = len(self.batch.session)
        nothing = np.zeros(rows, dtype=np.bool_)
        kernel.reset_rows(self.world, self.batch, nothing, np.full((2, rows), -1, dtype=np.int64))
        # no row is stepped: the action array is empty
        kernel.step_rows(self.world, self.batch, np.empty(0, dtype=np.int64), False)

    def seed_row(self, row: int, rng: np.random.Generator) -> None:
        """Draw the 64-bit key of a row from its generator; the next reset is its first episode."""
        self.batch.session["key"][row] = rng.integers(0, 2**64, dtype=np.uint64)
        self.batch.session["episode"][row] = -1

    def check_trace(self, trace: Any) -> int:
        """A pinned trace number, checked; None and -1 mean: drawn."""
        if trace is None:
            return -1
        if isinstance(trace, bool) or not isinstance(trace, int | np.integer) or not -1 <= trace < len(self.traces):
            raise ValueError(
                f"options['trace'] must be a whole number from 0 to {len(self.traces) - 1} ({self.traces.name}), "
                f"not {trace!r}"
            )
        return int(trace)

    def check_video(self, video: Any) -> int:
        """A pinned video number, checked; None and -1 mean: drawn."""
        if video is None:
            return -1
        if isinstance(video, bool) or not isinstance(video, int | np.integer) or not -1 <= video < len(self.videos):
            raise ValueError(
                f"options['video'] must be a whole number from 0 to {len(self.videos) - 1}, the videos of this "
                f"environment, not {video!r}"
            )
        return int(video)

    def action_masks(self) -> np.ndarray:
        """bool (rows, actions): False where an action would be clipped (``jump`` at the ends of the ladder)."""
        masks = np.ones((len(self.batch.session), self.num_actions), dtype=np.bool_)
        if self.world.jump:
            quality = self.batch.session["quality"]
            masks[:, 0] = quality > 0
            masks[:, 2] = quality < self.videos[0].num_levels - 1
        return masks


def _common_levels(videos: tuple[Video, ...]) -> int:
    """Levels of every video. Raises ``ValueError`` where they have not the same number: actions are levels."""
    levels = {video.num_levels: video for video in videos}
    if len(levels) > 1:
        (few, one), (many, other) = min(levels.items()), max(levels.items())
        raise ValueError(
            f"video: {one.name!r} has {few} levels and {other.name!r} {many}; videos of one environment have the same "
            "number of levels, so make an environment of each"
        )
    return videos[0].num_levels


def _objectives(options: ABROptions, videos: tuple[Video, ...]) -> tuple[QoE, ...]:
    """That of each video. Raises ``ValueError`` for one that does not fit a video."""
    penalties = (
        options.defaults.rebuffer_penalty if options.rebuffer_penalty is None else options.rebuffer_penalty,
        options.defaults.switch_penalty if options.switch_penalty is None else options.switch_penalty,
    )
    given = options.qoe
    if isinstance(given, list | tuple) or (isinstance(given, str) and is_file(given)):
        qoe = make_table_qoe(load_utilities(given).of(videos), *penalties)
        return (qoe,) * len(videos)
    return tuple(make_qoe(str(given), video.bitrates_kbps, *penalties) for video in videos)


def _video_table(videos: tuple[Video, ...]) -> np.ndarray:
    """``kernel.VIDEO`` (videos,)."""
    table = np.empty(len(videos), dtype=kernel.VIDEO)
    listed = [len(video.chunk_sizes) for video in videos]
    table["begin"] = np.cumsum([0, *listed[:-1]])
    table["num_chunks"] = [video.num_chunks for video in videos]
    table["chunk_duration_ms"] = [video.chunk_duration_s * 1000.0 for video in videos]
    return table


def _per_trace(
    name: str, given: float | None, stored: np.ndarray | None, default: float, count: int, least: float, why: str = ""
) -> np.ndarray:
    """Option > value that comes with each trace > default, float64 (traces,)."""
    if given is None:
        values = stored if stored is not None else np.full(count, default)
    else:
        try:
            values = np.full(count, float(given))
        except (TypeError, ValueError):
            raise ValueError(f"{name} must be a number, not {given!r}") from None
    if not (np.all(np.isfinite(values)) and np.all(values >= least)):
        found = float(values.min()) if given is None else given
        raise ValueError(f"{name} must be a finite number from {least:g} up, not {found!r}{why}")
    return np.array(values, dtype=np.float64)
