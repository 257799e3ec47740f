"""What a profile of a batch system leaves out comes from the site's own Dask configuration.

It lies in `~/.config/dask` or `/etc/dask` (`jobqueue.slurm.*`), and holds for every job of a run.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any, TypeVar

import dask

from engine.clusters.spec import Allocation, Batch, System, clock, seconds_of
from engine.errors import ConfigError, within

Jobs = TypeVar("Jobs", bound=Batch | Allocation)
PAYS = {System.LSF: "project", System.SGE: "project"}  # who pays; an "account" elsewhere


def with_site_defaults(spec: Jobs) -> Jobs:
    """The profile with what it leaves out as the site has it; a second time changes nothing.

    Raises:
        ConfigError: neither says how large a job is, or dask-jobqueue is not installed.
    """
    system = spec.system if isinstance(spec, Batch) else System.SLURM
    filled: dict[str, Any] = {
        "queue": spec.queue or site(system, "queue"),
        "account": spec.account or site(system, PAYS.get(system, "account")),
        "interface": spec.interface or site(system, "interface"),
        "local_directory": spec.local_directory or site(system, "local-directory"),
        "python": spec.python or site(system, "python"),
        "directives": _after(site(system, "job-extra-directives"), spec.directives),
        "prologue": _after(site(system, "job-script-prologue"), spec.prologue),
    }
    return replace(spec, **filled, **(_size(spec) if isinstance(spec, Batch) else {}))


def _size(spec: Batch) -> dict[str, Any]:
    jobqueue()  # brings its own defaults
    size = {
        "cores": spec.cores or site(spec.system, "cores"),
        "memory": spec.memory or site(spec.system, "memory"),
        "walltime": spec.walltime or _walltime(spec.system),
    }
    for name in ("cores", "memory"):
        if size[name] is None:
            raise ConfigError(
                f"neither the profile nor `jobqueue.{spec.system}.{name}` says the {name} of a job",
                where=f"cluster.{name}",
                remedy=f"add `{name}` to the profile, or to ~/.config/dask/jobqueue.yaml",
            )
    return size


def site(system: System, key: str) -> Any:
    """What the site says; None where it says nothing."""
    return dask.config.get(f"jobqueue.{system}.{key}", None) or None


def jobqueue() -> Any:
    """The package dask-jobqueue.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module("dask_jobqueue")
    except ModuleNotFoundError:
        raise ConfigError(
            "batch systems need dask-jobqueue, which is not installed",
            where="cluster.system",
            remedy="pip install 'footfall[jobqueue]'",
        ) from None


def _after(sites: list[str] | None, own: tuple[str, ...]) -> tuple[str, ...]:
    lines = [line for text in sites or () for line in text.splitlines()]
    return (*(line for line in lines if line not in own), *own)


def _walltime(system: System) -> str | None:
    """As profiles write it; LSF's `HH:MM` is hours, what others make of `30:00` differs."""
    walltime = site(system, "walltime")
    if walltime is None:
        return None
    short = system is System.LSF and str(walltime).count(":") == 1
    with within(f"jobqueue.{system}.walltime"):
        return clock(seconds_of(f"{walltime}:00" if short else str(walltime)))
