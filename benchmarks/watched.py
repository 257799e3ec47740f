"""`python -m benchmarks.watched CONFIG EXECUTOR FOLDER`: one run, its peak memory and its time.

Prints JSON: what `plan` predicted and what was measured, in bytes and seconds. Run it in a process
of its own: the memory is that of the process and its children, whatever it held before.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import psutil

import engine


def main(config: str, executor: str, folder: str) -> dict[str, float]:
    """Run a configuration on two slots and watch it."""
    asked = engine.load_config(config)
    cluster = engine.ClusterSpec(engine.Executor(executor), 2, dashboard=False)
    planned = engine.plan_run(asked, cluster=cluster)
    peak, done = [0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(peak, done))
    watcher.start()
    began = time.perf_counter()
    try:
        engine.run(asked, Path(folder), cluster=cluster)
    finally:
        done.set()
        watcher.join()
    return {
        "peak": peak[0],
        "predicted peak": planned.peak,
        "seconds": time.perf_counter() - began,
        "predicted seconds": planned.seconds,
    }


def _watch(peak: list[int], done: threading.Event) -> None:
    """What the processes hold together: each one's own pages, and once what they share.

    The proportional set size would also divide shared libraries by whoever else has them open.
    """
    me = psutil.Process()
    while not done.is_set():
        began, own, shared = time.thread_time(), 0, 0
        for process in [me, *me.children(recursive=True)]:
            try:
                held = process.memory_full_info()
            except psutil.Error:
                continue
            own, shared = own + held.uss, max(shared, held.rss - held.uss)
        peak[0] = max(peak[0], own + shared)
        # Looking stops the process from mapping memory, the longer the more it has.
        time.sleep(min(0.2, max(0.01, 20 * (time.thread_time() - began))))


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
