"""What the file asks of the ensembles, and the same as a run remembers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from engine.analysis import Asked, Family, RealVariability, Trend
from engine.config import schema
from engine.config.comparing import between_databases, decoupling, offset
from engine.config.explaining import CHOICES
from engine.config.targets import targets
from engine.errors import ConfigError
from engine.question import Question

_REMEMBERED = TypeAdapter(Asked)


def asked(file: schema.File, path: Path, years: Sequence[int], question: Question) -> Asked:
    return Asked(
        trend=_trend(file.trend),
        families=_families(file.families),
        equivalence=_equivalence(file.detection.equivalence),
        targets=targets(file.targets, years, question),
        offset=offset(file.offset, years, question),
        decoupling=decoupling(file.decoupling, path, years, question),
        between_databases=between_databases(file.between_databases, path, question),
    )


def _trend(trend: schema.Trend) -> Trend:
    for percent in trend.declines:
        if not 0 < percent < 100:
            raise ConfigError(
                f"a fall by {percent:g} % a year is none that can go on",
                where="trend.declines",
                remedy="give percentages a year between 0 and 100",
            )
    return Trend(
        declines=tuple(sorted(set(trend.declines))),
        real_variability=_scenarios(trend.real_variability),
    )


def _scenarios(given: list[schema.RealVariability]) -> tuple[RealVariability, ...]:
    for i, one in enumerate(given):
        where = f"trend.real_variability.{i}"
        if not 0 < one.sd < 1:
            raise ConfigError(
                f"real variability of {one.sd:g} cannot be meant",
                where=f"{where}.sd",
                remedy="give a fraction above 0 and below 1: 0.02 is 2 %",
            )
        if not 0 <= one.phi < 1:
            raise ConfigError(
                f"a correlation of {one.phi:g} from one year to the next cannot be used",
                where=f"{where}.phi",
                remedy="give a number from 0 (each year by itself) to below 1",
            )
        if not one.source.strip():
            raise ConfigError(
                "no source is stated for the real variability",
                where=f"{where}.source",
                remedy=CHOICES["source"],
            )
        if (one.sd, one.phi) in [(other.sd, other.phi) for other in given[:i]]:
            raise ConfigError(
                f"sd {one.sd:g} with phi {one.phi:g} is given twice",
                where=where,
                remedy="give each scenario once",
            )
    return tuple(RealVariability(one.sd, one.phi, one.source) for one in given)


def _families(declared: Mapping[str, schema.Family]) -> tuple[Family, ...]:
    """Those declared, in their order; the consecutive years of each total where none is."""
    for name in declared:
        if not name.strip():
            raise ConfigError(
                "a family has no name",
                where="families",
                remedy='name it as it shall be called, such as [families."all pairs of years"]',
            )
    found = tuple(
        Family(name, family.pairs, tuple(dict.fromkeys(family.over)))
        for name, family in declared.items()
    )
    return found or Asked().families


def _equivalence(given: float | list[float]) -> tuple[float, ...]:
    percents = [given] if isinstance(given, float) else given
    for percent in percents:
        if not 0 < percent < 100:
            raise ConfigError(
                f"a change by {percent:g} % cannot be ruled out, nor shown",
                where="detection.equivalence",
                remedy="give percentages between 0 and 100, such as 5.0",
            )
    return tuple(sorted(set(percents)))


def to_remember(asked: Asked) -> dict[str, Any]:
    """As plain values that JSON knows."""
    return asdict(asked)


def remembered(content: Mapping[str, Any]) -> Asked:
    """What `to_remember` was given, back from JSON.

    Raises:
        ValueError: it is something else.
    """
    return _REMEMBERED.validate_python(content)
