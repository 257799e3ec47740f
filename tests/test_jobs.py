"""Jobs of a batch system that are refused, end at once or cannot be asked for.

Stand-ins for SLURM's commands, which are run for real in test_slurm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import dask
import pytest

from engine.clusters import Batch, System, allocation, connect, executing, with_site_defaults
from engine.clusters import batch as jobs
from engine.clusters.batch import is_log_of
from engine.clusters.queues import send, state
from engine.errors import ConfigError, PlanError

SPEC = Batch(
    System.SLURM, workers=2, cores=1, memory="1GB", walltime="00:10:00", interface="lo",
    encrypted=False,
)  # fmt: skip
Tools = Callable[..., None]


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """Commands that do what a line of shell says, and no others."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(jobs, "_LOOK", 0.2)

    def put(**commands: str) -> None:
        for name, line in commands.items():
            (folder / name).write_text(f"#!/bin/sh\n{line}\n")
            (folder / name).chmod(0o755)

    return put


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
