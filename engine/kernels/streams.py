"""Random numbers that depend on what they are for, never on who computes them, or when.

A standard normal is a pure function of a **key** (seed, quantity, component) and a **counter**
(row label, column label, draw, time node). Nothing is drawn in sequence, so a draw's inputs are
bitwise the same for any block, worker count, order, or total number of draws.

The definition, to the bit (all floats are binary32, `fma` rounds once):

1. Key: the 8-byte BLAKE2b digest of the fields (the seed in decimal, quantity, component), each
   in UTF-8 and preceded by its length in bytes as a little-endian uint64; read as two little-endian
   uint32 words (k0, k1). A label's hash is the 4-byte digest of its fields, likewise.
2. Counter: c = (row hash, column hash, 16 (draw // 64) + draw % 16, time node), four uint32.
3. Words: w = Philox4x32-10(c, k) (Salmon et al. 2011, "Parallel random numbers: as easy as
   1, 2, 3", SC'11).
4. Box & Muller (1958) on (w0, w1) and (w2, w3) gives cosine and sine normals each; quarter
   (draw % 64) // 16 of the group of 64 draws takes, in order: the cosine of the first pair, its
   sine, the cosine of the second pair, its sine. One Philox call thus serves four draws of a group.
5. Box-Muller of (a, b): u = fma(float(a), 2^-32, 2^-33), t = float(int32(b)) 2^-32 turns,
   r = sqrt(|log(u) (-2)|), cosine r sin2pi(1/4 - |t|), sine r sin2pi(copysign(1/4 - ||t| - 1/4|,
   t)), with `log` and `sin2pi` the polynomials below.

`exp2` completes the lognormal factor in `engine.kernels.perturb`. The numpy twin that the tests
hold against this module follows the same text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from engine.kernels.arrays import F32, U32
from engine.kernels.compiling import compiled, inline
from engine.kernels.machine import (
    absolute,
    add,
    bit_and,
    bit_or,
    bits_of_float,
    exclusive_or,
    float_of_bits,
    float_of_signed,
    float_of_unsigned,
    fma,
    multiply,
    multiply_high,
    nearest_integer,
    shift_left,
    shift_right_signed,
    signed_of_float,
    square_root,
    subtract,
)

Word = np.uint32
Single = np.float32
LANES = 64  # draws of a group
QUARTER = 16  # of them share the words of one Philox call, four by four


# --- keys and label hashes ----------------------------------------------------------------------


def _digest(fields: Iterable[str], size: int) -> bytes:
    hasher = hashlib.blake2b(digest_size=size)
    for field in fields:
        encoded = field.encode()
        hasher.update(len(encoded).to_bytes(8, "little"))
        hasher.update(encoded)
    return hasher.digest()


def stream_key(seed: int, quantity: str, component: str) -> U32:
    """The Philox key, (2,), of one component of one quantity's errors."""
    return np.frombuffer(_digest((str(seed), quantity, component), 8), dtype="<u4").astype(Word)


def label_hashes(labels: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], np.uint32]:
    """A 32-bit hash for each distinct label; no two share one.

    Labels are resolved in sorted order; where one meets a hash already taken, the attempt's
    number is appended to its fields until the hash is free. So the result depends on the set of
    labels alone, not on their positions.
    """
    taken: dict[np.uint32, tuple[str, ...]] = {}
    for label in sorted(set(labels)):
        attempt = 0
        fields = label
        while (word := _hash32(fields)) in taken:
            attempt += 1
            fields = (*label, str(attempt))
        taken[word] = label
    return {label: word for word, label in taken.items()}


def _hash32(fields: tuple[str, ...]) -> np.uint32:
    return np.uint32(int.from_bytes(_digest(fields, 4), "little"))


# --- compiled arithmetic ------------------------------------------------------------------------

_M0, _M1 = Word(0xD2511F53), Word(0xCD9E8D57)
_W0, _W1 = Word(0x9E3779B9), Word(0xBB67AE85)


