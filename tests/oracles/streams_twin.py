"""The random streams once more, in plain numpy: slow, obvious, and equal to the last bit.

Follows the numbered definition in `engine.kernels.streams` and shares no code with it. Words are
held in uint64 and masked; floats are binary32 arrays. Every function works on whole arrays.

Notation: `a`, `b`, `c`, `k` random words, counters and keys; `u` in (0, 1]; `t` turns.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
Label = tuple[str, ...]

_MASK = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


# --- keys and label hashes ----------------------------------------------------------------------


def _length_prefixed(fields: Iterable[str]) -> bytes:
    encoded = [field.encode("utf-8") for field in fields]
    return b"".join(struct.pack("<Q", len(text)) + text for text in encoded)


def stream_key(seed: int, quantity: str, component: str) -> tuple[int, int]:
    """k0, k1 of the definition's step 1; BLAKE2b with a digest of 8 bytes."""
    message = _length_prefixed([str(seed), quantity, component])
    k0, k1 = struct.unpack("<II", hashlib.blake2b(message, digest_size=8).digest())
    return k0, k1


def label_hash(fields: Label) -> int:
    """BLAKE2b with a digest of 4 bytes over the length-prefixed fields, as a uint32."""
    (word,) = struct.unpack("<I", hashlib.blake2b(_length_prefixed(fields), digest_size=4).digest())
    return int(word)


def label_hashes(
    labels: Iterable[Label], hashed: Callable[[Label], int] = label_hash
) -> dict[Label, int]:
    """Distinct words for distinct labels, first come (in sorted order) first served."""
    words: dict[Label, int] = {}
    for label in sorted(set(labels)):
        word, attempt = hashed(label), 0
        while word in words.values():
            attempt += 1
            word = hashed((*label, str(attempt)))
        words[label] = word
    return words


# --- integers -----------------------------------------------------------------------------------


def philox(c: Iterable[ArrayLike], k: tuple[int, int]) -> tuple[U64, U64, U64, U64]:
    """Philox4x32-10 (Salmon et al. 2011, section 3.3): four words of a counter and a key."""
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(word, dtype=np.uint64) for word in c))
    for turn in range(10):
        k0 = np.uint64((k[0] + turn * 0x9E3779B9) % 2**32)
        k1 = np.uint64((k[1] + turn * 0xBB67AE85) % 2**32)
        product0 = c0 * np.uint64(0xD2511F53)
        product1 = c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (
            (product1 >> _32) ^ c1 ^ k0,
            product1 & _MASK,
            (product0 >> _32) ^ c3 ^ k1,
            product0 & _MASK,
        )
    return c0, c1, c2, c3


# --- binary32 -----------------------------------------------------------------------------------


def fma(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> F32:
    """a b + c rounded once to binary32.

    The binary64 product of two binary32 numbers is exact. The sum is rounded to odd (Boldo &
    Melquiond 2008, "Emulation of FMA and correctly rounded sums"): where inexact, the neighbour
    of the true sum whose last bit is one, so that no second rounding can meet a false tie.
    """
    product = np.asarray(a, dtype=np.float64) * np.asarray(b, dtype=np.float64)
    addend = np.asarray(c, dtype=np.float64)
    total: F64 = np.asarray(product + addend)
    back = total - product
    error = (product - (total - back)) + (addend - back)  # TwoSum: total + error is exact
    even = (total.view(np.uint64) & np.uint64(1)) == 0
    toward = np.nextafter(total, np.copysign(np.inf, error))
    odd = np.where((error != 0) & even, toward, total)
    return odd.astype(np.float32)


def _float(words: ArrayLike) -> F32:
    """uint32 or int32 to the nearest binary32; binary64 holds them exactly."""
    return np.asarray(words, dtype=np.float64).astype(np.float32)


def _signed(words: U64) -> NDArray[np.int64]:
    """The words read as int32."""
    return ((words ^ np.uint64(2**31)).astype(np.int64)) - 2**31


def _horner(x: F32, *coefficients: float) -> F32:
    """The polynomial in x, highest power first, one fma a step."""
    p = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        p = fma(p, x, np.float32(coefficient))
    return p


def log(u: ArrayLike) -> F32:
    """Natural logarithm: u = 2^exponent (1 + x) with 1 + x in [sqrt(1/2), sqrt(2))."""
    bits = np.asarray(u, dtype=np.float32).view(np.uint32).astype(np.int64)
    exponent, mantissa = np.divmod(bits - 0x3F3504F3, 2**23)
    x = (mantissa + 0x3F3504F3).astype(np.uint32).view(np.float32) - np.float32(1)
    p = _horner(
        x,
        7.0376836292e-2,
        -1.1514610310e-1,
        1.1676998740e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
        -0.5,
    )
    return fma(_float(exponent), np.float32(0.69314718056), fma(x * x, p, x))


def sin2pi(t: ArrayLike) -> F32:
    """Sine of t turns, |t| <= 1/4."""
    t = np.asarray(t, dtype=np.float32)
    p = _horner(
        t * t,
        39.536706065730207,
        -76.549782293595742,
        81.601004073261773,
        -41.341655031416278,
        6.28318516008947744,
    )
    sine: F32 = p * t
    return sine


def box_muller(a: ArrayLike, b: ArrayLike) -> tuple[F32, F32]:
    """The cosine and the sine normal of two words, step 5 of the definition."""
    a, b = np.asarray(a, dtype=np.uint64), np.asarray(b, dtype=np.uint64)
    quarter = np.float32(0.25)
    u = fma(_float(a), np.float32(2.0**-32), np.float32(2.0**-33))
    t = _float(_signed(b)) * np.float32(2.0**-32)
    r = np.sqrt(np.abs(log(u) * np.float32(-2)))
    cosine = r * sin2pi(quarter - np.abs(t))
    sine = r * sin2pi(np.copysign(quarter - np.abs(np.abs(t) - quarter), t))
    return cosine, sine


def exp2(y: ArrayLike) -> F32:
    """2^y for |y| < 126."""
    y = np.asarray(y, dtype=np.float32)
    whole = np.rint(y)  # ties to even
    p = _horner(
        y - whole,
        1.535336188319500e-4,
        1.339887440266574e-3,
        9.618437357674640e-3,
        5.550332471162809e-2,
        2.402264791363012e-1,
        6.931472028550421e-1,
        1.0,
    )
    bits = p.view(np.uint32).astype(np.int64) + whole.astype(np.int64) * 2**23
    power: F32 = bits.astype(np.uint32).view(np.float32)
    return power


# --- a draw -------------------------------------------------------------------------------------


def normals(key: tuple[int, int], rows: ArrayLike, columns: ArrayLike, draw: int, node: int) -> F32:
    """Standard normals of one draw, (rows, columns); steps 2 to 5 of the definition."""
    group, in_group = divmod(draw, 64)
    quarter, in_quarter = divmod(in_group, 16)
    row, column = np.asarray(rows)[:, None], np.asarray(columns)[None, :]
    w = philox((row, column, 16 * group + in_quarter, node), key)
    first, second = box_muller(w[0], w[1]), box_muller(w[2], w[3])
    return (first[0], first[1], second[0], second[1])[quarter]
