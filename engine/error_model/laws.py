"""The law of a factor: what it looks like beside its mean of one and its size."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from engine.errors import ConfigError
from engine.kernels.laws import LAWS

MOST_SIZES = 1024  # distinct ones of a law that is tabulated, 4 KiB each
MOST_CELLS = 2**18  # of which a file may hold factors: those of 64 draws are then 64 MiB
MOST_NUMBERS = 2**28  # factors that a file may hold of them: 1 GiB as they are kept
MEAN_ERRORS = 6.0  # standard errors that a mean of factors in a file may be off one


class Law(StrEnum):
    """The laws of mean one whose relative standard deviation can be chosen.

    A factor is the quantile of its law at Phi(eps), so that eps has components, groups and time
    keys whatever the law; their weights are correlations of eps.
    """

    LOGNORMAL = "lognormal"
    TRUNCATED_NORMAL = "truncated normal"
    GAMMA = "gamma"


@dataclass(frozen=True, slots=True)
class Empirical:
    """Factors of every cell in some realisations, from `.npy` files: size and law in one.

    Draw d of all cells is realisation d, so that what cells and years have in common is the
    files' own; entries with files share the index. There are no more draws than realisations.

    Attributes:
        path: (realisations, rows, columns) of the quantity; `{year}` in its name stands for the
            year; without, all years have the same factors.
        sha256: hash of the file of each year, (year, hash).
        realisations: how many there are in every file, at least.
        rescale: whether each cell's factors are divided by their mean in the file.
    """

    path: Path
    sha256: tuple[tuple[int, str], ...]
    realisations: int
    rescale: bool

    def file(self, year: int) -> Path:
        """The file of a year."""
        return self.path.with_name(self.path.name.replace("{year}", str(year)))


def check_law(law: Law, largest: float, where: str) -> None:
    """Refuse a size that a law of mean one cannot have, or not be tabulated with.

    Args:
        largest: relative standard deviation of any cell.

    Raises:
        ConfigError: it is above what the law can have.
    """
    if law is Law.LOGNORMAL or largest <= (limit := LAWS[law][1]):
        return
    why = {
        Law.TRUNCATED_NORMAL: "a normal truncated at 0 has an rsd below 1, where it becomes an "
        "exponential law",
        Law.GAMMA: "beyond it, a few cells of ten thousand carry the whole mean",
    }[law]
    raise ConfigError(
        f"a {law} law of mean 1 cannot be used with an rsd of {largest:g}, only up to {limit:g}: "
        f"{why}",
        where=where,
        remedy="use a smaller size, or the law `gamma` or `lognormal`"
        if law is Law.TRUNCATED_NORMAL
        else "use a smaller size, or the law `lognormal`",
    )
