"""Factors of other laws: moments, bits, copula, files of factors, and what is refused."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats
from test_fused import PACKINGS, applied, assert_same, drawn, hashes, of_lines, some_kept, terms_of

from configs import SERIAL, SMALL, loaded
from engine import analysis, readers, studies, workflow
from engine.config import Config
from engine.draws import Draws, draw_directly, draw_group, draw_prepared, perturbed
from engine.error_model import (
    Component,
    Constant,
    Empirical,
    ErrorModel,
    Errors,
    Law,
    Method,
    Persistent,
    Quantity,
    Yearly,
    factor_correlation,
    law_names,
    most_draws,
)
from engine.errors import ConfigError, FootfallError
from engine.jobs import _entry
from engine.kernels import laws
from engine.kernels.arrays import F32, F64
from engine.kernels.changes import DetectionRule
from engine.kernels.elementary import log_sd
from engine.kernels.fused import Memory, bind, bind_with, sweep
from engine.kernels.perturb import LOG2E, Cells, Groups, Term, pack, perturb, standard_errors
from engine.kernels.streams import LANES, stream_key
from engine.prepare import Prepared, prepare
from engine.prepare.factors import _RowSums, factors_of
from engine.question import with_units
from engine.split import split
from engine.stores import tables as stored
from engine.twin import twin

SIZES = {
    "truncated normal": (1e-3, 0.1, 0.5, 0.75, 0.95, 0.99),
    "gamma": (1e-3, 0.1, 0.5, 1.0, 2.0, 5.0),
}
EACH = [(law, rsd) for law, sizes in SIZES.items() for rsd in sizes]
Z4 = 4.0  # standard errors: one false failure in 16,000 looks


# --- the laws ------------------------------------------------------------------------------------


def exact(law: str, rsd: float) -> stats.rv_continuous:
    """The law by scipy, its parameters found without `engine.kernels.laws`."""
    if law == "gamma":
        return stats.gamma(1 / rsd**2, scale=rsd**2)

    def of(alpha: float) -> stats.rv_continuous:
        free = stats.truncnorm(alpha, np.inf)
        return stats.truncnorm(alpha, np.inf, loc=-alpha / (free.mean() - alpha),
                               scale=1 / (free.mean() - alpha))  # fmt: skip

    low, high = -2 / rsd, 20.0
    for _ in range(200):  # the rsd rises with the truncation
        middle = (low + high) / 2
        low, high = (middle, high) if of(middle).std() < rsd else (low, middle)
    return of(low)


@pytest.mark.parametrize(("law", "rsd"), EACH)
def test_tabulated_factors_are_the_laws_quantiles(law: str, rsd: float) -> None:
    """To 1e-6 of the law's sd, and of float32 a factor's own rounding, within six normal sds."""
    eps = np.linspace(-6, 6, 2001)
    known = exact(law, rsd)
    expected = np.where(eps < 0, known.ppf(stats.norm.cdf(eps)), known.isf(stats.norm.sf(eps)))
    found = laws.evaluate(laws.quantiles(law, np.array([rsd]))[0], eps)
    assert (np.abs(found - expected) <= 1e-6 * rsd + 2e-7 * np.maximum(expected, 0.1)).all()


@pytest.mark.parametrize(("law", "rsd"), EACH)
def test_mean_and_sd_by_quadrature(law: str, rsd: float) -> None:
    pieces = laws.quantiles(law, np.array([rsd]))[0]

    def moment(power: int) -> float:
        def integrand(eps: float) -> float:
            return float(laws.evaluate(pieces, np.array(eps))) ** power * stats.norm.pdf(eps)

        ends = np.linspace(-8, 8, 33)
        return math.fsum(
            integrate.fixed_quad(np.vectorize(integrand), a, b, n=20)[0]
            for a, b in itertools.pairwise(ends)
        )

    assert moment(1) == pytest.approx(1, abs=1e-7)
    assert math.sqrt(moment(2) - moment(1) ** 2) == pytest.approx(rsd, rel=2e-5)


@pytest.mark.parametrize(("law", "rsd"), EACH)
def test_factors_never_fall_with_eps(law: str, rsd: float) -> None:
    eps = np.linspace(-8, 8, 100_001)
    assert (np.diff(laws.evaluate(laws.hermite(laws.LAWS[law][0](rsd)), eps)) >= 0).all()
    assert laws.evaluate(laws.quantiles(law, np.array([rsd]))[0], eps).min() >= 0


def test_textbook_values() -> None:
    """A normal cut at its mean has CV sqrt(pi/2 - 1); the gamma law of rsd 1 is exponential."""
    assert laws.truncated_rsd(0.0) == pytest.approx(math.sqrt(math.pi / 2 - 1), rel=1e-14)
    assert laws.truncated_rsd(15.0) < 1
    eps = np.linspace(-5, 5, 101)
    assert laws.gamma(1.0)(eps)[0] == pytest.approx(-np.log(stats.norm.sf(eps)), rel=1e-12)


def test_a_small_gamma_law_is_nearly_normal() -> None:
    """The expansion meets the inverse incomplete gamma function where it takes over."""
    eps, rsd = np.linspace(-5, 5, 101), 0.00499
    known = exact("gamma", rsd).ppf(stats.norm.cdf(eps))
    assert laws.gamma(rsd)(eps)[0] == pytest.approx(known, abs=1e-8 * rsd)


def test_correlations_of_factors_by_hermite_polynomials() -> None:
    """Known in closed form for the lognormal: [exp(rho s1 s2) - 1] / (rsd_1 rsd_2)."""

    def lognormal(rsd: float) -> F64:
        s = math.sqrt(math.log1p(rsd**2))
        return laws.hermite(lambda x: (np.exp(s * x - s * s / 2), s * np.exp(s * x - s * s / 2)))

    for rho in (0.0, 0.3, 0.9, 1.0):
        found = laws.correlation(lognormal(0.1), lognormal(1.0), rho)  # type: ignore[arg-type]
        assert found == pytest.approx(factor_correlation(rho, 0.1, 1.0), abs=1e-6)


# --- drawn, in both paths ------------------------------------------------------------------------


def of_law(
    seed: int, shape: tuple[int, int], kinds: tuple[str, ...], law: str, *, by_row: bool
) -> tuple[Cells, ...]:
    """Entries of one law in turn with lognormal ones and ones from a file."""
    rng = np.random.default_rng(seed)
    values = rng.choice([-1.0, 1.0], shape, p=[0.2, 0.8]) * 10.0 ** rng.uniform(-8, 8, shape)
    values *= rng.random(shape) < 0.8
    entry = rng.integers(0, len(kinds), shape)
    labels = hashes(seed + 3, shape[0]), hashes(seed + 4, shape[1])
    packed = []
    for number, kind in enumerate(kinds):
        i, j = (index.astype(np.int32) for index in np.nonzero((values != 0) & (entry == number)))
        rsd = rng.choice([0.0, 1e-3, 0.1, 0.5, 0.9], len(i))
        log2_sd = (rsd * LOG2E).astype(np.float32)
        distinct, size_of = np.unique(rsd, return_inverse=True)
        more: dict[str, np.ndarray] = {}
        if kind == "file":
            more = {"realised": rng.gamma(2, 0.5, (100, len(i))).astype(np.float32)}
        elif kind not in ("none", "rows"):
            more = {
                "quantiles": laws.quantiles(law, distinct), "size_of": size_of.astype(np.int32)
            }  # fmt: skip
        terms = () if kind == "file" else terms_of(kind, seed + number, shape)
        packed.append(pack(values, i, j, log2_sd, labels, terms, by_row=by_row, **more))
    return tuple(packed)


KINDS = ("own", "none", "shared and own", "rows", "file", "many")


@PACKINGS
@pytest.mark.parametrize("law", list(SIZES))
def test_both_paths_draw_the_same_bits(law: str, by_row: bool) -> None:
    entries = of_law(1, (9, 140), KINDS, law, by_row=by_row)
    for group in (0, 1, 1000):  # the file has 100 realisations: part of group 1, none of 1000
        expected = of_lines(drawn(entries, group), by_row)
        for found in applied(bind(entries, group), by_row):
            assert_same(found, expected)


@PACKINGS
def test_kept_factors_of_every_law_serve_all_passes(by_row: bool) -> None:
    entries = of_law(2, (9, 140), KINDS, "gamma", by_row=by_row)
    some, _, slots = some_kept([cells for cells in entries if cells.drawn], 0.3)
    memory = Memory()
    expected = applied(bind(entries, 1), by_row), applied(bind(some, 1), by_row)
    for first in (0, 1):
        memory.clear(sum(len(cells.value) for cells in entries))
        bound = bind_with(entries, some, slots, 1, memory, 7)
        for turn in (first, 1 - first, first):
            for found, known in zip(applied(bound[turn], by_row), expected[turn], strict=True):
                assert_same(found, known)


def test_the_first_order_of_another_law_is_its_rsd_times_eps() -> None:
    (cells,) = of_law(3, (6, 9), ("own",), "gamma", by_row=True)
    sums = sweep(bind((cells,), 0), g=np.eye(9))
    i, j = cells.positions()
    for lane in (0, 17, 63):
        slopes = cells.value * (cells.log2_sd / LOG2E).astype(float)
        expected = slopes * standard_errors(cells, lane)
        assert sums.gaussian[i, j, lane] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("law", "rsd"), [(law, rsd) for law, rsd in EACH if 0.1 <= rsd <= 1])
def test_moments_and_copula_of_draws(law: str, rsd: float) -> None:
    """20,000 pairs of cells that share half of eps, in one draw: mean, sd, correlation."""
    count, i = 20_000, np.arange(40_000, dtype=np.int32)
    labels = np.arange(40_000, dtype=np.uint32), np.zeros(1, dtype=np.uint32)
    own = Term(math.sqrt(0.5), stream_key(3, "q", "own"), 0, None)
    pair_of = i // 2
    pairs = Groups(np.arange(count, dtype=np.uint32), labels[1], pair_of, i[:1] * 0)
    shared = Term(math.sqrt(0.5), stream_key(3, "q", "pair"), 0, pairs)
    cells = pack(
        np.ones((40_000, 1)), i, i * 0, np.full(40_000, rsd * LOG2E, np.float32), labels,
        (shared, own), by_row=False, quantiles=laws.quantiles(law, np.array([rsd])), size_of=i * 0,
    )  # fmt: skip
    f = perturb((cells,), 5).reshape(count, 2)
    expected = laws.correlation(cells.quantiles[0], cells.quantiles[0], 0.5)
    in_pairs = f.mean(axis=1)  # independent of each other, unlike the two of a pair
    assert abs(in_pairs.mean() - 1) < Z4 * in_pairs.std() / math.sqrt(count)
    squares = np.square(f - 1).mean(axis=1)
    assert abs(squares.mean() - rsd**2) < Z4 * squares.std() / math.sqrt(count)
    products = (f[:, 0] - 1) * (f[:, 1] - 1) / rsd**2
    assert abs(products.mean() - expected) < Z4 * products.std() / math.sqrt(count)
    assert (f >= 0).all()


# --- in a model ----------------------------------------------------------------------------------

E_NATIONAL = Component("national", 1.0, ("stressor", "region"), Persistent())
GAMMA = ("rsd = 0.2", 'rsd = 0.2\nlaw = "gamma"')


def prepared_of(config: Config, year: int = 2000) -> Prepared:
    table = readers.read(config.tables, year)
    question = with_units(config.question, table.labels)
    return prepare(table, config.errors, question, config.sampling.seed)


def assert_close(group: Draws, prepared: Prepared) -> None:
    for number in (0, 13, 63):
        one = draw_directly(prepared, number)
        assert group.footprint[number] == pytest.approx(one.footprint, rel=2e-6, abs=1e-12)


@pytest.mark.parametrize("law", list(Law))
@pytest.mark.parametrize("method", ["accounts", "coefficients"])
def test_groups_and_single_draws_agree(tmp_path: Path, law: str, method: str) -> None:
    changes = [("rsd = 0.2", f'rsd = 0.2\nlaw = "{law}"'), ('"accounts"', f'"{method}"')]
    if method == "coefficients":
        changes += [('quantity = "E"', 'quantity = "s"'), ('quantity = "Z"', 'quantity = "A"')]
    prepared = prepared_of(loaded(tmp_path, SMALL, *changes))
    assert_close(draw_group(prepared, 0), prepared)


def test_errors_shared_between_laws_are_the_same_eps(tmp_path: Path) -> None:
    """F_Y is gamma, E lognormal, and both have the national error of E."""
    entry = """
