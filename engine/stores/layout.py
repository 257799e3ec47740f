"""How an ensemble lies in a Zarr hierarchy: its arrays, their chunks, and nothing else.

    footprint[draw, year, stressor, consumer, part]      float64
    linear[draw, year, stressor, consumer, part]         float64, its first-order change
    G[draw, year, stressor, consumer, part]              float64, the normal part of that
    status[draw, year]                                   uint8, `engine.draws.Status`
    certified_error[draw, year]                          float64, see below
    corrections[draw, year]                              uint8, 255 where solved directly
    column_sums_above_one[draw, year]                    int32
    reference[year, stressor, consumer, part]            float64, without errors
    first_order_covariance[year, with_year, stressor, consumer, part]   float64, of G

in split mode

    exact[draw, year, stressor, consumer, part]          float64, of the first draws; NaN elsewhere

where every draw is balanced back to the published margins (`linear` and `G` are then NaN, and there
is no `first_order_covariance`)

    footprint_unbalanced[draw, year, stressor, consumer, part]   float64, of the same cells as drawn

and, where consumers ask for their origins, industries or products,

    by_origin[draw, year, stressor, origin_consumer, origin]            float64
    by_industry[draw, year, stressor, industry_consumer, industry]      float64
    by_product[draw, year, stressor, product_consumer, product]         float64
    by_origin_reference, by_industry_reference, by_product_reference    the same without draw

`certified_error` bounds the error of an exact draw. In split mode nothing bounds it: the array then
holds the last term of the series relative to the total, which is larger than what the series leaves
out as long as the terms shrink; a draw whose last term is above one per cent is solved exactly. It
says nothing of the noise that was cut. `exact` measures both together, for changes too, where most
of both cancels; `not assessed` goes by that measure, and a contribution's by the last terms. Of a
balanced draw it is the bound and, no bound, what balancing left undone, one on top of the other.

One block is exactly one chunk of each array that has draws, so that no two writers ever meet in a
file. Chunks are compressed with a checksum, always written even if all alike, and never sharded.
Unwritten draws read as NaN, status `NOT_COMPUTED`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.draws import Status
from engine.kernels.arrays import F64
from engine.plan import Block
from engine.stores.identity import JSON

NOT_COMPUTED = 255  # the status of a draw that is not there yet
BLOCK_ARRAYS = (
    "footprint",
    "linear",
    "G",
    "status",
    "certified_error",
    "corrections",
    "column_sums_above_one",
)
CONTRIBUTIONS = ("by_origin", "by_industry", "by_product")
UNBALANCED = "footprint_unbalanced"
OPTIONAL = ("exact", UNBALANCED, *CONTRIBUTIONS)  # arrays with draws that only some ensembles have
LABELS = ("stressor", "consumer", "part")
_PLACES = (
    *("origin_consumer", "origin", "product_consumer", "product"),
    *("industry_consumer", "industry_region", "industry_sector"),
)
TEXTS = (*LABELS, "stressor_unit", *_PLACES)  # every coordinate of text an ensemble may have
_DRAWS_A_CHUNK = 65536  # of the coordinate `draw`, which is no block's and grows in place
_BOUND = "certified bound on the relative error of the totals"
_LINEAR = "first-order change of the footprint by the draw's errors"
_GAUSSIAN = "normal part of the first-order change"
_CORRECTIONS = "corrections of the estimate's solution; 255: solved directly"
_LAST_TERM = "last term of the series relative to the totals, in the place of a certified bound"
_COVARIANCE = "covariance of G between years in closed form"
_EXACT = "footprint of the draws that were also computed exactly"
_UNBALANCED = "footprint of the same draw without balancing it to the published margins"
_ABOVE_ONE = "industries whose coefficients add up to more than one"
_STATUS = {status.name.lower(): int(status) for status in Status} | {"not_computed": NOT_COMPUTED}


@dataclass(frozen=True, slots=True)
class Axes:
    """Everything an ensemble extends over but its draws; fixed for its life.

    Attributes:
        stressor_units: the unit of each stressor.
        block: draws a block, and a chunk.
        origin_consumers, industry_consumers, product_consumers: whose footprints are told by
            origin, by industry, by product.
        origins: the regions; empty if nobody asks for them.
        industries: region and sector of each; empty likewise.
        products: the sectors; empty likewise.
        exact_draws: in split mode, how many draws a year are also computed exactly; else 0.
        first_order: whether the covariance of G is known and kept.
        rebalanced: whether draws are balanced, and their footprints without that kept as well.
    """

    years: tuple[int, ...]
    stressors: tuple[str, ...]
    stressor_units: tuple[str, ...]
    consumers: tuple[str, ...]
    parts: tuple[str, ...]
    block: int
    origin_consumers: tuple[str, ...] = ()
    industry_consumers: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    industries: tuple[tuple[str, str], ...] = ()
    product_consumers: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    exact_draws: int = 0
    first_order: bool = False
    rebalanced: bool = False

    @property
    def contributions(self) -> tuple[str, ...]:
        """Which of `CONTRIBUTIONS` there are."""
        asked = (self.origin_consumers, self.industry_consumers, self.product_consumers)
        return tuple(name for name, whose in zip(CONTRIBUTIONS, asked, strict=True) if whose)

    @property
    def block_arrays(self) -> tuple[str, ...]:
        """Every array with draws."""
        exact = ("exact",) if self.exact_draws else ()
        unbalanced = (UNBALANCED,) if self.rebalanced else ()
        return (*BLOCK_ARRAYS, *exact, *unbalanced, *self.contributions)

    @property
    def growing(self) -> tuple[str, ...]:
        """Everything with the dimension `draw`."""
        return (*self.block_arrays, "draw")

    @property
    def references(self) -> tuple[str, ...]:
        """The arrays of what the estimates give."""
        known = ("first_order_covariance",) if self.first_order else ()
        return ("reference", *known, *(f"{name}_reference" for name in self.contributions))

    @property
    def cells(self) -> tuple[int, int, int]:
        """Stressors, consumers and parts: the shape of one footprint."""
        return len(self.stressors), len(self.consumers), len(self.parts)

    def plain(self) -> dict[str, JSON]:
        """As JSON knows it, without what nobody asked for."""
        plain: dict[str, JSON] = json.loads(json.dumps(asdict(self)))
        return {name: value for name, value in plain.items() if value not in ([], 0)}

    @classmethod
    def parsed(cls, plain: Mapping[str, Any]) -> Axes:
        """The axes that `plain` came from."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in plain.items()
        }
        fields["industries"] = tuple((r, s) for r, s in fields.get("industries", ()))
        return cls(**fields)


