"""The fused pass, held to the slow draw of one cell at a time: bit by bit, then sum by sum."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import numpy as np
import pytest

from engine.kernels.arrays import F32, F64
from engine.kernels.elementary import log_sd
from engine.kernels.fused import Bound, Memory, Sums, bind, bind_with, changes, sweep
from engine.kernels.perturb import LOG2E, Cells, Groups, Term, estimate, pack, perturb
from engine.kernels.perturb import standard_errors as errors_of
from engine.kernels.streams import LANES, stream_key

PACKINGS = pytest.mark.parametrize("by_row", [True, False], ids=["by_row", "by_column"])
UNIT_ROUNDOFF = 2.0**-53


# --- made-up quantities ---------------------------------------------------------------------------


def hashes(seed: int, count: int) -> np.ndarray:
    words = np.random.default_rng(seed).integers(0, 2**32, 2 * count + 8, dtype=np.uint32)
    return np.unique(words)[:count]


def grouped(seed: int, shape: tuple[int, int], rows: int, columns: int) -> Groups:
    """Cells that share a normal in `rows` x `columns` groups, members anywhere."""
    rng = np.random.default_rng(seed)
    row_of, column_of = (
        np.concatenate([np.arange(min(k, n)), rng.integers(0, k, max(n - k, 0))]).astype(np.int32)
        for k, n in ((rows, shape[0]), (columns, shape[1]))
    )
    return Groups(hashes(seed + 1, rows), hashes(seed + 2, columns), row_of, column_of)


def terms_of(kind: str, seed: int, shape: tuple[int, int]) -> tuple[Term, ...]:
    """Errors of every make: cells' own normals, shared ones, both, several of both, none."""
    m, n = shape

    def own(weight: float, node: int = 2010) -> Term:
        return Term(weight, stream_key(seed, "q", f"own {weight}"), node, None)

    def shared(weight: float, rows: int, columns: int, node: int = 0) -> Term:
        key = stream_key(seed, "q", f"shared {rows} {columns}")
        return Term(weight, key, node, grouped(seed, shape, rows, columns))

    mixed = np.sqrt([0.1, 0.2, 0.05, 0.15, 0.3, 0.2])
    sharing = zip(mixed[:4], ((1, 1), (m, 1), (1, n), (min(m, 2), n)), strict=True)
    made_of: dict[str, tuple[Term, ...]] = {
        "none": (),
        "own": (own(1.0),),
        "two own": (own(0.6), own(0.8, 2**31 + 2005)),
        "eight own": tuple(own(np.sqrt(0.125), 2000 + year) for year in range(8)),
        "one for all": (shared(1.0, 1, 1),),
        "rows": (shared(1.0, m, 1),),
        "columns": (shared(1.0, 1, n, 2**32 - 1),),
        "shared and own": (shared(np.sqrt(0.3), min(m, 3), min(n, 2)), own(np.sqrt(0.7))),
        "many": (*(shared(w, *size) for w, size in sharing), own(mixed[4]), own(mixed[5], 0)),
    }
    return made_of[kind]


KINDS = (
    *("none", "own", "two own", "eight own", "one for all"),
    *("rows", "columns", "shared and own", "many"),
)


def made(
    seed: int, shape: tuple[int, int], kinds: Sequence[str], *, by_row: bool, density: float = 0.8
) -> tuple[Cells, ...]:
    """A quantity of cells of both signs and sixteen orders of magnitude, rsd from 0 to 2; every
    cell is in one of as many entries as there are kinds."""
    rng = np.random.default_rng(seed)
    values = rng.choice([-1.0, 1.0], shape, p=[0.2, 0.8]) * 10.0 ** rng.uniform(-8, 8, shape)
    values *= rng.random(shape) < density
    sd = log_sd(rng.choice([0.0, 1e-6, 0.1, 0.5, 2.0], shape)) * LOG2E
    entry = rng.integers(0, len(kinds), shape)
    labels = hashes(seed + 3, shape[0]), hashes(seed + 4, shape[1])
    packed = []
    for number, kind in enumerate(kinds):
        i, j = (index.astype(np.int32) for index in np.nonzero((values != 0) & (entry == number)))
        log2_sd = (sd[i, j] * (kind != "none")).astype(np.float32)
        terms = terms_of(kind, seed + number, shape)
        packed.append(pack(values, i, j, log2_sd, labels, terms, by_row=by_row))
    return tuple(packed)


