"""Students that follow a teacher: they come to agree with it, wherever they go."""

import numpy as np
import pytest
import torch
from toy_sequence import PHASES, GRUBackbone, ToyNet, ToySource, toy_model, toy_sequences

from agents.sequence.model import SequenceModel
from agents.sequence.net import MASKED
from agents.sequence.policy import SequencePolicy
from agents.training import Run
from distill.training.labelled_sequences import Labelled
from distill.training.learner import Learner, Optimisation
from distill.training.losses import decision_divergence
from distill.training.phase import Phase
from distill.training.teacher_source import Following, Weights, teacher_outputs


class Narrow(ToyNet):
    """Some steps have two choices only."""

    def logits(self, component, hidden, memory, actions):
        found = super().logits(component, hidden, memory, actions)
        rows = torch.arange(len(found)) % 2 == 0
        found[rows, 2:] = MASKED
        return found


def data(seed=0):
    sequences = toy_sequences([5, 3, 6, 2], seed=seed)
    actions = np.zeros((16, 2), dtype=np.int64)
    return Labelled(sequences, {"action": actions, "weight": np.ones(16, dtype=np.float32)})


def test_the_teacher_is_asked_about_every_step():
    torch.manual_seed(0)
    teacher = SequenceModel(Narrow(), GRUBackbone())
    found = teacher_outputs(teacher, data())
    expected = teacher(data().sequences, data().targets["action"])
    for component, logits in enumerate(expected):
        column = found[f"teacher/{component}"]
        assert column.lengths.tolist() == [2, logits.shape[1]] * 8
        for row in range(16):
            np.testing.assert_allclose(column[row], logits[row, : len(column[row])].detach().numpy(), rtol=1e-5)


@pytest.mark.parametrize("teacher_acts", [False, True])
def test_a_student_learns_what_its_teacher_does(teacher_acts, tmp_path):
    teacher = SequencePolicy(toy_model(seed=7), mode="sampled")
    student = toy_model(seed=8)
    phases = (Phase("first", 6, 40, keep=0, learning_rate=1e-2), PHASES[1])
    source = Following(ToySource(), teacher, phases, {"first": Weights(0.0, 1.0, teacher_acts=teacher_acts)})
    sequences = toy_sequences([9, 9], seed=50)
    actions = np.zeros((18, 2), dtype=np.int64)

    def apart():
        with torch.inference_mode():
            outputs = (student(sequences, actions), teacher.model(sequences, actions))
        return float(decision_divergence(*outputs).mean())

    before = apart()
    with Run(tmp_path, {}, 8, "iterations") as run:
        Learner(student, source, phases[:1], Optimisation(seed=0, batch=6, precision="fp32"), run).fit()
    assert apart() < 0.3 * before


def test_the_teachers_weight_falls_over_a_phase():
    teacher = SequencePolicy(toy_model(seed=7), mode="sampled")
    weights = {"last": Weights(1.0, 2.0, last=0.25)}
    source = Following(ToySource(), teacher, PHASES, weights)
    assert "teacher/0" not in source.gather(PHASES[0], 0, teacher).targets
    first, second = (source.gather(PHASES[1], iteration, teacher).targets["teacher_weight"] for iteration in (3, 4))
    assert set(first.tolist()) == {2.0}
    assert set(second.tolist()) == {1.0}


def test_labels_and_teacher_add_up():
    teacher = SequencePolicy(toy_model(seed=7), mode="sampled")
    phase = PHASES[0]
    source = Following(ToySource(), teacher, PHASES, {"first": Weights(0.5, 2.0)}, temperature=2.0)
    found = source.gather(phase, 0, teacher)
    student = toy_model(seed=8)
    outputs = student(found.sequences, found.targets["action"])
    theirs = teacher.model(found.sequences, found.targets["action"])
    targets = {name: torch.from_numpy(found.targets[name]) for name in ("action", "weight", "teacher_weight")}
    targets |= {f"teacher/{number}": logits for number, logits in enumerate(theirs)}
    expected = 0.5 * ToySource().loss(phase, outputs, targets) + 2 * decision_divergence(outputs, theirs, 2.0)
    torch.testing.assert_close(source.loss(phase, outputs, targets), expected)
