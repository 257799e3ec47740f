"""Weights of a draw's own, where those of the estimate prove nothing.

An error that many cells share can move a whole draw farther than the estimate's weights allow, and
yet leave its spectral radius below the limit r. Then w > 0 with r D w - |B| w > 0 is looked for in
that draw alone, notation as in `engine.kernels.certificate`: it solves r D w - |B| w = D roughly,
by corrections that are found and combined as those of `engine.kernels.refine`. How it was found
does not matter. What it proves is read from |B| w, which a last pass over all the drawn cells adds
up.

Equations of docs/method.md: 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.kernels.arrays import F64, Bool
from engine.kernels.certificate import Own
from engine.kernels.fused import Bound, roundings, sweep
from engine.kernels.refine import System
from engine.kernels.solve import rounding_of
from engine.kernels.start import Start

_STEPS = 8  # each a pass; most draws within the limit need two or three
_ENOUGH = 0.5  # of every line's right-hand side: what is left of it leaves the other half as slack
_STALLED = 0.95  # a step that leaves more than this in every open draw is the last


def own_weights(
    system: System, negative: Sequence[Bound], start: Start, wanted: Bool, r_max: float
) -> Own:
    """Weights w of every draw and what they prove, for the draws `wanted`, (64,).

    Args:
        negative: the cells of B below zero, in the same draws; none if there are none.
        r_max: the spectral radius to be proved.
    """
    there = start.counted[:, None] & wanted
    D = np.where(there, system.D, 1.0)
    w, left = np.zeros_like(D), np.where(there, D, 0.0)
    before: list[_Step] = []
    size = _norm(left / D)
    for _ in range(_STEPS):
        C = np.where(there, system.rough.solve(start, left[:, None])[:, 0], 0.0)
        TC = np.where(there, r_max * D * C - _used(system.B, negative, C), 0.0)
        step = _orthogonal(_Step(C, TC), before, D)
        share = _share(left / D, step.TC / D)
        w, left = w + share * step.C, left - share * step.TC
        before.append(step)
        last, size = size, _norm(left / D)
        open_ = wanted & (left > _ENOUGH * D).any(axis=0)
        if not open_.any() or (size > _STALLED * last)[open_].all():
            break
    used = np.where(there, _used(system.B, negative, w), 0.0)
    entries = len(system.B) + len(negative)
    return _judged(np.where(there, system.D, 0.0), w, used, start.counted, entries, r_max)


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A correction C of w, and what it does: T C = r D C - |B| C; (lines, 64) each."""

    C: F64
    TC: F64


def _orthogonal(step: _Step, before: Sequence[_Step], D: F64) -> _Step:
    C, TC = step.C, step.TC
    for old in before:
        share = _share(TC / D, old.TC / D)
        C, TC = C - share * old.C, TC - share * old.TC
    return _Step(C, TC)


def _norm(values: F64) -> F64:
    norm: F64 = np.sqrt(np.square(values).sum(axis=0))
    return norm


def _share(values: F64, onto: F64) -> F64:
    """The share of `onto` in the values, (64,)."""
    length = np.square(onto).sum(axis=0)
    share: F64 = np.divide(
        (values * onto).sum(axis=0), length, out=np.zeros_like(length), where=length > 0
    )
    return share


def _used(B: Sequence[Bound], negative: Sequence[Bound], w: F64) -> F64:
    """|B| w, (lines, 64)."""
    x = np.ascontiguousarray(w[:, None])
    signed = sweep(B, x=x).own[:, 0]
    return signed - 2 * sweep(negative, x=x).own[:, 0] if negative else signed


def _judged(D: F64, w: F64, used: F64, counted: Bool, entries: int, r_max: float) -> Own:
    # |B| w is added up from twice the cells below zero, hence three times the error of one sum.
    error = 3 * rounding_of(roundings(len(w), entries) + 8)
    given = D * w
    lost = used * (1 + error) + error * np.abs(given)
    proves = (r_max * given - lost)[counted] > 0
    positive = np.isfinite(w[counted]) & (w[counted] > 0)
    return Own(w, used, given - lost, np.asarray((proves & positive).all(axis=0)))
