"""Keys for one run, with which its scheduler and its workers know each other (TLS both ways)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Security

from engine.errors import ConfigError

_PARTS = {
    "tls_ca_file": "ca.pem",
    "tls_worker_cert": "worker.pem",
    "tls_worker_key": "worker-key.pem",
}


@contextmanager
def keys_for_this_run(folder: Path) -> Iterator[Security]:
    """New keys; what workers need lies in a folder in `folder`, for this user alone, until the end.

    Of each sitting it is another, so that a run which was taken over can remove its own alone. A
    controller that is killed leaves its keys behind: they open nothing, for its scheduler is gone,
    and the next one, which holds the run folder, removes them.

    Raises:
        ConfigError: the package that makes keys is not installed.
    """
    try:
        security: Security = Security.temporary()
    except ImportError:
        raise ConfigError(
            "encryption needs the package cryptography, which is not installed",
            where="cluster.encrypted",
            remedy="pip install 'footfall[jobqueue]', or `encrypted = false` on a trusted network",
        ) from None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.glob("keys-*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="keys-", dir=folder, ignore_cleanup_errors=True) as own:
        for part, name in _PARTS.items():
            path = Path(own, name)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(getattr(security, part))
            setattr(security, part, str(path))
        yield security


def named_keys(folder: Path) -> Security:
    """The names alone, for scripts that are only shown."""
    files = {part: str(folder / "keys-SITTING" / name) for part, name in _PARTS.items()}
    return Security(require_encryption=True, **files)


def worker_arguments(security: Security) -> list[str]:
    """What a worker's command line says of its keys."""
    named = security.get_tls_config_for_role("worker")
    files = (("--tls-ca-file", "ca_file"), ("--tls-cert", "cert"), ("--tls-key", "key"))
    return ["--protocol", "tls://", *(w for option, part in files for w in (option, named[part]))]
