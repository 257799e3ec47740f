"""Known totals: shares in closed form and by brute force, sums in every draw, both paths, the twin.

Sampled numbers are held to 4 standard errors or more, with the false-failure rate beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import qmc
from worlds import permute

from configs import SERIAL, SMALL, arrays, loaded
from engine import workflow
from engine.analysis.control import controlled
from engine.config import Config
from engine.draws import (
    Status,
    draw_directly,
    draw_exactly,
    draw_group,
    draw_prepared,
    perturbed,
    reference,
)
from engine.draws.ways import draw_demand_and_emissions
from engine.error_model import (
    AR1,
    ByLabel,
    Component,
    Constant,
    ErrorModel,
    Errors,
    KnownTotals,
    Law,
    Method,
    Persistent,
    Quantity,
    TimeKey,
    Yearly,
    only_independent_cells,
)
from engine.errors import ConfigError, TableError
from engine.jobs import Job, identity
from engine.kernels.arrays import F64, I64
from engine.kernels.perturb import estimate, factors
from engine.kernels.shares import Spread, centred, expected_shares
from engine.mrio import MRIO, Labels, Provenance
from engine.prepare import Prepared, prepare
from engine.question import Consumer, Indicator, Question
from engine.readers import read
from engine.split import Keep, split
from engine.stores import tables as prepared_tables
from engine.stores.identity import canonical
from engine.twin import twin

SIGMA = float(np.sqrt(np.log(1.25)))  # of an rsd of .5
YEARS = (2000, 2001, 2004)
REGIONS, SECTORS = ("R0", "R1", "R2"), ("P", "Q", "T")
INDUSTRIES = tuple((region, sector) for region in REGIONS for sector in SECTORS)
LABELS = Labels(REGIONS, INDUSTRIES, ("CO2", "CH4"), ("kt", "kt"), "million EUR")
QUESTION = Question(
    consumers=(Consumer("R1", ("R1",)), Consumer("pair", ("R0", "R2"))),
    indicators=(
        Indicator("CH4", "kt", {"CH4": 1.0}),
        Indicator("GWP", "kt CO2e", {"CO2": 1.0, "CH4": 28.0}),
    ),
)
METHODS = pytest.mark.parametrize("method", [Method.ACCOUNTS, Method.COEFFICIENTS])


def world(year: int) -> MRIO:
    """Nine industries in three regions; one is inactive, one emits nothing of one stressor."""
    rng = np.random.default_rng(year)
    Z = rng.lognormal(0, 1, (9, 9)) * (rng.random((9, 9)) < 0.7)
    Y = rng.lognormal(2, 1, (9, 3))
    Z[4], Y[4] = 0, 0  # this industry sells nothing
    E, F_Y = rng.lognormal(1, 1, (2, 9)), rng.lognormal(0, 1, (2, 3))
    E[0, 7] = 0 if year == 2001 else 3
    F_Y[1, 0] = 0
    return MRIO(year, LABELS, Z, Y, E, F_Y, Provenance("made up", "1", "none", synthetic=True))


def component(name: str, weight: float, group: str, time: TimeKey) -> Component:
    return Component(name, weight, tuple(group.split()), time)


def entry(quantity: str, rsd: float, *components: Component, **only: tuple[str, ...]) -> Errors:
    return Errors(Quantity(quantity), only, Constant(rsd), components, "test")


def totals(
    *quantities: str,
    by: str = "stressor region",
    rsd: float = 0.02,
    components: Sequence[Component] = (),
    only: dict[str, tuple[str, ...]] | None = None,
    stated: dict[int, dict[tuple[str, ...], float]] | None = None,
    rescale: bool = False,
) -> KnownTotals:
    return KnownTotals(
        tuple(Quantity(quantity) for quantity in quantities),
        only or {},
        tuple(by.split()),
        Constant(rsd),
        tuple(components) or (component("inventory", 1.0, by, AR1(0.9)),),
        "test",
        stated,
        rescale,
    )


def model(method: Method, *known: KnownTotals) -> ErrorModel:
    """Errors of flows and emissions, some shared within a region, some entries exact in part."""
    accounts = method is Method.ACCOUNTS
    flows, emissions = ("Z", "E") if accounts else ("A", "s")
    return ErrorModel(
        "base",
        method,
        (
            entry(flows, 0.1, component("flow", 1.0, "cell", Yearly())),
            entry(
                emissions,
                0.5,
                component("national", 0.3, "stressor region", Persistent()),
                component("own", 0.7, "cell", AR1(0.8)),
                sector=("P", "Q"),
            ),
            entry("F_Y", 0.3, component("households", 1.0, "stressor consumer", Yearly())),
        ),
        known,
    )


def together(method: Method) -> ErrorModel:
    """E (or s) and F_Y under one total for each stressor and region, by two components."""
    emissions = str(method.emissions)
    known = totals(
        emissions,
        "F_Y",
        components=(
            component("inventory", 0.6, "stressor region", AR1(0.9)),
            component("activity", 0.4, "region", Persistent()),
        ),
    )
    return model(method, known)


def of_region(table: MRIO) -> I64:
    """The region of every industry."""
    return np.array([REGIONS.index(region) for region, _ in table.labels.industries])


def flows(prepared: Prepared, table: MRIO, number: int | None) -> tuple[F64, F64]:
    """E and F_Y of one draw, as emissions in either method."""
    found = perturbed(prepared, number)
    E = found[prepared.emissions]
    return (E if prepared.accounts else E * table.x), found[Quantity.F_Y]


def sixty_four(prepared: Prepared, group: int) -> tuple[F64, F64]:
    """E or s, (k,n,64), and F_Y, (k,r,64), of a group by the fast path; nothing where inactive."""
    one_each = replace(prepared, characterisation=np.eye(2), membership=np.eye(3))
    drawn = draw_demand_and_emissions(one_each, group).emitted
    return drawn.intensities.transpose(1, 0, 2), drawn.direct


# --- shares by quadrature -----------------------------------------------------------------------


def independent(own: Sequence[float]) -> Spread:
    m = len(own)
    return Spread(np.array(own), np.full(m, -1), np.zeros(m), np.zeros(m))


def test_the_small_of_two_cells_gains_a_sixth_where_shares_are_not_centred() -> None:
    """90/10 at rsd .5: E[share] is one number over a normal, the log-ratio's."""
    uncentred, _ = expected_shares(np.log([0.9, 0.1]), independent([SIGMA, SIGMA]))
    assert uncentred[1] / 0.1 - 1 == pytest.approx(0.16, abs=0.005)
    z, w = np.polynomial.hermite_e.hermegauss(200)
    logistic = 1 / (1 + np.exp(np.log(9) + np.sqrt(2) * SIGMA * z))
    assert uncentred[1] == pytest.approx((w * logistic).sum() / w.sum(), rel=1e-6)


