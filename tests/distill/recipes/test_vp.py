"""What viewport prediction is learned from: windows, who is seen in them, the loss, and validation."""

import json

import numpy as np
import pytest
import torch
from toy_sequence import GRUBackbone

from agents.sequence.model import SequenceModel
from agents.sequence.nets.vp import HISTORY, HORIZON, VPNet
from agents.sequence.policy import SequencePolicy
from agents.training import CURVE, Run
from agents.vp.angles import MIRROR, UPSIDE_DOWN, wrap
from agents.vp.irls import least_absolute
from distill import losses
from distill.__main__ import main
from distill.pools.pool import Pool
from distill.pools.shards import PoolError
from distill.recipes.vp import training
from distill.recipes.vp.training import Options, VPSource, initialise
from distill.training.learner import Learner, Optimisation
from distill.training.phase import Phase
from netenvs.vp.previous_viewers import PreviousViewers
from netenvs.vp.recordings import windows
from netenvs.vp.workload import load_recordings

DATASET = "synthetic(videos=6,users=10)"
SIZE = {"hidden": 12, "width": 6, "heads": 2}
PHASE = Phase("regress", 2, 20, 1, 3e-3)


def make(seed=0, pools=(), dataset=DATASET, step=15, alone=0.25, **net):
    torch.manual_seed(0)
    model = SequenceModel(VPNet(16, **{**SIZE, **net}), GRUBackbone(16), context=1)
    source = VPSource(model.task, pools, seed, Options(dataset=dataset, step=step, alone=alone))
    return model, source, SequencePolicy(model)


def steps_of(data):
    return {name: np.asarray(values) for name, values in data.sequences.steps.items()}


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    assert main(["collect", "--task", "vp", "--policies", "static", "--dataset", DATASET, "--out", str(folder)]) == 0
    return Pool(folder)


def test_windows_of_training_users_and_videos_only():
    _, source, policy = make()
    data = source.gather(PHASE, 0, policy)
    train = load_recordings(DATASET).splits["train"]
    steps = steps_of(data)
    assert set(steps["video"].tolist()) == set(train.videos) and set(steps["user"].tolist()) == set(train.users)
    cut = windows(load_recordings(DATASET), "train", step=15, trim_head=HISTORY)
    np.testing.assert_array_equal(steps["history"], cut.history[cut.valid])
    np.testing.assert_array_equal(data.targets["actual_path"], cut.future[cut.valid])
    assert set(data.sequences.lengths.tolist()) == {1}


def test_each_iteration_draws_anew_what_is_turned_over_and_alone():
    (_, source, policy), (_, again, _), (_, other, _) = make(1), make(1), make(2)
    draws = [steps_of(one.gather(PHASE, at, policy)) for one, at in ((source, 3), (again, 3), (source, 4), (other, 3))]
    for name in ("turn", "sees"):
        assert np.array_equal(draws[0][name], draws[1][name])
        assert not np.array_equal(draws[0][name], draws[2][name])
        assert not np.array_equal(draws[0][name], draws[3][name])
    assert draws[0]["sees"].mean() == pytest.approx(0.75, abs=0.05)
    found, counts = np.unique(draws[0]["turn"], axis=0, return_counts=True)
    both = np.array(MIRROR) * np.array(UPSIDE_DOWN)
    assert {tuple(row) for row in found.tolist()} == {(1, 1, 1), MIRROR, UPSIDE_DOWN, tuple(both.tolist())}
    assert counts.min() / counts.sum() > 0.2


