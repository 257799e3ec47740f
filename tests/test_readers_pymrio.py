"""The test table that pymrio carries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pymrio
import pytest

from engine.errors import ConfigError, TableError
from engine.readers import Pymrio, read, years
from engine.readers.selecting import Rows

AIR = Rows(("emission_type1 - air",), "kg")
TEST = Pymrio("emissions", {"air": AIR}, year=2011)


def test_the_test_table_is_pymrios_and_says_that_it_is_made_up() -> None:
    assert years(TEST) == (2011,)
    table, theirs = read(TEST, 2011), pymrio.load_test()
    np.testing.assert_array_equal(table.Z, theirs.Z.to_numpy())
    np.testing.assert_allclose(table.Y.sum(axis=1), theirs.Y.sum(axis=1), rtol=1e-14)
    np.testing.assert_array_equal(table.E[0], theirs.emissions.F.to_numpy()[0])
    theirs.calc_all()
    np.testing.assert_allclose(table.x, theirs.x.to_numpy()[:, 0], rtol=1e-12)
    assert table.provenance.synthetic
    assert table.labels.industries[0] == ("reg1", "food")
    with pytest.raises(TableError, match=r"no table of 2012.*\n.*2011"):
        read(TEST, 2012)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"extension": "emision"}, "no extension 'emision'.*\n.*did you mean 'emissions'"),
        ({"extension": "meta"}, "no extension 'meta'"),
        (
            {"stressors": {"air": Rows(("emission_type1",), "kg")}},
            "mean 'emission_type1 - air'",
        ),
        (
            {"stressors": {"air": Rows(AIR.rows, "kt")}},
            "is in kg, the configuration takes it for kt",
        ),
    ],
)
def test_a_selection_that_the_test_table_lacks_is_refused(
    changed: dict[str, object], message: str
) -> None:
    with pytest.raises(TableError, match=message):
        read(replace(TEST, **changed), 2011)


def test_a_source_without_stressors_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        replace(TEST, stressors={})
    assert caught.value.remedy
