"""Decima: the published decisions, the network against a literal transcription of its rules, odd graphs, damage."""

import gzip
import json
import random
from types import SimpleNamespace

import gymnasium as gym
import networkx as nx
import numpy as np
import pytest
import torch

from agents.cjs.decima.decisions import of_view, stage_heights
from agents.cjs.decima.graph import collate
from agents.cjs.decima.network import NETWORKS
from agents.cjs.decima.released import DecimaReleased
from agents.cjs.decima_released import SHAPES, DecimaNet, DecimaScheduler  # the path that docs have
from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play
from agents.testing import check_policy
from netenvs import datasets
from netenvs.cjs import kernel
from netenvs.cjs.cluster_view import ClusterView

ENV_ID = "netenvs/CJS-v0"
PUBLISHED = {"workload": "tpch", "num_executors": 10, "num_jobs": 10, "rng": "netllm"}
SMALL = {"workload": "synthetic", "num_executors": 7, "num_jobs": 12, "mean_interarrival_ms": 5000.0}

# Published rules, seeds 0-4: mean JCT in s. Sampled, per seed and mean, as printed; greedy, mean.
SAMPLED_JCT_S = {
    (10, 20): ((314.9, 265.3, 277.6, 184.3, 441.5), 296.7),
    (10, 50): ((496.0, 558.1, 438.2, 824.3, 923.1), 647.9),
    (50, 20): ((63.0, 43.4, 42.7, 28.5, 80.3), 51.6),
}
GREEDY_JCT_S = {(10, 20): 294.1, (50, 20): 55.8}

# Graphs by (number of tasks, duration in ms, parents) of each stage.
SINGLE = [(3, 900, [])]
NO_EDGES = [(2, 400, []), (5, 700, []), (1, 3000, [])]
CHAIN = [(4, 500, []), (2, 800, [0]), (6, 300, [1]), (1, 1000, [2])]
DIAMOND = [(3, 600, []), (2, 500, [0]), (4, 700, [0]), (2, 900, [1, 2]), (1, 400, [0, 3])]
TWO_PARTS = [(2, 500, []), (3, 400, [0]), (2, 1500, []), (4, 200, []), (1, 600, [2, 3])]


@pytest.fixture
def released(netllm_tpch) -> None:
    """The test needs the released weights and the jobs of the published experiments."""
    if not datasets.installed("decima-weights"):
        pytest.skip("data set decima-weights is not installed (python -m netenvs.datasets install decima-weights)")


@pytest.fixture
def weights():
    """Random weights in the sizes of the released ones."""
    rng = np.random.default_rng(0)
    return {name: rng.normal(0.0, 0.5, shape).astype(np.float32) for name, shape in SHAPES.items()}


@pytest.fixture
def workload_file(tmp_path):
    """Write jobs as a JSON workload; returns the path."""

    def write(jobs):
        stages = [
            [{"num_tasks": tasks, "durations_ms": ms, "parents": parents} for tasks, ms, parents in job] for job in jobs
        ]
        path = tmp_path / "jobs.json"
        path.write_text(json.dumps({"jobs": [{"stages": job} for job in stages]}))
        return str(path)

    return write


class Recorded(DecimaReleased):
    """Keeps its decisions: time in s, (job, stage), executors."""

    def reset(self, seed=None):
        super().reset(seed)
        self.decisions = []

    def decide(self, view):
        decision = super().decide(view)
        self.decisions.append((view.now_s, (decision.stage.job.id, decision.stage.id), decision.executors))
        return decision


@pytest.mark.parametrize("mode", ["greedy", "sampled"])
def test_published_decisions(mode, released, artifacts):
    with gzip.open(artifacts / "cjs" / f"golden_n10_j10_decima-{mode}_seed0.json.gz", "rt") as file:
        log = json.load(file)
    policy = Recorded(mode)
    assert policy.parameters == 20_802
    [episode] = play(policy, ENV_ID, [EpisodeSpec(seed=0)], PUBLISHED)
    logged = [(entry["t"] / 1000.0, tuple(entry["stage"]), entry["num_exec"]) for entry in log["decisions"]]
    assert policy.decisions == logged
    assert len(logged) == log["result"]["decisions"] == {"greedy": 169, "sampled": 190}[mode]
    assert episode.rewards * 1000 == pytest.approx([entry["reward"] for entry in log["decisions"]], rel=1e-9)
    assert episode.columns["mean_jct_s"][-1] * 1000 == pytest.approx(log["result"]["avg_jct_ms"], rel=1e-12)


