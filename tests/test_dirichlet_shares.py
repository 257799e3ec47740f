"""Dirichlet shares of known totals: exact moments and marginals, small cells, both paths, the twin.

Sampled numbers are held to 4 standard errors or more, with the false-failure rate beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from test_known_totals import (
    KNOWN,
    METHODS,
    QUESTION,
    TOTALS_ONLY,
    YEARS,
    component,
    entry,
    flows,
    identity_of,
    model,
    of_region,
    sixty_four,
    totals,
    world,
)
from worlds import permute

from configs import SERIAL, SMALL, arrays, loaded
from engine import workflow
from engine.analysis.control import controlled
from engine.budget import By, budget, frozen, places_of, sources
from engine.draws import Status, draw_directly, draw_group, draw_prepared, perturbed, reference
from engine.error_model import (
    AR1,
    Component,
    DirichletShares,
    ErrorModel,
    Errors,
    Law,
    Method,
    Persistent,
    Quantity,
    TimeKey,
    Yearly,
)
from engine.errors import ConfigError
from engine.kernels import dirichlet, laws
from engine.kernels.arrays import F64
from engine.kernels.perturb import factors
from engine.mrio import MRIO
from engine.prepare import Prepared, addresses, prepare
from engine.stores import tables as prepared_tables
from engine.twin import twin

CONCENTRATION = 40.0

# --- the table of ln w --------------------------------------------------------------------------

# By shape: largest relative error of a drawn factor above 1/100, and below it.
ACCURATE = {
    1e-8: (7e-4, 2e-3),
    1e-6: (2e-4, 6e-4),
    1e-4: (4e-5, 8e-5),
    1e-3: (1e-5, 1e-5),
    1e-2: (2e-6, 4e-6),
    0.1: (5e-7, 4e-6),
    1.0: (5e-7, 2e-6),
    30.0: (5e-7, 5e-7),
    3e4: (5e-7, 5e-7),
    1e5: (5e-7, 5e-7),
}


def exact_log(shape: float, eps: F64) -> F64:
    """ln w by scipy's quantiles, from whichever tail is nearer; -inf where w underflows."""
    law = stats.gamma(shape)
    x = np.where(eps < 0, law.ppf(stats.norm.cdf(eps)), law.isf(stats.norm.sf(eps)))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(x) - np.log(shape))


@pytest.mark.parametrize("shape", ACCURATE)
def test_tabulated_logarithms_are_those_of_the_laws_quantiles(shape: float) -> None:
    """Within 6.7 normal sds, beyond which no normal reaches, and down to factors of 1e-30."""
    eps = np.linspace(-6.7, 6.7, 2001)
    expected = exact_log(shape, eps)
    table = dirichlet.log2_quantiles(np.array([shape]))[0]
    found = laws.cubic(table, eps) * np.log(2)
    for some, most in zip(
        (expected > np.log(1e-2), (expected <= np.log(1e-2)) & (expected > np.log(1e-30))),
        ACCURATE[shape],
        strict=True,
    ):
        assert np.abs(found - expected)[some].max(initial=0.0) <= most


@pytest.mark.parametrize("shape", [1e-12, 1e-8, 1e-3, 0.02, 0.7])
def test_far_down_the_logarithm_goes_on_where_the_factor_underflows(shape: float) -> None:
    eps = np.linspace(-7, 7, 501)
    found, slope = dirichlet.log_gamma(shape)(eps)
    expected = exact_log(shape, eps)
    there = np.isfinite(expected) & (expected > -600)
    assert found[there] == pytest.approx(expected[there], rel=1e-10, abs=1e-9)
    assert (np.diff(found) > 0).all()
    step = 1e-5
    above, below = (dirichlet.log_gamma(shape)(eps + s)[0] for s in (step, -step))
    assert slope == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-5)


def test_a_shape_near_nothing_has_a_table_without_holes() -> None:
    shapes = np.array([1e-300, 1e-30, 1e-12, np.inf])
    table = dirichlet.log2_quantiles(shapes)
    assert np.isfinite(table).all()
    assert (table[-1] == 0).all()  # an exact share: w = 1


