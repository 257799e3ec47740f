"""Expected shares of lognormal parts in their sum, by quadrature, and the centring that keeps them.

Parts `X_i = exp(eta_i + v_i z_i + a_i u_b(i) + k_i u)`, all normals standard and independent: z a
part's own, u_b shared by the parts of one block, u by all. With L_i(t) = E exp(-t X_i), S = sum X,

    E[X_i / S]   = integral over t of  E[X_i exp(-t X_i)] prod_{j != i} L_j(t)
    E[X_i^2/S^2] = integral over t of  t E[X_i^2 exp(-t X_i)] prod_{j != i} L_j(t)

(1/S and 1/S^2 written as integrals of exp(-t S)), given the shared normals, which the trapezoidal
rule then integrates: per block inside the product, u outside. In ln t all integrands are analytic
and die off at both ends, so that the trapezoidal rule converges exponentially there too (Trefethen
& Weideman 2014, SIAM Review 56:385). Expected shares add up to one, which the rule does not know:
what is missing is the error made.

**Centring.** Wanted are eta_i for which E[X_i / S] is a given p_i. With eta a constant shift apart
they are unique: E ln S is convex in eta, its gradient is E[X_i / S], so they minimise
E ln S - sum_i p_i eta_i. `eta_i += ln(p_i / E[X_i / S])` leads to them (Berry, Levinsohn & Pakes
1995, Econometrica 63:841, appendix 1: shares of a logit with random coefficients); it is repeated
until all shares are kept.

Equations of docs/method.md: 2.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from engine.kernels.arrays import F64, I64, Bool
from engine.kernels.compiling import compiled, inline

ACCURACY = 1e-7  # to which expected shares are kept, relative
_MOST = 2000  # iterations
_STEP = 0.4  # of ln t; the rule's error is about exp(-pi^2 / step)
_FINE = 0.1  # of the tables of Laplace transforms; cubic interpolation errs by some 1e-7
_TAIL = 6.5  # standard deviations to which normals are integrated


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """The errors of the m parts of one sum, in log-standard deviations.

    Attributes:
        own: v, (m,).
        block: the block of each part, (m,); -1 where it shares its errors with no other.
        shared: a, what the block's normal does to it, (m,).
        common: k, what the normal of all does to it, (m,).
    """

    own: F64
    block: I64
    shared: F64
    common: F64

    @property
    def total(self) -> F64:
        """Of each part's logarithm, (m,)."""
        variance: F64 = self.own**2 + self.shared**2 + self.common**2
        return np.sqrt(variance)


@dataclass(frozen=True, slots=True, eq=False)
class Centred:
    """Factors c that keep the shares p, E[c_i p_i w_i / sum_j c_j p_j w_j] = p_i, w of mean one.

    Attributes:
        factor: c, (m,), with sum_i c_i p_i = 1.
        rsd: relative standard deviation of each share, (m,).
        iterations: until all shares were kept to `ACCURACY`.
    """

    factor: F64
    rsd: F64
    iterations: int


def centred(p: F64, spread: Spread) -> Centred:
    """Centre the shares p > 0, (m,), which add up to one.

    Raises:
        ArithmeticError: errors so large that shares cannot be kept to `ACCURACY`.
    """
    variance = np.square(spread.total)
    if len(p) == 1 or not variance.any():
        return Centred(np.ones(len(p)), np.zeros(len(p)), 0)
    rule = _Rule.of(spread)
    eta = np.log(p) - variance / 2
    for iteration in range(1, _MOST):
        first, second = rule.moments(eta)
        off = np.log(p / first)
        if np.abs(off).max() < ACCURACY:
            factor = np.exp(eta + variance / 2) / p
            squares = np.maximum(second / first**2 - 1.0, 0.0)
            return Centred(factor / np.dot(factor, p), np.sqrt(squares), iteration)
        eta += off
    raise ArithmeticError("expected shares do not settle")


def expected_shares(eta: F64, spread: Spread) -> tuple[F64, F64]:
    """E[X_i / S] and E[X_i^2 / S^2], (m,) each, of parts with these eta."""
    return _Rule.of(spread).moments(eta)


