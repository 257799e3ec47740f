"""Vector instructions over the 64 lanes of a group, for the innermost loops of the fused pass.

LLVM vectorises plain loops only where it can prove that arrays do not overlap, and keeps no array
in registers. These intrinsics emit 8 vectors of 8 doubles themselves; on a processor with narrower
vectors LLVM splits them. Each lane is an explicit fma in the order of the cells: the bits are those
of the plain loop.

Arrays are C-contiguous; an index counts elements from the array's beginning.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

_WIDTH, _VECTORS = 8, 8
_INDEX = ir.IntType(64)
_DOUBLES = ir.VectorType(ir.DoubleType(), _WIDTH)
_SINGLES = ir.VectorType(ir.FloatType(), _WIDTH)
_LINE = 64  # bytes of a cache line, which a store past the caches fills whole


def _place(context: Any, builder: Any, kind: Any, array: Any, index: Any, vector: Any) -> Any:
    data = make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _at(builder: Any, index: Any, block: int) -> Any:
    return builder.add(index, ir.Constant(_INDEX, _WIDTH * block))


def _item(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = make_array(kind)(context, builder, array).data
    return builder.load(builder.gep(data, [index]))


def _call(builder: Any, name: str, arguments: list[Any]) -> Any:
    vector = arguments[0].type
    suffix = "v8f64" if vector == _DOUBLES else "v8f32"
    kind = ir.FunctionType(vector, [vector] * len(arguments))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.{suffix}")
    return builder.call(function, arguments)


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return _call(builder, "fma", [a, b, c])


def _spread(builder: Any, scalar: Any, vector: Any = _DOUBLES) -> Any:
    """The same number in every lane of a vector."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(_INDEX, 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), _WIDTH), None)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)


class _Sum:
    """64 running sums held in registers while a loop runs."""

    def __init__(
        self, context: Any, builder: Any, kind: Any, array: Any, index: Any, vector: Any = _DOUBLES
    ) -> None:
        self._builder, self._align = builder, 8 if vector == _DOUBLES else 4
        self._places = [
            _place(context, builder, kind, array, _at(builder, index, block), vector)
            for block in range(_VECTORS)
        ]
        # A sum of its own, added to the whole at the end: in a long one less is lost to rounding.
        zero = ir.Constant(vector, [0.0] * _WIDTH)
        self._held = [cgutils.alloca_once(builder, vector) for _ in self._places]
        for held in self._held:
            builder.store(zero, held)

    def add(self, block: int, a: Any, b: Any) -> None:
        held = self._held[block]
        self._builder.store(_fma(self._builder, a, b, self._builder.load(held)), held)

    def store(self) -> None:
        load, store = self._builder.load, self._builder.store
        for place, held in zip(self._places, self._held, strict=True):
            whole = self._builder.fadd(load(place, align=self._align), load(held))
            store(whole, place, align=self._align)


def _widened(context: Any, builder: Any, signature: Any, arguments: list[Any]) -> Any:
    v, q, value, factors, row, less = arguments
    size = ir.Constant(_INDEX, _WIDTH * _VECTORS)
    scale, offset = _spread(builder, value), _spread(builder, less)
    for block in range(_VECTORS):
        index = _at(builder, builder.mul(row, size), block)
        single = builder.load(
            _place(context, builder, signature.args[3], factors, index, _SINGLES), align=4
        )
        factor = builder.fsub(builder.fpext(single, _DOUBLES), offset)
        index = _at(builder, builder.mul(q, size), block)
        place = _place(context, builder, signature.args[0], v, index, _DOUBLES)
        builder.store(builder.fmul(scale, factor), place, align=8)
    return context.get_dummy_value()


@intrinsic
def _widen(typing: Any, v: Any, q: Any, value: Any, factors: Any, row: Any, less: Any) -> Any:
    index = types.int64
    return types.none(v, index, types.float64, factors, index, types.float64), _widened


# v[q, :] = value (factors[row, :] - less), in float64, of float32 factors
widen: Any = _widen


def _stored_past(context: Any, builder: Any, signature: Any, arguments: list[Any]) -> Any:
    kept, row, factors, q = arguments
    size = ir.Constant(_INDEX, _WIDTH * _VECTORS)
    past = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
    wide = ir.VectorType(ir.FloatType(), 2 * _WIDTH)
    for block in range(0, _VECTORS, 2):
        index = _at(builder, builder.mul(q, size), block)
        place = _place(context, builder, signature.args[2], factors, index, wide)
        whole = builder.load(place, align=4)
        index = _at(builder, builder.mul(row, size), block)
        place = _place(context, builder, signature.args[0], kept, index, wide)
        builder.store(whole, place, align=_LINE).set_metadata("nontemporal", past)
    return context.get_dummy_value()


@intrinsic
def _store_past(typing: Any, kept: Any, row: Any, factors: Any, q: Any) -> Any:
    return types.none(kept, types.int64, factors, types.int64), _stored_past


# kept[row, :] = factors[q, :], past the caches: it is not read again soon. `kept` begins at a
# multiple of 64 bytes, and its rows are 256 bytes apart.
store_past: Any = _store_past


