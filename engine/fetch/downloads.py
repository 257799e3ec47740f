"""One file over HTTP: kept as `NAME.part` until it is whole, gone on with where it broke off.

pooch checks the checksum and puts the file in its place; its own downloaders begin anew each time,
so that the one here asks for the rest (RFC 9110, section 14: Range, with If-Range, so that a file
that has changed since is sent whole). A page instead of the file, as publishers send to programs
that they take for robots, is never taken for the file.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import json
import os
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import pooch
import requests
import urllib3

from engine.errors import FetchError

Progress: TypeAlias = Callable[[str, int, int | None], None]  # name, bytes there, bytes in all

ATTEMPTS = 4  # without a byte of progress between them
PAUSE = 1.0  # seconds before the second attempt, doubled before each further one
_CHUNK = 2**16  # bytes; no more of what has come is lost when a connection breaks off
_TIMEOUT = (30, 60)  # seconds for a connection, and between two pieces
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_STARTS = {".zip": b"PK", ".xlsx": b"PK", ".xlsb": b"PK", ".gz": b"\x1f\x8b"}
_BUSY = {408, 425, 429, 500, 502, 503, 504}
_BROWSER = (
    "download it in a browser from the publisher's page, put it into the folder under this name, "
    "and run the same command: it then enters its checksum"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a file is, and its checksum as pooch writes it ("md5:...") where it is known."""

    url: str
    checksum: str | None


def resolved(url: str, sha256: str, name: str) -> Address:
    """The address of a file; a repository is asked for that of one with a DOI.

    Raises:
        FetchError: the repository cannot be reached, or has no such file.
    """
    known = f"sha256:{sha256}" if sha256 else None
    if not url.startswith("doi:"):
        return Address(url, known)
    doi, _, file = url.removeprefix("doi:").rpartition("/")
    with _explained(url, name):
        try:
            repository = _repository(doi)
            address = str(repository.download_url(file))
            sums = _Registry()
            repository.populate_registry(sums)
        except (ValueError, KeyError, TypeError) as error:
            where = f"{name}, https://doi.org/{doi}"
            if str(error).startswith(f"File '{file}' not found"):
                raise FetchError(
                    "the repository has no such file",
                    where=where,
                    remedy="see on that page what the file is called now",
                ) from error
            raise FetchError(
                f"the repository does not say where the file is ({error})",
                where=where,
                remedy=f"run the same command later, or {_BROWSER}",
            ) from error
    return Address(address, known or sums.registry.get(file))


class _Registry:
    """What pooch's repositories enter their checksums in."""

    def __init__(self) -> None:
        self.registry: dict[str, str] = {}


@lru_cache
def _repository(doi: str) -> Any:
    return pooch.downloaders.doi_to_repository(doi, timeout=_TIMEOUT, headers=asked())


def download(address: Address, name: str, folder: Path, progress: Progress) -> None:
    """Put a file in its place, whole and with the checksum it should have.

    Raises:
        FetchError: it did not come, is no such file, or has another checksum; what has come of an
            unfinished one is kept for the next attempt.
    """
    downloader = _Resuming(folder / f"{name}.part", progress)
    pooch.get_logger().setLevel("WARNING")  # footfall says what it does itself
    with _explained(address.url, name):
        try:
            pooch.retrieve(address.url, address.checksum, name, folder, downloader=downloader)
        except requests.RequestException:  # some of which are ValueErrors
            raise
        except ValueError as error:
            raise FetchError(
                f"does not have the checksum it should have ({address.checksum}), and is deleted",
                where=f"{name}, {address.url}",
                remedy="run the same command again; if it happens again the publisher may have "
                f"revised the file, or somebody between here and there changes it: {_BROWSER}",
            ) from error


