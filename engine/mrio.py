"""One year's multi-regional input-output table, checked once; nothing downstream checks again.

The policy for what real tables contain (reported for every table, never repaired in silence):

- output is `x := Z 1 + Y 1`; a published output that differs is reported, not used;
- an industry with `x <= 0` is inactive: zero column of coefficients and zero intensity. What it
  emits and what it buys are in no footprint (emissions are conserved but for them), and reported;
- negative cells keep their sign; zeros are exact;
- coefficient column sums above one are allowed as long as the spectral radius is certified.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeGuard

import numpy as np

from engine.errors import TableError
from engine.kernels.arrays import F64, Bool
from engine.kernels.leontief import output


@dataclass(frozen=True, slots=True)
class Labels:
    """What the rows and columns are called.

    Attributes:
        regions: the r consuming regions, in the order of the columns of `Y` and `F_Y`.
        industries: the n (region, sector) pairs, in the order of the rows and columns of `Z`.
        stressors: the k stressors, in the order of the rows of `E` and `F_Y`.
        stressor_units: the unit of each stressor.
        currency: the unit of `Z` and `Y`, with its price basis ("million EUR, current prices").
    """

    regions: tuple[str, ...]
    industries: tuple[tuple[str, str], ...]
    stressors: tuple[str, ...]
    stressor_units: tuple[str, ...]
    currency: str

    def __post_init__(self) -> None:
        _refuse_repeats("region", self.regions)
        _refuse_repeats("industry", self.industries)
        _refuse_repeats("stressor", self.stressors)
        if len(self.stressors) != len(self.stressor_units):
            raise TableError(
                f"{len(self.stressors)} stressors but {len(self.stressor_units)} units",
                remedy="give every stressor exactly one unit",
            )
        homeless = sorted({region for region, _ in self.industries} - set(self.regions))
        if homeless:
            raise TableError(
                f"industries lie in regions without a final demand column: {', '.join(homeless)}",
                remedy="name every producing region among the consuming regions",
            )

    @property
    def sectors(self) -> tuple[str, ...]:
        """The sector names, each once, in order of first appearance."""
        return tuple(dict.fromkeys(sector for _, sector in self.industries))


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a table comes from. `synthetic` tables say so wherever they show.

    `source` is what the table is called, and after it, each after "; ", what had to be assumed.
    `lacking` holds the (stressor, region) pairs that the accounts do not know and that are taken as
    emitting nothing; they stay when regions are folded. `accounts` holds (stressor, file, regions)
    where a region's emissions may come from one account or another.
    """

    source: str
    version: str
    licence: str
    synthetic: bool = False
    files: tuple[tuple[str, str], ...] = ()  # (file name, sha256 of its bytes)
    lacking: tuple[tuple[str, str], ...] = ()
    accounts: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


def called(tables: Iterable[tuple[str, str]]) -> str:
    """What tables are called, by their sources and versions, and then what had to be assumed.

    Every year has its own; what years have in common is said once.
    """
    names: dict[str, None] = {}
    assumed: dict[str, None] = {}
    for source, version in tables:
        name, *notes = source.split("; ")
        names[f"{name} {version}".strip()] = None
        assumed |= dict.fromkeys(notes)
    return "; ".join([*names, *assumed])


