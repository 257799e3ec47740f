"""Files to specs: a configuration, or a cluster profile."""

from __future__ import annotations

from pathlib import Path

from engine.clusters import Profile
from engine.config import schema
from engine.config.building import Config, config
from engine.config.names import names
from engine.config.parsing import checked, naming, parsed
from engine.config.profiles import read_profile
from engine.errors import ConfigError


def load_config(path: str | Path) -> Config:
    """Read and check a configuration; files it names (error sizes, purchases) are read too.

    Raises:
        ConfigError: naming the file, the key, what is wrong with it and what to do.
        TableError: a CSV file it names is malformed.
    """
    path = Path(path)
    with naming(path):
        return config(checked(path, parsed(path), schema.File), path)


def load_names(path: str | Path) -> dict[str, str]:
    """The names that a TOML file gives to codes: its table `[names]`, whatever else it holds.

    Raises:
        ConfigError: the file cannot be read, or has no such table of words.
        TableError: a CSV file it names is malformed.
    """
    path = Path(path)
    given = parsed(path).get("names")
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given.values()):
        raise ConfigError(
            "there is no table `[names]` of codes and their names",
            where=str(path),
            remedy='write [names] and below it lines such as NLD = "Netherlands"',
        )
    return names(given, path)


def load_profile(path: str | Path) -> Profile:
    """Read and check a cluster profile.

    Raises:
        ConfigError: naming the file, the key, what is wrong with it and what to do.
    """
    return read_profile(Path(path))