@dataclass(frozen=True, slots=True)
class _Resuming:
    """A downloader of pooch's that goes on with `part`."""

    part: Path
    progress: Progress

    def __call__(self, url: str, output_file: str, pooch: object, /) -> None:
        with _locked(self.part) as part:
            attempts, pause = 1, PAUSE
            while True:
                before = part.stat().st_size
                try:
                    self._get(url, part)
                    break
                except _WORTH_ANOTHER as error:
                    status = getattr(error.response, "status_code", None)
                    if isinstance(error, requests.exceptions.SSLError):
                        raise
                    if status is None and part.stat().st_size > before:
                        attempts, pause = 1, PAUSE  # it moves: as long as it does, go on
                    elif attempts == ATTEMPTS:
                        raise
                    else:
                        attempts, pause = attempts + 1, 2 * pause
                    time.sleep(pause)
            try:
                refuse_another_file(part, self.part.name.removesuffix(".part"), url)
            except FetchError:
                _forget(part)
                raise
            os.replace(part, output_file)
            _state(part).unlink(missing_ok=True)

    def _get(self, url: str, part: Path) -> None:
        start, validator = _kept(part, url)
        rest = {"Range": f"bytes={start}-", "If-Range": validator} if start else {}
        headers = asked() | rest
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code == 416:  # there is no rest of what is here: not this file
                _forget(part)
                raise _BrokenOffError("the rest cannot be had", response=None)
            if response.status_code in _BUSY:
                raise _BrokenOffError(f"status {response.status_code}", response=response)
            response.raise_for_status()
            if response.status_code == 206 and _validator(response) not in ("", validator):
                _forget(part)  # the server has not looked at If-Range
                raise _BrokenOffError("the file has changed since it began to come", response=None)
            start, total = _extent(response, start, self.part.name.removesuffix(".part"))
            if "text/html" in response.headers.get("Content-Type", ""):
                raise _page(self.part.name.removesuffix(".part"), url)
            _state(part).write_text(json.dumps({"url": url, "validator": _validator(response)}))
            self._write(part, start, total, response)
        size = part.stat().st_size
        if total is not None and size != total:
            raise _BrokenOffError(f"{size} of {total} bytes came", response=None)

    def _write(
        self, part: Path, start: int, total: int | None, response: requests.Response
    ) -> None:
        free = shutil.disk_usage(part.parent).free
        if total is not None and total - start > free:
            raise OSError(errno.ENOSPC, f"{total - start} bytes are to come, {free} are free")
        name = self.part.name.removesuffix(".part")
        with part.open("r+b") as stream:
            stream.truncate(start)
            stream.seek(start)
            self.progress(name, start, total)
            for piece in _pieces(response, name):
                stream.write(piece)
                self.progress(name, stream.tell(), total)
            stream.flush()
            os.fsync(stream.fileno())


class _BrokenOffError(requests.RequestException):
    """The connection ended before the file did, or the server is busy: worth another attempt."""


_WORTH_ANOTHER = (
    requests.ConnectionError,
    requests.Timeout,
    _BrokenOffError,
)


def _packed(response: requests.Response) -> bool:
    """Whether the server has packed the file on its own account, unasked."""
    return response.headers.get("Content-Encoding", "identity") != "identity"


def _pieces(response: requests.Response, name: str) -> Iterator[bytes]:
    """The file, unpacked where the server has packed it; what is a .gz itself stays one."""
    try:
        yield from response.raw.stream(_CHUNK, decode_content=not name.endswith(".gz"))
    except urllib3.exceptions.HTTPError as error:
        raise _BrokenOffError(str(error), response=None) from error


def _extent(response: requests.Response, start: int, name: str) -> tuple[int, int | None]:
    """From which byte on the answer is, and how many bytes the file has; None if it is not said."""
    length = response.headers.get("Content-Length")
    unpacked_here = _packed(response) and not name.endswith(".gz")
    if response.status_code != 206:
        # The length of what is packed on the way says nothing of the file's.
        return 0, None if length is None or unpacked_here else int(length)
    match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != start or unpacked_here:
        raise requests.RequestException(
            f"another part came than was asked for ({response.headers.get('Content-Range')})"
        )
    return start, None if match[2] == "*" else int(match[2])


def _kept(part: Path, url: str) -> tuple[int, str]:
    """How much of a file is here, and what it was then: 0 where the rest cannot be had safely."""
    try:
        state = json.loads(_state(part).read_text())
    except (OSError, ValueError):
        return 0, ""
    if state.get("url") != url or not state.get("validator"):
        return 0, ""
    return part.stat().st_size, str(state["validator"])