[[scenarios.base.errors]]
quantity = "F_Y"
rsd = 0.4
law = "gamma"
source = "assumption"
components = [
  { name = "direct", weight = 1.0, group = ["stressor", "consumer"], time = "persistent", SHARED },
]
""".replace("SHARED", 'shared_with = "E.national"')
    alone = ('weight = 0.5, group = ["str', 'weight = 1.0, group = ["str')
    own = ('\n  { name = "own", weight = 0.5, group = "cell", time = "yearly" },', "")
    prepared = prepared_of(loaded(tmp_path, SMALL + entry, alone, own))
    base = perturbed(prepared, None)
    s = float(log_sd(np.array(0.1)))
    for number in range(5):
        cells = perturbed(prepared, number)
        E, F_Y = (cells[q][0] / np.where(base[q][0] == 0, np.nan, base[q][0])
                  for q in (Quantity.E, Quantity.F_Y))  # fmt: skip
        of_region = np.nanmean(E.reshape(len(F_Y), -1), axis=1)
        eps = (np.log(of_region) + s * s / 2) / s
        expected = stats.gamma(1 / 0.16, scale=0.16).ppf(stats.norm.cdf(eps))
        assert expected == pytest.approx(F_Y, rel=1e-5, nan_ok=True)


def test_only_other_laws_change_the_identity() -> None:
    def entry(law: Law) -> dict[str, object]:
        return _entry(Errors(Quantity.E, {}, Constant(0.1), (E_NATIONAL,), "x", law), (2000,))

    assert set(entry(Law.LOGNORMAL)) == {"quantity", "only", "size", "components"}
    assert entry(Law.GAMMA)["law"] == {"name": "gamma", "tables": laws.fingerprint()}
    assert entry(Law.GAMMA) != entry(Law.TRUNCATED_NORMAL)


def test_a_run_names_its_laws_and_its_controls_are_off(tmp_path: Path) -> None:
    config = loaded(tmp_path, SMALL, GAMMA, ("draws = 448", "draws = 128"))
    told = "\n".join(workflow.check(config))
    assert "rsd 20 %, gamma" in told
    assert law_names(config.errors) == ("gamma", "lognormal")
    run = workflow.run(config, tmp_path / "run", cluster=SERIAL)
    assert any(row["size"] == "rsd 20 %, gamma" for row in run.record.assumptions["base"])
    with run.open() as ensemble:
        assert json.loads(ensemble.attrs["laws"]) == ["gamma", "lognormal"]
        found = analysis.of_ensemble(ensemble, DetectionRule())
    assert found is not None
    assert json.loads(found.attrs["controls"]) == ["linear"]
    assert (found["sd_gain"] == 1).all()
    assert float(found["mean_gain"].max()) > 2
    page = workflow.report(run).read_text()
    assert "not lognormal" in page
    assert "rsd 20 %, gamma" in page


def test_prepared_tables_of_every_law_survive_the_disk(tmp_path: Path) -> None:
    factors(tmp_path)
    config = loaded(tmp_path, with_file(), GAMMA)
    prepared = prepared_of(config)
    stored.save(prepared, tmp_path / "t", "digest")
    again = stored.load(tmp_path / "t", "digest")
    for number in (0, 70):
        for quantity, cells in perturbed(prepared, number).items():
            assert_same(cells, perturbed(again, number)[quantity])


def test_split_mode_refuses_other_laws_of_the_deliveries(tmp_path: Path) -> None:
    section = ("[cluster]", "[split]\nexact_draws = 64\n\n[cluster]")
    with pytest.raises(ConfigError, match="Z has another law"):
        loaded(tmp_path, SMALL, GAMMA, section)
    loaded(tmp_path, SMALL, ("rsd = 0.1", 'rsd = 0.1\nlaw = "gamma"'), section)  # E may have one
    config = loaded(tmp_path, SMALL, GAMMA)
    with pytest.raises(ConfigError, match="Z has another law"):
        split([prepared_of(config, year) for year in (2000, 2001)], keep=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("rsd = 0.1", 'rsd = 1.0\nlaw = "truncated normal"')], "only up to 0.99: a normal trunc"),
        ([("rsd = 0.1", 'rsd = 6.0\nlaw = "gamma"')], "only up to 5: beyond it"),
        ([("rsd = 0.1", 'rsd = 0.1\nlaw = "cauchy"')], "law"),
    ],
)
def test_sizes_a_law_cannot_have_are_refused(
    tmp_path: Path, changes: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        loaded(tmp_path, SMALL, *changes)


def test_too_many_sizes_of_a_tabulated_law_are_refused(tmp_path: Path) -> None:
    law = (
        'power_law = { a = 0.4, b = -0.3, floor = 0.001, ceiling = 0.9, currency = "EUR", '
        'per_table_unit = 1.0 }\nlaw = "gamma"'
    )
    many = ('world = "random"', 'world = "random"\nregions = 5\nsectors = 8')
    config = loaded(tmp_path, SMALL, ("rsd = 0.2", law), many)
    with pytest.raises(ConfigError, match="distinct sizes, more than 1024") as caught:
        prepared_of(config)
    assert "lognormal" in caught.value.remedy


# --- factors from files --------------------------------------------------------------------------

REALISATIONS = 128


def factors(folder: Path, years: tuple[int, ...] = (2000, 2001, 2002), seed: int = 1) -> F32:
    """Gamma factors of E of each year with a lasting part, saved; those of all years."""
    rng = np.random.default_rng(seed)
    config = loaded(folder, SMALL)
    shape = readers.read(config.tables, 2000).E.shape
    lasting = rng.gamma(50, 1 / 50, (REALISATIONS, *shape))
    found = []
    for year in years:
        f = (lasting * rng.gamma(100, 1 / 100, (REALISATIONS, *shape))).astype(np.float32)
        found.append(f / f.mean(axis=0))
        np.save(folder / f"E_{year}.npy", found[-1])
    return np.stack(found)


def read_E(folder: Path) -> F64:
    return np.asarray(readers.read(loaded(folder, SMALL).tables, 2000).E)


def with_file(more: str = "") -> str:
    start = SMALL.index("rsd = 0.1")
    end = SMALL.index("[[scenarios", start)
    entry = f'factors = {{ file = "E_{{year}}.npy"{more} }}\nsource = "made up"\n\n'
    return (SMALL[:start] + entry + SMALL[end:]).replace("draws = 448", "draws = 128")


def test_a_draw_has_the_realisation_of_its_number(tmp_path: Path) -> None:
    known = factors(tmp_path)
    config = loaded(tmp_path, with_file())
    size = config.errors.errors[0].size
    assert isinstance(size, Empirical)
    assert size.realisations == REALISATIONS == most_draws(config.errors)
    for t, year in enumerate((2000, 2001)):
        prepared = prepared_of(config, year)
        E = perturbed(prepared, None)[Quantity.E]
        for number in (0, 63, 64, 127):
            found = perturbed(prepared, number)[Quantity.E]
            assert found == pytest.approx(E * known[t, number], rel=1e-6)
        for group in (0, 1):
            assert_close_group(prepared, group)


def assert_close_group(prepared: Prepared, group: int) -> None:
    drawn_group = draw_group(prepared, group)
    for lane in (0, 63):
        one = draw_directly(prepared, LANES * group + lane)
        assert drawn_group.footprint[lane] == pytest.approx(one.footprint, rel=2e-6, abs=1e-12)


def test_the_first_order_of_files_is_the_covariance_of_their_realisations(tmp_path: Path) -> None:
    factors(tmp_path)
    text = with_file()
    text = text[: text.index('[[scenarios.base.errors]]\nquantity = "Z"')]
    config = loaded(tmp_path, text)
    tables = [prepared_of(config, year) for year in (2000, 2001, 2002)]
    linear = np.stack([draw_prepared(table, range(REALISATIONS)).linear for table in tables])
    moved = linear - linear.mean(axis=1, keepdims=True)
    expected = np.einsum("tdqcp,sdqcp->tsqcp", moved, moved) / REALISATIONS
    found = twin(tables).covariance
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-9 * np.abs(expected).max())
    total = found[..., 0, 0, 0]
    assert 0.3 < total[0, 1] / math.sqrt(total[0, 0] * total[1, 1]) < 0.95


def test_a_run_with_files_is_resumed_and_never_extended_beyond_them(tmp_path: Path) -> None:
    factors(tmp_path)
    config = loaded(tmp_path, with_file())
    assert "their realisation d" in "\n".join(workflow.check(config))
    plain = workflow.plan(loaded(tmp_path, SMALL)).needs
    assert workflow.plan(config).needs.prepared > plain.prepared + 4 * REALISATIONS * 3 * 12
    run = workflow.run(config, tmp_path / "run", draws=64, cluster=SERIAL)
    run = workflow.run(config, tmp_path / "run", cluster=SERIAL)
    with run.open() as ensemble:
        assert ensemble.sizes["draw"] == 128
        assert "empirical" in json.loads(ensemble.attrs["laws"])
        found = analysis.of_ensemble(ensemble, DetectionRule())
    assert found is not None
    assert json.loads(found.attrs["controls"]) == []
    with pytest.raises(ConfigError, match="192 draws are asked for, but an error has 128"):
        workflow.run(config, tmp_path / "run", draws=192, cluster=SERIAL)
    assert studies.schedule(config, tmp_path / "other", first=64) == (64, 128)
    with pytest.raises(ConfigError, match="1024 draws are asked"):
        studies.schedule(config, tmp_path / "other", first=64, most=1024)
    with pytest.raises(ConfigError, match="192 draws are asked"):
        loaded(tmp_path, with_file(), ("draws = 128", "draws = 192"))


def test_files_change_the_identity(tmp_path: Path) -> None:
    factors(tmp_path)

    def described(text: str) -> dict[str, Any]:
        return _entry(loaded(tmp_path, text).errors.errors[0], (2000, 2001, 2002))

    one = described(with_file())
    rescaled = described(with_file(more=", rescale = true"))
    factors(tmp_path, seed=2)
    other = described(with_file())
    assert one != other
    assert one != rescaled


def test_factors_off_one_are_refused_or_rescaled(tmp_path: Path) -> None:
    known = factors(tmp_path)
    for t, year in enumerate((2000, 2001, 2002)):
        np.save(tmp_path / f"E_{year}.npy", known[t] * np.float32(1.2))
    with pytest.raises(ConfigError, match=r"not 1 on average .* mean is 1\.2") as caught:
        prepared_of(loaded(tmp_path, with_file()))
    assert "rescale = true" in caught.value.remedy
    prepared = prepared_of(loaded(tmp_path, with_file(more=", rescale = true")))
    E = perturbed(prepared, None)[Quantity.E]
    assert perturbed(prepared, 5)[Quantity.E] == pytest.approx(E * known[0, 5], rel=1e-6)


def test_factors_that_shift_a_sum_are_refused_though_no_single_cell_shows_it(
    tmp_path: Path,
) -> None:
    """64 realisations of rsd .3: a cell's mean has a standard error of .0375, and 8 % are two of
    them; the sum of a row's dozen cells has one three times smaller."""
    rng = np.random.default_rng(3)
    shape = readers.read(loaded(tmp_path, SMALL).tables, 2000).E.shape
    sigma = np.sqrt(np.log1p(0.3**2))
    fair = rng.lognormal(-(sigma**2) / 2, sigma, (64, *shape))
    error = fair.std(axis=0, ddof=1) / 8
    assert (np.abs(1.12 * fair.mean(axis=0) - 1) < 6 * 1.12 * error).all()
    text = with_file().replace("draws = 128", "draws = 64")
    for year in (2000, 2001, 2002):
        np.save(tmp_path / f"E_{year}.npy", fair)
    told = "\n".join(workflow.check(loaded(tmp_path, text)))
    assert "means kept from the files in 2000: they shift the sum of sizes by" in told
    for year in (2000, 2001, 2002):
        np.save(tmp_path / f"E_{year}.npy", 1.12 * fair)
    with pytest.raises(ConfigError, match="shift the sums of 2 rows or more") as caught:
        prepared_of(loaded(tmp_path, text))
    assert "rescale = true" in caught.value.remedy


