"""Values of every state of a session whose bandwidth is known, tabulated once per trace.

The future of a session follows from the position in the trace, the buffer, the last level and the number of the chunk,
wherever it began. So one backward pass over a grid of them gives the value of any state that a policy may come to, and
of each action there: the clairvoyant expert that labels what a learner visits. Actions are played by the simulator's
own kernel; only the value of what follows is interpolated. ``agents.abr.oracle`` finds exact plans, at a thousand times
the cost a state.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from netenvs import compiled
from netenvs.abr import kernel

CLOCK_STEP_S = 2.0
"""Between positions in a trace."""
BUFFERS = 32
"""Of the grid, from one chunk up to the cap, closer together where a stall is near."""
HIGHEST_BUFFER_S = 60.0
"""More than this is worth as much as this."""
MAX_BYTES = 4_000_000_000


class ValueTable:
    """Best sums of rewards from any state on some traces of an environment, and values of actions:

        env = gym.make_vec("netenvs/ABR-v0", num_envs=64, traces="fcc-train-clean")
        table = ValueTable(env)
        observations, infos = env.reset(seed=0)
        table.action_values(env)  # float64 (64, levels)

    On ``fcc-test`` x ``video1`` a policy that takes the best action loses 0.013 QoE a chunk to ``oracle``.

    Arguments:
        env: an ``ABREnv`` or ``ABRVectorEnv``; the table fits every environment with the same traces, video, objective
            and player. ``ValueError`` if it draws delay noise or acts in jumps.
        traces: numbers of the traces to tabulate; default all.
        clock_step_s: between positions in a trace.
        buffers: points of the buffer's grid.
    """

    def __init__(
        self, env: Any, traces: Iterable[int] | None = None, clock_step_s: float = CLOCK_STEP_S, buffers: int = BUFFERS
    ):
        world = env.unwrapped.simulator.world
        if len(world.videos) > 1:
            raise ValueError("values are tabulated for one video; make an environment of each")
        if world.noise or world.jump:
            raise ValueError("values are tabulated without delay noise, and of levels, not of jumps")
        if not (clock_step_s > 0 and buffers >= 2):
            raise ValueError("clock_step_s must be positive and buffers 2 or more")
        numbers = range(len(world.traces)) if traces is None else sorted(set(traces))
        if len(numbers) and not 0 <= numbers[0] <= numbers[-1] < len(world.traces):
            raise ValueError(f"traces are numbered from 0 to {len(world.traces) - 1}, there is none of {numbers[-1]}")
        self._world = world
        end = world.traces["end"]
        self.positions = np.zeros(len(world.traces), dtype=np.int64)
        """Positions tabulated of each trace, 0 of those left out."""
        for number in numbers:
            self.positions[number] = max(2, int(np.ceil(world.time_s[end[number] - 1] / clock_step_s)))
        levels, chunks = world.chunk_sizes.shape[1], world.num_chunks
        size = chunks * buffers * levels
        if int(self.positions.sum()) * size * 4 > MAX_BYTES:
            raise ValueError(
                f"a table of {len(numbers)} traces would take {self.positions.sum() * size * 4 / 1e9:.1f} GB; tabulate "
                "less of them, or in larger steps"
            )
        self._offset = np.concatenate([[0], np.cumsum(self.positions)])
        self._values = np.zeros((int(self._offset[-1]), chunks, buffers, levels), dtype=np.float32)
        for number in numbers:
            _tabulate(world, number, self._values[self._offset[number] : self._offset[number + 1]])

    def action_values(self, env: Any, rows: np.ndarray | None = None) -> np.ndarray:
        """Value of each level for the next chunk with the best continuation, float64 (rows, levels).

        ``rows`` int (k,) of the environment, default all; zeros where an episode is over. ``ValueError`` for a row
        whose trace is not tabulated, and for an environment with other traces, video, objective or player.
        """
        simulator = env.unwrapped.simulator
        if simulator.world is not self._world and not _alike(simulator.world, self._world):
            raise ValueError("the table is of other traces, another video, objective or player; make one of this")
        self._world = simulator.world
        sessions = simulator.batch.session if rows is None else simulator.batch.session[rows]
        missing = np.flatnonzero(self.positions[sessions["trace"]] == 0)
        if len(missing):
            raise ValueError(f"trace {sessions['trace'][missing[0]]} is not in the table")
        values = np.zeros((len(sessions), simulator.world.chunk_sizes.shape[1]))
        _evaluate(simulator.world, sessions, self._values, self._offset, values)
        return values


BEGINNING = ("first_quality", "random_start", "start_pointer")
"""What may differ between a table's world and an environment's: how episodes begin."""


def _alike(one: kernel.World, other: kernel.World) -> bool:
    """Whether the same actions lead to the same rewards from the same state."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in one._fields if name not in (*BEGINNING, "traces")]
    names = [name for name in kernel.TRACE.names or () if name not in BEGINNING]
    pairs += [(one.traces[name], other.traces[name]) for name in names]
    return all(np.array_equal(ours, theirs) for ours, theirs in pairs)


