"""The budget of a change: against brute force over single normals, and against models changed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_twin import (
    LABELS,
    METHODS,
    QUESTION,
    YEARS,
    addresses,
    component,
    entry,
    model,
    world,
)

from engine.budget import (
    OTHERS,
    Budget,
    By,
    Entry,
    Subject,
    budget,
    frozen,
    places_of,
    sources,
)
from engine.draws import draw_directly, draw_prepared, estimated
from engine.error_model import (
    Constant,
    Empirical,
    ErrorModel,
    Errors,
    Law,
    Method,
    Persistent,
    Quantity,
    Yearly,
)
from engine.kernels.arrays import F64
from engine.kernels.budget import frozen as without
from engine.kernels.budget import halved, lasting
from engine.kernels.perturb import LOG2E, estimate, perturb
from engine.mrio import MRIO, Labels, Provenance
from engine.prepare import Prepared, prepare
from engine.prepare import addresses as hashed
from engine.question import Consumer, Indicator, Question
from engine.twin import Twin, twin, uncertain

SEED = 5
EVERY = 10**6


def prepared(errors: ErrorModel, tables: Iterable[MRIO], question: Question) -> list[Prepared]:
    tables = list(tables)
    hashes = hashed([table.labels for table in tables], question)
    return [prepare(table, errors, question, SEED, hashes=hashes) for table in tables]


def found(
    errors: ErrorModel,
    years: Sequence[int] = YEARS,
    kept: int = EVERY,
    question: Question = QUESTION,
) -> tuple[Budget, Twin, list[Prepared]]:
    tables = prepared(errors, map(world, years), question)
    law = twin(tables)
    hashes = hashed([LABELS], question)
    made = budget(tables, law, errors, question, SEED, LABELS, hashes, kept)
    return made, law, tables


def entries(subject: Subject, by: By) -> dict[str, Entry]:
    return {one.name: one for one in subject.entries if one.by is by}


# --- brute force: what every single normal moves, cell by cell ----------------------------------


Moved = Mapping[tuple[object, ...], Mapping[tuple[str, str, str], F64]]


def moved(law: Twin, tables: Sequence[Prepared], t: int) -> Moved:
    """By normal, then by quantity, region and sector of the cell: dF/dq q sigma w, (q,c)."""
    by_normal: dict[tuple[object, ...], dict[tuple[str, str, str], F64]] = defaultdict(
        lambda: defaultdict(lambda: np.zeros((2, 3)))
    )
    for quantity in tables[t].cells:
        dense = law.linearised[t].gradients[quantity].dense()[..., 0]
        for cells in uncertain(tables[t], quantity):
            i, j = cells.positions()
            sizes = cells.value * cells.log2_sd.astype(np.float64) / LOG2E
            slopes = np.broadcast_to(dense, (*dense.shape[:2], 2, 3))[i, j] * sizes[:, None, None]
            for term, used in zip(cells.terms, addresses(cells), strict=True):
                for normal, row, column, slope in zip(used, i, j, slopes, strict=True):
                    place = (str(quantity), *called(str(quantity), int(row), int(column)))
                    by_normal[normal][place] = by_normal[normal][place] + term.weight * slope
    return by_normal


def called(quantity: str, row: int, column: int) -> tuple[str, str]:
    if quantity == "F_Y":
        return LABELS.regions[column], "final consumers"
    return LABELS.industries[column if quantity in ("E", "s") else row]


def parts(
    law: Twin, tables: Sequence[Prepared], pair: tuple[int, int]
) -> dict[tuple[object, ...], dict[tuple[str, str, str], F64]]:
    """The same of delta of logarithms, or raw, (q,c)."""
    s, t = pair
    F = law.footprint[..., 0]
    log = (F[s] > 0) & (F[t] > 0)
    total: dict[tuple[object, ...], dict[tuple[str, str, str], F64]] = defaultdict(
        lambda: defaultdict(lambda: np.zeros((2, 3)))
    )
    for year, sign in ((s, -1.0), (t, 1.0)):
        for normal, by_place in moved(law, tables, year).items():
            for place, slope in by_place.items():
                scaled = sign * slope / np.where(log, F[year], 1.0)
                total[normal][place] = total[normal][place] + scaled
    return total


KINDS = {By.QUANTITY: 0, By.REGION: 1, By.SECTOR: 2}


@METHODS
def test_every_part_is_the_sum_over_single_normals(method: Method) -> None:
    made, law, tables = found(model(method))
    assert made.pairs == ((2000, 2001), (2001, 2004), (2000, 2004))
    for number, pair in enumerate(((0, 1), (1, 2), (0, 2))):
        normals = parts(law, tables, pair)
        for by, place in KINDS.items():
            names = {name[place] for one in normals.values() for name in one}
            for name in names:
                K, D = np.zeros((2, 3)), np.zeros((2, 3))
                for one in normals.values():
                    own = sum((v for k, v in one.items() if k[place] == name), np.zeros((2, 3)))
                    K += own * sum(one.values())
                    D += own**2
                for q, c in np.ndindex(2, 3):
                    subject = made.subjects[3 * q + c]
                    if K[q, c] == D[q, c] == 0:
                        assert name not in entries(subject, by)
                        continue
                    got = entries(subject, by)[name]
                    tolerance = 1e-9 * subject.variance[number]
                    assert got.covariance[number] == pytest.approx(K[q, c], abs=tolerance)
                    assert got.own[number] == pytest.approx(D[q, c], abs=tolerance)


@METHODS
def test_the_parts_add_up_to_the_twins_variance(method: Method) -> None:
    """Of every kind of part; components and groups are independent, so their own variances do."""
    made, law, _ = found(model(method))
    F, C = law.footprint[..., 0], law.covariance[..., 0]
    for number, (s, t) in enumerate(((0, 1), (1, 2), (0, 2))):
        for q, c in np.ndindex(2, 3):
            subject = made.subjects[3 * q + c]
            a = [1 / F[y, q, c] if subject.logarithmic[number] else 1.0 for y in (s, t)]
            between = C[np.ix_([s, t], [s, t])][..., q, c]
            expected = np.array([-a[0], a[1]]) @ between @ np.array([-a[0], a[1]])
            assert subject.variance[number] == pytest.approx(expected, rel=1e-9)
            for by in By:
                total = sum(e.covariance[number] for e in entries(subject, by).values())
                assert total == pytest.approx(expected, rel=1e-9)
            for by in (By.COMPONENT, By.GROUP):
                for one in entries(subject, by).values():
                    assert one.own == one.covariance
    subject = made.subjects[0]
    level = C[2, 2, 0, 0] / F[2, 0, 0] ** 2
    assert sum(subject.level) == pytest.approx(level, rel=1e-9)
    for by in (By.REGION, By.SECTOR, By.QUANTITY, By.COMPONENT, By.GROUP):
        listed = entries(subject, by).values()
        for phi, whole in enumerate(subject.level):
            part = sum(one.level_covariance[phi] for one in listed)
            assert part == pytest.approx(whole, rel=1e-9, abs=1e-15)


@METHODS
def test_what_is_not_listed_is_one_entry(method: Method) -> None:
    whole, few = found(model(method))[0], found(model(method), kept=2)[0]
    for one, other in zip(whole.subjects, few.subjects, strict=True):
        for by in By:
            every, listed = entries(one, by), entries(other, by)
            if len(every) <= 2:
                assert every == listed
                continue
            assert list(listed)[:2] == list(every)[:2]
            assert list(listed)[2:] == [OTHERS]
            rest = [e.covariance for name, e in every.items() if name not in listed]
            assert listed[OTHERS].covariance == pytest.approx(np.sum(rest, axis=0), abs=1e-12)


# --- the same as the error model itself changed -------------------------------------------------


def smaller(tables: Sequence[Prepared], by: By, name: str, factor: float) -> list[Prepared]:
    """The errors of some cells scaled, cell by cell."""
    changed = []
    for table in tables:
        cells = {}
        for quantity, some in table.cells.items():
            scaled = []
            for one in some:
                i, j = one.positions()
                places = [
                    (str(quantity), *called(str(quantity), int(r), int(c)))[KINDS[by]] == name
                    for r, c in zip(i, j, strict=True)
                ]
                sizes = np.where(places, factor * one.log2_sd, one.log2_sd)
                scaled.append(replace(one, log2_sd=sizes.astype(np.float32)))
            cells[quantity] = tuple(scaled)
        changed.append(replace(table, cells=cells))
    return changed


def variances(tables: Sequence[Prepared], pair: tuple[int, int]) -> F64:
    law = twin(tables)
    F, C = law.footprint[..., 0], law.covariance[..., 0]
    s, t = pair
    log = (F[s] > 0) & (F[t] > 0)
    a, b = (np.where(log, F[y], 1.0) for y in pair)
    raw: F64 = C[s, s] / a**2 + C[t, t] / b**2 - 2 * C[s, t] / (a * b)
    return raw


@METHODS
@pytest.mark.parametrize(
    ("by", "name"),
    [
        (By.QUANTITY, "E"),
        (By.QUANTITY, "Y"),
        (By.REGION, "R2"),
        (By.SECTOR, "P"),
        (By.SECTOR, "final consumers"),
    ],
)
def test_halving_and_freezing_are_the_changed_models(method: Method, by: By, name: str) -> None:
    name = "s" if (method, name) == (Method.COEFFICIENTS, "E") else name
    made, _, tables = found(model(method))
    for factor, formula in ((0.5, halved), (0.0, without)):
        expected = variances(smaller(tables, by, name, factor), (0, 2))
        for q, c in np.ndindex(2, 3):
            subject = made.subjects[3 * q + c]
            V = subject.variance[2]
            one = entries(subject, by).get(name)
            got = V if one is None else formula(V, one.own[2], one.covariance[2])
            assert got == pytest.approx(expected[q, c], rel=2e-6, abs=1e-9 * V)


def emissions_alone(time: Persistent | Yearly) -> ErrorModel:
    shared, own = component("all", 0.4, "all", time), component("own", 0.6, "cell", Yearly())
    return ErrorModel("base", Method.ACCOUNTS, (entry("E", Constant(0.3), shared, own),))


def one_region_lasting(errors: ErrorModel) -> ErrorModel:
    """R1's emissions with errors that last; shared with others is only what lasted before."""
    (emissions,) = errors.errors
    shared, own = emissions.components
    before = (emissions.quantity, "all") if isinstance(shared.time, Persistent) else None
    theirs = (
        replace(shared, name="all, R1", time=Persistent(), shared_with=before),
        replace(own, name="own, R1", time=Persistent()),
    )
    entries = (
        replace(emissions, only={"region": ("R0", "R2")}),
        replace(emissions, only={"region": ("R1",)}, components=theirs),
    )
    return replace(errors, errors=entries)


