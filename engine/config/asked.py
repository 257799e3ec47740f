"""What the file asks of the ensembles, and the same as a run remembers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from engine.analysis import Asked, Trend
from engine.config import schema
from engine.errors import ConfigError

_REMEMBERED = TypeAdapter(Asked)


def asked(file: schema.File) -> Asked:
    return Asked(trend=_trend(file.trend))


def _trend(trend: schema.Trend) -> Trend:
    for percent in trend.declines:
        if not 0 < percent < 100:
            raise ConfigError(
                f"a fall by {percent:g} % a year is none that can go on",
                where="trend.declines",
                remedy="give percentages a year between 0 and 100",
            )
    return Trend(declines=tuple(sorted(set(trend.declines))))


def to_remember(asked: Asked) -> dict[str, Any]:
    """As plain values that JSON knows."""
    return asdict(asked)


def remembered(content: Mapping[str, Any]) -> Asked:
    """What `to_remember` was given, back from JSON.

    Raises:
        ValueError: it is something else.
    """
    return _REMEMBERED.validate_python(content)
