"""Units of mass as publishers spell them, so that a factor between two of them can be checked."""

from __future__ import annotations

import math

from engine.errors import ConfigError

_TONNES = {
    "kg": 1e-3, "t": 1.0, "kt": 1e3, "Gg": 1e3, "Mt": 1e6, "Tg": 1e6, "Gt": 1e9,
    "T": 1.0, "THS_T": 1e3, "MIO_T": 1e6,  # Eurostat's codes, and OECD's:
    "TONNE": 1.0, "T_CO2E": 1.0, "KG": 1e-3, "KT": 1e3,
}  # fmt: skip


def refuse_not_positive(factor: float) -> None:
    """Refuse a factor between two units that is no positive number.

    Raises:
        ConfigError: it is none.
    """
    if not (math.isfinite(factor) and factor > 0):
        raise ConfigError(f"the factor is {factor}", remedy="give a positive number, such as 1e-6")


def refuse_wrong_prefix(unit: str, factor: float, file_unit: str) -> None:
    """Refuse a factor that is a thousand, or a power of it, away from what makes one of the other.

    Other factors may be meant: 28 makes CO2 equivalents of methane, kt of kt.

    Args:
        unit: the unit wanted, such as "Mt CO2-eq".
        factor: positive, `unit` per `file_unit`.
        file_unit: the unit in the file.

    Raises:
        ConfigError: it is so far away.
    """
    tonnes, of_file = (_TONNES.get(name.partition(" ")[0]) for name in (unit, file_unit))
    if tonnes is None or of_file is None:
        return
    thousands = math.log(factor * tonnes / of_file, 1000)
    if abs(thousands - round(thousands)) < 1e-6 and round(thousands) != 0:
        raise ConfigError(
            f"a factor of {factor:g} does not make {unit} of {file_unit}",
            remedy=f"give factor = {of_file / tonnes:g}, or the unit that is meant",
        )
