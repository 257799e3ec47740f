"""Arrays from npz and npy files, read strictly: nothing is unpickled, nothing is left unread.

Every member is read to its end, so that its checksum is always verified; numpy alone stops where
the array's header says, and a damaged header then passes unnoticed.
"""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine.errors import TableError
from engine.readers.files import refuse_unsafe, unreadable
from engine.readers.nearest import nearest

Array = NDArray[Any]

_AGAIN = "the file is damaged or incomplete: fetch or write it again"
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npz(path: Path, wanted: Iterable[str] | None = None) -> dict[str, Array]:
    """The `wanted` arrays of an npz file (all of them by default), read-only, by name.

    Raises:
        TableError: the file is missing, truncated, damaged, unsafe, lacks an array, or holds
            pickled objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            refuse_unsafe(archive, str(path))
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
            names = list(members if wanted is None else dict.fromkeys(wanted))
            for name in names:
                if name not in members:
                    raise TableError(
                        f"holds no array {name!r}", where=str(path), remedy=nearest(name, members)
                    )
            return {
                name: parse_npy(archive.read(members[name]), f"{path}, array {name}")
                for name in names
            }
    except OSError as error:
        raise unreadable(path, error) from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        NotImplementedError,  # a compression method that does not exist
        RuntimeError,
    ) as error:
        raise TableError(
            f"is not a readable npz file ({error})", where=str(path), remedy=_AGAIN
        ) from error
    except MemoryError as error:
        raise TableError(
            "holds arrays larger than the free memory",
            where=str(path),
            remedy="use a machine with more memory, or a file for each year",
        ) from error


def parse_npy(data: bytes, where: str) -> Array:
    """The array in the bytes of an npy file, read-only.

    Raises:
        TableError: the bytes are no array, hold pickled objects, or more or less than the array.
    """
    stream = io.BytesIO(data)
    try:
        shape, fortran, dtype = _HEADERS[npy.read_magic(stream)](stream)
    except (ValueError, KeyError, TypeError, SyntaxError, tokenize.TokenError) as error:
        raise TableError(f"is not an array ({error})", where=where, remedy=_AGAIN) from error
    if dtype.hasobject:
        raise TableError(
            "holds pickled Python objects, which could run code and are never loaded",
            where=where,
            remedy="store it as an array of numbers, labels as text of fixed width",
        )
    start = stream.tell()
    expected = math.prod(shape) * dtype.itemsize
    if len(data) - start != expected:
        raise TableError(
            f"holds {len(data) - start} bytes of values, its header asks for {expected}",
            where=where,
            remedy=_AGAIN,
        )
    return np.ndarray(shape, dtype, data, start, order="F" if fortran else "C")
