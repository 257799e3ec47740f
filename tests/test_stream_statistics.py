"""The law of the streams at scale, and one hash of their bits wherever they are computed.

More than 400 million normals of fixed streams. Tolerances are in standard errors: a score is
standard normal, and a p-value uniform, when all is well. Were the streams drawn afresh, this module
would fail on a perfect generator once in 80,000 times; each test states its share. Hashes of labels
are words in sequence unless a test says otherwise: neighbouring counters are the harder case.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import digests
import llvmlite.binding as llvm
import numpy as np
import pytest
import scipy.fft
import scipy.stats
from numpy.typing import NDArray
from scipy.special import ndtr
from threadpoolctl import threadpool_limits

from engine.draws import draw
from engine.error_model import Quantity
from engine.kernels import streams
from engine.kernels.elementary import log_sd
from engine.kernels.perturb import LOG2E, Term, pack, perturb

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]

KEY = streams.stream_key(31, "Z", "own")
SIDE = np.arange(512, dtype=np.uint32)
QUARTERS = 4


def in_sequence(count: int) -> U32:
    return np.arange(count, dtype=np.uint32)


def hermite(z: F32, order: int) -> list[F32]:
    """The first orthonormal polynomials of a standard normal, from z itself on."""
    square = z * z
    polynomials = [
        z,
        (square - 1) * np.float32(2**-0.5),
        (square - 3) * z * np.float32(6**-0.5),
        ((square - 6) * square + 3) * np.float32(24**-0.5),
    ]
    return polynomials[:order]


def assert_standard(scores: F64, limit: float) -> None:
    """Every score lies within the limit."""
    worst = int(np.abs(scores).argmax())
    assert abs(scores.flat[worst]) < limit, f"score {worst} of {scores.size}: {scores.flat[worst]}"


def assert_plausible(p: float) -> None:
    """A p-value neither too small nor suspiciously near one; fails at a rate of 2e-7."""
    assert 1e-7 < p < 1 - 1e-7, p


def assert_uncorrelated(scores: F64, limit: float) -> None:
    """No score stands out, and all together are as large as chance makes them."""
    assert_standard(scores, limit)
    assert_plausible(float(scipy.stats.chi2.sf((scores**2).sum(), scores.size)))


# --- one long stream: 100 million normals --------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What is kept of a long stream.

    Attributes:
        calls: Philox calls, each of which gives one normal to each quarter of a group.
        products: mean products of 1 and four Hermite polynomials of each quarter, (17, 17).
        counts: normals by quarter and by the upper 16 bits of their float, (4, 65536).
        tails: the normals beyond 3.
    """

    calls: int
    products: F64
    counts: I64
    tails: F32


@pytest.fixture(scope="module")
def tally() -> Tally:
    """Six groups of 64 draws of 512 x 512 cells, call by call."""
    products, counts, tails = np.zeros((17, 17)), np.zeros((QUARTERS, 2**16), dtype=np.int64), []
    firsts = [64 * group + lane for group in range(6) for lane in range(16)]
    for first in firsts:
        tables = [
            streams.normals(KEY, SIDE, SIDE, first + 16 * q, 2015).ravel() for q in range(QUARTERS)
        ]
        polynomials = [p for z in tables for p in hermite(z, 4)]
        stacked = np.stack([np.ones_like(tables[0]), *polynomials])
        products += stacked @ stacked.T
        for q, z in enumerate(tables):
            counts[q] += np.bincount(z.view(np.uint32) >> 16, minlength=2**16)
            tails.append(z[np.abs(z) > 3])
    calls = len(firsts) * SIDE.size**2
    return Tally(calls, products / calls, counts, np.concatenate(tails))


def test_moments_up_to_the_fourth(tally: Tally) -> None:
    """Mean, variance, third and fourth moment of each quarter and of all: the mean of the
    orthonormal polynomials is zero, their variance one.

    20 scores of at most 5.5 standard errors: fails at a rate of 8e-7.
    """
    assert tally.calls * QUARTERS > 10**8
    quarters = tally.products[0, 1:].reshape(QUARTERS, 4)
    assert_standard(quarters * np.sqrt(tally.calls), 5.5)
    assert_standard(quarters.mean(axis=0) * np.sqrt(QUARTERS * tally.calls), 5.5)