@pytest.mark.parametrize(("alone", "seeing"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_share_that_is_alone_may_be_all_or_nothing(alone, seeing):
    _, source, policy = make(alone=alone)
    assert steps_of(source.gather(PHASE, 0, policy))["sees"].mean() == seeing


def test_errors_are_counted_across_the_seam():
    _, source, _ = make()
    mean = torch.tensor([[[179.5, 10.0, -179.0]]]).expand(1, HORIZON, 3).clone().requires_grad_()
    actual = torch.tensor([[[-179.5, 12.0, 179.0]]]).expand(1, HORIZON, 3)
    log_scale = torch.zeros(1, HORIZON, 3, requires_grad=True)
    loss = source.loss(PHASE, [mean, log_scale], {"actual_path": actual})
    assert loss.shape == (1,)
    assert loss.item() == pytest.approx(2 * (1 + 2 + 2) / 3, abs=1e-4)  # errors, and errors over scales of 1
    loss.sum().backward()
    expected = torch.tensor([-1.0, -1.0, 1.0]) / (3 * HORIZON)  # on over the seam, the short way; of the error alone
    torch.testing.assert_close(mean.grad[0, 0], expected)


def test_paths_are_compared_across_the_seam():
    one, other = torch.full((1, 2, 3), 179.0), torch.full((1, 2, 3), -179.0)
    scale = torch.zeros(1, 2, 3)
    assert losses.path_divergence((one, scale), (other, scale)).item() == pytest.approx(2.0)
    np.testing.assert_allclose(VPNet(16).apart(one, other), -2.0)


def test_the_scale_is_the_error_that_is_expected():
    _, source, _ = make()
    mean = torch.zeros(1, HORIZON, 3)
    log_scale = torch.full((1, HORIZON, 3), np.log(4.0), requires_grad=True)
    for actual, sign in ((4.0, 0.0), (8.0, -1.0), (2.0, 1.0)):
        targets = {"actual_path": torch.full((1, HORIZON, 3), actual)}
        (gradient,) = torch.autograd.grad(source.loss(PHASE, [mean, log_scale], targets).sum(), log_scale)
        assert gradient.abs().max() < 1e-6 if not sign else (torch.sign(gradient) == sign).all()


def test_it_starts_as_the_linear_fit():
    model, source, policy = make()
    initialise(model.task, Options(dataset=DATASET, step=15))
    cut = windows(load_recordings(DATASET), "train", step=60, trim_head=HISTORY)
    last = cut.history[:, -1:]
    past, moved = (wrap(torch.from_numpy(values - last)).numpy() for values in (cut.history[:, :-1], cut.future))
    expected = np.stack([least_absolute(past[:, :, axis], moved[:, :, axis]) for axis in range(3)])
    np.testing.assert_allclose(model.task.history_weight.detach().numpy(), expected, atol=1e-4)
    data = source.gather(PHASE, 0, policy)
    with torch.no_grad():
        paths, _ = model.eval()(data.sequences)
    history = data.sequences.steps["history"]
    by = np.einsum("ktc,cts->ksc", wrap(torch.from_numpy(history[:, :-1] - history[:, -1:])).numpy(), expected)
    assert wrap(paths - torch.from_numpy(history[:, -1:] + by)).abs().max() < 0.01


def test_validation_scores_both_ways_and_finds_factors():
    model, source, policy = make()
    with torch.no_grad():
        model.task.movement_gate.bias.fill_(0.1)
        model.task.correction.weight.normal_(std=0.3)
    first = source.validate(policy)
    assert first["mae"] != first["mae_alone"]
    assert first["valid"] == pytest.approx(-(first["mae"] + first["mae_alone"]) / 2)
    assert (model.task.shrink < 1).any() and model.task.shrink.shape == (2, HORIZON, 3)
    assert source.validate(policy) == first  # the factors of before do not count
    cut = windows(load_recordings(DATASET), "valid", step=3)
    infos = {"video": cut.video, "user": cut.user, "horizon": HORIZON, "row": np.arange(len(cut.user))}
    viewers = PreviousViewers(load_recordings(DATASET))
    policy.reset_rows(infos["row"], [None] * len(cut.user))
    paths = policy.act_batch(
        {"history": cut.history, "time_s": cut.time_s[:, None]}, {**infos, "previous_viewers": viewers}
    )
    error = np.abs(wrap(torch.from_numpy(paths - cut.future)).numpy())[cut.valid].mean()
    assert error == pytest.approx(first["mae"], abs=1e-3)


def test_netllms_layout_is_validated_without_viewers():
    _, source, policy = make(tokenisation="netllm")
    assert set(source.validate(policy)) == {"valid", "mae_alone"}


def train(folder, stop_at=None):
    torch.set_num_threads(1)
    model, source, _ = make(step=5)
    initialise(model.task, Options(dataset=DATASET, step=5))
    gather = source.gather

    def stopping(phase, iteration, policy):
        if iteration == stop_at:
            raise KeyboardInterrupt
        return gather(phase, iteration, policy)

    source.gather = stopping
    with Run(folder, {"seed": 0}, PHASE.iterations, "iterations") as run:
        optimisation = Optimisation(seed=0, batch=64, average=0.9, precision="fp32")
        Learner(model, source, [PHASE], optimisation, run).fit()
        return model, run.curve


def test_it_learns_and_a_killed_training_goes_on_to_the_same_bits(tmp_path):
    straight, curve = train(tmp_path / "straight")
    assert curve[1]["mae"] < curve[0]["mae"] - 0.1
    assert curve[1]["loss"] < curve[0]["loss"] - 0.1
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", stop_at=1)
    resumed, again = train(tmp_path / "killed")
    assert curve == again
    for name, weights in straight.state_dict().items():
        assert torch.equal(weights, resumed.state_dict()[name]), name
    assert not torch.equal(straight.task.shrink, torch.ones(2, HORIZON, 3))  # factors are kept with the weights


def test_pools_are_learned_from(pool):
    _, source, policy = make(pools=[pool], dataset="jin2022")  # the pool's data set counts
    data = source.gather(PHASE, 0, policy)
    assert len(data) == len(pool)
    np.testing.assert_array_equal(data.targets["actual_path"], pool.column("actual_path"))
    np.testing.assert_array_equal(steps_of(data)["history"], pool.column("obs/history"))
    assert np.isfinite(source.validate(policy)["valid"])
    assert DATASET in training.describe(Options(), [pool])
    assert training.net_arguments(Options(), [pool]) == {"features": 0, "saliency": False}
    fitted = VPNet(16, **SIZE)
    initialise(fitted, Options(step=15), [pool])  # not of the default data set
    initialise(source._net, Options(dataset=DATASET, step=15))
    assert torch.equal(fitted.history_weight, source._net.history_weight)


def test_pools_of_two_data_sets_are_refused(pool, tmp_path):
    other = ["collect", "--task", "vp", "--policies", "static", "--dataset", "synthetic", "--episodes", "3"]
    assert main([*other, "--out", str(tmp_path)]) == 0
    with pytest.raises(PoolError, match="several data sets"):
        make(pools=[pool, Pool(tmp_path)])


def test_image_features_come_from_a_file_and_are_not_turned_over(tmp_path):
    rng = np.random.default_rng(0)
    videos = np.unique(load_recordings(DATASET).video)
    np.savez(tmp_path / "f.npz", rate=5.0, **{str(v): rng.normal(size=(50, 4)).astype(np.float32) for v in videos})
    options = Options(dataset=DATASET, step=15, features=str(tmp_path / "f.npz"), saliency=True)
    read = training.net_arguments(options, [])
    assert read == {"features": 4, "saliency": True}
    model = SequenceModel(VPNet(16, **SIZE, **read), GRUBackbone(16), context=1)
    source = VPSource(model.task, (), 0, options)
    policy = SequencePolicy(model)
    steps = steps_of(source.gather(PHASE, 0, policy))
    assert steps["features"].shape == (len(steps["video"]), 4) and (steps["turn"] == 1).all()
    assert np.isfinite(source.validate(policy)["valid"])


def test_a_net_that_reads_image_features_needs_a_file():
    with pytest.raises(ValueError, match="features=FILE"):
        VPSource(VPNet(16, **SIZE, features=4), (), 0, Options(dataset=DATASET))


@pytest.mark.parametrize("options", [{"step": 0}, {"alone": 1.5}])
def test_impossible_options(options):
    with pytest.raises(ValueError, match="step must be 1 or more and alone from 0 to 1"):
        VPSource(VPNet(16, **SIZE), (), 0, Options(dataset=DATASET, **options))


def test_the_command_line_teaches(tmp_path, capsys):
    small = ["--iterations", "1", "--steps", "2", "--batch", "4", "--no-score", "--set", f"dataset={DATASET}"]
    assert main(["teach", "--task", "vp", *small, "--set", "step=30", "--out", str(tmp_path)]) == 0
    point = json.loads((tmp_path / CURVE).read_text())
    assert {"valid", "mae", "mae_alone"} <= set(point)
