"""Training of Decima: returns and baselines, a tiny training that improves, one that is killed, bad folders."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from agents import pretrained
from agents.cjs import decima_rollout, decima_training
from agents.cjs.decima import SHIPPED, Args, Decima, main
from agents.cjs.decima_graph import collate
from agents.cjs.decima_network import MODES, DecimaNetwork
from agents.cjs.decima_plan import Plan
from agents.cjs.decima_rollout import Setting, advantages, backlog, effect_log_prob, play, returns, start
from agents.cjs.decima_training import train
from agents.policy import PolicyError, load_policy
from agents.testing import check_policy
from agents.training import Run
from netenvs.cjs.rules import FAIR

TINY = Plan(
    seed=0,
    workload="synthetic",
    initial="scratch",
    settings=(Setting(3, 6),),
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


def fake_rollout(episode, time_s, reward, end_s):
    return SimpleNamespace(
        episode=np.array(episode), time_s=np.array(time_s), reward=np.array(reward), end_s=np.array(end_s)
    )


def test_returns_are_discounted_by_time():
    rollout = fake_rollout([0, 1, 0, 0], [0.0, 5.0, 10.0, 10.0], [-3.0, -7.0, 0.0, -4.0], [30.0, 9.0])
    assert returns(rollout, 0.0).tolist() == [-7.0, -7.0, -4.0, -4.0]
    later = np.exp(-0.1 * 10)
    assert returns(rollout, 0.1) == pytest.approx([-3 - 4 * later, -7, -4, -4])


def test_returns_with_the_rewards_of_the_environment():
    """Undiscounted they are minus the job-seconds left, so the first one is minus the sum of completion times."""
    engine = start(Setting(4, 8), "synthetic", [7, 8])
    rollout = play(DecimaNetwork(), [engine], [4], torch.Generator().manual_seed(0))
    values = returns(rollout, 0.0)
    first = [values[np.flatnonzero(rollout.episode == episode)[0]] for episode in range(2)]
    assert first == pytest.approx((-8 * rollout.mean_jct_s).tolist())
    assert (np.diff(rollout.time_s[rollout.episode == 0]) >= 0).all()


def test_baseline_is_the_mean_of_the_sequence_at_the_same_time():
    # two episodes of one sequence: returns -10, -4 at 0 and 6 s, over at 10 s; -20 at 0, over at 20 s
    rollout = fake_rollout([0, 1, 0], [0.0, 0.0, 6.0], [-6.0, -20.0, -4.0], [10.0, 20.0])
    values = returns(rollout, 0.0)
    assert values.tolist() == [-10.0, -20.0, -4.0]
    expected = np.array([-10 + 15, -20 + 15, -4 - (-4 - 14) / 2])
    assert advantages(rollout, values, 2) == pytest.approx(expected / expected.std())
    # an episode after its end returns nothing; every sequence has its own scale
    other = fake_rollout([0, 1, 0, 2, 3, 2], [0.0, 0.0, 6.0, 0.0, 0.0, 6.0], [0.0] * 6, [10.0, 20.0, 10.0, 20.0])
    twice = np.concatenate([values, 100 * values])
    assert advantages(other, twice, 2) == pytest.approx(np.tile(expected / expected.std(), 2))


def test_backlog_describes_the_state():
    engine = start(Setting(4, 8), "synthetic", [5])
    rollout = play(DecimaNetwork(), [engine], [4], torch.Generator().manual_seed(0))
    state = backlog(rollout.decisions)
    assert state.shape == (len(rollout.time_s), 4)
    number = len(state) // 2
    graph = collate(rollout.decisions, np.array([number]))
    work = torch.zeros(len(graph.jobs)).index_add(0, graph.node_job, graph.nodes[:, 4])
    expected = [len(graph.jobs), float(work.sum()), float(work.sqrt().sum()), float(graph.nodes[:, 3].sum())]
    assert state[number] == pytest.approx(expected, rel=1e-5)


def test_baseline_by_state_takes_off_what_the_backlog_explains(monkeypatch):
    """Returns that follow from the backlog alone are nobody's merit; each setting has a model of its own."""
    rng = np.random.default_rng(0)
    state = rng.normal(size=(40, 4))
    monkeypatch.setattr(decima_rollout, "backlog", lambda decisions: state)
    episode, time_s = np.repeat(np.arange(8), 5), np.tile(np.arange(5.0), 8)
    rollout = SimpleNamespace(episode=episode, time_s=time_s, end_s=np.full(8, 4.0), decisions=None)
    weights = np.where(episode[:, None] < 4, [3.0, -1.0, 0.5, 2.0], [-2.0, 0.0, 7.0, 1.0])
    values = (weights * state).sum(axis=1)
    assert np.abs(advantages(rollout, values, 2)).max() > 1
    assert np.abs(advantages(rollout, values, 2, by_state=2)).max() < 1e-9
    assert np.abs(advantages(rollout, values, 2, by_state=1)).max() > 0.1
    noise = rng.normal(size=40)
    left = advantages(rollout, values + 0.01 * noise, 2, by_state=2)
    assert np.corrcoef(left, advantages(rollout, noise, 2))[0, 1] > 0.5


