"""Runs to which bad things happen end as if nothing had, and what says so would notice."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.chaos import faults
from benchmarks.chaos.events import IN_OBJECTS, ON_DISK
from benchmarks.chaos.faults import CONTROLLER, WORKER, Fault
from benchmarks.chaos.judging import Truth, judged, looked_at, partial_left
from benchmarks.chaos.places import fill_up
from benchmarks.chaos.processes import Seen
from configs import SERIAL, SMALL, loaded
from engine import workflow
from engine.plan import Block

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("on", "kinds"),
    [
        ("disk", [*ON_DISK]),
        pytest.param("s3", [*(IN_OBJECTS.keys() - ON_DISK.keys())], marks=pytest.mark.s3),
    ],
)
def test_every_kind_of_event_once(on: str, kinds: list[str], tmp_path: Path) -> None:
    """`scripts/chaos` with a small run; the 200 events of the command take longer."""
    file = tmp_path / "chaos.json"
    asked = ["--events", str(len(kinds)), "--on", on, "--draws", "768", "--output", str(file)]
    asked += [word for kind in kinds for word in ("--only", kind)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.chaos", *asked],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(file.read_text())
    assert {row["kind"] for row in told["kinds"]} == set(kinds)
    for row in told["kinds"]:
        assert (row["events"], row["lost"], row["wrong"], row["faults"]) == (1, 0, 0, 0)
    if on == "disk":
        recomputed = {row["kind"]: row["recomputed"] for row in told["kinds"]}
        assert 1 <= recomputed["torn ledger entry"] <= 3
        assert recomputed["leftovers"] == recomputed["controller killed"] == 0


@pytest.fixture
def run(tmp_path: Path) -> workflow.Run:
    fewer = (("years = [2000, 2001, 2002]", "years = [2000, 2001]"), ("draws = 448", "draws = 128"))
    return workflow.run(loaded(tmp_path, SMALL, *fewer), tmp_path / "run", cluster=SERIAL)


def test_lost_and_wrong_blocks_are_counted(run: workflow.Run) -> None:
    folder = str(run.folder)
    truth = Truth(*looked_at(folder), "", 0.0)
    found = judged(folder, truth)
    assert (found.lost, found.wrong, found.faults) == (0, 0, ())
    assert isinstance(run.folder, Path)
    ledger = run.folder / "base" / "ledger"
    first, *_ = sorted(ledger.glob("*.json"))
    entry = json.loads(first.read_text())
    first.write_text(json.dumps({**entry, "checksum": "another"}))
    assert judged(folder, truth).wrong == 1
    first.write_text(json.dumps(entry))
    more = {**truth.checksums, Block(2002, 0, 64): "of a block that is nowhere"}
    assert judged(folder, replace(truth, checksums=more)).lost == 1
    (run.folder / "base" / "tables-00aa").mkdir()
    assert judged(folder, truth).faults == ("tables-00aa is left behind",)


def test_a_number_that_differs_is_wrong_whatever_the_ledger_says(run: workflow.Run) -> None:
    arrays, checksums = looked_at(str(run.folder))
    other = {**arrays, "footprint": b"another"}
    found = judged(str(run.folder), Truth(other, checksums, "", 0.0))
    assert (found.lost, found.wrong) == (0, 1)
    assert "footprint" in found.faults[0]


def test_half_written_files_are_seen(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "x.partial").touch()
    assert partial_left(tmp_path) == ["base/x.partial is left behind"]


@pytest.mark.parametrize(
    ("code", "said", "clear"),
    [
        (0, "", True),
        (1, "footfall: x: disk full\n  remedy: free it", True),
        (75, "footfall: cluster: lost", True),
        (1, "", False),
        (0, "footfall: x", False),
        (3, "footfall: x", False),
        (1, "footfall: x\nfootfall: y", False),
        (1, "2026 - distributed.client - ERROR - x\nfootfall: x", False),
        (1, "Traceback (most recent call last):\nfootfall: x", False),
    ],
)
def test_one_clear_error_and_a_documented_code(code: int, said: str, clear: bool) -> None:
    assert (not Seen(("run",), code, said, "").unclear) == clear


def test_a_fault_strikes_where_and_as_often_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(faults.VARIABLE, str(tmp_path / "armed.json"))
    for name in faults.CALLS:
        monkeypatch.setattr(os, name, getattr(os, name))
    faults.install()
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    with (here / "x").open("wb", buffering=0) as struck, (there / "x").open("wb") as spared:
        faults.arm(Fault(str(here), ("write", "replace"), (WORKER,), errno.EIO))
        os.write(spared.fileno(), b"whole")
        os.fsync(struck.fileno())
        with pytest.raises(OSError, match="Input/output error"):
            os.write(struck.fileno(), b"halves")
        os.write(struck.fileno(), b"-then whole")
        assert (here / "x").read_bytes() == b"hal-then whole"
        assert faults.disarm()
        faults.arm(Fault(str(here), ("fsync",), (CONTROLLER,), errno.EIO, once=False))
        os.fsync(struck.fileno())
        assert not faults.disarm()
        faults.arm(Fault(str(here), ("replace",), (WORKER,), errno.EACCES, once=False))
        for _ in range(2):
            with pytest.raises(PermissionError):
                os.replace(here / "x", here / "y")
        assert faults.disarm()
    os.replace(here / "x", here / "y")


def test_a_disk_is_filled_to_its_last_byte() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no disk here that is always full")
    fill_up(Path("/dev/full"))