def cells(table):
    """The (executors, jobs) of a table; all but the quickest are slow."""
    return [cell if cell == (10, 20) else pytest.param(*cell, marks=pytest.mark.slow) for cell in table]


def mean_jct_s(mode, executors, jobs):
    """Per seed, 0-4."""
    options = {**PUBLISHED, "num_executors": executors, "num_jobs": jobs}
    episodes = play(DecimaReleased(mode), ENV_ID, [EpisodeSpec(seed) for seed in range(5)], options)
    return [float(episode.columns["mean_jct_s"][-1]) for episode in episodes]


@pytest.mark.parametrize(("executors", "jobs"), cells(SAMPLED_JCT_S))
def test_published_means_sampled(executors, jobs, released):
    per_seed, mean = SAMPLED_JCT_S[executors, jobs]
    jct_s = mean_jct_s("sampled", executors, jobs)
    assert [round(jct, 1) for jct in jct_s] == list(per_seed)
    assert round(np.mean(jct_s), 1) == mean


@pytest.mark.parametrize(("executors", "jobs"), cells(GREEDY_JCT_S))
def test_published_means_greedy(executors, jobs, released):
    assert round(np.mean(mean_jct_s("greedy", executors, jobs)), 1) == GREEDY_JCT_S[executors, jobs]


# ---------------------------------------------------------------------------- the rules, literally


def mlp(weights, network, x, activation):
    for layer in (0, 2, 4):
        x = x @ weights[f"{network}.{layer}.weight"].T.astype(np.float64) + weights[f"{network}.{layer}.bias"]
        x = x if layer == 4 else activation(x)
    return x


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


class Literal:
    """The published network, one stage and one edge mask at a time; ``view`` is only read through its objects."""

    def __init__(self, weights, view):
        self.weights, self.view = weights, view
        total = view.num_executors
        self.limits = [
            view.committable if job is view.source else min(max(total - job.supply, 0), view.committable)
            for job in view.jobs
        ]
        self.active = [s for job in view.jobs for s in job.stages if s.remaining + s.running > 0]
        self.x = np.array([self.features(stage) for stage in self.active])
        self.h = self.embed_stages()
        rows = np.concatenate([self.x, self.h], axis=1)
        summands = mlp(weights, "encoder.dag_encoder.mlp", rows, leaky)
        own = [[i for i, stage in enumerate(self.active) if stage.job is job] for job in view.jobs]
        self.jobs = np.array([summands[rows].sum(axis=0) for rows in own])
        self.first = [rows[0] for rows in own]
        self.cluster = mlp(weights, "encoder.global_encoder.mlp", self.jobs, leaky).sum(axis=0)

    def features(self, stage):
        view, job = self.view, stage.job
        return (
            self.limits[view.jobs.index(job)] / view.num_executors,
            1.0 if job is view.source else -1.0,
            job.supply / view.num_executors,
            stage.remaining / 200,
            stage.remaining * stage.recent_ms / 1e5,
        )

    def embed_stages(self):
        graph = nx.DiGraph()
        graph.add_nodes_from(range(len(self.active)))
        for i, stage in enumerate(self.active):
            graph.add_edges_from((i, self.active.index(child)) for child in stage.children)
        self.depth = nx.dag_longest_path_length(graph)
        prepared = mlp(self.weights, "encoder.node_encoder.mlp_prep", self.x, leaky)
        if not graph.edges:
            return prepared
        h = np.zeros_like(prepared)
        ends = [i for i in graph if not graph.out_degree(i)]
        h[ends] = mlp(self.weights, "encoder.node_encoder.mlp_update", prepared[ends], leaky)
        for generation in reversed(list(nx.topological_generations(graph))[:-1]):
            for parent in generation:
                children = list(graph.successors(parent))
                if children:
                    heard = mlp(self.weights, "encoder.node_encoder.mlp_msg", h[children], leaky).sum(axis=0)
                    update = mlp(self.weights, "encoder.node_encoder.mlp_update", heard, leaky)
                    h[parent] = prepared[parent] + update
        return h

    def stage_scores(self):
        rows = [self.active.index(stage) for stage in self.view.schedulable]
        jobs = [self.view.jobs.index(stage.job) for stage in self.view.schedulable]
        inputs = [[*self.x[i], *self.h[i], *self.jobs[j], *self.cluster] for i, j in zip(rows, jobs, strict=True)]
        return mlp(self.weights, "stage_policy_network.mlp_score", np.array(inputs), np.tanh)[:, 0]

    def executor_scores(self, stage):
        j = self.view.jobs.index(stage.job)
        context = [*self.x[self.first[j]][:3], *self.jobs[j], *self.cluster]
        inputs = [[*context, k / self.view.num_executors] for k in range(self.limits[j])]
        return mlp(self.weights, "exec_policy_network.mlp_score", np.array(inputs), np.tanh)[:, 0]


