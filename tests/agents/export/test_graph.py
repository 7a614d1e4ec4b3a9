"""Tasks whose policies are exported, and those that are not; files are tested with the command that writes them."""

import pytest
import torch
from toy_sequence import ToyNet, add_toy_task

from agents.export.graph import TaskGraph, graph_for
from agents.registry import part_of, tasks_with


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
