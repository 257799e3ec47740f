"""How the draws were solved, in words: exactly and certified, or in split mode and measured."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import xarray as xr

from engine.analysis.rebalancing import is_rebalanced
from engine.analysis.split_error import is_split, split_error
from engine.draws import DIRECTLY, Status
from engine.kernels.arrays import F64

_REBALANCED = (
    "REBALANCED: every draw is balanced back to the published outputs, intermediate inputs and "
    "totals of final demand (RAS)."
)


@dataclass(frozen=True, slots=True)
class Solving:
    """Counts over all draws of all years that are there and were accepted.

    Attributes:
        draws: of one year each.
        directly: solved directly, because the fast way was not certified.
        median_corrections, most_corrections: of the others; NaN and 0 where there are none.
        largest_error: certified relative error, in split mode the last term of the series.
    """

    draws: int
    directly: int
    median_corrections: float
    most_corrections: int
    largest_error: float

    def in_words(self) -> str:
        """One sentence for an exact run."""
        if not self.draws:
            return "no draw was accepted"
        others = self.draws - self.directly
        corrected = (
            f"; corrections of the others: {self.median_corrections:g} in the median, "
            f"{self.most_corrections} at most"
            if others
            else ""
        )
        return (
            f"{self.directly} of {self.draws} draws (counted in each year) were solved directly"
            f"{corrected}; largest certified relative error {self.largest_error:.1g}"
        )


def solving(ensemble: xr.Dataset) -> Solving:
    """What the ensemble's diagnostics say of its accepted draws."""
    accepted = ensemble["status"].to_numpy() == Status.ACCEPTED
    corrections = ensemble["corrections"].to_numpy()[accepted]
    error = ensemble["certified_error"].to_numpy()[accepted]
    corrected = corrections[corrections != DIRECTLY]
    return Solving(
        draws=len(corrections),
        directly=len(corrections) - len(corrected),
        median_corrections=float(np.median(corrected)) if len(corrected) else np.nan,
        most_corrections=int(corrected.max(initial=0)),
        largest_error=float(error.max(initial=0.0)),
    )


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """Split mode in the round: the worst of the totals' levels and changes.

    Attributes:
        kept: least share of variance kept, over years.
        cells, of_cells: of the deliveries' uncertain cells, those whose own noise is kept, and all.
        draws: computed in both ways and accepted.
        one_way_only: most draws accepted in one way and not in the other.
        ratios: (value, standard error) of the sd ratios farthest from one, of levels and, with two
            years or more, of changes.
        rms, largest: errors per draw in units of the exact sd, likewise.
    """

    kept: float
    cells: int
    of_cells: int
    order: int
    draws: int
    one_way_only: int
    ratios: tuple[tuple[float, float], ...]
    rms: tuple[float, ...]
    largest: tuple[float, ...]


def split_summary(ensemble: xr.Dataset, measured: xr.Dataset | None = None) -> SplitSummary:
    """The worst that was measured for the totals of all consumers and stressors.

    Args:
        ensemble: in split mode.
        measured: `split_error` of it, if that is at hand.
    """
    told = json.loads(str(ensemble.attrs["split"]))
    totals = (split_error(ensemble) if measured is None else measured).sel(part="total")
    names = ("", "delta_") if len(totals["from_year"]) else ("",)
    worst = [_farthest(totals[f"{name}sd_ratio"], totals[f"{name}sd_ratio_mcse"]) for name in names]
    rms, largest = (
        [_largest(totals[f"{name}error_{what}"].to_numpy()) for name in names]
        for what in ("rms", "largest")
    )
    cells = np.array(list(told["cells"].values()))
    return SplitSummary(
        kept=min(told["kept"].values()),
        cells=int(cells[:, 0].max()),
        of_cells=int(cells[:, 1].max()),
        order=int(told["order"]),
        draws=int(totals["draws_both_ways"].min()),
        one_way_only=int(totals["one_way_only"].max()),
        ratios=tuple(worst),
        rms=tuple(rms),
        largest=tuple(largest),
    )


def _farthest(ratio: xr.DataArray, error: xr.DataArray) -> tuple[float, float]:
    values, errors = ratio.to_numpy().ravel(), error.to_numpy().ravel()
    away = np.where(np.isfinite(values), np.abs(values - 1), -1.0)
    place = int(away.argmax())
    return float(values[place]), float(errors[place])


def _largest(values: F64) -> float:
    return float(np.max(values, initial=-np.inf, where=np.isfinite(values)))


def solving_text(ensemble: xr.Dataset) -> str:
    """The lines that `detect` prints above its table: the mode of the run, and what it costs."""
    how = solving(ensemble)
    if not is_split(ensemble):
        exact = f"Every draw is exact and certified: {how.in_words()}."
        return f"{_REBALANCED} {exact}" if is_rebalanced(ensemble) else exact
    found = split_summary(ensemble)
    lines = [
        f"SPLIT MODE: of the deliveries' {found.of_cells} uncertain cells the {found.cells} that "
        f"matter keep their own noise; {100 * found.kept:.5g} % of the variance of every asked "
        "level and change is kept, to first order.",
        f"Measured on {found.draws} draws a year that were also computed exactly, worst of all "
        "totals:",
    ]
    for i, (ratio, error) in enumerate(found.ratios):
        what = ("levels", "changes")[i]
        lines.append(
            f"  {what}: sd over exact sd {ratio:.4f} +- {error:.1g}; a draw is off by "
            f"{found.rms[i]:.2g} (rms), {found.largest[i]:.2g} (largest) exact sds"
        )
    if found.one_way_only:
        lines.append(
            f"  up to {found.one_way_only} draws were accepted in one way and not in the other"
        )
    lines.append(
        "Certified errors do not apply to split mode. The last of the "
        f"{found.order} terms of the series was at most {how.largest_error:.1g} of the total; "
        f"{how.directly} of {how.draws} draws (counted in each year) were solved directly. A "
        "change is not assessed where sigma is less than ten times the rms by which draws are off."
    )
    return "\n".join(lines)
