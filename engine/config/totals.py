"""Known totals of a scenario: which cells, how uncertain, and what they are stated to be."""

from __future__ import annotations

from pathlib import Path

from engine.config import schema
from engine.config.paths import resolved
from engine.config.scenarios import time_key
from engine.error_model import ByLabel, Component, Constant, KnownTotals, Quantity
from engine.errors import ConfigError
from engine.readers.sizes import read_size_table
from engine.readers.totals import read_totals

_WHERE = "scenarios, known_totals"


def known_totals(entry: schema.KnownTotals, path: Path) -> KnownTotals:
    stated = None
    if entry.totals is not None:
        csv = resolved(entry.totals, path, f"{_WHERE}, totals")
        stated = read_totals(csv, entry.by)
    return KnownTotals(
        quantities=tuple(Quantity(quantity) for quantity in entry.quantities),
        only={key: tuple(names) for key, names in entry.only.items()},
        by=tuple(entry.by),
        size=_size(entry, path),
        components=tuple(_component(component) for component in entry.components),
        source=entry.source,
        stated=stated,
        rescale=entry.rescale,
    )


def _size(entry: schema.KnownTotals, path: Path) -> Constant | ByLabel:
    if (entry.rsd is None) == (entry.table is None):
        raise ConfigError(
            "the size of the totals' error is given twice, or not at all",
            where=_WHERE,
            remedy="give either `rsd` or `table` (CSV)",
        )
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
