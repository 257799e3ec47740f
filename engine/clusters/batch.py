"""Workers that are jobs of a batch system, through dask-jobqueue.

What a profile leaves out comes from the site's own Dask configuration (`jobqueue.slurm.*` in
`~/.config/dask` or `/etc/dask`).
"""

from __future__ import annotations

import hashlib
import shlex
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask
from distributed import Client

from engine.clusters import queues
from engine.clusters.address import check
from engine.clusters.executing import Cluster, Distributed
from engine.clusters.keys import keys_for_this_run, named_keys
from engine.clusters.local import OURS
from engine.clusters.spec import DEATH_TIMEOUT, Batch, System, clock, lifetime, one_line, seconds_of
from engine.errors import ConfigError

_CLASSES = {
    System.SLURM: "SLURMCluster",
    System.PBS: "PBSCluster",
    System.LSF: "LSFCluster",
    System.SGE: "SGECluster",
}
_ACCOUNT = {System.LSF: "project", System.SGE: "project"}
_LOOK = 10.0  # seconds between two looks at the queue
_STILLBORN = 3  # times as many jobs as workers may end before any has connected
_TAIL = 30  # lines of a worker's log that tell how it died


@contextmanager
def batch(spec: Batch, folder: Path) -> Iterator[Cluster]:
    """Start a scheduler here and workers as jobs; keep as many alive as asked.

    Raises:
        ConfigError: the profile cannot be used here.
        PlanError: a worker is not like this process.
        StoppedError: jobs end before they connect.
    """
    folder = folder.absolute()
    with suppress(ConfigError):
        if spec.system is System.SLURM:  # of a controller that was killed
            queues.cancel_named(job_name(folder))
    with (
        dask.config.set(OURS | {"distributed.scheduler.worker-ttl": "120s"}),
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
    with _cluster(spec, folder.absolute(), made=False) as cluster:
        return str(cluster.job_script())


def with_site_defaults(spec: Batch) -> Batch:
    """The profile with cores, memory and walltime as the site's Dask configuration has them.

    Raises:
        ConfigError: neither has them.
    """
    _module()
    filled = replace(
        spec,
        cores=spec.cores or _site(spec, "cores"),
        memory=spec.memory or _site(spec, "memory"),
        walltime=spec.walltime or _site(spec, "walltime"),
    )
    for name in ("cores", "memory"):
        if getattr(filled, name) is None:
            raise ConfigError(
                f"neither the profile nor `jobqueue.{spec.system}.{name}` says the {name} of a job",
                where=f"cluster.{name}",
                remedy=f"add `{name}` to the profile, or to ~/.config/dask/jobqueue.yaml",
            )
    return filled


def refuse_odd_path(folder: Path) -> None:
    """A run folder's path goes unquoted into headers and command lines of jobs.

    Raises:
        ConfigError: a shell would not read it as it stands.
    """
    if shlex.quote(str(folder)) != str(folder):
        raise ConfigError(
            "the path of the run holds signs that a job's script cannot carry",
            where=str(folder),
            remedy="choose a run folder without blanks, quotes or dollar signs",
        )


def job_name(folder: Path) -> str:
    """The name of a run's worker jobs, by which those left behind are found."""
    return f"footfall-worker-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def _module() -> Any:
    try:
        return import_module("dask_jobqueue")
    except ModuleNotFoundError:
        raise ConfigError(
            "batch systems need dask-jobqueue, which is not installed",
            where="cluster.system",
            remedy="pip install 'footfall[jobqueue]'",
        ) from None


def _site(spec: Batch, key: str, otherwise: Any = None) -> Any:
    return dask.config.get(f"jobqueue.{spec.system}.{key}", otherwise) or otherwise


@contextmanager
def _cluster(spec: Batch, folder: Path, *, made: bool = True) -> Iterator[Any]:
    """The cluster of dask-jobqueue; not `made`, one that never starts and only knows its script."""
    spec = with_site_defaults(spec)
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
        _ACCOUNT.get(spec.system, "account"): plain(spec.account, "account"),
        "interface": plain(spec.interface, "interface"),
        "local_directory": plain(spec.local_directory, "local_directory"),
        "python": plain(spec.python, "python"),
        "job_name": job_name(folder),
        "job_extra_directives": [*_site(spec, "job-extra-directives", []), *_directives(spec)],
        "job_script_prologue": [
            *_site(spec, "job-script-prologue", []),
            *(one_line(line, "cluster.prologue") for line in spec.prologue),
        ],
        "worker_extra_args": [*_site(spec, "worker-extra-args", []), *_worker_arguments(spec)],
        "death_timeout": DEATH_TIMEOUT,
        "shared_temp_directory": str(keys),
        "security": named_keys(keys) if spec.encrypted else None,
        "protocol": "tls://" if spec.encrypted else "tcp://",
        "scheduler_options": {
            # Whoever may reach the node must not read it; a tunnel shows it to the user.
            "dashboard_address": "127.0.0.1:0",
            **_site(spec, "scheduler-options", {}),
        },
        "silence_logs": "critical",  # what went wrong is told by outcomes
    }
    options["log_directory"] = str(logs)
    module = _module()
    try:
        if not made:
            yield _Dry(getattr(module, _CLASSES[spec.system]), options)
            return
        with ExitStack() as stack:
            if spec.encrypted:
                options["security"] = stack.enter_context(keys_for_this_run(keys))
            cluster = stack.enter_context(getattr(module, _CLASSES[spec.system])(**options))
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


