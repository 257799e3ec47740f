"""Where a footprint arises, or what for: contributions of origins, industries or products.

Contributions are to a footprint what parts are: `attributed` shows an ensemble with contributions
in the place of parts, and whatever analyses an ensemble analyses those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import numpy as np
import xarray as xr

from engine.analysis.families import among_many
from engine.analysis.levels import levels
from engine.analysis.selection import Names
from engine.analysis.tables import (
    NOTHING,
    Row,
    aligned,
    number,
    places,
    probability,
    signed,
    verdict_table,
)
from engine.errors import InputError
from engine.kernels.changes import DetectionRule, Verdict

_SHOWN = 10  # contributions in a text, of each kind of largest
_LOOSER = 2.0  # error of a contribution over the total's (`engine.draws.attribution`)


class By(StrEnum):
    """What a footprint is told by."""

    ORIGIN = "origin"
    INDUSTRY = "industry"
    PRODUCT = "product"


def kinds(ensemble: xr.Dataset) -> tuple[By, ...]:
    """What the ensemble holds contributions of."""
    return tuple(by for by in By if f"by_{by}" in ensemble)


def attributed(ensemble: xr.Dataset, by: By | str, consumer: Names = None) -> xr.Dataset:
    """The ensemble with the total and every contribution in the place of its parts.

    The contributions leave out direct emissions: with these they add up to the total. `changes`,
    `levels` and `verdicts` take the result like any ensemble.

    Args:
        by: origin, industry or product. An industry is called by its region and sector, a product
            by its sector.
        consumer: names to limit it to; all whose contributions were asked for if not given.

    Raises:
        InputError: the ensemble holds no such contributions, or not of this consumer.
    """
    name, whose = f"by_{by}", f"{by}_consumer"
    if name not in ensemble:
        raise InputError(
            f"the run does not tell footprints by {by}",
            where="analysis",
            remedy=f"ask for [question.attribution] {name} and run in a folder of its own",
        )
    told = [str(name) for name in ensemble[whose].to_numpy()]
    wanted = told if consumer is None else [consumer] if isinstance(consumer, str) else consumer
    for one in wanted:
        if one not in told:
            raise InputError(
                f"the run does not tell the footprint of {one} by {by}",
                where="analysis",
                remedy=f"it does for {', '.join(told)}",
            )
    whole = ensemble.sel(consumer=list(wanted), part=["total"])
    return whole[["status"]].assign(
        certified_error=_LOOSER * whole["certified_error"],
        footprint=_with_total(whole["footprint"], ensemble[name], by, wanted),
        reference=_with_total(whole["reference"], ensemble[f"{name}_reference"], by, wanted),
    )


def _with_total(
    total: xr.DataArray, contributions: xr.DataArray, by: By | str, consumers: Sequence[str]
) -> xr.DataArray:
    whose = f"{by}_consumer"
    chosen = contributions.sel({whose: list(consumers)}).transpose(..., whose, by)
    values = np.concatenate([total.to_numpy(), chosen.to_numpy()], axis=-1)
    labels = ["total", *(" ".join(place) for place in _places(contributions, by))]
    coords = {name: c for name, c in total.coords.items() if "part" not in c.dims}
    return xr.DataArray(values, coords | {"part": labels}, total.dims, attrs=total.attrs)


def _places(contributions: xr.DataArray, by: By | str) -> list[tuple[str, ...]]:
    names = ("industry_region", "industry_sector") if by == By.INDUSTRY else (str(by),)
    columns = [contributions[name].to_numpy() for name in names]
    return [tuple(map(str, place)) for place in zip(*columns, strict=True)]


# --- rows ---------------------------------------------------------------------------------------


def contribution_table(ensemble: xr.Dataset, changes: xr.Dataset, by: By | str) -> list[Row]:
    """One flat row for every pair, stressor, consumer and contribution, with the total first.

    To what `verdict_table` has come the contribution in the second year: `estimate`, its standard
    deviation over draws `estimate_sd`, and its `share` of the total's estimate. `origin`, `product`
    or `region` and `sector` stand in the place of `part`. `benjamini_yekutieli` and
    `benjamini_hochberg` are the verdicts among all contributions of a subject (`among_many`); the
    total is not among them.

    Args:
        ensemble: the run's own, as `attributed` takes it.
        changes: of what `attributed` made of it.
    """
    shown = attributed(ensemble, by, [str(name) for name in changes["consumer"].to_numpy()])
    names = ("region", "sector") if by == By.INDUSTRY else (str(by),)
    total = ("total", *[""] * (len(names) - 1))
    places = dict(
        zip(
            shown["part"].to_numpy(),
            [total, *_places(ensemble[f"by_{by}"], by)],
            strict=True,
        )
    )
    at = {
        year: _levels_of(shown.sel(year=[year]))
        for year in dict.fromkeys(int(year) for year in changes["to_year"].to_numpy())
    }
    rows = []
    for row in verdict_table(changes):
        key = row["stressor"], row["consumer"]
        estimate, sd = at[row["to_year"]][*key, row["part"]]
        whole, _ = at[row["to_year"]][*key, "total"]
        labels = {name: row[name] for name in ("stressor", "unit", "consumer")}
        labels |= zip(names, places[row["part"]], strict=True)
        labels |= {"from_year": row["from_year"], "to_year": row["to_year"]}
        share = estimate / whole if whole else None
        labels |= {"estimate": estimate, "estimate_sd": sd, "share": share}
        rows.append(labels | {name: row[name] for name in row if name not in (*labels, "part")})
    return _with_adjusted(rows, changes)


def _with_adjusted(rows: Sequence[Row], changes: xr.Dataset) -> list[Row]:
    """The verdicts among all contributions of one consumer, stressor and pair of years."""
    names = ("confidence", "power", "monte_carlo_error")
    rule = DetectionRule(*(float(changes.attrs[name]) for name in names))
    subjects: dict[tuple[str, str, int, int], list[int]] = {}
    for i, row in enumerate(rows):
        if place(row) != "total":
            subjects.setdefault(_subject(row), []).append(i)
    found: dict[int, Row] = {}
    for own in subjects.values():
        found |= zip(own, among_many([rows[i] for i in own], rule), strict=True)
    columns = next(iter(found.values()), {})
    return [row | found.get(i, dict.fromkeys(columns)) for i, row in enumerate(rows)]


def _subject(row: Row) -> tuple[str, str, int, int]:
    return row["consumer"], row["stressor"], row["from_year"], row["to_year"]


def _levels_of(shown: xr.Dataset) -> dict[tuple[str, str, str], tuple[float, float | None]]:
    """Estimate and standard deviation in one year by stressor, consumer and contribution."""
    found = levels(shown).isel(year=0)
    dims = ("stressor", "consumer", "part")
    estimate, sd = (found[name].transpose(*dims).to_numpy() for name in ("reference", "sd"))
    labels = [[str(label) for label in found[dim].to_numpy()] for dim in dims]
    return {
        (labels[0][s], labels[1][c], labels[2][p]): (
            float(estimate[s, c, p]),
            float(sd[s, c, p]) if np.isfinite(sd[s, c, p]) else None,
        )
        for s, c, p in np.ndindex(estimate.shape)
    }


def kind_of(row: Row) -> By:
    """What a row of contributions is about."""
    return next((by for by in (By.ORIGIN, By.PRODUCT) if by in row), By.INDUSTRY)


def place(row: Row) -> str:
    """What contributes: an origin, a product, or the region and sector of an industry."""
    by = kind_of(row)
    return f"{row['region']} {row['sector']}".strip() if by is By.INDUSTRY else str(row[by])


def largest(rows: Iterable[Row], most: int = _SHOWN) -> list[Row]:
    """Those with the largest contributions and those with the largest changes, of one subject.

    Args:
        rows: of one stressor, consumer and pair of years; the total is left out.
        most: how many of either.
    """
    those = [row for row in rows if place(row) != "total"]
    by_level = sorted(those, key=lambda row: -abs(row["estimate"]))
    by_change = sorted(those, key=lambda row: -abs(row["reference_change"]))
    chosen = {place(row) for row in (*by_level[:most], *by_change[:most])}
    return [row for row in by_level if place(row) in chosen]


# --- for a terminal -----------------------------------------------------------------------------


def contribution_text(rows: Sequence[Row]) -> str:
    """A table of the largest contributions for each consumer, stressor and pair of years.

    Args:
        rows: of `contribution_table`.
    """
    subjects: dict[tuple[str, str, int, int], list[Row]] = {}
    for row in rows:
        subjects.setdefault(_subject(row), []).append(row)
    tables = [_table(own) for own in subjects.values()]
    met = {Verdict(row["verdict"]) for own in subjects.values() for row in largest(own)}
    notes = [f"{verdict}: {verdict.meaning}" for verdict in Verdict if verdict in met]
    notes.append(
        "changes are those of the contribution in the stressor's unit; each verdict stands for one "
        "change asked beforehand, and among many some seem to change by chance: `among all` allows "
        "for their number by the false discovery rate of Benjamini and Yekutieli"
    )
    return "\n\n".join([*tables, "\n".join(notes)])


def _table(rows: Sequence[Row]) -> str:
    first, chosen = rows[0], largest(rows)
    years = f"{first['from_year']}-{first['to_year']}"
    unit = f" [{first['unit']}]" if first["unit"] else ""
    covered = sum(row["share"] or 0 for row in chosen)
    what = str(kind_of(first))
    title = (
        f"{first['consumer']}, {first['stressor']}{unit}: the largest contributions and changes, "
        f"{len(chosen)} of {len(rows) - 1}, {100 * covered:.0f} % of the total"
    )
    level = f"{100 * first['confidence']:.4g} % interval"
    head = [what, f"in {first['to_year']}", "sd", "share", f"change {years}", level]
    head += ["P(decrease)", "among all", "verdict"]
    return "\n".join([title, *aligned([head, *map(_line, chosen)])])


def _line(row: Row) -> list[str]:
    decimals, of_change = places(row["estimate_sd"]), places(row["change_sd"])
    assessed = row["verdict"] != Verdict.NOT_ASSESSED
    low, high = (signed(row[name], of_change) for name in ("change_low", "change_high"))
    share = row["share"]
    return [
        place(row),
        number(row["estimate"], decimals),
        number(row["estimate_sd"], decimals),
        NOTHING if share is None else f"{100 * share:.1f} %",
        signed(row["reference_change"], of_change),
        f"{low} to {high}" if assessed else NOTHING,
        probability(row["p_decrease"], row["draws"]) if assessed else NOTHING,
        row["benjamini_yekutieli"],
        row["verdict"] + (" (asymmetric)" if row["asymmetric"] else ""),
    ]
