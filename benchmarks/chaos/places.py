"""Where run folders lie: on a disk, on a disk of a few megabytes, or in an object store."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from engine.stores import objects
from engine.stores.durable import names, read, write_atomically
from engine.stores.places import Place, Remote, place

BUCKET = "chaos"
REQUESTS = ("PUT", "GET", "LIST", "DELETE")
BUSY, DENIED = "503 SlowDown", "403 AccessDenied"
ANSWERS = (BUSY, DENIED)


class Storage(Protocol):
    """A disk or an object store."""

    def folder(self, name: str) -> str:
        """Where the run with this name lies."""
        ...

    def copy(self, source: str, target: str) -> None:
        """Copy a whole run."""
        ...

    def clear(self, folder: str) -> None:
        """Remove a run."""
        ...


@dataclass(frozen=True, slots=True)
class Disk:
    """Folders of this machine."""

    root: Path

    def folder(self, name: str) -> str:
        return str(self.root / name)

    def copy(self, source: str, target: str) -> None:
        shutil.copytree(source, target)

    def clear(self, folder: str) -> None:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Objects:
    """A bucket of an object store."""

    def folder(self, name: str) -> str:
        return f"s3://{BUCKET}/{name}"

    def copy(self, source: str, target: str) -> None:
        start, end = _remote(source), _remote(target)
        for path in objects.below(start):
            inside = path.removeprefix(f"{start.path}/")
            write_atomically(end / inside, read(start / inside))

    def clear(self, folder: str) -> None:
        objects.delete_all(_remote(folder))


def _remote(url: str) -> Remote:
    found = place(url)
    assert isinstance(found, Remote)
    return found


def chunks(scenario: Place) -> list[Place]:
    """The chunks of all arrays of an ensemble."""
    return [array / n for array in _arrays(scenario) for n in names(array) if n.startswith("c")]


def documents(scenario: Place) -> list[Place]:
    """The metadata of all arrays of an ensemble."""
    return [array / "zarr.json" for array in _arrays(scenario)]


def _arrays(scenario: Place) -> list[Place]:
    store = scenario / "ensemble.zarr"
    return [store / name for name in names(store) if name != "zarr.json"]


# --- a small disk -------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[bool]:
    """A file system of its own of `size` bytes at `folder`; False where none may be mounted."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "footfall", str(folder)]
    mounted = os.geteuid() == 0
    if mounted:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_up(file: Path) -> None:
    """Take all the room there is."""
    with file.open("wb", buffering=0) as full:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while full.write(b"\0" * size):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


# --- an object store ----------------------------------------------------------------------------


@dataclass(slots=True)
class Moods:
    """How the object store answers at the moment.

    Attributes:
        refused: requests still to be refused; negative for all.
        request, answer: of which kind these are, and what they are answered.
        slow: seconds that the answer to a put takes.
        refusals, slowed: how many there have been.
    """

    refused: int = 0
    request: str = "PUT"
    answer: str = BUSY
    slow: float = 0.0
    refusals: int = 0
    slowed: int = 0
    lock: Lock = field(default_factory=Lock)

    def refuse(self, request: str, answer: str, times: int) -> None:
        """Refuse so many requests of a kind from now on; negative for all."""
        with self.lock:
            self.request, self.answer, self.refused, self.refusals = request, answer, times, 0

    def calm(self) -> None:
        """Answer as ever."""
        with self.lock:
            self.refused, self.slow, self.refusals, self.slowed = 0, 0.0, 0, 0

    def refuses(self, request: str) -> bool:
        """Whether the request that has come is refused."""
        with self.lock:
            if request != self.request or not self.refused:
                return False
            self.refused -= 1
            self.refusals += 1
            return True


@contextmanager
def object_store(scratch: Path) -> Iterator[Moods]:
    """An S3-compatible server on loopback, in the environment of all processes started from here.

    Its puts are made one at a time: moto looks whether there is an object and puts it then, so
    that of two conditional puts at once both might succeed, which S3 rules out.
    """
    import boto3
    from moto.s3.responses import S3Response
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    moods, one_at_a_time = Moods(), Lock()
    kept = {name: getattr(S3Response, name) for name in ("put_object", *_ENTRANCES)}

    def alone(self: Any) -> Any:
        with one_at_a_time:
            return kept["put_object"](self)

    S3Response.put_object = alone
    for name in _ENTRANCES:
        setattr(S3Response, name, _moody(kept[name], moods, of_bucket=name.startswith("bucket")))
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "chaos",
        "AWS_SECRET_ACCESS_KEY": "chaos",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "2",  # of botocore within each of s3fs's own
        "FOOTFALL_SCRATCH": str(scratch),
    }
    try:
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield moods
    finally:
        server.stop()
        for name, real in kept.items():
            setattr(S3Response, name, real)


_ENTRANCES = ("key_response", "bucket_response")  # of moto: objects, and what lists them


def _moody(real: Callable[..., Any], moods: Moods, *, of_bucket: bool) -> Callable[..., Any]:
    def answered(self: Any, request: Any, *more: Any) -> Any:
        kind = "LIST" if of_bucket else {"HEAD": "GET"}.get(request.method, request.method)
        if kind == "PUT" and moods.slow:
            moods.slowed += 1
            time.sleep(moods.slow)
        if moods.refuses(kind):
            status, code = moods.answer.split()
            return int(status), {}, f"<Error><Code>{code}</Code><Message>no</Message></Error>"
        return real(self, request, *more)

    return answered
