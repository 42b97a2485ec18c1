"""Figures that several steps record."""

from math import prod, sqrt
from typing import cast

from ernn.ir.edges import edge_formats as formats_of_edges
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Layer, Network
from ernn.ir.structure import block_size
from ernn.nn.spec import ModelSpec
from ernn.report.record import Measurement
from ernn.report.series import EdgeFormat, LayerPicture, MatrixBits, SizeRow
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
    spectra = {f"{s.name}.spectrum": s.spectrum for s in model.signals if s.spectrum is not None}
    found = formats_of_edges(model) | spectra
    return tuple(
        EdgeFormat(name, True, format.width, format.frac) for name, format in found.items()
    )
