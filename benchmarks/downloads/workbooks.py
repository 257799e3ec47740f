"""Workbooks in the three formats that publishers use, a sheet of rows each, written from scratch.

`.xlsx` by openpyxl; `.xlsb` after [MS-XLSB] and `.xls` after [MS-XLS] and [MS-CFB], as far as
names and numbers need.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np
from openpyxl import Workbook

Cell = str | float | None
Sheets = Mapping[str, Iterable[Sequence[Cell]]]


def written(name: str, sheets: Sheets) -> bytes:
    """The bytes of a workbook of that name, in the format that its ending says."""
    write = {".xlsx": _xlsx, ".xlsb": _xlsb, ".xls": _xls}
    return write[name[name.rindex(".") :].lower()](sheets)


def _xlsx(sheets: Sheets) -> bytes:
    book = Workbook(write_only=True)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


# --- .xlsb ----------------------------------------------------------------------------------------

_ROW, _REAL, _TEXT = 0, 5, 6
_BOOK, _SHEETS, _SHEET, _ROWS = (131, 132), (143, 144), (129, 130), (145, 146)
_BUNDLE, _EXTENT = 156, 148
_NUMBERS = np.dtype(
    {
        "names": ["record", "size", "place", "style", "value"],
        "formats": ["u1", "u1", "<u4", "<u4", "<f8"],
    }
)
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"


def _xlsb(sheets: Sheets) -> bytes:
    names = list(enumerate(sheets, 1))
    bundles = [struct.pack("<II", 0, at) + _wide(f"rId{at}") + _wide(name) for at, name in names]
    book = [_record(_BOOK[0]), _record(_SHEETS[0]), *(_record(_BUNDLE, one) for one in bundles)]
    links = "".join(
        f'<Relationship Id="rId{at}" Type="{_RELATION}/worksheet" '
        f'Target="worksheets/sheet{at}.bin"/>'
        for at, _ in names
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(
            "xl/workbook.bin", b"".join([*book, _record(_SHEETS[1]), _record(_BOOK[1])])
        )
        archive.writestr(
            "xl/_rels/workbook.bin.rels",
            f'<?xml version="1.0"?><Relationships xmlns="{_RELATIONS}">{links}</Relationships>',
        )
        for at, name in names:
            archive.writestr(f"xl/worksheets/sheet{at}.bin", _part(sheets[name]))
    return stream.getvalue()


def _part(rows: Iterable[Sequence[Cell]]) -> bytes:
    """A sheet: its extent, and its rows."""
    parts, width = [], 1
    for number, row in enumerate(rows):
        parts += [_record(_ROW, struct.pack("<I", number) + bytes(21)), _cells(row)]
        width = max(width, len(row))
    extent = struct.pack("<IIII", 0, max(len(parts) // 2 - 1, 0), 0, width - 1)
    start = [_record(_SHEET[0]), _record(_EXTENT, extent), _record(_ROWS[0])]
    return b"".join([*start, *parts, _record(_ROWS[1]), _record(_SHEET[1])])


def _record(kind: int, payload: bytes = b"") -> bytes:
    """A record: its kind and size seven bits a byte, then what it holds."""
    low = [kind] if kind < 128 else [kind & 127 | 128, kind >> 7]
    size, sizes = len(payload), []
    while True:
        sizes.append(size & 127 | (128 if size > 127 else 0))
        size >>= 7
        if not size:
            return bytes(low + sizes) + payload


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def _cells(row: Sequence[Cell]) -> bytes:
    """Texts one by one, runs of numbers at once."""
    parts = []
    for kind, run in groupby(enumerate(row), key=lambda cell: type(cell[1])):
        cells = list(run)
        if kind is str:
            parts += [_record(_TEXT, struct.pack("<II", at, 0) + _wide(str(v))) for at, v in cells]
        elif kind is not type(None):
            numbers = np.zeros(len(cells), dtype=_NUMBERS)
            numbers["record"], numbers["size"] = _REAL, 16
            numbers["place"] = [at for at, _ in cells]
            numbers["value"] = [value for _, value in cells]
            parts.append(numbers.tobytes())
    return b"".join(parts)


# --- .xls -----------------------------------------------------------------------------------------

_SECTOR, _FREE, _END, _OF_FAT = 512, 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def _xls(sheets: Sheets) -> bytes:
    bodies = [_sheet(rows) for rows in sheets.values()]
    head = _begin(0x0005)
    at = len(head) + sum(12 + len(name) for name in sheets) + len(_END_OF_PART)
    for name, body in zip(sheets, bodies, strict=True):
        head += _old(0x0085, struct.pack("<IBBBB", at, 0, 0, len(name), 0) + name.encode("latin-1"))
        at += len(body)
    return _compound(b"".join([head, _END_OF_PART, *bodies]))


def _sheet(rows: Iterable[Sequence[Cell]]) -> bytes:
    parts = [_begin(0x0010)]
    for number, row in enumerate(rows):
        for place, value in enumerate(row):
            start = struct.pack("<HHH", number, place, 0)
            if isinstance(value, str):
                text = value.encode("latin-1")
                parts.append(_old(0x0204, start + struct.pack("<HB", len(text), 0) + text))
            elif value is not None:
                parts.append(_old(0x0203, start + struct.pack("<d", value)))
    return b"".join([*parts, _END_OF_PART])


def _old(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(payload)) + payload


def _begin(kind: int) -> bytes:
    return _old(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0x0DBB, 1996, 0, 6))


_END_OF_PART = _old(0x000A)


def _compound(stream: bytes) -> bytes:
    """A compound file with one stream, `Workbook`, long enough to lie in sectors of its own."""
    stream += bytes(max(4096 - len(stream), -len(stream) % _SECTOR))
    many = len(stream) // _SECTOR
    fats = -(-(many + 1) // (_SECTOR // 4 - 1))
    chain = [*([_OF_FAT] * fats), _END, *range(fats + 2, fats + 1 + many), _END]
    chain += [_FREE] * (fats * _SECTOR // 4 - len(chain))
    header = bytes.fromhex("D0CF11E0A1B11AE1") + bytes(16)
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIIII", 0, fats, fats, 0, 4096, _END, 0, _END, 0, 0)[:-4]
    header += struct.pack("<109I", *range(fats), *([_FREE] * (109 - fats)))
    entries = [
        _entry("Root Entry", 5, 1, _END, 0),
        _entry("Workbook", 2, _FREE, fats + 1, len(stream)),
    ]
    directory = b"".join(entries) + bytes(_SECTOR - 256)
    return header + struct.pack(f"<{len(chain)}I", *chain) + directory + stream


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    wide = name.encode("utf-16-le") + b"\0\0"
    links = struct.pack("<HBBIII", len(wide), kind, 1, _FREE, _FREE, child)
    return wide.ljust(64, b"\0") + links + bytes(36) + struct.pack("<IQ", start, size)
