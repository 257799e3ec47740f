"""The certificates must never believe too much, however bad the solution that they judge.

Truth is a solution in long double of the very cells that were drawn. Systems are M X = y with
M = diag(D) - B in 64 draws, as in `engine.kernels.refine`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.kernels.arrays import F64, Bool
from engine.kernels.certificate import MOST_CORRECTIONS, Certificate
from engine.kernels.elementary import log_sd
from engine.kernels.fused import Memory, bind, sweep
from engine.kernels.inverse import Inverse, what_matters
from engine.kernels.passes import Begun, begin
from engine.kernels.perturb import LOG2E, Cells, Term, pack, perturb
from engine.kernels.refine import Refined, Rough, System, refine
from engine.kernels.repair import own_weights
from engine.kernels.start import Estimate, Start, near_weights, squared_errors
from engine.kernels.streams import LANES, stream_key

Long = NDArray[np.longdouble]
KINDS = pytest.mark.parametrize("kind", ["near", "far"])


def exact(M: F64, y: F64) -> Long:
    """M X = y in long double, by elimination: (n,n,64) and (n,k,64)."""
    A, X = M.astype(np.longdouble), y.astype(np.longdouble)
    n, lanes = len(A), np.arange(M.shape[-1])
    for column in range(n):
        pivot = column + np.abs(A[column:, column]).argmax(axis=0)
        for array in (A, X):
            here, there = array[column].copy(), array[pivot, :, lanes].T.copy()
            array[pivot, :, lanes] = here.T
            array[column] = there
        share = A[column + 1 :, column] / A[column, column]
        A[column + 1 :] -= share[:, None] * A[column]
        X[column + 1 :] -= share[:, None] * X[column]
    for column in range(n)[::-1]:
        X[column] -= np.einsum("md,mkd->kd", A[column, column + 1 :], X[column + 1 :])
        X[column] /= A[column, column]
    return X


def test_the_truth_is_true() -> None:
    rng = np.random.default_rng(0)
    M, X = rng.normal(size=(5, 5, LANES)), rng.normal(size=(5, 2, LANES))
    y = np.einsum("led,ekd->lkd", M.astype(np.longdouble), X.astype(np.longdouble))
    rounded = exact(M, y.astype(np.float64))
    assert np.abs(rounded - X).max() < 1e-12
    left = np.einsum("led,ekd->lkd", M.astype(np.longdouble), rounded) - y.astype(np.float64)
    assert np.abs(left).max() < 1e-15


def radius(B: F64, D: F64) -> F64:
    """Spectral radius of |B| / D in each draw, (64,)."""
    scaled = np.moveaxis(np.abs(B) / np.abs(D)[:, None], -1, 0)
    largest: F64 = np.abs(np.linalg.eigvals(scaled)).max(axis=1)
    return largest


# --- certificates of systems made up at random ----------------------------------------------------


@dataclass
class Made:
    """A system in 64 draws, some of which no certificate covers."""

    B: F64
    D: F64
    y: F64
    g: F64
    counted: Bool
    radius: F64

    @property
    def M(self) -> F64:
        """With an identity where a line takes no part."""
        both = np.outer(self.counted, self.counted)
        M = -self.B * both[..., None]
        n = len(M)
        M[range(n), range(n)] += np.where(self.counted[:, None], self.D, 1.0)
        return M

    def truth(self) -> Long:
        return exact(self.M, self.y)

    def residual(self, X: F64) -> F64:
        R = self.y - self.D[:, None] * X + np.einsum("led,ekd->lkd", self.B, X)
        return np.where(self.counted[:, None, None], R, 0.0)


def made(seed: int, n: int, k: int, f: int) -> Made:
    """Cells of some orders of magnitude and both signs, radii from 0.2 to 1.2."""
    rng = np.random.default_rng(seed)
    counted = rng.random(n) < 0.9
    counted[rng.integers(n)] = True
    D = 10.0 ** rng.uniform(-3, 3, (n, 1)) * rng.lognormal(0, 0.3, (n, LANES))
    B = 10.0 ** rng.uniform(-3, 0, (n, n, LANES)) * rng.choice([1, 1, 1, -1, 0], (n, n, 1))
    B *= D[:, None]  # cells as large as their line
    inside = np.where(np.outer(counted, counted)[..., None], B, 0.0)
    now = radius(inside, D)
    wanted = rng.uniform(0.2, 1.2, LANES) if seed % 2 else rng.uniform(0.9, 0.999, LANES)
    B *= wanted / np.where(now > 0, now, 1.0)
    there = counted[:, None, None]
    y = np.where(there, 10.0 ** rng.uniform(-3, 3, (n, k, 1)) * rng.normal(1, 1, (n, k, LANES)), 0)
    g = np.where(there, rng.normal(0, 1, (n, f, LANES)), 0.0)
    return Made(B, D, y, g, counted, np.where(now > 0, wanted, 0.0))


def certificate(made: Made, kind: str, X0: F64, rng: np.random.Generator) -> Certificate:
    """With rows that are those of one draw: good for some of the others, and not for all."""
    return judged_by(
        made, kind, X0, rng, int(np.argmin(np.abs(made.radius - rng.uniform(0.2, 0.99))))
    )[0]


def judged_by(
    made: Made, kind: str, X0: F64, rng: np.random.Generator, lane: int
) -> tuple[Certificate, F64]:
    """With the rows of one draw, the first of which is w - |B| w = 1 in units of D."""
    n, counted = len(made.D), made.counted
    magnitude = -np.abs(made.B[..., lane]) * np.outer(counted, counted)
    magnitude[range(n), range(n)] += np.where(counted, made.D[:, lane], 1.0)
    none = np.empty((n, 0))
    right = np.where(counted, made.D[:, lane], 0.0)
    if kind == "near":
        w = np.linalg.solve(magnitude, np.stack([right, right * rng.uniform(0.5, 2, n)], axis=1))
        near, far, first = np.where(counted[:, None], w, 0.0), none, w[:, 0]
    else:
        v = np.linalg.solve(magnitude.T, right)
        g = np.abs(made.g[..., lane])
        u = np.abs(np.linalg.solve(magnitude.T, g)) * rng.uniform(0.0, 2.0, g.shape)
        near, far, first = none, np.where(counted[:, None], np.column_stack([u, v]), 0.0), v
    start = started(X0, near, far, counted)
    functionals = made.g
    if kind == "near":
        functionals = np.einsum("lfd,lw->fwd", np.abs(made.g), near)
    judge = Certificate(start, begun(made, start), made.D, made.y, functionals, 0.99)
    return judge, np.where(counted, first, 0.0)


def started(X0: F64, near: F64, far: F64, counted: Bool) -> Start:
    """With what certificates need of an estimate, and nothing else."""
    n, none = len(X0), np.empty(0, np.float32)
    nothing = Inverse(np.zeros(n + 1, np.int64), none.astype(np.int32), none, none.reshape(0, 0))
    return Start(X0, np.zeros_like(X0), np.zeros(n), nothing, np.ones(n), near, far, counted)


def begun(made: Made, start: Start) -> Begun:
    size = np.abs(made.B)
    none = np.empty((0, 0, LANES))
    applied = np.einsum("led,ek->lkd", made.B, start.X0)
    return Begun(
        applied=applied,
        to_estimate=applied,
        sales=made.B.sum(axis=1),
        column_sums=made.B.sum(axis=0),
        near=np.einsum("led,ew->lwd", size, start.near),
        far=np.einsum("led,lw->ewd", size, start.far),
        gaussian=(none, none),
    )


def anything(rng: np.random.Generator, truth: F64, counted: Bool) -> F64:
    """Approximations, a kind a draw: nearly right, wrong in one place, nonsense, zero, huge."""
    size = 10.0 ** rng.uniform(-16, 1, truth.shape[-1])
    X = truth * (1 + size * rng.normal(size=truth.shape))
    kind = rng.integers(0, 6, truth.shape[-1])
    X[0, :, kind == 1] += 1.0
    X[:, :, kind == 2] = rng.normal(size=X[:, :, kind == 2].shape)
    X[:, :, kind == 3] = 0.0
    X[:, :, kind == 4] *= 1e12
    X[:, :, kind == 5] += 1e-9 * np.abs(truth).max()
    return np.where(counted[:, None, None], X, 0.0)


@KINDS
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 8), k=st.integers(1, 3), f=st.integers(1, 3))
def test_no_error_exceeds_its_bound(kind: str, seed: int, n: int, k: int, f: int) -> None:
    system, rng = made(seed, n, k, f), np.random.default_rng(seed + 1)
    truth = system.truth()
    X = anything(rng, truth.astype(np.float64), system.counted)
    judge = certificate(system, kind, X[..., 0], rng)
    bound = judge.bound(system.residual(X), np.abs(X))
    error = np.einsum("lfd,lkd->fkd", system.g.astype(np.longdouble), X - truth)
    computed = np.einsum("lfd,lkd->fkd", system.g, X)  # what would be reported
    error_of_sum = np.einsum("lfd,lkd->fkd", system.g.astype(np.longdouble), truth) - computed
    assert bound.shape == (f, k, LANES)
    assert not np.isnan(bound).any()
    assert (np.abs(error) <= bound).all()
    assert (np.abs(error_of_sum) <= bound).all()
    assert np.isinf(bound[..., ~judge.proved]).all()
    assert np.isfinite(bound[..., judge.proved]).all()


@KINDS
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 8))
def test_no_radius_is_proved_that_is_not_below(kind: str, seed: int, n: int) -> None:
    system, rng = made(seed, n, 1, 2), np.random.default_rng(seed + 1)
    judge = certificate(system, kind, np.zeros((n, 1)), rng)
    assert (system.radius[judge.proved] < 0.99 * (1 + 1e-12)).all()


@KINDS
def test_a_proof_is_found_where_there_is_one(kind: str) -> None:
    """r_max D w - |B| w is D (1 - (1 - r_max) w) for the draw's own w: positive below w = 100."""
    seen = set()
    for seed in range(60):
        system, rng = made(seed, 6, 1, 1), np.random.default_rng(seed)
        for lane in np.flatnonzero(system.radius < 0.98)[:5]:
            judge, w = judged_by(system, kind, np.zeros((6, 1)), rng, int(lane))
            if kind == "far" or w.max() < 99:
                assert judge.proved[lane] == (w.max() < 100)
            seen.add(w.max() < 100)
    assert seen == {True, False}


