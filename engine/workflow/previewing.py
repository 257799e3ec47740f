"""The verb `preview`: the answer to first order, as a dataset and as a table."""

from __future__ import annotations

import xarray as xr

from engine import analysis
from engine.config import Config
from engine.error_model import ErrorModel
from engine.errors import InputError
from engine.kernels.changes import DetectionRule
from engine.prepare import addresses, prepare
from engine.question import with_units
from engine.twin import twin
from engine.workflow.reading import Reader


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
    errors, tables = _scenario(config, scenario), Reader(config)
    question, years = config.question, config.sampling.years
    labels = [tables.read(years[0]).labels]  # of all years: `Reader` refuses others
    hashes, question = addresses(labels, question), with_units(question, labels[0])
    prepared = [
        prepare(
            tables.read(year),
            errors,
            question,
            config.sampling.seed,
            r_max=config.r_max,
            hashes=hashes,
        )
        for year in years
    ]
    previewed = analysis.preview(twin(prepared), question, rule or config.detection)
    return previewed.assign_attrs(
        title=config.title, scenario=errors.name, synthetic=tables.synthetic
    )


def _scenario(config: Config, name: str | None) -> ErrorModel:
    known = {scenario.name: scenario for scenario in config.scenarios}
    if name is not None and name not in known:
        raise InputError(
            f"there is no scenario `{name}`",
            where=str(config.path),
            remedy=f"it has {', '.join(known)}",
        )
    return config.errors if name is None else known[name]


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
        form: "text", "csv" or "json". CSV and JSON hold every pair of years and every part.
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
    match form:
        case "csv":
            return analysis.to_csv(analysis.preview_table(found))
        case "json":
            return analysis.to_json({"preview": analysis.preview_table(found)})
        case _:
            mark = "SYNTHETIC data. " if found.attrs["synthetic"] else ""
            title = f"{mark}{found.attrs['title']}; scenario {found.attrs['scenario']}; "
            shown = analysis.preview_text(found, all_pairs=all_pairs, all_parts=all_parts)
            return f"{title}{found.attrs['basis']}\n\n{shown}"
