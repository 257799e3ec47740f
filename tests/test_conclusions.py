"""What several verdicts come to: the whole truth table, up to two of each."""

from __future__ import annotations

from itertools import permutations

import pytest

from engine.kernels.changes import Verdict
from engine.kernels.conclusions import Conclusion, conclusion

FALL, RISE, NO = Verdict.DECREASE, Verdict.INCREASE, Verdict.NOT_DETECTABLE
NEAR, OPEN, BLIND = Verdict.BORDERLINE, Verdict.NEEDS_MORE_DRAWS, Verdict.NOT_ASSESSED

TABLE = {
    (FALL,): "robust",
    (RISE, RISE): "robust",
    (NO,): "robustly not",
    (NO, NEAR): "robustly not",
    (NEAR, NEAR): "robustly not",
    (FALL, NO): "depends",
    (RISE, NEAR): "depends",
    (FALL, BLIND): "depends",
    (NO, BLIND): "depends",
    (NEAR, BLIND, OPEN): "depends",
    (FALL, NO, OPEN): "depends",
    (FALL, BLIND, OPEN): "depends",
    (FALL, RISE): "contradictory",
    (FALL, RISE, NO): "contradictory",
    (FALL, RISE, OPEN): "contradictory",
    (FALL, RISE, NO, NEAR, OPEN, BLIND): "contradictory",
    (OPEN,): "open",
    (FALL, OPEN): "open",
    (NO, OPEN): "open",
    (NEAR, OPEN): "open",
    (BLIND, OPEN): "open",
    (BLIND,): "not assessed",
    (BLIND, BLIND): "not assessed",
}


@pytest.mark.parametrize(("verdicts", "expected"), TABLE.items())
def test_the_conclusion_does_not_hang_on_order_or_number(
    verdicts: tuple[Verdict, ...], expected: str
) -> None:
    for order in list(permutations(verdicts))[:24]:
        assert conclusion(order) == expected
        assert conclusion([str(verdict) for verdict in (*order, *order)]) == expected


@pytest.mark.parametrize("settled", [FALL, RISE, NO, NEAR, BLIND])
def test_open_is_open_because_more_draws_could_change_it(settled: Verdict) -> None:
    """Whatever an open verdict turns into, a conclusion that is not open stays or sharpens."""
    if conclusion([settled, OPEN]) is Conclusion.OPEN:
        ways = {conclusion([settled, other]) for other in (FALL, RISE, NO)}
        assert len(ways) > 1 or settled is BLIND


def test_every_conclusion_has_a_meaning_and_what_is_none_is_refused() -> None:
    assert all(kind.meaning for kind in Conclusion)
    with pytest.raises(ValueError, match="needs a verdict"):
        conclusion([])
    with pytest.raises(ValueError, match="nonsense"):
        conclusion(["nonsense"])
