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
class Asked:
    """What is asked of ensembles; it changes no draw, and a run remembers it beside them."""

    trend: Trend = Trend()
