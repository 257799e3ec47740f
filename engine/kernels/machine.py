"""Single machine instructions for compiled kernels: uint32 that wraps, fma, bit casts.

numba promotes uint32 arithmetic to 64 bits and offers no fused multiply-add. These intrinsics
name the LLVM instruction instead; all follow IEEE 754, so their bits are the same on every CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_WORD = ir.IntType(32)
_SINGLE = ir.FloatType()
Emit = Callable[[Any, list[Any]], Any]


def _instruction(result: Any, operands: tuple[Any, ...], emit: Emit) -> Any:
    """A callable for kernels that is exactly the instruction `emit` builds."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: list[Any]) -> Any:
        return emit(builder, arguments)

    if len(operands) == 1:

        @intrinsic
        def one(_typing: Any, _x: Any) -> Any:
            return result(*operands), codegen

        return one

    if len(operands) == 2:

        @intrinsic
        def two(_typing: Any, _x: Any, _y: Any) -> Any:
            return result(*operands), codegen

        return two

    @intrinsic
    def three(_typing: Any, _x: Any, _y: Any, _z: Any) -> Any:
        return result(*operands), codegen

    return three


def _words(name: str) -> Any:
    return _instruction(
        types.uint32, (types.uint32, types.uint32), lambda b, a: getattr(b, name)(a[0], a[1])
    )


def _llvm_float(name: str) -> Any:
    def emit(builder: Any, arguments: list[Any]) -> Any:
        return builder.call(builder.module.declare_intrinsic(name, [_SINGLE]), arguments)

    return _instruction(types.float32, (types.float32,), emit)


def _high_word(builder: Any, arguments: list[Any]) -> Any:
    wide = ir.IntType(64)
    product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
    return builder.trunc(builder.lshr(product, ir.Constant(wide, 32)), _WORD)


add = _words("add")
subtract = _words("sub")
multiply = _words("mul")
exclusive_or = _words("xor")
bit_and = _words("and_")
bit_or = _words("or_")
shift_left = _words("shl")
shift_right_signed = _words("ashr")
multiply_high = _instruction(types.uint32, (types.uint32, types.uint32), _high_word)

fma = _instruction(types.float32, (types.float32,) * 3, lambda b, a: b.fma(*a))
fma_double = _instruction(types.float64, (types.float64,) * 3, lambda b, a: b.fma(*a))
square_root = _llvm_float("llvm.sqrt")
absolute = _llvm_float("llvm.fabs")
nearest_integer = _llvm_float("llvm.rint")

bits_of_float = _instruction(types.uint32, (types.float32,), lambda b, a: b.bitcast(a[0], _WORD))
float_of_bits = _instruction(types.float32, (types.uint32,), lambda b, a: b.bitcast(a[0], _SINGLE))
float_of_unsigned = _instruction(
    types.float32, (types.uint32,), lambda b, a: b.uitofp(a[0], _SINGLE)
)
float_of_signed = _instruction(types.float32, (types.uint32,), lambda b, a: b.sitofp(a[0], _SINGLE))
signed_of_float = _instruction(types.uint32, (types.float32,), lambda b, a: b.fptosi(a[0], _WORD))
