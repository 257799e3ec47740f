"""Solving the systems of 64 draws at once, by corrections of the estimate's own solution.

Notation. M X = y with M = diag(D) - B, lines l, positions e, all in 64 draws (last axis). Solving
for output, B is A (or Z) and D is 1 (or x, the output); solving for multipliers, both are
transposed. X0, M0: the estimate's. g: functionals, g X is what is asked.

A correction solves M C = R = y - M X roughly: with the estimate's inverse, and iterating on the
cells that matter most, whose factors are kept in memory. Corrections are combined so that R is
smallest in a weighted norm (GCR: Eisenstat, Elman & Schultz 1983, SIAM J. Numer. Anal. 20:345); M C
always comes from a full pass over the drawn cells in float64, and R is updated with it.

Certificates, for |B| cell by cell (M-matrices: Berman & Plemmons 1994, ch. 6):

    w > 0, D w - |B| w > 0:   |X - X*| <= w max_l |R_l| / (D w - |B| w)_l                  (near)
    v > 0, v D - v |B| > 0:   |g (X - X*)| <= (u + tau v) |R| for every u >= 0,            (far)
                              tau = max_e (|g| - (u D - u |B|))_e^+ / (v D - v |B|)_e

Either proves the spectral radius below one, and below r if it holds with r D for D. What rounding
may have hidden from R is added (Higham 2002, section 3.5): it is in proportion to the magnitudes
of all that X was added up from, not to X, for corrections may cancel. Both are guarantees; neither
believes the residual alone. The far one is tighter but needs a row u for each functional.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.kernels.arrays import F32, F64, Bool
from engine.kernels.fused import Bound, Sums, sweep
from engine.kernels.solve import rounding_of
from engine.kernels.streams import LANES

MOST_CORRECTIONS = 12
_INNER_STEPS = 12  # at most, within one correction
_ENOUGH = 1e-4  # reduction of the residual by the important cells, beyond which the others rule
_ENOUGH_OF_ALL = 1e-7  # the same where all cells are important: beyond it single precision rules
_STALLED = 0.5  # a correction that leaves more than this of the residual is not worth another
_FRESH = 1e-5  # of a correction's effect, at least, that must be new; the rest is rounding


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What the estimate gives to the solution of its draws.

    Attributes:
        X0: solution of the estimate, (lines, k).
        inverse: M0^-1, (lines, lines), in float32; zero rows where a line is left out.
        scale: size of a line's residual to the answer, (lines,): the norm is that of scale R.
        near: weights w, (lines, any number); empty where the far certificate serves.
        far: rows u and, last, v, (lines, functionals + 1); empty where the near one serves.
        counted: lines that take part, (lines,).
    """

    X0: F64
    inverse: F32
    scale: F64
    near: F64
    far: F64
    counted: Bool


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """The first pass over B: the estimate's solution in the drawn system.

    Attributes:
        applied: B X0, (lines, k, 64).
        sales: sums over rows of A or Z, (n, 64); zero where D does not need them.
        column_sums: of A or Z, (n, 64).
        near: |B| w, (lines, w, 64).
        far: u |B| and v |B|, (positions, functionals + 1, 64).
        gaussian: what q sigma eps makes of B X0 and of the sales.
    """

    applied: F64
    sales: F64
    column_sums: F64
    near: F64
    far: F64
    gaussian: tuple[F64, F64]


def begin(B: Sequence[Bound], start: Start, *, forward: bool, accounts: bool) -> Begun:
    """Apply the drawn B to everything that is the same in all draws, in one pass.

    Args:
        forward: whether lines are rows, not columns.
        accounts: whether D depends on the sales.
    """
    n, k = start.X0.shape
    one, none = np.ones((n, 1)), np.empty((n, 0))
    of_lines = one if accounts or not forward else none
    of_positions = one if accounts or forward else none
    sums: Sums = sweep(
        B,
        c=np.hstack([start.X0, of_lines, start.near]),
        signed_c=k + of_lines.shape[1],
        b=np.hstack([of_positions, start.far]),
        signed_b=of_positions.shape[1],
        g=np.hstack([start.X0, one if accounts and forward else none]),
        gaussian_across=accounts and not forward,
    )
    along, near = np.split(sums.along, [k + of_lines.shape[1]], axis=1)
    across, far = np.split(sums.across, [of_positions.shape[1]], axis=1)
    rows, columns = (along[:, k:], across) if forward else (across, along[:, k:])
    gaussian_sales = sums.gaussian[:, k:] if forward else sums.gaussian_across
    return Begun(
        applied=along[:, :k],
        sales=_only(rows),
        column_sums=_only(columns),
        near=near,
        far=far,
        gaussian=(sums.gaussian[:, :k], _only(gaussian_sales)),
    )


