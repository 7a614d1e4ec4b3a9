"""How weights of policies for every link, ladder and objective are chosen: on validation splits and worlds held out."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np

from agents.abr.scores import score
from agents.abr.training_worlds import TrainingWorlds, environment
from agents.abr.value_table import ValueTable
from agents.policy import Policy, load_policy
from agents.statistics import mean
from netenvs import datasets
from netenvs.abr.installed import INSTALLED_SPLITS
from netenvs.abr.workload import TraceSet, load_traces, load_video, make_trace_set
from netenvs.abr.worlds import World

CHOSEN_ON = ("fcc-valid-clean", "fcc-hd-valid", "fcc-sd-valid", "lumos-wifi-valid", "puffer22-valid")
"""Where they are installed."""
WITHOUT_DATA = "synthetic(seed=2,count=50)"
HIGH_LADDER = "synthetic-4k"
HELD_OUT_SEED = 1_000_000_009
"""Of worlds that no training has, for every seed of a training."""
HELD_OUT = 6
FLOOR = "robust-mpc"
LEAST_GAIN = 0.005
"""Of the utility's range, a decision: places where the clairvoyant gains less say little, and are left out."""

DREAD = 0.5
"""Weight of the worst place, where it is below the rule, beside the mean."""


@dataclass(frozen=True)
class Place:
    """A world that policies are compared in, with the means of a rule and of a clairvoyant."""

    name: str
    world: World
    floor: float
    top: float


@functools.cache
def places(traces: int) -> tuple[Place, ...]:
    """Each validation split with two ladders, stalls at 4.3 and at the highest bitrate; and worlds held out.

    ``traces`` of each split, spread evenly over it.
    """
    found = {}
    names = [name for name in CHOSEN_ON if datasets.installed(INSTALLED_SPLITS[name])] or [WITHOUT_DATA]
    worlds = TrainingWorlds()
    known, high = worlds.video, load_video(HIGH_LADDER)
    for name in names:
        some = _some(load_traces(name), traces)
        found[f"{name} x {known.name}"] = World(some, known, start="stored")
        found[f"{name} x {high.name}"] = World(
            some, high, rebuffer_penalty=float(high.bitrates_kbps[-1]) / 1000.0, start="stored"
        )
    for number in range(HELD_OUT):
        found[f"held out {number}"] = replace(worlds.make([HELD_OUT_SEED, number], traces), start="stored")
    rule = load_policy(FLOOR, "abr")
    made = [Place(name, world, _mean(rule, world), _top(world)) for name, world in found.items()]
    return tuple(place for place in made if place.top - place.floor >= LEAST_GAIN * _span(place.world))


def valid_scores(policy: Policy, traces: int) -> dict[str, float]:
    """Share of the way from the rule to the clairvoyant, (policy - rule) / (clairvoyant - rule), over the places.

    ``share`` is its mean, ``worst`` that of the worst place, ``home`` the QoE of the first. ``valid``, by which weights
    are chosen, is the mean less ``DREAD`` of what the worst place is below the rule. A place counts between -1 and 1,
    so that none decides alone.
    """
    shares, home = [], 0.0
    for number, place in enumerate(places(traces)):
        found = _mean(policy, place.world)
        shares.append(float(np.clip((found - place.floor) / max(place.top - place.floor, 1e-6), -1.0, 1.0)))
        home = home if number else found
    share, worst = mean(shares), min(shares)
    return {"valid": share + DREAD * min(worst, 0.0), "share": share, "worst": worst, "home": home}


def _mean(policy: Policy, world: World) -> float:
    options = world.options()
    return mean(score(policy, options.pop("traces"), options.pop("video"), **options))


def _top(world: World) -> float:
    """Mean value a decision of the clairvoyant's plan, from a table: a little above what can be played."""
    env, count = environment(world, len(world.traces)), len(world.traces)
    env.reset(seed=0, options={"trace": np.arange(count)})
    values = []
    for number in range(count):  # one after the other: tables of long videos are large
        table = ValueTable(env, [number], clock_step_s=1.0, buffers=48)
        values.append(float(table.action_values(env, np.array([number])).max()) / (world.video.num_chunks - 1))
    env.close()
    return mean(values)


def _span(world: World) -> float:
    """Range of the utility."""
    env = environment(world, 1)
    utilities = env.unwrapped.qoe.utilities(world.video.num_chunks)
    env.close()
    return float(utilities.max() - utilities.min())


def _some(traces: TraceSet, count: int) -> TraceSet:
    numbers = np.unique(np.linspace(0, len(traces) - 1, count).astype(int))
    made = make_trace_set(
        traces.name, [(traces.names[i], *traces.trace(i)) for i in numbers], traces.start_pointer[numbers]
    )
    return replace(made, installed=traces.installed)
