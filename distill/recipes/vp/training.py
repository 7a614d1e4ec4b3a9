"""What a sequence policy learns viewport prediction from: where the head went, in dense windows of recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.sequence.model import Sequences
from agents.sequence.net import TaskNet
from agents.sequence.nets.vp import HISTORY, HORIZON, VPNet
from agents.sequence.policy import SequencePolicy
from agents.vp.angles import MIRROR, UPSIDE_DOWN, wrap
from agents.vp.irls import least_absolute
from agents.vp.learned import fit_scale
from distill.pools.pool import Pool
from distill.pools.shards import PoolError
from distill.recipe import StudentRecipe, TrainingRecipe
from distill.recipes.vp import PATH_LABEL
from distill.training.labelled_sequences import Labelled
from distill.training.phase import ON_POLICY, Phase
from distill.training.pool_sequences import labelled
from netenvs.vp.features import load_features
from netenvs.vp.previous_viewers import PreviousViewers, playback_index
from netenvs.vp.recordings import Recordings, Windows, windows
from netenvs.vp.workload import load_recordings

VALIDATION_STEP = 3
"""Samples between windows that choose the weights: five times as many as the published ones."""
FIT_STEP = 4
"""Every so many windows are enough for the linear fit."""
AT_ONCE = 1024


@dataclass(frozen=True)
class Options:
    """What may be set."""

    dataset: str = "jin2022"
    """Recordings to learn from and to choose weights on, by their published splits; with pools, theirs."""
    step: int = 2
    """Samples between training windows."""
    alone: float = 0.25
    """Share of training windows that do not see previous viewers."""
    features: str = ""
    """File of image features to read, see python -m agents.vp.features; with pools, theirs."""
    saliency: bool = False
    """Whether to read heat maps of previous viewers; with pools, whether they hold them."""


def phases(options: Options, pools: Sequence[Pool]) -> tuple[Phase, ...]:
    """An iteration is a pass over the windows of jin2022."""
    return (Phase("regress", iterations=5, steps=283, keep=1, learning_rate=1e-3, warmup=100),)


def net_arguments(options: Options, pools: Sequence[Pool]) -> dict[str, Any]:
    """Arguments of ``VPNet`` that follow from the data."""
    data = _environment(options, pools)
    size = 0
    if data.features:
        known = load_recordings(data.dataset).video[:1].astype(np.int64)
        size = load_features(data.features, known).values.shape[1]
    return {"features": size, "saliency": data.saliency}


def describe(options: Options, pools: Sequence[Pool]) -> str:
    """What is learned from and what chooses the weights, for the model card."""
    dataset = _environment(options, pools).dataset
    learned = "pools of its windows" if pools else f"windows every {options.step / 5:g} s"
    return (
        f"`{dataset}`, published splits: training users and videos ({learned}, a share of {options.alone:g} without "
        "previous viewers); weights chosen on validation users and videos (windows every 0.6 s, mean of the errors "
        "with and without previous viewers); nothing on the test split. Previous viewers are the training users, who "
        "have watched the videos of all splits, without the viewer at hand. Displacements are scaled by 24 factors "
        "that suit the validation split, because training users move more than others."
    )


def initialise(net: TaskNet, options: Options, pools: Sequence[Pool] = ()) -> None:
    """Set the linear path to the least absolute deviations fit: the network starts as that predictor."""
    assert isinstance(net, VPNet)
    recordings = load_recordings(_environment(options, pools).dataset)
    cut = _whole(windows(recordings, "train", step=options.step * FIT_STEP, trim_head=HISTORY))
    start_linear(net, cut.history, cut.future)


def start_linear(net: VPNet, history: np.ndarray, future: np.ndarray) -> None:
    """Fit the linear path to windows, (n, 10, 3) and (n, 20, 3) degrees."""
    last = torch.from_numpy(history[:, -1:])
    past = wrap(torch.from_numpy(history[:, :-1]) - last).numpy()
    moved = wrap(torch.from_numpy(future) - last).numpy()
    for axis in range(3):
        fitted = least_absolute(past[:, :, axis], moved[:, :, axis])
        net.history_weight.data[axis] = torch.from_numpy(fitted).to(net.history_weight)


class VPSource:
    """Windows of the training split, each seen turned over left-right and upside down or not; paths to regress.

    A share of the windows does not see the previous viewers, so that the same weights predict without them. Nets that
    read image features see nothing turned over. Making it gives the net the previous viewers to look up.

    Arguments:
        net: what is trained.
        pools: of VP-v0; empty: windows are cut from the recordings.
        seed: determines which windows are turned over or alone in each iteration.
        options: see there.

    ``ValueError``, one line, for pools of several data sets and for data without what the net reads.
    """

    def __init__(self, net: TaskNet, pools: Sequence[Pool], seed: int, options: Options):
        assert isinstance(net, VPNet)
        if options.step < 1 or not 0 <= options.alone <= 1:
            raise ValueError(f"step must be 1 or more and alone from 0 to 1, not {options.step} and {options.alone}")
        data = _environment(options, pools)
        if net.features and not data.features:
            raise ValueError("the net reads image features: give --set features=FILE, or a pool that was collected so")
        self._net, self._pools, self._seed, self._options = net, pools, seed, options
        self._recordings: Recordings = load_recordings(data.dataset)
        self._viewers = PreviousViewers(self._recordings)
        self._features = load_features(data.features, np.unique(self._recordings.video)) if net.features else None
        self._windows: Labelled | None = None
        self._valid = _whole(windows(self._recordings, "valid", step=VALIDATION_STEP))
        if not len(self._valid.user):
            raise ValueError(
                f"data set {data.dataset!r} has no whole windows in its validation split: recordings too short"
            )
        net.previous_viewers = self._viewers

    def gather(self, phase: Phase, iteration: int, policy: SequencePolicy) -> Labelled:
        """All training windows, anew turned over and alone."""
        if self._windows is None:
            self._windows = self._all_windows()
        known = self._windows
        rng = np.random.default_rng([self._seed, iteration])
        steps, count = dict(known.sequences.steps), len(known)
        turn = np.ones((count, 3), dtype=np.float32)
        for factors in (MIRROR, UPSIDE_DOWN):
            turn *= np.where(rng.random((count, 1)) < 0.5, np.array(factors, dtype=np.float32), 1)
        if self._net.features:
            turn[:] = 1
        steps["turn"] = turn
        steps["sees"] = np.asarray(steps["sees"]) & (rng.random(count) >= self._options.alone)
        own = known.sequences
        return Labelled(Sequences(steps, own.lengths, own.previous, own.numbers), known.targets)

    def loss(self, phase: Phase, outputs: list[Tensor], targets: dict[str, Tensor]) -> Tensor:
        """float32 (S,): mean absolute error in degrees, differences wrapped, for the mean; the scale learns from it."""
        mean, log_scale = outputs
        error = wrap(targets[PATH_LABEL] - mean).abs()
        surprise = error.detach() * torch.exp(-log_scale) + log_scale  # -log of Laplace's density, but for a constant
        return (error + surprise).mean(dim=(1, 2))

    def validate(self, policy: SequencePolicy) -> dict[str, float]:
        """Mean absolute errors in degrees on validation users and videos, with previous viewers and without.

        ``valid`` is minus the mean of the two. Before, it sets the factors of displacements in the policy's net to
        those that suit these windows.
        """
        net = policy.model.task
        assert isinstance(net, VPNet)
        last = torch.from_numpy(self._valid.history[:, -1:])
        actual = wrap(torch.from_numpy(self._valid.future) - last)
        figures = {}
        for name, sees in (("mae", True), ("mae_alone", False)) if net.look_at_viewers else (("mae_alone", False),):
            net.shrink[int(sees)] = 1
            moved = wrap(torch.from_numpy(self._predicted(policy, sees)) - last)
            factors = fit_scale(moved, actual)
            net.shrink[int(sees)] = factors.to(net.shrink)
            figures[name] = float(wrap(actual - factors * moved).abs().mean())
        return {"valid": -sum(figures.values()) / len(figures), **figures}

    def targets(self) -> list[float]:
        """There are no returns."""
        return []

    def _all_windows(self) -> Labelled:
        if self._pools:
            data = labelled(self._pools, self._net)
            if PATH_LABEL not in data.targets:
                raise PoolError(f"{self._pools[0].folder}: no column {PATH_LABEL} to learn from; collect it anew")
            return data
        cut = _whole(windows(self._recordings, "train", step=self._options.step, trim_head=HISTORY))
        if not len(cut.user):
            raise ValueError(f"data set {self._recordings.name!r} has no whole training windows: recordings too short")
        return Labelled.concatenate([self._labelled(part) for part in _parts(cut)])

    def _labelled(self, cut: Windows) -> Labelled:
        steps = self._net.observe(*self._seen(cut, True))
        count = len(cut.user)
        one = np.ones(count, dtype=np.int64)
        sequences = Sequences(steps, one, np.full((count, 0), -1), np.zeros(count, dtype=np.int64))
        return Labelled(sequences, {PATH_LABEL: cut.future.astype(np.float32)})

    def _predicted(self, policy: SequencePolicy, sees: bool) -> np.ndarray:
        """float32 (windows, 20, 3): paths in the validation windows."""
        rows = np.arange(AT_ONCE)
        policy.reset_rows(rows, [None] * AT_ONCE)
        paths = []
        for part in _parts(self._valid):
            observations, infos = self._seen(part, sees)
            paths.append(policy.act_batch(observations, {**infos, "row": rows[: len(part.user)]}))
        return np.concatenate(paths)

    def _seen(self, cut: Windows, sees: bool) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Observations and infos of windows, as the environment gives them."""
        observations = {"history": cut.history, "time_s": cut.time_s[:, None].astype(np.float32)}
        if self._features is not None:
            observations["features"] = self._features.at(cut.video, cut.time_s)
        if self._net.saliency:
            first = playback_index(cut.time_s) - HISTORY + 1
            observations["saliency"] = self._viewers.heat_maps(
                cut.video, first, HISTORY + HORIZON, exclude_user=cut.user
            )
        viewers = self._viewers if sees else None
        return observations, {"video": cut.video, "user": cut.user, "horizon": HORIZON, "previous_viewers": viewers}