@pytest.mark.parametrize("pieces", [1, 2**22])
def test_factors_are_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    """Cell by cell or all at once, the factors and the sums of rows are the same."""
    known = factors(tmp_path)
    monkeypatch.setattr("engine.prepare.factors._PIECE", pieces)
    E = read_E(tmp_path)
    assert perturbed(prepared_of(loaded(tmp_path, with_file())), 5)[Quantity.E] == pytest.approx(
        E * known[0, 5], rel=1e-6
    )
    i, j = np.nonzero(E)
    sums = _RowSums.of(np.abs(E[i, j]), i.astype(np.int32), REALISATIONS)
    for first in range(0, len(i), 5):
        sums.add(known[0][:, i[first : first + 5], j[first : first + 5]].astype(float),
                 slice(first, first + 5))  # fmt: skip
    expected = (known[0].astype(float) * np.abs(E)).sum(axis=2) / np.abs(E).sum(axis=1)
    np.testing.assert_allclose(sums.sums, expected, rtol=1e-12)


def test_a_row_of_one_cell_is_that_cells_own_affair() -> None:
    i = np.array([0, 0, 1, 3, 3], dtype=np.int32)
    sums = _RowSums.of(np.array([1.0, 3.0, 5.0, 1.0, 1.0]), i, 2)
    sums.add(np.array([[1.0, 2.0, 9.0, 1.0, 3.0], [2.0, 2.0, 9.0, 0.0, 1.0]]), slice(0, 5))
    assert list(sums.rows) == [0, 3]
    np.testing.assert_allclose(sums.sums, [[1.75, 2.0], [2.0, 0.5]], rtol=1e-15)


