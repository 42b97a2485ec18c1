"""A model run as its integers would be: training that sees every rounding of the data
(quantization-aware training).

    integers = quantize(network, calibration, QuantizeSpec(data=DataBits(cell=8)))    # formats from
    observed ranges rounded = Rounded(model, integers)
    # shares the model's parameters
    ...                                                                               # train
    `rounded` as any module quantize(network as trained, calibration, spec, like=integers)
    # these very formats

Rounded where the integers are: the input, biases and peepholes, every product's result, what goes
into sigmoid and tanh, what their tables give, cell and hidden states, the outputs.  Of a dense
network (blocks of 1) also what a product reads and its sum: with weights that lie in their formats,
in double precision, the outputs equal golden's integers. Not modelled: the rounding of weights,
which is the compression plan's (`ernn.compress.methods.quantized`), and, in blocks, that of spectra
and between a transform's stages, which have all of `QuantizeSpec.data_bits`.

It runs the cells' descriptions (`ernn.ir.cells`), any cell in one way: in
compiled loops (`ernn.nn.rounded_scan`), or step by step in torch's operations where those do not go
- other devices, rounding at random, an LSTM's projection, and states of a dense network that its
products do not see in full.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ernn.errors import UserError
from ernn.ir.cell import INPUT, Cell, CellStep
from ernn.ir.cells import GRU_AFTER, GRU_BEFORE, LINEAR, lstm_cell
from ernn.ir.edges import edge_formats
from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerLayer, IntegerModel
from ernn.ir.integer_parts import Product
from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU
from ernn.nn.described import DescribedCell, delayed, sum_of, weight_name
from ernn.nn.fakequant import fake_quantize, table_results, tabulated
from ernn.nn.model import AcousticModel
from ernn.nn.rounded_loops import format_row
from ernn.nn.rounded_scan import RoundedScan, Rounds


class Rounded(nn.Module):
    """Frames (batch, time, inputs) to (batch, time, outputs), every edge rounded as `integers`,
    made of the model, do.

    random: in training, data are rounded up or down at random (stochastic rounding); never in
    evaluation. Raises UserError where `integers` are of other layers, or of factored matrices,
    whose inner results are not here.
    """

    def __init__(self, model: AcousticModel, integers: IntegerModel, random: bool = False) -> None:
        super().__init__()
        self.model, self.integers, self.random = model, integers, random
        self._formats = edge_formats(integers)
        for function in ("sigmoid", "tanh"):
            table = integers.table(function)
            values = torch.zeros(1) if table is None else table_results(table)
            self.register_buffer(function, values.to(model.output.bias), persistent=False)
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
            wanted = {f"{layer.name}.{product.name}" for product in cell_of(module).products}
            if {product.name for product in layer.products} != wanted:
                raise UserError(
                    f"{layer.name} has other products as integers: data are not rounded in "
                    "training where matrices are "
                    "factored; train it with another structure, or quantize it afterwards"
                )

    def forward(self, frames: Tensor) -> Tensor:
        """As the model's."""
        frames = self._at(self.integers.input.name, frames.transpose(0, 1))
        for module, layer in zip(self._layers, self.integers.layers, strict=True):
            frames = self._through(described(module), layer, frames)
            if not isinstance(module, nn.Linear):
                frames = self.model.dropout(frames)
        return frames.transpose(0, 1)

    def _round(self, values: Tensor, format: FixedFormat) -> Tensor:
        return fake_quantize(values, format, self.random and self.training)

    def _at(self, edge: str, values: Tensor) -> Tensor:
        return self._round(values, self._formats[edge])

    def _read(self, signal: str, values: Tensor) -> Tensor:
        """What products see of a signal."""
        spectrum = self.integers.signal(signal).spectrum
        return (
            values if spectrum is None or self._in_full(signal) else self._round(values, spectrum)
        )

    def _in_full(self, signal: str) -> bool:
        """Whether products see all of a signal; in blocks they see its spectrum, whose rounding is
        not modelled.
        """
        format, spectrum = (found := self.integers.signal(signal)).format, found.spectrum
        if self.integers.block > 1 or spectrum is None:
            return True
        return 0 <= spectrum.frac - format.frac <= spectrum.width - format.width

    def _product(self, product: Product, total: Tensor) -> Tensor:
        return self._round(
            total if self.integers.block > 1 else self._round(total, product.rows), product.output
        )

    def _through(self, seen: "Described", layer: IntegerLayer, frames: Tensor) -> Tensor:
        """Outputs (time, batch, outputs) of one layer; states are zero before the first frame."""
        cell = seen.cell
        if not cell.remembered and len(frames) > 1:  # all frames at once
            return self._through(seen, layer, frames.flatten(0, 1)[None])[0].unflatten(
                0, frames.shape[:2]
            )
        products = {
            named.name: product
            for named, product in zip(cell.products, layer.products, strict=True)
        }
        biases = {
            name: self._round(bias, products[name].output) for name, bias in seen.biases.items()
        }
        vectors = {
            name: self._round(vector, layer.format_of[name])
            for name, vector in seen.vectors.items()
        }
        x = self._read(layer.inputs[0], frames)
        of_input: dict[str, Tensor] = {}
        for p in cell.products:
            for read in p.reads:
                if read.name == INPUT:
                    part = functional.linear(
                        delayed(x, read.delay), seen.weights[p.name, str(read)]
                    )
                    of_input[p.name] = of_input[p.name] + part if p.name in of_input else part
        if self._scannable(seen, layer, frames):
            return self._scanned(seen, products, layer, of_input, biases, vectors)
        values = {
            name: frames.new_zeros(frames.shape[1], size) for name, size in seen.lengths.items()
        }
        outputs = []
        for t in range(len(frames)):
            values = {f"{name}@1": values[name] for name in seen.lengths}
            for stage in cell.stages:
                gates: dict[str, Tensor] = {}
                for product in stage.products:
                    parts = [of_input[product.name][t]] if product.name in of_input else []
                    for read in product.reads:
                        if read.name != INPUT:
                            states = self._read(f"{layer.name}.{read.name}", values[str(read)])
                            weight = seen.weights[product.name, str(read)]
                            parts.append(functional.linear(states, weight))
                    total = self._product(products[product.name], sum(parts[1:], parts[0]))
                    total = total + biases[product.name] if product.name in biases else total
                    gates |= {
                        f"{product.name}.{n}": gate
                        for n, gate in enumerate(total.chunk(product.gates, dim=-1))
                    }
                for step in stage.steps:
                    total = sum_of(step, gates | vectors | values)
                    values[step.name] = self._activated(
                        step.activation, f"{layer.name}.{step.name}", total
                    )
            outputs.append(values[cell.outputs[0]])
        return torch.stack(outputs)

    def _scannable(self, seen: "Described", layer: IntegerLayer, frames: Tensor) -> bool:
        lengths, states = (
            set(seen.lengths.values()),
            {r.name for p in seen.cell.products for r in p.reads if r.name != INPUT},
        )
        plain = (
            frames.device.type == "cpu"
            and frames.dtype in (torch.float32, torch.float64)
            and frames.numel() > 0
        )
        in_full = all(self._in_full(f"{layer.name}.{state}") for state in states)
        return plain and in_full and len(lengths) == 1 and not (self.random and self.training)

    def _scanned(
        self,
        seen: "Described",
        products: Mapping[str, Product],
        layer: IntegerLayer,
        of_input: Mapping[str, Tensor],
        biases: Mapping[str, Tensor],
        vectors: Mapping[str, Tensor],
    ) -> Tensor:
        cell, some = seen.cell, next(iter(of_input.values()))
        rows = {p.name: seen.lengths[cell.outputs[0]] * p.gates for p in cell.products}
        from_x = [
            of_input.get(name, some.new_zeros(*some.shape[:2], size)) for name, size in rows.items()
        ]
        added = [biases.get(name, some.new_zeros(size)) for name, size in rows.items()]
        stacked = (
            torch.stack(list(vectors.values()))
            if vectors
            else some.new_empty(0, seen.lengths[cell.outputs[0]])
        )
        weights = [
            seen.weights[p.name, str(read)]
            for p in cell.products
            for read in p.reads
            if read.name != INPUT
        ]
        on_the_way = {
            name: (0.0,) * 4 if self.integers.block > 1 else format_row(p.rows)
            for name, p in products.items()
        }
        rounds = Rounds(
            cell,
            some.new_tensor([format_row(self._format(layer, step)) for step in cell.steps]),
            some.new_tensor(
                [
                    (on_the_way[p.name], format_row(products[p.name].output))
                    for p in cell.products
                    for _ in range(p.gates)
                ]
            ),
            self.get_buffer("sigmoid"),
            self.get_buffer("tanh"),
        )
        return RoundedScan.apply(rounds, torch.cat(from_x, -1), torch.cat(added), stacked, *weights)  # type: ignore[return-value]

    def _format(self, layer: IntegerLayer, step: CellStep) -> FixedFormat:
        """What a step's sum is rounded to."""
        table = self.integers.table(step.activation)
        return table.input if table else self._formats[f"{layer.name}.{step.name}"]

    def _activated(self, activation: str | None, edge: str, total: Tensor) -> Tensor:
        table = self.integers.table(activation)
        if table is not None:
            buffer = self.get_buffer(table.function)
            return tabulated(total, table, buffer, self.random and self.training)
        value = self._at(edge, total)
        return value.relu() if activation == "relu" else value


