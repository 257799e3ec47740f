"""The presets of a configuration: a published size, what shares it, and its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.config import schema
from engine.config.paths import resolved
from engine.error_model import ByLabel, Component, Constant, ErrorSize, Quantity, check_size
from engine.error_model.presets import (
    BASE_YEAR,
    CURRENT_YEAR,
    EDGAR_2015,
    LENZEN_2010,
    NETHERLANDS_2000,
    SCHULTE_2024,
    Gas,
    check_national,
    lenzen_2010,
    netherlands_2000,
    netherlands_2000_components,
    schulte_2024,
)
from engine.errors import ConfigError
from engine.readers.edgar import EdgarSizes, edgar_sizes

Asked = schema.Schulte2024 | schema.Netherlands2000 | schema.Edgar2015 | schema.Lenzen2010
AskedOfTotals = schema.Schulte2024 | schema.Netherlands2000
Components = tuple[Component, ...] | None

_EMISSIONS = {Quantity.E: "region", Quantity.S: "region", Quantity.F_Y: "consumer"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a preset makes of an entry.

    Attributes:
        others_exact: whether other cells of its stressors may have no error.
    """

    size: ErrorSize
    components: Components
    source: str
    others_exact: bool = True


def preset(
    entry: schema.Errors, asked: Asked, components: Components, path: Path, where: str
) -> Chosen:
    """The size, components and source of an entry that names a preset.

    Args:
        components: those the entry lists, None if it lists none.

    Raises:
        ConfigError: the preset cannot be meant for this quantity or these components.
        TableError: a file it names is malformed.
    """
    quantity, note = Quantity(entry.quantity), entry.source or ""
    match asked:
        case schema.Schulte2024():
            _region_key(quantity, where)
            check_national(components or (), SCHULTE_2024, quantity, where)
            return Chosen(schulte_2024(asked.gases), components, SCHULTE_2024.cited(note))
        case schema.Netherlands2000():
            region = _region_key(quantity, where)
            dutch = _netherlands(asked, entry.only, region, components, where, note)
            return Chosen(dutch.size, dutch.components, dutch.source, dutch.others_exact)
        case schema.Edgar2015():
            return _edgar(quantity, asked, components, path, where, note)
        case schema.Lenzen2010():
            law = lenzen_2010(asked.floor, asked.ceiling, by_year(asked.per_table_unit, where))
            check_size(law, quantity, where)
            return Chosen(law, components, LENZEN_2010.cited(note))


@dataclass(frozen=True, slots=True)
class ChosenOfTotals:
    """What a preset makes of known totals; `others_exact` as of an entry."""

    size: Constant | ByLabel
    components: Components
    source: str
    others_exact: bool = True


def preset_of_totals(
    entry: schema.KnownTotals, asked: AskedOfTotals, components: Components, where: str
) -> ChosenOfTotals:
    """The size, components and source of known totals that name a preset: sizes of a country's.

    Args:
        components: those the entry lists, None if it lists none.

    Raises:
        ConfigError: the totals are no countries', or the preset cannot be meant for them.
    """
    note = entry.source or ""
    if "region" not in entry.by or "sector" in (*entry.by, *entry.only):
        raise ConfigError(
            f"`{asked.name}` is the error of a country's total, and these totals are those of "
            f"{'a part of one' if 'region' in entry.by else 'several countries'}",
            where=where,
            remedy='use by = ["stressor", "region"], and no `sector` in `only`',
        )
    match asked:
        case schema.Schulte2024():
            return ChosenOfTotals(schulte_2024(asked.gases), components, SCHULTE_2024.cited(note))
        case schema.Netherlands2000():
            if asked.shared_with is not None:
                raise ConfigError(
                    "a total's error is independent of all others",
                    where=where,
                    remedy="leave `shared_with` out: E and F_Y under one total need none",
                )
            return _netherlands(asked, entry.only, "region", components, where, note)


def _netherlands(
    asked: schema.Netherlands2000,
    only: Mapping[str, Sequence[str]],
    region: str,
    components: Components,
    where: str,
    note: str,
) -> ChosenOfTotals:
    if components is not None:
        raise ConfigError(
            "this preset brings components of its own, whose correlation between years the "
            "inventory's trend implies",
            where=where,
            remedy="leave `components` out",
        )
    if len(only.get("stressor", ())) != 1 or not only.get(region):
        raise ConfigError(
            f"the uncertainty is that of {asked.gas} of one country",
            where=where,
            remedy=f'say which cells it is for: only = {{ stressor = ["{asked.gas}"], '
            f'{region} = ["NLD"] }}',
        )
    gas = Gas(asked.gas)
    made = netherlands_2000_components(
        gas,
        asked.ratio,
        ("stressor", region),
        labels=(*only["stressor"], *sorted(only[region])),
        fading=asked.time == "ar1",
        shared_with=None if asked.shared_with is None else Quantity(asked.shared_with),
    )
    said = f"emissions of {CURRENT_YEAR} by those of {BASE_YEAR}: {asked.ratio:g}, as stated"
    exact = asked.others is not None
    others = "all other cells of these emissions meant to be exact, as stated" if exact else ""
    source = NETHERLANDS_2000.cited(said, others, note)
    return ChosenOfTotals(netherlands_2000(gas), made, source, exact)


def _edgar(
    quantity: Quantity,
    asked: schema.Edgar2015,
    components: Components,
    path: Path,
    where: str,
    note: str,
) -> Chosen:
    region = _region_key(quantity, where)

    def file(name: str | None, key: str) -> Path | None:
        return None if name is None else resolved(name, path, f"{where}, {key}")

    if asked.sectors is None:
        check_national(components or (), EDGAR_2015, quantity, where)
        what = "sectors of a country"
    elif quantity is Quantity.F_Y:
        raise ConfigError(
            "direct emissions have no sectors",
            where=f"{where}, sectors",
            remedy="leave `sectors` out, for the size of a country's total",
        )
    else:
        what = "EDGAR's sectors within one of the tables'"
    sizes = edgar_sizes(
        EdgarSizes(
            resolved(asked.file, path, f"{where}, file"),
            asked.gases,
            asked.correlation,
            file(asked.countries, "countries"),
            file(asked.sectors, "sectors"),
        ),
        region,
    )
    check_size(sizes, quantity, where)
    said = f"{what} assumed to correlate by {asked.correlation:g}"
    return Chosen(sizes, components, EDGAR_2015.cited(said, note))


def _region_key(quantity: Quantity, where: str) -> str:
    """What the quantity calls a region of emissions."""
    if quantity not in _EMISSIONS:
        raise ConfigError(
            f"this preset is about emissions, not about {quantity}",
            where=where,
            remedy=f"use it for {', '.join(_EMISSIONS)}",
        )
    return _EMISSIONS[quantity]


def by_year(rate: float | Mapping[str, float], where: str) -> float | dict[int, float]:
    """One conversion for all years, or one a year."""
    try:
        return rate if isinstance(rate, float) else {int(y): v for y, v in rate.items()}
    except ValueError:
        raise ConfigError(
            "the keys of `per_table_unit` are not years",
            where=where,
            remedy='write per_table_unit = { "2000" = 0.66, "2001" = 0.69 }',
        ) from None
