"""The databases that footfall knows how to download: `registry.toml`, read.

A release is one edition in one classification, whose files belong into one folder. A file's `name`
and `url` may hold `{year}`, `{span}` (as "1995-2000") or `{id}`; without any of them it is the same
file for all years. An address that begins with doi: is that of a file in a repository (Zenodo,
Dataverse), which then also tells its checksum.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files

from engine.errors import FetchError


@dataclass(frozen=True, slots=True)
class File:
    """One file, or one for each year or span of years.

    Attributes:
        name: under which it is kept, as the readers expect it.
        url: its address.
        years: first and last year, of a file a year without identifiers.
        spans: of a file for several years, such as "1995-2000".
        ids: identifier of the file of each year.
        sha256: known checksums, by name.
    """

    name: str
    url: str
    years: tuple[int, int] | None = None
    spans: tuple[str, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Release:
    """One edition of a database in one classification.

    Attributes:
        name: such as "2025-ixi".
        files: what there is to download.
        tried: whether its addresses were tried.
        by_hand: what must be downloaded by hand, and where.
        licence, licence_text: of this release, where it differs from the database's.
    """

    name: str
    files: tuple[File, ...]
    tried: bool = False
    by_hand: str = ""
    licence: str = ""
    licence_text: str = ""


@dataclass(frozen=True, slots=True)
class Database:
    """A publisher's database.

    Attributes:
        name: as `footfall fetch` calls it.
        title: what it is.
        page: the publisher's page.
        licence: its name.
        licence_text: the address of its text, which may be a file of a repository.
        notice: what it asks, in short, and what to cite.
        reader: the reader of the tables, or what the files are for.
        register: why it cannot be downloaded here: it needs a registration.
        releases: the newest first; that is the one meant if none is named.
    """

    name: str
    title: str
    page: str
    licence: str
    licence_text: str
    notice: str
    reader: str
    register: str = ""
    releases: tuple[Release, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to download: name, address, and its sha256 where known."""

    name: str
    url: str
    sha256: str = ""


@lru_cache
def databases() -> Mapping[str, Database]:
    """Every database, by name."""
    content = files("engine.fetch").joinpath("registry.toml").read_text(encoding="utf-8")
    return parsed(content)


def parsed(text: str) -> dict[str, Database]:
    """A registry's text, read.

    Raises:
        TypeError: a key is unknown or missing.
    """
    return {name: _database(name, **keys) for name, keys in tomllib.loads(text).items()}


def _database(name: str, releases: Sequence[Mapping[str, object]] = (), **keys: str) -> Database:
    return Database(name=name, releases=tuple(_release(**one) for one in releases), **keys)  # type: ignore[arg-type]


def _release(files: Sequence[Mapping[str, object]] = (), **keys: object) -> Release:
    return Release(files=tuple(_file(**one) for one in files), **keys)  # type: ignore[arg-type]


def _file(**keys: object) -> File:
    for listed in ("years", "spans"):
        if listed in keys:
            keys[listed] = tuple(keys[listed])  # type: ignore[arg-type]
    return File(**keys)  # type: ignore[arg-type]


def release(name: str, edition: str | None = None) -> tuple[Database, Release]:
    """A database and one of its releases, the newest if none is named.

    Raises:
        FetchError: there is no such database or release, or it needs a registration.
    """
    known = databases()
    if name not in known:
        raise FetchError(
            f"there is no database `{name}`",
            where="footfall fetch",
            remedy=_nearest(name, tuple(known)),
        )
    database = known[name]
    if database.register:
        raise FetchError(
            f"{database.title} needs a registration, so that footfall cannot download it",
            where=name,
            remedy=database.register,
        )
    found = {one.name: one for one in database.releases}
    if edition is not None and edition not in found:
        raise FetchError(
            f"has no release `{edition}`", where=name, remedy=_nearest(edition, tuple(found))
        )
    return database, database.releases[0] if edition is None else found[edition]


def wanted(chosen: Release, years: Sequence[int], database: str) -> tuple[Wanted, ...]:
    """The files of these years, each once; those of all years come last.

    Raises:
        FetchError: the release has no table of a year, or has one of each year and none is named.
    """
    if not years and any(_by_year(file) for file in chosen.files):
        raise FetchError(
            "has files of years, and none is named",
            where=f"{database} {chosen.name}",
            remedy=f"say which with --years; it has {', '.join(_years_of(chosen))}",
        )
    found: dict[str, Wanted] = {}
    covered: set[int] = set()
    for file in chosen.files:
        for given in _fillings(file, years):
            covered |= given.years
            name = file.name.format(**given.filling)
            found[name] = Wanted(name, file.url.format(**given.filling), file.sha256.get(name, ""))
    missing = sorted(set(years) - covered)
    if missing and any(_by_year(file) for file in chosen.files):
        raise FetchError(
            f"has no files of {', '.join(map(str, missing))}",
            where=f"{database} {chosen.name}",
            remedy=f"it has {', '.join(_years_of(chosen))}",
        )
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class _Filling:
    years: set[int]
    filling: Mapping[str, object]


def _fillings(file: File, years: Sequence[int]) -> Iterator[_Filling]:
    if not _by_year(file):
        yield _Filling(set(), {})
    for year in years:
        if file.years is not None and file.years[0] <= year <= file.years[1]:
            yield _Filling({year}, {"year": year})
        elif str(year) in file.ids:
            yield _Filling({year}, {"year": year, "id": file.ids[str(year)]})
        for span in file.spans:
            first, last = map(int, span.split("-"))
            if first <= year <= last:
                yield _Filling({year}, {"span": span})


def _by_year(file: File) -> bool:
    return file.years is not None or bool(file.spans) or bool(file.ids)


def _years_of(chosen: Release) -> list[str]:
    found: list[str] = []
    for file in chosen.files:
        if file.years is not None:
            found.append(f"{file.years[0]}-{file.years[1]}")
        found += file.spans
        if file.ids:
            found.append(f"{min(file.ids)}-{max(file.ids)}")
    return list(dict.fromkeys(found))


def listing() -> Iterator[str]:
    """What `--list` prints: every database with its releases, years, licence and reader."""
    for database in databases().values():
        yield f"{database.name}: {database.title}"
        address = _shown(database.licence_text)
        yield f"  reader {database.reader}; licence {database.licence} ({address})"
        if database.register:
            yield f"  needs a registration: {database.register}"
        for one in database.releases:
            tried = "" if one.tried or not one.files else "; addresses not tried"
            years = ", ".join(_years_of(one)) or "all years"
            yield f"  {one.name}: {years}{tried}"
            if one.licence:
                yield f"    licence {one.licence} ({_shown(one.licence_text)})"
            if one.by_hand:
                yield f"    by hand: {one.by_hand}"


def terms(database: Database, chosen: Release) -> Iterator[str]:
    """The licence, where its text is, and what it asks."""
    yield f"{database.title}, release {chosen.name}: {database.page}"
    address = chosen.licence_text or database.licence_text
    yield f"licence: {chosen.licence or database.licence}, {_shown(address)}"
    yield database.notice


def _shown(address: str) -> str:
    """An address as a browser takes it."""
    return address.replace("doi:", "https://doi.org/").removesuffix("/LICENSE.txt")


def _nearest(word: str, known: Sequence[str]) -> str:
    listed = f"there are {', '.join(known)}"
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`? {listed}" if close else listed
