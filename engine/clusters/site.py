"""What a profile of a batch system leaves out comes from the site's own Dask configuration.

It lies in `~/.config/dask` or `/etc/dask` (`jobqueue.slurm.*`), and holds for every job of a run.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any, TypeVar

import dask

from engine.clusters.guarding import one_line, plain
from engine.clusters.spec import Allocation, Batch, System, clock, seconds_of
from engine.errors import ConfigError, within

Jobs = TypeVar("Jobs", bound=Batch | Allocation)
PAYS = {System.LSF: "project", System.SGE: "project"}  # who pays; an "account" elsewhere


def with_site_defaults(spec: Jobs) -> Jobs:
    """The profile, as it was read, with what it leaves out as the site has it.

    To be asked once of a profile: a second time it would take the site's texts for the profile's,
    and put the site's prologue before itself. From here on every text may stand in a script. The
    profile's are refused where a shell would not read them as they stand; the site's may hold what
    a node's shell is to fill in, such as `$TMPDIR`.

    Raises:
        ConfigError: a text cannot stand in a script, neither says how large a job is, or
            dask-jobqueue is not installed.
    """
    system = spec.system
    if isinstance(spec, Batch):
        plain(spec.controller.queue, "controller.queue")
    own = tuple(one_line(line, "cluster.directives") for line in spec.directives)
    sites = (one_line(line, "directives") for line in _lines(system, "job-extra-directives"))
    filled: dict[str, Any] = {
        "queue": plain(spec.queue, "queue") or _text(system, "queue"),
        "account": plain(spec.account, "account") or _text(system, PAYS.get(system, "account")),
        "interface": plain(spec.interface, "interface") or _text(system, "interface"),
        "local_directory": plain(spec.local_directory, "local_directory")
        or _text(system, "local-directory"),
        "python": plain(spec.python, "python") or _text(system, "python"),
        "directives": (*(line for line in sites if line not in own), *own),
        "prologue": (
            *_lines(system, "job-script-prologue"),
            *(one_line(line, "cluster.prologue") for line in spec.prologue),
        ),
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


def _text(system: System, key: str) -> str | None:
    value = site(system, key)
    return None if value is None else one_line(str(value), f"jobqueue.{system}.{key}")


def _lines(system: System, key: str) -> list[str]:
    return [line for text in site(system, key) or () for line in text.splitlines()]


def _walltime(system: System) -> str | None:
    """As profiles write it; LSF's `HH:MM` is hours, what others make of `30:00` differs."""
    walltime = site(system, "walltime")
    if walltime is None:
        return None
    short = system is System.LSF and str(walltime).count(":") == 1
    with within(f"jobqueue.{system}.walltime"):
        return clock(seconds_of(f"{walltime}:00" if short else str(walltime)))
