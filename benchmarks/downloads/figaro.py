"""FIGARO's tables and Eurostat's emission accounts, SYNTHETIC, in the layouts of the downloads.

`python -m benchmarks.downloads.figaro FOLDER` writes a small one of the 2026 edition: all its areas
with six industries, 2019 to 2022, and `env_ac_ghgfp` of 46 areas, which has the others in its rest
of the world.
"""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TextIO

import numpy as np

from benchmarks.downloads.worlds import World, folded, followed, world
from engine.readers.air_emissions import AREAS as RENAMED
from engine.readers.air_emissions import REST
from engine.readers.fetched import MADE_UP
from engine.readers.figaro_flows import FINAL_USES, VALUE_ADDED

_AREAS = (
    "AR AT AU BE BG BR CA CH CN CY CZ DE DK EE ES FI FIGW1 FR GB GR HR HU ID IE IN IT JP KR LT "
    "LU LV MT MX NL NO PL PT RO RU SA SE SI SK TR US ZA "
)
AREAS = tuple(_AREAS.split())
NEWER = ("AL", "ME", "MK", "RS")  # areas of the tables from the 2026 edition on
_INDUSTRIES = (
    "A01 A02 A03 B C10T12 C13T15 C16 C17 C18 C19 C20 C21 C22 C23 C24 C25 C26 C27 C28 C29 C30 "
    "C31_32 C33 D35 E36 E37T39 F G45 G46 G47 H49 H50 H51 H52 H53 I J58 J59_60 J61 J62_63 K64 "
    "K65 K66 L M69_70 M71 M72 M73 M74_75 N77 N78 N79 N80T82 O84 P85 Q86 Q87_88 R90T92 R93 S94 "
    "S95 S96 T U "
)
INDUSTRIES = tuple(_INDUSTRIES.split())
_TO_EUROSTAT = {ours: theirs for theirs, ours in RENAMED.items()}
_LETTERS = {"D35": "D", "O84": "O", "P85": "P"}


def economy(
    year: int, areas: Sequence[str] = AREAS, industries: Sequence[str] = INDUSTRIES
) -> World:
    """The year's economy: 64 industries of 46 areas if nothing else is said."""
    return world(
        areas,
        industries,
        uses=len(FINAL_USES),
        added=len(VALUE_ADDED),
        seed=year,
        decimals=3,
    )


def write_table(
    folder: Path,
    year: int,
    world: World,
    *,
    layout: Literal["matrix", "flat"] = "matrix",
    system: Literal["ind-by-ind", "prod-by-prod"] = "ind-by-ind",
    edition: str = "25ed",
    suffix: Literal[".csv", ".csv.gz", ".zip"] = ".csv",
) -> Path:
    """One table under the name of its download."""
    kind = {"matrix": "matrix", "flat": "flatfile"}[layout]
    name = "_".join(filter(None, [kind, "eu-ic-io", system, edition, str(year)]))
    path = folder / f"{name}{suffix}"
    with _open(path, f"{name}.csv") as stream:
        write = {"matrix": _matrix, "flat": _flat}[layout]
        for line in write(world, "CPA_" if system == "prod-by-prod" else ""):
            stream.write(line + "\n")
    return path


def _names(world: World, prefix: str) -> tuple[list[str], list[str], np.ndarray]:
    industries = [f"{area}_{prefix}{sector}" for area in world.areas for sector in world.sectors]
    uses = [f"{area}_{use}" for area in world.areas for use in FINAL_USES]
    rows = [*industries, *(f"W2_{kind}" for kind in VALUE_ADDED)]
    added = np.hstack([world.added, np.zeros((len(VALUE_ADDED), len(uses)))])
    return rows, [*industries, *uses], np.vstack([np.hstack([world.Z, world.Y]), added])


def _matrix(world: World, prefix: str) -> Iterator[str]:
    rows, columns, values = _names(world, prefix)
    yield ",".join(["rowLabels", *columns])
    for name, row in zip(rows, values, strict=True):
        yield ",".join([name, *map(_number, row)])


def _flat(world: World, prefix: str) -> Iterator[str]:
    rows, columns, values = _names(world, prefix)
    kind, end = ("p", "Pp") if prefix else ("i", "Ii")
    yield f"icio{kind}Row,icio{kind}Col,refArea,row{end},counterpartArea,col{end},obsValue"
    for name, row in zip(rows, values, strict=True):
        area, _, industry = name.partition("_")
        for column, value in zip(columns, row, strict=True):
            other, _, user = column.partition("_")
            yield f"{name},{column},{area},{industry},{other},{user},{_number(value)}"


def _number(value: float) -> str:
    return "0" if value == 0 else f"{value:.3f}"


