"""The compiled pass: generate the perturbed cells of 64 draws and apply them, storing no matrix.

`engine.kernels.perturb.Cells` are packed line by line. One pass draws every cell for a group of
64 draws, one draw a SIMD lane, multiplies, and adds up. With v the perturbed cell on line l at
position e of its line, in each of the 64 draws (the last axis of every result):

    along[l, k]     = sum_e v c[e, k]       c the same in all draws
    own[l, k]       = sum_e v x[e, k]       x different in every draw
    across[e, k]    = sum_l v b[l, k]       b the same in all draws
    gaussian[l, k]  = sum_e q sigma eps g[e, k]
    gaussian_across[e] = sum_l q sigma eps

with rsd in the place of sigma where factors are not lognormal, and without those from files. g is
the same in all draws. The first `signed` columns of c and b use v, those after them its magnitude
|v|.

A cell's factor is bit for bit that of `engine.kernels.perturb`; sums run in the order of the cells,
in float64 and with explicit fma, so results depend on the packing alone. Sums along a line are sums
of the sums of some cells at a time, which loses far less to rounding than one long sum.

Factors can be kept in memory for later passes. The errors behind them are not, so gaussian sums are
of the cells that a pass draws itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from engine.kernels.arrays import F32, F64, I32, I64, U32, readonly
from engine.kernels.compiling import compiled, inline
from engine.kernels.dirichlet import factor_of_logarithm
from engine.kernels.lanes import (
    add_magnitudes,
    add_plain,
    store_past,
    sum_changes,
    sum_lanes,
    sum_magnitudes,
    sum_plain,
    widen,
)
from engine.kernels.laws import factor_of
from engine.kernels.machine import add, fma
from engine.kernels.perturb import HALF_LN2, STRIP, Cells, Term
from engine.kernels.streams import (
    LANES,
    QUARTER,
    Single,
    Word,
    box_muller,
    exp2,
    normals_of_group,
    philox,
)

CHUNK = 16  # cells whose factors wait in the nearest cache until they are applied
_LN2 = 0.6931471805599453
_NOTHING = np.empty((0, LANES), Single)
_OWN_SLOTS = readonly(np.empty(0, dtype=np.int32))


class _Packed(NamedTuple):
    """`Cells` as kernels take them."""

    by_row: bool
    starts: I64
    across: I32
    value: F64
    log2_sd: F32
    rows: U32
    columns: U32
    quantiles: F32
    size_of: I32
    logarithmic: bool


class _Streams(NamedTuple):
    """The terms of `Cells` for one group of draws.

    A shared term's normals are rows of `table`, (addresses, 64); a cell's row is the sum of an
    offset of its line and one of its position. `realised` are factors from a file, (cells, 64).
    """

    keys: U32
    nodes: U32
    weights: F32
    table: F32
    line: I32
    position: I32
    shared_weights: F32
    first_word: np.uint32
    realised: F32


def _streams(cells: Cells, group: int) -> _Streams:
    own = [term for term in cells.terms if term.groups is None]
    shared = [term for term in cells.terms if term.groups is not None]
    tables, lines, positions, used = [np.empty((0, LANES), Single)], [], [], 0
    for term in shared:
        line, position = _offsets(term, cells.by_row, used)
        table = _table(term, group)
        used += len(table)
        tables.append(table)
        lines.append(line)
        positions.append(position)
    return _Streams(
        keys=np.array([term.key for term in own], dtype=Word).reshape(-1, 2),
        nodes=np.array([term.node for term in own], dtype=Word),
        weights=np.array([term.weight for term in own], dtype=Single),
        table=np.concatenate(tables),
        line=_stack(lines),
        position=_stack(positions),
        shared_weights=np.array([term.weight for term in shared], dtype=Single),
        first_word=Word(QUARTER * group),
        realised=_realised(cells, group),
    )


def _realised(cells: Cells, group: int) -> F32:
    """Factors from a file, (cells, 64), one where it has no such realisation; none of others."""
    if not len(cells.realised):
        return _NOTHING
    factors = np.ones((len(cells.value), LANES), Single)
    known = cells.realised[LANES * group : LANES * (group + 1)]
    factors[:, : len(known)] = known.T
    return factors


def _stack(rows: list[I32]) -> I32:
    return np.stack(rows).astype(np.int32) if rows else np.empty((0, 0), dtype=np.int32)


def _table(term: Term, group: int) -> F32:
    assert term.groups is not None
    return normals_of_group(term.key, term.groups.rows, term.groups.columns, group, term.node)


def _offsets(term: Term, by_row: bool, used: int) -> tuple[I32, I32]:
    g = term.groups
    assert g is not None
    row, column = g.row_of * len(g.columns) + used, g.column_of
    return (row, column) if by_row else (column, row)


@inline
def draw_chunk(
    factors: F32,
    eps: F32,
    cells: Any,
    streams: Any,
    line: int,
    first: int,
    wanted: I64,
    count: int,
) -> None:
    """Factors of the wanted cells of a chunk of one line in 64 draws, and their errors."""
    for turn in range(count):
        q = wanted[turn]
        for lane in range(LANES):
            eps[q, lane] = Single(0.0)
    for term in range(streams.shared_weights.size):
        w, offset = streams.shared_weights[term], streams.line[term, line]
        for turn in range(count):
            q = wanted[turn]
            address = offset + streams.position[term, cells.across[first + q]]
            for lane in range(LANES):
                eps[q, lane] = fma(w, streams.table[address, lane], eps[q, lane])
    for term in range(streams.weights.size):
        w, node = streams.weights[term], streams.nodes[term]
        k0, k1 = streams.keys[term, 0], streams.keys[term, 1]
        for turn in range(count):
            q = wanted[turn]
            position = cells.across[first + q]
            row = cells.rows[line if cells.by_row else position]
            column = cells.columns[position if cells.by_row else line]
            for lane in range(QUARTER):
                word = add(streams.first_word, Word(lane))
                w0, w1, w2, w3 = philox(row, column, word, node, k0, k1)
                z0, z1 = box_muller(w0, w1)
                z2, z3 = box_muller(w2, w3)
                eps[q, lane] = fma(w, z0, eps[q, lane])
                eps[q, lane + 16] = fma(w, z1, eps[q, lane + 16])
                eps[q, lane + 32] = fma(w, z2, eps[q, lane + 32])
                eps[q, lane + 48] = fma(w, z3, eps[q, lane + 48])
    for turn in range(count):
        q = wanted[turn]
        s = cells.log2_sd[first + q]
        shift = -((s * HALF_LN2) * s)
        for lane in range(LANES):
            factors[q, lane] = exp2(fma(s, eps[q, lane], shift))


@compiled
def other_factors(
    factors: F32,
    eps: F32,
    quantiles: F32,
    size_of: I32,
    logarithmic: bool,
    realised: F32,
    wanted: I64,
    count: int,
) -> None:
    """By quantiles of a law or of its logarithm, or from a file, in the place of lognormal ones.

    Args:
        size_of, realised: of the chunk's cells.
    """
    for turn in range(count):
        q = wanted[turn]
        for lane in range(LANES):
            if realised.shape[0] > 0:
                factors[q, lane] = realised[q, lane]
            elif logarithmic:
                factors[q, lane] = factor_of_logarithm(quantiles[size_of[q]], eps[q, lane])
            else:
                factors[q, lane] = factor_of(quantiles[size_of[q]], eps[q, lane])


@compiled
def _pass(  # noqa: PLR0912  # numba: one loop nest, or arrays leave the registers
    cells: Any,
    streams: Any,
    kept: F32,
    slots: I32,
    filled: int,
    less: float,
    c: F64,
    signed_c: int,
    x: F64,
    b: F64,
    signed_b: int,
    g: F64,
    along: F64,
    own: F64,
    across: F64,
    gaussian: F64,
    gaussian_across: F64,
) -> None:
    factors, eps = np.ones((CHUNK, LANES), Single), np.zeros((CHUNK, LANES), Single)
    v, e = np.empty((CHUNK, LANES)), np.zeros((CHUNK, LANES))
    kc, kx, kb, kg = c.shape[1], x.shape[1], b.shape[1], g.shape[1]
    scatter = gaussian_across.shape[1] > 0
    drawn = streams.weights.size + streams.shared_weights.size + streams.realised.shape[0] > 0
    other = cells.quantiles.shape[0] + streams.realised.shape[0] > 0
    wanted, slot = np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64)
    lines = cells.rows.size if cells.by_row else cells.columns.size
    for segment in range(cells.starts.size - 1):
        line = segment % lines
        first, last = cells.starts[segment], cells.starts[segment + 1]
        while first < last:
            size = min(CHUNK, last - first)
            count = 0
            for q in range(size):
                slot[q] = slots[first + q] if slots.size > 0 else first + q
                if drawn and slot[q] >= filled:
                    wanted[count] = q
                    count += 1
            draw_chunk(factors, eps, cells, streams, line, first, wanted, count)
            if other:
                of_cells, of_file = cells.size_of[first:last], streams.realised[first:last]
                other_factors(
                    factors,
                    eps,
                    cells.quantiles,
                    of_cells,
                    cells.logarithmic,
                    of_file,
                    wanted,
                    count,
                )
            for q in range(size):
                if slot[q] < filled:
                    widen(v, q, cells.value[first + q], kept, slot[q], less)
                    continue
                widen(v, q, cells.value[first + q], factors, q, less)
                if slot[q] < kept.shape[0]:
                    store_past(kept, slot[q], factors, q)
            for k in range(signed_c):
                at = (line * kc + k) * LANES
                sum_plain(along, at, v, c, cells.across, first, size, kc, k)
            for k in range(signed_c, kc):
                at = (line * kc + k) * LANES
                sum_magnitudes(along, at, v, c, cells.across, first, size, kc, k)
            for k in range(kx):
                at = (line * kx + k) * LANES
                sum_lanes(own, at, v, x, cells.across, first, size, kx * LANES, k * LANES)
            for q in range(size if kb > 0 else 0):
                at = np.int64(cells.across[first + q]) * kb
                for k in range(signed_b):
                    add_plain(across, (at + k) * LANES, v, q, b[line, k])
                for k in range(signed_b, kb):
                    add_magnitudes(across, (at + k) * LANES, v, q, b[line, k])
            for q in range(size if kg > 0 or scatter else 0):
                slope = cells.value[first + q] * np.float64(cells.log2_sd[first + q]) * _LN2
                widen(e, q, slope if slot[q] >= filled else 0.0, eps, q, 0.0)
            for k in range(kg):
                at = (line * kg + k) * LANES
                sum_plain(gaussian, at, e, g, cells.across, first, size, kg, k)
            for q in range(size if scatter else 0):
                add_plain(gaussian_across, cells.across[first + q] * LANES, e, q, 1.0)
            first += size


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """Cells with the streams of one group of draws; factors are kept in memory if asked for.

    Attributes:
        kept: factors, (rows,64): none where every pass draws them anew.
        slots: which of the rows each cell has, (cells,), beyond the last for none; empty where
            each has its own.
        filled: how many of the rows, from the first, passes have filled yet.
    """

    cells: _Packed
    streams: _Streams
    kept: F32
    slots: I32
    filled: list[int]

    @property
    def drawn(self) -> bool:
        """Whether its cells carry errors."""
        return _is_drawn(self.streams)


def _is_drawn(streams: _Streams) -> bool:
    terms = streams.weights.size + streams.shared_weights.size
    return bool(terms + len(streams.realised) > 0)


class Memory:
    """Room for kept factors, used again by a thread's next group.

    Memory fresh from the system costs as much to touch as the factors cost to compute.
    """

    def __init__(self) -> None:
        self._room = np.empty((0, LANES), Single)
        self._used = 0

    def clear(self, rows: int) -> None:
        """Forget what is kept; there will be room for so many rows."""
        self._used = 0
        if len(self._room) < rows:
            self._room = _aligned(rows)

    def take(self, rows: int) -> F32:
        """The next (rows, 64) of the room.

        Raises:
            ValueError: there is no such room left; kernels would write beyond it.
        """
        self._used += rows
        if self._used > len(self._room):
            raise ValueError(f"no room for {rows} rows of {len(self._room)}; clear() for more")
        return self._room[self._used - rows : self._used]


def _aligned(rows: int) -> F32:
    """(rows, 64) that begin with a cache line, as `store_past` needs them."""
    whole = np.empty(4 * LANES * rows + 64, np.uint8)
    first = -whole.ctypes.data % 64
    room: F32 = whole[first : first + 4 * LANES * rows].view(Single).reshape(rows, LANES)
    return room


def roundings(positions: int, entries: int) -> int:
    """How often a term of a sum along a line is rounded, at most.

    Args:
        positions: of the line.
        entries: that its cells are packed in.
    """
    strips = -(-positions // STRIP)
    return CHUNK + positions // CHUNK + entries * strips


def bind(entries: Iterable[Cells], group: int, *, keep: Memory | None = None) -> tuple[Bound, ...]:
    """The entries of one quantity, ready to be drawn for the 64 draws of `group`.

    Args:
        keep: where to keep the factors of the first pass for those that follow.
    """
    return tuple(
        _bound(
            cells,
            group,
            _NOTHING if keep is None or not cells.drawn else keep.take(len(cells.value)),
        )
        for cells in entries
    )


def _bound(cells: Cells, group: int, kept: F32) -> Bound:
    return Bound(_packed(cells), _streams(cells, group), kept, _OWN_SLOTS, [0])


def _packed(cells: Cells) -> _Packed:
    return _Packed(*(getattr(cells, name) for name in _Packed._fields))


def bind_with(
    entries: Sequence[Cells],
    some: Sequence[Cells],
    slots: Sequence[I32],
    group: int,
    memory: Memory,
    rows: int,
) -> tuple[tuple[Bound, ...], tuple[Bound, ...]]:
    """The entries, and some of their cells whose factors are kept, in memory that both share.

    Args:
        some: of each entry that is drawn, the cells whose factors are kept first; where none is
            drawn, any.
        slots: of each such entry, position in `some` of every cell; those of the others follow.
        rows: how many factors to keep at most, beyond those of `some`.
    """
    whole, few, rest = [], [], zip(some, slots, strict=True)
    for cells in entries:
        if not cells.drawn:
            whole.append(_bound(cells, group, _NOTHING))
            continue
        first, own = next(rest)
        more = min(rows, len(cells.value) - len(first.value))
        rows -= more
        kept = memory.take(len(first.value) + more)
        all_ = replace(_bound(cells, group, kept), slots=own)
        whole.append(all_)
        few.append(
            replace(
                all_,
                cells=_packed(first),
                streams=all_.streams._replace(realised=_realised(first, group)),
                kept=kept[: len(first.value)],
                slots=_OWN_SLOTS,
            )
        )
    return tuple(whole), tuple(few) or bind(some, group)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """What one pass adds up, each (lines or positions, columns, 64); see the module."""

    along: F64
    own: F64
    across: F64
    gaussian: F64
    gaussian_across: F64


_NONE = np.empty((0, 0))


def _frozen(array: F64) -> F64:
    """Contiguous and read-only, so that kernels are compiled for one type alone."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def sweep(
    entries: Sequence[Bound],
    *,
    c: F64 = _NONE,
    signed_c: int | None = None,
    x: F64 | None = None,
    b: F64 = _NONE,
    signed_b: int | None = None,
    g: F64 = _NONE,
    gaussian_across: bool = False,
    less: float = 0.0,
) -> Sums:
    """One pass over all cells of a quantity, in 64 draws.

    Args:
        c, g: (positions, columns); g and `gaussian_across` sum over the cells drawn in this pass,
            not over those whose factors were kept before.
        x: (positions, columns, 64).
        b: (lines, columns).
        signed_c, signed_b: how many of the columns use v and not |v|; all if not given.
        less: subtracted from every factor: with 1, v is the change by the errors alone.
    """
    rows, columns = entries[0].cells.rows.size, entries[0].cells.columns.size
    lines, positions = (rows, columns) if entries[0].cells.by_row else (columns, rows)
    x = np.empty((positions, 0, LANES)) if x is None else x
    sums = Sums(
        along=np.zeros((lines, c.shape[1], LANES)),
        own=np.zeros((lines, x.shape[1], LANES)),
        across=np.zeros((positions, b.shape[1], LANES)),
        gaussian=np.zeros((lines, g.shape[1], LANES)),
        gaussian_across=np.zeros((positions, int(gaussian_across), LANES)),
    )
    for bound in entries:
        if less == 1.0 and not bound.drawn:
            continue  # nothing changes
        _pass(
            bound.cells,
            bound.streams,
            bound.kept,
            bound.slots,
            bound.filled[0],
            less,
            _frozen(c),
            c.shape[1] if signed_c is None else signed_c,
            _frozen(x),
            _frozen(b),
            b.shape[1] if signed_b is None else signed_b,
            _frozen(g),
            sums.along,
            sums.own,
            sums.across,
            sums.gaussian,
            sums.gaussian_across,
        )
        bound.filled[0] = max(bound.filled[0], len(bound.kept))
    return sums


