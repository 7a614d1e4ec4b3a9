"""The offline optimum: the best plan for a session whose future bandwidth is known.

Forward dynamic programming over exact states. The reachable states of one chunk are sorted into cells of
(trace clock, buffer, last level); a cell keeps its best state, and a state is dropped when another one of the same
trace clock is at least as good for every future:

* one with no less buffer and enough value to pay the change of level between the two, or
* one with less buffer that stays ahead even if it stalls for the whole difference.

Cells only choose among states: every state kept is computed by the simulator's own kernel, so the value found is
that of a plan that can be played, and each plan is replayed and checked. It is a lower bound of the optimum, and
smaller cells no longer move it. A trace of the FCC splits takes about 0.1 s, the fast links of ``genet`` up to 1 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from agents.policy import Policy
from netenvs import compiled
from netenvs.abr import kernel

CLOCK_CELL_S = 0.05
BUFFER_CELLS = 100
"""Cells up to the buffer cap, of at most ``MAX_BUFFER_CELL_S``: a short buffer needs fine cells."""
MAX_BUFFER_CELL_S = 1.0
MARGIN_STALL_S = 12.0
"""States further behind the best of their chunk than so much stalling, plus two full level changes, are dropped. Where
a full change is worth more than two seconds of stalling it is the whole buffer instead: one that was filled at low
levels may pay in the end."""
MAX_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class SessionState:
    """All that determines the future of one session."""

    world: kernel.World
    trace: int
    pointer: int
    clock_s: float
    buffer_ms: float
    chunk: int
    """Chunks played."""
    quality: int
    """Level of the last chunk."""
    noise: np.ndarray
    """Factor on the download time of every chunk, float64 (num_chunks,)."""


def session_state(env: gym.Env | gym.vector.VectorEnv, row: int = 0) -> SessionState:
    """The state of an ``ABREnv``, or of one row of an ``ABRVectorEnv``, as it is now."""
    simulator = env.unwrapped.simulator  # type: ignore[union-attr]
    session = simulator.batch.session[row]
    world = kernel.of_video(simulator.world, int(session["video"]))
    noise = np.ones(world.num_chunks)
    if world.noise:
        key, episode = session["key"], session["episode"]
        noise = np.array([kernel.delay_noise(key, episode, chunk) for chunk in range(world.num_chunks)])
    return SessionState(
        world,
        int(session["trace"]),
        int(session["pointer"]),
        float(session["clock_s"]),
        float(session["buffer_ms"]),
        int(session["chunk"]),
        int(session["quality"]),
        noise,
    )


def best_plan(state: SessionState) -> tuple[float, np.ndarray]:
    """Largest sum of rewards from ``state`` to the end of the video, and the levels that reach it, int64 (left,)."""
    left = state.world.num_chunks - state.chunk
    if left == 0:
        return 0.0, np.zeros(0, dtype=np.int64)
    utility = state.world.utility
    penalty = state.world.rebuffer_penalty
    change = max(state.world.switch_penalty, 1.0) * (utility.max() - utility.min())
    stall_s = MARGIN_STALL_S
    if change > 2.0 * penalty:
        stall_s = max(stall_s, float(state.world.traces["buffer_cap_ms"][state.trace]) / 1000.0)
    margin = stall_s * penalty + 2.0 * change
    value, plan = _search(
        state.world,
        state.trace,
        state.pointer,
        state.clock_s,
        state.buffer_ms,
        state.chunk,
        state.quality,
        state.noise,
        margin,
    )
    replayed = replay(state, plan)
    if abs(replayed - value) > 1e-6 * max(1.0, state.world.rebuffer_penalty, float(np.abs(utility).max())):
        raise AssertionError(f"the plan is worth {replayed} when replayed, not {value}")
    return replayed, plan


def action_values(state: SessionState) -> np.ndarray:
    """Value of each level for the next chunk with the best continuation, float64 (levels,): Q*(state, level)."""
    if state.chunk >= state.world.num_chunks:
        raise ValueError("the episode is over: there is no next chunk")
    values = np.empty(state.world.chunk_sizes.shape[1])
    for level in range(len(values)):
        reward, following = _advance(state, level)
        values[level] = reward + best_plan(following)[0]
    return values


def replay(state: SessionState, plan: np.ndarray) -> float:
    """Sum of rewards of playing the levels ``plan`` from ``state`` by the simulator's rules."""
    total = 0.0
    for level in plan:
        reward, state = _advance(state, int(level))
        total += reward
    return total