# --- the world ----------------------------------------------------------------------------------


def of_shares(quantity: str, *components: Component, **only: tuple[str, ...]) -> Errors:
    return Errors(Quantity(quantity), only, DirichletShares(), components, "test")


def own(time: TimeKey) -> Component:
    return component("own", 1.0, "cell", time)


def shared_out(
    method: Method = Method.ACCOUNTS,
    *,
    time: TimeKey = Yearly(),  # noqa: B008  # frozen
    rsd: float = 0.02,
    concentration: float = CONCENTRATION,
) -> ErrorModel:
    """Emissions are Dirichlet shares of each stressor's and region's; flows are exact."""
    emissions = str(method.emissions)
    known = totals(emissions, "F_Y", rsd=rsd)
    return ErrorModel(
        "base",
        method,
        (of_shares(emissions, own(time)), of_shares("F_Y", own(time))),
        (replace(known, concentration=concentration),),
    )


def of_totals(prepared: Prepared, table: MRIO, groups: int) -> tuple[list[F64], list[F64]]:
    """By stressor and region: shares in the estimate, (cells,), and in draws, (cells,draws)."""
    drawn = [sixty_four(prepared, group) for group in range(groups)]
    E, F_Y = (np.concatenate(some, axis=-1) for some in zip(*drawn, strict=True))
    E = E if prepared.accounts else E * table.x[:, None]
    expected, found = [], []
    for s in range(2):
        for r in (0, 2):  # of region 1, one industry is inactive: in no footprint
            inside = of_region(table) == r
            estimate = np.append(table.E[s, inside], table.F_Y[s, r])
            cells = np.concatenate([E[s, inside], F_Y[s, r][None]])
            there = estimate > 0
            expected.append(estimate[there] / estimate.sum())
            found.append(cells[there] / cells.sum(axis=0))
    return expected, found


@METHODS
def test_moments_are_exact(method: Method) -> None:
    """Mean p, variance p (1 - p) / (kappa + 1), covariance -p p' / (kappa + 1): 4.5 standard
    errors, some 60 numbers of 2 methods: 1 in 1,200 false failures."""
    table = world(2000)
    prepared = prepare(table, shared_out(method), QUESTION, seed=5)
    for p, shares in zip(*of_totals(prepared, table, 192), strict=True):
        away = shares - p[:, None]
        mean, count = away.mean(axis=1), shares.shape[1]
        assert (np.abs(mean) <= 4.5 * away.std(axis=1) / np.sqrt(count)).all()
        products = away[:, None] * away[None]
        expected = (np.diag(p) - np.outer(p, p)) / (CONCENTRATION + 1)
        error = products.std(axis=-1) / np.sqrt(count)
        assert (np.abs(products.mean(axis=-1) - expected) <= 4.5 * error).all()


def test_of_two_cells_each_share_is_beta() -> None:
    """Kolmogorov & Smirnov's test at 1 in 10,000, of 4 shares."""
    table = world(2000)
    known = replace(
        totals("E", only={"sector": ("P", "Q"), "region": ("R0", "R2")}), concentration=3.0
    )
    errors = ErrorModel(
        "base",
        Method.ACCOUNTS,
        (of_shares("E", own(Yearly()), sector=("P", "Q"), region=("R0", "R2")),),
        (known,),
    )
    prepared = prepare(table, errors, QUESTION, seed=3)
    drawn = np.concatenate([sixty_four(prepared, group)[0] for group in range(64)], axis=-1)
    for s in range(2):
        for first in (0, 6):
            p = table.E[s, first] / table.E[s, first : first + 2].sum()
            share = drawn[s, first] / drawn[s, first : first + 2].sum(axis=0)
            assert stats.kstest(share, stats.beta(3 * p, 3 * (1 - p)).cdf).pvalue > 1e-4


