"""Error sizes resolved: a relative standard deviation for each cell of a year."""

from __future__ import annotations

import hashlib
import tokenize
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.error_model import (
    KEYS,
    LARGEST_RSD,
    SMALLEST_RSD,
    ByLabel,
    Constant,
    DirichletShares,
    Empirical,
    Errors,
    FromFile,
    PowerLaw,
    check_rsd,
)
from engine.errors import ConfigError
from engine.kernels.arrays import F64, I32, I64
from engine.kernels.elementary import power
from engine.prepare.labels import Label

_MOST_NAMED = 12  # of what has no size
_PIECE = 2**14  # cells whose temporaries stay in a near cache


def piecewise(
    formula: Callable[[F64], F64], values: F64, kind: type[np.floating[Any]]
) -> NDArray[Any]:
    """A formula of each value by itself, some values at a time."""
    found = np.empty(len(values), dtype=kind)
    for first in range(0, len(values), _PIECE):
        piece = slice(first, first + _PIECE)
        found[piece] = formula(values[piece])
    return found


def sizes(
    entry: Errors,
    flows: F64,
    i: I32,
    j: I32,
    labels: tuple[list[Label], list[Label]],
    year: int,
) -> F64:
    """rsd of the cells (i, j), (cells,)."""
    match entry.size:
        case Constant(rsd):
            return np.full(len(i), rsd)
        case ByLabel():
            return _by_label(entry, entry.size, i, j, labels)
        case PowerLaw():
            return _by_power(entry.size, flows[i, j], year)
        case FromFile():
            return _from_file(entry.size, flows.shape, year)[i, j]
        case Empirical() | DirichletShares():
            raise AssertionError(
                "factors from files and shares of totals have no size of their own"
            )


def enlarged(rsd: F64, provisional: Mapping[int, float], year: int, where: str) -> F64:
    """Sizes as many times larger as `provisional` says of the year.

    Raises:
        ConfigError: one becomes larger, or smaller, than can be meant.
    """
    times = provisional.get(year, 1.0)
    if times == 1.0 or not len(rsd):
        return rsd
    larger = times * rsd
    for end in (larger.min(), larger.max()):
        check_rsd(float(end), f"{where}, provisional {year}")
    return larger


def _by_power(law: PowerLaw, flows: F64, year: int) -> F64:
    """`a v^b` between floor and ceiling; no flow is zero here, for zeros carry no error."""
    conversion = law.conversion(year)

    def size(some: F64) -> F64:
        rsd = law.a * power(np.abs(some) * conversion, law.b)
        return np.clip(rsd, law.floor, law.ceiling)

    return piecewise(size, flows, np.float64)


def _by_label(
    entry: Errors, size: ByLabel, i: I32, j: I32, labels: tuple[list[Label], list[Label]]
) -> F64:
    """Look each combination of labels up once: the cells repeat the few that matter."""
    (row_kinds, row_of), (column_kinds, column_of) = (
        _kinds(KEYS[entry.quantity][axis], size.keys, labels[axis]) for axis in (0, 1)
    )
    pairs = row_of[i] * np.int64(len(column_kinds)) + column_of[j]
    distinct, position = np.unique(pairs, return_inverse=True)
    found: list[Label] = []
    for pair in distinct:
        row, column = row_kinds[pair // len(column_kinds)], column_kinds[pair % len(column_kinds)]
        found.append(tuple(a or b for a, b in zip(row, column, strict=True)))
    _refuse_missing([label for label in found if label not in size.rsd], entry)
    return np.array([size.rsd[label] for label in found])[position]


def _refuse_missing(labels: list[Label], entry: Errors) -> None:
    if labels:
        named = ", ".join(" ".join(label) for label in labels[:_MOST_NAMED])
        rest = len(labels) - _MOST_NAMED
        raise ConfigError(
            f"the table of error sizes has no entry for {named}"
            + (f" and {rest} more" if rest > 0 else ""),
            where=f"errors of {entry.quantity}",
            remedy="add them, or leave them out with `only` and give them an entry of their own; "
            "a missing size is never read as zero",
        )


def _kinds(
    own: tuple[str, ...], keys: tuple[str, ...], labels: list[Label]
) -> tuple[list[Label], I64]:
    """What `keys` say of each position of one axis ("" for keys of the other), and which it has."""
    said = [tuple(label[own.index(key)] if key in own else "" for key in keys) for label in labels]
    places: dict[Label, int] = {}
    of = np.array([places.setdefault(label, len(places)) for label in said], dtype=np.int64)
    return list(places), of


def _from_file(size: FromFile, shape: tuple[int, ...], year: int) -> F64:
    file = size.file(year)
    where = f"file {file}"
    rsd = np.array(mapped(file, where))
    refuse_changed(file, size.hash_of(year), where)
    if rsd.shape != shape or rsd.dtype.kind != "f":
        raise ConfigError(
            f"does not hold floats in the quantity's shape {shape}",
            where=where,
            remedy="one relative standard deviation a cell, in the order of the table",
        )
    impossible = ~((rsd == 0) | ((rsd >= SMALLEST_RSD) & (rsd <= LARGEST_RSD)))
    if impossible.any():
        check_rsd(float(rsd[impossible][0]), where)
    return rsd.astype(np.float64)


def mapped(path: Path, where: str) -> NDArray[Any]:
    """The array of a .npy file, in memory only where it is looked at.

    Raises:
        ConfigError: it cannot be read, or is another kind of file, an .npz archive for one.
    """
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError) as error:
        raise _no_array(str(error), where) from error
    if not isinstance(found, np.ndarray):
        found.close()
        raise _no_array("it is an archive of several", where)
    return found


def _no_array(why: str, where: str) -> ConfigError:
    return ConfigError(
        f"cannot be read as an array ({why})",
        where=where,
        remedy="give a .npy file of one plain array, as numpy.save writes it",
    )


def refuse_changed(path: Path, sha256: str, where: str) -> None:
    """Refuse a file that is not the one that the configuration was read with.

    Asked after the file's numbers were taken, so that what was taken is what was meant.

    Raises:
        ConfigError: it cannot be read, or has changed.
    """
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise _no_array(str(error), where) from error
    if found != sha256:
        raise ConfigError(
            "changed since the configuration was read", where=where, remedy="run again"
        )
