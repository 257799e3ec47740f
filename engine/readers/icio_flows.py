"""The monetary part of a table of OECD's ICIO, from a matrix with names, read batch by batch."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.readers import labelled
from engine.readers.folding import Columns, add_rows
from engine.readers.labelled import Layout
from engine.readers.nearest import nearest

FINAL_USES = (
    "HFCE", "NPISH", "NPS", "GGFC", "GFCF", "INVNT", "INV", "DIRP", "DPABR", "P33", "FD",
)  # fmt: skip
DISCREPANCY = "DISC"  # of the edition of 2016: final demand of no area
TOTALS = ("OUT", "TOTAL", "OUTPUT")
_ADDED = ("VA", "VALU", "TLS", "VA+TAXSUB", "TAXSUB")
_WHOLE = {"CN": "CHN", "MX": "MEX"}
_PART = re.compile(r"(CN|MX)\d")
AGAIN = "download the table again, and give it its own name"


@dataclass(frozen=True, slots=True)
class Flows:
    """A table's monetary part, in million USD.

    Attributes:
        areas: r consumers; the last may be the discrepancy of the edition of 2016.
        industries: n (area, industry) pairs.
        codes: for each of them the industry's code, which several may have in a split area.
        Z: (n,n); rows deliver, columns use.
        Y: final demand by area, all uses summed, (n,r).
        output: as published, (n,).
        notes: what must be said of them.
    """

    areas: tuple[str, ...]
    industries: tuple[tuple[str, str], ...]
    codes: tuple[str, ...]
    Z: F64
    Y: F64
    output: F64
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Sides:
    """Where everything of a table is, by its names.

    Attributes:
        industries: as named in the file: (area, code), in the order of the columns.
        uses: the area and the use of each column of final demand, by its name.
        columns: the place of each name among the columns.
    """

    industries: tuple[tuple[str, str], ...]
    uses: Mapping[str, tuple[str, str]]
    columns: Mapping[str, int]


def read(path: Path, member: str, *, keep_split: bool) -> Flows:
    """All of a table.

    Args:
        path: the file or archive.
        member: of the archive, if it holds several tables.
        keep_split: whether industries of CN1, MX1, ... stay apart from those of CHN and MEX.

    Raises:
        TableError: an area lacks an industry or a use; a name is there twice, or none of ICIO's;
            China or Mexico is there as a whole and in parts.
    """
    layout = Layout(blanks=True)  # total rows are blank where they mean nothing
    names = [name.strip() for (name,) in labelled.columns(path, layout, member=member)]
    sides = _sides(names)
    areas = _areas(sides)
    kept = _kept(sides.industries, areas, keep_split)
    industries = tuple(dict.fromkeys(kept.values()))
    place = {name: at for at, name in enumerate(industries)}
    to = [place[kept[name]] for name in sides.industries]
    n = len(industries)
    inputs = Columns([sides.columns["_".join(name)] for name in sides.industries], to, n)
    area_at = {area: at for at, area in enumerate(areas)}
    finals = Columns(
        [sides.columns[name] for name in sides.uses],
        [area_at[_whole(area, areas)] for area, _ in sides.uses.values()],
        len(areas),
    )
    row_to = {"_".join(name): at for name, at in zip(sides.industries, to, strict=True)}
    Z, Y, output = np.zeros((n, n)), np.zeros((n, len(areas))), np.full(n, np.nan)
    seen: set[str] = set()
    for rows, values in labelled.batches(path, layout, member=member):
        found = [name.strip() for (name,) in rows]
        _refuse_repeats("row", found, seen)
        mine = [at for at, name in enumerate(found) if name in row_to]
        places = [row_to[found[at]] for at in mine]
        part = values[mine]
        _refuse_blank(part[:, [*inputs.taken, *finals.taken]], [found[at] for at in mine])
        add_rows(Z, inputs.of(part), places)
        add_rows(Y, finals.of(part), places)
        for at, name in enumerate(found):
            if name in TOTALS:
                if np.isfinite(output).any():
                    raise TableError(f"has two rows of output, {name} the second", remedy=AGAIN)
                output = inputs.of(values[at : at + 1])[0]
                stated = values[at, inputs.taken].tolist()
                _refuse_doubled(dict(zip(sides.industries, stated, strict=True)), areas)
            elif name not in row_to and not _is_added(name):
                raise TableError(
                    f"row {name} belongs to no area and industry of the table; "
                    f"{nearest(name, row_to)}",
                    remedy=AGAIN,
                )
    missing = sorted(set(row_to) - seen)
    if missing:
        raise TableError(f"row {missing[0]} is missing, and {len(missing) - 1} more", remedy=AGAIN)
    if not np.isfinite(output).all():
        raise TableError("the row of output is missing or has blanks", remedy=AGAIN)
    return Flows(
        areas=areas,
        industries=industries,
        codes=tuple(sector.partition(" ")[0] for _, sector in industries),
        Z=Z,
        Y=Y,
        output=output,
        notes=tuple(_notes(sides, areas, keep_split)),
    )


def _sides(names: Sequence[str]) -> _Sides:
    """Industries and final uses, told apart by their codes."""
    _refuse_repeats("column", names, set())
    industries: list[tuple[str, str]] = []
    uses: dict[str, tuple[str, str]] = {}
    for name in names:
        if name in TOTALS:
            continue
        first, sign, second = name.partition("_")
        if name == DISCREPANCY:
            uses[name] = (DISCREPANCY, DISCREPANCY)
        elif not (first and sign and second):
            raise TableError(f"column {name!r} is no AREA_INDUSTRY", remedy=AGAIN)
        elif second in FINAL_USES:
            uses[name] = (first, second)
        elif first in FINAL_USES:
            uses[name] = (second, first)
        else:
            industries.append((first, second))
    _refuse_gaps("industry", industries)
    _refuse_gaps("use", uses.values())
    return _Sides(tuple(industries), uses, {name: at for at, name in enumerate(names)})


def _refuse_gaps(kind: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Every area has each of them, except the discrepancy, which is of none."""
    found = {pair for pair in pairs if pair[0] != DISCREPANCY}
    areas = dict.fromkeys(area for area, _ in found)
    missing = sorted(
        (area, code)
        for area in areas
        for code in {c for _, c in found}
        if (area, code) not in found
    )
    if missing or not found:
        name = "_".join(missing[0]) if missing else f"of every {kind}"
        raise TableError(
            f"column {name} is missing, and {max(len(missing) - 1, 0)} more", remedy=AGAIN
        )


