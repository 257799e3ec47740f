"""One scenario of one run, and everything settled before its first draw.

Settling reads and prepares every year, compares with what the folder holds, and makes room. What is
wrong with a configuration or a table is found here, before hours of work, and for all scenarios.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.blockwork import Task, machine
from engine.budget import budget
from engine.draws import Single, estimated
from engine.error_model import (
    AR1,
    ByLabel,
    Component,
    Constant,
    DirichletShares,
    Empirical,
    ErrorModel,
    Errors,
    ErrorSize,
    FromFile,
    KnownTotals,
    Law,
    Period,
    PowerLaw,
    TimeKey,
    law_names,
    refuse_more_draws,
)
from engine.errors import TableError
from engine.kernels import dirichlet, laws
from engine.kernels.perturb import fingerprint
from engine.mrio import MRIO, Finding, Labels, Provenance, findings
from engine.plan import SamplingPlan
from engine.prepare import (
    Addresses,
    Exact,
    Prepared,
    addresses,
    centring_fingerprint,
    prepare,
    taken_as_exact,
)
from engine.question import PARTS, Consumer, Question
from engine.split import Keep, split
from engine.stores import tables as prepared_tables
from engine.stores.budgets import read_budget, write_budget
from engine.stores.durable import make_folder, storing
from engine.stores.ensemble import (
    Axes,
    Ensemble,
    create_or_extend,
    digest_of,
    noted,
    refuse_another,
)
from engine.stores.lock import Lock
from engine.stores.places import Place, from_anywhere
from engine.twin import Twin, twin, uncertain


@dataclass(frozen=True, slots=True)
class Job:
    """One scenario of one run.

    Attributes:
        folder: the scenario's folder, `RUN/<scenario>`.
        title: what the user calls the run.
        read: the table of a year.
        r_max: largest spectral radius accepted.
        tolerance: largest certified relative error of a footprint accepted.
        keep: what split mode keeps; None where every draw is exact.
    """

    folder: Place
    title: str
    read: Callable[[int], MRIO]
    question: Question
    errors: ErrorModel
    sampling: SamplingPlan
    r_max: float
    tolerance: float
    keep: Keep | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """A job with its ensemble made ready and its prepared tables in `tables`.

    Attributes:
        exact: what has no error at all, by year.
    """

    job: Job
    ensemble: Ensemble
    tables: Place
    exact: Mapping[int, tuple[Exact, ...]]

    def tasks(self) -> Iterator[Task]:
        """A task for each block the ledger lacks."""
        parts = tuple(PARTS.index(part) for part in self.job.question.parts)
        for block in self.ensemble.missing():
            table = self.tables / str(block.year)
            yield Task(from_anywhere(table), from_anywhere(self.job.folder), (block,), parts)


@contextmanager
def settled(jobs: Sequence[Job], lock: Lock, *, elsewhere: bool) -> Iterator[list[Settled]]:
    """Settle the jobs of one run; prepared tables go away at the end.

    Args:
        lock: of the run folder, held.
        elsewhere: whether other machines draw too: prepared tables are then put into the run
            folder where that is in an object store.

    Raises:
        InputError: a table, the question or an error model cannot be used.
        DriftError: a folder holds an ensemble of another job.
        LockedError: another run has taken the folder over.
    """
    with ExitStack() as open_things:
        ready = []
        for job in jobs:
            lock.confirm()
            with storing(job.folder):
                make_folder(job.folder)
            tables = open_things.enter_context(prepared_tables.workplace(job.folder))
            ready.append(_settle(job, lock, tables, elsewhere=elsewhere))
        yield ready


def _settle(job: Job, lock: Lock, folder: Path, *, elsewhere: bool) -> Settled:
    refuse_more_draws(job.errors, job.sampling.draws)
    seen = {year: _look(job.read(year)) for year in job.sampling.years}
    axes = _axes(job, seen[job.sampling.years[0]].labels)
    described = identity(job, {year: look.sha256 for year, look in seen.items()})
    digest = digest_of(axes, described)
    hashes = addresses([look.labels for look in seen.values()], job.question)
    made = [
        _prepared_year(job, look, hashes, folder / str(year), digest) for year, look in seen.items()
    ]
    estimates = [year.estimate for year in made]
    exact = {year: one.exact for year, one in zip(seen, made, strict=True)}
    # From files: the arrays of all years need not be in memory at once.
    ready = [prepared_tables.load(folder / str(year), digest) for year in job.sampling.years]
    # There is no first order of draws that are balanced.
    law = None if job.errors.rebalance else twin(ready)
    cut = None if job.keep is None else _split(ready, job.keep, law, folder)
    # Before the ensemble, which would be half-made if this failed.
    labels = seen[job.sampling.years[0]].labels
    divided = None
    if law is not None and read_budget(job.folder, digest) is None:
        divided = budget(ready, law, job.errors, job.question, job.sampling.seed, labels, hashes)
    parts = [PARTS.index(part) for part in job.question.parts]
    ensemble = create_or_extend(
        job.folder,
        axes,
        job.sampling.draws,
        described,
        np.stack([estimate.footprint for estimate in estimates])[..., parts],
        {
            "title": job.title,
            "scenario": job.errors.name,
            "method": str(job.errors.method),
            "mode": "exact" if cut is None else "split",
            "laws": list(law_names(job.errors)),
            **({} if cut is None else {"split": cut}),
            **({"known_totals": True} if job.errors.totals else {}),
            **_rebalance(job.errors),
            "synthetic": any(look.provenance.synthetic for look in seen.values()),
            "findings": {str(year): list(look.findings) for year, look in seen.items()},
            "exact": {
                str(year): [dataclasses.asdict(one) for one in some] for year, some in exact.items()
            },
            "tables": {str(y): dataclasses.asdict(s.provenance) for y, s in seen.items()},
            "machine": machine(),
        },
        ({} if law is None else {"first_order_covariance": law.covariance[..., parts]})
        | {
            f"{name}_reference": np.stack([estimate.contributions[name] for estimate in estimates])
            for name in axes.contributions
        },
        confirm=lock.confirm,
    )
    if divided is not None:
        lock.confirm()
        write_budget(job.folder, divided, digest)
    tables: Place = folder
    if elsewhere and ensemble.missing():
        tables = prepared_tables.published(folder, job.folder)
    return Settled(job, ensemble, tables, exact)


class _Year(NamedTuple):
    """What is kept of a prepared year."""

    estimate: Single
    exact: tuple[Exact, ...]


def _prepared_year(job: Job, look: _Look, hashes: Addresses, folder: Path, digest: str) -> _Year:
    """Prepare and save one year; keeps no table in memory."""
    table = job.read(look.year)
    if table.sha256 != look.sha256:
        raise TableError(
            "the table changed while it was being read",
            where=f"year {look.year}",
            remedy="wait until its files are complete, then run again",
        )
    prepared = prepare(
        table,
        job.errors,
        job.question,
        job.sampling.seed,
        r_max=job.r_max,
        tolerance=job.tolerance,
        hashes=hashes,
    )
    prepared_tables.save(prepared, folder, digest)
    return _Year(estimated(prepared), taken_as_exact(prepared, table, job.question))


def _split(
    tables: Sequence[Prepared], keep: Keep, law: Twin | None, folder: Path
) -> dict[str, Any]:
    """Add the split to the saved tables; returns what was kept, as the ensemble tells it.

    What matters to a change depends on both its years: all are looked at together.
    """
    kept, cells = {}, {}
    for table in split(tables, keep, law):
        assert table.split is not None
        prepared_tables.add_split(table.split, folder / str(table.year))
        kept[str(table.year)] = table.split.share
        cells[str(table.year)] = [
            sum(len(entry.value) for entry in table.split.kept),
            sum(len(entry.value) for entry in uncertain(table, table.matrix)),
        ]
    return {
        "asked": keep.share,
        "order": keep.order,
        "exact_draws": keep.exact_draws,
        "kept": kept,
        "cells": cells,
    }


@dataclass(frozen=True, slots=True)
class _Look:
    """What is kept of a table once it has been looked at: everything but its arrays."""

    year: int
    labels: Labels
    sha256: str
    provenance: Provenance
    findings: tuple[dict[str, Any], ...]


def _look(table: MRIO) -> _Look:
    found: list[Finding] = findings(table)
    return _Look(
        table.year,
        table.labels,
        table.sha256,
        table.provenance,
        tuple(map(dataclasses.asdict, found)),
    )


def _axes(job: Job, labels: Labels) -> Axes:
    """The axes; `labels` are those of all years, where contributions are asked for."""
    question = job.question
    return Axes(
        years=job.sampling.years,
        stressors=tuple(indicator.name for indicator in question.indicators),
        stressor_units=tuple(indicator.unit for indicator in question.indicators),
        consumers=tuple(consumer.name for consumer in question.consumers),
        parts=question.parts,
        block=job.sampling.block,
        origin_consumers=question.by_origin,
        industry_consumers=question.by_industry,
        origins=labels.regions if question.by_origin else (),
        industries=labels.industries if question.by_industry else (),
        product_consumers=question.by_product,
        products=labels.sectors if question.by_product else (),
        exact_draws=0 if job.keep is None else job.keep.exact_draws,
        first_order=job.errors.rebalance is None,
        rebalanced=job.errors.rebalance is not None,
    )


# --- what makes two ensembles the same ----------------------------------------------------------


def digest(job: Job, labels: Labels, tables: Mapping[int, str]) -> str:
    """The digest of the job's ensemble, whether there is one or not.

    Args:
        labels: of all years.
        tables: sha256 of each year's table.
    """
    return digest_of(_axes(job, labels), identity(job, tables))


def refuse_drift(job: Job, table: MRIO) -> None:
    """Refuse a job whose folder holds another ensemble, as far as its first year's table tells.

    The other years' tables are taken for those of the ensemble: `settled` reads them.

    Raises:
        DriftError: naming what differs.
        StoreError: the folder cannot be read.
    """
    known = noted(job.folder)
    if known is not None:
        years, tables = map(str, job.sampling.years), known["tables"]
        seen = {int(year): tables[year] for year in years if year in tables}
        described = identity(job, {**seen, table.year: table.sha256})
        refuse_another(job.folder, _axes(job, table.labels), described)


def identity(job: Job, tables: Mapping[int, str]) -> dict[str, Any]:
    """Everything that decides a draw, and nothing else: no prose, no order that does not matter.

    Args:
        tables: sha256 of each year's table.
    """
    question = job.question
    years = job.sampling.years
    known = sorted((_totals(entry, years) for entry in job.errors.totals), key=str)
    return {
        "tables": {str(year): sha256 for year, sha256 in tables.items()},
        "seed": job.sampling.seed,
        "method": {
            "perturb": str(job.errors.method),
            "r_max": job.r_max,
            "tolerance": job.tolerance,
            "arithmetic": fingerprint(),
            **({"centring": centring_fingerprint()} if known else {}),
            **({} if job.keep is None else {"split": dataclasses.asdict(job.keep)}),
            **_rebalance(job.errors),
        },
        "scenario": job.errors.name,
        "errors": sorted((_entry(entry, years) for entry in job.errors), key=str),
        **({"known_totals": known} if known else {}),
        "consumers": {c.name: _consumer(c, years) for c in question.consumers},
        "indicators": {i.name: dict(i.weights) for i in question.indicators},
    }


def _rebalance(errors: ErrorModel) -> dict[str, str]:
    return {} if errors.rebalance is None else {"rebalance": str(errors.rebalance)}


def _entry(entry: Errors, years: tuple[int, ...]) -> dict[str, Any]:
    return {
        "quantity": str(entry.quantity),
        "only": {key: sorted(names) for key, names in entry.only.items()},
        "size": _size(entry.size, years),
        **_law(entry),
        **_provisional(entry.provisional, years),
        "components": _components(entry.components),
    }


def _provisional(times: Mapping[int, float], years: tuple[int, ...]) -> dict[str, Any]:
    """Of the years that are run, where the size is another one."""
    larger = {str(year): times[year] for year in years if times.get(year, 1.0) != 1.0}
    return {"provisional": larger} if larger else {}


def _totals(entry: KnownTotals, years: tuple[int, ...]) -> dict[str, Any]:
    # Stated totals decide a draw where cells are scaled to them; elsewhere they are a check.
    stated = entry.stated if entry.rescale and entry.stated is not None else {}
    return {
        "quantities": sorted(entry.quantities),
        "only": {key: sorted(names) for key, names in entry.only.items()},
        "by": sorted(entry.by),
        "size": _size(entry.size, years),
        **_provisional(entry.provisional, years),
        "components": _components(entry.components),
        **_shares(entry),
        "scaled_to": {
            str(year): _by_label(entry.by, stated[year]) for year in years if year in stated
        },
    }


def _shares(entry: KnownTotals) -> dict[str, Any]:
    """Of Dirichlet shares, with what is tabulated of them to the last bit."""
    if entry.concentration is None:
        return {}
    return {"dirichlet": {"concentration": entry.concentration, "tables": dirichlet.fingerprint()}}


def _size(size: ErrorSize, years: tuple[int, ...]) -> dict[str, Any]:
    sized: dict[str, Any]
    match size:
        case FromFile():
            one = isinstance(size.sha256, str)
            sized = {"sha256": size.sha256 if one else [list(pair) for pair in size.sha256]}
        case Empirical():
            sized = {
                "sha256": [list(pair) for pair in sorted(size.sha256)],
                "rescale": size.rescale,
            }
        case ByLabel(keys, rsd):
            sized = {"keys": sorted(keys), "rsd": _by_label(keys, rsd)}
        case PowerLaw():
            rates = {year: float(size.conversion(year)) for year in years}
            alike = len(set(rates.values())) == 1
            sized = {
                "a": size.a,
                "b": size.b,
                "floor": size.floor,
                "ceiling": size.ceiling,
                "per_table_unit": rates[years[0]] if alike else _listed(rates),
            }
        case Constant() | DirichletShares():
            sized = _fields(size)
    return {"kind": type(size).__name__, **sized}


def _by_label(keys: Sequence[str], values: Mapping[tuple[str, ...], float]) -> list[list[Any]]:
    """Values by label, the labels in the order of their sorted keys."""
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return _listed({tuple(label[k] for k in order): value for label, value in values.items()})


def _components(components: Sequence[Component]) -> dict[str, Any]:
    return {
        component.name: {
            "weight": component.weight,
            "group": sorted(component.group),
            "time": _time(component.time),
            "shared_with": [str(part) for part in component.shared_with or ()],
        }
        for component in components
    }


def _law(entry: Errors) -> dict[str, Any]:
    """What a law that is tabulated makes of eps, to the last bit; the lognormal needs no table."""
    if entry.law is Law.LOGNORMAL:
        return {}
    return {"law": {"name": str(entry.law), "tables": laws.fingerprint()}}


def _time(time: TimeKey) -> dict[str, Any]:
    match time:
        case AR1() | Period():
            return {"kind": type(time).__name__, **_fields(time)}
        case _:
            return {"kind": type(time).__name__}


def _consumer(consumer: Consumer, years: tuple[int, ...]) -> dict[str, Any]:
    described: dict[str, Any] = {"members": sorted(consumer.members)}
    if consumer.purchases is not None:
        bought = consumer.purchases
        described["purchases"] = {str(year): _listed(bought[year]) for year in years}
    return described


def _fields(thing: Any) -> dict[str, Any]:
    plain = {}
    for field in dataclasses.fields(thing):
        value = getattr(thing, field.name)
        plain[field.name] = list(value) if isinstance(value, tuple) else value
    return plain


def _listed(mapping: Mapping[Any, Any]) -> list[list[Any]]:
    """Keys and values as sorted lists: joined into one string, two keys could become the same."""
    return sorted(
        [
            [*key, value] if isinstance(key, tuple) else [key, value]
            for key, value in mapping.items()
        ]
    )
