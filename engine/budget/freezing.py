"""A prepared table with a part of its errors taken away: the same normals, some of them unused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from engine.budget.cells import Axis, Places
from engine.budget.components import Source
from engine.budget.files import NAME as FROM_FILES
from engine.budget.found import By
from engine.error_model import Quantity
from engine.kernels.arrays import Bool, readonly
from engine.kernels.perturb import Cells
from engine.prepare import Known, Prepared, recentred


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
    of all cells stay what they are: the shares of known totals are centred anew. All else is drawn
    as before, so that draws with and without differ by these errors alone. A table in split mode
    becomes an exact one.

    Args:
        by, name: an entry of the table's budget, but no group of a component.
        places, known: as the budget was made with.

    Raises:
        ConfigError: what is left of the errors of a known total's cells hangs together in ways for
            which the means of their shares are not computed.
    """
    assert by is not By.GROUP
    keys = {key for key, source in known.items() if source.name == name}

    def change(cells: Cells, axis: Axis) -> Cells:
        if by is By.COMPONENT and name == FROM_FILES:
            every = np.full(len(cells.value), len(cells.realised) > 0)
            return _scaled(cells, every, factor)
        if by is By.COMPONENT:
            return _without_component(cells, keys, factor)
        if not cells.drawn:
            return cells
        number = places.names[by].index(name)
        i, j = cells.positions()
        return _scaled(cells, axis.named[by][j if axis.turned else i] == number, factor)

    return _changed(table, change, places)


Change = Callable[[Cells, Axis], Cells]


def _changed(table: Prepared, change: Change, places: Places) -> Prepared:
    """Every cell as `change` has it, also where it is kept a second time.

    What else was prepared from the errors only steers how draws are solved; certificates hold.
    """

    def each(quantity: Quantity, some: Iterable[Cells]) -> tuple[Cells, ...]:
        axis = places.axes.get(quantity)  # none where no cell carries errors
        return tuple(one if axis is None else change(one, axis) for one in some)

    def of_known(known: Known) -> Known:
        both = zip(known.totals, places.of_totals, strict=True)
        pieces = zip(known.quantities, known.entries, strict=True)
        return recentred(
            replace(
                known,
                totals=tuple(change(one, axis) for one, axis in both),
                entries=tuple(one for q, cells in pieces for one in each(q, [cells])),
                free={q: each(q, some) for q, some in known.free.items()},
            )
        )

    return replace(
        table,
        cells={q: each(q, some) for q, some in table.cells.items()},
        kept=replace(table.kept, cells=each(table.matrix, table.kept.cells)),
        split=None,
        known=None if table.known is None else of_known(table.known),
    )


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

    A factor that is not lognormal becomes `1 + factor (f - 1)`, which keeps its mean. Dirichlet
    shares are drawn with a larger concentration (`engine.prepare.recentred`).
    """
    times = np.float32(factor)
    sizes = np.where(chosen, times * cells.log2_sd, cells.log2_sd)
    cells = replace(cells, log2_sd=readonly(sizes.astype(np.float32)))
    if len(cells.realised):
        moved = np.where(chosen, 1 + times * (cells.realised - 1), cells.realised)
        return replace(cells, realised=readonly(moved.astype(np.float32)))
    if len(cells.quantiles) and not cells.logarithmic:
        smaller = times * cells.quantiles
        smaller[..., 0] += 1 - times
        both = np.concatenate([cells.quantiles, smaller]).astype(np.float32)
        size_of = np.where(chosen, cells.size_of + len(cells.quantiles), cells.size_of)
        return replace(cells, quantiles=readonly(both), size_of=readonly(size_of.astype(np.int32)))
    return cells
