"""Runs submitted to a SLURM of their own, which `tests/slurm_site.py` starts."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.chaos.processes import LONG, Command, Seen

ROOT = Path(__file__).parents[2]
_PROFILE = """
system = "slurm"
workers = 2
cores = 1
memory = "900MB"
walltime = "00:10:00"
interface = "lo"

[controller]
walltime = "00:10:00"
"""
_LOGS = re.compile(r"footfall: |  remedy: |Traceback| - (WARNING|ERROR|CRITICAL) - ")
_ENDING = 120.0  # seconds in which jobs must be gone: workers wait a minute for their controller


@dataclass(frozen=True, slots=True)
class Slurm:
    """A site, and the profile of runs that are submitted to it."""

    site: Any
    profile: str

    def workers(self) -> list[str]:
        """Jobs of workers that are at work."""
        return [n for n, name, state in self.site.jobs() if "worker" in name and state == "RUNNING"]

    def cancel(self, job: str) -> None:
        """End a job."""
        self.site.ask("scancel", job)

    def left(self) -> list[str]:
        """Jobs that are still there some time after everything has ended."""
        ends = time.monotonic() + _ENDING
        while (jobs := self.site.jobs()) and time.monotonic() < ends:
            time.sleep(0.5)
        return [f"job {' '.join(job)}" for job in jobs]

    def code(self, job: str) -> int:
        """Exit code of a job."""
        found = re.search(r"ExitCode=(\d+):", self.site.ask("scontrol", "show", "job", job))
        assert found
        return int(found[1])


class Submitted:
    """A run that was submitted, or was refused to be."""

    def __init__(self, slurm: Slurm, command: Command) -> None:
        self._slurm, self._killed = slurm, False
        self._submission = command.ended()
        found = re.search(r"slurm job (\d+)", self._submission.output)
        self._job = found[1] if found and not self._submission.code else ""
        self._folder = Path(command.words[command.words.index("--output") + 1])

    @property
    def is_over(self) -> bool:
        return all(number != self._job for number, *_ in self._slurm.site.jobs())

    def kill(self) -> None:
        """SIGKILL to the controller, wherever it is in its job."""
        self._killed = True
        locks = list(self._folder.glob("lock-*.json"))
        if locks:
            self.signal(signal.SIGKILL)
        else:  # it has not begun
            self._slurm.site.ask("scancel", "--full", "--signal=KILL", self._job)

    def signal(self, number: signal.Signals) -> None:
        lock = max(self._folder.glob("lock-*.json"))
        os.kill(json.loads(lock.read_text())["holder"]["pid"], number)

    def ended(self) -> Seen:
        """Wait for its end, and read its log."""
        if not self._job:
            return self._submission
        ends = time.monotonic() + LONG
        while not self.is_over and time.monotonic() < ends:
            time.sleep(0.2)
        log = self._folder / "logs" / f"controller-{self._job}.log"
        lines = log.read_text().splitlines() if log.exists() else []
        said = "\n".join(line for line in lines if _LOGS.search(line))
        killed = replace(self._submission, code=-signal.SIGKILL, killed=True)
        return (
            killed
            if self._killed
            else replace(self._submission, code=self._slurm.code(self._job), said=said)
        )


@contextmanager
def slurm(folder: Path) -> Iterator[Slurm]:
    """A SLURM of four nodes on this machine; it needs root, `slurm-wlm` and `munge`."""
    sys.path.append(str(ROOT / "tests"))
    import slurm_site

    os.environ["PYTHONPATH"] = str(ROOT)
    with slurm_site.site(folder / "slurm", nodes=4) as site:
        os.environ["SLURM_CONF"] = site.environment["SLURM_CONF"]
        profile = folder / "profile.toml"
        profile.write_text(_PROFILE)
        yield Slurm(site, str(profile))
