"""What is uncertain, by how much, and what its errors have in common: a pure description.

A cell q of year t becomes `q exp(sigma eps - sigma^2/2)` with `sigma^2 = ln(1 + rsd^2)`, so its
mean is kept. The standardised error eps is a sum of independent components,

    eps = sum_m sqrt(pi_m) u_m[group_m(cell), time_m(year)],    sum_m pi_m = 1,

each u standard normal, shared by the cells of a group and by the years of a time key. The pi are
correlations of eps; factors correlate a little less (`factor_correlation`).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from engine.errors import ConfigError

SMALLEST_RSD, LARGEST_RSD = 1e-6, 100.0  # below, float32 factors are too coarse; above, absurd
PERIOD_NODES = 2**31
AR1_WINDOW = (1984, 2048)


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

_NOT_MONEY = (Quantity.E, Quantity.S, Quantity.F_Y)


def kind(key: str) -> str:
    """What a key names: `row_region` and `consumer` both name a region."""
    name = key.removeprefix("row_").removeprefix("col_")
    return "region" if name == "consumer" else name


# --- the size of an error -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constant:
    """One relative standard deviation for all cells."""

    rsd: float


@dataclass(frozen=True, slots=True)
class ByLabel:
    """A relative standard deviation for each combination of labels.

    Attributes:
        keys: what the labels are, such as ("stressor", "region").
        rsd: by one label a key; a cell without an entry is an error, never an assumption.
        unmet: entries whose stated interval no mean-one lognormal can have, in words.
    """

    keys: tuple[str, ...]
    rsd: Mapping[tuple[str, ...], float]
    unmet: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """rsd = a v^b, held between floor and ceiling (the form of Lenzen et al. 2010).

    v is the size of the cell's flow (for coefficients the flow behind them) in `currency`, of
    which one unit of the table makes `per_table_unit`, one number or one a year. Emissions have no
    such law: their flows are not money.
    """

    a: float
    b: float
    floor: float
    ceiling: float
    currency: str
    per_table_unit: float | Mapping[int, float]

    def conversion(self, year: int) -> float:
        """How many units of the law's currency one unit of the table is worth in `year`."""
        if not isinstance(self.per_table_unit, Mapping):
            return self.per_table_unit
        try:
            return self.per_table_unit[year]
        except KeyError:
            raise ConfigError(
                f"the power law has no currency conversion for {year}",
                where="errors, per_table_unit",
                remedy=f"add {year} to the conversions into {self.currency}",
            ) from None


@dataclass(frozen=True, slots=True)
class FromFile:
    """A relative standard deviation a cell, from a .npy file of the quantity's own shape."""

    path: Path
    sha256: str


ErrorSize = Constant | ByLabel | PowerLaw | FromFile


# --- its correlation over time ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Persistent:
    """One error for all years: it cancels in a change of equal sizes."""

    def nodes(self, year: int) -> tuple[tuple[int, float], ...]:
        """The time nodes that make up this year's error, each with its weight."""
        return ((0, 1.0),)


@dataclass(frozen=True, slots=True)
class Yearly:
    """A new error every year."""

    def nodes(self, year: int) -> tuple[tuple[int, float], ...]:
        """The time nodes that make up this year's error, each with its weight."""
        return ((year, 1.0),)


@dataclass(frozen=True, slots=True)
class Period:
    """One error in each period [starts_k, starts_k+1): a jump at every benchmark."""

    starts: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.starts or list(self.starts) != sorted(set(self.starts)):
            raise ConfigError(
                f"period starts {list(self.starts)} are not ascending years",
                where="errors, time",
                remedy="list the first year of each period once, in order",
            )

    def nodes(self, year: int) -> tuple[tuple[int, float], ...]:
        """The time nodes that make up this year's error, each with its weight."""
        index = bisect_right(self.starts, year) - 1
        if index < 0:
            raise ConfigError(
                f"{year} lies before the first period, which starts in {self.starts[0]}",
                where="errors, time",
                remedy="let the first period start no later than the first year asked",
            )
        return ((PERIOD_NODES + self.starts[index], 1.0),)


