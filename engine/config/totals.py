"""Known totals of a scenario: which cells, how uncertain, and what they are stated to be."""

from __future__ import annotations

from pathlib import Path

from engine.config import schema
from engine.config.explaining import CHOICES
from engine.config.paths import resolved
from engine.config.presets import ChosenOfTotals, preset_of_totals
from engine.config.scenarios import provisional, time_key
from engine.error_model import ByLabel, Component, Constant, KnownTotals, Quantity
from engine.errors import ConfigError
from engine.readers.sizes import read_size_table
from engine.readers.totals import read_totals

_WHERE = "known_totals"


def known_totals(entry: schema.KnownTotals, path: Path) -> KnownTotals:
    stated = None
    if entry.totals is not None:
        csv = resolved(entry.totals, path, f"{_WHERE}, totals")
        stated = read_totals(csv, entry.by)
    chosen = _chosen(entry, path)
    if chosen.components is None:
        raise ConfigError(
            "no `components` say what shares this error",
            where=_WHERE,
            remedy="list one or more, whose weights add up to one, each with its group and time",
        )
    return KnownTotals(
        quantities=tuple(Quantity(quantity) for quantity in entry.quantities),
        only={key: tuple(names) for key, names in entry.only.items()},
        by=tuple(entry.by),
        size=chosen.size,
        components=chosen.components,
        source=chosen.source,
        stated=stated,
        rescale=entry.rescale,
        provisional=provisional(entry.provisional, _WHERE),
        others_exact=chosen.others_exact,
        concentration=_concentration(entry),
    )


def _concentration(entry: schema.KnownTotals) -> float | None:
    if entry.shares is not None and entry.concentration is None:
        raise ConfigError(
            "Dirichlet shares have no concentration",
            where=f"{_WHERE}, concentration",
            remedy="give one number, 1 or more; a share p has the relative standard deviation "
            "sqrt((1 - p) / (p (concentration + 1))): 10 % has 30 % at 99",
        )
    if entry.shares is None and entry.concentration is not None:
        raise ConfigError(
            "only Dirichlet shares have a concentration",
            where=f"{_WHERE}, concentration",
            remedy='write shares = "dirichlet" beside it, or leave it out',
        )
    return entry.concentration


def _chosen(entry: schema.KnownTotals, path: Path) -> ChosenOfTotals:
    """Size, components and source, by a preset or as they are given."""
    given = [entry.rsd, entry.table, entry.preset]
    if sum(one is not None for one in given) != 1:
        raise ConfigError(
            "the size of the totals' error is given twice, or not at all",
            where=_WHERE,
            remedy="give exactly one of `rsd`, `table` (CSV) and `preset`",
        )
    components = None if entry.components is None else tuple(map(_component, entry.components))
    if entry.preset is not None:
        return preset_of_totals(entry, entry.preset, components, f"{_WHERE}, preset")
    if entry.source is None:
        raise ConfigError(
            "no source is stated", where=f"{_WHERE}, source", remedy=CHOICES["source"]
        )
    return ChosenOfTotals(_size(entry, path), components, entry.source)


def _size(entry: schema.KnownTotals, path: Path) -> Constant | ByLabel:
    if entry.rsd is not None:
        return Constant(entry.rsd)
    table = read_size_table(resolved(entry.table or "", path, f"{_WHERE}, table"))
    return ByLabel(table.keys, table.rsd, table.unmet)


def _component(component: schema.TotalComponent) -> Component:
    group = component.group
    return Component(
        name=component.name,
        weight=component.weight,
        group=(group,) if isinstance(group, str) else tuple(group),
        time=time_key(component.time),
    )
