"""Verdicts over the assumed correlation between years: `engine.kernels.correlation` with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from engine.analysis.beside import beside_verdicts
from engine.analysis.selection import CELL, Names, select
from engine.analysis.tables import (
    LABELS,
    NOTHING,
    Row,
    aligned,
    consecutive_then_whole,
    number,
    plain,
)
from engine.kernels.changes import DetectionRule, Verdict
from engine.kernels.conclusions import Conclusion, conclusion
from engine.kernels.correlation import limits, over_correlation

OWN, ASSUMED = "own", "assumed"  # the model's own correlation comes last
# From -1 to 1: sigma is nearly proportional to sqrt(1 - rho), which changes fast near one.
_FAR = tuple(round(-1 + 0.05 * step, 2) for step in range(38))
_NEAR = tuple(round(0.9 + 0.01 * step, 2) for step in range(10))
ALONG = (*_FAR, *_NEAR, 0.995, 0.998, 0.999, 0.9995, 0.9999, 1.0)
_KNOWN = (
    "scale",
    "draws",
    "acceptance",
    "reference_change",
    "relative_change",
    "reference_delta",
    "rho_break_even",
    "rho_break_even_mcse",
)
_AT_EACH = (  # what a row has of each correlation
    "sigma",
    "mdc",
    "mdc_increase",
    "mdc_increase_percent",
    "mdc_decrease",
    "mdc_decrease_percent",
)


def correlation_table(
    ensemble: xr.Dataset,
    changes: xr.Dataset,
    rule: DetectionRule,
    declines: tuple[float, ...],
    *,
    final: bool = False,
) -> list[Row]:
    """One row for every change and correlation: sigma, MDC and the verdict by size at it.

    The last correlation of a change is the model's own (`model` is `own`), where `verdict` is the
    counted one. With every row of a change come the `conclusion` over the grid and the model's
    own, the correlation `decided_above` which it is detectable, the break-even correlation of the
    plain rule, and for each decline the correlation it requires.

    Args:
        changes: `engine.analysis.changes` of the pairs to tell of, judged by `rule`.
        declines: true falls in percent.
        final: whether no more draws will be made, so that what needs them is borderline.
    """
    statistics = partial(over_correlation, rule=rule, declines=declines)
    rows: list[Row] = []
    for change, found, cell in beside_verdicts(ensemble, changes, statistics):
        rows += _rows_of(change, found, cell, rule, final=final)
    return rows


def along_correlation(
    ensemble: xr.Dataset,
    pairs: Sequence[tuple[int, int]],
    rule: DetectionRule,
    *,
    stressor: Names = None,
    consumer: Names = None,
) -> xr.Dataset:
    """How large a change of the total must be, over any correlation of its two years' errors.

    Dims rho, pair, stressor, consumer: `detection_limit`, beyond which an estimate is detectable
    by size, and `mdc_decrease` and `mdc_increase`, the true falls and rises found with the rule's
    power; each with `_mcse`, in log points, or the stressor's unit where changes are raw
    differences. rho runs from -1 to 1 in steps that grow finer towards one.

    Args:
        pairs: (from, to) years.
        stressor, consumer: names to limit the analysis to; only these are read.

    Raises:
        InputError: the ensemble has no such name.
    """
    asked = select(ensemble.sel(part=["total"]), stressor, consumer)
    where = {year: place for place, year in enumerate(asked.years)}
    found = []
    for first, second in ((where[a], where[b]) for a, b in pairs):
        there = asked.computed[:, first] & asked.computed[:, second]
        found.append(
            limits(
                asked.footprint[there, first, ..., 0],
                asked.footprint[there, second, ..., 0],
                asked.reference[first, ..., 0],
                asked.reference[second, ..., 0],
                rule=rule,
                grid=ALONG,
            )
        )
    names = list(found[0]) if found else []
    dims = ("rho", "pair", *CELL[:-1])
    coords = {name: asked.coords[name] for name in CELL[:-1]}
    return xr.Dataset(
        {name: (dims, np.stack([one[name] for one in found], axis=1)) for name in names},
        coords=coords
        | {
            "rho": list(ALONG),
            "from_year": xr.Variable("pair", [a for a, _ in pairs]),
            "to_year": xr.Variable("pair", [b for _, b in pairs]),
        },
    )


def _rows_of(
    change: Row,
    found: Mapping[str, NDArray[Any]],
    cell: tuple[int, ...],
    rule: DetectionRule,
    *,
    final: bool,
) -> list[Row]:
    """The rows of one change, the model's own correlation last."""
    by_size = [_said(str(said[cell]), final=final) for said in found["by_size"]]
    verdicts = [*by_size[:-1], _said(change["verdict"], final=final)]
    once = [name for name in found if name.startswith(("decided_above", "rho_required_"))]
    shared: Row = {"conclusion": conclusion(verdicts).value}
    # A change that the model allows no error of has numerical error alone: nothing hangs on it.
    assessed = change["verdict"] != Verdict.NOT_ASSESSED
    shared |= {name: plain(found[name][cell]) if assessed else None for name in once}
    shared |= {name: change[name] for name in _KNOWN}
    shared |= {"confidence": rule.confidence, "power": rule.power}
    rows = []
    for at, verdict in enumerate(verdicts):
        row: Row = {label: change[label] for label in LABELS}
        row |= {"model": OWN if at == len(verdicts) - 1 else ASSUMED}
        row |= {name: plain(found[name][at][cell]) for name in ("rho", "rho_mcse")}
        row |= {"verdict": verdict, "by_size": by_size[at]}
        for name in _AT_EACH:
            row |= {each: plain(found[each][at][cell]) for each in (name, f"{name}_mcse")}
        rows.append(row | shared)
    return rows


