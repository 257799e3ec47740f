"""The verbs `status` and `detect`: what is done, and what was found, as text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

from engine import analysis
from engine.clusters import Submitted, submitted
from engine.errors import InputError, StoreError
from engine.kernels.changes import DetectionRule
from engine.mrio import silent_in
from engine.stores.ensemble import Ensemble, open_ensemble, scenarios
from engine.stores.places import Place, Remote, place
from engine.workflow.folders import Run
from engine.workflow.judging import contributions
from engine.workflow.planned import duration
from engine.workflow.submitting import ENDED, state_of
from engine.workflow.topics import TOPICS, Case, Row, case_of, told

CHANGES = "changes"
_LATELY = 200  # blocks that tell how fast a run is


def status(
    folder: str | Path | Remote, scenario: str | None = None, *, verify: bool = False
) -> Iterator[str]:
    """Blocks done, missing and failed of each scenario; with `verify`, every block read again.

    Damaged blocks are taken out of the ledger, so that the next run computes them anew. Of a run
    that was submitted, what became of its controller comes first.

    Raises:
        StoreError: the folder holds no run and none was submitted, or the scenario does not exist.
    """
    run = place(folder)
    sent = submitted(run)
    state = "" if sent is None else state_of(sent)
    if sent is not None:
        yield f"controller: {sent}: {state}"
    names, lacking = _scenarios_in(run, sent), 0
    if not names:
        ended = "none was drawn before it ended"
        yield f"blocks: {ended if state == ENDED else 'none yet; tables are prepared first'}"
    for name in [scenario] if scenario and names else names:
        ensemble = open_ensemble(run / name)
        progress = ensemble.progress()
        done, total = sum(progress.done.values()), progress.blocks * len(progress.done)
        lacking += total - done
        yield f"{name}: {done} of {total} blocks of {ensemble.axes.block} draws done"
        yield from _pace(progress.finished, ensemble.axes.block, total - done)
        for block, failure in progress.failures.items():
            yield f"  failed: year {block.year}, block {block.index}: {failure.reason}"
        if verify:
            yield from _verified(ensemble)
    if sent is not None and state == ENDED and (lacking or not names):
        yield from sent.last_words()


def _pace(finished: Sequence[float], size: int, left: int) -> Iterator[str]:
    """How fast blocks came in lately, and how long the others take at that rate."""
    if not left:
        return
    found = rate(sorted(finished))
    if found is None:
        return
    each, ago = found
    yield (
        f"  {size / each:.3g} draws/s lately, the last block {duration(ago)} ago; "
        f"{duration(left * each)} left at that rate"
    )


def rate(times: Sequence[float], now: float | None = None) -> tuple[float, float] | None:
    """Seconds a block over the last blocks of the present sitting, and since the last one.

    A pause much longer than the steps after it ends an earlier sitting. None if too few are known.
    """
    last = list(times[-_LATELY:])
    steps = [after - before for before, after in pairwise(last)]
    if len(steps) < 2:
        return None
    usual = median(steps)
    for k in range(len(steps), 0, -1):
        if steps[k - 1] > max(100 * usual, 60.0):
            steps = steps[k:]
            break
    if not steps:
        return None
    return max(sum(steps) / len(steps), 1e-3), (now or time.time()) - last[-1]


def logs(folder: str | Path | Remote, scenario: str | None = None) -> Iterator[str]:
    """Of each block that failed and has not succeeded since: the reason, and the worker's account.

    Of a run that was submitted and is not complete, the end of its controller's log as well.

    Raises:
        StoreError: the folder holds no run and none was submitted, or the scenario does not exist.
    """
    run, any_failed = place(folder), False
    sent = submitted(run)
    names = _scenarios_in(run, sent)
    complete = bool(names)
    for name in [scenario] if scenario and names else names:
        ensemble = open_ensemble(run / name)
        complete = complete and not ensemble.missing()
        for block, failure in ensemble.failures().items():
            any_failed = True
            yield f"{name}, year {block.year}, block {block.index}: {failure.reason}"
            yield from (f"  {line}" for line in failure.account.splitlines())
    if not any_failed:
        yield "no block has failed"
    if sent is not None and not complete:
        yield from sent.last_words()


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


def _scenarios_in(folder: Place, sent: Submitted | None) -> list[str]:
    """Those that have an ensemble; of a run that was submitted there may be none yet."""
    found = scenarios(folder)
    if not found and sent is None:
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
    table: str | None = None,
) -> str:
    """The table of verdicts, and those of all topics, as text, CSV or JSON.

    Args:
        form: "text", "csv" or "json". CSV and JSON hold every pair of years and every part, CSV
            one table.
        all_pairs: every pair of years in the text, not the consecutive ones and the whole span.
        all_parts: every part in the text, not the total alone.
        by: "origin", "industry" or "product": contributions in the place of parts; the text has
            the largest.
        table: "changes" or the name of a topic (`engine.workflow.topics`), and nothing else; CSV
            has the changes if not given.

    Raises:
        StoreError: the ensemble is not complete.
        InputError: it has one year only, or not the contributions or the table asked for.
    """
    ensemble = run.load(scenario)
    if ensemble.sizes["year"] < 2:
        raise InputError(
            "the run has one year, so there is no change to judge",
            where=str(run.folder),
            remedy="run a configuration of two years or more; `footfall report` shows levels",
        )
    case = case_of(run, rule, scenario, ensemble)
    if by:
        tables = _contributions(case, by, every=all_pairs or form != "text")
    elif table is None and form == "csv":
        tables = _verdicts(case)
    else:
        tables = _asked_for(case, table)
    if table is not None:
        tables = {table: _chosen(tables, table, run)}
    match form:
        case "csv":
            return analysis.to_csv(next(iter(tables.values())))
        case "json":
            return analysis.to_json(tables)
        case _:
            texts = [_text(name, rows, all_pairs, all_parts) for name, rows in tables.items()]
            return "\n\n".join([_heading(case), *texts])


def _asked_for(case: Case, table: str | None) -> dict[str, list[Row]]:
    """The table asked for and no other, where there is one; else all there are, by name."""
    if table == CHANGES:
        return _verdicts(case)
    for topic in TOPICS:
        if topic.name == table and (rows := topic.rows(case)):
            return {table: rows}
    return _verdicts(case) | {topic.name: rows for topic, rows in told(case)}


def _verdicts(case: Case) -> dict[str, list[Row]]:
    """The verdicts on changes, with what the first order says of them."""
    found = case.every_change
    controlled = analysis.of_ensemble(case.ensemble, case.rule)
    rows = analysis.with_controlled(analysis.verdict_table(found), controlled)
    return {CHANGES: rows}


def _contributions(case: Case, by: str, *, every: bool) -> dict[str, list[Row]]:
    looks = case.run.record.looks
    return {by: contributions(case.ensemble, by, case.rule, looks, every=every)}


def _chosen(tables: Mapping[str, list[Row]], name: str, run: Run) -> list[Row]:
    if name not in tables:
        raise InputError(
            f"there is no table `{name}`",
            where=str(run.folder),
            remedy=f"there are {', '.join(tables)}; others appear where the configuration asks",
        )
    return tables[name]


def _heading(case: Case) -> str:
    ensemble, record = case.ensemble, case.run.record
    mark = "SYNTHETIC data. " if ensemble.attrs["synthetic"] else ""
    lines = [f"{mark}{record.title}; scenario {case.scenario}", analysis.solving_text(ensemble)]
    if lacking := silent_in(json.loads(ensemble.attrs["findings"])):
        lines.append(f"beware: {lacking}")
    if record.looks:
        lines.append(record.looks.in_words(ensemble.sizes["draw"]))
    return "\n".join(lines)


def _text(name: str, rows: list[Row], all_pairs: bool, all_parts: bool) -> str:
    if name == CHANGES:
        shown = [row for row in rows if all_parts or row["part"] == "total"]
        table = analysis.text_table(shown, all_pairs=all_pairs)
        return f"{table}\n{analysis.linearity_text(rows)}".rstrip()
    texts = {topic.name: topic.text for topic in TOPICS}
    return texts.get(name, analysis.contribution_text)(rows)
