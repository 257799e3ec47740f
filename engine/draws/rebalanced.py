"""The 64 draws of one group with their tables balanced back to the published margins.

Balancing moves every cell by all the others, so that the estimate's solution foresees little of
such a draw: each is balanced and solved by itself (`engine.draws.direct`), and so is the same draw
without balancing, from the same cells, which is kept to tell what balancing does. The first order
knows nothing of balancing: `linear` and `gaussian` are NaN.
"""

from __future__ import annotations

import numpy as np

from engine.draws.attribution import Contributions
from engine.draws.direct import Single, draw_directly
from engine.draws.outcome import DIRECTLY, Draws
from engine.kernels.streams import LANES
from engine.prepare import Prepared


def draw_rebalanced(prepared: Prepared, group: int) -> Draws:
    """Footprints of draws 64 group to 64 group + 63, with and without balancing."""
    drawn = [draw_directly(prepared, LANES * group + lane) for lane in range(LANES)]
    unbalanced = [one.footprint_unbalanced for one in drawn]
    footprint = np.stack([one.footprint for one in drawn])
    unknown = np.full_like(footprint, np.nan)
    return Draws(
        footprint=footprint,
        linear=unknown,
        gaussian=unknown.copy(),
        status=np.array([one.status for one in drawn], dtype=np.uint8),
        certified_error=np.array([one.certified_error for one in drawn]),
        corrections=np.full(LANES, DIRECTLY, dtype=np.uint8),
        column_sums_above_one=np.array([one.column_sums_above_one for one in drawn], np.int32),
        footprint_unbalanced=np.stack([one for one in unbalanced if one is not None]),
        **_contributions(prepared, drawn),
    )


def _contributions(prepared: Prepared, drawn: list[Single]) -> Contributions:
    """Those asked for, draws first; NaN in draws that were not accepted."""
    places = {
        "by_origin": (len(prepared.by_origin), len(prepared.membership)),
        "by_industry": (len(prepared.by_industry), len(prepared.active)),
        "by_product": (len(prepared.by_product), int(prepared.product_of.max()) + 1),
    }
    q = len(prepared.characterisation)
    return {
        name: np.stack([one.contributions.get(name, np.full((q, *shape), np.nan)) for one in drawn])
        for name, shape in places.items()
        if shape[0]
    }
