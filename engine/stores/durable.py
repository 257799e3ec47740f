"""Files that survive a kill or a power cut, on a disk and in an object store.

On a disk a file is written whole, synced, then renamed into place: under its own name it is always
complete. What a kill leaves behind is called `*.partial`, is read by nobody, and is swept when a
run resumes. In an object store one put is all that, and folders are but a part of names. Objects of
100 MB and more, which only prepared tables are, go there in parts; parts that a kill leaves are no
object and nobody reads them, but they stay until the bucket's lifecycle rule for incomplete uploads
removes them.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from engine.errors import StoreError
from engine.stores import objects
from engine.stores.places import Place, Remote

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_CURES = {
    errno.ENOSPC: "free disk space",
    errno.EDQUOT: "free disk space or ask for a larger quota",
    errno.EROFS: "mount the file system writable, or choose another run folder",
    errno.EACCES: "give this user the right to write there, or choose another run folder",
    errno.EPERM: "give this user the right to write there, or choose another run folder",
}
_CURES_OF_OBJECTS = {
    errno.EACCES: "give the process credentials (for s3 AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY) that may list, read, write and delete there",
    errno.ENODEV: "create the bucket or correct its name",
    errno.EBUSY: "wait until the store is less busy",
}
_UNREACHED = "see that the store can be reached from here (for s3 compatible ones AWS_ENDPOINT_URL)"


def read(path: Place) -> bytes:
    """The content of a file.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
    """
    return objects.read(path) if isinstance(path, Remote) else path.read_bytes()


def read_all(folder: Place, names: Iterable[str]) -> dict[str, bytes]:
    """The contents of files of one folder, by name; what is not there is left out.

    Raises:
        OSError: one is there and cannot be read.
    """
    if isinstance(folder, Remote):
        return objects.read_all(folder, list(names))
    found = {}
    for name in names:
        with suppress(FileNotFoundError), open(os.path.join(folder, name), "rb") as file:
            found[name] = file.read()
    return found


def names(folder: Place) -> list[str]:
    """What lies directly in a folder, sorted; nothing where there is no folder.

    Raises:
        OSError: it cannot be listed.
    """
    if isinstance(folder, Remote):
        return objects.names(folder)
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def exists(path: Place) -> bool:
    """Whether there is a file, or a folder with something in it.

    Raises:
        OSError: the store refuses, or does not answer.
    """
    if isinstance(path, Remote):
        return path.name in objects.names(path.parent)
    return path.exists()


def write_atomically(path: Place, content: bytes | memoryview) -> None:
    """Create or replace `path`; its folder is made if need be.

    Raises:
        OSError: the content could not be written; what was at `path` before is still there.
    """
    if isinstance(path, Remote):
        objects.put(path, content)
        return
    make_folder(path.parent)
    with _partial(path, content) as written:
        os.replace(written, path)
    sync_folder(path.parent)


def create_exclusively(path: Place, content: bytes) -> bool:
    """Put `content` at `path` if nothing is there; of many callers exactly one gets True.

    No two callers may have the same content.

    Raises:
        StoreError: the object store cannot do it.
        OSError: the content could not be written.
    """
    if isinstance(path, Remote):
        return objects.put_new(path, content)
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


def make_folder(folder: Place) -> None:
    """Make `folder` and its parents, each entered durably in the one above."""
    if isinstance(folder, Path) and not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Place) -> None:
    """Make the names in `folder` durable: creations, renames, removals."""
    if isinstance(folder, Remote) or not folder.is_dir():
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def remove(path: Place) -> None:
    """Remove a file durably; nothing happens if it is not there."""
    if isinstance(path, Remote):
        objects.delete(path)
    elif path.exists():
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def discard(path: Place) -> None:
    """Remove a file whose return after a power cut would do no harm."""
    if isinstance(path, Remote):
        objects.delete(path)
    else:
        path.unlink(missing_ok=True)


def remove_all(folder: Place) -> None:
    """Remove a folder with all that is in it, as far as that is possible."""
    if isinstance(folder, Remote):
        with suppress(OSError):
            objects.delete_all(folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Place) -> int:
    """Remove every `*.partial` under `folder`; returns how many there were."""
    if isinstance(folder, Remote):
        return 0
    leftovers = list(folder.rglob("*.partial"))
    for leftover in leftovers:
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    return len(leftovers)


@contextmanager
def storing(folder: Place) -> Iterator[None]:
    """Turn refusals of the operating system or the object store into what is safe and what to do.

    Raises:
        StoreError: disk full, read-only, permission denied, or any other `OSError`.
    """
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        if isinstance(folder, Remote):
            cure = (_CURES | _CURES_OF_OBJECTS).get(number, _UNREACHED)
        else:
            cure = _CURES.get(number, "mend what the message names")
        at = f" at {error.filename}" if error.filename else ""
        raise StoreError(
            f"{error.strerror or error}{at}",
            where=str(folder),
            remedy=f"{cure}, then run again: every block in the ledger is safe, and only what is "
            "missing will be computed",
        ) from error
