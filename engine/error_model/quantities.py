"""The arrays that can carry errors, and what the rows and columns of each are called."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Method(StrEnum):
    """What is perturbed: the published accounts, or the coefficients derived from them."""

    ACCOUNTS = "accounts"
    COEFFICIENTS = "coefficients"

    @property
    def matrix(self) -> Quantity:
        """The quantity that holds the intermediate deliveries."""
        return Quantity.Z if self is Method.ACCOUNTS else Quantity.A

    @property
    def emissions(self) -> Quantity:
        """The quantity that holds the industries' emissions."""
        return Quantity.E if self is Method.ACCOUNTS else Quantity.S


class Rebalance(StrEnum):
    """How every draw of the accounts is balanced back to the published margins."""

    RAS = "ras"


class Quantity(StrEnum):
    """The arrays that can carry errors; which of them do depends on the method."""

    Z = "Z"
    E = "E"
    A = "A"
    S = "s"
    Y = "Y"
    F_Y = "F_Y"
    PURCHASES = "purchases"


PERTURBED = {
    Method.ACCOUNTS: (Quantity.Z, Quantity.E, Quantity.Y, Quantity.F_Y, Quantity.PURCHASES),
    Method.COEFFICIENTS: (Quantity.A, Quantity.S, Quantity.Y, Quantity.F_Y, Quantity.PURCHASES),
}

EMISSIONS = (Quantity.E, Quantity.S, Quantity.F_Y)  # flows that are no money

# What the row and the column of a cell are called, in the order in which they address a normal.
_INTERMEDIATE = (("row_region", "row_sector"), ("col_region", "col_sector"))
_EMISSIONS = (("stressor",), ("region", "sector"))
_DEMAND = (("row_region", "row_sector"), ("consumer",))
KEYS: Mapping[Quantity, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Quantity.Z: _INTERMEDIATE,
    Quantity.A: _INTERMEDIATE,
    Quantity.E: _EMISSIONS,
    Quantity.S: _EMISSIONS,
    Quantity.Y: _DEMAND,
    Quantity.PURCHASES: _DEMAND,
    Quantity.F_Y: (("stressor",), ("consumer",)),
}


def kind(key: str) -> str:
    """What a key names: `row_region` and `consumer` both name a region."""
    name = key.removeprefix("row_").removeprefix("col_")
    return "region" if name == "consumer" else name
