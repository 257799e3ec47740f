"""The kinds of event: each strikes one run, which the same command then brings to its end."""

from __future__ import annotations

import errno
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.chaos import faults
from benchmarks.chaos.faults import CONTROLLER, WORKER, Fault
from benchmarks.chaos.judging import Truth, entries, judged, partial_left
from benchmarks.chaos.places import Moods, Storage, chunks, fill_up, small_disk
from benchmarks.chaos.processes import LONG, PATIENCE, Command, Forks, Seen, standing
from benchmarks.chaos.slurm import Slurm, Submitted
from engine.stores.durable import names, read, remove, write_atomically
from engine.stores.places import Remote, place

_RUNS = ("run", "submit")
RERUNS = 4  # of the same command, at most
BUDGET = 900 * 2**20  # bytes of memory of a worker that is to exceed them
SMALL_DISK = 48 * 2**20
ERRORS = (errno.EIO, errno.ENOSPC, errno.EACCES)


@dataclass(frozen=True, slots=True)
class Arena:
    """Where events take place.

    Attributes:
        config: file of the configuration that is run.
        whole: folder of a finished run to which nothing happened.
        moods: of the object store, where that is what runs lie in.
        site: the SLURM that runs are submitted to, where they are.
    """

    forks: Forks
    storage: Storage
    config: Path
    whole: str
    truth: Truth
    moods: Moods | None = None
    site: Slurm | None = None

    def command(self, folder: str, *more: str) -> tuple[str, ...]:
        """The command whose run this is."""
        verb, *there = ("run",) if self.site is None else ("submit", "--cluster", self.site.profile)
        return (verb, str(self.config), "--output", folder, *there, *more)

    def give(self, *words: str) -> Command | Submitted:
        """Give a command."""
        command = self.forks.footfall(*words)
        return command if self.site is None else Submitted(self.site, command)

    def left(self) -> list[str]:
        """Processes and jobs that are still there some time after every command has ended."""
        return [*self.forks.left(), *(self.site.left() if self.site else [])]


@dataclass(slots=True)
class Trial:
    """One event, and what became of its run.

    Attributes:
        what: the event in words.
        seen: every command given, in their order.
        seconds: from the blow until the run was complete again.
        more: seconds of all commands beyond those of an undisturbed run.
        recomputed: blocks that were finished when the blow fell and were computed again.
        lost, wrong: blocks.
        faults: whatever is not as it should be, in words.
        missed: whether the run was over before the blow fell.
        judged: whether `judge` has been done.
    """

    kind: str
    folder: str
    arena: Arena
    rng: np.random.Generator
    what: str = ""
    seen: list[Seen] = field(default_factory=list)
    seconds: float = 0.0
    more: float = 0.0
    recomputed: int = 0
    lost: int = 0
    wrong: int = 0
    faults: list[str] = field(default_factory=list)
    missed: bool = False
    judged: bool = False
    _began: float = 0.0
    _struck: float = 0.0
    _before: dict[Any, float] = field(default_factory=dict)

    @property
    def blocks(self) -> int:
        """Blocks of the whole run."""
        return len(self.arena.truth.checksums)

    def start(self, *more: str) -> Command | Submitted:
        """Give the command for the first time."""
        self._began = time.monotonic()
        return self.again(*more)

    def again(self, *more: str) -> Command | Submitted:
        """Give the same command."""
        return self.arena.give(*self.arena.command(self.folder, *more))

    def somewhere(self, command: Command | Submitted, most: float = 0.8) -> None:
        """Wait for a moment of the run, by the number of blocks that are finished."""
        wanted = int(self.rng.integers(0, int(most * self.blocks)))
        ledger = place(self.folder) / "base" / "ledger"
        ends = time.monotonic() + LONG
        while not command.is_over and len(names(ledger)) < wanted and time.monotonic() < ends:
            time.sleep(0.01)
        time.sleep(self.rng.uniform(0, 0.05))
        self.missed = self.missed or command.is_over

    def blow(self) -> None:
        """The blow falls now."""
        self._struck = time.monotonic()
        self._before = entries(self.folder)

    def finish(self, *more: str, mended: Callable[[], object] = lambda: None) -> None:
        """Give the same command until it says that the run is complete."""
        commands = 0
        while not self._is_complete() and commands < RERUNS:
            mended()
            self.seen.append(self.again(*more).ended())
            commands += 1
        if not self._is_complete():
            self.faults.append(f"not complete after {RERUNS} more commands: {self.seen[-1].said}")
        self.seconds = time.monotonic() - self._struck
        undisturbed = self.arena.truth.seconds if self._began else 0.0
        self.more = max(0.0, time.monotonic() - (self._began or self._struck) - undisturbed)

    def _is_complete(self) -> bool:
        return bool(self.seen) and self.seen[-1].words[0] in _RUNS and self.seen[-1].code == 0

    def judge(self) -> None:
        """Compare with the undisturbed run, and look for what is left behind."""
        self.judged = True
        self.faults += [unclear for seen in self.seen if (unclear := seen.unclear)]
        self.faults += [f"process left behind: {one}" for one in self.arena.left()]
        verified = self.arena.forks.footfall("status", self.folder, "--verify").ended()
        if verified.code or "verified" not in verified.output:
            self.faults.append(f"status --verify: {verified.output}{verified.said}")
        try:
            found = judged(self.folder, self.arena.truth)
        except Exception as error:  # whatever it is, nothing can be read
            self.lost = self.blocks
            self.faults.append(f"cannot be read: {type(error).__name__}: {error}")
            return
        self.lost, self.wrong = found.lost, self.wrong + found.wrong
        self.faults += found.faults
        after = entries(self.folder)
        self.recomputed = sum(
            after.get(block, when) != when for block, when in self._before.items()
        )


