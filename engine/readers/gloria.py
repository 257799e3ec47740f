"""GLORIA, the Global Resource Input-Output Assessment database, as downloaded, folded while read.

One folder holds, as archives or unpacked, for every year `GLORIA_MRIOs_59_2022` with

- `..._120secMother_AllCountries_002_T-Results_2022_059_Markup001(full).csv`: the transactions of a
  multi-region supply and use table in basic prices: for each of 164 regions 120 industries and then
  120 products, as rows and as columns;
- `..._Y-Results_...`: final demand of products by region and category;

`GLORIA_SatelliteAccounts_059_2022` with `..._TQ-Results_...` of industries and `..._YQ-Results_...`
of final consumers; and `GLORIA_ReadMe_059.xlsx`, which names regions, sectors, categories and
satellite accounts. The numbers have no names of their own: their sizes are checked.

Rows of T where products meet industries are the use table U, rows where industries meet products
the supply table V. A symmetric table is made of them by the Eurostat Manual of Supply, Use and
Input-Output Tables (2008, chapter 11, with its letters): product by product by the industry
technology assumption (model B), industry by industry by fixed product sales structures (model D);
g = V 1 is the output of industries, q = U 1 + Y 1 what is used of products:

    B: Z = U diag(g)^-1 V                 E = Q diag(g)^-1 V
    D: Z = V diag(q)^-1 U, Y_D = V diag(q)^-1 Y, E = Q

GLORIA's supply is of one product an industry, so that both are one table but for what U and V do
not balance. Regions and sectors are folded before that, batch by batch of T's rows: a table of
39,360 rows is never in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import scipy.sparse
from pydantic import ConfigDict

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.mrio import MRIO, Labels, Provenance
from engine.readers import labelled
from engine.readers.aggregation import Aggregation, folding_of, hashes, sums_of, weighted
from engine.readers.aggregation import Fold as Folding
from engine.readers.fetched import here, listed
from engine.readers.files import located, sha256
from engine.readers.folding import Columns, add_rows
from engine.readers.labelled import Layout
from engine.readers.opening import members
from engine.readers.selecting import Rows, Selected, refuse_none, selected, units_of
from engine.readers.workbooks import Workbook, workbook
from engine.stores.places import Place, Remote

_NUMBERS = Layout(header=0, index=0)
_HOLDER = re.compile(r"GLORIA_(MRIOs|SatelliteAccounts)_0?(\d\d)a?_((?:19|20)\d\d)(?:\.zip)?", re.I)
_FILE = re.compile(
    r".*120secMother_AllCountries_\d+_(T|Y|TQ|YQ)-Results_((?:19|20)\d\d)_0?(\d\d)a?_"
    r"Markup001\(full\)\.csv",
    re.IGNORECASE,
)
_README = re.compile(r"GLORIA_ReadMe.*\.xlsx", re.IGNORECASE)
_PARTS = ("T", "Y", "TQ", "YQ")
_AGAIN = "download the year again, with the ReadMe of its version"


@dataclass(frozen=True, slots=True)
class Gloria:
    """A series of GLORIA's tables.

    Attributes:
        path: the folder with the years and the ReadMe, as downloaded.
        stressors: the satellite accounts that make up each stressor, by name; an account is called
            `Emissions (EDGAR) - 'GHG_total_EDGAR_consistent'`, by its head and itself.
        system: product by product, or industry by industry.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    path: Path | Remote
    stressors: Mapping[str, Rows]
    system: Literal["pxp", "ixi"] = "pxp"

    def __post_init__(self) -> None:
        refuse_none(self.stressors, extensions=False)


@dataclass(frozen=True, slots=True)
class _Part:
    """A file of numbers: itself, or the member of an archive."""

    path: Path
    member: str = ""

    @property
    def where(self) -> str:
        return f"{self.path}, {self.member}" if self.member else str(self.path)