class _Given(NamedTuple):
    """What of the quadrature does not depend on eta; parts in the order of their blocks.

    Attributes:
        starts: where the blocks' parts begin, and the end of the last; one part alone is a block.
        moves: whether the common normal moves a part of the block.
        kinds: the table of Laplace transforms of each part.
        lowest: where the tables begin.
        log_t: nodes of the outermost integral.
        shared, common: as `Spread` has them, what is common to most parts taken off `common`.
        nodes, weights: of the blocks' normals.
        of_all, chances: nodes and weights of the common one.
    """

    starts: I64
    moves: Bool
    kinds: I64
    tables: F64
    lowest: float
    log_t: F64
    shared: F64
    common: F64
    nodes: F64
    weights: F64
    of_all: F64
    chances: F64


@dataclass(frozen=True, slots=True, eq=False)
class _Rule:
    order: I64
    given: _Given

    @classmethod
    def of(cls, spread: Spread) -> _Rule:
        order = np.argsort(spread.block, kind="stable").astype(np.int64)
        block, shared = spread.block[order], spread.shared[order]
        new = np.ones(len(block), dtype=np.bool_)
        new[1:] = (block[1:] != block[:-1]) | (block[1:] < 0)
        starts = np.append(np.flatnonzero(new), len(block)).astype(np.int64)
        # What moves all parts alike leaves the shares alone, so most parts may as well stay put.
        loadings, often = np.unique(spread.common, return_counts=True)
        common = spread.common[order] - loadings[often.argmax()]
        width = float(spread.total.max()) + float(np.abs(common).max())
        # ln of an exponential variate, less ln S, which is within some sd of the largest part.
        low, high = -17.0 - 7 * width, 4.0 + 7 * width + width**2
        distinct, kinds = np.unique(spread.own[order], return_inverse=True)
        reach = _TAIL * (np.abs(shared).max() + np.abs(common).max())
        # A small part's eta reaches far down; there ln L = -t E X, as the table's end continues.
        lowest = -30.0 - 7 * width
        y = np.arange(lowest, high + 3 + reach + 5 * _FINE, _FINE)
        given = _Given(
            starts=starts,
            moves=np.logical_or.reduceat(common != 0, starts[:-1]),
            kinds=kinds.astype(np.int64),
            tables=np.stack([_laplace(y, float(v)) for v in distinct]),
            lowest=lowest,
            log_t=np.arange(low, high, _STEP),
            shared=shared,
            common=common,
            **dict(zip(("nodes", "weights"), _normal(float(np.abs(shared).max())), strict=True)),
            **dict(zip(("of_all", "chances"), _normal(float(np.abs(common).max())), strict=True)),
        )
        return cls(order, given)

    def moments(self, eta: F64) -> tuple[F64, F64]:
        found = np.zeros((2, len(eta)))
        _add_moments(eta[self.order], self.given, found)
        back = np.empty_like(self.order)
        back[self.order] = np.arange(len(eta))
        return found[0, back] * _STEP, found[1, back] * _STEP


def _normal(sd: float) -> tuple[F64, F64]:
    """Nodes and weights of a standard normal, for what it does with this sd to a logarithm.

    The trapezoidal rule of step h errs by exp(-2 pi d / h + d^2 / 2), d the width of the strip in
    which exp(-exp(sd z)) stays bounded, pi / (2 sd): to exp(-18) with the h below.
    """
    if sd == 0.0:
        return np.zeros(1), np.ones(1)
    d = np.pi / (2 * sd)
    step = min(1.0, 2 * np.pi * d / (18 + d * d / 2))
    last = int(np.ceil(_TAIL / step))
    z: F64 = step * np.arange(-last, last + 1, dtype=np.float64)
    weights = np.exp(-np.square(z) / 2)
    weights /= weights.sum()
    return z, weights


