"""The variance of every change divided by quantity, region, sector and component of the error.

`engine.twin` gives the variance of what moves a footprint from one year to another; this module
says which cells and which errors it comes from, and what it would be without them. To first order
the change is `delta = sum_y a_y G_y`, a the inverse footprint of each year, minus that of the
earlier one (or 1 and -1 on the raw scale); it is a sum over normals, and each normal's part is a
sum over cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from engine.budget.cells import Piece, Places, Seen, Slopes, is_turned, look, which
from engine.budget.components import Source, sources
from engine.budget.files import NAME as FROM_FILES
from engine.budget.files import Realised, realised
from engine.budget.found import OTHERS, Budget, By, Entry, Subject
from engine.budget.normals import Normals, shared_normals
from engine.budget.totals import UnderTotals, pieces_of_totals
from engine.error_model import ErrorModel, Quantity
from engine.kernels.arrays import F64, Bool
from engine.kernels.budget import Moments, sums_by
from engine.kernels.first_order import OF_SUMS, Gradient
from engine.kernels.monte_carlo import quotient
from engine.kernels.perturb import Cells, Groups
from engine.mrio import Labels
from engine.prepare import Addresses, Prepared
from engine.question import Question
from engine.twin import Linearised, Twin, shared_keys, single_cells, uncertain

KEPT = 12  # entries of a kind that are listed; the others are one
_MOST_GROUPS = 2500  # of one component that are told apart: 49 regions with 49 others
_ROOM = 256 * 2**20  # bytes of sums of one look at the cells
_AGREED = 1e-8  # of the variances of both years: rounding, where nearly all cancels


def budget(
    tables: Sequence[Prepared],
    law: Twin,
    errors: ErrorModel,
    question: Question,
    seed: int,
    labels: Labels,
    hashes: Addresses,
    kept: int = KEPT,
) -> Budget:
    """The uncertainty budget of consumers' totals, of consecutive years and of the whole span.

    Args:
        tables: all years of one scenario, prepared.
        law: their first-order law.
        errors, question, seed, hashes: what they were prepared with.
        labels: of the tables.
        kept: entries of a kind that are listed by name, the largest ones in any pair of years.
    """
    known = sources(errors, seed)
    places = places_of(tables[0], labels, errors)
    steps = list(pairwise(range(len(tables))))
    pairs = list(dict.fromkeys([*steps, (0, len(tables) - 1)])) if steps else []
    phis = tuple(sorted({source.phi for source in known.values()}, reverse=True))
    subjects: dict[int, list[Subject]] = {}
    for consumers in _portions(tables, law.linearised, places):
        found = []
        for pair in pairs:
            two = _Two.of(tables, law.linearised, pair, consumers, places)
            found.append(_divided(two, known, places, phis, hashes))
            _refuse_another_variance(found[-1], law, pair, consumers)
        if found:
            for c in range(consumers.start, consumers.stop):
                subjects[c] = _subjects(found, question, c, c - consumers.start, kept)
    return Budget(
        tuple((tables[s].year, tables[t].year) for s, t in pairs),
        phis,
        tuple(
            subjects[c][q]
            for q in range(len(question.indicators))
            for c in range(len(question.consumers) if pairs else 0)
        ),
    )


def _refuse_another_variance(
    found: _Divided, law: Twin, pair: tuple[int, int], consumers: slice
) -> None:
    """Two ways to the same variance, of which neither knows the other."""
    s, t = pair
    F = law.footprint[:, :, consumers, 0]
    first, second = (np.where(found.log, F[y], 1.0) for y in pair)
    C = law.covariance[:, :, :, consumers, 0]
    levels = C[s, s] / first**2 + C[t, t] / second**2
    expected = levels - 2 * C[s, t] / (first * second)
    rounding = OF_SUMS**2 * ((F[s] / first) ** 2 + (F[t] / second) ** 2)
    if not (np.abs(found.variance - expected) <= _AGREED * levels + rounding).all():
        raise AssertionError(
            f"the parts of the variance of the change {law.years[s]}-{law.years[t]} do not add up "
            "to it: an error of the model is left out of the budget, or counted twice"
        )


def places_of(table: Prepared, labels: Labels, errors: ErrorModel) -> Places:
    """What the uncertain cells of a scenario, and its known totals, are called."""
    drawn = [q for q, some in table.cells.items() if any(cells.drawn for cells in some)]
    return Places.of(labels, drawn, errors.totals)


def _portions(
    tables: Sequence[Prepared],
    years: Sequence[Linearised],
    places: Places,
) -> Iterator[slice]:
    """Consumers whose sums over cells fit into the memory allowed, together."""
    indicators, consumers, _ = years[0].footprint.shape
    numbers = 0
    for quantity in places.quantities:
        for cells in uncertain(tables[0], quantity):
            numbers += _sums_of(cells, len(places.axes[quantity]))
    known = tables[0].known
    if known is not None:
        for quantity, cells in zip(known.quantities, known.entries, strict=True):
            if cells.terms:
                numbers += _sums_of(cells, len(places.axes[quantity])) + 4 * len(cells.value)
        for axis, cells in zip(places.of_totals, known.totals, strict=True):
            numbers += _sums_of(cells, len(axis)) + 4 * len(cells.value)
    height = max(1, int(_ROOM // max(1, 8 * numbers * indicators)))
    for first in range(0, consumers, height):
        yield slice(first, min(first + height, consumers))


def _sums_of(cells: Cells, lines: int) -> int:
    """How many numbers a look at the cells takes, for each indicator and consumer."""
    groups = {which(t.groups): t.groups for t in cells.terms if t.groups is not None}
    return sum(4 * lines * min(len(one.rows), len(one.columns)) for one in groups.values())


# --- two years ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Two:
    """Two years of some consumers.

    Attributes:
        years: which ones.
        pieces: the entries of the error model whose errors are normals, cells with known totals
            apart from the others.
        log: whether the change is one of logarithms, (q,c).
        shared: keys of the normals that more than one entry uses, and of those of known totals,
            which are told apart even where no two totals share one.
        files: the entries whose factors are from files.
    """

    years: tuple[int, int]
    pieces: tuple[Piece, ...]
    log: Bool
    shared: frozenset[bytes]
    files: Realised | None

    @classmethod
    def of(
        cls,
        tables: Sequence[Prepared],
        years: Sequence[Linearised],
        pair: tuple[int, int],
        consumers: slice,
        places: Places,
    ) -> _Two:
        both = [tables[i] for i in pair]
        F = [years[i].footprint[:, consumers, 0] for i in pair]
        log = (F[0] > 0) & (F[1] > 0)
        scale = [sign / np.where(log, f, 1.0) for sign, f in zip((-1, 1), F, strict=True)]
        slopes = [
            {q: _slope(gradient, consumers, a) for q, gradient in years[i].gradients.items()}
            for i, a in zip(pair, scale, strict=True)
        ]
        pieces, of_files = [], []
        for quantity in places.quantities:
            axis = places.axes[quantity]
            first, second = (_turned(of_year[quantity], quantity) for of_year in slopes)
            moves = Slopes((first, second))
            for cells in zip(*(table.free(quantity) for table in both), strict=True):
                if cells[0].terms:
                    pieces.append(Piece(axis, cells, moves))
            for cells in zip(*(table.cells[quantity] for table in both), strict=True):
                if cells[0].drawn and not cells[0].terms:
                    of_files.append((Piece(axis, cells, moves), moves))
        known = [
            UnderTotals.of(table.known, of_year, (*log.shape, 1))
            for table, of_year in zip(both, slopes, strict=True)
            if table.known is not None
        ]
        if known:
            pieces += pieces_of_totals(known, places)
        of_totals = {t.key.tobytes() for one in known for c in one.known.totals for t in c.terms}
        return cls(
            (both[0].year, both[1].year),
            tuple(pieces),
            log,
            shared_keys(both[0]) | of_totals,
            realised(of_files, _realisations(tables), places),
        )

    def groups(self, piece: Piece, key: bytes) -> Groups | None:
        """What shares the component's normals; None where they are the cells' own."""
        groups = piece.groups(key)
        alone = groups is None or (key not in self.shared and single_cells(groups))
        return None if alone else groups


def _realisations(tables: Sequence[Prepared]) -> int:
    """How many all files of all years have."""
    every = (cells for table in tables for some in table.cells.values() for cells in some)
    return min((len(cells.realised) for cells in every if len(cells.realised)), default=0)


def _slope(gradient: Gradient, consumers: slice, a: F64) -> Gradient:
    """Of the totals of some consumers, in units of the change."""
    row, column, shift = (
        values[:, :, consumers if values.shape[2] > 1 else slice(None), :1]
        for values in (gradient.row, gradient.column, gradient.shift)
    )
    return Gradient(row * a[..., None], column, shift)


def _turned(slope: Gradient, quantity: Quantity) -> Gradient:
    """By rows and columns as `Piece` looks at them."""
    if not is_turned(quantity):
        return slope
    assert not slope.shift.any()
    return Gradient(slope.column, slope.row, np.zeros((len(slope.column), 1, 1, 1)))


@dataclass(frozen=True, slots=True, eq=False)
class _Account:
    """What each name of one kind has to do with the change, (names,q,c) and (phis,names,q,c)."""

    names: tuple[str, ...]
    covariance: F64
    own: F64
    lasting: F64
    level_covariance: F64
    level_own: F64

    @classmethod
    def empty(cls, names: tuple[str, ...], phis: int, shape: tuple[int, ...]) -> _Account:
        flat, deep = (len(names), *shape), (phis, len(names), *shape)
        return cls(names, *(np.zeros(flat) for _ in range(3)), *(np.zeros(deep) for _ in range(2)))

    def add(
        self, at: int | slice, own: Moments, whole: Moments, rho: float, phi: int | None
    ) -> None:
        """One component's part.

        Args:
            at: number of the name; a slice where the moments are of several.
            own, whole: of the name's cells with themselves and with all cells.
            rho, phi: correlation of its normals between the two years; number of its `phi`, None
                where it is not known what years to come bring.
        """
        K, D = whole.at(rho)[..., 0], own.at(rho)[..., 0]
        self.covariance[at] += K
        self.own[at] += D
        if rho < 1:  # what changes over the years is then no longer shared with other cells
            self.lasting[at] += own.together[..., 0] - 2 * K + D
        if phi is None:
            return
        self.level_covariance[phi, at] += whole.last[..., 0]
        self.level_own[phi, at] += own.last[..., 0]


@dataclass(frozen=True, slots=True, eq=False)
class _Divided:
    """Var delta of two years, (q,c), and the accounts of its parts.

    Attributes:
        level: variance of the second year, (phis,q,c); None where not all of it has a `phi`.
    """

    log: Bool
    variance: F64
    level: F64 | None
    accounts: Mapping[By, _Account]


def _divided(
    two: _Two,
    known: Mapping[bytes, Source],
    places: Places,
    phis: tuple[float, ...],
    hashes: Addresses,
) -> _Divided:
    looked = [
        (piece, look(piece, [g for key in piece.keys if (g := two.groups(piece, key))], places))
        for piece in two.pieces
    ]
    shape = two.log.shape
    accounts = {by: _Account.empty(names, len(phis), shape) for by, names in places.names.items()}
    names = tuple(source.name for source in known.values())
    per_component = _Account.empty((*names, FROM_FILES), len(phis), shape)
    per_group: list[_Account] = []
    variance, level = np.zeros(shape), np.zeros((len(phis), *shape))
    for number, (key, source) in enumerate(known.items()):
        rho, phi = source.correlation(*two.years), phis.index(source.phi)
        users = [(piece, seen) for piece, seen in looked if key in piece.keys]
        if not users:
            continue
        if two.groups(users[0][0], key) is None:
            own = _add_own(accounts, users, key, rho, phi)
            names = (f"{source.name}: each cell",)
            groups = own.each_by(lambda m: m[None])
        else:
            normals = shared_normals(users, key)
            for by, account in accounts.items():
                for name, of_name, whole in normals.by_name(by):
                    account.add(name, of_name, whole, rho, phi)
            own = Moments.of(normals.sums, normals.sums)
            names, groups = _groups(source, normals, own, hashes)
        account = _Account.empty(names, len(phis), shape)
        account.add(slice(None), groups, groups, rho, phi)
        per_group.append(account)
        per_component.add(number, own, own, rho, phi)
        variance += own.at(rho)[..., 0]
        level[phi] += own.last[..., 0]
    if two.files is not None:
        own = _add_files(accounts, two.files)
        account = _Account.empty((FROM_FILES,), len(phis), shape)
        for one, at in ((account, 0), (per_component, len(known))):
            one.add(at, own, own, 1.0, None)
        per_group.append(account)
        variance += own.at(1.0)[..., 0]
    accounts |= {
        By.COMPONENT: per_component,
        By.GROUP: _joined(per_group, _Account.empty((), len(phis), shape)),
    }
    return _Divided(two.log, variance, None if two.files else level, accounts)


def _add_files(accounts: Mapping[By, _Account], files: Realised) -> Moments:
    """Realisations, whose years belong together: as normals that both years use."""
    for by, account in accounts.items():
        for name, of_name, whole in files.by_name(by):
            account.add(name, of_name, whole, 1.0, None)
    return files.moments()


def _add_own(
    accounts: Mapping[By, _Account],
    users: Sequence[tuple[Piece, Seen]],
    key: bytes,
    rho: float,
    phi: int,
) -> Moments:
    """Normals that each cell has to itself, which have nothing to do with other cells' parts."""
    (piece, _), *_ = users
    assert len({id(one.axis) for one, _ in users}) == 1, "a cell's own normal is no other entry's"
    parts = [seen.own.each_by(partial(np.multiply, one.weight(key) ** 2)) for one, seen in users]
    own = sum(parts[1:], parts[0])
    for by, account in accounts.items():
        count = len(account.names)
        named = own.each_by(partial(sums_by, of=piece.axis.named[by], count=count))
        account.add(slice(None), named, named, rho, phi)
    return own.each_by(lambda m: m.sum(axis=0))


