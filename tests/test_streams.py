"""The random streams: held to a slow twin bit by bit, and to their law at scale.

Statistical tests use fixed streams and tolerances in standard errors; each states the rate at
which it would fail on a perfect generator if the streams were drawn afresh.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray
from oracles import streams_twin as twin
from scipy.special import ndtr

from engine.kernels import machine, streams

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U32 = NDArray[np.uint32]

EDGE_WORDS = np.array(
    [
        *(0, 1, 2, 3, 127, 128, 129, 2**23, 2**24 - 1, 2**24, 2**24 + 1, 2**25 + 1),
        *(2**30 - 1, 2**30, 2**30 + 1, 2**31 - 129, 2**31 - 64, 2**31 - 1, 2**31, 2**31 + 1),
        *(2**31 + 2**30 - 1, 2**31 + 2**30, 2**31 + 2**30 + 1, 2**32 - 2**24 - 1),
        *(2**32 - 385, 2**32 - 129, 2**32 - 128, 2**32 - 127, 2**32 - 2, 2**32 - 1),
    ],
    dtype=np.uint32,
)
DRAWS = (0, 15, 16, 31, 32, 47, 48, 63, 64, 79, 80, 127, 128, 1000, 6399, 2**20 + 17, 2**34 - 1)
NODES = (0, 1, 1995, 2024, 2**31 + 1995, 2**31 + 2020, 2**32 - 1)
ROWS = np.arange(512, dtype=np.uint32)  # counters in sequence are harder on Philox than hashes
COLUMNS = np.arange(512, dtype=np.uint32)


# --- the inlined kernels, over arrays -----------------------------------------------------------


@numba.njit(error_model="numpy")
def _philox(c: Any, k: Any, out: Any) -> None:
    for i in range(len(c)):
        words = streams.philox(c[i, 0], c[i, 1], c[i, 2], c[i, 3], k[i, 0], k[i, 1])
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = words


@numba.njit(error_model="numpy")
def _fma(a: Any, b: Any, c: Any, out: Any) -> None:
    for i in range(a.size):
        out[i] = machine.fma(a[i], b[i], c[i])


@numba.njit(error_model="numpy")
def _box_muller(a: Any, b: Any, cosine: Any, sine: Any) -> None:
    for i in range(a.size):
        cosine[i], sine[i] = streams.box_muller(a[i], b[i])


@numba.njit(error_model="numpy")
def _log(u: Any, out: Any) -> None:
    for i in range(u.size):
        out[i] = streams.log(u[i])


@numba.njit(error_model="numpy")
def _sin2pi(t: Any, out: Any) -> None:
    for i in range(t.size):
        out[i] = streams.sin2pi(t[i])


@numba.njit(error_model="numpy")
def _exp2(y: Any, out: Any) -> None:
    for i in range(y.size):
        out[i] = streams.exp2(y[i])


def compiled(kernel: Any, x: F32) -> F32:
    out = np.empty_like(x)
    kernel(x, out)
    return out


def compiled_box_muller(a: U32, b: U32) -> tuple[F32, F32]:
    cosine, sine = np.empty((2, a.size), dtype=np.float32)
    _box_muller(a, b, cosine, sine)
    return cosine, sine


def single(*values: float) -> F32:
    return np.array(values, dtype=np.float32)


def random_words(seed: int, *shape: int) -> U32:
    return np.random.default_rng(seed).integers(0, 2**32, size=shape, dtype=np.uint32)


def assert_same_bits(one: F32, other: F32) -> None:
    assert one.dtype == other.dtype == np.float32
    np.testing.assert_array_equal(one.view(np.uint32), other.view(np.uint32))


# --- Philox -------------------------------------------------------------------------------------

# Random123 1.14, tests/kat_vectors, philox4x32 with 10 rounds: counter, key, words.
KNOWN_ANSWERS = [
    (
        (0x00000000, 0x00000000, 0x00000000, 0x00000000),
        (0x00000000, 0x00000000),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(
    counter: tuple[int, ...], key: tuple[int, int], words: tuple[int, ...]
) -> None:
    out = np.empty((1, 4), dtype=np.uint32)
    _philox(np.array([counter], dtype=np.uint32), np.array([key], dtype=np.uint32), out)
    assert tuple(out[0]) == words
    assert tuple(int(word) for word in twin.philox(counter, key)) == words


def test_philox_equals_its_twin() -> None:
    keys = np.vstack([random_words(1, 50, 2), [[0, 2**32 - 1], [2**32 - 1, 0]]]).astype(np.uint32)
    edges = np.array(list(product((0, 1, 2**31, 2**32 - 1), repeat=4)), dtype=np.uint32)
    counters = np.vstack([random_words(2, 5000, 4), edges])
    for key in keys:
        out = np.empty_like(counters)
        _philox(counters, np.broadcast_to(key, (len(counters), 2)), out)
        expected = np.stack(twin.philox(counters.T, (int(key[0]), int(key[1]))), axis=1)
        np.testing.assert_array_equal(out, expected)


# --- one rounding -------------------------------------------------------------------------------


def rounded_once(exact: Fraction) -> np.float32:
    """The binary32 number nearest to a rational, ties to even, by comparing three candidates."""
    middle = np.float32(float(exact))
    beside = (np.nextafter(middle, np.float32(side)) for side in (-np.inf, np.inf))
    candidates = (middle, *beside)
    return min(
        candidates,
        key=lambda c: (abs(Fraction(float(c)) - exact), int(c.view(np.uint32)) & 1),
    )


def near_ties(count: int) -> tuple[F32, F32, F32]:
    """a, b, c whose a b + c misses a tie between two binary32 numbers by less than 2^-55."""
    rng = np.random.default_rng(3)
    k = rng.integers(1, 128, count)
    a = (1 + k * 2.0**-23) * rng.choice((-1.0, 1.0), count)
    b = (1 - k * 2.0**-23) * 2.0**-24
    c = (1 + rng.integers(0, 2**22, count) * 2.0**-23) * rng.choice((-1.0, 1.0), count)
    return a.astype(np.float32), b.astype(np.float32), c.astype(np.float32)


def test_fma_rounds_once_in_both() -> None:
    rng = np.random.default_rng(4)
    spread = (rng.normal(size=(3, 3000)) * 2.0 ** rng.integers(-20, 20, (3, 3000))).astype("f4")
    a, b, c = np.concatenate([spread, np.stack(near_ties(1000))], axis=1)
    exact = [
        rounded_once(Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)))
        for x, y, z in zip(a, b, c, strict=True)
    ]
    machine_fma = np.empty_like(a)
    _fma(a, b, c, machine_fma)
    assert_same_bits(machine_fma, np.array(exact))
    assert_same_bits(twin.fma(a, b, c), np.array(exact))
    twice = (a.astype(np.float64) * b + c).astype(np.float32)
    assert (twice != machine_fma).sum() > 100, "the cases no longer tell one rounding from two"


# --- keys and labels ----------------------------------------------------------------------------


def test_a_key_is_the_hash_of_its_length_prefixed_fields() -> None:
    message = b"\1" + bytes(7) + b"1" + b"\1" + bytes(7) + b"Z" + b"\2" + bytes(7) + b"ab"
    digest = hashlib.blake2b(message, digest_size=8).digest()
    key = streams.stream_key(1, "Z", "ab")
    assert key.dtype == np.uint32
    assert key.astype("<u4").tobytes() == digest
    for fields in [(0, "", ""), (-7, "F_Y", "survey"), (2**70, "émissions", "日本\0x")]:
        assert tuple(streams.stream_key(*fields)) == twin.stream_key(*fields)


def test_fields_never_run_into_each_other() -> None:
    names = ["", "1", "Z", "a", "b", "Za", "ab", "Zab", "Z\0a", "\x01"]
    fields = list(product((1, 11, 111), names, names))
    keys = {tuple(streams.stream_key(*field).tolist()) for field in fields}
    assert len(keys) == len(fields)
    labels = [("ab", "c"), ("a", "bc"), ("abc",), ("a", "b", "c"), ("abc", ""), ("", "abc")]
    assert len({streams._hash32(label) for label in labels}) == len(labels)


def industries(regions: int, sectors: int) -> list[tuple[str, ...]]:
    return [(f"R{r:03d}", f"S{s:03d}") for r in range(regions) for s in range(sectors)]


def test_label_hashes_depend_on_the_set_of_labels_alone() -> None:
    labels = industries(30, 40)
    hashes = streams.label_hashes(labels)
    shuffled = [labels[i] for i in np.random.default_rng(5).permutation(len(labels))]
    assert streams.label_hashes(shuffled + labels[:7]) == hashes
    assert hashes == {label: twin.label_hash(label) for label in labels}
    assert all(isinstance(word, np.uint32) for word in hashes.values())
    assert streams.label_hashes([]) == {}


def test_labels_that_share_a_hash_are_told_apart() -> None:
    first, second = ("R276", "S154"), ("R561", "S066")  # found by search
    assert streams._hash32(first) == streams._hash32(second) == 0x551BBA5E
    expected = {first: 0x551BBA5E, second: streams._hash32((*second, "1"))}
    assert streams.label_hashes([first, second]) == expected
    assert streams.label_hashes([second, first]) == expected


def test_crowded_hashes_are_resolved_the_same_way_every_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bits = 0x3F
    whole = streams._hash32
    monkeypatch.setattr(streams, "_hash32", lambda fields: whole(fields) & np.uint32(bits))
    labels = [*industries(6, 10), ("R000",), ("R000", "S000", "1"), ("",), ()]
    assert len(labels) == bits + 1, "every hash is taken in the end"
    hashes = streams.label_hashes(labels)
    assert sorted(hashes.values()) == list(range(bits + 1))
    assert streams.label_hashes(labels[::-1]) == hashes
    assert hashes == twin.label_hashes(labels, lambda label: twin.label_hash(label) & bits)


# --- the twin, bit by bit -----------------------------------------------------------------------


def test_normals_equal_their_twin() -> None:
    """2.5 million normals: every quarter, group boundaries, all kinds of node, edge hashes."""
    rows = np.concatenate([random_words(6, 128 - EDGE_WORDS.size), EDGE_WORDS])
    columns = np.concatenate([EDGE_WORDS, random_words(7, 128 - EDGE_WORDS.size)])
    keys = [*random_words(8, 8, 2), np.array([0, 2**32 - 1], dtype=np.uint32)]
    for i, key in enumerate(keys):
        for j, draw in enumerate(DRAWS):
            node = NODES[(i + j) % len(NODES)]
            expected = twin.normals((int(key[0]), int(key[1])), rows, columns, draw, node)
            assert_same_bits(streams.normals(key, rows, columns, draw, node), expected)


def test_box_muller_equals_its_twin() -> None:
    """4 million normals, and every pair of edge words."""
    a, b = np.meshgrid(EDGE_WORDS, EDGE_WORDS)
    cases = [(a.ravel(), b.ravel())]
    cases += [(random_words(10 + i, 2**18), random_words(20 + i, 2**18)) for i in range(8)]
    for first, second in cases:
        pairs = zip(compiled_box_muller(first, second), twin.box_muller(first, second), strict=True)
        for engine_normals, twin_normals in pairs:
            assert_same_bits(engine_normals, twin_normals)
            assert np.isfinite(engine_normals).all()


def test_log_and_sin2pi_equal_their_twins() -> None:
    u = random_floats(30, -33, 0, 2**19)
    assert_same_bits(compiled(_log, u), twin.log(u))
    turns = random_floats(31, -33, -2, 2**18)
    t = np.concatenate([turns, -turns, single(0.0, -0.0)])
    assert_same_bits(compiled(_sin2pi, t), twin.sin2pi(t))


def test_exp2_equals_its_twin() -> None:
    rng = np.random.default_rng(32)
    halves = np.arange(-251, 252, dtype=np.float32) / np.float32(2)  # ties go to even
    around = [np.nextafter(halves, np.float32(side)) for side in (-np.inf, np.inf)]
    usual = rng.normal(scale=0.5, size=2**19)
    wide = rng.uniform(-126, 126, size=2**19)
    small = random_floats(33, -60, -1, 2**17)
    y = np.concatenate([halves, *around, usual, wide, small, -small, [0.0, -0.0]], dtype="f4")
    assert_same_bits(compiled(_exp2, y), twin.exp2(y))


def test_the_label_of_a_normal_is_its_row_its_column_and_its_node() -> None:
    """No two coordinates of the counter are mixed up, no draw is used twice."""
    key = streams.stream_key(1, "Z", "cell")
    square = streams.normals(key, ROWS[:40], ROWS[:40], 0, 7)
    assert not np.array_equal(square, square.T)
    one = ROWS[:1]
    seen = np.concatenate(
        [streams.normals(key, one, one, draw, node) for draw in range(512) for node in (0, 1, 16)]
    )
    assert np.unique(seen).size == seen.size
    for draw, node in [(2**34, 0), (0, 2**32), (0, -1)]:
        with pytest.raises(OverflowError):
            streams.normals(key, one, one, draw, node)


# --- the bits never change ----------------------------------------------------------------------


def block_of_bytes() -> bytes:
    """Normals of 31 x 67 labels, 10 draws of all quarters and three kinds of node."""
    rows = np.array([*streams.label_hashes(industries(1, 31)).values()])
    columns = np.array([*streams.label_hashes(industries(67, 1)).values()])
    return b"".join(
        streams.normals(streams.stream_key(2026, quantity, "survey"), rows, columns, draw, node)
        .astype("<f4")
        .tobytes()
        for quantity in ("Z", "E")
        for draw in (0, 1, 17, 34, 51, 63, 64, 100, 1023, 65536)
        for node in (0, 2010, 2**31 + 2010)
    )


def powers_of_two() -> bytes:
    y = np.linspace(-8, 8, 40001, dtype=np.float32)
    return compiled(_exp2, y).astype("<f4").tobytes()


def fingerprint(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


GOLDEN_NORMALS = "e46a469e8cf8fce94a20b70699402a8e"
GOLDEN_POWERS = "64179dc4770c66a710fab60a0bd37fc9"


def test_golden_bits() -> None:
    """An ensemble can be extended only while these stand; a compiler must not move them."""
    assert streams.stream_key(2026, "Z", "survey").tolist() == [0x8F263BE9, 0x3BF49AEB]
    assert streams._hash32(("NLD", "Electricity")) == 0x84CFE412
    assert fingerprint(block_of_bytes()) == GOLDEN_NORMALS
    assert fingerprint(powers_of_two()) == GOLDEN_POWERS


def test_a_plainer_processor_gives_the_same_bits(tmp_path: Path) -> None:
    """Compiled afresh in another process for the plainest machine of this kind: no fma, no AVX."""
    script = f"import {__name__} as t; print(t.fingerprint(t.block_of_bytes() + t.powers_of_two()))"
    environment = os.environ | {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == fingerprint(block_of_bytes() + powers_of_two())


# --- independence of evaluation -----------------------------------------------------------------


@pytest.fixture(scope="module")
def whole() -> tuple[U32, U32, U32, F32]:
    """Key, 61 row and 83 column hashes, and the whole table of draw 37, node 2015."""
    key = streams.stream_key(3, "Z", "cell")
    rows, columns = random_words(40, 61), random_words(41, 83)
    return key, rows, columns, streams.normals(key, rows, columns, 37, 2015)


def test_any_part_of_a_table_has_the_bits_of_the_whole(whole: tuple[U32, U32, U32, F32]) -> None:
    key, rows, columns, table = whole
    for i, j in [(slice(0, 1), slice(0, 1)), (slice(7, 40), slice(3, 4)), (slice(3), slice(5, 82))]:
        assert_same_bits(streams.normals(key, rows[i], columns[j], 37, 2015), table[i, j])
    strided = streams.normals(key, rows[::-2], columns[1::3], 37, 2015)
    assert_same_bits(strided, table[::-2, 1::3])
    p, q = (np.random.default_rng(42).permutation(size) for size in table.shape)
    assert_same_bits(streams.normals(key, rows[p], columns[q], 37, 2015), table[np.ix_(p, q)])
    assert streams.normals(key, rows[:0], columns, 37, 2015).shape == (0, 83)


def test_a_single_cell_has_the_bits_of_the_whole(whole: tuple[U32, U32, U32, F32]) -> None:
    key, rows, columns, table = whole
    cells = [
        streams.normals(key, rows[i : i + 1], columns[j : j + 1], 37, 2015)[0, 0]
        for i in range(61)
        for j in range(83)
    ]
    assert_same_bits(np.array(cells).reshape(table.shape), table)


def test_threads_and_call_order_leave_no_trace(whole: tuple[U32, U32, U32, F32]) -> None:
    key, rows, columns, _ = whole
    calls = [(draw, node) for draw in range(128) for node in (0, 2015, 2**31 + 2010)]

    def table(call: tuple[int, int]) -> F32:
        return streams.normals(key, rows, columns, *call)

    in_order = np.stack([table(call) for call in calls])
    order = np.random.default_rng(43).permutation(len(calls))
    with ThreadPoolExecutor(max_workers=4) as pool:
        threaded = list(pool.map(table, [calls[i] for i in order]))
    assert_same_bits(np.stack(threaded), in_order[order])


def test_arguments_are_left_alone(whole: tuple[U32, U32, U32, F32]) -> None:
    key, rows, columns, table = whole
    frozen = [np.array(argument) for argument in (key, rows, columns)]
    for argument in frozen:
        argument.setflags(write=False)
    assert_same_bits(streams.normals(frozen[0], frozen[1], frozen[2], 37, 2015), table)


# --- the law ------------------------------------------------------------------------------------


def assert_standard(scores: Any, limit: float) -> None:
    """Scores that are standard normal when all is well lie within the limit."""
    scores = np.atleast_1d(np.asarray(scores, dtype=np.float64))
    worst = int(np.abs(scores).argmax())
    assert abs(scores.flat[worst]) < limit, f"score {worst} of {scores.size}: {scores.flat[worst]}"


def assert_plausible(p: float) -> None:
    """A p-value neither too small nor suspiciously near one; fails at a rate of 2e-6."""
    assert 1e-6 < p < 1 - 1e-6, p


@pytest.fixture(scope="module")
def sample() -> F32:
    """16.8 million normals, (64 draws, 512 rows, 512 columns): one whole group."""
    key = streams.stream_key(20, "Z", "cell")
    return np.stack([streams.normals(key, ROWS, COLUMNS, draw, 2015) for draw in range(64)])


def test_moments(sample: F32) -> None:
    """First four moments, of all and by quarter.

    20 scores of at most 5 standard errors: fails at a rate of 1e-5.
    """
    powers = np.zeros((64, 4))
    for draw, table in enumerate(sample):
        z = table.ravel().astype(np.float64)
        square = z * z
        powers[draw] = [z.mean(), square.mean(), square @ z / z.size, square @ square / z.size]
    variance = np.array([1.0, 2.0, 15.0, 96.0])  # of z, z^2, z^3, z^4
    moments = powers - [0, 1, 0, 3]
    quarters = moments.reshape(4, 16, 4).mean(axis=1) / np.sqrt(variance / (sample.size / 4))
    assert_standard(quarters, 5)
    assert_standard(moments.mean(axis=0) / np.sqrt(variance / sample.size), 5)


def test_kolmogorov_smirnov_by_quarter(sample: F32) -> None:
    """2.1 million normals of each quarter of the group; fails at a rate of 8e-6."""
    for quarter in sample[::2].reshape(4, -1):
        assert_plausible(scipy.stats.kstest(ndtr(quarter.astype(np.float64)), "uniform").pvalue)


def test_tails(sample: F32) -> None:
    """Counts beyond 3, 4 and 5, each side; the last expects 4.8. Fails at a rate of 6e-6."""
    for beyond in (3.0, 4.0, 5.0):
        chance = scipy.stats.norm.sf(beyond)
        for count in ((sample > beyond).sum(), (sample < -beyond).sum()):
            assert scipy.stats.binomtest(int(count), sample.size, chance).pvalue > 1e-6


def hermite(z: F32) -> list[F32]:
    """Orthonormal polynomials of a standard normal: products of independent ones average 0."""
    one = z
    two = (z * z - 1) / np.float32(np.sqrt(2))
    three = (z * z - 3) * z / np.float32(np.sqrt(6))
    return [one, two, three]


def cross_scores(x: F32, y: F32) -> list[float]:
    """Scores of the nine correlations between Hermite polynomials of x and y."""
    return [
        float(np.vdot(p.astype(np.float64), q.astype(np.float64)) / np.sqrt(x.size))
        for p in hermite(x)
        for q in hermite(y)
    ]


def pair_scores(fields: F32) -> F64:
    """Scores of the correlations between all pairs of rows, of z and of z^2, (2, pairs)."""
    above = np.triu_indices(len(fields), 1)
    products = [(p @ p.T)[above].astype(np.float64) for p in hermite(fields)[:2]]
    scores: F64 = np.stack(products) / np.sqrt(fields.shape[1])
    return scores


def assert_uncorrelated(fields: F32) -> None:
    """No pair stands out, and all together are as large as chance makes them.

    Up to 2.7e5 scores of at most 7 standard errors and two sums of their squares: fails at a
    rate of 5e-6.
    """
    for scores in pair_scores(fields):
        assert_standard(scores, 7)
        assert_plausible(float(scipy.stats.chi2.sf((scores**2).sum(), scores.size)))


def test_rows_columns_and_draws_are_uncorrelated(sample: F32) -> None:
    """All pairs of the 512 rows, the 512 columns, the 64 draws of a group."""
    assert_uncorrelated(sample.reshape(64, -1))
    few = sample[::2]  # eight of each quarter
    assert_uncorrelated(few.transpose(1, 0, 2).reshape(512, -1))
    assert_uncorrelated(few.transpose(2, 0, 1).reshape(512, -1))


@pytest.mark.parametrize("quarters", [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)])
def test_normals_of_one_call_are_independent_to_third_order(
    sample: F32, quarters: tuple[int, int]
) -> None:
    """Draws 16, 32 and 48 apart: the cosine and sine of one pair of words, and across the pairs.

    Nine scores of at most 5.5 standard errors: fails at a rate of 4e-7 each.
    """
    first, second = (sample[16 * q : 16 * q + 16 : 2] for q in quarters)
    assert_standard(cross_scores(first, second), 5.5)


def test_adjacent_draws_are_independent_to_third_order(sample: F32) -> None:
    """Nine scores of at most 5.5 standard errors: fails at a rate of 4e-7."""
    assert_standard(cross_scores(sample[:-1:4], sample[1::4]), 5.5)


def test_neighbouring_cells_are_independent_to_third_order(sample: F32) -> None:
    """18 scores of at most 5.5 standard errors: fails at a rate of 7e-7."""
    few = sample[::8]
    assert_standard(cross_scores(few[:, :-1], few[:, 1:]), 5.5)
    assert_standard(cross_scores(few[:, :, :-1], few[:, :, 1:]), 5.5)


def cells_of_the_cube(z: F32, bins: int) -> NDArray[np.int64]:
    """Counts of the vectors z, (dimensions, vectors), in equally likely cells."""
    places = np.minimum((ndtr(z) * bins).astype(np.int64), bins - 1)
    index = np.ravel_multi_index(tuple(places), (bins,) * len(z))
    return np.bincount(index, minlength=bins ** len(z))


def test_the_four_normals_of_one_call_are_jointly_independent(sample: F32) -> None:
    """Chi-square over 8^4 cells, and over 64^2 cells for cosine and sine of either pair.

    One million vectors. Fails at a rate of 6e-6.
    """
    calls = sample.reshape(4, 16, -1)[:, ::4].reshape(4, -1)
    for z, bins in [(calls, 8), (calls[:2], 64), (calls[2:], 64)]:
        counts = cells_of_the_cube(z, bins)
        assert_plausible(float(scipy.stats.chisquare(counts).pvalue))


def test_radius_and_angle_of_a_pair_have_their_laws(sample: F32) -> None:
    """r^2 / 2 is exponential, the angle uniform; one million pairs. Fails at a rate of 4e-6."""
    cosine, sine = (sample[q : q + 4].ravel().astype(np.float64) for q in (0, 16))
    radii = np.exp(-(cosine**2 + sine**2) / 2)
    assert_plausible(scipy.stats.kstest(radii, "uniform").pvalue)
    turns = np.arctan2(sine, cosine) / (2 * np.pi) % 1.0
    assert_plausible(scipy.stats.kstest(turns, "uniform").pvalue)


def test_streams_of_different_purpose_are_uncorrelated() -> None:
    """All pairs of 29 streams of 65,536 normals that differ in one thing alone."""
    purposes = [(seed, "Z", "ab", 2015) for seed in (0, 1, 2, 3, 10, 11, -1, 2**32, 2**32 + 1)]
    purposes += [(1, quantity, "ab", 2015) for quantity in ("A", "s", "E", "Y", "F_Y", "Za")]
    purposes += [(1, "Z", component, 2015) for component in ("a", "b", "abc", "ba", "Z", "")]
    purposes += [(1, "Za", "b", 2015)]
    nodes = (0, 1, 2014, 2016, 2**31, 2**31 + 2015, 2**31 + 2016)
    purposes += [(1, "Z", "ab", node) for node in nodes]
    assert len(set(purposes)) == 29
    drawn = [
        streams.normals(streams.stream_key(s, q, c), ROWS[:256], COLUMNS[:256], 5, node).ravel()
        for s, q, c, node in purposes
    ]
    assert_uncorrelated(np.stack(drawn))


def test_years_and_periods_are_uncorrelated() -> None:
    """All pairs of 60 time nodes of one component, 65,536 normals each."""
    key = streams.stream_key(1, "E", "survey")
    nodes = [0, *range(1984, 2030), *range(2**31 + 1990, 2**31 + 2003)]
    drawn = [streams.normals(key, ROWS[:256], COLUMNS[:256], 0, node).ravel() for node in nodes]
    assert_uncorrelated(np.stack(drawn))


def test_transposed_cells_are_independent(sample: F32) -> None:
    """z_ij and z_ji; nine scores of at most 5.5 standard errors: fails at a rate of 4e-7."""
    i, j = np.triu_indices(512, 1)
    few = sample[::16]
    assert_standard(cross_scores(few[:, i, j], few[:, j, i]), 5.5)


# --- accuracy of the polynomials ----------------------------------------------------------------


def random_floats(seed: int, low: int, high: int, count: int) -> F32:
    """Binary32 numbers in [2^low, 2^high], log-uniform by binade, the ends included."""
    rng = np.random.default_rng(seed)
    bits = rng.integers((low + 127) << 23, (high + 127) << 23, size=count, dtype=np.uint32)
    bits[0], bits[-1] = (low + 127) << 23, (high + 127) << 23
    return bits.view(np.float32)


def test_log_is_accurate() -> None:
    """Relative error 8.1e-8 over every float of the range; every 9th of the top 3 octaves here."""
    top = np.arange((127 - 3) << 23, 127 << 23, 9, dtype=np.uint32).view(np.float32)
    for u in (top, random_floats(50, -33, -3, 2**20)):
        exact = np.log(u.astype(np.float64))
        error = np.abs(compiled(_log, u) / exact - 1)
        assert error.max() < 9e-8
    assert compiled(_log, single(1.0))[0] == 0


def test_sin2pi_is_accurate() -> None:
    """Relative error 1.8e-7 over every float of the range."""
    t = np.concatenate(
        [
            np.arange(122 << 23, (125 << 23) + 1, 9, dtype=np.uint32).view(np.float32),
            random_floats(51, -33, -5, 2**20),
        ]
    )
    approximate = compiled(_sin2pi, t)
    error = np.abs(approximate / np.sin(2 * np.pi * t.astype(np.float64)) - 1)
    assert error.max() < 1.9e-7
    assert_same_bits(compiled(_sin2pi, -t), -approximate)


def test_exp2_is_accurate() -> None:
    """Relative error 8.0e-8 over every float of [-1/2, 1/2]; the rest is exact scaling."""
    half = np.arange(110 << 23, (126 << 23) + 1, 57, dtype=np.uint32).view(np.float32)
    wide = np.random.default_rng(52).uniform(-126, 126, 2**20).astype(np.float32)
    for y in (half, -half, wide):
        error = np.abs(compiled(_exp2, y) / np.exp2(y.astype(np.float64)) - 1)
        assert error.max() < 9e-8
    whole_powers = np.arange(-125, 126, dtype=np.float32)
    assert_same_bits(compiled(_exp2, whole_powers), np.exp2(whole_powers))
