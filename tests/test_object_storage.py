"""A run in an object store: the same bits as on a disk, and nothing lost whatever goes wrong."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partialmethod
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import xarray as xr
from botocore.exceptions import ClientError
from click.testing import CliRunner
from conftest import SECRET
from distributed import LocalCluster
from made_blocks import AXES, IDENTITY, RECEIPT, REFERENCE, checksums, fill, make, results
from test_readers_arrays import series

from configs import SERIAL, SMALL, arrays, loaded, written
from engine import readers, runs, workflow
from engine.blockwork import Task, compute
from engine.cli import main
from engine.clusters import Address, ClusterSpec, Executor
from engine.config import Config
from engine.errors import (
    ConfigError,
    DriftError,
    LockedError,
    RunError,
    StoreError,
    TableError,
)
from engine.plan import Block
from engine.readers import Arrays
from engine.stores import lock as locks
from engine.stores import objects
from engine.stores import tables as prepared_tables
from engine.stores.durable import create_exclusively, names, read, write_atomically
from engine.stores.ensemble import Failure, create_or_extend, open_ensemble
from engine.stores.lock import Lock, held
from engine.stores.places import Remote, mark, place

pytestmark = [
    pytest.mark.s3,
    pytest.mark.filterwarnings("ignore:The codec `vlen-utf8` is currently not part"),
]
THREADS = ClusterSpec(Executor.THREADS, 2, dashboard=False)
LONG = 600.0
EVERY = int(os.environ.get("FOOTFALL_KILL_EVERY", "0")) or 23  # of some 90 changes of the store


def remote(url: str) -> Remote:
    found = place(url)
    assert isinstance(found, Remote)
    return found


def small(folder: Path, *changes: tuple[str, str]) -> Config:
    """Two years of two blocks each."""
    fewer = (("years = [2000, 2001, 2002]", "years = [2000, 2001]"), ("draws = 448", "draws = 128"))
    return loaded(folder, SMALL, *fewer, *changes)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> workflow.Run:
    """The same run on a disk, which nobody interrupted."""
    folder = tmp_path_factory.mktemp("truth")
    return workflow.run(small(folder), folder / "run", cluster=SERIAL)


@pytest.fixture
def reconnected() -> Iterator[None]:
    """The store is opened anew, as by a process that has just begun, and once more afterwards."""
    objects._opened.cache_clear()
    yield
    objects._opened.cache_clear()


# --- the whole way ------------------------------------------------------------------------------


def test_from_config_to_verdict_in_an_object_store(
    bucket: str, tmp_path: Path, truth: workflow.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url, config = f"{bucket}/runs/x", str(small(tmp_path).path)
    spoken = CliRunner()

    def said(*words: str) -> str:
        done = spoken.invoke(main, list(words))
        assert done.exit_code == 0, done.output
        return done.output

    assert f"complete: {url}" in said("run", config, "--output", url, "--executor", "threads")
    assert "base: 4 of 4 blocks of 64 draws done" in said("status", url)
    assert "verified" in said("status", url, "--verify")
    run = workflow.open_run(url)
    assert arrays(run) == arrays(truth)
    rule = workflow.rule_of(truth)
    assert said("detect", url).strip() == workflow.detect(truth, rule).strip()
    page = f"runs/x-{mark(remote(url))}/report-base/report.html"
    assert said("report", url).strip() == f"report: {page}"
    # As anyone reads it: Zarr's own store, labels, units and all.
    theirs = xr.open_zarr(f"{url}/base/ensemble.zarr", chunks=None)
    with truth.open() as ours:
        xr.testing.assert_equal(theirs.load(), ours.drop_attrs(deep=False).load())
    left = objects.below(remote(url))
    assert not [path for path in left if "tables-" in path or path.endswith("partial")]
    for path in left:
        assert SECRET.encode() not in read(Remote("s3", path))


@pytest.mark.slow
def test_workers_copy_prepared_tables_and_draw_the_same_bits(
    bucket: str, tmp_path: Path, truth: workflow.Run
) -> None:
    """Those of a scheduler that runs already, which may be anywhere."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as running:
        cluster = Address(running.scheduler_address, workers=2)
        run = workflow.run(small(tmp_path), f"{bucket}/x", cluster=cluster)
    assert arrays(run) == arrays(truth)
    # One copy of each year for both of them, to be cleared by the next who makes one.
    scratch = tmp_path / "scratch" / f"footfall-{os.getuid()}"
    assert sum(one.is_dir() for one in scratch.iterdir()) == len(run.open().year)


