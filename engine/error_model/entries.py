"""The errors of one quantity, and the components that make them up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.error_model.checks import check_key, check_name, check_only, check_size, check_source
from engine.error_model.laws import Empirical, Law, check_law
from engine.error_model.provisional import check_provisional
from engine.error_model.quantities import Quantity
from engine.error_model.sizes import DirichletShares, ErrorSize, largest
from engine.error_model.times import TimeKey
from engine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Component:
    """A share of an error's variance, with what shares it.

    Attributes:
        name: part of the key of its random numbers.
        weight: pi, the share of the variance of eps.
        group: keys of the cells that share one normal: ("cell",), ("all",), or label keys of
            the quantity such as ("stressor", "region").
        time: which years share one normal.
        shared_with: (quantity, component) whose normals it uses instead of its own, in groups of
            the same labels; a cell's own normal is nobody else's, so `cell` cannot be shared.
    """

    name: str
    weight: float
    group: tuple[str, ...]
    time: TimeKey
    shared_with: tuple[Quantity, str] | None = None


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of one quantity, or of the part of it that `only` selects.

    Attributes:
        quantity: the array perturbed.
        only: labels by key; a cell belongs when each key's label is listed. Empty: all cells.
        size: the relative standard deviation.
        components: how the error's variance is shared, weights adding up to one.
        source: a citation, or "assumption".
        law: of the factors; whatever it says, those of an `Empirical` size have the files' own, and
            those of `DirichletShares` are gamma.
        provisional: by year, how many times larger `size` is there.
        others_exact: whether cells of the stressors that `only` lists may have no error at all;
            where not, a table with any is refused (`engine.prepare`).
    """

    quantity: Quantity
    only: Mapping[str, tuple[str, ...]]
    size: ErrorSize
    components: tuple[Component, ...]
    source: str
    law: Law = Law.LOGNORMAL
    provisional: Mapping[int, float] = field(default_factory=dict)
    others_exact: bool = True

    def __post_init__(self) -> None:
        where = f"errors of {self.quantity}"
        check_source(self.source, where)
        check_size(self.size, self.quantity, where)
        check_provisional(self.provisional, where)
        most = max((1.0, *self.provisional.values()))
        check_law(self.law, most * largest(self.size), where)
        for key, names in self.only.items():
            check_key(key, self.quantity, where)
            check_only(names, f"{where}, only {key}")
        if isinstance(self.size, Empirical):
            _refuse_provisional(self.provisional, where)
            _refuse_components(self.components, where)
            return
        if isinstance(self.size, DirichletShares):
            _refuse_of_shares(self.law, self.provisional, where)
        check_weights(self.components, where)
        for component in self.components:
            _check_group(component, self.quantity, f"{where}, component {component.name}")

    def canonical_components(self) -> tuple[Component, ...]:
        """Shared components before the cells' own, each sorted by name: the order of summation.

        So the order in which a configuration lists components changes no bit of a draw.
        """
        return tuple(sorted(self.components, key=lambda c: (c.group == ("cell",), c.name)))


def _refuse_provisional(provisional: Mapping[int, float], where: str) -> None:
    if provisional:
        raise ConfigError(
            "factors from files have no size to enlarge",
            where=f"{where}, provisional",
            remedy="let the files of those years scatter more",
        )


def _refuse_of_shares(law: Law, provisional: Mapping[int, float], where: str) -> None:
    """Dirichlet shares say by themselves what their errors look like."""
    if law is not Law.LOGNORMAL:
        raise ConfigError(
            f"Dirichlet shares have their own law, not `{law}`",
            where=f"{where}, law",
            remedy="leave `law` out",
        )
    if provisional:
        raise ConfigError(
            "Dirichlet shares have no size to enlarge",
            where=f"{where}, provisional",
            remedy="leave it out here; `provisional` of the known total enlarges the total's error",
        )


def _refuse_components(components: tuple[Component, ...], where: str) -> None:
    if components:
        raise ConfigError(
            "factors from a file bring their own correlations, and no component can add any",
            where=where,
            remedy="leave `components` out",
        )


def check_weights(components: tuple[Component, ...], where: str) -> None:
    """Refuse components that do not share out one error's variance.

    Raises:
        ConfigError: their weights do not add up to one, one of them is no share, or has no name.
    """
    total = math.fsum(component.weight for component in components)
    if not components or abs(total - 1) > 1e-9:
        raise ConfigError(
            f"the weights of the components add up to {total:g}, not 1",
            where=where,
            remedy="weights are shares of the error's variance; make them add up to one",
        )
    for component in components:
        check_name(component.name, where)
        if not 0 < component.weight <= 1:
            raise ConfigError(
                f"weight {component.weight:g} is not a share of variance",
                where=f"{where}, component {component.name}",
                remedy="use a number above 0 and at most 1",
            )


def _check_group(component: Component, quantity: Quantity, where: str) -> None:
    if component.group in (("cell",), ("all",)):
        return
    if not component.group:
        raise ConfigError("has no group", where=where, remedy="use `cell`, `all` or label keys")
    for key in component.group:
        if key in ("cell", "all"):
            raise ConfigError(
                f"`{key}` cannot be combined with other keys", where=where, remedy="use it alone"
            )
        check_key(key, quantity, where)
