"""Arithmetic of memory, and the check that measures it, on small shapes."""

import pytest
import torch

from agents.netllm import gpu_check, memory
from agents.netllm.memory import SHAPES, kept_for_backward, needs, numbers, random_backbone, size
from agents.sequence.nets.abr import ABRNet


def test_llama_2_7b_fits_into_40_gb(capsys):
    assert memory.main(memory.Args())
    printed = capsys.readouterr().out
    # spec of the model: 32 layers of 4 x 4096^2 + 3 x 4096 x 11008 + 2 x 4096, and a last norm
    assert f"{32 * (4 * 4096**2 + 3 * 4096 * 11008 + 2 * 4096) + 4096:,}" in printed
    # rank 128 on queries and values: two matrices of 4096 x 128 each
    assert f"{32 * 2 * 2 * 4096 * 128:,}" in printed
    assert "is within 40 GB" in printed
    assert not memory.main(memory.Args(limit_gb=10))


def test_weights_are_never_allocated():
    backbone = random_backbone(SHAPES["llama-2-7b"])
    assert {weight.device.type for weight in backbone.parameters()} == {"meta"}
    assert size(backbone, False) == 2 * numbers(backbone, False)
    assert size(backbone, True) == 4 * numbers(backbone, True)


def test_what_is_kept_for_the_backward_pass_bounds_what_a_device_keeps():
    shape = SHAPES["tiny"]
    counted = kept_for_backward(random_backbone(shape), 2, 100)
    on_cpu = kept_for_backward(random_backbone(shape, device="cpu"), 2, 100)
    assert on_cpu <= counted < 2.5 * on_cpu
    # but for tables of positions, which rows share, twice the rows keep twice as much
    assert kept_for_backward(random_backbone(shape), 4, 100) == pytest.approx(2 * counted, rel=0.05)
    # a layer keeps at least what its matrix products need: the values between gate, up and down
    assert counted > 2 * 200 * 3 * 96 * 2


def test_needs_add_up():
    backbone = random_backbone(SHAPES["tiny"], torch.bfloat16, rank=4)
    net = ABRNet(64, "netllm", returns=True)
    found = needs(backbone, net, 1, 50)
    assert found.learned == 4 * (numbers(backbone, True) + numbers(net, True))
    assert found.cache == 2 * 2 * 50 * 64 * 2  # keys and values, layers, tokens, width, bytes
    assert found.adapting == found.frozen + 4 * found.learned + found.recomputed
    assert found.adapting_at_once == found.frozen + 4 * found.learned + found.activations
    assert found.acting == found.frozen + found.learned + found.cache


def test_recorded_episodes_are_whole_and_in_order():
    net = ABRNet(64, "netllm", returns=True)
    sequences, actions = gpu_check.episodes_of(net, 3)
    assert sequences.lengths.tolist() == [47, 47, 47]
    left = sequences.steps["left"].reshape(3, 47)
    assert (left == left[0]).all()
    assert (left[:, :-1] - left[:, 1:] == 1).all()
    previous = sequences.previous.reshape(3, 47)
    assert (previous[:, 0] == -1).all()
    assert (previous[:, 1:] == actions.reshape(3, 47)[:, :-1]).all()
    assert (sequences.steps["last"].reshape(3, 47)[:, 1:] == previous[:, 1:]).all()  # what was chosen was downloaded


@pytest.mark.parametrize("options", [{}, {"keep_activations": True, "merge": True, "dtype": "float32", "episodes": 2}])
def test_a_small_shape_adapts_and_acts(capsys, options):
    assert gpu_check.main(gpu_check.Args(device="cpu", shape="tiny", rank=4, steps=4, **options))
    printed = capsys.readouterr().out
    losses = [float(word) for word in printed.split("loss ")[1].split(",")[0].split()]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    assert "ms a decision" in printed


def test_bad_settings_are_one_line():
    with pytest.raises(ValueError, match="shape must be one of llama-2-7b, small, tiny"):
        memory.main(memory.Args(shape="llama"))
    with pytest.raises(ValueError, match="dtype must be one of"):
        memory.main(memory.Args(dtype="int8"))
    with pytest.raises(ValueError, match="steps must be at least 1"):
        gpu_check.main(gpu_check.Args(device="cpu", shape="tiny", steps=0))
    with pytest.raises(ValueError, match="device 'nowhere'"):
        gpu_check.main(gpu_check.Args(device="nowhere", shape="tiny"))
