"""Where run folders lie: on a disk, on a disk of a few megabytes, or in an object store."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from engine.stores import objects
from engine.stores.durable import names, read, write_atomically
from engine.stores.places import Place, Remote, place

BUCKET = "chaos"


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
    store = scenario / "ensemble.zarr"
    arrays = [store / name for name in names(store) if name != "zarr.json"]
    return [array / name for array in arrays for name in names(array) if name.startswith("c")]


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
    """How the object store answers puts at the moment.

    Attributes:
        refused: puts still to be answered by 503; negative for all.
        slow: seconds that each answer takes.
    """

    refused: int = 0
    slow: float = 0.0
    lock: Lock = field(default_factory=Lock)

    def calm(self) -> None:
        """Answer as ever."""
        with self.lock:
            self.refused, self.slow = 0, 0.0

    def refuses(self) -> bool:
        """Whether the put that has come is refused."""
        with self.lock:
            if self.refused > 0:
                self.refused -= 1
                return True
            return self.refused < 0


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
    moods, one_at_a_time, put = Moods(), Lock(), S3Response.put_object

    def answered(self: Any) -> Any:
        if moods.slow:
            time.sleep(moods.slow)
        if moods.refuses():
            return 503, {}, "<Error><Code>SlowDown</Code><Message>slow down</Message></Error>"
        with one_at_a_time:
            return put(self)

    S3Response.put_object = answered
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
        S3Response.put_object = put
