"""Single-event upsets: bits of an integer model's memories flipped, as radiation flips them in
block RAM.

The model that comes back runs in golden, and on the engine, as any other: what an upset does to the
error rate is measured by running it.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal

import numpy as np

from ernn.errors import UserError
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import ActivationTable, SpectralMatrix
from ernn.ir.kronecker import RepeatedMatrix

Array = np.ndarray
Memory = Literal["weights", "tables"]


def memory_bits(model: IntegerModel, memory: Memory = "weights", zeros: bool = True) -> int:
    """Bits that can flip: of all weights, or of the activation tables' bases.

    zeros: False where numbers that are 0 are not stored, as of a sparse network (whose positions
    are not flipped).
    """
    return sum(len(_places(values, zeros)) * width for values, width in _words(model, memory))


def with_upsets(
    model: IntegerModel, count: int, seed: int, memory: Memory = "weights", zeros: bool = True
) -> IntegerModel:
    """The model with `count` different bits flipped, drawn evenly from `memory_bits`."""
    total = memory_bits(model, memory, zeros)
    if not 0 <= count <= total:
        raise UserError(
            f"the model's {memory} have {total} bits: flip 0 to {total} of them, not {count}"
        )
    chosen = np.sort(np.random.default_rng(seed).choice(total, count, replace=False))
    flipped, at = [], 0
    for values, width in _words(model, memory):
        places = _places(values, zeros)
        first, last = np.searchsorted(chosen, [at, at + len(places) * width])
        number, bit = np.divmod(chosen[first:last] - at, width)
        flipped.append(_flipped(values, width, places[number], bit))
        at += len(places) * width
    return replace(_rebuilt(model, memory, iter(flipped)), error=None)


def _places(values: Array, zeros: bool) -> Array:
    """Indices of the numbers that are stored."""
    return np.arange(values.size) if zeros else np.flatnonzero(values)


def _flipped(values: Array, width: int, numbers: Array, bits: Array) -> Array:
    """Of each of `numbers` (indices, which may be there again) its bit; two's complement of `width`
    bits.
    """
    words = (values & ((1 << width) - 1)).ravel()
    np.bitwise_xor.at(words, numbers, np.int64(1) << bits)
    return np.where(words >> (width - 1), words - (1 << width), words).reshape(values.shape)


def _words(part: Any, memory: Memory) -> Iterator[tuple[Array, int]]:
    """Arrays of numbers and their width, in the order in which they are met."""
    if isinstance(part, SpectralMatrix) and memory == "weights":
        yield part.weights >> part.zeros, part.bits
    elif isinstance(part, RepeatedMatrix) and memory == "weights":
        yield part.core, part.format.width
    elif isinstance(part, ActivationTable) and memory == "tables":
        yield part.base, part.output.width
    elif isinstance(part, tuple):
        for item in part:
            yield from _words(item, memory)
    elif is_dataclass(part):
        for field in fields(part):
            yield from _words(getattr(part, field.name), memory)


def _rebuilt(part: Any, memory: Memory, flipped: Iterator[Array]) -> Any:
    if isinstance(part, SpectralMatrix) and memory == "weights":
        return replace(part, weights=next(flipped) << part.zeros)
    if isinstance(part, RepeatedMatrix) and memory == "weights":
        return replace(part, core=next(flipped))
    if isinstance(part, ActivationTable) and memory == "tables":
        return replace(part, base=next(flipped))
    if isinstance(part, tuple):
        return tuple(_rebuilt(item, memory, flipped) for item in part)
    if is_dataclass(part) and not isinstance(part, type):
        changed = {
            field.name: _rebuilt(getattr(part, field.name), memory, flipped)
            for field in fields(part)
        }
        same = all(changed[field.name] is getattr(part, field.name) for field in fields(part))
        return part if same else replace(part, **changed)
    return part
