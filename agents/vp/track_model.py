"""The network of TRACK (Romero Rondon et al., IEEE TPAMI 2021) and a variant of it that moves in degrees.

TRACK encodes the recent positions, the recent saliency maps and the two together with an LSTM each. The decoder has
three LSTMs of its own that start from the encoder's states; each step reads its own last position and the saliency
map of that step, and adds a movement to the position. The LSTM that fuses the two starts every step from the
encoder's state, as in the published code (github.com/MiguelFRomeroR/Analysis-of-head-motion-prediction-in-VR).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from agents.vp.angles import compress, wrap
from netenvs.vp.heat_maps import CELL_DEG, COLUMNS, ROWS

HISTORY, HORIZON = 10, 20
PAST = HISTORY - 1
"""Samples that the encoder reads; the last one observed is the decoder's first input."""
DEGREE_FEATURES = 11


@dataclass(frozen=True)
class TrackConfig:
    """Size and kind of the network."""

    hidden: int = 256
    """Units of each LSTM."""
    saliency: bool = True
    """False: only positions, the paper's ablation without the saliency LSTM."""
    space: str = "sphere"
    """``sphere``: positions are unit vectors, as in the paper; ``degrees``: displacements from the last sample."""
    dropout: float = 0.0
    """Of the fused state."""

    def __post_init__(self) -> None:
        if self.hidden < 1 or not 0 <= self.dropout < 1 or self.space not in ("sphere", "degrees"):
            raise ValueError(f"hidden must be 1 or more, dropout in [0, 1), space sphere or degrees: {self}")


class TrackNet(nn.Module):
    """Positions and saliency maps in, movements out."""

    def __init__(self, config: TrackConfig):
        super().__init__()
        hidden = config.hidden
        self.config = config
        self.inputs = 3 if config.space == "sphere" else DEGREE_FEATURES
        fused = 2 * hidden if config.saliency else hidden
        self.position_encoder = nn.LSTM(self.inputs, hidden, batch_first=True)
        self.position_decoder = nn.LSTMCell(self.inputs, hidden)
        if config.saliency:
            self.saliency_encoder = nn.LSTM(ROWS * COLUMNS, hidden, batch_first=True)
            self.saliency_decoder = nn.LSTM(ROWS * COLUMNS, hidden, batch_first=True)
        self.fuse_encoder = nn.LSTM(fused, hidden, batch_first=True)
        self.fuse_decoder = nn.LSTMCell(fused, hidden)
        self.dense = nn.Linear(hidden, hidden)
        self.movement = nn.Linear(hidden, 3)
        self.dropout = nn.Dropout(config.dropout)
        if config.space == "degrees":
            nn.init.zeros_(self.movement.weight)
            nn.init.zeros_(self.movement.bias)

    def forward(self, history: Tensor, maps: Tensor | None) -> Tensor:
        """The predicted path, float32 (k, 20, 3).

        Arguments:
            history: float32 (k, 10, 3) degrees, roll, pitch, yaw.
            maps: float32 (k, 29, 18, 36): heat maps of the last 9 observed and the 20 predicted instants; None for
                a network without saliency. In space ``degrees`` they are centred on the last yaw, see ``centred``.

        In space ``sphere`` the path is of unit vectors (not renormalised, as published), without roll; in space
        ``degrees`` it is the displacement from the last sample.
        """
        sphere = self.config.space == "sphere"
        position = to_vectors(history[:, -1]) if sphere else torch.zeros_like(history[:, -1])
        if sphere:
            past = to_vectors(history[:, :-1])
        else:
            past = degree_features(wrap(history - history[:, -1:]), history[:, -1])[:, :-1]
        encoded, (h, c) = self.position_encoder(past)
        state = h[0], c[0]
        seen = None
        if maps is not None:
            flat = maps.flatten(2)
            encoded_maps, memory = self.saliency_encoder(flat[:, :PAST])
            seen, _ = self.saliency_decoder(flat[:, PAST:], memory)
            encoded = torch.cat([encoded_maps, encoded], dim=-1)
        _, (h, c) = self.fuse_encoder(encoded)
        fused_start = h[0], c[0]

        path, movement = [], torch.zeros_like(position)
        if not sphere:
            movement = wrap(history[:, -1] - history[:, -2])
        for step in range(HORIZON):
            read = position if sphere else step_features(position, movement, history[:, -1])
            state = self.position_decoder(read, state)
            joined = state[0] if seen is None else torch.cat([seen[:, step], state[0]], dim=-1)
            fused, _ = self.fuse_decoder(joined, fused_start)
            movement = self.movement(relu(self.dense(self.dropout(fused))))
            position = position + movement
            path.append(position)
        return torch.stack(path, dim=1)


def step_features(displacement: Tensor, movement: Tensor, last: Tensor) -> Tensor:
    """float32 (..., 11): displacement from the last sample on two scales, movement of the step, last roll and pitch."""
    level = (last[..., :2] / 15).clamp(-4, 4).expand(*displacement.shape[:-1], 2)
    return torch.cat([(displacement / 20).clamp(-4, 4), compress(displacement), compress(movement), level], dim=-1)


def degree_features(displacements: Tensor, last: Tensor) -> Tensor:
    """``step_features`` of a history, float32 (k, 10, 3) displacements; its first sample has not moved."""
    movement = nn.functional.pad(wrap(displacements.diff(dim=1)), (0, 0, 1, 0))
    return step_features(displacements, movement, last[:, None])


def to_vectors(angles_deg: Tensor) -> Tensor:
    """Unit vectors (..., 3) of roll, pitch, yaw: (cos p sin y, sin p, cos p cos y)."""
    _, pitch, yaw = torch.deg2rad(angles_deg).unbind(dim=-1)
    return torch.stack([pitch.cos() * yaw.sin(), pitch.sin(), pitch.cos() * yaw.cos()], dim=-1)


def to_degrees(vectors: Tensor, roll_deg: Tensor) -> Tensor:
    """Roll, pitch, yaw (..., 3) of vectors of any length; ``roll_deg`` (...) is put in as it is."""
    x, y, z = vectors.unbind(dim=-1)
    pitch = torch.rad2deg(torch.atan2(y, torch.hypot(x, z)))
    return torch.stack([roll_deg, pitch, torch.rad2deg(torch.atan2(x, z))], dim=-1)


def centred(maps: Tensor, yaw_deg: Tensor) -> Tensor:
    """Maps (k, n, 18, 36) turned so that yaw ``yaw_deg`` (k,) comes to the middle, between columns 17 and 18.

    Between columns values are interpolated linearly.
    """
    shift = yaw_deg / CELL_DEG
    whole = shift.floor()
    part = (shift - whole)[:, None, None, None]
    columns = torch.arange(COLUMNS + 1, device=maps.device) + whole.long()[:, None]
    turned = _columns(maps, columns)
    left, right = turned[..., :-1], turned[..., 1:]
    return left + part * (right - left)


def _columns(maps: Tensor, columns: Tensor) -> Tensor:
    index = torch.remainder(columns, COLUMNS)[:, None, None, :].expand(*maps.shape[:-1], -1)
    return maps.gather(-1, index)
