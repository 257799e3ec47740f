"""From a configuration to a finished ensemble: the same bits however it came about."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from configs import SERIAL, SMALL, arrays, loaded, written
from engine import blockwork, readers, workflow
from engine.blockwork import Task, compute
from engine.clusters import ClusterSpec, Executor, connect
from engine.config import Config, load_config
from engine.errors import (
    ConfigError,
    DriftError,
    LockedError,
    PlanError,
    RunError,
    StoppedError,
    StoreError,
    TableError,
)
from engine.mrio import MRIO
from engine.runs import Progress
from engine.stores.ensemble import create_or_extend, open_ensemble
from engine.stores.lock import held
from engine.stores.record import Looks, Record, Stop, read_record, write_record
from engine.workflow.telling import rate


def small(folder: Path, *changes: tuple[str, str]) -> Config:
    return loaded(folder, SMALL, *changes)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The ensemble of a serial, uninterrupted run."""
    folder = tmp_path_factory.mktemp("truth")
    return arrays(workflow.run(small(folder), folder / "run", cluster=SERIAL))


@pytest.mark.parametrize(
    "cluster",
    [
        ClusterSpec(Executor.THREADS, 1, dashboard=False),
        ClusterSpec(Executor.THREADS, 2, dashboard=False),
        ClusterSpec(Executor.THREADS, 4, dashboard=False),
        ClusterSpec(Executor.PROCESSES, 1, dashboard=False),
        ClusterSpec(Executor.PROCESSES, 2, dashboard=False),
        ClusterSpec(Executor.PROCESSES, 4, dashboard=False),
    ],
    ids=lambda spec: f"{spec.executor}-{spec.workers}",
)
def test_the_same_ensemble_on_any_executor(
    tmp_path: Path, truth: dict[str, bytes], cluster: ClusterSpec
) -> None:
    assert arrays(workflow.run(small(tmp_path), str(tmp_path / "run"), cluster=cluster)) == truth


@pytest.mark.parametrize("block", [128, 448])
def test_the_same_draws_in_blocks_of_any_size(
    tmp_path: Path, truth: dict[str, bytes], block: int
) -> None:
    """Over the draws both have: 448 draws are 512 in blocks of 128."""
    config = small(tmp_path, ("block = 64", f"block = {block}"))
    with workflow.run(config, tmp_path / "run", cluster=SERIAL).open() as ensemble:
        common = ensemble.isel(draw=slice(448))
        assert common["footprint"].values.tobytes() == truth["footprint"]
        assert common["status"].values.tobytes() == truth["status"]


def test_extending_leaves_earlier_draws_as_they_were(
    tmp_path: Path, truth: dict[str, bytes]
) -> None:
    config = small(tmp_path)
    workflow.run(config, tmp_path / "run", draws=100, cluster=SERIAL)
    seen: list[Progress] = []
    run = workflow.run(config, tmp_path / "run", cluster=SERIAL, listener=seen.append)
    assert arrays(run) == truth
    assert seen[0].done == 3 * 128
    assert seen[-1].done == seen[-1].total == 3 * 448
    assert [sitting["draws"] for sitting in run.record.sittings] == [128, 448]


def test_a_finished_run_computes_nothing_again(tmp_path: Path, truth: dict[str, bytes]) -> None:
    config = small(tmp_path)
    workflow.run(config, tmp_path / "run", cluster=SERIAL)
    seen: list[Progress] = []
    run = workflow.run(config, tmp_path / "run", cluster=SERIAL, listener=seen.append)
    assert seen == []
    assert arrays(run) == truth


def test_scenarios_share_their_normals(tmp_path: Path) -> None:
    """The same components at half the size: the deviations of log footprints are almost halved."""
    text = SMALL[
        SMALL.index("[[scenarios") : SMALL.index('[[scenarios.base.errors]]\nquantity = "Z')
    ]
    half = text.replace("scenarios.base", "scenarios.half").replace("rsd = 0.1", "rsd = 0.05")
    config = load_config(written(tmp_path, SMALL[: SMALL.index("[[scenarios")] + text + half))
    run = workflow.run(config, tmp_path / "run", draws=64, cluster=SERIAL)
    full, halved = (
        np.log(run.open(name)["footprint"].sel(part="total").values) for name in ("base", "half")
    )
    spread, other = (values - values.mean(axis=0) for values in (full, halved))
    assert np.corrcoef(spread.ravel(), other.ravel())[0, 1] > 0.999
    assert other.std() / spread.std() == pytest.approx(0.5, rel=0.02)