def room(entries: Sequence[Cells]) -> Memory:
    """Memory for the factors of all cells."""
    memory = Memory()
    memory.clear(sum(len(cells.value) for cells in entries))
    return memory


def drawn(entries: Sequence[Cells], group: int) -> F64:
    """The 64 draws of a group by the reference, (rows, columns, 64)."""
    draws = range(LANES * group, LANES * (group + 1))
    return np.stack([perturb(entries, draw) for draw in draws], axis=-1)


def of_lines(dense: F64, by_row: bool) -> F64:
    """(lines, positions, ...)."""
    return dense if by_row else np.swapaxes(dense, 0, 1)


def applied(entries: Sequence[Bound], by_row: bool, less: float = 0.0) -> tuple[F64, F64, F64]:
    """Every value as the three kinds of sums use it, (lines, positions, 64) each."""
    cells = entries[0].cells
    lines, positions = cells.rows.size, cells.columns.size
    if not by_row:
        lines, positions = positions, lines
    each = np.repeat(np.eye(positions)[..., None], LANES, axis=-1)
    sums = sweep(entries, c=np.eye(positions), x=each, b=np.eye(lines), less=less)
    return sums.along, sums.own, sums.across.transpose(1, 0, 2)


def assert_same(one: F64, other: F64) -> None:
    """The same bits, but for the sign of a zero: a sum that begins at zero has none."""
    assert one.shape == other.shape
    np.testing.assert_array_equal((one + 0.0).view(np.uint64), (other + 0.0).view(np.uint64))


# --- every value, bit by bit ----------------------------------------------------------------------


@PACKINGS
@pytest.mark.parametrize("kind", KINDS)
def test_every_value_has_the_bits_of_the_reference(kind: str, by_row: bool) -> None:
    entries = made(1, (9, 11), [kind], by_row=by_row)
    for group in (0, 1, 1000):
        expected = of_lines(drawn(entries, group), by_row)
        for found in applied(bind(entries, group), by_row):
            assert_same(found, expected)


@PACKINGS
@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (17, 1), (3, 300), (300, 3), (16, 128)])
def test_all_entries_together_in_any_shape(shape: tuple[int, int], by_row: bool) -> None:
    """300 positions are three strips, and no multiple of the cells drawn at once."""
    entries = made(2, shape, KINDS, by_row=by_row)
    expected = of_lines(drawn(entries, 3), by_row)
    for found in applied(bind(entries, 3), by_row):
        assert_same(found, expected)


@PACKINGS
def test_a_line_of_many_cells_is_drawn_in_pieces(by_row: bool) -> None:
    """Lines of 0, 1, 15, 16, 17, 31, 32, 33 and 129 cells, the last across two strips."""
    lengths = (0, 1, 15, 16, 17, 31, 32, 33, 129)
    values = np.array([[float(e < length) for e in range(140)] for length in lengths])
    values *= np.random.default_rng(5).uniform(1, 2, values.shape)
    values = values if by_row else np.ascontiguousarray(values.T)
    i, j = (index.astype(np.int32) for index in np.nonzero(values))
    labels = hashes(6, values.shape[0]), hashes(7, values.shape[1])
    log2_sd = np.full(len(i), 0.7, dtype=np.float32)
    terms = terms_of("many", 8, (values.shape[0], values.shape[1]))
    entries = (pack(values, i, j, log2_sd, labels, terms, by_row=by_row),)
    for keep in (False, True):
        for found in applied(bind(entries, 0, keep=room(entries) if keep else None), by_row):
            assert_same(found, of_lines(drawn(entries, 0), by_row))


