"""Message passing by torch-geometric, which trainings use, is the plain sum."""

import pytest
import torch
from fresh import python

from agents.cjs.decima.graph import collate
from agents.cjs.decima.network import sum_by_parent
from agents.cjs.decima.ppo import SumOfMessages


def test_message_passing_equals_plain_sums(network, engine, packed):
    graph = collate(packed())
    plain = network.embed(graph)
    network.encoder.node_encoder.sum_by_parent = SumOfMessages()
    for found, expected in zip(network.embed(graph), plain, strict=True):
        assert found.detach().numpy() == pytest.approx(expected.detach().numpy(), abs=1e-5)
    messages, edges = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([[0, 2, 1], [0, 0, 1]])
    assert SumOfMessages()(messages, edges, 3).tolist() == [[5.0], [2.0], [0.0]]
    assert sum_by_parent(messages, edges, 3).tolist() == [[5.0], [2.0], [0.0]]


def test_message_passing_leaves_no_files(tmp_path):
    temporary, script = tmp_path / "temporary", tmp_path / "script.py"
    temporary.mkdir()
    code = "from agents.cjs.decima.ppo import SumOfMessages; print(SumOfMessages().propagate.__module__)"
    script.write_text(f"import tempfile; tempfile.tempdir = {str(temporary)!r}\n{code}\n")
    run = python(str(script), folder=tmp_path)
    assert run == (0, "agents.cjs.decima.ppo_SumOfMessages_propagate\n", "")  # code made by torch-geometric
    assert not list(temporary.glob("*.py"))
