"""The closed-form law of a run against brute force, against its own normals, and against draws."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from engine.draws import draw_prepared, everything, reference
from engine.error_model import (
    AR1,
    ByLabel,
    Component,
    Constant,
    ErrorModel,
    Errors,
    ErrorSize,
    Method,
    Period,
    Persistent,
    PowerLaw,
    Quantity,
    TimeKey,
    Yearly,
)
from engine.kernels.arrays import F64
from engine.kernels.perturb import LOG2E, Cells, standard_errors
from engine.mrio import MRIO, Labels, Provenance
from engine.prepare import Prepared, prepare
from engine.question import PARTS, Consumer, Indicator, Question
from engine.readers import toy
from engine.twin import Twin, linearised, twin, uncertain

YEARS = (2000, 2001, 2004)
REGIONS = ("R0", "R1", "R2")
INDUSTRIES = tuple((region, sector) for region in REGIONS for sector in ("P", "Q"))
LABELS = Labels(REGIONS, INDUSTRIES, ("CO2", "CH4"), ("kt", "kt"), "million EUR")
QUESTION = Question(
    consumers=(
        Consumer("R1", ("R1",)),
        Consumer("pair", ("R0", "R2")),
        Consumer(
            "firm",
            ("R2",),
            {year: {("R0", "P"): 3.0, ("R2", "Q"): year - 1998.0} for year in YEARS},
        ),
    ),
    indicators=(
        Indicator("CH4", "kt", {"CH4": 1.0}),
        Indicator("GWP", "kt CO2e", {"CO2": 1.0, "CH4": 28.0}),
    ),
)


def world(year: int) -> MRIO:
    """Six industries in three regions, with zeros, a negative cell and an inactive industry."""
    rng = np.random.default_rng(year)
    Z = rng.lognormal(0, 1, (6, 6)) * (rng.random((6, 6)) < 0.7)
    Y = rng.lognormal(2, 1, (6, 3))
    Y[0, 1] = -0.5
    Z[3], Y[3] = 0, 0  # this industry sells nothing
    E, F_Y = rng.lognormal(1, 1, (2, 6)), rng.lognormal(0, 1, (2, 3))
    return MRIO(year, LABELS, Z, Y, E, F_Y, Provenance("made up", "1", "none", synthetic=True))


def component(
    name: str,
    weight: float,
    group: str,
    time: TimeKey,
    shared_with: tuple[Quantity, str] | None = None,
) -> Component:
    return Component(name, weight, tuple(group.split()), time, shared_with)


def entry(
    quantity: str, size: ErrorSize, *components: Component, **only: tuple[str, ...]
) -> Errors:
    return Errors(Quantity(quantity), only, size, components, "test")


def model(method: Method) -> ErrorModel:
    """Every kind of time key and group, errors shared between entries and between quantities."""
    accounts = method is Method.ACCOUNTS
    flows, emissions = ("Z", "E") if accounts else ("A", "s")
    law = PowerLaw(0.3, -0.2, 0.05, 1.0, "EUR", 1.0)
    return ErrorModel(
        "base",
        method,
        (
            entry(
                flows,
                Constant(0.3),
                component("trade", 0.3, "row_sector col_region", AR1(0.7)),
                component("pairs", 0.1, "row_region col_region", Yearly()),
                component("own", 0.6, "cell", AR1(0.8)),
                row_region=("R0", "R1"),
            ),
            entry(
                flows,
                law,
                component(
                    "trade too", 0.5, "row_sector col_region", AR1(0.7), (Quantity(flows), "trade")
                ),
                component("own too", 0.2, "cell", Yearly()),
                component(
                    "own, lasting", 0.3, "row_region row_sector col_region col_sector", Persistent()
                ),
                row_region=("R2",),
            ),
            entry(
                emissions,
                ByLabel(("stressor",), {("CO2",): 0.1, ("CH4",): 0.4}),
                component("national", 0.5, "stressor region", Period((1995, 2001))),
                component("all", 0.1, "all", Persistent()),
                component("own", 0.4, "cell", Persistent()),
            ),
            entry(
                "F_Y",
                Constant(0.2),
                component(
                    "national",
                    0.7,
                    "stressor consumer",
                    Period((1995, 2001)),
                    (Quantity(emissions), "national"),
                ),
                component("own", 0.3, "stressor consumer", Yearly()),
            ),
            entry(
                "Y",
                law,
                component("consumer", 0.4, "consumer", AR1(0.5)),
                component("origin", 0.2, "row_region", AR1(0.5)),
                component("own", 0.4, "cell", Persistent()),
            ),
            entry(
                "purchases",
                Constant(0.25),
                component("firm", 0.5, "consumer", Persistent()),
                component("own", 0.5, "cell", AR1(0.9)),
            ),
        ),
    )


METHODS = pytest.mark.parametrize("method", list(Method))


def tables(method: Method) -> list[Prepared]:
    return [prepare(world(year), model(method), QUESTION, seed=5) for year in YEARS]


def listed(prepared: Prepared) -> Iterator[tuple[Cells, F64]]:
    """Entries of the error model, with `dF/dq q sigma` of each cell, (cells,q,c,p)."""
    found = linearised(prepared)
    for quantity in prepared.cells:
        dense = found.gradients[quantity].dense()
        for cells in uncertain(prepared, quantity):
            sizes = cells.value * cells.log2_sd.astype(np.float64) / LOG2E
            yield cells, dense[cells.positions()] * sizes[:, None, None, None]


def addresses(cells: Cells) -> Iterator[list[tuple[object, ...]]]:
    """The normal that each cell uses, by term."""
    i, j = cells.positions()
    for term in cells.terms:
        if term.groups is None:
            rows, columns = cells.rows[i], cells.columns[j]
        else:
            rows = term.groups.rows[term.groups.row_of[i]]
            columns = term.groups.columns[term.groups.column_of[j]]
        field = term.key.tobytes(), term.node
        yield [(*field, int(r), int(c)) for r, c in zip(rows, columns, strict=True)]


@METHODS
def test_covariance_is_the_sum_over_all_normals(method: Method) -> None:
    """Brute force: a footprint's sensitivity to each single normal, then the sum of products."""
    prepared = tables(method)
    found = twin(prepared)
    by_year: list[dict[tuple[object, ...], F64]] = []
    for year in prepared:
        sums: dict[tuple[object, ...], F64] = defaultdict(lambda: np.zeros((2, 3, 4)))
        for cells, a in listed(year):
            for term, used in zip(cells.terms, addresses(cells), strict=True):
                for normal, one in zip(used, a, strict=True):
                    sums[normal] = sums[normal] + term.weight * one
        by_year.append(sums)
    for t, s in np.ndindex(3, 3):
        common = by_year[t].keys() & by_year[s].keys()
        expected = sum(by_year[t][normal] * by_year[s][normal] for normal in common)
        assert found.covariance[t, s] == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert found.years == YEARS
    assert (np.abs(found.covariance[0, 2, :, :, :3]) > 0).all()