@dataclass(frozen=True, slots=True, eq=False)
class BlockResults:
    """The numbers of one block of d draws.

    Attributes:
        footprint: (d, stressors, consumers, parts), in the stressors' units; NaN where a draw
            was not accepted.
        linear, G: first-order change of the footprint by the errors and its normal part, likewise.
        status: an `engine.draws.Status` each, (d,).
        certified_error: bound on the relative error of the totals, in split mode the last term of
            the series, (d,).
        corrections: of the estimate's solution, 255 where solved directly, (d,).
        column_sums_above_one: industries whose coefficients add up to more than one, (d,).
        exact: in split mode the footprint of the draws computed exactly too, NaN for the others;
            None in an exact ensemble.
        footprint_unbalanced: where draws are balanced, their footprint without it; else None.
        by_origin: (d, stressors, consumers that ask, regions); None if none does.
        by_industry: (d, stressors, consumers that ask, industries) likewise.
        by_product: (d, stressors, consumers that ask, sectors) likewise.
    """

    footprint: F64
    linear: F64
    G: F64
    status: NDArray[np.uint8]
    certified_error: F64
    corrections: NDArray[np.uint8]
    column_sums_above_one: NDArray[np.int32]
    exact: F64 | None = None
    footprint_unbalanced: F64 | None = None
    by_origin: F64 | None = None
    by_industry: F64 | None = None
    by_product: F64 | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """Type, dimensions and attributes of one array."""

    dtype: str
    dims: tuple[str, ...]
    fill: float | str
    attributes: dict[str, Any]

    def shape(self, axes: Axes, draws: int) -> tuple[int, ...]:
        """The shape with room for `draws` draws."""
        lengths = dict(zip(LABELS, axes.cells, strict=True))
        lengths |= {"draw": draws, "year": len(axes.years), "with_year": len(axes.years)}
        lengths |= {"origin_consumer": len(axes.origin_consumers), "origin": len(axes.origins)}
        lengths["industry_consumer"] = len(axes.industry_consumers)
        lengths["industry"] = len(axes.industries)
        lengths |= {"product_consumer": len(axes.product_consumers), "product": len(axes.products)}
        return tuple(lengths[dim] for dim in self.dims)

    def chunks(self, axes: Axes) -> tuple[int, ...]:
        """A block of one year where there are draws, all of the array where there are none."""
        if self.dims == ("draw",):
            return (_DRAWS_A_CHUNK,)
        if "draw" in self.dims:
            return (axes.block, 1, *self.shape(axes, axes.block)[2:])
        return self.shape(axes, axes.block)


