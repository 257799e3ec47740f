"""From a profile to something that maps a function over tasks. The only importer of Dask.

spec, guarding, site        what a profile says, what of it a script may carry, what the site adds
connecting                  from a profile to workers: local, address, batch, allocation, services
executing                   tasks handed to workers, whatever becomes of these
workers, admitting, keys    who may work for a run
controller, submitting      the job in which a run runs, and its sending
queues                      what is asked of a batch system
"""

from __future__ import annotations

from engine.clusters.connecting import connect
from engine.clusters.executing import Cluster, Outcome
from engine.clusters.guarding import one_line
from engine.clusters.site import with_site_defaults
from engine.clusters.spec import (
    Address,
    Allocation,
    Batch,
    ClusterSpec,
    Controller,
    Executor,
    Gateway,
    Kubernetes,
    Profile,
    System,
    bytes_of,
    seconds_of,
)
from engine.clusters.submitting import Submitted, submit, submitted, would_send
from engine.clusters.workers import one_blas_thread

__all__ = [
    "Address",
    "Allocation",
    "Batch",
    "Cluster",
    "ClusterSpec",
    "Controller",
    "Executor",
    "Gateway",
    "Kubernetes",
    "Outcome",
    "Profile",
    "Submitted",
    "System",
    "bytes_of",
    "connect",
    "one_blas_thread",
    "one_line",
    "seconds_of",
    "submit",
    "submitted",
    "with_site_defaults",
    "would_send",
]
