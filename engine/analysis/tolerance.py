"""Which changes are not known well enough yet: what keeps an adaptive run drawing.

A numerical result is known to `digits` significant digits when its Monte Carlo error is small
beside the last of them (JCGM 101:2008, 7.9.2 and 7.9.4). With u = c 10^l, c a whole number of that
many digits, the tolerance is `10^l / 2`, and twice the standard error of the estimate, of u and of
both ends of the coverage interval must be below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import xarray as xr

from engine.analysis.changes import changes
from engine.kernels import changes as kernel
from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule, Verdict

# Of delta; JCGM 101 calls them y, u(y), y_low and y_high.
QUANTITIES = ("mean", "sigma", "lower end", "upper end")


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A change that more draws would tell more about.

    Attributes:
        consumer, stressor, from_year, to_year: which change of a total.
        p_decrease: P(delta < 0) so far.
        undecided: the verdict needs more draws.
        unknown: of `QUANTITIES`, those whose digits are not known yet.
        draws: about how many draws would make them known; None where that cannot be told.
    """

    consumer: str
    stressor: str
    from_year: int
    to_year: int
    p_decrease: float
    undecided: bool
    unknown: tuple[str, ...]
    draws: int | None


def numerical_tolerance(u: F64, digits: int) -> F64:
    """Half a unit in the last of the significant digits of u (JCGM 101:2008, 7.9.2).

    >>> numerical_tolerance(np.array([0.0035, 35.0, 0.0996]), 2)
    array([5.e-05, 5.e-01, 5.e-03])
    """
    exponent = np.floor(np.log10(u))
    rounds_up = np.rint(u * 10.0 ** (digits - 1 - exponent)) >= 10**digits
    tolerance: F64 = 0.5 * 10.0 ** (exponent + rounds_up - (digits - 1))
    return tolerance


def watched_pairs(years: Sequence[int]) -> list[tuple[int, int]]:
    """Consecutive years, and the first with the last."""
    ordered = sorted(years)
    return list(dict.fromkeys([*pairwise(ordered), (ordered[0], ordered[-1])]))


def watched(ensemble: xr.Dataset) -> int:
    """How many changes `unsettled` looks at."""
    pairs = watched_pairs(ensemble["year"].to_numpy().tolist())
    return len(pairs) * ensemble.sizes["stressor"] * ensemble.sizes["consumer"]


def unsettled(ensemble: xr.Dataset, rule: DetectionRule, digits: int) -> list[Unsettled]:
    """The watched changes of totals whose verdict is open, or whose digits are not known.

    A change that is not assessed has no error of its own to know, and is settled.

    Args:
        ensemble: an opened ensemble of two years or more.
        rule: its `monte_carlo_error` is what may be spent on these verdicts now.
        digits: significant digits of sigma, 1 or 2.
    """
    pairs = watched_pairs(ensemble["year"].to_numpy().tolist())
    found = changes(ensemble.sel(part=["total"]), rule, pairs).isel(part=0)
    found = found.transpose("pair", "stressor", "consumer")
    verdict = found["verdict"].to_numpy()
    undecided = verdict == Verdict.NEEDS_MORE_DRAWS.value
    reached = _share_of_tolerance(found, digits)
    too_coarse = ~(reached < 1) & (verdict != Verdict.NOT_ASSESSED.value)
    needed = np.max(np.square(reached), axis=0) * found["draws"].to_numpy()
    return [
        Unsettled(
            consumer=str(found["consumer"].to_numpy()[c]),
            stressor=str(found["stressor"].to_numpy()[s]),
            from_year=int(found["from_year"].to_numpy()[pair]),
            to_year=int(found["to_year"].to_numpy()[pair]),
            p_decrease=float(found["p_decrease"].to_numpy()[pair, s, c]),
            undecided=bool(undecided[pair, s, c]),
            unknown=tuple(np.array(QUANTITIES)[too_coarse[:, pair, s, c]].tolist()),
            draws=int(needed[pair, s, c]) if np.isfinite(needed[pair, s, c]) else None,
        )
        for pair, s, c in np.argwhere(undecided | too_coarse.any(axis=0))
    ]


def _share_of_tolerance(found: xr.Dataset, digits: int) -> F64:
    """Twice the Monte Carlo standard errors, in units of the tolerance, (quantity, ...).

    NaN where the draws are too few to tell. An end that rejected draws leave without a bound has
    no digits to know.
    """
    column = {str(name): found[name].to_numpy() for name in found.data_vars}
    errors = [column["delta_mean_mcse"], column["sigma_mcse"]]
    endless = 1 - column["acceptance"] >= found.attrs["alpha"] / 2
    errors += [np.where(endless, 0.0, column[f"interval_{end}_mcse"]) for end in ("low", "high")]
    sigma = np.where(column["sigma"] > 0, column["sigma"], np.nan)
    share: F64 = 2 * np.stack(errors) / numerical_tolerance(sigma, digits)
    return share


def at_last_look(found: xr.Dataset) -> xr.Dataset:
    """Changes when no more draws will be made: what still needs them is borderline."""
    verdict = found["verdict"]
    last = [str(kernel.at_last_look(Verdict(v))) for v in verdict.to_numpy().ravel()]
    final = np.array(last, dtype=verdict.dtype).reshape(verdict.shape)
    return found.assign(verdict=verdict.copy(data=final))