def write_footprints(
    path: Path, worlds: Mapping[int, World], *, form: Literal["tsv", "sdmx"] = "tsv"
) -> Path:
    """`env_ac_ghgfp`: emissions by origin, industry and destination, from the tables themselves.

    What all destinations cause has totals, of industries and of the world.
    """
    rows: dict[tuple[str, ...], dict[int, float]] = {}
    for year, one in worlds.items():
        traced = one.footprints.reshape(len(one.areas), len(one.sectors), len(one.areas))
        emitted = one.emissions.reshape(len(one.areas), len(one.sectors))
        for a, origin in enumerate(one.areas):
            for b, sector in enumerate(one.sectors):
                key = ("A", _area(origin), "WORLD", _industry(sector), "TOTAL", "THS_T")
                rows.setdefault(key, {})[year] = float(emitted[a, b])
                for c, destination in enumerate(one.areas):
                    key = ("A", _area(origin), _area(destination), *key[3:])
                    rows.setdefault(key, {})[year] = float(traced[a, b, c])
            for destination in (origin, "WORLD"):
                key = ("A", _area(origin), _area(destination), "HH", "TOTAL", "THS_T")
                rows.setdefault(key, {})[year] = float(one.households[a])
            key = ("A", _area(origin), "WORLD", "TOTAL", "TOTAL", "THS_T")
            rows.setdefault(key, {})[year] = float(emitted[a].sum())
        world = dict(zip(map(_industry, one.sectors), emitted.sum(axis=0).tolist(), strict=True))
        world |= {"HH": float(one.households.sum()), "TOTAL": float(emitted.sum())}
        for code, value in world.items():
            rows.setdefault(("A", "WORLD", "WORLD", code, "TOTAL", "THS_T"), {})[year] = value
    names = ("freq", "c_orig", "c_dest", "nace_r2", "na_item", "unit")
    return write_dataset(path, "ENV_AC_GHGFP", names, rows, form=form)


def write_accounts(
    path: Path,
    worlds: Mapping[int, World],
    areas: Sequence[str],
    *,
    form: Literal["tsv", "sdmx"] = "tsv",
) -> Path:
    """`env_ac_ainah_r2`: what industries and households of some `areas` emit."""
    rows: dict[tuple[str, ...], dict[int, float]] = {}
    for year, one in worlds.items():
        emitted = one.emissions.reshape(len(one.areas), len(one.sectors))
        for area in areas:
            a = one.areas.index(area)
            values = dict(zip(map(_industry, one.sectors), emitted[a], strict=True))
            values |= {"HH": one.households[a], "TOTAL": emitted[a].sum()}
            values["TOTAL_HH"] = values["TOTAL"] + values["HH"]
            for code, value in values.items():
                key = ("A", "GHG", code, "THS_T", _area(area))
                rows.setdefault(key, {})[year] = float(value)
    names = ("freq", "airpol", "nace_r2", "unit", "geo")
    return write_dataset(path, "ENV_AC_AINAH_R2", names, rows, form=form)


def write_dataset(
    path: Path,
    code: str,
    names: Sequence[str],
    rows: Mapping[tuple[str, ...], Mapping[int, float | str]],
    *,
    form: Literal["tsv", "sdmx"],
) -> Path:
    """A download of Eurostat's in TSV or SDMX-CSV; a text is written as it stands."""
    years = sorted({year for values in rows.values() for year in values})
    with _open(path, path.stem) as stream:
        if form == "tsv":
            stream.write(",".join(names) + "\\TIME_PERIOD\t" + "\t".join(f"{y} " for y in years))
            for key, values in rows.items():
                cells = [values.get(year, ":") for year in years]
                stream.write("\n" + ",".join(key) + "\t" + "\t".join(f"{c} " for c in cells))
            stream.write("\n")
        else:
            stream.write(f"DATAFLOW,LAST UPDATE,{','.join(names)},TIME_PERIOD,OBS_VALUE,OBS_FLAG\n")
            for key, values in rows.items():
                for year, value in values.items():
                    number, _, flag = str(value).partition(" ")
                    about = f"ESTAT:{code}(1.0),01/11/25 11:00:00,{','.join(key)}"
                    stream.write(f"{about},{year},{number.replace(':', '')},{flag}\n")
    return path


def _area(area: str) -> str:
    return _TO_EUROSTAT.get(area, area)


def _industry(sector: str) -> str:
    """As the accounts spell it: C10-C12 for C10T12, C31_C32 for C31_32."""
    if sector in _LETTERS:
        return _LETTERS[sector]
    for sign, theirs in (("T", "-"), ("_", "_")):
        first, found, last = sector[1:].partition(sign)
        if found:
            return f"{sector[0]}{first}{theirs}{sector[0]}{last}"
    return sector


@contextmanager
def _open(path: Path, member: str) -> Iterator[TextIO]:
    if path.suffix == ".zip":
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open(member, "w", force_zip64=True) as raw,
            io.TextIOWrapper(raw, "utf-8") as stream,
        ):
            yield stream
    elif path.suffix == ".gz":
        with gzip.open(path, "wt", compresslevel=1) as stream:
            yield stream
    else:
        with path.open("w") as stream:
            yield stream


def main(folder: Path) -> None:
    """A small download of four years, one after the other, in a folder that says it is made up."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MADE_UP).write_text("The tables and accounts in this folder are made up.\n")
    industries = ("A01", "C10T12", "C24", "D35", "H49", "Q86")
    worlds = {2019: economy(2019, sorted((*AREAS, *NEWER)), industries)}
    for year, growth in ((2020, -0.04), (2021, 0.05), (2022, 0.02)):
        worlds[year] = followed(
            worlds[year - 1], seed=year, decimals=3, growth=growth, cleaner=0.03
        )
    for year, one in worlds.items():
        write_table(folder, year, one, edition="26ed")
        for area in NEWER:
            worlds[year] = folded(worlds[year], area, REST)
    write_footprints(folder / "env_ac_ghgfp.tsv.gz", worlds)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
