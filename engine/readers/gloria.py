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
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import scipy.sparse
from pydantic import ConfigDict

from engine.errors import TableError
from engine.kernels.arrays import F64, I64, Bool
from engine.mrio import MRIO, Labels, Provenance
from engine.readers.aggregation import Aggregation, folding_of, hashes, sums_of, weighted
from engine.readers.aggregation import Fold as Folding
from engine.readers.fetched import below, here, listed, made_up
from engine.readers.files import located, refuse_absent, sha256
from engine.readers.folding import Columns, add_rows
from engine.readers.nameless import Sheet, Size, numbers
from engine.readers.nearest import nearest
from engine.readers.opening import members
from engine.readers.selecting import (
    Rows,
    Selected,
    refuse_extensions,
    refuse_none,
    selected,
    units_of,
)
from engine.readers.workbooks import Workbook, workbook
from engine.stores.places import Place, Remote

_HOLDER = re.compile(r"GLORIA_(MRIOs|SatelliteAccounts)_0?(\d\d)a?_((?:19|20)\d\d)(?:\.zip)?", re.I)
_FILE = re.compile(
    r".*120secMother_AllCountries_\d+_(T|Y|TQ|YQ)-Results_((?:19|20)\d\d)_0?(\d\d)a?_"
    r"Markup001\(full\)\.csv",
    re.IGNORECASE,
)
_README = re.compile(r"GLORIA_ReadMe(?:_0?(\d\d)a?)?.*\.xlsx", re.IGNORECASE)
_PARTS = ("T", "Y", "TQ", "YQ")
_SYSTEMS = {
    "pxp": "product by product, industry technology assumption (model B)",
    "ixi": "industry by industry, fixed product sales structures (model D)",
}
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
        refuse_none(self.stressors)
        refuse_extensions(self.stressors)


@dataclass(frozen=True, slots=True)
class _Names:
    """What the ReadMe, which is called `readme`, names, in its order."""

    readme: str
    regions: tuple[str, ...]
    sectors: tuple[str, ...]
    uses: tuple[str, ...]
    accounts: tuple[str, ...]
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Sides:
    """How the rows and columns of T and Y are folded to n industries or products and r regions.

    Attributes:
        size: n.
        products: of every row and column of T, whether it is a product's.
        places: of every row and column of T, the folded industry or product.
        industries: of T's columns.
        demand: of Y's columns.
    """

    size: int
    products: Bool
    places: I64
    industries: Columns
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
    refuse_absent(year, years(source), where=source.path, what="GLORIA")
    with located(f"{source.path}, year {year}"):
        sheets, version = _sheets(source.path, year)
        readme, its = _readme(source.path)
        if its not in (None, version):
            raise TableError(
                f"{readme.name} names the rows of release {its}, the numbers are of {version}",
                remedy="put the ReadMe of the numbers' own release there, as downloaded",
            )
        names = _names(readme)
        folding = folding_of(
            by, names.regions, [(region, s) for region in names.regions for s in names.sectors]
        )
        sums = sums_of(by, tuple(source.stressors), units_of(source.stressors))
        sides = _sides(names, folding)
        chosen = selected(source.stressors, names.accounts, names.units)
        U, V, stray = _supply_and_use(sheets["T"], sides, names)
        Y, more = _demand(sheets["Y"], sides, names)
        Q = _account(sheets["TQ"], sides.industries, len(sides.places), names, chosen)
        F_Y = _account(sheets["YQ"], sides.demand, len(sides.demand.taken), names, chosen)
    idle = np.asarray(V.sum(axis=1)).ravel() == 0
    unsold = _unsold(source, idle, U, Q) if source.system == "pxp" else []
    Z, Y, E, output = _symmetric(source.system, U, V, Y, Q)
    notes = [_SYSTEMS[source.system], *_folded(by, names, folding)]
    if stray + more:
        notes.append(
            f"{stray + more:.6g} thousand USD left out, where neither supply nor use nor final "
            "demand of products is"
        )
    notes += unsold
    files = dict.fromkeys([readme, *(sheet.path for sheet in sheets.values())])
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
            source="; ".join(["GLORIA", *notes]),
            version=f"release {readme.stem.removeprefix('GLORIA_ReadMe').strip('_') or version}",
            licence="GLORIA's licence: free for non-commercial use, with a login",
            synthetic=made_up(source.path),
            files=(*((path.name, sha256(path)) for path in files), *hashes(by)),
        ),
    )


