"""The components of an error model by the key of their normals: what they and their groups are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.budget.found import TOTALS
from engine.error_model import (
    AR1,
    KEYS,
    OWNER,
    ErrorModel,
    Quantity,
    TimeKey,
    Yearly,
    inter_year_correlation,
    kind,
)
from engine.kernels.arrays import U32
from engine.kernels.streams import stream_key
from engine.prepare import Addresses

CELL = ("cell",)
_OF_TOTALS = (("stressor",), ("region", "sector"))


@dataclass(frozen=True, slots=True)
class Source:
    """Where the normals of one stream key come from.

    Attributes:
        owner: the quantity whose component it is, or `TOTALS`.
        component: its name.
        users: the other quantities that share it.
        group: what shares a normal, as the error model says.
        time: which years share one.
    """

    owner: str
    component: str
    users: tuple[Quantity, ...]
    group: tuple[str, ...]
    time: TimeKey

    @property
    def name(self) -> str:
        """`E.national (also F_Y)`."""
        also = f" (also {', '.join(self.users)})" if self.users else ""
        return f"{self.owner}.{self.component}{also}"

    @property
    def phi(self) -> float:
        """Correlation of one year's error with the next one's, in years to come.

        Of periods the last one goes on, for nobody knows the next benchmark.
        """
        match self.time:
            case AR1(phi):
                return phi
            case Yearly():
                return 0.0
            case _:
                return 1.0

    def correlation(self, year: int, other: int) -> float:
        """Correlation of the normals of two years."""
        return inter_year_correlation(self.time, year, other)

    def called(self, rows: U32, columns: U32, hashes: Addresses) -> list[list[str]]:
        """The names of its groups, by row and column address."""
        above, beside = (self._addressed(axis, hashes) for axis in (0, 1))
        return [[self._joined(above[int(r)], beside[int(c)]) for c in columns] for r in rows]

    def _joined(self, row: str, column: str) -> str:
        between = " to " if row and column and "stressor" not in self.group else " "
        return f"{self.owner}.{self.component}: {f'{row}{between}{column}'.strip() or 'all'}"

    def _addressed(self, axis: int, hashes: Addresses) -> dict[int, str]:
        of = _OF_TOTALS if self.owner == TOTALS else KEYS[Quantity(self.owner)]
        keys = [key for key in of[axis] if self.group == CELL or key in self.group]
        vectors = self.owner == Quantity.PURCHASES and keys == ["consumer"]
        kinds = "vector" if vectors else " ".join(kind(key) for key in keys)
        return {int(word): " ".join(label) for label, word in hashes[kinds].items()}


def sources(errors: ErrorModel, seed: int) -> Mapping[bytes, Source]:
    """Every component with errors of its own, by its stream key."""
    found: dict[bytes, Source] = {}
    shared = []
    for entry in errors:
        for component in entry.components:
            owner, name = component.shared_with or (entry.quantity, component.name)
            key = stream_key(seed, owner, name).tobytes()
            if component.shared_with is None:
                found[key] = Source(owner, name, (), component.group, component.time)
            else:
                shared.append((key, entry.quantity))
    for key, quantity in shared:
        known = found[key]
        if quantity != known.owner:
            users = tuple(dict.fromkeys((*known.users, quantity)))
            found[key] = replace(known, users=users)
    for of_totals in errors.totals:
        for component in of_totals.components:
            key = stream_key(seed, OWNER, component.name).tobytes()
            found[key] = Source(TOTALS, component.name, (), component.group, component.time)
    return found
