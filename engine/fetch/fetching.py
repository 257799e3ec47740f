"""Several files into one folder, each checked before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.errors import FetchError
from engine.fetch import sums
from engine.fetch.downloads import Progress, download, resolved
from engine.fetch.registry import Wanted
from engine.readers.files import sha256


def _silent(name: str, done: int, total: int | None) -> None:
    """No progress is shown."""


def fetch(files: Sequence[Wanted], folder: Path, progress: Progress = _silent) -> Iterator[str]:
    """Download what is not there yet; yields what was done with each file.

    A file that is there is compared with its checksum in `SHA256SUMS`. One that is there and has
    none, as after a download by hand, is entered.

    Raises:
        FetchError: a file cannot be had, or one that is there has another checksum than when it
            came. Files that have come stay.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(
            f"cannot be made ({error.strerror or error})",
            where=str(folder),
            remedy="give another folder with --to",
        ) from error
    for file in files:
        path, known = folder / file.name, sums.read(folder)
        if path.exists():
            yield _there(file, path, known)
        else:
            address = resolved(file.url, file.sha256, file.name)
            download(address, file.name, folder, progress)
            kind = (address.checksum or "").partition(":")[0]
            yield f"{file.name}: downloaded, " + (
                f"{kind} as published" if kind else "its sha256 trusted from now on"
            )
        sums.write(folder, sums.read(folder) | {file.name: sha256(path)})


def _there(file: Wanted, path: Path, known: dict[str, str]) -> str:
    found = sha256(path)
    first = known.get(file.name)
    if first is not None and first != found:
        raise FetchError(
            f"has changed since it came: its sha256 was {first} and is {found}",
            where=str(path),
            remedy=f"delete it and run the same command; or, if the change is meant, its line in "
            f"{sums.NAME}",
        )
    if file.sha256 and file.sha256 != found:
        return f"{file.name}: there; its sha256 {found} is not the known one, {file.sha256}"
    return f"{file.name}: there, " + ("unchanged" if first else "its sha256 trusted from now on")
