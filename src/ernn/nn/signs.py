"""Signs of columns in training: a product in blocks reads a signal whose signs are turned.

W = C D of `ernn.ir.structure.Signed` is decoded like any weight.  Where C is multiplied as spectra,
D is applied to what is read: to an input once for all frames, to a step by a step more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from ernn.ir.fixed_point import FixedFormat
from ernn.ir.turned import Names
from ernn.nn.forms import in_forms
from ernn.nn.parameters import Parameters

Tensors = Mapping[str, Tensor]


class Turn(nn.Module):
    """C to C D and back, as a parametrization after that of C."""

    signs: Tensor

    def __init__(self, signs: Tensor) -> None:
        """signs: (columns,), of 1 and -1."""
        super().__init__()
        self.register_buffer("signs", signs, persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.signs

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight * self.signs


@dataclass(frozen=True, eq=False)
class Unsigned:
    """A layer whose products in blocks read what signs were applied to.

    named: with the steps and vectors for that. signs: by the name of what was turned. turned: those
    names, and before them what they were.
    """

    named: Parameters
    signs: Tensors
    turned: Names

    def frames(self, frames: Tensors) -> dict[str, Tensor]:
        """Of each input of the cell, from the layer's own."""
        found = {**frames, **self._turned(frames)}
        return {name: found[name] for name in self.named.cell.inputs}

    def formats(self, formats: Mapping[str, FixedFormat]) -> dict[str, FixedFormat]:
        """What is turned is rounded as before: its sign changes nothing."""
        turned = {new: formats[old] for old, new in self.turned if old in formats}
        return {**formats, **turned}

    def state(self, state: Tensors) -> dict[str, Tensor]:
        """Before the first frame, of every step."""
        return {**state, **self._turned(state)}

    def ends(self, ends: Tensors) -> dict[str, Tensor]:
        """After the last frame, of every step that the layer remembers."""
        back = {old: ends[new] * self.signs[new] for old, new in self.turned if new in ends}
        return {**back, **ends}

    def _turned(self, values: Tensors) -> dict[str, Tensor]:
        return {new: values[old] * self.signs[new] for old, new in self.turned if old in values}


def unsigned(named: Parameters, block: int) -> Unsigned:
    """Of a layer whose weights in blocks of `block` are multiplied as spectra."""
    signs: dict[str, Tensor] = {}
    names: dict[tuple[str, bytes], str] = {}
    reads: list[tuple[str, int, str]] = []
    for product in named.cell.products:
        for place, read in enumerate(product.reads):
            weight = named.weights[product.name, str(read)]
            if block == 1 or weight.block != block or weight.signs is None:
                continue
            new = f"{read.name}_turned{len(names) or ''}"
            new = names.setdefault((read.name, weight.signs.numpy().tobytes()), new)
            signs[new] = weight.signs
            reads.append((product.name, place, new))
    turned = tuple((old, new) for (old, _), new in names.items())
    return Unsigned(in_forms(named, tuple(reads), turned, signs), signs, turned)
