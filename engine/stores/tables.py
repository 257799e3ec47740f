"""Prepared tables on disk: written anew by every run, memory-mapped by its workers.

One folder a year: uncompressed `.npy` files, so that the processes of a node share the pages,
and `prepared.json`, which is written last and says how they and the ensemble belong together. A
run's folder has a name of its own: no file that a worker may have mapped is ever written again.

Where the run lies in an object store the tables are prepared on this machine and put there, with
`files.json` last; every machine copies a year once, and its processes map that copy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from engine.error_model import Method, Quantity
from engine.errors import StoreError
from engine.kernels.inverse import Inverse
from engine.kernels.perturb import Cells, Groups, Term
from engine.kernels.start import Kept, Start
from engine.kernels.totals import Members
from engine.plan import Direction
from engine.prepare import Known, Margins, Prepared, Split
from engine.stores import nearby, objects
from engine.stores.durable import names, read, remove_all, storing, write_atomically
from engine.stores.places import Place, Remote

_WHOLE = (
    "active",
    "weights",
    "membership",
    "domestic",
    "characterisation",
    "region_of",
    "product_of",
    "by_origin",
    "by_industry",
    "by_product",
    "D0",
    "slopes",
    "usual",
)
_OF_START = ("X0", "y0", "final", "scale", "near", "far", "counted")
_OF_INVERSE = ("starts", "across", "value", "whole")
_OF_CELLS = ("starts", "across", "value", "log2_sd", "rows", "columns")
_OF_LAWS = ("quantiles", "size_of", "realised")  # only where factors are not lognormal
_OF_GROUPS = ("rows", "columns", "row_of", "column_of")
_OF_MARGINS = ("rows", "columns")
_OF_MEMBERS = ("total", "share", "centring", "rsd")


_FILES = "files.json"
_AT_ONCE = 8  # files on their way to or from an object store


@contextmanager
def workplace(scenario: Place) -> Iterator[Path]:
    """A folder to prepare the tables of one run of a scenario in; earlier ones are cleared away.

    For a scenario in an object store it lies on this machine, and `published` puts them there.

    Raises:
        StoreError: the scenario's folder cannot be written.
    """
    with storing(scenario):
        for left in names(scenario):
            if left.startswith("tables-"):
                remove_all(scenario / left)
    name = f"tables-{uuid4().hex[:12]}"
    here = isinstance(scenario, Path)
    folder = scenario / name if isinstance(scenario, Path) else nearby.hold(name, lambda _: None)
    try:
        yield folder
    finally:
        remove_all(scenario / name)
        if not here:
            nearby.release(folder)
            nearby.clear()


def published(folder: Path, scenario: Place) -> Place:
    """Where workers on any machine find the tables prepared in a `workplace`.

    Raises:
        StoreError: they could not be put into the object store.
    """
    if isinstance(scenario, Path):
        return folder
    place = scenario / folder.name
    with storing(scenario):
        for year in sorted(folder.iterdir()):
            _publish(year, place / year.name)
    return place


def _publish(folder: Path, place: Remote) -> None:
    files = sorted(folder.iterdir())
    listed = json.dumps({file.name: _hash(file) for file in files}).encode()
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(lambda file: objects.upload(file, place / file.name), files))
    write_atomically(place / _FILES, listed)
    nearby.adopt(folder, _name_of(listed))


def _copied(place: Remote) -> Path:
    """The copy on this machine of a table in an object store.

    Raises:
        FileNotFoundError: there is no such table.
        ValueError: a file is not what was put there.
        OSError: the store refuses, or does not answer.
    """
    listed = read(place / _FILES)

    def fill(folder: Path) -> None:
        files: dict[str, str] = json.loads(listed)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(lambda name: objects.download(place / name, folder / name), files))
        for name, digest in files.items():
            if _hash(folder / name) != digest:
                raise ValueError(f"{name} is not what was put there")

    return nearby.hold(_name_of(listed), fill)


def _name_of(listed: bytes) -> str:
    return hashlib.blake2b(listed, digest_size=16).hexdigest()


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def save(prepared: Prepared, folder: Path, ensemble: str) -> None:
    """Write a prepared table to `folder`, for the ensemble with this digest.

    Raises:
        StoreError: the folder cannot be written.
    """
    with storing(folder):
        folder.mkdir(parents=True)
        for name in _WHOLE:
            np.save(folder / f"{name}.npy", getattr(prepared, name))
        for name in _OF_START:
            np.save(folder / f"start_{name}.npy", getattr(prepared.start, name))
        for name in _OF_INVERSE:
            np.save(folder / f"inverse_{name}.npy", getattr(prepared.start.inverse, name))
        content = {
            "ensemble": ensemble,
            "year": prepared.year,
            "method": prepared.method,
            "direction": prepared.direction,
            "r_max": prepared.r_max,
            "tolerance": prepared.tolerance,
            "cells": {
                quantity: _save_all(cells, folder, quantity)
                for quantity, cells in prepared.cells.items()
            },
            "kept": _save_kept(prepared.kept, folder),
        }
        if prepared.margins is not None:
            content["margins"] = True
            for name in _OF_MARGINS:
                np.save(folder / f"margins_{name}.npy", getattr(prepared.margins, name))
        if prepared.known is not None:
            content["known"] = _save_known(prepared.known, folder)
        write_atomically(folder / "prepared.json", json.dumps(content).encode())


def add_split(split: Split, folder: Path) -> None:
    """Write the split of a prepared table that is saved in `folder`.

    Raises:
        StoreError: the folder cannot be written.
    """
    with storing(folder):
        content = json.loads((folder / "prepared.json").read_text())
        np.save(folder / "split_column_sums.npy", split.column_sums)
        content["split"] = {
            "kept": _save_all(split.kept, folder, "split_kept"),
            "rest": _save_all(split.rest, folder, "split_rest"),
            "order": split.order,
            "share": split.share,
        }
        write_atomically(folder / "prepared.json", json.dumps(content).encode())


def _save_all(entries: Sequence[Cells], folder: Path, name: str) -> list[dict[str, Any]]:
    return [_save_cells(cells, folder, f"{name}{e}") for e, cells in enumerate(entries)]


def _save_cells(cells: Cells, folder: Path, name: str) -> dict[str, Any]:
    for array in _OF_CELLS:
        np.save(folder / f"{name}_{array}.npy", getattr(cells, array))
    laws = [array for array in _OF_LAWS if len(getattr(cells, array))]
    for array in laws:
        np.save(folder / f"{name}_{array}.npy", getattr(cells, array))
    terms = [_save_term(term, folder, f"{name}_term{t}") for t, term in enumerate(cells.terms)]
    return {
        "shape": cells.shape,
        "by_row": cells.by_row,
        "terms": terms,
        "laws": laws,
        "logarithmic": cells.logarithmic,
    }


def _save_term(term: Term, folder: Path, name: str) -> dict[str, Any]:
    if term.groups is not None:
        for array in _OF_GROUPS:
            np.save(folder / f"{name}_{array}.npy", getattr(term.groups, array))
    return {
        "weight": term.weight,
        "key": term.key.tolist(),
        "node": term.node,
        "grouped": term.groups is not None,
    }


def load(folder: Place, ensemble: str) -> Prepared:
    """Open the prepared table of an ensemble; its arrays are read-only maps of the files.

    Raises:
        StoreError: the folder holds no complete prepared table, or one of another ensemble, or
            cannot be read.
    """
    with storing(folder):
        return _loaded(folder, ensemble)


def _loaded(place: Place, ensemble: str) -> Prepared:
    try:
        folder = _copied(place) if isinstance(place, Remote) else place
        content = json.loads((folder / "prepared.json").read_text())
        if content["ensemble"] != ensemble:
            raise ValueError("prepared for another ensemble")
        return Prepared(
            year=content["year"],
            method=Method(content["method"]),
            direction=Direction(content["direction"]),
            r_max=content["r_max"],
            tolerance=content["tolerance"],
            cells={
                Quantity(quantity): _load_all(entries, folder, quantity)
                for quantity, entries in content["cells"].items()
            },
            kept=_load_kept(content["kept"], folder),
            start=_load_start(folder),
            split=_load_split(content["split"], folder) if "split" in content else None,
            known=_load_known(content["known"], folder) if "known" in content else None,
            margins=_load_margins(folder) if "margins" in content else None,
            **{name: _map(folder, name) for name in _WHOLE},
        )
    except (FileNotFoundError, EOFError, ValueError, KeyError) as error:
        raise StoreError(
            f"no complete prepared table ({error})",
            where=str(place),
            remedy="run again; it is prepared anew",
        ) from error


def _load_margins(folder: Path) -> Margins:
    return Margins(**{name: _map(folder, f"margins_{name}") for name in _OF_MARGINS})


def _load_start(folder: Path) -> Start:
    fields = {name: _map(folder, f"start_{name}") for name in _OF_START}
    arrays = {name: _map(folder, f"inverse_{name}") for name in _OF_INVERSE}
    return Start(**fields, inverse=Inverse(**arrays))


def _save_kept(kept: Kept, folder: Path) -> dict[str, Any]:
    for e, slots in enumerate(kept.slots):
        np.save(folder / f"kept{e}_slots.npy", slots)
    cells = _save_all(kept.cells, folder, "kept")
    count = len(kept.slots)
    return {"cells": cells, "slots": count, "rows": kept.rows, "whole": kept.whole}


def _load_kept(described: dict[str, Any], folder: Path) -> Kept:
    return Kept(
        _load_all(described["cells"], folder, "kept"),
        tuple(_map(folder, f"kept{e}_slots") for e in range(described["slots"])),
        described["rows"],
        described["whole"],
    )


def _load_split(described: dict[str, Any], folder: Path) -> Split:
    return Split(
        kept=_load_all(described["kept"], folder, "split_kept"),
        rest=_load_all(described["rest"], folder, "split_rest"),
        column_sums=_map(folder, "split_column_sums"),
        order=described["order"],
        share=described["share"],
    )


def _save_known(known: Known, folder: Path) -> dict[str, Any]:
    np.save(folder / "known_concentration.npy", known.concentration)
    for e, members in enumerate(known.members):
        for array in _OF_MEMBERS:
            np.save(folder / f"known{e}_{array}.npy", getattr(members, array))
    return {
        "totals": _save_all(known.totals, folder, "totals"),
        "quantities": known.quantities,
        "entries": _save_all(known.entries, folder, "known"),
        "free": {
            quantity: _save_all(cells, folder, f"free_{quantity}")
            for quantity, cells in known.free.items()
        },
        "cancelled": known.cancelled,
    }


def _load_known(described: dict[str, Any], folder: Path) -> Known:
    return Known(
        totals=_load_all(described["totals"], folder, "totals"),
        concentration=_map(folder, "known_concentration"),
        quantities=tuple(Quantity(quantity) for quantity in described["quantities"]),
        entries=_load_all(described["entries"], folder, "known"),
        members=tuple(
            Members(**{array: _map(folder, f"known{e}_{array}") for array in _OF_MEMBERS})
            for e in range(len(described["entries"]))
        ),
        free={
            Quantity(quantity): _load_all(cells, folder, f"free_{quantity}")
            for quantity, cells in described["free"].items()
        },
        cancelled=tuple(described["cancelled"]),
    )


def _load_all(described: list[dict[str, Any]], folder: Path, name: str) -> tuple[Cells, ...]:
    return tuple(_load_cells(one, folder, f"{name}{e}") for e, one in enumerate(described))


def _load_cells(described: dict[str, Any], folder: Path, name: str) -> Cells:
    terms = described["terms"]
    rows, columns = described["shape"]
    return Cells(
        shape=(rows, columns),
        by_row=described["by_row"],
        logarithmic=described["logarithmic"],
        terms=tuple(_load_term(t, folder, f"{name}_term{i}") for i, t in enumerate(terms)),
        **{array: _map(folder, f"{name}_{array}") for array in (*_OF_CELLS, *described["laws"])},
    )


def _load_term(described: dict[str, Any], folder: Path, name: str) -> Term:
    groups = None
    if described["grouped"]:
        groups = Groups(**{array: _map(folder, f"{name}_{array}") for array in _OF_GROUPS})
    key = np.array(described["key"], dtype=np.uint32)
    return Term(described["weight"], key, described["node"], groups)


def _map(folder: Path, name: str) -> Any:
    # The plain view of the map: compiled kernels take arrays, not their subclasses.
    return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))
