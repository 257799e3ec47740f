"""Families of changes with labels: `engine.kernels.families` for the changes of an ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from engine.analysis.asked import Family
from engine.analysis.selection import CELL, Selection, select
from engine.analysis.tables import LABELS, NOTHING, Row, aligned, number, plain, verdict_table
from engine.kernels import families as kernel
from engine.kernels.arrays import F64, Bool
from engine.kernels.changes import DetectionRule, Verdict, accepted_draws, difference, log_scale
from engine.kernels.monte_carlo import Estimate

MAX_T, BY = "max-|t|", "Benjamini-Yekutieli"
_KNOWN = (
    "scale",
    "draws",
    "acceptance",
    "reference_change",
    "relative_change",
    "reference_delta",
    "verdict",
)
VERDICTS = ("adjusted", "simultaneous", "holm", "benjamini_yekutieli", "benjamini_hochberg")
_LISTED = 6


def family_pairs(years: Sequence[int], pairs: str) -> list[tuple[int, int]]:
    """The pairs of years that a family is of.

    >>> family_pairs([2000, 2001, 2002], "from the first")
    [(2000, 2001), (2000, 2002)]
    """
    ordered = sorted(years)
    match pairs:
        case "consecutive":
            return list(pairwise(ordered))
        case "from the first":
            return [(ordered[0], year) for year in ordered[1:]]
        case "whole":
            return [(ordered[0], ordered[-1])]
        case _:
            return list(combinations(ordered, 2))


def families_pairs(years: Sequence[int], families: Sequence[Family]) -> list[tuple[int, int]]:
    """Every pair of years that one of the families is of."""
    found = (pair for family in families for pair in family_pairs(years, family.pairs))
    return sorted(dict.fromkeys(found))


def family_table(
    ensemble: xr.Dataset,
    changes: xr.Dataset,
    rule: DetectionRule,
    families: Sequence[Family],
) -> list[Row]:
    """One row for every family and change in it.

    `verdict` is that of the change alone. `adjusted` is that of the family's `method`: max-|t|, or
    Benjamini-Yekutieli over consumers. A change that is not detectable alone is not in any family.
    A family of `changes` has so many assessed `members`; `found_alone`, `found_together` and
    `open_together` are counted over all of it.

    Intervals `simultaneous_low` to `simultaneous_high` hold together: relative changes, or raw ones
    where `scale` is raw. None is narrower than that of the change alone, so that it excludes zero
    where the verdict by max-|t| is decided.

    Args:
        changes: `engine.analysis.changes` of all pairs the families are of, judged by `rule`.
    """
    asked = select(ensemble, None, None)
    by_cell = {_key(row): row for row in verdict_table(changes)}
    rows: list[Row] = []
    for family in families:
        pairs = family_pairs(asked.years, family.pairs)
        for cells in _gathered(changes, family):
            members = [by_cell[*cell, *pair] for cell in cells for pair in pairs]
            rows += _judged(asked, changes, family, members, rule)
    return rows


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in (*CELL, "from_year", "to_year"))


def _gathered(changes: xr.Dataset, family: Family) -> list[list[tuple[str, str, str]]]:
    """The cells (stressor, consumer, part) of each family of this kind."""
    names = [[str(x) for x in changes[dim].to_numpy()] for dim in CELL]
    of_parts = [part for part in names[2] if part != "total"] or ["total"]
    parts = of_parts if "parts" in family.over else ["total"]
    groups: dict[tuple[str, ...], list[tuple[str, str, str]]] = {}
    for stressor in names[0]:
        for consumer in names[1]:
            apart = (
                "" if "stressors" in family.over else stressor,
                "" if "consumers" in family.over else consumer,
            )
            groups.setdefault(apart, []).extend((stressor, consumer, part) for part in parts)
    return list(groups.values())


def _judged(
    asked: Selection,
    changes: xr.Dataset,
    family: Family,
    members: Sequence[Row],
    rule: DetectionRule,
) -> list[Row]:
    """One family: every member's row."""
    alive = [row["verdict"] != Verdict.NOT_ASSESSED.value for row in members]
    told = [row for row, there in zip(members, alive, strict=True) if there]
    shared, each = _of_family(asked, changes, told, rule) if told else ({}, [])
    method = BY if "consumers" in family.over else MAX_T
    common: Row = {"changes": len(members), "members": len(told), "method": method}
    lines, rows = iter(each), []
    for row, there in zip(members, alive, strict=True):
        found = next(lines) if there else {}
        labels: Row = {label: row[label] for label in LABELS}
        labels |= {"family": family.name, "of": _of(family, row)}
        labels |= common | {name: row[name] for name in _KNOWN}
        primary = "benjamini_yekutieli" if method == BY else "simultaneous"
        not_assessed = Verdict.NOT_ASSESSED.value
        labels["adjusted"] = found.get(primary, not_assessed)
        labels |= {name: found.get(name, not_assessed) for name in VERDICTS[1:]}
        labels |= {name: found.get(name) for name in _NUMBERS}
        labels |= {name: shared.get(name) for name in _SHARED}
        rows.append(labels | {"confidence": rule.confidence})
    counts = {
        "found_alone": _how_many(rows, "verdict"),
        "found_together": _how_many(rows, "adjusted"),
        "open_together": sum(row["adjusted"] == Verdict.NEEDS_MORE_DRAWS for row in rows),
    }
    return [row | counts for row in rows]


