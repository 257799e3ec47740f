"""An encrypted scheduler: who has no certificate of its authority is not let in."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from configs import SERIAL, SMALL, arrays, written
from engine import workflow
from engine.clusters import Address, connect
from engine.config import load_config, load_profile
from engine.errors import ConfigError, StoppedError

ROOT = Path(__file__).parent.parent


def certificates(folder: Path) -> dict[str, str]:
    """An authority, and a certificate of it for everyone on this machine."""
    folder.mkdir()
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return {f"tls_{part}": str(folder / f"{part}.pem") for part in ("ca", "cert", "key")}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return certificates(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def encrypted(files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an encrypted scheduler with one worker, on the loopback address."""
    folder = tmp_path_factory.mktemp("scheduler")
    told = folder / "scheduler.json"
    keys = ["--tls-ca-file", files["tls_ca"], "--tls-cert", files["tls_cert"]]
    keys += ["--tls-key", files["tls_key"], "--protocol", "tls://"]
    start = [sys.executable, "-m"]
    commands = [
        [*start, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
         "--no-dashboard", "--scheduler-file", str(told), *keys],
        [*start, "distributed.cli.dask_worker", "--scheduler-file", str(told), "--host",
         "127.0.0.1", "--nthreads", "2", "--no-dashboard", "--no-nanny", *keys],
    ]  # fmt: skip
    processes = []
    try:
        for command in commands:
            processes.append(
                subprocess.Popen(
                    command,
                    cwd=folder,
                    env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            ends = time.monotonic() + 60
            while not told.exists() and time.monotonic() < ends:
                time.sleep(0.1)
        import json

        yield json.loads(told.read_text())["address"]
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def test_a_run_on_an_encrypted_scheduler_is_the_laptops(
    encrypted: str, files: dict[str, str], tmp_path: Path
) -> None:
    assert encrypted.startswith("tls://127.0.0.1:")
    keys = "\n".join(f'{name} = "{path}"' for name, path in files.items())
    text = f'system = "address"\naddress = "{encrypted}"\nworkers = 2\n{keys}\n'
    profile = load_profile(written(tmp_path, text, "profile.toml"))
    config = load_config(written(tmp_path, SMALL))
    run = workflow.run(config, tmp_path / "run", draws=128, cluster=profile)
    truth = workflow.run(config, tmp_path / "truth", draws=128, cluster=SERIAL)
    assert arrays(run) == arrays(truth)


def test_a_certificate_of_another_authority_is_not_let_in(
    encrypted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.clusters.address.CONNECTING", "3s")
    strangers = certificates(tmp_path / "theirs")
    with (
        pytest.raises(StoppedError, match="no scheduler answers"),
        connect(Address(encrypted, **strangers)),  # type: ignore[arg-type]
    ):
        pytest.fail("a stranger was let in")


def test_an_encrypted_address_needs_its_files(files: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="needs `tls_ca`"), connect(Address("tls://127.0.0.1:1")):
        pass
    wrong = Address("tls://127.0.0.1:1", "/no/such.pem", files["tls_cert"], files["tls_key"])
    with pytest.raises(ConfigError, match="there is no such file"), connect(wrong):
        pass
    plain = Address("tcp://127.0.0.1:1", files["tls_ca"], files["tls_cert"], files["tls_key"])
    with pytest.raises(ConfigError, match="another one none"), connect(plain):
        pass
