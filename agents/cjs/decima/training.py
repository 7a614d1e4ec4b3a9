"""Training of Decima: a curriculum of job sequences, each played several times, learned from by PPO."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents import pretrained
from agents.cjs.clusters import Setting, start
from agents.cjs.decima.card import record_of, training_of
from agents.cjs.decima.network import MODES, DecimaNet
from agents.cjs.decima.plan import Plan
from agents.cjs.decima.policy import NAME, Decima
from agents.cjs.decima.ppo import SumOfMessages, Update, imitate, improve
from agents.cjs.decima.released import DATASET, released_network
from agents.cjs.decima.rollout import advantages, play, returns
from agents.cjs.rules.capped_srpt import CappedSRPT
from agents.cjs.scores import score
from agents.policy import Policy, load_policy
from agents.training import Run
from agents.training.card import read_single, write
from agents.training.fit import scheduled
from netenvs import datasets
from netenvs.cjs.rules import FAIR, Rule

FIRST_SEED = 100_000
"""Seeds of job sequences for training begin here; results are played on seeds below 1,000."""
FIRST_VALIDATION_SEED = 2000
SEEDS_PER_TRAINING = 1_000_000


def train(plan: Plan, run: Run) -> tuple[DecimaNet, dict[str, Any]]:
    """Train, or go on with a training, in the folder of ``run``; the network best in validation and how it was found.

    An iteration depends on its number, the seed, the weights and the optimiser alone, so a training that was killed
    and continued gives the same weights. Runs on one thread.
    """
    torch.set_num_threads(1)
    torch.manual_seed(plan.seed)
    network = initial_network(plan.initial)
    optimiser = torch.optim.Adam(network.parameters(), lr=plan.learning_rate)
    reference = [_mean_jct_s(network, plan, setting, FAIR) for setting in plan.settings]
    state: dict[str, Any] = run.resume() or {"iteration": 0, "decisions": 0, "best": {"valid": np.inf}}
    if state["iteration"]:
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
    schedule = scheduled(optimiser, lambda iteration: _rate(plan, iteration), state["iteration"])
    if state["iteration"] == 0 and not run.curve:
        _validate(network, plan, reference, run, state, {})
    while state["iteration"] < plan.iterations:
        figures, decisions = _iterate(network, optimiser, plan, state["iteration"])
        schedule.step()
        state["iteration"] += 1
        state["decisions"] += decisions
        run.advance(state["iteration"])
        if state["iteration"] % plan.validate_every == 0 or state["iteration"] == plan.iterations:
            _validate(network, plan, reference, run, state, figures)
        run.save({**state, "network": network.state_dict(), "optimiser": optimiser.state_dict()})
    best = state["best"]
    kept = DecimaNet(mode=best["mode"])
    kept.load_state_dict(best["weights"])
    return kept, {name: best[name] for name in ("mode", "valid", "step")} | {"decisions": state["decisions"]}


def run_training(plan: Plan, folder: Path, command: str, test: int) -> None:
    """Train, or go on with a training, and write the folder of the weights best in validation with its figures."""
    with Run(folder, asdict(plan), plan.iterations, "iterations") as run:
        network, found = train(plan, run)
    pretrained.save(network, folder, NAME, {"mode": found["mode"]})
    policies: dict[str, Policy] = {"fair": load_policy("fair", "cjs"), NAME: Decima(folder=str(folder))}
    training = training_of(
        run.identity,
        found["mode"],
        found["decisions"],
        test,
        command=command,
        kept=found["step"],
        valid=found["valid"],
        curve=run.curve,
        cpu_s=round(run.cpu_s),
        wall_s=round(run.wall_s),
        scores=score(policies, plan.workload, test),
    )
    write(folder, record_of(NAME, [training], 0, command, test))


def choose(folders: Sequence[Path], out: Path, test: int, command: str) -> None:
    """Write into ``out`` the weights of the training that did best in validation, and a card of all.

    ``test``: episodes for each size in the figures of the card; ``command``: what the card says has made it.
    """
    trainings = [record.training for record in read_single(folders, NAME)]
    chosen = min(range(len(trainings)), key=lambda number: trainings[number].valid or 0.0)
    network, _ = pretrained.load(DecimaNet, folders[chosen], NAME)
    pretrained.save(network, out, NAME, {"mode": network.mode})
    policies: dict[str, Policy] = {name: load_policy(name, "cjs") for name in ("fair", "capped-srpt")}
    policies[NAME] = Decima(folder=str(out))
    if datasets.installed(DATASET):
        policies |= {f"released, {mode}": Decima.of(released_network(), mode) for mode in MODES}
    scores = score(policies, trainings[chosen].settings["workload"], test)
    write(out, record_of(NAME, trainings, chosen, command, test, scores))


def initial_network(initial: str) -> DecimaNet:
    """A network in training, with released weights or those that torch's generator gives it."""
    network = released_network().float() if initial == "released" else DecimaNet()
    network.encoder.node_encoder.sum_by_parent = SumOfMessages()
    return network


