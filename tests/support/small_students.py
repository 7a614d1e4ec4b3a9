"""Students of every kind that can be exported, too small to be good at anything."""

import torch

from agents.mamba4net.hybrid import HybridBackbone
from agents.mamba4net.layers import HybridConfig
from agents.sequence.checkpoint import save_policy
from agents.sequence.model import SequenceModel
from agents.sequence.nets.abr import ABRNet
from agents.sequence.nets.cjs import CJSNet
from agents.sequence.nets.vp import VPNet

SIZES = {
    "d_model": 16,
    "d_state": 4,
    "headdim": 8,
    "nheads": 4,
    "attention_heads": 4,
    "kv_heads": 2,
    "attention_headdim": 8,
    "d_ff": 32,
}
STUDENTS = {
    "abr": ("abr", lambda: SequenceModel(ABRNet(16, width=16), HybridBackbone(HybridConfig(pattern="M*-", **SIZES)))),
    "abr-netllm": (
        "abr",
        lambda: SequenceModel(
            ABRNet(16, "netllm", returns=True, width=8),
            HybridBackbone(HybridConfig(pattern="M*", **SIZES)),
            timesteps=9,
        ),
    ),
    "cjs": (
        "cjs",
        lambda: SequenceModel(
            CJSNet(16, width=8, hidden=16), HybridBackbone(HybridConfig(pattern="M*", **SIZES)), context=4
        ),
    ),
    "vp": (
        "vp",
        lambda: SequenceModel(
            VPNet(16, hidden=16, width=8), HybridBackbone(HybridConfig(pattern="MM*", **SIZES)), context=1
        ),
    ),
}
"""By name: the task, and what makes one."""


def save_student(name, folder):
    """One whose weights are all random: of those that begin at 0, nothing would be seen. Returns its task."""
    torch.manual_seed(0)
    task, make = STUDENTS[name]
    model = make()
    with torch.no_grad():
        for weight in model.parameters():
            if not weight.any():
                weight.normal_(std=0.1)
    save_policy(model, folder, "mamba4net", {"target": 1.5, "scale": [0.0, 20.0]})
    return task
