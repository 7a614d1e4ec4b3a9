"""Predictors in ``netenvs/VP-v0``: the contract of policies, and the published numbers through the environment."""

import re

import numpy as np
import pytest

from agents.policy import load_policy
from agents.registry import registered
from agents.rollout import EpisodeSpec, play
from agents.testing import check_policy

RULES = sorted(set(registered("vp")) - {"track", "viewers"})


@pytest.mark.parametrize("mode", ["windows", "replay"])
@pytest.mark.parametrize("name", RULES)
def test_contract(name, mode):
    network = name in ("netllm", "mamba4net")
    tolerance = 1e-3 if network else 0.0  # degrees: they calculate in single precision
    episodes = 3 if network else 6  # they take their time
    check_policy(load_policy(name, "vp"), "vp", episodes, {"mode": mode}, tolerance)


@pytest.mark.parametrize("name", RULES)
def test_other_settings(name):
    options = {"history": 20, "horizon": 30, "split": "valid"}
    (episode,) = play(load_policy(name, "vp"), "netenvs/VP-v0", [EpisodeSpec(seed=5)], options)
    assert episode.actions.shape == (1, 30, 3) and np.isfinite(episode.columns["mae"]).all()


@pytest.mark.parametrize(("name", "mae"), [("static", 9.763), ("velocity", 17.500), ("linear-regression", 19.474)])
def test_published_means(jin2022, name, mae):
    episodes = [EpisodeSpec(seed=0, options={"window": i}) for i in range(1698)]
    played = play(load_policy(name, "vp"), "netenvs/VP-v0", episodes, {"dataset": "jin2022"}, num_envs=256)
    assert np.mean([episode.columns["mae"][-1] for episode in played]) == pytest.approx(mae, abs=1e-3)
    assert np.mean([episode.columns["static_mae"][-1] for episode in played]) == pytest.approx(9.763, abs=1e-3)


def test_examples_of_the_documentation(artifacts, tmp_path):
    page = (artifacts.parents[1] / "docs" / "vp_policies.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 2
    for number, example in enumerate(examples):
        (tmp_path / f"own{number}.py").write_text(example)
        check_policy(load_policy(str(tmp_path / f"own{number}.py"), "vp"), "vp")
