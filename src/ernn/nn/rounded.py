"""A model run as its integers would be: training that sees every rounding of the data
(quantization-aware training).

    integers = quantize(network, calibration, QuantizeSpec(data=DataBits(cell=8)))    # formats from
    observed ranges rounded = Rounded(model, integers)
    # shares the model's parameters
    ...                                                                               # train
    `rounded` as any module quantize(network as trained, calibration, spec, like=integers)
    # these very formats

Rounded where the integers are: the input, biases and peepholes, every product's result, what goes
into sigmoid and tanh, what their tables give, cell and hidden states, the outputs, inputs and cells
in units of their own where they have these (`ernn.nn.own_units`).  Of a dense
network (blocks of 1) also what a product reads and its sum: with weights that lie in their formats,
in double precision, the outputs equal golden's integers. Not modelled: the rounding of weights,
which is the compression plan's (`ernn.compress.methods.quantized`), and, in blocks, that of spectra
and between a transform's stages, which have all of `QuantizeSpec.data_bits`.

It runs the cells' descriptions: by the scan (`ernn.nn.through`), or step by step in torch's
operations where that does not go - other devices, rounding at random, and states of a dense network
that its products do not see in full.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from ernn.errors import UserError
from ernn.ir.cell import CellStep
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerLayer, IntegerModel
from ernn.ir.integer_parts import Signal, Units
from ernn.nn.explicit import Edges, explicit
from ernn.nn.fakequant import fake_quantize, table_results, tabulated
from ernn.nn.model import AcousticModel
from ernn.nn.own_units import in_own_units
from ernn.nn.parameters import Parameters, cell_of, parameters
from ernn.nn.recurrent import runs_here
from ernn.nn.through import Rounding, scanned
from ernn.quantization.kept import READ


class Rounded(nn.Module):
    """Frames (batch, time, inputs) to (batch, time, outputs), every edge rounded as `integers`,
    made of the model, do.

    random: in training, data are rounded up or down at random (stochastic rounding); never in
    evaluation. Raises UserError where `integers` are of other layers, of other products - those of
    factored matrices, of sums over several block sizes, or of operands apart -, or have units of
    what is hidden, or inputs of several integers.
    """

    def __init__(self, model: AcousticModel, integers: IntegerModel, random: bool = False) -> None:
        super().__init__()
        self.model, self.integers, self.random = model, integers, random
        if integers.of_input.finer:
            raise UserError(
                f"{integers.input.name} has several integers a number, which training does not "
                "round with: quantize with QuantizeSpec(equalise=False)"
            )
        self._put_units(integers.of_input)
        for one in integers.units:
            self._put_units(one)
        for table in integers.tables:
            values = table_results(table).to(model.output.bias)
            self.register_buffer(table.function, values, persistent=False)
        self._layers = [
            *([] if model.front is None else [model.front]),
            *model.recurrent,
            model.output,
        ]
        if len(self._layers) != len(integers.layers):
            raise UserError(
                f"{len(self._layers)} layers cannot be rounded as {len(integers.layers)} are"
            )
        for module, layer in zip(self._layers, integers.layers, strict=True):
            self._named(module, layer)
            wanted = {f"{layer.name}.{product.name}" for product in cell_of(module).products}
            if {product.name for product in layer.products} != wanted:
                raise UserError(
                    f"{layer.name} has other products as integers: data are not rounded in "
                    "training where matrices are factored, or in blocks of several sizes that are "
                    "summed, or where operands are apart: train it with another structure, with "
                    "QuantizeSpec(equalise=False), or quantize it afterwards"
                )

    def forward(self, frames: Tensor) -> Tensor:
        """As the model's."""
        frames = self.of_input(frames.transpose(0, 1), self.integers.input.format)
        for module, layer in zip(self._layers, self.integers.layers, strict=True):
            frames = self._through(self._named(module, layer), layer, frames)
            if not isinstance(module, nn.Linear):
                frames = self.model.dropout(frames)
        return frames.transpose(0, 1)

    @property
    def at_random(self) -> bool:
        """Whether data are rounded up or down at random now."""
        return self.random and self.training

    def of_input(self, values: Tensor, format: FixedFormat) -> Tensor:
        """Rounded number by number in the units of the input's integers."""
        units = self.units(self.integers.input.name)
        return fake_quantize(values * units, format, self.at_random) / units

    def _put_units(self, units: Units) -> None:
        powers = torch.from_numpy(2.0**units.exponents).to(self.model.output.bias)
        self.register_buffer(_buffer(units.edge), powers, persistent=False)

    def units(self, edge: str) -> Tensor:
        """Powers of two that an edge's numbers are multiplied with."""
        return self.get_buffer(_buffer(edge))

    def _named(self, module: nn.Module, layer: IntegerLayer) -> Parameters:
        """A layer's parameters, its cells in their units."""
        own = (one.edge for one in self.integers.units if one.edge != self.integers.input.name)
        steps = {edge.removeprefix(f"{layer.name}."): edge for edge in own}
        units = {step: self.units(edge) for step, edge in steps.items() if step != edge}
        return in_own_units(parameters(module), units)

    def _through(self, named: Parameters, layer: IntegerLayer, frames: Tensor) -> Tensor:
        """Outputs (time, batch, outputs) of one layer; states are zero before the first frame."""
        cell = named.cell
        if not cell.remembered and len(frames) > 1:  # all frames at once
            together = self._through(named, layer, frames.flatten(0, 1)[None])
            return together[0].unflatten(0, frames.shape[:2])
        edges = _LayerEdges(self, layer)
        rounded = replace(
            named,
            biases={name: edges.bias(name, bias) for name, bias in named.biases.items()},
            vectors={name: edges.vector(name, vector) for name, vector in named.vectors.items()},
        )
        given = {name: edges.read(name, frames) for name in cell.inputs}
        states = {r.name for p in cell.products for r in p.reads} - set(cell.inputs)
        scans = runs_here(self, frames) and not self.at_random
        if scans and all(edges.in_full(state) for state in states):
            return scanned(rounded, given, {}, edges.rounding())[0][0]
        return explicit(rounded, given, {}, edges)[0][0]