@METHODS
@pytest.mark.parametrize("parts", [PARTS, ("total",)])
def test_packing_and_tiles_do_not_matter(
    method: Method, parts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines are rows or columns, whichever a question needs, cut into strips and tiles."""
    whole = twin(tables(method)).covariance
    monkeypatch.setattr("engine.kernels.perturb.STRIP", 4)
    monkeypatch.setattr("engine.twin._TILE", 8 * 6 * 3 * 2)  # two lines of three years
    question = replace(QUESTION, parts=parts)
    prepared = [prepare(world(year), model(method), question, seed=5) for year in YEARS]
    found = twin(prepared).covariance
    known = [0, 3] if parts == ("total",) else [0, 1, 2, 3]  # domestic and foreign are not solved
    assert found[..., known] == pytest.approx(whole[..., known], rel=1e-12, abs=1e-12)
    assert np.isnan(found[..., 1:3]).all() == (parts == ("total",))


@METHODS
def test_covariance_is_that_of_the_normals_that_draws_use(method: Method) -> None:
    """4.5 standard errors of a product of normals, 432 comparisons: 1 in 340 false failures."""
    prepared, draws = tables(method), 2000
    found = twin(prepared)
    G = np.zeros((draws, *found.footprint.shape))
    for t, year in enumerate(prepared):
        for cells, a in listed(year):
            for d in range(draws):
                G[d, t] += np.einsum("i,iqcp->qcp", standard_errors(cells, d), a)
    sampled = np.einsum("dt...,ds...->ts...", G, G) / draws  # the mean is known to be zero
    variances = np.einsum("tt...->t...", found.covariance)
    error = np.sqrt((variances[:, None] * variances[None] + found.covariance**2) / draws)
    assert (np.abs(sampled - found.covariance) <= 4.5 * error).all()


@METHODS
def test_footprints_are_the_references(method: Method) -> None:
    prepared = tables(method)
    expected = np.stack([reference(year) for year in prepared])
    assert twin(prepared).footprint == pytest.approx(expected, rel=1e-12, abs=1e-12)


@METHODS
def test_draws_approach_the_twin_as_errors_vanish(method: Method) -> None:
    """sds and correlations of 0.1 % errors; 4.5 standard errors over 90 numbers: 1 in 1,600."""
    small = replace(
        model(method),
        errors=tuple(replace(entry, size=Constant(1e-3)) for entry in model(method).errors),
    )
    prepared, draws = [prepare(world(year), small, QUESTION, seed=6) for year in YEARS], 300
    found = twin(prepared)
    F = np.stack([draw_prepared(year, range(draws)).footprint for year in prepared])
    moved = F - found.footprint[:, None]
    sampled = np.einsum("td...,sd...->ts...", moved, moved) / draws
    variances = np.einsum("tt...->t...", found.covariance)
    error = np.sqrt((variances[:, None] * variances[None] + found.covariance**2) / draws)
    assert (np.abs(sampled - found.covariance) <= 4.5 * error + 1e-24).all()


def test_the_world_as_a_consumer_has_no_error_from_trade() -> None:
    """All emissions are somebody's: to the whole world Z and Y move nothing."""
    table = toy.read(toy.Toy(world=toy.World.TWO_REGIONS), 2000)
    regions = table.labels.regions
    question = replace(everything(table), consumers=(Consumer("world", regions),))
    own = component("own", 1.0, "cell", Yearly())
    entries = tuple(entry(quantity, Constant(0.3), own) for quantity in ("Z", "Y"))
    prepared = prepare(table, ErrorModel("base", Method.ACCOUNTS, entries), question, 1)
    found = twin([prepared])
    assert np.sqrt(found.covariance[..., 0].max()) < 1e-12 * found.footprint[..., 0].max()


def independent(cells: int) -> Twin:
    """One region whose emissions come from equal sectors, each with its own error of 50 %."""
    shape = (1, cells)
    table = MRIO(
        2000,
        Labels(("R",), tuple(("R", f"P{i}") for i in range(cells)), ("CO2",), ("kt",), "EUR"),
        np.zeros((cells, cells)),
        np.ones((cells, 1)),
        np.ones(shape),
        np.zeros((1, 1)),
        Provenance("made up", "1", "none", synthetic=True),
    )
    errors = entry("E", Constant(0.5), component("own", 1.0, "cell", Yearly()))
    return twin(
        [prepare(table, ErrorModel("base", Method.ACCOUNTS, (errors,)), everything(table), 1)]
    )


def test_independent_cells_average_out() -> None:
    found, cells = independent(400), 400
    relative = math.sqrt(found.covariance[0, 0, 0, 0, 0]) / found.footprint[0, 0, 0, 0]
    assert relative == pytest.approx(math.sqrt(math.log(1.25) / cells), rel=1e-6)


def growing(shares: Sequence[tuple[float, str, TimeKey]]) -> Twin:
    """Known answer 4 with 900 cells: two years of one region, emissions alone uncertain."""
    cells = 900
    labels = Labels(("R",), tuple(("R", f"P{i}") for i in range(cells)), ("CO2",), ("kt",), "EUR")
    made_up = Provenance("made up", "1", "none", synthetic=True)
    zero, one = np.zeros((cells, cells)), np.ones((cells, 1))
    components = tuple(
        component(f"c{i}", weight, group, time) for i, (weight, group, time) in enumerate(shares)
    )
    errors = ErrorModel("base", Method.ACCOUNTS, (entry("E", Constant(0.5), *components),))
    years = [MRIO(y, labels, zero, one, one.T, np.zeros((1, 1)), made_up) for y in (2000, 2001)]
    return twin([prepare(table, errors, everything(table), 1) for table in years])


@pytest.mark.parametrize(
    ("shares", "correlation"),
    [
        ([(0.05, "all", Persistent()), (0.95, "cell", Yearly())], 0.05),
        ([(0.05, "all", Yearly()), (0.95, "cell", Persistent())], 0.95 / 900),
    ],
)
def test_shared_errors_decide_the_aggregate(
    shares: list[tuple[float, str, TimeKey]], correlation: float
) -> None:
    covariance = growing(shares).covariance[..., 0, 0, 0]
    sigma2, shared = math.log(1.25), 0.05 + 0.95 / 900
    assert covariance[0, 0] == pytest.approx(sigma2 * shared * 900**2, rel=1e-6)
    assert covariance[0, 1] / covariance[0, 0] == pytest.approx(correlation / shared, rel=1e-9)