@inline
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Philox4x32-10: four random words of a counter and a key."""
    for _ in range(10):
        high0, low0 = multiply_high(c0, _M0), multiply(c0, _M0)
        high1, low1 = multiply_high(c2, _M1), multiply(c2, _M1)
        c0, c1 = exclusive_or(exclusive_or(high1, c1), k0), low1
        c2, c3 = exclusive_or(exclusive_or(high0, c3), k1), low0
        k0, k1 = add(k0, _W0), add(k1, _W1)
    return c0, c1, c2, c3


_ROOT_HALF = Word(0x3F3504F3)  # bits of sqrt(1/2)


@inline
def log(u: Any) -> Any:
    """Natural logarithm of a positive normal float; polynomial after Cephes `logf`."""
    offset = subtract(bits_of_float(u), _ROOT_HALF)
    exponent = float_of_signed(shift_right_signed(offset, Word(23)))
    x = float_of_bits(add(bit_and(offset, Word(0x7FFFFF)), _ROOT_HALF)) - Single(1.0)
    p = Single(7.0376836292e-2)
    p = fma(p, x, Single(-1.1514610310e-1))
    p = fma(p, x, Single(1.1676998740e-1))
    p = fma(p, x, Single(-1.2420140846e-1))
    p = fma(p, x, Single(1.4249322787e-1))
    p = fma(p, x, Single(-1.6668057665e-1))
    p = fma(p, x, Single(2.0000714765e-1))
    p = fma(p, x, Single(-2.4999993993e-1))
    p = fma(p, x, Single(3.3333331174e-1))
    tail = fma(x * x, fma(p, x, Single(-0.5)), x)
    return fma(exponent, Single(0.69314718056), tail)


@inline
def sin2pi(t: Any) -> Any:
    """Sine of `t` turns, |t| <= 1/4; minimax polynomial."""
    square = t * t
    p = Single(39.536706065730207)
    p = fma(p, square, Single(-76.549782293595742))
    p = fma(p, square, Single(81.601004073261773))
    p = fma(p, square, Single(-41.341655031416278))
    p = fma(p, square, Single(6.28318516008947744))
    return p * t


@inline
def box_muller(a: Any, b: Any) -> Any:
    """Two independent standard normals, cosine and sine, of two random words."""
    u = fma(float_of_unsigned(a), Single(2.0**-32), Single(2.0**-33))
    t = float_of_signed(b) * Single(2.0**-32)
    radius = square_root(absolute(log(u) * Single(-2.0)))
    quarter = Single(0.25)
    cosine = sin2pi(quarter - absolute(t))
    folded = quarter - absolute(absolute(t) - quarter)
    sign = bit_and(b, Word(0x80000000))
    sine = sin2pi(float_of_bits(bit_or(bits_of_float(folded), sign)))
    return radius * cosine, radius * sine


@inline
def exp2(y: Any) -> Any:
    """2^y for |y| < 126; polynomial after Cephes `exp2f` on [-1/2, 1/2]."""
    whole = nearest_integer(y)
    f = y - whole
    p = Single(1.535336188319500e-4)
    p = fma(p, f, Single(1.339887440266574e-3))
    p = fma(p, f, Single(9.618437357674640e-3))
    p = fma(p, f, Single(5.550332471162809e-2))
    p = fma(p, f, Single(2.402264791363012e-1))
    p = fma(p, f, Single(6.931472028550421e-1))
    p = fma(p, f, Single(1.0))
    return float_of_bits(add(bits_of_float(p), shift_left(signed_of_float(whole), Word(23))))


@inline
def normal(k0: Any, k1: Any, row: Any, column: Any, word: Any, quarter: int, node: Any) -> Any:
    """The standard normal of one address."""
    w0, w1, w2, w3 = philox(row, column, word, node, k0, k1)
    if quarter >= 2:
        w0, w1 = w2, w3
    cosine, sine = box_muller(w0, w1)
    return cosine if quarter % 2 == 0 else sine


@compiled
def _fill(out: F32, key: U32, rows: U32, columns: U32, word: Any, quarter: int, node: Any) -> None:
    k0, k1 = key[0], key[1]
    for i in range(rows.size):
        row, line = rows[i], out[i]
        for j in range(columns.size):
            line[j] = normal(k0, k1, row, columns[j], word, quarter, node)


@compiled
def _fill_pairs(
    out: F32, key: U32, rows: U32, columns: U32, word: Any, quarter: int, node: Any
) -> None:
    k0, k1 = key[0], key[1]
    for cell in range(out.size):
        out[cell] = normal(k0, k1, rows[cell], columns[cell], word, quarter, node)


def normals(key: U32, rows: U32, columns: U32, draw: int, node: int) -> F32:
    """Standard normals of one draw, (rows, columns).

    Args:
        key: `stream_key`, (2,).
        rows, columns: label hashes, (rows,) and (columns,).
        draw: the draw's number, counted from 0.
        node: time node, a uint32: 0 persistent, the year, or 2^31 + a period's first year.
    """
    out = np.empty((rows.size, columns.size), dtype=Single)
    _fill(out, key, rows, columns, *_place(draw), Word(node))
    return out


def normals_of_cells(key: U32, rows: U32, columns: U32, draw: int, node: int) -> F32:
    """Standard normals of one draw, (cells,), each at the row and column hash of its own cell."""
    out = np.empty(rows.size, dtype=Single)
    _fill_pairs(out, key, rows, columns, *_place(draw), Word(node))
    return out


@compiled
def _fill_group(out: F32, key: U32, rows: U32, columns: U32, group: int, node: Any) -> None:
    k0, k1 = key[0], key[1]
    first = Word(group * QUARTER)
    for i in range(rows.size):
        for j in range(columns.size):
            lanes = out[i * columns.size + j]
            for lane in range(QUARTER):
                word = add(first, Word(lane))
                w0, w1, w2, w3 = philox(rows[i], columns[j], word, node, k0, k1)
                lanes[lane], lanes[lane + QUARTER] = box_muller(w0, w1)
                lanes[lane + 2 * QUARTER], lanes[lane + 3 * QUARTER] = box_muller(w2, w3)


def normals_of_group(key: U32, rows: U32, columns: U32, group: int, node: int) -> F32:
    """Standard normals of the 64 draws of one group, (rows x columns, 64), addresses row by row."""
    out = np.empty((rows.size * columns.size, LANES), dtype=Single)
    _fill_group(out, key, rows, columns, group, Word(node))
    return out


def _place(draw: int) -> tuple[np.uint32, int]:
    """The counter's word and the quarter of its group of 64 that a draw takes."""
    group, lane = divmod(draw, LANES)
    return Word(QUARTER * group + lane % QUARTER), lane // QUARTER
