"""What a configuration asks beyond a verdict on every change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RealVariability:
    """A scenario of how footprints truly scatter from year to year about a steady trend.

    Attributes:
        sd: standard deviation of ln F, a fraction: 0.02 is about 2 %.
        phi: correlation of one year's deviation with the next year's.
        source: where that comes from, or "assumption".
    """

    sd: float
    phi: float
    source: str


@dataclass(frozen=True, slots=True)
class Trend:
    """What is asked of declines.

    Attributes:
        declines: steady falls, in percent a year, of which it is told how long they take to show.
        real_variability: scenarios beside the one of measurement error alone.
    """

    declines: tuple[float, ...] = (2.0, 3.0, 5.0)
    real_variability: tuple[RealVariability, ...] = ()


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
