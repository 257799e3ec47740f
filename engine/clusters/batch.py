"""Workers that are jobs of a batch system, through dask-jobqueue."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from uuid import uuid4

import dask
from distributed import Client
from distributed.core import Status

from engine.clusters import queues
from engine.clusters.admitting import check
from engine.clusters.executing import OURS_ELSEWHERE, Cluster, Distributed, dashboard_here
from engine.clusters.guarding import refuse_odd_path
from engine.clusters.keys import keys_for_this_run, named_keys
from engine.clusters.site import PAYS, jobqueue, site, with_site_defaults
from engine.clusters.spec import DEATH_TIMEOUT, Batch, System, clock, lifetime, seconds_of
from engine.errors import ConfigError
from engine.stores.places import mark

_CLASSES = {
    System.SLURM: "SLURMCluster",
    System.PBS: "PBSCluster",
    System.LSF: "LSFCluster",
    System.SGE: "SGECluster",
}
_LOG = logging.getLogger("footfall")
_LOOK, _SELDOM = 10.0, 60.0  # seconds between two looks at the queue, without workers and with
_FAILED = 3  # times as many jobs as workers may be refused or end before any has connected
_RARELY = 600.0  # seconds at most until a job that failed is sent again
SITTING = "FOOTFALL_SITTING"  # where a controller's script tells the mark of its workers' jobs
# What makes a job see the environment it is sent from, where it does not anyway.
_ENVIRONMENT = {System.PBS: ("-V",), System.SGE: ("-V",)}
_TAIL = 30  # lines of a worker's log that tell how it died


@contextmanager
def batch(spec: Batch, folder: Path) -> Iterator[Cluster]:
    """Start a scheduler here and workers as jobs; keep as many alive as asked.

    Jobs that an earlier run of this folder left in the queue are cancelled.

    Raises:
        ConfigError: the profile cannot be used here.
        PlanError: a worker is not like this process.
        StoppedError: a worker was lost while connecting.
    """
    spec, folder = with_site_defaults(spec), folder.absolute()
    queues.require(*queues.commands(spec.system))
    with suppress(ConfigError):
        if spec.system is System.SLURM:  # of a controller that was killed
            queues.cancel_named(job_name(folder))
    name = job_name(folder, os.environ.get(SITTING) or f"s{uuid4().hex[:8]}")
    with (
        dask.config.set(OURS_ELSEWHERE),
        _cluster(spec, folder, name) as cluster,
    ):
        cluster.adapt(minimum=spec.workers, maximum=spec.workers)
        with Client(cluster) as client:
            check(client)
            jobs = _Jobs(cluster, spec, folder, name)
            yield Distributed(client, spec.slots, dashboard_here(client), jobs)


def script(spec: Batch, folder: Path) -> str:
    """The script of a worker's job, but for the address of its scheduler, without sending any."""
    spec, folder = with_site_defaults(spec), folder.absolute()
    job = _options(spec, folder, job_name(folder, "SITTING"))
    job["security"] = named_keys(folder / "cluster") if spec.encrypted else None
    for own in ("shared_temp_directory", "scheduler_options", "silence_logs"):
        job.pop(own)
    logs = job.pop("log_directory")
    with tempfile.TemporaryDirectory() as made, _profile_refused(spec.system):
        # dask-jobqueue makes the folder it is told
        job = _kind(spec.system).job_cls("SCHEDULER", name="WORKER", log_directory=made, **job)
        return str(job.job_script()).replace(made, logs)


def job_name(folder: Path, sitting: str = "") -> str:
    """The name of the jobs of workers of a run, and with the mark of a `sitting` of that one.

    By the first part whoever holds the run folder finds what an earlier sitting left behind; by all
    of it a sitting that ends takes back its own, for by then another may be at work.
    """
    of_the_run = f"footfall-worker-{mark(folder)}"
    return f"{of_the_run}-{sitting}" if sitting else of_the_run


@contextmanager
def _cluster(spec: Batch, folder: Path, name: str) -> Iterator[Any]:
    """The cluster of dask-jobqueue."""
    options, kind = _options(spec, folder, name), _kind(spec.system)
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if spec.encrypted:
            options["security"] = stack.enter_context(keys_for_this_run(folder / "cluster"))
        with _profile_refused(spec.system):
            cluster = kind(job_cls=_that_tells(kind.job_cls), **options)
        yield stack.enter_context(cluster)


