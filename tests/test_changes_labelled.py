"""The labelled faces: the kernel's numbers under the right names, and the tables made of them."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import xarray as xr

from engine.analysis.changes import changes
from engine.analysis.levels import levels
from engine.analysis.tables import (
    number,
    places,
    probability,
    signed,
    text_table,
    to_csv,
    to_json,
    verdict_table,
)
from engine.errors import InputError
from engine.kernels.changes import DetectionRule, Verdict, change

YEARS = (2000, 2001, 2005)
PARTS = ("total", "domestic", "foreign", "direct")
CELL = ("stressor", "consumer", "part")
SAMPLED = [
    "acceptance",
    "change_mean",
    "change_median",
    "change_sd",
    "change_low",
    "change_high",
    "delta_mean",
    "delta_median",
    "interval_low",
    "interval_high",
    "quantile_low",
    "quantile_high",
    "sigma",
    "relative_low",
    "relative_high",
    "p_decrease",
    "p_decrease_reflected",
    "s1",
    "s2",
    "rho",
    "mdc",
    "mdc_increase",
    "mdc_increase_percent",
    "mdc_decrease",
    "mdc_decrease_percent",
    "rho_break_even",
    "p_decrease_low",
    "p_decrease_high",
    "p_decrease_reflected_low",
    "p_decrease_reflected_high",
]
OTHER = [
    "draws",
    "reference_change",
    "relative_change",
    "reference_delta",
    "scale",
    "asymmetric",
    "against",
    "verdict",
]


def ensemble(draws: int = 640, rejected: int = 0, seed: int = 1) -> xr.Dataset:
    """Three years, two stressors, two consumers; the vector buys no direct emissions.

    The footprint of `R` falls by 30 % from 2001 to 2005, that of the vector stays.
    """
    rng = np.random.default_rng(seed)
    reference = np.ones((3, 2, 2, 4)) * np.array([1.0, 0.6, 0.4, 0.0])
    reference[:, :, 0, 3] = 0.2
    reference[:, :, 0, 0] = 1.2
    reference[2, :, 0] *= 0.7
    reference *= np.array([100.0, 5.0])[:, None, None]
    parts = reference[..., 1:] * np.exp(0.05 * rng.standard_normal((draws, 3, 2, 2, 3)))
    footprint = np.concatenate([parts.sum(axis=-1, keepdims=True), parts], axis=-1)
    status = np.zeros((draws, 3), dtype=np.uint8)
    status[:rejected, 1] = 1
    footprint[status > 0] = np.nan
    return xr.Dataset(
        {
            "footprint": (("draw", "year", *CELL), footprint),
            "reference": (("year", *CELL), reference),
            "status": (("draw", "year"), status),
            "certified_error": (("draw", "year"), np.where(status > 0, np.nan, 1e-13)),
        },
        coords={
            "draw": np.arange(draws),
            "year": list(YEARS),
            "stressor": ["CO2", "CH4"],
            "consumer": ["R", "a company"],
            "part": list(PARTS),
            "stressor_unit": ("stressor", ["kt", "t"]),
        },
        attrs={"title": "made up", "synthetic": True, "digest": "0"},
    )


# --- changes --------------------------------------------------------------------------------------


def test_names_dimensions_and_attributes() -> None:
    found = changes(ensemble())
    assert found.sizes == {"pair": 3, "stressor": 2, "consumer": 2, "part": 4}
    assert list(zip(found.from_year.values, found.to_year.values, strict=True)) == [
        (2000, 2001),
        (2000, 2005),
        (2001, 2005),
    ]
    assert set(found.data_vars) == {*OTHER, *SAMPLED, *(f"{name}_mcse" for name in SAMPLED)}
    assert found.stressor_unit.values.tolist() == ["kt", "t"]
    assert found.attrs["synthetic"] is True
    assert (found.attrs["confidence"], found.attrs["power"]) == (0.95, 0.80)
    for variable in found.data_vars.values():
        assert variable.attrs["long_name"]
        assert variable.dims == ("pair", *CELL)


def test_every_number_is_the_kernels() -> None:
    given = ensemble(rejected=30)
    rule = DetectionRule(confidence=0.9, power=0.7)
    found = changes(given, rule)
    F, reference = given["footprint"].values, given["reference"].values
    error = given["certified_error"].values[..., None, None, None] * np.abs(F[..., :1])
    for pair, (s, t) in enumerate([(0, 1), (0, 2), (1, 2)]):
        expected = change(
            F[:, s], F[:, t], reference[s], reference[t], error[:, s], error[:, t], rule
        )
        assert set(expected) == set(found.data_vars)
        for name, values in expected.items():
            here = found[name].values[pair]
            if values.dtype.kind == "f":
                np.testing.assert_array_equal(here, values)
            else:
                assert (here == values).all()
    assert found["draws"].values[:, 0, 0, 0].tolist() == [610, 640, 610]


def test_verdicts_of_a_fall_of_a_constant_and_of_what_does_not_exist() -> None:
    found = changes(ensemble()).sel(stressor="CO2")
    fall = found.sel(consumer="R", part="total")
    assert fall["verdict"].values.tolist()[1:] == ["decrease", "decrease"]
    assert found.sel(consumer="a company", part="total")["verdict"].values[0] == "not detectable"
    nothing = found.sel(consumer="a company", part="direct")
    assert set(nothing["verdict"].values) == {"not assessed"}
    assert set(nothing["scale"].values) == {"raw"}


def test_the_order_of_dimensions_and_years_does_not_matter() -> None:
    given = ensemble(rejected=5)
    plain = changes(given)
    turned = given.transpose("part", "consumer", "year", "stressor", "draw")
    xr.testing.assert_identical(changes(turned), plain)
    xr.testing.assert_identical(changes(given.isel(year=[2, 0, 1])), plain)


def test_pairs_and_names_can_be_chosen() -> None:
    given = ensemble()
    whole = changes(given)
    some = changes(given, pairs=[(2001, 2005)], consumer="R", stressor=["CH4"])
    assert some.sizes == {"pair": 1, "stressor": 1, "consumer": 1, "part": 4}
    expected = whole.isel(pair=[2]).sel(stressor=["CH4"], consumer=["R"])
    xr.testing.assert_equal(some, expected)
    back = changes(given, pairs=[(2005, 2001)])
    assert back["verdict"].sel(stressor="CO2", consumer="R", part="total").item() == "increase"


@pytest.mark.parametrize("year", [2000, 2001])
def test_a_small_part_inherits_the_numerical_error_of_its_total(year: int) -> None:
    """An error certified relative to the total weighs a thousand times more on a part of .1 %."""
    given = ensemble()
    given["footprint"].loc[{"part": "foreign"}] *= 1e-3
    given["reference"].loc[{"part": "foreign"}] *= 1e-3
    # sigma of the part is .07; ten times its error is .12 by the total of 120 in either year, and
    # would be .02 by the direct part of 20, 4e-5 by the part's own size.
    given["certified_error"][:] = 0.0
    given["certified_error"].loc[{"year": year}] = 4e-6
    found = changes(given, consumer="R").isel(pair=0, stressor=0, consumer=0)["verdict"]
    assert found.sel(part="total") != Verdict.NOT_ASSESSED
    assert found.sel(part="foreign") == Verdict.NOT_ASSESSED


def test_draws_that_are_not_there_yet_are_not_rejected_ones() -> None:
    given = ensemble(rejected=3)
    given["status"][100:, 2] = 255
    given["footprint"][100:, 2] = np.nan
    found = changes(given).isel(stressor=0, consumer=0, part=0)
    assert found["draws"].values.tolist() == [637, 100, 97]
    assert found["acceptance"].values == pytest.approx([637 / 640, 1.0, 0.97])
    assert levels(given)["draws"].values[:, 0, 0, 0].tolist() == [640, 637, 100]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda e: changes(e, consumer="NLD"), "no consumer NLD"),
        (lambda e: changes(e, stressor="SF6"), "no stressor SF6"),
        (lambda e: changes(e, pairs=[(2000, 2003)]), "no year 2003"),
        (lambda e: changes(e, pairs=[]), "no pair of years"),
        (lambda e: changes(e.sel(year=[2000])), "no pair of years"),
        (lambda e: changes(e.sel(consumer="R")), "no dimension `consumer`"),
        (lambda e: levels(e.sel(year=2000)), "no dimension `year`"),
        (lambda e: changes(e.sel(part=["domestic"])), "`total`"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(spoil, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=words) as caught:
        spoil(ensemble())
    assert caught.value.remedy


# --- levels ---------------------------------------------------------------------------------------


def test_levels_are_those_of_the_accepted_draws() -> None:
    given = ensemble(rejected=20)
    found = levels(given)
    accepted = given["footprint"].values[20:, 1]
    one = found.sel(year=2001)
    np.testing.assert_allclose(one["mean"], accepted.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(one["sd"], accepted.std(axis=0, ddof=1), rtol=1e-13)
    np.testing.assert_allclose(one["median"], np.median(accepted, axis=0), rtol=1e-13)
    for q in (0.025, 0.25, 0.75, 0.975):
        expected = np.quantile(accepted, q, axis=0, method="median_unbiased")
        np.testing.assert_allclose(one["quantiles"].sel(quantile=q), expected, rtol=1e-13)
    assert (one["draws"] == 620).all()
    assert (found["reference"] == given["reference"]).all()
    assert found["quantiles"].dims == ("year", "quantile", *CELL)
    assert np.isnan(one["relative_sd"].sel(consumer="a company", part="direct")).all()
    for name in ("mean", "median", "sd", "relative_sd", "quantiles"):
        assert f"{name}_mcse" in found


def test_levels_add_the_interval_of_the_rule() -> None:
    found = levels(ensemble(), DetectionRule(confidence=0.8), consumer="R")
    assert found["quantile"].values.tolist() == [0.025, 0.1, 0.25, 0.75, 0.9, 0.975]
    assert found["consumer"].values.tolist() == ["R"]


# --- tables ---------------------------------------------------------------------------------------


def test_rows_are_plain_and_complete() -> None:
    found = changes(ensemble(), pairs=[(2000, 2005)])
    rows = verdict_table(found)
    assert len(rows) == 16
    first = rows[0]
    assert [first[key] for key in ("stressor", "unit", "consumer", "part")] == [
        "CO2",
        "kt",
        "R",
        "total",
    ]
    assert (first["from_year"], first["to_year"]) == (2000, 2005)
    cell = found.isel(pair=0, stressor=0, consumer=0, part=0)
    for name in found.data_vars:
        assert first[str(name)] == cell[name].item()
    assert first["meaning"] == Verdict(first["verdict"]).meaning
    kinds = {type(value) for row in rows for value in row.values()}
    assert kinds <= {str, int, float, bool, type(None)}


def test_json_and_csv_hold_the_same_rows() -> None:
    rows = verdict_table(changes(ensemble()))
    assert json.loads(to_json({"changes": rows})) == {"changes": rows}
    assert "NaN" not in to_json({"changes": rows})
    read = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert len(read) == len(rows)
    for text, row in zip(read, rows, strict=True):
        assert text == {key: "" if value is None else str(value) for key, value in row.items()}
    assert json.loads(to_json({})) == {}


def test_the_text_table_shows_consecutive_years_then_the_whole_span() -> None:
    rows = verdict_table(changes(ensemble(), stressor="CO2", consumer="R"))
    text = text_table(rows)
    total = text.split("\n\n")[0].splitlines()
    assert total[0] == "R, CO2 [kt], total"
    assert [line.split()[0] for line in total[2:]] == ["2000-2001", "2001-2005", "2000-2005"]
    assert "95 % interval" in total[1]
    assert total[3].endswith("decrease")
    assert "100 %" not in text
    every = text_table(rows, all_pairs=True).split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in every[2:]] == ["2000-2001", "2000-2005", "2001-2005"]


def test_a_line_of_the_text_table_to_the_digit() -> None:
    row = verdict_table(changes(ensemble()))[0] | {
        "relative_change": -0.08123,
        "relative_low": -0.1397,
        "relative_high": -0.0155,
        "p_decrease": 0.99312,
        "draws": 10_000,
        "sigma": 0.03456,
        "mdc_decrease_percent": 9.2311,
        "verdict": "decrease",
        "asymmetric": False,
    }
    line = text_table([row]).splitlines()[2]
    cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
    expected = ["2000-2001", "-8.1 %", "-14.0 to -1.6 %", "99.3 %", "3.5 %", "9.2 %", "decrease"]
    assert cells == expected


def test_raw_changes_are_printed_in_their_unit_and_unassessed_ones_not_at_all() -> None:
    given = ensemble()
    given["footprint"].loc[{"stressor": "CO2", "part": "foreign"}] -= 40.0
    given["reference"].loc[{"stressor": "CO2", "part": "foreign"}] -= 40.0
    rows = verdict_table(changes(given, stressor="CO2"))
    raw = [r for r in rows if r["part"] == "foreign" and r["consumer"] == "a company"]
    assert all(row["mdc_decrease_percent"] is None for row in raw)
    line = text_table(raw).splitlines()[2]
    assert " kt" in line
    assert "nan" not in line
    nothing = [r for r in rows if r["part"] == "direct" and r["consumer"] == "a company"]
    line = text_table(nothing).splitlines()[2]
    assert line.split() == ["2000-2001", "0.0", "kt", "-", "-", "-", "-", "not", "assessed"]


def test_rejected_draws_are_named_under_the_table() -> None:
    assert "of the draws" not in text_table(verdict_table(changes(ensemble())))
    assert "90.0 % of the draws" in text_table(verdict_table(changes(ensemble(rejected=64))))


@pytest.mark.parametrize(
    ("p", "draws", "shown"),
    [
        (0.962, 1000, "96 %"),
        (0.5, 1000, "50 %"),
        (0.9931, 10_000, "99.3 %"),
        (0.9996, 100_000, "> 99.9 %"),
        (1.0, 100_000, "> 99.9 %"),
        (1.0, 1000, "> 99.4 %"),
        (0.0, 100_000, "< 0.1 %"),
        (0.0, 1000, "< 0.6 %"),
        (0.004, 10_000, "0.4 %"),
        (0.04, 1000, "4 %"),
        (None, 1000, "-"),
    ],
)
def test_probabilities_promise_no_certainty(p: float | None, draws: int, shown: str) -> None:
    assert probability(p, draws) == shown


def test_no_probability_is_printed_as_certain() -> None:
    for draws in (64, 640, 10**6):
        for count in {0, 1, 2, draws // 2, draws - 2, draws - 1, draws}:
            text = probability(count / draws, draws)
            assert text not in ("0 %", "0.0 %", "100 %", "100.0 %", "> 100.0 %", "< 0.0 %")


def test_two_significant_digits() -> None:
    assert [places(u) for u in (3.41, 0.0996, 834.0, 9.96, 0.0, None)] == [1, 2, -1, 0, 1, 1]
    assert number(834.0, places(834.0)) == "830"
    assert (signed(0.04, 1), signed(-0.04, 1), signed(1.26, 1)) == ("0.0", "0.0", "+1.3")
    assert number(float("nan"), 1) == "-"
