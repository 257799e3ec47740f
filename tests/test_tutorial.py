"""The tutorial runs: its files are written, its commands and programs are carried out in order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tutorial.md"
# A block of TOML begins with the name of its file; all else is run.
FILE = re.compile(r"# file: (\S+)\n")


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of every fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def on_path(folder: Path) -> dict[str, str]:
    """An environment where `footfall` and `python` are this checkout's own."""
    folder.mkdir()
    for name, arguments in (("footfall", "-m engine.cli "), ("python", "")):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
        script.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}


@pytest.mark.timeout(300)
def test_the_tutorial_runs(tmp_path: Path) -> None:
    environment, ran = on_path(tmp_path / "bin"), 0
    for language, text in blocks(PAGE.read_text()):
        if language == "toml":
            named = FILE.match(text)
            assert named, f"a block of TOML without a file:\n{text}"
            (tmp_path / named.group(1)).write_text(text)
            continue
        if language not in ("sh", "python"):
            continue
        command = ["sh", "-eu", "-c", text] if language == "sh" else ["python", "-c", text]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        ran += 1
    assert ran >= 5
    assert (tmp_path / "runs" / "first" / "report-base" / "report.html").is_file()