def _kind(system: System) -> Any:
    return getattr(jobqueue(), _CLASSES[system])


@contextmanager
def _profile_refused(system: System) -> Iterator[None]:
    """What dask-jobqueue says of a profile, while it makes something of it."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"dask-jobqueue refuses the profile: {error}",
            where=f"cluster, system {system}",
            remedy="mend the profile or ~/.config/dask/jobqueue.yaml",
        ) from error


def _options(spec: Batch, folder: Path, name: str) -> dict[str, Any]:
    """What dask-jobqueue is told, but for keys; of a profile that holds what is the site's."""
    refuse_odd_path(folder)
    return {
        "cores": spec.cores,
        "memory": spec.memory,
        "processes": 1,
        "walltime": None if spec.walltime is None else _walltime(spec),
        "queue": spec.queue,
        PAYS.get(spec.system, "account"): spec.account,
        "interface": spec.interface,
        "local_directory": spec.local_directory,
        "python": spec.python,
        "job_name": name,
        "job_extra_directives": [*_ENVIRONMENT.get(spec.system, ()), *spec.directives],
        "job_script_prologue": list(spec.prologue),
        "worker_extra_args": [
            *(site(spec.system, "worker-extra-args") or ()),
            *_worker_arguments(spec),
        ],
        "death_timeout": DEATH_TIMEOUT,
        "shared_temp_directory": str(folder / "cluster"),
        "security": None,
        "protocol": "tls://" if spec.encrypted else "tcp://",
        "scheduler_options": {
            # Whoever may reach the node must not read it; a tunnel shows it to the user.
            "dashboard_address": "127.0.0.1:0",
            **(site(spec.system, "scheduler-options") or {}),
        },
        "silence_logs": "critical",  # what went wrong is told by outcomes
        "log_directory": str(folder / "logs"),
    }


def _walltime(spec: Batch) -> str:
    assert spec.walltime is not None
    written = clock(seconds_of(spec.walltime))
    return written[:-3] if spec.system is System.LSF else written


def _worker_arguments(spec: Batch) -> list[str]:
    arguments = ["--no-dashboard"]
    if spec.walltime is not None:
        ends, stagger = lifetime(seconds_of(spec.walltime))
        arguments += ["--lifetime", f"{ends}s", "--lifetime-stagger", f"{stagger}s"]
    return arguments


def _that_tells(kind: Any) -> Any:
    """A job of dask-jobqueue which keeps why it could not be sent.

    An error of it would stop whatever `SpecCluster` does at that moment, and were it to close,
    it would never end.
    """

    async def start(job: Any) -> None:
        try:
            await kind.start(job)
        except Exception as error:
            job.refusal = str(error).rpartition("stderr:\n")[2].strip() or repr(error)
            job.status = Status.running  # or it would be sent once more, unseen

    async def close(job: Any) -> None:
        await kind.close(job)
        job.status = Status.closed  # or `SpecCluster` would not end while it is asked for

    return type(kind.__name__, (kind,), {"start": start, "close": close, "refusal": ""})


