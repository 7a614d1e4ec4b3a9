"""What every option of ``netenvs/ABR-v0`` does, and what bad ones say."""

import gymnasium as gym
import numpy as np
import pytest
from bitrate_sessions import ABR, column, figures, rollout
from gymnasium.vector import AutoresetMode

from netenvs.abr import kernel
from netenvs.abr.workload import load_video


def test_presets():
    def defaults(preset):
        env = gym.make(ABR, preset=preset).unwrapped
        _, info = env.reset(seed=0)
        world = env.simulator.world
        return {
            "traces": env.traces.name,
            "history": env.observation_space.shape[1],
            "first": info["bitrate_kbps"],
            "penalty": env.qoe.rebuffer_penalty,
            "stored": np.any(world.traces["start_pointer"] != 1),
            "rtt": set(world.traces["rtt_ms"]) if preset != "genet" else None,
            "cap": set(world.traces["buffer_cap_ms"]) if preset != "genet" else None,
        }

    netllm = {"traces": "synthetic", "history": 6, "first": 300, "penalty": 4.3, "stored": True}
    pensieve = {"traces": "synthetic", "history": 8, "first": 750, "penalty": 4.3, "stored": False}
    genet = {"traces": "genet", "history": 6, "first": 750, "penalty": 10.0, "stored": False}
    assert defaults("netllm") == {**netllm, "rtt": {80.0}, "cap": {60_000.0}}
    assert defaults("pensieve") == {**pensieve, "rtt": {80.0}, "cap": {60_000.0}}
    assert defaults("genet") == {**genet, "rtt": None, "cap": None}


def test_genet_traces_bring_their_round_trip_and_buffer():
    env = gym.make(ABR, preset="genet").unwrapped
    table = env.simulator.world.traces
    assert np.array_equal(table["rtt_ms"], env.traces.rtt_ms) and len(set(table["rtt_ms"])) == 100
    assert np.array_equal(table["buffer_cap_ms"], env.traces.buffer_cap_s * 1000)
    fixed = gym.make(ABR, preset="genet", rtt_ms=50, buffer_cap_s=20).unwrapped.simulator.world.traces
    assert set(fixed["rtt_ms"]) == {50.0} and set(fixed["buffer_cap_ms"]) == {20_000.0}


def test_presets_are_only_defaults():
    env = gym.make(ABR, preset="genet", traces="synthetic", history=9, start="stored").unwrapped
    assert (env.traces.name, env.observation_space.shape) == ("synthetic", (6, 9))
    assert np.array_equal(env.simulator.world.traces["start_pointer"], env.traces.start_pointer)


def test_video_default_goes_with_the_traces(netllm_abr):
    installed, generated = gym.make(ABR, traces="fcc-test").unwrapped, gym.make(ABR).unwrapped
    named = gym.make(ABR, video="video1").unwrapped
    assert np.array_equal(installed.video.chunk_sizes, named.video.chunk_sizes)
    assert not np.array_equal(generated.video.chunk_sizes, named.video.chunk_sizes)
    assert generated.video.name == "synthetic"


def test_jumps(tiny):
    env = tiny.make(action_mode="jump")
    assert env.action_space == gym.spaces.Discrete(3)
    observation_and_info = env.reset(seed=0)
    assert observation_and_info[1]["action_mask"].tolist() == [False, True, True]
    seen = [(None, 0, observation_and_info[1])]
    for action in (0, 2, 2):
        seen.append((None, 0, env.step(action)[4]))
    assert column(seen, "bitrate_kbps") == [1000, 1000, 2000, 4000]
    assert column(seen, "invalid_action") == [False, True, False, False]
    assert env.get_wrapper_attr("action_masks")().tolist() == [True, True, False]


def test_a_step_off_the_top_is_flagged(tiny):
    env = tiny.make_vec(2, action_mode="jump", preset="pensieve")  # begins at level 1
    env.reset(seed=0)
    env.step([2, 1])
    *_, infos = env.step([2, 2])
    assert infos["bitrate_kbps"].tolist() == [4000, 4000]
    assert infos["invalid_action"].tolist() == [True, False]
    assert env.unwrapped.action_masks().tolist() == [[True, True, False]] * 2


