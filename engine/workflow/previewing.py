"""The verb `preview`: the answer to first order, as a dataset and as a table."""

from __future__ import annotations

import xarray as xr

from engine import analysis
from engine.config import Config
from engine.errors import InputError
from engine.kernels.changes import DetectionRule
from engine.twin import twin
from engine.workflow.preparing import prepared

_BEFORE_BALANCING = (
    "of the tables as they are drawn, BEFORE they are balanced to the published margins: "
    "`footfall run` balances them, and its means and variances are others"
)


def preview(
    config: Config, rule: DetectionRule | None = None, scenario: str | None = None
) -> xr.Dataset:
    """The answer to first order, without a draw: levels, changes, and what verdicts would be.

    Args:
        rule: confidence and power; the configuration's own if not given.
        scenario: which one; the first if not given.

    Raises:
        InputError: the configuration or a table cannot be used.
    """
    ready = prepared(config, scenario)
    previewed = analysis.preview(twin(ready.tables), ready.question, rule or config.detection)
    if ready.errors.rebalance is not None:
        previewed = previewed.assign_attrs(basis=f"{previewed.attrs['basis']}; {_BEFORE_BALANCING}")
    return previewed.assign_attrs(
        title=config.title,
        scenario=ready.errors.name,
        synthetic=ready.synthetic,
        silent=ready.silent,
    )


def previewed(
    config: Config,
    rule: DetectionRule,
    scenario: str | None = None,
    form: str = "text",
    *,
    all_pairs: bool = False,
    all_parts: bool = False,
) -> str:
    """The table of `preview` as text, CSV or JSON, in the form of `detect`.

    Args:
        form: "text", "csv" or "json". CSV and JSON hold every pair of years and every part; text
            and JSON also sigma of a yearly change beside other databases, where they are given.
        all_pairs: every pair of years in the text, not the consecutive ones and the whole span.
        all_parts: every part in the text, not the total alone.

    Raises:
        InputError: the configuration or a table cannot be used.
    """
    found = preview(config, rule, scenario)
    if form != "text" and not found.sizes["pair"]:
        raise InputError(
            "the configuration has one year, so there is no change to preview",
            where=str(config.path),
            remedy="ask for two years or more; the text shows levels",
        )
    beside = analysis.previewed_databases_table(found, config.asked.between_databases)
    match form:
        case "csv":
            return analysis.to_csv(analysis.preview_table(found))
        case "json":
            databases = {"databases": beside} if beside else {}
            return analysis.to_json({"preview": analysis.preview_table(found), **databases})
        case _:
            mark = "SYNTHETIC data. " if found.attrs["synthetic"] else ""
            title = f"{mark}{found.attrs['title']}; scenario {found.attrs['scenario']}; "
            shown = analysis.preview_text(found, all_pairs=all_pairs, all_parts=all_parts)
            told = f"\n\n{analysis.databases_text(beside)}" if beside else ""
            beware = f"\nbeware: {found.attrs['silent']}" if found.attrs["silent"] else ""
            return f"{title}{found.attrs['basis']}{beware}\n\n{shown}{told}"
