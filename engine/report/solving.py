"""How draws were solved, what split mode costs, and what the first order adds: tables in words."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from engine.analysis import in_words, is_rebalanced, is_split, solving, split_error, split_summary
from engine.kernels.changes import DetectionRule
from engine.kernels.control_variate import Linearity
from engine.report.naming import CODES, Names
from engine.report.numbers import EN_DASH, NBSP, NOTHING, count, number, places, two_digits
from engine.report.tables import Line, Table

_LOGS = "of the logarithm, times 100, or in the unit given"
_IN_PER_CENT = (
    "Changes are those of the logarithm, times 100; in the unit given where there is no logarithm."
)
_WHEN = ("Year", "Years")
_CONTROLLED = (
    ("mean", "Mean footprint"),
    ("sd", "Standard deviation of the footprint"),
    ("delta_mean", f"Mean change ({_LOGS})"),
    ("sigma", f"σ ({_LOGS})"),
    ("p_decrease", "P(fall) in per cent, verdicts going by the plain ones"),
)
_MOST = 40  # lines of a table; the other totals are in the ensemble


@dataclass(frozen=True, slots=True)
class Titled:
    """A subsection: its sentences and its tables, the `folded` ones under a `summary`."""

    title: str
    sentences: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    folded: tuple[Table, ...] = ()
    summary: str = ""


def solved(ensemble: xr.Dataset) -> str:
    """How many draws were solved directly, and how many corrections the others took."""
    how = solving(ensemble)
    if not how.draws:
        return ""
    if how.directly == how.draws:
        balanced = " Each was first balanced back to the published margins (RAS)."
        return (
            f"All {number(how.draws, 0)} accepted draws, counted in each year, were solved "
            f"directly.{balanced if is_rebalanced(ensemble) else ''}"
        )
    directly = (
        f"Of {number(how.draws, 0)} accepted draws, counted in each year, "
        f"{count(how.directly, 'was', 'were').replace('no ', 'none ')} solved directly."
    )
    if is_split(ensemble):
        return f"{directly} The others are the sum of a series of a few terms."
    return (
        f"{directly} In the others the estimate’s solution was corrected up to "
        f"{count(how.most_corrections, 'time', 'times')}, in the median "
        f"{how.median_corrections:g}."
    )


# --- split mode ---------------------------------------------------------------------------------


def split_section(ensemble: xr.Dataset, names: Names = CODES) -> Titled:
    """The error of split mode as it was measured, and two-level estimates beside the plain ones."""
    measured = split_error(ensemble)
    found = split_summary(ensemble, measured)
    sentences = [
        f"This run is in split mode. Of the deliveries’ {number(found.of_cells, 0)} uncertain "
        f"cells the {number(found.cells, 0)} that matter keep their own noise, which keeps "
        f"{100 * found.kept:.5g}{NBSP}% of the variance of every level and change asked for, to "
        "first order. Errors that cells share are all kept.",
        f"What this costs was measured on {number(found.draws, 0)} draws of each year, fixed in "
        "advance, that were also computed exactly from the same random numbers. An sd ratio is the "
        "standard uncertainty in split mode over the exact one, among these draws.",
        "A two-level estimate takes all draws of split mode and adds what the exact ones say of "
        "its error: means and variances are then without bias, whatever was cut. The standard "
        "uncertainty, a square root, is not, though nearly so. Verdicts count the draws of split "
        "mode; a change is not assessed where its standard uncertainty is not ten times the rms "
        "by which a draw is off.",
    ]
    if found.one_way_only:
        sentences.append(
            f"Up to {found.one_way_only} draws were accepted in one way and not in the other; "
            "where that is so, two-level estimates are not free of bias."
        )
    kinds = [("", "Levels")]
    if len(measured["from_year"]):
        kinds.append(("delta_", "Changes"))
    return Titled(
        "Split mode",
        tuple(sentences),
        tuple(_measured_table(measured, prefix, what, names) for prefix, what in kinds),
        tuple(_two_level_table(measured, prefix, what, names) for prefix, what in kinds),
        "Plain and two-level estimates",
    )


def _measured_table(measured: xr.Dataset, prefix: str, what: str, names: Names) -> Table:
    lines = []
    for name, one in _totals(measured, "pair" if prefix else "year", names):
        ratio = _give_or_take(one, f"{prefix}sd_ratio", 1.0)
        errors = (float(one[f"{prefix}error_{kind}"]) for kind in ("rms", "largest"))
        off = (two_digits(x) if math.isfinite(x) else NOTHING for x in errors)
        lines.append(Line((name, ratio, *off)))
    caption = f"{what}: split mode against the exact draws. Errors of a draw in exact sds."
    head = (_WHEN[bool(prefix)], "Ratio of sds", "Error of a draw, rms", "largest")
    return _limited(caption, head, lines)


def _two_level_table(measured: xr.Dataset, prefix: str, what: str, names: Names) -> Table:
    lines = []
    for name, one in _totals(measured, "pair" if prefix else "year", names):
        scale = _scale(one, f"{prefix}scale" if prefix else "")
        keys = ("plain_mean", "mean", "plain_sd", "sd")
        lines.append(Line((name, *(_give_or_take(one, prefix + key, scale) for key in keys))))
    note = f" {_IN_PER_CENT}" if prefix else ""
    head = (_WHEN[bool(prefix)], "Mean, plain", "two-level", "Sd, plain", "two-level")
    return _limited(f"{what}, each ± one Monte Carlo standard error.{note}", head, lines)


# --- control variates and linearity -------------------------------------------------------------


def first_order_section(
    found: xr.Dataset, rule: DetectionRule, *, split: bool, names: Names = CODES
) -> Titled:
    """Controlled estimates beside plain ones, and whether the first order would have done.

    Args:
        found: `engine.analysis.of_ensemble`.
        split: whether the run is in split mode, where controls are off.
    """
    keys = _CONTROLLED if found.sizes.get("pair") else _CONTROLLED[:2]
    controlled = [(key, what) for key, what in keys if not split and _steadied(found, key)]
    sentences = [_linearity(found, rule)] if found.sizes.get("pair") else []
    sentences += _controls(found, controlled, split=split)
    folded = [_linearity_table(found, names)] if found.sizes.get("pair") else []
    folded += [_controlled_table(found, key, what, names) for key, what in controlled]
    title = "Would a first-order formula have done?"
    summary = "Each change to first order and drawn"
    if controlled:
        summary += ", and plain and controlled estimates"
    return Titled(title, tuple(sentences), (), tuple(folded), summary)


def _steadied(found: xr.Dataset, key: str) -> bool:
    """Whether the controls of a quantity are on for any total."""
    gains = found.sel(part="total")[f"{key}_gain"].to_numpy()
    return bool(((gains != 1) & np.isfinite(gains)).any())


def _controls(
    found: xr.Dataset, controlled: list[tuple[str, str]], *, split: bool
) -> tuple[str, ...]:
    """What steadies estimates beside the plain ones, and why where nothing does."""
    if split:
        return ("Controls are off in split mode; the two-level estimates above take their place.",)
    why = (
        " Some factors of this run are not lognormal, or are those of shares of known totals: the "
        "controls of standard deviations and probabilities are off, and with factors from files "
        "those of means as well."
        if "G" not in json.loads(str(found.attrs["controls"]))
        else ""
    )
    if not controlled:
        return (f"Control variates are off in this run and no estimate uses them.{why}",)
    return (
        "What the errors do to first order is known without a draw. Where draws follow it, "
        "estimates can be steadied by it: the gain says how many times the draws a plain estimate "
        "would need. It is what this run shows, and no other is promised; it is 1, and the "
        "controls are off, where a draw was rejected. Verdicts count draws and use none of this."
        f"{why}",
    )


def _linearity(found: xr.Dataset, rule: DetectionRule) -> str:
    counted = Counter(map(str, found.sel(part="total")["linearity"].to_numpy().ravel()))
    told = "; ".join(f"for {counted[w]}, {in_words(w)}" for w in Linearity if counted[w])
    return (
        f"Held against the {100 * rule.confidence:.4g}{NBSP}% intervals of the draws (JCGM "
        f"101:2008, clause 8), of {sum(counted.values())} changes of totals: {told}."
    )


_DONE = {
    Linearity.VALIDATED: "yes",
    Linearity.NOT_VALIDATED: "no",
    Linearity.NEEDS_MORE_DRAWS: "too few draws",
    Linearity.NOT_ASSESSED: NOTHING,
}


def _linearity_table(found: xr.Dataset, names: Names) -> Table:
    lines = []
    for name, one in _totals(found, "pair", names):
        scale = _scale(one, "scale")
        keys = ("first_order_sigma", "plain_sigma", "d_low", "d_high", "tolerance")
        shown = [scale * float(one[key]) for key in keys]
        numbers = (two_digits(x) if math.isfinite(x) else NOTHING for x in shown)
        lines.append(Line((name, *numbers, _DONE[Linearity(str(one["linearity"].item()))])))
    head = ("Years", "σ to first order", "σ of draws", "Lower ends apart", "Upper ends apart")
    caption = f"First-order intervals against those of the draws. {_IN_PER_CENT}"
    return _limited(caption, (*head, "Tolerance", "Would have done"), lines)


def _controlled_table(found: xr.Dataset, key: str, what: str, names: Names) -> Table:
    """Plain and controlled estimates of one quantity, of years or of pairs."""
    dim = "year" if key in ("mean", "sd") else "pair"
    lines = []
    for name, one in _totals(found, dim, names):
        scale = 100.0 if key == "p_decrease" else _scale(one, "scale" if dim == "pair" else "")
        plain, better = (_give_or_take(one, kind, scale) for kind in (f"plain_{key}", key))
        gain = float(one[f"{key}_gain"])
        shown = number(gain, 0 if gain >= 10 else 1) if math.isfinite(gain) else NOTHING
        lines.append(Line((name, plain, better, shown)))
    caption = f"{what}, each ± one Monte Carlo standard error."
    return _limited(caption, (_WHEN[dim == "pair"], "Plain", "Controlled", "Gain"), lines)


# --- shared -------------------------------------------------------------------------------------


def _totals(found: xr.Dataset, dim: str, names: Names) -> Iterator[tuple[str, xr.Dataset]]:
    """Each year or pair of every consumer and stressor, total only, with its name and unit."""
    totals = found.sel(part="total")
    for c in range(totals.sizes["consumer"]):
        for s in range(totals.sizes["stressor"]):
            for i in range(totals.sizes[dim]):
                one = totals.isel({"consumer": c, "stressor": s, dim: i})
                when = (
                    f"{int(one['from_year'])}{EN_DASH}{int(one['to_year'])}"
                    if dim == "pair"
                    else str(int(one["year"]))
                )
                logs = dim == "pair" and {"log"} >= {
                    str(one[scale].item()) for scale in ("scale", "delta_scale") if scale in one
                }
                unit = "" if logs else f" [{one['stressor_unit'].item()}]"
                labels = (names.of(str(one[dim].item())) for dim in ("consumer", "stressor"))
                whose = f"{', '.join(labels)}{unit}, "
                yield whose + when, one


def _scale(one: xr.Dataset, name: str) -> float:
    """What to multiply a number by: logarithms are shown in per cent."""
    return 100.0 if name and str(one[name].item()) == "log" else 1.0


def _give_or_take(one: xr.Dataset, name: str, scale: float) -> str:
    value, error = (scale * float(one[key]) for key in (name, f"{name}_mcse"))
    if not math.isfinite(value):
        return NOTHING
    if not math.isfinite(error) or error <= 0:
        return number(value, 3)
    return f"{number(value, places(error))}{NBSP}±{NBSP}{two_digits(error)}"


def _limited(caption: str, head: tuple[str, ...], lines: list[Line]) -> Table:
    if len(lines) > _MOST:
        caption = f"{caption} The first {_MOST} of {len(lines)} lines."
    return Table(caption, head, tuple(lines[:_MOST]))
