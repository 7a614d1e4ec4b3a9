"""Encoders and head of ``netenvs/VP-v0``.

A prediction is how the head moves from its last sample, at all 20 steps at once. No input depends on the absolute
yaw, and differences of angles are wrapped, in training and at play by the same code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from agents.sequence.net import MASKED, Steps, TaskNet, Tokens
from agents.vp.angles import compress, wrap
from agents.vp.predictor import PREVIOUS_VIEWERS
from agents.vp.track_model import centred
from agents.vp.viewers_model import (
    HISTOGRAM_BINS,
    HISTOGRAM_INSTANTS,
    HISTORY,
    HORIZON,
    OUTPUT_SCALE_DEG,
    OWN_FEATURES,
    VIEWER_FEATURES,
    own_features,
    surroundings,
    viewer_features,
    yaw_histogram,
)
from netenvs.vp.heat_maps import COLUMNS, ROWS
from netenvs.vp.previous_viewers import PreviousViewers, playback_index

MAP_INSTANTS = (0, 5, 10, 15, 20)  # samples after the last observed one
VIEWPORT_FEATURES = 8
SCALE_DEG = 5.0
"""The scale of errors that a new network expects."""


class Memory(NamedTuple):
    """What the head needs besides hidden states."""

    last: Tensor
    """float32 (S, 3): the last observed sample, degrees, turned over where the step is."""
    past: Tensor
    """float32 (S, 9, 3): the samples before it, from it."""
    turn: Tensor
    """float32 (S, 3): -1 for axes that are turned over."""
    sees: Tensor
    """bool (S,): whether there are previous viewers."""
    copied: Copied | None
    """None in the layout ``netllm``."""


class Copied(NamedTuple):
    """What the head may copy of v previous viewers."""

    tokens: Tensor
    """float32 (S, v, width)."""
    logits: Tensor
    """float32 (S, v, heads) of attention; ``MASKED`` for viewers that do not count."""
    nobody: Tensor
    """float32 (S, heads) of attention to nobody."""
    movement: Tensor
    """float32 (S, v, 20, 3) degrees, from the viewer's own last sample."""
    position: Tensor
    """float32 (S, v, 20, 2) degrees: pitch and yaw from the own last sample."""


