"""The numbers of the page, one plain row each: sentences, tables, figures and JSON share them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Row = dict[str, Any]
AXES = ("stressor", "consumer", "part")


@dataclass(frozen=True, slots=True)
class Change:
    """One change between two years; the names are those of `engine.analysis.changes.changes`.

    `delta`, `sigma`, `s1`, `s2` and `mdc` are natural logarithms where `scale` is "log", and in
    `unit` where it is "raw"; relative numbers are fractions of the earlier year. All that begin
    with `mdc` are NaN where too many draws were rejected to decide any change.
    """

    stressor: str
    unit: str
    consumer: str
    part: str
    from_year: int
    to_year: int
    scale: str
    verdict: str
    asymmetric: bool
    draws: int
    acceptance: float
    reference_change: float
    relative_change: float
    reference_delta: float
    relative_low: float
    relative_high: float
    change_low: float
    change_high: float
    sigma: float
    p_decrease: float
    p_decrease_reflected: float
    p_decrease_low: float
    p_decrease_high: float
    s1: float
    s2: float
    rho: float
    mdc: float
    mdc_increase: float
    mdc_increase_percent: float
    mdc_decrease: float
    mdc_decrease_percent: float
    rho_mcse: float
    rho_break_even: float
    rho_break_even_mcse: float
    sigma_mcse: float
    mdc_mcse: float
    mdc_decrease_mcse: float
    p_decrease_mcse: float
    relative_low_mcse: float
    relative_high_mcse: float
    change_low_mcse: float
    change_high_mcse: float
    confidence: float

    @property
    def logarithmic(self) -> bool:
        """Whether the change was judged on the log scale, and so is printed in per cent."""
        return self.scale == "log"

    @property
    def decidable(self) -> bool:
        """Whether a change of any size could be decided, for all the draws that were rejected."""
        return math.isfinite(self.mdc)

    @property
    def decided(self) -> bool:
        """Whether the verdict is a direction."""
        return self.verdict in ("decrease", "increase")

    @property
    def rose(self) -> bool:
        """Whether the point estimate rose."""
        return self.reference_change > 0

    @property
    def probability_of_its_sign(self) -> float:
        """Probability that the true change has the sign of the estimated one."""
        return 1 - self.p_decrease if self.rose else self.p_decrease


@dataclass(frozen=True, slots=True)
class Level:
    """One year's footprint, in `unit`; the names are those of `engine.analysis.changes.levels`."""

    stressor: str
    unit: str
    consumer: str
    part: str
    year: int
    reference: float
    mean: float
    median: float
    sd: float
    draws: int
    mean_mcse: float
    median_mcse: float
    sd_mcse: float
    q025_mcse: float
    q975_mcse: float
    q025: float
    q250: float
    q750: float
    q975: float


def level_rows(levels: xr.Dataset) -> list[Row]:
    """Every level as plain numbers and words; quantiles become `q025` .. `q975`."""
    units = dict(zip(_words(levels, "stressor"), _words(levels, "stressor_unit"), strict=True))
    columns = dict(_columns(levels))
    years, *axes = (_words(levels, axis) for axis in ("year", *AXES))
    rows = []
    for point in np.ndindex(len(years), *map(len, axes)):
        stressor, consumer, part = (axis[i] for axis, i in zip(axes, point[1:], strict=True))
        labels = {"stressor": stressor, "unit": units[stressor], "consumer": consumer, "part": part}
        numbers = {name: _plain(values[point]) for name, values in columns.items()}
        rows.append({**labels, "year": int(years[point[0]]), **numbers})
    return rows


def _columns(levels: xr.Dataset) -> Iterator[tuple[str, NDArray[Any]]]:
    """Each statistic, (year, stressor, consumer, part); one a quantile."""
    for name, variable in levels.data_vars.items():
        if "quantile" not in variable.dims:
            yield str(name), variable.transpose("year", *AXES).to_numpy()
            continue
        error = "_mcse" if str(name).endswith("_mcse") else ""
        ordered = variable.transpose("quantile", "year", *AXES).to_numpy()
        for q, values in zip(levels["quantile"].to_numpy(), ordered, strict=True):
            yield f"q{round(1000 * float(q)):03d}{error}", values


def _words(table: xr.Dataset, name: str) -> list[str]:
    return [str(word) for word in table[name].to_numpy()]


def _plain(value: Any) -> Any:
    """A number or word as JSON knows it; what does not exist is None, since JSON has no NaN."""
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def as_change(row: Mapping[str, Any]) -> Change:
    """The change a row holds; numbers that do not exist are NaN."""
    return Change(**_named(Change, row))


def as_level(row: Mapping[str, Any]) -> Level:
    """The level a row holds; numbers that do not exist are NaN."""
    return Level(**_named(Level, row))


def _named(kind: type, row: Mapping[str, Any]) -> dict[str, Any]:
    names = [field.name for field in fields(kind)]
    return {name: math.nan if row[name] is None else row[name] for name in names}
