"""Cutting a run into groups, blocks and tasks: integer arithmetic, no arrays, no cluster.

Four words, kept apart: a **group** is 64 draws; a **block** is whole groups of one year and one
chunk of every array of the ensemble, committed together; a **task** is one or more blocks of one
year, scheduled together; a **wave** is the tasks in flight.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from engine.errors import ConfigError
from engine.kernels.inverse import KEEP as KEEP_INVERSE
from engine.kernels.speed import Rates
from engine.kernels.start import how_many_important, how_many_kept
from engine.kernels.streams import LANES

GROUP = LANES  # draws, computed together


class Direction(StrEnum):
    """What a draw is solved for."""

    FORWARD = "forward"  # output, one right-hand side a consumer: gives parts and all stressors
    ADJOINT = "adjoint"  # multipliers, one a stressor: gives totals of all consumers


def direction(
    q: int, c: int, parts: Collection[str], *, attributed: bool = False, products: bool = False
) -> Direction:
    """The cheaper way to q indicators of c consumers in the parts asked.

    Parts need the output behind each consumer's footprint, and so does its attribution to origins
    or industries. Totals alone also follow from the multipliers, which cost nothing per consumer.
    Attribution to the products bought needs multipliers, and excludes the others.
    """
    if products:
        return Direction.ADJOINT
    totals_only = not ({"domestic", "foreign"} & set(parts) or attributed)
    return Direction.ADJOINT if totals_only and q < c else Direction.FORWARD


_SOLVING = 19  # arrays of all right-hand sides in 64 draws, while a group is solved; measured
_CELL = 24  # bytes of a packed cell: its share of the important ones and its slot with it
_ENTRY = 8  # bytes of an entry of the inverse that matters
_CORRECTIONS = 1  # of a usual group; none where all cells are important
_STEPS, _STEPS_OF_ALL = 4.5, 12  # of a solution by the important cells, and where these are all
_FROM_MEMORY = 2.2  # right-hand sides in the time that reading a cell's factors takes
_SPARSE = 2.5  # entries of the inverse applied in the time of one cell
_DENSE = 0.85  # of the rate of a square product, at which the whole inverse is applied
_OTHER = 1.5  # normals in the time that a factor takes that is not lognormal; measured
_NUMPY = 1800  # applications in the time that all of numpy takes with one number of a solution
_OVERHEAD = 2e-3  # seconds of Python, a group
WRITING = 0.03  # seconds to write a block and enter it (`scripts/bench costs`)
_A_CELL = 7e-7  # seconds to prepare a cell: its size, its place in the order
_TABLE = 2 * 16 * 257  # bytes of a Dirichlet share's table, kept with all cells and once more
_A_TABLE = 5e-4  # seconds to tabulate one
_A_MEMBER = 1e-4  # seconds to centre a cell with a known total
_MEMBER = 70  # bytes of such a cell: once more packed, and its share, centring and rsd
_OF_TOTALS, _OF_LINES = 8, 6  # arrays in 64 draws: of all known totals, of sums along lines
_AN_ENTRY = 2.5e-7  # seconds to read, check, hash and save an entry of an n x n array
_DIRECTLY = 24  # bytes for each such entry while a draw is solved directly; measured
_BALANCING = 55  # bytes for each while a draw is balanced and solved twice; measured
_ITERATIONS = 150  # of balancing: as often as WIOD's tables need, more where countries are closed
_SCALED = 11  # applications in the time that a cell takes in one of them; measured
_WHOLE = 300  # applications in the time of all passes over an entry of [Z Y]
_ONE_DRAW = 5  # of the time that a normal takes which is drawn for one draw and not for 64
_MAPPING_THRESHOLD = 32 * 2**20  # glibc's largest, bytes; bigger arrays go back to the system


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """`size` draws of one year, the `index`-th of that year."""

    year: int
    index: int
    size: int

    @property
    def draws(self) -> range:
        """The numbers of the draws in this block."""
        return range(self.index * self.size, (self.index + 1) * self.size)


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """Which draws of which years, and how they are cut.

    Attributes:
        seed: keys every random number, together with what the number is for.
        draws: draws a year; a whole number of blocks (see `whole_blocks`).
        years: the years, ascending.
        block: draws a block, a whole number of groups, fixed when the ensemble is created.
    """

    seed: int
    draws: int
    years: tuple[int, ...]
    block: int

    def __post_init__(self) -> None:
        if self.block <= 0 or self.block % GROUP:
            raise ConfigError(
                f"a block of {self.block} draws is not a whole number of groups of {GROUP}",
                where="sampling.block",
                remedy=f"use a multiple of {GROUP}, such as {whole_blocks(self.block, GROUP)}",
            )
        if self.draws <= 0 or self.draws % self.block:
            raise ConfigError(
                f"{self.draws} draws are not a whole number of blocks of {self.block}",
                where="sampling.draws",
                remedy=f"use {whole_blocks(self.draws, self.block)}",
            )


def whole_blocks(draws: int, block: int) -> int:
    """The smallest whole number of blocks that holds at least `draws` draws (at least one)."""
    return max(1, -(-draws // block)) * block


# --- what a run will need -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that decide memory and time.

    Attributes:
        n, r, k: industries, regions and stressors of the tables.
        q, c, parts: indicators, consumers and parts asked.
        cells: cells that carry errors in one year, of all quantities.
        normals: normals drawn for each of them in one draw, on average.
        direction: what draws are solved for.
        contributions: bytes of one draw's footprints by origin, by industry and by product.
        negative: whether any delivery is, so that magnitudes are factorised too.
        shared: normals that groups of cells share in one draw.
        tabulated: cells whose factors have a law that is tabulated.
        shares: cells that are Dirichlet shares, each with a table of its own.
        realised: cells whose factors come from files.
        realisations: in these files.
        totals: known totals of emissions in one year.
        members: cells that have one.
        rebalanced: whether every draw is balanced, and solved with and without that.
    """

    n: int
    r: int
    k: int
    q: int
    c: int
    parts: int
    cells: int
    normals: float
    direction: Direction
    contributions: int = 0
    negative: bool = False
    shared: int = 0
    tabulated: int = 0
    shares: int = 0
    realised: int = 0
    realisations: int = 0
    totals: int = 0
    members: int = 0
    rebalanced: bool = False

    @property
    def columns(self) -> int:
        """Right-hand sides of a draw."""
        return self.c if self.direction is Direction.FORWARD else self.q

    @property
    def kept(self) -> int:
        """Cells whose factors wait in memory while a group is solved, and are drawn once."""
        return how_many_kept(self.cells)

    @property
    def important(self) -> int:
        """Cells with which corrections are iterated (`engine.kernels.start`)."""
        return how_many_important(self.cells)

    @property
    def inverse(self) -> tuple[int, int]:
        """Entries of the inverse that are kept: all, or none, and those that matter; as measured.

        Tables are the more uneven the larger they are.
        """
        whole = self.n**2 if 4 * self.n**2 <= KEEP_INVERSE else 0
        return whole, int(min(1.0, 5 / self.n**0.5) * self.n**2)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a run is predicted to need, in bytes and seconds.

    Attributes:
        matrix: one n x n array.
        shared: prepared tables in the page cache, counted once however many workers map them.
        workspace: arrays of one group, for each slot.
        directly: what a draw that is solved directly adds to its slot.
        preparing: reading and preparing one year, before any draw.
        ensemble: the ensemble on disk, uncompressed.
        prepared: the prepared tables on disk.
        starting: seconds in which every year is prepared, before any draw.
        seconds: of drawing, on all slots.
    """

    matrix: int
    shared: int
    workspace: int
    directly: int
    preparing: int
    ensemble: int
    prepared: int
    starting: float
    seconds: float

    def peak(self, slots: int, baseline: int) -> int:
        """Peak resident memory of all processes together, given what they hold when idle.

        The C library keeps freed arrays below its mapping threshold for reuse, and not all of them
        fit the next request: by chance that adds a tenth to a half to the arrays of such tables.
        """
        held = max(self.preparing, self.shared + slots * self.workspace)
        return baseline + int(self._kept * held)

    def of_worker(self, slots: int, baseline: int) -> int:
        """Peak resident memory of one worker elsewhere, which prepares nothing."""
        return baseline + int(self._kept * (self.shared + slots * self.workspace))

    @property
    def _kept(self) -> float:
        return 1.3 if self.matrix < _MAPPING_THRESHOLD else 1.0


def needs(shape: Shape, sampling: SamplingPlan, slots: int, rates: Rates) -> Needs:
    """Predict a run's needs from its sizes.

    Args:
        rates: what one thread of this machine does in a second.
    """
    n, square, cells, columns = shape.n, shape.n**2, shape.cells, shape.columns
    small = n * (shape.r + shape.k + 2 * shape.c)
    lane = 8 * GROUP  # bytes of one number in 64 draws
    whole, matter = shape.inverse
    # The packed cells, the inverse, and the slopes of every part.
    year = _CELL * cells + 4 * whole + _ENTRY * matter
    year += 8 * n * (columns + shape.q * (2 + shape.c)) + 8 * small + _MEMBER * shape.members
    year += 4 * shape.realised * shape.realisations + _TABLE * shape.shares
    one = 8 * shape.q * shape.c * shape.parts
    draws = sampling.draws * len(sampling.years)
    group = _rebalanced(shape, rates) if shape.rebalanced else _group(shape, rates)
    drawing = draws / GROUP * group + draws / sampling.block * WRITING
    return Needs(
        matrix=8 * square,
        # A year for each slot while one gives way to the next, and one more that is still open.
        shared=(1 + min(len(sampling.years), slots)) * year,
        workspace=4 * GROUP * (shape.kept + shape.shared + shape.realised)
        + lane * n * (_SOLVING * columns + 8 * (shape.q + 2))
        + lane * (_OF_TOTALS * shape.totals + _OF_LINES * n * shape.q * (shape.totals > 0))
        + sampling.block * (4 * one + shape.contributions)
        + _BALANCING * n * (n + shape.r) * shape.rebalanced,
        directly=0 if shape.rebalanced else _DIRECTLY * square,
        # The file as it is read, and its factors in double precision.
        preparing=_preparing(shape) + 8 * small + 24 * shape.realised * shape.realisations,
        ensemble=draws * ((3 + shape.rebalanced) * one + 14 + shape.contributions),
        prepared=year * len(sampling.years),
        starting=_year(shape, rates) * len(sampling.years),
        seconds=drawing / slots,
    )


def _preparing(shape: Shape) -> int:
    """Bytes at the most crowded moment of preparing a year, a twentieth more for what is small.

    Either the inverse joins the table, its coefficients, factors and squared errors, or the
    important cells are chosen when factors and squares are gone.
    """
    square, cells = shape.n**2, shape.cells
    inverting = (36 if shape.negative else 28) * square + 28 * cells
    return int(1.05 * max(inverting, 20 * square + 52 * cells))


def _year(shape: Shape, rates: Rates) -> float:
    """Seconds to prepare one year: a factorisation, an inverse, and each cell in its place."""
    factorising = 2 / 3 * shape.n**3 / rates.double + 2 * shape.n**3 / (0.5 * rates.single)
    sharing = _A_MEMBER * shape.members + _A_TABLE * shape.shares
    return factorising + sharing + _A_CELL * shape.cells + _AN_ENTRY * shape.n**2 + 0.05


def _rebalanced(shape: Shape, rates: Rates) -> float:
    """Seconds of one group whose draws are balanced (`engine.draws.rebalanced`), roughly."""
    n = shape.n
    drawing = _ONE_DRAW * (shape.normals + _OTHER) * shape.cells / rates.normals
    solving = 2 * 2 / 3 * n**3 / rates.double
    balancing = _ITERATIONS * _SCALED * shape.cells / rates.applied
    return GROUP * (drawing + solving + balancing + _WHOLE * n * (n + shape.r) / rates.applied)


def _group(shape: Shape, rates: Rates) -> float:
    """Seconds of one group on one thread (`engine.draws.group`)."""
    k, every, few = shape.columns, GROUP * shape.cells, GROUP * shape.important
    all_important = shape.important == shape.cells
    corrections = 0 if all_important else _CORRECTIONS
    steps = _STEPS_OF_ALL if all_important else _STEPS * (1 + corrections)
    drawn_anew = corrections * (every - GROUP * shape.kept)
    # The estimate's solution and the foreseen one, first order, sums of lines and certificate.
    first = 2.2 * k + (shape.q + 2 if shape.direction is Direction.FORWARD else 4)
    applied = every * first + corrections * every * (k + _FROM_MEMORY)
    applied += few * (k + 3.5) + steps * few * (0.7 * k + 0.9)
    whole, matter = shape.inverse
    products = 1 + corrections if whole else 0
    applied += (steps - products) * matter * k * GROUP / _SPARSE
    other = _OTHER * (shape.tabulated + shape.realised) / max(shape.cells, 1)
    return (
        (shape.normals + other) * (every + drawn_anew) / rates.normals
        + (applied + _NUMPY * shape.n * k * GROUP) / rates.applied
        + products * 2 * whole * k * GROUP / (_DENSE * rates.single)
        + _OVERHEAD
    )
