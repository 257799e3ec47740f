"""What a study asks, checked against its configuration."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from engine.config import Config
from engine.errors import ConfigError, InputError
from engine.question import Question
from engine.studies.stage import Trial


def percentages(text: str) -> tuple[float, ...]:
    """`0,-1,-2.5` as shares.

    Raises:
        ConfigError: something in it is no number.
    """
    try:
        return tuple(float(part) / 100 for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"`{text}` is not a list of numbers",
            where="--changes",
            remedy="give percentages separated by commas, such as 0,-1,-2.5",
        ) from None


def trial_of(
    config: Config,
    draws: int,
    changes: Sequence[float],
    years: tuple[int, int] | None,
    truth: str | None,
    believed: str | None,
    stressor: str | None,
    consumer: str | None,
) -> Trial:
    """The study that these arguments ask for (`engine.studies.characterise`).

    Raises:
        InputError: they name what the configuration does not have, or cannot be meant.
    """
    _refuse_rebalancing(config)
    known = config.sampling.years
    if len(known) < 2:
        raise InputError(
            "the configuration has one year, so there is no change",
            where=str(config.path),
            remedy="name two years or more",
        )
    pair = known[-2:] if years is None else years
    for year in pair:
        _known(year, known, "year", config)
    if pair[0] >= pair[1]:
        raise ConfigError(
            f"{pair[0]} does not come before {pair[1]}",
            where="years",
            remedy="name the earlier year first",
        )
    if draws < 2:
        raise ConfigError(
            f"{draws} draws tell no probability", where="draws", remedy="ask for a thousand"
        )
    for change in changes:
        if not -1 < change < math.inf:
            raise ConfigError(
                f"a footprint cannot change by {100 * change:g} %",
                where="changes",
                remedy="give changes above -100 %",
            )
    scenarios = tuple(scenario.name for scenario in config.scenarios)
    for name in (truth, believed):
        if name is not None:
            _known(name, scenarios, "scenario", config)
    return Trial(
        years=(pair[0], pair[1]),
        question=_question(config, stressor, consumer),
        truths=scenarios if truth is None else (truth,),
        believed=scenarios if believed is None else (believed,),
        changes=tuple(sorted(set(changes), reverse=True)),
        draws=draws,
    )


def _refuse_rebalancing(config: Config) -> None:
    """Publishers would balance to the true margins, and the engine to those they then publish."""
    if any(scenario.rebalance is not None for scenario in config.scenarios):
        raise ConfigError(
            "worlds with balanced tables are not simulated",
            where="method.rebalance",
            remedy="study a configuration without `rebalance`",
        )


def _question(config: Config, stressor: str | None, consumer: str | None) -> Question:
    """The configuration's, for totals alone."""
    asked = config.question
    consumers, indicators = asked.consumers, asked.indicators
    if stressor is not None:
        _known(stressor, [one.name for one in indicators], "stressor", config)
        indicators = tuple(one for one in indicators if one.name == stressor)
    if consumer is not None:
        _known(consumer, [one.name for one in consumers], "consumer", config)
        consumers = tuple(one for one in consumers if one.name == consumer)
    return Question(consumers, indicators, parts=("total",))


def _known(name: object, known: Iterable[object], what: str, config: Config) -> None:
    listed = list(known)
    if name not in listed:
        raise InputError(
            f"there is no {what} {name}",
            where=str(config.path),
            remedy=f"it has {', '.join(map(str, listed))}",
        )
