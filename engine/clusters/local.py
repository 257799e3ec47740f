"""Workers on this machine: threads of this process, or processes, all on the loopback address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster

from engine.clusters.executing import OURS, Cluster, Distributed, Unwatched, dashboard_here, lost
from engine.clusters.spec import ClusterSpec, Executor
from engine.clusters.workers import Fit, software


@contextmanager
def local(spec: ClusterSpec) -> Iterator[Cluster]:
    """Start workers here and stop them at the end.

    Raises:
        StoppedError: they do not start, as when their processes are killed meanwhile.
    """
    with dask.config.set(OURS), _started(spec) as cluster, Client(cluster) as client:
        client.register_plugin(Fit(software()))
        dashboard = dashboard_here(client) if spec.dashboard else ""
        watch = Unwatched("its process was killed, ran out of memory or crashed")
        yield Distributed(client, spec.slots, dashboard, watch)


def _started(spec: ClusterSpec) -> LocalCluster:
    processes = spec.executor is Executor.PROCESSES
    try:
        return LocalCluster(
            n_workers=spec.slots if processes else 1,
            threads_per_worker=1 if processes else spec.slots,
            processes=processes,
            host="127.0.0.1" if processes else None,
            # Loopback and any free port; left to itself distributed listens on all addresses.
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": spec.dashboard},
            memory_limit=0,  # `plan` refuses what does not fit; pausing workers would hide it
            silence_logs=50,  # what went wrong is told by outcomes
        )
    except (RuntimeError, OSError) as error:
        raise lost(f"workers do not start here ({str(error).partition(chr(10))[0]})") from error
