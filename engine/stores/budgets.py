"""The uncertainty budget beside an ensemble: one small file, written once for its digest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from engine.budget import Budget, By, Entry, Subject
from engine.stores.durable import read_all, storing, write_atomically
from engine.stores.identity import canonical, text_digest
from engine.stores.places import Place

_NAME, _SEAL = "budget.json", "seal"


def write_budget(folder: Place, budget: Budget, ensemble: str) -> None:
    """Write the budget of the ensemble with this digest into the scenario's folder.

    Raises:
        StoreError: the folder cannot be written.
    """
    content = {"ensemble": ensemble, **asdict(budget)}
    sealed = {_SEAL: text_digest(canonical(content)), **content}
    with storing(folder):
        write_atomically(folder / _NAME, json.dumps(sealed, allow_nan=False).encode())


def read_budget(folder: Place, ensemble: str) -> Budget | None:
    """The budget of the ensemble with this digest; None where the folder holds no such, or damaged.

    Raises:
        StoreError: the folder cannot be read.
    """
    try:
        with storing(folder):
            written = read_all(folder, [_NAME])
        content = json.loads(written[_NAME])
        if content.pop(_SEAL) != text_digest(canonical(content)) or content["ensemble"] != ensemble:
            return None
        return Budget(
            pairs=tuple((first, last) for first, last in content["pairs"]),
            phis=tuple(content["phis"]),
            subjects=tuple(_subject(one) for one in content["subjects"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _subject(content: Mapping[str, Any]) -> Subject:
    lists = ("logarithmic", "variance", "level")
    return Subject(
        **{
            **content,
            **{name: tuple(content[name]) for name in lists},
            "entries": tuple(_entry(one) for one in content["entries"]),
        }
    )


def _entry(content: Mapping[str, Any]) -> Entry:
    numbers = {name: tuple(value) for name, value in content.items() if name not in ("by", "name")}
    return Entry(By(content["by"]), content["name"], **numbers)
