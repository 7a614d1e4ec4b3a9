"""The command that trains Pensieve: what it writes, that it resumes, what it ships, what bad input says."""

import json

import numpy as np
import pytest
import torch
from fresh import python
from killed import killed_at_call
from safetensors.torch import load_file, save_file
from small_worlds import few_places, forget_places, make_small

from agents import pretrained
from agents.abr import imitation, pensieve, validation, worlds_ppo
from agents.abr.level_actor import LevelActor
from agents.abr.pensieve import Args, Pensieve
from agents.abr.worlds_ppo import CHUNKS, WORLDS, WorldsLearner
from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play
from agents.training import CHECKPOINT, CURVE
from agents.training.card import read

ABR = "netenvs/ABR-v0"
ITERATION = 2 * WORLDS * CHUNKS
"""Decisions."""
TINY = {"rows": 2 * WORLDS, "group": 2, "batches": 2, "epochs": 1, "learning_rate": 0.01}
TINY_SETTINGS = dict(TINY)
TINY |= {"warm_up": 1, "validate_every": 2, "validation": 2}


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Short videos, no installed data, two places to be validated in."""
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path / "no-data"))
    make_small(monkeypatch)
    for name, value in {"WORLDS": 1, "SESSIONS": 4, "STEPS": 10, "BATCH": 64, "AVERAGE": 0.5}.items():
        monkeypatch.setattr(imitation, name, value)
    monkeypatch.setattr(worlds_ppo, "AVERAGE", 0.5)  # so that a few iterations change what is decided
    few_places(monkeypatch)
    forget_places()
    yield
    forget_places()


@pytest.fixture
def random_folder(tmp_path):
    torch.manual_seed(3)
    pretrained.save(LevelActor(8, 16), tmp_path / "random", "pensieve", {"size": 8, "width": 16})
    return tmp_path / "random"


def train(folder, **options):
    pensieve.main(Args(out=folder, **{**TINY, "steps": 2 * ITERATION, **options}))
    return load_file(folder / "model.safetensors")


def test_a_training_writes_a_policy_whose_card_and_curve_agree(tmp_path):
    train(tmp_path / "run", steps=6 * ITERATION)
    curve = [json.loads(line) for line in (tmp_path / "run" / CURVE).read_text().splitlines()]
    assert [point["step"] for point in curve] == [2 * ITERATION, 4 * ITERATION, 6 * ITERATION]
    assert all(point["reward"] <= 0 for point in curve)
    assert all(-1 <= point[name] <= 1 for point in curve for name in ("home", "share", "worst"))
    values = [point["valid"] for point in curve]
    assert len(set(values)) > 1, "a choice"
    (training,) = read(tmp_path / "run").trainings
    assert training.curve == curve and training.steps == 6 * ITERATION
    assert training.kept == curve[int(np.argmax(values))]["step"] and list(training.scores) == ["synthetic"]
    policy = load_policy(str(tmp_path / "run"), "abr")
    assert isinstance(policy, Pensieve)
    again = validation.network_scores(policy, 2)["valid"]
    assert again == pytest.approx(max(values), abs=1e-6)  # the best weights are the ones written
    card = (tmp_path / "run" / "README.md").read_text()
    assert f"{training.scores['synthetic']['pensieve'].mean:.4f}" in card and f"{max(values):.4f}" in card
    assert training.command in card and training.command.startswith("python -m agents.abr.pensieve --steps")
    assert "synthetic(seed=1)" in training.data and "2 traces a split" in training.data


def test_a_killed_training_resumes_to_the_same_bits(tmp_path):
    options = {"steps": 4 * ITERATION}
    expected = train(tmp_path / "whole", **options)

    with (
        pytest.raises(KeyboardInterrupt),
        killed_at_call(WorldsLearner, "iterate", 4),
    ):  # one iteration after a checkpoint
        train(tmp_path / "killed", **options)
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002  (whatever else happened in the process)
    resumed = train(tmp_path / "killed", **options)
    assert all(torch.equal(resumed[name], value) for name, value in expected.items())
    curves = [(tmp_path / name / CURVE).read_text() for name in ("whole", "killed")]
    assert curves[0] == curves[1] and len(curves[0].splitlines()) == 2
    for other in ({"seed": 1}, {"warm_up": 2}):
        with pytest.raises(ValueError, match=f"made with another {next(iter(other))}; remove it or write to another"):
            train(tmp_path / "killed", **options, **other)
    (tmp_path / "killed" / CHECKPOINT).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="not a checkpoint of this training; remove it"):
        train(tmp_path / "killed", **options)


def test_a_training_killed_in_the_imitation_resumes_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(worlds_ppo, "CHECKPOINT_EVERY", 2)
    expected = train(tmp_path / "whole", warm_up=5)
    iterate, numbers = imitation.Imitation.iterate, []

    def killed(self):
        numbers.append(self.iteration)
        if len(numbers) == 4:  # one iteration after a checkpoint
            raise KeyboardInterrupt
        iterate(self)

    monkeypatch.setattr(imitation.Imitation, "iterate", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", warm_up=5)
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    resumed = train(tmp_path / "killed", warm_up=5)
    assert numbers == [0, 1, 2, 3, 2, 3, 4]
    assert all(torch.equal(resumed[name], value) for name, value in expected.items())
    assert (tmp_path / "whole" / CURVE).read_text() == (tmp_path / "killed" / CURVE).read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be positive, not 0"),
        ({"batches": 7}, f"batches must divide the {2 * WORLDS} rows, 7 does not"),
        ({"rows": 12}, f"rows must be a multiple of {2 * WORLDS}, {WORLDS} worlds and groups of 2, not 12"),
        ({"entropy": 0.0001}, "entropy must not be below last-entropy"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
        ({"warm_up": -1}, "warm-up must be 0 or more, not -1"),
        ({"validation": 0}, "validation must be 1 or more, not 0"),
    ],
)
def test_bad_arguments_are_one_line(tmp_path, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        train(tmp_path / "run", **options)
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_the_command_line_says_what_is_wrong_in_one_line(tmp_path):
    words = ["-m", "agents.abr.pensieve", "--out", str(tmp_path / "run"), "--steps", "0"]
    assert python(*words, folder=tmp_path) == (1, "", "error: steps must be positive, not 0\n")


def ship(*folders, out):
    pensieve.main(Args(ship=folders, out=out))


def test_the_best_in_validation_is_shipped(tmp_path, capsys):
    folders = [tmp_path / str(seed) for seed in range(3)]
    for seed, (folder, valid) in enumerate(zip(folders, (0.1, 0.5, 0.3), strict=True)):
        train(folder, seed=seed, steps=ITERATION)
        record = json.loads((folder / "training.json").read_text())
        record["trainings"][0]["curve"][0]["valid"] = valid
        (folder / "training.json").write_text(json.dumps(record))
    out = tmp_path / "out"
    for order in (folders, folders[::-1]):
        ship(*order, out=out)
        assert f"{folders[1]} is best in validation; written to {out}" in " ".join(capsys.readouterr().out.split())
        assert (out / "model.safetensors").read_bytes() == (folders[1] / "model.safetensors").read_bytes()
        shipped = read(out)
        assert shipped.training.seed == 1 and len(shipped.trainings) == 3
        assert shipped.command == f"python -m agents.abr.pensieve --ship {' '.join(map(str, order))}"
    assert isinstance(load_policy(str(out), "abr"), Pensieve)


def test_shipping_is_refused_before_anything_is_written(tmp_path):
    for name, more in {"0": {}, "1": {"seed": 1}, "again": {}, "long": {"seed": 2, "epochs": 2}}.items():
        train(tmp_path / name, steps=ITERATION, **more)
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="again has the seed 0, as another folder has"):
        ship(tmp_path / "0", tmp_path / "again", out=out)
    with pytest.raises(ValueError, match="long was trained or scored with another epochs; train it alike"):
        ship(tmp_path / "0", tmp_path / "long", out=out)
    with pytest.raises(ValueError, match=r"nowhere: no training\.json of a finished training; train it first"):
        ship(tmp_path / "0", tmp_path / "nowhere", out=out)
    training = tmp_path / "1" / "training.json"
    training.write_text(training.read_text().replace('"policy": "pensieve"', '"policy": "udr"'))
    with pytest.raises(ValueError, match="1 is a training of 'udr', not of 'pensieve'"):
        ship(tmp_path / "0", tmp_path / "1", out=out)
    assert not out.exists()


def test_sampled_levels_are_drawn_by_the_seed(random_folder):
    policy = load_policy(f"{random_folder}(mode=sampled)", "abr")
    specs = [EpisodeSpec(seed, options={"trace": 0}) for seed in (1, 1, 2)]
    one, again, other = play(policy, ABR, specs)
    assert np.array_equal(one.actions, again.actions) and not np.array_equal(one.actions, other.actions)
    greedy, same = (play(Pensieve(str(random_folder)), ABR, [specs[number]]) for number in (0, 2))
    assert np.array_equal(greedy[0].actions, same[0].actions)


def test_bad_folders_are_one_line(random_folder, tmp_path):
    def refused(message):
        with pytest.raises(PolicyError, match=message) as caught:
            load_policy(str(random_folder), "abr")
        assert "\n" not in str(caught.value)

    weights = random_folder / "model.safetensors"
    tensors, whole = LevelActor(8, 16).state_dict(), weights.read_bytes()
    for damaged in (whole[:-100], b"", b"x" * 500):
        weights.write_bytes(damaged)
        refused("no safetensors")
    name = next(iter(tensors))
    save_file({**tensors, name: torch.full_like(tensors[name], float("nan"))}, weights)
    refused("not all weights are finite")
    save_file({other: value for other, value in tensors.items() if other != name}, weights)
    refused("cannot be used")
    (random_folder / "config.json").write_text('{"policy": "genet", "levels": 6}')
    with pytest.raises(ValueError, match="holds weights of 'genet', not of 'pensieve'"):
        Pensieve(str(random_folder))
    with pytest.raises(ValueError, match=r"it has no config\.json"):
        Pensieve(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="mode must be greedy or sampled, not 'both'"):
        Pensieve(mode="both")
