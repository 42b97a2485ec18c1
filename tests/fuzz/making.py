"""Kinds of files from undamaged ones: whose bytes are changed, or the values and arrays inside."""

import io
import random
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.harness import Kind, Mutate
from tests.fuzz.mutate import altered, damaged

Array = np.ndarray
Use = Callable[[Path], Any]
Write = Callable[[Any], bytes]


def by_bytes(name: str, use: Use, *whole: bytes, file: str = "file") -> Kind:
    """Files whose bytes are changed."""
    return Kind(name, whole, [partial(damaged, one) for one in whole], use, file)


def by_values(name: str, use: Use, write: Write, *values: Any, file: str = "file") -> Kind:
    """Files of plain values, which are changed, or else the bytes."""
    whole = [write(value) for value in values]
    mutations: list[Mutate] = [partial(damaged, one) for one in whole]
    mutations += [partial(_written, write, value) for value in values]
    return Kind(name, whole, mutations, use, file)


def _written(write: Write, value: Any, chance: random.Random) -> bytes:
    return write(altered(value, chance))


def archive(compressed: bool, named: Mapping[str, Array]) -> bytes:
    file, write = io.BytesIO(), np.savez_compressed if compressed else np.savez
    write(file, **named)  # type: ignore[arg-type]
    return file.getvalue()


def by_arrays(name: str, use: Use, named: Mapping[str, Array]) -> Kind:
    """Archives whose bytes are changed, or one of whose arrays is, in an archive that is whole."""
    whole = [archive(compressed, named) for compressed in (False, True)]
    mutations: list[Mutate] = [partial(damaged, one) for one in whole]
    return Kind(name, whole, [*mutations, partial(_one_changed, named)], use)


def _one_changed(named: Mapping[str, Array], chance: random.Random) -> bytes:
    name = chance.choice(list(named))
    return archive(False, {**named, name: changed(named[name], chance)})


def changed(array: Array, chance: random.Random) -> Array:
    made = array.copy()
    match chance.randrange(6):
        case 0 if made.size:
            kind, extreme = _EXTREME.get(made.dtype.kind, _EXTREME["f"])
            made = made.astype(kind)
            made.reshape(-1)[chance.randrange(made.size)] = chance.choice(extreme)
            return made
        case 1:
            return made.reshape(-1)
        case 2:
            return made[..., None]
        case 3:
            return made[:0] if made.ndim else made
        case 4:
            return made.astype({"i": "f8", "f": "i8"}.get(made.dtype.kind, "S"))
    return np.concatenate([made, made]) if made.ndim else made


_EXTREME: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "i": ("i8", (0, -1, 1, 2**31, 2**62, -(2**63))),
    "f": ("f8", (0.0, -0.0, 1e308, 1e-308, float("nan"), float("inf"))),
    "U": ("U99", ("", "a\nb", "{}", '{"window": 10000000000}', "-1", "\ud800")),
}
