"""GLORIA's years and ReadMe, SYNTHETIC, in the layouts of the downloads."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
import openpyxl

from benchmarks.downloads.worlds import World, world
from engine.kernels.arrays import F64

USES = (
    "Household final consumption", "Non-profit institutions serving households",
    "Government final consumption", "Gross fixed capital formation", "Changes in inventories",
    "Acquisitions less disposals of valuables",
)  # fmt: skip
ADDED = (
    "Compensation of employees", "Taxes on production", "Subsidies on production",
    "Net operating surplus", "Net mixed income", "Consumption of fixed capital",
)  # fmt: skip
REGIONS = tuple(f"R{number:03d}" for number in range(164))
SECTORS = tuple(f"Sector {number:03d}, n.e.c" for number in range(120))
HEAD, GHG = "Emissions (EDGAR)", "'GHG_total_EDGAR_consistent'"
UNIT = "kilotonnes CO2-equivalent"


def economy(year: int, regions: Sequence[str], sectors: Sequence[str]) -> World:
    """A year's economy, whose Z is the use table: as many products as industries."""
    return world(regions, sectors, uses=len(USES), added=len(ADDED), seed=year, decimals=3)


def write_readme(
    folder: Path, regions: Sequence[str], sectors: Sequence[str], accounts: int = 3
) -> Path:
    """The workbook that names everything; the last account but one is GHG."""
    book = openpyxl.Workbook(write_only=True)
    satellites = [("Material", f"Ore {at}", "tonnes") for at in range(accounts - 2)]
    satellites += [(HEAD, GHG, UNIT), (HEAD, "'so2'", "kilotonnes")]
    sheets: dict[str, tuple[tuple[str, ...], Iterable[tuple[str, ...]]]] = {
        "Regions": (
            ("Region_acronyms", "Region_names"),
            [(region, f"Region {region}") for region in regions],
        ),
        "Sectors": (("Sector_names",), [(sector,) for sector in sectors]),
        "Value added and final demand": (
            ("Value_added_names", "Final_demand_names"),
            zip(ADDED, USES, strict=True),
        ),
        "Satellites": (("Sat_head_indicator", "Sat_indicator", "Sat_unit"), satellites),
    }
    for name, (header, rows) in sheets.items():
        sheet = book.create_sheet(name)
        sheet.append(["Lfd_Nr", *header])
        for number, row in enumerate(rows, 1):
            sheet.append([number, *row])
    path = folder / "GLORIA_ReadMe_059.xlsx"
    book.save(path)
    return path


def write_year(
    folder: Path,
    year: int,
    world: World,
    *,
    supply: F64 | None = None,
    form: Literal["zip", "folder", "flat"] = "folder",
    accounts: int = 3,
) -> None:
    """One year of a small economy.

    Args:
        supply: industries by products, (n,n); of one product each if not given.
        form: archives, folders of their names, or files in the folder itself.
    """
    V = np.diag(world.x) if supply is None else supply
    u = len(USES)
    QY = np.zeros((accounts, world.Y.shape[1]))
    QY[-2] = np.repeat(world.households, u) * np.tile([0.5, 0, 0.5, 0, 0, 0], len(world.areas))
    Q = np.repeat(np.arange(1.0, accounts + 1)[:, None], len(V), axis=1)
    Q[-2] = world.emissions
    write(
        folder, year, len(world.areas), len(world.sectors),
        use=lambda at: world.Z[at], supply=lambda at: V[at], demand=lambda at: world.Y[at],
        emissions=Q, households=QY, form=form,
    )  # fmt: skip


