"""Jobs of a batch system that are refused, end at once or cannot be asked for.

Stand-ins for SLURM's commands, which are run for real in test_slurm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import dask
import pytest
from distributed.core import Status

from configs import SMALL, written
from engine import workflow
from engine.clusters import Batch, System, allocation, connect, executing, with_site_defaults
from engine.clusters import batch as jobs
from engine.clusters.batch import is_log_of, job_name
from engine.clusters.keys import keys_for_this_run
from engine.clusters.queues import send, state
from engine.config import load_config
from engine.errors import ConfigError, LockedError, PlanError
from engine.runs import sitting
from engine.stores.lock import held

SPEC = Batch(
    System.SLURM, workers=2, cores=1, memory="1GB", walltime="00:10:00", interface="lo",
    encrypted=False,
)  # fmt: skip
Tools = Callable[..., None]


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tools]:
    """Commands that do what a line of shell says, and no others."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(jobs, "_LOOK", 0.1)
    monkeypatch.setattr(executing, "_TICK", 0.05)

    def put(**commands: str) -> None:
        for name, line in commands.items():
            (folder / name).write_text(f"#!/bin/sh\n{line}\n")
            (folder / name).chmod(0o755)

    with dask.config.set({"distributed.adaptive.interval": "50ms"}):
        yield put


def draw(folder: Path) -> None:
    with connect(SPEC, folder / "run") as cluster:
        list(cluster.map_unordered(abs, range(3)))


