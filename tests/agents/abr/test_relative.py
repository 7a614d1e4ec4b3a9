"""What networks see of a session: the same whatever the scale, and plans that a loop in Python finds, too."""

import gymnasium as gym
import numpy as np
import pytest

from agents.abr import relative
from agents.abr.relative import LEVEL_FEATURES, PLANS, SESSION_FEATURES, relative_steps
from netenvs.abr.qoe import QoE, make_qoe
from netenvs.abr.workload import Video

LADDER = np.array([300, 750, 1200, 1850, 2850, 4300])


def session(name):
    return SESSION_FEATURES.index(name)


def level(name):
    return LEVEL_FEATURES.index(name)


def a_step(scale=1.0, worth=1.0, ladder=LADDER, chunks=30, played=9, penalty=4.3, switch=1.0, qoe=None, **infos):
    """A session after downloads of 1, 2, 3 ... Mbit/s, of a video whose sizes vary, at level 1."""
    rng = np.random.default_rng(0)
    sizes = ladder * 500.0 * np.exp(0.2 * rng.standard_normal((chunks, 1)))
    video = Video(
        "made", 4.0, chunks, np.rint(ladder * scale).astype(np.int32), np.rint(sizes * scale).astype(np.int32)
    )
    observation = np.zeros((1, 6, 16), dtype=np.float32)
    rates = np.arange(1.0, played + 1) * scale
    observation[0, 2, -played:], observation[0, 3, -played:] = rates / 8, 0.3
    known = {"chunk": played, "bitrate_kbps": video.bitrates_kbps[1], "buffer_s": 11.0, "buffer_cap_s": 60.0}
    known = {**known, "rebuffer_s": 0.5, "sleep_ms": 0.0, **infos}
    if qoe is None:
        base = make_qoe("lin", ladder, penalty, switch)
        qoe = QoE("lin", base.utility * worth, base.switch_cost * worth, penalty * worth, switch)
    columns = {name: np.array([value]) for name, value in known.items()}
    return observation, {**columns, "video": video, "qoe": qoe}


def seen(*arguments, longest=6, **known):
    steps = relative_steps(*a_step(*arguments, **known), longest)
    return steps["session"][0], steps["levels"][0], steps


def test_ten_times_the_ladder_on_ten_times_the_link_looks_the_same():
    # sizes are whole bytes, so the last digits differ
    (one, levels, _), (ten, tenfold, _) = seen(), seen(scale=10.0)
    assert ten == pytest.approx(one, abs=2e-3)
    assert tenfold == pytest.approx(levels, abs=2e-2)


def test_utilities_and_penalties_in_another_unit_look_the_same():
    (one, levels, _), (other, same, _) = seen(), seen(worth=100.0)
    assert other == pytest.approx(one, abs=1e-5) and same == pytest.approx(levels, abs=1e-5)


def test_objectives_look_different():
    one, levels, _ = seen()
    for changed in (seen(penalty=40.0), seen(switch=2.0), seen(qoe=make_qoe("log", LADDER, 4.3))):
        assert not np.allclose(changed[0], one) or not np.allclose(changed[1], levels)


def test_a_session_by_hand():
    found, levels, steps = seen()
    reference = 5 / sum(1 / rate for rate in (5, 6, 7, 8, 9))  # Mbit/s
    assert found[session("log last throughput")] == pytest.approx(np.log(9 / reference), abs=1e-5)
    assert found[session("log least of 16")] == pytest.approx(np.log(1 / reference), abs=1e-5)
    assert found[session("log throughput -1")] == found[session("log last throughput")]
    assert found[session("log throughput -8")] == pytest.approx(np.log(2 / reference), abs=1e-5)
    assert found[session("last utility")] == pytest.approx(450 / 4000)
    assert found[session("chunks left of 40")] == pytest.approx(21 / 20 - 1)
    assert levels[:, level("utility")] == pytest.approx((LADDER - 300) / 4000)
    assert levels[:, level("is the last")].tolist() == [0, 1, 0, 0, 0, 0]
    _, infos = a_step()
    download = infos["video"].chunk_sizes[9] * 8 / 1e6 / reference
    assert levels[:, level("log download time in chunks")] == pytest.approx(np.log(download / 4), abs=1e-4)
    assert levels[:, level("buffer left to 4 chunks")] == pytest.approx(np.tanh((11 - download) / 16), abs=1e-5)
    assert steps["last"].tolist() == [1] and steps["exists"].all()


