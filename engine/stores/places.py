"""Where files lie: in a folder of this machine, or in an object store that a URL names.

A local place stays a `pathlib.Path`. A remote one is its address and nothing else, so that it can
be sent to any worker and written anywhere: credentials are those of the process that opens it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from engine.errors import ConfigError

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.DOTALL | re.IGNORECASE)
_SQUEEZED = re.compile(r"[a-z][a-z0-9+.-]+:/(?!/)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Remote:
    """An object, or a folder of objects, in a store.

    Attributes:
        protocol: of the URL, such as "s3".
        path: bucket and key, without slashes at either end.
    """

    protocol: str
    path: str

    def __str__(self) -> str:
        return f"{self.protocol}://{self.path}"

    def __truediv__(self, below: str) -> Remote:
        return Remote(self.protocol, str(PurePosixPath(self.path, below)))

    @property
    def name(self) -> str:
        """The last part of the address."""
        return PurePosixPath(self.path).name

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return PurePosixPath(self.path).stem

    @property
    def suffix(self) -> str:
        """The ending of the name, such as ".json"."""
        return PurePosixPath(self.path).suffix

    @property
    def parent(self) -> Remote:
        """The folder that it lies in."""
        return Remote(self.protocol, str(PurePosixPath(self.path).parent))

    def with_name(self, name: str) -> Remote:
        """Another name in the same folder."""
        return self.parent / name


Place: TypeAlias = "Path | Remote"


def place(given: str | Path | Remote) -> Place:
    """The place that a path or URL names.

    Example:
        >>> place("runs/wiod13")
        PosixPath('runs/wiod13')
        >>> place("s3://bucket/runs/") / "wiod13"
        Remote(protocol='s3', path='bucket/runs/wiod13')

    Raises:
        ConfigError: the URL names nothing, is of the web, or carries what may be a secret.
    """
    if isinstance(given, Remote):
        return given
    match = _URL.fullmatch(str(given))
    if match is None:
        _refuse_squeezed(given)
        return Path(given)
    protocol, rest = match[1].lower(), match[2]
    if protocol == "file":
        return Path(unquote(urlsplit(str(given)).path))
    parts = [part for part in rest.split("/") if part not in ("", ".")]
    _refuse_secrets(protocol, rest)
    if protocol in ("http", "https"):
        raise ConfigError(
            "is on the web, which cannot be listed as a folder",
            where=str(given),
            remedy="download the files first, and give the folder they lie in",
        )
    if not parts or ".." in parts or set(rest) & set("*[]"):
        raise ConfigError(
            "is no address of a bucket and what lies in it",
            where=str(given),
            remedy="write such as s3://bucket/folder, without `..`, `*` and brackets",
        )
    return Remote(protocol, "/".join(parts))


def from_anywhere(found: Place) -> Place:
    """The same place for a process with another working directory."""
    return found.absolute() if isinstance(found, Path) else found


def aside(folder: Place) -> Path:
    """Where on disk lies what only a disk can hold: logs and keys of a cluster, pages.

    In the run folder itself; where that is in an object store in a folder of `runs/` whose name no
    other address shares.
    """
    if isinstance(folder, Path):
        return folder
    return Path("runs") / f"{folder.name}-{mark(folder)}"


def mark(folder: Place) -> str:
    """Eight hexadecimal digits for the whole address of a folder."""
    return sha256(str(from_anywhere(folder)).encode()).hexdigest()[:8]


def _refuse_secrets(protocol: str, rest: str) -> None:
    """Addresses are printed and recorded; user names, passwords and signatures must not be."""
    authority, told = rest.partition("/")[0], rest.partition("?")[0]
    if "@" in authority or told != rest:
        raise ConfigError(
            "carries a user, a password or a query, which would be printed and recorded",
            where=f"{protocol}://{told.rpartition('@')[2]}",
            remedy="leave it out; credentials come from the environment, as AWS_PROFILE or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3",
        )


def _refuse_squeezed(given: str | Path) -> None:
    """A URL with one slash would become a folder called `s3:`; so it is after `Path(URL)`."""
    squeezed = _SQUEEZED.match(str(given))
    if squeezed:
        rest = str(given)[squeezed.end() :]  # which may carry a secret
        raise ConfigError(
            "is a URL that has lost a slash, as one does that is made into a `Path`",
            where=squeezed[0] + rest.partition("?")[0].rpartition("@")[2],
            remedy="write two slashes, and in Python give it as text",
        )