@METHODS
def test_cells_add_up_to_a_total_that_knows_nothing_of_them(method: Method) -> None:
    """1e-12 in both paths; tau is the total's own factor, uncorrelated with any share: 4 standard
    errors of 22 correlations and 2 methods: 1 in 350."""
    table = world(2000)
    prepared = prepare(table, shared_out(method), QUESTION, seed=5)
    known = prepared.known
    assert known is not None
    regions = of_region(table)
    taus = []
    for draw in range(256):
        tau = np.zeros((2, 3))
        tau[known.totals[0].positions()] = factors(known.totals[0], draw)
        taus.append(tau)
        if draw < 64:
            E, F_Y = flows(prepared, table, draw)
            base = flows(prepared, table, None)
            for r in range(3):
                added = E[:, regions == r].sum(axis=1) + F_Y[:, r]
                before = base[0][:, regions == r].sum(axis=1) + base[1][:, r]
                assert added == pytest.approx(before * tau[:, r], rel=1e-12)
    of = np.stack(taus)[:, :, [0, 2]].reshape(256, 4).T
    for tau, shares in zip(of, of_totals(prepared, table, 4)[1], strict=True):
        for share in shares:
            assert abs(np.corrcoef(tau, share)[0, 1]) < 4 / np.sqrt(256)


@METHODS
def test_both_paths_draw_the_same_cells_bit_for_bit(method: Method) -> None:
    table = world(2000)
    prepared = prepare(table, shared_out(method, time=AR1(0.8)), QUESTION, seed=5)
    E, F_Y = sixty_four(prepared, 3)
    counted = prepared.start.counted
    for lane in range(64):
        cells = perturbed(prepared, 3 * 64 + lane)
        assert (E[:, counted, lane] == cells[prepared.emissions][:, counted]).all()
        assert (F_Y[..., lane] == cells[Quantity.F_Y]).all()


@METHODS
@pytest.mark.parametrize("question", [QUESTION, TOTALS_ONLY], ids=["forward", "adjoint"])
def test_footprints_of_both_paths_agree(method: Method, question: object) -> None:
    prepared = prepare(world(2000), shared_out(method), question, seed=5, tolerance=1e-9)  # type: ignore[arg-type]
    group = draw_group(prepared, 0)
    assert (group.status == Status.ACCEPTED).all()
    known = [0, 1, 2, 3] if prepared.forward else [0, 3]
    for draw in range(0, 64, 9):
        one = draw_directly(prepared, draw).footprint[..., known]
        assert group.footprint[draw][..., known] == pytest.approx(one, rel=1e-9)


def with_small(table: MRIO, smallest: float) -> MRIO:
    """The first region has cells a million and a billion times smaller than its others."""
    E = table.E.copy()
    E[:, 1] = smallest * E[:, 0]
    return replace(table, E=E)


@pytest.mark.parametrize("smallest", [1e-3, 1e-6, 1e-12, 1e-200])
def test_small_shares_are_zero_in_most_draws_and_never_more(smallest: float) -> None:
    """Shapes from 1e-3 down to nothing. The mean of the smallest that draws can tell is kept: 4.5
    standard errors of 2 numbers."""
    table = with_small(world(2000), smallest)
    errors = shared_out(concentration=2.0)
    prepared = prepare(table, errors, QUESTION, seed=8)
    expected, found = of_totals(prepared, table, 256)
    for p, shares in zip(expected, found, strict=True):
        assert np.isfinite(shares).all()
        assert shares.min() >= 0
        assert shares.sum(axis=0) == pytest.approx(1.0, rel=1e-12)
        if p.min() > 1e-5:
            error = shares.std(axis=1) / np.sqrt(shares.shape[1])
            assert (np.abs(shares.mean(axis=1) - p) <= 4.5 * error).all()
        small = shares[p < 1e-2 * smallest + 1e-300]
        assert np.median(small, axis=-1).max(initial=0.0) < 1e-30
    for draw in (0, 5):  # a single draw has the same cells
        E, _ = flows(prepared, table, draw)
        assert np.isfinite(E).all()


