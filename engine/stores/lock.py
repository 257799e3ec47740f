"""One run at a time: a lock that works across hosts and file systems, and on which nothing rests.

`lock-000007.json` is the seventh time the folder was taken; the highest number is the holder's.
It raises a counter in its own file every few seconds, and marks the file when it is done. A
challenger watches by its own monotonic clock, because process numbers and wall clocks mean
nothing on another host: a counter that moves belongs to a live holder; one that stands still for
the whole of `patience` belongs to nobody. To take over is to create the next number, which a file
system or an object store grants exactly once; whoever held a lower number sees it and stops.

A holder that stood still does not know that it lost the lock, so it asks (`confirm`) before it
changes what a run has but one of. Between asking and changing it may stand still again, so what it
then changes is such that nothing is lost: see `engine.stores.ensemble` and `hierarchy`.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

from engine.errors import ConfigError, LockedError
from engine.stores.durable import (
    create_exclusively,
    discard,
    names,
    read,
    storing,
    write_atomically,
)
from engine.stores.places import Place

_BEATS_OF_PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds, or held, the lock.

    Attributes:
        pid, born: number of the process, and when it started in the kernel's clock ticks.
        boot, namespace: which boot of which machine, and which process namespace in it; empty
            where the system does not tell.
        since: when the lock was taken, for people to read.
    """

    user: str
    host: str
    pid: int
    born: str
    boot: str
    namespace: str
    since: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host}, pid {self.pid}, since {self.since}"


@dataclass(frozen=True, slots=True)
class _Seen:
    """A lock file as read: a torn one has a number and bytes, but neither holder nor mark."""

    number: int
    raw: bytes
    holder: Holder | None
    released: bool


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock, held. `path` names the lock; the files beside it carry its numbers."""

    path: Place
    number: int
    holder: Holder
    _lost: Event = field(default_factory=Event)

    @property
    def lost(self) -> bool:
        """Whether someone else was seen to hold it now."""
        return self._lost.is_set()

    def check(self) -> None:
        """Do nothing while the lock is held.

        Raises:
            LockedError: it was taken over, because the heartbeat had stood still.
        """
        if self.lost:
            newest = None
            with suppress(OSError):
                newest = _newest(self.path)
            raise LockedError(
                f"was taken over by {_named(newest)} while this run made no sign of life",
                where=str(self.path.parent),
                remedy="all finished blocks are safe; let the other run finish, or stop it and "
                "run again",
            )

    def confirm(self) -> None:
        """The same as `check`, by a look at the lock now: before what only its holder may change.

        Raises:
            LockedError: it was taken over.
            StoreError: the lock cannot be read.
        """
        with storing(self.path.parent):
            self._look()
        self.check()

    def _look(self) -> None:
        if not self._is_ours():
            self._lost.set()

    def _file(self) -> Place:
        return _numbered(self.path, self.number)

    def _write(self, counter: int, *, released: bool) -> None:
        write_atomically(self._file(), _content(self.holder, counter, released=released))

    def _is_ours(self) -> bool:
        newest = _newest(self.path)
        return newest is not None and newest.number == self.number

    def _beat(self, heartbeat: float, done: Event) -> None:
        counter = 0
        while not done.wait(heartbeat):
            counter += 1
            with suppress(OSError):  # a hiccup of the file system: the next beat tries again
                self._look()
                if self.lost:
                    return
                self._write(counter, released=False)


@contextmanager
def held(path: Place, *, heartbeat: float = 10.0, patience: float = 60.0) -> Iterator[Lock]:
    """Hold the lock `path` while the body runs; the body asks `check()` now and then.

    A body that fails because another run took over, and removed what it needs, is told so.

    Args:
        heartbeat: seconds between signs of life.
        patience: seconds without a sign of life after which a holder counts as gone. A process
            of this machine that has died is known to be gone at once.

    Raises:
        LockedError: another run holds the lock and is alive, or took it over.
        StoreError: the lock cannot be written.
        ConfigError: `patience` is so short that live holders would be taken for dead.
    """
    if patience < _BEATS_OF_PATIENCE * heartbeat:
        raise ConfigError(
            f"{patience} s of patience are too few for a heartbeat of {heartbeat} s",
            where=str(path),
            remedy=f"wait at least {_BEATS_OF_PATIENCE * heartbeat} s",
        )
    with storing(path.parent):
        lock = _acquire(path, heartbeat, patience)
    done = Event()
    heart = Thread(target=lock._beat, args=(heartbeat, done), name="footfall lock", daemon=True)
    heart.start()
    try:
        yield lock
    except Exception:
        with suppress(OSError):
            lock._look()
        lock.check()
        raise
    finally:
        done.set()
        heart.join()
        # Should this fail, the lock is that of a dead process, which anyone may take.
        with suppress(OSError):
            if not lock.lost and lock._is_ours():
                lock._write(0, released=True)


def _acquire(path: Place, heartbeat: float, patience: float) -> Lock:
    me = _myself()
    while True:
        newest = _newest(path)
        if newest is not None and not _is_free(newest):
            _outwait(path, newest, heartbeat, patience)
        number = 1 if newest is None else newest.number + 1
        mine = _numbered(path, number)
        if create_exclusively(mine, _content(me, 0, released=False)):
            lock = Lock(path, number, me)
            if lock._is_ours():
                _prune(path, number)
                return lock
            discard(mine)  # a number long past, whose file had been pruned


def _outwait(path: Place, seen: _Seen, heartbeat: float, patience: float) -> None:
    """Return once the holder gave the lock up, lost it, or stood still for all of `patience`."""
    ends = time.monotonic() + patience
    while time.monotonic() < ends:
        time.sleep(min(heartbeat / 4, 1.0))
        now = _newest(path)
        if now is None or now.number != seen.number or now.released:
            return
        if now.raw != seen.raw:
            raise LockedError(
                f"is in use by {_named(now)}",
                where=str(path.parent),
                remedy="wait for that run or stop it, then run again",
            )


def _is_free(seen: _Seen) -> bool:
    return seen.released or (seen.holder is not None and is_gone(seen.holder))


def is_gone(holder: Holder) -> bool:
    """Whether the holder is certain to have died: only ever known of a process of this machine."""
    here = _myself()
    if not holder.boot or (holder.boot, holder.namespace) != (here.boot, here.namespace):
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    born = _born(holder.pid)
    return born is not None and born != holder.born


def _myself() -> Holder:
    return Holder(
        user=_user(),
        host=platform.node(),
        pid=os.getpid(),
        born=_born(os.getpid()) or "",
        boot=_boot(),
        namespace=_namespace(),
        since=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return str(os.getuid())


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _born(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None if the system does not tell."""
    try:
        # proc(5): the name, in parentheses, may itself hold spaces and parentheses.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return "ended" if state in "ZX" else fields[18]