def _laplace(y: F64, v: float) -> F64:
    """Of Y = exp(y + v z): logarithms of -ln L, E[Y e^-Y] / L and E[Y^2 e^-Y] / L, (y,3).

    L = E e^-Y. Logarithms, because all three are nearly straight lines in y there.
    """
    z, weights = _normal(v)
    Y = np.exp(y[:, None] + v * z)
    least = Y[:, :1]  # relative to the largest e^-Y, or all of them vanish far up
    terms = weights * np.exp(least - Y)
    L = terms.sum(axis=1)
    # -ln L = least - ln L', and near zero by the loss itself, so that no digits go.
    small = -np.log1p((weights * np.expm1(-Y)).sum(axis=1).clip(min=-0.5))
    minus_log = np.where(Y[:, -1] < 0.1, small, least[:, 0] - np.log(L))
    first, second = (terms * Y).sum(axis=1) / L, (terms * Y * Y).sum(axis=1) / L
    found: F64 = np.log(np.stack([minus_log, first, second], axis=1))
    return found


@inline
def _looked_up(table: F64, y: float, lowest: float, column: int, slope: float) -> float:
    """exp of a column of a table at y, by a cubic through four values; below it a straight line."""
    place = (max(y, lowest + _FINE) - lowest) / _FINE
    at = min(int(place), table.shape[0] - 3)
    f = place - at
    value = (f + 1) * (f - 1) * (f - 2) / 2 * table[at, column]
    value -= f * (f - 1) * (f - 2) / 6 * table[at - 1, column]
    value -= (f + 1) * f * (f - 2) / 2 * table[at + 1, column]
    value += (f + 1) * f * (f - 1) / 6 * table[at + 2, column]
    found: float = np.exp(value + slope * min(y - lowest - _FINE, 0.0))
    return found


@inline
def _block(b: int, tau: float, u: float, eta: F64, given: Any, room: F64, of_part: F64) -> float:
    """ln L of a block, and of its parts E[Y e^-Y] / L and E[Y^2 e^-Y] / L, Y = t X."""
    begin, end = given.starts[b], given.starts[b + 1]
    count = 1 if end - begin == 1 else given.nodes.size
    for n in range(count):
        node = 0.0 if end - begin == 1 else given.nodes[n]
        room[0, n] = 0.0
        for i in range(begin, end):
            y = tau + eta[i] + given.common[i] * u + given.shared[i] * node
            table = given.tables[given.kinds[i]]
            room[0, n] += _looked_up(table, y, given.lowest, 0, 1.0)
            room[1 + 2 * (i - begin), n] = _looked_up(table, y, given.lowest, 1, 1.0)
            room[2 + 2 * (i - begin), n] = _looked_up(table, y, given.lowest, 2, 2.0)
    least = room[0, :count].min()
    total = 0.0
    of_part[begin:end] = 0.0
    for n in range(count):
        part = (1.0 if end - begin == 1 else given.weights[n]) * np.exp(least - room[0, n])
        total += part
        for i in range(begin, end):
            of_part[i, 0] += part * room[1 + 2 * (i - begin), n]
            of_part[i, 1] += part * room[2 + 2 * (i - begin), n]
    of_part[begin:end] /= total
    found: float = np.log(total) - least
    return found


@inline
def _add_block(b: int, product: float, given: Any, of_part: F64, found: F64) -> None:
    for i in range(given.starts[b], given.starts[b + 1]):
        found[0, i] += product * of_part[i, 0]
        found[1, i] += product * of_part[i, 1]


@compiled
def _add_moments(eta: F64, given: Any, found: F64) -> None:
    """Add both integrands over ln t and the common normal; blocks that it does not move wait."""
    still, moving = np.flatnonzero(~given.moves), np.flatnonzero(given.moves)
    widest = (given.starts[1:] - given.starts[:-1]).max()
    room, of_part = np.empty((1 + 2 * widest, given.nodes.size)), np.empty((eta.size, 2))
    for tau in given.log_t:
        log_still = 0.0
        for b in still:
            log_still += _block(b, tau, 0.0, eta, given, room, of_part)
        together = 0.0
        for c in range(given.of_all.size):
            log_product = log_still
            for b in moving:
                log_product += _block(b, tau, given.of_all[c], eta, given, room, of_part)
            product = given.chances[c] * np.exp(log_product)
            together += product
            for b in moving:
                _add_block(b, product, given, of_part, found)
        for b in still:
            _add_block(b, together, given, of_part, found)
