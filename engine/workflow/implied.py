"""What an error model implies for whole countries and footprints, to first order: for `check`.

An error size is stated for cells; a reader knows, if anything, how uncertain a country is. So the
cells' errors are added up, with all the normals they share, to the CV of a consumer's emissions and
of its footprint, and to how far the errors of two years correlate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.analysis.tables import NOTHING, aligned
from engine.error_model import ErrorModel, Errors, Law, Quantity, factor_correlation
from engine.kernels import laws
from engine.kernels.arrays import F64
from engine.kernels.first_order import Gradient
from engine.kernels.perturb import Cells, estimate
from engine.prepare import Prepared, entries_of
from engine.question import Question
from engine.twin import covariance_between, twin

# CV of country footprints (Rodrigues et al. 2018): orientation, no limit.
LOWEST_CV, HIGHEST_CV = 0.02, 0.16


def years_shown(years: Sequence[int]) -> tuple[int, ...]:
    """The first two years and the last: one change from year to year, and the whole span."""
    return tuple(sorted({*years[:2], years[-1]}))


@dataclass(frozen=True, slots=True, eq=False)
class Implied:
    """CVs and correlations, to first order.

    Attributes:
        years: those looked at.
        emissions, footprint: CV in each year, (years,q,c); NaN where there are none.
        emissions_rho, footprint_rho: correlation between the errors of years, (years,years,q,c).
    """

    years: tuple[int, ...]
    emissions: F64
    footprint: F64
    emissions_rho: F64
    footprint_rho: F64


def implied(tables: Sequence[Prepared], outputs: Sequence[F64]) -> Implied:
    """What one scenario implies.

    Args:
        tables: some years, prepared from one error model.
        outputs: of the industries of each year, (n,): intensities become emissions by it.
    """
    law = twin(tables)
    totals = [_emissions(*year) for year in zip(tables, outputs, strict=True)]
    gradients = [_by_emissions(*year) for year in zip(tables, outputs, strict=True)]
    covariance = covariance_between(tables, gradients)[..., 0]
    emissions, emissions_rho = _relative(np.stack(totals), covariance)
    footprint, footprint_rho = _relative(law.footprint[..., 0], law.covariance[..., 0])
    return Implied(law.years, emissions, footprint, emissions_rho, footprint_rho)


def _relative(values: F64, covariance: F64) -> tuple[F64, F64]:
    """CV, (years,...), and correlation, (years,years,...)."""
    sd = np.sqrt(np.einsum("tt...->t...", covariance))
    product = sd[:, None] * sd[None]
    rho = np.divide(covariance, product, out=np.full_like(covariance, np.nan), where=product > 0)
    size = np.abs(values)
    return np.divide(sd, size, out=np.full_like(sd, np.nan), where=size > 0), rho


def _homes(prepared: Prepared) -> F64:
    """1 where a region is inside a consumer, home of a demand vector included, (r,c)."""
    inside = np.zeros(prepared.membership.shape)
    inside[prepared.region_of] = prepared.domestic
    return inside


def _intensity(prepared: Prepared, output: F64) -> F64:
    """What turns a cell of the emissions into an emission: 1, or output where it is s, (n,)."""
    return np.ones_like(output) if prepared.accounts else output


def _emissions(prepared: Prepared, output: F64) -> F64:
    """Emissions of each consumer's own regions, industries and final consumers together, (q,c)."""
    industries = estimate(prepared.cells[prepared.emissions]) * _intensity(prepared, output)
    direct = estimate(prepared.cells[Quantity.F_Y])
    total: F64 = prepared.characterisation @ (
        industries @ prepared.domestic.astype(np.float64) + direct @ _homes(prepared)
    )
    return total


def _by_emissions(prepared: Prepared, output: F64) -> Mapping[Quantity, Gradient]:
    """Their derivatives, in factors (`engine.kernels.first_order.Gradient`)."""
    row = prepared.characterisation.T[:, :, None, None]
    still = np.zeros((len(row), 1, 1, 1))
    of_industries = _intensity(prepared, output)[:, None] * prepared.domestic
    return {
        prepared.emissions: Gradient(row, of_industries[:, None, :, None], still),
        Quantity.F_Y: Gradient(row, _homes(prepared)[:, None, :, None], still),
    }


# --- in words ------------------------------------------------------------------------------------


