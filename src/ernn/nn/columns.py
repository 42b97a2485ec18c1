"""Small products in registers, in LLVM's vector code: for layers whose steps take less time than
calls of a BLAS.

Numbers lie `COLUMNS` side by side: columns of a batch.  Operands are (array, place, step): a flat
float32 array, where in it they begin, and how far the next row is.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, njit, types
from numba.core import cgutils

COLUMNS = 16
"""Columns of a batch that are multiplied together: they fill a register."""

_INT, _LANE, _NUMBER = ir.IntType(64), ir.IntType(32), ir.FloatType()
_ROW = ir.VectorType(_NUMBER, COLUMNS)
_EMPTY, _FIRST = (
    ir.Constant(_ROW, ir.Undefined),
    ir.Constant(ir.VectorType(_LANE, COLUMNS), [0] * COLUMNS),
)
_INTRINSIC: Any = extending.intrinsic


class _Operand:
    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array, place, self.step = (builder.extract_value(value, i) for i in range(3))
        self.builder = builder
        self.first = builder.gep(context.make_array(kind[0])(context, builder, array).data, [place])

    def place(self, index: Any) -> Any:
        return self.builder.gep(self.first, [self.builder.mul(index, self.step)])

    def row(self, index: Any) -> Any:
        return self.builder.bitcast(self.place(index), _ROW.as_pointer())


def _product(rows: int, builder: Any, operands: tuple[_Operand, ...], count: Any) -> None:
    to, start, weights, x = operands
    numbers = [ir.Constant(_INT, row) for row in range(rows)]
    first = [builder.load(start.row(number), align=4) for number in numbers]
    before = builder.block
    head, body, end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
    builder.branch(head)
    builder.position_at_end(head)
    index, sums = builder.phi(_INT), [builder.phi(_ROW) for _ in range(rows)]
    builder.cbranch(builder.icmp_signed("<", index, count), body, end)
    builder.position_at_end(body)
    value, column = builder.load(x.row(index), align=4), weights.place(index)
    after = [
        _multiplied(builder, builder.load(builder.gep(column, [number])), value, total)
        for number, total in zip(numbers, sums, strict=True)
    ]
    following = builder.add(index, ir.Constant(_INT, 1))
    builder.branch(head)
    for phi, begins, goes_on in zip(
        (index, *sums), (ir.Constant(_INT, 0), *first), (following, *after), strict=True
    ):
        phi.add_incoming(begins, before)
        phi.add_incoming(goes_on, body)
    builder.position_at_end(end)
    for number, total in zip(numbers, sums, strict=True):
        builder.store(total, to.row(number), align=4)


def _multiplied(builder: Any, number: Any, row: Any, total: Any) -> Any:
    one = builder.insert_element(_EMPTY, number, ir.Constant(_LANE, 0))
    repeated = builder.shuffle_vector(one, _EMPTY, _FIRST)
    fused = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_ROW, [_ROW] * 3), "llvm.fmuladd.v16f32"
    )
    return builder.call(fused, [repeated, row, total])


def _kernel(rows: int) -> Callable[..., None]:
    @_INTRINSIC
    def kernel(typing, to, start, weights, x, count):
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            pairs = zip(signature.args[:4], values[:4], strict=True)
            operands = tuple(_Operand(context, builder, kind, value) for kind, value in pairs)
            _product(rows, builder, operands, values[4])
            return context.get_dummy_value()

        return types.void(to, start, weights, x, types.int64), generate

    return kernel


_eight, _four, _one = (_kernel(rows) for rows in (8, 4, 1))


@njit
def _from(operand, row):
    return operand[0], operand[1] + row * operand[2], operand[2]


@njit
def add_product(to, start, weights, x, rows, count):
    """to[i] = start[i] + sum over j < `count` of weights[j][i] * x[j], for i < `rows`."""
    row = 0
    while row < rows:
        some = (
            _from(to, row),
            _from(start, row),
            (weights[0], weights[1] + row, weights[2]),
            x,
            count,
        )
        if rows - row >= 8:
            _eight(*some)
            row += 8
        elif rows - row >= 4:
            _four(*some)
            row += 4
        else:
            _one(*some)
            row += 1
