"""What of a profile, a site or a path may stand in a job's script, which a shell reads."""

from __future__ import annotations

import shlex
from pathlib import Path

from engine.errors import ConfigError


def one_line(text: str, where: str) -> str:
    """A text that goes into a job's header as one line.

    Raises:
        ConfigError: it would become two.
    """
    if not text.isprintable():
        raise ConfigError(
            f"{text!r} holds a line break or another sign that cannot be printed",
            where=where,
            remedy="write one line each",
        )
    return text


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
