"""Scores of policies, of tasks that say what is measured and of tasks that do not."""

import pytest

from agents import registry
from agents.errors import PolicyError
from agents.policy import load_policy
from agents.scoring import Score, compared, score, scoring
from netenvs import tasks


def test_a_score_is_a_mean_with_its_interval():
    one, other = Score.of([1.0, 3.0], [3.0, 1.0]), Score.of([2.0, 6.0], [3.0, 1.0])
    assert (one.mean, one.ci95) == (1.5, (1.0, 3.0)) and Score.of([2.0]).ci95 == (2.0, 2.0)
    assert one.less(other, percent=False)[0] == -1.5
    assert one.less(other, percent=True) == (-50.0, -50.0, -50.0)
    assert Score.average([one, other]).values == [1.5, 4.5]


def test_a_policy_is_compared_with_all_but_its_own_variants():
    scores = {name: Score.of([1.0, 2.0]) for name in ("own", "own(fast)", "rule")}
    found = compared(scores, "own", percent=False)
    assert list(found["own"].minus) == ["rule"] and not found["rule"].minus


@pytest.mark.parametrize("task", [name for name in tasks.names() if registry.agent_task(name).scores])
def test_what_a_task_says_is_there(task):
    found = scoring(task)
    assert set(found.baselines) <= set(registry.registered(task)) and found.settings() and found.measure.name


def test_a_task_that_says_nothing_is_scored_by_its_returns(monkeypatch, capsys):
    policies = {"own": load_policy("bba", "abr"), "rule": load_policy("constant", "abr")}
    monkeypatch.setattr(registry, "agent_task", lambda task: registry.AgentTask(policies={}))
    found = score("abr", policies, "own")
    ((setting, by),) = found.items()
    assert setting == tasks.find("abr").default_id and len(by["own"].values) == 100
    assert by["own"].minus["rule"][0] > 0
    assert "scoring own" in capsys.readouterr().out
    monkeypatch.undo()
    with pytest.raises(PolicyError, match="unknown task 'tennis'"):
        scoring("tennis")
