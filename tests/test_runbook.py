"""The runbook's commands are carried out in order, as a user would from a checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from test_tutorial import blocks, on_path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "runbook.md"


@pytest.mark.timeout(300)
def test_the_runbook_runs(tmp_path: Path) -> None:
    """Commands in `sh` blocks run anywhere; those that need SLURM are in test_slurm."""
    environment, said = on_path(tmp_path / "bin"), ""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for language, text in blocks(PAGE.read_text()):
        if language != "sh":
            continue
        done = subprocess.run(
            ["sh", "-eu", "-c", text], cwd=tmp_path, env=environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        said += done.stdout
    assert "#SBATCH --requeue" in said
    assert "complete: runs/try" in said
    assert "verified: every finished block" in said