Kind = Callable[[Trial], None]


# --- processes ----------------------------------------------------------------------------------


def worker_killed(trial: Trial) -> None:
    """Workers are killed at random moments, up to three in one run."""
    command = trial.start()
    count = int(trial.rng.integers(1, 4))
    trial.what = f"{count} workers"
    for number in range(count):
        trial.somewhere(command, 0.25 * (number + 1))
        workers = trial.arena.forks.workers()
        if workers:
            workers[trial.rng.integers(len(workers))].kill()
        if number == 0:
            trial.blow()
    trial.seen.append(command.ended())
    trial.finish()


def controller_killed(trial: Trial) -> None:
    """The controller is killed -9: while it prepares, or while blocks come in."""
    command = trial.start()
    if trial.rng.random() < 0.25:
        trial.what = "while it prepares"
        time.sleep(trial.rng.uniform(0, 0.3 * trial.arena.truth.seconds))
    else:
        trial.what = "while blocks come in"
        trial.somewhere(command)
    command.kill()
    trial.seen.append(command.ended())
    left = trial.arena.left()
    trial.faults += [f"process left behind by a killed controller: {one}" for one in left]
    trial.blow()
    trial.finish()


def scheduler_killed(trial: Trial) -> None:
    """The scheduler is killed, of a cluster that was running already; another one is started."""
    trial.what = "at an address"
    with standing(trial.arena.forks, BUDGET) as site:
        there = ("--cluster", _profile(trial, site.address))
        command = trial.start(*there)
        trial.somewhere(command)
        site.kill_scheduler()
        trial.blow()
        trial.seen.append(command.ended())
        if trial.seen[-1].code not in (0, 75):
            trial.faults.append(f"exit code {trial.seen[-1].code} in the place of 75")
        trial.finish(*there, mended=site.start)


def worker_over_its_memory(trial: Trial) -> None:
    """A worker takes more memory than its budget, and its nanny ends it."""
    trial.what = f"{BUDGET >> 20} MiB"
    with standing(trial.arena.forks, BUDGET) as site:
        there = ("--cluster", _profile(trial, site.address))
        command = trial.start(*there)
        trial.somewhere(command)
        before = site.over_budget()
        faults.arm(Fault(trial.folder, ("write",), (WORKER,), take=BUDGET))
        trial.blow()
        trial.seen.append(command.ended())
        faults.disarm()
        trial.missed = site.over_budget() == before
        trial.finish(*there)


def _profile(trial: Trial, address: str) -> str:
    path = trial.arena.forks.folder / "address.toml"
    path.write_text(f'system = "address"\naddress = "{address}"\nworkers = 2\n')
    return str(path)