def test_extending_leaves_earlier_draws_as_they_were(
    bucket: str, tmp_path: Path, truth: workflow.Run
) -> None:
    run = workflow.run(small(tmp_path), f"{bucket}/x", draws=64, cluster=SERIAL)
    with run.open() as fewer, truth.open() as all_:
        assert fewer["footprint"].equals(all_["footprint"].isel(draw=slice(64)))
    run = workflow.run(small(tmp_path), f"{bucket}/x", cluster=SERIAL)
    assert arrays(run) == arrays(truth)
    assert [sitting["draws"] for sitting in run.record.sittings] == [64, 128]


def test_drift_is_refused_naming_the_field(bucket: str, tmp_path: Path) -> None:
    workflow.run(small(tmp_path), f"{bucket}/x", draws=64, cluster=SERIAL)
    with pytest.raises(DriftError, match="seed: 7 on disk, 8 asked"):
        workflow.run(small(tmp_path, ("seed = 7", "seed = 8")), f"{bucket}/x", cluster=SERIAL)


@pytest.mark.usefixtures("reconnected")
def test_a_large_object_goes_up_in_parts_and_comes_down_in_pieces(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3fs import S3FileSystem

    small_parts = partialmethod(S3FileSystem._put_file, chunksize=5 * 2**20)  # S3 takes no smaller
    monkeypatch.setattr(S3FileSystem, "_put_file", small_parts)
    monkeypatch.setattr(objects, "_PIECE", 2**20)
    content = np.random.default_rng(1).bytes(11 * 2**20)
    (tmp_path / "up").write_bytes(content)
    objects.upload(tmp_path / "up", remote(bucket) / "large")
    assert objects.facts(remote(bucket) / "large")["ETag"].strip('"').endswith("-3")
    objects.download(remote(bucket) / "large", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == content
    (tmp_path / "up").write_bytes(b"")
    objects.upload(tmp_path / "up", remote(bucket) / "empty")
    objects.download(remote(bucket) / "empty", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == b""


def test_a_task_names_places_and_carries_no_secret(bucket: str) -> None:
    folder = remote(bucket) / "run" / "base"
    task = Task(folder / "tables-1" / "2000", folder, (Block(2000, 0, 64),), (0, 1))
    sent = pickle.dumps(task)
    assert pickle.loads(sent) == task
    assert len(sent) < 600
    assert b"tests" not in sent
    assert SECRET.encode() not in sent


def on_another_machine(folder: Path, monkeypatch: pytest.MonkeyPatch, flip: int) -> list[str]:
    """Let blocks be drawn where no table has been prepared; returns what is copied there."""
    copied: list[str] = []

    def download(place: Remote, here: Path) -> None:
        content = bytearray(objects.read(place))
        content[-1] ^= flip
        here.write_bytes(content)
        copied.append(f"{place.parent.name}/{place.name}")

    def alone(task: Task) -> int:
        with monkeypatch.context() as patched:
            patched.setenv("FOOTFALL_SCRATCH", str(folder))
            patched.setattr(objects, "download", download)
            return compute(task)

    monkeypatch.setattr(runs, "compute", alone)
    return copied


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process counts as another machine."""
    monkeypatch.setattr("engine.workflow.running.draws_elsewhere", lambda _: True)


@pytest.mark.usefixtures("elsewhere")
def test_another_machine_copies_a_year_once(
    bucket: str, tmp_path: Path, truth: workflow.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = on_another_machine(tmp_path / "another", monkeypatch, 0)
    assert arrays(workflow.run(small(tmp_path), f"{bucket}/x", cluster=SERIAL)) == arrays(truth)
    assert len(copied) == len(set(copied)) > 20
    assert {name.partition("/")[0] for name in copied} == {"2000", "2001"}


@pytest.mark.usefixtures("elsewhere")
def test_prepared_tables_that_changed_on_their_way_are_refused(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_another_machine(tmp_path / "another", monkeypatch, 1)
    with pytest.raises(RunError, match="is not what was put there"):
        workflow.run(small(tmp_path), f"{bucket}/x", cluster=SERIAL)


def test_prepared_tables_that_may_not_be_read_are_not_missing(bucket: str) -> None:
    year = remote(bucket) / "x" / "tables-1" / "2000"
    with pytest.raises(StoreError, match="no complete prepared table"):
        prepared_tables.load(year, "digest")
    with (
        Failing("AccessDenied", "GetObject", "tables-1"),
        pytest.raises(StoreError, match="told AccessDenied") as caught,
    ):
        prepared_tables.load(year, "digest")
    assert "credentials" in caught.value.remedy


# --- killed, damaged, contested -----------------------------------------------------------------


@pytest.mark.slow
def test_kill_9_in_the_middle_then_the_same_command(bucket: str, tmp_path: Path) -> None:
    config, url = small(tmp_path, ("draws = 128", "draws = 320")), f"{bucket}/x"
    words = ("run", str(config.path), "--output", url, "--executor", "threads")
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(names(remote(url) / "base" / "ledger")) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    ensemble = open_ensemble(remote(url) / "base")
    assert 2 <= len(ensemble.ledger.entries()) < len(ensemble.blocks()) == 10
    assert ensemble.verify() == []
    resumed = workflow.run(config, url, cluster=SERIAL)
    assert arrays(resumed) == arrays(workflow.run(config, tmp_path / "whole", cluster=SERIAL))


class Died(Exception):
    """What nobody in the engine catches."""


def dying_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change of the store from the `step`-th on does not happen: the process is dead."""
    left = [step]

    def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any) -> Any:
            left[0] -= 1
            if left[0] <= 0:
                raise Died
            return call(*args)

        return called

    for name in ("put", "put_new", "delete"):
        monkeypatch.setattr(objects, name, deadly(getattr(objects, name)))


@pytest.mark.slow
def test_a_death_at_any_step_of_creating_writing_and_extending(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make(tmp_path / "whole", 128)
    fill(whole)
    died = 0
    for step in count(1, EVERY):
        path = remote(f"{bucket}/{step}")
        with monkeypatch.context() as patched:
            dying_at(step, patched)
            try:
                fill(make(path, 64))
                fill(make(path, 128))
                break
            except Died:
                died += 1
        if any(name == "zarr.json" for name in names(path / "ensemble.zarr")):
            assert [p for p in open_ensemble(path).verify() if p.block is not None] == []
        ensemble = make(path, 128)
        fill(ensemble)
        assert ensemble.verify() == []
        assert checksums(ensemble) == checksums(whole)
        assert ensemble.dataset().equals(whole.dataset())
    assert died >= 4  # in creation, in blocks, in extension


def test_damage_is_found_by_verify_and_computed_anew(
    bucket: str, tmp_path: Path, truth: workflow.Run
) -> None:
    config, url = small(tmp_path), f"{bucket}/x"
    workflow.run(config, url, cluster=SERIAL)
    folder = remote(url) / "base" / "ensemble.zarr" / "footprint"
    chunks = [folder / name for name in names(folder) if name.startswith("c.")]
    flipped = bytearray(read(chunks[0]))
    flipped[len(flipped) // 2] ^= 1
    write_atomically(chunks[0], bytes(flipped))
    write_atomically(chunks[1], read(chunks[1])[:20])
    objects.delete(chunks[2])
    with pytest.raises(StoreError, match=r"a chunk of .* is missing"):
        workflow.open_run(url).load()
    assert "\n".join(workflow.status(url, verify=True)).count("damaged:") == 3
    assert arrays(workflow.run(config, url, cluster=SERIAL)) == arrays(truth)
    assert "damaged" not in "\n".join(workflow.status(url, verify=True))


def test_lost_root_metadata_do_not_begin_a_run_anew(bucket: str) -> None:
    path = remote(bucket) / "x"
    fill(make(path, 64))
    objects.delete(path / "ensemble.zarr" / "zarr.json")
    with pytest.raises(StoreError, match="is missing, and blocks are there"):
        make(path, 64)


def test_a_run_that_saw_no_ensemble_spares_the_one_that_came_meanwhile(bucket: str) -> None:
    """The root's metadata are put only where there are none; what it puts before them is mended."""
    path, left = remote(bucket) / "x", ["once"]

    def another_run() -> None:
        if left:
            left.pop()
            fill(make(path, 128))

    mine = create_or_extend(path, AXES, 64, IDENTITY, REFERENCE, {}, confirm=another_run)
    assert mine == open_ensemble(path)
    assert mine.draws == 128
    assert mine.missing() == []
    assert mine.verify() == []


def test_two_runs_on_one_store(bucket: str, tmp_path: Path) -> None:
    with (
        held(remote(bucket) / "x" / "lock.json", heartbeat=0.2) as lock,
        pytest.raises(LockedError, match=f"is in use by .*pid {os.getpid()}"),
    ):
        workflow.run(small(tmp_path), f"{bucket}/x", cluster=SERIAL)
    lock.check()


def test_of_many_creators_exactly_one_wins(bucket: str) -> None:
    """Given a server that puts one at a time, as S3 promises and this one is made to."""
    for race in range(30):
        path, together = remote(bucket) / f"{race}", Barrier(8)

        def create(number: int, path: Remote = path, together: Barrier = together) -> bool:
            together.wait()
            return create_exclusively(path, b"%d" % number)

        with ThreadPoolExecutor(8) as threads:
            won = list(threads.map(create, range(8)))
        assert won.count(True) == 1
        assert read(path) == b"%d" % won.index(True)


def test_of_many_challengers_one_takes_a_dead_lock(bucket: str) -> None:
    path = remote(bucket) / "lock.json"
    gone = replace(locks._myself(), born="1")
    content = json.dumps({"holder": asdict(gone), "counter": 3, "released": False})
    write_atomically(path.with_name("lock-000007.json"), content.encode())
    together, holders = Barrier(4), ExitStack()

    def challenge(_: int) -> Lock | None:
        together.wait()
        try:
            return holders.enter_context(held(path, heartbeat=0.2, patience=LONG))
        except LockedError:
            return None

    with ThreadPoolExecutor(4) as threads:
        won = [lock for lock in threads.map(challenge, range(4)) if lock is not None]
    assert [lock.number for lock in won] == [8]
    won[0].check()
    holders.close()
    assert names(path.parent) == ["lock-000008.json"]


def test_a_counter_that_stands_still_is_taken_over(bucket: str) -> None:
    path = remote(bucket) / "lock.json"
    stranger = replace(locks._myself(), host="node7", boot="another boot")
    content = json.dumps({"holder": asdict(stranger), "counter": 3, "released": False})
    write_atomically(path.with_name("lock-000001.json"), content.encode())
    began = time.monotonic()
    with held(path, heartbeat=0.1, patience=0.5) as lock:
        assert time.monotonic() - began >= 0.5
        assert lock.number == 2


# --- what a store may refuse --------------------------------------------------------------------


class Failing:
    """The store's answers to some requests, in the place of what it would have done."""

    def __init__(self, code: str, method: str, key: str, times: int = 10**9) -> None:
        self.left, self.code, self.method, self.key = times, code, method, key

    def __enter__(self) -> Failing:
        from aiobotocore.client import AioBaseClient

        self.patch = pytest.MonkeyPatch()
        real = AioBaseClient._make_api_call

        async def answer(client: Any, operation: str, asked: dict[str, Any]) -> Any:
            if operation == self.method and self.key in asked.get("Key", "") and self.left > 0:
                self.left -= 1
                told = {"Error": {"Code": self.code, "Message": f"told {self.code}"}}
                raise ClientError(told, operation)
            return await real(client, operation, asked)

        self.patch.setattr(AioBaseClient, "_make_api_call", answer)
        return self

    def __exit__(self, *_: object) -> None:
        self.patch.undo()


def test_a_busy_store_is_asked_again(bucket: str, tmp_path: Path) -> None:
    with Failing("SlowDown", "PutObject", "x", times=3) as failing:
        write_atomically(remote(bucket) / "x", b"whole")
    assert failing.left == 0
    assert read(remote(bucket) / "x") == b"whole"


@pytest.mark.parametrize(
    ("code", "says", "cure"),
    [
        ("AccessDenied", "told AccessDenied", "credentials"),
        ("SlowDown", "told SlowDown", "less busy"),
        ("InternalError", "told InternalError", "can be reached"),
        ("NoSuchBucket", "there is no bucket", "create the bucket"),
    ],
)
def test_a_refusal_says_what_is_safe_and_how_to_go_on(
    bucket: str, code: str, says: str, cure: str
) -> None:
    ensemble = make(remote(bucket) / "x", 64)
    first, second, *_ = ensemble.blocks()
    ensemble.write(first, results(first), {})
    with (
        Failing(code, "PutObject", "ensemble.zarr/status/"),
        pytest.raises(StoreError, match=says) as caught,
    ):
        ensemble.write(second, results(second), {})
    assert cure in caught.value.remedy
    assert "every block in the ledger is safe" in caught.value.remedy
    assert caught.value.where == f"{bucket}/x"
    assert second in ensemble.missing()
    # To look and be refused is not to find damage, of which blocks would be computed anew.
    with (
        Failing(code, "GetObject", "ensemble.zarr/status/"),
        pytest.raises(StoreError, match=says),
    ):
        ensemble.verify()
    fill(ensemble)
    assert ensemble.verify() == []


def test_a_failed_block_stops_nothing_else_and_the_same_command_goes_on(
    bucket: str,
    tmp_path: Path,
    truth: workflow.Run,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, url = small(tmp_path), f"{bucket}/x"
    with (
        Failing("AccessDenied", "PutObject", "footprint/c.1.1."),
        pytest.raises(RunError, match=r"1 of the blocks failed 2 times; .*told AccessDenied"),
    ):
        workflow.run(config, url, cluster=SERIAL)
    told = "\n".join(workflow.status(url))
    assert told.startswith("base: 3 of 4 blocks")
    assert "failed: year 2001, block 1: StoreError" in told
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))  # the account is where the run is
    assert "Traceback" in "\n".join(workflow.logs(url))
    with Failing("InternalError", "PutObject", "footprint/c.1.1.", times=1):
        run = workflow.run(config, url, cluster=THREADS)  # the block's second attempt
    assert arrays(run) == arrays(truth)
    assert len(list(workflow.status(url))) == 1


def test_what_must_be_deleted_and_may_not_be_is_an_error(bucket: str) -> None:
    """A block without its ledger's entry; the note of an earlier failure may as well stay."""
    ensemble = make(remote(bucket) / "x", 64)
    block = ensemble.missing()[0]
    ensemble.record_failure(block, Failure("out of memory"))
    with Failing("AccessDenied", "DeleteObject", "x/ledger/"):
        ensemble.write(block, results(block), RECEIPT)
        assert ensemble.failures() == {}
        with pytest.raises(StoreError, match="AccessDenied"):
            ensemble.forget(block)
    assert block not in ensemble.missing()


@pytest.mark.parametrize(
    ("method", "key", "says"),
    [
        ("GetObject", "base/ledger/", "told AccessDenied"),
        ("ListObjectsV2", "", "told AccessDenied"),
    ],
)
def test_whatever_kind_of_request_is_refused_is_an_error_of_the_store(
    bucket: str, tmp_path: Path, method: str, key: str, says: str
) -> None:
    """A worker that may not ask the ledger, and whoever enters its failure."""
    with Failing("AccessDenied", method, key):
        told = CliRunner().invoke(
            main,
            ["run", str(small(tmp_path).path), "--output", f"{bucket}/x", "--executor", "serial"],
        )
    assert told.exit_code == 1
    assert says in told.output
    assert "credentials" in told.output
    assert isinstance(told.exception, SystemExit)


def test_what_is_read_as_it_is_used_may_be_refused_too(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verdicts look into the other scenarios as far as they need to."""
    config, url = small(tmp_path), f"{bucket}/x"
    workflow.run(config, url, cluster=SERIAL)
    opened = workflow.Run.open
    monkeypatch.setattr(workflow.Run, "load", opened)
    with Failing("AccessDenied", "GetObject", "footprint/c."):
        told = CliRunner().invoke(main, ["detect", url])
    assert told.exit_code == 1
    assert f"footfall: {url}/base/ensemble.zarr/footprint/c." in told.output
    assert "told AccessDenied" in told.output
    assert isinstance(told.exception, SystemExit)


def test_a_record_that_cannot_be_read_is_not_replaced(bucket: str, tmp_path: Path) -> None:
    config, url = small(tmp_path), f"{bucket}/x"
    workflow.run(config, url, draws=64, cluster=SERIAL)
    with (
        Failing("InternalError", "GetObject", "run.json"),
        pytest.raises(StoreError, match="told InternalError"),
    ):
        workflow.run(config, url, cluster=SERIAL)
    run = workflow.open_run(url)
    assert [sitting["draws"] for sitting in run.record.sittings] == [64]


def test_a_conditional_put_whose_answer_was_lost_is_known_again(bucket: str) -> None:
    path = remote(bucket) / "lock"
    write_atomically(path, b"mine")  # it went through, and the library asks once more
    assert objects.put_new(path, b"mine")
    assert not objects.put_new(path, b"another's")


@pytest.mark.usefixtures("reconnected")
def test_a_store_that_overwrites_what_it_should_not_is_refused(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3fs import S3FileSystem

    pipe = S3FileSystem._pipe_file

    async def careless(self: Any, path: str, data: bytes, mode: str = "", **kw: Any) -> Any:
        return await pipe(self, path, data, **kw)

    monkeypatch.setattr(S3FileSystem, "_pipe_file", careless)
    with pytest.raises(StoreError, match="overwrites an object"):
        create_exclusively(remote(bucket) / "lock", b"one")


@pytest.mark.parametrize("url", ["memory://runs/x", "ftp://host/runs"])
def test_a_kind_of_store_that_is_not_known_to_be_exclusive_is_refused(
    url: str, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="not known to create an object only where there is none"):
        create_exclusively(remote(url) / "lock", b"one")


def test_what_is_written_to_a_disk_alone_refuses_a_url(bucket: str, truth: workflow.Run) -> None:
    with pytest.raises(ConfigError, match="a report is written to a disk"):
        workflow.report(truth, folder=f"{bucket}/page")


@pytest.mark.usefixtures("reconnected")
@pytest.mark.parametrize(
    ("unset", "setting", "says"),
    [
        (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), {"AWS_PROFILE": "x"}, "AWS_PROFILE"),
        (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), {}, "credentials"),
        ((), {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}, "connect"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_message(
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    unset: tuple[str, ...],
    setting: dict[str, str],
    says: str,
) -> None:
    for name in unset:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    told = CliRunner().invoke(main, ["status", f"{bucket}/x"])
    assert told.exit_code == StoreError.exit_code
    assert says in told.output
    assert "remedy: " in told.output
    assert f"{bucket}/x" in told.output
    assert "Traceback" not in told.output


# --- tables in an object store ------------------------------------------------------------------


@pytest.fixture
def tables(bucket: str, tmp_path: Path) -> tuple[Arrays, Arrays]:
    """The same npz files on a disk and in the bucket."""
    local = series(tmp_path / "tables")
    assert isinstance(local.root, Path)
    assert isinstance(local.manifest, Path)
    far = remote(f"{bucket}/tables")
    objects.upload(local.manifest, far / "manifest.toml")
    for file in local.root.iterdir():
        objects.upload(file, far / "data" / file.name)
    return local, Arrays(far / "manifest.toml", far / "data")


def test_tables_are_copied_once_and_read_as_from_a_disk(
    tables: tuple[Arrays, Arrays], monkeypatch: pytest.MonkeyPatch
) -> None:
    local, far = tables
    copied, download = [], objects.download

    def counted(place: Remote, here: Path) -> None:
        copied.append(place.name)
        download(place, here)

    monkeypatch.setattr(objects, "download", counted)
    assert readers.years(far) == (2000, 2001)
    for _ in range(2):
        one, other = readers.read(far, 2001), readers.read(local, 2001)
        assert one.sha256 == other.sha256
        assert one.provenance == other.provenance
    assert sorted(copied) == ["labels.json", "manifest.toml", "t_2001.npz"]


@pytest.mark.parametrize("moment", [0, 1])
def test_a_table_that_changes_while_it_is_copied_is_refused(
    tables: tuple[Arrays, Arrays], monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """A copy's name stands for one version: neither another nor pieces of two may have it."""
    _, far = tables
    assert isinstance(far.root, Remote)
    other, taken, pieces = read(far.root / "t_2000.npz"), objects._piece, count()

    def piece(file: Any, place: Remote) -> bytes:
        if place.name == "t_2001.npz" and next(pieces) == moment:
            write_atomically(place, other)
        return taken(file, place)

    monkeypatch.setattr(objects, "_piece", piece)
    monkeypatch.setattr(objects, "_PIECE", 1000)
    with pytest.raises(TableError, match=r"changed while|no longer exists") as caught:
        readers.read(far, 2001)
    assert "nobody writes there" in caught.value.remedy


@pytest.mark.parametrize("name", ["t_2001.npz", ".lock"])
def test_no_room_for_copies_is_not_blamed_on_the_store(
    tables: tuple[Arrays, Arrays], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    _, far = tables
    opened, os_open = Path.open, os.open

    def full(path: Path, *args: Any, **options: Any) -> Any:
        if path.name == name and "w" in args[0]:
            return opened(Path("/dev/full"), *args, **options)
        return opened(path, *args, **options)

    def denied(path: Any, *args: Any, **options: Any) -> int:
        if str(path).endswith(name):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return os_open(path, *args, **options)

    monkeypatch.setattr(Path, "open", full)
    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(TableError, match="no place for local copies") as caught:
        readers.read(far, 2001)
    assert "FOOTFALL_SCRATCH" in caught.value.remedy
    assert "s3://" not in str(caught.value)


def test_a_new_version_of_a_table_is_copied_again(tables: tuple[Arrays, Arrays]) -> None:
    local, far = tables
    assert isinstance(local.root, Path)
    assert isinstance(far.root, Remote)
    before = readers.read(far, 2001)
    np.savez(local.root / "t_2001.npz", **dict(np.load(local.root / "t_2000.npz")))
    objects.upload(local.root / "t_2001.npz", far.root / "t_2001.npz")
    after = readers.read(far, 2001)
    assert after.sha256 == readers.read(local, 2001).sha256 != before.sha256


def test_a_copy_that_was_spoilt_is_copied_again(
    tables: tuple[Arrays, Arrays], tmp_path: Path
) -> None:
    from engine.readers import fetched

    local, far = tables
    readers.read(far, 2001)
    [copy] = (tmp_path / "scratch").rglob("t_2001.npz")
    copy.write_bytes(b"spoilt")
    fetched._copied.cache_clear()  # as another process, which has not looked yet
    assert readers.read(far, 2001).sha256 == readers.read(local, 2001).sha256


def test_errors_about_a_copy_name_its_address(tables: tuple[Arrays, Arrays]) -> None:
    _, far = tables
    assert isinstance(far.root, Remote)
    write_atomically(far.root / "t_2001.npz", b"no archive")
    with pytest.raises(TableError, match="not a readable npz file") as caught:
        readers.read(far, 2001)
    assert caught.value.where == str(far.root / "t_2001.npz")
    objects.delete(far.root / "labels.json")
    with pytest.raises(TableError, match="cannot be read") as caught:
        readers.read(far, 2000)
    assert caught.value.where == str(far.root / "labels.json")
    assert "spelling" in caught.value.remedy
    with pytest.raises(TableError, match="there is no table of 2007"):
        readers.read(far, 2007)
    with pytest.raises(TableError, match="there is no bucket 'elsewhere'"):
        readers.years(Arrays(remote("s3://elsewhere/manifest.toml"), remote("s3://elsewhere/x")))


def test_a_configuration_may_name_tables_by_url(
    tables: tuple[Arrays, Arrays], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, far = tables
    text = SMALL.replace(
        'reader = "toy"\nworld = "random"\nyears = [2000, 2001, 2002]',
        f'reader = "arrays"\nyears = [2000, 2001]\nmanifest = "{far.manifest}"\n'
        'root = "${WHERE}/data"',
    )
    for old, new in (('"R0", "pair"', '"AA", "pair"'), ('"R0", "R1"', '"AA", "BB"'), ("S0", "CO2")):
        text = text.replace(old, new)
    config = str(written(tmp_path, text))
    assert isinstance(far.root, Remote)
    monkeypatch.setenv("WHERE", str(far.root.parent))
    done = CliRunner().invoke(main, ["check", config])
    assert done.exit_code == 0, done.output
    monkeypatch.setenv("WHERE", "s3://key:word@bucket")
    done = CliRunner().invoke(main, ["check", config])
    assert done.exit_code == 2
    assert "tables.root" in done.output
    assert "word" not in done.output.replace("password", "")
    monkeypatch.setenv("WHERE", "s3://no-such-bucket")
    done = CliRunner().invoke(main, ["check", config])
    assert done.exit_code == 2
    assert "there is no bucket 'no-such-bucket'" in done.output
