"""Production-based emissions of OECD's accounts for its ICIO tables: one file, all measures.

Three layouts, told apart by their headers and read by the names of their columns:

- SDMX-CSV of the greenhouse gas footprints (`DF_MAIN.csv`): TIME_PERIOD, MEASURE, REF_AREA,
  ACTIVITY, UNIT_MEASURE, UNIT_MULT, OBS_VALUE;
- SDMX-CSV of the same footprints by scope (`DF_SCOPE.csv`): EMISSIONS_ORIGIN_AREA in the place of
  REF_AREA, and EMISSIONS_SCOPE, of which S1 is what industries emit themselves. It has the rest of
  the world, which `DF_MAIN.csv` of 2025 lacks, and no final consumers;
- the bulk file of OECD.Stat (TECO2, `IO_GHG_2021`): VAR, COU, PAR, IND, TIME, Value, and mostly
  units and powers of ten.

Only what users of these files have published was seen here, no file: which code final consumers
have in the first of them rests on documentation alone.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.readers.icio_flows import DISCREPANCY, Flows
from engine.readers.labelled import Watched
from engine.readers.nearest import nearest
from engine.readers.opening import opened

HOUSEHOLDS = ("HH", "DMHH", "DHH")  # direct emissions of final consumers, with their usual codes
TOTALS = ("_T", "TOTAL", "DTOTAL")  # of all activities, with final consumers or without
WORLD = ("WLD", "W")  # as the partner of all production
_LARGE = 0.01  # a difference from the account's own total that is told
REST = {"WXD": "ROW"}  # the rest of the world, as accounts and as tables call it
_INDUSTRIES = {"C24A": "C241_2431", "C24B": "C242_2432", "C302T309": "C30X301"}
_NAMES = (
    {
        "year": "TIME_PERIOD", "measure": "MEASURE", "area": "REF_AREA", "industry": "ACTIVITY",
        "value": "OBS_VALUE", "unit": "UNIT_MEASURE", "power": "UNIT_MULT",
        "partner": "COUNTERPART_AREA",
    },
    {
        "year": "TIME_PERIOD", "measure": "EMISSIONS_SCOPE", "area": "EMISSIONS_ORIGIN_AREA",
        "industry": "ACTIVITY", "value": "OBS_VALUE", "unit": "UNIT_MEASURE", "power": "UNIT_MULT",
    },
    {
        "year": "TIME", "measure": "VAR", "area": "COU", "industry": "IND", "value": "Value",
        "unit": "Unit Code", "power": "PowerCode Code", "partner": "PAR",
    },
)  # fmt: skip
_NEEDED = ("year", "measure", "area", "industry", "value")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BATCH = 2**23
_AGAIN = "download the account again, as one CSV file with codes"

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Account:
    """One measure of one year.

    Attributes:
        values: by area and industry, in the account's unit, its power of ten applied.
        unit: its code; empty where the file has none.
    """

    values: Mapping[Key, float]
    unit: str


@dataclass(frozen=True, slots=True)
class Matched:
    """An account in the order of a table: industries (n,), consumers (r,), and what to say."""

    industries: F64
    households: F64
    notes: tuple[str, ...]


def production(path: Path, year: int, measure: str, file_unit: str | None, unit: str) -> Account:
    """What industries and final consumers emitted; what is blank in the file is not in it.

    Args:
        path: a download, plain, .gz or .zip.
        year: of which.
        measure: OECD's code, such as PROD_CO2 or PROD_GHG, or a scope, S1.
        file_unit: OECD's code of the unit, as stated; a file without units is not asked for it.
        unit: the stressor's, which the account is in if no other is stated.

    Raises:
        TableError: it is damaged or of neither layout, holds nothing of what is asked, or in other
            units alone, holds a value twice or one that is no number.
    """
    rows = _rows(path, {"year": [str(year)], "measure": [measure]})
    if not rows:
        raise TableError(
            f"holds nothing of {year}, {measure}", remedy="check the year and `measure`"
        )
    units = sorted({row["unit"] for row in rows})
    if units == [""]:
        wanted = ""
    elif (wanted := file_unit or unit) not in units:
        raise TableError(
            f"has {measure} in {', '.join(units)}, the configuration takes it for {wanted}",
            remedy="state the account's unit as `file_unit`, and the factor from it to `unit`",
        )
    values: dict[Key, float] = {}
    for row in rows:
        key = (row["area"], row["industry"])
        if row["unit"] != wanted or not row["value"].strip():
            continue
        if key in values:
            raise TableError(
                f"{' '.join(key)} is there twice in {measure}",
                remedy="download the account without further dimensions, all of one measure",
            )
        values[key] = _number(row["value"], key) * 10.0 ** _power(row["power"], key)
    return Account(values, wanted)


def matched(
    account: Account, flows: Flows, households: str | None, without: Sequence[str]
) -> Matched:
    """The account's values at the table's industries and consumers.

    An industry that a table splits has its emissions divided by output, so that its parts emit the
    same per unit of output.

    Args:
        households: the account's code of what final consumers emit, `none` where it has none, or
            None for the usual ones.
        without: areas that are not in the account, and are taken as emitting nothing.

    Raises:
        TableError: an area or an industry with output has no value.
    """
    areas = [area for area in flows.areas if area != DISCREPANCY]
    known = {area for area, _ in account.values}
    renamed = {to: of for of, to in REST.items() if of in known and to not in known}
    ours = {area: renamed.get(area, area) for area in areas}
    absent = [area for area in areas if ours[area] not in known and area not in without]
    if absent:
        raise TableError(
            f"has nothing of {', '.join(absent[:8])}",
            remedy="use the account of the table's own edition, or name the areas in `without`: "
            "they are then taken as emitting nothing",
        )
    for area in without:
        if area not in areas or ours[area] in known:
            there = area in areas
            raise TableError(
                f"{area} of `without` is {'in the account' if there else 'not in the table'}",
                remedy="delete it from `without`" if there else nearest(area, areas),
            )
    spelt = _spelling(account, flows)
    code = _households(account, households)
    E, F_Y = np.zeros(len(flows.industries)), np.zeros(len(flows.areas))
    totals: dict[Key, float] = {}
    for (area, _), industry, output in zip(
        flows.industries, flows.codes, flows.output, strict=True
    ):
        totals[area, industry] = totals.get((area, industry), 0.0) + max(output, 0.0)
    for at, ((area, _), industry) in enumerate(zip(flows.industries, flows.codes, strict=True)):
        if area in without:
            continue
        value = account.values.get((ours[area], spelt[industry]))
        total = totals[area, industry]
        if value is None and total > 0:
            raise TableError(
                f"has no {spelt[industry]} of {area}, which produces",
                remedy=f"{_AGAIN}; a missing value is never read as zero",
            )
        share = max(flows.output[at], 0.0) / total if total > 0 else _alone(flows, at)
        E[at] = (value or 0.0) * share
    for at, area in enumerate(flows.areas):
        if code is None or area == DISCREPANCY or area in without:
            continue
        value = account.values.get((ours[area], code))
        if value is None:
            raise TableError(
                f"has no {code} of {area}",
                remedy=f"{_AGAIN}; a missing value is never read as zero",
            )
        F_Y[at] = value
    notes = [*_notes(code, without), *_off_totals(account, ours, flows, E, F_Y)]
    return Matched(E, F_Y, tuple(notes))


def _off_totals(
    account: Account, ours: Mapping[str, str], flows: Flows, E: F64, F_Y: F64
) -> Iterator[str]:
    """Areas whose parts are not the account's own total, as if an industry were left out."""
    home = np.array([flows.areas.index(area) for area, _ in flows.industries], dtype=np.intp)
    industries = np.bincount(home, E, len(flows.areas))
    far = {}
    for area, made, consumed in zip(flows.areas, industries, F_Y, strict=True):
        stated = [account.values.get((ours.get(area, ""), code)) for code in TOTALS]
        if total := next((value for value in stated if value), 0.0):
            gaps = (made / total - 1, (made + consumed) / total - 1)
            if abs(gap := min(gaps, key=abs)) > _LARGE:
                far[area] = gap
    if far:
        worst = max(far, key=lambda area: abs(far[area]))
        yield (
            f"warning: the industries of {len(far)} areas are more than {_LARGE:.0%} from the "
            f"account's own total, {worst} by {far[worst]:+.1%}"
        )


