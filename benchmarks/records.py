"""What was measured: one flat list of records, kept as JSON and shown as Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.timing import Spread, Timed, ratios


@dataclass(frozen=True, slots=True)
class Record:
    """One measured quantity.

    Attributes:
        suite, case: where it belongs, such as "naive" and "synthetic, n = 2944, first bar".
        name: what was measured.
        value: in `unit`.
        ratio: how many times faster than the case's base, round by round.
        facts: what else is to be known: errors, sizes, versions.
    """

    suite: str
    case: str
    name: str
    value: Spread
    unit: str
    ratio: Spread | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not measured, and why."""

    suite: str
    case: str
    name: str
    reason: str


Result = Record | Skipped


def compared(
    suite: str,
    case: str,
    timed: Mapping[str, Timed],
    base: str,
    unit: str,
    facts: Mapping[str, Mapping[str, Any]],
) -> Iterator[Record]:
    """A record of every contender, the base first, the others with their ratio to it."""
    against = ratios(timed, base)
    for name in sorted(timed, key=lambda name: name != base):
        ratio = None if name == base else against[name]
        yield Record(suite, case, name, timed[name].spread, unit, ratio, facts.get(name, {}))


@dataclass(frozen=True, slots=True)
class Report:
    """Everything of one run of the suite."""

    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    results: tuple[Result, ...]

    def records(self, suite: str) -> list[Record]:
        """The records of one suite."""
        return [one for one in self.results if isinstance(one, Record) and one.suite == suite]


def write_json(report: Report, path: Path) -> None:
    """Everything, as plain JSON; what is not a finite number is null."""
    content = {
        "schema": 1,
        "machine": report.machine,
        "settings": report.settings,
        "records": [asdict(one) for one in report.results if isinstance(one, Record)],
        "skipped": [asdict(one) for one in report.results if isinstance(one, Skipped)],
    }
    path.write_text(json.dumps(_plain(content), indent=1, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(own) for own in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_markdown(report: Report, path: Path, figures: Iterable[Path]) -> None:
    """The same for people: the machine, a table a case, and the figures."""
    lines = ["# Benchmarks", ""]
    lines += [f"- {key}: {_said(value)}" for key, value in report.machine.items()]
    lines += [f"- {key}: {_said(value)}" for key, value in report.settings.items()]
    lines += [
        "",
        "Medians of interleaved rounds, the smallest and largest in brackets. A ratio is taken "
        "round by round: how many times faster than the first line of its table.",
    ]
    for suite, of_suite in groupby(report.results, key=lambda one: one.suite):
        lines += ["", f"## {suite}"]
        for case, of_case in groupby(of_suite, key=lambda one: one.case):
            lines += ["", f"### {case}", "", *_table(list(of_case))]
    lines += ["", *(f"![{figure.stem}]({figure.name})" for figure in figures)]
    path.write_text("\n".join(lines) + "\n")


def _table(results: Sequence[Result]) -> list[str]:
    records = [one for one in results if isinstance(one, Record)]
    skipped = [one for one in results if isinstance(one, Skipped)]
    lines = []
    if records:
        compared = any(one.ratio for one in records)
        heads = ["what", "median", *(["ratio"] if compared else []), "facts"]
        lines += [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
        for one in records:
            ratio = [_ratio(one.ratio)] if compared else []
            facts = "; ".join(f"{key} {_said(value)}" for key, value in one.facts.items())
            lines.append(
                f"| {' | '.join([one.name, amount(one.value, one.unit), *ratio, facts])} |"
            )
    if records and skipped:
        lines.append("")
    return [*lines, *(f"- {one.name}: not measured: {one.reason}" for one in skipped)]


def _ratio(ratio: Spread | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio.median:.3g} [{ratio.low:.3g}, {ratio.high:.3g}]"


def amount(value: Spread, unit: str) -> str:
    """A spread in a readable multiple of its unit."""
    known = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))
    fitting = [one for one in known if abs(value.median) >= one[0]]
    scale, prefix = fitting[0] if fitting else known[-1]
    if unit.startswith("of "):  # a share has no multiples
        scale, prefix = 1.0, ""
    if unit.startswith("s") and scale > 1:  # kiloseconds help nobody
        scale, prefix = 1.0, ""
    low, high = value.low / scale, value.high / scale
    return f"{value.median / scale:.3g} [{low:.3g}, {high:.3g}] {prefix}{unit}"


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(own)}" for key, own in value.items())
    return ", ".join(map(_said, value)) if isinstance(value, list | tuple) else str(value)
