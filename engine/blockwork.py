"""What a worker does with one task: open the table, draw each block, write it, enter it."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from engine.draws import draw_exactly, draw_prepared
from engine.kernels.arrays import F64
from engine.plan import Block
from engine.prepare import Prepared
from engine.stores.ensemble import BlockResults, open_ensemble
from engine.stores.places import Place
from engine.stores.tables import load


@dataclass(frozen=True, slots=True)
class Task:
    """Blocks of one year: names of what to read and write, never arrays.

    Attributes:
        table: folder of the prepared table.
        ensemble: folder of the scenario that the blocks are written to.
        blocks: the blocks, all of one year.
        parts: positions, in the order of `engine.question.PARTS`, of the parts stored.
    """

    table: Place
    ensemble: Place
    blocks: tuple[Block, ...]
    parts: tuple[int, ...]

    def singly(self) -> list[Task]:
        """The same blocks, a task each."""
        return [replace(self, blocks=(block,)) for block in self.blocks]


_loading = threading.Lock()


def _table(folder: Place, ensemble: str) -> Prepared:
    with _loading:  # or two threads that ask at once would both map it
        return _loaded(folder, ensemble)


@lru_cache(maxsize=2)
def _loaded(folder: Place, ensemble: str) -> Prepared:
    return load(folder, ensemble)


def compute(task: Task) -> int:
    """Draw and store the blocks of one task; returns how many draws it holds.

    Blocks that the ledger holds already are left as they are: a task that was interrupted goes on.

    Raises:
        StoreError: the table is unreadable or another ensemble's, or a block cannot be written.
    """
    ensemble = open_ensemble(task.ensemble)
    prepared = _table(task.table, ensemble.digest)
    for block in task.blocks:
        if ensemble.holds(block):
            continue
        began = time.perf_counter()
        drawn = draw_prepared(prepared, block.draws)
        results = BlockResults(
            footprint=drawn.footprint[..., list(task.parts)],
            linear=drawn.linear[..., list(task.parts)],
            G=drawn.gaussian[..., list(task.parts)],
            status=drawn.status,
            certified_error=drawn.certified_error,
            corrections=drawn.corrections,
            column_sums_above_one=drawn.column_sums_above_one,
            exact=_exact(prepared, block, ensemble.axes.exact_draws, task.parts),
            footprint_unbalanced=_stored(drawn.footprint_unbalanced, task.parts),
            by_origin=drawn.by_origin,
            by_industry=drawn.by_industry,
            by_product=drawn.by_product,
        )
        ensemble.write(block, results, receipt(time.perf_counter() - began))
    return sum(block.size for block in task.blocks)


def _stored(footprint: F64 | None, parts: Sequence[int]) -> F64 | None:
    """The parts that are stored."""
    return None if footprint is None else footprint[..., list(parts)]


def _exact(prepared: Prepared, block: Block, exact_draws: int, parts: Sequence[int]) -> F64 | None:
    """In split mode, the footprints of the first draws computed exactly too, NaN for the others."""
    if not exact_draws:
        return None
    asked = [number for number in block.draws if number < exact_draws]
    shape = (len(prepared.characterisation), prepared.membership.shape[1], len(parts))
    exact = np.full((block.size, *shape), np.nan)
    if asked:
        exact[: len(asked)] = draw_exactly(prepared, asked).footprint[..., list(parts)]
    return exact


@lru_cache(maxsize=1)
def machine() -> dict[str, Any]:
    """What could change the last bits of a result: versions, BLAS kernel, processor."""
    return {
        "versions": {
            name: version(name) for name in ("footfall", "numpy", "scipy", "numba", "zarr")
        },
        "blas": sorted(
            f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}".strip()
            for pool in threadpool_info()
            if pool["user_api"] == "blas"
        ),
        "python": platform.python_version(),
        "processor": platform.machine(),
    }


def receipt(seconds: float) -> dict[str, Any]:
    """Where and how a block was computed; not part of what makes two ensembles the same."""
    return {
        **machine(),
        "host": platform.node(),
        "pid": os.getpid(),
        "seconds": seconds,
        "finished": time.time(),
    }
