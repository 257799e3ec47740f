"""One world through the engine's eyes: from published tables to verdicts on changes of any size.

Footprints are linear in emissions, and no error size depends on how large emissions are. So where
a world's truth had the emissions of all industries and consumers c times as large in the second
year, its published footprint and every draw of it are c times as large, and nothing else differs:
one set of draws judges true changes of every size, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.draws import Draws, draw_exactly, estimated
from engine.error_model import ErrorModel
from engine.kernels import changes as kernel
from engine.kernels.arrays import F64, Bool
from engine.kernels.changes import DetectionRule, Verdict
from engine.prepare import TOLERANCE, Addresses, addresses, prepare
from engine.worlds import Published

VERDICTS = tuple(Verdict)  # what the codes of `Judged` stand for

Codes = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The totals of two years as the engine sees one world (D draws, q indicators, c consumers).

    Attributes:
        first, second: footprints, (D,q,c), NaN where a draw was not accepted.
        estimate_first, estimate_second: of the published tables, (q,c).
        error_first, error_second: bounds on the absolute numerical errors of the draws, (D,q,c).
    """

    first: F64
    second: F64
    estimate_first: F64
    estimate_second: F64
    error_first: F64
    error_second: F64

    def only(self, draws: int) -> View:
        """The same with the first `draws` draws."""
        return View(
            self.first[:draws],
            self.second[:draws],
            self.estimate_first,
            self.estimate_second,
            self.error_first[:draws],
            self.error_second[:draws],
        )


def view(
    published: Published,
    errors: ErrorModel,
    seed: int,
    draws: int,
    *,
    r_max: float = 0.99,
    tolerance: float = TOLERANCE,
    hashes: Addresses | None = None,
) -> View:
    """Draw around the published tables of two years, as if nothing else were known.

    Every draw is exact, also where a run would be in split mode.

    Raises:
        TableError: a published table has a spectral radius that cannot be certified.
    """
    asked = published.question
    hashes = hashes or addresses([table.labels for table in published.tables], asked)
    estimates, drawn = [], []
    for table in published.tables:
        prepared = prepare(
            table, errors, asked, seed, r_max=r_max, tolerance=tolerance, hashes=hashes
        )
        estimates.append(estimated(prepared).footprint[..., 0])
        drawn.append(draw_exactly(prepared, range(draws)))
    totals = [some.footprint[..., 0] for some in drawn]
    bounds = [_bound(some, total) for some, total in zip(drawn, totals, strict=True)]
    return View(*totals, *estimates, *bounds)


def _bound(drawn: Draws, total: F64) -> F64:
    bound: F64 = drawn.certified_error[:, None, None] * np.abs(total)
    return bound


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What the engine says of one world's changes; all (q,c,sizes) but the last two, (q,c).

    Attributes:
        verdict: position in `VERDICTS`.
        limit: -1 or 1 where the probabilities as estimated lie beyond the threshold of a fall or
            a rise: the verdict that more draws would lead to, but for their own scatter.
        covered: whether the coverage interval of delta holds the true change.
        error: of the published change, ln F_t/F_s - delta; NaN where a footprint is not positive.
        sigma: of delta, as the engine finds it.
    """

    verdict: Codes
    limit: Codes
    covered: Bool
    error: F64
    sigma: F64


def judged(seen: View, true: F64, scale: F64, rule: DetectionRule) -> Judged:
    """Verdicts where true changes are imposed by scaling the second year's emissions.

    Args:
        true: delta of the true footprints, (q,c,sizes).
        scale: by which the true emissions of the second year are multiplied to make it so,
            (q,c,sizes).
    """
    found = kernel.change(
        _like(seen.first[..., None], scale),
        seen.second[..., None] * scale,
        _like(seen.estimate_first[..., None], scale),
        seen.estimate_second[..., None] * scale,
        _like(seen.error_first[..., None], scale),
        seen.error_second[..., None] * scale,
        rule,
    )
    change = np.expm1(true)
    covered = (found["relative_low"] <= change) & (change <= found["relative_high"])
    positive = found["scale"][..., 0] == "log"
    return Judged(
        verdict=_codes(found["verdict"]),
        limit=_limit(found, rule),
        covered=covered,
        error=np.where(positive, found["reference_delta"][..., 0] - true[..., 0], np.nan),
        sigma=np.where(positive, found["sigma"][..., 0], np.nan),
    )


def _like(values: F64, scale: F64) -> F64:
    """Repeated for every size of change, without copies."""
    shape = np.broadcast_shapes(values.shape, scale.shape)
    return np.broadcast_to(values, shape)


def _codes(verdicts: NDArray[np.str_]) -> Codes:
    codes = np.zeros(verdicts.shape, dtype=np.int8)
    for place, verdict in enumerate(VERDICTS):
        codes[verdicts == verdict.value] = place
    return codes


def _limit(found: dict[str, NDArray[np.float64]], rule: DetectionRule) -> Codes:
    """The rule of `engine.kernels.changes.verdicts` without its margin for the draws' scatter."""
    half = rule.alpha / 2
    lowest = np.minimum(found["p_decrease_low"], found["p_decrease_reflected_low"])
    highest = np.maximum(found["p_decrease_high"], found["p_decrease_reflected_high"])
    with np.errstate(divide="ignore", invalid="ignore"):
        total = found["draws"] / found["acceptance"]
    falls = (1 + total * (1 - lowest)) / (1 + total) < half
    rises = (1 + total * highest) / (1 + total) < half
    assessed = found["verdict"] != Verdict.NOT_ASSESSED.value
    limit: Codes = np.where(assessed, rises.astype(np.int8) - falls.astype(np.int8), 0)
    return limit.astype(np.int8)