@pytest.mark.parametrize("kind", ["npz", "damaged", "empty", "pickled"])
@pytest.mark.parametrize("key", ["factors", "file"])
def test_files_that_are_no_plain_array_are_refused(tmp_path: Path, kind: str, key: str) -> None:
    path = tmp_path / "E.npy"
    with path.open("wb") as stream:
        match kind:
            case "npz":
                np.savez(stream, a=np.ones(3))
            case "damaged":
                stream.write(b"\x93NUMPY\x01\x00v\x00" + b"{garbage".ljust(118))
            case "pickled":
                np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
    own = 'components = [{ name = "own", weight = 1.0, group = "cell", time = "yearly" }]'
    said = 'factors = { file = "E.npy" }' if key == "factors" else f'file = "E.npy"\n{own}'
    with pytest.raises(ConfigError, match="cannot be read as an array") as caught:
        prepared_of(loaded(tmp_path, with_file(), ('factors = { file = "E_{year}.npy" }', said)))
    assert "E.npy" in caught.value.where


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: -f, "negative or not finite"),
        (lambda f: f * np.float32(np.nan), "negative or not finite"),
        (lambda f: f[:, :, 1:], "not floats of"),
        (lambda f: (100 * f).astype(np.int64), "not floats of"),
        (lambda f: f[0], "not .realisations, rows, columns."),
    ],
)
def test_files_that_hold_no_factors_are_refused(
    tmp_path: Path, change: object, message: str
) -> None:
    known = factors(tmp_path)
    for t, year in enumerate((2000, 2001, 2002)):
        np.save(tmp_path / f"E_{year}.npy", change(known[t]))  # type: ignore[operator]
    with pytest.raises(ConfigError, match=message):
        prepared_of(loaded(tmp_path, with_file()))


