"""Pictures: that they show what was played."""

import itertools

import numpy as np
import pytest

from netenvs.abr.env import ABREnv


def played(tiny, steps, **options):
    env = tiny.make(**options)
    env.reset(seed=0)
    for action in steps:
        env.step(action)
    return env


def test_line_of_text(tiny):
    env = played(tiny, [1, 2], render_mode="ansi", rtt_ms=80)
    text = env.render()
    assert "\n" not in text
    for part in ("chunk 3/4", "trace.txt", "4000 kbit/s", "10.08 s to download", "7.54 Mbit/s", "buffer 4.0 s"):
        assert part in text
    assert "stall 4.16 s" in text
    env.step(0)
    assert "no stall" in env.render()


def test_frames_differ_as_the_episode_goes_on(tiny):
    env = tiny.make(render_mode="rgb_array")
    env.reset(seed=0)
    frames = [env.render()]
    for action in (1, 2, 0):
        env.step(action)
        frames.append(env.render())
    assert {frame.shape for frame in frames} == {(600, 900, 3)}
    assert all(not np.array_equal(a, b) for a, b in itertools.pairwise(frames))
    assert np.array_equal(frames[-1], env.render()), "rendering changes nothing"


def test_figure_shows_the_session(tiny):
    env = played(tiny, [1, 2, 0], rtt_ms=80).unwrapped
    figure = env.episode_figure()
    rates, buffer, stalls = figure.axes
    assert rates.get_ylabel() == "Mbit/s" and buffer.get_ylabel() == "buffer (s)"
    # delays 1.08, 2.08, 10.08, 0.58 s without a pause
    (bars,) = rates.collections
    segments = np.array(bars.get_segments())
    assert segments[:, 0, 0] == pytest.approx([0, 1.08, 3.16, 13.24])
    assert segments[:, 1, 0] == pytest.approx([1.08, 3.16, 13.24, 13.82])
    assert segments[:, 0, 1] == pytest.approx([1, 2, 4, 1])
    (line,) = buffer.lines
    assert line.get_xdata()[-1] == pytest.approx(13.82)
    levels = line.get_ydata()
    assert levels.min() == 0 and levels[-1] == pytest.approx(7.42)
    assert levels.max() == pytest.approx(7.42)
    assert [round(bar.get_width(), 2) for bar in stalls.patches] == [1.08, 4.16]
    assert "5.24 s in 2 stalls" in stalls.texts[0].get_text()
    assert rates.get_xlim() == pytest.approx((0, 13.82))
    edges = rates.patches[-1].get_data().edges
    assert edges[0] <= 0 and edges[-1] >= 13.82, "the bandwidth goes round as long as the session"


def test_figure_of_a_pause(tiny):
    env = played(tiny, [0, 0], buffer_cap_s=5.0).unwrapped
    (line,) = env.episode_figure().axes[1].lines
    assert line.get_ydata().max() == pytest.approx(4.92 - 0.58 + 4.0)
    assert line.get_ydata()[-1] == pytest.approx(4.84)


def test_start_of_the_trace_is_shifted(tiny):
    env = tiny.make(start="random").unwrapped
    starts = set()
    for seed in range(10):
        env.reset(seed=seed)
        edges = env.episode_figure().axes[0].patches[-1].get_data().edges
        assert edges[0] == -[0.0, 4.0][env.start_pointer - 1]
        starts.add(env.start_pointer)
    assert starts == {1, 2}


def test_render_needs_an_episode_and_a_mode(tiny):
    with pytest.raises(ValueError, match="call reset"):
        tiny.make(render_mode="ansi").unwrapped.render()
    with pytest.raises(ValueError, match="render_mode 'human'"):
        ABREnv(render_mode="human")
