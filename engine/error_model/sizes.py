"""How large an error is: a relative standard deviation for all cells, a label or a cell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.error_model.laws import Empirical
from engine.errors import ConfigError

SMALLEST_RSD, LARGEST_RSD = 1e-6, 100.0  # below, float32 factors are too coarse; above, absurd
Z95 = 1.96  # two-sided 95 % quantile of the standard normal, as half-widths are published
# A mean-one lognormal's 97.5 % quantile exp(1.96 sigma - sigma^2 / 2) is highest at sigma = 1.96.
WIDEST_HALF_WIDTH = math.exp(Z95**2 / 2) - 1  # 5.83


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
        remarks: what else a reader of these sizes should know.
    """

    keys: tuple[str, ...]
    rsd: Mapping[tuple[str, ...], float]
    unmet: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


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
    """A relative standard deviation a cell, from a .npy file of the quantity's own shape.

    Attributes:
        path: the file; `{year}` in its name stands for the year.
        sha256: hash of the file, or of that of each year, (year, hash).
    """

    path: Path
    sha256: str | tuple[tuple[int, str], ...]

    def file(self, year: int) -> Path:
        """The file of a year."""
        return self.path.with_name(self.path.name.replace("{year}", str(year)))

    def hash_of(self, year: int) -> str:
        """The hash of the file of a year.

        Raises:
            ConfigError: there is none of that year.
        """
        if isinstance(self.sha256, str):
            return self.sha256
        try:
            return dict(self.sha256)[year]
        except KeyError:
            raise ConfigError(
                f"has no hash of {year}", where=f"file {self.path}", remedy="name every year's"
            ) from None


@dataclass(frozen=True, slots=True)
class DirichletShares:
    """No size of its own: the concentration of the cells' known totals says how shares scatter.

    The components say which years have normals in common; cells of one total may share none.
    """


ErrorSize = Constant | ByLabel | PowerLaw | FromFile | Empirical | DirichletShares


def rsd_of_half_widths(below: float, above: float) -> float:
    """Of a 95 % interval with these relative half-widths: `(u_min + u_max) / (2 x 1.96)`."""
    return (below + above) / (2 * Z95)


def largest(size: ErrorSize) -> float:
    """The largest rsd an error size states; 0 where it is not known without the file."""
    match size:
        case Constant(rsd):
            return rsd
        case ByLabel(rsd=rsds):
            return max(rsds.values(), default=0.0)
        case PowerLaw(ceiling=ceiling):
            return ceiling
        case FromFile() | Empirical() | DirichletShares():
            return 0.0
