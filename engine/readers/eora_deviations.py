"""Published standard deviations of Eora's cells, as relative error sizes of a table's own shape.

Eora gives every value a standard deviation (Lenzen, Kanemoto, Moran & Geschke 2012, Environ. Sci.
Technol. 46:8374), in sheets of the layout of the values. They are published with the full Eora; in
the archives of Eora26 that users describe they are not. Whoever has such sheets of 26 sectors names
them here: that their layout is that of the values rests on documentation alone.

    from engine.readers.eora_deviations import Sheets, write

    write(source, 2015, "sizes", Sheets(T="Eora26_2015_bp_T_stdev.txt"))

writes `sizes/Z_2015.npy`, for `file = "sizes/Z_{year}.npy"` in an entry of the error model. A cell
that is a sum of the publisher's, as final demand over its categories and stressors over rows, has
the root of their sum of squares: Eora's errors are taken as independent, as in its making.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.error_model import LARGEST_RSD, SMALLEST_RSD
from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.readers import eora
from engine.readers.eora import Eora26


@dataclass(frozen=True, slots=True)
class Sheets:
    """Files of standard deviations, in the source's folder, of the shape of its own sheets.

    Attributes:
        T: of intermediate deliveries.
        FD: of final demand.
        Q: of the satellite accounts of industries.
        QY: of those of final consumers.
    """

    T: str | None = None
    FD: str | None = None
    Q: str | None = None
    QY: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A file of relative standard deviations.

    Attributes:
        path: the file.
        held: cells whose deviation is above 100 times their value, held there.
        exact: cells that are not zero and have no deviation, or one too small to be drawn.
        lost: cells that are zero and have a deviation, which a relative size cannot say.
    """

    path: Path
    held: int
    exact: int
    lost: int


def write(source: Eora26, year: int, folder: str | Path, sheets: Sheets) -> tuple[Written, ...]:
    """Write `Z_YEAR.npy`, `Y_`, `E_` and `F_Y_`, of those quantities that have a sheet.

    Raises:
        TableError: as of `engine.readers.eora.read`; or a deviation is negative.
    """
    table = eora.read(source, year)
    squares = eora.variances(
        source,
        year,
        {part: name for part in ("T", "FD", "Q", "QY") if (name := getattr(sheets, part))},
    )
    values = {"Z": table.Z, "Y": table.Y, "E": table.E, "F_Y": table.F_Y}
    return tuple(_written(squares, values, Path(folder), year))


def _written(
    squares: dict[str, F64], values: dict[str, F64], folder: Path, year: int
) -> Iterator[Written]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, variance in squares.items():
        value = np.abs(values[name])
        if variance.shape != value.shape:
            raise TableError(f"{name} has shape {variance.shape}, the table {value.shape}")
        sd = np.sqrt(variance)
        rsd = np.divide(sd, value, out=np.zeros_like(sd), where=value > 0)
        held, small = rsd > LARGEST_RSD, (rsd < SMALLEST_RSD) & (value > 0)
        rsd[held], rsd[small] = LARGEST_RSD, 0.0
        path = folder / f"{name}_{year}.npy"
        np.save(path, rsd)
        yield Written(path, int(held.sum()), int(small.sum()), int(((value == 0) & (sd > 0)).sum()))
