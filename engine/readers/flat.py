"""A table written a cell a line, with the names of its row and column on each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.readers import labelled
from engine.readers.files import located
from engine.readers.labelled import TOTALS, Labelled, Layout, Watched
from engine.readers.opening import opened

_BATCH = 2**20  # bytes parsed at once

Places = npt.NDArray[np.int64]


def read(
    path: Path, header: Sequence[str], *, row: str, column: str, parts: Mapping[str, Sequence[str]]
) -> Labelled:
    """All of a file: plain, .gz or .zip; rows and columns in the order in which they appear.

    Args:
        header: names of the columns of the file, the numbers in the last.
        row, column: which of them hold the names of a cell's row and of its column.
        parts: of each of the two, the columns that say again what its names begin and end with.

    Raises:
        TableError: the file is missing, damaged, cut short, or written in another way; a cell is
            missing, there twice, or no finite number; a line's names contradict each other.
    """
    table, done = _Table(), 1
    again = [one for some in parts.values() for one in some]
    wanted = [row, column, *again, header[-1]]
    for batch in _batches(path, header, wanted):
        found = dict(zip(wanted, batch, strict=True))
        with located(str(path)):
            for name, (start, end) in parts.items():
                _refuse_others(name, start, found, str.startswith, "{}_", done)
                _refuse_others(name, end, found, str.endswith, "_{}", done)
            table.add(found[row], found[column], found[header[-1]].to_numpy())
        done += len(batch[0])
    with located(str(path)):
        return table.whole()


def _batches(path: Path, header: Sequence[str], wanted: list[str]) -> Iterator[list[pa.Array]]:
    """Some of the columns, some lines at a time: names, and in the last finite numbers."""
    types = dict.fromkeys(header[:-1], pa.string()) | {header[-1]: pa.float64()}
    types |= dict.fromkeys(wanted[:-1], pa.dictionary(pa.int32(), pa.string()))
    done = 1
    try:
        with opened(path) as stream:
            first = stream.readline().decode("utf-8-sig", errors="replace").rstrip("\r\n")
            if [name.strip('" ') for name in first.split(",")] != list(header):
                raise TableError(
                    f"its header is {first[:120]!r}, not {','.join(header)}",
                    where="line 1",
                    remedy="give the flat file as downloaded",
                )
            source = Watched(b"", stream)
            reader = pa.csv.open_csv(
                source,
                read_options=pa.csv.ReadOptions(column_names=list(header), block_size=_BATCH),
                parse_options=pa.csv.ParseOptions(ignore_empty_lines=False),
                convert_options=pa.csv.ConvertOptions(
                    column_types=types, null_values=[], include_columns=wanted
                ),
            )
            for batch in reader:
                if not np.isfinite(batch.columns[-1].to_numpy()).all():
                    raise pa.ArrowInvalid("a value that is not finite")
                done += batch.num_rows
                yield batch.columns
            if not source.ended:
                raise TableError(
                    "ends in the middle of a line",
                    remedy="the download is incomplete: fetch it again",
                )
    except pa.ArrowInvalid as error:
        layout = Layout(index=len(header) - 1)
        raise labelled.fault(path, "", layout, header[-1:], done, error) from error
    finally:
        labelled.give_back()


def _refuse_others(
    name: str,
    part: str,
    found: Mapping[str, pa.DictionaryArray],
    fits: Callable[[str, str], bool],
    spelling: str,
    done: int,
) -> None:
    """Refuse lines, after `done` others, that say another part of a name than the name itself."""
    names, parts = found[name], found[part]
    at, of = names.indices.to_numpy(), parts.indices.to_numpy()
    one = np.zeros(len(names.dictionary), dtype=of.dtype)
    one[at] = of  # of several parts that go with a name, the last
    wanted = [spelling.format(text) for text in parts.dictionary.to_pylist()]
    right = [
        fits(text, wanted[place])
        for text, place in zip(names.dictionary.to_pylist(), one.tolist(), strict=True)
    ]
    if all(right) and (one[at] == of).all():
        return
    for line, (text, said) in enumerate(zip(names.to_pylist(), parts.to_pylist(), strict=True)):
        if not fits(text, spelling.format(said)):
            raise TableError(
                f"{name} is {text}, but {part} is {said}",
                where=f"line {done + line + 1}",
                remedy="download the file again: a column of it has slid, or was edited",
            )


class _Table:
    """The cells that came so far, in an array with room for more."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._columns: dict[str, int] = {}
        self._values: F64 = np.zeros((0, 0))
        self._known: npt.NDArray[np.bool_] = np.zeros((0, 0), dtype=np.bool_)

    def add(self, rows: pa.DictionaryArray, columns: pa.DictionaryArray, values: F64) -> None:
        """Some cells, none of which may be there already, nor come twice."""
        across, down = _places(columns, self._columns), _places(rows, self._rows)
        self._make_room()
        cells = down * self._values.shape[1] + across
        order = np.argsort(cells, kind="stable")
        again = order[1:][np.diff(cells[order]) == 0]
        again = np.concatenate([again, np.flatnonzero(self._known.ravel()[cells])])
        if again.size:
            first = again.min()
            raise self._wrong("is there twice", down[first], across[first])
        self._values.ravel()[cells] = values
        self._known.ravel()[cells] = True

    def whole(self) -> Labelled:
        """The table, if no cell is missing."""
        rows, columns = tuple(self._rows), tuple(self._columns)
        known = self._known[: len(rows), : len(columns)]
        missing = known.size - int(known.sum())
        if missing:
            row = int((~known.all(axis=1)).argmax())
            said = f"is missing, and {missing - 1} more"
            raise self._wrong(said, row, int(known[row].argmin()))
        values = self._values[: len(rows), : len(columns)]
        return Labelled(tuple((row,) for row in rows), tuple((name,) for name in columns), values)

    def _make_room(self) -> None:
        """Whose rows cost nothing before they are used; columns are all in the first lines."""
        height, width = self._values.shape
        if len(self._rows) <= height and len(self._columns) <= width:
            return
        if len(self._columns) > width:
            width = max(len(self._columns), 2 * width)
        height = max(len(self._rows), len(self._columns)) + TOTALS
        values, known = np.zeros((height, width)), np.zeros((height, width), dtype=np.bool_)
        old = np.s_[: self._values.shape[0], : self._values.shape[1]]
        values[old], known[old] = self._values, self._known
        self._values, self._known = values, known

    def _wrong(self, said: str, row: int, column: int) -> TableError:
        return TableError(
            f"cell ({list(self._rows)[row]}, {list(self._columns)[column]}) {said}",
            remedy="download the file again; a missing value is never read as zero",
        )


def _places(names: pa.DictionaryArray, places: dict[str, int]) -> Places:
    """The number of each name, new names numbered as they come."""
    known = names.dictionary.to_pylist()
    numbers = np.array([places.setdefault(name, len(places)) for name in known], dtype=np.int64)
    taken: Places = numbers[names.indices.to_numpy()]
    return taken
