"""What networks play outside of what they were trained for, and that they say so."""

import re
import warnings

import numpy as np
import pytest

from agents.abr.dynamic import Dynamic
from agents.abr.fallback import Fallback, TrainingRange
from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play
from netenvs.abr.qoe import make_qoe
from netenvs.abr.records import make_trace_set

ABR = "netenvs/ABR-v0"
LADDER = (300, 750, 1200, 1850, 2850, 4300)
RANGE = TrainingRange(6, LADDER, 4.0, (0.5, 10.0), 4.3 / 4.0)
NETWORKS = ("genet", "udr")


@pytest.mark.parametrize(
    ("ladder", "duration", "penalty", "message"),
    [
        (LADDER, 4.0, 4.3, None),
        (LADDER, 5.9, 10.0, None),
        ([int(b * 1.49) for b in LADDER], 4.0, 4.3 * 1.49, None),
        (LADDER[:5], 4.0, 4.3, "6 levels, video 'made' has 5"),
        ((300, 750, 1200, 1850, 2850, 9000), 4.0, 4.3, "300 750 .* kbit/s, video 'made' has .* 9000"),
        (LADDER, 10.0, 4.3, "chunks of 4 s, video 'made' has 10"),
        (LADDER, 4.0, 40.0, "a stall penalty of 1.1 times the .*, here it is 10 times that"),
        (LADDER, 4.0, 0.0, "a stall penalty of"),
    ],
)
def test_what_is_beyond_a_range(ladder, duration, penalty, message, make_video):
    video = make_video(ladder, chunk_duration_s=duration)
    found = RANGE.beyond(video, make_qoe("lin", video.bitrates_kbps, penalty))
    assert found is None if message is None else re.search(message, found)
    assert TrainingRange(len(ladder)).beyond(video, make_qoe("lin", video.bitrates_kbps, penalty)) is None


def test_rows_out_of_range_are_the_rules_and_the_others_the_networks(make_video):
    video = make_video()
    rows, seen = np.array([0, 1, 2]), []

    def network(observations, infos):
        seen.append((observations.tolist(), infos["row"].tolist(), infos["video"].name))
        return np.full(len(infos["row"]), 5)

    infos = {"row": rows, "video": video, "qoe": make_qoe("lin", video.bitrates_kbps, 4.3)}
    infos |= {"buffer_s": np.array([8.0] * 3), "delay_ms": np.array([1000.0] * 3), "sleep_ms": np.zeros(3)}
    infos |= {
        "buffer_cap_s": np.array([60.0] * 3),
        "throughput_mbps": np.array([0.2, 5.0, 50.0]),
        "bitrate_kbps": np.array([300.0] * 3),
    }
    fallback, rule = Fallback("toy", RANGE), Dynamic()
    for part in (fallback, rule):
        part.reset_rows(rows, [None] * 3)
    wanted = rule.act_batch(np.zeros(3), infos)
    with pytest.warns(UserWarning, match=r"toy was trained for 0.5 to 10 Mbit/s, here are 0.2: .* 'dynamic' plays"):
        levels = fallback.act_batch(network, np.arange(3), infos)
    assert levels.tolist() == [wanted[0], 5, wanted[2]] and wanted[0] == 0
    assert seen == [([1], [1], "made")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fallback.act_batch(network, np.arange(3), infos)  # it was said


@pytest.mark.parametrize("policy", [*NETWORKS, "genet-released"])
@pytest.mark.parametrize("video", ["synthetic-4k", "generated(levels=10)"])
def test_a_ladder_of_other_levels_is_the_rules(policy, video, request):
    if policy == "genet-released":
        request.getfixturevalue("genet_weights")
    specs = [EpisodeSpec(seed, options={"trace": seed}) for seed in range(3)]
    with pytest.warns(UserWarning, match=rf"{policy} was trained for 6 levels, video .* 'dynamic' plays") as said:
        played = play(load_policy(policy, "abr"), ABR, specs, {"video": video})
    assert len(said) == 1
    ruled = play(Dynamic(), ABR, specs, {"video": video})
    assert all(np.array_equal(a.actions, b.actions) for a, b in zip(played, ruled, strict=True))
    with pytest.raises(PolicyError, match=r"6 levels, video .* has 8; train one on it|made for history="):
        play(load_policy(f"{policy}(fallback=none)", "abr"), ABR, specs, {"video": video})


@pytest.mark.parametrize("policy", NETWORKS)
def test_at_home_the_network_plays_without_a_word(policy):
    specs = [EpisodeSpec(seed, options={"trace": seed}) for seed in range(100)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        guarded = play(load_policy(policy, "abr"), ABR, specs)
        bare = play(load_policy(f"{policy}(fallback=none)", "abr"), ABR, specs)
    assert all(np.array_equal(a.actions, b.actions) for a, b in zip(guarded, bare, strict=True))


def test_a_fast_link_is_the_rules():
    time_s = np.arange(0.0, 321.0)
    traces = make_trace_set("fast", [("fast", time_s, np.full(len(time_s), 1000.0))])
    with pytest.warns(UserWarning, match="genet was trained for 0 to 100 Mbit/s"):
        (episode,) = play(load_policy("genet", "abr"), ABR, [EpisodeSpec(0)], {"traces": traces})
    assert set(episode.actions[15:]) == {5}


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match="unknown fallback 'dynamik'; did you mean 'dynamic'"):
        Fallback("toy", RANGE, "dynamik")
