"""Training of Decima: a tiny one that improves, one that is killed, its curriculum."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from agents.cjs.clusters import Setting
from agents.cjs.decima import training
from agents.cjs.decima.network import MODES, DecimaNet
from agents.cjs.decima.plan import Plan
from agents.cjs.decima.training import train
from agents.training import Run

TINY = Plan(
    seed=0,
    workload="synthetic",
    initial="scratch",
    settings=(Setting(3, 3),),
    iterations=4,
    imitate=1,
    sharpen=2.0,
    first_jobs=0.5,
    sequences=2,
    rollouts=2,
    beta=5e-3,
    by_state=True,
    ahead=50.0,
    learning_rate=1e-3,
    imitation_rate=1e-3,
    entropy=0.01,
    epochs=2,
    minibatch=64,
    clip=0.2,
    target_kl=0.05,
    validation=2,
    validate_every=2,
)


@pytest.fixture
def mixed_jobs(tmp_path):
    """Tiny jobs and huge ones: the order of the jobs is all that counts."""
    sizes = [(2, 500), (2, 500), (2, 500), (40, 5000)]
    jobs = [{"stages": [{"num_tasks": tasks, "durations_ms": ms, "parents": []}]} for tasks, ms in sizes]
    path = tmp_path / "mixed.json"
    path.write_text(json.dumps({"jobs": jobs}))
    return str(path)


def test_sharper_after_the_imitation(tmp_path):
    """Its learning rate so low that nothing else changes, PPO begins with twice the logits."""
    plan = replace(TINY, imitation_rate=1e-3, learning_rate=1e-12, iterations=2, validate_every=1)
    networks = []
    for last in (1, 2):
        with Run(tmp_path / str(last), {}, 2, "iterations") as run:
            train(replace(plan, iterations=last), run)
            networks.append(run.resume()["network"])
    for name, weights in networks[0].items():
        factor = 2.0 if "mlp_score.4" in name else 1.0
        assert networks[1][name].numpy() == pytest.approx(factor * weights.numpy(), abs=1e-6), name


def test_tiny_training_improves(mixed_jobs, tmp_path):
    """PPO alone, from random weights: at first half of fair's speed is lost, in the end it is better than fair."""
    plan = replace(
        TINY,
        workload=mixed_jobs,
        settings=(Setting(2, 8),),
        iterations=12,
        imitate=0,
        sequences=4,
        rollouts=8,
        learning_rate=3e-3,
        minibatch=256,
        validation=8,
        validate_every=12,
    )
    with Run(tmp_path / "run", {}, plan.iterations, "iterations") as run:
        _, found = train(plan, run)
    before, after = (min(point[mode] for mode in MODES) for point in (run.curve[0], run.curve[-1]))
    assert after < before - 0.1
    assert found["valid"] == min(before, after)
    assert run.curve[-1]["entropy"] < run.curve[-1]["decisions"]


class Killed(Exception):
    """Stands for a signal."""


def test_killed_training_goes_on_as_if_nothing_had_happened(tmp_path, monkeypatch):
    with Run(tmp_path / "whole", {}, TINY.iterations, "iterations") as run:
        network, found = train(TINY, run)
    iterate = training._iterate
    for last in (0, 1, 3):

        def stop(network, optimiser, plan, iteration, last=last):
            if iteration > last:
                raise Killed
            return iterate(network, optimiser, plan, iteration)

        monkeypatch.setattr(training, "_iterate", stop)
        if last < 3:
            with pytest.raises(Killed), Run(tmp_path / "parts", {}, TINY.iterations, "iterations") as part:
                train(TINY, part)
        else:
            with Run(tmp_path / "parts", {}, TINY.iterations, "iterations") as part:
                again, found_again = train(TINY, part)
    assert part.curve == run.curve
    assert found_again == found
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_seeds_give_different_trainings(tmp_path):
    curves = []
    for seed in (0, 1):
        with Run(tmp_path / str(seed), {}, 1, "iterations") as run:
            train(replace(TINY, seed=seed, iterations=1), run)
        curves.append(run.curve)
    assert curves[0] != curves[1]


def test_curriculum_and_seeds(monkeypatch):
    seen = []

    def record(setting, workload, seeds, beta):
        seen.append((setting, seeds))
        raise Killed

    monkeypatch.setattr(training, "start", record)
    plan = replace(TINY, settings=(Setting(3, 40),), iterations=101, imitate=1, seed=2)
    for iteration in (0, 1, 26, 51, 100):
        with pytest.raises(Killed):
            training._iterate(DecimaNet(), SimpleNamespace(param_groups=[]), plan, iteration)
    assert [setting.num_jobs for setting, _ in seen] == [40, 20, 30, 40, 40]
    first = 100_000 + 2 * 1_000_000
    assert seen[0][1] == [first, first + 1, first + 2, first + 3]
    assert seen[1][1] == [first + 4, first + 4, first + 5, first + 5]
