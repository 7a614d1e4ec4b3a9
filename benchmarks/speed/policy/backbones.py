"""Backbones by themselves: growth with the context, and a large teacher of random weights on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from agents.mamba4net.hybrid import PRESETS, HybridBackbone, HybridCache
from agents.mamba4net.kernels import installed
from agents.mamba4net.layers import Slots
from agents.mamba4net.mixer import Mamba2
from agents.netllm.memory import SHAPES, random_backbone
from agents.sequence.backbone import Backbone
from benchmarks.speed.policy.play import Clock, held, peak_of
from benchmarks.speed.record import PolicySpeed

FILL = 512
"""Tokens that a cache is filled with at once."""
NEXT = 20
"""Decisions of a measurement at one length of the context."""
LONGEST_PASS_S = 5.0
"""Parallel passes over longer sequences are left out once one takes longer than this."""
LEAST = 3
"""Decisions of a measurement at least."""


class Layout(NamedTuple):
    """Tokens of a decision."""

    context: int
    """Tokens of the 19 steps before, as NetLLM lays them out."""
    chunks: tuple[int, ...]
    """Tokens that are new, by what is fed at once."""

    @property
    def lengths(self) -> list[int]:
        """Of the sequences that window re-encoding passes through the backbone, one for each chunk."""
        return (self.context + np.cumsum(self.chunks)).tolist()


def layout_of(subject: PolicySpeed) -> Layout:
    """That of a task."""
    return Layout(subject.context, subject.chunks)


class StaticKeyValueCache:
    """Keys and values of ``HFBackbone`` in tensors of fixed size: what a CUDA graph of a step needs.

    Laid out as transformers' ``StaticCache`` is, whose attributes differ between its versions. Rows go on together.
    """

    def __init__(self, rows: int, capacity: int, device: torch.device):
        self._positions = torch.zeros(rows, dtype=torch.int64, device=device)
        self.slots = capacity
        self._layers: list[tuple[Tensor, Tensor]] = []  # (rows, heads, capacity, head size) each

    @property
    def positions(self) -> Tensor:
        """int64 (rows,): tokens of each row, always in the same memory."""
        return self._positions

    @positions.setter
    def positions(self, value: Tensor) -> None:
        self._positions.copy_(value)

    def open(self, n: int) -> Tensor:
        """Slots of n new tokens a row, int64 (rows, n)."""
        self._places = self._positions[:, None] + torch.arange(n, device=self._positions.device)
        return self._places

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the new tokens of a layer, (rows, heads, n, head size); return those of all slots."""
        if layer_idx == len(self._layers):
            rows, heads, _, size = keys.shape
            empty = keys.new_zeros(2, rows, heads, self.slots, size)
            self._layers.append((empty[0], empty[1]))
        for stored, new in zip(self._layers[layer_idx], (keys, values), strict=True):
            stored.index_copy_(2, self._places[0], new)
        return self._layers[layer_idx]


class StaticHybridCache(HybridCache):
    """States of ``HybridBackbone`` with keys and values in tensors of fixed size. Rows go on together."""

    def __init__(self, backbone: HybridBackbone, rows: int, capacity: int):
        device = backbone.norm_f.weight.device
        super().__init__(backbone.shape, rows, device, backbone.dtype)
        self.keys, self.values = (functional.pad(part, (0, 0, 0, capacity)) for part in (self.keys, self.values))
        self.at = torch.zeros((), dtype=torch.int64, device=device)
        """int64: tokens of every row, always in the same memory."""

    def open(self, n: int, lengths: Tensor | None) -> Slots:
        """See ``HybridCache``; all n tokens count."""
        capacity, device = self.keys.shape[3], self.at.device
        places = self.at + torch.arange(n, device=device)
        self.at += n
        mask = torch.arange(capacity, device=device) <= places[:, None]
        return Slots(places.expand(self.keys.shape[1], n), capacity, mask)