def test_the_centred_logit_offset_of_two_cells() -> None:
    found = centred(np.array([0.9, 0.1]), independent([SIGMA, SIGMA]))
    offset = np.log(9 * found.factor[0] / found.factor[1])
    assert f"{offset:.5f}" == "2.36877"
    # The same law, solved for its offset by bisection over a Gauss-Hermite rule of 200 nodes.
    z, w = np.polynomial.hermite_e.hermegauss(200)
    low, high = 2.0, 3.0
    for _ in range(60):
        middle = (low + high) / 2
        share = (w / (1 + np.exp(middle + np.sqrt(2) * SIGMA * z))).sum() / w.sum()
        low, high = (middle, high) if share > 0.1 else (low, middle)
    assert offset == pytest.approx(low, abs=2e-6)


def quasi_sampled(eta: F64, spread: Spread) -> tuple[F64, F64]:
    """E[share] and E[share^2] over 2^17 points of a scrambled Sobol sequence."""
    m, blocks = len(eta), int(spread.block.max()) + 1
    z = ndtri(qmc.Sobol(m + blocks + 1, seed=4).random(2**17))
    logs = eta + spread.own * z[:, :m] + spread.common * z[:, -1:]
    for b in range(blocks):
        logs += np.where(spread.block == b, spread.shared, 0.0) * z[:, m + b, None]
    X = np.exp(logs)
    shares = X / X.sum(axis=1, keepdims=True)
    return shares.mean(axis=0), np.square(shares).mean(axis=0)


@pytest.mark.parametrize("size", [0.2, 0.5, 1.2])
def test_expected_shares_are_those_of_samples(size: float) -> None:
    """Own errors, two blocks and a common one of unequal sizes, to the samples' own accuracy."""
    rng = np.random.default_rng(3)
    block = np.array([-1, -1, 0, 0, 0, 1, 1])
    spread = Spread(
        size * rng.uniform(0.1, 1, 7),
        block,
        np.where(block < 0, 0.0, size * rng.uniform(0.1, 1, 7)),
        size * rng.uniform(0, 1, 7),
    )
    eta = np.log(rng.dirichlet(np.ones(7)))
    hold_against_samples(eta, spread)
    households = np.array([1.0] * 6 + [0.0])  # all but one cell share one more error
    hold_against_samples(eta, replace(spread, common=0.6 * size * households))


def hold_against_samples(eta: F64, spread: Spread) -> None:
    first, second = expected_shares(eta, spread)
    sampled_first, sampled_second = quasi_sampled(eta, spread)
    assert first.sum() == pytest.approx(1, abs=1e-7)
    assert first == pytest.approx(sampled_first, rel=3e-4)
    assert second == pytest.approx(sampled_second, rel=2e-3)


@pytest.mark.parametrize("rsd", [0.1, 0.5, 1.0, 10.0])
@pytest.mark.parametrize("cells", [2, 35, 200])
def test_centred_shares_are_kept(rsd: float, cells: int) -> None:
    """To 1e-3 and better for every share of 1 % and more, by samples the centring knows not of."""
    rng = np.random.default_rng(cells)
    p = rng.lognormal(0, 1.5, cells)
    p /= p.sum()
    sigma = np.sqrt(np.log1p(rsd**2))
    found = centred(p, independent([sigma] * cells))
    again, _ = expected_shares(np.log(p * found.factor), independent([sigma] * cells))
    assert again == pytest.approx(p, rel=1e-6)
    assert np.dot(p, found.factor) == pytest.approx(1, abs=1e-12)
    w = rng.lognormal(-(sigma**2) / 2, sigma, (20_000, cells)) * p * found.factor
    shares = w / w.sum(axis=1, keepdims=True)
    error = shares.std(axis=0) / np.sqrt(len(shares))
    # 4.5 standard errors over 948 shares in all: 1 in 150 false failures.
    assert (np.abs(shares.mean(axis=0) - p) <= 4.5 * error + 1e-9).all()
    if rsd <= 1:  # beyond, squares of shares scatter too much to say anything
        large = p >= 0.01
        assert found.rsd[large] == pytest.approx(shares.std(axis=0)[large] / p[large], rel=0.1)


