"""What matters of the estimate's inverse: the entries that carry nearly all of a correction.

Notation as in `engine.kernels.passes`: a correction is C = M0^-1 R, and to first order the residual
R is noise with a known standard deviation on every line. An entry (l, e) matters by the variance
that it brings to C in the norm of corrections,

    score = (scale_l  (M0^-1)_le  sd(R_e))^2.

The inverse of a table is as uneven as the table, the more so the larger it is. What is missing
makes a correction less good, never a certified result: residuals come from passes over all cells.
In split mode, which has no residuals, it is part of the error that is measured. In float32, summed
with explicit fma in the order of the entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.kernels.arrays import F32, F64, I32, I64, readonly
from engine.kernels.compiling import compiled
from engine.kernels.lanes import sum_weighed
from engine.kernels.streams import LANES, Single

MISSING = 3e-8  # of the variance of a correction, at most; its square root of a residual remains
KEEP = 2**30  # bytes of an inverse that is kept whole
_STRIP = 256  # positions: 64 singles for each are 64 KiB, which stay in a near cache
_DECADES, _A_DECADE = 30, 20  # of scores, on a log scale, and bins in each
_BINS = _DECADES * _A_DECADE + 1
_ROWS = 64  # of the inverse, worked on together


@dataclass(frozen=True, slots=True, eq=False)
class Inverse:
    """Entries of M0^-1 in strips of lines, as `engine.kernels.perturb.Cells` are.

    Attributes:
        starts: where each segment's entries begin, and the end of the last, (strips lines + 1,).
        across: position of each entry on its line, ascending in a segment, (entries,).
        value: (entries,).
        whole: all of M0^-1, (lines, lines); (lines, 0) where it is not kept.
    """

    starts: I64
    across: I32
    value: F32
    whole: F32

    def apply(self, R: F32) -> F32:
        """M0^-1 R by the entries that matter, (lines, k, 64)."""
        out = np.zeros(R.shape, dtype=Single)
        _apply(self.starts, self.across, self.value, np.ascontiguousarray(R), out)
        return out

    def apply_whole(self, R: F32) -> F32:
        """M0^-1 R by all entries, where they are kept."""
        if not self.whole.size:
            return self.apply(R)
        found: F32 = (self.whole @ R.reshape(len(R), -1)).reshape(R.shape)
        return found

    def variance(self, variance: F64) -> F64:
        """Variance of M0^-1 R on every line, (lines,), R independent with variances (lines,).

        In a unit of its own, which keeps squares within the range of float32.
        """
        largest = np.abs(self.value).max(initial=0.0) or 1.0
        relative = variance / (variance.max() or 1.0)
        brought = np.square(self.value / largest, dtype=np.float64) * relative[self.across]
        lines = len(self.whole)
        line_of = np.repeat(np.arange(len(self.starts) - 1) % lines, np.diff(self.starts))
        found = np.bincount(line_of, weights=brought, minlength=lines)
        return found.astype(np.float64, copy=False)


@compiled
def _apply(starts: I64, across: I32, value: F32, x: F32, out: F32) -> None:
    lines, columns = out.shape[0], out.shape[1]
    for strip in range((starts.size - 1) // lines):
        for k in range(columns):
            for line in range(lines):
                first = starts[strip * lines + line]
                size = starts[strip * lines + line + 1] - first
                at = (line * columns + k) * LANES
                stride, offset = columns * LANES, k * LANES
                sum_weighed(out, at, value, x, x, across, first, size, stride, offset)


def what_matters(inverse: F32, sd: F64, scale: F64, missing: float = MISSING) -> Inverse:
    """The fewest entries that leave at most `missing` of the variance of a correction.

    Args:
        inverse: all of M0^-1, (lines, lines).
        sd: standard deviation of the residual on every line, (lines,).
        scale: size of a line's correction to the answer, (lines,).
    """
    scale, sd = (size / (size.max() or 1.0) for size in (scale, sd))
    largest = float(max(np.abs(inverse[line] * sd).max() * scale[line] for line in range(len(sd))))

    def scores(first: int) -> F64:
        rows = slice(first, first + _ROWS)
        brought = np.abs(inverse[rows]) * (scale[rows, None] * sd)
        return np.square(brought / (largest or 1.0))

    lost = np.zeros(_BINS)
    for first in range(0, len(sd), _ROWS):
        found = scores(first)
        lost += np.bincount(_bins(found).ravel(), weights=found.ravel(), minlength=_BINS)
    unimportant = np.cumsum(lost) <= missing * lost.sum()
    cut = max(1, int(unimportant.sum()))  # what is in bin 0 is nothing
    chosen = [np.nonzero(_bins(scores(first)) >= cut) for first in range(0, len(sd), _ROWS)]
    line = np.concatenate([_ROWS * piece + i for piece, (i, _) in enumerate(chosen)])
    across = np.concatenate([j for _, j in chosen])
    segment = (across // _STRIP) * len(sd) + line
    order = np.argsort(segment, kind="stable")
    counts = np.bincount(segment, minlength=-(-len(sd) // _STRIP) * len(sd))
    return Inverse(
        starts=readonly(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)),
        across=readonly(across[order].astype(np.int32)),
        value=readonly(inverse[line, across][order]),
        whole=readonly(inverse if inverse.nbytes <= KEEP else inverse[:, :0].copy()),
    )


def _bins(scores: F64) -> I64:
    """Of importance, from the least to 1, on a log scale."""
    decades = np.log10(np.maximum(scores, 10.0**-_DECADES))
    bins: I64 = np.ceil((decades + _DECADES) * _A_DECADE).astype(np.int64)
    return bins