@PACKINGS
def test_kept_factors_are_the_ones_drawn_anew(by_row: bool) -> None:
    entries = made(3, (8, 140), KINDS, by_row=by_row)
    fresh, kept = bind(entries, 2), bind(entries, 2, keep=room(entries))
    assert not any(bound.filled[0] for bound in kept)
    for less in (1.0, 0.0, 1.0):  # the first pass fills what is kept, the others read it
        pairs = zip(applied(fresh, by_row, less), applied(kept, by_row, less), strict=True)
        for one, other in pairs:
            assert_same(one, other)
    assert not any(bound.filled[0] for bound in fresh)
    for bound, cells in zip(kept, entries, strict=True):
        assert bound.filled[0] == len(bound.kept) == (len(cells.value) if cells.terms else 0)


def some_kept(
    entries: Sequence[Cells], share: float
) -> tuple[list[Cells], list[np.ndarray], list[np.ndarray]]:
    """A random share of the cells drawn, which they are, and everybody's slots."""
    rng = np.random.default_rng(1)
    drawn = [cells for cells in entries if cells.drawn]
    chosen = [rng.random(len(cells.value)) < share for cells in drawn]
    some = [cells.only(which) for cells, which in zip(drawn, chosen, strict=True)]
    slots = [
        np.where(which, np.cumsum(which), which.sum() + np.cumsum(~which)).astype(np.int32) - 1
        for which in chosen
    ]
    for one in slots:
        one.flags.writeable = False
    return some, chosen, slots


@PACKINGS
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("more", [0, 7, 10**6])
def test_factors_kept_of_some_cells_serve_all_passes(more: int, share: float, by_row: bool) -> None:
    """Whichever of the two packings is passed over first, and in memory used before."""
    entries = made(14, (9, 140), KINDS, by_row=by_row)
    some, _, slots = some_kept(entries, share)
    memory = room(entries)
    for group in (0, 5):
        expected = applied(bind(entries, group), by_row), applied(bind(some, group), by_row)
        for first in (0, 1):
            memory.clear(sum(len(cells.value) for cells in entries))
            bound = bind_with(entries, some, slots, group, memory, more)
            assert len(bound[1]) == len(some)
            kept = sum(len(one.kept) for one in bound[0])
            fixed = sum(len(cells.value) for cells in some)
            assert kept == min(fixed + more, sum(len(one) for one in slots))
            for turn in (first, 1 - first, first):
                for found, known in zip(applied(bound[turn], by_row), expected[turn], strict=True):
                    assert_same(found, known)


@PACKINGS
def test_gaussian_sums_of_two_passes_are_those_of_one(by_row: bool) -> None:
    """The second pass adds the cells that the first did not draw, and no others."""
    entries = made(14, (9, 140), KINDS, by_row=by_row)
    some, chosen, slots = some_kept(entries, 0.3)
    memory = room(entries)
    positions = 140 if by_row else 9
    g = weights(4, positions, 2)
    whole = sweep(bind(entries, 3), g=g, gaussian_across=True)
    for more in (0, 50):
        memory.clear(sum(len(cells.value) for cells in entries))
        all_, few = bind_with(entries, some, slots, 3, memory, more)
        first, second = (sweep(of, g=g, gaussian_across=True) for of in (few, all_))
        rest = [
            cells.only(~which)
            for cells, which in zip((c for c in entries if c.terms), chosen, strict=True)
        ]
        alone = sweep(bind(rest, 3), g=g, gaussian_across=True)
        for name in ("gaussian", "gaussian_across"):
            one, other, both, others = (
                getattr(sums, name) for sums in (first, second, whole, alone)
            )
            size = 1e-12 * np.abs(both).max()
            assert one + other == pytest.approx(both, rel=1e-9, abs=size)
            assert other == pytest.approx(others, rel=1e-9, abs=size)
        again = sweep(few, g=g, gaussian_across=True)
        assert not again.gaussian.any()
        assert not again.gaussian_across.any()


