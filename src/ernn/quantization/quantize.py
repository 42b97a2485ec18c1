"""A trained `Network` to an `IntegerModel`: formats are chosen from ranges that are observed.

Scales are powers of two. Each format has the most fraction bits with which the largest observed
absolute value, times `headroom`, does not saturate; weights, biases, peepholes and initial states
are known and never saturate.  The values of h, m and r*h that cannot leave [-1, 1] are given the
range +-1 at most (1.0 itself becomes the largest integer).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, log2

import numpy as np

from ernn.errors import UserError
from ernn.ir.activations import BOUNDED, EXACT, Function
from ernn.ir.edges import edge_formats, edge_name, kind_of
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import ActivationTable, Units
from ernn.ir.network import NETWORK, Network, Source
from ernn.quantization.activation_tables import activation_table
from ernn.quantization.apart import apart_as, fit_any_bits, rows_as, rows_filled, taken_apart
from ernn.quantization.block_sizes import Blocks
from ernn.quantization.calibrate import Seen, calibrate
from ernn.quantization.columns import multiplied
from ernn.quantization.compensation import Moments, second_moments
from ernn.quantization.drafts import MOST_SEGMENTS, Drafts, QuantizeSpec, largest
from ernn.quantization.equalise import cells_as, equalised, finds_units
from ernn.quantization.hidden import hidden_as, hidden_filled
from ernn.quantization.inputs import (
    COARSER,
    FINER,
    felt,
    given_in_three,
    in_three,
    ranges_far,
    refined,
    spared,
    with_room,
)
from ernn.quantization.integer_fft import forward_transform, inverse_transform
from ernn.quantization.kept import copied, has_copies
from ernn.quantization.layers import draft_network
from ernn.quantization.lowering import lowered
from ernn.quantization.scales import balance, fit
from ernn.quantization.widths import named, widest_weights

__all__ = ["QuantizeSpec", "quantize"]

Array = np.ndarray

DEFAULT = QuantizeSpec()
"""12-bit weights, 16-bit data."""
AS_ASKED = 8.0
"""Up to so far a table has the segments that are asked for."""


@dataclass(frozen=True, eq=False)
class Observed:
    """A network as it is quantized, and what was seen of it."""

    network: Network
    blocks: Blocks
    seen: Seen
    units: tuple[Units, ...] = ()
    any_bits: bool = False
    """Whether it is the same at any bits of data and of inputs."""
    furthest: float = 0.0
    """Largest number seen of a cell that may leave [-1, 1]."""
    moments: Mapping[str, Moments] = field(default_factory=dict[str, Moments])
    """Of what products read, by edge, where the rounding of weights is to be compensated."""


def looked(network: Network, calibration: Sequence[Array], copies: bool) -> Observed:
    """A network as it is, run over typical utterances; products may read copies of what is kept."""
    network = _prepared(network, copies)
    blocks = Blocks.of(network)
    return Observed(network, blocks, calibrate(network, calibration, blocks))


def observed(
    network: Network,
    calibration: Sequence[Array],
    spec: QuantizeSpec = DEFAULT,
    finer_cells: int = 0,
    fill_hidden: bool = False,
    compensate: bool = False,
    first: Observed | None = None,
) -> Observed:
    """Run a network over typical utterances, for any number of quantizations with as many bits of
    data and of inputs, `keeps_states`, `headroom` and `equalise`.

    first: what `looked` gives of the network, where it is there already.
    finer_cells: cells get as many fraction bits more, and saturate as much earlier.
    fill_hidden: whether hidden numbers get units, too (`ernn.quantization.hidden`).
    compensate: whether weights make up for one another's rounding, but those of an input of three
        integers a number, which have columns for that (`ernn.quantization.compensation`).  Numbers
        have a bit less to grow by then: such weights can stand columns that differ more in size.
    """
    first = first or looked(network, calibration, spec.keeps_states)
    network, blocks, seen = first.network, first.blocks, first.seen
    hidden: dict[str, Array] = {}
    if fill_hidden:
        network, hidden = hidden_filled(network, seen, blocks.largest, compensate)
        seen = calibrate(network, calibration, blocks) if hidden else seen
    cells = {edge: seen.units[edge] for edge in _cells(network)}
    furthest = max((float(own.max()) for own in cells.values()), default=0.0)
    cells = {edge: np.minimum(own, own.max() / 2.0**finer_cells) for edge, own in cells.items()}
    seen = seen.reaching(cells)
    units = tuple(Units(edge, each) for edge, each in hidden.items())
    found = Observed(network, blocks, seen, units, any_bits=True, furthest=furthest)
    if spec.equalise:
        found = _in_own_units(found, cells, calibration, spec, tight=compensate)
    return _with_moments(found, calibration) if compensate else found


def _with_moments(found: Observed, calibration: Sequence[Array]) -> Observed:
    """With moments of what products read, in its own units; not of an input of three integers."""
    input = next((one for one in found.units if one.edge == edge_name(NETWORK)), None)
    exponents = 0 if input is None else input.of_integers
    times = 1 if input is None else input.integers
    frames = [np.ldexp(np.tile(one, times), exponents) for one in calibration]
    moments = second_moments(found.network, frames, found.blocks)
    if times > 1:
        del moments[edge_name(NETWORK)]
    return replace(found, moments=moments)


def _in_own_units(
    given: Observed,
    cells: Mapping[str, Array],
    calibration: Sequence[Array],
    spec: QuantizeSpec,
    tight: bool,
) -> Observed:
    """With operands and units as formats need them; cells reach no further than is given, number
    by number.  tight: inputs have a bit less to grow by.
    """
    network, blocks, seen = given.network, given.blocks, given.seen
    network = taken_apart(network, seen)
    network, units = equalised(network, seen, blocks.largest, spec.data_bits, tight)
    exponents = units.get(edge_name(NETWORK), np.zeros(network.input_size, np.int64))
    frames = [np.ldexp(one, exponents) for one in calibration]
    largest = max((float(np.abs(one).max(initial=0)) for one in frames), default=0.0)
    format = fit(largest * spec.headroom, spec.bits("input"))
    far = ranges_far(network, frames, format)
    any_bits = not far and finds_units(spec.data_bits) and set(units) <= {edge_name(NETWORK)}
    found = {edge: Units(edge, each) for edge, each in units.items()}
    cells = {edge: np.ldexp(own, units.get(edge, 0)) for edge, own in cells.items()}
    if far and felt(network, frames, format):
        more = spared(frames)
        network = in_three(multiplied(network, NETWORK, more))
        frames = given_in_three([np.ldexp(one, more) for one in frames])
        input = Units(edge_name(NETWORK), exponents + more, FINER, COARSER)
        found.pop(input.edge, None)
        found = {input.edge: input} | found
        seen = with_room(calibrate(network, frames, blocks).reaching(cells))
    elif network is not given.network:
        seen = calibrate(network, frames, blocks).reaching(cells)
    network, seen, rows = rows_filled(network, seen, spec.data_bits)
    any_bits = any_bits and all(fit_any_bits(one) for one in rows.values())
    found |= {edge: Units(edge, each) for edge, each in rows.items()}
    given = replace(given, network=network, seen=seen, any_bits=any_bits)
    return replace(given, units=(*given.units, *found.values()))


def _cells(network: Network) -> list[str]:
    """Edges of cells that may leave [-1, 1]."""
    return [
        edge_name(Source(index, step.name))
        for index, layer in enumerate(network.layers)
        for step in layer.cell.steps
        if kind_of(layer.cell, step) == "cell" and not step.within_one
    ]


def _prepared(network: Network, copies: bool) -> Network:
    """The network that is quantized; products may read copies of what is kept."""
    network = named(network)
    return lowered(copied(network) if copies else network)


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
    if like is None:
        return integers(observed(network, calibration, spec), spec)
    return integers(_observed_like(network, calibration, like), spec, like)


def _observed_like(network: Network, calibration: Sequence[Array], like: IntegerModel) -> Observed:
    """With the operands and in the units of another model."""
    network, input = _prepared(network, has_copies(like)), like.of_input
    cells = [layer.cell for layer in like.layers]
    if len(cells) != len(network.layers) or len(input.exponents) != network.input_size:
        raise _of_another_network()
    blocks, units = Blocks.of(network), {one.edge: one.exponents for one in like.units}
    network = apart_as(hidden_as(network, units), cells)
    network = multiplied(cells_as(network, units), NETWORK, input.exponents)
    frames = [np.ldexp(one, input.exponents) for one in calibration]
    if input.finer:
        network, frames = in_three(network), given_in_three(frames)
    network = rows_as(network, units)
    if [layer.cell for layer in network.layers] != cells:
        raise _of_another_network()
    seen = calibrate(network, frames, blocks)
    return Observed(network, blocks, with_room(seen) if input.finer else seen, like.units)


def integers(found: Observed, spec: QuantizeSpec, like: IntegerModel | None = None) -> IntegerModel:
    """As `quantize`, of what was observed before."""
    network, block = found.network, found.blocks.largest
    widest = widest_weights(network, spec)
    if any(one.finer for one in found.units):
        network = refined(network, spec.weight_width)
    given = {} if like is None else edge_formats(like)
    steps = _steps_by_function(network)
    initial = _initial_values(network)
    drafts = Drafts(spec, widest, found.blocks, found.seen, steps, given, found.moments, initial)
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
        units=found.units,
    )
    if like is not None and edge_formats(model) != given:
        raise _of_another_network()
    return model


def _of_another_network() -> UserError:
    return UserError(
        "the formats given are of another network: quantize the one that was trained with them, in "
        "the same layers"
    )


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


def _initial_values(network: Network) -> dict[str, float]:
    """The largest value of each step before the first frame, by edge."""
    return {
        edge_name(source): largest(*network.initial_values(source))
        for index, layer in enumerate(network.layers)
        for source in (Source(index, step.name) for step in layer.cell.steps)
    }


def _tables(drafts: Drafts) -> tuple[ActivationTable, ...]:
    def table(function: Function) -> ActivationTable:
        read, given = drafts.table_formats(function)
        further = 0 if function in BOUNDED else max(0, ceil(log2(read.reach / AS_ASKED)))
        segments = min(MOST_SEGMENTS, drafts.spec.segment_bits + further)
        return activation_table(function, read, given, segments)

    return tuple(map(table, drafts.steps))
