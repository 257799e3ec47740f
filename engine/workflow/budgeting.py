"""The verb `budget`: where the uncertainty of changes comes from, in closed form, without a run."""

from __future__ import annotations

from engine import analysis
from engine.budget import Budget, budget
from engine.config import Config
from engine.errors import ConfigError, InputError, StoreError
from engine.jobs import digest
from engine.kernels.changes import DetectionRule
from engine.twin import twin
from engine.workflow.folders import open_run, run_folder
from engine.workflow.preparing import Ready, prepared
from engine.workflow.reading import Reader
from engine.workflow.running import job_of


def budget_of(ready: Ready, seed: int) -> Budget:
    """The uncertainty budget of a prepared scenario.

    Raises:
        ConfigError: its draws are balanced.
    """
    if ready.errors.rebalance is not None:
        raise ConfigError(
            "the budget is to first order, which does not know what balancing makes of errors",
            where=f"scenario {ready.errors.name}, method.rebalance",
            remedy="ask for the budget of a configuration without `rebalance`",
        )
    law = twin(ready.tables)
    return budget(ready.tables, law, ready.errors, ready.question, seed, ready.labels, ready.hashes)


def budgeted(
    config: Config, rule: DetectionRule, scenario: str | None = None, form: str = "text"
) -> str:
    """The uncertainty budget of consumers' totals as text, CSV or JSON.

    Args:
        scenario: which one; the first if not given.
        form: "text", "csv" or "json". The text has the average yearly change and the whole span,
            CSV and JSON every change of consecutive years too. Where the configuration's own
            folder, `runs/<name>`, holds its draws, sigma by them stands beside first order.

    Raises:
        InputError: the configuration or a table cannot be used, or there is one year only.
    """
    refuse_one_year(config)
    ready = prepared(config, scenario)
    found = budget_of(ready, config.sampling.seed)
    drawn = _drawn(config, ready, found)
    rows = analysis.budget_table(found, rule, config.asked.trend.declines, drawn)
    match form:
        case "csv":
            return analysis.to_csv(rows)
        case "json":
            return analysis.to_json({"budget": rows})
        case _:
            text = f"{heading(config, ready)}\n\n{analysis.budget_tables_text(rows)}"
            return text if drawn else f"{text}\n{_undrawn(config)}"


def _drawn(config: Config, ready: Ready, found: Budget) -> analysis.Drawn:
    """sigma by the draws of the configuration's own run, if there is one, complete and the same."""
    try:
        run = open_run(run_folder(config))
        ensemble = run.ensemble(ready.errors.name)
        same = ensemble.digest == _digest(config, ready)
        if not same or ensemble.missing():
            return {}
        contributions = [f"by_{by}" for by in analysis.By]
        return analysis.drawn_sigmas(run.load(ready.errors.name, contributions), found)
    except StoreError:
        return {}


def _digest(config: Config, ready: Ready) -> str:
    folder, read = run_folder(config), Reader(config).read
    job = job_of(config, ready.errors, folder, ready.question, config.sampling, read)
    return digest(job, ready.labels, ready.sha256)


def _undrawn(config: Config) -> str:
    return (
        f"No complete run of this configuration and scenario is in {run_folder(config)}: how good "
        "first order is for it, its draws would say."
    )


def heading(config: Config, ready: Ready, basis: str = analysis.BASIS) -> str:
    """What the numbers are about, in one line, what they rest on, and what they lack."""
    mark = "SYNTHETIC data. " if ready.synthetic else ""
    beware = f"\nbeware: {ready.silent}" if ready.silent else ""
    return f"{mark}{config.title}; scenario {ready.errors.name}; {basis}{beware}"


def refuse_one_year(config: Config) -> None:
    """One year has no change."""
    if len(config.sampling.years) < 2:
        raise InputError(
            "the configuration has one year, so there is no change with an uncertainty to divide",
            where=str(config.path),
            remedy="name two years or more",
        )
