"""The budget under known totals: against single cells, against models changed, and drawn."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_known_totals import (
    INDUSTRIES,
    KNOWN,
    LABELS,
    METHODS,
    QUESTION,
    REGIONS,
    YEARS,
    component,
    world,
)

from configs import SERIAL, SMALL, footfall, loaded, written
from engine import workflow
from engine.budget import (
    ALL_SECTORS,
    DIRECT,
    SEVERAL_REGIONS,
    TOTALS,
    Budget,
    By,
    Entry,
    Subject,
    budget,
    frozen,
    places_of,
    sources,
)
from engine.draws import draw_prepared, estimated
from engine.error_model import (
    AR1,
    ByLabel,
    ErrorModel,
    Errors,
    KnownTotals,
    Method,
    Persistent,
    Quantity,
    Yearly,
)
from engine.kernels.arrays import F64
from engine.kernels.budget import frozen as without
from engine.kernels.budget import halved, lasting
from engine.kernels.changes import DetectionRule
from engine.kernels.perturb import LOG2E, Cells
from engine.prepare import Prepared, addresses, prepare
from engine.studies.freezing import confirm
from engine.twin import Twin, twin

SEED = 5
EVERY = 10**6
PAIRS = ((0, 1), (1, 2), (0, 2))
Scale = Callable[[str, str, str], float]


def rsd(size: float, factor: float) -> float:
    """Whose lognormal sigma is `factor` times that of `size`."""
    return float(np.sqrt(np.expm1(factor**2 * np.log1p(size**2))))


def unchanged(_quantity: str, _region: str, _sector: str) -> float:
    return 1.0


def model(method: Method, scale: Scale = unchanged, *, apart: bool = False) -> ErrorModel:
    """Two kinds of totals over some of the emissions, F_Y in one of them with E, whose errors it
    shares; the CH4 of all sectors but P has no total.

    Args:
        scale: factor of the errors' sigma, by quantity, region and sector.
        apart: whether E and F_Y share no error after all.
    """
    accounts = method is Method.ACCOUNTS
    flows, emissions = ("Z", "E") if accounts else ("A", "s")

    def sizes(quantity: str, size: float) -> dict[tuple[str, ...], float]:
        return {(r, s): rsd(size, scale(quantity, r, s)) for r, s in INDUSTRIES}

    national = component("national", 0.3, "stressor region", Persistent())
    of_direct = component("national", 0.6, "stressor consumer", Persistent())
    if not apart:
        of_direct = replace(of_direct, shared_with=(Quantity(emissions), "national"))
    return ErrorModel(
        "base",
        method,
        (
            Errors(
                Quantity(flows),
                {},
                ByLabel(("row_region", "row_sector"), sizes(flows, 0.1)),
                (component("flow", 1.0, "cell", Yearly()),),
                "test",
            ),
            Errors(
                Quantity(emissions),
                {"sector": ("P", "Q")},
                ByLabel(("region", "sector"), sizes(emissions, 0.5)),
                (national, component("own", 0.7, "cell", AR1(0.8))),
                "test",
            ),
            Errors(
                Quantity.F_Y,
                {},
                ByLabel(("consumer",), {(r,): rsd(0.3, scale("F_Y", r, DIRECT)) for r in REGIONS}),
                (of_direct, component("households", 0.4, "cell", Yearly())),
                "test",
            ),
        ),
        (
            KnownTotals(
                (Quantity(emissions), Quantity.F_Y),
                {"stressor": ("CO2",)},
                ("region", "stressor"),
                ByLabel(
                    ("region",), {(r,): rsd(0.04, scale(TOTALS, r, ALL_SECTORS)) for r in REGIONS}
                ),
                (
                    component("inventory", 0.6, "stressor region", AR1(0.9)),
                    component("activity", 0.4, "stressor", Yearly()),
                ),
                "test",
            ),
            KnownTotals(
                (Quantity(emissions),),
                {"stressor": ("CH4",), "sector": ("P",)},
                ("stressor", "sector"),
                ByLabel(("sector",), {("P",): rsd(0.1, scale(TOTALS, SEVERAL_REGIONS, "P"))}),
                (component("technology", 1.0, "sector", Yearly()),),
                "test",
            ),
        ),
    )


def prepared(errors: ErrorModel) -> list[Prepared]:
    return [prepare(world(year), errors, QUESTION, SEED) for year in YEARS]


def found(errors: ErrorModel) -> tuple[Budget, Twin, list[Prepared]]:
    tables = prepared(errors)
    law, hashes = twin(tables), addresses([LABELS], QUESTION)
    return budget(tables, law, errors, QUESTION, SEED, LABELS, hashes, EVERY), law, tables


def entries(subject: Subject, by: By) -> dict[str, Entry]:
    return {one.name: one for one in subject.entries if one.by is by}


def subjects(made: Budget) -> Iterator[tuple[int, int, Subject]]:
    for q, c in np.ndindex(2, 2):
        yield q, c, made.subjects[2 * q + c]


# --- brute force: every cell's and every total's error moved alone, by a complex step ------------

Place = tuple[str, str, str]
Moved = dict[tuple[object, ...], dict[Place, F64]]


def slopes_of(cells: Cells, dense: F64) -> F64:
    """dF/dq of the totals, (cells,q,c)."""
    whole: F64 = np.broadcast_to(dense, (*dense.shape[:2], 2, 2, dense.shape[-1]))
    return whole[cells.positions()][..., 0]


def sigma(cells: Cells) -> F64:
    return np.asarray(cells.log2_sd.astype(np.float64) / LOG2E)


def of_cells(quantity: str, cells: Cells) -> list[Place]:
    i, j = cells.positions()
    if quantity == "F_Y":
        return [(quantity, REGIONS[column], DIRECT) for column in j]
    own = j if quantity in ("E", "s") else i
    return [(quantity, *INDUSTRIES[position]) for position in own]


def each(law: Twin, tables: Sequence[Prepared], t: int) -> Iterator[tuple[Cells, list[Place], F64]]:
    """Cells with their places and what a unit of their eps moves, (cells,q,c)."""
    table = tables[t]
    dense = {q: g.dense() for q, g in law.linearised[t].gradients.items()}
    for quantity in table.cells:
        for cells in table.free(quantity):
            sizes = (cells.value * sigma(cells))[:, None, None]
            yield cells, of_cells(quantity, cells), sizes * slopes_of(cells, dense[quantity])
    known = table.known
    assert known is not None
    slopes = [
        slopes_of(cells, dense[q]) for q, cells in zip(known.quantities, known.entries, strict=True)
    ]
    every = [*known.entries, *known.totals]
    ends = np.cumsum([0, *(len(cells.value) for cells in every)])
    step = 1e-30

    def emissions(number: int) -> F64:
        """The footprint with one error moved, less its own, over the step."""
        eps = np.zeros(ends[-1], dtype=complex)
        eps[number] = 1j * step
        factor = [
            np.exp(sigma(cells) * eps[first:last])
            for cells, first, last in zip(every, ends, ends[1:], strict=False)
        ]
        tau = np.concatenate(factor[len(known.entries) :])
        S = np.zeros(len(tau), dtype=complex)
        for w, members in zip(factor, known.members, strict=False):
            np.add.at(S, members.total, members.share * w)
        parts = [
            np.tensordot(cells.value * w * (tau / S)[members.total], slope, axes=1)
            for cells, w, members, slope in zip(
                known.entries, factor, known.members, slopes, strict=False
            )
        ]
        return np.asarray(sum(parts).imag / step)

    moved = np.stack([emissions(number) for number in range(ends[-1])])
    columns = (REGIONS, ("P", "Q", "T"))
    for place, cells in enumerate(every):
        some = moved[ends[place] : ends[place + 1]]
        if place < len(known.entries):
            yield cells, of_cells(known.quantities[place], cells), some
            continue
        second = place - len(known.entries)
        named = [columns[second][column] for column in cells.positions()[1]]
        places = [
            (TOTALS, SEVERAL_REGIONS, name) if second else (TOTALS, name, ALL_SECTORS)
            for name in named
        ]
        yield cells, places, some


def moved_by_normals(law: Twin, tables: Sequence[Prepared], pair: tuple[int, int]) -> Moved:
    """What every normal moves, by place of the cell: delta of logarithms, (q,c)."""
    total: Moved = defaultdict(lambda: defaultdict(lambda: np.zeros((2, 2))))
    for t, sign in zip(pair, (-1.0, 1.0), strict=True):
        a = sign / law.footprint[t, ..., 0]
        for cells, places, slopes in each(law, tables, t):
            i, j = cells.positions()
            for term in cells.terms:
                if term.groups is None:
                    rows, columns = cells.rows[i], cells.columns[j]
                else:
                    rows = term.groups.rows[term.groups.row_of[i]]
                    columns = term.groups.columns[term.groups.column_of[j]]
                key = term.key.tobytes(), term.node
                for row, column, place, slope in zip(rows, columns, places, slopes, strict=True):
                    normal = total[(*key, int(row), int(column))]
                    normal[place] = normal[place] + term.weight * a * slope
    return total


KINDS = {By.QUANTITY: 0, By.REGION: 1, By.SECTOR: 2}


@METHODS
def test_every_part_is_the_sum_over_single_normals(method: Method) -> None:
    made, law, tables = found(model(method))
    for number, pair in ((0, (0, 1)), (2, (0, 2))):  # a cell is zero in the middle year
        normals = moved_by_normals(law, tables, pair)
        for by, kind in KINDS.items():
            names = {place[kind] for one in normals.values() for place in one}
            assert {TOTALS, SEVERAL_REGIONS, ALL_SECTORS} & names
            for name in names:
                K, D = np.zeros((2, 2)), np.zeros((2, 2))
                for one in normals.values():
                    own = sum((v for p, v in one.items() if p[kind] == name), np.zeros((2, 2)))
                    K += own * sum(one.values())
                    D += own**2
                for q, c, subject in subjects(made):
                    if D[q, c] == 0:
                        assert name not in entries(subject, by)
                        continue
                    got, near = entries(subject, by)[name], 1e-9 * subject.variance[number]
                    assert got.covariance[number] == pytest.approx(K[q, c], abs=near)
                    assert got.own[number] == pytest.approx(D[q, c], abs=near)


@METHODS
def test_the_parts_add_up_to_the_twins_variance(method: Method) -> None:
    made, law, _ = found(model(method))
    F, C = law.footprint[..., 0], law.covariance[..., 0]
    for q, c, subject in subjects(made):
        for number, (s, t) in enumerate(PAIRS):
            a = np.array([-1 / F[s, q, c], 1 / F[t, q, c]])
            expected = a @ C[np.ix_([s, t], [s, t])][..., q, c] @ a
            assert subject.variance[number] == pytest.approx(expected, rel=1e-9)
            for by in By:
                total = sum(one.covariance[number] for one in entries(subject, by).values())
                assert total == pytest.approx(expected, rel=1e-9)
            for by in (By.COMPONENT, By.GROUP):
                for one in entries(subject, by).values():
                    assert one.own == one.covariance
        level = C[2, 2, q, c] / F[2, q, c] ** 2
        assert sum(subject.level) == pytest.approx(level, rel=1e-9)
        for by in By:
            for phi, whole in enumerate(subject.level):
                part = sum(one.level_covariance[phi] for one in entries(subject, by).values())
                assert part == pytest.approx(whole, rel=1e-9, abs=1e-15)


def test_totals_and_their_components_are_called_by_name() -> None:
    subject = found(model(Method.ACCOUNTS))[0].subjects[2]
    assert {TOTALS, "E", "F_Y", "Z"} == set(entries(subject, By.QUANTITY))
    assert {
        "known totals.inventory",
        "known totals.activity",
        "known totals.technology",
        "E.national (also F_Y)",
    } <= set(entries(subject, By.COMPONENT))
    assert {
        "known totals.inventory: CO2 R1",
        "known totals.activity: CO2",
        "known totals.technology: P",
        "E.national: CO2 R0",
    } <= set(entries(subject, By.GROUP))
    assert SEVERAL_REGIONS in entries(subject, By.REGION)
    assert ALL_SECTORS in entries(subject, By.SECTOR)


@METHODS
def test_portions_of_consumers_do_not_matter(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = found(model(method))[0]
    monkeypatch.setattr("engine.budget.dividing._ROOM", 1)
    few = found(model(method))[0]
    for one, other in zip(whole.subjects, few.subjects, strict=True):
        for by in By:
            same = entries(other, by)
            for name, part in entries(one, by).items():
                assert part.covariance == pytest.approx(same[name].covariance, abs=1e-13)


# --- the error model changed --------------------------------------------------------------------

CHANGED = pytest.mark.parametrize(
    ("by", "name"),
    [
        (By.QUANTITY, "E"),
        (By.QUANTITY, "F_Y"),
        (By.QUANTITY, TOTALS),
        (By.REGION, "R1"),
        (By.REGION, SEVERAL_REGIONS),
        (By.SECTOR, "P"),
        (By.SECTOR, DIRECT),
        (By.SECTOR, ALL_SECTORS),
    ],
)


def changed(method: Method, by: By, name: str, factor: float) -> ErrorModel:
    """The model with the sizes of some errors changed: prepared like any other."""

    def scale(quantity: str, region: str, sector: str) -> float:
        return factor if (quantity, region, sector)[KINDS[by]] == name else 1.0

    return model(method, scale)


def variances(tables: Sequence[Prepared], pair: tuple[int, int]) -> F64:
    law = twin(tables)
    F, C = law.footprint[..., 0], law.covariance[..., 0]
    s, t = pair
    raw: F64 = C[s, s] / F[s] ** 2 + C[t, t] / F[t] ** 2 - 2 * C[s, t] / (F[s] * F[t])
    return raw


@METHODS
@CHANGED
def test_halved_and_frozen_are_the_changed_models(method: Method, by: By, name: str) -> None:
    """By formula; and as tables, drawn with the same normals, their shares centred anew."""
    name = "s" if (method, name) == (Method.COEFFICIENTS, "E") else name
    errors = model(method)
    made, _, tables = found(errors)
    places, known = places_of(tables[0], LABELS, errors), sources(errors, SEED)
    for factor, formula in ((0.5, halved), (0.0, without)):
        others = prepared(changed(method, by, name, factor))
        expected = variances(others, (0, 2))
        for q, c, subject in subjects(made):
            one = entries(subject, by).get(name)
            V = np.asarray(subject.variance[2])
            got = (
                V if one is None else formula(V, *map(np.asarray, (one.own[2], one.covariance[2])))
            )
            assert got == pytest.approx(expected[q, c], rel=2e-6)
        quiet = frozen(tables[0], by, name, places, known, factor)
        assert quiet.known is not None
        assert others[0].known is not None
        for members, same in zip(quiet.known.members, others[0].known.members, strict=True):
            assert members.centring == pytest.approx(same.centring, rel=1e-6)
            assert members.rsd == pytest.approx(same.rsd, rel=1e-5, abs=1e-9)
        drawn = draw_prepared(quiet, range(64)).footprint
        assert drawn == pytest.approx(draw_prepared(others[0], range(64)).footprint, rel=5e-6)


@METHODS
@pytest.mark.parametrize("name", ["known totals.inventory", "own", "national"])
def test_components_are_frozen_in_the_twin_as_by_formula(method: Method, name: str) -> None:
    errors = model(method)
    made, law, tables = found(errors)
    places, known = places_of(tables[0], LABELS, errors), sources(errors, SEED)
    name = next(s.name for s in known.values() if name in (s.name, s.component))
    quiet = [frozen(table, By.COMPONENT, name, places, known) for table in tables]
    assert estimated(quiet[0]).footprint == pytest.approx(law.footprint[0], rel=1e-9)
    expected = variances(quiet, (0, 2))
    for q, c, subject in subjects(made):
        one = entries(subject, By.COMPONENT).get(name)  # none for CH4, of totals of CO2
        V = np.asarray(subject.variance[2])
        got = V if one is None else without(V, *map(np.asarray, (one.own[2], one.covariance[2])))
        assert got == pytest.approx(expected[q, c], rel=2e-6)


@METHODS
@pytest.mark.parametrize("name", ["E", "F_Y", TOTALS])
def test_made_lasting_is_the_changed_model(method: Method, name: str) -> None:
    errors = model(method, apart=True)
    made = found(errors)[0]

    def lasts(entry: Errors | KnownTotals) -> Errors | KnownTotals:
        return replace(
            entry, components=tuple(replace(c, time=Persistent()) for c in entry.components)
        )

    name = "s" if (method, name) == (Method.COEFFICIENTS, "E") else name
    lasting_model = replace(
        errors,
        errors=tuple(lasts(one) if one.quantity == name else one for one in errors.errors),
        totals=tuple(map(lasts, errors.totals)) if name == TOTALS else errors.totals,
    )
    tables = prepared(lasting_model)
    for number, pair in enumerate(PAIRS):
        expected = variances(tables, pair)
        for q, c, subject in subjects(made):
            one = entries(subject, By.QUANTITY)[name]
            got = lasting(np.asarray(subject.variance[number]), np.asarray(one.lasting[number]))
            assert got == pytest.approx(expected[q, c], rel=1e-6)


# --- runs ---------------------------------------------------------------------------------------


def test_frozen_draws_confirm_the_budget(tmp_path: Path) -> None:
    """4 standard errors over 3 numbers, 2 consumers and 5 entries: 1 in 520 false failures."""
    small = ("rsd = 0.1", "rsd = 0.04"), ("rsd = 0.2", "rsd = 0.01"), ("rsd = 0.3", "rsd = 0.05")
    confirmed = confirm(loaded(tmp_path, SMALL + KNOWN, *small), 5, 960)
    assert {"known totals", "known totals.inventory"} <= {row["entry"] for row in confirmed.rows}
    assert len(confirmed.rows) == 10
    for row in confirmed.rows:
        for name in ("sigma", "sigma_without", "ratio"):
            error = row[f"{name}_drawn_mcse"]
            assert abs(row[f"{name}_drawn"] - row[name]) <= 4 * error + 1e-12
    assert min(row["ratio"] for row in confirmed.rows) < 0.8


def test_a_run_keeps_tells_and_shows_its_budget(tmp_path: Path) -> None:
    config = loaded(tmp_path, SMALL + KNOWN, ("draws = 448", "draws = 128"))
    run = workflow.run(config, tmp_path / "run", cluster=SERIAL)
    assert (run.folder / "base" / "budget.json").exists()
    text = workflow.detect(run, DetectionRule(), form="json", table="budget")
    rows = json.loads(text)["budget"]
    shares: Mapping[tuple[str, ...], list[float]] = defaultdict(list)
    for row in rows:
        keys = ("consumer", "change", "from_year", "to_year", "by")
        shares[tuple(str(row[key]) for key in keys)].append(row["share"])
    assert all(sum(some) == pytest.approx(1, abs=1e-9) for some in shares.values())
    assert TOTALS in {row["entry"] for row in rows if row["by"] == "quantity"}
    shown = workflow.report(run).read_text(encoding="utf-8")
    assert "known totals of emissions" in shown
    assert "Where cells are shares of a known total" in shown


@pytest.mark.parametrize("verb", ["check", "plan", "preview", "budget"])
def test_verbs_without_a_run_take_known_totals(tmp_path: Path, verb: str) -> None:
    path = written(tmp_path, SMALL + KNOWN)
    done = footfall(verb, str(path))
    assert done.exit_code == 0, done.output
    if verb == "budget":
        assert "quantity: known totals" in done.output
        assert "known totals.inventory: S0 R0" in done.output
