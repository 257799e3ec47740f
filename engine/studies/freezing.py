"""The budget of a change confirmed: drawn again without the errors of its largest entries.

The budget is to first order. Here the entries with the largest shares are frozen, one after the
other: two years are drawn with all errors and with that entry's gone, from the same normals, and
what is left of sigma is compared with what the budget says. Most of the draws' scatter cancels in
the ratio of the two sigmas.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from engine import analysis, workflow
from engine.analysis.tables import Row, aligned, places
from engine.budget import OTHERS, Budget, By, Entry, Subject, frozen, places_of, sources
from engine.clusters import one_blas_thread
from engine.config import Config
from engine.draws import draw_prepared
from engine.error_model import refuse_more_draws
from engine.kernels import budget as kernel
from engine.kernels.arrays import F64
from engine.kernels.monte_carlo import Estimate, sd
from engine.plan import GROUP
from engine.prepare import Prepared
from engine.workflow.preparing import Ready

DRAWS = 1024
_FREEZABLE = (By.QUANTITY, By.REGION, By.SECTOR, By.COMPONENT)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The budget of the last yearly change beside draws without some errors.

    Attributes:
        heading: what it is about, in one line.
        rows: one for every consumer's total, stressor and frozen entry.
    """

    heading: str
    rows: tuple[Row, ...]

    def text(self) -> str:
        """A table, and how to read it."""
        header = ["consumer, stressor", "without", "draws", "sigma", "drawn", "sigma without"]
        lines = [[*header, "drawn", "ratio", "drawn"], *map(_line, self.rows)]
        years = f"{self.rows[0]['from_year']}-{self.rows[0]['to_year']}"
        title = f"What is left of sigma of the change {years} without an entry's errors"
        return "\n".join([self.heading, "", title, *aligned(lines), _NOTES])


_NOTES = """\
sigma: to first order, then as drawn, with its Monte Carlo standard error; ratio: what is left.
Draws with and without use the same normals, so that most of their scatter cancels in the ratio."""


