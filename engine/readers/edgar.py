"""EDGAR's uncertainty of emissions by country, sector and gas as error sizes of a table's regions.

The file (Solazzo et al. 2021, ACP 21:5655) has the columns

    country, sector, L1, emi, rel.unc.min, rel.unc.max

L1 is the gas; half-widths of 95 % intervals are relative to the emissions `emi` (Gg), and become
rsd = (u_min + u_max) / (2 x 1.96). Whatever else a row has is ignored. Two CSV files of the user
say what its codes are in the tables, where they differ:

    countries   country,region     several countries may make one region
    sectors     ipcc,sector        a sector's rows add up; one code may serve several sectors

Rows that add up, emissions e_i of size rsd_i, have together

    rsd^2 (sum e_i)^2 = r (sum |e_i| rsd_i)^2 + (1 - r) sum (e_i rsd_i)^2

with one correlation r between any two of them, which the user states: 0 and 1 differ by a factor.
A row that no code of the user's files names is left out, and how much of a region that is, told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.error_model import WIDEST_HALF_WIDTH, ByLabel, rsd_of_half_widths
from engine.errors import ConfigError, TableError
from engine.readers.csv_rows import Row, read_rows, refuse_repeats
from engine.readers.nearest import nearest

_KEY = ("country", "sector", "L1")
_WIDTHS = ("rel.unc.min", "rel.unc.max")
_REQUIRED = (*_KEY, "emi", *_WIDTHS)
_MOST_LISTED = 12  # regions
_GASES = ("CO2", "CH4", "N2O")


@dataclass(frozen=True, slots=True)
class EdgarSizes:
    """What of EDGAR an error entry uses.

    Attributes:
        file: the published CSV.
        gases: the gas that each stressor of the tables is.
        correlation: r, between the errors of any two rows that add up.
        countries: CSV of country and region; None where regions are EDGAR's own alpha-3 codes.
        sectors: CSV of EDGAR's (IPCC 2006) sectors and those of the tables; None for the size of a
            country's total.
    """

    file: Path
    gases: Mapping[str, str]
    correlation: float
    countries: Path | None = None
    sectors: Path | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    """One row: emissions, size and half-widths."""

    name: str
    emissions: float
    u_min: float
    u_max: float

    @property
    def sd(self) -> float:
        return abs(self.emissions) * rsd_of_half_widths(self.u_min, self.u_max)


def edgar_sizes(asked: EdgarSizes, region_key: str) -> ByLabel:
    """Sizes by stressor and region, and by sector where asked.

    Args:
        region_key: what the quantity calls a region, "region" or "consumer".

    Raises:
        ConfigError: a correlation outside [0, 1], or a gas that EDGAR does not have.
        TableError: one of the files is malformed, repeats a row, names a code that EDGAR lacks or
            has a half-width below 0; or emissions that belong together add up to 0.
    """
    if not 0 <= asked.correlation <= 1:
        raise ConfigError(
            f"{asked.correlation:g} is no correlation between sectors",
            where="preset edgar2015, correlation",
            remedy="give a number from 0 (independent sectors) to 1",
        )
    stressors = _stressors(asked.gases)
    region_of = None if asked.countries is None else _pairs(asked.countries, "country", "region")
    sector_of = None if asked.sectors is None else _pairs(asked.sectors, "ipcc", "sector")
    rows = _rows(asked.file)
    for path, names, column in (
        (asked.countries, region_of, "country"),
        (asked.sectors, sector_of, "sector"),
    ):
        if names is not None:
            _refuse_unknown(names, {row.cells[column] for row in rows}, path, column)
    found: dict[tuple[str, ...], list[_Entry]] = {}
    unmapped: dict[tuple[str, ...], list[_Entry]] = {}
    for row in rows:
        country, ipcc, gas = row.key(_KEY)
        if gas not in stressors or row.number("emi") == 0:
            continue
        entry = _entry(row)
        regions = [country] if region_of is None else region_of.get(country, [])
        sectors = [""] if sector_of is None else sector_of.get(ipcc, [])
        for stressor in stressors[gas]:
            for region in regions:
                for sector in sectors:
                    label = (stressor, region, *((sector,) if sector else ()))
                    found.setdefault(label, []).append(entry)
                if not sectors:
                    unmapped.setdefault((stressor, region), []).append(entry)
    keys = ("stressor", region_key, *(() if sector_of is None else ("sector",)))
    rsd: dict[tuple[str, ...], float] = {}
    for label, entries in found.items():
        if math.fsum(entry.emissions for entry in entries) == 0:
            raise TableError(
                f"the emissions of {' '.join(label)} add up to 0 and have no relative size",
                where=f"{asked.file}, {', '.join(entry.name for entry in entries)}",
                remedy="correct the file, or leave one of the rows out of the maps",
            )
        rsd[label] = combined(entries, asked.correlation)
    return ByLabel(keys, rsd, _unmet(found), (*_remarks(found), *_left_out(found, unmapped)))


def _rows(path: Path) -> list[Row]:
    """Every row of EDGAR, each once."""
    rows = read_rows(path, ["", *_REQUIRED], _REQUIRED)[1]
    refuse_repeats(rows, _KEY)
    return rows


def _refuse_unknown(
    names: Mapping[str, Sequence[str]], known: set[str], path: Path | None, column: str
) -> None:
    for code in names:
        if code not in known:
            raise TableError(
                f"EDGAR has no {column} {code!r}",
                where=str(path),
                remedy=f"{nearest(code, sorted(known))}; a code without rows would be read as "
                "nothing",
            )


def combined(entries: Sequence[_Entry], correlation: float) -> float:
    """rsd of a sum, not zero, of entries whose errors correlate by the same r."""
    total = abs(math.fsum(entry.emissions for entry in entries))
    together = math.fsum(entry.sd for entry in entries) ** 2
    apart = math.fsum(entry.sd**2 for entry in entries)
    return math.sqrt(correlation * together + (1 - correlation) * apart) / total


def _entry(row: Row) -> _Entry:
    name = " ".join(row.key(_KEY))
    widths = [row.number(column) for column in _WIDTHS]
    if min(widths) < 0:
        raise TableError(
            f"{' or '.join(_WIDTHS)} is negative",
            where=row.where,
            remedy="give half-widths of 0 or more; 0.3 is 30 %",
        )
    return _Entry(name, row.number("emi"), *widths)


def _stressors(gases: Mapping[str, str]) -> dict[str, list[str]]:
    """The stressors of each gas."""
    found: dict[str, list[str]] = {}
    for stressor, gas in gases.items():
        if gas not in _GASES:
            raise ConfigError(
                f"EDGAR has no half-widths of {gas}",
                where="preset edgar2015, gases",
                remedy=f"it has {', '.join(_GASES)}",
            )
        found.setdefault(gas, []).append(stressor)
    return found


def _pairs(path: Path, key: str, value: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in read_rows(path, [key, value], [key, value])[1]:
        names = found.setdefault(row.cells[key], [])
        if row.cells[value] not in names:
            names.append(row.cells[value])
    return found


def _used(found: Mapping[tuple[str, ...], Sequence[_Entry]]) -> list[_Entry]:
    return list({entry.name: entry for entries in found.values() for entry in entries}.values())


def _unmet(found: Mapping[tuple[str, ...], Sequence[_Entry]]) -> tuple[str, ...]:
    return tuple(
        f"{entry.name}: upper half-width {entry.u_max:.4g}"
        for entry in _used(found)
        if entry.u_max > WIDEST_HALF_WIDTH
    )


def _remarks(found: Mapping[tuple[str, ...], Sequence[_Entry]]) -> tuple[str, ...]:
    used = _used(found)
    impossible = sum(entry.u_min >= 1 for entry in used)
    if not impossible:
        return ()
    return (
        f"{impossible} of the {len(used)} rows used have a lower half-width of 100 % or more, "
        "impossible for a positive quantity; the two half-widths together make their size",
    )


def _left_out(
    found: Mapping[tuple[str, ...], Sequence[_Entry]],
    unmapped: Mapping[tuple[str, ...], Sequence[_Entry]],
) -> tuple[str, ...]:
    """How much of each region's emissions has a code that no sector of the tables has."""
    if not unmapped:
        return ()
    mapped: dict[tuple[str, ...], dict[str, _Entry]] = {}
    for label, entries in found.items():  # one code may serve several sectors: counted once
        mapped.setdefault(label[:2], {}).update({entry.name: entry for entry in entries})
    shares = []
    for label, entries in unmapped.items():
        absent, present = (
            math.fsum(abs(entry.emissions) for entry in some)
            for some in (entries, mapped.get(label, {}).values())
        )
        shares.append((absent / (absent + present), " ".join(label)))
    shares.sort(key=lambda one: (-one[0], one[1]))
    listed = ", ".join(f"{name} {100 * share:.3g} %" for share, name in shares[:_MOST_LISTED])
    rest = len(shares) - _MOST_LISTED
    return (
        f"emissions whose code is in no sector of the tables, which the sizes leave out: {listed}"
        + (f" and {rest} regions with less" if rest > 0 else ""),
    )
