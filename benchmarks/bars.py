"""What is asked of every contender: an error model and a question, together a bar.

    first     one stressor's totals of all consumers; A uncertain, each cell on its own
    second    three stressors, five consumers, three parts; A, s and Y uncertain, each cell with a
              lasting and a yearly error

Error sizes follow a power law of the flow, 5 % for the largest and 200 % for the smallest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.error_model import (
    Component,
    Constant,
    ErrorModel,
    Errors,
    Method,
    Persistent,
    PowerLaw,
    Quantity,
    TimeKey,
    Yearly,
)
from engine.kernels.arrays import F64
from engine.mrio import MRIO
from engine.question import Consumer, Indicator, Question

LAW = PowerLaw(
    a=0.5, b=-0.2, floor=0.05, ceiling=2.0, currency="the table's own", per_table_unit=1.0
)
EMISSIONS_RSD = 0.1
_SOURCE = "assumption, made up to measure speed"


@dataclass(frozen=True, slots=True)
class Bar:
    """An error model and a question about one table."""

    name: str
    errors: ErrorModel
    question: Question


def first(
    table: MRIO,
    time: TimeKey | None = None,
    consumers: int | None = None,
    parts: tuple[str, ...] = ("total",),
) -> Bar:
    """One stressor's totals, all consumers; other parts or fewer consumers if asked."""
    own = (Component("own", 1.0, ("cell",), time or Yearly()),)
    errors = (Errors(Quantity.A, {}, LAW, own, _SOURCE),)
    question = Question(
        _consumers(table, consumers or len(table.labels.regions)),
        _indicators(table, 1),
        parts=parts,
    )
    return Bar("first bar", ErrorModel("first", Method.COEFFICIENTS, errors), question)


def second(table: MRIO) -> Bar:
    """Three stressors, five consumers, three parts; A, s and Y uncertain, half of it lasting."""
    components = (
        Component("lasting", 0.5, ("cell",), Persistent()),
        Component("yearly", 0.5, ("cell",), Yearly()),
    )
    errors = (
        Errors(Quantity.A, {}, LAW, components, _SOURCE),
        Errors(Quantity.S, {}, Constant(EMISSIONS_RSD), components, _SOURCE),
        Errors(Quantity.Y, {}, LAW, components, _SOURCE),
    )
    question = Question(
        _consumers(table, 5), _indicators(table, 3), parts=("total", "domestic", "foreign")
    )
    return Bar("second bar", ErrorModel("second", Method.COEFFICIENTS, errors), question)


def rsd(flows: F64) -> F64:
    """Relative standard deviations of flows after `LAW`, zero where there is no flow."""
    sizes = np.zeros_like(flows)
    there = flows != 0
    sizes[there] = np.clip(LAW.a * np.abs(flows[there]) ** LAW.b, LAW.floor, LAW.ceiling)
    return sizes


def _consumers(table: MRIO, count: int) -> tuple[Consumer, ...]:
    return tuple(Consumer(name, (name,)) for name in table.labels.regions[:count])


def _indicators(table: MRIO, count: int) -> tuple[Indicator, ...]:
    named = zip(table.labels.stressors, table.labels.stressor_units, strict=True)
    return tuple(Indicator(name, unit, {name: 1.0}) for name, unit in list(named)[:count])