@KINDS
def test_rows_that_are_not_positive_prove_nothing(kind: str) -> None:
    """A negative w may satisfy the inequalities of a system far beyond r_max."""
    n = 3
    B = np.repeat(np.diag([2.0, 2.0, 2.0])[..., None], LANES, axis=-1)
    D, y = np.ones((n, LANES)), np.ones((n, 1, LANES))
    g = np.ones((n, 1, LANES))
    for wrong in (-np.ones(n), np.array([1.0, -1.0, 1.0]), np.zeros(n)):
        rows = np.column_stack([np.ones(n), wrong])
        near, far = (wrong[:, None], np.empty((n, 0)))
        if kind == "far":
            near, far = far, rows
        start = started(np.zeros((n, 1)), near, far, D[:, 0] > 0)
        system = Made(B, D, y, g, D[:, 0] > 0, np.full(LANES, 2.0))
        functionals = np.einsum("lfd,lw->fwd", g, np.abs(near)) if kind == "near" else g
        judge = Certificate(start, begun(system, start), D, y, functionals, 0.99)
        assert not judge.proved.any()
        assert np.isinf(judge.bound(np.zeros((n, 1, LANES)), np.ones((n, 1, LANES)))).all()


@KINDS
def test_a_diagonal_without_output_proves_nothing(kind: str) -> None:
    """In accounts D is output, and a draw may lose it."""
    for bad in (0.0, -1.0, -1e-300):
        system = made(1, 4, 1, 1)
        system.counted[:] = True
        system.D[2, 5] = bad
        judge = certificate(system, kind, np.zeros((4, 1)), np.random.default_rng(0))
        assert not judge.proved[5]
        assert np.isinf(judge.bound(system.y, np.zeros((4, 1, LANES)))[..., 5]).all()