def test_the_four_normals_of_one_call_are_uncorrelated_to_third_order(tally: Tally) -> None:
    """Cosine and sine of one pair of words, and across the pairs: 25 million calls.

    54 scores of at most 6 standard errors and the sum of their squares: rate 3e-7.
    """
    between = tally.products[1:, 1:].reshape(QUARTERS, 4, QUARTERS, 4)[:, :3, :, :3]
    pairs = np.triu_indices(QUARTERS, 1)
    scores = between.transpose(0, 2, 1, 3)[pairs].ravel() * np.sqrt(tally.calls)
    assert scores.size == 54
    assert_uncorrelated(scores, 6)


def cells_of_the_line() -> tuple[I64, F64]:
    """Upper halves of finite floats in ascending order, and the ends of their cells, (n + 1,)."""
    halves = np.arange(0x7F80)
    ends = (np.arange(0x7F81, dtype=np.uint32) << 16).view(np.float32).astype(np.float64)
    order = np.concatenate([halves[::-1] + 0x8000, halves])
    return order, np.concatenate([-ends[:0:-1], ends])


def test_the_law_is_normal_by_quarter(tally: Tally) -> None:
    """Kolmogorov-Smirnov and chi-square over cells a 128th of a binade wide; rate 2e-6.

    Where the floats of an angle or a radius are too coarse, cells far narrower than any
    histogram's show it.
    """
    order, ends = cells_of_the_line()
    probability = np.where(
        ends[1:] <= 0,
        ndtr(ends[1:]) - ndtr(ends[:-1]),
        ndtr(-ends[:-1]) - ndtr(-ends[1:]),
    )
    for counts in tally.counts[:, order]:
        assert counts.sum() == tally.calls, "a normal is not finite"
        away = np.abs(counts.cumsum() / tally.calls - ndtr(ends[1:])).max()
        assert_plausible(float(scipy.stats.kstwobign.sf(away * np.sqrt(tally.calls))))
        expected = probability * tally.calls
        often = expected > 50
        assert often.sum() > 3000
        observed = np.append(counts[often], counts[~often].sum())
        merged = np.append(expected[often], expected[~often].sum())
        assert_plausible(float(scipy.stats.chisquare(observed, merged).pvalue))


def test_tails_are_counted_right(tally: Tally) -> None:
    """Counts beyond 3, 4, 5, 5.5 and 6 on each side, 29 expected beyond 5; rate 1e-6."""
    for beyond in (3.0, 4.0, 5.0, 5.5, 6.0):
        chance = scipy.stats.norm.sf(beyond)
        for count in ((tally.tails > beyond).sum(), (tally.tails < -beyond).sum()):
            test = scipy.stats.binomtest(int(count), QUARTERS * tally.calls, chance)
            assert test.pvalue > 1e-7, (beyond, int(count))


@pytest.mark.parametrize("beyond", [3.0, 4.0])
def test_the_tails_have_the_shape_of_the_normals(tally: Tally, beyond: float) -> None:
    """Kolmogorov-Smirnov of what lies beyond, given that it does; rate 4e-7 each.

    270,000 and 6,400 normals.
    """
    for side in (1, -1):
        tail = side * tally.tails[side * tally.tails > beyond].astype(np.float64)
        p = scipy.stats.norm.sf(tail) / scipy.stats.norm.sf(beyond)
        assert_plausible(scipy.stats.kstest(p, "uniform").pvalue)


# --- serial correlation --------------------------------------------------------------------------


