"""What a configuration asks beyond a verdict on every change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trend:
    """What is asked of declines.

    Attributes:
        declines: steady falls, in percent a year, of which it is told how long they take to show.
    """

    declines: tuple[float, ...] = (2.0, 3.0, 5.0)


@dataclass(frozen=True, slots=True)
class Family:
    """Changes that are judged together.

    Attributes:
        name: how it is called.
        pairs: of years: `consecutive`, `from the first`, `all` or `whole` (the first with the
            last).
        over: what it gathers beside years, of `consumers`, `stressors` and `parts`; a family of
            its own for each one that is not named. Without parts it is of totals.
    """

    name: str
    pairs: str = "consecutive"
    over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of ensembles; it changes no draw, and a run remembers it beside them.

    Attributes:
        families: which changes are judged together.
        equivalence: sizes of change, in percent, of which it is told whether none was larger.
    """

    trend: Trend = Trend()
    families: tuple[Family, ...] = (Family("consecutive years"),)
    equivalence: tuple[float, ...] = ()