@PACKINGS
def test_changes_are_those_of_the_factors_in_single_precision(by_row: bool) -> None:
    """Each product errs by a few units in the last place of float32, and so does each sum."""
    entries = made(15, (20, 300), KINDS, by_row=by_row)
    bound = bind(entries, 2, keep=room(entries))
    v = sweep(bound, x=np.repeat(np.eye(300 if by_row else 20)[..., None], 64, axis=-1), less=1.0)
    dense = v.own.transpose(0, 2, 1)  # lines, draws, positions
    x = weights(3, dense.shape[2], 3, LANES).astype(np.float32)
    terms = dense.transpose(0, 2, 1)[:, :, None] * x.astype(np.float64)
    size = np.abs(terms).sum(axis=1)
    lost = 2.0**-24 * (dense.shape[2] + 4) * size
    assert (np.abs(changes(bound, x) - terms.sum(axis=1)) <= lost).all()
    assert (size > 0).any()


def test_memory_begins_with_a_cache_line() -> None:
    """What is stored past the caches must, or the processor refuses it."""
    memory = Memory()
    for rows in (1, 3, 1000, 7):
        memory.clear(rows)
        assert memory.take(rows).ctypes.data % 64 == 0


def test_memory_that_is_too_small_is_refused() -> None:
    entries = made(15, (4, 4), ["own", "many"], by_row=True)
    memory = Memory()
    memory.clear(sum(len(cells.value) for cells in entries) - 1)
    with pytest.raises(ValueError, match="no room"):
        bind(entries, 0, keep=memory)


@PACKINGS
def test_less_takes_the_estimate_away_exactly(by_row: bool) -> None:
    """The value is q (factor - 1) in float64, not a difference of two rounded products."""
    entries = made(4, (7, 20), KINDS, by_row=by_row)
    ones = [replace(cells, value=np.ones_like(cells.value)) for cells in entries]
    factors = np.where(estimate(entries)[..., None] != 0, drawn(ones, 1), 1.0)
    expected = of_lines(estimate(entries)[..., None] * (factors - 1), by_row)
    assert (expected != 0).any()
    for keep in (False, True):
        bound = bind(entries, 1, keep=room(entries) if keep else None)
        for found in applied(bound, by_row, less=1.0):
            assert_same(found, expected)


@PACKINGS
def test_a_cell_does_not_depend_on_which_others_are_there(by_row: bool) -> None:
    entries = made(5, (12, 30), ["many"], by_row=by_row)
    chosen = np.random.default_rng(0).random(len(entries[0].value)) < 0.3
    some = (entries[0].only(chosen),)
    whole, part = (applied(bind(of, 1), by_row)[0] for of in (entries, some))
    there = of_lines(estimate(some), by_row) != 0
    assert 0 < there.sum() == chosen.sum() < len(chosen)
    assert_same(part, np.where(there[..., None], whole, 0.0))


@PACKINGS
@pytest.mark.parametrize("kind", ["none", "own", "many"])
def test_a_quantity_without_cells_adds_nothing(kind: str, by_row: bool) -> None:
    for shape in ((4, 6), (4, 0)):
        entries = made(6, shape, [kind], by_row=by_row, density=0.0)
        for keep in (False, True):
            for found in applied(bind(entries, 0, keep=room(entries) if keep else None), by_row):
                assert found.size == shape[0] * shape[1] * LANES
                assert not found.any()


@PACKINGS
def test_sizes_of_zero_leave_the_estimate_and_its_bits(by_row: bool) -> None:
    entries = []
    for cells in made(7, (6, 6), KINDS, by_row=by_row):
        none = np.zeros_like(cells.log2_sd)
        none.flags.writeable = False
        entries.append(replace(cells, log2_sd=none))
    expected = np.repeat(of_lines(estimate(entries), by_row)[..., None], LANES, axis=-1)
    for found in applied(bind(entries, 9), by_row):
        assert_same(found, expected)


