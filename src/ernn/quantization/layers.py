"""Each kind of layer to its integer form: which signals and products it needs, and which format
each edge gets.
"""

from collections.abc import Callable

import numpy as np

from ernn.ir.cell import INPUT, CellStep
from ernn.ir.edges import kind_of
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.fixed_point import quantize as to_integers
from ernn.ir.integer_model import (
    IntegerBidirectional,
    IntegerCell,
    IntegerGru,
    IntegerLayer,
    IntegerLinear,
    IntegerLstm,
)
from ernn.ir.network import (
    BidirectionalLayer,
    CellLayer,
    GruLayer,
    Layer,
    LinearLayer,
    LstmLayer,
    Network,
)
from ernn.quantization.calibrate import Range
from ernn.quantization.drafts import Drafts, Place, largest
from ernn.quantization.scales import ProductDraft, SignalDraft, fit

Array = np.ndarray
Finish = Callable[[], IntegerLayer]


def draft_network(drafts: Drafts, network: Network) -> list[Finish]:
    """Draft every signal and product; each function returned makes a layer, once `balance` has
    settled the scales.
    """
    seen, finishers = drafts.range(Place("", 0), "input"), []
    signal = drafts.signal("x", network.input_size, seen, drafts.format(seen.value, kind="input"))
    for index, layer in enumerate(network.layers):
        place = Place(f"l{index}", index)
        signal, finish = _layer(drafts, layer, place, signal)
        finishers.append(finish)
    return finishers


def _layer(
    drafts: Drafts, layer: Layer, place: Place, input: SignalDraft
) -> tuple[SignalDraft, Finish]:
    match layer:
        case LstmLayer() | GruLayer():
            return _recurrent(drafts, layer, place, input)
        case LinearLayer():
            return _linear(drafts, layer, place, input)
        case CellLayer():
            return _cell(drafts, layer, place, input)
        case BidirectionalLayer():
            return _bidirectional(drafts, layer, place, input)


def _recurrent_output(
    drafts: Drafts, layer: LstmLayer | GruLayer, place: Place
) -> tuple[Range, FixedFormat]:
    known = largest(layer.initial_output)
    seen = drafts.output_range(place, "h", layer.initial_output)
    projected = isinstance(layer, LstmLayer) and layer.projection is not None
    format = (
        drafts.format(seen.value, known, "hidden")
        if projected
        else drafts.bounded(seen, known, "hidden")
    )
    return seen, format


def _recurrent(
    drafts: Drafts,
    layer: LstmLayer | GruLayer,
    place: Place,
    input: SignalDraft,
    format: FixedFormat | None = None,
) -> tuple[SignalDraft, Callable[[], IntegerLstm | IntegerGru]]:
    """Draft a layer; its output in `format` where that is given."""
    seen, own = _recurrent_output(drafts, layer, place)
    output = drafts.signal(f"{place.name}.h", layer.output_size, seen, format or own)
    if isinstance(layer, LstmLayer):
        return output, _lstm(drafts, layer, place, input, output)
    return output, _gru(drafts, layer, place, input, output)


def _lstm(
    drafts: Drafts, layer: LstmLayer, place: Place, input: SignalDraft, output: SignalDraft
) -> Callable[[], IntegerLstm]:
    name, width = place.name, drafts.spec.data_bits
    cell = drafts.format(drafts.range(place, "c").value, largest(layer.initial_cell), "cell")
    cell = drafts.settled(f"{name}.c", cell)
    inner = output
    if layer.projection is not None:
        seen = drafts.range(place, "m")
        inner = drafts.signal(
            f"{name}.m", layer.hidden_size, seen, drafts.bounded(seen, kind="hidden")
        )
    gates = drafts.product(
        f"{name}.gates",
        [(input, layer.input_weight), (output, layer.recurrent_weight)],
        drafts.format(drafts.range(place, "gates").value, largest(layer.bias), "gates"),
    )
    projection = layer.projection and drafts.product(
        f"{name}.projection", [(inner, layer.projection)], output.format
    )
    peephole = None if layer.peephole is None else fit(largest(layer.peephole), width)

    def finish() -> IntegerLstm:
        return IntegerLstm(
            name,
            input.name,
            inner.name,
            output.name,
            gates.finish(),
            to_integers(layer.bias, gates.output),
            cell,
            projection and projection.finish(),
            _integers(layer.peephole, peephole),
            peephole,
            _integers(layer.initial_output, output.format),
            _integers(layer.initial_cell, cell),
        )

    return finish