def test_a_group_of_cells_that_is_small_everywhere_adds_up() -> None:
    """Forty equal cells of shape 1/40: factors of 1e-37 and less are common, sums of them none."""
    shape = np.full(40, 1 / 40)
    table = dirichlet.log2_quantiles(shape[:1])[0]
    eps = np.random.default_rng(1).standard_normal((4096, 40))
    w = np.exp2(np.clip(laws.cubic(table, eps), -125, 125))
    S = w.mean(axis=1)
    assert (w < 1e-37).mean() > 0.05
    assert S.min() > 1e-6  # exponential: below 1e-6 once in 250 such samples
    shares = w / w.sum(axis=1, keepdims=True)
    error = np.sqrt((1 / 40) * (39 / 40) / 2 / shares.shape[0])
    assert (np.abs(shares.mean(axis=0) - 1 / 40) < 4.5 * error).all()


# --- years --------------------------------------------------------------------------------------


def years_of(time: TimeKey, first: MRIO, second: MRIO) -> tuple[list[F64], list[F64]]:
    """Shares of two years in the same draws."""
    found = []
    for table in (first, second):
        prepared = prepare(table, shared_out(time=time), QUESTION, seed=5)
        found.append(of_totals(prepared, table, 32)[1])
    return found[0], found[1]


def test_lasting_errors_leave_the_same_shares_in_both_years() -> None:
    """The second year emits half as much everywhere, so that all shares of the estimates agree."""
    table = world(2000)
    half = replace(world(2000), year=2001, E=table.E / 2, F_Y=table.F_Y / 2)
    for one, other in zip(*years_of(Persistent(), table, half), strict=True):
        assert one == pytest.approx(other, rel=1e-10, abs=1e-30)
    for one, other in zip(*years_of(Yearly(), table, half), strict=True):
        rho = [np.corrcoef(a, b)[0, 1] for a, b in zip(one, other, strict=True)]
        assert np.abs(rho).max() < 4.5 / np.sqrt(2048)


def test_fading_errors_correlate_shares_by_about_their_phi() -> None:
    """A copula: the shares of cells of moderate size correlate nearly as their eps, 0.8."""
    table = world(2000)
    same = replace(table, year=2001)
    for one, other in zip(*years_of(AR1(0.8), table, same), strict=True):
        for a, b in zip(one, other, strict=True):
            if a.mean() > 0.2:
                assert np.corrcoef(a, b)[0, 1] == pytest.approx(0.8, abs=0.05)


# --- the twin and the budget --------------------------------------------------------------------


def years_prepared(errors: ErrorModel, question: object = QUESTION) -> list[Prepared]:
    return [prepare(world(year), errors, question, seed=5) for year in YEARS]  # type: ignore[arg-type]


@METHODS
@pytest.mark.parametrize("time", [Yearly(), Persistent()])
def test_the_twins_variances_are_those_of_draws(method: Method, time: TimeKey) -> None:
    """Flows and totals exact: a footprint is linear in the shares, and its variance in one year is
    the Dirichlet law's in closed form. 4.5 standard errors of 3 years x 2 x 2 x 4: 1 in 3,000."""
    errors = shared_out(method, time=time, rsd=0.0)
    years, draws = years_prepared(errors), 2048
    law = twin(years)
    for t, year in enumerate(years):
        moved = draw_prepared(year, range(draws)).footprint - reference(year)
        squares = np.square(moved)
        error = squares.std(axis=0) / np.sqrt(draws)
        difference = np.abs(squares.mean(axis=0) - law.covariance[t, t])
        # float32 factors: a part of one cell alone does not move
        assert (difference <= 4.5 * error + 1e-10 * np.square(reference(year))).all()


@METHODS
def test_linear_is_the_first_order_of_the_cells_drawn(method: Method) -> None:
    prepared = prepare(world(2000), shared_out(method), QUESTION, seed=5, tolerance=1e-9)
    drawn = draw_prepared(prepared, range(64))
    moved = drawn.footprint - reference(prepared)
    assert drawn.linear == pytest.approx(moved, rel=1e-6, abs=1e-7 * np.abs(moved).max())


