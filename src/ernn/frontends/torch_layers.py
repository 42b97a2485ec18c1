"""Weights of torch modules as matrices, and recurrent modules as layers: torch's order of gates."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from ernn.errors import UserError
from ernn.ir.cells import RNN
from ernn.ir.circulant import project
from ernn.ir.layers import gru, lstm
from ernn.ir.network import Array, Factored, Layer, Matrix
from ernn.ir.structure import Dense, Structure, block_size, by_tap
from ernn.nn.described import DescribedCell, weight_name
from ernn.nn.kept_factors import kept_factors, multiplied

Structures = Callable[[str, tuple[int, int, int]], Structure] | Mapping[str, Structure]
"""The structure of each matrix: by its name in `named_parameters()` (missing: dense), or by name
and its shape (gates, rows, columns)."""

STRUCTURE_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class Owner:
    """Who has the weights of one operation.

    where: in messages.  name: of a weight, by its attribute, as `named_parameters()` has it.
    get: a weight, by its attribute; None where there is none.  module: the layer itself, if it is
    one.
    """

    where: str
    name: Callable[[str], str]
    get: Callable[[str], Tensor | None]
    module: nn.Module | None = None


def owner_of(where: str, path: str, module: nn.Module) -> Owner:
    """A layer module at a path."""
    return Owner(
        where,
        lambda attribute: f"{path}.{attribute}" if path else attribute,
        lambda attribute: getattr(module, attribute, None),
        module,
    )


@dataclass(frozen=True)
class Kind:
    """Which recurrent layer: "lstm", "gru", "gru before", "rnn_tanh" or "rnn_relu", and options."""

    cell: str
    layers: int = 1
    bidirectional: bool = False
    batch_first: bool = False

    @property
    def states(self) -> tuple[str, ...]:
        return ("h", "c") if self.cell == "lstm" else ("h",)


class WeightReader:
    """Reads weights; `seen`: the names of the matrices read."""

    def __init__(self, structures: Structures | None) -> None:
        self._structures = {} if structures is None else structures
        self.seen: list[str] = []

    def layer(self, owner: Owner, kind: Kind, suffix: str) -> Layer:
        """One stacked layer and direction, its weights' names ending in `suffix`, as _l0."""
        gates = {"lstm": 4, "gru": 3, "gru before": 3}.get(kind.cell, 1)
        into, back = (self.matrix(owner, f"weight_{side}{suffix}", gates) for side in ("ih", "hh"))
        bias, back_bias = (self._bias(owner, f"bias_{side}{suffix}", into) for side in ("ih", "hh"))
        if kind.cell == "lstm":
            hr = f"weight_hr{suffix}"
            return lstm(
                into,
                back,
                bias + back_bias,
                peephole=self.optional(owner, f"peephole{suffix}"),
                projection=None if owner.get(hr) is None else self.matrix(owner, hr, 1),
            )
        if kind.cell.startswith("gru"):
            reset = "before" if kind.cell == "gru before" else "after"
            return gru(into, back, bias, back_bias, reset=reset)
        layer = Layer(RNN, ((into, back),), (bias + back_bias,))
        return layer if kind.cell == "rnn_tanh" else _rectified(layer)

    def described(self, owner: Owner, module: DescribedCell) -> Layer:
        """A module of a cell's description."""
        cell, hidden = module.cell, module.hidden_size
        weights = tuple(
            tuple(
                self.matrix(owner, weight_name(product, read), product.gates)
                for read in product.reads
            )
            for product in cell.products
        )
        biases = tuple(
            self.values(owner, f"bias_{product.name}_l0").reshape(product.gates, hidden)
            if product.bias
            else None
            for product in cell.products
        )
        vectors = tuple(self.values(owner, f"{name}_l0") for name in cell.vectors)
        return Layer(cell, weights, biases, vectors)

    def matrix(self, owner: Owner, attribute: str, gates: int) -> Matrix:
        """A weight (gates * rows, columns)."""
        name = owner.name(attribute)
        self.seen.append(name)
        value = self.values(owner, attribute)
        value = value.reshape(gates, -1, value.shape[1])
        structure = self._structure(name, value.shape)
        factors = None
        if owner.module is not None and structure.recognised() != structure:
            factors = kept_factors(owner.module, attribute, value)
        if factors is not None:
            whole = multiplied([matrix for matrix, _ in factors])
            return Factored(whole, structure, factors=tuple(Matrix(*factor) for factor in factors))
        return Matrix(_inside(name, value, structure), structure)

    def by_tap(self, name: str, kernels: Tensor, groups: int) -> Matrix | None:
        """Kernels (out, in, *taps) in blocks as a matrix (out, taps times in), zeros beside the
        inputs of a tap that are no whole blocks; None of all others, if they are as their structure
        says.
        """
        self.seen.append(name)
        out, inputs = kernels.shape[:2]
        values = kernels.detach().cpu().double().numpy()
        structure = self._structure(name, (groups, out // groups, values[0].size))
        if groups > 1 or not by_tap(structure, inputs):
            _inside(name, values.reshape(groups, out // groups, -1), structure)
            return None
        taps = _inside(name, np.moveaxis(values.reshape(out, inputs, -1), 2, 0), structure)
        beside = -inputs % block_size(structure)  # so that the next tap begins with a block
        padded = np.pad(taps, ((0, 0), (0, 0), (0, beside)))
        return Matrix(np.concatenate(list(padded), axis=1)[None], structure)

    def optional(self, owner: Owner, attribute: str) -> Array | None:
        """A vector, where there is one."""
        return None if owner.get(attribute) is None else self.values(owner, attribute)

    def values(self, owner: Owner, attribute: str) -> Array:
        """A weight as it is, in float64."""
        tensor = owner.get(attribute)
        assert tensor is not None
        if tensor.dtype not in (torch.float32, torch.float64):
            raise UserError(
                f"{owner.where} has {attribute} in {tensor.dtype}: convert it first with .float()"
            )
        values = tensor.detach().cpu().double().numpy().copy()
        if not np.isfinite(values).all():
            raise UserError(
                f"{owner.where} has a value in {attribute} that is not finite: the training "
                "diverged"
            )
        return values

    def _bias(self, owner: Owner, attribute: str, weight: Matrix) -> Array:
        shape = weight.value.shape[:2]
        found = self.optional(owner, attribute)
        return np.zeros(shape) if found is None else found.reshape(shape)

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


def _rectified(layer: Layer) -> Layer:
    """An Elman network with ReLU."""
    (stage,) = layer.cell.stages
    steps = tuple(replace(step, activation="relu") for step in stage.steps)
    return replace(layer, cell=replace(layer.cell, stages=(replace(stage, steps=steps),)))


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
