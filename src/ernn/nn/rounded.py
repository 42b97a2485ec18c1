"""A model run as its integers would be: training that sees every rounding of the data
(quantization-aware training).

    integers = quantize(network, calibration, spec)     # formats from observed ranges
    rounded = Rounded(model, integers)                  # shares the model's parameters
    ...                                                 # train `rounded` as any module
    quantize(network as trained, calibration, spec, like=integers)      # these very formats

Rounded where the integers are: the input, biases and peepholes, every product's result, what goes
into sigmoid and tanh, what their tables give, cell and hidden states, the outputs; in parts and in
units of their own where they have these (`ernn.nn.as_integers`).  Of a dense network (blocks of 1)
also what a product reads and its sum: with weights that lie in their formats, in double precision,
the outputs equal golden's integers.  Not modelled: the rounding of weights, which is the
compression plan's (`ernn.compress.methods.quantized`), and, in blocks, that of spectra and between
a transform's stages, which have all of `QuantizeSpec.data_bits`.

It runs the cells' descriptions: by the scan (`ernn.nn.through`), or step by step in torch's
operations where that does not go: on other devices, and rounding at random.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from ernn.errors import UserError
from ernn.ir.cell import INPUT, Cell, CellStep
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerLayer, IntegerModel
from ernn.nn.as_integers import as_integers, formats, seen, seen_of
from ernn.nn.explicit import Edges, explicit
from ernn.nn.fakequant import fake_quantize, table_results, tabulated
from ernn.nn.model import AcousticModel
from ernn.nn.parameters import Parameters
from ernn.nn.recurrent import runs_here
from ernn.nn.through import Rounding, scanned


class Rounded(nn.Module):
    """Frames (batch, time, inputs) to (batch, time, outputs), every edge rounded as `integers`,
    made of the model, do.

    random: in training, data are rounded up or down at random (stochastic rounding); never in
    evaluation. Raises UserError where `integers` are of other layers, or of other products: those
    of factored matrices.
    """

    def __init__(self, model: AcousticModel, integers: IntegerModel, random: bool = False) -> None:
        super().__init__()
        self.model, self.integers, self.random = model, integers, random
        for one in (integers.of_input, *integers.units):
            powers = torch.from_numpy(2.0**one.exponents).to(model.output.bias)
            self.register_buffer(_buffer(one.edge), powers, persistent=False)
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
            found = self._named(module, layer).cell.products
            if {p.name for p in layer.cell.products} != {p.name for p in found}:
                raise UserError(
                    f"{layer.name} has other products as integers: data are not rounded in "
                    "training where matrices are factored: train it with another structure, or "
                    "quantize it afterwards"
                )

    def forward(self, frames: Tensor) -> Tensor:
        """As the model's."""
        forms = {"": self._of_input(frames.transpose(0, 1))}
        for module, layer in zip(self._layers, self.integers.layers, strict=True):
            forms = self._through(self._named(module, layer), layer, forms)
            if not isinstance(module, nn.Linear):
                kept = self.model.dropout(torch.ones_like(forms[""]))
                forms = {form: values * kept for form, values in forms.items()}
        return forms[""].transpose(0, 1)

    @property
    def at_random(self) -> bool:
        """Whether data are rounded up or down at random now."""
        return self.random and self.training

    def rounded(self, values: Tensor, format: FixedFormat | None) -> Tensor:
        """To a format's numbers, where there is one."""
        return values if format is None else fake_quantize(values, format, self.at_random)

    def _of_input(self, values: Tensor) -> Tensor:
        """What products see of a frame's numbers, of all integers of each together."""
        input, units = self.integers.input, self.integers.of_input
        spectrum = None if self.integers.block > 1 else seen_of(input)
        powers = self._powers(input.name)
        scaled = values * powers
        first = self.rounded(scaled, input.format)
        found = self.rounded(first, spectrum)
        if units.finer:  # the third integer makes up for the rounding of weights: of none, here
            left = self.rounded((scaled - first) * 2.0**units.finer, input.format)
            found = found + self.rounded(left, spectrum) / 2.0**units.finer
        return found / powers

    def _powers(self, edge: str) -> Tensor:
        """Of two, that an edge's numbers are multiplied with."""
        return self.get_buffer(_buffer(edge))

    def _named(self, module: nn.Module, layer: IntegerLayer) -> Parameters:
        edges = [one.edge for one in self.integers.units if one.edge != self.integers.input.name]
        return as_integers(module, layer, self.integers, {e: self._powers(e) for e in edges})

    def _through(
        self, named: Parameters, layer: IntegerLayer, forms: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Outputs (time, batch, outputs) of one layer, by form; states are zero before the first
        frame.
        """
        cell, some = named.cell, forms[""]
        if not cell.remembered and len(some) > 1:  # all frames at once
            flat = {form: values.flatten(0, 1)[None] for form, values in forms.items()}
            together = self._through(named, layer, flat)
            return {form: one[0].unflatten(0, some.shape[:2]) for form, one in together.items()}
        edges = _LayerEdges(self, layer, cell)
        rounded = replace(
            named,
            biases={name: edges.bias(name, bias) for name, bias in named.biases.items()},
            vectors={name: edges.vector(name, vector) for name, vector in named.vectors.items()},
        )
        given = {name: edges.given(name, forms[name.removeprefix(INPUT)]) for name in cell.inputs}
        if runs_here(self, some) and not self.at_random:
            outputs, _ = scanned(rounded, given, {}, edges.rounding())
        else:
            outputs, _ = explicit(rounded, given, {}, edges)
        first = cell.outputs[0]
        names = (name.removeprefix(first) for name in cell.outputs)
        return dict(zip(names, outputs, strict=True))


def _buffer(edge: str) -> str:
    return f"units of {edge}".replace(".", " ")


class _LayerEdges(Edges):
    """How the numbers of one layer are rounded, which runs as `cell`."""

    def __init__(self, owner: Rounded, layer: IntegerLayer, cell: Cell) -> None:
        self._owner, self._integers, self._layer, self._cell = owner, owner.integers, layer, cell
        names = (product.name for product in layer.cell.products)
        self._products = dict(zip(names, layer.products, strict=True))
        self._formats = formats(layer, owner.integers)

    def bias(self, product: str, values: Tensor) -> Tensor:
        return self._owner.rounded(values, self._products[product].output)

    def vector(self, name: str, values: Tensor) -> Tensor:
        return self._owner.rounded(values, self._formats[name])

    def given(self, name: str, values: Tensor) -> Tensor:
        """Frames of an input, as products see them."""
        if self._layer.signal(name) == self._integers.input.name:  # rounded number by number before
            return values
        return self._owner.rounded(values, seen(name, self._layer, self._integers))

    def product(self, product: str, total: Tensor) -> Tensor:
        formats = self._of_product(product)
        for format in formats:
            total = self._owner.rounded(total, format)
        return total

    def step(self, step: CellStep, total: Tensor) -> Tensor:
        table = self._integers.table(step.activation)
        if table is not None:
            results = self._owner.get_buffer(table.function)
            return tabulated(total, table, results, self._owner.at_random)
        value = self._owner.rounded(total, self._of_step(step))
        return value.relu() if step.activation == "relu" else value

    def _of_product(self, product: str) -> tuple[FixedFormat, ...]:
        """What its result is rounded to, one after the other."""
        found = self._products[product]
        return (found.output,) if self._integers.block > 1 else (found.rows, found.output)

    def _of_step(self, step: CellStep) -> FixedFormat:
        """What its sum is rounded to."""
        table = self._integers.table(step.activation)
        return table.input if table else self._formats[step.name]

    def rounding(self) -> Rounding:
        """The same for the compiled loops."""
        cell = self._cell
        found = {step.name: self._of_step(step) for step in cell.steps}
        for product in cell.products:
            for gate in range(product.gates):
                for again, format in enumerate(self._of_product(product.name)):
                    found[f"{product.name}.{gate} {again}"] = format
        buffers = {
            table.function: self._owner.get_buffer(table.function).numpy()
            for table in self._integers.tables
        }
        return Rounding(1 if self._integers.block > 1 else 2, found, buffers)
