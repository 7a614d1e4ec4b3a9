"""The network that attends to previous viewers of the same video.

It sees a viewer's last two seconds and, for every previous viewer, the two seconds before and the four seconds
after the same moment of the video. It predicts how far the head moves from the last sample, in degrees: a linear
path from the own history, a correction by a multi-layer perceptron, and movements *copied* from the previous
viewers in proportion to attention weights and gates. No input depends on the absolute yaw, so turning everything by
the same yaw turns the prediction; mirroring everything mirrors it, because the two are averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from agents.vp.angles import compress, wrap

HISTORY, HORIZON = 10, 20
PAST_INSTANTS = (0, 3, 6, 8)  # of a previous viewer's history, t-10, t-7, t-4 and t-2
FUTURE_INSTANTS = (0, 2, 4, 7, 10, 13, 16, 19)  # of a previous viewer's future
HISTOGRAM_INSTANTS = (0, 4, 9, 14, 19)
HISTOGRAM_BINS, HISTOGRAM_SIGMA_DEG = 18, 12.0
SMALLEST_LOG = -80.0  # smaller exponentials than of this are slow to compute, and nothing
OWN_FEATURES = 2 * 3 * (HISTORY - 1) + 6 + 3
VIEWER_FEATURES = 3 * len(PAST_INSTANTS) + 5 + 9 + 5 * len(FUTURE_INSTANTS)
YAW_LIMIT_DEG, PITCH_LIMIT_DEG = 90.0, 60.0  # a viewer farther away attracts no more than this
OUTPUT_SCALE_DEG = 10.0


@dataclass(frozen=True)
class ViewersConfig:
    """Size of the network."""

    hidden: int = 192
    """Units of the layers that see everything."""
    width: int = 64
    """Units of the description of a previous viewer."""
    heads: int = 4
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if min(self.hidden, self.width, self.heads) < 1 or not 0 <= self.dropout < 1:
            raise ValueError(f"hidden, width and heads must be 1 or more, dropout in [0, 1): {self}")


class Surroundings(NamedTuple):
    """Where k viewers and v previous viewers of each look and go, in degrees; only levels are absolute."""

    past: Tensor
    """float32 (k, 9, 3): own samples from the last one."""
    viewer_past: Tensor
    """float32 (k, v, 9, 3): a previous viewer's samples from its own of the same moment."""
    movement: Tensor
    """float32 (k, v, 20, 3): and those of the next 4 s."""
    relative: Tensor
    """float32 (k, v, 21, 2): pitch and yaw of a previous viewer from the own last sample, at that moment and after."""
    apart: Tensor
    """float32 (k, v, 10, 2): own minus previous viewer's pitch and yaw at the same moments."""
    pitch: Tensor
    """float32 (k, v): a previous viewer's, absolute."""

    @property
    def position(self) -> Tensor:
        """float32 (k, v, 20, 2): ``ahead``, cut off where a previous viewer attracts no more."""
        limits = self.relative.new_tensor([PITCH_LIMIT_DEG, YAW_LIMIT_DEG])
        return self.ahead.clamp(-limits, limits)

    @property
    def ahead(self) -> Tensor:
        """float32 (k, v, 20, 2): ``relative`` in the next 4 s."""
        return self.relative[:, :, 1:]


def surroundings(history: Tensor, viewers: Tensor) -> Surroundings:
    """Of own samples (k, 10, 3) and those of previous viewers (k, v, 30, 3), in degrees."""
    last = history[:, -1]
    viewer_last = viewers[:, :, HISTORY - 1 : HISTORY]
    return Surroundings(
        past=wrap(history[:, :-1] - last[:, None]),
        viewer_past=wrap(viewers[:, :, : HISTORY - 1] - viewer_last),
        movement=wrap(viewers[:, :, HISTORY:] - viewer_last),
        relative=wrap(viewers[:, :, HISTORY - 1 :, 1:] - last[:, None, None, 1:]),
        apart=wrap(history[:, None, :, 1:] - viewers[:, :, :HISTORY, 1:]),
        pitch=viewers[:, :, HISTORY - 1, 1],
    )


