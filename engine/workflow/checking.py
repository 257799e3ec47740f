"""The verb `check`: every table read, every name resolved, every error described."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from engine import analysis, readers, wording
from engine.config import Config
from engine.draws import reference
from engine.error_model import (
    ByLabel,
    DirichletShares,
    Empirical,
    ErrorModel,
    Period,
    inter_year_correlation,
    largest,
    only_independent_cells,
)
from engine.prepare import Exact, Prepared, exact_in_words, prepare, taken_as_exact
from engine.question import Consumer, Question, with_units
from engine.readers import Aggregated
from engine.workflow import table_page
from engine.workflow.aggregating import Folded, aggregation_in_words, by_both
from engine.workflow.implied import implied, implied_text, kept_means, of_factors, years_shown
from engine.workflow.known_totals import has_known_totals, known_totals_text, of_shares
from engine.workflow.reading import Reader


def check(config: Config) -> Iterator[str]:
    """Read every table and resolve every name; yields what was found, line by line.

    Raises:
        InputError: the first thing that makes a run impossible.
    """
    tables = Reader(config)
    question = config.question
    editions: dict[str, list[int]] = {}
    accounts: dict[tuple[str, str], dict[str, list[int]]] = {}
    folded: list[Folded] = []
    exact: dict[str, dict[int, tuple[Exact, ...]]] = {s.name: {} for s in config.scenarios}
    for year in config.sampling.years:
        table, full = tables.read_both(year)
        question = with_units(question, table.labels)
        if full is not None and isinstance(config.tables, Aggregated):
            folded.append(by_both(full, table, config.tables.by, question))
        labels = table.labels if full is None else full.labels
        del full  # may be many times as large as the table
        for scenario in config.scenarios:
            seed, r_max = config.sampling.seed, config.r_max
            prepared = prepare(table, scenario, question, seed, r_max=r_max)
            reference(prepared)
            exact[scenario.name][year] = taken_as_exact(prepared, table, question)
        if not editions:
            yield from table_page.head(table, readers.traps(config.tables))
        official = readers.official(config.tables, year, labels)
        yield from table_page.page(table, question, official)
        editions.setdefault(table.provenance.version, []).append(year)
        for stressor, file, regions in table.provenance.accounts:
            for region in regions:
                accounts.setdefault((stressor, region), {}).setdefault(file, []).append(year)
    yield from _mixed(editions)
    yield from _changing(accounts)
    yield "consumers: " + ", ".join(_membership(consumer) for consumer in question.consumers)
    yield "stressors: " + ", ".join(f"{i.name} [{i.unit}]" for i in question.indicators)
    if isinstance(config.tables, Aggregated):
        yield from aggregation_in_words(folded, question)
    yield from _databases(config)
    for scenario in config.scenarios:
        yield from _of_scenario(config, scenario, tables, question)
        for words in exact_in_words(exact[scenario.name]):
            yield f"  without any error: {words}"


def _of_scenario(
    config: Config, scenario: ErrorModel, tables: Reader, question: Question
) -> Iterator[str]:
    """A few years of one scenario, read anew so that no more of them are ever in memory."""
    prepared, outputs = [], []
    for year in years_shown(config.sampling.years):
        table = tables.read(year)
        seed, r_max = config.sampling.seed, config.r_max
        prepared.append(prepare(table, scenario, question, seed, r_max=r_max))
        outputs.append(table.x)
    yield from _described_errors(scenario, prepared, buys(question))
    yield from known_totals_text(scenario, prepared[0])
    rebalanced = scenario.rebalance is not None
    yield from implied_text(implied(prepared, outputs), question, rebalanced=rebalanced)


def _databases(config: Config) -> Iterator[str]:
    """How far several databases' yearly changes are apart, before any draw."""
    for row in analysis.spread_between(config.asked.between_databases):
        sigma, interval = analysis.spread_in_words(row)
        yield (
            f"{row['consumer']}, {row['stressor']}: yearly changes of {row['databases']} databases "
            f"differ with a standard deviation of {sigma} (95 % interval {interval}); a smaller "
            "sigma of a yearly change is too small: `preview` and `detect` warn of it"
        )


