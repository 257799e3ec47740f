"""One year of one scenario, ready to draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.error_model import Method, Quantity
from engine.kernels.arrays import F64, I64, Bool
from engine.kernels.perturb import Cells
from engine.kernels.start import Kept, Start
from engine.kernels.totals import Members
from engine.plan import Direction

TOLERANCE = 1e-6  # certified relative error of a footprint, if nothing else is asked


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The deliveries with the unimportant cells' own noise cut (`engine.split`).

    Attributes:
        kept: the important cells, with all their errors.
        rest: the others with the errors that they share; empty where they share none.
        column_sums: of the estimate, (n,).
        order: terms of the series.
        share: of the variance of every asked level and change that is kept, to first order.
    """

    kept: tuple[Cells, ...]
    rest: tuple[Cells, ...]
    column_sums: F64
    order: int
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Totals that are known better than their cells.

    Attributes:
        totals: of each entry of the error model, packed as cells with their own errors.
        concentration: kappa of the Dirichlet shares of every total, counted over all entries,
            (totals,); NaN where shares come of lognormal errors.
        quantities, entries, members: the cells with a known total, by quantity and by entry of
            its errors, and what they are in their totals.
        free: of every quantity that has such cells, those that have none.
        cancelled: components that move all cells of some total alike and so change nothing there.
    """

    totals: tuple[Cells, ...]
    concentration: F64
    quantities: tuple[Quantity, ...]
    entries: tuple[Cells, ...]
    members: tuple[Members, ...]
    free: Mapping[Quantity, tuple[Cells, ...]]
    cancelled: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """What every draw's deliveries and final demand, [Z Y], are balanced to.

    Attributes:
        rows: outputs of the industries, (n,).
        columns: intermediate inputs of the industries, then final demand of the regions, (n+r,).
    """

    rows: F64
    columns: F64


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One year of one scenario, ready to draw.

    Attributes:
        year: the year.
        method: what the draws perturb.
        direction: whether draws are solved for output or for multipliers.
        r_max: largest spectral radius accepted.
        tolerance: largest certified relative error of a footprint accepted.
        active: industries with positive output in the estimate, (n,).
        weights: w > 0 that certifies the base table, (n,).
        membership, domestic, characterisation, region_of, product_of, by_origin, by_industry,
            by_product: the question (see `engine.question.Asked`).
        cells: the nonzero cells of every quantity perturbed or needed.
        kept: the cells of A or Z whose factors are kept while a group is solved.
        start: the estimate's solution.
        D0: the diagonal of the estimate's system: 1, or output in accounts, (n,).
        slopes: what a residual or a change of intensities does to the footprint: forward, the
            multipliers of all emissions and of each consumer's domestic ones, (n,q,1+c);
            adjoint, the output each consumer requires, (n,c).
        usual: what each consumer's demand would carry at the middle multiplier, (q,c).
        split: what split mode draws; None where every draw is exact.
        known: known totals of emissions; None where there are none.
        margins: of the estimate, where every draw is balanced back to them; else None.
    """

    year: int
    method: Method
    direction: Direction
    r_max: float
    tolerance: float
    active: Bool
    weights: F64
    membership: F64
    domestic: Bool
    characterisation: F64
    region_of: I64
    product_of: I64
    by_origin: I64
    by_industry: I64
    by_product: I64
    cells: Mapping[Quantity, tuple[Cells, ...]]
    kept: Kept
    start: Start
    D0: F64
    slopes: F64
    usual: F64
    split: Split | None = None
    known: Known | None = None
    margins: Margins | None = None

    def free(self, quantity: Quantity) -> tuple[Cells, ...]:
        """The cells of a quantity that have no known total: all, where there are none."""
        cells = self.cells[quantity]
        return cells if self.known is None else self.known.free.get(quantity, cells)

    @property
    def accounts(self) -> bool:
        """Whether the published accounts are perturbed, not the coefficients."""
        return self.method is Method.ACCOUNTS

    @property
    def forward(self) -> bool:
        """Whether draws are solved for output, not for multipliers."""
        return self.direction is Direction.FORWARD

    @property
    def matrix(self) -> Quantity:
        """The quantity that holds the intermediate deliveries."""
        return self.method.matrix

    @property
    def emissions(self) -> Quantity:
        """The quantity that holds the industries' emissions."""
        return self.method.emissions
