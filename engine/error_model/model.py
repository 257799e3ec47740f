"""One scenario: the errors of all quantities, and what they must be together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from engine.error_model.entries import Errors
from engine.error_model.laws import Empirical
from engine.error_model.quantities import PERTURBED, Method, Quantity, Rebalance
from engine.error_model.sharing import check_shared, refuse_one_error_twice
from engine.error_model.sizes import DirichletShares
from engine.error_model.totals import WHERE, KnownTotals
from engine.errors import ConfigError

DIRICHLET = "dirichlet"  # the law of shares, among the names of laws


@dataclass(frozen=True, slots=True)
class ErrorModel:
    """One scenario of the errors of all quantities. Quantities without an entry are exact.

    Attributes:
        totals: of emissions, known better than their cells.
        rebalance: how every draw's deliveries and final demand are balanced back to the margins
            of the published table; None where they stay as drawn.
    """

    name: str
    method: Method
    errors: tuple[Errors, ...]
    totals: tuple[KnownTotals, ...] = ()
    rebalance: Rebalance | None = None

    def __post_init__(self) -> None:
        if self.rebalance is not None and self.method is not Method.ACCOUNTS:
            raise ConfigError(
                f"the method `{self.method}` has no accounts that could be balanced",
                where="method.rebalance",
                remedy='use perturb = "accounts", or leave `rebalance` out',
            )
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
        self._check_totals()

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

    def _check_totals(self) -> None:
        for entry in self.totals:
            for quantity in entry.quantities:
                if quantity not in PERTURBED[self.method]:
                    raise ConfigError(
                        f"{quantity} is not perturbed by the method `{self.method}`",
                        where=f"scenario {self.name}, {WHERE}",
                        remedy=f"that method's emissions are {self.method.emissions} and F_Y",
                    )
        names = Counter(component.name for e in self.totals for component in e.components)
        for name, times in names.items():
            if times > 1:
                raise ConfigError(
                    f"there are {times} components named `{name}`, which would share errors",
                    where=f"scenario {self.name}, {WHERE}",
                    remedy="name every component of known totals differently",
                )

        self._check_shares()

    def _check_shares(self) -> None:
        """Dirichlet shares need totals that have them, and the other way round."""
        given = {e.quantity for e in self.errors if isinstance(e.size, DirichletShares)}
        asked = of_dirichlet_shares(self.totals)
        for quantity in sorted(given - asked):
            raise ConfigError(
                "the size of the error is not given, and no known total has Dirichlet shares",
                where=f"scenario {self.name}, errors of {quantity}",
                remedy="give a size, or a known total with a concentration",
            )
        for quantity in sorted(asked - given):
            raise ConfigError(
                f"shares are Dirichlet, and no errors of {quantity} say which years have their "
                "normals in common",
                where=f"scenario {self.name}, {WHERE}",
                remedy=f"add an entry of errors of {quantity} with components and no size",
            )

    def __iter__(self) -> Iterator[Errors]:
        return iter(self.errors)


def only_independent_cells(model: ErrorModel) -> bool:
    """Whether all errors are the cells' own, which is optimistic (Rodrigues et al. 2018)."""
    groups = {component.group for entry in model for component in entry.components}
    return groups <= {("cell",)} and most_draws(model) is None and not model.totals


def of_dirichlet_shares(totals: tuple[KnownTotals, ...]) -> frozenset[Quantity]:
    """The quantities of which some cells are Dirichlet shares."""
    return frozenset(q for one in totals if one.concentration is not None for q in one.quantities)


def law_names(model: ErrorModel) -> tuple[str, ...]:
    """The laws of all factors, "empirical" for those from files."""
    return tuple(sorted({_law_name(entry) for entry in model}))


def _law_name(entry: Errors) -> str:
    match entry.size:
        case Empirical():
            return "empirical"
        case DirichletShares():
            return DIRICHLET
        case _:
            return str(entry.law)


def most_draws(model: ErrorModel) -> int | None:
    """How many draws the realisations in files suffice for; None where there are no files."""
    known = [e.size.realisations for e in model if isinstance(e.size, Empirical)]
    return min(known, default=None)


def refuse_more_draws(model: ErrorModel, draws: int) -> None:
    """Refuse more draws than files have realisations: repeating them would only look like more.

    Raises:
        ConfigError: there are fewer realisations.
    """
    most = most_draws(model)
    if most is not None and draws > most:
        raise ConfigError(
            f"{draws} draws are asked for, but an error has {most} realisations in its files",
            where=f"scenario {model.name}",
            remedy=f"ask for at most {most} draws in whole blocks (`draws`, `block`), or give "
            "files of more realisations",
        )
