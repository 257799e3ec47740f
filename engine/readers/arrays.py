"""Tables in npz files of a neutral layout, described by a TOML manifest.

The manifest says which npz file holds which year, what its arrays are called, and what their rows
and columns mean; docs/arrays.md documents every key. In short:

    [files]
    per_year = "table_{year}.npz"      # or: all_years = "tables.npz", years = "years"

    [arrays]
    Z = "Z"                            # (n,n), n = regions x sectors, regions outermost
    Y = "Y"                            # (n, regions x final-demand categories), the same
    output = "x"                       # (n,), the publisher's own, only reported; may be left out

    [labels]
    regions = ["AAA", "BBB"]           # or { array = "regions" }
    sectors = { json = "labels.json", key = "industries", field = "code" }
    final_demand_categories = 5        # summed
    currency = "million EUR, current basic prices"

    [stressors]
    names = ["CO2", "CH4"]
    units = ["kt", "kt"]
    emissions = ["F_co2", "F_ch4"]     # (n,) each; or "F", one array (k,n)
    direct = ["Fy_co2", "Fy_ch4"]      # (r,) each; or "Fy", (k,r); left out: none

    [provenance]
    source = "..."                     # version and licence likewise; synthetic = true if made up

With `all_years`, every array has the years as its first axis; `one_year` and `texts` are for a
single year, the latter for a text file an array, numbers only. Paths are relative to a root that
the caller gives, so that a manifest is shared without the data. Cells may be integers or floats of
any width; they become float64. Zeros are exact, a missing value is refused.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.kernels.leontief import required_output
from engine.mrio import MRIO, Labels, Provenance
from engine.readers import labelled
from engine.readers.fetched import below, here
from engine.readers.files import located, read_bytes, sha256
from engine.readers.labelled import Layout
from engine.readers.manifest import (
    FromArray,
    FromJson,
    Inline,
    LabelSource,
    Manifest,
    Spelt,
    read_manifest,
)
from engine.readers.nearest import nearest
from engine.readers.npz import Array, read_npz
from engine.stores.places import Remote

NO_DIRECT = "no direct emissions of final consumers in the files, taken as zero"
FROM_COEFFICIENTS = "output is what final demand requires, x = (I - A)^-1 Y 1, and Z = A diag(x)"
_ROWS = 2**14  # of a text file, at most; it has no names that would say how many there should be


@dataclass(frozen=True, slots=True)
class Arrays:
    """A series of tables in npz files: where the manifest is, and the folder its paths start at."""

    manifest: Path | Remote
    root: Path | Remote


def years(source: Arrays) -> tuple[int, ...]:
    """The years there are tables of, ascending.

    Raises:
        InputError: the manifest is wrong, or there is no year, or one twice.
    """
    manifest = read_manifest(here(source.manifest))
    found = _years(source, manifest)
    if not found:
        raise TableError(
            f"holds no file {manifest.files.file}",
            where=str(source.root),
            remedy="check the folder and the name in the manifest",
        )
    return tuple(sorted(found))


def read(source: Arrays, year: int) -> MRIO:
    """The table of one year.

    Raises:
        InputError: the manifest is wrong, the year is missing, or a file is missing, damaged, or
            not what the manifest says. Nothing is repaired.
    """
    manifest = read_manifest(here(source.manifest))
    path = source.root / manifest.files.named(year)
    if year not in _years(source, manifest):
        raise TableError(
            f"there is no table of {year}",
            where=str(path),
            remedy=f"use one of {', '.join(map(str, years(source)))}",
        )
    hashes = _hashes(source, manifest, year)
    arrays = _arrays(source, manifest, year)
    with located(f"{path}, year {year}"):
        labels = Labels(
            regions=_names(manifest.regions, source, arrays),
            industries=_industries(manifest, source, arrays),
            stressors=_names(manifest.stressors, source, arrays),
            stressor_units=_names(manifest.units, source, arrays),
            currency=manifest.currency,
        )
        n, r, k = len(labels.industries), len(labels.regions), len(labels.stressors)
        Z, Y = _numbers(arrays[manifest.Z], manifest.Z, (n, n)), _demand(arrays, manifest, n, r)
        E = _by_stressor(arrays, manifest.emissions, k, n)
        if manifest.per_output:
            x = _required(Z, Y)
            Z, E = Z * x, E * x
        return MRIO(
            year=year,
            labels=labels,
            Z=Z,
            Y=Y,
            E=E,
            F_Y=_direct(arrays, manifest, k, r),
            published_output=_output(arrays, manifest, Z, n),
            provenance=_provenance(manifest, hashes),
        )


def _years(source: Arrays, manifest: Manifest) -> dict[int, int]:
    """Each year, and its place on the years axis (0 where every year has a file)."""
    files = manifest.files
    if files.year is not None:
        return {files.year: 0}
    if files.years:
        path = source.root / files.file
        axis = read_npz(here(path), [files.years])[files.years]
        if axis.ndim != 1 or axis.dtype.kind not in "iu" or len(set(axis.tolist())) != len(axis):
            raise TableError(
                f"array {files.years} is not a list of different whole years",
                where=str(path),
                remedy="give one whole number for each table, in the order of the first axis",
            )
        return {int(year): place for place, year in enumerate(axis)}
    before, after = files.file.split("{year}")
    name = re.compile(f"{re.escape(before)}([0-9]{{4}}){re.escape(after)}")
    if isinstance(source.root, Remote):
        names = below(source.root)
    else:
        found = source.root.glob(f"{glob.escape(before)}[0-9][0-9][0-9][0-9]{glob.escape(after)}")
        names = [file.relative_to(source.root).as_posix() for file in found]
    matches = (name.fullmatch(file) for file in names)
    return {int(match[1]): 0 for match in matches if match}


def _hashes(source: Arrays, manifest: Manifest, year: int) -> dict[str, str]:
    """Hash of every file used, by name; those the manifest pins must have the pinned one."""
    jsons = {
        place.file
        for place in (manifest.regions, manifest.sectors, manifest.stressors, manifest.units)
        if isinstance(place, FromJson)
    }
    tables = [manifest.files.named(year)]
    if manifest.files.separator:
        tables = [manifest.files.of_array(name) for name in _wanted(manifest)]
    found = {name: sha256(here(source.root / name)) for name in (*tables, *sorted(jsons))}
    for name, pin in manifest.sha256.items():
        if (found.get(name) or sha256(here(source.root / name))) != pin:
            raise TableError(
                f"is not the file the manifest {source.manifest} was written for: its sha256 "
                f"differs from {pin}",
                where=str(source.root / name),
                remedy="fetch the file again, or correct the manifest if it is a new version",
            )
    return {source.manifest.name: sha256(here(source.manifest)), **found}


def _arrays(source: Arrays, manifest: Manifest, year: int) -> dict[str, Array]:
    """Every array of the year, by name."""
    files, wanted = manifest.files, _wanted(manifest)
    if files.separator:
        found: dict[str, Array] = {}
        for name in wanted:
            text = here(source.root / files.of_array(name))
            found[name] = labelled.read(text, Layout(files.separator, 0, 0), most_rows=_ROWS).values
        return found
    path = source.root / files.named(year)
    arrays = read_npz(here(path), wanted)
    return _at_year(arrays, manifest, year, path) if files.years else dict(arrays)


def _wanted(manifest: Manifest) -> list[str]:
    names = [manifest.Z]
    names += [
        name for name in (manifest.output, manifest.value_added, manifest.files.years) if name
    ]
    for group in (manifest.Y, manifest.emissions, manifest.direct):
        if group is not None:
            names += [group] if isinstance(group, str) else group
    for place in (manifest.regions, manifest.sectors, manifest.stressors, manifest.units):
        if isinstance(place, FromArray | Spelt):
            names.append(place.array)
    return names


def _at_year(
    arrays: Mapping[str, Array], manifest: Manifest, year: int, path: Path | Remote
) -> dict[str, Array]:
    """The arrays at one place of the years axis; text arrays are labels and have no years."""
    axis = arrays[manifest.files.years].tolist()
    place = axis.index(year)
    for name, array in arrays.items():
        if array.dtype.kind != "U" and array.shape[:1] != (len(axis),):
            raise TableError(
                f"array {name} has shape {array.shape}, not {len(axis)} years as its first axis",
                where=str(path),
                remedy="stack one table for each year, or use per_year in the manifest",
            )
    return {
        name: array if array.dtype.kind == "U" else array[place] for name, array in arrays.items()
    }


def _names(place: LabelSource, source: Arrays, arrays: Mapping[str, Array]) -> tuple[str, ...]:
    if isinstance(place, Inline):
        return place.names
    if isinstance(place, FromJson):
        return _names_in_json(here(source.root / place.file), place)
    return _text_names(arrays[place.array], place.array)


def _text_names(array: Array, name: str) -> tuple[str, ...]:
    if array.ndim != 1 or array.dtype.kind != "U" or not array.size or not array.all():
        raise TableError(
            f"array {name} (shape {array.shape}, type {array.dtype}) is not a list of names",
            remedy="store labels as a one-dimensional array of text, none of it empty",
        )
    return tuple(str(one) for one in array)


def _names_in_json(path: Path, place: FromJson) -> tuple[str, ...]:
    try:
        content = json.loads(read_bytes(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise TableError(
            f"is not JSON in UTF-8 ({error})", where=str(path), remedy="write it again"
        ) from error
    entries = content.get(place.key) if isinstance(content, dict) else None
    if place.field and isinstance(entries, list):
        entries = [e.get(place.field) if isinstance(e, dict) else None for e in entries]
    if not entries or not isinstance(entries, list) or not all(map(_is_name, entries)):
        each = f" with a text {place.field!r} each" if place.field else ""
        keys = content if isinstance(content, dict) else ()
        raise TableError(
            f"has no list of names{each} under {place.key!r}",
            where=str(path),
            remedy=nearest(place.key, [key for key in keys if key != place.key]),
        )
    return tuple(entries)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _industries(
    manifest: Manifest, source: Arrays, arrays: Mapping[str, Array]
) -> tuple[tuple[str, str], ...]:
    if isinstance(manifest.sectors, Spelt):
        return _spelt(arrays[manifest.sectors.array], manifest.sectors)
    sectors = _names(manifest.sectors, source, arrays)
    regions = _names(manifest.regions, source, arrays)
    return tuple((region, sector) for region in regions for sector in sectors)


def _spelt(array: Array, place: Spelt) -> tuple[tuple[str, str], ...]:
    """Industries that are written as sector, sign, region."""
    names = _text_names(array, place.array)
    found = [name.partition(place.sign) for name in names]
    for name, (sector, _, region) in zip(names, found, strict=True):
        if not (sector and region):
            raise TableError(
                f"{name!r} in array {place.array} is no sector, {place.sign!r} and region",
                remedy="check the sign in the manifest",
            )
    return tuple((region, sector) for sector, _, region in found)


def _numbers(array: Array, name: str, shape: tuple[int, ...]) -> F64:
    if array.dtype.kind not in "iuf":
        raise TableError(
            f"array {name} holds {array.dtype}, not numbers", remedy="store integers or floats"
        )
    if array.shape != shape:
        raise TableError(
            f"array {name} has shape {array.shape}, the labels ask for {shape}",
            remedy="check the labels and the number of final-demand categories in the manifest",
        )
    return np.asarray(array, dtype=np.float64)


def _demand(arrays: Mapping[str, Array], manifest: Manifest, n: int, r: int) -> F64:
    """Final demand by region, (n,r), from that by region and category, (n, r categories)."""
    columns = r * manifest.categories
    if isinstance(manifest.Y, str):
        return _summed(_numbers(arrays[manifest.Y], manifest.Y, (n, columns)), r)
    if len(manifest.Y) != columns:
        raise TableError(
            f"{len(manifest.Y)} arrays ({', '.join(manifest.Y)}) are given for {columns} columns "
            "of final demand",
            remedy="name one array for each region and category, or one array of them all",
        )
    found = [_numbers(arrays[name], name, (n,)) for name in manifest.Y]
    return _summed(np.stack(found, axis=1), r)


def _summed(values: F64, r: int) -> F64:
    """Categories of regions added up, (rows, r categories) to (rows, r)."""
    with np.errstate(all="ignore"):  # what is not finite here is refused, with its cell, by MRIO
        total: F64 = values.reshape(len(values), r, -1).sum(axis=2)
    return total


def _direct(arrays: Mapping[str, Array], manifest: Manifest, k: int, r: int) -> F64:
    """Direct emissions of consumers, (k,r); by category of final demand, they are summed."""
    columns = r * manifest.categories
    if isinstance(manifest.direct, str) and arrays[manifest.direct].shape == (k, columns):
        return _summed(_by_stressor(arrays, manifest.direct, k, columns), r)
    return _by_stressor(arrays, manifest.direct, k, r)


def _required(A: F64, Y: F64) -> F64:
    """Output that final demand requires, x = (I - A)^-1 Y 1, (n,)."""
    try:
        with np.errstate(all="ignore"):
            return required_output(A, Y.sum(axis=1))
    except (np.linalg.LinAlgError, ValueError) as error:
        raise TableError(
            f"coefficients give no output ({error})", remedy="check the array of coefficients"
        ) from error


def _output(arrays: Mapping[str, Array], manifest: Manifest, Z: F64, n: int) -> F64 | None:
    """The publisher's output: stated, or inputs and value added."""
    if manifest.output:
        return _numbers(arrays[manifest.output], manifest.output, (n,))
    if not manifest.value_added:
        return None
    added = np.atleast_2d(arrays[manifest.value_added])
    with np.errstate(all="ignore"):
        added = _numbers(added, manifest.value_added, (len(added), n))
        total: F64 = Z.sum(axis=0) + added.sum(axis=0)
    return total


def _by_stressor(
    arrays: Mapping[str, Array], names: str | tuple[str, ...] | None, k: int, columns: int
) -> F64:
    if names is None:
        return np.zeros((k, columns))
    if isinstance(names, str):
        return _numbers(arrays[names], names, (k, columns))
    if len(names) != k:
        raise TableError(
            f"{len(names)} arrays ({', '.join(names)}) are given for {k} stressors",
            remedy="name one array for each stressor, in the order of the stressors",
        )
    return np.stack([_numbers(arrays[name], name, (columns,)) for name in names])


def _provenance(manifest: Manifest, hashes: Mapping[str, str]) -> Provenance:
    notes = [NO_DIRECT] if manifest.direct is None else []
    notes += [FROM_COEFFICIENTS] if manifest.per_output else []
    return Provenance(
        source="; ".join([manifest.source, *notes]),
        version=manifest.version,
        licence=manifest.licence,
        synthetic=manifest.synthetic,
        files=tuple(hashes.items()),
    )
