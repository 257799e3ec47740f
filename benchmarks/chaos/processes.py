"""The command line, schedulers and workers, as processes that can be killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import psutil

from benchmarks.chaos import faults

# Seconds that a lock and whoever lost a scheduler wait, so that an event takes no minutes; of the
# engine itself they are 10, 60 and 30 s.
HEARTBEAT, PATIENCE, CONNECTING = 0.5, 3.0, "4s"
ENDING = 60.0  # seconds after the end of a command in which its processes must be gone
LONG = 180.0  # seconds that a command may take
DOCUMENTED = (0, 1, 2, 75)
_PROGRESS = re.compile(r"\d+/\d+ draws |dashboard: ")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the user saw of one command.

    Attributes:
        code: exit code; negative for the signal that killed it.
        said: its last words, from the first that is no progress.
        output: what it printed.
        killed: whether the harness killed it.
    """

    words: tuple[str, ...]
    code: int
    said: str
    output: str
    killed: bool = False

    @property
    def unclear(self) -> str:
        """Why this is not one clear error, or none; empty if it is."""
        if self.killed:
            return f"a killed command said: {self.said}" if self.said else ""
        if "Traceback" in self.said:
            return f"a traceback: {self.said}"
        if self.code not in DOCUMENTED:
            return f"exit code {self.code}, which is not documented: {self.said}"
        lines = self.said.splitlines()
        errors = [line for line in lines if line.startswith("footfall: ")]
        others = [line for line in lines if not line.startswith(("footfall: ", "  remedy: "))]
        if len(errors) != (self.code != 0) or others:
            return f"exit code {self.code} with {len(errors)} errors: {self.said}"
        return ""


class Forks:
    """A process that has imported everything and from which all others are forked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[faults.VARIABLE] = str(folder / "armed.json")
        os.environ["DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD"] = "forkserver"
        # The semaphores of killed processes are nobody's; Python says so when it tidies them up.
        os.environ["PYTHONWARNINGS"] = "ignore:resource_tracker:UserWarning"
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["benchmarks.chaos.warm"])
        self._numbers = 0
        self.standing: set[int] = set()  # processes that outlive commands on purpose

    def start(self, target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
        process = self._context.Process(target=target, args=arguments)
        process.start()
        return process

    def footfall(self, *words: str) -> Command:
        """Start one command."""
        self._numbers += 1
        log = self.folder / f"command-{self._numbers:04d}"
        return Command(words, self.start(_footfall, words, log), log)

    def workers(self) -> list[psutil.Process]:
        """Processes that were not started from here: those of a command's own cluster."""
        server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        known = {child.pid for child in multiprocessing.active_children()} | self.standing
        try:
            children = psutil.Process(server).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return [one for one in children if one.pid not in known and _is_alive(one)]

    def stop(self) -> None:
        """End whatever is at work, where the harness itself is interrupted."""
        for child in multiprocessing.active_children():
            child.kill()
            child.join()
        for worker in self.workers():
            worker.kill()

    def left(self) -> list[str]:
        """What is still there some time after every command has ended."""
        ends = time.monotonic() + ENDING
        while (here := self.workers()) and time.monotonic() < ends:
            time.sleep(0.05)
        return [str(one) for one in here]


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class Command:
    """One command of the command line, at work or ended."""

    def __init__(self, words: Sequence[str], process: ForkServerProcess, log: Path) -> None:
        self.words, self._process, self._log = tuple(words), process, log
        self._killed = False

    def kill(self) -> None:
        """SIGKILL."""
        self._killed = self._process.is_alive()
        self._process.kill()

    def signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    @property
    def is_over(self) -> bool:
        return not self._process.is_alive()

    def ended(self) -> Seen:
        """Wait for its end, and read what it said."""
        self._process.join(LONG)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
            return Seen(self.words, -1, f"did not end within {LONG:.0f} s", "")
        output, errors = (self._log.with_suffix(f".{kind}") for kind in ("out", "err"))
        lines = errors.read_text().splitlines() if errors.exists() else []
        said = "\n".join(line for line in lines if not _PROGRESS.match(line))
        told = output.read_text() if output.exists() else ""
        code = self._process.exitcode
        assert code is not None
        return Seen(self.words, code, said, told, self._killed and code == -signal.SIGKILL)


