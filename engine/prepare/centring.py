"""What the cells of one known total share, and the factors that keep their means.

A component drops out of the shares where one normal of it moves all cells of a total alike. One
that only one of its cells uses is the cell's own. What is left must be blocks of cells that do not
overlap, but for one component that may do anything: so far `engine.kernels.shares` reaches.

Equations of docs/method.md: 2.9.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from engine.errors import ConfigError
from engine.kernels.arrays import F32, F64, I32, I64, Bool
from engine.kernels.dirichlet import centred_gammas, first_order_sizes, rsd_of_shares
from engine.kernels.perturb import LOG2E, Cells
from engine.kernels.shares import Centred, Spread, centred

_EQUAL = 1e-9  # relative: errors that differ by less are equal
_ROUNDED = 1e-5  # relative: float32 sizes that differ by less are equal


@dataclass(frozen=True, slots=True, eq=False)
class Centring:
    """Of the cells of each entry.

    Attributes:
        factors: c, (cells,) each.
        rsd: relative standard deviation of each cell's share of its total, (cells,) each.
        cancelled: components that move all cells of some total alike and so change nothing there.
    """

    factors: tuple[F64, ...]
    rsd: tuple[F64, ...]
    cancelled: tuple[str, ...]


def centred_members(
    entries: Sequence[Cells],
    totals: Sequence[I32],
    shares: Sequence[F64],
    concentration: F64,
    names: Sequence[str],
    components: Mapping[bytes, str],
) -> Centring:
    """Centre the cells of every total.

    Args:
        entries: cells with known totals.
        totals, shares: which total each of them belongs to, and its share of it.
        concentration: of the Dirichlet shares of each total, which need no centring; NaN where
            they come of lognormal errors, (totals,).
        names: of the totals.
        components: names of components by stream key.

    Raises:
        ConfigError: cells of one total whose errors overlap in more ways than can be computed,
            or Dirichlet shares of one total that have errors in common.
    """
    total, share = np.concatenate(totals), np.concatenate(shares)
    records, own = _records(entries, total)
    factors, rsd = np.ones(len(total)), np.zeros(len(total))
    dirichlet = ~np.isnan(concentration)
    _refuse_shared(records, total, dirichlet, names, components)
    concentrations = np.concatenate(concentrations_of(entries, totals, shares, concentration))
    order = np.argsort(total, kind="stable").astype(np.int64)
    ends = np.searchsorted(total[order], np.arange(len(names) + 1))
    members = [order[first:last] for first, last in pairwise(ends)]
    shared, cancelled = _shared(records, own, total, [len(some) for some in members])
    for which, inside in enumerate(members):
        if len(inside) < 2:
            continue
        if dirichlet[which]:
            p = share[inside] / share[inside].sum()
            found = _dirichlet(p, concentrations[inside])
            factors[inside], rsd[inside] = _rounded(found.factor), found.rsd
            continue
        sets = [
            _Set(np.searchsorted(inside, one.members).astype(np.int64), one.loadings)
            for one in shared.get(which, ())
        ]
        spread = _arranged(np.sqrt(own[inside]), sets)
        if spread is None:
            raise ConfigError(
                "the errors of its cells overlap in more ways than the means of their shares can "
                "be computed for",
                where=f"known_totals, {names[which]}",
                remedy="let components share within groups that do not overlap (but for one of "
                "them), or give finer totals with more keys in `by`",
            )
        try:
            found = centred(share[inside] / share[inside].sum(), spread)
        except ArithmeticError as error:
            raise ConfigError(
                f"the means of its cells cannot be kept ({error})",
                where=f"known_totals, {names[which]}",
                remedy="look for error sizes that cannot be meant",
            ) from error
        factors[inside] = _rounded(found.factor)
        rsd[inside] = found.rsd
    cuts = np.cumsum([len(some) for some in totals])[:-1]
    return Centring(
        tuple(np.split(factors, cuts)),
        tuple(np.split(rsd, cuts)),
        tuple(sorted({components.get(key, "a component") for key in cancelled})),
    )


def _refuse_shared(
    records: _Records,
    total: I32,
    dirichlet: Bool,
    names: Sequence[str],
    components: Mapping[bytes, str],
) -> None:
    """Dirichlet shares are those of independent gamma variates (2.10)."""
    of = total[records.member]
    fields = np.stack([of, records.key, records.address])[:, dirichlet[of]]
    distinct, users = np.unique(fields, axis=1, return_counts=True)
    for which, key, _ in distinct[:, users > 1].T:
        raise ConfigError(
            f"{components.get(records.keys[key], 'a component')} is shared by cells of one total, "
            "whose shares are then not Dirichlet",
            where=f"known_totals, {names[which]}",
            remedy='use group = "cell", or keys of which every cell of a total has its own',
        )


def concentrations_of(
    entries: Sequence[Cells],
    totals: Sequence[I32],
    shares: Sequence[F64],
    concentration: F64,
) -> list[F64]:
    """kappa / f^2 of the cells of each entry, of first-order sizes f times those of their total's
    kappa, (cells,) each; NaN where shares are not Dirichlet.

    All f are one, but where errors were taken away (`engine.budget.freezing`): with one f for all
    cells of a total its shares are Dirichlet again.
    """
    found = []
    for cells, total, share in zip(entries, totals, shares, strict=True):
        kappa = concentration[total]
        f = cells.log2_sd.astype(np.float64) / LOG2E / first_order_sizes(share, kappa)
        f[np.abs(f - 1) < _ROUNDED] = 1.0
        with np.errstate(divide="ignore"):
            found.append(kappa / np.square(f))
    return found


def _dirichlet(p: F64, concentrations: F64) -> Centred:
    """Of one total: nothing is to be centred where one concentration is that of all its cells."""
    if np.isinf(concentrations).all():
        return Centred(np.ones(len(p)), np.zeros(len(p)), 0)
    if np.ptp(concentrations) <= _ROUNDED * concentrations.min():
        return Centred(np.ones(len(p)), rsd_of_shares(p, float(concentrations[0])), 0)
    return centred_gammas(p, concentrations * p)


def _rounded(factors: F64) -> F32:
    """Coarser than what differs in the last bits of `exp` between machines."""
    return factors.astype(np.float32)


def fingerprint() -> str:
    """Hash of the factors of a fixed example: it changes when the numbers that centre cells do."""
    p = np.arange(1.0, 9.0) / 36
    spread = Spread(
        own=np.linspace(0.0, 0.7, 8),
        block=np.array([0, 0, 0, 1, 1, -1, -1, -1]),
        shared=np.array([0.2, 0.3, 0.4, 0.6, 0.5, 0.0, 0.0, 0.0]),
        common=np.linspace(0.5, 0.1, 8),
    )
    rounded = _rounded(centred(p, spread).factor)
    return hashlib.blake2b(rounded.astype("<f4").tobytes(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class _Records:
    """One for each cell and component that shares its normals, (records,).

    Attributes:
        keys: stream keys.
        member: the cell, counted over all entries.
        key: which of the keys.
        address: row and column hash of the group, in one word.
        loading: log-standard deviation that the component gives the cell.
    """

    keys: list[bytes]
    member: I64
    key: I64
    address: I64
    loading: F64


def _records(entries: Sequence[Cells], total: I32) -> tuple[_Records, F64]:
    """The records, and the variance of each cell by its own normals, (cells,)."""
    keys: dict[bytes, int] = {}
    own = np.zeros(len(total))
    found: list[tuple[I64, I64, I64, F64]] = []
    first = 0
    for cells in entries:
        i, j = cells.positions()
        here = np.arange(first, first + len(i))
        first += len(i)
        sigma = cells.log2_sd.astype(np.float64) / LOG2E
        weights: dict[bytes, float] = {}
        for term in cells.terms:
            key = term.key.tobytes()
            weights[key] = weights.get(key, 0.0) + term.weight**2
        for key, groups in {term.key.tobytes(): term.groups for term in cells.terms}.items():
            if groups is None:
                own[here] += weights[key] * sigma**2
                continue
            rows = groups.rows[groups.row_of[i]].astype(np.int64)
            columns = groups.columns[groups.column_of[j]].astype(np.int64)
            which = np.full(len(i), keys.setdefault(key, len(keys)))
            loading = np.sqrt(weights[key]) * sigma
            some = loading > 0
            record = here, which, (rows << 32) ^ columns, loading
            found.append(tuple(values[some] for values in record))
    if not found:
        nothing = np.empty(0, dtype=np.int64)
        return _Records([], nothing, nothing, nothing, np.empty(0)), own
    joined = [np.concatenate(values) for values in zip(*found, strict=True)]
    return _Records(list(keys), *joined), own


@dataclass(frozen=True, slots=True, eq=False)
class _Set:
    """Cells of one total that share a normal, in ascending order, and what it does to them."""

    members: I64
    loadings: F64


def _shared(
    records: _Records, own: F64, total: I32, sizes: Sequence[int]
) -> tuple[dict[int, list[_Set]], set[bytes]]:
    """The sets of each total, and the keys of what cancels; single cells' go to `own`."""
    of = total[records.member]
    order = np.lexsort((records.member, records.address, records.key, of))
    fields = np.stack([of, records.key, records.address])[:, order]
    new = np.ones(len(order) + 1, dtype=np.bool_)
    new[1:-1] = (fields[:, 1:] != fields[:, :-1]).any(axis=0)
    ends = np.flatnonzero(new)
    sets: dict[int, list[_Set]] = {}
    cancelled: set[bytes] = set()
    for first, last in pairwise(ends):
        some = order[first:last]
        which, members, loadings = int(of[some[0]]), records.member[some], records.loading[some]
        if len(some) == 1:
            if sizes[which] > 1:
                own[members] += loadings**2
        elif len(some) == sizes[which] and np.ptp(loadings) <= _EQUAL * loadings.max():
            cancelled.add(records.keys[records.key[some[0]]])
        else:
            sets.setdefault(which, []).append(_Set(members, loadings))
    return sets, cancelled


