"""A small ensemble whose every number follows from its place, for the tests of the stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from engine.plan import Block
from engine.stores.ensemble import Axes, BlockResults, Ensemble, create_or_extend

AXES = Axes(
    years=(2000, 2005, 2010),
    stressors=("CO2", "CH4"),
    stressor_units=("kt", "t"),
    consumers=("NLD", "NO", "Åland — \N{SNOWMAN}"),
    parts=("total", "domestic", "foreign"),
    block=64,
)
IDENTITY: dict[str, Any] = {
    "seed": 7,
    "tables": {"2000": "aa", "2005": "bb", "2010": "cc"},
    "method": {"perturb": "coefficients", "r_max": 0.99},
    "errors": [{"quantity": "A", "rsd": 0.1}, {"quantity": "s", "rsd": 0.3}],
}
REFERENCE = 1.0 + np.arange(3 * 2 * 3 * 3, dtype=np.float64).reshape(3, 2, 3, 3)
RECEIPT = {"host": "here", "seconds": 0.5}


def results(block: Block) -> BlockResults:
    """The numbers of a block; some draws are rejected, so that NaN is among them."""
    rng = np.random.default_rng([block.year, abs(block.index)])
    footprint = rng.standard_normal((block.size, *AXES.cells))
    status = (rng.random(block.size) < 0.1).astype(np.uint8)
    footprint[status != 0] = np.nan
    return BlockResults(
        footprint=footprint,
        linear=0.9 * footprint,
        G=0.8 * footprint,
        status=status,
        certified_error=np.where(status == 0, rng.random(block.size) * 1e-9, np.nan),
        corrections=rng.integers(0, 4, block.size, dtype=np.uint8),
        column_sums_above_one=rng.integers(0, 3, block.size, dtype=np.int32),
    )


def make(path: Path, draws: int = 128, axes: Axes = AXES) -> Ensemble:
    """Create or extend the ensemble of this module, or one of its first years."""
    reference = REFERENCE[: len(axes.years)]
    return create_or_extend(path, axes, draws, IDENTITY, reference, {"title": "made"})


def fill(ensemble: Ensemble) -> None:
    """Write every block that is missing."""
    for block in ensemble.missing():
        ensemble.write(block, results(block), RECEIPT)


def checksums(ensemble: Ensemble) -> dict[Block, str]:
    """What the ledger says of each block's numbers."""
    return {block: entry.checksum for block, entry in ensemble.ledger.entries().items()}
