"""The kinds of event: each strikes one run, which the same command then brings to its end."""

from __future__ import annotations

import errno
import os
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from psutil import NoSuchProcess

from benchmarks.chaos import faults
from benchmarks.chaos.faults import CONTROLLER, WORKER, Fault
from benchmarks.chaos.judging import Truth, entries, judged, partial_left
from benchmarks.chaos.places import (
    ANSWERS,
    BUSY,
    REQUESTS,
    Moods,
    Storage,
    chunks,
    documents,
    fill_up,
    small_disk,
)
from benchmarks.chaos.processes import HEARTBEAT, LONG, PATIENCE, Command, Forks, Seen, standing
from benchmarks.chaos.slurm import Slurm, Submitted
from engine.stores.durable import names, read, remove, write_atomically
from engine.stores.places import Place, Remote, place
from engine.stores.record import read_record

T = TypeVar("T")
_RUNS = ("run", "submit")
_LOCK = re.compile(r"lock-(\d+)\.json")
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
        struck: how often the blow hit something: processes killed, calls or requests refused,
            files damaged.
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
    struck: int = 0
    judged: bool = False
    _began: float = 0.0
    _struck: float = 0.0
    _before: dict[Any, float] = field(default_factory=dict)

    @property
    def blocks(self) -> int:
        """Blocks of the whole run."""
        return len(self.arena.truth.checksums)

    @property
    def missed(self) -> bool:
        """Whether nothing was hit, as where the run was over before the blow fell."""
        return not self.struck

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

    def midway(self, *more: str, most: float = 0.8) -> Command | Submitted:
        """Give the command for the first time, and wait for a moment of its run."""
        command = self.start(*more)
        self.somewhere(command, most)
        return command

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
        if sum(seen.words[0] in _RUNS for seen in self.seen) > 1:  # the last one has swept
            self.faults += partial_left(place(self.folder))
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
        workers = _there_are(trial.arena.forks.workers, command)
        if number == 0:
            trial.blow()
        if workers:
            with suppress(NoSuchProcess):
                workers[trial.rng.integers(len(workers))].kill()
                trial.struck += 1
    trial.seen.append(command.ended())
    trial.finish()


def _there_are(ask: Callable[[], list[T]], command: Command | Submitted) -> list[T]:
    """Wait until there are some; none if the command is over before."""
    while not (found := ask()) and not command.is_over:
        time.sleep(0.01)
    return found


def controller_killed(trial: Trial) -> None:
    """The controller is killed -9: while it prepares, or while blocks come in."""
    command = trial.start()
    if trial.rng.random() < 0.25:
        trial.what = "while it prepares"
        time.sleep(trial.rng.uniform(0, 0.3 * trial.arena.truth.seconds))
    else:
        trial.what = "while blocks come in"
        trial.somewhere(command)
    trial.struck += not command.is_over
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
        command = trial.midway(*there)
        trial.struck += not command.is_over
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
        command = trial.midway(*there)
        before = site.over_budget()
        faults.arm(Fault(trial.folder, ("write",), (WORKER,), take=BUDGET))
        trial.blow()
        trial.seen.append(command.ended())
        faults.disarm()
        trial.struck += site.over_budget() - before
        trial.finish(*there)


def _profile(trial: Trial, address: str) -> str:
    path = trial.arena.forks.folder / "address.toml"
    path.write_text(f'system = "address"\naddress = "{address}"\nworkers = 2\n')
    return str(path)


def two_runs(trial: Trial) -> None:
    """A second run on the same folder: beside a live one, or beside one that stands still."""
    first = trial.start()
    still = trial.rng.random() < 0.5
    trial.what = "the first one stands still" if still else "both at once"
    trial.somewhere(first, 0.5 if still else 0.1)  # starting takes the second one a while
    trial.blow()
    if still:
        first.signal(signal.SIGSTOP)
    second = trial.again()
    if still:
        ends = time.monotonic() + PATIENCE * 1.5 + trial.rng.uniform(0, trial.arena.truth.seconds)
        while not second.is_over and time.monotonic() < ends:
            time.sleep(0.05)
        taken_over = _locks(trial.folder) > 1
        first.signal(signal.SIGCONT)
        time.sleep(4 * HEARTBEAT)  # in which it learns of that
        if taken_over and not first.is_over:
            trial.faults += _let_through(first.ended(), "was taken over by")
    else:
        told = second.ended()
        if not first.is_over:
            trial.faults += _let_through(told, "is in use by")
    both = [first.ended(), second.ended()]
    for seen in both:
        known = ("is in use by", "was taken over by")
        if seen.code and not (seen.code == 1 and any(words in seen.said for words in known)):
            trial.faults.append(f"exit code {seen.code}: {seen.said}")
    trial.struck += sum(seen.code != 0 for seen in both)  # else they never met
    if all(seen.code for seen in both):
        trial.faults.append(f"both were refused: {both[0].said} / {both[1].said}")
    trial.seen += sorted(both, key=lambda seen: -seen.code)
    trial.finish()
    told, complete = len(_sittings(trial.folder)), sum(seen.code == 0 for seen in trial.seen)
    if told < complete:
        trial.faults.append(f"the record tells of {told} sittings of {complete}")


