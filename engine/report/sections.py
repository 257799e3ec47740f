"""Sections of a chapter: what topics beside the verdicts say of one consumer and stressor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from engine.kernels.changes import DetectionRule
from engine.report.acceptance import acceptance_section
from engine.report.budget import budget_section
from engine.report.correlation import correlation_section
from engine.report.databases import databases_section
from engine.report.decoupling import decoupling_section
from engine.report.equivalence import equivalence_section
from engine.report.families import families_section
from engine.report.matter import Matter, Section
from engine.report.naming import CODES, Names
from engine.report.numbers import NBSP, two_digits
from engine.report.offset import offset_section
from engine.report.rebalancing import rebalancing_section
from engine.report.rows import Row
from engine.report.scenarios import scenarios_section
from engine.report.targets import target_section
from engine.report.trend import trend_section
from engine.report.years import years_section

_PROBABILITIES = (
    "p_decrease", "p_offset", "p_absolute", "p_larger", "p_conforms", "p_accepted", "false_alarm",
)  # fmt: skip

# By topic, in the order of the page.
SECTIONS: Mapping[str, Callable[[Matter], Section]] = {
    "scenarios": scenarios_section,
    "correlation": correlation_section,
    "families": families_section,
    "equivalence": equivalence_section,
    "trend": trend_section,
    "years_to_detect": years_section,
    "budget": budget_section,
    "target": target_section,
    "acceptance": acceptance_section,
    "offset": offset_section,
    "decoupling": decoupling_section,
    "databases": databases_section,
    "rebalancing": rebalancing_section,
}


def sections(
    topics: Mapping[str, Sequence[Row]],
    consumer: str,
    stressor: str,
    rule: DetectionRule,
    data: str,
    stem: str,
    *,
    drawn: bool,
    names: Names = CODES,
) -> tuple[Section, ...]:
    """The sections of one chapter, of the topics that say something of it."""
    told = {topic: about(topics.get(topic, ()), consumer, stressor) for topic in SECTIONS}
    made = (
        (make(Matter(consumer, stressor, own, rule, data, stem, drawn, names, told)), own)
        for topic, make in SECTIONS.items()
        if (own := told[topic])
    )
    return tuple(_with_rejected(section, own) for section, own in made)


def _with_rejected(section: Section, rows: Sequence[Row]) -> Section:
    said = _rejected(rows)
    if not said:
        return section
    return replace(
        section,
        sentences=(*section.sentences, *said),
        notes=(
            *section.notes,
            "Whatever rejected draws would have shown, a probability p lies between a p and "
            "a p + 1 − a, a the share of draws accepted; the files give both ends.",
        ),
    )


def _rejected(rows: Sequence[Row]) -> list[str]:
    """What draws that were rejected leave open of the probabilities that a section tells."""
    if not any(f"{name}_low" in rows[0] for name in _PROBABILITIES):
        return []
    least = min((row["acceptance"] for row in rows if row["acceptance"] is not None), default=1.0)
    if least == 1:
        return []
    return [f"Of the draws up to {two_digits(100 * (1 - least))}{NBSP}% were rejected."]


def about(rows: Sequence[Row], consumer: str, stressor: str) -> list[Row]:
    """The rows about one consumer and stressor."""
    return [row for row in rows if (row["consumer"], row["stressor"]) == (consumer, stressor)]
