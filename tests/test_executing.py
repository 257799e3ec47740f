"""Workers that die, leave or differ, and schedulers that vanish: what becomes of the tasks."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster

from engine.blockwork import Task
from engine.clusters import Address, ClusterSpec, Executor, connect, executing, one_blas_thread
from engine.clusters.admitting import check
from engine.clusters.executing import WAVE, Distributed, Outcome
from engine.clusters.workers import software, unfit
from engine.errors import PlanError, RunError, StoppedError, WorkerDiedError
from engine.plan import Block
from engine.runs import _Pace

TWO = ClusterSpec(Executor.PROCESSES, 2, dashboard=False)
THREADS = ClusterSpec(Executor.THREADS, 2, dashboard=False)


def _cluster(workers: int) -> LocalCluster:
    return LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=False,
        dashboard_address="127.0.0.1:0", worker_dashboard_address="127.0.0.1:0", silence_logs=60,
    )  # fmt: skip


def fatal(number: int) -> int:
    """On a worker: number 3 kills it."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def fails(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number


def square(number: int) -> int:
    return number**2


def test_only_the_task_that_kills_its_workers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executing, "ALONE_AFTER", 2)
    monkeypatch.setattr(executing, "GIVEN_UP_AFTER", 3)
    with connect(TWO) as cluster:
        found = list(cluster.map_unordered(fatal, range(12)))
    assert sorted(one.task for one in found) == list(range(12))
    (lost,) = (one for one in found if one.error)
    assert lost.task == 3
    assert isinstance(lost.error, WorkerDiedError)
    assert "3 workers died with it" in str(lost.error)
    assert "killed" in lost.account


@pytest.mark.parametrize("spec", [ClusterSpec(Executor.SERIAL), THREADS], ids=["serial", "threads"])
def test_an_exception_comes_with_where_and_how(spec: ClusterSpec) -> None:
    with connect(spec) as cluster:
        found = {one.task: one for one in cluster.map_unordered(fails, range(5))}
    assert [found[n].result for n in (0, 1, 2, 4)] == [0, 1, 2, 4]
    assert isinstance(found[3].error, ValueError)
    assert f"pid {os.getpid()}" in found[3].account
    assert "raise ValueError" in found[3].account


def test_a_wave_is_bounded_and_small() -> None:
    """Tasks are taken as slots come free, and what is sent for a whole wave is a few kilobytes."""
    taken = []

    def tasks() -> Iterator[int]:
        for number in range(40):
            taken.append(number)
            yield number

    with connect(THREADS) as cluster:
        done = 0
        for _ in cluster.map_unordered(square, tasks()):
            done += 1
            assert len(taken) - done <= 2 * WAVE * 2  # in flight, and fetched together
    assert done == 40
    # A task of 100 blocks under long paths; a wave of as many as 100 slots have in flight.
    blocks = tuple(Block(2000, index, 256) for index in range(100))
    task = Task(Path("/x" * 50), Path("/y" * 50), blocks, (0, 1, 2, 3))
    wave = WAVE * 100 * len(pickle.dumps((executing.attempt, square, task)))
    assert wave < 2**20


def test_tasks_are_of_one_group() -> None:
    """Only then does the scheduler keep what waits, and give it to whoever has least to do."""
    with _cluster(1) as here, Client(here) as client:
        outcomes = Distributed(client, 1, "", _Unwatched()).map_unordered(slowly, range(6))
        next(outcomes)
        groups = {task.group_key for task in here.scheduler.tasks.values()}
        list(outcomes)
    assert len(groups) == 1


def test_a_scheduler_that_is_lost_stops_the_run_in_bounded_time() -> None:
    quick = dask.config.set({"distributed.comm.timeouts.connect": "3s"})
    with (
        quick,
        _cluster(1) as lost,
    ):
        client = Client(lost)
        cluster = Distributed(client, 1, "", _Unwatched())
        outcomes = cluster.map_unordered(slowly, range(100))
        next(outcomes)
        began = time.monotonic()
        lost.loop.add_callback(lost.scheduler.close)
        with pytest.raises(StoppedError, match="scheduler"):
            list(outcomes)
        assert time.monotonic() - began < 60
        client.close()
    assert StoppedError("").exit_code == 75
    assert issubclass(StoppedError, RunError)


def slowly(number: int) -> int:
    time.sleep(0.05)
    return number


class _Unwatched:
    def hopeless(self, connected: int) -> str:
        return ""

    def why(self, name: str, address: str) -> str:
        return ""


class _Hopeless(_Unwatched):
    said = ""

    def hopeless(self, connected: int) -> str:
        return self.said


@pytest.mark.parametrize("workers", [0, 1])
def test_no_worker_any_more_is_another_matter_than_never_one(workers: int) -> None:
    """Who has had workers goes back into the queue; who never had any must not."""
    watch = _Hopeless()
    with _cluster(workers) as few, Client(few) as client:
        cluster = Distributed(client, 1, "", watch)
        if workers:
            list(cluster.map_unordered(square, range(3)))
        watch.said = "every job has ended"
        kind = StoppedError if workers else PlanError
        with pytest.raises(kind, match="every job has ended"):
            list(cluster.map_unordered(square, range(3)))