LASTING_AND_NEW = (
    component("lasting", 0.5, "cell", Persistent()),
    component("new", 0.5, "cell", Yearly()),
)


def half_lasting() -> ErrorModel:
    both = of_shares("E", *LASTING_AND_NEW), of_shares("F_Y", *LASTING_AND_NEW)
    return replace(shared_out(), errors=both)


def test_the_budget_adds_up() -> None:
    errors = half_lasting()
    years = years_prepared(errors)
    labels = world(2000).labels
    hashes = addresses([labels], QUESTION)
    found = budget(years, twin(years), errors, QUESTION, 5, labels, hashes)
    for subject in found.subjects:
        for change, variance in enumerate(subject.variance):
            for by in (By.QUANTITY, By.REGION, By.SECTOR, By.COMPONENT):
                parts = [e.covariance[change] for e in subject.entries if e.by is by]
                assert sum(parts) == pytest.approx(variance, rel=1e-9)


def without(prepared: Prepared, errors: ErrorModel, by: By, name: str) -> Prepared:
    places = places_of(prepared, world(2000).labels, errors)
    return frozen(prepared, by, name, places, sources(errors, 5))


def test_a_country_without_errors_is_its_estimate_and_the_others_keep_their_bits() -> None:
    table, errors = world(2000), half_lasting()
    prepared = prepare(table, errors, QUESTION, seed=5)
    E, F_Y = flows(without(prepared, errors, By.REGION, "R0"), table, 9)
    assert E[:, :3] == pytest.approx(table.E[:, :3], rel=1e-12)
    assert F_Y[:, 0] == pytest.approx(table.F_Y[:, 0], rel=1e-12)
    before = flows(prepared, table, 9)
    assert (E[:, 6:] == before[0][:, 6:]).all()
    assert (F_Y[:, 2] == before[1][:, 2]).all()


@pytest.mark.parametrize(
    ("by", "name", "of_E", "of_F_Y"),
    [
        (By.COMPONENT, "E.lasting", 2.0, 1.0),
        (By.QUANTITY, "E", np.inf, 1.0),
        (By.QUANTITY, "F_Y", 1.0, np.inf),
    ],
)
def test_shares_without_some_errors_keep_their_means(
    by: By, name: str, of_E: float, of_F_Y: float
) -> None:
    """4.5 standard errors of means and of variances: 32 numbers, 3 cases: 1 in 1,500."""
    table, errors = world(2000), half_lasting()
    whole = prepare(table, errors, QUESTION, seed=5)
    less = without(whole, errors, by, name)
    expected, found = of_totals(less, table, 128)
    of_each = iter(zip(expected, found, strict=True))
    for s in range(2):
        for r in (0, 2):
            p, shares = next(of_each)
            times = np.array([of_E] * 3 + [of_F_Y])
            estimate = np.append(table.E[s, of_region(table) == r], table.F_Y[s, r])
            of = times[estimate > 0]
            away = shares / p[:, None] - 1
            if np.isinf(of).all():
                assert np.abs(away).max() < 1e-12
                continue
            known = dirichlet.centred_gammas(p, CONCENTRATION * of * p)
            count = away.shape[1]
            assert (np.abs(away.mean(axis=1)) <= 4.5 * away.std(axis=1) / np.sqrt(count)).all()
            error = np.square(away).std(axis=1) / np.sqrt(count)
            assert (np.abs(np.square(away).mean(axis=1) - known.rsd**2) <= 4.5 * error).all()


def test_centring_gamma_shares_finds_that_dirichlet_ones_need_none() -> None:
    p = np.array([0.6, 0.3, 0.0999, 1e-4])
    found = dirichlet.centred_gammas(p, 7 * p)
    assert found.factor == pytest.approx(1, rel=1e-6)
    assert found.rsd == pytest.approx(dirichlet.rsd_of_shares(p, 7), rel=1e-6)


