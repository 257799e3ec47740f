"""Objects in a store, through fsspec: put, got, listed, deleted. The only importer of fsspec.

A put is atomic and durable when it returns, and a listing shows what was put before it (as S3
promises since 2020). Whatever a store's library raises leaves here as an `OSError` that names the
address; nothing is cached, neither listings nor contents.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import fsspec

from engine.errors import StoreError
from engine.stores import nearby
from engine.stores.places import Remote

# Stores that were shown to refuse the second of two conditional puts. Others may check first and
# put then, which looks the same until two runs start at once.
EXCLUSIVE = ("s3", "s3a")
_PIECE = 16 * 2**20  # bytes of a request for a part of a large object
_CONFLICTS = 10  # a conditional put may be told to try again while another is on its way


# In the names of botocore's errors about who asks: there are no credentials, or they cannot be got.
_OF_CREDENTIALS = re.compile(r"Credential|Profile|SSO|Token|Login")

# One request reads an object as it was at one moment; pieces may be of two versions of it.
_WHOLE = {protocol: {"max_concurrency": 1} for protocol in EXCLUSIVE}


@lru_cache(maxsize=8)
def _opened(protocol: str, process: int) -> Any:
    """One connection for each process: after a fork the parent's cannot be used."""
    options = {"use_listings_cache": False, "skip_instance_cache": True}
    return fsspec.filesystem(protocol, **options, **_WHOLE.get(protocol, {}))


def _system(place: Remote) -> Any:
    try:
        return _opened(place.protocol, os.getpid())
    except (ImportError, ValueError) as error:
        extra = "pip install 'footfall[s3]'" if place.protocol in EXCLUSIVE else "install it"
        raise StoreError(
            f"addresses that begin with {place.protocol}:// cannot be opened here ({error})",
            where=str(place),
            remedy=f"{extra}, or use a local folder",
        ) from error


def read(place: Remote) -> bytes:
    """The content of an object.

    Raises:
        FileNotFoundError: there is none.
        OSError: the store refuses, or does not answer.
    """
    with told(place):
        content: bytes = _system(place).cat_file(place.path)
    return content


def read_all(folder: Remote, names: Sequence[str]) -> dict[str, bytes]:
    """The contents of many objects of a folder, read at once; what is not there is left out."""
    system = _system(folder)
    paths = {(folder / name).path: name for name in names}
    with told(folder):
        found = system.cat(list(paths), on_error="return") if paths else {}
    for path, content in found.items():
        if isinstance(content, BaseException):
            with told(folder / paths[path]):
                try:
                    raise content
                except FileNotFoundError as error:
                    if _code(error) == "NoSuchBucket":
                        raise
    return {paths[p]: content for p, content in found.items() if isinstance(content, bytes)}


def put(place: Remote, content: bytes | memoryview) -> None:
    """Create or replace an object.

    Raises:
        OSError: it could not be put; what was there before is still there.
    """
    with told(place):
        _system(place).pipe_file(place.path, bytes(content))


def put_new(place: Remote, content: bytes) -> bool:
    """Put an object if there is none; of many callers exactly one gets True.

    A put whose answer got lost is repeated, and then finds itself there: `content` must be unlike
    that of any other caller. That the store heeds the condition is tried out on every object made.

    Raises:
        StoreError: the store cannot put under a condition.
        OSError: it could not be put.
    """
    refuse_unproven(place)
    if not _put_if_absent(place, content) and not _holds(place, content):
        return False
    if _put_if_absent(place, content):
        raise StoreError(
            "the store overwrites an object that it was asked not to overwrite",
            where=str(place),
            remedy="use a store that heeds `If-None-Match: *`, as AWS S3 does, or a local folder: "
            "without it two runs could not be told apart",
        )
    # A store that checks first and puts then may have let another overwrite this one.
    return _holds(place, content)


def _holds(place: Remote, content: bytes) -> bool:
    try:
        return read(place) == content
    except FileNotFoundError:  # it was there, and whoever put it took it away
        return False


def refuse_unproven(place: Remote) -> None:
    """Refuse a kind of store of which two runs might both believe to have come first.

    Raises:
        StoreError: it is not known to create exclusively.
    """
    if place.protocol not in EXCLUSIVE:
        raise StoreError(
            f"a run cannot be kept in {place.protocol}://, which is not known to create an object "
            "only where there is none",
            where=str(place),
            remedy=f"use a local folder or {EXCLUSIVE[0]}://",
        )


