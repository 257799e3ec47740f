"""What a run folder remembers of how it came about: the question in words, and each sitting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from engine.errors import StoreError
from engine.stores.durable import read, storing, write_atomically
from engine.stores.places import Place

_NAME = "run.json"


class Stop(StrEnum):
    """Why a run that draws until a tolerance is met looks no further."""

    NOT_YET = "not yet"
    TOLERANCE = "tolerance met"
    MAXIMUM = "largest number of draws"

    @property
    def in_words(self) -> str:
        """What follows from it, as the end of a sentence."""
        return _STOP_IN_WORDS[self]


_STOP_IN_WORDS = {
    Stop.NOT_YET: "not stopped yet, the same command goes on",
    Stop.TOLERANCE: "stopped because every watched verdict is decided and its digits are known",
    Stop.MAXIMUM: "stopped at the largest number of draws allowed",
}


@dataclass(frozen=True, slots=True)
class Looks:
    """What a run that draws until a tolerance is met has looked at.

    Attributes:
        draws: draws a year at each look taken, ascending.
        most: the largest number of draws allowed.
        digits: significant digits asked of uncertainties.
        stop: why there is no further look.
    """

    draws: tuple[int, ...]
    most: int
    digits: int
    stop: Stop

    def number(self, draws: int) -> int:
        """Which look, from 1, a judgement of so many draws is; the next one if it is none yet."""
        return 1 + sum(looked < draws for looked in self.draws)

    def final(self, draws: int) -> bool:
        """Whether what so many draws leave open is to stay open."""
        return self.stop is Stop.MAXIMUM and draws == self.draws[-1]

    def in_words(self, draws: int) -> str:
        """Which look a judgement of so many draws is, and why there are no more."""
        look = f"look {self.number(draws)} of an adaptive run"
        if draws in self.draws[:-1]:
            return f"{look}, {draws} draws"
        if draws in self.draws:
            return f"{look}, {draws} draws: {self.stop.in_words}"
        return f"{look}, extended to {draws} draws after it had looked at {self._listed()}"

    def _listed(self) -> str:
        return ", ".join(str(draws) for draws in self.draws)


@dataclass(frozen=True, slots=True)
class Record:
    """The facts of a run that are not part of its ensembles.

    Attributes:
        title: what the user calls the run.
        scenarios: their names, in the configuration's order.
        confidence, power: the detection rule of the configuration.
        asked: what the configuration asks beyond verdicts, as plain values.
        config: the configuration's text.
        assumptions: by scenario, the error model in words: quantity, size, correlation, source.
        indicators: name, unit, weights and source of each.
        sittings: when, how long, how many draws and where, each time `run` worked on it.
        names: what codes are called on the page.
        looks: of a run that draws until a tolerance is met.
    """

    title: str
    scenarios: tuple[str, ...]
    confidence: float
    power: float
    asked: Mapping[str, Any]
    config: str
    assumptions: Mapping[str, tuple[Mapping[str, str], ...]]
    indicators: tuple[Mapping[str, str], ...]
    sittings: tuple[Mapping[str, Any], ...]
    looks: Looks | None = None
    names: Mapping[str, str] = field(default_factory=dict)


def write_record(folder: Place, record: Record) -> None:
    """Replace the run's record.

    Raises:
        StoreError: the folder cannot be written.
    """
    with storing(folder):
        write_atomically(folder / _NAME, json.dumps(asdict(record), indent=1).encode())


def read_record(folder: Place) -> Record:
    """The run's record.

    Raises:
        StoreError: the folder holds no run, or its record is damaged or cannot be read.
    """
    written = _written(folder)
    if written is None:
        raise StoreError(
            "holds no run", where=str(folder), remedy="start one with `footfall run CONFIG`"
        )
    try:
        return _parsed(written)
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"the record {_NAME} is damaged ({error})",
            where=str(folder),
            remedy="run again with the same configuration; the ensemble is not touched",
        ) from error


def remembered(folder: Place) -> Record | None:
    """What the folder remembers; None where there is no record, or a damaged one.

    Raises:
        StoreError: the folder cannot be read.
    """
    written = _written(folder)
    try:
        return None if written is None else _parsed(written)
    except (ValueError, TypeError, KeyError):
        return None


def _written(folder: Place) -> bytes | None:
    with storing(folder):
        try:
            return read(folder / _NAME)
        except FileNotFoundError:
            return None


def _parsed(written: bytes) -> Record:
    content = json.loads(written)
    return Record(
        **{
            **content,
            "scenarios": tuple(content["scenarios"]),
            "assumptions": {name: tuple(rows) for name, rows in content["assumptions"].items()},
            "indicators": tuple(content["indicators"]),
            "sittings": tuple(content["sittings"]),
            "looks": _looks(content.get("looks")),
        }
    )


def _looks(content: Mapping[str, Any] | None) -> Looks | None:
    if content is None:
        return None
    return Looks(
        draws=tuple(content["draws"]),
        most=content["most"],
        digits=content["digits"],
        stop=Stop(content["stop"]),
    )
