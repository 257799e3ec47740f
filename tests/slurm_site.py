"""A whole SLURM on one machine: munged, slurmctld and a few nodes, each with its own port.

For tests and for trying a profile; it needs root and Debian's `slurm-wlm` and `munge`. As a program
it runs a command inside such a site: `python tests/slurm_site.py bash`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")

_CONF = """
ClusterName=footfall
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=2,sched_min_interval=100000,defer_batch
ReturnToService=2
KillWait=5
MinJobAge=600
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
OverTimeLimit=0
{nodes}
PartitionName=main Nodes=n[1-{count}] Default=YES MaxTime=1440 State=UP OverSubscribe=NO
"""


def missing() -> str:
    """Why there can be no site here; empty if there can."""
    absent = [name for name in NEEDED if _found(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: slurm-wlm, munge)"
    return "" if os.geteuid() == 0 else "starting SLURM's daemons needs root"


def _found(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@dataclass(frozen=True, slots=True)
class Site:
    """A running SLURM.

    Attributes:
        folder: of its configuration, state and logs.
        environment: what a process needs to speak to it.
    """

    folder: Path
    environment: dict[str, str]

    def ask(self, *command: str) -> str:
        """The output of one of SLURM's commands."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def jobs(self, form: str = "%i %j %T") -> list[list[str]]:
        """Every job that is waiting or at work: number, name and state."""
        lines = self.ask("squeue", "--noheader", f"--format={form}").splitlines()
        return [line.split() for line in lines]

    def names(self) -> list[str]:
        return [name for _, name, _ in self.jobs()]


@contextmanager
def site(folder: Path, nodes: int = 4, cores: int = 1) -> Iterator[Site]:
    """Start a site in an empty folder; stop its daemons and their jobs at the end."""
    why = missing()
    if why:
        raise RuntimeError(why)
    (folder / "state").mkdir(parents=True)
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    ports = _free_ports(nodes + 1)
    described = [
        f"NodeName=n{k} NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 Port={ports[k]} "
        f"CPUs={cores} RealMemory=4000 State=UNKNOWN"
        for k in range(1, nodes + 1)
    ]
    conf = folder / "slurm.conf"
    conf.write_text(
        _CONF.format(
            host=socket.gethostname(),
            port=ports[0],
            folder=folder,
            nodes="\n".join(described),
            count=nodes,
        )
    )
    environment = os.environ | {"SLURM_CONF": str(conf)}
    running = Site(folder, environment)
    with ExitStack() as daemons:
        munge = [
            "munged", "--foreground", "--force", f"--key-file={key}",
            f"--socket={folder}/munge.socket", f"--pid-file={folder}/munge.pid",
            f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed",
        ]  # fmt: skip
        daemons.enter_context(_daemon(munge, folder, environment))
        _until((folder / "munge.socket").exists, "munged does not listen")
        daemons.enter_context(_daemon(["slurmctld", "-D", "-i"], folder, environment))
        for k in range(1, nodes + 1):
            daemons.enter_context(_daemon(["slurmd", "-D", "-N", f"n{k}"], folder, environment))
        daemons.callback(_cancel_all, running)
        _until(lambda: _idle(running) == nodes, f"nodes do not come up, see {folder}")
        yield running


def _idle(running: Site) -> int:
    done = subprocess.run(
        ["sinfo", "--noheader", "--Node", "--format=%T"],
        env=running.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.split().count("idle")


def _cancel_all(running: Site) -> None:
    subprocess.run(["scancel", "--user=root"], env=running.environment, check=False)
    subprocess.run(
        ["scancel", "--user=root", "--signal=KILL"], env=running.environment, check=False
    )
    try:
        _until(lambda: not running.jobs(), "jobs do not end", 20)
    except (AssertionError, TimeoutError):
        return


@contextmanager
def _daemon(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    program = _found(command[0])
    assert program is not None
    with (folder / "daemons.log").open("ab") as log:
        process = subprocess.Popen(
            [program, *command[1:]], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until(holds: object, otherwise: str, seconds: float = 60) -> None:
    assert callable(holds)
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError(otherwise)
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as sockets:
        held = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="slurm-") as made, site(Path(made) / "site") as here:
        sys.exit(subprocess.run(sys.argv[1:], env=here.environment, check=False).returncode)