def test_looking_ahead_fades_with_time():
    """Two episodes of one sequence; what is left after the baseline is the same with its sign changed."""
    rollout = fake_rollout([0, 1, 0, 1], [0.0, 0.0, 10.0, 10.0], [0.0] * 4, [20.0, 20.0])
    values = np.array([-10.0, -20.0, -2.0, -18.0])
    left = np.array([5.0, -5.0, 8.0, -8.0])
    assert advantages(rollout, values, 2) * left.std() == pytest.approx(left)
    fade, discount = np.exp(-10 / 4), np.exp(-0.03 * 10)
    first = 5 - 8 * discount + discount * fade * 8
    found = advantages(rollout, values, 2, beta=0.03, ahead_s=4.0)
    assert found * left.std() == pytest.approx([first, -first, 8, -8])
    assert advantages(rollout, values, 2, beta=0.03, ahead_s=1e9) == pytest.approx(advantages(rollout, values, 2))


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


def test_numbers_of_executors_with_one_effect_count_together():
    log_prob = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log().repeat(4, 1)
    demand = torch.tensor([3, 3, 3, 9])
    chosen = torch.tensor([1, 2, 3, 3])  # 2, 3, 4 and 4 executors
    assert effect_log_prob(log_prob, chosen, demand).exp().tolist() == pytest.approx([0.2, 0.7, 0.7, 0.4])


def test_expert_decides_as_in_the_environment():
    engine = start(Setting(5, 6), "synthetic", [3])
    rollout = play(DecimaNetwork(), [engine], [5], torch.Generator().manual_seed(0), [FAIR])
    assert (rollout.expert[:, 0] >= 0).any()
    choices = [int((rollout.decisions.demand[a:b] > 0).sum()) for a, b in _pairs(rollout.decisions.node_offset)]
    assert (rollout.expert[:, 0] < choices).all()


def _pairs(offsets):
    return pairwise(offsets)


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
    iterate = decima_training._iterate
    for last in (0, 1, 3):

        def stop(network, optimiser, plan, iteration, last=last):
            if iteration > last:
                raise Killed
            return iterate(network, optimiser, plan, iteration)

        monkeypatch.setattr(decima_training, "_iterate", stop)
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

    monkeypatch.setattr(decima_training, "start", record)
    plan = replace(TINY, settings=(Setting(3, 40),), iterations=101, imitate=1, seed=2)
    for iteration in (0, 1, 26, 51, 100):
        with pytest.raises(Killed):
            decima_training._iterate(DecimaNetwork(), SimpleNamespace(param_groups=[]), plan, iteration)
    assert [setting.num_jobs for setting, _ in seen] == [40, 20, 30, 40, 40]
    first = 100_000 + 2 * 1_000_000
    assert seen[0][1] == [first, first + 1, first + 2, first + 3]
    assert seen[1][1] == [first + 4, first + 4, first + 5, first + 5]


def arguments(**changes):
    options = {"initial": "scratch", "workload": "synthetic", "executors": (3,), "jobs": (6,), "iterations": 1}
    return Args(**{**options, "sequences": 2, "rollouts": 2, "validation": 2, "test": 1, **changes})


