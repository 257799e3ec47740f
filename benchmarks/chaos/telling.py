"""What happened, a kind at a time: as a table, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.chaos.events import Trial
from benchmarks.chaos.processes import Seen


def rows(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """One row a kind, in the order of their first events."""
    kinds = list(dict.fromkeys(trial.kind for trial in trials))
    return [_row(kind, [trial for trial in trials if trial.kind == kind]) for kind in kinds]


def _row(kind: str, trials: Sequence[Trial]) -> dict[str, Any]:
    seen = Counter(_in_short(one) for trial in trials for one in trial.seen)
    return {
        "kind": kind,
        "events": len(trials),
        "missed": sum(trial.missed for trial in trials),
        "recomputed": sum(trial.recomputed for trial in trials),
        "recomputed_most": max(trial.recomputed for trial in trials),
        "seconds_median": round(median(trial.seconds for trial in trials), 2),
        "seconds_worst": round(max(trial.seconds for trial in trials), 2),
        "more_seconds_median": round(median(trial.more for trial in trials), 2),
        "lost": sum(trial.lost for trial in trials),
        "wrong": sum(trial.wrong for trial in trials),
        "faults": sum(bool(trial.faults) for trial in trials),
        "seen": dict(seen.most_common()),
    }


def _in_short(seen: Seen) -> str:
    """The command, its exit code and the gist of its error."""
    if seen.killed:
        return f"{seen.words[0]}: killed"
    error = next((line for line in seen.said.splitlines() if line.startswith("footfall: ")), "")
    return f"{seen.words[0]}: {seen.code}{_gist(error)}"


def _gist(error: str) -> str:
    """The kind of an error, without the place it names."""
    for words in (
        "is in use by",
        "works on this run",
        "the store refused",
        "was taken over by",
        "No space left on device",
        "Input/output error",
        "Permission denied",
        "the connection to the scheduler is lost",
        "no scheduler answers",
        "is damaged",
        "cannot be decoded",
        "SlowDown",
    ):
        if words in error:
            return f" {words}"
    return f" {error.removeprefix('footfall: ')[:60]}" if error else ""


_FORM = "{:<24}{:>7}{:>8}{:>12}{:>10}{:>8}{:>8}{:>7}{:>7}{:>8}"
_HEADS = (
    "kind",
    "events",
    "missed",
    "recomputed",
    "median s",
    "worst s",
    "more s",
    "lost",
    "wrong",
    "faults",
)


def table(found: Sequence[dict[str, Any]]) -> str:
    """The rows as text; what the user saw stands below each kind."""
    lines = [_FORM.format(*_HEADS)]
    for row in found:
        lines.append(
            _FORM.format(
                row["kind"],
                row["events"],
                row["missed"],
                f"{row['recomputed']} (<= {row['recomputed_most']})",
                f"{row['seconds_median']:.1f}",
                f"{row['seconds_worst']:.1f}",
                f"{row['more_seconds_median']:.1f}",
                *(row[name] for name in ("lost", "wrong", "faults")),
            )
        )
        lines += [f"    {count} x {what}" for what, count in row["seen"].items()]
    lines += [
        "",
        "missed: events that hit nothing, after several attempts",
        "recomputed: blocks that were finished when the blow fell, in all and the most of an event",
        "s: seconds from the blow until the run was complete again; more s: seconds of all its",
        "commands, from the first start, beyond those of an undisturbed run (median)",
        "faults: events after which anything else was not as it should be",
    ]
    return "\n".join(lines)


def plain(trial: Trial) -> dict[str, Any]:
    """One event, for the JSON."""
    return {
        "kind": trial.kind,
        "what": trial.what,
        "struck": trial.struck,
        "seconds": round(trial.seconds, 3),
        "more_seconds": round(trial.more, 3),
        "recomputed": trial.recomputed,
        "lost": trial.lost,
        "wrong": trial.wrong,
        "faults": trial.faults,
        "seen": [
            {"command": seen.words[0], "code": seen.code, "killed": seen.killed, "said": seen.said}
            for seen in trial.seen
        ],
    }