@dataclass(frozen=True, slots=True)
class _Names:
    """What the ReadMe names, in its order."""

    regions: tuple[str, ...]
    sectors: tuple[str, ...]
    uses: tuple[str, ...]
    accounts: tuple[str, ...]
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Sides:
    """How the rows and columns of T and Y are folded to n industries or products and r regions.

    Attributes:
        kinds: of every row of T, whether it is a product's.
        places: of every row of T, the folded industry or product.
        industries, products: of T's columns.
        demand: of Y's columns.
    """

    kinds: np.ndarray
    places: np.ndarray
    industries: Columns
    products: Columns
    demand: Columns


def years(source: Gloria) -> tuple[int, ...]:
    """The years there are tables of, ascending.

    Raises:
        TableError: there are none.
    """
    found: set[int] = set()
    for name in listed(source.path):
        if (match := _HOLDER.fullmatch(name)) and match[1].lower() == "mrios":
            found.add(int(match[3]))
        elif (match := _FILE.fullmatch(name)) and match[1].upper() == "T":
            found.add(int(match[2]))
    if not found:
        raise TableError(
            "holds no GLORIA",
            where=str(source.path),
            remedy="give the folder with the downloads under their own names, such as "
            "GLORIA_MRIOs_59_2022.zip and GLORIA_SatelliteAccounts_059_2022.zip",
        )
    return tuple(sorted(found))


def read(source: Gloria, year: int, by: Aggregation | None = None) -> MRIO:
    """The table of one year, folded by maps of regions, sectors and stressors while it is read.

    Raises:
        TableError: a file is missing, damaged, or of another size than the ReadMe says; a map is
            malformed, or does not belong to the ReadMe.
    """
    by = by or Aggregation()
    if year not in years(source):
        raise TableError(
            f"holds no GLORIA of {year}",
            where=str(source.path),
            remedy=f"use one of {', '.join(map(str, years(source)))}",
        )
    with located(f"{source.path}, year {year}"):
        readme = _readme(source.path)
        names = _names(readme)
        parts = _parts(source.path, year)
        folding = folding_of(
            by, names.regions, [(region, s) for region in names.regions for s in names.sectors]
        )
        sums = sums_of(by, tuple(source.stressors), units_of(source.stressors))
        sides = _sides(names, folding)
        U, V, stray = _supply_and_use(parts["T"], sides)
        Y, more = _demand(parts["Y"], sides)
        chosen = selected(source.stressors, names.accounts, names.units)
        Q = _account(parts["TQ"], sides.industries, len(sides.kinds), names, chosen)
        F_Y = _account(parts["YQ"], sides.demand, len(sides.demand.taken), names, chosen)
    Z, Y, E, output = _symmetric(source.system, U, V, Y, Q)
    notes = [
        {
            "pxp": "product by product, industry technology assumption (model B)",
            "ixi": "industry by industry, fixed product sales structures (model D)",
        }[source.system]
    ]
    if by.files:
        notes.append(
            f"folded while read: {len(names.regions)} regions to {len(folding.regions)}, "
            f"{len(sides.kinds) // 2} industries to {len(folding.industries)} "
            f"({', '.join(file.name for file in by.files)})"
        )
    if stray + more:
        notes.append(
            f"{stray + more:.6g} thousand USD left out, where neither supply nor use nor final "
            "demand of products is"
        )
    files = dict.fromkeys([readme, *(part.path for part in parts.values())])
    Z.setflags(write=False)  # so that it need not be copied
    return MRIO(
        year=year,
        labels=Labels(
            regions=folding.regions,
            industries=folding.industries,
            stressors=sums.stressors,
            stressor_units=sums.units,
            currency="thousand USD, current basic prices",
        ),
        Z=Z,
        Y=Y,
        E=weighted(E, sums),
        F_Y=weighted(F_Y, sums),
        published_output=output,
        provenance=Provenance(
            source="; ".join([f"GLORIA, {parts['T'].member or parts['T'].path.name}", *notes]),
            version=readme.stem.removeprefix("GLORIA_ReadMe_") or "not stated",
            licence="GLORIA's licence: free for non-commercial use, with a login",
            files=(*((path.name, sha256(path)) for path in files), *hashes(by)),
        ),
    )


