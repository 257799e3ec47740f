"""Draws of one year: a group of 64 at a time, and one at a time as the truth to test it against."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from engine.draws.direct import Single, draw_directly, estimated, perturbed, reference
from engine.draws.group import draw_group
from engine.draws.outcome import DIRECTLY, Draws, Status
from engine.draws.rebalanced import draw_rebalanced
from engine.draws.series import draw_series
from engine.error_model import ErrorModel, refuse_more_draws
from engine.kernels.arrays import I64
from engine.kernels.streams import LANES
from engine.mrio import MRIO
from engine.prepare import TOLERANCE, Prepared, prepare
from engine.question import Consumer, Indicator, Question

__all__ = [
    "DIRECTLY",
    "Draws",
    "Single",
    "Status",
    "draw",
    "draw_directly",
    "draw_exactly",
    "draw_group",
    "draw_prepared",
    "draw_rebalanced",
    "draw_series",
    "estimated",
    "everything",
    "perturbed",
    "reference",
]


def draw(
    table: MRIO,
    errors: ErrorModel,
    seed: int,
    draws: Iterable[int],
    question: Question | None = None,
    *,
    r_max: float = 0.99,
    tolerance: float = TOLERANCE,
) -> Draws:
    """The whole model in one call: footprints of `draws` of one year.

    Args:
        question: all regions and all stressors if not given.
        tolerance: largest certified relative error of a footprint.

    Raises:
        ConfigError: the error model or question names what the table does not have, or has
            factors from files for fewer draws.
        TableError: the table's own spectral radius is not below one.
    """
    asked = everything(table) if question is None else question
    draws = tuple(draws)
    refuse_more_draws(errors, 1 + max(draws, default=-1))
    # One BLAS thread, as in every run: the bits of a solution depend on their number.
    with threadpool_limits(1, user_api="blas"):
        prepared = prepare(table, errors, asked, seed, r_max=r_max, tolerance=tolerance)
        return draw_prepared(prepared, draws)


def everything(table: MRIO) -> Question:
    """Every region and every stressor of a table."""
    labels = table.labels
    return Question(
        consumers=tuple(Consumer(region, (region,)) for region in labels.regions),
        indicators=tuple(
            Indicator(name, unit, {name: 1.0})
            for name, unit in zip(labels.stressors, labels.stressor_units, strict=True)
        ),
    )


def draw_prepared(prepared: Prepared, draws: Iterable[int]) -> Draws:
    """Footprints of `draws`, in split mode or balanced where the table was prepared for it.

    Whole groups are computed, so no draw depends on which are asked.
    """
    return _drawn(prepared, draws, _exact(prepared) if prepared.split is None else draw_series)


def draw_exactly(prepared: Prepared, draws: Iterable[int]) -> Draws:
    """Footprints of `draws`, certified, also where the table was prepared for split mode."""
    return _drawn(prepared, draws, _exact(prepared))


def _exact(prepared: Prepared) -> Callable[[Prepared, int], Draws]:
    return draw_group if prepared.margins is None else draw_rebalanced


def _drawn(
    prepared: Prepared, draws: Iterable[int], draw_one: Callable[[Prepared, int], Draws]
) -> Draws:
    numbers = np.array([*draws], dtype=np.int64)
    of, lane = np.divmod(numbers, LANES)
    groups, position = np.unique(of, return_inverse=True)
    drawn = _joined([draw_one(prepared, int(group)) for group in groups])
    return _chosen(drawn, position * LANES + lane)


def _joined(pieces: Sequence[Draws]) -> Draws:
    names = _there(pieces[0])
    return Draws(**{n: np.concatenate([getattr(piece, n) for piece in pieces]) for n in names})


def _chosen(drawn: Draws, which: I64) -> Draws:
    return Draws(**{name: getattr(drawn, name)[which] for name in _there(drawn)})


def _there(drawn: Draws) -> list[str]:
    """The arrays it has: contributions only where they are asked."""
    names = [field.name for field in dataclasses.fields(Draws)]
    return [name for name in names if getattr(drawn, name) is not None]
