"""Controlled estimates and the verdict on the first order as rows and as words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import xarray as xr

from engine.analysis.control import controlled
from engine.analysis.selection import CELL
from engine.analysis.split_error import consecutive_and_whole
from engine.analysis.tables import Row, plain
from engine.kernels.changes import DetectionRule
from engine.kernels.control_variate import Linearity

_OF_CHANGES = ("delta_mean", "sigma", "p_decrease")
DIGITS = 1  # of sigma, to which the first order is to be validated


def of_ensemble(ensemble: xr.Dataset, rule: DetectionRule) -> xr.Dataset | None:
    """`controlled` for consecutive years and the whole span; None where no law is kept."""
    if "first_order_covariance" not in ensemble:
        return None
    pairs = consecutive_and_whole(sorted(int(year) for year in ensemble["year"].to_numpy()))
    return controlled(ensemble, None, rule, pairs, digits=DIGITS)


def in_words(linearity: str, digits: int = DIGITS) -> str:
    """What a `Linearity` means.

    >>> in_words("validated")
    'the first-order formula would have done, at 1 significant digit of sigma'
    """
    to = f"at {digits} significant digit{'s' if digits > 1 else ''} of sigma"
    return {
        Linearity.VALIDATED: f"the first-order formula would have done, {to}",
        Linearity.NOT_VALIDATED: f"the first-order formula would not have done, {to}",
        Linearity.NEEDS_MORE_DRAWS: (
            f"draws are too few to tell whether the first-order formula would have done, {to}"
        ),
        Linearity.NOT_ASSESSED: "there is no uncertainty of the change to compare",
    }[Linearity(linearity)]


def with_controlled(rows: Sequence[Row], found: xr.Dataset | None) -> list[Row]:
    """Rows of verdicts with the controlled estimates of their changes; None where there are none.

    `delta_mean`, `sigma` and `p_decrease` stay what counting gives, and verdicts with them.
    """
    if found is None:
        return list(rows)
    names = [f"{n}{end}" for n in _OF_CHANGES for end in ("", "_mcse", "_gain")] + ["linearity"]
    known: dict[tuple[object, ...], Row] = {}
    for pair in range(found.sizes["pair"]):
        one = found.isel(pair=pair)
        years = int(one["from_year"]), int(one["to_year"])
        columns = {name: one[name].transpose(*CELL).to_numpy() for name in names}
        for s, stressor in enumerate(one["stressor"].to_numpy()):
            for c, consumer in enumerate(one["consumer"].to_numpy()):
                for p, part in enumerate(one["part"].to_numpy()):
                    key = (*years, str(stressor), str(consumer), str(part))
                    known[key] = {_column(n): plain(columns[n][s, c, p]) for n in names}
    nothing = dict.fromkeys([_column(name) for name in names])
    return [row | _told(known.get(_key(row), nothing)) for row in rows]


def _column(name: str) -> str:
    """Controlled estimates beside the plain ones: `sigma_controlled`, `sigma_gain`."""
    if name.endswith("_gain") or name == "linearity":
        return name
    stem = name.removesuffix("_mcse")
    return f"{stem}_controlled{name.removeprefix(stem)}"


def _key(row: Row) -> tuple[object, ...]:
    return (row["from_year"], row["to_year"], row["stressor"], row["consumer"], row["part"])


def _told(columns: Row) -> Row:
    linearity = columns["linearity"]
    words = None if linearity is None else in_words(str(linearity))
    return columns | {"linearity_meaning": words}


def linearity_text(rows: Sequence[Row]) -> str:
    """One line under the table of verdicts; empty where no first order is kept.

    Args:
        rows: as `with_controlled` returns.
    """
    words = [row.get("linearity") for row in rows if row["part"] == "total"]
    counted = Counter(Linearity(word) for word in words if word is not None)
    if not counted:
        return ""
    told = "; ".join(f"{counted[word]}: {in_words(word)}" for word in Linearity if counted[word])
    return (
        f"first order against draws (JCGM 101:2008, clause 8), of {counted.total()} changes "
        f"of totals, {told}. Verdicts count draws and use no first order"
    )
