"""Sequence models: packing of different lengths, causality, contexts, and play that equals the parallel forward."""

import numpy as np
import pytest
import torch
from toy_sequence import GRUBackbone, ToyNet, toy_model, toy_sequences

from agents.sequence.model import SequenceModel, Sequences
from agents.sequence.policy import SequencePolicy
from agents.sequence.testing import check_backbone


def actions_of(sequences, seed=1):
    rng = np.random.default_rng(seed)
    size = int(sequences.lengths.sum())
    return np.stack([rng.integers(0, 4, size), rng.integers(0, 3, size)], axis=1)


def test_a_batch_gives_what_each_sequence_gives_alone():
    model, sequences = toy_model(timesteps=5), toy_sequences([7, 1, 4])
    actions = actions_of(sequences)
    together = model(sequences, actions)
    begin = 0
    for number, length in enumerate(sequences.lengths):
        alone = model(sequences.take(np.array([number])), actions[begin : begin + length])
        for ours, theirs in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[begin : begin + length], theirs)
        begin += length


def test_the_future_is_not_seen():
    model, sequences = toy_model(), toy_sequences([6])
    actions = actions_of(sequences)
    before = model(sequences, actions)
    changed = actions.copy()
    changed[3] = (changed[3] + 1) % 3
    after = model(sequences, changed)
    assert torch.equal(before[0][:4], after[0][:4])  # the first component does not see itself
    assert torch.equal(before[1][:3], after[1][:3])
    assert not torch.equal(before[1][3], after[1][3])  # the second sees the first
    assert not torch.equal(before[0][4], after[0][4])  # what follows sees both


def test_step_numbers_beyond_the_table_take_its_last_row():
    model, sequences = toy_model(timesteps=3), toy_sequences([6])
    later = Sequences(sequences.steps, sequences.lengths, sequences.previous, sequences.numbers + 100)
    last = Sequences(sequences.steps, sequences.lengths, sequences.previous, np.full(6, 2))
    actions = actions_of(sequences)
    assert torch.equal(model(later, actions)[0], model(last, actions)[0])
    assert not torch.equal(model(sequences, actions)[0], model(last, actions)[0])


def test_windows_cut_sequences_and_lose_nothing():
    sequences = toy_sequences([7, 1, 4])
    windows = sequences.windows(3)
    assert windows.lengths.tolist() == [3, 3, 1, 1, 3, 1]
    assert windows.steps is sequences.steps
    assert windows.take(np.array([1])).numbers.tolist() == [3, 4, 5]


def test_backbone_and_encoders_must_fit():
    with pytest.raises(ValueError, match="encoders are for d_model 16, the backbone has 8"):
        SequenceModel(ToyNet(), GRUBackbone(8))


def test_the_contract_of_backbones_tells():
    check_backbone(GRUBackbone())

    class Forgetful(GRUBackbone):
        def step(self, embeddings, cache, lengths=None):
            cache.select(torch.full((len(embeddings),), -1))
            return super().step(embeddings, cache, lengths)

    class Clairvoyant(GRUBackbone):
        def forward(self, embeddings, lengths=None):
            return super().forward(embeddings) + embeddings.mean(dim=1, keepdim=True)

    for backbone in (Forgetful(), Clairvoyant()):
        with pytest.raises(AssertionError):
            check_backbone(backbone)


class Play:
    """Episodes of different lengths, fed to a policy row by row; rewards follow from actions."""

    def __init__(self, policy, lengths, seed=0):
        self.policy, self.lengths = policy, lengths
        rng = np.random.default_rng(seed)
        self.readings = [rng.normal(size=(length, 3)) for length in lengths]
        self.counts = [rng.integers(1, 4, length) for length in lengths]
        self.rewards = [rng.normal(size=length) for length in lengths]
        self.actions = [[] for _ in lengths]

    def run(self, rows_at_once):
        waiting, playing, step = list(range(len(self.lengths))), {}, {}
        while waiting or playing:
            free = [row for row in range(rows_at_once) if row not in playing]
            for row in free[: len(waiting)]:
                playing[row] = waiting.pop(0)
                step[row] = 0
                self.policy.reset_rows(np.array([row]), [playing[row]])
            rows = np.array(sorted(playing))
            at = [(playing[row], step[row]) for row in rows]
            observations = {
                "readings": np.stack([self.readings[i][k] for i, k in at]),
                "count": np.array([self.counts[i][k] for i, k in at]),
            }
            rewards = np.array([self.rewards[i][k - 1] if k else 0.0 for i, k in at])
            for row, action in zip(
                rows, self.policy.act_batch(observations, {"row": rows, "reward": rewards}), strict=True
            ):
                self.actions[playing[row]].append(action)
                step[row] += 1
                if step[row] == self.lengths[playing[row]]:
                    del playing[row], step[row]
        return [np.array(actions) for actions in self.actions]


@pytest.mark.parametrize(("context", "returns"), [(0, False), (3, False), (0, True)])
def test_play_equals_the_parallel_forward(context, returns):
    model = toy_model(returns=returns, timesteps=4, context=context)
    lengths = [5, 9, 1, 6, 8]
    policy = SequencePolicy(model, target=1.5 if returns else None, scale=(7.0, 2.0))
    play = Play(policy, lengths)
    played = play.run(rows_at_once=2)
    for number, actions in enumerate(played):
        observations = {"readings": play.readings[number], "count": play.counts[number]}
        previous = np.concatenate([np.full((1, 2), -1), actions[:-1]])
        to_go = None
        if returns:
            so_far = np.concatenate([[0.0], np.cumsum(play.rewards[number][:-1])])
            to_go = (1.5 - so_far / 2.0).astype(np.float32)
        length = lengths[number]
        whole = Sequences(model.task.observe(observations, {}), np.array([length]), previous, np.arange(length), to_go)
        if context:
            whole = whole.windows(context)
        logits = model(whole, actions)
        assert np.array_equal(logits[0].argmax(dim=1).numpy(), actions[:, 0])
        assert np.array_equal(logits[1].argmax(dim=1).numpy(), actions[:, 1])


def test_the_next_episode_of_a_row_does_not_see_the_one_before():
    model = toy_model()
    alone = Play(SequencePolicy(model), [5]).run(1)[0]
    after = Play(SequencePolicy(model), [5])
    after.policy.reset_rows(np.array([0]), [None])
    other = {"readings": np.ones((1, 3)), "count": np.array([3])}
    for _ in range(4):
        after.policy.act_batch(other, {"row": np.array([0]), "reward": np.zeros(1)})
    assert np.array_equal(after.run(1)[0], alone)


def test_sampled_play_follows_the_seed_of_the_row():
    model = toy_model()
    one = Play(SequencePolicy(model, mode="sampled"), [9, 7]).run(2)
    two = Play(SequencePolicy(model, mode="sampled"), [9, 7]).run(1)
    greedy = Play(SequencePolicy(model), [9, 7]).run(2)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, greedy, strict=True))


def test_dropout_is_off_at_play():
    model = toy_model()
    model.task.first = torch.nn.Sequential(torch.nn.Dropout(0.9), model.task.first)
    model.train()
    policy = SequencePolicy(model)
    assert not model.training
    twice = [Play(policy, [8]).run(1)[0] for _ in range(2)]
    assert np.array_equal(*twice)


def test_a_conditioned_model_needs_a_target():
    with pytest.raises(ValueError, match="needs a target"):
        SequencePolicy(toy_model(returns=True))
