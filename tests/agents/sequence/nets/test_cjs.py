"""Encoders and heads of job scheduling: what they see, what may be chosen, and what the choice depends on."""

from functools import cache
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch
from toy_sequence import GRUBackbone

from agents.cjs.rules.smallest_job_first import remaining_work_ms
from agents.ragged import Ragged, concatenate, offsets_of, take
from agents.sequence.model import SequenceModel, Sequences
from agents.sequence.net import MASKED, TOKENISATIONS
from agents.sequence.nets.cjs import CJSNet, choices_of
from agents.sequence.policy import SequencePolicy
from netenvs.cjs.rules import FAIR

ROWS = 4


@cache
def played(executors=10, jobs=8, decisions=60, rows=ROWS):
    """(observations, infos, views, rewards so far) of each decision of clusters under ``fair``."""
    options = {"num_executors": executors, "num_jobs": jobs, "max_jobs": jobs, "mean_interarrival_ms": 5000.0}
    env = gym.make_vec("netenvs/CJS-v0", num_envs=rows, autoreset_mode="disabled", **options)
    clusters = env.unwrapped.shared_info["clusters"]
    observations, infos = env.reset(seed=3)
    found, rewards = [], np.zeros(rows)
    for _ in range(decisions):
        views = [clusters.view(row) for row in range(rows)]
        found.append((observations, {**infos, "row": np.arange(rows)}, views, rewards.copy()))
        observations, reward, over, _, infos = env.step(clusters.decide(FAIR))
        rewards += reward
        assert not over.any()
    return found


def some_steps(net, **options):
    """Steps of every tenth decision, joined, and their views."""
    chosen = played(**options)[5::10]
    steps = [net.observe(observations, infos) for observations, infos, _, _ in chosen]
    views = [view for _, _, views, _ in chosen for view in views]
    return {name: concatenate([part[name] for part in steps]) for name in steps[0]}, views


def a_net(d_model=16, seed=0, **options):
    torch.manual_seed(seed)
    net = CJSNet(d_model, width=8, hidden=16, **options)
    with torch.no_grad():
        net.decline.normal_()
    return net


def scores(net, steps, hidden=None, actions=None):
    """Logits of both components, with the same hidden state everywhere unless one is given."""
    number = len(steps["num_executors"])
    previous = np.full((number, 2), -1)
    with torch.no_grad():
        memory = net.embed(steps, previous, torch.zeros(number) if net.returns else None).memory
        if hidden is None:
            hidden = torch.linspace(-1, 1, net.d_model).expand(number, -1)
        actions = torch.zeros(number, 2, dtype=torch.int64) if actions is None else actions
        return net.logits(0, hidden, memory, actions), net.logits(1, hidden, memory, actions)


def first_choices(steps):
    """int64 (S, 2): the last choice of each step, one executor."""
    choices = choices_of(steps)
    return torch.from_numpy(np.stack([np.bincount(choices.step, minlength=len(choices.first)), 0 * choices.first], 1))


# --- what the network is told ---


def test_it_knows_the_remaining_work_of_jobs_from_the_critical_paths():
    net = a_net()
    steps, views = some_steps(net)
    graph = net.embed(steps, np.full((len(views), 2), -1), None).memory.graph
    expected = np.concatenate([remaining_work_ms(view) for view in views]) / 100_000
    assert np.exp(graph.jobs[:, 0].numpy()) - 1e-3 == pytest.approx(expected, rel=1e-3, abs=1e-4)
    own = [job.supply - (view.committable if job is view.source else 0) for view in views for job in view.jobs]
    assert graph.own.tolist() == pytest.approx(np.maximum(own, 0), abs=1e-5)
    assert graph.sizes.tolist() == [10] * len(views)
    assert steps["jobs_in_system"].tolist() == [len(view.jobs) for view in views]


def test_what_may_be_chosen_is_what_the_environment_allows():
    net = a_net()
    steps, views = some_steps(net)
    stages, executors = scores(net, steps, actions=first_choices(steps))
    assert torch.isfinite(stages).all() and torch.isfinite(executors).all()
    for row, view in enumerate(views):
        possible = (stages[row] > MASKED / 2).tolist()
        count = len(view.schedulable)
        assert possible == [view.can_decline] + [True] * count + [False] * (stages.shape[1] - 1 - count)
        stage = view.schedulable[-1]
        limit = view.committable
        if stage.job is not view.source:
            limit = min(limit, view.num_executors - stage.job.supply)
        most = max(1, min(limit, stage.demand))
        assert (executors[row] > MASKED / 2).sum() == most
        env_action = net.to_env(np.array([[c, 0] for c in range(1, count + 1)]), take_row(steps, row, count))
        assert env_action[:, 0].tolist() == [stage.row for stage in view.schedulable]
    assert all(view.can_decline for view in views)


