"""A network's layers to their integer form: which signals and products, and each edge's format."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, prod

import numpy as np

from ernn.ir.activations import BOUNDED, EXACT
from ernn.ir.cell import CellProduct, CellStep, CellTerm, Read
from ernn.ir.edges import Kind, edge_name, kind_of, layer_name
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.fixed_point import quantize as to_integers
from ernn.ir.integer_model import IntegerLayer
from ernn.ir.network import NETWORK, Layer, Network, Source
from ernn.quantization.burden import burden
from ernn.quantization.calibrate import Range, range_of
from ernn.quantization.drafts import Drafts, OperandOf, largest
from ernn.quantization.scales import ProductDraft, SignalDraft, fit

Array = np.ndarray
Finish = Callable[[], IntegerLayer]


def draft_network(drafts: Drafts, network: Network) -> list[Finish]:
    """Draft every signal and product.

    Each function returned makes a layer, once `balance` has settled the scales.
    """
    signals: dict[Source, SignalDraft] = {}
    known, seen = _initial(drafts, network, NETWORK)
    seen = seen.joined(drafts.range(edge_name(NETWORK)))
    format = drafts.format(seen.value, known, "input")
    format = drafts.clipped(edge_name(NETWORK), format, known, burden(drafts, network, NETWORK))
    read = NETWORK in network.multiplied
    size = network.input_size
    signals[NETWORK] = drafts.signal(edge_name(NETWORK), size, seen, format, read)
    layers = (_LayerDraft(drafts, network, index, signals) for index in range(len(network.layers)))
    return [layer.draft() for layer in layers]


def _initial(drafts: Drafts, network: Network, source: Source) -> tuple[float, Range]:
    """The largest value that a signal has before the first frame, and its range."""
    values = network.initial_values(source)
    largest_block, parts = drafts.blocks.largest, drafts.blocks.parts(source)
    ranges = (range_of(one, largest_block, parts) for one in values)
    return largest(*values), Range().joined(*ranges)


@dataclass(eq=False)
class _LayerDraft:
    """One layer of a network whose signals are drafted layer after layer."""

    drafts: Drafts
    network: Network
    index: int
    signals: dict[Source, SignalDraft]
    formats: dict[str, FixedFormat] = field(default_factory=dict)

    @property
    def layer(self) -> Layer:
        return self.network.layers[self.index]

    def draft(self) -> Finish:
        drafts, layer, cell = self.drafts, self.layer, self.layer.cell
        formats = self.formats
        formats |= {step.name: self._format(step) for step in cell.steps}
        for name in cell.signals:
            self._signal(name, formats[name])
        products = [self._product(number) for number in range(len(cell.products))]
        vectors = [fit(largest(vector), drafts.spec.data_bits) for vector in layer.vectors]

        def finish() -> IntegerLayer:
            biases = zip(layer.biases, products, strict=True)
            known = formats | {
                name: self.signals[source].format
                for name, source in zip(cell.inputs, self._sources, strict=True)
            }
            initial = zip(cell.remembered, layer.initial, strict=False)
            return IntegerLayer(
                layer_name(self.index),
                tuple(self.signals[source].name for source in self._sources),
                cell,
                tuple(product.finish() for product in products),
                tuple(_integers(bias, product.output) for bias, product in biases),
                tuple(formats[step.name] for step in cell.steps),
                tuple(to_integers(v, f) for v, f in zip(layer.vectors, vectors, strict=True)),
                tuple(vectors),
                tuple(_integers(values, known[name]) for name, values in initial),
                layer.backward,
                layer.input_sizes,
            )

        return finish

    @property
    def _sources(self) -> tuple[Source, ...]:
        return self.network.sources(self.index)

    def _source(self, name: str) -> Source:
        """Of an input or a step of this layer."""
        inputs = self.layer.cell.inputs
        return self._sources[inputs.index(name)] if name in inputs else Source(self.index, name)

    def _edge(self, name: str) -> str:
        return edge_name(Source(self.index, name))

    def _format(self, step: CellStep) -> FixedFormat:
        drafts, source = self.drafts, Source(self.index, step.name)
        if step.activation is not None and step.activation not in EXACT:
            return drafts.table_formats(step.activation)[1]
        known, _ = _initial(drafts, self.network, source)
        seen, kind = drafts.range(edge_name(source)), self._kind(step)
        make = drafts.bounded if step.within_one else drafts.format
        format = make(seen.value, known, kind)
        if step.name not in self.layer.cell.remembered:
            format = drafts.clipped(edge_name(source), format, known)
        return drafts.settled(edge_name(source), format)

    def _kind(self, step: CellStep) -> Kind | None:
        """The network's output, read by nobody else, is of no kind; what is made of its input and
        of constants alone is as that.
        """
        known = set(self.layer.cell.vectors)
        if {self._source(read.name) for read in step.reads if read.name not in known} == {NETWORK}:
            return "input"
        source = Source(self.index, step.name)
        if self.drafts.spec.keeps_states and step.name in self.layer.cell.circular:
            return "cell"
        last = source in self.network.results and source not in self.network.multiplied
        kept = step.name in self.layer.cell.kept
        return None if last and not kept else kind_of(self.layer.cell, step)

    def _signal(self, name: str, format: FixedFormat) -> None:
        source = Source(self.index, name)
        _, first = _initial(self.drafts, self.network, source)
        seen = self.drafts.range(edge_name(source)).joined(first)
        read = source in self.network.multiplied
        length = self.layer.lengths[name]
        self.signals[source] = self.drafts.signal(edge_name(source), length, seen, format, read)

    def _product(self, number: int) -> ProductDraft:
        drafts, layer = self.drafts, self.layer
        product: CellProduct = layer.cell.products[number]
        edge, bias = self._edge(product.name), layer.biases[number]
        operands = [
            OperandOf(self._operand(read), matrix, read.delay, self._parts(read))
            for read, matrix in zip(product.reads, layer.weights[number], strict=True)
        ]
        format = self._of_sums(product, self._told_apart(product) if drafts.spec.clip else inf)
        return drafts.product(edge, operands, drafts.clipped(edge, format, largest(bias)))

    def _bias(self, product: CellProduct) -> float:
        return largest(self.layer.biases[self.layer.cell.products.index(product)])

    def _of_sums(self, product: CellProduct, most: float = inf) -> FixedFormat:
        """Of what was seen of a product, and no more than `most`."""
        drafts, kind = self.drafts, "gates" if self.layer.cell.recurrent else None
        seen = min(drafts.range(self._edge(product.name)).value, most / drafts.spec.headroom)
        return drafts.format(seen, self._bias(product), kind)

    def _told_apart(self, product: CellProduct) -> float:
        """The largest value of a product's that is not as good as any larger one: where functions
        that level off are all that reads it, and it alone, beyond the range of their tables.
        """
        return max(
            (self._end(step, product) for step in self.layer.cell.readers(product)), default=inf
        )

    def _end(self, step: CellStep, product: CellProduct) -> float:
        """For one step that reads the product."""
        own = [term for term in step.terms if self._product_of(term) == product]
        if step.activation not in BOUNDED or len(own) > 1 or len(own[0].factors) > 1:
            return inf
        table, _ = self.drafts.table_formats(step.activation)
        others = sum(self._largest(term) for term in step.terms if term not in own)
        return table.reach + self._bias(product) + others

    def _product_of(self, term: CellTerm) -> CellProduct | None:
        gate = self.layer.cell.gate(term.factors[0].name)
        return None if gate is None else gate[0]

    def _largest(self, term: CellTerm) -> float:
        """Of a term, by what was seen of its factors."""
        return prod(self._factor(read) for read in term.factors)

    def _factor(self, read: Read) -> float:
        cell, drafts = self.layer.cell, self.drafts
        if read.name in cell.vectors:
            return largest(self.layer.vector(read.name))
        gate = cell.gate(read.name)
        if gate is not None:
            return self._of_sums(gate[0]).reach + self._bias(gate[0])
        seen = drafts.range(edge_name(self._source(read.name))).value * drafts.spec.headroom
        own = self.formats.get(read.name)
        return min(seen, (self._operand(read).format if own is None else own).reach)

    def _operand(self, read: Read) -> SignalDraft:
        return self.signals[self._source(read.name)]

    def _parts(self, read: Read) -> int:
        return self.drafts.blocks.parts(self._source(read.name))


def _integers(values: Array | None, format: FixedFormat) -> Array | None:
    return None if values is None else to_integers(values, format)
