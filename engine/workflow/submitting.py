"""The verb `submit`: a run that goes on inside a batch system when its user has gone home."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from engine.clusters import (
    Allocation,
    Batch,
    Profile,
    Submitted,
    submit,
    would_send,
)
from engine.config import Config
from engine.errors import ConfigError
from engine.stores.places import Place, Remote, from_anywhere, mark, place
from engine.workflow.folders import run_folder
from engine.workflow.planned import Planned
from engine.workflow.planning import plan
from engine.workflow.running import refuse_another_run

ENDED = "ended"


def submit_run(
    config: Config,
    profile: Profile,
    profile_path: Path,
    folder: str | Path | Remote | None = None,
    *,
    draws: int | None = None,
    arguments: tuple[str, ...] = (),
) -> Iterator[str]:
    """Send the controller of a run; yields what was sent and how to follow it, line by line.

    Whatever can be known to stop it, now or in hours, is refused before anything is sent.

    Args:
        profile_path: the file of the profile, which the controller reads again.
        folder: the run folder, `runs/<config name>` if not given.
        draws: draws a year to plan for, if not the configuration's own.
        arguments: further words of `footfall run`.

    Raises:
        LockedError: an earlier controller still works on this run.
        ConfigError: the profile is of no batch system, or the batch system refuses.
        PlanError: a job has too little memory for what it is to do.
        DriftError: the folder holds another run.
    """
    folder = place(folder) if folder else run_folder(config)
    if not isinstance(profile, Batch | Allocation):
        raise ConfigError(
            "only a batch system can be sent a run",
            where=str(profile_path),
            remedy="use `footfall run` with this profile, or the profile of a batch system",
        )
    name, command = _job_name(config, folder), _command(config, profile_path, folder, arguments)
    _, planned = _possible(config, profile, name, command, folder, draws)
    sent = submit(profile, name, command, folder)
    yield f"planned: {planned.summary()}"
    yield f"submitted: {sent.system} job {sent.job}"
    yield f"follow:    footfall status {folder}"
    yield f"log:       {sent.log}"
    yield "resume:    the same command, after whatever stopped it"


def dry_run(
    config: Config,
    profile: Profile,
    profile_path: Path,
    folder: str | Path | Remote | None = None,
    *,
    draws: int | None = None,
    arguments: tuple[str, ...] = (),
) -> Iterator[str]:
    """Every script or manifest that `submit_run` would send, sending nothing.

    Args and errors are those of `submit_run`.
    """
    folder = place(folder) if folder else run_folder(config)
    name, command = _job_name(config, folder), _command(config, profile_path, folder, arguments)
    scripts, planned = _possible(config, profile, name, command, folder, draws)
    yield f"# planned: {planned.summary()}"
    for what, text in scripts:
        yield f"# --- {what}"
        yield text.rstrip()


def _possible(
    config: Config,
    profile: Profile,
    name: str,
    command: list[str],
    folder: Place,
    draws: int | None,
) -> tuple[list[tuple[str, str]], Planned]:
    """What would be sent, and the plan, once nothing is known to stop the run, now or in hours."""
    scripts = list(would_send(profile, name, command, folder))
    planned = plan(config, draws=draws, cluster=profile, submitted=True)
    refuse_another_run(config, folder, planned.sampling)
    return scripts, planned


def _command(
    config: Config, profile_path: Path, folder: Place, arguments: tuple[str, ...]
) -> list[str]:
    """What the controller's job runs: `footfall run`, as its interpreter is told."""
    places = (config.path, folder, profile_path)
    paths = [str(from_anywhere(one)) for one in places]
    return [
        "-m", "engine.cli", "run", paths[0], "--output", paths[1],
        "--cluster", paths[2], *arguments,
    ]  # fmt: skip


def _job_name(config: Config, folder: Place) -> str:
    """For people, and then the address of the run, which is no other's."""
    return f"footfall-{re.sub(r'[^A-Za-z0-9_.-]', '-', config.name)}-{mark(folder)}"


def state_of(sent: Submitted) -> str:
    """What the batch system says of a controller, in its word where it has one."""
    try:
        return sent.state or ENDED
    except ConfigError as error:
        return f"cannot be asked from this machine ({error.what})"
