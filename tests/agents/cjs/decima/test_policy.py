"""The weights that come with the project, and folders of one's own: they schedule well, or say what is wrong."""

import json

import numpy as np
import pytest
import torch
from cjs_means import mean_jct_s
from fresh import python

from agents import pretrained
from agents.cjs.clusters import Setting, start
from agents.cjs.decima.network import MODES, DecimaNet
from agents.cjs.decima.policy import SHIPPED, Decima
from agents.cjs.decima.released import DecimaScheduler
from agents.cjs.scores import mean_jcts_s
from agents.policy import PolicyError, load_policy
from agents.rollout import EpisodeSpec, play
from agents.testing import check_policy
from agents.training.card import read


def test_folder():
    policy = load_policy("decima", "cjs")
    found = read(SHIPPED)
    card = (SHIPPED / pretrained.CARD).read_text()
    assert policy.parameters == 20_802
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 4e6
    assert policy.mode == found.training.details["decoding"] in MODES
    assert found.training.valid == min(training.valid for training in found.trainings)
    for training in found.trainings:
        assert training.command in card
        best = min(point[mode] for point in training.curve for mode in MODES)
        assert training.valid == best


@pytest.mark.parametrize("mode", MODES)
def test_contract(mode):
    check_policy(Decima(mode), "cjs", episodes=3, env_options={"num_executors": 8, "num_jobs": 6})


def test_modes_differ():
    setting = Setting(20, 10)
    found = {mode: mean_jcts_s(Decima(mode), "synthetic", setting, range(3)).tolist() for mode in MODES}
    assert len({tuple(values) for values in found.values()}) == len(MODES)


def test_better_than_fair_on_generated_jobs():
    """It has never seen them."""
    assert gain("synthetic", Setting(10, 20), range(10)) < -10


def test_better_than_fair_and_released(netllm_tpch):
    """What the released network gains on 10 executors is about a third, on 50 a seventh at best."""
    assert gain("tpch", Setting(10, 20), range(100, 110)) < -33
    assert gain("tpch", Setting(50, 50), range(100, 110)) < -12


def gain(workload, setting, seeds):
    """Percent of fair's mean completion time."""
    ours, fair = (mean_jct_s(name, *setting, workload, seeds) for name in ("decima", "fair"))
    return 100 * (ours / fair - 1)


ENV_ID = "netenvs/CJS-v0"


@pytest.mark.parametrize("mode", ["greedy", "sampled"])
def test_plays_as_the_scheduler_for_one_cluster(mode, network):
    options = {"num_executors": 7, "num_jobs": 12, "mean_interarrival_ms": 5000.0}
    specs = [EpisodeSpec(seed) for seed in range(4)]
    expected = play(DecimaScheduler(DecimaNet(network.state_dict()), mode), ENV_ID, specs, options)
    for found, wanted in zip(play(Decima.of(network, mode), ENV_ID, specs, options), expected, strict=True):
        np.testing.assert_array_equal(found.actions, wanted.actions)
        np.testing.assert_array_equal(found.rewards, wanted.rewards)


@pytest.fixture
def folder(tmp_path):
    pretrained.save(DecimaNet(), tmp_path / "decima", "decima", {"mode": "sampled"})
    return tmp_path / "decima"


def test_weights_of_ones_own(folder):
    policy = load_policy(str(folder))
    assert policy.mode == "sampled" and policy.parameters == 20_802
    check_policy(policy, "cjs", episodes=3, env_options={"num_executors": 5, "num_jobs": 6})


@pytest.mark.parametrize("damage", ["truncated", "foreign", "not finite", "another network", "config", "missing"])
def test_damaged_folders(damage, folder):
    weights, config = folder / pretrained.WEIGHTS, folder / pretrained.CONFIG
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "foreign":
        config.write_text(config.read_text().replace('"decima"', '"pensieve"'))
    elif damage == "config":
        config.write_text(json.dumps({"policy": "decima", "mode": "bold"}))
    elif damage == "missing":
        weights.unlink()
    else:
        from safetensors.torch import load_file, save_file

        arrays = load_file(weights)
        name = "encoder.dag_encoder.mlp.0.weight"
        arrays[name] = arrays[name] * torch.nan if damage == "not finite" else arrays[name][:3].clone()
        save_file(arrays, weights)
    with pytest.raises(ValueError, match=str(folder)) as error:
        Decima(folder=str(folder))
    assert "\n" not in str(error.value)


def test_unknown_mode():
    with pytest.raises(ValueError, match="unknown mode 'fast'"):
        Decima(mode="fast")


def test_hidden_stages_are_declined(folder):
    """Where ``max_jobs`` hides all stages that may be chosen there is only one decision."""
    policy = Decima(folder=str(folder))
    engine = start(Setting(3, 6), "synthetic", [0, 1])
    observations = {name: value.copy() for name, value in engine.observation._asdict().items()}
    observations["stages"][1, :, 6] = 0.0
    actions = policy.act_batch(observations, {"row": np.array([4, 2])})
    assert actions[0, 0] > 0 and actions[1].tolist() == [0, 0]


def test_another_task(folder):
    with pytest.raises(PolicyError, match="task cjs"):
        Decima(folder=str(folder)).act(np.zeros((6, 6), np.float32), {})


def test_playing_needs_no_torch_geometric(folder, tmp_path):
    code = (
        "import sys; from agents.cjs.decima.policy import Decima; "
        f"Decima(folder={str(folder)!r}); assert 'torch_geometric' not in sys.modules"
    )
    (tmp_path / "script.py").write_text(code)
    assert python("script.py", folder=tmp_path) == (0, "", "")


def test_policy_error_for_a_bad_folder(tmp_path):
    with pytest.raises(PolicyError, match="no folder of trained weights"):
        load_policy(f"decima(folder={tmp_path})", "cjs")


def test_it_can_be_imported_from_the_package():
    from agents.cjs.decima import Decima as imported

    assert imported is Decima
    with pytest.raises(ImportError):
        from agents.cjs.decima import Dezima  # noqa: F401