def _only(sums: F64) -> F64:
    """(n, 64) of one column, zero of none."""
    only: F64 = sums.sum(axis=1)
    return only


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """An approximate solution in 64 draws.

    Attributes:
        X, R: solution and residual, (lines, k, 64).
        bound: guarantee on |g (X - X*)|, (functionals, k, 64); infinite where none holds.
        corrections: how many were made.
    """

    X: F64
    R: F64
    bound: F64
    corrections: int


class Certificate:
    """The guarantee of one system in 64 draws, evaluated as the residual shrinks.

    Args:
        D, y: of the system, (lines, 64) and (lines, k, 64).
        g: functionals, (lines, functionals, 64); for the near certificate their products
            |g| w instead, (functionals, w, 64).
        r_max: the spectral radius to be proved.
    """

    def __init__(self, start: Start, begun: Begun, D: F64, y: F64, g: F64, r_max: float) -> None:
        # Products of n terms; the few operations more of every update of C, X and R.
        self._gamma = rounding_of(len(D) + 2 * MOST_CORRECTIONS + 8)
        self._start, self._D, self._y, self._g = start, D, np.abs(y), np.abs(g)
        self._far = start.far.shape[1] > 0
        weights = start.far if self._far else start.near
        self._used = begun.far if self._far else begun.near
        given = D[:, None] * weights[..., None]
        lost = self._used * (1 + self._gamma) + self._gamma * given
        self._slack = given - lost
        judging = slice(-1, None) if self._far else slice(None)
        proofs = ((r_max * given - lost)[start.counted][:, judging] > 0).all(axis=0)
        proofs &= (weights[start.counted][:, judging, None] > 0).all(axis=0)
        self._proofs: Bool = np.asarray(proofs)  # (w, 64)
        self.proved: Bool = np.asarray(proofs.any(axis=0))  # (64,)
        if self._far:
            self._tau = self._largest_shortfall()
            v = start.far[:, -1:, None]
            self._rows = start.far[:, :-1, None] + self._tau * v

    def _largest_shortfall(self) -> F64:
        """tau, (functionals, 64)."""
        counted = self._start.counted
        short = self._g * (1 + self._gamma) - self._slack[:, :-1]
        slack = np.where(self.proved, self._slack[:, -1:], 1.0)
        ratio: F64 = np.maximum(short[counted] / slack[counted], 0.0).max(axis=0)
        return ratio

    def bound(self, R: F64, size: F64) -> F64:
        """On |g (X - X*)|, (functionals, k, 64); infinite in lanes without proof.

        Args:
            R: residual of X, (lines, k, 64).
            size: magnitudes of all that X was added up from, likewise.
        """
        counted = self._start.counted[:, None, None]
        hidden = 3 * self._gamma * (self._y + self._D[:, None] * size)
        missed = np.where(counted, np.abs(R) + hidden, 0.0)
        found = self._far_bound(missed, size) if self._far else self._near_bound(missed, size)
        return np.where(self.proved, found, np.inf)

    def _far_bound(self, missed: F64, size: F64) -> F64:
        passed = self._used[:, :-1] + self._tau * self._used[:, -1:]
        own = 3 * self._gamma * (passed + self._g)
        found: F64 = _products(self._rows, missed) + _products(own, size)
        return found

    def _near_bound(self, missed: F64, size: F64) -> F64:
        counted, w = self._start.counted, self._start.near
        best = np.full((len(self._g), *missed.shape[1:]), np.inf)
        for one in np.flatnonzero(self._proofs.any(axis=1)):
            proved = self._proofs[one]
            largest = (size[counted] / w[counted, one, None, None]).max(axis=0)
            hidden = 3 * self._gamma * self._used[counted, one, None] * largest
            slack = np.where(proved, self._slack[counted, one], 1.0)[:, None]
            tau = np.where(proved, ((missed[counted] + hidden) / slack).max(axis=0), np.inf)
            reached = self._g[:, one] * (1 + 3 * self._gamma)
            best = np.minimum(best, reached[:, None] * tau)
        return best


def _products(rows: F64, columns: F64) -> F64:
    """rows (lines, f, 64) times columns (lines, k, 64), in each draw: (f, k, 64)."""
    product: F64 = np.einsum("lfd,lkd->fkd", rows, columns)
    return product


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """M X = y in 64 draws, and what helps to solve it.

    Attributes:
        B: the cells of B.
        important: those of them with which a correction is iterated, their factors kept.
        whole: whether all are.
        D, D0: (lines, 64) and the estimate's, (lines,).
        y: (lines, k, 64).
    """

    B: Sequence[Bound]
    important: Sequence[Bound]
    whole: bool
    D: F64
    D0: F64
    y: F64


