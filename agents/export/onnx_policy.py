"""A policy that plays an exported file with onnxruntime; between observation and action there is numpy only."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.export.graph import DECISIONS, NEW, TO_GO, graph_for
from agents.policy import BatchPolicy, grow_rows
from agents.sequence.checkpoint import net_of

METADATA = "netenvs"
"""Key of the file's metadata: JSON of what ``distill.commands.export`` says of the model."""


class OnnxPolicy(BatchPolicy):
    """Plays a file of ``python -m distill export``, greedily, on one thread, many episodes at once.

    ``ValueError``, one line, for a file that is none, without onnxruntime, and for an episode that is longer than the
    file has room for.

    Arguments:
        file: path of it.
    """

    def __init__(self, file: str):
        try:
            onnxruntime = importlib.import_module("onnxruntime")
        except ImportError:
            raise ValueError('onnxruntime is not installed: pip install "netenvs[export]"') from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is raised
        try:
            self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
            saved = json.loads(self.session.get_modelmeta().custom_metadata_map[METADATA])
        except Exception as error:
            raise ValueError(f"{file}: no file of python -m distill export: {error}") from None
        self.saved: dict[str, Any] = saved
        """What the file says of itself."""
        with torch.device("meta"):  # no weights: it only knows what to make of observations
            self._net = net_of(saved["task"], saved["d_model"], saved["net"])
        self.graph = graph_for(self._net)
        """What is known of the task's outputs."""
        self.bytes = Path(file).stat().st_size
        self.parameters = saved["parameters"]
        self.assumption, self.observation_options = self._net.assumption, self._net.observation_options
        self._ports = saved["state"]
        self._state: dict[str, np.ndarray] = {port["name"]: _empty(port) for port in self._ports}
        self._steps = np.zeros(0, dtype=np.int64)  # by row: decisions made in the episode
        self._previous = np.zeros((0, *(() if self._net.components == 1 else (self._net.components,))), dtype=np.int64)
        self._collected = np.zeros(0)  # by row: rewards so far
        self.inputs: dict[str, np.ndarray] = {}
        """Of the last decision."""
        self.outputs: dict[str, np.ndarray] = {}
        """Of the last decision: logits, or mean and log scale."""

    def reset_rows(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        self._steps, self._collected = grow_rows(self._steps, rows), grow_rows(self._collected, rows)
        self._previous = grow_rows(self._previous, rows)
        self._steps[rows], self._collected[rows], self._previous[rows] = 0, np.nan, -1
        for port in self._ports:
            state = _by_row(self._state[port["name"]], port)
            state = grow_rows(state, rows)
            state[rows] = 0
            self._state[port["name"]] = np.ascontiguousarray(_by_row(state, port))

    def act_batch(self, observations: Any, infos: dict[str, Any]) -> np.ndarray:
        """Actions (k, ...) of the live rows; see ``BatchPolicy``."""
        rows, net = np.asarray(infos["row"]), self._net
        room = self.saved["capacity"]
        if room and not self.saved["context"] and self._steps[rows].max(initial=0) >= room:
            raise ValueError(
                f"this file has room for {room} decisions of an episode: export it with a larger --capacity"
            )
        steps = net.observe(observations, infos)
        inputs = self.graph.arrays(steps, self._previous[rows])
        if net.returns:
            self._collected[rows] = net.collected(observations, infos, self._collected[rows])
            left = self.saved["target"] - self._collected[rows] / self.saved["scale"][1]
            inputs[TO_GO] = left.astype(np.float32)
        everyone = len(rows) == len(self._steps) and np.array_equal(rows, np.arange(len(rows)))
        for port in self._ports:
            state = self._state[port["name"]]
            inputs[port["name"]] = (
                state if everyone else np.ascontiguousarray(_by_row(_by_row(state, port)[rows], port))
            )
        self.inputs, names = inputs, [port["name"] for port in self.saved["outputs"]]
        found = dict(zip(names, self.session.run(names, inputs), strict=True))
        for port in self._ports:
            new = found.pop(NEW + port["name"])
            if everyone:
                self._state[port["name"]] = new
            else:
                _by_row(self._state[port["name"]], port)[rows] = _by_row(new, port)
        self.outputs = found
        actions = net.to_env(self.graph.choose(found), steps)
        self._steps[rows] += 1
        self.carried_out(rows, actions)
        return actions

    def carried_out(self, rows: np.ndarray, actions: np.ndarray) -> None:
        """Tell what was done instead of what ``act_batch`` returned: actions (k, ...) of rows, int (k,)."""
        if not self._net.continuous:
            self._previous[rows] = actions


def _empty(port: dict[str, Any]) -> np.ndarray:
    """The state of no rows."""
    return np.zeros([0 if size == "batch" else size for size in port["shape"]], dtype=port["dtype"])


def _by_row(state: np.ndarray, port: dict[str, Any]) -> np.ndarray:
    """A view of a state with rows first, or of such a one with rows in their place."""
    return state if port["name"] == DECISIONS else state.swapaxes(0, 1)
