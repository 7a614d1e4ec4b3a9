"""What is said of trained Decimas, for ``training.json`` and the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agents.cjs.decima.network import MODES
from agents.cjs.scores import SCORING, count_episodes, half
from agents.scoring import Scores
from agents.training.card import Record, Training, versions
from netenvs.cjs.task import TASK as CJS

SUMMARY = (
    "Decima's graph neural network (Mao et al., SIGCOMM 2019; the version of spark-sched-sim and NetLLM), 20,802 "
    "parameters, trained here by PPO with a baseline for each sequence of jobs. Decodes **{mode}**, what was best in "
    "validation.\n\n{beginnings}"
)
TEST, DECODING = "test episodes", "decoding"
"""Among the ``details`` of a training."""


def training_of(plan: Mapping[str, Any], mode: str, decisions: int, test: int, **known: Any) -> Training:
    """Of a ``Plan`` as a mapping: ``mode`` decodes best, after so many decisions; ``test`` episodes were scored.

    ``known`` are the other fields of the ``Training``.
    """
    clusters = " and ".join(f"{executors} executors with up to {jobs} jobs" for executors, jobs in plan["settings"])
    return Training(
        seed=plan["seed"],
        data=f"Workload `{plan['workload']}`, jobs every 25 s on average, clusters of {clusters} side by side. Trained "
        "on seeds from 100,000 up; weights and decoding chosen on seeds from 2000 up.",
        settings=plan,
        steps=plan["iterations"],
        unit="iterations",
        chosen_by=MODES,
        better="lower",
        kind=_kind(plan),
        details={DECODING: mode, "decisions": decisions, TEST: test},
        **known,
    )


def record_of(
    policy: str, trainings: Sequence[Training], shipped: int, command: str, test: int, scores: Scores | None = None
) -> Record:
    """Of the weights of ``trainings[shipped]``; ``scores``, of so many ``test`` episodes, if they are not those."""
    chosen = trainings[shipped]
    notes = [
        "Validation: mean over the trained cluster sizes of the difference of the mean JCT to that of `fair`, as a "
        "share of it, for each way of decoding."
    ]
    if len(trainings) > 1:
        notes.append("The training that is shipped was chosen by it, too.")
    if any(row.startswith("released") for by in (scores or {}).values() for row in by):
        notes.append(
            "Rows `released` are the published weights in the same player, where `greedy` and `sampled` decide as "
            "`decima-released` does."
        )
    return Record(
        policy=policy,
        task=CJS.name,
        summary=SUMMARY.format(mode=chosen.details[DECODING], beginnings=_beginnings(chosen.settings)),
        tags=("job-scheduling",),
        measure=replace(SCORING.measure, note=_tested(test)),
        notes=" ".join(notes),
        command=command,
        versions=versions(("torch-geometric",)),
        shipped=shipped,
        trainings=trainings,
        scores=scores or {},
    )


def _tested(test: int) -> str:
    """What the figures were made on; empty if there are none."""
    if not test:
        return ""
    return (
        f"The figures are of seeds from 100 up ({count_episodes(test)}, {half(test)} of those with 200 jobs), used for "
        "nothing else."
    )


def _kind(plan: Mapping[str, Any]) -> str:
    start = "released weights" if plan["initial"] == "released" else "from scratch"
    return f"{start}, imitation, PPO" if plan["imitate"] else f"{start}, PPO"


def _beginnings(plan: Mapping[str, Any]) -> str:
    """Where the shipped weights come from."""
    begin = (
        "Training began with the released weights (data set `decima-weights`)."
        if plan["initial"] == "released"
        else "Training began with random weights."
    )
    if plan["imitate"]:
        begin += (
            f" The first {plan['imitate']} of {plan['iterations']} iterations imitated the rule `capped-srpt`, which "
            "is not in the paper; PPO went on from there."
        )
    return begin
