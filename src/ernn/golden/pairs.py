"""Sums of pairs of products, on vectors: the inner loop of every product with 16-bit weights and
data.

A processor multiplies 32 int16 by 32 int16 and adds neighbours to 16 int32 in one instruction
(PMADDWD, VPDPWSSD). Numba's loops do not become that instruction, so this loop is written in LLVM's
vector code; where the processor is no x86, LLVM lowers the same sums to what it has.  Arithmetic is
modulo 2**32: a sum is right if it fits in 32 bits itself.
"""

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import overload

from ernn.golden.lanes import LANES, SIDE, intrinsic, repeated

STREAMS = 4
"""Streams that are multiplied by one reading of the weights, where there are that many."""

ROWS = 8
"""Rows of a matrix that are then multiplied together."""

_WIDE = 16  # int32 in a vector
_VECTORS = LANES // _WIDE
_INT, _INT16, _INT32 = ir.IntType(64), ir.IntType(16), ir.IntType(32)
_SUMS, _PAIRS = ir.VectorType(_INT32, _WIDE), ir.VectorType(_INT16, 2 * _WIDE)
_ZERO = ir.Constant(_SUMS, [0] * _WIDE)
_BY_WIDTH = {8: "llvm.x86.avx2.pmadd.wd", 16: "llvm.x86.avx512.pmaddw.d.512"}
_WIDTH = next(
    (w for w, f in ((16, "avx512bw"), (8, "avx2")) if llvm.get_host_cpu_features().get(f)), 0
)


def _part(builder: Any, value: Any, first: int, step: int, count: int) -> Any:
    mask = ir.Constant(ir.VectorType(_INT32, count), [first + step * i for i in range(count)])
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), mask)


def _dot(builder: Any, weights: Any, data: Any) -> Any:
    """<32 x i16> by <32 x i16> to <16 x i32>: neighbours multiplied and added."""
    if not _WIDTH:
        terms = [
            builder.mul(
                *[builder.sext(_part(builder, v, odd, 2, _WIDE), _SUMS) for v in (weights, data)]
            )
            for odd in (0, 1)
        ]
        return builder.add(*terms)
    result, pairs = ir.VectorType(_INT32, _WIDTH), ir.VectorType(_INT16, 2 * _WIDTH)
    kind = ir.FunctionType(result, [pairs, pairs])
    function = cgutils.get_or_insert_function(builder.module, kind, _BY_WIDTH[_WIDTH])
    if _WIDTH == _WIDE:
        return builder.call(function, [weights, data])
    low, high = (
        builder.call(function, [_part(builder, v, first, 1, 2 * _WIDTH) for v in (weights, data)])
        for first in (0, 2 * _WIDTH)
    )
    return builder.shuffle_vector(low, high, ir.Constant(_SUMS, list(range(_WIDE))))


