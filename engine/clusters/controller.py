"""The job in which a run runs: its script, for each batch system.

Shortly before the walltime its shell gets USR1 and tells the run to stop, which it does with
everything finished safe and exit code 75; the script then puts the job back into the queue, as
often as the profile allows. A job that is cancelled (TERM) is not put back, nor is a run that has
failed.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.clusters.batch import SITTING, job_name
from engine.clusters.guarding import refuse_odd_path
from engine.clusters.site import with_site_defaults
from engine.clusters.spec import (
    Allocation,
    Batch,
    System,
    bytes_of,
    clock,
    seconds_of,
    slurm_memory,
)
from engine.errors import StoppedError

STARTS = "starts"  # a file beside the script that counts how often it has put itself back
RESENT = "resent"  # another that holds its new number, where a system gives it one
# What ends the workers' jobs, those that wait in the queue included.
_DISMISS = {
    System.SLURM: "scancel --me --name={}",
    System.PBS: "qselect -N {} | xargs -r qdel",
    System.LSF: "bkill -J {} 0",
    System.SGE: "qdel {}",
}


def controller_script(
    spec: Batch | Allocation, name: str, command: Sequence[str], folder: Path, where: Path
) -> str:
    """The script of the controller's job.

    Args:
        name: of the job.
        command: the run, as the words that follow the interpreter: the profile's, the site's, or
            this one.
        folder: the run folder; logs go to `logs/` in it, the script to `cluster/`.
        where: the folder the command is to be run in.

    Raises:
        ConfigError: a text of the profile or of the site cannot stand in a script, or neither says
            how large a job is.
    """
    refuse_odd_path(folder)
    spec = with_site_defaults(spec)
    pbs = spec.system is System.PBS
    restarts = spec.controller.restarts if isinstance(spec, Batch) else spec.restarts
    header = _header(spec, name, folder)
    place = folder / "cluster"
    again = {
        System.SLURM: 'scontrol requeue "$SLURM_JOB_ID"',
        System.PBS: f"qsub {place / 'controller.sh'} > {place / RESENT}",
        System.LSF: "exit 75  # LSF puts a job that ends so back, see -Q above",
        System.SGE: "exit 99  # SGE puts a job that ends so back",
    }[spec.system]
    return "\n".join(
        [
            "#!/usr/bin/env bash",
            *header,
            "",
            # PBS cannot name a log by its job, and would overwrite another name.
            *([f"exec >> {folder}/logs/controller-$PBS_JOBID.log 2>&1"] if pbs else []),
            f"cd {shlex.quote(str(where))} || exit 1",
            *spec.prologue,
            f"starts={place / STARTS}",
            f"export {SITTING}=s$RANDOM$RANDOM",
            f"{spec.python or shlex.quote(sys.executable)} {shlex.join(command)} &",
            "run=$! cancelled=",
            *_timer(spec),
            "trap 'kill -TERM $run 2>/dev/null' USR1  # the walltime is near",
            "trap 'cancelled=yes; kill -TERM $run 2>/dev/null' TERM INT USR2",
            "wait $run",
            "while kill -0 $run 2>/dev/null; do wait $run; done  # a signal ends the wait early",
            "wait $run; code=$?",
            *(["kill $timer 2>/dev/null"] if _timer(spec) else []),
            *_dismissal(spec, folder),
            f'if [ $code -eq {StoppedError.exit_code} ] && [ -z "$cancelled" ]; then',
            '  count=$(cat "$starts" 2>/dev/null || echo 0)',
            f'  if [ "$count" -lt {restarts} ]; then',
            '    echo $((count + 1)) > "$starts"',
            f"    {again}",
            "  fi",
            "fi",
            # LSF would put a job that ends with this code back, cancelled or not.
            *(["[ $code -ne 75 ] || code=1"] if spec.system is System.LSF else []),
            "exit $code",
            "",
        ]
    )


def _dismissal(spec: Batch | Allocation, folder: Path) -> list[str]:
    """A run that was killed leaves jobs of workers; those of one that ended have ended.

    Only its own: by now another run may be at work in the folder.
    """
    if not isinstance(spec, Batch):
        return []
    name = job_name(folder, f"${SITTING}")
    return [_DISMISS[spec.system].format(name) + " >/dev/null 2>&1"]


def _timer(spec: Batch | Allocation) -> list[str]:
    """PBS sends the same signal at the walltime and when a job is deleted: the script counts."""
    if not isinstance(spec, Batch) or spec.system is not System.PBS:
        return []
    if spec.controller.walltime is None:
        return []
    seconds = max(1, seconds_of(spec.controller.walltime) - spec.controller.grace)
    return [f"(sleep {seconds}; kill -USR1 $$) & timer=$!"]


def _header(spec: Batch | Allocation, name: str, folder: Path) -> list[str]:
    logs = str(folder / "logs")
    own = spec.controller if isinstance(spec, Batch) else spec
    walltime = None if own.walltime is None else seconds_of(own.walltime)
    queue, account = own.queue or spec.queue, spec.account
    memory = None if own.memory is None else -(-bytes_of(own.memory) // 10**6)
    cores, grace = own.cores, own.grace
    given: list[tuple[str, object]]
    match spec.system:
        case System.SLURM:
            tasks, share, parts = 1, "--mem=", 1
            if isinstance(spec, Allocation):  # one for each worker, and one for the run itself
                tasks, share, parts = spec.workers + 1, "--mem-per-cpu=", cores
            given = [
                ("--job-name=", name),
                ("--output=", f"{logs}/controller-%j.log"),
                ("--open-mode=", "append"),
                ("--ntasks=", tasks),
                ("--cpus-per-task=", cores),
                (share, None if own.memory is None else slurm_memory(own.memory, parts)),
                ("--time=", None if walltime is None else clock(walltime)),
                ("--partition=", queue),
                ("--account=", account),
                ("--signal=", f"B:USR1@{grace}"),
                ("--requeue", ""),
            ]
            return _lines("#SBATCH ", given, spec.directives)
        case System.PBS:
            chunk = "" if memory is None else f":mem={memory}MB"
            given = [
                ("-N ", name),
                ("-o ", f"{logs}/"),
                ("-j ", "oe"),
                ("-l ", f"select=1:ncpus={cores}{chunk}"),
                ("-l ", None if walltime is None else f"walltime={clock(walltime)}"),
                ("-q ", queue),
                ("-A ", account),
                ("-r ", "y"),
                ("-V", ""),
            ]
            return _lines("#PBS ", given, spec.directives)
        case System.LSF:
            ends = None if walltime is None else clock(walltime)[:-3]
            given = [
                ("-J ", name),
                ("-o ", f"{logs}/controller-%J.log"),
                ("-n ", cores),
                ("-M ", memory),
                ("-W ", ends),
                ("-wt ", None if ends is None else -(-grace // 60)),
                ("-wa ", None if ends is None else "USR1"),
                ("-q ", queue),
                ("-P ", account),
                ("-Q ", f'"{StoppedError.exit_code}"'),
                ("-r", ""),
            ]
            return _lines("#BSUB ", given, spec.directives)
        case System.SGE:
            given = [
                ("-N ", name),
                ("-o ", f"{logs}/controller-$JOB_ID.log"),
                ("-j ", "y"),
                ("-cwd", ""),
                ("-l ", None if walltime is None else f"h_rt={clock(walltime)}"),
                ("-l ", None if memory is None else f"h_vmem={memory}M"),
                # USR1 when s_rt is over; -notify sends USR2 before a job is deleted.
                ("-l ", None if walltime is None else f"s_rt={clock(max(1, walltime - grace))}"),
                ("-notify", ""),
                ("-q ", queue),
                ("-P ", account),
                ("-r ", "y"),
                ("-V", ""),
            ]
            return _lines("#$ ", given, spec.directives)


def _lines(mark: str, given: list[tuple[str, object]], directives: Sequence[str]) -> list[str]:
    own = [f"{mark}{option}{value}" for option, value in given if value is not None]
    return [*own, *(mark + line for line in directives)]
