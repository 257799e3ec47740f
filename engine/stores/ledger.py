"""Which blocks are finished: one small file a block, written after the block's data.

`ledger/2015-000042.json` says that block 42 of 2015 is complete, with the checksum of its numbers
and a receipt of how they came about. Nothing else says so: a chunk file may exist before its
block is whole. An entry that is torn, junk, or of another ensemble counts as absent.
`ledger/2015-000042.failed.json` keeps a worker's reason until the block succeeds.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.plan import Block
from engine.stores.durable import remove, sync_folder, write_atomically

_ENTRY, _FAILURE = ".json", ".failed.json"
_NAME = re.compile(r"\d+-\d+(\.failed)?\.json")


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished block.

    Attributes:
        checksum: of the block's numbers, see `engine.stores.layout.checksum`.
        receipt: versions, BLAS kernel, host, seconds: how the block came about.
    """

    block: Block
    checksum: str
    receipt: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of the ensemble with this digest; `folder` need not exist yet."""

    folder: Path
    digest: str

    def entries(self) -> dict[Block, Entry]:
        """Every finished block.

        Raises:
            OSError: the folder is there but cannot be read.
        """
        found = (self._entry(name) for name in self._names() if not _is_failure(name))
        return {entry.block: entry for entry in found if entry is not None}

    def holds(self, block: Block) -> bool:
        """Whether one block is finished."""
        entry = self._entry(_name(block))
        return entry is not None and entry.block == block

    def enter(self, entry: Entry) -> None:
        """Declare a block finished; its data must be durable already."""
        content = {"checksum": entry.checksum, "receipt": dict(entry.receipt)}
        self._write(entry.block, _ENTRY, content)
        (self.folder / _name(entry.block, _FAILURE)).unlink(missing_ok=True)

    def drop(self, block: Block) -> None:
        """Declare a block unfinished."""
        remove(self.folder / _name(block))

    def fail(self, block: Block, reason: str) -> None:
        """Keep the reason why a block failed."""
        self._write(block, _FAILURE, {"reason": reason})

    def failures(self) -> dict[Block, str]:
        """The reasons of the blocks that failed and have not succeeded since."""
        noted = (self._failure(name) for name in self._names() if _is_failure(name))
        return {block: why for block, why in filter(None, noted) if not self.holds(block)}

    def clear(self) -> None:
        """Forget everything: the data it spoke of is gone."""
        names = self._names()
        for name in names:
            (self.folder / name).unlink(missing_ok=True)
        if names:
            sync_folder(self.folder)

    def _names(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        return sorted(filter(_NAME.fullmatch, os.listdir(self.folder)))

    def _write(self, block: Block, kind: str, content: Mapping[str, Any]) -> None:
        key = {"ensemble": self.digest, "block": [block.year, block.index, block.size]}
        text = json.dumps({**key, **content})
        write_atomically(self.folder / _name(block, kind), text.encode())

    def _entry(self, name: str) -> Entry | None:
        match self._content(name):
            case {"checksum": str(checksum), "receipt": dict(receipt), "block": [*block]}:
                return Entry(Block(*block), checksum, receipt)
        return None

    def _failure(self, name: str) -> tuple[Block, str] | None:
        match self._content(name):
            case {"reason": str(reason), "block": [*block]}:
                return Block(*block), reason
        return None

    def _content(self, name: str) -> dict[str, Any] | None:
        """The content of an entry; None if there is none or it cannot be believed."""
        try:
            with open(os.path.join(self.folder, name), "rb") as file:
                content = json.loads(file.read())
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        match content:
            case {"ensemble": self.digest, "block": [int(year), int(index), int(size)]}:
                block = Block(year, index, size)
                return content if name in (_name(block), _name(block, _FAILURE)) else None
        return None


def _name(block: Block, kind: str = _ENTRY) -> str:
    return f"{block.year:04d}-{block.index:06d}{kind}"


def _is_failure(name: str) -> bool:
    return name.endswith(_FAILURE)
