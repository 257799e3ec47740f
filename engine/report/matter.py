"""What a section of a chapter is made of, and what it is made into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
        beside: rows of other topics about this consumer and stressor, by topic.
    """

    consumer: str
    stressor: str
    rows: Sequence[Row]
    rule: DetectionRule
    data: str
    stem: str
    drawn: bool
    beside: Mapping[str, Sequence[Row]] = field(default_factory=dict)
