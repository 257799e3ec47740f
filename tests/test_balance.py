"""What is held against the totals of the same file: how far apart is told, and how far refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.errors import TableError
from engine.readers.balance import refuse_unbalanced
from engine.readers.own_totals import gap, told

INDUSTRIES = [("NL", "A"), ("NL", "B")]


def balanced(off: float) -> None:
    """Two industries that make 1,000 in all, one of which sells `off` more."""
    made = np.array([900.0, 100.0])
    refuse_unbalanced(
        made + np.array([0.0, off]), made, INDUSTRIES, "its output is", "download it again"
    )


@pytest.mark.parametrize("off", [0.0, 9.9, -9.9])
def test_a_hundredth_of_all_output_is_let_pass(off: float) -> None:
    balanced(off)


@pytest.mark.parametrize("off", [10.1, -10.1, math.nan, math.inf])
def test_more_than_a_hundredth_is_refused_with_the_worst_row(off: float) -> None:
    with pytest.raises(TableError, match=r"row of NL_B adds up to .*, its output is 100"):
        balanced(off)


def test_gaps_do_not_make_up_for_each_other() -> None:
    made = np.array([500.0, 500.0])
    with pytest.raises(TableError, match="does not balance"):
        refuse_unbalanced(
            made + np.array([6.0, -6.0]), made, INDUSTRIES, "its output is", "download it again"
        )


@pytest.mark.parametrize(
    ("share", "refused"), [(0.49, False), (-0.49, False), (0.51, True), (-0.51, True)]
)
def test_half_of_a_total_is_no_adjustment(share: float, refused: bool) -> None:
    off = gap([100 * (1 + share), 0.125], 100.125)
    assert off == pytest.approx(100 * share / 100.125)
    if refused:
        with pytest.raises(TableError, match="the account's own total"):
            told({"NL": off}, "the emissions of", again="download it again")
    else:
        (words,) = told({"NL": off}, "the emissions of", again="download it again")
        assert words.startswith("warning: the emissions of NL are 49 % ")


def test_rounding_to_the_last_digit_is_no_gap() -> None:
    """Each of 3 numbers may be off by half of a tenth."""
    assert gap([1.1, 2.2], 3.4) == 0.0
    assert gap([1.1, 2.2], 3.6) == pytest.approx(-0.3 / 3.6)
    assert gap([1e6], 0.0) == math.inf
