"""What is kept of an inverse, against the whole of it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.kernels import inverse as module
from engine.kernels.arrays import F32, F64
from engine.kernels.inverse import Inverse, what_matters
from engine.kernels.streams import LANES

SIZES = pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 255, 256, 257, 600])


def made(n: int, seed: int = 0) -> tuple[F32, F64, F64]:
    """An inverse as uneven as a table's, with some zeros; sd and scale of every line."""
    rng = np.random.default_rng(seed)
    inverse = np.eye(n) + 10.0 ** rng.normal(-4, 1.5, (n, n)) * rng.choice([1, 1, -1, 0], (n, n))
    return inverse.astype(np.float32), 10.0 ** rng.normal(0, 1, n), 10.0 ** rng.normal(0, 1, n)


def dense(kept: Inverse) -> F64:
    """The entries kept, where they belong."""
    n = len(kept.whole)
    found = np.zeros((n, n))
    for segment, (first, last) in enumerate(zip(kept.starts, kept.starts[1:], strict=False)):
        found[segment % n, kept.across[first:last]] = kept.value[first:last]
    return found


def scores(inverse: F32, sd: F64, scale: F64) -> F64:
    size: F64 = np.square(scale[:, None] * inverse.astype(np.float64) * sd)
    return size


@SIZES
@pytest.mark.parametrize("missing", [0.0, 1e-9, 1e-4, 0.3])
def test_no_more_is_missing_than_allowed_and_hardly_less(n: int, missing: float) -> None:
    """Cut by bins of a twentieth of a decade: the least bin kept is too much to lose."""
    inverse, sd, scale = made(n)
    kept = what_matters(inverse, sd, scale, missing)
    score, there = scores(inverse, sd, scale), dense(kept) != 0
    assert (dense(kept)[there] == inverse[there]).all()
    assert there.sum() == len(kept.value)
    # Thirty decades below the largest an entry counts as nothing.
    assert score[~there].sum() <= max(missing, 1e-24) * score.sum() * (1 + 1e-9)
    if there.any() and missing > 0:
        lowest = score[there].min() * 10 ** (1 / 20) * (1 + 1e-6)
        assert score[score <= lowest].sum() > missing * score.sum() * (1 - 1e-9)
    if (~there).any() and there.any():
        assert score[~there].max() <= score[there].min() * (1 + 1e-6)


@SIZES
@pytest.mark.parametrize("k", [1, 3])
def test_a_product_is_that_of_the_entries_kept(n: int, k: int) -> None:
    inverse, sd, scale = made(n)
    kept = what_matters(inverse, sd, scale, 1e-6)
    R = np.random.default_rng(1).normal(size=(n, k, LANES)).astype(np.float32)
    for found, entries in ((kept.apply(R), dense(kept)), (kept.apply_whole(R), inverse)):
        terms = entries[:, :, None, None].astype(np.float64) * R
        lost = 2.0**-24 * (n + 4) * np.abs(terms).sum(axis=1)
        assert (np.abs(found - terms.sum(axis=1)) <= lost).all()


def test_what_is_missing_of_a_correction_is_what_was_allowed() -> None:
    """The squared norm of what is lost, over 64 residuals of a million allowed; its mean is below
    `missing`, so that twice as much is out of reach of chance."""
    inverse, sd, scale = made(400)
    R = (sd[:, None, None] * np.random.default_rng(2).normal(size=(400, 1, LANES))).astype("f4")
    for missing in (1e-6, 1e-3):
        kept = what_matters(inverse, sd, scale, missing)
        whole, some = (apply(R) * scale[:, None, None] for apply in (kept.apply_whole, kept.apply))
        assert np.square(whole - some).sum() < 2 * missing * np.square(whole).sum()
        assert len(kept.value) < 0.5 * 400**2


def test_the_variance_of_a_correction() -> None:
    """Up to a unit of its own."""
    inverse, sd, scale = made(300)
    kept = what_matters(inverse, sd, scale, 0.0)
    expected = np.square(inverse.astype(np.float64)) @ np.square(sd)
    found = kept.variance(np.square(sd))
    assert found / found.max() == pytest.approx(expected / expected.max(), rel=1e-6)


def test_an_inverse_that_is_too_large_is_kept_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP", 4 * 50**2 - 1)
    inverse, sd, scale = made(50)
    kept = what_matters(inverse, sd, scale, 1e-6)
    R = np.ones((50, 1, LANES), np.float32)
    assert kept.whole.shape == (50, 0)
    assert (kept.apply_whole(R) == kept.apply(R)).all()


def test_nothing_to_correct_keeps_nothing() -> None:
    """A singular estimate, or a table without errors."""
    for inverse, sd in ((np.zeros((5, 5), np.float32), np.ones(5)), (made(5)[0], np.zeros(5))):
        kept = what_matters(inverse, sd, np.ones(5))
        assert len(kept.value) == 0
        assert not kept.apply(np.ones((5, 2, LANES), np.float32)).any()
        assert not kept.variance(np.zeros(5)).any()
