"""``python -m benchmarks.ablation``: small distillations on bitrate adaptation, each with one thing changed.

Every cell of the grid is written down when it is done; the same command goes on where it was stopped. Sections, their
questions and cells: ``benchmarks.ablation.sections``.
"""

from __future__ import annotations

import json
import multiprocessing
import platform
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch

from benchmarks.ablation import report as ablation_report
from benchmarks.ablation.cells import Cell, Material, digest, sizes
from benchmarks.ablation.sections import SCALES, SECTIONS, Section
from benchmarks.command_line import FromOne, FromOneOrNone, Text
from benchmarks.files import to_json, writable_folder
from netenvs import datasets
from netenvs.abr.workload import DATASET
from netenvs.command_line import exit_status, listed, option, parse
from netenvs.errors import reason
from netenvs.files import only_one, write_atomically
from netenvs.spec import unknown_name

CELLS, LOCK = "cells", ".lock"


@dataclass(frozen=True)
class Args:
    """This runs a grid of small distillations on bitrate adaptation; a stopped grid goes on where it was."""

    only: Annotated[Text, option(f"These sections are run: {', '.join(SECTIONS)}.", "all", metavar="A,B")] = None
    seeds: Annotated[FromOneOrNone, option("Every section has so many seeds.", "each has its own number")] = None
    jobs: FromOne = 2
    """So many processes work."""
    scale: Annotated[str, option(f"The grid has this size: {listed(list(SCALES))}.", "small", metavar="S")] = "small"
    out: Path = Path("runs/ablation")
    """Cells and the report are kept in this folder."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 2 for a wrong option, before anything is run."""
    try:
        arguments = parse(Args, "python -m benchmarks.ablation", argv)
    except SystemExit as stop:  # --help, or a line has been printed
        return int(stop.code or 0)
    return exit_status(lambda: _act(arguments), wrong_words=(ValueError,))


def _act(arguments: Args) -> None:
    try:
        names = list(SECTIONS) if arguments.only is None else [part.strip() for part in arguments.only.split(",")]
        for name in names:
            if name not in SECTIONS:
                raise ValueError(f"--only: {unknown_name('section', name, SECTIONS)}")
        if arguments.scale not in SCALES:
            raise ValueError(f"--scale: {unknown_name('scale', arguments.scale, SCALES)}")
        scale = SCALES[arguments.scale]
        scale = replace(scale, seeds=arguments.seeds or scale.seeds)
        writable_folder(arguments.out, "--out")
        with only_one(arguments.out / LOCK) as held:
            if not held:
                raise ValueError(f"--out {arguments.out}: another grid is running there")
            grid = Grid(arguments.out, scale.material, arguments.jobs)
            results = run(grid, {name: SECTIONS[name](scale) for name in SECTIONS if name in names})
            results["scale"] = {"name": arguments.scale, **asdict(scale)}
            write_atomically(arguments.out / "ablation.json", to_json(results))
            for line in ablation_report.write(results, arguments.out):
                print(line)
    except RuntimeError as error:
        raise ValueError(reason(error)) from error


class Grid:
    """Cells and their results, a JSON file each in ``folder``/cells."""

    def __init__(self, folder: Path, material: Material, jobs: int = 1):
        self.folder, self.material, self.jobs = folder, material, jobs

    def path(self, cell: Cell) -> Path:
        """Of the cell's result."""
        return self.folder / CELLS / f"{type(cell).__name__.lower()}-{digest(self._identity(cell))}.json"

    def find(self, cell: Cell) -> dict[str, Any]:
        """The result of a cell that has been run."""
        path = self.path(cell)
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            found["found"], found["cost"]
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{path}: not the result of a cell; remove it and run the command again") from error
        return found

    def run(self, cells: Iterable[Cell]) -> None:
        """Run those that have no result yet."""
        missing = {self.path(cell): cell for cell in cells if not self.path(cell).exists()}
        if not missing:
            return
        (self.folder / CELLS).mkdir(parents=True, exist_ok=True)
        self.material.make(self.folder)
        begun = time.monotonic()
        for number, (path, seconds) in enumerate(self._done(missing), 1):
            print(
                f"[{number}/{len(missing)}] {path.stem}: {seconds:.1f} s, {(time.monotonic() - begun) / 60:.1f} min",
                flush=True,
            )

    def _done(self, missing: dict[Path, Cell]) -> Iterable[tuple[Path, float]]:
        if self.jobs == 1:
            for path, cell in missing.items():
                yield path, self.work(cell)
            return
        with ProcessPoolExecutor(self.jobs, multiprocessing.get_context("spawn")) as pool:
            futures = {pool.submit(self.work, cell): path for path, cell in missing.items()}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def work(self, cell: Cell) -> float:
        """Run a cell and write its result; the seconds that it took."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        begun = time.process_time()
        try:
            result = cell.run(self.material, self.folder)
        finally:
            torch.set_num_threads(threads)
        result["cost"]["cpu_s"] = time.process_time() - begun
        write_atomically(self.path(cell), to_json({"cell": self._identity(cell), **result}))
        return float(result["cost"]["cpu_s"])

    def _identity(self, cell: Cell) -> dict[str, Any]:
        own: Any = cell
        kind = {"kind": type(cell).__name__, "sizes": sizes()}
        return {**kind, **asdict(own), "material": self.material.identity()}


def run(grid: Grid, sections: dict[str, Section]) -> dict[str, Any]:
    """Run the cells of all sections, first those that depend on no other; the answers, as JSON."""
    cells = [cell for section in sections.values() for arm in section.arms().values() for cell in arm]
    grid.run(cells)
    later = [cell for section in sections.values() for arm in section.then(grid.find).values() for cell in arm]
    grid.run(later)
    paths = {grid.path(cell): cell for cell in [*cells, *later]}
    return {
        "schema": 1,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "installed": datasets.installed(DATASET),
        "cells": len(paths),
        "cpu_min": round(sum(grid.find(cell)["cost"]["cpu_s"] for cell in paths.values()) / 60, 2),
        "sections": {name: asdict(section.answer(grid.find)) for name, section in sections.items()},
    }
