"""The ensemble's Zarr hierarchy on disk: made, extended, written and read one block at a time."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.codecs import ZstdCodec
from zarr.storage import MemoryStore, StorePath

from engine.errors import StoreError
from engine.kernels.arrays import F64
from engine.plan import Block
from engine.stores.chunks import stored
from engine.stores.durable import (
    create_exclusively,
    exists,
    names,
    read,
    write_atomically,
)
from engine.stores.identity import canonical, text_digest
from engine.stores.layout import (
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

CREATION = "creation"  # the attribute that tells this hierarchy from any other of the same numbers
_SEAL = "seal"
_ROOT = "zarr.json"
_AT_ONCE = 8  # objects on their way to or from a store


# --- the whole hierarchy ------------------------------------------------------------------------
#
# Everything but the blocks follows from the axes, the room and the root's attributes: metadata and
# labels are written where they are not what follows from these, whatever came before. Nothing is
# ever removed. Who writes the metadata of a smaller room over those of a larger one, because it
# stood still meanwhile, hides blocks that the ledger still has; the next run finds and shows them.


@dataclass(frozen=True, slots=True)
class Root:
    """The root's metadata, through which everything is read: they have those of every array too.

    Attributes:
        attributes: of the hierarchy, its seal among them.
        arrays: the metadata of each array.
    """

    attributes: dict[str, Any]
    arrays: dict[str, dict[str, Any]]

    @property
    def draws(self) -> int:
        """For how many draws there is room."""
        return int(self.arrays["draw"]["shape"][0])

    @property
    def is_sealed(self) -> bool:
        """Whether all is as it was written."""
        try:
            return bool(self.attributes.get(_SEAL) == _seal(self.attributes, self.arrays))
        except ValueError:  # a number that is none
            return False


def _seal(attributes: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
    """The digest of metadata but for the seal itself."""
    told = {name: value for name, value in attributes.items() if name != _SEAL}
    return text_digest(canonical([told, dict(arrays)]))


def root(folder: Place) -> Root:
    """The root's metadata as they are, sealed or not.

    Raises:
        StoreError: there are none, or they cannot be read.
    """
    path = folder / _ROOT
    try:
        return _parsed(read(path))
    except FileNotFoundError:
        raise damaged(path, "is missing") from None
    except ValueError as error:
        raise damaged(path, f"is not the metadata of an ensemble ({error})") from error


def _parsed(content: bytes) -> Root:
    match json.loads(content):
        case {
            "attributes": dict(attributes),
            "consolidated_metadata": {"metadata": {"draw": {"shape": [int()]}} as arrays},
        }:
            return Root(attributes, arrays)
    raise ValueError("attributes or arrays are missing")


def documents(axes: Axes, draws: int, attributes: Mapping[str, Any]) -> dict[str, bytes]:
    """The metadata of a hierarchy, by the names of their files; the root's, sealed, come last."""
    kept: dict[str, Any] = {}
    store = MemoryStore(kept)
    with _known_warnings():
        group = zarr.create_group(store, attributes=dict(attributes))
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
        zarr.consolidate_metadata(store)
    made = {name: content.to_bytes() for name, content in kept.items()}
    top = json.loads(made.pop(_ROOT))
    arrays = top["consolidated_metadata"]["metadata"]
    top["attributes"][_SEAL] = _seal(top["attributes"], arrays)
    return {**made, _ROOT: json.dumps(top, indent=2).encode()}


def make(
    folder: Place,
    axes: Axes,
    draws: int,
    references: Mapping[str, F64],
    attributes: Mapping[str, Any],
    confirm: Callable[[], None] = lambda: None,
) -> None:
    """Write a hierarchy without blocks; of one that is there, what is not as it should be.

    The root's metadata come last, so that a reader sees the old room or the new.

    Args:
        references: what the estimates give, by the names of `Axes.references`.
        confirm: asked before everything that is written.
    """
    made = documents(axes, draws, attributes)
    arrays = _parsed(made[_ROOT]).arrays

    def write(name: str) -> None:
        if _content(folder / name) != json.loads(made[name]):
            confirm()
            write_atomically(folder / name, made[name])

    for name in made:
        if name != _ROOT:
            write(name)
    values = coordinates(axes, draws) | dict(references)
    for name in unsound(folder, axes, draws, arrays):
        confirm()
        with _known_warnings():
            _array(folder, name, arrays)[...] = values[name]
    write(_ROOT)


def _content(path: Place) -> Any:
    try:
        return json.loads(read(path))
    except (FileNotFoundError, ValueError):
        return None


def publish(built: Path, folder: Remote) -> None:
    """Put a hierarchy that was built on this machine; it is there when its last object is.

    That object is the root's metadata, without which there is nothing to open, and it is put only
    where there is none: of two who create at once, both go on with the root of one. What an earlier
    attempt left behind is put again, and what it had besides is in no metadata.
    """
    files = sorted(file for file in built.rglob("*") if file.is_file())
    top = built / _ROOT

    def put(file: Path) -> None:
        write_atomically(folder / file.relative_to(built).as_posix(), file.read_bytes())

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(put, [file for file in files if file != top]))
    create_exclusively(folder / _ROOT, top.read_bytes())


