"""Which changes are detectable: earlier years across, later years down, a verdict in every cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from engine.report.figures.canvas import (
    FALL,
    INK,
    MUTED,
    PALE,
    PAPER,
    RISE,
    SMALL,
    TEXT,
    WIDTH,
    Picture,
    picture,
    sheet,
    style,
)


@dataclass(frozen=True, slots=True)
class Paint:
    """How a verdict is painted."""

    face: str
    text: str
    hatch: str = ""


PAINTS = {
    "decrease": Paint(FALL, PAPER),
    "increase": Paint(RISE, PAPER),
    "not detectable": Paint(PALE, INK),
    "needs more draws": Paint(PAPER, INK, "////"),
    "borderline": Paint(PAPER, INK, "...."),
    "not assessed": Paint(PAPER, INK, "xxxx"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One pair of years: its verdict, and the change as it is printed."""

    from_year: int
    to_year: int
    verdict: str
    change: str


def matrix(
    cells: Sequence[Cell], years: Sequence[int], unit: str, *, key: str, data: str, alt: str
) -> Picture:
    """The lower triangle of years x years, changes in `unit`; consecutive years are framed."""
    grid = _Grid(tuple(years[:-1]), tuple(years[1:]))
    with style():
        figure = sheet(grid.height, data)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(grid.height, 0)
        for cell in cells:
            _draw(axes, grid, cell)
        _frame_consecutive(axes, grid)
        _name_years(axes, grid)
        _explain(axes, grid, unit, [cell.verdict for cell in cells])
        return picture(figure, key, alt)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where a cell lies on the sheet, in inches from its upper left corner."""

    columns: tuple[int, ...]
    rows: tuple[int, ...]

    @property
    def wide(self) -> float:
        return min(0.72, (WIDTH - _LEFT - 0.1) / len(self.columns))

    @property
    def tall(self) -> float:
        return max(0.16, min(0.34, _TALLEST / len(self.rows)))

    @property
    def bottom(self) -> float:
        """The key, to the right of a few columns, needs a height of its own."""
        return max(_TOP + self.tall * len(self.rows), 1.55)

    @property
    def height(self) -> float:
        return self.bottom + 0.5

    @property
    def text(self) -> float:
        """Font size that lets `-12.3` fit a cell."""
        return min(TEXT, 21 * self.wide, 46 * self.tall)

    def corner(self, from_year: int, to_year: int) -> tuple[float, float]:
        row, column = self.rows.index(to_year), self.columns.index(from_year)
        return _LEFT + self.wide * column, self.bottom - self.tall * (len(self.rows) - row)


_LEFT, _TOP, _TALLEST = 0.62, 0.24, 3.2
_KEY_WIDTH, _KEY_LINE = 1.95, 0.25


def _draw(axes: Axes, grid: _Grid, cell: Cell) -> None:
    x, y = grid.corner(cell.from_year, cell.to_year)
    paint = PAINTS[cell.verdict]
    _swatch(axes, (x, y), (grid.wide, grid.tall), paint)
    backing = {"facecolor": PAPER, "edgecolor": "none", "boxstyle": "square,pad=0.15"}
    axes.text(
        x + grid.wide / 2,
        y + grid.tall / 2,
        cell.change,
        ha="center",
        va="center",
        fontsize=grid.text,
        color=paint.text,
        bbox=backing if paint.hatch else None,
    )


def _swatch(
    axes: Axes, corner: tuple[float, float], size: tuple[float, float], paint: Paint
) -> None:
    """A painted rectangle; the hatch is drawn in grey, the white joint between cells on top."""
    axes.add_patch(
        Rectangle(
            corner, *size, facecolor=paint.face, edgecolor="#8a929c", linewidth=0, hatch=paint.hatch
        )
    )
    axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=PAPER, linewidth=1.6))


def _frame_consecutive(axes: Axes, grid: _Grid) -> None:
    inset = 0.02
    for earlier, later in zip(grid.columns, grid.rows, strict=True):
        x, y = grid.corner(earlier, later)
        size = grid.wide - 2 * inset, grid.tall - 2 * inset
        axes.add_patch(
            Rectangle((x + inset, y + inset), *size, fill=False, edgecolor=INK, linewidth=1.5)
        )


def _name_years(axes: Axes, grid: _Grid) -> None:
    size = min(TEXT, 22 * grid.wide, 52 * grid.tall)
    for to_year in grid.rows:
        _, y = grid.corner(grid.columns[0], to_year)
        axes.text(_LEFT - 0.1, y + grid.tall / 2, str(to_year), ha="right", va="center", size=size)
    for from_year in grid.columns:
        x, _ = grid.corner(from_year, grid.rows[-1])
        axes.text(
            x + grid.wide / 2, grid.bottom + 0.08, str(from_year), ha="center", va="top", size=size
        )
    quiet: dict[str, Any] = {"size": SMALL, "color": MUTED, "ha": "right"}
    axes.text(_LEFT - 0.1, grid.bottom + 0.09, "from", va="top", **quiet)
    _, top = grid.corner(grid.columns[0], grid.rows[0])
    axes.text(_LEFT - 0.1, top - 0.02, "to", va="bottom", **quiet)


def _explain(axes: Axes, grid: _Grid, unit: str, verdicts: Sequence[str]) -> None:
    """The key, in the empty half of the square or to its right."""
    beside = _LEFT + grid.wide * len(grid.columns) + 0.35
    x = min(beside, WIDTH - _KEY_WIDTH)
    axes.text(x, _TOP + 0.08, f"change, {unit}", va="center", size=SMALL, color=MUTED)
    y = _TOP + 0.25
    for verdict, paint in PAINTS.items():
        if verdict not in verdicts:
            continue
        _swatch(axes, (x, y), (0.3, 0.19), paint)
        axes.text(x + 0.4, y + 0.095, verdict, va="center", size=SMALL + 0.5)
        y += _KEY_LINE
    axes.add_patch(
        Rectangle((x + 0.02, y + 0.01), 0.26, 0.17, fill=False, edgecolor=INK, linewidth=1.5)
    )
    axes.text(x + 0.4, y + 0.095, "successive years", va="center", size=SMALL + 0.5)