class Compared(DecimaScheduler):
    """Decides at random, so that an episode shows many states, and compares each decision's scores."""

    def __init__(self, weights):
        super().__init__(DecimaNet(weights), "sampled")
        self.weights = weights
        self.depths, self.sources, self.most_jobs = set(), set(), 0

    def decide(self, view):
        self.literal, self.scores = Literal(self.weights, view), []
        decision = super().decide(view)
        stage_scores, executor_scores = self.scores
        np.testing.assert_allclose(stage_scores, self.literal.stage_scores(), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(executor_scores, self.literal.executor_scores(decision.stage), rtol=1e-9, atol=1e-9)
        self.depths.add(self.literal.depth)
        self.sources.add(view.source is not None)
        self.most_jobs = max(self.most_jobs, len(view.jobs))
        return decision

    def _choose(self, logits):
        self.scores.append(logits.numpy())
        return super()._choose(logits)


def test_scores_follow_the_rules(weights):
    policy = Compared(weights)
    [episode] = play(policy, ENV_ID, [EpisodeSpec(seed=1)], SMALL)
    assert len(episode.rewards) > 50
    assert policy.sources == {True, False} and policy.most_jobs > 4 and max(policy.depths) > 4


@pytest.mark.parametrize(
    ("jobs", "depths"),
    [
        ([SINGLE], {0}),
        ([NO_EDGES], {0}),
        ([CHAIN], {0, 1, 2, 3}),
        ([DIAMOND], {0, 1, 2, 3}),
        ([TWO_PARTS], {0, 1}),
        ([SINGLE, NO_EDGES, TWO_PARTS, CHAIN], {0, 1, 2, 3}),
    ],
)
@pytest.mark.parametrize("engine", ["simpy", "fast"])
def test_odd_graphs(engine, jobs, depths, weights, workload_file):
    options = {"num_executors": 2, "num_jobs": 8, "mean_interarrival_ms": 700.0, "engine": engine}
    policy = Compared(weights)
    [episode] = play(policy, ENV_ID, [EpisodeSpec(seed=3)], {"workload": workload_file(jobs), **options})
    assert episode.columns["jobs_done"][-1] == 8
    assert policy.depths <= depths and max(policy.depths) == max(depths)


def test_one_policy_for_several_workloads(weights, workload_file):
    policy = Compared(weights)
    for jobs in ([CHAIN], [TWO_PARTS], [NO_EDGES]):
        play(
            policy, ENV_ID, [EpisodeSpec(seed=0)], {"workload": workload_file(jobs), "num_executors": 3, "num_jobs": 2}
        )


def test_one_cluster_one_stage_one_executor(weights, workload_file):
    options = {"workload": workload_file([SINGLE]), "num_executors": 1, "num_jobs": 1}
    [episode] = play(DecimaScheduler(DecimaNet(weights)), ENV_ID, [EpisodeSpec(seed=0)], options)
    assert episode.actions.tolist() == [[1, 0]]


# ---------------------------------------------------------------------------- how it chooses


@pytest.fixture
def view(workload_file):
    """Five stages are schedulable, three executors on offer."""
    env = gym.make(ENV_ID, workload=workload_file([NO_EDGES + NO_EDGES[:2]]), num_executors=3, num_jobs=1)
    _, info = env.reset(seed=0)
    assert len(info["view"].schedulable) == 5
    yield info["view"]
    env.close()


def altered(view, supply, rows):
    """The view with this supply of all jobs and these rows of stages."""
    jobs, stages = view.job_array.copy(), view.stage_array.copy()
    jobs["supply"], stages["row"] = supply, rows
    outcome = np.zeros((), kernel.OUTCOME)
    outcome["committable"], outcome["source_job"], outcome["source_stage"] = view.committable, -1, -1
    return ClusterView(view.job_set, view.num_executors, outcome, jobs, stages)


def test_stages_without_a_row_are_seen_but_not_chosen(view, weights):
    view = altered(view, 0, [0, 1, 0, 2, 3])
    policy = Compared(weights)
    assert {policy.decide(view).stage.id for _ in range(40)} == {1, 3, 4}


def test_more_supply_than_executors_leaves_no_room(view, weights):
    decisions = of_view(altered(view, 5, range(1, 6)), stage_heights(view.job_set))
    assert decisions.limits.tolist() == [0]
    assert decisions.jobs.tolist() == [[0.0, -1.0, 5 / 3]]


class CountedRandom(random.Random):
    drawn = 0

    def random(self):
        self.drawn += 1
        return super().random()


def test_a_sampled_decision_takes_two_numbers_of_the_shared_stream(view, weights):
    policy = DecimaScheduler(DecimaNet(weights), "sampled")
    shared = CountedRandom(5)
    policy.bind(SimpleNamespace(unwrapped=SimpleNamespace(shared_random=shared)))
    policy.reset(0)
    literal, replay = Literal(weights, view), random.Random(5)
    for number in range(1, 30):
        decision = policy.decide(view)
        assert shared.drawn == 2 * number
        [stage] = replay.choices(view.schedulable, np.exp(literal.stage_scores()))
        scores = literal.executor_scores(stage)
        assert decision == (stage, replay.choices(range(1, len(scores) + 1), np.exp(scores))[0])


def test_without_a_shared_stream_the_seed_of_the_policy_decides(view, weights):
    policy = DecimaScheduler(DecimaNet(weights), "sampled")
    shared = CountedRandom(5)
    policy.bind(SimpleNamespace(unwrapped=SimpleNamespace(shared_random=shared)))
    policy.bind(SimpleNamespace(unwrapped=SimpleNamespace()))
    runs = []
    for seed in (1, 2, 1):
        policy.reset(seed)
        runs.append([policy.decide(view) for _ in range(30)])
    assert runs[0] == runs[2] != runs[1]
    assert shared.drawn == 0


def test_sampled_under_native_random_numbers(weights):
    """Same seeds, same episode; another seed of the policy meets the same jobs and decides otherwise."""
    policy = DecimaScheduler(DecimaNet(weights), "sampled")
    specs = [EpisodeSpec(0, policy_seed=1), EpisodeSpec(0, policy_seed=2), EpisodeSpec(0, policy_seed=1)]
    first, second, third = play(policy, ENV_ID, specs, SMALL)
    assert np.array_equal(first.actions, third.actions) and np.array_equal(first.rewards, third.rewards)
    assert not np.array_equal(first.actions[:20], second.actions[:20])


def test_contract(weights):
    check_policy(DecimaScheduler(DecimaNet(weights), "sampled"), "cjs", episodes=2, env_options=SMALL)


def test_greedy_takes_the_best(view, weights):
    decision = DecimaScheduler(DecimaNet(weights)).decide(view)
    literal = Literal(weights, view)
    best = int(literal.stage_scores().argmax())
    assert decision.stage == view.schedulable[best]
    assert decision.executors == 1 + int(literal.executor_scores(decision.stage).argmax())


def test_a_tie_goes_to_the_first(view, weights):
    """Scores that differ by less than the order of additions does are equal."""
    for network in ("stage_policy_network.mlp_score", "exec_policy_network.mlp_score"):
        weights[f"{network}.4.weight"] *= -1e-13
    assert Literal(weights, view).stage_scores().argmax() != 0
    assert DecimaScheduler(DecimaNet(weights)).decide(view) == (view.schedulable[0], 1)


def test_the_number_of_threads_is_left_as_it_was(view, weights):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        DecimaScheduler(DecimaNet(weights)).decide(view)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# ---------------------------------------------------------------------------- weights and options


def test_sizes(weights):
    assert len(SHAPES) == 42 and len(NETWORKS) == 7
    policy = DecimaScheduler(DecimaNet(weights))
    assert (policy.parameters, policy.bytes) == (20_802, 83_208)


def test_tensors_will_do_and_get_gradients(view, weights):
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in weights.items()}
    net = DecimaNet(tensors)
    assert DecimaScheduler(net).decide(view) == DecimaScheduler(DecimaNet(weights)).decide(view)
    graph = collate(of_view(view, stage_heights(view.job_set)))
    embedding = net.embed(graph)
    loss = net.stage_scores(graph, embedding).logsumexp(1).sum()
    (loss + net.executor_scores(graph, embedding, torch.tensor([0])).sum()).backward()
    head = net.get_parameter("exec_policy_network.mlp_score.4.bias").grad
    assert head is not None and head.item() == graph.limits[0]