def test_the_only_job_cannot_be_declined():
    net = a_net()
    observations, infos, views, _ = played(jobs=1, decisions=1)[0]
    assert not any(view.can_decline for view in views)
    stages, _ = scores(net, net.observe(observations, infos))
    assert (stages[:, 0] == MASKED).all() and (stages[:, 1] > MASKED / 2).all()


def take_row(steps, row, times):
    return {name: take(column, np.full(times, row)) for name, column in steps.items()}


def test_actions_of_the_environment_become_components_and_back():
    net = a_net()
    steps, views = some_steps(net)
    rng = np.random.default_rng(0)
    choices = choices_of(steps)
    number = np.bincount(choices.step, minlength=len(views))
    chosen = np.zeros((len(views), 2), dtype=np.int64)
    chosen[:, 0] = rng.integers(0, number + 1)
    some = np.flatnonzero(chosen[:, 0])
    chosen[some, 1] = rng.integers(0, choices.most[choices.first[some] + chosen[some, 0] - 1])
    assert 0 < len(some) < len(chosen)
    actions = net.to_env(chosen, steps)
    assert np.array_equal(net.from_env(actions, steps), chosen)
    assert not actions[chosen[:, 0] == 0].any()
    actions[some, 1] = 9  # all executors: cut to what the stage can use
    cut = net.from_env(actions, steps)
    assert np.array_equal(cut[some, 1], np.minimum(choices.most[choices.first[some] + chosen[some, 0] - 1] - 1, 9))
    assert (cut[some, 1] < 9).any()


# --- what scores depend on ---


def shuffled(steps, rng):
    """One step with its stages and its jobs in another order, and the new places of its stages."""
    stages, jobs = steps["obs/stages"].flat, steps["obs/jobs"].flat
    order, job_order = rng.permutation(len(stages)), rng.permutation(len(jobs))
    place, job_place = np.argsort(order), np.argsort(job_order)
    mask = steps["action_mask"].flat
    changed = {
        "obs/stages": stages[order],
        "obs/stage_job": job_place[steps["obs/stage_job"].flat][order],
        "obs/edges": place[steps["obs/edges"].flat],
        "obs/jobs": jobs[job_order],
        "action_mask": np.concatenate([mask[:1], mask[1:][order]]),
    }
    ragged = {name: Ragged(values, offsets_of(np.array([len(values)]))) for name, values in changed.items()}
    return {**steps, **ragged}, place


@pytest.mark.parametrize("tokenisation", TOKENISATIONS)
def test_the_order_of_stages_and_jobs_does_not_matter(tokenisation):
    net = a_net(tokenisation=tokenisation)
    steps, views = some_steps(net, jobs=12)
    row = max(range(len(views)), key=lambda row: len(views[row].schedulable))
    one = take_row(steps, row, 1)
    other, place = shuffled(one, np.random.default_rng(1))
    assert len(views[row].jobs) > 2 and len(views[row].schedulable) > 2
    first, second = choices_of(one), choices_of(other)
    here = {int(stage): int(index) for stage, index in zip(second.stage, second.number, strict=True)}
    moved = [here[int(place[stage])] for stage in first.stage]
    assert moved != sorted(moved), "the choices are in another order"
    before, after = scores(net, one)[0], scores(net, other)[0]
    assert after[0, [0, *moved]].numpy() == pytest.approx(before[0].numpy(), rel=1e-4, abs=1e-5)
    assert len(set(before[0].tolist())) == before.shape[1]
    for choice, at in zip(first.number, moved, strict=True):
        counts = [
            scores(net, part, actions=torch.tensor([[number, 0]]))[1][0]
            for part, number in ((one, int(choice)), (other, at))
        ]
        assert counts[1].numpy() == pytest.approx(counts[0].numpy(), rel=1e-4, abs=1e-5)


