"""Keys for one run, with which its scheduler and its workers know each other (TLS both ways)."""

from __future__ import annotations

import os
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
    """New keys; what workers need lies in `folder`, for this user's eyes, until the end.

    A controller that is killed leaves its keys behind: they open nothing, for its scheduler is
    gone, and the next one replaces them.

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
    written = []
    try:
        for part, name in _PARTS.items():
            path = folder / name
            path.unlink(missing_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(getattr(security, part))
            written.append(path)
            setattr(security, part, str(path))
        yield security
    finally:
        for path in written:
            path.unlink(missing_ok=True)


def named_keys(folder: Path) -> Security:
    """The names alone, for scripts that are only shown."""
    files = {part: str(folder / name) for part, name in _PARTS.items()}
    return Security(require_encryption=True, **files)


def worker_arguments(security: Security) -> list[str]:
    """What a worker's command line says of its keys."""
    named = security.get_tls_config_for_role("worker")
    files = (("--tls-ca-file", "ca_file"), ("--tls-cert", "cert"), ("--tls-key", "key"))
    return ["--protocol", "tls://", *(w for option, part in files for w in (option, named[part]))]
