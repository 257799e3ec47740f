"""A publisher's files -> MRIO. One module a database; a source says which, and where its files are.

arrays          npz files described by a manifest
eora            Eora26
exiobase        EXIOBASE 3
figaro          Eurostat's tables and emission accounts
gloria          GLORIA, folded while it is read
icio            OECD's tables and emission accounts
pymrio_tables   the test table that pymrio carries
toy             analytic worlds, computed rather than read
wiod            WIOD, releases 2013 and 2016, with their emission accounts
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest

from engine.errors import TableError
from engine.mrio import MRIO, Labels
from engine.readers import (
    arrays,
    eora,
    exiobase,
    figaro,
    gloria,
    icio,
    pymrio_tables,
    toy,
    wiod,
)
from engine.readers.aggregation import Aggregation, aggregated
from engine.readers.arrays import Arrays
from engine.readers.eora import Eora26
from engine.readers.exiobase import Exiobase3
from engine.readers.fetched import addressed
from engine.readers.figaro import Figaro
from engine.readers.gloria import Gloria
from engine.readers.icio import Icio
from engine.readers.official import (
    TRAPS_OF_EORA26,
    TRAPS_OF_EXIOBASE3,
    TRAPS_OF_GLORIA,
    TRAPS_OF_ICIO,
    TRAPS_OF_WIOD,
    Official,
    added_up,
    rests,
)
from engine.readers.pymrio_tables import Pymrio
from engine.readers.toy import Toy
from engine.readers.wiod import Wiod

__all__ = [
    "Aggregated",
    "Aggregation",
    "Arrays",
    "Eora26",
    "Exiobase3",
    "Figaro",
    "Gloria",
    "Icio",
    "Official",
    "Pymrio",
    "Source",
    "Toy",
    "Unfolded",
    "Wiod",
    "aggregated",
    "full",
    "official",
    "read",
    "refuse_mixed",
    "rests",
    "traps",
    "years",
]

Unfolded = Arrays | Eora26 | Exiobase3 | Figaro | Gloria | Icio | Pymrio | Toy | Wiod


@dataclass(frozen=True, slots=True)
class Aggregated:
    """Tables that are folded by maps once they are read.

    Attributes:
        published: where the full tables are.
        by: the maps.
    """

    published: Unfolded
    by: Aggregation


Source = Unfolded | Aggregated


def read(source: Source, year: int) -> MRIO:
    """The table of one year.

    Raises:
        InputError: the files are missing, damaged, or not what the source says.
    """
    with addressed(), _placed(source, year):
        match source:
            case Aggregated(Gloria() as published, by):
                return gloria.read(published, year, by)
            case Aggregated():
                return aggregated(read(source.published, year), source.by)
            case Arrays():
                return arrays.read(source, year)
            case Eora26():
                return eora.read(source, year)
            case Exiobase3():
                return exiobase.read(source, year)
            case Figaro():
                return figaro.read(source, year)
            case Gloria():
                return gloria.read(source, year)
            case Icio():
                return icio.read(source, year)
            case Pymrio():
                return pymrio_tables.read(source, year)
            case Toy():
                return toy.read(source, year)
            case Wiod():
                return wiod.read(source, year)


@contextmanager
def _placed(source: Source, year: int) -> Iterator[None]:
    """Errors that name no place are about the whole table."""
    try:
        yield
    except TableError as error:
        if error.where:
            raise
        found = source.published if isinstance(source, Aggregated) else source
        place = getattr(found, "path", getattr(found, "root", "the table"))
        where = f"{place}, year {year}"
        raise TableError(error.what, where=where, remedy=error.remedy) from error


def full(source: Aggregated, year: int) -> MRIO | None:
    """The table of one year before it is folded; None where its reader folds while it reads.

    Raises:
        InputError: as of `read`.
    """
    return None if isinstance(source.published, Gloria) else read(source.published, year)


def years(source: Source) -> tuple[int, ...]:
    """The years there are tables of, ascending.

    Raises:
        InputError: there are none, or the source is wrong.
    """
    with addressed():
        match source:
            case Aggregated():
                return years(source.published)
            case Arrays():
                return arrays.years(source)
            case Eora26():
                return eora.years(source)
            case Exiobase3():
                return exiobase.years(source)
            case Figaro():
                return figaro.years(source)
            case Gloria():
                return gloria.years(source)
            case Icio():
                return icio.years(source)
            case Pymrio():
                return pymrio_tables.years(source)
            case Toy():
                return toy.years(source)
            case Wiod():
                return wiod.years(source)


def official(source: Source, year: int, labels: Labels) -> tuple[Official, ...]:
    """The footprints that were published with a year's table, where the files hold any.

    Args:
        labels: of the table as published; what is published for it is added up where it is folded.

    Raises:
        InputError: the files are missing or damaged.
    """
    with addressed():
        match source:
            case Aggregated():
                return added_up(official(source.published, year, labels), source.by, labels)
            case Figaro():
                return figaro.official(source, year, labels)
            case _:
                return ()


def traps(source: Source) -> tuple[str, ...]:
    """What to beware of in the tables of a publisher, one sentence each."""
    match source:
        case Aggregated():
            return traps(source.published)
        case Eora26():
            return TRAPS_OF_EORA26
        case Exiobase3():
            return TRAPS_OF_EXIOBASE3
        case Figaro():
            return figaro.traps(source)
        case Gloria():
            return TRAPS_OF_GLORIA
        case Icio():
            return TRAPS_OF_ICIO
        case Wiod():
            return TRAPS_OF_WIOD
        case Arrays() | Pymrio() | Toy():
            return ()


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
