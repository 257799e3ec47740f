"""The ensemble: aligned, durable, complete by its ledger alone, extended and never mixed."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st
from made_blocks import (
    AXES,
    IDENTITY,
    RECEIPT,
    REFERENCE,
    checksums,
    fill,
    make,
    results,
)
from zarr.storage import LocalStore

from engine.errors import DriftError, LockedError, StoreError
from engine.plan import Block
from engine.stores.chunks import DurableStore
from engine.stores.ensemble import (
    NOT_COMPUTED,
    BlockResults,
    Ensemble,
    Failure,
    create_or_extend,
    open_ensemble,
)
from engine.stores.identity import canonical, differences
from engine.stores.layout import BLOCK_ARRAYS, checksum, chunk_name
from engine.workflow.telling import status

# zarr 3.1.0 warns of the string codec, whoever opens the store; later releases do not.
pytestmark = pytest.mark.filterwarnings("ignore:The codec `vlen-utf8` is currently not part")

FIRST = Block(2000, 0, 64)


@pytest.fixture(scope="module")
def once_filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled")
    fill(make(path))
    return path


@pytest.fixture
def ensemble(once_filled: Path, tmp_path: Path) -> Ensemble:
    """A complete ensemble of 128 draws in `tmp_path`."""
    shutil.copytree(once_filled, tmp_path, dirs_exist_ok=True)
    return open_ensemble(tmp_path)


def chunk(path: Path, name: str, block: Block) -> Path:
    return path / "ensemble.zarr" / name / chunk_name(name, AXES, block)


def contents(path: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def metadata(path: Path, name: str = ".") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "ensemble.zarr" / name / "zarr.json").read_text())
    return content


def test_blocks_cover_every_draw_of_every_year_exactly_once(ensemble: Ensemble) -> None:
    covered = [(block.year, draw) for block in ensemble.blocks() for draw in block.draws]
    assert covered == [(year, draw) for year in AXES.years for draw in range(ensemble.draws)]


# --- what is on disk ----------------------------------------------------------------------------


def test_a_dataset_reads_back_bit_by_bit_with_its_labels(
    ensemble: Ensemble, tmp_path: Path
) -> None:
    found = ensemble.dataset()
    assert found.footprint.dims == ("draw", "year", "stressor", "consumer", "part")
    for block in ensemble.blocks():
        here = found.sel(draw=list(block.draws), year=block.year)
        for name in BLOCK_ARRAYS:
            written = getattr(results(block), name)
            assert here[name].dtype == written.dtype
            assert here[name].values.tobytes() == written.tobytes()
    assert found.reference.values.tobytes() == REFERENCE.tobytes()
    assert tuple(found.consumer.values) == AXES.consumers
    assert tuple(found.stressor_unit.values) == AXES.stressor_units
    assert found.draw.attrs["standard_name"] == "realization"
    assert found.status.attrs["flag_meanings"].split()[0] == "accepted"
    assert json.loads(found.attrs["identity"])["method"]["r_max"] == 0.99
    norway = found.footprint.sel(consumer="NO", stressor="CO2", part="total", year=2005)
    assert norway.shape == (128,)


@pytest.mark.usefixtures("ensemble")
def test_plain_xarray_opens_the_store_without_a_warning(tmp_path: Path) -> None:
    found = xr.open_zarr(tmp_path / "ensemble.zarr")
    assert found.sizes["draw"] == 128
    assert {"stressor_unit", "consumer", "part", "year"} <= set(found.coords)
    assert found.footprint.sel(consumer="NLD", year=2000).shape == (128, 2, 3)


def test_no_shards_no_fixed_width_text_and_a_checksum_on_every_chunk(tmp_path: Path) -> None:
    make(tmp_path)
    arrays = metadata(tmp_path)["consolidated_metadata"]["metadata"]
    types = {name: array["data_type"] for name, array in arrays.items()}
    assert {types[name] for name in ("stressor", "consumer", "part", "stressor_unit")} == {"string"}
    assert set(types.values()) == {"string", "float64", "uint8", "int32", "int64"}
    for array in arrays.values():
        assert array["zarr_format"] == 3
        assert len(array["dimension_names"]) == len(array["shape"])
        *_, last = array["codecs"]
        assert last["name"] == "zstd"
        assert last["configuration"]["checksum"] is True
        assert "sharding_indexed" not in {codec["name"] for codec in array["codecs"]}
    for name in BLOCK_ARRAYS:
        chunks = arrays[name]["chunk_grid"]["configuration"]["chunk_shape"]
        assert chunks == [64, 1, *arrays[name]["shape"][2:]]


def test_one_block_is_one_chunk_of_every_array(tmp_path: Path) -> None:
    ensemble = make(tmp_path)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    ensemble.write(Block(2005, 1, 64), results(Block(2005, 1, 64)), RECEIPT)
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    chunks = {chunk(tmp_path, name, Block(2005, 1, 64)) for name in BLOCK_ARRAYS}
    assert written == chunks | {tmp_path / "ledger" / "2005-000001.json"}


@pytest.mark.parametrize(
    ("block", "spoil"),
    [
        (Block(2000, 0, 32), lambda r: r),
        (Block(2000, 0, 128), lambda r: r),
        (Block(2000, 2, 64), lambda r: r),
        (Block(2000, -1, 64), lambda r: r),
        (Block(2001, 0, 64), lambda r: r),
        (FIRST, lambda r: replace(r, footprint=r.footprint[:-1])),
        (FIRST, lambda r: replace(r, footprint=r.footprint[..., :2])),
        (FIRST, lambda r: replace(r, footprint=r.footprint.astype(np.float32))),
        (FIRST, lambda r: replace(r, status=r.status.astype(np.int64))),
        (FIRST, lambda r: replace(r, certified_error=r.certified_error[:, None])),
    ],
)
def test_misaligned_writes_raise_and_write_nothing(
    once_filled: Path, block: Block, spoil: Callable[[BlockResults], BlockResults]
) -> None:
    before = contents(once_filled)
    with pytest.raises(StoreError, match="misaligned"):
        open_ensemble(once_filled).write(block, spoil(results(block)), RECEIPT)
    assert contents(once_filled) == before


def test_the_checksum_is_blake2b_of_little_endian_numbers() -> None:
    block = BlockResults(
        footprint=np.array([[[[1.5]]], [[[np.nan]]]]),
        linear=np.array([[[[0.5]]], [[[np.nan]]]]),
        G=np.array([[[[0.25]]], [[[np.nan]]]]),
        status=np.array([0, 1], dtype=np.uint8),
        certified_error=np.array([1e-12, -0.0]),
        corrections=np.array([2, 255], dtype=np.uint8),
        column_sums_above_one=np.array([3, -1], dtype=np.int32),
    )
    expected = blake2b(digest_size=32)
    expected.update(b"footprint <f8 (2, 1, 1, 1)\n" + struct.pack("<2d", 1.5, np.nan))
    expected.update(b"linear <f8 (2, 1, 1, 1)\n" + struct.pack("<2d", 0.5, np.nan))
    expected.update(b"G <f8 (2, 1, 1, 1)\n" + struct.pack("<2d", 0.25, np.nan))
    expected.update(b"status |u1 (2,)\n" + bytes([0, 1]))
    expected.update(b"certified_error <f8 (2,)\n" + struct.pack("<2d", 1e-12, -0.0))
    expected.update(b"corrections |u1 (2,)\n" + bytes([2, 255]))
    expected.update(b"column_sums_above_one <i4 (2,)\n" + struct.pack("<2i", 3, -1))
    assert checksum(block) == expected.hexdigest()
    swapped = replace(block, footprint=block.footprint.astype(">f8"))
    assert checksum(swapped) == expected.hexdigest()


def test_every_file_is_synced_before_its_rename_and_the_ledger_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensemble = make(tmp_path)
    log: list[tuple[str, Path]] = []
    sync, move = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        log.append(("sync", Path(os.readlink(f"/proc/self/fd/{descriptor}"))))
        sync(descriptor)

    def rename(source: Path, target: Path) -> None:
        log.append(("rename", Path(source)))
        move(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    ensemble.write(FIRST, results(FIRST), RECEIPT)
    renamed = [path for what, path in log if what == "rename"]
    assert [path.parent.name for path in renamed] == [*BLOCK_ARRAYS, "ledger"]
    for path in renamed:
        at = log.index(("rename", path))
        assert ("sync", path) in log[:at]
        assert log[at + 1] == ("sync", path.parent)


# --- complete is what the ledger says -----------------------------------------------------------


def test_a_valid_block_of_zeros_is_complete_and_on_disk(tmp_path: Path) -> None:
    ensemble = make(tmp_path, 64)
    zeros = BlockResults(
        footprint=np.zeros((64, *AXES.cells)),
        linear=np.zeros((64, *AXES.cells)),
        G=np.zeros((64, *AXES.cells)),
        status=np.zeros(64, np.uint8),
        certified_error=np.zeros(64),
        corrections=np.zeros(64, np.uint8),
        column_sums_above_one=np.zeros(64, np.int32),
    )
    for block in ensemble.missing():
        ensemble.write(block, zeros, RECEIPT)
        assert all(chunk(tmp_path, name, block).is_file() for name in BLOCK_ARRAYS)
    assert ensemble.missing() == []
    assert ensemble.verify() == []
    assert not ensemble.dataset().footprint.values.any()


def test_a_block_that_equals_the_fill_values_is_complete_and_on_disk(tmp_path: Path) -> None:
    ensemble = make(tmp_path, 64)
    rejected = BlockResults(
        footprint=np.full((64, *AXES.cells), np.nan),
        linear=np.full((64, *AXES.cells), np.nan),
        G=np.full((64, *AXES.cells), np.nan),
        status=np.full(64, NOT_COMPUTED, np.uint8),
        certified_error=np.full(64, np.nan),
        corrections=np.zeros(64, np.uint8),
        column_sums_above_one=np.full(64, -1, np.int32),
    )
    ensemble.write(FIRST, rejected, RECEIPT)
    assert all(chunk(tmp_path, name, FIRST).is_file() for name in BLOCK_ARRAYS)
    assert FIRST not in ensemble.missing()
    assert ensemble.verify() == []


def test_chunks_without_a_ledger_entry_are_not_complete(ensemble: Ensemble, tmp_path: Path) -> None:
    ensemble.forget(FIRST)
    assert chunk(tmp_path, "footprint", FIRST).is_file()
    assert ensemble.missing() == [FIRST]


@pytest.mark.usefixtures("ensemble")
def test_a_late_writer_leaves_a_finished_block_as_it_is(tmp_path: Path) -> None:
    """Whoever lost the cluster draws on for a while, and another BLAS kernel gives other bits."""
    before = contents(tmp_path)
    late = results(FIRST)
    late = replace(late, footprint=np.nextafter(late.footprint, np.inf))
    open_ensemble(tmp_path).write(FIRST, late, RECEIPT)
    assert contents(tmp_path) == before


def test_unfinished_is_refused_unless_asked(ensemble: Ensemble, tmp_path: Path) -> None:
    ensemble.forget(Block(2005, 1, 64))
    with pytest.raises(StoreError, match=r"1 of 6 blocks.*2005, draws 64 to 127") as caught:
        ensemble.dataset()
    assert "footfall run" in caught.value.remedy
    found = ensemble.dataset(allow_incomplete=True)
    assert found.attrs["unfinished_blocks"] == 1
    gone = found.sel(year=2005, draw=slice(64, 127))
    # Its chunks are on disk, but nobody vouches for them.
    assert np.isnan(gone.footprint.values).all()
    assert (gone.status.values == NOT_COMPUTED).all()
    kept = found.sel(year=2005, draw=slice(0, 63))
    assert kept.footprint.values.tobytes() == results(Block(2005, 0, 64)).footprint.tobytes()


def test_an_empty_ensemble_reads_as_nan(tmp_path: Path) -> None:
    found = make(tmp_path, 64).dataset(allow_incomplete=True)
    assert np.isnan(found.footprint.values).all()
    assert (found.status.values == NOT_COMPUTED).all()


def test_progress_counts_blocks_and_keeps_reasons_until_success(tmp_path: Path) -> None:
    ensemble = make(tmp_path)
    ensemble.write(FIRST, results(FIRST), RECEIPT)
    failed = Block(2010, 1, 64)
    ensemble.record_failure(failed, Failure("MemoryError: 3 GiB", "on node7"))
    progress = ensemble.progress()
    assert progress.done == {2000: 1, 2005: 0, 2010: 0}
    assert progress.blocks == 2
    assert progress.failures == {failed: Failure("MemoryError: 3 GiB", "on node7")}
    assert failed in ensemble.missing()
    ensemble.write(failed, results(failed), RECEIPT)
    assert ensemble.failures() == {}


# --- damage -------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        *((name, flip) for name in BLOCK_ARRAYS),
        *(("footprint", harm) for harm in (truncate, empty, Path.unlink)),
    ],
)
def test_damaged_chunks_are_found_and_recomputed(
    ensemble: Ensemble, tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    before = checksums(ensemble)
    harm(chunk(tmp_path, name, FIRST))
    problems = ensemble.verify()
    assert [problem.block for problem in problems] == [FIRST]
    assert problems[0].reason.startswith(name)
    ensemble.forget(FIRST)
    assert ensemble.missing() == [FIRST]
    fill(ensemble)
    assert ensemble.verify() == []
    assert checksums(ensemble) == before


def test_a_valid_chunk_of_another_block_is_found(ensemble: Ensemble, tmp_path: Path) -> None:
    other = chunk(tmp_path, "certified_error", Block(2005, 0, 64))
    chunk(tmp_path, "certified_error", FIRST).write_bytes(other.read_bytes())
    assert [problem.block for problem in ensemble.verify()] == [FIRST]


def test_every_single_flipped_bit_is_refused_or_harmless(tmp_path: Path) -> None:
    ensemble = make(tmp_path, 64)
    block = results(FIRST)
    ensemble.write(FIRST, block, RECEIPT)
    path = chunk(tmp_path, "status", FIRST)
    good = path.read_bytes()
    status = zarr.open_array(tmp_path / "ensemble.zarr" / "status", mode="r")
    caught = 0
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        try:
            values = status[:64, 0]
        except (RuntimeError, ValueError):
            caught += 1
        else:
            assert np.array_equal(np.asarray(values), block.status)  # an unused bit of the header
    assert caught >= 8 * len(good) - 4


def test_a_lost_chunk_never_reads_as_nan(ensemble: Ensemble, tmp_path: Path) -> None:
    chunk(tmp_path, "footprint", FIRST).unlink()
    with pytest.raises(StoreError, match=r"chunk of Block\(year=2000, index=0") as caught:
        ensemble.dataset()
    assert "--verify" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("year", Path.unlink),
        ("consumer", truncate),
        ("draw", flip),
        ("reference", flip),
        ("reference", Path.unlink),
    ],
)
def test_damaged_coordinates_and_reference_are_refused_and_mended(
    ensemble: Ensemble, tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    before = ensemble.dataset().load()
    (path,) = (tmp_path / "ensemble.zarr" / name).glob("c.*")
    harm(path)
    assert [problem.block for problem in ensemble.verify()] == [None]
    with pytest.raises(StoreError, match=f"damaged: {name}"):
        ensemble.dataset()
    make(tmp_path)
    assert ensemble.verify() == []
    assert ensemble.dataset().identical(before)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"{}", b'{"attributes": {}}'])
def test_lost_metadata_are_refused_with_a_remedy(tmp_path: Path, content: bytes | None) -> None:
    make(tmp_path)
    root = tmp_path / "ensemble.zarr" / "zarr.json"
    root.unlink()
    if content is not None:
        root.write_bytes(content)
    for attempt in (make, open_ensemble):
        with pytest.raises(StoreError, match=r"zarr\.json") as caught:
            attempt(tmp_path)
        assert "copy" in caught.value.remedy


@pytest.mark.parametrize(
    "error",
    [
        *(OSError(n, os.strerror(n)) for n in (errno.EMFILE, errno.ENOMEM, errno.ESTALE)),
        *(OSError(n, os.strerror(n)) for n in (errno.EIO, errno.EACCES, errno.ETIMEDOUT)),
        MemoryError(),
    ],
    ids=str,
)
@pytest.mark.usefixtures("ensemble")
def test_what_cannot_be_read_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A sick mount, or a process at its limits, would else cost every block that it reads."""

    def refuse(_: object, key: str, *given: Any, **named: Any) -> Any:
        if "footprint/c." in key:
            raise error
        return get(store, key, *given, **named)

    store = DurableStore(tmp_path / "ensemble.zarr")
    get = LocalStore.get
    monkeypatch.setattr(DurableStore, "get", refuse)
    if isinstance(error, MemoryError):
        monkeypatch.setattr("engine.stores.hierarchy._is_room", lambda _: False)
    before = contents(tmp_path)
    with pytest.raises(StoreError) as caught:
        list(status(tmp_path.parent, tmp_path.name, verify=True))
    said = "memory does not suffice" if isinstance(error, MemoryError) else error.strerror
    assert str(said) in caught.value.what
    assert contents(tmp_path) == before


