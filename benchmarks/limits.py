"""This machine: what it is, and the most it can do of what a draw needs."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from threadpoolctl import threadpool_info

from benchmarks.timing import Contender, cores
from engine.kernels.arrays import F32, U32
from engine.kernels.compiling import compiled
from engine.kernels.machine import add, fma
from engine.kernels.streams import Single, Word, box_muller, exp2, philox, stream_key

_PACKAGES = (
    *("footfall", "numpy", "scipy", "numba", "zarr", "distributed"),
    *("pymrio", "bw2calc", "pypardiso", "mkl"),
)
_VECTORS = ("avx512f", "avx2", "fma", "asimd", "sve", "sve2")


def machine() -> dict[str, Any]:
    """The processor, memory, BLAS and versions."""
    processor = _processor()
    return {
        "processor": processor.get("model name", platform.processor() or platform.machine()),
        "cores": cores(),
        "vector flags": [name for name in _VECTORS if name in processor.get("flags", "").split()],
        "caches": _caches(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "blas": sorted(
            {
                f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}".strip()
                for pool in threadpool_info()
                if pool["user_api"] == "blas"
            }
        ),
        "load at the start": list(os.getloadavg()),
    }


def _processor() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    lines = (line.partition(":") for line in path.read_text().splitlines())
    fields: dict[str, str] = {}
    for name, _, value in lines:
        fields.setdefault(name.strip().lower(), value.strip())
    return fields | {"flags": fields.get("flags", fields.get("features", ""))}


def _caches() -> list[str]:
    found = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (
            (folder / name).read_text().strip() for name in ("level", "type", "size")
        )
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


class Others:
    """How busy everybody else keeps the processor from now on; ratios bear it, times do not."""

    def __init__(self) -> None:
        self._before = self._used()

    def share(self) -> float:
        """Of all cores' time, what neither this process nor its ended children used."""
        everybody, own, passed = (
            now - then for now, then in zip(self._used(), self._before, strict=True)
        )
        return max(0.0, everybody - own) / passed

    def _used(self) -> tuple[float, float, float]:
        spent, times = psutil.Process().cpu_times(), psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        own = spent.user + spent.system + spent.children_user + spent.children_system
        return sum(times) - idle, own, sum(times)


# --- what it can do -----------------------------------------------------------------------------

CELLS = 4096  # of one unit of the lognormal kernel, 64 draws each
LANES = 64
# Vector instructions a lognormal takes, counted in `engine.kernels.streams`: a quarter of a Philox
# call (20, each product of words counted once, though processors need several), half a Box-Muller
# (23), the exponential and the sum (13).
INSTRUCTIONS = 56


@compiled
def _lognormals(sums: F32, key: U32, cells: int, block: Any, node: Any, log2_sd: Any) -> None:
    """The factors of 64 draws of so many cells, added up in the first-level cache."""
    k0, k1 = key[0], key[1]
    shift = log2_sd * (log2_sd * Single(-0.34657359))
    for cell in range(cells):
        line = sums[cell % 16]
        for lane in range(16):
            w0, w1, w2, w3 = philox(Word(cell), Word(7), add(block, Word(lane)), node, k0, k1)
            a, b = box_muller(w0, w1)
            c, d = box_muller(w2, w3)
            line[lane] += exp2(fma(log2_sd, a, shift))
            line[lane + 16] += exp2(fma(log2_sd, b, shift))
            line[lane + 32] += exp2(fma(log2_sd, c, shift))
            line[lane + 48] += exp2(fma(log2_sd, d, shift))


def lognormals(threads: int) -> Contender:
    """The engine's own streams, generating and nothing else; a unit is CELLS x LANES factors."""
    key = stream_key(1, "bench", "lognormals")

    def one(units: int) -> None:
        sums = np.zeros((16, LANES), dtype=np.float32)
        for unit in range(units):
            _lognormals(sums, key, CELLS, Word(16 * unit), Word(0), Single(0.5))

    return Contender(f"engine lognormals, {_threads(threads)}", _on(threads, one), threads)


def numpy_lognormals() -> Contender:
    """numpy's generator, its normals made lognormal in place; the same unit."""
    random = np.random.default_rng(1)
    factors = np.empty(CELLS * LANES)

    def run(units: int) -> None:
        for _ in range(units):
            random.standard_normal(out=factors)
            np.multiply(factors, 0.5, out=factors)
            np.exp(factors, out=factors)

    return Contender("numpy lognormals, 1 thread", run)


def copying(threads: int, size: int) -> Contender:
    """Copy arrays larger than the caches, one a thread; a unit is `size` bytes read and written."""
    arrays = [(np.zeros(size // 8), np.ones(size // 8)) for _ in range(threads)]

    def run(units: int) -> None:
        def copy(pair: tuple[Any, Any]) -> None:
            for _ in range(units // threads):
                np.copyto(*pair)

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(copy, arrays))

    return Contender(f"copying, {_threads(threads)}", run, threads)


def products(kind: type, n: int, threads: int) -> Contender:
    """Square matrix products by BLAS, the most arithmetic there is; a unit is one product."""
    random = np.random.default_rng(1)
    a, b = (random.random((n, n)).astype(kind) for _ in range(2))
    out = np.empty((n, n), kind)

    def run(units: int) -> None:
        for _ in range(units):
            np.matmul(a, b, out=out)

    name = f"matrix product, {np.dtype(kind).name}, {_threads(threads)}"
    return Contender(name, run, blas=threads)


def _on(threads: int, one: Callable[[int], None]) -> Callable[[int], None]:
    def run(units: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, [units // threads] * threads))

    return run


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"
