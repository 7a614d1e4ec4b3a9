"""What every folder of trained weights says of itself, and that the shipped ones say it."""

import json

import pytest

from agents.pretrained import CARD, CHECKPOINTS, TRAINING, WEIGHTS
from agents.scoring import Measure, Score, compared
from agents.training.card import SCHEMA, Record, Training, card, read, read_single, versions, write

SHIPPED = sorted(path.parent for path in CHECKPOINTS.glob(f"*/{TRAINING}"))


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_shipped_cards_say_what_their_trainings_say(folder):
    found = read(folder)
    assert found.schema == SCHEMA and found.trainings and found.command
    assert (folder / CARD).read_text() == card(found, (folder / WEIGHTS).stat().st_size)
    for training in found.trainings:
        assert all(name in training.curve[0] for name in ("step", *training.chosen_by))
        for name, by in training.scores.items():
            for row, score in by.items():
                if score.values:
                    again = Score.of(score.values, score.weights)
                    assert (again.mean, again.ci95) == (score.mean, tuple(score.ci95)), f"{name}: {row}"


def training(seed=0, **changes):
    scores = {"own": Score.of([1.0, 2.0]), "rule": Score.of([2.0, 4.0]), "own(sampled)": Score.of([0.0, 1.0])}
    known = {
        "seed": seed,
        "command": f"train --seed {seed}",
        "data": "Games.",
        "settings": {"rate": 0.1},
        "steps": 4000,
    }
    known |= {"unit": "games", "kept": 3000, "cpu_s": 2.0, "wall_s": 3.0, "curve": [{"step": 3000, "valid": 0.5}]}
    return Training(**{**known, "scores": {"easy": compared(scores, "own", percent=True)}, **changes})


def record(**changes):
    measure = Measure(name="points", item="games", decimals=2, percent=True)
    known = {"policy": "own", "task": "play", "summary": "It plays.", "measure": measure, "command": "ship"}
    return Record(**{**known, "trainings": [training()], **changes})


def test_a_record_survives_the_file(tmp_path):
    (tmp_path / WEIGHTS).write_bytes(bytes(2000))
    made = record(notes="* Tried.", tags=("games",), size="3 parameters")
    write(tmp_path, made)
    again = read(tmp_path)
    assert card(again, 2000) == card(made, 2000) == (tmp_path / CARD).read_text()
    assert again.versions == versions() and again.training.scores["easy"]["own"].values == [1.0, 2.0]
    assert json.loads((tmp_path / TRAINING).read_text())["schema"] == SCHEMA


def test_a_card_has_all_that_people_ask_for():
    lines = card(record(notes="* Tried.", tags=("games",), size="3 parameters"), 2000).splitlines()
    for line in (
        "tags: [games]",
        "# own (play)",
        "It plays.",
        "Games.",
        "train --seed 0",
        "ship",
        "## Scores: points",
        "| own | 1.50 [1.00, 2.00] |",
        "| own(sampled) | 0.50 [0.00, 1.00] |",
        "| rule | 3.00 [2.00, 4.00] |",
        "| own minus rule | -50.00 % [-50.00, -50.00] |",
        "* Tried.",
        "| 0 | 4,000 games | 3,000 | 2 | 3 |",
        'Settings: `{"rate": 0.1}`',
        "| 0 | 3,000: 0.5000 |",
    ):
        assert line in lines, line
    assert any(line.startswith("Weights: 3 parameters, 2 kB;") for line in lines)


def test_several_trainings_have_a_row_each_and_one_of_their_mean():
    trainings = [training(0, valid=0.5, kind="calm", details={"decoding": "greedy"}), training(0, kind="wild")]
    lines = card(record(trainings=trainings, shipped=1), 0).splitlines()
    for line in (
        "| own, calm, seed 0 | 1.50 [1.00, 2.00] |",
        "| own, wild, seed 0 (shipped) | 1.50 [1.00, 2.00] |",
        "| calm | 0 | 4,000 games | 3,000 | 0.5000 | greedy | 2 | 3 |",
        "| wild (shipped) | 0 | 4,000 games | 3,000 |  |  | 2 | 3 |",
        "(with an `--out` each, where seeds are the same).",
    ):
        assert line in lines, line
    assert "| own, mean of 2 | 1.50 [1.00, 2.00] |" not in lines
    lines = card(record(trainings=[training(0), training(1)]), 0).splitlines()
    assert "| own, mean of 2 | 1.50 [1.00, 2.00] |" in lines, "of trainings of one kind"


def test_scores_of_what_is_in_the_folder_stand_beside_those_of_its_trainings():
    whole = {"hard": {"own": Score(mean=2.5, ci95=(2.0, 3.0), figures={"by_second": [1.0, 2.0], "games": 1234})}}
    lines = card(record(trainings=[training(0), training(1)], shipped=None, scores=whole), 0).splitlines()
    for line in (
        "| policy | easy | hard |",
        "| own, seed 1 | 1.50 [1.00, 2.00] |  |",
        "| own |  | 2.50 [2.00, 3.00] |",
        "| own: by second | 1.000 / 2.000 |",
        "| own: games | 1,234 |",
    ):
        assert line in lines, line


def test_what_is_no_folder_of_a_training(tmp_path):
    with pytest.raises(ValueError, match=r"no training.json of a finished training; train it first"):
        read(tmp_path)
    (tmp_path / TRAINING).write_text('{"schema": 1, "trainings": []}')
    with pytest.raises(ValueError, match="train it first"):
        read(tmp_path)
    (tmp_path / TRAINING).write_text('{"policy": "decima", "trainings": []}')
    with pytest.raises(
        ValueError, match=r"schema 'older', this version reads 1; its weights can be played as they are"
    ):
        read(tmp_path)
    with pytest.raises(ValueError, match="no folders of trainings are given"):
        read_single([])
