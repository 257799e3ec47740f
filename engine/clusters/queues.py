"""What is asked of a batch system by its own commands: send, list, explain, cancel a job.

SLURM's are tested against a SLURM. Those of the other systems follow their manuals and have not
been run on a real one.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from engine.clusters.spec import System
from engine.errors import ConfigError

_SECONDS = 60  # a busy batch system may take its time
_SEND = {
    System.SLURM: ("sbatch", "--parsable"),
    System.PBS: ("qsub",),
    System.LSF: ("bsub",),
    System.SGE: ("qsub", "-terse"),
}
_STATE = {
    System.SLURM: ("squeue", "--noheader", "--format=%T", "--jobs"),
    System.PBS: ("qstat",),
    System.LSF: ("bjobs", "-noheader", "-o", "stat"),
    System.SGE: ("qstat", "-j"),
}
# Of these, SLURM still lists a job that is over.
_OVER = {
    "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY", "NODE_FAIL",
    "PREEMPTED", "BOOT_FAIL", "REVOKED",
}  # fmt: skip
_OVER_ELSEWHERE = {"DONE", "EXIT"}
# How a batch system says that it knows no such job (any more). Whatever else it says is no answer.
_UNKNOWN = re.compile(
    r"invalid job id|unknown job|job has finished|jobs? (<\d+> )?(is not found|do not exist)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A job in the queue."""

    number: str
    state: str


def require(*programs: str) -> None:
    """Refuse to go on without these commands.

    Raises:
        ConfigError: naming the first that is not here.
    """
    for program in programs:
        if which(program) is None:
            raise _absent(program)


def commands(system: System) -> tuple[str, str]:
    """The commands that send a job and ask for it."""
    return _SEND[system][0], _STATE[system][0]


def send(system: System, script: Path) -> str:
    """Send a job; returns its number.

    Raises:
        ConfigError: the batch system is not here, or refuses the job; with its words.
    """
    # LSF reads the script's `#BSUB` lines from its input, and only if it is given no command.
    given = [] if system is System.LSF else [str(script)]
    said = _said([*_SEND[system], *given], script if system is System.LSF else None)
    number = re.search(r"\d+(\.[\w.-]+)?", said)
    if number is None:
        raise ConfigError(
            f"{_SEND[system][0]} answered without a job number: {said}",
            where=str(script),
            remedy="see whether the job was sent, and what it lacks",
        )
    return number.group() if system is System.PBS else number.group().partition(".")[0]


def state(system: System, number: str) -> str:
    """The state of a job in the queue's word; empty when it is over.

    Raises:
        ConfigError: the batch system cannot be asked from this machine, or does not answer.
    """
    try:
        said = _said([*_STATE[system], number])
    except ConfigError as error:
        if _UNKNOWN.search(error.what):
            return ""
        raise
    if system in (System.PBS, System.SGE):
        return "in the queue" if said else ""
    word = said.split()[0] if said.split() else ""
    return "" if word in _OVER | _OVER_ELSEWHERE else word


def named(name: str) -> list[Listed]:
    """SLURM's jobs of this name that are waiting or at work.

    Raises:
        ConfigError: SLURM does not answer.
    """
    said = _said(["squeue", "--noheader", "--me", f"--name={name}", "--format=%i %T"])
    listed = [Listed(*line.split()[:2]) for line in said.splitlines() if len(line.split()) > 1]
    return [job for job in listed if job.state not in _OVER]


def alive(system: System, name: str, numbers: Iterable[str]) -> set[str]:
    """Those of these jobs, all of this name, that are waiting or at work.

    Raises:
        ConfigError: the batch system does not answer.
    """
    if system is System.SLURM:
        return {job.number for job in named(name)}
    return {number for number in numbers if state(system, number)}


def hostnames(nodes: str) -> list[str]:
    """SLURM's nodes one by one, of a list such as `n[1-3,7]`.

    Raises:
        ConfigError: SLURM does not answer.
    """
    return _said(["scontrol", "show", "hostnames", nodes]).split()


def cancel_named(beginning: str) -> None:
    """Cancel SLURM's jobs whose names begin so.

    Raises:
        ConfigError: SLURM does not answer.
    """
    listed = _said(["squeue", "--noheader", "--me", "--format=%i %j"]).splitlines()
    jobs = (line.split(maxsplit=1) for line in listed)
    numbers = [job[0] for job in jobs if job[-1].startswith(beginning)]
    if numbers:
        _said(["scancel", *numbers])


def cluster(system: System) -> str:
    """What a SLURM calls itself, for its numbers mean nothing on another; empty if not known."""
    if system is not System.SLURM:
        return ""
    try:
        said = _said(["scontrol", "show", "config"])
    except ConfigError:
        return ""
    found = re.search(r"^ClusterName\s*=\s*(\S+)", said, re.MULTILINE)
    return found[1] if found else ""


def explained(number: str) -> str:
    """What SLURM tells of a job that is or was: state, reason, exit code; empty if nothing."""
    try:
        said = _said(["scontrol", "--oneliner", "show", "job", number])
    except ConfigError:
        return ""
    told = dict(re.findall(r"\b(JobState|Reason|ExitCode|NodeList|RunTime)=(\S+)", said))
    if not told:
        return ""
    code, _, signal = told.get("ExitCode", "0:0").partition(":")
    parts = [f"job {number}: {told.get('JobState', 'unknown')}"]
    if told.get("Reason") not in (None, "None"):
        parts.append(f"reason {told['Reason']}")
    if code != "0":
        parts.append(f"exit code {code}")
    if signal not in ("", "0"):
        parts.append(f"signal {signal}")
    return ", ".join([*parts, f"on {told.get('NodeList', '?')} after {told.get('RunTime', '?')}"])


def _absent(program: str) -> ConfigError:
    return ConfigError(
        f"there is no `{program}` here",
        where="cluster.system",
        remedy="run this on a machine of the cluster that may send jobs, or choose another profile",
    )


def _said(command: list[str], given: Path | None = None) -> str:
    """The output of a command; no shell reads it."""
    try:
        text = None if given is None else given.read_text()
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except FileNotFoundError:
        raise _absent(command[0]) from None
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"`{command[0]}` has not answered for {_SECONDS} s",
            where="cluster.system",
            remedy="try again when the batch system answers",
        ) from None
    if done.returncode != 0:
        raise ConfigError(
            f"`{command[0]}` refuses: {done.stderr.strip() or done.stdout.strip()}",
            where="cluster.system",
            remedy="mend what it names in the profile, and try again",
        )
    return done.stdout.strip()