def test_the_backbone_changes_which_stage_is_best():
    net = a_net()
    steps, _ = some_steps(net)
    actions = first_choices(steps)
    generator = torch.Generator().manual_seed(0)
    found = [scores(net, steps, 3 * torch.randn(len(actions), 16, generator=generator), actions) for _ in range(2)]
    for component in range(2):
        difference = found[1][component] - found[0][component]
        valid = found[0][component] > MASKED / 2
        spread = [float(row[mask].std()) for row, mask in zip(difference, valid, strict=True) if mask.sum() > 1]
        assert min(spread) > 1e-4, "not the same shift for all choices"


@pytest.mark.parametrize("what", ["obs/stages", "obs/edges", "obs/jobs", "obs/cluster", "num_executors"])
def test_scores_depend_on_all_that_is_observed(what):
    net = a_net()
    steps, views = some_steps(net)
    row = max(range(len(views)), key=lambda row: len(views[row].schedulable))
    one = take_row(steps, row, 1)
    column = one[what]
    if what == "obs/edges":
        changed = Ragged(column.values[:0], np.zeros(2, np.int64))
    elif what == "num_executors":
        changed = column * 2
    elif isinstance(column, Ragged):
        values = column.values.copy()
        unscheduled = np.flatnonzero(values[:, 6] == 0) if what == "obs/stages" else [0]
        values[unscheduled[0], 0] += 0.3
        changed = Ragged(values, column.offsets)
    else:
        changed = column + 0.3
    before, after = scores(net, one)[0], scores(net, {**one, what: changed})[0]
    assert not torch.allclose(before, after, atol=1e-6)


@pytest.mark.parametrize("tokenisation", TOKENISATIONS)
def test_the_action_before_and_the_return_are_told(tokenisation):
    net = a_net(tokenisation=tokenisation, returns=True)
    steps, views = some_steps(net)
    number = len(views)

    def tokens(stage, executors, to_go):
        previous = np.tile([stage, executors], (number, 1))
        return net.embed(steps, previous, torch.full((number,), to_go)).embeddings

    plain = tokens(3, 2, 0.0)
    for other in (tokens(3, 5, 0.0), tokens(0, 2, 0.0), tokens(-1, -1, 0.0), tokens(3, 2, 1.0)):
        assert not torch.allclose(plain, other)
    assert torch.isfinite(plain).all()


def test_tokens_are_those_of_the_layout():
    steps, views = some_steps(a_net())
    previous = np.full((len(views), 2), -1)
    fused = a_net().embed(steps, previous, None)
    assert fused.counts.tolist() == [1] * len(views) and len(fused.embeddings) == len(views)
    for returns in (False, True):
        net = a_net(tokenisation="netllm", returns=returns)
        found = net.embed(steps, previous, torch.zeros(len(views)) if returns else None)
        expected = [1 + returns + len(view.schedulable) for view in views]
        assert found.counts.tolist() == expected and len(found.embeddings) == sum(expected)
    assert a_net().follow(0, fused.memory, first_choices(steps)) is None


def test_the_chosen_stage_is_a_token_before_its_executors():
    net = a_net(tokenisation="netllm")
    steps, views = some_steps(net)
    memory = net.embed(steps, np.full((len(views), 2), -1), None).memory
    last = net.follow(0, memory, first_choices(steps))
    nothing = torch.zeros(len(views), 2, dtype=torch.int64)
    declined = net.follow(0, memory, nothing)
    assert last.counts.tolist() == declined.counts.tolist() == [1] * len(views)
    assert torch.allclose(declined.embeddings, net.embed_chosen.bias.expand(len(views), -1))
    choices = choices_of(steps)
    stages = choices.stage[choices.first + first_choices(steps)[:, 0].numpy() - 1]
    assert torch.allclose(last.embeddings, net.embed_chosen(memory.contexts[stages]))


# --- as a model and a policy ---