def test_without_the_commands_nothing_is_started(tools: Tools, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no `sbatch` here"):
        draw(tmp_path)
    tools(sbatch="echo 17")
    with pytest.raises(ConfigError, match="there is no `squeue` here"):
        draw(tmp_path)


def test_jobs_that_are_refused_stop_the_run_with_the_words_of_the_refusal(
    tools: Tools, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = "sbatch: error: invalid partition specified: mian"
    tools(sbatch=f"echo '{words}' >&2; exit 1", squeue="", scancel="")
    with pytest.raises(PlanError, match=f"no worker has ever connected; 6 jobs.*{words}") as why:
        draw(tmp_path)
    assert why.value.exit_code == 2  # not put back into the queue, where it would fail again
    assert [record.getMessage() for record in caplog.records if words in record.getMessage()]


def test_one_refusal_is_not_the_end(tools: Tools, tmp_path: Path) -> None:
    """The job is sent again; here in vain, for what is sent then ends at once."""
    (tmp_path / "busy").touch()
    tools(
        sbatch=f"if /bin/rm {tmp_path}/busy 2>/dev/null; then exit 1; fi\n"
        f"echo x >> {tmp_path}/sent; echo Submitted batch job 17",
        squeue="", scancel="", scontrol="echo JobState=FAILED ExitCode=127:0",
    )  # fmt: skip
    with pytest.raises(PlanError, match=r"jobs ended before.*job 17: FAILED, exit code 127"):
        draw(tmp_path)
    assert not (tmp_path / "busy").exists()
    assert len((tmp_path / "sent").read_text().splitlines()) >= 5


def test_while_a_job_waits_in_the_queue_failures_of_others_are_not_the_end(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site may let its user have fewer jobs than there are workers, or a node be broken."""
    monkeypatch.setattr(jobs, "_LOOK", 0.05)
    tools(
        sbatch=f"echo x >> {tmp_path}/sent\n"
        f"[ $(/usr/bin/wc -l < {tmp_path}/sent) = 1 ] && echo Submitted batch job 17 && exit\n"
        "echo QOSMaxSubmitJobPerUserLimit >&2; exit 1",
        # It is lost only after more refusals than would have been the end.
        squeue=f"[ $(/usr/bin/wc -l < {tmp_path}/sent) -ge 10 ] || echo 17 PENDING",
        scancel="", scontrol="",
    )  # fmt: skip
    with pytest.raises(PlanError, match="jobs were refused or ended at once"):
        draw(tmp_path)
    assert len((tmp_path / "sent").read_text().splitlines()) >= 10


def test_jobs_that_fail_again_and_again_are_sent_ever_more_rarely(tmp_path: Path) -> None:
    sent_after: list[float] = []

    def call_later(delay: float, forget: Callable[..., None], *given: object) -> None:
        sent_after.append(delay)
        forget(*given)

    loop = SimpleNamespace(add_callback=lambda call, *given: call(*given), call_later=call_later)
    cluster = SimpleNamespace(workers={}, worker_spec={}, loop=loop, scheduler_info={"workers": {}})
    watch = jobs._Jobs(cluster, SPEC, tmp_path, "x")
    for _ in range(20):
        refused: Any = SimpleNamespace(status=Status.running, refusal="a limit", job_id=None)
        cluster.workers = {
            0: refused,
            1: SimpleNamespace(status=Status.running, refusal="", job_id="17"),
        }
        for _ in range(2):  # a job that failed counts once
            watch._judge({0: refused, 1: cluster.workers[1]}, {"17"})
        assert list(cluster.workers) == [1]
        assert watch.hopeless(0) == ""
    assert sent_after == [
        min(jobs._LOOK * 2 ** (failed // 2), jobs._RARELY) for failed in range(20)
    ]
    watch._judge({}, set())
    assert "20 jobs were refused" in watch.hopeless(0)


def test_what_fails_while_workers_are_connected_is_no_fault_of_the_profile(
    tools: Tools, tmp_path: Path
) -> None:
    tools(sbatch="exit 1", squeue="", scancel="")
    with pytest.raises(ValueError, match="of another room"), connect(SPEC, tmp_path / "run"):
        raise ValueError("of another room")


def test_a_run_cancels_what_an_earlier_one_left_and_no_other_job(
    tools: Tools, tmp_path: Path
) -> None:
    name, other = job_name(tmp_path / "run"), job_name(tmp_path / "other")
    listed = f"5 {name}-sa\n6 {other}-sa\n7 {name}-sb\n8 x\n"
    (tmp_path / "listed").write_text(listed)
    tools(
        sbatch="exit 1", scancel=f"echo $* >> {tmp_path}/cancelled",
        squeue=f'case "$*" in *%j*) /bin/cat {tmp_path}/listed;; esac',
    )  # fmt: skip
    with connect(SPEC, tmp_path / "run"):
        assert (tmp_path / "cancelled").read_text() == "5 7\n"


def test_jobs_of_two_sittings_have_two_names(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A controller's script tells the one by which it takes them back."""
    tools(sbatch=f"/usr/bin/grep -h -e '-J' $1 >> {tmp_path}/names; exit 1", squeue="", scancel="")
    for mark in (None, None, "s123"):
        if mark is not None:
            monkeypatch.setenv("FOOTFALL_SITTING", mark)
        with pytest.raises(PlanError):
            draw(tmp_path)
    names = set((tmp_path / "names").read_text().split()) - {"#SBATCH", "-J"}
    run = job_name(tmp_path / "run")
    assert len(names) == 3
    assert f"{run}-s123" in names
    assert all(name.startswith(f"{run}-s") for name in names)


def test_a_run_removes_no_keys_of_the_one_that_took_it_over(tmp_path: Path) -> None:
    def keys() -> list[Path]:
        return sorted(tmp_path.rglob("*.pem"))

    loser = keys_for_this_run(tmp_path)
    loser.__enter__()
    lost = keys()
    with keys_for_this_run(tmp_path) as winner:
        present = keys()
        assert len(lost) == len(present) == 3
        assert not set(lost) & set(present)  # whoever holds the folder removes what is left there
        assert str(winner.tls_worker_key) in map(str, present)
        assert {path.stat().st_mode & 0o777 for path in present} == {0o600}
        assert present[0].parent.stat().st_mode & 0o777 == 0o700
        loser.__exit__(None, None, None)
        assert keys() == present
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_taken_over_stops_though_no_worker_ever_comes(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.runs.held", partial(held, heartbeat=0.1))
    tools(
        sbatch=f"echo x >> {tmp_path}/sent; echo Submitted batch job 17",
        squeue=f'case "$*" in *%j*) ;; *) echo 17 PENDING; echo x >> {tmp_path}/asked;; esac',
        scancel=f"echo $* >> {tmp_path}/cancelled",
    )

    def take_over() -> None:
        while not (tmp_path / "asked").exists():
            time.sleep(0.05)
        (tmp_path / "run" / "lock-000002.json").write_text("")

    taker = Thread(target=take_over)
    taker.start()
    with pytest.raises(LockedError, match="was taken over"):
        workflow.run(load_config(written(tmp_path, SMALL)), tmp_path / "run", cluster=SPEC)
    taker.join()
    assert "17" in (tmp_path / "cancelled").read_text().split()  # its own jobs go with it


def test_a_run_that_was_taken_over_before_it_connects_leaves_the_others_jobs_alone(
    tools: Tools, tmp_path: Path
) -> None:
    tools(sbatch="exit 1", squeue="echo 5 x", scancel=f"echo $* >> {tmp_path}/cancelled")
    with sitting(tmp_path, SPEC) as here:
        (tmp_path / "lock-000002.json").write_text("")
        with pytest.raises(LockedError, match="was taken over"):
            here.workers()
    assert not (tmp_path / "cancelled").exists()
    assert not (tmp_path / "cluster").exists()


def test_a_queue_that_does_not_answer_says_nothing_of_its_jobs(
    tools: Tools, tmp_path: Path
) -> None:
    """Jobs count as ended once the queue has answered; it does at the fifth time."""
    tools(
        sbatch="echo Submitted batch job 17", scancel="", scontrol="",
        squeue=f"echo x >> {tmp_path}/asked; [ $(/usr/bin/wc -l < {tmp_path}/asked) -ge 5 ]",
    )  # fmt: skip
    with pytest.raises(PlanError, match="6 jobs ended before"):
        draw(tmp_path)
    assert len((tmp_path / "asked").read_text().splitlines()) >= 7


@pytest.mark.parametrize(
    ("said", "is_over"),
    [
        ("echo RUNNING", False),
        ("echo PREEMPTED", True),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", True),
        ("", True),
    ],
)
def test_what_a_queue_says_of_a_job(tools: Tools, said: str, is_over: bool) -> None:
    tools(squeue=said)
    assert (state(System.SLURM, "17") == "") == is_over


@pytest.mark.parametrize(
    "said", ["Unable to contact slurm controller (connect failure)", "Socket timed out"]
)
def test_a_queue_that_does_not_answer_is_no_end_of_a_job(tools: Tools, said: str) -> None:
    tools(squeue=f"echo 'slurm_load_jobs error: {said}' >&2; exit 1")
    with pytest.raises(ConfigError, match="refuses"):
        state(System.SLURM, "17")


@pytest.mark.parametrize(
    ("system", "command", "said"),
    [
        (System.PBS, "qstat", "qstat: Unknown Job Id 17.server"),
        (System.PBS, "qstat", "qstat: 17.server Job has finished, use -x or -H"),
        (System.LSF, "bjobs", "Job <17> is not found"),
        (System.SGE, "qstat", "Following jobs do not exist: 17"),
    ],
)
def test_how_other_systems_say_that_a_job_is_over(
    tools: Tools, system: System, command: str, said: str
) -> None:
    tools(**{command: f"echo '{said}' >&2; exit 1"})
    assert state(system, "17") == ""
    tools(**{command: "echo cannot connect to server >&2; exit 1"})
    with pytest.raises(ConfigError):
        state(system, "17")


def test_lsf_is_sent_the_script_and_no_command(tools: Tools, tmp_path: Path) -> None:
    """Given a command, it would not read the directives of its input."""
    (tmp_path / "x.sh").write_text("#BSUB -n 1\n")
    tools(bsub='[ $# = 0 ] || exit 1; read line; [ "$line" = "#BSUB -n 1" ] && echo "Job <17>"')
    assert send(System.LSF, tmp_path / "x.sh") == "17"


def test_silence_is_told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    class Patient:
        def __init__(self) -> None:
            self.asked = 0

        def hopeless(self, connected: int) -> str:
            self.asked += 1
            return "enough" if self.asked > 8 else ""

        def why(self, name: str, address: str) -> str:
            return ""

    class Nobody:
        status = "running"

        def nthreads(self) -> dict[str, int]:
            return {}

    monkeypatch.setattr(executing, "_SILENT", 0.05)
    monkeypatch.setattr(executing, "_TICK", 0.02)
    with caplog.at_level(logging.WARNING), pytest.raises(PlanError, match="enough"):
        list(executing.Distributed(Nobody(), 1, "", Patient()).map_unordered(abs, [1]))  # type: ignore[arg-type]
    told = [record for record in caplog.records if "no worker has been" in record.getMessage()]
    assert 1 <= len(told) <= 3  # ever more rarely


def test_logs_are_those_of_one_job() -> None:
    for name in ("footfall-worker-ab-17.err", "footfall-worker-ab.o17", "footfall-worker-ab.e17"):
        assert is_log_of("17", name)
        assert not is_log_of("7", name)
        assert not is_log_of("117", name)
    assert not is_log_of("17", "footfall-worker-ab-117.err")


def test_a_sites_walltime_is_read_as_the_system_reads_it() -> None:
    with dask.config.set({"jobqueue.lsf.walltime": "30:00", "jobqueue.slurm.walltime": "30:00"}):
        hours = with_site_defaults(Batch(System.LSF, cores=1, memory="1GB"))
        assert hours.walltime == "30:00:00"
        with pytest.raises(ConfigError, match=r"jobqueue\.slurm\.walltime.*`30:00` is no walltime"):
            with_site_defaults(Batch(System.SLURM, cores=1, memory="1GB"))


@pytest.mark.parametrize("healthy", [0, 1])
def test_a_broken_node_does_not_stop_an_allocation_whose_others_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, healthy: int
) -> None:
    """What ends at once is started ever more rarely; only where nobody works is that the end."""
    now, starts = [0.0], []

    class Step:
        def __init__(self, command: list[str], **_: object) -> None:
            starts.append(now[0])
            self.poll = {"works": lambda: None, "breaks": lambda: 1}[command[0]]

    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setattr(allocation, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(allocation, "subprocess", SimpleNamespace(Popen=Step, DEVNULL=None))
    steps = allocation._Steps([["breaks"], ["works" if healthy else "breaks"]], tmp_path)
    why = ""
    while not why and now[0] < 3600:
        now[0] += 1.0
        why = steps.hopeless(healthy)
    assert ("as soon as they start" in why) != bool(healthy)
    assert (30 < now[0] < 300) != bool(healthy)
    assert len(starts) < 70  # in an hour: once a minute, at last
