"""The command line as a user meets it: what it prints, what it returns, never a traceback."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from configs import SMALL, footfall, said, written


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_check_to_report(here: Path) -> None:
    config = str(written(here, SMALL.replace("draws = 448", "draws = 100")))
    checked = said("check", config)
    assert "SYNTHETIC" in checked
    assert "of eps" in checked
    assert "final demand Y: taken as exact" in checked
    assert checked.endswith("nothing stands in the way of a run\n")
    assert "memory, peak" in said("plan", config)
    ran = said("run", config, "--executor", "serial")
    assert "100 draws are rounded up to 128, whole blocks of 64" in ran
    assert "complete: runs/small" in ran
    assert "base: 6 of 6 blocks of 64 draws done" in said("status", config)
    assert "verified" in said("status", "runs/small", "--verify")
    text = said("detect", config)
    assert text.startswith("SYNTHETIC data. a small random world")
    assert "R0, S0" in text
    assert "domestic" not in text
    assert "domestic" in said("detect", config, "--all-parts")
    rows = list(csv.DictReader(io.StringIO(said("detect", config, "--format", "csv"))))
    same = json.loads(said("detect", config, "--format", "json"))["changes"]
    assert len(rows) == len(same) == 3 * 2 * 4
    assert float(rows[0]["sigma"]) == same[0]["sigma"]
    page = said("report", config).removeprefix("report: ").strip()
    assert "SYNTHETIC" in Path(page).read_text()


def test_alpha_and_power_may_be_overridden(here: Path) -> None:
    config = str(written(here, SMALL))
    said("run", config, "--executor", "serial", "--draws", "64")
    narrow, wide = (
        json.loads(said("detect", config, "--format", "json", "--alpha", alpha))["changes"][0]
        for alpha in ("0.10", "0.01")
    )
    assert narrow["mdc"] < wide["mdc"]
    assert narrow["sigma"] == wide["sigma"]
    strict = json.loads(said("detect", config, "--format", "json", "--power", "0.95"))["changes"][0]
    assert strict["mdc"] > narrow["mdc"]
    assert footfall("detect", config, "--alpha", "5").exit_code == 2


def test_one_year_has_levels_and_no_changes(here: Path) -> None:
    config = str(written(here, SMALL.replace("[2000, 2001, 2002]", "[2000]")))
    said("run", config, "--executor", "serial", "--draws", "64")
    result = footfall("detect", config)
    assert result.exit_code == 2
    assert "one year" in result.output
    assert "report.html" in said("report", config)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("run", "absent.toml"), 2, "there is no such file"),
        (("check", "small.toml"), 2, "has no region Atlantis"),
        (("run", "small.toml"), 2, "has no region Atlantis"),
        (("detect", "runs/none"), 1, "holds no run"),
        (("report", "runs/none"), 1, "holds no run"),
        (("status", "runs/none"), 1, "holds no run"),
    ],
)
def test_errors_are_one_message_with_a_remedy(
    here: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    written(here, SMALL.replace('consumers = ["R0", "pair"]', 'consumers = ["Atlantis"]'))
    result = footfall(*words)
    assert result.exit_code == code
    assert message in result.output
    assert "remedy:" in result.output
    assert "Traceback" not in result.output
    assert not os.path.exists("runs") or not list(Path("runs").rglob("*.zarr"))


def test_unknown_scenarios_are_named(here: Path) -> None:
    config = str(written(here, SMALL))
    said("run", config, "--executor", "serial", "--draws", "64")
    for verb in ("detect", "report"):
        result = footfall(verb, config, "--scenario", "worst")
        assert result.exit_code == 1
        assert "it has base" in result.output


def test_a_damaged_block_is_one_message(here: Path) -> None:
    config = str(written(here, SMALL))
    said("run", config, "--executor", "serial", "--draws", "64")
    chunk = next(iter(Path("runs/small/base/ensemble.zarr/footprint").glob("c.*")))
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    for verb in ("detect", "report"):
        result = footfall(verb, config)
        assert result.exit_code == 1
        assert "a block is damaged" in result.output
        assert "footfall status --verify" in result.output


def test_a_folder_that_cannot_be_made_is_one_message(here: Path) -> None:
    config = str(written(here, SMALL))
    (here / "file").write_text("in the way")
    result = footfall("run", config, "--executor", "serial", "--output", "file/run")
    assert result.exit_code == 1
    assert "remedy:" in result.output


def test_check_names_what_a_configuration_may_name(here: Path) -> None:
    checked = said("check", str(written(here, SMALL.replace("rsd = 0.1", "rsd = 5"))))
    assert "regions: R0, R1, R2" in checked
    assert "sectors: P0, P1" in checked
    assert "sizes are fractions" in checked


_TOLD_TWICE = """
import time
from engine.cli import _speaks_plainly

@_speaks_plainly
def verb():
    try:
        print("at work", flush=True)
        time.sleep(60)
    finally:
        time.sleep(0.5)
        print("in order", flush=True)

verb()
"""


def test_being_told_twice_to_end_breaks_nothing_off() -> None:
    """A batch system tells the process, and the job's script tells it again at once."""
    process = subprocess.Popen(
        [sys.executable, "-c", _TOLD_TWICE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    for _ in range(3):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.005)
    told, complained = process.communicate(timeout=60)
    assert told == "in order\n"
    assert "Traceback" not in complained
    assert "finished blocks are safe" in complained
    assert process.returncode == 75


def test_more_workers_than_cores_are_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    config = str(written(here, SMALL))
    for words in (("--workers", "3"), ("--workers", "64", "--executor", "processes")):
        for verb in ("plan", "run"):
            done = footfall(verb, config, *words)
            assert done.exit_code == 2
            assert f"{words[1]} workers are more than the 2 cores" in done.output
    assert "on 2 threads" in said("plan", config, "--workers", "2")
    assert not (here / "runs").exists()


def test_what_the_operating_system_refuses_is_no_traceback(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "/elsewhere/keys")

    monkeypatch.setattr("engine.workflow.status", refused)
    done = footfall("status", "x")
    assert done.exit_code == 1
    assert "footfall: /elsewhere/keys: Read-only file system\n  remedy: " in done.output
    assert isinstance(done.exception, SystemExit)
