"""A TOML file read and checked, with every complaint naming the file."""

from __future__ import annotations

import json
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.config import schema
from engine.config.building import Config, config
from engine.config.explaining import explained
from engine.config.names import names
from engine.errors import ConfigError


def load_config(path: str | Path) -> Config:
    """Read and check a configuration; files it names (error sizes, purchases) are read too.

    Raises:
        ConfigError: naming the file, the key, what is wrong with it and what to do.
        TableError: a CSV file it names is malformed.
    """
    path = Path(path)
    try:
        return config(_checked(path, _parsed(path)), path)
    except ConfigError as error:
        if str(path) in error.where:
            raise
        where = f"{path}, {error.where}" if error.where else str(path)
        raise type(error)(error.what, where=where, remedy=error.remedy) from error


def load_names(path: str | Path) -> dict[str, str]:
    """The names that a TOML file gives to codes: its table `[names]`, whatever else it holds.

    Raises:
        ConfigError: the file cannot be read, or has no such table of words.
        TableError: a CSV file it names is malformed.
    """
    path = Path(path)
    given = _parsed(path).get("names")
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given.values()):
        raise ConfigError(
            "there is no table `[names]` of codes and their names",
            where=str(path),
            remedy='write [names] and below it lines such as NLD = "Netherlands"',
        )
    return names(given, path)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        near = get_close_matches(path.name, [p.name for p in path.parent.glob("*.toml")], n=1)
        hint = f"did you mean {path.parent / near[0]}?" if near else "give the path of a TOML file"
        raise ConfigError("there is no such file", where=str(path), remedy=hint) from None
    except IsADirectoryError:
        raise ConfigError(
            "is a folder", where=str(path), remedy="name the configuration, a TOML file"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot be read as UTF-8 text ({error})", where=str(path), remedy="save it as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"is not valid TOML: {error}", where=str(path), remedy="mend the line named"
        ) from error


def _checked(path: Path, content: dict[str, Any]) -> schema.File:
    try:
        # Through JSON, because there a list may become a tuple while "3" stays a string.
        return schema.File.model_validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        raise explained(error, str(path)) from error
