"""A TOML file parsed and checked, with every complaint naming the file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from engine.config.explaining import explained
from engine.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


def parsed(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        ConfigError: it cannot be read.
    """
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


def checked(path: Path, content: dict[str, Any], model: type[Model]) -> Model:
    """A content checked against a model.

    Raises:
        ConfigError: naming the key and what is wrong with it.
    """
    try:
        # Through JSON, because there a list may become a tuple while "3" stays a string.
        return model.model_validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        raise explained(error, str(path)) from error


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Every complaint raised inside names the file."""
    try:
        yield
    except ConfigError as error:
        if str(path) in error.where:
            raise
        where = f"{path}, {error.where}" if error.where else str(path)
        raise type(error)(error.what, where=where, remedy=error.remedy) from error