def is_there(folder: Place) -> bool:
    """Whether a hierarchy has been created in `folder`, be it damaged by now."""
    return exists(folder / _ROOT if isinstance(folder, Remote) else folder)


def strange(folder: Place, top: Root) -> dict[str, str]:
    """Why the metadata of arrays are not what the root has of them, by array."""
    reasons = {}
    for name, known in top.arrays.items():
        if _content(folder / name / _ROOT) != known:
            reasons[name] = "its metadata are not what they were"
    return reasons


def unsound(
    folder: Place, axes: Axes, draws: int, arrays: Mapping[str, dict[str, Any]]
) -> dict[str, str]:
    """Why coordinates or the references are not what they should be, by array.

    Args:
        arrays: the metadata to read them by.
    """
    reasons = {}
    for name, values in coordinates(axes, draws).items():
        found = _read(folder, name, arrays, ...)
        if isinstance(found, str):
            reasons[name] = found
        elif not np.array_equal(found[: len(values)].astype(values.dtype), values):
            reasons[name] = "does not hold the labels the ensemble was made for"
    for name in axes.references:
        found = _read(folder, name, arrays, ...)
        if isinstance(found, str) or not np.isfinite(found).all():
            reasons[name] = found if isinstance(found, str) else "its chunk is missing"
    return reasons


def reference(folder: Place, top: Root) -> F64 | None:
    """The footprints without errors, (years, stressors, consumers, parts); None if damaged."""
    found = _read(folder, "reference", top.arrays, ...)
    return None if isinstance(found, str) or not np.isfinite(found).all() else found


def damaged(path: Place, what: str) -> StoreError:
    """The error for metadata that cannot be trusted: nothing but a copy can mend them."""
    return StoreError(
        what,
        where=str(path),
        remedy="restore it from a copy, or move the scenario's folder away and run again",
    )


# --- one block ----------------------------------------------------------------------------------


def write_block(folder: Place, axes: Axes, top: Root, block: Block, results: BlockResults) -> None:
    """Write one chunk of every array; it is durable when this returns.

    Raises:
        StoreError: there is no room for it any more; Zarr would write nothing, and say nothing.
        OSError: a chunk could not be written.
    """
    if top.draws < block.draws.stop:
        raise StoreError(
            f"has room for {top.draws} draws a year by now, and not for {block}",
            where=str(folder),
            remedy="run again, which makes room; every block in the ledger is safe",
        )

    def write(name: str) -> None:
        _array(folder, name, top.arrays)[where(axes, block)] = getattr(results, name)

    _each(folder, write, axes)


def chunks(folder: Place, axes: Axes) -> dict[str, set[str]]:
    """The files of every array's blocks, by array."""
    return {name: set(names(folder / name)) for name in axes.block_arrays}


def damage(
    folder: Place,
    axes: Axes,
    top: Root,
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
    here = where(axes, block)
    read_again = _each(folder, lambda name: _read(folder, name, top.arrays, here), axes)
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
        for name in (_SEAL, CREATION):
            found.attrs.pop(name, None)
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


def _array(folder: Place, name: str, arrays: Mapping[str, dict[str, Any]]) -> zarr.Array[Any]:
    """An array by the metadata that the root has of it."""
    where_it_is = StorePath(stored(folder), name)
    metadata: Any = zarr.AsyncArray.from_dict(where_it_is, arrays[name]).metadata
    # A chunk of nothing but the fill value must be written.
    config: Any = {"write_empty_chunks": True}
    return zarr.Array(zarr.AsyncArray(metadata, where_it_is, config=config))


def _read(
    folder: Place, name: str, arrays: Mapping[str, dict[str, Any]], here: Any
) -> NDArray[Any] | str:
    """Numbers as they are in the store, or why they cannot be decoded.

    Raises:
        OSError: the system or the store did not give what may well be there: that is no damage.
        MemoryError: nor is this.
    """
    array = _array(folder, name, arrays)
    try:
        return np.asarray(array[here])
    except FileNotFoundError as error:
        why: Exception = error
    except OSError:
        raise
    except MemoryError as error:
        if not _is_room(array):
            raise
        why = error  # a damaged length asks for more than any chunk has
    except Exception as error:  # a codec may raise anything when bytes are damaged
        why = error
    return f"cannot be decoded ({type(why).__name__}: {why})"


def _is_room(array: zarr.Array[Any]) -> bool:
    """Whether there is memory for a chunk, as stored, decoded and handed on."""
    try:
        np.empty(3 * int(np.prod(array.chunks)) * 16, np.uint8)
    except MemoryError:
        return False
    return True


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
