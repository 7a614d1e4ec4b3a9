"""The streaming step of a hybrid as a function, against ``HybridBackbone.step``."""

import pytest
import torch

from agents.mamba4net.hybrid import HybridBackbone
from agents.mamba4net.layers import HybridConfig
from agents.mamba4net.streaming import State, advance

CONFIG = HybridConfig(
    d_model=16,
    pattern="M*M-*",
    d_state=8,
    headdim=8,
    nheads=4,
    ngroups=2,
    attention_heads=4,
    kv_heads=2,
    attention_headdim=8,
    d_ff=32,
)


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return HybridBackbone(CONFIG).eval()


@torch.no_grad()
@pytest.mark.parametrize("n", [1, 3])
def test_the_function_gives_what_the_cache_gives(backbone, n):
    rows, steps = 3, 8
    tokens = torch.randn(steps, rows, n, CONFIG.d_model)
    state, cache = State.empty(CONFIG, rows, steps * n), backbone.init_cache(rows)
    for step in range(steps):
        if step == 4:  # the second row begins anew: rows are at different places from here on
            cache.select(torch.tensor([0, -1, 2]))
            state = State(*(part.clone() for part in state))
            for part in state[:2]:
                part[:, 1] = 0
            state.tokens[1] = 0  # its keys and values are still there, and must not be seen
        hidden, state = advance(backbone, tokens[step], state)
        torch.testing.assert_close(hidden, backbone.step(tokens[step], cache), atol=1e-5, rtol=0)
    assert state.tokens.tolist() == [8 * n, 4 * n, 8 * n]


@torch.no_grad()
def test_the_state_before_stays_as_it_is(backbone):
    _, state = advance(backbone, torch.randn(2, 1, CONFIG.d_model), State.empty(CONFIG, 2, 4))
    kept = [part.clone() for part in state]
    _, after = advance(backbone, torch.randn(2, 1, CONFIG.d_model), state)
    assert all(torch.equal(one, other) for one, other in zip(kept, state, strict=True))
    assert not any(torch.equal(one, other) for one, other in zip(after, state, strict=True))


@torch.no_grad()
def test_more_tokens_than_there_is_room_for_are_an_error(backbone):
    _, state = advance(backbone, torch.randn(1, 2, CONFIG.d_model), State.empty(CONFIG, 1, 2))
    with pytest.raises(IndexError):
        advance(backbone, torch.randn(1, 1, CONFIG.d_model), state)


@torch.no_grad()
@pytest.mark.parametrize("pattern", ["M", "*-"])
def test_a_backbone_of_one_kind_of_layers(pattern):
    config = HybridConfig(d_model=16, pattern=pattern, nheads=2, headdim=8, d_state=4, d_ff=16)
    backbone = HybridBackbone(config).eval()
    state, cache = State.empty(config, 2, 5), backbone.init_cache(2)
    for _ in range(5):
        tokens = torch.randn(2, 1, 16)
        hidden, state = advance(backbone, tokens, state)
        torch.testing.assert_close(hidden, backbone.step(tokens, cache), atol=1e-5, rtol=0)
