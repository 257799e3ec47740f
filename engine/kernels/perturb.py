"""Standard normals to perturbed cells.

A cell q becomes q exp(sigma eps - sigma^2 / 2) with sigma^2 = ln(1 + rsd^2), so that its mean is
kept. eps is a weighted sum of standard normals, one a **term**: a component of the error model at
one time node, shared by all cells of a group.

    eps = sum over terms of  w  z[row address, column address, draw, node],   sum w^2 = 1

The factor is computed in float32 (its law to 1e-7), the product in float64. Terms are added in the
order given; that order is part of a draw's bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.kernels.arrays import F32, F64, I64, U32
from engine.kernels.compiling import compiled
from engine.kernels.machine import fma
from engine.kernels.streams import Single, exp2, normals

LOG2E = 1.4426950408889634
_HALF_LN2 = Single(0.34657359027997264)


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One independent normal field over the cells of a quantity.

    Attributes:
        weight: w, the square root of the share of the error's variance.
        key: stream key, (2,).
        node: time node, a uint32.
        rows, columns: hashes of the distinct row and column addresses.
        row_of, column_of: which address each row and column of the quantity has.
    """

    weight: float
    key: U32
    node: int
    rows: U32
    columns: U32
    row_of: I64
    column_of: I64


@compiled
def _add_term(eps: F32, weight: float, table: F32, row_of: I64, column_of: I64) -> None:
    w = Single(weight)
    for i in range(eps.shape[0]):
        line = table[row_of[i]]
        for j in range(eps.shape[1]):
            eps[i, j] = fma(w, line[column_of[j]], eps[i, j])


@compiled
def _multiply_by_factor(out: F64, values: F64, log2_sd: F32, eps: F32) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            s = log2_sd[i, j]
            shift = -((s * _HALF_LN2) * s)
            out[i, j] = values[i, j] * np.float64(exp2(fma(s, eps[i, j], shift)))


def standard_errors(terms: Sequence[Term], shape: tuple[int, int], draw: int) -> F32:
    """eps, (rows, columns): the standardised error of every cell in one draw."""
    eps = np.zeros(shape, dtype=Single)
    for term in terms:
        table = normals(term.key, term.rows, term.columns, draw, term.node)
        _add_term(eps, term.weight, table, term.row_of, term.column_of)
    return eps


def perturb(values: F64, log2_sd: F32, terms: Sequence[Term], draw: int) -> F64:
    """The cells in one draw, (rows, columns), in the unit of `values`; zeros and signs are kept.

    Args:
        values: the estimate, (rows, columns).
        log2_sd: sigma log2(e) of every cell, (rows, columns).
        terms: the terms of the error model for this quantity and year.
        draw: the draw's number.
    """
    out = np.empty_like(values)
    eps = standard_errors(terms, (values.shape[0], values.shape[1]), draw)
    _multiply_by_factor(out, values, log2_sd, eps)
    return out
