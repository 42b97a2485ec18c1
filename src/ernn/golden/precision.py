"""The golden model against the float network, edge by edge: what was lost, and where."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ernn.golden.boundary import dequantize_input, dequantize_output, quantize_inputs
from ernn.golden.compiled import Compiled
from ernn.golden.headroom import at_ends, can_saturate, states
from ernn.golden.run import run_all, trace
from ernn.ir import reference
from ernn.ir.edges import edge_formats, layer_name, spectrum_formats
from ernn.ir.fixed_point import dequantize
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Network
from ernn.ir.precision import EdgeError, Error
from ernn.quantization.integer_fft import packed_spectra
from ernn.quantization.kept import copied, has_copies
from ernn.quantization.lowering import lowered

Array = np.ndarray


class Pair(NamedTuple):
    """An edge's floats and its integers as real numbers, (time, values) each, and how many of the
    integers are at the ends of their format.
    """

    floats: Array
    found: Array
    ends: int


FRAMES = 1000
"""So many, and the rest of an utterance, are compared on every edge."""
STRETCHES = 300
"""Of time, at most, that an error over time is given for."""


def judged(network: Network, model: IntegerModel, utterances: Sequence[Array]) -> IntegerModel:
    """The model with its `precision` on frames that chose none of its formats."""
    return replace(model, error=precision(network, model, utterances))


def precision(network: Network, model: IntegerModel, utterances: Sequence[Array]) -> Error:
    """How far the model is from the network that it was made of.

    utterances: frames (time, inputs) each, as real numbers; outputs are compared on all of them,
        edges on the first.
    """
    expected = np.concatenate(reference.run_all(network, utterances))
    integers = quantize_inputs(model, utterances)
    same = lowered(copied(network) if has_copies(model) else network)
    outputs = [dequantize_output(model, found) for found in run_all(model, integers, Compiled)]
    apart = np.concatenate(outputs) - expected
    counts = np.cumsum([len(frames) for frames in utterances])
    both = list(zip(utterances, integers, strict=True))[: 1 + int(np.searchsorted(counts, FRAMES))]
    traced = [_pairs(same, model, *frames) for frames in both if len(frames[0])]
    edges = tuple(_edge_error(edge, traced) for edge in (traced or [{}])[0])
    error = Error(_relative(expected, apart), _largest(apart), len(expected), edges)
    shares = {edge.edge: edge.at_ends for edge in edges}
    saturating = tuple(edge for edge in states(model) if shares.get(edge))
    worst = [] if error.worst is None else [pairs[error.worst.edge] for pairs in traced]
    return replace(error, saturating=saturating, over_time=_over_time(worst))


def _relative(floats: Array, apart: Array) -> float:
    scale, rms = (float(np.sqrt(np.square(values).mean())) for values in (floats, apart))
    return rms / scale if scale else rms


def _largest(values: Array) -> float:
    return float(np.abs(values).max(initial=0))


def _pairs(network: Network, model: IntegerModel, frames: Array, x: Array) -> dict[str, Pair]:
    """Every edge of one utterance that both have."""
    floats, formats = _float_edges(network, model, frames), edge_formats(model)
    formats |= spectrum_formats(model)
    ends = can_saturate(model)

    def pair(edge: str, values: Array) -> Pair:
        found = (
            dequantize_input(model, values)
            if edge == model.input.name
            else np.ldexp(dequantize(values, formats[edge]), -model.exponents(edge))
        )
        return Pair(floats[edge], found, at_ends(values, ends[edge]) if edge in ends else 0)

    integers = trace(model, x, Compiled)
    return {edge: pair(edge, values) for edge, values in integers.items() if edge in floats}


def _float_edges(network: Network, model: IntegerModel, frames: Array) -> dict[str, Array]:
    """Edges (time, values) in the order of the frames, with spectra as golden's trace has them."""
    rows: Mapping[str, list[Array]] = defaultdict(list)

    def record(edge: str, values: Array) -> None:
        rows[edge].append(values.reshape(len(values), -1))

    reference.observe(network, [frames], record)
    found = {edge: np.concatenate(parts) for edge, parts in rows.items()}
    for index, layer in enumerate(network.layers):
        for edge in found if layer.backward else ():
            if edge.startswith(f"{layer_name(index)}."):
                found[edge] = found[edge][::-1]
    for signal in model.signals:
        if signal.spectrum is not None and len(found[signal.name][0]) == signal.length:
            scaled = np.ldexp(found[signal.name], model.exponents(signal.name))
            spectra = packed_spectra(scaled, model.block, model.parts.get(signal.name, 1))
            found[f"{signal.name}.spectrum"] = spectra.reshape(len(spectra), -1)
    return found


def _edge_error(edge: str, traced: Sequence[Mapping[str, Pair]]) -> EdgeError:
    pairs = [pairs[edge] for pairs in traced]
    floats = np.concatenate([pair.floats for pair in pairs])
    apart = np.concatenate([pair.found for pair in pairs]) - floats
    ends = sum(pair.ends for pair in pairs)
    return EdgeError(edge, _relative(floats, apart), _largest(apart), ends / max(1, floats.size))


def _over_time(worst: Sequence[Pair]) -> tuple[float, ...]:
    """Over the longest utterance, in stretches of one frame or more, against the edge's own rms."""
    if not worst:
        return ()
    floats, integers, _ = max(worst, key=lambda pair: len(pair.floats))
    scale = float(np.sqrt(np.square(floats).mean())) or 1.0
    squares = np.square(integers - floats).mean(1)
    starts = np.arange(0, len(squares), -(-len(squares) // STRETCHES))
    means = np.add.reduceat(squares, starts) / np.diff(np.append(starts, len(squares)))
    return tuple(float(value) for value in np.sqrt(means) / scale)
