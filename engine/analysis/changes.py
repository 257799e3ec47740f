"""Changes between years with labels: `engine.kernels.changes` for every pair of years."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from engine.analysis.selection import CELL, Names, Selection, select
from engine.analysis.split_error import change_error
from engine.errors import InputError
from engine.kernels import changes as kernel
from engine.kernels.changes import DetectionRule

_MCSE = "_mcse"
_DELTA = "log points; the stressor's unit where scale is raw"
_RAW = "as stressor_unit"
# What each variable is, and its unit; the Monte Carlo standard error has the same unit.
_MEANINGS = {
    "draws": ("draws accepted in both years", "1"),
    "acceptance": ("share of the draws that were accepted in both years", "1"),
    "reference_change": ("change of the estimate", _RAW),
    "relative_change": ("change of the estimate relative to the first year", "1"),
    "reference_delta": ("delta of the estimate", _DELTA),
    "change_mean": ("mean raw change", _RAW),
    "change_median": ("median raw change", _RAW),
    "change_sd": ("standard deviation of the raw change", _RAW),
    "change_low": ("lower end of the coverage interval of the raw change", _RAW),
    "change_high": ("upper end of the coverage interval of the raw change", _RAW),
    "delta_mean": ("mean of delta", _DELTA),
    "delta_median": ("median of delta", _DELTA),
    "interval_low": ("lower end of the coverage interval of delta", _DELTA),
    "interval_high": ("upper end of the coverage interval of delta", _DELTA),
    "quantile_low": ("lower end of the interval of the draws alone, a quantile of delta", _DELTA),
    "quantile_high": ("upper end of the interval of the draws alone, a quantile of delta", _DELTA),
    "sigma": ("standard deviation of delta", _DELTA),
    "relative_low": ("lower end of the coverage interval of the relative change", "1"),
    "relative_high": ("upper end of the coverage interval of the relative change", "1"),
    "p_decrease": ("probability of a decrease, P(delta < 0)", "1"),
    "p_decrease_low": ("the same if every rejected draw rose", "1"),
    "p_decrease_high": ("the same if every rejected draw fell", "1"),
    "p_decrease_reflected": ("P(2 delta^ - delta < 0), delta mirrored at the estimate", "1"),
    "p_decrease_reflected_low": ("the same if every rejected draw rose", "1"),
    "p_decrease_reflected_high": ("the same if every rejected draw fell", "1"),
    "s1": ("standard deviation of ln F in the first year", _DELTA),
    "s2": ("standard deviation of ln F in the second year", _DELTA),
    "rho": ("correlation of ln F between the two years", "1"),
    "mdc": ("minimum detectable change", _DELTA),
    "mdc_increase": ("smallest rise detected with the stated power", _DELTA),
    "mdc_increase_percent": ("smallest rise detected with the stated power", "%"),
    "mdc_decrease": ("smallest fall detected with the stated power", _DELTA),
    "mdc_decrease_percent": ("smallest fall detected with the stated power", "%"),
    "rho_break_even": ("correlation above which the observed change is detectable", "1"),
    "scale": ("log, or raw where a footprint is not positive", ""),
    "asymmetric": ("P and its reflection disagree on what is detectable", ""),
    "against": ("draws against the better supported direction, of P or its reflection", "1"),
    "verdict": ("verdict", ""),
}


def changes(
    ensemble: xr.Dataset,
    rule: DetectionRule | None = None,
    pairs: Iterable[tuple[int, int]] | None = None,
    *,
    stressor: Names = None,
    consumer: Names = None,
) -> xr.Dataset:
    """Statistics and verdict of the change between two years, dims pair, stressor, consumer, part.

    Args:
        ensemble: an opened ensemble, dims draw, year, stressor, consumer, part.
        rule: confidence and power; 95 % and 80 % if not given.
        pairs: (from, to) years; every pair with from < to if not given.
        stressor, consumer: names to limit the analysis to; only these are read.

    Raises:
        InputError: the ensemble has no such name or year, or too few years.
    """
    rule = DetectionRule() if rule is None else rule
    asked = select(ensemble, stressor, consumer)
    chosen = _pairs(asked.years, pairs)
    found = [of_pair(asked, *pair, partial(kernel.change, rule=rule)) for pair in chosen]
    columns = {name: np.stack([one[name] for one in found]) for name in found[0]}
    order = [name for known in _MEANINGS for name in (known, known + _MCSE) if name in columns]
    return xr.Dataset(
        {name: (("pair", *CELL), columns[name], _attributes(name)) for name in order},
        coords=asked.coords
        | {
            "from_year": xr.Variable("pair", [first for first, _ in chosen]),
            "to_year": xr.Variable("pair", [second for _, second in chosen]),
        },
        attrs=asked.attrs | _rule_in_words(rule, split=asked.exact is not None),
    )


def of_pair(
    asked: Selection,
    first: int,
    second: int,
    statistics: Callable[..., dict[str, NDArray[Any]]],
) -> dict[str, NDArray[Any]]:
    """What a kernel says of two years, one consumer at a time: it needs several times its input.

    Args:
        statistics: of the footprints (D, ...), the estimates' (...), the bounds on numerical
            errors (D, ...) of both years, and `error_of_change`, that of split mode. Its arrays
            end in the axes stressor, consumer, part.
    """
    s, t = asked.years.index(first), asked.years.index(second)
    there = asked.computed[:, s] & asked.computed[:, t]
    measured = change_error(asked, s, t)
    each = [
        statistics(
            asked.footprint[there, s, :, c : c + 1],
            asked.footprint[there, t, :, c : c + 1],
            asked.reference[s, :, c : c + 1],
            asked.reference[t, :, c : c + 1],
            asked.error[there, s, :, c : c + 1, None],
            asked.error[there, t, :, c : c + 1, None],
            error_of_change=0.0 if measured is None else measured[:, c : c + 1],
        )
        for c in range(asked.footprint.shape[3])
    ]
    return {name: np.concatenate([one[name] for one in each], axis=-2) for name in each[0]}


def _pairs(years: Sequence[int], pairs: Iterable[tuple[int, int]] | None) -> list[tuple[int, int]]:
    chosen = list(combinations(sorted(years), 2)) if pairs is None else list(pairs)
    if not chosen:
        raise InputError(
            f"no pair of years is asked, and the ensemble has {len(years)} year(s)",
            where="analysis",
            remedy="run at least two years: a change needs both",
        )
    for year in (year for pair in chosen for year in pair):
        if year not in years:
            raise InputError(
                f"the ensemble has no year {year}",
                where="analysis",
                remedy=f"it has {', '.join(str(known) for known in years)}",
            )
    return chosen


def _attributes(name: str) -> dict[str, str]:
    what, unit = _MEANINGS[name.removesuffix(_MCSE)]
    prefix = "Monte Carlo standard error: " if name.endswith(_MCSE) else ""
    return {"long_name": prefix + what} | ({"units": unit} if unit else {})


def _rule_in_words(rule: DetectionRule, *, split: bool) -> dict[str, object]:
    half = rule.alpha / 2
    error = (
        "rms error of a draw's change in split mode, measured against exact draws"
        if split
        else "certified numerical error"
    )
    return {
        "confidence": rule.confidence,
        "alpha": rule.alpha,
        "power": rule.power,
        "monte_carlo_error": rule.monte_carlo_error,
        "verdict_rule": (
            f"decrease or increase when the probability of the opposite, and that of its "
            f"reflection, are below {half:g} by counting draws, with every rejected draw counted "
            "against; "
            f"needs more draws when the {100 * (1 - rule.monte_carlo_error):g} % Clopper-Pearson "
            f"interval of (1 + count) / (D + 1) contains {half:g}; not assessed when sigma is at "
            f"most {kernel.CLEAR_OF_NUMERICAL_ERROR:g} times the {error}"
        ),
        "coverage_interval": (
            "from the lower to the upper of the ends of two laws, that of the draws and its mirror "
            f"image at the estimate, each with {half:g} beyond either end and every rejected draw "
            "counted there: it excludes zero where the verdict is decided"
        ),
        "minimum_detectable_change": (
            f"({rule.z_alpha:.4f} + {rule.z_power:.4f}) sigma, a two-sided test of one change; "
            "of a fall or rise, more by twice the bias of delta against it; the first number is "
            "larger where draws were rejected"
        ),
        "multiplicity": "not adjusted: each verdict stands for one change, asked beforehand",
    }
