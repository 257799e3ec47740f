"""SIGKILL at any moment, then run again: the same ensemble as one that was never interrupted."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from itertools import count
from multiprocessing.context import ForkServerContext
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from killed_runs import run, work, work_until
from made_blocks import checksums, fill, make

from engine.plan import Block
from engine.stores.ensemble import Ensemble, open_ensemble
from engine.stores.layout import BLOCK_ARRAYS

# zarr 3.1.0 warns of the string codec, whoever opens the store; later releases do not.
pytestmark = pytest.mark.filterwarnings("ignore:The codec `vlen-utf8` is currently not part")

# FOOTFALL_KILL_EVERY=1 kills at each single step, some 270 of them; the default, coprime with the
# five calls of one durable write, visits every kind of moment.
EVERY = int(os.environ.get("FOOTFALL_KILL_EVERY", "0"))


@pytest.fixture(scope="module")
def forks() -> ForkServerContext:
    """Children that start fast: forked from a server that has imported the store already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["engine.stores.ensemble"])
    return context


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    """The ensemble of a run that nobody interrupted."""
    ensemble = make(tmp_path_factory.mktemp("whole"), 256)
    fill(ensemble)
    return ensemble


def arrays(ensemble: Ensemble) -> dict[str, bytes]:
    found = xr.open_zarr(ensemble.store, chunks=None)
    return {
        name: np.asarray(found[name]).tobytes()
        for name in (*BLOCK_ARRAYS, "reference", "draw", "year")
    } | {name: repr(list(found[name].values)).encode() for name in ("stressor", "consumer", "part")}


def assert_same(path: Path, whole: Ensemble) -> None:
    ensemble = open_ensemble(path)
    assert ensemble == Ensemble(path, whole.axes, whole.draws, whole.digest, ensemble.creation)
    assert checksums(ensemble) == checksums(whole)
    assert ensemble.verify() == []
    assert arrays(ensemble) == arrays(whole)
    assert list(path.rglob("*.partial")) == []


def assert_ledger_is_true(path: Path) -> None:
    """Whatever was killed, each block that the ledger calls finished is."""
    if (path / "ensemble.zarr").exists():
        assert [p.reason for p in open_ensemble(path).verify() if p.block is not None] == []


# --- at random moments --------------------------------------------------------------------------


def test_kills_at_random_moments(tmp_path: Path, whole: Ensemble, forks: ForkServerContext) -> None:
    rng = np.random.default_rng(20240501)
    kills = rounds = 0
    interrupted = set()
    while kills < 16:
        path = tmp_path / f"{rounds}"
        rounds += 1
        for draws in (128, 256):
            for attempt in count(1):  # with more and more time, so that a slow machine gets on
                began = forks.Event()
                child = forks.Process(target=run, args=(path, draws, began))
                child.start()
                assert began.wait(60)
                child.join(rng.uniform(0.0, 0.2 * attempt))
                if child.exitcode is None:
                    child.kill()
                child.join()
                if child.exitcode == 0:
                    break
                assert child.exitcode == -signal.SIGKILL
                kills += 1
                assert_ledger_is_true(path)
                interrupted.add(len(checksums_on(path)))
        assert_same(path, whole)
    assert len(interrupted) > 1  # not always before the first block


def checksums_on(path: Path) -> dict[Block, str]:
    return checksums(open_ensemble(path)) if (path / "ensemble.zarr").exists() else {}


# --- at every moment ----------------------------------------------------------------------------


def kill(forks: ForkServerContext, path: Path, draws: int, step: int) -> bool:
    """Work in a child that dies at `step`; False if it was done before."""
    child = forks.Process(target=work_until, args=(path, draws, step))
    child.start()
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode != 0


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Ensemble]:
    """The same run, never interrupted: nothing, one block, two blocks."""
    root = tmp_path_factory.mktemp("stages")
    for draws in (64, 128):
        work(root / f"{draws}", draws)
    return {draws: open_ensemble(root / f"{draws}") for draws in (64, 128)}


@pytest.mark.parametrize("draws", [64, 128])
def test_a_kill_at_any_step(
    draws: int,
    tmp_path: Path,
    stages: dict[int, Ensemble],
    forks: ForkServerContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Creation and a first block; or, of that, extension and a second block."""
    for step in count(1, EVERY or {64: 17, 128: 4}[draws]):
        path = tmp_path / f"{step}"
        if draws > 64:
            shutil.copytree(stages[64].path, path)
        if not kill(forks, path, draws, step):
            break
        assert_ledger_is_true(path)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", lambda _: None)  # this process is not killed
            work(path, draws)
        assert_same(path, stages[draws])
        shutil.rmtree(path)
    assert step > 50  # the calls counted are those the store makes


def test_a_run_killed_again_and_again(
    tmp_path: Path, stages: dict[int, Ensemble], forks: ForkServerContext
) -> None:
    """Each resumption gets a little further than the one before, until one is done."""
    path, step = tmp_path / "run", 1
    while kill(forks, path, 128, step):
        assert_ledger_is_true(path)
        step += 7
    assert step > 50
    assert_same(path, stages[128])
