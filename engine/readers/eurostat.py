"""Eurostat's downloads: one year of a dataset, from its TSV or its SDMX-CSV, plain or gzipped.

A cell is a number, and perhaps a flag (`p` provisional, `e` estimated, `c` confidential, ...); a
colon, or nothing, is a value that is not there. Neither is ever read as zero.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from engine.errors import TableError
from engine.readers.files import located
from engine.readers.nearest import nearest
from engine.readers.opening import opened

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LETTERS = re.compile(r"[A-Za-z ]*")  # of flags
_PERIOD, _VALUE, _FLAG, _SECRET = "TIME_PERIOD", "OBS_VALUE", "OBS_FLAG", "CONF_STATUS"
_AROUND = ("DATAFLOW", "LAST UPDATE", "STRUCTURE", "STRUCTURE_ID", "STRUCTURE_NAME", "ACTION")
_AGAIN = "download the dataset again, as TSV or as SDMX-CSV, codes only"

_FLAGS = {
    "b": "break in the series", "c": "confidential", "d": "definition differs", "e": "estimated",
    "f": "forecast", "i": "see metadata", "n": "not significant", "p": "provisional",
    "r": "revised", "s": "Eurostat's estimate", "u": "low reliability", "z": "not applicable",
}  # fmt: skip

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """What a cell holds: a number or None, and its flags."""

    number: float | None
    flags: str = ""


@dataclass(frozen=True, slots=True)
class Observations:
    """One year of a dataset.

    Attributes:
        dimensions: what the keys are made of, in order, without frequency and time.
        values: of each key there is a row of, missing ones too.
    """

    dimensions: tuple[str, ...]
    values: Mapping[Key, Value]


def dimensions(path: Path) -> tuple[str, ...]:
    """What tells the rows of a download apart, without frequency and time.

    Raises:
        TableError: it is missing, damaged, or no download of Eurostat's.
    """
    with _text(path) as stream:
        return tuple(name for name in _table(stream).dimensions if name != "freq")


def observations(
    path: Path, year: int, wanted: Mapping[str, Collection[str]] | None = None
) -> Observations:
    """One year of a download.

    Args:
        path: the file, as downloaded.
        year: of which.
        wanted: codes to keep, by dimension; all of the dimensions that are not named.

    Raises:
        TableError: as of `dimensions`; a cell is neither a number nor missing, a row is there
            twice, or a dimension wanted is not.
    """
    with _text(path) as stream, located(f"year {year}"):
        table = _table(stream)
        for name in wanted or {}:
            if name not in table.dimensions:
                raise TableError(
                    f"has no dimension {name!r}", remedy=nearest(name, table.dimensions)
                )
        kept = tuple(name for name in table.dimensions if name != "freq")
        places = [table.dimensions.index(name) for name in kept]
        codes = [(table.dimensions.index(name), set(some)) for name, some in (wanted or {}).items()]
        values: dict[Key, Value] = {}
        for cells, text, flags, line in table.rows(year):
            if any(cells[place] not in some for place, some in codes):
                continue
            key = tuple(cells[place] for place in places)
            if key in values:
                raise TableError(
                    f"{' '.join(key)} is there twice", where=f"line {line}", remedy=_AGAIN
                )
            values[key] = _value(text, flags, line)
        return Observations(kept, values)


def flags_in_words(flags: Iterable[str]) -> str:
    """How often each flag is there, and what it means; a value may have several."""
    times = Counter(flag for some in flags for flag in sorted(set(some.replace(" ", ""))))
    return ", ".join(
        f"{flag} ({_FLAGS.get(flag.lower(), 'of unknown meaning')}): {count}"
        for flag, count in sorted(times.items())
    )


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    with opened(path) as stream:
        try:
            yield io.TextIOWrapper(stream, "utf-8-sig", newline="")
        except UnicodeDecodeError as error:
            raise TableError(f"is not UTF-8 ({error.reason})", remedy=_AGAIN) from error
        except csv.Error as error:
            raise TableError(f"is not CSV ({error})", remedy=_AGAIN) from error


def _table(stream: TextIO) -> _Tsv | _Sdmx:
    first = stream.readline().rstrip("\r\n")
    rest = _whole_lines(stream)
    return _Tsv.of(rest, first) if "\\" in first else _Sdmx.of(rest, first)


def _whole_lines(stream: TextIO) -> Iterator[str]:
    """What is left; a number that is cut short at the end of a file is another number."""
    line = "\n"
    for line in stream:
        yield line
    if not line.endswith(("\n", "\r")):
        raise TableError(
            "ends in the middle of a line", remedy="the download is incomplete: fetch it again"
        )


@dataclass(frozen=True, slots=True)
class _Tsv:
    """Keys in the first column, joined by commas; a column a year."""

    lines: Iterator[str]
    dimensions: tuple[str, ...]
    periods: tuple[str, ...]

    @classmethod
    def of(cls, lines: Iterator[str], first: str) -> _Tsv:
        head, *periods = first.split("\t")
        names, _, time = head.partition("\\")
        if time.strip().lower() not in ("time", "time_period") or not periods:
            raise TableError(f"its first line begins with {head[:80]!r}", remedy=_AGAIN)
        return cls(lines, tuple(names.split(",")), tuple(period.strip() for period in periods))

    def rows(self, year: int) -> Iterator[tuple[list[str], str, str, int]]:
        if self.periods.count(str(year)) != 1:
            raise _no_year(year, self.periods)
        place = 1 + self.periods.index(str(year))
        for line, text in enumerate(self.lines, 2):
            cells = text.rstrip("\r\n").split("\t")
            keys = cells[0].split(",")
            if len(cells) != 1 + len(self.periods) or len(keys) != len(self.dimensions):
                raise TableError(
                    f"has {len(cells)} cells and {len(keys)} codes, not {1 + len(self.periods)} "
                    f"and {len(self.dimensions)}",
                    where=f"line {line}",
                    remedy=_AGAIN,
                )
            number, _, flags = cells[place].strip().partition(" ")
            if number.startswith(":") and number != ":":
                number, flags = ":", number[1:] + flags
            yield keys, number, flags.strip(), line


@dataclass(frozen=True, slots=True)
class _Sdmx:
    """A row an observation, a column a dimension."""

    lines: Iterator[str]
    header: tuple[str, ...]
    dimensions: tuple[str, ...]

    @classmethod
    def of(cls, lines: Iterator[str], first: str) -> _Sdmx:
        header = tuple(next(csv.reader([first]), []))
        if _PERIOD not in header or _VALUE not in header or len(set(header)) < len(header):
            raise TableError(f"its first line begins with {first[:80]!r}", remedy=_AGAIN)
        beside = {_PERIOD, _VALUE, _FLAG, _SECRET, *_AROUND}
        return cls(lines, header, tuple(name for name in header if name not in beside))

    def rows(self, year: int) -> Iterator[tuple[list[str], str, str, int]]:
        place = {name: at for at, name in enumerate(self.header)}
        dimensions = [place[name] for name in self.dimensions]
        said = [place[name] for name in (_FLAG, _SECRET) if name in place]
        seen: set[str] = set()
        for line, cells in enumerate(csv.reader(self.lines, strict=True), 2):
            if len(cells) != len(self.header):
                raise TableError(
                    f"has {len(cells)} cells, the header {len(self.header)}",
                    where=f"line {line}",
                    remedy=_AGAIN,
                )
            seen.add(cells[place[_PERIOD]])
            if cells[place[_PERIOD]] == str(year):
                flags = " ".join(filter(None, (cells[at].strip() for at in said)))
                yield [cells[at] for at in dimensions], cells[place[_VALUE]].strip(), flags, line
        if str(year) not in seen:
            raise _no_year(year, seen)


def _no_year(year: int, others: Collection[str]) -> TableError:
    held = f"{min(others)} to {max(others)}" if others else "no year"
    return TableError(
        f"holds no {year}", remedy=f"it holds {held}: ask for fewer years, or download it again"
    )


def _value(text: str, flags: str, line: int) -> Value:
    missing = text in ("", ":", "NaN")
    if not (missing or _NUMBER.fullmatch(text)) or not _LETTERS.fullmatch(flags):
        raise TableError(  # 1 234.5 is no 1 with a flag
            f"{f'{text} {flags}'.strip()[:80]!r} is neither a number nor missing",
            where=f"line {line}",
            remedy=_AGAIN,
        )
    if missing:
        return Value(None, flags)
    return Value(float(text), flags)
