"""Downloads from a server on this machine that breaks off, lies, redirects and refuses."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pooch
import pytest
from hypothesis import HealthCheck, given, settings

from configs import footfall, said
from engine.errors import FetchError
from engine.fetch import downloads, fetch, registry, sums
from engine.fetch.registry import Wanted, databases, parsed, release, wanted

BODY = b"row,R0_P0,R1_P0\n" + b"".join(b"%d,%d,%d\n" % (i, 7 * i, 11 * i) for i in range(4000))
SHA256 = hashlib.sha256(BODY).hexdigest()
NAME = "table_2020.csv"


def archive(content: bytes = BODY) -> bytes:
    """A zip with one member, whose bytes never change."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as written:
        written.writestr(zipfile.ZipInfo("table.csv"), content)
    return stream.getvalue()


@dataclass
class Publisher:
    """What a server does with the next requests."""

    body: bytes = BODY
    tag: str = '"one"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)  # bytes sent before the connection is cut
    statuses: list[int] = field(default_factory=list)  # answered before anything is sent
    kind: str = "text/csv"
    licence: str = "text/plain; charset=utf-8"
    packed: bool = False
    robots: bool = False  # whether it sends a page instead of what a repository knows
    asked: list[str] = field(default_factory=list)  # the Range of each request
    heedless: bool = False  # whether it sends a rest whatever it is asked
    lengths: bool = True
    target: str = "/table"  # of its redirection
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """One request."""
        self.asked.append(request.headers.get("Range", ""))
        if self.statuses:
            request.send_error(self.statuses.pop(0))
            return
        if request.path == "/moved":
            request.send_response(302)
            request.send_header("Location", self.target)
            request.end_headers()
            return
        if request.path == "/licence":
            request.send_response(200)
            request.send_header("Content-Type", self.licence)
            request.end_headers()
            request.wfile.write(b"Do as you like.")
            return
        if request.path.startswith("/api/datasets"):
            return self._dataset(request)
        start = 0
        match = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        same = self.heedless or request.headers.get("If-Range") == self.tag
        if self.ranges and match and same:
            start = int(match[1])
            if start >= len(self.body):
                request.send_error(416)
                return
        request.send_response(206 if start else 200)
        if start:
            last = len(self.body) - 1
            request.send_header("Content-Range", f"bytes {start}-{last}/{len(self.body)}")
        if self.lengths:
            request.send_header("Content-Length", str(len(self.body) - start))
        if self.packed:
            request.send_header("Content-Encoding", "gzip")
        if self.tag:
            request.send_header("ETag", self.tag)
        request.send_header("Content-Type", self.kind)
        request.end_headers()
        rest = self.body[start:]
        request.wfile.write(rest[: self.cuts.pop(0)] if self.cuts else rest)

    def _dataset(self, request: BaseHTTPRequestHandler) -> None:
        """A Dataverse that holds one file."""
        md5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
        file = {"dataFile": {"filename": NAME, "id": 7, "md5": md5}}
        text = json.dumps({"data": {"latestVersion": {"files": [file]}}}).encode()
        text = b"<html>robots</html>" if self.robots else text
        request.send_response(200)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    here = Publisher()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.answer(self)

        def log_message(self, *words: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    here.url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    monkeypatch.setattr(downloads, "_CHUNK", 1000)
    yield here
    server.shutdown()
    thread.join()
    server.server_close()


def fetched(publisher: Publisher, folder: Path, name: str = NAME, **keys: str) -> list[str]:
    """The lines of one file's download."""
    path = keys.pop("path", "/table")
    return list(fetch([Wanted(name, publisher.url + path, **keys)], folder, "made 1"))


def left(folder: Path) -> list[str]:
    """Names of what is in a folder, but for the file that says whose it is."""
    return sorted(path.name for path in folder.iterdir() if path.name != "RELEASE")


def test_a_file_comes_whole_with_its_checksum_beside_it(
    publisher: Publisher, tmp_path: Path
) -> None:
    assert fetched(publisher, tmp_path / "new") == [
        f"{NAME}: downloaded, its sha256 trusted from now on"
    ]
    assert (tmp_path / "new" / NAME).read_bytes() == BODY
    assert (tmp_path / "new" / sums.NAME).read_text() == f"{SHA256}  {NAME}\n"
    assert left(tmp_path / "new") == sorted([sums.NAME, NAME])
    assert fetched(publisher, tmp_path / "new") == [f"{NAME}: there, unchanged"]
    assert len(publisher.asked) == 1


def test_a_known_checksum_is_asked_for_and_a_wrong_file_is_deleted(
    publisher: Publisher, tmp_path: Path
) -> None:
    assert fetched(publisher, tmp_path / "right", sha256=SHA256) == [
        f"{NAME}: downloaded, sha256 as published"
    ]
    with pytest.raises(FetchError, match="does not have the checksum it should have"):
        fetched(publisher, tmp_path / "wrong", sha256="0" * 64)
    assert left(tmp_path / "wrong") == []


def test_what_changes_after_it_came_is_told(publisher: Publisher, tmp_path: Path) -> None:
    fetched(publisher, tmp_path)
    (tmp_path / NAME).write_bytes(BODY[:-1])
    with pytest.raises(FetchError, match="has changed since it came") as error:
        fetched(publisher, tmp_path)
    assert SHA256 in str(error.value)
    (tmp_path / NAME).unlink()
    assert fetched(publisher, tmp_path) == [f"{NAME}: downloaded, its sha256 trusted from now on"]
    (tmp_path / NAME).unlink()
    publisher.body = BODY[::-1]
    (words,) = fetched(publisher, tmp_path)
    assert f"has revised it since it first came, with sha256 {SHA256}" in words


def test_a_file_put_there_by_hand_is_entered(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(BODY)
    assert fetched(publisher, tmp_path) == [f"{NAME}: there, its sha256 trusted from now on"]
    assert sums.read(tmp_path) == {NAME: SHA256}
    assert fetched(publisher, tmp_path, sha256="1" * 64)[0].endswith(
        "not the known one, " + "1" * 64
    )
    assert publisher.asked == []


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(cuts=st.lists(st.integers(0, len(BODY) // 3), max_size=6), ranges=st.booleans())
def test_however_it_breaks_off_the_file_is_whole_or_not_there(
    publisher: Publisher, tmp_path_factory: pytest.TempPathFactory, cuts: list[int], ranges: bool
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    publisher.cuts, publisher.ranges = list(cuts), ranges
    with suppress(FetchError):  # more cuts than there are attempts
        fetched(publisher, folder)
    if NAME not in left(folder):
        publisher.cuts = []
        fetched(publisher, folder)
    assert (folder / NAME).read_bytes() == BODY
    assert left(folder) == sorted([sums.NAME, NAME])


def test_the_next_command_goes_on_where_it_was_interrupted(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    publisher.cuts = [30_000]
    with monkeypatch.context() as patch:
        patch.setattr(downloads.time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetched(publisher, tmp_path)
    assert (tmp_path / f"{NAME}.part").stat().st_size == 30_000
    fetched(publisher, tmp_path)
    assert publisher.asked == ["", "bytes=30000-"]
    assert (tmp_path / NAME).read_bytes() == BODY


def test_a_file_that_changed_meanwhile_is_sent_whole(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def revised(seconds: float) -> None:
        publisher.body, publisher.tag = BODY[::-1], '"two"'

    publisher.cuts = [30_000]
    monkeypatch.setattr(downloads.time, "sleep", revised)
    fetched(publisher, tmp_path)
    assert publisher.asked == ["", "bytes=30000-"]
    assert (tmp_path / NAME).read_bytes() == BODY[::-1]


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_without_a_strong_tag_nothing_is_pieced_together(
    publisher: Publisher, tmp_path: Path, tag: str
) -> None:
    publisher.cuts, publisher.tag = [30_000], tag
    fetched(publisher, tmp_path)
    assert publisher.asked == ["", ""]
    assert (tmp_path / NAME).read_bytes() == BODY


def test_a_rest_that_cannot_be_had_begins_anew(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(bytes(len(BODY) + 5))  # longer than the file
    state = {"url": f"{publisher.url}/table", "validator": publisher.tag}
    (tmp_path / f"{NAME}.part.json").write_text(json.dumps(state))
    fetched(publisher, tmp_path)
    assert publisher.asked == [f"bytes={len(BODY) + 5}-", ""]
    assert (tmp_path / NAME).read_bytes() == BODY


def test_redirects_are_followed_and_a_busy_server_is_asked_again(
    publisher: Publisher, tmp_path: Path
) -> None:
    publisher.statuses = [503, 429]
    fetched(publisher, tmp_path, path="/moved")
    assert (tmp_path / NAME).read_bytes() == BODY


@pytest.mark.parametrize(
    ("status", "said_so", "remedy"),
    [
        (404, "has no such file", "--list"),
        (403, "does not give it to this program", "in a browser"),
        (503, "busy or broken", "later"),
        (418, "status 418", "in a browser"),
    ],
)
def test_a_refusal_is_one_clear_error(
    publisher: Publisher, tmp_path: Path, status: int, said_so: str, remedy: str
) -> None:
    publisher.statuses = [status] * downloads.ATTEMPTS
    with pytest.raises(FetchError) as error:
        fetched(publisher, tmp_path)
    assert said_so in error.value.what
    assert remedy in error.value.remedy
    assert NAME in error.value.where
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "body", "kind", "words"),
    [
        (NAME, b"<!DOCTYPE html><html>robots</html>", "text/html", "taken for a robot"),
        (NAME, b"\n<html>robots</html>", "text/csv", "taken for a robot"),
        ("a.zip", b'{"error": "no"}', "application/zip", "something else than the file"),
        ("a.tsv.gz", b"freq\tgeo\n", "text/plain", "something else than the file"),
        (NAME, b'{"error": "busy"}', "text/csv", "something else than the file"),
        (NAME, b'\xef\xbb\xbf<?xml version="1.0"?><fault/>', "text/csv", "something else than"),
        ("a.tsv.gz", gzip.compress(BODY)[:-30], "text/plain", "is an archive without its end"),
        ("a.zip", archive()[:-30], "application/zip", "is an archive without its end"),
        (NAME, b"", "text/csv", "is empty"),
    ],
)
def test_what_is_plainly_not_the_file_is_never_kept(
    publisher: Publisher, tmp_path: Path, name: str, body: bytes, kind: str, words: str
) -> None:
    publisher.body, publisher.kind = body, kind
    with pytest.raises(FetchError, match=words):
        fetched(publisher, tmp_path, name)
    assert left(tmp_path) == []


def test_what_a_server_packs_unasked_is_unpacked_unless_it_is_a_gz(
    publisher: Publisher, tmp_path: Path
) -> None:
    publisher.body, publisher.packed = gzip.compress(BODY), True
    fetched(publisher, tmp_path)
    assert (tmp_path / NAME).read_bytes() == BODY
    fetched(publisher, tmp_path, "table.tsv.gz")
    assert (tmp_path / "table.tsv.gz").read_bytes() == publisher.body


def test_a_page_does_not_cost_what_has_come(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def robots(seconds: float) -> None:
        publisher.kind, publisher.ranges = "text/html; charset=utf-8", False

    publisher.cuts = [30_000]
    monkeypatch.setattr(downloads.time, "sleep", robots)
    with pytest.raises(FetchError, match="robot"):
        fetched(publisher, tmp_path)
    assert (tmp_path / f"{NAME}.part").read_bytes() == BODY[:30_000]


def test_no_network_and_a_full_disk_are_told(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FetchError, match="broke off or could not begin") as error:
        list(fetch([Wanted(NAME, "http://127.0.0.1:9/table")], tmp_path, "made 1"))
    assert "network" in error.value.remedy
    usage = downloads.shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(FetchError, match="100 are free") as error:
        fetched(publisher, tmp_path)
    assert "free disk space" in error.value.remedy


def test_a_server_that_does_not_look_at_if_range_pieces_nothing_together(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def revised(seconds: float) -> None:
        publisher.body, publisher.tag, publisher.heedless = BODY[::-1], '"two"', True

    publisher.cuts = [30_000]
    monkeypatch.setattr(downloads.time, "sleep", revised)
    fetched(publisher, tmp_path)
    assert publisher.asked == ["", "bytes=30000-", ""]
    assert (tmp_path / NAME).read_bytes() == BODY[::-1]


def test_a_redirect_to_what_cannot_be_asked_is_no_wrong_checksum(
    publisher: Publisher, tmp_path: Path
) -> None:
    publisher.target = "gopher://example.org/table"
    with pytest.raises(FetchError, match="could not begin"):
        fetched(publisher, tmp_path, path="/moved")
    assert left(tmp_path) == []


def test_what_comes_without_a_length_is_whole_or_refused(
    publisher: Publisher, tmp_path: Path
) -> None:
    publisher.lengths, publisher.body = False, archive()
    fetched(publisher, tmp_path, "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == archive()
    publisher.cuts = [len(archive()) // 2]
    with pytest.raises(FetchError, match="without its end"):
        fetched(publisher, tmp_path, "b.zip")
    assert left(tmp_path) == [sums.NAME, "a.zip"]


def test_a_folder_belongs_to_one_release(publisher: Publisher, tmp_path: Path) -> None:
    fetched(publisher, tmp_path)
    with pytest.raises(FetchError, match="holds made 1, and made 2 is wanted") as error:
        list(fetch([Wanted(NAME, f"{publisher.url}/table")], tmp_path, "made 2"))
    assert "--to" in error.value.remedy


def test_a_page_that_was_saved_by_hand_is_not_entered(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"<!doctype html><html>log in</html>")
    with pytest.raises(FetchError, match="something else than the file"):
        fetched(publisher, tmp_path, "a.zip")
    assert left(tmp_path) == ["a.zip"]


def test_several_at_once_enter_all_their_checksums(publisher: Publisher, tmp_path: Path) -> None:
    names = [f"{number}.csv" for number in range(12)]
    with ThreadPoolExecutor(6) as several:
        list(several.map(lambda name: fetched(publisher, tmp_path, name), names))
    assert sums.read(tmp_path) == dict.fromkeys(names, SHA256)


def test_two_downloads_of_one_file_do_not_mix(publisher: Publisher, tmp_path: Path) -> None:
    held = downloads._locked(tmp_path / f"{NAME}.part")
    with held, pytest.raises(FetchError, match="another process is downloading it"):
        fetched(publisher, tmp_path)


def test_a_file_put_there_by_hand_must_be_the_releases(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Archives of several releases have the same names; a repository tells them apart."""
    path, there = tmp_path / NAME, [Wanted(NAME, f"doi:10.5072/X/{NAME}")]
    monkeypatch.setattr(
        pooch.downloaders, "doi_to_url", lambda doi, **keys: f"{publisher.url}/dataset"
    )
    path.write_bytes(BODY)
    with pytest.raises(FetchError, match=f"its sha256 is {SHA256}, published 1111"):
        fetched(publisher, tmp_path, sha256="1" * 64)
    for body, robots, words in (
        (BODY, False, "there, md5 as published"),
        (BODY[:-1], False, ""),
        (BODY, True, "there, its sha256 trusted from now on, since its publisher cannot be asked"),
    ):
        downloads._repository.cache_clear()
        path.write_bytes(body)
        (tmp_path / sums.NAME).unlink(missing_ok=True)
        publisher.robots = robots
        if words:
            assert list(fetch(there, tmp_path, "made 1")) == [f"{NAME}: {words}"]
            assert sums.read(tmp_path) == {NAME: SHA256}
        else:
            with pytest.raises(FetchError, match="is not the file of this release: its md5 is"):
                list(fetch(there, tmp_path, "made 1"))
            assert sums.read(tmp_path) == {}
    downloads._repository.cache_clear()


def test_damaged_checksums_are_refused(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / sums.NAME).write_bytes(b"\xff")
    with pytest.raises(FetchError, match="cannot be read"):
        fetched(publisher, tmp_path)
    (tmp_path / sums.NAME).write_text(f"{SHA256}  {NAME}\nnonsense\n")
    with pytest.raises(FetchError, match="no line of a checksum") as error:
        fetched(publisher, tmp_path)
    assert "line 2" in error.value.where


def test_a_repository_tells_address_and_checksum(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads._repository.cache_clear()
    monkeypatch.setattr(
        pooch.downloaders, "doi_to_url", lambda doi, **keys: f"{publisher.url}/dataset"
    )
    found = list(fetch([Wanted(NAME, f"doi:10.5072/X/{NAME}")], tmp_path, "made 1"))
    assert found == [f"{NAME}: downloaded, md5 as published"]
    assert (tmp_path / NAME).read_bytes() == BODY
    with pytest.raises(FetchError, match="has no such file") as error:
        list(fetch([Wanted("other.csv", "doi:10.5072/X/other.csv")], tmp_path, "made 1"))
    assert "https://doi.org/10.5072/X" in error.value.where
    publisher.body = BODY[::-1]
    (tmp_path / NAME).unlink()
    with pytest.raises(FetchError, match="checksum"):
        list(fetch([Wanted(NAME, f"doi:10.5072/X/{NAME}")], tmp_path, "made 1"))
    for statuses in ([], [403]):  # a page for robots, and a refusal
        downloads._repository.cache_clear()
        publisher.robots, publisher.statuses = True, statuses
        with pytest.raises(FetchError, match="does not say where the file is") as error:
            list(fetch([Wanted(NAME, f"doi:10.5072/X/{NAME}")], tmp_path, "made 1"))
        assert "in a browser" in error.value.remedy
    downloads._repository.cache_clear()


def test_the_registry_is_whole() -> None:
    names = []
    for database in databases().values():
        assert database.licence
        for whose in (database, *database.releases):
            assert whose.licence_text.startswith(("https://", "doi:10.")) or whose is not database
        assert database.page.startswith("https://")
        assert bool(database.register) != bool(database.releases)
        for one in database.releases:
            assert one.files
            assert len({file.name for file in one.files}) == len(one.files)
            years = [year for year in range(1990, 2031) if _has(one, year)] or [2010]
            for file in wanted(one, years, database.name):
                assert file.url.startswith(("https://", "doi:10."))
                assert "{" not in file.url + file.name
                names.append((database.name, one.name, file.name))
            for file in one.files:
                assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in file.sha256.values())
                ids = list(file.ids.values())
                assert len(set(ids)) == len(ids)
    assert len(set(names)) == len(names)


def _has(one: registry.Release, year: int) -> bool:
    try:
        wanted(one, [year], "")
    except FetchError:
        return False
    return any(registry._by_year(file) for file in one.files)


MINE = """
[made]
title = "SYNTHETIC tables"
page = "https://example.org"
licence = "CC0"
licence_text = "{url}/licence"
notice = "Nothing is asked."
reader = "toy"

[[made.releases]]
name = "2"
by_hand = "the accounts"

[[made.releases.files]]
name = "table_{{year}}.csv"
url = "{url}/table?year={{year}}"
years = [2019, 2021]

[[made.releases.files]]
name = "{{span}}.csv"
url = "{url}/table?span={{span}}"
spans = ["2019-2020"]

[[made.releases]]
name = "1"

[[made.releases.files]]
name = "all.csv"
url = "{url}/table"

[closed]
title = "closed tables"
page = "https://example.org"
licence = "as registered"
licence_text = "https://example.org"
notice = ""
reader = "toy"
register = "register at https://example.org"
"""


@pytest.fixture
def mine(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command knows the made-up databases alone."""
    known = parsed(MINE.format(url=publisher.url))
    monkeypatch.setattr(registry, "databases", lambda: known)


@pytest.mark.usefixtures("mine")
def test_the_command_shows_the_licence_and_downloads(publisher: Publisher, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    words = ("fetch", "made", "--years", "2019-2021", "--to", str(folder))
    refused = footfall(*words)
    assert refused.exit_code == 1
    assert "Do as you like." in refused.output
    publisher.licence = "text/html"
    refused = footfall(*words)
    assert "read it there" in refused.output
    assert not folder.exists()
    text = said(*words, "--accept-licence")
    assert f"licence: CC0, {publisher.url}/licence" in text
    assert "Do as you like." not in text
    assert "table_2020.csv: downloaded" in text
    assert "to be downloaded by hand: the accounts" in text
    names = ["2019-2020.csv", *(f"table_{year}.csv" for year in (2019, 2020, 2021))]
    assert left(folder) == sorted([sums.NAME, *names])
    assert said(*words, "--accept-licence").count("there, unchanged") == 4


@pytest.mark.usefixtures("mine")
def test_the_command_lists_and_refuses(tmp_path: Path) -> None:
    text = said("fetch", "--list")
    assert "made: SYNTHETIC tables" in text
    assert "2: 2019-2021, 2019-2020; addresses not tried" in text
    assert "needs a registration: register at https://example.org" in text
    for words, expected in [
        (["mode", "--years", "2019"], "did you mean `made`?"),
        (["made", "--years", "2018"], "has no files of 2018"),
        (["made", "--years", "2019", "--release", "3"], "has no release `3`"),
        (["closed", "--years", "2019"], "needs a registration"),
        (["made"], "say which with --years; it has 2019-2021"),
        (["made", "--years", "2021-2019"], "ends before it begins"),
        (["made", "--years", "2021-"], "is not such as 2010-2021"),
        (["made", "--years", "²"], "is not such as 2010-2021"),
        (["oecd"], "there are "),
        (["made", "--years", "20x"], "is not such as 2010-2021"),
    ]:
        refused = footfall("fetch", *words, "--to", str(tmp_path), "--accept-licence")
        assert refused.exit_code != 0
        assert expected in refused.output
    assert left(tmp_path) == []
    assert "all.csv: downloaded" in said(
        "fetch", "made", "--release", "1", "--to", str(tmp_path), "--accept-licence"
    )


def test_a_release_is_chosen_by_name() -> None:
    assert release("figaro")[1].name == databases()["figaro"].releases[0].name
    assert release("wiod", "2013")[1].by_hand
    urls = [file.url for file in wanted(release("icio", "2025")[1], [2016, 2017, 2010], "icio")]
    assert [url.rpartition("/")[2] for url in urls][:2] == [
        "2016-2022_SML.zip",
        "2006-2010_SML.zip",
    ]
