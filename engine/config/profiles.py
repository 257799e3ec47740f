"""A cluster profile: a TOML file of its own, shared by every configuration that runs there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.clusters import (
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
    one_line,
    seconds_of,
)
from engine.config import schema
from engine.config.parsing import checked, naming, parsed
from engine.config.paths import resolved
from engine.errors import ConfigError, within

_EARLY = 100  # seconds: a warning that comes a minute early, and a start


def read_profile(path: Path) -> Profile:
    """Read and check a cluster profile.

    Raises:
        ConfigError: naming the file, the key, what is wrong with it and what to do.
    """
    with naming(path):
        return profile(checked(path, parsed(path), schema.Profile), path)


def profile(file: schema.Profile, path: Path) -> Profile:
    """The specification of a checked profile.

    Raises:
        ConfigError: a walltime, a memory or a line of a script is not one, or a number makes no
            sense.
    """
    match file.root:
        case schema.LocalProfile() as local:
            return ClusterSpec(Executor(local.executor), local.workers, local.dashboard)
        case schema.AddressProfile() as there:
            files = (there.tls_ca, there.tls_cert, there.tls_key)
            ca, cert, key = (
                None if name is None else str(resolved(name, path, where))
                for name, where in zip(files, ("tls_ca", "tls_cert", "tls_key"), strict=True)
            )
            return Address(there.address, ca, cert, key, _positive(there.workers, "workers"))
        case schema.BatchProfile() as jobs:
            return _batch(jobs)
        case schema.AllocationProfile() as tasks:
            return _allocation(tasks)
        case schema.KubernetesProfile() as pods:
            _checked(None, pods.memory)
            return Kubernetes(**pods.model_dump(exclude={"system"}))
        case schema.GatewayProfile() as door:
            return Gateway(door.address, door.workers, tuple(door.options.items()))


def with_workers(cluster: Profile, workers: int) -> Profile:
    """The same profile with another number of workers."""
    return replace(cluster, workers=workers)


def _batch(jobs: schema.BatchProfile) -> Batch:
    controller = jobs.controller
    with within("controller"):
        _checked(controller.walltime, controller.memory, controller.queue)
        _positive(controller.cores, "cores")
        if controller.grace < 1 or controller.restarts < 0:
            raise ConfigError(
                "`grace` and `restarts` count seconds and restarts",
                where="controller",
                remedy="give a number of seconds above 0, and restarts of 0 or more",
            )
    _refuse_short(controller.walltime, controller.grace)
    _checked(jobs.walltime, jobs.memory, jobs.queue, jobs.account, *jobs.directives, *jobs.prologue)
    _positive(jobs.workers, "workers")
    if jobs.cores is not None:
        _positive(jobs.cores, "cores")
    given = jobs.model_dump(exclude={"system", "controller"}) | _lines(jobs)
    own = Controller(**controller.model_dump())
    return Batch(System(jobs.system), controller=own, **given)


def _allocation(tasks: schema.AllocationProfile) -> Allocation:
    _checked(
        tasks.walltime, tasks.memory, tasks.queue, tasks.account, *tasks.directives, *tasks.prologue
    )
    _refuse_short(tasks.walltime, tasks.grace)
    _positive(tasks.workers, "workers")
    _positive(tasks.cores, "cores")
    return Allocation(**tasks.model_dump(exclude={"system"}) | _lines(tasks))


def _lines(jobs: schema.BatchProfile | schema.AllocationProfile) -> dict[str, tuple[str, ...]]:
    return {"directives": tuple(jobs.directives), "prologue": tuple(jobs.prologue)}


def _checked(walltime: str | None, memory: str | None, *lines: str | None) -> None:
    if walltime is not None:
        seconds_of(walltime)
    if memory is not None:
        bytes_of(memory)
    for line in lines:
        if line is not None:
            one_line(line, "profile")


def _refuse_short(walltime: str | None, grace: int) -> None:
    """SLURM may warn a job a minute early; the run must have begun by then."""
    if walltime is not None and seconds_of(walltime) < grace + _EARLY:
        raise ConfigError(
            f"a controller with a walltime of {walltime} would be told to stop as it starts",
            where="walltime",
            remedy=f"give it {grace + _EARLY} s or more, or less `grace`",
        )


def _positive(number: int, where: str) -> int:
    if number < 1:
        raise ConfigError(f"{number} cannot be", where=where, remedy="give 1 or more")
    return number
