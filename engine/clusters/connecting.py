"""From a profile to a connected cluster."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from engine.clusters.address import address
from engine.clusters.allocation import allocation
from engine.clusters.batch import batch
from engine.clusters.executing import Cluster, Serial
from engine.clusters.local import local
from engine.clusters.services import gateway, kubernetes
from engine.clusters.spec import (
    Address,
    Allocation,
    Batch,
    ClusterSpec,
    Executor,
    Gateway,
    Kubernetes,
    Profile,
)
from engine.clusters.workers import one_blas_thread


@contextmanager
def connect(profile: Profile, folder: Path | None = None) -> Iterator[Cluster]:
    """Start the cluster of a profile, or connect to it; stop what was started at the end.

    BLAS keeps to one thread throughout: parallelism is over draws (also the faster way), and the
    bits of a BLAS result depend on its number of threads.

    Args:
        folder: the run folder, for logs of workers and what they need to find their scheduler; a
            temporary one if not given. Whoever connects holds it: what earlier runs left there and
            in the queue is taken away.

    Raises:
        PlanError: a worker is not like this process.
        ConfigError: the profile cannot be used here.
        StoppedError: there is no scheduler, or it was lost.
    """
    with (
        one_blas_thread(),
        _quiet(),
        tempfile.TemporaryDirectory(prefix="footfall-") as temporary,
    ):
        if isinstance(profile, ClusterSpec) and profile.executor is Executor.SERIAL:
            yield Serial()
            return
        with _way(profile, folder or Path(temporary)) as cluster:
            yield cluster


@contextmanager
def _quiet() -> Iterator[None]:
    """That a scheduler is lost is told by one error, not by Dask's log as well."""
    loggers = [logging.getLogger(f"distributed.{name}") for name in ("client", "batched", "comm")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _way(profile: Profile, folder: Path) -> AbstractContextManager[Cluster]:
    match profile:
        case ClusterSpec():
            return local(profile)
        case Address():
            return address(profile)
        case Batch():
            return batch(profile, folder)
        case Allocation():
            return allocation(profile, folder)
        case Kubernetes():
            return kubernetes(profile)
        case Gateway():
            return gateway(profile)