def _gru(
    drafts: Drafts, layer: GruLayer, place: Place, input: SignalDraft, output: SignalDraft
) -> Callable[[], IntegerGru]:
    gates = drafts.product(
        f"{place.name}.gates",
        [(input, layer.input_weight.part(0, 2)), (output, layer.recurrent_weight.part(0, 2))],
        drafts.format(
            drafts.range(place, "rz").value,
            largest((layer.input_bias + layer.recurrent_bias)[:2]),
            "gates",
        ),
    )
    make = _after if layer.reset == "after" else _before
    return make(drafts, layer, place, input, output, gates)


def _after(
    drafts: Drafts,
    layer: GruLayer,
    place: Place,
    input: SignalDraft,
    output: SignalDraft,
    gates: ProductDraft,
) -> Callable[[], IntegerGru]:
    from_input = drafts.product(
        f"{place.name}.candidate_input",
        [(input, layer.input_weight.part(2, 3))],
        drafts.format(drafts.range(place, "nx").value, largest(layer.input_bias[2]), "gates"),
    )
    biased = drafts.range(place, "nh").value + largest(layer.recurrent_bias[2])
    candidate = drafts.product(
        f"{place.name}.candidate",
        [(output, layer.recurrent_weight.part(2, 3))],
        drafts.format(biased, kind="gates"),
    )
    both = layer.input_bias[:2] + layer.recurrent_bias[:2]

    def finish() -> IntegerGru:
        return IntegerGru(
            place.name,
            input.name,
            output.name,
            "after",
            gates.finish(),
            candidate.finish(),
            np.concatenate(
                [
                    to_integers(both, gates.output),
                    to_integers(layer.input_bias[2:], from_input.output),
                ]
            ),
            candidate_input=from_input.finish(),
            candidate_bias=to_integers(layer.recurrent_bias[2], candidate.output),
            initial_output=_integers(layer.initial_output, output.format),
        )

    return finish


def _before(
    drafts: Drafts,
    layer: GruLayer,
    place: Place,
    input: SignalDraft,
    output: SignalDraft,
    gates: ProductDraft,
) -> Callable[[], IntegerGru]:
    bias = layer.input_bias + layer.recurrent_bias
    seen = drafts.range(place, "rh")
    reset = drafts.signal(
        f"{place.name}.s", layer.hidden_size, seen, drafts.bounded(seen, kind="hidden")
    )
    candidate = drafts.product(
        f"{place.name}.candidate",
        [(input, layer.input_weight.part(2, 3)), (reset, layer.recurrent_weight.part(2, 3))],
        drafts.format(drafts.range(place, "n").value, largest(bias[2]), "gates"),
    )

    def finish() -> IntegerGru:
        return IntegerGru(
            place.name,
            input.name,
            output.name,
            "before",
            gates.finish(),
            candidate.finish(),
            np.concatenate(
                [to_integers(bias[:2], gates.output), to_integers(bias[2:], candidate.output)]
            ),
            reset_state=reset.name,
            initial_output=_integers(layer.initial_output, output.format),
        )

    return finish


def _linear(
    drafts: Drafts, layer: LinearLayer, place: Place, input: SignalDraft
) -> tuple[SignalDraft, Callable[[], IntegerLinear]]:
    seen, read = drafts.output_range(place, "output"), (place.index + 1, "input") in drafts.ranges
    format = drafts.format(seen.value, kind="hidden" if read else None)
    output = drafts.signal(f"{place.name}.h", layer.output_size, seen, format, read)
    product = drafts.product(
        f"{place.name}.product",
        [(input, layer.weight)],
        drafts.format(drafts.range(place, "y").value, largest(layer.bias)),
    )

    def finish() -> IntegerLinear:
        bias = to_integers(layer.bias, product.output)
        return IntegerLinear(place.name, input.name, output.name, product.finish(), bias)

    return output, finish


