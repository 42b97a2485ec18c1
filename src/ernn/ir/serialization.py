"""Frozen dataclasses of plain values and arrays to a file and back, executing nothing; digests.

A file is a safetensors container: the arrays, and the tree of values as JSON in the header's
metadata, in one order, so that equal values are equal files.  Only the classes listed here can be
made from a file, by their own constructors, so what they validate is validated on loading. The
digest is SHA-256 over the canonical JSON and every array's shape and values, whatever width they
are stored in.
"""

import hashlib
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors.numpy import load as load_tensors

from ernn.errors import UserError, one_line
from ernn.files import write_atomic
from ernn.ground.plain import fits, hints
from ernn.ground.reading import parse_json, read_bytes
from ernn.ir import cell, integer_model, integer_parts, kronecker, network, structure
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.precision import EdgeError, Error, Remedy

T = TypeVar("T")
Array = np.ndarray

_FORMAT = "ernn 2"
_EARLIER = ("ernn 1",)
_CLASSES: tuple[type, ...] = (
    FixedFormat,
    structure.Dense,
    structure.BlockCirculant,
    structure.Pruned,
    structure.LoadBalanced,
    structure.BankBalanced,
    network.Matrix,
    network.Factored,
    network.Source,
    network.Layer,
    cell.Read,
    cell.CellProduct,
    cell.CellStep,
    cell.CellStage,
    cell.Cell,
    network.Network,
    integer_parts.Stage,
    integer_parts.Transform,
    integer_parts.Signal,
    integer_parts.Units,
    integer_parts.SpectralMatrix,
    kronecker.RepeatedMatrix,
    integer_parts.Operand,
    integer_parts.Product,
    integer_parts.ActivationTable,
    EdgeError,
    Remedy,
    Error,
    integer_model.IntegerLayer,
    integer_model.IntegerModel,
)
_DTYPES = {"float64": "F64", "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8"}
_BY_NAME = {kind.__name__: kind for kind in _CLASSES}


def save(path: Path | str, value: Any) -> Path:
    """Write a `Network`, an `IntegerModel` or any part of one to `path`, whole or not at all."""
    tree, arrays = _encode(value)
    metadata = {"format": _FORMAT, "tree": _canonical(tree), "digest": _digest(tree, arrays)}
    return write_atomic(path, _container(metadata, {n: _narrowed(a) for n, a in arrays.items()}))


def load(path: Path | str, kind: type[T]) -> T:
    """Read a value of class `kind` written by `save`.

    Raises UserError where the file is missing, not one of ours, damaged, or holds something else.
    """
    content = read_bytes(path)
    try:
        metadata = _metadata(content)
        earlier = metadata["format"] in _EARLIER
        value = None if earlier else _value(metadata, content)
    except Exception as error:  # whatever a damaged file does to the parsers
        why = f"no {error}" if isinstance(error, KeyError) else one_line(error)
        raise UserError(
            f"{path} is not a file written by ernn, or is damaged: {why}; put back a copy, or do "
            "again what made it"
        ) from error
    if earlier:
        raise UserError(
            f"{path} was written by an earlier version of ernn, whose layers were of other kinds: "
            "do again what made it"
        )
    if not isinstance(value, kind):
        raise UserError(f"{path} holds a {type(value).__name__}, not a {kind.__name__}")
    return value


def _value(metadata: dict[str, str], content: bytes) -> Any:
    tree = parse_json(metadata["tree"], "its tree")
    arrays = _widened(load_tensors(content))
    if metadata["format"] != _FORMAT or metadata["digest"] != _digest(tree, arrays):
        raise ValueError("its digest differs from its contents")
    return _decode(tree, arrays)


def digest(value: Any) -> str:
    """SHA-256 in hexadecimal over everything the value holds: the same after `save` and `load`."""
    return _digest(*_encode(value))


def _encode(value: Any) -> tuple[Any, dict[str, Array]]:
    arrays: dict[str, Array] = {}

    def walk(part: Any) -> Any:
        if isinstance(part, np.ndarray) and part.dtype.name in _DTYPES:
            arrays[f"a{len(arrays):04}"] = part
            return {"array": len(arrays) - 1}
        if isinstance(part, tuple):
            return [walk(item) for item in part]
        if is_dataclass(part) and (
            type(part) in _CLASSES or isinstance(part, structure.Description)
        ):
            return {"class": type(part).__name__} | {
                f.name: walk(getattr(part, f.name)) for f in fields(part)
            }
        if part is None or type(part) in (bool, int, float, str):
            return part
        raise TypeError(f"cannot save a {type(part).__name__}")

    return walk(value), arrays


def _decode(tree: Any, arrays: dict[str, Array]) -> Any:
    if isinstance(tree, list):
        return tuple(_decode(item, arrays) for item in tree)
    if not isinstance(tree, dict):
        return tree
    if "array" in tree:
        return arrays[f"a{tree['array']:04}"]
    kind = _class(tree["class"])
    given = {name: _decode(part, arrays) for name, part in tree.items() if name != "class"}
    for name, value in given.items():
        if not fits(value, hints(kind)[name]):
            raise ValueError(f"{kind.__name__} has a wrong {name}")
    return kind(**given)


def _class(name: str) -> type:
    """One of ours, or a structure that has been imported."""
    known = structure.descriptions() | _BY_NAME
    if name not in known:
        raise ValueError(f"it holds a {name!r}: import the module that defines it first")
    return known[name]


def _canonical(tree: Any) -> str:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(tree: Any, arrays: dict[str, Array]) -> str:
    total = hashlib.sha256(_canonical(tree).encode())
    for name in sorted(arrays):
        array = arrays[name]
        total.update(f"{name} {array.dtype.name} {array.shape}".encode())
        total.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
    return total.hexdigest()


def _narrowed(array: Array) -> Array:
    """Integers in the narrowest type that holds them, to keep files small."""
    array = np.ascontiguousarray(array)
    if array.dtype != np.int64:
        return array
    low, high = int(array.min(initial=0)), int(array.max(initial=0))
    for kind in (np.int8, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return array.astype(kind)
    return array


def _widened(arrays: dict[str, Array]) -> dict[str, Array]:
    return {name: a.astype(np.int64) if a.dtype.kind == "i" else a for name, a in arrays.items()}


def _container(metadata: dict[str, str], arrays: dict[str, Array]) -> bytes:
    """As the documentation of safetensors has it ("Format"), keys sorted, and arrays by falling
    size of a number, so that each is aligned.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    body = bytearray()
    for name in sorted(arrays, key=lambda name: (-arrays[name].itemsize, name)):
        array, start = arrays[name], len(body)
        body += array.astype(array.dtype.newbyteorder("<")).tobytes()
        header[name] = {
            "dtype": _DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [start, len(body)],
        }
    head = _canonical(header).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + body


def _metadata(content: bytes) -> dict[str, str]:
    """The header's metadata: 8 bytes of length, then JSON (safetensors documentation, "Format")."""
    size = int.from_bytes(content[:8], "little")
    return parse_json(content[8 : 8 + size].decode(), "its header")["__metadata__"]