def test_shares_of_a_country_are_kept_by_an_independent_rule() -> None:
    """35 cells at rsd .5, a third of their variance common but for one: 2^17 Sobol points."""
    rng = np.random.default_rng(8)
    p = rng.dirichlet(np.ones(35))
    spread = replace(
        independent([np.sqrt(0.7) * SIGMA] * 35),
        common=np.sqrt(0.3) * SIGMA * (np.arange(35) > 0),
    )
    found = centred(p, spread)
    eta = np.log(p * found.factor) - np.square(spread.total) / 2
    uncentred, _ = quasi_sampled(np.log(p) - np.square(spread.total) / 2, spread)
    sampled, _ = quasi_sampled(eta, spread)
    large = p >= 0.01
    assert np.abs(sampled / p - 1)[large].max() < 1e-3
    assert np.abs(uncentred / p - 1)[large].max() > 1e-2


def test_equal_cells_need_no_centring_and_exact_ones_none_at_all() -> None:
    assert centred(np.full(4, 0.25), independent([0.7] * 4)).factor == pytest.approx(1.0, abs=1e-7)
    exact = centred(np.array([0.9, 0.1]), independent([0.0, 0.0]))
    assert (exact.factor == 1).all()
    assert (exact.rsd == 0).all()


# --- draws --------------------------------------------------------------------------------------


@METHODS
def test_the_cells_add_up_to_the_total_in_every_draw(method: Method) -> None:
    """1e-12 in both paths; the total is the table's times a factor of its own."""
    table = world(2000)
    prepared = prepare(table, together(method), QUESTION, seed=5)
    regions = of_region(table)
    base = [flows(prepared, table, None), *(flows(prepared, table, d) for d in range(64))]
    sums = [
        np.stack([E[:, regions == r].sum(axis=1) + F_Y[:, r] for r in range(3)], axis=1)
        for E, F_Y in base
    ]
    known = prepared.known
    assert known is not None
    (one,) = known.totals
    for draw in range(64):
        tau = np.zeros((2, 3))
        tau[one.positions()] = factors(one, draw)
        assert sums[draw + 1] == pytest.approx(sums[0] * tau, rel=1e-12)
    E, F_Y = sixty_four(prepared, 0)
    E = E if prepared.accounts else E * table.x[:, None]
    for r in range(3):
        # What an inactive industry emits is in no footprint, but in its accounts' total.
        assert table.active[regions == r].all() == (r != 1)
        if r != 1 or not prepared.accounts:
            added = E[:, regions == r].sum(axis=1) + F_Y[:, r]
            assert added == pytest.approx(np.stack(sums[1:], axis=-1)[:, r], rel=1e-12)


@METHODS
def test_both_paths_draw_the_same_cells_bit_for_bit(method: Method) -> None:
    table = world(2000)
    prepared = prepare(table, together(method), QUESTION, seed=5)
    E, F_Y = sixty_four(prepared, 3)
    counted = prepared.start.counted
    for lane in range(64):
        cells = perturbed(prepared, 3 * 64 + lane)
        assert (E[:, counted, lane] == cells[prepared.emissions][:, counted]).all()
        assert (F_Y[..., lane] == cells[Quantity.F_Y]).all()


TOTALS_ONLY = Question(
    consumers=tuple(Consumer(region, (region,)) for region in REGIONS),
    indicators=QUESTION.indicators[1:],
    parts=("total",),
)


@METHODS
@pytest.mark.parametrize("question", [QUESTION, TOTALS_ONLY], ids=["forward", "adjoint"])
def test_footprints_of_both_paths_agree(method: Method, question: Question) -> None:
    prepared = prepare(world(2000), together(method), question, seed=5, tolerance=1e-9)
    assert prepared.forward == (question is QUESTION)
    group = draw_group(prepared, 0)
    assert (group.status == Status.ACCEPTED).all()
    known = [0, 1, 2, 3] if prepared.forward else [0, 3]
    for draw in range(0, 64, 9):
        one = draw_directly(prepared, draw).footprint[..., known]
        assert group.footprint[draw][..., known] == pytest.approx(one, rel=1e-9)


@METHODS
def test_split_mode_draws_the_same_emissions(method: Method) -> None:
    """It cuts deliveries alone: a thousandth of the variance, some hundredths of an sd."""
    years = [prepare(world(year), together(method), QUESTION, seed=5) for year in YEARS]
    for year in split(years, Keep()):
        exact, cut = draw_exactly(year, range(64)), draw_prepared(year, range(64))
        there = (exact.status == Status.ACCEPTED) & (cut.status == Status.ACCEPTED)
        off = (cut.footprint - exact.footprint)[there].std(axis=0)
        assert there.sum() > 60
        assert (off <= 0.1 * exact.footprint[there].std(axis=0)).all()
        direct = exact.footprint[there][..., 3]
        assert cut.footprint[there][..., 3] == pytest.approx(direct, rel=1e-12)