def _said(verdict: str, *, final: bool) -> str:
    waits = final and verdict == Verdict.NEEDS_MORE_DRAWS
    return Verdict.BORDERLINE.value if waits else verdict


def correlation_text(rows: Sequence[Row]) -> str:
    """One line a consumer and stressor: how many successive changes show at each correlation."""
    subjects: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["part"] == "total":
            subjects.setdefault((row["consumer"], row["stressor"]), []).append(row)
    grid = list(dict.fromkeys(row["rho"] for row in rows if row["model"] != OWN))
    declines = [
        name.removeprefix("rho_required_").removesuffix("_percent")
        for name in rows[0]
        if name.startswith("rho_required_") and not name.endswith("_mcse")
    ]
    head = ["consumer", "stressor", "changes", *(f"{rho:g}" for rho in grid), "here", "rho here"]
    head += [f"rho for -{percent} %" for percent in declines]
    lines = [[*head, "over all"]]
    for (consumer, stressor), own in subjects.items():
        here = consecutive_then_whole([row for row in own if row["model"] == OWN])
        steps = here[:-1] or here
        wanted = {(row["from_year"], row["to_year"]) for row in steps}
        mine = [row for row in own if (row["from_year"], row["to_year"]) in wanted]
        at = [sum(_decided(row) for row in mine if row["rho"] == rho) for rho in grid]
        lines.append(
            [
                consumer,
                stressor,
                str(len(steps)),
                *map(str, at),
                str(sum(map(_decided, steps))),
                _span([row["rho"] for row in steps]),
                *(_span([row[f"rho_required_{g}_percent"] for row in steps]) for g in declines),
                _conclusions(steps),
            ]
        )
    return "\n".join(
        [
            "successive changes detectable at an assumed correlation between the two years' errors",
            *aligned(lines),
            "here: the error model's own correlation, by counting draws; elsewhere by size, with "
            "errors of the present size",
            "rho for -g %: correlation above which a true fall by g % would be found with the "
            "asked power; from the least to the most demanding pair of years",
        ]
    )


def _decided(row: Row) -> bool:
    return Verdict(row["verdict"]).detected


def _span(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return NOTHING
    low, high = (number(value, 3) for value in (min(known), max(known)))
    return low if low == high else f"{low} to {high}"


def _conclusions(rows: Sequence[Row]) -> str:
    counts = {kind: sum(row["conclusion"] == kind for row in rows) for kind in Conclusion}
    return ", ".join(f"{many} {kind}" for kind, many in counts.items() if many)
