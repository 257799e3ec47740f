"""What a section of a chapter is made of, and what it is made into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.kernels.changes import DetectionRule
from engine.report.figures.canvas import Picture
from engine.report.naming import Names
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
    """A title, sentences, figures and tables, laid out in this order.

    Attributes:
        folded: what is under a `summary`, open on demand: figures, tables and paragraphs.
        summary: what is folded, in a few words.
        conclusions: the words met for what several assumptions come to.
        notes: how to read it, in words that hold for every chapter: told once for the page.
    """

    title: str
    sentences: tuple[str, ...] = ()
    figures: tuple[Illustration, ...] = ()
    tables: tuple[Table, ...] = ()
    folded: tuple[Illustration | Table | str, ...] = ()
    summary: str = ""
    notes: tuple[str, ...] = ()
    conclusions: frozenset[str] = frozenset()

    @property
    def illustrations(self) -> tuple[Illustration, ...]:
        """Its figures, folded ones included."""
        return (*self.figures, *(it for it in self.folded if isinstance(it, Illustration)))


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
        names: what codes are called.
        beside: rows of other topics about this consumer and stressor, by topic.
    """

    consumer: str
    stressor: str
    rows: Sequence[Row]
    rule: DetectionRule
    data: str
    stem: str
    drawn: bool
    names: Names = field(default_factory=Names)
    beside: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    @property
    def whose(self) -> str:
        """The consumer's name."""
        return self.names.of(self.consumer)

    @property
    def within(self) -> str:
        """The same within a sentence: `the Netherlands`."""
        return self.names.within(self.consumer)

    @property
    def subject(self) -> str:
        """`Netherlands, CO2`."""
        return f"{self.whose}, {self.names.of(self.stressor)}"