def _validator(response: requests.Response) -> str:
    """What tells this version of the file from another: a strong tag, or its date."""
    if _packed(response):
        return ""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _state(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _forget(part: Path) -> None:
    _state(part).unlink(missing_ok=True)
    os.truncate(part, 0)


def asked() -> dict[str, str]:
    """What every request says: who asks, and that files are wanted as they are."""
    return {"User-Agent": f"footfall/{version('footfall')}", "Accept-Encoding": "identity"}


@contextmanager
def _locked(part: Path) -> Iterator[Path]:
    """The unfinished file, there and held by this process alone."""
    with part.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FetchError(
                "another process is downloading it",
                where=str(part),
                remedy="wait until it is done, then run the same command",
            ) from error
        try:
            yield part
        finally:
            if part.exists() and part.stat().st_size == 0:
                part.unlink()
                _state(part).unlink(missing_ok=True)


def refuse_another_file(path: Path, name: str, url: str) -> None:
    """Refuse what is plainly not the file `name`: a page, a message, or an archive cut short.

    Raises:
        FetchError: it is one of these.
    """
    with path.open("rb") as stream:
        start = stream.read(1024)
    if not start:
        raise FetchError(
            "is empty", where=f"{name}, {url}", remedy=f"run it again later, or {_BROWSER}"
        )
    expected = _STARTS.get(Path(name).suffix.lower(), b"")
    said = start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"<", b"{"))  # HTML, XML, JSON
    if said or not start.startswith(expected):
        raise _page(name, url)
    if not _ends(path, expected):
        raise FetchError(
            "is an archive without its end",
            where=f"{name}, {url}",
            remedy="delete what is there of it and run the same command again",
        )


def _ends(path: Path, kind: bytes) -> bool:
    """Whether an archive is there to its end; other files have none to tell by."""
    if kind == b"PK":
        return zipfile.is_zipfile(path)
    if kind != _STARTS[".gz"]:
        return True
    try:
        with gzip.open(path) as stream:
            while stream.read(2**20):
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False
    return True


def _page(name: str, url: str) -> FetchError:
    return FetchError(
        "the publisher sends something else than the file, as to a program taken for a robot",
        where=f"{name}, {url}",
        remedy=_BROWSER,
    )


@contextmanager
def _explained(url: str, name: str) -> Iterator[None]:
    """Failures of the network and of the disk as one clear error."""
    where = f"{name}, {url}"
    try:
        yield
    except requests.RequestException as error:
        status = getattr(error.response, "status_code", None)
        what, remedy = _of_status(status) if status else _of_network(error)
        raise FetchError(what, where=where, remedy=remedy) from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise FetchError(
            f"cannot be written ({error.strerror or error})",
            where=where,
            remedy="free disk space, or give another folder with --to; what has come is kept and "
            "the same command goes on"
            if full
            else "see that the folder can be written",
        ) from error


def _of_status(status: int) -> tuple[str, str]:
    if status in (404, 410):
        return (
            f"the publisher has no such file (status {status})",
            f"the address may have changed: see `footfall fetch --list`, or {_BROWSER}",
        )
    if status in (401, 403):
        return f"the publisher does not give it to this program (status {status})", _BROWSER
    if status in _BUSY:
        return (
            f"the publisher's server is busy or broken (status {status})",
            "run the same command later; what has come is kept",
        )
    return f"the publisher's server answers with status {status}", _BROWSER


def _of_network(error: requests.RequestException) -> tuple[str, str]:
    if isinstance(error, requests.exceptions.SSLError):
        return (
            f"the server cannot be trusted ({error})",
            "do not go on by other means; ask who looks after the network",
        )
    return (
        f"the download broke off or could not begin ({_reason(error)})",
        "see that this machine reaches the network (HTTPS_PROXY, if there is a proxy); the same "
        "command goes on with what has come",
    )


def _reason(error: requests.RequestException) -> str:
    """Why a connection failed, without the attempts and objects that urllib3 wraps it in."""
    inner = getattr(error.args[0], "reason", None) if error.args else None
    return str(error) if inner is None else str(inner).rpartition("): ")[2]
