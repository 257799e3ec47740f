"""Eora26's years, SYNTHETIC, in the layout of the download."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TextIO

import numpy as np

from benchmarks.downloads.worlds import World, world
from engine.kernels.arrays import F64

SECTORS = (
    "Agriculture", "Fishing", "Mining and Quarrying", "Food & Beverages",
    "Textiles and Wearing Apparel", "Wood and Paper",
    "Petroleum, Chemical and Non-Metallic Mineral Products", "Metal Products",
    "Electrical and Machinery", "Transport Equipment", "Other Manufacturing", "Recycling",
    "Electricity, Gas and Water", "Construction", "Maintenance and Repair", "Wholesale Trade",
    "Retail Trade", "Hotels and Restraurants", "Transport", "Post and Telecommunications",
    "Finacial Intermediation and Business Activities", "Public Administration",
    "Education, Health and Other Services", "Private Households", "Others",
    "Re-export & Re-import",
)  # fmt: skip
USES = (
    "Household final consumption P.3h", "Non-profit institutions serving households P.3n",
    "Government final consumption P.3g", "Gross fixed capital formation P.51",
    "Changes in inventories P.52", "Acquisitions less disposals of valuables P.53",
)  # fmt: skip
ADDED = (
    "Compensation of employees D.1", "Taxes on production D.29", "Subsidies on production D.39",
    "Net operating surplus B.2n", "Net mixed income B.3n", "Consumption of fixed capital K.1",
)  # fmt: skip
REGIONS = tuple(f"R{number:02d}" for number in range(189))
CO2 = "Total CO2 emissions (Gg) from EDGAR"


def economy(year: int, regions: Sequence[str] = REGIONS, sectors: Sequence[str] = SECTORS) -> World:
    """The year's economy: 26 sectors of 189 regions if nothing else is said."""
    return world(regions, sectors, uses=len(USES), added=len(ADDED), seed=year, decimals=3)


def write_year(
    folder: Path,
    year: int,
    world: World,
    *,
    discrepancy: float = 7.0,
    form: Literal["zip", "folder"] = "zip",
    labels: Literal["inside", "indices.zip"] = "inside",
    accounts: int = 4,
) -> Path:
    """One year, with ROW after the regions, in an archive or in the folder itself.

    Args:
        discrepancy: what every industry delivers to ROW and takes from it.
        accounts: rows of satellite accounts; the last but one is CO2.
    """
    n, r = len(world.Z), len(world.areas)
    e = np.full((n, 1), discrepancy)
    u = len(USES)
    T = np.block([[world.Z, e], [e.T, np.zeros((1, 1))]])
    FD = np.block([[world.Y, np.zeros((n, u))], [np.zeros((1, (r + 1) * u))]])
    Q = np.zeros((accounts, n + 1))
    QY = np.zeros((accounts, (r + 1) * u))
    Q[:, :n] = np.arange(1, accounts + 1)[:, None]
    Q[-2, :n] = world.emissions
    QY[-2, : r * u] = np.repeat(world.households, u) * np.tile([0.5, 0, 0, 0.5, 0, 0], r)
    numbers = {
        "T": T, "FD": FD, "Q": Q, "QY": QY,
        "VA": np.hstack([world.added, np.zeros((len(ADDED), 1))]),
    }  # fmt: skip
    files = {f"Eora26_{year}_bp_{part}.txt": _numbers(rows) for part, rows in numbers.items()}
    indices = {
        f"labels_{part}.txt": iter(lines) for part, lines in _labels(world, accounts).items()
    }
    with _holder(folder, f"Eora26_{year}_bp.zip", form) as write:
        for name, lines in {**files, **(indices if labels == "inside" else {})}.items():
            write(name, lines)
    if labels != "inside":
        with _holder(folder, "indices.zip", "zip") as write:
            for name, lines in indices.items():
                write(name, lines)
    return folder / (f"Eora26_{year}_bp.zip" if form == "zip" else f"Eora26_{year}_bp_T.txt")


def _labels(world: World, accounts: int) -> dict[str, list[str]]:
    named = [(f"Region {area}", area) for area in world.areas]
    last = ("ROW", "ROW")
    industries = [(*pair, "Industries", sector) for pair in named for sector in world.sectors]
    rows = [*(("Other (t)", f"Sort {at}") for at in range(accounts - 2)), (CO2, "Total")]
    return {
        part: ["\t".join(line) + "\t" for line in lines]
        for part, lines in {
            "T": [*industries, (*last, "Industries", "TOTAL")],
            "FD": [(*pair, "Final Demand", use) for pair in (*named, last) for use in USES],
            "VA": [("Primary inputs", kind) for kind in ADDED],
            "Q": [*rows, ("Something else (Gg)", "Total")],
        }.items()
    }


def _numbers(rows: F64) -> Iterator[str]:
    for row in rows:
        yield "\t".join("0" if value == 0 else f"{value:.10g}" for value in row)


@contextmanager
def _holder(folder: Path, name: str, form: str):  # type: ignore[no-untyped-def]
    """A function that writes lines as a file of an archive or of the folder."""

    def lay(stream: TextIO, lines: Iterator[str]) -> None:
        for line in lines:
            stream.write(line + "\n")

    if form == "folder":

        def write(name: str, lines: Iterator[str]) -> None:
            with (folder / name).open("w") as stream:
                lay(stream, lines)

        yield write
        return
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:

        def pack(name: str, lines: Iterator[str]) -> None:
            with (
                archive.open(f"simplified/{name}", "w", force_zip64=True) as raw,
                io.TextIOWrapper(raw, "utf-8") as stream,
            ):
                lay(stream, lines)

        yield pack
