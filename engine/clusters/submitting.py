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

_RECORD = "submitted.json"


@dataclass(frozen=True, slots=True)
class Submitted:
    """A controller that was sent.

    Attributes:
        system: the batch system.
        job: its number there.
        script: the file that was sent.
        at: when, for people to read.
    """

    system: str
    job: str
    script: str
    at: str

    @property
    def state(self) -> str:
        """The queue's word for it; empty when it is over.

        Raises:
            ConfigError: this machine cannot ask.
        """
        return queues.state(System(self.system), self.job)


def submitted(folder: Path) -> Submitted | None:
    """The last controller sent for a run; None if none was."""
    try:
        sent = Submitted(**json.loads((folder / "cluster" / _RECORD).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    with suppress(OSError):
        number = (folder / "cluster" / RESENT).read_text().strip()
        return replace(sent, job=number or sent.job)
    return sent


def submit(spec: Batch | Allocation, name: str, command: Sequence[str], folder: Path) -> Submitted:
    """Send the controller of a run, unless the last one is still waiting or at work.

    Raises:
        LockedError: it is; naming its job.
        ConfigError: the batch system refuses, or the profile cannot be used.
    """
    folder = folder.absolute()
    refuse_odd_path(folder)
    before = submitted(folder)
    if before is not None and (state := before.state):
        raise LockedError(
            f"job {before.job}, sent {before.at}, is {state} and works on this run",
            where=str(folder),
            remedy=f"follow it with `footfall status {folder}`, or cancel it first",
        )
    place = folder / "cluster"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "logs").mkdir(exist_ok=True)
    for of_the_last in (STARTS, RESENT):
        (place / of_the_last).unlink(missing_ok=True)
    path = place / "controller.sh"
    path.write_text(controller_script(spec, name, command, folder, Path.cwd()))
    system = spec.system if isinstance(spec, Batch) else System.SLURM
    number = queues.send(system, path)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    sent = Submitted(str(system), number, str(path), at)
    (place / _RECORD).write_text(json.dumps(asdict(sent), indent=1))
    return sent


def would_send(
    profile: Profile, name: str, command: Sequence[str], folder: Path
) -> Iterator[tuple[str, str]]:
    """Every script or manifest that a run with this profile sends: what it is, and its text.

    Raises:
        ConfigError: the profile cannot be used.
    """
    folder = folder.absolute()
    match profile:
        case Batch():
            yield "controller", controller_script(profile, name, command, folder, Path.cwd())
            yield f"worker, {profile.workers} times", script(profile, folder)
        case Allocation():
            yield "controller", controller_script(profile, name, command, folder, Path.cwd())
            keys = named_keys(folder / "cluster") if profile.encrypted else None
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
