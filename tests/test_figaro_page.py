"""docs/figaro.md leads from a download to a verdict: its commands run, and print what it shows."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from test_tutorial import ROOT, blocks, on_path

PAGE = ROOT / "docs" / "figaro.md"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_page_leads_from_files_to_verdicts(tmp_path: Path) -> None:
    environment = on_path(tmp_path / "bin") | {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
    }
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    said, shown = "", []
    for language, text in blocks(PAGE.read_text()):
        if language == "text":
            shown += text.splitlines()
            continue
        assert language == "sh", text
        done = subprocess.run(
            ["sh", "-eu", "-c", text], cwd=tmp_path, env=environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        said += done.stdout
    for line in shown:
        assert re.search(re.escape(line).replace(re.escape("..."), ".+"), said), line
    verdicts = re.findall(r"^ *(NL|EU27_2020)\b.*(decrease|increase|not detectable)", said, re.M)
    assert {consumer for consumer, _ in verdicts} == {"NL", "EU27_2020"}
    assert (tmp_path / "runs" / "figaro" / "report-base" / "report.html").is_file()
