"""Files that a reader wants, wherever they lie: those in an object store are copied here first.

A copy is named by the address and by what the store says of the object (size, tag, time), so that
a new version of the object is a new copy, and is hashed again before a process first reads it.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.errors import StoreError, TableError
from engine.readers.files import sha256, unreadable
from engine.stores import nearby, objects
from engine.stores.places import Place, Remote

MADE_UP = "SYNTHETIC"  # a file of this name says that what lies beside it is
_HASH = "sha256.txt"
_READ = ("time", "atime")  # when a file was last read: of sftp and others, and no other version
_REMEDIES = {
    errno.ENOENT: "check the address and its spelling",
    errno.ENODEV: "check the name of the bucket",
    errno.EBUSY: "wait until nobody writes there and the store is less busy, then run again",
    errno.EACCES: "give the process credentials that may read there; for s3 AWS_PROFILE, or "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
}
_addresses: dict[str, str] = {}  # of the copies this process has asked for, by their path


def here(place: Place) -> Path:
    """The file on this machine; a copy of it where `place` is in an object store.

    Raises:
        TableError: there is no such object, or the store does not give it.
    """
    if isinstance(place, Path):
        return place
    with _explained(place):
        found = objects.facts(place)
        if found.get("type") == "directory":
            raise FileNotFoundError(errno.ENOENT, "is a folder, not a file", str(place))
    copy = _copied(place, _name(place, found))
    _addresses[str(copy)] = str(place)
    return copy


def listed(folder: Place) -> list[str]:
    """Names of what lies directly in a folder.

    Raises:
        TableError: it cannot be listed.
    """
    if isinstance(folder, Remote):
        with _explained(folder):
            return objects.names(folder)
    try:
        return sorted(file.name for file in folder.iterdir())
    except OSError as error:
        raise unreadable(folder, error) from error


def made_up(folder: Place) -> bool:
    """Whether a file `SYNTHETIC` in a folder says that what lies there is.

    Raises:
        TableError: it cannot be listed.
    """
    return MADE_UP in listed(folder)


def below(folder: Place) -> list[str]:
    """Names, from `folder` on, of every file below it, however deep.

    Raises:
        TableError: it cannot be listed.
    """
    if isinstance(folder, Remote):
        with _explained(folder):
            return [path.removeprefix(f"{folder.path}/") for path in objects.below(folder)]
    try:
        files = [path for path in folder.rglob("*") if path.is_file()]
    except OSError as error:
        raise unreadable(folder, error) from error
    return sorted(path.relative_to(folder).as_posix() for path in files)


@contextmanager
def addressed() -> Iterator[None]:
    """Errors about a copy name the address it was copied from."""
    try:
        yield
    except TableError as error:
        raise type(error)(
            _with_addresses(error.what), where=_with_addresses(error.where), remedy=error.remedy
        ) from error.__cause__


def _with_addresses(text: str) -> str:
    for copy, address in _addresses.items():
        text = text.replace(copy, address)
    return text


def _name(place: Remote, found: Mapping[str, Any]) -> str:
    """The name of the copy of that version of an object of which the store tells this."""
    facts = {name: fact for name, fact in found.items() if name not in _READ}
    told = json.dumps({"place": str(place), **facts}, sort_keys=True, default=str)
    return f"input-{hashlib.blake2b(told.encode(), digest_size=16).hexdigest()}"


@lru_cache(maxsize=1024)
def _copied(place: Remote, name: str) -> Path:
    for _ in range(2):
        with _explained(place):
            folder = nearby.hold(name, lambda empty: _copy(place, name, empty))
        if sha256(folder / place.name) == (folder / _HASH).read_text():
            return folder / place.name
        nearby.release(folder)  # spoilt on this machine: once more
    raise TableError(
        "its copy on this machine does not stay as it was written",
        where=f"{place}, {folder}",
        remedy="export FOOTFALL_SCRATCH=/a/folder/on/a/sound/disk",
    )


def _copy(place: Remote, name: str, folder: Path) -> None:
    objects.download(place, folder / place.name)
    found = objects.facts(place)
    if _name(place, found) != name:
        raise OSError(errno.EBUSY, "it changed while it was being copied", str(place))
    size, expected = (folder / place.name).stat().st_size, found.get("size")
    if expected is not None and size != expected:
        raise OSError(errno.EIO, f"{size} bytes came, it has {expected}", str(place))
    with nearby.writing(folder):
        (folder / _HASH).write_text(sha256(folder / place.name))


@contextmanager
def _explained(place: Remote) -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise TableError(error.what, where=error.where, remedy=error.remedy) from error
    except OSError as error:
        raise TableError(
            f"cannot be read ({error.strerror or error})",
            where=str(place),
            remedy=_REMEDIES.get(error.errno or 0, "see that the store can be reached from here"),
        ) from error
