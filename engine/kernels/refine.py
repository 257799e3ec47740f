"""Solving the systems of 64 draws at once, by corrections of the estimate's own solution.

Notation. M X = y with M = diag(D) - B, lines l, positions e, all in 64 draws (last axis). Solving
for output, B is A (or Z) and D is 1 (or x, the output); solving for multipliers, both are
transposed. X0, M0: the estimate's. g: functionals, g X is what is asked.

The cells that matter most are drawn first, and the system is solved for their errors alone; the
first pass over all cells then finds the residual of that solution, which only the other cells have
left. A correction solves M C = R = y - M X roughly: with the estimate's inverse, and iterating on
the important cells, whose factors are kept in memory. Corrections are combined so that R is
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
from engine.kernels.fused import Bound, Sums, changes, sweep
from engine.kernels.inverse import Inverse
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
        X0, y0: solution and right-hand side of the estimate, (lines, k).
        final: sales to final demand, (lines,).
        inverse: M0^-1, as far as it matters.
        scale: size of a line's residual to the answer, (lines,): the norm is that of scale R.
        near: weights w, (lines, any number); empty where the far certificate serves.
        far: rows u and, last, v, (lines, functionals + 1); empty where the near one serves.
        counted: lines that take part, (lines,).
    """

    X0: F64
    y0: F64
    final: F64
    inverse: Inverse
    scale: F64
    near: F64
    far: F64
    counted: Bool


@dataclass(frozen=True, slots=True, eq=False)
class Departure:
    """How far a drawn system is from the estimate's, as far as some of its cells tell.

    Attributes:
        R: residual of the estimate's solution, (lines, k, 64).
        D: change of the diagonal, (lines, 64).
        column_sums: changes of those of A or Z, (n, 64).
        gaussian: what q sigma eps of these cells makes of B X0 and of the sales.
    """

    R: F64
    D: F64
    column_sums: F64
    gaussian: tuple[F64, F64]


def depart(
    cells: Sequence[Bound],
    start: Start,
    y: F64,
    sales: F64,
    *,
    forward: bool,
    accounts: bool,
    gaussian: bool,
) -> Departure:
    """Draw some cells, and apply their errors to the estimate's solution.

    Args:
        cells: of B; each cell's change is its own.
        y, sales: the drawn right-hand side, (lines, k, 64), and sales to final demand, (n, 64).
        forward: whether lines are rows, not columns.
        accounts: whether D depends on the sales.
        gaussian: whether to add up the errors themselves too; zero if not.
    """
    n, k = start.X0.shape
    one, none = np.ones((n, 1)), np.empty((n, 0))
    of_lines, of_positions = _summed(n, forward=forward, accounts=accounts)
    sums = sweep(
        cells,
        c=np.hstack([start.X0, of_lines]),
        b=of_positions,
        g=np.hstack([start.X0, one if accounts and forward else none]) if gaussian else none,
        gaussian_across=accounts and not forward and gaussian,
        less=1.0,
    )
    rows, columns = sums.along[:, k:], sums.across
    if not forward:
        rows, columns = columns, rows
    D = np.zeros((n, LANES))
    if accounts:
        D = np.where(start.counted[:, None], _only(rows) + sales - start.final[:, None], 0.0)
    R = y - start.y0[..., None] - D[:, None] * start.X0[..., None] + sums.along[:, :k]
    return Departure(
        R=np.where(start.counted[:, None, None], R, 0.0),
        D=D,
        column_sums=_only(columns),
        gaussian=_gaussian(sums, k, forward=forward),
    )


def _summed(n: int, *, forward: bool, accounts: bool) -> tuple[F64, F64]:
    """Columns of ones that add up lines and positions, where D or a column sum needs them."""
    one, none = np.ones((n, 1)), np.empty((n, 0))
    return one if accounts or not forward else none, one if accounts or forward else none


def _gaussian(sums: Sums, k: int, *, forward: bool) -> tuple[F64, F64]:
    of_sales = sums.gaussian[:, k:] if forward else sums.gaussian_across
    return sums.gaussian[:, :k], _only(of_sales)


def _only(sums: F64) -> F64:
    """(n, 64) of one column, zero of none."""
    only: F64 = sums.sum(axis=1)
    return only


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """The first pass over all of B.

    Attributes:
        applied: B X, of the solution that it was begun with, (lines, k, 64).
        to_estimate: B X0, of the estimate's, likewise.
        sales: sums over rows of A or Z, (n, 64); zero where D does not need them.
        column_sums: of A or Z, (n, 64).
        near: |B| w, (lines, w, 64).
        far: u |B| and v |B|, (positions, functionals + 1, 64).
        gaussian: what q sigma eps makes of B X0 and of the sales, without the cells drawn before.
    """

    applied: F64
    to_estimate: F64
    sales: F64
    column_sums: F64
    near: F64
    far: F64
    gaussian: tuple[F64, F64]