def test_totals_of_nothing_change_nothing() -> None:
    """A stressor that nobody emits has no total to share."""
    table, errors = replace(world(2000), F_Y=np.zeros((2, 3))), model(Method.ACCOUNTS)
    without = draw_group(prepare(table, errors, QUESTION, seed=5), 0)
    empty = replace(errors, totals=(totals("F_Y"),))
    found = prepare(table, empty, QUESTION, seed=5)
    assert draw_group(found, 0).footprint.tobytes() == without.footprint.tobytes()
    assert twin([found]).covariance.shape == (1, 1, 2, 2, 4)


@METHODS
@pytest.mark.parametrize("by", ["stressor region", "stressor", "stressor sector"])
def test_every_cell_keeps_its_mean_and_has_the_rsd_that_is_told(method: Method, by: str) -> None:
    """4.5 standard errors over some 24 cells and 6 cases: 1 in 1,000 false failures."""
    quantities = (str(method.emissions),) + (() if "sector" in by else ("F_Y",))
    prepared = prepare(world(2000), model(method, totals(*quantities, by=by)), QUESTION, seed=9)
    known, counted = prepared.known, prepared.start.counted
    assert known is not None
    groups = [sixty_four(prepared, group) for group in range(256)]
    drawn = [np.concatenate(some, axis=-1) for some in zip(*groups, strict=True)]
    for quantity, cells, members in zip(
        known.quantities, known.entries, known.members, strict=True
    ):
        i, j = cells.positions()
        there = np.ones(len(i), dtype=bool) if quantity is Quantity.F_Y else counted[j]
        of = drawn[quantity is Quantity.F_Y][i[there], j[there]].T
        sampled, rsd = of / cells.value[there], members.rsd[there]
        error = sampled.std(axis=0) / np.sqrt(len(sampled))
        assert (np.abs(sampled.mean(axis=0) - 1) <= 4.5 * error + 1e-9).all()
        fourth = np.power(sampled - 1, 4).mean(axis=0)
        spread = np.sqrt(np.maximum(fourth - rsd**4, 0) / len(sampled)) / (2 * rsd)
        assert (np.abs(sampled.std(axis=0) - rsd) <= 5 * spread + 1e-9).all()


def test_a_total_of_one_cell_is_that_cell() -> None:
    """Its own error of 50 % has no say."""
    one = totals("E", by="stressor region sector", rsd=0.02)
    prepared = prepare(world(2000), model(Method.ACCOUNTS, one), QUESTION, seed=5)
    known = prepared.known
    assert known is not None
    grid = np.zeros((2, 9))
    for draw in range(3):
        E = perturbed(prepared, draw)[Quantity.E]
        (cells,) = known.totals
        i, column = cells.positions()
        labels = sorted(INDUSTRIES)
        j = [INDUSTRIES.index(labels[k]) for k in column]
        grid[:] = 0
        grid[i, j] = cells.value * factors(cells, draw)
        np.testing.assert_allclose(E, grid, rtol=1e-14)
    assert all(some.rsd == pytest.approx(0.02, rel=1e-6) for some in known.members)


def test_what_moves_all_cells_alike_cancels() -> None:
    """With a national component alone, all that is left is the total's own error."""
    national = (entry("E", 0.5, component("national", 1.0, "stressor region", Persistent())),)
    errors = ErrorModel("base", Method.ACCOUNTS, national, (totals("E", rsd=0.02),))
    prepared = prepare(world(2000), errors, QUESTION, seed=5)
    known = prepared.known
    assert known is not None
    assert known.cancelled == ("E.national",)
    assert all((some.centring == 1).all() for some in known.members)
    assert all(some.rsd == pytest.approx(0.02, rel=1e-6) for some in known.members)
    ratio = perturbed(prepared, 7)[Quantity.E] / np.where(world(2000).E == 0, 1, world(2000).E)
    for region in range(3):
        of_one = ratio[:, 3 * region : 3 * region + 3]
        assert np.ptp(of_one[1]) <= 1e-14
    partial = prepare(world(2000), together(Method.ACCOUNTS), QUESTION, seed=5).known
    assert partial is not None
    assert partial.cancelled == ()  # sector T and the households do not share it


def test_draws_depend_on_labels_and_names_alone() -> None:
    """Permuted tables, and entries and components listed the other way round."""
    table, order = world(2000), [4, 0, 8, 2, 6, 1, 5, 3, 7]
    errors = together(Method.ACCOUNTS)
    turned = replace(
        errors,
        errors=errors.errors[::-1],
        totals=tuple(
            replace(one, components=one.components[::-1], by=one.by[::-1],
                    quantities=one.quantities[::-1])
            for one in errors.totals
        ),
    )  # fmt: skip
    own = draw_prepared(prepare(table, errors, QUESTION, seed=5), range(64))
    for other in (
        prepare(permute(table, order), errors, QUESTION, seed=5),
        prepare(table, turned, QUESTION, seed=5),
    ):
        found = draw_prepared(other, range(64))
        assert found.footprint == pytest.approx(own.footprint, rel=1e-7)  # certified to 1e-6
    E = perturbed(prepare(table, errors, QUESTION, seed=5), 11)[Quantity.E]
    moved = perturbed(prepare(permute(table, order), errors, QUESTION, seed=5), 11)[Quantity.E]
    assert moved == pytest.approx(E[:, order], rel=1e-13)


