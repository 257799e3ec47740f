"""Files that survive a kill or a power cut: written whole, synced, then renamed into place.

A file under its own name is therefore always complete. What a kill leaves behind is called
`*.partial`, is read by nobody, and is swept when a run resumes.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from engine.errors import StoreError

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_CURES = {
    errno.ENOSPC: "free disk space",
    errno.EDQUOT: "free disk space or ask for a larger quota",
    errno.EROFS: "mount the file system writable, or choose another run folder",
    errno.EACCES: "give this user the right to write there, or choose another run folder",
    errno.EPERM: "give this user the right to write there, or choose another run folder",
}


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Create or replace `path`; its folder is made if need be.

    Raises:
        OSError: the content could not be written; what was at `path` before is still there.
    """
    make_folder(path.parent)
    with _partial(path, content) as written:
        os.replace(written, path)
    sync_folder(path.parent)


def create_exclusively(path: Path, content: bytes) -> bool:
    """Put `content` at `path` if nothing is there; of many callers exactly one gets True.

    Raises:
        OSError: the content could not be written.
    """
    make_folder(path.parent)
    with _partial(path, content) as written:
        try:
            os.link(written, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # A file system without hard links: exclusive, but for a moment not whole.
            return _create_in_place(path, content)
    sync_folder(path.parent)
    return True


def _create_in_place(path: Path, content: bytes) -> bool:
    try:
        with path.open("xb") as file:
            _fill(file.fileno(), content)
    except FileExistsError:
        return False
    return True


@contextmanager
def _partial(path: Path, content: bytes | memoryview) -> Iterator[Path]:
    partial = path.with_name(f"{path.name}.{uuid4().hex}.partial")
    try:
        with partial.open("xb") as file:
            _fill(file.fileno(), content)
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _fill(descriptor: int, content: bytes | memoryview) -> None:
    rest = memoryview(content).cast("B")
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents, each entered durably in the one above."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable: creations, renames, removals."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file durably; nothing happens if it is not there."""
    if path.exists():
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def sweep(folder: Path) -> int:
    """Remove every `*.partial` under `folder`; returns how many there were."""
    leftovers = list(folder.rglob("*.partial"))
    for leftover in leftovers:
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    return len(leftovers)


@contextmanager
def storing(folder: Path) -> Iterator[None]:
    """Turn the operating system's refusals into what is safe and how to go on.

    Raises:
        StoreError: disk full, read-only, permission denied, or any other `OSError`.
    """
    try:
        yield
    except OSError as error:
        cure = _CURES.get(error.errno or 0, "mend what the message names")
        at = f" at {error.filename}" if error.filename else ""
        raise StoreError(
            f"{error.strerror or error}{at}",
            where=str(folder),
            remedy=f"{cure}, then run again: every block in the ledger is safe, and only what is "
            "missing will be computed",
        ) from error