@compiled
def _add_changes(cells: Any, kept: F32, x: F32, out: F32) -> None:
    columns = x.shape[1]
    lines = cells.rows.size if cells.by_row else cells.columns.size
    for segment in range(cells.starts.size - 1):
        line, first = segment % lines, cells.starts[segment]
        size = cells.starts[segment + 1] - first
        for k in range(columns if size > 0 else 0):
            at, stride, offset = (line * columns + k) * LANES, columns * LANES, k * LANES
            sum_changes(out, at, cells.value, kept, x, cells.across, first, size, stride, offset)


def changes(entries: Sequence[Bound], x: F32) -> F32:
    """sum_e q (factor - 1) x[e, k] of cells whose factors a pass has kept; roughly, in float32.

    Args:
        entries: each cell's factor in a row of its own, or none drawn.
        x: (positions, columns, 64).

    Raises:
        ValueError: a cell's factor lies in the row of another.
    """
    if any(bound.slots.size for bound in entries):
        raise ValueError("these cells share rows of factors with others; bind them on their own")
    cells = entries[0].cells
    lines = cells.rows.size if cells.by_row else cells.columns.size
    out, x = np.zeros((lines, *x.shape[1:]), dtype=Single), np.ascontiguousarray(x)
    for bound in entries:
        if bound.filled[0]:
            _add_changes(bound.cells, bound.kept, x, out)
    return out