def refine(
    system: System,
    start: Start,
    begun: Begun,
    certificate: Certificate,
    enough: Callable[[F64, F64, F64], Bool],
) -> Refined:
    """Correct the estimate's solution until it is good enough in every draw, or no use.

    Args:
        enough: of X, R and the bound: in which draws they will do, (64,).
    """
    counted = start.counted[:, None, None]
    X = np.repeat(start.X0[..., None], LANES, axis=-1)
    R = np.where(counted, system.y - system.D[:, None] * X + begun.applied, 0.0)
    reach = np.abs(X)  # magnitudes of all that X was added up from
    before: list[_Step] = []
    size = _norm(R, start.scale)
    while True:
        bound = certificate.bound(R, reach)
        open_ = certificate.proved & ~enough(X, R, bound)
        if not open_.any() or len(before) == MOST_CORRECTIONS:
            return Refined(X, R, bound, len(before))
        step = _orthogonal(system, start, _correction(system, start, R), before)
        share = _projection(R, step.MC, start.scale)
        X, R = X + share * step.C, R - share * step.MC
        reach += np.abs(share) * step.reach
        before.append(step)
        size, last = _norm(R, start.scale), size
        if (size > _STALLED * last)[:, open_].all(axis=0).all():
            return Refined(X, R, certificate.bound(R, reach), len(before))


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A correction C with M C, orthogonal in the norm to those before; (lines, k, 64) each.

    Attributes:
        reach: magnitudes of all that C was added up from.
    """

    C: F64
    MC: F64
    reach: F64


def _orthogonal(system: System, start: Start, C: F64, before: Sequence[_Step]) -> _Step:
    """A correction without what those before it have done; zero where that leaves rounding alone.

    Without this last, a draw that has reached the last digits, or a table of fewer industries than
    corrections, would go on with directions that are noise, and R would no longer be the residual.
    """
    counted = start.counted[:, None, None]
    MC = np.where(counted, system.D[:, None] * C - sweep(system.B, x=C).own, 0.0)
    reach, whole = np.abs(C), _norm(MC, start.scale)
    for old in before:
        share = _projection(MC, old.MC, start.scale)
        C, MC = C - share * old.C, MC - share * old.MC
        reach += np.abs(share) * old.reach
    fresh = _norm(MC, start.scale) > _FRESH * whole
    return _Step(np.where(fresh, C, 0.0), np.where(fresh, MC, 0.0), reach)


def _correction(system: System, start: Start, R: F64) -> F64:
    """Solve M C = R with the estimate's inverse and the important cells' own errors."""
    unit = unit_of(R)
    left, C = R, np.zeros_like(R)
    size = first = _norm(R, start.scale)
    enough = _ENOUGH_OF_ALL if system.whole else _ENOUGH
    for _ in range(_INNER_STEPS):
        step = by_inverse(start.inverse, left / unit) * unit
        C += step
        change = sweep(system.important, x=step, less=1.0).own if system.important else 0.0
        left = change - (system.D - system.D0[:, None])[:, None] * step
        left = np.where(start.counted[:, None, None], left, 0.0)
        size, last = _norm(left, start.scale), size
        if (size <= enough * first).all() or (size >= last).all():
            break
    return C


def by_inverse(inverse: F32, R: F64) -> F64:
    """The product in single precision, (lines, k, 64)."""
    n, k, lanes = R.shape
    product = inverse @ R.reshape(n, k * lanes).astype(np.float32)
    solution: F64 = product.reshape(n, k, lanes).astype(np.float64)
    return solution


def unit_of(R: F64) -> F64:
    """The largest size in each column and draw, so that single precision neither over- nor
    underflows."""
    largest = np.abs(R).max(axis=0)
    unit: F64 = np.where(largest > 0, largest, 1.0)
    return unit


def _norm(R: F64, scale: F64) -> F64:
    weighted = R * scale[:, None, None]
    norm: F64 = np.sqrt(np.einsum("lkd,lkd->kd", weighted, weighted))
    return norm


def _projection(R: F64, onto: F64, scale: F64) -> F64:
    """The share of `onto` in R, (k, 64)."""
    squares = np.square(scale)[:, None, None] * onto
    length = np.einsum("lkd,lkd->kd", squares, onto)
    inner = np.einsum("lkd,lkd->kd", squares, R)
    share: F64 = np.divide(inner, length, out=np.zeros_like(inner), where=length > 0)
    return share