def test_folders_of_trainings(tmp_path, monkeypatch, capsys):
    from agents.cjs import decima_card

    monkeypatch.setattr(decima_card, "TESTED", (Setting(3, 6),))
    monkeypatch.setattr(decima_card, "TESTED_ELSEWHERE", (Setting(3, 6),))
    for seed in (0, 1):
        main(arguments(seed=seed, out=tmp_path / f"seed{seed}"))
    capsys.readouterr()
    main(Args(choose=(tmp_path / "seed0", tmp_path / "seed1"), out=tmp_path / "shipped", test=2))
    said = capsys.readouterr().out
    assert "scoring synthetic: 3 executors, 6 jobs, 2 episodes of fair, capped-srpt, decima" in said
    card = (tmp_path / "shipped" / pretrained.CARD).read_text()
    assert "seeds from 100 up (2 episodes, 1 of those with 200 jobs)" in card and card.count(" --test 2\n") == 1
    assert card.count(", scored on 1 episode |") == 2
    with pytest.raises(ValueError, match="shipped is not the folder of a single training"):
        main(Args(choose=(tmp_path / "shipped",), out=tmp_path / "again", test=2))
    training = json.loads((tmp_path / "shipped" / pretrained.TRAINING).read_text())
    assert len(training["trainings"]) == 2
    best = min(range(2), key=lambda i: training["trainings"][i]["valid"])
    assert training["chosen"] == best and "random weights" in card and "capped-srpt" in card
    assert training["trainings"][1]["command"].startswith("python -m agents.cjs.decima --seed 1 --workload synthetic")
    shipped, own = (Decima(folder=str(tmp_path / name)) for name in ("shipped", f"seed{best}"))
    for name, value in own.network.state_dict().items():
        assert torch.equal(shipped.network.state_dict()[name], value)
    assert shipped.mode == training["mode"] and Decima("sampled", str(tmp_path / "shipped")).mode == "sampled"
    assert load_policy(str(tmp_path / "shipped")).name == "shipped"


def test_card_of_one_training(tmp_path, monkeypatch):
    from agents.cjs import decima_card

    monkeypatch.setattr(decima_card, "TESTED", (Setting(3, 6),))
    monkeypatch.setattr(decima_card, "TESTED_ELSEWHERE", ())
    main(arguments(out=tmp_path / "scored", test=3))
    card = (tmp_path / "scored" / pretrained.CARD).read_text()
    assert card.count("python -m agents.cjs.decima") == 1 and " --test 3\n" in card and "with an `--out`" not in card
    assert "(3 episodes, 1 of those with 200 jobs)" in card and "released" not in card and "shipped" not in card
    main(arguments(out=tmp_path / "unscored", test=0))
    card = (tmp_path / "unscored" / pretrained.CARD).read_text()
    assert "seeds from 2000 up.\n" in card and "seeds from 100 up" not in card and "to `fair` (95 %" not in card
    main(Args(choose=(tmp_path / "unscored",), out=tmp_path / "shipped", test=1))
    assert "| `decima` |" in (tmp_path / "shipped" / pretrained.CARD).read_text()


def test_shipped_card_says_what_its_training_says():
    from agents.cjs import decima_card

    training = json.loads((SHIPPED / pretrained.TRAINING).read_text())
    assert (SHIPPED / pretrained.CARD).read_text() == decima_card.card(training)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": -1}, "test must be 0 or more"),
        ({"initial": "paper"}, "initial weights"),
        ({"seed": -1}, "seed must be 0 to 999"),
        ({"iterations": 0}, "iterations must be 1 or more"),
        ({"executors": (3, 4)}, "jobs must be one number for each of 2 executors"),
        ({"executors": (0,)}, "executors and jobs must be 1 or more"),
        ({"learning_rate": 0.0}, "learning-rate must be positive"),
        ({"workload": "nothing"}, "nothing"),
    ],
)
def test_bad_arguments(options, message, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        main(arguments(out=tmp_path, **options))
    assert "\n" not in str(error.value)


def test_command_line(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "agents.cjs.decima", "--choose", str(tmp_path)], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.strip() == f"error: {tmp_path} is no folder of a finished training: no training.json there"


@pytest.fixture
def folder(tmp_path):
    pretrained.save(DecimaNetwork(), tmp_path / "decima", "decima", {"mode": "sampled"})
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


def test_playing_needs_no_torch_geometric(folder):
    code = (
        "import sys; from agents.cjs.decima import Decima; "
        f"Decima(folder={str(folder)!r}); assert 'torch_geometric' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_policy_error_for_a_bad_folder(tmp_path):
    with pytest.raises(PolicyError, match="no folder of trained weights"):
        load_policy(f"decima(folder={tmp_path})", "cjs")
