"""How fast this machine is at the two things a draw spends its time on, measured in a moment."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from engine.kernels.streams import LANES, normals_of_group, stream_key


@dataclass(frozen=True, slots=True)
class Rates:
    """Per second and thread: normals drawn, and floating-point operations of a factorisation."""

    normals: float
    flops: float


def measure(size: int = 700) -> Rates:
    """Best of three short trials (about 0.1 s in all, plus compilation the first time)."""
    labels = np.arange(size, dtype=np.uint32)
    few = labels[: size // LANES]
    key = stream_key(0, "speed", "trial")
    normals_of_group(key, few, few, 0, 0)  # compile
    drawing, factorising = [], []
    matrix = np.eye(size) * 2 - np.full((size, size), 1 / size)
    for trial in range(3):
        began = time.perf_counter()
        normals_of_group(key, labels, few, trial, 0)
        drawn = time.perf_counter()
        scipy.linalg.lu_factor(matrix, check_finite=False)
        drawing.append(drawn - began)
        factorising.append(time.perf_counter() - drawn)
    return Rates(size * len(few) * LANES / min(drawing), 2 / 3 * size**3 / min(factorising))
