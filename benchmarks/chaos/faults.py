"""Errors of the operating system, made inside processes that know nothing of it.

`install` wraps the calls through which files become durable. A call fails when a file says so, the
one that the environment variable FOOTFALL_CHAOS names: which calls, in which kind of process, below
which folder, and with which error. Where a fault strikes once, whoever takes that file away first
is struck. The engine has no part in this.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

VARIABLE = "FOOTFALL_CHAOS"
WORKER, CONTROLLER = "worker", "controller"
CALLS = ("write", "fsync", "replace")
_HELD = 20.0  # seconds for which the memory that was taken is held, unless the process dies

role = WORKER  # of this process; the command line says that it is the controller
_inside = False


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to go wrong.

    Attributes:
        folder: only files below it.
        calls: names of `CALLS`.
        roles: kinds of process.
        error: number of the error; 0 where memory is to be taken.
        take: bytes of memory to take.
        once: whether one call is struck, or every one until the fault is disarmed.
    """

    folder: str
    calls: tuple[str, ...]
    roles: tuple[str, ...]
    error: int = 0
    take: int = 0
    once: bool = True


def arm(fault: Fault) -> None:
    """Let it strike from now on."""
    armed = _armed()
    aside = armed.with_suffix(".new")
    aside.write_text(json.dumps(asdict(fault)))
    aside.rename(armed)


def disarm() -> bool:
    """Let nothing strike any more; whether anything was struck."""
    _armed().unlink(missing_ok=True)
    struck = _struck(_armed())
    was_struck = struck.exists()
    struck.unlink(missing_ok=True)
    return was_struck


def _struck(armed: Path) -> Path:
    return armed.with_suffix(".struck")


def _armed() -> Path:
    return Path(os.environ[VARIABLE])


def install() -> None:
    """Wrap the calls of this process and of all that are forked from it."""
    armed = os.environ.get(VARIABLE)
    if armed is None:
        return
    for name in CALLS:
        setattr(os, name, _failing(getattr(os, name), name, armed))


def _failing(call: Callable[..., Any], name: str, armed: str) -> Callable[..., Any]:
    def called(*args: Any, **options: Any) -> Any:
        if os.path.exists(armed):
            _strike(call, name, args, armed)
        return call(*args, **options)

    return called


def _strike(call: Callable[..., Any], name: str, args: tuple[Any, ...], armed: str) -> None:
    try:
        with open(armed) as file:
            fault = Fault(**json.load(file))
    except (OSError, ValueError):
        return
    path = os.fspath(args[1]) if name == "replace" else _path(args[0])
    if name not in fault.calls or role not in fault.roles or not path.startswith(fault.folder):
        return
    if fault.once:
        try:
            os.unlink(armed)
        except FileNotFoundError:  # another was struck
            return
    _struck(Path(armed)).touch()
    if fault.take:
        _take(fault.take)
        return
    if name == "write":  # as far as there was room
        with suppress(OSError):
            call(args[0], bytes(args[1])[: len(args[1]) // 2])
    raise OSError(fault.error, os.strerror(fault.error), path)


def _path(descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def _take(size: int) -> None:
    taken = bytearray(size)
    taken[::4096] = b"\1" * len(range(0, size, 4096))
    time.sleep(_HELD)