def test_the_last_group_of_a_long_run() -> None:
    entries = made(8, (3, 5), ["many"], by_row=True)
    last = 2**34 // LANES - 1
    for found in applied(bind(entries, last), True):
        assert_same(found, drawn(entries, last))


# --- sums -----------------------------------------------------------------------------------------


def weights(seed: int, *shape: int) -> F64:
    return np.random.default_rng(seed).normal(size=shape)


def assert_sum(found: F64, terms: F64, axis: int) -> None:
    """Equal to the sum of the terms but for what summing in float64 may lose."""
    lost = (terms.shape[axis] + 4) * UNIT_ROUNDOFF * np.abs(terms).sum(axis=axis)
    assert (np.abs(found - terms.sum(axis=axis)) <= 2 * lost).all()


@PACKINGS
@pytest.mark.parametrize("shape", [(13, 9), (5, 270), (270, 5)])
def test_sums_are_those_of_the_dense_matrices(shape: tuple[int, int], by_row: bool) -> None:
    entries = made(9, shape, KINDS, by_row=by_row)
    v = of_lines(drawn(entries, 1), by_row)
    lines, positions = v.shape[:2]
    c, b, x = weights(1, positions, 5), weights(2, lines, 4), weights(3, positions, 3, LANES)
    for keep in (False, True):
        bound = bind(entries, 1, keep=room(entries) if keep else None)
        for _ in range(2):
            sums = sweep(bound, c=c, signed_c=2, x=x, b=b, signed_b=3)
            for k in range(5):
                used = v if k < 2 else np.abs(v)
                assert_sum(sums.along[:, k], used * c[:, k, None], 1)
            for k in range(3):
                assert_sum(sums.own[:, k], v * x[:, k], 1)
            for k in range(4):
                used = v if k < 3 else np.abs(v)
                assert_sum(sums.across[:, k], used * b[:, k, None, None], 0)


@PACKINGS
def test_gaussian_sums_are_those_of_the_errors_themselves(by_row: bool) -> None:
    entries = made(10, (6, 140), KINDS, by_row=by_row)
    slopes = np.zeros((6, 140, LANES))
    for cells in entries:
        if cells.terms:
            eps = np.stack([errors_of(cells, LANES + lane) for lane in range(LANES)], axis=-1)
            sigma = cells.log2_sd.astype(np.float64) / LOG2E
            slopes[cells.positions()] = (cells.value * sigma)[:, None] * eps.astype(np.float64)
    slopes = of_lines(slopes, by_row)
    g = weights(4, slopes.shape[1], 3)
    for keep in (False, True):
        bound = bind(entries, 1, keep=room(entries) if keep else None)
        sums = sweep(bound, c=g, g=g, b=weights(5, len(slopes), 1), gaussian_across=True)
        for k in range(3):
            assert_sum(sums.gaussian[:, k], slopes * g[:, k, None], 1)
        assert_sum(sums.gaussian_across[:, 0], slopes, 0)


@PACKINGS
def test_what_else_is_summed_changes_no_bit(by_row: bool) -> None:
    entries = made(11, (20, 33), KINDS, by_row=by_row)
    lines, positions = (20, 33) if by_row else (33, 20)
    c, b = weights(1, positions, 3), weights(2, lines, 2)
    x, g = weights(3, positions, 2, LANES), weights(4, positions, 1)
    bound = bind(entries, 0)
    whole = sweep(bound, c=c, signed_c=1, b=b, signed_b=1, x=x, g=g, gaussian_across=True)
    assert_same(sweep(bound, c=c, signed_c=1).along, whole.along)
    assert_same(sweep(bound, c=c[:, 2:], signed_c=0).along, whole.along[:, 2:])
    assert_same(sweep(bound, b=b, signed_b=1).across, whole.across)
    assert_same(sweep(bound, x=x[:, ::-1]).own, whole.own[:, ::-1])
    assert_same(sweep(bound, x=x).own, whole.own)
    assert_same(sweep(bound, g=g).gaussian, whole.gaussian)
    assert_same(sweep(bound, gaussian_across=True).gaussian_across, whole.gaussian_across)
    assert_same(sweep(bound, c=c).along, sweep(bound, c=np.asfortranarray(c)).along)