def test_plans_are_those_that_a_loop_finds():
    _, levels, _ = seen()
    _, infos = a_step()
    sizes, utility = infos["video"].chunk_sizes, infos["qoe"].utility / 4.0  # of 0.3 to 4.3
    reference = 5 / sum(1 / rate for rate in (5, 6, 7, 8, 9)) * 125000.0
    penalty, last = 4.3 / 4.0, 1

    def worth(first, onward, rate, horizon, valued):
        buffer, total, before = 11.0, 0.0, utility[last]
        for ahead in range(horizon):
            chosen = first if ahead == 0 else onward
            download = 0.08 + sizes[9 + ahead, chosen] / rate
            total += utility[chosen] - abs(utility[chosen] - before) - penalty * max(1.15 * download - buffer, 0.0)
            buffer = min(max(buffer - download, 0.0) + 4.0, 60.0)
            before = utility[chosen]
        kept = min(buffer, 20.0)
        return total + (0.2 * penalty * (kept - kept**2 / 40.0) if valued else 0.0)

    def regrets(rate, horizon, valued):
        values = [max(worth(q, onward, rate, horizon, valued) for onward in range(6)) for q in range(6)]
        return np.minimum(max(values) - np.array(values), relative.WORST)

    for share in (0.15, 0.7, 1.25):
        assert levels[:, level(f"regret of plans at {share:g}")] == pytest.approx(
            regrets(share * reference, 16, False), abs=1e-4
        )
        assert levels[:, level(f"regret of plans at {share:g}, buffer valued")] == pytest.approx(
            regrets(share * reference, 16, True), abs=1e-4
        )
    assert levels[:, level("regret of plans at 0.45 of the last")] == pytest.approx(
        regrets(0.45 * 9 * 125000.0, 16, False), abs=1e-4
    )
    assert levels[:, level("regret of short plans at 1")] == pytest.approx(regrets(reference, 5, False), abs=1e-4)
    assert len([name for name in LEVEL_FEATURES if name.startswith("regret of")]) == PLANS


def test_levels_that_are_not_there_are_zeros():
    short, long = seen(longest=6), seen(longest=12)
    assert np.array_equal(short[1], long[1][:6]) and not long[1][6:].any()
    assert long[2]["exists"][0].tolist() == [True] * 6 + [False] * 6


def test_utilities_by_chunk_are_those_of_the_chunks_that_come():
    table = np.tile(np.linspace(0, 100, 6), (30, 1))
    table[9:] *= 0.5
    step, infos = a_step()
    by_chunk = QoE("table", table.mean(axis=0), np.zeros((6, 6)), 50.0, 1.0, table)
    levels = relative_steps(step, {**infos, "qoe": by_chunk}, 6)["levels"][0]
    assert levels[:, level("utility")] == pytest.approx(np.linspace(0, 0.5, 6), abs=1e-6)
    assert levels[:, level("utility to the last")] == pytest.approx(np.linspace(0, 0.5, 6) - 0.2, abs=1e-6)


@pytest.mark.parametrize("infos", [{"buffer_s": 1e6}, {"rebuffer_s": 1e9}, {"buffer_cap_s": 4.0}, {"sleep_ms": 1e5}])
def test_numbers_stay_finite_and_small(infos):
    for scale in (1e-3, 1.0, 1e3):
        for penalty in (0.0, 1e6):
            found, levels, _ = seen(scale=1.0, penalty=penalty, **infos)
            step, known = a_step(penalty=penalty, **infos)
            step[:, 2] *= scale
            steps = relative_steps(step, known, 6)
            for values in (found, levels, steps["session"], steps["levels"]):
                assert np.isfinite(values).all() and np.abs(values).max() <= relative.LIMIT


def test_sessions_of_environments_from_the_first_to_the_last_chunk():
    env = gym.make_vec("netenvs/ABR-v0", num_envs=3, video="generated(levels=9)", autoreset_mode="disabled", history=16)
    observations, infos = env.reset(seed=0)
    for played in range(1, 49):
        steps = relative_steps(observations, {**infos, **env.unwrapped.shared_info}, 12)
        assert np.isfinite(steps["levels"]).all() and steps["session"].dtype == np.float32
        assert steps["levels"][:, :9, level("utility")].any() == (played < 48)
        if played < 48:
            observations, _, _, _, infos = env.step(np.full(3, played % 9))