@KINDS
def test_a_small_residual_with_a_wrong_answer_is_caught(kind: str) -> None:
    """Radius 1 - 1e-7: a residual of 1e-8 hides an answer that is wrong by fifty."""
    B = np.repeat(np.array([[0.5, 0.5], [0.5, 0.5 - 2e-7]])[..., None], LANES, axis=-1)
    ones = np.ones((2, 1, LANES))
    system = Made(B, ones[:, 0], ones, ones, np.ones(2, dtype=bool), np.full(LANES, 1 - 1e-7))
    right = np.linalg.solve(np.eye(2) - B[..., 0], np.ones(2))
    near, far = right[:, None], np.empty((2, 0))
    if kind == "far":
        near, far = far, np.column_stack([right, right])
    start = started(right[:, None], near, far, system.counted)
    g = np.einsum("lfd,lw->fwd", ones, near) if kind == "near" else ones
    judge = Certificate(start, begun(system, start), ones[:, 0], ones, g, 1 - 1e-9)
    assert judge.proved.all()
    truth = system.truth()
    wrong = truth.astype(np.float64) + 50.0
    bound = judge.bound(system.residual(wrong), np.abs(wrong))
    assert np.abs(system.residual(wrong)).max() / np.abs(wrong).max() < 1e-8
    assert (np.abs((wrong - truth).sum(axis=0)) <= bound[0]).all()
    assert (np.abs((wrong - truth).sum(axis=0)) > 50).all()