def _symmetric(
    system: str, U: F64, V: scipy.sparse.csr_array, Y: F64, Q: F64
) -> tuple[F64, F64, F64, F64]:
    """Z (n,n), Y (n,r), E (k,n) and output as supplied, (n,), by model B or D; U is used up."""
    g = np.asarray(V.sum(axis=1)).ravel()
    if system == "pxp":
        shares = _divided_rows(V, g)  # of an industry's output, by product
        return _right(U, shares), Y, _right(Q, shares), np.asarray(V.sum(axis=0)).ravel()
    q = U.sum(axis=1) + Y.sum(axis=1)
    shares = _divided_rows(V.T.tocsr(), q).T.tocsr()  # of what is used of a product, by industry
    return shares @ U, shares @ Y, Q, g


def _right(left: F64, right: scipy.sparse.csr_array) -> F64:
    product: F64 = np.ascontiguousarray((right.T @ left.T).T)
    return product


def _divided_rows(matrix: scipy.sparse.csr_array, by: F64) -> scipy.sparse.csr_array:
    """Each row over its number, zero where that is zero."""
    inverse = np.divide(1.0, by, out=np.zeros_like(by), where=by != 0)
    return scipy.sparse.csr_array(scipy.sparse.diags_array(inverse) @ matrix)


