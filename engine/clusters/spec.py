"""Cluster profiles: where a run's tasks are worked on. Plain descriptions that start nothing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import StrEnum

from engine.errors import ConfigError, PlanError

DEATH_TIMEOUT = 60  # seconds after which a worker that has no scheduler ends itself
_WALLTIME = re.compile(r"(?:(\d+)-)?(\d{1,3}):([0-5]\d):([0-5]\d)")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?) ?([kKMGT])(i?B?)")
_SHARE, _MOST = 5, 300  # a worker retires a fifth of its walltime before the end, at most 5 minutes


class Executor(StrEnum):
    """Where tasks run on this machine."""

    SERIAL = "serial"
    THREADS = "threads"
    PROCESSES = "processes"


class System(StrEnum):
    """A batch system."""

    SLURM = "slurm"
    PBS = "pbs"
    LSF = "lsf"
    SGE = "sge"


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """This machine.

    Attributes:
        executor: `threads` in this process, `processes` on this machine, or `serial`, which
            runs one task after another in the caller's own thread (for debugging).
        workers: tasks that run at once; None for one a core.
        dashboard: whether to serve Dask's dashboard, on the loopback address only.
    """

    executor: Executor = Executor.THREADS
    workers: int | None = None
    dashboard: bool = True

    @property
    def slots(self) -> int:
        """How many tasks run at once.

        Raises:
            PlanError: no workers.
        """
        if self.executor is Executor.SERIAL:
            return 1
        if self.workers is None:
            return len(os.sched_getaffinity(0))
        return _some(self.workers)

    @property
    def kind(self) -> str:
        """What works on the tasks, in a word."""
        return str(self.executor)


@dataclass(frozen=True, slots=True)
class Address:
    """A scheduler that is running already, with workers that see the run folder.

    Attributes:
        address: `tls://host:port`, or `tcp://host:port` where the network is trusted.
        tls_ca, tls_cert, tls_key: files of the authority, this client's certificate and its key.
        workers: tasks at once to plan for; a run uses whatever is connected.
    """

    address: str
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    workers: int = 1

    @property
    def slots(self) -> int:
        """How many tasks to plan for at once."""
        return _some(self.workers)

    @property
    def kind(self) -> str:
        """What works on the tasks, in words."""
        return f"workers of {self.address}"


@dataclass(frozen=True, slots=True)
class Controller:
    """The job in which `footfall submit` runs the run.

    Attributes:
        walltime: `[D-]HH:MM:SS`; None for what the queue gives.
        cores, memory: of the job; it prepares the tables, and its workers draw.
        queue: None for that of the workers.
        grace: seconds before the walltime at which the run stops and is requeued.
        restarts: how often at most it puts itself back into the queue.
    """

    walltime: str | None = None
    cores: int = 1
    memory: str | None = None
    queue: str | None = None
    grace: int = 120
    restarts: int = 20


@dataclass(frozen=True, slots=True)
class Batch:
    """Workers that are jobs of a batch system, one process each.

    What is None is left to the site's own Dask configuration (`jobqueue.slurm.*`).

    Attributes:
        system: the batch system.
        workers: jobs to keep alive.
        cores: threads of each job, a task at a time in each of them.
        memory: of each job, such as "8GB"; over it, the worker is restarted.
        walltime: of each job, `[D-]HH:MM:SS`; workers retire before it ends.
        queue, account, interface: partition or queue, who pays, network interface.
        local_directory: fast storage of a node.
        directives: further lines for the batch system, without its mark (`#SBATCH`).
        prologue: shell lines before the worker starts, such as `module load`.
        python: the interpreter on the nodes; this one if not given.
        encrypted: whether scheduler and workers speak TLS, with keys made for this run.
        controller: the job that `footfall submit` sends.
    """

    system: System
    workers: int = 1
    cores: int | None = None
    memory: str | None = None
    walltime: str | None = None
    queue: str | None = None
    account: str | None = None
    interface: str | None = None
    local_directory: str | None = None
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    python: str | None = None
    encrypted: bool = True
    controller: Controller = Controller()

    @property
    def slots(self) -> int:
        """How many tasks run at once, when every job is at work."""
        return _some(self.workers) * (self.cores or 1)

    @property
    def kind(self) -> str:
        """What works on the tasks, in words."""
        return f"{self.system} threads in {self.workers} jobs"


@dataclass(frozen=True, slots=True)
class Allocation:
    """One SLURM allocation of several tasks: the run in its batch script, workers by `srun`.

    For sites where a job may not send jobs. `footfall submit` asks for the allocation.

    Attributes:
        workers: tasks of the allocation with a worker each; one task more is the run's own.
        cores, memory: of each task; a memory over which a worker is restarted.
        walltime: of the allocation, `[D-]HH:MM:SS`.
        queue, account, interface, local_directory, directives, prologue, python, encrypted: as
            of `Batch`, the site's too.
        grace, restarts: as of `Controller`.
    """

    workers: int
    cores: int = 1
    memory: str | None = None
    walltime: str | None = None
    queue: str | None = None
    account: str | None = None
    interface: str | None = None
    local_directory: str | None = None
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    python: str | None = None
    encrypted: bool = True
    grace: int = 120
    restarts: int = 20

    @property
    def system(self) -> System:
        """The batch system that gives it."""
        return System.SLURM

    @property
    def slots(self) -> int:
        """How many tasks run at once."""
        return _some(self.workers) * self.cores

    @property
    def kind(self) -> str:
        """What works on the tasks, in words."""
        return f"threads in {self.workers} tasks of one SLURM allocation"


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """Workers started by dask-kubernetes' operator. Not run on a real one.

    Attributes:
        name: of the DaskCluster.
        image: a container image that holds footfall.
        namespace: in which it lives.
        workers, cores, memory: pods, threads of each, and their memory ("8Gi" or "8GB").
        volume, mount: a persistent volume claim that holds the run folder, and where pods see it.
    """

    name: str
    image: str
    namespace: str = "default"
    workers: int = 1
    cores: int = 1
    memory: str = "4Gi"
    volume: str | None = None
    mount: str = "/runs"

    @property
    def slots(self) -> int:
        """How many tasks run at once."""
        return _some(self.workers) * self.cores

    @property
    def kind(self) -> str:
        """What works on the tasks, in words."""
        return f"threads in {self.workers} pods"


@dataclass(frozen=True, slots=True)
class Gateway:
    """Workers started by a Dask Gateway. Not run on a real one.

    Attributes:
        address: of the gateway, `https://...`.
        workers: to ask for.
        options: what the gateway's administrator lets users choose, such as cores and memory.
    """

    address: str
    workers: int = 1
    options: tuple[tuple[str, str | int | float], ...] = ()

    @property
    def slots(self) -> int:
        """How many tasks to plan for at once."""
        return _some(self.workers)

    @property
    def kind(self) -> str:
        """What works on the tasks, in words."""
        return f"workers of {self.address}"


Profile = ClusterSpec | Address | Batch | Allocation | Kubernetes | Gateway


def bytes_of(memory: str) -> int:
    """Bytes of a memory such as `8GB`, `500MB` or `4Gi`.

    Raises:
        ConfigError: it is not written so.
    """
    parts = _MEMORY.fullmatch(memory)
    if parts is None:
        raise ConfigError(
            f"`{memory}` is no memory", where="memory", remedy="write it as 8GB or 500MB"
        )
    power = "kMGT".index(parts[2].replace("K", "k")) + 1
    return int(float(parts[1]) * (1024 if parts[3].startswith("i") else 1000) ** power)


def slurm_memory(memory: str, cores: int = 1) -> str:
    """The memory of each core, for SLURM, whose `M` are 1,048,576 bytes; never less than asked.

    Raises:
        ConfigError: it is not written as `bytes_of` reads it.
    """
    return f"{-(-bytes_of(memory) // (cores * 2**20))}M"


def seconds_of(walltime: str) -> int:
    """Seconds of a walltime written `[D-]HH:MM:SS`.

    Raises:
        ConfigError: it is written in another way; systems read `01:00` differently.
    """
    parts = _WALLTIME.fullmatch(walltime)
    if parts is None or not any(int(part or 0) for part in parts.groups()):
        raise ConfigError(
            f"`{walltime}` is no walltime",
            where="walltime",
            remedy="write days, hours, minutes and seconds as `[D-]HH:MM:SS`, such as 02:00:00",
        )
    days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return ((24 * days + hours) * 60 + minutes) * 60 + seconds


def clock(seconds: int) -> str:
    """`HH:MM:SS`, which every batch system reads alike; hours may pass 24."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def lifetime(walltime: int) -> tuple[int, int]:
    """Seconds after which a worker retires, and by how many workers differ, given its walltime.

    All have retired before the last fifth of the walltime, or its last five minutes, and not all
    workers of one start leave at once. What a worker is at then goes to another one.
    """
    margin = min(walltime // _SHARE, _MOST)
    stagger = margin // 2
    return walltime - margin - stagger, stagger


def _some(workers: int) -> int:
    if workers < 1:
        raise PlanError(
            f"{workers} workers cannot do anything",
            where="cluster.workers",
            remedy="ask for one or more, or leave it out for one a core",
        )
    return workers
