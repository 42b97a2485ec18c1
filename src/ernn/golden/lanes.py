"""What is done to a row of a tile: LANES numbers at once, in LLVM's vector code.

Numba's loops over parts of one array are not made into vectors, since they might overlap.  Here a
row is read whole before one is written.  Arrays are flat, int32 or int64; `at` is a row's first
number.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types

LANES = 32
"""Rows of a matrix that are summed side by side: a tile."""

SIDE = 16
"""Streams that lie side by side, where there are many: number i of all of them, then number i +
1.
"""

intrinsic: Any = extending.intrinsic
"""Untyped: who calls an intrinsic does not give its first parameter."""

_INT = ir.IntType(64)
_WIDE = ir.VectorType(_INT, LANES)

Build = Callable[..., Any]


def repeated(builder: Any, value: Any, count: int = LANES) -> Any:
    """A number in all of `count` lanes."""
    kind = ir.VectorType(value.type, count)
    one = builder.insert_element(
        ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
    )
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)


def _row(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> tuple[Any, int]:
    """A pointer to the row, and the bytes that it is sure to be a multiple of."""
    data = context.make_array(kind)(context, builder, array).data
    number = context.get_data_type(kind.dtype)
    return builder.bitcast(
        builder.gep(data, [at]), ir.VectorType(number, LANES).as_pointer()
    ), number.width // 8


def _changed(builder: Any, value: Any, kind: Any) -> Any:
    if value.type == kind:
        return value
    wider = kind.element.width > value.type.element.width
    return builder.sext(value, kind) if wider else builder.trunc(value, kind)


def _generate(rows: int, build: Build, wide: bool) -> Build:
    """Code for to[at:] = build(rows read ..., numbers in all lanes ...). `wide`: in 64 bits, else
    in the rows' own.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointers = [
            _row(context, builder, signature.args[i], values[i], values[i + 1])
            for i in range(0, 2 * rows + 2, 2)
        ]
        read = [builder.load(pointer, align=size) for pointer, size in pointers[1:]]
        kind = _WIDE if wide else read[0].type
        numbers = [
            _changed(builder, repeated(builder, value), kind) for value in values[2 * rows + 2 :]
        ]
        result = build(builder, *[_changed(builder, value, kind) for value in read], *numbers)
        to, size = pointers[0]
        builder.store(_changed(builder, result, to.type.pointee), to, align=size)
        return context.get_dummy_value()

    return generate


def _rotation(builder: Any, x: Any, y: Any, *numbers: Any) -> Any:
    if x.type == _WIDE:
        return _rotated(builder, x, y, *numbers)
    half = ir.VectorType(_INT, LANES // 2)
    return rotated(
        builder, x, y, *[builder.sext(_first_half(builder, number), half) for number in numbers]
    )


def rotated(builder: Any, x: Any, y: Any, *numbers: Any) -> Any:
    """(by_x * x + by_y * y + half) >> shift, the products exact in 64 bits; numbers in half as many
    lanes of those.

    Numbers at even places and at odd places are taken apart: a processor multiplies every other one
    of a row into the whole width.
    """
    half = numbers[0].type
    bits, low = (ir.Constant(half, [value] * half.count) for value in (32, (1 << 32) - 1))
    pairs = [builder.bitcast(value, half) for value in (x, y)]
    odd = _rotated(builder, *[builder.ashr(pair, bits) for pair in pairs], *numbers)
    even = _rotated(
        builder, *[builder.ashr(builder.shl(pair, bits), bits) for pair in pairs], *numbers
    )
    return builder.bitcast(builder.or_(builder.shl(odd, bits), builder.and_(even, low)), x.type)


def _rotated(builder: Any, x: Any, y: Any, by_x: Any, by_y: Any, half: Any, shift: Any) -> Any:
    total = builder.add(builder.mul(x, by_x), builder.mul(y, by_y))
    return builder.ashr(builder.add(total, half), shift)


def _first_half(builder: Any, value: Any) -> Any:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES // 2), list(range(LANES // 2)))
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), mask)


def rounded(builder: Any, x: Any, up: Any, half: Any, down: Any, low: Any, high: Any) -> Any:
    value = builder.ashr(builder.add(builder.shl(x, up), half), down)
    value = builder.select(builder.icmp_signed("<", value, low), low, value)
    return builder.select(builder.icmp_signed(">", value, high), high, value)


def _sum_of(products: int) -> Build:
    """round((x << x_up) + (y << y_up) + the first `products` of +-(a * b) << ab_up, +-(c * d) <<
    cd_up)
    """

    def build(builder: Any, x: Any, y: Any, a: Any, b: Any, c: Any, d: Any, *numbers: Any) -> Any:
        x_up, y_up, ab_up, ab_sign, cd_up, cd_sign, *rounding = numbers
        total = builder.add(builder.shl(x, x_up), builder.shl(y, y_up))
        for one, other, up, sign in ((a, b, ab_up, ab_sign), (c, d, cd_up, cd_sign))[:products]:
            value = builder.shl(builder.mul(one, other), up)
            total = builder.add(total, builder.sub(builder.xor(value, sign), sign))
        return rounded(builder, total, *rounding)

    return build


