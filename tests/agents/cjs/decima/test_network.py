"""Decima's network: the same for one cluster and for many, whatever is played together."""

import networkx as nx
import numpy as np
import pytest
import torch

from agents.cjs.decima.decisions import of_view, pack, stage_heights
from agents.cjs.decima.graph import collate
from agents.cjs.decima.network import DecimaNet, median
from agents.cjs.decima.released import released_network
from netenvs import datasets
from netenvs.cjs.jobs import JobSet

ENV_ID = "netenvs/CJS-v0"


def assert_equal_scores(network, engine, packed, tolerance):
    """All logits of all clusters in single precision, against those of one at a time in double precision."""
    net = DecimaNet(network.state_dict())
    graph = collate(packed())
    heights = stage_heights(engine.jobs)
    with torch.inference_mode():
        embedding = network.embed(graph)
        stages = network.stage_scores(graph, embedding)
        for row in range(len(engine.outcomes)):
            alone = collate(of_view(engine.view(row), heights))
            own = net.embed(alone)
            expected = net.stage_scores(alone, own)[0]
            found = stages[row][stages[row] > -torch.inf]
            assert found.numpy() == pytest.approx(expected.numpy(), abs=tolerance)
            for choice in range(len(expected)):
                chosen = torch.zeros(len(engine.outcomes), dtype=torch.int64)
                chosen[row] = choice
                executors = network.executor_scores(graph, embedding, chosen)[row]
                expected_executors = net.executor_scores(alone, own, torch.tensor([choice]))[0]
                found = executors[executors > -torch.inf]
                assert found.numpy() == pytest.approx(expected_executors.numpy(), abs=tolerance)


def test_many_clusters_score_as_one_at_a_time(network, engine, packed):
    assert_equal_scores(network, engine, packed, 1e-4)  # single precision, large weights


def test_takes_the_released_weights(engine, packed):
    if not datasets.installed("decima-weights"):
        pytest.skip("data set decima-weights is not installed (python -m netenvs.datasets install decima-weights)")
    network = released_network().float()
    assert sum(parameter.numel() for parameter in network.parameters()) == 20_802
    assert_equal_scores(network, engine, packed, 1e-5)


@pytest.mark.parametrize("rows", [[3], [5, 0, 2], [4, 4]])
def test_scores_do_not_depend_on_what_is_played_together(rows, network, engine, packed):
    network = network.double()
    everything = collate_double(packed())
    some = collate_double(packed(), np.array(rows))
    expected, found = (network.stage_scores(graph, network.embed(graph)).detach() for graph in (everything, some))
    for place, row in enumerate(rows):
        width = int((expected[row] > -torch.inf).sum())
        assert found[place, :width].numpy() == pytest.approx(expected[row, :width].numpy(), abs=1e-9)
        assert (found[place, width:] == -torch.inf).all()


def collate_double(decisions, chosen=None):
    return collate(decisions, chosen).double()


def test_jobs_without_edges_pass_no_messages(network):
    """A cluster whose jobs have no edge at all is special in the published network, its neighbours are not."""
    single, chain = nx.DiGraph(), nx.DiGraph([(0, 1), (1, 2)])
    single.add_node(0)
    for graph in (single, chain):
        for node in graph.nodes:
            graph.nodes[node].update(num_tasks=4, duration_ms=700.0)
    for graphs in ([single], [chain], [single, chain]):
        jobs = JobSet.from_networkx(graphs)
        engine = start_with(jobs)
        net = DecimaNet(network.state_dict())
        graph = collate(pack(engine.observation._asdict(), np.arange(4), 3))
        scores = network.stage_scores(graph, network.embed(graph)).detach()
        for row in range(4):
            alone = collate(of_view(engine.view(row), stage_heights(jobs)))
            expected = net.stage_scores(alone, net.embed(alone))[0].detach().numpy()
            assert scores[row][scores[row] > -torch.inf].numpy() == pytest.approx(expected, abs=1e-4)


def start_with(jobs):
    """Four clusters with these templates, a few decisions after their beginning."""
    from gymnasium.utils.seeding import np_random

    from netenvs.cjs.engines import FastEngine
    from netenvs.cjs.options import CJSOptions

    engine = FastEngine(jobs, CJSOptions(num_executors=3, num_jobs=6, mean_interarrival_ms=1000.0), 4, False)
    for row in range(4):
        engine.seed_row(row, row, np_random(row)[0])
    engine.begin(np.ones(4, np.bool_))
    for _ in range(3):
        first = engine.observation.action_mask[:, 1:].argmax(axis=1) + 1
        engine.step(np.stack([first, np.zeros(4, np.int64)], axis=1), False)
    return engine


def test_median():
    log_prob = torch.tensor([[0.4, 0.3, 0.3], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.1, 0.1, 0.8]]).double().log()
    assert median(log_prob).tolist() == [1, 0, 0, 2]
