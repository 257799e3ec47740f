"""The ensemble's Zarr hierarchy on disk: made, extended, written and read one block at a time."""

from __future__ import annotations

import asyncio
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

from engine.errors import StoreError
from engine.kernels.arrays import F64
from engine.plan import Block
from engine.stores.durable import write_atomically
from engine.stores.layout import (
    BLOCK_ARRAYS,
    CONTRIBUTIONS,
    TEXTS,
    Axes,
    BlockResults,
    checksum,
    chunk_name,
    coordinates,
    forms,
    where,
)


class DurableStore(LocalStore):
    """A local Zarr store that has synced a file by the time it says the file is written."""

    async def set(self, key: str, value: Buffer) -> None:
        """Write one chunk or metadata document."""
        await asyncio.to_thread(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write one chunk or metadata document."""
        write_atomically(self.root / key, memoryview(value.as_buffer_like()))


# --- the whole hierarchy ------------------------------------------------------------------------


def build(
    folder: Path,
    axes: Axes,
    draws: int,
    references: Mapping[str, F64],
    attributes: Mapping[str, Any],
) -> None:
    """Write a new, empty hierarchy to `folder`, its metadata consolidated.

    Args:
        references: what the estimates give, by the names of `Axes.references`.
    """
    with _known_warnings():
        group = zarr.create_group(DurableStore(folder), attributes=dict(attributes))
        for name, form in forms(axes).items():
            group.create_array(
                name,
                shape=form.shape(axes, draws),
                chunks=form.chunks(axes),
                dtype=form.dtype,
                fill_value=form.fill,
                compressors=ZstdCodec(level=3, checksum=True),
                dimension_names=form.dims,
                attributes=form.attributes,
                # Flat file names: one folder to sync and to list, whatever the dimensions.
                chunk_key_encoding={"name": "default", "separator": "."},
            )
        mend(folder, axes, draws, references)
        zarr.consolidate_metadata(group.store)


def attributes(folder: Path) -> dict[str, Any]:
    """The attributes of the hierarchy.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    match _metadata(folder, "."):
        case {"attributes": dict(found)}:
            return found
    raise damaged(folder / "zarr.json", "has no attributes")


def room(folder: Path) -> int:
    """For how many draws the consolidated metadata have room: what a reader sees.

    Raises:
        StoreError: the metadata are damaged.
    """
    try:
        arrays = _metadata(folder, ".")["consolidated_metadata"]["metadata"]
        told = [name for name in CONTRIBUTIONS if name in arrays]
        return min(int(arrays[name]["shape"][0]) for name in (*BLOCK_ARRAYS, *told, "draw"))
    except (KeyError, TypeError) as error:
        raise damaged(folder / "zarr.json", f"lacks consolidated metadata ({error})") from error


def _metadata(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name / "zarr.json"
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise damaged(path, "is missing") from None
    except ValueError as error:
        raise damaged(path, f"is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise damaged(path, "is not a JSON object")
    return content


def grow(folder: Path, axes: Axes, draws: int, references: Mapping[str, F64]) -> int:
    """Make room for `draws` draws and mend what is no block's; returns the room there is.

    Nothing ever shrinks, and a growth that was cut short is finished. The consolidated metadata
    come last, so that a reader sees the old room or the new.
    """
    rooms = {name: int(_metadata(folder, name)["shape"][0]) for name in axes.growing}
    wanted = max(draws, *rooms.values())
    for name in axes.growing:
        if rooms[name] < wanted:
            array = _open(folder, name)
            array.resize((wanted, *array.shape[1:]))
    mend(folder, axes, wanted, references)
    if room(folder) != wanted:
        with _known_warnings():
            zarr.consolidate_metadata(DurableStore(folder))
    return wanted


def mend(folder: Path, axes: Axes, draws: int, references: Mapping[str, F64]) -> None:
    """Write the coordinates and the references where they are absent or damaged."""
    values = coordinates(axes, draws) | dict(references)
    with _known_warnings():
        for name in unsound(folder, axes, draws):
            _open(folder, name)[...] = values[name]


def unsound(folder: Path, axes: Axes, draws: int) -> dict[str, str]:
    """Why coordinates or the reference are not what they should be, by array."""
    reasons = {}
    with _known_warnings():
        for name, values in coordinates(axes, draws).items():
            found = _read(folder, name, ...)
            if isinstance(found, str):
                reasons[name] = found
            elif not np.array_equal(found[: len(values)].astype(values.dtype), values):
                reasons[name] = "does not hold the labels the ensemble was made for"
    for name in axes.references:
        found = _read(folder, name, ...)
        if isinstance(found, str) or not np.isfinite(found).all():
            reasons[name] = found if isinstance(found, str) else "its chunk is missing"
    return reasons


def reference(folder: Path) -> F64 | None:
    """The footprints without errors, (years, stressors, consumers, parts); None if damaged."""
    found = _read(folder, "reference", ...)
    return None if isinstance(found, str) or not np.isfinite(found).all() else found


def damaged(path: Path, what: str) -> StoreError:
    """The error for metadata that cannot be trusted: nothing but a copy can mend them."""
    return StoreError(
        what,
        where=str(path),
        remedy="restore it from a copy, or move the scenario's folder away and run again",
    )


# --- one block ----------------------------------------------------------------------------------


def write_block(folder: Path, axes: Axes, block: Block, results: BlockResults) -> None:
    """Write one chunk of every array; it is durable when this returns.

    Raises:
        OSError: a chunk could not be written.
    """
    for name in axes.block_arrays:
        _open(folder, name)[where(axes, block)] = getattr(results, name)


def damage(folder: Path, axes: Axes, block: Block, checksum_entered: str) -> str:
    """What is wrong with a finished block, read again from disk; empty if nothing is."""
    found = {}
    for name in axes.block_arrays:
        if not (folder / name / chunk_name(name, axes, block)).is_file():
            return f"{name}: its chunk {chunk_name(name, axes, block)} is missing"
        values = _read(folder, name, where(axes, block))
        if isinstance(values, str):
            return f"{name}: {values}"
        found[name] = values
    if checksum(BlockResults(**found)) != checksum_entered:
        return "its numbers are not those the ledger has the checksum of"
    return ""


def absent(folder: Path, axes: Axes, blocks: Iterable[Block]) -> list[Block]:
    """Of `blocks`, those that lack the file of a chunk: a glance, where `damage` is a check."""
    files = {name: set(os.listdir(folder / name)) for name in axes.block_arrays}
    return [
        block
        for block in blocks
        if any(chunk_name(name, axes, block) not in files[name] for name in axes.block_arrays)
    ]


# --- Zarr's own ways ----------------------------------------------------------------------------


def dataset(folder: Path) -> xr.Dataset:
    """The hierarchy with its labels, lazily read; labels are plain `str` on every zarr."""
    with _known_warnings():
        found: xr.Dataset = xr.open_zarr(folder, chunks=None, consolidated=True)
        labels = {name: found[name].astype(object) for name in TEXTS if name in found.variables}
        return found.assign_coords(labels)


def gathered(folder: Path, axes: Axes, finished: Iterable[Block]) -> xr.Dataset:
    """The same, in memory, with the draws of `finished` blocks and nothing of any other."""
    found = dataset(folder)
    finished = list(finished)
    for name in axes.block_arrays:
        stored, form = found[name], forms(axes)[name]
        values = np.full(stored.shape, form.fill, dtype=form.dtype)
        for block in finished:
            values[where(axes, block)] = stored[where(axes, block)].values
        found[name] = stored.copy(data=values)
    return found


def _open(folder: Path, name: str) -> zarr.Array[Any]:
    found = zarr.open_array(DurableStore(folder), path=name, mode="r+")
    metadata: Any = found.metadata
    # `open_array` ignores its `config`, and a chunk of nothing but the fill value must be written.
    config: Any = {"write_empty_chunks": True}
    return zarr.Array(zarr.AsyncArray(metadata, found.store_path, config=config))


def _read(folder: Path, name: str, here: Any) -> NDArray[Any] | str:
    """Numbers as they are on disk, or why they cannot be read."""
    try:
        return np.asarray(zarr.open_array(folder, path=name, mode="r")[here])
    except PermissionError:
        raise
    except Exception as error:  # a codec may raise anything when bytes are damaged
        return f"cannot be decoded ({type(error).__name__}: {error})"


@contextmanager
def _known_warnings() -> Iterator[None]:
    """Two formats that every zarr >= 3.1 reads and writes, but warns are no standard yet.

    Filters belong to the process, so this is used by the one thread that creates or opens an
    ensemble, never where blocks are written.
    """
    with warnings.catch_warnings():
        for what in ("Consolidated metadata is", "The codec `vlen-utf8` is"):
            warnings.filterwarnings("ignore", f"{what} currently not part in the Zarr", UserWarning)
        yield
