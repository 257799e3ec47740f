"""What is asked of two parts, of a footprint beside real GDP, and of several databases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.analysis import BetweenDatabases, Decoupling, Output, Published, Span
from engine.config import schema
from engine.config.paths import resolved
from engine.config.targets import sourced
from engine.errors import ConfigError, TableError
from engine.question import Question
from engine.readers.beside import read_footprints, read_output


def offset(stated: schema.Offset | None, years: Sequence[int], question: Question) -> Span | None:
    """Which change of the domestic and foreign parts is asked about, if any."""
    if stated is None:
        return None
    if "foreign" not in question.parts:
        raise ConfigError(
            "an offset abroad needs the foreign part, which is not asked for",
            where="offset",
            remedy="add `foreign` to question.parts; the rest of the total is domestic",
        )
    return _span(stated.from_year, stated.to_year, years, "offset")


def decoupling(
    stated: schema.Decoupling | None, path: Path, years: Sequence[int], question: Question
) -> Decoupling | None:
    """Real GDP beside the footprint, of the consumers that the file has."""
    if stated is None:
        return None
    sourced(stated.source, "decoupling.source")
    if not 0 <= stated.correlation <= 1:
        raise ConfigError(
            f"{stated.correlation:g} is not a correlation of errors of GDP in two years",
            where="decoupling.correlation",
            remedy="give a number from 0 (errors of their own every year) to 1 (the same error)",
        )
    csv = resolved(stated.gdp, path, "decoupling.gdp")
    consumers = [consumer.name for consumer in question.consumers]
    rows = [row for row in read_output(csv, stated.rsd) if row.consumer in consumers]
    if not rows:
        raise TableError(
            f"has GDP of none of {', '.join(consumers)}",
            where=str(csv),
            remedy="name consumers as in question.consumers",
        )
    return Decoupling(
        span=_span(stated.from_year, stated.to_year, years, "decoupling"),
        output=tuple(Output(row.consumer, row.year, row.gdp, row.rsd) for row in rows),
        correlation=stated.correlation,
        source=stated.source,
    )


def between_databases(
    stated: schema.BetweenDatabases | None, path: Path, question: Question
) -> BetweenDatabases | None:
    """What several databases say of the consumers and stressors asked for."""
    if stated is None:
        return None
    sourced(stated.source, "between_databases.source")
    csv = resolved(stated.file, path, "between_databases.file")
    consumers = {consumer.name for consumer in question.consumers}
    stressors = {indicator.name for indicator in question.indicators}
    rows = [
        Published(row.database, row.consumer, row.stressor, row.year, row.footprint)
        for row in read_footprints(csv)
        if row.consumer in consumers and row.stressor in stressors
    ]
    if not rows:
        raise TableError(
            "has no footprint of a consumer and stressor that is asked for",
            where=str(csv),
            remedy=f"name consumers ({', '.join(sorted(consumers))}) and stressors "
            f"({', '.join(sorted(stressors))}) as the question does",
        )
    return BetweenDatabases(tuple(rows), stated.source)


def _span(first: int | None, last: int | None, years: Sequence[int], where: str) -> Span:
    span = Span(years[0] if first is None else first, years[-1] if last is None else last)
    for key, year in (("from_year", span.from_year), ("to_year", span.to_year)):
        if year not in years:
            raise ConfigError(
                f"the year {year} is not in the run",
                where=f"{where}.{key}",
                remedy=f"use one of {', '.join(map(str, years))}",
            )
    if span.from_year >= span.to_year:
        raise ConfigError(
            f"there is no change from {span.from_year} to {span.to_year}",
            where=where,
            remedy="give a year and a later one; without keys they are the run's first and last",
        )
    return span