def test_single_precision_weights_decide_in_double_precision(view, weights):
    """A network in training is left as it is."""
    net = DecimaNet(weights).float()
    assert DecimaScheduler(net).decide(view) == DecimaScheduler(DecimaNet(weights)).decide(view)
    assert all(parameter.dtype == torch.float32 and parameter.requires_grad for parameter in net.parameters())


def test_given_weights_draw_no_random_numbers(weights):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    net = DecimaNet(weights)
    assert torch.equal(torch.get_rng_state(), before)
    for name, array in net.state_dict().items():
        assert array.dtype == torch.float64 and np.array_equal(array, weights[name])


def damage_missing(weights):
    del weights["exec_policy_network.mlp_score.4.bias"]
    return "'exec_policy_network.mlp_score.4.bias' is missing"


def damage_shape(weights):
    weights["encoder.dag_encoder.mlp.0.weight"] = np.zeros((32, 20), dtype=np.float32)
    return r"'encoder.dag_encoder.mlp.0.weight' has the shape \(32, 20\), it must be \(32, 21\)"


def damage_unknown(weights):
    weights["extra"] = np.zeros(1)
    return "unknown array 'extra'"


def damage_nan(weights):
    weights["encoder.global_encoder.mlp.2.bias"][3] = np.nan
    return "'encoder.global_encoder.mlp.2.bias' has values that are not finite"