def test_one_exact_and_one_gamma_share_by_quadrature() -> None:
    """E[q / (q + (1 - q) w)] is one integral over a gamma law, by scipy."""
    p, shape = np.array([0.4, 0.6]), 2.5
    found = dirichlet.centred_gammas(p, np.array([np.inf, shape]))
    q = found.factor * p
    law = stats.gamma(shape, scale=1 / shape)
    share = law.expect(lambda w: q[0] / (q[0] + q[1] * w))
    assert share == pytest.approx(0.4, rel=1e-6)
    square = law.expect(lambda w: np.square(q[0] / (q[0] + q[1] * w)))
    assert found.rsd[0] == pytest.approx(np.sqrt(square / share**2 - 1), rel=1e-5)


# --- beside ordinary totals, and what is refused ------------------------------------------------


def test_ordinary_totals_beside_them_keep_their_bits() -> None:
    """CH4 has Dirichlet shares or ordinary ones; CO2 does not know."""
    first = totals("E", only={"stressor": ("CO2",)})
    second = totals(
        "E", only={"stressor": ("CH4",)}, components=(component("b", 1.0, "region", Yearly()),)
    )
    co2 = entry("E", 0.5, component("own", 1.0, "cell", Yearly()), stressor=("CO2",))
    ch4 = entry("E", 0.5, component("ch4", 1.0, "cell", Yearly()), stressor=("CH4",))
    shares = of_shares("E", component("ch4", 1.0, "cell", Yearly()), stressor=("CH4",))
    plain = ErrorModel("base", Method.ACCOUNTS, (co2, ch4), (first, second))
    mixed = ErrorModel(
        "base", Method.ACCOUNTS, (co2, shares), (first, replace(second, concentration=9.0))
    )
    one, other = (prepare(world(2000), errors, QUESTION, seed=5) for errors in (plain, mixed))
    for draw in (0, 70):
        a, b = perturbed(one, draw)[Quantity.E], perturbed(other, draw)[Quantity.E]
        assert (a[0] == b[0]).all()
        assert (a[1] != b[1]).any()


def test_draws_depend_on_labels_alone() -> None:
    table, order = world(2000), [4, 0, 8, 2, 6, 1, 5, 3, 7]
    E = perturbed(prepare(table, shared_out(), QUESTION, seed=5), 11)[Quantity.E]
    moved = perturbed(prepare(permute(table, order), shared_out(), QUESTION, seed=5), 11)
    assert moved[Quantity.E] == pytest.approx(E[:, order], rel=1e-6, abs=1e-30)


def with_group(*keys: str) -> ErrorModel:
    known = replace(totals("E"), concentration=CONCENTRATION)
    shared = component("together", 0.4, " ".join(keys), Yearly())
    rest = component("own", 0.6, "cell", Yearly())
    return ErrorModel("base", Method.ACCOUNTS, (of_shares("E", shared, rest),), (known,))


@pytest.mark.parametrize("keys", [("stressor", "region"), ("all",)])
def test_cells_of_one_total_may_share_no_error(keys: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"E\.together is shared by cells of one total"):
        prepare(world(2000), with_group(*keys), QUESTION, seed=5)


def test_cells_of_several_totals_may_share_errors() -> None:
    """A sector's error in all countries: within each the shares stay Dirichlet."""
    prepare(world(2000), with_group("stressor", "sector"), QUESTION, seed=5)


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        (lambda: (of_shares("E", own(Yearly())),), "no errors of F_Y say"),
        (
            lambda: (
                entry("E", 0.5, own(Yearly()), sector=("P",)),
                of_shares("E", component("rest", 1.0, "cell", Yearly()), sector=("Q", "T")),
                of_shares("F_Y", own(Yearly())),
            ),
            "another size than the concentration",
        ),
        (
            lambda: (
                of_shares("E", own(Yearly()), sector=("Q", "T")),
                of_shares("F_Y", own(Yearly())),
            ),
            "no entry says which years",
        ),
    ],
)
def test_every_cell_of_such_a_total_has_an_entry_without_a_size(
    errors: Callable[[], tuple[Errors, ...]], message: str
) -> None:
    known = replace(totals("E", "F_Y"), concentration=CONCENTRATION)
    with pytest.raises(ConfigError, match=message):
        prepare(
            world(2000), ErrorModel("base", Method.ACCOUNTS, errors(), (known,)), QUESTION, seed=5
        )


