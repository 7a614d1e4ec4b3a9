"""Least absolute deviations: one robust linear regression an axis and step, and the command that fits them.

python -m agents.vp.lad --dataset jin2022 --folder my-lad
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from agents import pretrained
from agents.pretrained import CHECKPOINTS, CONFIG, WEIGHTS
from agents.vp.irls import least_absolute
from agents.vp.predictor import Predictor, displacements
from netenvs.command_line import run
from netenvs.errors import printable
from netenvs.files import is_file
from netenvs.vp import sphere
from netenvs.vp.recordings import TRIM_TAIL, Recordings, windows
from netenvs.vp.workload import load_recordings

SHIPPED = CHECKPOINTS / "vp-lad"


class LAD(Predictor):
    """A linear prediction of each angle from its own last movements, fitted to the mean absolute error.

    The angle at t + s is x[t] + sum over l of c[axis, s, l] (x[t - l] - x[t]), l = 1 ... 9, differences and sum wrapped
    in roll and yaw; nothing but the differences counts, so turning the head's path turns the prediction. The
    coefficients make the mean absolute error over the windows of a training split least (iteratively reweighted least
    squares, see ``agents.vp.irls``); those shipped are of ``jin2022``, for up to 60 steps. ``folder`` is one written
    by ``python -m agents.vp.lad``.
    """

    def __init__(self, folder: str = ""):
        self.coefficients, self.bytes = _read(Path(folder) if folder else SHIPPED)
        self.parameters = self.coefficients.size
        self.min_history = self.coefficients.shape[2] + 1

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """The predictor with the coefficients of a folder."""
        return cls(str(folder))

    def predict(self, history: np.ndarray, horizon: int) -> np.ndarray:
        _, steps, lags = self.coefficients.shape
        if horizon > steps:
            raise ValueError(f"{self.name} is fitted for {steps} steps, not for {horizon}")
        moves = past_moves(history, lags)
        turn = np.zeros((len(history), horizon, 3))
        for lag in range(lags):  # one at a time: the order of addition does not depend on the number of rows
            turn += moves[:, lag, None] * self.coefficients[:, :horizon, lag].T
        return sphere.wrap_deg(history[:, -1:] + turn)


def past_moves(history: np.ndarray, lags: int) -> np.ndarray:
    """float64 (k, lags, 3): x[t - 1] - x[t], x[t - 2] - x[t], ... of histories (k, h, 3)."""
    return displacements(history[:, -1 - lags : -1][:, ::-1], history[:, -1:])


def fit(recordings: Recordings, lags: int = 9, horizon: int = TRIM_TAIL, step: int = 5) -> np.ndarray:
    """Coefficients float64 (3, horizon, lags) from the windows of the training split, one every ``step`` samples."""
    cut = windows(recordings, "train", history=lags + 1, horizon=horizon, step=step)
    if not len(cut.user):
        raise ValueError(f"data set {recordings.name!r} has no windows in its training split")
    past = past_moves(cut.history, lags)
    ahead = displacements(cut.future, cut.history[:, -1:])
    return np.stack([least_absolute(past[..., axis], ahead[..., axis]).T for axis in range(3)])


def _read(folder: Path) -> tuple[np.ndarray, int]:
    """Coefficients of a folder as float64, and their size in bytes; ``ValueError`` says what is wrong with it."""
    for name in (CONFIG, WEIGHTS):
        if not is_file(folder / name):
            raise ValueError(f"{folder} holds no fitted coefficients: it has no {name}")
    try:
        coefficients = load_file(folder / WEIGHTS)["coefficients"].astype(np.float64)
    except (OSError, KeyError, SafetensorError) as error:
        raise ValueError(f"{folder / WEIGHTS} cannot be read, fit it anew: {error}") from None
    if coefficients.ndim != 3 or coefficients.shape[0] != 3 or not np.isfinite(coefficients).all():
        raise ValueError(f"{folder / WEIGHTS}: coefficients must be finite numbers (3, steps, lags); fit them anew")
    return coefficients, (folder / WEIGHTS).stat().st_size


@dataclass
class Args:
    """This fits the predictor ``lad`` on the training split of a data set, which takes a few seconds."""

    folder: Path
    """config.json and model.safetensors go to this folder, which then is a policy: ``--policies lad,./my-lad``."""
    dataset: str = "jin2022"
    """The recordings have this name, see ``netenvs.vp.workload.load_recordings``."""
    lags: int = 9
    """So many past movements count; the history must have one sample more."""
    horizon: int = TRIM_TAIL
    """So many steps are predicted, at most 60."""
    step: int = 5
    """The windows of a recording begin every so many samples."""


def main(args: Args) -> None:
    """Fit, save, and print the error on the validation split."""
    recordings = load_recordings(args.dataset)
    coefficients = fit(recordings, args.lags, args.horizon, args.step)
    weights = {"coefficients": np.ascontiguousarray(coefficients, dtype=np.float32)}
    config = {"policy": "lad", "dataset": args.dataset, "lags": args.lags, "horizon": args.horizon, "step": args.step}
    pretrained.write(args.folder, json.dumps(config, indent=1) + "\n", lambda path: save_file(weights, path))
    steps = min(20, args.horizon)
    cut = windows(recordings, "valid", history=args.lags + 1, horizon=steps)
    if len(cut.user):
        error = sphere.mae(LAD(str(args.folder)).predict(cut.history, steps), cut.future).mean()
        static = sphere.mae(cut.history[:, -1:], cut.future).mean()
        print(f"valid, {steps} steps: {error:.4f} degrees, static {static:.4f} ({100 * (error / static - 1):+.1f} %)")
    print(printable(f"written to {args.folder}"))


def command() -> None:
    """The command line; errors in one line."""
    run(main, Args, "python -m agents.vp.lad")


if __name__ == "__main__":
    command()
