"""Verdicts over the scenarios of a run, and what they come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from engine.analysis.tables import LABELS, Row, aligned, consecutive_then_whole
from engine.kernels.changes import Verdict
from engine.kernels.conclusions import Conclusion, conclusion

_SHOWN = (
    "scale",
    "draws",
    "relative_change",
    "reference_change",
    "sigma",
    "sigma_mcse",
    "p_decrease",
    "p_decrease_mcse",
    "rho",
    "rho_mcse",
    "mdc",
    "mdc_mcse",
)
_NAMED = 4  # changes listed by their years in a text


def scenario_table(scenarios: Mapping[str, Sequence[Row] | None]) -> list[Row]:
    """One row for every change and scenario, each with the conclusion over all of them.

    Args:
        scenarios: by name, the rows of `verdict_table`, of the same changes; None where the
            scenario is not drawn completely: its verdicts need more draws, and have no numbers.
    """
    drawn = {name: rows for name, rows in scenarios.items() if rows is not None}
    by_change: dict[tuple[str, ...], dict[str, Row]] = {}
    for name, rows in drawn.items():
        for row in rows:
            by_change.setdefault(tuple(row[label] for label in LABELS), {})[name] = row
    waiting = Verdict.NEEDS_MORE_DRAWS.value
    found = []
    for change, told in by_change.items():
        verdicts = {
            name: str(told[name]["verdict"]) if name in told else waiting for name in scenarios
        }
        reached = conclusion(verdicts.values())
        for name, verdict in verdicts.items():
            numbers = told.get(name, {})
            found.append(
                dict(zip(LABELS, change, strict=True))
                | {"scenario": name, "verdict": verdict, "conclusion": reached.value}
                | {column: numbers.get(column) for column in _SHOWN}
                | {"scenarios": len(verdicts), "meaning": reached.meaning}
            )
    return found


def scenario_text(rows: Sequence[Row]) -> str:
    """One line a consumer and stressor: the conclusion over the whole span and over each step."""
    names = list(dict.fromkeys(row["scenario"] for row in rows))
    subjects: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["part"] == "total" and row["scenario"] == names[0]:
            subjects.setdefault((row["consumer"], row["stressor"]), []).append(row)
    lines = [["consumer", "stressor", "whole span", "conclusion", "successive changes"]]
    for (consumer, stressor), own in subjects.items():
        *steps, whole = consecutive_then_whole(own)
        span = f"{whole['from_year']}-{whole['to_year']}"
        told = _counted(steps) if steps else "-"
        lines.append([consumer, stressor, span, whole["conclusion"], told])
    met = [kind for kind in Conclusion if kind in {row["conclusion"] for row in rows}]
    return "\n".join(
        [
            f"verdicts over {len(names)} scenarios: {', '.join(names)}",
            *aligned(lines),
            *(f"{kind}: {kind.meaning}" for kind in met),
        ]
    )


def _counted(rows: Sequence[Row]) -> str:
    """`2 robust (2012, 2020), 9 robustly not`."""
    counts = Counter(row["conclusion"] for row in rows)
    said = []
    for kind in Conclusion:
        own = [str(row["to_year"]) for row in rows if row["conclusion"] == kind]
        listed = kind is not Conclusion.ROBUSTLY_NOT and 0 < len(own) <= _NAMED
        if own:
            said.append(f"{counts[kind]} {kind}" + (f" ({', '.join(own)})" if listed else ""))
    return ", ".join(said)
