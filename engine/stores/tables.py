"""Prepared tables on disk: written once a run, memory-mapped by every worker.

One folder a year: uncompressed `.npy` files, so that the processes of a node share the pages,
and `prepared.json`, which is written last and says how they belong together.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from engine.error_model import Method, Quantity
from engine.errors import StoreError
from engine.kernels.perturb import Cells, Groups, Term
from engine.prepare import Prepared
from engine.stores.durable import write_atomically

_WHOLE = ("active", "weights", "membership", "domestic", "characterisation")
_OF_CELLS = ("i", "j", "rows", "columns", "log2_sd")
_OF_GROUPS = ("rows", "columns", "row_of", "column_of")


def save(prepared: Prepared, folder: Path) -> None:
    """Write a prepared table to `folder`, replacing what is there.

    Raises:
        StoreError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prepared.json").unlink(missing_ok=True)
        for name in _WHOLE:
            np.save(folder / f"{name}.npy", getattr(prepared, name))
        for quantity, values in prepared.values.items():
            np.save(folder / f"values_{quantity}.npy", values)
        described = {
            quantity: [_save_cells(cells, folder, f"{quantity}{e}") for e, cells in enumerate(all_)]
            for quantity, all_ in prepared.errors.items()
        }
        content = {
            "year": prepared.year,
            "method": prepared.method,
            "r_max": prepared.r_max,
            "quantities": list(prepared.values),
            "errors": described,
        }
        write_atomically(folder / "prepared.json", json.dumps(content).encode())
    except OSError as error:
        raise StoreError(
            f"prepared table cannot be written ({error})",
            where=str(folder),
            remedy="free space or choose another run folder, then run again",
        ) from error


def _save_cells(cells: Cells, folder: Path, name: str) -> list[dict[str, Any]]:
    for array in _OF_CELLS:
        np.save(folder / f"{name}_{array}.npy", getattr(cells, array))
    return [_save_term(term, folder, f"{name}_term{t}") for t, term in enumerate(cells.terms)]


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


def load(folder: Path) -> Prepared:
    """Open a prepared table; its arrays are read-only maps of the files.

    Raises:
        StoreError: the folder holds no complete prepared table.
    """
    try:
        content = json.loads((folder / "prepared.json").read_text())
        return Prepared(
            year=content["year"],
            method=Method(content["method"]),
            r_max=content["r_max"],
            values={Quantity(q): _map(folder, f"values_{q}") for q in content["quantities"]},
            errors={
                Quantity(quantity): tuple(
                    _load_cells(terms, folder, f"{quantity}{e}") for e, terms in enumerate(entries)
                )
                for quantity, entries in content["errors"].items()
            },
            **{name: _map(folder, name) for name in _WHOLE},
        )
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(
            f"no complete prepared table ({error})",
            where=str(folder),
            remedy="run again; it is prepared anew",
        ) from error


def _load_cells(described: list[dict[str, Any]], folder: Path, name: str) -> Cells:
    terms = (_load_term(term, folder, f"{name}_term{t}") for t, term in enumerate(described))
    arrays = {array: _map(folder, f"{name}_{array}") for array in _OF_CELLS}
    return Cells(**arrays, terms=tuple(terms))


def _load_term(described: dict[str, Any], folder: Path, name: str) -> Term:
    groups = None
    if described["grouped"]:
        groups = Groups(**{array: _map(folder, f"{name}_{array}") for array in _OF_GROUPS})
    key = np.array(described["key"], dtype=np.uint32)
    return Term(described["weight"], key, described["node"], groups)


def _map(folder: Path, name: str) -> Any:
    # The plain view of the map: compiled kernels take arrays, not their subclasses.
    return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))