# --- what is refused ----------------------------------------------------------------------------


def refused(*known: KnownTotals, table: MRIO | None = None, match: str) -> None:
    with pytest.raises((ConfigError, TableError), match=match):
        prepare(table or world(2000), model(Method.ACCOUNTS, *known), QUESTION, seed=5)


def test_groups_are_disjoint() -> None:
    first = totals("E", only={"stressor": ("CO2",)})
    again = totals("E", by="stressor", components=(component("b", 1.0, "all", Yearly()),))
    refused(first, again, match="two known totals cover the same cell")
    apart = replace(again, only={"stressor": ("CH4",)})
    prepare(world(2000), model(Method.ACCOUNTS, first, apart), QUESTION, seed=5)


def test_a_negative_cell_is_refused() -> None:
    table = world(2000)
    E = table.E.copy()
    E[1, 3] = -0.25
    refused(totals("E"), table=replace(table, E=E), match=r"cell \(CH4, R1 P\) is -0.25")
    prepare(
        replace(table, E=E),
        model(Method.ACCOUNTS, totals("E", only={"stressor": ("CO2",)})),
        QUESTION,
        seed=5,
    )


def stated(table: MRIO, factor: float) -> dict[int, dict[tuple[str, ...], float]]:
    sums = {
        (stressor, region): factor * float(table.E[s, of_region(table) == r].sum())
        for s, stressor in enumerate(LABELS.stressors)
        for r, region in enumerate(REGIONS)
    }
    return {table.year: sums}


