"""One hash for each kernel that draws, over fixed draws of a small world.

Kept apart from the tests, so that a child process need not import pytest: run as a script, this
module prints a line for each kernel. A kernel joins by one line of `KERNELS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from engine.draws import draw, everything, perturbed
from engine.error_model import (
    AR1,
    Component,
    Constant,
    ErrorModel,
    Errors,
    Method,
    Persistent,
    Quantity,
    Yearly,
)
from engine.kernels.perturb import fingerprint
from engine.prepare import prepare
from engine.readers.toy import Toy, World, read

SEED = 2026
NUMBERS = (0, 15, 16, 33, 50, 63, 64, 1000, 2**20 + 17)  # every quarter of a group, several groups
TABLE = read(Toy(World.RANDOM, regions=4, sectors=9), 2003)
_OWN, _LASTING = ("cell",), Persistent()
ERRORS = ErrorModel(
    "base",
    Method.ACCOUNTS,
    (
        Errors(
            Quantity.Z,
            {},
            Constant(0.3),
            (
                Component("trade", 0.2, ("row_region", "col_region"), _LASTING),
                Component("own", 0.8, _OWN, AR1(0.8)),
            ),
            "assumption",
        ),
        Errors(
            Quantity.E,
            {},
            Constant(0.1),
            (
                Component("national", 0.5, ("stressor", "region"), _LASTING),
                Component("own", 0.5, _OWN, Yearly()),
            ),
            "assumption",
        ),
        Errors(
            Quantity.Y, {}, Constant(0.1), (Component("own", 1.0, _OWN, Yearly()),), "assumption"
        ),
    ),
)


def footprints(draws: Iterable[int]) -> NDArray[np.float64]:
    """The whole model, (draws, stressors, consumers, parts)."""
    return draw(TABLE, ERRORS, SEED, draws).footprint


def inputs() -> NDArray[np.float64]:
    """Every perturbed quantity of every draw, one after the other."""
    prepared = prepare(TABLE, ERRORS, everything(TABLE), SEED)
    drawn = [perturbed(prepared, number) for number in NUMBERS]
    return np.concatenate([cells[q].ravel() for cells in drawn for q in sorted(cells)])


KERNELS: dict[str, Callable[[], NDArray[np.float64] | str]] = {
    "fingerprint": fingerprint,
    "perturb": inputs,
    "draw": lambda: footprints(NUMBERS),
}


def hashed(content: NDArray[np.float64] | str) -> str:
    """BLAKE2b of the bits."""
    if isinstance(content, str):
        bits = content.encode()
    else:
        bits = np.ascontiguousarray(content, dtype="<f8").tobytes()
    return hashlib.blake2b(bits, digest_size=16).hexdigest()


def spoken() -> str:
    """One line a kernel: its name and its hash."""
    return "".join(f"{name} {hashed(kernel())}\n" for name, kernel in KERNELS.items())


if __name__ == "__main__":
    print(spoken(), end="")