def _advance(state: SessionState, level: int) -> tuple[float, SessionState]:
    world = state.world
    trace = world.traces[state.trace]
    _, rebuffer, buffer_ms, _, _, pointer, clock = kernel.play_chunk(
        world.time_s,
        world.bandwidth_mbps,
        trace["begin"],
        trace["end"],
        state.pointer,
        state.clock_s,
        state.buffer_ms,
        world.chunk_sizes[state.chunk, level],
        kernel.round_trip(world.latency_ms, trace, state.pointer),
        trace["buffer_cap_ms"],
        world.chunk_duration_ms,
        state.noise[state.chunk],
    )
    valued = kernel.row_of_chunk(world.utility, world.chunk_sizes.shape[1], state.chunk) + level
    stalled = world.rebuffer_penalty * (rebuffer / 1000.0)
    reward = world.utility[valued] - stalled - world.switch_cost[valued, state.quality]
    following = SessionState(world, state.trace, pointer, clock, buffer_ms, state.chunk + 1, level, state.noise)
    return float(reward), following


@compiled.kernel
def _search(world, trace, pointer, clock_s, buffer_ms, chunk, quality, noise, margin):
    """Value and levels of the best plan found, see the module docstring."""
    time_s, bandwidth_mbps, latency_ms = world.time_s, world.bandwidth_mbps, world.latency_ms
    of = world.traces[trace]
    begin, end, cap_ms = of.begin, of.end, of.buffer_cap_ms
    chunk_sizes, utility, switch_cost = world.chunk_sizes, world.utility, world.switch_cost
    penalty, chunk_duration_ms = world.rebuffer_penalty, world.chunk_duration_ms
    levels = chunk_sizes.shape[1]
    left = world.num_chunks - chunk
    buffer_cell_ms = min(cap_ms / BUFFER_CELLS, MAX_BUFFER_CELL_S * 1000.0)
    buffer_cells = int(cap_ms / buffer_cell_ms) + 2

    # states before the next chunk; a candidate's index is state * levels + level
    at = np.full(1, pointer)
    clock = np.full(1, clock_s)
    elapsed = np.zeros(1)  # trace time since the search began; unlike `clock` it does not wrap
    buffer = np.full(1, buffer_ms)
    last = np.full(1, quality)
    value = np.zeros(1)
    chosen = []  # per chunk: candidate index of each state kept, that is its parent and its level
    for n in range(left):
        count = len(at) * levels
        at_next = np.empty(count, dtype=np.int64)
        clock_next, elapsed_next = np.empty(count), np.empty(count)
        buffer_next, value_next = np.empty(count), np.empty(count)
        best = -np.inf
        factor = noise[chunk + n]
        row = kernel.row_of_chunk(utility, levels, chunk + n)
        for i in range(count):
            state, level = i // levels, i % levels
            rtt_ms = kernel.round_trip(latency_ms, of, at[state])
            delay, rebuffer, filled, sleep, _, at_next[i], clock_next[i] = kernel.play_chunk(
                time_s,
                bandwidth_mbps,
                begin,
                end,
                at[state],
                clock[state],
                buffer[state],
                chunk_sizes[chunk + n, level],
                rtt_ms,
                cap_ms,
                chunk_duration_ms,
                factor,
            )
            buffer_next[i] = filled
            elapsed_next[i] = elapsed[state] + (delay / factor - rtt_ms + sleep) / 1000.0
            value_next[i] = (
                value[state]
                + utility[row + level]
                - penalty * (rebuffer / 1000.0)
                - switch_cost[row + level, last[state]]
            )
            best = max(best, value_next[i])

        table, used = _best_of_cells(
            elapsed_next, buffer_next, value_next, best - margin, buffer_cell_ms, buffer_cells, levels
        )
        apart = switch_cost
        if len(utility) > levels:  # the next chunk is changed to from what this one is worth
            apart = _apart(utility[row : row + levels], world.switch_penalty)
        kept = _undominated(table, used, buffer_next, value_next, apart, penalty, count)
        chosen.append(kept)
        at, clock, elapsed = at_next[kept], clock_next[kept], elapsed_next[kept]
        buffer, value, last = buffer_next[kept], value_next[kept], kept % levels

    state = int(np.argmax(value))
    found = value[state]
    plan = np.empty(left, dtype=np.int64)
    for n in range(left - 1, -1, -1):
        candidate = chosen[n][state]
        plan[n] = candidate % levels
        state = candidate // levels
    return found, plan


