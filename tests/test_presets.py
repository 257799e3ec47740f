"""Presets: the numbers, what they may be used for, and that source and certainty show."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from configs import SMALL, loaded
from engine import wording, workflow
from engine.config import Config
from engine.error_model import (
    AR1,
    ByLabel,
    Component,
    Constant,
    Errors,
    PowerLaw,
    Quantity,
    Yearly,
    inter_year_correlation,
)
from engine.error_model.presets import (
    DUTCH_LEVEL_AND_TREND,
    SCHULTE_2024,
    Gas,
    check_national,
    netherlands_2000,
    netherlands_2000_components,
    schulte_2024,
)
from engine.errors import ConfigError, TableError
from engine.kernels.inventory import implied_correlation
from engine.readers.edgar import EdgarSizes, edgar_sizes

NATIONAL = '{ name = "national", weight = 1.0, group = ["stressor", "region"], time = "yearly" }'
ENTRY_OF_E = """[[scenarios.base.errors]]
quantity = "E"
rsd = 0.1
source = "assumption"
components = [
  { name = "national", weight = 0.5, group = ["stressor", "region"], time = "persistent" },
  { name = "own", weight = 0.5, group = "cell", time = "yearly" },
]
"""


def with_entry(folder: Path, entry: str) -> Config:
    return loaded(folder, SMALL, (ENTRY_OF_E, f"[[scenarios.base.errors]]\n{entry}\n"))


# --- the correlation that an inventory's trend implies (science, item 15) ------------------------


@pytest.mark.parametrize(
    ("gas", "rho", "digits"), [("CO2", 0.50, 2), ("CH4", 0.961, 3), ("N2O", 0.971, 3),
                               ("CO2e", 0.82, 2)],
)  # fmt: skip
def test_the_dutch_inventory_implies_these_correlations(gas: str, rho: float, digits: int) -> None:
    level, trend = DUTCH_LEVEL_AND_TREND[Gas(gas)]
    assert round(implied_correlation(level, trend, 1.0), digits) == rho


def test_the_correlation_inverts_the_trend_of_one_source() -> None:
    """IPCC's exact trend of one source, U^2 [(D/C)^2 + (D/C)^2 - 2 rho (D/C)^2]."""
    for rho in (-0.5, 0.0, 0.3, 0.95):
        for ratio in (0.6, 1.0, 1.4):
            trend = 12 * ratio * math.sqrt(2 - 2 * rho)
            assert implied_correlation(12, trend, ratio) == pytest.approx(rho, abs=1e-12)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [((0, 3, 1), "no uncertainty"), ((3, -1, 1), "no uncertainty"), ((3, 3, 0), "no uncertainty"),
     ((math.nan, 3, 1), "no uncertainty"), ((3, 7, 1), "more uncertain than any correlation")],
)  # fmt: skip
def test_numbers_that_imply_no_correlation_are_refused(
    numbers: tuple[float, float, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        implied_correlation(*numbers)


@pytest.mark.parametrize("fading", [False, True])
@pytest.mark.parametrize("gas", list(Gas))
def test_the_components_have_that_correlation_between_1990_and_2000(gas: Gas, fading: bool) -> None:
    made = netherlands_2000_components(gas, 0.98, ("stressor", "region"), fading=fading)
    entry = Errors(Quantity.E, {}, netherlands_2000(gas), made, "x")  # weights add up to one
    found = sum(c.weight * inter_year_correlation(c.time, 1990, 2000) for c in entry.components)
    assert found == pytest.approx(implied_correlation(*DUTCH_LEVEL_AND_TREND[gas], 0.98), abs=1e-12)
    assert any(isinstance(c.time, AR1) for c in made) is fading


def test_levels_are_half_widths_by_the_normal_quantile() -> None:
    assert netherlands_2000(Gas.CH4) == Constant(0.25 / 1.96)


def test_a_ratio_that_leaves_no_correlation_is_refused() -> None:
    with pytest.raises(ConfigError, match="would correlate by"):
        netherlands_2000_components(Gas.CO2, 0.7, ("region",))


# --- in a configuration --------------------------------------------------------------------------

SCHULTE = """quantity = "E"
preset = { name = "schulte2024", gases = { S0 = "CO2", S1 = "CH4" } }
components = [{}]"""
DUTCH = """quantity = "{quantity}"
only = {{ stressor = ["S0"], {region} = ["R0"] }}
preset = {{ name = "netherlands2000", gas = "CH4", ratio = 0.9, time = "{time}"{more} }}"""
DUTCH_E = DUTCH.format(quantity="E", region="region", time="lasting and yearly", more="")


def test_medians_of_countries_are_sizes_of_their_totals(tmp_path: Path) -> None:
    entry = with_entry(tmp_path, SCHULTE.replace("{}", NATIONAL)).errors.errors[0]
    assert entry.size == ByLabel(("stressor",), {("S0",): 0.04, ("S1",): 0.12})
    assert entry.source == SCHULTE_2024.cited()
    assert "ESSD 16:2669" in entry.source
    assert "verified" in entry.source
    own = '{ name = "own", weight = 1.0, group = "cell", time = "yearly" }'
    with pytest.raises(ConfigError, match="`own` differs by cell within the country"):
        with_entry(tmp_path, SCHULTE.replace("{}", own))
    with pytest.raises(ConfigError, match="SF6"):
        schulte_2024({"S0": "SF6"})
    with pytest.raises(ConfigError, match="is about emissions, not about Z"):
        with_entry(tmp_path, SCHULTE.replace('"E"', '"Z"').replace("{}", NATIONAL))


def test_groups_of_whole_countries_are_national() -> None:
    groups = [
        ("all",),
        ("region",),
        ("stressor",),
        ("stressor", "region"),
    ]
    check_national(
        [Component("a", 1.0, group, Yearly()) for group in groups], SCHULTE_2024, Quantity.E, "x"
    )


def test_the_dutch_preset_brings_size_and_components(tmp_path: Path) -> None:
    entry = with_entry(tmp_path, f'{DUTCH_E}\nsource = "own remark"').errors.errors[0]
    assert entry.size == Constant(0.25 / 1.96)
    rho = implied_correlation(25, 7, 0.9)
    assert [c.weight for c in entry.components] == pytest.approx([rho, 1 - rho], abs=1e-15)
    assert {c.group for c in entry.components} == {("stressor", "region")}
    for words in ("Olivier", "verified", "of 1990: 0.9", "own remark"):
        assert words in entry.source
    with pytest.raises(ConfigError, match="brings components of its own"):
        with_entry(tmp_path, f"{DUTCH_E}\ncomponents = [{NATIONAL}]")
    with pytest.raises(ConfigError, match="of one country"):
        with_entry(tmp_path, DUTCH_E.replace('["S0"]', '["S0", "S1"]'))


def test_direct_emissions_share_the_dutch_errors_of_industry(tmp_path: Path) -> None:
    of_F_Y = DUTCH.format(
        quantity="F_Y", region="consumer", time="lasting and yearly", more=', shared_with = "E"'
    )
    config = with_entry(tmp_path, f"{DUTCH_E}\n[[scenarios.base.errors]]\n{of_F_Y}")
    owner, borrower = config.errors.errors[:2]
    assert [c.shared_with for c in borrower.components] == [
        (Quantity.E, c.name) for c in owner.components
    ]


def test_the_power_law_is_shipped_as_recalled_only(tmp_path: Path) -> None:
    text = (
        'quantity = "Y"\npreset = { name = "lenzen2010", floor = 0.03, ceiling = 1.0, '
        'per_table_unit = 0.6 }\ncomponents = [{ name = "own", weight = 1.0, group = "cell", '
        'time = "yearly" }]'
    )
    config = with_entry(tmp_path, text)
    assert config.errors.errors[0].size == PowerLaw(0.393, -0.302, 0.03, 1.0, "million GBP", 0.6)
    shown = [row["source"] for row in wording.assumptions(config.errors)]
    assert any("RECALLED, NOT VERIFIED" in source for source in shown)
    assert "RECALLED, NOT VERIFIED" in "\n".join(workflow.check(config))
    with pytest.raises(ConfigError, match="flows of E are no money"):
        with_entry(tmp_path, text.replace('"Y"', '"E"'))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (f'quantity = "E"\nrsd = 0.1\npreset = {{ name = "schulte2024", gases = {{ S0 = "CO2" }} }}'
         f"\ncomponents = [{NATIONAL}]", "given 2 times"),
        ('quantity = "E"\npreset = { name = "schulte2024", gases = { S0 = "CO2" } }',
         "no `components`"),
        ('quantity = "E"\npreset = { name = "nobody2000" }', "nobody2000"),
        (f'quantity = "E"\nrsd = 0.1\ncomponents = [{NATIONAL}]', "no source is stated"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(tmp_path: Path, entry: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_entry(tmp_path, entry)


# --- of known totals -----------------------------------------------------------------------------

TOTALS = """[[scenarios.base.known_totals]]
quantities = ["E", "F_Y"]
by = ["stressor", "region"]
"""
SCHULTE_TOTALS = (
    f'{TOTALS}preset = {{ name = "schulte2024", gases = {{ S0 = "CO2", S1 = "CH4" }} }}\n'
    f"components = [{NATIONAL}]\n"
)
DUTCH_TOTALS = f"""{TOTALS}only = {{ stressor = ["S0"], region = ["R0"] }}
preset = {{ name = "netherlands2000", gas = "CH4", ratio = 0.9, time = "ar1" }}
"""


def test_known_totals_take_the_medians_of_countries(tmp_path: Path) -> None:
    config = loaded(tmp_path, f'{SMALL}{SCHULTE_TOTALS}source = "own remark"')
    (entry,) = config.errors.totals
    assert entry.size == ByLabel(("stressor",), {("S0",): 0.04, ("S1",): 0.12})
    assert entry.source == SCHULTE_2024.cited("own remark")
    assert [c.group for c in entry.components] == [("stressor", "region")]
    shown = [row["source"] for row in wording.assumptions(config.errors)]
    assert SCHULTE_2024.cited("own remark") in shown
    told = "\n".join(workflow.check(config))
    for words in ("ESSD 16:2669", "verified against the abstract", "rsd by stressor, 4 to 12 %"):
        assert words in told


def test_known_totals_take_the_dutch_inventory_with_its_components(tmp_path: Path) -> None:
    others = ('time = "ar1" }', 'time = "ar1", others = "exact" }')
    config = loaded(tmp_path, SMALL + DUTCH_TOTALS, others)
    (entry,) = config.errors.totals
    assert entry.size == Constant(0.25 / 1.96)
    rho = sum(c.weight * inter_year_correlation(c.time, 1990, 2000) for c in entry.components)
    assert rho == pytest.approx(implied_correlation(25, 7, 0.9), abs=1e-12)
    told = "\n".join(workflow.check(config))
    for words in ("Olivier", "verified against that table", "of 1990: 0.9", "1 totals in 2000"):
        assert words in told


@pytest.mark.parametrize(
    ("entry", "old", "new", "message"),
    [
        (SCHULTE_TOTALS, '["E", "F_Y"]\nby = ["stressor", "region"]',
         '["E"]\nby = ["stressor", "region", "sector"]', "those of a part of one"),
        (SCHULTE_TOTALS, 'by = ["stressor", "region"]', 'by = ["stressor"]', "several countries"),
        (SCHULTE_TOTALS, "preset =", "rsd = 0.1\npreset =", "given twice"),
        (SCHULTE_TOTALS, f"components = [{NATIONAL}]", "", "no `components`"),
        (SCHULTE_TOTALS, "schulte2024", "edgar2015", "preset"),
        (DUTCH_TOTALS, 'stressor = ["S0"], ', "", "of one country"),
        (DUTCH_TOTALS, 'time = "ar1"', 'time = "ar1", shared_with = "E"', "independent of all"),
        (DUTCH_TOTALS, "preset =", f"components = [{NATIONAL}]\npreset =", "of its own"),
        (DUTCH_TOTALS, 'preset = { name = "netherlands2000", gas = "CH4", ratio = 0.9, '
         'time = "ar1" }', f"rsd = 0.1\ncomponents = [{NATIONAL}]", "no source is stated"),
    ],
)  # fmt: skip
def test_presets_of_no_countrys_totals_are_refused(
    tmp_path: Path, entry: str, old: str, new: str, message: str
) -> None:
    assert old in entry
    with pytest.raises(ConfigError, match=message):
        loaded(tmp_path, SMALL + entry.replace(old, new))


# --- EDGAR ---------------------------------------------------------------------------------------

HEADER = '"","country","emi","rel.unc.min","rel.unc.max","sector","L1"\n'
ROWS = [
    '"1","R0",30,0.1,0.3,"1.A","CO2"',
    '"2","R0",10,1.2,8.0,"1.B","CO2"',
    '"3","R1",20,0.2,0.2,"1.A","CO2"',
    '"4","R2",5,0.4,0.4,"1.A","CO2"',
    '"5","R1",0,NA,NA,"4.A","CO2"',
    '"6","R0",99,0.2,0.2,"1.A","N2O"',
]
RSD = {"R0 1.A": 0.4 / 3.92, "R0 1.B": 9.2 / 3.92, "R1": 0.4 / 3.92, "R2": 0.8 / 3.92}


def edgar(folder: Path) -> Path:
    path = folder / "edgar.csv"
    path.write_text(HEADER + "\n".join(ROWS) + "\n")
    return path


@pytest.mark.parametrize("r", [0.0, 0.4, 1.0])
def test_a_countrys_rows_add_up_with_the_stated_correlation(tmp_path: Path, r: float) -> None:
    sizes = edgar_sizes(EdgarSizes(edgar(tmp_path), {"S0": "CO2"}, r), "region")
    sd = np.array([30 * RSD["R0 1.A"], 10 * RSD["R0 1.B"]])
    expected = math.sqrt(sd @ np.array([[1, r], [r, 1]]) @ sd) / 40
    assert sizes.keys == ("stressor", "region")
    assert sizes.rsd[("S0", "R0")] == pytest.approx(expected, rel=1e-12)
    assert sizes.rsd[("S0", "R1")] == pytest.approx(RSD["R1"], rel=1e-12)
    assert sizes.unmet == ("R0 1.B CO2: upper half-width 8",)
    assert "1 of the 4 rows used" in sizes.remarks[0]


def test_countries_and_sectors_by_the_users_files(tmp_path: Path) -> None:
    countries, sectors = tmp_path / "countries.csv", tmp_path / "sectors.csv"
    countries.write_text("country,region\nR0,NLD\nR1,ROW\nR2,ROW\n")
    sectors.write_text("ipcc,sector\n1.A,energy\n1.A,transport\n1.B,energy\n")
    asked = EdgarSizes(edgar(tmp_path), {"S0": "CO2"}, 0.0, countries, sectors)
    sizes = edgar_sizes(asked, "region")
    assert sizes.keys == ("stressor", "region", "sector")
    assert sizes.rsd[("S0", "NLD", "transport")] == pytest.approx(RSD["R0 1.A"], rel=1e-12)
    both = math.hypot(30 * RSD["R0 1.A"], 10 * RSD["R0 1.B"]) / 40
    assert sizes.rsd[("S0", "NLD", "energy")] == pytest.approx(both, rel=1e-12)
    rest = math.hypot(20 * RSD["R1"], 5 * RSD["R2"]) / 25
    assert sizes.rsd[("S0", "ROW", "energy")] == pytest.approx(rest, rel=1e-12)


def test_edgar_in_a_configuration(tmp_path: Path) -> None:
    edgar(tmp_path)
    text = (
        'quantity = "E"\nonly = { stressor = ["S0"] }\npreset = { name = "edgar2015", '
        'file = "edgar.csv", gases = { S0 = "CO2" }, correlation = 0.5 }\n'
        f"components = [{NATIONAL}]"
    )
    config = with_entry(tmp_path, text)
    told = "\n".join(workflow.check(config))
    for words in (
        "Solazzo",
        "assumed to correlate by 0.5",
        "upper half-width 8",
        "1 of the 4 rows",
    ):
        assert words in told
    with pytest.raises(ConfigError, match="no correlation between sectors"):
        with_entry(tmp_path, text.replace("0.5", "1.5"))
    with pytest.raises(ConfigError, match="no half-widths of SF6"):
        with_entry(tmp_path, text.replace('"CO2"', '"SF6"'))


@pytest.mark.parametrize(
    ("rows", "message", "where"),
    [
        (['"1","R0",30,-0.1,0.3,"1.A","CO2"'], "is negative", "edgar.csv, line 2"),
        (['"1","R0",30,0.1,0.3,"1.A","CO2"'] * 2, "R0 1.A CO2 is repeated, first in line 2",
         "edgar.csv, line 3"),
        (['"1","R0",5,0.1,0.3,"1.A","CO2"', '"2","R0",-5,0.1,0.3,"1.B","CO2"'],
         "emissions of S0 R0 add up to 0", "edgar.csv, R0 1.A CO2, R0 1.B CO2"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_meant_are_refused(
    tmp_path: Path, rows: list[str], message: str, where: str
) -> None:
    path = tmp_path / "edgar.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n")
    with pytest.raises(TableError, match=message) as caught:
        edgar_sizes(EdgarSizes(path, {"S0": "CO2"}, 0.0), "region")
    assert caught.value.where.endswith(where)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("countries", "sectors", "message"),
    [
        ("R0,NLD\nR9,ROW\n", "1.A,energy\n", "EDGAR has no country 'R9'"),
        ("R0,NLD\nR1,ROW\n", "1.A,energy\n1.C,waste\n", "EDGAR has no sector '1.C'"),
    ],
)
def test_codes_that_edgar_lacks_are_refused(
    tmp_path: Path, countries: str, sectors: str, message: str
) -> None:
    of_countries, of_sectors = tmp_path / "countries.csv", tmp_path / "sectors.csv"
    of_countries.write_text(f"country,region\n{countries}")
    of_sectors.write_text(f"ipcc,sector\n{sectors}")
    asked = EdgarSizes(edgar(tmp_path), {"S0": "CO2"}, 0.0, of_countries, of_sectors)
    with pytest.raises(TableError, match=message) as caught:
        edgar_sizes(asked, "region")
    assert "did you mean" in caught.value.remedy


def test_what_no_sector_of_the_tables_has_is_told(tmp_path: Path) -> None:
    """10 of the 40 Gg of R0; a code that serves two sectors counts once."""
    sectors = tmp_path / "sectors.csv"
    sectors.write_text("ipcc,sector\n1.A,energy\n1.A,transport\n")
    asked = EdgarSizes(edgar(tmp_path), {"S0": "CO2"}, 0.0, None, sectors)
    remark = edgar_sizes(asked, "region").remarks[-1]
    assert remark.endswith("which the sizes leave out: S0 R0 25 %")


# --- names and countries -------------------------------------------------------------------------


def test_a_cell_of_direct_emissions_is_a_whole_country(tmp_path: Path) -> None:
    own = '{ name = "own", weight = 1.0, group = "cell", time = "yearly" }'
    of_F_Y = SCHULTE.replace('"E"', '"F_Y"').replace("{}", own)
    (entry, *_) = with_entry(tmp_path, of_F_Y).errors.errors
    assert entry.components[0].group == ("cell",)
    with pytest.raises(ConfigError) as caught:
        with_entry(tmp_path, SCHULTE.replace('"E"', '"F_Y"').replace("{}", NATIONAL))
    assert '["stressor", "consumer"]' in caught.value.remedy
    with pytest.raises(ConfigError) as caught:
        with_entry(tmp_path, SCHULTE.replace("{}", own))
    assert '["stressor", "region"]' in caught.value.remedy


@pytest.mark.parametrize("kind", ["errors", "known_totals"])
def test_the_dutch_preset_serves_two_stressors_of_one_gas(tmp_path: Path, kind: str) -> None:
    if kind == "errors":
        two = f"{DUTCH_E}\n[[scenarios.base.errors]]\n{DUTCH_E.replace('S0', 'S1')}"
        entries = with_entry(tmp_path, two).errors.errors[:2]
        names = [component.name for entry in entries for component in entry.components]
    else:
        both = DUTCH_TOTALS + DUTCH_TOTALS.replace("S0", "S1")
        totals = loaded(tmp_path, SMALL + both).errors.totals
        names = [component.name for entry in totals for component in entry.components]
    assert len(set(names)) == len(names)
    assert {name.split(",")[0] for name in names} == {
        "netherlands2000 CH4 S0 R0",
        "netherlands2000 CH4 S1 R0",
    }


@pytest.mark.parametrize("ratio", [0.0, -1.0, 0.09, 10.1, 2001.0, math.nan, math.inf])
def test_a_ratio_that_no_decade_has_is_refused(ratio: float) -> None:
    with pytest.raises(ConfigError, match="ten years apart") as caught:
        netherlands_2000_components(Gas.CH4, ratio, ("stressor", "region"))
    assert "between 0.1 and 10" in caught.value.remedy


@pytest.mark.realdata
def test_edgars_rows_that_no_positive_quantity_can_have(data: Path) -> None:
    """2,084 of 4,970 rows with emissions have a lower half-width of 100 % or more, 41 an upper one
    that no mean-one lognormal has."""
    path = data / "uncertainty" / "edgar_ghg2015_tier1_uncertainty_solazzo2021.csv"
    gases = {gas: gas for gas in ("CO2", "CH4", "N2O")}
    sizes = edgar_sizes(EdgarSizes(path, gases, 0.0), "region")
    assert "2084 of the 4970 rows" in sizes.remarks[0]
    assert len(sizes.unmet) == 41
    assert all(" 1.B.2 CH4" in row for row in sizes.unmet)
