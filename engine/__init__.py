"""footfall: is the footprint falling? Monte Carlo uncertainty for environmental footprints.

The names below are the public API. They are resolved on first use, so that a worker that only
draws never loads readers, reports or plotting.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "DetectionRule": "engine.kernels.changes",
    "Verdict": "engine.kernels.changes",
    "MRIO": "engine.mrio",
    "Labels": "engine.mrio",
    "Provenance": "engine.mrio",
    "findings": "engine.mrio",
    "Consumer": "engine.question",
    "Indicator": "engine.question",
    "Question": "engine.question",
    "draw": "engine.draws",
    "FootfallError": "engine.errors",
}
__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
