"""What the synthetic worlds are built with: numbers that follow from names, and balanced tables.

Everything here is integer arithmetic or elementwise IEEE arithmetic in a stated order, without
BLAS and without a random number generator, so a synthetic table is the same bits on every machine
and with every release of numpy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from engine.kernels.arrays import F64
from engine.mrio import MRIO, Labels, Provenance

CURRENCY = "million EUR, synthetic constant prices"


def made_up(world: str, files: tuple[tuple[str, str], ...] = ()) -> Provenance:
    """The provenance of a table that describes nothing real."""
    return Provenance(
        source=f"SYNTHETIC: world `{world}`, made up by footfall; it describes no real economy",
        version="",
        licence="BSD-3-Clause",
        synthetic=True,
        files=files,
    )


def uniforms(purpose: str, *axes: Sequence[str]) -> F64:
    """Uniform numbers in [0, 1), one for each combination of names, one axis for each sequence.

    A number depends on `purpose` and its own names alone: not on the order of an axis, nor on
    what else is on it. BLAKE2b hashes the names, the finaliser of SplitMix64 (Steele, Lea & Flood
    2014, "Fast splittable pseudorandom number generators", OOPSLA'14) combines the hashes.
    """
    state = _words([purpose])[0]
    for names in axes:
        state = _mixed(state[..., None] ^ _words(names))
    numbers: F64 = (state >> np.uint64(11)) * 2.0**-53
    return numbers


def varied(half_width: float, purpose: str, *axes: Sequence[str]) -> F64:
    """Factors uniform between 1 - `half_width` and 1 + `half_width`, one for each combination."""
    factors: F64 = 1.0 + half_width * (2.0 * uniforms(purpose, *axes) - 1.0)
    return factors


def _words(names: Sequence[str]) -> NDArray[np.uint64]:
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def added(terms: Iterable[F64]) -> F64:
    """The sum over the first axis, one term after the other."""
    return reduce(np.add, terms)


def required(A: F64, y: F64) -> F64:
    """Solve `(I - A) x = y`, (n,), for `A >= 0`, (n,n), with column sums below one.

    Gauss-Jordan without pivoting, which such a matrix does not need: `I - A` is diagonally
    dominant by columns. `engine.kernels.leontief` is faster; this rounds alike everywhere.
    """
    system = np.column_stack([np.eye(len(y)) - A, y])
    for pivot in range(len(y)):
        system[pivot] /= system[pivot, pivot]
        others = system[:, pivot].copy()
        others[pivot] = 0.0
        system -= others[:, None] * system[pivot]
    return system[:, -1].copy()


def balanced(
    year: int, labels: Labels, A: F64, Y: F64, s: F64, F_Y: F64, provenance: Provenance
) -> MRIO:
    """The table with coefficients `A` (n,n), final demand `Y` (n,r) and intensities `s` (k,n).

    Output is `x = L Y 1`, hence `Z = A diag(x)` and `E = s diag(x)`: what an industry sells is what
    it buys plus its value added, `(1 - sum_i A_ij) x_j`. `published_output` is `x`.
    """
    x = required(A, added(Y.T))
    return MRIO(year, labels, A * x, Y, s * x, F_Y, provenance, published_output=x)
