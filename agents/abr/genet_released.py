"""The actors that Genet and its domain-randomised rivals released, as NetLLM ships them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.abr.fallback import Fallback, TrainingRange
from agents.policy import BatchPolicy
from netenvs import compiled, datasets
from netenvs.abr.generators import BITRATES_KBPS
from netenvs.arrays import named_arrays
from netenvs.spec import unknown_name

DATASET = "genet-weights"
CHECKPOINTS = {  # model -> checkpoints in the data set; NetLLM's config uses the first
    "genet": (9900,),
    "udr_1": (57600, 57400),
    "udr_2": (52400,),
    "udr_3": (58000,),
    "udr_real": (49000,),
}
TRAINED = TrainingRange(6, BITRATES_KBPS, 4.0, (0.0, 100.0), 10.0 / 4.0)
"""Genet's configuration space (``udr3``), up to 100 Mbit/s, 10 a second of stalling."""
RAND_RANGE = 1000  # probabilities are compared with multiples of 1/1000 (NetLLM run_baseline.py)


@compiled.kernel
def _dense(inputs, weight, bias, relu):
    """float32 (k, out): every row is summed in the same order whatever the batch."""
    outputs = np.empty((len(inputs), weight.shape[1]), dtype=np.float32)
    for row in range(len(inputs)):
        for j in range(weight.shape[1]):
            outputs[row, j] = bias[j]
        for i in range(weight.shape[0]):
            for j in range(weight.shape[1]):
                outputs[row, j] += inputs[row, i] * weight[i, j]
        if relu:
            for j in range(weight.shape[1]):
                outputs[row, j] = max(outputs[row, j], np.float32(0.0))
    return outputs


class GenetReleased(BatchPolicy):
    """Released Genet and UDR actors: ``model`` genet, udr_1, udr_2, udr_3 or udr_real; greedy or sampled.

    Weights: data set ``genet-weights``. The network (Genet ``a3c.py``; checked against the checkpoints) has six
    branches of 128 units, ReLU, on the observation's rows; its "convolutions" over one step of padded input only
    ever use kernel tap 1, so they are dense layers. Its three actions move one level down, none, or up.
    ``mode=sampled`` draws from one legacy random stream across episodes, as the published loop does. Outside the worlds
    that they were trained for the rule ``fallback`` plays, and a warning says so; with ``none`` nothing does.
    """

    observation_options = {"history": 6}  # noqa: RUF012

    def __init__(
        self, model: str = "genet", mode: str = "greedy", checkpoint: int | None = None, fallback: str = "dynamic"
    ):
        if model not in CHECKPOINTS:
            raise ValueError(unknown_name("model", str(model), CHECKPOINTS))
        if mode not in ("greedy", "sampled"):
            raise ValueError(unknown_name("mode", str(mode), ("greedy", "sampled")))
        checkpoint = CHECKPOINTS[model][0] if checkpoint is None else checkpoint
        if checkpoint not in CHECKPOINTS[model]:
            raise ValueError(unknown_name("checkpoint", str(checkpoint), map(str, CHECKPOINTS[model])))
        self.mode = mode
        self._fallback = Fallback("genet-released", TRAINED, fallback)
        self.optional_observation = self._fallback.plays
        self.sequential = mode == "sampled"
        prefix = f"{model}__nn_model_ep_{checkpoint}|actor/"
        with datasets.reading(DATASET) as folder, named_arrays(folder / "genet_weights.npz") as arrays:
            self._weights = {
                name.removeprefix(prefix): arrays[name] for name in arrays.files if name.startswith(prefix)
            }
            for name in ("Conv1D/W", "Conv1D_1/W", "Conv1D_2/W"):
                self._weights[name] = np.ascontiguousarray(self._weights[name][1, 0])
        self.parameters = int(sum(weight.size for weight in self._weights.values()))
        self.bytes = 4 * self.parameters
        self._stream = np.random.RandomState()

    def reset(self, seed: int | None = None) -> None:
        super().reset(seed)
        if seed is not None:
            self._stream = np.random.RandomState(seed)

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        self._fallback.reset_rows(rows, seeds)

    def probabilities(self, observations: np.ndarray) -> np.ndarray:
        """Probability of moving down, not at all, up: float32 (k, 3) from observations float32 (k, 6, 6)."""
        x = np.ascontiguousarray(observations, dtype=np.float32)
        branches = [
            self._layer("FullyConnected", x[:, 0, -1:]),
            self._layer("FullyConnected_1", x[:, 1, -1:]),
            self._layer("Conv1D", x[:, 2]),
            self._layer("Conv1D_1", x[:, 3]),
            self._layer("Conv1D_2", x[:, 4]),
            self._layer("FullyConnected_2", x[:, 5, -1:]),
        ]
        hidden = self._layer("FullyConnected_3", np.concatenate(branches, axis=1))
        logits = self._layer("FullyConnected_4", hidden, relu=False)
        exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponential / exponential.sum(axis=1, keepdims=True)

    def act_batch(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        return self._fallback.act_batch(self._decide, observations, infos)

    def _decide(self, observations: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        probabilities = self.probabilities(observations)
        if self.mode == "greedy":
            move = probabilities.argmax(axis=1)
        else:
            move = (np.cumsum(probabilities, axis=1) > self._draw()).argmax(axis=1)
        bitrates = infos["video"].bitrates_kbps
        level = np.searchsorted(bitrates, infos["bitrate_kbps"])
        return np.clip(level + move - 1, 0, len(bitrates) - 1)

    def finish(self, observation: np.ndarray, info: dict[str, Any]) -> None:
        if self.mode == "sampled":
            self._draw()  # the published loop decides once more when a video has ended

    def _draw(self) -> float:
        return self._stream.randint(1, RAND_RANGE) / float(RAND_RANGE)

    def _layer(self, name: str, inputs: np.ndarray, relu: bool = True) -> np.ndarray:
        return _dense(np.ascontiguousarray(inputs), self._weights[f"{name}/W"], self._weights[f"{name}/b"], relu)
