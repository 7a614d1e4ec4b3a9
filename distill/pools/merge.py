"""Join pools of one environment."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill.pools.collect import add
from distill.pools.pool import Pool, check_same, write_manifest
from distill.pools.shards import PoolError
from netenvs.files import LONGEST_STEM, UNFINISHED, naming, only_one


def merge(sources: Sequence[Path | str], out: Path | str) -> Pool:
    """A new pool ``out`` with the episodes of all ``sources``, in order; a shard that is in two of them is taken once.

    Shards are copied as they are. A merge that is killed leaves no ``out``. Raises ``PoolError``, one line, for sources
    of different environments or columns, if there is an ``out`` already, and while another merge is making it.
    """
    out = Path(out)
    if out.exists():
        raise PoolError(f"{out}: exists already; give a new folder")
    pools = [Pool(source) for source in sources]
    if not pools:
        raise PoolError("merge needs at least one pool")
    manifest = {**pools[0].manifest, "policies": [], "collections": [], "shards": []}
    for pool in pools:
        check_same(manifest, pool.manifest, pool.folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    with only_one(out.with_name(f".{out.name[:LONGEST_STEM]}.lock")) as alone:
        if not alone:
            raise PoolError(f"{out}: another process is merging into it; wait until it is done")
        part = out.with_name(f".{out.name[:LONGEST_STEM]}{UNFINISHED}")
        shutil.rmtree(part, ignore_errors=True)  # of a merge that was killed
        try:
            _copy(pools, part, manifest)
            part.rename(out)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return Pool(out)


def _copy(pools: Sequence[Pool], part: Path, manifest: dict[str, Any]) -> None:
    """Fill the folder ``part`` with the shards of ``pools`` and their manifest."""
    part.mkdir()
    taken: set[str] = set()
    for number, pool in enumerate(pools):
        shards = []
        for entry in pool.manifest["shards"]:
            if entry["sha256"] in taken:
                continue
            taken.add(entry["sha256"])
            name = entry["file"] if not (part / entry["file"]).exists() else f"{number}-{entry['file']}"
            with naming(part / name):
                shutil.copyfile(pool.folder / entry["file"], part / name)
            shards.append({**entry, "file": name})
        add(manifest, {**pool.manifest, "shards": shards})
    write_manifest(part, manifest)
