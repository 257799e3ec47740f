"""The guarantee of one system's solution in 64 draws.

Notation. M X = y with M = diag(D) - B, lines l, positions e, all in 64 draws (last axis); X* the
solution, R the residual of X. g: functionals, g X is what is asked.

Certificates, for |B| cell by cell (M-matrices: Berman & Plemmons 1994, ch. 6):

    w > 0, D w - |B| w > 0:   |X - X*| <= w max_l |R_l| / (D w - |B| w)_l                  (near)
    v > 0, v D - v |B| > 0:   |g (X - X*)| <= (u + nu v) |R| for every u >= 0,             (far)
                              nu = max_e (|g| - (u D - u |B|))_e^+ / (v D - v |B|)_e

The weights are the estimate's, the same in all draws. Where they prove nothing the near one may use
weights that a draw has for itself (`engine.kernels.repair`).

Either proves the spectral radius below one, and below r if it holds with r D for D. What rounding
may have hidden from R is added (Higham 2002, section 3.5): it is in proportion to the magnitudes
of all that X was added up from, not to X, for corrections may cancel. Both are guarantees; neither
believes the residual alone. The far one is tighter but needs a row u for each functional.

D, y and g are taken as they were added up: where an industry's sales cancel to a 1e-8th of their
magnitudes, what was lost in adding them reaches the size of the tolerance, and is not counted.

Equations of docs/method.md: 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.kernels.arrays import F64, Bool
from engine.kernels.fused import roundings
from engine.kernels.passes import Begun
from engine.kernels.solve import rounding_of
from engine.kernels.start import Start

MOST_CORRECTIONS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """Weights w of each draw's own (`engine.kernels.repair`), for the near certificate.

    Attributes:
        w: (lines, 64).
        used: |B| w, likewise.
        slack: D w - |B| w less what rounding may have hidden, likewise.
        proved: in which draws w proves the spectral radius below the limit, (64,).
    """

    w: F64
    used: F64
    slack: F64
    proved: Bool


class Certificate:
    """The guarantee of one system in 64 draws, evaluated as the residual shrinks.

    Args:
        D, y: of the system, (lines, 64) and (lines, k, 64).
        g: functionals, (lines, functionals, 64); for the near certificate their products
            |g| w instead, (functionals, w, 64).
        r_max: the spectral radius to be proved.
        entries: that the cells of B are packed in.
    """

    def __init__(
        self,
        start: Start,
        begun: Begun,
        D: F64,
        y: F64,
        g: F64,
        r_max: float,
        entries: int = 1,
    ) -> None:
        # Products of n terms, one after the other; and B X, some at a time. A few operations more
        # for every update of C, X and R.
        more = 2 * MOST_CORRECTIONS + 8
        self._gamma = rounding_of(len(D) + more)
        self._of_lines = rounding_of(roundings(len(D), entries) + more)
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
        self._own: Own | None = None
        if self._far:
            self._nu = self._largest_shortfall()
            v = start.far[:, -1:, None]
            self._rows = start.far[:, :-1, None] + self._nu * v

    def _largest_shortfall(self) -> F64:
        """nu, (functionals, 64)."""
        counted = self._start.counted
        short = self._g * (1 + self._gamma) - self._slack[:, :-1]
        slack = np.where(self.proved, self._slack[:, -1:], 1.0)
        ratio: F64 = np.maximum(short[counted] / slack[counted], 0.0).max(axis=0)
        return ratio

    def prove_with(self, own: Own) -> None:
        """Let draws that are not proved yet be so by weights of their own."""
        self._own = replace(own, proved=own.proved & ~self.proved)
        self.proved = self.proved | own.proved

    def bound(self, R: F64, size: F64) -> F64:
        """On |g (X - X*)|, (functionals, k, 64); infinite in lanes without proof.

        Args:
            R: residual of X, (lines, k, 64).
            size: magnitudes of all that X was added up from, likewise.
        """
        counted = self._start.counted[:, None, None]
        hidden = 3 * self._of_lines * (self._y + self._D[:, None] * size)
        missed = np.where(counted, np.abs(R) + hidden, 0.0)
        found = self._far_bound(missed, size) if self._far else self._near_bound(missed, size)
        if self._own is not None:
            found = np.where(self._own.proved, self._own_bound(self._own, missed, size), found)
        return np.where(self.proved, found, np.inf)

    def _own_bound(self, own: Own, missed: F64, size: F64) -> F64:
        """The near bound, infinite where the draw's own weights prove nothing."""
        counted = self._start.counted
        w = np.where(own.proved, own.w[counted], 1.0)
        slack = np.where(own.proved, own.slack[counted], 1.0)
        largest = (size[counted] / w[:, None]).max(axis=0)
        hidden = 3 * self._of_lines * own.used[counted, None] * largest
        worst = ((missed[counted] + hidden) / slack[:, None]).max(axis=0)
        reached = self._reached(w) * (1 + 3 * self._gamma)
        return np.where(own.proved, reached[:, None] * worst, np.inf)

    def _reached(self, w: F64) -> F64:
        """|g| w of weights of the draws' own, (functionals, 64), or more than that.

        Where the functionals are not at hand, but their products with the weights of the estimate,
        w is held against these, line by line.
        """
        counted = self._start.counted
        if self._far:
            own: F64 = np.einsum("lfd,ld->fd", self._g[counted], w)
            return own
        near = self._start.near[counted]
        usable = np.asarray((near > 0).all(axis=0))
        times = (w[:, None] / np.where(usable, near, 1.0)[..., None]).max(axis=0)
        least: F64 = np.where(usable[:, None], self._g * times, np.inf).min(axis=1)
        return least

    def _far_bound(self, missed: F64, size: F64) -> F64:
        passed = self._used[:, :-1] + self._nu * self._used[:, -1:]
        own = 3 * self._gamma * (passed + self._g)
        found: F64 = _products(self._rows, missed) + _products(own, size)
        return found

    def _near_bound(self, missed: F64, size: F64) -> F64:
        counted, w = self._start.counted, self._start.near
        best = np.full((len(self._g), *missed.shape[1:]), np.inf)
        for one in np.flatnonzero(self._proofs.any(axis=1)):
            proved = self._proofs[one]
            largest = (size[counted] / w[counted, one, None, None]).max(axis=0)
            hidden = 3 * self._of_lines * self._used[counted, one, None] * largest
            slack = np.where(proved, self._slack[counted, one], 1.0)[:, None]
            worst = np.where(proved, ((missed[counted] + hidden) / slack).max(axis=0), np.inf)
            reached = self._g[:, one] * (1 + 3 * self._gamma)
            best = np.minimum(best, reached[:, None] * worst)
        return best


def _products(rows: F64, columns: F64) -> F64:
    """rows (lines, f, 64) times columns (lines, k, 64), in each draw: (f, k, 64)."""
    product: F64 = np.einsum("lfd,lkd->fkd", rows, columns)
    return product
