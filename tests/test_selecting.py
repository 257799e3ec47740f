"""Rows of satellite accounts that make up a stressor: by name, in a unit that is known."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from engine.errors import ConfigError, TableError
from engine.readers.selecting import Rows, selected

NAMES, UNITS = ("CO2 - coal", "CH4", "CO2 - gas", "heat"), ("kg", "t", "kg", "")
ACCOUNT = np.array([[1.0, 2.0], [4.0, 8.0], [16.0, 32.0], [64.0, 128.0]])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rows": ()}, "no rows are named"),
        ({"rows": ("a", "a")}, "a row is named twice"),
        ({"factor": 0.0}, "the factor is 0"),
        ({"factor": float("nan")}, "the factor is nan"),
        ({"factor": -1.0, "file_unit": "t"}, "the factor is -1"),
        ({"factor": 2.0}, "a factor of 2.0 from 'kg' to itself"),
        ({"factor": 1e-6, "file_unit": "kg"}, "a factor of 1e-06 from 'kg' to itself"),
        ({"file_unit": "t"}, "no factor from 't' to 'kg'"),
        ({"unit": "kt", "file_unit": "kg", "factor": 1e-3}, "does not make kt of kg"),
        (
            {"unit": "Mt CO2 eq.", "file_unit": "kg CO2 eq.", "factor": 1e-6},
            "does not make Mt CO2 eq. of kg CO2 eq.",
        ),
    ],
)
def test_rows_that_contradict_themselves_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Rows(**{"rows": ("a",), "unit": "kg", **wrong})  # type: ignore[arg-type]
    assert caught.value.remedy


def test_a_misspelt_factor_is_refused() -> None:
    with pytest.raises(ValidationError, match="factr"):
        TypeAdapter(Rows).validate_json('{"rows": ["a"], "unit": "kg", "factr": 1e-3}')


def test_rows_are_summed_in_the_unit_asked_for_a_batch_at_a_time() -> None:
    asked = {
        "GHG": Rows((NAMES[0], NAMES[2]), "kt", "kg", 1e-6),
        "CO2": Rows((NAMES[2],), "kilogrammes", "kg", 1.0),  # another word for the unit
        "CH4": Rows((NAMES[1],), "t"),
    }
    chosen = selected(asked, NAMES, UNITS)
    total, variance = np.zeros((3, 2)), np.zeros((3, 2))
    for first in (0, 3):
        chosen.add(total, first, ACCOUNT[first : first + 3])
        chosen.squared().add(variance, first, ACCOUNT[first : first + 3] ** 2)
    np.testing.assert_allclose(total, [[17e-6, 34e-6], [16, 32], [4, 8]], rtol=1e-15)
    np.testing.assert_allclose(variance, [[257e-12, 1028e-12], [256, 1024], [16, 64]], rtol=1e-15)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Rows(("CO2 - cole",), "kg"), r"account has no rows 'CO2 - cole'(.|\n)*'CO2 - coal'"),
        (Rows(("CH4",), "kg"), "S: row 'CH4' is in t, the configuration takes it for kg"),
        (Rows(("heat",), "TJ"), "S: row 'heat' is in no stated unit"),
    ],
)
def test_rows_that_the_account_has_not_so_are_refused(asked: Rows, words: str) -> None:
    with pytest.raises(TableError, match=words):
        selected({"S": asked}, NAMES, UNITS)
    with pytest.raises(TableError, match="2 rows"):
        selected({"S": Rows(("CH4",), "t")}, (*NAMES, "CH4"), (*UNITS, "t"))
