"""What the tests of the store kill. Kept apart, so that a child need not import pytest."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from made_blocks import AXES, fill, make

# Every call through which a store can change what is on disk.
CALLS = ("fsync", "link", "mkdir", "rename", "replace", "rmdir", "truncate", "unlink", "write")
ONE_YEAR = replace(AXES, years=AXES.years[:1])


def run(path: Path, draws: int, began: Event) -> None:
    began.set()
    fill(make(path, draws))


def work(path: Path, draws: int) -> None:
    """What the tests below interrupt: room for `draws` draws, and every block."""
    fill(make(path, draws, ONE_YEAR))


def die_at(step: int) -> None:
    """Let this process be killed as it enters the `step`-th call that changes the disk.

    A write that is killed has written half of its bytes.
    """
    left = [step]

    def deadly(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def killed(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                if name == "write":
                    call(args[0], bytes(args[1])[: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **options)

        return killed

    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name), name))


def work_until(path: Path, draws: int, step: int) -> None:
    die_at(step)
    work(path, draws)