def _how_many(rows: Sequence[Row], name: str) -> int:
    return sum(Verdict(row[name]).detected for row in rows)


def _of(family: Family, row: Row) -> str:
    """Whose changes a family gathers: `NLD, CO2`, `all consumers, CO2`."""
    gathered = ("consumers", row["consumer"]), ("stressors", row["stressor"])
    named = [f"all {kind}" if kind in family.over else name for kind, name in gathered]
    return ", ".join([*named, "each part"] if "parts" in family.over else named)


def _and_mcse(*names: str) -> tuple[str, ...]:
    return tuple(each for name in names for each in (name, f"{name}_mcse"))


_NUMBERS = _and_mcse(
    "sigma",
    "statistic",
    "simultaneous_low",
    "simultaneous_high",
    "p_two_sided",
    "p_holm",
    "p_benjamini_yekutieli",
    "p_benjamini_hochberg",
)
_SHARED = (
    *_and_mcse("critical", "false_alarm", "false_alarm_low", "false_alarm_high"),
    "family_draws",
    "holm_draws",
)


def _of_family(
    asked: Selection, changes: xr.Dataset, told: Sequence[Row], rule: DetectionRule
) -> tuple[Row, list[Row]]:
    """What is known of the family, and of each of its members."""
    delta, observed, log, rejected = _drawn(asked, changes, told)
    columns: list[Row] = [{} for _ in told]
    shared: Row = {"family_draws": len(delta), "holm_draws": kernel.holm_needs(len(told), rule)}
    if len(delta) >= 2:
        found = kernel.simultaneous(delta, observed, rejected, rule)
        _put(columns, "sigma", _sigma(told))
        _put(columns, "statistic", found.statistic)
        for end, sign in (("low", -1.0), ("high", 1.0)):
            reach = _reach(told, end, sign, observed, found.half_width)
            _put(columns, f"simultaneous_{end}", _end(observed, reach, sign, log))
        _say(columns, "simultaneous", found.verdict)
        shared |= _numbers("critical", found.critical) | _numbers("false_alarm", found.false_alarm)
        shared |= _numbers("false_alarm_low", found.false_alarm_low)
        shared |= _numbers("false_alarm_high", found.false_alarm_high)
    else:
        _say(columns, "simultaneous", np.full(len(told), Verdict.NOT_DETECTABLE.value))
    for row, column in zip(told, columns, strict=True):
        column["simultaneous"] = coherent(row["verdict"], column["simultaneous"])
    steps = {"holm": (kernel.holm, shared["holm_draws"])}
    _count(columns, told, observed, steps | dict(_DISCOVERIES), rule)
    return shared, columns


def coherent(alone: str, adjusted: str) -> str:
    """The adjusted verdict, never more than the change's own allows."""
    if Verdict.NOT_DETECTABLE in (alone, adjusted):
        return Verdict.NOT_DETECTABLE.value
    return alone if alone in (Verdict.NEEDS_MORE_DRAWS, Verdict.BORDERLINE) else adjusted


