"""Runs on a real SLURM: whatever happens to its jobs, the ensemble is the laptop's, bit for bit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import psutil
import pytest
import slurm_site
from distributed import Client, Security
from slurm_site import Site
from test_tls import certificates

from configs import SERIAL, SMALL, arrays, written
from engine import workflow
from engine.clusters import Address, Batch, System, connect
from engine.clusters.spec import DEATH_TIMEOUT
from engine.config import load_config
from engine.errors import PlanError, StoppedError
from engine.stores.ensemble import open_ensemble

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(480)]

ROOT = Path(__file__).parent.parent
DRAWS = 6144
CONFIG = SMALL.replace("[cluster]\ndashboard = false\n", "").replace("448", str(DRAWS))
PROFILE = """
system = "slurm"
workers = 3
cores = 1
memory = "800MB"
walltime = "00:10:00"
interface = "lo"

[controller]
walltime = "00:10:00"
"""
ALLOCATION = """
system = "slurm allocation"
workers = 3
memory = "800MB"
walltime = "00:10:00"
interface = "lo"
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    why = slurm_site.missing()
    if why:
        pytest.skip(why)
    with slurm_site.site(tmp_path_factory.mktemp("slurm") / "site") as running:
        yield running


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> workflow.Run:
    """The ensemble of a serial, uninterrupted run."""
    folder = tmp_path_factory.mktemp("truth")
    return workflow.run(load_config(written(folder, CONFIG)), folder / "run", cluster=SERIAL)


