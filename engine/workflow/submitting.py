"""The verb `submit`: a run that goes on inside a batch system when its user has gone home."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from engine.clusters import Allocation, Batch, Profile, submit, submitted, would_send
from engine.config import Config
from engine.errors import ConfigError
from engine.stores.places import Place, Remote, aside, from_anywhere, place
from engine.workflow.folders import run_folder


def submit_run(
    config: Config,
    profile: Profile,
    profile_path: Path,
    folder: str | Path | Remote | None = None,
    arguments: tuple[str, ...] = (),
) -> Iterator[str]:
    """Send the controller of a run; yields what was sent and how to follow it, line by line.

    Args:
        profile_path: the file of the profile, which the controller reads again.
        folder: the run folder, `runs/<config name>` if not given.
        arguments: further words of `footfall run`.

    Raises:
        LockedError: an earlier controller still works on this run.
        ConfigError: the profile is of no batch system, or the batch system refuses.
    """
    folder = place(folder) if folder else run_folder(config)
    if not isinstance(profile, Batch | Allocation):
        raise ConfigError(
            "only a batch system can be sent a run",
            where=str(profile_path),
            remedy="use `footfall run` with this profile, or the profile of a batch system",
        )
    command = controller_command(config, profile_path, folder, arguments)
    sent = submit(profile, _job_name(config), command, aside(folder))
    yield f"submitted: {sent.system} job {sent.job}"
    yield f"follow:    footfall status {folder}"
    yield f"log:       {aside(folder)}/logs/controller-{sent.job}.log"
    yield "resume:    the same command, after whatever stopped it"


def dry_run(
    config: Config,
    profile: Profile,
    profile_path: Path,
    folder: str | Path | Remote | None = None,
    arguments: tuple[str, ...] = (),
) -> Iterator[str]:
    """Every script or manifest that `submit_run` would send, sending nothing.

    Raises:
        ConfigError: nothing would be sent.
    """
    folder = place(folder) if folder else run_folder(config)
    command = controller_command(config, profile_path, folder, arguments)
    for what, text in would_send(profile, _job_name(config), command, aside(folder)):
        yield f"# --- {what}"
        yield text.rstrip()


def controller_command(
    config: Config, profile_path: Path, folder: Place, arguments: tuple[str, ...]
) -> list[str]:
    """What the controller's job runs: `footfall run`, by this interpreter."""
    places = (config.path, folder, profile_path)
    paths = [str(from_anywhere(one)) for one in places]
    return [
        sys.executable, "-m", "engine.cli", "run", paths[0], "--output", paths[1],
        "--cluster", paths[2], *arguments,
    ]  # fmt: skip


def _job_name(config: Config) -> str:
    return "footfall-" + re.sub(r"[^A-Za-z0-9_.-]", "-", config.name)


def of_controller(folder: Place) -> Iterator[str]:
    """A line about the controller that was sent for a run, if one was."""
    sent = submitted(aside(folder))
    if sent is None:
        return
    try:
        state = sent.state or "ended"
    except ConfigError:
        state = "cannot be asked from this machine"
    yield f"controller: {sent.system} job {sent.job}, sent {sent.at}: {state}"