class _Data(NamedTuple):
    dataset: str
    features: str | None
    saliency: bool


def _environment(options: Options, pools: Sequence[Pool]) -> _Data:
    """Where recordings and image features are, and whether there are heat maps."""
    if not pools:
        return _Data(options.dataset, options.features or None, options.saliency)
    found = {
        _Data(given.get("dataset", "synthetic"), given.get("features"), bool(given.get("saliency", False)))
        for given in (pool.env_options for pool in pools)
    }
    if len(found) > 1:
        names = ", ".join(str(pool.folder) for pool in pools)
        raise PoolError(f"{names}: of several data sets, or not with the same image features and heat maps")
    return found.pop()


def _whole(cut: Windows) -> Windows:
    """Windows without a gap."""
    return Windows(*(np.ascontiguousarray(values[cut.valid]) for values in cut))


def _parts(cut: Windows) -> list[Windows]:
    """The same windows, ``AT_ONCE`` at a time."""
    return [Windows(*(values[begin : begin + AT_ONCE] for values in cut)) for begin in range(0, len(cut.user), AT_ONCE)]


def share(student: TaskNet, teacher: TaskNet) -> None:
    """Give the teacher the previous viewers that the source has found."""
    assert isinstance(student, VPNet) and isinstance(teacher, VPNet)
    teacher.previous_viewers = student.previous_viewers


def looked_up(pool: Pool) -> dict[str, np.ndarray]:
    """The recordings that previous viewers are looked up in; steps say when and where."""
    recordings = load_recordings(_environment(Options(), [pool]).dataset)
    shown = {f"viewers/{name}": getattr(recordings, name) for name in ("offset", "angles_deg", "time_s")}
    shown |= {"viewers/video": recordings.video, "viewers/user": recordings.user}
    return {**shown, "viewers/train": np.array(recordings.splits["train"].users)}


TRAINING = TrainingRecipe(
    options=Options,
    source=VPSource,
    phases=phases,
    describe=describe,
    context=1,  # predictions change nothing: each stands alone
    optimisation={"batch": 256, "average": 0.998, "weight_decay": 0.05},
    net_of_data=net_arguments,
    initialise=initialise,
    share=share,
    looked_up=looked_up,
    path_label=PATH_LABEL,
    variants={"viewers=false": {"viewers": False}},
    student=StudentRecipe(
        phases=(Phase(ON_POLICY, iterations=10, steps=283, keep=1, learning_rate=1e-3, warmup=100),),
        source_phases={ON_POLICY: "regress"},
        encoders={"small": {"hidden": 128, "width": 48}},
    ),
)
