"""Paths stay paths, URLs become addresses without secrets, and copies are made once."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import time
from itertools import count
from pathlib import Path

import fsspec
import pytest

from engine.errors import ConfigError, StoreError
from engine.readers import fetched
from engine.stores import nearby, objects
from engine.stores.places import Remote, aside, place


def test_a_local_path_stays_what_it_is() -> None:
    assert place("runs/x") == Path("runs/x")
    assert place(Path("/runs/x")) == Path("/runs/x")
    assert place("file:///runs/a%20b") == Path("/runs/a b")
    assert place("C:/runs") == Path("C:/runs")


def test_a_url_is_an_address_that_travels_light() -> None:
    found = place("s3://bucket//runs/./x.d/")
    assert isinstance(found, Remote)
    assert str(found) == "s3://bucket/runs/x.d"
    assert place(str(found)) == place(found) == found
    assert (found.name, found.stem, found.suffix) == ("x.d", "x", ".d")
    assert str(found / "a/b" / ".") == "s3://bucket/runs/x.d/a/b"
    assert found.with_name("y").parent == found.parent == place("s3://bucket/runs")
    assert pickle.loads(pickle.dumps(found)) == found
    assert len(pickle.dumps(found)) < 150


def test_what_a_disk_must_hold_is_shared_by_no_two_runs() -> None:
    runs = ("runs/x", "s3://a/runs/x", "s3://b/runs/x", "s3://a/other/x")
    folders = [aside(place(run)) for run in runs]
    assert folders[0] == Path("runs/x")
    assert len(set(folders)) == len(runs)
    assert all(folder.parent == Path("runs") for folder in folders)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://key:word@bucket/x", "a password"),
        ("S3://key:word@bucket/x", "a password"),
        ("s3:/key:word@bucket/x", "lost a slash"),
        ("https://host/x.npz?X-Amz-Signature=word", "a query"),
        ("https://host/x.npz", "is on the web"),
        ("s3://", "no address"),
        ("s3://bucket/../other", "no address"),
        ("s3://bucket/*", "no address"),
    ],
)
def test_a_url_that_carries_a_secret_or_names_nothing_is_refused(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        place(url)
    if "word" in url:
        assert "word=" not in str(caught.value)
        assert ":word" not in str(caught.value)
        assert "Signature" not in str(caught.value)


@pytest.mark.parametrize("url", [Path("s3://bucket/x"), "s3:/bucket/x", "S3:/bucket/x"])
def test_a_url_that_lost_a_slash_is_no_folder(url: str | Path) -> None:
    with pytest.raises(ConfigError, match="lost a slash"):
        place(url)


def test_a_protocol_may_be_written_in_capitals() -> None:
    assert place("S3://Bucket/X") == Remote("s3", "Bucket/X")
    assert place("FILE:///runs/a%20b") == Path("/runs/a b")


# --- copies on this machine ---------------------------------------------------------------------


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FOOTFALL_SCRATCH", str(tmp_path))
    return tmp_path / f"footfall-{os.getuid()}"


def fill_slowly(folder: Path) -> None:
    with (folder.parent.parent / "made").open("a") as file:
        file.write("once\n")
    time.sleep(0.2)
    (folder / "content").write_text("whole")


def hold(name: str, answers: object) -> None:
    folder = nearby.hold(name, fill_slowly)
    answers.put((folder / "content").read_text())  # type: ignore[attr-defined]
    time.sleep(60)


def test_the_processes_of_a_machine_make_one_copy_and_keep_it(
    tmp_path: Path, scratch: Path
) -> None:
    # Spawned: a server of forks that another test has started would have its environment.
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    children = [context.Process(target=hold, args=("one", answers)) for _ in range(4)]
    for child in children:
        child.start()
    assert [answers.get(timeout=60) for _ in children] == ["whole"] * 4
    assert (tmp_path / "made").read_text() == "once\n"
    nearby.clear()
    assert (scratch / "one" / "content").exists()  # the others hold it
    for child in children:
        child.kill()
        child.join()
    nearby.clear()
    assert list(scratch.iterdir()) == []


def test_a_copy_appears_whole_or_not_at_all(scratch: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise OSError("the store is gone")

    with pytest.raises(OSError, match="gone"):
        nearby.hold("one", fails)
    assert not (scratch / "one").exists()
    assert not list(scratch.glob("*.partial"))
    (scratch / "one.0123.partial").mkdir()  # as a kill leaves it
    folder = nearby.hold("one", fill_slowly)
    assert nearby.hold("one", fails) == folder
    nearby.release(folder)
    assert list(scratch.iterdir()) == []


def test_inputs_outlive_the_process_and_prepared_tables_do_not(scratch: Path) -> None:
    nearby.hold("input-one", fill_slowly)
    nearby.hold("tables-one", fill_slowly)
    nearby.clear()
    assert (scratch / "input-one").is_dir()
    assert not (scratch / "tables-one").exists()
    long_ago = time.time() - 8 * 24 * 3600
    os.utime(scratch / "input-one.lock", (long_ago, long_ago))
    nearby.clear()
    assert list(scratch.iterdir()) == []


def test_a_scratch_folder_that_others_may_enter_is_refused(scratch: Path) -> None:
    scratch.mkdir(mode=0o755)
    with pytest.raises(StoreError, match="others may enter"):
        nearby.hold("one", fill_slowly)


def test_a_scratch_without_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setenv("FOOTFALL_SCRATCH", str(tmp_path))
    monkeypatch.setattr("fcntl.flock", none)
    with pytest.raises(StoreError, match="No locks available") as caught:
        nearby.hold("one", fill_slowly)
    assert "FOOTFALL_SCRATCH" in caught.value.remedy


def test_that_a_file_was_read_makes_no_other_version_of_it(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some stores tell when a file was last read, which copying it changes."""
    reads, true = count(), objects.facts
    monkeypatch.setattr(objects, "facts", lambda where: true(where) | {"time": next(reads)})
    store, there = fsspec.filesystem("memory"), place("memory://bucket/table.csv")
    store.pipe("/bucket/table.csv", b"one")
    first = fetched.here(there)
    assert first.read_bytes() == b"one"
    assert fetched.here(there) == first
    store.pipe("/bucket/table.csv", b"another")
    assert fetched.here(there).read_bytes() == b"another"
