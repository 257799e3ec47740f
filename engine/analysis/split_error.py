"""Split mode with labels: its error on the draws computed both ways, and estimates freed of it.

The faces of `engine.kernels.two_level`. They stand beside the plain statistics of `changes` and
`levels`, which count every draw as split mode made it, and replace none of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from engine.analysis.selection import CELL, Names, Selection, select
from engine.errors import InputError
from engine.kernels.arrays import F64, Bool
from engine.kernels.changes import accepted_draws, difference, log_scale
from engine.kernels.monte_carlo import (
    mean,
    named,
    sd,
)
from engine.kernels.two_level import (
    deviation,
    two_level_mean,
    two_level_sd,
    two_level_variance,
)

_UNIT = "levels as stressor_unit; changes in log points, or as stressor_unit where scale is raw"
_MEANINGS = {
    "draws_both_ways": ("draws accepted in both ways", "1"),
    "one_way_only": ("draws accepted in one way and not in the other", "1"),
    "plain_mean": ("mean over the draws of split mode", _UNIT),
    "mean": ("two-level estimate of the mean, without bias", _UNIT),
    "plain_sd": ("standard deviation over the draws of split mode", _UNIT),
    "variance": ("two-level estimate of the variance, without bias", "square of that of the mean"),
    "sd": ("root of the two-level variance, not without bias", _UNIT),
    "sd_ratio": ("sd in split mode over the exact sd, same draws", "1"),
    "error_rms": ("rms over draws of split minus exact, in exact sds", "1"),
    "error_largest": ("largest over draws of split minus exact, in exact sds", "1"),
    "scale": ("log, or raw where a footprint is not positive", ""),
}


def is_split(ensemble: xr.Dataset) -> bool:
    """Whether the ensemble was drawn in split mode."""
    return "exact" in ensemble


def split_error(
    ensemble: xr.Dataset,
    pairs: Iterable[tuple[int, int]] | None = None,
    *,
    stressor: Names = None,
    consumer: Names = None,
) -> xr.Dataset:
    """Errors of split mode and two-level estimates; dims year or pair, stressor, consumer, part.

    Names of changes begin with `delta_`. Where a draw was accepted in one way and not in the other
    (`one_way_only`), the two-level estimates are no longer without bias.

    Args:
        ensemble: an opened ensemble in split mode.
        pairs: (from, to) years; consecutive years and the whole span if not given.
        stressor, consumer: names to limit the analysis to; only these are read.

    Raises:
        InputError: the ensemble is exact, or has no such name.
    """
    if not is_split(ensemble):
        raise InputError(
            "the run is exact: there is no error of split mode to measure",
            where="analysis",
            remedy="see certified_error for the numerical error of each draw",
        )
    asked = select(ensemble, stressor, consumer)
    exact = asked.exact
    assert exact is not None
    both_ways = _both_ways(ensemble)
    years = sorted(asked.years)
    chosen = consecutive_and_whole(years) if pairs is None else list(pairs)
    levels = [_level(asked, exact, both_ways, asked.years.index(year)) for year in years]
    changes = [
        _change(asked, exact, both_ways, asked.years.index(first), asked.years.index(second))
        for first, second in chosen
    ]
    return xr.Dataset(
        _stacked("year", "", levels) | _stacked("pair", "delta_", changes),
        coords=asked.coords
        | {
            "year": years,
            "from_year": xr.Variable("pair", [first for first, _ in chosen]),
            "to_year": xr.Variable("pair", [second for _, second in chosen]),
        },
        attrs=asked.attrs,
    )


def consecutive_and_whole(years: list[int]) -> list[tuple[int, int]]:
    """Pairs of consecutive years, then first and last."""
    return list(dict.fromkeys([*pairwise(years), (years[0], years[-1])])) if years[1:] else []


def _both_ways(ensemble: xr.Dataset) -> Bool:
    """Draws that were to be computed exactly too, (draw,)."""
    wanted = int(json.loads(str(ensemble.attrs["split"]))["exact_draws"])
    return np.asarray(ensemble["draw"].to_numpy() < wanted)


def _level(asked: Selection, exact: F64, both_ways: Bool, t: int) -> dict[str, NDArray[Any]]:
    there = asked.computed[:, t]
    return _compared(asked.footprint[there, t], exact[there, t], both_ways[there])


def _change(
    asked: Selection, exact: F64, both_ways: Bool, s: int, t: int
) -> dict[str, NDArray[Any]]:
    there = asked.computed[:, s] & asked.computed[:, t]
    four = [values[there, year] for values in (asked.footprint, exact) for year in (s, t)]
    F_s, F_t, e_s, e_t = four
    split, both = accepted_draws(F_s, F_t), accepted_draws(*four)
    log = log_scale(F_s[split], F_t[split], asked.reference[s][None], asked.reference[t][None])
    log = log & log_scale(e_s[both], e_t[both])
    delta, exact_delta = np.full(F_s.shape, np.nan), np.full(F_s.shape, np.nan)
    delta[split] = difference(F_s[split], F_t[split], log)
    exactly = accepted_draws(e_s, e_t)
    exact_delta[both] = difference(e_s[both], e_t[both], log)
    exact_delta[exactly & ~split] = 0.0  # counted as accepted, used nowhere
    found = _compared(delta, exact_delta, both_ways[there])
    return found | {"scale": np.where(log, "log", "raw")}


def _compared(x: F64, e: F64, both_ways: Bool) -> dict[str, NDArray[Any]]:
    """Split draws x and exact draws e, NaN where not accepted or not computed."""
    accepted, exactly = accepted_draws(x), accepted_draws(e)
    one_way = int((both_ways & (accepted != exactly)).sum())
    x, e = x[accepted], e[accepted]
    variance, measured = two_level_variance(x, e), deviation(x, e)
    shape = x.shape[1:]
    return {
        "draws_both_ways": np.full(shape, measured.draws),
        "one_way_only": np.full(shape, one_way),
        **named("plain_mean", mean(x)),
        **named("mean", two_level_mean(x, e)),
        **named("plain_sd", sd(x)),
        **named("variance", variance),
        **named("sd", two_level_sd(variance)),
        **named("sd_ratio", measured.ratio),
        "error_rms": measured.rms,
        "error_largest": measured.largest,
    }


# --- for verdicts -------------------------------------------------------------------------------


def change_error(asked: Selection, s: int, t: int) -> F64 | None:
    """rms over draws of split minus exact change, in the units of delta; None in an exact ensemble.

    What cutting noise and ending the series cost together. Infinite where too few draws were
    accepted in both ways, or where one way has a logarithm and the other none.

    Args:
        s, t: positions of the two years.
    """
    if asked.exact is None:
        return None
    there = asked.computed[:, s] & asked.computed[:, t]
    split, exact = (
        (values[there, s], values[there, t]) for values in (asked.footprint, asked.exact)
    )
    return rms_apart(split, exact, (asked.reference[s], asked.reference[t]))


def rms_apart(split: tuple[F64, F64], exact: tuple[F64, F64], estimates: tuple[F64, F64]) -> F64:
    """rms over draws of split minus exact `difference` of two footprints, (...).

    Args:
        split, exact: both footprints of every draw, (D, ...), NaN where one was not accepted or not
            computed exactly.
        estimates: both of the estimate, (...).
    """
    accepted, both = accepted_draws(*split), accepted_draws(*split, *exact)
    F_s, F_t, e_s, e_t = (F[both] for F in (*split, *exact))
    log = log_scale(*(F[accepted] for F in split), *(F[None] for F in estimates))
    if len(e_s) < 2:
        return np.full(log.shape, np.inf)
    comparable = ~log | log_scale(e_s, e_t)
    on_log = log & comparable
    away = difference(F_s, F_t, on_log) - difference(e_s, e_t, on_log)
    rms: F64 = np.sqrt(np.square(away).mean(axis=0))
    return np.where(comparable, rms, np.inf)


def _stacked(dim: str, prefix: str, found: list[dict[str, NDArray[Any]]]) -> dict[str, Any]:
    if not found:
        return {}
    return {
        prefix + name: ((dim, *CELL), np.stack([one[name] for one in found]), _attributes(name))
        for name in found[0]
    }


def _attributes(name: str) -> dict[str, str]:
    what, unit = _MEANINGS[name.removesuffix("_mcse")]
    prefix = "Monte Carlo standard error: " if name.endswith("_mcse") else ""
    return {"long_name": prefix + what} | ({"units": unit} if unit else {})