def test_a_chunk_that_asks_for_more_memory_than_any_has_is_damaged(
    ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does whose length is damaged: there is memory for what a chunk holds."""

    def too_long(_: object, key: str, *__: Any, **___: Any) -> Any:
        raise MemoryError(key)

    with monkeypatch.context() as patched:
        patched.setattr(DurableStore, "get", too_long)
        problems = ensemble.verify()
    assert {problem.block for problem in problems} == {None, *ensemble.blocks()}


# --- resume and extend --------------------------------------------------------------------------


def test_opening_gives_the_same_handle_and_it_travels(tmp_path: Path) -> None:
    ensemble = make(tmp_path)
    assert open_ensemble(tmp_path) == ensemble
    sent = pickle.dumps(ensemble)
    assert len(sent) < 2000
    assert pickle.loads(sent) == ensemble


def test_opening_nothing_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no ensemble") as caught:
        open_ensemble(tmp_path / "nothing")
    assert "footfall run" in caught.value.remedy


def test_extending_keeps_earlier_draws_and_refreshes_the_metadata(tmp_path: Path) -> None:
    small = make(tmp_path, 64)
    fill(small)
    before = small.dataset().load()
    files = {path: path.read_bytes() for path in tmp_path.glob("ensemble.zarr/*/c.0.*")}
    large = make(tmp_path, 256)
    assert large.draws == 256
    assert large.digest == small.digest
    assert {block.index for block in large.missing()} == {1, 2, 3}
    arrays = metadata(tmp_path)["consolidated_metadata"]["metadata"]
    for name in (*BLOCK_ARRAYS, "draw"):
        assert arrays[name]["shape"] == metadata(tmp_path, name)["shape"]
        assert arrays[name]["shape"][0] == 256
    fill(large)
    assert {path: path.read_bytes() for path in files} == files
    found = xr.open_zarr(tmp_path / "ensemble.zarr", chunks=None)
    assert found.sizes["draw"] == 256
    assert np.array_equal(found.draw.values, np.arange(256))
    assert large.dataset().isel(draw=slice(64)).identical(before)
    # A handle from before keeps meaning what it meant.
    assert small.missing() == []
    assert small.dataset().identical(before)


def test_extending_at_once_or_in_steps_is_the_same(tmp_path: Path) -> None:
    for draws in (64, 128, 192):
        fill(make(tmp_path / "steps", draws))
    fill(make(tmp_path / "once", 192))
    steps, once = open_ensemble(tmp_path / "steps"), open_ensemble(tmp_path / "once")
    assert checksums(steps) == checksums(once)
    assert steps.dataset().identical(once.dataset())


def test_fewer_draws_keep_what_is_there(tmp_path: Path) -> None:
    fill(make(tmp_path, 128))
    again = make(tmp_path, 64)
    assert again.draws == 128
    assert again.missing() == []


def test_a_growth_cut_short_is_finished(tmp_path: Path) -> None:
    fill(make(tmp_path, 64))
    # What a kill between two arrays leaves: one is larger, the consolidated metadata are stale.
    zarr.open_array(tmp_path / "ensemble.zarr" / "footprint", mode="r+").resize((128, 3, 2, 3, 3))
    assert open_ensemble(tmp_path).draws == 64
    assert make(tmp_path, 64).draws == 64  # nothing was drawn there
    ensemble = make(tmp_path, 128)
    fill(ensemble)
    assert xr.open_zarr(tmp_path / "ensemble.zarr").sizes["draw"] == 128
    assert ensemble.verify() == []


def stalled(then: Callable[[], None]) -> Callable[[], None]:
    """A run that was the lock's holder when it asked, and stood still before it went on."""
    left = [then]

    def confirm() -> None:
        if left:
            left.pop()()

    return confirm


@pytest.mark.parametrize("stood_still_before", [0, 1, 8, 9, 10])
def test_a_run_that_stood_still_takes_no_draws_from_the_one_that_took_over(
    tmp_path: Path, stood_still_before: int
) -> None:
    fill(make(tmp_path, 64))
    passed = iter(range(99))
    once = stalled(lambda: fill(make(tmp_path, 256)))

    def confirm() -> None:
        if next(passed) == stood_still_before:
            once()

    create_or_extend(tmp_path, AXES, 128, IDENTITY, REFERENCE, {}, confirm=confirm)
    assert next(passed) > stood_still_before
    seen = open_ensemble(tmp_path)
    if seen.draws == 128:  # it was late; but nobody is told that this is all there is
        with pytest.raises(StoreError, match="blocks up to 256"):
            seen.dataset()
        assert any("blocks up to 256" in problem.reason for problem in seen.verify())
        late = Block(2000, 3, 64)
        seen.forget(late)
        with pytest.raises(StoreError, match="has room for 128 draws a year by now"):
            replace(seen, draws=256).write(late, results(late), RECEIPT)
        assert late in replace(seen, draws=256).missing()
        fill(make(tmp_path, 256))
    again = make(tmp_path, 64)
    assert again.draws == 256
    assert again.missing() == []
    assert again.verify() == []
    assert again.dataset().sizes["draw"] == 256


def test_a_run_that_saw_no_ensemble_spares_the_one_that_came_meanwhile(tmp_path: Path) -> None:
    mine = create_or_extend(
        tmp_path,
        AXES,
        64,
        IDENTITY,
        REFERENCE,
        {},
        confirm=stalled(lambda: fill(make(tmp_path, 128))),
    )
    assert mine == open_ensemble(tmp_path)
    assert mine.draws == 128
    assert mine.missing() == []
    assert mine.verify() == []
    assert list(tmp_path.rglob("*.partial")) == []


def test_who_may_not_change_anything_changes_nothing(tmp_path: Path) -> None:
    def refuse() -> None:
        raise LockedError("was taken over")

    def attempt(draws: int) -> None:
        with pytest.raises(LockedError):
            create_or_extend(tmp_path, AXES, draws, IDENTITY, REFERENCE, {}, confirm=refuse)

    attempt(64)
    assert contents(tmp_path) == {}
    fill(make(tmp_path, 64))
    before = contents(tmp_path)
    attempt(128)
    assert contents(tmp_path) == before


def test_a_look_beside_a_run_that_makes_room_finds_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run makes room, and fills it, right after the metadata have been read."""
    fill(make(tmp_path, 64))
    known = Ensemble._root

    def overtaken(draws: int) -> Callable[[Ensemble], Any]:
        """The metadata as they were before the other run went on to so many draws."""
        waiting = [draws]

        def root(one: Ensemble) -> Any:
            top = known(one)
            if waiting:
                fill(make(tmp_path, waiting.pop()))
            return top

        return root

    monkeypatch.setattr(Ensemble, "_root", overtaken(128))
    assert open_ensemble(tmp_path).verify() == []
    mine = open_ensemble(tmp_path)
    monkeypatch.setattr(Ensemble, "_root", overtaken(192))
    assert mine.dataset().sizes["draw"] == 128
    assert open_ensemble(tmp_path).draws == 192


def test_a_task_of_an_ensemble_that_was_made_anew_writes_nothing(tmp_path: Path) -> None:
    old = make(tmp_path, 64)
    shutil.rmtree(old.store)
    new = make(tmp_path, 64)
    assert new != old
    with pytest.raises(StoreError, match="made anew"):
        old.write(FIRST, results(FIRST), RECEIPT)
    assert new.missing() == new.blocks()


@pytest.mark.parametrize("name", ["footprint", "status", "draw", "consumer", "reference"])
@pytest.mark.parametrize(
    "harm",
    [
        lambda text: text.replace("128", "928", 1) if "128" in text else text.replace("3", "7", 1),
        lambda text: text.replace('"long_name"', '"lonf_name"'),
        lambda text: text.replace('"shape"', '"shapd"'),
        lambda text: text[:100],
        lambda _: "",
    ],
)
def test_damaged_metadata_of_an_array_are_found_and_written_anew(
    ensemble: Ensemble, tmp_path: Path, name: str, harm: Callable[[str], str]
) -> None:
    before = contents(tmp_path)
    path = tmp_path / "ensemble.zarr" / name / "zarr.json"
    path.write_text(harm(path.read_text()))
    assert contents(tmp_path) != before
    found = ensemble.verify()
    assert [problem.block for problem in found] == [None]  # no block is to blame
    assert found[0].reason.startswith(name)
    assert make(tmp_path).draws == 128
    assert contents(tmp_path) == before


def test_every_flipped_bit_of_the_root_metadata_is_refused_or_harmless(tmp_path: Path) -> None:
    ensemble = make(tmp_path, 64)
    path = tmp_path / "ensemble.zarr" / "zarr.json"
    good = path.read_bytes()
    unread = 0
    for byte in range(0, len(good), 31):
        bad = bytearray(good)
        bad[byte] ^= 1 << byte % 8
        path.write_bytes(bad)
        try:
            found = open_ensemble(tmp_path)
        except StoreError:
            continue
        unread += 1
        assert found == ensemble
    assert unread < 10  # "zarr_format" and the like, which Zarr itself reads, or blanks
    path.write_bytes(good)
    assert ensemble.verify() == []


def changed(**fields: Any) -> dict[str, Any]:
    return {**IDENTITY, **fields}


@pytest.mark.parametrize(
    ("identity", "named"),
    [
        (changed(seed=8), "seed: 7 on disk, 8 asked"),
        (
            changed(method={"perturb": "coefficients", "r_max": 0.95}),
            "method.r_max: 0.99 on disk, 0.95 asked",
        ),
        (
            changed(tables={"2000": "aa", "2005": "xx", "2010": "cc"}),
            'tables.2005: "bb" on disk, "xx" asked',
        ),
        (
            changed(errors=[{"quantity": "A", "rsd": 0.1}, {"quantity": "s", "rsd": 0.2}]),
            "errors[1].rsd: 0.3 on disk, 0.2 asked",
        ),
        (changed(errors=[]), "errors: ["),
        (changed(vintage="2024"), 'vintage: absent on disk, "2024" asked'),
        (
            {key: value for key, value in IDENTITY.items() if key != "seed"},
            "seed: 7 on disk, absent asked",
        ),
    ],
)
@pytest.mark.usefixtures("ensemble")
def test_drift_is_refused_naming_the_field_and_both_values(
    tmp_path: Path, identity: dict[str, Any], named: str
) -> None:
    before = contents(tmp_path)
    with pytest.raises(DriftError) as caught:
        create_or_extend(tmp_path, AXES, 256, identity, REFERENCE, {})
    assert named in caught.value.what
    assert contents(tmp_path) == before


def test_other_axes_and_another_version_are_drift(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path)
    other = replace(AXES, consumers=("NLD", "SE", "FI"))
    with pytest.raises(DriftError, match=r'axes\.consumers\[1\]: "NO" on disk, "SE" asked'):
        create_or_extend(tmp_path, other, 128, IDENTITY, REFERENCE, {})
    with pytest.raises(DriftError, match=r"axes\.block: 64 on disk, 128 asked"):
        create_or_extend(tmp_path, replace(AXES, block=128), 128, IDENTITY, REFERENCE, {})
    monkeypatch.setattr("engine.stores.ensemble.SCHEMA", 4)
    with pytest.raises(DriftError, match="schema: 3 on disk, 4"):
        make(tmp_path)
    with pytest.raises(DriftError, match="schema: 3 on disk, 4"):
        open_ensemble(tmp_path)


def test_an_ensemble_of_an_earlier_version_is_refused_by_its_version(tmp_path: Path) -> None:
    """Before 3 there was neither a seal nor a creation."""
    make(tmp_path)
    root = metadata(tmp_path)
    old = root["attributes"]
    del old["seal"], old["creation"]
    old["identity"] = old["identity"].replace('"schema":3', '"schema":2')
    old["digest"] = blake2b(old["identity"].encode(), digest_size=32).hexdigest()
    (tmp_path / "ensemble.zarr" / "zarr.json").write_text(json.dumps(root))
    for attempt in (make, open_ensemble):
        with pytest.raises(DriftError, match="schema: 2 on disk, 3") as caught:
            attempt(tmp_path)
        assert "a folder of its own" in caught.value.remedy


def test_a_method_that_changed_unannounced_is_drift(tmp_path: Path) -> None:
    make(tmp_path)
    rounded = REFERENCE * (1 + 1e-12)  # another BLAS kernel
    create_or_extend(tmp_path, AXES, 128, IDENTITY, rounded, {})
    moved = REFERENCE.copy()
    moved[1, 0, 1, 0] *= 1.001
    with pytest.raises(DriftError, match=r"reference\[2005, CO2, NO, total\]: .* asked"):
        create_or_extend(tmp_path, AXES, 128, IDENTITY, moved, {})


def test_an_impossible_ensemble_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    attempts: list[tuple[Any, int, Any]] = [
        (AXES, 100, REFERENCE),
        (AXES, 0, REFERENCE),
        (replace(AXES, consumers=()), 64, REFERENCE),
        (AXES, 64, REFERENCE[:2]),
        (AXES, 64, np.full_like(REFERENCE, np.nan)),
    ]
    for axes, draws, reference in attempts:
        with pytest.raises(StoreError):
            create_or_extend(folder, axes, draws, IDENTITY, reference, {})
    assert not folder.exists()


def test_a_ledger_whose_data_are_gone_is_not_believed(ensemble: Ensemble, tmp_path: Path) -> None:
    (tmp_path / "ensemble.zarr").rename(tmp_path / "elsewhere")
    assert make(tmp_path).missing() == ensemble.blocks()


def test_leftovers_of_a_kill_are_swept_on_resume(tmp_path: Path) -> None:
    ensemble = make(tmp_path)
    left = [
        tmp_path / "ensemble.zarr" / "footprint" / "c.0.0.0.0.0.abc.partial",
        tmp_path / "ensemble.zarr" / "zarr.abc.partial",
        tmp_path / "ledger" / "2000-000000.json.abc.partial",
        tmp_path / "ensemble.zarr.abc.partial" / "footprint" / "zarr.json",
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    assert ensemble.missing() == ensemble.blocks()
    make(tmp_path)
    assert list(tmp_path.rglob("*.partial")) == []


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 3)
    | st.sampled_from([0.0, 1.0, 0.5])
    | st.text("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz"), inner, max_size=3),
    max_leaves=6,
)


@given(JSONS, JSONS)
def test_no_difference_is_named_exactly_when_the_texts_agree(one: Any, other: Any) -> None:
    assert (not list(differences(one, other))) == (canonical(one) == canonical(other))


# --- several writers ----------------------------------------------------------------------------


def write_all(path: Path, blocks: list[Block]) -> int:
    ensemble = open_ensemble(path)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda block: ensemble.write(block, results(block), RECEIPT), blocks))
    return len(blocks)


def test_threads_and_processes_write_at_once(tmp_path: Path) -> None:
    ensemble = make(tmp_path, 256)
    blocks = ensemble.missing()
    shares = [blocks[0::3], blocks[1::3], blocks[2::3], blocks[2::3]]  # the last ones twice
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["engine.stores.ensemble"])
    with ProcessPoolExecutor(2, mp_context=context) as processes:
        others = [processes.submit(write_all, tmp_path, share) for share in shares[1:]]
        write_all(tmp_path, shares[0])
        assert [other.result() for other in others] == [4, 4, 4]
    assert ensemble.missing() == []
    assert ensemble.verify() == []
    fill(make(tmp_path / "alone", 256))
    alone = open_ensemble(tmp_path / "alone")
    assert checksums(ensemble) == checksums(alone)
    assert ensemble.dataset().identical(alone.dataset())


# --- the operating system refuses ---------------------------------------------------------------

REFUSALS = [
    (errno.ENOSPC, "No space left", "free disk space"),
    (errno.EDQUOT, "quota", "quota"),
    (errno.EROFS, "Read-only", "writable"),
    (errno.EACCES, "Permission denied", "right to write"),
    (errno.EIO, "Input/output error", "run again"),
]


@pytest.mark.parametrize(
    ("call", "number", "says", "cure"),
    [
        *(("write", *refusal) for refusal in REFUSALS),
        *((call, *REFUSALS[0]) for call in ("fsync", "replace")),
    ],
)
def test_a_refusal_says_what_is_safe_and_how_to_go_on(
    ensemble: Ensemble,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
    says: str,
    cure: str,
) -> None:
    second = Block(2005, 0, 64)
    ensemble.forget(second)

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number), "somewhere")

    with monkeypatch.context() as patched:
        patched.setattr(f"engine.stores.durable.os.{call}", refuse)
        with pytest.raises(StoreError, match=says) as caught:
            ensemble.write(second, results(second), RECEIPT)
        assert cure in caught.value.remedy
        assert "safe" in caught.value.remedy
        assert second in ensemble.missing()
        assert ensemble.verify() == []
    assert list(tmp_path.rglob("*.partial")) == []
    ensemble.write(second, results(second), RECEIPT)
    assert ensemble.verify() == []


def test_creating_where_nothing_can_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("engine.stores.durable.os.fsync", refuse)
        with pytest.raises(StoreError, match="No space left"):
            make(tmp_path)
    assert not (tmp_path / "ensemble.zarr").exists()
    fill(make(tmp_path))