@pytest.mark.parametrize("time", [Persistent(), Yearly()])
def test_a_region_made_lasting_is_the_changed_model(time: Persistent | Yearly) -> None:
    errors = emissions_alone(time)
    made, _, _ = found(errors)
    _, _, tables = found(one_region_lasting(errors))
    for number, pair in enumerate(((0, 1), (1, 2), (0, 2))):
        expected = variances(tables, pair)
        for q, c in np.ndindex(2, 3):
            subject = made.subjects[3 * q + c]
            one = entries(subject, By.REGION)["R1"]
            got = lasting(subject.variance[number], one.lasting[number])
            assert got == pytest.approx(expected[q, c], rel=1e-6)


def test_a_quantity_made_lasting_keeps_what_its_size_changes() -> None:
    """All of E lasts: what is left is that tables differ, and what Y adds."""
    demand = entry("Y", Constant(0.2), component("own", 1.0, "cell", Yearly()))
    (emissions,) = emissions_alone(Yearly()).errors
    errors = ErrorModel("base", Method.ACCOUNTS, (emissions, demand))
    made, _, _ = found(errors)
    lasts = tuple(replace(c, time=Persistent()) for c in emissions.components)
    _, _, tables = found(replace(errors, errors=(replace(emissions, components=lasts), demand)))
    expected = variances(tables, (0, 2))
    for q, c in np.ndindex(2, 3):
        subject = made.subjects[3 * q + c]
        one = entries(subject, By.QUANTITY)["E"]
        assert one.lasting[2] < 0
        got = lasting(subject.variance[2], one.lasting[2])
        assert got == pytest.approx(expected[q, c], rel=1e-6)
        components = entries(subject, By.COMPONENT)
        both = components["E.all"].lasting[2] + components["E.own"].lasting[2]
        assert both == pytest.approx(one.lasting[2], rel=1e-9)


