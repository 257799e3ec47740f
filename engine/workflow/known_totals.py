"""What known totals do to the cells that share them, in words: for `check`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine import wording
from engine.error_model import ErrorModel, Errors, Period, Quantity, largest
from engine.kernels.arrays import F64
from engine.kernels.perturb import LOG2E
from engine.prepare import Known, Prepared, entries_of


def known_totals_text(scenario: ErrorModel, prepared: Prepared) -> Iterator[str]:
    """Totals, their sizes and sources; what becomes of the cells' own errors in this year.

    Args:
        prepared: one year of this scenario.
    """
    if prepared.known is None:
        return
    for entry, totals in zip(scenario.totals, prepared.known.totals, strict=True):
        yield f"  {wording.known_totals(entry)}: {wording.sized(entry)}{wording.scaled(entry)}"
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
    entered: dict[Quantity, list[F64]] = {}
    realised: dict[Quantity, list[F64]] = {}
    weights: dict[Quantity, list[F64]] = {}
    for quantity, cells, members in zip(
        known.quantities, known.entries, known.members, strict=True
    ):
        sigma = cells.log2_sd.astype(np.float64) / LOG2E
        entered.setdefault(quantity, []).append(np.sqrt(np.expm1(np.square(sigma))))
        realised.setdefault(quantity, []).append(members.rsd)
        weights.setdefault(quantity, []).append(members.share)
    yield f"  cells with known totals in {year}, rsd entered and realised (not the same):"
    for quantity, sizes in entered.items():
        share = np.concatenate(weights[quantity])
        large = share >= 0.01
        for words, some in (("1 % of their total or more", large), ("less", ~large)):
            if some.any():
                yield (
                    f"    {quantity}, {int(some.sum())} cells of {words}: "
                    f"entered {_range(np.concatenate(sizes)[some])}, "
                    f"realised {_range(np.concatenate(realised[quantity])[some])}"
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


def _alone(known: Known) -> int:
    """How many totals have one cell, with an error of its own."""
    total = np.concatenate([members.total for members in known.members])
    error = np.concatenate([cells.log2_sd > 0 for cells in known.entries])
    return int((np.bincount(total)[total[error]] == 1).sum())


def _range(rsd: F64) -> str:
    low, middle, high = 100 * np.quantile(rsd, [0, 0.5, 1])
    return f"{low:.3g} to {high:.3g} % (median {middle:.3g} %)"
