"""Paths as a configuration means them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from engine.errors import ConfigError
from engine.stores.places import Remote, place


def resolved(text: str, config: Path, where: str) -> Path:
    """A path as the configuration means it: variables filled in, relative to its own folder.

    Raises:
        ConfigError: a variable is not set, or it is a URL.
    """
    found = resolved_place(text, config, where)
    if isinstance(found, Remote):
        raise ConfigError(
            f"{found} is a URL, which only the tables and the run folder may be",
            where=where,
            remedy="copy the file beside the configuration",
        )
    return found


def resolved_place(text: str, config: Path, where: str) -> Path | Remote:
    """The same where a URL may stand: of tables.

    Raises:
        ConfigError: a variable is not set, or a URL names nothing or carries a secret.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise ConfigError(
                f"the environment variable {name} is not set",
                where=where,
                remedy=f"export {name}=/the/folder/that/holds/the/data",
            )
        return os.environ[name]

    if "\0" in text:
        raise ConfigError(
            f"the path {text!r} holds a NUL, which no path has",
            where=where,
            remedy="write the path again",
        )
    filled = re.sub(r"\$\{(\w+)\}", value, text)
    try:
        found = place(filled)
    except ConfigError as error:
        raise ConfigError(
            error.what, where=f"{where}, {error.where}", remedy=error.remedy
        ) from error
    if isinstance(found, Remote):
        return found
    expanded = found.expanduser()
    return expanded if expanded.is_absolute() else config.parent / expanded
