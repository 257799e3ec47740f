"""How long reading a full-size download takes, and how much memory, beside the size of its table.

Every download is SYNTHETIC, in the publisher's true layout and full size (`benchmarks.downloads`),
written first by one process and read by another one: memory is the most that this process ever
held, what Python and its libraries take included. Z is the table that is read: GLORIA's, folded.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.downloads import eora, exiobase, figaro, gloria, icio, wiod
from benchmarks.records import Record, Result
from benchmarks.settings import ROOT, Settings, say
from benchmarks.timing import Spread
from engine import readers
from engine.readers import (
    Aggregated,
    Aggregation,
    Eora26,
    Exiobase3,
    Figaro,
    Gloria,
    Icio,
    Wiod,
)
from engine.readers.figaro import Stressor
from engine.readers.icio import Stressor as OfIcio
from engine.readers.selecting import Rows
from engine.readers.wiod import Stressor as Account

YEAR = 2020
_SMALL = 3  # areas of a quick look


@dataclass(frozen=True, slots=True)
class Full:
    """A download of full size.

    Attributes:
        write: writes it to a folder, with so many areas at most, and says how it is read.
        year: of its table.
    """

    write: Callable[[Path, int | None], Any]
    year: int = YEAR


def _figaro_46(folder: Path, most: int | None) -> Figaro:
    return _figaro(folder, figaro.AREAS[:most], "25ed", "matrix", ".csv")


def _figaro_50(folder: Path, most: int | None) -> Figaro:
    return _figaro(folder, (*figaro.AREAS, *figaro.NEWER)[:most], "26ed", "matrix", ".csv")


def _figaro_flat(folder: Path, most: int | None) -> Figaro:
    return _figaro(folder, (*figaro.AREAS, *figaro.NEWER)[:most], "26ed", "flat", ".zip")


def _figaro(folder: Path, areas: Any, edition: str, layout: Any, suffix: Any) -> Figaro:
    world = figaro.economy(YEAR, areas)
    figaro.write_table(folder, YEAR, world, layout=layout, edition=edition, suffix=suffix)
    figaro.write_footprints(folder / "env_ac_ghgfp.tsv.gz", {YEAR: world})
    return Figaro(folder, {"GHG": Stressor(("env_ac_ghgfp.tsv.gz",), "Mt CO2-eq", 1e-3)})


def _icio(folder: Path, most: int | None) -> Icio:
    world = icio.economy(YEAR, icio.AREAS[:most])
    icio.write_table(folder, YEAR, world)
    icio.write_account(folder / "DF_MAIN.csv", {YEAR: world})
    return Icio(folder, {"GHG": OfIcio("DF_MAIN.csv", "Mt CO2-eq", "PROD_GHG", 1e-6, "T_CO2E")})


def _eora(folder: Path, most: int | None) -> Eora26:
    eora.write_year(folder, YEAR, eora.economy(YEAR, eora.REGIONS[:most]))
    return Eora26(folder, {"CO2": Rows((f"{eora.CO2} - Total",), "Mt", "Gg", 1e-3)})


def _gloria(folder: Path, most: int | None) -> Aggregated:
    """Folded while it is read, to 31 regions and 40 sectors; one of 5,982 accounts is taken."""
    gloria.write_full(folder, YEAR, gloria.REGIONS[:most])
    emissions = Rows((f"{gloria.HEAD} - {gloria.GHG}",), gloria.UNIT)
    maps = Aggregation(folder / "regions.csv", folder / "sectors.csv")
    return Aggregated(Gloria(folder, {"GHG": emissions}), maps)


def _exiobase_pxp(folder: Path, most: int | None) -> Exiobase3:
    return _exiobase(folder, most, "pxp", "Z")


def _exiobase_ixi(folder: Path, most: int | None) -> Exiobase3:
    return _exiobase(folder, most, "ixi", "A")


def _exiobase(folder: Path, most: int | None, system: Any, flows: Any) -> Exiobase3:
    """With as many rows of the satellite as release 3.8 has, four of them selected."""
    world = exiobase.economy(YEAR, exiobase.AREAS[:most], exiobase.SECTORS[system])
    satellite = exiobase.satellite(world, 1113)
    given = {"satellite": satellite}
    exiobase.write_table(folder, YEAR, world, system=system, flows=flows, extensions=given)
    gases = tuple(satellite.units)[:4]
    return Exiobase3(folder, "satellite", {"gases": Rows(gases, "kg")}, system)


def _wiod_2013(folder: Path, most: int | None) -> Wiod:
    world = wiod.economy(YEAR, 2013, wiod.AREAS[2013][:most])
    wiod.write_table(folder, YEAR, world, 2013)
    wiod.write_air(folder / "AIR_may12.zip", {YEAR: world})
    return Wiod(folder, {"CO2": Account("AIR_may12.zip", "kt")}, 2013)


def _wiod_2016(folder: Path, most: int | None) -> Wiod:
    world = wiod.economy(YEAR, 2016, wiod.AREAS[2016][:most])
    wiod.write_table(folder, YEAR, world, 2016)
    wiod.write_co2(folder / "CO2 emissions.xlsx", {YEAR: world})
    return Wiod(folder, {"CO2": Account("CO2 emissions.xlsx", "kt")}, 2016)


# A database joins by its line here.
FULL: Mapping[str, Full] = {
    "FIGARO, 46 areas x 64 industries, matrix": Full(_figaro_46),
    "FIGARO, 50 areas x 64 industries, matrix": Full(_figaro_50),
    "FIGARO, 50 areas x 64 industries, flat, zip": Full(_figaro_flat),
    "OECD ICIO, 77 areas x 45 industries": Full(_icio),
    "Eora26, 189 regions x 26 sectors, zip": Full(_eora),
    "GLORIA, 164 regions x 120 industries and products, folded": Full(_gloria),
    "EXIOBASE 3, 49 areas x 163 industries, A, zip": Full(_exiobase_ixi),
    "EXIOBASE 3, 49 areas x 200 products, Z, zip": Full(_exiobase_pxp),
    "WIOD 2013, 41 areas x 35 industries, xlsx": Full(_wiod_2013),
    "WIOD 2016, 44 areas x 56 industries, xlsb": Full(_wiod_2016),
}


def measure_reading(settings: Settings) -> Iterator[Result]:
    """Every download once; a quick look takes a few areas of each."""
    place = ROOT / "benchmarks" / "results"  # the usual temporary folder may be memory
    place.mkdir(exist_ok=True)
    for name, full in FULL.items():
        say(f"  {name}")
        with tempfile.TemporaryDirectory(dir=place) as folder:
            most = _SMALL if settings.quick else None
            source = _alone(settings.quick, _written, full, Path(folder), most)
            found = _alone(settings.quick, _read, source, full.year)
        yield from _records(name, found)


def _records(name: str, found: Mapping[str, float]) -> Iterator[Record]:
    n, size = int(found["n"]), found["n"] ** 2 * 8
    case = f"SYNTHETIC, {name}, n = {n}"
    before, peak = found["before"], found["peak"]
    megabytes = found["bytes"] / 1e6
    yield Record(
        "reading", case, "time", Spread.of([found["seconds"]]), "s",
        facts={"files, MB": megabytes, "MB/s": megabytes / found["seconds"]},
    )  # fmt: skip
    yield Record(
        "reading", case, "peak memory", Spread.of([peak]), "B",
        facts={
            "Z, MB": size / 1e6,
            "before, MB": before / 1e6,
            "peak - before, GB": (peak - before) / 1e9,
            "(peak - before) / Z": (peak - before) / size,
        },
    )  # fmt: skip


def _written(full: Full, folder: Path, most: int | None) -> Any:
    return full.write(folder, most)


def _read(source: Any, year: int) -> dict[str, float]:
    before, began = _peak(), time.perf_counter()
    table = readers.read(source, year)
    seconds = time.perf_counter() - began
    folder = Path((source.published if isinstance(source, Aggregated) else source).path)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "seconds": seconds,
        "before": before,
        "peak": _peak(),
        "n": len(table.labels.industries),
        "bytes": sum(path.stat().st_size for path in files),
    }


def _peak() -> int:
    """The most memory this process has held, in bytes: of its own, not of whoever started it."""
    with open("/proc/self/status") as stream:
        (line,) = (line for line in stream if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _alone(quick: bool, work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of some work in a new process, whose memory is nobody else's.

    In a quick look, whose memory says little, the processes share what importing takes.
    """
    context = multiprocessing.get_context("forkserver" if quick else "spawn")
    context.set_forkserver_preload(["__main__", __name__])
    with ProcessPoolExecutor(1, context) as pool:  # which tells of a process that was killed
        return pool.submit(work, *arguments).result()
