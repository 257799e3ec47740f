"""Contributions of origins, industries or products to the footprints of who asks for them.

The solution is the one that gave the totals, and a contribution is s' X with |s'| <= |s|, so that
the bound on the total's error holds for it too (`engine.kernels.solve`). What the residual corrects
in a part is itself below that bound, since the rows of the certificate stand above the multipliers
of deliveries that are not negative (`engine.kernels.start.HEADROOM`); a share of it is added to
every contribution. Hence:

    the absolute error of a contribution is less than twice the one certified for the total.
"""

from __future__ import annotations

import numpy as np

from engine.kernels.arrays import F64, Bool
from engine.kernels.attribution import by_industry, by_product, by_region, shared_out
from engine.prepare import Prepared

Contributions = dict[str, F64]


def contributions(
    prepared: Prepared, s: F64, X: F64, corrections: tuple[F64, F64]
) -> Contributions:
    """`by_origin` and `by_industry` as in `engine.draws.Draws`, where they are asked.

    Args:
        s: intensities of the indicators, or emissions, (n,q,d).
        X: what each consumer requires, (n,c,d).
        corrections: of the domestic and of the foreign parts by the residual, (q,c,d) each.
    """
    found: Contributions = {}
    if len(asked := prepared.by_origin):
        r = len(prepared.membership)
        values, size = by_region(s, X[:, asked], prepared.region_of, r)
        chosen = corrections[0][:, asked], corrections[1][:, asked]
        inside = _homes(prepared)[:, asked]
        found["by_origin"] = np.moveaxis(shared_out(values, size, inside, chosen), -1, 0)
    if len(asked := prepared.by_industry):
        values, size = by_industry(s, X[:, asked])
        chosen = corrections[0][:, asked], corrections[1][:, asked]
        corrected = shared_out(values, size, prepared.domestic[:, asked], chosen)
        found["by_industry"] = np.moveaxis(corrected, -1, 0)
    return found


def of_products(prepared: Prepared, m: F64, y: F64, correction: F64) -> Contributions:
    """`by_product` as in `engine.draws.Draws`.

    Args:
        m: multipliers of the indicators, (n,q,d).
        y: final demand of the consumers that ask, (n, consumers, d).
        correction: of the totals of all consumers by the residual, (q,c,d).
    """
    products = int(prepared.product_of.max()) + 1
    values, size = by_product(m, y, prepared.product_of, products)
    everywhere = np.ones((products, y.shape[1]), dtype=np.bool_)
    chosen = correction[:, prepared.by_product]
    corrected = shared_out(values, size, everywhere, (chosen, np.zeros_like(chosen)))
    return {"by_product": np.moveaxis(corrected, -1, 0)}


def _homes(prepared: Prepared) -> Bool:
    """Whether a region is inside a consumer, (r,c)."""
    inside = np.zeros(prepared.membership.shape, dtype=np.bool_)
    inside[prepared.region_of] = prepared.domestic
    return inside
