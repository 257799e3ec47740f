"""The ensemble's Zarr hierarchy on disk: made, extended, written and read one block at a time."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.codecs import ZstdCodec

from engine.errors import StoreError
from engine.kernels.arrays import F64
from engine.plan import Block
from engine.stores.chunks import stored
from engine.stores.durable import exists, names, read, write_atomically
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
from engine.stores.places import Place, Remote

T = TypeVar("T")

_ROOT = "zarr.json"
_AT_ONCE = 8  # objects on their way to or from a store


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
        group = zarr.create_group(stored(folder), attributes=dict(attributes))
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


def publish(built: Path, folder: Remote) -> None:
    """Put a hierarchy that was built on this machine; it is there when its last object is.

    That object is the root's metadata, without which there is nothing to open. What an earlier
    attempt left behind is put again, and what it had besides is in no metadata.
    """
    files = sorted(file for file in built.rglob("*") if file.is_file())
    root = built / _ROOT

    def put(file: Path) -> None:
        write_atomically(folder / file.relative_to(built).as_posix(), file.read_bytes())

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(put, [file for file in files if file != root]))
    put(root)


def is_there(folder: Place) -> bool:
    """Whether a hierarchy has been created in `folder`, be it damaged by now."""
    return exists(folder / _ROOT if isinstance(folder, Remote) else folder)


def attributes(folder: Place) -> dict[str, Any]:
    """The attributes of the hierarchy.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    match _metadata(folder, "."):
        case {"attributes": dict(found)}:
            return found
    raise damaged(folder / _ROOT, "has no attributes")


def room(folder: Place) -> int:
    """For how many draws the consolidated metadata have room: what a reader sees.

    Raises:
        StoreError: the metadata are damaged.
    """
    try:
        arrays = _metadata(folder, ".")["consolidated_metadata"]["metadata"]
        told = [name for name in CONTRIBUTIONS if name in arrays]
        return min(int(arrays[name]["shape"][0]) for name in (*BLOCK_ARRAYS, *told, "draw"))
    except (KeyError, TypeError) as error:
        raise damaged(folder / _ROOT, f"lacks consolidated metadata ({error})") from error


def _metadata(folder: Place, name: str) -> dict[str, Any]:
    path = folder / name / _ROOT
    try:
        content = json.loads(read(path))
    except FileNotFoundError:
        raise damaged(path, "is missing") from None
    except ValueError as error:
        raise damaged(path, f"is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise damaged(path, "is not a JSON object")
    return content


def grow(folder: Place, axes: Axes, draws: int, references: Mapping[str, F64]) -> int:
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
            zarr.consolidate_metadata(stored(folder))
    return wanted


def mend(folder: Place, axes: Axes, draws: int, references: Mapping[str, F64]) -> None:
    """Write the coordinates and the references where they are absent or damaged."""
    values = coordinates(axes, draws) | dict(references)
    with _known_warnings():
        for name in unsound(folder, axes, draws):
            _open(folder, name)[...] = values[name]


def unsound(folder: Place, axes: Axes, draws: int) -> dict[str, str]:
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


def reference(folder: Place) -> F64 | None:
    """The footprints without errors, (years, stressors, consumers, parts); None if damaged."""
    found = _read(folder, "reference", ...)
    return None if isinstance(found, str) or not np.isfinite(found).all() else found


def damaged(path: Place, what: str) -> StoreError:
    """The error for metadata that cannot be trusted: nothing but a copy can mend them."""
    return StoreError(
        what,
        where=str(path),
        remedy="restore it from a copy, or move the scenario's folder away and run again",
    )


# --- one block ----------------------------------------------------------------------------------


def write_block(folder: Place, axes: Axes, block: Block, results: BlockResults) -> None:
    """Write one chunk of every array; it is durable when this returns.

    Raises:
        OSError: a chunk could not be written.
    """

    def write(name: str) -> None:
        _open(folder, name)[where(axes, block)] = getattr(results, name)

    _each(folder, write, axes)


def chunks(folder: Place, axes: Axes) -> dict[str, set[str]]:
    """The files of every array's blocks, by array."""
    return {name: set(names(folder / name)) for name in axes.block_arrays}


def damage(
    folder: Place,
    axes: Axes,
    block: Block,
    checksum_entered: str,
    files: Mapping[str, set[str]],
) -> str:
    """What is wrong with a finished block, read again from disk; empty if nothing is.

    Args:
        files: the `chunks` that there are, listed after the block was entered.
    """
    for name in axes.block_arrays:
        if chunk_name(name, axes, block) not in files[name]:
            return f"{name}: its chunk {chunk_name(name, axes, block)} is missing"
    read_again = _each(folder, lambda name: _read(folder, name, where(axes, block)), axes)
    found = {}
    for name, values in read_again.items():
        if isinstance(values, str):
            return f"{name}: {values}"
        found[name] = values
    if checksum(BlockResults(**found)) != checksum_entered:
        return "its numbers are not those the ledger has the checksum of"
    return ""


def absent(folder: Place, axes: Axes, blocks: Iterable[Block]) -> list[Block]:
    """Of `blocks`, those that lack the file of a chunk: a glance, where `damage` is a check."""
    files = chunks(folder, axes)
    return [
        block
        for block in blocks
        if any(chunk_name(name, axes, block) not in files[name] for name in axes.block_arrays)
    ]


# --- Zarr's own ways ----------------------------------------------------------------------------


def dataset(folder: Place) -> xr.Dataset:
    """The hierarchy with its labels, lazily read; labels are plain `str` on every zarr."""
    with _known_warnings():
        found: xr.Dataset = xr.open_zarr(_known(folder), chunks=None, consolidated=True)
        labels = {name: found[name].astype(object) for name in TEXTS if name in found.variables}
        return found.assign_coords(labels)


def gathered(folder: Place, axes: Axes, finished: Iterable[Block]) -> xr.Dataset:
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


def _known(folder: Place) -> Path | Store:
    return stored(folder) if isinstance(folder, Remote) else folder


def _open(folder: Place, name: str) -> zarr.Array[Any]:
    found = zarr.open_array(stored(folder), path=name, mode="r+", zarr_format=3)
    metadata: Any = found.metadata
    # `open_array` ignores its `config`, and a chunk of nothing but the fill value must be written.
    config: Any = {"write_empty_chunks": True}
    return zarr.Array(zarr.AsyncArray(metadata, found.store_path, config=config))


def _read(folder: Place, name: str, here: Any) -> NDArray[Any] | str:
    """Numbers as they are on disk, or why they cannot be read."""
    try:
        return np.asarray(zarr.open_array(_known(folder), path=name, mode="r", zarr_format=3)[here])
    except PermissionError:
        raise
    except Exception as error:  # a codec may raise anything when bytes are damaged
        if isinstance(folder, Remote) and _is_refusal(error):
            raise
        return f"cannot be decoded ({type(error).__name__}: {error})"


def _is_refusal(error: Exception) -> bool:
    """Whether an object store did not give what it may well have: that is no damage."""
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError)


def _each(folder: Place, work: Callable[[str], T], axes: Axes) -> dict[str, T]:
    """What `work` makes of every array of blocks, at once where each takes requests."""
    if not isinstance(folder, Remote):
        return {name: work(name) for name in axes.block_arrays}
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        done = threads.map(work, axes.block_arrays)
        return dict(zip(axes.block_arrays, done, strict=True))


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