class _Jobs:
    """The jobs behind the workers: which are gone, and what they left in their logs.

    dask-jobqueue notices neither a job that was refused nor one that ended before its worker
    connected. Such a job is forgotten here, ever later, so that another is sent in its place.
    While others wait in the queue or start, that is all: they may work where these could not.
    """

    def __init__(self, cluster: Any, spec: Batch, folder: Path, name: str) -> None:
        self._cluster, self._spec, self._folder, self._name = cluster, spec, folder, name
        self._numbers: dict[str, str] = {}  # of the last job of each worker there has been
        self._arrived: set[str] = set()  # jobs whose worker has connected
        self._failed: list[tuple[str, str]] = []  # lately, before any: number, or refusal
        self._told, self._living = "", False  # whether the queue last knew a job of ours
        self._answers: SimpleQueue[tuple[dict[Any, Any], set[str] | None]] = SimpleQueue()
        self._asking, self._next = False, time.monotonic() + _LOOK

    def hopeless(self, connected: int) -> str:
        """Forget jobs that failed; why, when all have and no worker is connected."""
        jobs = dict(self._cluster.workers)
        now = {str(name): job.job_id for name, job in jobs.items() if job.job_id}
        self._numbers.update(now)
        present = {str(w["name"]) for w in list(self._cluster.scheduler_info["workers"].values())}
        self._arrived |= {now[name] for name in present if name in now}
        if present:
            self._failed.clear()
        with suppress(Empty):
            self._judge(*self._answers.get_nowait())
            self._asking, self._next = False, time.monotonic() + (_SELDOM if present else _LOOK)
        if not self._asking and time.monotonic() >= self._next:
            # A batch system may take a minute to answer, for which nobody waits.
            self._asking = True
            Thread(target=self._ask, args=(jobs,), name="footfall asks", daemon=True).start()
        if self._living or len(self._failed) < _FAILED * self._spec.workers:
            return ""
        return self._verdict()

    def _ask(self, jobs: dict[Any, Any]) -> None:
        numbers = [job.job_id for job in jobs.values() if job.job_id]
        try:
            alive = queues.alive(self._spec.system, self._name, numbers)
        except ConfigError:  # busy, or being restarted
            self._answers.put((jobs, None))
        else:
            self._answers.put((jobs, alive))

    def _judge(self, jobs: dict[Any, Any], alive: set[str] | None) -> None:
        later = min(_LOOK * 2.0 ** (len(self._failed) // self._spec.workers), _RARELY)
        if alive is not None:
            self._living = bool(alive)
        for name, job in jobs.items():
            if job.status is Status.closed:  # judged already, and not yet forgotten
                continue
            if job.refusal:
                if job.refusal != self._told:
                    _LOG.warning("a worker's job was refused, and is sent again: %s", job.refusal)
                self._told = job.refusal
                failed = ("", job.refusal)
            elif alive is None or not job.job_id or job.job_id in alive | self._arrived:
                continue
            else:
                failed = (job.job_id, "")
            if alive is not None:  # what is refused while nobody answers says nothing
                self._failed.append(failed)
            job.status = Status.closed
            loop = self._cluster.loop
            loop.add_callback(loop.call_later, later, self._forget, name, job)

    def _forget(self, name: Any, job: Any) -> None:
        if self._cluster.workers.get(name) is job:
            del self._cluster.workers[name]
            self._cluster.worker_spec.pop(name, None)

    def _verdict(self) -> str:
        number, refusal = self._failed[-1]
        if refusal:
            return f"{len(self._failed)} jobs were refused or ended at once; the last: {refusal}"
        told = queues.explained(number) if self._spec.system is System.SLURM else ""
        return (
            f"{len(self._failed)} jobs ended before their worker had connected; the last: "
            f"{told or number}\n{self._log(number)}"
        )

    def why(self, name: str, address: str) -> str:
        number = self._numbers.get(name, "")
        told = queues.explained(number) if number and self._spec.system is System.SLURM else ""
        log = self._log(number) if number else ""
        first = "; ".join(filter(None, [_last_words(log), told or f"job {number or 'unknown'}"]))
        return f"{first}\n{log}"

    def _log(self, number: str) -> str:
        lines = []
        for path in sorted((self._folder / "logs").glob("footfall-worker-*")):
            if not is_log_of(number, path.name):
                continue
            with suppress(OSError):
                lines += [
                    f"--- {path.name}",
                    *path.read_text(errors="replace").splitlines()[-_TAIL:],
                ]
        return "\n".join(lines)


def is_log_of(number: str, name: str) -> bool:
    """Whether a log's name is that of a job: `NAME-17.err`, or `NAME.o17` of PBS and SGE."""
    return re.search(rf"(-|\.[eo]){re.escape(number)}(\.|$)", name) is not None


def _last_words(log: str) -> str:
    """What the nanny said last of its worker's death; memory first, a signal follows from it."""
    lines = [line.rpartition(" - ")[2] for line in log.splitlines()]
    for sign in ("memory budget", "killed by signal", "exited with status"):
        if found := [line for line in lines if sign in line]:
            return found[-1].removesuffix(". Restarting...")
    return ""