def among_many(rows: Sequence[Row], rule: DetectionRule) -> list[Row]:
    """What the false discovery rate makes of each of many changes, by counting; none is dropped.

    Args:
        rows: of `verdict_table`, or with the same columns. Those not assessed are not counted.

    Returns:
        For each row `p_two_sided`, `p_benjamini_yekutieli` and `p_benjamini_hochberg`, each with
        `_mcse`, and the verdicts `benjamini_yekutieli` and `benjamini_hochberg`.
    """
    told = [row for row in rows if row["verdict"] != Verdict.NOT_ASSESSED]
    columns: list[Row] = [{} for _ in told]
    if told:
        observed = np.array([row["reference_delta"] for row in told])
        _count(columns, told, observed, _DISCOVERIES, rule)
    lines = iter(columns)
    nothing = dict.fromkeys(_and_mcse("p_two_sided", *(f"p_{name}" for name in _DISCOVERIES)))
    nothing |= dict.fromkeys(_DISCOVERIES, Verdict.NOT_ASSESSED.value)
    return [nothing if row["verdict"] == Verdict.NOT_ASSESSED else next(lines) for row in rows]


def _count(
    columns: Sequence[Row],
    told: Sequence[Row],
    observed: F64,
    adjustments: Mapping[str, tuple[kernel.Adjust, int]],
    rule: DetectionRule,
) -> None:
    """Fill in tail probabilities and verdicts by counting, adjusted in each of the ways."""
    tails = kernel.counted(
        np.array([row["against"] for row in told]),
        np.array([row["draws"] for row in told]),
        np.array([round(row["draws"] / row["acceptance"]) - row["draws"] for row in told]),
        rule,
    )
    _put(columns, "p_two_sided", tails.value)
    for name, (adjust, least) in adjustments.items():
        _put(columns, f"p_{name}", kernel.adjusted(tails, adjust))
        _say(columns, name, kernel.by_counting(tails, observed, adjust, rule, least))
        for row, column in zip(told, columns, strict=True):
            column[name] = coherent(row["verdict"], column[name])


_DISCOVERIES: Mapping[str, tuple[kernel.Adjust, int]] = {
    "benjamini_yekutieli": (kernel.benjamini_yekutieli, 0),
    "benjamini_hochberg": (kernel.benjamini_hochberg, 0),
}


def _drawn(
    asked: Selection, changes: xr.Dataset, told: Sequence[Row]
) -> tuple[F64, F64, Bool, int]:
    """Deltas of the draws accepted in all years, (D, m), those of the estimate, and the scales."""
    at = {year: place for place, year in enumerate(asked.years)}
    used = sorted({at[row[end]] for row in told for end in ("from_year", "to_year")})
    computed = asked.computed[:, used].all(axis=1)
    accepted = computed & accepted_draws(*(asked.footprint[:, year] for year in used))
    places = [
        {str(name): place for place, name in enumerate(changes[dim].to_numpy())} for dim in CELL
    ]
    delta = np.empty((int(accepted.sum()), len(told)))
    observed, scales = np.empty(len(told)), np.empty(len(told), dtype=np.bool_)
    for j, row in enumerate(told):
        cell = tuple(place[row[dim]] for place, dim in zip(places, CELL, strict=True))
        years = [at[row[end]] for end in ("from_year", "to_year")]
        first, second = (asked.footprint[accepted, year][:, *cell] for year in years)
        start, end = (asked.reference[year][cell] for year in years)
        log = log_scale(first, second, start[None], end[None])
        delta[:, j] = difference(first, second, log)
        observed[j], scales[j] = difference(start, end, log), log
    return delta, observed, scales, int(computed.sum()) - len(delta)


def _sigma(told: Sequence[Row]) -> Estimate:
    return Estimate(*(np.array([row[name] for row in told]) for name in ("sigma", "sigma_mcse")))


