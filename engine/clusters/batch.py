"""Workers that are jobs of a batch system, through dask-jobqueue."""

from __future__ import annotations

import hashlib
import logging
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import dask
from distributed import Client
from distributed.core import Status

from engine.clusters import queues
from engine.clusters.admitting import check
from engine.clusters.executing import OURS_ELSEWHERE, Cluster, Distributed
from engine.clusters.guarding import one_line, plain, refuse_odd_path
from engine.clusters.keys import keys_for_this_run, named_keys
from engine.clusters.site import PAYS, jobqueue, site, with_site_defaults
from engine.clusters.spec import DEATH_TIMEOUT, Batch, System, clock, lifetime, seconds_of
from engine.errors import ConfigError

_CLASSES = {
    System.SLURM: "SLURMCluster",
    System.PBS: "PBSCluster",
    System.LSF: "LSFCluster",
    System.SGE: "SGECluster",
}
_LOG = logging.getLogger("footfall")
_LOOK, _SELDOM = 10.0, 60.0  # seconds between two looks at the queue, without workers and with
_FAILED = 3  # times as many jobs as workers may be refused or end before any has connected
# What makes a job see the environment it is sent from, where it does not anyway.
_ENVIRONMENT = {System.PBS: ("-V",), System.SGE: ("-V",)}
_TAIL = 30  # lines of a worker's log that tell how it died


@contextmanager
def batch(spec: Batch, folder: Path) -> Iterator[Cluster]:
    """Start a scheduler here and workers as jobs; keep as many alive as asked.

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
    with (
        dask.config.set(OURS_ELSEWHERE),
        _cluster(spec, folder) as cluster,
    ):
        cluster.adapt(minimum=spec.workers, maximum=spec.workers)
        with Client(cluster) as client:
            check(client)
            port = urlsplit(str(client.dashboard_link)).port
            dashboard = f"http://127.0.0.1:{port}/status" if port else ""
            yield Distributed(client, spec.slots, dashboard, _Jobs(cluster, spec, folder))


def script(spec: Batch, folder: Path) -> str:
    """The script of a worker's job, but for the address of its scheduler, without sending any."""
    with _cluster(with_site_defaults(spec), folder.absolute(), made=False) as cluster:
        return str(cluster.job_script())


def job_name(folder: Path) -> str:
    """The name of a run's worker jobs, by which those left behind are found."""
    return f"footfall-worker-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


@contextmanager
def _cluster(spec: Batch, folder: Path, *, made: bool = True) -> Iterator[Any]:
    """The cluster of dask-jobqueue; not `made`, one that never starts and only knows its script."""
    refuse_odd_path(folder)
    logs, keys = folder / "logs", folder / "cluster"
    if made:
        logs.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        "cores": spec.cores,
        "memory": spec.memory,
        "processes": 1,
        "walltime": None if spec.walltime is None else _walltime(spec),
        "queue": plain(spec.queue, "queue"),
        PAYS.get(spec.system, "account"): plain(spec.account, "account"),
        "interface": plain(spec.interface, "interface"),
        "local_directory": plain(spec.local_directory, "local_directory"),
        "python": plain(spec.python, "python"),
        "job_name": job_name(folder),
        "job_extra_directives": [
            *_ENVIRONMENT.get(spec.system, ()),
            *(one_line(line, "cluster.directives") for line in spec.directives),
        ],
        "job_script_prologue": [one_line(line, "cluster.prologue") for line in spec.prologue],
        "worker_extra_args": [
            *(site(spec.system, "worker-extra-args") or ()),
            *_worker_arguments(spec),
        ],
        "death_timeout": DEATH_TIMEOUT,
        "shared_temp_directory": str(keys),
        "security": named_keys(keys) if spec.encrypted else None,
        "protocol": "tls://" if spec.encrypted else "tcp://",
        "scheduler_options": {
            # Whoever may reach the node must not read it; a tunnel shows it to the user.
            "dashboard_address": "127.0.0.1:0",
            **(site(spec.system, "scheduler-options") or {}),
        },
        "silence_logs": "critical",  # what went wrong is told by outcomes
    }
    options["log_directory"] = str(logs)
    kind = getattr(jobqueue(), _CLASSES[spec.system])
    try:
        if not made:
            yield _Dry(kind, options)
            return
        with ExitStack() as stack:
            if spec.encrypted:
                options["security"] = stack.enter_context(keys_for_this_run(keys))
            job = _that_tells(kind.job_cls)
            cluster = stack.enter_context(kind(job_cls=job, **options))
            yield cluster
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"dask-jobqueue refuses the profile: {error}",
            where=f"cluster, system {spec.system}",
            remedy="mend the profile or ~/.config/dask/jobqueue.yaml",
        ) from error


class _Dry:
    """The script of a cluster that is not started."""

    def __init__(self, kind: Any, options: dict[str, Any]) -> None:
        own = {"shared_temp_directory", "scheduler_options", "silence_logs"}
        job = {name: value for name, value in options.items() if name not in own}
        logs = job.pop("log_directory")
        with tempfile.TemporaryDirectory() as made:  # dask-jobqueue makes the folder it is told
            self._script = (
                kind.job_cls("SCHEDULER", name="WORKER", log_directory=made, **job)
                .job_script()
                .replace(made, logs)
            )

    def job_script(self) -> str:
        return str(self._script)


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
    """A job of dask-jobqueue which keeps why it could not be sent."""

    async def start(job: Any) -> None:
        try:
            await kind.start(job)
        except Exception as error:
            job.refusal = str(error).rpartition("stderr:\n")[2].strip() or str(error)
            job.status = Status.failed  # or `SpecCluster` would send it once more, unseen
            raise

    return type(kind.__name__, (kind,), {"start": start, "refusal": ""})


class _Jobs:
    """The jobs behind the workers: which are gone, and what they left in their logs.

    dask-jobqueue notices neither a job that was refused nor one that ended before its worker
    connected. Such a job is forgotten here, so that another is sent in its place.
    """

    def __init__(self, cluster: Any, spec: Batch, folder: Path) -> None:
        self._cluster, self._spec, self._folder = cluster, spec, folder
        self._numbers: dict[str, str] = {}  # of the last job of each worker there has been
        self._arrived: set[str] = set()  # jobs whose worker has connected
        self._failed: list[tuple[str, str]] = []  # lately, before any: number, or refusal
        self._told = ""
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
        return self._verdict() if len(self._failed) >= _FAILED * self._spec.workers else ""

    def _ask(self, jobs: dict[Any, Any]) -> None:
        numbers = [job.job_id for job in jobs.values() if job.job_id]
        try:
            alive = queues.alive(self._spec.system, job_name(self._folder), numbers)
        except ConfigError:  # busy, or being restarted
            self._answers.put((jobs, None))
        else:
            self._answers.put((jobs, alive))

    def _judge(self, jobs: dict[Any, Any], alive: set[str] | None) -> None:
        for name, job in jobs.items():
            if job.status is Status.failed:
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
            self._cluster.loop.add_callback(self._forget, name, job)

    def _forget(self, name: Any, job: Any) -> None:
        if self._cluster.workers.get(name) is job:
            del self._cluster.workers[name]
            self._cluster.worker_spec.pop(name, None)
        job.status = Status.closed

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
