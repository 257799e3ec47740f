"""What is asked of the tables: whose footprint, of which stressors, in which parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TypeVar

import numpy as np

from engine.errors import ConfigError
from engine.kernels.arrays import F64, I64, Bool
from engine.mrio import Labels
from engine.plan import Direction, direction

Name = TypeVar("Name", str, tuple[str, str])

PARTS = ("total", "domestic", "foreign", "direct")  # the order of the last axis of `parts`


@dataclass(frozen=True, slots=True)
class Consumer:
    """A region, a group of regions, or a demand vector.

    Attributes:
        name: how it is called in every result ("NLD", "EU27_2007").
        members: the regions that are home: an origin in any of them is domestic.
        purchases: for a demand vector, what it buys in each year by (region, sector), in the
            tables' currency and that year's basic prices; it then has no direct emissions. None
            for a region or group, whose purchases are its members' columns of final demand.
    """

    name: str
    members: tuple[str, ...]
    purchases: Mapping[int, Mapping[tuple[str, str], float]] | None = None


@dataclass(frozen=True, slots=True)
class Indicator:
    """A stressor, or a weighted sum of stressors such as a GWP-weighted total.

    Attributes:
        weights: factor per stressor, in `unit` per unit of the stressor.
        source: where the weights come from; empty for a plain stressor.
    """

    name: str
    unit: str
    weights: Mapping[str, float]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Consumers, indicators and parts asked for; `parts` always begins with the total.

    Attributes:
        by_origin: names of the consumers whose footprint is told by region of origin.
        by_industry: names of those whose footprint is told by industry, region and sector.
        by_product: names of those whose footprint is told by the product bought, a sector.
    """

    consumers: tuple[Consumer, ...]
    indicators: tuple[Indicator, ...]
    parts: tuple[str, ...] = PARTS
    by_origin: tuple[str, ...] = ()
    by_industry: tuple[str, ...] = ()
    by_product: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = {consumer.name: place for place, consumer in enumerate(self.consumers)}
        for key in ("by_origin", "by_industry", "by_product"):
            names: tuple[str, ...] = getattr(self, key)
            where = f"question.attribution.{key}"
            for name in names:
                _position(name, known, "consumer", where, whole="question")
            if len(set(names)) != len(names):
                raise ConfigError(
                    f"{', '.join(names)} names a consumer twice",
                    where=where,
                    remedy="name every consumer once",
                )
        if self.by_product and (self.attributed or {"domestic", "foreign"} & set(self.parts)):
            raise ConfigError(
                "products are told by multipliers, which do not tell where emissions arise",
                where="question.attribution.by_product",
                remedy='ask for it in a configuration of its own, with parts = ["total", "direct"] '
                "and no other attribution; with the same seed its draws are the same",
            )

    @property
    def direction(self) -> Direction:
        """What its draws are solved for (`engine.plan.direction`)."""
        return direction(
            len(self.indicators),
            len(self.consumers),
            self.parts,
            attributed=self.attributed,
            products=bool(self.by_product),
        )

    @property
    def attributed(self) -> bool:
        """Whether any footprint is told by origin or by industry."""
        return bool(self.by_origin or self.by_industry)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question in the positions of one table (q indicators, c consumers).

    Attributes:
        membership: one where a region is home to a consumer's own final demand, (r,c).
        purchases: what demand vectors buy, zero for other consumers, (n,c).
        domestic: whether an industry lies inside a consumer, (n,c).
        characterisation: indicators from stressors, (q,k).
        region_of: the region of each industry, (n,).
        product_of: the position of each industry's sector among the tables' sectors, (n,).
        by_origin, by_industry, by_product: positions of the consumers attributed so.
    """

    membership: F64
    purchases: F64
    domestic: Bool
    characterisation: F64
    region_of: I64
    product_of: I64
    by_origin: I64
    by_industry: I64
    by_product: I64


def resolve(question: Question, labels: Labels, year: int) -> Asked:
    """Find the question's names among a table's labels.

    Raises:
        ConfigError: a region, sector, stressor or year the table does not have.
    """
    consumers = question.consumers
    regions = {name: index for index, name in enumerate(labels.regions)}
    industries = {pair: index for index, pair in enumerate(labels.industries)}
    stressors = {name: index for index, name in enumerate(labels.stressors)}
    membership = np.zeros((len(regions), len(consumers)))
    purchases = np.zeros((len(industries), len(consumers)))
    domestic = np.zeros((len(industries), len(consumers)), dtype=np.bool_)
    for column, consumer in enumerate(consumers):
        where = f"consumer {consumer.name}, year {year}"
        if consumer.name in regions and consumer.members != (consumer.name,):
            raise ConfigError(
                "is called like a region of the table but is something else",
                where=where,
                remedy="give the group or demand vector a name of its own",
            )
        for member in consumer.members:
            row = _position(member, regions, "region", where)
            membership[row, column] = consumer.purchases is None
        home = set(consumer.members)
        domestic[:, column] = [region in home for region, _ in labels.industries]
        for pair, value in _bought(consumer, year, where).items():
            purchases[_position(pair, industries, "industry", where), column] = value
    characterisation = np.zeros((len(question.indicators), len(stressors)))
    for row, indicator in enumerate(question.indicators):
        if indicator.name in stressors and dict(indicator.weights) != {indicator.name: 1.0}:
            raise ConfigError(
                "is called like a stressor of the table but is something else",
                where=f"indicator {indicator.name}",
                remedy="give the weighted total a name of its own",
            )
        for stressor, weight in indicator.weights.items():
            where = f"indicator {indicator.name}"
            characterisation[row, _position(stressor, stressors, "stressor", where)] = weight
    places = {consumer.name: place for place, consumer in enumerate(consumers)}
    by_origin, by_industry, by_product = (
        np.array([places[name] for name in names], dtype=np.int64)
        for names in (question.by_origin, question.by_industry, question.by_product)
    )
    region_of = np.array([regions[region] for region, _ in labels.industries], dtype=np.int64)
    sectors = {sector: index for index, sector in enumerate(labels.sectors)}
    return Asked(
        membership=membership,
        purchases=purchases,
        domestic=domestic,
        characterisation=characterisation,
        region_of=region_of,
        product_of=np.array([sectors[sector] for _, sector in labels.industries], dtype=np.int64),
        by_origin=by_origin,
        by_industry=by_industry,
        by_product=by_product,
    )


def _bought(consumer: Consumer, year: int, where: str) -> Mapping[tuple[str, str], float]:
    if consumer.purchases is None:
        return {}
    if year not in consumer.purchases:
        have = ", ".join(str(known) for known in sorted(consumer.purchases))
        raise ConfigError(
            "has no purchases in this year",
            where=where,
            remedy=f"its file covers {have}; ask for these years, or add the missing one",
        )
    return consumer.purchases[year]


def _position(
    name: Name, positions: Mapping[Name, int], what: str, where: str, whole: str = "table"
) -> int:
    if name in positions:
        return positions[name]
    spelled = {_spell(known): known for known in positions}
    near = get_close_matches(_spell(name), spelled, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ConfigError(
        f"the {whole} has no {what} {_spell(name)}",
        where=where,
        remedy=f"{hint}it has {len(positions)}, from {next(iter(spelled), 'none')} on",
    )


def _spell(name: str | tuple[str, str]) -> str:
    return name if isinstance(name, str) else " ".join(name)


def with_units(question: Question, labels: Labels) -> Question:
    """The question with every plain stressor's unit filled in from a table's labels."""
    units = dict(zip(labels.stressors, labels.stressor_units, strict=True))
    return replace(
        question,
        indicators=tuple(
            replace(indicator, unit=indicator.unit or units.get(indicator.name, ""))
            for indicator in question.indicators
        ),
    )
