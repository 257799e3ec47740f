"""`python -m benchmarks.chaos [--events N] [--seed S] [--only KIND ...] [--on disk|s3|slurm]`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.chaos import faults
from benchmarks.chaos.events import IN_OBJECTS, ON_DISK, ON_SLURM, Arena, Kind, Trial
from benchmarks.chaos.judging import Truth, judged, looked_at
from benchmarks.chaos.places import Disk, Moods, Objects, Storage, object_store
from benchmarks.chaos.processes import Forks, Seen
from benchmarks.chaos.slurm import Slurm, slurm
from benchmarks.chaos.telling import plain, rows, table

CONFIG = """
title = "a small random world"

[tables]
reader = "toy"
world = "random"
years = [2000, 2001]

[question]
consumers = ["R0", "pair"]
stressors = ["S0"]

[groups.pair]
members = ["R0", "R1"]

[method]
perturb = "accounts"

[sampling]
seed = 7
draws = {draws}
block = 64

[cluster]
executor = "processes"
workers = 2
dashboard = false

[[scenarios.base.errors]]
quantity = "E"
rsd = 0.1
source = "assumption"
components = [
  {{ name = "national", weight = 0.5, group = ["stressor", "region"], time = "persistent" }},
  {{ name = "own", weight = 0.5, group = "cell", time = "yearly" }},
]

[[scenarios.base.errors]]
quantity = "Z"
rsd = 0.2
source = "assumption"
components = [{{ name = "own", weight = 1.0, group = "cell", time = {{ ar1 = 0.8 }} }}]
"""


KINDS = {"disk": ON_DISK, "s3": IN_OBJECTS, "slurm": ON_SLURM}
_ATTEMPTS = 4  # at an event whose blow fell when the run was over
Say = Callable[[int, Trial], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Let it happen; 1 if a block was lost or wrong, or anything else was not as it should be.

    That includes an event that hit nothing, and one that did not take place.
    """
    asked = _asked(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    with ExitStack() as open_things:
        temporary = tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True)
        root = Path(open_things.enter_context(temporary))
        moods = (
            open_things.enter_context(object_store(root / "scratch")) if asked.on == "s3" else None
        )
        forks = Forks(root / "processes")
        open_things.callback(forks.stop)
        site = open_things.enter_context(slurm(root)) if asked.on == "slurm" else None
        arena = prepared(root, forks, asked.draws, moods, site)
        trials: list[Trial] = []
        with suppress(KeyboardInterrupt):  # what has happened by then is told
            for trial in happen(arena, asked.events, asked.seed, asked.only or ()):
                trials.append(trial)
    seconds = time.monotonic() - began
    print(f"{len(trials)} events on {asked.on} (seed {asked.seed}), {seconds:.0f} s")
    print(f"an undisturbed run: {len(arena.truth.checksums)} blocks in {arena.truth.seconds:.1f} s")
    print(table(rows(trials)))
    if asked.output:
        content = {
            "on": asked.on,
            "seed": asked.seed,
            "seconds": round(seconds, 1),
            "undisturbed_seconds": round(arena.truth.seconds, 2),
            "blocks": len(arena.truth.checksums),
            "kinds": rows(trials),
            "events": [plain(trial) for trial in trials],
        }
        asked.output.write_text(json.dumps(content, indent=1))
    if len(trials) < asked.events:
        print(f"interrupted: {asked.events - len(trials)} events have not taken place")
        return 1
    return int(any(t.lost or t.wrong or t.faults or t.missed for t in trials))


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "scripts/chaos", description="Runs to which bad things happen."
    )
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only",
        action="append",
        metavar="KIND",
        help=f"may be given several times: {', '.join(sorted({*ON_DISK, *IN_OBJECTS}))}",
    )
    parser.add_argument("--on", choices=[*KINDS], default="disk")
    parser.add_argument("--draws", type=int, default=1024, help="a year; 64 make a block")
    parser.add_argument("--output", type=Path, help="file for the JSON")
    asked = parser.parse_args(arguments)
    for kind in asked.only or ():
        if kind not in KINDS[asked.on]:
            there = ", ".join(KINDS[asked.on])
            parser.error(f"there is no event {kind!r} on {asked.on}; there are {there}")
    return asked


def _say(number: int, trial: Trial) -> None:
    missed = ", HIT NOTHING" if trial.missed else ""
    words = f"{number:4d} {trial.kind} ({trial.what}): complete after {trial.seconds:.1f} s{missed}"
    codes = ", ".join("killed" if seen.killed else str(seen.code) for seen in trial.seen)
    print(f"{words}, exit codes {codes}", file=sys.stderr, flush=True)
    for fault in trial.faults:
        print(f"     WRONG: {fault}", file=sys.stderr, flush=True)


def prepared(
    root: Path, forks: Forks, draws: int, moods: Moods | None = None, site: Slurm | None = None
) -> Arena:
    """Run what nothing happens to: on a disk, which compiles and is the truth, and as asked."""
    config, disk = root / "chaos.toml", Disk(root / "runs")
    config.write_text(CONFIG.format(draws=draws))
    storage: Storage = Objects() if moods else disk
    first = disk.folder("first")
    _refuse(forks.footfall("run", str(config), "--output", first).ended())
    verdicts = forks.footfall("detect", first, "--format", "json").ended()
    _refuse(verdicts)
    truth = Truth(*looked_at(first), verdicts.output, 0.0)
    arena = Arena(forks, storage, config, storage.folder("whole"), truth, moods, site)
    began = time.monotonic()
    _refuse(arena.give(*arena.command(arena.whole)).ended())
    truth = replace(truth, seconds=time.monotonic() - began)
    found = judged(arena.whole, truth)
    if found.lost or found.wrong or found.faults:
        raise RuntimeError(f"a run to which nothing happens: {found}")
    return replace(arena, truth=truth)


def _refuse(seen: Seen) -> None:
    if seen.code or seen.unclear:
        raise RuntimeError(f"a run to which nothing happens: {seen.unclear or seen.said}")


def happen(
    arena: Arena, events: int, seed: int, only: Sequence[str] = (), say: Say = _say
) -> Iterator[Trial]:
    """A seeded sequence of events, each on a run of its own; every kind comes up in turn."""
    kinds = KINDS["s3" if arena.moods else "slurm" if arena.site else "disk"]
    for number, name in enumerate(_sequence(list(kinds), events, seed, only)):
        for attempt in range(_ATTEMPTS):
            trial = _tried(arena, kinds[name], name, (seed, number, attempt))
            if not trial.missed or trial.faults:
                break
        say(number + 1, trial)
        yield trial


def _tried(arena: Arena, kind: Kind, name: str, numbers: tuple[int, int, int]) -> Trial:
    _, number, attempt = numbers
    folder = arena.storage.folder(f"run-{number:04d}-{attempt}")
    trial = Trial(name, folder, arena, np.random.default_rng(numbers))
    try:
        kind(trial)
        if not trial.judged:
            trial.judge()
    finally:
        faults.disarm()
    arena.storage.clear(folder)
    return trial


def _sequence(kinds: Sequence[str], events: int, seed: int, only: Sequence[str]) -> list[str]:
    """Kinds of event in random order, each as often as any other, give or take one."""
    kinds = [name for name in kinds if not only or name in only]
    rounds = -(-events // len(kinds))
    rng = np.random.default_rng(seed)
    return [name for _ in range(rounds) for name in rng.permutation(kinds)][:events]


if __name__ == "__main__":
    sys.exit(main())
