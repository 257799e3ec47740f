"""How much is measured: everything, or a little of everything."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import tables
from benchmarks.tables import Synthetic
from engine import readers
from engine.mrio import MRIO
from engine.readers import Arrays

ROOT = Path(__file__).parent.parent
WIOD = 1435


@dataclass(frozen=True, slots=True)
class Settings:
    """What the suites share.

    Attributes:
        quick: whether this is only a look.
        repeats: rounds of every comparison, at most.
        least: seconds of one measurement, at least.
        budget: seconds after which a comparison begins no further round.
        sizes: industries of the tables compared; 1435 is WIOD 2005.
    """

    quick: bool
    repeats: int
    least: float
    budget: float
    sizes: tuple[int, ...]

    @property
    def middle(self) -> int:
        """The size at which scaling is measured."""
        return 120 if self.quick else 600


@dataclass(frozen=True, slots=True)
class Case:
    """A table to compare on; `absent` says why it cannot be had."""

    name: str
    n: int
    load: Callable[[int], MRIO]
    year: int
    absent: str = ""


def cases(settings: Settings) -> Iterator[Case]:
    """The tables of the sizes asked."""
    for n in settings.sizes:
        yield wiod() if n == WIOD else synthetic(n)


def synthetic(n: int) -> Case:
    """A synthetic table of one of the known sizes."""
    world = Synthetic.of(n)
    name = f"SYNTHETIC, n = {n}"
    return Case(name, n, lambda year: tables.make(world, year), tables.BASE_YEAR)


def wiod() -> Case:
    """WIOD 2013, where the data are."""
    folder = os.environ.get("FOOTFALL_DATA")
    if not folder or not (Path(folder) / "wiod13").is_dir():
        why = "FOOTFALL_DATA names no folder with wiod13"
        return Case("WIOD 2005, n = 1435", WIOD, _none, 2005, why)
    source = Arrays(ROOT / "configs" / "manifests" / "wiod13.toml", Path(folder) / "wiod13")
    return Case("WIOD 2005, n = 1435", WIOD, lambda year: readers.read(source, year), 2005)


def _none(year: int) -> MRIO:
    raise LookupError(f"there is no table of {year}")


def say(words: str) -> None:
    """Progress, on the terminal."""
    print(words, file=sys.stderr, flush=True)