def _loop(builder: Any, operands: int, arguments: tuple[Any, ...]) -> None:
    """sums[operand, lane] = sum over pairs of weights[pair, lane, :] . data[operand, pair, :]; two
    pairs a turn.
    """
    weights, data, sums, step, pairs = arguments
    weights = builder.bitcast(weights, _PAIRS.as_pointer())
    data = builder.bitcast(data, _INT32.as_pointer())
    sums = builder.bitcast(sums, _INT32.as_pointer())

    def at(pointer: Any, index: Any, scale: int, plus: int) -> Any:
        index = builder.add(builder.mul(index, ir.Constant(_INT, scale)), ir.Constant(_INT, plus))
        return builder.gep(pointer, [index])

    starts = [builder.mul(pairs, ir.Constant(_INT, operand)) for operand in range(operands)]
    before = builder.block
    head, body, end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
    builder.branch(head)
    builder.position_at_end(head)
    pair = builder.phi(_INT)
    count = _VECTORS * operands
    chains = (
        2 if count < 8 else 1
    )  # an addition waits for the one before it: eight must be under way
    totals = [builder.phi(_SUMS) for _ in range(chains * count)]
    builder.cbranch(builder.icmp_signed("<", pair, pairs), body, end)
    builder.position_at_end(body)
    after = list(totals)
    for half in (0, 1):
        rows = [
            builder.load(at(weights, pair, _VECTORS, half * _VECTORS + v), align=2)
            for v in range(_VECTORS)
        ]
        for operand in range(operands):
            place = builder.gep(
                data, [builder.add(starts[operand], builder.add(pair, ir.Constant(_INT, half)))]
            )
            x = builder.bitcast(repeated(builder, builder.load(place, align=2), _WIDE), _PAIRS)
            for index, row in enumerate(rows, half % chains * count + operand * _VECTORS):
                after[index] = builder.add(after[index], _dot(builder, row, x))
    following = builder.add(pair, ir.Constant(_INT, 2))
    builder.branch(head)
    pair.add_incoming(ir.Constant(_INT, 0), before)
    pair.add_incoming(following, body)
    for phi, value in zip(totals, after, strict=True):
        phi.add_incoming(_ZERO, before)
        phi.add_incoming(value, body)
    builder.position_at_end(end)
    for index in range(count):
        total = builder.add(totals[index], totals[count + index]) if chains == 2 else totals[index]
        place = builder.add(
            builder.mul(step, ir.Constant(_INT, index // _VECTORS)),
            ir.Constant(_INT, index % _VECTORS * _WIDE),
        )
        builder.store(
            total, builder.bitcast(builder.gep(sums, [place]), _SUMS.as_pointer()), align=4
        )


def _side_loop(builder: Any, results: int, arguments: tuple[Any, ...]) -> None:
    """sums[result, row, stream] = sum over pairs of weights[pair, row, :] . data[result, pair,
    stream, :].
    """
    weights, data, sums, step, pairs = arguments
    weights, sums = (builder.bitcast(pointer, _INT32.as_pointer()) for pointer in (weights, sums))
    data = builder.bitcast(data, _PAIRS.as_pointer())
    before = builder.block
    head, body, end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
    builder.branch(head)
    builder.position_at_end(head)
    pair = builder.phi(_INT)
    totals = [builder.phi(_SUMS) for _ in range(results * ROWS)]
    builder.cbranch(builder.icmp_signed("<", pair, pairs), body, end)
    builder.position_at_end(body)
    words = [
        builder.load(
            builder.gep(data, [builder.add(builder.mul(pairs, ir.Constant(_INT, result)), pair)]),
            align=2,
        )
        for result in range(results)
    ]
    first, after = builder.mul(pair, ir.Constant(_INT, LANES)), []
    for row in range(ROWS):
        one = builder.load(
            builder.gep(weights, [builder.add(first, ir.Constant(_INT, row))]), align=2
        )
        weight = builder.bitcast(repeated(builder, one, _WIDE), _PAIRS)
        after += [
            builder.add(totals[row * results + i], _dot(builder, weight, word))
            for i, word in enumerate(words)
        ]
    following = builder.add(pair, ir.Constant(_INT, 1))
    builder.branch(head)
    for phi, starts, goes_on in zip(
        (pair, *totals),
        (ir.Constant(_INT, 0), *[_ZERO] * len(totals)),
        (following, *after),
        strict=True,
    ):
        phi.add_incoming(starts, before)
        phi.add_incoming(goes_on, body)
    builder.position_at_end(end)
    for row in range(ROWS):
        for result in range(results):
            at = builder.add(
                builder.mul(step, ir.Constant(_INT, result)), ir.Constant(_INT, row * SIDE)
            )
            place = builder.bitcast(builder.gep(sums, [at]), _SUMS.as_pointer())
            builder.store(totals[row * results + result], place, align=4)


def _kernel(loop: Callable[..., None], operands: int) -> Callable[..., None]:
    @intrinsic
    def multiply(typing, weights, weights_at, data, data_at, sums, sums_at, step, pairs):
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            arrays = [
                builder.gep(
                    context.make_array(signature.args[i])(context, builder, values[i]).data,
                    [values[i + 1]],
                )
                for i in (0, 2, 4)
            ]
            loop(builder, operands, (*arrays, *values[6:]))
            return context.get_dummy_value()

        at = types.int64
        return types.void(weights, at, data, at, sums, at, at, at), generate

    return multiply


_one, _two, _four, _eight = (_kernel(_loop, operands) for operands in (1, 2, STREAMS, 2 * STREAMS))
_side_one, _side_two = (_kernel(_side_loop, results) for results in (1, 2))


def add_pairs(weights, weights_at, data, data_at, sums, sums_at, step, pairs, operands):
    """sums[operand, lane] = sum over `pairs` of weights[pair, lane, 0..1] . data[operand, pair,
    0..1].

    Flat arrays, each from its place on: int16, int16, int32, or all int64.  `step`: the distance of
    operands' sums.  An even number of pairs; 1, 2, `STREAMS` or 2 * `STREAMS` operands.
    """


@overload(add_pairs, inline="never")
def _add_pairs(weights, weights_at, data, data_at, sums, sums_at, step, pairs, operands):
    return _vectors if weights.dtype == types.int16 else _any_width


def _vectors(weights, weights_at, data, data_at, sums, sums_at, step, pairs, operands):
    if operands == 1:
        _one(weights, weights_at, data, data_at, sums, sums_at, step, pairs)
    elif operands == 2:
        _two(weights, weights_at, data, data_at, sums, sums_at, step, pairs)
    elif operands == STREAMS:
        _four(weights, weights_at, data, data_at, sums, sums_at, step, pairs)
    else:
        _eight(weights, weights_at, data, data_at, sums, sums_at, step, pairs)


def _any_width(weights, weights_at, data, data_at, sums, sums_at, step, pairs, operands):
    for operand in range(operands):
        to = sums[sums_at + operand * step :]
        to[:LANES] = 0
        for pair in range(pairs):
            row, at = (
                weights[weights_at + 2 * pair * LANES :],
                data_at + 2 * (operand * pairs + pair),
            )
            for lane in range(LANES):
                to[lane] += row[2 * lane] * data[at] + row[2 * lane + 1] * data[at + 1]


def add_pairs_side_by_side(weights, weights_at, data, data_at, sums, sums_at, step, pairs, results):
    """sums[result, row, stream] = sum over `pairs` of weights[pair, row, 0..1] . data[result, pair,
    stream, 0..1].

    As `add_pairs`, for `ROWS` rows from `weights_at` on, `SIDE` streams, and one result or two.
    """


@overload(add_pairs_side_by_side, inline="never")
def _add_pairs_side_by_side(
    weights, weights_at, data, data_at, sums, sums_at, step, pairs, results
):
    return _vectors_side_by_side if weights.dtype == types.int16 else _any_width_side_by_side


def _vectors_side_by_side(weights, weights_at, data, data_at, sums, sums_at, step, pairs, results):
    if results == 1:
        _side_one(weights, weights_at, data, data_at, sums, sums_at, step, pairs)
    else:
        _side_two(weights, weights_at, data, data_at, sums, sums_at, step, pairs)


def _any_width_side_by_side(
    weights, weights_at, data, data_at, sums, sums_at, step, pairs, results
):
    for result in range(results):
        for row in range(ROWS):
            to = sums[sums_at + result * step + row * SIDE :]
            to[:SIDE] = 0
            for pair in range(pairs):
                at = weights_at + 2 * (pair * LANES + row)
                x = data[data_at + 2 * SIDE * (result * pairs + pair) :]
                for stream in range(SIDE):
                    to[stream] += weights[at] * x[2 * stream] + weights[at + 1] * x[2 * stream + 1]
