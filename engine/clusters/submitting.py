"""Sending a run's controller to a batch system, and what became of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from engine.clusters import queues
from engine.clusters.allocation import command as worker_command
from engine.clusters.batch import script
from engine.clusters.controller import RESENT, STARTS, controller_script
from engine.clusters.guarding import refuse_odd_path
from engine.clusters.keys import named_keys
from engine.clusters.services import gateway_text, manifest_text
from engine.clusters.site import with_site_defaults
from engine.clusters.spec import (
    Address,
    Allocation,
    Batch,
    ClusterSpec,
    Gateway,
    Kubernetes,
    Profile,
    System,
)
from engine.errors import ConfigError, LockedError
from engine.stores.durable import read, storing, write_atomically
from engine.stores.lock import held
from engine.stores.places import Place, aside

_RECORD = "submitted.json"  # in the run folder, for whoever may read it
_TAIL = 20  # lines of a controller's log that tell how it ended


@dataclass(frozen=True, slots=True)
class Submitted:
    """A controller that was sent.

    Attributes:
        system: the batch system.
        cluster: what it calls itself; empty where it does not say.
        name: of the job, which is no other run's.
        job: its number there; empty if it was being sent and no answer is known.
        folder: of its script and its log, on a disk of the machine that sent it.
        at: when, for people to read.
    """

    system: str
    cluster: str
    name: str
    job: str
    folder: str
    at: str

    def __str__(self) -> str:
        job = f"job {self.job}" if self.job else f"job `{self.name}` of a number not known"
        return f"{self.system} {job}, sent {self.at}"

    @property
    def state(self) -> str:
        """The queue's word for it; empty when it is over.

        Raises:
            ConfigError: it cannot be asked from this machine, or does not answer.
        """
        system = System(self.system)
        here = queues.cluster(system)
        if self.cluster and here and here != self.cluster:
            raise ConfigError(
                f"it was sent to the cluster `{self.cluster}`, and this is `{here}`",
                where="cluster.system",
                remedy="ask there",
            )
        if self.job:
            return queues.state(system, self.job)
        if system is not System.SLURM:  # the others have no way to ask by name alone
            return ""
        return next((job.state for job in queues.named(self.name)), "")

    @property
    def log(self) -> Path:
        """What it says, on a disk of the machine that sent it."""
        return Path(self.folder) / "logs" / f"controller-{self.job}.log"

    def last_words(self) -> Iterator[str]:
        """What the batch system knows of it and how its log ends, as far as can be seen here."""
        if not self.job:
            yield "it was refused, or the batch system's answer got lost"
            return
        if self.system == System.SLURM and (told := queues.explained(self.job)):
            yield told
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            yield f"its log cannot be seen from here: {self.log}"
            return
        yield f"--- {self.log}"
        yield from lines[-_TAIL:]


def submitted(folder: Place) -> Submitted | None:
    """The last controller sent for a run, from any machine that sees its folder; None if none was.

    Raises:
        StoreError: the folder cannot be read.
    """
    with storing(folder):
        try:
            sent = Submitted(**json.loads(read(folder / _RECORD)))
        except (FileNotFoundError, ValueError, TypeError):
            return None
    with suppress(OSError):  # PBS gives a job that puts itself back another number
        number = (Path(sent.folder) / "cluster" / RESENT).read_text().strip()
        return replace(sent, job=number or sent.job)
    return sent


def submit(spec: Batch | Allocation, name: str, command: Sequence[str], folder: Place) -> Submitted:
    """Send the controller of a run, unless the last one is still waiting or at work.

    What is sent is written down before, so that a job whose number got lost is found by its name.

    Args:
        name: of the job; no other run's.

    Raises:
        LockedError: it is; naming its job. Or another `submit` is sending one.
        ConfigError: the batch system refuses, or the profile cannot be used.
        StoreError: the folder cannot be written.
    """
    disk = aside(folder).absolute()
    refuse_odd_path(disk)
    script = disk / "cluster" / "controller.sh"
    text = controller_script(spec, name, command, disk, Path.cwd())
    with storing(disk):
        script.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (disk / "logs").mkdir(exist_ok=True)
    with held(folder / "submitting.json"):
        _refuse_second(folder)
        with storing(disk):
            for of_the_last in (STARTS, RESENT):
                (script.parent / of_the_last).unlink(missing_ok=True)
            script.write_text(text)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        sent = Submitted(str(spec.system), queues.cluster(spec.system), name, "", str(disk), at)
        _write(folder, sent)
        sent = replace(sent, job=queues.send(spec.system, script))
        _write(folder, sent)
    return sent


def _write(folder: Place, sent: Submitted) -> None:
    with storing(folder):
        content = json.dumps(asdict(sent), indent=1).encode()
        write_atomically(folder / _RECORD, content)


def _refuse_second(folder: Place) -> None:
    before = submitted(folder)
    if before is None:
        return
    try:
        state = before.state
    except ConfigError as error:
        raise ConfigError(
            f"whether an earlier controller is at work cannot be told here: {before}; {error.what}",
            where=str(folder / _RECORD),
            remedy="submit where it was sent, or, if it is over, remove this file",
        ) from error
    if state:
        raise LockedError(
            f"{before}, is {state} and works on this run",
            where=str(folder),
            remedy=f"follow it with `footfall status {folder}`, or cancel it first",
        )


def would_send(
    profile: Profile, name: str, command: Sequence[str], folder: Place
) -> Iterator[tuple[str, str]]:
    """Every script or manifest that a run with this profile sends: what it is, and its text.

    Raises:
        ConfigError: the profile cannot be used.
    """
    disk = aside(folder).absolute()
    match profile:
        case Batch():
            yield "controller", controller_script(profile, name, command, disk, Path.cwd())
            yield f"worker, {profile.workers} times", script(profile, disk)
        case Allocation():
            yield "controller", controller_script(profile, name, command, disk, Path.cwd())
            keys = named_keys(disk / "cluster") if profile.encrypted else None
            worker = worker_command(with_site_defaults(profile), "SCHEDULER", 0, "NODE", keys)
            yield f"worker, {profile.workers} times inside", shlex.join(worker)
        case Kubernetes():
            yield "DaskCluster, sent by `footfall run`", manifest_text(profile)
        case Gateway():
            yield "request to the gateway, sent by `footfall run`", gateway_text(profile)
        case Address() | ClusterSpec():
            raise ConfigError(
                "nothing is sent to this cluster: `footfall run` with this profile uses it",
                where="cluster.system",
                remedy="choose the profile of a batch system to submit",
            )