def _summing(products: int, wide: bool) -> Any:
    @intrinsic
    def sum_rows(typing, rows, at, ups, rounding):
        """Of one array: places of to, x, y, a, b, c, d; bits up of x, y, ab, ab's sign, cd, cd's;
        `round_row`'s.
        """
        code = _generate(6, _sum_of(products), wide)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            places, numbers = (
                [
                    builder.extract_value(value, i)
                    for value in group
                    for i in range(len(value.type.elements))
                ]
                for group in (values[1:2], values[2:])
            )
            kinds = (rows, None) * 7
            operands = [part for place in places for part in (values[0], place)]
            return code(
                context, builder, types.void(*[kind or _N for kind in kinds]), [*operands, *numbers]
            )

        return types.void(rows, at, ups, rounding), generate

    return sum_rows


_N = types.int64


@intrinsic
def add_rows(typing, to, to_at, x, x_at, y, y_at):
    """to = x + y"""
    return types.void(to, _N, x, _N, y, _N), _generate(
        2, lambda builder, x, y: builder.add(x, y), wide=False
    )


@intrinsic
def subtract_rows(typing, to, to_at, x, x_at, y, y_at):
    """to = x - y"""
    return types.void(to, _N, x, _N, y, _N), _generate(
        2, lambda builder, x, y: builder.sub(x, y), wide=False
    )


@intrinsic
def rotate_rows(typing, to, to_at, x, x_at, y, y_at, by_x, by_y, half, shift):
    """to = (by_x * x + by_y * y + half) >> shift"""
    return types.void(to, _N, x, _N, y, _N, _N, _N, _N, _N), _generate(2, _rotation, wide=False)


@intrinsic
def round_row(typing, to, to_at, x, x_at, up, half, down, low, high):
    """to = ((x << up) + half) >> down, kept within low .. high"""
    return types.void(to, _N, x, _N, _N, _N, _N, _N, _N), _generate(1, rounded, wide=True)


@intrinsic
def round_narrow_row(typing, to, to_at, x, x_at, up, half, down, low, high):
    """As `round_row`, for numbers that do not overflow in their own width."""
    return types.void(to, _N, x, _N, _N, _N, _N, _N, _N), _generate(1, rounded, wide=False)


@intrinsic
def copy_row(typing, to, to_at, x, x_at):
    """to = x"""
    return types.void(to, _N, x, _N), _generate(1, lambda builder, x: x, wide=False)


@intrinsic
def shift_row(typing, to, to_at, x, x_at, up):
    """to = x << up"""
    return types.void(to, _N, x, _N, _N), _generate(
        1, lambda builder, x, up: builder.shl(x, up), wide=False
    )


@intrinsic
def pair_rows(typing, to, to_at, x, x_at, y, y_at, flip):
    """to[2 i], to[2 i + 1] = x[i], y[i] ^ flip"""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        number = context.get_data_type(to.dtype)
        kind = ir.VectorType(number, LANES)
        first, second = (
            _changed(builder, builder.load(pointer, align=size), kind)
            for pointer, size in (
                _row(context, builder, signature.args[i], values[i], values[i + 1]) for i in (2, 4)
            )
        )
        second = builder.xor(second, _changed(builder, repeated(builder, values[6]), kind))
        in_turns = [half * LANES + i for i in range(LANES) for half in (0, 1)]
        mask = ir.Constant(ir.VectorType(ir.IntType(32), 2 * LANES), in_turns)
        pairs = builder.shuffle_vector(first, second, mask)
        pointer, size = _row(context, builder, signature.args[0], values[0], values[1])
        builder.store(pairs, builder.bitcast(pointer, pairs.type.as_pointer()), align=size)
        return context.get_dummy_value()

    return types.void(to, _N, x, _N, y, _N, _N), generate


@intrinsic
def transpose(typing, to, to_at, to_apart, x, x_at):
    """to[i * to_apart + j] = x[j * SIDE + i] for all i, j < SIDE"""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        (source, size), (target, to_size) = (
            _row(context, builder, signature.args[i], values[i], values[i + 1]) for i in (3, 0)
        )
        kind, to_kind = (
            ir.VectorType(pointer.type.pointee.element, SIDE) for pointer in (source, target)
        )
        source, target = (
            builder.bitcast(source, kind.as_pointer()),
            builder.bitcast(target, to_kind.element.as_pointer()),
        )
        rows = [builder.load(builder.gep(source, [_INT(j)]), align=size) for j in range(SIDE)]
        for i, row in enumerate(_transposed(builder, rows)):
            place = builder.gep(target, [builder.mul(values[2], _INT(i))])
            builder.store(
                _changed(builder, row, to_kind),
                builder.bitcast(place, to_kind.as_pointer()),
                align=to_size,
            )
        return context.get_dummy_value()

    return types.void(to, _N, _N, x, _N), generate


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Of as many rows as each has lanes: for every bit of their numbers, the half of a row that
    lies off the diagonal of that bit is exchanged with the row where it belongs."""
    count, bit = len(rows), 1
    while bit < count:
        low = [i if not i & bit else count + (i ^ bit) for i in range(count)]
        high = [i ^ bit if not i & bit else count + i for i in range(count)]
        masks = [ir.Constant(ir.VectorType(ir.IntType(32), count), mask) for mask in (low, high)]
        for j in range(count):
            if not j & bit:
                pair = rows[j], rows[j | bit]
                rows[j], rows[j | bit] = (builder.shuffle_vector(*pair, mask) for mask in masks)
        bit *= 2
    return rows


sum_rows_0, sum_rows_1, sum_rows_2 = (_summing(products, wide=True) for products in range(3))
sum_narrow_rows_0, sum_narrow_rows_1, sum_narrow_rows_2 = (
    _summing(products, wide=False) for products in range(3)
)