def implied_text(found: Implied, question: Question, *, rebalanced: bool = False) -> Iterator[str]:
    """A short table of one scenario, and what lies outside the range known from the literature.

    Args:
        rebalanced: whether draws will be balanced, which the first order does not know.
    """
    years = found.years
    pairs = [(0, later) for later in range(1, len(years))]
    names = [f"corr {years[s]}-{years[t]}" for s, t in pairs]
    first = years[0]
    header = ["consumer", "stressor", f"emissions CV {first}", *names, f"footprint CV {first}"]
    lines = [[*header, *names]]
    outside = []
    for c, consumer in enumerate(question.consumers):
        for q, indicator in enumerate(question.indicators):
            cvs = found.emissions[0, q, c], found.footprint[0, q, c]
            rhos = [
                [_number(rho[s, t, q, c]) for s, t in pairs]
                for rho in (found.emissions_rho, found.footprint_rho)
            ]
            name = [consumer.name, indicator.name]
            lines.append([*name, _percent(cvs[0]), *rhos[0], _percent(cvs[1]), *rhos[1]])
            country = consumer.purchases is None and len(consumer.members) == 1
            if country and not LOWEST_CV <= cvs[1] <= HIGHEST_CV:
                outside.append(f"{consumer.name} {indicator.name} {_percent(cvs[1])}")
    before = " before balancing" if rebalanced else ""
    yield (
        f"  implied, to first order{before}: emissions of a consumer's own regions, and its "
        "footprint"
    )
    for line in aligned(lines):
        yield f"  {line}"
    if outside:
        yield (
            f"    orientation: carbon footprints of countries were found to have CVs of "
            f"{100 * LOWEST_CV:.0f}-{100 * HIGHEST_CV:.0f} % (Rodrigues et al. 2018); outside that "
            f"range: {', '.join(outside)}"
        )


def _percent(cv: float) -> str:
    return NOTHING if np.isnan(cv) else f"{100 * cv:.3g} %"


def _number(rho: float) -> str:
    return NOTHING if np.isnan(rho) else f"{rho:.3f}"


def of_factors(
    scenario: ErrorModel, entry: Errors, rho: float, first: Prepared, second: Prepared
) -> str:
    """How far an entry's factors of two years correlate where its eps correlate by `rho`.

    Sizes differ between cells, and so do their factors' correlations: at the smallest and at the
    largest size, each of both years.
    """
    place = entries_of(scenario, entry.quantity).index(entry)
    ranges = [_range(of.cells[entry.quantity][place]) for of in (first, second)]
    if None in ranges:
        return "no cell has an error"
    (low_1, high_1), (low_2, high_2) = (found for found in ranges if found is not None)
    low = f"{_of_law(entry.law, rho, low_1, low_2):.4g}"
    if max(high_1 / low_1, high_2 / low_2) < 1 + 1e-6:
        return low
    high = f"{_of_law(entry.law, rho, high_1, high_2):.4g}"
    return (
        f"{low} at the smallest rsd ({_percent(low_1)}), {high} at the largest ({_percent(high_1)})"
    )


def kept_means(scenario: ErrorModel, entry: Errors, prepared: Prepared) -> str:
    """By how much factors from files shift what an entry's cells add up to, in words."""
    place = entries_of(scenario, entry.quantity).index(entry)
    cells = prepared.cells[entry.quantity][place]
    size = np.abs(cells.value)
    if not size.any():
        return "no cell has an error"
    means = cells.realised.mean(axis=0, dtype=np.float64)
    rows, row_of = np.unique(cells.positions()[0], return_inverse=True)
    shifts = np.bincount(row_of, size * (means - 1)) / np.bincount(row_of, size)
    whole = 100 * float(np.dot(size, means - 1)) / float(size.sum())
    least, most = (100 * float(shift) for shift in (shifts.min(), shifts.max()))
    return (
        f"they shift the sum of sizes by {whole:+.2g} %, that of a row by {least:+.2g} to "
        f"{most:+.2g} % ({len(rows)} rows)"
    )


def _of_law(law: Law, rho: float, rsd_1: float, rsd_2: float) -> float:
    if law is Law.LOGNORMAL:
        return factor_correlation(rho, rsd_1, rsd_2)
    first, second = laws.quantiles(law, np.array([rsd_1, rsd_2]))
    return laws.correlation(first, second, rho)


def _range(cells: Cells) -> tuple[float, float] | None:
    """The smallest and the largest rsd that is not zero."""
    sizes = np.sqrt(cells.variance().astype(np.float64))
    sizes = sizes[sizes > 0]
    return (float(sizes.min()), float(sizes.max())) if len(sizes) else None
