"""A table and an error model made ready to draw: labels become hashes, sizes become arrays.

Everything that is the same for all draws of a year is settled here, once, so that a draw is
arithmetic alone.
"""

from __future__ import annotations

from engine.prepare.cells import entries_of
from engine.prepare.centring import fingerprint as centring_fingerprint
from engine.prepare.exact import (
    Exact,
    exact_in_short,
    exact_in_words,
    most_exact,
    taken_as_exact,
)
from engine.prepare.labels import Addresses, addresses
from engine.prepare.prepared import TOLERANCE, Known, Margins, Prepared, Split
from engine.prepare.preparing import prepare
from engine.prepare.sizes import mapped
from engine.prepare.totals import columns_of_totals, keys_of_columns, recentred

__all__ = [
    "TOLERANCE",
    "Addresses",
    "Exact",
    "Known",
    "Margins",
    "Prepared",
    "Split",
    "addresses",
    "centring_fingerprint",
    "columns_of_totals",
    "entries_of",
    "exact_in_short",
    "exact_in_words",
    "keys_of_columns",
    "mapped",
    "most_exact",
    "prepare",
    "recentred",
    "taken_as_exact",
]
