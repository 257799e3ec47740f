"""What codes are called on the page: names of consumers, regions, sectors, stressors, scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.config.paths import resolved
from engine.errors import ConfigError
from engine.readers.names import read_names

FILE = "file"  # the key that names a CSV file instead of a code


def names(given: Mapping[str, str], path: Path) -> dict[str, str]:
    """Name by code: those written out, before those of the file that `file` names.

    Raises:
        ConfigError: a name is empty.
        TableError: the file is malformed.
    """
    written = {code: name.strip() for code, name in given.items() if code != FILE}
    for code, name in written.items():
        if not name:
            raise ConfigError(
                "a name is empty", where=f"names.{code}", remedy="write the name, or leave it out"
            )
    listed = given.get(FILE)
    if listed is None:
        return written
    return {**read_names(resolved(listed, path, "names.file")), **written}