# Name, type, dimensions, fill value, meaning, and what else there is to say of an array.
_Described = tuple[str, str, tuple[str, ...], float | str, str, dict[str, Any]]


def forms(axes: Axes) -> dict[str, Form]:
    """Every array of the hierarchy."""
    units = set(axes.stressor_units)
    unit = {"units": units.pop() if len(units) == 1 else "as stressor_unit"}
    number = {"units": "1"}
    meanings = {"flag_values": list(_STATUS.values()), "flag_meanings": " ".join(_STATUS)}
    cell = ("year", *LABELS)
    per_draw = ("draw", "year")
    bound = _LAST_TERM if axes.exact_draws else _BOUND
    table: list[_Described] = [
        ("footprint", "float64", ("draw", *cell), np.nan, "environmental footprint", unit),
        ("linear", "float64", ("draw", *cell), np.nan, _LINEAR, unit),
        ("G", "float64", ("draw", *cell), np.nan, _GAUSSIAN, unit),
        ("status", "uint8", per_draw, NOT_COMPUTED, "what became of the draw", meanings),
        ("certified_error", "float64", per_draw, np.nan, bound, number),
        ("corrections", "uint8", per_draw, 0, _CORRECTIONS, number),
        ("column_sums_above_one", "int32", per_draw, -1, _ABOVE_ONE, number),
        ("reference", "float64", cell, np.nan, "footprint of the estimates", unit),
        ("draw", "int64", ("draw",), -1, "draw", number | {"standard_name": "realization"}),
        ("year", "int64", ("year",), -1, "calendar year", {}),
        ("stressor", "string", ("stressor",), "", "stressor", {}),
        ("consumer", "string", ("consumer",), "", "consumer", {}),
        ("part", "string", ("part",), "", "part of the footprint", {}),
        ("stressor_unit", "string", ("stressor",), "", "unit of the stressor", {}),
    ]
    if axes.exact_draws:
        table.append(("exact", "float64", ("draw", *cell), np.nan, _EXACT, unit))
    if axes.rebalanced:
        table.append((UNBALANCED, "float64", ("draw", *cell), np.nan, _UNBALANCED, unit))
    if axes.first_order:
        between, squared = ("year", "with_year", *LABELS), {"units": "square of stressor_unit"}
        table += [
            ("first_order_covariance", "float64", between, np.nan, _COVARIANCE, squared),
            ("with_year", "int64", ("with_year",), -1, "calendar year", {}),
        ]
    for name in axes.contributions:
        table += _forms_of(name, unit)
    return {
        name: Form(dtype, dims, fill, {"long_name": long_name, **more})
        for name, dtype, dims, fill, long_name, more in table
    }