# --- whole refinements, judged at every step ------------------------------------------------------


def cells_of(B: F64, rsd: float, seed: int) -> tuple[Cells, ...]:
    i, j = (index.astype(np.int32) for index in np.nonzero(B))
    log2_sd = np.full(len(i), float(log_sd(np.array([rsd]))[0]) * LOG2E, dtype=np.float32)
    labels = np.arange(1, 2 * len(B), 2, dtype=np.uint32)
    terms = (Term(1.0, stream_key(seed, "B", "own"), 2000, None),)
    return (pack(B, i, j, log2_sd, (labels, labels), terms, by_row=True),)


@dataclass
class Watched:
    """Every solution that a refinement went through, with residual and bound."""

    steps: list[tuple[F64, F64, F64]]

    def __call__(self, X: F64, R: F64, bound: F64) -> F64:
        self.steps.append((X.copy(), R.copy(), bound.copy()))
        return np.full(LANES, np.inf)  # never good enough


def refined(
    seed: int,
    n: int,
    kind: str,
    rsd: float,
    largest: float,
    *,
    all_kept: bool,
    spread: float = 1.0,
    own: bool = False,
) -> tuple[Made, Watched, Refined]:
    """Refine one random system for as long as it goes.

    Args:
        own: whether draws without a proof look for weights of their own.
    """
    rng = np.random.default_rng(seed)
    D0 = 10.0 ** rng.uniform(-spread, spread, n)
    B0 = rng.lognormal(0, 2, (n, n)) * rng.choice([0, 1, 1, -0.1], (n, n)) * D0[:, None]
    size = radius(B0[..., None], D0[:, None])
    B0 *= largest / np.where(size > 0, size, 1.0)
    y0, g0 = rng.lognormal(0, 3, (n, 2)) * D0[:, None], rng.lognormal(0, 2, (n, 2))
    cells, counted = cells_of(B0, rsd, seed), np.ones(n, dtype=np.bool_)
    estimate = Estimate(B0, D0, counted)
    X0, none = estimate.solve(y0), np.empty((n, 0))
    inverse = what_matters(estimate.inverse(), D0, np.ones(n), 0.0 if all_kept else 1e-5)
    if kind == "near":
        squares = squared_errors(cells)
        near, far = near_weights(estimate, inverse, squares, squares, X0, D0), none
    else:
        u = np.abs(estimate.solve_left(g0))
        near, far = none, np.column_stack([u, estimate.positive(D0, left=True)])
    start = Start(X0, y0, B0.sum(axis=1), inverse, np.ones(n), near, far, counted)
    memory = Memory()
    memory.clear(2 * sum(len(entry.value) for entry in cells))
    B = bind(cells, seed, keep=memory if all_kept else None)
    some = [cells[0].only(rng.random(len(cells[0].value)) < 0.3)]
    kept = B if all_kept else bind(some, seed, keep=memory)
    D = D0[:, None] * rng.lognormal(0, 0.02, (n, LANES))
    y, g = (a[..., None] * rng.lognormal(0, 0.3, (*a.shape, LANES)) for a in (y0, g0))
    sweep(kept)  # as for the departure
    X = X0[..., None] * rng.lognormal(0, 0.1, (*X0.shape, LANES))
    first = begin(B, start, X, forward=True, accounts=True)
    functionals = np.einsum("lfd,lw->fwd", g, near) if kind == "near" else g
    judge = Certificate(start, first, D, y, functionals, 0.999)
    watched = Watched([])
    rough = Rough(kept, all_kept, D - D0[:, None])
    problem = System(B, D, y, rough)
    if own:
        below = cells[0].only(cells[0].value < 0)
        negative = bind([below], seed) if len(below.value) else ()
        judge.prove_with(own_weights(problem, negative, start, ~judge.proved, 0.999))
    found = refine(problem, start, X, first, judge, watched, 0.0)
    draws = [perturb(cells, LANES * seed + lane) for lane in range(LANES)]
    system = Made(np.stack(draws, axis=-1), D, y, g, counted, np.zeros(LANES))
    assert (judge.proved <= (radius(system.B, D) < 0.999)).all()
    return system, watched, found


