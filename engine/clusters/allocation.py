"""One SLURM allocation of several tasks: scheduler in the script, a worker a task."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Scheduler, Security
from distributed.deploy.spec import SpecCluster

from engine.clusters import queues
from engine.clusters.admitting import check
from engine.clusters.executing import OURS_ELSEWHERE, Cluster, Distributed, dashboard_here
from engine.clusters.keys import keys_for_this_run, worker_arguments
from engine.clusters.site import with_site_defaults
from engine.clusters.spec import DEATH_TIMEOUT, Allocation, bytes_of, slurm_memory
from engine.errors import ConfigError

_ENDED = 5  # times each worker's `srun` may end, on average, while none is connected
_LASTING = 60.0  # seconds after which a worker has not ended soon; and the longest wait for a start
_STOPPING = 20  # seconds for workers to leave


@contextmanager
def allocation(spec: Allocation, folder: Path) -> Iterator[Cluster]:
    """Start a scheduler in this process and a worker in each task of this allocation.

    Raises:
        ConfigError: this is no allocation, or one with too few tasks.
        PlanError: a worker is not like this process.
    """
    if "SLURM_JOB_ID" not in os.environ:
        raise ConfigError(
            "this is not inside a SLURM allocation",
            where="cluster.system",
            remedy="`footfall submit` with this profile asks for one and runs in it",
        )
    spec = with_site_defaults(spec)
    queues.require("srun")
    nodes = _places(spec.workers)
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
            command(spec, cluster.scheduler_address, number, node, security)
            for number, node in enumerate(nodes)
        ]
        steps = _Steps(commands, logs)
        stack.callback(steps.stop)
        client = stack.enter_context(Client(cluster))
        check(client)
        yield Distributed(client, spec.slots, dashboard_here(client), steps)


def command(
    spec: Allocation, address: str, number: int, node: str, security: Security | None
) -> list[str]:
    """How one worker is started inside the allocation, on one of its nodes.

    Of a profile that holds what is the site's, whose texts a shell of the node fills in.
    """
    step = ["srun", "--exact", "--nodes=1", "--ntasks=1", f"--cpus-per-task={spec.cores}"]
    step.append(f"--nodelist={node}")
    if spec.memory is not None:  # as the allocation was asked for
        step.append(f"--mem-per-cpu={slurm_memory(spec.memory, spec.cores)}")
    worker = [
        "-m", "distributed.cli.dask_worker", address,
        "--name", f"task-{number}", "--nthreads", str(spec.cores), "--nanny", "--no-dashboard",
        "--memory-limit", str(bytes_of(spec.memory) if spec.memory else 0),
        "--death-timeout", str(DEATH_TIMEOUT),
        *(worker_arguments(security) if security else ()),
    ]  # fmt: skip
    if spec.interface is not None:
        worker += ["--interface", spec.interface]
    line = f"exec {spec.python or shlex.quote(sys.executable)} {shlex.join(worker)}"
    if spec.local_directory is not None:
        line += f" --local-directory {spec.local_directory}"
    return [*step, "sh", "-c", line]


def places(tasks: str, nodes: Sequence[str], own: str) -> list[str]:
    """The node of each worker, as SLURM has dealt the tasks out; one on `own` is left to the run.

    Args:
        tasks: of each node, as `SLURM_TASKS_PER_NODE` writes it: `2(x3),1`.
        own: the node of this process; the first of the nodes if it is none of them.
    """
    counts = [
        int(count)
        for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", tasks)
        for _ in range(int(times or 1))
    ]
    each = [node for node, count in zip(nodes, counts, strict=True) for _ in range(count)]
    each.remove(own if own in each else nodes[0])
    return each


def _places(workers: int) -> list[str]:
    """Where the workers of this allocation go.

    Raises:
        ConfigError: it has too few tasks, or SLURM does not answer.
    """
    told = os.environ
    nodes = queues.hostnames(told["SLURM_JOB_NODELIST"])
    found = places(told["SLURM_TASKS_PER_NODE"], nodes, told.get("SLURMD_NODENAME", ""))
    if len(found) < workers:
        raise ConfigError(
            f"{len(found) + 1} tasks are too few for {workers} workers and the run",
            where="cluster.workers",
            remedy="ask for one task more than there are workers, as `footfall submit` does",
        )
    return found[:workers]


class _Steps:
    """A worker in each task of the allocation; one that ends is started again, ever later."""

    def __init__(self, commands: list[list[str]], logs: Path) -> None:
        self._commands, self._logs = commands, logs
        self._ended = [0] * len(commands)  # times in a row that each ended soon
        self._began = [0.0] * len(commands)
        self._due: list[float | None] = [None] * len(commands)  # when to start one that has ended
        self._steps = [self._start(number) for number in range(len(commands))]

    def _start(self, number: int) -> Any:
        self._began[number], self._due[number] = time.monotonic(), None
        with self._log(number).open("ab") as log:
            return subprocess.Popen(
                self._commands[number], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _log(self, number: int) -> Path:
        job = os.environ["SLURM_JOB_ID"]
        return self._logs / f"footfall-task-{number}-{job}.err"

    def hopeless(self, connected: int) -> str:
        """Start again what ended; one node that is broken does not stop the others."""
        now = time.monotonic()
        for number, step in enumerate(self._steps):
            due = self._due[number]
            if due is not None and now >= due:
                self._steps[number] = self._start(number)
            elif due is None and step.poll() is not None:
                soon = now - self._began[number] < _LASTING
                self._ended[number] = self._ended[number] + 1 if soon else 1
                self._due[number] = now + min(2.0 ** self._ended[number], _LASTING)
                if not connected and sum(self._ended) >= _ENDED * len(self._steps):
                    return f"workers end as soon as they start:\n{self._tail(number)}"
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
