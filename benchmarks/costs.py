"""What surrounds the drawing of blocks: opening the ensemble, and storing them.

The object store is moto's server on this machine, in a process of its own: a lower bound of what a
store across a network takes, and exact in the number of requests.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.pipeline import made_up, nothing
from benchmarks.records import Record, Result, Skipped
from benchmarks.settings import ROOT, Settings, say
from benchmarks.timing import Contender, Spread, interleaved
from engine.clusters import ClusterSpec, Executor, connect
from engine.plan import WRITING, Block
from engine.runs import PLANNED
from engine.stores import objects
from engine.stores.ensemble import Axes, BlockResults, Ensemble, create_or_extend, open_ensemble
from engine.stores.places import Place, Remote

_KEYS = {
    "AWS_ACCESS_KEY_ID": "benchmarks",
    "AWS_SECRET_ACCESS_KEY": "benchmarks",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def measure_costs(settings: Settings) -> Iterator[Result]:
    """What a task takes beside drawing, and what each of its blocks does, as shares of its time."""
    disk = ROOT / "benchmarks" / "results"  # the usual temporary folder may be memory
    disk.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=disk) as folder:
        yield from _beside_drawing("on this disk, synced", settings, Path(folder) / "one", [])
    yield from _in_a_bucket(settings)
    yield from _scheduling(settings)


def _in_a_bucket(settings: Settings) -> Iterator[Result]:
    absent = [name for name in ("moto", "s3fs") if importlib.util.find_spec(name) is None]
    if absent:
        reason = f"{' and '.join(absent)} not installed"
        yield Skipped("costs", "storing", "in an object store", reason)
        return
    with _bucket() as (place, requests):
        say("  in an object store")
        where = "in moto's server here, a lower bound for S3"
        yield from _beside_drawing(where, settings, place / "one", requests)


def _scheduling(settings: Settings) -> Iterator[Result]:
    if settings.quick:
        reason = "starting processes takes too long for a quick look"
        yield Skipped("costs", "scheduling", "a task", reason)
        return
    with connect(ClusterSpec(Executor.PROCESSES, 2, dashboard=False)) as cluster:

        def run(tasks: int) -> None:
            for outcome in cluster.map_unordered(nothing, range(tasks)):
                if outcome.error is not None:
                    raise outcome.error

        contender = Contender("a task: submitted, assigned, fetched", run, step=8)
        timed = interleaved([contender], settings.repeats, settings.least)
    spread = timed[contender.name].spread
    facts = {f"share of a task of {PLANNED:g} s": spread.median / PLANNED}
    case = "scheduling on 2 worker processes"
    yield Record("costs", case, contender.name, spread, "s", facts=facts)


def _beside_drawing(
    where: str, settings: Settings, place: Place, requests: list[str]
) -> Iterator[Record]:
    """What `engine.blockwork.compute` does for a task and for each of its blocks but drawing."""
    ensemble, results = _made(place, 4 if settings.quick else 16)

    def store(block: Block) -> None:
        if not ensemble.holds(block):
            ensemble.write(block, results, {})

    spread, asked = _timed(lambda _: open_ensemble(place), ensemble.blocks(), requests)
    facts = {f"share of a task of {PLANNED:g} s": spread.median / PLANNED}
    yield Record("costs", "a task opens its ensemble", where, spread, "s", facts=facts | asked)
    spread, asked = _timed(store, ensemble.blocks(), requests)
    shares = {
        f"share of a task of {PLANNED:g} s, blocks of {seconds:g} s": spread.median / seconds
        for seconds in (1.0, PLANNED)
    }
    model = {"predicted": WRITING, "predicted / measured": WRITING / spread.median}
    yield Record("costs", "looking for a block in the ledger, storing and entering it", where,
                 spread, "s", facts=asked | shares | model)  # fmt: skip


def _timed(
    work: Callable[[Block], object], blocks: list[Block], requests: list[str]
) -> tuple[Spread, dict[str, Any]]:
    """Seconds a time, and how many requests of a store the last one made."""
    seconds = []
    for block in blocks:
        requests.clear()
        began = time.perf_counter()
        work(block)
        seconds.append(time.perf_counter() - began)
    spread = Spread.of(seconds)
    if not requests:
        return spread, {}
    kinds = {kind: requests.count(kind) for kind in sorted(set(requests))}
    each = spread.median / len(requests)
    return spread, {"requests of the last": len(requests), **kinds, "s a request": each}


def _made(place: Place, blocks: int) -> tuple[Ensemble, BlockResults]:
    """Two years of 256 draws a block of 46 consumers, 3 indicators and every part."""
    names = tuple(f"R{number:02d}" for number in range(46))
    parts = ("total", "domestic", "foreign", "direct")
    axes = Axes((2010, 2011), ("CO2", "CH4", "N2O"), ("kt",) * 3, names, parts, 256)
    reference = np.ones((2, *axes.cells))
    described: dict[str, Any] = {"title": "SYNTHETIC"}
    ensemble = create_or_extend(place, axes, 256 * blocks, {}, reference, described)
    return ensemble, made_up(axes)


@contextmanager
def _bucket() -> Iterator[tuple[Remote, list[str]]]:
    """An empty bucket of a server of its own, and the requests that are made there."""
    boto3 = importlib.import_module("boto3")  # an extra
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    requests: list[str] = []
    try:
        _wait_for(int(port))
        with patch.dict(os.environ, {**_KEYS, "AWS_ENDPOINT_URL": address}):
            boto3.client("s3").create_bucket(Bucket="benchmarks")
            system = objects._opened("s3", os.getpid())
            system.connect()
            system.s3.meta.events.register(
                "before-send.s3", lambda request, **_: requests.append(str(request.method))
            )
            yield Remote("s3", "benchmarks"), requests
    finally:
        objects._opened.cache_clear()
        server.terminate()
        server.wait()


def _wait_for(port: int, seconds: float = 60.0) -> None:
    ends = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)
        else:
            return
