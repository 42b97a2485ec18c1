"""Which matrix of a model gets which structure, as a frozen value."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

import ernn.compress.methods  # noqa: F401  (so that their names can be read)
from ernn.compress.described import described, from_description
from ernn.errors import UserError
from ernn.ir.structure import (
    BankBalanced,
    BlockCirculant,
    Dense,
    LoadBalanced,
    Pruned,
    Signed,
    Structure,
    by_tap,
)

Role = Literal["input", "recurrent", "projection", "output"]
ROLES: dict[str, Role] = {"weight_ih": "input", "weight_hh": "recurrent", "weight_hr": "projection"}
"""torch's names of a recurrent layer's weights, which our own cells share."""
SINGLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding)
"""Layers that have one weight."""
DENSE = Dense()


@dataclass(frozen=True)
class CompressionPlan:
    """A structure for each kind of matrix of a module.

    Raises UserError for what is no structure; whether sizes fit shows when a plan is used.

    >>> import ernn
    >>> plan = ernn.CompressionPlan.blocks(8)
    >>> plan = plan.override("lstm.weight_ih_l0", ernn.BlockCirculant(4))
    >>> plan.structure("lstm.weight_ih_l0", "input"), plan.structure("word.weight", "output")
    (BlockCirculant(block=4, pad=False), Dense())
    """

    input: Structure = Dense()
    """What recurrent layers multiply their input with."""
    recurrent: Structure = Dense()
    """What they multiply their own output with."""
    projection: Structure = Dense()
    """What an LSTM multiplies its cells' output with."""
    output: Structure = Dense()
    """The weight of every Linear layer, convolution (out, in times taps) and embedding."""
    overrides: tuple[tuple[str, Structure], ...] = ()
    """Of single parameters, by the name that `named_parameters()` gives, instead of the above."""

    def __post_init__(self) -> None:
        for structure in (
            self.input,
            self.recurrent,
            self.projection,
            self.output,
            *dict(self.overrides).values(),
        ):
            if not isinstance(structure, Structure):
                raise UserError(
                    "a plan holds structures such as Dense() or BlockCirculant(8), not "
                    f"{structure!r}"
                )

    @classmethod
    def blocks(
        cls, block: int, output: int = 1, pad: bool = True, signed: bool = False
    ) -> "CompressionPlan":
        """Circulant blocks in recurrent layers.

        block: their size, 1, 2, 4, 8, 16, 32 or 64; 1 is dense.
        output: the size in Linear layers, convolutions and embeddings.
        pad: whether sizes that the block does not divide are padded, and the padding counted;
            otherwise they are refused when the plan is used.
        signed: whether columns have signs (`ernn.ir.structure.Signed`), drawn by seed 0.
        """
        inner, outer = (_structure(size, pad, signed) for size in (block, output))
        return cls(inner, inner, inner, outer)

    @classmethod
    def pruned(cls, structure: Structure, output: Structure = DENSE) -> "CompressionPlan":
        """One structure for all matrices of recurrent layers.

        structure: for example `ernn.ir.structure.LoadBalanced(0.1, 32)`, a sparse one.
        output: of Linear layers, convolutions and embeddings; by default they stay dense.
        """
        return cls(structure, structure, structure, output)

    def override(self, name: str, structure: Structure) -> "CompressionPlan":
        """The same plan but for one parameter.

        name: as `named_parameters()` gives it, e.g. "lstm.weight_ih_l0".
        structure: what it gets.
        """
        return replace(
            self, overrides=(*(o for o in self.overrides if o[0] != name), (name, structure))
        )

    def structure(self, name: str, role: Role) -> Structure:
        """What a parameter gets.

        name: as for `override`.
        role: "input", "recurrent", "projection" or "output": what it gets where not overridden.
        """
        named = dict(self.overrides)
        return named[name] if name in named else getattr(self, role)

    def to_dict(self) -> dict[str, Any]:
        """Plain values: a block size, with "pad" if padded; 1 is dense; or a structure's fields."""
        roles = {
            role: _plain(getattr(self, role))
            for role in ("input", "recurrent", "projection", "output")
        }
        return {
            **roles,
            "overrides": {name: _plain(structure) for name, structure in self.overrides},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "CompressionPlan":
        """The reverse of `to_dict`.

        values: structures by role, and `overrides` by name. UserError for unknown keys.
        """
        known = ("input", "recurrent", "projection", "output", "overrides")
        if not isinstance(values, dict):
            raise UserError(f"a compression plan is a table of structures, not {values!r}")
        if unknown := sorted(set(values) - set(known)):
            raise UserError(
                f"a compression plan has no {', '.join(unknown)}: it has {', '.join(known)}"
            )
        named = values.get("overrides", {})
        if not isinstance(named, dict):
            raise UserError(f"a plan's overrides are a table of structures by name, not {named!r}")
        overrides = tuple((name, parse_structure(v)) for name, v in named.items())
        return cls(
            **{role: parse_structure(values[role]) for role in known[:4] if role in values},
            overrides=overrides,
        )


@dataclass(frozen=True, eq=False)
class NamedMatrix:
    """A weight inside a model: parameter `attribute` of `owner`; `name` is from the model's root.

    The parameter is `gates` matrices (rows, columns) of `structure`: of a convolution, one a group,
    whose columns are inputs and taps; or a matrix for each tap (`ernn.ir.structure.by_tap`).
    """

    name: str
    owner: nn.Module = field(repr=False)
    attribute: str
    role: Role
    gates: int
    structure: Structure

    @property
    def parameter(self) -> Tensor:
        return getattr(self.owner, self.attribute)

    @property
    def weight(self) -> Tensor:
        """The parameter as (gates, rows, columns), sharing its memory."""
        parameter = self.parameter
        if self.by_tap:
            return parameter.flatten(2).permute(2, 0, 1)
        return parameter.view(self.gates, parameter.shape[0] // self.gates, -1)

    @property
    def by_tap(self) -> bool:
        """Whether each tap of a convolution is a matrix."""
        owner = self.owner
        if not isinstance(owner, nn.Conv1d | nn.Conv2d) or self.gates > 1:
            return False
        return by_tap(self.structure, owner.in_channels)

    @property
    def stored(self) -> int:
        """Numbers stored, padding counted."""
        return self.structure.stored(tuple(self.weight.shape))


def matrices(module: nn.Module, plan: CompressionPlan) -> list[NamedMatrix]:
    """Every weight matrix in `module`, by name within a layer: of recurrent and Linear layers,
    convolutions and embeddings.

    UserError if an override names no such matrix, or a structure does not fit its shape.
    """
    found = [m for name, owner in module.named_modules() for m in _of(name, owner, plan)]
    if missing := sorted(set(dict(plan.overrides)) - {m.name for m in found}):
        raise UserError(
            f"the plan overrides {missing[0]!r}; the matrices are "
            f"{', '.join(m.name for m in found)}"
        )
    for matrix in found:
        _require_fit(matrix)
    return found


def layer_blocks(module: nn.Module, blocks: Sequence[int], output: int = 1) -> CompressionPlan:
    """One block size a recurrent layer of `module`, from the input on: "8-16" is (8, 16).

    `output` as for `CompressionPlan.blocks`; both padded. UserError for another number of layers.
    """
    names = [m.name for m in matrices(module, CompressionPlan()) if m.role != "output"]
    inner = [
        (name, (name.rpartition(".")[0], int(name.removesuffix("_reverse").rpartition("_l")[2])))
        for name in names
    ]
    owners = list(dict.fromkeys(owner for _, (owner, _) in inner))  # in the order of the model
    layers = sorted(
        {layer for _, layer in inner}, key=lambda layer: (owners.index(layer[0]), layer[1])
    )
    if len(layers) != len(blocks):
        raise UserError(
            f"{len(blocks)} block sizes for {len(layers)} recurrent layers: give one for each"
        )
    sizes = dict(zip(layers, blocks, strict=True))
    overrides = tuple((name, _structure(sizes[layer], True)) for name, layer in inner)
    return CompressionPlan(output=_structure(output, True), overrides=overrides)


def compressed(module: nn.Module, plan: CompressionPlan) -> list[NamedMatrix]:
    """Those of `matrices` that the plan does not leave dense."""
    return [m for m in matrices(module, plan) if m.structure != Dense()]


def structures(module: nn.Module, plan: CompressionPlan) -> dict[str, Structure]:
    """Structure of every weight matrix by name, as `ernn.frontends.torch.import_torch` takes it."""
    return {m.name: m.structure for m in matrices(module, plan)}


def stored_weights(module: nn.Module, plan: CompressionPlan, recurrent_only: bool = False) -> int:
    """Numbers stored for weight matrices (no biases, no peepholes); of
    recurrent layers only, on request.
    """
    return sum(
        m.stored for m in matrices(module, plan) if not (recurrent_only and m.role == "output")
    )


def _of(name: str, owner: nn.Module, plan: CompressionPlan) -> Iterator[NamedMatrix]:
    for attribute, role in _weights(owner):
        full = f"{name}.{attribute}" if name else attribute
        if is_lazy(getattr(owner, attribute)):
            raise UserError(f"{full} has no size yet: run the module once")
        yield NamedMatrix(
            full, owner, attribute, role, _gates(owner, attribute, role), plan.structure(full, role)
        )


def _weights(owner: nn.Module) -> list[tuple[str, Role]]:
    if isinstance(owner, SINGLE):
        return [("weight", "output")]
    # A parametrized weight is no longer among the parameters of its owner.
    inside = getattr(owner, "parametrizations", {})
    names = (*dict(owner.named_parameters(recurse=False)), *inside)
    return sorted((name, ROLES[name[:9]]) for name in names if name[:9] in ROLES)


def _gates(owner: nn.Module, attribute: str, role: Role) -> int:
    """Matrices stacked in one parameter; a projection has none of an LSTM's gates."""
    if isinstance(owner, nn.Conv1d | nn.Conv2d):
        return owner.groups
    if role in ("output", "projection"):
        return 1
    return getattr(owner, attribute).shape[0] // int(owner.hidden_size)  # type: ignore[arg-type]


def _require_fit(matrix: NamedMatrix) -> None:
    try:
        assert matrix.stored > 0
    except UserError as error:
        raise UserError(f"{matrix.name}: {error}") from error


def _structure(block: int, pad: bool, signed: bool = False) -> Structure:
    if block == 1:
        return DENSE
    return Signed(BlockCirculant(block, pad)) if signed else BlockCirculant(block, pad)


def _plain(structure: Structure) -> int | dict[str, Any]:
    match structure:
        case Dense():
            return 1
        case BlockCirculant(block, pad):
            return {"block": block, "pad": True} if pad else block
        case Pruned() | LoadBalanced() | BankBalanced():
            return asdict(structure)
        case _:
            return described(structure)


def parse_structure(value: Any) -> Structure:
    """A structure of a plan's plain values; UserError where it is none."""
    match value:
        case int():
            return _structure(value, False)
        case {"block": int(block), **rest} if set(rest) <= {"pad", "signed"}:
            return _structure(block, bool(rest.get("pad")), bool(rest.get("signed")))
        case {"density": float(density), "pes": int(pes), **rest} if not rest:
            return LoadBalanced(density, pes)
        case {"density": float(density), "bank": int(bank), **rest} if not rest:
            return BankBalanced(density, bank)
        case {"density": float(density), **rest} if not rest:
            return Pruned(density)
        case {"kind": str(), **rest}:
            return from_description(value)
        case _:
            raise UserError(
                "a structure is a block size, {block = 8, pad = true}, "
                "{block = 8, pad = true, signed = true}, {density = 0.1}, "
                "{density = 0.1, pes = 32}, {density = 0.1, bank = 16} or "
                f'{{kind = "LowRank", rank = 16}} and the like, not {value!r}'
            )
