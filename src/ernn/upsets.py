"""Single-event upsets: bits of an integer model's memories flipped, as radiation flips them in block RAM.

The model that comes back runs in golden, and on the engine, as any other: what an upset does to the error rate is
measured by running it.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal

import numpy as np

from ernn.errors import UserError
from ernn.integer_model import ActivationTable, IntegerModel, SpectralMatrix
from ernn.repeated import RepeatedMatrix

Array = np.ndarray
Memory = Literal["weights", "tables"]


def memory_bits(model: IntegerModel, memory: Memory = "weights") -> int:
    """Bits that can flip: of all weights, or of the activation tables' bases."""
    return sum(values.size * width for values, width in _words(model, memory))


def with_upsets(model: IntegerModel, count: int, seed: int, memory: Memory = "weights") -> IntegerModel:
    """The model with `count` different bits flipped, drawn evenly from `memory_bits`."""
    total = memory_bits(model, memory)
    if not 0 <= count <= total:
        raise UserError(f"the model's {memory} have {total} bits: flip 0 to {total} of them, not {count}")
    chosen = np.sort(np.random.default_rng(seed).choice(total, count, replace=False))
    flipped, at = [], 0
    for values, width in _words(model, memory):
        size = values.size * width
        first, last = np.searchsorted(chosen, [at, at + size])
        flipped.append(_flipped(values, width, chosen[first:last] - at))
        at += size
    return _rebuilt(model, memory, iter(flipped))


def _flipped(values: Array, width: int, bits: Array) -> Array:
    """`bits` count from bit 0 of the first number; numbers are two's complement of `width` bits."""
    words = (values & ((1 << width) - 1)).ravel()
    np.bitwise_xor.at(words, bits // width, np.int64(1) << (bits % width))
    return np.where(words >> (width - 1), words - (1 << width), words).reshape(values.shape)


def _words(part: Any, memory: Memory) -> Iterator[tuple[Array, int]]:
    """Arrays of numbers and their width, in the order in which they are met."""
    if isinstance(part, SpectralMatrix) and memory == "weights":
        yield part.weights, part.format.width
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
        return replace(part, weights=next(flipped))
    if isinstance(part, RepeatedMatrix) and memory == "weights":
        return replace(part, core=next(flipped))
    if isinstance(part, ActivationTable) and memory == "tables":
        return replace(part, base=next(flipped))
    if isinstance(part, tuple):
        return tuple(_rebuilt(item, memory, flipped) for item in part)
    if is_dataclass(part) and not isinstance(part, type):
        changed = {field.name: _rebuilt(getattr(part, field.name), memory, flipped) for field in fields(part)}
        same = all(changed[field.name] is getattr(part, field.name) for field in fields(part))
        return part if same else replace(part, **changed)
    return part
