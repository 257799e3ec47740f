"""What a run folder remembers of how it came about: the question in words, and each sitting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import StoreError
from engine.stores.durable import write_atomically

_NAME = "run.json"


@dataclass(frozen=True, slots=True)
class Record:
    """The facts of a run that are not part of its ensembles.

    Attributes:
        title: what the user calls the run.
        scenarios: their names, in the configuration's order.
        confidence, power: the detection rule of the configuration.
        config: the configuration's text.
        assumptions: by scenario, the error model in words: quantity, size, correlation, source.
        indicators: name, unit, weights and source of each.
        sittings: when, how long, how many draws and where, each time `run` worked on it.
    """

    title: str
    scenarios: tuple[str, ...]
    confidence: float
    power: float
    config: str
    assumptions: Mapping[str, tuple[Mapping[str, str], ...]]
    indicators: tuple[Mapping[str, str], ...]
    sittings: tuple[Mapping[str, Any], ...]


def write_record(folder: Path, record: Record) -> None:
    """Replace the run's record.

    Raises:
        StoreError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / _NAME, json.dumps(asdict(record), indent=1).encode())
    except OSError as error:
        raise StoreError(
            f"cannot be written ({error})",
            where=str(folder),
            remedy="free space or choose another run folder, then run again",
        ) from error


def read_record(folder: Path) -> Record:
    """The run's record.

    Raises:
        StoreError: the folder holds no run, or its record is damaged.
    """
    try:
        content = json.loads((folder / _NAME).read_text())
        return Record(
            **{
                **content,
                "scenarios": tuple(content["scenarios"]),
                "assumptions": {name: tuple(rows) for name, rows in content["assumptions"].items()},
                "indicators": tuple(content["indicators"]),
                "sittings": tuple(content["sittings"]),
            }
        )
    except FileNotFoundError:
        raise StoreError(
            "holds no run", where=str(folder), remedy="start one with `footfall run CONFIG`"
        ) from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"the record {_NAME} is damaged ({error})",
            where=str(folder),
            remedy="run again with the same configuration; the ensemble is not touched",
        ) from error
