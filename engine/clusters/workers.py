"""What every worker must be: one BLAS thread, and the same software as the controller."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import scipy.linalg  # noqa: F401  # scipy brings a BLAS of its own; only a loaded one can be limited
from distributed import WorkerPlugin
from threadpoolctl import threadpool_info, threadpool_limits

from engine.errors import PlanError

_SAME = ("footfall", "numpy", "scipy", "numba")


def one_blas_thread() -> AbstractContextManager[object]:
    """Hold this process's BLAS to one thread: the bits of a result depend on their number."""
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits


@lru_cache(maxsize=1)
def software() -> dict[str, str]:
    """What must be the same on every worker: versions, and the source of footfall itself."""
    found = {name: version(name) for name in _SAME}
    return {**found, "footfall's source": _source(), "python": platform.python_version()}


def _source() -> str:
    root = Path(__file__).parents[1]
    hashed = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        hashed.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return hashed.hexdigest()[:12]


def unfit(wanted: Mapping[str, str]) -> list[str]:
    """Why this process may not work for a controller with this software; nothing if it may."""
    here = software()
    why = [
        f"{name} is {here.get(name, 'absent')}, not {value}"
        for name, value in wanted.items()
        if here.get(name) != value
    ]
    threads = max([1, *(p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas")])
    return [*why, f"its BLAS runs {threads} threads"] if threads > 1 else why


_refusals: list[PlanError] = []  # of this process, while it is a worker that is different


def refuse_if_different() -> None:
    """Do nothing, unless this process is a worker that has been found to be different.

    Raises:
        PlanError: naming what differs; the run then stops, for another would come in its place.
    """
    if _refusals:
        raise _refusals[0]


class Fit(WorkerPlugin):
    """Hold a worker to one BLAS thread for as long as it lives, and refuse one that is different.

    The scheduler hands it to workers that come later, too; of these it only notes in its log that
    a plugin fails, so that the refusal is kept for the worker's first task.
    """

    name = "footfall-fit"

    def __init__(self, wanted: Mapping[str, str]) -> None:
        self.wanted = dict(wanted)

    def setup(self, worker: Any) -> None:
        """Raise if this worker is different: it then ends with this reason in its log.

        Raises:
            PlanError: naming what differs.
        """
        self.limits = threadpool_limits(1, user_api="blas")
        why = unfit(self.wanted)
        if why:
            refusal = different(f"{worker.name} on {platform.node()}", why)
            _refusals.append(refusal)
            raise refusal

    def teardown(self, worker: Any) -> None:
        """Forget the refusal: the process may live on without this worker."""
        _refusals.clear()


def different(worker: str, why: list[str]) -> PlanError:
    """The refusal of a worker."""
    return PlanError(
        f"worker {worker} is not like the controller: {'; '.join(why)}",
        where="cluster",
        remedy="install the same versions on every node, or name their interpreter with `python`",
    )
