"""Cells whose sum is known better than they are: drawn as shares of a total with its own error.

A cell with the factor w of its own errors (`engine.kernels.perturb`) becomes

    q'_i = q_i tau c_i w_i / S,    S = sum_j p_j c_j w_j,

tau the mean-one factor of its total, p_j the cells' shares of the total in the estimate, c the
centring that keeps them in the mean (`engine.kernels.shares`). So the cells add up to tau times
what the estimate's cells add up to, in every draw, and E q' = q. To first order in the normals,

    q'_i - q_i  ->  q_i (sigma_i eps_i - sum_j p_j sigma_j eps_j + sigma_tau eps_tau).

Sums run in the order of the cells, one entry after the other, each product rounded: one draw at a
time or 64 of them, the bits of a cell are the same. Factors are lognormal, or gamma for Dirichlet
shares (`engine.kernels.dirichlet`), which need no c.

Equations of docs/method.md: 2.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.kernels.arrays import F32, F64, I32
from engine.kernels.compiling import compiled, inline
from engine.kernels.fused import CHUNK, Bound, bind, draw_chunk, other_factors
from engine.kernels.perturb import Cells, factors
from engine.kernels.streams import LANES, Single

_LN2 = 0.6931471805599453


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """What the cells of one entry are in their totals.

    Attributes:
        total: which total each belongs to, counted over all entries of totals, (cells,).
        share: of it in the estimate, (cells,).
        centring: c, (cells,).
        rsd: relative standard deviation of each cell, its total's error included, (cells,).
    """

    total: I32
    share: F64
    centring: F64
    rsd: F64


def known_factors(
    totals: Sequence[Cells], entries: Sequence[Cells], members: Sequence[Members], draw: int
) -> list[F64]:
    """Factors q' / q of every cell in one draw, (cells,) for each entry.

    Args:
        totals: the totals themselves.
        entries, members: all cells of these totals.
        draw: the draw's number.
    """
    tau = np.concatenate([factors(one, draw) for one in totals])
    own = [factors(cells, draw) for cells in entries]
    S = np.zeros(len(tau))
    for w, one in zip(own, members, strict=True):
        S += np.bincount(one.total, one.centring * one.share * w, len(tau))
    ratio = tau / S
    return [one.centring * w * ratio[one.total] for w, one in zip(own, members, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """The totals in 64 draws: tau / S, and the first order of ln(tau / S), (totals,64) each."""

    ratio: F64
    first_order: F64


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Sums along the lines of weighted cells, (lines, columns, 64).

    Attributes:
        whole: of q'.
        change: of q' - q.
        gaussian: of the first order of q' - q in the normals.
    """

    whole: F64
    change: F64
    gaussian: F64

    def __add__(self, other: Lines) -> Lines:
        return Lines(
            self.whole + other.whole,
            self.change + other.change,
            self.gaussian + other.gaussian,
        )


def scaled(
    totals: Sequence[Cells], entries: Sequence[Cells], members: Sequence[Members], group: int
) -> Scaled:
    """What the 64 draws of `group` make of every total; arguments as for one draw."""
    tau, eps = zip(*(_drawn(bound) for bound in bind(totals, group)), strict=True)
    sigma = np.concatenate([one.log2_sd * _LN2 for one in totals])
    ratio, first_order = np.concatenate(tau), sigma[:, None] * np.concatenate(eps)
    S = np.zeros(ratio.shape)
    for bound, one in zip(bind(entries, group), members, strict=True):
        sums = np.zeros((2, *S.shape))
        _add_parts(bound.cells, bound.streams, one.total, one.share, one.centring, sums[0], sums[1])
        S += sums[0]
        first_order -= sums[1]
    return Scaled(ratio / S, first_order)


def sweep_known(cells: Cells, members: Members, totals: Scaled, weights: F64, group: int) -> Lines:
    """One pass over cells with known totals, in 64 draws.

    Args:
        cells, members: of one entry.
        totals: of the same group of draws.
        weights: of the positions on a line, (positions, columns).
    """
    (bound,) = bind((cells,), group)
    lines = cells.shape[0 if cells.by_row else 1]
    shape = lines, weights.shape[1], LANES
    sums = Lines(np.zeros(shape), np.zeros(shape), np.zeros(shape))
    _add_lines(
        bound.cells,
        bound.streams,
        members.total,
        members.centring,
        totals.ratio,
        totals.first_order,
        np.ascontiguousarray(weights),
        sums.whole,
        sums.change,
        sums.gaussian,
    )
    return sums


