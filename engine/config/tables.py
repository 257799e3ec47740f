"""Which tables: the years, and the reader with what it is told."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from engine.config import schema
from engine.config.explaining import explained
from engine.config.paths import resolved, resolved_place
from engine.errors import ConfigError
from engine.readers import (
    Aggregated,
    Aggregation,
    Arrays,
    Eora26,
    Exiobase3,
    Figaro,
    Gloria,
    Icio,
    Pymrio,
    Source,
    Toy,
    Unfolded,
    Wiod,
)


def years(asked: schema.Years | list[int]) -> tuple[int, ...]:
    years = tuple(asked) if isinstance(asked, list) else tuple(range(asked.first, asked.last + 1))
    if not years or list(years) != sorted(set(years)):
        raise ConfigError(
            f"the years {list(years)} are not ascending, each named once",
            where="tables.years",
            remedy="list them in order, such as [2000, 2005], or { first = 2000, last = 2005 }",
        )
    return years


_READERS: Mapping[str, type[Unfolded]] = {
    "toy": Toy,
    "arrays": Arrays,
    "eora26": Eora26,
    "exiobase3": Exiobase3,
    "figaro": Figaro,
    "gloria": Gloria,
    "icio": Icio,
    "pymrio": Pymrio,
    "wiod": Wiod,
}


def source(tables: schema.Tables, path: Path) -> Source:
    """Where the tables come from, and the maps they are folded by, if any."""
    full = _published(tables, path)
    if tables.aggregation is None:
        return full
    maps = {
        key: resolved(file, path, f"tables.aggregation.{key}")
        for key, file in tables.aggregation.model_dump().items()
        if file is not None
    }
    return Aggregated(full, Aggregation(**maps))


def _published(tables: schema.Tables, path: Path) -> Unfolded:
    """The reader's own spec: its fields are the keys, its types the check."""
    reader = _READERS[tables.reader]
    given = dict(tables.model_extra or {})
    known = {field.name: str(field.type) for field in dataclasses.fields(reader)}
    for key, value in given.items():
        if key not in known:
            near = get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}"
            raise ConfigError(
                f"the reader `{tables.reader}` has no key `{key}`; {hint}",
                where=f"tables.{key}",
                remedy="use a key that exists",
            )
        if "Path" in known[key]:
            if not isinstance(value, str):
                raise ConfigError(
                    f"{value!r} is no path", where=f"tables.{key}", remedy="write it as text"
                )
            found = resolved_place(value, path, f"tables.{key}")
            given[key] = str(found) if isinstance(found, Path) else dataclasses.asdict(found)
    try:
        spec: Unfolded = TypeAdapter(reader).validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        raise explained(error, f"{path}, tables") from error
    except ConfigError as error:  # of the spec itself, which does not know where it stands
        raise ConfigError(error.what, where=error.where or "tables", remedy=error.remedy) from error
    return spec