def _groups(
    source: Source, normals: Normals, own: Moments, hashes: Addresses
) -> tuple[tuple[str, ...], Moments]:
    """The names of a component's groups, and the moments of each; of too many, all together."""
    shape = normals.sums.shape[3:]
    count = len(normals.rows) * len(normals.columns)
    if count > _MOST_GROUPS:
        return (f"{source.name}: {count} groups",), own.each_by(lambda m: m[None])
    called = source.called(normals.rows, normals.columns, hashes)
    names = tuple(name for row in called for name in row)
    return names, Moments.each(normals.sums).each_by(lambda m: m.reshape(count, *shape))


def _joined(accounts: Sequence[_Account], nothing: _Account) -> _Account:
    """All names of some accounts; of none, where nothing is uncertain, `nothing`."""

    def all_of(name: str, axis: int) -> F64:
        return np.concatenate([getattr(one, name) for one in (nothing, *accounts)], axis=axis)

    return _Account(
        names=tuple(name for account in accounts for name in account.names),
        covariance=all_of("covariance", 0),
        own=all_of("own", 0),
        lasting=all_of("lasting", 0),
        level_covariance=all_of("level_covariance", 1),
        level_own=all_of("level_own", 1),
    )


# --- what is kept of it -------------------------------------------------------------------------