@dataclass(frozen=True, eq=False)
class MRIO:
    """One year's table. Arrays are float64 and read-only; one that is given so is not copied.

    Attributes:
        year: the year the table describes.
        Z: intermediate deliveries, (n,n), in `labels.currency`.
        Y: final demand by consuming region, categories summed, (n,r), in `labels.currency`.
        E: emissions of industries, (k,n), in `labels.stressor_units`.
        F_Y: direct emissions of final consumers, (k,r), in `labels.stressor_units`.
        published_output: the publisher's own output, (n,), where the files hold one.
    """

    year: int
    labels: Labels
    Z: F64
    Y: F64
    E: F64
    F_Y: F64
    provenance: Provenance
    published_output: F64 | None = field(default=None)

    def __post_init__(self) -> None:
        n, r, k = (
            len(self.labels.industries),
            len(self.labels.regions),
            len(self.labels.stressors),
        )
        shapes = {"Z": (n, n), "Y": (n, r), "E": (k, n), "F_Y": (k, r)}
        for name, shape in shapes.items():
            object.__setattr__(self, name, self._checked(name, getattr(self, name), shape))
        if self.published_output is not None:
            checked = self._checked("published_output", self.published_output, (n,))
            object.__setattr__(self, "published_output", checked)

    def _checked(self, name: str, values: object, shape: tuple[int, ...]) -> F64:
        where = f"year {self.year}, {name}"
        try:
            array = values if _is_kept(values) else np.array(values, dtype=np.float64, order="C")
        except (TypeError, ValueError) as error:
            raise TableError(
                f"is not an array of numbers ({error})",
                where=where,
                remedy=f"give numbers of shape {shape}",
            ) from error
        if array.shape != shape:
            raise TableError(
                f"has shape {array.shape}, the labels ask for {shape}",
                where=where,
                remedy="check that the table and its labels belong together",
            )
        if not all(np.isfinite(row).all() for row in array):  # a row at a time: Z may be a gigabyte
            bad = np.argwhere(~np.isfinite(array))
            cell = tuple(int(index) for index in bad[0])
            raise TableError(
                f"{self._cell(name, cell)} is {array[cell]}, and {len(bad) - 1} cells more are "
                "not finite",
                where=where,
                remedy="fill the cell at its source; a missing value is never read as zero",
            )
        array.setflags(write=False)
        return array

    def _cell(self, name: str, cell: tuple[int, ...]) -> str:
        axes: dict[str, tuple[Sequence[object], ...]] = {
            "Z": (self.labels.industries, self.labels.industries),
            "Y": (self.labels.industries, self.labels.regions),
            "E": (self.labels.stressors, self.labels.industries),
            "F_Y": (self.labels.stressors, self.labels.regions),
            "published_output": (self.labels.industries,),
        }
        names = (_spell(axis[index]) for axis, index in zip(axes[name], cell, strict=True))
        return f"cell ({', '.join(names)})"

    @cached_property
    def x(self) -> F64:
        """Output `Z 1 + Y 1`, (n,)."""
        x = output(self.Z, self.Y)
        x.setflags(write=False)
        return x

    @cached_property
    def active(self) -> Bool:
        """Industries with positive output, (n,)."""
        active: Bool = self.x > 0
        active.setflags(write=False)
        return active

    @cached_property
    def sha256(self) -> str:
        """Hash of labels and numbers: two tables with the same hash give the same footprints."""
        digest = hashlib.sha256(repr((self.year, self.labels)).encode())
        for array in (self.Z, self.Y, self.E, self.F_Y):
            digest.update(np.ascontiguousarray(array, dtype="<f8").data)
        return digest.hexdigest()


def _is_kept(values: object) -> TypeGuard[F64]:
    """Whether an array may be a table's as it is: nobody can write to it, nor to what it views."""
    return (
        type(values) is np.ndarray
        and values.dtype == np.float64
        and values.flags.c_contiguous
        and values.flags.owndata
        and not values.flags.writeable
    )


