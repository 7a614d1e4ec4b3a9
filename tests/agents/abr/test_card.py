"""Cards hold what was measured; the best seed is shipped."""

import json

import pytest

from agents.abr import scores
from agents.abr.card import record, scored, ship, validated
from agents.scoring import Score
from agents.training.card import Training, read, write


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
        "curve": [{"step": 1000, "valid": 0.5}, {"step": 2000, "valid": 0.25}],
        "scores": {scores.VALIDATION: valid, "synthetic": [1.0, 2.0, 3.0]},
    }
    known |= changes
    scored = {name: {"made-up": Score.of(values)} for name, values in known.pop("scores").items()}
    return Training(**known, scores=scored)


def write_card(folder, policy, summary, trainings, **known):
    write(folder, record(policy, summary, trainings, **known))


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
    assert ship(trained, out, "made-up", command="python -m made.up --ship 0 1 2", quality=scored) == 1
    assert (out / "model.safetensors").read_bytes() == bytes([1]) * 5000
    assert json.loads((out / "config.json").read_text())["seed"] == 1
    assert [training.seed for training in read(out).trainings] == [0, 1, 2]
    card = (out / "README.md").read_text()
    for line in (
        "# made-up (abr)",
        "A policy for tests.",
        "Trained on nothing.",
        "python -m made.up --seed 2",
        "python -m made.up --ship 0 1 2",
        "| policy | fcc-valid-clean | synthetic |",
        "| made-up, seed 0 | 0.1500 [0.1000, 0.2000] | 2.0000 [1.0000, 3.0000] |",
        "| made-up, seed 1 (shipped) | 0.4500 [0.4000, 0.5000] | 2.0000 [1.0000, 3.0000] |",
        "| made-up, mean of 3 | 0.2833 [0.2667, 0.3000] | 2.0000 [1.0000, 3.0000] |",
        "It was tried.",
        "| 1 | 2,000 steps | 1,000 | 12 | 13 |",
        'Settings: `{"rate": 0.1}`',
        "| 1 | 1,000: 0.5000, 2,000: 0.2500 |",
    ):
        assert line in card.splitlines(), line


def test_the_best_may_be_that_of_the_trainings_own_validation(trained, tmp_path):
    for folder, seed, valid in zip(trained, range(3), (0.2, 0.3, 0.4), strict=True):
        curve = [{"step": 1000, "valid": valid}, {"step": 2000, "valid": 0.9 - valid}]
        write_card(folder, "made-up", "It.", [make_training(seed, [1.0 - valid], curve=curve)])
    assert [validated(folder, read(folder).training, "made-up") for folder in trained] == [0.2, 0.3, 0.4]
    assert ship(trained, tmp_path / "own", "made-up", quality=validated) == 2
    assert read(tmp_path / "own").training.seed == 2
    assert (tmp_path / "own" / "model.safetensors").read_bytes() == bytes([2]) * 5000
    assert ship(trained, tmp_path / "scores", "made-up") == 0, "scores are what is asked for where nothing is said"


def test_a_training_without_scores_may_be_shipped_by_its_own_validation(trained, tmp_path):
    for folder, seed in zip(trained, range(3), strict=True):
        write_card(folder, "made-up", "It.", [make_training(seed, [], scores={"synthetic": [1.0]})])
    assert ship(trained, tmp_path / "out", "made-up", quality=validated) == 0


def test_long_curves_are_thinned_in_the_card_only(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    curve = [{"step": step, "valid": step / 1000} for step in range(1000)] + [{"step": 1000, "other": 7.0}]
    write_card(tmp_path, "made-up", "It.", [make_training(0, [0.1], curve=curve)])
    assert read(tmp_path).training.curve == curve
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
    (trained[0] / "training.json").write_text('{"schema": 1, "trainings": [{"seed": 0}]}')
    with pytest.raises(ValueError, match="train it first"):
        ship(trained, out, "made-up")
    write_card(trained[0], "made-up", "It.", [make_training(0, [0.1], scores={"synthetic": [1.0]})])
    with pytest.raises(ValueError, match="was not scored on fcc-valid-clean; install the data set"):
        ship(trained, out, "made-up")
    for curve in ([], [{"step": 2000, "valid": 0.5}], [{"step": 1000, "loss": 0.5}]):
        write_card(trained[0], "made-up", "It.", [make_training(0, [0.1, 0.1], curve=curve)])
        with pytest.raises(ValueError, match=r"seed-0: no validation of the weights of step 1000 .*; train it again"):
            ship(trained, out, "made-up", quality=validated)
    write_card(trained[0], "other", "It.", [make_training(0, [0.1, 0.1])])
    with pytest.raises(ValueError, match="seed-0 is a training of 'other', not of 'made-up'"):
        ship(trained, out, "made-up")
    assert not out.exists()
