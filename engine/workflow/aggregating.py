"""What folding a table does to the answer: footprints by the full and by the folded table.

The aggregation error is no error of measurement, and none of a run's draws shows it. It is computed
from the estimates alone: the same consumers, the same weights of stressors, both tables (Kymn 1990,
Economic Systems Research 2(1), 65-93; Miller & Blair 2009, section 4.9).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from engine.errors import TableError
from engine.kernels.aggregation import in_the_mix_of
from engine.kernels.arrays import F64, Bool
from engine.kernels.leontief import both_ways, parts, per_unit_output
from engine.mrio import MRIO
from engine.question import Asked, Question, resolve
from engine.readers.aggregation import Aggregation, Fold, Sums, folding_of, sums_of

_SHOWN = 3  # multipliers named for each stressor
_ROUNDING = 1e-11  # relative differences that two solutions of one system may have


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """One year by both tables.

    Attributes:
        year: the year.
        full, folded: footprints by total, domestic, foreign and direct part, (q,c,4); NaN for
            demand vectors, which are stated for the folded table alone.
        industries: of the folded table, in the order of the multipliers, (g,).
        full_multipliers, folded_multipliers: emissions a unit of final demand, (q,g); by the full
            table in the mix in which all consumers together buy a folded industry, NaN where they
            buy none.
        bought: final demand for each folded industry, of all consumers, (g,).
    """

    year: int
    full: F64
    folded: F64
    industries: tuple[tuple[str, str], ...]
    full_multipliers: F64
    folded_multipliers: F64
    bought: F64


def by_both(full: MRIO, folded: MRIO, by: Aggregation, question: Question) -> Folded:
    """The footprints and multipliers of one year by the full and by the folded table.

    Raises:
        InputError: the question does not fit the folded table, or a table has no solution.
    """
    asked = resolve(question, folded.labels, folded.year)
    folding = folding_of(by, full.labels.regions, full.labels.industries)
    sums = sums_of(by, full.labels.stressors, full.labels.stressor_units)
    stated = np.array([consumer.purchases is None for consumer in question.consumers])
    full_footprints, m = _solved(full, *_unfolded(full, asked, folding, sums, question))
    folded_footprints, m_folded = _solved(
        folded, asked.characterisation, asked.membership, asked.domestic
    )
    groups = len(folding.industries)
    for footprints in (full_footprints, folded_footprints):
        footprints[:, ~stated] = np.nan
    return Folded(
        folded.year,
        full_footprints,
        folded_footprints,
        folding.industries,
        in_the_mix_of(m, full.Y.sum(axis=1), folding.industry_of, groups),
        m_folded,
        folded.Y.sum(axis=1),
    )


def _unfolded(
    full: MRIO, asked: Asked, folding: Fold, sums: Sums, question: Question
) -> tuple[F64, F64, Bool]:
    """Characterisation (q,k), membership (r,c) and domestic (n,c) in the full table's positions."""
    home = np.array(
        [
            [region in consumer.members for consumer in question.consumers]
            for region in folding.regions
        ]
    )
    place = {name: position for position, name in enumerate(full.labels.regions)}
    region_of = [folding.region_of[place[region]] for region, _ in full.labels.industries]
    return (
        asked.characterisation @ sums.weights,
        asked.membership[folding.region_of],
        home[region_of],
    )


def _solved(table: MRIO, characterisation: F64, membership: F64, domestic: Bool) -> tuple[F64, F64]:
    """Footprints by part, (q,c,4), and multipliers, (q,n)."""
    A = per_unit_output(table.Z, table.x, table.active)
    s = per_unit_output(characterisation @ table.E, table.x, table.active)
    try:
        m, X = both_ways(A, s, table.Y @ membership)
    except np.linalg.LinAlgError as error:
        raise TableError(
            f"I - A cannot be solved ({error})",
            where=f"year {table.year}, {len(A)} industries",
            remedy="look for industries that buy nearly all they sell (footfall check names them)",
        ) from error
    return parts(s, X, domestic, characterisation @ table.F_Y @ membership), m


def aggregation_in_words(years: Sequence[Folded], question: Question) -> Iterator[str]:
    """The aggregation error, line by line: levels, the changes between years, multipliers."""
    if not years:
        yield "aggregation error: not told, since these tables are folded while they are read"
        return
    yield (
        "aggregation error, of no measurement and in no draw: footprints by the full and by the "
        "folded table (Kymn 1990)"
    )
    for column, consumer in enumerate(question.consumers):
        if consumer.purchases is not None:
            yield f"  {consumer.name}: purchases, which the full table cannot be asked about"
            continue
        for row, indicator in enumerate(question.indicators):
            name = f"{consumer.name}, {indicator.name}"
            for year in years:
                one, other = year.full[row, column], year.folded[row, column]
                yield (
                    f"  {name}, {year.year}: {one[0]:.6g} and {other[0]:.6g} {indicator.unit}, "
                    f"{_percent(one[0], other[0])} (domestic {_percent(one[1], other[1])}, "
                    f"foreign {_percent(one[2], other[2])})"
                )
            yield from _change(name, years, row, column)
    for row, indicator in enumerate(question.indicators):
        for year in years:
            yield from _multipliers(indicator.name, year, row)


def _change(name: str, years: Sequence[Folded], row: int, column: int) -> Iterator[str]:
    """The yearly change on which both tables differ most."""
    found = []
    for before, after in pairwise(years):
        pairs = [
            (before.full[row, column, 0], after.full[row, column, 0]),
            (before.folded[row, column, 0], after.folded[row, column, 0]),
        ]
        if all(start > 0 for start, _ in pairs):
            by_full, by_folded = (100 * (end / start - 1) for start, end in pairs)
            found.append((abs(by_folded - by_full), before.year, after.year, by_full, by_folded))
    if found:
        _, start, end, by_full, by_folded = max(found)
        yield (
            f"  {name}: yearly changes differ most from {start} to {end}: {by_full:+.4g} % and "
            f"{by_folded:+.4g} %"
        )


def _multipliers(name: str, year: Folded, row: int) -> Iterator[str]:
    """The multipliers whose differences move most emissions between consumers."""
    full, folded = year.full_multipliers[row], year.folded_multipliers[row]
    moved = np.nan_to_num(np.abs((folded - full) * year.bought))
    total = np.nansum(np.abs(full * year.bought))
    largest = [
        i for i in np.argsort(-moved, kind="stable")[:_SHOWN] if moved[i] > _ROUNDING * total
    ]
    if not largest:
        yield f"  multipliers of {name}, {year.year}: no differences"
        return
    words = "; ".join(
        f"{' '.join(year.industries[i])} {full[i]:.4g} and {folded[i]:.4g}, "
        f"{_percent(full[i], folded[i])}"
        for i in largest
    )
    yield f"  multipliers of {name}, {year.year}, whose differences weigh most: {words}"


def _percent(full: float, folded: float) -> str:
    if math.isclose(full, folded, rel_tol=_ROUNDING):
        return "0 %"
    if full == 0 or not math.isfinite(folded / full):
        return "from nothing"
    return f"{100 * (folded / full - 1):+.2g} %"
