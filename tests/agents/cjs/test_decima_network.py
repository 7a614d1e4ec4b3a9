"""Decima's network for many clusters: the same as the one for a single cluster, whatever is played together."""

import os
import subprocess
import sys

import networkx as nx
import numpy as np
import pytest
import torch

from agents.cjs.decima import Decima
from agents.cjs.decima_graph import can_choose, collate, join, pack
from agents.cjs.decima_network import DecimaNetwork, median, released_network, sum_by_parent
from agents.cjs.decima_ppo import SumOfMessages
from agents.cjs.decima_released import SHAPES, DecimaNet, DecimaScheduler, make_graph, stage_heights
from agents.cjs.decima_rollout import Setting, decide, start
from agents.rollout import EpisodeSpec, play
from netenvs import datasets
from netenvs.cjs.jobs import JobSet

ENV_ID = "netenvs/CJS-v0"
ROWS = 6
SETTING = Setting(7, 12)


@pytest.fixture
def network():
    """Random weights, large enough that every input matters."""
    rng = np.random.default_rng(0)
    network = DecimaNetwork()
    network.load_state_dict(
        {name: torch.from_numpy(rng.normal(0.0, 0.5, shape).astype(np.float32)) for name, shape in SHAPES.items()}
    )
    return network


@pytest.fixture
def engine():
    """Clusters in the middle of their episodes."""
    engine = start(SETTING, "synthetic", range(ROWS), mean_interarrival_ms=5000.0)
    rng = np.random.default_rng(1)
    for _ in range(60):
        stages = [rng.choice(np.flatnonzero(mask[1 : 1 + 20 * SETTING.num_jobs])) + 1 for mask in engine.action_mask]
        engine.step(np.stack([stages, rng.integers(0, 2, ROWS)], axis=1), False)
    assert not engine.outcomes["terminated"].any()
    return engine


def packed(engine, rows=None):
    """The decisions of some rows."""
    rows = np.arange(ROWS) if rows is None else np.array(rows)
    return pack(engine.observation._asdict(), rows, SETTING.num_executors)


def assert_equal_scores(network, net, engine, tolerance):
    """All logits of all clusters, against those of the network for a single one."""
    graph = collate(packed(engine))
    heights = stage_heights(engine.jobs)
    with torch.inference_mode():
        embeddings = network.encoder(graph)
        stages = network.stage_scores(graph, embeddings)
        for row in range(ROWS):
            alone = make_graph(engine.view(row), heights)
            embedding = net.embed(alone)
            expected = net.stage_scores(alone, embedding)
            found = stages[row][stages[row] > -torch.inf]
            assert found.numpy() == pytest.approx(expected.numpy(), abs=tolerance)
            for choice in range(len(expected)):
                chosen = torch.zeros(ROWS, dtype=torch.int64)
                chosen[row] = choice
                executors = network.executor_scores(graph, embeddings, chosen)[row]
                job = int(alone.job[alone.schedulable[choice]])
                expected_executors = net.executor_scores(alone, embedding, job, SETTING.num_executors)
                found = executors[executors > -torch.inf]
                assert found.numpy() == pytest.approx(expected_executors.numpy(), abs=tolerance)


def test_equals_the_network_for_one_cluster(network, engine):
    assert_equal_scores(network, DecimaNet(network.state_dict()), engine, 1e-4)  # single precision, large weights


def test_takes_the_released_weights(engine):
    if not datasets.installed("decima-weights"):
        pytest.skip("data set decima-weights is not installed (python -m netenvs.datasets install decima-weights)")
    network = released_network()
    assert sum(parameter.numel() for parameter in network.parameters()) == 20_802
    assert_equal_scores(network, DecimaNet(network.state_dict()), engine, 1e-5)


