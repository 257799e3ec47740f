"""Submissions: what is refused before anything is sent, what is known of one, and from where.

Stand-ins for SLURM's commands, which are run for real in test_slurm and test_runbook.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import dask
import pytest
from click.testing import CliRunner, Result
from test_profiles import script_of

from configs import SERIAL, SMALL, written
from engine import workflow
from engine.cli import main
from engine.clusters import submitted
from engine.config import load_config
from engine.stores.places import place

PROFILE = """
system = "slurm"
cores = 1
memory = "2GB"

[controller]
memory = "2GB"
"""


@dataclass(frozen=True)
class Slurm:
    """Scripts in the place of SLURM's commands, and what they answer."""

    folder: Path

    def answers(self, command: str, script: str) -> None:
        path = self.folder / command
        path.write_text(f"#!/bin/sh\ncd {self.folder}\n{script}\n")
        path.chmod(0o755)

    def state(self, word: str) -> None:
        """Of every job that was sent; empty for one that SLURM no longer knows."""
        known = f'case "$*" in *%i*) echo "17 {word}";; *) echo {word};; esac'
        gone = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"
        self.answers("squeue", known if word else f'case "$*" in *%i*) ;; *) {gone};; esac')

    def called(self, name: str) -> None:
        self.answers(
            "scontrol",
            f'case "$*" in *config) echo "ClusterName             = {name}";; '
            '*17) echo "JobState=FAILED Reason=None ExitCode=2:0 NodeList=n1 RunTime=00:00:03";; '
            "esac",
        )

    @property
    def sent(self) -> int:
        """How many jobs were."""
        try:
            return len((self.folder / "sent").read_text().splitlines())
        except FileNotFoundError:
            return 0


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    found = Slurm(tools)
    found.answers("sbatch", "echo sent >> sent; echo 17")
    found.state("PENDING")
    found.called("alpha")
    return found


def submit(folder: Path, *words: str, config: str = SMALL, profile: str = PROFILE) -> Result:
    paths = written(folder, config), written(folder, profile, "profile.toml")
    arguments = ["submit", str(paths[0]), "--cluster", str(paths[1]), *words]
    return CliRunner().invoke(main, arguments)


def said(*words: str) -> str:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.output
    return done.output


# --- what becomes of it --------------------------------------------------------------------------


