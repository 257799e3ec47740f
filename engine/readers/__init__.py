"""A publisher's files -> MRIO. One module a database; a source says which, and where its files are.

arrays          npz files described by a manifest
exiobase        EXIOBASE 3
figaro          Eurostat's tables and emission accounts
pymrio_tables   the test table that pymrio carries
toy             analytic worlds, computed rather than read
wiod            WIOD, releases 2013 and 2016, with their emission accounts
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from engine.errors import TableError
from engine.mrio import MRIO, Labels
from engine.readers import arrays, exiobase, figaro, pymrio_tables, toy, wiod
from engine.readers.arrays import Arrays
from engine.readers.exiobase import Exiobase3
from engine.readers.fetched import addressed
from engine.readers.figaro import Figaro
from engine.readers.pymrio_tables import Pymrio
from engine.readers.toy import Toy
from engine.readers.wiod import Wiod

__all__ = [
    "Arrays",
    "Exiobase3",
    "Figaro",
    "Pymrio",
    "Source",
    "Toy",
    "Wiod",
    "read",
    "refuse_mixed",
    "years",
]

Source = Arrays | Exiobase3 | Figaro | Pymrio | Toy | Wiod


def read(source: Source, year: int) -> MRIO:
    """The table of one year.

    Raises:
        InputError: the files are missing, damaged, or not what the source says.
    """
    with addressed():
        match source:
            case Arrays():
                return arrays.read(source, year)
            case Exiobase3():
                return exiobase.read(source, year)
            case Figaro():
                return figaro.read(source, year)
            case Pymrio():
                return pymrio_tables.read(source, year)
            case Toy():
                return toy.read(source, year)
            case Wiod():
                return wiod.read(source, year)


def years(source: Source) -> tuple[int, ...]:
    """The years there are tables of, ascending.

    Raises:
        InputError: there are none, or the source is wrong.
    """
    with addressed():
        match source:
            case Arrays():
                return arrays.years(source)
            case Exiobase3():
                return exiobase.years(source)
            case Figaro():
                return figaro.years(source)
            case Pymrio():
                return pymrio_tables.years(source)
            case Toy():
                return toy.years(source)
            case Wiod():
                return wiod.years(source)


def refuse_mixed(first: int, labels: Labels, second: int, others: Labels) -> None:
    """Refuse two years whose labels differ: a change between them would be one of name or unit.

    Raises:
        TableError: currency, regions, industries, stressors or units differ, or are in another
            order; the first difference is named.
    """
    for kind, names in _KINDS.items():
        for place, (one, other) in enumerate(zip_longest(names(labels), names(others))):
            if one != other:
                raise TableError(
                    f"{kind} {place + 1} is {_spell(one)} in {first} and {_spell(other)} "
                    f"in {second}",
                    where=f"years {first} and {second}",
                    remedy="use years of one release, in one unit, classification and order",
                )


_KINDS: dict[str, Callable[[Labels], Sequence[object]]] = {
    "currency": lambda labels: [labels.currency],
    "region": lambda labels: labels.regions,
    "industry": lambda labels: labels.industries,
    "stressor": lambda labels: labels.stressors,
    "unit of stressor": lambda labels: labels.stressor_units,
}


def _spell(label: object) -> str:
    if label is None:
        return "absent"
    return repr(" ".join(label) if isinstance(label, tuple) else label)
