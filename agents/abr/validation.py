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
HELD_OUT, HELD_OUT_NAME = 6, "held out"
HOME_STARTS = 8
"""Drawn places where each trace is entered at home."""
LEAST_AT_HOME = 0.0
"""QoE that a session counts at home at least: on a few links whoever plays stalls for minutes, and what is lost there
would decide the mean of all others."""
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

    def share(self, value: float) -> float:
        """Of the way from floor to top, between -1 and 1, so that no place decides alone."""
        return float(np.clip((value - self.floor) / max(self.top - self.floor, 1e-6), -1.0, 1.0))


@functools.cache
def places(traces: int) -> tuple[Place, ...]:
    """Each validation split with two ladders, stalls at 4.3 and at the highest bitrate; and worlds held out.

    ``traces`` of each split, spread evenly over it.
    """
    found = {}
    worlds = TrainingWorlds()
    known, high = worlds.video, load_video(HIGH_LADDER)
    for name in _splits():
        some = _some(load_traces(name), traces)
        found[f"{name} x {known.name}"] = World(some, known, start="stored")
        found[f"{name} x {high.name}"] = World(
            some, high, rebuffer_penalty=float(high.bitrates_kbps[-1]) / 1000.0, start="stored"
        )
    for number in range(HELD_OUT):
        found[f"{HELD_OUT_NAME} {number}"] = replace(worlds.make([HELD_OUT_SEED, number], traces), start="stored")
    rule = load_policy(FLOOR, "abr")
    made = [Place(name, world, _mean(rule, world), _top(world)) for name, world in found.items()]
    return tuple(place for place in made if place.top - place.floor >= LEAST_GAIN * _span(place.world))


@functools.cache
def home() -> Place:
    """The first of the splits with the known video, each trace entered at drawn places; a session counts at least
    ``LEAST_AT_HOME``.
    """
    name, video = _splits()[0], TrainingWorlds().video
    whole = load_traces(name)
    world = World(_some(whole, len(whole), HOME_STARTS), video)
    floor = _mean(load_policy(FLOOR, "abr"), world, LEAST_AT_HOME)
    return Place(f"{name} x {video.name}, drawn starts", world, floor, _top(world, 3.0, 24, LEAST_AT_HOME))


def valid_scores(policy: Policy, traces: int) -> dict[str, float]:
    """Share of the way from the rule to the clairvoyant, (policy - rule) / (clairvoyant - rule), over the places.

    ``share`` is its mean, ``worst`` that of the worst place, ``home`` the QoE of the first. ``valid``, by which weights
    are chosen, is the mean less ``DREAD`` of what the worst place is below the rule. A place counts between -1 and 1,
    so that none decides alone.
    """
    means = [_mean(policy, place.world) for place in places(traces)]
    shares = [place.share(value) for place, value in zip(places(traces), means, strict=True)]
    share, worst = mean(shares), min(shares)
    return {"valid": share + DREAD * min(worst, 0.0), "share": share, "worst": worst, "home": means[0]}


def network_scores(policy: Policy, traces: int) -> dict[str, float]:
    """As ``valid_scores``, of policies that are asked to be best at home.

    ``home`` is the share of the way at home, ``share`` the mean of that over the places, ``worst`` that of the worst
    validation split. ``valid``, by which weights are chosen, is the mean of ``home`` and ``share``, less ``DREAD`` of
    what the worst split is below the rule.
    """
    shares = {place.name: place.share(_mean(policy, place.world)) for place in places(traces)}
    own, share = home().share(_mean(policy, home().world, LEAST_AT_HOME)), mean(list(shares.values()))
    worst = min(value for name, value in shares.items() if not name.startswith(HELD_OUT_NAME))
    return {"valid": (own + share) / 2 + DREAD * min(worst, 0.0), "share": share, "worst": worst, "home": own}


def _splits() -> list[str]:
    return [name for name in CHOSEN_ON if datasets.installed(INSTALLED_SPLITS[name])] or [WITHOUT_DATA]


def _mean(policy: Policy, world: World, least: float = -np.inf) -> float:
    """Of sessions that count ``least`` at least."""
    options = world.options()
    return mean(np.maximum(score(policy, options.pop("traces"), options.pop("video"), **options), least))


def _top(world: World, clock_step_s: float = 1.0, buffers: int = 48, least: float = -np.inf) -> float:
    """Mean value a decision of the clairvoyant's plan, from a table: a little above what can be played."""
    env, count = environment(world, len(world.traces)), len(world.traces)
    env.reset(seed=list(range(count)), options={"trace": np.arange(count)})  # the starts of ``score``
    values = []
    for number in range(count):  # one after the other: tables of long videos are large
        table = ValueTable(env, [number], clock_step_s, buffers)
        values.append(float(table.action_values(env, np.array([number])).max()) / (world.video.num_chunks - 1))
    env.close()
    return mean(np.maximum(values, least))


def _span(world: World) -> float:
    """Range of the utility."""
    env = environment(world, 1)
    span: float = env.unwrapped.qoe.utility_range(world.video.num_chunks)
    env.close()
    return span


def _some(traces: TraceSet, count: int, times: int = 1) -> TraceSet:
    """``count`` traces spread evenly over a set, ``times`` over."""
    numbers = np.tile(np.unique(np.linspace(0, len(traces) - 1, count).astype(int)), times)
    named = [(f"{traces.names[i]} {number}", *traces.trace(i)) for number, i in enumerate(numbers)]
    return replace(make_trace_set(traces.name, named, traces.start_pointer[numbers]), installed=traces.installed)
