"""The dynamics against an independent transcription of the published rules (Pensieve sim/env.py as NetLLM ships it)."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netenvs.abr import kernel


class Published:
    """The published loop in plain Python, written from its description and from nothing in netenvs."""

    def __init__(self, t, bw, start, rtt_ms, cap_ms, chunk_ms):
        self.t, self.bw, self.ptr = t, bw, start
        self.last, self.buf = t[start - 1], 0.0
        self.rtt, self.cap, self.chunk_ms = rtt_ms, cap_ms, chunk_ms

    def cross(self):
        self.last = self.t[self.ptr]
        self.ptr += 1
        if self.ptr >= len(self.t):
            self.ptr = 1
            self.last = 0.0

    def play(self, size, noise):
        """(delay_ms, rebuffer_ms, buffer_ms, pause_ms, residual_ms, pointer, clock_s)."""
        d = sent = 0.0
        while True:
            thr = self.bw[self.ptr] * 1e6 / 8
            dur = self.t[self.ptr] - self.last
            pay = thr * dur * 0.95
            if sent + pay > size:
                f = (size - sent) / thr / 0.95
                d += f
                self.last += f
                break
            sent += pay
            d += dur
            self.cross()
        d *= 1000
        d += self.rtt
        d *= noise
        rebuf = max(d - self.buf, 0.0)
        self.buf = max(self.buf - d, 0.0) + self.chunk_ms
        pause = sleep = 0.0
        if self.buf > self.cap:
            pause = sleep = math.ceil((self.buf - self.cap) / 500) * 500.0
            self.buf -= sleep
            while True:
                dur = self.t[self.ptr] - self.last
                if dur > sleep / 1000:
                    self.last += sleep / 1000
                    break
                sleep -= dur * 1000
                self.cross()
        return d, rebuf, self.buf, pause, sleep, self.ptr, self.last


def play(t, bw, start, rtt_ms, cap_ms, chunk_ms, chunks):
    """The kernel over (size, noise) chunks, on a trace that lies inside flat arrays; rows as ``Published.play``."""
    pad = [7.0, 9.0]
    time_s, bandwidth = np.array([*pad, *t, *pad]), np.array([*pad, *bw, *pad])
    pointer, clock, buffer_ms, rows = start, t[start - 1], 0.0, []
    for size, noise in chunks:
        row = kernel.play_chunk(
            time_s, bandwidth, 2, 2 + len(t), pointer, clock, buffer_ms, size, rtt_ms, cap_ms, chunk_ms, noise
        )
        rows.append(row)
        buffer_ms, pointer, clock = row[2], row[5], row[6]
    return rows


@st.composite
def sessions(draw):
    length = draw(st.integers(2, 9))
    steps = draw(
        st.lists(st.sampled_from([0.04, 0.5, 1.0, 5.0]) | st.floats(0.01, 30), min_size=length - 1, max_size=8)
    )
    steps = (steps * length)[: length - 1]
    t = [draw(st.sampled_from([0.0, 0.0, 0.37, 12.5]))]
    for step in steps:
        t.append(t[-1] + step)
    bw = draw(st.lists(st.sampled_from([0.0, 1.0, 8.0]) | st.floats(0.01, 30), min_size=length, max_size=length))
    if sum(step * b for step, b in zip(steps, bw[1:], strict=True)) < 0.5:
        bw[-1] = 40.0
    start = draw(st.integers(1, length - 1))
    rtt = draw(st.sampled_from([0.0, 80.0, 613.7]))
    chunk = draw(st.sampled_from([4000.0, 2000.0, 500.0]))
    cap = draw(st.sampled_from([chunk, 5000.0, 7300.0, 60000.0]))
    sizes = st.integers(1, 3_000_000) | st.sampled_from([95_000, 950_000, 181_801])
    noise = st.just(1.0) | st.floats(0.9, 1.1)
    chunks = draw(st.lists(st.tuples(sizes, noise), min_size=1, max_size=20))
    return t, bw, start, rtt, max(cap, chunk), chunk, chunks


TIE = ([0.0, 1.0, 5.0, 6.0], [3.0, 8.0, 0.0, 8.0], 1, 80.0, 60000.0, 4000.0, [(950_000, 1.0), (950_000, 1.0)])
PAUSE_TIE = ([0.0, 2.0, 4.0], [3.0, 800.0, 800.0], 1, 0.0, 4000.0, 4000.0, [(1, 1.0)] * 9)


@settings(max_examples=400, deadline=None)
@given(sessions())
@example(TIE)
@example(PAUSE_TIE)
def test_kernel_equals_the_published_rules(session):
    *settings_, chunks = session
    published = Published(*settings_)
    assert play(*session) == [published.play(size, noise) for size, noise in chunks]


@settings(max_examples=200, deadline=None)
@given(sessions())
def test_invariants(session):
    t, bw, start, rtt, cap, chunk, chunks = session
    clock, before = t[start - 1], 0.0
    for (size, noise), row in zip(chunks, play(*session), strict=True):
        delay, rebuffer, buffer_ms, sleep, residual, pointer, now = row
        assert rebuffer == max(delay - before, 0.0)
        assert sleep % 500 == 0 and 0 <= residual <= sleep
        assert cap - 500 < buffer_ms <= cap if sleep else chunk <= buffer_ms <= cap
        assert buffer_ms + sleep >= chunk
        # the trace clock advances by transfer and pause only: neither the round trip nor the noise moves it
        transfer_s = (delay / noise - rtt) / 1000
        assert transfer_s > 0
        least = size / (max(bw) * 1e6 / 8 * 0.95)
        assert transfer_s >= least * (1 - 1e-9)
        advance, lap = transfer_s + sleep / 1000, t[-1]
        drift = (clock + advance - now) % lap
        assert min(drift, lap - drift) < 1e-6 * (1 + advance)
        assert (t[pointer - 1] if pointer > 1 else 0.0) <= now + 1e-9 and now <= t[pointer] + 1e-9
        clock, before = now, buffer_ms


@settings(max_examples=100, deadline=None)
@given(sessions())
def test_buffer_identity(session):
    """Without noise buffer = chunks played - time elapsed + total rebuffering."""
    *settings_, chunk, chunks = session
    rows = np.array(play(*settings_, chunk, [(size, 1.0) for size, _ in chunks]))
    elapsed, stalled = np.cumsum(rows[:, 0] + rows[:, 3]), np.cumsum(rows[:, 1])
    content = chunk * np.arange(1, len(rows) + 1)
    assert rows[:, 2] == pytest.approx(content - elapsed + stalled, rel=1e-9, abs=1e-3)


def test_strict_comparison_at_a_segment_end():
    """A chunk that fits its segment exactly waits for the next byte: here behind 4 s without bandwidth."""
    first, second = play(*TIE)
    assert first == (5080.0, 5080.0, 4000.0, 0.0, 0.0, 3, 5.0)
    assert second == (1080.0, 0.0, 6920.0, 0.0, 0.0, 1, 0.0), "used up exactly again: the clock stands at the wrap"


def test_segment_zero_is_never_used():
    trace = [0.0, 1.0, 2.0], [0.0, 8.0, 8.0]
    rows = play(*trace, 1, 0.0, 60000.0, 4000.0, [(700_000, 1.0)] * 9)
    assert rows == play(trace[0], [1e6, 8.0, 8.0], 1, 0.0, 60000.0, 4000.0, [(700_000, 1.0)] * 9)


def test_second_lap_begins_at_zero():
    """After a wrap the first segment lasts from 0, whatever the first time is."""
    t, bw = [10.0, 11.0], [0.0, 8.0]
    rows = play(t, bw, 1, 0.0, 60000.0, 4000.0, [(1_900_000, 1.0)])
    assert rows[0][0] == pytest.approx(2000.0) and rows[0][6] == pytest.approx(1.0)
    assert rows[0][5] == 1


# --- random numbers ---

MASK = 2**64 - 1


def splitmix(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


@given(st.integers(0, MASK), st.integers(0, 10**6), st.integers(0, 10**6))
def test_uniform_is_the_documented_hash(key, episode, position):
    golden = 0x9E3779B97F4A7C15
    z = splitmix((key + golden) & MASK)
    z = splitmix((z + golden * (episode + 1)) & MASK)
    z = splitmix((z + golden * (position + 1)) & MASK)
    value = kernel.uniform(np.uint64(key), episode, position)
    assert value == (z >> 11) / 2**53
    assert 0.0 <= value < 1.0


@pytest.mark.parametrize("counter", ["key", "episode", "position"])
def test_uniform_is_uniform_along_each_counter(counter):
    count = 20_000
    fixed = {"key": np.uint64(7), "episode": 3, "position": 5}
    values = np.array([kernel.uniform(**{**fixed, counter: np.uint64(i)}) for i in range(count)])
    gap = np.abs(np.sort(values) - (np.arange(count) + 0.5) / count).max()
    assert gap < 1.95 / math.sqrt(count), "Kolmogorov-Smirnov at 0.1 %"
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 4 / math.sqrt(count)


def test_delay_noise_is_uniform_around_one():
    draws = np.array([kernel.delay_noise(np.uint64(1), e, c) for e in range(100) for c in range(48)])
    assert 0.9 <= draws.min() < 0.901 and 1.099 < draws.max() < 1.1
    assert draws.mean() == pytest.approx(1.0, abs=0.003)
    assert len(np.unique(draws)) == len(draws)
