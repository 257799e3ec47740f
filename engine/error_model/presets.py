"""Published sizes of errors, each with its source and how sure the numbers are.

A preset saves typing, not judgement: its source and its certainty become part of an entry's
`source`, which `footfall check` and every report show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.error_model.entries import Component
from engine.error_model.quantities import Quantity
from engine.error_model.sizes import ByLabel, Constant, PowerLaw, rsd_of_half_widths
from engine.error_model.times import AR1, Persistent, TimeKey, Yearly
from engine.errors import ConfigError
from engine.kernels.inventory import implied_correlation


@dataclass(frozen=True, slots=True)
class Preset:
    """Where a size of errors comes from.

    Attributes:
        name: as a configuration names it.
        source: the citation.
        certainty: what the numbers here were compared with, or that they were not.
    """

    name: str
    source: str
    certainty: str

    def cited(self, *remarks: str) -> str:
        """Source, certainty and what was assumed on top, as one text."""
        return "; ".join([self.source, self.certainty, *(r for r in remarks if r)])


SCHULTE_2024 = Preset(
    "schulte2024",
    "medians over countries of the CV of a country's emission accounts, 2015 (Schulte, Jakobs & "
    "Pauliuk 2024, ESSD 16:2669)",
    "verified against the abstract",
)
NETHERLANDS_2000 = Preset(
    "netherlands2000",
    "Dutch inventory, 95 % uncertainty of the level in 2000 and of the trend 1990-2000 (Olivier et "
    "al. 2002, as tabulated in the Dutch Environmental Data Compendium, October 2002)",
    "verified against that table, not against the report behind it",
)
EDGAR_2015 = Preset(
    "edgar2015",
    "EDGAR 2015, 95 % half-widths by country, sector and gas (Solazzo et al. 2021, ACP 21:5655)",
    "read from the file given; the file was not compared with the publication",
)
LENZEN_2010 = Preset(
    "lenzen2010",
    "rsd 0.393 v^-0.302 of a flow of v million GBP, after Lenzen, Wood & Wiedmann 2010",
    "RECALLED, NOT VERIFIED",
)
PRESETS = (SCHULTE_2024, NETHERLANDS_2000, EDGAR_2015, LENZEN_2010)

_MEDIAN_CV = {"CO2": 0.04, "CH4": 0.12, "N2O": 0.33}


class Gas(StrEnum):
    """What the Dutch inventory states an uncertainty of."""

    CO2 = "CO2"
    CH4 = "CH4"
    N2O = "N2O"
    CO2E = "CO2e"


BASE_YEAR, CURRENT_YEAR = 1990, 2000  # of the Dutch trend
# Half-widths at 95 %: of the level in percent, of the trend in percentage points of the base year.
DUTCH_LEVEL_AND_TREND: Mapping[Gas, tuple[float, float]] = {
    Gas.CO2: (3, 3),
    Gas.CH4: (25, 7),
    Gas.N2O: (50, 12),
    Gas.CO2E: (5, 3),
}

RATIOS = 0.1, 10.0  # of a country's emissions ten years apart


def schulte_2024(gases: Mapping[str, str]) -> ByLabel:
    """Median CV of countries' emission accounts, by stressor: a size of a country's TOTAL.

    Args:
        gases: the gas, CO2, CH4 or N2O, that each stressor of the tables is.

    Raises:
        ConfigError: a gas of which no median is known.
    """
    for stressor, gas in gases.items():
        if gas not in _MEDIAN_CV:
            raise ConfigError(
                f"{gas} ({stressor}) has no median there",
                where=f"preset {SCHULTE_2024.name}",
                remedy=f"known: {', '.join(_MEDIAN_CV)}",
            )
    sizes: dict[tuple[str, ...], float] = {
        (stressor,): _MEDIAN_CV[gas] for stressor, gas in gases.items()
    }
    return ByLabel(("stressor",), sizes)


def netherlands_2000(gas: Gas) -> Constant:
    """The level's half-width as a relative standard deviation, U / 1.96: of a country's TOTAL."""
    level = DUTCH_LEVEL_AND_TREND[gas][0] / 100
    return Constant(rsd_of_half_widths(level, level))


def netherlands_2000_components(
    gas: Gas,
    ratio: float,
    group: tuple[str, ...],
    *,
    labels: Sequence[str] = (),
    fading: bool = False,
    shared_with: Quantity | None = None,
) -> tuple[Component, ...]:
    """Components whose eps of 1990 and 2000 correlate as level and trend imply.

    Args:
        ratio: R, emissions of the gas in 2000 by those in 1990.
        group: keys of a whole country, such as ("stressor", "region").
        labels: the stressor and the countries they are for. They are part of the components' names,
            so that no two entries share errors by chance.
        fading: an AR(1) error, whose correlation fades with every year; if not, one part that
            lasts and one new every year, with the same correlation between any two years.
        shared_with: the quantity whose components of this preset, gas and labels are used instead.

    Raises:
        ConfigError: the ratio is none that can be meant, or the correlation implied is negative or
            one, so no such components have it.
    """
    low, high = RATIOS
    if not low <= ratio <= high:
        raise ConfigError(
            f"a ratio of {ratio:g} is none of emissions ten years apart",
            where=f"preset {NETHERLANDS_2000.name}, {gas}, ratio",
            remedy=f"give the emissions of {CURRENT_YEAR} by those of {BASE_YEAR}, between "
            f"{low:g} and {high:g}",
        )
    level, trend = DUTCH_LEVEL_AND_TREND[gas]
    rho = implied_correlation(level, trend, ratio)
    if not 0 < rho < 1:
        raise ConfigError(
            f"at a ratio of {ratio:g} the years would correlate by {rho:.3g}",
            where=f"preset {NETHERLANDS_2000.name}, {gas}",
            remedy=f"give the emissions of {CURRENT_YEAR} by those of {BASE_YEAR}, near 1",
        )
    parts: list[tuple[str, float, TimeKey]]
    if fading:
        parts = [("fading", 1.0, AR1(rho ** (1 / (CURRENT_YEAR - BASE_YEAR))))]
    else:
        parts = [("lasting", rho, Persistent()), ("yearly", 1 - rho, Yearly())]
    return tuple(
        Component(
            (name := " ".join([NETHERLANDS_2000.name, gas, *labels]) + f", {kind}"),
            weight,
            group,
            time,
            None if shared_with is None else (shared_with, name),
        )
        for kind, weight, time in parts
    )


def lenzen_2010(
    floor: float, ceiling: float, per_table_unit: float | Mapping[int, float]
) -> PowerLaw:
    """The power law of flows in million GBP, held between floor and ceiling: recalled only."""
    return PowerLaw(0.393, -0.302, floor, ceiling, "million GBP", per_table_unit)


def check_national(
    components: Sequence[Component], preset: Preset, quantity: Quantity, where: str
) -> None:
    """Refuse components that leave cells of one country independent of each other.

    A cell of F_Y is a whole country's.

    Raises:
        ConfigError: the size is that of a country's total, and independent cells would average out
            to a much smaller one.
    """
    country = "consumer" if quantity is Quantity.F_Y else "region"
    national = {"stressor", country, "all"} | ({"cell"} if quantity is Quantity.F_Y else set())
    for component in components:
        finer = set(component.group) - national
        if finer:
            raise ConfigError(
                f"`{preset.name}` is the error of a country's total, but the component "
                f"`{component.name}` differs by {', '.join(sorted(finer))} within the country, "
                "which would average out",
                where=where,
                remedy=f'use groups of whole countries, such as ["stressor", "{country}"], or a '
                "size of the cells themselves",
            )