def _sides(names: _Names, folding: Folding) -> _Sides:
    s, r, n = len(names.sectors), len(names.regions), len(folding.industries)
    rows = np.arange(2 * r * s)
    kinds = rows // s % 2 == 1
    places = folding.industry_of[rows // (2 * s) * s + rows % s]
    uses = len(names.uses)
    return _Sides(
        kinds,
        places,
        Columns(np.flatnonzero(~kinds).tolist(), places[~kinds].tolist(), n),
        Columns(np.flatnonzero(kinds).tolist(), places[kinds].tolist(), n),
        Columns(range(r * uses), np.repeat(folding.region_of, uses).tolist(), len(folding.regions)),
    )


def _supply_and_use(part: _Part, sides: _Sides) -> tuple[F64, scipy.sparse.csr_array, float]:
    """U (n,n), V (n,n), and what lies in neither."""
    n, width = sides.products.size, len(sides.kinds)
    U = np.zeros((n, n))
    supply: list[scipy.sparse.coo_array] = []
    stray = 0.0
    for first, rows in _batches(part, width, width):
        product = sides.kinds[first : first + len(rows)]
        places = sides.places[first : first + len(rows)]
        for mine, columns, others in (
            (product, sides.industries, sides.products),
            (~product, sides.products, sides.industries),
        ):
            some = rows[mine]
            stray += float(np.abs(some[:, others.taken]).sum())
            folded = columns.of(some)
            if columns is sides.industries:
                add_rows(U, folded, places[mine].tolist())
                continue
            at, to = np.nonzero(folded)
            supply.append(
                scipy.sparse.coo_array((folded[at, to], (places[mine][at], to)), shape=(n, n))
            )
    data = np.concatenate([some.data for some in supply])
    at = np.concatenate([some.coords[0] for some in supply])
    to = np.concatenate([some.coords[1] for some in supply])
    V = scipy.sparse.csr_array(scipy.sparse.coo_array((data, (at, to)), shape=(n, n)))
    return U, V, stray


def _demand(part: _Part, sides: _Sides) -> tuple[F64, float]:
    """Final demand of products, (n,r), and what there is of industries."""
    Y = np.zeros((sides.products.size, sides.demand.size))
    stray = 0.0
    for first, rows in _batches(part, len(sides.kinds), len(sides.demand.taken)):
        product = sides.kinds[first : first + len(rows)]
        stray += float(np.abs(rows[~product]).sum())
        places = sides.places[first : first + len(rows)][product]
        add_rows(Y, sides.demand.of(rows[product]), places.tolist())
    return Y, stray


def _account(part: _Part, columns: Columns, width: int, names: _Names, chosen: Selected) -> F64:
    """Stressors by folded column, (k, columns); no other column may hold any."""
    total = np.zeros((chosen.stressors, width))
    for first, rows in _batches(part, len(names.accounts), width):
        chosen.add(total, first, rows)
    if np.delete(total, np.asarray(columns.taken), axis=1).any():
        raise TableError(
            "has emissions of products, which GLORIA has of industries alone",
            where=part.where,
            remedy=_AGAIN,
        )
    return columns.of(total)


def _batches(part: _Part, height: int, width: int) -> Iterator[tuple[int, F64]]:
    """Rows of numbers, some at a time, with the number of the first; as many as have names."""
    done = 0
    with located(part.where):
        if (found := len(labelled.columns(part.path, _NUMBERS, member=part.member))) != width:
            raise TableError(f"has {found} columns, the ReadMe {width}", remedy=_AGAIN)
        for _, rows in labelled.batches(part.path, _NUMBERS, member=part.member):
            if done + len(rows) > height:
                raise TableError(f"has more than the {height} rows of the ReadMe", remedy=_AGAIN)
            yield done, rows
            done += len(rows)
        if done != height:
            raise TableError(f"has {done} rows, the ReadMe {height}", remedy=_AGAIN)


def _readme(folder: Place) -> Path:
    found = [name for name in listed(folder) if _README.fullmatch(name)]
    if len(found) != 1:
        raise TableError(
            f"holds {len(found)} workbooks GLORIA_ReadMe_....xlsx",
            where=str(folder),
            remedy="put the one of this version there, as downloaded",
        )
    return here(folder / found[0])


def _names(readme: Path) -> _Names:
    with workbook(readme) as book:
        regions = _column(book, "Regions", "Region_acronyms")
        sectors = _column(book, "Sectors", "Sector_names")
        uses = _column(book, "Value added and final demand", "Final_demand_names")
        heads, accounts, units = (
            _column(book, "Satellites", name)
            for name in ("Sat_head_indicator", "Sat_indicator", "Sat_unit")
        )
    if not len(heads) == len(accounts) == len(units):
        raise TableError(
            "its sheet Satellites has gaps", where=str(readme), remedy="download it again"
        )
    named = tuple(f"{head} - {account}" for head, account in zip(heads, accounts, strict=True))
    return _Names(regions, sectors, uses, named, units)


def _column(book: Workbook, sheet: str, name: str) -> tuple[str, ...]:
    """The texts of a column, by its name in the first row."""
    first, *rows = book.rows(sheet)
    header = [str(cell).strip() for cell in first]
    if header.count(name) != 1:
        raise TableError(
            f"has {header.count(name)} columns {name!r} in its sheet {sheet!r}",
            remedy="use the ReadMe as downloaded",
        )
    at = header.index(name)
    cells = [str(row[at]).strip() for row in rows]
    while cells and not cells[-1]:
        cells.pop()
    if not cells or not all(cells):
        raise TableError(
            f"has gaps in column {name!r} of its sheet {sheet!r}",
            remedy="use the ReadMe as downloaded",
        )
    return tuple(cells)


def _parts(folder: Place, year: int) -> dict[str, _Part]:
    """The four files of a year, wherever they lie."""
    found: dict[str, _Part] = {}

    def add(name: str, part: _Part) -> None:
        match = _FILE.fullmatch(name)
        if match is None or int(match[2]) != year:
            return
        kind = match[1].upper()
        if kind in found:
            raise TableError(
                f"{found[kind].where} and {part.where} are both {kind} of {year}",
                remedy="keep one version, once, in a folder",
            )
        found[kind] = part

    for name in listed(folder):
        place = folder / name
        match = _HOLDER.fullmatch(name)
        if match and int(match[3]) == year and name.lower().endswith(".zip"):
            path = here(place)
            for member in members(path):
                add(PurePosixPath(member).name, _Part(path, member))
        elif match and int(match[3]) == year:
            for inner in listed(place):
                add(inner, _Part(here(place / inner)))
        elif _FILE.fullmatch(name):
            add(name, _Part(here(place)))
    if missing := [kind for kind in _PARTS if kind not in found]:
        raise TableError(
            f"lacks the file{'s' if missing[1:] else ''} {', '.join(missing)} of {year}",
            remedy="put GLORIA_MRIOs_... and GLORIA_SatelliteAccounts_... of the year there, as "
            "downloaded",
        )
    return found