def begin(B: Sequence[Bound], start: Start, X: F64, *, forward: bool, accounts: bool) -> Begun:
    """Apply the drawn B to a solution, and to all that is the same in all draws, in one pass.

    Args:
        X: (lines, k, 64).
        forward, accounts: as for `depart`.
    """
    n, k = start.X0.shape
    one, none = np.ones((n, 1)), np.empty((n, 0))
    of_lines, of_positions = _summed(n, forward=forward, accounts=accounts)
    sums = sweep(
        B,
        c=np.hstack([start.X0, of_lines, start.near]),
        signed_c=k + of_lines.shape[1],
        x=X,
        b=np.hstack([of_positions, start.far]),
        signed_b=of_positions.shape[1],
        g=np.hstack([start.X0, one if accounts and forward else none]),
        gaussian_across=accounts and not forward,
    )
    along, near = np.split(sums.along, [k + of_lines.shape[1]], axis=1)
    across, far = np.split(sums.across, [of_positions.shape[1]], axis=1)
    rows, columns = (along[:, k:], across) if forward else (across, along[:, k:])
    return Begun(
        applied=sums.own,
        to_estimate=along[:, :k],
        sales=_only(rows),
        column_sums=_only(columns),
        near=near,
        far=far,
        gaussian=_gaussian(sums, k, forward=forward),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Refined:
    """An approximate solution in 64 draws.

    Attributes:
        X, R: solution and residual, (lines, k, 64).
        error: as asked of `refine`, (64,).
        corrections: how many were made.
    """

    X: F64
    R: F64
    error: F64
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
class Rough:
    """M with the errors of the important cells alone, which is quick to solve.

    Attributes:
        cells: their factors are kept.
        whole: whether they are all there are.
        D: change of the diagonal since the estimate, (lines, 64).
    """

    cells: Sequence[Bound]
    whole: bool
    D: F64

    def solve(self, start: Start, R: F64) -> F64:
        """C with M C = R, by iteration on the estimate's inverse, (lines, k, 64).

        The first step takes all its entries, for what the important ones miss of R would stay.
        """
        unit = unit_of(R)
        left, D = (R / unit).astype(np.float32), self.D[:, None].astype(np.float32)
        scale, counted = start.scale.astype(np.float32), start.counted[:, None, None]
        C = np.zeros_like(R)
        size = first = _norm(left, scale)
        enough = _ENOUGH_OF_ALL if self.whole else _ENOUGH
        for number in range(_INNER_STEPS):
            step = start.inverse.apply(left) if number else start.inverse.apply_whole(left)
            C += step
            left = changes(self.cells, step) - D * step
            left = np.where(counted, left, np.float32(0))
            size, last = _norm(left, scale), size
            if (size <= enough * first).all() or (size >= last).all():
                break
        return C * unit


def unit_of(R: F64) -> F64:
    """The largest size in each column and draw, so that single precision neither over- nor
    underflows."""
    largest = np.maximum(R.max(axis=0), -R.min(axis=0))
    unit: F64 = np.where(largest > 0, largest, 1.0)
    return unit


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """M X = y in 64 draws, and what helps to solve it.

    Attributes:
        B: the cells of B.
        D: (lines, 64).
        y: (lines, k, 64).
        rough: what a correction is found with.
    """

    B: Sequence[Bound]
    D: F64
    y: F64
    rough: Rough


def refine(
    system: System,
    start: Start,
    X: F64,
    begun: Begun,
    certificate: Certificate,
    error_of: Callable[[F64, F64, F64], F64],
    tolerance: float,
) -> Refined:
    """Correct a solution until its error is tolerable in every draw, or nothing is gained.

    Args:
        X: the solution that was begun with, (lines, k, 64).
        error_of: what is certified of X, R and the bound on |g (X - X*)|, (64,).
    """
    counted = start.counted[:, None, None]
    R = np.where(counted, system.y - system.D[:, None] * X + begun.applied, 0.0)
    reach = np.abs(X)  # magnitudes of all that X has been added up from since R was computed
    before: list[_Step] = []
    size, last = _norm(R, start.scale), np.full(R.shape[1:], np.inf)
    while True:
        error = error_of(X, R, certificate.bound(R, reach))
        open_ = certificate.proved & ~(error <= tolerance)
        stalled = (size > _STALLED * last)[:, open_].all()
        if stalled or len(before) == MOST_CORRECTIONS:  # none open: of nothing, all are
            return Refined(X, R, error, len(before))
        step = _orthogonal(system, start, system.rough.solve(start, R), before)
        share = _projection(R, step.MC, start.scale)
        X, R = X + share * step.C, R - share * step.MC
        reach += np.abs(share) * step.reach
        before.append(step)
        size, last = _norm(R, start.scale), size


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


def _norm(R: F64 | F32, scale: F64 | F32) -> F64:
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