def confirm(
    config: Config,
    entries: int,
    draws: int,
    scenario: str | None = None,
) -> Confirmed:
    """Draw the last two years with all errors, and without those of the largest entries.

    Args:
        entries: how many, of those with the largest share on average over consumers' totals.
        draws: of each; rounded up to whole groups.
        scenario: which one; the first if not given.

    Raises:
        InputError: the configuration or a table cannot be used, or there is one year only.
    """
    workflow.refuse_one_year(config)
    ready = workflow.prepared(config, scenario)
    numbers = range(-(-draws // GROUP) * GROUP)
    refuse_more_draws(ready.errors, len(numbers))
    last = replace(ready, tables=ready.tables[-2:])
    found = workflow.budget_of(last, config.sampling.seed)
    with one_blas_thread(), ThreadPoolExecutor(config.cluster.slots) as pool:
        whole = _footprints(pool, last.tables, numbers)
        rows: list[Row] = []
        for by, name in _largest(found, entries):
            tables = _without(last, by, name, config.sampling.seed)
            rows += _rows(found, by, name, whole, _footprints(pool, tables, numbers))
    order = {(s.consumer, s.stressor): place for place, s in enumerate(found.subjects)}
    rows.sort(key=lambda row: order[row["consumer"], row["stressor"]])
    return Confirmed(workflow.heading(config, ready, "first order against draws"), tuple(rows))


def _largest(found: Budget, entries: int) -> list[tuple[By, str]]:
    """The entries with the largest share of the variance, on average over all totals."""
    shares: dict[tuple[By, str], float] = {}
    for subject in found.subjects:
        for entry in subject.entries:
            if entry.by in _FREEZABLE and entry.name != OTHERS and subject.variance[0]:
                which = entry.by, entry.name
                share = abs(entry.covariance[0]) / subject.variance[0]
                shares[which] = shares.get(which, 0.0) + share
    return sorted(shares, key=lambda which: -shares[which])[:entries]


def _without(ready: Ready, by: By, name: str, seed: int) -> tuple[Prepared, ...]:
    places = places_of(ready.tables[0], ready.labels, ready.errors)
    known = sources(ready.errors, seed)
    return tuple(frozen(table, by, name, places, known) for table in ready.tables)


def _footprints(pool: ThreadPoolExecutor, tables: Sequence[Prepared], numbers: range) -> F64:
    """Of the totals in both years, (2,draws,q,c), NaN where a draw was not accepted."""
    groups = [numbers[first : first + GROUP] for first in range(0, len(numbers), GROUP)]

    def totals(task: tuple[Prepared, range]) -> F64:
        table, group = task
        footprint: F64 = draw_prepared(table, group).footprint[..., 0]
        return footprint

    drawn = list(pool.map(totals, [(table, group) for table in tables for group in groups]))
    return np.stack([np.concatenate(drawn[: len(groups)]), np.concatenate(drawn[len(groups) :])])


def _rows(found: Budget, by: By, name: str, whole: F64, left: F64) -> Iterator[Row]:
    stressors = list(dict.fromkeys(subject.stressor for subject in found.subjects))
    consumers = list(dict.fromkeys(subject.consumer for subject in found.subjects))
    for subject in found.subjects:
        entry = next((e for e in subject.entries if (e.by, e.name) == (by, name)), None)
        if entry is None or not entry.own or not subject.variance[0]:
            continue
        q, c = stressors.index(subject.stressor), consumers.index(subject.consumer)
        deltas = _deltas(whole[..., q, c], left[..., q, c], log=subject.logarithmic[0])
        yield _row(found, subject, entry, *deltas)


def _deltas(whole: F64, left: F64, *, log: bool) -> tuple[F64, F64]:
    """The change with all errors and without some, of the draws accepted throughout."""
    accepted = np.isfinite(whole).all(axis=0) & np.isfinite(left).all(axis=0)
    both = [years[:, accepted] for years in (whole, left)]
    if log:
        with np.errstate(invalid="ignore", divide="ignore"):
            both = [np.log(years) for years in both]
    return both[0][1] - both[0][0], both[1][1] - both[1][0]


def _row(found: Budget, subject: Subject, entry: Entry, whole: F64, left: F64) -> Row:
    V = np.asarray(subject.variance[0])
    after = kernel.frozen(V, np.asarray(entry.own[0]), np.asarray(entry.covariance[0]))
    ((first, second),) = found.pairs
    return {
        "stressor": subject.stressor,
        "unit": subject.unit,
        "consumer": subject.consumer,
        "part": "total",
        "from_year": first,
        "to_year": second,
        "by": str(entry.by),
        "entry": entry.name,
        "scale": "log" if subject.logarithmic[0] else "raw",
        "draws": len(whole),
        "sigma": float(np.sqrt(V)),
        **_drawn("sigma_drawn", sd(whole)),
        "sigma_without": float(np.sqrt(after)),
        **_drawn("sigma_without_drawn", sd(left)),
        "ratio": float(np.sqrt(after / V)),
        **_drawn("ratio_drawn", kernel.ratio_of_sds(whole, left)),
    }


def _drawn(name: str, estimate: Estimate) -> Row:
    values = {name: float(estimate.value), f"{name}_mcse": float(estimate.mcse)}
    return {key: value if np.isfinite(value) else None for key, value in values.items()}


def _line(row: Row) -> list[str]:
    scale, unit = (100.0, " %") if row["scale"] == "log" else (1.0, f" {row['unit']}".rstrip())

    def shown(name: str, times: float = scale, end: str = unit) -> list[str]:
        value, error = row[f"{name}_drawn"], row[f"{name}_drawn_mcse"]
        digits = 1 if not error else max(0, places(times * error) - 1)
        predicted = f"{times * row[name]:.{digits}f}{end}"
        if value is None or error is None:
            return [predicted, "-"]
        return [predicted, f"{times * value:.{digits}f} ({times * error:.{digits}f}){end}"]

    return [
        f"{row['consumer']}, {row['stressor']}",
        f"{row['by']} {row['entry']}",
        str(row["draws"]),
        *shown("sigma"),
        *shown("sigma_without"),
        *shown("ratio", 1.0, ""),
    ]


def rows_as(confirmed: Confirmed, form: str) -> str:
    """As text, CSV or JSON."""
    match form:
        case "csv":
            return analysis.to_csv(confirmed.rows)
        case "json":
            return analysis.to_json({"confirmed": confirmed.rows})
        case _:
            return confirmed.text()