def test_where_errors_offset_each_other_a_part_is_negative_and_halving_it_does_harm() -> None:
    """A lasting error common to the emissions of two regions, whose sum is 90 % of the world's
    footprint, then 80 %. R0's share grows by .2, R1's falls by .3: delta = (.2 - .3) sigma u.
    """
    labels = Labels(("R0", "R1"), (("R0", "P"), ("R1", "P")), ("CO2",), ("kt",), "EUR")
    made_up = Provenance("made up", "1", "none", synthetic=True)
    tables = [
        MRIO(
            year, labels, np.zeros((2, 2)), np.eye(2), np.array([E]), np.array([[d, 0.0]]), made_up
        )
        for year, E, d in ((2000, (3.0, 6.0), 1.0), (2001, (5.0, 3.0), 2.0))
    ]
    question = Question((Consumer("world", ("R0", "R1")),), (Indicator("CO2", "kt", {"CO2": 1}),))
    common = component("all", 1.0, "all", Persistent())
    errors = ErrorModel("base", Method.ACCOUNTS, (entry("E", Constant(0.3), common),))
    years = prepared(errors, tables, question)
    hashes = hashed([labels], question)
    law = twin(years)
    made = budget(years, law, errors, question, SEED, labels, hashes)
    (subject,), sigma2 = made.subjects, np.log1p(0.3**2)
    region = entries(subject, By.REGION)["R0"]
    assert subject.variance[0] == pytest.approx(0.01 * sigma2, rel=1e-6)
    assert region.covariance[0] == pytest.approx(-0.02 * sigma2, rel=1e-6)
    assert region.own[0] == pytest.approx(0.04 * sigma2, rel=1e-6)
    after = halved(
        *(np.array(v) for v in (subject.variance[0], region.own[0], region.covariance[0]))
    )
    assert after == pytest.approx(0.04 * sigma2, rel=1e-6)
    assert region.lasting == (0.0,)


