"""From the judgements of many worlds to rates, each with what so many worlds can tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.analysis.tables import aligned, number, plain
from engine.kernels.arrays import F64, Bool
from engine.kernels.changes import DetectionRule, Verdict
from engine.kernels.monte_carlo import clopper_pearson, probability, sd
from engine.kernels.operating import (
    Scatter,
    covered_by_counting,
    decided,
    decided_by_counting,
    most_against,
)
from engine.studies.sight import VERDICTS

Row = dict[str, Any]
Some = TypeVar("Some", F64, Bool)
LEVEL = 0.95  # of the intervals of rates


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What the engine said in every world; worlds on axis 0, then as in `sight.Judged`."""

    verdict: NDArray[np.int8]
    limit: NDArray[np.int8]
    covered: Bool
    error: F64
    sigma: F64


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """To first order: true changes, (q,c,sizes), laws of delta, (q,c), and draws a world."""

    true: F64
    world: Scatter
    believed: Scatter
    draws: int


def rates(seen: Outcomes, expected: Expected, rule: DetectionRule) -> dict[str, F64]:
    """Rates by the names of a row, (q,c,sizes) each.

    A verdict is right where it states the direction of the true change; of no change, any
    direction is wrong, and `detected` is the rate of false positives.
    """
    true, worlds = expected.true, len(seen.verdict)
    decrease, increase = (
        seen.verdict == VERDICTS.index(v) for v in (Verdict.DECREASE, Verdict.INCREASE)
    )
    found: dict[str, F64] = {}
    counted = {
        "detected": _right(true, decrease, increase),
        "limit": _right(true, seen.limit < 0, seen.limit > 0),
        "wrong_direction": np.where(true < 0, increase, np.where(true > 0, decrease, False)),
        "needs_more_draws": seen.verdict == VERDICTS.index(Verdict.NEEDS_MORE_DRAWS),
        "not_assessed": seen.verdict == VERDICTS.index(Verdict.NOT_ASSESSED),
        "coverage": seen.covered,
    }
    for name, happened in counted.items():
        count = happened.sum(axis=0)
        estimate = probability(count, worlds)
        low, high = clopper_pearson(count, worlds, LEVEL)
        found |= {name: estimate.value, f"{name}_mcse": estimate.mcse}
        found |= {f"{name}_low": low, f"{name}_high": high}
    found["theory_detected"] = _right(true, *_counted(expected, rule))
    found["theory_limit"] = _right(true, *decided(true, *_laws(expected), rule))
    found["theory_coverage"] = _covered(expected, rule)
    scatter = sd(seen.error)
    each = {
        "sigma_world": scatter.value,
        "sigma_world_mcse": scatter.mcse,
        "theory_sigma_world": expected.world.sigma,
        "sigma_believed": np.median(seen.sigma, axis=0),
        "theory_sigma_believed": expected.believed.sigma,
    }
    return found | {name: np.broadcast_to(v[..., None], true.shape) for name, v in each.items()}


def _laws(expected: Expected) -> tuple[Scatter, Scatter]:
    world, believed = (
        Scatter(law.sigma[..., None], law.shift[..., None])
        for law in (expected.world, expected.believed)
    )
    return world, believed


def _counted(expected: Expected, rule: DetectionRule) -> tuple[F64, F64]:
    """What so many draws are expected to decide, (q,c,sizes) each."""
    most = most_against(expected.draws, rule, margin=True)
    falls, rises = np.empty_like(expected.true), np.empty_like(expected.true)
    for place in np.ndindex(*expected.true.shape):
        world, believed = _laws_at(expected, place[:2])
        falls[place], rises[place] = decided_by_counting(
            float(expected.true[place]), world, believed, expected.draws, most
        )
    return falls, rises


def _covered(expected: Expected, rule: DetectionRule) -> F64:
    """How often intervals of so many draws are expected to hold the truth, (q,c,sizes)."""
    found = np.empty_like(expected.true)
    for place in np.ndindex(*expected.true.shape[:2]):
        laws = _laws_at(expected, place)
        found[place] = covered_by_counting(*laws, expected.draws, rule)  # whatever the size
    return found


def _laws_at(expected: Expected, place: tuple[int, ...]) -> tuple[Scatter, Scatter]:
    world, believed = (
        Scatter(law.sigma[place], law.shift[place]) for law in (expected.world, expected.believed)
    )
    return world, believed


def _right(true: F64, fell: Some, rose: Some) -> Some:
    """What states the true direction; of no change, what states any."""
    right: Some = np.where(true < 0, fell, np.where(true > 0, rose, fell + rose))
    return right


# --- rows and text -------------------------------------------------------------------------------


def rows(
    labels: Row,
    stressors: Sequence[str],
    consumers: Sequence[str],
    true: F64,
    found: dict[str, F64],
) -> list[Row]:
    """One flat row for every stressor, consumer and true change; the last change is the MDC."""
    listed = []
    for q, c, size in np.ndindex(*true.shape):
        at_mdc = size == true.shape[2] - 1
        row: Row = labels | {
            "stressor": stressors[q],
            "consumer": consumers[c],
            "true_change_percent": 100 * float(np.expm1(true[q, c, size])),
            "true_delta": float(true[q, c, size]),
            "minimum_detectable": at_mdc,
        }
        listed.append(row | {name: plain(values[q, c, size]) for name, values in found.items()})
    return listed


_HEADER = (
    "true change",
    "detected",
    "theory",
    "open",
    "with more draws",
    "theory",
    "wrong way",
    "covered",
    "theory",
)


def text(listed: Sequence[Row]) -> str:
    """A table for each pair of scenarios, stressor and consumer."""
    tables: dict[tuple[str, str, str, str], list[Row]] = {}
    names = ("truth", "believed", "stressor", "consumer")
    for row in listed:
        world, believed, stressor, consumer = (str(row[name]) for name in names)
        tables.setdefault((world, believed, stressor, consumer), []).append(row)
    shown = []
    for (world, believed, stressor, consumer), own in tables.items():
        held = "rightly" if world == believed else "wrongly"
        first = own[0]
        title = (
            f"{consumer}, {stressor}, {first['from_year']}-{first['to_year']}: errors of "
            f"`{world}`, {held} taken for `{believed}`; {first['worlds']} worlds, sigma of the "
            f"change {_percent(first['sigma_world'])} %, taken for "
            f"{_percent(first['sigma_believed'])} %"
        )
        ordered = sorted(own, key=lambda row: -row["true_delta"])
        shown.append("\n".join([title, *aligned([_HEADER, *map(_line, ordered)])]))
    return "\n\n".join(shown)


def _line(row: Row) -> list[str]:
    mark = " (MDC)" if row["minimum_detectable"] else ""
    return [
        f"{number(row['true_change_percent'], 1)} %{mark}",
        _with_interval(row, "detected"),
        f"{_percent(row['theory_detected'])} %",
        f"{_percent(row['needs_more_draws'])} %",
        _with_interval(row, "limit"),
        f"{_percent(row['theory_limit'])} %",
        f"{_percent(row['wrong_direction'])} %",
        _with_interval(row, "coverage"),
        f"{_percent(row['theory_coverage'])} %",
    ]


def _with_interval(row: Row, name: str) -> str:
    low, high = (_percent(row[f"{name}_{end}"]) for end in ("low", "high"))
    return f"{_percent(row[name])} % ({low}-{high})"


def _percent(value: float | None) -> str:
    return number(None if value is None else 100 * value, 1)
