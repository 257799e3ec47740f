"""`scripts/bench [SUITE ...] [--quick]`: measure, and write JSON, Markdown and plots."""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    comparison,
    costs,
    crowd,
    figures,
    limits,
    pipeline,
    planned,
    reading,
    scaling,
    workers,
)
from benchmarks.records import Report, Result, write_json, write_markdown
from benchmarks.settings import WIOD, Settings, say
from benchmarks.tables import SHAPES

SUITES: dict[str, Callable[[Settings], Iterator[Result]]] = {
    "limits": comparison.measure_limits,
    "naive": comparison.measure_naive,
    "accuracy": comparison.measure_accuracy,
    "peers": comparison.measure_peers,
    "run": pipeline.measure_run,
    "planned": planned.measure_planned,
    "scaling": scaling.measure_scaling,
    "store": pipeline.measure_store,
    "scheduler": pipeline.measure_scheduler,
    "costs": costs.measure_costs,
    "workers": workers.measure_workers,
    "crowd": crowd.measure_crowd,
    "reading": reading.measure_reading,
}
_RESULTS = Path(__file__).parent / "results"
_SIZES = sorted({*SHAPES, WIOD})


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run the suites asked for and write the report."""
    asked = _parser().parse_args(arguments)
    chosen = [name for name in SUITES if name in asked.suites or "all" in asked.suites]
    settings = _settings(asked)
    asked.output.mkdir(parents=True, exist_ok=True)
    began, results = time.time(), []
    machine, others = limits.machine(), limits.Others()
    for name in chosen:
        say(f"{name} ({time.time() - began:.0f} s)")
        for result in SUITES[name](settings):
            results.append(result)
            report = Report(machine, _described(settings, chosen, began, others), tuple(results))
            # After every result, so that an interrupted run keeps what it has.
            write_json(report, asked.output / "benchmarks.json")
    drawn = figures.draw(report, asked.output)
    write_markdown(report, asked.output / "benchmarks.md", drawn)
    say(f"{asked.output / 'benchmarks.md'} ({time.time() - began:.0f} s)")
    return report


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "suites",
        nargs="*",
        default="all",
        choices=[*SUITES, "all"],
        metavar="SUITE",
        help=f"{', '.join(SUITES)}; all of them if none is named. `reading` generates a download "
        "of full size of every database in benchmarks/results, one after another",
    )
    parser.add_argument("--quick", action="store_true", help="small tables, a minute")
    parser.add_argument("--output", type=Path, default=_RESULTS, help="folder of the report")
    parser.add_argument("--repeats", type=int, help="rounds, at most (7; quick: 3)")
    parser.add_argument(
        "--sizes", type=int, nargs="+", choices=_SIZES, help="industries of the tables compared"
    )
    return parser


def _settings(asked: argparse.Namespace) -> Settings:
    quick = asked.quick
    return Settings(
        quick=quick,
        repeats=asked.repeats or (3 if quick else 7),
        least=0.02 if quick else 0.5,
        budget=1.0 if quick else 120.0,
        sizes=tuple(asked.sizes or ((120, 600) if quick else (120, WIOD, 2944, 9800))),
    )


def _described(
    settings: Settings, suites: Sequence[str], began: float, others: limits.Others
) -> dict[str, object]:
    return {
        "started": datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - began, 1),
        "share of the processor that others took meanwhile": others.share(),
        "suites": suites,
        "quick": settings.quick,
        "rounds, at most": settings.repeats,
        "seconds of a measurement, at least": settings.least,
        "peak memory": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB",
    }


if __name__ == "__main__":
    main()
