"""Is the answer numerically safe? What was drawn, rejected and certified, year by year."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from engine.analysis import is_rebalanced, is_split
from engine.draws import DIRECTLY, Status
from engine.kernels.changes import DetectionRule
from engine.report.naming import CODES, Names
from engine.report.numbers import NBSP, NOTHING, number
from engine.report.rows import Row
from engine.report.solving import solved
from engine.report.tables import Line, Table

_LISTED = 12
_HEADS = {  # as the table has them; what is balanced can also fail to be
    Status.ACCEPTED: "Accepted",
    Status.REJECTED_RADIUS: "Radius not certified",
    Status.REJECTED_OUTPUT: "Output lost",
    Status.FAILED: "Failed",
}


@dataclass(frozen=True, slots=True)
class Safety:
    """The sentences and tables of the section."""

    draws: str
    certificate: str
    undecided: str
    table: Table


def safety(
    ensemble: xr.Dataset, changes: Sequence[Row], rule: DetectionRule, names: Names = CODES
) -> Safety:
    """What the ensemble's diagnostics say.

    Args:
        ensemble: dims draw, year; `status`, `certified_error` and `column_sums_above_one`.
        changes: every change, for the verdicts that more draws could settle.
        rule: says how sure of the counting a verdict has to be.
    """
    status = ensemble["status"].transpose("draw", "year").values
    error = ensemble["certified_error"].transpose("draw", "year").values
    worst = float(np.max(error, where=status == Status.ACCEPTED, initial=0.0))
    return Safety(
        _draws(status),
        _certificate(worst, split=is_split(ensemble)) + f" {solved(ensemble)}",
        _undecided(changes, rule, names),
        _table(ensemble, status, error),
    )


def _certificate(worst: float, *, split: bool) -> str:
    if split:
        return (
            "Certified errors do not apply to split mode. The last term of the series that stands "
            f"for the solution of a draw was {_power(worst)} of its total at most; what split mode "
            "costs altogether was measured, below."
        )
    return (
        f"Every accepted draw was solved with a certificate: its totals are within a relative "
        f"error of {_power(worst)} of the exact solution. A change is only assessed when its "
        "standard uncertainty is more than ten times this error."
    )


def _draws(status: np.ndarray[Any, Any]) -> str:
    draws, lost = status.shape[0], int((status != Status.ACCEPTED).sum())
    each = (
        f"{number(draws, 0)} draws of each year, paired: a draw keeps its number, and with it the "
        "errors that years share, through all years."
    )
    if not lost:
        return f"{each} All were accepted."
    return (
        f"{each} {number(lost, 0)} of {number(status.size, 0)} were not accepted. A draw that is "
        "missing in a year leaves every pair with that year; a verdict has to hold whatever the "
        "missing draws would have shown, and the tables give the range of the probability."
    )


def _undecided(changes: Sequence[Row], rule: DetectionRule, names: Names) -> str:
    waiting = [row for row in changes if row["verdict"] == "needs more draws"]
    if not waiting and (near := sum(row["verdict"] == "borderline" for row in changes)):
        return (
            f"At the largest number of draws allowed, {near} of {len(changes)} verdicts are "
            "borderline: their probability lies too near the limit to tell on which side, and they "
            "are treated as not detectable."
        )
    if not waiting:
        return (
            "No verdict waits for more draws: each lies on one side of its limit with "
            f"{100 * (1 - rule.monte_carlo_error):.4g}{NBSP}% confidence in the counting."
        )
    whose = Counter(
        f"{names.of(row['consumer'])}, {names.of(row['stressor'])}, {row['part']}"
        for row in waiting
    )
    listed = [f"{name} ({times})" for name, times in whose.items()]
    more = "; and others" if len(listed) > _LISTED else ""
    return (
        f"More draws could decide {len(waiting)} of {len(changes)} verdicts: "
        f"{'; '.join(listed[:_LISTED])}{more}. The file verdicts.csv names each."
    )


def _table(
    ensemble: xr.Dataset, status: np.ndarray[Any, Any], error: np.ndarray[Any, Any]
) -> Table:
    corrections = ensemble["corrections"].transpose("draw", "year").values
    sums = ensemble["column_sums_above_one"].transpose("draw", "year").values
    heads = dict(_HEADS)
    if is_rebalanced(ensemble):
        heads[Status.REJECTED_BALANCE] = "Not balanced"
    lines = []
    for column, year in enumerate(ensemble["year"].values):
        counted = [int((status[:, column] == code).sum()) for code in heads]
        accepted = status[:, column] == Status.ACCEPTED
        lines.append(
            Line(
                (
                    str(int(year)),
                    *(number(n, 0) for n in counted),
                    number(int(((corrections[:, column] == DIRECTLY) & accepted).sum()), 0),
                    number(int((sums[:, column] > 0).sum()), 0),
                    _power(float(error[accepted, column].max())) if accepted.any() else NOTHING,
                )
            )
        )
    last = "Largest last term" if is_split(ensemble) else "Largest certified error"
    return Table(
        "What became of the draws. Column sums above one are allowed while the spectral radius "
        "stays certified.",
        ("Year", *heads.values(), "Solved directly", "With column sums above 1", last),
        tuple(lines),
    )


def _power(value: float) -> str:
    """`3 × 10⁻¹³`, rounded up: a bound must stay one."""
    if not np.isfinite(value) or value <= 0:
        return NOTHING
    exponent = int(np.floor(np.log10(value)))
    digit = int(np.ceil(value / 10.0**exponent - 1e-9))
    if digit == 10:
        digit, exponent = 1, exponent + 1
    raised = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digit}{NBSP}×{NBSP}10{raised}"
