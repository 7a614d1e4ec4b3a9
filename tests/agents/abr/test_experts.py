"""Whom networks imitate: each world's own planner, and at home a clairvoyant."""

import numpy as np
import pytest
import torch
from small_worlds import imitate

from agents.abr import experts, imitation
from agents.abr.experts import CAREFUL, EAGER, SLOW_FIRST, Experts
from agents.abr.level_actor import INPUTS, LevelActor
from agents.abr.stochastic_mpc import StochasticMPC
from agents.abr.training_worlds import GENERATED, PUBLISHED, TRAINED_ON, environment
from agents.abr.value_table import ValueTable
from netenvs import datasets
from netenvs.abr.installed import INSTALLED_SPLITS
from netenvs.abr.workload import load_traces, load_video
from netenvs.abr.worlds import World


def world(recorded, at_home=True):
    return World(load_traces("synthetic(count=2)"), load_video("synthetic"), recorded=recorded, at_home=at_home)


def settings(planner):
    return {name: getattr(planner, name) for name in CAREFUL}


def test_slow_beginnings_have_the_eager_planner_all_others_the_careful_one():
    known = Experts()
    assert set(SLOW_FIRST) < set(TRAINED_ON)
    for name in (*TRAINED_ON, "", "synthetic"):
        planner = known.planner(world(name))
        expected = EAGER if name in ("fcc-hd-train", "fcc-sd-train") else CAREFUL
        assert isinstance(planner, StochasticMPC) and settings(planner) == expected
        assert known.planner(world(name)) is planner
        assert settings(known.planner(world(name, at_home=False))) == CAREFUL, "another ladder, another objective"


@pytest.mark.parametrize("name", [*SLOW_FIRST, PUBLISHED])
def test_installed_traces_bear_the_name_that_worlds_say(name):
    if not datasets.installed(INSTALLED_SPLITS[name]):
        pytest.skip(f"{name} is not installed")
    assert load_traces(name).name == name


@pytest.mark.parametrize("at_home", [False, True])
@pytest.mark.parametrize("recorded", [PUBLISHED, "", "puffer22-train"])
def test_at_home_on_the_published_links_it_is_a_clairvoyant(recorded, at_home):
    made = world(recorded, at_home)
    env, rows = environment(made, 4), np.arange(4)
    _, infos = env.reset(seed=0, options={"trace": rows // 2})
    infos = {**infos, **env.unwrapped.shared_info, "row": rows}
    found = Experts().begin(made, env)(infos)
    if at_home and recorded == PUBLISHED:
        expected = ValueTable(env).action_values(env)
    else:
        planner = StochasticMPC(**CAREFUL)
        planner.reset_rows(rows, [None] * 4)
        expected = planner.values(infos)
    assert np.array_equal(found, expected)


def test_the_eager_planner_is_less_careful():
    assert set(EAGER) == set(CAREFUL) and all(EAGER[name] < CAREFUL[name] for name in EAGER)


def test_imitation_asks_the_planner_of_each_world(monkeypatch, tmp_path):
    monkeypatch.setenv("NETENVS_DATA", str(tmp_path))
    monkeypatch.setattr(experts, "SLOW_FIRST", (load_traces(GENERATED).name,))
    for name, value in {"WORLDS": 6, "SESSIONS": 2, "TRACES": 1, "STEPS": 1, "BATCH": 8}.items():
        monkeypatch.setattr(imitation, name, value)
    asked, begin = [], Experts.begin

    def watched(experts, world, env):
        asked.append((world.recorded, world.at_home, settings(experts.planner(world))))
        return begin(experts, world, env)

    monkeypatch.setattr(Experts, "begin", watched)
    torch.manual_seed(0)
    net = LevelActor(8, 16)
    imitate(net, lambda steps: net(*(steps[name] for name in INPUTS)), 0, 2)
    assert len(asked) == 12 and {at_home for _, at_home, _ in asked} == {False, True}
    for recorded, at_home, found in asked:
        assert found == (EAGER if at_home else CAREFUL) and (recorded or not at_home)