@dataclass(frozen=True, eq=False)
class Described:
    """A torch layer's tensors as its cell names them: weights (gates * rows, columns) by product
    and what it reads.
    """

    cell: Cell
    weights: Mapping[tuple[str, str], Tensor]
    biases: Mapping[str, Tensor]
    vectors: Mapping[str, Tensor]

    @property
    def lengths(self) -> dict[str, int]:
        """Length of every step."""
        rows = {
            p.name: len(self.weights[p.name, str(p.reads[0])]) // p.gates
            for p in self.cell.products
        }
        known = {name: len(vector) for name, vector in self.vectors.items()}
        inputs = dict.fromkeys(self.cell.inputs, 0)
        lengths = self.cell.lengths(rows, known | inputs)
        return {step.name: lengths[step.name] for step in self.cell.steps}


def cell_of(module: nn.Module) -> Cell:
    """The description of a layer; UserError for a module that has none."""
    match module:
        case DescribedCell():
            return module.cell
        case PeepholeLSTM() | nn.LSTM():
            return lstm_cell(isinstance(module, PeepholeLSTM), bool(module.proj_size))
        case ResetBeforeGRU():
            return GRU_BEFORE
        case nn.GRU():
            return GRU_AFTER
        case nn.Linear():
            return LINEAR
        case _:
            raise UserError(f"{type(module).__name__} has no description of products and steps")