def test_another_stated_total_is_refused_or_scaled_to() -> None:
    table = world(2000)
    same, other = stated(table, 1 + 1e-9), stated(table, 1.1)
    agreeing = prepare(table, model(Method.ACCOUNTS, totals("E", stated=same)), QUESTION, seed=5)
    assert (estimate(agreeing.cells[Quantity.E]) == table.E).all()
    refused(totals("E", stated=other), match="the stated total is")
    refused(totals("E", stated={2001: same[2000]}), match="not stated")
    none = replace(table, E=np.where(of_region(table) == 2, 0.0, table.E))
    refused(
        totals("E", stated=same, rescale=True), table=none, match="the table's cells add up to 0"
    )
    with pytest.raises(ConfigError, match="no stated totals"):
        totals("E", rescale=True)
    scaled = prepare(
        table, model(Method.ACCOUNTS, totals("E", stated=other, rescale=True)), QUESTION, seed=5
    )
    assert estimate(scaled.cells[Quantity.E]) == pytest.approx(1.1 * table.E, rel=1e-12)
    indirect = reference(scaled)[..., 1:3] / reference(agreeing)[..., 1:3]
    assert indirect == pytest.approx(1.1, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantities": (Quantity.Z,)}, "no set of emissions"),
        ({"by": ("region",)}, "its own total"),
        ({"by": ("stressor", "sector")}, "have no `sector`"),
        ({"only": {"colour": ("red",)}}, "have no `colour`"),
        ({"only": {"region": ()}}, "no label is listed"),
        ({"size": Constant(-0.1)}, "cannot be used"),
        ({"size": ByLabel(("sector",), {("P",): 0.1})}, "`sector` does not tell"),
        ({"source": " "}, "no source"),
        ({"components": ()}, "add up to 0"),
        ({"components": (component("a", 1.0, "cell", Yearly()),)}, "`cell` does not tell"),
        (
            {"components": (Component("a", 1.0, ("all",), Yearly(), (Quantity.E, "own")),)},
            "independent of all others",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(change: dict[str, object], message: str) -> None:
    known = totals("E", "F_Y")
    with pytest.raises(ConfigError, match=message):
        replace(known, **change)  # type: ignore[arg-type]


def test_names_the_tables_lack_and_the_other_methods_quantities_are_refused() -> None:
    refused(totals("E", only={"region": ("R7",)}), match="no cell has region R7")
    by_label = replace(totals("E"), size=ByLabel(("region",), {("R0",): 0.1}))
    refused(by_label, match="no entry for R1")
    with pytest.raises(ConfigError, match="not perturbed"):
        model(Method.ACCOUNTS, totals("s"))
    with pytest.raises(ConfigError, match="2 components named"):
        model(Method.ACCOUNTS, totals("E"), totals("F_Y"))


def test_errors_that_overlap_in_too_many_ways_are_refused() -> None:
    """Over all regions, a component by region and one by sector cross; one of them may."""
    own = component("own", 0.4, "cell", Yearly())
    regional = component("regional", 0.3, "region", Yearly())
    sectoral = component("sectoral", 0.3, "sector", Yearly())
    known = totals("E", by="stressor")
    crossing = ErrorModel(
        "base", Method.ACCOUNTS, (entry("E", 0.5, own, regional, sectoral),), (known,)
    )
    with pytest.raises(ConfigError, match="overlap in more ways"):
        prepare(world(2000), crossing, QUESTION, seed=5)
    one = replace(regional, weight=0.6)
    prepare(
        world(2000),
        ErrorModel("base", Method.ACCOUNTS, (entry("E", 0.5, own, one),), (known,)),
        QUESTION,
        seed=5,
    )


def test_other_laws_are_refused_where_a_cell_has_a_total() -> None:
    errors = model(Method.ACCOUNTS, totals("E", only={"sector": ("P",)}))
    gamma = replace(errors.errors[1], law=Law.GAMMA)
    with pytest.raises(ConfigError, match="not lognormal"):
        prepare(world(2000), replace(errors, errors=(gamma, *errors.errors[2:])), QUESTION, seed=5)
    elsewhere = replace(errors, totals=(totals("E", only={"sector": ("T",)}),))
    prepare(world(2000), replace(elsewhere, errors=(gamma, *errors.errors[2:])), QUESTION, seed=5)


# --- the twin -----------------------------------------------------------------------------------


@METHODS
@pytest.mark.parametrize("question", [QUESTION, TOTALS_ONLY], ids=["forward", "adjoint"])
def test_the_twins_covariance_is_that_of_g(method: Method, question: Question) -> None:
    """Flows exact, so that G moves by emissions alone: 4.5 standard errors of a product of normals,
    9 pairs of years x 2 indicators x 2 consumers x 4 parts and fewer, 2 methods: 1 in 400 false
    failures."""
    whole = together(method)
    errors = replace(whole, errors=whole.errors[1:])
    prepared = [prepare(world(year), errors, question, seed=5) for year in YEARS]
    law, draws = twin(prepared), 2048
    known = [0, 1, 2, 3] if question is QUESTION else [0, 3]
    G = np.stack([draw_prepared(year, range(draws)).gaussian for year in prepared], axis=1)
    G, covariance = G[..., known], law.covariance[..., known]
    sampled = np.einsum("dt...,ds...->ts...", G, G) / draws  # the mean is known to be zero
    variances = np.einsum("tt...->t...", covariance)
    error = np.sqrt((variances[:, None] * variances[None] + covariance**2) / draws)
    assert (variances > 0).all()
    assert (np.abs(sampled - covariance) <= 4.5 * error).all()


@METHODS
def test_draws_approach_the_twin_as_errors_vanish(method: Method) -> None:
    """Errors of 0.1 %, totals of .04 %; 4.5 standard errors, 288 numbers: 1 in 500."""
    whole = together(method)
    small = replace(
        whole,
        errors=tuple(replace(one, size=Constant(1e-3)) for one in whole.errors),
        totals=tuple(replace(one, size=Constant(4e-4)) for one in whole.totals),
    )
    prepared, draws = [prepare(world(year), small, QUESTION, seed=6) for year in YEARS], 512
    found = twin(prepared)
    F = np.stack([draw_prepared(year, range(draws)).footprint for year in prepared])
    moved = F - found.footprint[:, None]
    sampled = np.einsum("td...,sd...->ts...", moved, moved) / draws
    variances = np.einsum("tt...->t...", found.covariance)
    error = np.sqrt((variances[:, None] * variances[None] + found.covariance**2) / draws)
    assert (np.abs(sampled - found.covariance) <= 4.5 * error + 1e-24).all()


def test_a_world_under_one_exact_total_is_exact() -> None:
    """All emissions are somebody's: with their sum known and flows exact, nothing is uncertain."""
    emissions = (entry("E", 0.5, component("own", 1.0, "cell", Yearly())),)
    known = totals("E", by="stressor", rsd=0.0)
    table = replace(world(2000), Z=np.zeros((9, 9)), Y=np.ones((9, 3)))
    question = replace(QUESTION, consumers=(Consumer("world", REGIONS),))
    errors = ErrorModel("base", Method.ACCOUNTS, emissions, (known,))
    prepared = prepare(table, errors, question, seed=5)
    drawn, found = draw_prepared(prepared, range(64)), twin([prepared])
    assert drawn.footprint[..., 0] == pytest.approx(
        np.broadcast_to(reference(prepared)[..., 0], (64, 2, 1)), rel=1e-9
    )
    assert np.abs(drawn.gaussian[..., 0]).max() <= 1e-9 * reference(prepared).max()
    assert np.sqrt(np.abs(found.covariance[..., 0]).max()) <= 1e-7 * reference(prepared).max()


@METHODS
def test_linear_is_the_first_order_of_the_cells_drawn(method: Method) -> None:
    """Flows exact: footprints are linear in emissions, so `linear` is the whole deviation."""
    whole = together(method)
    prepared = prepare(
        world(2000), replace(whole, errors=whole.errors[1:]), QUESTION, seed=5, tolerance=1e-9
    )
    drawn = draw_prepared(prepared, range(64))
    moved = drawn.footprint - reference(prepared)
    assert drawn.linear == pytest.approx(moved, rel=1e-6, abs=1e-7 * np.abs(moved).max())


# --- runs ---------------------------------------------------------------------------------------


def test_prepared_tables_come_back_from_disk(tmp_path: Path) -> None:
    prepared = prepare(world(2000), together(Method.COEFFICIENTS), QUESTION, seed=5)
    prepared_tables.save(prepared, tmp_path / "2000", "digest")
    loaded_again = prepared_tables.load(tmp_path / "2000", "digest")
    one, other = draw_group(prepared, 2), draw_group(loaded_again, 2)
    for name in ("footprint", "linear", "gaussian"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert (perturbed(prepared, 5)[Quantity.S] == perturbed(loaded_again, 5)[Quantity.S]).all()


KNOWN = """
[[scenarios.base.errors]]
quantity = "F_Y"
rsd = 0.3
source = "assumption"
components = [{ name = "own", weight = 1.0, group = "cell", time = "yearly" }]

[[scenarios.base.known_totals]]
quantities = ["E", "F_Y"]
by = ["stressor", "region"]
rsd = 0.02
source = "an inventory"
components = [
  { name = "inventory", weight = 1.0, group = ["stressor", "region"], time = { ar1 = 0.9 } },
]
"""


def test_a_run_is_the_same_on_any_workers_and_its_probabilities_are_counted(tmp_path: Path) -> None:
    few = ("draws = 448", "draws = 128")
    config = loaded(tmp_path, SMALL + KNOWN, few)
    serial = workflow.run(config, tmp_path / "serial", cluster=SERIAL)
    assert arrays(workflow.run(config, tmp_path / "threads")) == arrays(serial)
    blocks = loaded(tmp_path, SMALL + KNOWN, few, ("block = 64", "block = 128"))
    assert arrays(workflow.run(blocks, tmp_path / "blocks", cluster=SERIAL)) == arrays(serial)
    with serial.open() as ensemble:
        assert ensemble.attrs["known_totals"]
        found = controlled(ensemble)
    for name in ("p_decrease", "sigma", "sd"):
        assert (found[f"{name}_gain"] == 1).all()
        np.testing.assert_allclose(found[name], found[f"plain_{name}"], rtol=1e-12)
    assert float(found["delta_mean_gain"].max()) > 1


def test_the_identity_covers_known_totals_where_there_are_any(tmp_path: Path) -> None:
    known = [SMALL, SMALL + KNOWN, SMALL + KNOWN.replace("rsd = 0.02", "rsd = 0.03")]
    found = [identity_of(loaded(tmp_path, text)) for text in known]
    assert [("known_totals" in one) for one in found] == [False, True, True]
    assert found[1] != found[2]
    (tmp_path / "stated.csv").write_text("year,stressor,region,total\n2000,S0,R0,1e9\n")
    lines = 'rsd = 0.02\ntotals = "stated.csv"'
    checked = loaded(tmp_path, SMALL + KNOWN, ("rsd = 0.02", lines))
    assert identity_of(checked) == found[1]  # stated totals that agree decide no draw
    scaled = loaded(tmp_path, SMALL + KNOWN, ("rsd = 0.02", lines + "\nrescale = true"))
    assert identity_of(scaled) != found[1]


def identity_of(config: Config) -> dict[str, Any]:
    job = Job(
        folder=config.path.parent,
        title=config.title,
        read=lambda year: read(config.tables, year),
        question=config.question,
        errors=config.errors,
        sampling=config.sampling,
        r_max=config.r_max,
        tolerance=config.tolerance,
    )
    return identity(job, dict.fromkeys(config.sampling.years, ""))


def test_check_tells_what_becomes_of_the_cells(tmp_path: Path) -> None:
    config = loaded(tmp_path, SMALL + KNOWN)
    text = "\n".join(workflow.check(config))
    assert "known totals of emissions of industries E and direct emissions of final" in text
    assert "one for each stressor and region: rsd 2 %" in text
    assert "source: an inventory" in text
    assert "entered 10 to 10 %" in text
    assert "realised" in text
    alone = loaded(tmp_path, SMALL + KNOWN, ('quantities = ["E", "F_Y"]', 'quantities = ["E"]'))
    assert "warning: E.national moves all cells of a total alike" in "\n".join(
        workflow.check(alone)
    )


def test_stated_totals_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "stated.csv").write_text("year,stressor,region,total\n2000,S0,R0,1e9\n")
    lines = 'rsd = 0.02\ntotals = "stated.csv"'
    config = loaded(tmp_path, SMALL + KNOWN, ("rsd = 0.02", lines))
    assert config.errors.totals[0].stated == {2000: {("S0", "R0"): 1e9}}
    with pytest.raises(ConfigError, match="the stated total is"):
        list(workflow.check(config))
    (tmp_path / "stated.csv").write_text("year,stressor,region,total\n2000,S0,R0,1\n" * 2)
    with pytest.raises(TableError):
        loaded(tmp_path, SMALL + KNOWN, ("rsd = 0.02", lines))


def test_shared_totals_are_no_independent_cells() -> None:
    alone = (entry("E", 0.5, component("own", 1.0, "cell", Yearly())),)
    assert only_independent_cells(ErrorModel("base", Method.ACCOUNTS, alone))
    assert not only_independent_cells(ErrorModel("base", Method.ACCOUNTS, alone, (totals("E"),)))


# --- what does not decide a draw changes no identity ----------------------------------------------

SIZES = "stressor,region,rsd\n" + "".join(
    f"{s},{r},0.{k}\n" for k, (s, r) in enumerate(
        [("S0", "R0"), ("S0", "R1"), ("S0", "R2"), ("S1", "R0"), ("S1", "R1"), ("S1", "R2")], 1
    )
)  # fmt: skip
TOTALS = "year,stressor,region,total\n" + "".join(
    f"{year},{s},R{r},100\n" for year in (2000, 2001, 2002) for s in ("S0", "S1") for r in range(3)
)
POWER = """[[scenarios.base.errors]]
quantity = "Y"
power_law = { a = 0.4, b = -0.3, floor = 0.03, ceiling = 1.0, currency = "EUR", per_table_unit = 2 }
source = "assumption"
components = [{ name = "own", weight = 1.0, group = "cell", time = "yearly" }]
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ('by = ["stressor", "region"]', 'by = ["region", "stressor"]', True),
        ("sizes.csv", "swapped.csv", True),
        ("sizes.csv", "other.csv", False),
        ('"EUR"', '"euros of 2010"', True),
        ("unit = 2 ", "unit = 2.0 ", True),
        ("unit = 2 ", 'unit = { "2000" = 2, "2001" = 2.0, "2002" = 2, "2010" = 3 } ', True),
        ("unit = 2 ", 'unit = { "2000" = 2, "2001" = 2.0, "2002" = 3 } ', False),
        ("unit = 2 ", "unit = 2.5 ", False),
    ],
)
def test_only_what_decides_a_draw_is_in_the_identity(
    tmp_path: Path, old: str, new: str, same: bool
) -> None:
    rows = [line.split(",") for line in SIZES.splitlines()]
    (tmp_path / "sizes.csv").write_text(SIZES)
    swapped = "".join(f"{region},{stressor},{rsd}\n" for stressor, region, rsd in rows)
    (tmp_path / "swapped.csv").write_text(swapped)
    (tmp_path / "other.csv").write_text(SIZES.replace("0.6", "0.7"))
    (tmp_path / "stated.csv").write_text(TOTALS)
    text = SMALL.replace("rsd = 0.1\n", 'table = "sizes.csv"\n', 1) + POWER + KNOWN
    lines = 'rsd = 0.02\ntotals = "stated.csv"\nrescale = true'
    plain = loaded(tmp_path, text, ("rsd = 0.02", lines))
    before = canonical(identity_of(plain))
    changed = loaded(tmp_path, text, ("rsd = 0.02", lines), (old, new))
    assert (canonical(identity_of(changed)) == before) is same


def test_draws_do_not_depend_on_the_order_of_by(tmp_path: Path) -> None:
    """What the identity leaves out must decide nothing."""
    found = []
    for by in ('["stressor", "region"]', '["region", "stressor"]'):
        (tmp_path / "stated.csv").write_text(TOTALS)
        lines = 'rsd = 0.02\ntotals = "stated.csv"\nrescale = true'
        config = loaded(
            tmp_path,
            SMALL + KNOWN,
            ("rsd = 0.02", lines),
            ('["stressor", "region"]\nrsd', by + "\nrsd"),
        )
        table = read(config.tables, 2000)
        found.append(perturbed(prepare(table, config.errors, config.question, 7), 3)[Quantity.E])
    np.testing.assert_array_equal(*found)


def test_the_identity_knows_how_cells_are_centred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = loaded(tmp_path, SMALL + KNOWN)
    before = identity_of(config)
    assert "centring" not in identity_of(loaded(tmp_path, SMALL))["method"]
    assert identity_of(loaded(tmp_path, SMALL + KNOWN)) == before
    monkeypatch.setattr("engine.kernels.shares._TAIL", 4.0)
    assert identity_of(config)["method"]["centring"] != before["method"]["centring"]


# --- what check says ------------------------------------------------------------------------------


def test_check_warns_of_totals_of_a_single_cell(tmp_path: Path) -> None:
    text = SMALL + KNOWN
    single = [
        ('quantities = ["E", "F_Y"]', 'quantities = ["E"]'),
        ('by = ["stressor", "region"]', 'by = ["stressor", "region", "sector"]'),
    ]
    told = "\n".join(workflow.check(loaded(tmp_path, text, *single)))
    assert "totals are of a single cell, whose own error has no effect" in told
    assert "single cell" not in "\n".join(workflow.check(loaded(tmp_path, text)))


def test_check_says_which_correlation_is_one_before_known_totals(tmp_path: Path) -> None:
    told = "\n".join(workflow.check(loaded(tmp_path, SMALL + KNOWN)))
    E, Z, F_Y = (line for line in told.splitlines() if "correlation of 2000 and 2001" in line)
    assert "before known totals: of eps" in E
    assert "before known totals: of eps" in F_Y
    assert "before known totals" not in Z


def test_errors_of_known_totals_name_their_scenario(tmp_path: Path) -> None:
    (tmp_path / "stated.csv").write_text("year,stressor,region,total\n2000,S0,R0,1\n")
    lines = 'rsd = 0.02\ntotals = "stated.csv"'
    with pytest.raises(ConfigError) as caught:
        list(workflow.check(loaded(tmp_path, SMALL + KNOWN, ("rsd = 0.02", lines))))
    assert caught.value.where.startswith("scenario base, known_totals, S0 R0")
