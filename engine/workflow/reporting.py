"""The verb `report`: the page of one scenario, and how to reproduce it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from engine import analysis
from engine.report import PAGE, Assumption, Other, Subject, write
from engine.stores.places import aside
from engine.workflow.folders import Run, on_this_machine
from engine.workflow.judging import contributions, rule_of
from engine.workflow.planned import duration
from engine.workflow.topics import case_of, told


def report(
    run: Run,
    scenario: str | None = None,
    folder: str | Path | None = None,
    *,
    names: Mapping[str, str] | None = None,
) -> Path:
    """Write the page of one scenario and the data of its figures; returns the page.

    Args:
        folder: where to on this machine; `RUN/report-<scenario>` if not given, in
            `runs/<name of RUN>` where the run lies in an object store.
        names: what codes are called on it; those the run remembers if not given.

    Raises:
        StoreError: the ensemble is not complete, or the page cannot be written.
    """
    name = scenario or run.record.scenarios[0]
    folder = on_this_machine(folder, "a report") if folder else _folder(run, name)
    ensemble, looks = run.load(name), run.record.looks
    case = case_of(run, rule_of(run), name, ensemble)
    rule = case.at_look
    subject = Subject(
        title=run.record.title,
        scenario=name,
        other_scenarios=tuple(
            _other(run, other, folder) for other in run.record.scenarios if other != name
        ),
        ensemble=ensemble,
        changes=case.every_change,
        levels=analysis.levels(ensemble, rule),
        controlled=analysis.of_ensemble(ensemble, rule),
        rule=rule,
        assumptions=_assumptions(run, name),
        indicators=run.record.indicators,
        reproduce=_reproduction(run, ensemble),
        names=run.record.names if names is None else names,
        topics={topic.name: rows for topic, rows in told(case)},
        contributions=tuple(
            row
            for by in analysis.kinds(ensemble)
            for row in contributions(ensemble, by, rule_of(run), looks)
        ),
    )
    return write(subject, folder)


def _folder(run: Run, scenario: str) -> Path:
    return aside(run.folder) / f"report-{scenario}"


def _assumptions(run: Run, scenario: str) -> tuple[Assumption, ...]:
    return tuple(Assumption(**row) for row in run.record.assumptions[scenario])


def _other(run: Run, scenario: str, here: Path) -> Other:
    """Another scenario, with a link to its page where that is written beside this one."""
    folder = _folder(run, scenario)
    beside = here.parent == folder.parent and (folder / PAGE).is_file()
    page = f"../{folder.name}/{PAGE}" if beside else ""
    return Other(scenario, _assumptions(run, scenario), page)


def _reproduction(run: Run, ensemble: xr.Dataset) -> dict[str, str]:
    identity = json.loads(ensemble.attrs["identity"])
    machine = json.loads(ensemble.attrs["machine"])
    sittings, draws, looks = run.record.sittings, ensemble.sizes["draw"], run.record.looks
    where = {f"{s['workers']} {s['executor']}" for s in sittings}
    return {
        "command": f"footfall run CONFIG --draws {draws}, CONFIG as below",
        **({"judged as": looks.in_words(draws)} if looks else {}),
        "seed": str(identity["seed"]),
        "digest of the ensemble": ensemble.attrs["digest"],
        "tables (sha256 of numbers and labels)": ", ".join(
            f"{year} {sha[:16]}" for year, sha in identity["tables"].items()
        ),
        "versions": ", ".join(f"{name} {v}" for name, v in machine["versions"].items()),
        "BLAS": ", ".join(machine["blas"]),
        "computed": "; ".join(sorted(where)),
        "wall time": duration(sum(float(s["seconds"]) for s in sittings)),
        "configuration": run.record.config,
    }
