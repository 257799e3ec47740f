"""Emissions of FIGARO's areas, from the accounts that have them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.readers.air_emissions import HOUSEHOLDS, REST, TOTAL, TOTAL_HH, WORLD, not_apart
from engine.readers.eurostat import Value, flags_in_words
from engine.readers.files import located
from engine.readers.own_totals import gap, told

_AGAIN = "download the dataset again, whole, of the edition of the tables"

Account = Mapping[tuple[str, str], Value]  # by area and industry, or households


@dataclass(frozen=True, slots=True)
class Taken:
    """The account that an area is taken from.

    Attributes:
        file: its name.
        account: what it holds.
        areas: the area, and those merged into it that the account knows apart.
        more: countries that the account knows apart, and the table in its rest of the world.
        passed: accounts before this one that name the area, but have not all of it.
    """

    file: str
    account: Account
    areas: Sequence[str]
    more: Sequence[str] = ()
    passed: Sequence[str] = ()

    def values(self, code: str) -> list[Value]:
        """Of an industry or of households: all that are there."""
        found = (self.account.get((area, code)) for area in (*self.areas, *self.more))
        return [value for value in found if value is not None]

    def lacks(self, needed: Mapping[str, Sequence[str]]) -> list[str]:
        """What has no number; the area's own by their codes alone.

        What produces in a country that the table does not know is not known: of it, a row that has
        no number is missing, and households are.
        """
        lacking = [
            code if area == self.areas[0] else f"{area} {code}"
            for area in self.areas
            for code in needed[area]
            if self._number(area, code) is None
        ]
        return lacking + [
            f"{area} {code}"
            for area in self.more
            for code in needed[self.areas[0]]
            if ((area, code) in self.account or code == HOUSEHOLDS)
            and self._number(area, code) is None
        ]

    def _number(self, area: str, code: str) -> float | None:
        return self.account.get((area, code), Value(None)).number

    def gaps(self, sectors: Sequence[str]) -> dict[str, float]:
        """By area, how far its industries, or these and households, are from its own total.

        Whether the total of footprints counts households is not documented: nearer is right.
        """
        found = {}
        for area in (*self.areas, *self.more):
            numbers = [self._number(area, code) for code in sectors]
            industries = [number for number in numbers if number is not None]
            everything = [*industries, self._number(area, HOUSEHOLDS) or 0.0]
            off = [0.0]
            if (total := self._number(area, TOTAL)) is not None:
                off.append(min(gap(industries, total), gap(everything, total), key=abs))
            if (total := self._number(area, TOTAL_HH)) is not None:
                off.append(gap(everything, total))
            found[area] = max(off, key=abs)
        return found


def taken(
    accounts: Mapping[str, Account],
    parts: Mapping[str, Sequence[str]],
    needed: Mapping[str, Sequence[str]],
    year: int,
) -> dict[str, Taken]:
    """By area, the first account that has it whole, with all that is merged into it.

    A country that an account does not name is in the account's rest of the world, if it has one,
    and in no other area: merged into another one, it must be in the account itself. A country that
    the table does not know apart is counted with its rest of the world.

    Args:
        accounts: by name of the file, in the order in which they are asked.
        parts: by area, the area and those merged into it.
        needed: by area before merging, the codes that must have a number.
        year: of the accounts.

    Raises:
        TableError: no account has all of an area.
    """
    found: dict[str, Taken] = {}
    lacking: dict[str, list[str]] = {}
    passed: dict[str, list[str]] = {area: [] for area in parts}
    for file, account in accounts.items():
        named = {area for area, _ in account}
        apart = not_apart([area for some in parts.values() for area in some], named)
        for area, (_, *merged) in parts.items():
            if area in found:
                continue
            in_rest = REST in parts[area] and REST in named
            areas = [area, *(other for other in merged if other in named or not in_rest)]
            more = apart if in_rest else []
            one = Taken(file, account, areas, more, passed[area])
            if lacks := one.lacks(needed):
                lacking[area] = min(lacking.get(area, lacks), lacks, key=len)
                passed[area] += [file] if area in named else []
            else:
                found[area] = one
    unmet = [area for area in parts if area not in found]
    if unmet:
        raise TableError(
            f"no account has all of {unmet[0]}: {some(lacking[unmet[0]])} missing or confidential"
            + (f"; nor of {some(unmet[1:])}" if unmet[1:] else ""),
            where=f"{', '.join(accounts)}, year {year}",
            remedy="add an account that has them (env_ac_ghgfp has most areas)"
            + _or_merge([part for area in unmet for part in parts[area]], accounts),
        )
    return {area: found[area] for area in parts}


def _or_merge(areas: Sequence[str], accounts: Mapping[str, Account]) -> str:
    """The lines that count areas with the rest of the world, which are in that of the accounts."""
    named = {area for account in accounts.values() for area, _ in account}
    if REST not in named or not (unknown := [area for area in areas if area not in named]):
        return ""
    lines = ", ".join(f'{area} = "{REST}"' for area in unknown)
    return (
        ", or count areas that no account knows apart with the rest of the world, which has them "
        f"there: under [tables.merge] {lines}"
    )


def emitted(found: Mapping[str, Taken], wanted: Sequence[tuple[str, str]]) -> F64:
    """What areas' industries or households emitted; nothing where there is no number, (wanted,)."""
    sums = [
        math.fsum(value.number or 0.0 for value in found[area].values(code))
        for area, code in wanted
    ]
    return np.array(sums)