def _subjects(
    found: Sequence[_Divided], question: Question, consumer: int, at: int, kept: int
) -> list[Subject]:
    """One consumer's total of every indicator; `at` is the consumer's place in what was found."""
    return [
        Subject(
            indicator.name,
            indicator.unit,
            question.consumers[consumer].name,
            tuple(bool(one.log[q, at]) for one in found),
            tuple(float(one.variance[q, at]) for one in found),
            _level(found[-1], q, at),
            tuple(entry for by in By for entry in _entries(found, by, (q, at), kept)),
        )
        for q, indicator in enumerate(question.indicators)
    ]


def _level(last: _Divided, q: int, consumer: int) -> tuple[float, ...]:
    if last.level is None or not last.log[q, consumer]:
        return ()
    return _plain(last.level[:, q, consumer])


def _entries(
    found: Sequence[_Divided], by: By, place: tuple[int, int], kept: int
) -> Iterator[Entry]:
    """The largest entries by the most they have of the variance of any change, then the rest."""
    accounts = [one.accounts[by] for one in found]
    K, D, lasting = (
        np.stack([getattr(account, name)[:, *place] for account in accounts])
        for name in ("covariance", "own", "lasting")
    )
    variance = np.array([one.variance[place] for one in found])[:, None]
    size = np.abs(quotient(K, variance, 0.0)).max(axis=0)
    there = np.flatnonzero((D != 0).any(axis=0))
    order = there[np.argsort(-size[there], kind="stable")]
    last, log = accounts[-1], bool(_level(found[-1], *place))
    for one in order[:kept]:
        yield Entry(
            by,
            last.names[one],
            _plain(K[:, one]),
            _plain(D[:, one]),
            _plain(lasting[:, one]),
            _plain(last.level_covariance[:, one, *place]) if log else (),
            _plain(last.level_own[:, one, *place]) if log else (),
        )
    if len(order) > kept:
        yield Entry(by, OTHERS, _plain(K[:, order[kept:]].sum(axis=1)))


def _plain(values: F64) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
