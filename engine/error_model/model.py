"""One scenario: the errors of all quantities, and what they must be together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from engine.error_model.entries import Errors
from engine.error_model.quantities import PERTURBED, Method
from engine.error_model.sharing import check_shared, refuse_one_error_twice
from engine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ErrorModel:
    """One scenario of the errors of all quantities. Quantities without an entry are exact."""

    name: str
    method: Method
    errors: tuple[Errors, ...]

    def __post_init__(self) -> None:
        for entry in self.errors:
            if entry.quantity not in PERTURBED[self.method]:
                can = ", ".join(PERTURBED[self.method])
                raise ConfigError(
                    f"{entry.quantity} is not perturbed by the method `{self.method}`",
                    where=f"scenario {self.name}",
                    remedy=f"that method perturbs {can}",
                )
        self._check_names()
        self._check_sharing()

    def _check_names(self) -> None:
        names = Counter((e.quantity, c.name) for e in self.errors for c in e.components)
        for (quantity, name), times in names.items():
            if times > 1:
                raise ConfigError(
                    f"{quantity} has {times} components named `{name}`, which would share errors",
                    where=f"scenario {self.name}",
                    remedy="name every component of a quantity differently, or say `shared_with`",
                )

    def _check_sharing(self) -> None:
        known = {(e.quantity, c.name): (e, c) for e in self.errors for c in e.components}
        for entry in self.errors:
            for component in entry.components:
                where = f"scenario {self.name}, {entry.quantity}.{component.name}"
                if component.shared_with is None:
                    continue
                # An unknown owner is as useless as one that borrows its errors itself.
                of, owner = known.get(component.shared_with, (entry, component))
                if owner.shared_with is not None:
                    spelled = ".".join(component.shared_with)
                    raise ConfigError(
                        f"`shared_with` names {spelled}, which is no component with its own errors",
                        where=where,
                        remedy="name it as QUANTITY.COMPONENT",
                    )
                check_shared(component, entry, owner, of, where)
            refuse_one_error_twice(entry, f"scenario {self.name}, errors of {entry.quantity}")

    def __iter__(self) -> Iterator[Errors]:
        return iter(self.errors)


def only_independent_cells(model: ErrorModel) -> bool:
    """Whether all errors are the cells' own, which is optimistic (Rodrigues et al. 2018)."""
    groups = {component.group for entry in model for component in entry.components}
    return groups <= {("cell",)}
