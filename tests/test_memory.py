"""The memory that `plan` predicts is within 25 % of the measured peak."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from configs import SMALL, written

# Peak of what the processes hold together: each one's own pages, and once what they share. (The
# proportional set size would also divide shared libraries by whoever else has them open.)
MEASURE = """
import json, sys, threading, time
from pathlib import Path
import psutil

def watch(peak, done):
    me = psutil.Process()
    while not done.is_set():
        own, shared = 0, 0
        for process in [me, *me.children(recursive=True)]:
            try:
                held = process.memory_full_info()
            except psutil.Error:
                continue
            own, shared = own + held.uss, max(shared, held.rss - held.uss)
        peak.append(max(peak[-1], own + shared))
        time.sleep(0.01)

if __name__ == "__main__":
    import engine
    config = engine.load_config(sys.argv[1])
    cluster = engine.ClusterSpec(engine.Executor(sys.argv[2]), 2)
    predicted = engine.plan_run(config, cluster=cluster).peak
    peak, done = [0], threading.Event()
    watcher = threading.Thread(target=watch, args=(peak, done))
    watcher.start()
    engine.run(config, Path(sys.argv[3]), cluster=cluster)
    done.set()
    watcher.join()
    print(json.dumps([peak[-1], predicted]))
"""


def measured_and_predicted(config: Path, executor: str) -> tuple[int, int]:
    script = config.parent / "measure.py"
    script.write_text(MEASURE)
    done = subprocess.run(
        [sys.executable, str(script), str(config), executor, str(config.parent / "run")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    peak, predicted = json.loads(done.stdout)
    return peak, predicted


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_thousand_industries(tmp_path: Path, executor: str) -> None:
    text = SMALL.replace('"random"', '"random"\nregions = 20\nsectors = 50').replace(
        "draws = 448", "draws = 128"
    )
    text = text.replace("[2000, 2001, 2002]", "[2000, 2001]")
    peak, predicted = measured_and_predicted(written(tmp_path, text), executor)
    assert abs(predicted / peak - 1) <= 0.25, (peak, predicted)


@pytest.mark.slow
@pytest.mark.realdata
def test_a_real_table_at_full_resolution(tmp_path: Path, data: Path) -> None:
    configs = Path(__file__).parent.parent / "configs"
    text = (configs / "wiod13.toml").read_text().replace("manifests/", f"{configs}/manifests/")
    text = text.replace("last = 2005", "last = 2001").replace("draws = 1024", "draws = 128")
    peak, predicted = measured_and_predicted(written(tmp_path, text), "threads")
    assert abs(predicted / peak - 1) <= 0.25, (peak, predicted)