def _bidirectional(
    drafts: Drafts, layer: BidirectionalLayer, place: Place, input: SignalDraft
) -> tuple[SignalDraft, Callable[[], IntegerBidirectional]]:
    parts = [
        (part, Place(f"{place.name}.{way}", place.index, f"{way}."))
        for way, part in (("forward", layer.forward), ("backward", layer.backward))
    ]
    frac = min(_recurrent_output(drafts, *part)[1].frac for part in parts)
    format = FixedFormat(drafts.spec.bits("hidden"), frac)
    (_, forward), (_, backward) = [_recurrent(drafts, *part, input, format) for part in parts]
    seen, read = drafts.output_range(place, "h"), (place.index + 1, "input") in drafts.ranges
    output = drafts.signal(f"{place.name}.h", layer.output_size, seen, format, read)

    def finish() -> IntegerBidirectional:
        return IntegerBidirectional(place.name, input.name, output.name, forward(), backward())

    return output, finish


def _cell(
    drafts: Drafts, layer: CellLayer, place: Place, input: SignalDraft
) -> tuple[SignalDraft, Callable[[], IntegerCell]]:
    cell, name = layer.cell, place.name
    formats = {step.name: _step_format(drafts, layer, place, step) for step in cell.steps}
    signals = {INPUT: input} | {
        step: _step_signal(drafts, layer, place, step, formats[step]) for step in cell.signals
    }
    products = []
    for product, matrices, bias in zip(cell.products, layer.weights, layer.biases, strict=True):
        operands = [
            (signals[read], matrix) for read, matrix in zip(product.reads, matrices, strict=True)
        ]
        output = drafts.format(drafts.range(place, product.name).value, largest(bias), "gates")
        products.append(drafts.product(f"{name}.{product.name}", operands, output))
    vectors = [fit(largest(vector), drafts.spec.data_bits) for vector in layer.vectors]

    def finish() -> IntegerCell:
        output = signals[cell.output].name
        biases = tuple(_integers(b, p.output) for b, p in zip(layer.biases, products, strict=True))
        return IntegerCell(
            name,
            input.name,
            output,
            cell,
            tuple(product.finish() for product in products),
            biases,
            tuple(formats[step.name] for step in cell.steps),
            tuple(to_integers(v, format) for v, format in zip(layer.vectors, vectors, strict=True)),
            tuple(vectors),
        )

    return signals[cell.output], finish


def _step_range(drafts: Drafts, layer: CellLayer, place: Place, step: str) -> Range:
    edge = f"signal.{step}" if step in layer.cell.signals else step
    return (
        drafts.output_range(place, edge) if step == layer.cell.output else drafts.range(place, edge)
    )


def _step_format(drafts: Drafts, layer: CellLayer, place: Place, step: CellStep) -> FixedFormat:
    if step.activation in ("sigmoid", "tanh"):
        return drafts.activated
    seen, kind = _step_range(drafts, layer, place, step.name), kind_of(layer.cell, step)
    format = (
        drafts.bounded(seen, kind=kind) if step.bounded else drafts.format(seen.value, kind=kind)
    )
    return drafts.settled(f"{place.name}.{step.name}", format)


def _step_signal(
    drafts: Drafts, layer: CellLayer, place: Place, step: str, format: FixedFormat
) -> SignalDraft:
    seen, inside = (
        _step_range(drafts, layer, place, step),
        {read for p in layer.cell.products for read in p.reads},
    )
    read = step in inside or (place.index + 1, "input") in drafts.ranges
    return drafts.signal(f"{place.name}.{step}", layer.lengths[step], seen, format, read)


def _integers(values: Array | None, format: FixedFormat | None) -> Array | None:
    return None if values is None or format is None else to_integers(values, format)
