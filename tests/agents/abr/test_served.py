"""What policies of worlds were trained for."""

import warnings

import numpy as np
import pytest

from agents.abr.served import SaysItsRange, beyond
from netenvs.abr.qoe import make_qoe
from netenvs.abr.workload import Video


def video(levels=6, duration_s=4.0):
    ladder = np.arange(1, levels + 1) * 500
    return Video("made", duration_s, 10, ladder.astype(np.int32), np.tile(ladder * 100, (10, 1)).astype(np.int32))


def of(levels=6, duration_s=4.0, penalty=4.3):
    made = video(levels, duration_s)
    return made, make_qoe("lin", made.bitrates_kbps, penalty)


@pytest.mark.parametrize(
    "known", [{}, {"levels": 2}, {"levels": 12}, {"duration_s": 1.0}, {"duration_s": 10.0}, {"penalty": 0.25}]
)
def test_inside(known):
    assert beyond(*of(**known)) is None


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"levels": 13}, "ladders of 2 to 12 levels, video 'made' has 13"),
        ({"duration_s": 0.5}, "chunks of 1 to 10 s, those of video 'made' last 0.5 s"),
        ({"duration_s": 12.0}, "last 12 s"),
        ({"penalty": 0.1}, "0.1 to 10 times the range of the utility, here it is 0.04 times"),
        ({"penalty": 30.0}, "here it is 12 times"),
    ],
)
def test_beyond(known, said):
    assert said in beyond(*of(**known))


def test_it_is_said_once():
    class Policy(SaysItsRange):
        registered = "made"

    policy, (made, qoe) = Policy(), of(levels=13)
    infos = {"chunk": np.array([1]), "video": made, "qoe": qoe}
    with pytest.warns(UserWarning, match="made was trained for ladders of 2 to 12 levels"):
        policy.look(infos)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        policy.look(infos)