def _put_if_absent(place: Remote, content: bytes) -> bool:
    for _ in range(_CONFLICTS):
        with told(place):
            try:
                _system(place).pipe_file(place.path, content, mode="create")
            except Exception as error:
                match _code(error):
                    case "PreconditionFailed" | "412":
                        return False
                    case "ConditionalRequestConflict":
                        continue
                raise
            return True
    raise OSError(errno.EBUSY, "others keep writing there", str(place))


def delete(place: Remote) -> None:
    """Delete an object; nothing happens if it is not there."""
    with told(place):
        try:
            _system(place).rm_file(place.path)
        except FileNotFoundError as error:
            if _code(error) == "NoSuchBucket":
                raise


def delete_all(folder: Remote) -> None:
    """Delete every object below a folder."""
    with told(folder):
        paths = below(folder)
        if paths:
            _system(folder).rm(paths)


def below(folder: Remote) -> list[str]:
    """The paths of all objects below a folder, at any depth."""
    with told(folder):
        found: list[str] = _system(folder).find(folder.path)
    return found


def names(folder: Remote) -> list[str]:
    """What lies directly in a folder, objects and folders, as it is now; empty if nothing does."""
    with told(folder):
        try:
            paths = _system(folder).ls(folder.path, detail=False, refresh=True)
        except FileNotFoundError as error:
            if _code(error) == "NoSuchBucket" or "/" not in folder.path:
                raise _no_bucket(folder) from error
            return []
    under = f"{folder.path}/"
    return sorted(
        path.rstrip("/").removeprefix(under) for path in paths if path.rstrip("/").startswith(under)
    )


def facts(place: Remote) -> dict[str, Any]:
    """What the store tells of an object without reading it: size, and a tag that changes with it.

    Raises:
        FileNotFoundError: there is none.
    """
    with told(place):
        found: dict[str, Any] = _system(place).info(place.path)
    return found


def upload(here: Path, place: Remote) -> None:
    """Put the content of a local file, however large; in parts where it is."""
    with told(place):
        _system(place).put_file(str(here), place.path)


def download(place: Remote, here: Path) -> None:
    """Copy an object, however large, to a local file.

    Every piece is of the version that was there when it began, where the store tells versions
    apart by a tag, as S3 does.

    Raises:
        OSError: the store refuses, or does not answer.
        StoreError: this machine has no room for it.
    """
    with told(place):
        far = _system(place).open(place.path, "rb", block_size=_PIECE, cache_type="none")
    with nearby.writing(here):
        file = here.open("wb", buffering=0)
    with far, file:
        while piece := _piece(far, place):
            with nearby.writing(here):
                rest = memoryview(piece)
                while rest:
                    rest = rest[file.write(rest) :]


def _piece(far: Any, place: Remote) -> bytes:
    with told(place):
        piece: bytes = far.read(_PIECE)
    return piece


@contextmanager
def told(place: Remote) -> Iterator[None]:
    """Whatever goes wrong inside is an `OSError` that says so in words and names the address."""
    try:
        yield
    except (StoreError, MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename == str(place):
            raise
        if _code(error) == "NoSuchBucket":
            raise _no_bucket(place) from error
        raise OSError(_number(error), _words(error), str(place)) from error


def _no_bucket(place: Remote) -> OSError:
    bucket = place.path.partition("/")[0]
    return OSError(errno.ENODEV, f"there is no bucket {bucket!r}", str(place))


def _number(error: Exception) -> int:
    """The kind of an error, as the operating system would tell it."""
    if _OF_CREDENTIALS.search(type(error).__name__):
        return errno.EACCES
    known = {FileNotFoundError: errno.ENOENT, PermissionError: errno.EACCES}
    known[TimeoutError] = errno.ETIMEDOUT
    for kind, number in known.items():
        if isinstance(error, kind):
            return number
    return (error.errno if isinstance(error, OSError) else None) or errno.EIO


def _words(error: Exception) -> str:
    said = getattr(error, "strerror", None) or str(error) or "no answer"
    plain = isinstance(error, OSError) and error.__cause__ is not None
    return str(said) if plain else f"{type(error).__name__}: {said}"


def _code(error: BaseException) -> str:
    """The store's own code of an error, where s3fs was told one."""
    response = getattr(error.__cause__, "response", None) or getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    return ""
