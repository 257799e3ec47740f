"""Paths as a configuration means them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from engine.errors import ConfigError


def resolved(text: str, config: Path, where: str) -> Path:
    """A path as the configuration means it: variables filled in, relative to its own folder."""

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
    expanded = Path(re.sub(r"\$\{(\w+)\}", value, text)).expanduser()
    return expanded if expanded.is_absolute() else config.parent / expanded
