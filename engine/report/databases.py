"""What do other databases say? The section of one consumer and stressor."""

from __future__ import annotations

from engine.report.matter import Matter, Section
from engine.report.numbers import EN_DASH, NBSP, two_digits
from engine.report.rows import Row


def databases_section(matter: Matter) -> Section:
    """How far databases are apart, and whether the error model allows for as much."""
    (row,) = matter.rows
    return Section("What do other databases say?", (_spread(row), _against(row)))


def _percent(log_points: float) -> str:
    return f"{two_digits(100 * log_points)}{NBSP}%"


def _spread(row: Row) -> str:
    low, high = (two_digits(100 * row[f"between_sigma_{end}"]) for end in ("low", "high"))
    return (
        f"The yearly changes of {row['databases']} databases, "
        f"{row['first_year']}{EN_DASH}{row['last_year']}, differ with a standard deviation of "
        f"{_percent(row['between_sigma'])} about their mean (95{NBSP}% interval {low} to "
        f"{high}{NBSP}%; source: {row['source']}). Databases share sources, so that this is a "
        "lower bound of what is unknown."
    )


def _against(row: Row) -> str:
    model = (
        "The error model of this page leaves a yearly change a standard uncertainty of "
        f"{_percent(row['model_sigma'])}"
    )
    if not row["model_smaller"]:
        return f"{model}, which is not less."
    sure = "below even the interval's lower end" if row["beyond_doubt"] else "which is less"
    return (
        f"Warning: {model[0].lower()}{model[1:]}, {sure}: its intervals are too narrow, or the "
        "databases measure different things."
    )
