"""The command line that trains Decima, and the folders that it writes."""

import pytest
import torch
from fresh import python

from agents import pretrained
from agents.cjs import scores
from agents.cjs.clusters import Setting
from agents.cjs.decima.__main__ import Args, main
from agents.cjs.decima.policy import Decima
from agents.policy import load_policy
from agents.training.card import read


def arguments(**changes):
    options = {"initial": "scratch", "workload": "synthetic", "executors": (3,), "jobs": (3,), "iterations": 1}
    return Args(**{**options, "sequences": 2, "rollouts": 2, "validation": 2, "test": 1, **changes})


def test_folders_of_trainings(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scores, "TESTED", (Setting(3, 3),))
    monkeypatch.setattr(scores, "TESTED_ELSEWHERE", (Setting(3, 3),))
    for seed in (0, 1):
        main(arguments(seed=seed, out=tmp_path / f"seed{seed}"))
    capsys.readouterr()
    main(Args(choose=(tmp_path / "seed0", tmp_path / "seed1"), out=tmp_path / "shipped", test=2))
    said = capsys.readouterr().out
    assert "scoring synthetic: 3 executors, 3 jobs, 2 episodes of fair, capped-srpt, decima" in said
    card = (tmp_path / "shipped" / pretrained.CARD).read_text()
    assert "seeds from 100 up (2 episodes, 1 of those with 200 jobs)" in card and card.count(" --test 2\n") == 1
    assert [line.split(" | ")[-3] for line in card.splitlines() if " iterations | " in line] == ["1", "1"]
    with pytest.raises(ValueError, match="shipped is not the folder of a single training"):
        main(Args(choose=(tmp_path / "shipped",), out=tmp_path / "again", test=2))
    saved = read(tmp_path / "shipped")
    assert len(saved.trainings) == 2
    best = min(range(2), key=lambda i: saved.trainings[i].valid)
    assert saved.shipped == best and "random weights" in card and "capped-srpt" in card
    assert saved.trainings[1].command.startswith("python -m agents.cjs.decima --seed 1 --workload synthetic")
    shipped, own = (Decima(folder=str(tmp_path / name)) for name in ("shipped", f"seed{best}"))
    for name, value in own.network.state_dict().items():
        assert torch.equal(shipped.network.state_dict()[name], value)
    assert (
        shipped.mode == saved.training.details["decoding"]
        and Decima("sampled", str(tmp_path / "shipped")).mode == "sampled"
    )
    assert load_policy(str(tmp_path / "shipped")).name == "shipped"


def test_card_of_one_training(tmp_path, monkeypatch):
    monkeypatch.setattr(scores, "TESTED", (Setting(3, 3),))
    monkeypatch.setattr(scores, "TESTED_ELSEWHERE", ())
    main(arguments(out=tmp_path / "scored", test=3))
    card = (tmp_path / "scored" / pretrained.CARD).read_text()
    assert card.count("python -m agents.cjs.decima") == 1 and " --test 3\n" in card and "with an `--out`" not in card
    assert "(3 episodes, 1 of those with 200 jobs)" in card and "released" not in card and "shipped" not in card
    main(arguments(out=tmp_path / "unscored", test=0))
    card = (tmp_path / "unscored" / pretrained.CARD).read_text()
    assert "seeds from 2000 up.\n" in card and "seeds from 100 up" not in card and "to `fair` (95 %" not in card
    main(Args(choose=(tmp_path / "unscored",), out=tmp_path / "shipped", test=1))
    assert "| decima |" in (tmp_path / "shipped" / pretrained.CARD).read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": -1}, "test must be 0 or more"),
        ({"initial": "paper"}, "initial weights"),
        ({"seed": -1}, "seed must be 0 to 999"),
        ({"iterations": 0}, "iterations must be 1 or more"),
        ({"executors": (3, 4)}, "jobs must be one number for each of 2 executors"),
        ({"executors": (0,)}, "executors and jobs must be 1 or more"),
        ({"learning_rate": 0.0}, "learning-rate must be positive"),
        ({"workload": "nothing"}, "nothing"),
    ],
)
def test_bad_arguments(options, message, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        main(arguments(out=tmp_path, **options))
    assert "\n" not in str(error.value)


def test_command_line(tmp_path):
    result = python("-m", "agents.cjs.decima", "--choose", str(tmp_path), folder=tmp_path)
    assert result.returncode == 1
    assert result.stderr.strip() == f"error: {tmp_path}: no training.json of a finished training; train it first"
