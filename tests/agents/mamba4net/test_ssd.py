"""The scan: quadratic, chunked and recurrent forms are one function, the one of the recurrence written out."""

import pytest
import torch

from agents.mamba4net.ssd import ssd, ssd_step

ROWS, LENGTH, HEADS, HEADDIM, D_STATE = 3, 50, 6, 5, 7


def inputs(groups, seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64).to(dtype)

    x = normal(ROWS, LENGTH, HEADS, HEADDIM)
    dt = normal(ROWS, LENGTH, HEADS).exp() / 10
    a = -normal(HEADS).exp()
    b, c = normal(ROWS, LENGTH, groups, D_STATE), normal(ROWS, LENGTH, groups, D_STATE)
    return x, dt, a, b, c


def written_out(x, dt, a, b, c, state=None):
    """H <- exp(dt a) H + dt x B^T, y = H C, one token after the other, in double precision."""
    rows, length, heads, headdim = x.shape
    group = torch.arange(heads) // (heads // b.shape[2])  # of each head
    h = torch.zeros(rows, heads, headdim, b.shape[3], dtype=torch.float64) if state is None else state
    outputs = []
    for token in range(length):
        new = torch.einsum("rh,rhp,rhn->rhpn", dt[:, token], x[:, token], b[:, token, group])
        h = (dt[:, token] * a).exp()[..., None, None] * h + new
        outputs.append(torch.einsum("rhpn,rhn->rhp", h, c[:, token, group]))
    return torch.stack(outputs, dim=1), h


def single(tensors):
    return [tensor.float() for tensor in tensors]


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("chunk", [1, 8, 16, 49, 50, 256])
def test_every_chunk_gives_the_recurrence(groups, chunk):
    arguments = inputs(groups)
    y, state = written_out(*arguments)
    found, after = ssd(*single(arguments), final=True, chunk=chunk)
    torch.testing.assert_close(found, y.float(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after, state.float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("chunk", [9, 256])
def test_a_stretch_goes_on_from_a_state(groups, chunk):
    arguments = inputs(groups)
    y, state = written_out(*arguments)
    x, dt, a, b, c = single(arguments)
    first, between = ssd(x[:, :20], dt[:, :20], a, b[:, :20], c[:, :20], final=True, chunk=chunk)
    second, after = ssd(x[:, 20:], dt[:, 20:], a, b[:, 20:], c[:, 20:], between, final=True, chunk=chunk)
    torch.testing.assert_close(torch.cat([first, second], dim=1), y.float(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after, state.float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("groups", [1, 3])
def test_single_steps_are_the_same(groups):
    arguments = inputs(groups)
    y, last = written_out(*arguments)
    x, dt, a, b, c = single(arguments)
    state = torch.zeros(ROWS, HEADS, HEADDIM, D_STATE)
    for token in range(LENGTH):
        found = ssd_step(x[:, token], dt[:, token], a, b[:, token], c[:, token], state)
        torch.testing.assert_close(found, y[:, token].float(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(state, last.float(), atol=1e-5, rtol=1e-5)


def test_tokens_without_time_leave_the_state_as_it_is():
    x, dt, a, b, c = single(inputs(2))
    dt[1, 30:] = 0
    _, state = ssd(x, dt, a, b, c, final=True)
    _, shorter = ssd(x[:, :30], dt[:, :30], a, b[:, :30], c[:, :30], final=True)
    torch.testing.assert_close(state[1], shorter[1], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(state[0], shorter[0], atol=1e-2)


@pytest.mark.parametrize("chunk", [16, 256])
def test_gradients_are_those_of_the_recurrence(chunk):
    arguments = inputs(2)
    start = torch.randn(ROWS, HEADS, HEADDIM, D_STATE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weights = [*(tensor.requires_grad_() for tensor in arguments), start.requires_grad_()]
    y, state = written_out(*arguments, start)
    expected = torch.autograd.grad(y.square().sum() + state.square().sum(), weights)
    ours = [tensor.detach().float().requires_grad_() for tensor in weights]
    found, after = ssd(*ours[:5], ours[5], final=True, chunk=chunk)
    gradients = torch.autograd.grad(found.square().sum() + after.square().sum(), ours)
    for gradient, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, wanted.float(), atol=1e-5 * float(wanted.abs().max()), rtol=1e-4)


def test_strong_decay_does_not_overflow():
    """Over 256 tokens a state may fade by far more than the smallest float."""
    x, _, _, b, c = single(inputs(1))
    x, b, c = (tensor.repeat(1, 5, 1, 1)[:, :250].requires_grad_() for tensor in (x, b, c))
    dt = torch.full((ROWS, 250, HEADS), 3.0, requires_grad=True)
    y, state = ssd(x, dt, torch.full((HEADS,), -16.0), b, c, final=True)
    (y.sum() + state.sum()).backward()
    assert all(tensor.grad.isfinite().all() for tensor in (x, dt, b, c))
    alone = (x * dt[..., None] * (b * c).sum(dim=3, keepdim=True)).detach()
    torch.testing.assert_close(y.detach(), alone, atol=1e-4, rtol=1e-5)  # nothing is left of the token before


def test_heads_that_are_reset_now_and_then_lose_no_precision():
    """Sums of decays reach tens of thousands; what is left between resets is still known to single precision."""
    x, dt, a, b, c = inputs(2)
    dt[:, ::3] = 200
    dt[:, 1::3] = 1e-2
    dt[:, 2::3] = 1e-3
    a = torch.full_like(a, -16)
    y, state = written_out(x, dt, a, b, c)
    found, after = ssd(*single([x, dt, a, b, c]), final=True)
    torch.testing.assert_close(found, y.float(), atol=1e-5 * float(y.abs().max()), rtol=0)
    small = found[:, 2::3] - y[:, 2::3].float()  # two tokens behind a reset
    assert float(small.abs().max()) < 2e-5 * float(y[:, 2::3].abs().max())
    torch.testing.assert_close(after, state.float(), atol=1e-5 * float(state.abs().max()), rtol=0)
