"""Activation tables on vectors: 32 look-ups at once where the processor can permute 64 numbers by
index (AVX-512).

A table of 256 segments is eight registers; each look-up permutes four pairs of them and keeps the
right one.  Anywhere else, and for larger tables or wider numbers, a plain loop does the same.
"""

from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import overload

from ernn.golden.lanes import LANES, intrinsic, repeated
from ernn.ir.integer_parts import ActivationTable

Array = np.ndarray

SEGMENTS = 256
"""Entries of bases and of slopes in a table of 16-bit numbers."""

_PERMUTES = llvm.get_host_cpu_features().get("avx512bw", False)
_INT, _INT16, _INT32 = ir.IntType(64), ir.IntType(16), ir.IntType(32)
_HALVES, _WORDS = ir.VectorType(_INT16, LANES), ir.VectorType(_INT32, LANES)


def tabulated(tables: tuple[ActivationTable, ...], narrow: bool) -> Array:
    """Tables (tables, 2, segments): bases and slopes, of 16 bits and `SEGMENTS` long where they
    fit, else of 64 bits.

    `narrow`: the numbers looked up are in 32 bits.
    """
    segments = max((len(table.base) for table in tables), default=1)
    fits = narrow and segments <= SEGMENTS and all(_fits(table) for table in tables)
    size, kind = (SEGMENTS, np.int16) if fits else (segments, np.int64)
    made = np.zeros((len(tables), 2, size), kind)
    for row, table in zip(made, tables, strict=True):
        row[:, : len(table.base)] = table.base, table.slope
    return made


def _fits(table: ActivationTable) -> bool:
    base, slope = (int(np.abs(numbers).max(initial=0)) for numbers in (table.base, table.slope))
    rest, half = slope << (table.input.width - table.segment_bits), 1 << table.slope_shift
    line = (base << table.slope_shift) + rest + half
    return max(base, slope) < 1 << 15 and max(line, -2 * table.input.low) < 1 << 31


def activate(to, x, table, size, input_low, low_bits, slope_shift, low, high):
    """`size` numbers through a table (2, segments); up to LANES - 1 more may be written. See
    `ActivationTable`.
    """


@overload(activate, inline="never")
def _activate(to, x, table, size, input_low, low_bits, slope_shift, low, high):
    if _PERMUTES and table.dtype == types.int16:
        return _permuted
    return _looked_up


def _permuted(to, x, table, size, input_low, low_bits, slope_shift, low, high):
    _permute(to, x, table, size, input_low, low_bits, slope_shift, low, high)


def _looked_up(to, x, table, size, input_low, low_bits, slope_shift, low, high):
    mask, half = (1 << low_bits) - 1, (1 << slope_shift) >> 1
    for i in range(size):
        u = np.int64(x[i]) - input_low
        segment = np.uint64(u >> low_bits)  # unsigned: Numba would look for negative indices
        line = (
            (np.int64(table[0, segment]) << slope_shift)
            + np.int64(table[1, segment]) * (u & mask)
            + half
        )
        to[i] = min(max(line >> slope_shift, low), high)


@intrinsic
def _permute(typing, to, x, table, size, input_low, low_bits, slope_shift, low, high):
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        arrays = [
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args[:3], values[:3], strict=True)
        ]
        _loop(builder, arrays, values[3:])
        return context.get_dummy_value()

    return types.void(to, x, table, *(types.int64,) * 6), generate


def _loop(builder: Any, arrays: list[Any], values: list[Any]) -> None:
    to, x = (builder.bitcast(array, _WORDS.as_pointer()) for array in arrays[:2])
    table = builder.bitcast(arrays[2], _HALVES.as_pointer())
    numbers = [repeated(builder, builder.trunc(value, _INT32)) for value in values[1:]]
    registers = [
        builder.load(builder.gep(table, [ir.Constant(_INT, at)]), align=2)
        for at in range(2 * SEGMENTS // LANES)
    ]
    count = builder.sdiv(
        builder.add(values[0], ir.Constant(_INT, LANES - 1)), ir.Constant(_INT, LANES)
    )
    with cgutils.for_range(builder, count) as loop:
        source, target = (builder.gep(pointer, [loop.index]) for pointer in (x, to))
        builder.store(
            _line(builder, builder.load(source, align=4), registers, *numbers), target, align=4
        )


def _line(
    builder: Any,
    x: Any,
    registers: list[Any],
    input_low: Any,
    low_bits: Any,
    shift: Any,
    low: Any,
    high: Any,
) -> Any:
    one = ir.Constant(_WORDS, [1] * LANES)
    u = builder.sub(x, input_low)
    segment = builder.trunc(builder.ashr(u, low_bits), _HALVES)
    half_way = len(registers) // 2
    base, slope = (
        builder.sext(_entry(builder, part, segment), _WORDS)
        for part in (registers[:half_way], registers[half_way:])
    )
    rest = builder.and_(u, builder.sub(builder.shl(one, low_bits), one))
    half = builder.lshr(builder.shl(one, shift), one)
    line = builder.add(builder.add(builder.shl(base, shift), builder.mul(slope, rest)), half)
    value = builder.ashr(line, shift)
    value = builder.select(builder.icmp_signed("<", value, low), low, value)
    return builder.select(builder.icmp_signed(">", value, high), high, value)


def _entry(builder: Any, registers: list[Any], index: Any) -> Any:
    """The entries at `index` of a table in registers: of two by permutation, of more by the top bit
    of the index.
    """
    if len(registers) == 2:
        kind = ir.FunctionType(_HALVES, [_HALVES] * 3)
        permute = cgutils.get_or_insert_function(
            builder.module, kind, "llvm.x86.avx512.vpermi2var.hi.512"
        )
        return builder.call(permute, [registers[0], index, registers[1]])
    middle = len(registers) // 2
    upper = ir.Constant(_HALVES, [middle * LANES] * LANES)
    low, high = (_entry(builder, part, index) for part in (registers[:middle], registers[middle:]))
    bit = builder.and_(index, upper)
    return builder.select(
        builder.icmp_signed("!=", bit, ir.Constant(_HALVES, [0] * LANES)), high, low
    )