def _folded(by: Aggregation, names: _Names, folding: Folding) -> list[str]:
    """What the maps did, where there are any."""
    if not by.files:
        return []
    industries = len(names.regions) * len(names.sectors)
    return [
        f"folded while read: {len(names.regions)} regions to {len(folding.regions)}, {industries} "
        f"industries to {len(folding.industries)} ({', '.join(file.name for file in by.files)})"
    ]


def write_region_map(folder: str | Path, apart: Sequence[str], rest: str = "World") -> Path:
    """Write `regions.csv` beside a download: some regions as they are, all others as one.

    Args:
        folder: with the ReadMe, which names the regions.
        apart: regions that stay, by their acronyms.
        rest: what the others become.

    Raises:
        TableError: the ReadMe is missing or damaged, or has no such region.
    """
    readme, _ = _readme(Path(folder))
    names = _names(readme).regions
    for region in apart:
        if region not in names:
            raise TableError(
                f"names no region {region}", where=str(readme), remedy=nearest(region, names)
            )
    lines = [f"{name},{name if name in apart else rest}\n" for name in names]
    file = Path(folder, "regions.csv")
    file.write_text("".join(["from,to\n", *lines]), encoding="utf-8")
    return file


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


def _unsold(source: Gloria, idle: Bool, U: F64, Q: F64) -> list[str]:
    """What industries without supply buy and emit, which is of no product."""
    lost = [f"buy {U[:, idle].sum():.6g} thousand USD"] if U[:, idle].any() else []
    lost += [
        f"emit {amount:.6g} {asked.unit} {name}"
        for (name, asked), amount in zip(
            source.stressors.items(), Q[:, idle].sum(axis=1), strict=True
        )
        if amount
    ]
    return [f"left out, of industries that supply nothing: they {', '.join(lost)}"] if lost else []