def test_levels_are_always_legal(tiny):
    env = tiny.make_vec(2)
    _, infos = env.reset(seed=0)
    assert env.unwrapped.action_masks().tolist() == [[True] * 3] * 2
    assert not infos["invalid_action"].any()


def test_delay_noise():
    plain, noisy = gym.make(ABR), gym.make(ABR, delay_noise=True)
    expected = np.array(column(rollout(plain, [1] * 47, seed=2), "delay_ms"))
    got = np.array(column(rollout(noisy, [1] * 47, seed=2), "delay_ms"))
    # neither noise nor round trip moves the trace clock, so without a pause the transfers are the same
    factor = got / expected
    assert np.all((factor >= 0.9) & (factor < 1.1)) and factor.std() > 0.03
    session = noisy.unwrapped.simulator.batch.session[0]
    draws = [kernel.delay_noise(session["key"], session["episode"], chunk) for chunk in range(48)]
    assert factor == pytest.approx(draws, rel=1e-12)
    assert not np.array_equal(factor, np.array(column(rollout(noisy, [1] * 47), "delay_ms")) / expected)


def test_start():
    def starts(start):
        env = gym.make(ABR, start=start).unwrapped
        found = []
        for trace in range(20):
            env.reset(seed=trace, options={"trace": trace})
            found.append(env.start_pointer)
        return found, [len(env.traces.trace(i)[0]) for i in range(20)], env.traces.start_pointer[:20].tolist()

    first, _, _ = starts("first")
    assert first == [1] * 20
    kept, _, stored = starts("stored")
    assert kept == stored and len(set(stored)) > 10
    drawn, lengths, _ = starts("random")
    assert drawn != stored and len(set(drawn)) > 10
    assert all(1 <= pointer < length for pointer, length in zip(drawn, lengths, strict=True))


def test_random_start_reaches_the_whole_trace(tiny):
    env = tiny.make_vec(200, start="random")
    env.reset(seed=0)
    assert set(env.unwrapped.simulator.batch.session["start"]) == {1, 2}


def test_round_trip_is_in_every_delay(tiny):
    near, far = (column(rollout(tiny.make(rtt_ms=rtt), [0, 1], seed=0), "delay_ms") for rtt in (0, 250))
    assert near == pytest.approx([1000, 500, 1000])
    assert np.subtract(far, near) == pytest.approx([250, 250, 250])


def test_infos_say_what_the_buffer_holds():
    traces = "genet(count=3)"
    caps = gym.make(ABR, traces=traces).unwrapped.traces.buffer_cap_s
    _, infos = gym.make_vec(ABR, num_envs=3, traces=traces).reset(options={"trace": np.arange(3)})
    assert np.array_equal(infos["buffer_cap_s"], caps)
    _, info = gym.make(ABR, traces=traces).reset(options={"trace": 2})
    assert info["buffer_cap_s"] == caps[2]
    assert gym.make(ABR, traces=traces, buffer_cap_s=33).reset(seed=0)[1]["buffer_cap_s"] == 33.0


def test_buffer_cap():
    for cap in (5.0, 12.0):
        env = gym.make(ABR, buffer_cap_s=cap)
        buffers = column(rollout(env, [0] * 47, seed=0), "buffer_s")
        assert cap - 0.5 < max(buffers) <= cap


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_a_video_is_given_as_an_object(make):
    named = load_video("generated(seed=3)")
    assert load_video(named) is named
    env = make(ABR, traces="genet", video=named).unwrapped
    assert env.video is named and env.simulator.shared_info["video"] is named
    one, other = gym.make(ABR, video=named), gym.make(ABR, video="generated(seed=3)")
    assert figures(one) == figures(other) != figures(gym.make(ABR))


