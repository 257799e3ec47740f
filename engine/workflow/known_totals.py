"""What known totals do to the cells that share them, in words: for `check`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine import wording
from engine.error_model import ErrorModel, Errors, Period, largest
from engine.kernels.arrays import F64
from engine.kernels.dirichlet import correlation
from engine.prepare import Known, Prepared, entries_of

_LARGE = 0.01  # a share of a total that is told apart from smaller ones


def known_totals_text(scenario: ErrorModel, prepared: Prepared) -> Iterator[str]:
    """Totals, their sizes and sources; what becomes of the cells' own errors in this year.

    Args:
        prepared: one year of this scenario.
    """
    if prepared.known is None:
        return
    for entry, totals in zip(scenario.totals, prepared.known.totals, strict=True):
        yield (
            f"  {wording.known_totals(entry)}: {wording.sized(entry)}{wording.shares(entry)}"
            f"{wording.scaled(entry)}"
        )
        yield f"    {len(totals.value)} totals in {prepared.year}"
        for component in entry.components:
            yield f"    {wording.component(component)}"
        yield f"    source: {entry.source}"
        if largest(entry.size) > 1:
            yield "    warning: an rsd above 1 is more than 100 %; sizes are fractions"
        if any(isinstance(component.time, Period) for component in entry.components):
            yield "    warning: `period` errors manufacture a change at every benchmark"
    yield from _realised(prepared.known, prepared.year)


def _realised(known: Known, year: int) -> Iterator[str]:
    """What becomes of the cells, those of Dirichlet shares apart: their size is not entered."""
    each = list(zip(known.quantities, known.entries, known.members, strict=True))
    kinds = sorted({(quantity, cells.logarithmic) for quantity, cells, _ in each})
    yield f"  cells with known totals in {year}, rsd entered and realised (not the same):"
    for quantity, dirichlet in kinds:
        alike = [
            (np.sqrt(cells.variance().astype(np.float64)), members)
            for of, cells, members in each
            if (of, cells.logarithmic) == (quantity, dirichlet)
        ]
        entered = np.concatenate([rsd for rsd, _ in alike])
        realised = np.concatenate([members.rsd for _, members in alike])
        large = np.concatenate([members.share for _, members in alike]) >= _LARGE
        for words, some in (
            (f"{100 * _LARGE:g} % of their total or more", large),
            ("less", ~large),
        ):
            if some.any():
                said = "Dirichlet" if dirichlet else f"entered {_range(entered[some])}"
                yield (
                    f"    {quantity}, {int(some.sum())} cells of {words}: {said}, realised "
                    f"{_range(realised[some])}"
                )
    alone = _alone(known)
    if alone:
        yield (
            f"    warning: {alone} totals are of a single cell, whose own error has no effect: the "
            "cell is the total"
        )
    for name in known.cancelled:
        yield (
            f"    warning: {name} moves all cells of a total alike, which changes no share: it has "
            "no effect there"
        )


def has_known_totals(scenario: ErrorModel, entry: Errors, prepared: Prepared) -> bool:
    """Whether cells of an entry are shares of known totals, so that their factors are not its own.

    Args:
        prepared: one year of this scenario.
    """
    place = entries_of(scenario, entry.quantity).index(entry)
    free, cells = prepared.free(entry.quantity)[place], prepared.cells[entry.quantity][place]
    return len(free.value) < len(cells.value)


def of_shares(
    scenario: ErrorModel, entry: Errors, rho: float, first: Prepared, second: Prepared
) -> str:
    """How far factors of Dirichlet shares correlate where eps of two years do by `rho`."""
    sizes = [_sizable(scenario, entry, prepared) for prepared in (first, second)]
    large = f"share of {100 * _LARGE:g} % or more"
    if not all(len(shapes) for shapes in sizes):
        return f"no cell has a {large}"
    (low_1, high_1), (low_2, high_2) = ((shapes.min(), shapes.max()) for shapes in sizes)
    return (
        f"{correlation(low_1, low_2, rho):.4g} at the smallest {large}, "
        f"{correlation(high_1, high_2, rho):.4g} at the largest"
    )


def _sizable(scenario: ErrorModel, entry: Errors, prepared: Prepared) -> F64:
    """Shapes of the cells of an entry that are large shares of their totals."""
    known = prepared.known
    assert known is not None
    place = entries_of(scenario, entry.quantity).index(entry)
    of_quantity = [
        one for q, one in zip(known.quantities, known.members, strict=True) if q is entry.quantity
    ]
    members = of_quantity[place]
    shapes: F64 = members.share * known.concentration[members.total]
    return shapes[members.share >= _LARGE]


def _alone(known: Known) -> int:
    """How many totals have one cell, with an error of its own."""
    total = np.concatenate([members.total for members in known.members])
    error = np.concatenate([cells.log2_sd > 0 for cells in known.entries])
    return int((np.bincount(total)[total[error]] == 1).sum())


def _range(rsd: F64) -> str:
    low, middle, high = 100 * np.quantile(rsd, [0, 0.5, 1])
    return f"{low:.3g} to {high:.3g} % (median {middle:.3g} %)"