def test_lanes_are_never_mixed() -> None:
    """What is wrong in one draw stays in it."""
    entries = made(12, (10, 10), KINDS, by_row=True)
    x = weights(1, 10, 2, LANES)
    clean = sweep(bind(entries, 0), x=x).own
    x[3, 1, 17] = np.nan
    hurt = sweep(bind(entries, 0), x=x).own
    told = np.isnan(hurt)
    assert told[:, 1, 17].any()
    assert told.sum() == told[:, 1, 17].sum()
    assert_same(np.where(told, 0.0, hurt), np.where(told, 0.0, clean))


# --- threads and machines -------------------------------------------------------------------------


def everything_of(entries: Sequence[Cells], group: int, keep: bool) -> list[bytes]:
    lines, positions = entries[0].shape if entries[0].by_row else entries[0].shape[::-1]
    bound = bind(entries, group, keep=room(entries) if keep else None)
    arguments = {
        "c": weights(1, positions, 3),
        "signed_c": 2,
        "b": weights(2, lines, 3),
        "signed_b": 1,
        "x": weights(3, positions, 2, LANES),
    }
    first = sweep(bound, **arguments, g=weights(4, positions, 1), gaussian_across=True)  # type: ignore[arg-type]
    second = sweep(bound, **arguments, less=1.0)  # type: ignore[arg-type]
    return [getattr(sums, one.name).tobytes() for sums in (first, second) for one in fields(Sums)]


def test_threads_change_no_bit() -> None:
    entries = made(13, (40, 150), KINDS, by_row=True)
    tasks = [(group, keep) for group in range(6) for keep in (False, True)] * 2
    alone = [everything_of(entries, *task) for task in tasks]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda task: everything_of(entries, *task), tasks))
    assert together == alone


def golden() -> str:
    """Hash of a fixed case; its weights are exact in binary and the same everywhere."""
    digest = hashlib.blake2b(digest_size=16)
    i, j = (index.astype(np.int32) for index in np.nonzero(np.ones((5, 150))))
    q = (1.0 + np.arange(750).reshape(5, 150) % 7) / 8 * (-1.0) ** (np.arange(150) % 5 == 0)
    log2_sd: F32 = ((1 + np.arange(750) % 24) / 16).astype(np.float32)
    words = (np.arange(150, dtype=np.uint64) * 2654435761 % 2**32).astype(np.uint32)
    groups = Groups(
        words[:2], words[:3], (np.arange(5) % 2).astype(np.int32), (np.arange(150) % 3).astype("i4")
    )
    own, shared = stream_key(1, "Z", "own"), stream_key(1, "Z", "shared")
    terms = (Term(0.5, shared, 0, groups), Term(0.75, own, 2010, None))
    for by_row in (True, False):
        cells = pack(q, i, j, log2_sd, (words[:5], words), terms, by_row=by_row)
        lines, positions = (5, 150) if by_row else (150, 5)
        c = (np.arange(positions * 2).reshape(positions, 2) % 5 - 2) / 4
        b = (np.arange(lines * 2).reshape(lines, 2) % 3 - 1) / 2
        x = (np.arange(positions * LANES).reshape(positions, 1, LANES) % 11 - 5) / 8
        sums = sweep(
            bind((cells,), 7), c=c, signed_c=1, b=b, signed_b=1, x=x, g=c[:, :1],
            gaussian_across=True,
        )  # fmt: skip
        for one in fields(Sums):
            digest.update(getattr(sums, one.name).tobytes())
    return digest.hexdigest()


def test_the_bits_of_a_fixed_case() -> None:
    """As in every version so far; a compiler, a processor or an edit that changes it is found."""
    assert golden() == "9d4a15705adc198f9e95fb05f18d73d0"