def _in_singles(
    context: Any, builder: Any, signature: Any, arguments: list[Any], changes: bool
) -> Any:
    total, t, weights, factors, x, across, first, size, stride, offset = arguments
    total_type, _, weights_type, factors_type, x_type, across_type = signature.args[:6]
    sums, single = _Sum(context, builder, total_type, total, t, _SINGLES), ir.FloatType()
    one = ir.Constant(_SINGLES, [1.0] * _WIDTH)
    with cgutils.for_range(builder, size) as loop:
        entry = builder.add(first, loop.index)
        position = _item(context, builder, across_type, across, entry)
        base = builder.add(builder.mul(builder.sext(position, _INDEX), stride), offset)
        weight = _item(context, builder, weights_type, weights, entry)
        if weight.type != single:
            weight = builder.fptrunc(weight, single)
        spread = _spread(builder, weight, _SINGLES)
        own = builder.mul(entry, ir.Constant(_INDEX, _WIDTH * _VECTORS))
        for block in range(_VECTORS):
            place = _place(context, builder, x_type, x, _at(builder, base, block), _SINGLES)
            lanes = builder.load(place, align=4)
            if not changes:
                sums.add(block, spread, lanes)
                continue
            at = _at(builder, own, block)
            factor = builder.load(
                _place(context, builder, factors_type, factors, at, _SINGLES), align=4
            )
            sums.add(block, builder.fsub(factor, one), builder.fmul(spread, lanes))
    sums.store()
    return context.get_dummy_value()


def _of_singles(changes: bool) -> Any:
    @intrinsic
    def sum_singles(
        typing: Any,
        total: Any,
        t: Any,
        weights: Any,
        factors: Any,
        x: Any,
        across: Any,
        first: Any,
        size: Any,
        stride: Any,
        offset: Any,
    ) -> Any:
        index = (types.int64,) * 4
        signature = types.none(total, types.int64, weights, factors, x, across, *index)
        return signature, lambda c, b, s, a: _in_singles(c, b, s, a, changes)

    return sum_singles


# In float32, with e = first + q, q < size:
# total[t : t + 64] += sum_q weights[e] x[across[e] stride + offset : ... + 64]
sum_weighed: Any = _of_singles(changes=False)
# the same with weights[e] (factors[e, :] - 1)
sum_changes: Any = _of_singles(changes=True)


def _summed_along(
    context: Any, builder: Any, signature: Any, arguments: list[Any], kind: str
) -> Any:
    total, t, v, x, across, first, size, stride, offset = arguments
    total_type, _, v_type, x_type, across_type = signature.args[:5]
    sums = _Sum(context, builder, total_type, total, t)
    with cgutils.for_range(builder, size) as loop:
        position = _item(context, builder, across_type, across, builder.add(first, loop.index))
        base = builder.add(builder.mul(builder.sext(position, _INDEX), stride), offset)
        own = builder.mul(loop.index, ir.Constant(_INDEX, _WIDTH * _VECTORS))
        weight = None
        if kind != "lanes":
            weight = _spread(builder, _item(context, builder, x_type, x, base))
        for block in range(_VECTORS):
            cell = builder.load(
                _place(context, builder, v_type, v, _at(builder, own, block), _DOUBLES), align=8
            )
            if kind == "magnitudes":
                cell = _call(builder, "fabs", [cell])
            factor = weight
            if kind == "lanes":
                place = _place(context, builder, x_type, x, _at(builder, base, block), _DOUBLES)
                factor = builder.load(place, align=8)
            sums.add(block, factor, cell)
    sums.store()
    return context.get_dummy_value()


def _along(kind: str) -> Any:
    @intrinsic
    def sum_along(
        typing: Any,
        total: Any,
        t: Any,
        v: Any,
        x: Any,
        across: Any,
        first: Any,
        size: Any,
        stride: Any,
        offset: Any,
    ) -> Any:
        index = (types.int64,) * 4
        signature = types.none(total, types.int64, v, x, across, *index)
        return signature, lambda c, b, s, a: _summed_along(c, b, s, a, kind)

    return sum_along


# total[t : t + 64] += sum_q v[q, :] x[across[first + q] stride + offset], q < size: x the same in
# all lanes; with |v| for v; with x[... : ... + 64], one a lane.
sum_plain: Any = _along("plain")
sum_magnitudes: Any = _along("magnitudes")
sum_lanes: Any = _along("lanes")


def _scattered(context: Any, builder: Any, signature: Any, arguments: list[Any], kind: str) -> Any:
    total, t, v, q, weight = arguments
    own = builder.mul(q, ir.Constant(_INDEX, _WIDTH * _VECTORS))
    scale = _spread(builder, weight)
    for block in range(_VECTORS):
        cell = builder.load(
            _place(context, builder, signature.args[2], v, _at(builder, own, block), _DOUBLES),
            align=8,
        )
        if kind == "magnitudes":
            cell = _call(builder, "fabs", [cell])
        index = _at(builder, t, block)
        place = _place(context, builder, signature.args[0], total, index, _DOUBLES)
        builder.store(_fma(builder, scale, cell, builder.load(place, align=8)), place, align=8)
    return context.get_dummy_value()


def _across(kind: str) -> Any:
    @intrinsic
    def add_across(typing: Any, total: Any, t: Any, v: Any, q: Any, weight: Any) -> Any:
        signature = types.none(total, types.int64, v, types.int64, types.float64)
        return signature, lambda c, b, s, a: _scattered(c, b, s, a, kind)

    return add_across


# total[t : t + 64] += weight v[q, :], or weight |v[q, :]|
add_plain: Any = _across("plain")
add_magnitudes: Any = _across("magnitudes")
