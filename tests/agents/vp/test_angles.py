"""Angles as networks read them."""

import torch

from agents.vp.angles import compress, wrap


def test_wrapped_angles_are_the_same_ones_in_their_interval():
    angles = torch.cat([torch.arange(-1080.0, 1081.0, 7.5), torch.tensor([180.0, -180.0, 540.0])])
    wrapped = wrap(angles)
    assert ((wrapped >= -180) & (wrapped < 180)).all()
    torch.testing.assert_close(torch.deg2rad(wrapped).sin(), torch.deg2rad(angles).sin(), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.deg2rad(wrapped).cos(), torch.deg2rad(angles).cos(), atol=1e-5, rtol=0)
    turned = angles.clone().requires_grad_()
    wrap(turned).sum().backward()
    assert (turned.grad == 1).all()


def test_compressed_angles_are_an_inverse_hyperbolic_sine_with_gradients_or_without():
    angles = torch.cat([torch.linspace(-400, 400, 4001), torch.linspace(-1e-3, 1e-3, 401)])
    expected = torch.asinh(angles.double() / 3).float()
    torch.testing.assert_close(compress(angles), expected, atol=1e-6, rtol=0)
    learned = angles.clone().requires_grad_()
    torch.testing.assert_close(compress(learned).detach(), expected, atol=1e-6, rtol=0)
    compress(learned).sum().backward()
    torch.testing.assert_close(learned.grad, 1 / torch.sqrt(angles.square() + 9))