def files_of(found: Mapping[str, Taken]) -> dict[str, tuple[str, ...]]:
    """The accounts that are taken, and the areas that are from each."""
    used: dict[str, list[str]] = {}
    for area, one in found.items():
        used.setdefault(one.file, []).append(area)
    return {file: tuple(areas) for file, areas in used.items()}


def notes_of(found: Mapping[str, Taken], wanted: Sequence[tuple[str, str]]) -> list[str]:
    """Which areas come from which account, and which do not though it names them; the flags."""
    used = files_of(found)
    passed: dict[str, list[str]] = {}
    for area, one in found.items():
        for file in one.passed:
            passed.setdefault(file, []).append(area)
    notes = [f"{file} for {some(areas)}" for file, areas in used.items()]
    notes = notes if len(used) > 1 else list(used)
    notes += [f"{file} has not all of {some(areas)}" for file, areas in passed.items()]
    notes += [
        f"{some(one.more)} of {one.file} counted with {area}, which has them in the tables"
        for area, one in found.items()
        if one.more
    ]
    flags = (value.flags for area, code in wanted for value in found[area].values(code))
    flagged = flags_in_words(flags)
    return [*notes, f"values flagged {flagged}"] if flagged else notes


def off_totals(found: Mapping[str, Taken], sectors: Sequence[str]) -> list[str]:
    """Warnings of accounts in which the parts that are read are not the account's own totals.

    Raises:
        TableError: they are far from being it.
    """
    notes = []
    files = {one.file: one.account for one in found.values()}
    for file, account in files.items():
        mine = [one for one in found.values() if one.file == file]
        areas = [area for one in mine for area in (*one.areas, *one.more)]
        gaps = {area: share for one in mine for area, share in one.gaps(sectors).items()}
        with located(file):
            said = told(gaps, "the emissions of", again=_AGAIN)
            if len(mine) == len(found):
                said += told(
                    _of_the_world(account, areas, sectors), "over all areas, those of", again=_AGAIN
                )
        notes += [f"{words}, in {file}" for words in said]
    return notes


def _of_the_world(
    account: Account, areas: Sequence[str], sectors: Sequence[str]
) -> dict[str, float]:
    """By industry, how far all areas are from the account's own world."""
    found = {}
    for code in (*sectors, HOUSEHOLDS):
        world = account.get((WORLD, code), Value(None)).number
        parts = [account.get((area, code), Value(0.0)).number for area in areas]
        if world is not None and None not in parts:
            found[code] = gap([part for part in parts if part is not None], world)
    return found


def some(names: Sequence[str]) -> str:
    """Names in a row, eight at most."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
