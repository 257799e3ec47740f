"""Targets as the file states them: shares of a base, with their source."""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis import PriorRatio, Target
from engine.config import schema
from engine.config.explaining import CHOICES
from engine.errors import ConfigError
from engine.kernels.targets import Prior
from engine.question import Question

_PRIOR_MEANS = 1e-3, 100.0  # shares of the base
_PRIOR_SPREADS = 1e-4, 10.0  # sd by mean


def targets(
    stated: Sequence[schema.Target], years: Sequence[int], question: Question
) -> tuple[Target, ...]:
    """The targets, whose years and names must be those of the run."""
    found = tuple(_target(target, years, question) for target in stated)
    names = [target.name for target in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"two targets are called `{name}`",
                where="targets",
                remedy="give each a name of its own; it names the target in every result",
            )
    return found


def _target(stated: schema.Target, years: Sequence[int], question: Question) -> Target:
    where = f"targets, {stated.name or 'without a name'}"
    if not stated.name.strip():
        raise ConfigError("has no name", where=where, remedy="name it as it is known")
    sourced(stated.source, where)
    base = tuple(sorted(set(stated.base_years or [stated.base_year or 0])))
    for year in (stated.year, *base):
        if year not in years:
            raise ConfigError(
                f"the year {year} is not in the run, so there is no estimate to hold against it",
                where=where,
                remedy=f"use years of the run ({', '.join(map(str, years))}), or add {year} to "
                "tables.years if there is a table of it; a target of a year to come has no "
                "estimate yet, but what the last year shows of it can be asked with that year",
            )
    if stated.year in base:
        raise ConfigError(
            f"the target's year {stated.year} belongs to its own base",
            where=where,
            remedy="leave it out of `base_years`, or give another `year`",
        )
    known = {
        "consumers": [consumer.name for consumer in question.consumers],
        "stressors": [indicator.name for indicator in question.indicators],
    }
    for key, names in known.items():
        for name in getattr(stated, key):
            if name not in names:
                raise ConfigError(
                    f"`{name}` is none of the {key} asked for",
                    where=f"{where}, {key}",
                    remedy=f"use some of {', '.join(names)}, or leave the key out for all of them",
                )
    return Target(
        name=stated.name,
        year=stated.year,
        base_years=base,
        share=_share(stated, where),
        source=stated.source,
        stressors=tuple(stated.stressors),
        consumers=tuple(stated.consumers),
        prior=None if stated.prior is None else _prior(stated.prior, where),
    )


def _share(stated: schema.Target, where: str) -> float:
    if stated.reduction is not None:
        if not 0 <= stated.reduction < 100:
            raise ConfigError(
                f"a reduction by {stated.reduction:g} % leaves nothing to hold an estimate against",
                where=f"{where}, reduction",
                remedy="give percent of the base, from 0 to less than 100",
            )
        return round(1 - stated.reduction / 100, 12)
    assert stated.share is not None
    if stated.share <= 0:
        raise ConfigError(
            f"a share of {stated.share:g} leaves nothing to hold an estimate against",
            where=f"{where}, share",
            remedy="give a positive share of the base, such as 0.45 for a reduction by 55 %",
        )
    return stated.share


def _prior(stated: schema.Prior, where: str) -> PriorRatio:
    sourced(stated.source, f"{where}, prior")
    law = Prior(stated.mean, stated.sd)
    low, high = _PRIOR_MEANS
    if not low <= law.mean <= high:
        raise ConfigError(
            f"a prior of mean {law.mean:g} says nothing of a share of the base",
            where=f"{where}, prior",
            remedy=f"give a mean between {low:g} and {high:g}; 0.85 is 85 % of the base",
        )
    least, most = _PRIOR_SPREADS
    if not least <= law.sd / law.mean <= most:
        raise ConfigError(
            f"a prior of mean {law.mean:g} with the standard deviation {law.sd:g} cannot be used",
            where=f"{where}, prior",
            remedy=f"give a standard deviation between {least:g} and {most:g} times the mean",
        )
    return PriorRatio(law.mean, law.sd, stated.source)


def sourced(source: str, where: str) -> None:
    """Refuse what states no source."""
    if not source.strip():
        raise ConfigError("no source is stated", where=where, remedy=CHOICES["source"])
