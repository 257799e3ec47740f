"""One scenario of a configuration prepared in memory, for answers that need no run."""

from __future__ import annotations

from collections.abc import Mapping
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
        sha256: of the tables they were made from, by year.
        synthetic: whether a table is.
        silent: regions without any emissions, in words.
    """

    errors: ErrorModel
    question: Question
    labels: Labels
    hashes: Addresses
    tables: tuple[Prepared, ...]
    sha256: Mapping[int, str]
    synthetic: bool
    silent: str


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
    tables, sha256 = [], {}
    for year in years:
        table = reader.read(year)
        sha256[year] = table.sha256
        seed, r_max = config.sampling.seed, config.r_max
        tables.append(prepare(table, errors, question, seed, r_max=r_max, hashes=hashes))
    told = (reader.synthetic, reader.silent)
    return Ready(errors, question, labels, hashes, tuple(tables), sha256, *told)


def _scenario(config: Config, name: str | None) -> ErrorModel:
    known = {scenario.name: scenario for scenario in config.scenarios}
    if name is not None and name not in known:
        raise InputError(
            f"there is no scenario `{name}`",
            where=str(config.path),
            remedy=f"it has {', '.join(known)}",
        )
    return config.errors if name is None else known[name]
