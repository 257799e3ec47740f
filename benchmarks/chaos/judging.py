"""What has to hold after an event: every block is there, and every number as if undisturbed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine import workflow
from engine.plan import Block
from engine.stores.durable import names
from engine.stores.ensemble import open_ensemble
from engine.stores.places import Place, Remote, place


@dataclass(frozen=True, slots=True)
class Truth:
    """A run to which nothing happened.

    Attributes:
        arrays: every array, decoded, as bytes.
        checksums: of every block in the ledger.
        verdicts: what `footfall detect` says, as JSON.
        seconds: that the run took, from the start of its command.
    """

    arrays: dict[str, bytes]
    checksums: dict[Block, str]
    verdicts: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a run differs from the undisturbed one.

    Attributes:
        lost: blocks that the ledger does not have.
        wrong: blocks of which a number or the checksum is another one.
        faults: whatever else is not as it should be, in words.
    """

    lost: int
    wrong: int
    faults: tuple[str, ...]


def entries(folder: str) -> dict[Block, float]:
    """When each finished block was entered; nothing where there is no ensemble yet."""
    scenario = place(folder) / "base"
    if "ensemble.zarr" not in names(scenario):
        return {}
    found = open_ensemble(scenario).ledger.entries()
    return {block: float(entry.receipt["finished"]) for block, entry in found.items()}


def looked_at(folder: str) -> tuple[dict[str, bytes], dict[Block, str]]:
    """Every array, and every checksum."""
    run = workflow.open_run(folder)
    with run.open() as ensemble:
        arrays = {
            name: np.asarray(values.values).tobytes()
            if values.dtype != object
            else repr(list(values.values)).encode()
            for name, values in ensemble.variables.items()
        }
    ledger = run.ensemble().ledger.entries()
    return arrays, {block: entry.checksum for block, entry in ledger.items()}


def judged(folder: str, truth: Truth) -> Judgement:
    """Compare a finished run with the undisturbed one, array for array, checksum by checksum."""
    arrays, checksums = looked_at(folder)
    lost = len(truth.checksums.keys() - checksums.keys())
    wrong = sum(truth.checksums.get(block) != checksum for block, checksum in checksums.items())
    different = [name for name in truth.arrays if arrays.get(name) != truth.arrays[name]]
    faults = [f"{name} is not that of the undisturbed run" for name in different]
    return Judgement(lost, max(wrong, len(different)), (*faults, *tables_left(place(folder))))


def tables_left(run: Place) -> list[str]:
    """Prepared tables, which no run leaves that came to its end."""
    left = [name for name in names(run / "base") if name.startswith("tables-")]
    return [f"{name} is left behind" for name in left]


def partial_left(run: Place) -> list[str]:
    """Half-written files, which go when a run is resumed."""
    found = [] if isinstance(run, Remote) else list(run.rglob("*.partial"))
    return [f"{path.relative_to(run)} is left behind" for path in found]
