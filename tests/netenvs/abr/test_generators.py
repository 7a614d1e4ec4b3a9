"""Generated traces and videos: deterministic, and with the statistics that their documentation names."""

import numpy as np
import pytest

from netenvs.abr import generators
from netenvs.abr.generators import BITRATES_KBPS, GENET_SPACES, GenetConfig, genet_trace, sample_genet_config
from netenvs.abr.workload import load_traces, load_video

FIRST_VALUES = [1.469, 1.469, 1.469, 1.469, 1.469, 1.469, 1.342, 1.342, 1.342, 1.342, 1.342, 1.535]
TRACE_SUM = 29066.436
START_SUM = 11966
SIZE_SUMS = [7349998, 18375004, 29399997, 45324999, 69825001, 105350001]


@pytest.mark.parametrize("name", ["synthetic", "genet", "genet(space=udr1)", "pensieve-markov"])
def test_trace_i_depends_on_its_seed_and_number_only(name):
    def made(**options):
        text = name.rstrip(")") + ("," if "(" in name else "(") + ",".join(f"{k}={v}" for k, v in options.items())
        traces = load_traces(text + ")")
        return [tuple(column.tolist() for column in traces.trace(i)) for i in range(len(traces))]

    three = made(count=3)
    assert made(count=3) == three == made(count=6)[:3] == made(count=3, seed=0)
    assert len({str(trace) for trace in made(count=6)}) == 6
    assert not {str(trace) for trace in made(count=3, seed=1)} & {str(trace) for trace in three}


def test_each_name_has_a_hundred_traces():
    for name in generators.TRACES:
        traces = load_traces(name)
        assert len(traces) == len(set(traces.names)) == 100


def test_synthetic_has_the_published_statistics():
    """Means and medians over the 104 FCC traces of fcc-train-clean, and 35 of them with rows of 5 s."""
    traces = load_traces("synthetic(count=1000)")
    each = [traces.trace(i) for i in range(1000)]
    assert {time_s[0] for time_s, _ in each} == {0.0} and {time_s[-1] for time_s, _ in each} == {320.0}
    assert np.mean([time_s[1] == 5 for time_s, _ in each]) == pytest.approx(0.34, abs=0.06)
    means = np.array([bandwidth[1:].mean() for _, bandwidth in each])
    assert means.mean() == pytest.approx(1.284, abs=0.1)
    assert np.median(means) == pytest.approx(1.04, abs=0.1)
    variation = np.array([b[1:].std() / b[1:].mean() for _, b in each])
    assert variation.mean() == pytest.approx(0.296, abs=0.04)
    assert np.median(variation) == pytest.approx(0.243, abs=0.03)


def test_the_embedded_default_is_pinned():
    """The README's tables were made with exactly these traces and sizes; a change of them is a change of results."""
    traces, video = load_traces("synthetic"), load_video("synthetic")
    assert traces.bandwidth_mbps[:12].tolist() == FIRST_VALUES
    assert traces.bandwidth_mbps.sum() == pytest.approx(TRACE_SUM, rel=1e-12)
    assert traces.start_pointer.sum() == START_SUM
    assert video.chunk_sizes.sum(axis=0).tolist() == SIZE_SUMS


def test_synthetic_holds_values_for_five_seconds():
    traces = load_traces("synthetic")
    seconds = [traces.trace(i) for i in range(100) if traces.trace(i)[0][1] == 1.0]
    assert len(seconds) > 20
    for time_s, bandwidth in seconds:
        assert np.all(np.diff(time_s) == 1)
        assert np.all(bandwidth[1:].reshape(64, 5) == bandwidth[1:].reshape(64, 5)[:, :1])
    assert traces.bandwidth_mbps.min() >= 0.01
    starts = traces.start_pointer / np.diff(traces.offset)
    assert starts.min() < 0.1 and starts.max() > 0.9, "start pointers lie anywhere in the trace"


@pytest.mark.parametrize("space", GENET_SPACES)
def test_genet_configurations_lie_in_their_space(space):
    rng = np.random.default_rng(0)
    configs = [sample_genet_config(rng, space) for _ in range(500)]
    for name, (low, high) in GENET_SPACES[space].items():
        values = np.array([getattr(config, name) for config in configs])
        assert low <= values.min() and values.max() <= high
        assert values.max() - values.min() > 0.95 * (high - low)
        if name == "max_bw_mbps":
            values, low, high = np.log(values), np.log(low), np.log(high)
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.06 * (high - low))


def test_udr3_is_genets_published_space():
    assert GENET_SPACES["udr3"] == {
        "min_bw_mbps": (0, 10),
        "max_bw_mbps": (1, 100),
        "change_interval": (0, 100),
        "rtt_ms": (20, 1000),
        "buffer_cap_s": (5, 500),
    }