UNBALANCED = "row sums that differ from the published output, row sums used"
SILENT = "regions that produce and emit nothing, so that what they sell is free of emissions"
_NAMED = 8  # regions that a finding names


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a table that the stated policy handles and the user should know."""

    kind: str
    count: int
    detail: str


def findings(table: MRIO) -> list[Finding]:
    """What the policy at the top of this module had to handle in `table`, the worst cell named."""
    industries = table.labels.industries
    inactive = ~table.active
    found = []

    def note(kind: str, where: Bool, detail: str) -> None:
        if where.any():
            found.append(Finding(kind, int(where.sum()), detail))

    names = ", ".join(_spell(industries[i]) for i in np.flatnonzero(inactive)[:5])
    note("inactive industries", inactive, f"output not positive: {names}")
    negative = table.x < 0
    note("negative outputs", negative, f"lowest {table.x.min():.6g}")
    stranded = inactive & (table.E != 0).any(axis=0)
    lost = "; ".join(
        f"{amount:.6g} {unit} {stressor}"
        for stressor, unit, amount in zip(
            table.labels.stressors,
            table.labels.stressor_units,
            table.E[:, inactive].sum(axis=1),
            strict=True,
        )
        if amount
    )
    note("emissions of inactive industries, excluded", stranded, lost)
    bought = np.where(inactive, table.Z.sum(axis=0), 0.0)
    note(
        "purchases of inactive industries, excluded",
        bought != 0,
        f"{bought.sum():.6g} {table.labels.currency}; what was emitted for them is in no footprint",
    )
    for name in ("Z", "Y", "E", "F_Y"):
        values = getattr(table, name)
        if values.size:
            cell = tuple(int(i) for i in np.unravel_index(values.argmin(), values.shape))
            note(
                f"negative cells of {name}, sign kept",
                values < 0,
                f"lowest {values[cell]:.6g} at {table._cell(name, cell)}",
            )
    used = np.where(table.active, table.Z.sum(axis=0), 0.0)
    share = np.divide(used, table.x, out=np.zeros_like(used), where=table.active)
    note(
        "coefficient column sums above 1",
        share > 1,
        f"highest {share.max():.4g} at {_spell(industries[int(share.argmax())])}",
    )
    if (mute := silent(table)) is not None:
        found.append(mute)
    if table.published_output is not None:
        gap = np.abs(table.x - table.published_output)
        tight = 1e-9 * np.maximum(np.abs(table.x), 1.0)
        worst = int(gap.argmax())
        note(
            UNBALANCED,
            gap > tight,
            f"largest {gap[worst]:.6g} at {_spell(industries[worst])}",
        )
    return found


def silent(table: MRIO) -> Finding | None:
    """Regions whose industries produce and emit none of a stressor, None where there are none.

    An account that lacks a region makes the footprints of all who buy from it too small, which no
    draw can tell: whatever shows a footprint shows this. A region that is lacking and sells nothing
    does no harm.
    """
    regions = table.labels.regions
    place = {region: at for at, region in enumerate(regions)}
    home = np.array([place[region] for region, _ in table.labels.industries], dtype=np.intp)
    output = np.bincount(home, np.maximum(table.x, 0.0), len(regions))
    told: list[str] = []
    seen: set[tuple[str, str]] = set()
    for stressor, row in zip(table.labels.stressors, table.E, strict=True):
        found = np.flatnonzero((output > 0) & (np.bincount(home, row != 0, len(regions)) == 0))
        if found.size:
            seen |= {(stressor, regions[at]) for at in found}
            more = f" and {found.size - _NAMED} more" if found.size > _NAMED else ""
            share = output[found].sum() / output.sum()
            names = " ".join(regions[at] for at in found[:_NAMED])
            told.append(f"{stressor}: {names}{more} ({share:.2%} of all output)")
    idle = {region for region, made in zip(regions, output, strict=True) if made <= 0}
    for stressor, region in table.provenance.lacking:
        if (stressor, region) not in seen and region not in idle:
            seen.add((stressor, region))
            told.append(f"{stressor}: {region}, before it was folded with others")
    return Finding(SILENT, len(seen), "; ".join(told)) if told else None


def silent_in(found: Mapping[str, Sequence[Mapping[str, object]]]) -> str:
    """The words of such a finding, of the last year that has one; `found` are fields, by year."""
    of = {
        year: one["detail"] for year, some in found.items() for one in some if one["kind"] == SILENT
    }
    if not of:
        return ""
    others = len(of) - 1
    also = f" and {others} more year{'s' * (others > 1)}" if others else ""
    return f"{SILENT}: {of[max(of)]}, in {max(of)}{also}"


def _spell(label: object) -> str:
    return " ".join(label) if isinstance(label, tuple) else str(label)


def _refuse_repeats(kind: str, names: Iterable[object]) -> None:
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise TableError(
            f"{kind} {_spell(repeated[0])} appears more than once",
            remedy=f"every {kind} needs a name of its own",
        )
