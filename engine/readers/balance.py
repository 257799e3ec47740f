"""Whether the industries of a table sell what they make; nothing that is far from it is read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.errors import TableError
from engine.kernels.arrays import F64

_LARGEST = 0.01  # of all output; the tables that are held to it balance to rounding


def refuse_unbalanced(
    sold: F64, made: F64, industries: Sequence[tuple[str, str]], said: str, remedy: str
) -> None:
    """Names that are swapped, industries that are gone, numbers that lost their point: all show.

    Args:
        sold: what the row of each industry adds up to, (n,).
        made: its output by the table's own account, (n,).
        industries: n of them.
        said: what `made` is, as in "its column adds up to".
        remedy: what to do.

    Raises:
        TableError: the gaps of all industries are together above a hundredth of all output.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        gap = np.abs(sold - made)
        if gap.sum() <= _LARGEST * np.abs(made).sum() < np.inf:
            return
    worst = int(np.nan_to_num(gap, nan=np.inf).argmax())
    raise TableError(
        f"does not balance: the row of {'_'.join(industries[worst])} adds up to "
        f"{sold[worst]:.6g}, {said} {made[worst]:.6g}, and others differ too",
        remedy=remedy,
    )