def test_what_a_file_leaves_no_room_for_is_refused(tmp_path: Path) -> None:
    factors(tmp_path)
    text = with_file()
    with pytest.raises(ConfigError, match="own law"):
        loaded(tmp_path, text, ('source = "made up"', 'law = "gamma"\nsource = "made up"'))
    own = 'components = [{ name = "own", weight = 1.0, group = "cell", time = "yearly" }]'
    with pytest.raises(ConfigError, match="no component can add any"):
        loaded(tmp_path, text, ('source = "made up"', f'source = "made up"\n{own}'))
    with pytest.raises(FootfallError, match="cannot be read"):
        loaded(tmp_path, text, ("E_{year}.npy", "F_{year}.npy"))
    entry = Errors(Quantity.E, {}, Empirical(tmp_path / "E_{year}.npy", (), 9, False), (), "x")
    assert most_draws(entry_model(entry)) == 9


def entry_model(entry: Errors) -> ErrorModel:
    return ErrorModel("base", Method.ACCOUNTS, (entry,))


def test_cells_of_a_file_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factors(tmp_path)
    monkeypatch.setattr("engine.prepare.factors.MOST_NUMBERS", 100)
    with pytest.raises(ConfigError, match="of 128 realisations are more than the 100 factors"):
        prepared_of(loaded(tmp_path, with_file()))
    monkeypatch.setattr("engine.prepare.factors.MOST_CELLS", 3)
    with pytest.raises(ConfigError, match="more than the 3 whose factors"):
        prepared_of(loaded(tmp_path, with_file()))


def test_a_file_of_factors_is_never_in_memory_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside what is kept, float32, some pieces of it and a few numbers a cell."""
    monkeypatch.setattr("engine.prepare.factors._PIECE", 2**17)
    rng = np.random.default_rng(0)
    found = rng.random((64, 1, 2**17), dtype=np.float32)
    found /= found.mean(axis=0)
    path = tmp_path / "big.npy"
    np.save(path, found)
    kept = found.nbytes
    del found
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = Errors(Quantity.E, {}, Empirical(path, ((2000, digest),), 64, True), (), "x")
    j = np.arange(2**17, dtype=np.int32)
    labels: list[tuple[str, ...]] = []
    tracemalloc.start()
    factors_of(entry, np.ones((1, 2**17)), np.zeros_like(j), j, (labels, labels), 2000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert kept < peak < 1.5 * kept


def test_yearly_components_mean_the_same_for_every_law() -> None:
    assert Errors(
        Quantity.E, {}, Constant(0.1), (Component("own", 1.0, ("cell",), Yearly()),), "x", Law.GAMMA
    ).canonical_components()