@dataclass(frozen=True, slots=True)
class AR1:
    """Correlation phi^|t - s| between years t and s of the window 1984-2048.

    Built as a Brownian-like bridge: the window's ends first, then midpoints, each given its
    neighbours, so that a year's error depends on seed, address and year alone and never on
    which years happen to be run. The window decides which normals make up a year, so it is a field,
    where a run's identity finds it, and no argument, so that all runs have the same one.
    """

    phi: float
    window: tuple[int, int] = field(default=AR1_WINDOW, init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.phi < 1:
            raise ConfigError(
                f"phi = {self.phi} is not a correlation in [0, 1)",
                where="errors, time",
                remedy="use `persistent` for a correlation of one",
            )

    def nodes(self, year: int) -> tuple[tuple[int, float], ...]:
        """The time nodes that make up this year's error, each with its weight (at most 8)."""
        first, last = self.window
        if not first <= year <= last:
            raise ConfigError(
                f"{year} lies outside the window {first}-{last} of ar1 errors",
                where="errors, time",
                remedy="use another time key for these years",
            )
        start = {first: 1.0}
        reach = _whole_power(self.phi, last - first)
        end = {first: reach, last: math.sqrt(1 - reach * reach)}
        weights = self._between(first, start, last, end, year)
        return tuple((node, weight) for node, weight in sorted(weights.items()) if weight != 0.0)

    def _between(
        self, a: int, at_a: dict[int, float], b: int, at_b: dict[int, float], year: int
    ) -> dict[int, float]:
        if year == a:
            return at_a
        if year == b:
            return at_b
        c = (a + b) // 2
        at_c = self._bridge(a, at_a, b, at_b, c)
        if year <= c:
            return self._between(a, at_a, c, at_c, year)
        return self._between(c, at_c, b, at_b, year)

    def _bridge(
        self, a: int, at_a: dict[int, float], b: int, at_b: dict[int, float], c: int
    ) -> dict[int, float]:
        """u_c given u_a and u_b, each written in weights of the nodes' own normals."""
        left, right = _whole_power(self.phi, c - a), _whole_power(self.phi, b - c)
        whole = 1 - left * left * right * right
        from_a, from_b = left * (1 - right * right) / whole, right * (1 - left * left) / whole
        at_c = {node: from_a * weight for node, weight in at_a.items()}
        for node, weight in at_b.items():
            at_c[node] = at_c.get(node, 0.0) + from_b * weight
        at_c[c] = math.sqrt((1 - left * left) * (1 - right * right) / whole)
        return at_c


TimeKey = Persistent | Yearly | Period | AR1


def _whole_power(base: float, exponent: int) -> float:
    """base^exponent by multiplication alone: the same bits everywhere, unlike `pow`."""
    result = 1.0
    for _ in range(exponent):
        result *= base
    return result


def inter_year_correlation(time: TimeKey, year: int, other: int) -> float:
    """Correlation of one component's normals in two years."""
    weights = dict(time.nodes(other))
    return sum(weight * weights.get(node, 0.0) for node, weight in time.nodes(year))


# --- the model ----------------------------------------------------------------------------------


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
    """

    quantity: Quantity
    only: Mapping[str, tuple[str, ...]]
    size: ErrorSize
    components: tuple[Component, ...]
    source: str

    def __post_init__(self) -> None:
        where = f"errors of {self.quantity}"
        _check_source(self.source, where)
        check_size(self.size, self.quantity, where)
        for key, names in self.only.items():
            _check_key(key, self.quantity, where)
            _check_only(names, f"{where}, only {key}")
        total = math.fsum(component.weight for component in self.components)
        if not self.components or abs(total - 1) > 1e-9:
            raise ConfigError(
                f"the weights of the components add up to {total:g}, not 1",
                where=where,
                remedy="weights are shares of the error's variance; make them add up to one",
            )
        for component in self.components:
            _check_component(component, self.quantity, where)

    def canonical_components(self) -> tuple[Component, ...]:
        """Shared components before the cells' own, each sorted by name: the order of summation.

        So the order in which a configuration lists components changes no bit of a draw.
        """
        return tuple(sorted(self.components, key=lambda c: (c.group == ("cell",), c.name)))


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
                _check_shared(component, entry, owner, of, where)
            _refuse_one_error_twice(entry, f"scenario {self.name}, errors of {entry.quantity}")

    def __iter__(self) -> Iterator[Errors]:
        return iter(self.errors)


def only_independent_cells(model: ErrorModel) -> bool:
    """Whether all errors are the cells' own, which is optimistic (Rodrigues et al. 2018)."""
    groups = {component.group for entry in model for component in entry.components}
    return groups <= {("cell",)}


def factor_correlation(rho: float, rsd_1: float, rsd_2: float) -> float:
    """Correlation of two mean-one lognormal factors whose eps correlate by rho.

    `[exp(rho sigma_1 sigma_2) - 1] / (rsd_1 rsd_2)`.
    """
    sigma_1, sigma_2 = (math.sqrt(math.log1p(rsd * rsd)) for rsd in (rsd_1, rsd_2))
    return math.expm1(rho * sigma_1 * sigma_2) / (rsd_1 * rsd_2)


def _check_shared(
    component: Component, entry: Errors, owner: Component, of: Errors, where: str
) -> None:
    """Refuse a sharing of which no error would ever be shared."""
    if component.group == ("cell",):
        raise ConfigError(
            "no other cell has this cell's address, so `cell` errors cannot be shared",
            where=where,
            remedy="share a group of labels, such as the region, or leave `shared_with` out",
        )
    if owner.time != component.time or _address(owner.group, of.quantity) != _address(
        component.group, entry.quantity
    ):
        raise ConfigError(
            "shares its errors with a component of another group or time key",
            where=where,
            remedy="give both the same time key, and groups of the same kinds",
        )
    own, others = _limits(component, entry), _limits(owner, of)
    for place in own.keys() & others.keys():
        if own[place].isdisjoint(others[place]):
            raise ConfigError(
                f"shares its errors with {of.quantity}.{owner.name}, but `only` leaves them no "
                f"{place[1]} in common",
                where=where,
                remedy="leave `shared_with` out, or let `only` overlap",
            )


def _refuse_one_error_twice(entry: Errors, where: str) -> None:
    """Independent components add up to variance one; one error twice adds up to more."""
    users: dict[tuple[Quantity, str], str] = {}
    for component in entry.components:
        owner = component.shared_with or (entry.quantity, component.name)
        if owner in users:
            raise ConfigError(
                f"the components `{users[owner]}` and `{component.name}` are the same error, "
                f"{'.'.join(owner)}, so the variances of the two do not add up",
                where=where,
                remedy="make them one component with the sum of their weights",
            )
        users[owner] = component.name


def _address(group: tuple[str, ...], quantity: Quantity) -> tuple[frozenset[str], ...]:
    """What a group's rows and columns are addressed by, in kinds of labels."""
    if group in (("cell",), ("all",)):
        return (frozenset(group), frozenset(group))
    rows, columns = KEYS[quantity]
    return (
        frozenset(_kind_in(quantity, key) for key in group if key in rows),
        frozenset(_kind_in(quantity, key) for key in group if key in columns),
    )


def _kind_in(quantity: Quantity, key: str) -> str:
    """`kind`, but for the consumers of purchases, which are demand vectors and no regions."""
    vector = quantity is Quantity.PURCHASES and key == "consumer"
    return "vector" if vector else kind(key)


def _limits(component: Component, entry: Errors) -> dict[tuple[int, str], frozenset[str]]:
    """The labels `only` leaves to a component's groups, by axis and kind; unlimited ones absent."""
    return {
        (axis, _kind_in(entry.quantity, key)): frozenset(entry.only[key])
        for axis, keys in enumerate(KEYS[entry.quantity])
        for key in keys
        if key in component.group and key in entry.only
    }


def _check_source(source: str, where: str) -> None:
    if not source.strip():
        raise ConfigError(
            "no source is stated",
            where=where,
            remedy='cite where the error size comes from, or write source = "assumption"',
        )


def _check_only(names: tuple[str, ...], where: str) -> None:
    if not names:
        raise ConfigError(
            "no label is listed, so no cell would have an error",
            where=where,
            remedy="list one label or more, or leave the key out for all cells",
        )
    for name, times in Counter(names).items():
        if times > 1:
            raise ConfigError(
                f"{name} is listed {times} times", where=where, remedy="list every label once"
            )


def check_size(size: ErrorSize, quantity: Quantity, where: str) -> None:
    """Refuse an error size that cannot be meant for a quantity.

    Raises:
        ConfigError: keys the quantity does not have, a relative standard deviation that
            `check_rsd` refuses, or a power law that is none or is not about money.
    """
    match size:
        case Constant(rsd):
            check_rsd(rsd, f"{where}, rsd")
        case ByLabel(keys, rsds):
            for key in keys:
                _check_key(key, quantity, where)
            for labels, rsd in rsds.items():
                check_rsd(rsd, f"{where}, {' '.join(labels)}")
        case PowerLaw():
            _check_power_law(size, quantity, f"{where}, power_law")
        case FromFile():
            return  # checked where the file is read


def _check_power_law(law: PowerLaw, quantity: Quantity, where: str) -> None:
    if quantity in _NOT_MONEY:
        raise ConfigError(
            f"the flows of {quantity} are no money, so no law in {law.currency} can size them",
            where=where,
            remedy="use `table` or `rsd`",
        )
    rates = law.per_table_unit
    of_years = rates.items() if isinstance(rates, Mapping) else [("all years", rates)]
    positive = {"a": law.a} | {f"per_table_unit of {year}": rate for year, rate in of_years}
    for name, value in positive.items():
        if not 0 < value < math.inf:
            raise ConfigError(
                f"{value:g} is not positive and finite",
                where=f"{where}, {name}",
                remedy="give a number above 0",
            )
    if not math.isfinite(law.b):
        raise ConfigError(
            f"{law.b:g} is no exponent", where=f"{where}, b", remedy="give a finite number"
        )
    _check_bounds(law, where)


def _check_bounds(law: PowerLaw, where: str) -> None:
    if law.floor == 0:
        raise ConfigError(
            "a floor of 0 lets the errors of large flows vanish",
            where=f"{where}, floor",
            remedy=f"give the smallest relative standard deviation meant, {SMALLEST_RSD:g} or more",
        )
    check_rsd(law.floor, f"{where}, floor")
    check_rsd(law.ceiling, f"{where}, ceiling")
    if law.floor > law.ceiling:
        raise ConfigError(
            f"the floor {law.floor:g} is above the ceiling {law.ceiling:g}",
            where=where,
            remedy="exchange them",
        )


def check_rsd(rsd: float, where: str) -> None:
    """Refuse a relative standard deviation that cannot be meant.

    Raises:
        ConfigError: negative, not finite, tiny but not zero, or above 10,000 %.
    """
    if rsd == 0 or SMALLEST_RSD <= rsd <= LARGEST_RSD:
        return
    raise ConfigError(
        f"a relative standard deviation of {rsd:g} cannot be used",
        where=where,
        remedy=f"give 0, or a fraction between {SMALLEST_RSD:g} and {LARGEST_RSD:g} (0.3 is 30 %)",
    )


def _check_key(key: str, quantity: Quantity, where: str) -> None:
    known = [name for side in KEYS[quantity] for name in side]
    if key not in known:
        raise ConfigError(
            f"{quantity} has no `{key}`",
            where=where,
            remedy=f"its keys are {', '.join(known)}",
        )


def _check_component(component: Component, quantity: Quantity, where: str) -> None:
    where = f"{where}, component {component.name}"
    if not 0 < component.weight <= 1:
        raise ConfigError(
            f"weight {component.weight:g} is not a share of variance",
            where=where,
            remedy="use a number above 0 and at most 1",
        )
    if component.group in (("cell",), ("all",)):
        return
    if not component.group:
        raise ConfigError("has no group", where=where, remedy="use `cell`, `all` or label keys")
    for key in component.group:
        if key in ("cell", "all"):
            raise ConfigError(
                f"`{key}` cannot be combined with other keys", where=where, remedy="use it alone"
            )
        _check_key(key, quantity, where)