def _iterate(
    network: DecimaNet, optimiser: torch.optim.Optimizer, plan: Plan, iteration: int
) -> tuple[dict[str, float], int]:
    """One rollout and what is learned from it: figures, decisions made."""
    imitating, progress = iteration < plan.imitate, _progress(plan, iteration)
    part = 1.0 if imitating else min(1.0, plan.first_jobs + 2 * progress * (1 - plan.first_jobs))
    rollouts = 1 if imitating else plan.rollouts
    sequences = plan.sequences * plan.rollouts if imitating else plan.sequences
    first = FIRST_SEED + SEEDS_PER_TRAINING * plan.seed + iteration * plan.sequences * plan.rollouts
    seeds = np.repeat(np.arange(first, first + sequences), rollouts).tolist()
    settings = [Setting(setting.num_executors, max(1, round(part * setting.num_jobs))) for setting in plan.settings]
    engines = [start(setting, plan.workload, seeds, plan.beta) for setting in settings]
    sizes = [setting.num_executors for setting in settings]
    generator = torch.Generator().manual_seed((plan.seed << 32) + iteration)
    rng = np.random.default_rng([plan.seed, iteration])
    update = Update(
        epochs=1 if imitating else plan.epochs,
        minibatch=max(1, plan.minibatch // 4) if imitating else plan.minibatch,
        clip=plan.clip,
        target_kl=plan.target_kl,
        entropy=plan.entropy * (1 - progress),
    )
    if iteration == plan.imitate > 0:
        _sharpen(network, plan.sharpen)
        optimiser.state.clear()
    if imitating:
        rollout = play(network, engines, sizes, generator, [experts(size) for size in sizes])
        figures = imitate(network, optimiser, rollout, update, rng)
    else:
        rollout = play(network, engines, sizes, generator)
        models = len(plan.settings) if plan.by_state else 0
        ahead_s = plan.ahead or np.inf
        values = returns(rollout, plan.beta)
        advantage = advantages(rollout, values, plan.rollouts, plan.beta, models, ahead_s)
        figures = improve(network, optimiser, rollout, advantage, update, rng)
    return figures, len(rollout.episode)


def _progress(plan: Plan, iteration: int) -> float:
    """How much of PPO is over."""
    return max(0, iteration - plan.imitate) / max(1, plan.iterations - plan.imitate)


def _rate(plan: Plan, iteration: int) -> float:
    """Learning rate of an iteration."""
    if iteration < plan.imitate:
        return plan.imitation_rate * (1 - 0.9 * (iteration / plan.imitate))
    return plan.learning_rate * (1 - 0.9 * _progress(plan, iteration))


def _sharpen(network: DecimaNet, factor: float) -> None:
    """Multiply the logits of both heads: imitation leaves a policy more random than is good for it."""
    with torch.no_grad():
        for head in (network.stage_policy_network, network.exec_policy_network):
            for parameter in head.mlp_score[-1].parameters():
                parameter.mul_(factor)


def experts(num_executors: int) -> Rule:
    """What is imitated: ``capped-srpt`` without what the network cannot do or see.

    It cannot decline, so it holds nothing back for the own job; it does not see which stages can start at once, so they
    get what they can use; and inside a job it takes the longest path first, which it does see.
    """
    rule = CappedSRPT().rule(num_executors)
    return rule._replace(own_factor=1.0, longest_path_first=True, early=1.0, hold=0.0)


def _validate(
    network: DecimaNet,
    plan: Plan,
    reference: Sequence[float],
    run: Run,
    state: dict[str, Any],
    figures: dict[str, float],
) -> None:
    """Record how the network does against ``fair`` in validation; keep it if it never did better."""
    point: dict[str, float] = {"decisions": state["decisions"], **figures}
    for mode in MODES:
        parts = []
        for setting, fair_s in zip(plan.settings, reference, strict=True):
            parts.append(_mean_jct_s(network, plan, setting, mode) / fair_s - 1)
            point[f"{mode}_{setting.num_executors}"] = round(parts[-1], 5)
        point[mode] = round(float(np.mean(parts)), 5)
        if point[mode] < state["best"]["valid"]:
            state["best"] = {
                "valid": point[mode],
                "mode": mode,
                "step": state["iteration"],
                "weights": copy.deepcopy(network.state_dict()),
            }
    run.record(state["iteration"], **point)


def _mean_jct_s(network: DecimaNet, plan: Plan, setting: Setting, by: str | Rule) -> float:
    """Mean JCT in the validation episodes of a setting, by the network in a mode, or by a rule."""
    seeds = [FIRST_VALIDATION_SEED + i for i in range(plan.validation)]
    engine = start(setting, plan.workload, seeds)
    if isinstance(by, Rule):
        while not engine.outcomes["terminated"].all():
            engine.step(engine.decide(by), False)
        return float(engine.outcomes["mean_jct_s"].mean())
    generator = torch.Generator().manual_seed(0)
    return float(play(network, [engine], [setting.num_executors], generator, mode=by).mean_jct_s.mean())