def _alone(flows: Flows, at: int) -> float:
    """Of what an industry without output emits: all to it, if it is not split."""
    return 1.0 if flows.industries[at][1] == flows.codes[at] else 0.0


def _notes(code: str | None, without: Sequence[str]) -> list[str]:
    notes = [] if code else ["no direct emissions of final consumers, taken as zero"]
    if without:
        notes.append(f"{', '.join(without)} not in the account, taken as emitting nothing")
    return notes


def _spelling(account: Account, flows: Flows) -> dict[str, str]:
    """The account's code of each industry of the table: as it is, with D before it, or known."""
    known = {industry for _, industry in account.values}
    spelt = {}
    for code in dict.fromkeys(flows.codes):
        choices = (code, f"D{code}", _INDUSTRIES.get(code, code))
        found = [choice for choice in dict.fromkeys(choices) if choice in known]
        if len(found) != 1:
            raise TableError(
                f"has {len(found)} codes for the table's industry {code}; {nearest(code, known)}",
                remedy="use the account of the table's own edition",
            )
        spelt[code] = found[0]
    return spelt


def _households(account: Account, named: str | None) -> str | None:
    known = {industry for _, industry in account.values}
    found = [code for code in HOUSEHOLDS if code in known]
    if named == "none":
        if found:
            raise TableError(
                f"has {found[0]}, which is what final consumers emit",
                remedy=f'use it: leave `households` out, or `households = "{found[0]}"`',
            )
        return None
    if named is not None:
        if named not in known:
            raise TableError(f"has no industry {named}", remedy=nearest(named, known))
        return named
    if len(found) != 1:
        raise TableError(
            f"has {len(found)} of the codes {', '.join(HOUSEHOLDS)} for what final consumers emit",
            remedy='name its code as `households`, or `households = "none"` where it has none',
        )
    return found[0]