def rewind(cache: Any, tokens: int) -> None:
    """Make a cache end after so many tokens again; recurrent states stay, as values do not count here."""
    if isinstance(cache, StaticHybridCache):
        cache.at.fill_(tokens)
    elif isinstance(cache, HybridCache):
        cache.positions = [tokens] * len(cache.positions)
    else:
        cache.positions = torch.full_like(cache.positions, tokens)


def static_cache(backbone: Any, rows: int, capacity: int) -> Any:
    """A cache of fixed size."""
    if isinstance(backbone, HybridBackbone):
        return StaticHybridCache(backbone, rows, capacity)
    return StaticKeyValueCache(rows, capacity, next(backbone.parameters()).device)


class Graph:
    """A step as a CUDA graph (docs.pytorch.org, "CUDA Graphs"): warmed up on a stream of its own, then recorded."""

    def __init__(self, step: Callable[[Tensor], Tensor], tokens: Tensor, begin: Callable[[], None]):
        self.tokens = tokens.clone()
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                begin()
                step(self.tokens)
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.out = step(self.tokens)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Hidden states, in memory that the next call writes over."""
        self.tokens.copy_(tokens)
        self.graph.replay()
        return self.out


class Way(NamedTuple):
    """A way to decide, with random tokens."""

    prepare: Callable[[], None]
    """To be called before each decision; not measured."""
    decide: Callable[[], Any]
    tokens: int
    """That a decision feeds to the backbone, in all rows."""


def windowed(backbone: Backbone, rows: int, layout: Layout) -> Way:
    """Mode A: a parallel pass over the window for each chunk."""
    windows = [_random(backbone, rows, length) for length in layout.lengths]
    return Way(lambda: None, lambda: [backbone(window) for window in windows], rows * sum(layout.lengths))


def cached(backbone: Backbone, rows: int, layout: Layout, static: bool = False, graph: bool = False) -> Way:
    """Mode B: chunks are fed to a cache that holds the context; ``graph``: from a CUDA graph for each size of them."""
    cache: Any = static_cache(backbone, rows, layout.lengths[-1]) if static else backbone.init_cache(rows)
    chunks = [_random(backbone, rows, length) for length in layout.chunks]

    def prepare() -> None:
        rewind(cache, layout.context)

    def step(tokens: Tensor) -> Tensor:
        return backbone.step(tokens, cache)

    if layout.context:
        step(_random(backbone, rows, layout.context))
    steps: dict[int, Callable[[Tensor], Tensor]] = {chunk.shape[1]: step for chunk in chunks}
    if graph:
        steps = {
            chunk.shape[1]: Graph(step, chunk, prepare) for chunk in {part.shape[1]: part for part in chunks}.values()
        }
    return Way(prepare, lambda: [steps[chunk.shape[1]](chunk) for chunk in chunks], rows * sum(layout.chunks))


def _random(backbone: Backbone, rows: int, length: int) -> Tensor:
    return torch.randn(rows, length, backbone.d_model, device=next(backbone.parameters()).device)


def large(teacher: str, device: str) -> dict[str, Any]:
    """A Llama of a shape in ``SHAPES``, without an adapter, and the student ``paper``, both of random weights.

    They are of bfloat16 on a GPU, else of float32.
    """
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    torch.manual_seed(0)
    network = random_backbone(SHAPES[teacher], dtype, rank=1, device=device).eval()
    network.merge()
    return {"teacher": network, "student": HybridBackbone(PRESETS["paper"]).to(device, dtype).eval()}


def ways(side: Backbone, rows: int, layout: Layout, device: str) -> dict[str, Callable[[], Way]]:
    """What can be measured of a backbone: by mode and name, what makes it."""
    kernels = {"": False}
    if isinstance(side, HybridBackbone) and device.startswith("cuda") and installed() is not None:
        kernels[", mamba-ssm"] = True
    found: dict[str, Callable[[], Way]] = {}
    for name, used in kernels.items():
        makers = {"A eager": lambda: windowed(side, rows, layout), "B eager": lambda: cached(side, rows, layout)}
        makers["B static"] = lambda: cached(side, rows, layout, static=True)
        if device.startswith("cuda"):
            makers["B graph"] = lambda: cached(side, rows, layout, static=True, graph=True)
        found.update({f"{mode}{name}": _with_kernels(side, used, make) for mode, make in makers.items()})
    return found


def _with_kernels(side: Backbone, used: bool, make: Callable[[], Way]) -> Callable[[], Way]:
    """A way of a backbone with or without the kernels of mamba-ssm, also where others of it are used in between."""

    def switch() -> None:
        for module in side.modules():
            if isinstance(module, Mamba2):
                module.use_kernels = used

    def switched() -> Way:
        switch()
        way = make()

        def prepare() -> None:
            switch()
            way.prepare()

        return way._replace(prepare=prepare)

    return switched


def figures(way: Way, rows: int, seconds: float, clock: Clock, least: int = LEAST) -> dict[str, float]:
    """What decisions take, over and over for so many seconds, and ``least`` of them."""
    taken: list[float] = []
    while len(taken) < least or sum(taken) < seconds:
        way.prepare()
        begin = clock()
        way.decide()
        taken.append(clock() - begin)
    return {
        "decisions_per_s": rows * len(taken) / sum(taken),
        "tokens_per_s": way.tokens * len(taken) / sum(taken),
        **{f"core_p{q}_ms": 1000 * float(np.percentile(taken, q)) for q in (50, 99)},
        "acts": len(taken),
    }


def peak_bytes(side: Backbone, make: Callable[[], Way], device: str) -> int:
    """Weights, and the most that torch held besides while a way was made and a decision taken."""

    def work() -> None:
        way = make()
        way.prepare()
        way.decide()

    return held(side) + peak_of(work, device)


def growth(sides: dict[str, Backbone], contexts: Sequence[int], runs: int, clock: Clock) -> list[dict[str, Any]]:
    """What the next token takes, and a parallel pass, after so many tokens: by length, then by side.

    ``next_ms``: medians over ``NEXT`` tokens, for each run; ``cache_bytes``: keys, values and states in use;
    ``pass_ms``: of one pass over the whole, a run each; no more, and None at greater lengths, once one takes too long.
    """
    found: list[dict[str, Any]] = []
    caches: dict[str, Any] = {name: side.init_cache(1) for name, side in sides.items()}
    passes = dict.fromkeys(sides, True)
    filled = 0
    for context in sorted(contexts):
        row: dict[str, Any] = {"context": context, **{name: {"next_ms": [], "pass_ms": []} for name in sides}}
        for name, side in sides.items():
            rewind(caches[name], filled)
            for begin in range(filled, context, FILL):
                side.step(_random(side, 1, min(FILL, context - begin)), caches[name])
            caches[name].select(torch.zeros(1, dtype=torch.int64))  # what is in use, without room to grow
            row[name]["cache_bytes"] = sum(part.nbytes for part in tensors_of(caches[name]) if part.is_floating_point())
            side.step(_random(side, 1, 1), caches[name])  # which needs room
        filled = context
        for _ in range(runs):
            for name, side in sides.items():
                token, taken = _random(side, 1, 1), []
                for _ in range(NEXT):
                    rewind(caches[name], context)
                    begin_s = clock()
                    side.step(token, caches[name])
                    taken.append(clock() - begin_s)
                row[name]["next_ms"].append(1000 * float(np.median(taken)))
                if passes[name]:
                    sequence = _random(side, 1, context)
                    begin_s = clock()
                    side(sequence)
                    row[name]["pass_ms"].append(1000 * (clock() - begin_s))
                    passes[name] = row[name]["pass_ms"][-1] < 1000 * LONGEST_PASS_S
        for name in sides:
            row[name]["pass_ms"] = row[name]["pass_ms"] or None
        found.append(row)
    return found


def tensors_of(cache: Any) -> list[Tensor]:
    """All tensors that a cache holds."""
    values = [part for value in vars(cache).values() for part in (value if isinstance(value, list) else [value])]
    return [value for value in values if isinstance(value, Tensor)]