def test_a_run_that_was_submitted_is_told_of_before_it_has_drawn_anything(
    tmp_path: Path, slurm: Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = submit(tmp_path, "--output", "run")
    assert done.exit_code == 0, done.output
    assert "planned: 448 draws" in done.output
    assert "submitted: slurm job 17" in done.output
    log = tmp_path / "run" / "logs" / "controller-17.log"
    assert f"log:       {log}" in done.output
    log.write_text("footfall: no such table\n  remedy: mend it\n")
    monkeypatch.chdir("/")
    for told in (said("status", f"{tmp_path}/run"), said("logs", f"{tmp_path}/run")):
        assert "footfall run" not in told  # which would start it here
    told = said("status", f"{tmp_path}/run")
    assert "slurm job 17, sent" in told
    assert "PENDING" in told
    assert "no such table" not in told
    slurm.state("")
    for verb in ("status", "logs"):
        told = said(verb, f"{tmp_path}/run")
        assert "job 17: FAILED, exit code 2, on n1" in told
        assert "remedy: mend it" in told
    assert "ended" in said("status", f"{tmp_path}/run")
    assert submit(tmp_path, "--output", "run").exit_code == 0
    assert slurm.sent == 2


def test_of_a_complete_run_no_last_words_are_told(tmp_path: Path, slurm: Slurm) -> None:
    assert submit(tmp_path, "--output", "run").exit_code == 0
    (tmp_path / "run" / "logs" / "controller-17.log").write_text("complete: run\n")
    workflow.run(load_config(tmp_path / "small.toml"), tmp_path / "run", cluster=SERIAL)
    slurm.state("")
    assert "complete" not in said("status", "run")
    assert said("logs", "run") == "no block has failed\n"


def test_one_controller_at_a_time(tmp_path: Path, slurm: Slurm) -> None:
    refused = CliRunner().invoke(main, ["status", str(tmp_path / "run")])
    assert refused.exit_code == 1
    assert "holds no run" in refused.output
    assert submit(tmp_path, "--output", "run").exit_code == 0
    again = submit(tmp_path, "--output", "run")
    assert again.exit_code == 1
    assert "slurm job 17, sent" in again.output
    assert "is PENDING and works on this run" in again.output
    assert slurm.sent == 1


def test_of_two_submits_at_once_one_sends(tmp_path: Path, slurm: Slurm) -> None:
    slurm.answers("sbatch", "sleep 0.5; echo sent >> sent; echo 17")
    config = load_config(written(tmp_path, SMALL))
    profile = written(tmp_path, PROFILE, "profile.toml")

    def send(_: int) -> str:
        from engine.config import load_profile

        try:
            return "\n".join(workflow.submit_run(config, load_profile(profile), profile, "run"))
        except Exception as error:
            return str(error)

    with ThreadPoolExecutor(2) as threads:
        told = sorted(threads.map(send, range(2)), key=len)
    assert slurm.sent == 1
    assert sum("submitted: slurm job 17" in one for one in told) == 1
    assert sum("works on this run" in one for one in told) == 1


def test_a_job_whose_number_got_lost_is_found_by_its_name(tmp_path: Path, slurm: Slurm) -> None:
    slurm.answers("sbatch", "echo sent >> sent; echo 'Socket timed out' >&2; exit 1")
    lost = submit(tmp_path, "--output", "run")
    assert lost.exit_code == 2
    sent = submitted(tmp_path / "run")
    assert sent is not None
    assert sent.job == ""
    slurm.answers("squeue", f'case "$*" in *"--name={sent.name}"*) echo "17 RUNNING";; esac')
    assert "RUNNING" in said("status", "run")
    again = submit(tmp_path, "--output", "run")
    assert again.exit_code == 1
    assert f"job `{sent.name}`" in again.output
    assert slurm.sent == 1
    slurm.state("")
    assert "refused, or the batch system's answer got lost" in said("status", "run")
    slurm.answers("sbatch", "echo sent >> sent; echo 18")
    assert submit(tmp_path, "--output", "run").exit_code == 0


def test_a_number_means_nothing_on_another_cluster(tmp_path: Path, slurm: Slurm) -> None:
    assert submit(tmp_path, "--output", "run").exit_code == 0
    slurm.called("beta")
    slurm.state("RUNNING")
    told = said("status", "run")
    assert "sent to the cluster `alpha`, and this is `beta`" in told
    assert "RUNNING" not in told
    again = submit(tmp_path, "--output", "run")
    assert again.exit_code == 2
    assert "run/submitted.json" in again.output
    assert "remove this file" in again.output
    (tmp_path / "run" / "submitted.json").unlink()
    assert submit(tmp_path, "--output", "run").exit_code == 0


# --- where it is known ---------------------------------------------------------------------------


@pytest.mark.s3
def test_a_run_in_an_object_store_is_followed_from_anywhere(
    bucket: str,
    tmp_path: Path,
    slurm: Slurm,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = f"{bucket}/runs/x"
    assert submit(tmp_path, "--output", url).exit_code == 0
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    told = said("status", url)
    assert "slurm job 17, sent" in told
    assert "PENDING" in told
    again = submit(tmp_path, "--output", url)
    assert again.exit_code == 1
    assert f"footfall status {url}" in again.output
    slurm.state("")
    assert "ended" in said("status", url)


@pytest.mark.s3
def test_runs_of_one_name_share_neither_jobs_nor_keys(
    bucket: str, tmp_path: Path, slurm: Slurm
) -> None:
    """From one directory, a run on a disk and two in an object store."""
    seen = []
    for run in ("runs/x", f"{bucket}/a/x", f"{bucket}/b/x"):
        shown = submit(tmp_path, "--output", run, "--dry-run").output
        names = [line for line in shown.splitlines() if "job-name=" in line or "#SBATCH -J" in line]
        keys = script_of(shown, "worker").partition("--tls-key ")[2].split()[0]
        assert submit(tmp_path, "--output", run).exit_code == 0
        seen += [*names, keys]
    assert len(seen) == len(set(seen)) == 9
    assert slurm.sent == 3
    for run in ("runs/x", f"{bucket}/a/x", f"{bucket}/b/x"):
        sent = submitted(place(run))
        assert sent is not None
        assert f"--output {run}" in Path(sent.folder, "cluster", "controller.sh").read_text() or (
            run == "runs/x"
        )


# --- what is refused before anything is sent -----------------------------------------------------


def refused_before(result: Result, slurm: Slurm, folder: Path) -> str:
    assert result.exit_code == 2, result.output
    assert slurm.sent == 0
    assert not (folder / "run" / "submitted.json").exists()
    return result.output


@pytest.mark.parametrize(
    ("profile", "named"),
    [
        ('system = "slurm"', "jobqueue.slurm.cores"),
        (PROFILE.replace("cores = 1", 'cores = 1\nqueue = "$(touch bad)"'), "cannot carry"),
        (PROFILE.replace("cores = 1", 'cores = 1\ninterface = "a;b"'), "cannot carry"),
        (PROFILE.replace("cores = 1", 'cores = 1\npython = "a b"'), "cannot carry"),
        (PROFILE.replace("er]", 'er]\nqueue = "$(touch bad)"'), "cannot carry"),
        (PROFILE.replace('memory = "2GB"\n\n', 'memory = "60MB"\n\n'), "a worker of 1 threads"),
        (PROFILE.replace('er]\nmemory = "2GB"', 'er]\nmemory = "60MB"'), "controller.memory"),
        (
            'system = "slurm allocation"\nworkers = 2\nmemory = "60MB"',
            "a worker of 1 threads needs",
        ),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_what_would_stop_it_in_hours_is_refused_now(
    tmp_path: Path, slurm: Slurm, profile: str, named: str, dry: tuple[str, ...]
) -> None:
    done = submit(tmp_path, "--output", "run", *dry, profile=profile)
    assert named in refused_before(done, slurm, tmp_path)
    assert not (tmp_path / "bad").exists()


def test_another_ensemble_is_refused_now(tmp_path: Path, slurm: Slurm) -> None:
    workflow.run(load_config(written(tmp_path, SMALL)), "run", draws=64, cluster=SERIAL)
    for old, new, named in (
        ("seed = 7", "seed = 8", "seed: 7 on disk, 8 asked"),
        ("rsd = 0.2", "rsd = 0.3", "rsd"),
        ('world = "random"', 'world = "random"\nseed = 99', "tables.2000"),
        ("2000, 2001, 2002", "2000, 2001", "years"),
        ("2000, 2001, 2002", "2000, 2001, 2002, 2003", "years"),
    ):
        done = submit(tmp_path, "--output", "run", config=SMALL.replace(old, new))
        assert named in refused_before(done, slurm, tmp_path)
    assert submit(tmp_path, "--output", "run").exit_code == 0  # more draws are welcome


# --- what is sent --------------------------------------------------------------------------------


def controller(folder: Path) -> str:
    text = (folder / "run" / "cluster" / "controller.sh").read_text()
    return next(line for line in text.splitlines() if "engine.cli run" in line)


def test_the_controller_is_run_by_the_profiles_or_the_sites_interpreter(
    tmp_path: Path, slurm: Slurm
) -> None:
    profile = PROFILE.replace("cores = 1", 'cores = 1\npython = "/sw/python"')
    assert submit(tmp_path, "--output", "run", profile=profile).exit_code == 0
    assert controller(tmp_path).startswith("/sw/python -m engine.cli run ")
    slurm.state("")
    with dask.config.set({"jobqueue.slurm.python": "/site/python"}):
        assert submit(tmp_path, "--output", "run").exit_code == 0
    assert controller(tmp_path).startswith("/site/python -m engine.cli run ")


def test_what_is_asked_until_a_tolerance_is_met_goes_with_it(tmp_path: Path, slurm: Slurm) -> None:
    words = ["--draws", "128", "--until-tolerance", "--digits", "2", "--max-draws", "512"]
    done = submit(tmp_path, "--output", "run", *words, "--workers", "3")
    assert done.exit_code == 0, done.output
    assert "planned: 128 draws" in done.output
    assert "in 3 jobs" in done.output
    for word in (
        " ".join(words[:2]),
        "--until-tolerance",
        *map(" ".join, zip(words[3::2], words[4::2], strict=True)),
        "--workers 3",
    ):
        assert word in controller(tmp_path)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--digits", "2"], "belongs to --until-tolerance"),
        (["--until-tolerance", "--max-draws", "64"], "beyond the largest number of draws"),
    ],
)
def test_what_cannot_be_asked_is_refused_now(
    tmp_path: Path, slurm: Slurm, words: list[str], named: str
) -> None:
    assert named in refused_before(submit(tmp_path, "--output", "run", *words), slurm, tmp_path)


def test_the_record_says_what_it_is(tmp_path: Path, slurm: Slurm) -> None:
    assert submit(tmp_path, "--output", "run").exit_code == 0
    record = json.loads((tmp_path / "run" / "submitted.json").read_text())
    assert {name: record[name] for name in ("system", "cluster", "job", "folder")} == {
        "system": "slurm", "cluster": "alpha", "job": "17", "folder": f"{tmp_path}/run",
    }  # fmt: skip
    assert record["name"].startswith("footfall-small-")