@compiled.kernel
def _buffers_ms(world, trace, count):
    """The grid of buffers in ms, float64 (count,): quadratic between one chunk and the cap."""
    lowest = world.chunk_duration_ms
    highest = max(min(world.traces[trace].buffer_cap_ms, HIGHEST_BUFFER_S * 1000.0), lowest + 1.0)
    return lowest + (highest - lowest) * (np.arange(count) / (count - 1)) ** 2


@compiled.kernel
def _interpolate(values, grid_ms, period_s, chunk, clock_s, buffer_ms, level):
    """Value of a state after ``chunk`` chunks, from a trace's table (positions, chunks, buffers, levels)."""
    positions, last = values.shape[0], len(grid_ms) - 1
    x = clock_s / period_s * positions
    left = int(x)
    across = x - left
    left %= positions
    right = (left + 1) % positions
    inside = min(max(buffer_ms, grid_ms[0]), grid_ms[last])
    below = min(int(np.sqrt((inside - grid_ms[0]) / (grid_ms[last] - grid_ms[0])) * last), last - 1)
    up = (inside - grid_ms[below]) / (grid_ms[below + 1] - grid_ms[below])
    first = values[left, chunk, below, level] * (1.0 - up) + values[left, chunk, below + 1, level] * up
    second = values[right, chunk, below, level] * (1.0 - up) + values[right, chunk, below + 1, level] * up
    return first * (1.0 - across) + second * across


@compiled.kernel
def _download(world, trace, pointer, clock_s, buffer_ms, chunk, level):
    """(delay_ms, buffer_ms, clock_s) after the next chunk."""
    of = world.traces[trace]
    delay, _, filled, _, _, _, clock = kernel.play_chunk(
        world.time_s,
        world.bandwidth_mbps,
        of.begin,
        of.end,
        pointer,
        clock_s,
        buffer_ms,
        world.chunk_sizes[chunk, level],
        kernel.round_trip(world.latency_ms, of, pointer),
        of.buffer_cap_ms,
        world.chunk_duration_ms,
        1.0,
    )
    return delay, filled, clock


@compiled.kernel
def _tabulate(world, trace, values):
    """Fill a trace's table, float32 (positions, chunks, buffers, levels); entry c is of c chunks played."""
    positions, chunks, buffers, levels = values.shape
    of = world.traces[trace]
    utility, switch_cost, penalty = world.utility, world.switch_cost, world.rebuffer_penalty
    grid_ms = _buffers_ms(world, trace, buffers)
    period = world.time_s[of.end - 1]
    best = np.empty((buffers, levels))
    for chunk in range(chunks - 1, 0, -1):
        row = kernel.row_of_chunk(utility, levels, chunk)
        pointer = 1
        for position in range(positions):
            start = period * position / positions
            while world.time_s[of.begin + pointer] <= start:
                pointer += 1
            for level in range(levels):
                delay, _, clock = _download(
                    world, trace, pointer, start, 0.0, chunk, level
                )  # an empty buffer: no pause
                for point in range(buffers):
                    buffer_ms, after = grid_ms[point], clock
                    rebuffer, filled, sleep = kernel.fill_buffer(
                        buffer_ms, delay, of.buffer_cap_ms, world.chunk_duration_ms
                    )
                    if sleep > 0.0:
                        _, _, after = _download(world, trace, pointer, start, buffer_ms, chunk, level)
                    best[point, level] = utility[row + level] - penalty * (rebuffer / 1000.0)
                    if chunk + 1 < chunks:
                        best[point, level] += _interpolate(values, grid_ms, period, chunk + 1, after, filled, level)
            for point in range(buffers):
                for last in range(levels):
                    found = -np.inf
                    for level in range(levels):
                        found = max(found, best[point, level] - switch_cost[row + level, last])
                    values[position, chunk, point, last] = found


@compiled.kernel
def _evaluate(world, sessions, values, offset, out):
    """Values of actions, float64 (rows, levels), into ``out``."""
    for row in range(len(sessions)):
        session = sessions[row]
        if session.chunk >= world.num_chunks:
            continue
        chunk, trace = session.chunk, session.trace
        first = kernel.row_of_chunk(world.utility, out.shape[1], chunk)
        table = values[offset[trace] : offset[trace + 1]]
        grid_ms = _buffers_ms(world, trace, table.shape[2])
        period = world.time_s[world.traces[trace].end - 1]
        for level in range(out.shape[1]):
            delay, filled, clock = _download(
                world, trace, session.pointer, session.clock_s, session.buffer_ms, chunk, level
            )
            rebuffer_s = max(delay - session.buffer_ms, 0.0) / 1000.0
            value = world.utility[first + level] - world.rebuffer_penalty * rebuffer_s
            if chunk + 1 < world.num_chunks:
                value += _interpolate(table, grid_ms, period, chunk + 1, clock, filled, level)
            out[row, level] = value - world.switch_cost[first + level, session.quality]
