"""Operating characteristics: how often verdicts are right, in worlds whose truth is known.

The configuration's tables are taken for the truth of two years, and the second year's emissions
scaled so that every consumer's footprint changes by exactly the size asked. The composition stays
the second year's: without a true change the footprint is kept and what it is made of changes, so
that lasting errors do not cancel exactly. A world then publishes estimates with errors of one
scenario (`engine.worlds`), and the engine, which sees these alone, judges the change with a
scenario it believes in, the same or another. What is counted is the verdicts.

A study is interrupted without loss: every world is a line of `worlds.jsonl`, a world does not
depend on how many there are, and the same command plays those that are missing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.clusters import Profile, connect, one_blas_thread
from engine.config import Config
from engine.errors import ConfigError, RunError
from engine.runs import Listener, Progress
from engine.stores.durable import make_folder, storing
from engine.stores.identity import text_digest
from engine.stores.lock import Lock, held
from engine.studies.asked import trial_of
from engine.studies.found import Characteristics, found, write
from engine.studies.kept import append, described, resumed
from engine.studies.stage import Record, Task, Trial, played, stage_of, standing
from engine.workflow.folders import on_this_machine

WORLDS, DRAWS = 200, 1024
CHANGES = (0.0, -0.01, -0.02, -0.03, -0.05, -0.10)


def characterise(
    config: Config,
    folder: str | Path | None = None,
    *,
    worlds: int = WORLDS,
    draws: int = DRAWS,
    changes: Sequence[float] = CHANGES,
    years: tuple[int, int] | None = None,
    truth: str | None = None,
    believed: str | None = None,
    stressor: str | None = None,
    consumer: str | None = None,
    cluster: Profile | None = None,
    listener: Listener = lambda _: None,
) -> Characteristics:
    """False positives, power and coverage of a configuration's verdicts, by simulation.

    Args:
        folder: of the study, `runs/<config name>-operating` if not given.
        worlds: of each scenario.
        draws: of each world.
        changes: true changes of the footprint between the two years, relative: -.02 for a fall of
            2 %. The minimum detectable fall is always added.
        years: the two years; the last two if not given.
        truth, believed: the scenario of the world, and the one the engine believes in; every one
            if not given.
        stressor, consumer: one of the configuration's; all if not given.
        cluster: where to run, instead of the configuration's own.
        listener: told of progress after every world, in draws of one year.

    Raises:
        InputError: the configuration or a table cannot be used, or what is asked.
        DriftError: the folder holds another study.
        RunError: a world failed; the others are safe.
    """
    folder = on_this_machine(folder or Path("runs") / f"{config.name}-operating", "a study")
    trial = trial_of(config, draws, changes, years, truth, believed, stressor, consumer)
    if worlds < 2:
        raise ConfigError(
            f"{worlds} worlds tell no rate", where="worlds", remedy="ask for a few hundred"
        )
    with one_blas_thread():
        stage = stage_of(config, trial)
        about = described(config, trial, stage)
        digest = text_digest(about)
        with storing(folder):
            make_folder(folder)
        with held(folder / "lock.json") as lock, standing(digest, stage):
            known = resumed(folder, about)
            asked = [(name, world) for world in range(worlds) for name in trial.truths]
            tasks = [Task(config, trial, digest, *one) for one in asked if one not in known]
            counted = _Counted(len(asked) - len(tasks), len(tasks), trial, listener)
            for record in _play(tasks, cluster or config.cluster, folder, lock) if tasks else ():
                lock.check()
                append(folder, record)
                known[record["truth"], record["world"]] = record
                counted.add()
            seconds = counted.seconds / len(tasks) if tasks else math.nan
            told = found(folder, config, trial, stage, [known[one] for one in asked], seconds)
            write(told, config, trial, stage)
            return told


def _play(tasks: Sequence[Task], cluster: Profile, folder: Path, lock: Lock) -> Iterator[Record]:
    lock.confirm()
    with connect(cluster, folder) as executor:
        for outcome in executor.map_unordered(played, tasks, lock.check):
            if outcome.result is None:
                raise RunError(
                    f"a world failed: {type(outcome.error).__name__}: {outcome.error}",
                    where=f"scenario {outcome.task.truth}, world {outcome.task.world}",
                    remedy="the other worlds are safe; mend the cause and run again",
                ) from outcome.error
            yield outcome.result


class _Counted:
    """Tells the listener how far the study is, in draws of one year."""

    def __init__(self, before: int, waiting: int, trial: Trial, listener: Listener) -> None:
        self._each = 2 * trial.draws * len(trial.believed)
        self._before, self._total, self._computed = before, before + waiting, 0
        self._listener, self._began = listener, time.monotonic()
        self._tell()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def add(self) -> None:
        self._computed += 1
        self._tell()

    def _tell(self) -> None:
        done, total = ((self._before + self._computed), self._total)
        each = self._each
        self._listener(Progress(each * done, each * total, each * self._computed, self.seconds, ""))
