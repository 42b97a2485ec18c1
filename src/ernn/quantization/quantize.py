"""A trained `Network` to an `IntegerModel`: formats are chosen from ranges that are observed.

Scales are powers of two. Each format has the most fraction bits with which the largest observed
absolute value, times `headroom`, does not saturate; weights, biases, peepholes and initial states
are known and never saturate.  The values of h, m and r*h that cannot leave [-1, 1] are given the
range +-1 at most (1.0 itself becomes the largest integer).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ernn.errors import UserError
from ernn.ir.activations import EXACT, Function
from ernn.ir.edges import edge_formats, edge_name
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import ActivationTable, Units
from ernn.ir.network import NETWORK, Network, Source
from ernn.quantization.activation_tables import activation_table
from ernn.quantization.block_sizes import Blocks
from ernn.quantization.calibrate import Seen, calibrate
from ernn.quantization.drafts import Drafts, QuantizeSpec
from ernn.quantization.equalise import equalised
from ernn.quantization.integer_fft import forward_transform, inverse_transform
from ernn.quantization.layers import draft_network
from ernn.quantization.lowering import lowered
from ernn.quantization.scales import balance

__all__ = ["QuantizeSpec", "quantize"]

Array = np.ndarray

DEFAULT = QuantizeSpec()
"""12-bit weights, 16-bit data."""


@dataclass(frozen=True, eq=False)
class Observed:
    """A network as it is quantized, and what was seen of it; `units`: `equalised`'s exponents."""

    network: Network
    blocks: Blocks
    seen: Seen
    units: Mapping[str, Array]


def observed(
    network: Network, calibration: Sequence[Array], equalise: bool = True, data_bits: int = 16
) -> Observed:
    """Run a network over typical utterances, for any number of quantizations.

    equalise: whether numbers of a vector may get units of their own.
    data_bits: of a constant; units are no further apart.
    """
    network = lowered(network)
    blocks = Blocks.of(network)
    seen, units = calibrate(network, calibration, blocks), dict[str, Array]()
    if equalise:
        network, units = equalised(network, seen, blocks.largest, data_bits)
        if units:
            scale = units.get(edge_name(NETWORK), 0)
            calibration = [np.ldexp(frames, scale) for frames in calibration]
            seen = calibrate(network, calibration, blocks)
    return Observed(network, blocks, seen, units)


def quantize(
    network: Network,
    calibration: Sequence[Array],
    spec: QuantizeSpec = DEFAULT,
    like: IntegerModel | None = None,
) -> IntegerModel:
    """The network in integers.

    calibration: typical utterances, (time, inputs) each, from training data.
    spec: bits of weights and data.
    like: a model of the same layers with the formats of data and the tables that are wanted, in the
        place of `spec.data`; weights, spectra and what a product rounds still get their own.

    Raises UserError where a matrix does not have the structure it claims, there is nothing to
    calibrate on, or `like` is of other layers.
    """
    _require_width(spec, like)
    equalise = spec.equalise and like is None
    return integers(observed(network, calibration, equalise, spec.data_bits), spec, like)


def integers(found: Observed, spec: QuantizeSpec, like: IntegerModel | None = None) -> IntegerModel:
    """As `quantize`, of what was observed before."""
    network, block = found.network, found.blocks.largest
    given = {} if like is None else edge_formats(like)
    drafts = Drafts(spec, found.blocks, found.seen, _steps_by_function(network), given)
    finishers = draft_network(drafts, network)
    balance(drafts.products)
    model = IntegerModel(
        block,
        tuple(signal.finish() for signal in drafts.signals),
        tuple(finish() for finish in finishers),
        tuple(edge_name(source) for source in network.results),
        forward_transform(block, spec.twiddle_bits, spec.guard),
        inverse_transform(block, spec.twiddle_bits),
        _tables(drafts) if like is None else like.tables,
        network.last_step,
        units=tuple(Units(edge, exponents) for edge, exponents in found.units.items()),
    )
    if like is not None and edge_formats(model) != given:
        raise UserError(
            "the formats given are of another network: quantize the one that was trained with "
            "them, in the same layers"
        )
    return model


def _require_width(spec: QuantizeSpec, like: IntegerModel | None) -> None:
    spectrum = None if like is None else like.input.spectrum
    if spectrum is not None and spectrum.width != spec.data_bits:
        raise UserError(
            f"the network was trained with data of {spectrum.width} bits: quantize it with these, "
            f"not {spec.data_bits}"
        )


def _steps_by_function(network: Network) -> dict[Function, list[str]]:
    """The edges of the steps that end with each function that is a table."""
    found: dict[Function, list[str]] = {}
    for index, layer in enumerate(network.layers):
        for step in layer.cell.steps:
            if step.activation is not None and step.activation not in EXACT:
                edge = edge_name(Source(index, step.name))
                found.setdefault(step.activation, []).append(edge)
    return found


def _tables(drafts: Drafts) -> tuple[ActivationTable, ...]:
    segments = drafts.spec.segment_bits
    return tuple(
        activation_table(function, *drafts.table_formats(function), segments)
        for function in drafts.steps
    )
