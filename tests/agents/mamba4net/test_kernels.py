"""When the kernels of mamba-ssm are used, and (slow, where it is installed) what they compute."""

import importlib.machinery
import importlib.util
import json
import math
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch

from agents.mamba4net import kernels, mixer
from agents.mamba4net.mixer import Mamba2, MixerState, Padding
from agents.mamba4net.ssd import CHUNK, ssd, ssd_step

HEADS, HEADDIM, D_STATE = 2, 8, 8


@pytest.fixture(autouse=True)
def _forget():
    kernels.installed.cache_clear()
    yield
    kernels.installed.cache_clear()


def scan(x, dt, a, b, c, chunk_size, initial_states=None, return_final_states=False):
    """Stands for ``mamba_chunk_scan_combined``."""
    assert chunk_size == CHUNK and return_final_states
    return ssd(x, dt, a, b, c, initial_states, final=True)


def update(state, x, dt, a, b, c, D, z=None, dt_bias=None, dt_softplus=False):
    """Stands for ``selective_state_update``, which wants all sizes expanded."""
    assert dt.shape == x.shape and a.shape == state.shape[1:]
    assert not dt_softplus and not D.any() and not dt_bias.any() and D.shape == dt_bias.shape == x.shape[1:]
    return ssd_step(x, dt[..., 0], a[:, 0, 0], b, c, state)


class Fused:
    """Stands for ``mamba_split_conv1d_scan_combined``: notes what it is asked."""

    def __init__(self):
        self.calls = []

    def __call__(self, zxbcdt, *arguments, **named):
        self.calls.append((zxbcdt, arguments, named))
        return torch.zeros(*zxbcdt.shape[:2], 16)


def make(**changes):
    torch.manual_seed(0)
    return Mamba2(16, **{"d_state": D_STATE, "headdim": HEADDIM, "nheads": HEADS, **changes})


def use(monkeypatch, found):
    monkeypatch.setattr(mixer, "kernels_for", lambda tensor: found)


def test_only_cuda_tensors_ask_for_kernels(monkeypatch):
    found = kernels.Kernels(scan, update, None)
    monkeypatch.setattr(kernels, "installed", lambda: found)
    assert kernels.kernels_for(torch.zeros(1)) is None
    assert kernels.kernels_for(types.SimpleNamespace(is_cuda=True)) is found


@torch.no_grad()
def test_scan_and_update_do_what_pytorch_does(monkeypatch):
    ours = make(ngroups=2)
    tokens = torch.randn(2, 20, 16)
    results = []
    for found in (None, kernels.Kernels(scan, update, None)):
        use(monkeypatch, found)
        state = MixerState(torch.zeros(2, 3, ours.channels), torch.zeros(2, HEADS, HEADDIM, D_STATE))
        parts = [ours(tokens), ours(tokens[:, :1], state), ours(tokens[:, 1:2], state)]
        parts.append(ours(tokens[:, 2:8], state, Padding.of(torch.tensor([4, 0]), 6, 4)))
        results.append([*parts, *state])
    for plain, other in zip(*results, strict=True):
        torch.testing.assert_close(other, plain, atol=1e-6, rtol=1e-5)


def test_whole_sequences_go_through_the_fused_kernel(monkeypatch):
    fused = Fused()
    use(monkeypatch, kernels.Kernels(scan, update, fused))
    # in_proj makes 2 * 16 + 2 * 8 + 2 = 50 numbers, of which causal-conv1d cannot take some: no multiple of 8
    odd = make()
    assert not odd.aligned
    odd(torch.randn(1, 5, 16))
    assert not fused.calls
    ours = make(headdim=2, nheads=8, dt_min=0.01)
    assert ours.aligned
    tokens = torch.randn(2, 5, 16)
    ours(tokens)
    ((zxbcdt, arguments, named),) = fused.calls
    assert torch.equal(zxbcdt, ours.in_proj(tokens))
    weight, bias, dt_bias, a = arguments
    assert weight.shape == (ours.channels, 4) and bias is ours.conv1d.bias and dt_bias is ours.dt_bias
    assert torch.equal(a, -ours.A_log.exp())
    assert named["dt_limit"] == (0.01, math.inf) and named["norm_before_gate"] is False
    assert named["outproj_weight"] is ours.out_proj.weight and named["rmsnorm_weight"] is ours.norm.weight
    state = MixerState(torch.zeros(2, 3, ours.channels), torch.zeros(2, 8, 2, D_STATE))
    ours(tokens, state)  # it gives no state
    ours.use_kernels = False
    ours(tokens)
    assert len(fused.calls) == 1


def pretend(monkeypatch, tmp_path, extension_needed: bool, convolution: str | None):
    """Packages with the names of mamba-ssm's and causal-conv1d's, in front of all others."""
    ops = tmp_path / "mamba_ssm" / "ops" / "triton"
    ops.mkdir(parents=True)
    text = "import selective_scan_cuda\n" if extension_needed else ""
    (tmp_path / "mamba_ssm" / "__init__.py").write_text(text)
    (tmp_path / "mamba_ssm" / "ops" / "__init__.py").touch()
    (ops / "__init__.py").touch()
    names = "mamba_chunk_scan_combined = 'scan'\nmamba_split_conv1d_scan_combined = 'fused'\n"
    (ops / "ssd_combined.py").write_text(names)
    (ops / "selective_state_update.py").write_text("selective_state_update = 'update'\n")
    if convolution is not None:
        (tmp_path / "causal_conv1d.py").write_text(convolution)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mamba_ssm", "causal_conv1d")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.fixture
def _clean_modules():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.usefixtures("_clean_modules")
@pytest.mark.parametrize("extension_needed", [True, False])  # as version 2.3.2 imports it, and as later ones do not
@pytest.mark.parametrize(("convolution", "fused"), [(None, None), ("import causal_conv1d_cuda", None), ("", "fused")])
def test_what_is_installed_is_found(monkeypatch, tmp_path, extension_needed, convolution, fused):
    pretend(monkeypatch, tmp_path, extension_needed, convolution)
    assert kernels.installed() == kernels.Kernels("scan", "update", fused)
    assert kernels.EXTENSION not in sys.modules  # the placeholder is gone


@pytest.mark.usefixtures("_clean_modules")
def test_the_true_extension_is_left_in_place(monkeypatch, tmp_path):
    pretend(monkeypatch, tmp_path, True, None)
    (tmp_path / "selective_scan_cuda.py").write_text("true = 1\n")
    assert kernels.installed() is not None
    assert sys.modules[kernels.EXTENSION].true == 1


@pytest.mark.usefixtures("_clean_modules")
def test_a_package_that_does_not_fit_is_as_good_as_none(monkeypatch, tmp_path):
    pretend(monkeypatch, tmp_path, False, None)
    triton = tmp_path / "mamba_ssm" / "ops" / "triton"
    (triton / "ssd_combined.py").write_text("raise RuntimeError('0 active drivers')\n")
    assert kernels.installed() is None
    assert kernels.EXTENSION not in sys.modules


def test_without_the_package_there_are_none(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert kernels.installed() is None


@pytest.mark.slow
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("mamba_ssm", "triton", "einops")),
    reason="needs mamba-ssm, triton and einops",
)
def test_the_true_kernels_compute_the_same():
    """Outputs, gradients, single steps, and stretches from a state with padding, under Triton's interpreter."""
    script = Path(__file__).with_name("interpreted_kernels.py")
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stderr[-2000:]
    differences = json.loads(run.stdout.splitlines()[-1])
    assert set(differences) == {"forward", "fused", "gradient", "steps"}
    assert all(difference < 1e-5 for difference in differences.values()), differences