def footfall(slurm: Site, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "engine.cli", *map(str, arguments)],
        env=slurm.environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def submit(slurm: Site, folder: Path, *arguments: str) -> str:
    """Submit the run in `folder`; returns the controller's job number."""
    done = footfall(
        slurm, "submit", folder / "small.toml", "--cluster", folder / "profile.toml",
        "--output", folder / "run", *arguments,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    number = re.search(r"slurm job (\d+)", done.stdout)
    assert number, done.stdout
    return number[1]


def prepared(folder: Path, profile: str = PROFILE, config: str = CONFIG) -> Path:
    written(folder, config)
    written(folder, profile, "profile.toml")
    return folder


def until(holds: Callable[[], object], what: str, folder: Path, seconds: float = 200) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            logs = [p.read_text() for p in sorted((folder / "run" / "logs").glob("controller*"))]
            pytest.fail(f"{what}\n" + "\n".join(logs))
        time.sleep(0.2)


def blocks(folder: Path) -> int:
    return len(list(folder.glob("run/base/ledger/*.json")))


def workers(slurm: Site) -> list[str]:
    """Jobs of workers that are at work."""
    return [n for n, name, state in slurm.jobs() if "worker" in name and state == "RUNNING"]


def controller(folder: Path) -> psutil.Process:
    """The process of the run."""
    (lock,) = folder.glob("run/lock-*.json")
    return psutil.Process(json.loads(lock.read_text())["holder"]["pid"])


def is_over(slurm: Site) -> Callable[[], bool]:
    return lambda: not slurm.jobs()


def same(folder: Path, truth: workflow.Run) -> None:
    """Every number, and the checksum of every block in the ledger."""
    run = workflow.open_run(folder / "run")
    assert arrays(run) == arrays(truth)
    ours, theirs = (
        {block: entry.checksum for block, entry in one.ensemble().ledger.entries().items()}
        for one in (run, truth)
    )
    assert ours == theirs
    assert len(ours) == 3 * DRAWS // 64


def refused_while_it_runs(slurm: Site, folder: Path, number: str, found: list[bool]) -> None:
    again = footfall(
        slurm, "submit", folder / "small.toml", "--cluster", folder / "profile.toml",
        "--output", folder / "run",
    )  # fmt: skip
    found.append(again.returncode == 1 and f"job {number}" in again.stderr)


def test_workers_cancelled_in_the_middle_of_a_submitted_run(
    slurm: Site, tmp_path: Path, truth: workflow.Run
) -> None:
    folder = prepared(tmp_path)
    number = submit(slurm, folder)
    again = Thread(target=refused_while_it_runs, args=(slurm, folder, number, refusals := []))
    again.start()
    until(lambda: blocks(folder), "no worker began", folder)
    cancelled = workers(slurm)
    slurm.ask("scancel", *cancelled)
    assert blocks(folder) < 3 * DRAWS // 64
    status = footfall(slurm, "status", folder / "run").stdout
    assert f"controller: slurm job {number}" in status
    assert "ended" not in status or f"{3 * DRAWS // 64} of" in status  # on a busy machine
    until(lambda: set(workers(slurm)) - set(cancelled), "no worker takes their place", folder)
    again.join()
    assert refusals == [True]
    until(is_over(slurm), "the run does not end", folder)
    same(folder, truth)
    assert "ended" in footfall(slurm, "status", folder / "run").stdout
    done = json.loads((folder / "run" / "run.json").read_text())["sittings"]
    assert [sitting["executor"] for sitting in done] == ["slurm threads in 3 jobs"]
    assert not list((folder / "run" / "cluster").rglob("*.pem"))  # no key is left


def test_a_controller_that_is_killed_leaves_no_job_and_is_resumed_by_the_same_command(
    slurm: Site, tmp_path: Path, truth: workflow.Run
) -> None:
    folder = prepared(tmp_path)
    submit(slurm, folder)
    until(lambda: blocks(folder), "no worker began", folder)
    run = controller(folder)
    for process in (run.parent(), run):  # its shell too, which would take its jobs back
        assert process is not None
        process.kill()
    until(is_over(slurm), "jobs are left behind", folder)
    before = blocks(folder)
    assert before < 3 * DRAWS // 64
    submit(slurm, folder)
    until(is_over(slurm), "the resumed run does not end", folder)
    same(folder, truth)


def test_jobs_that_wait_in_the_queue_go_with_a_run_that_is_killed(
    slurm: Site, tmp_path: Path
) -> None:
    """They have no scheduler whose absence could end them."""
    folder = prepared(tmp_path, PROFILE.replace("workers = 3", "workers = 6"))
    submit(slurm, folder)
    until(lambda: blocks(folder), "no worker began", folder)
    waiting = [n for n, name, state in slurm.jobs() if "worker" in name and state == "PENDING"]
    assert len(waiting) >= 3
    controller(folder).kill()
    until(is_over(slurm), "jobs are left behind", folder, DEATH_TIMEOUT / 2)
    assert blocks(folder) < 3 * DRAWS // 64


def test_a_worker_retires_before_its_walltime_and_no_stranger_gets_in_meanwhile(
    slurm: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is far longer than the walltime of its only worker, and is cancelled at the end."""
    short = PROFILE.replace("workers = 3", "workers = 1").replace("00:10:00", "00:02:00", 1)
    folder = prepared(tmp_path, short, CONFIG.replace(str(DRAWS), "2000000"))
    number = submit(slurm, folder)
    until(lambda: blocks(folder), "no worker began", folder)
    (first,) = workers(slurm)

    log = next((folder / "run" / "logs").glob(f"footfall-worker-*-{first}.err"))
    address = re.search(r"Registered to: +(tls://\S+)", log.read_text())
    assert address
    keys = [str(next(folder.rglob(name))) for name in ("ca.pem", "worker.pem", "worker-key.pem")]
    ours = Security(
        tls_ca_file=keys[0], tls_client_cert=keys[1], tls_client_key=keys[2],
        require_encryption=True,
    )  # fmt: skip
    with Client(address[1], security=ours, set_as_default=False) as client:
        assert client.nthreads()
    monkeypatch.setattr("engine.clusters.address.CONNECTING", "3s")
    strangers = certificates(tmp_path / "theirs")
    for stranger in (
        Address(address[1], **strangers),  # type: ignore[arg-type]
        Address(address[1].replace("tls://", "tcp://")),
    ):
        with pytest.raises(StoppedError, match="no scheduler answers"), connect(stranger):
            pytest.fail("a stranger was let in")

    until(lambda: set(workers(slurm)) - {first}, "no worker takes its place", folder, 130)
    assert "Reason: worker-lifetime-reached" in log.read_text()
    told = slurm.ask("scontrol", "show", "job", first)
    assert "JobState=TIMEOUT" not in told
    ran = re.search(r"RunTime=00:(\d\d):(\d\d)", told)
    assert ran
    assert 60 <= 60 * int(ran[1]) + int(ran[2]) < 120
    before = blocks(folder)
    until(lambda: blocks(folder) > before, "the run does not go on", folder)
    assert footfall(slurm, "logs", folder / "run").stdout.startswith("no block has failed\n")
    slurm.ask("scancel", number)
    until(is_over(slurm), "jobs are left behind", folder)


def test_a_controller_at_its_walltime_goes_back_into_the_queue_and_resumes(
    slurm: Site, tmp_path: Path, truth: workflow.Run
) -> None:
    """The run is far longer than its walltime; what it has drawn is what the short run drew."""
    short = PROFILE.replace('[controller]\nwalltime = "00:10:00"', "").replace(
        'interface = "lo"', 'interface = "lo"\n[controller]\nwalltime = "00:02:00"\ngrace = 20'
    )
    folder = prepared(tmp_path, short, CONFIG.replace(str(DRAWS), "400000"))
    number = submit(slurm, folder)
    until(lambda: blocks(folder), "no worker began", folder)

    def restarted() -> bool:
        return "Restarts=1" in slurm.ask("scontrol", "show", "job", number)

    until(restarted, "the controller is not put back into the queue", folder)
    before = blocks(folder)
    until(lambda: blocks(folder) > before, "the controller does not go on", folder)
    slurm.ask("scancel", number)
    until(is_over(slurm), "jobs are left behind", folder)
    log = (folder / "run" / "logs" / f"controller-{number}.log").read_text()
    assert "told to stop; finished blocks are safe" in log
    ours, theirs = (
        {block: entry.checksum for block, entry in open_ensemble(path).ledger.entries().items()}
        for path in (folder / "run" / "base", truth.folder / "base")
    )
    # Cancelled by the user, it does not go back into the queue.
    assert "JobState=CANCELLED" in slurm.ask("scontrol", "show", "job", number)
    common = ours.keys() & theirs.keys()
    assert len(common) >= 32
    assert all(ours[block] == theirs[block] for block in common)


def test_one_allocation_that_is_preempted_goes_on(
    slurm: Site, tmp_path: Path, truth: workflow.Run
) -> None:
    """A job that is preempted is put back into the queue by SLURM, as `scontrol requeue` does."""
    folder = prepared(tmp_path, ALLOCATION)
    number = submit(slurm, folder)
    until(lambda: blocks(folder), "no worker began", folder)
    slurm.ask("scontrol", "requeue", number)
    until(is_over(slurm), "the run does not end", folder)
    same(folder, truth)
    assert "Restarts=1" in slurm.ask("scontrol", "show", "job", number)


def test_workers_that_cannot_start_stop_the_run_and_say_why(
    slurm: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
    spec = Batch(
        System.SLURM, workers=1, cores=1, memory="800MB", walltime="00:05:00", interface="lo",
        python="/no/such/python",
    )  # fmt: skip
    with (
        pytest.raises(PlanError, match=r"has ever connected[\s\S]*code 127[\s\S]*/no/such/python"),
        connect(spec, tmp_path / "run") as cluster,
    ):
        list(cluster.map_unordered(abs, range(3)))
    until(is_over(slurm), "jobs are left behind", tmp_path)