class ViewersNet(nn.Module):
    """One trained network; ``forward`` gives the displacement from the last sample."""

    def __init__(self, config: ViewersConfig):
        super().__init__()
        hidden, width, heads = config.hidden, config.width, config.heads
        self.config = config
        self.history_weight = nn.Parameter(torch.zeros(3, HISTORY - 1, HORIZON))
        self.own = nn.Linear(OWN_FEATURES, hidden)
        self.viewer = nn.Linear(VIEWER_FEATURES, width)
        self.viewer_given_own = nn.Linear(hidden, width, bias=False)
        self.token = nn.Linear(width, width)
        self.attention = nn.Linear(width, heads)
        self.nobody = nn.Linear(hidden, heads)
        summary = hidden + heads * width + width + heads + HISTOGRAM_BINS * len(HISTOGRAM_INSTANTS)
        self.first = nn.Linear(summary, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.correction = nn.Linear(hidden, HORIZON * 3)
        self.movement_gate = nn.Linear(hidden, heads * HORIZON * 3)
        self.position_gate = nn.Linear(hidden, heads * HORIZON * 2)
        self.dropout = nn.Dropout(config.dropout)
        for layer in (self.correction, self.movement_gate, self.position_gate):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, history: Tensor, viewers: Tensor, present: Tensor) -> Tensor:
        """Displacement from the last sample, float32 (k, 20, 3) degrees.

        Arguments:
            history: float32 (k, 10, 3) degrees, roll, pitch, yaw.
            viewers: float32 (k, v, 30, 3) degrees: previous viewers' samples of the same 2 s and the next 4 s.
            present: bool (k, v): False for a viewer to be left out; its samples may be anything finite.
        """
        around = surroundings(history, viewers)
        own = self.dropout(relu(self.own(own_features(history, around.past))))
        features = viewer_features(around)
        token = relu(self.token(relu(self.viewer(features) + self.viewer_given_own(own)[:, None])))
        logits = self.attention(token).masked_fill(~present[..., None], -torch.inf)
        weights = torch.cat([logits, self.nobody(own)[:, None]], dim=1).softmax(dim=1)
        nobody, weights = weights[:, -1], weights[:, :-1]  # (k, heads), (k, v, heads)
        shares = present.to(token.dtype) / present.sum(dim=1, keepdim=True).clamp(min=1)
        summary = torch.cat(
            [
                own,
                torch.einsum("kvh,kvw->khw", weights, token).flatten(1),
                torch.einsum("kv,kvw->kw", shares, token),
                nobody,
                yaw_histogram(around.ahead[..., 1], shares),
            ],
            dim=1,
        )
        state = self.dropout(relu(self.first(summary)))
        state = self.dropout(relu(self.second(state)))

        copied_movement = torch.einsum("kvh,kvsc->khsc", weights, around.movement)
        copied_position = torch.einsum("kvh,kvsc->khsc", weights, around.position)
        movement_gate = self.movement_gate(state).view(copied_movement.shape)
        position_gate = self.position_gate(state).view(copied_position.shape)
        attracted = (position_gate * copied_position).sum(dim=1)
        return (
            torch.einsum("ktc,cts->ksc", around.past, self.history_weight)
            + OUTPUT_SCALE_DEG * self.correction(state).view(-1, HORIZON, 3)
            + (movement_gate * copied_movement).sum(dim=1)
            + nn.functional.pad(attracted, (1, 0))
        )


def own_features(history: Tensor, past: Tensor) -> Tensor:
    """float32 (k, 63): displacements ``past`` (k, 9, 3) on two scales, recent speed, roll and pitch."""
    speed = wrap(history.diff(dim=1)).abs()
    level = history[:, -1, :2]
    return torch.cat(
        [
            (past / 20).clamp(-4, 4).flatten(1),
            compress(past).flatten(1),
            torch.log1p(speed.mean(dim=1)),
            torch.log1p(speed[:, -3:].mean(dim=1)),
            (level / 15).clamp(-4, 4),
            compress(level[:, 1:]),
        ],
        dim=1,
    )


def viewer_features(around: Surroundings) -> Tensor:
    """float32 (k, v, 66): where each previous viewer looks and goes, and how alike the two histories are."""
    pitch, yaw = around.relative[:, :, 0].unbind(dim=-1)
    radians = torch.deg2rad(yaw)
    distance = _length(around.apart)
    unlike = _length(around.past[:, None, :, 1:] - around.viewer_past[..., 1:])
    distances = torch.stack([distance.mean(dim=-1), distance[:, :, -4:].mean(dim=-1), unlike.mean(dim=-1)], dim=-1)
    ahead = _at(around.ahead, FUTURE_INSTANTS)
    return torch.cat(
        [
            compress(_at(around.viewer_past, PAST_INSTANTS)).flatten(2),
            torch.stack([radians.sin(), radians.cos(), yaw / 45, pitch / 15, around.pitch / 15], -1),
            torch.log1p(distances),
            torch.exp(-distances / 10),
            torch.exp(-distances / 5),
            compress(_at(around.movement, FUTURE_INSTANTS)).flatten(2),
            (ahead[..., 0] / 30).clamp(-2, 2),
            (ahead[..., 1] / 45).clamp(-2, 2),
        ],
        dim=-1,
    )


def _length(plane: Tensor) -> Tensor:
    """Of vectors, (..., 2)."""
    x, y = plane.unbind(dim=-1)
    return (x * x).addcmul_(y, y).sqrt_()


def _at(values: Tensor, instants: tuple[int, ...]) -> Tensor:
    """Some ``instants`` of (k, v, n, ...)."""
    return values.index_select(2, torch.tensor(instants, device=values.device))


def yaw_histogram(yaw: Tensor, shares: Tensor) -> Tensor:
    """float32 (k, 90): how many viewers look how far left or right at 5 instants.

    ``yaw``, (k, v, 20) in [-180, 180], is that from the own last sample. A viewer counts as a Gaussian of 12 degrees
    with its share (k, v).
    """
    centres = torch.arange(HISTOGRAM_BINS, dtype=yaw.dtype, device=yaw.device) * (360 / HISTOGRAM_BINS) - 180
    # minus how far away, at most 180
    away = (_at(yaw, HISTOGRAM_INSTANTS)[..., None] - centres).abs_().sub_(180).abs_().sub_(180)
    weights = away.square_().mul_(-0.5 / HISTOGRAM_SIGMA_DEG**2).clamp_(min=SMALLEST_LOG).exp_()
    return (shares[:, None] @ weights.flatten(2)).squeeze(1)