def test_entries_without_a_size_need_such_a_total() -> None:
    one = of_shares("E", own(Yearly()))
    with pytest.raises(ConfigError, match="no known total has Dirichlet shares"):
        ErrorModel("base", Method.ACCOUNTS, (one,), (totals("E"),))
    some = replace(totals("E", only={"region": ("R0",)}), concentration=CONCENTRATION)
    errors = ErrorModel("base", Method.ACCOUNTS, (one,), (some,))
    with pytest.raises(ConfigError, match="no known total of which they are"):
        prepare(world(2000), errors, QUESTION, seed=5)
    with pytest.raises(ConfigError, match="have their own law"):
        replace(one, law=Law.GAMMA)
    with pytest.raises(ConfigError, match="no size to enlarge"):
        replace(one, provisional={2000: 2.0})


@pytest.mark.parametrize("concentration", [0.0, -3.0, 0.5, np.inf, np.nan])
def test_a_concentration_is_one_or_more(concentration: float) -> None:
    with pytest.raises(ConfigError, match="cannot have a concentration"):
        replace(totals("E"), concentration=concentration)


def test_other_laws_under_ordinary_totals_are_told_of_dirichlet_shares() -> None:
    errors = model(Method.ACCOUNTS, totals("E", only={"sector": ("P",)}))
    other = replace(errors.errors[1], law=Law.GAMMA)
    with pytest.raises(ConfigError, match="not lognormal") as refused:
        prepare(world(2000), replace(errors, errors=(other, *errors.errors[2:])), QUESTION, seed=5)
    assert 'shares = "dirichlet"' in refused.value.remedy


# --- runs ---------------------------------------------------------------------------------------

SHARES = 'rsd = 0.02\nshares = "dirichlet"\nconcentration = 60'
E_ENTRY = """quantity = "E"
rsd = 0.1
source = "assumption"
components = [
  { name = "national", weight = 0.5, group = ["stressor", "region"], time = "persistent" },
  { name = "own", weight = 0.5, group = "cell", time = "yearly" },
]"""
WITHOUT_SIZE = """quantity = "E"
source = "assumption"
components = [{ name = "own", weight = 1.0, group = "cell", time = "yearly" }]"""
DIRICHLET = (
    ("rsd = 0.02", SHARES),
    (E_ENTRY, WITHOUT_SIZE),
    ('"F_Y"\nrsd = 0.3', '"F_Y"'),
)


def test_a_run_is_the_same_on_any_workers_and_its_probabilities_are_counted(tmp_path: Path) -> None:
    few = ("draws = 448", "draws = 128")
    config = loaded(tmp_path, SMALL + KNOWN, few, *DIRICHLET)
    serial = workflow.run(config, tmp_path / "serial", cluster=SERIAL)
    assert arrays(workflow.run(config, tmp_path / "threads")) == arrays(serial)
    with serial.open() as ensemble:
        assert json.loads(ensemble.attrs["laws"]) == ["dirichlet", "lognormal"]
        found = controlled(ensemble)
    for name in ("p_decrease", "sigma", "sd"):
        assert (found[f"{name}_gain"] == 1).all()
    assert float(found["mean_gain"].max()) > 1
    rows = serial.record.assumptions["base"]
    sizes = [row["size"] for row in rows]
    assert "Dirichlet shares of their known totals" in sizes
    assert "rsd 2 %, Dirichlet shares of concentration 60" in sizes


