"""How fast this machine is at what drawing and preparing spend their time on, measured now."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from engine.kernels.fused import bind, sweep
from engine.kernels.perturb import Cells, Term, pack
from engine.kernels.streams import LANES, stream_key

_SIZE = 192  # industries of the table made up for the pass
_COLUMNS = 6
_SYSTEM = 640  # of the factorisation and the product


@dataclass(frozen=True, slots=True)
class Rates:
    """What one thread does in a second.

    Attributes:
        normals: cells drawn by the fused pass, one normal each.
        applied: cells applied to a right-hand side in it.
        single: floating-point operations of a product in float32.
        double: those of a factorisation in float64.
    """

    normals: float
    applied: float
    single: float
    double: float


def measure() -> Rates:
    """Best of three short trials (about 0.2 s in all, plus compilation the first time).

    BLAS should be held to the one thread it has in a run.
    """
    drawn = _table((Term(1.0, stream_key(0, "speed", "trial"), 0, None),))
    exact = _table(())
    x = np.ones((_SIZE, _COLUMNS, LANES))
    system = np.eye(_SYSTEM) * 2 - np.full((_SYSTEM, _SYSTEM), 1 / _SYSTEM)
    inverse = system.astype(np.float32)
    right = np.ones((_SYSTEM, _COLUMNS * LANES), dtype=np.float32)
    cells = _SIZE**2 * LANES
    return Rates(
        normals=cells / _shortest(lambda: sweep(bind((drawn,), 0))),
        applied=_COLUMNS * cells / _shortest(lambda: sweep(bind((exact,), 0), x=x)),
        single=2 * _SYSTEM**2 * right.shape[1] / _shortest(lambda: inverse @ right),
        double=2 / 3 * _SYSTEM**3 / _shortest(lambda: scipy.linalg.lu_factor(system)),
    )


def _table(terms: tuple[Term, ...]) -> Cells:
    """A table without zeros, for one kind of error or none."""
    i, j = (index.ravel().astype(np.int32) for index in np.indices((_SIZE, _SIZE)))
    labels = np.arange(_SIZE, dtype=np.uint32)
    log2_sd = np.full(len(i), 0.3, dtype=np.float32)
    return pack(np.ones((_SIZE, _SIZE)), i, j, log2_sd, (labels, labels), terms, by_row=True)


def _shortest(work: Callable[[], object]) -> float:
    """Seconds of this thread in the best of three trials; one before them may compile."""
    work()
    seconds = []
    for _ in range(3):
        began = time.thread_time()
        work()
        seconds.append(time.thread_time() - began)
    return min(seconds)
