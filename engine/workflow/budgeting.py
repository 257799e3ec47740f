"""The verb `budget`: where the uncertainty of changes comes from, in closed form, without a run."""

from __future__ import annotations

from engine import analysis
from engine.budget import Budget, budget
from engine.config import Config
from engine.errors import ConfigError, InputError
from engine.kernels.changes import DetectionRule
from engine.twin import twin
from engine.workflow.preparing import Ready, prepared


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
            CSV and JSON every change of consecutive years too.

    Raises:
        InputError: the configuration or a table cannot be used, or there is one year only.
    """
    refuse_one_year(config)
    ready = prepared(config, scenario)
    found = budget_of(ready, config.sampling.seed)
    rows = analysis.budget_table(found, rule, config.asked.trend.declines)
    match form:
        case "csv":
            return analysis.to_csv(rows)
        case "json":
            return analysis.to_json({"budget": rows})
        case _:
            return f"{heading(config, ready)}\n\n{analysis.budget_tables_text(rows)}"


def heading(config: Config, ready: Ready, basis: str = analysis.BASIS) -> str:
    """What the numbers are about, in one line, and what they rest on."""
    mark = "SYNTHETIC data. " if ready.synthetic else ""
    return f"{mark}{config.title}; scenario {ready.errors.name}; {basis}"


def refuse_one_year(config: Config) -> None:
    """One year has no change."""
    if len(config.sampling.years) < 2:
        raise InputError(
            "the configuration has one year, so there is no change with an uncertainty to divide",
            where=str(config.path),
            remedy="name two years or more",
        )
