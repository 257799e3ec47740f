"""What more workers bring: limits that hold exactly, and what `plan` says of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.crowd import at_length
from configs import SMALL, written
from engine.cli import main
from engine.clusters import Address, Allocation, Batch, ClusterSpec, Executor, System
from engine.clusters.spec import Controller
from engine.config import load_config
from engine.workflow.planning import plan
from engine.workflow.scaling import SCHEDULING, Scaling

runs = st.builds(
    Scaling,
    preparing=st.floats(0.0, 1e4),
    starting=st.floats(0.0, 60.0),
    blocks=st.integers(1, 3000),
    block=st.floats(0.01, 100.0),
    task=st.sampled_from([0.0, 0.25, 20.0]),
    own=st.integers(0, 8),
    held=st.booleans(),
)
counts = st.integers(1, 5000)


@settings(deadline=None)
@given(runs)
def test_one_worker_takes_the_sum(run: Scaling) -> None:
    work = run.blocks * run.block
    assert run.seconds(1) == pytest.approx(run.preparing + run.starting + work, rel=1e-12)
    assert run.at_work(1) == pytest.approx(work / (run.starting + work), rel=1e-12)


@settings(deadline=None)
@given(runs)
def test_without_end_of_workers_preparing_and_one_block_are_left(run: Scaling) -> None:
    """Or what the scheduler takes to hand out every block as a task."""
    last = max(run.block, run.blocks * SCHEDULING)
    assert run.seconds(10**9) == pytest.approx(run.preparing + run.starting + last, rel=1e-12)


@settings(deadline=None)
@given(runs, counts, counts)
def test_more_workers_are_never_slower_while_the_scheduler_keeps_up(
    run: Scaling, one: int, other: int
) -> None:
    few, many = sorted((one, other))
    slower = run.drawing(many) - run.drawing(few)
    assert slower <= 0 or run.drawing(many) == run.tasks(many) * SCHEDULING


@settings(deadline=None)
@given(runs, counts)
def test_no_worker_does_more_than_work(run: Scaling, workers: int) -> None:
    assert 0 < run.at_work(workers) <= 1 + 1e-12
    assert run.core_hours(workers) * 3600 >= run.blocks * run.block * (1 - 1e-12)


@settings(deadline=None)
@given(runs, counts)
def test_tasks_hold_every_block_and_are_as_long_as_planned(run: Scaling, workers: int) -> None:
    tasks = run.tasks(workers)
    assert tasks <= run.blocks
    # No task is longer than planned, unless it is a single block; half of one by rounding.
    longest = max(1.0, run.task / run.block + 0.5)
    assert tasks * longest >= run.blocks - 1e-9


@settings(deadline=None)
@given(runs, counts)
def test_beyond_those_that_help_nothing_is_gained(run: Scaling, more: int) -> None:
    assert 1 <= run.most <= run.blocks
    assert run.drawing(run.most + more) >= run.drawing(run.most)
    fewer = run.most - 1
    if fewer:
        assert run.drawing(fewer) > run.tasks(fewer) * SCHEDULING


def test_cores_that_prepare_are_counted_once() -> None:
    """90 blocks of 40 s: 30 minutes of 2 workers, after a quarter of an hour of preparing."""
    alone = Scaling(900.0, 0.0, 90, 40.0, 20.0, own=1, held=False)
    assert alone.seconds(2) == 900 + 1800
    assert alone.core_hours(2) == (2700 + 2 * 1800) / 3600  # the controller stays to the end
    held = Scaling(900.0, 0.0, 90, 40.0, 20.0, own=0, held=True)
    assert held.core_hours(2) == 2 * 2700 / 3600


def test_the_cores_of_the_run_itself_are_counted_as_its_job_asks_for_them(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, SMALL))
    size = {"cores": 3, "memory": "8GB"}
    batch = Batch(System.SLURM, 2, controller=Controller(cores=4), **size)
    for cluster, own, held in (
        (batch, 4, False),
        (Allocation(2, **size), 3, True),  # one task more than there are workers
        (Address("tcp://127.0.0.1:1", workers=6), 1, False),
        (ClusterSpec(Executor.PROCESSES, 1), 0, True),
    ):
        run = plan(config, cluster=cluster).scaling
        assert (run.own, run.held) == (own, held)
        whole, drawing = run.seconds(6), run.seconds(6) - run.preparing
        assert run.core_hours(6) == (own * whole + 6 * (whole if held else drawing)) / 3600


def test_the_last_wave_is_the_slowest_workers() -> None:
    run = Scaling(0.0, 0.0, 10, 30.0, 20.0, own=0, held=True)
    assert [run.drawing(workers) for workers in (1, 3, 5, 9, 10, 11)] == [300, 120, 60, 60, 30, 30]
    assert run.most == 10
    # A task a block, ten of which the scheduler sends while one is drawn.
    quick = Scaling(0.0, 0.0, 10**4, 10 * SCHEDULING, 0.0, own=0, held=True)
    assert quick.most == 10


def test_plan_tells_core_hours_and_how_many_workers_help(tmp_path: Path) -> None:
    """Two scenarios of three years of seven blocks: 42 of them."""
    config = written(tmp_path, SMALL)
    profile = tmp_path / "there.toml"
    profile.write_text('system = "address"\naddress = "tcp://127.0.0.1:1"\nworkers = 50\n')
    told = CliRunner().invoke(main, ["plan", str(config), "--cluster", str(profile)])
    assert told.exit_code == 0, told.output
    lines = dict(line.split(":", 1) for line in told.output.splitlines()[1:])
    assert float(lines["core-hours"]) > 50 * 15 / 3600  # they start before they draw
    assert "more than" in lines["workers that help"]
    assert "WAIT" in lines["workers that help"]
    few = CliRunner().invoke(main, ["plan", str(config), "--workers", "1", "--scaling"])
    assert "WAIT" not in few.output
    table = few.output.splitlines()[-11:]
    assert [int(row.split()[0].replace(",", "")) for row in table] == [
        1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000,
    ]  # fmt: skip


@settings(deadline=None)
@given(st.floats(0.1, 20.0), st.floats(1e-3, 5.0))
def test_gaps_weigh_less_beside_longer_tasks(seconds: float, gap: float) -> None:
    measured = seconds / (seconds + gap)
    assert at_length(measured, seconds, seconds) == pytest.approx(measured)
    assert at_length(measured, seconds, 20.0) == pytest.approx(20.0 / (20.0 + gap))
