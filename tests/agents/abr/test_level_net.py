"""The scorer of levels: what it believes before it has learned, and ladders of any length."""

import numpy as np
import torch

from agents.abr.level_net import TRUSTED, LevelEncoder, LevelScorer
from agents.abr.relative import LEVEL, LEVEL_FEATURES, PLANS, SESSION, SHARES


def some(levels=6, rows=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    session = torch.randn(rows, SESSION, generator=generator)
    features = torch.rand(rows, levels, LEVEL, generator=generator)
    return session, features, torch.ones(rows, levels, dtype=torch.bool), torch.zeros(rows, dtype=torch.int64)


def test_untrained_it_is_a_controller_that_believes_some_throughputs_alike():
    session, levels, exists, last = some()
    encoder, scorer = LevelEncoder(8, 16), LevelScorer(8, 16)
    scores = scorer(encoder(session, levels, exists, last), levels, exists)
    names = [f"regret of plans at {share:g}, buffer valued" for share in SHARES if TRUSTED[0] <= share <= TRUSTED[1]]
    believed = levels[:, :, [LEVEL_FEATURES.index(name) for name in names]].sum(dim=2)
    others = levels[:, :, -PLANS:].sum(dim=2) - believed
    expected = -3 * (torch.nn.functional.softplus(torch.tensor(0.5)) * believed)
    assert (scores - expected).abs().max() <= 3 * torch.nn.functional.softplus(torch.tensor(-3.0)) * others.max() + 1e-5


def test_levels_that_are_not_there_change_nothing_and_are_never_chosen():
    session, levels, exists, last = some()
    encoder, scorer = LevelEncoder(8, 16), LevelScorer(8, 16)
    torch.nn.init.normal_(scorer.correction[-1].weight)
    short = scorer(encoder(session, levels, exists, last), levels, exists)
    padded = torch.cat([levels, torch.zeros(5, 4, LEVEL)], dim=1)
    there = torch.cat([exists, torch.zeros(5, 4, dtype=torch.bool)], dim=1)
    long = scorer(encoder(session, padded, there, last), padded, there)
    torch.testing.assert_close(long[:, :6], short)
    assert (long[:, 6:] < -1e8).all()


def test_scores_do_not_depend_on_the_order_of_sessions():
    session, levels, exists, last = some()
    encoder, scorer = LevelEncoder(8, 16).double(), LevelScorer(8, 16).double()
    scores = scorer(encoder(session.double(), levels.double(), exists, last), levels.double(), exists)
    turned = [value.flip(0) for value in (session.double(), levels.double(), exists, last)]
    torch.testing.assert_close(scorer(encoder(*turned), turned[1], turned[2]).flip(0), scores)
    assert np.isfinite(scores.detach().numpy()).all()
