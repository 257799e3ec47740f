"""Which blocks are finished: one small file a block, written after the block's data.

`ledger/2015-000042.json` says that block 42 of 2015 is complete, with the checksum of its numbers
and a receipt of how they came about. Nothing else says so: a chunk file may exist before its
block is whole. An entry that is torn, junk, or of another ensemble counts as absent; so does one of
an ensemble of the same numbers whose data have gone, because each has a name of its own: nothing
ever has to be cleared, which a run that stood still could do to the ledger of another.
`ledger/2015-000042.failed.json` keeps a worker's reason and account until the block succeeds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from engine.plan import Block
from engine.stores.durable import (
    discard,
    names,
    read_all,
    remove,
    write_atomically,
)
from engine.stores.places import Place

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
class Failure:
    """Why a block is not there.

    Attributes:
        reason: in a line or two.
        account: where it was tried and what was seen of its failure, line by line; may be empty.
    """

    reason: str
    account: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of the ensemble of this creation; `folder` need not exist yet.

    Attributes:
        creation: the name that the ensemble was given when it was created.
    """

    folder: Place
    creation: str

    def entries(self) -> dict[Block, Entry]:
        """Every finished block.

        Raises:
            OSError: the folder is there but cannot be read.
        """
        written = read_all(self.folder, [n for n in self._names() if not _is_failure(n)])
        found = (self._entry(name, content) for name, content in written.items())
        return {entry.block: entry for entry in found if entry is not None}

    def holds(self, block: Block) -> bool:
        """Whether one block is finished."""
        name = _name(block)
        written = read_all(self.folder, [name])
        entry = self._entry(name, written[name]) if written else None
        return entry is not None and entry.block == block

    def enter(self, entry: Entry) -> None:
        """Declare a block finished; its data must be durable already."""
        content = {"checksum": entry.checksum, "receipt": dict(entry.receipt)}
        self._write(entry.block, _ENTRY, content)
        with suppress(OSError):  # an earlier failure counts no more, whether its file stays or goes
            discard(self.folder / _name(entry.block, _FAILURE))

    def drop(self, block: Block) -> None:
        """Declare a block unfinished."""
        remove(self.folder / _name(block))

    def fail(self, block: Block, failure: Failure) -> None:
        """Keep why a block failed."""
        self._write(block, _FAILURE, asdict(failure))

    def failures(self) -> dict[Block, Failure]:
        """Of the blocks that failed and have not succeeded since."""
        written = read_all(self.folder, [n for n in self._names() if _is_failure(n)])
        noted = (self._failure(name, content) for name, content in written.items())
        return {block: why for block, why in filter(None, noted) if not self.holds(block)}

    def reach(self) -> int:
        """The draws of a year that finished blocks reach to."""
        for name in sorted(self._names(), key=_index, reverse=True):
            for content in read_all(self.folder, [name]).values():
                entry = self._entry(name, content)
                if entry is not None:
                    return entry.block.draws.stop
        return 0

    def is_empty(self) -> bool:
        """Whether there is no entry at all, of whatever creation."""
        return all(map(_is_failure, self._names()))

    def _names(self) -> list[str]:
        return list(filter(_NAME.fullmatch, names(self.folder)))

    def _write(self, block: Block, kind: str, content: Mapping[str, Any]) -> None:
        key = {"ensemble": self.creation, "block": [block.year, block.index, block.size]}
        text = json.dumps({**key, **content})
        write_atomically(self.folder / _name(block, kind), text.encode())

    def _entry(self, name: str, written: bytes) -> Entry | None:
        match self._content(name, written):
            case {"checksum": str(checksum), "receipt": dict(receipt), "block": [*block]}:
                return Entry(Block(*block), checksum, receipt)
        return None

    def _failure(self, name: str, written: bytes) -> tuple[Block, Failure] | None:
        match self._content(name, written):
            case {"reason": str(reason), "account": str(account), "block": [*block]}:
                return Block(*block), Failure(reason, account)
        return None

    def _content(self, name: str, written: bytes) -> dict[str, Any] | None:
        """The content of an entry; None if it cannot be believed."""
        try:
            content = json.loads(written)
        except (ValueError, RecursionError):
            return None
        match content:
            case {"ensemble": self.creation, "block": [int(year), int(index), int(size)]}:
                block = Block(year, index, size)
                return content if name in (_name(block), _name(block, _FAILURE)) else None
        return None


def _name(block: Block, kind: str = _ENTRY) -> str:
    return f"{block.year:04d}-{block.index:06d}{kind}"


def _index(name: str) -> int:
    return int(name.partition("-")[2].partition(".")[0])


def _is_failure(name: str) -> bool:
    return name.endswith(_FAILURE)
