"""The runbook's commands are carried out in order, as a user would from a checkout."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import slurm_site
from test_tutorial import on_path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "runbook.md"
_BLOCK = re.compile(r"^```(\w+)( cluster)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ~/(\S+)\n")  # the first line of a file that the user writes
ENDED = ": ended"


def carried_out(text: str, folder: Path, environment: Mapping[str, str]) -> str:
    """What a block of the page prints; none of its commands may fail."""
    done = subprocess.run(
        ["sh", "-eu", "-c", text], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.timeout(300)
def test_the_runbook_runs(tmp_path: Path) -> None:
    """Blocks of `sh` run anywhere; those of `sh cluster` below."""
    environment, said = on_path(tmp_path / "bin"), ""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for language, cluster, text in _BLOCK.findall(PAGE.read_text()):
        if language == "sh" and not cluster:
            said += carried_out(text, tmp_path, environment)
    assert "#SBATCH --requeue" in said
    assert "complete: runs/try" in said
    assert "verified: every finished block" in said


@pytest.mark.slurm
@pytest.mark.slow
@pytest.mark.timeout(480)
def test_a_new_user_reaches_a_finished_slurm_run_with_the_runbook_alone(tmp_path: Path) -> None:
    """Every block of sections 2 and 3, in order, from the page's own text and the shipped files.

    Two things are this machine's: the installation, and its only network, `lo`.
    """
    why = slurm_site.missing()
    if why:
        pytest.skip(why)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    page = PAGE.read_text()
    page = page[page.index("\n## 2.") : page.index("\n## What happens by itself")]
    said: list[str] = []
    with slurm_site.site(tmp_path / "slurm") as site:
        environment = on_path(tmp_path / "bin") | {
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
            "SLURM_CONF": site.environment["SLURM_CONF"],
        }
        for language, cluster, text in _BLOCK.findall(page):
            named = _FILE.match(text)
            if language == "yaml" and named:
                path = tmp_path / named[1]
                path.parent.mkdir(parents=True)
                path.write_text(text.replace("ib0", "lo"))
                continue
            assert language == "sh", text
            said.append(carried_out(text, tmp_path, environment))
            if cluster and "submit" in text:
                (look,) = (line for line in text.splitlines() if "footfall status" in line)
                finished(look, tmp_path, environment)
        left = site.jobs()
    shown, sent, found = said[-3:]
    assert "#SBATCH --requeue" in shown
    for line in (
        "--account=my-project",
        "-A my-project",
    ):  # what the profile leaves out is the site's
        assert f"#SBATCH {line}\n" in shown
    assert "submitted: slurm job" in sent
    assert "no block has failed" in sent
    assert "NLD" in found
    assert "report: runs/laptop/report-base/report.html" in found
    assert (tmp_path / "runs" / "laptop" / "report-base" / "report.html").is_file()
    assert left == []


def finished(look: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Follow the run, as the page says, until its controller has ended and every block is there."""
    ends = time.monotonic() + 300
    while ENDED not in (told := carried_out(look, folder, environment)):
        assert time.monotonic() < ends, told
        time.sleep(2)
    blocks = re.search(r"base: (\d+) of (\d+) blocks", told)
    assert blocks, told
    assert blocks[1] == blocks[2], told