def _numbered(path: Place, number: int) -> Place:
    return path.with_name(f"{path.stem}-{number:06d}{path.suffix}")


def _files(path: Place) -> dict[int, str]:
    pattern = re.compile(rf"{re.escape(path.stem)}-(\d+){re.escape(path.suffix)}")
    matches = (pattern.fullmatch(name) for name in names(path.parent))
    return {int(match.group(1)): match.group() for match in matches if match}


def _newest(path: Place) -> _Seen | None:
    """The lock file with the highest number, which alone counts."""
    while files := _files(path):
        number = max(files)
        try:
            raw = read(path.with_name(files[number]))
        except FileNotFoundError:  # pruned between the two looks
            continue
        return _Seen(number, raw, *_parsed(raw))
    return None


def _prune(path: Place, number: int) -> None:
    for lower, name in _files(path).items():
        if lower < number:
            discard(path.with_name(name))


def _content(holder: Holder, counter: int, *, released: bool) -> bytes:
    # The token tells two threads of one process apart, whose putting may both be repeated.
    content = {"holder": asdict(holder), "counter": counter, "released": released}
    return json.dumps({**content, "token": uuid4().hex}, indent=1).encode()


def _parsed(raw: bytes) -> tuple[Holder | None, bool]:
    try:
        match json.loads(raw):
            case {"holder": dict(fields), "released": bool(released)} if fields["pid"] > 0:
                return Holder(**fields), released
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return None, False


def _named(seen: _Seen | None) -> str:
    return str(seen.holder) if seen is not None and seen.holder is not None else "another run"
