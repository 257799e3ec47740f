"""Whether no change was larger than some size: `engine.kernels.equivalence` with labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import xarray as xr

from engine.analysis.beside import beside_verdicts
from engine.analysis.tables import (
    LABELS,
    NOTHING,
    Row,
    aligned,
    consecutive_then_whole,
    number,
    places,
    plain,
)
from engine.kernels.changes import DetectionRule
from engine.kernels.equivalence import Equivalence, equivalence

_KNOWN = (
    "draws",
    "acceptance",
    "scale",
    "relative_change",
    "relative_low",
    "relative_low_mcse",
    "relative_high",
    "relative_high_mcse",
)


def equivalence_table(
    ensemble: xr.Dataset,
    changes: xr.Dataset,
    rule: DetectionRule,
    percents: tuple[float, ...],
) -> list[Row]:
    """One row for every change and size: whether no change was larger, and the smallest such size.

    `equivalence` is an `Equivalence`, `said` the same in words; `verdict` is the one on the
    change itself.

    Args:
        changes: `engine.analysis.changes` of the pairs to tell of, judged by `rule`.
        percents: sizes of change.
    """
    statistics = partial(equivalence, rule=rule, percents=percents)
    rows: list[Row] = []
    for change, found, cell in beside_verdicts(ensemble, changes, statistics):
        for g, percent in enumerate(percents):
            said = Equivalence(found["equivalence"][g][cell])
            row = {label: change[label] for label in LABELS}
            row |= {"percent": percent, "equivalence": said.value}
            row |= {"said": said.in_words(percent)}
            for name in ("p_larger", "p_larger_low", "p_larger_high"):
                for each in (name, f"{name}_mcse"):
                    row[each] = plain(found[each][g][cell])
            for name in ("smallest_percent", "smallest_percent_mcse"):
                row[name] = plain(found[name][cell])
            row |= {name: change[name] for name in _KNOWN}
            rows.append(row | {"verdict": change["verdict"], "confidence": rule.confidence})
    return rows


def equivalence_at_last_look(rows: Sequence[Row]) -> list[Row]:
    """What needs more draws when none will be made is borderline, treated as not shown."""
    waits, near = Equivalence.NEEDS_MORE_DRAWS.value, Equivalence.BORDERLINE.value
    return [
        row | {"equivalence": near, "said": near} if row["equivalence"] == waits else row
        for row in rows
    ]


def equivalence_text(rows: Sequence[Row]) -> str:
    """One line a consumer, stressor and size, over successive years and the whole span."""
    subjects: dict[tuple[str, str, float], list[Row]] = {}
    for row in rows:
        if row["part"] == "total":
            key = row["consumer"], row["stressor"], row["percent"]
            subjects.setdefault(key, []).append(row)
    head = ["consumer", "stressor", "no change larger than", "successive changes: shown for"]
    lines = [[*head, "smallest that holds", "whole span", "smallest that holds"]]
    for (consumer, stressor, percent), own in subjects.items():
        *steps, whole = consecutive_then_whole(own)
        shown = [str(row["to_year"]) for row in steps if row["equivalence"] == Equivalence.SHOWN]
        many = f"{len(shown)} of {len(steps)}" if steps else NOTHING
        lines.append(
            [
                consumer,
                stressor,
                f"{percent:g} %",
                many + (f" ({', '.join(shown)})" if 0 < len(shown) <= 4 else ""),
                _smallest(steps),
                f"{whole['from_year']}-{whole['to_year']}: {whole['equivalence']}",
                _smallest([whole]),
            ]
        )
    half = (1 - rows[0]["confidence"]) / 2
    return "\n".join(
        [
            "was any change larger than that? (not to detect a change does not show that there "
            "was none)",
            *aligned(lines),
            f"shown when the probability of a fall beyond it, and that of a rise, are both below "
            f"{100 * half:.4g} %, among the draws and their reflections at the estimate, with "
            "rejected draws counted against",
        ]
    )


def _smallest(rows: Sequence[Row]) -> str:
    known = [row["smallest_percent"] for row in rows if row["smallest_percent"] is not None]
    if not known:
        return NOTHING
    low, high = (number(value, places(value)) for value in (min(known), max(known)))
    return f"{low} %" if low == high else f"{low} to {high} %"