def plain(text: str | None, where: str) -> str | None:
    """A text that goes unquoted into a script.

    Raises:
        ConfigError: a shell would not read it as it stands.
    """
    if text is not None and shlex.quote(text) != text:
        raise ConfigError(
            f"{text!r} holds signs that a job's script cannot carry",
            where=f"cluster.{where}",
            remedy="use letters, digits and @%+=:,./-_ only",
        )
    return text


def _walltime(spec: Batch) -> str:
    assert spec.walltime is not None
    written = clock(_seconds(spec.walltime))
    return written[:-3] if spec.system is System.LSF else written


def _seconds(walltime: str) -> int:
    """Of a walltime of ours, or of a site's LSF configuration, which is `HH:MM`."""
    return seconds_of(f"{walltime}:00" if walltime.count(":") == 1 else walltime)


def _directives(spec: Batch) -> list[str]:
    return [one_line(line, "cluster.directives") for line in spec.directives]


def _worker_arguments(spec: Batch) -> list[str]:
    arguments = ["--no-dashboard"]
    if spec.walltime is not None:
        ends, stagger = lifetime(_seconds(spec.walltime))
        arguments += ["--lifetime", f"{ends}s", "--lifetime-stagger", f"{stagger}s"]
    return arguments


class _Jobs:
    """The jobs behind the workers: which are gone, and what they left in their logs."""

    def __init__(self, cluster: Any, spec: Batch, folder: Path) -> None:
        self._cluster, self._spec, self._folder = cluster, spec, folder
        self._numbers: dict[str, str] = {}  # of the job of each worker there has been
        self._arrived: set[str] = set()
        self._stillborn: list[str] = []
        self._looked = time.monotonic()

    def hopeless(self, connected: int) -> str:
        """Notice jobs that ended before their worker connected; dask-jobqueue never does."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return ""
        self._looked = now
        jobs = dict(self._cluster.workers)
        self._numbers.update({str(name): job.job_id for name, job in jobs.items() if job.job_id})
        present = {str(w["name"]) for w in self._cluster.scheduler_info["workers"].values()}
        self._arrived |= present
        if present:
            self._stillborn.clear()
        if self._spec.system is not System.SLURM:
            return ""
        try:
            alive = {job.number for job in queues.named(job_name(self._folder))}
        except ConfigError:  # SLURM is busy or restarts: look again later
            return ""
        for name, job in jobs.items():
            if job.job_id and job.job_id not in alive and str(name) not in self._arrived:
                self._stillborn.append(job.job_id)
                self._cluster.loop.add_callback(self._cluster.workers.pop, name, None)
        if len(self._stillborn) < _STILLBORN * self._spec.workers:
            return ""
        number = self._stillborn[-1]
        return (
            f"{len(self._stillborn)} jobs ended before their worker had connected; the last: "
            f"{queues.explained(number) or number}\n{self._log(number)}"
        )

    def why(self, name: str, address: str) -> str:
        number = self._numbers.get(name, "")
        if not number and name in self._cluster.workers:
            number = self._cluster.workers[name].job_id or ""
        told = queues.explained(number) if number and self._spec.system is System.SLURM else ""
        log = self._log(number) if number else ""
        first = "; ".join(filter(None, [_last_words(log), told or f"job {number or 'unknown'}"]))
        return f"{first}\n{log}"

    def _log(self, number: str) -> str:
        lines = []
        for path in sorted((self._folder / "logs").glob(f"*{number}.*")):
            with suppress(OSError):
                lines += [
                    f"--- {path.name}",
                    *path.read_text(errors="replace").splitlines()[-_TAIL:],
                ]
        return "\n".join(lines)


def _last_words(log: str) -> str:
    """What the nanny said last of its worker's death; memory first, a signal follows from it."""
    lines = [line.rpartition(" - ")[2] for line in log.splitlines()]
    for sign in ("memory budget", "killed by signal", "exited with status"):
        if found := [line for line in lines if sign in line]:
            return found[-1].removesuffix(". Restarting...")
    return ""
