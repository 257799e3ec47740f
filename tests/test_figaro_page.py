"""docs/figaro.md leads from a download to a verdict: its commands run, and print what it shows."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from test_tutorial import ROOT, blocks, on_path

PAGE = ROOT / "docs" / "figaro.md"


def said(text: str, folder: Path, environment: Mapping[str, str]) -> str:
    """What some commands print; none of them may fail."""
    done = subprocess.run(
        ["sh", "-eu", "-c", text], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_the_page_leads_from_files_to_verdicts(tmp_path: Path) -> None:
    environment = on_path(tmp_path / "bin") | {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
    }
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    told, shown = "", []
    for language, text in blocks(PAGE.read_text()):
        if language == "text":
            shown += text.splitlines()
        else:
            assert language == "sh", text
            told += said(text, tmp_path, environment)
    for line in shown:
        assert re.search(re.escape(line).replace(re.escape("..."), ".+"), told), line
    found = said("footfall detect runs/figaro --format csv", tmp_path, environment)
    rows = [row for row in csv.DictReader(io.StringIO(found)) if row["part"] == "total"]
    assert {row["consumer"] for row in rows} == {"NL", "EU27_2020"}
    assert {row["verdict"] for row in rows} <= {"decrease", "increase", "not detectable"}
    assert (tmp_path / "runs" / "figaro" / "report-base" / "report.html").is_file()
