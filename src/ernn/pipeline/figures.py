"""Figures that several steps record."""

from collections.abc import Iterable
from dataclasses import replace
from math import prod
from typing import cast

from ernn.ir import serialization as codec
from ernn.ir.edges import edge_formats as formats_of_edges
from ernn.ir.edges import layer_name, spectrum_formats
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Layer, Network
from ernn.ir.precision import EdgeError, Error, decibels
from ernn.ir.structure import block_size
from ernn.nn.spec import ModelSpec
from ernn.quantization.drafts import QuantizeSpec
from ernn.quantization.widths import named
from ernn.report.record import Measurement, RunRecord
from ernn.report.series import (
    EdgeFormat,
    Hosted,
    HostedRow,
    LayerPicture,
    MatrixBits,
    NetworkPicture,
    Precision,
    SizeRow,
    put,
)
from ernn.search.cost import shapes
from ernn.train.score import Decisions, Interval, Score


def put_score(record: RunRecord, form: str, found: Score, tool: str) -> None:
    """The error rate of one form of the network in per cent and, of decisions, their F1."""
    rate = _share(found.percent, tool, found, found.interval)
    record.set(f"error_rate.{form}", replace(rate, note=found.note))
    if isinstance(found, Decisions):
        record.set(f"f1.{form}", _share(found.f1, tool, found, found.f1_interval))


def _share(percent: float, tool: str, found: Score, interval: Interval) -> Measurement:
    return Measurement(
        round(percent, 4), "%", "measured", tool, tokens=found.tokens, interval=interval
    )


def mean_bits(network: Network, spec: QuantizeSpec) -> float:
    """Bits of a weight that is stored, the mean over all matrices; a whole number where it is."""
    matrices = [matrix for layer in named(network).layers for matrix in layer.matrices]
    bits = sum(matrix.stored * spec.weight_width(matrix.name) for matrix in matrices)
    mean = bits / network.stored_weights
    return int(mean) if mean.is_integer() else round(mean, 2)


def size_row(name: str, network: Network, bits: float) -> SizeRow:
    """Size of one form of the network; `bits` of one weight, in the mean."""
    matrices = [matrix for layer in network.layers for matrix in layer.matrices]
    multiplications = sum(m.structure.multiplications(m.value.shape) for m in matrices)
    return SizeRow(
        name, network.stored_weights, network.stored_recurrent_weights, bits, multiplications
    )


def dense_row(model: ModelSpec) -> SizeRow:
    """The size of the network before compression, in float32."""
    weights = sum(prod(one.shape) for one in shapes(model))
    recurrent = sum(prod(one.shape) for one in shapes(model) if one.role != "output")
    return SizeRow("dense", weights, recurrent, 32, weights)


def layer_pictures(network: Network, spec: QuantizeSpec) -> tuple[LayerPicture, ...]:
    """The layers as the report draws them."""
    layers = enumerate(named(network).layers)
    return tuple(_picture(layer_name(index), layer, spec) for index, layer in layers)


def _picture(name: str, layer: Layer, spec: QuantizeSpec) -> LayerPicture:
    matrices = tuple(
        MatrixBits(
            matrix_name,
            cast(int, matrix.value.shape[0]),
            matrix.rows,
            matrix.columns,
            block_size(matrix.structure),
            matrix.stored,
            spec.weight_width(matrix.name),
        )
        for matrix_name, matrix in zip(_names(layer), layer.matrices, strict=True)
    )
    return LayerPicture(name, _type(layer), sum(layer.input_sizes), layer.output_size, matrices)


def _names(layer: Layer) -> tuple[str, ...]:
    """Of a layer's matrices, in their order."""
    products = layer.cell.products
    return tuple(f"{product.name} of {read}" for product in products for read in product.reads)


def _type(layer: Layer) -> str:
    kind = layer.cell.title + (" with peepholes" if "p_i" in layer.cell.vectors else "")
    return f"{kind}, backward" if layer.backward else kind


def edge_formats(model: IntegerModel) -> tuple[EdgeFormat, ...]:
    """Every named edge of the model with its format."""
    found = formats_of_edges(model) | spectrum_formats(model)
    errors = {edge.edge: edge for edge in model.error.edges} if model.error else {}
    return tuple(_edge(name, format, errors.get(name)) for name, format in found.items())


def _edge(name: str, format: FixedFormat, error: EdgeError | None) -> EdgeFormat:
    if error is None:
        return EdgeFormat(name, True, format.width, format.frac)
    measured = (error.at_ends, decibels(error.rms), error.largest)
    return EdgeFormat(name, True, format.width, format.frac, *measured)


def put_integers(
    record: RunRecord, network: Network, model: IntegerModel, spec: QuantizeSpec
) -> None:
    """A network in integers: its layers and edges, its tables' errors, its bits."""
    tool = "ernn.quantization.activation_tables, over every input integer"
    for table in model.tables:
        worst = Measurement(table.max_error, "", "measured", tool)
        record.set(f"activations.{table.function}_error", worst)
    tool = "ernn.quantization.quantize"
    layers, edges = layer_pictures(network, spec), edge_formats(model)
    put(record, NetworkPicture("measured", tool, layers, edges, codec.digest(model)))
    for name, count in (
        {"weights": mean_bits(network, spec), "data": spec.data_bits} | spec.data.given
    ).items():
        path = f"quantization.bits.{name}"
        record.set(path, Measurement(count, "bits", "measured", "ernn.quantization"))


def put_precision(record: RunRecord, error: Error, limit: float, tool: str) -> None:
    """Integers against floats, and the worst edge; tool: what was compared, on which frames."""
    concern, worst = error.concern(limit), error.worst.edge if error.worst else ""
    tool = f"{tool}, {error.frames} frames"
    found = {
        "error": (round(100 * error.rms, 6), "%"),
        "largest": (error.largest, ""),
        "snr": (round(error.snr, 3), "dB"),
        "saturating_states": (len(error.saturating), "edges"),
    }
    for name, (value, unit) in found.items():
        measured = Measurement(value, unit, "measured", tool, note=concern or None)
        record.set(f"quantization.{name}", measured)
    put(record, Precision("measured", tool, concern, worst, error.over_time))


def put_hosted(record: RunRecord, share: float, stays: Iterable[HostedRow]) -> None:
    """Of a frame's multiplications the accelerator's share, and what stays on the host."""
    tool = "counted in the network as it was given"
    record.set("share_in_hardware", Measurement(round(100 * share, 4), "%", "measured", tool))
    put(record, Hosted("measured", tool, tuple(stays)))