def test_the_first_order_stored_is_that_of_the_same_years_and_parts(tmp_path: Path) -> None:
    """Draws of G against the closed form beside them: 24 covariances and as many means of L.

    A covariance of normal draws has the standard error `sqrt((v v' + c^2) / D)`; at 4.5 of them
    48 comparisons fail once in 3,000 seeds.
    """
    stressors = 'stressors = ["S0"]'
    config = small(tmp_path, (stressors, f'{stressors}\nparts = ["total", "foreign"]'))
    run = workflow.run(config, tmp_path / "run", draws=2048, cluster=SERIAL)
    with run.open() as found:
        G, L = (found[name].to_numpy()[:, :, 0] for name in ("G", "linear"))
        law = found["first_order_covariance"].to_numpy()[:, :, 0]
        F = found["footprint"].to_numpy()[:, :, 0]
        assert found["part"].to_numpy().tolist() == ["total", "foreign"]
    D, years = len(G), range(G.shape[1])
    for t in years:
        spread = np.sqrt(law[t, t])
        assert (np.abs(L[:, t].mean(axis=0)) < 4.5 * spread / np.sqrt(D)).all()
        away = F[:, t] - F[:, t].mean(axis=0)
        follows = (away * L[:, t]).mean(axis=0) / (away.std(axis=0) * L[:, t].std(axis=0))
        assert (follows > 0.98).all()  # the same draw's footprint, not another's
        for s in years[: t + 1]:
            covariance = (G[:, t] * G[:, s]).mean(axis=0)
            error = np.sqrt((law[t, t] * law[s, s] + law[t, s] ** 2) / D)
            assert (np.abs(covariance - law[t, s]) < 4.5 * error).all(), (t, s)
    assert (law[0, 0, ..., 1] < law[0, 0, ..., 0]).all()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("seed = 7", "seed = 8", "seed"),
        ("rsd = 0.2", "rsd = 0.3", "rsd"),
        ("ar1 = 0.8", "ar1 = 0.7", "phi"),
        ('"accounts"', '"accounts"\nr_max = 0.9', "r_max"),
        ('world = "random"', 'world = "random"\nseed = 99', "tables"),
        ('consumers = ["R0", "pair"]', 'consumers = ["R0"]', "consumers"),
    ],
)
def test_what_would_mix_two_ensembles_is_refused(
    tmp_path: Path, old: str, new: str, named: str
) -> None:
    workflow.run(small(tmp_path), tmp_path / "run", draws=64, cluster=SERIAL)
    with pytest.raises(DriftError, match=named):
        workflow.run(small(tmp_path, (old, new)), tmp_path / "run", draws=64, cluster=SERIAL)