def _reach(
    told: Sequence[Row], end: str, sign: float, observed: F64, together: Estimate
) -> Estimate:
    """How far the simultaneous interval reaches to one side: no less than that of a change alone.

    An end that does not exist is none that would do, and the reach has none either.
    """
    ends = np.array([_number(row[f"interval_{end}"]) for row in told])
    mcse = np.array([_number(row[f"interval_{end}_mcse"]) for row in told])
    alone = sign * (ends - observed)
    wider = ~(together.value >= alone)
    return Estimate(np.where(wider, alone, together.value), np.where(wider, mcse, together.mcse))


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _end(observed: F64, reach: Estimate, sign: float, log: Bool) -> Estimate:
    """One end of the simultaneous intervals: relative on the log scale, else raw."""
    end = np.where(np.isfinite(reach.value), observed + sign * reach.value, np.nan)
    on_log = np.where(log, end, 0.0)
    return Estimate(
        np.where(log, np.expm1(on_log), end), np.where(log, np.exp(on_log), 1.0) * reach.mcse
    )


def _put(columns: Sequence[Row], name: str, estimate: Estimate) -> None:
    for column, value, error in zip(columns, estimate.value, estimate.mcse, strict=True):
        column[name], column[f"{name}_mcse"] = plain(value), plain(error)


def _say(columns: Sequence[Row], name: str, verdicts: NDArray[np.str_]) -> None:
    for column, verdict in zip(columns, verdicts, strict=True):
        column[name] = str(verdict)


def _numbers(name: str, estimate: Estimate) -> Row:
    return {name: plain(estimate.value[()]), f"{name}_mcse": plain(estimate.mcse[()])}


def adjusted_at_last_look(rows: Sequence[Row]) -> list[Row]:
    """What needs more draws when none will be made is borderline, treated as not detectable.

    Args:
        rows: with any of the columns `verdict`, `VERDICTS` and `open_together`.
    """
    waits, near = Verdict.NEEDS_MORE_DRAWS.value, Verdict.BORDERLINE.value
    names = ("verdict", *VERDICTS)
    return [
        row
        | {name: near for name in names if row.get(name) == waits}
        | ({"open_together": 0} if "open_together" in row else {})
        for row in rows
    ]


# --- for a terminal ------------------------------------------------------------------------------


def grouped(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of each family."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["family"], row["of"]), []).append(row)
    return list(groups.values())


def family_text(rows: Sequence[Row]) -> str:
    """One line a family: how many changes are detectable alone, and how many together."""
    head = ["family", "of", "changes", "alone", "together", "max-|t| beyond", "Holm", "method"]
    lines = [[*head, "false alarm if nothing changed"]]
    for family in grouped(rows):
        first = family[0]
        false = first["false_alarm"]
        lines.append(
            [
                first["family"],
                first["of"],
                str(first["members"]),
                _found(family, "verdict"),
                _found(family, "adjusted", listed=True),
                number(first["critical"], 2),
                _found(family, "holm"),
                first["method"],
                NOTHING if false is None else f"{100 * false:.0f} %",
            ]
        )
    return "\n".join(
        [
            "families: changes judged together, with the asked confidence for all of them at once",
            *aligned(lines),
            "false alarm: probability that, with no change at all, one or more would look "
            "detectable when each is judged alone",
            *_waiting(rows),
        ]
    )


def _found(family: Sequence[Row], name: str, *, listed: bool = False) -> str:
    found = [row for row in family if Verdict(row[name]).detected]
    waiting = sum(row[name] == Verdict.NEEDS_MORE_DRAWS for row in family)
    said = str(len(found)) + (f" (+{waiting} open)" if waiting else "")
    names = [member_name(row, family) for row in found]
    return f"{said}: {', '.join(names)}" if listed and 0 < len(names) <= _LISTED else said


def member_name(row: Row, family: Sequence[Row]) -> str:
    """A change by what tells it apart in its family: `2020`, `2010-2021`, `NLD`, `foreign`."""
    told = [
        row[label]
        for label in ("consumer", "stressor", "part")
        if len({other[label] for other in family}) > 1
    ]
    years = {(other["from_year"], other["to_year"]) for other in family}
    if len(years) > 1 or not told:
        next_year = row["to_year"] == row["from_year"] + 1
        told.append(str(row["to_year"]) if next_year else f"{row['from_year']}-{row['to_year']}")
    return " ".join(told)


def _waiting(rows: Sequence[Row]) -> list[str]:
    needed = {row["holm_draws"] for row in rows if row["holm"] == Verdict.NEEDS_MORE_DRAWS}
    known = [draws for draws in needed if draws is not None]
    if not known:
        return []
    return [f"open: more draws are needed; Holm by counting takes {max(known)} of each year"]
