"""What is uncertain, by how much, and what its errors have in common: a pure description.

A cell q of year t becomes `q exp(sigma eps - sigma^2/2)` with `sigma^2 = ln(1 + rsd^2)`, so its
mean is kept. The standardised error eps is a sum of independent components,

    eps = sum_m sqrt(pi_m) u_m[group_m(cell), time_m(year)],    sum_m pi_m = 1,

each u standard normal, shared by the cells of a group and by the years of a time key. The pi are
correlations of eps; factors correlate a little less (`factor_correlation`). Factors of another law
(`Law`) are its quantile at Phi(eps); those of an `Empirical` size are read from files. Emissions
can be shares of totals that are known better than they are (`KnownTotals`).
"""

from __future__ import annotations

from engine.error_model.checks import check_rsd, check_size
from engine.error_model.entries import Component, Errors
from engine.error_model.laws import (
    MEAN_ERRORS,
    MOST_CELLS,
    MOST_NUMBERS,
    MOST_SIZES,
    Empirical,
    Law,
    check_law,
)
from engine.error_model.model import (
    DIRICHLET,
    ErrorModel,
    law_names,
    most_draws,
    of_dirichlet_shares,
    only_independent_cells,
    refuse_more_draws,
)
from engine.error_model.presets import PRESETS, Preset
from engine.error_model.provisional import provisional_in_words
from engine.error_model.quantities import (
    EMISSIONS,
    KEYS,
    PERTURBED,
    Method,
    Quantity,
    Rebalance,
    kind,
)
from engine.error_model.sizes import (
    LARGEST_RSD,
    SMALLEST_RSD,
    WIDEST_HALF_WIDTH,
    ByLabel,
    Constant,
    DirichletShares,
    ErrorSize,
    FromFile,
    PowerLaw,
    largest,
    rsd_of_half_widths,
)
from engine.error_model.times import (
    AR1,
    AR1_WINDOW,
    PERIOD_NODES,
    Period,
    Persistent,
    TimeKey,
    Yearly,
    factor_correlation,
    inter_year_correlation,
)
from engine.error_model.totals import OWNER, KnownTotals

__all__ = [
    "AR1",
    "AR1_WINDOW",
    "DIRICHLET",
    "EMISSIONS",
    "KEYS",
    "LARGEST_RSD",
    "MEAN_ERRORS",
    "MOST_CELLS",
    "MOST_NUMBERS",
    "MOST_SIZES",
    "OWNER",
    "PERIOD_NODES",
    "PERTURBED",
    "PRESETS",
    "SMALLEST_RSD",
    "WIDEST_HALF_WIDTH",
    "ByLabel",
    "Component",
    "Constant",
    "DirichletShares",
    "Empirical",
    "ErrorModel",
    "ErrorSize",
    "Errors",
    "FromFile",
    "KnownTotals",
    "Law",
    "Method",
    "Period",
    "Persistent",
    "PowerLaw",
    "Preset",
    "Quantity",
    "Rebalance",
    "TimeKey",
    "Yearly",
    "check_law",
    "check_rsd",
    "check_size",
    "factor_correlation",
    "inter_year_correlation",
    "kind",
    "largest",
    "law_names",
    "most_draws",
    "of_dirichlet_shares",
    "only_independent_cells",
    "provisional_in_words",
    "refuse_more_draws",
    "rsd_of_half_widths",
]
