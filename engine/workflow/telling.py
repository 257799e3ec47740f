"""The verbs `status` and `detect`: what is done, and what was found, as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine import analysis
from engine.errors import InputError, StoreError
from engine.kernels.changes import DetectionRule
from engine.stores.ensemble import Ensemble, open_ensemble
from engine.workflow.folders import Run
from engine.workflow.judging import changes, contributions


def status(folder: Path, scenario: str | None = None, *, verify: bool = False) -> Iterator[str]:
    """Blocks done, missing and failed of each scenario; with `verify`, every block read again.

    Damaged blocks are taken out of the ledger, so that the next run computes them anew.

    Raises:
        StoreError: the folder holds no run, or the scenario does not exist.
    """
    for name in [scenario] if scenario else _scenarios_in(folder):
        ensemble = open_ensemble(folder / name)
        progress = ensemble.progress()
        done, total = sum(progress.done.values()), progress.blocks * len(progress.done)
        yield f"{name}: {done} of {total} blocks of {ensemble.axes.block} draws done"
        for block, reason in progress.failures.items():
            yield f"  failed: year {block.year}, block {block.index}: {reason}"
        if verify:
            yield from _verified(ensemble)


def _verified(ensemble: Ensemble) -> Iterator[str]:
    problems = ensemble.verify()
    for problem in problems:
        if problem.block is None:
            yield f"  damaged: {problem.reason}"
            continue
        ensemble.forget(problem.block)
        yield f"  damaged: year {problem.block.year}, block {problem.block.index}: {problem.reason}"
    if problems:
        yield "  damaged blocks are marked missing; `footfall run` mends everything"
    else:
        yield "  verified: every finished block is what the ledger says"


def _scenarios_in(folder: Path) -> list[str]:
    found = sorted(path.parent.name for path in folder.glob("*/ensemble.zarr"))
    if not found:
        raise StoreError(
            "holds no run", where=str(folder), remedy="start one with `footfall run CONFIG`"
        )
    return found


def detect(
    run: Run,
    rule: DetectionRule,
    scenario: str | None = None,
    form: str = "text",
    *,
    all_pairs: bool = False,
    all_parts: bool = False,
    by: str | None = None,
) -> str:
    """The table of verdicts as text, CSV or JSON.

    Args:
        form: "text", "csv" or "json". CSV and JSON hold every pair of years and every part.
        all_pairs: every pair of years in the text, not the consecutive ones and the whole span.
        all_parts: every part in the text, not the total alone.
        by: "origin" or "industry": contributions in the place of parts; the text has the largest.

    Raises:
        StoreError: the ensemble is not complete.
        InputError: it has one year only, or not the contributions asked for.
    """
    ensemble = run.load(scenario)
    if ensemble.sizes["year"] < 2:
        raise InputError(
            "the run has one year, so there is no change to judge",
            where=str(run.folder),
            remedy="run a configuration of two years or more; `footfall report` shows levels",
        )
    if by is None:
        controlled = analysis.of_ensemble(ensemble, rule)
        rows = analysis.verdict_table(changes(ensemble, rule, run.record.looks))
        rows = analysis.with_controlled(rows, controlled)
    else:
        every = all_pairs or form != "text"
        rows = contributions(ensemble, by, rule, run.record.looks, every=every)
    title = f"{run.record.title}; scenario {scenario or run.record.scenarios[0]}"
    title += f"\n{analysis.solving_text(ensemble)}"
    if run.record.looks:
        title += f"\n{run.record.looks.in_words(ensemble.sizes['draw'])}"
    mark = "SYNTHETIC data. " if ensemble.attrs["synthetic"] else ""
    match form:
        case "csv":
            return analysis.to_csv(rows)
        case "json":
            return analysis.to_json(rows)
        case _:
            if by is not None:
                return f"{mark}{title}\n\n{analysis.contribution_text(rows)}"
            shown = [row for row in rows if all_parts or row["part"] == "total"]
            table = analysis.text_table(shown, all_pairs=all_pairs)
            return f"{mark}{title}\n\n{table}\n{analysis.linearity_text(controlled)}".rstrip()
