"""The ensemble of one scenario: its numbers in Zarr, and a ledger of the blocks that are finished.

    RUN/<scenario>/ensemble.zarr    see `engine.stores.layout` and `engine.stores.hierarchy`
    RUN/<scenario>/ledger/          see `engine.stores.ledger`

Every step leaves a state from which `run` goes on: a hierarchy appears whole or not at all, a
block's data are durable before its ledger entry, data are replaced only where there is no entry.
Blocks are deterministic and files are replaced whole, so several writers, even of one block, waste
work and lose nothing: no step removes what another run has made. Where two of different BLAS
kernels write one block at the same moment it may be left of both, equal but for last bits; `verify`
then finds that it is not what the ledger says.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import xarray as xr

from engine.errors import DriftError, StoreError
from engine.kernels.arrays import F64
from engine.plan import Block
from engine.stores import hierarchy, layout
from engine.stores.durable import make_folder, names, storing, sweep, sync_folder
from engine.stores.hierarchy import CREATION, Root
from engine.stores.identity import JSON, canonical, differences, text_digest
from engine.stores.layout import NOT_COMPUTED, Axes, BlockResults
from engine.stores.ledger import Entry, Failure, Ledger
from engine.stores.places import Place, Remote

__all__ = [
    "NOT_COMPUTED",
    "Axes",
    "BlockResults",
    "Ensemble",
    "Failure",
    "Problem",
    "Progress",
    "create_or_extend",
    "digest_of",
    "noted",
    "open_ensemble",
    "refuse_another",
    "scenarios",
]

SCHEMA = 3  # of everything in a scenario's folder; another one is refused
_STORE = "ensemble.zarr"
_SAME = 1e-8  # two certified solutions of one system agree better than this, relative
_NAMED = 5  # differences or blocks spelled out in a message


@dataclass(frozen=True, slots=True)
class Problem:
    """Something on disk that is not as it was written; `block` is None for what all share."""

    block: Block | None
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an ensemble is.

    Attributes:
        done: finished blocks by year.
        blocks: blocks each year has.
        failures: of blocks that failed and have not succeeded since.
        finished: when each finished block was entered, in seconds since the epoch, in no order.
    """

    done: Mapping[int, int]
    blocks: int
    failures: Mapping[Block, Failure]
    finished: Sequence[float]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """A handle: names, never arrays, so that it can be sent to any worker.

    Attributes:
        path: the scenario's folder.
        draws: draws a year there is room for, a whole number of blocks.
        digest: of the identity: tables, error model, method, seed, axes; not of the draws.
        creation: a name given when it was created, which no other ensemble of this identity has.
    """

    path: Place
    axes: Axes
    draws: int
    digest: str
    creation: str

    @property
    def store(self) -> Place:
        """The Zarr hierarchy."""
        return self.path / _STORE

    @property
    def ledger(self) -> Ledger:
        """Which blocks are finished."""
        return Ledger(self.path / "ledger", self.creation)

    def blocks(self) -> list[Block]:
        """Every block, years outermost."""
        size = self.axes.block
        return [
            Block(year, index, size)
            for year in self.axes.years
            for index in range(self.draws // size)
        ]

    def missing(self) -> list[Block]:
        """Blocks the ledger does not declare finished.

        Raises:
            StoreError: the ledger cannot be read.
        """
        with storing(self.path):
            finished = self.ledger.entries()
        return [block for block in self.blocks() if block not in finished]

    def write(self, block: Block, results: BlockResults, receipt: Mapping[str, Any]) -> None:
        """Store one block: data, then, once they are durable, the ledger entry.

        A block that is in the ledger by now, because somebody else was faster, stays as it is.

        Args:
            receipt: how the block came about, as plain JSON; kept in the ledger.

        Raises:
            StoreError: the block is not exactly one chunk of every array, or cannot be written;
                the ledger then does not hold it, and every other block is as it was.
        """
        why = layout.misaligned(self.axes, self.draws, block, results)
        if why:
            raise StoreError(
                f"{block} is misaligned: {why}",
                where=str(self.path),
                remedy="write whole blocks, as `missing()` lists them",
            )
        entry = Entry(block, layout.checksum(results), receipt)
        with storing(self.path):
            if self.ledger.holds(block):
                return
            hierarchy.write_block(self.store, self.axes, self._root(), block, results)
            self.ledger.enter(entry)

    def holds(self, block: Block) -> bool:
        """Whether a block is finished.

        Raises:
            StoreError: the ledger cannot be read.
        """
        with storing(self.path):
            return self.ledger.holds(block)

    def _root(self) -> Root:
        """The metadata as they are now, of this ensemble."""
        top, *_ = _known(self.store)
        if top.attributes[CREATION] != self.creation:
            raise StoreError(
                "was made anew meanwhile",
                where=str(self.store),
                remedy="run again: the new one has a ledger of its own",
            )
        return top

    def verify(self) -> list[Problem]:
        """Read every finished block again; what was lost or changed since it was written.

        Raises:
            StoreError: the files may not be read, or memory does not suffice: that is no damage.
        """
        try:
            with storing(self.path):
                return self._damage()
        except MemoryError as error:
            raise StoreError(
                "memory does not suffice to read a block again",
                where=str(self.path),
                remedy="verify where there is more of it; nothing was marked as damaged",
            ) from error

    def _damage(self) -> list[Problem]:
        while True:
            reach, top = self.ledger.reach(), self._root()
            found = self._damage_below(top, reach)
            if not found or self._root() == top:  # else a run has made room meanwhile
                return found

    def _damage_below(self, top: Root, reach: int) -> list[Problem]:
        shared = hierarchy.strange(self.store, top) | self._unsound(top, reach)
        problems = [Problem(None, f"{name}: {why}") for name, why in shared.items()]
        entries = self.ledger.entries()
        files = hierarchy.chunks(self.store, self.axes)
        for block in filter(entries.__contains__, self.blocks()):
            entered = entries[block].checksum
            why = hierarchy.damage(self.store, self.axes, top, block, entered, files)
            if why:
                problems.append(Problem(block, why))
        return problems

    def _unsound(self, top: Root, reach: int) -> dict[str, str]:
        """What is wrong with what all blocks share, by array."""
        reasons = hierarchy.unsound(self.store, self.axes, min(self.draws, top.draws), top.arrays)
        if reach > top.draws:
            reasons["draw"] = f"room for {top.draws} draws a year, but blocks up to {reach}"
        return reasons

    def forget(self, block: Block) -> None:
        """Declare a block unfinished, so that the next run computes it again.

        Raises:
            StoreError: the ledger cannot be written.
        """
        with storing(self.path):
            self.ledger.drop(block)

    def record_failure(self, block: Block, failure: Failure) -> None:
        """Keep why a block failed, until it succeeds.

        Raises:
            StoreError: the ledger cannot be written.
        """
        with storing(self.path):
            self.ledger.fail(block, failure)

    def failures(self) -> dict[Block, Failure]:
        """Why blocks failed that have not succeeded since.

        Raises:
            StoreError: the ledger cannot be read.
        """
        with storing(self.path):
            return self.ledger.failures()

    def progress(self) -> Progress:
        """Blocks done and in all, when they were done, and the failures.

        Raises:
            StoreError: the ledger cannot be read.
        """
        with storing(self.path):
            entries = self.ledger.entries()
        finished = Counter(block.year for block in self.blocks() if block in entries)
        times = (entry.receipt.get("finished") for entry in entries.values())
        return Progress(
            done={year: finished[year] for year in self.axes.years},
            blocks=self.draws // self.axes.block,
            failures=self.failures(),
            finished=[when for when in times if isinstance(when, float)],
        )

    def dataset(self, *, allow_incomplete: bool = False) -> xr.Dataset:
        """The labelled ensemble, read from disk as it is used.

        Args:
            allow_incomplete: unfinished draws are then NaN with status `NOT_COMPUTED`, and the
                data are read into memory at once.

        Raises:
            StoreError: it is unfinished, or what the ledger calls finished is not there.
        """
        missing = self.missing()
        if missing and not allow_incomplete:
            raise StoreError(
                f"{len(missing)} of {len(self.blocks())} blocks are not computed yet, the first "
                f"of {missing[0].year}, draws {missing[0].draws.start} to "
                f"{missing[0].draws.stop - 1}",
                where=str(self.path),
                remedy="`footfall run` again: it computes what is missing and nothing else",
            )
        with storing(self.path):
            self._refuse_gaps(set(missing))
            if missing:
                finished = set(self.blocks()) - set(missing)
                found = hierarchy.gathered(self.store, self.axes, finished)
            else:
                found = hierarchy.dataset(self.store)
        return found.isel(draw=slice(self.draws)).assign_attrs(unfinished_blocks=len(missing))

    def _refuse_gaps(self, missing: set[Block]) -> None:
        """A chunk without a file would read as NaN, and a lost coordinate as no labels at all."""
        reach = self.ledger.reach()  # before the room, which may grow meanwhile
        shared = self._unsound(self._root(), reach)
        finished = [block for block in self.blocks() if block not in missing]
        lost = hierarchy.absent(self.store, self.axes, finished)
        problems = [f"{name}: {why}" for name, why in shared.items()]
        problems += [f"a chunk of {block} is missing" for block in lost]
        if problems:
            raise StoreError(
                f"is damaged: {_some(problems)}",
                where=str(self.store),
                remedy="`footfall status --verify`, then `footfall run` again",
            )


def create_or_extend(
    path: Place,
    axes: Axes,
    draws: int,
    identity: Mapping[str, JSON],
    reference: F64,
    attrs: Mapping[str, JSON],
    others: Mapping[str, F64] | None = None,
    *,
    confirm: Callable[[], None] = lambda: None,
) -> Ensemble:
    """The ensemble of a scenario, created, or found the same and given room for more draws.

    Args:
        path: the scenario's folder.
        draws: draws a year, a whole number of blocks. Never shrinks: fewer than are there keep
            what is there.
        identity: what makes the ensemble what it is, as plain nested JSON.
        reference: the footprints without errors, (years, stressors, consumers, parts).
        attrs: title and provenance, kept as they were when the ensemble was created.
        others: the other `Axes.references` by name, each with years first.
        confirm: called before each change of what all blocks share; raises if this run may not.

    Raises:
        DriftError: the folder holds an ensemble of another identity; each field is named.
        StoreError: the folder cannot be read or written, or is damaged.
    """
    references = {"reference": reference, **(others or {})}
    _refuse_impossible(path, axes, draws, references)
    whole = _whole(axes, identity)
    with storing(path):
        if not hierarchy.is_there(path / _STORE):
            _create(path, axes, draws, whole, references, attrs, confirm)
        top, on_disk, digest = _known(path / _STORE)
        _refuse_differences(path, on_disk, whole)
        found = Ensemble(path, axes, draws, digest, top.attributes[CREATION])
        _refuse_other_reference(found, top, reference)
        confirm()  # what another run is at the moment writing must not be swept
        sweep(path)
        # Never less room than there was: that of the ledger's blocks, whatever the metadata say.
        room = max(draws, top.draws, found.ledger.reach())
        hierarchy.make(found.store, axes, room, references, top.attributes, confirm)
    return replace(found, draws=room)


def noted(path: Place) -> dict[str, Any] | None:
    """The identity of the ensemble in a scenario's folder; None where there is none.

    Raises:
        StoreError: the folder cannot be read, or is damaged.
    """
    store = path / _STORE
    with storing(path):
        return _known(store)[1] if hierarchy.is_there(store) else None


def refuse_another(path: Place, axes: Axes, identity: Mapping[str, JSON]) -> None:
    """Refuse a folder that holds the ensemble of another identity.

    Raises:
        DriftError: it does; each field is named.
        StoreError: the folder cannot be read, or is damaged.
    """
    on_disk = noted(path)
    if on_disk is not None:
        _refuse_differences(path, on_disk, _whole(axes, identity))


def _refuse_differences(path: Place, on_disk: dict[str, Any], whole: dict[str, JSON]) -> None:
    if found := list(differences(on_disk, whole)):
        raise _drift(path, found)


def digest_of(axes: Axes, identity: Mapping[str, JSON]) -> str:
    """The digest an ensemble of this identity has, whether it exists or not."""
    return text_digest(canonical(_whole(axes, identity)))


def _whole(axes: Axes, identity: Mapping[str, JSON]) -> dict[str, JSON]:
    return {**identity, "schema": SCHEMA, "axes": axes.plain()}


def open_ensemble(path: Place) -> Ensemble:
    """The ensemble in a scenario's folder.

    Raises:
        StoreError: there is none, or its metadata are damaged.
        DriftError: another version of footfall wrote it, in a way this one does not know.
    """
    store = path / _STORE
    with storing(path):
        if not hierarchy.is_there(store):
            raise StoreError(
                "holds no ensemble", where=str(path), remedy="start one with `footfall run CONFIG`"
            )
        top, whole, digest = _known(store)
        if whole.get("schema") != SCHEMA:
            raise _drift(path, [f"schema: {whole.get('schema')} on disk, {SCHEMA} known"])
        axes = Axes.parsed(whole["axes"])
        return Ensemble(path, axes, top.draws, digest, top.attributes[CREATION])


def scenarios(run: Place) -> list[str]:
    """The names of the scenarios that have an ensemble in a run folder.

    Raises:
        StoreError: the folder cannot be read.
    """
    with storing(run):
        return [name for name in names(run) if hierarchy.is_there(run / name / _STORE)]


def _refuse_impossible(path: Place, axes: Axes, draws: int, references: Mapping[str, F64]) -> None:
    shape = (len(axes.years), *axes.cells)
    reference, known = references["reference"], layout.forms(axes)
    others = {name: known[name].shape(axes, draws) for name in axes.references}
    if draws <= 0 or draws % axes.block:
        what = f"{draws} draws are not a whole number of blocks of {axes.block}"
    elif 0 in shape:
        what = "there is no year, stressor, consumer or part to store"
    elif reference.shape != shape or not np.isfinite(reference).all():
        what = f"the reference footprints, {reference.shape}, are not {shape} finite numbers"
    elif {name: array.shape for name, array in references.items()} != others:
        what = f"the references {', '.join(references)} are not {others}"
    else:
        return
    raise StoreError(what, where=str(path), remedy="create the ensemble from a checked plan")


def _create(
    path: Place,
    axes: Axes,
    draws: int,
    whole: dict[str, JSON],
    references: Mapping[str, F64],
    attrs: Mapping[str, JSON],
    confirm: Callable[[], None],
) -> None:
    """Build the hierarchy aside and move it into place, so that it is there whole or not at all.

    If another run was faster its hierarchy stays, and is as good.
    """
    make_folder(path)
    _refuse_headless(path)
    text = canonical(whole)
    described: dict[str, JSON] = {
        **{name: _flat(value) for name, value in attrs.items()},
        "Conventions": "CF-1.11",
        "coordinates": " ".join(layout.labels_beside(axes)),
        CREATION: uuid4().hex,
        "digest": text_digest(text),
        "identity": text,
    }
    if isinstance(path, Remote):
        with tempfile.TemporaryDirectory() as folder:
            hierarchy.make(Path(folder), axes, draws, references, described)
            confirm()
            hierarchy.publish(Path(folder), path / _STORE)
        return
    aside = path / f"{_STORE}.{uuid4().hex}.partial"
    hierarchy.make(aside, axes, draws, references, described)
    try:
        confirm()
        aside.rename(path / _STORE)
    except OSError:
        if not (path / _STORE).exists():
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    sync_folder(path)


def _refuse_headless(path: Place) -> None:
    """An object store whose root metadata were lost still has its blocks: too much to begin anew.

    On a disk the folder itself tells whether there has been an ensemble.
    """
    if isinstance(path, Remote) and not Ledger(path / "ledger", "").is_empty():
        raise hierarchy.damaged(path / _STORE / "zarr.json", "is missing, and blocks are there")


def _flat(value: JSON) -> JSON:
    """Attributes are numbers or text, so that other formats can hold them too."""
    return canonical(value) if isinstance(value, dict | list) else value


def _known(store: Place) -> tuple[Root, dict[str, Any], str]:
    """The metadata on disk, the identity they tell, and its digest."""
    top = hierarchy.root(store)
    match top.attributes:
        case {"identity": str(text), "digest": str(digest)} if text_digest(text) == digest:
            whole: dict[str, Any] = json.loads(text)
        case _:
            what = "holds an identity that is not that of its digest"
            raise hierarchy.damaged(store / "zarr.json", what)
    if whole.get("schema") == SCHEMA and not top.is_sealed:
        raise hierarchy.damaged(store / "zarr.json", "is not what was written")
    return top, whole, digest


def _refuse_other_reference(ensemble: Ensemble, top: Root, reference: F64) -> None:
    kept = hierarchy.reference(ensemble.store, top)
    if kept is None:
        return
    # Parts may cancel, so the yardstick is the largest part of the footprint.
    largest = np.abs(kept).max(axis=-1, keepdims=True)
    away = np.argwhere(np.abs(kept - reference) > _SAME * largest)
    if len(away):
        cell = tuple(int(index) for index in away[0])
        where = f"reference{_named(ensemble.axes, cell)}"
        raise _drift(ensemble.path, [f"{where}: {kept[cell]!r} on disk, {reference[cell]!r} asked"])


def _named(axes: Axes, cell: tuple[int, ...]) -> str:
    labels = (axes.years, axes.stressors, axes.consumers, axes.parts)
    return f"[{', '.join(str(axis[i]) for axis, i in zip(labels, cell, strict=True))}]"


def _drift(path: Place, fields: list[str]) -> DriftError:
    return DriftError(
        f"holds another ensemble; {_some(fields)}",
        where=str(path),
        remedy="give this run a folder of its own, or go back to what the folder was made with "
        "(more draws and another cluster are welcome)",
    )


def _some(items: list[str]) -> str:
    rest = f"; and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
    return "; ".join(items[:_NAMED]) + rest
