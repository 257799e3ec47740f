"""What an entry may say: labels and keys of its quantity, a source, and sizes that can be meant."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from engine.error_model.laws import Empirical
from engine.error_model.quantities import EMISSIONS, KEYS, Quantity
from engine.error_model.sizes import (
    LARGEST_RSD,
    SMALLEST_RSD,
    ByLabel,
    Constant,
    DirichletShares,
    ErrorSize,
    FromFile,
    PowerLaw,
)
from engine.errors import ConfigError


def check_source(source: str, where: str) -> None:
    if not source.strip():
        raise ConfigError(
            "no source is stated",
            where=where,
            remedy='cite where the error size comes from, or write source = "assumption"',
        )


def check_name(name: str, where: str) -> None:
    """Refuse a component's name that is empty, or that a key of random numbers cannot hold."""
    if not name.strip() or "\0" in name:
        raise ConfigError(
            f"a component cannot be called {name!r}",
            where=where,
            remedy="name it by what its errors are, such as national or own",
        )


def check_only(names: tuple[str, ...], where: str) -> None:
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
                check_key(key, quantity, where)
            for labels, rsd in rsds.items():
                check_rsd(rsd, f"{where}, {' '.join(labels)}")
        case PowerLaw():
            _check_power_law(size, quantity, f"{where}, power_law")
        case FromFile() | Empirical():
            return  # checked where the file is read
        case DirichletShares():
            return  # checked with the totals


def _check_power_law(law: PowerLaw, quantity: Quantity, where: str) -> None:
    if quantity in EMISSIONS:
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


def check_key(key: str, quantity: Quantity, where: str) -> None:
    known = [name for side in KEYS[quantity] for name in side]
    if key not in known:
        raise ConfigError(
            f"{quantity} has no `{key}`",
            where=where,
            remedy=f"its keys are {', '.join(known)}",
        )