def test_genet_trace_follows_the_published_rules():
    config = GenetConfig(min_bw_mbps=1.0, max_bw_mbps=3.0, change_interval=4.9, rtt_ms=80, buffer_cap_s=60)
    rng = np.random.default_rng(0)
    traces = [genet_trace(config, rng) for _ in range(50)]
    held = []
    for time_s, bandwidth in traces:
        assert time_s[0] > 0
        assert time_s[-2] < 330 <= time_s[-1]
        steps = np.diff(np.append(0.0, time_s))
        assert steps.min() >= 0.095 and steps.max() <= 3.505
        for column in (time_s, bandwidth):
            assert np.array_equal(column, np.round(column, 2))
        assert bandwidth.min() >= 1.0 and bandwidth.max() <= 3.0
        changes = np.flatnonzero(np.diff(bandwidth)) + 1
        held += np.diff(np.append(0, changes)).tolist()
    # a value is held for 1 .. 4 samples; twice as long only where the same value is drawn again (1 in 200)
    counts = np.bincount(held)
    assert counts[1:5] / len(held) == pytest.approx([0.25] * 4, abs=0.03)
    assert counts[5:].sum() < 0.02 * len(held)
    gaps = np.concatenate([np.diff(time_s) for time_s, _ in traces])
    assert gaps.mean() == pytest.approx(1.8, abs=0.05)
    assert np.mean([b.mean() for _, b in traces]) == pytest.approx(2.0, abs=0.1)


def test_change_interval_zero_changes_every_sample():
    config = GenetConfig(0.0, 100.0, change_interval=0, rtt_ms=80, buffer_cap_s=60)
    _, bandwidth = genet_trace(config, np.random.default_rng(0))
    assert np.mean(np.diff(bandwidth) == 0) < 0.01


def test_genet_parameters_can_be_fixed():
    traces = load_traces("genet(count=20,min_bw_mbps=2,max_bw_mbps=2,rtt_ms=33,buffer_cap_s=44)")
    assert set(traces.bandwidth_mbps) == {2.0}
    assert set(traces.rtt_ms) == {33.0} and set(traces.buffer_cap_s) == {44.0}
    assert traces.start_pointer.tolist() == [1] * 20
    slow, fast = load_traces("genet(change_interval=50)"), load_traces("genet(change_interval=1)")
    assert np.mean(np.diff(slow.bandwidth_mbps) == 0) > 0.9 > 0.1 > np.mean(np.diff(fast.bandwidth_mbps) == 0)
    free = load_traces("genet(count=20)")
    assert len(set(free.rtt_ms)) == len(set(free.buffer_cap_s)) == 20


def test_markov_chain_without_noise_visits_the_ten_states():
    traces = load_traces("pensieve-markov(cov=0,count=20)")
    states = np.linspace(0.2, 4.3, 10)
    each = [traces.trace(i) for i in range(20)]
    indices = [np.abs(bandwidth[:, None] - states).argmin(axis=1) for _, bandwidth in each]
    for (time_s, bandwidth), index in zip(each, indices, strict=True):
        assert np.array_equal(time_s, np.arange(320.0))
        assert bandwidth == pytest.approx(states[index])
    assert set(np.concatenate(indices).tolist()) == set(range(10))
    moves = np.abs(np.concatenate([np.diff(index) for index in indices]))
    assert moves.max() <= 7
    # left with probability 1/20 a second; the distance drawn may be 0
    assert 0.02 < np.mean(moves > 0) < 0.05


def test_markov_noise_is_held_until_it_expires_or_the_state_changes():
    traces = load_traces("pensieve-markov(cov=0.1,t_s=7,t_l=1000000,count=10)")
    for i in range(10):
        bandwidth = traces.trace(i)[1]
        assert bandwidth.min() >= 0.1
        pieces = bandwidth[:315].reshape(45, 7)
        assert np.all(pieces == pieces[:, :1])
        if bandwidth.min() > 0.1:
            assert len(set(pieces[:, 0])) == 45
    assert traces.trace(0)[1].std() / traces.trace(0)[1].mean() < 0.2
    moving = load_traces("pensieve-markov(cov=0.05,t_s=100000,count=5)")
    for i in range(5):
        bandwidth = moving.trace(i)[1]
        noise = bandwidth - 0.2 - np.rint((bandwidth - 0.2) / (4.1 / 9)) * (4.1 / 9)
        assert len(set(noise.round(9))) > 4, "each change of state draws new noise"
    noisy = load_traces("pensieve-markov(cov=5,count=10)")
    assert noisy.bandwidth_mbps.min() == 0.1, "the floor"


def test_markov_duration():
    assert np.diff(load_traces("pensieve-markov(duration_s=50,count=3)").offset).tolist() == [50, 50, 50]


