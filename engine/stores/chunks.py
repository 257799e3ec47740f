"""What Zarr reads and writes through: a folder of this machine, or one in an object store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Literal

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from engine.stores import objects
from engine.stores.durable import exists, names, read, remove, write_atomically
from engine.stores.places import Place, Remote


def stored(folder: Place) -> Store:
    """The store that Zarr keeps its hierarchy `folder` in."""
    return ObjectStore(folder) if isinstance(folder, Remote) else DurableStore(folder)


class DurableStore(LocalStore):
    """A local Zarr store that has synced a file by the time it says the file is written."""

    async def set(self, key: str, value: Buffer) -> None:
        """Write one chunk or metadata document."""
        await asyncio.to_thread(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write one chunk or metadata document."""
        write_atomically(self.root / key, memoryview(value.as_buffer_like()))


class ObjectStore(Store):
    """A Zarr store in an object store, through the room that all other objects go through.

    Zarr's own `FsspecStore` reads the same hierarchy. It opens a connection of its own on Zarr's
    event loop, and raises what the store's library raises.
    """

    def __init__(self, folder: Remote) -> None:
        super().__init__(read_only=False)
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectStore) and other.folder == self.folder

    def __hash__(self) -> int:
        return hash(self.folder)

    def with_read_only(self, read_only: bool = False) -> ObjectStore:
        """The same; whoever is told to read only writes nothing."""
        again = ObjectStore(self.folder)
        again._read_only = read_only
        return again

    @property
    def supports_writes(self) -> bool:
        """It does."""
        return True

    @property
    def supports_deletes(self) -> bool:
        """It does."""
        return True

    @property
    def supports_listing(self) -> bool:
        """It does."""
        return True

    @property
    def supports_partial_writes(self) -> Literal[False]:
        """An object is put whole."""
        return False

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The bytes of a chunk or metadata document, None where there is none."""
        try:
            content = await asyncio.to_thread(read, self.folder / key)
        except FileNotFoundError:
            return None
        return prototype.buffer.from_bytes(_part(content, byte_range))

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """The same of several."""
        asked = [self.get(key, prototype, byte_range) for key, byte_range in key_ranges]
        return list(await asyncio.gather(*asked))

    async def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return await asyncio.to_thread(exists, self.folder / key)

    async def set(self, key: str, value: Buffer) -> None:
        """Put one chunk or metadata document."""
        content = memoryview(value.as_buffer_like())
        await asyncio.to_thread(write_atomically, self.folder / key, content)

    async def set_partial_values(self, key_start_values: Iterable[tuple[str, int, bytes]]) -> None:
        """Never asked for, since it is not supported."""
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        """Delete an object."""
        await asyncio.to_thread(remove, self.folder / key)

    async def list(self) -> AsyncIterator[str]:
        """The keys of all objects."""
        async for key in self.list_prefix(""):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """The keys that begin with a prefix."""
        start = f"{self.folder.path}/"
        for path in await asyncio.to_thread(objects.below, self.folder):
            if path.startswith(start + prefix):
                yield path.removeprefix(start)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """What lies directly below a prefix."""
        folder = self.folder / prefix.rstrip("/") if prefix else self.folder
        for name in await asyncio.to_thread(names, folder):
            yield name


def _part(content: bytes, asked: ByteRequest | None) -> bytes:
    match asked:
        case None:
            return content
        case RangeByteRequest(start, end):
            return content[start:end]
        case OffsetByteRequest(offset):
            return content[offset:]
        case SuffixByteRequest(suffix):
            return content[-suffix:]