def _let_through(seen: Seen, words: str) -> list[str]:
    """What is wrong if a run was not refused that had another one beside it."""
    refused = seen.code == 1 and words in seen.said
    return [] if refused else [f"not refused beside another run: {seen.code} {seen.said}"]


def _locks(folder: str) -> int:
    """How many runs have held the lock, by the number of the newest."""
    found = [_LOCK.fullmatch(name) for name in names(place(folder))]
    return max((int(one[1]) for one in found if one), default=0)


def _sittings(folder: str) -> Sequence[Any]:
    return read_record(place(folder)).sittings


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
    trial.struck += faults.disarm()
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
        command = trial.midway()
        trial.blow()
        if small:
            fill_up(folder / "filler")
        else:
            everyone = (WORKER, CONTROLLER)
            faults.arm(Fault(trial.folder, faults.CALLS, everyone, errno.ENOSPC, once=False))
        trial.seen.append(command.ended())
        (folder / "filler").unlink(missing_ok=True)
        faults.disarm()
        trial.struck += trial.seen[-1].code != 0
        if trial.struck and os.strerror(errno.ENOSPC) not in trial.seen[-1].said:
            trial.faults.append(f"no word of a full disk: {trial.seen[-1].said}")
        trial.finish()
        trial.judge()


def store_refuses(trial: Trial) -> None:
    """The object store refuses one kind of request, a few times or until it has calmed down."""
    moods = trial.arena.moods
    assert moods is not None
    command = trial.midway()
    once = trial.rng.random() < 0.5
    request, answer = _one_of(trial.rng, REQUESTS), _one_of(trial.rng, ANSWERS)
    trial.what = f"{answer} on {request}, {'three times' if once else 'lasting'}"
    trial.blow()
    moods.refuse(request, answer, 3 if once else -1)
    there = len(entries(trial.folder)) if request == "PUT" else 0
    trial.seen.append(command.ended())
    trial.struck += moods.refusals
    moods.calm()
    code = trial.seen[-1].code
    if once and answer == BUSY and code:
        trial.faults.append(f"exit code {code}, and the store was busy for a moment only")
    if not once and request == "PUT" and not code and there < trial.blocks:
        trial.faults.append("complete without having written anything")
    trial.finish()


def store_slow(trial: Trial) -> None:
    """The object store takes its time for every put."""
    moods = trial.arena.moods
    assert moods is not None
    trial.what = "half a second a put"
    command = trial.midway()
    moods.slow = 0.5
    trial.blow()
    time.sleep(3)
    trial.struck += moods.slowed
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
    _damaged(trial, lambda content: _flipped(trial, content))


def flipped_metadata(trial: Trial) -> None:
    """A bit of an array's metadata is another one: its shape, say."""
    _damaged(trial, lambda content: _flipped(trial, content), documents)


def _flipped(trial: Trial, content: bytes) -> bytes:
    changed = bytearray(content)
    changed[trial.rng.integers(len(changed))] ^= 1 << int(trial.rng.integers(8))
    return bytes(changed)


def deleted_chunk(trial: Trial) -> None:
    """Chunks are gone."""
    _damaged(trial, lambda _: None)


def _damaged(
    trial: Trial,
    change: Callable[[bytes], bytes | None],
    files: Callable[[Place], list[Place]] = chunks,
) -> None:
    trial.arena.storage.copy(trial.arena.whole, trial.folder)
    found = files(place(trial.folder) / "base")
    count = int(trial.rng.integers(1, 4))
    struck = [found[i] for i in trial.rng.choice(len(found), count, replace=False)]
    trial.what, trial.struck = f"{count} {files.__name__}", count
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
    trial.what, trial.struck = f"{count} entries", count
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
    trial.what, trial.struck = "prepared tables", 1
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


ON_DISK: Mapping[str, Kind] = {
    "worker killed": worker_killed,
    "worker over its memory": worker_over_its_memory,
    "scheduler killed": scheduler_killed,
    "controller killed": controller_killed,
    "store error": store_error,
    "full disk": full_disk,
    "torn chunk": torn_chunk,
    "flipped bit": flipped_bit,
    "flipped metadata": flipped_metadata,
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
    job = trial.midway()
    jobs = _there_are(site.workers, job)
    trial.blow()
    if jobs:
        site.cancel(jobs[int(trial.rng.integers(len(jobs)))])
        trial.struck += 1
    trial.seen.append(job.ended())
    trial.finish()


def submitted_twice(trial: Trial) -> None:
    """The same command, while a job works on the run already."""
    trial.what = "the second one is refused"
    first = trial.midway(most=0.5)
    trial.blow()
    trial.struck += not first.is_over
    second = trial.again().ended()
    if trial.struck and (second.code != 1 or "works on this run" not in second.said):
        trial.faults.append(f"exit code {second.code}: {second.said}")
    trial.seen += [second, first.ended()]
    trial.finish()


ON_SLURM: Mapping[str, Kind] = {
    "worker killed": worker_cancelled,
    "controller killed": controller_killed,
    "torn chunk": torn_chunk,
    "flipped bit": flipped_bit,
    "flipped metadata": flipped_metadata,
    "deleted chunk": deleted_chunk,
    "torn ledger entry": torn_ledger_entry,
    "leftovers": leftovers,
    "two runs": submitted_twice,
}
