"""The contract of a backbone as a test, for those of one's own."""

from __future__ import annotations

import torch

from agents.sequence.backbone import Backbone

LENGTH = 40  # tokens of the sequences that are compared
LOUD = 100.0  # size of what must not be seen


@torch.no_grad()
def check_backbone(backbone: Backbone, tolerance: float = 1e-4) -> None:
    """Raise ``AssertionError`` unless ``backbone``, in evaluation mode, keeps the contract of ``Backbone``.

    States do not depend on what comes later or is padding, and do on what came before; tokens fed in chunks of any
    lengths give the states of the whole, to ``tolerance``, while rows begin anew, are dropped, added and put in
    another order.
    """
    _check_causal(backbone, tolerance)
    _check_steps(backbone, tolerance)


def _check_causal(backbone: Backbone, tolerance: float) -> None:
    draw = torch.Generator().manual_seed(0)
    embeddings = torch.randn(3, LENGTH, backbone.d_model, generator=draw)
    states = backbone(embeddings)
    lengths = torch.tensor([LENGTH, 25, 1])
    padded = embeddings.clone()
    for row, length in enumerate(lengths.tolist()):
        padded[row, length:] = LOUD * torch.randn(LENGTH - length, backbone.d_model, generator=draw)
    found = backbone(padded, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(found[row, :length], states[row, :length], atol=tolerance, rtol=0)
    changed = embeddings.clone()
    changed[:, 20, 0] += 1
    moved = (backbone(changed) - states).abs().amax(dim=2)
    assert float(moved[:, :20].max()) < tolerance, "states depend on later tokens"
    assert float(moved[:, 20:23].amax(dim=0).min()) > 10 * tolerance, "states do not depend on earlier tokens"


def _check_steps(backbone: Backbone, tolerance: float) -> None:
    draw = torch.Generator().manual_seed(0)
    sequences = torch.randn(15, LENGTH, backbone.d_model, generator=draw)
    states = backbone(sequences)
    rows = [0, 1, 2]  # which sequence each row of the cache holds
    at = [0, 0, 0]
    fresh = 3
    cache = backbone.init_cache(3)
    for turn in range(30):
        if turn in (6, 12, 18):
            new = [[2, -1, 0], [1, 0], [-1, 1, -1, 0]][turn // 6 - 1]
            cache.select(torch.tensor(new))
            rows = [fresh + k if old < 0 else rows[old] for k, old in enumerate(new)]
            at = [0 if old < 0 else at[old] for old in new]
            fresh += 4
        n = int(torch.randint(1, 6, (1,), generator=draw))
        counts = torch.randint(0, n + 1, (len(rows),), generator=draw)
        counts = torch.minimum(counts, LENGTH - torch.tensor(at))
        chunk = LOUD * torch.randn(len(rows), n, backbone.d_model, generator=draw)
        for row, count in enumerate(counts.tolist()):
            chunk[row, :count] = sequences[rows[row], at[row] : at[row] + count]
        found = backbone.step(chunk, cache, counts)
        for row, count in enumerate(counts.tolist()):
            expected = states[rows[row], at[row] : at[row] + count]
            torch.testing.assert_close(found[row, :count], expected, atol=tolerance, rtol=tolerance)
            at[row] += count
    assert max(at) > LENGTH // 2  # rows were not all begun anew
