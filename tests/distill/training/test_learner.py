"""The training loop: killed anywhere it goes on to the same weights, and a batch may be cut as one likes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toy_sequence import PHASES, ToySource, toy_model

from agents.ragged import Ragged
from agents.sequence.net import MASKED
from agents.training import Run
from distill.training.labelled_sequences import Labelled
from distill.training.learner import Average, Learner, Optimisation, learning_rate, phase_of
from distill.training.phase import Phase

TOTAL = sum(phase.iterations for phase in PHASES)


def train(folder, source=None, model=None, **options):
    options = {"seed": 1, "batch": 4, "average": 0.9, "precision": "fp32", **options}
    model = model or toy_model()
    torch.set_num_threads(1)
    with Run(folder, {"seed": 1}, TOTAL, "iterations") as run:
        best = Learner(model, source or ToySource(), PHASES, Optimisation(**options), run).fit()
    return model, best, run


def same(one, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("stop_at", range(TOTAL))
def test_a_killed_training_goes_on_to_the_same_bits(stop_at, tmp_path):
    straight, best, run = train(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", ToySource(stop_at))
    resumed = ToySource()
    model, again, second = train(tmp_path / "killed", resumed)
    assert resumed.phases[0][1] == stop_at  # nothing is gathered twice
    assert same(straight, model)
    assert (again.valid, again.step) == (best.valid, best.step)
    assert run.curve == second.curve


def test_the_best_weights_are_kept(tmp_path):
    model, best, run = train(tmp_path)
    valid = [point["valid"] for point in run.curve]
    assert best.valid == pytest.approx(max(valid), abs=1e-6)
    assert run.curve[int(np.argmax(valid))]["step"] == best.step
    assert ToySource().validate(type("Policy", (), {"model": model, "target": None}))["valid"] == pytest.approx(
        best.valid
    )
    assert not (tmp_path / "gathered").exists()


def test_early_weights_are_not_kept_if_so_asked(tmp_path):
    class Falling(ToySource):
        """Does worse and worse."""

        validated = 0

        def validate(self, policy):
            self.validated -= 1
            return {"valid": float(self.validated)}

    _, best, run = train(tmp_path, Falling(), settled=0.5)
    assert (best.valid, best.step) == (-3.0, 3)
    assert len(run.curve) == TOTAL == 5


def test_parts_of_a_batch_add_up(tmp_path):
    whole, _, _ = train(tmp_path / "whole")
    parts, _, _ = train(tmp_path / "parts", accumulate=3)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(value, parts.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_the_return_to_begin_with_is_chosen_on_validation(tmp_path):
    model = toy_model(returns=True)

    class Conditioned(ToySource):
        def gather(self, phase, iteration, policy):
            labelled = super().gather(phase, iteration, unconditioned)
            own = labelled.sequences
            to_go = np.zeros(len(own.numbers), dtype=np.float32)
            return Labelled(type(own)(own.steps, own.lengths, own.previous, own.numbers, to_go), labelled.targets)

    unconditioned = type("Policy", (), {"model": toy_model()})
    _, best, run = train(tmp_path, Conditioned(), model)
    assert best.target == 2.0
    assert {point["target"] for point in run.curve} == {2.0}


def test_phases_follow_each_other_and_rates_rise_and_fall():
    assert [phase_of(PHASES, number)[0].name for number in range(TOTAL)] == ["first"] * 3 + ["last"] * 2
    assert phase_of(PHASES, 4)[1] == 3
    phase = Phase("one", iterations=10, steps=10, keep=1, learning_rate=2.0, warmup=10, last_rate=0.1)
    rates = [learning_rate(phase, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) <= 2.0
    assert np.argmax(rates) in (9, 10)
    assert rates[100] == pytest.approx(0.2)


def test_the_average_follows_closely_at_first():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    average = Average(model, 0.99)
    torch.nn.init.ones_(model.weight)
    average.update(model, 0)
    assert float(average.weights["weight"]) == pytest.approx(0.9)
    with average.applied(model):
        assert model.weight.item() == pytest.approx(0.9)
    assert model.weight.item() == 1.0


def test_sequences_survive_the_file_to_the_bit(tmp_path):
    labelled = ToySource().gather(PHASES[0], 0, type("Policy", (), {"model": toy_model()}))
    steps = len(labelled.targets["weight"])
    ragged = Ragged(np.arange(2.0 * steps, dtype=np.float32), 2 * np.arange(steps + 1))
    labelled = Labelled(labelled.sequences, {**labelled.targets, "logits": ragged})
    labelled.save(tmp_path / "a" / "0.safetensors")
    again = Labelled.load(tmp_path / "a" / "0.safetensors")
    assert again.targets.keys() == labelled.targets.keys()
    for name in ("action", "weight"):
        assert np.array_equal(labelled.targets[name], again.targets[name])
    assert np.array_equal(labelled.targets["logits"].values, again.targets["logits"].values)
    assert np.array_equal(labelled.targets["logits"].offsets, again.targets["logits"].offsets)
    one, other = labelled.sequences, again.sequences
    assert np.array_equal(one.steps["readings"].values, other.steps["readings"].values)
    assert np.array_equal(one.steps["readings"].offsets, other.steps["readings"].offsets)
    assert np.array_equal(one.previous, other.previous)
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="remove its folder"):
        Labelled.load(tmp_path / "bad.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 2, "accumulate": 3}, "batch 2 is too small for 3 parts"),
        ({"batch": 0}, "batch must be 1 or more"),
        ({"precision": "fp8"}, "precision must be bf16 or fp32"),
        ({"average": 1.0}, "average must be from 0 to below 1"),
    ],
)
def test_impossible_settings_are_refused(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        train(tmp_path, **options)


def test_ragged_targets_are_padded_with_what_cannot_be_chosen(tmp_path):
    class Wide(ToySource):
        def gather(self, phase, iteration, policy):
            found = super().gather(phase, iteration, policy)
            lengths = 1 + np.arange(len(found.targets["weight"])) % 3
            offsets = np.concatenate([[0], np.cumsum(lengths)])
            logits = Ragged(np.ones(offsets[-1], dtype=np.float32), offsets)
            return Labelled(found.sequences, {**found.targets, "logits": logits})

        def loss(self, phase, outputs, targets):
            logits = targets["logits"]
            assert logits.shape == (len(outputs[0]), 3)
            assert set(logits.unique().tolist()) == {1.0, MASKED}
            assert (logits[:, 0] == 1).all()
            return super().loss(phase, outputs, targets)

    train(tmp_path, Wide())


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    class Broken(ToySource):
        def loss(self, phase, outputs, targets):
            return outputs[0].sum(dim=1) * float("nan")

    with pytest.raises(ValueError, match="lower the learning rate"):
        train(tmp_path, Broken())


SCRIPT = """
import sys
import torch
from pathlib import Path
sys.path.insert(0, sys.argv[2])
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
import toy_sequence
from toy_sequence import PHASES, ToySource, toy_model
from agents.ragged import Ragged
from agents.sequence.net import MASKED
from agents.training import Run
from distill.training.learner import Learner, Optimisation
from safetensors.torch import save_file
folder = Path(sys.argv[1])
model = toy_model()
with Run(folder, {}, 5, "iterations") as run:
    learner = Learner(model, ToySource(), PHASES, Optimisation(seed=1, batch=6, precision="fp32"), run)
    learner.fit()
if learner.accelerator.is_main_process:
    save_file(model.state_dict(), folder / "model.safetensors")
"""


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    support = str(Path(__file__).parents[2] / "support")
    runs = {
        "one": [sys.executable, str(script)],
        "two": [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", str(script)],
    }
    weights = {}
    for name, command in runs.items():
        done = subprocess.run([*command, str(tmp_path / name), support], capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        weights[name] = load_file(tmp_path / name / "model.safetensors")
    for name, value in weights["one"].items():
        torch.testing.assert_close(value, weights["two"][name], rtol=0, atol=1e-6)