def test_message_passing_equals_plain_sums(network, engine):
    graph = collate(packed(engine))
    plain = network.encoder(graph)
    network.encoder.node_encoder.sum_by_parent = SumOfMessages()
    for found, expected in zip(network.encoder(graph), plain, strict=True):
        assert found.detach().numpy() == pytest.approx(expected.detach().numpy(), abs=1e-5)
    messages, edges = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([[0, 2, 1], [0, 0, 1]])
    assert SumOfMessages()(messages, edges, 3).tolist() == [[5.0], [2.0], [0.0]]
    assert sum_by_parent(messages, edges, 3).tolist() == [[5.0], [2.0], [0.0]]


def test_message_passing_leaves_no_files(tmp_path):
    code = "from agents.cjs.decima_ppo import SumOfMessages; print(SumOfMessages().propagate.__module__)"
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "agents.cjs.decima_ppo_SumOfMessages_propagate"  # code made by torch-geometric
    assert not list(tmp_path.glob("*.py"))


@pytest.mark.parametrize("rows", [[3], [5, 0, 2], [4, 4]])
def test_scores_do_not_depend_on_what_is_played_together(rows, network, engine):
    network = network.double()
    everything = collate_double(packed(engine))
    some = collate_double(packed(engine), np.array(rows))
    expected, found = (network.stage_scores(graph, network.encoder(graph)).detach() for graph in (everything, some))
    for place, row in enumerate(rows):
        width = int((expected[row] > -torch.inf).sum())
        assert found[place, :width].numpy() == pytest.approx(expected[row, :width].numpy(), abs=1e-9)
        assert (found[place, width:] == -torch.inf).all()


def collate_double(decisions, chosen=None):
    graph = collate(decisions, chosen)
    return graph._replace(nodes=graph.nodes.double(), jobs=graph.jobs.double())


def test_joined_decisions_are_those_of_all_rows(engine):
    whole = packed(engine)
    joined = join([packed(engine, [0, 1]), packed(engine, [2]), packed(engine, [3, 4, 5])])
    for name, values in joined._asdict().items():
        np.testing.assert_array_equal(values, getattr(whole, name), err_msg=name)


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
        scores = network.stage_scores(graph, network.encoder(graph)).detach()
        for row in range(4):
            alone = make_graph(engine.view(row), stage_heights(jobs))
            expected = net.stage_scores(alone, net.embed(alone)).numpy()
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


@pytest.mark.parametrize("mode", ["greedy", "sampled"])
def test_plays_as_the_scheduler_for_one_cluster(mode, network):
    options = {"num_executors": 7, "num_jobs": 12, "mean_interarrival_ms": 5000.0}
    specs = [EpisodeSpec(seed) for seed in range(4)]
    expected = play(DecimaScheduler(DecimaNet(network.state_dict()), mode), ENV_ID, specs, options)
    for found, wanted in zip(play(Decima.of(network, mode), ENV_ID, specs, options), expected, strict=True):
        np.testing.assert_array_equal(found.actions, wanted.actions)
        np.testing.assert_array_equal(found.rewards, wanted.rewards)


def test_median():
    log_prob = torch.tensor([[0.4, 0.3, 0.3], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.1, 0.1, 0.8]]).double().log()
    assert median(log_prob).tolist() == [1, 0, 0, 2]


def test_decisions_are_possible_and_follow_the_generator(network, engine):
    decisions = packed(engine)
    graph = collate(decisions)
    with torch.inference_mode():
        first, second = (decide(network, graph, torch.Generator().manual_seed(3)) for _ in range(2))
        best = decide(network, graph, torch.Generator(), "greedy")
        middle = decide(network, graph, torch.Generator(), "median")
    for found, again in zip(first, second, strict=True):
        np.testing.assert_array_equal(found, again)
    assert torch.equal(best[0], middle[0])
    for stages, executors, log_prob in (first, best, middle):
        choice = graph.choice_offset[:-1] + stages
        assert (choice < graph.choice_offset[1:]).all()
        assert (executors < graph.limits[graph.node_job[graph.choices[choice]]]).all()
        assert (log_prob <= 1e-6).all()
    assert can_choose(engine.observation._asdict()).all()
