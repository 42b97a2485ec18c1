"""Training inside the set: a weight's parameters are its stored numbers, decoded when read.

By torch.nn.utils.parametrize: after `enter`, optimizers see the block vectors (the kept weights of
a sparse set) and every weight is in its set by construction, whatever they do; after `leave`, the
model is a plain one again with the decoded weights.  In between torch.nn.LSTM and GRU in blocks are
`ernn.nn.recurrent.LSTM` and `GRU`, whose products are taken in the frequency domain; layers of
other classes see decoded weights.
"""

from dataclasses import replace
from typing import Literal

import torch
from torch import Size, Tensor, nn
from torch.nn.utils import parametrize

from ernn.compress.masked import Spread
from ernn.compress.method import Method, Parts
from ernn.compress.plan import CompressionPlan, NamedMatrix, compressed
from ernn.compress.sets import Stored, decode, encode, project
from ernn.compress.shaped import Shaped
from ernn.compress.spectral import Spectral
from ernn.ir.structure import (
    BankBalanced,
    BlockCirculant,
    LoadBalanced,
    Pruned,
    Signed,
    block_size,
)
from ernn.nn.kept_factors import keep_factors
from ernn.nn.recurrent import GRU, LSTM
from ernn.nn.signs import Turn


class Decode(Shaped):
    """Stored numbers to the parameter."""

    def __init__(self, structure: BlockCirculant, weight: Tensor, shape: Size) -> None:
        """`weight` (gates, rows, columns): the parameter of `shape` as matrices."""
        super().__init__(weight.shape, shape)
        self.structure = structure

    def blocks(self, stored: Tensor) -> Tensor:
        """Block vectors (gates, block rows, block columns, k), multiplied without decoding."""
        return stored

    def forward(self, stored: Tensor) -> Tensor:
        return self.parameter(decode(stored, self.structure, self.rows, self.columns))

    def right_inverse(self, parameter: Tensor) -> Stored:
        """What `parametrize` stores for a weight that is assigned: its projection."""
        return encode(self.matrices(parameter), self.structure)


class Rebuild(Shaped):
    """What is trained of a `Method`'s structure, to the parameter."""

    def __init__(self, structure: Method, weight: Tensor, shape: Size) -> None:
        """`weight` (gates, rows, columns): what is fixed in training is chosen from it."""
        super().__init__(weight.shape, shape)
        self.structure = structure
        held = structure.start(weight.detach()).held
        self.names = [f"held{index}" for index in range(len(held))]
        for name, tensor in zip(self.names, held, strict=True):
            self.register_buffer(name, tensor)

    @property
    def held(self) -> tuple[Tensor, ...]:
        return tuple(self.get_buffer(name) for name in self.names)

    def forward(self, *trained: Tensor) -> Tensor:
        parts = Parts(trained, self.held)
        return self.parameter(self.structure.rebuilt(parts, self.rows, self.columns))

    def right_inverse(self, parameter: Tensor) -> tuple[Tensor, ...]:
        """What `parametrize` stores for a weight that is assigned."""
        return self.structure.again(self.matrices(parameter), self.held)


_INSIDE = Decode | Spectral | Spread | Rebuild
Domain = Literal["time", "frequency"]


def enter(module: nn.Module, plan: CompressionPlan, domain: Domain = "time") -> None:
    """Project the matrices that `plan` compresses and train their stored numbers from now on.

    `domain`: what is trained of a block, its first column or the spectrum of that.  Make the
    optimizer afterwards: the parameters are other ones.
    """
    for matrix in compressed(module, plan):
        turn = None
        if isinstance(matrix.structure, Signed):
            signs = matrix.structure.diagonal(matrix.weight.shape[-1])
            parameter = matrix.parameter
            shape = (-1, *[1] * (parameter.dim() - 2)) if matrix.by_tap else parameter.shape[1:]
            turn = Turn(torch.from_numpy(signs).to(parameter).view(shape))
            with torch.no_grad():
                parameter.mul_(turn.signs)
            matrix = replace(matrix, structure=matrix.structure.inner)
        parametrize.register_parametrization(
            matrix.owner, matrix.attribute, _inside(matrix, domain)
        )
        if turn is not None:
            parametrize.register_parametrization(matrix.owner, matrix.attribute, turn)