def test_workers_may_come_late() -> None:
    with (
        LocalCluster(
            n_workers=0, threads_per_worker=1, processes=False, dashboard_address=None
        ) as late,
        Client(late) as client,
    ):
        outcomes = Distributed(client, 1, "", _Unwatched()).map_unordered(square, range(5))
        late.scale(1)
        found = list(outcomes)
    assert sorted(one.result or 0 for one in found) == [0, 1, 4, 9, 16]


def test_a_worker_that_differs_is_refused_now_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    here = software()
    with one_blas_thread():
        assert unfit(here) == []
    assert set(here) >= {"footfall", "numpy", "scipy", "numba", "python"}
    other = {**here, "numpy": "1.0"}
    with one_blas_thread():
        assert unfit(other) == [f"numpy is {here['numpy']}, not 1.0"]
    monkeypatch.setattr("engine.clusters.admitting.software", lambda: other)
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
        pytest.raises(PlanError, match=r"worker .* numpy is .*, not 1\.0"),
    ):
        check(client)
    with (
        LocalCluster(
            n_workers=0,
            threads_per_worker=1,
            processes=False,
            dashboard_address=None,
            silence_logs=60,
        ) as cluster,
        Client(cluster) as client,
    ):
        check(client)
        outcomes = Distributed(client, 1, "", _Unwatched()).map_unordered(square, range(5))
        cluster.scale(1)
        with pytest.raises(PlanError, match=r"worker .* numpy is .*, not 1\.0"):
            list(outcomes)


@pytest.mark.parametrize("hangs", ["run", "register_plugin"])
def test_a_worker_that_hangs_or_is_lost_while_connecting_stops_the_run(
    monkeypatch: pytest.MonkeyPatch, hangs: str
) -> None:
    class Reluctant:
        def run(self, *_: object) -> dict[str, list[str]]:
            return {}

        def register_plugin(self, plugin: object) -> None:
            pass

    client = Reluctant()
    monkeypatch.setattr("engine.clusters.admitting.PATIENCE", 0.1)
    monkeypatch.setattr(client, hangs, lambda *_: time.sleep(2))
    with pytest.raises(StoppedError, match="has not answered"):
        check(client)  # type: ignore[arg-type]

    def gone(*_: object) -> None:
        raise OSError("connection reset")

    monkeypatch.setattr(client, hangs, gone)
    with pytest.raises(StoppedError, match="lost while connecting"):
        check(client)  # type: ignore[arg-type]


def test_addresses_on_this_machine_are_loopback_alone() -> None:
    import psutil

    with connect(ClusterSpec(Executor.PROCESSES, 1)) as cluster:
        assert cluster.dashboard.startswith("http://127.0.0.1:")
        ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
        listening = [
            one.laddr.ip
            for process in ours
            for one in process.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN
        ]
    assert set(listening) == {"127.0.0.1"}


def test_an_address_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.clusters.address.CONNECTING", "2s")
    began = time.monotonic()
    with (
        pytest.raises(StoppedError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"),
        connect(Address("tcp://127.0.0.1:9")),
    ):
        pass
    assert time.monotonic() - began < 60


def test_tasks_last_as_long_as_planned() -> None:
    pace = _Pace(20.0)
    assert pace.blocks(1000, 4) == 1  # nothing is known yet
    singles = [
        Task(Path(f"/tables/{year}"), Path("/run/base"), (Block(year, index, 64),), (0,))
        for year in (2000, 2001)
        for index in range(500)
    ]
    pace.learn(Outcome(singles[0], 64, None, seconds=0.5))
    assert pace.blocks(10_000, 4) == 40  # 20 s
    assert pace.blocks(100, 4) == 6  # at least four tasks for each slot
    assert pace.blocks(3, 4) == 1
    bunches = list(pace.bunched(singles, _Slots()))
    assert [block for task in bunches for block in task.blocks] == [
        task.blocks[0] for task in singles
    ]
    assert all(len({block.year for block in task.blocks}) == 1 for task in bunches)
    assert len(bunches) < 120


class _Slots:
    slots = 4
    dashboard = ""

    def map_unordered(
        self, function: object, tasks: object, check: object = None
    ) -> Iterator[Outcome[Task, int]]:
        raise NotImplementedError


def test_workers_that_are_killed_while_they_start_are_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(**_: object) -> None:
        raise RuntimeError("Nanny failed to start worker process")

    monkeypatch.setattr("engine.clusters.local.LocalCluster", killed)
    with (
        pytest.raises(StoppedError, match="workers do not start here"),
        connect(ClusterSpec(Executor.PROCESSES, 2)),
    ):
        pass