def _sides(names: _Names, folding: Folding) -> _Sides:
    s, r, n = len(names.sectors), len(names.regions), len(folding.industries)
    rows = np.arange(2 * r * s)
    products = rows // s % 2 == 1
    places = folding.industry_of[rows // (2 * s) * s + rows % s]
    uses = len(names.uses)
    return _Sides(
        n,
        products,
        places,
        Columns(np.flatnonzero(~products).tolist(), places[~products].tolist(), n),
        Columns(range(r * uses), np.repeat(folding.region_of, uses).tolist(), len(folding.regions)),
    )


def _supply_and_use(
    sheet: Sheet, sides: _Sides, names: _Names
) -> tuple[F64, scipy.sparse.csr_array, float]:
    """U (n,n), V (n,n), and what lies in neither."""
    n, width = sides.size, len(sides.places)
    U = np.zeros((n, n))
    supplies: list[tuple[I64, I64, F64]] = []
    stray = 0.0
    for first, rows in numbers(sheet, ",", Size(width, width, names.readme)):
        at, to = np.nonzero(rows)  # most of the table is empty
        values, at = rows[at, to], at + first
        use = sides.products[at] & ~sides.products[to]
        supply = ~sides.products[at] & sides.products[to]
        np.add.at(U, (sides.places[at[use]], sides.places[to[use]]), values[use])
        supplies.append((sides.places[at[supply]], sides.places[to[supply]], values[supply]))
        stray += float(np.abs(values[~(use | supply)]).sum())
    industries, products, values = map(np.concatenate, zip(*supplies, strict=True))
    V = scipy.sparse.coo_array((values, (industries, products)), shape=(n, n))
    return U, scipy.sparse.csr_array(V), stray


def _demand(sheet: Sheet, sides: _Sides, names: _Names) -> tuple[F64, float]:
    """Final demand of products, (n,r), and what there is of industries."""
    Y = np.zeros((sides.size, sides.demand.size))
    stray = 0.0
    size = Size(len(sides.places), len(sides.demand.taken), names.readme)
    for first, rows in numbers(sheet, ",", size):
        product = sides.products[first : first + len(rows)]
        stray += float(np.abs(rows[~product]).sum())
        places = sides.places[first : first + len(rows)][product]
        add_rows(Y, sides.demand.of(rows[product]), places.tolist())
    return Y, stray


def _account(sheet: Sheet, columns: Columns, width: int, names: _Names, chosen: Selected) -> F64:
    """Stressors by folded column, (k, columns); no other column may hold any."""
    total = np.zeros((chosen.stressors, width))
    for first, rows in numbers(sheet, ",", Size(len(names.accounts), width, names.readme)):
        chosen.add(total, first, rows)
    if np.delete(total, np.asarray(columns.taken), axis=1).any():
        raise TableError(
            "has emissions of products, which GLORIA has of industries alone",
            where=sheet.where,
            remedy=_AGAIN,
        )
    return columns.of(total)


def _readme(folder: Place) -> tuple[Path, str | None]:
    """The workbook of names, and the release of which it is, if it says so."""
    found = {name: match[1] for name in listed(folder) if (match := _README.fullmatch(name))}
    if len(found) != 1:
        raise TableError(
            f"holds {len(found)} workbooks GLORIA_ReadMe_....xlsx",
            where=str(folder),
            remedy="put the one of this version there, as downloaded",
        )
    ((name, release),) = found.items()
    return here(folder / name), release


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
    for what, names in (("region", regions), ("sector", sectors)):
        if repeated := [name for name, times in Counter(names).items() if times > 1]:
            raise TableError(
                f"names the {what} {repeated[0]} twice", where=str(readme), remedy=_AGAIN
            )
    named = tuple(f"{head} - {account}" for head, account in zip(heads, accounts, strict=True))
    return _Names(readme.name, regions, sectors, uses, named, units)


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


def _sheets(folder: Place, year: int) -> tuple[dict[str, Sheet], str]:
    """The four files of a year, wherever they lie, and the version they are all of."""
    found: dict[str, Sheet] = {}
    versions: dict[str, str] = {}

    def add(name: str, sheet: Sheet) -> None:
        match = _FILE.fullmatch(name)
        if match is None or int(match[2]) != year:
            return
        kind = match[1].upper()
        if kind in found:
            raise TableError(
                f"{found[kind].where} and {sheet.where} are both {kind} of {year}",
                remedy="keep one version, once, in a folder",
            )
        found[kind], versions[kind] = sheet, match[3]

    for name in listed(folder):
        place = folder / name
        match = _HOLDER.fullmatch(name)
        if match and int(match[3]) == year and name.lower().endswith(".zip"):
            path = here(place)
            for member in members(path):
                add(PurePosixPath(member).name, Sheet(path, member))
        elif match and int(match[3]) == year:
            for inner in below(place):  # some keep a folder for each kind of prices
                if _FILE.fullmatch(file := PurePosixPath(inner).name):
                    add(file, Sheet(here(place / inner)))
        elif _FILE.fullmatch(name):
            add(name, Sheet(here(place)))
    if missing := [kind for kind in _PARTS if kind not in found]:
        raise TableError(
            f"lacks the file{'s' if missing[1:] else ''} {', '.join(missing)} of {year}",
            remedy="put GLORIA_MRIOs_... and GLORIA_SatelliteAccounts_... of the year there, as "
            "downloaded",
        )
    if len(set(versions.values())) > 1:
        told = ", ".join(f"{kind} of {versions[kind]}" for kind in _PARTS)
        raise TableError(
            f"the files of {year} are of several releases: {told}",
            remedy="download the year's tables and satellite accounts of one release",
        )
    return found, versions["T"]