DAMAGES = [damage_missing, damage_shape, damage_unknown, damage_nan]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights(damage, weights):
    message = damage(weights)
    with pytest.raises(ValueError, match=message) as raised:
        DecimaNet(weights)
    assert "\n" not in str(raised.value)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty store, and a function that installs ``weights`` (a dict, or bytes) unchecked."""
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    entry = datasets.catalogue()["decima-weights"]

    def install(content):
        folder = tmp_path / entry.name
        folder.mkdir()
        if isinstance(content, bytes):
            (folder / "decima_weights.npz").write_bytes(content)
        else:
            np.savez(folder / "decima_weights.npz", **content)
        (folder / "dataset.json").write_text(json.dumps({"name": entry.name, "format": entry.format, "files": {}}))

    return install


@pytest.mark.parametrize("mode", ["greedy", "sampled"])
def test_weights_come_from_the_store(mode, store, view, weights):
    store(weights)
    policy, own = load_policy(f"decima-released(mode={mode})", "cjs"), DecimaScheduler(DecimaNet(weights), mode)
    for scheduler in (policy, own):
        scheduler.reset(7)
    assert policy.mode == mode
    assert [policy.decide(view) for _ in range(9)] == [own.decide(view) for _ in range(9)]


def test_data_set_that_is_not_installed(store):
    with pytest.raises(datasets.DatasetError, match="data set 'decima-weights' is not installed; run: python -m"):
        DecimaReleased()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut"])
def test_data_set_that_is_cut(content, store):
    store(content)
    with pytest.raises(datasets.DatasetError, match=r"data set 'decima-weights' in .* is damaged .*install") as raised:
        DecimaReleased()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("damage", DAMAGES)
def test_data_set_that_is_altered(damage, store, weights):
    message = damage(weights)
    store(weights)
    with pytest.raises(datasets.DatasetError, match=message) as raised:
        DecimaReleased()
    assert "is damaged" in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("mode", ["gredy", 3])
def test_unknown_mode(mode, weights, store):
    with pytest.raises(ValueError, match=r"unknown mode '(gredy|3)'.*known: greedy, sampled"):
        DecimaScheduler(DecimaNet(weights), mode)
    store(weights)
    with pytest.raises(PolicyError, match="mode"):
        load_policy(f"decima-released(mode={mode})", "cjs")