@compiled.kernel
def _best_of_cells(elapsed_s, buffer_ms, value, least, buffer_cell_ms, buffer_cells, levels):
    """Best candidate, worth ``least`` or more, of each cell, int32 (clock cells, buffer cells, levels); -1: none.

    And int64 (clock cells, 2): the buffer cells of a clock cell that have candidates are in [first, end).
    """
    earliest, latest = np.inf, -np.inf
    for i in range(len(value)):
        if value[i] >= least:
            earliest, latest = min(earliest, elapsed_s[i]), max(latest, elapsed_s[i])
    clock_cell = max(CLOCK_CELL_S, (latest - earliest) * buffer_cells * levels / MAX_CELLS)
    clock_cells = int((latest - earliest) / clock_cell) + 1
    table = np.full((clock_cells, buffer_cells, levels), -1, dtype=np.int32)
    used = np.zeros((clock_cells, 2), dtype=np.int64)
    used[:, 0] = buffer_cells
    for i in range(len(value)):
        if value[i] >= least:
            x = int((elapsed_s[i] - earliest) / clock_cell)
            y = int(buffer_ms[i] / buffer_cell_ms)
            other = table[x, y, i % levels]
            if other < 0 or value[other] < value[i]:
                table[x, y, i % levels] = i
                used[x, 0], used[x, 1] = min(used[x, 0], y), max(used[x, 1], y + 1)
    return table, used


@compiled.kernel
def _apart(utility, switch_penalty):
    """Most that a change from one level of a chunk costs more than from another, float64 (levels, levels)."""
    levels = len(utility)
    apart = np.empty((levels, levels))
    for one in range(levels):
        for other in range(levels):
            apart[one, other] = switch_penalty * abs(utility[one] - utility[other])
    return apart


@compiled.kernel
def _undominated(table, used, buffer_ms, value, apart, penalty, count):
    """Candidates of ``table`` (clock cells, buffer cells, levels) that no other of their clock cell dominates.

    ``apart`` float64 (levels, levels): most that the next change costs more from one level than from another.
    """
    clock_cells, _, levels = table.shape
    kept = np.empty(count, dtype=np.int64)
    size = 0
    ahead = np.empty(levels)
    for x in range(clock_cells):
        ahead[:] = -np.inf  # best value with this much buffer or more, by level
        for y in range(used[x, 1] - 1, used[x, 0] - 1, -1):
            for level in range(levels):
                i = table[x, y, level]
                if i < 0:
                    continue
                for other in range(levels):
                    if ahead[other] - apart[other, level] >= value[i]:
                        table[x, y, level] = -1
                        break
                else:
                    ahead[level] = max(ahead[level], value[i])
        ahead[:] = -np.inf  # best value + penalty * buffer with this much buffer or less, by level
        for y in range(used[x, 0], used[x, 1]):
            for level in range(levels):
                i = table[x, y, level]
                if i < 0:
                    continue
                worth = value[i] + penalty * buffer_ms[i] / 1000.0
                for other in range(levels):
                    if ahead[other] - apart[other, level] >= worth:
                        break
                else:
                    ahead[level] = max(ahead[level], worth)
                    kept[size] = i
                    size += 1
    return kept[:size].copy()


class Oracle(Policy):
    """Offline optimum with all future bandwidth known (a bound, not a rival): plans once, plays the plan."""

    privileged = True

    def bind(self, env: gym.Env) -> None:
        if env.unwrapped.simulator.world.jump:  # type: ignore[attr-defined]
            raise ValueError("the oracle plans levels; it does not play action_mode='jump'")
        self._env = env
        self._plan: np.ndarray | None = None

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> int:
        if self._plan is None:
            state = session_state(self._env)
            self._first = state.chunk
            _, self._plan = best_plan(state)
        return int(self._plan[info["chunk"] - self._first])

    def action_values(self) -> np.ndarray:
        """Value of each level for the next chunk from the bound environment's present state, float64 (levels,)."""
        return action_values(session_state(self._env))