def _buffer(edge: str) -> str:
    return f"units of {edge}".replace(".", " ")


class _LayerEdges(Edges):
    """How the numbers of one layer are rounded."""

    def __init__(self, owner: Rounded, layer: IntegerLayer) -> None:
        self._owner, self._integers, self._layer = owner, owner.integers, layer
        names = (product.name for product in layer.cell.products)
        self._products = dict(zip(names, layer.products, strict=True))

    def _round(self, values: Tensor, format: FixedFormat) -> Tensor:
        return fake_quantize(values, format, self._owner.at_random)

    def bias(self, product: str, values: Tensor) -> Tensor:
        return self._round(values, self._products[product].output)

    def vector(self, name: str, values: Tensor) -> Tensor:
        return self._round(values, self._layer.format_of[name])

    def in_full(self, name: str) -> bool:
        """Whether products see all of a signal; in blocks they see its spectrum, whose rounding is
        not modelled.
        """
        return self._copy(name) is None and self._seen_in_full(self._signal(name))

    def _signal(self, name: str) -> Signal | None:
        """None in blocks, where it may have another name: its signs are turned."""
        if self._integers.block > 1:
            return None
        return self._integers.signal(self._layer.signal(name))

    def _seen_in_full(self, signal: Signal | None) -> bool:
        if signal is None or signal.spectrum is None:
            return True
        format, spectrum = signal.format, signal.spectrum
        return 0 <= spectrum.frac - format.frac <= spectrum.width - format.width

    def _copy(self, name: str) -> str | None:
        """What products read in the place of a state that has more bits."""
        copy, cell = name + READ.suffix, self._layer.cell
        # whose signs may be turned, too
        return next((one for one in (*cell.inputs, *cell.signals) if one.startswith(copy)), None)

    def read(self, name: str, values: Tensor) -> Tensor:
        copy = self._copy(name)
        if copy is not None:
            format = self._integers.signal(self._layer.signal(copy)).format
            values, name = self._round(self._in_one_unit(name, values), format), copy
        signal = self._signal(name)
        if self._seen_in_full(signal):
            return values
        assert signal is not None and signal.spectrum is not None
        if signal is self._integers.input:
            return self._owner.of_input(values, signal.spectrum)
        return self._round(values, signal.spectrum)

    def _in_one_unit(self, name: str, values: Tensor) -> Tensor:
        """Of a state: products read all its numbers in the same unit, whatever it is kept in."""
        cell, copy = self._layer.cell, name + READ.suffix
        back = (one.name for step in cell.steps if step.name == copy for one in step.reads)
        for vector in (one for one in back if one in cell.vectors):
            units = self._owner.units(f"{self._layer.name}.{name}")
            values = values * self.vector(vector, 1 / units)
        return values

    def product(self, product: str, total: Tensor) -> Tensor:
        formats = self._of_product(product)
        for format in formats:
            total = self._round(total, format)
        return total

    def step(self, step: CellStep, total: Tensor) -> Tensor:
        table = self._integers.table(step.activation)
        if table is not None:
            results = self._owner.get_buffer(table.function)
            return tabulated(total, table, results, self._owner.at_random)
        value = self._round(total, self._of_step(step))
        return value.relu() if step.activation == "relu" else value

    def _of_product(self, product: str) -> tuple[FixedFormat, ...]:
        """What its result is rounded to, one after the other."""
        found = self._products[product]
        return (found.output,) if self._integers.block > 1 else (found.rows, found.output)

    def _of_step(self, step: CellStep) -> FixedFormat:
        """What its sum is rounded to."""
        table = self._integers.table(step.activation)
        return table.input if table else self._layer.format_of[step.name]

    def rounding(self) -> Rounding:
        """The same for the compiled loops."""
        cell = self._layer.cell
        formats = {step.name: self._of_step(step) for step in cell.steps}
        for product in cell.products:
            for gate in range(product.gates):
                for again, format in enumerate(self._of_product(product.name)):
                    formats[f"{product.name}.{gate} {again}"] = format
        buffers = {
            table.function: self._owner.get_buffer(table.function).numpy()
            for table in self._integers.tables
        }
        return Rounding(1 if self._integers.block > 1 else 2, formats, buffers)
