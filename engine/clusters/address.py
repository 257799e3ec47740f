"""A scheduler that is running already, with its workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Security

from engine.clusters.admitting import check
from engine.clusters.executing import PATIENCE, Cluster, Distributed, Unwatched, in_time, lost
from engine.clusters.spec import Address
from engine.clusters.workers import Fit
from engine.errors import ConfigError

CONNECTING = "30s"  # for a scheduler to answer


@contextmanager
def address(spec: Address) -> Iterator[Cluster]:
    """Connect to a scheduler and leave it as it was.

    Raises:
        ConfigError: a certificate cannot be read, or an encrypted address has none.
        StoppedError: nobody answers there.
        PlanError: a worker is not like this process.
    """
    with dask.config.set({"distributed.comm.timeouts.connect": CONNECTING}):
        try:
            client = Client(spec.address, security=_security(spec), set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise lost(f"no scheduler answers at {spec.address} ({_words(error)})") from error
        with client:
            check(client)
            try:
                watch = Unwatched("see its log, on the host of {address}")
                yield Distributed(client, spec.slots, str(client.dashboard_link), watch)
            finally:
                if client.status == "running":
                    with suppress(Exception):
                        in_time(PATIENCE / 6, lambda: client.unregister_worker_plugin(Fit.name))


def _security(spec: Address) -> Security | None:
    files = {"tls_ca_file": spec.tls_ca, "tls_client_cert": spec.tls_cert}
    files["tls_client_key"] = spec.tls_key
    given: dict[str, Any] = {name: path for name, path in files.items() if path is not None}
    encrypted = spec.address.startswith("tls://")
    if encrypted != (len(given) == len(files)):
        raise ConfigError(
            "an encrypted address needs `tls_ca`, `tls_cert` and `tls_key`, another one none",
            where=spec.address,
            remedy="name all three files, or none of them with a tcp:// address",
        )
    for path in given.values():
        if not Path(path).is_file():
            raise ConfigError(
                "there is no such file", where=path, remedy="name the certificate or key in PEM"
            )
    return Security(require_encryption=True, **given) if encrypted else None


def _words(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