def test_formulas() -> None:
    """One common error of 3 and -1: V = 4; the smaller has K = -2, D = 1."""
    V, D, K = np.array(4.0), np.array(1.0), np.array(-2.0)
    assert halved(V, D, K) == pytest.approx(2.5**2)
    assert without(V, D, K) == pytest.approx(3.0**2)
    assert lasting(V, np.array(-5.0)) == 0


def test_pairs_of_one_year_and_of_two() -> None:
    errors = emissions_alone(Yearly())
    assert found(errors, (2000,))[0].pairs == ()
    assert found(errors, (2000,))[0].subjects == ()
    assert found(errors, (2000, 2001))[0].pairs == ((2000, 2001),)


def test_portions_of_consumers_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = found(model(Method.ACCOUNTS))[0]
    monkeypatch.setattr("engine.budget.dividing._ROOM", 1)
    monkeypatch.setattr("engine.twin._TILE", 8 * 6 * 2)
    few = found(model(Method.ACCOUNTS))[0]
    for one, other in zip(whole.subjects, few.subjects, strict=True):
        assert (one.consumer, one.stressor) == (other.consumer, other.stressor)
        assert one.variance == pytest.approx(other.variance, rel=1e-12)
        for by in By:
            some, same = entries(one, by), entries(other, by)
            assert some.keys() == same.keys()
            for name, part in some.items():
                assert part.covariance == pytest.approx(same[name].covariance, abs=1e-13)


# --- freezing, drawn ----------------------------------------------------------------------------