def test_prepared_tables_come_back_from_disk(tmp_path: Path) -> None:
    prepared = prepare(world(2000), shared_out(Method.COEFFICIENTS), QUESTION, seed=5)
    prepared_tables.save(prepared, tmp_path / "2000", "digest")
    again = prepared_tables.load(tmp_path / "2000", "digest")
    one, other = draw_group(prepared, 2), draw_group(again, 2)
    for name in ("footprint", "linear", "gaussian"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert (perturbed(prepared, 5)[Quantity.S] == perturbed(again, 5)[Quantity.S]).all()


def test_the_identity_covers_the_concentration(tmp_path: Path) -> None:
    plain = loaded(tmp_path, SMALL + KNOWN)
    assert "dirichlet" not in str(identity_of(plain)["known_totals"])
    found = [
        identity_of(
            loaded(
                tmp_path, SMALL + KNOWN, *DIRICHLET, ("concentration = 60", f"concentration = {g}")
            )
        )
        for g in (60, 61)
    ]
    assert found[0] != found[1]
    (known,) = found[0]["known_totals"]
    assert known["dirichlet"] == {"concentration": 60.0, "tables": dirichlet.fingerprint()}


def test_check_tells_what_shares_become(tmp_path: Path) -> None:
    text = "\n".join(workflow.check(loaded(tmp_path, SMALL + KNOWN, *DIRICHLET)))
    assert "rsd 2 %, Dirichlet shares of concentration 60" in text
    assert "emissions of industries E: Dirichlet shares of their known totals" in text
    assert "cells of 1 % of their total or more: Dirichlet, realised" in text
    assert "of eps 0, of factors 0 at the smallest share of 1 % or more, 0 at the largest" in text


def test_factors_of_moderate_shapes_correlate_as_their_eps_and_others_less() -> None:
    """Of shape one, exponential factors: E[f f'] by two-dimensional Gauss-Hermite quadrature."""
    z, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    a, b = np.meshgrid(z, z)
    f = [-stats.norm.logsf(eps) for eps in (a, 0.8 * a + 0.6 * b)]
    expected = float(weights @ (f[0] * f[1]) @ weights) - 1
    assert dirichlet.correlation(1.0, 1.0, 0.8) == pytest.approx(expected, abs=1e-6)
    assert dirichlet.correlation(0.02, 0.02, 1.0) == pytest.approx(1, abs=1e-12)
    falling = [dirichlet.correlation(shape, shape, 0.8) for shape in (1e3, 2, 0.1, 0.005)]
    assert (np.diff(falling) < 0).all()
    assert falling[0] == pytest.approx(0.8, abs=1e-3)


def test_what_is_realised_is_the_shares_rsd_and_the_totals() -> None:
    prepared = prepare(world(2000), shared_out(rsd=0.02), QUESTION, seed=5)
    known = prepared.known
    assert known is not None
    for members in known.members:
        p = members.share
        expected = (1 + (1 - p) / (p * (CONCENTRATION + 1))) * 1.0004 - 1
        assert np.square(members.rsd) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ((("rsd = 0.02", 'rsd = 0.02\nshares = "dirichlet"'),), "have no concentration"),
        ((("rsd = 0.02", "rsd = 0.02\nconcentration = 5"),), "only Dirichlet shares"),
        ((("rsd = 0.02", SHARES.replace("60", "0")),), "cannot have a concentration of 0"),
        ((("rsd = 0.02", SHARES),), "no errors of E say"),
        ((*DIRICHLET, ("60\n", '60\nonly = { region = ["R0"] }\n')), "no known total of which"),
        ((*DIRICHLET[1:2],), "given 0 times"),
        ((*DIRICHLET, ('"F_Y"\n', '"F_Y"\nlaw = "lognormal"\n')), "have their own law"),
    ],
)
def test_configurations_that_contradict_themselves_are_refused(
    tmp_path: Path, changes: tuple[tuple[str, str], ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        list(workflow.check(loaded(tmp_path, SMALL + KNOWN, *changes)))
