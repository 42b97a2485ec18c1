"""A user's own network to integers: from an ONNX file or a function in a Python file."""

import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ernn.data.given import held_back, sequences
from ernn.errors import UserError, one_line
from ernn.files import write_atomic
from ernn.frontends.imported import Imported
from ernn.frontends.opened import opened, streamed
from ernn.golden.least_error import least_error
from ernn.ir import serialization as codec
from ernn.ir.integer_model import IntegerModel
from ernn.ir.precision import LIMIT
from ernn.pipeline import figures
from ernn.pipeline.kept import GIVEN, MODEL, NETWORK
from ernn.pipeline.run import Outcome, Run
from ernn.quantization.quantize import QuantizeSpec
from ernn.report.series import HostedRow, Sizes, put

COLUMNS = ("operation", "accelerator", "why", "multiplications a frame")


@dataclass(frozen=True)
class Converted:
    """A network as imported, and in integers of `spec`; what its accelerator is given of each
    sequence.
    """

    imported: Imported
    integers: IntegerModel
    spec: QuantizeSpec
    frames: list[np.ndarray]


def convert(network: str, data: Path, spec: QuantizeSpec, batch_first: bool) -> Converted:
    """The network at a path, or that `file.py:function` gives, on a file of sequences."""
    module = _network(network)
    utterances = read_data(data)
    example = next(frames for frames, _ in sequences(utterances) if len(frames))
    imported = opened(module, example, None, batch_first, {})
    frames = streamed(imported, utterances)
    integers, bits = least_error(imported.network, *held_back(frames), spec)
    return Converted(imported, integers, bits, frames)


def read_data(path: Path) -> list[np.ndarray]:
    """Sequences (time, ...): all arrays of an .npz file, or the one of an .npy file."""
    try:
        held = np.load(path, allow_pickle=False)
        return [held] if isinstance(held, np.ndarray) else [held[name] for name in held.files]
    except FileNotFoundError as error:
        raise UserError(f"{path} is not there: give an .npy or .npz file of sequences") from error
    except Exception as error:
        raise UserError(f"{path} is no .npy or .npz file: {one_line(error)}") from error


def _network(text: str) -> Any:
    """An ONNX file's network, or what a function in a Python file gives."""
    path, colon, name = text.rpartition(":")
    if text.endswith(".py"):
        raise UserError(f"{text} has many functions: say which gives the network, {text}:function")
    if not colon or not path.endswith(".py"):
        from ernn.frontends.onnx_program import OnnxProgram

        return OnnxProgram.load(text).model
    try:
        function = runpy.run_path(path)[name]
        return function()
    except KeyError:
        raise UserError(f"{path} has no function {name}") from None
    except Exception as error:
        raise UserError(f"{text} gives no network: {one_line(error)}") from error


def described(converted: Converted) -> Mapping[str, Any]:
    """What runs where, as plain values."""
    imported, error = converted.imported, converted.integers.error
    return {
        "share_in_hardware": imported.share,
        "float_difference": imported.difference,
        "integer_error": None if error is None else error.rms,
        "layers": [layer.cell.title for layer in imported.network.layers],
        "host": [vars(one) for one in imported.stays],
    }


def keep(run: Run, network: str, data: Path, converted: Converted) -> Outcome:
    """What streams, in floats and integers, as the beginning of a run: `ernn design` goes on."""
    imported, integers = converted.imported, converted.integers
    options = {"network": network, "data": str(data), "integers": codec.digest(integers)}

    def work() -> None:
        codec.save(run.path(NETWORK), imported.network)
        codec.save(run.path(MODEL), integers)
        content = BytesIO()
        np.savez(content, *converted.frames)
        write_atomic(run.path(GIVEN), content.getvalue())
        whole = figures.mean_bits(imported.network, converted.spec)
        rows = [
            figures.size_row(name, imported.network, bits)
            for name, bits in (("imported", 32), ("integer", whole))
        ]
        tool = "counted from the network, padding included"
        put(run.record, Sizes("measured", tool, tuple(rows)))
        figures.put_integers(run.record, imported.network, integers, converted.spec)
        stays = (HostedRow(*vars(one).values()) for one in imported.stays)
        figures.put_hosted(run.record, imported.share, stays)
        if integers.error is not None:
            tool = "golden against float64, sequences that chose no formats"
            figures.put_precision(run.record, integers.error, LIMIT, tool)

    return run.perform("import", options, work, writes=[NETWORK, MODEL, GIVEN])