def _inside(matrix: NamedMatrix, domain: Domain) -> "Decode | Spectral | Spread | Rebuild":
    weight, shape = matrix.weight, matrix.parameter.shape
    match matrix.structure:
        case Pruned() | LoadBalanced() | BankBalanced():
            return Spread(matrix.structure, weight, shape)
        case Method():
            return Rebuild(matrix.structure, weight, shape)
        case BlockCirculant():
            _use_ours(matrix.owner)
            kind = Spectral if domain == "frequency" else Decode
            return kind(matrix.structure, weight, shape)
        case _:
            raise TypeError(f"there is no training inside {matrix.structure}")


def leave(module: nn.Module) -> None:
    """Back to plain weights, equal to the decoded ones."""
    for owner in [owner for owner in module.modules() if parametrize.is_parametrized(owner)]:
        inside: nn.ModuleDict = owner.parametrizations  # type: ignore[assignment]
        for name in [name for name, chain in inside.items() if isinstance(chain[0], _INSIDE)]:  # type: ignore[index]
            _keep_trained(owner, name, inside[name])
            parametrize.remove_parametrizations(owner, name, leave_parametrized=True)
        if not parametrize.is_parametrized(owner) and hasattr(owner, _BEFORE):
            owner.__class__ = vars(owner).pop(_BEFORE)


def _keep_trained(owner: nn.Module, name: str, chain: nn.Module) -> None:
    rebuild = chain[0]  # type: ignore[index]
    if isinstance(rebuild, Rebuild):
        trained = tuple(tensor.detach() for _, tensor in chain.named_parameters(recurse=False))
        _keep(
            owner, name, rebuild.structure, rebuild.structure.settled(Parts(trained, rebuild.held))
        )


def _keep(owner: nn.Module, name: str, structure: Method, stored: Parts) -> None:
    """Keep factors on a grid beside the weight; any others can be found from it again."""
    inner = structure.recognised()
    if inner is not structure and isinstance(inner, Method) and inner.factored:
        numbers = tuple(tensor.detach().cpu().double() for tensor in stored.tensors)
        keep_factors(owner, name, inner.split(Parts(numbers)))


_OURS = {nn.LSTM: LSTM, nn.GRU: GRU}
_BEFORE = "_class_before_inside"


def _use_ours(owner: nn.Module) -> None:
    """torch's own layer becomes ours, with the same parameters; a user's subclass keeps its own."""
    if type(owner) in _OURS:
        setattr(owner, _BEFORE, type(owner))
        owner.__class__ = _OURS[type(owner)]


@torch.no_grad()
def project_once(module: nn.Module, plan: CompressionPlan) -> None:
    """One-shot compression: every matrix of the plan replaced by its projection."""
    for matrix in compressed(module, plan):
        if isinstance(matrix.structure, Method):
            _keep(
                matrix.owner,
                matrix.attribute,
                matrix.structure,
                matrix.structure.encode(matrix.weight),
            )
        matrix.weight.copy_(project(matrix.weight, matrix.structure))


@torch.no_grad()
def restart_inside(module: nn.Module, plan: CompressionPlan) -> None:
    """For direct training: a fresh model becomes a structured one with weights as large.

    The mean over a diagonal of k independent numbers has 1/k of their variance; the projection is
    scaled back, that of a structure in a file of its own by what the norm has lost.
    """
    for matrix in compressed(module, plan):
        nearest = project(matrix.weight, matrix.structure)
        scale = block_size(matrix.structure) ** 0.5
        if isinstance(matrix.structure, Method):
            scale = float(matrix.weight.norm() / nearest.norm().clamp(min=1e-12))
        matrix.weight.copy_(nearest * scale)
