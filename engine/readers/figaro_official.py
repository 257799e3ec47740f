"""What is published beside FIGARO's tables: Eurostat's footprints, and the traps of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.mrio import Labels
from engine.readers import air_emissions
from engine.readers.fetched import here
from engine.readers.files import located
from engine.readers.official import Official
from engine.stores.places import Place

TRAPS = (
    "editions differ in areas and revise all years: a difference between two of them is no change",
    "the newest years of an edition rest on less, and are revised in the next",
    "accounts are of residents, with their ships, planes and cars abroad: no territorial inventory",
    "final demand of households is what is bought on a territory, tourists' purchases included",
    "env_ac_ch4fp and env_ac_n2ofp are in CO2 equivalents, CH4 and N2O of env_ac_ainah_r2 are not",
    "CO2 of biomass, and of land and its use, are in no account",
)
PRODUCTS = "products bear the emissions of their industries: read them as industries, or use ixi"


def footprints(
    folder: Place,
    stressor: str,
    accounts: Sequence[str],
    unit: str,
    factor: float,
    year: int,
    labels: Labels,
    merge: Mapping[str, str],
) -> Official | None:
    """The footprints in the first of some downloads that holds any; None where none does.

    Raises:
        TableError: a download is missing or damaged, or lacks the year or the unit.
    """
    areas = {*labels.regions, *merge}
    for file in accounts:
        path = here(folder / file)
        with located(f"stressor {stressor}"):
            if not air_emissions.holds_footprints(path):
                continue
            found, folded = air_emissions.published(path, year, unit, areas, labels.sectors, merge)
        known = {area: value * factor for area, value in found.items()}
        return Official(stressor, file, known, folded=folded) if known else None
    return None
