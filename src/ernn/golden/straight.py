"""Transforms of usual sizes as straight-line code: a word stays in registers from one rounding to
the other.

What rows do depends on the size and direction alone, their constants on the model: so the code is
made for the former and reads the latter.  Any other transform takes `ernn.golden.butterflies`,
which gives the same integers.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils

from ernn.golden.butterflies import ADD, ROTATE, Butterflies, butterflies
from ernn.golden.lanes import intrinsic, repeated, rotated, rounded
from ernn.quantization.integer_fft import forward_transform, inverse_transform

Array = np.ndarray

WORDS = 16
"""Words that are transformed at a time: their numbers at one place fill a register."""
_INT, _NUMBER = ir.IntType(64), ir.IntType(32)
_ROW = ir.VectorType(_NUMBER, WORDS)


@cache
def _usual(k: int) -> dict[str, Butterflies]:
    """What the network's own differ from in constants at most."""
    transforms = {"forward": forward_transform(k, 14, 0), "inverse": inverse_transform(k, 14)}
    return {name: butterflies(transform, k)[0] for name, transform in transforms.items()}


def alike(one: Butterflies, other: Butterflies) -> bool:
    """Whether they do the same but for their constants."""
    return (
        np.array_equal(one.runs, other.runs)
        and np.array_equal(one.rows[:, :3], other.rows[:, :3])
        and np.array_equal(one.results, other.results)
    )


def is_usual(forward: Butterflies, inverse: Butterflies) -> bool:
    """Whether `to_spectra` and `from_spectra` are there for them."""
    k = len(forward.results)
    if k not in SIZES:
        return False
    usual = _usual(k)
    return alike(forward, usual["forward"]) and alike(inverse, usual["inverse"])


def _code(usual: Butterflies) -> Callable[..., None]:
    kinds = [int(kind) for kind, first, last in usual.runs for _ in range(first, last)]

    @intrinsic
    def transform(typing, to, to_at, to_apart, x, x_at, x_apart, words, rows, before, after):
        """Words whose numbers at place j begin at `x_at + j * x_apart`: rounded by `before`,
        transformed, rounded by `after`, to places that begin at `to_at + j * to_apart`.

        `words` is a multiple of `WORDS`.  Roundings: bits up, half, bits down, lowest, highest; of
        numbers that fit in 32 bits all the way.  `rows` has the constants (Butterflies.rows).
        """

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            to, x, rows = (
                context.make_array(signature.args[i])(context, builder, values[i]).data
                for i in (0, 3, 7)
            )
            roundings = [
                [_all(builder, builder.extract_value(values[i], part)) for part in range(5)]
                for i in (8, 9)
            ]
            constants = [
                _constants(builder, rows, row) if kind == ROTATE else []
                for row, kind in enumerate(kinds)
            ]
            with cgutils.for_range_slice(
                builder, ir.Constant(_INT, 0), values[6], ir.Constant(_INT, WORDS)
            ) as (at, _):
                source = builder.gep(x, [builder.add(values[4], at)])
                target = builder.gep(to, [builder.add(values[1], at)])
                slots = {
                    j: rounded(builder, _load(builder, source, values[5], j), *roundings[0])
                    for j in range(len(usual.results))
                }
                for (slot, a, b, *_), kind, numbers in zip(
                    usual.rows.tolist(), kinds, constants, strict=True
                ):
                    slots[slot] = _result(builder, kind, slots[a], slots[b], numbers)
                for j, slot in enumerate(usual.results.tolist()):
                    _store(
                        builder, rounded(builder, slots[slot], *roundings[1]), target, values[2], j
                    )
            return context.get_dummy_value()

        at = types.int64
        return types.void(to, at, at, x, at, at, at, rows, before, after), generate

    return transform


def _all(builder: Any, value: Any) -> Any:
    return repeated(builder, builder.trunc(value, _NUMBER), WORDS)


def _constants(builder: Any, rows: Any, row: int) -> list[Any]:
    """by, by, half and shift of a rotation, each in half as many lanes of twice the width."""
    by_a, by_b, shift = (
        builder.load(builder.gep(rows, [ir.Constant(_INT, row * 6 + part)])) for part in (3, 4, 5)
    )
    half = builder.lshr(builder.shl(ir.Constant(_INT, 1), shift), ir.Constant(_INT, 1))
    narrow = [
        builder.sext(builder.trunc(value, _NUMBER), _INT) for value in (by_a, by_b, half, shift)
    ]
    return [repeated(builder, value, WORDS // 2) for value in narrow]


def _result(builder: Any, kind: int, a: Any, b: Any, numbers: list[Any]) -> Any:
    if kind == ROTATE:
        return rotated(builder, a, b, *numbers)
    return builder.add(a, b) if kind == ADD else builder.sub(a, b)


def _place(builder: Any, base: Any, apart: Any, j: int) -> Any:
    return builder.bitcast(
        builder.gep(base, [builder.mul(apart, ir.Constant(_INT, j))]), _ROW.as_pointer()
    )


def _load(builder: Any, base: Any, apart: Any, j: int) -> Any:
    return builder.load(_place(builder, base, apart, j), align=4)


def _store(builder: Any, value: Any, base: Any, apart: Any, j: int) -> None:
    builder.store(value, _place(builder, base, apart, j), align=4)


SIZES = (8, 16)
_to_8, _to_16 = (_code(_usual(k)["forward"]) for k in SIZES)
_from_8, _from_16 = (_code(_usual(k)["inverse"]) for k in SIZES)


@njit(boundscheck=False)
def to_spectra(k, to, to_at, to_apart, x, x_at, x_apart, words, rows, before, after):
    """Forward, for k of `SIZES`: see `_code`."""
    if k == 8:
        _to_8(to, to_at, to_apart, x, x_at, x_apart, words, rows, before, after)
    else:
        _to_16(to, to_at, to_apart, x, x_at, x_apart, words, rows, before, after)


@njit(boundscheck=False)
def from_spectra(k, to, to_at, to_apart, x, x_at, x_apart, words, rows, before, after):
    """Inverse, for k of `SIZES`: see `_code`."""
    if k == 8:
        _from_8(to, to_at, to_apart, x, x_at, x_apart, words, rows, before, after)
    else:
        _from_16(to, to_at, to_apart, x, x_at, x_apart, words, rows, before, after)