def _footfall(words: Sequence[str], log: Path) -> None:
    """In a process of its own: what `footfall WORDS` does."""
    _speak_into(log)
    _fork_from_here()
    faults.role = faults.CONTROLLER
    from engine.cli import main
    from engine.clusters import address
    from engine.stores import lock

    waits: Any = lock.held
    waits.__wrapped__.__kwdefaults__.update(heartbeat=HEARTBEAT, patience=PATIENCE)
    address.CONNECTING = CONNECTING
    _let_workers_speak_into(log)
    main(list(words), prog_name="footfall")


def _speak_into(log: Path) -> None:
    for number, kind in ((1, "out"), (2, "err")):
        descriptor = os.open(log.with_suffix(f".{kind}"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)


def _let_workers_speak_into(log: Path) -> None:
    import dask

    from benchmarks.chaos import spoken

    dask.config.set(
        {
            "distributed.worker.preload": ["benchmarks.chaos.spoken"],
            "distributed.nanny.environ": {spoken.VARIABLE: str(log.with_suffix(".err"))},
        }
    )


def _fork_from_here() -> None:
    """Let this process's own children come from the warm process too, not from one of their own."""
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]


# --- a cluster of someone else ------------------------------------------------------------------


class Site:
    """A scheduler and two workers that are running already, each with a memory budget."""

    def __init__(self, forks: Forks, memory: int, workers: int = 2) -> None:
        self._forks, self._memory, self._count = forks, memory, workers
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._scheduler: ForkServerProcess | None = None
        self._nannies: list[ForkServerProcess] = []

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start whatever is not running; workers that knew another scheduler end first."""
        if self._scheduler is None or not self._scheduler.is_alive():
            self.stop()  # a worker on its way out would be taken for one that is there
            log = self._forks.folder / "scheduler"
            self._scheduler = self._forks.start(_schedule, self.port, log)
        ends = time.monotonic() + ENDING
        while len(self._forks.workers()) < self._count:
            if time.monotonic() > ends:
                raise RuntimeError(f"workers do not start, see {self._forks.folder}/nanny-*.err")
            self._fill_up()
            time.sleep(0.05)

    def _fill_up(self) -> None:
        """A nanny for each worker there is to be; on a busy machine one may fail to start."""
        self._nannies = [one for one in self._nannies if one.is_alive()]
        while len(self._nannies) < self._count:
            log = self._forks.folder / f"nanny-{len(self._nannies)}"
            self._nannies.append(self._forks.start(_work, self.address, self._memory, log))

    def kill_scheduler(self) -> None:
        """SIGKILL; workers find nobody any more and end."""
        assert self._scheduler is not None
        self._scheduler.kill()
        self._scheduler.join()

    def over_budget(self) -> int:
        """How often a nanny has ended its worker for its memory."""
        logs = self._forks.folder.glob("nanny-*.err")
        return sum(log.read_text().count("memory budget") for log in logs)

    def stop(self) -> None:
        """Leave nothing."""
        everyone = [*self._nannies, *([self._scheduler] if self._scheduler else [])]
        for one in everyone:
            one.terminate()
        for one in everyone:
            one.join(10)
            if one.is_alive():
                one.kill()
                one.join()
        self._nannies, self._scheduler = [], None


@contextmanager
def standing(forks: Forks, memory: int) -> Iterator[Site]:
    """A site that is stopped at the end."""
    site = Site(forks, memory)
    site.start()
    try:
        yield site
    finally:
        site.stop()


def _schedule(port: int, log: Path) -> None:
    from distributed import Scheduler

    _speak_into(log)

    async def serve() -> None:
        async with Scheduler(
            host="127.0.0.1", port=port, dashboard=False, dashboard_address="127.0.0.1:0"
        ) as scheduler:
            await scheduler.finished()

    _served(serve)


def _work(address: str, memory: int, log: Path) -> None:
    from distributed import Nanny

    _speak_into(log)
    _let_workers_speak_into(log)
    _fork_from_here()

    async def serve() -> None:
        async with Nanny(
            address, nthreads=1, memory_limit=memory, host="127.0.0.1", death_timeout=30,
        ) as nanny:  # fmt: skip
            await nanny.finished()

    _served(serve)


def _served(serve: Callable[[], Any]) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        return