@pytest.mark.parametrize("tokenisation", TOKENISATIONS)
def test_play_equals_the_parallel_forward_and_one_episode_at_a_time(tokenisation):
    net = a_net(tokenisation=tokenisation, returns=True)
    model = SequenceModel(net, GRUBackbone(), context=7)
    together = SequencePolicy(model, target=0.5, scale=(0.0, 100.0))
    decisions = played(decisions=20)
    actions, steps, returns = [], [], []
    together.reset_rows(np.arange(ROWS), [0] * ROWS)
    for observations, infos, _, rewards in decisions:
        actions.append(together.act_batch(observations, infos))
        steps.append(net.observe(observations, infos))
        returns.append(0.5 - rewards / 100)
    for row in range(ROWS):
        alone = SequencePolicy(model, target=0.5, scale=(0.0, 100.0))
        alone.reset_rows(np.array([row]), [0])
        for number, (observations, infos, _, _) in enumerate(decisions):
            one = {name: part[row : row + 1] for name, part in observations.items()}
            info = {name: np.asarray(infos[name])[row : row + 1] for name in ("mean_jct_s", "jobs_done")}
            assert np.array_equal(alone.act_batch(one, {**info, "row": np.array([row])})[0], actions[number][row])
    order = np.arange(20 * ROWS).reshape(20, ROWS).T.reshape(-1)  # episode by episode
    columns = {name: take(concatenate([part[name] for part in steps]), order) for name in steps[0]}
    done = np.stack(actions)
    previous = np.concatenate([np.full((1, ROWS, 2), -1), done[:-1]]).reshape(-1, 2)[order]
    sequences = Sequences(
        columns,
        np.full(ROWS, 20),
        previous,
        np.tile(np.arange(20), ROWS),
        np.stack(returns).reshape(-1)[order].astype(np.float32),
    )
    chosen = net.from_env(done.reshape(-1, 2)[order], columns)
    with torch.no_grad():
        stages, executors = model(sequences.windows(7), chosen)
    assert np.array_equal(stages.argmax(dim=1).numpy(), chosen[:, 0])
    assert np.array_equal(executors.argmax(dim=1).numpy(), chosen[:, 1])
    assert len(np.unique(chosen[:, 0])) > 1


def test_what_was_collected_is_the_sum_of_rewards():
    net = a_net(returns=True)
    for observations, infos, _, rewards in played():
        assert net.collected(observations, infos, np.zeros(ROWS)) == pytest.approx(rewards, rel=1e-4, abs=1e-2)
    assert (rewards < -100).all() and (infos["jobs_done"] > 0).any()


def test_half_precision_is_for_the_backbone():
    net = a_net()
    steps, _ = some_steps(net)
    plain = scores(net, steps, actions=first_choices(steps))
    with torch.autocast("cpu", torch.bfloat16):
        half = scores(net, steps, actions=first_choices(steps))
    for one, other in zip(plain, half, strict=True):
        assert other.dtype == torch.float32 and torch.equal(one, other)


def test_a_step_without_anything_to_choose_declines():
    net = a_net(tokenisation="netllm")
    steps, _ = some_steps(net)
    one = take_row(steps, 0, 1)
    stages, mask = one["obs/stages"], one["action_mask"]
    hidden = stages.values.copy()
    hidden[:, 6] = 0
    blank = np.zeros_like(mask.values)
    blank[0] = True
    none = {**one, "obs/stages": Ragged(hidden, stages.offsets), "action_mask": Ragged(blank, mask.offsets)}
    first, second = scores(net, none)
    assert first.shape == (1, 1) and second.shape == (1, 1)
    assert net.to_env(np.zeros((1, 2), dtype=np.int64), none).tolist() == [[0, 0]]


def test_clusters_of_different_sizes_stand_side_by_side():
    net = a_net()
    few, many = some_steps(net)[0], some_steps(net, executors=30)[0]
    both = {name: concatenate([few[name], many[name]]) for name in few}
    apart = [scores(net, part, actions=first_choices(part)) for part in (few, many)]
    for component, joint in enumerate(scores(net, both, actions=first_choices(both))):
        parts = torch.full_like(joint, MASKED)
        first, second = (part[component] for part in apart)
        parts[: len(first), : first.shape[1]] = first
        parts[len(first) :, : second.shape[1]] = second
        assert joint.numpy() == pytest.approx(parts.numpy(), rel=1e-4, abs=1e-5)


def test_the_pool_on_offer_is_seen_as_schedulers_see_it():
    net = a_net()
    differs = False
    for observations, infos, views, _ in played()[::7]:
        expected = [view.source_executors for view in views]
        clusters = SimpleNamespace(outcomes=np.zeros(9, [("source_executors", np.int64)]))
        clusters.outcomes["source_executors"][[8, 2, 5, 3]] = expected
        told = {**infos, "clusters": clusters, "row": np.array([8, 2, 5, 3])}
        assert net.observe(observations, told)["source_executors"].tolist() == expected
        one = {name: part[:1] for name, part in observations.items()}
        assert net.observe(one, {"view": views[0]})["source_executors"].tolist() == expected[:1]
        on_offer = [view.committable for view in views]
        assert net.observe(observations, {"clusters": clusters})["source_executors"].tolist() == on_offer
        differs |= on_offer != expected
    assert differs
