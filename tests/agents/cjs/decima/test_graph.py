"""Decisions as one graph: in order of height, and nothing of a decision is lost among the others."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from agents.cjs.decima.decisions import of_view, stage_heights
from agents.cjs.decima.graph import collate


def test_children_are_lower_than_their_parents(packed):
    decisions = packed()
    graph = collate(decisions)
    heights = np.repeat(np.arange(len(graph.node_offset) - 1), np.diff(graph.node_offset))
    assert np.bincount(heights).tolist() == np.bincount(decisions.height).tolist()
    children, parents = graph.edges.numpy()
    assert (heights[children] < heights[parents]).all()
    assert (np.diff(heights[parents]) >= 0).all()
    for height, (begin, end) in enumerate(pairwise(graph.edge_offset)):
        assert (heights[parents[begin:end]] == height).all()


def test_every_decision_has_its_jobs_stages_and_choices(packed):
    decisions = packed()
    graph = collate(decisions, np.array([4, 1, 4]))
    for place, number in enumerate([4, 1, 4]):
        alone = collate(decisions, np.array([number]))
        jobs = graph.job_decision == place
        assert torch.equal(graph.jobs[jobs], alone.jobs) and torch.equal(graph.limits[jobs], alone.limits)
        stages = jobs[graph.node_job]
        assert torch.equal(graph.nodes[stages], alone.nodes)
        choices = graph.choice_decision == place
        assert torch.equal(graph.nodes[graph.choices[choices]], alone.nodes[alone.choices])
        for name in ("choice_index", "choice_row", "choice_demand"):
            assert torch.equal(getattr(graph, name)[choices], getattr(alone, name)), name
        assert graph.num_executors[place] == alone.num_executors[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_graph_has_the_precision_of_its_decisions(dtype, engine, packed):
    decisions = packed([2]) if dtype == torch.float32 else of_view(engine.view(2), stage_heights(engine.jobs))
    graph = collate(decisions)
    assert graph.nodes.dtype == graph.jobs.dtype == dtype
    assert graph.double().nodes.dtype == graph.double().jobs.dtype == torch.float64