def test_synthetic_video():
    video = load_video("synthetic")
    assert video.bitrates_kbps.tolist() == list(BITRATES_KBPS) == [300, 750, 1200, 1850, 2850, 4300]
    assert (video.num_chunks, video.chunk_duration_s, video.chunk_sizes.shape) == (48, 4.0, (49, 6))
    nominal = np.array(BITRATES_KBPS) * 1000 / 8 * 4
    assert video.chunk_sizes.mean(axis=0) == pytest.approx(nominal, rel=1e-4)
    variation = video.chunk_sizes.std(axis=0) / video.chunk_sizes.mean(axis=0)
    assert np.all((variation > 0.03) & (variation < 0.14)) and variation[0] > variation[-1]
    correlation = np.corrcoef(video.chunk_sizes.T)
    assert correlation.min() > 0.5, "the scene scales all levels together"
    assert np.all(np.diff(video.chunk_sizes, axis=1) > 0)
    assert np.array_equal(load_video("synthetic(seed=0)").chunk_sizes, video.chunk_sizes)
    assert not np.array_equal(load_video("synthetic(seed=1)").chunk_sizes, video.chunk_sizes)


def test_synthetic_4k_video():
    video = load_video("synthetic-4k")
    assert video.bitrates_kbps.tolist() == [1000, 2500, 5000, 8000, 12000, 18000, 26000, 35000]
    assert (video.num_chunks, video.chunk_duration_s, video.chunk_sizes.shape) == (48, 4.0, (48, 8))
    assert video.chunk_sizes.mean(axis=0) == pytest.approx(video.bitrates_kbps * 500.0, rel=1e-6)
    assert video.chunk_sizes.std(axis=0) / video.chunk_sizes.mean(axis=0) == pytest.approx(0.25, abs=1e-6)
    assert np.corrcoef(video.chunk_sizes.T).min() > 0.9 and np.all(np.diff(video.chunk_sizes, axis=1) > 0)
    assert load_video("synthetic-4k(seed=0)").chunk_sizes.tolist() == video.chunk_sizes.tolist()
    assert load_video("synthetic-4k(seed=1)").chunk_sizes.tolist() != video.chunk_sizes.tolist()


def test_generated_videos_have_ladders_of_their_own():
    videos = [load_video(f"generated(seed={seed})") for seed in range(200)]
    assert {(video.num_levels, video.num_chunks, video.chunk_sizes.shape) for video in videos} == {(6, 48, (48, 6))}
    assert {video.chunk_duration_s for video in videos} == {2.0, 3.0, 4.0}
    assert np.mean([video.chunk_duration_s == 4.0 for video in videos]) == pytest.approx(0.6, abs=0.1)
    lowest, highest = (np.array([video.bitrates_kbps[end] for video in videos]) for end in (0, -1))
    assert 150 <= lowest.min() < 180 and 600 < lowest.max() <= 700
    assert 2000 <= highest.min() < 2300 and 7000 < highest.max() <= 8000
    for video in videos:
        nominal = video.bitrates_kbps * 125 * video.chunk_duration_s
        assert video.chunk_sizes.mean(axis=0) == pytest.approx(nominal, rel=1e-3), "mean rates are the bitrates"
        steps = np.diff(np.log(video.bitrates_kbps))
        assert steps.min() > 0.3 * steps.mean() and steps.max() < 1.7 * steps.mean()
    variation = np.array([np.log(video.chunk_sizes).std(axis=0).mean() for video in videos])
    assert variation.min() < 0.08 and 0.25 < variation.max() < 0.4
    between = [np.corrcoef(np.log(video.chunk_sizes.T)).min() for video in videos]
    assert min(between) < 0.6 and max(between) > 0.9, "the scene decides more or less"
    after = [np.corrcoef(scene[:-1], scene[1:])[0, 1] for scene in (np.log(v.chunk_sizes).mean(axis=1) for v in videos)]
    assert np.mean(after) == pytest.approx(0.3, abs=0.1) and max(after) > 0.6


def test_a_generated_video_depends_on_its_seed():
    assert load_video("generated(seed=3)") == load_video("generated(seed=3)")
    assert load_video("generated(seed=3)").bitrates_kbps.tolist() != load_video("generated").bitrates_kbps.tolist()


@pytest.mark.parametrize("levels", [2, 20])
def test_generated_ladders_have_the_levels_asked_for(levels):
    ladders = [load_video(f"generated(seed={seed},levels={levels})").bitrates_kbps for seed in range(50)]
    assert all(len(ladder) == levels and np.all(np.diff(ladder) > 0) for ladder in ladders)


@pytest.mark.parametrize("levels", ["1", "21", "2.5"])
def test_impossible_numbers_of_levels(levels):
    with pytest.raises(ValueError, match=f"levels must be a whole number from 2 to 20, it is {levels}"):
        load_video(f"generated(levels={levels})")
