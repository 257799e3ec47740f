"""How kernels are compiled, and why a change of source never runs yesterday's machine code.

numba's cache looks at the file of the compiled function alone, not at the files it inlines. Here
the cache's folder carries a hash of every file that compiles something, and of what such a file
imports, so that a change of any of them starts a new cache.

Vectors are as wide as the processor has them. LLVM prefers 256 bits where there are 512, which
costs these kernels a third of their speed; the bits of a result are the same either way.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba


def _sources() -> str:
    digest = hashlib.sha256()
    for source in compiled_from(Path(__file__).parent):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def compiled_from(folder: Path) -> list[Path]:
    """Files of a folder of kernels that decide machine code: those that compile, and their imports.

    Imports are followed to the end: constants and inlined functions, and whatever these import.
    """
    sources = {source.stem: source.read_text() for source in folder.glob("*.py")}
    imports = {name: set(_IMPORT.findall(text)) for name, text in sources.items()}
    wanted = {name for name, others in imports.items() if "compiling" in others}
    found: set[str] = set()
    while wanted:
        found |= wanted
        wanted = {other for name in wanted for other in imports.get(name, ())} - found
    return sorted(folder / f"{name}.py" for name in found if name in sources)


def _folder() -> str:
    """Below NUMBA_CACHE_DIR if that is set (a cluster's shared disk), else the user's cache."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    base = Path(given) if given else home / "footfall"
    return str(base / f"kernels-{_sources()}-py{sys.version_info.major}{sys.version_info.minor}")


def _use_wide_vectors() -> None:
    """Before the first compilation: the processor's features, but no preference for 256 bits."""
    settings: Any = numba.config
    if settings.CPU_FEATURES is None and settings.CPU_NAME is None:
        own = llvmlite.binding.get_host_cpu_features().flatten()
        settings.CPU_FEATURES = f"{own},-prefer-256-bit"


_IMPORT = re.compile(r"^from engine\.kernels\.(\w+) import", re.MULTILINE)
_FOLDER = _folder()
_use_wide_vectors()


def inline(function: Callable[..., Any]) -> Any:
    """Compile into the caller; without this Philox does not vectorise."""
    return numba.njit(error_model="numpy", forceinline=True)(function)


def compiled(function: Callable[..., Any]) -> Any:
    """Compile on first call, keep on disk, and let other Python threads run meanwhile."""
    settings: Any = numba.config
    before = settings.CACHE_DIR
    settings.CACHE_DIR = _FOLDER  # read when the cache is attached, below
    try:
        return numba.njit(error_model="numpy", nogil=True, cache=True)(function)
    finally:
        settings.CACHE_DIR = before
