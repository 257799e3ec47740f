"""The uncertainty budget of changes as it is kept: plain numbers, the largest entries by name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

OTHERS = "others"
DIRECT = "final consumers"  # in the place of a sector, of direct emissions
TOTALS = "known totals"  # in the place of a quantity, of the totals' own errors
SEVERAL_REGIONS = "several regions"  # in the place of a region, of totals over regions
ALL_SECTORS = "totals of all sectors"  # in the place of a sector, of totals over sectors


class By(StrEnum):
    """What the cells' errors are sorted by.

    A cell's region and sector are those of the industry that sells, in deliveries, final demand
    and purchases, and of the one that emits; direct emissions belong to the consumer's region and
    to no sector. The own error of a known total is no cell's and no quantity's; it belongs to the
    region and sector that the total is of, where it is of one. A component is what the error model
    calls so, wherever it is shared; a group is one set of cells that share a component's error.
    """

    QUANTITY = "quantity"
    REGION = "region"
    SECTOR = "sector"
    COMPONENT = "component"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Entry:
    """A group of cells or errors, with what it does to the change between two years.

    Attributes:
        by, name: which group; `OTHERS` for all that are not listed.
        covariance: K = Cov(delta_J, delta), by pair of years.
        own: var delta_J, by pair; empty for `OTHERS`, whose parts are not independent.
        lasting: what V becomes, less V, if the group's errors were the same in both years, by
            pair; likewise.
        level_covariance, level_own: K and D of ln F in the last year, by correlation `phi`.
    """

    by: By
    name: str
    covariance: tuple[float, ...]
    own: tuple[float, ...] = ()
    lasting: tuple[float, ...] = ()
    level_covariance: tuple[float, ...] = ()
    level_own: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """One consumer's total of one stressor.

    Attributes:
        logarithmic: whether delta is of logarithms, or raw where a footprint is not positive, by
            pair of years.
        variance: V of delta, by pair.
        level: variance of ln F in the last year, by correlation `phi`; empty on the raw scale.
        entries: by kind, the largest first.
    """

    stressor: str
    unit: str
    consumer: str
    logarithmic: tuple[bool, ...]
    variance: tuple[float, ...]
    level: tuple[float, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """The uncertainty budget of every change asked for, to first order.

    Attributes:
        pairs: of years, the consecutive ones, then the first and the last.
        phis: correlation between one year and the next that errors may have: 1 lasting, 0 yearly,
            between them what fades.
        subjects: consumers' totals.
    """

    pairs: tuple[tuple[int, int], ...]
    phis: tuple[float, ...]
    subjects: tuple[Subject, ...]