def _areas(sides: _Sides) -> tuple[str, ...]:
    """Consumers: those with industries, in their order, then those with final demand alone."""
    consuming = dict.fromkeys(area for area, _ in sides.uses.values())
    whole = dict.fromkeys(_whole(area, consuming) for area, _ in sides.industries)
    homeless = [area for area in whole if area not in consuming]
    if homeless:
        raise TableError(
            f"{homeless[0]} has industries and no final demand", remedy="download the table again"
        )
    return (*whole, *(area for area in consuming if _whole(area, consuming) not in whole))


def _whole(area: str, consuming: Collection[str]) -> str:
    """CHN for CN1 and CN2, MEX for MX1 and MX2, where these have final demand of their own."""
    return _WHOLE[area[:2]] if _PART.fullmatch(area) and _WHOLE[area[:2]] in consuming else area


def _refuse_doubled(output: Mapping[tuple[str, str], float], areas: Sequence[str]) -> None:
    """Refuse a split area that stands beside its parts as their sum: it would be counted twice."""
    parts: dict[str, dict[str, float]] = {}
    for (area, code), value in output.items():
        if (whole := _whole(area, areas)) != area:
            of_code = parts.setdefault(whole, {})
            of_code[code] = of_code.get(code, 0.0) + value
    for whole, of_code in parts.items():
        own = [output.get((whole, code), 0.0) for code in of_code]
        if any(own) and np.allclose(own, list(of_code.values()), rtol=1e-3):
            raise TableError(
                f"the industries of {whole} are the sum of its parts', which are there as well",
                remedy=f"{AGAIN}, or the regular table: both together count {whole} twice",
            )


def _kept(
    industries: Sequence[tuple[str, str]], areas: Sequence[str], keep_split: bool
) -> dict[tuple[str, str], tuple[str, str]]:
    """What each industry of the file becomes."""
    named = {}
    for area, code in industries:
        whole = _whole(area, areas)
        apart = keep_split and whole != area
        named[area, code] = (whole, f"{code} {area}" if apart else code)
    return named


def _notes(sides: _Sides, areas: Sequence[str], keep_split: bool) -> list[str]:
    parts = dict.fromkeys(area for area, _ in sides.industries if _whole(area, areas) != area)
    notes = []
    if parts:
        how = "are kept apart" if keep_split else "are added up to those of CHN and MEX"
        notes.append(f"industries of {', '.join(parts)} {how}")
    if DISCREPANCY in areas:
        notes.append(f"final demand of no area stands as consumer {DISCREPANCY}")
    return notes


def _is_added(name: str) -> bool:
    return name in _ADDED or name.endswith("_TAXSUB")


def _refuse_repeats(kind: str, names: Iterable[str], seen: set[str]) -> None:
    for name in names:
        if name in seen:
            raise TableError(f"{kind} {name} is there twice", remedy=AGAIN)
        seen.add(name)


def _refuse_blank(values: F64, names: Sequence[str]) -> None:
    blank = ~np.isfinite(values).all(axis=1)
    if blank.any():
        raise TableError(
            f"row {names[int(blank.argmax())]} has blank cells",
            remedy=f"{AGAIN}; a missing value is never read as zero",
        )