class VPNet(TaskNet):
    """One moment of a video as tokens; the path of the next 4 s.

    ``fused``: the previous viewers of the video are a token, if there are any, and the own last 2 s another. A previous
    viewer is described by the 2 s before and the 4 s after the same moment of the video; attention pools them. The
    head is a linear path from the own history, a correction, and movements and positions of previous viewers, copied
    in proportion to attention that the hidden state asks for, as in the predictor ``viewers``. Without previous
    viewers (of the data set, or with ``look_at_viewers = False``) the same weights go by the own history.

    ``netllm``: each of the last 10 viewports is a token (Wu et al., *NetLLM*, SIGCOMM 2024;
    github.com/duowuyms/NetLLM, ``viewport_prediction``), but in displacements instead of scaled absolute angles, and
    with all steps predicted at once instead of one after the other. It sees no previous viewers.

    Both layouts put a token of the frame's image features in front of all, and one of heat maps of previous viewers,
    if asked for. Each decision stands alone: predictions change nothing, so the model is played with context 1.

    Arguments:
        d_model, tokenisation: see ``TaskNet``; ``returns`` must be False, as there is nothing to choose.
        hidden, width, heads: units of the encoders, of the description of a previous viewer, attention heads.
        dropout: share of units left out in training.
        features: size of the image features that the environment shows, 0: none are read.
        saliency: whether heat maps are read.
    """

    task = "vp"
    continuous = True
    path_unit = 10.0  # degrees

    def __init__(
        self,
        d_model: int,
        tokenisation: str = "fused",
        returns: bool = False,
        hidden: int = 192,
        width: int = 64,
        heads: int = 4,
        dropout: float = 0.1,
        features: int = 0,
        saliency: bool = False,
    ):
        super().__init__(d_model, tokenisation, returns)
        if returns:
            raise ValueError("predictions change nothing, so there are no returns to condition on: returns=False")
        if min(hidden, width, heads) < 1 or not 0 <= dropout < 1 or features < 0:
            sizes = {"hidden": hidden, "width": width, "heads": heads, "dropout": dropout, "features": features}
            raise ValueError(f"hidden, width, heads: 1 or more, dropout in [0, 1), features 0 or more, not {sizes}")
        self.sizes = {"hidden": hidden, "width": width, "heads": heads, "dropout": dropout}
        self.features, self.saliency = features, saliency
        self.look_at_viewers = tokenisation == "fused"
        """False: predict without previous viewers, even where there are some."""
        self.previous_viewers: PreviousViewers | None = None
        """Those of the data set at hand, the last that ``observe`` was shown: ``embed`` looks their paths up."""
        self.history_weight = nn.Parameter(torch.zeros(3, HISTORY - 1, HORIZON))
        if tokenisation == "fused":
            self.own = nn.Linear(OWN_FEATURES, hidden)
            self.own_token = nn.Linear(hidden, d_model)
            self.viewer = nn.Linear(VIEWER_FEATURES, width)
            self.viewer_given_own = nn.Linear(hidden, width, bias=False)
            self.viewer_token = nn.Linear(width, width)
            self.attention = nn.Linear(width, heads)
            self.nobody = nn.Linear(hidden, heads)
            summary = heads * width + width + heads + HISTOGRAM_BINS * len(HISTOGRAM_INSTANTS)
            self.summary_token = nn.Linear(summary, d_model)
            self.query = nn.Linear(d_model, heads * width)
            self.nobody_given_hidden = nn.Linear(d_model, heads)
            self.movement_gate = nn.Linear(d_model, heads * HORIZON * 3)
            self.position_gate = nn.Linear(d_model, heads * HORIZON * 2)
        else:
            self.viewport = nn.Sequential(nn.Linear(VIEWPORT_FEATURES, hidden), nn.ReLU(), nn.Linear(hidden, d_model))
        if features:
            self.frame = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, d_model))
        if saliency:
            cells = len(MAP_INSTANTS) * ROWS * COLUMNS
            self.heat = nn.Sequential(nn.Linear(cells, hidden), nn.ReLU(), nn.Linear(hidden, d_model))
        self.correction = nn.Linear(d_model, HORIZON * 3)
        self.log_scale = nn.Linear(d_model, HORIZON * 3)
        self.dropout = nn.Dropout(dropout)
        self.shrink: Tensor
        self.register_buffer("shrink", torch.ones(2, HORIZON, 3))
        """Factors of displacements without and with previous viewers, but in training: 1, or what suits a validation
        split (``agents.vp.learned.fit_scale``)."""
        starts_at_zero = [self.correction, self.log_scale]
        if tokenisation == "fused":
            starts_at_zero += [self.query, self.movement_gate, self.position_gate]
        for layer in starts_at_zero:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @property
    def assumption(self) -> str | None:  # type: ignore[override]
        """See ``TaskNet``."""
        return PREVIOUS_VIEWERS if self.look_at_viewers or self.saliency else None

    @property
    def observation_options(self) -> dict[str, Any]:
        """See ``TaskNet``."""
        return {"saliency": True} if self.saliency else {}

    def config(self) -> dict[str, Any]:
        return {**super().config(), **self.sizes, "features": self.features, "saliency": self.saliency}

    def observe(self, observations: Mapping[str, np.ndarray], infos: Mapping[str, Any]) -> Steps:
        """Columns of observations and infos.

        ``history``, float32 (S, 10, 3) degrees; ``index``, int64, the last sample's instant on the playback grid;
        ``video``, ``user`` and ``horizon``, int64; ``sees``, bool: previous viewers may be looked at; ``features``,
        float32 (S, d), and ``heat``, float32 (S, 5, 18, 36), for nets that read them. Trainings add ``turn``,
        float32 (S, 3), the factors, 1 or -1, of axes that the network is to see (and predict) turned over.
        ``ValueError``, one line, for observations without what the net reads.
        """
        history = np.asarray(observations["history"], dtype=np.float32)
        steps = len(history)
        if history.shape[1] < HISTORY:
            raise ValueError(f"it reads {HISTORY} observed samples, not {history.shape[1]}: set history={HISTORY}")
        viewers = infos.get("previous_viewers")
        if viewers is not None:
            self.previous_viewers = viewers
        sees = self.look_at_viewers and viewers is not None
        columns: Steps = {
            "history": history[:, -HISTORY:],
            "index": playback_index(np.asarray(observations["time_s"]).reshape(-1)),
            "sees": np.full(steps, sees),
        }
        for name in ("video", "user", "horizon"):
            columns[name] = np.broadcast_to(np.asarray(infos[name]).astype(np.int64), steps).copy()
        if self.features:
            shape = observations["features"].shape[1:] if "features" in observations else None
            if shape != (self.features,):
                found = "none" if shape is None else f"{shape[0]}"
                raise ValueError(f"it reads {self.features} image features of a frame, not {found}: set features=FILE")
            columns["features"] = np.asarray(observations["features"], dtype=np.float32)
        if self.saliency:
            if "saliency" not in observations:
                raise ValueError("it reads heat maps: set saliency=True")
            maps = np.asarray(observations["saliency"])
            now = history.shape[1] - 1
            if maps.shape[1] <= now + MAP_INSTANTS[-1]:
                raise ValueError(f"it reads heat maps of {HORIZON} samples to come: set horizon={HORIZON}")
            columns["heat"] = maps[:, [now + instant for instant in MAP_INSTANTS]].astype(np.float32)
        return columns

    def embed(self, steps: Steps, previous: np.ndarray, returns: Tensor | None) -> Tokens:
        arrays = self.arrays(steps)
        embeddings, there, memory = self.read(
            {name: torch.from_numpy(values).to(self.device) for name, values in arrays.items()}
        )
        return Tokens(embeddings[there], there.sum(dim=1), memory)

    def arrays(self, steps: Steps) -> dict[str, np.ndarray]:
        """What ``read`` reads of the steps.

        Columns of ``observe``: ``history``, and, where they are there, ``turn``, ``features`` and ``heat``. In the
        layout ``fused`` samples of v previous viewers in degrees as ``viewers``, float32 (S, v, 30, 3), and as
        ``present``, bool (S, v), who has all of them and may be seen.
        """
        names: list[str] = [name for name in ("history", "turn", "features", "heat") if name in steps]
        found: dict[str, np.ndarray] = {name: np.asarray(steps[name]) for name in names}
        if self.tokenisation == "fused":
            found["viewers"], found["present"] = self._looked_up(steps)
        return found

    def read(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Memory]:
        """Tokens, float32 (S, t, d_model), which of them there are, bool (S, t), and what the head needs besides.

        ``inputs`` are ``arrays`` as tensors.
        """
        history = inputs["history"]
        turn = inputs["turn"] if "turn" in inputs else history.new_ones(history.shape[0], 3)
        everywhere = torch.ones(history.shape[0], dtype=torch.bool, device=history.device)
        tokens = []
        if self.features:
            tokens.append((self.frame(inputs["features"]), everywhere))
        if self.saliency:
            tokens.append(self._heat_token(inputs["heat"], history[:, -1, 2], turn))
        history = history * turn[:, None]
        if self.tokenisation == "fused":
            viewers = inputs["viewers"] * turn[:, None, None] if "turn" in inputs else inputs["viewers"]
            own, summary, sees, past, copied = self._fused(history, viewers, inputs["present"])
            tokens += [(summary, sees), (own, everywhere)]
        else:
            past, copied, sees = wrap(history[:, :-1] - history[:, -1:]), None, ~everywhere
            tokens += [(token, everywhere) for token in self._viewports(history).unbind(dim=1)]
        embeddings = torch.stack([token.float() for token, _ in tokens], dim=1)
        there = torch.stack([mask for _, mask in tokens], dim=1)
        return embeddings, there, Memory(history[:, -1], past, turn, sees, copied)

    def path(self, hidden: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Mean and log scale of roll, pitch and yaw at each step, float32 (S, 20, 3) each.

        The mean is in degrees, roll and yaw in [-180, 180); the scale is that of a Laplace distribution, the mean
        absolute error in degrees that the network expects.
        """
        with torch.autocast(hidden.device.type, enabled=False):  # bfloat16 has too few digits for degrees
            state = self.dropout(hidden.float())
            moved = (memory.past.permute(2, 0, 1) @ self.history_weight).permute(1, 2, 0)
            moved = moved + OUTPUT_SCALE_DEG * self.correction(state).view(-1, HORIZON, 3)
            if memory.copied is not None:
                moved = moved + self._copied(state, memory.copied)
            if not self.training:
                moved = self.shrink[memory.sees.long()] * moved
            log_scale = self.log_scale(state).view(-1, HORIZON, 3) + math.log(SCALE_DEG)
            # turned over twice is as it was
            return wrap((memory.last[:, None] + moved) * memory.turn[:, None]), log_scale

    def apart(self, one: Tensor, other: Tensor) -> Tensor:
        """Degrees the short way round, in [-180, 180)."""
        return wrap(one - other)

    def to_env(self, actions: np.ndarray, steps: Steps) -> np.ndarray:
        """Paths of the horizon asked for, float32 (S, horizon, 3): cut off, or with the last sample repeated."""
        horizon = int(np.asarray(steps["horizon"]).max())
        path: np.ndarray = actions[:, :horizon].astype(np.float32)
        if horizon > HORIZON:
            path = np.concatenate([path, np.repeat(path[:, -1:], horizon - HORIZON, axis=1)], axis=1)
        np.clip(path[..., 1], -90, 90, out=path[..., 1])
        return path

    def _heat_token(self, heat: Tensor, yaw_deg: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
        """Of maps with the own last viewport in the middle column, turned over with everything else."""
        maps = centred(heat, yaw_deg)
        maps = torch.where((turn[:, 1] < 0)[:, None, None, None], maps.flip(2), maps)
        maps = torch.where((turn[:, 2] < 0)[:, None, None, None], maps.flip(3), maps)
        return self.heat(maps.flatten(1)), maps.flatten(1).any(dim=1)

    def _viewports(self, history: Tensor) -> Tensor:
        """(S, 10, d_model): displacement from the last sample on two scales, roll and pitch of each viewport."""
        moved = wrap(history - history[:, -1:])
        scaled = [(moved / 20).clamp(-4, 4), compress(moved), (history[..., :2] / 15).clamp(-4, 4)]
        token: Tensor = self.viewport(torch.cat(scaled, dim=2))
        return token

    def _fused(
        self, history: Tensor, viewers: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Copied]:
        """Own token, summary token, who has the latter, own displacements, and what may be copied."""
        around = surroundings(history, viewers)
        own = self.dropout(torch.relu(self.own(own_features(history, around.past)))).float()
        described = self.viewer(viewer_features(around)) + self.viewer_given_own(own)[:, None]
        token = torch.relu(self.viewer_token(torch.relu(described))).float()
        logits = self.attention(token).float().masked_fill(~present[..., None], MASKED)
        nobody = self.nobody(own).float()
        weights = torch.cat([logits, nobody[:, None]], dim=1).softmax(dim=1)
        shares = present.float() / present.sum(dim=1, keepdim=True).clamp(min=1)
        summary = [
            (weights[:, :-1].mT @ token).flatten(1),
            (shares[:, None] @ token).squeeze(1),
            weights[:, -1],
            yaw_histogram(around.ahead[..., 1], shares),
        ]
        summary_token = self.summary_token(self.dropout(torch.cat([part.float() for part in summary], dim=1)))
        copied = Copied(token, logits, nobody, around.movement, around.position)
        return self.own_token(own), summary_token, present.any(dim=1), around.past, copied

    def _looked_up(self, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
        """Samples of previous viewers, float32 (S, v, 30, 3), and who has all of them and may be seen, bool (S, v)."""
        column = {name: np.asarray(steps[name]) for name in ("video", "index", "user", "sees")}
        if not column["sees"].any():
            none = np.zeros((len(column["sees"]), 0, HISTORY + HORIZON, 3), dtype=np.float32)
            return none, none[..., 0, 0] > 0
        if self.previous_viewers is None:
            raise ValueError("these steps see previous viewers, who are not at hand: set the net's previous_viewers")
        paths = self.previous_viewers.paths(column["video"], column["index"], HISTORY, HORIZON, column["user"])
        present = paths.present.all(axis=2) & column["sees"][:, None]
        return paths.angles_deg, present

    def _copied(self, state: Tensor, copied: Copied) -> Tensor:
        """float32 (S, 20, 3) degrees: gated means of previous viewers, weighted by what the hidden state looks for."""
        heads, width = self.sizes["heads"], self.sizes["width"]
        query = self.query(state).view(-1, heads, width)
        logits = copied.logits + copied.tokens @ (query.mT / width**0.5)
        nobody = copied.nobody + self.nobody_given_hidden(state)
        weights = torch.cat([logits, nobody[:, None]], dim=1).softmax(dim=1)[:, :-1].mT  # (S, heads, v)
        movement = (weights @ copied.movement.flatten(2)) * self.movement_gate(state).unflatten(1, (heads, -1))
        position = (weights @ copied.position.flatten(2)) * self.position_gate(state).unflatten(1, (heads, -1))
        attracted = nn.functional.pad(position.sum(dim=1).unflatten(1, (HORIZON, 2)), (1, 0))
        return movement.sum(dim=1).unflatten(1, (HORIZON, 3)) + attracted