def serial_scores(series: F32) -> F64:
    """Scores of the circular correlations of series, (many, length), at lags 1 to length/2 - 1.

    All lags at once, by the power spectrum (Wiener-Khinchin); a lag's products have variance one
    each.
    """
    length = series.shape[1]
    power = np.zeros(length // 2 + 1)
    for some in np.array_split(series, 16):
        spectrum = scipy.fft.rfft(some, axis=1)
        power += (spectrum.real**2 + spectrum.imag**2).sum(axis=0, dtype=np.float64)
    scores: F64 = scipy.fft.irfft(power, length)[1 : length // 2] / np.sqrt(series.size)
    return scores


def assert_serially_uncorrelated(series: F32) -> None:
    """Of z and of z^2 - 1; 2 x 2047 scores within 6.5 and two sums of squares: rate 7e-7."""
    for polynomial in hermite(series, 2):
        assert_uncorrelated(serial_scores(polynomial), 6.5)


def test_rows_and_columns_are_serially_uncorrelated() -> None:
    """Neighbouring label hashes, up to 2047 apart: 17 million normals; rate 1.4e-6."""
    side = in_sequence(4096)
    table = streams.normals(KEY, side, side, 77, 2015)
    assert_serially_uncorrelated(table)
    assert_serially_uncorrelated(np.ascontiguousarray(table.T))


def test_draws_are_serially_uncorrelated() -> None:
    """4096 draws in sequence of 4096 cells, up to 2047 draws apart; rate 7e-7."""
    side = in_sequence(64)
    draws = [streams.normals(KEY, side, side, draw, 2015).ravel() for draw in range(4096)]
    assert_serially_uncorrelated(np.stack(draws, axis=1))


def test_years_are_serially_uncorrelated() -> None:
    """256 time nodes in sequence, 17 million normals; rate 4e-7."""
    nodes = [streams.normals(KEY, SIDE[:256], SIDE[:256], 5, node).ravel() for node in range(256)]
    assert_serially_uncorrelated(np.stack(nodes, axis=1))


# --- streams of different purpose ----------------------------------------------------------------

Field = Callable[[int], F32]  # draw -> the normals of one stream


def pair_scores(fields: Sequence[Field], draws: Sequence[int]) -> F64:
    """Scores of the correlations of all pairs of streams, of z and of z^2 - 1, (2, pairs)."""
    products, size = np.zeros((2, len(fields), len(fields))), 0
    for number in draws:
        z = np.stack([field(number).ravel() for field in fields])
        products += [p @ p.T for p in hermite(z, 2)]
        size += z.shape[1]
    above = np.triu_indices(len(fields), 1)
    scores: F64 = products[:, *above] / np.sqrt(size)
    return scores


def stream_of(seed: int, quantity: str, component: str) -> Field:
    key = streams.stream_key(seed, quantity, component)
    return lambda number: streams.normals(key, SIDE[:256], SIDE[:256], number, 2015)


def test_keys_of_different_purpose_are_uncorrelated() -> None:
    """All pairs of 64 streams that differ in seed, quantity or component alone, one million each.

    4032 scores within 6.5 and two sums of squares: rate 7e-7.
    """
    seeds = [*range(32), -1, 2**31, 2**31 + 1, 2**32, 2**32 + 1, 2026]
    quantities = [str(quantity) for quantity in Quantity]
    components = ["", " ", "a", "b", "own ", "Own", "own1", "own2", "wn", "owno", "ΟΧ"]
    purposes = [(seed, "Z", "own") for seed in seeds]
    purposes += [(0, quantity, "own") for quantity in quantities if quantity != "Z"]
    purposes += [(0, "Z", component) for component in components]
    purposes += [(0, "", "Zown"), (0, "Zo", "wn"), (0, "Zow", "n"), (0, "Zown", "")]
    purposes += [(seed, "E", "lasting") for seed in range(5)]
    assert len(set(purposes)) == len(purposes) == 64
    fields = [stream_of(*purpose) for purpose in purposes]
    for scores in pair_scores(fields, range(0, 1024, 64)):
        assert_uncorrelated(scores, 6.5)


def test_years_and_periods_are_uncorrelated() -> None:
    """All pairs of 64 time nodes of one component, half a million each; rate 7e-7."""
    nodes = [0, *range(1995, 2031), *range(2**31 + 1995, 2**31 + 2022)]
    assert len(nodes) == 64

    def at(node: int) -> Field:
        return lambda number: streams.normals(KEY, SIDE[:256], SIDE[:256], number, node)

    for scores in pair_scores([at(node) for node in nodes], range(3, 515, 64)):
        assert_uncorrelated(scores, 6.5)


def one_bit_away(rows: U32, columns: U32) -> dict[str, F32]:
    """The normals of addresses that differ from a base in one bit of key, label, draw or node."""
    number, node = 1000, 2015
    one = np.uint32(1)
    found = {"base": streams.normals(KEY, rows, columns, number, node)}
    for bit in range(32):
        flip = one << np.uint32(bit)
        for word in (0, 1):
            key = KEY.copy()
            key[word] ^= flip
            found[f"key {word}, bit {bit}"] = streams.normals(key, rows, columns, number, node)
        found[f"row, bit {bit}"] = streams.normals(KEY, rows ^ flip, columns, number, node)
        found[f"column, bit {bit}"] = streams.normals(KEY, rows, columns ^ flip, number, node)
        found[f"draw, bit {bit}"] = streams.normals(KEY, rows, columns, number ^ int(flip), node)
        found[f"node, bit {bit}"] = streams.normals(KEY, rows, columns, number, node ^ int(flip))
    return found


def test_one_bit_makes_another_stream() -> None:
    """192 neighbours of one field of 260,000 normals, independent of it to third order.

    1728 scores within 6.5 and the sum of their squares: rate 4e-7.
    """
    # Far apart, so that a flipped bit never leads to another cell of the base.
    rows, columns = np.random.default_rng(61).integers(0, 2**32, (2, 512), dtype=np.uint32)
    found = {name: z.ravel() for name, z in one_bit_away(rows, columns).items()}
    base = np.stack(hermite(found.pop("base"), 3))
    assert len(found) == 192
    scores = [(base @ np.stack(hermite(z, 3)).T).ravel() / np.sqrt(z.size) for z in found.values()]
    assert_uncorrelated(np.concatenate(scores).astype(np.float64), 6.5)


# --- lognormal factors ---------------------------------------------------------------------------


def factors(rsd: float, draws: int) -> F64:
    """Factors of 256 x 256 cells whose error is one lasting and one yearly part."""
    side = 256
    i, j = (axis.ravel().astype(np.int32) for axis in np.indices((side, side)))
    terms = tuple(
        Term(weight, streams.stream_key(5, "E", name), node, None)
        for weight, name, node in ((0.6, "lasting", 0), (0.8, "yearly", 2015))
    )
    log2_sd = np.full(i.size, log_sd(np.array([rsd]))[0] * LOG2E, dtype=np.float32)
    ones = np.ones((side, side))
    cells = pack(ones, i, j, log2_sd, (SIDE[:side], SIDE[:side]), terms, by_row=True)
    return np.stack([perturb((cells,), number) for number in range(draws)]).ravel()


@pytest.mark.parametrize("rsd", [0.05, 0.5, 2.0])
def test_factors_have_mean_one_and_the_stated_rsd(rsd: float) -> None:
    """16.8 million factors q. Three scores within 5.5 and a p-value: rate 3e-7 each.

    The sample variance of a lognormal with rsd 2 has no normal law at any affordable size (its
    sixth moment is 3e10), so the second moment is that of the factors of errors below four sigma:
    E[q^k 1{eps < c}] = exp(k (k - 1) sigma^2 / 2) Phi(c - k sigma).
    """
    q, c = factors(rsd, 256), 4.0
    sigma = np.sqrt(np.log1p(rsd**2))
    assert (q.mean() - 1) / (rsd / np.sqrt(q.size)) == pytest.approx(0, abs=5.5)
    below = np.where(np.log(q) < sigma * c - sigma**2 / 2, q, 0.0)
    for k in (1, 2):
        moment, square = (
            np.exp(m * (m - 1) * sigma**2 / 2) * ndtr(c - m * sigma) for m in (k, 2 * k)
        )
        error = np.sqrt((square - moment**2) / q.size)
        assert ((below**k).mean() - moment) / error == pytest.approx(0, abs=5.5)
    standardised = (np.log(q[::8]) + sigma**2 / 2) / sigma
    assert_plausible(scipy.stats.kstest(ndtr(standardised), "uniform").pvalue)


@pytest.mark.parametrize("rsd", [0.05, 0.5])
def test_the_sample_rsd_is_the_stated_one(rsd: float) -> None:
    """Where its own law is normal: within 5 standard errors; rate 6e-7 each.

    The excess kurtosis of a lognormal is w^4 + 2 w^3 + 3 w^2 - 6, w = 1 + rsd^2.
    """
    q, w = factors(rsd, 128), 1 + rsd**2
    excess = w**4 + 2 * w**3 + 3 * w**2 - 6
    error = rsd**2 * np.sqrt((excess + 2) / q.size)
    assert ((q - 1) ** 2).mean() == pytest.approx(rsd**2, abs=5 * error)


# --- one hash ------------------------------------------------------------------------------------


def vector_widths() -> dict[str, tuple[str, str]]:
    """CPU name and features for numba: no fma and 128 bits, 256 bits, 512 bits where there are.

    Names and features are the host's own, so that every variant can run here.
    """
    host, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features()
    narrow = ",".join(
        f"{'-' if 'avx512' in name or not has else '+'}{name}" for name, has in features.items()
    )
    return {
        "plain": ("generic", ""),
        "narrow": (host, narrow),
        "wide": (host, f"{features.flatten()},-prefer-256-bit"),
    }


def test_one_hash_over_vector_widths(tmp_path: Path) -> None:
    """Compiled afresh for other processors in other processes: the same draws, bit by bit.

    Without fma in hardware the library's exact one is called. Footprints are in the hash too:
    the BLAS of one machine is the same in all of them.
    """
    running = {
        name: subprocess.Popen(
            [sys.executable, digests.__file__],
            env=os.environ
            | {
                "NUMBA_CPU_NAME": cpu,
                "NUMBA_CPU_FEATURES": features,
                "NUMBA_CACHE_DIR": str(tmp_path / name),
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, (cpu, features) in vector_widths().items()
    }
    here = digests.spoken()
    for name, process in running.items():
        said, complaints = process.communicate(timeout=240)
        assert process.returncode == 0, f"{name}: {complaints}"
        assert said == here, name
    assert len(here.splitlines()) == len(digests.KERNELS)


@pytest.mark.parametrize("block", [20, 64, 192])
def test_one_hash_over_blocks_of_draws(block: int) -> None:
    """Draws 32 to 223 in pieces, the first and last not whole groups."""
    pieces = [range(first, min(first + block, 224)) for first in range(32, 224, block)]
    drawn = [digests.footprints(piece) for piece in pieces]
    assert digests.hashed(np.concatenate(drawn)) == digests.hashed(digests.footprints(DRAWS))


DRAWS = range(32, 224)


@pytest.mark.parametrize("threads", [2, 4])
def test_one_hash_over_threads_in_any_order(threads: int) -> None:
    pieces = [DRAWS[first : first + 24] for first in range(0, len(DRAWS), 24)]
    order = np.random.default_rng(62).permutation(len(pieces))
    # `draw` sets and restores BLAS's threads, which are the process's; here they stay one.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        drawn = list(pool.map(digests.footprints, [pieces[i] for i in order]))
    in_order = [drawn[i] for i in np.argsort(order)]
    assert digests.hashed(np.concatenate(in_order)) == digests.hashed(digests.footprints(DRAWS))


def test_the_hash_sees_a_single_bit() -> None:
    found = digests.footprints(DRAWS[:2])
    moved = found.copy()
    moved.flat[0] = np.nextafter(moved.flat[0], np.inf)
    assert digests.hashed(moved) != digests.hashed(found)
    other = draw(digests.TABLE, digests.ERRORS, digests.SEED + 1, DRAWS[:2]).footprint
    assert digests.hashed(other) != digests.hashed(found)
