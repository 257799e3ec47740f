"""Sections of a chapter: what topics beside the verdicts say of one consumer and stressor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.kernels.changes import DetectionRule
from engine.report.figures.canvas import Picture
from engine.report.rows import Row
from engine.report.tables import Table


@dataclass(frozen=True, slots=True)
class Illustration:
    """A figure with its message, and the rows it was drawn from by file name."""

    picture: Picture
    caption: str
    data: tuple[tuple[str, list[Row]], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A title, sentences, figures and tables, laid out in this order."""

    title: str
    sentences: tuple[str, ...] = ()
    figures: tuple[Illustration, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Matter:
    """What a section is made of.

    Attributes:
        consumer, stressor: whose footprint, and of what.
        rows: of the topic, about this consumer and stressor alone.
        rule: by which changes were judged.
        data: the data set's name, shown in every figure.
        stem: begins the names of its figures and files.
        drawn: whether it has figures; a page with very many chapters draws the first ones.
    """

    consumer: str
    stressor: str
    rows: Sequence[Row]
    rule: DetectionRule
    data: str
    stem: str
    drawn: bool


# By topic, in the order of the page.
SECTIONS: Mapping[str, Callable[[Matter], Section]] = {}


def sections(
    topics: Mapping[str, Sequence[Row]],
    consumer: str,
    stressor: str,
    rule: DetectionRule,
    data: str,
    stem: str,
    *,
    drawn: bool,
) -> tuple[Section, ...]:
    """The sections of one chapter, of the topics that say something of it."""
    found = []
    for topic, make in SECTIONS.items():
        own = [
            row
            for row in topics.get(topic, ())
            if (row["consumer"], row["stressor"]) == (consumer, stressor)
        ]
        if own:
            found.append(make(Matter(consumer, stressor, own, rule, data, stem, drawn)))
    return tuple(found)