def command(config: Path, run: Path, *options: str) -> list[str]:
    return [
        sys.executable, "-m", "engine.cli", "run", str(config), "--output", str(run), *options,
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_kill_minus_nine_and_run_again_gives_the_same_ensemble(
    tmp_path: Path, truth: dict[str, bytes], executor: str
) -> None:
    """Killed at random moments (fixed seed) until it once gets through."""
    config = small(tmp_path).path
    chance = random.Random(4)
    for _ in range(4):
        process = subprocess.Popen(
            command(config, tmp_path / "run", "--executor", executor),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(chance.uniform(2.0, 6.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = subprocess.run(
        command(config, tmp_path / "run", "--executor", executor),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert arrays(workflow.open_run(tmp_path / "run")) == truth


@pytest.mark.slow
def test_an_interrupted_run_says_so_and_goes_on(tmp_path: Path, truth: dict[str, bytes]) -> None:
    config = small(tmp_path, ("draws = 448", "draws = 20032")).path
    process = subprocess.Popen(
        command(config, tmp_path / "run"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not any((tmp_path / "run").glob("base/ledger/*")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "finished blocks are safe" in said
    assert "Traceback" not in said
    text = "\n".join(workflow.status(tmp_path / "run"))
    assert " of 939 blocks" in text
    with pytest.raises(StoreError, match="footfall run"):
        workflow.Run(tmp_path / "run", _record("base")).open()


def _record(scenario: str) -> Record:
    return Record("t", (scenario,), 0.95, 0.8, {}, "", {}, (), ())


def test_a_failed_block_stops_nothing_else_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truth: dict[str, bytes]
) -> None:
    from engine import runs

    def fragile(task: Task) -> int:
        if task.blocks[0].year == 2001 and task.blocks[0].index == 3:
            raise OSError("no space left on device")
        return compute(task)

    config = small(tmp_path)
    monkeypatch.setattr(runs, "compute", fragile)
    with pytest.raises(RunError, match="1 of the blocks failed 2 times; the first: no space left"):
        workflow.run(config, tmp_path / "run", cluster=SERIAL)
    lines = list(workflow.status(tmp_path / "run"))
    assert lines[0].startswith("base: 20 of 21 blocks")
    assert "year 2001, block 3" in lines[-1]
    assert "no space left" in lines[-1]
    told = "\n".join(workflow.logs(tmp_path / "run"))
    assert "base, year 2001, block 3: OSError: no space left" in told
    assert "in fragile" in told  # the worker's traceback
    monkeypatch.undo()
    assert arrays(workflow.run(config, tmp_path / "run", cluster=SERIAL)) == truth
    assert len(list(workflow.status(tmp_path / "run"))) == 1
    assert list(workflow.logs(tmp_path / "run")) == ["no block has failed"]


def test_a_store_that_refuses_everything_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truth: dict[str, bytes]
) -> None:
    """Eight tasks later, and not after every block has been drawn twice for nothing."""
    from engine import runs

    tried: list[Task] = []

    def full(task: Task) -> int:
        tried.append(task)
        if len(tried) in (2, 3) or len(tried) > 5:
            raise StoreError("no space left", where="run/base", remedy="free disk space")
        return compute(task)

    config = small(tmp_path)
    monkeypatch.setattr(runs, "compute", full)
    with pytest.raises(
        RunError, match="refused 8 tasks one after another; the last: no space"
    ) as e:
        workflow.run(config, tmp_path / "run", cluster=SERIAL)
    assert len(tried) == 13
    assert e.value.remedy == "free disk space"
    assert next(iter(workflow.status(tmp_path / "run"))).startswith("base: 3 of 21 blocks")
    monkeypatch.undo()
    assert arrays(workflow.run(config, tmp_path / "run", cluster=SERIAL)) == truth


def test_the_rate_is_that_of_the_present_sitting() -> None:
    """Blocks every 2 s, a night's pause, then every 4 s: the last sitting alone tells the rate."""
    earlier = [2.0 * k for k in range(50)]
    now = [40_000 + 4.0 * k for k in range(10)]
    assert rate([*earlier, *now], now=40_040.0) == (4.0, 4.0)
    assert rate(earlier, now=100.0) == (2.0, 2.0)
    assert rate([1.0, 2.0]) is None


def test_damage_is_found_by_verify_and_computed_anew(
    tmp_path: Path, truth: dict[str, bytes]
) -> None:
    config = small(tmp_path)
    workflow.run(config, tmp_path / "run", cluster=SERIAL)
    chunks = sorted((tmp_path / "run").glob("base/ensemble.zarr/footprint/c.*"))
    flipped = bytearray(chunks[0].read_bytes())
    flipped[len(flipped) // 2] ^= 1
    chunks[0].write_bytes(flipped)
    chunks[5].write_bytes(chunks[5].read_bytes()[:20])
    chunks[9].unlink()
    assert "\n".join(workflow.status(tmp_path / "run", verify=True)).count("damaged:") == 3
    assert arrays(workflow.run(config, tmp_path / "run", cluster=SERIAL)) == truth
    assert "damaged" not in "\n".join(workflow.status(tmp_path / "run", verify=True))


def test_the_second_run_on_one_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (
        held(tmp_path / "run" / "lock.json", heartbeat=0.2),
        pytest.raises(LockedError, match="is in use by"),
    ):
        workflow.run(small(tmp_path), tmp_path / "run", cluster=SERIAL)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["lock-000001.json"]


def between(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Something happens once, when the first block of a run has been drawn."""
    left = [happens]

    def compute_and(task: Task) -> int:
        done = compute(task)
        if left:
            left.pop()()
        return done

    monkeypatch.setattr("engine.runs.compute", compute_and)


def stands_still(folder: Path) -> None:
    """Let the run's lock look as if its holder had not been seen for a minute."""
    (lock,) = folder.glob("lock-*.json")
    lock.write_text(lock.read_text().replace('"released": false', '"released": true'))


def test_two_configurations_in_one_folder_do_not_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever their scenarios are called: jobs, keys and the record are the run's."""
    other = small(tmp_path, ("scenarios.base", "scenarios.other"))
    monkeypatch.setattr("engine.runs.held", partial(held, heartbeat=0.1))

    def beside() -> None:
        with pytest.raises(LockedError, match="is in use by"):
            workflow.run(other, tmp_path / "run", cluster=SERIAL)

    between(monkeypatch, beside)
    run = workflow.run(small(tmp_path), tmp_path / "run", draws=64, cluster=SERIAL)
    assert run.record.scenarios == ("base",)
    assert not (tmp_path / "run" / "other").exists()


def test_a_run_that_was_taken_over_leaves_the_record_of_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truth: dict[str, bytes]
) -> None:
    config, folder = small(tmp_path), tmp_path / "run"
    looks = Looks((448,), 448, 1, Stop.MAXIMUM)

    def other() -> None:
        stands_still(folder)
        run = workflow.run(config, folder, cluster=SERIAL)
        write_record(folder, replace(run.record, looks=looks))

    between(monkeypatch, other)
    with pytest.raises(LockedError, match="was taken over by"):
        workflow.run(config, folder, draws=64, cluster=SERIAL)
    record = read_record(folder)
    assert [sitting["draws"] for sitting in record.sittings] == [448]
    assert record.looks == looks
    assert arrays(workflow.open_run(folder)) == truth


def test_a_run_that_was_taken_over_while_it_prepared_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truth: dict[str, bytes]
) -> None:
    config, folder = small(tmp_path), tmp_path / "run"
    left = ["once"]

    def late(*given: Any, **named: Any) -> Any:
        if left:
            left.pop()
            stands_still(folder)
            workflow.run(config, folder, cluster=SERIAL)
        return create_or_extend(*given, **named)

    monkeypatch.setattr("engine.jobs.create_or_extend", late)
    with pytest.raises(LockedError, match="was taken over by"):
        workflow.run(config, folder, draws=64, cluster=SERIAL)
    assert arrays(workflow.open_run(folder)) == truth


def test_a_run_that_fails_because_it_was_taken_over_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would else blame the store, or enter its failures into the ledger of the other."""
    config, folder = small(tmp_path), tmp_path / "run"

    def lost() -> None:
        stands_still(folder)
        for tables in folder.glob("base/tables-*"):
            shutil.rmtree(tables)
        blockwork._loaded.cache_clear()
        with suppress(KeyboardInterrupt), held(folder / "lock.json"):
            raise KeyboardInterrupt

    between(monkeypatch, lost)
    with pytest.raises(LockedError, match="was taken over by"):
        workflow.run(config, folder, cluster=SERIAL)
    assert open_ensemble(folder / "base").failures() == {}


def test_why_a_run_stopped_is_not_lost_where_it_cannot_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code tells a batch system to put the controller back."""

    def stop(*_: object) -> None:
        monkeypatch.setattr("engine.workflow.running.write_record", refuse)
        raise StoppedError("the scheduler is gone")

    def refuse(*_: object) -> None:
        raise StoreError("No space left on device")

    monkeypatch.setattr("engine.workflow.running.run_jobs", stop)
    with pytest.raises(StoppedError):
        workflow.run(small(tmp_path), tmp_path / "run", cluster=SERIAL)


def test_a_block_that_is_taken_out_of_the_ledger_meanwhile_is_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truth: dict[str, bytes]
) -> None:
    def verified() -> None:
        ensemble = open_ensemble(tmp_path / "run" / "base")
        (finished,) = set(ensemble.blocks()) - set(ensemble.missing())
        ensemble.forget(finished)

    between(monkeypatch, verified)
    seen: list[Progress] = []
    run = workflow.run(small(tmp_path), tmp_path / "run", cluster=SERIAL, listener=seen.append)
    assert arrays(run) == truth
    assert seen[-1].done == seen[-1].total


def test_blocks_that_never_stay_in_the_ledger_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(task: Task) -> int:
        done = compute(task)
        open_ensemble(task.ensemble).forget(task.blocks[0])
        return done

    monkeypatch.setattr("engine.runs.compute", forgetful)
    with pytest.raises(RunError, match="3 blocks were drawn 3 times, and are not in the ledger"):
        workflow.run(small(tmp_path), tmp_path / "run", draws=64, cluster=SERIAL)


@pytest.mark.parametrize("executor", list(Executor))
def test_blas_keeps_to_one_thread_in_every_mode(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    with connect(ClusterSpec(executor, 2, dashboard=False)) as cluster:
        for outcome in cluster.map_unordered(blas_threads, range(4)):
            assert outcome.error is None
            assert set(outcome.result or []) == {1}


def blas_threads(_: int) -> list[int]:
    """On a worker: threads of each BLAS it has loaded."""
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_info

    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_a_run_that_cannot_fit_is_refused_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tiny:
        available = 2**20

    monkeypatch.setattr(psutil, "virtual_memory", lambda: Tiny)
    with pytest.raises(PlanError, match="this machine has 1 MiB free"):
        workflow.plan(small(tmp_path))


def test_no_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="0 workers"):
        workflow.run(small(tmp_path), tmp_path / "run", cluster=ClusterSpec(workers=0))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('source = "assumption"', 'source = "another citation"'),
        ('title = "a small random world"', 'title = "the same world"'),
        ("seed = 7", "seed = 7\n# a remark"),
        ('members = ["R0", "R1"]', 'members = ["R1", "R0"]'),
    ],
)
def test_what_decides_no_draw_is_no_drift(tmp_path: Path, old: str, new: str) -> None:
    workflow.run(small(tmp_path), tmp_path / "run", draws=64, cluster=SERIAL)
    workflow.run(small(tmp_path, (old, new)), tmp_path / "run", draws=64, cluster=SERIAL)


def test_a_refused_run_leaves_the_other_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truth: dict[str, bytes]
) -> None:
    """A task of the first run that is still at work cannot draw from the second run's tables."""
    from engine import runs

    def meddled(task: Task) -> int:
        done = compute(task)
        if task.blocks[0].index == 2 and task.blocks[0].year == 2000:
            stands_still(tmp_path / "run")
            other = small(tmp_path, ("seed = 7", "seed = 8"))
            with pytest.raises(DriftError, match="seed"):
                workflow.run(other, tmp_path / "run", cluster=SERIAL)
        return done

    scenario = tmp_path / "run" / "base"
    monkeypatch.setattr(runs, "compute", meddled)
    with pytest.raises(LockedError, match="was taken over by"):
        workflow.run(small(tmp_path), tmp_path / "run", cluster=SERIAL)
    monkeypatch.undo()
    assert arrays(workflow.run(small(tmp_path), tmp_path / "run", cluster=SERIAL)) == truth
    assert not list(scenario.glob("tables-*"))


def test_a_task_refuses_tables_prepared_for_another_ensemble(tmp_path: Path) -> None:
    from engine.draws import everything
    from engine.prepare import prepare
    from engine.stores import tables

    config = small(tmp_path)
    table = readers.read(config.tables, 2000)
    prepared = prepare(table, config.errors, everything(table), 7)
    tables.save(prepared, tmp_path / "2000", "one digest")
    assert tables.load(tmp_path / "2000", "one digest").year == 2000
    with pytest.raises(StoreError, match="another ensemble"):
        tables.load(tmp_path / "2000", "another digest")


def test_a_table_that_changes_while_it_is_read_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, calls = readers.read, []

    def unsteady(source: object, year: int) -> object:
        table = read(source, year)  # type: ignore[arg-type]
        calls.append(year)
        if len(calls) > 4:
            table = MRIO(
                year, table.labels, table.Z, table.Y, 2 * table.E, table.F_Y, table.provenance
            )
        return table

    monkeypatch.setattr(readers, "read", unsteady)
    with pytest.raises(TableError, match="changed while"):
        workflow.run(small(tmp_path), tmp_path / "run", cluster=SERIAL)


def test_every_scenario_is_checked_before_the_first_is_drawn(tmp_path: Path) -> None:
    second = SMALL[SMALL.index("[[scenarios") :].replace("scenarios.base", "scenarios.second")
    wrong = second.replace('quantity = "E"\n', 'quantity = "E"\nonly = { region = ["Nowhere"] }\n')
    config = load_config(written(tmp_path, SMALL + wrong))
    with pytest.raises(ConfigError, match="Nowhere"):
        workflow.run(config, tmp_path / "run", draws=64, cluster=SERIAL)
    assert not list((tmp_path / "run").glob("*/ledger/*"))


def test_a_model_without_errors_is_one_exact_number(tmp_path: Path) -> None:
    text = SMALL[: SMALL.index("[[scenarios")] + "[scenarios.base]\nerrors = []\n"
    config = loaded(tmp_path, text, ("draws = 448", "draws = 64"))
    assert list(workflow.check(config))
    run = workflow.run(config, tmp_path / "run", cluster=SERIAL)
    with run.open() as ensemble:
        footprint = ensemble["footprint"].values
        assert np.ptp(footprint, axis=list(ensemble["footprint"].dims).index("draw")).max() == 0
    told = workflow.detect(run, config.detection)
    assert "not assessed" in told
    rows = json.loads((tmp_path / "run" / "base" / "budget.json").read_text())
    assert len(rows["subjects"]) == 2
    assert all(not subject["entries"] for subject in rows["subjects"])


def test_nothing_is_half_made_where_the_budget_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ConfigError("no budget")

    monkeypatch.setattr("engine.jobs.budget", fails)
    with pytest.raises(ConfigError, match="no budget"):
        workflow.run(small(tmp_path), tmp_path / "run", cluster=SERIAL)
    assert not (tmp_path / "run" / "base" / "ensemble.zarr").exists()
    assert not (tmp_path / "run" / "run.json").exists()
