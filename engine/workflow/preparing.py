"""One scenario of a configuration prepared in memory, for answers that need no run."""

from __future__ import annotations

from dataclasses import dataclass

from engine.config import Config
from engine.error_model import ErrorModel
from engine.errors import InputError
from engine.mrio import Labels
from engine.prepare import Addresses, Prepared, addresses, prepare
from engine.question import Question, with_units
from engine.workflow.reading import Reader


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """All years of one scenario.

    Attributes:
        errors: the scenario.
        question: with units.
        labels, hashes: of all years' tables.
        tables: by year, in order.
        synthetic: whether a table is.
    """

    errors: ErrorModel
    question: Question
    labels: Labels
    hashes: Addresses
    tables: tuple[Prepared, ...]
    synthetic: bool


def prepared(config: Config, scenario: str | None = None) -> Ready:
    """Read and prepare every year of a scenario, of the first one if none is named.

    Raises:
        InputError: the configuration or a table cannot be used, or there is no such scenario.
    """
    errors, reader = _scenario(config, scenario), Reader(config)
    years = config.sampling.years
    labels = reader.read(years[0]).labels  # of all years: `Reader` refuses others
    question = with_units(config.question, labels)
    hashes = addresses([labels], question)
    tables = tuple(
        prepare(
            reader.read(year),
            errors,
            question,
            config.sampling.seed,
            r_max=config.r_max,
            hashes=hashes,
        )
        for year in years
    )
    return Ready(errors, question, labels, hashes, tables, reader.synthetic)


def _scenario(config: Config, name: str | None) -> ErrorModel:
    known = {scenario.name: scenario for scenario in config.scenarios}
    if name is not None and name not in known:
        raise InputError(
            f"there is no scenario `{name}`",
            where=str(config.path),
            remedy=f"it has {', '.join(known)}",
        )
    return config.errors if name is None else known[name]