@KINDS
@pytest.mark.parametrize("all_kept", [True, False])
@pytest.mark.parametrize("rsd", [1e-3, 0.3, 2.0])
def test_every_step_of_a_refinement_is_within_its_bound(
    kind: str, all_kept: bool, rsd: float
) -> None:
    """The residual is updated, not computed anew: what that loses must be in the bound too."""
    proved = 0
    for seed in range(8):
        n, largest, spread = 2 + 3 * (seed % 4), (0.5, 0.9)[seed % 2], (0.0, 6.0)[seed // 4]
        system, watched, found = refined(
            seed, n, kind, rsd, largest, all_kept=all_kept, spread=spread
        )
        truth = system.truth()
        assert found.corrections <= MOST_CORRECTIONS
        for X, R, bound in watched.steps:
            error = np.einsum("lfd,lkd->fkd", system.g.astype(np.longdouble), X - truth)
            assert (np.abs(error) <= bound).all()
            assert np.isfinite(R).all()
        assert (watched.steps[-1][0] == found.X).all()
        proved += int(np.isfinite(watched.steps[-1][2]).all(axis=(0, 1)).sum())
    assert proved > (128 if rsd < 1 else 20)


@KINDS
@pytest.mark.parametrize("all_kept", [True, False])
@pytest.mark.parametrize("rsd", [0.3, 1.0, 2.0])
def test_what_weights_of_a_draws_own_prove_is_true(kind: str, all_kept: bool, rsd: float) -> None:
    """Bounds hold, no radius is proved that is not below (`refined`), and far more draws are."""
    proved, without, possible = 0, 0, 0
    for seed in range(8):
        n, largest, spread = 2 + 3 * (seed % 4), (0.5, 0.9)[seed % 2], (0.0, 6.0)[seed // 4]
        system, watched, _ = refined(
            seed, n, kind, rsd, largest, all_kept=all_kept, spread=spread, own=True
        )
        truth = system.truth()
        for X, _, bound in watched.steps:
            error = np.einsum("lfd,lkd->fkd", system.g.astype(np.longdouble), X - truth)
            assert (np.abs(error) <= bound).all()
            assert not np.isnan(bound).any()
        proved += int(np.isfinite(watched.steps[-1][2]).all(axis=(0, 1)).sum())
        _, before, _ = refined(seed, n, kind, rsd, largest, all_kept=all_kept, spread=spread)
        without += int(np.isfinite(before.steps[-1][2]).all(axis=(0, 1)).sum())
        possible += int((radius(system.B, system.D) < 0.9).sum())
    assert proved - without >= 0.5 * (possible - without)


@KINDS
def test_no_weights_are_found_beyond_the_limit(kind: str) -> None:
    """Radii of the estimate's 0.99 times factors of 1 and more: nothing above 0.999 is proved."""
    for seed in range(4):
        system, watched, _ = refined(seed, 6, kind, 0.5, 0.99, all_kept=True, own=True)
        beyond = radius(system.B, system.D) >= 0.999
        assert beyond.any()
        assert np.isinf(watched.steps[-1][2][..., beyond]).all()


@KINDS
def test_corrections_reach_the_last_digits(kind: str) -> None:
    """Bounds of 1e-11 of the answer where cells are well known, without a direct solution."""
    system, watched, found = refined(3, 12, kind, 0.05, 0.5, all_kept=True)
    size = np.einsum("lfd,lkd->fkd", system.g, np.abs(found.X))
    bound = watched.steps[-1][2]
    assert np.isfinite(bound).all()
    assert (bound < 1e-11 * size).all()


@KINDS
@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_more_corrections_than_industries_do_no_harm(kind: str, n: int) -> None:
    """When no direction is left, what a correction offers is noise, and must be seen as it."""
    for seed, all_kept in ((0, True), (1, False), (2, True)):
        system, watched, _ = refined(seed, n, kind, 0.5, 0.7, all_kept=all_kept, spread=3.0)
        truth = system.truth()
        for X, _, bound in watched.steps:
            error = np.einsum("lfd,lkd->fkd", system.g.astype(np.longdouble), X - truth)
            assert (np.abs(error) <= bound).all()
        first, last = watched.steps[0][2], watched.steps[-1][2]
        proved = np.isfinite(last)
        assert (last[proved] <= first[proved] * (1 + 1e-12)).all()
