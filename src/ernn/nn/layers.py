"""Torch modules to the layers of a `Network`: one gate per matrix, torch's order, biases kept."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ernn.errors import UserError
from ernn.ir.circulant import project
from ernn.ir.layers import gru, linear, lstm, reading
from ernn.ir.network import NETWORK, Array, Factored, Layer, Matrix, Source
from ernn.ir.structure import Dense, Structure
from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU
from ernn.nn.described import DescribedCell, weight_name
from ernn.nn.follow import Call, Recurrent, describe
from ernn.nn.kept_factors import kept_factors, multiplied

Structures = Callable[[str, tuple[int, int, int]], Structure] | Mapping[str, Structure]
"""The structure of each matrix: by its name in `named_parameters()` (missing: dense), or by name
and its shape (gates, rows, columns)."""

STRUCTURE_TOLERANCE = 1e-5


class LayerReader:
    """Reads the layers of module calls, in order; `seen`: the names of the matrices read."""

    def __init__(self, structures: Structures | None) -> None:
        self._structures = {} if structures is None else structures
        self._sources: tuple[tuple[Source, ...], tuple[int, ...]] = (NETWORK,), (0,)
        self.layers: list[Layer] = []
        self.seen: list[str] = []

    def add(self, call: Call) -> None:
        """The layers of one call: one a stacked layer and direction of its module."""
        module = call.module
        if isinstance(module, nn.Linear):
            bias = (
                _values(call, "bias") if module.bias is not None else np.zeros(module.out_features)
            )
            self._append(linear(self._matrix(call, "weight", 1), bias))
        elif isinstance(module, DescribedCell):
            self._append(self._described(call, module))
        else:
            for index in range(module.num_layers):
                self._stacked(call, module, index)

    @property
    def outputs(self) -> tuple[Source, ...]:
        """What the last call gives."""
        return self._sources[0]

    def _append(self, *layers: Layer) -> None:
        """Layers that read what came before, side by side."""
        chained = len(layers) == len(self._sources[0]) == 1  # reads the layer before, as by default
        read = [layer if chained else reading(layer, *self._sources) for layer in layers]
        first = len(self.layers)
        self.layers += read
        sources = (Source(first + i, layer.cell.outputs[0]) for i, layer in enumerate(read))
        self._sources = tuple(sources), tuple(layer.output_size for layer in read)

    def _stacked(self, call: Call, module: Recurrent, index: int) -> None:
        if not getattr(module, "bidirectional", False):
            self._append(self._direction(call, module, f"_l{index}", _states(call, index)))
            return
        forward, backward = (
            self._direction(call, module, f"_l{index}{suffix}", _states(call, 2 * index + part))
            for part, suffix in enumerate(("", "_reverse"))
        )
        self._append(forward, replace(backward, backward=True))

    def _direction(
        self, call: Call, module: Recurrent, suffix: str, states: list[Array | None]
    ) -> Layer:
        of_lstm = isinstance(module, nn.LSTM | PeepholeLSTM)
        into, back = (
            self._matrix(call, f"weight_{side}{suffix}", 4 if of_lstm else 3)
            for side in ("ih", "hh")
        )
        bias, back_bias = (_bias(call, f"bias_{side}{suffix}", into) for side in ("ih", "hh"))
        if not of_lstm:
            reset = "before" if isinstance(module, ResetBeforeGRU) else "after"
            return gru(into, back, bias, back_bias, reset=reset, initial_output=states[0])
        return lstm(
            into,
            back,
            bias + back_bias,
            peephole=_values(call, f"peephole{suffix}")
            if isinstance(module, PeepholeLSTM)
            else None,
            projection=self._matrix(call, f"weight_hr{suffix}", 1) if module.proj_size else None,
            initial_output=states[0],
            initial_cell=states[1],
        )

    def _described(self, call: Call, module: DescribedCell) -> Layer:
        cell, hidden = module.cell, module.hidden_size
        weights = tuple(
            tuple(
                self._matrix(call, weight_name(product, read), product.gates)
                for read in product.reads
            )
            for product in cell.products
        )
        biases = tuple(
            _values(call, f"bias_{product.name}_l0").reshape(product.gates, hidden)
            if product.bias
            else None
            for product in cell.products
        )
        return Layer(
            cell, weights, biases, tuple(_values(call, f"{name}_l0") for name in cell.vectors)
        )

    def _matrix(self, call: Call, attribute: str, gates: int) -> Matrix:
        name = f"{call.name}.{attribute}" if call.name else attribute
        self.seen.append(name)
        value = _values(call, attribute)
        value = value.reshape(gates, -1, value.shape[1])
        structure = self._structure(name, value.shape)
        factors = (
            kept_factors(call.module, attribute, value)
            if structure.recognised() != structure
            else None
        )
        if factors is not None:
            whole = multiplied([matrix for matrix, _ in factors])
            return Factored(whole, structure, factors=tuple(Matrix(*factor) for factor in factors))
        return Matrix(_inside(name, value, structure), structure)

    def _structure(self, name: str, shape: tuple[int, int, int]) -> Structure:
        if callable(self._structures):
            return self._structures(name, shape)
        return self._structures.get(name, Dense())

    def check_names(self, module: nn.Module) -> None:
        """Raise UserError for a structure given to a matrix that `module` does not have, used or
        not.
        """
        names = [] if callable(self._structures) else self._structures
        unknown = [name for name in names if name not in self.seen and not _has(module, name)]
        if unknown:
            raise UserError(
                f"structures names {', '.join(unknown)}; the matrices are {', '.join(self.seen)}"
            )


def _has(module: nn.Module, name: str) -> bool:
    owner, _, attribute = name.rpartition(".")
    return hasattr(dict(module.named_modules()).get(owner), attribute)


def _inside(name: str, value: Array, structure: Structure) -> Array:
    """The matrix made exactly of its structure, which it must already be but for rounding."""
    structure = structure.recognised()
    try:
        nearest = project(value, structure)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    norm = np.linalg.norm(value)
    residual = np.linalg.norm(value - nearest) / norm if norm else 0.0
    if residual > STRUCTURE_TOLERANCE:
        raise UserError(
            f"{name} is not {structure}: the nearest such matrix is {residual:.2g} of its norm "
            f"away (allowed: {STRUCTURE_TOLERANCE:g}); compress the module before importing it"
        )
    return nearest


def _values(call: Call, attribute: str) -> Array:
    tensor = getattr(call.module, attribute)
    if tensor.dtype not in (torch.float32, torch.float64):
        where = describe(call.name, call.module)
        raise UserError(
            f"{where} has {attribute} in {tensor.dtype}: convert it first with .float()"
        )
    values = tensor.detach().cpu().double().numpy().copy()
    if not np.isfinite(values).all():
        where = describe(call.name, call.module)
        raise UserError(
            f"{where} has a value in {attribute} that is not finite: the training diverged"
        )
    return values


def _bias(call: Call, attribute: str, weight: Matrix) -> Array:
    shape = weight.value.shape[:2]
    return (
        _values(call, attribute).reshape(shape)
        if hasattr(call.module, attribute)
        else np.zeros(shape)
    )


def _states(call: Call, row: int) -> list[Array | None]:
    """The initial states of one layer and direction; None where zero."""
    if not call.state:
        return [None, None]
    return [_state(call, tensor[row]) for tensor in call.state]


def _state(call: Call, state: Tensor) -> Array | None:
    rows = state.detach().cpu().double().numpy().reshape(-1, state.shape[-1])
    if not (rows == rows[0]).all():
        where = describe(call.name, call.module)
        raise UserError(
            f"{where} starts each sequence of the batch from another state: a network has one "
            "initial state"
        )
    return rows[0].copy() if rows[0].any() else None
