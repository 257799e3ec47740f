"""Cluster profiles, and every script and manifest made of them, as text."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from configs import SMALL, written
from engine import workflow
from engine.cli import main
from engine.clusters import (
    Allocation,
    Batch,
    Controller,
    Kubernetes,
    System,
    submitted,
    with_site_defaults,
)
from engine.clusters.allocation import command, places
from engine.clusters.batch import _last_words, job_name
from engine.clusters.controller import controller_script
from engine.clusters.spec import bytes_of, clock, lifetime, seconds_of
from engine.config import load_config, load_profile
from engine.errors import ConfigError, PlanError

SHIPPED = sorted((Path(__file__).parent.parent / "configs" / "clusters").glob("*.toml"))
BATCH = ["slurm", "pbs", "lsf", "sge"]
MARK = {"slurm": "#SBATCH", "pbs": "#PBS", "lsf": "#BSUB", "sge": "#$"}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTFALL_TLS", "/keys")


def dry_run(folder: Path, profile: str | Path, config: str = SMALL) -> str:
    path = profile if isinstance(profile, Path) else written(folder, profile, "profile.toml")
    arguments = ["submit", written(folder, config), "--cluster", path, "--dry-run"]
    arguments += ["--output", folder / "run", "--draws", "128"]
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    assert not (folder / "run").exists()
    return done.output


def script_of(output: str, name: str) -> str:
    """One of the scripts of a dry run."""
    parts = re.split(r"^# --- (.*)$", output, flags=re.MULTILINE)
    return next(text for title, text in zip(parts[1::2], parts[2::2], strict=True) if name in title)


def test_every_shipped_profile_is_read() -> None:
    assert {path.stem for path in SHIPPED} == {
        "laptop", "address", "slurm", "slurm-allocation", "pbs", "lsf", "sge", "kubernetes",
        "gateway",
    }  # fmt: skip
    for path in SHIPPED:
        assert load_profile(path).slots >= 1
        untried = path.stem in ("pbs", "lsf", "sge", "kubernetes", "gateway")
        assert ("not run on a real one" in path.read_text()) == untried


@pytest.mark.parametrize("system", BATCH)
def test_the_scripts_of_a_batch_system(system: str, tmp_path: Path) -> None:
    output = dry_run(tmp_path, next(path for path in SHIPPED if path.stem == system))
    controller, worker = script_of(output, "controller"), script_of(output, "worker, 4 times")
    for script in (controller, worker):
        checked = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
        assert checked.returncode == 0
        assert MARK[system] in script
    assert f"engine.cli run {tmp_path}/small.toml --output {tmp_path}/run" in controller
    assert "--draws 128 &" in controller
    assert "-eq 75" in controller
    assert ("sleep 28680; kill -USR1 $$" in controller) == (system == "pbs")
    assert "--death-timeout 60" in worker
    # An hour, less five minutes, less half of them by which workers differ.
    assert "--lifetime 3150s --lifetime-stagger 150s" in worker
    assert f"--tls-ca-file {tmp_path}/run/cluster/keys-SITTING/ca.pem" in worker
    assert f"{tmp_path}/run/logs" in worker
    expected = {
        "slurm": ["--time=08:00:00", "--mem=1908M", "--requeue", "--signal=B:USR1@120"],
        "pbs": ["-l walltime=08:00:00", "-l select=1:ncpus=1:mem=2000MB", "-r y", "-V"],
        "lsf": ["-W 08:00", "-wa USR1", '-Q "75"'],
        "sge": ["-l h_rt=08:00:00", "-l s_rt=07:58:00", "-notify", "-cwd", "-V"],
    }[system]
    for line in expected:
        assert f"{MARK[system]} {line}\n" in controller
    # Both see the environment of whoever sent them; SLURM and LSF pass it on unasked.
    assert ("#PBS -V\n" in worker or "#$ -V\n" in worker) == (system in ("pbs", "sge"))
    # The log has the name that `submit` tells.
    log = f"{tmp_path}/run/logs/controller-"
    named = {"slurm": "%j.log", "pbs": "$PBS_JOBID.log", "lsf": "%J.log", "sge": "$JOB_ID.log"}
    assert log + named[system] in controller
    # Jobs of workers that wait in the queue have no scheduler to miss: they are taken back.
    found = re.search(r"(footfall-worker-\w{8}-)SITTING", worker)
    assert found
    name = f"{found[1]}$FOOTFALL_SITTING"
    assert {
        "slurm": f"scancel --me --name={name} ",
        "pbs": f"qselect -N {name} | xargs -r qdel ",
        "lsf": f"bkill -J {name} 0 ",
        "sge": f"qdel {name} ",
    }[system] in controller
    times = {"slurm": "-t 01:00:00", "pbs": "-l walltime=01:00:00", "lsf": "-W 01:00"}
    assert times.get(system, "-l h_rt=01:00:00") in worker


def test_an_allocation_is_one_job(tmp_path: Path) -> None:
    output = dry_run(tmp_path, next(path for path in SHIPPED if path.stem == "slurm-allocation"))
    controller = script_of(output, "controller")
    assert "#SBATCH --ntasks=5\n" in controller  # the fifth is the run's own
    assert "#SBATCH --mem-per-cpu=1908M\n" in controller
    worker = script_of(output, "worker, 4 times inside")
    assert worker.strip().startswith("srun --exact --nodes=1 --ntasks=1 --cpus-per-task=1")
    assert "--mem-per-cpu=1908M" in worker
    assert "--memory-limit 2000000000 " in worker
    assert "--tls-key" in worker


@pytest.mark.parametrize(
    ("memory", "cores", "share"),
    [("2GB", 1, "1908M"), ("1.5G", 4, "358M"), ("4Gi", 2, "2048M"), ("8 GB", 1, "7630M")],
)
def test_an_allocation_and_its_steps_ask_for_the_same_memory(
    tmp_path: Path, memory: str, cores: int, share: str
) -> None:
    text = f'system = "slurm allocation"\nworkers = 2\ncores = {cores}\nmemory = "{memory}"\n'
    asked = re.findall(r"--mem-per-cpu=(\S+)", dry_run(tmp_path, text))
    assert asked == [share, share]


def test_a_task_on_the_runs_own_node_is_left_to_the_run() -> None:
    assert places("2(x2),1", ["n1", "n2", "n3"], "n2") == ["n1", "n1", "n2", "n3"]
    assert places("5", ["n1"], "n1") == ["n1"] * 4
    assert places("1(x3)", ["n1", "n2", "n3"], "login") == ["n2", "n3"]


@pytest.mark.parametrize(("ends", "becomes"), [("exit 75", 1), ("exit 0", 0), ("exit 2", 2)])
def test_lsf_does_not_put_back_what_must_not_be(tmp_path: Path, ends: str, becomes: int) -> None:
    """`-Q "75"` puts back whatever ends so: past its restarts, a run must end in another way."""
    again = Controller(restarts=1)
    spec = Batch(System.LSF, cores=1, memory="1GB", python="sh", controller=again)
    script = controller_script(spec, "x", ["-c", ends], tmp_path / "run", tmp_path)
    (tmp_path / "run" / "cluster").mkdir(parents=True)
    codes = [
        subprocess.run(["bash"], input=script, text=True, check=False, capture_output=True)
        for _ in range(2)
    ]
    assert [done.returncode for done in codes] == [75 if ends == "exit 75" else becomes, becomes]


def test_a_controller_that_pbs_sends_again_is_followed_by_its_new_number(tmp_path: Path) -> None:
    spec = Batch(System.PBS, cores=1, memory="1GB", python="sh")
    folder, tools = tmp_path / "run", tmp_path / "tools"
    script = controller_script(spec, "x", ["-c", "exit 75"], folder, tmp_path)
    for place in (folder / "cluster", folder / "logs", tools):
        place.mkdir(parents=True)
    record = {"system": "pbs", "cluster": "", "name": "x", "job": "17.server", "at": "now"}
    (folder / "submitted.json").write_text(json.dumps({**record, "folder": str(folder)}))
    before = submitted(folder)
    assert before is not None
    assert before.job == "17.server"
    written(tools, "#!/bin/sh\necho 18.server\n", "qsub").chmod(0o755)
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "PBS_JOBID": "17.server"}
    subprocess.run(["bash"], input=script, text=True, check=False, env=environment)
    after = submitted(folder)
    assert after is not None
    assert after.job == "18.server"


def test_a_controller_takes_back_the_jobs_of_its_own_run_alone(tmp_path: Path) -> None:
    """Where it was refused, another run of the folder is at work, with workers of its own."""
    spec = Batch(System.SLURM, cores=1, memory="1GB", python="sh")
    command = ["-c", f"echo $FOOTFALL_SITTING >> {tmp_path}/sittings; exit 1"]
    script = controller_script(spec, "x", command, tmp_path / "run", tmp_path)
    written(tmp_path, f"#!/bin/sh\necho $* >> {tmp_path}/cancelled\n", "scancel").chmod(0o755)
    for _ in range(2):
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        done = subprocess.run(["bash"], input=script, text=True, check=False, env=environment)
        assert done.returncode == 1
    sittings = (tmp_path / "sittings").read_text().split()
    assert len(set(sittings)) == 2
    name = job_name(tmp_path / "run")
    cancelled = (tmp_path / "cancelled").read_text().splitlines()
    assert cancelled == [f"--me --name={name}-{sitting}" for sitting in sittings]


def test_the_manifest_of_kubernetes(tmp_path: Path) -> None:
    output = dry_run(tmp_path, next(path for path in SHIPPED if path.stem == "kubernetes"))
    manifest = json.loads(script_of(output, "DaskCluster"))
    assert manifest["apiVersion"] == "kubernetes.dask.org/v1"
    assert manifest["kind"] == "DaskCluster"
    worker = manifest["spec"]["worker"]
    assert worker["replicas"] == 4
    (container,) = worker["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "8192Mi"}
    assert container["args"][:2] == ["dask", "worker"]
    assert container["args"][6:8] == ["--memory-limit", str(8 * 2**30)]
    claim = worker["spec"]["volumes"][0]["persistentVolumeClaim"]
    assert claim == {"claimName": "footfall-runs"}
    service = manifest["spec"]["scheduler"]["service"]
    assert service["selector"]["dask.org/cluster-name"] == manifest["metadata"]["name"]


def test_the_request_to_a_gateway(tmp_path: Path) -> None:
    output = dry_run(tmp_path, next(path for path in SHIPPED if path.stem == "gateway"))
    asked = json.loads(script_of(output, "gateway"))
    assert asked["options"] == {"worker_cores": 2, "worker_memory": 8}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('system = "slum"', "slurm"),
        ('system = "slurm"\nworker = 3', "did you mean `workers`"),
        ('system = "slurm"\nworkers = 0', "workers"),
        ('system = "slurm"\nwalltime = "60"', "HH:MM:SS"),
        ('system = "slurm"\nwalltime = "00:00:00"', "HH:MM:SS"),
        ('system = "slurm"\nmemory = "lots"', "8GB"),
        ('system = "slurm"\ndirectives = ["--x\\nrm -rf /"]', "line break"),
        ('system = "slurm"\nprologue = ["a\\nb"]', "line break"),
        ('system = "slurm"\n[controller]\nrestart = 3', "did you mean `restarts`"),
        ('system = "slurm"\n[controller]\ngrace = 0', "grace"),
        ('system = "slurm"\n[controller]\nwalltime = "00:02:00"', "told to stop as it starts"),
        ('workers = 2', "system"),
        ('system = "kubernetes"\nname = "x"', "image"),
        ('system = "kubernetes"\nname = "x"\nimage = "y"\nmemory = "8 gigs"', "8GB"),
    ],
)  # fmt: skip
def test_a_profile_that_is_wrong_is_refused(tmp_path: Path, text: str, named: str) -> None:
    path = written(tmp_path, text, "profile.toml")
    with pytest.raises(ConfigError) as refused:
        load_profile(path)
    assert named in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("key", ["queue", "account", "interface", "local_directory", "python"])
@pytest.mark.parametrize("what", ['system = "slurm"', 'system = "slurm allocation"\nworkers = 2'])
def test_no_text_of_a_profile_is_read_by_a_shell(tmp_path: Path, what: str, key: str) -> None:
    text = f'{what}\ncores = 1\nmemory = "1GB"\n{key} = "$(touch {tmp_path}/bad) x"\n'
    arguments = ["submit", written(tmp_path, SMALL), "--dry-run"]
    arguments += ["--cluster", written(tmp_path, text, "profile.toml")]
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 2
    assert "cannot carry" in done.output
    assert not (tmp_path / "bad").exists()


def test_odd_names_are_quoted_in_the_controllers_script(tmp_path: Path) -> None:
    spec = Batch(System.SLURM, cores=1, memory="1GB", python="echo")
    odd = "a b'; touch bad; '.toml"
    script = controller_script(spec, "x", [odd], tmp_path / "run", tmp_path)
    line = next(line for line in script.splitlines() if line.startswith("echo"))
    said = subprocess.run(
        ["bash", "-c", line.removesuffix(" &")], cwd=tmp_path, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert said.stdout.strip() == odd
    assert not (tmp_path / "bad").exists()


def test_a_site_that_says_nothing_of_a_job_is_asked(tmp_path: Path) -> None:
    arguments = ["submit", written(tmp_path, SMALL), "--dry-run"]
    arguments += ["--cluster", written(tmp_path, 'system = "slurm"', "profile.toml")]
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 2
    assert "jobqueue.slurm.cores" in done.output


def test_what_a_profile_leaves_out_is_the_sites(tmp_path: Path) -> None:
    import dask

    site = {"cores": 3, "memory": "5GB", "queue": "big", "job-extra-directives": ["--exclusive"]}
    with dask.config.set({f"jobqueue.slurm.{key}": value for key, value in site.items()}):
        worker = script_of(dry_run(tmp_path, 'system = "slurm"'), "worker")
    for line in ("-p big", "--cpus-per-task=3", "--mem=5G", "--exclusive", "-t 00:30:00"):
        assert f"#SBATCH {line}\n" in worker


@pytest.mark.parametrize("profile", ['system = "slurm"', 'system = "slurm allocation"\nworkers=2'])
def test_what_is_the_sites_holds_for_the_controller_too(tmp_path: Path, profile: str) -> None:
    import dask

    site = {
        "cores": 3, "memory": "5GB", "queue": "big", "account": "us", "interface": "ib0",
        "python": "/opt/python", "job-extra-directives": ["--exclusive"],
        "job-script-prologue": ["module load x\nmodule load y"],
    }  # fmt: skip
    text = profile + '\ndirectives = ["--exclusive", "--nice"]\nprologue = ["cd x"]'
    with dask.config.set({f"jobqueue.slurm.{key}": value for key, value in site.items()}):
        output = dry_run(tmp_path, text)
    controller, worker = script_of(output, "controller"), script_of(output, "worker")
    for line in ("--partition=big", "--account=us", "--exclusive", "--nice"):
        assert controller.count(f"#SBATCH {line}\n") == 1
    assert "\nmodule load x\nmodule load y\ncd x\n" in controller
    assert "/opt/python -m distributed" in worker
    assert "--interface ib0" in worker


@pytest.mark.parametrize("profile", ['system = "slurm"', 'system = "slurm allocation"\nworkers=2'])
def test_what_the_site_leaves_to_a_nodes_shell_is_filled_in_there(
    tmp_path: Path, profile: str
) -> None:
    import dask

    site = {
        "cores": 1, "memory": "5GB", "local-directory": "$TMPDIR/dask",
        "python": "$HOME/env/bin/python",
    }  # fmt: skip
    with dask.config.set({f"jobqueue.slurm.{key}": value for key, value in site.items()}):
        output = dry_run(tmp_path, profile)
    assert "\n$HOME/env/bin/python -m engine.cli run " in script_of(output, "controller")
    worker = script_of(output, "worker")
    assert "$HOME/env/bin/python -m distributed" in worker
    assert "--local-directory $TMPDIR/dask" in worker


def test_a_step_of_an_allocation_fills_in_what_is_the_sites(tmp_path: Path) -> None:
    import dask

    site = {"local-directory": "$SCRATCH/dask", "python": "$SAYS"}
    with dask.config.set({f"jobqueue.slurm.{key}": value for key, value in site.items()}):
        spec = with_site_defaults(Allocation(2, memory="1GB", encrypted=False))
    words = command(spec, "tcp://n1:1;$(touch bad)", 0, "n1", None)
    said = subprocess.run(
        words[words.index("sh") :], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin", "SCRATCH": "/scratch/me", "SAYS": "echo"},
    ).stdout  # fmt: skip
    assert said.startswith("-m distributed.cli.dask_worker tcp://n1:1;$(touch bad) --name task-0")
    assert said.endswith("--local-directory /scratch/me/dask\n")
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("profile", ['system = "slurm"', 'system = "slurm allocation"\nworkers=2'])
def test_a_sites_prologue_stays_whole_beside_the_profiles(tmp_path: Path, profile: str) -> None:
    """Lines of a shell mean what they mean where they stand: an equal one is not the same."""
    import dask

    sites = ["module purge", "if [ -r x ]; then\n\t. x\nfi"]
    site = {"cores": 1, "memory": "5GB", "job-script-prologue": sites}
    text = f'{profile}\nprologue = ["if [ -r y ]; then", ". y", "fi", "module purge"]'
    with dask.config.set({f"jobqueue.slurm.{key}": value for key, value in site.items()}):
        output = dry_run(tmp_path, text)
    whole = (
        "\nmodule purge\nif [ -r x ]; then\n\t. x\nfi\nif [ -r y ]; then\n. y\nfi\nmodule purge\n"
    )
    sent = ["controller", "worker"] if "allocation" not in profile else ["controller"]
    for name in sent:
        script = script_of(output, name)
        assert script.count(whole) == 1
        assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_only_batch_systems_are_sent_a_run(tmp_path: Path) -> None:
    for text in ('system = "local"', 'system = "address"\naddress = "tcp://x:1"'):
        arguments = ["submit", written(tmp_path, SMALL)]
        arguments += ["--cluster", written(tmp_path, text, "profile.toml")]
        done = CliRunner().invoke(main, list(map(str, arguments)))
        assert done.exit_code == 2
        assert "batch system" in done.output


def test_a_configuration_may_name_its_profile(tmp_path: Path) -> None:
    written(tmp_path, 'system = "kubernetes"\nname = "x"\nimage = "y"', "pods.toml")
    named = SMALL.replace("dashboard = false", 'profile = "pods.toml"')
    config = load_config(written(tmp_path, named))
    assert config.cluster == Kubernetes("x", "y")
    both = named.replace("[cluster]", "[cluster]\nworkers = 2")
    with pytest.raises(ConfigError, match="either `profile` or"):
        load_config(written(tmp_path, both))


def test_a_job_too_small_for_a_worker_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, SMALL))
    large = Batch(System.SLURM, workers=1000, cores=2, memory="2GB")
    planned = workflow.plan(config, cluster=large)
    assert "on 2000 slurm threads in 1000 jobs" in planned.summary()
    with pytest.raises(PlanError, match=r"a worker of 2 threads needs .* its job has 100MB"):
        workflow.plan(config, cluster=Batch(System.SLURM, cores=2, memory="100MB"))


def test_what_becomes_of_a_controller_is_told_where_the_queue_can_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stand-ins for SLURM's commands, which are run for real in test_slurm."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    written(tmp_path, 'system = "slurm"\ncores = 1\nmemory = "1GB"', "profile.toml")
    arguments = ["submit", str(written(tmp_path, SMALL)), "--cluster"]
    arguments += [str(tmp_path / "profile.toml"), "--output", str(tmp_path / "run")]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 2
    assert "there is no `sbatch` here" in refused.output
    for name, says in (("sbatch", "17"), ("squeue", "PENDING")):
        (tools / name).write_text(f"#!/bin/sh\necho {says}\n")
        (tools / name).chmod(0o755)
    assert "slurm job 17" in CliRunner().invoke(main, arguments).output
    assert "slurm job 17" in next(workflow.status(tmp_path / "run"))
    assert "PENDING" in next(workflow.status(tmp_path / "run"))
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 1
    assert "job 17" in again.output
    (tools / "squeue").write_text("#!/bin/sh\nexit 1\n")
    assert "cannot be asked" in next(workflow.status(tmp_path / "run"))
    assert CliRunner().invoke(main, arguments).exit_code == 2  # it may still be at work
    (tools / "squeue").write_text("#!/bin/sh\necho Invalid job id specified >&2\nexit 1\n")
    assert "ended" in next(workflow.status(tmp_path / "run"))
    (tools / "squeue").unlink()
    assert "cannot be asked" in next(workflow.status(tmp_path / "run"))


def test_a_worker_that_ran_out_of_memory_says_so() -> None:
    log = (
        "2026-01-01 - distributed.nanny.memory - WARNING - Worker tls://n1:1 (pid=7) exceeded 95% "
        "memory budget. Restarting...\n"
        "2026-01-01 - distributed.nanny - INFO - Worker process 7 was killed by signal 15\n"
    )
    assert _last_words(log) == "Worker tls://n1:1 (pid=7) exceeded 95% memory budget"
    assert _last_words(log.splitlines()[1]) == "Worker process 7 was killed by signal 15"
    assert _last_words("") == ""


def test_walltimes_and_memories() -> None:
    assert seconds_of("01:02:03") == 3723
    assert seconds_of("2-00:00:30") == 172_830
    assert clock(172_830) == "48:00:30"
    assert bytes_of("8GB") == 8 * 10**9
    assert bytes_of("4Gi") == 4 * 2**30
    for walltime in (60, 600, 3600, 86_400):
        ends, stagger = lifetime(walltime)
        assert ends - stagger > 0
        assert ends + stagger <= walltime - min(walltime // 5, 300)
