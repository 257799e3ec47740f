"""Where a footprint arises, and for which products: contributions that add up to it.

Notation: q indicators, c consumers, n industries, r regions; the last axis is the draw.

    f_j = s_j X_j                (q,c,n)  emissions of industry j for a consumer, X as it requires
    f_r = sum of f_j, j in r     (q,c,r)
    f_p = sum of m_j y_j         (q,c,p)  over what is bought of product p, m the multipliers

s and X are intensities and output, or in accounts emissions and the share of output required.

A solution that is corrected to first order in its residual (`engine.draws.ways`) moves a consumer's
domestic part by one number and its foreign part by another. Each is shared out in proportion to
|f_j|, so that contributions add up to the parts to rounding, and none moves by more than its part.
"""

from __future__ import annotations

import numpy as np

from engine.kernels.arrays import F64, I64, Bool


def by_industry(s: F64, X: F64) -> tuple[F64, F64]:
    """What every industry emits for every consumer, and its magnitude, (q,c,n,d) each.

    Args:
        s: (n,q,d).
        X: (n,c,d).
    """
    found: F64 = s.transpose(1, 0, 2)[:, None] * X.transpose(1, 0, 2)[None]
    return found, np.abs(found)


def by_region(s: F64, X: F64, region_of: I64, r: int) -> tuple[F64, F64]:
    """What every region emits for every consumer, and the magnitudes it adds up, (q,c,r,d) each.

    Args:
        region_of: the region of each industry, (n,).
    """
    (_, q, d), c = s.shape, X.shape[1]
    found, size = np.zeros((2, q, c, r, d))
    for region in range(r):
        own = region_of == region
        emitted, required = s[own], X[own]
        found[:, :, region] = np.einsum("nqd,ncd->qcd", emitted, required)
        size[:, :, region] = np.einsum("nqd,ncd->qcd", np.abs(emitted), np.abs(required))
    return found, size


def by_product(m: F64, y: F64, product_of: I64, products: int) -> tuple[F64, F64]:
    """What is emitted for each product bought, and the magnitudes added up, (q,c,products,d) each.

    `f_p = sum of m_j y_j, j in p`: m_j is all that is emitted for one unit of product j.

    Args:
        m: multipliers, (n,q,d).
        y: final demand of each consumer, (n,c,d).
        product_of: the product of each row, (n,).
    """
    (_, q, d), c = m.shape, y.shape[1]
    found, size = np.zeros((2, q, c, products, d))
    for product in range(products):
        own = product_of == product
        found[:, :, product] = np.einsum("nqd,ncd->qcd", m[own], y[own])
        size[:, :, product] = np.einsum("nqd,ncd->qcd", np.abs(m[own]), np.abs(y[own]))
    return found, size


def shared_out(contributions: F64, size: F64, home: Bool, corrections: tuple[F64, F64]) -> F64:
    """Contributions corrected like the parts they add up to, (q,c,p,d) at p places.

    Args:
        size: magnitudes, the weights of the shares.
        home: whether a place is inside a consumer, (p,c).
        corrections: of the domestic and of the foreign part, (q,c,d) each.
    """
    corrected = contributions
    for inside, correction in zip((home, ~home), corrections, strict=True):
        weight = np.where(inside.T[..., None], size, 0.0)
        whole = weight.sum(axis=2)
        share = np.divide(correction, whole, out=np.zeros_like(whole), where=whole > 0)
        corrected = corrected + weight * share[:, :, None]
    return corrected
