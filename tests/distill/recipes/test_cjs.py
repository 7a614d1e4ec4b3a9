"""Lessons in job scheduling: whose decisions are imitated, and which are judged how."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_sequence import GRUBackbone

from agents.cjs.rules.capped_srpt import CappedSRPT
from agents.sequence.model import SequenceModel
from agents.sequence.nets.cjs import CJSNet, choices_of
from agents.sequence.policy import SequencePolicy
from distill.recipes.cjs import training
from distill.recipes.cjs.training import (
    CONTEXT,
    GENTLE,
    IMITATE,
    IMPROVE,
    MOST,
    Options,
    expected_gain,
    judged_targets,
    rule_of,
)
from distill.training.phase import Phase

OPTIONS = Options(workload="synthetic", sizes="8x4,6x3", episodes=4, validation=2, samples=2, judged=1, warm_up=3)
PHASES = {name: Phase(name, 1, 1, 1, 1e-3) for name in (IMITATE, GENTLE, IMPROVE)}


@pytest.fixture(scope="module")
def policy():
    torch.manual_seed(0)
    return SequencePolicy(SequenceModel(CJSNet(16, width=8, hidden=16), GRUBackbone(), context=CONTEXT), "sampled")


def gathered(policy, name, iteration, options=OPTIONS, seed=0):
    source = training.JobSequences(policy.model.task, [], seed, options)
    return source, source.gather(PHASES[name], iteration, policy)


def test_imitation_begins_with_what_the_rule_does_and_goes_on_with_what_the_policy_does(policy):
    for iteration in (0, 1):
        _, found = gathered(policy, IMITATE, iteration)
        own = found.sequences
        assert own.lengths.max() == CONTEXT and (own.numbers[np.cumsum(own.lengths) - own.lengths] % CONTEXT == 0).all()
        first = own.numbers == 0
        assert first.sum() == 8 and (own.previous[first] == -1).all()
        # decisions of the rule at the step before are what was done then, where the rule acts
        follows = np.flatnonzero(~first)
        done = policy.model.task.from_env(
            own.previous[follows], {name: rows(own.steps, follows - 1)[name] for name in own.steps}
        )
        agree = (done == found.targets["action"][follows - 1]).all(axis=1).mean()
        assert agree == 1 if iteration == 0 else 0.05 < agree < 0.9


def rows(steps, chosen):
    from agents.ragged import take

    return {name: take(column, chosen) for name, column in steps.items()}


def test_gathering_depends_on_seed_and_iteration_alone(policy):
    found = [gathered(policy, name, 1)[1] for name in (IMITATE, IMITATE, IMPROVE, IMPROVE)]
    for one, other in (found[:2], found[2:]):
        for name, values in one.targets.items():
            assert np.array_equal(values, other.targets[name])
    lengths = [
        gathered(policy, IMITATE, iteration, seed=seed)[1].sequences.lengths for iteration, seed in ((2, 0), (1, 1))
    ]
    assert all(not np.array_equal(found[0].sequences.lengths, other) for other in lengths)


def test_what_is_imitated_is_as_good_as_capped_srpt():
    source = training.JobSequences(CJSNet(16), [], 0, replace(OPTIONS, validation=40))
    for setting in source.options.settings:
        seeds = 2000 + np.arange(40)
        reference = source._rule_jct_s(setting, seeds)
        engine = source._start(setting, seeds)
        while not engine.outcomes["terminated"].all():
            engine.step(engine.decide(rule_of(setting.num_executors)), False)
        assert engine.outcomes["mean_jct_s"].mean() < 1.02 * reference


def test_validation_is_how_much_longer_jobs_take_than_under_the_rule(policy, monkeypatch):
    source = training.JobSequences(policy.model.task, [], 0, OPTIONS)
    figures = source.validate(policy)
    assert figures["valid"] == pytest.approx(-(figures["n8"] + figures["n6"]) / 2)
    assert figures["n8"] > 5, "an untrained policy is worse"

    def as_the_rule(policy, engine, net):
        while not engine.outcomes["terminated"].all():
            engine.step(engine.decide(CappedSRPT().rule(engine.options.num_executors)), False)

    monkeypatch.setattr(training, "_play", as_the_rule)
    assert source.validate(policy) == {"valid": 0.0, "n8": 0.0, "n6": 0.0}


def test_judged_stretches_are_whole_and_have_gains(policy):
    _, found = gathered(policy, IMPROVE, 1)
    own = found.sequences
    begins = np.cumsum(own.lengths) - own.lengths
    assert len(own) > 1 and (own.numbers[begins] % CONTEXT == 0).all() and own.lengths.max() == CONTEXT
    stages, gains = found.targets["stage_choice"], found.targets["stage_gain"]
    assert (stages >= 0).any(axis=1).all(), "every decision of a stretch is judged"
    assert (stages[:, 0] == found.targets["action"][:, 0]).all() and not gains[:, 0].any(), "the rule's is the measure"
    assert (gains != 0).any() and (found.targets["executors_gain"] != 0).any()
    count = np.bincount(choices_of(own.steps).step, minlength=len(stages))
    assert (stages.max(axis=1) <= count).all()


def test_targets_are_gains_of_the_first_decision_for_each_stage_and_number():
    net = CJSNet(16, width=8, hidden=16)
    source = training.JobSequences(net, [], 0, OPTIONS)
    engine = source._start(source.options.settings[0], np.arange(1))
    while len(engine.view(0).schedulable) < 2:
        engine.step(engine.decide(rule_of(8)), False)
    steps = net.observe(engine.observation._asdict(), {})
    choices = choices_of(steps)
    most = choices.most[:2].tolist()
    first, second = choices.row[:2].tolist()
    assert most[0] >= 2
    candidates = np.full((1, MOST, 2), -1)
    tried = [(first, 0), (second, 0), (first, 1), (first, 9), (second, most[1] - 1), (0, 0)]
    candidates[0, : len(tried)] = tried
    gains_s = np.zeros((1, MOST), np.float32)
    gains_s[0, : len(tried)] = [0, 3, 1, -2, 5, -4]
    found = judged_targets(net, steps, candidates, gains_s)
    spread = np.std([0, 3, 1, -2, 5, -4])
    assert found["action"].tolist() == [[1, 0]]

    def by_choice(name):
        pairs = zip(found[f"{name}_choice"][0].tolist(), found[f"{name}_gain"][0].tolist(), strict=True)
        return {choice: gain for choice, gain in pairs if choice >= 0}

    assert by_choice("stage") == pytest.approx({1: 0, 2: 3 / spread, 0: -4 / spread})
    expected = {0: 0, 1: 1 / spread} | ({} if most[0] == 2 else {most[0] - 1: -2 / spread})
    assert by_choice("executors") == pytest.approx(expected)


def test_expected_gain_is_that_of_the_judged_choices():
    logits = torch.tensor([[0.0, np.log(3.0), 5.0], [1.0, 2.0, 0.0]], requires_grad=True)
    choices = torch.tensor([[1, 0, -1], [1, -1, -1]])
    gains = torch.tensor([[4.0, 0.0, 9.0], [0.0, 9.0, 9.0]])
    log_prob = logits.log_softmax(dim=1)
    found = expected_gain(logits, choices, gains)
    assert found[0].item() == pytest.approx(3.0 + (log_prob[0, :2].exp().sum().log()).item())
    assert found[1].item() == pytest.approx(log_prob[1, 1].item()), "a single choice: its log-probability"
    found.sum().backward()
    assert logits.grad[0, 1] > logits.grad[0, 0] and logits.grad[0, 2] < 0


def test_the_warm_up_teaches_the_rule_without_the_backbone():
    agreement = []
    for steps in (1, 150):
        torch.manual_seed(0)
        net = CJSNet(16, width=8, hidden=32)
        options = replace(OPTIONS, warm_up=steps, episodes=12)
        training.initialise(net, options)
        for head in (net.stage_head, net.executor_head):
            assert not head.hidden.weight.any()
        assert all(parameter.grad is None for parameter in net.parameters())
        source = training.JobSequences(net, [], 1, options)
        found = source.gather(PHASES[IMITATE], 0, None)
        action = torch.from_numpy(found.targets["action"])
        with torch.no_grad():
            memory = net.embed(found.sequences.steps, found.sequences.previous, None).memory
            hidden = torch.randn(len(action), 16)
            chosen = [net.logits(component, hidden, memory, action).argmax(dim=1) for component in range(2)]
        agreement.append([(chosen[i] == action[:, i]).float().mean().item() for i in range(2)])
    assert agreement[1][0] > max(0.8, agreement[0][0] + 0.2)
    assert agreement[1][1] > max(0.7, agreement[0][1] + 0.1)


def test_imitation_fits_flatter_probabilities_than_are_played():
    source = training.JobSequences(CJSNet(16), [], 0, OPTIONS)
    outputs = [torch.tensor([[0.0, 2.0]] * 2), torch.tensor([[0.0, 4.0]] * 2)]
    targets = {"action": torch.tensor([[1, 1], [0, 0]])}
    loss = source.loss(PHASES[IMITATE], outputs, targets).tolist()
    stage, executors = 1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(-2.0))
    assert loss[0] == pytest.approx(-np.log(stage) - np.log(executors))
    assert loss[1] == pytest.approx(-np.log(1 - stage)), "declining has no number of executors"


def test_gains_count_more_once_the_policy_is_used_to_them():
    source = training.JobSequences(CJSNet(16), [], 0, OPTIONS)
    outputs = [torch.zeros(1, 3), torch.zeros(1, 2)]
    targets = {"action": torch.tensor([[1, 0]])}
    for name, gains in (("stage", [0.0, 3.0, 0.0]), ("executors", [0.0, -1.0])):
        targets[f"{name}_choice"] = torch.arange(len(gains))[None]
        targets[f"{name}_gain"] = torch.tensor([gains])
    losses = [source.loss(PHASES[name], outputs, targets).item() for name in (GENTLE, IMPROVE)]
    assert losses == pytest.approx([-(1.0 - 0.5), -40 * (1.0 - 0.5)], rel=1e-5)


def test_pools_are_imitated_beside_the_rule(policy, cjs_pool):
    source = training.JobSequences(policy.model.task, [cjs_pool], 0, OPTIONS)
    alone = gathered(policy, IMITATE, 0)[1]
    both = source.gather(PHASES[IMITATE], 0, policy)
    steps = int(cjs_pool.episodes["length"].sum())
    assert len(both.sequences.numbers) == len(alone.sequences.numbers) + steps
    later = source.gather(PHASES[IMITATE], 1, policy)
    assert len(later.sequences.numbers) == len(gathered(policy, IMITATE, 1)[1].sequences.numbers)


def test_phases_learn_from_judged_decisions_only_once_the_imitation_is_over():
    phases = training.phases(replace(OPTIONS, improve=4), [])
    assert [(phase.name, phase.iterations) for phase in phases[1:]] == [(GENTLE, 2), (IMPROVE, 1), (IMPROVE, 1)]
    done = 0
    for phase in phases[1:]:
        for number in range(phase.iterations):
            assert 1 <= phase.keep <= done + number + 1
        done += phase.iterations
    assert [phase.name for phase in training.phases(replace(OPTIONS, improve=0), [])] == [IMITATE]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sizes": "10"}, "sizes must be like 10x20,50x50"),
        ({"sizes": "10xa"}, "sizes must be like 10x20,50x50"),
        ({"sizes": "0x5"}, "sizes must be numbers from 1 up"),
        ({"episodes": 0}, "episodes must be 1 or more"),
        ({"improve": -1}, "improve and warm_up must be 0 or more"),
    ],
)
def test_impossible_options_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Options(**settings)
