"""Totals that are known better than their parts: a nation's inventory, and its sectors' shares.

A group of non-negative cells of emissions carries a total T' with an error of its own,

    q'_i = T' c_i q_i w_i / sum_j c_j q_j w_j,

w the cells' own mean-one factors, which T' knows nothing of. The c_i keep every cell's mean. Or the
shares of T' are Dirichlet with means p_i, those of the estimate, and a concentration kappa: a share
has variance p_i (1 - p_i) / (kappa + 1), and two have covariance -p_i p_j / (kappa + 1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.error_model.checks import check_only, check_rsd, check_source
from engine.error_model.entries import Component, check_weights
from engine.error_model.provisional import check_provisional
from engine.error_model.quantities import EMISSIONS, Quantity
from engine.error_model.sizes import ByLabel, Constant
from engine.errors import ConfigError
from engine.kernels.dirichlet import SMALLEST_CONCENTRATION

KEYS_OF_TOTALS = ("stressor", "region", "sector")
OWNER = "total"  # in the place of a quantity, in the keys of the totals' random numbers


@dataclass(frozen=True, slots=True)
class KnownTotals:
    """Totals of emissions, each known better than its cells.

    Attributes:
        quantities: whose cells belong: E or s, F_Y, or both together. The `region` of F_Y is its
            consumer.
        only: labels by key; a cell belongs when each key's label is listed. Empty: all cells.
        by: keys, `stressor` among them: one total for each combination of their labels.
        size: the relative standard deviation of the totals.
        components: how their error's variance is shared, weights adding up to one; groups are
            `all` or some of the keys of `by`.
        source: a citation, or "assumption".
        stated: what the totals are stated to be, by year and labels in the order of `by`; None
            where the table's own are taken.
        rescale: whether cells are scaled to the stated totals where they differ; an error if not.
        provisional: by year, how many times larger `size` is there.
        others_exact: as in `engine.error_model.Errors`.
        concentration: kappa of Dirichlet shares, whose cells have errors of the size
            `DirichletShares`; None where shares come of the sizes of the cells' errors.
    """

    quantities: tuple[Quantity, ...]
    only: Mapping[str, tuple[str, ...]]
    by: tuple[str, ...]
    size: Constant | ByLabel
    components: tuple[Component, ...]
    source: str
    stated: Mapping[int, Mapping[tuple[str, ...], float]] | None = None
    rescale: bool = False
    provisional: Mapping[int, float] = field(default_factory=dict)
    others_exact: bool = True
    concentration: float | None = None

    def __post_init__(self) -> None:
        check_source(self.source, WHERE)
        _check_concentration(self.concentration)
        check_provisional(self.provisional, WHERE)
        self._check_cells()
        self._check_size()
        self._check_components()
        if self.rescale and self.stated is None:
            raise ConfigError(
                "there are no stated totals to scale to",
                where=f"{WHERE}, rescale",
                remedy="give `totals`, a CSV file, or leave `rescale` out",
            )

    def _check_cells(self) -> None:
        named = set(self.quantities)
        if not named or len(named) < len(self.quantities) or not named <= set(EMISSIONS):
            raise ConfigError(
                f"{', '.join(self.quantities) or 'no quantity'} is no set of emissions",
                where=f"{WHERE}, quantities",
                remedy="use E (coefficients: s), F_Y, or both: other cells have no known totals",
            )
        for key, names in self.only.items():
            _check_key(key, self.quantities, f"{WHERE}, only")
            check_only(names, f"{WHERE}, only {key}")
        for key in self.by:
            _check_key(key, self.quantities, f"{WHERE}, by")
        if "stressor" not in self.by or len(set(self.by)) != len(self.by):
            raise ConfigError(
                "every stressor has its own total, and every key stands once",
                where=f"{WHERE}, by",
                remedy='write for example by = ["stressor", "region"]',
            )

    def _check_size(self) -> None:
        match self.size:
            case Constant(rsd):
                check_rsd(rsd, f"{WHERE}, rsd")
            case ByLabel(keys, rsds):
                for key in keys:
                    self._check_by(key, f"{WHERE}, table")
                for labels, rsd in rsds.items():
                    check_rsd(rsd, f"{WHERE}, {' '.join(labels)}")

    def _check_components(self) -> None:
        check_weights(self.components, WHERE)
        for component in self.components:
            where = f"{WHERE}, component {component.name}"
            if component.shared_with is not None:
                raise ConfigError(
                    "a total's error is independent of all others",
                    where=where,
                    remedy="leave `shared_with` out",
                )
            if component.group == ("all",):
                continue
            if not component.group:
                raise ConfigError("has no group", where=where, remedy="use `all` or keys of `by`")
            for key in component.group:
                self._check_by(key, where)

    def _check_by(self, key: str, where: str) -> None:
        if key not in self.by:
            raise ConfigError(
                f"`{key}` does not tell these totals apart",
                where=where,
                remedy=f"use keys of `by`: {', '.join(self.by)}; or `all` for the group of all",
            )

    def canonical_components(self) -> tuple[Component, ...]:
        """Sorted by name: the order of summation."""
        return tuple(sorted(self.components, key=lambda component: component.name))


WHERE = "known_totals"


def _check_concentration(concentration: float | None) -> None:
    if concentration is None or SMALLEST_CONCENTRATION <= concentration < math.inf:
        return
    raise ConfigError(
        f"Dirichlet shares cannot have a concentration of {concentration:g}",
        where=f"{WHERE}, concentration",
        remedy=f"give a number of {SMALLEST_CONCENTRATION:g} or more: below it, one cell taken at "
        "random has nearly all of its total; a share p has the relative standard deviation "
        "sqrt((1 - p) / (p (concentration + 1)))",
    )


def _check_key(key: str, quantities: tuple[Quantity, ...], where: str) -> None:
    known = KEYS_OF_TOTALS[:2] if Quantity.F_Y in quantities else KEYS_OF_TOTALS
    if key not in known:
        raise ConfigError(
            f"{' and '.join(quantities)} have no `{key}`"
            if len(quantities) > 1
            else f"{quantities[0]} has no `{key}`",
            where=where,
            remedy=f"the keys are {', '.join(known)} (the region of F_Y is its consumer)",
        )
