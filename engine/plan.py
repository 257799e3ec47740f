"""Cutting a run into groups, blocks and tasks: integer arithmetic, no arrays, no cluster.

Four words, kept apart: a **group** is 64 draws; a **block** is whole groups of one year and one
chunk of every array of the ensemble, committed together; a **task** is one or more blocks of one
year, scheduled together; a **wave** is the tasks in flight.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from engine.errors import ConfigError
from engine.kernels.start import FEW, IMPORTANT, KEEP_ALL

GROUP = 64


class Direction(StrEnum):
    """What a draw is solved for."""

    FORWARD = "forward"  # output, one right-hand side a consumer: gives parts and all stressors
    ADJOINT = "adjoint"  # multipliers, one a stressor: gives totals of all consumers


def direction(q: int, c: int, parts: Collection[str], *, attributed: bool = False) -> Direction:
    """The cheaper way to q indicators of c consumers in the parts asked.

    Parts need the output behind each consumer's footprint, and so does its attribution to origins
    or industries. Totals alone also follow from the multipliers, which cost nothing per consumer.
    """
    totals_only = not ({"domestic", "foreign"} & set(parts) or attributed)
    return Direction.ADJOINT if totals_only and q < c else Direction.FORWARD


_SOLVING = 19  # arrays of all right-hand sides in 64 draws, while a group is solved; measured
_CELL = 18  # bytes of a packed cell, its share of the important ones with it
_PASSES = 3  # over all cells, and products with the inverse times _INNER, in a usual group
_INNER = 4
_APPLIED = 3.0  # cells applied to one right-hand side in the time of drawing one
_SINGLE = 2.0  # how much faster single precision is
_MOVES = 2e-8  # seconds a byte of one right-hand side in 64 draws, all its additions together
_OVERHEAD = 0.02  # seconds of Python, a group
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

    def blocks(self) -> Iterator[Block]:
        """Every block, years outermost, so that a worker keeps one year's table for long."""
        for year in self.years:
            for index in range(self.draws // self.block):
                yield Block(year, index, self.block)


def whole_blocks(draws: int, block: int) -> int:
    """The smallest whole number of blocks that holds at least `draws` draws (at least one)."""
    return max(1, -(-draws // block)) * block


def tasks(blocks: Iterable[Block], blocks_per_task: int) -> Iterator[tuple[Block, ...]]:
    """Blocks in bunches of at most `blocks_per_task`, never two years in one bunch."""
    bunch: list[Block] = []
    for block in blocks:
        if bunch and (len(bunch) == blocks_per_task or block.year != bunch[0].year):
            yield tuple(bunch)
            bunch = []
        bunch.append(block)
    if bunch:
        yield tuple(bunch)


# --- what a run will need -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that decide memory and time.

    Attributes:
        n, r, k: industries, regions and stressors of the tables.
        q, c, parts: indicators, consumers and parts asked.
        cells: cells that carry errors in one year, of all quantities.
        normals: normals drawn for each of them in one draw, on average.
        contributions: bytes of one draw's footprints by origin and by industry.
    """

    n: int
    r: int
    k: int
    q: int
    c: int
    parts: int
    cells: int
    normals: float
    contributions: int = 0


@dataclass(frozen=True, slots=True)
class Needs:
    """What a run is predicted to need, in bytes and seconds.

    Attributes:
        matrix: one n x n array.
        shared: prepared tables in the page cache, counted once however many workers map them.
        workspace: arrays of one draw, for each slot.
        preparing: reading and preparing one year, before any draw.
        ensemble: the ensemble on disk, uncompressed.
        prepared: the prepared tables on disk.
        starting: seconds in which every year is prepared, before any draw.
        seconds: of drawing, on all slots.
    """

    matrix: int
    shared: int
    workspace: int
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
        kept = 1.3 if self.matrix < _MAPPING_THRESHOLD else 1.0
        return baseline + int(kept * max(self.preparing, self.shared + slots * self.workspace))


def needs(shape: Shape, sampling: SamplingPlan, slots: int, normals: float, flops: float) -> Needs:
    """Predict a run's needs from its sizes.

    Args:
        normals, flops: what one thread of this machine does in a second
            (`engine.kernels.speed.measure`).
    """
    n, square, cells = shape.n, shape.n**2, shape.cells
    small = n * (shape.r + shape.k + 2 * shape.c)
    columns = _right_hand_sides(shape)
    lane = 8 * GROUP  # bytes of one number in 64 draws
    # The packed cells, the important ones again, the inverse, and the slopes of every part.
    year = _CELL * cells + 4 * square + 8 * n * (columns + shape.q * (2 + shape.c)) + 8 * small
    one = 8 * shape.q * shape.c * shape.parts
    draws = sampling.draws * len(sampling.years)
    generating = cells * shape.normals * GROUP / normals
    # The first pass also adds up what the certificate and the first order need.
    passing = (_PASSES + 2) * cells * columns * GROUP / (_APPLIED * normals)
    moving = _MOVES * lane * n * columns
    inverting = _PASSES * _INNER * 2 * square * columns * GROUP / (_SINGLE * flops)
    group = generating * _generations(cells) + passing + inverting + moving + _OVERHEAD
    preparing = (2 / 3 * n**3 + 2 * n**3 / _SINGLE + 60 * square) / flops + 4e-7 * cells + 0.05
    return Needs(
        matrix=8 * square,
        shared=2 * year,  # two years are open while one gives way to the next
        workspace=4 * GROUP * _kept(cells)
        + lane * n * (_SOLVING * columns + 8 * (shape.q + 2))
        + sampling.block * (4 * one + shape.contributions),
        preparing=36 * square + 8 * small + 56 * cells,
        ensemble=draws * (3 * one + 14 + shape.contributions),
        prepared=year * len(sampling.years),
        starting=preparing * len(sampling.years),
        seconds=draws / GROUP * group / slots,
    )


def _kept(cells: int) -> int:
    """Cells whose factors wait in memory while a group is solved (`engine.kernels.start`)."""
    important = max(int(IMPORTANT * cells), min(cells, FEW))
    everything = 4 * GROUP * cells <= KEEP_ALL
    return min(cells + important, 2 * cells) if everything and cells > FEW else important


def _generations(cells: int) -> int:
    """How often the factors of a group are drawn: once where all are kept."""
    return 1 if 4 * GROUP * cells <= KEEP_ALL else _PASSES


def _right_hand_sides(shape: Shape) -> int:
    """One a consumer, or one an indicator where totals alone are asked (`direction`)."""
    totals_only = shape.parts == 1 and not shape.contributions
    return min(shape.q, shape.c) if totals_only else shape.c
