"""Folding of tables: the industries of a group become one, their flows are added up.

Notation (Miller & Blair 2009, Input-Output Analysis, 2nd ed., section 4.9): S, (g,n), is one where
industry i belongs to group g and zero elsewhere, each column with exactly one 1.

    Z* = S Z S'   x* = S x   y* = S y   E* = E S'

The aggregation error of a footprint is m* S y - m y, with m and m* the multipliers of the full and
of the folded table. It vanishes for every y where m = m* S, as when the industries of a group have
the same recipe, S A = A* S, and the same intensity, s = s* S (Kymn 1990, Economic Systems Research
2(1), 65-93, reviews the conditions); and for the final demand of all consumers together, whatever
the table, since m y then is what all active industries emit.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse

from engine.kernels.arrays import F64, I64


def fold_rows(values: F64, group_of: I64, groups: int) -> F64:
    """`S values`, (groups,m): rows of one group added up.

    Args:
        values: (n,m).
        group_of: the group of each row, from 0 to `groups` - 1, (n,).
        groups: how many there are.
    """
    n = len(group_of)
    S = scipy.sparse.csr_array((np.ones(n), (group_of, np.arange(n))), shape=(groups, n))
    folded: F64 = S @ np.ascontiguousarray(values)  # no copy of a table that is contiguous
    return folded


def fold_columns(values: F64, group_of: I64, groups: int) -> F64:
    """`values S'`, (m,groups): columns of one group added up.

    Args:
        values: (m,n); a copy of it is made, so that large tables are folded by rows first.
        group_of: the group of each column, from 0 to `groups` - 1, (n,).
        groups: how many there are.
    """
    return np.ascontiguousarray(fold_rows(values.T, group_of, groups).T)


def fold(values: F64, rows: I64, row_groups: int, columns: I64, column_groups: int) -> F64:
    """`S values T'`, (row_groups,column_groups), for S of the rows and T of the columns."""
    return fold_columns(fold_rows(values, rows, row_groups), columns, column_groups)


def in_the_mix_of(m: F64, y: F64, group_of: I64, groups: int) -> F64:
    """Multipliers of groups by a full table, `sum m_i y_i / sum y_i` over each group, (k,groups).

    Args:
        m: multipliers of the full table, (k,n).
        y: final demand in whose mix a group is bought, (n,).
        group_of: the group of each industry, (n,).
        groups: how many there are.

    Returns:
        NaN for a group of which nothing is bought on balance.
    """
    bought = fold_columns(y[None, :], group_of, groups)
    embodied = fold_columns(m * y, group_of, groups)
    mean: F64 = np.divide(embodied, bought, out=np.full_like(embodied, np.nan), where=bought > 0)
    return mean