@METHODS
@pytest.mark.parametrize(
    ("by", "name"),
    [(By.QUANTITY, "Y"), (By.REGION, "R2"), (By.SECTOR, "Q"), (By.COMPONENT, "Y.own")],
)
def test_a_frozen_table_is_the_model_without_that_error(method: Method, by: By, name: str) -> None:
    made, law, tables = found(model(method))
    places = places_of(tables[0], LABELS, model(method))
    known = sources(model(method), SEED)
    for factor, formula in ((0.0, without), (0.5, halved)):
        changed = [frozen(table, by, name, places, known, factor) for table in tables]
        expected = variances(changed, (0, 2))
        for q, c in np.ndindex(2, 3):
            subject = made.subjects[3 * q + c]
            V, one = subject.variance[2], entries(subject, by).get(name)
            got = V if one is None else formula(V, one.own[2], one.covariance[2])
            assert got == pytest.approx(expected[q, c], rel=2e-6, abs=1e-9 * V)
        assert estimated(changed[0]).footprint == pytest.approx(law.footprint[0], rel=1e-9)


@METHODS
def test_frozen_draws_are_solved_as_surely_as_others(method: Method) -> None:
    """The fast path against the direct solution, with errors gone that it was prepared for."""
    _, _, tables = found(model(method))
    places = places_of(tables[0], LABELS, model(method))
    known = sources(model(method), SEED)
    quiet = frozen(tables[0], By.REGION, "R1", places, known)
    drawn = draw_prepared(quiet, range(8))
    for d in range(8):
        one = draw_directly(quiet, d)
        assert drawn.footprint[d] == pytest.approx(one.footprint, rel=1e-5, abs=1e-9, nan_ok=True)
    assert not np.allclose(drawn.footprint, draw_prepared(tables[0], range(8)).footprint)


def test_a_budget_that_misses_an_error_is_refused() -> None:
    _, law, tables = found(model(Method.ACCOUNTS))
    quiet = smaller(tables, By.REGION, "R1", 0.5)
    hashes = hashed([LABELS], QUESTION)
    with pytest.raises(AssertionError, match="do not add up"):
        budget(quiet, law, model(Method.ACCOUNTS), QUESTION, SEED, LABELS, hashes)


def test_groups_of_cells_are_called_by_their_labels() -> None:
    subject = found(model(Method.ACCOUNTS))[0].subjects[1]
    names = set(entries(subject, By.GROUP))
    assert {
        "E.national: CH4 R2",
        "E.all: all",
        "Z.pairs: R0 to R1",
        "Z.trade: P to R2",
        "Y.consumer: R0",
        "Y.own: each cell",
    } <= names
    assert "E.national: CO2 R0" not in names  # CH4 has nothing to do with it
    assert "E.national (also F_Y)" in entries(subject, By.COMPONENT)
    assert "Z.trade" in entries(subject, By.COMPONENT)  # shared within Z alone


# --- other laws, and factors from files ---------------------------------------------------------


def from_files(folder: Path, *others: Errors) -> ErrorModel:
    """Emissions with 200 realisations of factors, correlated over cells and years."""
    rng = np.random.default_rng(9)
    common, hashes = rng.gamma(4, 0.25, (200, 1, 1)), []
    for year in YEARS:
        factors = 0.5 * common + 0.5 * rng.gamma(4, 0.25, (200, 2, 6))
        np.save(folder / f"E_{year}.npy", factors)
        content = (folder / f"E_{year}.npy").read_bytes()
        hashes.append((year, hashlib.sha256(content).hexdigest()))
    size = Empirical(folder / "E_{year}.npy", tuple(hashes), 200, True)
    files = Errors(Quantity.E, {}, size, (), "made up")
    return ErrorModel("base", Method.ACCOUNTS, (files, *others))