def two_runs(trial: Trial) -> None:
    """A second run on the same folder: beside a live one, or beside one that stands still."""
    first = trial.start()
    trial.somewhere(first, 0.5)
    still = trial.rng.random() < 0.5
    trial.what = "the first one stands still" if still else "both at once"
    if still:
        first.signal(signal.SIGSTOP)
    trial.blow()
    second = trial.again()
    if still:
        ends = time.monotonic() + PATIENCE * 1.5 + trial.rng.uniform(0, trial.arena.truth.seconds)
        while not second.is_over and time.monotonic() < ends:
            time.sleep(0.05)
        first.signal(signal.SIGCONT)
    both = [first.ended(), second.ended()]
    for seen in both:
        known = ("is in use by", "was taken over by")
        if seen.code and not (seen.code == 1 and any(words in seen.said for words in known)):
            trial.faults.append(f"exit code {seen.code}: {seen.said}")
    if all(seen.code for seen in both):
        trial.faults.append(f"both were refused: {both[0].said} / {both[1].said}")
    trial.seen += sorted(both, key=lambda seen: -seen.code)
    trial.finish()


# --- stores -------------------------------------------------------------------------------------


def store_error(trial: Trial) -> None:
    """An error of the operating system on a write, a sync or a renaming, once or until mended."""
    command = trial.start()
    error, call, role = (_one_of(trial.rng, of) for of in (ERRORS, faults.CALLS, _ROLES))
    once = trial.rng.random() < 0.5
    trial.what = f"{errno.errorcode[error]} on {call}, {role}, {'once' if once else 'lasting'}"
    if role == WORKER:
        trial.somewhere(command)
    else:
        time.sleep(trial.rng.uniform(0, trial.arena.truth.seconds))
    faults.arm(Fault(trial.folder, (call,), (role,), error, once=once))
    trial.blow()
    trial.seen.append(command.ended())
    trial.missed = not faults.disarm()
    trial.finish()


_ROLES = (WORKER, WORKER, CONTROLLER)


def _one_of(rng: np.random.Generator, of: tuple[Any, ...]) -> Any:
    return of[int(rng.integers(len(of)))]


def full_disk(trial: Trial) -> None:
    """The disk is full until someone frees it."""
    with ExitStack() as mounted:
        folder = Path(trial.folder)
        small = mounted.enter_context(small_disk(folder, SMALL_DISK))
        trial.what = "a small file system" if small else "ENOSPC in all processes"
        command = trial.start()
        trial.somewhere(command)
        trial.blow()
        if small:
            fill_up(folder / "filler")
        else:
            everyone = (WORKER, CONTROLLER)
            faults.arm(Fault(trial.folder, faults.CALLS, everyone, errno.ENOSPC, once=False))
        trial.seen.append(command.ended())
        (folder / "filler").unlink(missing_ok=True)
        faults.disarm()
        trial.finish()
        trial.judge()


def store_refuses(trial: Trial) -> None:
    """The object store answers 503, a few times or until it has calmed down."""
    moods = trial.arena.moods
    assert moods is not None
    command = trial.start()
    trial.somewhere(command)
    once = trial.rng.random() < 0.5
    trial.what = "503, three times" if once else "503, lasting"
    moods.refused = 3 if once else -1
    trial.blow()
    trial.seen.append(command.ended())
    moods.calm()
    trial.finish()


def store_slow(trial: Trial) -> None:
    """The object store takes its time for every put."""
    moods = trial.arena.moods
    assert moods is not None
    trial.what = "half a second a put"
    command = trial.start()
    trial.somewhere(command)
    moods.slow = 0.5
    trial.blow()
    time.sleep(3)
    moods.calm()
    trial.seen.append(command.ended())
    trial.finish()


# --- damage -------------------------------------------------------------------------------------


def torn_chunk(trial: Trial) -> None:
    """Chunks are cut short."""

    def cut(content: bytes) -> bytes:
        return content[: int(trial.rng.integers(0, len(content)))]

    _damaged(trial, cut)


