"""The assumptions of the page: its own error model, how sure, and what other scenarios change."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engine.report.naming import Names
from engine.report.subject import Assumption, Other, Subject

_SAME = "as here"


@dataclass(frozen=True, slots=True)
class Stated:
    """One line: what is uncertain, by how much, and how sure that is.

    Attributes:
        source: the number of its source in the list of sources; 0 where it has none.
    """

    quantity: str
    size: str
    correlation: str
    sure: str
    source: int


@dataclass(frozen=True, slots=True)
class Around:
    """Another scenario: the lines in which it differs, and where its page is, if it is written."""

    code: str
    name: str
    lines: tuple[Stated, ...]
    page: str


@dataclass(frozen=True, slots=True)
class Assumed:
    """What the section lays out; `sources` are numbered from one."""

    own: tuple[Stated, ...]
    others: tuple[Around, ...]
    sources: tuple[str, ...]


def assumed(subject: Subject, names: Names) -> Assumed:
    """The error model of the page's scenario, and what differs in the others."""
    every = [*subject.assumptions, *(a for other in subject.other_scenarios for a in other.model)]
    sources = tuple(dict.fromkeys(a.source for a in every if a.source))
    numbers = {source: i for i, source in enumerate(sources, start=1)}

    def stated(a: Assumption, against: Assumption | None = None) -> Stated:
        size, correlation = a.size, a.correlation
        if against is not None:
            size = _SAME if size == against.size else size
            correlation = _unlike(correlation, against.correlation)
        return Stated(a.quantity, size, correlation, how_sure(a.source), numbers.get(a.source, 0))

    others = []
    for other in subject.other_scenarios:
        lines = [stated(theirs, mine) for theirs, mine in _differing(other, subject.assumptions)]
        lines += [
            Stated(quantity, "not in this scenario", "", "", 0)
            for quantity in _missing(other, subject.assumptions)
        ]
        name = names.scenario(other.name)
        others.append(Around(other.name, name, tuple(lines), other.page))
    return Assumed(tuple(map(stated, subject.assumptions)), tuple(others), sources)


def _unlike(text: str, here: str) -> str:
    """Of what is listed with semicolons only that which does not stand here too."""
    own = [part for part in text.split("; ") if part not in here.split("; ")]
    return "; ".join(own) if own else _SAME


def _numbered(model: Sequence[Assumption]) -> dict[tuple[str, int], Assumption]:
    """Entries by quantity, and which of several about the same one."""
    met: Counter[str] = Counter()
    found = {}
    for entry in model:
        found[entry.quantity, met[entry.quantity]] = entry
        met[entry.quantity] += 1
    return found


def _differing(
    other: Other, own: Sequence[Assumption]
) -> list[tuple[Assumption, Assumption | None]]:
    here = _numbered(own)
    return [
        (entry, here.get(key))
        for key, entry in _numbered(other.model).items()
        if entry != here.get(key)
    ]


def _missing(other: Other, own: Sequence[Assumption]) -> list[str]:
    """What is stated here and not there; nothing where the other's error model is not known."""
    if not other.model:
        return []
    there = _numbered(other.model)
    return [key[0] for key in _numbered(own) if key not in there]


def how_sure(source: str) -> str:
    """What a source says of itself: whether its citation was verified, and what was assumed.

    >>> how_sure("ESSD 16:2669; verified against the abstract")
    'citation verified'
    >>> how_sure("Lenzen 2010; RECALLED, NOT VERIFIED; 0.6 GBP per USD: assumption")
    'recalled, not verified; assumption'
    >>> how_sure("assumption"), how_sure("national statistics")
    ('assumption', 'as cited, not checked here')
    """
    said = source.lower()
    unsure = r"not (yet )?verified|not (yet )?checked|unverified"
    found = []
    if "recalled" in said:
        found.append("recalled, not verified")
    elif re.search(unsure, said):
        found.append("not verified")
    elif "verified" in said:
        found.append("citation verified")
    if "assum" in said:
        found.append("assumption")
    if not found:
        found.append("no error stated" if "no entry" in said else "as cited, not checked here")
    return "; ".join(found)
