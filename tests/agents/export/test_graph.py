"""Tasks whose policies are exported, and those that are not; files are tested with the command that writes them."""

import numpy as np
import pytest
import torch
from toy_sequence import ToyNet, add_toy_task

from agents.export.cjs import CJSGraph
from agents.export.graph import TaskGraph, choices_apart, graph_for
from agents.export.vp import VPGraph
from agents.registry import part_of, tasks_with
from agents.sequence.net import MASKED
from agents.sequence.nets.cjs import CJSNet
from agents.sequence.nets.vp import VPNet


@pytest.mark.parametrize("task", tasks_with("graph"))
def test_what_a_graph_takes_and_gives_has_names_of_its_own(task):
    with torch.device("meta"):
        graph = graph_for(part_of(task, "net")(16))
    assert isinstance(graph, TaskGraph) and graph.tokens_each >= 1
    ports = (*graph.inputs(), *graph.outputs())
    assert len({port.name for port in ports}) == len(ports)
    assert all(port.meaning and "batch" in str(port.shape) for port in graph.outputs())


def test_a_task_without_a_graph_is_one_line(monkeypatch):
    add_toy_task(monkeypatch)
    with pytest.raises(ValueError, match=r"^task 'toy' is not exported, only abr, cjs and vp$"):
        graph_for(ToyNet())


def row(*logits):
    return np.array([logits], dtype=np.float32)


def test_choices_are_compared_by_their_log_probabilities():
    np.testing.assert_allclose(choices_apart(row(1, 2, 3), row(0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(choices_apart(row(0, -30), row(0, -40)), 0, atol=1e-6)  # never made
    np.testing.assert_allclose(choices_apart(row(0, MASKED, MASKED), row(0, MASKED)), 0)
    assert np.isinf(choices_apart(row(0, MASKED, 1), row(0, MASKED))).all()  # one that there is not


def test_executors_of_different_stages_are_not_compared():
    graph = CJSGraph(CJSNet(16))
    found = {"stage_logits": row(0, 1e-6), "executor_logits": row(0, 5)}
    assert len(graph.apart(found, [row(0, 2e-6), row(0, 5)])) == 2
    stages, *executors = graph.apart(found, [row(1e-6, 0), row(9, 0)])
    assert np.abs(stages).max() < 1e-5 and not executors


def test_paths_are_compared_the_short_way_round():
    graph = VPGraph(VPNet(16))
    one, other, scale = (np.full((1, 20, 3), value, dtype=np.float32) for value in (179.5, -179.5, 0.25))
    mean, log_scale = graph.apart({"path_mean": one, "path_log_scale": scale}, [other, np.zeros_like(scale)])
    np.testing.assert_allclose(mean, np.deg2rad(-1.0))
    np.testing.assert_allclose(log_scale, 0.25)
