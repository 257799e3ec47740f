"""Whose footprint, of what: names turned into consumers, indicators and parts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.config import schema
from engine.config.explaining import CHOICES
from engine.config.paths import resolved
from engine.errors import ConfigError
from engine.question import PARTS, Consumer, Indicator, Question
from engine.readers.groups import STANDARD_GROUPS
from engine.readers.purchases import read_purchases


def refuse_shadowed_names(file: schema.File) -> None:
    named: dict[str, Iterable[str]] = {
        "groups": file.groups,
        "purchases": file.purchases,
        "indicators": file.indicators,
    }
    places: dict[str, str] = {}
    for section, names in named.items():
        for name in names:
            if name in places:
                raise ConfigError(
                    f"`{name}` is already the name of an entry of [{places[name]}]",
                    where=f"{section}.{name}",
                    remedy="give each a name of its own",
                )
            places[name] = section


def question(file: schema.File, path: Path) -> Question:
    asked = file.question
    for what, names in (("consumers", asked.consumers), ("stressors", asked.stressors)):
        if not names or len(set(names)) != len(names):
            raise ConfigError(
                f"{names} does not name each of one or more {what} once",
                where=f"question.{what}",
                remedy="list every name once",
            )
    parts = ("total", *(part for part in PARTS[1:] if part in asked.parts))
    told = asked.attribution
    return Question(
        consumers=tuple(_consumer(name, file, path) for name in asked.consumers),
        indicators=tuple(_indicator(name, file) for name in asked.stressors),
        parts=parts,
        by_origin=_asked_of(told.by_origin, asked.consumers),
        by_industry=_asked_of(told.by_industry, asked.consumers),
        by_product=_asked_of(told.by_product, asked.consumers),
    )


def _asked_of(chosen: bool | list[str], consumers: list[str]) -> tuple[str, ...]:
    """The consumers chosen: all, none, or those named."""
    if isinstance(chosen, bool):
        return tuple(consumers) if chosen else ()
    return tuple(chosen)


def _consumer(name: str, file: schema.File, path: Path) -> Consumer:
    if name in file.purchases:
        bought = file.purchases[name]
        csv = resolved(bought.file, path, f"purchases.{name}.file")
        return Consumer(name, tuple(bought.home), read_purchases(csv))
    if name in file.groups:
        group = file.groups[name]
        members = group.members or _standard(group.standard or name, group.codes)
        return Consumer(name, tuple(members))
    if name in STANDARD_GROUPS["iso3"]:
        return Consumer(name, _standard(name, "iso3"))
    return Consumer(name, (name,))


def _standard(name: str, codes: str) -> tuple[str, ...]:
    if name not in STANDARD_GROUPS[codes]:
        raise ConfigError(
            f"there is no standard group `{name}`",
            where="groups",
            remedy=f"known: {', '.join(STANDARD_GROUPS[codes])}; or list `members` yourself",
        )
    return STANDARD_GROUPS[codes][name]


def _indicator(name: str, file: schema.File) -> Indicator:
    if name not in file.indicators:
        return Indicator(name, "", {name: 1.0})
    asked = file.indicators[name]
    if not asked.source.strip():
        raise ConfigError(
            "no source is stated for the weights",
            where=f"indicators.{name}.source",
            remedy=CHOICES["source"],
        )
    return Indicator(name, asked.unit, asked.weights, asked.source)