BAD_OPTIONS = [
    ({"rebuffer_penalty": -1}, "rebuffer_penalty must be a number from 0 to 1.*, not -1"),
    ({"rebuffer_penalty": float("nan")}, "rebuffer_penalty must be a number from 0 to 1.*, not nan"),
    ({"rebuffer_penalty": "4.3"}, "rebuffer_penalty must be a number from 0 to 1.*, not '4.3'"),
    ({"switch_penalty": float("inf")}, "switch_penalty must be a number from 0 to 1.*, not inf"),
    ({"switch_penalty": True}, "switch_penalty must be a number from 0 to 1.*, not True"),
    ({"preset": "netlm"}, "did you mean 'netllm'"),
    ({"preset": ["netllm"]}, "preset"),
    ({"qoe": "linear"}, "qoe"),
    ({"qoe": 3}, "qoe"),
    ({"qoe": "lin "}, "unknown qoe 'lin '; did you mean 'lin'.*or a file .json, .csv or .npy of utilities"),
    ({"qoe": "none.json"}, "none.json: cannot be read"),
    ({"qoe": [1, 2, 3]}, "qoe: 3 utilities, but video 'synthetic' has 6 levels"),
    ({"qoe": [[1, 2, 3, 4, 5, 6]] * 5}, "qoe: 5 rows, but video 'synthetic' has 48 chunks"),
    ({"qoe": []}, "qoe: no utility"),
    ({"qoe": [1, 2, 3, 4, 5, float("nan")]}, "qoe: the utility of level 5 is nan"),
    ({"start": "middle"}, "start"),
    ({"action_mode": "jumps"}, "jump"),
    ({"action_mode": None}, "action_mode"),
    ({"observation": "flatten"}, "unknown observation 'flatten'; did you mean 'flat'"),
    ({"observation": None}, "observation"),
    ({"history": 5}, "history must be a whole number from 6"),
    ({"history": "8"}, "history"),
    ({"history": 6.5}, "history"),
    ({"delay_noise": "no"}, "delay_noise"),
    ({"rtt_ms": -1}, "rtt_ms"),
    ({"rtt_ms": float("nan")}, "rtt_ms"),
    ({"rtt_ms": "near"}, "rtt_ms must be a number"),
    ({"buffer_cap_s": 3.9}, "buffer_cap_s must be a finite number from 4"),
    ({"buffer_cap_s": float("inf")}, "buffer_cap_s"),
    ({"traces": "genet(buffer_cap_s=1)"}, "buffer_cap_s must be a finite number from 4 up, not 1.0"),
    ({"traces": 3}, "traces must be a name, a path or a TraceSet"),
    ({"video": 3}, "video must be a name, a path, a Video or a list"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS, ids=str)
@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_bad_options_are_one_line(make, options, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")) as caught:
        make(ABR, **options)
    assert "\n" not in str(caught.value)


def test_short_chunks_need_half_a_second_of_buffer(trace_file, video_file):
    """A pause drains steps of 0.5 s: a smaller cap could leave less than nothing."""
    video = video_file([[1000] * 9, [2000] * 9], [100, 200], chunk_duration_s=0.1)
    options = {"traces": trace_file([(0, 8), (9, 8)]), "video": video}
    with pytest.raises(ValueError, match=r"from 0.5 up"):
        gym.make(ABR, buffer_cap_s=0.2, **options)
    seen = rollout(gym.make(ABR, buffer_cap_s=0.5, rtt_ms=0, **options), [1] * 9, seed=0)
    assert all(0 <= level <= 0.5 for level in column(seen, "buffer_s"))


@pytest.mark.parametrize("num_envs", [0, -1, 1.5, True, "4"])
def test_bad_batch_sizes(num_envs):
    from netenvs.abr.env import ABRVectorEnv

    with pytest.raises(ValueError, match="num_envs"):
        ABRVectorEnv(num_envs=num_envs)


def test_vector_only_options():
    with pytest.raises(ValueError, match=r"autoreset_mode 'same'; known: DISABLED, NEXT_STEP, SAME_STEP"):
        gym.make_vec(ABR, autoreset_mode="same")
    with pytest.raises(ValueError, match="render"):
        gym.make_vec(ABR, vectorization_mode="vector_entry_point", render_mode="rgb_array")
    for mode in (*AutoresetMode, "next-step", "SAME_STEP", "Disabled"):
        assert gym.make_vec(ABR, autoreset_mode=mode).metadata["autoreset_mode"] in AutoresetMode