def test_realisations_of_files_are_divided_like_normals(tmp_path: Path) -> None:
    """By region, against the covariances of 200 realisations; the twin's variance is checked."""
    own = entry("Y", Constant(0.2), component("own", 1.0, "cell", Yearly()))
    made, law, tables = found(from_files(tmp_path, own))
    subject, pair = made.subjects[1], (0, 2)
    for by in By:
        total = sum(one.covariance[2] for one in entries(subject, by).values())
        assert total == pytest.approx(subject.variance[2], rel=1e-9)
    moved = {region: np.zeros(200) for region in LABELS.regions}
    for y, sign in zip(pair, (-1, 1), strict=True):
        (cells,) = (one for one in tables[y].cells[Quantity.E] if len(one.realised))
        i, j = cells.positions()
        slopes = law.linearised[y].gradients[Quantity.E].dense()[i, j, 0, 1, 0]
        each = cells.value * slopes * (cells.realised.astype(np.float64) - 1)
        for region in moved:
            chosen = [LABELS.industries[column][0] == region for column in j]
            moved[region] += sign * each[:, chosen].sum(axis=1) / law.footprint[y, 0, 1, 0]
    whole = sum(moved.values(), np.zeros(200))
    component_of_files = entries(subject, By.COMPONENT)["factors from files"]
    assert component_of_files.own[2] == pytest.approx(whole.var(), rel=1e-6)
    emissions = entries(subject, By.QUANTITY)["E"]
    assert emissions.own[2] == pytest.approx(whole.var(), rel=1e-6)
    for region, one in moved.items():
        own_of_demand = sum(variance_of_demand(tables, law, region, pair))
        K = entries(subject, By.REGION)[region].covariance[2] - own_of_demand
        assert pytest.approx(np.mean((one - one.mean()) * (whole - whole.mean())), rel=1e-6) == K
    assert subject.level == () == emissions.level_own
    assert emissions.lasting[2] == 0  # files stay as they are


def variance_of_demand(
    tables: Sequence[Prepared], law: Twin, region: str, pair: tuple[int, int]
) -> Iterator[float]:
    """Of a region's cells of Y, which are independent of all others."""
    for y in pair:
        (cells,) = uncertain(tables[y], Quantity.Y)
        i, j = cells.positions()
        slopes = law.linearised[y].gradients[Quantity.Y].dense()[i, j, 0, 1, 0]
        own = [LABELS.industries[row][0] == region for row in i]
        sizes = cells.value * cells.log2_sd.astype(np.float64) / LOG2E * slopes
        yield float(np.square(sizes[own]).sum()) / law.footprint[y, 0, 1, 0] ** 2


@pytest.mark.parametrize("law_of", [Law.GAMMA, Law.TRUNCATED_NORMAL, None])
def test_factors_of_any_law_are_frozen_and_halved(tmp_path: Path, law_of: Law | None) -> None:
    """In draws as in the twin: a frozen region's cells are the estimate's own, halved ones go half
    as far from it.
    """
    if law_of is None:
        errors = from_files(tmp_path)
    else:
        shared = component("all", 0.4, "all", Yearly())
        own = component("own", 0.6, "cell", Yearly())
        one = replace(entry("E", Constant(0.4), shared, own), law=law_of)
        errors = ErrorModel("base", Method.ACCOUNTS, (one,))
    made, _, tables = found(errors)
    places, known = places_of(tables[0], LABELS, errors), sources(errors, SEED)
    of_R1 = np.array([region == "R1" for region, _ in LABELS.industries])
    for factor, formula in ((0.0, without), (0.5, halved)):
        changed = [frozen(table, By.REGION, "R1", places, known, factor) for table in tables]
        for d in (0, 7):
            before, after = (perturb(t[0].cells[Quantity.E], d) for t in (tables, changed))
            base = estimate(tables[0].cells[Quantity.E])
            assert (after[:, ~of_R1] == before[:, ~of_R1]).all()
            expected = base + factor * (before - base)
            assert after[:, of_R1] == pytest.approx(expected[:, of_R1], rel=1e-6)
        expected_variance = variances(changed, (0, 2))
        for q, c in np.ndindex(2, 3):
            subject = made.subjects[3 * q + c]
            one_region = entries(subject, By.REGION)["R1"]
            got = formula(
                *map(np.array, (subject.variance[2], one_region.own[2], one_region.covariance[2]))
            )
            assert got == pytest.approx(expected_variance[q, c], rel=2e-6)
    component_name = "factors from files" if law_of is None else "E.own"
    quiet = frozen(tables[0], By.COMPONENT, component_name, places, known)
    left = np.log(perturb(quiet.cells[Quantity.E], 3) / estimate(quiet.cells[Quantity.E]))
    assert np.ptp(left) == pytest.approx(0, abs=1e-6)  # nothing, or the one error all share