def _drawn(bound: Bound) -> tuple[F64, F64]:
    """Factors and standardised errors of all cells in 64 draws, (cells, 64) each."""
    shape = len(bound.cells.value), LANES
    found, errors = np.empty(shape), np.empty(shape)
    _list(bound.cells, bound.streams, found, errors)
    return found, errors


@inline
def _draw(
    w: F32, eps: F32, cells: Any, streams: Any, line: int, first: int, wanted: Any, size: int
) -> None:
    """Factors of a chunk of one line in 64 draws, and their errors."""
    draw_chunk(w, eps, cells, streams, line, first, wanted, size)
    if cells.quantiles.shape[0] > 0:
        of_cells, no_file = cells.size_of[first : first + size], streams.realised[:0]
        other_factors(w, eps, cells.quantiles, of_cells, cells.logarithmic, no_file, wanted, size)


@compiled
def _list(cells: Any, streams: Any, found: F64, errors: F64) -> None:
    w, eps = np.empty((CHUNK, LANES), Single), np.empty((CHUNK, LANES), Single)
    wanted = np.arange(CHUNK)
    lines = cells.rows.size if cells.by_row else cells.columns.size
    for segment in range(cells.starts.size - 1):
        first, last = cells.starts[segment], cells.starts[segment + 1]
        while first < last:
            size = min(CHUNK, last - first)
            _draw(w, eps, cells, streams, segment % lines, first, wanted, size)
            for q in range(size):
                for lane in range(LANES):
                    found[first + q, lane] = w[q, lane]
                    errors[first + q, lane] = eps[q, lane]
            first += size


@compiled
def _add_parts(
    cells: Any, streams: Any, total: I32, share: F64, centring: F64, S: F64, moved: F64
) -> None:
    """Add p c w to S, and p sigma eps to `moved`, of each cell's total."""
    w, eps = np.empty((CHUNK, LANES), Single), np.empty((CHUNK, LANES), Single)
    wanted = np.arange(CHUNK)
    lines = cells.rows.size if cells.by_row else cells.columns.size
    for segment in range(cells.starts.size - 1):
        first, last = cells.starts[segment], cells.starts[segment + 1]
        while first < last:
            size = min(CHUNK, last - first)
            _draw(w, eps, cells, streams, segment % lines, first, wanted, size)
            for q in range(size):
                at = first + q
                t, part = total[at], centring[at] * share[at]
                slope = share[at] * np.float64(cells.log2_sd[at]) * _LN2
                for lane in range(LANES):
                    S[t, lane] += part * np.float64(w[q, lane])
                    moved[t, lane] += slope * np.float64(eps[q, lane])
            first += size


@compiled
def _add_lines(
    cells: Any,
    streams: Any,
    total: I32,
    centring: F64,
    ratio: F64,
    first_order: F64,
    weights: F64,
    whole: F64,
    change: F64,
    gaussian: F64,
) -> None:
    w, eps = np.empty((CHUNK, LANES), Single), np.empty((CHUNK, LANES), Single)
    wanted = np.arange(CHUNK)
    lines = cells.rows.size if cells.by_row else cells.columns.size
    for segment in range(cells.starts.size - 1):
        line = segment % lines
        first, last = cells.starts[segment], cells.starts[segment + 1]
        while first < last:
            size = min(CHUNK, last - first)
            _draw(w, eps, cells, streams, line, first, wanted, size)
            for q in range(size):
                at = first + q
                t, value, c = total[at], cells.value[at], centring[at]
                sigma = np.float64(cells.log2_sd[at]) * _LN2
                for lane in range(LANES):
                    factor = c * np.float64(w[q, lane]) * ratio[t, lane]
                    moved = sigma * np.float64(eps[q, lane]) + first_order[t, lane]
                    for k in range(weights.shape[1]):
                        weight = weights[cells.across[at], k]
                        whole[line, k, lane] += value * factor * weight
                        change[line, k, lane] += value * (factor - 1.0) * weight
                        gaussian[line, k, lane] += value * moved * weight
            first += size
