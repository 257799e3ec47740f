"""What surrounds the drawing of a block: storing it, on a disk and in an object store.

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
from engine.stores import objects
from engine.stores.ensemble import Axes, Ensemble, create_or_extend
from engine.stores.places import Place, Remote

_PLANNED = 20.0  # seconds a task lasts on a cluster (`engine.runs`)
_KEYS = {
    "AWS_ACCESS_KEY_ID": "benchmarks",
    "AWS_SECRET_ACCESS_KEY": "benchmarks",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def measure_costs(settings: Settings) -> Iterator[Result]:
    """A task through the scheduler, and a block into its store, as shares of a task of 20 s."""
    disk = ROOT / "benchmarks" / "results"  # the usual temporary folder may be memory
    disk.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=disk) as folder:
        spread = _storing(settings, Path(folder) / "one")
        yield _stored("on this disk, synced", spread, {})
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
        spread = _storing(settings, place / "one", requests.clear)
        kinds = {kind: requests.count(kind) for kind in sorted(set(requests))}
        facts = {
            "requests of the last": len(requests),
            **kinds,
            "s a request": spread.median / len(requests),
        }
        yield _stored("in moto's server here, a lower bound for S3", spread, facts)


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
    facts = {"share of a task of 20 s": spread.median / _PLANNED}
    case = "scheduling on 2 worker processes"
    yield Record("costs", case, contender.name, spread, "s", facts=facts)


def _stored(where: str, spread: Spread, facts: dict[str, Any]) -> Record:
    shares = {
        f"share of a task of 20 s, blocks of {seconds:g} s": spread.median / seconds
        for seconds in (1.0, _PLANNED)
    }
    return Record("costs", "storing a block and its ledger entry", where, spread, "s",
                  facts=facts | shares)  # fmt: skip


def _storing(
    settings: Settings, place: Place, before: Callable[[], object] = lambda: None
) -> Spread:
    """Seconds a block: 256 draws of 46 consumers, 3 indicators and every part."""
    years, blocks = (2010, 2011), 4 if settings.quick else 16
    names = tuple(f"R{number:02d}" for number in range(46))
    parts = ("total", "domestic", "foreign", "direct")
    axes = Axes(years, ("CO2", "CH4", "N2O"), ("kt",) * 3, names, parts, 256)
    reference = np.ones((len(years), *axes.cells))
    described: dict[str, Any] = {"title": "SYNTHETIC"}
    ensemble: Ensemble = create_or_extend(place, axes, 256 * blocks, {}, reference, described)
    results, seconds = made_up(axes), []
    for block in ensemble.blocks():
        before()
        began = time.perf_counter()
        ensemble.write(block, results, {})
        seconds.append(time.perf_counter() - began)
    return Spread.of(seconds)


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
