"""The ledger believes nothing it cannot read; the lock lets exactly one run through."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, replace
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from engine.errors import ConfigError, LockedError
from engine.plan import Block
from engine.stores import lock as locks
from engine.stores.durable import create_exclusively, write_atomically
from engine.stores.ledger import Entry, Failure, Ledger
from engine.stores.lock import Holder, Lock, held, is_gone

BLOCK = Block(2015, 42, 64)
RECEIPT = {"versions": {"numpy": "2.4"}, "blas": ["openblas SkylakeX"], "seconds": 1.25}
LONG = 600.0  # seconds of patience that no test ever spends


# --- ledger -------------------------------------------------------------------------------------


def test_an_entry_comes_back_as_it_was_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger", "digest")
    assert ledger.entries() == {}
    assert not ledger.holds(BLOCK)
    ledger.enter(Entry(BLOCK, "c0ffee", RECEIPT))
    assert ledger.entries() == {BLOCK: Entry(BLOCK, "c0ffee", RECEIPT)}
    assert ledger.holds(BLOCK)
    ledger.drop(BLOCK)
    ledger.drop(BLOCK)
    assert ledger.entries() == {}


def test_an_entry_torn_anywhere_counts_as_absent(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "digest")
    ledger.enter(Entry(BLOCK, "c0ffee", RECEIPT))
    path = tmp_path / "2015-000042.json"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert ledger.entries() == {}
        assert not ledger.holds(BLOCK)
    path.write_bytes(whole)
    assert ledger.holds(BLOCK)


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00" * 300,
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"ensemble": "digest", "block": [2015, 42, 64]}',
        b'{"ensemble": "digest", "block": [2015, 42], "checksum": "c", "receipt": {}}',
        b'{"ensemble": "digest", "block": ["2015", 42, 64], "checksum": "c", "receipt": {}}',
        b'{"ensemble": "digest", "block": [2015, 42, 64], "checksum": 7, "receipt": {}}',
        b'{"ensemble": "digest", "block": [2015, 43, 64], "checksum": "c", "receipt": {}}',
        b'{"ensemble": "another", "block": [2015, 42, 64], "checksum": "c", "receipt": {}}',
    ],
)
def test_junk_counts_as_absent_and_is_replaced(tmp_path: Path, junk: bytes) -> None:
    ledger = Ledger(tmp_path, "digest")
    for name in ("2015-000042.json", "2015-000042.failed.json"):
        (tmp_path / name).write_bytes(junk)
    assert ledger.entries() == {}
    assert ledger.failures() == {}
    ledger.enter(Entry(BLOCK, "c0ffee", RECEIPT))
    assert ledger.holds(BLOCK)


def test_what_is_no_entry_is_left_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "digest")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "2015-000042.json.0123.partial").write_text("half")
    assert ledger.entries() == {}
    assert ledger.is_empty()
    ledger.enter(Entry(BLOCK, "c0ffee", RECEIPT))
    assert not ledger.is_empty()
    ledger.drop(BLOCK)
    assert ledger.entries() == {}
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_how_far_finished_blocks_reach(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "digest")
    assert ledger.reach() == 0
    ledger.enter(Entry(Block(2016, 7, 64), "c0ffee", RECEIPT))
    ledger.enter(Entry(Block(2015, 11, 64), "c0ffee", RECEIPT))
    Ledger(tmp_path, "another").enter(Entry(Block(2015, 1000000, 64), "c0ffee", RECEIPT))
    (tmp_path / "2015-000099.json").write_text("junk")
    assert ledger.reach() == 12 * 64


def test_a_failure_is_kept_until_the_block_succeeds(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "digest")
    why = Failure("KilledWorker: out of memory\nat n = 9800", "on node7\nTraceback")
    ledger.fail(BLOCK, why)
    assert ledger.failures() == {BLOCK: why}
    assert not ledger.holds(BLOCK)
    ledger.enter(Entry(BLOCK, "c0ffee", RECEIPT))
    assert ledger.failures() == {}
    assert Ledger(tmp_path, "another").entries() == {}


def test_a_receipt_that_is_not_json_writes_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "digest")
    with pytest.raises(TypeError):
        ledger.enter(Entry(BLOCK, "c0ffee", {"path": tmp_path}))
    assert list(tmp_path.iterdir()) == []


# --- durable files ------------------------------------------------------------------------------


def test_of_many_creators_exactly_one_wins(tmp_path: Path) -> None:
    for round_ in range(20):
        path, together = tmp_path / f"{round_}", Barrier(8)

        def create(number: int, path: Path = path, together: Barrier = together) -> bool:
            together.wait()
            return create_exclusively(path, b"%d" % number)

        with ThreadPoolExecutor(8) as threads:
            won = list(threads.map(create, range(8)))
        assert won.count(True) == 1
        assert path.read_bytes() == b"%d" % won.index(True)
    assert list(tmp_path.glob("*.partial")) == []


def test_exclusive_creation_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("engine.stores.durable.os.link", no_links)
    assert create_exclusively(tmp_path / "lock", b"one")
    assert not create_exclusively(tmp_path / "lock", b"two")
    assert (tmp_path / "lock").read_bytes() == b"one"


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:3])))
    write_atomically(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


# --- lock ---------------------------------------------------------------------------------------


def stranger(**fields: Any) -> Holder:
    """A holder on another host, of whom nothing but the file is known."""
    known = Holder("ada", "node7", os.getpid(), "1", "another boot", "pid:[1]", "2024-05-01")
    return replace(known, **fields)


def leave(path: Path, holder: Holder, number: int = 1, *, released: bool = False) -> Path:
    """The lock file that `holder` left behind."""
    file = path.with_name(f"{path.stem}-{number:06d}{path.suffix}")
    content = {"holder": asdict(holder), "counter": 3, "released": released}
    file.write_text(json.dumps(content))
    return file


def until(true: Callable[[], bool]) -> None:
    """Wait for what must come; the limit is far beyond what a loaded machine needs."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_second_run_is_refused_with_the_holders_name(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    with held(path, heartbeat=0.05, patience=LONG) as lock:
        with pytest.raises(LockedError) as caught, held(path, heartbeat=0.05, patience=LONG):
            pytest.fail("two holders")
        assert f"pid {os.getpid()}" in caught.value.what
        assert f"@{lock.holder.host}" in caught.value.what
        assert lock.holder.since in caught.value.what
        lock.check()
    with held(path, heartbeat=0.05, patience=LONG) as again:
        again.check()


