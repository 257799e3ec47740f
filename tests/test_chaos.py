"""Runs to which bad things happen end as if nothing had, and what says so would notice."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from itertools import cycle, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import slurm_site

from benchmarks.chaos import __main__ as chaos
from benchmarks.chaos import events, faults
from benchmarks.chaos.events import IN_OBJECTS, ON_DISK, ON_SLURM, Trial
from benchmarks.chaos.faults import CONTROLLER, WORKER, Fault
from benchmarks.chaos.judging import Truth, judged, looked_at, partial_left
from benchmarks.chaos.places import BUSY, DENIED, Moods, fill_up
from benchmarks.chaos.processes import Seen
from configs import SERIAL, SMALL, loaded
from engine import workflow
from engine.plan import Block

ROOT = Path(__file__).parent.parent


def todays(kinds: Iterable[str], count: int) -> list[str]:
    """So many kinds, others every day, until all have come up."""
    first = count * date.today().toordinal() % len(sorted(kinds))
    return list(islice(cycle(sorted(kinds)), first, first + count))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("on", "kinds"),
    [
        ("disk", [*ON_DISK]),
        pytest.param("s3", todays(IN_OBJECTS, 3), marks=pytest.mark.s3),
        pytest.param("slurm", todays(ON_SLURM, 1), marks=pytest.mark.slurm),
    ],
)
def test_events_of_every_kind(on: str, kinds: list[str], tmp_path: Path) -> None:
    """`scripts/chaos` with a small run; the 200 events of the command take longer.

    On a disk every kind once; elsewhere, where an event takes longer, a few kinds each day.
    """
    if on == "slurm" and (why := slurm_site.missing()):
        pytest.skip(why)
    file = tmp_path / "chaos.json"
    asked = ["--events", str(len(kinds)), "--on", on, "--draws", "768", "--output", str(file)]
    asked += [word for kind in kinds for word in ("--only", kind)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.chaos", *asked],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{asked}\n{done.stdout}\n{done.stderr}"
    told = json.loads(file.read_text())
    assert {row["kind"] for row in told["kinds"]} == set(kinds)
    for row in told["kinds"]:
        assert (row["events"], row["lost"], row["wrong"], row["faults"]) == (1, 0, 0, 0)
    if on == "disk":
        recomputed = {row["kind"]: row["recomputed"] for row in told["kinds"]}
        assert 1 <= recomputed["torn ledger entry"] <= 3
        assert recomputed["leftovers"] == recomputed["controller killed"] == 0


def test_a_kind_that_is_not_there_is_refused() -> None:
    with pytest.raises(SystemExit) as caught:
        chaos.main(["--on", "disk", "--only", "store slow"])
    assert caught.value.code == 2


class Fake:
    """A command, or a run that was submitted, whose end is known beforehand."""

    def __init__(self, code: int = 0, said: str = "", *, is_over: bool = False) -> None:
        self.seen, self.is_over = Seen(("run",), code, said, ""), is_over
        self.signals: list[int] = []

    def ended(self) -> Seen:
        self.is_over = True
        return self.seen

    def signal(self, number: int) -> None:
        self.signals.append(number)


def tried(folder: Path, *commands: Fake, still: bool = False) -> Trial:
    """A trial of a run of ten blocks whose commands these are."""
    left = list(commands)
    truth = Truth({}, dict.fromkeys((Block(2000, index, 64) for index in range(10)), ""), "", 0.0)
    arena: Any = SimpleNamespace(
        truth=truth, command=lambda *words: words, give=lambda *words: left.pop(0)
    )
    seed = next(s for s in range(99) if (np.random.default_rng(s).random() < 0.5) == still)
    return Trial("two runs", str(folder), arena, np.random.default_rng(seed))


REFUSED = "footfall: x: is in use by another"
LOST = "footfall: x: was taken over by another"


def test_a_lock_that_lets_two_runs_through_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_sittings", lambda _: [{}])
    well = tried(tmp_path, Fake(), Fake(1, REFUSED))
    events.two_runs(well)
    assert (well.faults, well.missed) == ([], False)
    both = tried(tmp_path, Fake(), Fake(0))
    events.two_runs(both)
    assert any("not refused beside another run" in fault for fault in both.faults)
    never_met = tried(tmp_path, Fake(is_over=True), Fake(0))
    events.two_runs(never_met)
    assert never_met.missed
    forgotten = tried(tmp_path, Fake(is_over=True), Fake(0))
    monkeypatch.setattr(events, "_sittings", lambda _: [])
    events.two_runs(forgotten)
    assert forgotten.faults == ["the record tells of 0 sittings of 2"]


def test_a_run_that_was_taken_over_and_goes_on_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_sittings", lambda _: [{}])
    monkeypatch.setattr(events, "HEARTBEAT", 0.0)
    (tmp_path / "lock-000002.json").touch()
    well = tried(tmp_path, Fake(1, LOST), Fake(is_over=True), still=True)
    events.two_runs(well)
    assert (well.faults, well.missed) == ([], False)
    monkeypatch.setattr(events, "_sittings", lambda _: [{}, {}])
    on = tried(tmp_path, Fake(0), Fake(is_over=True), still=True)
    events.two_runs(on)
    assert any("not refused beside another run" in fault for fault in on.faults)


@pytest.mark.parametrize(
    ("struck", "faults", "events_asked", "code"),
    [(1, [], 1, 0), (0, [], 1, 1), (1, ["x"], 1, 1), (1, [], 2, 1)],
)
def test_only_events_that_took_place_and_hit_something_count(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    struck: int,
    faults: list[str],
    events_asked: int,
    code: int,
) -> None:
    """An interrupted harness, and one whose blows all fall too late, has shown nothing."""
    trial = tried(tmp_path)
    trial.struck, trial.faults = struck, faults
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(chaos, "Forks", lambda _: SimpleNamespace(stop=lambda: None))
    monkeypatch.setattr(chaos, "prepared", lambda *_: trial.arena)
    monkeypatch.setattr(chaos, "happen", lambda *_: iter([trial]))
    assert chaos.main(["--events", str(events_asked)]) == code


def test_a_store_refuses_the_kind_of_request_it_is_to_and_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moods = Moods()
    moods.refuse("GET", BUSY, 2)
    asked = ("PUT", "GET", "LIST", "GET", "GET")
    assert [moods.refuses(kind) for kind in asked] == [False, True, False, True, False]
    assert moods.refusals == 2
    moods.refuse("DELETE", DENIED, -1)
    assert [moods.refuses("DELETE") for _ in range(3)] == [True] * 3
    assert moods.refusals == 3
    moods.calm()
    assert not moods.refuses("DELETE")


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
