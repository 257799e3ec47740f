"""Several files into one folder, each checked before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pooch

from engine.errors import FetchError
from engine.fetch import sums
from engine.fetch.downloads import Progress, download, refuse_another_file, resolved
from engine.fetch.registry import Wanted
from engine.readers.files import sha256

_TRUSTED = "there, its sha256 trusted from now on"
RELEASE = "RELEASE"  # the file that says whose a folder is


def _silent(name: str, done: int, total: int | None) -> None:
    """No progress is shown."""


def fetch(
    files: Sequence[Wanted], folder: Path, release: str, progress: Progress = _silent
) -> Iterator[str]:
    """Download what is not there yet; yields what was done with each file.

    A file that is there is compared with its checksum in `SHA256SUMS`. One that is there and has
    none, as after a download by hand, is compared with the published one if there is any, and
    entered. Files of several releases may have the same
    names, so that a folder belongs to the first whose files are fetched to it.

    Args:
        release: of which database and release the files are, such as "exiobase3 3.8.2-pxp".

    Raises:
        FetchError: a file cannot be had, one that is there has another checksum than when it
            came, or the folder belongs to another release. Files that have come stay.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(
            f"cannot be made ({error.strerror or error})",
            where=str(folder),
            remedy="give another folder with --to",
        ) from error
    _claim(folder, release)
    for file in files:
        path, first = folder / file.name, sums.read(folder).get(file.name)
        if path.exists():
            found = sha256(path)
            done = _by_hand(file, path) if first is None else _there(file, path, first, found)
        else:
            address = resolved(file.url, file.sha256, file.name)
            download(address, file.name, folder, progress)
            found = sha256(path)
            done = _came(address.checksum, first, found)
        sums.enter(folder, file.name, found)
        yield f"{file.name}: {done}"


def _claim(folder: Path, release: str) -> None:
    """Write whose the folder is, or see that it is this one's."""
    path = folder / RELEASE
    try:
        with sums.alone(folder):
            if not path.exists():
                path.write_text(f"{release}\n", encoding="utf-8")
            whose = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FetchError(
            f"cannot be written or read ({error})",
            where=str(path),
            remedy="see that the folder can be written, or give another one with --to",
        ) from error
    if whose != release:
        raise FetchError(
            f"holds {whose}, and {release} is wanted",
            where=str(folder),
            remedy="give each release a folder of its own with --to, for their files may have the "
            f"same names; or, if no file of {whose} has come, delete {RELEASE} there",
        )


def _came(checksum: str | None, first: str | None, found: str) -> str:
    """What is said of a file that was downloaded."""
    if first not in (None, found):
        return f"downloaded; the publisher has revised it since it first came, with sha256 {first}"
    kind = (checksum or "").partition(":")[0]
    return (
        f"downloaded, {kind} as published" if kind else "downloaded, its sha256 trusted from now on"
    )


def _by_hand(file: Wanted, path: Path) -> str:
    """What is said of a file that was put there; it must be the release's, where that can be told.

    Files of several releases may have the same names, so that a repository is asked first.
    """
    refuse_another_file(path, file.name, str(path))
    try:
        checksum = resolved(file.url, file.sha256, file.name).checksum
    except FetchError:
        return f"{_TRUSTED}, since its publisher cannot be asked"
    if checksum is None:
        return _TRUSTED
    kind, _, known = checksum.partition(":")
    found = pooch.file_hash(str(path), kind)
    if found != known:
        raise FetchError(
            f"is not the file of this release: its {kind} is {found}, published {known}",
            where=str(path),
            remedy="take it away, and run the same command; or name the release it is of",
        )
    return f"there, {kind} as published"


def _there(file: Wanted, path: Path, first: str, found: str) -> str:
    """What is said of a file that came before."""
    if first != found:
        raise FetchError(
            f"has changed since it came: its sha256 was {first} and is {found}",
            where=str(path),
            remedy=f"delete it and run the same command; or, if the change is meant, its line in "
            f"{sums.NAME}",
        )
    if file.sha256 and file.sha256 != found:
        return f"there; its sha256 {found} is not the known one, {file.sha256}"
    return "there, unchanged"
