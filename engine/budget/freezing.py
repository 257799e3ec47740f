"""A prepared table with a part of its errors taken away: the same normals, some of them unused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from engine.budget.cells import Places, is_turned
from engine.budget.components import Source
from engine.budget.files import NAME as FROM_FILES
from engine.budget.found import By
from engine.error_model import Quantity
from engine.kernels.arrays import Bool, readonly
from engine.kernels.perturb import Cells
from engine.prepare import Prepared


def frozen(
    table: Prepared,
    by: By,
    name: str,
    places: Places,
    known: Mapping[bytes, Source],
    factor: float = 0.0,
) -> Prepared:
    """The table with the errors of a group of cells, or of a component, times `factor`.

    What is scaled is sigma of the logarithm, or the distance of other factors from one; the means
    of all cells stay what they are. All else
    is drawn as before, so that draws with and without differ by these errors alone. A table in
    split mode becomes an exact one.

    Args:
        by, name: an entry of the table's budget, but no group of a component.
        places, known: as the budget was made with.
    """
    assert by is not By.GROUP
    keys = {key for key, source in known.items() if source.name == name}

    def change(quantity: Quantity, cells: Cells) -> Cells:
        if by is By.COMPONENT and name == FROM_FILES:
            every = np.full(len(cells.value), len(cells.realised) > 0)
            return _scaled(cells, every, factor)
        if by is By.COMPONENT:
            return _without_component(cells, keys, factor)
        number = places.names[by].index(name)
        return _of_labels(cells, quantity, by, number, places, factor)

    return _changed(table, change)


def _changed(table: Prepared, change: Callable[[Quantity, Cells], Cells]) -> Prepared:
    """Every cell as `change` has it, also where it is kept a second time.

    What else was prepared from the errors only steers how draws are solved; certificates hold.
    """
    cells = {q: tuple(change(q, one) for one in some) for q, some in table.cells.items()}
    kept = tuple(change(table.matrix, one) for one in table.kept.cells)
    return replace(table, cells=cells, kept=replace(table.kept, cells=kept), split=None)


def _of_labels(
    cells: Cells, quantity: Quantity, by: By, number: int, places: Places, factor: float
) -> Cells:
    if not cells.drawn:
        return cells
    i, j = cells.positions()
    along = places.along(quantity, by)[j if is_turned(quantity) else i]
    return _scaled(cells, along == number, factor)


def _without_component(cells: Cells, keys: set[bytes], factor: float) -> Cells:
    """Variances of components add up: sigma^2 loses the component's, the others keep theirs."""
    chosen = [term.key.tobytes() in keys for term in cells.terms]
    if not any(chosen):
        return cells
    weights = [
        term.weight * (factor if own else 1.0)
        for term, own in zip(cells.terms, chosen, strict=True)
    ]
    length = float(np.sqrt(sum(weight**2 for weight in weights)))
    scaled = _scaled(cells, np.ones(len(cells.value), dtype=np.bool_), length)
    if length == 0:  # terms without length cannot be told, and without sigma need not be
        return scaled
    terms = tuple(
        replace(term, weight=weight / length)
        for term, weight in zip(cells.terms, weights, strict=True)
        if weight
    )
    return replace(scaled, terms=terms)


def _scaled(cells: Cells, chosen: Bool, factor: float) -> Cells:
    """The errors of the chosen cells, (cells,), times `factor`.

    A factor that is not lognormal becomes `1 + factor (f - 1)`, which keeps its mean.
    """
    times = np.float32(factor)
    sizes = np.where(chosen, times * cells.log2_sd, cells.log2_sd)
    cells = replace(cells, log2_sd=readonly(sizes.astype(np.float32)))
    if len(cells.realised):
        moved = np.where(chosen, 1 + times * (cells.realised - 1), cells.realised)
        return replace(cells, realised=readonly(moved.astype(np.float32)))
    if len(cells.quantiles):
        smaller = times * cells.quantiles
        smaller[..., 0] += 1 - times
        both = np.concatenate([cells.quantiles, smaller]).astype(np.float32)
        size_of = np.where(chosen, cells.size_of + len(cells.quantiles), cells.size_of)
        return replace(cells, quantiles=readonly(both), size_of=readonly(size_of.astype(np.int32)))
    return cells
