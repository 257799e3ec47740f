"""One SLURM allocation of several tasks: scheduler in the script, a worker a task."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask
from distributed import Client, Scheduler, Security
from distributed.deploy.spec import SpecCluster

from engine.clusters.admitting import check
from engine.clusters.executing import OURS_ELSEWHERE, Cluster, Distributed
from engine.clusters.keys import keys_for_this_run, worker_arguments
from engine.clusters.spec import DEATH_TIMEOUT, Allocation
from engine.errors import ConfigError

_ENDED = 20  # times a worker's `srun` may end without one that stays
_STOPPING = 20  # seconds for workers to leave


@contextmanager
def allocation(spec: Allocation, folder: Path) -> Iterator[Cluster]:
    """Start a scheduler in this process and a worker in each task of this allocation.

    Raises:
        ConfigError: this is no allocation.
        PlanError: a worker is not like this process.
    """
    if "SLURM_JOB_ID" not in os.environ:
        raise ConfigError(
            "this is not inside a SLURM allocation",
            where="cluster.system",
            remedy="`footfall submit` with this profile asks for one and runs in it",
        )
    logs, keys = folder / "logs", folder / "cluster"
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        security = stack.enter_context(keys_for_this_run(keys)) if spec.encrypted else None
        stack.enter_context(dask.config.set(OURS_ELSEWHERE))
        cluster = stack.enter_context(
            SpecCluster(
                scheduler={
                    "cls": Scheduler,
                    "options": {
                        "protocol": "tls://" if spec.encrypted else "tcp://",
                        "interface": spec.interface,
                        "dashboard_address": "127.0.0.1:0",
                        "security": security,
                    },
                },
                security=security,
                silence_logs=50,
            )
        )
        commands = [
            command(spec, cluster.scheduler_address, number, security)
            for number in range(spec.workers)
        ]
        steps = _Steps(commands, logs)
        stack.callback(steps.stop)
        client = stack.enter_context(Client(cluster))
        check(client)
        port = urlsplit(str(client.dashboard_link)).port
        yield Distributed(client, spec.slots, f"http://127.0.0.1:{port}/status", steps)


def command(spec: Allocation, address: str, number: int, security: Security | None) -> list[str]:
    """How one worker is started inside the allocation."""
    step = ["srun", "--exact", "--nodes=1", "--ntasks=1", f"--cpus-per-task={spec.cores}"]
    if spec.memory is not None:
        step.append(f"--mem={spec.memory.removesuffix('B')}")
    worker = [
        spec.python or sys.executable, "-m", "distributed.cli.dask_worker", address,
        "--name", f"task-{number}", "--nthreads", str(spec.cores), "--nanny", "--no-dashboard",
        "--memory-limit", spec.memory or "0", "--death-timeout", str(DEATH_TIMEOUT),
        *(worker_arguments(security) if security else ()),
    ]  # fmt: skip
    if spec.interface is not None:
        worker += ["--interface", spec.interface]
    if spec.local_directory is not None:
        worker += ["--local-directory", spec.local_directory]
    return [*step, *worker]


class _Steps:
    """A worker in each task of the allocation; one that ends is started again."""

    def __init__(self, commands: list[list[str]], logs: Path) -> None:
        self._commands, self._logs = commands, logs
        self._steps = [self._start(number) for number in range(len(commands))]
        self._ended, self._looked = 0, time.monotonic()

    def _start(self, number: int) -> Any:
        with self._log(number).open("ab") as log:
            return subprocess.Popen(
                self._commands[number], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _log(self, number: int) -> Path:
        job = os.environ["SLURM_JOB_ID"]
        return self._logs / f"footfall-task-{number}-{job}.err"

    def hopeless(self, connected: int) -> str:
        """Start again what ended."""
        if connected == len(self._steps):
            self._ended = 0
        for number, step in enumerate(self._steps):
            if step.poll() is None:
                continue
            self._ended += 1
            if self._ended > _ENDED * len(self._steps):
                return f"workers end as soon as they start:\n{self._tail(number)}"
            self._steps[number] = self._start(number)
        return ""

    def why(self, name: str, address: str) -> str:
        number = int(name.rpartition("-")[2])
        return f"task {number} of the allocation at {address}\n{self._tail(number)}"

    def _tail(self, number: int) -> str:
        try:
            return "\n".join(self._log(number).read_text(errors="replace").splitlines()[-30:])
        except OSError:
            return ""

    def stop(self) -> None:
        for step in self._steps:
            step.terminate()
        ends = time.monotonic() + _STOPPING
        for step in self._steps:
            try:
                step.wait(max(0.1, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                step.kill()