def described(module: nn.Module) -> Described:
    """The one layer of a module; weights are read once, decoded where they are parametrized."""
    cell, get = cell_of(module), lambda name: getattr(module, name)
    if isinstance(module, nn.Linear):
        return Described(cell, {("product", INPUT): module.weight}, {"product": module.bias}, {})
    if isinstance(module, DescribedCell):
        weights = {
            (p.name, str(read)): get(weight_name(p, read))
            for p in cell.products
            for read in p.reads
        }
        biases = {p.name: get(f"bias_{p.name}_l0") for p in cell.products if p.bias}
        return Described(cell, weights, biases, {name: get(f"{name}_l0") for name in cell.vectors})
    into, back, bias, back_bias = (
        get(f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    if isinstance(module, PeepholeLSTM | nn.LSTM):
        weights = {("gates", INPUT): into, ("gates", "h@1"): back}
        if module.proj_size:
            weights["projection", "m"] = get("weight_hr_l0")
        vectors = dict(zip(cell.vectors, get("peephole_l0"), strict=True)) if cell.vectors else {}
        return Described(cell, weights, {"gates": bias + back_bias}, vectors)
    both, n = 2 * into.shape[0] // 3, "candidate_input" if cell is GRU_AFTER else "candidate"
    weights = {
        ("gates", INPUT): into[:both],
        ("gates", "h@1"): back[:both],
        (n, INPUT): into[both:],
    }
    gates = {"gates": (bias + back_bias)[:both]}
    if cell is GRU_AFTER:
        weights["candidate", "h@1"] = back[both:]
        return Described(
            cell, weights, {**gates, n: bias[both:], "candidate": back_bias[both:]}, {}
        )
    weights["candidate", "s"] = back[both:]
    return Described(cell, weights, {**gates, n: (bias + back_bias)[both:]}, {})