def write_full(
    folder: Path, year: int, regions: Sequence[str] = REGIONS, accounts: int = 5982
) -> None:
    """A year of full size, some 6.5 GB of text, row by row, with maps to 31 regions and 40 sectors.

    Every product goes to a twentieth of all industries: most cells are zero, as published.
    """
    r, s, u = len(regions), len(SECTORS), len(USES)
    n = r * s
    scale = np.random.default_rng([year, 0]).lognormal(8.0, 1.0, n)

    def use(at: int) -> F64:
        rng = np.random.default_rng([year, 1, at])
        row = np.zeros(n)
        bought = rng.lognormal(0.0, 1.5, n // 20)
        row[rng.choice(n, len(bought), replace=False)] = bought * scale[at] * 0.5 / bought.sum()
        return row

    def demand(at: int) -> F64:
        row = np.random.default_rng([year, 2, at]).lognormal(0.0, 1.0, r * u)
        final: F64 = row * scale[at] * 0.5 / row.sum()
        return final

    def supply(at: int) -> F64:
        row = np.zeros(n)
        row[at] = scale[at]
        return row

    emissions = np.zeros((accounts, n))
    emissions[-2] = scale * np.random.default_rng([year, 3]).lognormal(-2.0, 1.0, n)
    households = np.zeros((accounts, r * u))
    households[-2] = 1.0
    write_readme(folder, regions, SECTORS, accounts)
    write(
        folder, year, r, s, use=use, supply=supply, demand=demand,
        emissions=emissions, households=households, form="folder",
    )  # fmt: skip
    for name, lines in {
        "regions.csv": [
            f"{name},{name if at < 30 else 'World'}" for at, name in enumerate(regions)
        ],
        "sectors.csv": [f'"{name}",Group {at // 3}' for at, name in enumerate(SECTORS)],
    }.items():
        (folder / name).write_text("from,to\n" + "\n".join(lines) + "\n")


def write(
    folder: Path,
    year: int,
    r: int,
    s: int,
    *,
    use: Callable[[int], F64],
    supply: Callable[[int], F64],
    demand: Callable[[int], F64],
    emissions: F64,
    households: F64,
    form: Literal["zip", "folder", "flat"],
) -> None:
    """One year, row by row: `use` and `demand` of each product, `supply` of each industry."""
    n = r * s

    def woven(values: F64, kind: int) -> F64:
        """The columns of industries (0) or of products (1) among those of both."""
        row = np.zeros((r, 2, s))
        row[:, kind] = values.reshape(r, s)
        return row.ravel()

    def order() -> Iterator[tuple[int, bool]]:
        for region in range(r):
            for product in (False, True):
                for sector in range(s):
                    yield region * s + sector, product

    none = np.zeros(r * len(USES))
    T = (woven(use(at), 0) if product else woven(supply(at), 1) for at, product in order())
    Y = (demand(at) if product else none for at, product in order())
    mrio, satellites = f"GLORIA_MRIOs_59_{year}", f"GLORIA_SatelliteAccounts_059_{year}"
    for holder, files in {
        mrio: {"T": T, "Y": Y},
        satellites: {"TQ": (woven(row, 0) for row in emissions), "YQ": iter(households)},
    }.items():
        for kind, rows in files.items():
            name = (
                f"20240111_120secMother_AllCountries_002_{kind}-Results_{year}_059_Markup001(full)"
            )
            with _open(folder, holder, f"{name}.csv", form) as stream:
                for row in rows:
                    stream.write(_line(row))
    assert n == len(emissions.T)


def _line(row: F64) -> str:
    """Mostly zeros, in which the others are set."""
    cells = ["0.0"] * len(row)
    for at in np.flatnonzero(row):
        cells[at] = f"{row[at]:.9g}"
    return ",".join(cells) + "\n"


@contextmanager
def _open(folder: Path, holder: str, name: str, form: str) -> Iterator[TextIO]:
    if form == "zip":
        with (
            zipfile.ZipFile(
                folder / f"{holder}.zip", "a", zipfile.ZIP_DEFLATED, compresslevel=1
            ) as archive,
            archive.open(name, "w", force_zip64=True) as raw,
            io.TextIOWrapper(raw, "utf-8") as stream,
        ):
            yield stream
        return
    place = folder / holder if form == "folder" else folder
    place.mkdir(exist_ok=True)
    with (place / name).open("w", encoding="utf-8") as stream:
        yield stream
