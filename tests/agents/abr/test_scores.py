"""Scores are means of played episodes; cards hold what was measured; the best seed is shipped."""

import json

import numpy as np
import pytest

from agents import statistics
from agents.abr import scores
from agents.abr.bba import BBA
from agents.abr.card import Training, read_trainings, ship, write_card
from agents.abr.simple import Constant
from agents.rollout import EpisodeSpec, play
from netenvs.abr.task import TASK as ABR


def test_a_score_is_the_mean_reward_of_each_trace():
    found = scores.score(BBA(), "synthetic(count=5)", preset="pensieve", video="synthetic(seed=3)")
    specs = [EpisodeSpec(trace, options={"trace": trace}) for trace in range(5)]
    options = {"traces": "synthetic(count=5)", "preset": "pensieve", "video": "synthetic(seed=3)"}
    played = play(BBA(), ABR.env_id, specs, options)
    assert found.dtype == np.float64
    assert found.tolist() == [episode.total_reward / 47 for episode in played]


def test_more_episodes_than_traces_are_averaged_by_trace():
    specs = [EpisodeSpec(number, options={"trace": number % 3}) for number in range(7)]
    played = play(BBA(), ABR.env_id, specs, {"traces": "synthetic(count=3)", "start": "random"})
    value = [episode.rewards.mean() for episode in played]
    expected = [np.mean(value[0::3]), np.mean(value[1::3]), np.mean(value[2::3])]
    assert scores.score(BBA(), "synthetic(count=3)", episodes=7, start="random") == pytest.approx(expected, abs=1e-12)
    assert len(scores.score(BBA(), "synthetic(count=3)", episodes=2)) == 2
    with pytest.raises(ValueError, match="episodes must be 1 or more, not 0"):
        scores.score(BBA(), "synthetic(count=3)", episodes=0)


def test_published_figure_of_bba(netllm_abr):
    settings = {"fcc-test": scores.SETTINGS["fcc-test"]}
    assert statistics.mean(scores.score_all(BBA(), settings)["fcc-test"]) == pytest.approx(0.764151, abs=1e-6)


def test_settings_without_their_data_are_left_out(monkeypatch, tmp_path):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    assert list(scores.available()) == ["synthetic"]
    found = scores.score_all(Constant(), {"few": {"traces": "synthetic(count=2)"}})
    assert list(found) == ["few"] and len(found["few"]) == 2


def make_training(seed, valid, **changes):
    known = {
        "seed": seed,
        "command": f"python -m made.up --seed {seed}",
        "data": "Trained on nothing.",
        "settings": {"rate": 0.1},
        "steps": 2000,
        "unit": "steps",
        "cpu_s": 12.0,
        "wall_s": 13.0,
        "kept": 1000,
        "measure": "valid",
        "curve": [{"step": 1000, "valid": 0.5}, {"step": 2000, "valid": 0.25}],
        "scores": {scores.VALIDATION: valid, "synthetic": [1.0, 2.0, 3.0]},
    }
    return Training(**{**known, **changes})


@pytest.fixture
def trained(tmp_path):
    """Three folders of trainings; the one of seed 1 is the best in validation."""
    folders = []
    for seed, valid in enumerate(([0.1, 0.2], [0.4, 0.5], [0.3, 0.2])):
        folder = tmp_path / f"seed-{seed}"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"policy": "made-up", "seed": seed}))
        (folder / "model.safetensors").write_bytes(bytes([seed]) * 5000)
        write_card(folder, "made-up", "A policy\nfor tests.", [make_training(seed, valid)], notes="It was tried.")
        folders.append(folder)
    return folders


def test_the_best_seed_in_validation_is_shipped(trained, tmp_path):
    out = tmp_path / "shipped"
    assert ship(trained, out, "made-up", command="python -m made.up --ship 0 1 2") == 1
    assert (out / "model.safetensors").read_bytes() == bytes([1]) * 5000
    assert json.loads((out / "config.json").read_text())["seed"] == 1
    assert [training.seed for training in read_trainings(out)] == [0, 1, 2]
    card = (out / "README.md").read_text()
    for line in (
        "# made-up",
        "A policy for tests.",
        "Trained on nothing.",
        "python -m made.up --seed 2",
        "python -m made.up --ship 0 1 2",
        "| seed | fcc-valid-clean | synthetic |",
        "| 0 | 0.1500 [0.100, 0.200] | 2.0000 [1.000, 3.000] |",
        "| 1 (shipped) | 0.4500 [0.400, 0.500] | 2.0000 [1.000, 3.000] |",
        "| mean of 3 | 0.2833 [0.267, 0.300] | 2.0000 [1.000, 3.000] |",
        "It was tried.",
        "| 1 | 2,000 steps | 1,000 | 12 | 13 |",
        'Settings: `{"rate": 0.1}`',
        "| 1 | 1,000: 0.5000, 2,000: 0.2500 |",
    ):
        assert line in card.splitlines(), line


def test_long_curves_are_thinned_in_the_card_only(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    curve = [{"step": step, "valid": step / 1000} for step in range(1000)] + [{"step": 1000, "other": 7.0}]
    write_card(tmp_path, "made-up", "It.", [make_training(0, [0.1], curve=curve)])
    assert read_trainings(tmp_path)[0].curve == curve
    row = next(line for line in (tmp_path / "README.md").read_text().splitlines() if line.startswith("| 0 | 0: "))
    assert row.count(":") == 12 and row.endswith("999: 0.9990 |")


def test_what_cannot_be_shipped(trained, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="no folders"):
        ship([], out, "made-up")
    with pytest.raises(ValueError, match=r"nowhere: no training.json of a finished training; train it first"):
        ship([tmp_path / "nowhere"], out, "made-up")
    ship(trained, tmp_path / "all", "made-up")
    with pytest.raises(ValueError, match=r"all is not the folder of a single training"):
        ship([tmp_path / "all"], out, "made-up")
    (trained[0] / "training.json").write_text('{"trainings": [{"seed": 0}]}')
    with pytest.raises(ValueError, match="train it first"):
        ship(trained, out, "made-up")
    write_card(trained[0], "made-up", "It.", [make_training(0, [0.1], scores={"synthetic": [1.0]})])
    with pytest.raises(ValueError, match="was not scored on fcc-valid-clean; install the data set"):
        ship(trained, out, "made-up")
    write_card(trained[0], "other", "It.", [make_training(0, [0.1, 0.1])])
    with pytest.raises(ValueError, match="seed-0 is a training of 'other', not of 'made-up'"):
        ship(trained, out, "made-up")
    assert not out.exists()