def flipped_bit(trial: Trial) -> None:
    """A bit of a chunk is another one."""

    def flip(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[trial.rng.integers(len(changed))] ^= 1 << int(trial.rng.integers(8))
        return bytes(changed)

    _damaged(trial, flip)


def deleted_chunk(trial: Trial) -> None:
    """Chunks are gone."""
    _damaged(trial, lambda _: None)


def _damaged(trial: Trial, change: Callable[[bytes], bytes | None]) -> None:
    trial.arena.storage.copy(trial.arena.whole, trial.folder)
    found = chunks(place(trial.folder) / "base")
    count = int(trial.rng.integers(1, 4))
    struck = [found[i] for i in trial.rng.choice(len(found), count, replace=False)]
    trial.what = f"{count} chunks"
    for path in struck:
        content = change(read(path))
        if content is None:
            remove(path)
        else:
            write_atomically(path, content)
    trial.blow()
    _look(trial)
    trial.seen.append(trial.arena.forks.footfall("status", trial.folder, "--verify").ended())
    if "damaged" not in trial.seen[-1].output:
        trial.faults.append(f"no damage was found in {', '.join(map(str, struck))}")
    trial.finish()


def _look(trial: Trial) -> None:
    """Before anyone looks for damage, verdicts are the true ones or refused."""
    told = trial.arena.forks.footfall("detect", trial.folder, "--format", "json").ended()
    trial.seen.append(told)
    if told.code == 0 and told.output != trial.arena.truth.verdicts:
        trial.wrong += 1
        trial.faults.append("verdicts of damaged draws were told as if nothing had happened")


def torn_ledger_entry(trial: Trial) -> None:
    """Entries of the ledger are cut short: their blocks count as unfinished."""
    trial.arena.storage.copy(trial.arena.whole, trial.folder)
    ledger = place(trial.folder) / "base" / "ledger"
    found, count = names(ledger), int(trial.rng.integers(1, 4))
    trial.what = f"{count} entries"
    trial._before = entries(trial.folder)
    for i in trial.rng.choice(len(found), count, replace=False):
        content = read(ledger / found[i])
        write_atomically(ledger / found[i], content[: int(trial.rng.integers(0, len(content)))])
    trial._struck = time.monotonic()
    trial.finish()


def leftovers(trial: Trial) -> None:
    """What killed processes leave: half-written files, a half-made ensemble, prepared tables."""
    trial.arena.storage.copy(trial.arena.whole, trial.folder)
    scenario = place(trial.folder) / "base"
    trial.what = "prepared tables"
    write_atomically(scenario / "tables-00aa" / "2000" / "prepared.json", b"{")
    if not isinstance(scenario, Remote):
        trial.what += ", half-written files"
        for path in (
            scenario / "ledger" / "2000-000000.json.00aa.partial",
            scenario / "ensemble.zarr" / "footprint" / "c.0.0.0.0.0.00aa.partial",
            scenario / "ensemble.zarr.00aa.partial" / "zarr.json",
        ):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"{")
    trial.blow()
    trial.finish()
    trial.faults += partial_left(place(trial.folder))


ON_DISK: Mapping[str, Kind] = {
    "worker killed": worker_killed,
    "worker over its memory": worker_over_its_memory,
    "scheduler killed": scheduler_killed,
    "controller killed": controller_killed,
    "store error": store_error,
    "full disk": full_disk,
    "torn chunk": torn_chunk,
    "flipped bit": flipped_bit,
    "deleted chunk": deleted_chunk,
    "torn ledger entry": torn_ledger_entry,
    "leftovers": leftovers,
    "two runs": two_runs,
}
IN_OBJECTS: Mapping[str, Kind] = {
    name: kind
    for name, kind in ON_DISK.items()
    if kind not in (store_error, full_disk, worker_over_its_memory)
} | {"store refuses": store_refuses, "store slow": store_slow}


# --- SLURM --------------------------------------------------------------------------------------


def worker_cancelled(trial: Trial) -> None:
    """A worker's job is cancelled in the middle of a submitted run."""
    site = trial.arena.site
    assert site is not None
    trial.what = "one of its jobs"
    job = trial.start()
    trial.somewhere(job)
    jobs = site.workers()
    trial.blow()
    if jobs:
        site.cancel(jobs[int(trial.rng.integers(len(jobs)))])
    trial.seen.append(job.ended())
    trial.finish()


def submitted_twice(trial: Trial) -> None:
    """The same command, while a job works on the run already."""
    trial.what = "the second one is refused"
    first = trial.start()
    trial.somewhere(first, 0.5)
    trial.blow()
    second = trial.again().ended()
    if second.code != 1 or "works on this run" not in second.said:
        trial.faults.append(f"exit code {second.code}: {second.said}")
    trial.seen += [second, first.ended()]
    trial.finish()


ON_SLURM: Mapping[str, Kind] = {
    "worker killed": worker_cancelled,
    "controller killed": controller_killed,
    "torn chunk": torn_chunk,
    "flipped bit": flipped_bit,
    "deleted chunk": deleted_chunk,
    "torn ledger entry": torn_ledger_entry,
    "leftovers": leftovers,
    "two runs": submitted_twice,
}
