"""footfall: is the footprint falling? Monte Carlo uncertainty for environmental footprints.

    import engine

    config = engine.load_config("configs/laptop.toml")
    table = engine.open_table(config.tables, year=2015)
    one = engine.draw(table, config.errors, seed=7, draws=range(64))   # the whole model in one call
    run = engine.run(config)                                           # threads; resumable
    changes = engine.changes(run.open(), consumer="NLD")               # xarray.Dataset
    print(engine.verdicts(changes))

The names below are the public API. They are resolved on first use, so that a worker that only
draws never loads readers, reports or plotting.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "AR1": "engine.error_model",
    "ByLabel": "engine.error_model",
    "ClusterSpec": "engine.clusters",
    "Component": "engine.error_model",
    "Config": "engine.config",
    "Constant": "engine.error_model",
    "Consumer": "engine.question",
    "DetectionRule": "engine.kernels.changes",
    "DirichletShares": "engine.error_model",
    "Draws": "engine.draws",
    "Empirical": "engine.error_model",
    "ErrorModel": "engine.error_model",
    "Errors": "engine.error_model",
    "Executor": "engine.clusters",
    "FootfallError": "engine.errors",
    "FromFile": "engine.error_model",
    "Indicator": "engine.question",
    "KnownTotals": "engine.error_model",
    "Labels": "engine.mrio",
    "Law": "engine.error_model",
    "MRIO": "engine.mrio",
    "Method": "engine.error_model",
    "Period": "engine.error_model",
    "Persistent": "engine.error_model",
    "PowerLaw": "engine.error_model",
    "Provenance": "engine.mrio",
    "Quantity": "engine.error_model",
    "Question": "engine.question",
    "Run": "engine.workflow",
    "Verdict": "engine.kernels.changes",
    "Yearly": "engine.error_model",
    "attributed": "engine.analysis",
    "changes": "engine.analysis",
    "characterise": "engine.studies",
    "check": "engine.workflow",
    "draw": "engine.draws",
    "findings": "engine.mrio",
    "levels": "engine.analysis",
    "load_config": "engine.config",
    "open_run": "engine.workflow",
    "preview": "engine.workflow",
    "run": "engine.workflow",
    "run_until": "engine.studies",
    "status": "engine.workflow",
    "verdicts": "engine.analysis",
}
# Modules are called `plan` and `report`, so their verbs have longer names here.
_RENAMED = {
    "open_table": ("engine.readers", "read"),
    "plan_run": ("engine.workflow", "plan"),
    "write_report": ("engine.workflow", "report"),
}
__all__ = sorted([*_HOME, *_RENAMED])  # noqa: PLE0605


def __getattr__(name: str) -> object:
    if name in _RENAMED:
        module, own = _RENAMED[name]
        return getattr(import_module(module), own)
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'engine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