def test_a_lock_given_up_is_free_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        pytest.fail("waited for a lock that was free")

    monkeypatch.setattr(locks, "_outwait", never)
    for number in (1, 2, 3):
        with held(tmp_path / "lock.json") as lock:
            assert lock.number == number
    with pytest.raises(KeyError), held(tmp_path / "lock.json"):
        raise KeyError
    with held(tmp_path / "lock.json"):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["lock-000005.json"]


def test_a_counter_that_stands_still_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    file = leave(path, stranger())
    # Wall clocks of other hosts mean nothing, neither in the file nor on it.
    os.utime(file, (4e9, 4e9))
    began = time.monotonic()
    with held(path, heartbeat=0.05, patience=0.3) as lock:
        assert time.monotonic() - began >= 0.3
        assert lock.number == 2
        assert not file.exists()


@pytest.mark.parametrize("junk", [b"", b"{", b'{"holder": {"pid": -1}, "released": false}', b"[1]"])
def test_a_torn_lock_is_outwaited_like_any_other(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "lock-000003.json").write_bytes(junk)
    with held(tmp_path / "lock.json", heartbeat=0.02, patience=0.1) as lock:
        assert lock.number == 4


def test_a_holder_on_another_host_is_never_judged_by_its_process_number() -> None:
    nobody = 2**22 + 1  # above the kernel's largest process number
    assert not is_gone(stranger(pid=nobody))
    mine = locks._myself()
    assert not is_gone(mine)
    assert is_gone(replace(mine, pid=nobody))
    assert is_gone(replace(mine, born="1"))  # the number was given to another process
    assert not is_gone(replace(mine, pid=nobody, namespace="pid:[1]"))
    assert not is_gone(replace(mine, pid=nobody, boot=""))


