"""Runs mixers through the Triton kernels of mamba-ssm on the CPU, under Triton's interpreter; prints differences.

To be run as a script, by ``test_kernels.py``: what it puts in place of parts of torch and triton must not stay.
"""

import contextlib
import importlib
import json
import os
import types

os.environ["TRITON_INTERPRET"] = "1"

import torch
import triton
from torch.nn import functional


def without_gpu() -> None:
    """What the kernels ask of a GPU, answered without one; each runs with the first of its tuned settings.

    Buffers that are filled by adding to them are cleared by the tuner, which is left out: all begin as zeros.
    """
    torch.cuda.device = lambda index: contextlib.nullcontext()
    torch.cuda.get_device_properties = lambda device: types.SimpleNamespace(multi_processor_count=1)
    torch.empty, torch.empty_like = torch.zeros, torch.zeros_like

    def untuned(configs, key, **others):
        def wrap(kernel):
            def launch(grid):
                def run(*arguments, **named):
                    settings = {**configs[0].kwargs, **named}
                    return kernel[grid](*arguments, **settings)

                return run

            launched = types.SimpleNamespace(configs=configs, best_config=configs[0])
            return type("Untuned", (), {"__getitem__": lambda self, grid: launch(grid), **vars(launched)})()

        return wrap

    triton.autotune = untuned


def convolution(x, weight, bias, seq_idx, initial_states, final_states_out, silu):
    """Stands for the forward pass of causal-conv1d, which needs a GPU; x is (rows, channels, length)."""
    out = functional.conv1d(x, weight[:, None], bias, padding=weight.shape[1] - 1, groups=len(weight))
    return functional.silu(out[..., : x.shape[2]])


def main() -> None:
    without_gpu()
    from agents.mamba4net import kernels, mixer

    found = kernels.installed()
    assert found is not None and found.mixer is None
    combined = importlib.import_module("mamba_ssm.ops.triton.ssd_combined")
    combined.causal_conv1d_fwd_function = convolution
    fused = found._replace(mixer=combined.mamba_split_conv1d_scan_combined)
    torch.manual_seed(0)
    ours = mixer.Mamba2(32, d_state=16, headdim=8, nheads=8, ngroups=2, dt_min=0.01)
    tokens = torch.randn(2, 20, 32, requires_grad=True)
    weights = [tokens, *ours.parameters()]
    assert ours.aligned
    with torch.no_grad():
        plain = ours(tokens)
        mixer.kernels_for = lambda tensor: fused
        at_once = ours(tokens)
        mixer.kernels_for = lambda tensor: found
    results = []
    for ours.use_kernels in (True, False):
        out = ours(tokens)
        gradients = torch.autograd.grad(out.square().sum(), weights)
        state = mixer.MixerState(torch.zeros(2, 3, ours.channels), torch.zeros(2, 8, 8, 16))
        with torch.no_grad():
            parts = [ours(tokens[:, :1], state), ours(tokens[:, 1:2], state)]
            padding = mixer.Padding.of(torch.tensor([4, 0]), 6, 4)
            parts.append(ours(tokens[:, 2:8], state, padding)[:1, :4])
            parts.append(ours(tokens[:, 8:9], state))
        results.append((out, gradients, [*parts, *state]))
    (out, gradients, steps), (plain_out, plain_gradients, plain_steps) = results
    print(
        json.dumps(
            {
                "fused": float((at_once - plain).abs().max()),
                "forward": float((out - plain_out).abs().max()),
                "gradient": max(
                    float((g - p).abs().max() / p.abs().max()) for g, p in zip(gradients, plain_gradients, strict=True)
                ),
                "steps": max(float((s - p).abs().max()) for s, p in zip(steps, plain_steps, strict=True)),
            }
        )
    )


if __name__ == "__main__":
    main()