def _rows(path: Path, asked: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """The rows that are asked for, as texts, by our names of the columns."""
    found: list[dict[str, str]] = []
    with opened(path) as stream:
        first = stream.readline()
        separator, header, names = _header(first)
        places = {ours: header.index(theirs) for ours, theirs in names.items() if theirs in header}
        lacking = [name for name in ("unit", "power") if name not in places]
        if len(lacking) == 1 or (lacking and names is not _NAMES[-1]):
            raise TableError(  # SDMX has both; without its power of ten a number has no size
                f"has no column {names[lacking[-1]]}", where="line 1", remedy=_AGAIN
            )
        columns = [str(at) for at in range(len(header))]
        source = Watched(b"", stream)
        last = 0
        try:
            reader = pa.csv.open_csv(
                source,
                read_options=pa.csv.ReadOptions(column_names=columns, block_size=_BATCH),
                parse_options=pa.csv.ParseOptions(delimiter=separator),
                convert_options=pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.string()),
                    strings_can_be_null=False,
                    include_columns=[str(at) for at in places.values()],
                ),
            )
            for batch in reader:
                some = _wanted(
                    pa.table({name: batch.column(str(at)) for name, at in places.items()}), asked
                )
                end = _wanted(
                    pa.table({name: batch.column(str(at))[-1:] for name, at in places.items()}),
                    asked,
                )
                last = end.num_rows
                found += [{"unit": "", "power": "0", **row} for row in some.to_pylist()]
        except pa.ArrowInvalid as error:
            raise TableError(f"cannot be parsed ({str(error)[:120]})", remedy=_AGAIN) from error
        if last and not source.ended:
            raise TableError(
                "ends in the middle of a line", remedy="the download is incomplete: fetch it again"
            )
    return found


def _wanted(table: pa.Table, asked: Mapping[str, Sequence[str]]) -> pa.Table:
    for name, codes in asked.items():
        table = table.filter(pc.is_in(table[name], pa.array(codes)))
    if "partner" in table.column_names:
        table = table.filter(pc.is_in(table["partner"], pa.array(WORLD)))
    return table


def _header(first: bytes) -> tuple[str, list[str], Mapping[str, str]]:
    """The separator, the names of the columns, and which layout they are of."""
    text = first.decode("utf-8-sig", errors="replace").splitlines()[0] if first.strip() else ""
    for separator in (",", "|", ";", "\t"):
        header = [name.strip() for name in next(csv.reader([text], delimiter=separator), [])]
        for names in _NAMES:
            if all(names[name] in header for name in _NEEDED):
                if len(set(header)) < len(header):
                    raise TableError("has two columns of one name", remedy=_AGAIN)
                return separator, header, names
    raise TableError(
        f"its first line begins with {text[:80]!r}",
        where="line 1",
        remedy="give DF_MAIN.csv or DF_SCOPE.csv of the greenhouse gas footprints, or the bulk "
        "file of TECO2",
    )


def _number(text: str, key: Key) -> float:
    text = text.strip(" ")
    if not _NUMBER.fullmatch(text):
        raise TableError(
            f"{' '.join(key)} is {text[:40]!r}, no number",
            remedy=f"{_AGAIN}; a missing value is never read as zero",
        )
    return float(text)


def _power(text: str, key: Key) -> int:
    if not re.fullmatch(r"-?[0-9]{1,2}", text.strip()):
        raise TableError(f"{' '.join(key)} has {text[:40]!r} as its power of ten", remedy=_AGAIN)
    return int(text)
