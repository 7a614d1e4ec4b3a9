"""A student's first weights: the paper's rule by hand, the principled one against what the teacher computes."""

import copy
import json

import numpy as np
import pytest
import torch
from torch.nn import functional
from toy_sequence import GRUBackbone, ToyNet, toy_sequences
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from agents.mamba4net.hybrid import HybridBackbone
from agents.mamba4net.layers import HybridConfig
from agents.netllm.load import ScratchBackbone
from agents.netllm.memory import random_backbone
from agents.sequence.model import SequenceModel
from agents.sequence.nets.abr import ABRNet
from agents.sequence.nets.cjs import CJSNet
from agents.sequence.nets.vp import VPNet
from distill.reuse.basis import energy, first_directions, last_uniform, top_directions, weight_moment
from distill.reuse.decoder import Layer, decoder_of, layer_of, mean_rotation, weight_and_bias
from distill.reuse.linear_algebra import balanced, regression
from distill.reuse.literal import reduced
from distill.reuse.mixers import INFLECTION, Seen, set_mamba, silu_gain
from distill.reuse.weight_reuse import ARMS, block_ends, block_layers, reuse, turned
from distill.training.labelled_sequences import Labelled
from distill.training.pool_sequences import labelled

LAYERS, HEADS = 3, 4
SMALL = {
    "d_state": 8,
    "headdim": 8,
    "nheads": 4,
    "ngroups": 2,
    "attention_heads": 2,
    "kv_heads": 2,
    "attention_headdim": 8,
    "d_ff": 32,
}
ROOMY = {
    "d_state": 9,
    "headdim": 8,
    "nheads": 4,
    "ngroups": 4,
    "attention_heads": 4,
    "kv_heads": 4,
    "attention_headdim": 8,
    "d_ff": 48,
}
"""Room for all that a teacher of width 32 with 4 heads has."""