def _forms_of(name: str, unit: dict[str, Any]) -> list[_Described]:
    """The arrays and coordinates of one kind of contributions."""
    place = name.removeprefix("by_")
    whose, what = f"{place}_consumer", f"contribution of the {place} to the footprint"
    cell = ("year", "stressor", whose, place)
    named = {"origin": "region of origin"}
    if place == "product":
        named = {"product": "product bought, by its sector"}
    if place == "industry":
        named = {f"industry_{part}": f"{part} of the industry" for part in ("region", "sector")}
    return [
        (name, "float64", ("draw", *cell), np.nan, what, unit),
        (f"{name}_reference", "float64", cell, np.nan, f"{what}, of the estimates", unit),
        (whose, "string", (whose,), "", f"consumer told by {place}", {}),
        *((label, "string", (place,), "", words, {}) for label, words in named.items()),
    ]


def coordinates(axes: Axes, draws: int) -> dict[str, NDArray[Any]]:
    """The values of every coordinate."""
    told: dict[str, tuple[str, ...]] = {}
    years = np.array(axes.years, dtype=np.int64)
    if axes.origin_consumers:
        told |= {"origin_consumer": axes.origin_consumers, "origin": axes.origins}
    if axes.product_consumers:
        told |= {"product_consumer": axes.product_consumers, "product": axes.products}
    if axes.industry_consumers:
        told |= {
            "industry_consumer": axes.industry_consumers,
            "industry_region": tuple(region for region, _ in axes.industries),
            "industry_sector": tuple(sector for _, sector in axes.industries),
        }
    return {
        "draw": np.arange(draws, dtype=np.int64),
        "year": years,
        **({"with_year": years} if axes.first_order else {}),
        "stressor": np.array(axes.stressors, dtype=object),
        "consumer": np.array(axes.consumers, dtype=object),
        "part": np.array(axes.parts, dtype=object),
        "stressor_unit": np.array(axes.stressor_units, dtype=object),
        **{name: np.array(labels, dtype=object) for name, labels in told.items()},
    }


def labels_beside(axes: Axes) -> tuple[str, ...]:
    """Coordinates that are not named like a dimension."""
    told = ("industry_region", "industry_sector") if axes.industry_consumers else ()
    return ("stressor_unit", *told)


def where(axes: Axes, block: Block) -> tuple[slice, int]:
    """The place of a block in an array that starts with draw and year."""
    return slice(block.draws.start, block.draws.stop), axes.years.index(block.year)


def chunk_name(name: str, axes: Axes, block: Block) -> str:
    """The file of a block's chunk within the array's folder."""
    whole = ".0" * (len(forms(axes)[name].dims) - 2)
    return f"c.{block.index}.{axes.years.index(block.year)}{whole}"


def misaligned(axes: Axes, draws: int, block: Block, results: BlockResults) -> str:
    """Why a block cannot be exactly one chunk of every array; empty if it can."""
    if block.size != axes.block or block.year not in axes.years:
        return f"the ensemble has blocks of {axes.block} draws of the years {axes.years}"
    if not 0 <= block.index < draws // axes.block:
        return f"the ensemble has {draws // axes.block} blocks a year"
    known = forms(axes)
    if given(results) != axes.block_arrays:
        return f"it has {', '.join(given(results))}, the ensemble {', '.join(axes.block_arrays)}"
    for name in axes.block_arrays:
        form, array = known[name], getattr(results, name)
        lengths = (block.size, *form.shape(axes, draws)[2:])
        if array.shape != lengths or array.dtype != form.dtype:
            return (
                f"{name} is {array.dtype} {array.shape}, one chunk of it is {form.dtype} {lengths}"
            )
    return ""


def given(results: BlockResults) -> tuple[str, ...]:
    """The arrays there are: optional ones only where they were asked."""
    told = (name for name in OPTIONAL if getattr(results, name) is not None)
    return (*BLOCK_ARRAYS, *told)


def checksum(results: BlockResults) -> str:
    """BLAKE2b of a block's numbers, little-endian, in the order of `BLOCK_ARRAYS`."""
    state = blake2b(digest_size=32)
    for name in given(results):
        array = getattr(results, name)
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        state.update(f"{name} {little.dtype.str} {little.shape}\n".encode())
        state.update(little.tobytes())
    return state.hexdigest()
