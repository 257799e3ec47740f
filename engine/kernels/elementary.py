"""Logarithm and powers in float64 from IEEE operations only.

numpy's `log`, `exp` and `power` differ in the last bit between vector widths. What decides the
inputs of a draw (the log-standard deviation of a cell) is computed with these, so that inputs are
the same bits on every CPU. Accurate to a few units in the last place.
"""

from __future__ import annotations

import numpy as np

from engine.kernels.arrays import F64

_LN2 = 0.693147180559945309417232121458
_LOG2E = 1.442695040888963407359924681002
# Taylor coefficients of 2^f: ln(2)^k / k!
_EXP2 = np.cumprod([1.0, *(_LN2 / k for k in range(1, 17))])


def log1p(v: F64) -> F64:
    """ln(1 + v) for v >= 0."""
    v = np.asarray(v, dtype=np.float64)
    mantissa, exponent = np.frexp(1.0 + v)
    low = mantissa < 0.70710678118654752
    mantissa, exponent = (
        np.where(low, 2 * mantissa, mantissa),
        np.where(low, exponent - 1, exponent),
    )
    small = v < 0.41  # here 1 + v would lose digits of v
    ratio = np.where(small, v / (2.0 + v), (mantissa - 1.0) / (mantissa + 1.0))
    square = ratio * ratio
    series = np.zeros_like(square)
    for odd in range(25, 0, -2):  # 2 atanh(ratio), |ratio| < 0.1716
        series = series * square + 1.0 / odd
    whole = np.where(small, 0.0, exponent * _LN2)
    result: F64 = whole + 2.0 * ratio * series
    return result


def power(v: F64, b: float) -> F64:
    """v^b for v > 0."""
    mantissa, exponent = np.frexp(np.asarray(v, dtype=np.float64))
    logarithm = log1p(2.0 * mantissa - 1.0) * _LOG2E + (exponent - 1)
    y = b * logarithm
    whole = np.rint(y)
    f = y - whole
    series = np.zeros_like(f)
    for coefficient in _EXP2[::-1]:
        series = series * f + coefficient
    result: F64 = np.ldexp(series, whole.astype(np.int64))
    return result


def log_sd(rsd: F64) -> F64:
    """Log-standard deviation sigma = sqrt(ln(1 + rsd^2)) of a mean-one lognormal factor."""
    rsd = np.asarray(rsd, dtype=np.float64)
    result: F64 = np.sqrt(log1p(rsd * rsd))
    return result