def buys(question: Question) -> bool:
    """Whether a demand vector is among the consumers."""
    return any(consumer.purchases is not None for consumer in question.consumers)


def _mixed(editions: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """Years of several releases, whose differences may be revisions."""
    if len(editions) > 1:
        told = "; ".join(
            f"{version or 'unnamed'} for {', '.join(map(str, years))}"
            for version, years in editions.items()
        )
        yield f"warning: years of several releases ({told}): a revision may look like a change"


def _changing(accounts: Mapping[tuple[str, str], Mapping[str, Sequence[int]]]) -> Iterator[str]:
    """Regions whose emissions come from one account in some years, and from another in others."""
    by_way: dict[tuple[str, str], list[str]] = {}
    for (stressor, region), files in accounts.items():
        if len(files) > 1:
            way = "; ".join(f"{file} in {', '.join(map(str, at))}" for file, at in files.items())
            by_way.setdefault((stressor, way), []).append(region)
    for (stressor, way), regions in by_way.items():
        yield (
            f"warning: {stressor} of {', '.join(regions)} is from {way}: a change between years of "
            "two accounts is one of source too"
        )


def _membership(consumer: Consumer) -> str:
    if consumer.purchases is not None:
        return f"{consumer.name} (purchases, home {', '.join(consumer.members)})"
    regions = len(consumer.members)
    return consumer.name if regions == 1 else f"{consumer.name} ({regions} regions)"


def _described_errors(
    scenario: ErrorModel, prepared: Sequence[Prepared], purchases: bool
) -> Iterator[str]:
    yield f"scenario {scenario.name}, perturbing {scenario.method}:"
    if scenario.rebalance is not None:
        yield f"  {wording.REBALANCING}"
        yield "    warning: these margins are then taken as known without error, an assumption"
    one, other = prepared[0], prepared[min(1, len(prepared) - 1)]
    first, second = one.year, other.year
    for entry in scenario:
        rho = math.fsum(
            component.weight * inter_year_correlation(component.time, first, second)
            for component in entry.components
        )
        yield f"  {wording.quantity(entry)}: {wording.sized(entry)}{wording.law(entry)}"
        if largest(entry.size) > 1:
            yield "    warning: an rsd above 1 is more than 100 %; sizes are fractions"
        if isinstance(entry.size, Empirical):
            yield f"    correlation of {first} and {second}: {wording.correlation(entry)}"
            yield f"    means kept from the files in {first}: {kept_means(scenario, entry, one)}"
        elif isinstance(entry.size, DirichletShares):
            factors = of_shares(scenario, entry, rho, one, other)
            yield (
                f"    correlation of {first} and {second} before known totals: of eps {rho:.4g}, "
                f"of factors {factors}"
            )
        else:
            factors = of_factors(scenario, entry, rho, one, other)
            before = " before known totals" if has_known_totals(scenario, entry, one) else ""
            yield (
                f"    correlation of {first} and {second}{before}: of eps {rho:.4g}, of factors "
                f"{factors}"
            )
        yield f"    source: {entry.source}"
        if isinstance(entry.size, ByLabel):
            for unmet in entry.size.unmet:
                yield f"    warning: cannot be met by a mean-one lognormal: {unmet}"
            for remark in entry.size.remarks:
                yield f"    note: {remark}"
        if any(isinstance(component.time, Period) for component in entry.components):
            yield "    warning: `period` errors manufacture a change at every benchmark"
    for words in wording.exact_in_words(scenario, purchases):
        yield f"  {words}: taken as exact"
    if only_independent_cells(scenario):
        yield "  warning: all errors are independent cells, which is optimistic (Rodrigues 2018)"