def _arranged(own: F64, sets: Sequence[_Set]) -> Spread | None:
    """Sets that do not overlap as blocks, but for one; None where there is no such one."""
    sets = sorted(_joined(sets), key=lambda one: -len(one.members))
    # A lone set is the cheaper as the common one: most of its cells then move alike, or not at all.
    for common in (0,) if len(sets) == 1 else (None, *range(len(sets))):
        blocks = [one for which, one in enumerate(sets) if which != common]
        used = np.zeros(len(own), dtype=np.int64)
        for one in blocks:
            used[one.members] += 1
        if used.max(initial=0) > 1:
            continue
        block = np.full(len(own), -1)
        shared, of_all = np.zeros(len(own)), np.zeros(len(own))
        for which, one in enumerate(blocks):
            block[one.members], shared[one.members] = which, one.loadings
        if common is not None:
            of_all[sets[common].members] = sets[common].loadings
        return Spread(own, block, shared, of_all)
    return None


def _joined(sets: Sequence[_Set]) -> Iterator[_Set]:
    """Normals that do the same to the same cells, up to a factor, act as one."""
    joined: list[_Set] = []
    for one in sets:
        for place, other in enumerate(joined):
            if _alike(one, other):
                both = np.sqrt(one.loadings**2 + other.loadings**2)
                joined[place] = _Set(one.members, both)
                break
        else:
            joined.append(one)
    return iter(joined)


def _alike(one: _Set, other: _Set) -> bool:
    if not np.array_equal(one.members, other.members):
        return False
    ratio = one.loadings / other.loadings
    return bool(np.ptp(ratio) <= _EQUAL * ratio.max())
