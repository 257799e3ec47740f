"""Copies on this machine of what lies in an object store: made once, shared by all its processes.

They lie below FOOTFALL_SCRATCH, or else the folder for temporary files, in a folder that this user
alone can enter. A copy is a folder that appears whole. Whoever uses one holds a lock of the
operating system on it, which ends with the process however that ends; a copy that nobody holds is
cleared away when another is made, an `input-` only when a week has passed since it was last held.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from engine.errors import StoreError

_KEPT = 7 * 24 * 3600  # seconds
_held: dict[Path, int] = {}  # the open lock file of each copy that this process uses
_one_at_a_time = threading.Lock()


def scratch() -> Path:
    """The folder of this user's copies on this machine.

    Raises:
        StoreError: it cannot be made, or others could write there.
    """
    base = Path(os.environ.get("FOOTFALL_SCRATCH") or tempfile.gettempdir())
    folder = base / f"footfall-{os.getuid()}"
    with writing(folder):
        base.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    ours = found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode)
    if not ours or found.st_mode & 0o077:
        raise StoreError(
            "belongs to somebody else, or others may enter it",
            where=str(folder),
            remedy="remove it, or export FOOTFALL_SCRATCH=/a/local/folder/of/your/own",
        )
    return folder


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn refusals of this machine's disk into what to do about them.

    Raises:
        StoreError: there is no room for a copy, or it may not be written.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"there is no place for local copies ({error.strerror or error})",
            where=str(path),
            remedy="free it, or export FOOTFALL_SCRATCH=/a/local/folder/with/space",
        ) from error


def hold(name: str, fill: Callable[[Path], None]) -> Path:
    """The copy of this name, held; made by `fill` in an empty folder if it is not there.

    Of the processes of a machine one makes the copy, and the others wait for it.

    Raises:
        StoreError: this machine has no room for it.
        Whatever `fill` raises; there is then no copy.
    """
    folder = scratch() / name
    with _one_at_a_time:
        while folder not in _held or not folder.is_dir():
            _let_go(folder)
            descriptor = _locked(folder, fcntl.LOCK_SH)
            if descriptor is not None and folder.is_dir():
                _held[folder] = descriptor
                break
            _close(descriptor)
            descriptor = _locked(folder, fcntl.LOCK_EX)
            try:
                if descriptor is not None and not folder.is_dir():
                    _clear_others()
                    _make(folder, fill)
            finally:
                _close(descriptor)
    return folder


def release(folder: Path) -> None:
    """Hold a copy no longer; it goes away unless another process holds it."""
    with _one_at_a_time:
        _let_go(folder)
        _clear(folder)


def adopt(folder: Path, name: str) -> None:
    """Make what lies in `folder` the copy of this name, held, as if it had been copied."""
    hold(name, lambda empty: _moved(folder, empty))


def clear() -> None:
    """Hold nothing any longer, and remove every copy that nobody else holds."""
    with _one_at_a_time:
        for folder in list(_held):
            _let_go(folder)
        _clear_others()


def _moved(folder: Path, empty: Path) -> None:
    for file in folder.iterdir():
        file.rename(empty / file.name)


def _make(folder: Path, fill: Callable[[Path], None]) -> None:
    partial = folder.with_name(f"{folder.name}.{uuid4().hex}.partial")
    with writing(folder):
        partial.mkdir()
    try:
        fill(partial)
        with writing(folder):
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _clear_others() -> None:
    here = scratch()
    for name in {file.name.partition(".")[0] for file in here.iterdir()}:
        if here / name not in _held and not _is_kept(here / name):
            _clear(here / name)


def _is_kept(folder: Path) -> bool:
    with suppress(OSError):
        age = time.time() - _lock_file(folder).stat().st_mtime
        return folder.name.startswith("input-") and age < _KEPT
    return False


def _clear(folder: Path) -> None:
    """Remove a copy and what is left of its making, if nobody holds it."""
    descriptor = _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if descriptor is None:
        return
    for left in (folder, *folder.parent.glob(f"{folder.name}.*.partial")):
        shutil.rmtree(left, ignore_errors=True)
    _lock_file(folder).unlink(missing_ok=True)
    _close(descriptor)


def _let_go(folder: Path) -> None:
    _close(_held.pop(folder, None))


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _locked(folder: Path, kind: int) -> int | None:
    """The lock on a copy; None where others hold it, or it was removed meanwhile."""
    file = _lock_file(folder)
    with writing(folder):
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    taken = False
    try:
        with writing(folder):  # a file system without locks says so
            taken = _flocked(descriptor, kind) and _is_still(file, descriptor)
    finally:
        if not taken:
            os.close(descriptor)
    return descriptor if taken else None


def _flocked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind)
    except BlockingIOError:
        return False
    return True


def _is_still(file: Path, descriptor: int) -> bool:
    """Whether the file is the one that is open; one that is was in use at this moment."""
    try:
        if os.fstat(descriptor).st_ino != file.stat().st_ino:
            return False
        os.utime(file)
    except FileNotFoundError:
        return False
    return True


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
