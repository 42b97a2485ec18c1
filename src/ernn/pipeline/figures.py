"""Figures that several steps record."""

from math import prod, sqrt
from typing import cast

from ernn.ir.edges import edge_formats as formats_of_edges
from ernn.ir.edges import spectrum_formats
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Layer, Network
from ernn.ir.precision import EdgeError, Error, decibels
from ernn.ir.structure import block_size
from ernn.nn.spec import ModelSpec
from ernn.report.record import Measurement
from ernn.report.series import EdgeFormat, LayerPicture, MatrixBits, Precision, SizeRow
from ernn.search.cost import shapes
from ernn.train.evaluate import ErrorRate

NORMAL_95 = 1.959964


def error_rate(rate: ErrorRate, tool: str) -> Measurement:
    """An error rate in per cent, its 95 % interval by Wilson 1927 (tokens taken as independent)."""
    return Measurement(
        round(rate.percent, 4),
        "%",
        "measured",
        tool,
        tokens=rate.tokens,
        interval=wilson(min(rate.errors, rate.tokens), rate.tokens),
        note=(
            f"{rate.substitutions} substitutions, {rate.deletions} deletions, "
            f"{rate.insertions} insertions"
        ),
    )


def wilson(errors: int, tokens: int) -> tuple[float, float]:
    """Interval of a proportion in per cent."""
    share, z2 = errors / tokens, NORMAL_95**2 / tokens
    middle, half = (
        share + z2 / 2,
        NORMAL_95 * sqrt(share * (1 - share) / tokens + z2 / (4 * tokens)),
    )
    return round(100 * max(0.0, middle - half) / (1 + z2), 4), round(
        100 * min(1.0, middle + half) / (1 + z2), 4
    )


def size_row(name: str, network: Network, bits: int) -> SizeRow:
    """Size of one form of the network; `bits` of one weight."""
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


def layer_pictures(network: Network, bits: int) -> tuple[LayerPicture, ...]:
    """The layers as the report draws them."""
    return tuple(_picture(f"l{index}", layer, bits) for index, layer in enumerate(network.layers))


def _picture(name: str, layer: Layer, bits: int) -> LayerPicture:
    matrices = tuple(
        MatrixBits(
            matrix_name,
            cast(int, matrix.value.shape[0]),
            matrix.rows,
            matrix.columns,
            block_size(matrix.structure),
            matrix.structure.stored(matrix.value.shape),
            bits,
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


def precision(error: Error, limit: float, tool: str) -> tuple[dict[str, Measurement], Precision]:
    """What a record says of integers against floats: figures by path, and the worst edge."""
    concern, worst = error.concern(limit), error.worst.edge if error.worst else ""

    def measured(value: float, unit: str) -> Measurement:
        return Measurement(value, unit, "measured", tool, note=concern or None)

    found = {
        "quantization.error": measured(round(100 * error.rms, 6), "%"),
        "quantization.largest": measured(error.largest, ""),
        "quantization.snr": measured(round(error.snr, 3), "dB"),
        "quantization.saturating_states": measured(len(error.saturating), "edges"),
    }
    return found, Precision("measured", tool, concern, worst, error.over_time)