def backbone(kind="llama", d=32, kv=2, seed=0, scale=4.0):
    """Weights of several times the initial size, so that attention looks at something."""
    torch.manual_seed(seed)
    if kind == "gpt2":
        found = ScratchBackbone({"model_type": kind, "n_embd": d, "n_layer": LAYERS, "n_head": HEADS})
    else:
        sizes = {"hidden_size": d, "intermediate_size": 48, "num_hidden_layers": LAYERS, "head_dim": d // HEADS}
        heads = {"num_attention_heads": HEADS, "num_key_value_heads": kv}
        found = ScratchBackbone({"model_type": kind, **sizes, **heads})
    with torch.no_grad():
        for weight in found.parameters():
            weight.mul_(scale if weight.dim() > 1 else 1)
            if weight.dim() == 1:
                weight.add_(0.1 * torch.randn(weight.shape))
    return found


def toy_teacher(kind="llama", d=32, **options):
    network = backbone(kind, d, **options)
    return SequenceModel(ToyNet(d), network, timesteps=20)


def toy_student(d=16, pattern="MM*-", seed=1, **sizes):
    torch.manual_seed(seed)
    network = HybridBackbone(HybridConfig(d_model=d, pattern=pattern, **{**SMALL, **sizes}))
    return SequenceModel(ToyNet(d), network, timesteps=20)


def toy_data(count=40, seed=0):
    rng = np.random.default_rng(seed)
    sequences = toy_sequences(rng.integers(4, 12, count).tolist(), seed=seed)
    size = int(sequences.lengths.sum())
    return Labelled(sequences, {"action": np.stack([rng.integers(0, 4, size), rng.integers(0, 3, size)], axis=1)})


DATA = toy_data()


def outputs(model, data=DATA):
    with torch.inference_mode():
        return torch.cat(model.eval()(data.sequences, data.targets.get("action")), dim=1)


def distance(model, teacher, data=DATA):
    wanted = outputs(teacher, data)
    return float((outputs(model, data) - wanted).norm() / (wanted - wanted.mean(dim=0)).norm())


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def parts(mixer):
    """x, B and C of in_proj, float64."""
    inner, states = mixer.d_inner, mixer.ngroups * mixer.d_state
    weight = mixer.in_proj.weight.detach().double()
    return weight[inner : 2 * inner], *weight[2 * inner : 2 * inner + 2 * states].split(states)


def constants(mixer):
    """What the state's constant numbers come to in scores of each group."""
    states = mixer.ngroups * mixer.d_state
    bias = mixer.in_proj.bias.detach().double()[2 * mixer.d_inner : 2 * mixer.d_inner + 2 * states]
    b, c = bias.view(2, mixer.ngroups, mixer.d_state)[:, :, -1]
    return functional.silu(b) * functional.silu(c)


def test_the_papers_rule_by_hand():
    # (2, 2; -1, 1) has singular values 2 sqrt 2 and sqrt 2; its first right vector is (1, 1) / sqrt 2
    weight = torch.tensor([[2.0, 2.0], [-1.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(reduced(weight, 2, 2, rank=1), torch.tensor([[2.0, 2.0], [0.0, 0.0]]).double())
    torch.testing.assert_close(reduced(weight, 1, 2), torch.tensor([[2.0, 2.0]]).double())
    # (3, 1; 1, 3) has 4 with (1, 1) / sqrt 2 and 2 with (1, -1) / sqrt 2
    weight = torch.tensor([[3.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    torch.testing.assert_close(reduced(weight, 1, 2, rank=1), torch.tensor([[2.0, 2.0]]).double())
    torch.testing.assert_close(reduced(weight, 1, 1, rank=1), torch.tensor([[2.0]]).double())


@pytest.mark.parametrize(("rank", "nheads"), [(None, 4), (3, 4), (None, 6)])
def test_literal_fills_x_b_c_and_out(rank, nheads):
    teacher, student = toy_teacher(), toy_student(nheads=nheads)
    before = weights(student)
    assert reuse(teacher, student, "literal", DATA, rank=rank) == {"layers": [0, 1]}
    after = weights(student)
    for number in range(2):
        own = teacher.backbone.network.layers[number].self_attn
        prefix = f"backbone.layers.{number}.mixer."
        k, v = (
            part.weight.detach().double().view(2, 8, 32).repeat_interleave(2, dim=0).flatten(0, 1)
            for part in (own.k_proj, own.v_proj)
        )
        inner = nheads * 8
        x, b, c = parts(student.backbone.layers[number].mixer)
        wanted = [(x[:32], v, inner), (b, k, 16), (c, own.q_proj.weight.detach().double(), 16)]
        for found, full, rows in wanted:
            u, s, vt = torch.linalg.svd(full)
            truncated = (u[:, :rank] * s[:rank]) @ vt[:rank]
            torch.testing.assert_close(found, truncated[: min(rows, 32), :16], atol=1e-6, rtol=1e-5)
        u, s, vt = torch.linalg.svd(own.o_proj.weight.detach().double())
        found = after[prefix + "out_proj.weight"][:, :32].double()
        torch.testing.assert_close(found, ((u[:, :rank] * s[:rank]) @ vt[:rank])[:16], atol=1e-6, rtol=1e-5)
        assert torch.equal(x[32:].float(), before[prefix + "in_proj.weight"][inner + 32 : 2 * inner])  # nothing for it
        assert torch.equal(after[prefix + "out_proj.weight"][:, 32:], before[prefix + "out_proj.weight"][:, 32:])
        assert torch.equal(after[prefix + "in_proj.weight"][:inner], before[prefix + "in_proj.weight"][:inner])
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {
        f"backbone.layers.{number}.mixer.{part}.weight" for number in range(2) for part in ("in_proj", "out_proj")
    }


def score_map(teacher, number, head):
    """(d, d): scores of unit vectors, averaged over the distances in ``DATA``, from transformers' own functions."""
    network = teacher.backbone.network
    layer, own = network.layers[number], network.layers[number].self_attn
    gamma = layer.input_layernorm.weight.detach()
    q = (own.q_proj.weight.detach() * gamma).view(HEADS, 8, 32)[head]
    k = (own.k_proj.weight.detach() * gamma).view(2, 8, 32)[head // 2]
    tokens = distances_apart()
    cosine, sine = network.rotary_emb(torch.zeros(1), torch.arange(len(tokens))[None])
    total = torch.zeros(32, 32)
    for apart, share in enumerate(tokens):  # the query at this place, its key at place 0
        turned_q, _ = apply_rotary_pos_emb(
            q.T[:, None], q.T[:, None], cosine[:, apart : apart + 1], sine[:, apart : apart + 1], unsqueeze_dim=0
        )
        total += share * (turned_q[:, 0] @ k) if turned_q.dim() == 3 else share * (turned_q.view(32, 8) @ k)
    return total.double() / 8**0.5


def distances_apart(seed=0):
    """Shares of pairs of tokens, counted one by one, in what a run with this seed learns from."""
    order = np.random.default_rng(seed).permutation(len(DATA))
    data = DATA.take(np.delete(order, np.s_[::4]))
    counts = 2 + data.sequences.steps["readings"].lengths  # before, readings, between
    sequence = np.repeat(np.arange(len(data)), data.sequences.lengths)
    lengths = np.bincount(sequence, counts).astype(int)
    found = np.zeros(lengths.max())
    for length in lengths:
        for query in range(length):
            found[: query + 1] += 1
    return found / found.sum()


def test_a_student_with_room_for_everything_keeps_the_maps():
    teacher, student = toy_teacher(scale=2.0), toy_student(32, **ROOMY)
    figures = reuse(teacher, student, "full", DATA)
    assert figures["energy"] == pytest.approx(1)
    assert figures["tokens"] < 1e-5
    for block in figures["blocks"][:3]:
        assert block["scores"] < 1e-5 and block["values"] < 1e-5
    offset, slope = silu_gain()
    shrunk = (offset**2 + (slope * 0.5) ** 2) ** 0.5
    for block, number in zip(student.backbone.layers[:2], figures["layers"], strict=False):
        mixer = block.mixer
        x, b, c = parts(mixer)
        own = teacher.backbone.network.layers[number]
        gamma = own.input_layernorm.weight.detach()
        v = (own.self_attn.v_proj.weight.detach() * gamma).double().view(2, 8, 32)
        o = own.self_attn.o_proj.weight.detach().double().view(32, HEADS, 8)
        wanted = [score_map(teacher, number, head) for head in range(HEADS)]
        values = [o[:, head] @ v[head // 2] for head in range(HEADS)]
        b, c = b.view(HEADS, 9, 32), c.view(HEADS, 9, 32)
        out = mixer.out_proj.weight.detach().double().view(32, HEADS, 8)
        taken = set()
        for group, constant in enumerate(constants(mixer)):
            found = c[group].T @ b[group] / 4 / constant  # the slope of silu at 0 is 1/2
            errors = [float((found - one).norm() / one.norm()) for one in wanted]
            head = int(np.argmin(errors))
            assert errors[head] < 1e-5
            taken.add(head)
            added = out[:, group] @ x.view(HEADS, 8, 32)[group] * slope / shrunk
            torch.testing.assert_close(added, values[head], atol=1e-5, rtol=1e-5)
        assert taken == set(range(HEADS))


def test_attention_blocks_keep_scores_and_values_too():
    teacher, student = toy_teacher(), toy_student(32, **ROOMY)
    figures = reuse(teacher, student, "full", DATA)
    mixer, number = student.backbone.layers[2].mixer, figures["layers"][2]
    q, k = (part.weight.detach().double().view(HEADS, 8, 32) for part in (mixer.q_proj, mixer.k_proj))
    found = [q[head].T @ k[head] / 8**0.5 for head in range(HEADS)]
    for head in range(HEADS):
        wanted = score_map(teacher, number, head)
        assert min(float((one - wanted).norm() / wanted.norm()) for one in found) < 1e-5


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gpt2"])
def test_principled_at_the_teachers_width_loses_nothing_of_the_maps(kind):
    figures = reuse(toy_teacher(kind), toy_student(32, **ROOMY), "principled", DATA)
    assert figures["energy"] == pytest.approx(1)
    for block in figures["blocks"][:3]:
        assert block["scores"] < 1e-5 and block["values"] < 1e-5


def test_the_neutral_mixer_does_what_attention_does():
    """GPT-2 has no rotary positions: its attention with small scores, by a mixer that forgets nothing."""
    network = backbone("gpt2", scale=2.0).eval()
    decoder = decoder_of(network)
    torch.manual_seed(3)
    mixing = torch.randn(32, 32)
    states = (torch.randn(64, 20, 32) @ mixing + 0.5).double()
    states = states - states.mean(dim=-1, keepdim=True)
    tokens = states / states.square().mean(dim=-1, keepdim=True).sqrt()
    flat = tokens.flatten(0, 1)
    seen = Seen(flat.mean(dim=0), flat.T @ flat / len(flat))
    mixer = toy_student(32, **ROOMY).backbone.layers[0].mixer
    with torch.no_grad():
        mixer.A_log.fill_(-15.0)
        set_mamba(mixer, layer_of(decoder, 1, seen.moment, torch.ones(1)), seen, first_directions(32, 32), length=20.0)
        block = decoder.model.h[1]
        wanted = block.attn(block.ln_1(states.float()))[0]
        found = mixer(tokens.float())
    for place in (0, 5, 19):
        one, other = (part[:, place] - part[:, place].mean(dim=0) for part in (found, wanted))
        assert (one * other).sum() / one.norm() / other.norm() > 0.93
        # What all 8 channels of a group have in common, the norm takes for the sum of scores
        assert (one * other).sum() / other.square().sum() == pytest.approx(7 / 8, abs=0.05)
        mean = wanted[:, place].mean(dim=0)
        assert (found[:, place].mean(dim=0) - mean).norm() < 0.05 * mean.norm()


def test_layers_of_queries_and_keys_with_norms_keep_their_mean_size():
    teacher = toy_teacher("qwen3")
    decoder = decoder_of(teacher.backbone)
    torch.manual_seed(0)
    tokens = torch.randn(4000, 32, dtype=torch.float64)
    layer = layer_of(decoder, 1, tokens.T @ tokens / len(tokens), torch.ones(1).double())
    own = decoder.model.layers[1]
    with torch.no_grad():
        q = own.self_attn.q_proj(tokens.float() * own.input_layernorm.weight).view(-1, HEADS, 8)
        exact = own.self_attn.q_norm(q).double()
    found = torch.einsum("hsd,nd->nhs", layer.q, tokens) + layer.q_bias
    assert (found - exact).norm() / exact.norm() < 0.4
    assert found.square().mean().sqrt() == pytest.approx(float(exact.square().mean().sqrt()), rel=0.05)


def test_the_mean_rotation_is_that_of_the_distances():
    network = backbone().network
    only_now = mean_rotation(network, torch.ones(1, dtype=torch.float64), 8)
    torch.testing.assert_close(only_now, torch.eye(8).double())
    apart = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    rotation = mean_rotation(network, apart, 8)
    torch.manual_seed(0)
    q, k = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    cosine, sine = network.rotary_emb(torch.zeros(1), torch.tensor([[7], [4]]))
    turned_q = apply_rotary_pos_emb(q, q, cosine[:1], sine[:1])[0]
    turned_k = apply_rotary_pos_emb(k, k, cosine[1:], sine[1:])[0]
    score = q.view(8).double() @ rotation @ k.view(8).double()
    assert float(score) == pytest.approx(float((turned_q * turned_k).sum()), rel=1e-5)


def test_the_streams_own_directions_hold_most_of_it():
    """d 512 to 128, a spectrum k^-0.8 in random directions: states know where it is, weights at random do not."""
    torch.manual_seed(0)
    d, size, heads = 512, 128, 8
    rotation = torch.linalg.qr(torch.randn(d, d, dtype=torch.float64))[0]
    moment = rotation @ torch.diag(torch.arange(1, d + 1).double() ** -1.6) @ rotation.T
    q, k, v = (torch.randn(heads, d // heads, d, dtype=torch.float64) for _ in range(3))
    o = torch.randn(heads, d, d // heads, dtype=torch.float64)
    zeros = torch.zeros(heads, d // heads, dtype=torch.float64)
    layer = Layer(q, zeros, k, v, zeros, o, o[0, :, 0], zeros, None, o[0], o[0, :, 0], o[0])
    by_states = energy(top_directions(moment, size), moment)
    by_weights = energy(top_directions(weight_moment([layer]), size), moment)
    by_axes = energy(first_directions(d, size), moment)
    assert by_states > 0.97
    assert by_states > 3 * by_weights and by_states > 3 * by_axes
    assert by_weights == pytest.approx(0.25, abs=0.1) and by_axes == pytest.approx(0.25, abs=0.1)


def test_weights_that_read_the_stream_tell_of_it():
    """Energy of directions: of the states, of weights that read them, of the first coordinates."""
    torch.manual_seed(0)
    d, size, heads = 64, 16, 4
    rotation = torch.linalg.qr(torch.randn(d, d, dtype=torch.float64))[0]
    spectrum = torch.diag(torch.arange(1, d + 1).double() ** -0.8)
    moment = rotation @ spectrum**2 @ rotation.T
    q, k, v = (torch.randn(heads, d // heads, d, dtype=torch.float64) @ spectrum @ rotation.T for _ in range(3))
    o = rotation @ spectrum @ torch.randn(heads, d, d // heads, dtype=torch.float64)
    zeros = torch.zeros(heads, d // heads, dtype=torch.float64)
    layer = Layer(q, zeros, k, v, zeros, o, o[0, :, 0], zeros, None, o[0], o[0, :, 0], o[0])
    by_states = energy(top_directions(moment, size), moment)
    by_weights = energy(top_directions(weight_moment([layer]), size), moment)
    assert by_states > by_weights > energy(first_directions(d, size), moment) + 0.1


def test_the_last_direction_is_uniform_in_the_same_space():
    basis = top_directions(torch.diag(torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0])).double(), 4)
    found = last_uniform(basis)
    torch.testing.assert_close(found.T @ found, torch.eye(4).double())
    torch.testing.assert_close(found @ found.T, basis @ basis.T)
    torch.testing.assert_close((found @ torch.ones(4).double()).abs() / 2, basis[:, 3].abs())


def test_balanced_factors_are_the_best_of_their_rank():
    torch.manual_seed(0)
    matrix = torch.randn(6, 5, dtype=torch.float64)
    left, right = balanced(matrix, 2)
    values = torch.linalg.svdvals(matrix)
    assert float((matrix - left @ right).norm()) == pytest.approx(float(values[2:].norm()))
    torch.testing.assert_close(torch.linalg.svdvals(left), values[:2].sqrt())
    torch.testing.assert_close(torch.linalg.svdvals(right), values[:2].sqrt())
    assert balanced(matrix, 7)[0].shape == (6, 7) and not balanced(matrix, 7)[0][:, 5:].any()


@pytest.mark.parametrize("bias", [True, False])
def test_regression_finds_the_map(bias):
    torch.manual_seed(0)
    inputs, weight = torch.randn(500, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    shift = torch.tensor([1.0, -2.0, 3.0]).double() if bias else torch.zeros(3).double()
    found, constant = regression(inputs, inputs @ weight.T + shift, bias)
    torch.testing.assert_close(found, weight, atol=2e-3, rtol=0)
    if bias:
        torch.testing.assert_close(constant, shift, atol=2e-3, rtol=0)
    else:
        assert constant is None


def adapted(seed, size=0.3):
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
    torch.manual_seed(seed)
    network = random_backbone(shape, torch.float32, rank=4, device="cpu")
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=size, generator=torch.Generator().manual_seed(7))
    return SequenceModel(ToyNet(32), network)


def test_an_adapter_is_part_of_the_teacher():
    teacher, merged, bare = adapted(0), adapted(0), adapted(0, size=0.0)
    projection = teacher.backbone.decoder.layers[1].self_attn.q_proj
    merged.backbone.merge()
    wanted = merged.backbone.decoder.layers[1].self_attn.q_proj.weight.detach()
    torch.testing.assert_close(weight_and_bias(projection)[0].float(), wanted)
    assert (wanted - projection.get_base_layer().weight).abs().max() > 0.01
    students = []
    for one in (teacher, merged, bare):
        student = toy_student()
        reuse(one, student, "principled", DATA)
        students.append(outputs(student))
    torch.testing.assert_close(students[0], students[1], atol=1e-3, rtol=1e-3)
    assert (students[0] - students[2]).abs().max() > 0.01


def test_shared_keys_and_values_are_those_of_each_head():
    teacher = toy_teacher(kv=2)
    repeated = toy_teacher(kv=4)
    state = teacher.state_dict()
    for name in list(state):
        if "k_proj" in name or "v_proj" in name:
            state[name] = state[name].view(2, 8, 32).repeat_interleave(2, dim=0).flatten(0, 1)
    repeated.load_state_dict(state)
    torch.testing.assert_close(outputs(teacher), outputs(repeated))
    students = [toy_student(), toy_student()]
    figures = [
        reuse(one, student, "principled", DATA) for one, student in zip((teacher, repeated), students, strict=True)
    ]
    torch.testing.assert_close(outputs(students[0]), outputs(students[1]), atol=1e-3, rtol=1e-3)
    assert figures[0]["blocks"][0]["scores"] == pytest.approx(figures[1]["blocks"][0]["scores"], rel=1e-4)


def test_students_may_share_keys_and_values():
    figures = reuse(toy_teacher(), toy_student(attention_heads=4, kv_heads=2), "principled", DATA)
    alone = reuse(toy_teacher(), toy_student(attention_heads=4, kv_heads=4), "principled", DATA)
    assert alone["blocks"][2]["scores"] - 1e-6 <= figures["blocks"][2]["scores"] < 0.9


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3", "smollm3", "gpt2"])
def test_a_principled_student_begins_near_its_teacher(kind):
    teacher, student = toy_teacher(kind), toy_student()
    assert distance(student, teacher) > 0.8
    figures = reuse(teacher, student, "principled", DATA)
    assert distance(student, teacher, toy_data(seed=5)) < 0.35
    assert figures["layers"] == [0, 1, 2] and figures["left"] == []
    assert [block["kind"] for block in figures["blocks"]] == ["M", "M", "*", "-"]
    assert 0.9 < figures["energy"] <= 1 + 1e-6 and figures["tokens"] < 0.2
    json.dumps(figures)


def test_a_refit_helps():
    errors = {}
    for arm in ("principled", "principled-no-refit"):
        figures = reuse(toy_teacher(), toy_student(), arm, DATA)
        errors[arm] = figures["blocks"][-1]["error"]
        if arm == "principled":
            assert all(block["error"] < block["unfitted"] for block in figures["blocks"])
        else:
            assert all("unfitted" not in block for block in figures["blocks"]) and figures["fitted"] == []
    assert errors["principled"] < 0.7 * errors["principled-no-refit"]


def test_spectrum_has_the_sizes_but_not_the_directions():
    students = {arm: toy_student() for arm in ("principled", "spectrum")}
    for arm, student in students.items():
        reuse(toy_teacher(), student, arm, DATA)
    one, other = (dict(student.named_parameters()) for student in students.values())
    for name in (
        "task.reading.weight",
        "backbone.layers.1.mixer.out_proj.weight",
        "backbone.layers.2.mixer.q_proj.weight",
    ):
        torch.testing.assert_close(
            torch.linalg.svdvals(one[name]), torch.linalg.svdvals(other[name]), atol=1e-5, rtol=1e-4
        )
        assert (one[name] - other[name]).norm() > 0.5 * one[name].norm()
    for first, second in zip(*(parts(student.backbone.layers[0].mixer) for student in students.values()), strict=True):
        torch.testing.assert_close(first.norm(), second.norm(), atol=1e-5, rtol=1e-4)
        assert (first - second).norm() > 0.5 * first.norm()
    for name in (
        "backbone.layers.0.mixer.A_log",
        "backbone.layers.0.mixer.in_proj.bias",
        "backbone.layers.0.norm.weight",
    ):
        torch.testing.assert_close(one[name], other[name])
    assert float(one["task.first.bias"].detach().norm()) == pytest.approx(
        float(other["task.first.bias"].detach().norm()), rel=1e-5
    )


def test_turned_matrices_keep_rows_of_zeros():
    weight = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    weight[2:4] = 0
    found = turned(weight, torch.Generator().manual_seed(1))
    assert not found[2:4].any()
    torch.testing.assert_close(torch.linalg.svdvals(found), torch.linalg.svdvals(weight))


def test_a_random_teacher_is_another_and_the_own_one_stays():
    teacher, student = toy_teacher(), toy_student()
    before = weights(teacher)
    teacher.train()
    reuse(teacher, student, "random-teacher", DATA)
    assert teacher.training
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert distance(student, teacher) > 0.8


@pytest.mark.parametrize("arm", [arm for arm in ARMS if arm != "full"])
def test_arms_are_finite_and_depend_on_the_seed_alone(arm):
    found = {}
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        student = toy_student()
        first = weights(student)
        reuse(toy_teacher(), student, arm, DATA, seed=seed)
        assert outputs(student).isfinite().all()
        assert all(value.isfinite().all() for value in student.state_dict().values())
        found[name] = weights(student)
        changed = any(not torch.equal(value, first[key]) for key, value in found[name].items())
        assert changed == (arm != "random")
    assert all(torch.equal(value, found["same"][name]) for name, value in found["one"].items())
    if arm not in ("random", "literal"):
        assert any(not torch.equal(value, found["other"][name]) for name, value in found["one"].items())


@pytest.mark.parametrize(
    "sizes", [{"nheads": 8, "headdim": 4}, {"ngroups": 1}, {"nheads": 8, "ngroups": 8}, {"d_ff": 64}]
)
def test_students_of_all_sizes_begin_near(sizes):
    teacher, student = toy_teacher(), toy_student(**sizes)
    reuse(teacher, student, "principled", DATA)
    assert distance(student, teacher) < 0.35


def test_a_rank_cuts_what_is_reused():
    figures = [reuse(toy_teacher(), toy_student(), "principled", DATA, rank=rank) for rank in (1, 4, None)]
    scores = [one["blocks"][2]["scores"] for one in figures]
    assert scores[0] > scores[1] > scores[2]


def student_of(net, pattern="MM*-"):
    torch.manual_seed(2)
    return SequenceModel(net, HybridBackbone(HybridConfig(d_model=net.d_model, pattern=pattern, **SMALL)))


def alive(model):
    """Weights that begin at zero, as if they had been trained."""
    with torch.no_grad():
        for weight in model.task.parameters():
            if not weight.any():
                weight.normal_(std=0.1)
    return model


NETS = {
    "abr": (ABRNet, {"width": 32}, {"width": 16}),
    "abr-netllm": (ABRNet, {"tokenisation": "netllm", "returns": True, "width": 16}, {"width": 16}),
    "cjs": (CJSNet, {"width": 16, "hidden": 24}, {"width": 12, "hidden": 16}),
    "cjs-netllm": (CJSNet, {"tokenisation": "netllm", "width": 16, "hidden": 24}, {"width": 16, "hidden": 16}),
    "vp": (VPNet, {"hidden": 48, "width": 16}, {"hidden": 32, "width": 12}),
}


@pytest.mark.parametrize("name", NETS)
def test_encoders_and_heads_of_tasks_are_reused(name, request):
    kind, large, small = NETS[name]
    pool = request.getfixturevalue(f"{kind.task}_pool")
    torch.manual_seed(0)
    teacher = alive(SequenceModel(kind(32, **large), backbone(scale=3.0)))
    student = student_of(kind(16, **{**large, **small}))
    data = labelled([pool], teacher.task)
    if kind is VPNet:
        data = data.windows(1)
        student.task.previous_viewers = teacher.task.previous_viewers
    first = distance(student, teacher, data)
    figures = reuse(teacher, student, "principled", data)
    assert set(figures["left"]) <= {"decline", "executor_head.counts.weight"}
    assert distance(student, teacher, data) < min(0.5, 0.6 * first)


def test_nets_of_one_size_are_projected_without_a_fit(abr_pool):
    torch.manual_seed(0)
    teacher = alive(SequenceModel(ABRNet(32, width=16), backbone(scale=3.0)))
    data = labelled([abr_pool], teacher.task)
    student = student_of(ABRNet(16, width=16))
    figures = reuse(teacher, student, "principled-no-refit", data)
    assert figures["left"] == [] and figures["fitted"] == []
    assert figures["tokens"] < 0.1
    full = student_of(ABRNet(32, width=16))
    full.backbone = HybridBackbone(HybridConfig(d_model=32, pattern="MM*-", **ROOMY))
    reuse(teacher, full, "full", data)
    own, other = teacher.task.state_dict(), full.task.state_dict()
    readers = {"from_hidden.weight"}  # which read the teacher's last norm, too
    assert all(torch.allclose(own[name], other[name]) for name in own.keys() - readers)


def test_the_teachers_depth_is_shared_out():
    assert block_layers(list("MMMM*-"), 8) == [0, 2, 4, 5, 7, 7]
    assert block_layers(list("MMMMMMMMMM*-*-"), 32) == [0, 3, 6, 8, 11, 14, 17, 20, 23, 25, 28, 28, 31, 31]
    assert block_layers(list("M"), 8) == [0]
    assert block_ends(list("MM*-"), 12) == [4, 8, 10, 12]


def test_what_does_not_go_together_is_one_line():
    teacher, student = toy_teacher(), toy_student()
    other = SequenceModel(ToyNet(16), GRUBackbone(16))
    returns = SequenceModel(ToyNet(16, returns=True), student.backbone)
    unbiased = toy_student(bias=False)
    phi = SequenceModel(
        ToyNet(32),
        ScratchBackbone({"model_type": "phi3", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}),
    )
    cases = [
        ((teacher, student, "cwr", DATA), "arm must be one of random, spectrum, .*, not 'cwr'"),
        ((teacher, toy_student(48), "literal", DATA), "needs a student no wider than its teacher, not 48 and 32"),
        ((other, student, "principled", DATA), "needs a backbone of transformers, not a GRUBackbone"),
        ((teacher, other, "principled", DATA), "needs a hybrid backbone, not a GRUBackbone"),
        ((phi, student, "principled", DATA), "weights of a phi3 cannot be reused; those of llama"),
        ((teacher, returns, "principled", DATA), "need the same returns, not False and True"),
        ((teacher, student_of(ABRNet(16)), "principled", DATA), "different tasks, toy and abr"),
        ((teacher, student, "principled", DATA.take(np.arange(1))), "needs 2 sequences or more, not 1"),
        ((teacher, unbiased, "principled", DATA), "bias=True"),
        ((teacher, toy_student(d_state=1), "principled", DATA), "d_state 2 or more, not 1"),
        ((teacher, student, "full", DATA), "room for everything: d_model 32, not 16"),
        ((teacher, toy_student(32, **{**ROOMY, "d_state": 8}), "full", DATA), "d_state 9, not 8"),
        ((teacher, student, "principled", DATA, 0, 0), "rank must be 1 or more, not 0"),
        ((teacher, toy_student(32, **ROOMY), "full", DATA, 0, 4), "cuts nothing: leave rank out"),
    ]
    for arguments, message in cases:
        before = copy.deepcopy(arguments[1].state_dict())
        with pytest.raises(ValueError, match=message) as error:
            reuse(*arguments)
        assert "\n" not in str(error.value)
        assert all(torch.equal(value, before[name]) for name, value in arguments[1].state_dict().items())


def test_silu_is_straightest_at_its_inflection():
    offset, slope = silu_gain()
    v = torch.linspace(-0.5, 0.5, 11, dtype=torch.float64)
    torch.testing.assert_close(functional.silu(INFLECTION + v), offset + slope * v, atol=0.01, rtol=0)