def hold_for_ever(path: Path, ready: Connection) -> None:
    with held(path, heartbeat=0.05, patience=LONG):
        ready.send(True)
        time.sleep(LONG)


def test_after_kill_9_on_this_machine_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    path = tmp_path / "lock.json"
    holder = context.Process(target=hold_for_ever, args=(path, theirs))
    holder.start()
    assert ours.poll(60)
    with (
        pytest.raises(LockedError, match=f"pid {holder.pid}"),
        held(path, heartbeat=0.05, patience=LONG),
    ):
        pytest.fail("two holders")
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    # Not waited for yet: even as a zombie it counts as gone.
    until(lambda: is_gone(locks._newest(path).holder))  # type: ignore[union-attr, arg-type]

    def never(*_: object) -> None:
        pytest.fail("waited for a dead process of this machine")

    monkeypatch.setattr(locks, "_outwait", never)
    with held(path, heartbeat=0.05, patience=LONG) as lock:
        assert lock.number == 2
    holder.join()


def test_who_is_taken_over_notices_and_leaves_the_lock_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    with held(path, heartbeat=0.02, patience=LONG) as lock:
        lock.check()
        other = leave(path, stranger(), number=2)
        until(lambda: lock.lost)
        with pytest.raises(LockedError, match=r"taken over by ada@node7") as caught:
            lock.check()
        assert "safe" in caught.value.remedy
        content = other.read_bytes()
    assert other.read_bytes() == content


def test_a_lock_removed_by_hand_is_lost(tmp_path: Path) -> None:
    with held(tmp_path / "lock.json", heartbeat=0.02, patience=LONG) as lock:
        (tmp_path / "lock-000001.json").unlink()
        until(lambda: lock.lost)
    assert list(tmp_path.iterdir()) == []


def test_a_heartbeat_outlives_a_hiccup_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def refuse(*_: object) -> None:
        tried.append(True)
        raise OSError(28, "No space left on device")

    with held(tmp_path / "lock.json", heartbeat=0.02, patience=LONG) as lock:
        with monkeypatch.context() as patched:
            patched.setattr(locks, "write_atomically", refuse)
            until(lambda: len(tried) > 2)
        before = (tmp_path / "lock-000001.json").read_bytes()
        until(lambda: (tmp_path / "lock-000001.json").read_bytes() != before)
        lock.check()


def test_of_many_challengers_one_takes_a_dead_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    leave(path, replace(locks._myself(), born="1"), number=7)
    together = Barrier(6)

    def challenge(_: int) -> Lock | None:
        together.wait()
        stack = ExitStack()
        try:
            lock = stack.enter_context(held(path, heartbeat=0.05, patience=LONG))
        except LockedError:
            return None
        holders.append(stack)
        return lock

    holders: list[ExitStack] = []
    with ThreadPoolExecutor(6) as threads:
        won = [lock for lock in threads.map(challenge, range(6)) if lock is not None]
    assert [lock.number for lock in won] == [8]
    won[0].check()
    holders[0].close()


def test_a_challenger_that_slept_through_two_holders_does_not_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock.json"
    leave(path, stranger(), number=5, released=True)
    create = create_exclusively
    slept: list[str] = []

    def late(file: Path, content: bytes) -> bool:
        if not slept:  # meanwhile number 6 came, went, and was pruned by number 7
            slept.append(file.name)
            leave(path, stranger(), number=7, released=True)
        return create(file, content)

    monkeypatch.setattr(locks, "create_exclusively", late)
    with held(path, heartbeat=0.05, patience=LONG) as lock:
        assert slept == ["lock-000006.json"]
        assert lock.number == 8
        assert not (tmp_path / "lock-000006.json").exists()


def test_too_little_patience_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="patience"),
        held(tmp_path / "lock.json", heartbeat=10, patience=20),
    ):
        pytest.fail("held")


@pytest.fixture(autouse=True)
def _no_heartbeat_stays() -> Iterator[None]:
    yield
    assert "footfall lock" not in {thread.name for thread in threading.enumerate()}
